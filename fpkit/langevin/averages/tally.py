"""Streaming statistics of an ensemble: snapshots go in, sums come out, no path is stored."""
from __future__ import annotations

import numpy as np

from ...core import checks
from ...potentials.regions import Region
from ..dynamics.ensemble import thread_count
from .batch_means import MANY, BatchMeans, bound_factor
from .tally_kernels import Cells, Groups, Sums, accumulate, no_value

GROUPS = 64                   # independent groups of walkers kept apart for the errors of averages
STRANDS = 32                  # groups of them that have a histogram of their own, for the error of each cell
HISTOGRAM_NUMBERS = 1 << 24   # 128 MB of counters at most
LANES = 64
MAX_COORDINATES = 32          # covariances above this many coordinates would cost more than the paths


class Accumulators:
    """Sums over snapshots (n_snapshots, ndim, n_paths): histogram, moments, energy, regions, transitions, own
    observables.

    The bits depend on the snapshots alone, not on threads or on the portions they come in. Walkers are taken
    as independent chains; `BatchMeans` keeps groups of them, and batches of time when there are few.

    Parameters
    ----------
    potential : Potential
        For the energy.
    n_paths : int
    shift : ndarray (ndim,)
        A point near the walkers, taken off before summing (against cancellation; the results do not change).
    grid : Grid, optional
        Cells of the histogram.
    regions : dict of str to Region, optional
        Occupancies, and transitions between them (seen at snapshots only).
    observables : dict of str to callable, optional
        ``observable(points (n_paths, ndim)) -> (n_paths,)``.
    n_threads : int, optional
    marginal : tuple of int, optional
        The coordinate that each axis of the histogram shows; default: all, in their order.
    strands : (first, last), optional
        Only these strands of the `n_paths`: the share of one worker of many.
    """

    def __init__(self, potential, n_paths, shift, grid=None, regions=None, observables=None, n_threads=None,
                 strands=None, marginal=None):
        self.potential, self.n_paths, self.grid = potential, n_paths, grid
        self.ndim = potential.ndim
        self.regions, self.observables = dict(regions or {}), dict(observables or {})
        self.n_threads = n_threads
        # larger groups cost less a walker
        n_groups = min(n_paths, max(GROUPS // 2, min(GROUPS, n_paths // 32)))
        self.groups = np.arange(n_groups + 1) * n_paths // n_groups
        self.lanes = int(min(LANES, np.diff(self.groups).max()))
        n_cells = grid.n_cells if grid is not None else 0
        n_strands = int(min(n_groups, STRANDS, max(4, HISTOGRAM_NUMBERS // max(n_cells, 1))))
        self.strands = np.arange(n_strands + 1) * n_groups // n_strands
        # few strands: several slots of time besides, joined in pairs when full
        has_slots = n_strands < MANY and 0 < n_cells * 32 <= HISTOGRAM_NUMBERS
        self.n_slots = 2 * -(-MANY // n_strands) if has_slots else 1
        if strands is not None:
            first, last = self.strands[list(strands)]
            self.strands = self.strands[strands[0]: strands[1] + 1] - first
            self.groups = self.groups[first: last + 1] - self.groups[first]
            n_groups, n_strands, n_paths = last - first, strands[1] - strands[0], int(self.groups[-1])
            self.n_paths = n_paths
        self.counts = np.zeros((self.n_slots, n_strands, n_cells), np.int64)
        self.outside = np.zeros((n_strands, max(grid.ndim if grid is not None else 0, 1), 2), np.int64)
        self.slot, self.slot_length, self.slot_filled = 0, 1, 0
        has_products = 1 < self.ndim <= MAX_COORDINATES
        self.products = np.zeros((n_groups, self.ndim * (self.ndim - 1) // 2 if has_products else 0))
        shift = np.asarray(shift, float)
        level = float(np.asarray(potential(shift)))
        self.shifts = np.append(shift, level if np.isfinite(level) else 0.0)
        self.names = [*(f"x{k}" for k in range(self.ndim)), "energy",
                      *(f"in {name}" for name in self.regions), *self.observables]
        self.means = BatchMeans(np.diff(self.groups), len(self.names))
        self.last_region = np.full(n_paths if self.regions else 0, -1, np.int64)
        self.transitions = np.zeros((len(self.regions),) * 2, np.int64)
        self.marginal = tuple(range(self.ndim)) if marginal is None else tuple(marginal)
        self._cells = _cells(grid, self.marginal)

    @property
    def n_saved(self):
        """Snapshots so far."""
        return self.means.n_saved

    @property
    def n_strands(self):
        return self.strands.size - 1

    def add(self, snapshots):
        """Take snapshots (n_snapshots, ndim, n_paths)."""
        begin = 0
        while begin < len(snapshots):
            end = len(snapshots)
            if self.n_slots > 1:
                end = min(end, begin + self.slot_length - self.slot_filled)
            self._add(snapshots[begin:end])
            begin = end

    def _add(self, S):
        S = np.ascontiguousarray(S)
        is_black_box = self.potential.is_black_box
        energies = np.zeros((1, 1))
        if is_black_box:
            energies = np.stack([np.asarray(self.potential(x.T), float) for x in S])
        n_groups = self.groups.size - 1
        sums = np.empty((len(S), n_groups, self.ndim + 1))
        squares = np.empty_like(sums)
        block = no_value.dispatcher if is_black_box else self.potential.block("value")
        with thread_count(self.n_threads):
            accumulate(S, block, self.potential.p, not is_black_box, energies, self.shifts,
                       Groups(self.lanes, self.groups, self.strands), self._cells,
                       Sums(sums, squares, self.products, self.counts[self.slot], self.outside))
        if self.regions or self.observables:
            extra = [self._extra(x.T) for x in S]
            sums = np.concatenate([sums, [e[0] for e in extra]], axis=2)
            squares = np.concatenate([squares, [e[1] for e in extra]], axis=2)
        self.means.add(sums, squares)
        self._advance_slot(len(S))

    def _extra(self, points):
        """Sums over groups of region indicators and own observables, and of their squares."""
        points = np.ascontiguousarray(points)
        rows = []
        if self.regions:
            inside = np.stack([np.asarray(region.contains(points), bool) for region in self.regions.values()])
            self._count_transitions(inside)
            rows.extend(inside.astype(float))
        for name, observable in self.observables.items():
            value = np.asarray(observable(points), float)
            if value.shape != (self.n_paths,):
                raise ValueError(f"the observable {name!r} gave shape {value.shape}, expected "
                                 f"({self.n_paths},): one number a point.")
            if not np.isfinite(value).all():
                raise ValueError(f"the observable {name!r} gave {int((~np.isfinite(value)).sum())} values "
                                 "that are not finite.")
            rows.append(value)
        rows = np.stack(rows)
        starts = self.groups[:-1]
        return np.add.reduceat(rows, starts, axis=1).T, np.add.reduceat(rows * rows, starts, axis=1).T

    def _count_transitions(self, inside):
        overlap = inside.sum(0) > 1
        if overlap.any():
            pair = [name for name, hit in zip(self.regions, inside[:, np.flatnonzero(overlap)[0]]) if hit]
            raise ValueError(f"the regions {pair[0]!r} and {pair[1]!r} overlap: {int(overlap.sum())} points "
                             "are in both; shrink one of them.")
        now = np.where(inside.any(0), inside.argmax(0), -1)
        moved = (now >= 0) & (self.last_region >= 0) & (now != self.last_region)
        n = len(self.regions)
        self.transitions += np.bincount(self.last_region[moved] * n + now[moved],
                                        minlength=n * n).reshape(n, n)
        self.last_region = np.where(now >= 0, now, self.last_region)

    def _advance_slot(self, n):
        if self.n_slots == 1:
            self.slot_filled += n
            return
        self.slot_filled += n
        if self.slot_filled == self.slot_length:
            self.slot, self.slot_filled = self.slot + 1, 0
            if self.slot == self.n_slots:
                half = self.n_slots // 2
                self.counts[:half] = self.counts[0::2] + self.counts[1::2]
                self.counts[half:] = 0
                self.slot, self.slot_length = half, 2 * self.slot_length

    # ---- what comes out ----

    def covariance(self):
        """Covariance matrix (ndim, ndim) of the coordinates, NaN beside the diagonal when there are too many
        of them."""
        n, d = self.n_paths * self.n_saved, self.ndim
        averages = self.means.averages()[:d]
        mean = np.array([a.mean for a in averages])
        C = np.full((d, d), np.nan)
        C[np.diag_indices(d)] = [a.variance for a in averages]
        if self.products.shape[1]:
            upper = np.triu_indices(d, 1)
            C[upper] = self.products.sum(0) / n - (mean[:, None] * mean)[upper]
            C.T[upper] = C[upper]
        return C

    def histogram(self):
        """(counts, overflow (n_axes, 2), bound of the error of each probability, standard error of it) over
        the cells.

        The standard error comes from the spread between independent strands (and slots of time). It is not
        taken below that of the counts plus one, enlarged by the mean statistical inefficiency of the cells:
        an empty cell has an error.
        """
        shape = self.grid.shape
        n = self.n_paths * self.n_saved
        counts = self.counts.sum((0, 1))
        p = counts / n
        strand_sizes = np.diff(self.groups[self.strands])
        n_full = 1 if self.n_slots == 1 else self.slot
        length = self.n_saved if self.n_slots == 1 else self.slot_length
        pieces = n_full * self.n_strands
        variance = np.zeros(p.size)
        dof = pieces - 1
        if pieces > 1:
            used = self.counts[:n_full].sum((0, 1)) / (n_full * length * self.n_paths)
            for slot in range(n_full):
                for k, size in enumerate(strand_sizes):
                    weight = size / (self.n_paths * n_full)
                    variance += (weight * (self.counts[slot, k] / (size * length) - used)) ** 2
            variance *= pieces / (pieces - 1) * n_full * length / self.n_saved
            independent = (p * (1 - p)).sum() / n
            inefficiency = max(variance.sum() / independent, 1.0) if independent > 0 else 1.0
            error = np.sqrt(variance)
            least = np.sqrt(inefficiency * (counts + 1.0)) / n
            bound = np.maximum(error, least) * bound_factor(dof)
        else:
            error = bound = np.full(p.size, np.inf)
        return counts.reshape(shape), self.outside.sum(0), bound.reshape(shape), error.reshape(shape)

    # ---- interruption ----

    def state(self):
        """Everything that was summed, as arrays."""
        state = {f"means/{name}": value for name, value in self.means.state().items()}
        return {**state, "counts": self.counts, "outside": self.outside, "products": self.products,
                "shifts": self.shifts,
                "last_region": self.last_region, "transitions": self.transitions,
                "slots": np.array([self.slot, self.slot_length, self.slot_filled])}

    def restore(self, state):
        """Go on from `state`, to the same bits."""
        for name in ("counts", "outside", "products", "shifts", "last_region", "transitions"):
            mine, saved = getattr(self, name), state[name]
            if mine.shape != saved.shape or mine.dtype != saved.dtype:
                raise ValueError(f"the saved statistics have {name} of shape {saved.shape}, expected "
                                 f"{mine.shape}; they belong to another run.")
            setattr(self, name, np.ascontiguousarray(saved).copy())
        self.means.restore({name: state[f"means/{name}"]
                            for name in ("table", "open", "squares", "sizes", "counters")})
        self.slot, self.slot_length, self.slot_filled = (int(n) for n in state["slots"])


def _cells(grid, marginal):
    """The cells of a grid as the kernel reads them."""
    if grid is None:
        return Cells(np.zeros(1, np.int64), np.zeros((1, 1)), np.zeros(1, np.int64), np.zeros(1),
                     np.zeros(1, np.int64))
    edges = np.zeros((grid.ndim, max(grid.shape) + 1))
    scale = np.zeros(grid.ndim)
    for a, e in enumerate(grid.edges):
        edges[a, : e.size] = e
        w = np.diff(e)
        # faces off by less than a millionth of a cell: the kernel's guess is then right where it trusts it
        if abs(e - (e[0] + (e[-1] - e[0]) * np.arange(e.size) / (e.size - 1))).max() < 1e-7 * w.min():
            scale[a] = (e.size - 1) / (e[-1] - e[0])
    return Cells(np.array(marginal, np.int64), edges, np.array(grid.shape, np.int64), scale,
                 np.array(grid.periodic, np.int64))


def check_regions(regions, ndim):
    """`regions` as a dictionary of name to region, of the right dimension."""
    if regions is None:
        return {}
    if not isinstance(regions, dict):
        raise TypeError(f'regions must be a dictionary such as {{"left": region, "right": region}}, got '
                        f'{checks.shown(regions)}.')
    for name, region in regions.items():
        if not isinstance(region, Region):
            raise TypeError(f"the region {name!r} must be a Region (fpkit.Ball, fpkit.HalfSpace, ...), got "
                            f"{checks.shown(region)}.")
        if region.ndim != ndim:
            raise ValueError(f"the region {name!r} has {region.ndim} coordinates and the potential {ndim}.")
    return dict(regions)


def check_observables(observables):
    """`observables` as a dictionary of name to callable."""
    if observables is None:
        return {}
    if not isinstance(observables, dict) or not all(callable(a) for a in observables.values()):
        raise TypeError(f'observables must be a dictionary of functions such as {{"radius": lambda points: '
                        f'...}}, got {checks.shown(observables)}.')
    return dict(observables)
