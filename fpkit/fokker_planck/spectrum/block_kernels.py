"""Energies and masses of many functions on a grid of cells in one pass over memory."""
import numpy as np
from numba import njit, types

from ...core.compilation import integers_1d, kernel, numbers_1d, numbers_2d
from ...core.compilation.special import REGROUPED, options


@njit(**{**options, "fastmath": REGROUPED})
def _dots(x, y, u, v):
    """x.u, x.v, y.u and y.v: four products for four readings."""
    xu, xv, yu, yv = 0.0, 0.0, 0.0, 0.0
    for k in range(x.size):
        xu += x[k] * u[k]
        xv += x[k] * v[k]
        yu += y[k] * u[k]
        yv += y[k] * v[k]
    return xu, xv, yu, yv


@njit(**options)
def _add(weights, x, y, out):
    """out[i, j <= i] += sum of weights x_i x_j, for an even number of rows; y (2, n) is room for the
    products."""
    for i in range(0, x.shape[0], 2):
        for k in range(x.shape[1]):
            y[0, k], y[1, k] = weights[k] * x[i, k], weights[k] * x[i + 1, k]
        for j in range(0, i + 1, 2):
            a, b, c, d = _dots(y[0], y[1], x[j], x[j + 1])
            out[i, j] += a
            out[i, j + 1] += b
            out[i + 1, j] += c
            out[i + 1, j + 1] += d


@kernel(types.void(integers_1d, numbers_2d, numbers_1d, numbers_1d, numbers_2d, numbers_2d, numbers_2d))
def grams(shape, c, g, m, S, K, M):
    """Dirichlet forms K_ij = sum over links of c ds_i ds_j + sum of g s_i s_j, and M_ij = sum of m s_i s_j,
    j <= i, for the rows of S (p, n_cells); K and M, of an even number of rows, p or p + 1, are 0 before.

    Links as in `solvers.multigrid_kernels`. From differences of the functions: of one that is nearly constant
    on a well, the energy keeps its digits.
    """
    n0, n1, n = shape[0], shape[1], shape[2]
    d, y = np.zeros((K.shape[0], n)), np.empty((2, n))
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
        if g[at:at + n].any():
            _add(g[at:at + n], d, y, K)
        _add(m[at:at + n], d, y, M)
