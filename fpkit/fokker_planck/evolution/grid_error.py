"""What the grid does to a density: errors seen on coarser grids, and where they fall more slowly than on
smooth potentials: kinks, poles, walls that cut cells, steep drift."""
from __future__ import annotations

import numpy as np

from ...potentials.mobility import mobility_of
from .assembly import space_order
from .initial import gaussian_shares
from .problem import joined
from .split_operator import UNSEEN

# stated is SAFETY times the first difference over the gain minus one: the gain that is seen from grid to
# grid, within (least, most) of its kind, and at least the last share of the second difference. A gain may be
# that of another, larger part of the error (order 4 beside a kink of order 2), and errors of kinks and cut
# cells are irregular: they depend on where in a cell the place lies. Measured on random problems with known
# answers (tests/fokker_planck/evolution/test_stated_errors.py)
SAFETY = 2.5
GAINS = {"smooth": (1.2, 6.0, 64.0), "order 2": (1.2, 3.0, 24.0), "kinks": (2.0, 3.0, 26.0),
         "poles": (1.2, 3.0, 24.0), "varying mobility": (1.2, 1.7, 12.0), "absorbing ends": (1.2, 3.0, 12.0),
         "exact line": (1.2, 2.0, 12.0), "cut cells": (1.2, 2.5, 6.0), "steep": (1.2, 1.5, 8.0)}
NARROW, NARROW_SHARE = 2.0, 8.0  # cells that a start has to spread over, and the last share until then
WALK = 0.3                                 # L1 error of a lattice walk by (h/width)^2, doubled
PARTS = {1: 64, 2: 24, 3: 8}  # points an axis at which a mask is looked at in the cells beside its wall
FORCE_JUMP = 5.0                           # times what a force changes by in the next cells: a jump of it
LEAST_JUMP, HIGH = 3.0, 1e200  # beta times a jump of f between cells that counts as a wall; infinite f
FAR = 4.0                                  # widths of a Gaussian that hold it
ALIVE = 20.0                               # beta (f - f0) up to which a kink matters
ON_A_SLOPE = 1.0                           # mean change of beta f between nodes at a start that drifts
STEEPEST = 2.0  # beta |df| between neighbours: there the numerical temperature |f'| h/2 equals theta


def convergence_of(run):
    """How the error of the grid falls: a key of `GAINS`."""
    if run.is_exact:
        return "exact line"
    has_walls = run.problem.grid.mask is not None or jumps_of_f(run).any()
    if has_walls or run.problem.absorbing is not None and len(run.lines.shape) > 1:
        return "cut cells"
    if steepness(run.lines, run.start) > STEEPEST:
        return "steep"
    if starts_at_a_wall(run):
        return "kinks"
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
    return (_spread(run, times) > 1 / NARROW**2).any(1)


def _spread(run, times):
    """(h over the width of a free Gaussian)^2 at each time along each axis."""
    point, std = (run.kind[1], 0.0) if run.kind[0] == "point" else run.kind[1]
    mobility = run.lines.mobility
    if callable(run.problem.mobility):
        mobility = mobility_of(run.problem.mobility, run.lines.grid.ndim).at(np.atleast_2d(point))[0]
    diffused = 2 * run.lines.theta * mobility * np.asarray(times)[:, None]
    return run.lines.grid.h**2 / np.maximum(std**2 + diffused, 1e-300)


def early_errors(run, times):
    """Distance to the Gaussian of the drift and the noise at the start, while that is the answer: what spans
    a few cells may lie otherwise in them than on grids of half the cells, on which the same nodes share it.

    The Gaussian is wrong by at most |db| t/sqrt(2 D t) in L1 where the drift varies by db along the way
    (Girsanov), and by the relative change of D.
    """
    out, problem, grid = np.zeros(times.size), run.problem, run.problem.grid
    if run.kind[0] not in ("point", "gaussian") or problem.is_foreign:
        return out
    x0, std = (run.kind[1], 0.0) if run.kind[0] == "point" else run.kind[1]
    process, states = problem.diffusion.process, problem.diffusion._space.states.ravel()
    for k in np.flatnonzero((_spread(run, times) > 1 / 16).any(1) & (times > 0)):
        t = float(times[k])
        b, D = process.drift(x0[None])[0], process.diffusion(x0[None])[0]
        noise = 2 * np.diagonal(D) * t
        if not (noise > 0).all() or np.count_nonzero(D - np.diag(np.diagonal(D))):
            break
        spread = np.sqrt(std**2 + noise)
        ways = np.stack(np.meshgrid(*[(-1.0, 0.0, 1.0)] * grid.ndim), -1).reshape(-1, grid.ndim)
        x = x0 + ways * (np.abs(b) * t + FAR * spread)
        cells = gaussian_shares((x0 + b * t, spread), grid)
        if (cells[~states] > 1e-9).any() or cells.sum() < 1 - 1e-6 or not process.is_inside(x).all():
            break
        varied = [(np.abs(process.drift(x, s) - b).max(0) * t / np.sqrt(noise)).sum()
                  + np.abs(np.diagonal(process.diffusion(x, s), axis1=1, axis2=2) / np.diagonal(D) - 1).max()
                  for s in {0.0, t if process.is_moving else 0.0}]
        killed = problem.diffusion.killing_rate
        wrong = max(varied) + (0.0 if killed is None else 2 * t * float(killed.max()))
        if not wrong < 1:
            break
        seen = np.abs(run.P[k] - cells).sum()
        out[k] = seen + wrong if wrong < seen / 4 else 0.0
    return out


def starts_at_a_wall(run):
    """True where the first or last cells of an axis hold some of the start: the shape beside a mirror falls
    more slowly than the order of the scheme."""
    P = run.start.reshape(run.lines.shape)
    return any(float(np.take(P, (0, 1, -2, -1), axis).sum()) > 0.01
               for axis, is_ring in enumerate(run.lines.periodic) if not is_ring and P.shape[axis] > 4)


def walk_error(run, times):
    """A lattice walk of order 2 in place of a Gaussian, while it spans a few cells: its excess of curtosis
    h^2/variance is an L1 distance of E|He_4|/24 = 0.15 times as much; measured 0.06 to 0.125."""
    if run.kind[0] not in ("point", "gaussian") or space_order(run.lines) == 4:
        return 0.0
    spread = _spread(run, times)
    return WALK * np.where(spread > 1 / 16, np.minimum(spread, 2.0), 0.0).sum(1)


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
    for masks that are arrays of cells, and on exact lines.
    """
    if run.is_exact:
        return 0.0
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


def jump_errors(run, times):
    """What a force that jumps between nodes does to the density, at each time: the jump may stand anywhere
    between them, and grids that place it alike agree.

    A drift wrong by J in a strip that holds P moves P J/width of the probability in a unit of time, until
    that is forgotten after width^2/D: P J width/D in L1, with the width of the density along the drift.
    """
    lines, total = run.lines, np.zeros(len(times))
    if not lines.is_driven:
        return 0.0
    P = run.P[:run.n_done].reshape(-1, *lines.shape)
    for axis in range(len(lines.shape)):
        work = lines.work[axis].reshape(*lines.shape[:axis], -1, *lines.shape[axis + 1:])
        held = P[(slice(None),) * (axis + 1) + (slice(work.shape[axis]),)]
        x, share = lines.grid.centres[axis], P.sum(tuple(k + 1 for k in range(len(lines.shape)) if k != axis))
        mean = share @ x / share.sum(1)
        width = np.sqrt(np.maximum((share * (x - mean[:, None]) ** 2).sum(1) / share.sum(1), 1e-300))
        settled = np.minimum(1.0, lines.theta * lines.mobility[axis] * np.asarray(times) / width**2)
        for across in range(len(lines.shape)):
            if work.shape[across] < 4:
                continue
            line = np.moveaxis(work / lines.grid.h[axis], across, -1)
            size = np.abs(np.diff(line))
            around = np.maximum(np.pad(size, [(0, 0)] * (size.ndim - 1) + [(1, 0)])[..., :-1],
                                np.pad(size, [(0, 0)] * (size.ndim - 1) + [(0, 1)])[..., 1:])
            jump = np.where(size > FORCE_JUMP * around, size, 0.0)
            if jump.any():
                p = np.moveaxis(held, across + 1, -1)
                strip = np.maximum(p[..., 1:], p[..., :-1]).reshape(len(P), -1) @ jump.ravel()
                total += strip * width * settled
    return total


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


def has_kinks(lines, reach=2):
    """True where the slope of f jumps, between nodes on which the density lives: the second difference there
    is many times that of the nodes `reach` away (beyond 2 a pole between two nodes counts too)."""
    inside = True if lines.inside is None else lines.inside.reshape(lines.shape)
    for axis, n in enumerate(lines.shape):
        if n < 9:
            continue
        height, b = (np.moveaxis(np.where(inside, a, np.nan), axis, -1)
                     for a in (lines.heights(axis), lines.b.reshape(lines.shape)))
        at = np.abs(np.diff(height, 2))
        away = (reach,) if reach == 2 else (reach, reach + 1)
        beside = np.fmax.reduce([_moved(at, sense * k) for k in away for sense in (1, -1)])
        with np.errstate(invalid="ignore"):
            if ((at > 1e-3) & (at > 6 * beside) & (b[..., 1:-1] < ALIVE)).any():
                return True
    return False


def _moved(values, n):
    """Values n places on along the last axis; NaN where there is none."""
    out = np.full_like(values, np.nan)
    if n > 0:
        out[..., n:] = values[..., :-n]
    else:
        out[..., :n] = values[..., -n:]
    return out


def is_rough(lines, p, jump, problem):
    """True in one dimension where f bends sharply, jumps, or hides something in a cell, or M varies; unless
    the start p stands on a slope: there cell masses drift too slowly."""
    if len(lines.shape) > 1 or steepness(lines, p) > ON_A_SLOPE:
        return False
    hidden = np.abs(jump - seen_of_cells(lines.b)[0]) > UNSEEN
    return callable(problem.mobility) or has_kinks(lines, reach=3) or bool(hidden[lines.b < ALIVE].any())


def seen_of_cells(b):
    """log of the cell's mean of exp(-b) over its value at the node where b is smooth, from the nodes around;
    and the largest second difference."""
    seen = steepest = 0.0
    for axis, n in enumerate(b.shape):
        if n > 2:
            slope = np.clip(np.gradient(b, axis=axis), -50.0, 50.0)
            bend = np.gradient(np.gradient(b, axis=axis), axis=axis)
            seen = seen + (np.log(np.sinh(slope / 2 + 1e-9) / (slope / 2 + 1e-9)) - bend / 24)
            steepest = np.maximum(steepest, np.abs(bend))
    return seen, steepest


def steepness(lines, P):
    """Largest mean of |d beta f| between neighbours along an axis where the density P stands."""
    P = P.reshape(lines.shape)
    return max(float((np.abs(np.gradient(lines.heights(axis), axis=axis)) * P).sum())
               for axis in range(P.ndim)) if min(P.shape) > 1 else 0.0


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
