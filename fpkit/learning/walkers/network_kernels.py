"""Many walkers in the space of one quadratic network, as SIMD lanes: x (n_params, lanes), walker innermost.

    out(a, b) = (U[a] + V[b])^2 W,    f = sum_q w_q |out_q - e_q|^2 / 2    over the pairs q = a p + b,

with weights w_q of each lane's own. Every product of matrices is made of tiles of 4 x 4 vectors that stay in
registers. The tiles of pairs are always the same ones, so a lane's sums have one order, and its bits do not
depend on the others; a tile in which no lane has a weight is left out, which adds nothing.

Rows of `tile`: h = U[a] + V[b] (4, W'), h^2 (4, W'), their derivative (4, W'), outputs and then residuals
(4, p'); `wide` holds W and its gradient as (W', p') each. W' and p' are multiples of 4, the rest stays zero.
"""
import numba
import numpy as np
from numba import types

from ...core.compilation import integers_1d, integers_2d, kernel, numbers_2d, singles_2d
from ...core.compilation.special import options
from ...core.compilation.vectors import add, div, filled, fma, load, mul, sqrt, store, sub
from ...langevin.dynamics.noise_kernels import fill_normals, words_t
from .minibatch_kernels import draw_minibatches

PAIRS = 4                                   # a tile
SGLD, ADAMW = 0, 1


@numba.njit(**options)
def multiply(A, a0, ai, ak, B, b0, bj, bk, n, C, c0, ci, cj, is_fresh):
    """C[i, j] = sum_k A[i, k] B[k, j] (or += when not `is_fresh`) for 4 x 4 vectors; rows by base and
    strides."""
    if is_fresh:
        c00 = filled(C, 0.0)
        c01 = c02 = c03 = c10 = c11 = c12 = c13 = c20 = c21 = c22 = c23 = c30 = c31 = c32 = c33 = c00
    else:
        r = c0
        c00, c01, c02, c03 = load(C, r), load(C, r + cj), load(C, r + 2 * cj), load(C, r + 3 * cj)
        r += ci
        c10, c11, c12, c13 = load(C, r), load(C, r + cj), load(C, r + 2 * cj), load(C, r + 3 * cj)
        r += ci
        c20, c21, c22, c23 = load(C, r), load(C, r + cj), load(C, r + 2 * cj), load(C, r + 3 * cj)
        r += ci
        c30, c31, c32, c33 = load(C, r), load(C, r + cj), load(C, r + 2 * cj), load(C, r + 3 * cj)
    for k in range(n):
        a, b = a0 + k * ak, b0 + k * bk
        p, q, r, s = load(B, b), load(B, b + bj), load(B, b + 2 * bj), load(B, b + 3 * bj)
        e = load(A, a)
        c00, c01, c02, c03 = fma(e, p, c00), fma(e, q, c01), fma(e, r, c02), fma(e, s, c03)
        e = load(A, a + ai)
        c10, c11, c12, c13 = fma(e, p, c10), fma(e, q, c11), fma(e, r, c12), fma(e, s, c13)
        e = load(A, a + 2 * ai)
        c20, c21, c22, c23 = fma(e, p, c20), fma(e, q, c21), fma(e, r, c22), fma(e, s, c23)
        e = load(A, a + 3 * ai)
        c30, c31, c32, c33 = fma(e, p, c30), fma(e, q, c31), fma(e, r, c32), fma(e, s, c33)
    t = c0
    store(C, t, c00), store(C, t + cj, c01), store(C, t + 2 * cj, c02), store(C, t + 3 * cj, c03)
    t += ci
    store(C, t, c10), store(C, t + cj, c11), store(C, t + 2 * cj, c12), store(C, t + 3 * cj, c13)
    t += ci
    store(C, t, c20), store(C, t + cj, c21), store(C, t + 2 * cj, c22), store(C, t + 3 * cj, c23)
    t += ci
    store(C, t, c30), store(C, t + cj, c31), store(C, t + 2 * cj, c32), store(C, t + 3 * cj, c33)


@numba.njit(**options)
def padded(n):
    return (n + 3) // 4 * 4


@numba.njit(**options)
def widen(x, wide, p, width):
    """W of the network into its padded place."""
    P = padded(p)
    for k in range(width):
        for c in range(p):
            store(wide, k * P + c, load(x, 2 * p * width + k * p + c))


@numba.njit(**options)
def outputs(x, wide, tile, q0, p, width):
    """Hidden units and outputs of the pairs q0 ... q0 + 3."""
    P, W = padded(p), padded(width)
    for i in range(PAIRS):
        q = min(q0 + i, p * p - 1)
        a, b = q // p, q % p
        for k in range(width):
            h = add(load(x, a * width + k), load(x, (p + b) * width + k))
            store(tile, i * W + k, h)
            store(tile, (PAIRS + i) * W + k, mul(h, h))
    for c in range(0, P, 4):
        multiply(tile, PAIRS * W, W, 1, wide, c, 1, P, width, tile, 3 * PAIRS * W + c, P, 1, True)


@numba.njit(**options)
def is_empty(weights, first):
    """Whether no lane weighs any of the pairs of a tile."""
    total = 0.0
    for i in range(PAIRS):
        for lane in range(weights.shape[1]):
            total += abs(weights[first + i, lane])
    return total == 0.0


@numba.njit(**options)
def gradient(x, g, wide, tile, weights, w0, p, width):
    """g = gradient of f with the weights in the rows from w0."""
    P, W = padded(p), padded(width)
    inner, out, sums = 2 * PAIRS * W, 3 * PAIRS * W, W * P
    zero, one = filled(g, 0.0), filled(g, 1.0)
    widen(x, wide, p, width)
    for k in range(W * P):
        store(wide, sums + k, zero)
    for k in range(2 * p * width):
        store(g, k, zero)
    for q0 in range(0, p * p, PAIRS):
        if is_empty(weights, w0 + q0):
            continue
        outputs(x, wide, tile, q0, p, width)
        for i in range(PAIRS):
            q = q0 + i
            label = out + i * P + (q // p + q % p) % p
            store(tile, label, sub(load(tile, label), one))
            w = load(weights, w0 + q)
            for c in range(p):
                store(tile, out + i * P + c, mul(w, load(tile, out + i * P + c)))
        for k in range(0, W, 4):
            multiply(tile, out, P, 1, wide, k * P, P, 1, p, tile, inner + k, W, 1, True)
            for c in range(0, P, 4):
                multiply(tile, PAIRS * W + k, 1, W, tile, out + c, 1, P, PAIRS, wide, sums + k * P + c, P, 1,
                         False)
        for i in range(PAIRS):
            q = min(q0 + i, p * p - 1)
            for k in range(width):
                h = load(tile, i * W + k)
                t = mul(load(tile, inner + i * W + k), add(h, h))
                a, b = q // p * width + k, (p + q % p) * width + k
                store(g, a, add(load(g, a), t))
                store(g, b, add(load(g, b), t))
    for k in range(width):
        for c in range(p):
            store(g, 2 * p * width + k * p + c, load(wide, sums + k * P + c))


@numba.njit(**options)
def march(x, g, memory, wide, tile, weights, coefficients, noise, states, batches, ids, shape):
    """`shape` = (p, width, kind, first step, steps, seed, whether any lane has a temperature, a minibatch);
    `coefficients` rows: rate, 1 - rate l2, sqrt(2 theta rate), and for AdamW 1 - b1, 1 - b2; `batches` rows:
    size, members, then their numbers, then room."""
    p, width, kind, first, n_steps, seed = shape[0], shape[1], shape[2], shape[3], shape[4], shape[5]
    n, rows = 3 * p * width, padded(p * p)
    rate, keep, amplitude = load(coefficients, 0), load(coefficients, 1), load(coefficients, 2)
    minus = mul(rate, filled(x, -1.0))
    w0 = rows if shape[7] else 0
    for step in range(first, first + n_steps):
        if shape[7]:
            draw_minibatches(weights, batches[0], batches[2:2 + p * p], batches[1],
                             batches[2 + p * p:].ravel(),
                             ids, step, np.uint64(seed), p * p)
        gradient(x, g, wide, tile, weights, w0, p, width)
        if kind == ADAMW:
            e1, e2 = load(coefficients, 3), load(coefficients, 4)
            b1, b2 = 1.0 - coefficients[3, 0], 1.0 - coefficients[4, 0]
            c1, c2 = filled(x, 1.0 / (1.0 - b1 ** (step + 1))), filled(x, 1.0 / (1.0 - b2 ** (step + 1)))
            small = filled(x, 1e-8)
            for i in range(n):
                s = load(g, i)
                m = fma(e1, sub(s, load(memory, i)), load(memory, i))
                v = fma(e2, sub(mul(s, s), load(memory, n + i)), load(memory, n + i))
                store(memory, i, m)
                store(memory, n + i, v)
                s = div(mul(c1, m), add(sqrt(mul(c2, v)), small))
                store(x, i, fma(minus, s, mul(keep, load(x, i))))
        elif shape[6]:
            fill_normals(states, noise)
            lanes = x.shape[1]
            flat = noise.ravel()
            for i in range(n):
                for lane in range(lanes):
                    memory[i, lane] = flat[i * lanes + lane]
            for i in range(n):
                store(x, i, fma(amplitude, load(memory, i), fma(minus, load(g, i), mul(keep, load(x, i)))))
        else:
            for i in range(n):
                store(x, i, fma(minus, load(g, i), mul(keep, load(x, i))))


@numba.njit(**options)
def measure(x, wide, tile, losses, right, shape):
    """losses, right (pairs, lanes): the loss of every pair, and whether its largest output is its class."""
    p, width = shape[0], shape[1]
    P, out = padded(p), 3 * PAIRS * padded(width)
    widen(x, wide, p, width)
    for q0 in range(0, p * p, PAIRS):
        outputs(x, wide, tile, q0, p, width)
        for i in range(min(PAIRS, p * p - q0)):
            q = q0 + i
            label = (q // p + q % p) % p
            for lane in range(x.shape[1]):
                best = tile[out + i * P + label, lane]
                loss, is_right = (1.0 - best) * (1.0 - best), 1.0
                for c in range(p):
                    value = tile[out + i * P + c, lane]
                    if c != label:
                        loss += value * value
                        if not value < best:                # nor when it is NaN
                            is_right = 0.0
                losses[q, lane] = 0.5 * loss
                right[q, lane] = is_right


single, double = singles_2d, numbers_2d
_RUN = (singles_2d, words_t, integers_2d, integers_1d, integers_1d)


@kernel(types.void(*(single,) * 7, *_RUN), nogil=True)
def march_single(x, g, memory, wide, tile, weights, coefficients, noise, states, batches, ids, shape):
    march(x, g, memory, wide, tile, weights, coefficients, noise, states, batches, ids, shape)


@kernel(types.void(*(double,) * 7, *_RUN), nogil=True)
def march_double(x, g, memory, wide, tile, weights, coefficients, noise, states, batches, ids, shape):
    march(x, g, memory, wide, tile, weights, coefficients, noise, states, batches, ids, shape)


@kernel(types.void(*(single,) * 5, integers_1d), nogil=True)
def measure_single(x, wide, tile, losses, right, shape):
    measure(x, wide, tile, losses, right, shape)


@kernel(types.void(*(double,) * 5, integers_1d), nogil=True)
def measure_double(x, wide, tile, losses, right, shape):
    measure(x, wide, tile, losses, right, shape)
