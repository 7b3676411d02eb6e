"""What one edge conducts: the rules for its resistance, each written once."""
from __future__ import annotations

import numpy as np

from ...core.logarithms import log_bernoulli
from ..gibbs.quadrature import gauss
from .coefficients import AxisEdges, spacings
from .edge_integrals import ABOVE_LIMIT, MAX_PIECES, STEP, log_mean_resistance

FACE_LINES = {2: 4, 3: 3}                 # Gauss lines through a face, on each of its axes


def node_masses(space):
    """log of volume * exp(-beta (f - f0)) at the cell centres."""
    return np.log(space.grid.volumes).ravel() - space.B


def axis_conductances(space, axis, conductance):
    """Edges (n, 2) between states along one axis, and log conductances."""
    e = space.pairs(axis)
    return np.stack([e.a, e.b], axis=1), _log_conductances(space, e, conductance)


def _log_conductances(space, e, conductance):
    return log_conductance(space, conductance, e.axis, e.start, e.step, e.length, e.area, space.B[e.a],
                           space.B[e.b], e.across)


def neighbour_links(space, conductance):
    """log conductances (ndim, n_cells) from each state to the next along each axis, -inf where there is none.

    Those of the whole domain are made once for all regions.
    """
    whole, grid = space.without_region(), space.grid
    if conductance not in whole.known:
        is_compiled = (conductance == "face" and space.exponent.is_compiled
                       and space.mobility.is_constant and not space.mobility.is_full)
        links = np.full((grid.ndim, grid.n_cells), -np.inf)
        for axis in range(grid.ndim):
            if is_compiled:
                a = np.flatnonzero(linked(whole.inside, axis, grid.periodic[axis]))
                links[axis, a] = _face_means(whole, axis, a)
                links[axis] += np.log(_strengths(whole, axis)).ravel()
            else:
                e = AxisEdges.of(grid, whole.inside, axis)
                links[axis, e.a] = _log_conductances(whole, e, conductance)
        whole.known[conductance] = links
    links = whole.known[conductance]
    if space.region is None:
        return links
    links = links.copy()
    for axis in range(grid.ndim):
        links[axis, ~linked(space.states, axis, grid.periodic[axis]).ravel()] = -np.inf
    return links


def linked(cells, axis, is_periodic):
    """Cells of a set (grid.shape) whose next one along an axis is in it as well."""
    both = cells & np.roll(cells, -1, axis)
    if not is_periodic:
        both[(slice(None),) * axis + (-1,)] = False
    return both


def _strengths(space, axis):
    """theta times mobility times area over length of the edges that leave each cell along an axis, in a form
    that spreads over the grid."""
    grid = space.grid
    along = lambda values, k: values.reshape([-1 if j == k else 1 for j in range(grid.ndim)])
    area = np.ones((1,) * grid.ndim)
    for k, width in enumerate(grid.widths):
        if k != axis:
            area = area * along(width, k)
    strength = space.theta * space.mobility.diagonal[axis] * area / along(spacings(grid, axis), axis)
    return np.broadcast_to(strength, grid.shape)


def log_conductance(space, conductance, axis, start, step, length, area, Ba, Bb, across=None):
    """log of the conductance of segments along an axis (or of any direction, axis None and mobility left
    out).

    Parameters
    ----------
    start, step : ndarray (ndim, n); length, area, Ba, Bb : ndarray (n,)
        Ba, Bb are beta (f - f0) at the two ends.
    across : ndarray (ndim, n), optional
        Widths of the face, for the rule "face"; without it that is the line quadrature.
    """
    scale = np.log(space.theta * area / length)
    if conductance in ("quadrature", "committor", "face"):
        if across is None or conductance != "face" or space.grid.ndim == 1:
            return scale - log_mean_resistance(space, start, step, axis)
        return scale + _face_mean(space, axis, start, step, across)
    if axis is not None:
        scale = scale + space.mobility.log_along(axis, start + step / 2)
    if conductance == "midpoint":
        return scale - space.exponent(start + step / 2)
    return scale + log_end_weight(conductance, Ba, Bb)


def log_end_weight(conductance, Ba, Bb):
    """log of the mean of exp(-beta (f - f0)) on an edge, by a rule that needs the two end values only."""
    if conductance == "scharfetter-gummel":
        return log_bernoulli(Bb - Ba) - Ba
    if conductance == "sqra":
        return -(Ba + Bb) / 2
    if conductance == "harmonic":
        return np.log(2) - np.logaddexp(Ba, Bb)
    return np.logaddexp(-Ba, -Bb) - np.log(2)


def _face_mean(space, axis, start, step, across):
    """log of the mean over lines through the face of 1 / mean of exp(beta (f - f0)) / M on the line."""
    x, w = gauss(FACE_LINES[space.grid.ndim])
    others = [k for k in range(space.grid.ndim) if k != axis]
    total = np.full(start.shape[1], -np.inf)
    for index in np.ndindex(*(x.size,) * len(others)):
        at, weight = start.copy(), 1.0
        for k, i in zip(others, index):
            at[k] += (x[i] - 0.5) * across[k]
            weight *= w[i]
        total = np.logaddexp(total, np.log(weight) - log_mean_resistance(space, at, step, axis))
    return total


def _face_means(space, axis, cells):
    """`_face_mean` for the edges that leave `cells` along one axis by a kernel, mobility left out."""
    from . import face_kernels
    grid, exponent = space.grid, space.exponent
    lines = np.stack([np.concatenate(part) for part in (grid.centres, grid.widths,
                                                        [spacings(grid, k) for k in range(grid.ndim)])])
    out = np.empty(cells.size)
    if out.size:
        numbers = np.array([exponent.beta, exponent.f0, STEP, ABOVE_LIMIT, MAX_PIECES, space.weight_limit])
        face_kernels.face_means(lines, np.array(grid.shape), axis, exponent.potential.block("value"),
                                exponent.potential.p, numbers, cells, np.stack(gauss(4)),
                                np.stack(gauss(FACE_LINES[grid.ndim])), out)
    return out
