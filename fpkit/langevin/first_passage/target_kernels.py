"""When and where a path meets a target: signed distances on blocks of walkers, and the Brownian bridge inside
a step.

A step from o to y at signed distances s > 0 and t of a wall met it if t <= 0, and otherwise with probability
exp(-2 s t / v), v = 2 theta dt n'Mn the variance of the distance in one step (n the gradient of the distance,
M the mobility). That is exact for a flat wall and a constant drift; replacing a curved wall by its tangent
plane keeps weak order 1 in dt [1]_. Given a hit, the fraction u of the step at which it happened has u/(1 -
u) distributed as an inverse Gaussian with mean s/|t| and shape s^2/v, drawn by the method of [2]_; the place
is the bridge at that fraction, conditioned on lying on the wall. With v = 0 the piece from o to y is
straight.

In one dimension a path meets the nearest edge of a target on either side of it, and nothing behind that edge
matters: the sign of the distance to the edge decides, however narrow the target is.

Mirrors and periodic seams are undone by images: the step before it was folded goes from o to r; the same
step, mirrored or shifted by a period, is tested against the part of the target inside the box. Only the sides
of the box that the step reaches have images.

.. [1] E. Gobet, ESAIM: Probab. Stat. 5, 261 (2001).
.. [2] J. Michael, W. Schucany, R. Haas, Am. Stat. 30, 88 (1976).
"""
import math
from typing import NamedTuple

import numba
import numpy as np
from numba import types

from ...core.compilation import (
    flag,
    helper,
    integer,
    integers_1d,
    kernel,
    number,
    numbers_1d,
    numbers_2d,
    unsigned,
)
from ...core.compilation.special import bare, options
from ..dynamics.noise_kernels import BRIDGE, EXIT, words_of
from ..dynamics.step_kernels import apply_mobility, copy, euler_maruyama, through, through_place
from ..dynamics.wall_kernels import NEAR, NONE, PERIODIC, REFLECTING, fold

HALF_SPACE, BALL, OUTSIDE_BALL, BOX, INTERVAL = range(5)         # INTERVAL: low, high, in one dimension only
SLOPE = 1e-6  # step of the differences that give a wall's normal, in units of max(1, |x|)
WORD = 2.3283064365386963e-10                    # 2^-32
TINY = 1e-300


class TargetWalls(NamedTuple):
    """The pieces of the targets: rows wall, kind, numbers of the shape, and the first row of each wall."""
    atoms: np.ndarray
    first: np.ndarray


class Step(NamedTuple):
    """One Euler-Maruyama step of length dt: dt, theta, root of the mobility (d, d), whether it is a full
    matrix and whether it is isotropic; scale = 2 theta dt; reach, the largest product of distances that a
    bridge may cross; rate and spread (d,), the diagonals of dt M and of sqrt(scale) A (of dt and sqrt(scale)
    for a full matrix); whether the gradient is minus the whole drift, and how many rows of M(x) follow below
    it (as in `step_kernels.Mobility`): root and reach are then those of `step_of_lane` and `reach_of`."""
    dt: float
    theta: float
    root: np.ndarray
    is_full: bool
    is_isotropic: bool
    scale: float
    reach: float
    rate: np.ndarray
    spread: np.ndarray
    is_drift: bool
    rows: int


targets_t = types.NamedTuple((numbers_2d, integers_1d), TargetWalls)
step_t = types.NamedTuple((number, number, numbers_2d, flag, flag, number, number, numbers_1d, numbers_1d,
                           flag, integer), Step)


def step_of(dt, theta, mobility, is_drift=False, rows=0):
    """The Step of a mobility, with numbers formed once and in this order."""
    scale = 2.0 * theta * dt
    if rows > 0:
        ones = np.ones(mobility.ndim)
        return Step(dt, theta, np.eye(ones.size), False, rows == 1, scale, 0.0, dt * ones,
                    math.sqrt(scale) * ones, True, rows)
    root, matrix = mobility.root, mobility.matrix
    widest, sigma, diagonal = float(np.linalg.eigvalsh(matrix)[-1]), math.sqrt(scale), np.diag(root)
    is_isotropic = bool((matrix == matrix[0, 0] * np.eye(len(root))).all())
    rate = np.full(len(root), dt) if mobility.is_full or is_drift else dt * diagonal * diagonal
    spread = np.full(len(root), sigma) if mobility.is_full else sigma * diagonal
    return Step(dt, theta, root, mobility.is_full, is_isotropic, scale, 0.5 * NEAR * scale * widest, rate,
                spread, is_drift, 0)


@numba.njit(**options)
def straight_step(dt, theta, d):
    """A Step without noise of its own: pieces of a path are straight, and only their ends decide."""
    return Step(dt, theta, np.eye(d), False, True, 0.0, TINY, np.zeros(d), np.zeros(d), False, 0)


class Moves(NamedTuple):
    """The last step of a block: places before O, after Y, and after but before the walls of the box folded it
    R (d, lanes); distances (n_walls, lanes) before and after."""
    O: np.ndarray
    Y: np.ndarray
    R: np.ndarray
    before: np.ndarray
    after: np.ndarray


moves_t = types.NamedUniTuple(numbers_2d, 5, Moves)


@helper
def make_step(Y, O, R, G, W, row, step, box, sign, wound):
    """O = Y, then one Euler-Maruyama step of Y with the gradient G and the normals in the rows row.. of W, R
    = Y, and the walls of the box. Without walls R is Y itself. Rows of a full M(x) become those of its
    root."""
    if step.rows > 0:
        through_place(G, W, row, Y.shape[0])
    elif step.is_full:
        if not step.is_drift:
            apply_mobility(step.root, G)
        through(step.root, W, row)
    copy(Y, O)
    euler_maruyama(Y, G, W, row, 1.0, 1.0, step.rate, step.spread)
    if box.shape[1] > 0:
        copy(Y, R)
        fold(Y, box, sign, wound)


@numba.njit(**options)
def reach_of(step, G):
    """The reach of the last step of a block: with M(x) that of the largest trace in G (d + rows, lanes)."""
    if step.rows == 0:
        return step.reach
    d, widest = step.rate.size, 0.0
    for j in range(G.shape[1]):
        trace = 0.0
        for m in range(d, d + step.rows):
            trace += G[m, j] * G[m, j] if step.rows > d else G[m, j]
        widest = max(widest, trace)
    return 0.5 * NEAR * step.scale * (widest * d if step.rows == 1 else widest)


@numba.njit(**options)
def step_of_lane(step, G, j, reach, root):
    """The last step of one lane, with its root of M(x) from G (d + rows, lanes) in root (d, d)."""
    if step.rows == 0:
        return step
    d = root.shape[0]
    for i in range(d):
        for k in range(i + 1):
            if step.rows > d:
                root[i, k] = G[d + i * (i + 1) // 2 + k, j]
            elif k == i:
                root[i, i] = math.sqrt(G[d if step.rows == 1 else d + i, j])
    return Step(step.dt, step.theta, root, step.is_full, step.is_isotropic, step.scale, reach, step.rate,
                step.spread, step.is_drift, step.rows)


@helper
def list_near(O, R, before, after, box, reach, near):
    """How many lanes may have met a wall, their numbers first in near (lanes,): distances before and after a
    step whose product is small, a step in one dimension that is longer than the distance, and sides of the
    box that the step may have reached. Only these lanes are worth a call of `hit_of_lane`."""
    total = 0
    for w in range(before.shape[0]):
        for j in range(near.size):
            is_close = before[w, j] * after[w, j] < reach
            if O.shape[0] == 1:
                is_close |= abs(R[0, j] - O[0, j]) >= before[w, j]
            count = 1 if is_close else 0
            near[j] = count + (near[j] if w > 0 else 0)
            total += count
    for i in range(box.shape[1]):
        for side in range(2):
            if box[side, i] == REFLECTING or box[side, i] == PERIODIC:  # noqa: SIM109 - compiled
                place = box[2 + side, i]
                for j in range(near.size):
                    count = 1 if (O[i, j] - place) * (R[i, j] - place) < reach else 0
                    near[j] += count
                    total += count
    n_near = 0
    for j in range(near.size if total > 0 else 0):
        is_near, near[n_near] = near[j] > 0, j
        n_near += 1 if is_near else 0
    return n_near


@numba.njit(**options)
def hit_of_lane(moves, j, targets, step, box, trajectory, k, seed, o, y):
    """(wall, fraction of the step) at which the walker of the lane j first met a wall in its step k; (-1, 2)
    if it met none. o and y (d,) become the ends of the step, or those of the image that met the wall. For
    lanes that `list_near` names."""
    column(moves.O, j, o)
    column(moves.R, j, y)
    low, high = -math.inf, math.inf
    for i in range(box.shape[1]):
        for side in range(2):
            if _is_reached(o, y, i, side, box, step.reach):
                return _hit_of_images(moves, j, targets, step, box, trajectory, k, seed, o, y)
    if box.shape[1] > 0:
        low, high = _inside(box)
    return first_hit(o, y, moves.before, moves.after, j, targets, step, (low, high, False), trajectory, k, 0,
                     seed)


@helper
def _inside(box):
    """The lowest and the highest place inside the box on its first axis."""
    return (box[2, 0] if box[0, 0] != NONE else -math.inf), (box[3, 0] if box[1, 0] != NONE else math.inf)


@numba.njit(**options)
def _hit_of_images(moves, j, targets, step, box, trajectory, k, seed, o, y):
    """`hit_of_lane` for a step that may have reached mirrors or seams."""
    d, n = o.size, moves.before.shape[0]
    b, a = np.empty((n, 1)), np.empty((n, 1))
    for w in range(n):
        b[w, 0] = moves.before[w, j]
    point_distances(y, targets, a)
    _forget_outside(o, y, b, a, box)
    low, high = _inside(box)
    wall, fraction = first_hit(o, y, b, a, 0, targets, step, (low, high, False), trajectory, k, 0, seed)
    start, r, best_o, best_y = o.copy(), y.copy(), o.copy(), y.copy()
    axes, sides, n_sides, is_met = np.empty(2 * d, np.int64), np.empty(2 * d, np.int64), 0, wall >= 0
    for i in range(d):
        for side in range(2):
            if _is_reached(start, r, i, side, box, step.reach):
                axes[n_sides], sides[n_sides], n_sides = i, side, n_sides + 1
    for p in range(n_sides):
        for q in range(p, n_sides):              # q = p: one side alone, else a corner of the box
            if q > p and axes[q] == axes[p]:
                continue
            for i in range(d):
                o[i], y[i] = start[i], r[i]
            low, high = _to_image(o, y, axes[p], sides[p], box)
            if q > p:
                _to_image(o, y, axes[q], sides[q], box)
            if not _image_distances(o, b, targets, axes[p], sides[p], axes[q], sides[q], box):
                continue
            _image_distances(y, a, targets, axes[p], sides[p], axes[q], sides[q], box)
            for w in range(n):
                # a target that goes through a side is its own image there: the same random words, met once
                first = 0 if _goes_through(targets, w, axes[p], sides[p], box) else 1 + 2 * axes[p] + sides[p]
                second = 1 + 2 * axes[q] + sides[q]
                if q == p or _goes_through(targets, w, axes[q], sides[q], box):
                    second = 0
                image = max(first, second) * (2 * d + 1) + min(first, second)
                if image == 0 and is_met:
                    continue
                hit = w
                if d > 1:
                    v = variance_of(o, y, b[w, 0], a[w, 0], targets, w, step)
                    u = bridge_hit(b[w, 0], a[w, 0], v, trajectory, image * n + w, k, seed)
                else:
                    part = (low, high, box[sides[p], axes[p]] == REFLECTING)
                    hit, u = first_hit(o, y, b, a, 0, targets, step, part, trajectory, k, image * n, seed)
                if u < fraction:
                    wall, fraction = hit, u
                    for i in range(d):
                        best_o[i], best_y[i] = o[i], y[i]
                if d == 1:
                    break
    for i in range(d):
        o[i], y[i] = best_o[i], best_y[i]
    return wall, fraction


@helper
def _is_reached(o, y, axis, side, box, reach):
    """Whether the step from o to y (d,) may have reached a mirror or seam on this side."""
    place, kind = box[2 + side, axis], box[side, axis]
    return kind in (REFLECTING, PERIODIC) and (o[axis] - place) * (y[axis] - place) < reach


@numba.njit(**options)
def _forget_outside(o, y, b, a, box):
    """a = inf for the walls whose crossing on the line from o to y lies outside the box: only images count
    there."""
    for w in range(a.shape[0]):
        if a[w, 0] <= 0.0 < b[w, 0]:
            u = b[w, 0] / (b[w, 0] - a[w, 0])
            for i in range(box.shape[1]):
                z, slack = o[i] + u * (y[i] - o[i]), 1e-9 * (1.0 + abs(o[i]))
                is_below = box[0, i] != NONE and z < box[2, i] - slack
                if is_below or box[1, i] != NONE and z > box[3, i] + slack:
                    a[w, 0] = math.inf


@numba.njit(**options)
def _to_image(o, y, axis, side, box):
    """Mirror or shift o and y (d,) at a side of the box; the part (low, high) of the axis in which the image
    of the target lies."""
    low, high = box[2, axis], box[3, axis]
    if box[side, axis] == PERIODIC:
        shift = high - low if side == 0 else low - high
        o[axis] += shift
        y[axis] += shift
        return (low, math.inf) if side == 1 else (-math.inf, high)
    place = box[2 + side, axis]
    o[axis], y[axis] = 2.0 * place - o[axis], 2.0 * place - y[axis]
    return (low, math.inf) if side == 0 else (-math.inf, high)


@numba.njit(**options)
def _beyond(x, axis, side, box):
    """Signed distance of an image x (d,) to the inside of the box, across the side at which it was made."""
    inner = side if box[side, axis] == REFLECTING else 1 - side
    return box[2, axis] - x[axis] if inner == 0 else x[axis] - box[3, axis]


@numba.njit(**options)
def _image_distances(x, out, targets, axis, side, axis_2, side_2, box):
    """out (n_walls, 1) = distances of an image to the part of the targets inside the box; whether any is
    positive."""
    point_distances(x, targets, out)
    outside = max(_beyond(x, axis, side, box), _beyond(x, axis_2, side_2, box))
    is_any = False
    for w in range(out.shape[0]):
        out[w, 0] = max(out[w, 0], outside)
        is_any |= out[w, 0] > 0.0
    return is_any


@numba.njit(**options)
def _goes_through(targets, wall, axis, side, box):
    """Whether a wall of the target may go on beyond a side of the box: it lies on the mirror, or on both
    sides of the seam. Not asked for in one dimension."""
    d = box.shape[1]
    if d == 1:
        return False
    if box[side, axis] == REFLECTING:
        return _touches(targets, wall, axis, box[2 + side, axis], d)
    return _touches(targets, wall, axis, box[2, axis], d) and _touches(targets, wall, axis, box[3, axis], d)


@numba.njit(**options)
def _touches(targets, wall, axis, place, d):
    """Whether a wall of the target may meet the plane x_axis = place."""
    for row in range(targets.first[wall], targets.first[wall + 1]):
        atom = targets.atoms[row]
        kind = int(atom[1])
        if kind == HALF_SPACE:
            is_parallel = True
            for i in range(d):
                is_parallel &= i == axis or atom[3 + i] == 0.0
            if is_parallel and atom[2] - atom[3 + axis] * place > 0.0:
                return False
        elif kind == BALL:
            if abs(atom[3 + axis] - place) > atom[2]:
                return False
        elif kind == BOX and not atom[2 + axis] <= place <= atom[2 + d + axis]:
            return False
    return True


@numba.njit(**options)
def point_distances(x, targets, out):
    """out (n_walls, 1) = signed distances of one point x (d,)."""
    X = np.empty((x.size, 1))
    for i in range(x.size):
        X[i, 0] = x[i]
    all_distances(X, targets, out, np.empty(1))


@numba.njit(**bare)
def column(X, j, x):
    """x = the column j of X, by a loop: assignments to slices take seconds to compile."""
    for i in range(x.size):
        x[i] = X[i, j]


@numba.njit(**bare)
def distances(Y, atoms, low, high, out, scratch):
    """out (lanes,) = signed distance of Y (d, lanes) to the wall of the atoms low..high: the largest of
    theirs."""
    d, lanes = Y.shape
    for a in range(low, high):
        kind, to = int(atoms[a, 1]), scratch if a > low else out
        if kind == HALF_SPACE:
            for j in range(lanes):
                to[j] = atoms[a, 2]
            for i in range(d):
                normal = atoms[a, 3 + i]
                for j in range(lanes):
                    to[j] -= normal * Y[i, j]
        elif kind == INTERVAL:
            for j in range(lanes):
                to[j] = max(atoms[a, 2] - Y[0, j], Y[0, j] - atoms[a, 3])
        elif kind == BOX:
            for j in range(lanes):               # the squared distance outside first, then the depth inside
                square, inner = 0.0, -math.inf
                for i in range(d):
                    q = max(atoms[a, 2 + i] - Y[i, j], Y[i, j] - atoms[a, 2 + d + i])
                    square += max(q, 0.0) ** 2
                    inner = max(inner, q)
                to[j] = math.sqrt(square) + min(inner, 0.0)
        else:
            sign = 1.0 if kind == BALL else -1.0
            for j in range(lanes):
                to[j] = 0.0
            for i in range(d):
                centre = atoms[a, 3 + i]
                for j in range(lanes):
                    to[j] += (Y[i, j] - centre) * (Y[i, j] - centre)
            for j in range(lanes):
                to[j] = sign * (math.sqrt(to[j]) - atoms[a, 2])
        if a > low:
            for j in range(lanes):
                out[j] = max(out[j], scratch[j])


@numba.njit(**bare)
def all_distances(Y, targets, D, scratch):
    """D (n_walls, lanes): `distances` to every wall."""
    for w in range(targets.first.size - 1):
        distances(Y, targets.atoms, targets.first[w], targets.first[w + 1], D[w], scratch)


@numba.njit(**options)
def normal_of(x, targets, wall, normal):
    """normal (d,) = gradient of the signed distance at x (d,), by central differences (a plane's to
    rounding); returns the distance."""
    d = x.size
    X, out, scratch = np.empty((d, 2 * d + 1)), np.empty(2 * d + 1), np.empty(2 * d + 1)
    for i in range(d):
        h = SLOPE * max(1.0, abs(x[i]))
        for k in range(2 * d + 1):
            X[i, k] = x[i]
        X[i, i] += h
        X[i, d + i] -= h
    distances(X, targets.atoms, targets.first[wall], targets.first[wall + 1], out, scratch)
    for i in range(d):
        normal[i] = (out[i] - out[d + i]) / (X[i, i] - X[i, d + i])
    return out[2 * d]


@helper
def normal_from(first, second, variance):
    """A normal number from two random words."""
    radius = math.sqrt(-2.0 * variance * math.log((float(first) + 0.5) * WORD))
    return radius * math.cos(2.0 * math.pi * float(second) * WORD)


@numba.njit(**options)
def inverse_gaussian(mean, shape, z, u):
    """A draw from the inverse Gaussian law, from a normal z and a uniform u; without cancellation for a large
    mean."""
    w = mean * z * z / (2.0 * shape)
    x = mean / (1.0 + w + math.sqrt(w * (w + 2.0)))
    return x if u * (mean + x) <= mean else mean * mean / x


@numba.njit(**options)
def bridge_hit(s, t, v, trajectory, wall, step, seed):
    """Fraction of the step at which the wall was met, 2 if it was not; s > 0 and t are the distances before
    and after, v the variance."""
    if v == 0.0:
        return s / max(s - t, 1e-300) if t <= 0.0 else 2.0
    if not (t <= 0.0 or s * t < 0.5 * NEAR * v):
        return 2.0
    w = words_of(trajectory, BRIDGE, wall, step, seed)
    if t > 0.0 and (float(w[0]) + 0.5) * WORD >= math.exp(-2.0 * s * t / v):
        return 2.0
    if s <= 0.0:
        return 0.0
    z = normal_from(w[2], w[3], 1.0)
    y = inverse_gaussian(s / max(abs(t), 1e-12 * s), s * s / v, z, (float(w[1]) + 0.5) * WORD)
    return y / (1.0 + y)


@numba.njit(**options)
def variance_of(o, y, s, t, targets, wall, step):
    """2 theta dt n'Mn at the end of the step that is nearer to the wall."""
    root = step.root
    if step.is_isotropic:
        return step.scale * root[0, 0] * root[0, 0]
    normal, total = np.empty(o.size), 0.0
    normal_of(o if abs(s) < abs(t) else y, targets, wall, normal)
    for k in range(o.size):
        along = 0.0
        for i in range(k, o.size):
            along += root[i, k] * normal[i]
        total += along * along
    return step.scale * total


@numba.njit(**options)
def first_hit(o, y, before, after, j, targets, step, part_of_line, trajectory, k, part, seed):
    """(wall, fraction) of the first wall met in the step k from o to y (d,), (-1, 2) if none; its distances
    are the columns j of before, after (n_walls, lanes). In one dimension only a part of the line counts:
    (low, high, whether it ends at a mirror)."""
    wall, fraction = -1, 2.0
    if o.size == 1:
        for side in range(2):
            w, edge = nearest_edge(o[0], side, targets, part_of_line)
            if w >= 0:
                out = 1.0 - 2.0 * side           # side 0: the edge lies below o
                s, t = out * (o[0] - edge), out * (y[0] - edge)
                u = bridge_hit(s, t, step.scale * step.root[0, 0] * step.root[0, 0], trajectory, part + w, k,
                               seed)
                if u < fraction:
                    wall, fraction = w, u
        return wall, fraction
    for w in range(before.shape[0]):
        s, t = before[w, j], entered(o, y, after[w, j], targets, w)
        u = bridge_hit(s, t, variance_of(o, y, s, t, targets, w, step), trajectory, part + w, k, seed)
        if u < fraction:
            wall, fraction = w, u
    return wall, fraction


@numba.njit(**options)
def entered(o, y, t, targets, wall):
    """The distance t after a step from o to y (d,); where the step leads through a wall of several atoms, a
    thin shell, and out of it, the negative one to the surface by which it came in."""
    low, high = targets.first[wall], targets.first[wall + 1]
    if high - low < 2 or not 0.0 < t < math.inf:
        return t
    X, out, scratch = np.empty((o.size, 3)), np.empty(3), np.empty(3)    # o, y, and a place between them
    for i in range(o.size):
        X[i, 0], X[i, 1] = o[i], y[i]
    for a in range(low, high):
        distances(X, targets.atoms, a, a + 1, out, scratch)
        end, first, last = out[1], 0.0, 1.0
        if not out[0] > 0.0 >= end:
            continue
        for k in range(41):                      # to the place where it crossed the surface of this atom
            u = 0.5 * (first + last) if k < 40 else last
            for i in range(o.size):
                X[i, 2] = o[i] + u * (y[i] - o[i])
            distances(X, targets.atoms, a if k < 40 else low, a + 1 if k < 40 else high, out, scratch)
            first, last = (u, last) if out[2] > 0.0 else (first, u)
        if out[2] <= 0.0:
            return end
    return t


@numba.njit(**bare)
def nearest_edge(x, side, targets, part_of_line):
    """(wall, place) of the nearest edge below (side 0) or above x in one dimension; wall -1 when there is
    none. What lies on a mirror has no image: the path met it before the mirror."""
    wall, edge, gap = -1, 0.0, math.inf
    first, last, is_mirror = part_of_line
    for w in range(targets.first.size - 1):
        low, high = targets.atoms[w, 2], targets.atoms[w, 3]
        if is_mirror and (-math.inf < first and low <= first or last < math.inf and high >= last):
            continue
        low, high = max(low, first), min(high, last)
        place = high if side == 0 else low
        distance = x - place if side == 0 else place - x
        if low <= high and (distance >= 0.0 or low <= x <= high) and distance < gap:
            wall, edge, gap = w, place, distance
    return wall, edge


@numba.njit(**options)
def hit_place(o, y, u, targets, wall, step, trajectory, at, seed, place):
    """place (d,): where the path was at the fraction u of its step number `at` from o to y, given that it was
    on the wall then (Gaussian conditioning)."""
    d, root = o.size, step.root
    if d == 1 or step.scale == 0.0:
        for i in range(d):
            place[i] = o[i] + u * (y[i] - o[i])
        if d == 1:
            low, high = targets.atoms[wall, 2], targets.atoms[wall, 3]
            place[0] = low if o[0] < low else (high if o[0] > high else o[0])
        return
    spread, normal, z = math.sqrt(step.scale * u * (1.0 - u)), np.empty(d), np.empty(d)
    for i in range(d):
        w = words_of(trajectory, EXIT, i, at, seed)
        z[i] = normal_from(w[0], w[1], 1.0)
    for i in range(d):
        place[i] = o[i] + u * (y[i] - o[i])
        for k in range(i + 1):
            place[i] += spread * root[i, k] * z[k]
    for _ in range(4):                           # once for a plane; Newton's steps for a curved wall
        distance = normal_of(place, targets, wall, normal)
        total = 0.0
        for k in range(d):
            z[k] = 0.0
            for i in range(k, d):
                z[k] += root[i, k] * normal[i]
            total += z[k] * z[k]
        if not total > 0.0:
            return
        for i in range(d):
            for k in range(i + 1):
                place[i] -= root[i, k] * z[k] * distance / total


@kernel(types.void(numbers_2d, targets_t, numbers_2d, numbers_1d))
def target_distances(Y, targets, D, scratch):
    """`all_distances` of a whole ensemble: Y (d, n), D (n_walls, n), scratch (n,)."""
    all_distances(Y, targets, D, scratch)


@kernel(types.void(moves_t, targets_t, step_t, numbers_2d, integers_1d, integer, unsigned, integers_1d,
                   numbers_1d,
                   numbers_2d))
def find_hits(moves, targets, step, box, trajectories, k, seed, walls, fractions, places):
    """`hit_of_lane` and `hit_place` for a whole ensemble: walls (n,) (-1: none), fractions (n,), places (d,
    n)."""
    d = places.shape[0]
    o, y, x, near = np.empty(d), np.empty(d), np.empty(d), np.empty(walls.size, np.int64)
    for j in range(walls.size):
        walls[j], fractions[j] = -1, 2.0
    for q in range(list_near(moves.O, moves.R, moves.before, moves.after, box, step.reach, near)):
        j = near[q]
        walls[j], fractions[j] = hit_of_lane(moves, j, targets, step, box, trajectories[j], k, seed, o, y)
        if walls[j] >= 0:
            hit_place(o, y, fractions[j], targets, walls[j], step, trajectories[j], k, seed, x)
            for i in range(d):
                places[i, j] = x[i]
