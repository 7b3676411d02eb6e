"""Fleming-Viot systems: walkers in a block; one that meets the target takes the place of another one of the
survivors [1]_.

.. [1] K. Burdzy, R. Holyst, P. March, Commun. Math. Phys. 214, 679 (2000).
"""
import math

import numba
import numpy as np
from numba import prange, types

from ...core.compilation import (
    FUNCTION,
    flag,
    integer,
    integers_1d,
    integers_2d,
    kernel,
    number,
    numbers_1d,
    numbers_2d,
    numbers_3d,
    unsigned,
)
from ...core.compilation.special import options
from ..dynamics.noise_kernels import CHOICE, WALKER, fill_noise, uniform_of, words_of
from ..dynamics.step_kernels import through, through_transpose
from ..dynamics.wall_kernels import NEAR, fold
from .target_kernels import all_distances, column, first_hit, hit_place

words_3d = types.Array(types.uint32, 3, "C")
u32 = np.uint32


@numba.njit(**options)
def _evolve(system, Y, s, gradient, p, dt, theta, root, is_full, is_isotropic, widest, walls, atoms, firsts,
            start, n_steps, burn_in, length, seed,
            kills, places, hits):
    """Make n_steps (even) steps of one system of walkers Y (d, n) from step `start`."""
    d, n = Y.shape
    n_walls = firsts.size - 1
    G, O, W = np.empty((d, n)), np.empty((d, n)), np.empty((2 * d, n), np.float32)
    before, after, scratch = np.empty((n_walls, n)), np.empty((n_walls, n)), np.empty(n)
    sign, wound, lost = np.ones((d, n)), np.zeros((d, n)), np.empty(n, np.int64)
    o, y, b, a, x = np.empty(d), np.empty(d), np.empty(n_walls), np.empty(n_walls), np.empty(d)
    scale = 2.0 * theta * dt
    sigma, reach = math.sqrt(scale), 0.5 * NEAR * scale * widest
    all_distances(Y, atoms, firsts, before, scratch)
    for k in range(start, start + n_steps):
        half = d * (k & 1)
        if half == 0:
            fill_noise(s, W, False)
        gradient(Y, p, G)
        if is_full:
            through_transpose(root, G)
            through(root, G, 0)
            through(root, W, half)
        for i in range(d):
            rate = dt if is_full else dt * root[i, i] * root[i, i]
            spread = sigma if is_full else sigma * root[i, i]
            for j in range(n):
                O[i, j] = Y[i, j]
                Y[i, j] += spread * np.float64(W[half + i, j]) - rate * G[i, j]
        if walls.shape[1] > 0:
            fold(Y, walls, sign, wound)
        all_distances(Y, atoms, firsts, after, scratch)
        near = 0
        for w in range(n_walls):
            for j in range(n):
                near += 1 if before[w, j] * after[w, j] < reach else 0
        n_lost = 0
        if near > 0:
            for j in range(n):
                nearest = math.inf
                for w in range(n_walls):
                    nearest = min(nearest, before[w, j] * after[w, j])
                if not nearest < reach:
                    continue
                column(O, j, o)
                column(Y, j, y)
                column(before, j, b)
                column(after, j, a)
                walker = system * n + j
                hit, u = first_hit(o, y, b, a, atoms, firsts, root, scale, is_isotropic, walker, k, seed)
                if hit >= 0:
                    if k >= burn_in:
                        at = kills[system].sum()
                        if at < hits.shape[1]:
                            hit_place(o, y, u, atoms, firsts[hit], firsts[hit + 1], root, scale, walker, k,
                                      seed, x)
                            hits[system, at] = hit
                            for i in range(d):
                                places[system, at, i] = x[i]
                        kills[system, (k - burn_in) * kills.shape[1] // length] += 1
                    lost[n_lost], n_lost = j, n_lost + 1
        if n_lost == n:                          # nobody is left: the places before the step are kept
            for i in range(d):
                for j in range(n):
                    Y[i, j] = O[i, j]
            all_distances(Y, atoms, firsts, after, scratch)
        elif n_lost > 0:
            # the lost are in ascending order: the pick-th survivor by counting past them
            for m in range(n_lost):
                pick = min(int(uniform_of(system, CHOICE, m, k, seed) * (n - n_lost)), n - n_lost - 1)
                for q in range(n_lost):
                    pick += 1 if lost[q] <= pick else 0
                for i in range(d):
                    Y[i, lost[m]] = Y[i, pick]
                for w in range(n_walls):
                    after[w, lost[m]] = after[w, pick]
        before, after = after, before


@kernel(types.void(numbers_3d, words_3d, FUNCTION["gradient"], numbers_1d, number, number, numbers_2d, flag,
                   flag, number, numbers_2d, numbers_2d,
                   integers_1d, integer, integer, integer, integer, unsigned, integers_2d, numbers_3d,
                   integers_2d), parallel=True)
def fleming_viot_systems(Y, S, gradient, p, dt, theta, root, is_full, is_isotropic, widest, walls, atoms,
                         firsts, start, n_steps, burn_in, length,
                         seed, kills, places, hits):
    """Advance all systems Y (n_systems, d, n), S (n_systems, 4, n) by n_steps (even) from step `start`
    (even).

    kills (n_systems, n_batches) counts arrivals in each part of the `length` steps after `burn_in`; places
    (n_systems, most, d) and hits (n_systems, most) keep the first of them: where, and at which wall.
    """
    for system in prange(Y.shape[0]):
        _evolve(system, Y[system], S[system], gradient, p, dt, theta, root, is_full, is_isotropic, widest,
                walls, atoms, firsts, start, n_steps,
                burn_in, length, seed, kills, places, hits)


@kernel(types.void(words_3d, unsigned))
def seed_systems(S, seed):
    """Streams of the walkers of all systems, S (n_systems, 4, n)."""
    for system in range(S.shape[0]):
        for j in range(S.shape[2]):
            w = words_of(system * S.shape[2] + j, WALKER, 0, 0, seed)
            for q in range(4):
                S[system, q, j] = u32(w[q])
