"""When and where a path meets a target: signed distances on blocks of walkers, and the Brownian bridge inside
a step.

A step from o to y at signed distances s > 0 and t of a wall met it if t <= 0, and otherwise with probability
exp(-2 s t / v), v = 2 theta dt n'Mn the variance of the distance in one step (n the gradient of the distance,
M the mobility). That is exact for a flat wall and a constant drift; replacing a curved wall by its tangent
plane keeps weak order 1 in dt [1]_. Given a hit, the fraction u of the step at which it happened has u/(1 -
u) distributed as an inverse Gaussian with mean s/|t| and shape s^2/v, drawn by the method of [2]_; the place
is the bridge at that fraction, conditioned on lying on the wall.

.. [1] E. Gobet, ESAIM: Probab. Stat. 5, 261 (2001).
.. [2] J. Michael, W. Schucany, R. Haas, Am. Stat. 30, 88 (1976).
"""
import math
from typing import NamedTuple

import numba
import numpy as np
from numba import types

from ...core.compilation import flag, helper, integers_1d, kernel, number, numbers_1d, numbers_2d
from ...core.compilation.special import options
from ..dynamics.noise_kernels import BRIDGE, EXIT, words_of
from ..dynamics.step_kernels import apply_mobility, copy, euler_maruyama, through
from ..dynamics.wall_kernels import NEAR, fold

HALF_SPACE, BALL, OUTSIDE_BALL, BOX = range(4)                   # as in `targets`
SLOPE = 1e-6  # step of the differences that give a wall's normal, in units of max(1, |x|)
WORD = 2.3283064365386963e-10                    # 2^-32


class TargetWalls(NamedTuple):
    """The pieces of the targets: rows wall, kind, numbers of the shape, and the first row of each wall."""
    atoms: np.ndarray
    first: np.ndarray


class Step(NamedTuple):
    """One Euler-Maruyama step of length dt: dt, theta, root of the mobility (d, d), whether it is a full
    matrix and whether it is isotropic; scale = 2 theta dt; reach, the largest product of distances that a
    bridge may cross; rate and spread (d,), the diagonals of dt M and of sqrt(scale) A (of dt and sqrt(scale)
    for a full matrix)."""
    dt: float
    theta: float
    root: np.ndarray
    is_full: bool
    is_isotropic: bool
    scale: float
    reach: float
    rate: np.ndarray
    spread: np.ndarray


targets_t = types.NamedTuple((numbers_2d, integers_1d), TargetWalls)
step_t = types.NamedTuple((number, number, numbers_2d, flag, flag, number, number, numbers_1d, numbers_1d), Step)


def step_of(dt, theta, mobility):
    """The Step of a constant mobility, with numbers formed once and in this order."""
    root, matrix = mobility.root, mobility.matrix
    scale = 2.0 * theta * dt
    widest, sigma, diagonal = float(np.linalg.eigvalsh(matrix)[-1]), math.sqrt(scale), np.diag(root)
    is_isotropic = bool((matrix == matrix[0, 0] * np.eye(len(root))).all())
    rate = np.full(len(root), dt) if mobility.is_full else dt * diagonal * diagonal
    spread = np.full(len(root), sigma) if mobility.is_full else sigma * diagonal
    return Step(dt, theta, root, mobility.is_full, is_isotropic, scale, 0.5 * NEAR * scale * widest, rate, spread)


@helper
def make_step(Y, O, G, W, row, step, box, sign, wound):
    """O = Y, then one Euler-Maruyama step of Y with the gradient G and the normals in the rows row.. of W, and
    the walls of the box."""
    if step.is_full:
        apply_mobility(step.root, G)
        through(step.root, W, row)
    copy(Y, O)
    euler_maruyama(Y, G, W, row, 1.0, 1.0, step.rate, step.spread)
    if box.shape[1] > 0:
        fold(Y, box, sign, wound)


@helper
def count_near(before, after, reach):
    """How many distances (n_walls, lanes) before and after a step are so small that the wall may have been
    met."""
    near = 0
    for w in range(before.shape[0]):
        for j in range(before.shape[1]):
            near += 1 if before[w, j] * after[w, j] < reach else 0
    return near


@numba.njit(**options)
def hit_of_lane(O, Y, before, after, j, targets, step, trajectory, k, seed):
    """(wall, fraction of the step) at which the walker of the lane j first met a wall in its step k from O to
    Y; (-1, 2) if it met none."""
    nearest = math.inf
    for w in range(before.shape[0]):
        nearest = min(nearest, before[w, j] * after[w, j])
    if not nearest < step.reach:
        return -1, 2.0
    o, y, b, a = np.empty(O.shape[0]), np.empty(O.shape[0]), np.empty(before.shape[0]), np.empty(before.shape[0])
    column(O, j, o)
    column(Y, j, y)
    column(before, j, b)
    column(after, j, a)
    return first_hit(o, y, b, a, targets, step, trajectory, k, seed)


@numba.njit(**options)
def column(X, j, x):
    """x = the column j of X, by a loop: assignments to slices take seconds to compile."""
    for i in range(x.size):
        x[i] = X[i, j]


@numba.njit(**options)
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


@numba.njit(**options)
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
def normal_from(first, second):
    """A standard normal from two random words."""
    radius = math.sqrt(-2.0 * math.log((float(first) + 0.5) * WORD))
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
    if not (t <= 0.0 or s * t < 0.5 * NEAR * v):
        return 2.0
    w = words_of(trajectory, BRIDGE, wall, step, seed)
    if t > 0.0 and (float(w[0]) + 0.5) * WORD >= math.exp(-2.0 * s * t / v):
        return 2.0
    if s <= 0.0:
        return 0.0
    z = normal_from(w[2], w[3])
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
def first_hit(o, y, before, after, targets, step, trajectory, k, seed):
    """(wall, fraction) of the first wall met in the step k from o to y (d,), (-1, 2) if none; before, after
    (n_walls,) distances."""
    wall, fraction = -1, 2.0
    for w in range(before.size):
        s, t = before[w], after[w]
        u = bridge_hit(s, t, variance_of(o, y, s, t, targets, w, step), trajectory, w, k, seed)
        if u < fraction:
            wall, fraction = w, u
    return wall, fraction


@numba.njit(**options)
def hit_place(O, Y, j, u, targets, wall, step, trajectory, at, seed, place):
    """place (d,): where the path of the lane j was at the fraction u of its step number `at` from O to Y, given
    that it was on the wall then (Gaussian conditioning)."""
    d, root = O.shape[0], step.root
    spread, normal, z = math.sqrt(step.scale * u * (1.0 - u)), np.empty(d), np.empty(d)
    for i in range(d):
        w = words_of(trajectory, EXIT, i, at, seed)
        z[i] = normal_from(w[0], w[1])
    for i in range(d):
        place[i] = O[i, j] + u * (Y[i, j] - O[i, j])
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
