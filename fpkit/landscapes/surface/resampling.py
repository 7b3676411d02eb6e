"""A landscape on a finer grid, for the resolution error: the same samples, and more between them."""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from .noise import unpredicted

LEAST_THINNED = 9                    # samples an axis of a surface of which every second one is asked, too


def refined(land, factor, is_smooth=False):
    """The analysed surface with `factor - 1` samples more in each interval; the samples stay, bit for bit,
    and a hole stays a hole.

    Linear between the samples, so that no new value lies outside the range of its corners and cliffs of 1e35
    or walls of NaN do no harm (a spline would swing). Smooth: bent in each interval by the harmonic mean of
    the second differences at its ends, where these have one sign; of order 4 for smooth surfaces, and the
    smaller of the two rules beside a cliff.
    """
    loss, axes = land.loss, []
    for k, a in enumerate(land.axes):
        axis = land.ndim - 1 - k
        is_ring = bool(land.wraps and land.wraps[axis])
        if is_ring:                                      # two more samples at each end, cut off again below
            loss = np.take(loss, np.arange(-2, a.size + 3), axis, mode="wrap")
            a = a[0] + land.spacing[k] * np.arange(-2, a.size + 3)
        position = np.arange((a.size - 1) * factor + 1) / factor
        low = np.minimum(position.astype(int), a.size - 2)
        s = position - low
        axes.append(a[low] * (1 - s) + a[low + 1] * s)
        bend = _bend(loss, axis) if is_smooth else None
        one, two = np.take(loss, low, axis), np.take(loss, low + 1, axis)
        s = s.reshape([-1 if n == axis else 1 for n in range(land.ndim)])
        with np.errstate(over="ignore"):
            between = one * (1 - s) + two * s
            if is_smooth:
                between = between - s * (1 - s) / 2 * np.take(bend, low, axis)
            loss = np.where(s == 0, one, np.where(s == 1, two, between))
        if is_ring:
            kept = np.arange(2 * factor, (a.size - 3) * factor)
            loss, axes[-1] = np.take(loss, kept, axis), axes[-1][kept]
    return _with(land, axes, loss)


def can_be_thinned(land):
    """Whether every second sample is a surface of its own, to hold answers against."""
    return min(land.shape) >= LEAST_THINNED and not land.wraps


def thinned(land, every):
    """The analysed surface on each n-th sample."""
    return _with(land, [a[::every] for a in land.axes],
                 land.loss[(slice(None, None, every),) * land.ndim].copy())


def sharpened(land):
    """The surface with each sample moved away from what its neighbours predict by as much as it differs from
    it: what the samples leave open of pits and ridges about as narrow as their spacing.

    Along each axis the difference is that of order 4 over 6, no larger than the steps on either side of the
    sample, so that a cliff does not bend the plain beside it; a sample that stands out alone does not either.
    """
    plain, loss = land.loss - land.outliers, land.loss + land.outliers
    for axis in range(land.ndim):
        with np.errstate(over="ignore", invalid="ignore"):
            up = np.abs(np.roll(plain, -1, axis) - plain)
            down = np.roll(up, 1, axis)
            most = np.minimum(np.maximum(up, np.roll(up, -1, axis)), np.maximum(down, np.roll(down, 1, axis)))
            off = unpredicted(plain, axis, land.wraps and land.wraps[axis])
            loss += np.nan_to_num(np.clip(off, -most, most), nan=0.0, posinf=0.0, neginf=0.0)
    return _with(land, land.axes, np.where(land.valid, loss, land.loss))


def _with(land, axes, loss):
    valid = np.isfinite(loss)
    none = np.zeros(loss.shape, bool)
    return replace(land, axes=tuple(axes), loss=loss, surfaces={}, stored={}, valid=valid, unfinished=none,
                   diverged=~valid, loss_stderr=None, logdet_perp=None, gradient_noise=None)


def _bend(loss, axis):
    """Limited second difference of each interval along an axis; where one end has none, that of the other; 0
    where neither has."""
    f = np.moveaxis(loss, axis, -1)
    ends = np.full(f.shape, np.nan)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        ends[..., 1:-1] = f[..., 2:] - 2 * f[..., 1:-1] + f[..., :-2]
        a, b = ends[..., :-1], ends[..., 1:]
        a, b = np.where(np.isfinite(a), a, b), np.where(np.isfinite(b), b, a)
        bend = np.where(np.sign(a) == np.sign(b), 2 / (1 / a + 1 / b), 0.0)
    return np.moveaxis(np.where(np.isfinite(bend), bend, 0.0), -1, axis)


def nearest(labels, factor, wraps=None):
    """Labels of cells carried over to the grid of `refined`."""
    for axis in range(labels.ndim):
        n = labels.shape[axis]
        position = np.arange(n * factor if wraps and wraps[axis] else (n - 1) * factor + 1)
        labels = np.take(labels, (2 * position + factor) // (2 * factor) % n, axis)
    return labels
