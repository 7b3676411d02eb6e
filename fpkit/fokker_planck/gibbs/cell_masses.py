"""Exact Gibbs masses of cells: integrals of exp(-beta (f - f0)) over boxes by adaptive product Gauss rules.

Each box is probed at its centre and at the centres of its faces. Slope and bend of beta f along each axis fix
the smallest rule whose error, for the exponential of a quadratic, stays below the share of that box: a box
that carries no mass only needs a relative accuracy, one with beta f changing by tens is cut into parts. Then
two rules, one of which sees the edges, are compared; boxes where they differ more than the model allows (a
kink, a narrow well) are cut in halves and go round again. What remains is reported as the error.
"""
from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np

from ...core.logarithms import log_sum, log_sums_by
from .cut_cells import WalledExponent, cut_by_walls, cut_masses, domain_rule, has_jump
from .exponent import Exponent
from .quadrature import lobatto, tensor_rule

RULES = (2, 3, 4, 6, 8)  # Gauss points an axis; the check is Lobatto's, which sees the edges of the box:
                                               # two Gauss rules agree when a kink lies beyond their last
                                               # points
# relative error of the q-point rule for exp(-c s) on [-1, 1] is GAIN[q] c^(2q) to leading order
GAIN = {q: 2.0 ** (2 * q) * factorial(q) ** 4 / ((2 * q + 1) * factorial(2 * q) ** 3) for q in range(1, 9)}
CHECK_GAIN = 0.01  # the Gauss rule errs by less than this part of the difference when f is smooth
STATED_GAIN = 0.03  # the part that is reported: 0.015 was seen on a chain of three at theta = 1
CHUNK = 16384                                  # boxes treated at a time
TOLERANCE = {1: 2e-14, 2: 1e-13, 3: 5e-11}     # of the total mass
RELATIVE = {1: 1e-8, 2: 1e-6, 3: 1e-3}         # of each cell that carries next to no mass
MAX_DEPTH = {1: 45, 2: 14, 3: 8}
MAX_DEPTH_AT_A_JUMP = {1: 45, 2: 5, 3: 3}
JUMP = 1e4                                     # stands for an infinite change of beta f
BUDGET = 4_000_000, 40  # points that may go into boxes cut in parts: at least, and for each box
REMOTE = 30.0  # boxes lighter than their share by more than exp(-30) need two digits
NEGLIGIBLE = 400.0                             # exp(-400) of the total: not worth a second look


@dataclass(frozen=True)
class Masses:
    """Logarithms of int exp(-beta (f - f0)) over sets of boxes, and the error of each relative to itself.

    Where walls cut cells, the part of the domain in a cell whose centre lies outside is added to a neighbour;
    `own` then holds the masses of the parts themselves, `moved` (n,) the logarithms of what each cell has given
    or taken, `walls` (n,) the cells that are cut, and `lost` the share of the mass that no neighbour could take.
    """
    log_mass: np.ndarray
    relative_error: np.ndarray
    f0: float
    own: Masses | None = None
    moved: np.ndarray | None = None
    walls: np.ndarray | None = None
    lost: float = 0.0

    @property
    def log_total(self):
        return log_sum(self.log_mass)

    @property
    def total_error(self):
        """Bound of the L1 error of the normalised masses."""
        top = self.log_mass.max()
        if not np.isfinite(top):
            return 0.0
        w = np.exp(self.log_mass - top)
        # the normalisation errs by as much as the sum does, hence 2; plus the rounding of beta (f - f0) and
        # of the sum
        return float(2 * (w * self.relative_error).sum() / w.sum()) + 1e-15 + 2 * self.lost


def integrate(exponent, boxes, n_owners, log_scale=None, n_boxes=None):
    """Integrate exp(-beta (f - f0)) over boxes and add up the parts of each owner.

    Parameters
    ----------
    exponent : Exponent
    boxes : iterable of (lower (d, n), width (d, n), owner (n,))
        Chunks of boxes.
    n_owners : int
        Owners are 0 to n_owners - 1 (cells, usually).
    log_scale : float, optional
        log of the mass against which errors count. Default: that of the boxes themselves, estimated from
        their centres.
    n_boxes : int, optional
        How many boxes there are; needed with `log_scale`, when they are not to be held all at once.

    Returns
    -------
    Masses
        ``log_mass`` is -inf for an owner without boxes. NaN where f is NaN.
    """
    d = exponent.ndim
    if log_scale is None:
        boxes = list(boxes)
        n_boxes = sum(b[0].shape[1] for b in boxes)
        log_scale = _estimated_total(exponent, boxes)
    share = log_scale + np.log(TOLERANCE[d] / max(n_boxes, 1))
    work = _Work(exponent, share, BUDGET[0] + BUDGET[1] * n_boxes)
    for lower, width, owner in boxes:
        for k in range(0, owner.size, CHUNK):
            part = slice(k, k + CHUNK)
            work.run(np.ascontiguousarray(lower[:, part]), np.ascontiguousarray(width[:, part]), owner[part],
                     None, np.zeros(owner[part].size, bool), 0)
    while work.waiting:
        depth, *rest = work.next_round()
        work.run(*rest, depth)
    return gathered(work.done, n_owners, exponent.f0)


def _estimated_total(exponent, boxes):
    logs = []
    for lower, width, _ in boxes:
        b = exponent(lower + width / 2)
        with np.errstate(all="ignore"):
            logs.append(log_sum(np.where(np.isfinite(b), np.log(width).sum(0) - b, -np.inf)))
    total = log_sum(np.array(logs)) if logs else 0.0
    return total if np.isfinite(total) else 0.0


class _Work:
    """The boxes still to do, those that are done, and the points left to spend."""

    def __init__(self, exponent, log_share, budget):
        self.exponent, self.log_share, self.budget, self.d = exponent, log_share, budget, exponent.ndim
        self.done, self.waiting = [], []

    def next_round(self):
        """All waiting boxes of the smallest depth together, at most CHUNK."""
        self.waiting.sort(key=lambda item: -item[0])
        group = [self.waiting.pop()]
        while self.waiting and self.waiting[-1][0] == group[0][0] and sum(g[3].size for g in group) < CHUNK:
            group.append(self.waiting.pop())
        return (group[0][0], *(np.concatenate([g[k] for g in group], axis=-1) for k in (1, 2, 3, 4, 5)))

    def run(self, lower, width, owner, log_allowed, doubt, depth):
        """One round: probe, choose the rule or cut, integrate, compare. In `doubt` are the parts of boxes
        where the model failed."""
        d, n = lower.shape
        slope, bend, log_size = self.probe(lower, width)
        if d > 1 and depth:
            walls = self.walls(lower, width, (doubt | (slope >= JUMP).any(0)) & (log_size > self.log_share - 3))
            if walls.any():
                self.done.append(cut_masses(self.exponent, lower[:, walls], width[:, walls], owner[walls],
                                            self.log_share))
                lower, width, slope, bend = (np.ascontiguousarray(a[:, ~walls])
                                             for a in (lower, width, slope, bend))
                owner, doubt, log_size, log_allowed = (a[~walls] for a in (owner, doubt, log_size, log_allowed))
                n = owner.size
        if not n:
            return
        reach = (slope + 2.5 * np.sqrt(bend))  # (d, n): beta f over half a box, curvature counted in
        worst = reach.max(0)
        if log_allowed is None:  # absolute error that each box may leave, as a logarithm
            log_allowed = np.minimum(self.log_share, log_size + self.log_relative(log_size))
        else:  # the parent's guess of its own mass may have been far too small
            log_allowed = np.minimum(self.log_share - 3,
                                     np.maximum(log_allowed, log_size + self.log_relative(log_size)))
        allowed = np.exp(np.clip(log_allowed - log_size, -35.0, 0.0))
        rule = np.zeros(n, int)
        with np.errstate(over="ignore"):
            for q in reversed(RULES):
                # where the model failed before, the check itself must be good enough
                rule[worst <= np.where(doubt, (allowed / GAIN[q - 1]) ** (0.5 / (q - 1)),
                                       (allowed / GAIN[q]) ** (0.5 / q))] = q
        rule[log_size < self.log_share - NEGLIGIBLE] = RULES[0]
        # a jump to infinity is never resolved: stop at slivers, and before the coordinates run out of digits
        hard = (slope >= JUMP).any(0)
        end = hard & ((log_size < self.log_share - 3)
                      | (depth >= MAX_DEPTH_AT_A_JUMP[d])) | (width <= 1e-14 * np.abs(lower)).any(0)
        rule[end & (rule == 0)] = RULES[-1]
        steep = rule == 0
        if steep.any():
            if depth < MAX_DEPTH[d] and self.budget > 0:
                bound = (allowed[steep] / GAIN[RULES[-1]]) ** (0.5 / RULES[-1])
                n_parts = np.clip(np.ceil(reach[:, steep] / bound), 1, 8 if d == 1 else 4).astype(int)
                self.budget -= int(n_parts.prod(0).sum()) * 2 ** d
                self.cut(lower[:, steep], width[:, steep], owner[steep], log_allowed[steep], doubt[steep],
                         n_parts, depth)
            else:
                rule[steep], steep = RULES[-1], np.zeros(n, bool)
        for q in RULES:
            pick = np.flatnonzero(rule == q)
            if not pick.size:
                continue
            box = np.ascontiguousarray(lower[:, pick]), np.ascontiguousarray(width[:, pick])
            logs, gap = self.sums(*box, q)
            with np.errstate(all="ignore"):
                seen = logs + np.log1p(np.nan_to_num(gap, nan=0.0, posinf=np.inf))     # by the edges, too
                gap = np.where(gap <= 1.0, gap, 1.0)                # also NaN: f is no number at the edge
                # the difference is that of the weaker rule; where it is as large as the model says, the
                # better one is far better
                smooth = (gap <= 10 * GAIN[q - 1] * worst[pick] ** (2 * q - 2) + 1e-15) & ~doubt[pick]
                error = np.where(smooth, STATED_GAIN * gap, gap)
                # of the box as it turned out, which may hold far more than its probe suggested
                allowed_now = np.exp(np.clip(np.minimum(log_allowed[pick], self.log_share) - seen, -35.0, 0.0))
            again = ~end[pick] & (np.where(doubt[pick], gap, CHECK_GAIN * gap) > allowed_now
                                  + 2e-16) & (seen > self.log_share - NEGLIGIBLE)
            if depth >= MAX_DEPTH[d] or self.budget <= 0:
                again[:] = False
            if again.any():
                chosen = pick[again]
                self.budget -= chosen.size * 2 ** d * (q ** d)
                n_parts = np.where(reach[:, chosen] >= 0.3 * worst[chosen], 2, 1)
                self.cut(lower[:, chosen], width[:, chosen], owner[chosen], log_allowed[chosen],
                         np.ones(chosen.size, bool), n_parts, depth)
            keep = ~again
            self.done.append((owner[pick[keep]], logs[keep], error[keep]))

    def walls(self, lower, width, doubt):
        """Boxes, among those in doubt, that a jump of f crosses: halving them finds it slowly."""
        at = np.flatnonzero(doubt)
        found = np.zeros(doubt.size, bool)
        found[at] = at.size and has_jump(self.exponent, lower[:, at], width[:, at])
        return found

    def log_relative(self, log_size):
        """log of the relative accuracy asked of boxes that carry next to no mass."""
        return np.where(log_size > self.log_share - REMOTE, np.log(RELATIVE[self.d]), np.log(1e-2))

    def probe(self, lower, width):
        """beta |df| over half a box and beta |d2f|/2 along each axis (d, n), and the estimated log of the
        mass (n,)."""
        d, n = lower.shape
        X = np.empty((d, (2 * d + 1) * n))
        X.reshape(d, 2 * d + 1, n)[:] = (lower + width / 2)[:, None]
        view = X.reshape(d, 2 * d + 1, n)
        for a in range(d):
            view[a, 1 + 2 * a], view[a, 2 + 2 * a] = lower[a], lower[a] + width[a]
        B = self.exponent(X).reshape(2 * d + 1, n)
        centre, left, right = B[0], B[1::2], B[2::2]
        with np.errstate(all="ignore"):
            slope = np.maximum(abs(left - centre), abs(right - centre))
            bend = abs(left + right - 2 * centre) / 2
            # the mass that the lowest faces promise, and not only the centre: it may lie behind a wall
            low = np.minimum(left, right)
            fall = np.clip(np.nan_to_num(centre - low, nan=0.0), 0.0, 700.0)
            log_size = np.log(width).sum(0) - centre + (fall - np.log1p(2 * fall)).sum(0)
            beyond = np.log(width).sum(0) - low.min(0) - np.log1p(2 * JUMP)
            log_size = np.where(log_size > beyond, log_size, beyond)
            # inf at a wall: cut until it is a sliver
            slope, bend = (np.where(np.isfinite(a), a, JUMP) for a in (slope, bend))
            log_size = np.where(np.isfinite(log_size), log_size, self.log_share - 60.0)
        return slope, bend, log_size

    def sums(self, lower, width, q):
        """log of the integral over each box by q points an axis, and its relative difference from the
        check."""
        d, n = lower.shape
        high, low = (np.ascontiguousarray(np.vstack([nodes.T, weights])) for nodes,
                     weights in (tensor_rule(q, d), tensor_rule(q, d, lobatto)))
        e = self.exponent
        if e.is_compiled:
            from .mass_kernels import box_sums
            out = np.empty((2, n))
            box_sums(lower, width, e.potential.block("value"), e.potential.p, e.beta, e.f0, high, low, out)
            return out[0], out[1]
        nodes = np.hstack([high[:d], low[:d]])
        E = -e((lower[:, None] + nodes[:, :, None] * width[:, None]).reshape(d, -1)).reshape(-1, n)
        top = np.maximum(E[:high.shape[1]].max(0), -1e300)
        with np.errstate(all="ignore"):
            w = np.exp(E - top)
            S, R = high[d] @ w[:high.shape[1]], low[d] @ w[high.shape[1]:]
            return np.log(width.prod(0) * S) + top, np.where(S > 0, abs(R - S) / S, 0.0)

    def cut(self, lower, width, owner, log_allowed, doubt, n_parts, depth):
        """Cut boxes into n_parts (d, n) along each axis; the parts wait for a later round."""
        for kind in np.unique(n_parts, axis=1).T:
            pick = (n_parts == kind[:, None]).all(0)
            if (kind == 1).all():                      # nothing to cut along: halve everything
                kind = np.full(self.d, 2)
            w = width[:, pick] / kind[:, None]
            offsets = np.array(list(np.ndindex(*kind))).T                    # (d, parts)
            low = lower[:, pick, None] + offsets[:, None, :] * w[:, :, None]
            parts = offsets.shape[1]
            self.waiting.append((depth + 1, low.reshape(self.d, -1), np.repeat(w, parts, axis=1),
                                 np.repeat(owner[pick], parts),
                                 np.repeat(log_allowed[pick] - np.log(parts), parts),
                                 np.repeat(doubt[pick], parts)))


def gathered(done, n_owners, f0):
    """Sum of the parts (owner, log, relative error) of each owner."""
    if not done:
        return Masses(np.full(n_owners, -np.inf), np.zeros(n_owners), f0)
    owner, logs, relative = (np.concatenate(part) for part in zip(*done))
    log_mass = log_sums_by(owner, logs, n_owners)
    safe = np.where(np.isfinite(log_mass), log_mass, np.inf)
    with np.errstate(invalid="ignore"):
        error = np.bincount(owner, np.exp(logs - safe[owner]) * relative, n_owners)
    return Masses(log_mass, error, f0)


def cell_boxes(grid, inside, knots=None):
    """Chunks of (lower, width, owner) for the inside cells; cells are cut at `knots` (per axis), where f is
    less smooth."""
    edges, owners = [], []
    for k in range(grid.ndim):
        e = grid.edges[k]
        if knots is not None:
            near = 1e-7 * grid.widths[k].min()
            extra = np.asarray(knots[k], float)
            extra = extra[(extra > e[0]) & (extra < e[-1])]
            i = np.searchsorted(e, extra)
            extra = extra[np.minimum(extra - e[i - 1], e[np.minimum(i, e.size - 1)] - extra) > near]
            e = np.union1d(e, extra)
        edges.append(e)
        owners.append(np.searchsorted(grid.edges[k], (e[1:] + e[:-1]) / 2) - 1)
    shape = tuple(e.size - 1 for e in edges)
    widths = [np.diff(e) for e in edges]
    flat_inside, is_all = inside.ravel(), bool(inside.all())
    n = int(np.prod(shape))
    step = 4 * CHUNK
    for first in range(0, n, step):
        index = np.unravel_index(np.arange(first, min(first + step, n)), shape)
        owner = np.ravel_multi_index([o[i] for o, i in zip(owners, index)], grid.shape)
        if not is_all:
            pick = flat_inside[owner]
            owner, index = owner[pick], [i[pick] for i in index]
        yield (np.stack([e[i] for e, i in zip(edges, index)]),
               np.stack([w[i] for w, i in zip(widths, index)]), owner)


def cell_masses(potential, theta, grid, inside, f0=None, energies=None):
    """log of int exp(-(f - f0)/theta) over every cell of the grid.

    A mask given as an array is exact as it stands. Walls that cut cells (f = inf, the domain of the potential, a
    mask given by a rule) are followed: the part of a cell beyond them has no mass, and what a cell with its centre
    beyond them holds of the domain counts for its heaviest neighbour (`Masses.own` has it in place).

    Parameters
    ----------
    inside : ndarray of bool, shape grid.shape
        Cells whose centre lies in the domain.
    f0 : float, optional
        Constant taken off; default: the smallest f at the inside cell centres.
    energies : ndarray, shape grid.shape, optional
        f at the cell centres, where it is known already.

    Returns
    -------
    Masses
        ``log_mass`` has one entry a cell (flat), -inf outside.
    """
    if energies is None:
        energies = Exponent(potential, 1.0).energies(grid.points.reshape(-1, grid.ndim).T).reshape(grid.shape)
    f0 = float(energies[inside].min()) if f0 is None else f0
    exponent = Exponent(potential, 1 / theta, f0)
    with np.errstate(all="ignore"):
        scale = log_sum(np.where(inside, np.log(grid.volumes) - (energies - f0) / theta, -np.inf))
    knots, rule, whole = spline_knots(potential), domain_rule(potential, grid), inside
    n_boxes = int(inside.sum()) * (1 if knots is None else 2 ** grid.ndim)
    has_walls = rule is not None or not inside[grid.inside].all()
    if has_walls:
        walled = WalledExponent(exponent, rule)
        whole, cut = cut_by_walls(walled, grid)
        has_walls = bool(cut.any() or (whole != inside).any())
    masses = integrate(exponent, cell_boxes(grid, whole, knots), grid.n_cells, scale, n_boxes)
    if not has_walls:
        return masses
    lower, width, owner = next(iter(cell_boxes(grid, cut)), (np.zeros((grid.ndim, 0)),) * 2 + (np.zeros(0, int),))
    if grid.ndim == 1:
        part = integrate(walled, [(lower, width, owner)], grid.n_cells, scale, n_boxes)
    else:
        part = gathered([cut_masses(walled, lower, width, owner, scale + np.log(TOLERANCE[grid.ndim] / n_boxes))],
                         grid.n_cells, f0)
    own = Masses(np.where(cut.ravel(), part.log_mass, masses.log_mass),
                 np.where(cut.ravel(), part.relative_error, masses.relative_error), f0)
    return _merged(grid, inside, own, cut.ravel())


def _merged(grid, inside, own, cut):
    """Masses in which the parts of the domain in cells with their centre outside belong to their heaviest
    neighbour, across a face if there is one."""
    flat_inside = inside.ravel()
    giver = np.flatnonzero(~flat_inside & (own.log_mass > -np.inf))
    place, taker, best = np.stack(np.unravel_index(giver, grid.shape)), np.full(giver.size, -1), np.full(giver.size,
                                                                                                  -np.inf)
    offsets = [o for o in np.array(list(np.ndindex(*(3,) * grid.ndim))) - 1 if o.any()]
    for distance in range(1, grid.ndim + 1):
        free = taker < 0
        for offset in (o for o in offsets if np.abs(o).sum() == distance):
            there, is_there = neighbour_of(grid, place, offset)
            is_there &= flat_inside[there] & free & (own.log_mass[there] > best)
            taker[is_there], best[is_there] = there[is_there], own.log_mass[there][is_there]
    log_mass, moved = np.where(flat_inside, own.log_mass, -np.inf), np.full(own.log_mass.size, -np.inf)
    given, lost = own.log_mass[giver], taker < 0
    moved[giver] = given
    np.logaddexp.at(log_mass, taker[~lost], given[~lost])
    np.logaddexp.at(moved, taker[~lost], given[~lost])
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(flat_inside, np.exp(own.log_mass - log_mass) * own.relative_error, 0.0)
        np.add.at(error, taker[~lost], np.exp(given - log_mass[taker])[~lost] * own.relative_error[giver][~lost])
    share = float(np.exp(log_sum(given[lost]) - log_sum(log_mass))) if lost.any() else 0.0
    return Masses(log_mass, np.nan_to_num(error), own.f0, own, moved, cut, share)


def neighbour_of(grid, place, offset):
    """Flat cells at an offset from cells at `place` (ndim, n), and whether there is one."""
    there, ok = place + offset[:, None], np.ones(place.shape[1], bool)
    for k, n in enumerate(grid.shape):
        if grid.periodic[k]:
            there[k] %= n
        else:
            ok &= (there[k] >= 0) & (there[k] < n)
    return np.ravel_multi_index(tuple(there), grid.shape, mode="clip"), ok


def spline_knots(potential):
    """Knots of a sampled potential an axis (its third derivative jumps there), or None."""
    axes = getattr(potential, "axes", None)
    if axes is None or len(axes) != potential.ndim:
        return None
    return [np.asarray(a, float) for a in axes]
