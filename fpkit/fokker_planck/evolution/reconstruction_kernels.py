"""Kernels of the cell averages: means of exp(-beta f) times what the nodes hold."""
import numpy as np
from numba import boolean, int64, njit, prange, types

from ...core.compilation import kernel
from ...core.compilation.special import options
from .assembly_kernels import _vector

NO_MASS = 1e-20  # of a total of one: there the mean over the cell is not worth a logarithm


@njit(**options)
def _log_mean(z):
    """log of the mean of exp(z x) over -1/2 < x < 1/2."""
    a = min(abs(z), 1400.0)
    return a / 2 + np.log(-np.expm1(-a) / a) if a > 1e-3 else a * a / 24


@njit(**options)
def _means(V, W, x, width, is_ring, n, inner, first, last, out):
    # factors of one line: second difference, first difference (right and left), widths over distances
    # (two-sided, right, left)
    T = np.empty((7, n))
    for k in range(n):
        right = x[k + 1] - x[k] if k < n - 1 or is_ring else width[k]
        left = x[k] - x[k - 1] if k > 0 else (x[n] - x[n - 1] if is_ring else width[k])
        both, w = left + right, width[k]
        T[0, k], T[1, k] = w * w / (12 * right * both), w * w / (12 * left * both)
        T[2, k], T[3, k] = w * left / (12 * right * both), w * right / (12 * left * both)
        T[4, k], T[5, k], T[6, k] = w / both, w / right, w / left
    for line in range(first, last):
        o, k = line // n, line % n
        lo = k - 1 if k > 0 else (n - 1 if is_ring else 0)
        hi = k + 1 if k < n - 1 else (0 if is_ring else n - 1)
        for i in range(inner):
            b = o * n * inner + i
            a, m, c = b + lo * inner, b + k * inner, b + hi * inner
            if W[m] <= 0:
                out[m] = 0.0
                continue
            if max(abs(V[m]), abs(V[a]), abs(V[c])) * max(W[m], W[a], W[c]) <= NO_MASS:
                out[m] = V[m]  # bounds what the three cells hold, and that is nothing
                continue
            down = a if W[a] > 0 else m
            up = c if W[c] > 0 else m
            y = (W[up] - W[down]) / (W[up] + W[down])
            per = (T[4, k] if down != m else T[5, k]) if up != m else T[6, k]
            steep = 2 * (y + y * y * y / 3) * per  # d log W per cell, by atanh to third order
            if abs(y) > 0.46:
                steep = np.log(W[up] / W[down]) * per
            slope = (1.0 if steep > 1.0 else steep) if steep > -1.0 else -1.0
            high, low = T[0, k] + slope * T[2, k], T[1, k] - slope * T[3, k]
            high = 0.0 if high < 0.0 else high
            low = 0.0 if low < 0.0 else low
            out[m] = V[m] + high * (V[up] - V[m]) + low * (V[down] - V[m])
            if abs(steep) > 1.0:
                # v and W as exponentials across the cell: where the density is smooth and W is steep, v
                # undoes W
                if V[m] > 0 and V[m] * max(W[m], W[up], W[down]) <= NO_MASS:
                    out[m] = V[m]  # bounds what the cell may hold, and that is nothing
                    continue
                part, here, size = min(abs(steep) - 1.0, 1.0), V[m] * W[m], _log_mean(steep)
                if V[m] > 0 and V[up] > 0 and V[down] > 0:
                    rise = np.log(V[up] / V[down]) * per
                    # u lies between its neighbours (rounding far up a wall must not be carried down it),
                    # except in equilibrium, where v hardly rises and the cell holds its Gibbs mass times v
                    # however narrow the well is
                    bound = max(here, V[up] * W[up], V[down] * W[down]) / here
                    own = np.exp(min(size, 690.0))
                    bound += max(0.0, 1.0 - abs(rise)) * max(0.0, own - bound)
                    value = V[m] * min(np.exp(min(_log_mean(rise + steep), 690.0)), bound) / own
                else:
                    value = V[m] * np.exp(-size)  # no slope: the node's own value stands for the cell
                out[m] = (1 - part) * out[m] + part * value


@kernel(types.void(_vector, _vector, _vector, _vector, boolean, int64, int64, int64, _vector))
def cell_mean(V, W, x, width, is_ring, outer, n, inner, out):
    """out = mean of v over each cell along the middle axis, weighted by exp(-beta f): weights >= 0 that sum
    to one.

    From the parabola through three nodes and the slope of log W (atanh to third order), beta f's change per
    cell being clipped at one: mean = v + (w^2/24) v'' + (w^2/12) (log W)' v'. Beyond, with both v and W as
    exponentials. A neighbour with W <= 0 is outside the domain and counts as a wall (v' = 0). x: n + 1 node
    positions (the last one a period on), width: n cell widths.
    """
    _means(V, W, x, width, is_ring, n, inner, 0, outer * n, out)


@kernel(types.void(_vector, _vector, _vector, _vector, boolean, int64, int64, int64, _vector), parallel=True)
def cell_mean_parallel(V, W, x, width, is_ring, outer, n, inner, out):
    rows = outer * n
    n_jobs = min(rows, 64)
    for job in prange(n_jobs):
        _means(V, W, x, width, is_ring, n, inner, job * rows // n_jobs, (job + 1) * rows // n_jobs, out)
