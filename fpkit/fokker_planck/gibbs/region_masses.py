"""Gibbs masses of regions: whole cells by their exact masses, cells at the boundary cut along it."""
from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ...core.logarithms import chunks, log_sum, log_sums_by
from ...core.results import Estimate
from ...potentials.regions.shapes import (
    Ball,
    Box,
    Complement,
    HalfSpace,
    Intersection,
    Region,
    Union,
    check_region,
)
from .cell_masses import Masses, gathered, integrate
from .cut_cells import WalledExponent, boxes_of, cut_masses, divided, domain_rule, has_jump, parts_of_cells
from .poles import LAST, SLIVER, near_a_pole, shells_towards
from .quadrature import gauss, tensor_rule

LEVELS = {2: 5, 3: 3}                     # halvings of the cells at the boundary, while there are few
MAX_BOXES = {2: 40_000, 3: 60_000}
BOX_PARTS = {2: 4, 3: 1}                  # of what a box cuts off a cell, an axis
POINTS_IN_1D = 33
LINES, ALONG = (3, 4), (4, 5)             # Gauss points across and along the lines that end on the boundary,
                                          # by turns: two depths that share them agree about what both miss
ALLOWED = math.log(1e-13)                 # of the heaviest cell, in a cell beside a wall
POLE = 5.0                                # theta by which f falls from the centre of a cell to a corner
ROUNDING = 4e-16                          # of a coordinate of the boundary
SMALL = math.log(1e-3)  # less probable regions are integrated anew to their own relative accuracy


@dataclass(frozen=True, repr=False)
class Components:
    """Connected parts of a chain: nothing passes from one to another.

    Attributes
    ----------
    labels : int ndarray, shape grid.shape
        -1 for cells that are not states.
    n : int
    probabilities : ndarray (n,)
        Gibbs probability of each part.
    """
    labels: np.ndarray
    n: int
    probabilities: np.ndarray

    def __repr__(self):
        shown = ", ".join(f"{p:.4g}" for p in self.probabilities[:8])
        return f"{self.n} connected part{'s' if self.n != 1 else ''}, Gibbs probabilities {shown}"


def components(diffusion):
    labels, n = diffusion.chain.components()
    p = (diffusion.gibbs.values * diffusion.grid.volumes).ravel()
    known = labels >= 0
    return Components(labels.reshape(diffusion.grid.shape), n, np.bincount(labels[known], p[known], n))


@dataclass(frozen=True)
class RegionMasses:
    """Cells of the domain that lie wholly in a region, and the masses of the region in the cells that its
    boundary cuts."""
    whole: np.ndarray          # bool (n_cells,)
    cut: np.ndarray            # flat indices
    masses: Masses             # of the region in the cut cells
    absolute_error: np.ndarray # of exp(masses.log_mass), relative to exp(scale)
    scale: float


def probability(diffusion, region, refine=False):
    """Gibbs probability of a region as an Estimate."""
    grid = diffusion.grid
    check_region(region, grid, "the region")
    space = diffusion._space.without_region()
    merged = diffusion._cell_masses
    cells, total, error_of_total = merged.own or merged, merged.log_total, merged.total_error
    parts = region_masses(space, region, 1 if refine else 0, merged)
    with np.errstate(divide="ignore"):
        whole = cells.log_mass[parts.whole]
        log_p = log_sum(np.concatenate([whole, parts.masses.log_mass])) - total
    method = "cell masses by Gauss quadrature"
    if not np.isfinite(log_p):
        return Estimate(0.0, 0.0, method, inputs=diffusion._inputs)
    relative = cells.relative_error[parts.whole]
    if log_p < SMALL and parts.whole.any():
        boxes = boxes_of(grid, np.flatnonzero(parts.whole))
        own = integrate(space.exponent, [boxes], grid.n_cells)
        walls = False if merged.walls is None else merged.walls[parts.whole]
        whole = np.where(walls, whole, own.log_mass[parts.whole])
        relative = np.where(walls, relative, own.relative_error[parts.whole])
        log_p = log_sum(np.concatenate([whole, parts.masses.log_mass])) - total
    p = math.exp(log_p)
    error = float((np.exp(whole - total)
                   * relative).sum()) + float(parts.absolute_error.sum()) * math.exp(parts.scale - total)
    error += p * (error_of_total / 2 + 2e-15 + 4e-16 * abs(log_p))     # of the sums, and of the logarithm
    return Estimate(min(p, 1.0), error, method, log10=log_p / math.log(10),
                    inputs={**diffusion._inputs, "region": repr(region)})


def region_masses(space, region, extra=0, cells=None):
    """Which cells lie in the region, and int exp(-beta (f - f0)) over the region in the cells that its
    boundary cuts.

    `cells` are the masses of all cells that hold some of the domain, where walls shall be followed; without
    them the cells with their centre in the domain count as they are.
    """
    grid = space.grid
    walls = np.zeros(grid.n_cells, bool) if cells is None or cells.own is None else cells.walls
    flat = np.flatnonzero(space.inside.ravel() | walls)
    state, touched = np.zeros(flat.size, int), False
    for part in chunks(flat.size):                         # in 3D all boxes at once are six arrays
        state[part], is_met = _classified(region, *boxes_of(grid, flat[part])[:2])
        touched |= is_met
    if not touched and not (state == 0).any():
        raise ValueError(f"{region!r} selects nothing: no cell of the grid {_bounds(grid)} meets it.")
    whole = np.zeros(grid.n_cells, bool)
    whole[flat[state == 1]] = True
    cut = flat[state == 0]
    if not cut.size:
        return RegionMasses(whole, cut, Masses(np.zeros(0), np.zeros(0), 0.0), np.zeros(0), 0.0)
    lower, width, _ = boxes_of(grid, cut)
    rule, is_walled = _in_line if grid.ndim == 1 else _in_cells, walls[cut]
    if cells is not None and grid.ndim > 1:
        is_walled = is_walled | has_jump(space.exponent, lower, width)
    if not is_walled.any():
        masses, absolute, scale = rule(space, region, lower, width, extra)
    else:
        masses, absolute, scale = _beside_walls(space, region, lower, width, extra, is_walled, rule)
    if cells is not None and grid.ndim > 1 and not isinstance(region, Box):
        at = np.flatnonzero(near_a_pole(cells.poles, lower, width) & ~is_walled)
        if at.size:
            shells = shells_towards(cells.poles, lower[:, at], width[:, at], at)
            log_mass, absolute = masses.log_mass.copy(), absolute.copy()
            part, error = _towards_poles(space, region, shells, cut.size)
            log_mass[at], absolute[at] = part[at], error[at] * math.exp(-scale)
            masses = replace(masses, log_mass=log_mass)
    if not touched and not np.isfinite(masses.log_mass).any():
        raise ValueError(f"{region!r} selects nothing: no cell of the grid {_bounds(grid)} meets it.")
    return RegionMasses(whole, cut, masses, absolute, scale)


def _beside_walls(space, region, lower, width, extra, is_walled, rule):
    """`rule` for the cut cells away from walls; in the others the region is one more wall."""
    n, domain = is_walled.size, domain_rule(space.exponent.potential, space.grid)
    walled = WalledExponent(space.exponent, region.contains if domain is None else
                            lambda points: domain(points) & region.contains(points))
    at = np.flatnonzero(is_walled)
    boxes = lower[:, at], width[:, at], at
    if space.grid.ndim == 1:
        part = integrate(walled, [divided(*boxes, parts_of_cells(space.grid))], n)
    else:
        with np.errstate(divide="ignore"):
            log_scale = float(np.log(space.grid.volumes.max()) - space.B.min())
        part = gathered([cut_masses(walled, *boxes, log_scale + ALLOWED)], n, space.exponent.f0)
    log_mass, error = part.log_mass.copy(), np.exp(part.log_mass) * part.relative_error
    rest = np.flatnonzero(~is_walled)
    if rest.size:
        masses, absolute, scale = rule(space, region, lower[:, rest], width[:, rest], extra)
        log_mass[rest], error[rest] = masses.log_mass, absolute * math.exp(scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(np.isfinite(log_mass), error / np.exp(log_mass), 0.0)
    return Masses(log_mass, np.nan_to_num(relative, posinf=1.0), space.exponent.f0), error, 0.0


def _towards_poles(space, region, shells, n):
    """log masses of a region in cells with a pole (n,) by owner and their absolute errors: in a core that its
    boundary cuts through the pole, the region has the share that it has in the last shell around it."""
    state, _ = _classified(region, shells.lower, shells.width)
    each, is_core = np.arange(state.size), shells.level == LAST
    boxes = tuple(a[..., ~is_core] for a in (shells.lower, shells.width, each))
    total = integrate(space.exponent, [boxes], each.size)
    mass = np.exp(total.log_mass)
    power, mass[is_core], error_of_core = shells.cores(mass)
    error = mass * total.relative_error
    error[is_core] = error_of_core
    inside, error = np.where(state == 1, mass, 0.0), np.where(state == -1, 0.0, error)
    at = np.flatnonzero((state == 0) & ~is_core)
    if at.size:
        part, absolute, scale = _in_cells(space, region, shells.lower[:, at], shells.width[:, at], 0)
        inside[at], error[at] = np.exp(part.log_mass), absolute * math.exp(scale)
    with np.errstate(invalid="ignore"):
        last, before = (np.nan_to_num(shells.of_last(inside, k) / shells.of_last(mass, k)) for k in (1, 2))
    at = np.flatnonzero((state == 0) & is_core)
    core = shells.core[at]
    # the boundary misses the pole by so much, of the core
    miss = np.ones(at.size)
    if region.has_distance:
        pole = shells.places[:, core]
        away = np.abs(region.signed_distance(pole.T)) + 4e-16 * np.abs(pole).max(0)
        miss = np.minimum(away / shells.width[:, at].min(0), 1.0) ** power[core]
    inside[at] = mass[at] * last[core]
    error[at] += mass[at] * (np.abs(last - before)[core] + miss)
    with np.errstate(divide="ignore"):
        return log_sums_by(shells.owner, np.log(inside), n), np.bincount(shells.owner, error, n)


def _bounds(grid):
    return " x ".join(f"[{low:g}, {high:g}]" for low, high in grid.bounds)


def _classified(region, lower, width):
    """1: box in the region, -1: outside, 0: its boundary passes or may pass; and whether any point that was
    tried lies in the region. What is made of several regions is known where they are."""
    if isinstance(region, Complement):
        state, _ = _classified(region.of, lower, width)
        return -state, bool((state < 1).any())
    if isinstance(region, Union | Intersection):
        states, met = zip(*(_classified(part, lower, width) for part in (region.first, region.second)))
        return (np.maximum if isinstance(region, Union) else np.minimum)(*states), any(met)
    d, n = lower.shape
    state, near = np.zeros(n, int), np.arange(n)
    if region.has_distance and region.is_distance_bound:
        distance = region.signed_distance((lower + width / 2).T)
        far = np.abs(distance) > np.sqrt((width ** 2).sum(0)) / 2
        state[far] = np.where(distance[far] < 0, 1, -1)
        near = np.flatnonzero(~far)
    lower, width = lower[:, near], width[:, near]
    fractions = np.stack(np.meshgrid(*[np.array([0.0, 0.5, 1.0])] * d, indexing="ij")).reshape(d, -1)
    count, touched = np.zeros(near.size, int), bool((state == 1).any())
    for u in fractions.T:
        hit = region.contains((lower + u[:, None] * width).T)
        count += hit
        touched |= bool(hit.any())
    # else the boundary may pass where no point shows it
    if not (region.has_distance and region.is_distance_exact):
        state[near] = np.where(count == fractions.shape[1], 1, np.where(count == 0, -1, 0))
    elif isinstance(region, HalfSpace | Box | Ball):       # convex: a boundary along a face cuts no cell
        corners = np.stack(np.meshgrid(*[np.array([0.0, 1.0])] * d, indexing="ij")).reshape(d, -1)
        distance = np.stack([region.signed_distance((lower + u[:, None] * width).T) for u in corners.T])
        touching = 1e-12 * width.max(0)
        state[near] = np.where((distance <= touching).all(0), 1, np.where(
            (distance >= -touching).all(0) & isinstance(region, HalfSpace), -1, 0))
    return state, touched


def _shapes(region) -> list[Region] | None:
    """The balls, boxes and half-spaces that a region is made of; None where there are others."""
    if isinstance(region, Complement):
        return _shapes(region.of)
    if isinstance(region, Union | Intersection):
        parts = [_shapes(r) for r in (region.first, region.second)]
        return None if None in parts else parts[0] + parts[1]
    return [region] if isinstance(region, Ball | Box | HalfSpace) else None


def _crossings(shape, start, step):
    """Fractions (k, n) at which the boundary of a shape, or what continues it, cuts the lines start + t step,
    both (d, n); beyond [0, 1] or NaN where it does not."""
    if isinstance(shape, HalfSpace):
        return (shape.offset - shape.normal @ start)[None] / (shape.normal @ step)
    if isinstance(shape, Box):
        with np.errstate(invalid="ignore"):
            return np.concatenate([(ends[:, None] - start) / step for ends in (shape.low, shape.high)])
    away = start - shape.centre[:, None]
    a, b = (step**2).sum(0), (step * away).sum(0)
    c = (np.sqrt((away**2).sum(0)) - shape.radius) * (np.sqrt((away**2).sum(0)) + shape.radius)
    q = -(b + np.copysign(np.sqrt(b * b - a * c), b))
    return np.stack([q / a, c / q])


def _pieces(region, start, step):
    """Fractions (low, high) of the pieces of the lines start + t step, t in [0, 1], that lie in a region made
    of shapes, (k, n) each; both the same for a piece outside."""
    with np.errstate(all="ignore"):
        cuts = np.concatenate([_crossings(shape, start, step) for shape in _shapes(region)])
        t = np.sort(np.clip(np.nan_to_num(cuts, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0), axis=0)
    t = np.concatenate([np.zeros((1, t.shape[1])), t, np.ones((1, t.shape[1]))])
    middle = start[:, None] + (t[1:] + t[:-1]) / 2 * step[:, None]
    inside = region.contains(np.moveaxis(middle, 0, -1))
    return t[:-1], np.where(inside, t[1:], t[:-1])


def _in_line(space, region, lower, width, extra):
    """1D: the parts of each cell between the exact crossings of the boundary."""
    n = lower.shape[1]
    if _shapes(region) is not None:
        low, high = _pieces(region, lower, width)
        k, owner = np.nonzero(high - low > 1e-13)      # not the rounding of a boundary at the end of the cell
        low, high = (lower[0, owner] + t[k, owner] * width[0, owner] for t in (low, high))
        return _of_intervals(space, low, high, owner, n)
    s = np.linspace(0, 1, POINTS_IN_1D + 32 * extra)
    x = lower[0][:, None] + s * width[0][:, None]
    hit = region.contains(x.reshape(-1, 1)).reshape(x.shape)
    at, k = np.nonzero(hit[:, 1:] != hit[:, :-1])
    t = region.crossing(x[at, k][:, None], x[at, k + 1][:, None])
    cross = x[at, k] + t * (x[at, k + 1] - x[at, k])
    low, high, owner = [], [], []
    for i in range(n):
        points = np.concatenate([x[i, :1], cross[at == i], x[i, -1:]])
        state = hit[i, 0]
        for a, b in zip(points[:-1], points[1:]):
            if state and b - a > 1e-13 * width[0, i]:  # not the rounding of a boundary at the end of the cell
                low.append(a)
                high.append(b)
                owner.append(i)
            state = not state
    return _of_intervals(space, np.array(low), np.array(high), np.array(owner, int), n)


def _of_intervals(space, low, high, owner, n):
    masses = Masses(np.full(n, -np.inf), np.zeros(n), 0.0)
    if low.size:
        boxes = low[None], (high - low)[None], owner
        masses = integrate(space.exponent, [divided(*boxes, parts_of_cells(space.grid))], n)
    relative = masses.relative_error.copy()                     # the ends are known to their rounding
    np.maximum.at(relative, owner, masses.relative_error[owner] + ROUNDING * np.maximum(
        np.abs(low), np.abs(high)) / (high - low))
    scale = float(masses.log_mass.max()) if low.size else 0.0
    scale = scale if np.isfinite(scale) else 0.0
    return masses, np.exp(masses.log_mass - scale) * relative, scale


def _in_cells(space, region, lower, width, extra):
    """2D and 3D: halve the cut boxes, then integrate on lines that end on the boundary; two depths are
    compared."""
    d, n = lower.shape
    if isinstance(region, Box):                                          # what it cuts off cells are boxes
        low = np.maximum(lower, region.low[:, None])
        size = np.minimum(lower + width, region.high[:, None]) - low
        at = np.flatnonzero((size > 0).all(0))
        masses = integrate(space.exponent, [divided(low[:, at], size[:, at], at, BOX_PARTS[d])], n)
        scale = float(masses.log_mass.max(initial=-np.inf))
        scale = scale if np.isfinite(scale) else 0.0
        return masses, np.exp(masses.log_mass - scale) * masses.relative_error, scale
    levels = LEVELS[d] + extra if region.has_distance else 1 + extra
    while levels > 1 and n * 2 ** ((d - 1) * levels) > MAX_BOXES[d] * 2 ** ((d - 1) * extra):
        levels -= 1
    boxes, owner = (lower, width), np.arange(n)
    whole = []
    totals = []
    for level in range(levels + 1):
        if level >= levels - 2:
            parts = space, region, *boxes, owner, n
            part = _on_lines(*parts, level % 2) if region.has_distance else _on_points(*parts)
            totals.append(part + (list(whole),))
        if level == levels:
            break
        low, w = boxes[0], boxes[1] / 2
        corners = np.array(list(np.ndindex(*(2,) * d))).T
        low = (low[:, :, None] + corners[:, None] * w[:, :, None]).reshape(d, -1)
        w, owner = np.repeat(w, 2 ** d, axis=1), np.repeat(owner, 2 ** d)
        state, _ = _classified(region, low, w)
        inner = state == 1
        if inner.any():
            whole.append((low[:, inner], w[:, inner], owner[inner]))
        boxes, owner = (low[:, state == 0], w[:, state == 0]), owner[state == 0]
    sums = []
    for log_part, blur, wholes in totals:
        if wholes:
            body = integrate(space.exponent, wholes, n)
            sums.append((np.logaddexp(body.log_mass, log_part), body, blur))
        else:
            sums.append((log_part, Masses(np.full(n, -np.inf), np.zeros(n), 0.0), blur))
    best, body, blur = sums[-1]
    scale = float(best.max())
    scale = scale if np.isfinite(scale) else 0.0
    # the errors of the depths have random signs, so one small change proves nothing: the change before counts
    # by half; at a pole they shrink slowly, and what is left is a geometric series
    steps = [np.abs(np.exp(b[0] - scale) - np.exp(a[0] - scale)) for a, b in zip(sums[:-1], sums[1:])]
    change = np.exp(best - scale)
    if steps:
        with np.errstate(all="ignore"):
            least = np.min([space.exponent(lower + np.array(c)[:, None] * width)
                            for c in np.ndindex(*(2,) * d)], axis=0)
            is_pole = least < space.exponent(lower + width / 2) - POLE
            ratio = np.where(is_pole, np.clip(np.nan_to_num(steps[-1] / steps[0]), 0.0, 0.95), 0.0)
        change = np.maximum(steps[-1] / (1 - ratio), steps[0] / 2)
    error = change + np.exp(body.log_mass - scale) * body.relative_error + np.exp(blur - scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(np.isfinite(best), error / np.exp(best - scale), 0.0)
    return Masses(best, np.nan_to_num(relative, posinf=1.0), space.exponent.f0), error, scale


def _on_lines(space, region, lower, width, owner, n, turn):
    """log of the integral over the region in boxes, on Gauss lines along the axis that is steepest for the
    distance; (n,) by owner."""
    d = lower.shape[0]
    none = np.full(n, -np.inf)
    if not owner.size:
        return none, none
    centre = lower + width / 2
    slope = np.empty(lower.shape)
    for k in range(d):
        ends = [np.where(np.arange(d)[:, None] == k, lower + s * width, centre).T for s in (0, 1)]
        slope[k] = np.abs(region.signed_distance(ends[1]) - region.signed_distance(ends[0]))
    axis = slope.argmax(0)
    if d == 2:
        lower, width, owner, axis = _pieces_across(region, lower, width, owner, axis)
    x, w = gauss(LINES[turn])
    y, v = gauss(ALONG[turn])
    is_composed, logs, owners, blurs = len(_shapes(region) or ()) > 1, [], [], []
    for index in np.ndindex(*(LINES[turn],) * (d - 1)):
        start, step, weight = lower.copy(), np.zeros(lower.shape), np.ones(lower.shape[1])
        for k in range(d):
            along = axis == k
            step[k, along] = width[k, along]
            # the j-th of the other axes takes the j-th index
            order = np.where(axis > k, k, k - 1)
            picked = np.array(index)[np.clip(order, 0, d - 2)]
            start[k] += np.where(along, 0.0, x[picked] * width[k])
            weight = weight * np.where(along, 1.0, w[picked] * width[k])
        long = np.take_along_axis(width, axis[None], 0)[0]
        if is_composed:
            pieces = _pieces(region, start, step)
            k, box = np.nonzero(pieces[1] > pieces[0])
            low, high = (t[k, box] for t in pieces)
            start, step, weight, long = start[:, box], step[:, box], weight[box], long[box]
            owners.append(owner[box])
        else:
            end = start + step
            first, last = region.contains(start.T), region.contains(end.T)
            t = np.nan_to_num(region.crossing(start.T, end.T), nan=1.0)
            low = np.where(first, 0.0, np.where(last, t, 0.0))
            high = np.where(first, np.where(last, 1.0, t), np.where(last, 1.0, 0.0))
            owners.append(owner)
        s = low + (high - low) * y[:, None]                                    # (along, boxes)
        X = start[:, None] + step[:, None] * s
        B = space.exponent(X.reshape(d, -1)).reshape(s.shape)
        least = np.minimum(B.min(0), 1e300)
        with np.errstate(divide="ignore"):
            length = (high - low) * long
            logs.append(np.log(v @ np.exp(least - B)) - least + np.log(weight * length))
            if is_composed:                                     # the ends are known to their rounding
                blurs.append(logs[-1] + np.log(ROUNDING * np.abs(X).max((0, 1)) / length))
    owners = np.concatenate(owners)
    return (log_sums_by(owners, np.concatenate(logs), n),
            log_sums_by(owners, np.concatenate(blurs), n) if blurs else none)


def _pieces_across(region, lower, width, owner, axis):
    """Boxes of a plane cut where the boundary of the region leaves them through the ends of the lines along
    `axis`: what the lines hold is smooth in between. A nip that lies beyond the last line would go unseen at
    every depth."""
    across = np.where(np.arange(2)[:, None] == axis, 0.0, width)
    along = width - across
    ends = [np.zeros(axis.size), np.ones(axis.size)]
    shapes = _shapes(region) or ()
    for start in (lower, lower + along):
        if len(shapes) > 1:
            with np.errstate(all="ignore"):
                cuts = [np.nan_to_num(_crossings(s, start, across), nan=1.0, posinf=1.0) for s in shapes]
            ends += list(np.clip(np.concatenate(cuts), 0.0, 1.0))
        else:
            ends.append(np.nan_to_num(region.crossing(start.T, (start + across).T), nan=1.0))
    ends = np.sort(ends, axis=0)
    piece, box = np.nonzero(np.diff(ends, axis=0) > SLIVER)
    low, high = ends[piece, box], ends[piece + 1, box]
    lower = lower[:, box] + across[:, box] * low
    return lower, along[:, box] + across[:, box] * (high - low), owner[box], axis[box]


def _on_points(space, region, lower, width, owner, n):
    """The same for regions of which only membership is known: Gauss points that lie in the region; the blur
    is what a row of points weighs."""
    d = lower.shape[0]
    none = np.full(n, -np.inf)
    if not owner.size:
        return none, none
    nodes, weights = tensor_rule(4, d)
    X = lower[:, None] + nodes.T[:, :, None] * width[:, None]
    hit = region.contains(X.reshape(d, -1).T).reshape(weights.size, -1)
    B = space.exponent(X.reshape(d, -1)).reshape(hit.shape)
    with np.errstate(divide="ignore"):
        logs = np.log(weights)[:, None] - B + np.log(width.prod(0))
        each = np.tile(owner, weights.size)
        return (log_sums_by(each, np.where(hit, logs, -np.inf).ravel(), n),
                log_sums_by(each, logs.ravel(), n) - np.log(4))
