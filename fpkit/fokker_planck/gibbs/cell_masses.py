"""Exact Gibbs masses of cells: integrals of exp(-beta (f - f0)) over boxes by adaptive product Gauss rules.

Each box is probed at its centre and at the centres of its faces. Slope and bend of beta f along each axis fix
the smallest rule whose error, for the exponential of a quadratic, stays below the share of that box: a box
that carries no mass only needs a relative accuracy, one with beta f changing by tens is cut into parts. Then
two rules, one of which sees the edges, are compared; boxes where they differ more than the model allows (a
kink, a narrow well) are cut in halves and go round again. What remains is reported as the error.
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from math import factorial

import numpy as np

from ...core.logarithms import log_sum, log_sums_by
from .cut_cells import (
    SEEN,
    WalledExponent,
    beside,
    boxes_of,
    cut_by_walls,
    cut_masses,
    divided,
    domain_rule,
    has_jump,
    parts_of_cells,
)
from .exponent import Exponent
from .narrow_features import cells_with_narrow_features
from .poles import cut_at, point_poles, power_tails
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
ROUGH = 1e-3  # difference of two rules above which a box may hold a jump or a pole
POLE_DEPTH = {1: 10, 2: 6}  # where poles inside a box are looked for
POLE_DROP = 5.0             # theta, of a pole between the ends of a line
MOST_POINT_POLES = 64       # boxes of a plane in which one is looked for in one round, the heaviest bends
CROSS = (0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5)                # corners of a box and its centre
GOLDEN, N_SECTIONS = 0.6180339887498949, 90
FAR = 1e6  # an exponent that makes a neighbour across an edge or corner the last choice
WEIGHTY = 7.0  # log of the mass, over the error that a box may leave, from which a jump is looked for in it
MOST_POLES = 4096  # boxes whose shells are looked at in one round; the others keep a wide error
SLACK = 10.0  # by how much the mass that a probe promises may be too large, as a logarithm
UNRESOLVED = 10.0  # times the difference that is left in a box that is not halved any more
BUDGET = 4_000_000, 40  # points that may go into boxes cut in parts: at least, and for each box
REMOTE = 30.0  # boxes lighter than their share by more than exp(-30) need two digits
NEGLIGIBLE = 400.0                             # exp(-400) of the total: not worth a second look


@dataclass(frozen=True)
class Masses:
    """Logarithms of int exp(-beta (f - f0)) over sets of boxes, and the error of each relative to itself, and
    the poles (d, n_poles) that were found inside them (in a plane).

    Where walls cut cells, the part of the domain in a cell whose centre lies outside is added to a neighbour;
    `own` then holds the masses of the parts themselves, `moved` (n,) the logarithms of what each cell has
    given or taken, `walls` (n,) the cells that are cut, and `lost` the share of the mass that no neighbour
    could take or that was not seen.
    """
    log_mass: np.ndarray
    relative_error: np.ndarray
    f0: float
    poles: np.ndarray | None = None
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
    if log_scale is None:
        boxes = list(boxes)
        n_boxes = sum(b[0].shape[1] for b in boxes)
        log_scale = _estimated_total(exponent, boxes)
    work = _Work(exponent, log_scale, n_boxes)
    for lower, width, owner in boxes:
        for k in range(0, owner.size, CHUNK):
            part = slice(k, k + CHUNK)
            work.run(np.ascontiguousarray(lower[:, part]), np.ascontiguousarray(width[:, part]), owner[part],
                     None, np.zeros(owner[part].size), 0)
    while work.waiting:
        depth, *rest = work.next_round()
        work.run(*rest, depth)
    return replace(gathered(work.done, n_owners, exponent.f0), poles=work.poles)


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

    def __init__(self, exponent, log_scale, n_boxes):
        self.exponent, self.d, self.budget = exponent, exponent.ndim, BUDGET[0] + BUDGET[1] * n_boxes
        self.part = np.log(TOLERANCE[self.d] / max(n_boxes, 1))
        self.log_share = log_scale + self.part
        self.done, self.waiting, self.poles = [], [], np.zeros((self.d, 0))

    def weighed(self, log_mass, slack=0.0):
        """Masses that have been seen: errors count against the largest of them."""
        top = np.max(log_mass, initial=-np.inf, where=np.isfinite(log_mass))
        self.log_share = max(self.log_share, top - slack + self.part)

    def next_round(self):
        """All waiting boxes of the smallest depth together, at most CHUNK."""
        self.waiting.sort(key=lambda item: -item[0])
        group = [self.waiting.pop()]
        while self.waiting and self.waiting[-1][0] == group[0][0] and sum(g[3].size for g in group) < CHUNK:
            group.append(self.waiting.pop())
        return (group[0][0], *(np.concatenate([g[k] for g in group], axis=-1) for k in (1, 2, 3, 4, 5)))

    def run(self, lower, width, owner, log_allowed, doubt, depth):
        """One round: probe, choose the rule or cut, integrate, compare. `doubt` is 0 or, for parts of a box
        where the model failed, the difference that it left."""
        d = self.d
        if depth == POLE_DEPTH.get(d):
            cut = self.cut_at_poles if d == 1 else self.cut_at_points
            lower, width, *rest = cut(lower, width, owner, log_allowed, doubt)
            owner, log_allowed, doubt = rest
        slope, bend, log_size, at_pole = self.probe(lower, width)
        if d == 2 and depth:             # in space there are too many boxes at a wall: they are halved
            walls = self.walls(lower, width, log_size, (doubt > ROUGH) | (slope >= JUMP).any(0))
            if walls.any():
                self.done.append(cut_masses(self.exponent, lower[:, walls], width[:, walls], owner[walls],
                                            self.log_share))
                lower, width, slope, bend = (np.ascontiguousarray(a[:, ~walls])
                                             for a in (lower, width, slope, bend))
                owner, doubt, log_size, log_allowed, at_pole = (a[~walls] for a in (owner, doubt, log_size,
                                                                                    log_allowed, at_pole))
        hard, far = (slope >= JUMP).any(0), np.abs(lower)
        n, in_doubt = owner.size, (doubt > 0) | hard
        if d == 1 and depth > POLE_DEPTH[1]:
            at_pole |= (log_size > np.log(width[0]) - self.exponent(lower + width / 2) + 0.5)
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
                bound = (allowed / GAIN[q]) ** (0.5 / q)
                if in_doubt.any():              # where the model failed, the check itself must be good enough
                    bound[in_doubt] = (allowed[in_doubt] / GAIN[q - 1]) ** (0.5 / (q - 1))
                rule[worst <= bound] = q
        rule[log_size < self.log_share - NEGLIGIBLE] = RULES[0]
        # a jump to infinity is never resolved: stop at slivers, and before the coordinates run out of digits
        end = hard & ((log_size < self.log_share - 3)
                      | (depth >= MAX_DEPTH_AT_A_JUMP[d])) | (width <= 1e-14 * far).any(0)
        poles = np.flatnonzero(at_pole)
        poles = poles[(width[:, poles] <= 1e-7 * far[:, poles]).any(0)]
        if poles.size:
            end[poles] |= ~has_jump(self.exponent, lower[:, poles], width[:, poles])
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
                rule[steep] = RULES[-1]
        for q in RULES:
            pick = np.flatnonzero(rule == q)
            if not pick.size:
                continue
            box = np.ascontiguousarray(lower[:, pick]), np.ascontiguousarray(width[:, pick])
            logs, gap = self.sums(*box, q)
            poles = self.at_poles(box, logs, q)
            if poles.size:
                gap[poles], logs[poles] = np.inf, log_size[pick[poles]]
            with np.errstate(all="ignore"):
                seen = logs + np.log1p(np.fmax(gap, 0.0))           # by the edges, too
                gap = np.where(gap <= 1.0, gap, 1.0)                # also NaN: f is no number at the edge
                # the difference is that of the weaker rule; where it is as large as the model says, the
                # better one is far better
                smooth = (gap <= 10 * GAIN[q - 1] * worst[pick] ** (2 * q - 2) + 1e-15) & ~in_doubt[pick]
                error = np.where(smooth, STATED_GAIN * gap, gap)
                self.weighed(np.where(gap < ROUGH, logs, -np.inf))
                # of the box as it turned out, which may hold far more than its probe suggested
                most = np.minimum(log_allowed[pick], self.log_share)
                allowed_now = np.exp(np.clip(most - seen, -35.0, 0.0))
            unfinished = ((np.where(in_doubt[pick], gap, CHECK_GAIN * gap) > allowed_now + 2e-16)
                          & (seen > self.log_share - NEGLIGIBLE))
            again = unfinished & ~end[pick] & (depth < MAX_DEPTH[d]) & (self.budget > 0)
            if again.any():
                chosen = pick[again]
                self.budget -= chosen.size * 2 ** d * (q ** d)
                n_parts = np.where(reach[:, chosen] >= 0.3 * worst[chosen], 2, 1)
                self.cut(lower[:, chosen], width[:, chosen], owner[chosen], log_allowed[chosen], gap[again],
                         n_parts, depth)
            last = np.flatnonzero(unfinished & ~again & (gap > ROUGH))
            if last.size:
                logs[last], error[last] = self.tails(box[0][:, last], box[1][:, last], logs[last], gap[last])
            keep = ~again
            self.done.append((owner[pick[keep]], logs[keep], error[keep]))

    def at_poles(self, box, logs, q):
        """Boxes whose sum met f = -inf, and no NaN of f."""
        found = logs == np.inf
        at = np.flatnonzero(np.isnan(logs))
        if at.size:
            nodes = tensor_rule(q, self.d)[0].T
            X = box[0][:, None, at] + nodes[:, :, None] * box[1][:, None, at]
            B = self.exponent(X.reshape(self.d, -1)).reshape(-1, at.size)
            found[at] = np.isneginf(B).any(0) & ~np.isnan(B).any(0)
        return np.flatnonzero(found)

    def walls(self, lower, width, log_size, doubt):
        """Boxes of weight, among those in doubt, that a jump of f crosses: halving them finds it slowly."""
        at = np.flatnonzero(doubt & (log_size > self.log_share + WEIGHTY))
        found = np.zeros(doubt.size, bool)
        found[at] = at.size and has_jump(self.exponent, lower[:, at], width[:, at])
        return found

    def cut_at_poles(self, lower, width, owner, log_allowed, doubt):
        """The boxes of a line, those that hold a pole of f between their ends cut there."""
        low, high = lower[0].copy(), lower[0] + width[0]
        ends = np.minimum(self.exponent(lower), self.exponent(lower + width))
        for _ in range(N_SECTIONS):
            a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
            is_left = self.exponent(a[None]) <= self.exponent(b[None])
            low, high = np.where(is_left, low, a), np.where(is_left, b, high)
        least = (low + high) / 2
        deep = self.exponent(least[None]) < ends - POLE_DROP
        deep &= (least > lower[0]) & (least < lower[0] + width[0])
        at = least[deep]
        rest = lower[0, deep] + width[0, deep] - at
        width = width.copy()
        width[0, deep] = at - lower[0, deep]
        return (np.append(lower, at[None], axis=1), np.append(width, rest[None], axis=1),
                *(np.append(a, a[deep]) for a in (owner, log_allowed, doubt)))

    def cut_at_points(self, lower, width, owner, log_allowed, doubt):
        """The boxes of a plane, those that hold a pole of f cut there: halving keeps it in a corner."""
        with np.errstate(all="ignore"):
            E = np.array([self.exponent(lower + np.array(c)[:, None] * width) for c in CROSS])
            weight = np.log(width).sum(0) - E.min(0) + np.log(np.abs(E[:-1].mean(0) - E[-1]))
            weight = np.where(E.min(0) == -np.inf, np.inf, np.nan_to_num(weight, nan=-np.inf))
        at = np.argsort(-weight, kind="stable")[:MOST_POINT_POLES]
        places = np.full(lower.shape, np.nan)
        places[:, at] = point_poles(self.exponent, lower[:, at], width[:, at])
        self.poles = np.append(self.poles, places[:, np.isfinite(places[0])], axis=1)
        lower, width, which = cut_at(places, lower, width)
        return (np.ascontiguousarray(lower), np.ascontiguousarray(width),
                *(a[which] for a in (owner, log_allowed, doubt)))

    def tails(self, lower, width, logs, gap):
        """log masses and relative errors of boxes that will not be halved any more: by the exponent of a pole
        where there is one."""
        rule = lambda *box: self.sums(*(np.ascontiguousarray(a) for a in box), RULES[-1])[0]
        found, error = np.full(logs.size, np.nan), np.full(logs.size, np.nan)
        at = np.flatnonzero(~has_jump(self.exponent, lower, width))
        at = at[:MOST_POLES]
        if at.size:
            found[at], error[at] = power_tails(rule, lower[:, at], width[:, at])
        if np.isposinf(found).any():
            at = (lower + width / 2)[:, np.flatnonzero(np.isposinf(found))[0]]
            raise ValueError(f"exp(-f/theta) has no finite integral near {np.round(at, 6).tolist()}: f falls "
                             "there as fast as theta times the logarithm of the volume around it, or faster; "
                             "raise theta or take the place out with Grid(..., mask=...).")
        is_pole = np.isfinite(found)
        # else the most that a box may hold, by its highest density: a wall passes through it
        middle = lower + width / 2
        B = np.min([self.exponent(x) for x in (lower, middle, lower + width)], axis=0)
        most = np.log(width).sum(0) - B
        logs = np.where(np.isfinite(most) & (logs < most - 30), most - np.log(2), logs)
        with np.errstate(all="ignore"):
            bound = np.where(np.isfinite(most), np.exp(np.minimum(most - logs, 40.0)), 0.0)
        return np.where(is_pole, found, logs), np.where(is_pole, error, np.maximum(UNRESOLVED * gap, bound))

    def log_relative(self, log_size):
        """log of the relative accuracy asked of boxes that carry next to no mass."""
        return np.where(log_size > self.log_share - REMOTE, np.log(RELATIVE[self.d]), np.log(1e-2))

    def probe(self, lower, width):
        """beta |df| over half a box and beta |d2f|/2 along each axis (d, n), the estimated log of the mass
        (n,), and whether f = -inf was met. What the boxes hold at least, but for `SLACK`, is `weighed`."""
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
            fall = np.fmax(np.fmin(centre - low, 700.0), 0.0)
            volume = np.log(width).sum(0)
            at_pole = np.isneginf(B).any(0)
            # only where it could tell: the least mass is below that without the logarithm
            most = volume - centre + fall.sum(0)
            heavy = np.flatnonzero((most - SLACK + self.part > self.log_share) & ~at_pole)
            sure = (volume - centre)[heavy] + (fall[:, heavy] - np.log1p(2 * fall[:, heavy])).sum(0)
            beyond = volume - low.min(0) - d * np.log(2)
            s = np.where(np.isfinite(slope), np.minimum(slope, 300.0), 0.0) + 1e-3
            log_size = volume - centre + np.log(np.sinh(s) / s).sum(0)
            log_size = np.where(log_size > beyond, log_size, beyond)
            # inf at a wall: cut until it is a sliver
            slope, bend = (np.where(np.isfinite(a), a, JUMP) for a in (slope, bend))
            lost = ~np.isfinite(log_size)
            log_size[lost] = self.log_share + np.where(np.isposinf(log_size[lost]), 60.0, -60.0)
        self.weighed(sure, SLACK)
        return slope, bend, log_size, at_pole

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
        code = n_parts.T @ 10 ** np.arange(self.d)[::-1]   # the parts of each axis as digits
        for number in np.flatnonzero(np.bincount(code)):
            pick = np.flatnonzero(code == number)
            kind = n_parts[:, pick[0]]
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

    A mask given as an array is exact as it stands. Walls that cut cells (f = inf, the domain of the
    potential, a mask given by a rule) are followed: the part of a cell beyond them has no mass, and what a
    cell with its centre beyond them holds of the domain counts for its heaviest neighbour (`Masses.own` has
    it in place).

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
    parts = parts_of_cells(grid)
    n_boxes = int(inside.sum()) * (parts if knots is None else 2 * parts) ** grid.ndim
    has_walls = rule is not None or not inside[grid.inside].all() or parts > 1
    if has_walls:
        walled = WalledExponent(exponent, rule)
        whole, cut, hidden, looks = cut_by_walls(walled, grid)
        has_walls = bool(cut.any() or (whole != inside).any())
    boxes = (divided(*part, parts) for part in cell_boxes(grid, whole, knots))
    masses = integrate(exponent, boxes, grid.n_cells, scale, n_boxes)
    if grid.ndim > 1 and knots is None:
        masses = _looked_into(exponent, grid, whole, masses)
    if not has_walls:
        return masses
    allowed = scale + np.log(TOLERANCE[grid.ndim] / (n_boxes / parts**grid.ndim))
    done, looked = [], np.zeros(grid.shape, bool)
    new = flagged = cut
    while new.any():                             # a corner may reach into cells that show none of it
        looked = looked | new
        for boxes in cell_boxes(grid, new):
            at = hidden.ravel()[boxes[2]]
            boxes = tuple(np.concatenate(pair, axis=-1) for pair in zip(
                (a[..., ~at] for a in boxes), divided(*(a[..., at] for a in boxes), looks)))
            lower, width, owner = boxes
            if grid.ndim == 1:
                part, owner = integrate(walled, [boxes], grid.n_cells, scale, n_boxes), np.unique(owner)
                done.append((owner, part.log_mass[owner], part.relative_error[owner]))
                continue
            if new is not flagged:
                at = has_jump(walled, lower, width, SEEN[grid.ndim])
                lower, width, owner = lower[:, at], width[:, at], owner[at]
            if owner.size:
                done.append(cut_masses(walled, lower, width, owner, allowed))
        found = gathered(done, grid.n_cells, f0).log_mass.reshape(grid.shape) > -np.inf
        new = beside(grid, new & found) & ~looked & ~whole & (grid.inside if grid.has_array_mask else True)
        cut = cut | new
    part = gathered(done, grid.n_cells, f0)
    own = Masses(np.where(cut.ravel(), part.log_mass, masses.log_mass),
                 np.where(cut.ravel(), part.relative_error, masses.relative_error), f0, masses.poles)
    # tips of corners that end between the points at which edges are looked at
    unseen = 4.0 / SEEN[grid.ndim] ** 2 / 4 if grid.ndim > 1 else 0.0
    heaviest = np.exp(np.max(own.log_mass, where=~whole.ravel(), initial=-np.inf) - own.log_total)
    return _merged(grid, inside, own, cut.ravel(), unseen * heaviest)


def _looked_into(exponent, grid, whole, masses):
    """The masses, those of cells with features between the points of the rules from parts of these cells."""
    at, parts = cells_with_narrow_features(exponent, grid, whole, masses)
    if not at.size:
        return masses
    near = np.zeros(grid.n_cells, bool)
    near[at] = True                                                  # and what reaches into neighbours
    at = np.flatnonzero(beside(grid, near.reshape(grid.shape)) & whole)
    boxes = divided(*boxes_of(grid, at), parts)
    found = integrate(exponent, [boxes], grid.n_cells, masses.log_total, int(whole.sum()))
    log_mass, error = masses.log_mass.copy(), masses.relative_error.copy()
    log_mass[at], error[at] = found.log_mass[at], found.relative_error[at]
    return replace(masses, log_mass=log_mass, relative_error=error,
                   poles=np.append(masses.poles, found.poles, axis=1))


def _merged(grid, inside, own, cut, unseen):
    """Masses in which the parts of the domain in cells with their centre outside belong to their heaviest
    neighbour, across a face if there is one."""
    flat_inside = inside.ravel()
    giver = np.flatnonzero(~flat_inside & (own.log_mass > -np.inf))
    place = np.stack(np.unravel_index(giver, grid.shape))
    taker = np.where(flat_inside, np.arange(flat_inside.size), -1)       # of every cell; -1: none yet
    offsets = sorted((o for o in np.array(list(np.ndindex(*(3,) * grid.ndim))) - 1 if o.any()),
                     key=lambda o: np.abs(o).sum())
    free = np.ones(giver.size, bool)
    while free.any():                                    # from neighbour to neighbour out into thin corners
        found, best, known = np.full(giver.size, -1), np.full(giver.size, -np.inf), taker.copy()
        for offset in offsets:
            there, is_there = neighbour_of(grid, place, offset)
            weight = own.log_mass[there] - FAR * np.abs(offset).sum()
            weight = np.where(is_there & (known[there] >= 0), weight, -np.inf)
            better = free & (weight > best)
            found[better], best[better] = known[there][better], weight[better]
        taker[giver[found >= 0]] = found[found >= 0]
        if not (found >= 0).any():
            break
        free &= found < 0
    taker = taker[giver]
    log_mass, moved = np.where(flat_inside, own.log_mass, -np.inf), np.full(own.log_mass.size, -np.inf)
    given, lost = own.log_mass[giver], taker < 0
    moved[giver] = given
    np.logaddexp.at(log_mass, taker[~lost], given[~lost])
    np.logaddexp.at(moved, taker[~lost], given[~lost])
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(flat_inside, np.exp(own.log_mass - log_mass) * own.relative_error, 0.0)
        share = np.exp(given - log_mass[taker]) * own.relative_error[giver]
        np.add.at(error, taker[~lost], share[~lost])
    share = float(np.exp(log_sum(given[lost]) - log_sum(log_mass))) if lost.any() else 0.0
    return Masses(log_mass, np.nan_to_num(error), own.f0, own.poles, own, moved, cut, share + unseen)


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
