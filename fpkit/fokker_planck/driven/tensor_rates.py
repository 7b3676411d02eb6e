"""Rates where the diffusion matrix has entries off its diagonal, constant or not: Selling's edges for the
gradient part, fluxes along the axes for the rest."""
from __future__ import annotations

import warnings

import numpy as np

from ...core.results import ResolutionWarning
from ..discretisation.absorbing_boundary import LEAST_FRACTION, check_selection
from ..discretisation.edge_integrals import log_mean_resistance
from ..discretisation.tensor_stencil import neighbours, selling
from ..gibbs.quadrature import gauss
from .rates import Cuts, Edges, extra_drift, line_integrals

LONG = 10.0                                 # ratio of the axes of D from which axis fluxes are of low order
SMALL = 1e-13


def tensor_rates(process, space):
    """`Edges`, some pairs several times."""
    grid = space.grid
    parts, carried = _gradient_edges(process, space)
    for axis in range(grid.ndim):
        e = space.axis_edges[axis]
        kappa = carried(axis, e)
        thick = kappa > 0
        h = grid.h[axis]
        found = line_integrals(process, _Table(kappa[thick]), e.start[:, thick], e.step[:, thick], axis)
        scale = -2 * np.log(h) - found.log_resistance
        parts.append(Edges(e.a[thick], e.b[thick], scale, scale + found.end))
        thin = e.part(~thick)
        if thin.a.size and extra_drift(process, thin.start.T[:1]) is not None:
            x, w = gauss(4)
            v = sum(wk * extra_drift(process, (thin.start + xk * thin.step).T)[:, axis]
                    for xk, wk in zip(x, w))
            with np.errstate(divide="ignore"):
                parts.append(Edges(thin.a, thin.b, np.log(np.maximum(v, 0.0) / h),
                                   np.log(np.maximum(-v, 0.0) / h)))
    return Edges(*(np.concatenate(part) for part in zip(*parts)))


class _Table:
    """The diffusivity that each axis edge carries: given edge by edge, asked for at points of the edges in
    turn."""

    def __init__(self, values):
        self.values, self.is_uniform = values, bool(values.size == 0 or np.ptp(values) == 0)

    def __call__(self, X):
        if self.is_uniform:
            return np.full(len(X), self.values[0] if self.values.size else 1.0)
        raise NotImplementedError


def _gradient_edges(process, space):
    """Edges that are no axis edges, with the potential alone, and a function (axis, edges) that gives the
    diffusivity which the axis edges carry."""
    grid, M, theta = space.grid, process.mobility, process.theta
    offsets, weights = selling(theta * M.matrix, grid.h)
    eigenvalues = np.linalg.eigvalsh(M.matrix)
    if eigenvalues[-1] > LONG * eigenvalues[0] and not process.is_gradient:
        warnings.warn(f"the axes of the diffusion matrix differ {eigenvalues[-1] / eigenvalues[0]:.3g} times "
                      "in length and are not those of the grid: the force enters with low order; turn the "
                      "coordinates if you can.", ResolutionWarning, stacklevel=8)
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
            parts.append(Cuts(i, j, log_q[pick] - np.log(s), np.log(1 - s)))
    return Cuts(*(np.concatenate(part) for part in zip(*parts)))
