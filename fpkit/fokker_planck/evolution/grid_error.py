"""What the grid does to a density: errors seen on coarser grids, and where they fall more slowly than on
smooth potentials: kinks, poles, walls that cut cells, steep drift."""
from __future__ import annotations

import numpy as np

from .assembly import space_order
from .problem import joined

# stated is SAFETY times the first difference over the gain minus one: the gain that is seen from grid to
# grid, within (least, most) of its kind, and at least the last share of the second difference. A gain may be
# that of another, larger part of the error (order 4 beside a kink of order 2), and errors of kinks and cut
# cells are irregular: they depend on where in a cell the place lies. Measured on random problems with known
# answers (tests/fokker_planck/evolution/test_stated_errors.py)
SAFETY = 2.5
GAINS = {"smooth": (1.2, 6.0, 64.0), "order 2": (1.2, 3.0, 24.0), "kinks": (2.0, 3.0, 26.0),
         "poles": (1.2, 3.0, 24.0), "varying mobility": (1.2, 1.7, 12.0), "absorbing ends": (1.2, 3.0, 12.0),
         "cut cells": (1.2, 2.5, 6.0), "steep": (1.2, 1.5, 8.0)}
NARROW, NARROW_SHARE = 2.0, 8.0  # cells that a start has to spread over, and the last share until then
PARTS = {1: 64, 2: 24, 3: 8}  # points an axis at which a mask is looked at in the cells beside its wall
LEAST_JUMP, HIGH = 3.0, 1e200  # beta times a jump of f between cells that counts as a wall; infinite f
ALIVE = 20.0                               # beta (f - f0) up to which a kink matters
STEEPEST = 2.0  # beta |df| between neighbours: there the numerical temperature |f'| h/2 equals theta


def convergence_of(run):
    """How the error of the grid falls: a key of `GAINS`."""
    has_walls = run.problem.grid.mask is not None or jumps_of_f(run).any()
    if has_walls or run.problem.absorbing is not None and len(run.lines.shape) > 1:
        return "cut cells"
    if steepness(run.lines, run.start) > STEEPEST:
        return "steep"
    if callable(run.problem.mobility):
        return "varying mobility"
    if run.has_poles or has_kinks(run.lines):
        return "poles" if run.has_poles else "kinks"
    if run.problem.absorbing is not None:
        return "absorbing ends"
    return "smooth" if space_order(run.lines) == 4 else "order 2"


def is_narrow(run, times):
    """True while a point or a Gaussian has not spread over NARROW cells: there no grid is fine yet, and the
    differences of two may agree by chance."""
    if run.kind[0] not in ("point", "gaussian"):
        return False
    lines, std = run.lines, 0.0 if run.kind[0] == "point" else run.kind[1][1]
    spread = std**2 + 2 * lines.theta * lines.mobility * np.asarray(times)[:, None]
    return (spread < (NARROW * lines.grid.h) ** 2).any(1)


def observed_error(differences, convergence, narrow=False):
    """Error of the finest grid from the differences to the next ones: SAFETY times the first over the gain
    minus one, the gain seen from one grid to the next but not trusted beyond what `GAINS` says."""
    first = differences[0]
    if len(differences) == 1:
        return SAFETY * first
    second = differences[1]
    least, most, distant = GAINS[convergence]
    distant = np.where(narrow, min(distant, NARROW_SHARE), distant)
    gain = np.clip(second / np.maximum(first, 1e-300), least, most)
    return SAFETY * np.maximum(first / (gain - 1), second / distant)


def wall_errors(run):
    """What stands on the wrong side of walls that cut cells, at each time.

    The cells form a staircase, and grids whose steps agree do not see it: twice the probability on the wrong
    side, for its cells and for all the others. Walls are masks given by a rule, infinite f, and jumps of f. 0
    for masks that are arrays of cells.
    """
    grid, wrong = run.problem.grid, jumps_of_f(run)
    if grid.mask is not None and not grid.has_array_mask:
        wrong = wrong + _outside_shares(grid)
    cells = np.nonzero(wrong)
    out = []
    for P in run.P[:run.n_done] if cells[0].size else ():
        u = P.reshape(grid.shape) / grid.volumes
        near = u.copy()
        for axis in range(grid.ndim):
            near = np.maximum(near, np.maximum(np.roll(u, 1, axis), np.roll(u, -1, axis)))
        out.append(2 * float((near[cells] * grid.volumes[cells] * wrong[cells]).sum()))
    return np.array(out) if out else 0.0


def jumps_of_f(run):
    """Half for the lower cells of edges on which f jumps or becomes infinite, else 0, shape of the grid: the
    wall may stand anywhere between the nodes."""
    lines, wrong, problem = run.lines, np.zeros(run.lines.shape), run.problem
    b = lines.b.reshape(lines.shape)
    if lines.inside is not None:           # neither what is masked out nor what is absorbed is a wall of f
        b = np.where(lines.inside.reshape(lines.shape), b, np.where(problem.diffusion.inside, np.nan, HIGH))
        b = np.where(problem.grid.inside, b, np.nan)
    for axis, n in enumerate(lines.shape):
        if n < 4:
            continue
        line, marked = np.moveaxis(b, axis, -1), np.moveaxis(wrong, axis, -1)
        rise = np.diff(line)
        size = np.abs(rise)
        around = np.zeros_like(size)
        around[..., 1:], around[..., :-1] = size[..., :-1], np.fmax(around[..., :-1], size[..., 1:])
        around[..., 1:] = np.fmax(around[..., 1:], size[..., :-1])
        with np.errstate(invalid="ignore"):
            is_jump = (size > LEAST_JUMP) & (size > 20 * around)
        marked[..., :-1] = np.where(is_jump & (rise > 0), 0.5, marked[..., :-1])
        marked[..., 1:] = np.where(is_jump & (rise < 0), 0.5, marked[..., 1:])
    return wrong


def _outside_shares(grid):
    """Share of the cells beside a mask that lies on the other side of its wall, by points in them."""
    beside = np.zeros(grid.shape, bool)
    for axis in range(grid.ndim):
        for step in (1, -1):
            beside |= np.roll(grid.inside, step, axis) != grid.inside
    cells, parts = np.nonzero(beside), PARTS[grid.ndim]
    offsets = (np.stack(np.meshgrid(*[np.arange(parts)] * grid.ndim), -1).reshape(-1, grid.ndim)
               + 0.5) / parts
    low = np.stack([e[k] for e, k in zip(grid.edges, cells)], -1)
    width = np.stack([w[k] for w, k in zip(grid.widths, cells)], -1)
    rule = grid.mask.contains if hasattr(grid.mask, "contains") else grid.mask
    share = np.asarray(rule(low[:, None] + width[:, None] * offsets), bool).mean(1)
    wrong = np.zeros(grid.shape)
    wrong[cells] = np.where(grid.inside[cells], 1 - share, share) + 0.5 / parts  # and what lies between
    return wrong


def has_kinks(lines):
    """True where the slope of f jumps, between nodes on which the density lives: the second difference there
    is many times that of the nodes beside it."""
    b = lines.b if lines.inside is None else np.where(lines.inside, lines.b, np.nan)
    b = b.reshape(lines.shape)
    for axis, n in enumerate(lines.shape):
        if n < 9:
            continue
        line = np.moveaxis(b, axis, -1)
        bend = np.abs(np.diff(line, 2))
        beside = np.maximum(bend[..., :-4], bend[..., 4:])
        at = bend[..., 2:-2]
        with np.errstate(invalid="ignore"):
            if ((at > 1e-3) & (at > 6 * beside) & (line[..., 3:-3] < ALIVE)).any():
                return True
    return False


def steepness(lines, P):
    """Largest mean of |d beta f| between neighbours along an axis where the density P stands."""
    b, P = lines.b.reshape(lines.shape), P.reshape(lines.shape)
    return max(float((np.abs(np.gradient(b, axis=axis)) * P).sum()) for axis in range(b.ndim)) if min(
        b.shape) > 1 else 0.0


def regridded(P, grid, coarse):
    """Cell probabilities on the coarse cells: sums of pairs, or a cubic spline through the cumulative sums
    where cells are cut."""
    if all(n == 2 * m for n, m in zip(grid.shape, coarse.shape)):
        return joined(P, grid.shape)
    for axis in range(grid.ndim):
        below = np.concatenate([np.zeros_like(np.take(P, [0], axis)), np.cumsum(P, axis)], axis)
        from scipy.interpolate import CubicSpline  # a tenth of a second that most calls do not need

        P = np.diff(CubicSpline(grid.edges[axis], below, axis=axis)(coarse.edges[axis]), axis=axis)
    return P
