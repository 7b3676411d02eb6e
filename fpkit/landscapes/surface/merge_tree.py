"""Merge tree of the sublevel sets of a sampled surface, and its basins: the minima, and the saddle where each
is absorbed.

A minimum is a plateau-connected set of valid cells none of whose valid neighbours is strictly lower. Cells
are flooded in ascending order of (value, index); where two components meet, the one with the lower minimum
survives (the elder rule; on a tie the smaller index). Only comparisons and one subtraction are made, so every
number is a sample, bit for bit.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core.views.tables import Tabular
from .cells import neighbour_table, neighbourhood, offsets, on_edge


@dataclass(frozen=True)
class Branch:
    """One branch of a merge tree, from a minimum up to the saddle where it joins a lower one.

    Attributes
    ----------
    index : tuple of int
        [iy, ix] of the minimum ([ix] on a line).
    minimum : float
        Loss there.
    death : float or None
        Loss at the saddle; None for the root of a component.
    saddle_index : tuple of int or None
    parent : int or None
        Place in the tree of the branch that this one joins.
    beside : int or None
        Place of the branch whose minimum the way down from the saddle on the other side ends in.
    """
    index: tuple
    minimum: float
    death: float | None
    saddle_index: tuple | None
    parent: int | None
    beside: int | None = None

    @property
    def persistence(self) -> float:
        """Depth: death - minimum, infinite for a root."""
        return np.inf if self.death is None else self.death - self.minimum


@dataclass(frozen=True)
class Minimum:
    """A grid minimum: place, value, and whether the data end beside it."""
    index: tuple
    value: float
    x: np.ndarray
    persistence: float
    touches_edge: bool
    touches_invalid: bool


class MergeTree(Tabular, Sequence):
    """Branches in ascending order of their minima; `tree[k]`, `len(tree)`, iteration.

    Attributes
    ----------
    branches : tuple of Branch
    neighbours : int
        8 or 4.
    """

    def __init__(self, branches, neighbours, basins):
        self.branches, self.neighbours, self._basins = tuple(branches), neighbours, basins

    def __getitem__(self, k):
        return self.branches[k]

    def __len__(self):
        return len(self.branches)

    @property
    def roots(self) -> tuple[Branch, ...]:
        """The branches that never die, one a component of the valid cells."""
        return tuple(b for b in self.branches if b.death is None)

    def kept(self, persistence: float) -> list[int]:
        """Places in the tree of the branches whose persistence exceeds the given one (roots always do)."""
        return [k for k, b in enumerate(self.branches) if b.death is None or b.persistence > persistence]

    def wells(self, theta: float, factor: float = 3.0) -> tuple[Branch, ...]:
        """Branches that count as wells at temperature `theta`: persistence above `factor` theta."""
        return tuple(self.branches[k] for k in self.kept(factor * theta))

    def basins(self, persistence: float = 0.0) -> np.ndarray:
        """Array of the landscape's shape with the place in the tree of the well that each cell descends to;
        -1 outside.

        Steepest descent to the lowest neighbour; a branch of no more than this persistence belongs to what
        lies beside it, over its saddle.
        """
        return np.append(self.homes(persistence), -1)[self._basins]      # label -1, outside, stays -1

    def homes(self, persistence: float) -> list[int]:
        """For each branch the place of the one of more than this persistence that it belongs to."""
        survivors, home = set(self.kept(persistence)), []
        for k in range(len(self)):
            while k not in survivors:
                k = self.branches[k].beside
            home.append(k)
        return home

    def minima(self, landscape: Any) -> tuple[Minimum, ...]:
        """The minima of the tree as `Minimum`, with flags for the edge of the box and for invalid
        neighbours."""
        edge, beside = on_edge(landscape.shape, landscape.wraps), neighbourhood(~landscape.valid, 8,
                                                                                landscape.wraps)
        return tuple(Minimum(b.index, b.minimum, landscape.point(b.index), b.persistence, bool(edge[b.index]),
                             bool(beside[b.index])) for b in self.branches)

    def _columns(self):
        return {"minimum": [b.minimum for b in self], "index": [" ".join(map(str, b.index)) for b in self],
                "joins_at": [np.nan if b.death is None else b.death for b in self],
                "persistence": [b.persistence for b in self],
                "parent": ["" if b.parent is None else str(b.parent) for b in self]}

    def __repr__(self):
        rows = [f"merge tree, {self.neighbours} neighbours: {len(self)} minima"]
        for b in self.branches[:12]:
            end = ("root" if b.death is None else f"joins at {b.death:.6g} {list(b.saddle_index)}, "
                   f"persistence {b.persistence:.6g}")
            rows.append(f"  {b.minimum:.6g} {list(b.index)} {end}")
        return "\n".join(rows + ["  ..."] * (len(self) > 12))


def merge_tree(loss: ArrayLike, valid: ArrayLike | None = None, neighbours: int = 8,
               wraps: tuple[bool, ...] | None = None) -> MergeTree:
    """Merge tree of a sampled surface.

    Parameters
    ----------
    loss : ndarray, shape (ny, nx) or (nx,)
    valid : ndarray of bool, optional
        Default: the finite cells.
    neighbours : {8, 4}
    wraps : tuple of bool, optional
        For each axis of the array, whether its ends are the same place.

    Returns
    -------
    MergeTree

    Examples
    --------
    >>> tree = merge_tree(np.array([3.0, 0.0, 2.0, 1.0, 4.0]))
    >>> [(b.index, b.minimum, b.death) for b in tree]
    [((1,), 0.0, None), ((3,), 1.0, 2.0)]
    """
    from . import kernels

    loss = np.asarray(loss, float)
    valid = np.isfinite(loss) if valid is None else np.asarray(valid, bool)
    table = neighbour_table(loss.shape, offsets(loss.ndim, neighbours), wraps)
    values = loss.flatten()
    places = np.flatnonzero(valid)
    order = places[np.argsort(values[places], kind="stable")].astype(np.int64)
    birth, death, elder, label = (np.full(values.size, -1, np.int64) for _ in range(4))
    kernels.flood(values, order, table, birth, death, elder)
    kernels.descend(values, order, table, label)
    born = order[birth[order] == 0]                     # ascending by (value, index)
    place_of = {int(cell): k for k, cell in enumerate(born)}
    index_of = lambda cell: tuple(int(i) for i in np.unravel_index(cell, loss.shape))
    lookup = np.full(values.size + 1, -1)               # label -1 reads the last entry
    lookup[born] = np.arange(born.size)
    parent = [None if death[c] < 0 else place_of[int(elder[c])] for c in born]
    basins = lookup[label]
    branches = [Branch(index_of(c), float(values[c]), None if p is None else float(values[death[c]]),
                       None if p is None else index_of(death[c]), p,
                       None if p is None else _beside(k, death[born], parent, values, basins, table))
                for k, (c, p) in enumerate(zip(born, parent))]
    return MergeTree(branches, neighbours, basins.reshape(loss.shape))


def _beside(k, death, parent, values, basins, table):
    """The branch that the way down from the saddle of branch k ends in on the other side, in the part that
    goes on from there; that which k joins where a plateau hides it. What lies strictly below the saddle was
    there before, so that no way leads back to k."""
    saddle = death[k]
    near = table[saddle][table[saddle] >= 0]
    near = near[values[near] < values[saddle]]
    for cell in near[np.argsort(values[near], kind="stable")]:
        found = up = int(basins[cell])
        while up is not None and death[up] != saddle:
            up = parent[up]
        if up is None:
            return found
    return parent[k]
