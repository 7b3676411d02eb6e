"""Values between the cell centres of a positive field: polynomials of degree 5 on blocks of cells that the
field fills.

Of the field or of its logarithm, whichever has the smaller remainder: a passage time is flat in a well and a
committor grows like exp(beta f) below a barrier. Blocks do not reach into regions and walls, where the field
has a kink.

With logarithms alone, which would save the choice between kinds, tests of the stated errors fail.
"""
from __future__ import annotations

from itertools import product

import numpy as np

WIDE, NARROW = 6, 4                # cells of a block along each axis
AT_ONCE = 2_000_000                # values held at a time
# of the estimated error of a polynomial, which in nine cases of ten lies between a tenth and 3 times the true
# one
SAFETY = 10.0
REACH = 5.0  # cells from where the field vanishes within which the distance to it is made use of
FACTORIAL = {4: 12.0, 6: 720.0, 8: 40320.0}    # of the number of nodes, half of it for small blocks


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
    zero : Region, optional
        Where the field vanishes, as the distance to it does.
    """

    def __init__(self, grid, log, smooth, known, zero=None):
        self.grid, self.log, self.smooth, self.known = grid, log, smooth, known
        self.zero = zero if zero is not None and zero.has_distance else None
        if self.zero is not None:
            with np.errstate(all="ignore"):
                self.log_distance = np.log(zero.signed_distance(grid.points))
            self.reach = REACH * max(w.max() for w in grid.widths)

    def __call__(self, points, is_judged=True):
        """log of the values at points (n, ndim) and the estimated error of the logarithm, a rough one where
        it is not to be judged."""
        points = np.atleast_2d(np.asarray(points, float))
        out, error = np.full(len(points), np.nan), np.full(len(points), np.inf)
        step = max(1, AT_ONCE // WIDE ** self.grid.ndim)
        for k in range(0, len(points), step):
            out[k:k + step], error[k:k + step] = self._some(points[k:k + step], is_judged)
        return out, error

    def at_centres(self, grid, at, has_spread=False):
        """log of the values at the centres of the flat cells `at` of another grid in the same box, and how
        far two degrees differ (0 unless asked for).

        By the same blocks, of logarithms only, along one axis after the other, which costs six times the
        number of axes for each cell and not six to their power; blocks that reach into a region or a wall are
        left to the call above.
        """
        log, spread = np.full(at.size, np.nan), np.zeros(at.size)
        if min(self.grid.shape) >= WIDE:
            values, is_smooth = self._along_axes(grid, WIDE)
            log = np.where(is_smooth.ravel()[at], values.ravel()[at], np.nan)
            if has_spread:
                spread = np.abs(log - self._along_axes(grid, NARROW)[0].ravel()[at])
        missing = np.flatnonzero(np.isnan(log))
        if missing.size:
            points = grid.points.reshape(-1, grid.ndim)[at[missing]]
            log[missing], spread[missing] = self(points, is_judged=False)
        return log, spread

    def _along_axes(self, grid, size):
        """log of the values (grid.shape), and whether all cells they are made of are smooth."""
        values, is_smooth = np.where(self.smooth, self.log, 0.0), self.smooth
        for axis, (x, n) in enumerate(zip(grid.centres, self.grid.shape)):
            start = self._start(axis, x, size, 0)
            weights = self._weights(axis, x, start, size)
            shape = [-1 if a == axis else 1 for a in range(grid.ndim)]
            total, every = 0.0, True
            for k in range(size):
                cells = (start + k) % n
                # inf - inf where values left the range of floats; such cells go to the call above
                with np.errstate(invalid="ignore"):
                    total = total + weights[:, k].reshape(shape) * np.take(values, cells, axis)
                every = every & np.take(is_smooth, cells, axis)
            values, is_smooth = total, every
        return values, is_smooth

    def _some(self, x, is_judged):
        d = self.grid.ndim
        out, error = np.full(len(x), np.nan), np.full(len(x), np.inf)
        todo = np.arange(len(x))
        shifts = sorted(product((0, -1, 1, -2, 2), repeat=d), key=lambda s: sum(abs(a) for a in s))
        for size, shift in [(WIDE, (0,) * d)] + [(NARROW, s) for s in shifts]:
            if not todo.size:
                return out, error
            start = [self._start(k, x[todo, k], size, shift[k]) for k in range(d)]
            rows = self._fitting(start, size)
            if rows.size:
                at = todo[rows]
                out[at], error[at] = self._polynomial(x[at], [s[rows] for s in start], size, is_judged)
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

    def _fitting(self, start, size):
        """Which of the blocks lie in the grid and hold smooth cells only."""
        fits = np.ones(start[0].size, bool)
        for s, n, is_ring in zip(start, self.grid.shape, self.grid.periodic):
            fits &= is_ring | (s >= 0) & (s + size <= n)
        rows = np.flatnonzero(fits)
        return rows[self._block(self.smooth, [s[rows] for s in start], size).all(1)]

    def _block(self, array, start, size):
        """Values of blocks (n, size^d)."""
        d, n = self.grid.ndim, start[0].size
        index = []
        for k in range(d):
            i = (start[k][:, None] + np.arange(size)) % self.grid.shape[k]
            index.append(i.reshape((n,) + tuple(size if j == k else 1 for j in range(d))))
        return array[tuple(index)].reshape(n, size ** d)

    def _nodes(self, axis, start, size):
        """Cell centres of blocks along an axis (n, size), around on a ring."""
        c, n = self.grid.centres[axis], self.grid.shape[axis]
        period = self.grid.bounds[axis][1] - self.grid.bounds[axis][0]
        place = start[:, None] + np.arange(size)
        return c[place % n] + (place // n) * period

    def _weights(self, axis, x, start, size):
        """Lagrange weights (n, size)."""
        t = self._nodes(axis, start, size)
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

    def _polynomial(self, x, start, size, is_judged):
        """log of the best polynomial, and the estimated error of the logarithm: through values or logarithms,
        near where the field vanishes also of the field over the distance to that place.
        """
        value, error = np.empty(len(x)), np.empty(len(x))
        near = np.zeros(len(x), bool) if self.zero is None else self.zero.signed_distance(x) < self.reach
        for is_near in (False, True):
            rows = np.flatnonzero(near == is_near)
            if rows.size:
                value[rows], error[rows] = self._best(x[rows], [s[rows] for s in start], size, is_near,
                                                      is_judged)
        return value, error

    def _best(self, x, start, size, is_near, is_judged):
        """log of the kind of polynomial with the smallest remainder, and its error."""
        values, rest = self._kinds(x, start, size, is_near)
        best, every = rest.argmin(0), np.arange(len(x))
        value, error = values[best, every], rest[best, every]
        if not is_judged:
            return value, error
        # where two more nodes fit their polynomial is nearer to the truth: the change to it and its own
        # remainder bound the error
        todo = every
        for shift in product((1, 0, 2), repeat=self.grid.ndim):
            wider = [s[todo] - k for s, k in zip(start, shift)]
            rows = self._fitting(wider, size + 2)
            if not rows.size:
                continue
            at = todo[rows]
            values, rest = self._kinds(x[at], [s[rows] for s in wider], size + 2, is_near)
            with np.errstate(all="ignore"):
                pick = best[at], np.arange(at.size)
                wide = 2 * np.abs(values[pick] - value[at]) + rest[pick]
            error[at] = np.where(np.isfinite(wide), wide, error[at])
            todo = np.delete(todo, rows)
            if not todo.size:
                break
        return value, error

    def _kinds(self, x, start, size, is_near):
        """Logs of the polynomials of each kind at x, and their remainders (2 or 4, n)."""
        block, w = self._block(self.log, start, size), self._product(x, start, size)
        logs, rest = self._two(block, w, x, start, size)
        if not is_near:
            return logs, rest
        with np.errstate(all="ignore"):
            over, spread = self._two(block - self._block(self.log_distance, start, size), w, x, start, size)
            over += np.log(self.zero.signed_distance(x))
        return np.concatenate([logs, over]), np.concatenate([rest, spread])

    def _two(self, block, w, x, start, size):
        """Polynomials through exp(block) and through block: their logs and remainders (2, n)."""
        top = block.max(1)
        with np.errstate(all="ignore"):
            top = np.where(np.isfinite(top), top, 0.0)
            values = np.exp(block - top[:, None])
            plain = (w * values).sum(1)
            logs = np.stack([top + np.log(np.maximum(plain, 0.0)), (w * block).sum(1)])
            rest = np.stack([self._remainder(values, x, start, size) / np.maximum(plain, 0.0),
                             self._remainder(block, x, start, size)])
        return logs, np.where(np.isfinite(logs), np.nan_to_num(rest, nan=np.inf), np.inf)

    def _remainder(self, block, x, start, size):
        """Estimated error of the polynomials through blocks (n, size^d): the first derivative that they lack
        is guessed from the differences.

        Of the differences of the last two orders and of the two before the larger ones count, and of all
        lines of a block along an axis: one alone may vanish by accident.
        """
        d, total = self.grid.ndim, 0.0
        cube = block.reshape((len(x),) + (size,) * d)
        for k in range(d):
            lines, largest = np.moveaxis(cube, k + 1, -1).reshape(len(x), -1, size), []
            for _ in range(size - 1):
                lines = np.diff(lines, axis=2)
                largest.append(np.abs(lines).max((1, 2)))
            lacking = np.maximum(largest[-1], largest[-2])
            # a small block lies beside a boundary, and x often beyond its nodes: no decay is counted on
            if size > NARROW:
                before = np.maximum(largest[-3], largest[-4])
                lacking = np.where(before > 0, lacking * lacking / before, 0.0)
            total = total + np.abs(np.prod(self._places(k, x[:, k], start[k], size),
                                           axis=1)) / FACTORIAL[size] * lacking
        return SAFETY * total

    def _places(self, axis, x, start, size):
        """Distances from x to the nodes of a block, in widths of a cell (n, size)."""
        t = self._nodes(axis, start, size)
        return (x[:, None] - t) * (size - 1) / (t[:, -1:] - t[:, :1])

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
