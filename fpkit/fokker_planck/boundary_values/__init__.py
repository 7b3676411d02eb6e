"""Boundary value problems of the generator: mean passage times, committors, capacities, effective diffusion.

L tau = -1 outside B, tau = 0 on B; L q = 0 between A and B; cap = E(q, q).
A. Bovier, F. den Hollander, Metastability, Springer (2015).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {"first_passage": "passage_time"})
