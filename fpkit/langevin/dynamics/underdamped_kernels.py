"""Underdamped Langevin dynamics by BAOAB (`step_kernels`) on blocks of walkers, unit mass.

    dx = v dt,   dv = -g(x) dt - friction v dt + sqrt(2 friction theta) dW
"""
import math

import numba
import numpy as np
from numba import prange, types

from ...core.compilation import FUNCTION, kernel, numbers_2d, numbers_3d
from ...core.compilation.special import options
from .noise_kernels import fill_noise, singles_3d, words_t
from .step_kernels import (
    DAMPING,
    DT,
    THETA,
    TIME,
    copy,
    damp,
    drift,
    give,
    kick,
    plan_t,
    set_parameters,
    take,
)
from .wall_kernels import absorb, box_t, give_exits, take_exits


@numba.njit(**options)
def _advance(first, count, X, velocity, noise, S, gradient, plan, saved, box):
    steps, P, start, n_steps, lanes, every = plan
    d = X.shape[0]
    Y, V, G, O = np.empty((d, lanes)), np.empty((d, lanes)), np.empty((d, lanes)), np.empty((d, lanes))
    W, s = np.empty((2 * d, lanes), np.float32), np.empty((4, lanes), np.uint32)
    R, sign, wound, variance = np.empty((d, lanes)), np.ones((d, lanes)), np.zeros((d, lanes)), np.zeros(d)
    p, n_alive = P[0].copy(), lanes
    take(X, first, count, Y)
    take(velocity, first, count, V)
    take(S, first, count, s)
    take(noise[1], first, count, W[d:])
    exits = take_exits(box, first, count, lanes)
    gradient(Y, p, G)
    for k in range(start, start + n_steps):
        r, half = (k - start if steps.shape[0] > 1 else 0), d * (k & 1)
        dt, theta, c = steps[r, DT], steps[r, THETA], steps[r, DAMPING]
        if half == 0:
            fill_noise(s, W, False)
        if n_alive > 0:
            if box.has_absorbing:
                copy(Y, O)
            kick(V, G, 0.5 * dt)
            drift(Y, V, R, 0.5 * dt, box.walls, sign, wound)
            damp(V, W, half, c, math.sqrt(theta * (1.0 - c * c)))
            drift(Y, V, R, 0.5 * dt, box.walls, sign, wound)
            if box.has_absorbing:
                time = steps[r, TIME] if steps.shape[0] > 1 else k * dt
                n_alive = absorb(O, Y, box.walls, variance, exits, k, time, dt, box.seed)
            set_parameters(P, k + 1 - start, p)
            gradient(Y, p, G)
            kick(V, G, 0.5 * dt)
        if every > 0 and (k + 1) % every == 0:
            give(Y, saved[(k + 1) // every - start // every - 1], first, count, 0)
    give(Y, X, first, count, 0)
    give(V, velocity, first, count, 0)
    give(s, S, first, count, 0)
    give(W[d:], noise[1], first, count, 0)
    give_exits(box, exits, wound, first, count)


@kernel(types.void(numbers_2d, numbers_2d, singles_3d, words_t, FUNCTION["gradient"], plan_t, numbers_3d,
                   box_t), parallel=True)
def underdamped(X, velocity, noise, S, gradient, plan, saved, box):
    """Advance X and velocity (d, n) in place; the rest as in `overdamped`."""
    n = X.shape[1]
    for block in prange((n + plan.lanes - 1) // plan.lanes):
        first = block * plan.lanes
        _advance(first, min(plan.lanes, n - first), X, velocity, noise, S, gradient, plan, saved, box)
