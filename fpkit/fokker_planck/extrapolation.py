"""One question on several grids: what the change from grid to grid says about the error, and the limit it
points to.

Everything is compared in logarithms: the values are positive and may lie anywhere between exp(-10000) and
exp(10000).
"""
from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..core.grid import Grid
from ..core.interruption import stop_if_pressed
from ..core.progress import bar
from ..core.results import Estimate, ResolutionWarning

FEWEST = 4                                 # cells along an axis of a coarser grid
MOST_CELLS = {1: 200_000, 2: 700_000, 3: 2_200_000}       # of a grid made here
MOST_BETWEEN = {1: 100_000, 2: 50_000, 3: 50_000}         # of one that asks a grid between it and half
LONG = 8_000                               # cells of a sequence that shows its progress
UNRESOLVED = ("unresolved: grids differ by more than ten times the answer; refine the grid, leave out what "
              "lies high above the saddles, or raise theta")


@dataclass(frozen=True)
class ErrorRule:
    """How the stated error follows from the changes between grids, as relative changes and factors.

    Measured on random wells in the plane whose answers are known from one dimension (half-planes across the
    grid, discs and rings on steep slopes): the safety of 4 that was enough on the catalogue missed 11 of 400
    numbers by up to a factor of 2; with 8 and the observed order none of 240 times, committors and capacities
    is missed (the closest by a factor of 1.1), the stated error is in the median 9 to 15 times the true one,
    of limits 4 times.

    Attributes
    ----------
    safety : tuple
        Factors on the largest error that a coarser grid predicts for the given one, with 1, 2 and 3 of them.
    largest_coarse_change, coarse_weight, coarse_ratio : float
        The coarsest grid counts up to this change, with this weight, and at most this much more than the
        others.
    no_order_change, lost_change, no_order_factor : float
        Above the first change to the next grid no order is to be seen, above the second nothing at all; such
        changes count so many times.
    least_order : float
        Least order that two coarser grids may show.
    least_step : float
        Below, the whole last step counts: grids agree by accident, and such an error costs nobody anything.
    between_factor : float
        On what two grids predict apart for the limit.
    finer_factor : float
        On the change to a finer grid where there is no coarser one.
    corner_order : float
        Order at re-entrant corners of 270 degrees, taken where orders in `corner_range` are measured.
    clear_range : tuple
        Measured orders up to which the last step is taken as explained.
    unresolved_error : float
        Relative error above which the grids know nothing of the answer.
    unseen_change : float
        Relative change of values between the nodes from grid to grid above which it counts in full.
    rounding, rounding_of_log : float
        Of any answer, and for each unit of its logarithm.
    """
    safety: tuple = (15.0, 10.0, 8.0)
    largest_coarse_change: float = 0.2
    coarse_weight: float = 1.0
    coarse_ratio: float = 5.0
    no_order_change: float = 0.3
    lost_change: float = 1.0
    no_order_factor: float = 6.0
    least_order: float = 1.0
    least_step: float = 1e-7
    between_factor: float = 12.0
    finer_factor: float = 3.0
    corner_order: float = 4 / 3
    corner_range: tuple = (1.15, 1.7)
    clear_range: tuple = (1.15, 3.2)
    unresolved_error: float = 10.0
    unseen_change: float = 0.2
    rounding: float = 2e-13
    rounding_of_log: float = 2e-15


RULE = ErrorRule()


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
    def has_corners(self) -> bool:
        """Whether the domain has walls inside the box, whose corners limit the order."""
        return not self.diffusions[-1].inside.all()

    @property
    def widths(self) -> list[float]:
        """Mean width of the cells of each grid."""
        return [float(np.prod(D.grid.h) ** (1 / D.grid.ndim)) for D in self.diffusions]


def solve_on_sequence(diffusion, one: Callable, refine: bool,
                      most: Mapping[int, int] = MOST_CELLS) -> GridSequence:
    """`GridSequence` of `one(diffusion)`: the grid and coarser ones, or the grid and finer ones of at most
    `most` cells."""
    with warnings.catch_warnings(), _progress(diffusion.grid.n_cells, refine) as shown:
        warnings.simplefilter("ignore", ResolutionWarning)

        def counted(D):
            stop_if_pressed()
            found = one(D)
            if shown is not None:
                shown.update()
            return found
        return (_and_finer if refine else _and_coarser)(diffusion, counted, most[diffusion.grid.ndim])


def _progress(n_cells, refine):
    """A progress bar over the grids of a sequence, where that takes long, or None."""
    is_long = n_cells * (16 if refine else 1) >= LONG
    return bar(4, "grids", None if is_long else False, " grids")


def on_grid(diffusion, grid):
    """The same diffusion on another grid of the sequence: all grids of a sequence know each other, so that
    the half of the half is made once."""
    if grid == diffusion.grid:
        return diffusion
    known = diffusion._remember("grids", dict)
    if grid.shape not in known or known[grid.shape].grid != grid:
        known[grid.shape] = made = diffusion.on(grid)
        made._remember("grids", lambda: known)
    return known[grid.shape]


def _add_coarser(diffusion, grid, one, diffusions, answers):
    """Whether the answer on a coarser grid was put first; not where that grid misses a region or a neck."""
    if grid is None:
        return True
    D = on_grid(diffusion, grid)
    try:
        answers.insert(0, one(D))
    except ValueError:
        return False
    diffusions.insert(0, D)
    return True


def _and_coarser(diffusion, one, most):
    grid, answers, diffusions = diffusion.grid, [one(diffusion)], [diffusion]
    half = coarser(grid)
    for other in (between(grid, 2 / 3, MOST_BETWEEN[grid.ndim]), half, half and coarser(half)):
        if not _add_coarser(diffusion, other, one, diffusions, answers):
            break
    if len(answers) == 1 and math.prod(grid.shape) * 2 ** grid.ndim <= most:
        D = on_grid(diffusion, grid.refined(2))
        return GridSequence([diffusion, D], [answers[0], one(D)], 0, False)
    return GridSequence(diffusions, answers, len(answers) - 1, False)


def _and_finer(diffusion, one, most):
    grids = [diffusion.grid]
    for share in (1, 1, 4):                    # a third time only where it is cheap
        if grids[-1].n_cells * 2 ** grids[-1].ndim <= most / share:
            grids.append(grids[-1].refined(2))
    diffusions = [on_grid(diffusion, g) for g in grids]
    answers = [one(D) for D in diffusions]
    while len(answers) < 3 and (half := coarser(diffusions[0].grid)) is not None:
        if not _add_coarser(diffusion, half, one, diffusions, answers):
            break
    base = len(answers) - len(grids)
    grid = between(grids[-1], 3 / 4)
    # also where the given grid did not see a region, since this one is finer
    has_between = grid is not None and len(grids) > 1
    if has_between:
        D = on_grid(diffusion, grid)
        answers.insert(-1, one(D))
        diffusions.insert(-1, D)
    return GridSequence(diffusions, answers, base, True, has_between)


def richardson_limit(levels: GridSequence, logs: Sequence[ArrayLike]) -> tuple:
    """(log of the answer, relative error, order or None) from the logs at each level (n_levels, ...), -inf
    for exact zeros."""
    L, rule = np.asarray(logs, float), RULE
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
                p = np.where(_lies_in(measured, rule.corner_range), rule.corner_order, 2.0)
        said = {k: _change(L[k], L[-1]) / ((levels.widths[k] / levels.widths[-1]) ** p - 1)
                for k in range(len(L) - 1)}
        step = said[halves[-2]]
        # what the grids predict for the finest differs by more than a part of what none of them knows
        if levels.has_between:
            error = rule.between_factor * np.abs(step - said[len(L) - 2])
            if len(d) > 1:
                error = np.maximum(error, np.abs(step - said[halves[-3]]))
                # on steep coarse grids an order shows late: a lower one leaves more than was taken off, and
                # where the steps change their sign all of the last one is in doubt
                seen = np.clip(measured, rule.least_order / 2, p)
                left = np.abs(d[-1]) / ((h[-2] / h[-1]) ** seen - 1) - np.abs(step)
                error = np.maximum(error, np.where(np.isnan(measured), np.abs(d[-1]), left))
            error = np.where(p < 2, np.maximum(error, np.abs(step) / 10), error)
        else:
            error = np.abs(d[-1])
            if len(d) > 1:
                # the further the measured order is from the one that was taken, the less of the last step is
                # explained
                doubt = np.clip(np.abs(np.nan_to_num(measured, nan=9.0) - p) / 2, 0.05, 1.0)
                apart = np.abs(step - said[halves[-3]]) * (h[-3] / h[-1]) ** p / 2
                error = np.where(_lies_in(measured, rule.clear_range), np.maximum(apart, error * doubt),
                                 np.maximum(error, np.abs(d[-2]) / 10))
        error = np.fmax(error, np.minimum(np.abs(step), rule.least_step))
        value = np.where(np.isfinite(L[-1]), L[-1] + step, L[-1])
        return value, np.expm1(np.minimum(np.nan_to_num(error), 700.0)) + _rounding(L[levels.base]), p


def _lies_in(order, ends):
    return (order > ends[0]) & (order < ends[1])


def _change(a, b):
    return np.where(np.isneginf(a) & np.isneginf(b), 0.0, b - a)


def _rounding(log):
    return RULE.rounding + RULE.rounding_of_log * np.where(np.isfinite(log), np.abs(log), 0.0)


def _of_the_given(levels, L):
    """Relative error of the answer on the grid that was given, from its change to the others.

    Each coarser grid predicts the error by itself, as of order 2, and the nearest two together as of the
    order that they show. The predictions agree where the order is clear, and differ where errors of several
    kinds cancel on one of the grids or where f is steep on the scale of the cells: the largest counts,
    several times. A grid that is far off says little, and one alone less.
    """
    base, h, rule = levels.base, levels.widths, RULE
    if len(h) == 1:
        return np.full(L[base].shape, np.inf)
    if base == 0:                              # only a finer grid to compare with
        change = rule.finer_factor * np.abs(_change(L[0], L[1]))
        return np.expm1(np.minimum(change, 700.0)) + _rounding(L[0])
    others = range(base - 1, -1, -1)
    signed = [_change(L[k], L[base]) for k in others]
    change, ratios = np.abs(signed), [h[k] / h[base] for k in others]
    said = [c / (r ** 2 - 1) for c, r in zip(change, ratios)]
    error = said[0]
    if base > 1:
        order = _observed_order(signed, ratios)
        error = np.fmax(error, change[0] / (ratios[0] ** order - 1))
    for k in range(1, base):
        error = np.fmax(error, said[k] if k == 1 else np.where(
            change[k] < rule.largest_coarse_change,
            np.minimum(rule.coarse_weight * said[k], rule.coarse_ratio * error), 0.0))
    if base > 2:  # where the nearest two show no order the coarsest grid tells more, as of the least order
        is_erratic = (signed[0] * signed[1] < 0) & (change[2] < rule.largest_coarse_change)
        error = np.where(is_erratic, np.fmax(error, change[2] / (ratios[2] ** rule.least_order - 1)), error)
    error = np.expm1(np.minimum(rule.safety[min(base, 3) - 1] * error, 700.0))
    far = rule.no_order_factor * change[0]
    far = np.where(change[0] > rule.lost_change, np.expm1(np.minimum(far, 700.0)), far)
    return np.where(change[0] > rule.no_order_change, np.fmax(error, far), error) + _rounding(L[base])


def _observed_order(changes, ratios):
    """Order between `least_order` and 2 at which the signed changes to the nearest two coarser grids, whose
    cells are wider by these ratios, stand to each other; 2 where they have different signs."""
    orders = np.linspace(RULE.least_order, 2.0, 41)
    expected = (ratios[1] ** orders - 1) / (ratios[0] ** orders - 1)
    shown = np.where(changes[0] == 0, np.inf, changes[1] / changes[0])
    return np.where(shown > 0, np.interp(shown, expected, orders), 2.0)


def number(log: float, relative: float, method: str, inputs: dict, status: str = "ok") -> Estimate:
    """An Estimate from the logarithm of a positive value; `UNRESOLVED` where the error is far larger than the
    value."""
    if status == "ok" and RULE.unresolved_error < relative < np.inf:
        status = UNRESOLVED
    value = math.exp(log) if log < 709 else math.inf
    error = value * float(relative) if value > 0 and math.isfinite(value) else (math.inf if value else 0.0)
    if log > -math.inf and not 0 < value < math.inf:
        inputs = {**inputs, "relative_error": float(relative)}
    return Estimate(value, error, method, log10=log / math.log(10), status=status, inputs=inputs)


def order_text(p: np.ndarray | None) -> str:
    """How the limit was taken, for `method`."""
    if p is None:
        return "finite volumes"
    return f"finite volumes, extrapolated with order {float(np.median(p)):.3g}"
