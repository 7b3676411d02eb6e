"""Committor masses in two dimensions: m_ij = int hat_i(x; y) hat_j(y; x) exp(-beta f), conductances weighted by the transverse hat.

The plane is cut into patches between neighbouring nodes. On the lines of a patch the hats are line committors: 1 at the node, 0 at the
next one, following int exp(beta f)/M between. Their products are a partition of unity, so the total mass is exact; for separable f the
scheme is the tensor product of the exact one in one dimension. A patch is cut at the faces of the cells it touches; beyond the last
node before a wall or a cell outside the domain a hat is 1.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .quadrature import cumulative, gauss

STEP = 2.5                   # change of beta f on one of the sub-intervals of half a patch
MAX_PIECES = 16
POINTS = 150_000             # held at a time
FAR = 190.0                  # theta above the rim: beyond the rim a few digits, beyond this the order of magnitude are enough


@dataclass(frozen=True)
class _Patches:
    """Intervals between neighbouring nodes of one axis: cells before and after (-1: none), and the ends and the face between."""
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
    """log masses (n_cells,), edges (n, 2) and log conductances of the committor scheme; -inf masses where there is no state."""
    grid = space.grid
    P, Q = (_Patches.of(grid, k) for k in range(2))
    padded = np.pad(space.states, ((0, 1), (0, 1)))                            # index -1 finds no state
    corner = {(a, b): padded[np.ix_(i, j)] for a, i in ((0, P.before), (1, P.after)) for b, j in ((0, Q.before), (1, Q.after))}
    shape = P.before.size, Q.before.size
    logs = {key: np.full(shape, -np.inf) for key in [("m", a, b) for a in (0, 1) for b in (0, 1)] + [("x", 0), ("x", 1), ("y", 0), ("y", 1)]}
    used = corner[0, 0] | corner[0, 1] | corner[1, 0] | corner[1, 1]
    for n_gauss, kx, ky, pick in _classes(space, P, Q, used):
        per = max(1, POINTS // (4 * kx * ky * n_gauss**2))
        for k in range(0, pick[0].size, per):
            p, q = pick[0][k:k + per], pick[1][k:k + per]
            values = _patch(space, P, Q, p, q, {key: c[p, q] for key, c in corner.items()}, n_gauss, kx, ky)
            for key, v in values.items():
                logs[key][p, q] = v
    return _gathered(space, logs, shape)


def _classes(space, P, Q, used):
    """Patches by the number of Gauss points and of sub-intervals of their halves along x and y."""
    B = {}
    for i, x in enumerate((P.low, P.face, P.high)):
        for j, y in enumerate((Q.low, Q.face, Q.high)):
            X = np.stack(np.meshgrid(x, y, indexing="ij")).reshape(2, -1)
            B[i, j] = np.clip(np.nan_to_num(space.exponent(X), nan=1e9, posinf=1e9), -1e9, 1e9).reshape(x.size, y.size)
    lowest = np.min(list(B.values()), axis=0)
    change_x = np.max([abs(B[i + 1, j] - B[i, j]) for i in (0, 1) for j in range(3)], axis=0)
    change_y = np.max([abs(B[i, j + 1] - B[i, j]) for i in range(3) for j in (0, 1)], axis=0)
    # an extremum inside a half shows in the bend only
    change_x = change_x + np.max([abs(B[0, j] - 2 * B[1, j] + B[2, j]) for j in range(3)], axis=0) / 2
    change_y = change_y + np.max([abs(B[i, 0] - 2 * B[i, 1] + B[i, 2]) for i in range(3)], axis=0) / 2
    remote, far = space.rim, space.rim + FAR
    step = np.where(lowest > far, 1e9, np.where(lowest > remote, 12.0, STEP))
    kx, ky = (np.clip(2 ** np.ceil(np.log2(np.maximum(np.ceil(c / step), 1))), 1, MAX_PIECES).astype(int) for c in (change_x, change_y))
    change = np.maximum(change_x, change_y)
    rule = np.where((change < 0.3) | (lowest > remote), 4, np.where(change < 1.0, 6, 8))     # 1e-12 of a product of two exponentials
    label = np.where(used, rule * 10**4 + kx * 100 + ky, 0)
    for value in np.unique(label[used]):
        yield int(value // 10**4), int(value // 100 % 100), int(value % 100), np.nonzero(label == value)


def _rule(n_gauss, pieces):
    """Fractions of half a patch and weights of a whole one (2 pieces n_gauss,), and the rule of one sub-interval: weights, integrals to its points."""
    x, w = gauss(n_gauss)
    return ((np.arange(pieces)[:, None] + x) / pieces).ravel(), np.tile(w, 2 * pieces), (w, cumulative(n_gauss))


def _hats(B, widths, rule):
    """Hats of the low and high end along the last axis (P, L, U), and log of the resistance (P, L). widths (P, 1, U)."""
    w, C = rule
    top = B.max(-1, keepdims=True)
    e = (np.exp(B - top) * widths).reshape(*B.shape[:-1], -1, w.size)
    full = e @ w
    before, after = np.zeros_like(full), np.zeros_like(full)
    after[..., :-1] = np.cumsum(full[..., :0:-1], -1)[..., ::-1]              # from the other end: never 1 - high
    before[..., 1:] = np.cumsum(full[..., :-1], -1)
    total = full.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(total > 0, 1 / np.maximum(total, 1e-300), 0.0)[..., None]
        high = np.maximum((before[..., None] + e @ C.T).reshape(B.shape), 0) * scale
        low = np.maximum((after[..., None] + e @ (w[None] - C).T).reshape(B.shape), 0) * scale
        return low, high, top[..., 0] + np.log(total)


def _patch(space, P, Q, p, q, corner, n_gauss, kx, ky):
    """Contributions of patches (p, q) to the masses of their four corners and the conductances of their four edges, as logarithms."""
    ux, wx, rule_x = _rule(n_gauss, kx)
    uy, wy, rule_y = _rule(n_gauss, ky)
    n, hx, hy = p.size, ux.size, uy.size
    x = np.hstack([P.low[p, None] + ux * (P.face - P.low)[p, None], P.face[p, None] + ux * (P.high - P.face)[p, None]])
    y = np.hstack([Q.low[q, None] + uy * (Q.face - Q.low)[q, None], Q.face[q, None] + uy * (Q.high - Q.face)[q, None]])
    sx = np.repeat(np.stack([(P.face - P.low)[p], (P.high - P.face)[p]], 1), hx, axis=1) / kx             # width of the sub-interval of each point
    sy = np.repeat(np.stack([(Q.face - Q.low)[q], (Q.high - Q.face)[q]], 1), hy, axis=1) / ky
    grid_x, grid_y = np.broadcast_arrays(x[:, :, None], y[:, None, :])
    B = _exponent(space, grid_x, grid_y, None)
    Bx, By = _with_mobility(space, B, grid_x, grid_y, 0), _with_mobility(space, B, grid_x, grid_y, 1)
    x_low, x_high, log_rx = _hats(Bx.transpose(0, 2, 1), sx[:, None], rule_x)                    # (n, Y, X), (n, Y)
    y_low, y_high, log_ry = _hats(By, sy[:, None], rule_y)                                       # (n, X, Y), (n, X)
    x_low, x_high = x_low.transpose(0, 2, 1), x_high.transpose(0, 2, 1)
    # along x the two cells of the row of the point, along y those of its column, must both be states to share
    row = np.repeat(np.stack([corner[0, 0] & corner[1, 0], corner[0, 1] & corner[1, 1]], 1), hy, axis=1)[:, None, :]
    column = np.repeat(np.stack([corner[0, 0] & corner[0, 1], corner[1, 0] & corner[1, 1]], 1), hx, axis=1)[:, :, None]
    in_low_x, in_low_y = (np.arange(2 * hx) < hx)[None, :, None], (np.arange(2 * hy) < hy)[None, None, :]
    hat_x = np.where(row, x_low, in_low_x), np.where(row, x_high, ~in_low_x)
    hat_y = np.where(column, y_low, in_low_y), np.where(column, y_high, ~in_low_y)
    least = B.min((1, 2), keepdims=True)
    g = np.exp(least - B) * (wx * sx)[:, :, None] * (wy * sy)[:, None, :]
    halves = (slice(None, hx), slice(hx, None)), (slice(None, hy), slice(hy, None))
    mass = {key: np.zeros(n) for key in corner}
    for a, b in corner:                                                       # the quadrant of cell (a, b)
        part = (slice(None), halves[0][a], halves[1][b])
        gq = g[part] * corner[a, b][:, None, None]
        for c, d in corner:
            share = (gq * hat_x[c][part] * hat_y[d][part]).sum((1, 2))
            absent = ~corner[c, d]
            mass[c, d] += np.where(absent, 0.0, share)
            mass[a, b] += np.where(absent, share, 0.0)                        # a hat of a node that is not there
    with np.errstate(divide="ignore"):
        out = {("m", *key): np.log(np.where(corner[key], m, 0.0)) - least[:, 0, 0] for key, m in mass.items()}
    face_x, face_y = np.broadcast_to(P.face[p][:, None], y.shape), np.broadcast_to(Q.face[q][:, None], x.shape)
    middle_y = _hats(_exponent(space, face_x, y, 1)[:, None], sy[:, None], rule_y)[:2]           # transverse hats on the middle line
    middle_x = _hats(_exponent(space, x, face_y, 0)[:, None], sx[:, None], rule_x)[:2]
    rows = corner[0, 0] & corner[1, 0], corner[0, 1] & corner[1, 1]
    columns = corner[0, 0] & corner[0, 1], corner[1, 0] & corner[1, 1]
    for name, log_r, weights, middle, there, h in (("x", log_rx, wy * sy, middle_y, rows, hy), ("y", log_ry, wx * sx, middle_x, columns, hx)):
        both, low_half = there[0] & there[1], np.arange(2 * h) < h
        for side in (0, 1):
            hat = np.where(both[:, None], middle[side][:, 0], low_half if side == 0 else ~low_half)
            top = np.max(-log_r, axis=1, keepdims=True)
            top = np.where(np.isfinite(top), top, 0.0)
            with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                total = (np.where(hat > 0, np.exp(-log_r - top), 0.0) * weights * hat).sum(1)
                out[name, side] = np.where(there[side], np.log(space.theta * total) + top[:, 0], -np.inf)
    return out


def _exponent(space, x, y, axis):
    X = np.stack([x.ravel(), y.ravel()])
    B = np.nan_to_num(space.exponent(X), nan=np.nan, posinf=1e300)
    if axis is not None and space.mobility.tensor is None:
        B = B - space.mobility.log_along(axis, X)
    return B.reshape(x.shape)


def _with_mobility(space, B, x, y, axis):
    if space.mobility.tensor is not None:
        return B                                # hats only: any weight gives a partition of unity
    if space.mobility.function is None:
        return B - space.mobility.log_along(axis, None)
    return B - space.mobility.log_along(axis, np.stack([x.ravel(), y.ravel()])).reshape(x.shape)


def _gathered(space, logs, shape):
    """Node and edge arrays from the patches: node i is the high end of patch i and the low end of patch i + 1 (around on a ring)."""
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
    # the x-edge of patch column p joins nodes p - 1 and p; its row j is the low row of patch j + 1 and the high row of patch j
    for name, axis, after, here in (("x", 0, after_y, here_y), ("y", 1, after_x, here_x)):
        low, high = (logs[name, s] if axis == 0 else logs[name, s].T for s in (0, 1))
        c = np.logaddexp(low[:, after], high[:, here])                       # (patches, transverse nodes)
        first = 0 if grid.periodic[axis] else 1
        last = c.shape[0] if grid.periodic[axis] else c.shape[0] - 1
        nodes = index if axis == 0 else index.T
        p = np.arange(first, last)
        edges.append(np.stack([nodes[(p - 1) % nodes.shape[0]].ravel(), nodes[p % nodes.shape[0]].ravel()], axis=1))
        log_cond.append(c[p].ravel())
    edges, log_cond = np.concatenate(edges), np.concatenate(log_cond)
    keep = np.isfinite(log_cond)
    return log_mass.ravel(), edges[keep], log_cond[keep]
