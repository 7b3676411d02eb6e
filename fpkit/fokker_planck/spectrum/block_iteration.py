"""Lowest eigenpairs on large grids by block iteration (LOBPCG [1]_) with a cycle of multigrid.

The preconditioner solves (K + ground + sigma m) z = r roughly, sigma near the second eigenvalue: K alone is
singular. The start comes from the grid of half the cells. The error of an eigenvalue is quadratic in the
residual r of its function, at most about r' z (g + sigma) / (lambda (g - lambda)), g the value of a guard
above those that are wanted [1]_: residuals of 1e-4 do for nine digits.

References
----------
.. [1] A. V. Knyazev, SIAM J. Sci. Comput. 23, 517 (2001).
"""
from __future__ import annotations

import numpy as np

from ..solvers.aggregation import AggregationMultigrid
from ..solvers.multigrid import StructuredMultigrid

TOLERANCE = 1e-9                           # estimated relative error of the eigenvalues that are wanted
ACCEPTED = 1e-8                            # the same, after so many steps
STEPS = 80
GUARDS = (1, 8)  # at least and at most: wells of one kind have fast modes in clusters
CHUNK = 4096                             # cells whose functions are combined at once
INDEPENDENT = 1e-13                        # of the directions of a block
SLOWEST = 1e-6                             # relative: what takes part in estimates


class NotConverged(ValueError):
    """The block iteration has not reached its tolerance."""


def lowest_block(space, start, wanted, sigma, known):
    """The `wanted` lowest eigenvalues (on the scale of `space`) besides those of `known`, and functions.

    Parameters
    ----------
    space : CellSpace or GraphSpace
    start : ndarray (q, n), q >= wanted
        What is more than `wanted` are guards.
    sigma : float
        Shift of the preconditioner.
    known : ndarray (a, n)
        Functions to keep out.
    """
    a, q = len(known), len(start)
    S = np.concatenate([known, start, np.empty((2 * q, start.shape[1]))])
    space.prepare(sigma)
    values, Y = _ritz(space, S[:a + q], a, q)
    S[a:a + q] = Y.T @ S[:a + q]
    filled = a + 2 * q
    for _ in range(STEPS):
        error = np.empty(q)
        for k in range(q):
            r = space.residual(S[a + k], values[k])
            S[a + q + k] = z = space.preconditioned(r)
            error[k] = abs(r @ z)
        guard = values[-1]
        room = np.maximum(guard - values, 1e-3 * guard)
        error *= (guard + sigma) / (room * np.maximum(values, SLOWEST * guard))
        if (error[:wanted] <= TOLERANCE).all():
            return values[:wanted], S[a:a + wanted]
        values, Y = _ritz(space, S[:filled], a, q)
        _combine(S, Y, a, q, filled)
        filled = a + 3 * q
    if (error[:wanted] <= ACCEPTED).all():
        return values[:wanted], S[a:a + wanted]
    raise NotConverged


def _ritz(space, S, a, q):
    """The q lowest Ritz values on the rows of S beside the first a, and their coefficients (len(S), q)."""
    from scipy.linalg import eigh
    K, M = space.grams(S)
    B = np.eye(len(S))[:, a:]
    if a:                                      # what is known is taken out by coefficients
        B[:a] = -np.linalg.solve(M[:a, :a], M[:a, a:])
    K, M = B.T @ K @ B, B.T @ M @ B
    scale = 1 / np.sqrt(np.maximum(np.diag(M), np.finfo(float).tiny))
    K, M = K * scale[:, None] * scale, M * scale[:, None] * scale
    if not (np.isfinite(K).all() and np.isfinite(M).all()):
        raise NotConverged
    weights, U = eigh(M)
    is_free = weights > INDEPENDENT * weights[-1]
    if is_free.sum() < q:
        raise NotConverged
    G = U[:, is_free] / np.sqrt(weights[is_free])
    values, Y = eigh(G.T @ K @ G)
    return values[:q], B @ (scale[:, None] * (G @ Y[:, :q]))


def _combine(S, Y, a, q, filled):
    """Rows of S become the new functions and, behind the corrections, their change; in place."""
    for at in range(0, S.shape[1], CHUNK):
        part = S[:, at:at + CHUNK]
        change = Y[a + q:].T @ part[a + q:filled]
        part[a:a + q] = Y[:a + q].T @ part[:a + q] + change
        part[a + 2 * q:] = change


class CellSpace:
    """Functions on the cells of a grid whose chain links neighbours: `out` (a `KilledChain`), its connected
    `part` of the states, and masses m of the states (n,)."""

    def __init__(self, out, part, m, ground):
        self.out, self.shape = out, out.grid.shape
        self.laplacian, is_all = out.laplacian, part.all()
        self.c = self.laplacian.links
        if not is_all:                # links from other parts, which lead to none of this one
            self.c = np.where(out.on_cells(part, False), self.c, 0.0)
        self.m = np.ascontiguousarray(out.on_cells(m))
        self.ground = np.ascontiguousarray(out.on_cells(np.where(part, ground, 0.0)))
        self.lone = 1.0 - out.on_cells(part, False)
        self.room = np.empty(self.m.size)

    def of_states(self, v):
        """Functions (..., n) of the states on all cells."""
        return self.out.on_cells(v)

    def to_states(self, v):
        return v if self.out.n == self.m.size else v[..., self.out.ids]

    def prepare(self, sigma):
        self.levels = StructuredMultigrid(self.shape, self.c, self.ground + self.lone + sigma * self.m)

    def preconditioned(self, r):
        return self.levels.cycle(r)

    def residual(self, x, value):
        from ..solvers.multigrid_kernels import product
        r = np.empty(x.size)
        np.multiply(self.m, -value, out=self.room)
        self.room += self.ground
        product(self.laplacian.shape, self.c, self.room, x, r)
        return r

    def grams(self, S):
        from .block_kernels import grams
        p = len(S)
        K, M = np.zeros((2, p + p % 2, p + p % 2))
        grams(self.laplacian.shape, self.c, self.ground, self.m, S, K, M)
        K, M = np.tril(K[:p, :p]), np.tril(M[:p, :p])
        return K + np.tril(K, -1).T, M + np.tril(M, -1).T


class GraphSpace:
    """The same for any chain, on its states."""

    def __init__(self, out, part, m, ground):
        self.out, self.part, self.m = out, part, m
        self.ground = np.where(part, ground, 0.0)
        self.c = np.where(part[out.I], out.c, 0.0)

    def of_states(self, v):
        return v

    to_states = of_states

    def prepare(self, sigma):
        from scipy.sparse import csr_matrix
        out, n = self.out, self.out.n
        I, J = out.I, out.J
        ground = self.ground + sigma * self.m
        degree = np.bincount(I, self.c, n) + np.bincount(J, self.c, n) + ground
        kept = np.flatnonzero(self.part & (degree > 0))
        # in units of the square root of the diagonal all entries are of order one
        self.root, self.kept = np.sqrt(degree[kept]), kept
        k, scale = np.arange(n), 1 / np.sqrt(np.where(degree > 0, degree, 1.0))
        off = -self.c * scale[I] * scale[J]
        A = csr_matrix((np.r_[off, off, np.ones(n)], (np.r_[I, J, k], np.r_[J, I, k])), shape=(n, n))
        self.levels = AggregationMultigrid(A[kept][:, kept].tocsr(), self.root.copy(), out.ids[kept],
                                           out.grid.shape)

    def preconditioned(self, r):
        z = np.zeros(r.size)
        z[self.kept] = self.levels.cycle(r[self.kept] / self.root) / self.root
        return z

    def residual(self, x, value):
        flow = self.c * (x[self.out.I] - x[self.out.J])
        return (np.bincount(self.out.I, flow, x.size) - np.bincount(self.out.J, flow, x.size)
                + (self.ground - value * self.m) * x)

    def grams(self, S):
        d = S[:, self.out.I] - S[:, self.out.J]
        return (self.c * d) @ d.T + (self.ground * S) @ S.T, (self.m * S) @ S.T


def interpolated(functions, coarse, fine, cells):
    """Functions (q, *coarse.shape), NaN where they are not known, on some cells of a finer grid (q, n): cubic
    along each axis where all cells are known, linear in those that are elsewhere."""
    is_known = np.isfinite(functions[0]).astype(float)
    values = np.where(is_known > 0, functions, 0.0)
    cubic, linear = [[_weights(c, f, L, at, n) for c, f, L, at in zip(
        coarse.centres, fine.centres, np.diff(coarse.bounds).ravel(), coarse.periodic)] for n in (4, 2)]
    if is_known.all():
        low = np.array([_applied(cubic, v) for v in values])
    else:
        share = _applied(linear, is_known)
        low = np.array([_applied(linear, v) for v in values]) / np.where(share > 0, share, 1.0)
        is_whole = _applied([abs(w) for w in cubic], 1 - is_known) == 0
        low = np.where(is_whole, np.array([_applied(cubic, v) for v in values]), low)
    return low.reshape(len(values), -1)[:, cells]


def _weights(coarse, fine, length, is_periodic, n):
    """Sparse matrix of Lagrange's interpolation through the n nearest centres along an axis."""
    from scipy.sparse import csr_matrix
    count = coarse.size
    n = min(n, count)
    if is_periodic:
        knots = np.r_[coarse - length, coarse, coarse + length]
    else:
        knots = coarse
    first = np.clip(np.searchsorted(knots, fine) - n // 2, 0, knots.size - n)
    at = first[:, None] + np.arange(n)
    x = knots[at]
    weights = np.ones((fine.size, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                weights[:, i] *= (fine - x[:, j]) / (x[:, i] - x[:, j])
    rows = np.repeat(np.arange(fine.size), n)
    return csr_matrix((weights.ravel(), (rows, (at % count).ravel())), shape=(fine.size, count))


def _applied(weights, v):
    for axis, W in enumerate(weights):
        moved = np.moveaxis(v, axis, 0)
        v = np.moveaxis((W @ moved.reshape(moved.shape[0], -1)).reshape(-1, *moved.shape[1:]), 0, axis)
    return v
