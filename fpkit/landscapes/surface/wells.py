"""Wells of a landscape: which minima count, their saddles, their basins, and what the samples can say about
them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .cells import neighbourhood, on_edge
from .resampling import can_be_thinned, refined, thinned

N_TEMPERATURES = 12
WELL_FACTOR = 3.0                    # a minimum is a well while its persistence exceeds this many theta
REACH = 2.0                          # times the median height of the surface: higher barriers are walls
DENT = 1e-3  # of the largest persistence that counts: shallower minima are dents in a well
HIGHER = 3.0                         # times REACH for the depth of a minimum that lies within it
GAP, FEWEST_BELOW = 1e3, 8           # a jump of sorted heights that marks what lies above as blown up
SEEN_CELLS = 60_000                  # of the finer surface on which wells are looked for again
RESOLVED_CELLS = 9                   # fewer cells than a 3 x 3 block say nothing about a width


@dataclass(frozen=True, eq=False)
class Well:
    """One well of a landscape.

    Attributes
    ----------
    number : int
        1 for the lowest well, 2 for the next, ...
    index, x, minimum
        [iy, ix] of its lowest cell, the point (x, y) and the loss there.
    saddle_index, saddle_x, saddle
        Where, and at which loss, it joins a lower well; None for the lowest of a component.
    joins : int or None
        Number of the well that it joins there.
    persistence : float
        saddle - minimum, infinite for the lowest of a component.
    n_cells : int
        Cells of its basin (steepest descent, dents merged into it).
    flags : tuple of str
        "touches_edge", "touches_invalid": the lowest cell lies beside the end of the data, so the true
        minimum may be further out. "flat_floor": a sample beside the lowest one is as low, so its place is
        one of several. "n_cells<9": its width is not resolved. "within_noise": its depth is below three
        standard errors of the loss.
    beside : int or None
        Number of the well on the other side of its saddle, which it belongs to at higher temperatures.
    """
    number: int
    index: tuple
    x: np.ndarray
    minimum: float
    saddle_index: tuple | None
    saddle_x: np.ndarray | None
    saddle: float | None
    joins: int | None
    persistence: float
    n_cells: int
    flags: tuple
    beside: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"number": self.number,
                "index": list(self.index), "point": self.x.tolist(), "minimum": self.minimum,
                "saddle_index": None if self.saddle_index is None else list(self.saddle_index),
                "saddle_point": None if self.saddle_x is None else self.saddle_x.tolist(),
                "saddle": self.saddle, "joins": self.joins, "persistence": None if np.isinf(self.persistence)
                else self.persistence, "n_cells": self.n_cells, "flags": list(self.flags)}


def belongs_to(wells, well, numbers):
    """Number of the well among `numbers` that a well belongs to, over the wells beside it; None for none."""
    while well.number not in numbers and well.beside is not None:
        well = wells[well.beside - 1]
    return well.number if well.number in numbers else None


def _is_flat(land, index):
    """Whether a sample beside one is as low as it is."""
    around = tuple(slice(max(i - 1, 0), i + 2) for i in index)
    return int((land.loss[around] == land.loss[index]).sum()) > 1


def _missed(land, index):
    """How far the true minimum may lie below the lowest sample, which is at most half a cell away: an eighth
    of the second differences there, half where they grow with the spacing as those of a kink do (twice and up
    to three times from h to 2 h, not four times); 0 at the end of the data."""
    missed = 0.0
    for axis, i in enumerate(index):
        line = land.loss[(*index[:axis], slice(None), *index[axis + 1:])]
        n, is_ring = line.size, bool(land.wraps and land.wraps[axis])
        if is_ring or 0 < i < n - 1:
            bend = line[i - 1] + line[(i + 1) % n] - 2 * line[i]
            wide = line[i - 2] + line[(i + 2) % n] - 2 * line[i] if is_ring or 1 < i < n - 2 else np.inf
            missed += float(bend) / (2 if wide < 3.4 * bend else 8) if np.isfinite(bend) else 0.0
    return missed


@dataclass(frozen=True)
class Again:
    """Wells on another surface through the same samples: how many, the largest relative change of a depth
    (also by what may lie between the samples), and which surface."""
    count: int
    change: float
    how: str


def seen_again(land, wells, theta):
    """`Again`: wells at temperature `theta` on a smooth surface with samples in between, or on every second
    sample where there are very many; as they are where that cannot be made."""
    if not land.is_uniform or min(land.shape) < 5:
        return Again(len(wells), np.inf, "no other surface")
    factor = next((k for k in (4, 2) if land.loss.size * k**land.ndim <= SEEN_CELLS), 0)
    depths = np.sort([w.persistence for w in wells if np.isfinite(w.persistence)])

    def changed(other):
        """(number of wells of another surface, largest change of a depth; inf where they are not as many)."""
        tree = other.merge_tree()
        kept = [tree[k].persistence for k in tree.kept(max(WELL_FACTOR * theta, land.noise.depth))]
        found = np.sort([d for d in kept if np.isfinite(d)])
        return len(kept), (float(np.abs(found / depths - 1).max(initial=0.0)) if found.size == depths.size
                           else np.inf)

    count, change = changed(refined(land, factor, is_smooth=True) if factor else thinned(land, 2))
    if factor and can_be_thinned(land):
        # cusps are lost between the samples, which no smooth surface shows: halves of a first order
        coarse = changed(thinned(land, 2))[1] / 2
        change = max(change, coarse if np.isfinite(coarse) else 0.0)
    if depths.size:
        change = max(change, *(_missed(land, w.index) / min(w.persistence, depths[-1]) for w in wells))
    return Again(count, float(change), f"a smooth surface with {factor} times as many samples an axis"
                 if factor else "the surface of every second sample")


def counted_depths(land, tree):
    """Finite persistences that say something about temperature, ascending.

    Left out are barriers and minima beyond `reach_of` (on real surfaces the loss grows to 1e8 and 1e35 at the
    rim, where a hollow is 'deep' at no temperature of interest), dents of less than a thousandth of the rest,
    and what may be noise.
    """
    reach = reach_of(land)
    lowest = tree[0].minimum if len(tree) else 0.0
    # a solution as low as the others counts even where its way out is somewhat higher
    depths = sorted(b.persistence for b in tree if b.persistence <= HIGHER * reach
                    and b.minimum - lowest <= reach)
    return [d for d in depths if d > max(DENT * depths[-1], land.noise.depth)]


def reach_of(land):
    """Height above the lowest sample up to which depths and minima say something about temperature: twice the
    median height, where blown-up losses (beyond a gap of three decades) do not count."""
    heights = np.sort(land.loss[land.valid] - land.loss[land.minimum_index])
    heights = heights[heights > 0]
    if not heights.size:
        return 0.0
    gaps = np.flatnonzero(heights[1:] > GAP * heights[:-1])
    gaps = gaps[(gaps >= FEWEST_BELOW) & (heights[gaps] > 0)]
    n_zero = land.n_valid - heights.size
    usual = heights[:gaps[0] + 1] if gaps.size else heights
    return REACH * float(np.quantile(np.r_[np.zeros(n_zero), usual], 0.5))


def default_temperatures(land, tree):
    """A dozen temperatures for a landscape and the sentence that says where they come from."""
    depths = counted_depths(land, tree)
    if depths:
        low, high = depths[0] / 10, depths[-1] / 3
        said = (f"from a tenth of the smallest depth of a well that counts ({depths[0]:.4g}) to a third of "
                f"the largest ({depths[-1]:.4g})")
    else:
        height = min(land.height(0.25), reach_of(land)) or reach_of(land) or land.height(1.0) or 1.0
        low, high = height / 100, height / 3
        said = ("one well and no barrier: from a hundredth to a third of the height of the lower quartile "
                f"of the surface ({height:.4g})")
    return np.geomspace(low, high, N_TEMPERATURES), said


def find_wells(land, tree, theta):
    """Wells at temperature `theta` and the basin of each: (wells, array with the place of the well of each
    cell, -1 outside).

    Wells are the branches with persistence above 3 theta and above the noise; shallower ones belong to the
    well that they drain into.
    """
    least = max(WELL_FACTOR * theta, land.noise.depth)
    kept = tree.kept(least)
    place = {k: n for n, k in enumerate(kept)}
    basins, homes = tree.basins(least), tree.homes(least)
    numbered = np.full(len(tree) + 1, -1)
    for k, n in place.items():
        numbered[k] = n
    basins = numbered[basins]
    edge, beside = on_edge(land.shape, land.wraps), neighbourhood(~land.valid, 8, land.wraps)
    sizes = np.bincount(basins[basins >= 0], minlength=len(kept))
    wells = []
    for n, k in enumerate(kept):
        b = tree[k]
        flags = []
        if edge[b.index]:
            flags.append("touches_edge")
        if beside[b.index]:
            flags.append("touches_invalid")
        if _is_flat(land, b.index):
            flags.append("flat_floor")
        if sizes[n] < RESOLVED_CELLS:
            flags.append("n_cells<9")
        if land.loss_stderr is not None and b.death is not None:
            noise = np.hypot(land.loss_stderr[b.index], land.loss_stderr[b.saddle_index])
            if np.isfinite(noise) and b.persistence < 3 * noise:
                flags.append("within_noise")
        has_saddle = b.death is not None
        wells.append(Well(n + 1, b.index, land.point(b.index), b.minimum, b.saddle_index,
                          land.point(b.saddle_index) if has_saddle else None, b.death, place[b.parent] + 1
                          if has_saddle else None, b.persistence, int(sizes[n]), tuple(flags),
                          place[homes[b.beside]] + 1 if has_saddle else None))
    return tuple(wells), basins
