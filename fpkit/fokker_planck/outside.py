"""The chain outside regions: what is left of it, how each region takes from it, and conductances brought into the range of floats."""
from __future__ import annotations

from functools import cached_property

import numpy as np

HIGH, LOW = 620.0, -680.0                  # logs of conductances handed to the solvers
REACH = 640.0                              # how far above the bottleneck conductances are kept: beyond, they are as good as infinite
DEAD = 1e-6                                # Gibbs probability of parts that may be left out in silence


class Outside:
    """The states outside the union of regions (and outside the absorbing set of the diffusion).

    Parameters
    ----------
    diffusion : FokkerPlanck
    regions : sequence of Region
        Disjoint; may be empty.
    reach : float
        Conductances further above the bottleneck are cut to it, which changes what passes there by exp(-reach) and keeps every
        probability in the range of floats.

    Attributes
    ----------
    ids : int ndarray (n,)
        Flat cells of the states.
    I, J, log_c : ndarray (n_edges,)
        Edges between them and log conductances, on the scale of int exp(-beta (f - f0)).
    log_m : ndarray (n,)
        log masses, cut by the regions.
    log_grounds : list of ndarray (n,)
        log of the rate times mass at which each region takes; the last is the absorbing set of the diffusion, or None.
    """

    def __init__(self, diffusion, regions=(), reach=REACH):
        self.diffusion, self.regions, self.reach = diffusion, list(regions), reach
        grid = self.grid = diffusion.grid
        self.held = [_held(diffusion, r) for r in self.regions]
        for k, r in enumerate(self.regions):
            for q in range(k):
                both = int((self.held[k] & self.held[q]).sum())
                if both or _touch(diffusion, self.regions[q], r):
                    raise ValueError(f"{self.regions[q]!r} and {r!r} overlap" + (f" in {both} cells of {'x'.join(map(str, grid.shape))}" if both else "")
                                     + "; shrink one of them or refine the grid.")
        killed = diffusion
        for r in self.regions:
            killed = killed.killed(r)
        chain = self.chain = killed.chain
        self.ids = np.flatnonzero(chain.states)
        place = np.full(grid.n_cells, -1)
        place[self.ids] = np.arange(self.ids.size)
        self.I, self.J = place[chain.edges[:, 0]], place[chain.edges[:, 1]]
        self.log_c = chain.log_cond + chain.shift
        self.log_m = chain.log_mass[self.ids] + chain.shift
        parts = self.regions + ([diffusion.absorbing] if diffusion.absorbing is not None else [])
        if len(parts) == 1:
            self.log_grounds = [self._from_chain(chain)]
        else:
            self.log_grounds = [self._ground(r) for r in parts]
        if diffusion.absorbing is None:
            self.log_grounds.append(None)

    def _from_chain(self, chain):
        ground = np.full(self.ids.size, -np.inf) if chain.log_ground is None else chain.log_ground[self.ids] + chain.shift
        return ground

    def _ground(self, region):
        from .absorbing import ground
        from .schemes import RECOMMENDED, parsed
        from dataclasses import replace
        D = self.diffusion
        space = replace(D._space, region=region)
        conductance, mass = parsed(D.scheme, self.grid.ndim)
        if self.grid.ndim == 1 and (conductance, mass) == RECOMMENDED[1]:
            from .schemes import _milestones
            chain = _milestones(space, {})
            full = np.full(self.grid.n_cells, -np.inf) if chain.log_ground is None else chain.log_ground + chain.shift
            return full[self.ids]
        return ground(space, conductance, {})[self.ids]

    @property
    def n(self):
        return self.ids.size

    def log_outside(self, k):
        """log of the part of the mass of each state that lies outside region k (n,)."""
        from dataclasses import replace
        from .absorbing import outside_fractions
        if self.grid.ndim == 1 and self.chain.notes.get("scheme") == "quadrature/committor":
            return np.zeros(self.n)              # the hats of the exact chain end at the boundary
        return outside_fractions(replace(self.diffusion._space, region=self.regions[k]))[self.ids]

    # ------------------------------------------------------------------------------------------------------------ connection
    @cached_property
    def labels(self):
        """Connected part of each state (n,)."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components
        graph = coo_matrix((np.ones(self.I.size, np.int8), (self.I, self.J)), shape=(self.n, self.n))
        return connected_components(graph, directed=False)[1]

    def touched(self, k):
        """States of the parts from which region k is reached (n,)."""
        g = self.log_grounds[k]
        if g is None:
            return np.zeros(self.n, bool)
        hit = np.zeros(self.labels.max() + 1, bool)
        hit[self.labels[np.isfinite(g)]] = True
        return hit[self.labels]

    @cached_property
    def drained(self):
        """States of the parts from which some region is reached (n,)."""
        out = np.zeros(self.n, bool)
        for k in range(len(self.log_grounds)):
            out |= self.touched(k)
        return out

    def left_out(self, kept):
        """Gibbs probability of the states that are not kept."""
        w = np.exp(self.log_m - self.log_m.max())
        return float(w[~kept].sum() / w.sum())

    # ----------------------------------------------------------------------------------------------------------------- range
    @cached_property
    def _window(self):
        """(shift, largest): logs minus the shift lie in the range of floats where they matter; those above `largest` are cut to it."""
        every = np.concatenate([self.log_c, *(g[np.isfinite(g)] for g in self.log_grounds if g is not None)])
        if not every.size:
            return 0.0, 0.0
        top, low = float(every.max()), float(every.min())
        if top - low <= self.reach:
            return max(top - HIGH, low - LOW) if top - low > -LOW else top, top
        largest = min(top, self.wells.bottleneck + self.reach)
        return largest if low >= largest + LOW else max(largest - HIGH, low - LOW), largest

    @property
    def shift(self):
        return self._window[0]

    @property
    def largest(self):
        return self._window[1]

    @property
    def is_cut(self):
        return bool(self.log_c.size) and float(self.log_c.max()) > self._window[1]

    @cached_property
    def wells(self):
        """Wells of the chain and the ways between them and the regions."""
        from .wells import wells
        return wells(self)

    def scaled(self, log):
        """exp(log - shift), kept in range; 0 stays 0."""
        shift, largest = self._window
        with np.errstate(invalid="ignore"):
            return np.where(np.isfinite(log), np.exp(np.maximum(np.minimum(log, largest) - shift, LOW)), 0.0)

    @cached_property
    def c(self):
        return self.scaled(self.log_c)

    @cached_property
    def grounds(self):
        return [None if g is None else self.scaled(g) for g in self.log_grounds]

    @cached_property
    def ground(self):
        """Sum of all grounds (n,); 1 where nothing is reached, so that the solve stays regular there."""
        total = np.zeros(self.n)
        for g in self.grounds:
            if g is not None:
                total = total + g
        return np.where(self.drained, total, 1.0)

    @cached_property
    def X(self):
        return np.array(np.unravel_index(self.ids, self.grid.shape))

    @cached_property
    def ordering(self):
        from .dissection import Ordering
        return Ordering(self.X, self.I, self.J)

    def factors(self):
        """Factors of K + ground: `solve(b)` gives v with (K + ground) v = b for b >= 0. Not kept here: they are large."""
        return self.solver_with(self.c, self.ground)

    def solver_with(self, c, ground):
        from .dissection import Elimination
        return Elimination(self.ordering, c, ground)


def _held(diffusion, region):
    from .absorbing import check_region
    check_region(region, diffusion.grid, "the region")
    return diffusion.inside & region.contains(diffusion.grid.points)


def _touch(diffusion, first, second):
    """Whether two regions share points of the walls or faces although no cell centre."""
    grid = diffusion.grid
    for axis in range(grid.ndim):
        for low in (0, -1):
            points = grid.points[tuple(low if k == axis else slice(None) for k in range(grid.ndim))].reshape(-1, grid.ndim).copy()
            points[:, axis] = grid.edges[axis][low]
            if (first.contains(points) & second.contains(points)).any():
                return True
    return False
