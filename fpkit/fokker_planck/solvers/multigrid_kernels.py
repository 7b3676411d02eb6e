"""Multigrid on a box of cells linked to their neighbours along the axes: smoothing, residuals, and the steps
from level to level.

A level is a grid of shape (n0, n1, n2), C order, with links c[a, i] >= 0 from cell i to the next cell along
axis a (around the ring from the last; 0 at walls), grounds g[i] >= 0, and weights[i] = 1 / (sum of the links
of i + g[i]), 0 for cells that take no part: (A x)_i = sum_j c_ij (x_i - x_j) + g_i x_i.
"""
import numpy as np
from numba import njit, types

from ...core.compilation import integers_1d, kernel, number, numbers_1d, numbers_2d
from ...core.compilation.special import REGROUPED, options


@njit(**options)
def _rows(shape, row):
    """First cells of the rows of the last axis beside a row: after and before along axis 0, after and before
    along axis 1."""
    n0, n1, n2 = shape[0], shape[1], shape[2]
    i, j = row // n1, row % n1
    up0 = ((i + 1 if i + 1 < n0 else 0) * n1 + j) * n2
    down0 = ((i - 1 if i > 0 else n0 - 1) * n1 + j) * n2
    up1 = (i * n1 + (j + 1 if j + 1 < n1 else 0)) * n2
    down1 = (i * n1 + (j - 1 if j > 0 else n1 - 1)) * n2
    return up0, down0, up1, down1


@njit(**options)
def _add(t, links, x):
    for k in range(t.size):
        t[k] += links[k] * x[k]


@kernel(types.void(integers_1d, numbers_2d, numbers_1d, numbers_1d))
def diagonal(shape, c, g, weights):
    """weights from links and grounds."""
    n = shape[2]
    for row in range(shape[0] * shape[1]):
        up0, down0, up1, down1 = _rows(shape, row)
        at = row * n
        for k in range(n):
            before = at + (k - 1 if k > 0 else n - 1)
            d = (c[0, at + k] + c[0, down0 + k] + c[1, at + k] + c[1, down1 + k] + c[2, at + k] + c[2, before]
                 + g[at + k])
            weights[at + k] = 1 / d if d > 0 else 0.0


@kernel(types.void(integers_1d, numbers_2d, numbers_1d, numbers_1d, numbers_1d))
def smooth_from_zero(shape, c, weights, b, x):
    """One forward Gauss-Seidel sweep of A x = b from x = 0; x is overwritten."""
    n = shape[2]
    t, f = np.empty(n), np.empty(n)
    for row in range(shape[0] * shape[1]):
        up0, down0, up1, down1 = _rows(shape, row)
        at = row * n
        w, y = weights[at:at + n], x[at:at + n]
        for k in range(n):
            t[k] = b[at + k]
        # rows visited before this one; around a ring it may be the next one
        if down0 < at:
            _add(t, c[0, down0:down0 + n], x[down0:down0 + n])
        if up0 < at:
            _add(t, c[0, at:at + n], x[up0:up0 + n])
        if down1 < at:
            _add(t, c[1, down1:down1 + n], x[down1:down1 + n])
        if up1 < at:
            _add(t, c[1, at:at + n], x[up1:up1 + n])
        for k in range(n):
            t[k] *= w[k]
        for k in range(1, n):
            f[k] = c[2, at + k - 1] * w[k]
        last = t[0]
        y[0] = last
        for k in range(1, n):
            last = t[k] + f[k] * last
            y[k] = last
        if n > 1:                                        # around a ring the first cell comes before the last
            y[n - 1] += c[2, at + n - 1] * y[0] * w[n - 1]


@kernel(types.void(integers_1d, numbers_2d, numbers_1d, integers_1d, numbers_1d))
def restrict_after(shape, c, x, coarse, out):
    """Residual after `smooth_from_zero`, summed over the cells of each block: what the cells that came later
    have added since."""
    n = shape[2]
    r = np.empty(n)
    out[:] = 0.0
    for row in range(shape[0] * shape[1]):
        up0, down0, up1, down1 = _rows(shape, row)
        at = row * n
        for k in range(n - 1):
            r[k] = c[2, at + k] * x[at + k + 1]
        r[n - 1] = 0.0
        if n > 1:
            r[0] += c[2, at + n - 1] * x[at + n - 1]
        if up0 > at:
            _add(r, c[0, at:at + n], x[up0:up0 + n])
        if down0 > at:
            _add(r, c[0, down0:down0 + n], x[down0:down0 + n])
        if up1 > at:
            _add(r, c[1, at:at + n], x[up1:up1 + n])
        if down1 > at:
            _add(r, c[1, down1:down1 + n], x[down1:down1 + n])
        to = ((row // shape[1] // 2) * coarse[1] + row % shape[1] // 2) * coarse[2]
        for k in range(n // 2):
            out[to + k] += r[2 * k] + r[2 * k + 1]
        if n % 2 == 1:
            out[to + n // 2] += r[n - 1]


@kernel(types.void(integers_1d, numbers_2d, numbers_1d, numbers_1d, integers_1d, numbers_1d, numbers_1d))
def correct_and_smooth(shape, c, weights, b, coarse, e, x):
    """x plus e of its block, then one backward Gauss-Seidel sweep."""
    n, rows = shape[2], shape[0] * shape[1]
    t, f = np.empty(n), np.empty(n)
    for row in range(rows):
        at = row * n
        of = ((row // shape[1] // 2) * coarse[1] + row % shape[1] // 2) * coarse[2]
        for k in range(n // 2):
            x[at + 2 * k] += e[of + k]
            x[at + 2 * k + 1] += e[of + k]
        if n % 2 == 1:
            x[at + n - 1] += e[of + n // 2]
    for q in range(rows):
        row = rows - 1 - q
        up0, down0, up1, down1 = _rows(shape, row)
        at = row * n
        w, y = weights[at:at + n], x[at:at + n]
        for k in range(n):
            t[k] = (b[at + k] + c[0, at + k] * x[up0 + k] + c[0, down0 + k] * x[down0 + k]
                    + c[1, at + k] * x[up1 + k] + c[1, down1 + k] * x[down1 + k])
        for k in range(1, n):
            t[k] += c[2, at + k - 1] * y[k - 1]
        t[n - 1] += c[2, at + n - 1] * y[0] if n > 1 else 0.0
        for k in range(n):
            t[k] *= w[k]
            f[k] = c[2, at + k] * w[k]
        last = t[n - 1]
        y[n - 1] = last
        for k in range(n - 2, -1, -1):
            last = t[k] + f[k] * last
            y[k] = last
        if n > 1:                                        # around a ring the last cell comes before the first
            y[0] += c[2, at + n - 1] * y[n - 1] * w[0]


@kernel(types.void(integers_1d, numbers_2d, numbers_1d, numbers_1d, numbers_1d), fastmath=REGROUPED)
def product(shape, c, g, x, out):
    """out = A x, from differences of x."""
    n = shape[2]
    for row in range(shape[0] * shape[1]):
        up0, down0, up1, down1 = _rows(shape, row)
        at = row * n
        y, o = x[at:at + n], out[at:at + n]
        for k in range(n):
            o[k] = (g[at + k] * y[k] + c[0, at + k] * (y[k] - x[up0 + k])
                    + c[0, down0 + k] * (y[k] - x[down0 + k])
                    + c[1, at + k] * (y[k] - x[up1 + k]) + c[1, down1 + k] * (y[k] - x[down1 + k]))
        for k in range(n - 1):
            flow = c[2, at + k] * (y[k] - y[k + 1])
            o[k] += flow
            o[k + 1] -= flow
        flow = c[2, at + n - 1] * (y[n - 1] - y[0])
        o[n - 1] += flow
        o[0] -= flow


@kernel(number(integers_1d, numbers_2d, numbers_1d, numbers_1d), fastmath=REGROUPED)
def form(shape, c, x, y):
    """sum over the links of c dx dy."""
    n, total = shape[2], 0.0
    for row in range(shape[0] * shape[1]):
        up0, _, up1, _ = _rows(shape, row)
        at = row * n
        for k in range(n):
            total += (c[0, at + k] * (x[up0 + k] - x[at + k]) * (y[up0 + k] - y[at + k])
                      + c[1, at + k] * (x[up1 + k] - x[at + k]) * (y[up1 + k] - y[at + k]))
        for k in range(n - 1):
            total += c[2, at + k] * (x[at + k + 1] - x[at + k]) * (y[at + k + 1] - y[at + k])
        total += c[2, at + n - 1] * (x[at] - x[at + n - 1]) * (y[at] - y[at + n - 1])
    return total


@kernel(types.void(integers_1d, numbers_2d, numbers_1d, integers_1d, numbers_2d, numbers_1d))
def coarsen(shape, c, g, coarse, C, G):
    """Links and grounds between blocks of two cells along each axis, sums of those of the cells; C and G are
    0 before."""
    n0, n1, n2 = shape[0], shape[1], shape[2]
    m0, m1, m2 = coarse[0], coarse[1], coarse[2]
    for i in range(n0):
        for j in range(n1):
            for k in range(n2):
                at = (i * n1 + j) * n2 + k
                to = ((i // 2) * m1 + j // 2) * m2 + k // 2
                G[to] += g[at]
                if m0 > 1 and (i % 2 == 1 or i == n0 - 1):
                    C[0, to] += c[0, at]
                if m1 > 1 and (j % 2 == 1 or j == n1 - 1):
                    C[1, to] += c[1, at]
                if m2 > 1 and (k % 2 == 1 or k == n2 - 1):
                    C[2, to] += c[2, at]


@kernel(number(numbers_1d, numbers_1d, numbers_1d), fastmath=REGROUPED)
def weighted(weights, x, y):
    """sum of weights x y; the product of the first two first, since x y may overflow."""
    total = 0.0
    for i in range(x.size):
        total += (weights[i] * x[i]) * y[i]
    return total


@kernel(number(numbers_1d, numbers_1d), fastmath=REGROUPED)
def inner(x, y):
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@kernel(number(number, numbers_1d, numbers_1d, numbers_1d, numbers_1d, numbers_1d), fastmath=REGROUPED)
def step(a, p, q, weights, x, r):
    """x + a p and r - a q in place; returns sum of weights r^2 afterwards."""
    total = 0.0
    for i in range(x.size):
        x[i] += a * p[i]
        r[i] -= a * q[i]
        total += (weights[i] * r[i]) * r[i]
    return total


@kernel(number(number, numbers_1d, numbers_1d, numbers_1d, numbers_1d), fastmath=REGROUPED)
def clear(a, before, q_before, p, q):
    """p - a before and q - a q_before in place; returns p . q afterwards."""
    total = 0.0
    for i in range(p.size):
        p[i] -= a * before[i]
        q[i] -= a * q_before[i]
        total += p[i] * q[i]
    return total
