"""Underdamped Langevin dynamics by BAOAB on blocks of walkers, unit mass.

    dx = v dt,   dv = -g(x) dt - friction v dt + sqrt(2 friction theta) dW

One step: kick v by -g dt/2, drift x by v dt/2, the exact Ornstein-Uhlenbeck step v = c v + sqrt(theta (1 -
c^2)) z with c = exp(-friction dt), drift, kick [1]_. Mirrors act after each drift and turn the velocity with
the place.

.. [1] B. Leimkuhler, C. Matthews, Appl. Math. Res. eXpress 2013, 34 (2013).
"""
import math

import numba
import numpy as np
from numba import prange, types

from ...core.compilation import FUNCTION, kernel
from ...core.compilation.special import options
from .noise_kernels import fill_noise, ids_t, words_t
from .overdamped_kernels import saved_t
from .step_kernels import DAMPING, DT, THETA, TIME, give, take
from .wall_kernels import absorb, fold, rows_t, sides_t, vector_t

noise_t = types.Array(types.float32, 3, "C")
gradient_t = FUNCTION["gradient"]


@numba.njit(**options)
def drift(Y, V, h, walls, sign, wound):
    """x += h v, then the walls."""
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] += h * V[i, j]
    if walls.shape[1] > 0:
        fold(Y, walls, sign, wound)
        for i in range(Y.shape[0]):
            for j in range(Y.shape[1]):
                V[i, j] *= sign[i, j]
                sign[i, j] = 1.0


@numba.njit(**options)
def _advance(first, count, X, velocity, noise, S, turns, exit_time, exit_side, ids, gradient, P, steps, start,
             n_steps, walls,
             has_absorbing, seed, lanes, saved, every):
    d = X.shape[0]
    Y, V, G, O = np.empty((d, lanes)), np.empty((d, lanes)), np.empty((d, lanes)), np.empty((d, lanes))
    W, s = np.empty((2 * d, lanes), np.float32), np.empty((4, lanes), np.uint32)
    sign, wound, variance = np.ones((d, lanes)), np.zeros((d, lanes)), np.zeros(d)
    when, side, names = np.empty(lanes), np.empty(lanes, np.int64), np.empty(lanes, np.int64)
    p, n_alive = P[0].copy(), lanes
    take(X, first, count, Y)
    take(velocity, first, count, V)
    take(S, first, count, s)
    take(noise[1], first, count, W[d:])
    if has_absorbing:
        for j in range(lanes):
            c = first + (j if j < count else 0)
            when[j], side[j], names[j] = exit_time[c], exit_side[c], ids[c]
    gradient(Y, p, G)
    for k in range(start, start + n_steps):
        r = k - start if steps.shape[0] > 1 else 0
        dt, theta, half = steps[r, DT], steps[r, THETA], d * (k & 1)
        if half == 0:
            fill_noise(s, W, False)
        if n_alive > 0:
            c = steps[r, DAMPING]
            b = math.sqrt(theta * (1.0 - c * c))
            if has_absorbing:
                for i in range(d):
                    for j in range(lanes):
                        O[i, j] = Y[i, j]
            for i in range(d):
                for j in range(lanes):
                    V[i, j] -= 0.5 * dt * G[i, j]
            drift(Y, V, 0.5 * dt, walls, sign, wound)
            for i in range(d):
                for j in range(lanes):
                    V[i, j] = c * V[i, j] + b * np.float64(W[half + i, j])
            drift(Y, V, 0.5 * dt, walls, sign, wound)
            if has_absorbing:
                time = steps[r, TIME] if steps.shape[0] > 1 else k * dt
                n_alive = absorb(O, Y, walls, variance, when, side, names, k, time, dt, seed)
            if P.shape[0] > 1:
                for i in range(p.size):
                    p[i] = P[k - start + 1, i]
            gradient(Y, p, G)
            for i in range(d):
                for j in range(lanes):
                    V[i, j] -= 0.5 * dt * G[i, j]
        if every > 0 and (k + 1) % every == 0:
            give(Y, saved[(k + 1) // every - start // every - 1], first, count, 0)
    give(Y, X, first, count, 0)
    give(V, velocity, first, count, 0)
    give(s, S, first, count, 0)
    give(W[d:], noise[1], first, count, 0)
    if walls.shape[1] > 0:
        for i in range(d):
            for j in range(count):
                turns[i, first + j] += wound[i, j]
    if has_absorbing:
        for j in range(count):
            exit_time[first + j], exit_side[first + j] = when[j], side[j]


@kernel(types.void(rows_t, rows_t, noise_t, words_t, rows_t, vector_t, sides_t, ids_t, gradient_t, rows_t,
                   rows_t, types.int64,
                   types.int64, rows_t, types.boolean, types.uint64, types.int64, saved_t, types.int64),
                   parallel=True)
def underdamped(X, velocity, noise, S, turns, exit_time, exit_side, ids, gradient, P, steps, start, n_steps,
                walls, has_absorbing, seed,
                lanes, saved, every):
    """Advance X and velocity (d, n) in place; steps (.., 5) holds exp(-friction dt) too; the rest as in
    `overdamped`."""
    n = X.shape[1]
    for block in prange((n + lanes - 1) // lanes):
        first = block * lanes
        _advance(first, min(lanes, n - first), X, velocity, noise, S, turns, exit_time, exit_side, ids,
                 gradient, P, steps, start,
                 n_steps, walls, has_absorbing, seed, lanes, saved, every)
