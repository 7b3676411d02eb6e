"""Each step once, for a block of paths Y (d, lanes) with gradient G: Euler-Maruyama, Leimkuhler-Matthews,
Heun and BAOAB.

With a constant mobility M = A A' (A lower triangular), sigma = sqrt(2 theta dt) and independent normals z:

    Euler-Maruyama        x' = x - dt M g(x) + sigma A z_k
    Leimkuhler-Matthews   x' = x - dt M g(x) + sigma A (z_k + z_{k+1}) / 2                                [1]_
    Heun                  y  = x - dt M g(x) + sigma A z_k,   x' = x - dt M (g(x) + g(y)) / 2 + sigma A z_k
    BAOAB                 kick v by -g dt/2, drift x by v dt/2, v = c v + sqrt(theta (1 - c^2)) z with
                          c = exp(-friction dt), drift, kick                                              [1]_

An update reads rates (d,) and spreads (d,): the diagonals of dt M and sigma A. A full matrix is applied to G
and z beforehand (`apply_mobility`); rates and spreads are then dt and sigma. A force needs no step of its
own: g is then grad f - F. A mobility M(x) comes with minus the drift of Ito's calculus in place of g, and z
goes through its root (`through_place`).

.. [1] B. Leimkuhler, C. Matthews, Appl. Math. Res. eXpress 2013, 34 (2013).
"""
import math
from typing import NamedTuple

import numba
import numpy as np
from numba import types

from ...core.compilation import flag, helper, integer, numbers_2d
from ...core.compilation.special import options
from .wall_kernels import fold, turn

EULER_MARUYAMA, LEIMKUHLER_MATTHEWS, HEUN = range(3)
DT, SIGMA, THETA, TIME, DAMPING = range(5)                       # columns of `steps`
f32 = np.float32


class Plan(NamedTuple):
    """The steps to make: rows of `Schedule.rows`, (1 or n_steps, 5) and (1 or n_steps + 1, n_parameters); the
    number of the first step and how many; walkers of a block; places are saved at steps divisible by `every`
    (0: never)."""
    steps: np.ndarray
    parameters: np.ndarray
    start: int
    n_steps: int
    lanes: int
    every: int


class Mobility(NamedTuple):
    """The lower triangular root (d, d), and whether it is more than a diagonal; whether the gradient is minus
    the whole drift already; how many rows of M(x) follow below it: 0 (M is constant), 1 (isotropic), d (the
    diagonal) or d (d + 1)/2 (the lower triangle, row by row)."""
    root: np.ndarray
    is_full: bool
    is_drift: bool
    rows: int


plan_t = types.NamedTuple((numbers_2d, numbers_2d, integer, integer, integer, integer), Plan)
mobility_t = types.NamedTuple((numbers_2d, flag, flag, integer), Mobility)


# ---- walkers in and out of a block ----
@numba.njit(**options)
def take(X, first, count, Y):
    """Y = the columns first..first+count of X; the lanes left over repeat the first walker and are never
    given back."""
    for i in range(Y.shape[0]):
        for j in range(count):
            Y[i, j] = X[i, first + j]
        for j in range(count, Y.shape[1]):
            Y[i, j] = X[i, first]


@numba.njit(**options)
def give(Y, X, first, count, row):
    """X[row.., first..first+count] = Y."""
    for i in range(Y.shape[0]):
        for j in range(count):
            X[row + i, first + j] = Y[i, j]


@helper
def copy(Y, O):
    """O = Y, by loops: assignments to slices take seconds to compile."""
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            O[i, j] = Y[i, j]


@helper
def set_parameters(P, row, p):
    """p = the parameters of this row, when they change at all."""
    if P.shape[0] > 1:
        for i in range(p.size):
            p[i] = P[row, i]


# ---- mobility ----
@numba.njit(**options)
def through(root, Z, row):
    """Rows row.. of Z times the lower triangular root, in place: the last row first, so that no copy is
    needed."""
    d = root.shape[0]
    for i in range(d - 1, -1, -1):
        for j in range(Z.shape[1]):
            Z[row + i, j] *= root[i, i]
        for k in range(i):
            for j in range(Z.shape[1]):
                Z[row + i, j] += root[i, k] * Z[row + k, j]


@numba.njit(**options)
def through_transpose(root, G):
    """G times the transposed root, in place."""
    d = root.shape[0]
    for i in range(d):
        for j in range(G.shape[1]):
            G[i, j] *= root[i, i]
        for k in range(i + 1, d):
            for j in range(G.shape[1]):
                G[i, j] += root[k, i] * G[k, j]


@helper
def apply_mobility(root, G):
    """G = A A' G for a full matrix."""
    through_transpose(root, G)
    through(root, G, 0)


@numba.njit(**options)
def through_place(G, W, row, d):
    """Rows row.. of W times the root of the M(x) that follows the d rows of G, in place."""
    if G.shape[0] == d + 1:
        for i in range(d):
            for j in range(W.shape[1]):
                W[row + i, j] *= math.sqrt(G[d, j])
        return
    if G.shape[0] == 2 * d:
        for i in range(d):
            for j in range(W.shape[1]):
                W[row + i, j] *= math.sqrt(G[d + i, j])
        return
    for i in range(d):                               # Cholesky, entry (i, k) in the row d + i (i + 1)/2 + k
        at = d + i * (i + 1) // 2
        for k in range(i + 1):
            other = d + k * (k + 1) // 2
            for m in range(k):
                for j in range(W.shape[1]):
                    G[at + k, j] -= G[at + m, j] * G[other + m, j]
            for j in range(W.shape[1]):
                if k == i:
                    G[at + k, j] = math.sqrt(G[at + k, j])
                else:
                    G[at + k, j] /= G[other + k, j]
    for i in range(d - 1, -1, -1):
        at = d + i * (i + 1) // 2
        for j in range(W.shape[1]):
            W[row + i, j] *= G[at + i, j]
        for k in range(i):
            for j in range(W.shape[1]):
                W[row + i, j] += G[at + k, j] * W[row + k, j]


@helper
def set_diagonals(mobility, rate, spread):
    """rate (d,) and spread (d,) = the diagonals of M and A; ones for a full matrix, for M(x), and the rate
    where the gradient is the drift."""
    for i in range(rate.size):
        r = 1.0 if mobility.is_full or mobility.rows > 0 else mobility.root[i, i]
        spread[i], rate[i] = r, 1.0 if mobility.is_drift else r * r


# ---- overdamped updates ----
@helper
def euler_maruyama(Y, G, W, row, dt, sigma, rate, spread):
    """Y += sigma A z - dt M g, z in the rows row.. of W."""
    for i in range(Y.shape[0]):
        a, b = dt * rate[i], sigma * spread[i]
        for j in range(Y.shape[1]):
            Y[i, j] += b * np.float64(W[row + i, j]) - a * G[i, j]


@helper
def leimkuhler_matthews(Y, G, W, row, last, dt, sigma, rate, spread):
    """Y += sigma A (z + last) / 2 - dt M g, last = z."""
    for i in range(Y.shape[0]):
        a, b = dt * rate[i], 0.5 * sigma * spread[i]
        for j in range(Y.shape[1]):
            z = W[row + i, j]
            Y[i, j] += b * (np.float64(z) + np.float64(last[i, j])) - a * G[i, j]
            last[i, j] = z


@helper
def heun(Y, O, G, K, W, row, dt, sigma, rate, spread):
    """Y = O + sigma A z - dt M (g + k) / 2, K the gradient at the predictor."""
    for i in range(Y.shape[0]):
        a, b = 0.5 * dt * rate[i], sigma * spread[i]
        for j in range(Y.shape[1]):
            Y[i, j] = O[i, j] + (b * np.float64(W[row + i, j]) - a * (G[i, j] + K[i, j]))


@helper
def compensated(high, low, change):
    """(high, low) with `change` added to the unevaluated difference high - low of two float32: Kahan's sum.
    The flags must not hold `reassoc`: (t - high) - y has to stay."""
    y = f32(change - low)
    t = f32(high + y)
    return t, f32(f32(t - high) - y)


# ---- underdamped updates ----
@helper
def kick(V, G, h):
    """v -= h g."""
    for i in range(V.shape[0]):
        for j in range(V.shape[1]):
            V[i, j] -= h * G[i, j]


@helper
def damp(V, W, row, c, b):
    """v = c v + b z: the exact Ornstein-Uhlenbeck step."""
    for i in range(V.shape[0]):
        for j in range(V.shape[1]):
            V[i, j] = c * V[i, j] + b * np.float64(W[row + i, j])


@numba.njit(**options)
def drift(Y, V, R, h, walls, sign, wound):
    """x += h v, then the walls, after R = x; a mirror turns the velocity with the place."""
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] += h * V[i, j]
    if walls.shape[1] > 0:
        copy(Y, R)
        fold(Y, walls, sign, wound)
        turn(V, sign)
