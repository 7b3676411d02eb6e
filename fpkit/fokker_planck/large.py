"""Solves on grids too large for elimination: conjugate gradients with multigrid, and what is nearly singular in closed form.

One core, a single state, in each well. With q_a the committors of cores and regions, v = sum_a x_a q_a + u, where u and the q_a solve
problems that vanish on the cores, which are well conditioned at any temperature, and x the small network of capacities by
elimination without subtraction. Committors are sought as corrections to the indicators of basins, with right-hand sides from edge
differences at the basins' edges only, so that they, and the capacities as products of edge differences, are not rounded in the wells.
"""
from __future__ import annotations

import numpy as np

TOLERANCE = 1e-9                           # of a residual; energies, and so capacities, err by its square
LIGHTEST = -300.0                          # log of the masses by which unknowns are scaled


class Large:
    """Solves (K + ground) v = b for b >= 0, like `Elimination`."""

    def __init__(self, out, c, ground):
        from scipy.sparse import csr_matrix
        from .multigrid import Hierarchy
        self.out, self.c, self.ground = out, c, ground
        n, I, J = out.n, out.I, out.J
        cores = self.cores = out.wells.nodes
        self.free = np.ones(n, bool)
        self.free[cores] = False
        root = np.exp(np.maximum(out.log_m - out.log_m.max(), LIGHTEST) / 2)
        d = np.bincount(I, c, n) + np.bincount(J, c, n) + ground
        off = -c / (root[I] * root[J])
        k = np.arange(n)
        A = csr_matrix((np.r_[off, off, d / root**2], (np.r_[I, J, k], np.r_[J, I, k])), shape=(n, n))
        self.root = root[self.free]
        scale = self.scale = 1 / np.median(d / root**2)
        self.hierarchy = Hierarchy((A[self.free][:, self.free] * scale).tocsr(), self.root.copy(), out.ids[self.free], out.grid.shape)
        basin = self._basins()
        self.Q = np.array([self._lifted(np.where(basin == a, 1.0, 0.0), None, a) for a in range(cores.size)]).reshape(cores.size, n)
        self.at_regions = [None if g is None else self._lifted(np.where(basin == cores.size + q, 1.0, 0.0), g, None)
                           for q, g in enumerate(out.grounds)]
        self.C = np.zeros((cores.size, cores.size))
        for i in range(cores.size):
            for j in range(i):
                self.C[i, j] = self.C[j, i] = self._capacity(self.Q[i], self.Q[j])
        self.leaks = [None if r is None else np.array([self._into(a, r, g) for a in self.Q]) for r, g in zip(self.at_regions, out.grounds)]
        self.leak = sum((l for l in self.leaks if l is not None), self.Q @ np.where(out.drained, 0.0, ground))

    def _basins(self):
        """Core, or region, that the best way from each state leads to."""
        from .wells_kernels import gather
        out, n = self.out, self.out.n
        I, J, log_c = out.I, out.J, out.log_c
        seeds = self.cores.size
        label = np.full(n + len(out.log_grounds), -1)
        label[self.cores] = np.arange(seeds)
        for k, g in enumerate(out.log_grounds):
            if g is not None:
                at = np.flatnonzero(np.isfinite(g))
                I, J, log_c = np.r_[I, at], np.r_[J, np.full(at.size, n + k)], np.r_[log_c, g[at]]
                label[n + k] = seeds + k
        gather(np.argsort(-log_c, kind="stable"), I.astype(np.int64), J.astype(np.int64), label)
        return label[:n]

    def _lifted(self, start, region, core):
        """Committor of a core or region as `start` plus a correction; `region`: its conductances."""
        I, J, n = self.out.I, self.out.J, self.out.n
        q = start.copy()
        q[self.cores] = 0.0
        if core is not None:
            q[self.cores[core]] = 1.0
        for _ in range(2):                     # once more for the last digits
            flow = self.c * (q[J] - q[I])
            r = np.bincount(I, flow, n) - np.bincount(J, flow, n) - self.ground * q
            if region is not None:
                r = np.bincount(I, flow, n) - np.bincount(J, flow, n) - (self.ground - region) * q + region * (1 - q)
            y = self.hierarchy.solve(r[self.free] / self.root * self.scale, TOLERANCE)
            q[self.free] += y / self.root
        return np.clip(q, 0.0, 1.0)

    def _capacity(self, a, b):
        """Flow between two cores: minus the product of edge differences."""
        out = self.out
        return max(-float((self.c * (a[out.J] - a[out.I])) @ (b[out.J] - b[out.I])) - float((self.ground * a) @ b), 0.0)

    def _into(self, a, r, g):
        """Flow of a core's committor into a region."""
        out = self.out
        inside = float((g * a) @ (1 - r)) - float(((self.ground - g) * a) @ r)
        return max(inside - float((self.c * (a[out.J] - a[out.I])) @ (r[out.J] - r[out.I])), 0.0)

    def committor(self, k):
        """Probability of reaching region k before the others from each state."""
        q = self.at_regions[k]
        if self.cores.size:
            q = q + _network(self.C, self.leak, self.leaks[k]) @ self.Q
        return q

    agreed, steps = 1e-7, 6                # see `Elimination`

    def near(self, nodes):
        """See `Elimination`: here the whole is solved."""
        def solve(b):
            full = np.zeros((len(b), self.out.n))
            full[:, nodes] = b
            return self.solve_signed(full)[:, nodes]
        return solve

    def solve_signed(self, b):
        """The same for b of both signs."""
        return self.solve(b, is_positive=False)

    def solve(self, b, is_positive=True):
        rows = np.atleast_2d(b)
        v = np.zeros(rows.shape)
        for q, row in enumerate(rows):
            if not row.any():
                continue
            u = self.hierarchy.solve(row[self.free] / self.root * self.scale, TOLERANCE) / self.root
            v[q, self.free] = np.maximum(u, 0.0) if is_positive else u
            if self.cores.size:
                v[q] += _network(self.C, self.leak, self.Q @ row) @ self.Q
        return v.reshape(np.shape(b))


def _network(C, leak, b):
    """x with sum_j C_ij (x_i - x_j) + leak_i x_i = b_i, by elimination without subtraction."""
    C, leak, b = C.copy(), leak.copy(), b.copy()
    k = len(b)
    s = np.zeros(k)
    for i in range(k):
        s[i] = C[i, i + 1:].sum() + leak[i]
        for j in range(i + 1, k):
            x = C[i, j] / s[i]
            leak[j] += x * leak[i]
            b[j] += x * b[i]
            C[j, i + 1:] += x * C[i, i + 1:]
            C[j, j] = 0.0
    v = np.zeros(k)
    for i in reversed(range(k)):
        v[i] = (b[i] + C[i, i + 1:] @ v[i + 1:]) / s[i]
    return v
