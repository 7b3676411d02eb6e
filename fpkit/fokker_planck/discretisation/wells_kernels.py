"""Flooding of a chain from its best conductance down: which wells there are and where they join."""
import numpy as np
from numba import types

from ...core.compilation import helper, integer, integers_1d, kernel, number, numbers_1d


@helper
def _root(parent, a):
    """The node that stands for the set of node a; the way to it is halved."""
    while parent[a] != a:
        parent[a] = parent[parent[a]]
        a = parent[a]
    return a


@kernel(integer(integers_1d, integers_1d, integers_1d, numbers_1d, numbers_1d, number, integers_1d,
                integers_1d))
def join(order, I, J, log_c, log_m, least, top, edge):
    """Join nodes along the edges in `order`, largest log_c first; the well with the lighter heaviest node
    ends (elder rule).

    A well counts when log_m of its heaviest node minus log_c of the edge that ends it exceeds `least`. Fills,
    for each that counts, its heaviest node and the edge. Returns their number.
    """
    n = log_m.size
    parent, heaviest = top.copy(), top.copy()
    for i in range(n):
        parent[i], heaviest[i] = i, i
    count = 0
    for q in range(order.size):
        e = order[q]
        a, b = _root(parent, I[e]), _root(parent, J[e])
        if a == b:
            continue
        if log_m[heaviest[b]] > log_m[heaviest[a]]:
            a, b = b, a
        if log_m[heaviest[b]] - log_c[e] > least:
            top[count], edge[count] = heaviest[b], e
            count += 1
        parent[b] = a
    return count


@kernel(types.void(integers_1d, integers_1d, integers_1d, integers_1d))
def gather(order, I, J, label):
    """Basins: join nodes along the edges in `order`, but never two that hold different seeds. label[n]: -1,
    or the seed; all are filled that are connected to a seed.
    """
    n = label.size
    parent, seed = label.copy(), label.copy()
    for i in range(n):
        parent[i] = i
    for q in range(order.size):
        e = order[q]
        a, b = _root(parent, I[e]), _root(parent, J[e])
        if a == b or seed[a] >= 0 and seed[b] >= 0 and seed[a] != seed[b]:
            continue
        parent[b] = a
        if seed[a] < 0:
            seed[a] = seed[b]
    for i in range(n):
        label[i] = seed[_root(parent, i)]


@kernel(number(integers_1d, numbers_1d, integers_1d, integers_1d, number))
def flood(order, B, shape, periodic, least):
    """Highest B at which two wells of the cells of a grid meet that are both deeper than `least`; 0 if none
    do.

    Cells rise out of the water in `order`, lowest B first, and join those of their neighbours that are there
    already.
    """
    parent = np.full(B.size, -1)
    highest = 0.0
    for q in range(order.size):
        i = order[q]
        parent[i] = i
        stride, rest = 1, i
        for a in range(shape.size - 1, -1, -1):
            n = shape[a]
            at = rest % n
            rest //= n
            for side in range(2):
                if side == 0:
                    j = i - stride if at > 0 else (i + (n - 1) * stride if periodic[a] == 1 else i)
                else:
                    j = i + stride if at < n - 1 else (i - (n - 1) * stride if periodic[a] == 1 else i)
                if parent[j] < 0:
                    continue
                low, b = _root(parent, i), _root(parent, j)
                if low == b:
                    continue
                if B[b] < B[low]:  # a root is the lowest cell of its well: the shallower well ends
                    low, b = b, low
                if B[i] - B[b] > least:
                    highest = B[i]
                parent[b] = low
            stride *= n
    return highest


@kernel(types.void(integers_1d, integers_1d, integers_1d))
def by_rank(key, count, order):
    """order: stable argsort of whole numbers key[n] in [0, count.size - 1); count is 0 before."""
    for i in range(key.size):
        count[key[i] + 1] += 1
    for k in range(1, count.size):
        count[k] += count[k - 1]
    for i in range(key.size):
        order[count[key[i]]] = i
        count[key[i]] += 1
