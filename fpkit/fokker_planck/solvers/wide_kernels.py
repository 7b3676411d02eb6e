"""Star-mesh elimination along fronts in numbers of any range: a mantissa and an exponent, both doubles, value
m 2^e.

What `eliminate` of elimination_kernels does with masses, for conductances that span more than the exponents
of doubles: capacities between wells that are thousands of theta deep. No exp and no log inside.
"""
import math

import numpy as np
from numba import types

from ...core.compilation import helper, integer, integers_1d, integers_2d, kernel, numbers_2d
from ...core.compilation.special import MAGIC, ONE_BITS, S52, bits_of, double_of

NOTHING = -1e15                                  # exponent of zero


@helper
def two_to(k):
    """2^k for an integral k <= 0, about 0 below -1000."""
    y = -1000.0 if k < -1000.0 else k
    return double_of((bits_of(y + MAGIC) << S52) + ONE_BITS)


@helper
def normalise(m, e, first, last):
    """Mantissas in [1/2, 1) and their exponents; the largest exponent. A mantissa that was let drift would
    say another size than its exponent."""
    high = NOTHING
    for j in range(first, last):
        if m[j] > 0.0:
            m[j], shift = math.frexp(m[j])
            e[j] += shift
            high = max(high, e[j])
    return high


@kernel(types.void(integers_1d, integers_1d, numbers_2d, integers_2d, integers_1d, integers_1d, numbers_2d,
                   numbers_2d, integer))
def eliminate_wide(indptr, indices, c, tree, ptr, border, mass, stack, largest):
    """The masses and the conductances of the nodes that are in no front's pivots, from those of all.

    c (2, n_entries), mass (2, n): mantissas and exponents; mass is changed in place. stack (2, room) ends
    with the conductances of the last front's border, its upper triangle, in front. The rest as `eliminate`.
    """
    start, stop, first_child, next_child = tree[0], tree[1], tree[2], tree[3]
    n_fronts, n = start.size, mass.shape[1]
    place, at = np.zeros(n, np.int64), np.zeros(n_fronts, np.int64)
    room, room_e = np.empty(largest * largest), np.empty(largest * largest)
    top = 0
    for t in range(n_fronts):
        n_pivots, n_border = stop[t] - start[t], ptr[t + 1] - ptr[t]
        m = n_pivots + n_border
        F, E = room[:m * m].reshape(m, m), room_e[:m * m].reshape(m, m)
        F[:] = 0.0
        E[:] = NOTHING
        for k in range(n_pivots):
            place[start[t] + k] = k
        for k in range(n_border):
            place[border[ptr[t] + k]] = n_pivots + k
        for k in range(n_pivots):
            for p in range(indptr[start[t] + k], indptr[start[t] + k + 1]):
                if indices[p] > start[t] + k:
                    j = place[indices[p]]
                    F[k, j], E[k, j] = c[0, p], c[1, p]
        child, freed = first_child[t], top
        while child >= 0:
            size = ptr[child + 1] - ptr[child]
            first = at[child]
            G = stack[0, first:first + size * size].reshape(size, size)
            H = stack[1, first:first + size * size].reshape(size, size)
            rows = border[ptr[child]:ptr[child + 1]]
            for i in range(size):
                row, row_e = F[place[rows[i]]], E[place[rows[i]]]
                for j in range(i + 1, size):
                    q = place[rows[j]]
                    high = max(row_e[q], H[i, j])
                    row[q] = row[q] * two_to(row_e[q] - high) + G[i, j] * two_to(H[i, j] - high)
                    row_e[q] = high
            freed = min(freed, first)
            child = next_child[child]
        top = freed
        for k in range(n_pivots):
            high = normalise(F[k], E[k], k + 1, m)
            if high == NOTHING:
                continue                                         # no way out of this node
            s = 0.0
            for j in range(k + 1, m):
                s += F[k, j] * two_to(E[k, j] - high)
            s = 1 / s
            a, a_e = F[k, k + 1:m], E[k, k + 1:m]
            for i in range(k + 1, m):
                if F[k, i] == 0.0:
                    continue
                x, x_e = F[k, i] * s, E[k, i] - high
                below, below_e = F[i, k + 1:m], E[i, k + 1:m]
                for j in range(i - k, below.size):
                    p_e = x_e + a_e[j]
                    up = p_e if p_e > below_e[j] else below_e[j]
                    below[j] = below[j] * two_to(below_e[j] - up) + x * a[j] * two_to(p_e - up)
                    below_e[j] = up
                g = start[t] + i if i < n_pivots else border[ptr[t] + i - n_pivots]
                p_e = x_e + mass[1, start[t] + k]
                up = max(p_e, mass[1, g])
                mass[0, g] = mass[0, g] * two_to(mass[1, g] - up) + x * mass[0, start[t]
                                                                             + k] * two_to(p_e - up)
                mass[1, g] = up
            if k + 1 < n_pivots:
                normalise(mass[0], mass[1], start[t] + k + 1, start[t] + k + 2)
        at[t] = top
        left = stack[0, top:top + n_border * n_border].reshape(n_border, n_border)
        left_e = stack[1, top:top + n_border * n_border].reshape(n_border, n_border)
        for i in range(n_border):
            normalise(F[n_pivots + i], E[n_pivots + i], n_pivots + i + 1, m)
            for j in range(i + 1, n_border):
                left[i, j], left_e[i, j] = F[n_pivots + i, n_pivots + j], E[n_pivots + i, n_pivots + j]
        top += n_border * n_border
