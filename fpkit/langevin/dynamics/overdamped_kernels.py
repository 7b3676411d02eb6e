"""Euler-Maruyama and Leimkuhler-Matthews on blocks of walkers, float64 state and drift.

With a constant mobility M = A A' (A lower triangular), sigma = sqrt(2 theta dt) and independent normals z:

    Euler-Maruyama        x' = x - dt M g(x) + sigma A z_k
    Leimkuhler-Matthews   x' = x - dt M g(x) + sigma A (z_k + z_{k+1}) / 2

A block is `lanes` walkers, a structure of arrays that stays in the first-level cache. A step has phases, each
a loop over lanes that vectorises: fill the normals (of two steps at a time, since Box-Muller makes pairs),
call the block gradient, update.
"""
import numba
import numpy as np
from numba import prange, types

from ...core.compilation import FUNCTION, kernel
from ...core.compilation.special import options
from .noise_kernels import fill_noise, words_t
from .step_kernels import DT, LEIMKUHLER_MATTHEWS, SIGMA, give, take, through, through_transpose
from .wall_kernels import rows_t

saved_t = types.Array(types.float64, 3, "C")
gradient_t = FUNCTION["gradient"]


@numba.njit(**options)
def _advance(first, count, X, noise, S, gradient, P, steps, start, n_steps, root, is_full, lanes, scheme,
             is_three_point, saved, every):
    d = X.shape[0]
    Y, G, W = np.empty((d, lanes)), np.empty((d, lanes)), np.empty((2 * d, lanes), np.float32)
    last, s = np.empty((d, lanes), np.float32), np.empty((4, lanes), np.uint32)
    p, rate, spread = P[0].copy(), np.ones(d), np.ones(d)
    take(X, first, count, Y)
    take(S, first, count, s)
    take(noise[0], first, count, last)
    take(noise[1], first, count, W[d:])
    if not is_full:
        for i in range(d):
            spread[i] = root[i, i]
            rate[i] = root[i, i] * root[i, i]
    for k in range(start, start + n_steps):
        r = k - start if steps.shape[0] > 1 else 0
        dt, sigma, half = steps[r, DT], steps[r, SIGMA], d * (k & 1)
        if half == 0:
            fill_noise(s, W, is_three_point)
        if P.shape[0] > 1:
            for i in range(p.size):
                p[i] = P[k - start, i]
        gradient(Y, p, G)
        if is_full:
            through_transpose(root, G)
            through(root, G, 0)
            through(root, W, half)
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
        if every > 0 and (k + 1) % every == 0:
            give(Y, saved[(k + 1) // every - start // every - 1], first, count, 0)
    give(Y, X, first, count, 0)
    give(s, S, first, count, 0)
    give(last, noise[0], first, count, 0)
    give(W[d:], noise[1], first, count, 0)


@kernel(types.void(rows_t, types.Array(types.float32, 3, "C"), words_t, gradient_t, rows_t, rows_t,
                   types.int64, types.int64, rows_t,
                   types.boolean, types.int64, types.int64, types.boolean, saved_t, types.int64),
                   parallel=True)
def overdamped(X, noise, S, gradient, P, steps, start, n_steps, root, is_full, lanes, scheme, is_three_point,
               saved, every):
    """Advance X (d, n) in place by n_steps from step `start`, without walls.

    noise (2, d, n): the z of the last step (for Leimkuhler-Matthews), and the second half of a pair when
    `start` is odd. S (4, n) generator states; gradient with P (1 or n_steps + 1, n_parameters); steps (1 or
    n_steps, 5): dt, sigma, theta, time at the start of the step, damping; root (d, d) of the mobility; saved
    (m, d, n) gets X at each step divisible by `every`.
    """
    n = X.shape[1]
    for block in prange((n + lanes - 1) // lanes):
        first = block * lanes
        _advance(first, min(lanes, n - first), X, noise, S, gradient, P, steps, start, n_steps, root, is_full,
                 lanes, scheme,
                 is_three_point, saved, every)
