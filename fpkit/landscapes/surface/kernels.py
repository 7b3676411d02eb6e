"""Compiled flooding of a sampled surface: merge tree and steepest-descent basins.

All kernels take the surface flattened, the neighbours of its cells, and the valid cells in ascending order of
(value, index).
"""
import numpy as np
from numba import types

from ...core.compilation import integer, integers_1d, integers_2d, kernel, numbers_1d


@kernel(types.void(numbers_1d, integers_1d, integers_2d, integers_1d, integers_1d, integers_1d))
def flood(values, order, table, birth, death, elder):
    """Merge tree by ascending union-find with the elder rule.

    values[n]: surface; order[m]: valid cells, ascending by (value, index); table[n, k]: the neighbours of
    each
    cell, -1 for none. birth[n], -1 on entry: 0 where a branch was born. death[n]: cell whose arrival ended
    the branch born at that cell, -1 for a root. elder[n]: birth cell of the branch it was merged into. Cells
    equal in value that meet end no branch.
    """
    n, m = values.size, order.size
    parent = birth.copy()                        # -1: not flooded yet
    rank = birth.copy()                          # of a root: place in the order of its component's birth
    for place in range(m):
        i = order[place]
        parent[i] = i
        rank[i] = place
        for k in range(table.shape[1]):
            j = table[i, k]
            if j < 0 or parent[j] < 0:
                continue
            a = i
            while parent[a] != a:
                parent[a] = parent[parent[a]]
                a = parent[a]
            b = j
            while parent[b] != b:
                parent[b] = parent[parent[b]]
                b = parent[b]
            if a == b:
                continue
            if rank[b] < rank[a]:
                a, b = b, a
            parent[b] = a                        # the component born first survives
            young = order[rank[b]]
            if values[young] < values[i]:
                birth[young] = 0
                death[young] = i
                elder[young] = order[rank[a]]
    for i in range(n):
        if parent[i] == i:
            root = order[rank[i]]
            birth[root] = 0
            death[root] = -1
            elder[root] = -1


@kernel(types.void(numbers_1d, integers_1d, integers_2d, integers_1d))
def descend(values, order, table, label):
    """Basins of steepest descent: label[i] = first cell of the minimum that the walk to the lowest neighbour
    ends in.

    label[n], -1 on entry, stays -1 off the valid cells. A plateau is left through its cells that have a lower
    neighbour, in the order of a breadth-first search from them; a plateau without such cells is one minimum.
    """
    m = order.size
    taken = label.copy()                         # -2: valid cell
    queue = order.copy()
    for place in range(m):
        taken[order[place]] = -2
    start = 0
    while start < m:
        level = values[order[start]]
        end = start
        while end < m and values[order[end]] == level:
            end += 1
        head, tail = 0, 0
        for place in range(start, end):
            i = order[place]
            best = -1
            for k in range(table.shape[1]):
                j = table[i, k]
                if j >= 0 and taken[j] == -2 and values[j] < level and (best < 0 or values[j] < values[best]
                                                             or (values[j] == values[best] and j < best)):
                    best = j
            if best >= 0:
                label[i] = label[best]
                queue[tail] = i
                tail += 1
        for place in range(start, end + 1):      # one round for the outlets, then one for each minimum found
            while head < tail:
                i = queue[head]
                head += 1
                for k in range(table.shape[1]):
                    j = table[i, k]
                    if j >= 0 and taken[j] == -2 and label[j] < 0 and values[j] == level:
                        label[j] = label[i]
                        queue[tail] = j
                        tail += 1
            if place < end and label[order[place]] < 0:
                label[order[place]] = order[place]
                queue[tail] = order[place]
                tail += 1
        start = end


@kernel(integer(integers_2d, integers_1d, integers_1d, integer))
def last_union(edges, order, groups, n_groups):
    """Place in `order` (edges, rising) of the last edge that joins two parts which both hold a kept group; -1
    for none.

    groups[n]: group of each cell, negative for none; a group is one node however many cells it has.
    """
    n = groups.size
    parent = np.arange(n + n_groups)
    holds = np.zeros(n + n_groups, np.int64)
    for g in range(n_groups):
        holds[n + g] = 1
    for i in range(n):
        if groups[i] >= 0:
            parent[i] = n + groups[i]
    last, separate = -1, n_groups
    for place in range(order.size):
        if separate == 1:
            break
        a, b = edges[order[place], 0], edges[order[place], 1]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a != b:
            if holds[a] + holds[b] == 2:
                last = place
                separate -= 1
            parent[b] = a
            holds[a] = max(holds[a], holds[b])
    return last
