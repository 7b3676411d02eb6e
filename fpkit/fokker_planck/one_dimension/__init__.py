"""Continuum answers on an interval or a ring, by quadrature in logarithms and spectral elements.

tau(x) = 1/theta times the integral from x to b of exp(beta f(y)) times that of exp(-beta f(z)), z < y.
C. W. Gardiner, Handbook of Stochastic Methods, Springer (2004), section 5.2.
"""
