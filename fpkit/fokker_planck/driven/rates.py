"""Rates of a driven diffusion along the edges of a grid.

On an edge of length h the current is that of the line: with the exponent E(s) = -int_0^s a/kappa along it and
J constant, J = (u_i - u_j exp(E(h))) / int_0^h exp(E)/kappa, so that both rates are positive for any drift
(an M-matrix), and the flux of any drift in one dimension is exact [1]_. With a potential E = beta f - int of
the force, f by its values: without a force exp(-beta f) is stationary to rounding.

Off the diagonal the diffusion matrix is carried by Selling's edges, which know the potential alone, and what
else flows goes along the axes, each joined to the edge of its axis, or upwind where Selling has none.

References
----------
.. [1] D. L. Scharfetter, H. K. Gummel, IEEE Trans. Electron Devices 16, 64 (1969).
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...core.logarithms import log_bernoulli
from ..discretisation.absorbing_boundary import LEAST_FRACTION, check_selection, cut_edges, cut_walls
from ..discretisation.edge_integrals import MAX_PIECES, STEP, WALL
from ..gibbs.quadrature import cumulative, gauss

N_POINTS = {1: 12, 2: 4, 3: 4}              # Gauss points of a piece: on a line they are cheap
CHUNK = 200_000


class LineIntegrals(NamedTuple):
    """Of n segments from i to j: log of the mean over the segment of exp(E)/kappa, and E at the end."""

    log_resistance: np.ndarray
    end: np.ndarray


def line_integrals(process, kappa, start, step, axis):
    """`LineIntegrals` along one axis.

    Parameters
    ----------
    process : Diffusion
        Frozen in time.
    kappa : callable or ndarray (n,)
        The diffusivity that the axis carries at points (n, ndim), or on each segment.
    start, step : ndarray (ndim, n)
        First point and vector to the last, along `axis`.
    """
    out = np.empty((2, start.shape[1]))
    probes = _exponents(process, kappa, start, step, axis, 4)
    with np.errstate(over="ignore"):
        change = np.abs(np.diff(np.minimum(probes.E, WALL), axis=0)).max(0) * 4
    if np.isnan(change).any():
        where = np.round((start + step / 2)[:, np.isnan(change)][:, 0], 6).tolist()
        raise ValueError(f"the drift is NaN between cell centres, first near {where}; take that place out "
                         "with Grid(..., mask=...).")
    pieces = (2 ** np.ceil(np.log2(np.clip(np.ceil(change / STEP), 1, MAX_PIECES)))).astype(int)
    for n in np.unique(pieces):
        pick = np.flatnonzero(pieces == n)
        per = max(1, CHUNK // (int(n) * N_POINTS[len(start)]))
        for k in range(0, pick.size, per):
            at = pick[k:k + per]
            here = kappa if callable(kappa) else kappa[at]
            found = _exponents(process, here, start[:, at], step[:, at], axis, int(n))
            top = found.E.max(0)
            with np.errstate(under="ignore"):
                mean = found.weights @ (np.exp(found.E - top) / found.kappa)
            out[0, at], out[1, at] = top + np.log(mean), found.end
    return LineIntegrals(np.where(out[0] >= WALL / 2, np.inf, out[0]), out[1])


class _Along(NamedTuple):
    """Exponents E and diffusivities (n_points, n) at the Gauss points of segments, weights, E at the end."""

    E: np.ndarray
    kappa: np.ndarray
    weights: np.ndarray
    end: np.ndarray


def _exponents(process, kappa, start, step, axis, pieces):
    m = N_POINTS[len(start)]
    x, w = gauss(m)
    s = ((np.arange(pieces)[:, None] + x) / pieces).ravel()
    d, n = start.shape
    X = (start[:, None, :] + step[:, None, :] * s[:, None]).reshape(d, -1).T
    k = kappa(X).reshape(s.size, n) if callable(kappa) else np.broadcast_to(kappa, (s.size, n))
    drive = extra_drift(process, X)
    if drive is None:
        E, end = np.zeros((s.size, n)), np.zeros(n)
    else:
        along = (drive[:, axis].reshape(s.size, n) * step[axis] / k).reshape(pieces, m, n)
        full = np.einsum("q,pqn->pn", w, along) / pieces
        before = np.concatenate([np.zeros((1, n)), np.cumsum(full, 0)])
        E = -(before[:-1, None] + np.einsum("qr,prn->pqn", cumulative(m), along) / pieces)
        E, end = E.reshape(s.size, n), -before[-1]
    if process.equation is None:
        V, beta = process.potential, 1 / process.theta
        f0, f1 = V(start.T), V((start + step).T)
        with np.errstate(invalid="ignore", over="ignore"):
            E = E + np.nan_to_num(beta * (V(X).reshape(s.size, n) - f0), nan=np.nan, posinf=WALL)
            end = end + beta * (f1 - f0)
    return _Along(E, k, np.tile(w / pieces, pieces), end)


def extra_drift(process, X):
    """The part of the drift a that no potential makes, M F or all of it, at points (n, ndim); None where
    there is none."""
    if process.equation is not None:
        return process.advection(X)
    if process.force is None:
        return None
    F, M = process.force(X), process.mobility
    if M.is_tensor:
        return np.einsum("nij,nj->ni", M(X), F)
    return F @ M.matrix if M.is_constant else M.at(X) * F


class Edges(NamedTuple):
    """Directed edges: flat cells I and J, and log of the rates from I to J and back, of volumes."""

    I: np.ndarray
    J: np.ndarray
    log_forth: np.ndarray
    log_back: np.ndarray


def axis_diffusivity(process, axis):
    """kappa along one axis of a diagonal diffusion matrix, as a function of points (n, ndim)."""
    M, theta = process.mobility, process.theta
    if M.is_constant:
        return lambda X: np.full(len(X), theta * M.diagonal[axis])
    return lambda X: theta * M.at(X)[:, axis]


def axis_rates(process, space, axis):
    """`Edges` between all inside neighbours along one axis."""
    e = space.axis_edges[axis]
    log_v = np.log(space.grid.volumes.ravel())
    if process.mobility.is_constant and process.mobility.diagonal[axis] == 0:
        return upwind(process, e, axis, log_v)
    found = line_integrals(process, axis_diffusivity(process, axis), e.start, e.step, axis)
    scale = np.log(e.area / e.length) - found.log_resistance
    return Edges(e.a, e.b, scale - log_v[e.a], scale + found.end - log_v[e.b])


def upwind(process, e, axis, log_v):
    """`Edges` along an axis that carries no diffusion: the drift alone, of order 1."""
    x, w = gauss(4)
    v = sum(wk * extra_drift(process, (e.start + xk * e.step).T)[:, axis] for xk, wk in zip(x, w))
    with np.errstate(divide="ignore"):
        return Edges(e.a, e.b, np.log(np.maximum(v, 0.0) * e.area) - log_v[e.a],
                     np.log(np.maximum(-v, 0.0) * e.area) - log_v[e.b])


class Cuts(NamedTuple):
    """Ways from states into a region: flat states i and cells j of the region (-1: a wall), log of the
    killing rate, log of the share of it that is not the rate of the edge from i to j, length and axis."""

    i: np.ndarray
    j: np.ndarray
    log_killing: np.ndarray
    log_share: np.ndarray
    length: np.ndarray
    axis: np.ndarray


def _normals(region, points):
    """Unit normals (n, ndim) of the boundary of a region at points on it, by differences of its distance."""
    if not region.has_distance:
        raise ValueError(f"{region!r} has no distance, and so no normal for a partially absorbing boundary; "
                         "use Ball, HalfSpace or Box and what is made of them.")
    out, h = np.empty(points.shape), 1e-6 * (1 + np.abs(points).max())
    for k in range(points.shape[1]):
        e = np.zeros(points.shape[1])
        e[k] = h
        out[:, k] = region.signed_distance(points + e) - region.signed_distance(points - e)
    return out / np.maximum(np.sqrt((out**2).sum(1, keepdims=True)), 1e-300)


def stretched(grid, ids, cut, edges):
    """(log of the volume factor of each state (n,), of the area factor of each edge): cells beside the
    boundary reach up to it. The boundary itself counts one cell face for each cut, weighed by its normal:
    that adds up to its area."""
    n = ids.size
    sides = np.ones((grid.ndim, n))
    at = [np.unravel_index(ids, grid.shape)[k] for k in range(grid.ndim)]
    for axis in range(grid.ndim):
        pick = cut.axis == axis
        i = cut.i[pick]
        np.add.at(sides[axis], i, cut.length[pick] / grid.widths[axis][at[axis][i]] - 0.5)
    log = np.log(np.maximum(sides, LEAST_FRACTION))
    I, J, axis_of = edges
    mean = np.log((np.exp(log[:, I]) + np.exp(log[:, J])) / 2)
    area = mean.sum(0) - mean[axis_of, np.arange(I.size)]
    return log.sum(0), area


def axis_cuts(process, space, reactivity=None):
    """`Cuts` of the region of `space` along the axes.

    With a `reactivity` kappa the boundary takes part of what arrives, J.n = kappa u: two resistances in a
    row, that of the way and exp(E)/kappa; along an axis kappa counts with the component of the normal, so
    that the boundary counts by its own area.
    """
    check_selection(space)
    grid = space.grid
    log_v = np.log(grid.volumes.ravel())
    parts = []
    for cuts, is_wall in ((cut_edges, False), (cut_walls, True)):
        for axis, flat, length, area in cuts(space):
            start = space.centres(flat)
            whole = space.along(axis, length)
            s = np.nan_to_num(space.region.crossing(start.T, (start + whole).T), nan=1.0)
            s = np.clip(s, LEAST_FRACTION, 1.0)
            kappa = axis_diffusivity(process, axis)
            near = line_integrals(process, kappa, start, whole * s, axis)
            log_r = near.log_resistance + np.log(s * np.abs(length))
            if reactivity is not None:
                normal = _normals(space.region, (start + whole * s).T)[:, axis]
                with np.errstate(divide="ignore"):
                    log_r = np.logaddexp(log_r, near.end - np.log(reactivity * np.abs(normal)))
            log_k, share, other = -log_r, np.zeros(flat.size), np.full(flat.size, -1)
            if not is_wall and reactivity is None:
                edge = line_integrals(process, kappa, start, whole, axis)
                rest = line_integrals(process, kappa, start + whole * s, whole * (1 - s), axis)
                with np.errstate(divide="ignore"):
                    log_rest = rest.log_resistance + near.end + np.log((1 - s) * np.abs(length))
                share = -np.logaddexp(0.0, log_r - log_rest)
                # through the rate of the whole edge, so that the parts add up to it in every digit
                log_k = (np.logaddexp(0.0, log_rest - log_r) - edge.log_resistance - np.log(np.abs(length)))
                place = list(np.unravel_index(flat, grid.shape))
                place[axis] = (place[axis] + np.sign(length).astype(int)) % grid.shape[axis]
                other = np.ravel_multi_index(tuple(place), grid.shape)
            parts.append(Cuts(flat, other, np.log(area) + log_k - log_v[flat], share, s * np.abs(length),
                              np.full(flat.size, axis)))
    return Cuts(*(np.concatenate(part) for part in zip(*parts)))


def stream_rates(process, chain, corners):
    """`Edges` of a force given by its stream function, on the edges of the reversible chain.

    m_i q_ij = c B(-A/c) with A the flow of rot(psi exp(-beta f)) through the face, a difference between its
    two corners, so that the masses m stay stationary to rounding.

    Parameters
    ----------
    chain : Chain
        With the masses that shall be stationary.
    corners : callable
        Gives log|psi exp(-beta (f - f0))| and its sign at the two corners of the faces between flat cells.
    """
    I, J = chain.edges.T
    log_c, m = chain.log_cond + chain.shift, chain.log_mass + chain.shift
    (log_1, sign_1), (log_0, sign_0) = corners(I, J)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        x = (sign_1 * np.exp(np.minimum(log_1 - log_c, 700.0))
             - sign_0 * np.exp(np.minimum(log_0 - log_c, 700.0)))
        return Edges(I, J, log_c + log_bernoulli(-x) - m[I], log_c + log_bernoulli(x) - m[J])
