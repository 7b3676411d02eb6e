"""Edges of a grid along one axis."""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class AxisEdges:
    """Edges along one axis: flat cells a and b = the next one; what follows from them is computed when it is
    asked for."""
    grid: object
    axis: int
    a: np.ndarray
    b: np.ndarray

    @staticmethod
    def of(grid, inside, axis):
        n, d = grid.shape[axis], grid.ndim
        index = np.arange(grid.n_cells).reshape(grid.shape)
        after = np.roll(index, -1, axis)
        cut = tuple(slice(None) if k != axis or grid.periodic[axis] else slice(None, n - 1) for k in range(d))
        a, b = index[cut].ravel(), after[cut].ravel()
        flat = inside.ravel()
        keep = flat[a] & flat[b]
        return AxisEdges(grid, axis, a, b) if keep.all() else AxisEdges(grid, axis, a[keep], b[keep])

    def part(self, keep):
        return AxisEdges(self.grid, self.axis, self.a[keep], self.b[keep])

    @cached_property
    def place(self):
        """Indices of a along each axis."""
        return np.unravel_index(self.a, self.grid.shape)

    @cached_property
    def start(self):
        """Centre of a (ndim, n)."""
        return np.stack([c[p] for c, p in zip(self.grid.centres, self.place)])

    @cached_property
    def length(self):
        return spacings(self.grid, self.axis)[self.place[self.axis]]

    @cached_property
    def area(self):
        """Area of the face between a and b."""
        area = np.ones(self.a.size)
        for k, (w, p) in enumerate(zip(self.grid.widths, self.place)):
            if k != self.axis:
                area = area * w[p]
        return area

    @cached_property
    def across(self):
        """Widths of the face along each axis (ndim, n), 0 along its own."""
        return np.stack([w[p] if k != self.axis else np.zeros(p.size) for k,
                         (w, p) in enumerate(zip(self.grid.widths, self.place))])

    @property
    def step(self):
        """Vector from a to b (ndim, n)."""
        s = np.zeros((self.grid.ndim, self.a.size))
        s[self.axis] = self.length
        return s


def spacings(grid, axis):
    """Distance from each centre of an axis to the next (n,), around the ring for the last."""
    c = grid.centres[axis]
    return np.append(np.diff(c), c[0] + grid.bounds[axis][1] - grid.bounds[axis][0] - c[-1])
