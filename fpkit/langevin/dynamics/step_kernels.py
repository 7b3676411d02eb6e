"""Each step once: Euler-Maruyama, Leimkuhler-Matthews, Heun and BAOAB for a block of paths."""
import numba

from ...core.compilation.special import options

EULER_MARUYAMA, LEIMKUHLER_MATTHEWS, HEUN = range(3)
DT, SIGMA, THETA, TIME, DAMPING = range(5)                       # columns of `steps`


@numba.njit(**options)
def take(X, first, count, Y):
    """Y = the columns first..first+count of X; the lanes left over repeat the first walker and are never
    given back."""
    for i in range(Y.shape[0]):
        for j in range(count):
            Y[i, j] = X[i, first + j]
        for j in range(count, Y.shape[1]):
            Y[i, j] = X[i, first]


@numba.njit(**options)
def give(Y, X, first, count, row):
    """X[row.., first..first+count] = Y."""
    for i in range(Y.shape[0]):
        for j in range(count):
            X[row + i, first + j] = Y[i, j]


@numba.njit(**options)
def through(root, Z, row):
    """Rows row.. of Z times the lower triangular root, in place: the last row first, so that no copy is
    needed."""
    d = root.shape[0]
    for i in range(d - 1, -1, -1):
        for j in range(Z.shape[1]):
            Z[row + i, j] *= root[i, i]
        for k in range(i):
            for j in range(Z.shape[1]):
                Z[row + i, j] += root[i, k] * Z[row + k, j]


@numba.njit(**options)
def through_transpose(root, G):
    """G times the transposed root, in place."""
    d = root.shape[0]
    for i in range(d):
        for j in range(G.shape[1]):
            G[i, j] *= root[i, i]
        for k in range(i + 1, d):
            for j in range(G.shape[1]):
                G[i, j] += root[k, i] * G[k, j]
