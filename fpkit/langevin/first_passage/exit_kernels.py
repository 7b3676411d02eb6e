"""Paths from their starts to a target, on blocks of lanes: a lane whose path has ended takes the next one at
once.

Every path has its own number, streams and clock, so that its passage depends neither on the lane nor on the
block, and the list of passage times is the same for any number of threads and any chunks. Overdamped steps
are Euler-Maruyama's with the Brownian bridge of `target_kernels`. Underdamped paths are BAOAB's: polylines
with corners at the half steps, whose crossings are all found, so there is no bridge.

Results, one column a path: when (n,), wall (n,), place (d, n).
"""
import math
from typing import NamedTuple

import numba
import numpy as np
from numba import prange, types

from ...core.compilation import (
    FUNCTION,
    helper,
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
from ..dynamics.noise_kernels import PATH, VELOCITY, fill_noise, words_3d, words_of
from ..dynamics.source_kernels import sources_after, sources_before, sources_t
from ..dynamics.step_kernels import copy, damp, drift, kick
from .target_kernels import (
    Moves,
    all_distances,
    hit_of_lane,
    hit_place,
    list_near,
    make_step,
    normal_from,
    reach_of,
    step_of_lane,
    step_t,
    straight_step,
    targets_t,
)

RUNNING, CENSORED = -1, -2                                       # values of `wall` that are no wall
u32 = np.uint32


class Lanes(NamedTuple):
    """State of all blocks, one entry a block: places Y (d, lanes), velocities V (of underdamped paths),
    generators S (4, lanes), owner (lanes,) the path of each lane (-1: none), born (lanes,) the step of the
    block at which it began, clock the steps of the block, cursor (2,) the next path and the end of the
    block's list."""
    Y: np.ndarray
    V: np.ndarray
    S: np.ndarray
    owner: np.ndarray
    born: np.ndarray
    clock: np.ndarray
    cursor: np.ndarray


class Arrivals(NamedTuple):
    """Duration, wall and last place of every path."""
    when: np.ndarray
    wall: np.ndarray
    place: np.ndarray


lanes_t = types.NamedTuple((numbers_3d, numbers_3d, words_3d, integers_2d, integers_2d, integers_1d,
                            integers_2d),
                           Lanes)
arrivals_t = types.NamedTuple((numbers_1d, integers_1d, numbers_2d), Arrivals)


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
def _expire(Y, owner, born, clock, max_steps, dt, arrivals):
    """End the paths that have made max_steps steps; returns how many."""
    ended = 0
    for j in range(owner.size):
        if owner[j] >= 0 and clock - born[j] >= max_steps:
            i = owner[j]
            arrivals.when[i], arrivals.wall[i], owner[j], ended = max_steps * dt, CENSORED, -1, ended + 1
            for k in range(Y.shape[0]):
                arrivals.place[k, i] = Y[k, j]
    return ended


@helper
def _count_idle(owner):
    idle = 0
    for j in range(owner.size):
        idle += 1 if owner[j] < 0 else 0
    return idle


@helper
def _wait(Y, O, owner):
    """Idle lanes stay where they are."""
    for j in range(owner.size):
        if owner[j] < 0:
            for i in range(Y.shape[0]):
                Y[i, j] = O[i, j]


@numba.njit(**options)
def _end_hits(moves, near, lanes, block, clock, piece, targets, steps, box, seed, arrivals, places):
    """End the paths of the lanes `near` that met a wall in a piece of a step, (begin, length) as fractions of
    it; returns how many. Their lanes stay where they were. steps: the step, the gradients that it took, its
    reach; places (3 + d, d) is working space."""
    whole, G, reach = steps
    O, Y, _, before, after = moves
    begin, length = piece
    owner, born, ended, d = lanes.owner[block], lanes.born[block], 0, O.shape[0]
    o, y, x = places[0], places[1], places[2]
    for j in near:
        if owner[j] < 0:
            continue
        i, age = owner[j], clock - born[j]
        step = step_of_lane(whole, G, j, reach, places[3:])
        hit, u = hit_of_lane(moves, j, targets, step, box, i, age, seed, o, y)
        if hit >= 0:
            hit_place(o, y, u, targets, hit, step, i, age, seed, x)
            arrivals.when[i], arrivals.wall[i] = (age + begin + length * u) * step.dt, hit
            owner[j], ended = -1, ended + 1
            for k in range(d):
                arrivals.place[k, i], Y[k, j] = x[k], O[k, j]
            for w in range(before.shape[0]):
                after[w, j] = before[w, j]
    return ended


@numba.njit(**options)
def _advance(block, lanes, X0, gradient, p, step, box, targets, plan, arrivals, value=None, sources=None):
    """Make up to n_steps (even) Euler-Maruyama steps of one block; plan = (max_steps, n_steps, seed)."""
    max_steps, n_steps, seed = plan
    Y, s, cursor = lanes.Y[block], lanes.S[block], lanes.cursor[block]
    owner, born, clock = lanes.owner[block], lanes.born[block], lanes.clock[block]
    d, n = Y.shape
    n_walls = targets.first.size - 1
    G, O, W = np.empty((d + step.rows, n)), np.empty((d, n)), np.empty((2 * d, n), np.float32)
    before, after, scratch = np.empty((n_walls, n)), np.empty((n_walls, n)), np.empty(n)
    sign, wound = np.ones((d, n)), np.zeros((d, n))
    R, near = (np.empty((d, n)) if box.shape[1] > 0 else Y), np.zeros(n, np.int64)
    places = np.zeros((3 + d, d))
    if sources is not None:
        who, age, draws, killed = np.empty(n, np.int64), np.empty(n, np.int64), np.empty((4, n)), np.empty(n)
    idle = _count_idle(owner)
    all_distances(Y, targets, before, scratch)
    for _ in range(0, n_steps, 2):
        if idle > 0:
            begun, idle = _refill(Y, s, owner, born, clock, cursor, X0, seed)
            if idle == n:
                break
            if begun > 0:
                all_distances(Y, targets, before, scratch)
        fill_noise(s, W, False)
        for half in range(2):
            if sources is not None:
                for j in range(n):
                    who[j], age[j] = owner[j], clock - born[j]
                sources_before(Y, who, age, step.dt, value, sources, draws)
                all_distances(Y, targets, before, scratch)
            gradient(Y, p, G)
            make_step(Y, O, R, G, W, half * d, step, box, sign, wound)
            if idle > 0:
                _wait(Y, O, owner)
            all_distances(Y, targets, after, scratch)
            # scalar work only for a block with a walker near a wall
            reach = reach_of(step, G)
            n_near = list_near(O, R, before, after, box, reach, near)
            if n_near > 0:
                moves = Moves(O, Y, R, before, after)
                idle += _end_hits(moves, near[:n_near], lanes, block, clock, (0.0, 1.0), targets,
                                  (step, G, reach), box, seed, arrivals, places)
            if sources is not None:
                for j in range(n):
                    who[j] = owner[j]
                sources_after(Y, who, step.dt, value, sources, draws, scratch, killed)
                for j in range(n):
                    if killed[j] >= 0.0:
                        i, owner[j], idle = owner[j], -1, idle + 1
                        arrivals.when[i], arrivals.wall[i] = (age[j] + killed[j]) * step.dt, n_walls
                        for k in range(d):
                            arrivals.place[k, i] = Y[k, j]
            before, after = after, before
            clock += 1
        if max_steps > 0:
            idle += _expire(Y, owner, born, clock, max_steps, step.dt, arrivals)
    lanes.clock[block] = clock


@kernel(types.void(lanes_t, numbers_2d, FUNCTION["gradient"], numbers_1d, step_t, numbers_2d, targets_t,
                   integer,
                   integer, unsigned, arrivals_t), parallel=True)
def exits(lanes, X0, gradient, p, step, box, targets, max_steps, n_steps, seed, arrivals):
    """Advance all blocks by up to n_steps (even).

    X0 (d, 1 or n) starts; box (4, d) or (4, 0) walls; max_steps even, 0 for none.
    """
    for block in prange(lanes.Y.shape[0]):
        _advance(block, lanes, X0, gradient, p, step, box, targets, (max_steps, n_steps, seed), arrivals)


@kernel(types.void(lanes_t, numbers_2d, FUNCTION["gradient"], numbers_1d, step_t, numbers_2d, targets_t,
                   integer, integer, arrivals_t, FUNCTION["value"], sources_t), parallel=True)
def exits_with_sources(lanes, X0, gradient, p, step, box, targets, max_steps, n_steps, arrivals, value,
                       sources):
    """The same with killing and resetting; the wall of killed paths is one more than there are."""
    for block in prange(lanes.Y.shape[0]):
        _advance(block, lanes, X0, gradient, p, step, box, targets, (max_steps, n_steps, sources.seed),
                 arrivals, value, sources)


@numba.njit(**options)
def _maxwell(V, j, path, theta, seed):
    """A velocity from Maxwell's distribution for the lane j."""
    for k in range(V.shape[0]):
        w = words_of(path, VELOCITY, k, 0, seed)
        V[k, j] = normal_from(w[0], w[1], theta)


@numba.njit(**options)
def _advance_underdamped(block, lanes, X0, gradient, p, physics, box, targets, max_steps, n_steps, seed,
                         arrivals):
    """Make up to n_steps (even) BAOAB steps of one block."""
    dt, theta, friction = physics
    step = straight_step(dt, theta, X0.shape[0])
    Y, V, s, cursor = lanes.Y[block], lanes.V[block], lanes.S[block], lanes.cursor[block]
    owner, born, clock = lanes.owner[block], lanes.born[block], lanes.clock[block]
    d, n = Y.shape
    n_walls = targets.first.size - 1
    G, O, W = np.empty((d, n)), np.empty((d, n)), np.empty((2 * d, n), np.float32)
    before, after, scratch = np.empty((n_walls, n)), np.empty((n_walls, n)), np.empty(n)
    sign, wound = np.ones((d, n)), np.zeros((d, n))
    R, near = (np.empty((d, n)) if box.shape[1] > 0 else Y), np.zeros(n, np.int64)
    places = np.zeros((3 + d, d))
    c = math.exp(-friction * dt)
    b = math.sqrt(theta * (1.0 - c * c))
    idle = _count_idle(owner)
    gradient(Y, p, G)
    all_distances(Y, targets, before, scratch)
    for _ in range(0, n_steps, 2):
        if idle > 0:
            first = cursor[0]
            begun, idle = _refill(Y, s, owner, born, clock, cursor, X0, seed)
            if idle == n:
                break
            if begun > 0:
                for j in range(n):
                    if owner[j] >= first:
                        _maxwell(V, j, owner[j], theta, seed)
                gradient(Y, p, G)
                all_distances(Y, targets, before, scratch)
        fill_noise(s, W, False)
        for half in range(2):
            kick(V, G, 0.5 * dt)
            for piece in range(2):
                copy(Y, O)
                drift(Y, V, R, 0.5 * dt, box, sign, wound)
                all_distances(Y, targets, after, scratch)
                n_near = list_near(O, R, before, after, box, step.reach, near)
                if n_near > 0:
                    moves = Moves(O, Y, R, before, after)
                    idle += _end_hits(moves, near[:n_near], lanes, block, clock, (0.5 * piece, 0.5), targets,
                                      (step, G, step.reach), box, seed, arrivals, places)
                if idle > 0:                     # a lane without a path waits where it is
                    _wait(Y, O, owner)
                    for j in range(n):
                        for k in range(d if owner[j] < 0 else 0):
                            V[k, j] = 0.0
                before, after = after, before
                if piece == 0:
                    damp(V, W, half * d, c, b)
            gradient(Y, p, G)
            kick(V, G, 0.5 * dt)
            clock += 1
        if max_steps > 0:
            idle += _expire(Y, owner, born, clock, max_steps, dt, arrivals)
    lanes.clock[block] = clock


@kernel(types.void(lanes_t, numbers_2d, FUNCTION["gradient"], numbers_1d, types.UniTuple(number, 3),
                   numbers_2d,
                   targets_t, integer, integer, unsigned, arrivals_t), parallel=True)
def underdamped_exits(lanes, X0, gradient, p, physics, box, targets, max_steps, n_steps, seed, arrivals):
    """Advance all blocks by up to n_steps (even) of BAOAB, unit mass; physics = (dt, theta, friction), the
    rest as in `exits`."""
    for block in prange(lanes.Y.shape[0]):
        _advance_underdamped(block, lanes, X0, gradient, p, physics, box, targets, max_steps, n_steps, seed,
                             arrivals)
