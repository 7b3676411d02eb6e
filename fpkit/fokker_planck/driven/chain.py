"""The chain of a driven diffusion on one grid, and what is left of it outside regions."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core.networks import connected_parts
from ...potentials.regions.shapes import Region
from ..discretisation.schemes import generator_chain
from ..solvers.directed_elimination import DirectedElimination
from ..solvers.elimination import Ordering
from .potential_part import has_potential_part, with_potential_part
from .rates import Cuts, Edges, axis_cuts, axis_rates, stream_rates, stretched
from .tensor_rates import tensor_cuts, tensor_rates

LOWEST, HIGHEST = -690.0, 650.0            # logs of rates handed to the solver
MOST_STATES = {1: 2**31, 2: 1_200_000, 3: 50_000}
LEAST_PSI = 1e-300


def all_edges(diffusion) -> Edges:
    """Edges between all inside cells, each pair once."""
    return diffusion._remember(("driven edges",), lambda: _all_edges(diffusion))


def _all_edges(diffusion):
    D, process, grid = diffusion, diffusion.frozen_process, diffusion.grid
    if process.rotation is not None and not process.mobility.is_full:
        twin = D.gradient_twin
        chain = generator_chain(twin._space, twin.chain, twin._cell_masses.log_mass)
        return stream_rates(process, chain, _corners(process, grid, D.inside, twin.f0))
    if process.mobility.is_tensor or process.mobility.is_full:
        split = with_potential_part(process, grid) if has_potential_part(D) else None
        twin = D if split is None else type(D)(split, grid=grid)
        edges = tensor_rates(twin.frozen_process, twin._space, is_split=split is not None)
    else:
        parts = [axis_rates(process, D._space, k) for k in range(grid.ndim)]
        edges = Edges(*(np.concatenate(part) for part in zip(*parts)))
    return _joined(edges, grid.n_cells)


def _joined(edges, n):
    """Each pair of cells once, the smaller first: on a ring of two cells they meet twice."""
    I, J, forth, back = edges
    turn = I > J
    I, J = np.where(turn, J, I), np.where(turn, I, J)
    forth, back = np.where(turn, back, forth), np.where(turn, forth, back)
    keep = (I != J) & (np.isfinite(forth) | np.isfinite(back))
    I, J, forth, back = I[keep], J[keep], forth[keep], back[keep]
    order = np.lexsort((J, I))
    I, J, forth, back = I[order], J[order], forth[order], back[order]
    first = np.flatnonzero(np.r_[True, (np.diff(I) != 0) | (np.diff(J) != 0)]) if I.size else np.zeros(0, int)
    if first.size < I.size:
        forth, back = np.logaddexp.reduceat(forth, first), np.logaddexp.reduceat(back, first)
        I, J = I[first], J[first]
    return Edges(I, J, forth, back)


def _corners(process, grid, inside, f0):
    """A function that gives log|psi exp(-beta (f - f0))| and the sign of psi at the two corners of faces; 0
    at corners that touch a wall."""
    axes = [e if not p else e[:-1] for e, p in zip(grid.edges, grid.periodic)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    psi = process.rotation.psi(points)
    at_wall = np.zeros(psi.shape, bool)
    padded = np.pad(inside, [(0, 0) if p else (1, 1) for p in grid.periodic])
    for shift in ((0, 0), (0, 1), (1, 0), (1, 1)):
        rolled = np.roll(padded, shift, (0, 1))
        cut = tuple(slice(None) if p else slice(1, None) for p in grid.periodic)
        at_wall |= ~rolled[cut]
    psi = np.where(at_wall, 0.0, psi)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.where(psi == 0, -np.inf, np.log(np.maximum(np.abs(psi), LEAST_PSI))
                       - (process.potential(points) - f0) / process.theta)
    sign = np.sign(psi)

    def corners(I, J):
        first, second = (np.stack(np.unravel_index(c, grid.shape)) for c in (I, J))
        moved = second - first
        out = []
        for upper in (True, False):
            at = np.empty_like(first)
            is_x = moved[0] != 0
            for k in (0, 1):
                across = is_x if k == 0 else ~is_x                # the axis of the edge
                later = np.where(np.abs(moved[k]) > 1, 0, np.maximum(first[k], second[k]))
                at[k] = np.where(across, later, first[k] + upper)
                if grid.periodic[k]:
                    at[k] %= grid.shape[k]
            value = sign[tuple(at)]
            # J_x = d psi/dy, J_y = -d psi/dx; around the ring an edge runs from the first cell to the last
            turn = np.where(is_x, 1.0, -1.0) * np.where(np.abs(moved).max(0) > 1, -1.0, 1.0)
            out.append((log[tuple(at)], value * turn))
        return out
    return corners


class DrivenChain:
    """The states outside the union of regions, and of the absorbing set of the diffusion.

    Attributes
    ----------
    ids : int ndarray (n,)
        Flat cells of the states.
    I, J : int ndarray (n_edges,); log_forth, log_back : ndarray (n_edges,)
        Edges between them and log of the rates from I to J and back.
    log_killings : list of ndarray (n,)
        log of the rate at which each region takes, then the absorbing set, and the killing rate of the
        diffusion, where there are such.
    """

    def __init__(self, diffusion, regions: Sequence[Region] = (), reactivity: float | None = None):
        self.diffusion, self.regions = diffusion, list(regions)
        D, grid = diffusion, diffusion.grid
        space = D._space.without_region()
        self.in_region = [space.inside & r.contains(grid.points) for r in self.regions]
        for k, r in enumerate(self.regions):
            for q in range(k):
                both = int((self.in_region[k] & self.in_region[q]).sum())
                if both:
                    raise ValueError(f"{self.regions[q]!r} and {r!r} overlap in {both} cells of "
                                     f"{'x'.join(map(str, grid.shape))}; shrink one of them or refine the "
                                     "grid.")
        taking = self.regions + ([D.absorbing] if D.absorbing is not None else [])
        states = space.inside.copy()
        for r in taking:
            states &= ~r.contains(grid.points)
        if not states.any():
            raise ValueError("the regions cover every cell; nothing is left to diffuse.")
        self.states, self.ids = states, np.flatnonzero(states)
        if self.n > MOST_STATES[grid.ndim]:
            raise ValueError(f"{self.n} states are more than the {MOST_STATES[grid.ndim]} that a force can "
                             f"have in {grid.ndim} dimensions; take a coarser grid, or paths "
                             "(fpkit.simulate).")
        self.place = np.full(grid.n_cells, -1)
        self.place[self.ids] = np.arange(self.n)
        edges = self.edges = all_edges(D)
        flat = states.ravel()
        keep = flat[edges.I] & flat[edges.J]
        self.I, self.J = self.place[edges.I[keep]], self.place[edges.J[keep]]
        self.log_forth, self.log_back = edges.log_forth[keep], edges.log_back[keep]
        partial = reactivity if self.regions else D.reactivity
        self.cuts = [self._cuts(r, partial) for r in taking]
        if partial is not None:
            self._stretch(grid)
        self.log_killings = [self._summed(c.i, c.log_killing) for c in self.cuts]
        if D.killing_rate is not None:
            with np.errstate(divide="ignore"):
                self.log_killings.append(np.log(D.killing_rate.ravel()[self.ids]))

    @property
    def n(self):
        return self.ids.size

    def _stretch(self, grid):
        """Cells beside a partially absorbing boundary reach up to it, for it also reflects."""
        if len(self.cuts) > 1:
            raise ValueError("a partially absorbing boundary beside an absorbing one is not known.")
        cut = self.cuts[0]
        I, J = self.ids[self.I], self.ids[self.J]
        apart = np.stack(np.unravel_index(I, grid.shape)) != np.stack(np.unravel_index(J, grid.shape))
        volume, area = stretched(grid, self.ids, cut, (self.I, self.J, apart.argmax(0)))
        self.log_forth = self.log_forth + area - volume[self.I]
        self.log_back = self.log_back + area - volume[self.J]
        self.cuts = [cut._replace(log_killing=cut.log_killing - volume[cut.i])]

    def _cuts(self, region, reactivity=None) -> Cuts:
        D = self.diffusion
        space = D._space.without_region().with_region(region)
        M = D.frozen_process.mobility
        if M.is_full or M.is_tensor or M.is_constant and M.is_degenerate:
            if reactivity is not None:
                raise ValueError("a partially absorbing boundary is known for diagonal mobilities only; turn "
                                 "the coordinates.")
            found = tensor_cuts(space, all_edges(D))
        else:
            found = axis_cuts(D.frozen_process, space, reactivity)
        keep = self.place[found.i] >= 0
        return Cuts(self.place[found.i[keep]], *(part[keep] for part in found[1:]))

    def _summed(self, owner, logs):
        out = np.full(self.n, -np.inf)
        np.logaddexp.at(out, owner, logs)
        return out

    @property
    def forth(self):
        return np.exp(np.clip(self.log_forth, LOWEST, HIGHEST))

    @property
    def back(self):
        return np.exp(np.clip(self.log_back, LOWEST, HIGHEST))

    def killing(self, k):
        """Rates (n,) at which region k takes."""
        return np.exp(np.minimum(self.log_killings[k], HIGHEST))

    def ordering(self):
        X = np.stack(np.unravel_index(self.ids, self.diffusion.grid.shape))
        return Ordering(X, self.I, self.J)

    def factors(self, ordering=None, extra=None):
        """`DirectedElimination` with all killing, and `extra` rates (n,) of it."""
        total = sum((self.killing(k) for k in range(len(self.log_killings))), np.zeros(self.n))
        total = total if extra is None else total + extra
        return DirectedElimination(ordering or self.ordering(), self.forth, self.back,
                                   total if total.any() else None)

    def labels(self):
        return connected_parts(self.n, np.stack([self.I, self.J], axis=1))

    def reaches(self, k):
        """States from which region k can be reached."""
        labels = self.labels()
        taken = np.zeros(labels.max() + 1, bool)
        taken[labels[np.isfinite(self.log_killings[k])]] = True
        return taken[labels]

    def inflow(self, k, p):
        """Flow (n,) of the stationary state, cell probabilities p (n_cells,), from region k into each
        state."""
        cut = self.cuts[k]
        own = self.killing_of(cut) * np.exp(cut.log_share) * p[self.ids[cut.i]]
        flow = np.bincount(cut.i, own, self.n)
        inside, edges = self.in_region[k].ravel(), self.edges
        for here, there, log_q in ((edges.I, edges.J, edges.log_forth), (edges.J, edges.I, edges.log_back)):
            pick = inside[here] & (self.place[there] >= 0)
            flow += np.bincount(self.place[there[pick]],
                                p[here[pick]] * np.exp(np.clip(log_q[pick], LOWEST, HIGHEST)), self.n)
        return flow

    @staticmethod
    def killing_of(cut):
        return np.exp(np.minimum(cut.log_killing, HIGHEST))

    def generator(self):
        """Generator Q as a CSR matrix (n_cells, n_cells): rows sum to zero, or to minus the killing rate."""
        from scipy.sparse import csr_matrix
        n, q, r, i = self.diffusion.grid.n_cells, self.forth, self.back, self.ids
        out = np.bincount(self.I, q, self.n) + np.bincount(self.J, r, self.n)
        for k in range(len(self.log_killings)):
            out = out + self.killing(k)
        I, J = i[self.I], i[self.J]
        return csr_matrix((np.concatenate([q, r, -out]), (np.concatenate([I, J, i]),
                                                          np.concatenate([J, I, i]))), shape=(n, n))
