"""Euler-Maruyama and Leimkuhler-Matthews with the drift in float32: twice the lanes an instruction, no
conversions.

The state is an unevaluated difference high - low of two float32 (48 bits), the drift that of `high`. With the
same noise the path stays within 1e-8 of the float64 one (median, S1 to S3) as long as coordinates are of
order one.
"""
import numba
import numpy as np
from numba import prange, types

from ...core.compilation import FUNCTION, flag, integer, kernel, numbers_2d, numbers_3d
from ...core.compilation.special import options
from .noise_kernels import fill_noise, singles_3d, words_t
from .step_kernels import (
    DT,
    LEIMKUHLER_MATTHEWS,
    SIGMA,
    compensated,
    f32,
    give,
    plan_t,
    set_parameters,
    take,
)


@numba.njit(**options)
def _joined(H, C, X, first, count):
    """X[:, first:first+count] = high - low."""
    for i in range(H.shape[0]):
        for j in range(count):
            X[i, first + j] = np.float64(H[i, j]) - np.float64(C[i, j])


@numba.njit(**options)
def _advance(first, count, X, halves, noise, S, gradient, plan, root, scheme, is_three_point, saved):
    steps, P, start, n_steps, lanes, every = plan
    d = X.shape[0]
    H, C, G = np.empty((d, lanes), f32), np.empty((d, lanes), f32), np.empty((d, lanes), f32)
    W, last, s = np.empty((2 * d, lanes), f32), np.empty((d, lanes), f32), np.empty((4, lanes), np.uint32)
    p = P[0].copy()
    take(halves[0], first, count, H)
    take(halves[1], first, count, C)
    take(S, first, count, s)
    take(noise[0], first, count, last)
    take(noise[1], first, count, W[d:])
    for k in range(start, start + n_steps):
        r, half = (k - start if steps.shape[0] > 1 else 0), d * (k & 1)
        dt, sigma = steps[r, DT], steps[r, SIGMA]
        if half == 0:
            fill_noise(s, W, is_three_point)
        set_parameters(P, k - start, p)
        gradient(H, p, G)
        for i in range(d):
            a = f32(dt * root[i, i] * root[i, i])
            if scheme == LEIMKUHLER_MATTHEWS:
                b = f32(0.5 * sigma * root[i, i])
                for j in range(lanes):
                    z = W[half + i, j]
                    change = f32(b * f32(z + last[i, j]) - a * G[i, j])
                    H[i, j], C[i, j] = compensated(H[i, j], C[i, j], change)
                    last[i, j] = z
            else:
                b = f32(sigma * root[i, i])
                for j in range(lanes):
                    change = f32(b * W[half + i, j] - a * G[i, j])
                    H[i, j], C[i, j] = compensated(H[i, j], C[i, j], change)
        if every > 0 and (k + 1) % every == 0:
            _joined(H, C, saved[(k + 1) // every - start // every - 1], first, count)
    give(H, halves[0], first, count, 0)
    give(C, halves[1], first, count, 0)
    give(s, S, first, count, 0)
    give(last, noise[0], first, count, 0)
    give(W[d:], noise[1], first, count, 0)
    _joined(H, C, X, first, count)


@kernel(types.void(numbers_2d, singles_3d, singles_3d, words_t, FUNCTION["gradient_single"], plan_t,
                   numbers_2d, integer, flag, numbers_3d), parallel=True)
def overdamped_single(X, halves, noise, S, gradient, plan, root, scheme, is_three_point, saved):
    """Advance halves (2, d, n) = (high, low) by plan.n_steps and write X (d, n) = high - low; the rest as in
    `overdamped`.

    The mobility is diagonal, root (d, d) its square root; there are no walls.
    """
    n = X.shape[1]
    for block in prange((n + plan.lanes - 1) // plan.lanes):
        first = block * plan.lanes
        _advance(first, min(plan.lanes, n - first), X, halves, noise, S, gradient, plan, root, scheme,
                 is_three_point, saved)
