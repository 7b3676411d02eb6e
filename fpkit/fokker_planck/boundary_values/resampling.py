"""A field at the centres of all cells of another grid, by polynomials along one axis after the other.

The same blocks of six cells as `Interpolant` takes around single points, which costs six times the number of
axes for each cell and not six to their power. Of logarithms only; blocks that reach into a region or a wall
are left to the interpolant.
"""
from __future__ import annotations

import numpy as np

WIDE, NARROW = 6, 4


def at_centres(interpolant, grid, at, has_spread=False):
    """log of the field at the centres of the flat cells `at` of a grid in the same box, and how far two
    degrees differ (0 unless asked for)."""
    log, spread = np.full(at.size, np.nan), np.zeros(at.size)
    if min(interpolant.grid.shape) >= WIDE:
        values, is_smooth = _along_axes(interpolant, grid, WIDE)
        log = np.where(is_smooth.ravel()[at], values.ravel()[at], np.nan)
        if has_spread:
            spread = np.abs(log - _along_axes(interpolant, grid, NARROW)[0].ravel()[at])
    missing = np.flatnonzero(np.isnan(log))
    if missing.size:
        log[missing], spread[missing] = interpolant(grid.points.reshape(-1, grid.ndim)[at[missing]],
                                                    is_judged=False)
    return log, spread


def _along_axes(interpolant, grid, size):
    """Values (grid.shape) and whether all cells they are made of are smooth."""
    own = interpolant.grid
    values, is_smooth = np.where(interpolant.smooth, interpolant.log, 0.0), interpolant.smooth
    for axis, (x, n) in enumerate(zip(grid.centres, own.shape)):
        start = interpolant._start(axis, x, size, 0)
        weights = interpolant._weights(axis, x, start, size)
        total, every = 0.0, True
        for k in range(size):
            cells = (start + k) % n
            shape = [-1 if a == axis else 1 for a in range(own.ndim)]
            # inf - inf where values left the range of floats; such cells go to the interpolant
            with np.errstate(invalid="ignore"):
                total = total + weights[:, k].reshape(shape) * np.take(values, cells, axis)
            every = every & np.take(is_smooth, cells, axis)
        values, is_smooth = total, every
    return values, is_smooth
