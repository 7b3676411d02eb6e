"""A landscape on a finer grid, for the resolution error: the same samples, and more between them by linear interpolation."""
from __future__ import annotations

from dataclasses import replace

import numpy as np


def refined(land, factor):
    """The analysed surface with `factor - 1` samples more in each interval, (multi)linear between its corners; a hole stays a hole.

    The samples themselves stay, bit for bit, and no new value lies outside the range of its corners, so that cliffs of 1e35
    and walls of NaN do no harm (a spline would swing).
    """
    loss, axes = land.loss, []
    for k, a in enumerate(land.axes):
        position = np.arange((a.size - 1) * factor + 1) / factor
        low = np.minimum(position.astype(int), a.size - 2)
        s = position - low
        axes.append(a[low] * (1 - s) + a[low + 1] * s)
        axis = land.ndim - 1 - k
        one, two = np.take(loss, low, axis), np.take(loss, low + 1, axis)
        s = s.reshape([-1 if n == axis else 1 for n in range(land.ndim)])
        with np.errstate(over="ignore"):
            loss = np.where(s == 0, one, np.where(s == 1, two, one * (1 - s) + two * s))
    valid = np.isfinite(loss)
    none = np.zeros(loss.shape, bool)
    return replace(land, axes=tuple(axes), loss=loss, surfaces={}, stored={}, valid=valid, unfinished=none, diverged=~valid, loss_stderr=None)


def nearest(labels, factor):
    """Labels of cells carried over to the grid of `refined`."""
    for axis in range(labels.ndim):
        position = np.arange((labels.shape[axis] - 1) * factor + 1)
        labels = np.take(labels, (2 * position + factor) // (2 * factor), axis)
    return labels
