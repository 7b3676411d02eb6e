"""Solves on grids too large for elimination: iterations with multigrid, and what is nearly singular in closed
form.

One core, a single state, in each well. With q_a the committors of cores and regions, v = sum_a x_a q_a + u,
where u and the q_a solve problems that vanish on the cores, which are well conditioned at any temperature,
and x the small network of capacities by elimination without subtraction. Committors are sought as corrections
to the indicators of basins, with right-hand sides from edge differences at the basins' edges only, so that
they, and the capacities as products of edge differences, are not rounded in the wells.

The consistent rows of cut cells, A = K + ground + R, are solved as they are. Tested with the symmetric
committors Q_a, for which (K + ground) Q_a = 0 outside the cores, they change the network by small flows in
the cut cells: Q_a' A v = Q_a' (K + ground) v + Q_a' R v.
"""
from __future__ import annotations

from functools import cached_property

import numpy as np

from ...core.networks import potentials
from ..discretisation.chain import next_cells
from ..discretisation.wells import ways
from .aggregation import AggregationMultigrid
from .multigrid import StructuredMultigrid

TOLERANCE = 1e-11                          # of a residual
REFUSED = 1e-6                             # residual of a solve that has not converged
LIGHTEST = -300.0                          # log of the masses by which unknowns are scaled


class DeflatedSolver:
    """Solves (K + ground) v = b, like `Elimination`, and the same with the consistent rows.

    `cores`: states, one a well; by default those of `out.wells`.
    """

    def __init__(self, out, ground, cores=None):
        self.out, self.ground, self.laplacian = out, ground, out.laplacian
        self.cores = out.wells.nodes if cores is None else np.asarray(cores)
        self.free = np.ones(out.n, bool)
        self.free[self.cores] = False
        self.inner = _OnGrid(self) if out.is_on_cells else _OnGraph(self)
        self.basin = self._basins()
        self.plain = _System(self, None)

    @cached_property
    def rowed(self):
        """The system with the consistent rows; the symmetric one where there are none, or where they do not
        converge."""
        if self.out.rows is None:
            return self.plain
        try:
            return _System(self, self.out.rows)
        except Unsolved:
            return self.plain

    def committor(self, k):
        """Probability of reaching region k before the others from each state, by the consistent rows."""
        return self.rowed.committor(k)

    def solve(self, b, by_rows=False, start=None):
        """v with (K + ground) v = b, for b (n,) or (p, n); for one b also from a v that is nearly right."""
        system = self.rowed if by_rows else self.plain
        if start is not None:
            return system.solve(b, start)
        return np.array([system.solve(row) for row in np.atleast_2d(b)]).reshape(np.shape(b))

    def _basins(self):
        """Core, or region, that the best way from each state leads to."""
        from ..discretisation.wells_kernels import gather, spread
        out, n, seeds = self.out, self.out.n_nodes, self.cores.size
        label = np.full(n + len(out.log_killings), -1)
        label[out.ids[self.cores] if out.is_on_cells else self.cores] = np.arange(seeds)
        for k, g in enumerate(out.log_killings):
            label[n + k] = -1 if g is None else seeds + k
        parent = np.arange(label.size)
        for I, J, _ in ways(out):
            gather(I, J, parent, label)
        spread(parent, label)
        return label[out.ids] if out.is_on_cells else label[:n]


class Unsolved(ValueError):
    pass


class _System:
    """Committors of cores and regions, and the network of the cores, for the symmetric chain or for the
    consistent `rows`."""

    def __init__(self, large, rows):
        self.large, self.rows, out = large, rows, large.out
        self.tests = self.Q = np.zeros((0, out.n))
        cores = large.cores.size
        if rows is None and cores:
            self.tests = self.Q = np.array([self._lifted(a, core=a) for a in range(cores)])
        elif cores:
            self.tests = large.plain.Q
            self.Q = np.array([q + self._correction(self._excess(q)) for q in self.tests])
        self.C = np.zeros((cores, cores))
        for i in range(cores):
            for j in range(cores):
                if i != j:
                    self.C[i, j] = self._capacity(i, j)

    @cached_property
    def regions(self):
        """Committor of each region from the states, 0 on the cores; None where nothing is absorbed."""
        cores = self.large.cores.size
        return [None if g is None else self._lifted(cores + k, region=k)
                for k, g in enumerate(self.large.out.killings)]

    @cached_property
    def leaks(self):
        """Flow of the committor of each core into each region."""
        return [None if r is None else np.array([self._into(a, r, k) for a in self.tests])
                for k, r in enumerate(self.regions)]

    @cached_property
    def leak(self):
        dry = np.where(self.large.out.reaches_boundary, 0.0, self.large.ground)
        return sum((l for l in self.leaks if l is not None), self.tests @ dry)

    def committor(self, k):
        q = self.regions[k]
        return q + potentials(self.C, self.leak, self.leaks[k]) @ self.Q if len(self.Q) else q

    def solve(self, b, start=None):
        """v with A v = b, from 0 or, where that leaves less, from a v that is nearly right."""
        v, rest, size = 0.0, b, self.large.inner.size(b)
        if start is not None:
            near = start - start[self.large.cores] @ self.Q
            left = b + self._flow(near)
            # where times in wells are long, their rounding drowns what the start knows
            if self.large.inner.size(left) < size:
                v, rest = near, left
        v = v + self._correction(rest, size)
        if len(self.Q):
            v = v + potentials(self.C, self.leak, self.tests @ (b + self._excess(v))) @ self.Q
        return v

    def _lifted(self, seed, region=None, core=None):
        """Committor of a core or region as the indicator of its basin plus a correction."""
        q = np.where(self.large.basin == seed, 1.0, 0.0)
        q[self.large.cores] = 0.0
        if core is not None:
            q[self.large.cores[core]] = 1.0
        return np.clip(q + self._correction(self._flow(q, region)), 0.0, 1.0)

    def _correction(self, b, size=None):
        return self.large.inner.solve(b, self.rows, size)

    def _flow(self, v, region=None):
        """Flow into each state when v is prescribed, 1 on the region: minus the residual, from
        differences."""
        out, ground = self.large.out, self.large.ground
        g = 0.0 if region is None else out.killings[region]
        return -(self.large.laplacian @ v) + g * (1 - v) - (ground - g) * v + self._excess(v, region)

    def _excess(self, v, region=None):
        """The same for what the consistent rows have beyond the symmetric chain (n,); 0.0 without them."""
        return 0.0 if self.rows is None else self.rows.flow(v, region)

    def _capacity(self, i, j):
        """Flow between two cores: minus the product of edge differences."""
        a, b = self.tests[i], self.Q[j]
        flow = -self.large.laplacian.form(a, b) - float((self.large.ground * a) @ b)
        return max(flow + float(np.sum(a * self._excess(b))), 0.0)

    def _into(self, a, r, k):
        """Flow of a core's committor into region k, whose committor is r."""
        g, ground = self.large.out.killings[k], self.large.ground
        inside = float((g * a) @ (1 - r)) - float(((ground - g) * a) @ r)
        flow = inside - self.large.laplacian.form(a, r)
        return max(flow + float(np.sum(a * self._excess(r, k))), 0.0)


class _OnGrid:
    """Solves outside the cores for a chain of neighbouring cells."""

    def __init__(self, large):
        out, grid = large.out, large.out.grid
        self.out, self.free = out, large.free
        ground = np.array(out.on_cells(large.ground))
        links = large.laplacian.links.copy()
        cores = out.ids[large.cores]
        for axis in range(grid.ndim):                            # a core is a place of value 0
            after, before = (next_cells(grid.shape, axis, cores, sign) for sign in (1, -1))
            for core, up, down in zip(cores, after, before):
                ground[up] += links[axis, core]
                links[axis, core] = 0.0
                ground[down] += links[axis, down]
                links[axis, down] = 0.0
        ground[cores] = 0.0
        self.stencil = StructuredMultigrid(grid.shape, links, ground)

    def _full(self, b):
        return self.out.on_cells(np.where(self.free, b, 0.0))

    def size(self, b):
        return self.stencil.size(self._full(b))

    def solve(self, b, rows=None, size=None):
        """v, 0 on the cores, with a residual of TOLERANCE of `size`, by default that of b."""
        excess = None if rows is None else rows.on_cells(self.free)
        x, reached = self.stencil.solve(self._full(b), TOLERANCE, excess, size)
        return np.where(self.free, _checked(x, reached, self.out)[self.out.ids], 0.0)


class _OnGraph:
    """The same for any chain."""

    def __init__(self, large):
        from scipy.sparse import csr_matrix
        out, c, ground = large.out, large.out.c, large.ground
        self.out, self.free = out, large.free
        n, I, J = out.n, out.I, out.J
        root = np.exp(np.maximum(out.log_m - out.log_m.max(), LIGHTEST) / 2)
        d = np.bincount(I, c, n) + np.bincount(J, c, n) + ground
        off = -c / (root[I] * root[J])
        k = np.arange(n)
        A = csr_matrix((np.r_[off, off, d / root**2], (np.r_[I, J, k], np.r_[J, I, k])), shape=(n, n))
        self.root = root[self.free]
        self.scale = 1 / np.median(d / root**2)
        self.A = (A[self.free][:, self.free] * self.scale).tocsr()
        self.hierarchy = AggregationMultigrid(self.A, self.root.copy(), out.ids[self.free], out.grid.shape)

    def _scaled(self, b):
        return b[self.free] / self.root * self.scale

    def size(self, b):
        return self.hierarchy.size(self._scaled(b))

    def solve(self, b, rows=None, size=None):
        r = self._scaled(b)
        size = self.hierarchy.size(r) if size is None else size
        x, _ = self.hierarchy.solve(r, TOLERANCE, None, size)
        v = np.zeros(self.out.n)
        v[self.free] = _checked(x, np.linalg.norm(r - self.A @ x) / size if size > 0 else 0.0,
                                self.out) / self.root
        return v


def _checked(x, reached, out):
    if not reached <= REFUSED:
        raise Unsolved(f"the iterative solver stopped at a residual of {reached:.1g} on "
                       f"{'x'.join(map(str, out.grid.shape))} cells: f changes by too many "
                       "theta from cell to cell for it; refine the grid, leave out what lies high above the "
                       "saddles, or raise theta.")
    return x
