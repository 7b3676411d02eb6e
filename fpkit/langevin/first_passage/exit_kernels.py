"""Paths from their starts to a target, on blocks of lanes: a lane whose path has ended takes the next one at
once.

Every path has its own number, streams and clock, so that its passage depends neither on the lane nor on the
block, and the list of passage times is the same for any number of threads and any chunks. Overdamped steps
are Euler-Maruyama's with the Brownian bridge of `target_kernels`. Underdamped paths are BAOAB's: polylines
with corners at the half steps, whose crossings are all found, so there is no bridge.

State of a block, all of it in slices of shared arrays: Y (d, lanes) places, V velocities, s (4, lanes)
generators, owner (lanes,) the path of each lane (-1: none), born (lanes,) the step of the block at which it
began, clock the steps of the block, cursor (2,) the next path and the end of the block's list. Results, one
column a path: when (n,), wall (n,), place (d, n).
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
from ..dynamics.noise_kernels import PATH, VELOCITY, fill_noise, words_of
from ..dynamics.step_kernels import through, through_transpose
from ..dynamics.underdamped_kernels import drift
from ..dynamics.wall_kernels import NEAR, fold
from .target_kernels import WORD, all_distances, column, first_hit, hit_place

RUNNING, CENSORED = -1, -2                                       # values of `wall` that are no wall
words_3d = types.Array(types.uint32, 3, "C")
u32 = np.uint32


@numba.njit(**options)
def _refill(Y, s, owner, born, clock, cursor, X0, seed):
    """Give the next paths of the list to the lanes without one; (paths begun, lanes left idle)."""
    begun, idle = 0, 0
    for j in range(owner.size):
        if owner[j] >= 0:
            continue
        if cursor[0] == cursor[1]:
            idle += 1
            continue
        i = cursor[0]
        cursor[0], owner[j], born[j], begun = i + 1, i, clock, begun + 1
        w = words_of(i, PATH, 0, 0, seed)
        for q in range(4):
            s[q, j] = u32(w[q])
        for k in range(Y.shape[0]):
            Y[k, j] = X0[k, i if X0.shape[1] > 1 else 0]
    return begun, idle


@numba.njit(**options)
def _expire(Y, owner, born, clock, max_steps, dt, when, wall, place):
    """End the paths that have made max_steps steps; returns how many."""
    ended = 0
    for j in range(owner.size):
        if owner[j] >= 0 and clock - born[j] >= max_steps:
            i = owner[j]
            when[i], wall[i], owner[j], ended = max_steps * dt, CENSORED, -1, ended + 1
            for k in range(Y.shape[0]):
                place[k, i] = Y[k, j]
    return ended


@numba.njit(**options)
def _advance(Y, s, owner, born, clock, cursor, X0, gradient, p, dt, theta, root, is_full, is_isotropic,
             widest, walls, atoms, firsts,
             max_steps, n_steps, seed, when, wall, place):
    """Make up to n_steps (even) Euler-Maruyama steps of one block; returns the clock."""
    d, lanes = Y.shape
    n_walls = firsts.size - 1
    G, O, W = np.empty((d, lanes)), np.empty((d, lanes)), np.empty((2 * d, lanes), np.float32)
    before, after, scratch = np.empty((n_walls, lanes)), np.empty((n_walls, lanes)), np.empty(lanes)
    sign, wound = np.ones((d, lanes)), np.zeros((d, lanes))
    o, y, b, a, x = np.empty(d), np.empty(d), np.empty(n_walls), np.empty(n_walls), np.empty(d)
    scale = 2.0 * theta * dt
    sigma, reach = math.sqrt(scale), 0.5 * NEAR * scale * widest
    idle = 0
    for j in range(lanes):
        idle += 1 if owner[j] < 0 else 0
    all_distances(Y, atoms, firsts, before, scratch)
    for _ in range(0, n_steps, 2):
        if idle > 0:
            begun, idle = _refill(Y, s, owner, born, clock, cursor, X0, seed)
            if idle == lanes:
                break
            if begun > 0:
                all_distances(Y, atoms, firsts, before, scratch)
        fill_noise(s, W, False)
        for half in range(2):
            gradient(Y, p, G)
            if is_full:
                through_transpose(root, G)
                through(root, G, 0)
                through(root, W, half * d)
            for i in range(d):
                rate = dt if is_full else dt * root[i, i] * root[i, i]
                spread = sigma if is_full else sigma * root[i, i]
                for j in range(lanes):
                    O[i, j] = Y[i, j]
                    Y[i, j] += spread * np.float64(W[half * d + i, j]) - rate * G[i, j]
            if walls.shape[1] > 0:
                fold(Y, walls, sign, wound)
            if idle > 0:
                for j in range(lanes):
                    if owner[j] < 0:             # an idle lane waits where it is
                        for i in range(d):
                            Y[i, j] = O[i, j]
            all_distances(Y, atoms, firsts, after, scratch)
            near = 0
            for w in range(n_walls):
                for j in range(lanes):
                    near += 1 if before[w, j] * after[w, j] < reach else 0
            if near > 0:                         # scalar work only for a block with a walker near a wall
                for j in range(lanes):
                    nearest = math.inf
                    for w in range(n_walls):
                        nearest = min(nearest, before[w, j] * after[w, j])
                    if owner[j] < 0 or not nearest < reach:
                        continue
                    column(O, j, o)
                    column(Y, j, y)
                    column(before, j, b)
                    column(after, j, a)
                    i, age = owner[j], clock - born[j]
                    hit, u = first_hit(o, y, b, a, atoms, firsts, root, scale, is_isotropic, i, age, seed)
                    if hit >= 0:
                        hit_place(o, y, u, atoms, firsts[hit], firsts[hit + 1], root, scale, i, age, seed, x)
                        when[i], wall[i], owner[j], idle = (age + u) * dt, hit, -1, idle + 1
                        for k in range(d):
                            place[k, i], Y[k, j] = x[k], O[k, j]
                        for w in range(n_walls):
                            after[w, j] = before[w, j]
            before, after = after, before
            clock += 1
        if max_steps > 0:
            idle += _expire(Y, owner, born, clock, max_steps, dt, when, wall, place)
    return clock


@kernel(types.void(numbers_3d, words_3d, integers_2d, integers_2d, integers_1d, integers_2d, numbers_2d,
                   FUNCTION["gradient"], numbers_1d,
                   number, number, numbers_2d, flag, flag, number, numbers_2d, numbers_2d, integers_1d,
                   integer, integer, unsigned,
                   numbers_1d, integers_1d, numbers_2d), parallel=True)
def exits(Y, S, owner, born, clock, cursor, X0, gradient, p, dt, theta, root, is_full, is_isotropic, widest,
          walls, atoms, firsts,
          max_steps, n_steps, seed, when, wall, place):
    """Advance all blocks by up to n_steps (even): Y (n_blocks, d, lanes), S (n_blocks, 4, lanes), clock
    (n_blocks,), and so on.

    X0 (d, 1 or n) starts; root (d, d) of the mobility and its largest eigenvalue `widest`; walls (4, d) or
    (4, 0) of the box; atoms, firsts of the targets; max_steps even, 0 for none.
    """
    for block in prange(Y.shape[0]):
        clock[block] = _advance(Y[block], S[block], owner[block], born[block], clock[block], cursor[block],
                                X0, gradient, p, dt, theta,
                                root, is_full, is_isotropic, widest, walls, atoms, firsts, max_steps, n_steps,
                                seed, when, wall, place)


@numba.njit(**options)
def _flight(Y, V, h, O, walls, sign, wound):
    """O = Y, then the free flight of the velocity with its walls."""
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            O[i, j] = Y[i, j]
    drift(Y, V, h, walls, sign, wound)


@numba.njit(**options)
def _crossings(O, Y, before, after, owner, born, clock, half, dt, when, wall, place):
    """End the paths whose straight piece from O to Y crosses a wall; returns how many. `half` is 0 or 0.5,
    the start of the piece."""
    ended = 0
    for j in range(owner.size):
        u, hit = 2.0, -1
        for w in range(before.shape[0]):
            if owner[j] >= 0 and after[w, j] <= 0.0:
                fraction = before[w, j] / max(before[w, j] - after[w, j], 1e-300)
                if fraction < u:
                    u, hit = fraction, w
        if hit >= 0:
            i = owner[j]
            when[i], wall[i], owner[j], ended = (clock - born[j] + half + 0.5 * u) * dt, hit, -1, ended + 1
            for k in range(Y.shape[0]):
                place[k, i] = O[k, j] + u * (Y[k, j] - O[k, j])
    return ended


@numba.njit(**options)
def _advance_underdamped(Y, V, s, owner, born, clock, cursor, X0, gradient, p, dt, theta, friction, walls,
                         atoms, firsts, max_steps,
                         n_steps, seed, when, wall, place):
    """Make up to n_steps (even) BAOAB steps of one block; returns the clock."""
    d, lanes = Y.shape
    n_walls = firsts.size - 1
    G, O, W = np.empty((d, lanes)), np.empty((d, lanes)), np.empty((2 * d, lanes), np.float32)
    before, after, scratch = np.empty((n_walls, lanes)), np.empty((n_walls, lanes)), np.empty(lanes)
    sign, wound = np.ones((d, lanes)), np.zeros((d, lanes))
    c = math.exp(-friction * dt)
    b = math.sqrt(theta * (1.0 - c * c))
    idle = 0
    for j in range(lanes):
        idle += 1 if owner[j] < 0 else 0
    gradient(Y, p, G)
    all_distances(Y, atoms, firsts, before, scratch)
    for _ in range(0, n_steps, 2):
        if idle > 0:
            first = cursor[0]
            begun, idle = _refill(Y, s, owner, born, clock, cursor, X0, seed)
            if idle == lanes:
                break
            if begun > 0:
                for j in range(lanes):
                    if owner[j] >= first:        # Maxwell's velocities
                        for k in range(d):
                            w = words_of(owner[j], VELOCITY, k, 0, seed)
                            r = math.sqrt(-2.0 * theta * math.log((float(w[0]) + 0.5) * WORD))
                            V[k, j] = r * math.cos(2.0 * math.pi * float(w[1]) * WORD)
                gradient(Y, p, G)
                all_distances(Y, atoms, firsts, before, scratch)
        fill_noise(s, W, False)
        for half in range(2):
            for i in range(d):
                for j in range(lanes):
                    V[i, j] -= 0.5 * dt * G[i, j]
            for piece in range(2):
                _flight(Y, V, 0.5 * dt, O, walls, sign, wound)
                all_distances(Y, atoms, firsts, after, scratch)
                near = 0
                for w in range(n_walls):
                    for j in range(lanes):
                        near += 1 if after[w, j] <= 0.0 else 0
                if near > 0:
                    idle += _crossings(O, Y, before, after, owner, born, clock, 0.5 * piece, dt, when, wall,
                                       place)
                    for j in range(lanes):       # a lane without a path waits where it is
                        if owner[j] < 0:
                            for k in range(d):
                                Y[k, j], V[k, j] = O[k, j], 0.0
                            for w in range(n_walls):
                                after[w, j] = before[w, j]
                before, after = after, before
                if piece == 0:
                    for i in range(d):
                        for j in range(lanes):
                            V[i, j] = c * V[i, j] + b * np.float64(W[half * d + i, j])
            gradient(Y, p, G)
            for i in range(d):
                for j in range(lanes):
                    V[i, j] -= 0.5 * dt * G[i, j]
            clock += 1
        if max_steps > 0:
            idle += _expire(Y, owner, born, clock, max_steps, dt, when, wall, place)
    return clock


@kernel(types.void(numbers_3d, numbers_3d, words_3d, integers_2d, integers_2d, integers_1d, integers_2d,
                   numbers_2d, FUNCTION["gradient"],
                   numbers_1d, number, number, number, numbers_2d, numbers_2d, integers_1d, integer, integer,
                   unsigned, numbers_1d,
                   integers_1d, numbers_2d), parallel=True)
def underdamped_exits(Y, V, S, owner, born, clock, cursor, X0, gradient, p, dt, theta, friction, walls, atoms,
                      firsts, max_steps,
                      n_steps, seed, when, wall, place):
    """Advance all blocks by up to n_steps (even) of BAOAB: V (n_blocks, d, lanes) velocities, unit mass; the
    rest as in `exits`."""
    for block in prange(Y.shape[0]):
        clock[block] = _advance_underdamped(Y[block], V[block], S[block], owner[block], born[block],
                                            clock[block], cursor[block], X0,
                                            gradient, p, dt, theta, friction, walls, atoms, firsts, max_steps,
                                            n_steps, seed, when,
                                            wall, place)
