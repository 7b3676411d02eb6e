"""Committor masses of the plane against the plain sums over one patch at a time."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.fokker_planck.discretisation import committor_scheme as committor_masses
from fpkit.fokker_planck.discretisation.committor_scheme import _Patches, _patches
from fpkit.fokker_planck.gibbs.quadrature import cumulative, gauss


def hats(B, widths, g):
    """Hats of the two ends of each line (last axis) from exponents B and the widths of their sub-intervals,
    and the log resistance."""
    w, C = gauss(g)[1], cumulative(g)
    top = B.max(-1, keepdims=True)
    e = (np.exp(B - top) * widths).reshape(*B.shape[:-1], -1, g)
    full = e @ w
    total = full.sum(-1)[..., None, None]
    before = np.cumsum(full, -1) - full
    after = np.cumsum(full[..., ::-1], -1)[..., ::-1] - full
    high = (before[..., None] + e @ C.T) / total
    low = (after[..., None] + e @ (w - C).T) / total
    low, high = (np.maximum(a, 0).reshape(B.shape) for a in (low, high))
    return low, high, top[..., 0] + np.log(total[..., 0, 0])


def plain(space, xs, ys, corner, g, kx, ky):
    """The eight contributions of one patch with ends and faces xs, ys (3,), not as logarithms."""
    def line(s, k):
        u = ((np.arange(k)[:, None] + gauss(g)[0]) / k).ravel()
        width = np.repeat([(s[1] - s[0]) / k, (s[2] - s[1]) / k], u.size)
        return np.r_[s[0] + u * (s[1] - s[0]),
                     s[1] + u * (s[2] - s[1])], width, np.tile(gauss(g)[1], 2 * k) * width

    def exponent(x, y, axis=None):
        X = np.stack([a.ravel() for a in np.broadcast_arrays(x, y)])
        there = axis is not None and space.mobility.tensor is None
        return (space.exponent(X) - (space.mobility.log_along(axis, X) if there
                                     else 0.0)).reshape(np.broadcast(x, y).shape)
    (x, sx, wx), (y, sy, wy) = line(xs, kx), line(ys, ky)
    h, in_low = (kx * g, ky * g), (np.arange(x.size) < kx * g, np.arange(y.size) < ky * g)
    *x_hats, log_rx = hats(exponent(x[None], y[:, None], 0), sx, g)
    *y_hats, log_ry = hats(exponent(x[:, None], y[None], 1), sy, g)
    out = np.zeros(8)
    for i in range(x.size):
        for j in range(y.size):
            a, b = int(i >= h[0]), int(j >= h[1])
            if not corner[a, b]:
                continue
            weight = np.exp(-exponent(x[i:i + 1], y[j:j + 1])[0]) * wx[i] * wy[j]
            for c, d in np.ndindex(2, 2):
                along = x_hats[c][j, i] if corner[0, b] and corner[1, b] else c == a
                across = y_hats[d][i, j] if corner[a, 0] and corner[a, 1] else d == b
                out[2 * c + d if corner[c, d] else 2 * a + b] += weight * along * across
    for first, log_r, w, there, middle, low in ((4, log_rx, wy, corner.all(0),
                                                 hats(exponent(xs[1], y, 1), sy, g), in_low[1]),
                                                (6, log_ry, wx, corner.all(1),
                                                 hats(exponent(x, ys[1], 0), sx, g), in_low[0])):
        for side in (0, 1):
            if there[side]:
                out[first + side] = space.theta * (np.exp(-log_r) * w * (middle[side] if there.all()
                                                                         else low == (side == 0))).sum()
    return out


def wild(rng):
    a, b, c = rng.uniform(0.3, 1.5, 3)
    return f"{a}*sin(3*x + {b}) + {b}*cos(2*y)*x + {c}*(x**2 + y**2)"


OPTIONS = {"box": {}, "diagonal": {"mobility": [0.5, 2.0]}, "tensor": {"mobility": [[1.0, 0.4], [0.4, 0.7]]},
           "function": {"mobility": lambda points: 1 + 0.5 * np.sin(points)}}


@pytest.mark.parametrize("name", [*OPTIONS, "mask", "non-uniform", "ring", "black box"])
def test_patches_have_their_plain_sums(name):
    rng = np.random.default_rng(7)
    V, grid = fp.Potential(wild(rng)), fp.Grid([(-1.5, 1.5), (-1.2, 1.6)], (9, 8))
    if name == "black box":
        V = fp.Potential.black_box(lambda x: np.sin(3 * x[:, 0]) + x[:, 0] * x[:, 1]**2, ndim=2)
    if name == "mask":
        grid = fp.Grid(grid.bounds, grid.shape, mask=rng.random(grid.shape) < 0.7)
    if name == "ring":
        V, grid = fp.Potential("sin(2*pi*x/3)*(1 + 0.3*cos(y)) + y**2"), fp.Grid(grid.bounds, grid.shape,
                                                                                 periodic=(True, False))
    if name == "non-uniform":
        grid = fp.Grid.from_edges([np.r_[-1.5, np.sort(rng.uniform(-1.5, 1.5, 8)), 1.5],
                                   np.r_[-1.2, np.sort(rng.uniform(-1.2, 1.6, 7)), 1.6]])
    space = fp.FokkerPlanck(V, 0.2, grid, **OPTIONS.get(name, {}))._space
    P, Q = _Patches.of(grid, 0), _Patches.of(grid, 1)
    states = np.pad(space.states, ((0, 1), (0, 1)))
    p, q = np.array([0, 3, 5, 8, 4, 6] * 3), np.array([0, 4, 7, 2, 3, 1] * 3)  # more than go together
    corner = {(a, b): states[i[p], j[q]] for a, i in enumerate((P.before, P.after))
              for b, j in enumerate((Q.before, Q.after))}
    bits = sum(c.astype(int) << (2 * a + b) for (a, b), c in corner.items())
    ends = tuple(np.stack([axis.low, axis.face, axis.high]) for axis in (P, Q))
    found = _patches(space, ends, np.stack([p, q, bits]), 4, 2, 1)
    for k in range(6):
        here = np.array([[corner[a, b][k] for b in (0, 1)] for a in (0, 1)])
        truth = plain(space, *(np.array([s.low[i], s.face[i], s.high[i]]) for s, i in ((P, p[k]), (Q, q[k]))),
                      here, 4, 2, 1)
        np.testing.assert_allclose(np.exp(found[k]), truth, rtol=2e-13)
    np.testing.assert_array_equal(found[:6], found[6:12])


def test_the_number_of_threads_and_of_patches_at_a_time_changes_nothing(monkeypatch):
    V, grid = fp.Potential(wild(np.random.default_rng(3))), fp.Grid([(-1.5, 1.5)] * 2, (30, 26))
    make = lambda: committor_masses.committor_plane(fp.FokkerPlanck(V, 0.1, grid)._space)
    one = make()
    monkeypatch.setattr(committor_masses, "PARALLEL_CELLS", 1)
    for a, b in zip(one, make()):
        np.testing.assert_array_equal(a, b)
