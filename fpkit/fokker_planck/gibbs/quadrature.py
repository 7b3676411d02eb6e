"""Gauss and Lobatto rules on the unit interval and the unit cube."""
from __future__ import annotations

from functools import cache

import numpy as np
from numpy.polynomial.legendre import Legendre, leggauss, legint, legval, legvander


@cache
def gauss(n):
    """Nodes and weights of the n-point Gauss rule on [0, 1]; both read-only."""
    x, w = leggauss(n)
    x, w = (x + 1) / 2, w / 2
    x.setflags(write=False)
    w.setflags(write=False)
    return x, w


@cache
def cumulative(n):
    """Matrix C with (C g)_i = integral from 0 to node i of the polynomial through the values g at the Gauss
    nodes of [0, 1]."""
    x = 2 * gauss(n)[0] - 1
    integrals = np.array([legval(x, legint(row, lbnd=-1)) for row in np.eye(n)]).T
    return integrals @ np.linalg.inv(legvander(x, n - 1)) / 2


@cache
def lobatto(n):
    """Nodes and weights of the n-point Lobatto rule on [0, 1], ends included: as exact as n - 1 Gauss points,
    and it sees the edges."""
    P = Legendre.basis(n - 1)
    x = np.concatenate([[-1.0], np.sort(P.deriv().roots().real) if n > 2 else [], [1.0]])
    return (x + 1) / 2, 1 / (n * (n - 1) * P(x) ** 2)


@cache
def tensor_rule(n, ndim, rule=gauss):
    """Nodes (n^ndim, ndim) and weights (n^ndim,) of the product rule on the unit cube."""
    x, w = rule(n)
    nodes = np.stack(np.meshgrid(*[x] * ndim, indexing="ij"), axis=-1).reshape(-1, ndim)
    weights = w
    for _ in range(ndim - 1):
        weights = np.multiply.outer(weights, w)
    return nodes, weights.ravel()
