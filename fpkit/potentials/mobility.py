"""Mobility: checked once, then asked per axis or reduced to a stencil with non-negative weights (Selling)."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core import checks


@dataclass(frozen=True)
class Mobility:
    """Mobility M in du/dt = theta div[M exp(-beta f) grad(u exp(beta f))].

    Attributes
    ----------
    diagonal : ndarray (ndim,) or None
        Constant entries of a diagonal mobility.
    tensor : ndarray (ndim, ndim) or None
        A constant full SPD tensor.
    function : callable or None
        Position-dependent: points (..., ndim) -> (...) or (..., ndim), positive.
    """
    ndim: int
    diagonal: np.ndarray | None = None
    tensor: np.ndarray | None = None
    function: object = None

    @property
    def is_unit(self):
        return self.diagonal is not None and bool((self.diagonal == 1).all())

    def log_along(self, axis, X):
        """log of the mobility along one axis at points X (ndim, n): a number where it is constant."""
        if self.diagonal is not None:
            return float(np.log(self.diagonal[axis]))
        values = evaluate(self.function, np.ascontiguousarray(X.T), self.ndim)
        return np.log(values if values.ndim == 1 else values[:, axis])


def checked(mobility, grid):
    """`Mobility` of what the user gave; wrong ones are refused in one sentence."""
    d = grid.ndim
    if mobility is None:
        return Mobility(d, np.ones(d))
    if callable(mobility):
        centre = np.array([[(low + high) / 2 for low, high in grid.bounds]])
        evaluate(mobility, np.repeat(centre, 2, axis=0), d)
        return Mobility(d, function=mobility)
    try:
        m = np.asarray(mobility, float)
        if isinstance(mobility, (bool, str)) or m.dtype == object:
            raise TypeError
    except (TypeError, ValueError):
        raise TypeError(f"mobility must be a number, {d} numbers, a {d} x {d} matrix or a function of "
                        f"points, got {checks.shown(mobility)}.") from None
    if m.shape not in ((), (d,), (d, d)):
        raise ValueError(f"mobility has shape {m.shape}, expected a number, ({d},) or ({d}, {d}) on a grid "
                         f"of {d} axes.")
    if not np.isfinite(m).all():
        raise ValueError("mobility must be finite.")
    if m.ndim < 2:
        m = np.broadcast_to(m, (d,)).astype(float)
        if (m <= 0).any():
            raise ValueError(f"mobility must be positive, got {m.min():g}.")
        return Mobility(d, m)
    if np.abs(m - m.T).max() > 1e-12 * np.abs(m).max():
        raise ValueError("mobility must be symmetric: give D with D[i, j] = D[j, i], for a plane the inverse "
                         "of its Gram matrix.")
    m = (m + m.T) / 2
    if np.linalg.eigvalsh(m).min() <= 0:
        raise ValueError("mobility must be positive definite, its smallest eigenvalue is "
                         f"{np.linalg.eigvalsh(m).min():.3g}.")
    if not np.count_nonzero(m - np.diag(np.diag(m))):
        return Mobility(d, np.diag(m).copy())
    if not grid.is_uniform:
        raise ValueError("a mobility with off-diagonal entries needs a uniform grid: its stencil couples "
                         "cells at fixed offsets; "
                         "use Grid(bounds, shape).")
    return Mobility(d, tensor=m)


def evaluate(function, points, d):
    """Values of a position-dependent mobility at points (n, d): (n,) or (n, d), checked."""
    values = np.asarray(function(points), float)
    n = points.shape[0]
    if values.ndim == 0:
        values = np.full(n, float(values))
    if values.shape == (n, d, d):
        raise ValueError("a position-dependent mobility must be isotropic or diagonal, shape (...) or (..., "
                         "ndim); full matrices "
                         "that change with x are not supported.")
    if values.shape not in ((n,), (n, d)):
        raise ValueError(f"the mobility gave shape {values.shape} for points of shape {points.shape}, "
                         f"expected ({n},) or ({n}, {d}).")
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise ValueError(f"the mobility must be positive and finite everywhere, got {values.min():g}.")
    return values
