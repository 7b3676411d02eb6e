"""The reversible Markov chain of a discretised diffusion: masses of cells, conductances of edges, killing,
all as logarithms.

Rates q_ij = c_ij / m_i. For any positive c and m detailed balance holds, m / sum m is stationary and every
rate is positive: nothing can go wrong that has not gone wrong in c or m. Factors (1 + d) in c and m change
every eigenvalue by a factor 1 + O(d), so tiny rates are well conditioned here; they are lost by forming the
diagonal -sum_j q_ij.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ...core.networks import connected_parts

FLOOR = -640.0  # logs of masses below this are lifted to it: exp(-640) = 1e-278 keeps c, m and c/m in range
LEAST_CONDUCTANCE = -670.0    # a conductance of 0 would give 0/0
LARGEST_RATE = 650.0          # log; midpoint and the like give rates exp(|df|/(2 theta)) on steep edges


@dataclass(frozen=True, repr=False)
class Chain:
    """Masses, conductances and killing of a reversible chain.

    Attributes
    ----------
    log_mass : ndarray (n_cells,)
        log of the masses m, largest 0; -inf for cells that are not states.
    edges : int ndarray (n_edges, 2)
        Flat indices of the two cells of each edge, the smaller first, no pair twice.
    log_cond : ndarray (n_edges,)
        log of c_ij = m_i q_ij = m_j q_ji, in 1/time on the same scale as the masses.
    log_ground : ndarray (n_cells,) or None
        log of the killing rate times mass; -inf where nothing is absorbed.
    shift : float
        log of the mass in units of int exp(-beta (f - f0)) is ``log_mass + shift``.
    """
    log_mass: np.ndarray
    edges: np.ndarray
    log_cond: np.ndarray
    log_ground: np.ndarray | None = None
    shift: float = 0.0
    notes: dict = field(default_factory=dict)

    @staticmethod
    def of(log_mass, edges, log_cond, log_ground=None, notes=None):
        """Chain from raw logarithms: edges sorted, pairs joined, loops and edges of cells without mass left
        out, largest log_mass 0."""
        edges = np.asarray(edges, np.int64).reshape(-1, 2)
        keep = (edges[:, 0] != edges[:, 1]) & np.isfinite(log_mass[edges]).all(1) & np.isfinite(log_cond)
        edges, log_cond = np.sort(edges[keep], axis=1), np.asarray(log_cond, float)[keep]
        n = log_mass.size
        key = edges[:, 0] * n + edges[:, 1]
        if key.size and not (np.diff(key) > 0).all():
            order = np.argsort(key, kind="stable")
            key, edges, log_cond = key[order], edges[order], log_cond[order]
            first = np.flatnonzero(np.r_[True, np.diff(key) > 0])
            if first.size < key.size:  # two edges between the same cells: a periodic axis with two cells
                top = np.maximum.reduceat(log_cond, first)
                part = np.exp(log_cond - np.repeat(top, np.diff(np.r_[first, key.size])))
                log_cond, edges = top + np.log(np.add.reduceat(part, first)), edges[first]
        shift = float(log_mass.max())
        ground = None
        if log_ground is not None and np.isfinite(log_ground).any():
            ground = np.where(np.isfinite(log_mass), log_ground - shift, -np.inf)
        return Chain(log_mass - shift, edges, log_cond - shift, ground, shift, dict(notes or {}))

    def with_masses(self, log_mass, log_cond):
        """The same states, edges and killing with other masses and conductances, both in units of int
        exp(-beta (f - f0))."""
        ground = None if self.log_ground is None else self.log_ground + self.shift
        return Chain.of(np.where(self.states, log_mass, -np.inf), self.edges, log_cond, ground, self.notes)

    @property
    def n_cells(self) -> int:
        return self.log_mass.size

    @property
    def states(self) -> np.ndarray:
        """Cells that are states of the chain, bool (n_cells,)."""
        return np.isfinite(self.log_mass)

    @property
    def ground(self) -> np.ndarray | None:
        """Killing rate times mass (n_cells,), or None."""
        return None if self.log_ground is None else np.exp(self.log_ground)

    def in_range(self) -> Chain:
        """The same chain with every number inside the range of floats.

        A cell with log m below -640 gets mass exp(-640) and its edges are lifted with it, so that it still
        empties at its own rate; what this changes is below 1e-270 of the total mass.
        """
        lift = np.where(self.states, np.maximum(FLOOR - self.log_mass, 0.0), 0.0)
        mass = np.where(self.states, np.maximum(self.log_mass, FLOOR), -np.inf)
        largest = mass[self.edges].min(1, initial=0.0) + LARGEST_RATE
        cond = np.clip(self.log_cond + lift[self.edges].max(1, initial=0.0), LEAST_CONDUCTANCE,
                       np.maximum(largest, LEAST_CONDUCTANCE))
        if not lift.any() and np.array_equal(cond, self.log_cond):
            return self
        ground = self.log_ground
        if ground is not None:
            at = np.isfinite(ground)
            ground = np.where(at, np.clip(ground + lift, LEAST_CONDUCTANCE, np.where(at, mass, 0.0)
                                          + LARGEST_RATE), -np.inf)
        return Chain(mass, self.edges, cond, ground, self.shift, dict(self.notes))

    def generator(self):
        """Generator Q as a CSR matrix (n_cells, n_cells): rows sum to zero, or to minus the killing rate.

        Call it on a chain `in_range`. The off-diagonal entries are exp(log_cond) / exp(log_mass), hence
        detailed balance to 4 ulp in ``np.exp(log_mass)[i] * Q[i, j]``.
        """
        from scipy.sparse import csr_matrix
        n = self.n_cells
        i, j = self.edges.T
        m, c = np.exp(self.log_mass), np.exp(self.log_cond)
        forth, back = c / m[i], c / m[j]
        diagonal = np.bincount(i, forth, n) + np.bincount(j, back, n)
        if self.log_ground is not None:
            diagonal = diagonal + np.where(self.states,
                                           np.exp(self.log_ground) / np.where(self.states, m, 1.0), 0.0)
        kept = np.flatnonzero(self.states)
        return csr_matrix((np.concatenate([forth, back, -diagonal[kept]]),
                           (np.concatenate([i, j, kept]), np.concatenate([j, i, kept]))), shape=(n, n))

    def symmetric_generator(self, cells=None):
        """S = D^1/2 Q D^-1/2 of the generator Q without killing, symmetric, and its cells: the states
        or, with all other cells and their edges left out, some flat `cells`."""
        from scipy.sparse import coo_matrix
        cells = np.flatnonzero(self.states) if cells is None else np.asarray(cells)
        place = np.full(self.n_cells, -1)
        place[cells] = np.arange(cells.size)
        used = (place[self.edges] >= 0).all(axis=1)
        (a, b), c, m = self.edges[used].T, self.log_cond[used], self.log_mass
        i, j, k = place[a], place[b], np.arange(cells.size)
        with np.errstate(under="ignore"):
            off = np.exp(c - (m[a] + m[b]) / 2)
            out = np.bincount(i, np.exp(c - m[a]), cells.size) + np.bincount(j, np.exp(c - m[b]), cells.size)
        return coo_matrix((np.r_[off, off, -out], (np.r_[i, j, k], np.r_[j, i, k])),
                          shape=(cells.size,) * 2).tocsc(), cells

    def components(self) -> tuple[np.ndarray, int]:
        """Label of the connected part of each cell (n_cells,), -1 for cells that are not states, and the
        number of parts."""
        label = np.where(self.states, connected_parts(self.n_cells, self.edges), -1)
        known, label[self.states] = np.unique(label[self.states], return_inverse=True)
        return label, known.size

    def __repr__(self) -> str:
        n_killed = 0 if self.log_ground is None else int(np.isfinite(self.log_ground).sum())
        killed = f", {n_killed} with killing" if n_killed else ""
        return f"Chain of {int(self.states.sum())} states and {self.edges.shape[0]} edges{killed}"


class NeighbourChain(Chain):
    """A chain whose edges all lead from a cell to the next one along an axis, kept by the cell before.

    `edges` and `log_cond` are made when they are asked for: beside `links` they take three times the memory
    and the time of sorting.

    Attributes
    ----------
    links : ndarray (ndim, n_cells)
        log of the conductance to the next cell along each axis, around a ring from the last one; -inf where
        there is none. In units of int exp(-beta (f - f0)), not of the largest mass.
    shape : tuple of int
    """

    def __init__(self, log_mass, links, shape, log_ground=None, notes=None):
        whole = Chain.of(log_mass, np.zeros((0, 2), int), np.zeros(0), log_ground, notes)
        for name in ("log_mass", "log_ground", "shift", "notes"):
            object.__setattr__(self, name, getattr(whole, name))
        object.__setattr__(self, "links", links)
        object.__setattr__(self, "shape", tuple(shape))

    @cached_property
    def _listed(self):
        edges, logs = [], []
        for axis, log in enumerate(self.links):
            a = np.flatnonzero(np.isfinite(log))
            edges.append(np.stack([a, next_cells(self.shape, axis, a)], axis=1))
            logs.append(log[a])
        return Chain.of(self.log_mass + self.shift, np.concatenate(edges), np.concatenate(logs))

    @property
    def edges(self):
        return self._listed.edges

    @property
    def log_cond(self):
        return self._listed.log_cond


def next_cells(shape, axis, cells, sign=1):
    """Flat cells after (`sign` 1) or before (-1) the given ones along an axis, around the ring."""
    stride, n = int(np.prod(shape[axis + 1:], dtype=int)), shape[axis]
    place = cells // stride % n
    return cells + ((place + sign) % n - place) * stride
