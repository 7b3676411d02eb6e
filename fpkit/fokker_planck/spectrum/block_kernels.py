"""Energies and masses of many functions on a grid of cells in one pass over memory."""
import numpy as np
from numba import njit, types

from ...core.compilation import integers_1d, kernel, numbers_1d, numbers_2d
from ...core.compilation.special import REGROUPED, options


@njit(**{**options, "fastmath": REGROUPED})
def _dot(x, y):
    total = 0.0
    for k in range(x.size):
        total += x[k] * y[k]
    return total


@njit(**options)
def _add(weights, x, y, out):
    """out[i, j <= i] += sum of weights x_i x_j; y is room for the products."""
    for i in range(x.shape[0]):
        for k in range(x.shape[1]):
            y[k] = weights[k] * x[i, k]
        for j in range(i + 1):
            out[i, j] += _dot(y, x[j])


@kernel(types.void(integers_1d, numbers_2d, numbers_1d, numbers_1d, numbers_2d, numbers_2d, numbers_2d))
def grams(shape, c, g, m, S, K, M):
    """Dirichlet forms K_ij = sum over links of c ds_i ds_j + sum of g s_i s_j, and M_ij = sum of m s_i s_j,
    j <= i, for the rows of S (p, n_cells); K and M are 0 before.

    Links as in `solvers.multigrid_kernels`. From differences of the functions: of one that is nearly constant
    on a well, the energy keeps its digits.
    """
    n0, n1, n = shape[0], shape[1], shape[2]
    d, y = np.empty((S.shape[0], n)), np.empty(n)
    for row in range(n0 * n1):
        i, j = row // n1, row % n1
        at = row * n
        for axis in range(2):
            if (n0 if axis == 0 else n1) == 1:
                continue
            up = (((i + 1) % n0) * n1 + j) * n if axis == 0 else (i * n1 + (j + 1) % n1) * n
            for s in range(S.shape[0]):
                for k in range(n):
                    d[s, k] = S[s, at + k] - S[s, up + k]
            _add(c[axis, at:at + n], d, y, K)
        for s in range(S.shape[0]):
            for k in range(n - 1):
                d[s, k] = S[s, at + k] - S[s, at + k + 1]
            d[s, n - 1] = S[s, at + n - 1] - S[s, at]
        _add(c[2, at:at + n], d, y, K)
        for s in range(S.shape[0]):
            for k in range(n):
                d[s, k] = S[s, at + k]
        _add(g[at:at + n], d, y, K)
        _add(m[at:at + n], d, y, M)
