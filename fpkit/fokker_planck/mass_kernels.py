"""Integrals of exp(-beta f) over all cells of a grid in one pass: product Gauss rules whose order follows the slope of each block of cells."""
import numpy as np
from numba import njit, prange, types

from ..core.compilation import FUNCTION, integers_1d, kernel, number, numbers_1d, numbers_2d, numbers_3d
from ..core.special import exp, log, options

LANES = 16
REMOTE = 60.0                                    # theta above the minimum: cells of weight exp(-60) are not integrated


@njit(**options)
def _reach(B, shape, row, k, reach):
    """beta f over half a cell along each axis, curvature counted in, from the nodes around node (row, k)."""
    d = shape.size
    n = shape[d - 1]
    stride, q = 1, row
    here = B[row * n + k]
    worst = 0.0
    for a in range(d - 1, -1, -1):
        if a == d - 1:
            i, m, step = k, n, 1
        else:
            m = shape[a]
            i = q % m
            q //= m
            step = stride
        stride *= m
        up = B[row * n + k + step] - here if i < m - 1 else 0.0
        down = here - B[row * n + k - step] if i > 0 else up
        up = down if i == m - 1 else up
        slope = max(abs(up), abs(down)) / 2
        bend = abs(up - down) / 8
        r = slope + 1.5 * np.sqrt(bend)
        reach[a] = r if r < 1e6 else 1e6        # also nan
        worst = max(worst, reach[a])
    return worst


@njit(**options)
def _masses(edges, shape, value, p, beta, f0, B, share, least, rules, nodes, first_row, last_row, out, error):
    d = shape.size
    n = shape[d - 1]
    L = LANES
    most = nodes.shape[2]
    room, values = np.empty(d * most * L), np.empty(most * L)
    S, R, reach, size, top = np.empty(L), np.empty(L), np.empty(d), np.empty(L), np.empty(L)
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
            rule, lowest = 0, np.inf
            for j in range(L):
                k = start + min(j, m - 1)
                lower[d - 1, j] = edges[tail + k]
                width[d - 1, j] = edges[tail + k + 1] - edges[tail + k]
                top[j] = B[row * n + k]              # the exponent at the node: the sum is of order one or larger
                lowest = min(lowest, top[j])
                worst = _reach(B, shape, row, k, reach)
                size[j] = log(worst + 1e-30)
                R[j] = d * worst
                # a cell of weight below 1e-15 is roughly right (1e-1); the caller looks whether the density is there
                allowed = min(max(share + top[j], least), -9.2 if top[j] < 35.0 else -2.3)
                while rule < rules.shape[0] - 1 and rules[rule, 2] + rules[rule, 3] * size[j] > allowed:
                    rule += 1
            if lowest > REMOTE:                          # the node's value, wrong by at most the change of f within the cell
                for j in range(m):
                    volume = width[0, j]
                    for a in range(1, d):
                        volume *= width[a, j]
                    out[row * n + start + j] = log(volume) - top[j]
                    error[row * n + start + j] = exp(min(R[j], 80.0))     # stays finite in single precision
                continue
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
                S[j], R[j] = 0.0, 1.0 if low == 0 else 0.0       # the check of one point is the node, where the exponent is known
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
                # the difference is that of the weaker rule; where it is as large as the slope says, the better one is far better
                out[row * n + start + j] = S[j]
                error[row * n + start + j] = 0.01 * R[j] if R[j] <= 10 * exp(rules[rule, 4] + rules[rule, 5] * size[j]) + 1e-15 else R[j]


@kernel(types.void(numbers_1d, integers_1d, FUNCTION["value"], numbers_1d, number, number, numbers_1d, number, number, numbers_2d, numbers_3d, numbers_1d, numbers_1d))
def grid_masses(edges, shape, value, p, beta, f0, B, share, least, rules, nodes, out, error):
    """out (N,): log of int exp(-beta (f - f0)) over each cell; error (N,): an estimate of its relative error.

    edges: faces of all axes one after the other; B (N,) = beta (f - f0) on the nodes; share: relative error allowed to a cell of
    weight one, `least` to any (both as logarithms); rules and nodes: see `masses._tables`.
    """
    _masses(edges, shape, value, p, beta, f0, B, share, least, rules, nodes, 0, B.size // shape[shape.size - 1], out, error)


@kernel(types.void(numbers_1d, integers_1d, FUNCTION["value"], numbers_1d, number, number, numbers_1d, number, number, numbers_2d, numbers_3d, numbers_1d, numbers_1d),
        parallel=True)
def grid_masses_parallel(edges, shape, value, p, beta, f0, B, share, least, rules, nodes, out, error):
    rows = B.size // shape[shape.size - 1]
    n_jobs = min(rows, 64)
    for job in prange(n_jobs):
        _masses(edges, shape, value, p, beta, f0, B, share, least, rules, nodes, job * rows // n_jobs, (job + 1) * rows // n_jobs, out, error)
