"""Potentials f: R^d -> R with exact gradient and Hessian, their stationary points, regions, and the diffusion
that they define.

dX = -M grad f dt + theta div M dt + sqrt(2 theta M) dW, with M the mobility and theta the temperature.
G. A. Pavliotis, Stochastic Processes and Applications, Springer (2014), chapter 4.
"""
from ..core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "potential": "Potential",
    "grid_potential": "GridPotential",
    "diffusion": "Diffusion",
    "force": "Rotation",
    "mobility": "mobility_of",
    "regions": "Ball HalfSpace Box Sublevel Basin Region",
    "stationary": "find_wells critical_points minimum_energy_path",
})
