"""What every space scheme starts from: the cells that are states, the exponent, the mobility, and the edges
between neighbours."""
from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...core.grid import Grid
from ...potentials.mobility import Mobility
from ..gibbs.exponent import Exponent
from .wells import highest_way

ABOVE = 60.0                  # theta: exp(-60) of a rate is nothing


@dataclass(frozen=True, eq=False)
class Coefficients:
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
    whole : Coefficients or None
        The same without a region, where this one has one: what no region changes is computed there once.
    """
    grid: Grid
    inside: np.ndarray
    energies: np.ndarray
    exponent: Exponent
    mobility: Mobility
    region: object = None
    whole: Coefficients | None = None

    @property
    def theta(self):
        return 1 / self.exponent.beta

    @cached_property
    def B(self):
        """beta (f - f0) at the cell centres, flat; +inf outside the domain."""
        if self.whole is not None:
            return self.whole.B
        with np.errstate(all="ignore"):
            b = self.exponent.beta * (self.energies - self.exponent.f0)
        return np.where(self.inside, b, np.inf).ravel()

    @cached_property
    def order(self):
        """Flat cells by B, the lowest first."""
        return self.whole.order if self.whole is not None else np.argsort(self.B, kind="stable")

    @cached_property
    def rank(self):
        """Place of each flat cell in `order`."""
        if self.whole is not None:
            return self.whole.rank
        rank = np.empty_like(self.order)
        rank[self.order] = np.arange(rank.size)
        return rank

    @cached_property
    def known(self):
        """What others have made of this and keep: links by rule (`edge_rules.neighbour_links`), and the
        fractions outside the region."""
        return {}

    @cached_property
    def weight_limit(self):
        """beta (f - f0) above which nothing has weight in a rate: `ABOVE` beyond the highest way between two
        wells."""
        return self.whole.weight_limit if self.whole is not None else highest_way(self) + ABOVE

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

    def with_region(self, region):
        """The same coefficients with another absorbing set."""
        return replace(self, region=region, whole=self.whole or self)

    def without_region(self):
        return self.whole or self

    @cached_property
    def axis_edges(self):
        """One AxisEdges an axis: the pairs of neighbouring inside cells (absorbed ones included)."""
        if self.whole is not None:
            return self.whole.axis_edges
        return [AxisEdges.of(self.grid, self.inside, k) for k in range(self.grid.ndim)]

    def pairs(self, axis):
        """The edges along one axis whose two ends are states."""
        e = self.axis_edges[axis]
        states = self.states.ravel()
        return e if self.region is None else e.part(states[e.a] & states[e.b])

    def centres(self, flat):
        """Centres (ndim, n) of flat cells."""
        return np.stack([c[p] for c, p in zip(self.grid.centres, np.unravel_index(flat, self.grid.shape))])

    def along(self, axis, length):
        """Steps (ndim, n) of the given lengths along one axis."""
        step = np.zeros((self.grid.ndim, len(length)))
        step[axis] = length
        return step


@dataclass(frozen=True, eq=False)
class AxisEdges:
    """Edges along one axis: flat cells a and b = the next one, and what follows from them."""
    grid: Grid
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
        return face_area(self.grid, self.axis, self.place)

    @cached_property
    def across(self):
        """Widths of the face along each axis (ndim, n), 0 along its own."""
        widths = np.stack([w[p] for w, p in zip(self.grid.widths, self.place)])
        widths[self.axis] = 0.0
        return widths

    @property
    def step(self):
        """Vector from a to b (ndim, n)."""
        s = np.zeros((self.grid.ndim, self.a.size))
        s[self.axis] = self.length
        return s


def face_area(grid, axis, place):
    """Area (n,) of the faces across one axis of cells at `place`, one array of indices an axis."""
    area = np.ones(place[0].size)
    for k, (w, p) in enumerate(zip(grid.widths, place)):
        if k != axis:
            area = area * w[p]
    return area


def spacings(grid, axis):
    """Distance from each centre of an axis to the next (n,), around the ring for the last."""
    c = grid.centres[axis]
    return np.append(np.diff(c), c[0] + grid.bounds[axis][1] - grid.bounds[axis][0] - c[-1])
