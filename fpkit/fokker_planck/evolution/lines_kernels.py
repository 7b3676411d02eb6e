"""Lines of any kind: periodic, with killing, on any spacing; and the operator M^-1 K of a line. Slower than
the panels, more general.

On a ring, eliminating node k joins its neighbour k + 1 to the last node, so one extra conductance `a` is
carried along; killing adds tau * ground to the excess. Both stay free of subtraction wherever g = tau c - mu
>= 0.
"""
import numpy as np
from numba import boolean, int64, njit, prange, types

from ...core.compilation import kernel
from ...core.compilation.special import options
from .sweep_kernels import BACKWARD_EULER, GAMMA, KAPPA

_vector = types.Array(types.float64, 1, "C")
OPERATOR = 2


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
def _line(n, is_ring, tau, mode, delta, d, c, ground, mu, e, x, z, s, r, v):
    """One step (or, in mode OPERATOR, v = M^-1 K v) on a line held in contiguous arrays."""
    n_edges = n if is_ring else n - 1
    for k in range(n_edges):
        j = k + 1 if k + 1 < n else 0
        m = (d[k] if d[k] < d[j] else d[j]) / 6
        m = min(m, delta[k] * c[k])
        mu[k] = min(m, tau * c[k]) if mode == BACKWARD_EULER else m
    if mode == OPERATOR:
        for k in range(n):
            r[k] = ground[k] * v[k]
        for k in range(n_edges):
            j = k + 1 if k + 1 < n else 0
            flow = c[k] * (v[j] - v[k])
            r[k] -= flow
            r[j] += flow
        tau = 0.0
    for k in range(n):
        e[k] = d[k] + tau * ground[k]
    lowest = 0.0 if mode == BACKWARD_EULER else -1e300         # see panels_kernels
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
def _lines(V, D, C, ground, delta, is_ring, outer, n, inner, first, last, dt, mode):
    """Lines first..last along the middle axis of V, D, ground (outer, n, inner); C (outer, n or n-1,
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
        if ground.size > 1:
            for k in range(n):
                gr[k] = ground[b + k * inner]
        for k in range(m):
            c[k] = C[bc + k * inner]
        _line(n, is_ring, tau, mode, delta, d, c, gr, mu, e, x, z, s, r, v)
        for k in range(n):
            V[b + k * inner] = v[k]


@kernel(types.void(_vector, _vector, _vector, _vector, _vector, boolean, int64, int64, int64, types.float64,
                   int64))
def lines(V, D, C, ground, delta, is_ring, outer, n, inner, dt, mode):
    """One step on every line along the middle axis, or V = M^-1 K V (mode OPERATOR); ground of size 1 means
    none."""
    _lines(V, D, C, ground, delta, is_ring, outer, n, inner, 0, outer * inner, dt, mode)


@kernel(types.void(_vector, _vector, _vector, _vector, _vector, boolean, int64, int64, int64, types.float64,
                   int64), parallel=True)
def lines_parallel(V, D, C, ground, delta, is_ring, outer, n, inner, dt, mode):
    n_lines = outer * inner
    n_jobs = min(n_lines, 64)
    for job in prange(n_jobs):
        _lines(V, D, C, ground, delta, is_ring, outer, n, inner, job * n_lines // n_jobs,
               (job + 1) * n_lines // n_jobs, dt, mode)
