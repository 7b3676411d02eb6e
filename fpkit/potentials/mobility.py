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


def selling(tensor, h):
    """Offsets and weights of a reversible stencil for a constant tensor.

    sum_k w_k e_k e_k^T = diag(1/h) D diag(1/h) with integer offsets e_k and weights w_k >= 0, from an obtuse
    superbase of the lattice [1]_.

    Parameters
    ----------
    tensor : (d, d) SPD; h : (d,) cell widths; d is 2 or 3.

    Returns
    -------
    offsets : int ndarray (3, 2) or (6, 3)
    weights : ndarray (3,) or (6,)

    References
    ----------
    .. [1] J. Fehrenbach, J.-M. Mirebeau, J. Math. Imaging Vis. 49, 123 (2014).
    """
    E = np.asarray(tensor, float) / np.outer(h, h)
    d = E.shape[0]
    base = _reduced(E)
    base = np.vstack([base, -base.sum(0)])
    for _ in range(1000):                       # Selling's step, after the reduction only a few
        products = base @ E @ base.T
        i, j = max(((i, j) for i in range(d + 1) for j in range(i)), key=lambda p: products[p])
        if products[i, j] <= 1e-14 * np.trace(E):
            break
        if d == 2:
            base = np.array([-base[i], base[j], base[i] - base[j]])
        else:
            k, l = (m for m in range(4) if m not in (i, j))
            base = np.array([-base[i], base[j], base[k] + base[i], base[l] + base[i]])
    products = base @ E @ base.T
    offsets, weights = [], []
    for i in range(d + 1):
        for j in range(i):
            rest = [m for m in range(d + 1) if m not in (i, j)]
            if d == 2:
                v = base[rest[0]]
                e = np.array([-v[1], v[0]])
            else:
                e = np.cross(base[rest[0]], base[rest[1]])
            offsets.append(e)
            weights.append(max(0.0, -products[i, j]))
    return np.array(offsets), np.array(weights)


def _reduced(E):
    """A basis of the integer lattice that is short for the form E (pairwise Lagrange-Gauss steps)."""
    d = E.shape[0]
    base = np.eye(d, dtype=int)
    for _ in range(10_000):
        changed = False
        for i in range(d):
            for j in range(d):
                if i != j:
                    q = int(np.rint((base[i] @ E @ base[j]) / (base[j] @ E @ base[j])))
                    shorter = base[i] - q * base[j]
                    if q and shorter @ E @ shorter < (1 - 1e-12) * (base[i] @ E @ base[i]):
                        base[i], changed = shorter, True
        if not changed:
            break
    return base
