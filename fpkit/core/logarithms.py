"""Sums and Bernoulli functions of numbers that are held by their logarithms."""
from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def log_sum(logs: ArrayLike, axis: int | None = None) -> float | np.ndarray:
    """log of the sum of exponentials, of all terms or along an axis; -inf for no terms."""
    logs = np.asarray(logs)
    top = logs.max(axis, initial=-np.inf)
    if axis is None:
        return float(top + np.log(np.exp(logs - top).sum())) if np.isfinite(top) else float(top)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore", under="ignore", invalid="ignore", over="ignore"):
        total = np.log(np.exp(logs - np.expand_dims(safe, axis)).sum(axis))
    return np.where(np.isinf(top), top, safe + total)


def log_sums_by(owner: np.ndarray, logs: np.ndarray, n: int) -> np.ndarray:
    """log of the sums of exp(logs) over the terms of each of n owners; -inf without terms, NaN with a NaN."""
    top = np.full(n, -np.inf)
    np.maximum.at(top, owner, logs)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(all="ignore"):
        return safe + np.log(np.bincount(owner, np.exp(logs - safe[owner]), n))


def log_bernoulli(d: ArrayLike) -> np.ndarray:
    """log of d / (exp(d) - 1), for any d."""
    size = np.maximum(np.abs(d), 1e-9)
    return np.where(np.abs(d) < 1e-5, -d / 2 - d * d / 24,
                    np.log(size) - np.log(-np.expm1(-size)) - np.maximum(d, 0))


def dot(a: np.ndarray, b: np.ndarray) -> float:
    """sum a b without BLAS: its threads spin on busy cores, and split sums differ in their last bits."""
    return float(np.einsum("i,i", a, b))


def chunks(n: int, size: int = 1 << 16) -> list[slice]:
    """Slices that cover range(n)."""
    return [slice(k, min(k + size, n)) for k in range(0, n, size)]
