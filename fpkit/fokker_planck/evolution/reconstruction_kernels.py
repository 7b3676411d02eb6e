"""Kernels of the cell averages: means of exp(-beta f) times what the nodes hold."""
import numpy as np
from numba import boolean, njit, prange, types

from ...core.compilation import kernel
from ...core.compilation.special import exp, options
from .assembly_kernels import _vector

NO_MASS = 1e-20  # of a total of one: there the mean over the cell is not worth a logarithm
OUTSIDE = 1e290  # b of nodes outside the domain
_flags = types.Array(types.boolean, 1, "C")
_block = types.UniTuple(types.int64, 3)


@njit(**options)
def _log_mean(z):
    """log of the mean of exp(z x) over -1/2 < x < 1/2."""
    a = abs(z)
    if a < 1e-3:
        return a * a / 24
    return a / 2 + np.log((1 - np.exp(-a)) / a)


@njit(**options)
def _factors(x, width, is_ring, n):
    """Factors of one line: second difference, first difference (right and left), widths over distances
    (two-sided, right, left)."""
    T = np.empty((7, n))
    for k in range(n):
        right = x[k + 1] - x[k] if k < n - 1 or is_ring else width[k]
        left = x[k] - x[k - 1] if k > 0 else (x[n] - x[n - 1] if is_ring else width[k])
        both, w = left + right, width[k]
        T[0, k], T[1, k] = w * w / (12 * right * both), w * w / (12 * left * both)
        T[2, k], T[3, k] = w * left / (12 * right * both), w * right / (12 * left * both)
        T[4, k], T[5, k], T[6, k] = w / both, w / right, w / left
    return T


@njit(**options)
def _carried(u, rise, here):
    """W at a node times v at a neighbour that lies `rise` higher. What stands on a cliff above a narrow well
    is not in equilibrium with it: no more than the larger of both is taken over."""
    value = u * exp(rise if rise < 700.0 else 700.0)
    return min(value, max(here, u)) if rise > 2.0 else value


@njit(**options)
def _means(U, b, W, jump, is_free, T, is_ring, block, rows, out):
    n, inner = block[1], block[2]
    for line in range(rows[0], rows[1]):
        o, k = line // n, line % n
        lo = k - 1 if k > 0 else (n - 1 if is_ring else 0)
        hi = k + 1 if k < n - 1 else (0 if is_ring else n - 1)
        for i in range(inner):
            first = o * n * inner + i
            a, m, c = first + lo * inner, first + k * inner, first + hi * inner
            here = U[m]
            out[m] = here
            if b[m] >= OUTSIDE:
                continue
            down = a if b[a] < OUTSIDE else m
            up = c if b[c] < OUTSIDE else m
            if is_free[m]:
                out[m] = here + T[0, k] * (U[up] - here) + T[1, k] * (U[down] - here)
                continue
            per = (T[4, k] if down != m else T[5, k]) if up != m else T[6, k]
            steep = (b[down] - b[up]) * per          # d log W per cell
            largest = max(abs(here), abs(U[a]), abs(U[c]))
            if largest <= NO_MASS and largest * np.exp(max(jump[m], 0.0)) <= NO_MASS:
                continue
            slope = (1.0 if steep > 1.0 else steep) if steep > -1.0 else -1.0
            high, low = T[0, k] + slope * T[2, k], T[1, k] - slope * T[3, k]
            high = 0.0 if high < 0.0 else high
            low = 0.0 if low < 0.0 else low
            linear = here
            if abs(steep) <= 2.0:
                if W.size > 1 and max(b[up], b[down]) - b[m] <= 2.0:
                    linear += high * (U[up] * (W[m] / W[up]) - here) + low * (U[down] * (W[m] / W[down])
                                                                              - here)
                else:
                    linear += high * (_carried(U[up], b[up] - b[m], here) - here)
                    linear += low * (_carried(U[down], b[down] - b[m], here) - here)
            if abs(steep) <= 1.0:
                out[m] = linear
                continue
            # v and W as exponentials across the cell: where the density is smooth and W is steep, v undoes W
            part, size = min(abs(steep) - 1.0, 1.0), _log_mean(steep)
            value = here * np.exp(-size)             # no slope: the node's own value stands for the cell
            if here > 0 and U[up] > 0 and U[down] > 0:
                ratio = np.log(U[up] / U[down]) * per
                # u lies between its neighbours (rounding far up a wall must not be carried down it), except
                # in equilibrium, where v hardly rises and the cell holds its Gibbs mass times v however
                # narrow the well is
                bound = np.log(max(here, U[up], U[down]) / here)
                even = max(0.0, 1.0 - abs(ratio - steep))
                if even > 0 and size > bound:
                    bound = np.log(np.exp(bound - size) + even * (1 - np.exp(bound - size))) + size
                value = here * np.exp(min(_log_mean(ratio), bound) - size)
            out[m] = (1 - part) * linear + part * value if part < 1.0 else value


@kernel(types.void(_vector, _vector, _vector, _vector, _flags, _vector, _vector, boolean, _block, _vector))
def cell_mean(U, b, W, jump, is_free, x, width, is_ring, block, out):
    """out = W times the mean of v = U/W over each cell along the middle axis, weighted by W = exp(-beta f):
    weights >= 0 that sum to one.

    From the parabola through three nodes and the slope of log W, the change of b = beta f per cell being
    clipped at one: mean = v + (w^2/24) v'' + (w^2/12) (log W)' v'. Beyond, with both v and W as exponentials.
    jump: log of a cell's Gibbs mass over that of its node. W may be given where it
    is in range, else it has size 1. A neighbour outside the domain (b >= OUTSIDE) counts as a wall (v' = 0).
    Free cells take the plain mean of U. x: n + 1 node positions (the last one a period on), width: n cell
    widths.
    """
    n = block[1]
    _means(U, b, W, jump, is_free, _factors(x, width, is_ring, n), is_ring, block, (0, block[0] * n), out)


@kernel(types.void(_vector, _vector, _vector, _vector, _flags, _vector, _vector, boolean, _block, _vector),
        parallel=True)
def cell_mean_parallel(U, b, W, jump, is_free, x, width, is_ring, block, out):
    n = block[1]
    T = _factors(x, width, is_ring, n)
    rows = block[0] * n
    n_jobs = min(rows, 64)
    for job in prange(n_jobs):
        _means(U, b, W, jump, is_free, T, is_ring, block, (job * rows // n_jobs, (job + 1) * rows // n_jobs),
               out)
