"""Densities over time: p(t) = exp(t L^T) p(0), split along the axes at first, implicit and coupled later.

Strang: exp(hA/2) exp(hB) exp(hA/2), SDIRK2 on each line; then steps of order 8 that grow, to any time.
G. Strang, SIAM J. Numer. Anal. 5, 506 (1968); R. Alexander, SIAM J. Numer. Anal. 14, 1006 (1977); S. P.
Norsett, BIT 14, 63 (1974).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {"result": "Evolution"})
