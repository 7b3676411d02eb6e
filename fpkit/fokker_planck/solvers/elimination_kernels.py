"""Elimination without subtraction along a nested dissection: order, fronts, factors, solves.

Positions are places in the order of elimination. A front is one node of the tree of separators: its pivots
are the positions start[t]..stop[t]-1, its border the later positions that they reach. tree (4, n_fronts):
start, stop, first child and next child of the parent (-1: none).
"""
import numpy as np
from numba import types

from ...core.compilation import (
    helper,
    integer,
    integers_1d,
    integers_2d,
    kernel,
    number,
    numbers_1d,
    numbers_2d,
)
from ...core.compilation.special import REGROUPED


@kernel(integer(integers_2d, integers_1d, integers_1d, integer, integers_1d, integers_1d, integers_1d,
                integers_1d, integers_1d))
def dissect(X, indptr, indices, leaf, order, start, stop, parent, scratch):
    """Halve the nodes along their longest axis, the nodes between the halves last, until at most `leaf` are
    left.

    X (d, n): cell indices of the nodes; graph in CSR form. Fills order (n,), and for each tree node its
    pivots start:stop (places in `order`) and parent (-1 at the top). scratch (2 n). Returns the number of
    tree nodes, parents before children.
    """
    d, n = X.shape
    owner, kind = scratch[:n], scratch[n:]
    for i in range(n):
        order[i] = i
        owner[i] = 0
    room = 4 * n + 8
    low, high, above = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    low[0], high[0], above[0] = 0, n, -1
    height, count, stamp = 1, 0, 0
    part = np.empty(n, np.int64)
    while height > 0:
        height -= 1
        a, b, up = low[height], high[height], above[height]
        axis, middle, widest = 0, 0, 0
        if b - a > leaf:
            for k in range(d):
                least, most = X[k, order[a]], X[k, order[a]]
                for q in range(a, b):
                    least, most = min(least, X[k, order[q]]), max(most, X[k, order[q]])
                if most - least > widest:
                    axis, middle, widest = k, (most + least) // 2, most - least
        if widest < 2:
            start[count], stop[count], parent[count] = a, b, up
            count += 1
            continue
        stamp += 1
        for q in range(a, b):
            owner[order[q]] = stamp
            kind[order[q]] = 0 if X[axis, order[q]] <= middle else 1
        n0, n1 = 0, 0
        for q in range(a, b):
            i = order[q]
            if kind[i] == 0:
                n0 += 1
                continue
            for p in range(indptr[i], indptr[i + 1]):
                j = indices[p]
                if owner[j] == stamp and kind[j] == 0:
                    kind[i] = 2
                    break
            if kind[i] == 1:
                n1 += 1
        p0, p1, p2 = 0, n0, n0 + n1
        for q in range(a, b):
            i = order[q]
            if kind[i] == 0:
                part[p0] = i
                p0 += 1
            elif kind[i] == 1:
                part[p1] = i
                p1 += 1
            else:
                part[p2] = i
                p2 += 1
        for q in range(b - a):
            order[a + q] = part[q]
        start[count], stop[count], parent[count] = a + n0 + n1, b, up
        for x, y in ((a, a + n0), (a + n0, a + n0 + n1)):
            if y > x:
                low[height], high[height], above[height] = x, y, count
                height += 1
        count += 1
    return count


@helper
def sort(a):
    """Heap sort in place; NumPy's own costs two seconds of compilation."""
    n = a.size
    end, first = n, n // 2
    while end > 1:
        if first > 0:                            # first the heap is built, then its top goes to the end
            first -= 1
            moved = a[first]
        else:
            end -= 1
            moved, a[end] = a[end], a[0]
        hole, child = first, 2 * first + 1
        while child < end:
            if child + 1 < end and a[child + 1] > a[child]:
                child += 1
            if a[child] <= moved:
                break
            a[hole] = a[child]
            hole, child = child, 2 * child + 1
        a[hole] = moved


@kernel(integer(integers_1d, integers_1d, integers_2d, integers_1d, integers_1d))
def borders(indptr, indices, tree, ptr, border):
    """Borders of the fronts, children first: ptr (n_fronts + 1), border filled as far as it reaches. Returns
    the room needed.

    Graph in CSR form of positions.
    """
    start, stop, first_child, next_child = tree[0], tree[1], tree[2], tree[3]
    n = indptr.size - 1
    mark = np.full(n, -1)
    used = 0
    ptr[0] = 0
    held = np.empty(n, np.int64)
    for t in range(start.size):
        count = 0
        for k in range(start[t], stop[t]):
            for p in range(indptr[k], indptr[k + 1]):
                j = indices[p]
                if j >= stop[t] and mark[j] != t:
                    mark[j] = t
                    held[count] = j
                    count += 1
        c = first_child[t]
        while c >= 0:
            for q in range(ptr[c], ptr[c + 1]):
                j = border[q]
                if j >= stop[t] and mark[j] != t:
                    mark[j] = t
                    held[count] = j
                    count += 1
            c = next_child[c]
        if used + count > border.size:
            return -1
        border[used:used + count] = held[:count]
        sort(border[used:used + count])
        used += count
        ptr[t + 1] = used
    return used


@kernel(types.void(integers_1d, integers_1d, numbers_1d, integers_2d, integers_1d, integers_1d, numbers_1d,
                   numbers_1d, numbers_1d, numbers_1d, integer, number), fastmath=REGROUPED)
def eliminate(indptr, indices, c, tree, ptr, border, excess, pivot, L, stack, largest, killing):
    """Star-mesh (GTH) elimination front by front: only sums of positive numbers.

    Graph of positions in CSR form with conductances c; excess (n,), changed in place: grounds (killing 1), or
    masses (killing 0), which a pivot hands to its neighbours as it does with grounds and which do not drain
    it. Fills pivot = 1/(sum of conductances + ground) and, unless it has no room, L: for each front
    (n_pivots, n_front) fractions of a pivot that go to the later nodes of the front. `stack` holds the
    conductances that eliminated fronts leave between the nodes of their borders.
    """
    start, stop, first_child, next_child = tree[0], tree[1], tree[2], tree[3]
    n_fronts, n = start.size, pivot.size
    place = np.zeros(n, np.int64)
    room = np.empty(largest * largest)
    at = np.zeros(n_fronts, np.int64)                  # where the matrix left by a front begins on the stack
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
                    F[k, place[indices[p]]] += c[p]
        child, freed = first_child[t], top
        while child >= 0:
            size = ptr[child + 1] - ptr[child]
            G = stack[at[child]:at[child] + size * size].reshape(size, size)
            rows = border[ptr[child]:ptr[child + 1]]
            for i in range(size):
                row = F[place[rows[i]]]
                for j in range(i + 1, size):
                    row[place[rows[j]]] += G[i, j]
            freed = min(freed, at[child])
            child = next_child[child]
        top = freed
        e = np.empty(m)
        for k in range(n_pivots):
            e[k] = excess[start[t] + k]
        e[n_pivots:] = 0.0
        for k0 in range(0, n_pivots, 4):
            width = min(4, n_pivots - k0)
            for k in range(k0, k0 + width):
                row = F[k]
                s = killing * e[k]
                for j in range(k + 1, m):
                    s += row[j]
                s = 1 / s if s > 0 else 0.0
                pivot[start[t] + k] = s
                for i in range(k + 1, k0 + width):
                    x = row[i] * s
                    e[i] += x * e[k]
                    below, ahead = F[i, i + 1:], row[i + 1:]
                    for j in range(below.size):
                        below[j] += x * ahead[j]
            if width == 4:
                r0, r1, r2, r3 = F[k0], F[k0 + 1], F[k0 + 2], F[k0 + 3]
                first = start[t] + k0
                s0, s1, s2, s3 = pivot[first], pivot[first + 1], pivot[first + 2], pivot[first + 3]
                for i in range(k0 + 4, m):
                    x0, x1, x2, x3 = r0[i] * s0, r1[i] * s1, r2[i] * s2, r3[i] * s3
                    e[i] += x0 * e[k0] + x1 * e[k0 + 1] + x2 * e[k0 + 2] + x3 * e[k0 + 3]
                    below, a0, a1, a2, a3 = F[i, i + 1:], r0[i + 1:], r1[i + 1:], r2[i + 1:], r3[i + 1:]
                    for j in range(below.size):          # not skipped where x is 0: branches cost more
                        below[j] += x0 * a0[j] + x1 * a1[j] + x2 * a2[j] + x3 * a3[j]
            else:
                for k in range(k0, k0 + width):
                    row = F[k]
                    for i in range(k0 + width, m):
                        x = row[i] * pivot[start[t] + k]
                        e[i] += x * e[k]
                        below, ahead = F[i, i + 1:], row[i + 1:]
                        for j in range(below.size):
                            below[j] += x * ahead[j]
        if L.size > 0:
            own = L[base:base + n_pivots * m].reshape(n_pivots, m)
            base += n_pivots * m
            for k in range(n_pivots):
                s = pivot[start[t] + k]
                for j in range(k + 1, m):
                    own[k, j] = F[k, j] * s
        for k in range(n_border):
            excess[border[ptr[t] + k]] += e[n_pivots + k]
        at[t] = top
        left = stack[top:top + n_border * n_border].reshape(n_border, n_border)
        for i in range(n_border):
            for j in range(i + 1, n_border):
                left[i, j] = F[n_pivots + i, n_pivots + j]
        top += n_border * n_border


@kernel(types.void(integers_1d, integers_1d, integers_2d, integers_1d, integers_1d, numbers_1d, numbers_1d,
                   numbers_1d, numbers_2d, integer), fastmath=REGROUPED)
def substitute(fronts, base, tree, ptr, border, pivot, up, down, R, largest):
    """Solve with the factors of an elimination, the rows of R (p, n) in place; R >= 0 gives a result >= 0
    with full relative accuracy.

    up and down are both L of `eliminate`; of `eliminate_directed`, up = C and down = U solve A v = b, and the
    other way round the transposed system.

    fronts: all of them, or those that hold the entries of R that are not 0 with all above them; the result is
    then known in these. base: where the entries of each front begin in L.
    """
    start, stop = tree[0], tree[1]
    local = np.empty(largest)
    for f in range(fronts.size):
        t = fronts[f]
        a, n_pivots, n_border = start[t], stop[t] - start[t], ptr[t + 1] - ptr[t]
        m = n_pivots + n_border
        own = up[base[t]:base[t] + n_pivots * m].reshape(n_pivots, m)
        for q in range(R.shape[0]):
            r = R[q]
            for k in range(n_pivots):
                local[k] = r[a + k]
            for k in range(n_border):
                local[n_pivots + k] = 0.0
            for k in range(n_pivots):
                x, row, ahead = local[k], own[k, k + 1:], local[k + 1:m]
                if x != 0:
                    for j in range(row.size):
                        ahead[j] += x * row[j]
            for k in range(n_pivots):
                r[a + k] = local[k]
            for k in range(n_border):
                r[border[ptr[t] + k]] += local[n_pivots + k]
    for f in range(fronts.size - 1, -1, -1):
        t = fronts[f]
        a, n_pivots, n_border = start[t], stop[t] - start[t], ptr[t + 1] - ptr[t]
        m = n_pivots + n_border
        own = down[base[t]:base[t] + n_pivots * m].reshape(n_pivots, m)
        for q in range(R.shape[0]):
            r = R[q]
            for k in range(n_border):
                local[n_pivots + k] = r[border[ptr[t] + k]]
            for k in range(n_pivots - 1, -1, -1):
                s, row, ahead = pivot[a + k] * r[a + k], own[k, k + 1:], local[k + 1:m]
                for j in range(row.size):
                    s += row[j] * ahead[j]
                local[k] = s
                r[a + k] = s
