"""Implicit solves of the whole grid, for times at which split steps are held back by the local relaxation.

(D + tau (K + killing)) v = r on the graph of nodes. Three ways, chosen by size: elimination without
subtraction in a band (exact at any tau: what metastable times need), sparse LU, and conjugate gradients with
an aggregation multigrid.
"""
from __future__ import annotations

import numpy as np

from ...core.logarithms import dot
from .sweep_kernels import GAMMA, KAPPA

BAND_ENTRIES = 4_000_000  # N times bandwidth up to which elimination in a band is the quickest
LU_NODES_2D, LU_NODES_3D = 512**2, 22**3
MAX_FACTORS = 3
# half the fill
LU_OPTIONS = dict(permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=dict(SymmetricMode=True))


class Graph:
    """Nodes inside the domain, their masses, edges and killing, in an order with a small bandwidth."""

    def __init__(self, D, I, J, c, killing=None, shape=None, inside=None, has_rings=False):
        keep = c > 0
        I, J, c = I[keep], J[keep], c[keep]
        self.ids = self._ordered(inside, I, J, D.size, shape, has_rings)
        place = np.full(D.size, -1)
        place[self.ids] = np.arange(self.ids.size)
        self.N = self.ids.size
        self.D = D[self.ids]
        self.I, self.J, self.c = place[I], place[J], c
        self.killing = None if killing is None else killing[self.ids]
        self.band = int(np.abs(self.I - self.J).max()) if c.size else 1
        self.shape = shape
        self.ndim = 1 if shape is None else len(shape)

    @staticmethod
    def _ordered(inside, I, J, n, shape, has_rings):
        """Ids of the nodes: longest axis slowest, or reverse Cuthill-McKee where there is no such order."""
        if shape is not None and not has_rings:
            ids = np.arange(n).reshape(shape).transpose(np.argsort(shape, kind="stable")[::-1]).ravel()
            return ids if inside is None else ids[inside[ids]]
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import reverse_cuthill_mckee
        ids = np.arange(n) if inside is None else np.flatnonzero(inside)
        place = np.full(n, -1)
        place[ids] = np.arange(ids.size)
        i, j = place[I], place[J]
        graph = coo_matrix((np.ones(2 * i.size, np.int8), (np.r_[i, j], np.r_[j, i])),
                           shape=(ids.size, ids.size)).tocsr()
        return ids[reverse_cuthill_mckee(graph, symmetric_mode=True)]

    @property
    def largest_rate(self):
        rates = np.bincount(self.I, self.c, self.N) + np.bincount(self.J, self.c, self.N)
        return float((rates / self.D).max())

    @property
    def method(self):
        """'band', 'lu' or 'multigrid': what a solve of this size uses."""
        if self.N * self.band <= BAND_ENTRIES:
            return "band"
        return "lu" if (LU_NODES_2D if self.ndim < 3 else LU_NODES_3D) >= self.N else "multigrid"

    def factors(self, tau):
        """An object whose `solve(r)` gives v for node values r of the whole grid."""
        return {"band": _Band, "lu": _LU, "multigrid": _Multigrid}[self.method](self, tau)

    def excess(self, tau):
        return self.D.copy() if self.killing is None else self.D + tau * self.killing

    def scaled(self, tau):
        """D^-1/2 (D + tau K) D^-1/2 in CSR form and sqrt(D)."""
        from scipy.sparse import csr_matrix
        root = np.sqrt(self.D)
        g = tau * self.c / (root[self.I] * root[self.J])
        d = self.excess(tau) / self.D + tau * (np.bincount(self.I, self.c, self.N)
                                               + np.bincount(self.J, self.c, self.N)) / self.D
        k = np.arange(self.N)
        return csr_matrix((np.r_[-g, -g, d], (np.r_[self.I, self.J, k], np.r_[self.J, self.I, k])),
                          shape=(self.N, self.N)), root


class _Band:
    def __init__(self, graph, tau):
        from ..solvers.band_kernels import band_factors
        low, high = np.minimum(graph.I, graph.J), np.maximum(graph.I, graph.J)
        b = max(graph.band, 1)
        self.U = np.bincount(low * b + (high - low - 1), tau * graph.c, graph.N * b).reshape(graph.N, b)
        self.pivot = np.empty(graph.N)
        self.ids = graph.ids
        band_factors(self.U, graph.excess(tau), self.pivot)

    def solve(self, r):
        from ..solvers.band_kernels import band_solve
        y = r[self.ids]
        band_solve(self.U, self.pivot, y)
        out = np.zeros_like(r)
        out[self.ids] = y
        return out


class _LU:
    def __init__(self, graph, tau):
        from scipy.sparse.linalg import splu
        A, self.root = graph.scaled(tau)
        self.ids = graph.ids
        self.lu = splu(A.tocsc(), **LU_OPTIONS)

    def solve(self, r):
        out = np.zeros_like(r)
        out[self.ids] = self.lu.solve(r[self.ids] / self.root) / self.root
        return out


class _Multigrid:
    def __init__(self, graph, tau):
        from ..solvers.aggregation import AggregationMultigrid
        A, self.root = graph.scaled(tau)
        self.ids = graph.ids
        self.hierarchy = AggregationMultigrid(A, self.root, graph.ids, graph.shape)

    def solve(self, r):
        out = np.zeros_like(r)
        out[self.ids] = self.hierarchy.solve(r[self.ids] / self.root, 1e-11)[0] / self.root
        return out


class ImplicitStep:
    """Unsplit steps. Factors are kept by step size, so that steps on a ladder reuse them.

    Order 4: dv/dt = -A v, A = sum over the axes of M^-1 K, the same operator as in the split steps. It lies
    between D^-1 K and 3 D^-1 K, so the solve with D + tau K is a preconditioner with a spectrum in [1, 3]: a
    few conjugate residual steps.
    """

    def __init__(self, graph, operator=None, positive=False):
        self.graph, self.operator, self.positive = graph, operator, positive
        self.kept, self.n_factors, self.n_solves, self.drift = {}, 0, 0, 1.0

    def _factors(self, tau):
        if tau not in self.kept:
            if len(self.kept) >= MAX_FACTORS:
                self.kept.pop(max(self.kept, key=lambda x: abs(np.log(x / tau))))
            self.kept[tau] = self.graph.factors(tau)
            self.n_factors += 1
        return self.kept[tau]

    def step(self, v, dt, accuracy, D):
        """One SDIRK2 step (backward Euler when positive); D: node masses, 0 outside; `accuracy`: L1 error
        allowed in a solve."""
        before = dot(D, v)
        if self.positive:
            new = self._solve(v, dt, accuracy, D)
        else:
            y = self._solve(v, GAMMA * dt, accuracy, D)
            # S w with w = v + KAPPA (y - v) as the difference of two solves of positive data: S v = y is
            # known already
            new = (1 - KAPPA) * y + KAPPA * self._solve(y, GAMMA * dt, accuracy, D)
        if self.graph.killing is None and before != 0:
            kept = dot(D, new) / before
            self.drift *= kept
            new /= kept
        return new

    def _solve(self, b, tau, accuracy, D):
        """(1 + tau A)^-1 b by conjugate residuals, preconditioned and measured by the solve with D + tau
        K."""
        factors = self._factors(tau)
        x = factors.solve(D * b)
        self.n_solves += 1
        if self.operator is None:
            return x
        # D + tau K times the first guess is D b, so the first residual is the difference of the two operators
        r = factors.solve(D * (b - x - tau * self.operator(x)))
        directions = []
        last = np.inf
        for _ in range(25):
            weighted = D * r
            size = np.sqrt(dot(weighted, r))
            # what no longer shrinks is rounding
            if np.abs(weighted).sum() <= accuracy or not size < 0.8 * last:
                break
            last = size
            p = r.copy()
            q = factors.solve(D * (p + tau * self.operator(p)))
            self.n_solves += 1
            for p_old, q_old, norm in directions:
                a = dot(D * q_old, q) / norm
                q -= a * q_old
                p -= a * p_old
            weighted = D * q
            norm = dot(weighted, q)
            if not norm > 0:
                break
            a = dot(weighted, r) / norm
            x += a * p
            r -= a * q
            directions.append((p, q, norm))
        return x
