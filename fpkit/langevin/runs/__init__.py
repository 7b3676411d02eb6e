"""Long runs: the loop with progress and interruption, checkpoints, stored paths.

A run is identified by the content of what it computes; it resumes to the same bits or not at all.
J. K. Salmon et al., Proc. SC11 (2011), for noise as a function of (seed, path, step).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {"paths": "Paths"})
