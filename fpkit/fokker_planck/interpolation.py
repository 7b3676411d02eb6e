"""Values between the cell centres of a positive field: polynomials of degree 5 on blocks of cells that the field fills.

Of the field or of its logarithm, whichever two degrees agree on better: a passage time is flat in a well and a committor grows like
exp(beta f) below a barrier. Blocks do not reach into regions and walls, where the field has a kink.
"""
from __future__ import annotations

from itertools import product

import numpy as np

AT_ONCE = 2_000_000                # values held at a time


class Interpolant:
    """Field on a grid given by logarithms.

    Parameters
    ----------
    grid : Grid
    log : ndarray, shape grid.shape
        log of the values; -inf where they are 0.
    smooth : bool ndarray, shape grid.shape
        Cells where the equation holds: states outside the regions.
    known : bool ndarray, shape grid.shape
        Cells with a value.
    """

    def __init__(self, grid, log, smooth, known):
        self.grid, self.log, self.smooth, self.known = grid, log, smooth, known

    def __call__(self, points):
        """log of the values at points (n, ndim) and the estimated error of the logarithm."""
        points = np.atleast_2d(np.asarray(points, float))
        out, error = np.full(len(points), np.nan), np.full(len(points), np.inf)
        step = max(1, AT_ONCE // 6 ** self.grid.ndim)
        for k in range(0, len(points), step):
            out[k:k + step], error[k:k + step] = self._some(points[k:k + step])
        return out, error

    def _some(self, x):
        d = self.grid.ndim
        out, error = np.full(len(x), np.nan), np.full(len(x), np.inf)
        todo = np.arange(len(x))
        shifts = sorted(product((0, -1, 1, -2, 2), repeat=d), key=lambda s: sum(abs(a) for a in s))
        for size, shift in [(6, (0,) * d)] + [(4, s) for s in shifts]:
            if not todo.size:
                return out, error
            start = [self._start(k, x[todo, k], size, shift[k]) for k in range(d)]
            fits = np.ones(todo.size, bool)
            for k, s in enumerate(start):
                fits &= self.grid.periodic[k] | (s >= 0) & (s + size <= self.grid.shape[k])
            rows = np.flatnonzero(fits)
            rows = rows[self._block(self.smooth, [s[rows] for s in start], size).all(1)]
            if not rows.size:
                continue
            start, at = [s[rows] for s in start], todo[rows]
            value, spread = self._polynomial(x[at], start, size)
            out[at], error[at] = value, spread
            todo = np.delete(todo, rows)
        for i in todo:
            out[i], error[i] = self._beside(x[i])
        return out, error

    def _start(self, axis, x, size, shift):
        """First cell of a block around x, inside the grid where no shift is asked for."""
        c = self.grid.centres[axis]
        s = np.searchsorted(c, x, side="right") - size // 2 + shift
        if not self.grid.periodic[axis] and shift == 0:
            s = np.clip(s, 0, max(len(c) - size, 0))
        return s

    def _block(self, array, start, size):
        """Values of blocks (n, size^d)."""
        d, n = self.grid.ndim, start[0].size
        index = []
        for k in range(d):
            i = (start[k][:, None] + np.arange(size)) % self.grid.shape[k]
            index.append(i.reshape((n,) + tuple(size if j == k else 1 for j in range(d))))
        return array[tuple(index)].reshape(n, size ** d)

    def _weights(self, axis, x, start, size):
        """Lagrange weights (n, size)."""
        c, n = self.grid.centres[axis], self.grid.shape[axis]
        period = self.grid.bounds[axis][1] - self.grid.bounds[axis][0]
        place = start[:, None] + np.arange(size)
        t = c[place % n] + (place // n) * period
        w = np.ones(t.shape)
        for i in range(size):
            for j in range(size):
                if i != j:
                    w[:, i] *= (x - t[:, j]) / (t[:, i] - t[:, j])
        return w

    def _product(self, x, start, size):
        w = np.ones((len(x), 1))
        for k in range(self.grid.ndim):
            w = (w[:, :, None] * self._weights(k, x[:, k], start[k], size)[:, None, :]).reshape(len(x), -1)
        return w

    def _polynomial(self, x, start, size):
        """log of the better of the two polynomials and how far it is from the one of lower degree on the block's middle."""
        block = self._block(self.log, start, size)
        w = self._product(x, start, size)
        fewer = size - 2 if size > 4 else size - 1
        # the smaller block: nearest to x inside the larger one
        inner = []
        for k in range(self.grid.ndim):
            c, n = self.grid.centres[k], self.grid.shape[k]
            period = self.grid.bounds[k][1] - self.grid.bounds[k][0]
            place = start[k] + (size - fewer) // 2
            if (size - fewer) % 2:
                middle = start[k] + fewer // 2
                place = start[k] + (x[:, k] > c[middle % n] + (middle // n) * period)
            inner.append(place)
        low_block, low_w = self._block(self.log, inner, fewer), self._product(x, inner, fewer)
        top = block.max(1)
        finite = np.isfinite(block).all(1)
        with np.errstate(all="ignore"):
            top = np.where(np.isfinite(top), top, 0.0)
            plain, low_plain = (w * np.exp(block - top[:, None])).sum(1), (low_w * np.exp(low_block - top[:, None])).sum(1)
            by_log, low_log = (w * block).sum(1) - top, (low_w * low_block).sum(1) - top
            change = np.where((plain > 0) & (low_plain > 0), np.abs(np.log(low_plain / plain)), np.inf)
            change_log = np.where(finite, np.abs(by_log - low_log), np.inf)
            takes_log = change_log < change
            value = np.where(takes_log, by_log, np.log(np.maximum(plain, 0.0)))
        return top + value, np.where(takes_log, change_log, change)

    def _beside(self, x):
        """Beside a boundary: linear between the known neighbours, the region's own value included."""
        weights, indices, _ = self.grid.interpolation(x)
        known, log = self.known[tuple(indices.T)], self.log[tuple(indices.T)]
        weights = np.where(known, weights, 0.0)
        if not weights.sum() > 0:
            return np.nan, np.inf
        top = log[known].max()
        if not np.isfinite(top):
            return -np.inf, 0.0
        values = np.where(known, np.exp(log - top), 0.0)
        value = max(float((weights / weights.sum()) @ values), 1e-300)
        return top + np.log(value), float(np.ptp(values[known])) / value / 2
