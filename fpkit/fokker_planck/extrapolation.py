"""One question on several grids: what the change from grid to grid says about the error, and the limit it
points to.

Everything is compared in logarithms: the values are positive and may lie anywhere between exp(-10000) and
exp(10000).
"""
from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from ..core.grid import Grid
from ..core.results import Estimate, ResolutionWarning

FEWEST = 4                                 # cells along an axis of a coarser grid
MOST_CELLS = {1: 200_000, 2: 700_000, 3: 2_200_000}       # of a grid made here
CORNER = 4 / 3                             # order at re-entrant corners of 270 degrees
ROUNDING = 2e-13
HOPELESS = 10.0                            # relative error above which the grids know nothing of the answer
UNRESOLVED = "unresolved: grids differ by more than ten times the answer; refine the grid, leave out what lies high above the saddles, or raise theta"
# Of the error of the given grid, from its changes to coarser ones. Measured on the catalogue and on random
# landscapes with discs, boxes and half-planes: no miss in 4200 numbers, the stated error in the median 5
# times the true one for rates, times and gaps.
SAFETY = {1: 15.0, 2: 6.0, 3: 4.0}         # by the number of coarser grids
# change up to which the coarsest grid counts, its weight, and by how much more than the others
NEAR, WEIGHT, REMOTE = 0.2, 1.5, 5.0
# changes to the next grid above which no order is to be seen, or nothing at all; times which they count
ASTRAY, LOST, FAR = 0.3, 1.0, 6.0
# below, the whole last step counts: grids agree by accident, and such an error costs nobody anything
SMALL = 1e-7
BETWEEN = 8.0                              # times what two grids say apart about the finest
FINER = 3.0                                # times the change to a finer grid
# cells of a grid up to which one between it and half of it is asked
MOST_BETWEEN = {1: 100_000, 2: 50_000, 3: 50_000}


def coarser(grid):
    """About half the cells along each axis, or None where too few are left."""
    shape = [max(FEWEST, n // 2) for n in grid.shape]
    if tuple(shape) == tuple(grid.shape) or any(n < 2 * FEWEST for n in grid.shape):
        return None
    mask = grid.mask
    if _is_array(mask):
        if any(n % 2 for n in grid.shape):
            return None
        split = [m for n in grid.shape for m in (n // 2, 2)]
        mask = np.asarray(mask, float).reshape(split).mean(axis=tuple(range(1, 2 * grid.ndim, 2))) >= 0.5
    if grid.is_uniform:
        return Grid(grid.bounds, shape, grid.periodic, mask)
    return Grid.from_edges([np.r_[e[:-1:2], e[-1]] if len(e) % 2 else np.r_[e[:-2:2], e[-1]]
                            for e in grid.edges], grid.periodic, mask)


def between(grid, share, most=math.inf):
    """A grid with about this share of the cells along each axis, or None where these are too few or too many,
    or the cells are fixed."""
    is_fixed = not grid.is_uniform or _is_array(grid.mask)
    if is_fixed or grid.n_cells > most or any(n < 3 * FEWEST for n in grid.shape):
        return None
    return Grid(grid.bounds, [round(share * n) for n in grid.shape], grid.periodic, grid.mask)


def _is_array(mask):
    return mask is not None and not callable(mask) and not hasattr(mask, "contains")


@dataclass(frozen=True)
class GridSequence:
    """Answers to one question from coarse to fine.

    Attributes
    ----------
    diffusions, answers : list
    base : int
        Which of them lives on the grid that was given.
    is_refined : bool
        Whether the finest are finer than it, and the limit is wanted.
    has_between : bool
        Whether the last but one does not belong to the sequence of halves.
    """
    diffusions: list
    answers: list
    base: int
    is_refined: bool
    has_between: bool = False

    @property
    def has_corners(self):
        """Whether the domain has walls inside the box, whose corners limit the order."""
        return not self.diffusions[-1].inside.all()

    @property
    def widths(self):
        """Mean width of the cells of each grid."""
        return [float(np.prod(D.grid.h) ** (1 / D.grid.ndim)) for D in self.diffusions]


def ask(diffusion, one, refine, most=MOST_CELLS):
    """`GridSequence` of `one(diffusion)`: the grid and coarser ones, or the grid and finer ones of at most
    `most` cells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResolutionWarning)
        if refine:
            return _finer(diffusion, one, most)
        answers, diffusions = [one(diffusion)], [diffusion]
        half = coarser(diffusion.grid)
        for grid in (between(diffusion.grid, 2 / 3, MOST_BETWEEN[diffusion.grid.ndim]), half,
                     half and coarser(half)):
            if grid is None:
                continue
            D = diffusion._on(grid)
            try:
                answers.insert(0, one(D))
            except ValueError:                 # a region or a neck that the coarser grid does not see
                break
            diffusions.insert(0, D)
        if len(answers) == 1 and math.prod(diffusion.grid.shape) * 2 ** diffusion.grid.ndim <= most[diffusion.grid.ndim]:
            D = diffusion._on(diffusion.grid.refined(2))
            return GridSequence([diffusion, D], [answers[0], one(D)], 0, False)
        return GridSequence(diffusions, answers, len(answers) - 1, False)


def _finer(diffusion, one, most):
    grids, base = [diffusion.grid], 0
    for share in (1, 1, 4):                    # a third time only where it is cheap
        if grids[-1].n_cells * 2 ** grids[-1].ndim <= most[grids[-1].ndim] / share:
            grids.append(grids[-1].refined(2))
    diffusions = [diffusion._on(g) for g in grids]
    answers = [one(D) for D in diffusions]
    while len(answers) < 3 and coarser(diffusions[0].grid) is not None:
        D = diffusion._on(coarser(diffusions[0].grid))
        try:
            answers.insert(0, one(D))
        except ValueError:                     # a region or a neck that the coarser grid does not see
            break
        diffusions.insert(0, D)
        base += 1
    grid = between(grids[-1], 3 / 4)
    # also where the given grid did not see a region, since this one is finer
    if grid is not None and len(grids) > 1:
        D = diffusion._on(grid)
        answers.insert(-1, one(D))
        diffusions.insert(-1, D)
        return GridSequence(diffusions, answers, base, True, True)
    return GridSequence(diffusions, answers, base, True)


def limit(levels, logs):
    """(log of the answer, relative error, order or None) from the logs at each level (n_levels, ...), -inf
    for exact zeros."""
    L = np.asarray(logs, float)
    with np.errstate(all="ignore"):
        if not levels.is_refined:
            return L[levels.base], _of_the_given(levels, L), None
        halves = [k for k in range(len(L)) if not levels.has_between or k != len(L) - 2]
        d = [_change(L[a], L[b]) for a, b in zip(halves[:-1], halves[1:])]
        if not d:
            return L[-1], np.full(L[-1].shape, np.inf), None
        p = np.full(L[-1].shape, 2.0)
        if len(d) > 1:
            h = [levels.widths[k] for k in halves]
            measured = np.log(d[-2] / d[-1]) / math.log(h[-2] / h[-1])
            if levels.has_corners:             # elsewhere such an order is an accident
                p = np.where((measured > 1.15) & (measured < 1.7), CORNER, 2.0)
        said = {k: _change(L[k], L[-1]) / ((levels.widths[k] / levels.widths[-1]) ** p - 1)
                for k in range(len(L) - 1)}
        step = said[halves[-2]]
        # what the grids predict for the finest differs by more than a part of what none of them knows
        if levels.has_between:
            error = BETWEEN * np.abs(step - said[len(L) - 2])
            if len(d) > 1:
                error = np.maximum(error, np.abs(step - said[halves[-3]]))
            error = np.where(p < 2, np.maximum(error, np.abs(step) / 10), error)
        else:
            error = np.abs(d[-1])
            if len(d) > 1:
                # the further the measured order is from the one that was taken, the less of the last step is
                # explained
                doubt = np.clip(np.abs(np.nan_to_num(measured, nan=9.0) - p) / 2, 0.05, 1.0)
                apart = np.abs(step - said[halves[-3]]) * (h[-3] / h[-1]) ** p / 2
                error = np.where((measured > 1.15) & (measured < 3.2), np.maximum(apart, error * doubt),
                                 np.maximum(error, np.abs(d[-2]) / 10))
        error = np.fmax(error, np.minimum(np.abs(step), SMALL))
        value = np.where(np.isfinite(L[-1]), L[-1] + step, L[-1])
        return value, np.expm1(np.minimum(np.nan_to_num(error), 700.0)) + _rounding(L[levels.base]), p


def _change(a, b):
    return np.where(np.isneginf(a) & np.isneginf(b), 0.0, b - a)


def _rounding(log):
    return ROUNDING + 2e-15 * np.where(np.isfinite(log), np.abs(log), 0.0)


def _of_the_given(levels, L):
    """Relative error of the answer on the grid that was given, from its change to the others.

    Each coarser grid predicts the error by itself, as of order 2. The predictions agree where the order is
    clear, and differ where errors of several kinds cancel on one of the grids: the largest counts, several
    times. A grid that is far off says little, and one alone less.
    """
    base, h = levels.base, levels.widths
    if len(h) == 1:
        return np.full(L[base].shape, np.inf)
    if base == 0:                              # only a finer grid to compare with
        return np.expm1(np.minimum(FINER * np.abs(_change(L[0], L[1])), 700.0)) + _rounding(L[0])
    change = np.abs([_change(L[k], L[base]) for k in range(base - 1, -1, -1)])
    said = change / (np.reshape([(h[k] / h[base]) ** 2 for k in range(base - 1, -1, -1)],
                                (-1,) + (1,) * L[base].ndim) - 1)
    error = said[0]
    for k in range(1, base):
        error = np.fmax(error, said[k] if k == 1
                        else np.where(change[k] < NEAR, np.minimum(WEIGHT * said[k], REMOTE * error), 0.0))
    error = np.expm1(np.minimum(SAFETY[min(base, 3)] * error, 700.0))
    far = np.where(change[0] > LOST, np.expm1(np.minimum(FAR * change[0], 700.0)), FAR * change[0])
    return np.where(change[0] > ASTRAY, np.fmax(error, far), error) + _rounding(L[base])


def number(log, relative, method, inputs, status="ok"):
    """An Estimate from the logarithm of a positive value; `UNRESOLVED` where the error is far larger than the
    value."""
    if status == "ok" and HOPELESS < relative < np.inf:
        status = UNRESOLVED
    value = math.exp(log) if log < 709 else math.inf
    error = value * float(relative) if value > 0 and math.isfinite(value) else (math.inf if value else 0.0)
    return Estimate(value, error, method, log10=log / math.log(10), status=status, inputs=inputs)


def order_text(p):
    """How the limit was taken, for `method`."""
    return "finite volumes" if p is None else f"finite volumes, extrapolated with order {float(np.median(p)):.3g}"
