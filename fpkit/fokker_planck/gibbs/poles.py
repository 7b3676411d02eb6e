"""Integrals of exp(-beta f) over the last small boxes at a pole, where f falls like a logarithm.

Near such a pole exp(-beta f) is self-similar: a box cut towards the pole in halves, quarters, ... loses
shells whose masses S_j form a geometric series of ratio r = 2^-k, for exp(-beta f) = x^(k - 1) just this k.
What lies within the last shell is S_J r / (1 - r). The error is what one shell more changes.
"""
from __future__ import annotations

import numpy as np

LEVELS = 8
ONE_SIDED = 0.02             # difference of the logarithms of two halves: on which side the pole lies
SIMILAR = 0.02               # change of the ratio from shell to shell up to which they are taken for a series
DIVERGENT = 1e-7             # -log r below which the series has no sum
REGULAR = 1e-4               # change of a mass by halving the box, below which it has no pole
SAFETY = 5.0


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
    for kind in np.unique(is_axis, axis=1).T:
        at = np.flatnonzero((is_axis == kind[:, None]).all(0))
        if kind.any():
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
