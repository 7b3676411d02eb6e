"""Solves on the whole graph: banded elimination without subtraction, Gauss-Seidel sweeps, products with
sparse matrices."""
from numba import types

from ...core.compilation import flag, kernel, numbers_1d, numbers_2d, special

# sums over positive terms may be regrouped (and then vectorise): their relative error stays at rounding
REGROUPED = special.SAFE | {"reassoc"}

indices_1d = types.Array(types.int32, 1, "C")


@kernel(types.void(numbers_2d, numbers_2d, numbers_1d, numbers_1d, numbers_1d), fastmath=REGROUPED)
def band_factors(forth, back, mass, excess, pivot):
    """Star-mesh (GTH) elimination of a graph whose rates lie in a band, in place and without subtraction.

    forth, back (N, b): rates between k and k + 1 + j, there and back; excess (N,): what a node has beyond the
    sum of its rates; mass (N,): stationary masses where they are in range, so that the way back follows from
    the way there, else of size 1. Afterwards forth[k, j] = share of node k that goes to k + 1 + j, back[k, j]
    = what node k takes over of k + 1 + j, pivot = 1/(sum of rates + excess). The last rows must hold zeros
    beyond N.
    """
    N, b = forth.shape
    is_in_range = mass.size > 1
    for k in range(N):
        m = min(b, N - 1 - k)
        out, home = forth[k], back[k]
        if is_in_range:
            for j in range(m):
                home[j] = out[j] * (mass[k] / mass[k + 1 + j])
        s = excess[k]
        for j in range(m):
            s += out[j]
        s = 1 / s
        pivot[k] = s
        for i in range(m):
            x, y = out[i] * s, home[i] * s
            if x > 0 or y > 0:
                further, nearer = forth[k + 1 + i, :m - 1 - i], back[k + 1 + i, :m - 1 - i]
                ahead, behind = out[i + 1:m], home[i + 1:m]
                for j in range(further.size):
                    further[j] += y * ahead[j]
                if not is_in_range:
                    for j in range(further.size):
                        nearer[j] += x * behind[j]
                excess[k + 1 + i] += y * excess[k]
        for j in range(m):
            out[j] *= s
            home[j] *= s


@kernel(types.void(numbers_2d, numbers_2d, numbers_1d, numbers_1d), fastmath=REGROUPED)
def band_solve(forth, back, pivot, r):
    """Solve with the factors of `band_factors`, r in place; r >= 0 gives a result >= 0 with full relative
    accuracy."""
    N, b = forth.shape
    for k in range(N):
        m = min(b, N - 1 - k)
        row, x = forth[k], r[k]
        ahead = r[k + 1:k + 1 + m]
        for j in range(m):
            ahead[j] += row[j] * x
    for k in range(N - 1, -1, -1):
        m = min(b, N - 1 - k)
        row = back[k]
        ahead = r[k + 1:k + 1 + m]
        s = pivot[k] * r[k]
        for j in range(m):
            s += row[j] * ahead[j]
        r[k] = s


@kernel(types.void(indices_1d, indices_1d, numbers_1d, numbers_1d, numbers_1d, flag))
def gauss_seidel(indptr, indices, data, b, x, backward):
    """One Gauss-Seidel sweep of A x = b in place, A in CSR form."""
    n = b.size
    for q in range(n):
        i = n - 1 - q if backward else q
        s, d = b[i], 1.0
        for p in range(indptr[i], indptr[i + 1]):
            if indices[p] == i:
                d = data[p]
            else:
                s -= data[p] * x[indices[p]]
        x[i] = s / d
