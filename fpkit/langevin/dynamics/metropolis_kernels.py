"""The Metropolis-adjusted Langevin algorithm on blocks of walkers: exactly Gibbs at any time step.

Proposal y = x - dt M g(x) + sigma A z with M = A A', sigma = sqrt(2 theta dt); accepted with probability
min(1, exp(r)),

    r = -(f(y) - f(x)) / theta - (|dt A'(g(x) + g(y)) - sigma z|^2 - sigma^2 |z|^2) / (4 theta dt)        [1]_

which is the Metropolis-Hastings ratio of the two Gaussian proposals. A proposal beyond a mirror has no Gibbs
weight and is refused, so the walls are exact too; on a periodic axis the walk is that on the line, wrapped.

.. [1] G. Roberts, R. Tweedie, Bernoulli 2, 341 (1996).
"""
import numba
import numpy as np
from numba import prange, types

from ...core.compilation import FUNCTION, integers_1d, kernel, numbers_2d, numbers_3d
from ...core.compilation.special import exp, options
from .noise_kernels import fill_noise, fill_uniforms, singles_3d, words_t
from .step_kernels import (
    DT,
    SIGMA,
    THETA,
    apply_mobility,
    give,
    mobility_t,
    plan_t,
    set_parameters,
    take,
    through,
    through_transpose,
)
from .wall_kernels import box_t, fold, is_outside


@numba.njit(**options)
def _advance(first, count, X, noise, S, acceptance, value, gradient, plan, mobility, saved, box):
    steps, P, start, n_steps, lanes, every = plan
    root, is_full, (U, accepted) = mobility.root, mobility.is_full, acceptance
    walls, turns = box.walls, box.turns
    d = X.shape[0]
    Y, G, N = np.empty((d, lanes)), np.empty((d, lanes)), np.empty((d, lanes))
    K, D = np.empty((d, lanes)), np.empty((d, lanes))
    f, h, r, taken = np.empty(lanes), np.empty(lanes), np.empty(lanes), np.zeros(lanes, np.int64)
    W, u = np.empty((2 * d, lanes), np.float32), np.empty((1, lanes), np.float32)
    s, v, out = np.empty((4, lanes), np.uint32), np.empty((4, lanes), np.uint32), np.zeros(lanes, np.int64)
    sign, wound, T = np.ones((d, lanes)), np.zeros((d, lanes)), np.zeros((d, lanes))
    p = P[0].copy()
    take(X, first, count, Y)
    take(S, first, count, s)
    take(U, first, count, v)
    take(noise[1], first, count, W[d:])
    for k in range(start, start + n_steps):
        row, half = (k - start if steps.shape[0] > 1 else 0), d * (k & 1)
        dt, sigma, theta = steps[row, DT], steps[row, SIGMA], steps[row, THETA]
        if half == 0:
            fill_noise(s, W, False)
        fill_uniforms(v, u)
        set_parameters(P, k - start, p)
        if P.shape[0] > 1 or k == start:  # f and its gradient at x; later they come with the last proposal
            value(Y, p, f)
            gradient(Y, p, G)
        for i in range(d):                                       # D = A z, then the proposal N
            for j in range(lanes):
                D[i, j] = np.float64(W[half + i, j])
                K[i, j] = G[i, j]
        if is_full:
            through(root, D, 0)
            apply_mobility(root, K)
        else:
            for i in range(d):
                for j in range(lanes):
                    D[i, j] *= root[i, i]
                    K[i, j] *= root[i, i] * root[i, i]
        for i in range(d):
            for j in range(lanes):
                N[i, j] = Y[i, j] + sigma * D[i, j] - dt * K[i, j]
        if walls.shape[1] > 0:
            is_outside(N, walls, out)
            for i in range(d):
                for j in range(lanes):
                    T[i, j] = 0.0
            fold(N, walls, sign, T)  # before f is asked: the next chunk will ask there too
        value(N, p, h)
        gradient(N, p, K)
        for i in range(d):
            for j in range(lanes):
                D[i, j] = G[i, j] + K[i, j]
        if is_full:
            through_transpose(root, D)
        else:
            for i in range(d):
                for j in range(lanes):
                    D[i, j] *= root[i, i]
        for j in range(lanes):
            r[j] = 0.0
        for i in range(d):
            for j in range(lanes):
                r[j] += D[i, j] * (dt * D[i, j] - 2.0 * sigma * np.float64(W[half + i, j]))
        for j in range(lanes):
            ratio = -(h[j] - f[j]) / theta - 0.25 * r[j] / theta
            is_taken = (np.float64(u[0, j]) < exp(ratio)) & (out[j] == 0)     # a NaN compares false: refused
            r[j] = 1.0 if is_taken else 0.0
            taken[j] += 1 if is_taken else 0
            f[j] = h[j] if is_taken else f[j]
        for i in range(d):
            for j in range(lanes):
                Y[i, j] = N[i, j] if r[j] > 0.5 else Y[i, j]
                G[i, j] = K[i, j] if r[j] > 0.5 else G[i, j]
        if walls.shape[1] > 0:
            for i in range(d):
                for j in range(lanes):
                    wound[i, j] += T[i, j] if r[j] > 0.5 else 0.0
        if every > 0 and (k + 1) % every == 0:
            give(Y, saved[(k + 1) // every - start // every - 1], first, count, 0)
    give(Y, X, first, count, 0)
    give(s, S, first, count, 0)
    give(v, U, first, count, 0)
    give(W[d:], noise[1], first, count, 0)
    for j in range(count):
        accepted[first + j] += taken[j]
    if walls.shape[1] > 0:
        for i in range(d):
            for j in range(count):
                turns[i, first + j] += wound[i, j]


@kernel(types.void(numbers_2d, singles_3d, words_t, words_t, integers_1d, FUNCTION["value"],
                   FUNCTION["gradient"], plan_t, mobility_t, numbers_3d, box_t), parallel=True)
def metropolis(X, noise, S, U, accepted, value, gradient, plan, mobility, saved, box):
    """Advance X (d, n) in place; U (4, n) are the states of the acceptance streams, accepted (n,) counts; the
    rest as in `overdamped`."""
    n = X.shape[1]
    for block in prange((n + plan.lanes - 1) // plan.lanes):
        first = block * plan.lanes
        _advance(first, min(plan.lanes, n - first), X, noise, S, (U, accepted), value, gradient, plan,
                 mobility, saved, box)
