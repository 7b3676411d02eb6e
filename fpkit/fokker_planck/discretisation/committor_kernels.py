"""Contributions of the patches of a plane to the committor masses: line hats, quadrant masses and
conductances.

L patches go together and their number is the last index of every buffer, so that all loops over it are vector
code. The points of a patch are its product points (x outermost), then those of its middle line along y, then
those of the one along x.
"""
import numpy as np
from numba import njit, prange, types

from ...core.compilation import FUNCTION, integer, integers_2d, kernel, numbers_1d, numbers_2d
from ...core.compilation.lanes import load, store
from ...core.compilation.special import exp, log, options


@njit(**options)
def _hats(L, B, first, stride, h, s0, s1, rule, low, high, log_r, room):
    """Hats of the two ends of one line of 2 h points in each patch, and the logarithms log_r of its
    resistance.

    The points are B[first + i stride:]; `low` and `high` are filled at the same places. s0, s1: widths of the
    sub-intervals in the two halves; rule (g + 1, g): weights w of a sub-interval, then the integrals C to its
    points, g even. room: g + 2 rows.
    """
    w, C = rule[0], rule[1:]
    n, g = 2 * h, w.size
    top, run = room[g * L:g * L + L], room[g * L + L:g * L + 2 * L]
    for l in range(L):
        top[l], run[l] = B[first + l], 0.0
    for i in range(1, n):
        at = first + i * stride
        for l in range(L):
            top[l] = max(top[l], B[at + l])
    for i in range(n):                                   # `low` holds the integrands until its own turn
        at, s = first + i * stride, s0 if i < h else s1
        for l in range(L):
            store(low, (at + l,), exp(load(B, (at + l,), 0, 4) - load(top, (l,), 1, 4)) * load(s, (l,), 2, 4),
                  3, 4)
    for c in range(0, n, g):
        at = first + c * stride
        for a in range(g):
            to = at + a * stride
            for l in range(L):
                store(high, (to + l,), load(run, (l,), 0, 3), 2, 3)
            for b in range(0, g, 2):
                x, y, p, q = C[a, b], C[a, b + 1], at + b * stride, at + (b + 1) * stride
                for l in range(L):
                    store(high, (to + l,), load(high, (to + l,), 0, 2) + x * load(low, (p + l,), 1, 2)
                          + y * load(low, (q + l,), 1, 2), 0, 2)
        for b in range(g):
            p, x = at + b * stride, w[b]
            for l in range(L):
                store(run, (l,), load(run, (l,), 0, 2) + x * load(low, (p + l,), 1, 2), 0, 2)
    for l in range(L):
        log_r[l] = top[l] + log(run[l])
        top[l] = 1 / max(run[l], 1e-300) if run[l] > 0.0 else 0.0     # from here on the scale of the hats
        run[l] = 0.0
    for c in range(n - g, -1, -g):                       # from the other end: never 1 - high
        at = first + c * stride
        for b in range(g):
            p = at + b * stride
            for l in range(L):
                store(room, (b * L + l,), load(low, (p + l,), 0, 2), 1, 2)
        for a in range(g):
            to = at + a * stride
            for l in range(L):
                store(low, (to + l,), load(run, (l,), 0, 2), 1, 2)
            for b in range(0, g, 2):
                x, y, p, q = w[b] - C[a, b], w[b + 1] - C[a, b + 1], b * L, (b + 1) * L
                for l in range(L):
                    store(low, (to + l,), load(low, (to + l,), 0, 2) + x * load(room, (p + l,), 1, 2)
                          + y * load(room, (q + l,), 1, 2), 0, 2)
            for l in range(L):
                u, v, scale = load(low, (to + l,), 0, 3), load(high, (to + l,), 1, 3), load(top, (l,), 2, 3)
                store(low, (to + l,), (0.0 if u < 0.0 else u) * scale, 0, 3)
                store(high, (to + l,), (0.0 if v < 0.0 else v) * scale, 1, 3)
        for b in range(g):
            x = w[b]
            for l in range(L):
                run[l] += x * room[b * L + l]


@njit(**options)
def _conductance(L, log_r, l, there, both, side, h, weights, hat, theta):
    """log of theta int hat / resistance across the lines of patch l; -inf where the edge is not there."""
    if not there:
        return -np.inf
    top = -np.inf
    for j in range(2 * h):
        top = max(top, -log_r[j * L + l])
    top = top if abs(top) < np.inf else 0.0
    total = 0.0
    for j in range(2 * h):
        share = hat[j * L + l] if both else (1.0 if (j < h) == (side == 0) else 0.0)
        total += (exp(-log_r[j * L + l] - top) if share > 0.0 else 0.0) * weights[j * L + l] * share
    return log(theta * total) + top


@njit(**options)
def _line(L, ends, which, first, n_last, u, w, points, s0, s1, weights):
    """Points (2 h, L) of patches along one axis, the widths of the sub-intervals of the two halves, and the
    weights of the points."""
    h = u.size
    k = h // w.size
    for l in range(L):
        q = which[min(first + l, n_last - 1)]
        a, b, c = ends[0, q], ends[1, q], ends[2, q]
        s0[l], s1[l] = (b - a) / k, (c - b) / k
        for i in range(h):
            points[i * L + l], points[(h + i) * L + l] = a + u[i] * (b - a), b + u[i] * (c - b)
            weights[i * L + l], weights[(h + i) * L + l] = w[i % w.size] * s0[l], w[i % w.size] * s1[l]


@njit(**options)
def _patches(L, value, p, numbers, exponents, ends, places, points, rule, n_first, n_last, out):
    beta, f0, theta, log_mx, log_my = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    (B_given, Bx_given, By_given), (xs, ys), (ux, uy) = exponents, ends, points
    P, Q, corner = places[0], places[1], places[2]
    w = rule[0]
    g, hx, hy = w.size, ux.size, uy.size
    nx, ny = 2 * hx, 2 * hy
    n = nx * ny
    m = (n + ny + nx) * L
    is_given, is_bent = B_given.shape[0] > 0, Bx_given.shape[0] > 0
    X, E = np.empty((2, m)), np.empty(m)
    Ex, Ey = (np.empty(m), np.empty(m)) if is_bent else (E, E)
    # the middle lines in their places
    x_low, x_high, y_low, y_high = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    log_rx, log_ry, unused = np.empty(ny * L), np.empty(nx * L), np.empty(L)
    x, y, weight_x, weight_y = np.empty(nx * L), np.empty(ny * L), np.empty(nx * L), np.empty(ny * L)
    sx0, sx1, sy0, sy1, room = np.empty(L), np.empty(L), np.empty(L), np.empty(L), np.empty((g + 2) * L)
    least, row, column, sums, mass = np.empty(L), np.empty(L), np.empty(L), np.empty(4 * L), np.empty((4, L))
    for first in range(n_first, n_last, L):
        _line(L, xs, P, first, n_last, ux, w, x, sx0, sx1, weight_x)
        _line(L, ys, Q, first, n_last, uy, w, y, sy0, sy1, weight_y)
        if is_given:
            for l in range(L):
                k = min(first + l, n_last - 1)
                for i in range(n + ny + nx):
                    E[i * L + l] = B_given[k, i]
                    if is_bent:
                        Ex[i * L + l], Ey[i * L + l] = Bx_given[k, i], By_given[k, i]
        else:
            for i in range(nx):
                for j in range(ny):
                    for l in range(L):
                        X[0, (i * ny + j) * L + l] = x[i * L + l]
                        X[1, (i * ny + j) * L + l] = y[j * L + l]
            for l in range(L):
                k = min(first + l, n_last - 1)
                for j in range(ny):
                    X[0, (n + j) * L + l], X[1, (n + j) * L + l] = xs[1, P[k]], y[j * L + l]
                for i in range(nx):
                    X[0, (n + ny + i) * L + l], X[1, (n + ny + i) * L + l] = x[i * L + l], ys[1, Q[k]]
            value(X, p, E)
            for i in range(m):
                b = beta * (E[i] - f0)
                b = 1e300 if b == np.inf else b
                E[i] = -1e300 if b == -np.inf else b
        for j in range(ny):
            _hats(L, Ex, j * L, ny * L, hx, sx0, sx1, rule, x_low, x_high, log_rx[j * L:], room)
        for i in range(nx):
            _hats(L, Ey, i * ny * L, L, hy, sy0, sy1, rule, y_low, y_high, log_ry[i * L:], room)
        _hats(L, Ey, n * L, L, hy, sy0, sy1, rule, y_low, y_high, unused, room)
        _hats(L, Ex, (n + ny) * L, L, hx, sx0, sx1, rule, x_low, x_high, unused, room)
        for l in range(L):
            least[l] = E[l]
            for q in range(4):
                mass[q, l] = 0.0
        for i in range(n):
            for l in range(L):
                least[l] = min(least[l], E[i * L + l])
        for a in range(2):
            for b in range(2):                           # the quadrant of cell (a, b)
                # along x the two cells of the row of the point, along y those of its column, must both be
                # states to share
                for l in range(L):
                    c = corner[min(first + l, n_last - 1)]
                    row[l] = 1.0 if (c >> b) & (c >> (2 + b)) & 1 else 0.0
                    column[l] = 1.0 if (c >> (2 * a)) & (c >> (2 * a + 1)) & 1 else 0.0
                for l in range(4 * L):
                    sums[l] = 0.0
                low_x, high_x, low_y, high_y = 1.0 - a, 1.0 * a, 1.0 - b, 1.0 * b
                for i in range(a * hx, a * hx + hx):
                    for j in range(b * hy, b * hy + hy):
                        at = (i * ny + j) * L
                        for l in range(L):
                            weight = load(weight_x, (i * L + l,), 2, 10), load(weight_y, (j * L + l,), 3, 10)
                            v = exp(load(least, (l,), 0, 10)
                                    - load(E, (at + l,), 1, 10)) * weight[0] * weight[1]
                            share = load(row, (l,), 4, 10) > 0.0
                            v0 = v * (load(x_low, (at + l,), 5, 10) if share else low_x)
                            v1 = v * (load(x_high, (at + l,), 6, 10) if share else high_x)
                            share = load(column, (l,), 4, 10) > 0.0
                            u0 = load(y_low, (at + l,), 7, 10) if share else low_y
                            u1 = load(y_high, (at + l,), 8, 10) if share else high_y
                            store(sums, (l,), load(sums, (l,), 9, 10) + v0 * u0, 9, 10)
                            store(sums, (L + l,), load(sums, (L + l,), 9, 10) + v0 * u1, 9, 10)
                            store(sums, (2 * L + l,), load(sums, (2 * L + l,), 9, 10) + v1 * u0, 9, 10)
                            store(sums, (3 * L + l,), load(sums, (3 * L + l,), 9, 10) + v1 * u1, 9, 10)
                for l in range(L):
                    c = corner[min(first + l, n_last - 1)]
                    if c >> (2 * a + b) & 1:
                        for q in range(4):  # the hat of a node that is not there falls to the cell itself
                            mass[q if c >> q & 1 else 2 * a + b, l] += sums[q * L + l]
        for l in range(min(L, n_last - first)):
            k = first + l
            c = corner[k]
            c00, c01, c10, c11 = c & 1 > 0, c & 2 > 0, c & 4 > 0, c & 8 > 0
            for q in range(4):
                out[k, q] = log(mass[q, l]) - least[l] if c >> q & 1 else -np.inf
            every = c00 and c01 and c10 and c11
            for s in range(2):                           # the low and the high side
                is_x, is_y = (c01 and c11, c10 and c11) if s else (c00 and c10, c00 and c01)
                hat_y, hat_x = (y_high, x_high) if s else (y_low, x_low)
                out[k, 4 + s] = log_mx + _conductance(L, log_rx, l, is_x, every, s, hy, weight_y,
                                                      hat_y[n * L:], theta)
                out[k, 6 + s] = log_my + _conductance(L, log_ry, l, is_y, every, s, hx, weight_x,
                                                      hat_x[(n + ny) * L:], theta)


_signature = types.void(integer, FUNCTION["value"], numbers_1d, numbers_1d, types.UniTuple(numbers_2d, 3),
                        types.UniTuple(numbers_2d, 2), integers_2d, types.UniTuple(numbers_1d, 2), numbers_2d,
                        numbers_2d)


@kernel(_signature)
def patches(lanes, value, p, numbers, exponents, ends, places, points, rule, out):
    """out (n, 8): logarithms of the masses of patches (P, Q) for cells (0, 0), (0, 1), (1, 0), (1, 1), and of
    the conductances along x on the low and high side of y and along y on the low and high side of x.

    numbers: beta, f0, theta, log_mx, log_my. exponents = (B, Bx, By): B (n, points) is beta (f - f0), asked
    of `value` where it has no rows; Bx, By the same minus the log mobility of an axis where that changes with
    the place (else no rows, and log_mx, log_my are its logarithms). ends = (xs, ys), each (3, n_patches): low
    end, face and high end. places (3, n): P, Q, and bits 2 a + b that say that cell (a, b) is a state.
    points: Gauss points of half a patch along x and y; rule as in `_hats`. lanes: patches that go together.
    """
    _patches(lanes, value, p, numbers, exponents, ends, places, points, rule, 0, places.shape[1], out)


@kernel(_signature, parallel=True)
def patches_parallel(lanes, value, p, numbers, exponents, ends, places, points, rule, out):
    n = places.shape[1]
    n_jobs = min(n, 64)
    for job in prange(n_jobs):
        _patches(lanes, value, p, numbers, exponents, ends, places, points, rule, job * n // n_jobs,
                 (job + 1) * n // n_jobs, out)
