"""Fleming-Viot systems: walkers in a block; one that meets the target takes the place of another one of the
survivors [1]_.

.. [1] K. Burdzy, R. Holyst, P. March, Commun. Math. Phys. 214, 679 (2000).
"""
from typing import NamedTuple

import numba
import numpy as np
from numba import prange, types

from ...core.compilation import (
    FUNCTION,
    integer,
    integers_2d,
    kernel,
    numbers_1d,
    numbers_2d,
    numbers_3d,
    unsigned,
)
from ...core.compilation.special import options
from ..dynamics.noise_kernels import CHOICE, WALKER, fill_noise, uniform_of, words_3d, words_of
from .target_kernels import (
    Moves,
    all_distances,
    hit_of_lane,
    hit_place,
    list_near,
    make_step,
    reach_of,
    step_of_lane,
    step_t,
    targets_t,
)

u32 = np.uint32


class Counts(NamedTuple):
    """Arrivals: kills (n_systems, n_batches) in each part of the `length` steps after `burn_in`; places
    (n_systems, most, d) and hits (n_systems, most) keep the first of them: where, and at which wall."""
    burn_in: int
    length: int
    kills: np.ndarray
    places: np.ndarray
    hits: np.ndarray


counts_t = types.NamedTuple((integer, integer, integers_2d, numbers_3d, integers_2d), Counts)


@numba.njit(**options)
def _evolve(which, Y, s, gradient, p, step, box, targets, start, n_steps, seed, counts):
    """Make n_steps (even) steps of one system of walkers Y (d, n) from step `start`; `which` is its place
    among the counts, and its number among all systems, to which its random numbers belong."""
    (system, number), (d, n) = which, Y.shape
    n_walls = targets.first.size - 1
    burn_in, length, kills, places, hits = counts
    G, O, W = np.empty((d + step.rows, n)), np.empty((d, n)), np.empty((2 * d, n), np.float32)
    before, after, scratch = np.empty((n_walls, n)), np.empty((n_walls, n)), np.empty(n)
    sign, wound, lost = np.ones((d, n)), np.zeros((d, n)), np.empty(n, np.int64)
    o, y, x, root = np.empty(d), np.empty(d), np.empty(d), np.zeros((d, d))
    R, near = (np.empty((d, n)) if box.shape[1] > 0 else Y), np.zeros(n, np.int64)
    all_distances(Y, targets, before, scratch)
    for k in range(start, start + n_steps):
        half = d * (k & 1)
        if half == 0:
            fill_noise(s, W, False)
        gradient(Y, p, G)
        make_step(Y, O, R, G, W, half, step, box, sign, wound)
        all_distances(Y, targets, after, scratch)
        n_lost = 0
        reach = reach_of(step, G)
        n_near = list_near(O, R, before, after, box, reach, near)
        if n_near > 0:
            moves = Moves(O, Y, R, before, after)
            for j in near[:n_near]:
                walker = number * n + j
                own = step_of_lane(step, G, j, reach, root)
                hit, u = hit_of_lane(moves, j, targets, own, box, walker, k, seed, o, y)
                if hit < 0:
                    continue
                if k >= burn_in:
                    at = kills[system].sum()
                    if at < hits.shape[1]:
                        hit_place(o, y, u, targets, hit, own, walker, k, seed, x)
                        hits[system, at] = hit
                        for i in range(d):
                            places[system, at, i] = x[i]
                    kills[system, (k - burn_in) * kills.shape[1] // length] += 1
                lost[n_lost], n_lost = j, n_lost + 1
        if n_lost == n:                          # nobody is left: the places before the step are kept
            for i in range(d):
                for j in range(n):
                    Y[i, j] = O[i, j]
            all_distances(Y, targets, after, scratch)
        elif n_lost > 0:
            # the lost are in ascending order: the pick-th survivor by counting past them
            for m in range(n_lost):
                pick = min(int(uniform_of(number, CHOICE, m, k, seed) * (n - n_lost)), n - n_lost - 1)
                for q in range(n_lost):
                    pick += 1 if lost[q] <= pick else 0
                for i in range(d):
                    Y[i, lost[m]] = Y[i, pick]
                for w in range(n_walls):
                    after[w, lost[m]] = after[w, pick]
        before, after = after, before


@kernel(types.void(numbers_3d, words_3d, FUNCTION["gradient"], numbers_1d, step_t, numbers_2d, targets_t,
                   integer, integer,
                   integer, unsigned, counts_t), parallel=True)
def fleming_viot_systems(Y, S, gradient, p, step, box, targets, first, start, n_steps, seed, counts):
    """Advance the systems first, first + 1, ... in Y (n_systems, d, n), S (n_systems, 4, n) by n_steps (even)
    from step `start` (even)."""
    for system in prange(Y.shape[0]):
        _evolve((system, first + system), Y[system], S[system], gradient, p, step, box, targets, start,
                n_steps, seed, counts)


@kernel(types.void(words_3d, unsigned))
def seed_systems(S, seed):
    """Streams of the walkers of all systems, S (n_systems, 4, n)."""
    for system in range(S.shape[0]):
        for j in range(S.shape[2]):
            w = words_of(system * S.shape[2] + j, WALKER, 0, 0, seed)
            for q in range(4):
                S[system, q, j] = u32(w[q])
