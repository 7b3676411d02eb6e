"""Walls of a box on blocks of walkers: mirrors, periodic axes with their winding number, and absorbing sides.

`walls` is (4, d): the kind of the lower and of the upper side of each axis, then their places (infinite where
there is none).
"""
import math
from typing import NamedTuple

import numba
import numpy as np
from numba import types

from ...core.compilation import (
    flag,
    helper,
    integer,
    integers_1d,
    kernel,
    number,
    numbers_1d,
    numbers_2d,
    unsigned,
)
from ...core.compilation.special import options
from .noise_kernels import BRIDGE, uniform_of

NONE, REFLECTING, PERIODIC, ABSORBING = range(4)
NEAR = 30.0  # exp(-30) = 1e-13: a bridge that far from the wall does not touch it


class Box(NamedTuple):
    """Walls (4, d) or (4, 0), and what they make of an ensemble: windings (d, n); exit time and side (n,) of
    absorbed paths and the numbers of the trajectories (n,), empty without absorbing sides; the seed."""
    walls: np.ndarray
    turns: np.ndarray
    exit_time: np.ndarray
    exit_side: np.ndarray
    trajectories: np.ndarray
    has_walls: bool
    has_mirror: bool
    has_absorbing: bool
    seed: int


box_t = types.NamedTuple((numbers_2d, numbers_2d, numbers_1d, integers_1d, integers_1d, flag, flag, flag,
                          unsigned), Box)


class Exits(NamedTuple):
    """When and at which side each walker of a block left (-1: not yet), and its trajectory, (lanes,)."""
    time: np.ndarray
    side: np.ndarray
    trajectories: np.ndarray


exits_t = types.NamedTuple((numbers_1d, integers_1d, integers_1d), Exits)


@numba.njit(**options)
def take_exits(box, first, count, lanes):
    """The Exits of the walkers first..first+count; the lanes left over repeat the first walker."""
    n = lanes if box.has_absorbing else 0
    exits = Exits(np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64))
    for j in range(n):
        c = first + (j if j < count else 0)
        exits.time[j], exits.side[j] = box.exit_time[c], box.exit_side[c]
        exits.trajectories[j] = box.trajectories[c]
    return exits


@numba.njit(**options)
def give_exits(box, exits, wound, first, count):
    """Add the windings of a block to those of the ensemble, and write its exits back."""
    if box.has_walls:
        for i in range(wound.shape[0]):
            for j in range(count):
                box.turns[i, first + j] += wound[i, j]
    if box.has_absorbing:
        for j in range(count):
            box.exit_time[first + j], box.exit_side[first + j] = exits.time[j], exits.side[j]


@helper
def turn(Y, sign):
    """Y *= sign, and sign = 1 again: what a mirror does to velocities, gradients and remembered noise."""
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] *= sign[i, j]
            sign[i, j] = 1.0


@numba.njit(**options)
def fold(Y, walls, sign, turns):
    """Bring Y (d, lanes) back inside mirrors and periods. sign *= -1 where an axis was mirrored an odd number
    of times.

    turns (d, lanes) counts the periods that were taken off, so that Y + turns * period is the path on the
    line. Points inside keep their bits.
    """
    d, lanes = Y.shape
    for i in range(d):
        low, high = walls[2, i], walls[3, i]
        if walls[0, i] == PERIODIC:
            period = high - low
            for j in range(lanes):
                n = np.floor((Y[i, j] - low) / period)
                y = Y[i, j] - n * period
                above = y >= high                # rounding of a point just below `low`
                Y[i, j] = low if above else y
                turns[i, j] += n + (1.0 if above else 0.0)
        elif walls[0, i] == REFLECTING and walls[1, i] == REFLECTING:
            span = high - low
            for j in range(lanes):
                y = Y[i, j]
                t = y - low
                t -= 2.0 * span * np.floor(t / (2.0 * span))
                is_mirrored = t > span
                folded = low + (2.0 * span - t if is_mirrored else t)
                is_out = (y < low) | (y > high)
                Y[i, j] = folded if is_out else y
                sign[i, j] = -sign[i, j] if is_out & is_mirrored else sign[i, j]
        elif walls[0, i] == REFLECTING:
            for j in range(lanes):
                y = Y[i, j]
                Y[i, j] = 2.0 * low - y if y < low else y
                sign[i, j] = -sign[i, j] if y < low else sign[i, j]
        elif walls[1, i] == REFLECTING:
            for j in range(lanes):
                y = Y[i, j]
                Y[i, j] = 2.0 * high - y if y > high else y
                sign[i, j] = -sign[i, j] if y > high else sign[i, j]


@numba.njit(**options)
def is_outside(Y, walls, out):
    """out (lanes,) = 1 where a walker is beyond a mirror: a Metropolis step must refuse it."""
    for j in range(out.size):
        out[j] = 0
    for i in range(Y.shape[0]):
        if walls[0, i] == REFLECTING or walls[1, i] == REFLECTING:
            low = walls[2, i] if walls[0, i] == REFLECTING else -math.inf
            high = walls[3, i] if walls[1, i] == REFLECTING else math.inf
            for j in range(out.size):
                out[j] |= 1 if (Y[i, j] < low) | (Y[i, j] > high) else 0


@numba.njit(**options)
def absorb(O, Y, walls, spread, exits, step, time, dt, seed):
    """End the paths that met an absorbing side during the step from O to Y (d, lanes); returns how many go
    on.

    A step with both ends inside at distances s, s' of a side touched it with probability exp(-2 s s' /
    variance), the Brownian bridge of the step's noise; spread (d,) is its variance (2 theta dt M_ii; 0: ends
    only). The walker rests on the wall, at the fraction s / (s + |s'|) of the step; the time is the middle of
    the step. Ended paths (side >= 0) stay where they are.
    """
    d, lanes = Y.shape
    near, n_alive = 0, 0
    for i in range(d):
        for side in range(2):
            if walls[side, i] == ABSORBING:
                place, out = walls[2 + side, i], 1.0 - 2.0 * side
                limit = 0.5 * NEAR * spread[i]
                for j in range(lanes):
                    s, t = out * (O[i, j] - place), out * (Y[i, j] - place)
                    near += 1 if ((t <= 0.0) | (s * t < limit)) & (exits.side[j] < 0) else 0
    for j in range(lanes):
        n_alive += 1 if exits.side[j] < 0 else 0
    if n_alive < lanes:
        for i in range(d):
            for j in range(lanes):
                Y[i, j] = Y[i, j] if exits.side[j] < 0 else O[i, j]
    if near == 0:  # the rule: scalar work only for a block with a walker near a side
        return n_alive
    for j in range(lanes):
        if exits.side[j] >= 0:
            continue
        fraction, where = 2.0, -1
        for i in range(d):
            for side in range(2):
                if walls[side, i] == ABSORBING:
                    place, out = walls[2 + side, i], 1.0 - 2.0 * side
                    s, t = out * (O[i, j] - place), out * (Y[i, j] - place)
                    is_hit = t <= 0.0
                    if not is_hit and spread[i] > 0.0 and s * t < 0.5 * NEAR * spread[i]:
                        u = uniform_of(exits.trajectories[j], BRIDGE, 2 * i + side, step, seed)
                        is_hit = u < math.exp(-2.0 * s * t / spread[i])
                    if is_hit and s / (s + abs(t) + 1e-300) < fraction:
                        fraction, where = s / (s + abs(t) + 1e-300), 2 * i + side
        if where >= 0:
            n_alive -= 1
            exits.side[j], exits.time[j] = where, time + 0.5 * dt
            for i in range(d):
                Y[i, j] = O[i, j] + fraction * (Y[i, j] - O[i, j])
            Y[where // 2, j] = walls[2 + where % 2, where // 2]
    return n_alive


@kernel(types.void(numbers_2d, numbers_2d, numbers_2d, numbers_2d))
def fold_all(Y, walls, sign, turns):
    """The rule of `fold` on a whole ensemble."""
    fold(Y, walls, sign, turns)


@kernel(types.void(numbers_2d, numbers_2d, integers_1d))
def is_outside_all(Y, walls, out):
    """The rule of `is_outside` on a whole ensemble."""
    is_outside(Y, walls, out)


@kernel(integer(numbers_2d, numbers_2d, numbers_2d, numbers_1d, exits_t, integer, number, number, unsigned))
def absorb_all(O, Y, walls, spread, exits, step, time, dt, seed):
    """The rule of `absorb` on a whole ensemble."""
    return absorb(O, Y, walls, spread, exits, step, time, dt, seed)
