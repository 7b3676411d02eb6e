"""Sums, means and Bernoulli functions of numbers that are held by their logarithms."""
from __future__ import annotations

import numpy as np


def log_sum(logs):
    """log of the sum of exponentials; -inf for no terms."""
    logs = np.asarray(logs)
    top = logs.max(initial=-np.inf)
    if not np.isfinite(top):
        return float(top)
    return float(top + np.log(np.exp(logs - top).sum()))


def dot(a, b):
    """sum a b without BLAS: its threads spin on busy cores, and split sums differ in their last bits."""
    return float(np.einsum("i,i", a, b))
