"""Gauss-Seidel sweeps of sparse matrices."""
from numba import types

from ...core.compilation import flag, kernel, numbers_1d

indices_1d = types.Array(types.int32, 1, "C")


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
