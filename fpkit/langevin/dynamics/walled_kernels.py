"""The overdamped schemes with walls, and stochastic Heun: the step of `overdamped_kernels` with more phases.

    Heun                  y  = x - dt M g(x) + sigma A z_k,   x' = x - dt M (g(x) + g(y)) / 2 + sigma A z_k

A file of its own, since a path without walls need not wait for the compilation of all this.
"""
import numba
import numpy as np
from numba import prange, types

from ...core.compilation import kernel
from ...core.compilation.special import options
from .noise_kernels import fill_noise, ids_t, words_t
from .overdamped_kernels import gradient_t, saved_t
from .step_kernels import DT, HEUN, LEIMKUHLER_MATTHEWS, SIGMA, TIME, give, take, through, through_transpose
from .wall_kernels import absorb, fold, rows_t, sides_t, vector_t


@numba.njit(**options)
def _advance(first, count, X, noise, S, turns, exit_time, exit_side, ids, gradient, P, steps, start, n_steps,
             root, is_full, walls,
             has_mirror, has_absorbing, seed, lanes, scheme, is_three_point, saved, every):
    d = X.shape[0]
    Y, G, O, K = np.empty((d, lanes)), np.empty((d, lanes)), np.empty((d, lanes)), np.empty((d, lanes))
    W, last = np.empty((2 * d, lanes), np.float32), np.empty((d, lanes), np.float32)
    sign, wound, s = np.ones((d, lanes)), np.zeros((d, lanes)), np.empty((4, lanes), np.uint32)
    when, side, names = np.empty(lanes), np.empty(lanes, np.int64), np.empty(lanes, np.int64)
    p, rate, spread, variance = P[0].copy(), np.ones(d), np.ones(d), np.zeros(d)
    take(X, first, count, Y)
    take(S, first, count, s)
    take(noise[0], first, count, last)
    take(noise[1], first, count, W[d:])
    has_walls = walls.shape[1] > 0
    if has_absorbing:
        for j in range(lanes):
            c = first + (j if j < count else 0)
            when[j], side[j], names[j] = exit_time[c], exit_side[c], ids[c]
    if not is_full:
        for i in range(d):
            spread[i] = root[i, i]
            rate[i] = root[i, i] * root[i, i]
    n_alive = lanes
    for k in range(start, start + n_steps):
        r = k - start if steps.shape[0] > 1 else 0
        dt, sigma, half = steps[r, DT], steps[r, SIGMA], d * (k & 1)
        if half == 0:
            fill_noise(s, W, is_three_point)
        if n_alive > 0:
            if P.shape[0] > 1:
                for i in range(p.size):
                    p[i] = P[k - start, i]
            gradient(Y, p, G)
            if is_full:
                through_transpose(root, G)
                through(root, G, 0)
                through(root, W, half)
            if has_absorbing or scheme == HEUN:
                for i in range(d):
                    for j in range(lanes):
                        O[i, j] = Y[i, j]
            if scheme == LEIMKUHLER_MATTHEWS:
                for i in range(d):
                    a, b = dt * rate[i], 0.5 * sigma * spread[i]
                    for j in range(lanes):
                        z = W[half + i, j]
                        Y[i, j] += b * (np.float64(z) + np.float64(last[i, j])) - a * G[i, j]
                        last[i, j] = z
            else:
                for i in range(d):
                    a, b = dt * rate[i], sigma * spread[i]
                    for j in range(lanes):
                        Y[i, j] += b * np.float64(W[half + i, j]) - a * G[i, j]
            if scheme == HEUN:
                if has_walls:  # the mirrored potential beyond the wall: fold, ask, flip
                    fold(Y, walls, sign, K)
                if P.shape[0] > 1:
                    for i in range(p.size):
                        p[i] = P[k - start + 1, i]
                gradient(Y, p, K)
                if has_mirror:
                    for i in range(d):
                        for j in range(lanes):
                            K[i, j] *= sign[i, j]
                            sign[i, j] = 1.0
                if is_full:
                    through_transpose(root, K)
                    through(root, K, 0)
                for i in range(d):
                    a, b = 0.5 * dt * rate[i], sigma * spread[i]
                    for j in range(lanes):
                        Y[i, j] = O[i, j] + (b * np.float64(W[half + i, j]) - a * (G[i, j] + K[i, j]))
            if has_walls:
                fold(Y, walls, sign, wound)
                if has_mirror:                                   # a mirrored path remembers mirrored noise
                    for i in range(d):
                        for j in range(lanes):
                            last[i, j] *= np.float32(sign[i, j])
                            sign[i, j] = 1.0
                if has_absorbing:
                    for i in range(d):
                        m = 0.0
                        for q in range(i + 1):
                            m += root[i, q] * root[i, q]
                        variance[i] = sigma * sigma * m
                    time = steps[r, TIME] if steps.shape[0] > 1 else k * dt
                    n_alive = absorb(O, Y, walls, variance, when, side, names, k, time, dt, seed)
        if every > 0 and (k + 1) % every == 0:
            give(Y, saved[(k + 1) // every - start // every - 1], first, count, 0)
    give(Y, X, first, count, 0)
    give(s, S, first, count, 0)
    give(last, noise[0], first, count, 0)
    give(W[d:], noise[1], first, count, 0)
    if has_walls:
        for i in range(d):
            for j in range(count):
                turns[i, first + j] += wound[i, j]
    if has_absorbing:
        for j in range(count):
            exit_time[first + j], exit_side[first + j] = when[j], side[j]


@kernel(types.void(rows_t, types.Array(types.float32, 3, "C"), words_t, rows_t, vector_t, sides_t, ids_t,
                   gradient_t, rows_t, rows_t,
                   types.int64, types.int64, rows_t, types.boolean, rows_t, types.boolean, types.boolean,
                   types.uint64, types.int64,
                   types.int64, types.boolean, saved_t, types.int64), parallel=True)
def walled(X, noise, S, turns, exit_time, exit_side, ids, gradient, P, steps, start, n_steps, root, is_full,
           walls, has_mirror,
               has_absorbing, seed, lanes, scheme, is_three_point, saved, every):
    """Advance X (d, n) in place by n_steps from step `start`.

    turns (d, n) windings; walls (4, d) or (4, 0); exit_time, exit_side (n,) and ids for absorbing sides; the
    rest as in `overdamped` (P has one row more than n_steps, for Heun).
    """
    n = X.shape[1]
    for block in prange((n + lanes - 1) // lanes):
        first = block * lanes
        _advance(first, min(lanes, n - first), X, noise, S, turns, exit_time, exit_side, ids, gradient, P,
                 steps, start, n_steps, root,
                 is_full, walls, has_mirror, has_absorbing, seed, lanes, scheme, is_three_point, saved, every)
