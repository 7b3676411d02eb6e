"""Potential on the nodes and rates of the edges between them: loops over blocks of points.

The potential comes as a block function value(X[d, m], p, out[m]) (see core.compilation), so these kernels
compile once for all.
"""
import math

import numpy as np
from numba import boolean, int64, njit, prange, types

from ...core.compilation import SIGNATURES, helper, kernel
from ...core.compilation.special import exp, options

BLOCK = 64
STEEP = 0.25  # largest change of beta f on an edge for Simpson's rule (its error there: 1e-6)
# Gauss points on a piece of an edge, and the change of beta f on it that they take with an error of 1e-6
RULES = np.array([[4, 2.2], [6, 5.0]])
MAX_PIECES = 64
GAUSS = np.array([[np.pad(a, (0, 6 - int(q))) for a in np.polynomial.legendre.leggauss(int(q))]
                  for q, _ in RULES])

_vector = types.Array(types.float64, 1, "C")
_counts = types.Array(types.int64, 1, "C")
_value = types.FunctionType(SIGNATURES["value"])


@njit(**options)
def _place(x, shape, row, axis, X, stop):
    """Coordinates of a row of the last axis. x: node positions, n_a + 1 entries an axis. On `axis` rows count
    edges."""
    d = shape.size
    q, first, at, stride = row, 0, 0, shape[d - 1]
    for a in range(d):
        first += shape[a] + 1
    first -= shape[d - 1] + 1
    position = 0
    for a in range(d - 2, -1, -1):
        first -= shape[a] + 1
        m = stop if a == axis else shape[a]
        i = q % m
        q //= m
        at += i * stride
        stride *= shape[a]
        if a == axis:
            position = i
        for k in range(X.shape[1]):
            X[a, k] = x[first + i]
    return at, position


@njit(**options)
def _values(x, shape, value, p, first_row, last_row, out):
    d = shape.size
    n = shape[d - 1]
    X, F = np.empty((d, n)), np.empty(n)
    tail = x.size - n - 1
    for row in range(first_row, last_row):
        _place(x, shape, row, -1, X, 0)
        for k in range(n):
            X[d - 1, k] = x[tail + k]
        value(X, p, F)
        for k in range(n):
            out[row * n + k] = F[k]


@kernel(types.void(_vector, _counts, _value, _vector, _vector))
def node_values(x, shape, value, p, out):
    """out (N,) = f on all nodes; x: positions of the nodes of each axis, each followed by one more (the next
    period or the wall)."""
    _values(x, shape, value, p, 0, out.size // shape[shape.size - 1], out)


@kernel(types.void(_vector, _counts, _value, _vector, _vector), parallel=True)
def node_values_parallel(x, shape, value, p, out):
    rows = out.size // shape[shape.size - 1]
    n_jobs = min(rows, 64)
    for job in prange(n_jobs):
        _values(x, shape, value, p, job * rows // n_jobs, (job + 1) * rows // n_jobs, out)


@njit(**options)
def _rise(F, beta, f0, top):
    """F <- beta (F - f0) - top."""
    for k in range(F.size):
        F[k] = beta * (F[k] - f0) - top[k]


@helper
def _work(G, k, s):
    """int_0^s of the parabola through G at 0, 1/2 and 1."""
    a, b = -3 * G[0, k] + 4 * G[1, k] - G[2, k], 2 * G[0, k] - 4 * G[1, k] + 2 * G[2, k]
    return s * (G[0, k] + s * (a / 2 + s * b / 3))


@njit(**options)
def _edges(x, shape, axis, is_ring, value, p, numbers, b, drive, rows, up, down):
    """up_e, down_e = scale exp(b) / int exp(beta (f - f0)) over the edge, b at its first and last node:
    Simpson where |db| < STEEP in the block, else composite Gauss, with points that crowd at the upper end
    where the pieces would not do. A force takes its work along the edge off the exponent."""
    beta, f0, scale = numbers
    d = shape.size
    stop = shape[axis] if is_ring else shape[axis] - 1
    n = stop if axis == d - 1 else shape[d - 1]
    X, F = np.empty((d, BLOCK)), np.empty(BLOCK)
    base, length, acc, top = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    left, right = np.empty(BLOCK), np.empty(BLOCK)
    is_driven, G = drive.shape[1] > 0, np.zeros((3, BLOCK))
    stride, begin = 1, 0
    for a in range(d):
        if a > axis:
            stride *= shape[a]
        elif a < axis:
            begin += shape[a] + 1
    tail = x.size - shape[d - 1] - 1
    ring = stride * shape[axis]
    for row in range(rows[0], rows[1]):
        at, position = _place(x, shape, row, axis, X, stop)
        for start in range(0, n, BLOCK):
            m = min(BLOCK, n - start)
            if axis == d - 1:
                for k in range(m):
                    e = start + k
                    left[k] = b[at + e]
                    right[k] = b[at + (e + 1 if e + 1 < shape[axis] else 0)]
                    base[k] = x[begin + e]
                    length[k] = x[begin + e + 1] - base[k]
                    X[axis, k] = base[k] + 0.5 * length[k]
            else:
                there = at + start + stride - (ring if position + 1 == shape[axis] else 0)
                here, beyond = b[at + start:at + start + m], b[there:there + m]
                low, size = x[begin + position], x[begin + position + 1] - x[begin + position]
                for k in range(m):
                    left[k], right[k] = here[k], beyond[k]
                    X[d - 1, k] = x[tail + start + k]
                for k in range(m):
                    base[k], length[k], X[axis, k] = low, size, low + 0.5 * size
            for k in range(m, BLOCK):                # lanes beyond the end repeat the last one
                left[k], right[k], base[k], length[k] = left[m - 1], right[m - 1], base[m - 1], length[m - 1]
                X[d - 1, k], X[axis, k] = X[d - 1, m - 1], X[axis, m - 1]
            if is_driven:
                first = row * n + start
                for k in range(BLOCK):
                    for i in range(3):
                        G[i, k] = drive[i, first + (k if k < m else m - 1)]
                    right[k] -= _work(G, k, 1.0)
            steep = 0.0
            for k in range(BLOCK):
                top[k] = left[k] if left[k] > right[k] else right[k]
                low = left[k] + right[k] - top[k]
                steep = top[k] - low if top[k] - low > steep else steep
            if steep < STEEP:
                value(X, p, F)
                _rise(F, beta, f0, top)
                if is_driven:
                    for k in range(BLOCK):
                        F[k] -= _work(G, k, 0.5)
                for k in range(BLOCK):
                    low = exp(left[k] + right[k] - 2 * top[k])
                    acc[k] = scale / (length[k] * ((1 + 4 * exp(F[k]) + low) / 6))
                    F[k] = low * acc[k]
            else:
                _steep_means(X, F, axis, value, p, (beta, f0, steep, is_driven, G), left, right, base,
                             length, top, acc)
                for k in range(BLOCK):
                    acc[k] = scale / (length[k] * (acc[k] + 1e-280))
                    F[k] = exp(left[k] + right[k] - 2 * top[k]) * acc[k]
            for k in range(m):
                is_down = left[k] > right[k]  # the upper end has the full rate, the lower one the other
                up[row * n + start + k] = acc[k] if is_down else F[k]
                down[row * n + start + k] = F[k] if is_down else acc[k]


@njit(**options)
def _steep_means(X, F, axis, value, p, numbers, left, right, base, length, top, acc):
    """acc = means of exp(beta (f - f0) - top) over the edges of a block."""
    beta, f0, steep, is_driven, G = numbers
    rule = 0 if steep <= RULES[0, 1] else 1
    q, reach = int(RULES[rule, 0]), RULES[rule, 1]
    pieces = min(int(steep / reach) + 1, MAX_PIECES) if steep < 1e6 else MAX_PIECES
    # beyond, all the weight stands in a layer of width length/steep below the upper end: y^power from there
    power = max(3.0, math.log(steep) / 4.6) if steep > reach * MAX_PIECES else 1.0
    for k in range(BLOCK):
        acc[k] = 0.0
    for s in range(pieces):
        for g in range(q):
            fraction = (s + (1 + GAUSS[rule, 0, g]) / 2) / pieces
            weight = GAUSS[rule, 1, g] / (2 * pieces)
            if power > 1.0:
                weight *= power * fraction ** (power - 1)
                fraction = fraction ** power
            for k in range(BLOCK):
                place = 1 - fraction if power > 1.0 and right[k] > left[k] else fraction
                X[axis, k] = base[k] + place * length[k]
            value(X, p, F)
            _rise(F, beta, f0, top)
            if is_driven:
                for k in range(BLOCK):
                    F[k] -= _work(G, k, (X[axis, k] - base[k]) / length[k])
            for k in range(BLOCK):
                acc[k] += weight * exp(F[k])


_edge_types = (_vector, _counts, int64, boolean, _value, _vector, types.UniTuple(types.float64, 3), _vector,
               types.Array(types.float64, 2, "C"), _vector, _vector)


@kernel(types.void(*_edge_types))
def edge_rates(x, shape, axis, is_ring, value, p, numbers, b, drive, up, down):
    """up, down (..., n_axis - 1 or n_axis, ...) = scale exp(b) / int exp(beta (f - f0)) over each edge along
    `axis`, with b = beta (f - f0) at its first and its last node; numbers: beta, f0, scale. drive (3,
    n_edges): beta times the force along the edge times its length, at its two ends and the middle; (3, 0)
    without."""
    _edges(x, shape, axis, is_ring, value, p, numbers, b, drive, (0, _rows(shape, axis, is_ring)), up, down)


@kernel(types.void(*_edge_types), parallel=True)
def edge_rates_parallel(x, shape, axis, is_ring, value, p, numbers, b, drive, up, down):
    rows = _rows(shape, axis, is_ring)
    n_jobs = min(rows, 64)
    for job in prange(n_jobs):
        _edges(x, shape, axis, is_ring, value, p, numbers, b, drive,
               (job * rows // n_jobs, (job + 1) * rows // n_jobs), up, down)


@njit(**options)
def _rows(shape, axis, is_ring):
    rows = 1
    for a in range(shape.size - 1):
        rows *= shape[a] - (1 if a == axis and not is_ring else 0)
    return rows
