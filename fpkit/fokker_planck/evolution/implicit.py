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
from .sweep_kernels import GAMMA, KAPPA

ELIMINATED_2D, ELIMINATED_3D = 512**2, 22**3    # nodes up to which elimination is the quickest
DRIVEN_2D, DRIVEN_3D = 1_200_000, 50_000          # and up to which it is known with a force: no multigrid
MAX_FACTORS = 3
IN_RANGE = 600.0           # beta (f - f0) up to which exp(-beta f) and products with rates are in range
HIGHEST = 1000.0           # beta (f - f0) up to which the multigrid's symmetric form, p exp(b/2), is in range
WAVES, FORGOTTEN = 4, 0.01 # of starts that are compared, and L1 distance from which they are the same
HEAVIEST = 300.0           # log of the largest weight in the norm of the conjugate residuals
# with a force, of order 3: the weights of S, S^2, S^3 for S = (1 + GAMMA_3 dt A)^-1, L-stable
GAMMA_3 = 0.43586652150845967
CUBIC = np.linalg.solve([[1, 1, 1], [1, 2, 3], [1, 3, 6]], [1, 1 / GAMMA_3, 1 / (2 * GAMMA_3**2)])
MOST_SOLVED = 8


class Graph:
    """Nodes inside the domain, their edges with the rates both ways and their killing."""

    def __init__(self, lines):
        I, J, up, down = lines.edges()
        keep = up + down > 0
        I, J, self.up, self.down = I[keep], J[keep], up[keep], down[keep]
        self.shape, self.ndim = lines.shape, len(lines.shape)
        self.ids = np.arange(lines.b.size) if lines.inside is None else np.flatnonzero(lines.inside)
        place = np.full(lines.b.size, -1)
        place[self.ids] = np.arange(self.ids.size)
        self.N, self.b = self.ids.size, lines.b[self.ids]
        self.is_driven = lines.is_driven
        self.volumes = 1.0 if lines.volumes is None else lines.volumes[self.ids]
        self.I, self.J = place[I], place[J]
        self.killing = None if lines.killing is None else lines.killing[self.ids]

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
        """Cost of an unsplit step (three SDIRK2 steps of order 4, factors now and then) in split steps."""
        if not self.is_eliminated:
            return 1500.0 if self.b.max() <= HIGHEST and not self.is_driven else np.inf
        # solves, calls from Python that small grids feel, and factors: measured from 16^2 to 300^2 and 22^3
        return 40 + 60 / (1 + self.N / 4000) + 0.001 * self.ordering.cost / self.N

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
                             "minimum, got "
                             f"{graph.b.max():.3g}; mask the heights out or take a coarser grid.")
        self.root = np.exp(-graph.b / 2)
        g, k = tau * np.sqrt(graph.up * graph.down), np.arange(graph.N)
        A = csr_matrix((np.r_[-g, -g, graph.excess(tau) + tau * graph.leaving],
                        (np.r_[graph.I, graph.J, k], np.r_[graph.J, graph.I, k])), shape=(graph.N, graph.N))
        self.hierarchy = AggregationMultigrid(A, self.root, graph.ids, graph.shape)

    def solved(self, y):
        return self.hierarchy.solve(y / self.root, 1e-11)[0] * self.root


class ImplicitStep:
    """Unsplit steps, SDIRK2, with a force SDIRK3. Factors are kept by step size, so that steps on a ladder
    reuse them.

    Order 4: dp/dt = -A p, A = sum over the axes of D M^-1 K D^-1, the same operator as in the split steps. It
    lies between the rates of order 2 and three times these, so the solve with them is a preconditioner with a
    spectrum in [1, 3]: a few conjugate residual steps. With a force earlier solves are projected out
    first: late densities lie in the space of a few slow modes.
    """

    def __init__(self, graph, operator=None, positive=False, weight=None):
        self.graph, self.operator, self.positive, self.weight = graph, operator, positive, weight
        self.kept, self.n_factors, self.n_solves, self.drift = {}, 0, 0, 1.0

    @staticmethod
    def of(lines, positive):
        """The step of the whole chain of `lines`."""
        is_order_4 = any((d > 0).any() for d in lines.delta)
        # the norm in which A is symmetric, 1/D, as far up as it is in range; there is none with a force
        weight = 1.0 if lines.is_driven else np.exp(np.minimum(lines.b, HEAVIEST))
        return ImplicitStep(Graph(lines), lines.operator if is_order_4 and not positive else None, positive,
                            weight)

    def _factors(self, tau):
        if tau not in self.kept:
            if len(self.kept) >= MAX_FACTORS:
                self.kept.pop(max(self.kept, key=lambda x: abs(np.log(x / tau))))
            self.kept[tau] = None
            self.n_factors += 1
        if self.kept[tau] is None:             # also after a run was resumed
            self.kept[tau] = self.graph.factors(tau)
        return self.kept[tau]

    def step(self, p, dt, accuracy):
        """One step (backward Euler when positive); `accuracy`: L1 error allowed in a solve."""
        before = p.sum()
        if self.positive:
            new = self._solve(p, dt, accuracy)
        elif self.graph.is_driven:
            new, y = 0.0, p
            for share in CUBIC:
                y = self._solve(y, GAMMA_3 * dt, accuracy)
                new = new + share * y
        else:
            y = self._solve(p, GAMMA * dt, accuracy)
            # S w with w = p + KAPPA (y - p) as the difference of two solves of positive data: S p = y is
            # known already
            new = (1 - KAPPA) * y + KAPPA * self._solve(y, GAMMA * dt, accuracy)
        if self.graph.killing is None and np.abs(p).sum() < 2 * before:      # a density
            kept = new.sum() / before
            self.drift *= kept
            new /= kept
        return new

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
        """(1 + tau A)^-1 b by conjugate residuals, preconditioned and measured by the solve with the rates of
        order 2."""
        factors = self._factors(tau)
        x = factors.solve(b)
        self.n_solves += 1
        if self.operator is None:
            return x
        if self.graph.is_driven:
            first = x
            x, r = _projected(x, factors.solved_before)
        else:
            # 1 + tau times these rates, applied to the first guess, is b, so the first residual is the
            # difference of the two operators
            r = factors.solve(b - x - tau * self.operator(x))
        directions = []
        last = np.inf
        for _ in range(25):
            weighted = self.weight * r
            size = np.sqrt(dot(weighted, r))
            # what no longer shrinks is rounding
            if np.abs(r).sum() <= accuracy or not size < 0.8 * last:
                break
            last = size
            p = r.copy()
            q = factors.solve(p + tau * self.operator(p))
            self.n_solves += 1
            weighted = self.weight * q
            for p_old, q_old, norm in directions:
                a = dot(weighted, q_old) / norm
                q -= a * q_old
                p -= a * p_old
            weighted = self.weight * q
            norm = dot(weighted, q)
            if not norm > 0:
                break
            a = dot(weighted, r) / norm
            x += a * p
            r -= a * q
            directions.append((p, q, norm))
        if not self.graph.is_driven:
            return x
        if len(factors.solved_before) < MOST_SOLVED:
            left, q = _projected(first - r, factors.solved_before)
            if np.abs(q).sum() > accuracy:
                factors.solved_before.append((x - left, q, dot(q, q)))
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
