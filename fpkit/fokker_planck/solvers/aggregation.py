"""Aggregation multigrid for (D + tau K) v = r on any graph of cells.

In the scaled unknown sqrt(D) v, 2^d cells become one with a prolongation that is piecewise constant in v, so
that every coarse level is again a reversible chain, the lumped one.
"""
from __future__ import annotations

import numpy as np

from .multigrid import KCycle

DIRECT = 400                               # unknowns below which the level is solved by LU


class AggregationMultigrid(KCycle):
    """Levels of the matrix A (CSR, symmetric, scaled by `root` = sqrt(D)); `ids`: flat indices of the
    unknowns on a grid of `shape`."""

    def __init__(self, A, root, ids, shape):
        from scipy.sparse import csr_matrix
        from scipy.sparse.linalg import splu
        self.levels = []
        while A.shape[0] > DIRECT:
            coarse = tuple((s + 1) // 2 for s in shape)
            parent = np.ravel_multi_index(tuple(c // 2 for c in np.unravel_index(ids, shape)), coarse)
            ids, parent = np.unique(parent, return_inverse=True)
            if ids.size > 0.9 * A.shape[0]:
                break                          # scattered unknowns that do not aggregate
            norm = np.maximum(np.sqrt(np.bincount(parent, root**2)), 1e-300)
            P = csr_matrix((root / norm[parent], (np.arange(parent.size), parent)),
                           shape=(parent.size, ids.size))
            R = P.T.tocsr()
            A.sort_indices()
            self.levels.append((A, P, R))
            A, root, shape = (R @ A @ P).tocsr(), norm, coarse
        self.levels.append((A, None, None))
        self.weights = [np.ones(level[0].shape[0]) for level in self.levels]
        self.direct = splu(A.tocsc()).solve

    def product(self, k, x):
        return self.levels[k][0] @ x

    def relaxed(self, k, b):
        A, _, R = self.levels[k]
        x = np.zeros_like(b)
        self._sweep(A, b, x, False)
        return x, R @ (b - A @ x)

    def corrected(self, k, b, x, e):
        A, P, _ = self.levels[k]
        x += P @ e
        self._sweep(A, b, x, True)
        return x

    @staticmethod
    def _sweep(A, b, x, backward):
        from .aggregation_kernels import gauss_seidel
        gauss_seidel(A.indptr, A.indices, A.data, b, x, backward)
