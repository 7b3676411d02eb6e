"""Linear systems of reversible chains: elimination without subtraction, multigrid, deflation.

A cell is eliminated by c_jk += c_ij c_ik / sum_l c_il: only sums of positive numbers, every digit of a rate
kept. W. K. Grassmann, M. I. Taksar, D. P. Heyman, Operations Research 33, 1107 (1985); A. George, SIAM J.
Numer. Anal. 10, 345 (1973).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {"elimination": "Ordering Elimination"})
