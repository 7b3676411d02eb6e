"""Start densities: a point, a Gaussian, cell averages or a function, checked and turned into node values."""
from __future__ import annotations

import math

import numpy as np

from ...core import checks
from ...core.results import Field

NARROW = 1.5  # a Gaussian narrower than this many cells is given by cell probabilities
SLAB = 1 << 18                             # points a call of the user's density, so that memory stays small


def kind_of(u0, grid):
    """('point' | 'gaussian' | 'array' | 'function', data) of a checked start."""
    if isinstance(u0, Field):
        if u0.grid != grid:
            raise ValueError(f"u0 lives on {u0.grid}, the diffusion on {grid}; evolve it on its own grid or "
                             "give a function.")
        return "array", _array(np.asarray(u0.values, float), grid)
    if callable(u0):
        return "function", u0
    if isinstance(u0, (str, bytes, dict)) or u0 is None:
        raise TypeError(f"u0 must be a point, (mean, std), cell averages of shape {grid.shape} or a density "
                        f"function, got {checks.shown(u0)}.")
    if isinstance(u0, tuple) and len(u0) == 2 and (np.ndim(u0[0]) == 1 or grid.ndim == 1):
        return "gaussian", _gaussian(*u0, grid)
    try:
        array = np.asarray(u0, float)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"u0 must be a point, (mean, std), cell averages of shape {grid.shape} or a density "
                        f"function, got {checks.shown(u0)}.") from None
    if array.shape == grid.shape and not (grid.ndim == 1 and array.shape == (1,)):
        return "array", _array(array, grid)
    if array.shape == (grid.ndim,) or (grid.ndim == 1 and array.shape == ()):
        if not np.isfinite(array).all():
            raise ValueError(f"u0 = {array.tolist()} is not finite; a start point needs {grid.ndim} finite "
                             "coordinates.")
        return "point", grid._wrapped(array)
    raise ValueError(f"u0 has shape {array.shape}; a point has shape ({grid.ndim},), cell averages have "
                     f"shape {grid.shape}.")


def node_start(kind, data, lines, reading):
    """Node values v (N,), >= 0 with sum D v = 1, and the cell probabilities if they are known (else None)."""
    grid, mass = lines.grid, lines.mass
    if kind == "array":
        P = (data * grid.volumes).ravel()
        if lines.inside is not None:
            lost = float(P[~lines.inside].sum() / P.sum())
            if lost > 0:
                raise ValueError(f"u0 has {lost:.2g} of its mass outside the domain; set it to zero there or "
                                 "change the mask.")
        P = P / P.sum()
        return reading.node_values(P), P
    if kind == "point":
        u = _point(data, grid, lines.inside)
    elif kind == "gaussian":
        u = _product(data, grid)
    else:
        u = _function(data, grid)
    if lines.inside is not None:
        u = np.where(lines.inside, u, 0.0)
    total = u.sum()
    if not total > 0:
        raise ValueError("u0 has no mass on the grid: the start lies outside it or vanishes at every cell "
                         "centre.")
    u /= total
    return np.divide(u, mass, out=u, where=mass > 0), None


def _array(array, grid):
    if array.shape != grid.shape:
        raise ValueError(f"u0 has shape {array.shape}, the grid has {grid.shape}; cell averages need one "
                         "value a cell.")
    array = np.where(grid.inside, array, 0.0) if np.isnan(array[~grid.inside]).any() else array
    bad = ~np.isfinite(array)
    if bad.any():
        raise ValueError(f"u0 is not finite in {int(bad.sum())} of {array.size} cells; a density needs "
                         "finite values.")
    if (array < 0).any():
        raise ValueError(f"u0 is negative in {int((array < 0).sum())} of {array.size} cells (smallest "
                         f"{array.min():.3g}); a density is not negative.")
    if not (array * grid.volumes).sum() > 0:
        raise ValueError("u0 is zero everywhere; a density needs mass.")
    return array


def _gaussian(mean, std, grid):
    mean = checks.points("the mean of u0", np.atleast_1d(mean), grid.ndim)
    if mean.shape != (grid.ndim,):
        raise ValueError(f"the mean of u0 has shape {mean.shape}, expected ({grid.ndim},).")
    try:
        std = np.asarray(std, float)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"the std of u0 must be a number or one an axis, got {checks.shown(std)}.") from None
    if std.shape not in ((), (grid.ndim,)) or not np.isfinite(std).all() or not (std > 0).all():
        raise ValueError(f"the std of u0 must be one positive number or {grid.ndim} of them, got "
                         f"{checks.shown(std)}.")
    return grid._wrapped(mean), np.broadcast_to(std, (grid.ndim,)).copy()


def _point(point, grid, inside):
    """Shares of the 2^d cell centres around the point: the mean is exact, the variance too large by at most
    h^2/4 an axis."""
    index, weight = np.zeros((1, 0), int), np.ones(1)
    for axis, (c, n) in enumerate(zip(grid.centres, grid.shape)):
        i = int(np.searchsorted(c, point[axis], side="right")) - 1
        if grid.periodic[axis] and not 0 <= i < n - 1:
            low = c[-1] if i >= n - 1 else c[-1] - (grid.bounds[axis][1] - grid.bounds[axis][0])
            length = c[0] - c[-1] + grid.bounds[axis][1] - grid.bounds[axis][0]
            s, pair = (point[axis] - low) / length, (n - 1, 0)
        elif i < 0 or i >= n - 1:
            s, pair = 0.0, (max(i, 0), max(i, 0))
        else:
            s, pair = (point[axis] - c[i]) / (c[i + 1] - c[i]), (i, i + 1)
        index = np.concatenate([np.c_[index, np.full(len(index), p)] for p in pair])
        weight = np.concatenate([weight * (1 - s), weight * s])
    flat = np.ravel_multi_index(tuple(index.T), grid.shape)
    u = np.bincount(flat, weight, grid.n_cells)
    if inside is not None:
        home = np.ravel_multi_index(grid.locate(point), grid.shape)
        if not inside[home]:
            raise ValueError(f"the start point {point.tolist()} lies outside the domain (masked cell); "
                             "choose a point inside.")
        if not (u * inside).sum() > 0:
            u[home] = 1.0
    return u


def _product(data, grid):
    """Masses of a Gaussian: density times volume at the centres, or integrals over cells where it is
    narrow."""
    mean, std = data
    u = np.ones(1)
    for axis in range(grid.ndim):
        period = grid.bounds[axis][1] - grid.bounds[axis][0]
        images = (-1, 0, 1) if grid.periodic[axis] else (0,)
        if std[axis] < NARROW * grid.widths[axis].max():
            z = (grid.edges[axis][:, None] - mean[axis] + period * np.array(images)) / std[axis]
            line = np.sum([[_between(a, b) for a, b in zip(column[:-1], column[1:])] for column in z.T],
                          axis=0)
        else:
            z = (grid.centres[axis][:, None] - mean[axis] + period * np.array(images)) / std[axis]
            line = np.exp(-np.minimum(0.5 * z * z, 745.0)).sum(1) * grid.widths[axis]
        u = np.multiply.outer(u, line)
    return u.ravel()


def _between(a, b):
    """Normal probability of (a, b), with relative accuracy in the tails."""
    if a > 0:
        a, b = -b, -a
    return 0.5 * (math.erfc(-b / math.sqrt(2)) - math.erfc(-a / math.sqrt(2)))


def _function(density, grid):
    """Density times volume at the centres, slab by slab."""
    n = grid.shape[0]
    step = max(1, SLAB * n // grid.n_cells)
    u = np.empty(grid.shape)
    for k in range(0, n, step):
        axes = (grid.centres[0][k:k + step],) + grid.centres[1:]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        values = np.asarray(density(points), float)
        if values.shape != points.shape[:-1]:
            raise ValueError(f"the density u0 gave shape {values.shape} for points of shape {points.shape}; "
                             f"expected {points.shape[:-1]}.")
        u[k:k + step] = values
    bad = ~np.isfinite(u) & grid.inside if not np.isfinite(u.sum()) else np.zeros(1, bool)
    if bad.any():
        raise ValueError(f"the density u0 is not finite in {int(bad.sum())} of {u.size} cells; check it near "
                         "the walls.")
    if not u.min() >= 0 and (u[grid.inside] < 0).any():
        raise ValueError(f"the density u0 is negative in {int((u < 0).sum())} of {u.size} cells; a density "
                         "is not negative.")
    if grid.is_uniform:
        return np.where(grid.inside, u, 0.0).ravel() if grid.mask is not None else u.ravel()
    return np.where(grid.inside, u * grid.volumes, 0.0).ravel()
