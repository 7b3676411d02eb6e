"""Implicit solves of the whole grid, for times at which split steps are held back by the local relaxation.

(1 + tau (Q' + killing)) p = r on the graph of nodes, Q' the rates of the edges. Two ways, chosen by size:
elimination without subtraction along a nested dissection (exact at any tau: what metastable times need), and
conjugate gradients with an aggregation multigrid.
"""
from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from ...core.logarithms import dot
from ..solvers.aggregation import AggregationMultigrid
from ..solvers.directed_elimination import DirectedElimination
from ..solvers.elimination import Elimination, Ordering

ELIMINATED_2D, ELIMINATED_3D = 512**2, 22**3    # nodes up to which elimination is the quickest
DRIVEN_2D, DRIVEN_3D = 1_200_000, 50_000          # and up to which it is known with a force: no multigrid
MAX_FACTORS = 3
IN_RANGE = 600.0           # beta (f - f0) up to which exp(-beta f) and products with rates are in range
HIGHEST = 1000.0           # beta (f - f0) up to which the multigrid's symmetric form, p exp(b/2), is in range
# of unsplit steps, and zeros of the Laguerre polynomials of an order
ORDER, ZEROS = 8, {2: 2 + math.sqrt(2.0), 3: 2.294280360279042, 8: 4.26670017028766}
WAVES, FORGOTTEN = 4, 0.01 # of starts that are compared, and L1 distance from which they are the same
MOST_SOLVED = 8


class Graph:
    """Nodes inside the domain, their edges with the rates both ways and their killing."""

    def __init__(self, lines):
        self._lines, self.shape, self.ndim = lines, lines.shape, len(lines.shape)
        self.ids = np.arange(lines.b.size) if lines.inside is None else np.flatnonzero(lines.inside)
        self.N, self.b, self.is_driven = self.ids.size, lines.b[self.ids], lines.is_driven
        self.volumes = 1.0 if lines.volumes is None else lines.volumes[self.ids]
        self.killing = None if lines.killing is None else lines.killing[self.ids]

    @cached_property
    def _edges(self):
        """Made when they are solved with: in space they are the largest arrays of all."""
        I, J, up, down = self._lines.edges()
        keep = up + down > 0
        place = np.full(self._lines.b.size, -1)
        place[self.ids] = np.arange(self.N)
        return place[I[keep]], place[J[keep]], up[keep], down[keep]

    I, J, up, down = (property(lambda self, k=k: self._edges[k]) for k in range(4))

    @cached_property
    def ordering(self):
        """Order of elimination, the same for every step."""
        return Ordering(np.array(np.unravel_index(self.ids, self.shape)), self.I, self.J)

    @property
    def leaving(self):
        """Sum of the rates that lead away from each node."""
        return np.bincount(self.I, self.up, self.N) + np.bincount(self.J, self.down, self.N)

    @property
    def is_eliminated(self):
        """Whether a solve of this size is an elimination, else conjugate gradients with a multigrid."""
        if self.is_driven:
            return (DRIVEN_2D if self.ndim < 3 else DRIVEN_3D) >= self.N
        return (ELIMINATED_2D if self.ndim < 3 else ELIMINATED_3D) >= self.N

    @property
    def price(self):
        """Cost of an unsplit step on the chain of order 4, factors now and then, in split steps."""
        if not self.is_eliminated:
            return 1500.0 if self.b.max() <= HIGHEST and not self.is_driven else np.inf
        # about 28 solves, calls from Python that small grids feel, and factors: measured from 12^2 to 128^2
        return 45 - 30 / (1 + self.N / 1500) + 0.001 * self.ordering.cost / self.N

    def factors(self, tau):
        """An object whose `solve(r)` gives p for node values r of the whole grid."""
        return (_Eliminated if self.is_eliminated else _Multigrid)(self, tau)

    def excess(self, tau):
        return np.ones(self.N) if self.killing is None else 1 + tau * self.killing


class _Factors:
    """A solve on the nodes of a graph, given and returned on the whole grid."""

    def __init__(self, graph):
        self.ids, self.solved_before = graph.ids, []

    def solve(self, r):
        if self.ids.size == r.size:
            return self.solved(r)
        out = np.zeros_like(r)
        out[self.ids] = self.solved(r[self.ids])
        return out


class _Eliminated(_Factors):
    """p = m v with (tau K + m excess) v = r for stationary masses m in range: half the work. Higher up, rates
    both ways."""

    def __init__(self, graph, tau):
        super().__init__(graph)
        excess, self.mass = graph.excess(tau), None
        if not graph.is_driven and graph.b.max() < IN_RANGE:
            self.mass = mass = np.exp(-graph.b) * graph.volumes
            self.factors = Elimination(graph.ordering, tau * mass[graph.I] * graph.up, mass * excess)
        else:
            self.factors = DirectedElimination(graph.ordering, tau * graph.up, tau * graph.down, excess)

    def solved(self, r):
        return (self.factors.solve_transposed(r) if self.mass is None else self.mass * self.factors.solve(r))


class _Multigrid(_Factors):
    def __init__(self, graph, tau):
        super().__init__(graph)
        if graph.b.max() > HIGHEST:
            raise ValueError(f"unsplit steps on {graph.N} nodes know beta f up to {HIGHEST:g} above its "
                             f"minimum, got {graph.b.max():.3g}; mask the heights or take a coarser grid.")
        self.root = np.exp(-graph.b / 2)
        g, k = tau * np.sqrt(graph.up * graph.down), np.arange(graph.N)
        A = csr_matrix((np.r_[-g, -g, graph.excess(tau) + tau * graph.leaving],
                        (np.r_[graph.I, graph.J, k], np.r_[graph.J, graph.I, k])), shape=(graph.N, graph.N))
        self.hierarchy = AggregationMultigrid(A, self.root, graph.ids, graph.shape)

    def solved(self, y):
        return self.hierarchy.solve(y / self.root, 1e-11)[0] * self.root


def exponential(solve, p, dt, order=ORDER):
    """exp(-dt A) p from solves (1 + tau A)^-1 r = solve(r, tau), and its error in L1.

    It is the sum of L_k(x) w^k, w = 1 - (1 + dt A/x)^-1, with the Laguerre polynomials L_k of index -1 [1]_.
    Up to k = n that is of order n, and damps without limit where L_n of index 0 vanishes at x. The last term
    is the error of one order less.

    References
    ----------
    .. [1] S. P. Norsett, BIT 14, 63 (1974): restricted Pade approximations to the exponential function.
    """
    x, new, rest, b, b_before = ZEROS[order], p.copy(), p, 1.0, 0.0
    for k in range(1, order + 1):
        rest = rest - solve(rest, dt / x)
        b, b_before = ((2 * k - 2 - x) * b - (k - 2) * b_before) / k, b
        new += b * rest
        left = float(np.abs(rest).sum())
        if left <= 1e-15:                  # rounding
            break
    return new, abs(b) * left


class ImplicitStep:
    """Unsplit steps. Factors are kept by step size, so that steps on a ladder reuse them.

    Order 4 in space: A = sum over the axes of D M^-1 K D^-1, the same operator as in the split steps. It lies
    between the rates of order 2 and three times these, so the solve with them is a preconditioner with a
    spectrum in [1, 3]. The norm of the residual is the plain one: weights 1/D, in which A is symmetric, see
    only what still stands far up. With a force earlier solves are projected out first: late densities lie in
    the space of a few slow modes.
    """

    def __init__(self, graph, operator=None, positive=False):
        self.graph, self.operator, self.positive = graph, operator, positive
        self.kept, self.n_factors, self.n_solves, self.drift = {}, 0, 0, 1.0

    @staticmethod
    def of(lines, positive):
        """The step of the whole chain of `lines`."""
        is_order_4 = any((d > 0).any() for d in lines.delta)
        return ImplicitStep(Graph(lines), lines.operator if is_order_4 and not positive else None, positive)

    def _factors(self, tau):
        if tau not in self.kept:
            if len(self.kept) >= MAX_FACTORS:
                self.kept.pop(max(self.kept, key=lambda x: abs(np.log(x / tau))))
            self.kept[tau] = None
            self.n_factors += 1
        if self.kept[tau] is None:             # also after a run was resumed
            self.kept[tau] = self.graph.factors(tau)
        return self.kept[tau]

    def step(self, p, dt, accuracy, order=ORDER):
        """p after a step dt, and its error in L1 (0 when positive); `accuracy`: L1 error of a solve."""
        before, solve = p.sum(), lambda r, tau: self._solve(r, tau, accuracy)
        new, error = (solve(p, dt), 0.0) if self.positive else exponential(solve, p, dt, order)
        if self.graph.killing is None and np.abs(p).sum() < 2 * before:      # a density
            kept = new.sum() / before
            self.drift *= kept
            new /= kept
        return new, error

    def start_over(self):
        """Leave out earlier solves, which a resumed run does not know."""
        for factors in filter(None, self.kept.values()):
            factors.solved_before.clear()

    def forgets(self, tau):
        """Whether a step of this length brings all starts together: even ones with waves along the axes."""
        graph, starts = self.graph, [np.ones(self.graph.N)]
        for axis, i in enumerate(np.unravel_index(graph.ids, graph.shape)):
            starts += [1 + np.cos(np.pi * m * (i + 0.5) / graph.shape[axis]) for m in range(1, WAVES)]
        whole = np.zeros(math.prod(graph.shape))
        ends = []
        for start in starts:
            whole[graph.ids] = start / start.sum()
            ends.append(self._factors(tau).solve(whole))
        return max(float(np.abs(end - ends[0]).sum()) for end in ends) < FORGOTTEN

    def _solve(self, b, tau, accuracy):
        """(1 + tau A)^-1 b by steps of least residual, preconditioned and measured by the solve with the
        rates of order 2."""
        from .sweep_kernels import less_residual
        factors = self._factors(tau)
        first = factors.solve(b)
        self.n_solves += 1
        if self.operator is None or np.abs(b).sum() <= accuracy:
            return first
        x, r = _projected(first, factors.solved_before)
        left, sizes = float(np.abs(r).sum()), [math.sqrt(dot(r, r))]
        # what no longer shrinks is rounding
        while left > accuracy and (len(sizes) < 5 or sizes[-1] < 0.5 * sizes[-5]):
            q = factors.solve(r + tau * self.operator(r))
            self.n_solves += 1
            left, size = less_residual(x, r, q)
            sizes.append(size)
        if self.graph.is_driven and len(factors.solved_before) < MOST_SOLVED:
            more, q = _projected(first - r, factors.solved_before)
            if np.abs(q).sum() > accuracy:
                factors.solved_before.append((x - more, q, dot(q, q)))
        return x + r                           # which has the sum of b


def _projected(r, pairs):
    """(x, r less its image) for the combination x of pairs (x, image, squared norm) with the nearest
    image; images are orthogonal."""
    x, r = np.zeros_like(r), r.copy()
    for p, q, norm in pairs:
        a = dot(q, r) / norm
        x += a * p
        r -= a * q
    return x, r
