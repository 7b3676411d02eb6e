"""Conjugate gradients with a K-cycle, and its levels for chains of neighbouring cells on a grid.

Blocks of 2^d cells become one, with the sums of their links and grounds: every level is again a chain of
neighbours on a grid. One Gauss-Seidel sweep forward before and one backward after; on the coarse levels two
steps of flexible conjugate gradients (K-cycle [1]_), so that the number of iterations does not grow with the
grid. The rows of cut cells (`shortley_weller`) make the system slightly unsymmetric; they enter the residual
and not the levels.

References
----------
.. [1] Y. Notay, Electron. Trans. Numer. Anal. 37, 123 (2010).
"""
from __future__ import annotations

import numpy as np

from ...core.interruption import stop_if_pressed
from . import multigrid_kernels as kernels
from .elimination import Elimination, Ordering

DIRECT = 512                               # cells up to which a level is eliminated
MAX_ITERATIONS = 200
ENOUGH = 0.25                              # residual on a coarse level after which a second step is left out


class KCycle:
    """Flexible conjugate gradients for A x = b, preconditioned by a K-cycle over levels 0 (fine) to `last`.

    A kind of multigrid sets `weights`, an array a level for the norms of residuals, and gives
    `product(k, x)` = A x, `relaxed(k, b)` = (x after a sweep from 0, residual on level k + 1),
    `corrected(k, b, x, e)` = x and the correction e of level k + 1, swept backwards, and `direct(b)`, the
    solution on the last level.
    """

    @property
    def last(self):
        return len(self.weights) - 1

    def size(self, b):
        """|b|, the norm of residuals."""
        return float(np.sqrt(kernels.weighted(self.weights[0], b, b)))

    def solve(self, b, tolerance, excess=None, size=None):
        """x with |b - A x| <= tolerance size, by default |b|, and the residual that was reached over size.

        `excess(x)` is what else the rows have, added to A x.
        """
        w, x, r = self.weights[0], np.zeros(b.size), np.array(b)
        rest = self.size(r)
        size = rest if size is None else size
        if not rest > tolerance * size:
            return x, float(rest / size) if size > 0 else 0.0
        before, q_before, curvature, reached = np.zeros(b.size), np.zeros(b.size), 1.0, rest / size
        for _ in range(MAX_ITERATIONS):
            stop_if_pressed()
            p = self.cycle(r)
            q = self.product(0, p)
            if excess is not None:
                q += excess(p)
            # the direction before this one sees nothing of it: what it took out of the residual stays out,
            # also when A is unsymmetric
            curvature = kernels.clear(kernels.inner(before, q) / curvature, before, q_before, p, q)
            if not curvature > 0 or not np.isfinite(curvature):
                break
            reached = np.sqrt(kernels.step(kernels.inner(p, r) / curvature, p, q, w, x, r)) / size
            if reached <= tolerance:
                break
            before, q_before = p, q
        return x, float(reached)

    def cycle(self, b, k=0):
        """A rough solution of A x = b on level k: what preconditions."""
        if k == self.last:
            return self.direct(b)
        x, r = self.relaxed(k, b)
        return self.corrected(k, b, x, self._coarse(k + 1, r))

    def _coarse(self, k, r):
        """Two steps of flexible conjugate gradients on level k, one where it is enough and on the last."""
        e = self.cycle(r, k)
        if k == self.last:
            return e
        w, q = self.weights[k], self.product(k, e)
        eq = kernels.inner(e, q)
        if not eq > 0:
            return e
        a = kernels.inner(e, r) / eq
        e *= a
        q *= a
        rest = r - q
        if kernels.weighted(w, rest, rest) <= ENOUGH**2 * kernels.weighted(w, r, r):
            return e
        d = self.cycle(rest, k)
        t = self.product(k, d)
        norm = kernels.clear(kernels.inner(q, d) / (a * a * eq), e, q, d, t)
        if norm > 0:
            d *= kernels.inner(d, rest) / norm
            e += d
        return e


class StructuredMultigrid(KCycle):
    """Levels of a chain on a grid; norms are weighted by the inverse diagonal.

    Parameters
    ----------
    shape : tuple of int
        One to three axes.
    links : ndarray (ndim, n_cells)
        Conductance to the next cell along each axis, around a ring from the last one.
    ground : ndarray (n_cells,)
    """

    def __init__(self, shape, links, ground):
        lead = 3 - len(shape)
        c = np.concatenate([np.zeros((lead, ground.size)), links]) if lead else np.ascontiguousarray(links)
        shape, g = np.array((1,) * lead + tuple(shape)), np.ascontiguousarray(ground, float)
        self.levels, self.weights = [], []
        while True:
            weights = np.empty(g.size)
            kernels.diagonal(shape, c, g, weights)
            self.levels.append((shape, c, g))
            self.weights.append(weights)
            if g.size <= DIRECT:
                break
            coarse = (shape + 1) // 2
            C, G = np.zeros((3, coarse.prod())), np.zeros(coarse.prod())
            kernels.coarsen(shape, c, g, coarse, C, G)
            shape, c, g = coarse, C, G
        self.factors = self._factors()

    def _factors(self):
        """Elimination of the last level without subtraction: blocks may hang together by links that are any
        number of decades apart."""
        shape, c, g = self.levels[-1]
        index, edges = np.arange(g.size).reshape(shape), []
        for axis in range(3):
            i, j = index.ravel(), np.roll(index, -1, axis).ravel()
            at = np.flatnonzero(c[axis] > 0)
            edges.append((i[at], j[at], c[axis, at]))
        I, J, links = (np.concatenate(part) for part in zip(*edges))
        lone = np.where(self.weights[-1] > 0, g, 1.0)              # cells that take no part
        return Elimination(Ordering(np.array(np.unravel_index(index.ravel(), shape)), I, J), links, lone)

    def direct(self, b):
        return self.factors.solve_signed(b[None])[0]

    def product(self, k, x):
        out = np.empty(x.size)
        kernels.product(*self.levels[k], x, out)
        return out

    def relaxed(self, k, b):
        shape, c, _ = self.levels[k]
        x, r = np.zeros(b.size), np.empty(self.weights[k + 1].size)
        kernels.smooth_from_zero(shape, c, self.weights[k], b, x)
        kernels.restrict_after(shape, c, x, self.levels[k + 1][0], r)
        return x, r

    def corrected(self, k, b, x, e):
        shape, c, _ = self.levels[k]
        kernels.correct_and_smooth(shape, c, self.weights[k], b, self.levels[k + 1][0], e, x)
        return x
