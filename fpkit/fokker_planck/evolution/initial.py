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


def node_start(kind, data, lines, reading, positive=False):
    """Node probabilities (N,) with sum one, and the cell probabilities if they are known (else None)."""
    grid = lines.grid
    if kind == "array":
        P = (data * grid.volumes).ravel()
        if lines.inside is not None:
            lost = float(P[~lines.inside].sum() / P.sum())
            if lost > 0:
                raise ValueError(f"u0 has {lost:.2g} of its mass outside the domain; set it to zero there or "
                                 "change the mask.")
        P = P / P.sum()
        return reading.node_values(P), P
    P, positive = None, positive or lines.nodes_are_cells and not lines.is_driven
    if kind == "point":
        p, P = _point(data, grid, lines.inside, positive)
    elif kind == "gaussian":
        p, P = _product(data, grid, positive)
    else:
        p = _function(data, grid)
    if lines.inside is not None:
        p = np.where(lines.inside, p, 0.0)
        P = None if P is None else np.where(lines.inside, P, 0.0)
    total = p.sum()
    if not total > 0:
        raise ValueError("u0 has no mass on the grid: the start lies outside it or vanishes at every cell "
                         "centre.")
    return p / total, None if P is None else P / P.sum()


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


def _point(point, grid, inside, positive):
    """Shares of the nodes around the point, and its cell.

    Cubic: the shares of four nodes an axis keep the moments up to the third, some of them negative. Linear in
    positive mode and beside what is masked out: the mean is exact, the variance too large by at most h^2/4.
    """
    home = np.ravel_multi_index(grid.locate(point), grid.shape)
    if inside is not None and not inside[home]:
        raise ValueError(f"the start point {point.tolist()} lies outside the domain (masked cell); choose a "
                         "point inside.")
    P = np.zeros(grid.n_cells)
    P[home] = 1.0
    for width in (1,) if positive else (2, 1):
        p = np.ones(1)
        for axis in range(grid.ndim):
            nodes, index = _extended(grid, axis)
            j = int(np.clip(np.searchsorted(nodes, point[axis], side="right") - 1, 1, nodes.size - 3))
            four = slice(j - width + 1, j + width + 1)
            x = nodes[four]
            shares = [np.prod((point[axis] - np.delete(x, k)) / (x[k] - np.delete(x, k)))
                      for k in range(2 * width)]
            p = np.multiply.outer(p, np.bincount(index[four], shares, grid.shape[axis]))
        p = p.ravel()
        if inside is None or not p[~inside].any():
            break
    if inside is not None and not (p * inside).sum() > 0:
        p = P.copy()
    return p, P


def _extended(grid, axis):
    """Nodes of an axis with two more at each end, images in the wall or a period on, and the cells that they
    stand for."""
    c, (low, high) = grid.centres[axis], grid.bounds[axis]
    k = np.arange(-2, c.size + 2)
    if grid.periodic[axis]:
        index = k % c.size
        return c[index] + (high - low) * (k // c.size), index
    index = np.where(k < 0, -1 - k, np.where(k >= c.size, 2 * c.size - 1 - k, k))
    index = np.clip(index, 0, c.size - 1)                       # a single cell is its own neighbour's image
    return np.where(k < 0, 2 * low - c[index], np.where(k >= c.size, 2 * high - c[index], c[index])), index


def _lagrange(nodes):
    """Coefficients, lowest first, of the polynomials that are one at a node and zero at the others."""
    rows = []
    for k, x in enumerate(nodes):
        others = np.delete(nodes, k)
        rows.append(np.polynomial.polynomial.polyfromroots(others) / np.prod(x - others))
    return np.array(rows)


def _product(data, grid, positive):
    """Node probabilities and cell probabilities of a Gaussian."""
    mean, std = data
    p = P = np.ones(1)
    for axis in range(grid.ndim):
        period = grid.bounds[axis][1] - grid.bounds[axis][0]
        images = period * np.array((-1, 0, 1) if grid.periodic[axis] else (0,))
        z = (grid.edges[axis][:, None] - mean[axis] + images) / std[axis]
        cells = np.sum([[_between(a, b) for a, b in zip(column[:-1], column[1:])] for column in z.T], axis=0)
        if std[axis] >= NARROW * grid.widths[axis].max():
            z = (grid.centres[axis][:, None] - mean[axis] + images) / std[axis]
            line = np.exp(-np.minimum(0.5 * z * z, 745.0)).sum(1) * grid.widths[axis]
        else:
            line = sum(_shares(mean[axis] + s, std[axis], grid, axis, positive) for s in images)
        p, P = np.multiply.outer(p, line), np.multiply.outer(P, cells)
    return p.ravel(), P.ravel()


def gaussian_shares(data, grid):
    """Cell probabilities (n_cells,) of a Gaussian (mean, std)."""
    return _product(data, grid, False)[1]


def _shares(mean, std, grid, axis, positive):
    """Shares of a narrow Gaussian: its integrals with the cubic through four nodes, exact in its moments up
    to the third, or with the line through two, positive and exact in its mean."""
    nodes, index = _extended(grid, axis)
    low, high = grid.bounds[axis]
    out = np.zeros(grid.shape[axis])
    first = np.searchsorted(nodes, mean - 9 * std) - 1
    last = np.searchsorted(nodes, mean + 9 * std)
    for j in range(max(1, first), min(nodes.size - 2, last)):
        a, b = (max(nodes[j], low) - mean) / std, (min(nodes[j + 1], high) - mean) / std
        if a >= b:
            continue
        left, right = (math.exp(-0.5 * min(z * z, 1400.0)) / math.sqrt(2 * math.pi) for z in (a, b))
        m0, m1 = _between(a, b), left - right
        moments = np.array([m0, m1, m0 + a * left - b * right, 2 * m1 + a * a * left - b * b * right])
        shift = mean - nodes[j]                                  # of (shift + std z)^k
        powers = [sum(math.comb(k, i) * shift ** (k - i) * std**i * moments[i] for i in range(k + 1))
                  for k in range(2 if positive else 4)]
        four = slice(j, j + 2) if positive else slice(j - 1, j + 3)
        np.add.at(out, index[four], _lagrange(nodes[four] - nodes[j]) @ powers)
    return out


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
