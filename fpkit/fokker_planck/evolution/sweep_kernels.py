"""Implicit steps on all lines of a grid, sixteen lines at a time, without subtraction (GTH-Thomas).

State v = u exp(beta f). Along one axis M dv/dt = -K v: K is the graph Laplacian of the conductances c, M = D
minus the graph Laplacian of mu, mu_e = min(delta_e c_e, D_i/6, D_j/6), delta = h^2/(12 theta) (order 4) or 0
(order 2). A step solves (M + tau K) v' = M v. Its graph has conductances g = tau c - mu and grounds D, and
star-mesh elimination carries the grounds ("excess") explicitly, so that sum D v is kept to rounding at any
tau and no diagonal is ever formed.

The lane loops vectorise only as they stand: division without checks (error_model="numpy"), min as a
conditional expression, one flat buffer with constant offsets (more arrays exceed LLVM's alias checks) and a
lane count known at run time only (a constant one is unrolled before the vectoriser sees it).

Below stand lines of any kind: periodic, with killing, and the operator M^-1 K of a line; one at a time, so
slower. On a ring, eliminating node k joins its neighbour k + 1 to the last node, so one extra conductance `a`
is carried along; killing adds tau * killing to the excess. Both stay free of subtraction where
g = tau c - mu >= 0.
"""
import math

import numpy as np
from numba import boolean, int64, njit, prange, types

from ...core.compilation import kernel
from ...core.compilation.special import options

LANES = 16
ROWS = 6 * LANES
GAMMA = 1 - 1 / math.sqrt(2.0)
KAPPA = (1 - GAMMA) / GAMMA
BACKWARD_EULER, SDIRK2, OPERATOR = 0, 1, 2

_vector = types.Array(types.float64, 1, "C")
_counts = types.Array(types.int64, 1, "C")


@njit(**options)
def _panel(flat, lanes, n, tau, delta, mode):
    """One step on `lanes` lines in place. flat holds for node k the rows D, c (edge k, k+1), v, factor,
    pivot, right-hand side."""
    L = LANES
    largest = tau if mode == BACKWARD_EULER else 1e300
    # a fused tau c - mu is not exactly 0 where mu was capped at tau c
    lowest = 0.0 if mode == BACKWARD_EULER else -1e300
    w = flat[:ROWS]
    for l in range(lanes):
        w[l + 4 * L] = w[l + 0 * L]
        w[l + 5 * L] = w[l + 0 * L] * w[l + 2 * L]
    for k in range(n - 1):  # mu, r = M v, factors and forward elimination in one pass; row 4 holds the excess
        w = flat[k * ROWS:(k + 2) * ROWS]
        length = delta[k]
        for l in range(lanes):
            d, e, c = w[l + 0 * L], w[l + 6 * L], w[l + 1 * L]
            mu = (d if d < e else e) * (1 / 6)
            mu = length * c if length * c < mu else mu
            mu = largest * c if largest * c < mu else mu
            g = tau * c - mu
            g = lowest if g < lowest else g
            flow = mu * (w[l + 8 * L] - w[l + 2 * L])
            s = 1 / (w[l + 4 * L] + g)
            x = g * s
            r = w[l + 5 * L] + flow
            w[l + 10 * L] = e + x * w[l + 4 * L]
            w[l + 4 * L] = s
            w[l + 3 * L] = x
            w[l + 1 * L] = mu
            w[l + 5 * L] = r
            w[l + 11 * L] = e * w[l + 8 * L] - flow + x * r
    w = flat[(n - 1) * ROWS:n * ROWS]
    for l in range(lanes):
        w[l + 4 * L] = 1 / w[l + 4 * L]
        w[l + 5 * L] *= w[l + 4 * L]
    if mode == BACKWARD_EULER:
        for l in range(lanes):
            w[l + 2 * L] = w[l + 5 * L]
        for k in range(n - 2, -1, -1):
            w = flat[k * ROWS:(k + 2) * ROWS]
            for l in range(lanes):
                w[l + 2 * L] = w[l + 5 * L] * w[l + 4 * L] + w[l + 3 * L] * w[l + 8 * L]
        return
    kappa = KAPPA
    for l in range(lanes):
        w[l + 2 * L] += kappa * (w[l + 5 * L] - w[l + 2 * L])
    for k in range(n - 2, -1, -1):         # back substitution, and the argument of the second stage
        w = flat[k * ROWS:(k + 2) * ROWS]
        for l in range(lanes):
            y = w[l + 5 * L] * w[l + 4 * L] + w[l + 3 * L] * w[l + 11 * L]
            w[l + 5 * L] = y
            w[l + 2 * L] += kappa * (y - w[l + 2 * L])
    w = flat[:ROWS]
    for l in range(lanes):
        w[l + 5 * L] = w[l + 0 * L] * w[l + 2 * L]
    for k in range(n - 1):
        w = flat[k * ROWS:(k + 2) * ROWS]
        for l in range(lanes):
            flow = w[l + 1 * L] * (w[l + 8 * L] - w[l + 2 * L])
            r = w[l + 5 * L] + flow
            w[l + 5 * L] = r
            w[l + 11 * L] = w[l + 6 * L] * w[l + 8 * L] - flow + w[l + 3 * L] * r
    w = flat[(n - 1) * ROWS:n * ROWS]
    for l in range(lanes):
        w[l + 2 * L] = w[l + 5 * L] * w[l + 4 * L]
    for k in range(n - 2, -1, -1):
        w = flat[k * ROWS:(k + 2) * ROWS]
        for l in range(lanes):
            w[l + 2 * L] = w[l + 5 * L] * w[l + 4 * L] + w[l + 3 * L] * w[l + 8 * L]


@njit(**options)
def _panels(V, D, C, delta, outer, n, inner, first_panel, last_panel, dt, mode):
    """Step along the middle axis of V, D (outer, n, inner) with conductances C (outer, n-1, inner), for a
    range of panels."""
    L = LANES
    tau = dt if mode == BACKWARD_EULER else GAMMA * dt
    lanes = min(L, outer * L)              # always L, but not a constant
    n_lines = outer * inner
    B = np.empty((n, 6, L))
    flat = B.reshape(n * 6 * L)
    for panel in range(first_panel, last_panel):
        first = panel * L
        m = min(L, n_lines - first)
        if inner % L == 0:
            o, i = first // inner, first % inner
            b, bc = o * n * inner + i, o * (n - 1) * inner + i
            for k in range(n):
                d, v = D[b + k * inner:b + k * inner + L], V[b + k * inner:b + k * inner + L]
                for l in range(L):
                    B[k, 0, l] = d[l]
                    B[k, 2, l] = v[l]
            for k in range(n - 1):
                c = C[bc + k * inner:bc + k * inner + L]
                for l in range(L):
                    B[k, 1, l] = c[l]
            _panel(flat, lanes, n, tau, delta, mode)
            for k in range(n):
                v = V[b + k * inner:b + k * inner + L]
                for l in range(L):
                    v[l] = B[k, 2, l]
        else:
            for l in range(L):             # lanes beyond the last line repeat it
                q = first + min(l, m - 1)
                o, i = q // inner, q % inner
                b, bc = o * n * inner + i, o * (n - 1) * inner + i
                for k in range(n):
                    B[k, 0, l] = D[b + k * inner]
                    B[k, 2, l] = V[b + k * inner]
                for k in range(n - 1):
                    B[k, 1, l] = C[bc + k * inner]
            _panel(flat, lanes, n, tau, delta, mode)
            for l in range(m):
                q = first + l
                o, i = q // inner, q % inner
                b = o * n * inner + i
                for k in range(n):
                    V[b + k * inner] = B[k, 2, l]


@njit(**options)
def _one_sweep(V, D, C, delta, shape, axis, dt, mode):
    outer, inner, c_first, d_first = 1, 1, 0, 0
    for a in range(shape.size):
        if a < axis:
            outer *= shape[a]
            c_first += V.size // shape[a] * (shape[a] - 1)
            d_first += shape[a]
        elif a > axis:
            inner *= shape[a]
    n = shape[axis]
    _panels(V, D, C[c_first:], delta[d_first:], outer, n, inner, 0, (outer * inner + LANES - 1) // LANES, dt,
            mode)


@kernel(types.void(_vector, _vector, _vector, _vector, _counts, types.float64, int64, int64))
def strang(V, D, C, delta, shape, dt, n_steps, mode):
    """n_steps symmetric steps of length dt on V in place; the first-axis half sweeps of neighbouring steps
    are merged.

    V, D (N,); C: conductances of all axes one after the other, axis a of shape (..., n_a - 1, ...); delta:
    n_a entries an axis.
    """
    d = shape.size
    if d == 1:
        for _ in range(n_steps):
            _one_sweep(V, D, C, delta, shape, 0, dt, mode)
        return
    _one_sweep(V, D, C, delta, shape, 0, dt / 2, mode)
    for k in range(n_steps):
        for axis in range(1, d - 1):
            _one_sweep(V, D, C, delta, shape, axis, dt / 2, mode)
        _one_sweep(V, D, C, delta, shape, d - 1, dt, mode)
        for axis in range(d - 2, 0, -1):
            _one_sweep(V, D, C, delta, shape, axis, dt / 2, mode)
        _one_sweep(V, D, C, delta, shape, 0, dt if k < n_steps - 1 else dt / 2, mode)


@kernel(types.void(_vector, _vector, _vector, _vector, int64, int64, int64, types.float64, int64),
        parallel=True)
def sweep_parallel(V, D, C, delta, outer, n, inner, dt, mode):
    """One sweep along the middle axis on all threads. Panels are independent: the bits do not depend on the
    threads."""
    n_panels = (outer * inner + LANES - 1) // LANES
    n_jobs = min(n_panels, 64)
    for job in prange(n_jobs):
        _panels(V, D, C, delta, outer, n, inner, job * n_panels // n_jobs, (job + 1) * n_panels // n_jobs, dt,
                mode)


@kernel(types.void(_vector, _vector, _vector, _vector, _vector, _vector, int64, int64, int64, types.float64,
                   int64), parallel=True)
def planes_parallel(V, D, C_middle, C_last, delta_middle, delta_last, n_planes, n_middle, n_last, dt, mode):
    """Half a step along the middle axis, a step along the last and half a step along the middle one, plane by
    plane while each is in the cache."""
    size, links_middle, links_last = n_middle * n_last, (n_middle - 1) * n_last, n_middle * (n_last - 1)
    for i in prange(n_planes):
        v, d = V[i * size:(i + 1) * size], D[i * size:(i + 1) * size]
        c_middle, c_last = C_middle[i * links_middle:(i + 1)
                                    * links_middle], C_last[i * links_last:(i + 1) * links_last]
        _panels(v, d, c_middle, delta_middle, 1, n_middle, n_last, 0, (n_last + LANES - 1) // LANES, dt / 2,
                mode)
        _panels(v, d, c_last, delta_last, n_middle, n_last, 1, 0, (n_middle + LANES - 1) // LANES, dt, mode)
        _panels(v, d, c_middle, delta_middle, 1, n_middle, n_last, 0, (n_last + LANES - 1) // LANES, dt / 2,
                mode)


@njit(**options)
def _solve(n, x, z, s, e_last, r):
    """Forward elimination and back substitution of one right-hand side r in place."""
    for k in range(n - 1):
        r[k + 1] += x[k] * r[k]
        r[n - 1] += z[k] * r[k]
    r[n - 1] /= e_last
    for k in range(n - 2, -1, -1):
        r[k] = s[k] * r[k] + x[k] * r[k + 1] + z[k] * r[n - 1]


@njit(**options)
def _times_mass(n, is_ring, d, mu, v, r):
    """r = M v = D v - (graph Laplacian of mu) v."""
    for k in range(n):
        r[k] = d[k] * v[k]
    for k in range(n if is_ring else n - 1):
        j = k + 1 if k + 1 < n else 0
        flow = mu[k] * (v[j] - v[k])
        r[k] += flow
        r[j] -= flow


@njit(**options)
def _line(n, is_ring, tau, mode, delta, d, c, killing, mu, e, x, z, s, r, v):
    """One step (or, in mode OPERATOR, v = M^-1 K v) on a line held in contiguous arrays."""
    n_edges = n if is_ring else n - 1
    for k in range(n_edges):
        j = k + 1 if k + 1 < n else 0
        m = (d[k] if d[k] < d[j] else d[j]) / 6
        m = min(m, delta[k] * c[k])
        mu[k] = min(m, tau * c[k]) if mode == BACKWARD_EULER else m
    if mode == OPERATOR:
        for k in range(n):
            r[k] = killing[k] * v[k]
        for k in range(n_edges):
            j = k + 1 if k + 1 < n else 0
            flow = c[k] * (v[j] - v[k])
            r[k] -= flow
            r[j] += flow
        tau = 0.0
    for k in range(n):
        e[k] = d[k] + tau * killing[k]
    lowest = 0.0 if mode == BACKWARD_EULER else -1e300         # see _panel
    a = max(lowest, tau * c[n - 1] - mu[n - 1]) if is_ring else 0.0
    for k in range(n - 1):
        g = max(lowest, tau * c[k] - mu[k])
        if k == n - 2:                    # both ways round lead to the last node
            g += a
            a = 0.0
        s[k] = 1 / (e[k] + g + a)
        x[k], z[k] = g * s[k], a * s[k]
        e[k + 1] += x[k] * e[k]
        e[n - 1] += z[k] * e[k]
        a = g * z[k]
    if mode == OPERATOR:
        _solve(n, x, z, s, e[n - 1], r)
        for k in range(n):
            v[k] = r[k]
        return
    _times_mass(n, is_ring, d, mu, v, r)
    _solve(n, x, z, s, e[n - 1], r)
    if mode == BACKWARD_EULER:
        for k in range(n):
            v[k] = r[k]
        return
    for k in range(n):
        v[k] += KAPPA * (r[k] - v[k])
    _times_mass(n, is_ring, d, mu, v, r)
    _solve(n, x, z, s, e[n - 1], r)
    for k in range(n):
        v[k] = r[k]


@njit(**options)
def _lines(V, D, C, killing, delta, is_ring, outer, n, inner, first, last, dt, mode):
    """Lines first..last along the middle axis of V, D, killing (outer, n, inner); C (outer, n or n-1,
    inner)."""
    tau = GAMMA * dt if mode == 1 else dt
    d, c, gr, mu, e = np.empty(n), np.zeros(n), np.zeros(n), np.zeros(n), np.empty(n)
    x, z, s, r, v = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    m = n if is_ring else n - 1
    for line in range(first, last):
        o, i = line // inner, line % inner
        b, bc = o * n * inner + i, o * m * inner + i
        for k in range(n):
            d[k] = D[b + k * inner]
            v[k] = V[b + k * inner]
        if killing.size > 1:
            for k in range(n):
                gr[k] = killing[b + k * inner]
        for k in range(m):
            c[k] = C[bc + k * inner]
        _line(n, is_ring, tau, mode, delta, d, c, gr, mu, e, x, z, s, r, v)
        for k in range(n):
            V[b + k * inner] = v[k]


@kernel(types.void(_vector, _vector, _vector, _vector, _vector, boolean, int64, int64, int64, types.float64,
                   int64))
def lines(V, D, C, killing, delta, is_ring, outer, n, inner, dt, mode):
    """One step on every line along the middle axis, or V = M^-1 K V (mode OPERATOR); killing of size 1 means
    none."""
    _lines(V, D, C, killing, delta, is_ring, outer, n, inner, 0, outer * inner, dt, mode)


@kernel(types.void(_vector, _vector, _vector, _vector, _vector, boolean, int64, int64, int64, types.float64,
                   int64), parallel=True)
def lines_parallel(V, D, C, killing, delta, is_ring, outer, n, inner, dt, mode):
    n_lines = outer * inner
    n_jobs = min(n_lines, 64)
    for job in prange(n_jobs):
        _lines(V, D, C, killing, delta, is_ring, outer, n, inner, job * n_lines // n_jobs,
               (job + 1) * n_lines // n_jobs, dt, mode)
