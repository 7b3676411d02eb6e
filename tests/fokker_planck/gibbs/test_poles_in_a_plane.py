"""Poles inside a plane, f ~ c log r: masses, probabilities and means keep their errors against quadrature in
polar coordinates around the pole."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.fokker_planck.averages import gibbs_mean

NODES, WEIGHTS = ((a + b) / 2 for a, b in zip(np.polynomial.legendre.leggauss(16), (1.0, 0.0)))
TEXT = "c*log((x - a)**2 + s*(y - b)**2)/2 + A*x**2/2 + B*(y - 0.3)**2/2 + 0.3*cos(w*x + y)"


def composite(points):
    low, size = points[:-1, None], np.diff(points)[:, None]
    return (low + size * NODES).ravel(), (size * WEIGHTS).ravel()


def polar(pole, corners, k, weight):
    """int r^(k - 2) weight(points, r) over a polygon: triangles from its sides to the pole, signed; what lies
    within the share u^(1/k) of the way is u of the whole."""
    u, w = composite(np.unique(np.r_[0.0, 0.5 ** np.arange(30), 0.35, np.linspace(0.6, 1, 6)]))
    total = 0.0
    for start, end in zip(corners, np.roll(corners, -1, axis=0)):
        side = end - start
        foot = np.clip(((pole - start) @ side) / (side @ side), 0, 1)
        away = 0.5 ** np.arange(28)
        t, v = composite(np.unique(np.clip(np.r_[foot - foot * away, foot, foot + (1 - foot) * away,
                                                 np.linspace(0, 1, 6)], 0, 1)))
        arm = start + t[:, None] * side - pole
        share = u[:, None] ** (1 / k)
        area = arm[:, 0] * side[1] - arm[:, 1] * side[0]
        with np.errstate(all="ignore"):
            part = v * area * (w @ weight(pole + share[..., None] * arm, share, arm))
        total += np.where(area == 0, 0.0, part).sum()
    return total / k


def rectangle(bounds):
    (x0, x1), (y0, y1) = bounds
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)


def half_of(corners, normal, offset):
    side, out = corners @ normal - offset, []
    for i, p in enumerate(corners):
        j = (i + 1) % len(corners)
        out += [p] * bool(side[i] >= 0)
        if (side[i] >= 0) != (side[j] >= 0):
            out.append(p + (corners[j] - p) * side[i] / (side[i] - side[j]))
    return np.array(out)


def a_problem(seed):
    """FokkerPlanck, its pole and k, and the weights for `polar`: 1, f or a function of x."""
    rng = np.random.default_rng(seed)
    theta, k = rng.choice([0.4, 1.0, 2.0]), rng.choice([0.15, 0.4, 0.7, 1.1, 1.4, 1.9])
    bounds, shape = [(-rng.uniform(0.7, 2), rng.uniform(0.7, 2)) for _ in "xy"], rng.integers(5, 24, 2)
    low, high = np.array(bounds).T
    width = (high - low) / shape
    place = rng.integers(1, shape - 1) + (rng.uniform(0, 1, 2) if seed % 3 else np.array([1e-3, 0.4]))
    pole = low + place * width
    p = dict(c=(2 - k) * theta, a=pole[0], b=pole[1], s=rng.choice([1.0, 2.2]), A=rng.uniform(0, 1.5),
             B=rng.uniform(0, 1.5), w=rng.uniform(0.5, 3))
    D = fp.FokkerPlanck(fp.Potential(TEXT, **p), theta, fp.Grid(bounds, tuple(shape)))

    def weight(of):
        def density(X, share, arm):
            x, y, r2 = X[..., 0], X[..., 1], arm[:, 0]**2 + p["s"] * arm[:, 1]**2
            g = p["A"] * x**2 / 2 + p["B"] * (y - 0.3)**2 / 2 + 0.3 * np.cos(p["w"] * x + y)
            with np.errstate(all="ignore"):
                value = {"1": 1.0, "f": p["c"] * (np.log(r2) / 2 + np.log(share)) + g, "x": x + 2 * y**2}[of]
                return value * np.exp((k - 2) / 2 * np.log(r2) - g / theta)
        return density
    return D, pole, k, weight, rng


def held(found, exact, reference=3e-14):
    return abs(float(found) - exact) <= found.error + reference


@pytest.mark.parametrize("seed", [6, 7, 9] + [pytest.param(s, marks=pytest.mark.slow) for s in (
    0, 1, 2, 3, 4, 5, 8, 10, 11)])
def test_what_lies_around_a_pole_keeps_its_error(seed):
    D, pole, k, weight, rng = a_problem(seed)
    box = rectangle(D.grid.bounds)
    mass = lambda corners, of="1": polar(pole, corners, k, weight(of))
    Z = mass(box)
    cell = tuple(np.searchsorted(e, x) - 1 for e, x in zip(D.grid.edges, pole))
    exact = mass(rectangle([(e[i], e[i + 1]) for e, i in zip(D.grid.edges, cell)])) / Z
    p = D.gibbs.values[cell] * D.grid.volumes[cell]
    assert abs(p - exact) <= D.gibbs.error[cell] * D.grid.volumes[cell] + 3e-14 < 1e-5
    angle = rng.uniform(0, 2 * np.pi)
    normal = np.array([np.cos(angle), np.sin(angle)])
    for offset in (normal @ pole, normal @ pole + 10.0 ** rng.uniform(-4, -1)):
        found = D.probability(fp.HalfSpace(list(normal), float(offset)))
        assert held(found, mass(half_of(box, normal, offset)) / Z) and found.error < 0.01
    bounds = [tuple(np.sort(rng.uniform(*b, 2))) for b in D.grid.bounds]
    found = D.probability(fp.Box(bounds))
    assert held(found, mass(rectangle(bounds)) / Z) and found.error < 1e-4
    for of, function in (("f", None), ("x", lambda X: X[:, 0] + 2 * X[:, 1]**2)):
        mean = gibbs_mean(D.potential, D.theta, D.grid, function)
        assert held(mean, mass(box, of) / Z, 2e-11) and mean.error < 1e-2


def test_a_nip_of_a_half_plane_beyond_the_last_line_of_every_depth_is_seen():
    """The line leaves the domain just beyond the middle of a cell, and beyond where its parts meet."""
    D = fp.FokkerPlanck(fp.Potential("0*x*y"), 1.0, fp.Grid([(0, 1), (0, 1)], (2, 2)))
    slope, at = 0.13, 0.25 + 1e-3
    found = D.probability(fp.HalfSpace([-slope, 1.0], 1 - slope * at))
    assert abs(float(found) - slope * at**2 / 2) <= found.error < 1e-10


def test_means_at_poles_that_are_not_resolved_have_no_error_but_a_reason():
    mean = gibbs_mean(fp.Potential("0.95*log(x) + x + y*y"), 1.0, fp.Grid([(0, 4), (-1, 1)], (20, 7)),
                      lambda X: X[:, 0])
    assert np.isnan(mean.error) and "refine the grid" in mean.status
