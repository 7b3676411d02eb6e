"""Euler-Maruyama and Leimkuhler-Matthews with the drift in float32: twice the lanes an instruction, no
conversions.

The state is an unevaluated difference high - low of two float32 (48 bits, Kahan's sum), the drift that of
`high`. With the same noise the path stays within 1e-8 of the float64 one (median, S1 to S3) as long as
coordinates are of order one. The flags must not hold `reassoc`: (t - high) - y has to stay.
"""
import numba
import numpy as np
from numba import prange, types

from ...core.compilation import FUNCTION, kernel
from ...core.compilation.special import options
from .noise_kernels import fill_noise, words_t
from .overdamped_kernels import saved_t
from .step_kernels import DT, LEIMKUHLER_MATTHEWS, SIGMA, give, take
from .wall_kernels import rows_t

f32 = np.float32
halves_t = types.Array(types.float32, 3, "C")
gradient_t = FUNCTION["gradient_single"]


@numba.njit(**options)
def _joined(H, C, X, first, count):
    """X[:, first:first+count] = high - low."""
    for i in range(H.shape[0]):
        for j in range(count):
            X[i, first + j] = np.float64(H[i, j]) - np.float64(C[i, j])


@numba.njit(**options)
def _advance(first, count, X, halves, noise, S, gradient, P, steps, start, n_steps, root, lanes, scheme,
             is_three_point, saved, every):
    d = X.shape[0]
    H, C, G = np.empty((d, lanes), np.float32), np.empty((d, lanes),
                                                         np.float32), np.empty((d, lanes), np.float32)
    W, last, s = np.empty((2 * d, lanes), np.float32), np.empty((d, lanes),
                                                                np.float32), np.empty((4, lanes), np.uint32)
    p = P[0].copy()
    take(halves[0], first, count, H)
    take(halves[1], first, count, C)
    take(S, first, count, s)
    take(noise[0], first, count, last)
    take(noise[1], first, count, W[d:])
    for k in range(start, start + n_steps):
        r = k - start if steps.shape[0] > 1 else 0
        half = d * (k & 1)
        if half == 0:
            fill_noise(s, W, is_three_point)
        if P.shape[0] > 1:
            for i in range(p.size):
                p[i] = P[k - start, i]
        gradient(H, p, G)
        if scheme == LEIMKUHLER_MATTHEWS:
            for i in range(d):
                a, b = f32(steps[r, DT] * root[i, i] * root[i, i]), f32(0.5 * steps[r, SIGMA] * root[i, i])
                for j in range(lanes):
                    z = W[half + i, j]
                    y = f32(f32(b * f32(z + last[i, j]) - a * G[i, j]) - C[i, j])
                    t = f32(H[i, j] + y)
                    C[i, j] = f32(f32(t - H[i, j]) - y)
                    H[i, j] = t
                    last[i, j] = z
        else:
            for i in range(d):
                a, b = f32(steps[r, DT] * root[i, i] * root[i, i]), f32(steps[r, SIGMA] * root[i, i])
                for j in range(lanes):
                    y = f32(f32(b * W[half + i, j] - a * G[i, j]) - C[i, j])
                    t = f32(H[i, j] + y)
                    C[i, j] = f32(f32(t - H[i, j]) - y)
                    H[i, j] = t
        if every > 0 and (k + 1) % every == 0:
            _joined(H, C, saved[(k + 1) // every - start // every - 1], first, count)
    give(H, halves[0], first, count, 0)
    give(C, halves[1], first, count, 0)
    give(s, S, first, count, 0)
    give(last, noise[0], first, count, 0)
    give(W[d:], noise[1], first, count, 0)
    _joined(H, C, X, first, count)


@kernel(types.void(rows_t, halves_t, halves_t, words_t, gradient_t, rows_t, rows_t, types.int64, types.int64,
                   rows_t, types.int64,
                   types.int64, types.boolean, saved_t, types.int64), parallel=True)
def overdamped_single(X, halves, noise, S, gradient, P, steps, start, n_steps, root, lanes, scheme,
                      is_three_point, saved, every):
    """Advance halves (2, d, n) = (high, low) by n_steps and write X (d, n) = high - low; the rest as in
    `overdamped`.

    The mobility is diagonal, root (d, d) its square root; there are no walls.
    """
    n = X.shape[1]
    for block in prange((n + lanes - 1) // lanes):
        first = block * lanes
        _advance(first, min(lanes, n - first), X, halves, noise, S, gradient, P, steps, start, n_steps, root,
                 lanes, scheme,
                 is_three_point, saved, every)
