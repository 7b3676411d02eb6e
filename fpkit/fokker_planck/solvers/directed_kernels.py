"""Elimination without subtraction of chains that are not reversible, along the order of `Ordering`.

A = diag(sum_j q_ij + killing_i) - q is never formed. Fronts, trees and positions as in `elimination_kernels`;
a front holds the rates of both directions. U[k, j] = rate from pivot k to the later node j of its front over
the pivot, C[k, j] = rate from j to k over the pivot.
"""
import numpy as np
from numba import types

from ...core.compilation import integer, integers_1d, integers_2d, kernel, numbers_1d, numbers_2d
from ...core.compilation.special import REGROUPED


@kernel(types.void(integers_1d, integers_1d, numbers_2d, integers_2d, integers_1d, integers_1d, numbers_1d,
                   numbers_1d, numbers_1d, numbers_1d, numbers_1d, integer), fastmath=REGROUPED)
def eliminate_directed(indptr, indices, rates, tree, ptr, border, excess, pivot, U, C, stack, largest):
    """Factors of the rates[0] (row to column) and rates[1] (column to row) of each entry of the CSR graph.

    excess (n,), the killing rates, is changed in place. Fills pivot = 1/(rates to later nodes + killing), 0
    where there are none, and U and C, each front (n_pivots, n_front).
    """
    start, stop, first_child, next_child = tree[0], tree[1], tree[2], tree[3]
    n_fronts, n = start.size, pivot.size
    place = np.zeros(n, np.int64)
    room = np.empty(largest * largest)
    at = np.zeros(n_fronts, np.int64)
    top, base = 0, 0
    for t in range(n_fronts):
        n_pivots, n_border = stop[t] - start[t], ptr[t + 1] - ptr[t]
        m = n_pivots + n_border
        F = room[:m * m].reshape(m, m)
        F[:] = 0.0
        for k in range(n_pivots):
            place[start[t] + k] = k
        for k in range(n_border):
            place[border[ptr[t] + k]] = n_pivots + k
        for k in range(n_pivots):
            for p in range(indptr[start[t] + k], indptr[start[t] + k + 1]):
                if indices[p] > start[t] + k:
                    j = place[indices[p]]
                    F[k, j] += rates[0, p]
                    F[j, k] += rates[1, p]
        child, freed = first_child[t], top
        while child >= 0:
            size = ptr[child + 1] - ptr[child]
            G = stack[at[child]:at[child] + size * size].reshape(size, size)
            rows = border[ptr[child]:ptr[child + 1]]
            for i in range(size):
                row = F[place[rows[i]]]
                for j in range(size):
                    if i != j:
                        row[place[rows[j]]] += G[i, j]
            freed = min(freed, at[child])
            child = next_child[child]
        top = freed
        e = np.zeros(m)
        for k in range(n_pivots):
            e[k] = excess[start[t] + k]
        own_u = U[base:base + n_pivots * m].reshape(n_pivots, m)
        own_c = C[base:base + n_pivots * m].reshape(n_pivots, m)
        base += n_pivots * m
        for k0 in range(0, n_pivots, 4):
            k1 = min(k0 + 4, n_pivots)
            for k in range(k0, k1):
                row = F[k]
                s = e[k]
                for j in range(k + 1, m):
                    s += row[j]
                s = 1 / s if s > 0 else 0.0
                pivot[start[t] + k] = s
                u, c = own_u[k], own_c[k]
                for j in range(k + 1, m):
                    u[j] = row[j] * s
                    c[j] = F[j, k] * s
                    e[j] += c[j] * e[k]
                for i in range(k + 1, k1):                # the rows of the block, complete
                    x, below = F[i, k], F[i]
                    for j in range(k + 1, m):
                        below[j] += x * u[j]
                for i in range(k1, m):                    # and its columns
                    x, below = F[i, k], F[i]
                    for j in range(k + 1, k1):
                        below[j] += x * u[j]
            if k1 - k0 == 4:
                u0, u1, u2, u3 = own_u[k0, k1:], own_u[k0 + 1, k1:], own_u[k0 + 2, k1:], own_u[k0 + 3, k1:]
                for i in range(k1, m):
                    x0, x1, x2, x3 = F[i, k0], F[i, k0 + 1], F[i, k0 + 2], F[i, k0 + 3]
                    below = F[i, k1:]
                    for j in range(below.size):
                        below[j] += x0 * u0[j] + x1 * u1[j] + x2 * u2[j] + x3 * u3[j]
            else:
                for i in range(k1, m):
                    below = F[i]
                    for k in range(k0, k1):
                        x, u = F[i, k], own_u[k]
                        for j in range(k1, m):
                            below[j] += x * u[j]
        for k in range(n_border):
            excess[border[ptr[t] + k]] += e[n_pivots + k]
        at[t] = top
        left = stack[top:top + n_border * n_border].reshape(n_border, n_border)
        for i in range(n_border):
            for j in range(n_border):
                left[i, j] = F[n_pivots + i, n_pivots + j]
        top += n_border * n_border


@kernel(types.void(integers_2d, integers_1d, integers_1d, integers_1d, numbers_1d, numbers_1d, integer))
def stationary_logs(tree, ptr, border, base, C, logs, largest):
    """log of the stationary weights (n,), that of the last pivot 0: p_k = sum_j p_j C[k, j]."""
    start, stop = tree[0], tree[1]
    local = np.empty(largest)
    last = logs.size - 1
    for t in range(start.size - 1, -1, -1):
        a, n_pivots, n_border = start[t], stop[t] - start[t], ptr[t + 1] - ptr[t]
        m = n_pivots + n_border
        own = C[base[t]:base[t] + n_pivots * m].reshape(n_pivots, m)
        for k in range(n_border):
            local[n_pivots + k] = logs[border[ptr[t] + k]]
        for k in range(n_pivots - 1, -1, -1):
            if a + k == last:
                local[k] = logs[last] = 0.0
                continue
            row, highest = own[k], -np.inf
            for j in range(k + 1, m):
                if row[j] > 0 and local[j] > highest:
                    highest = local[j]
            s = 0.0
            for j in range(k + 1, m):
                if row[j] > 0:
                    s += row[j] * np.exp(local[j] - highest)
            local[k] = highest + np.log(s) if s > 0 else -np.inf
            logs[a + k] = local[k]
