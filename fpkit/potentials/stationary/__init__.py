"""Stationary points of f, grad f = 0: minima, saddles, and the paths of least energy between them.

x' = -grad f leads to minima; x' = -(1 - 2 v v^T) grad f, v the softest direction, to saddles.
D. J. Wales, Energy Landscapes, Cambridge (2003), chapter 6.
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "critical": "CriticalPoint CriticalPoints find_wells critical_points",
    "energy_path": "EnergyPath minimum_energy_path",
})
