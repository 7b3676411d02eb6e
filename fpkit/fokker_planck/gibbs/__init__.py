"""Integrals of exp(-beta f) over cells and regions: masses, probabilities, all in logarithms.

log m_i = log of the integral of exp(-beta f) over cell i, by adaptive tensor Gauss rules.
P. J. Davis, P. Rabinowitz, Methods of Numerical Integration, Academic Press (1984).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {"quadrature": "gauss tensor_rule"})
