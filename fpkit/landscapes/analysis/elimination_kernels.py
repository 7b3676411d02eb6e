"""Compiled elimination of the cells of a reversible chain, in logarithms, without a subtraction."""
from numba import types

from ...core.compilation import helper, kernel, numbers_1d, numbers_2d
from ...core.compilation.special import exp, log1p


@helper
def log_sum(a, b):
    """log(exp(a) + exp(b))."""
    high = a if a > b else b
    low = b if a > b else a
    return high + log1p(exp(low - high))


@kernel(types.void(numbers_2d, numbers_2d, numbers_2d, numbers_1d, numbers_1d))
def eliminate(band, border, kept, mass, kept_mass):
    """Star-mesh elimination of cells 0, 1, ..., n - 1: c_ij += c_ik c_jk / s_k and m_j += m_k c_jk / s_k, s_k
    = sum_j c_kj.

    All arguments are logarithms and change in place; what is absent is very small (-1e300), not -inf.
    band[n, b]: conductance between cell k and cell k + 1 + p. border[n, w]: between cell k and the kept node
    a. kept[w, w]: between kept nodes, the upper triangle. mass[n], kept_mass[w].
    """
    n, b = band.shape
    w = border.shape[1]
    for k in range(n):
        top = -1e300
        for p in range(b):
            if band[k, p] > top:
                top = band[k, p]
        for a in range(w):
            if border[k, a] > top:
                top = border[k, a]
        if top < -1e290:
            continue                             # no way out of this cell
        total = 0.0
        for p in range(b):
            total += exp(band[k, p] - top)
        for a in range(w):
            total += exp(border[k, a] - top)
        s = top + log1p(total - 1.0)
        for p in range(min(b, n - 1 - k)):
            if band[k, p] < -1e290:
                continue
            share = band[k, p] - s
            i = k + 1 + p
            for q in range(b - p - 1):
                band[i, q] = log_sum(band[i, q], share + band[k, p + 1 + q])
            for a in range(w):
                border[i, a] = log_sum(border[i, a], share + border[k, a])
            mass[i] = log_sum(mass[i], share + mass[k])
        for a in range(w):
            if border[k, a] < -1e290:
                continue
            share = border[k, a] - s
            for c in range(a + 1, w):
                kept[a, c] = log_sum(kept[a, c], share + border[k, c])
            kept_mass[a] = log_sum(kept_mass[a], share + mass[k])
