"""Edges of a constant mobility tensor with off-diagonal entries: a reversible stencil with non-negative
weights (Selling)."""
from __future__ import annotations

import numpy as np

from ...potentials.mobility import selling


def tensor_edges(space, conductance):
    """Edges (n, 2) and log conductances theta * volume * w * mean of exp(-beta f) along each edge.

    Edges that would leave the domain, or pass through cells outside it, are left out: no flux.
    """
    from .schemes import log_weight
    from .edge_integrals import log_mean_resistance
    grid = space.grid
    offsets, weights = selling(space.mobility.tensor, grid.h)
    volume = float(np.prod(grid.h))
    edges, logs = [], []
    for offset, weight in zip(offsets, weights):
        if weight <= 1e-14 * weights.max():
            continue
        a, b = neighbours(grid, space.states, offset)
        if not a.size:
            continue
        place = np.unravel_index(a, grid.shape)
        start = np.stack([c[p] for c, p in zip(grid.centres, place)])
        step = np.repeat((offset * grid.h)[:, None], a.size, axis=1).astype(float)
        if conductance == "quadrature":
            mean = -log_mean_resistance(space, start, step, None)
        else:
            mean = log_weight(space, conductance, start, step, space.B[a], space.B[b])
        edges.append(np.stack([a, b], axis=1))
        logs.append(np.log(space.theta * volume * weight) + mean)
    return np.concatenate(edges), np.concatenate(logs)


def neighbours(grid, states, offset):
    """Flat cells a and b = a + offset, both states, with no cell outside the domain on the way."""
    index = np.stack(np.unravel_index(np.flatnonzero(states), grid.shape))
    there, ok = _shifted(grid, index, offset)
    ok &= states[tuple(there)]
    if not states.all() and np.abs(offset).sum() > 1:
        n = 4 * int(np.abs(offset).max())
        for t in np.arange(1, n) / n:
            ok &= _is_open(grid, states, index, t * offset, offset)
    return (np.ravel_multi_index(tuple(index[:, ok]), grid.shape),
            np.ravel_multi_index(tuple(there[:, ok]), grid.shape))


def _is_open(grid, states, index, place, offset):
    """Whether a point of the edge lies in a state; where it is on a face or corner, one of the other cells
    that meet there is enough."""
    corners = [sorted({int(np.floor(x + 0.5 - 1e-9)), int(np.floor(x + 0.5 + 1e-9))}) for x in place]
    cells = [c for c in np.stack(np.meshgrid(*corners, indexing="ij"), -1).reshape(-1, grid.ndim)]
    others = [c for c in cells if c.any() and (c != offset).any()]
    if not others:
        return np.ones(index.shape[1], bool)
    open_ = np.zeros(index.shape[1], bool)
    for cell in others:
        there, ok = _shifted(grid, index, cell)
        open_ |= ok & states[tuple(there)]
    return open_


def _shifted(grid, index, offset):
    there, ok = index + np.asarray(offset)[:, None], np.ones(index.shape[1], bool)
    for k, n in enumerate(grid.shape):
        if grid.periodic[k]:
            there[k] %= n
        else:
            ok &= (there[k] >= 0) & (there[k] < n)
            there[k] = np.clip(there[k], 0, n - 1)
    return there, ok
