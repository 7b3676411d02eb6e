"""What every space scheme starts from: the cells that are states, the exponent, the mobility, and the edges between neighbours."""
from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .mobility import Mobility
from .quadrature import Exponent

ABOVE = 60.0                  # theta: exp(-60) of a rate is nothing


@dataclass(frozen=True, eq=False)
class Space:
    """A diffusion at one moment on one grid.

    Attributes
    ----------
    grid : Grid
    inside : bool ndarray, shape grid.shape
        Cells of the domain.
    energies : ndarray, shape grid.shape
        f at the cell centres.
    exponent : Exponent
    mobility : Mobility
    region : Region or None
        The absorbing set.
    """
    grid: object
    inside: np.ndarray
    energies: np.ndarray
    exponent: Exponent
    mobility: Mobility
    region: object = None

    @property
    def theta(self):
        return 1 / self.exponent.beta

    @cached_property
    def B(self):
        """beta (f - f0) at the cell centres, flat; +inf outside the domain."""
        with np.errstate(all="ignore"):
            b = self.exponent.beta * (self.energies - self.exponent.f0)
        return np.where(self.inside, b, np.inf).ravel()

    @cached_property
    def rim(self):
        """beta (f - f0) above which the landscape has no weight in any rate: `ABOVE` beyond the highest way between two wells."""
        from .wells import highest_way
        return highest_way(self) + ABOVE

    @cached_property
    def absorbed(self):
        """Inside cells whose centre lies in the absorbing region, shape grid.shape."""
        if self.region is None:
            return np.zeros(self.grid.shape, bool)
        return self.inside & self.region.contains(self.grid.points)

    @cached_property
    def states(self):
        """Cells that are states of the chain."""
        return self.inside & ~self.absorbed

    def without_region(self):
        return replace(self, region=None)

    @cached_property
    def axis_edges(self):
        """One AxisEdges an axis: the pairs of neighbouring inside cells (absorbed ones included)."""
        return [AxisEdges.of(self.grid, self.inside, k) for k in range(self.grid.ndim)]

    def pairs(self, axis):
        """The edges along one axis whose two ends are states."""
        e = self.axis_edges[axis]
        states = self.states.ravel()
        return e if self.region is None else e.part(states[e.a] & states[e.b])


@dataclass(frozen=True, eq=False)
class AxisEdges:
    """Edges along one axis: flat cells a and b, the point of a (ndim, n), the length to b, the face between them (all flat)."""
    axis: int
    a: np.ndarray
    b: np.ndarray
    start: np.ndarray
    length: np.ndarray
    to_face: np.ndarray
    area: np.ndarray
    across: np.ndarray

    @staticmethod
    def of(grid, inside, axis):
        n, d = grid.shape[axis], grid.ndim
        index = np.arange(grid.n_cells).reshape(grid.shape)
        after = np.roll(index, -1, axis)
        cut = tuple(slice(None) if k != axis or grid.periodic[axis] else slice(None, n - 1) for k in range(d))
        a, b = index[cut].ravel(), after[cut].ravel()
        flat = inside.ravel()
        keep = flat[a] & flat[b]
        if not keep.all():
            a, b = a[keep], b[keep]
        place = np.unravel_index(a, grid.shape)
        c = grid.centres[axis]
        period = grid.bounds[axis][1] - grid.bounds[axis][0]
        lengths = np.append(np.diff(c), c[0] + period - c[-1])
        widths = [w[p] for w, p in zip(grid.widths, place)]
        across = np.stack([w if k != axis else np.zeros_like(w) for k, w in enumerate(widths)])
        area = np.ones(a.size)
        for k, w in enumerate(widths):
            if k != axis:
                area = area * w
        return AxisEdges(axis, a, b, np.stack([g[p] for g, p in zip(grid.centres, place)]), lengths[place[axis]], widths[axis] / 2, area, across)

    def part(self, keep):
        return AxisEdges(self.axis, self.a[keep], self.b[keep], self.start[:, keep], self.length[keep], self.to_face[keep], self.area[keep],
                         self.across[:, keep])

    @property
    def step(self):
        """Vector from a to b (ndim, n)."""
        s = np.zeros_like(self.start)
        s[self.axis] = self.length
        return s
