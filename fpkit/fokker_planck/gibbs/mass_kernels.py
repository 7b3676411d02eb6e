"""Integrals of exp(-beta f) by product Gauss rules: over boxes, and over all cells of a grid in one pass with
rules whose order follows the slope of each block of cells."""
import numpy as np
from numba import njit, prange, types

from ...core.compilation import FUNCTION, integers_1d, kernel, number, numbers_1d, numbers_2d, numbers_3d
from ...core.compilation.special import exp, inlined, log, options

LANES = 16
REMOTE = 40.0  # theta above the minimum: cells of weight exp(-40) are not integrated


@inlined
def _wider(reach, up, down):
    """The larger of `reach` and the change over half a cell, curvature counted in, between differences to the
    two neighbours."""
    r = max(abs(up), abs(down)) / 2 + 1.5 * np.sqrt(abs(up - down) / 8)
    r = r if r < 1e6 else 1e6                                # also nan
    return r if r > reach else reach


@njit(**options)
def _reaches(B, shape, row, start, m, out):
    """Largest change of beta f over half a cell along any axis of the cells (row, start ... start + m - 1);
    at a wall the inner difference counts twice."""
    d = shape.size
    n = shape[d - 1]
    base, q, stride = row * n + start, row, n
    for j in range(m):
        out[j] = 0.0
    first, last = (1 if start == 0 else 0), (m - 1 if start + m == n else m)
    for j in range(first, last):
        here = B[base + j]
        out[j] = _wider(0.0, B[base + j + 1] - here, here - B[base + j - 1])
    if n > 1 and first == 1:
        out[0] = _wider(0.0, B[base + 1] - B[base], B[base + 1] - B[base])
    if n > 1 and last < m:
        out[m - 1] = _wider(0.0, B[base + m - 1] - B[base + m - 2], B[base + m - 1] - B[base + m - 2])
    for a in range(d - 2, -1, -1):
        i = q % shape[a]
        q //= shape[a]
        if shape[a] > 1:
            up, is_up = (stride, 1.0) if i < shape[a] - 1 else (-stride, -1.0)
            down, is_down = (stride, 1.0) if i > 0 else (-stride, -1.0)
            for j in range(m):
                here = B[base + j]
                out[j] = _wider(out[j], is_up * (B[base + j + up] - here),
                                is_down * (here - B[base + j - down]))
        stride *= shape[a]


@njit(**options)
def _masses(edges, shape, value, p, numbers, B, rules, nodes, first_row, last_row, out, error):
    beta, f0, share, least = numbers[0], numbers[1], numbers[2], numbers[3]
    d = shape.size
    n = shape[d - 1]
    L = LANES
    most = nodes.shape[2]
    room, values = np.empty(d * most * L), np.empty(most * L)
    S, R, worst, size, top = np.empty(L), np.empty(L), np.empty(L), np.empty(L), np.empty(L)
    lower, width = np.empty((d, L)), np.empty((d, L))
    tail = edges.size - n - 1
    for row in range(first_row, last_row):
        q, first = row, tail
        for a in range(d - 2, -1, -1):
            first -= shape[a] + 1
            i = q % shape[a]
            q //= shape[a]
            for j in range(L):
                lower[a, j] = edges[first + i]
                width[a, j] = edges[first + i + 1] - edges[first + i]
        for start in range(0, n, L):
            m = min(L, n - start)
            lowest, base = np.inf, row * n + start
            for j in range(m):
                lower[d - 1, j] = edges[tail + start + j]
                width[d - 1, j] = edges[tail + start + j + 1] - edges[tail + start + j]
                top[j] = B[base + j]  # the exponent at the node: the sum is of order one or larger
                lowest = min(lowest, top[j])
            _reaches(B, shape, row, start, m, worst)
            for j in range(m, L):                        # lanes beyond the end repeat the last one
                lower[d - 1, j], width[d - 1, j] = lower[d - 1, m - 1], width[d - 1, m - 1]
                top[j], worst[j] = top[m - 1], worst[m - 1]
            if lowest > REMOTE:  # the node's value, wrong by at most the change of f within the cell
                for j in range(m):
                    volume = width[0, j]
                    for a in range(1, d):
                        volume *= width[a, j]
                    out[base + j] = log(volume) - top[j]
                    error[base + j] = exp(min(d * worst[j], 80.0))        # stays finite in single precision
                continue
            for j in range(L):
                size[j] = log(worst[j] + 1e-30)
                # a cell of weight below 1e-15 is roughly right (1e-1); the caller looks whether the density
                # is there
                R[j] = min(max(share + top[j], least), -9.2 if top[j] < 35.0 else -2.3)
            rule = 0
            while rule < rules.shape[0] - 1:             # the first rule that is good enough for all
                excess = -np.inf
                for j in range(L):
                    excess = max(excess, rules[rule, 2] + rules[rule, 3] * size[j] - R[j])
                if excess <= 0:
                    break
                rule += 1
            high, low = int(rules[rule, 0]), int(rules[rule, 1])
            # one buffer, cut to the points of this rule, so that the coordinates stay contiguous
            X, V = room[:d * (high + low) * L].reshape(d, (high + low) * L), values[:(high + low) * L]
            for a in range(d):
                for k in range(high + low):
                    u = nodes[rule, a, k]
                    line = X[a, k * L:k * L + L]
                    for j in range(L):
                        line[j] = lower[a, j] + u * width[a, j]
            value(X, p, V)
            for j in range(L):
                # the check of one point is the node, where the exponent is known
                S[j], R[j] = 0.0, 1.0 if low == 0 else 0.0
            for k in range(high):
                w, line = nodes[rule, d, k], V[k * L:k * L + L]
                for j in range(L):
                    S[j] += w * exp(top[j] - beta * (line[j] - f0))
            for k in range(high, high + low):
                w, line = nodes[rule, d, k], V[k * L:k * L + L]
                for j in range(L):
                    R[j] += w * exp(top[j] - beta * (line[j] - f0))
            for j in range(L):
                R[j] = abs(R[j] - S[j]) / S[j]
                volume = width[0, j]
                for a in range(1, d):
                    volume *= width[a, j]
                S[j] = log(volume * S[j]) - top[j]
            for j in range(m):
                # the difference is that of the weaker rule; where it is as large as the slope says, the
                # better one is far better
                out[base + j] = S[j]
                error[base + j] = 0.01 * R[j] if R[j] <= 10 * exp(rules[rule, 4] + rules[rule, 5]
                                                                  * size[j]) + 1e-15 else R[j]


_signature = types.void(numbers_1d, integers_1d, FUNCTION["value"], numbers_1d, numbers_1d, numbers_1d,
                        numbers_2d, numbers_3d, numbers_1d, numbers_1d)


@kernel(_signature)
def grid_masses(edges, shape, value, p, numbers, B, rules, nodes, out, error):
    """out (N,): log of int exp(-beta (f - f0)) over each cell; error (N,): an estimate of its relative error.

    edges: faces of all axes one after the other; B (N,) = beta (f - f0) on the nodes. numbers: beta, f0, the
    relative error allowed to a cell of weight one, that to any (both as logarithms). rules and nodes: see
    `quick_masses._tables`.
    """
    _masses(edges, shape, value, p, numbers, B, rules, nodes, 0, B.size // shape[shape.size - 1], out, error)


@kernel(_signature, parallel=True)
def grid_masses_parallel(edges, shape, value, p, numbers, B, rules, nodes, out, error):
    rows = B.size // shape[shape.size - 1]
    n_jobs = min(rows, 64)
    for job in prange(n_jobs):
        _masses(edges, shape, value, p, numbers, B, rules, nodes, job * rows // n_jobs,
                (job + 1) * rows // n_jobs, out, error)


@kernel(types.void(numbers_2d, numbers_2d, FUNCTION["value"], numbers_1d, number, number, numbers_2d,
                   numbers_2d, numbers_2d))
def box_sums(lower, width, value, p, beta, f0, high, low, out):
    """log of int exp(-beta (f - f0)) over boxes, by two product rules.

    lower, width (d, n): the boxes. high, low (d + 1, m): nodes on the unit cube and, last, the weights. out
    (2, n): the logarithm by the rule `high`, and |low - high| / high. The sums over points run inside loops
    over boxes, which vectorise.
    """
    d, n = lower.shape
    mh, ml = high.shape[1], low.shape[1]
    m = mh + ml
    lanes = max(8, min(64, 2048 // m // 8 * 8))
    low_corner, size = np.empty((d, lanes)), np.empty((d, lanes))
    X, V = np.empty((d, m * lanes)), np.empty(m * lanes)
    top, S, R = np.empty(lanes), np.empty(lanes), np.empty(lanes)
    for first in range(0, n, lanes):
        count = min(lanes, n - first)
        for a in range(d):
            for j in range(lanes):
                i = first + (j if j < count else count - 1)
                low_corner[a, j], size[a, j] = lower[a, i], width[a, i]
            for k in range(m):
                u = high[a, k] if k < mh else low[a, k - mh]
                x = X[a, k * lanes:(k + 1) * lanes]
                for j in range(lanes):
                    x[j] = low_corner[a, j] + u * size[a, j]
        value(X, p, V)
        for j in range(lanes):
            # finite, so that f = inf everywhere gives log 0 and not nan
            top[j], S[j], R[j] = -1e300, 0.0, 0.0
        for k in range(m):
            v = V[k * lanes:(k + 1) * lanes]
            for j in range(lanes):
                e = -beta * (v[j] - f0)
                v[j] = e
                if k < mh:  # not the edges: a value far above all others would leave S = 0
                    top[j] = top[j] if e <= top[j] else e   # a NaN is kept
        for k in range(mh):
            w = high[d, k]
            v = V[k * lanes:(k + 1) * lanes]
            for j in range(lanes):
                S[j] += w * exp(v[j] - top[j])
        for k in range(ml):
            w = low[d, k]
            v = V[(mh + k) * lanes:(mh + k + 1) * lanes]
            for j in range(lanes):
                R[j] += w * exp(v[j] - top[j])
        for j in range(count):
            volume = 1.0
            for a in range(d):
                volume *= width[a, first + j]
            out[0, first + j] = log(volume * S[j]) + top[j]
            out[1, first + j] = abs(R[j] - S[j]) / S[j] if S[j] > 0.0 else 0.0
