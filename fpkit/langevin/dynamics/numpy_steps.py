"""The same schemes step by step in NumPy, for what cannot be compiled: black-box potentials, mobilities that
are functions of the place, and domains with holes (a step that would leave the domain is not made: the
no-flux wall).

The noise is the one of the kernels: the same trajectory gets the same normals on both ways.
"""
from __future__ import annotations

import numpy as np

from .noise_kernels import draw_noise, draw_uniforms
from .step_kernels import DAMPING, DT, SIGMA, THETA, TIME
from .wall_kernels import Exits, absorb_all, fold_all, is_outside_all


def advance_whole(ensemble, steps, P, start, n_steps, saved, every):
    """Advance `ensemble` in place by n_steps; the tables are those of Schedule.rows."""
    d, n = ensemble.X.shape
    step = {"mala": _metropolis_step, "baoab": _underdamped_step}.get(ensemble.scheme, _overdamped_step)
    W = np.empty((2 * d, n), np.float32)
    W[d:] = ensemble.noise[1]
    ensemble.cached = None
    for k in range(start, start + n_steps):
        half = d * (k & 1)
        if half == 0:
            draw_noise(ensemble.S, W, ensemble.noise_law == "three-point")
        row = steps[k - start if len(steps) > 1 else 0].copy()
        if len(steps) == 1:
            row[TIME] = k * row[DT]
        now, after = (P[k - start], P[k - start + 1]) if len(P) > 1 else (None, None)
        # a diverging path is found and reported at the end of the chunk
        with np.errstate(over="ignore", invalid="ignore"):
            step(ensemble, W[half:half + d], row, now, after, k)
        if every and (k + 1) % every == 0:
            saved[(k + 1) // every - start // every - 1] = ensemble.X
    ensemble.noise[1] = W[d:]


def _potential(ensemble, p):
    """The potential at the time that the parameters p name."""
    V = ensemble.potential
    return V if p is None else V.with_params(t=float(p[V.time_index]))


def _gradient(ensemble, X, p):
    field = ensemble.field
    if p is not None:
        field = field.with_params(t=float(p[field.time_index]))
    return np.ascontiguousarray(np.asarray(field.gradient(X.T), float).T)


def _drift(ensemble, X, p, row):
    """(velocity of the drift, root of the mobility times a noise) at X (d, n)."""
    m, process = ensemble.mobility, ensemble.process
    if m.is_constant:
        return _downhill(ensemble, _gradient(ensemble, X, p)), m.rooted
    points = np.ascontiguousarray(X.T)
    if process is not None:
        drift = process.drift(points, row[TIME]).T
        if m.is_tensor:
            A = m.roots(points)
            return drift, lambda z: np.einsum("nij,jn->in", A, z)
        M = m.at(points).T
        return drift, lambda z: np.sqrt(M) * z
    g = _gradient(ensemble, X, p)
    M = m.at(points).T
    return -M * g + row[THETA] * m.divergence(points).T, lambda z: np.sqrt(M) * z


def _downhill(ensemble, g):
    """The drift from a constant mobility and what is gone down along."""
    return -g if ensemble.is_drift else -ensemble.mobility.applied(g)


def _overdamped_step(ensemble, z, row, p, after, k):
    if ensemble.scheme not in ("euler-maruyama", "leimkuhler-matthews", "heun"):
        raise NotImplementedError(f'scheme "{ensemble.scheme}" has no step for black-box potentials yet.')
    X, dt, sigma = ensemble.X, row[DT], row[SIGMA]
    drift, rooted = _drift(ensemble, X, p, row)
    noise = rooted(z.astype(float))
    sign = np.ones(X.shape)
    if ensemble.scheme == "leimkuhler-matthews":
        is_full = ensemble.mobility.is_full  # the memory holds A z for a matrix, z itself for a diagonal
        last = ensemble.noise[0].astype(float)
        Y = X + (0.5 * sigma * (noise + (last if is_full else rooted(last))) + dt * drift)
        ensemble.noise[0] = noise if is_full else z
    else:
        Y = X + (sigma * noise + dt * drift)
    if ensemble.scheme == "heun":
        if ensemble.walls is not None:
            fold_all(Y, ensemble.table, sign, np.zeros(X.shape))
        second = sign * _drift_free(ensemble, sign, Y, after)
        Y = X + (sigma * noise + 0.5 * dt * (drift + second))
        sign[:] = 1.0
    _finish(ensemble, X.copy(), Y, row, k, sign, (ensemble.mobility.root**2).sum(1) * sigma**2
            if ensemble.mobility.is_constant else None)
    ensemble.noise[0] *= sign.astype(np.float32)


def _drift_free(ensemble, sign, Y, p):
    """-M g at the folded predictor; M acts after the mirror has been undone."""
    return _downhill(ensemble, sign * _gradient(ensemble, Y, p)) * sign


def _finish(ensemble, O, Y, row, k, sign, variance):
    """Walls and holes, then the new place."""
    d, n = Y.shape
    wound = np.zeros((d, n))
    if ensemble.walls is not None:
        if ensemble.scheme != "baoab":
            ensemble.unfolded = Y.copy()
        fold_all(Y, ensemble.table, sign, wound)
    domain = ensemble.potential.domain
    if domain is not None:
        out = ~np.asarray(domain(Y.T), bool)
        Y[:, out], wound[:, out] = O[:, out], 0.0
        if ensemble.unfolded is not None:
            ensemble.unfolded[:, out] = O[:, out]
        sign[:, out] = -1.0                                      # a refused step is a mirror of every axis
    if ensemble.has_absorbing:
        if variance is None:                                     # M(x): the noise of this step, at its start
            raise NotImplementedError("absorbing walls need a constant mobility")
        exits = Exits(ensemble.exit_time, ensemble.exit_side, ensemble.trajectories)
        absorb_all(O, Y, ensemble.table, np.ascontiguousarray(variance), exits, k, row[TIME], row[DT],
                   ensemble.key)
    if ensemble.walls is not None:
        ensemble.turns += wound
    ensemble.X[:] = Y


def _metropolis_step(ensemble, z, row, p, after, k):
    X, dt, sigma, theta, root = ensemble.X, row[DT], row[SIGMA], row[THETA], ensemble.mobility.root
    if ensemble.cached is None or p is not None:
        ensemble.cached = np.asarray(_potential(ensemble, p)(X.T), float), _gradient(ensemble, X, p)
    f, g = ensemble.cached
    u = np.empty((1, X.shape[1]), np.float32)
    draw_uniforms(ensemble.U, u)
    z = z.astype(float)
    Y = X + sigma * (root @ z) - dt * (root @ (root.T @ g))
    out, wound = np.zeros(X.shape[1], np.int64), np.zeros(X.shape)
    if ensemble.walls is not None:
        is_outside_all(Y, ensemble.table, out)
        fold_all(Y, ensemble.table, np.ones(X.shape), wound)
    h, q = np.asarray(_potential(ensemble, p)(Y.T), float), _gradient(ensemble, Y, p)
    D = root.T @ (g + q)
    ratio = -(h - f) / theta - (D * (dt * D - 2 * sigma * z)).sum(0) / (4 * theta)
    is_taken = (u[0] < np.exp(ratio)) & (out == 0)
    if ensemble.potential.domain is not None:
        is_taken &= np.asarray(ensemble.potential.domain(Y.T), bool)
    ensemble.accepted += is_taken
    ensemble.cached = np.where(is_taken, h, f), np.where(is_taken, q, g)
    X[:] = np.where(is_taken, Y, X)
    if ensemble.walls is not None:
        ensemble.turns += np.where(is_taken, wound, 0.0)


def _underdamped_step(ensemble, z, row, p, after, k):
    X, V, dt, theta, c = ensemble.X, ensemble.velocity, row[DT], row[THETA], row[DAMPING]
    if ensemble.cached is None:
        ensemble.cached = _gradient(ensemble, X, p)
    O, Y = X.copy(), X.copy()
    V -= 0.5 * dt * ensemble.cached
    wound, is_folded = np.zeros(X.shape), False
    for part in range(2):
        sign = np.ones(X.shape)
        Y += 0.5 * dt * V
        if ensemble.walls is not None:
            straight = Y.copy()
            fold_all(Y, ensemble.table, sign, wound)
            V *= sign
            # of a path that was folded in the first half the straight line is not kept
            ensemble.unfolded = np.where(is_folded, Y, straight)
            is_folded = (straight != Y).any(axis=0)
        if part == 0:
            V *= c
            V += np.sqrt(theta * (1 - c * c)) * z
    if ensemble.walls is not None:
        ensemble.turns += wound
    sign = np.ones(X.shape)
    _finish(ensemble, O, Y, row, k, sign, np.zeros(len(X)))
    V *= sign
    ensemble.cached = _gradient(ensemble, X, after)
    V -= 0.5 * dt * ensemble.cached
