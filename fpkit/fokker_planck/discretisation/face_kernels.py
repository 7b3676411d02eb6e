"""Conductances of edges in three dimensions as means over lines through the face, exponents evaluated on the
way."""
import numpy as np
from numba import njit, prange, types

from ...core.compilation import FUNCTION, integer, integers_1d, kernel, numbers_1d, numbers_2d
from ...core.compilation.special import exp, log, options

LANES = 32
PROBES = 5                             # points of an edge at which the change of beta f is looked at
LARGEST = 1e300                        # stands for an exponent of infinity, so that differences stay numbers


@njit(**options)
def _means(grid, shape, axis, value, p, numbers, a, rule, lines, first, last, out):
    d, L = shape.size, LANES
    beta, f0, step, coarse, most, limit = (numbers[0], numbers[1], numbers[2], numbers[3], numbers[4],
                                           numbers[5])
    x, w = rule[0], rule[1]
    # where the coordinates of each axis begin in grid: centres, widths, distances to the next centre
    begin = np.zeros(d, np.int64)
    for k in range(1, d):
        begin[k] = begin[k - 1] + shape[k - 1]
    X, V = np.empty((d, L)), np.empty(L)
    base, width, length = np.empty((d, L)), np.empty((d, L)), np.empty(L)
    top, total, acc = np.empty(L), np.empty(L), np.empty(L)
    n_lines = lines.shape[1] ** (d - 1)
    for start in range(first, last, L):
        m = min(L, last - start)
        for l in range(L):
            q = a[start + (l if l < m else m - 1)]
            for k in range(d - 1, -1, -1):
                i = begin[k] + q % shape[k]
                q //= shape[k]
                base[k, l], width[k, l] = grid[0, i], grid[1, i]
                if k == axis:
                    length[l] = grid[2, i]
            top[l], acc[l] = -LARGEST, 0.0
        lowest, change = np.inf, 0.0
        for s in range(PROBES):
            for k in range(d):
                for l in range(L):
                    X[k, l] = base[k, l]
            for l in range(L):
                X[axis, l] = base[axis, l] + s / (PROBES - 1) * length[l]
            value(X, p, V)
            for l in range(L):
                e = beta * (V[l] - f0)
                e = LARGEST if e > LARGEST else e
                if s > 0:
                    change = max(change, abs(e - acc[l]) * (PROBES - 1))
                acc[l] = e
                lowest = min(lowest, e)
                top[l] = max(top[l], e)
        wanted = change / step
        if lowest > limit:
            wanted = min(wanted, max(change / coarse, 1.0))
        pieces = 1
        while pieces < wanted and pieces < most:
            pieces *= 2
        for l in range(L):
            total[l] = 0.0
        is_remote = lowest > limit                        # there the line between the centres is enough
        for line in range(1 if is_remote else n_lines):
            rest, weight = line, 1.0
            for k in range(d):
                if k == axis or is_remote:
                    continue
                j = rest % lines.shape[1]
                rest //= lines.shape[1]
                weight *= lines[1, j]
                for l in range(L):
                    X[k, l] = base[k, l] + (lines[0, j] - 0.5) * width[k, l]
            for l in range(L):
                acc[l] = 0.0
            for s in range(pieces):
                for g in range(x.size):
                    u, v = (s + x[g]) / pieces, w[g] / pieces
                    for l in range(L):
                        X[axis, l] = base[axis, l] + u * length[l]
                    value(X, p, V)
                    for l in range(L):
                        e = beta * (V[l] - f0)
                        e = (LARGEST if e > LARGEST else e) - top[l]
                        # finite where f peaks between the probes
                        acc[l] += v * exp(600.0 if e > 600.0 else e)
            for l in range(L):
                total[l] += weight / (1e-290 if acc[l] < 1e-290 else acc[l])
        for l in range(m):
            out[start + l] = log(total[l]) - top[l]


@kernel(types.void(numbers_2d, integers_1d, integer, FUNCTION["value"], numbers_1d, numbers_1d, integers_1d,
                   numbers_2d, numbers_2d, numbers_1d), parallel=True)
def face_means(grid, shape, axis, value, p, numbers, a, rule, lines, out):
    """out (n,): log of the mean over lines through the face of 1 / (mean of exp(beta (f - f0)) along the
    line), of the edges that leave cells a (n,) along `axis`.

    grid (3, sum of shape): centres, widths and distances to the next centre of all axes, one axis after the
    other. numbers: beta, f0, step, coarse, most, limit: an edge is cut in pieces, a power of two and at most
    `most`, on which beta f changes by at most `step`, or `coarse` where all of it lies above the
    limit; there the line between the centres has to do.
    rule (2, points): Gauss rule on a piece of a line; lines (2, q): that of the lines, on each axis of the
    face.
    """
    n = a.size
    n_jobs = max(1, min(n // (4 * LANES), 64))
    for job in prange(n_jobs):
        _means(grid, shape, axis, value, p, numbers, a, rule, lines, job * n // n_jobs,
               (job + 1) * n // n_jobs, out)
