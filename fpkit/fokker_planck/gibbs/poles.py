"""Integrals of exp(-beta f) over the last small boxes at a pole, where f falls like a logarithm.

Near such a pole exp(-beta f) is self-similar: a box cut towards the pole in halves, quarters, ... loses
shells whose masses S_j form a geometric series of ratio r = 2^-k, for exp(-beta f) = x^(k - 1) just this k.
What lies within the last shell is S_J r / (1 - r). The error is what one shell more changes.

A pole inside a box is found first, and the box cut there.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GRID = 9                     # points an axis of a window in which the lowest one is looked for
SHRINK, WINDOWS = 0.6, 72    # of the window from step to step: down to the rounding of the coordinates
LOOK, KEPT, LEAST_FALL = 5, 0.3, 1e-4   # a pole is as deep in a window as in that so many before, and so deep
DISTANCES = 2.0 ** -np.arange(5, 26, 10)  # from a pole, of the box: from one to the next f falls by the same
EQUAL = 0.2
LEVELS = 8
ONE_SIDED = 0.02             # difference of the logarithms of two halves: on which side the pole lies
SIMILAR = 0.02               # change of the ratio from shell to shell up to which they are taken for a series
DIVERGENT = 1e-7             # -log r below which the series has no sum
REGULAR = 1e-4               # change of a mass by halving the box, below which it has no pole
SAFETY = 5.0
SLIVER = 1e-11               # of a box: thinner parts are rounding
NEAR = 1.0                   # distance of a pole from the centre of a box, in widths
LONG = 0.7                   # of the longest side of a box: from there on a side is halved
LAST = 24                    # halvings towards a pole of boxes that are cut otherwise


def power_tails(sums, lower, width):
    """log of the masses of boxes with a pole at a face or corner and their relative errors (n,), NaN where
    the shells are no geometric series; log +inf where the integral diverges.

    sums : callable
        log of the integrals over boxes (lower, width), by a Gauss rule.
    """
    d, n = lower.shape
    log_mass, error = np.full(n, np.nan), np.full(n, np.nan)
    side, is_axis = np.zeros((d, n)), np.zeros((d, n), bool)
    for k in range(d):
        low, size, excess = lower, width, []
        for _ in range(2):                               # at a pole a half is shared as the whole is
            size = np.where(np.arange(d)[:, None] == k, size / 2, size)
            step = np.where(np.arange(d)[:, None] == k, size, 0.0)
            with np.errstate(invalid="ignore"):
                excess.append(sums(low + step, size) - sums(low, size))
            low = np.where(excess[-1] > 0, low + step, low)
        side[k] = excess[0] > 0
        is_axis[k] = (np.abs(excess[0]) > ONE_SIDED) & (np.abs(excess[1]) > 0.7 * np.abs(excess[0]))
    for kind in [*np.unique(is_axis, axis=1).T, np.ones(d, bool)]:
        # a weak pole in a corner weighs little on the sides: a corner is tried where nothing was found
        at = np.flatnonzero(np.isnan(log_mass) if kind.all() else (is_axis == kind[:, None]).all(0))
        if kind.any() and at.size:
            log_mass[at], error[at] = _series(sums, lower[:, at], width[:, at], side[:, at], kind)
    return log_mass, error


def _part(sums, lower, width, side, kind):
    """Masses of boxes and their relative errors: by the rule, or as a series where the rule does not agree
    with itself on the halves."""
    plain, error = sums(lower, width), np.zeros(lower.shape[1])
    for k in np.flatnonzero(kind):
        at = np.arange(kind.size)[:, None] == k
        size = np.where(at, width / 2, width)
        with np.errstate(invalid="ignore"):
            halves = np.logaddexp(sums(lower, size), sums(lower + np.where(at, size, 0.0), size))
            error = np.fmax(error, np.abs(halves - plain))
    rough, error = np.flatnonzero(~(error < REGULAR)), SAFETY * error
    if rough.size:
        plain[rough], error[rough] = _series(sums, lower[:, rough], width[:, rough], side[:, rough], kind)
    return plain, error


def _series(sums, lower, width, side, kind):
    """Masses of boxes and their relative errors, from shells that leave the low or high `side` of the axes in
    `kind`; NaN where these are no geometric series."""
    shells, start, inherited = [], np.abs(lower) + width, np.zeros(lower.shape[1])
    for _ in range(LEVELS):
        size = np.where(kind[:, None], width / 2, width)
        inner, parts = lower + np.where(kind[:, None], side * size, 0.0), []
        for o in np.ndindex(*(2 if k else 1 for k in kind)):
            rest = kind & (np.array(o) == 0)             # a part may touch the pole of an edge
            if not any(o):
                continue
            low = inner + np.array(o)[:, None] * (1 - 2 * side) * size
            part, error = _part(sums, low, size, side, rest)
            parts.append(part)
            inherited = np.maximum(inherited, error)
        with np.errstate(invalid="ignore"):
            shells.append(np.logaddexp.reduce(parts, axis=0))
        lower, width = inner, size
    S = np.array(shells)
    with np.errstate(all="ignore"):
        ratio = np.diff(S, axis=0)                                           # log r, of each pair of shells
        totals = [np.logaddexp(np.logaddexp.reduce(S[:j], axis=0),
                               S[j - 1] + ratio[j - 2] - np.log(-np.expm1(ratio[j - 2])))
                  for j in (LEVELS - 1, LEVELS)]
        # the places of points within the last shell are rounded
        rounding = 2.3e-16 * (start / width)[kind].max(0) + 1e-15
        error = SAFETY * np.abs(np.expm1(totals[0] - totals[1])) + inherited
        error = error + rounding / np.abs(np.expm1(ratio[-1]))
        is_series = (np.abs(np.diff(ratio, axis=0)) < SIMILAR).all(0)
    total = np.where(ratio[-1] >= -DIVERGENT, np.inf, totals[1])
    return np.where(is_series, total, np.nan), np.where(is_series, np.minimum(error, 1.0), np.nan)


def point_poles(exponent, lower, width):
    """Places (d, n) at which f falls like the logarithm of the distance, one in each box (n,), NaN where a
    box has none. A box with a pole at its face or corner has its place there."""
    d, n = lower.shape
    steps = np.array(list(np.ndindex(*(GRID,) * d))).T / (GRID - 1) - 0.5
    place, depth, at = lower + width / 2, np.zeros(n), np.arange(n)
    for k in range(WINDOWS + 1):
        low, size = lower[:, at], width[:, at]
        X = np.clip(place[:, None, at] + steps[:, :, None] * size[:, None] * SHRINK**k, low[:, None],
                    (low + size)[:, None])
        E = exponent(X.reshape(d, -1)).reshape(-1, at.size)
        E[np.isnan(E)] = np.inf
        best = E.argmin(0)
        place[:, at] = np.take_along_axis(X, best[None, None], 1)[:, 0]
        if k % LOOK == 0:
            with np.errstate(invalid="ignore"):
                now = np.median(E, axis=0) - E.min(0)
                # down to the rounding of the coordinates
                stays = (size * SHRINK ** (k - LOOK) < 1e-14 * np.abs(place[:, at])).any(0)
                stays |= ~((now < KEPT * depth[at]) | (now < LEAST_FALL))
            depth[at] = now
            at = at[stays]
            if not at.size:
                break
    found = np.full((d, n), np.nan)
    if at.size:
        is_pole = _is_logarithm(exponent, place[:, at], lower[:, at], width[:, at])
        found[:, at[is_pole]] = place[:, at[is_pole]]
    return found


def _is_logarithm(exponent, place, lower, width):
    """Whether f falls by the same at each step towards a place, from the axes and the diagonal."""
    d, inwards = lower.shape[0], np.where(place < lower + width / 2, 1.0, -1.0) * width
    is_pole = np.ones(place.shape[1], bool)
    for direction in (*np.eye(d), np.ones(d)):
        E = [exponent(place + s * direction[:, None] * inwards) for s in DISTANCES]
        with np.errstate(invalid="ignore"):
            falls = -np.diff(E, axis=0)
            is_pole &= (falls > LEAST_FALL).all(0) & (np.abs(falls[1] - falls[0]) < EQUAL * falls[1])
    return is_pole


def cut_at(places, lower, width):
    """Boxes (d, n) cut at places in them (d, n), not at such as are at a face but for rounding: parts (lower,
    width, which box)."""
    which = np.arange(lower.shape[1])
    for k in range(lower.shape[0]):
        share = (places[k, which] - lower[k]) / width[k]
        inner = (share > SLIVER) & (share < 1 - SLIVER)
        high, size = lower[:, inner].copy(), width[:, inner].copy()
        high[k] = places[k, which[inner]]
        size[k] += lower[k, inner] - high[k]
        width = width.copy()
        width[k, inner] = high[k] - lower[k, inner]
        lower, width = np.append(lower, high, axis=1), np.append(width, size, axis=1)
        which = np.append(which, which[inner])
    return lower, width, which


def near_a_pole(poles, lower, width):
    """Which boxes (d, n) hold one of the poles (d, n_poles), or have it within half a width beside them."""
    near = np.abs(poles[:, :, None] - (lower + width / 2)[:, None]) <= NEAR * width[:, None]
    return near.all(0).any(0)


@dataclass(frozen=True)
class Shells:
    """Boxes that shrink towards poles: (d, n) lower, width; (n,) owner, core to which a box leads (-1: none)
    and its level, from 0 to `LAST`, the core itself; (d, n_cores) places of the poles."""

    lower: np.ndarray
    width: np.ndarray
    owner: np.ndarray
    core: np.ndarray
    level: np.ndarray
    places: np.ndarray

    def of_last(self, values, back=1):
        """Sums of values (n,) over the last shell but `back - 1` around each core."""
        at = self.level == LAST - back
        return np.bincount(self.core[at], values[at], self.places.shape[1])

    def cores(self, mass):
        """(k, mass, error) of the cores, from the masses (n,) of the shells: of such within r it is r^k."""
        S = np.array([self.of_last(mass, back) for back in (3, 2, 1)])
        with np.errstate(all="ignore"):
            ratio = S[1:] / S[:-1]
            tails = S[-1] * ratio / (1 - ratio)
            power, error = -np.log2(ratio[1]), SAFETY * np.abs(tails[1] - tails[0])
        rounding = 1e-15 * np.abs(self.places).max(0)
        order = self.core[self.level == LAST]
        size = np.zeros_like(rounding)
        size[order] = self.width[:, self.level == LAST].min(0)
        error = error + tails[1] * rounding / size / np.abs(1 - ratio[1])
        return power, tails[1][order], error[order]


def shells_towards(poles, lower, width, owner):
    """`Shells` of boxes (d, n) cut at the poles in them, or at their points that are nearest to poles."""
    d, n = lower.shape
    core, level, places = np.full(n, -1), np.zeros(n, int), [np.zeros((d, 0))]
    for p in poles.T[:, :, None]:
        at = near_a_pole(p, lower, width) & (level < LAST)
        if not at.any():
            continue
        place = np.clip(p, lower[:, at], (lower + width)[:, at])
        low, size, which = cut_at(place, lower[:, at], width[:, at])
        parent, place = owner[at][which], place[:, which]
        side = (place > low + size / 2).astype(float)
        name = np.arange(parent.size) + sum(a.shape[1] for a in places)
        places.append(place)
        parts = [(lower[:, ~at], width[:, ~at], owner[~at], core[~at], level[~at])]
        for k in range(LAST + 1):
            if k == LAST:
                parts.append((low, size, parent, name, np.full(parent.size, LAST)))
                break
            half = np.where(size > LONG * size.max(0), size / 2, size)       # long boxes become square ones
            inner = low + side * (size - half)
            for o in list(np.ndindex(*(2,) * d))[1:]:
                o = np.array(o)[:, None] == 1
                part = inner + np.where(o, np.where(side > 0, half - size, half), 0.0)
                rest = np.where(o, size - half, half)
                fits = (rest > 0).all(0)
                parts.append((part[:, fits], rest[:, fits], parent[fits], name[fits], np.full(fits.sum(), k)))
            low, size = inner, half
        lower, width, owner, core, level = (np.concatenate(a, axis=-1) for a in zip(*parts))
    return Shells(np.ascontiguousarray(lower), np.ascontiguousarray(width), owner, core, level,
                  np.concatenate(places, axis=1))
