"""One question on several grids: what the change from grid to grid says about the error, and the limit it points to.

Everything is compared in logarithms: the values are positive and may lie anywhere between exp(-10000) and exp(10000).
"""
from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from ..core.grid import Grid
from ..core.results import Estimate, ResolutionWarning

FEWEST = 4                                 # cells along an axis of a coarser grid
MOST_CELLS = {1: 200_000, 2: 700_000, 3: 300_000}       # of a grid made here
CORNER = 4 / 3                             # order at re-entrant corners of 270 degrees
ROUNDING = 2e-13
ASTRAY = 1.0                               # log of the change from grid to grid above which the coarser one does not see the landscape


def coarser(grid):
    """About half the cells along each axis, or None where too few are left."""
    shape = [max(FEWEST, n // 2) for n in grid.shape]
    if tuple(shape) == tuple(grid.shape) or any(n < 2 * FEWEST for n in grid.shape):
        return None
    mask = grid.mask
    if mask is not None and not callable(mask) and not hasattr(mask, "contains"):
        if any(n % 2 for n in grid.shape):
            return None
        split = [m for n in grid.shape for m in (n // 2, 2)]
        mask = np.asarray(mask, float).reshape(split).mean(axis=tuple(range(1, 2 * grid.ndim, 2))) >= 0.5
    if grid.is_uniform:
        return Grid(grid.bounds, shape, grid.periodic, mask)
    return Grid.from_edges([np.r_[e[:-1:2], e[-1]] if len(e) % 2 else np.r_[e[:-2:2], e[-1]] for e in grid.edges], grid.periodic, mask)


@dataclass(frozen=True)
class Levels:
    """Answers to one question from coarse to fine.

    Attributes
    ----------
    diffusions, answers : list
    base : int
        Which of them lives on the grid that was given.
    is_refined : bool
        Whether the finest are finer than it, and the limit is wanted.
    """
    diffusions: list
    answers: list
    base: int
    is_refined: bool

    @property
    def ratios(self):
        """Width of the cells over the next finer ones."""
        h = [float(np.prod(D.grid.h) ** (1 / D.grid.ndim)) for D in self.diffusions]
        return [a / b for a, b in zip(h[:-1], h[1:])]


def ask(diffusion, one, refine, most=MOST_CELLS):
    """`Levels` of `one(diffusion)`: the grid and coarser ones, or the grid and finer ones of at most `most` cells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResolutionWarning)
        if refine:
            return _finer(diffusion, one, most)
        answers, diffusions = [one(diffusion)], [diffusion]
        while len(answers) < 3:
            grid = coarser(diffusions[0].grid)
            if grid is None:
                break
            D = diffusion._on(grid)
            try:
                answers.insert(0, one(D))
            except ValueError:                 # a region or a neck that the coarser grid does not see
                break
            diffusions.insert(0, D)
        if len(answers) == 1 and math.prod(diffusion.grid.shape) * 2 ** diffusion.grid.ndim <= most[diffusion.grid.ndim]:
            D = diffusion._on(diffusion.grid.refined(2))
            return Levels([diffusion, D], [answers[0], one(D)], 0, False)
        return Levels(diffusions, answers, len(answers) - 1, False)


def _finer(diffusion, one, most):
    grids, base = [diffusion.grid], 0
    for _ in range(2):
        if grids[-1].n_cells * 2 ** grids[-1].ndim <= most[grids[-1].ndim]:
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
    return Levels(diffusions, answers, base, True)


def limit(levels, logs):
    """(log of the answer, relative error, order or None) from the logs at each level (n_levels, ...), -inf for exact zeros."""
    L = np.asarray(logs, float)
    with np.errstate(all="ignore"):
        d = [np.where(np.isneginf(a) & np.isneginf(b), 0.0, b - a) for a, b in zip(L[:-1], L[1:])]
        floor = ROUNDING + 2e-15 * np.where(np.isfinite(L[levels.base]), np.abs(L[levels.base]), 0.0)
        if not levels.is_refined:
            value = L[levels.base]
            if not d:
                return value, np.full(value.shape, np.inf), None
            if levels.base == 0:               # only a finer grid to compare with
                return value, 2 * np.abs(np.expm1(d[0])) + floor, None
            change = np.abs(np.expm1(-d[-1]))
            if len(d) > 1:                     # two grids may agree by accident, three hardly; a third that is off by a factor says nothing
                is_near = np.abs(d[-2]) < ASTRAY
                change = np.where(is_near, np.maximum(change, np.abs(np.expm1(np.where(is_near, -d[-2], 0.0))) / 6), 6 * change)
            return value, change + floor, None
        if not d:
            return L[-1], np.full(L[-1].shape, np.inf), None
        r = levels.ratios
        p = np.full(L[-1].shape, 2.0)
        is_clear = np.zeros(L[-1].shape, bool)
        if len(d) > 1:
            measured = np.log(d[-2] / d[-1]) / math.log(r[-1])
            corner = (measured > 1.15) & (measured < 1.7)
            p = np.where(corner, CORNER, 2.0)
            is_clear = (measured > 1.15) & (measured < 3.2)
        gain = 1 / (r[-1] ** p - 1)
        value = L[-1] + d[-1] * gain
        error = np.abs(d[-1])
        if len(d) > 1:
            before = L[-2] + d[-2] / (r[-2] ** p - 1)
            # the further the measured order is from the one that was taken, the less of the last step is explained
            doubt = np.clip(np.abs(np.nan_to_num(measured, nan=9.0) - p) / 2, 0.05, 1.0)
            error = np.where(is_clear, np.maximum(2 * np.abs(value - before), np.abs(d[-1]) * doubt), np.maximum(np.abs(d[-1]), np.abs(d[-2]) / 10))
        value = np.where(np.isfinite(L[-1]), value, L[-1])
        return value, np.expm1(np.minimum(np.nan_to_num(error), 700.0)) + floor, p


def number(log, relative, method, inputs, status="ok"):
    """An Estimate from the logarithm of a positive value."""
    value = math.exp(log) if log < 709 else math.inf
    error = value * float(relative) if value > 0 and math.isfinite(value) else (math.inf if value else 0.0)
    return Estimate(value, error, method, log10=log / math.log(10), status=status, inputs=inputs)


def order_text(p):
    """How the limit was taken, for `method`."""
    return "finite volumes" if p is None else f"finite volumes, extrapolated with order {float(np.median(p)):.3g}"
