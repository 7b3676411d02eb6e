"""Integrals of exp(-beta f) over boxes in which f jumps: walls that cut cells, steps of the potential, masks
given by a rule.

A box is swept by lines along the axis across which f changes most. On each line jumps are located by
bisection and the pieces between them integrated by Gauss rules; the lines themselves are Gauss points between
the places where a jump leaves the box through its ends, so that what is integrated is smooth. Boxes are
halved until two depths agree, or until the budget is spent: the difference that is left is the error.
"""
from __future__ import annotations

import numpy as np

from ...core.logarithms import log_sums_by
from .exponent import Exponent
from .quadrature import gauss

SAMPLES = 5                  # points of a line between which one jump each is looked for
POINTS = 4, 5                # Gauss points of a piece of a line, and lines in a piece of a box, by turns: two
                             # depths that share their lines would agree about what both miss
BISECTIONS, TRIAL = 50, 5    # halvings that locate a jump, and those after which a slope has shown itself
LEAST_JUMP = 1e-7            # of beta f
MAX_DEPTH = {1: 12, 2: 7, 3: 3}
SEEN = {1: 9, 2: 257, 3: 17} # points of an edge of a box at which walls, and tips of corners, are looked for
BUDGET = {1: 100_000, 2: 100_000, 3: 20_000}            # boxes
SAFETY = 8.0                 # of the difference of two depths: the worst of 180 random walls needed 3 in a
                             # plane, 9 in space where the wall was smaller than a cell
CHUNK = 4096                 # boxes at a time
FIRST_BOXES = 4096           # boxes that are looked at at least
LOOKS = 300_000              # points at which the cells of a grid are searched for walls, about


class WalledExponent(Exponent):
    """beta (f - f0) that is +inf where a rule for points says that they are outside the domain."""

    def __init__(self, exponent, rule):
        super().__init__(exponent.potential, exponent.beta, exponent.f0)
        self.rule = rule

    @property
    def is_compiled(self):
        return False

    def energies(self, X):
        with np.errstate(all="ignore"):
            f = Exponent(self.potential, 1.0).energies(X)
        return f if self.rule is None else np.where(self.rule(np.ascontiguousarray(X).T), f, np.inf)


def domain_rule(potential, grid):
    """Rule for points (n, ndim) of the domain, from a mask that is a rule and the potential's own domain;
    None where neither is given."""
    rules = [] if grid.mask is None or grid.has_array_mask else [getattr(grid.mask, "contains", grid.mask)]
    rules += [potential.domain] if callable(potential.domain) else []
    if not rules:
        return None
    return lambda points: np.logical_and.reduce([np.asarray(rule(points), bool) for rule in rules])


def cut_by_walls(exponent, grid):
    """(cells that lie wholly in the domain, cells that its boundary cuts, those of them that show it between
    their corners, centre and middles of faces only), bool of shape grid.shape, and the parts an axis at which
    cells were looked at."""
    parts = 2 * int(np.clip((LOOKS / grid.n_cells) ** (1 / grid.ndim) / 2, 1, 32))
    lines = [np.interp(np.arange(n * parts + 1) / parts, np.arange(n + 1), e)
             for e, n in zip(grid.edges, grid.shape)]
    X = np.stack(np.meshgrid(*lines, indexing="ij")).reshape(grid.ndim, -1)
    ok = (exponent.energies(X) < np.inf).reshape([line.size for line in lines])
    every, some = _of_cells(ok, grid.shape, parts, 1)
    plain, any_plain = _of_cells(ok, grid.shape, parts, parts // 2)
    hidden = some & ~every & (plain | ~any_plain)
    if grid.has_array_mask:
        every, some = every & grid.inside, some & grid.inside
    near = np.zeros(grid.shape, bool)
    mask = grid.mask
    if getattr(mask, "has_distance", False) and mask.is_distance_bound:
        half = np.sqrt(sum(np.square(w).reshape([-1 if a == k else 1 for a in range(grid.ndim)])
                           for k, w in enumerate(grid.widths))) / 2
        near = np.abs(mask.signed_distance(grid.points)) < half
    return every & ~near, (some & ~every) | near, hidden, parts


def _of_cells(ok, shape, parts, step):
    """Whether every one, and whether some, of the points of each cell is ok: every `step`-th of parts + 1."""
    if ok.all():
        return np.ones(shape, bool), np.ones(shape, bool)
    every, some = ok, ok
    for k, n in enumerate(shape):
        take = [np.arange(n) * parts + s for s in range(0, parts + 1, step)]
        every = np.logical_and.reduce([np.take(every, i, k) for i in take])
        some = np.logical_or.reduce([np.take(some, i, k) for i in take])
    return every, some


def parts_of_cells(grid):
    """Parts into which the cells of an axis of few cells are cut from the start: what is narrower than a cell
    shows there. 1 in more dimensions, where it would take too long."""
    return int(np.clip(FIRST_BOXES / grid.n_cells, 1, 64)) if grid.ndim == 1 else 1


def boxes_of(grid, flat):
    place = np.unravel_index(flat, grid.shape)
    lower = np.stack([e[p] for e, p in zip(grid.edges, place)])
    return lower, np.stack([w[p] for w, p in zip(grid.widths, place)]), flat


def divided(lower, width, owner, parts):
    """Boxes (ndim, n) cut into `parts` an axis, one number or one for each."""
    d = lower.shape[0]
    parts = np.broadcast_to(parts, d)
    corners = np.array(list(np.ndindex(*parts))).T
    width = width / parts[:, None]
    lower = (lower[:, :, None] + corners[:, None] * width[:, :, None]).reshape(d, -1)
    return lower, np.repeat(width, parts.prod(), axis=1), np.repeat(owner, parts.prod())


def beside(grid, cells):
    """Cells that share a face, an edge or a corner with some cells, bool of shape grid.shape."""
    for k, is_ring in enumerate(grid.periodic):
        around = [(int(a == k), int(a == k)) for a in range(grid.ndim)]
        padded = np.pad(cells, around, mode="wrap" if is_ring else "edge")
        cells = np.logical_or.reduce([np.take(padded, np.arange(grid.shape[k]) + s, k) for s in range(3)])
    return cells


def has_jump(exponent, lower, width, samples=3):
    """Whether f jumps on the lines through the middles and along the edges of boxes (n,)."""
    d, n = lower.shape
    found = np.zeros(n, bool)
    for axis in range(d):
        for at in np.ndindex(*(3,) * (d - 1)):
            share = np.insert(np.array(at) / 2, axis, 0.0)
            step = np.where(np.arange(d)[:, None] == axis, width, 0.0)
            found |= np.isfinite(_jumps(exponent, lower + share[:, None] * width, step, samples)[1]).any(0)
    return found


def cut_masses(exponent, lower, width, owner, log_allowed):
    """log of int exp(-beta (f - f0)) over parts of boxes: (owner, log, relative error) of the parts.

    log_allowed : float
        log of the error that a box may leave.
    """
    d, done = lower.shape[0], []
    budget, (value, _) = BUDGET[d], _integrals(exponent, lower, width, POINTS[0])
    for depth in range(1, MAX_DEPTH[d] + 1):
        half = width / 2
        corners = np.array(list(np.ndindex(*(2,) * d))).T
        low = (lower[:, :, None] + corners[:, None] * half[:, :, None]).reshape(d, -1)
        parent, half = np.repeat(np.arange(owner.size), 2 ** d), np.repeat(half, 2 ** d, axis=1)
        parts, is_cut = _integrals(exponent, low, half, POINTS[depth % 2])
        total = log_sums_by(parent, parts, owner.size)
        budget -= parts.size
        with np.errstate(all="ignore"):
            gap = np.minimum(SAFETY * d / 2 * np.abs(np.expm1(value - total)), 1.0)
            gap = np.where(np.isfinite(total), gap, np.where(np.isneginf(value), 0.0, 1.0))
            total = np.where(np.isneginf(total) & (gap > 0), value, total)
            left = np.log(gap) + total > log_allowed
        # a wall that bulges into a box between its lines shows at the edges
        at = np.flatnonzero(~left & ~is_cut.reshape(-1, 2 ** d).any(1))
        left[at] = has_jump(exponent, lower[:, at], width[:, at], SEEN[d])
        if depth == MAX_DEPTH[d] or budget < 2 ** d * 2 ** d * np.count_nonzero(left):
            left[:] = False
        done.append((owner[~left], total[~left], gap[~left] + 1e-15))
        if not left.any():
            break
        keep = left[parent]
        lower, width, owner, value = low[:, keep], half[:, keep], owner[parent[keep]], parts[keep]
    return tuple(np.concatenate(part) for part in zip(*done))


def _integrals(exponent, lower, width, points):
    """log of the integrals over boxes (n,), and whether a jump was seen in each."""
    parts = [_swept(exponent, lower[:, k:k + CHUNK], width[:, k:k + CHUNK], points)
             for k in range(0, lower.shape[1], CHUNK)]
    return tuple(np.concatenate(part) for part in zip(*parts))


def _swept(exponent, lower, width, points):
    d, n = lower.shape
    axes, box, weight = _axes(exponent, lower, width), np.arange(n), np.zeros(n)
    x, w = gauss(points)
    if d == 3:                                           # slices across the axis along which f changes least
        rest = np.arange(3)[:, None] == axes[2]
        lower = (lower[:, :, None] + np.where(rest, width, 0.0)[:, :, None] * x).reshape(3, -1)
        weight = np.log(np.where(rest, width, 0.0).sum(0)[:, None] * w).ravel()
        box, axes = np.repeat(box, points), np.repeat(axes, points, axis=1)
        width = width[:, box]
    along = np.where(np.arange(d)[:, None] == axes[0], width, 0.0)
    if d > 1:
        across = np.where(np.arange(d)[:, None] == axes[1], width, 0.0)
        ends = [np.zeros(box.size), np.ones(box.size)]
        for start in (lower, lower + along):
            ends += list(np.nan_to_num(_jumps(exponent, start, across, SAMPLES)[1], nan=1.0))
        ends = np.sort(ends, axis=0)
        piece, line = np.nonzero(np.diff(ends, axis=0) > 1e-13)
        low, size = ends[piece, line], ends[piece + 1, line] - ends[piece, line]
        t = low[:, None] + size[:, None] * x
        weight = (weight[line, None] + np.log(size[:, None] * w * across.sum(0)[line, None])).ravel()
        lower = (lower[:, line, None] + across[:, line, None] * t).reshape(d, -1)
        line = np.repeat(line, points)
        along, box = along[:, line], box[line]
    _, jump = _jumps(exponent, lower, along, SAMPLES)
    s = np.linspace(0.0, 1.0, SAMPLES)[:, None]
    middle = np.where(np.isfinite(jump), jump, s[1:])
    low, high = np.concatenate([np.broadcast_to(s[:-1], jump.shape), middle]), np.concatenate(
        [middle, np.broadcast_to(s[1:], jump.shape)])
    piece, line = np.nonzero(high > low)
    low, size = low[piece, line], high[piece, line] - low[piece, line]
    X = lower[:, line, None] + along[:, line, None] * (low[:, None] + size[:, None] * x)
    with np.errstate(divide="ignore"):
        logs = np.log(size[:, None] * w) + (weight + np.log(along.sum(0)))[line, None]
    B = exponent(X.reshape(d, -1)).reshape(logs.shape)
    is_cut = np.zeros(n, bool)
    is_cut[box[np.isfinite(jump).any(0)]] = True
    return log_sums_by(np.repeat(box[line], points), (logs - B).ravel(), n), is_cut


def _axes(exponent, lower, width):
    """Axes of boxes (ndim, n), that along which beta f changes most first."""
    d, n = lower.shape
    shares = np.array(list(np.ndindex(*(3,) * d))).T / 2
    B = exponent((lower[:, :, None] + shares[:, None] * width[:, :, None]).reshape(d, -1))
    B = np.clip(np.nan_to_num(B, nan=1e9, posinf=1e9), -1e9, 1e9).reshape((n,) + (3,) * d)
    change = [np.minimum(np.abs(np.diff(B, axis=k + 1)), 50.0).reshape(n, -1).sum(1) for k in range(d)]
    return np.argsort(change, axis=0, kind="stable")[::-1]


def _jumps(exponent, start, step, samples):
    """beta (f - f0) at equal steps along lines (samples, n), and where between them it jumps (samples - 1,
    n), a fraction of the line or NaN."""
    d, n = start.shape
    s = np.linspace(0.0, 1.0, samples)
    E = exponent((start[:, None] + s[:, None] * step[:, None]).reshape(d, -1)).reshape(samples, n)
    found = np.full((samples - 1, n), np.nan)
    first = _size(E[:-1], E[1:])
    piece, line = np.nonzero(first > LEAST_JUMP)
    first = first[piece, line]
    low, high, e_low, e_high = s[piece], s[piece + 1], E[piece, line], E[piece + 1, line]
    floor = np.minimum(e_low, e_high) - np.minimum(first, 10.0)
    ceiling = np.maximum(e_low, e_high) + np.minimum(first, 10.0)
    for k in range(BISECTIONS):
        if not line.size:
            break
        middle = (low + high) / 2
        e = exponent(start[:, line] + step[:, line] * middle)
        is_first = _size(e_low, e) >= _size(e, e_high)
        low, e_low = np.where(is_first, low, middle), np.where(is_first, e_low, e)
        high, e_high = np.where(is_first, middle, high), np.where(is_first, e, e_high)
        if k + 1 >= TRIAL:
            # a jump keeps its size and its level; where f falls ever deeper, or rises so, there is a pole
            stays = (_size(e_low, e_high) >= 0.4 * first) & (np.minimum(e_low, e_high) >= floor)
            top = np.maximum(e_low, e_high)
            stays &= (top <= ceiling) | (top == np.inf)
            piece, line, first, floor, ceiling, low, high, e_low, e_high = (
                a[stays] for a in (piece, line, first, floor, ceiling, low, high, e_low, e_high))
    found[piece, line] = high
    return E, found


def _size(a, b):
    """Size of the change of the exponent from a to b; 0 between two infinities of the same sign and at
    poles."""
    with np.errstate(invalid="ignore"):
        change = np.nan_to_num(np.abs(b - a), nan=0.0, posinf=np.inf)
    return np.where((a == -np.inf) | (b == -np.inf), 0.0, change)
