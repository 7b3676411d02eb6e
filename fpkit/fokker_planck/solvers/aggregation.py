"""Conjugate gradients with an aggregation multigrid for (D + tau K) v = r on large grids.

In the scaled unknown sqrt(D) v, 2^d cells become one with a prolongation that is piecewise constant in v, so
that every coarse level is again a reversible chain, the lumped one. Gauss-Seidel forward before and backward
after; on the coarse level two steps of flexible conjugate gradients (K-cycle [1]_): the number of iterations
then does not grow with the grid.

References
----------
.. [1] Y. Notay, Electron. Trans. Numer. Anal. 37, 123 (2010).
"""
from __future__ import annotations

import numpy as np

from ...core.logarithms import dot

DIRECT = 400                               # unknowns below which the level is solved by LU
MAX_ITERATIONS = 200


class AggregationMultigrid:
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
        self.levels.append((A, splu(A.tocsc()), None))

    def solve(self, b, tolerance):
        """x with |b - A x| <= tolerance |b|, by flexible conjugate gradients."""
        A = self.levels[0][0]
        x, r = np.zeros_like(b), b.copy()
        limit = tolerance * np.sqrt(dot(b, b))
        p = before = None
        scale = 1.0
        for _ in range(MAX_ITERATIONS):
            if np.sqrt(dot(r, r)) <= limit:
                break
            z = self._cycle(0, r)
            p = z if p is None else z + dot(z, r - before) / scale * p
            scale = dot(z, r)
            q = A @ p
            curvature = dot(p, q)
            if not curvature > 0 or not np.isfinite(scale):
                break
            a = scale / curvature
            x += a * p
            before = r
            r = r - a * q
        return x

    def _cycle(self, k, b):
        from .band_kernels import gauss_seidel
        A, P, R = self.levels[k]
        if R is None:
            return P.solve(b)
        x = np.zeros_like(b)
        gauss_seidel(A.indptr, A.indices, A.data, b, x, False)
        x += P @ self._coarse(k + 1, R @ (b - A @ x))
        gauss_seidel(A.indptr, A.indices, A.data, b, x, True)
        return x

    def _coarse(self, k, r):
        """Two steps of flexible conjugate gradients on level k (one solve on the last)."""
        e = self._cycle(k, r)
        A, _, R = self.levels[k]
        if R is None:
            return e
        q = A @ e
        eq = dot(e, q)
        if not eq > 0:
            return e
        a = dot(e, r) / eq
        rest = r - a * q
        d = self._cycle(k, rest)
        d = d - dot(d, q) / eq * e
        qd = A @ d
        dq = dot(d, qd)
        return a * e + (dot(d, rest) / dq * d if dq > 0 else 0.0)
