"""Flooding of a chain from its best conductance down: which wells there are and where they join."""
import numpy as np
from numba import types

from ...core.compilation import helper, integer, integers_1d, kernel, number, numbers_1d, numbers_2d


@helper
def _root(parent, a):
    """The node that stands for the set of node a; the way to it is halved."""
    while parent[a] != a:
        parent[a] = parent[parent[a]]
        a = parent[a]
    return a


@kernel(integer(integers_1d, integers_1d, numbers_1d, numbers_1d, number, integers_1d, integers_1d, integer,
                integers_1d, numbers_2d))
def join(I, J, log_c, depth, least, parent, deepest, count, top, found):
    """Join nodes along the edges as they come, those that open at the highest depth first; the well with the
    shallower deepest node ends (elder rule).

    A well counts when it is deeper than its way out, the shallower end of the edge, by more than `least`.
    Fills, for each that counts, its deepest node, and the depth and log_c of the edge, while there is room.
    Returns their number; `count` is that of the edges before these.
    """
    for e in range(I.size):
        a, b = _root(parent, I[e]), _root(parent, J[e])
        if a == b:
            continue
        if depth[deepest[b]] > depth[deepest[a]]:
            a, b = b, a
        way = min(depth[I[e]], depth[J[e]])
        if depth[deepest[b]] - way > least:
            if count < top.size:
                top[count] = deepest[b]
                found[0, count], found[1, count] = way, log_c[e]
            count += 1
        parent[b] = a
    return count


@kernel(types.void(integers_1d, integers_1d, integers_1d, integers_1d))
def gather(I, J, parent, seed):
    """Basins: join nodes along the edges as they come, but never two that hold different seeds. seed[n]: -1,
    or the seed, of the root of each set."""
    for e in range(I.size):
        a, b = _root(parent, I[e]), _root(parent, J[e])
        if a == b or seed[a] >= 0 and seed[b] >= 0 and seed[a] != seed[b]:
            continue
        parent[b] = a
        if seed[a] < 0:
            seed[a] = seed[b]


@kernel(types.void(integers_1d, integers_1d))
def spread(parent, label):
    """label of each node from that of its root."""
    for i in range(label.size):
        label[i] = label[_root(parent, i)]


@kernel(integer(integers_1d, integers_1d, numbers_2d, numbers_2d, types.boolean[::1], integers_1d,
                integers_1d, numbers_1d))
def rising(cells, shape, links, killings, is_up, I, J, log_c):
    """Edges between `cells`, rising out of the water in this order, and their neighbours that are there
    already (marked in is_up); those to region k end in n_cells + k. Returns their number.

    links (3, n_cells), killings (regions, n_cells): logs, -inf for none.
    """
    n, count = is_up.size, 0
    for q in range(cells.size):
        i = cells[q]
        is_up[i] = True
        stride, rest = 1, i
        for a in range(2, -1, -1):
            m = shape[a]
            at = rest % m
            rest //= m
            before = i - stride if at > 0 else i + (m - 1) * stride
            after = i + stride if at < m - 1 else i - (m - 1) * stride
            if is_up[before] and links[a, before] > -np.inf:
                I[count], J[count], log_c[count] = before, i, links[a, before]
                count += 1
            if is_up[after] and links[a, i] > -np.inf:
                I[count], J[count], log_c[count] = i, after, links[a, i]
                count += 1
            stride *= m
        for k in range(killings.shape[0]):
            if killings[k, i] > -np.inf:
                I[count], J[count], log_c[count] = i, n + k, killings[k, i]
                count += 1
    return count


@kernel(types.void(integers_1d, numbers_2d, integers_1d))
def connect(shape, links, parent):
    """Join cells along all links, logs; parent[i] = i before, and the least cell of the part afterwards."""
    for i in range(parent.size):
        stride, rest = 1, i
        for a in range(2, -1, -1):
            m = shape[a]
            at = rest % m
            rest //= m
            if links[a, i] > -np.inf:
                x = _root(parent, i)
                y = _root(parent, i + stride if at < m - 1 else i - (m - 1) * stride)
                parent[max(x, y)] = min(x, y)
            stride *= m
    for i in range(parent.size):
        parent[i] = _root(parent, i)


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
