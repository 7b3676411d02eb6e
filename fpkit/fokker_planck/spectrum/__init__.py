"""Eigenvalues of -L: slow modes with all digits however small, and quasi-stationary states.

-L phi = lambda phi, or with killing on a region; lambda_2 is the spectral gap.
A. Bovier, V. Gayrard, M. Klein, J. Eur. Math. Soc. 7, 69 (2005).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {"modes": "lowest_modes"})
