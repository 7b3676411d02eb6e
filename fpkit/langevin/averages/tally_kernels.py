"""Sums over walkers in a fixed order: histogram, moments and energy of snapshots of an ensemble.

The walkers are cut into groups (contiguous, decided by their number alone) and the groups into strands. A
strand is summed by one thread in the order of its walkers, so that every bit is independent of the number of
threads; the groups stay apart in the result, since independent groups are what the errors are computed from.
"""
import math
from typing import NamedTuple

import numba
import numpy as np
from numba import prange, types

from ...core.compilation import (
    FUNCTION,
    SIGNATURES,
    flag,
    integer,
    integers_1d,
    integers_2d,
    kernel,
    numbers_1d,
    numbers_2d,
    numbers_3d,
)
from ...core.compilation.special import options

NEAR = 1e-6                          # of a cell: points closer to a face are compared with the face itself


@numba.njit(**options)
def count_one(Y, j, axes, edges, shape, scale, is_periodic, counts, outside):
    """Count the point Y[:, j] in its cell (half-open, the last one closed), or as outside on the first axis
    that it leaves."""
    flat = 0
    for a in range(shape.size):
        x, cells = Y[axes[a], j], shape[a]
        low, high = edges[a, 0], edges[a, cells]
        if is_periodic[a]:
            x -= (high - low) * math.floor((x - low) / (high - low))
            if not (low <= x < high):               # rounding of a point just below the wall
                x = low
        if not x >= low:
            outside[a, 0] += 1
            return
        if not x <= high:
            outside[a, 1] += 1
            return
        if scale[a] > 0:                            # a guess, then put right against the true faces
            i = min(int((x - low) * scale[a]), cells - 1)
            while x < edges[a, i]:
                i -= 1
            while i < cells - 1 and x >= edges[a, i + 1]:
                i += 1
        else:
            i, above = 0, cells
            while above - i > 1:
                middle = (i + above) // 2
                if x >= edges[a, middle]:
                    i = middle
                else:
                    above = middle
        flat = flat * cells + i
    counts[flat] += 1


class Cells(NamedTuple):
    """Cells of the histogram: the coordinate that each axis shows (n_axes,), faces (n_axes, longest), number
    of cells (n_axes,) (0: no histogram), one over the width of the cells of a uniform axis, else 0, and
    whether an axis is periodic."""
    axes: np.ndarray
    edges: np.ndarray
    shape: np.ndarray
    scale: np.ndarray
    is_periodic: np.ndarray


class Groups(NamedTuple):
    """The walkers worked on at once; the first walker of each group and the end; the first group of each
    strand and the end."""
    lanes: int
    groups: np.ndarray
    strands: np.ndarray


class Sums(NamedTuple):
    """What `accumulate` fills: sums and squares (n_snapshots, n_groups, d + 1) of coordinates and energy; and
    adds to: products (n_groups, n_products) of x_i x_j, i < j, in the order of the pairs (0 columns:
    skipped), counts (n_strands, n_cells) of walkers in each cell, outside (n_strands, n_axes, 2) of those
    below and above the box, on the first axis that they leave."""
    sums: np.ndarray
    squares: np.ndarray
    products: np.ndarray
    counts: np.ndarray
    outside: np.ndarray


cells_t = types.NamedTuple((integers_1d, numbers_2d, integers_1d, numbers_1d, integers_1d), Cells)
groups_t = types.NamedTuple((integer, integers_1d, integers_1d), Groups)
sums_t = types.NamedTuple((numbers_3d, numbers_3d, numbers_2d, integers_2d, types.Array(types.int64, 3, "C")),
                          Sums)


@kernel(types.void(numbers_3d, FUNCTION["value"], numbers_1d, flag, numbers_2d, numbers_1d, groups_t, cells_t,
                   sums_t), parallel=True)
def accumulate(S, value, p, calls_value, energies, shifts, walkers, cells_of, out):
    """Add the snapshots S (n_snapshots, d, n) to the sums of each group.

    value, p is the block function of the potential and its parameters; when not calls_value, energies
    (n_snapshots, n) holds the values instead. shifts (d + 1,) are constants taken off coordinates and energy
    before summing, against cancellation. Cells are half-open, the last one of an axis closed.
    """
    lanes, groups, strands = walkers
    axes, edges, shape, scale, is_periodic = cells_of
    sums, squares, products, counts, outside = out
    d = S.shape[1]
    n_axes = shape.size
    has_histogram = shape[0] > 0
    is_uniform = bool(scale.min() > 0)
    has_products = products.shape[1] > 0
    for strand in prange(strands.size - 1):
        Y, e = np.empty((d, lanes)), np.empty(lanes)
        total, power = np.empty((d + 1, lanes)), np.empty((d + 1, lanes))
        product = np.empty((products.shape[1], lanes))
        cell, is_clear = np.empty(lanes, np.int32), np.empty(lanes, np.bool_)
        for group in range(strands[strand], strands[strand + 1]):
            first, last = groups[group], groups[group + 1]
            used = min(lanes, last - first)
            for k in range(S.shape[0]):
                total[:], power[:], product[:] = 0.0, 0.0, 0.0
                for block in range(first, last, lanes):
                    n = min(lanes, last - block)
                    for i in range(d):
                        for j in range(n):
                            Y[i, j] = S[k, i, block + j]
                        for j in range(n, lanes):        # fill up with a true point: the sums below stop at n
                            Y[i, j] = Y[i, 0]
                    if calls_value:
                        value(Y, p, e)
                    else:
                        for j in range(n):
                            e[j] = energies[k, block + j]
                    for i in range(d):
                        for j in range(n):
                            x = Y[i, j] - shifts[i]
                            total[i, j] += x
                            power[i, j] += x * x
                    for j in range(n):
                        x = e[j] - shifts[d]
                        total[d, j] += x
                        power[d, j] += x * x
                    if has_products:
                        pair = 0
                        for i in range(d):
                            for m in range(i + 1, d):
                                for j in range(n):
                                    product[pair, j] += (Y[i, j] - shifts[i]) * (Y[m, j] - shifts[m])
                                pair += 1
                    if has_histogram:
                        # in lanes: the cell by multiplication, trusted when the point is clearly inside one
                        # cell of uniform axes
                        for j in range(n):
                            cell[j], is_clear[j] = 0, is_uniform
                        for a in range(n_axes if is_uniform else 0):
                            cells, low, factor = np.int32(shape[a]), edges[a, 0], scale[a]
                            top = float(shape[a]) - NEAR
                            for j in range(n):
                                t = (Y[axes[a], j] - low) * factor
                                inside = (t > NEAR) & (t < top)
                                t = t if inside else 0.5
                                i = np.int32(t)
                                rest = t - i
                                cell[j] = cell[j] * cells + i
                                is_clear[j] = is_clear[j] & inside & (rest > NEAR) & (rest < 1.0 - NEAR)
                        for j in range(n):
                            if is_clear[j]:
                                counts[strand, cell[j]] += 1
                            else:
                                count_one(Y, j, axes, edges, shape, scale, is_periodic, counts[strand],
                                          outside[strand])
                for i in range(d + 1):
                    s, q = 0.0, 0.0
                    for j in range(used):
                        s += total[i, j]
                        q += power[i, j]
                    sums[k, group, i], squares[k, group, i] = s, q
                for pair in range(products.shape[1]):
                    s = 0.0
                    for j in range(used):
                        s += product[pair, j]
                    products[group, pair] += s


@kernel(SIGNATURES["value"])
def no_value(X, p, out):
    """Stands for the value of a black box, which is evaluated outside and never called here."""
    out[0] = np.nan
