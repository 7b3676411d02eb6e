"""The chain outside regions: what is left of it, how each region takes from it, and conductances brought into
the range of floats."""
from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ...potentials.regions.shapes import Region, check_region
from ..discretisation.absorbing_boundary import ground, outside_fractions
from ..discretisation.chain import NeighbourChain, next_cells
from ..discretisation.line_scheme import exact_line_chain
from ..discretisation.schemes import RECOMMENDED, parsed
from ..discretisation.shortley_weller import ShortleyWellerRows
from ..discretisation.wells import wells
from ..solvers.deflation import DeflatedSolver
from ..solvers.elimination import Elimination, Ordering
from ..solvers.laplacian import CellLaplacian, EdgeLaplacian

LARGEST, SMALLEST = 620.0, -680.0          # logs of conductances handed to the solvers
REACH = 640.0  # how far above the bottleneck conductances are kept: beyond, they are as good as infinite
ELIMINATED = {1: 2**31, 2: 1_200_000, 3: 50_000}          # states up to which elimination is used
STEEP = 2.0  # log of mass over value at the centre times volume: 8 theta across a cell
NEGLIGIBLE_MASS = 1e-6                     # Gibbs probability of parts that may be left out in silence


class KilledChain:
    """The states outside the union of regions (and outside the absorbing set of the diffusion).

    Parameters
    ----------
    diffusion : FokkerPlanck
    regions : sequence of Region
        Disjoint; may be empty.
    reach : float
        Conductances further above the bottleneck are cut to it, which changes what passes there by
        exp(-reach) and keeps every probability in the range of floats.

    Attributes
    ----------
    ids : int ndarray (n,)
        Flat cells of the states.
    I, J, log_c : ndarray (n_edges,)
        Edges between them and log conductances, on the scale of int exp(-beta (f - f0)).
    is_on_cells : bool
        Whether the conductances are kept on the cells, as `links`; then the edges are listed only where they
        are asked for.
    log_m : ndarray (n,)
        log masses, cut by the regions.
    log_killings : list of ndarray (n,)
        log of the rate times mass at which each region takes; the last is the absorbing set of the diffusion,
        or None.
    """

    def __init__(self, diffusion, regions: Sequence[Region] = (), reach: float = REACH):
        self.diffusion, self.regions, self.reach = diffusion, list(regions), reach
        grid = self.grid = diffusion.grid
        self.in_region = [_in_region(diffusion, r) for r in self.regions]
        for k, r in enumerate(self.regions):
            for q in range(k):
                both = int((self.in_region[k] & self.in_region[q]).sum())
                if both or _touch(diffusion, self.regions[q], r):
                    cells = f" in {both} cells of {'x'.join(map(str, grid.shape))}" if both else ""
                    raise ValueError(f"{self.regions[q]!r} and {r!r} overlap{cells}; shrink one of them or "
                                     "refine the grid.")
        killed = diffusion
        for r in self.regions:
            killed = killed.killed(r)
        chain = self.chain = killed.chain
        self.ids = np.flatnonzero(chain.states)
        self.is_on_cells = isinstance(chain, NeighbourChain)
        self.log_m = chain.log_mass[self.ids] + chain.shift
        parts = self.regions + ([diffusion.absorbing] if diffusion.absorbing is not None else [])
        self.is_symmetric = grid.ndim == 1 or killed._mobility.is_full or not parts
        by_axis = [self._log_killing_of(chain, p, len(parts) == 1) for p in parts]
        if diffusion.absorbing is None:
            by_axis.append(None)
        self._by_axis, self._killed = by_axis, killed
        self.log_killings = [None if g is None else _sum(g) for g in by_axis]

    def _log_killing_of(self, chain, region, is_alone):
        """log of the rate times mass at which a region takes along each axis (ndim, n); all under the first
        axis where the axes do not matter."""
        D = self.diffusion
        if self.is_symmetric and is_alone:
            full, shift = chain.log_ground, chain.shift
        else:
            space, (conductance, mass) = D._space.with_region(region), parsed(D.scheme, self.grid.ndim)
            if self.grid.ndim > 1 or (conductance, mass) != RECOMMENDED[1]:
                return ground(space, conductance, by_axis=True)[:, self.ids]
            one = exact_line_chain(space, {})
            full, shift = one.log_ground, one.shift
        return np.full((1, self.ids.size), -np.inf) if full is None else full[None, self.ids] + shift

    @property
    def n(self):
        return self.ids.size

    @property
    def links(self):
        """log conductances (ndim, n_cells) to the next cells, of chains that are kept on cells."""
        return self.chain.links

    @property
    def n_nodes(self):
        """Cells of the grid where the chain is kept on them, else its states: what `wells.ways` links."""
        return self.grid.n_cells if self.is_on_cells else self.n

    def on_cells(self, values, fill=0.0):
        """Values (..., n) of the states on all cells."""
        if self.n == self.grid.n_cells:
            return values
        full = np.full(np.shape(values)[:-1] + (self.grid.n_cells,), fill)
        full[..., self.ids] = values
        return full

    @cached_property
    def _ends(self):
        if self.n == self.grid.n_cells:
            return self.chain.edges.T
        place = np.full(self.grid.n_cells, -1)
        place[self.ids] = np.arange(self.ids.size)
        return place[self.chain.edges.T]

    @property
    def I(self):  # noqa: E743 (the first ends, as everywhere)
        return self._ends[0]

    @property
    def J(self):
        return self._ends[1]

    @cached_property
    def log_c(self):
        return self.chain.log_cond + self.chain.shift

    def mode_mass(self, top):
        """Masses of the states over exp(top) (n,), in which no cell looks like a trap that is none.

        Where f is steep on the scale of a cell its mass lies at its lower face, but leaves over its centre:
        what exceeds exp(`STEEP`) times the mass by the value at the centre is that of the next lower cell, or
        of a region beside it. Far above the ways between the wells no state may hold a mode.
        """
        space = self.diffusion._space
        B, log_m = space.B[self.ids], self.log_m
        m = np.exp(np.minimum(log_m - top, 700.0))
        most = np.exp(np.minimum(np.log(self.grid.volumes.ravel()[self.ids]) - B + STEEP - top, 700.0))
        steep = np.flatnonzero(m > most)
        if steep.size:
            is_steep = np.zeros(self.n, bool)
            is_steep[steep] = True
            I, J = self._downhill(steep, is_steep, B)
            beside = np.zeros(self.n, bool)
            for g in self.log_killings:
                if g is not None:
                    beside |= is_steep & np.isfinite(g)
            inner = ~beside[I]
            np.add.at(m, J[inner], (m - most)[I[inner]])
            lowered = beside
            lowered[I] = True
            m[lowered] = np.minimum(m, most)[lowered]
        return np.where(space.weight_limit >= B, m, 0.0)

    def _downhill(self, steep, is_steep, B):
        """Those of the `steep` states that have a lower neighbour, and the lowest of each."""
        if self.is_on_cells:
            cells, b = self.ids[steep], self.on_cells(B, np.inf)
            lowest, to = B[steep].copy(), cells.copy()
            for axis in range(self.grid.ndim):
                for sign in (-1, 1):
                    other = next_cells(self.grid.shape, axis, cells, sign)
                    log = self.links[axis, cells if sign > 0 else other]
                    is_lower = np.isfinite(log) & (b[other] < lowest)
                    lowest[is_lower], to[is_lower] = b[other[is_lower]], other[is_lower]
            lower = to != cells
            return steep[lower], np.searchsorted(self.ids, to[lower])
        lowest = B.copy()
        at = is_steep[self.I] | is_steep[self.J]
        I, J = np.r_[self.I[at], self.J[at]], np.r_[self.J[at], self.I[at]]
        np.minimum.at(lowest, I, B[J])
        to = (B[J] == lowest[I]) & (lowest[I] < B[I]) & is_steep[I]
        _, first = np.unique(I[to], return_index=True)
        return I[to][first], J[to][first]

    @cached_property
    def rows(self):
        """`ShortleyWellerRows`, or None where the symmetric chain stands as it is."""
        if self.is_symmetric:
            return None
        return ShortleyWellerRows(self, self._killed._space, self._by_axis)

    @cached_property
    def log_source(self):
        """log masses on the right-hand side of a passage time (n,): those of the rows of cut cells where they
        differ."""
        if self.rows is None:
            return self.log_m
        return np.where(self.rows.cut, self.log_m - self._log_open + self.rows.log_mass_factor, self.log_m)

    def passage_time(self, factors, top):
        """(K + ground)^-1 m / exp(top), by the consistent rows (n,)."""
        m = np.exp(self.log_m - top)
        extra = 0.0 if self.rows is None else np.exp(self.log_source - top) - m
        return np.maximum(self.consistent(factors, m, extra), 0.0)

    def consistent(self, factors, b, extra, start=None):
        """v (n,) with the consistent rows and b + extra on the right, b >= 0; iterations begin at `start`."""
        if self.is_large:
            return factors.solve(b + extra, True, start)
        v = factors.solve(b)
        return v if self.rows is None else self.rows.improved(factors, v[None], extra[None])[0]

    @cached_property
    def _log_open(self):
        return outside_fractions(self._killed._space)[self.ids]

    def log_outside(self, k):
        """log of the part of the mass of each state that lies outside region k (n,)."""
        if self.grid.ndim == 1 and self.chain.notes.get("scheme") == "quadrature/committor":
            return np.zeros(self.n)              # the hats of the exact chain end at the boundary
        return outside_fractions(self.diffusion._space.with_region(self.regions[k]))[self.ids]

    # ------------------------------------------------------------------------------------------------------
    # connection
    @cached_property
    def labels(self):
        """Connected part of each state (n,)."""
        if self.is_on_cells:
            from ..discretisation.wells_kernels import connect
            parent = np.arange(self.grid.n_cells)
            connect(np.array(self.grid.shape), self.links, parent)
            if not parent.any():
                return parent
            return (np.cumsum(self.chain.states & (parent == np.arange(parent.size)))[parent] - 1)[self.ids]
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components
        graph = coo_matrix((np.ones(self.I.size, np.int8), (self.I, self.J)), shape=(self.n, self.n))
        return connected_components(graph, directed=False)[1]

    def reaches(self, k):
        """States of the parts from which region k is reached (n,)."""
        g = self.log_killings[k]
        if g is None:
            return np.zeros(self.n, bool)
        hit = np.zeros(self.labels.max() + 1, bool)
        hit[self.labels[np.isfinite(g)]] = True
        return hit[self.labels]

    @cached_property
    def reaches_boundary(self):
        """States of the parts from which some region is reached (n,)."""
        out = np.zeros(self.n, bool)
        for k in range(len(self.log_killings)):
            out |= self.reaches(k)
        return out

    def left_out(self, kept):
        """Gibbs probability of the states that are not kept."""
        w = np.exp(self.log_m - self.log_m.max())
        return float(w[~kept].sum() / w.sum())

    # ------------------------------------------------------------------------------------------------------
    # range
    @cached_property
    def _window(self):
        """(shift, largest): logs minus the shift lie in the range of floats where they matter; those above
        `largest` are cut to it."""
        every = [self._raw, *(g for g in self.log_killings if g is not None)]
        top = max(float(g.max(initial=-np.inf)) for g in every)
        low = min(float(g.min(initial=np.inf, where=np.isfinite(g))) for g in every)
        if top == -np.inf:
            return 0.0, 0.0
        if top - low <= self.reach:
            return max(top - LARGEST, low - SMALLEST) if top - low > -SMALLEST else top, top
        largest = min(top, self.wells.bottleneck + self.reach)
        return largest if low >= largest + SMALLEST else max(largest - LARGEST, low - SMALLEST), largest

    @property
    def shift(self):
        return self._window[0]

    @property
    def largest(self):
        return self._window[1]

    @property
    def is_cut(self):
        return float(self._raw.max(initial=-np.inf)) > self._window[1]

    @property
    def _raw(self):
        """log conductances in the form in which they are kept, -inf where there is none."""
        return self.links if self.is_on_cells else self.log_c

    @cached_property
    def wells(self):
        """Wells of the chain and the ways between them and the regions."""
        return wells(self)

    def scaled(self, log):
        """exp(log - shift), kept in range; 0 stays 0."""
        shift, largest = self._window
        out, at = np.zeros(log.shape), np.isfinite(log)
        out[at] = np.exp(np.maximum(np.minimum(log[at], largest) - shift, SMALLEST))
        return out

    @cached_property
    def c(self):
        return self.scaled(self.log_c)

    @cached_property
    def laplacian(self):
        """v -> K v and its form, K v = sum_j c_ij (v_i - v_j) on the states."""
        if self.is_on_cells:
            return CellLaplacian(self, self.scaled(self.links))
        return EdgeLaplacian(self.I, self.J, self.c)

    @cached_property
    def killings(self):
        return [None if g is None else self.scaled(g) for g in self.log_killings]

    @cached_property
    def killing(self):
        """Killing rate times mass by all regions (n,); 1 where nothing is reached, so that the solve stays
        regular there."""
        total = np.zeros(self.n)
        for g in self.killings:
            if g is not None:
                total = total + g
        return np.where(self.reaches_boundary, total, 1.0)

    @cached_property
    def X(self):
        return np.array(np.unravel_index(self.ids, self.grid.shape))

    @cached_property
    def ordering(self):
        return Ordering(self.X, self.I, self.J)

    def factors(self):
        """Factors of K + ground: `solve(b)` gives v with (K + ground) v = b for b >= 0. Not kept here: they
        are large."""
        if self.is_large:
            return DeflatedSolver(self, self.killing)
        return self.solver_with(self.c, self.killing)

    def solver_with(self, c, ground):
        return Elimination(self.ordering, c, ground)

    @property
    def is_large(self):
        """Whether elimination would take too long."""
        return self.n > ELIMINATED[self.grid.ndim]

    def committors(self, factors):
        """Probabilities of reaching the first and the second region before the others (2, n), by the
        consistent rows."""
        if self.is_large:
            return np.stack([factors.committor(0), factors.committor(1)])
        killings = np.stack(self.killings[:2])
        q = factors.solve(killings)
        if self.rows is None:
            return q
        return self.rows.improved(factors, q, np.stack(self.rows.grounds[:2]) - killings)


def _sum(logs):
    """log of the sums of exp(logs) (ndim, n), of which few are not 0."""
    out, at = logs[0].copy(), np.isfinite(logs[1:]).any(0)
    out[at] = np.logaddexp.reduce(logs[:, at], axis=0)
    return out


def _in_region(diffusion, region):
    check_region(region, diffusion.grid, "the region")
    return diffusion.inside & region.contains(diffusion.grid.points)


def _touch(diffusion, first, second):
    """Whether two regions share points of the walls or faces although no cell centre."""
    grid = diffusion.grid
    for axis in range(grid.ndim):
        for low in (0, -1):
            points = grid.points[tuple(low if k == axis else slice(None)
                                       for k in range(grid.ndim))].reshape(-1, grid.ndim).copy()
            points[:, axis] = grid.edges[axis][low]
            if (first.contains(points) & second.contains(points)).any():
                return True
    return False
