"""Rates where the diffusion matrix has entries off its diagonal, constant or not: Selling's edges for the
gradient part, fluxes along the axes for the rest."""
from __future__ import annotations

import warnings

import numpy as np

from ...core.results import ResolutionWarning
from ..discretisation.absorbing_boundary import LEAST_FRACTION, check_selection
from ..discretisation.edge_integrals import log_mean_resistance
from ..discretisation.tensor_stencil import neighbours, selling
from .rates import Cuts, Edges, extra_drift, line_integrals, upwind

LONG = 10.0                                 # ratio of the axes of D from which axis fluxes are of low order
SMALL = 1e-13


def tensor_rates(process, space, is_split=False):
    """`Edges`, some pairs several times; `is_split`: the potential is all that a potential can carry."""
    grid = space.grid
    if not is_split:
        _warn_if_long(process, space)
    parts, carried = _gradient_edges(process, space)
    for axis in range(grid.ndim):
        e = space.axis_edges[axis]
        kappa = carried(axis, e)
        thick = kappa > 0
        h = grid.h[axis]
        found = line_integrals(process, kappa[thick], e.start[:, thick], e.step[:, thick], axis)
        scale = -2 * np.log(h) - found.log_resistance
        parts.append(Edges(e.a[thick], e.b[thick], scale, scale + found.end))
        thin = e.part(~thick)
        if thin.a.size and extra_drift(process, thin.start.T[:1]) is not None:
            parts.append(upwind(process, thin, axis, np.log(space.grid.volumes.ravel())))
    return Edges(*(np.concatenate(part) for part in zip(*parts)))


def _gradient_edges(process, space):
    """Edges that are no axis edges, with the potential alone, and a function (axis, edges) that gives the
    diffusivity which the axis edges carry."""
    grid, M, theta = space.grid, process.mobility, process.theta
    if M.is_tensor:
        return _edges_of_a_field(process, space)
    offsets, weights = selling(theta * M.matrix, grid.h)
    parts, axis_weight = [], np.zeros(grid.ndim)
    for offset, weight in zip(offsets, weights):
        if weight <= SMALL * weights.max():
            continue
        along = np.flatnonzero(offset)
        if along.size == 1 and abs(offset[along[0]]) == 1:
            axis_weight[along[0]] = weight
            continue
        a, b = neighbours(grid, space.inside, offset)
        step = np.repeat((offset * grid.h)[:, None], a.size, axis=1).astype(float)
        log_r = log_mean_resistance(space, space.centres(a), step, None)
        B = space.B
        parts.append(Edges(a, b, np.log(weight) - log_r + B[a], np.log(weight) - log_r + B[b]))
    return parts, lambda axis, e: np.full(e.a.size, axis_weight[axis] * grid.h[axis]**2)


def _warn_if_long(process, space):
    """Where a force stays beside the potential, and no potential was split off it."""
    centres = space.centres(np.flatnonzero(space.inside)).T
    eigenvalues = np.linalg.eigvalsh(process.mobility.matrices(centres))
    if (eigenvalues[:, 0] <= 0).any():
        return
    ratio = float((eigenvalues[:, -1] / eigenvalues[:, 0]).max())
    if ratio > LONG and not process.is_gradient:
        warnings.warn(f"the axes of the diffusion matrix differ up to {ratio:.3g} times in length and are "
                      "not those of the grid: the force enters with low order; turn the coordinates if you "
                      "can.", ResolutionWarning, stacklevel=9)


def _edges_of_a_field(process, space):
    """The same for D(x) in two dimensions: the weights of Selling at each node, averaged over the two ends of
    an edge."""
    grid, cells = space.grid, np.flatnonzero(space.inside)
    D = process.theta * process.mobility(space.centres(cells).T)
    offsets, weights = selling_field(D / np.outer(grid.h, grid.h))
    index, inside = np.stack(np.unravel_index(cells, grid.shape)), space.inside.ravel()
    pairs, halves, ways = [], [], []
    for k in range(3):
        for sign in (1, -1):
            there, ok = index + sign * offsets[:, k].T, weights[:, k] > SMALL * weights.max(1)
            for axis, n in enumerate(grid.shape):
                if grid.periodic[axis]:
                    there[axis] %= n
                else:
                    ok &= (there[axis] >= 0) & (there[axis] < n)
                    there[axis] = np.clip(there[axis], 0, n - 1)
            to = np.ravel_multi_index(tuple(there), grid.shape)
            ok &= inside[to]
            a, b, way = cells[ok], to[ok], sign * offsets[ok, k]
            turned = a > b
            pairs.append(np.where(turned, b, a) * grid.n_cells + np.where(turned, a, b))
            ways.append(np.where(turned[:, None], -way, way))
            halves.append(weights[ok, k] / 2)
    key, ways, halves = np.concatenate(pairs), np.concatenate(ways), np.concatenate(halves)
    keys, first, owner = np.unique(key, return_index=True, return_inverse=True)
    total, way = np.bincount(owner, halves), ways[first]
    straight = np.abs(way).sum(1) == 1
    a, b = keys // grid.n_cells, keys % grid.n_cells
    edge = ~straight
    log_r = log_mean_resistance(space, space.centres(a[edge]), (way[edge] * grid.h).T.copy(), None)
    log_w, B = np.log(total[edge]) - log_r, space.B
    parts = [Edges(a[edge], b[edge], log_w + B[a[edge]], log_w + B[b[edge]])]

    def carried(axis, e):
        wanted = np.minimum(e.a, e.b) * grid.n_cells + np.maximum(e.a, e.b)
        at = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
        known = (keys[at] == wanted) & straight[at]
        return np.where(known, total[at], 0.0) * grid.h[axis]**2
    return parts, carried


def selling_field(E):
    """Selling's offsets (n, 3, 2) and weights (n, 3) of n forms E (n, 2, 2): sum_k w_k e_k e_k' = E."""
    n = len(E)
    base = np.tile(np.array([[1, 0], [0, 1], [-1, -1]]), (n, 1, 1))
    size, sides = np.trace(E, axis1=1, axis2=2), ((0, 1, 2), (0, 2, 1), (1, 2, 0))
    for _ in range(1000):
        products = np.stack([np.einsum("ni,nij,nj->n", base[:, i], E, base[:, j]) for i, j, _ in sides], 1)
        worst = products.argmax(1)
        if not (left := products[np.arange(n), worst] > 1e-14 * size).any():
            break
        for s, (i, j, _) in enumerate(sides):
            at = np.flatnonzero(left & (worst == s))
            one, two = base[at, i], base[at, j]
            base[at] = np.stack([-one, two, one - two], axis=1)
    rest = base[:, [k for _, _, k in sides]]
    return np.stack([-rest[..., 1], rest[..., 0]], axis=-1), np.maximum(-products, 0.0)


def tensor_cuts(space, edges):
    """`Cuts` of the region of `space` on the edges of a tensor, their rates divided by the part of the edge
    that lies outside."""
    check_selection(space)
    absorbed, states = space.absorbed.ravel(), space.states.ravel()
    grid, parts = space.grid, []
    for here, there, log_q in ((edges.I, edges.J, edges.log_forth), (edges.J, edges.I, edges.log_back)):
        pick = states[here] & absorbed[there] & np.isfinite(log_q)
        i, j = here[pick], there[pick]
        start, end = space.centres(i), space.centres(j)
        for k, (low, high) in enumerate(grid.bounds):
            if grid.periodic[k]:
                end[k] -= (high - low) * np.rint((end[k] - start[k]) / (high - low))
        s = np.clip(np.nan_to_num(space.region.crossing(start.T, end.T), nan=1.0), LEAST_FRACTION, 1.0)
        with np.errstate(divide="ignore"):
            parts.append(Cuts(i, j, log_q[pick] - np.log(s), np.log(1 - s), s, np.zeros(i.size, int)))
    return Cuts(*(np.concatenate(part) for part in zip(*parts)))
