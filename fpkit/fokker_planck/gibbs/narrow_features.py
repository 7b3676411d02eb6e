"""Wells, ridges and steps of f that are far narrower than a cell: what a few points a cell show of them.

The rules of `cell_masses` see f at the points of one box a cell, and halve it where they disagree; a well
between these points is not seen. So f is looked at once more, at `LEAST_PARTS` to `MOST_PARTS` points a cell
and axis, as many as cost little. What lies between those, too, stays unseen.
"""
from __future__ import annotations

import numpy as np

from .cut_cells import boxes_of

LOOKS = 1_000_000            # points at which the cells of a grid are looked at, at most
LEAST_PARTS, MOST_PARTS = 4, 16
POINTS_AT_ONCE = 1 << 16
EXPLAINED = 0.06             # of the second differences: the midpoint rule errs by 1/24 of their sum, and one
                             # point that is alone in a well makes 8 times its own in a plane
LEAST = 1e-10                # of the heaviest cell
MOST_CELLS = 200             # that are cut into parts because of it
SEEN = 1e-8                  # relative error of a cell in which something was seen already
HUGE = 1e100


def cells_with_narrow_features(exponent, grid, cells, masses):
    """Flat cells, of those in `cells` (bool, grid.shape), in which f does more than their masses have seen,
    and the parts an axis at which this shows: the sum over the parts differs from the mass by more than the
    second differences of exp(-beta f) explain."""
    d, log_mass = grid.ndim, masses.log_mass
    flat = np.flatnonzero(cells.ravel() & (masses.relative_error < SEEN))
    parts = int(np.clip((LOOKS / max(flat.size, 1)) ** (1 / d), 1, MOST_PARTS))
    if parts < LEAST_PARTS or not exponent.is_compiled or not flat.size:
        return flat[:0], parts
    lower, width, _ = boxes_of(grid, flat)
    middles = np.array(list(np.ndindex(*(parts,) * d))).T[:, :, None] + 0.5
    top, excess = log_mass[flat].max(), np.zeros(flat.size)
    n = max(1, POINTS_AT_ONCE // parts**d)
    for k in range(0, flat.size, n):
        some = slice(k, k + n)
        step = width[:, None, some] / parts
        E = exponent((lower[:, None, some] + middles * step).reshape(d, -1))
        with np.errstate(over="ignore"):
            E += top
            E = np.exp(np.negative(E, out=E), out=E).reshape(parts**d, -1)
            E *= step[:, 0].prod(0)
        E = np.nan_to_num(E, copy=False, nan=0.0, posinf=HUGE)
        change = E.sum(0) - np.exp(log_mass[flat[some]] - top)
        E = E.reshape(*(parts,) * d, -1)
        excess[some] = np.abs(change) - EXPLAINED * sum(_bends(np.moveaxis(E, a, 0)) for a in range(d))
    order = np.argsort(-excess)[:MOST_CELLS]
    # what is known to be uncertain need not be looked for
    least = max(LEAST, masses.total_error * np.exp(masses.log_total - top) / MOST_CELLS)
    return flat[order[excess[order] > least]], parts


def _bends(E):
    """Sum of |second differences| along the first axis (parts, ..., n_cells) for each cell; beyond the ends E
    goes on as an exponential."""
    with np.errstate(all="ignore"):
        first, last = E[0] ** 2 / E[1], E[-1] ** 2 / E[-2]
    ends = (np.abs(2 * a - b - np.where(np.isfinite(c), c, b)) for a, b, c in ((E[0], E[1], first),
                                                                              (E[-1], E[-2], last)))
    bends = np.abs(E[2:] + E[:-2] - 2 * E[1:-1]).sum(0) + sum(ends)
    return bends.reshape(-1, bends.shape[-1]).sum(0)
