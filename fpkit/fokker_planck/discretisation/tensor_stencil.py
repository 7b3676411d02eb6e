"""Edges of a constant mobility tensor with off-diagonal entries: a reversible stencil with non-negative
weights (Selling)."""
from __future__ import annotations

import numpy as np

from .edge_rules import log_conductance


def tensor_edges(space, conductance):
    """Edges (n, 2) and log conductances theta * volume * w * mean of exp(-beta f) along each edge.

    Edges that would leave the domain, or pass through cells outside it, are left out: no flux.
    """
    grid = space.grid
    offsets, weights = selling(space.mobility.matrix, grid.h)
    volume = float(np.prod(grid.h))
    edges, logs = [np.empty((0, 2), np.int64)], [np.empty(0)]
    for offset, weight in zip(offsets, weights):
        if weight <= 1e-14 * weights.max():
            continue
        a, b = neighbours(grid, space.states, offset)
        if a.size:
            step = np.repeat((offset * grid.h)[:, None], a.size, axis=1).astype(float)
            edges.append(np.stack([a, b], axis=1))
            logs.append(log_conductance(space, conductance, None, space.centres(a), step, 1.0,
                                        volume * weight, space.B[a], space.B[b]))
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
    cells = np.stack(np.meshgrid(*corners, indexing="ij"), -1).reshape(-1, grid.ndim)
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


def selling(tensor, h):
    """Offsets and weights of a reversible stencil for a constant tensor.

    sum_k w_k e_k e_k^T = diag(1/h) D diag(1/h) with integer offsets e_k and weights w_k >= 0, from an obtuse
    superbase of the lattice [1]_.

    Parameters
    ----------
    tensor : (d, d) SPD; h : (d,) cell widths; d is 1, 2 or 3.

    Returns
    -------
    offsets : int ndarray (1, 1), (3, 2) or (6, 3)
    weights : ndarray (1,), (3,) or (6,)

    References
    ----------
    .. [1] J. Fehrenbach, J.-M. Mirebeau, J. Math. Imaging Vis. 49, 123 (2014).
    """
    E = np.asarray(tensor, float) / np.outer(h, h)
    d = E.shape[0]
    if d == 1:
        return np.ones((1, 1), int), E[0]
    base = _reduced(E)
    base = np.vstack([base, -base.sum(0)])
    for _ in range(1000):                       # Selling's step, after the reduction only a few
        products = base @ E @ base.T
        i, j = max(((i, j) for i in range(d + 1) for j in range(i)), key=lambda p: products[p])
        if products[i, j] <= 1e-14 * np.trace(E):
            break
        if d == 2:
            base = np.array([-base[i], base[j], base[i] - base[j]])
        else:
            k, l = (m for m in range(4) if m not in (i, j))
            base = np.array([-base[i], base[j], base[k] + base[i], base[l] + base[i]])
    products = base @ E @ base.T
    offsets, weights = [], []
    for i in range(d + 1):
        for j in range(i):
            rest = [m for m in range(d + 1) if m not in (i, j)]
            if d == 2:
                v = base[rest[0]]
                e = np.array([-v[1], v[0]])
            else:
                e = np.cross(base[rest[0]], base[rest[1]])
            offsets.append(e)
            weights.append(max(0.0, -products[i, j]))
    return np.array(offsets), np.array(weights)


def _reduced(E):
    """A basis of the integer lattice that is short for the form E (pairwise Lagrange-Gauss steps)."""
    d = E.shape[0]
    base = np.eye(d, dtype=int)
    for _ in range(10_000):
        changed = False
        for i in range(d):
            for j in range(d):
                if i != j:
                    q = int(np.rint((base[i] @ E @ base[j]) / (base[j] @ E @ base[j])))
                    shorter = base[i] - q * base[j]
                    if q and shorter @ E @ shorter < (1 - 1e-12) * (base[i] @ E @ base[i]):
                        base[i], changed = shorter, True
        if not changed:
            break
    return base
