"""Wells of a chain: where its mass gathers, and how hard it is to leave."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SLOW = 7.0                        # depth in units of theta above which a well is a state of its own
REMOTE = 690.0                    # theta above the lowest well: what lies there has no weight


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
    n, (I, J, log_c, order) = outside.n, ways(outside)
    depth = np.r_[-outside.diffusion._space.B[outside.ids], np.full(len(outside.log_grounds), np.inf)]
    way = np.minimum(depth[I], depth[J])
    top, edge = np.zeros(depth.size, np.int64), np.zeros(depth.size, np.int64)
    count = join(order, I, J, way, depth, least, top, edge)
    top, edge = top[:count], edge[:count]
    relevant = depth[top] > depth[:n].max() - REMOTE
    top, edge = top[relevant], edge[relevant]
    bottleneck = float(log_c[edge].min()) if top.size else np.inf
    own = top < n
    nodes, depths = top[own], depth[top[own]] - way[edge[own]]
    # of each part that no region drains, the lowest state is the well that no other ends
    labels = outside.labels
    dry = np.flatnonzero(~outside.drained)
    if dry.size:
        is_ended = np.zeros(depth.size, bool)  # of two wells of the same depth one ends at the other
        is_ended[top] = True
        by_part = dry[np.lexsort((is_ended[dry], -depth[dry], labels[dry]))]
        first = by_part[np.r_[True, np.diff(labels[by_part]) > 0]]
        nodes, depths = np.r_[first, nodes], np.r_[np.full(first.size, np.inf), depths]
    order = np.argsort(-depths, kind="stable")
    return Wells(nodes[order], depths[order], bottleneck)


def ways(outside):
    """Edges of the chain, those to region k ending in n + k: I, J, log_c, and their order by the energy of
    the higher end, lowest first."""
    from .wells_kernels import by_rank
    n, rank = outside.n, outside.diffusion._space.rank[outside.ids]
    edges = [(outside.I, outside.J, outside.log_c)]
    for k, g in enumerate(outside.log_grounds):
        if g is not None:
            at = np.flatnonzero(np.isfinite(g))
            edges.append((at, np.full(at.size, n + k), g[at]))
    I, J, log_c = (np.concatenate(part) for part in zip(*edges))
    key = np.maximum(rank[I], np.r_[rank, np.zeros(len(outside.log_grounds), rank.dtype)][J])
    order = np.empty(key.size, np.int64)
    by_rank(key, np.zeros(outside.grid.n_cells + 1, np.int64), order)
    return I, J, log_c, order


def highest_way(space, least=SLOW):
    """beta (f - f0) at the highest of the lowest ways between two wells that are deeper than `least`."""
    from .wells_kernels import flood
    order = space.order[:np.count_nonzero(least + REMOTE > space.B)]
    shape, periodic = np.array(space.grid.shape), np.array(space.grid.periodic, np.int64)
    return float(flood(order, space.B, shape, periodic, least))
