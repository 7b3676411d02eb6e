"""Wells of a chain: where its mass gathers, and how hard it is to leave."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SLOW = 7.0                        # depth in units of theta above which a well is a state of its own
REMOTE = 690.0                    # theta above the lowest well: what lies there has no weight
PART = 65_536                     # cells whose edges are listed at a time
MOST = 4096                       # wells for which there is room at first


@dataclass(frozen=True)
class Wells:
    """Wells that are left more rarely than a neighbouring cell, deepest first.

    Attributes
    ----------
    nodes : int ndarray (k,)
        Heaviest state of each.
    depths : ndarray (k,)
        How far below the way out, in units of theta; inf for the heaviest well of a part that touches no
        region.
    bottleneck : float
        log of the least conductance on the best ways between wells and regions; inf if there is one well
        only.
    """
    nodes: np.ndarray
    depths: np.ndarray
    bottleneck: float


def wells(outside, least=SLOW):
    """Wells of the states outside the regions, by the energies at the nodes; a region is a place of infinite
    depth.

    Energies and not masses: where f is steep on the scale of a cell, the mass of a cell lies at its lower
    face and looks trapped.
    """
    from .wells_kernels import join
    n = outside.n_nodes
    depth = np.full(n + len(outside.log_killings), np.inf)
    depth[:n] = -outside.diffusion._space.B[slice(None) if outside.is_on_cells else outside.ids]
    room, count = MOST, MOST + 1
    while count > room:
        room, count = max(room, count), 0
        parent = np.arange(depth.size)
        deepest, top, found = parent.copy(), np.zeros(room, np.int64), np.zeros((2, room))
        for I, J, log_c in ways(outside):
            count = join(I, J, log_c, depth, least, parent, deepest, count, top, found)
    del parent, deepest
    top, (way, log_c) = top[:count], found[:, :count]
    lowest = depth[:n].max(initial=-np.inf, where=outside.chain.states if outside.is_on_cells else True)
    own = depth[top] > lowest - REMOTE
    bottleneck = float(log_c[own].min()) if own.any() else np.inf
    own &= top < n
    ended, nodes, depths = top[top < n], top[own], depth[top[own]] - way[own]
    # of each part that no region drains, the lowest state is the well that no other ends
    dry = np.flatnonzero(~outside.reaches_boundary)
    if dry.size:
        if outside.is_on_cells:
            ended, nodes, depth = (np.searchsorted(outside.ids, ended), np.searchsorted(outside.ids, nodes),
                                   depth[outside.ids])
        labels = outside.labels[dry]
        deepest = np.full(labels.max() + 1, -np.inf)
        np.maximum.at(deepest, labels, depth[dry])
        lowest = depth[dry] == deepest[labels]
        dry, labels = dry[lowest], labels[lowest]
        # of two wells of the same depth one ends at the other
        by_part = np.lexsort((np.isin(dry, ended), labels))
        first = dry[by_part][np.r_[True, np.diff(labels[by_part]) > 0]]
        nodes, depths = np.r_[first, nodes], np.r_[np.full(first.size, np.inf), depths]
    elif outside.is_on_cells:
        nodes = np.searchsorted(outside.ids, nodes)
    order = np.argsort(-depths, kind="stable")
    return Wells(nodes[order], depths[order], bottleneck)


def ways(outside):
    """Edges of the chain by the energy of the higher end, lowest first: parts (I, J, log_c) of them, those to
    region k ending in `outside.n_nodes` + k. Nodes are states or, where the chain is kept on cells, cells."""
    from .wells_kernels import by_rank, rising
    if outside.is_on_cells:
        space, n = outside.diffusion._space, outside.grid.n_cells
        killings = np.array([outside.on_cells(g, -np.inf) for g in outside.log_killings if g is not None])
        killings = killings.reshape(-1, n)
        at = np.array([k for k, g in enumerate(outside.log_killings) if g is not None], np.int64)
        order, is_up = space.order, np.zeros(n, bool)
        if outside.n < n:
            order = order[outside.chain.states[order]]
        I, J = np.empty((2, (6 + len(at)) * PART), np.int64)
        log_c = np.empty(I.size)
        for k in range(0, order.size, PART):
            count = rising(order[k:k + PART], np.array(outside.grid.shape), outside.links, killings, is_up, I,
                           J, log_c)
            to = J[:count]
            to[to >= n] = n + at[to[to >= n] - n]
            yield I[:count], to, log_c[:count]
        return
    n, rank = outside.n, outside.diffusion._space.rank[outside.ids]
    edges = [(outside.I, outside.J, outside.log_c)]
    for k, g in enumerate(outside.log_killings):
        if g is not None:
            at = np.flatnonzero(np.isfinite(g))
            edges.append((at, np.full(at.size, n + k), g[at]))
    I, J, log_c = (np.concatenate(part) for part in zip(*edges))
    key = np.maximum(rank[I], np.r_[rank, np.zeros(len(outside.log_killings), rank.dtype)][J])
    order = np.empty(key.size, np.int64)
    by_rank(key, np.zeros(outside.grid.n_cells + 1, np.int64), order)
    yield I[order], J[order], log_c[order]


def highest_way(space, least=SLOW):
    """beta (f - f0) at the highest of the lowest ways between two wells that are deeper than `least`."""
    from .wells_kernels import flood
    order = space.order[:np.count_nonzero(least + REMOTE > space.B)]
    shape, periodic = np.array(space.grid.shape), np.array(space.grid.periodic, np.int64)
    return float(flood(order, space.B, shape, periodic, least))
