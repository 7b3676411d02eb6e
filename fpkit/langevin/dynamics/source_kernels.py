"""Killing at a rate k(x) and resetting to a place at a constant rate, on blocks of walkers.

Resetting acts for half a step before and half a step after the motion, killing by the mean of k at both ends:
Strang's splitting of the generator, which adds an error of order dt^2. Constant killing is exact. The draws
are those of the walker and the step alone (`words_of`), so that there is no state.
"""
import math
from typing import NamedTuple

import numba
import numpy as np
from numba import types

from ...core.compilation import flag, number, numbers_1d, unsigned
from ...core.compilation.special import options
from .noise_kernels import SOURCE, words_of

WORD = 2.3283064365386963e-10                    # 2^-32


class Sources(NamedTuple):
    """Rate and place (d,) of resetting, the parameters of k, whether there is killing, and the seed."""
    rate: float
    place: np.ndarray
    p: np.ndarray
    has_killing: bool
    seed: int


sources_t = types.NamedTuple((number, numbers_1d, numbers_1d, flag, unsigned), Sources)


@numba.njit(**options)
def _reset(Y, who, draws, dt, sources):
    level = -math.expm1(-0.5 * dt * sources.rate)
    for j in range(who.size):
        if who[j] >= 0 and draws[j] < level:
            for i in range(Y.shape[0]):
                Y[i, j] = sources.place[i]


@numba.njit(**options)
def sources_before(Y, who, step, dt, value, sources, draws):
    """The half before a step of Y (d, lanes). who: the walkers of the lanes, -1 for none; step (lanes,) their
    steps; draws (4, lanes) keeps k and what is drawn for the half after."""
    for j in range(who.size):
        if who[j] >= 0:
            w = words_of(who[j], SOURCE, 0, step[j], sources.seed)
            for q in range(3):
                draws[q, j] = (float(w[q]) + 0.5) * WORD
    _reset(Y, who, draws[0], dt, sources)
    if sources.has_killing:
        value(Y, sources.p, draws[3])


@numba.njit(**options)
def sources_after(Y, who, dt, value, sources, draws, rates, killed):
    """The half after; killed (lanes,) = the fraction of the step at which a walker died, else -1; rates
    (lanes,) is working space."""
    if sources.has_killing:
        value(Y, sources.p, rates)
    for j in range(who.size):
        killed[j] = -1.0
        if sources.has_killing and who[j] >= 0:
            hazard = 0.5 * dt * (draws[3, j] + rates[j])
            if draws[2, j] < -math.expm1(-hazard):
                killed[j], who[j] = -math.log1p(-draws[2, j]) / hazard, -1
    _reset(Y, who, draws[1], dt, sources)
