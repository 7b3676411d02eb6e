"""What one edge conducts: the rules for its resistance, each written once."""
from __future__ import annotations

import numpy as np

from ..gibbs.quadrature import gauss
from .edge_integrals import log_mean_resistance

FACE_LINES = {2: 4, 3: 3}                 # Gauss lines through a face, on each of its axes


def node_masses(space):
    """log of volume * exp(-beta (f - f0)) at the cell centres."""
    return np.log(space.grid.volumes).ravel() - space.B


def axis_conductances(space, axis, conductance):
    """Edges (n, 2) between states along one axis, and log conductances."""
    e = space.pairs(axis)
    edges = np.stack([e.a, e.b], axis=1)
    if conductance == "face" and space.grid.ndim == 3 and space.exponent.is_compiled and space.mobility.diagonal is not None:
        return edges, np.log(space.theta * space.mobility.diagonal[axis] * e.area
                             / e.length) + _face_means(space, e)
    return edges, log_conductance(space, conductance, axis, e.start, e.step, e.length, e.area, space.B[e.a],
                                  space.B[e.b], e.across)


def log_conductance(space, conductance, axis, start, step, length, area, Ba, Bb, across=None):
    """log of the conductance of segments along an axis (or of any direction, axis None and mobility left
    out).

    Parameters
    ----------
    start, step : ndarray (ndim, n); length, area, Ba, Bb : ndarray (n,)
        Ba, Bb are beta (f - f0) at the two ends.
    across : ndarray (ndim, n), optional
        Widths of the face, for the rule "face".
    """
    scale = np.log(space.theta * area / length)
    if conductance in ("quadrature", "committor") or conductance == "face" and across is None:
        return scale - log_mean_resistance(space, start, step, axis)
    if conductance == "face":
        return scale + _face_mean(space, axis, start, step, across)
    if axis is not None:
        scale = scale + space.mobility.log_along(axis, start + step / 2)
    return scale + log_weight(space, conductance, start, step, Ba, Bb)


def log_weight(space, conductance, start, step, Ba, Bb):
    """log of the mean of exp(-beta (f - f0)) on an edge, by the two end values or by its middle."""
    d = Bb - Ba
    if conductance == "scharfetter-gummel":
        return log_bernoulli(d) - Ba
    if conductance == "sqra":
        return -(Ba + Bb) / 2
    if conductance == "midpoint":
        return -space.exponent(start + step / 2)
    if conductance == "harmonic":
        return np.log(2) - np.logaddexp(Ba, Bb)
    return np.logaddexp(-Ba, -Bb) - np.log(2)


def log_bernoulli(d):
    """log of d / (exp(d) - 1), for any d."""
    size = np.maximum(np.abs(d), 1e-9)
    return np.where(np.abs(d) < 1e-5, -d / 2 - d * d / 24, np.log(size) - np.log(-np.expm1(-size))
                    - np.maximum(d, 0))


def _face_mean(space, axis, start, step, across):
    """log of the mean over lines through the face of 1 / mean of exp(beta (f - f0)) / M on the line."""
    d = space.grid.ndim
    if d == 1:
        return -log_mean_resistance(space, start, step, axis)
    x, w = gauss(FACE_LINES[d])
    others = [k for k in range(d) if k != axis]
    total = np.full(start.shape[1], -np.inf)
    for index in np.ndindex(*(x.size,) * len(others)):
        at, weight = start.copy(), 1.0
        for k, i in zip(others, index):
            at[k] += (x[i] - 0.5) * across[k]
            weight *= w[i]
        total = np.logaddexp(total, np.log(weight) - log_mean_resistance(space, at, step, axis))
    return total


def _face_means(space, e):
    """`_face_mean` for all edges of one axis by a kernel, mobility left out."""
    from . import face_kernels
    from .edge_integrals import ABOVE_RIM, MAX_PIECES, STEP
    from .edges import spacings
    grid, exponent = space.grid, space.exponent
    lines = np.stack([np.concatenate(part) for part in (grid.centres, grid.widths,
                                                        [spacings(grid, k) for k in range(grid.ndim)])])
    out = np.empty(e.a.size)
    if out.size:
        x, w = gauss(4)
        face_kernels.face_means(lines, np.array(grid.shape), e.axis, exponent.potential.block("value"),
                                exponent.potential.p, exponent.beta, exponent.f0,
                                np.ascontiguousarray(e.a), x.copy(), w.copy(),
                                np.stack(gauss(FACE_LINES[grid.ndim])), STEP, ABOVE_RIM, MAX_PIECES,
                                space.weight_limit, out)
    return out
