"""Weights of quadrature rules, and integrals of exponentials by them."""
from __future__ import annotations

import numpy as np


def simpson(n: int) -> np.ndarray:
    """Simpson's weights 1, 4, 2, ..., 4, 1 of an odd number n of points, in units of a third of the step."""
    weights = np.ones(n)
    weights[1:-1:2], weights[2:-1:2] = 4.0, 2.0
    return weights


def log_integral(exponent: np.ndarray, weights: np.ndarray) -> float:
    """log of sum weights exp(exponent), for exponents beyond the range of floats."""
    top = exponent.max()
    return float(top + np.log((weights * np.exp(exponent - top)).sum()))
