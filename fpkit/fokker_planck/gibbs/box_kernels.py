"""Kernel of the cell masses: product Gauss rules on many boxes."""
import numpy as np
from numba import types

from ...core.compilation import FUNCTION, kernel, number, numbers_1d, numbers_2d
from ...core.compilation.special import exp, log


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
