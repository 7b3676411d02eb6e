"""The overdamped schemes of `step_kernels` on blocks of walkers, float64 state and drift.

A block is `lanes` walkers, a structure of arrays that stays in the first-level cache. A step has phases, each
a loop over lanes that vectorises: fill the normals (of two steps at a time, since Box-Muller makes pairs),
call the block gradient, update, fold at the walls.

One body makes two kernels: for paths without walls `box` is None, and Numba leaves out all that walls (and
Heun's scheme) need, so that they need not wait for its compilation.
"""
import numba
import numpy as np
from numba import prange, types

from ...core.compilation import FUNCTION, flag, integer, kernel, numbers_2d, numbers_3d
from ...core.compilation.special import options
from .noise_kernels import fill_noise, singles_3d, words_t
from .source_kernels import sources_after, sources_before, sources_t
from .step_kernels import (
    DT,
    HEUN,
    LEIMKUHLER_MATTHEWS,
    SIGMA,
    TIME,
    apply_mobility,
    copy,
    euler_maruyama,
    give,
    heun,
    leimkuhler_matthews,
    mobility_t,
    plan_t,
    set_diagonals,
    set_parameters,
    take,
    through,
    through_place,
)
from .wall_kernels import absorb, box_t, fold, give_exits, take_exits, turn


@numba.njit(**options)
def _advance(span, X, noise, S, gradient, plan, mobility, law, saved, box, value=None, sources=None):
    (first, count), (scheme, is_three_point) = span, law
    steps, P, start, n_steps, lanes, every = plan
    root, is_full, is_drift, rows = mobility
    d = X.shape[0]
    Y, G = np.empty((d, lanes)), np.empty((d + rows, lanes))
    W, last = np.empty((2 * d, lanes), np.float32), np.empty((d, lanes), np.float32)
    s = np.empty((4, lanes), np.uint32)
    p, rate, spread = P[0].copy(), np.empty(d), np.empty(d)
    take(X, first, count, Y)
    take(S, first, count, s)
    take(noise[0], first, count, last)
    take(noise[1], first, count, W[d:])
    set_diagonals(mobility, rate, spread)
    n_alive = lanes
    if box is not None:
        O, K, variance = np.empty((d, lanes)), np.empty((d, lanes)), np.zeros(d)
        sign, wound = np.ones((d, lanes)), np.zeros((d, lanes))
        exits = take_exits(box, first, count, lanes)
    if sources is not None:
        who, step = np.empty(lanes, np.int64), np.empty(lanes, np.int64)
        draws, rates, killed = np.empty((4, lanes)), np.empty(lanes), np.empty(lanes)
    for k in range(start, start + n_steps):
        r = k - start if steps.shape[0] > 1 else 0
        dt, sigma, half = steps[r, DT], steps[r, SIGMA], d * (k & 1)
        if half == 0:
            fill_noise(s, W, is_three_point)
        if n_alive > 0:
            set_parameters(P, k - start, p)
            if sources is not None:
                for j in range(lanes):
                    who[j], step[j] = exits.trajectories[j] if exits.side[j] < 0 else -1, k
                sources_before(Y, who, step, dt, value, sources, draws)
            gradient(Y, p, G)
            if rows > 0:
                through_place(G, W, half, d)
            if is_full:
                if not is_drift:
                    apply_mobility(root, G)
                through(root, W, half)
            if box is not None and (box.has_absorbing or scheme == HEUN):
                copy(Y, O)
            if scheme == LEIMKUHLER_MATTHEWS:
                leimkuhler_matthews(Y, G, W, half, last, dt, sigma, rate, spread)
            else:
                euler_maruyama(Y, G, W, half, dt, sigma, rate, spread)
            if box is not None and scheme == HEUN:
                if box.has_walls:                # the mirrored potential beyond the wall: fold, ask, flip
                    fold(Y, box.walls, sign, K)
                set_parameters(P, k + 1 - start, p)
                gradient(Y, p, K)
                if box.has_mirror:
                    turn(K, sign)
                if is_full and not is_drift:
                    apply_mobility(root, K)
                heun(Y, O, G, K, W, half, dt, sigma, rate, spread)
            if box is not None and box.has_walls:
                fold(Y, box.walls, sign, wound)
                if box.has_mirror:               # a mirrored path remembers mirrored noise
                    turn(last, sign)
                if box.has_absorbing:
                    for i in range(d):
                        m = 0.0
                        for q in range(i + 1):
                            m += root[i, q] * root[i, q]
                        variance[i] = sigma * sigma * m
                    time = steps[r, TIME] if steps.shape[0] > 1 else k * dt
                    n_alive = absorb(O, Y, box.walls, variance, exits, k, time, dt, box.seed)
                    if sources is not None:
                        for j in range(lanes):
                            who[j] = who[j] if exits.side[j] < 0 else -1
                        sources_after(Y, who, dt, value, sources, draws, rates, killed)
                        for j in range(lanes):
                            if killed[j] >= 0.0:
                                exits.side[j], exits.time[j] = 2 * d, time + killed[j] * dt
                                n_alive -= 1
        if every > 0 and (k + 1) % every == 0:
            give(Y, saved[(k + 1) // every - start // every - 1], first, count, 0)
    give(Y, X, first, count, 0)
    give(s, S, first, count, 0)
    give(last, noise[0], first, count, 0)
    give(W[d:], noise[1], first, count, 0)
    if box is not None:
        give_exits(box, exits, wound, first, count)


@kernel(types.void(numbers_2d, singles_3d, words_t, FUNCTION["gradient"], plan_t, mobility_t, integer, flag,
                   numbers_3d), parallel=True)
def overdamped(X, noise, S, gradient, plan, mobility, scheme, is_three_point, saved):
    """Advance X (d, n) in place by plan.n_steps, without walls; not Heun's scheme.

    noise (2, d, n): the z of the last step (for Leimkuhler-Matthews), and the second half of a pair when
    `plan.start` is odd. S (4, n) generator states; saved (m, d, n) gets X at each step divisible by
    `plan.every`.
    """
    n = X.shape[1]
    for block in prange((n + plan.lanes - 1) // plan.lanes):
        first = block * plan.lanes
        _advance((first, min(plan.lanes, n - first)), X, noise, S, gradient, plan, mobility,
                 (scheme, is_three_point), saved, None)


@kernel(types.void(numbers_2d, singles_3d, words_t, FUNCTION["gradient"], plan_t, mobility_t, integer, flag,
                   numbers_3d, box_t), parallel=True)
def overdamped_in_box(X, noise, S, gradient, plan, mobility, scheme, is_three_point, saved, box):
    """Advance X (d, n) in place by plan.n_steps, with walls or by Heun's scheme (which reads one row of
    parameters more than n_steps)."""
    n = X.shape[1]
    for block in prange((n + plan.lanes - 1) // plan.lanes):
        first = block * plan.lanes
        _advance((first, min(plan.lanes, n - first)), X, noise, S, gradient, plan, mobility,
                 (scheme, is_three_point), saved, box)


@kernel(types.void(numbers_2d, singles_3d, words_t, FUNCTION["gradient"], plan_t, mobility_t, integer, flag,
                   numbers_3d, box_t, FUNCTION["value"], sources_t), parallel=True)
def overdamped_with_sources(X, noise, S, gradient, plan, mobility, scheme, is_three_point, saved, box, value,
                            sources):
    """The same with killing and resetting; a killed path has the side 2 d."""
    n = X.shape[1]
    for block in prange((n + plan.lanes - 1) // plan.lanes):
        first = block * plan.lanes
        _advance((first, min(plan.lanes, n - first)), X, noise, S, gradient, plan, mobility,
                 (scheme, is_three_point), saved, box, value, sources)
