"""Committor masses in two dimensions: m_ij = int hat_i(x; y) hat_j(y; x) exp(-beta f), conductances weighted
by the transverse hat.

The plane is cut into patches between neighbouring nodes. On the lines of a patch the hats are line
committors: 1 at the node, 0 at the next one, following int exp(beta f)/M between. Their products are a
partition of unity, so the total mass is exact; for separable f the scheme is the tensor product of the exact
one in one dimension. A patch is cut at the faces of the cells it touches; beyond the last node before a wall
or a cell outside the domain a hat is 1.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...core.compilation import load
from ...core.compilation.kernels import PARALLEL_CELLS
from ...core.interruption import stop_if_pressed
from ..gibbs.quadrature import cumulative, gauss

STEP = 2.5                   # change of beta f on one of the sub-intervals of half a patch
MAX_PIECES = 16
POINTS = 1_500_000           # held at a time where the exponents are given to the kernel, 64 times else
MANY = 256  # points of a quadrant beyond which fewer patches go together, to stay in the cache
FAR = 190.0  # theta above the weight limit: beyond the limit few digits are enough, beyond this the magnitude


@dataclass(frozen=True)
class _Patches:
    """Intervals between neighbouring nodes of one axis: cells before and after (-1: none), and the ends and
    the face between."""
    before: np.ndarray
    after: np.ndarray
    low: np.ndarray
    face: np.ndarray
    high: np.ndarray

    @staticmethod
    def of(grid, axis):
        c, e, n = grid.centres[axis], grid.edges[axis], grid.shape[axis]
        if grid.periodic[axis]:
            period = e[-1] - e[0]
            return _Patches(np.r_[n - 1, :n - 1], np.arange(n), np.r_[c[-1] - period, c[:-1]], e[:-1], c)
        return _Patches(np.r_[-1, :n], np.r_[:n, -1], np.r_[e[0], c], e, np.r_[c, e[-1]])


def committor_plane(space):
    """log masses (n_cells,), edges (n, 2) and log conductances of the committor scheme; -inf masses where
    there is no state."""
    grid = space.grid
    P, Q = (_Patches.of(grid, k) for k in range(2))
    padded = np.pad(space.states, ((0, 1), (0, 1)))                            # index -1 finds no state
    corner = {(a, b): padded[np.ix_(i, j)] for a, i in enumerate((P.before, P.after))
              for b, j in enumerate((Q.before, Q.after))}
    shape = P.before.size, Q.before.size
    logs = {key: np.full(shape, -np.inf) for key in [("m", a, b) for a in (0, 1) for b in (0, 1)]
            + [("x", 0), ("x", 1), ("y", 0), ("y", 1)]}
    used = corner[0, 0] | corner[0, 1] | corner[1, 0] | corner[1, 1]
    states = sum(np.where(c, 1 << (2 * a + b), 0) for (a, b), c in corner.items())
    ends = tuple(np.stack([axis.low, axis.face, axis.high]) for axis in (P, Q))
    for n_gauss, kx, ky, pick in _classes(space, P, Q, used):
        per = max(1, (64 if _is_asked(space) else 1) * POINTS // (4 * kx * ky * n_gauss**2))
        for k in range(0, pick[0].size, per):
            stop_if_pressed()
            p, q = (i[k:k + per] for i in pick)
            values = _patches(space, ends, np.stack([p, q, states[p, q]]), n_gauss, kx, ky)
            for key, v in zip(logs, values.T):
                logs[key][p, q] = v
    return _gathered(space, logs, shape)


def _classes(space, P, Q, used):
    """Patches by the number of Gauss points and of sub-intervals of their halves along x and y."""
    B = {}
    for i, x in enumerate((P.low, P.face, P.high)):
        for j, y in enumerate((Q.low, Q.face, Q.high)):
            X = np.stack(np.meshgrid(x, y, indexing="ij")).reshape(2, -1)
            B[i, j] = np.clip(np.nan_to_num(space.exponent(X), nan=1e9, posinf=1e9), -1e9,
                              1e9).reshape(x.size, y.size)
    lowest = np.min(list(B.values()), axis=0)
    change_x = np.max([abs(B[i + 1, j] - B[i, j]) for i in (0, 1) for j in range(3)], axis=0)
    change_y = np.max([abs(B[i, j + 1] - B[i, j]) for i in range(3) for j in (0, 1)], axis=0)
    # an extremum inside a half shows in the bend only
    change_x = change_x + np.max([abs(B[0, j] - 2 * B[1, j] + B[2, j]) for j in range(3)], axis=0) / 2
    change_y = change_y + np.max([abs(B[i, 0] - 2 * B[i, 1] + B[i, 2]) for i in range(3)], axis=0) / 2
    remote, far = space.weight_limit, space.weight_limit + FAR
    step = np.where(lowest > far, 1e9, np.where(lowest > remote, 12.0, STEP))
    kx, ky = (np.clip(2 ** np.ceil(np.log2(np.maximum(np.ceil(c / step), 1))), 1, MAX_PIECES).astype(int)
              for c in (change_x, change_y))
    change = np.maximum(change_x, change_y)
    # 1e-12 of a product of two exponentials
    rule = np.where((change < 0.3) | (lowest > remote), 4, np.where(change < 1.0, 6, 8))
    label = np.where(used, rule * 10**4 + kx * 100 + ky, 0)
    for value in np.unique(label[used]):
        yield int(value // 10**4), int(value // 100 % 100), int(value % 100), np.nonzero(label == value)


def _is_asked(space):
    """Whether the kernel evaluates the exponent itself, and nothing is held."""
    return space.exponent.is_compiled and space.mobility.is_constant


def _patches(space, ends, places, n_gauss, kx, ky):
    """Logarithms of the contributions of the patches at `places` to the masses of their four corners and the
    conductances of their four edges (n, 8)."""
    from . import committor_kernels as kernels
    x, w = gauss(n_gauss)
    points = tuple(((np.arange(k)[:, None] + x) / k).ravel() for k in (kx, ky))
    n, none = places.shape[1], np.empty((0, 0))
    B, Bx, By, log_m = none, none, none, (0.0, 0.0)
    if not _is_asked(space):
        X = _points(*(s[:, p] for s, p in zip(ends, places)), *points)
        B = np.nan_to_num(space.exponent(X), nan=np.nan, posinf=1e300, neginf=-1e300).reshape(n, -1)
        if not space.mobility.is_constant:
            Bx, By = (B - space.mobility.log_along(axis, X).reshape(B.shape) for axis in (0, 1))
    # with a full tensor hats only: any weight gives a partition of unity
    if space.mobility.is_constant and not space.mobility.is_full:
        log_m = space.mobility.log_along(0, None), space.mobility.log_along(1, None)
    out, e = np.empty((n, 8)), space.exponent
    value, parameters = ((e.potential.block("value"), e.potential.p) if e.is_compiled
                         else (_nothing(), np.empty(0)))
    run = kernels.patches_parallel if n >= PARALLEL_CELLS else kernels.patches
    lanes = min(16 if points[0].size * points[1].size <= MANY else 4, -(-n // 4) * 4)
    run(lanes, value, parameters, np.array([e.beta, e.f0, space.theta, *log_m]), (B, Bx, By), ends,
        np.ascontiguousarray(places), points, np.vstack([w, cumulative(n_gauss)]), out)
    return out


def _points(xs, ys, ux, uy):
    """Points of patches with ends and faces xs, ys (3, n), in the order of the kernel: (2, n * points)."""
    x, y = (np.hstack([s[0][:, None] + u * (s[1] - s[0])[:, None], s[1][:, None]
                       + u * (s[2] - s[1])[:, None]]) for s, u in ((xs, ux), (ys, uy)))
    n = x.shape[0]
    across = np.broadcast_to(x[:, :, None], (n, x.shape[1], y.shape[1])).reshape(n, -1)
    along = np.broadcast_to(y[:, None, :], (n, x.shape[1], y.shape[1])).reshape(n, -1)
    faces = [np.broadcast_to(s[1][:, None], z.shape) for s, z in ((xs, y), (ys, x))]
    return np.stack([np.hstack([across, faces[0], x]).ravel(), np.hstack([along, y, faces[1]]).ravel()])


def _nothing():
    """A block function for the kernel to hold where the exponents are given."""
    return load("value", "def value(X, p, out):\n    out[:] = 0.0\n")


def _gathered(space, logs, shape):
    """Node and edge arrays from the patches: node i is the high end of patch i and the low end of patch i + 1
    (around on a ring)."""
    grid = space.grid
    (nx, ny), (mx, my) = grid.shape, shape
    after_x, after_y = (np.arange(nx) + 1) % mx, (np.arange(ny) + 1) % my
    here_x, here_y = np.arange(nx), np.arange(ny)
    log_mass = np.full(grid.shape, -np.inf)
    for a, i in ((0, after_x), (1, here_x)):
        for b, j in ((0, after_y), (1, here_y)):
            log_mass = np.logaddexp(log_mass, logs["m", a, b][np.ix_(i, j)])
    index = np.arange(grid.n_cells).reshape(grid.shape)
    edges, log_cond = [], []
    # the x-edge of patch column p joins nodes p - 1 and p; its row j is the low row of patch j + 1 and the
    # high row of patch j
    for name, axis, after, here in (("x", 0, after_y, here_y), ("y", 1, after_x, here_x)):
        low, high = (logs[name, s] if axis == 0 else logs[name, s].T for s in (0, 1))
        c = np.logaddexp(low[:, after], high[:, here])                       # (patches, transverse nodes)
        first = 0 if grid.periodic[axis] else 1
        last = c.shape[0] if grid.periodic[axis] else c.shape[0] - 1
        nodes = index if axis == 0 else index.T
        p = np.arange(first, last)
        edges.append(np.stack([nodes[(p - 1) % nodes.shape[0]].ravel(), nodes[p % nodes.shape[0]].ravel()],
                              axis=1))
        log_cond.append(c[p].ravel())
    edges, log_cond = np.concatenate(edges), np.concatenate(log_cond)
    keep = np.isfinite(log_cond)
    return log_mass.ravel(), edges[keep], log_cond[keep]
