"""What every space scheme starts from: the cells that are states, the exponent, the mobility, and the edges
between neighbours."""
from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...potentials.mobility import Mobility
from ..gibbs.exponent import Exponent
from .edges import AxisEdges

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
    whole : Space or None
        The same without a region, where this one has one: what no region changes is computed there once.
    """
    grid: object
    inside: np.ndarray
    energies: np.ndarray
    exponent: Exponent
    mobility: Mobility
    region: object = None
    whole: object = None

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
    def weight_limit(self):
        """beta (f - f0) above which the landscape has no weight in any rate: `ABOVE` beyond the highest way
        between two wells."""
        if self.whole is not None:
            return self.whole.weight_limit
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

    def with_region(self, region):
        """The same space with another absorbing set."""
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
