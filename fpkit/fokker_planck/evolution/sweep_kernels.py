"""Implicit steps on all lines of a grid, sixteen lines at a time, in rates alone and without subtraction.

State p, the probability of the nodes. Along one axis M dv/dt = -K v for v = p/D, D = exp(-beta f): K is the
graph Laplacian of the conductances c, M = D minus the graph Laplacian of mu, mu_e = min(delta_e c_e, D_i/6,
D_j/6), delta = h^2/(12 theta) (order 4) or 0 (order 2). A step solves (M + tau K) v' = M v.

Everything is written with the rates up = c/D_i and down = c/D_j of an edge from i to j: mu = c l with l =
min(delta, 1/(6 up), 1/(6 down)), and the matrix has the rates (tau - l) up and (tau - l) down. So only
differences of f along an edge are ever seen, and a release from any height slides down as it must. Star-mesh
elimination (GTH) carries the excess of each node over its D explicitly: e' = 1 + e down/(e + up), so the sum
of p is kept to rounding at any tau and no diagonal is ever formed.

The lane loops vectorise only as they stand: division without checks (error_model="numpy"), min as a
conditional expression, one flat buffer with constant offsets (more arrays exceed LLVM's alias checks) and a
lane count known at run time only (a constant one is unrolled before the vectoriser sees it).

Below stand lines of any kind: periodic, with killing, and the operator D M^-1 K D^-1 of a line; one at a
time, so slower. On a ring, eliminating node k joins its neighbour k + 1 to the last node, so the two rates of
one extra edge are carried along; killing adds tau times its rate to the excess.
"""
import math

import numpy as np
from numba import boolean, int64, njit, prange, types

from ...core.compilation import helper, kernel
from ...core.compilation.special import options

LANES = 16
ROWS = 7 * LANES
GAMMA = 1 - 1 / math.sqrt(2.0)
KAPPA = (1 - GAMMA) / GAMMA
BACKWARD_EULER, SDIRK2, OPERATOR = 0, 1, 2

_vector = types.Array(types.float64, 1, "C")
_counts = types.Array(types.int64, 1, "C")
_block = types.UniTuple(int64, 3)


@helper
def _forward(w, l, lag, rest, own):
    """A node of the lane l: its row of r = own v + flows, with `lag` of the step, and of the elimination,
    with the rest."""
    L = LANES
    up, down = w[l + 0 * L], w[l + 1 * L]
    mu_up, mu_down = lag * up, lag * down
    g_up, g_down = rest * up, rest * down
    flow = mu_down * w[l + 9 * L] - mu_up * w[l + 2 * L]
    e = w[l + 4 * L]
    s = 1 / (e + g_up)
    x, y = g_up * s, g_down * s
    r = w[l + 5 * L] + flow
    w[l + 11 * L] = 1 + y * e
    w[l + 4 * L] = s
    w[l + 3 * L] = x
    w[l + 6 * L] = y
    w[l + 0 * L] = mu_up
    w[l + 1 * L] = mu_down
    w[l + 5 * L] = r
    w[l + 12 * L] = own * w[l + 9 * L] - flow + x * r


@njit(**options)
def _panel(flat, lanes, n, tau, delta, mode, is_capped):
    """One step, or p = D M^-1 K D^-1 p, on `lanes` lines in place. flat holds for node k the rows up, down
    (edge k, k+1), p, share of k + 1, pivot, right-hand side, share from k + 1."""
    L = LANES
    largest = tau if mode == BACKWARD_EULER else 1e300
    w = flat[:ROWS]
    for l in range(lanes):
        w[l + 4 * L] = 1.0
        w[l + 5 * L] = 0.0 if mode == OPERATOR else w[l + 2 * L]
    for k in range(n - 1):  # r = M v, factors and forward elimination in one pass; row 4 holds the excess
        w = flat[k * ROWS:(k + 2) * ROWS]
        length = delta[k] if delta[k] < largest else largest
        if mode == OPERATOR:
            for l in range(lanes):
                up, down = w[l + 0 * L], w[l + 1 * L]
                cap = 1 / (6 * (up if up > down else down) + 1e-300)
                _forward(w, l, -1.0, -(length if length < cap else cap), 0.0)
        elif is_capped:
            for l in range(lanes):
                up, down = w[l + 0 * L], w[l + 1 * L]
                cap = 1 / (6 * (up if up > down else down) + 1e-300)
                lag = length if length < cap else cap
                _forward(w, l, lag, tau - lag, 1.0)
        else:
            for l in range(lanes):
                _forward(w, l, length, tau - length, 1.0)
    w = flat[(n - 1) * ROWS:n * ROWS]
    for l in range(lanes):
        w[l + 4 * L] = 1 / w[l + 4 * L]
        w[l + 5 * L] *= w[l + 4 * L]
    if mode != SDIRK2:
        for l in range(lanes):
            w[l + 2 * L] = w[l + 5 * L]
        for k in range(n - 2, -1, -1):
            w = flat[k * ROWS:(k + 2) * ROWS]
            for l in range(lanes):
                w[l + 2 * L] = w[l + 5 * L] * w[l + 4 * L] + w[l + 6 * L] * w[l + 9 * L]
        return
    kappa = KAPPA
    for l in range(lanes):
        w[l + 2 * L] += kappa * (w[l + 5 * L] - w[l + 2 * L])
    for k in range(n - 2, -1, -1):         # back substitution, and the argument of the second stage
        w = flat[k * ROWS:(k + 2) * ROWS]
        for l in range(lanes):
            y = w[l + 5 * L] * w[l + 4 * L] + w[l + 6 * L] * w[l + 12 * L]
            w[l + 5 * L] = y
            w[l + 2 * L] += kappa * (y - w[l + 2 * L])
    w = flat[:ROWS]
    for l in range(lanes):
        w[l + 5 * L] = w[l + 2 * L]
    for k in range(n - 1):
        w = flat[k * ROWS:(k + 2) * ROWS]
        for l in range(lanes):
            flow = w[l + 1 * L] * w[l + 9 * L] - w[l + 0 * L] * w[l + 2 * L]
            r = w[l + 5 * L] + flow
            w[l + 5 * L] = r
            w[l + 12 * L] = w[l + 9 * L] - flow + w[l + 3 * L] * r
    w = flat[(n - 1) * ROWS:n * ROWS]
    for l in range(lanes):
        w[l + 2 * L] = w[l + 5 * L] * w[l + 4 * L]
    for k in range(n - 2, -1, -1):
        w = flat[k * ROWS:(k + 2) * ROWS]
        for l in range(lanes):
            w[l + 2 * L] = w[l + 5 * L] * w[l + 4 * L] + w[l + 6 * L] * w[l + 9 * L]


@njit(**options)
def _panels(P, up, down, delta, block, first_panel, last_panel, dt, mode, is_capped):
    """Step along the middle axis of P (outer, n, inner) = block, with rates (outer, n-1, inner), for a range
    of panels."""
    L = LANES
    outer, n, inner = block
    tau = dt if mode == BACKWARD_EULER else GAMMA * dt
    lanes = min(L, outer * L)              # always L, but not a constant
    n_lines = outer * inner
    B = np.empty((n, 7, L))
    flat = B.reshape(n * 7 * L)
    for panel in range(first_panel, last_panel):
        first = panel * L
        m = min(L, n_lines - first)
        if inner % L == 0:
            o, i = first // inner, first % inner
            b, bc = o * n * inner + i, o * (n - 1) * inner + i
            for k in range(n):
                p = P[b + k * inner:b + k * inner + L]
                for l in range(L):
                    B[k, 2, l] = p[l]
            for k in range(n - 1):
                forth, back = up[bc + k * inner:bc + k * inner + L], down[bc + k * inner:bc + k * inner + L]
                for l in range(L):
                    B[k, 0, l] = forth[l]
                    B[k, 1, l] = back[l]
            _panel(flat, lanes, n, tau, delta, mode, is_capped)
            for k in range(n):
                p = P[b + k * inner:b + k * inner + L]
                for l in range(L):
                    p[l] = B[k, 2, l]
        else:
            for l in range(L):             # lanes beyond the last line repeat it
                q = first + min(l, m - 1)
                o, i = q // inner, q % inner
                b, bc = o * n * inner + i, o * (n - 1) * inner + i
                for k in range(n):
                    B[k, 2, l] = P[b + k * inner]
                for k in range(n - 1):
                    B[k, 0, l] = up[bc + k * inner]
                    B[k, 1, l] = down[bc + k * inner]
            _panel(flat, lanes, n, tau, delta, mode, is_capped)
            for l in range(m):
                q = first + l
                o, i = q // inner, q % inner
                b = o * n * inner + i
                for k in range(n):
                    P[b + k * inner] = B[k, 2, l]


@njit(**options)
def _one_sweep(P, up, down, delta, shape, axis, dt, mode, is_capped):
    outer, inner, c_first, d_first = 1, 1, 0, 0
    for a in range(shape.size):
        if a < axis:
            outer *= shape[a]
            c_first += P.size // shape[a] * (shape[a] - 1)
            d_first += shape[a]
        elif a > axis:
            inner *= shape[a]
    _panels(P, up[c_first:], down[c_first:], delta[d_first:], (outer, shape[axis], inner), 0,
            (outer * inner + LANES - 1) // LANES, dt, mode, is_capped)


@kernel(types.void(_vector, _vector, _vector, _vector, _counts, types.float64, int64, int64, boolean))
def strang(P, up, down, delta, shape, dt, n_steps, mode, is_capped):
    """n_steps symmetric steps of length dt on P in place; the first-axis half sweeps of neighbouring steps
    are merged.

    P (N,); up, down: rates of all axes one after the other, axis a of shape (..., n_a - 1, ...); delta: n_a
    entries an axis.
    """
    d = shape.size
    if d == 1:
        for _ in range(n_steps):
            _one_sweep(P, up, down, delta, shape, 0, dt, mode, is_capped)
        return
    _one_sweep(P, up, down, delta, shape, 0, dt / 2, mode, is_capped)
    for k in range(n_steps):
        for axis in range(1, d - 1):
            _one_sweep(P, up, down, delta, shape, axis, dt / 2, mode, is_capped)
        _one_sweep(P, up, down, delta, shape, d - 1, dt, mode, is_capped)
        for axis in range(d - 2, 0, -1):
            _one_sweep(P, up, down, delta, shape, axis, dt / 2, mode, is_capped)
        _one_sweep(P, up, down, delta, shape, 0, dt if k < n_steps - 1 else dt / 2, mode, is_capped)


@kernel(types.void(_vector, _vector, _vector, _vector, _block, types.float64, int64, boolean))
def sweep(P, up, down, delta, block, dt, mode, is_capped):
    """One sweep along the middle axis, or P = D M^-1 K D^-1 P (mode OPERATOR)."""
    _panels(P, up, down, delta, block, 0, (block[0] * block[2] + LANES - 1) // LANES, dt, mode, is_capped)


@kernel(types.UniTuple(types.float64, 2)(_vector, _vector, _vector))
def less_residual(x, r, q):
    """x moved along its residual r, whose image is q, to the least residual, in place; the norms of what is
    left, L1 and L2. The step suits images in [1, 3]: where they mix, the least residual may be no way on."""
    norm, along = 0.0, 0.0
    for i in range(r.size):
        norm += q[i] * q[i]
        along += q[i] * r[i]
    step, left, size = min(max(along / norm, 1 / 3), 1.0) if norm > 0 else 0.0, 0.0, 0.0
    for i in range(r.size):
        x[i] += step * r[i]
        r[i] -= step * q[i]
        left += abs(r[i])
        size += r[i] * r[i]
    return left, math.sqrt(size)


@kernel(types.void(_vector, _vector, _vector, _vector, _block, types.float64, int64, boolean), parallel=True)
def sweep_parallel(P, up, down, delta, block, dt, mode, is_capped):
    """One sweep along the middle axis on all threads. Panels are independent: the bits do not depend on the
    threads."""
    n_panels = (block[0] * block[2] + LANES - 1) // LANES
    n_jobs = min(n_panels, 64)
    for job in prange(n_jobs):
        _panels(P, up, down, delta, block, job * n_panels // n_jobs, (job + 1) * n_panels // n_jobs, dt, mode,
                is_capped)


@kernel(types.void(_vector, *[types.UniTuple(_vector, 2)] * 3, _block, types.float64, int64, boolean),
        parallel=True)
def planes_parallel(P, ups, downs, deltas, shape, dt, mode, is_capped):
    """Half a step along the middle axis, a step along the last and half a step along the middle one, plane by
    plane while each is in the cache. ups, downs, deltas: those of the middle and of the last axis."""
    n_planes, n_middle, n_last = shape
    size, links_middle, links_last = n_middle * n_last, (n_middle - 1) * n_last, n_middle * (n_last - 1)
    panels_middle, panels_last = (n_last + LANES - 1) // LANES, (n_middle + LANES - 1) // LANES
    for i in prange(n_planes):
        p = P[i * size:(i + 1) * size]
        a, b = i * links_middle, (i + 1) * links_middle
        up, down, block = ups[0][a:b], downs[0][a:b], (1, n_middle, n_last)
        _panels(p, up, down, deltas[0], block, 0, panels_middle, dt / 2, mode, is_capped)
        a, b = i * links_last, (i + 1) * links_last
        _panels(p, ups[1][a:b], downs[1][a:b], deltas[1], (n_middle, n_last, 1), 0, panels_last, dt, mode,
                is_capped)
        _panels(p, up, down, deltas[0], block, 0, panels_middle, dt / 2, mode, is_capped)


# rows of the workspace of one line
UP, DOWN, KILLING, LAG, EXCESS, FORTH, BACK, LAST, FROM_LAST, PIVOT, RIGHT, STATE = range(12)


@njit(**options)
def _eliminate(n, is_ring, tau, w):
    """Factors of the matrix with rates (tau - lag) (up, down) and excess 1 + tau killing: for each node the
    shares that go to k + 1 and to the last node, and what comes from there."""
    for k in range(n):
        w[EXCESS, k] = 1 + tau * w[KILLING, k]
    to_last, from_last = 0.0, 0.0
    if is_ring:                            # the edge n - 1 leads from the last node to the first
        to_last = (tau - w[LAG, n - 1]) * w[DOWN, n - 1]
        from_last = (tau - w[LAG, n - 1]) * w[UP, n - 1]
    for k in range(n - 1):
        g_up, g_down = (tau - w[LAG, k]) * w[UP, k], (tau - w[LAG, k]) * w[DOWN, k]
        if k == n - 2:                     # both ways round lead to the last node
            g_up, g_down, to_last, from_last = g_up + to_last, g_down + from_last, 0.0, 0.0
        s = 1 / (w[EXCESS, k] + g_up + to_last)
        w[PIVOT, k] = s
        w[FORTH, k], w[BACK, k] = g_up * s, g_down * s
        w[LAST, k], w[FROM_LAST, k] = to_last * s, from_last * s
        w[EXCESS, k + 1] += w[BACK, k] * w[EXCESS, k]
        w[EXCESS, n - 1] += w[FROM_LAST, k] * w[EXCESS, k]
        to_last, from_last = g_down * w[LAST, k], from_last * w[FORTH, k]
    w[PIVOT, n - 1] = 1 / w[EXCESS, n - 1]


@njit(**options)
def _solve(n, w):
    """Forward elimination and back substitution of the right-hand side in place."""
    r = w[RIGHT]
    for k in range(n - 1):
        r[k + 1] += w[FORTH, k] * r[k]
        r[n - 1] += w[LAST, k] * r[k]
    r[n - 1] *= w[PIVOT, n - 1]
    for k in range(n - 2, -1, -1):
        r[k] = w[PIVOT, k] * r[k] + w[BACK, k] * r[k + 1] + w[FROM_LAST, k] * r[n - 1]


@njit(**options)
def _flows(n, is_ring, weight, w):
    """Right-hand side += what the rates, weighted with the lag of the edges (weight 1) or with -1 (weight 0),
    move between the nodes."""
    for k in range(n if is_ring else n - 1):
        j = k + 1 if k + 1 < n else 0
        flow = (w[LAG, k] if weight == 1 else -1.0) * (w[DOWN, k] * w[STATE, j] - w[UP, k] * w[STATE, k])
        w[RIGHT, k] += flow
        w[RIGHT, j] -= flow


@njit(**options)
def _line(n, is_ring, tau, mode, delta, w):
    """One step (or, in mode OPERATOR, p = D M^-1 K D^-1 p) on a line held in the workspace."""
    for k in range(n if is_ring else n - 1):
        lag = min(delta[k], 1 / (6 * max(w[UP, k], w[DOWN, k]) + 1e-300))
        w[LAG, k] = min(lag, tau) if mode == BACKWARD_EULER else lag
    if mode == OPERATOR:
        for k in range(n):
            w[RIGHT, k] = w[KILLING, k] * w[STATE, k]
        _flows(n, is_ring, 0, w)
        _eliminate(n, is_ring, 0.0, w)
        _solve(n, w)
    else:
        _eliminate(n, is_ring, tau, w)
        for k in range(n):
            w[RIGHT, k] = w[STATE, k]
        _flows(n, is_ring, 1, w)
        _solve(n, w)
        if mode == SDIRK2:
            for k in range(n):
                w[STATE, k] += KAPPA * (w[RIGHT, k] - w[STATE, k])
            for k in range(n):
                w[RIGHT, k] = w[STATE, k]
            _flows(n, is_ring, 1, w)
            _solve(n, w)
    for k in range(n):
        w[STATE, k] = w[RIGHT, k]


@njit(**options)
def _lines(P, up, down, killing, delta, is_ring, block, first, last, dt, mode):
    """Lines first..last along the middle axis of P, killing (outer, n, inner) = block; rates (outer, n or
    n-1, inner)."""
    tau = GAMMA * dt if mode == SDIRK2 else dt
    outer, n, inner = block
    w = np.zeros((12, n))
    m = n if is_ring else n - 1
    for line in range(first, last):
        o, i = line // inner, line % inner
        b, bc = o * n * inner + i, o * m * inner + i
        for k in range(n):
            w[STATE, k] = P[b + k * inner]
        if killing.size > 1:
            for k in range(n):
                w[KILLING, k] = killing[b + k * inner]
        for k in range(m):
            w[UP, k], w[DOWN, k] = up[bc + k * inner], down[bc + k * inner]
        _line(n, is_ring, tau, mode, delta, w)
        for k in range(n):
            P[b + k * inner] = w[STATE, k]


@kernel(types.void(_vector, _vector, _vector, _vector, _vector, boolean, _block, types.float64, int64))
def lines(P, up, down, killing, delta, is_ring, block, dt, mode):
    """One step on every line along the middle axis, or P = D M^-1 K D^-1 P (mode OPERATOR); killing of size 1
    means none."""
    _lines(P, up, down, killing, delta, is_ring, block, 0, block[0] * block[2], dt, mode)


@kernel(types.void(_vector, _vector, _vector, _vector, _vector, boolean, _block, types.float64, int64),
        parallel=True)
def lines_parallel(P, up, down, killing, delta, is_ring, block, dt, mode):
    n_lines = block[0] * block[2]
    n_jobs = min(n_lines, 64)
    for job in prange(n_jobs):
        _lines(P, up, down, killing, delta, is_ring, block, job * n_lines // n_jobs,
               (job + 1) * n_lines // n_jobs, dt, mode)
