"""The network of wells of a reversible chain: exact capacities and masses by elimination of all other cells,
in logarithms.

Eliminating cell k from L q = 0 and L tau = -1 changes conductances and masses of the rest as

    c_ij += c_ik c_jk / s_k,    m_j += m_k c_jk / s_k,    s_k = sum_j c_kj,

sums of positive terms only [1]_. What remains between the cores of the wells are their capacities cap_ab, the
flux of the committor of a into b; the mass of a core becomes sum_i m_i q_a(i). So committors, capacities and
mean first-passage times between cores are those of the chain itself, to rounding, at any temperature: nothing
is exponentiated but ratios.

.. [1] W. K. Grassmann, M. I. Taksar, D. P. Heyman, Oper. Res. 33, 1107 (1985).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...core.logarithms import log_sum, log_sums_by
from ...core.networks import connected_parts, log_eigenvalues, log_hitting
from ...fokker_planck.solvers.elimination import reduced_network

ELIMINATED, LEFT_OUT = -1, -2        # in the array of groups
LOG10 = np.log(10.0)


@dataclass(frozen=True, eq=False)
class CoreNetwork:
    """Wells as states of a Markov chain in continuous time.

    Attributes
    ----------
    log_mass : ndarray (n,)
        log of sum_i m_i q_a(i), the Gibbs weight of what reaches core a first (times exp(f0/theta)).
    log_capacity : ndarray (n, n)
        log cap_ab, symmetric; -inf on the diagonal and between parts that exchange nothing. In weight/time.
    """
    log_mass: np.ndarray
    log_capacity: np.ndarray

    @property
    def size(self) -> int:
        return self.log_mass.size

    @property
    def log_rate(self) -> np.ndarray:
        """log k_ab = log (cap_ab / mass_a), transitions from a to b per unit time spent around a."""
        return self.log_capacity - self.log_mass[:, None]

    @property
    def log_exit(self) -> np.ndarray:
        """log sum_b k_ab; -inf where nothing leaves."""
        return log_sum(self.log_rate, axis=-1)

    def without(self, node: int) -> tuple[CoreNetwork, np.ndarray]:
        """(network with one state eliminated, probabilities of the state that is reached first from it)."""
        others = np.delete(np.arange(self.size), node)
        out = self.log_capacity[node, others]
        total = log_sum(out)
        if total == -np.inf:
            return CoreNetwork(self.log_mass[others],
                               self.log_capacity[np.ix_(others, others)]), np.full(others.size, np.nan)
        share = out - total
        capacity = np.logaddexp(self.log_capacity[np.ix_(others, others)], out[:, None] + share[None, :])
        np.fill_diagonal(capacity, -np.inf)
        with np.errstate(under="ignore"):
            return CoreNetwork(np.logaddexp(self.log_mass[others], self.log_mass[node] + share),
                               capacity), np.exp(share)

    def log_mfpt(self, target: int) -> np.ndarray:
        """log of the mean first-passage time from each state to the core `target`; -inf there, +inf where it
        is out of reach."""
        return log_hitting(self.log_capacity, [target], self.log_mass)

    def only(self, states: ArrayLike) -> CoreNetwork:
        """The network of some of the states, the others and their connections left out."""
        return CoreNetwork(self.log_mass[states], self.log_capacity[np.ix_(states, states)])

    def part(self, node: int) -> np.ndarray:
        """States that exchange probability with `node`, as a mask."""
        part = connected_parts(self.size, np.argwhere(self.log_capacity > -np.inf))
        return part == part[node]

    def log_eigenvalues(self) -> np.ndarray:
        """Logarithms of the eigenvalues of -K, ascending; -inf once a part of the network."""
        found = log_eigenvalues(self.log_capacity, self.log_mass)
        return np.r_[np.full(self.size - found.size, -np.inf), found]

    def occupation(self, start: ArrayLike, log_times: ArrayLike) -> np.ndarray:
        """Probabilities (n_times, n) from the probabilities `start` (n,): start exp(K t), by squaring a
        matrix without negative entries."""
        log_rate, exits = self.log_rate, self.log_exit
        top = exits.max()
        out = np.empty((len(log_times), self.size))
        for n, log_t in enumerate(log_times):
            if top == -np.inf or log_t == -np.inf:
                out[n] = start
                continue
            halvings = max(0, int(np.ceil((top + log_t) / np.log(2))) + 6)
            with np.errstate(under="ignore"):
                scale = log_t - halvings * np.log(2)
                A = np.exp(log_rate + scale)
                jump = np.exp(exits + scale)                      # at most 1/64
                uniform = jump.max()
                A[np.diag_indices(self.size)] = uniform - jump
                P, term = np.eye(self.size), np.eye(self.size)
                for k in range(1, 12):
                    term = term @ A / k
                    P = P + term
                P /= P.sum(axis=1, keepdims=True)                 # exp(-uniform), and rounding
                for _ in range(halvings):
                    P = P @ P
                    P /= P.sum(axis=1, keepdims=True)
            out[n] = start @ P
        return out


def reduced(chain, groups, n_kept, most=np.inf):
    """The network of the kept groups of cells of a chain; None where that takes more work than `most`.

    Parameters
    ----------
    chain : SampledDiffusion
        With `log_mass`, `edges`, `log_conductance` and `grid`.
    groups : ndarray of int (n_cells,)
        Number of the kept node that a cell is part of, ELIMINATED, or LEFT_OUT (with its edges).
    n_kept : int
    """
    cells = np.flatnonzero(groups == ELIMINATED)
    n = cells.size
    node = np.where(groups >= 0, n + groups, -1)         # a group is one node however many cells it has
    node[cells] = np.arange(n)
    used = node >= 0
    masses = log_sums_by(node[used], chain.log_mass[used], n + n_kept)
    ends = np.sort(node[chain.edges], axis=1)
    inside = (ends[:, 0] >= 0) & (ends[:, 0] != ends[:, 1])
    pairs, owner = np.unique(ends[inside] @ [n + n_kept, 1], return_inverse=True)
    logs = log_sums_by(owner, chain.log_conductance[inside], pairs.size)
    I, J = np.divmod(pairs, n + n_kept)
    del ends, inside, owner, pairs                       # memory for the elimination
    direct = n <= I                                      # between two kept nodes
    capacity = np.full((n_kept, n_kept), -np.inf)
    capacity[I[direct] - n, J[direct] - n] = logs[direct]
    capacity = np.maximum(capacity, capacity.T)
    if not n or direct.all():
        return CoreNetwork(masses[n:], capacity)
    X = np.array(np.unravel_index(cells, chain.grid.shape))
    found = reduced_network(X, I[~direct], J[~direct], logs[~direct], masses, n_kept, most)
    return None if found is None else CoreNetwork(found[1], np.logaddexp(capacity, found[0]))
