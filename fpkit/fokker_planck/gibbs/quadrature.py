"""Gauss rules, and the exponent beta (f - f0) of one potential at one temperature, evaluated on many points
at a call."""
from __future__ import annotations

from functools import lru_cache

import numpy as np

CHUNK = 32768                # points of one evaluation: they stay in the second-level cache


@lru_cache(maxsize=None)
def gauss(n):
    """Nodes and weights of the n-point Gauss rule on [0, 1]; both read-only."""
    x, w = np.polynomial.legendre.leggauss(n)
    x, w = (x + 1) / 2, w / 2
    x.setflags(write=False)
    w.setflags(write=False)
    return x, w


@lru_cache(maxsize=None)
def cumulative(n):
    """Matrix C with (C g)_i = integral from 0 to node i of the polynomial through the values g at the Gauss
    nodes of [0, 1]."""
    from numpy.polynomial.legendre import legint, legval, legvander
    x = 2 * gauss(n)[0] - 1
    integrals = np.array([legval(x, legint(row, lbnd=-1)) for row in np.eye(n)]).T
    return integrals @ np.linalg.inv(legvander(x, n - 1)) / 2


@lru_cache(maxsize=None)
def lobatto(n):
    """Nodes and weights of the n-point Lobatto rule on [0, 1], ends included: as exact as n - 1 Gauss points,
    and it sees the edges."""
    from numpy.polynomial.legendre import Legendre
    P = Legendre.basis(n - 1)
    x = np.concatenate([[-1.0], np.sort(P.deriv().roots().real) if n > 2 else [], [1.0]])
    return (x + 1) / 2, 1 / (n * (n - 1) * P(x) ** 2)


@lru_cache(maxsize=None)
def tensor_rule(n, ndim, rule=gauss):
    """Nodes (n^ndim, ndim) and weights (n^ndim,) of the product rule on the unit cube."""
    x, w = rule(n)
    nodes = np.stack(np.meshgrid(*[x] * ndim, indexing="ij"), axis=-1).reshape(-1, ndim)
    weights = w
    for _ in range(ndim - 1):
        weights = np.multiply.outer(weights, w)
    return nodes, weights.ravel()


class Exponent:
    """beta (f - f0) of a potential whose parameters are frozen.

    Attributes
    ----------
    beta, f0 : float
    ndim : int
    """

    def __init__(self, potential, beta, f0=0.0):
        self.potential, self.beta, self.f0, self.ndim = potential, float(beta), float(f0), potential.ndim

    @property
    def is_compiled(self):
        return not self.potential.is_black_box

    def energies(self, X):
        """f on points X (ndim, n), one column a point."""
        X = np.ascontiguousarray(X, float)
        if not self.is_compiled:
            return np.asarray(self.potential(X.T), float)
        out, block, p = np.empty(X.shape[1]), self.potential.block("value"), self.potential.p
        if X.shape[1] <= CHUNK:
            block(X, p, out)
            return out
        for k in range(0, X.shape[1], CHUNK):
            part = np.empty(min(CHUNK, X.shape[1] - k))
            block(np.ascontiguousarray(X[:, k:k + CHUNK]), p, part)
            out[k:k + CHUNK] = part
        return out

    def __call__(self, X):
        """beta (f - f0) on points X (ndim, n); +inf and NaN are passed on."""
        with np.errstate(all="ignore"):
            return self.beta * (self.energies(X) - self.f0)

    def on(self, points):
        """The same on points (..., ndim)."""
        points = np.asarray(points, float)
        return self(points.reshape(-1, self.ndim).T).reshape(points.shape[:-1])
