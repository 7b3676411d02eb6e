"""Random problems whose answers are known by other means: closed forms, products of one-dimensional answers,
radial integrals. Each maker takes a random generator and returns a `Problem`."""
from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import polynomial
from scipy.special import ndtr
from scipy.stats import ncx2

from ._calibration_driven import DRIVEN, MOVED, MOVING, SOURCES
from ._calibration_kinds import Answer, Problem, gauss_cells, l1, logarithmic, rounded, scalar
from ._line_reference import Line

# ---- potentials on a line: text, f, f' ----

@dataclass(frozen=True)
class OnLine:
    text: str
    f: Callable
    slope: Callable
    box: tuple

    def of(self, name):
        """The text with another coordinate."""
        return self.text.replace("x", name)


def polynomial_well(c, box):
    text = " + ".join(f"{v!r}*x**{k}" for k, v in enumerate(c) if k and v)
    return OnLine(f"({text})", lambda x: polynomial.polyval(x, c),
                  lambda x: polynomial.polyval(x, polynomial.polyder(c)), box)


def double_well(rng, theta, low=2.5, high=6.0):
    """h ((x/a)^2 - 1)^2 + tilt x with a barrier of `low` to `high` theta, and a."""
    h, a = rounded(theta * rng.uniform(low, high)), rounded(rng.uniform(0.7, 1.3), 3)
    tilt = rounded(0.8 * theta * rng.uniform(-1, 1) / a, 3)
    c = [0.0, tilt, rounded(-2 * h / a**2), 0.0, rounded(h / a**4)]
    reach = rounded(a * np.sqrt(1 + np.sqrt(36 * theta / h)), 3)
    return polynomial_well(c, (-reach, reach)), a


def single_well(rng, theta):
    """k x^2/2 + q x^4 + s x, in a box whose walls are about 36 theta high."""
    k, s = rounded(rng.uniform(0.5, 2.0), 3), rounded(rng.uniform(-0.3, 0.3), 2)
    q = rounded(rng.uniform(0, 0.5), 2) if rng.random() < 0.5 else 0.0
    square = 144 * theta / (np.sqrt(k * k / 4 + 144 * theta * q) + k / 2) / 2    # k r^2/2 + q r^4 = 36 theta
    reach = rounded(np.sqrt(square) + abs(s) / k + 0.1, 3)
    return polynomial_well([0.0, s, k / 2, 0.0, q], (-reach, reach))


def smooth_line(rng, theta):
    return double_well(rng, theta)[0] if rng.random() < 0.5 else single_well(rng, theta)


def temperature(rng):
    return rounded(10 ** rng.uniform(-1.0, 0.0), 2)


def line_of(well, theta, *breaks):
    return Line(well.f, well.slope, theta, *well.box, breaks)


# ---- densities ----

def density_of_harmonic(rng):
    """Ornstein-Uhlenbeck in one to three dimensions, from a point or a Gaussian, near or far."""
    import fpkit as fp

    ndim = int(rng.choice([1, 1, 2, 2, 3]))
    theta, k = temperature(rng), [rounded(rng.uniform(0.5, 2), 3) for _ in range(ndim)]
    n = {1: int(rng.integers(80, 401)), 2: int(rng.integers(24, 61)), 3: int(rng.integers(14, 23))}[ndim]
    width = [float(np.sqrt(theta / v)) for v in k]
    reach = [rounded(max(6.5 * w, 2.0), 3) for w in width]
    x0 = [rounded(rng.uniform(-0.45, 0.45) * r, 4) for r in reach]
    is_point = ndim < 3 and rng.random() < 0.5
    spread = 0.0 if is_point else rounded(rng.uniform(0.35, 1.0) * min(width), 3)
    times = sorted(rounded(t, 2) for t in 10 ** rng.uniform(-1.3 if is_point else -1.5, 0.7, 3))
    text = " + ".join(f"{v / 2!r}*{c}**2" for v, c in zip(k, "xyz"))
    grid = fp.Grid([(-r, r) for r in reach], (n,) * ndim)

    def ask():
        V = fp.Potential(text)
        if is_point:
            start, variance = x0, [0.0] * ndim
        else:
            cells = [gauss_cells(e, m, spread**2) for e, m in zip(grid.edges, x0)]
            start = _product([c / np.diff(e) for c, e in zip(cells, grid.edges)])
            variance = [spread**2] * ndim
        evolution = fp.FokkerPlanck(V, theta, grid).evolve(start, times)
        exact = [_product([gauss_cells(e, m * np.exp(-v * t), s * np.exp(-2 * v * t) + theta / v * -np.expm1(
                            -2 * v * t)) for e, m, v, s in zip(grid.edges, x0, k, variance)]) for t in times]
        return l1(evolution, exact, 1e-9)
    start = "point" if is_point else f"Gaussian cell averages of deviation {spread}"
    return Problem("densities", f"evolve {text}, theta {theta}, {n} cells an axis on +-{reach}, {start} at "
                   f"{x0}, times {times}", ask)


def _product(parts):
    out = parts[0]
    for p in parts[1:]:
        out = np.multiply.outer(out, p)
    return out


def density_in_wells(rng):
    """A point start in polynomial wells on a line or, as a product, in the plane."""
    import fpkit as fp

    ndim, theta = int(rng.choice([1, 1, 2])), temperature(rng)
    wells = [smooth_line(rng, theta) for _ in range(ndim)]
    n = int(rng.integers(60, 301)) if ndim == 1 else int(rng.integers(30, 61))
    text = " + ".join(w.of(c) for w, c in zip(wells, "xy"))
    x0 = [rounded(rng.uniform(-0.5, 0.5) * w.box[1], 3) for w in wells]
    times = sorted(rounded(t, 2) for t in 10 ** rng.uniform(-0.7, 1.0, 2))

    def ask():
        grid = fp.Grid([w.box for w in wells], (n,) * ndim)
        evolution = fp.FokkerPlanck(fp.Potential(text), theta, grid).evolve(x0, times)
        parts = [line_of(w, theta).cell_probabilities(x, times, e) for w, x, e in zip(wells, x0, grid.edges)]
        exact = [_product([p[k] for p, _ in parts]) for k in range(len(times))]
        return l1(evolution, exact, sum(e for _, e in parts))
    return Problem("densities", f"evolve {text}, theta {theta}, {n} cells an axis on "
                   f"{[w.box for w in wells]}, point at {x0}, times {times}", ask)


def density_at_corner(rng):
    """Dry friction: f = |x|, theta 1, whose propagator is known (arXiv:1008.3331)."""
    import fpkit as fp

    n, x0 = int(rng.integers(100, 801)), rounded(rng.uniform(-3, 3), 3)
    times = sorted(rounded(t, 2) for t in 10 ** rng.uniform(-0.5, 1.0, 2))

    def cumulative(edges, t):
        from numpy.polynomial import legendre

        s, w = legendre.leggauss(12)
        cuts = np.unique(np.concatenate([edges, [0.0]]))
        half = np.diff(cuts)[:, None] / 2
        x = cuts[:-1, None] + half * (1 + s)
        from scipy.special import erfc

        p = (np.exp(-t / 4 - (abs(x) - abs(x0)) / 2 - (x - x0) ** 2 / (4 * t)) / np.sqrt(4 * np.pi * t)
             + np.exp(-abs(x)) / 4 * erfc((abs(x) + abs(x0) - t) / np.sqrt(4 * t)))
        mass = (p * half * w).sum(1)
        owner = np.searchsorted(edges, cuts[:-1], side="right") - 1
        return np.bincount(owner, mass, len(edges) - 1)

    def ask():
        grid = fp.Grid([(-20, 20)], n)
        evolution = fp.FokkerPlanck(fp.Potential("abs(x)"), 1.0, grid).evolve([x0], times)
        return l1(evolution, [cumulative(grid.edges[0], t) for t in times], 1e-7)
    return Problem("densities",
                   f"evolve abs(x), theta 1, {n} cells on (-20, 20), point at {x0}, times {times}", ask)


def density_at_pole(rng):
    """Bessel and square-root diffusions: noncentral chi-squared laws."""
    import fpkit as fp

    n, times = int(rng.integers(150, 801)), sorted(rounded(t, 2) for t in 10 ** rng.uniform(-0.3, 0.8, 2))
    if rng.random() < 0.5:
        a, x0 = rounded(rng.uniform(-0.8, 1.5), 2), rounded(rng.uniform(1, 4), 3)
        text, mobility, box = f"{-a!r}*log(x)", None, (0.0, 25.0)
        law = lambda e, t: np.diff(ncx2.cdf(e**2 / (2 * t), 1 + a, x0**2 / (2 * t)))
    else:                                          # dX = (b - X) dt + sigma sqrt(X) dW with k = 2 b/sigma^2
        k, c, x0 = rounded(rng.uniform(0.3, 3), 2), rounded(rng.uniform(1, 3),
                                                            2), rounded(rng.uniform(0.3, 2), 3)
        text, mobility, box = f"{1 - k!r}*log(x) + {c!r}*x", (lambda x: x / c), (0.0,
                                                                                 rounded((k + 45) / c + 2, 3))
        scale = lambda t: 2 * c / -np.expm1(-t)
        law = lambda e, t: np.diff(ncx2.cdf(scale(t) * e, 2 * k, scale(t) * np.exp(-t) * x0))

    def ask():
        grid = fp.Grid([box], n)
        evolution = fp.FokkerPlanck(fp.Potential(text), 1.0, grid, mobility=mobility).evolve([x0], times)
        return l1(evolution, [law(grid.edges[0], t) for t in times], 1e-9)
    more = "" if mobility is None else f", mobility x/{c}"
    return Problem("densities",
                   f"evolve {text}{more}, theta 1, {n} cells on {box}, point at {x0}, times {times}", ask)


def density_free(rng):
    """Free diffusion between mirrors or on a ring, in one or two dimensions: sums of images."""
    import fpkit as fp

    ndim, theta, is_ring = int(rng.choice([1, 2])), temperature(rng), bool(rng.random() < 0.5)
    n = int(rng.integers(40, 201)) if ndim == 1 else int(rng.integers(24, 49))
    x0 = [rounded(rng.uniform(0, 1), 3) for _ in range(ndim)]
    times = sorted(rounded(t / theta, 2) for t in 10 ** rng.uniform(-2.2, -0.7, 2))

    def images(e, m, t):
        shift = np.arange(-12, 13) if is_ring else 2 * np.arange(-12, 13)
        s = np.sqrt(2 * theta * t)
        at = lambda y: sum(ndtr((y - m - k) / s) + (0 if is_ring else ndtr((y + m - k) / s)) for k in shift)
        return np.diff(at(e))

    def ask():
        grid = fp.Grid([(0, 1)] * ndim, (n,) * ndim, periodic=is_ring)
        V = fp.Potential("0*x" if ndim == 1 else "0*x + 0*y")
        evolution = fp.FokkerPlanck(V, theta, grid).evolve(x0, times)
        return l1(evolution, [_product([images(e, m, t) for e, m in zip(grid.edges, x0)]) for t in times],
                  1e-12)
    return Problem("densities", f"evolve 0 in {ndim}-D, theta {theta}, {n} cells an axis on (0, 1), "
                   f"{'periodic' if is_ring else 'mirrors'}, point at {x0}, times {times}", ask)


def gibbs_cells(rng):
    """Cell probabilities of exp(-f/theta): products of integrals on lines, Gamma laws at poles, corners."""
    import fpkit as fp

    theta, ndim = temperature(rng), int(rng.choice([1, 2, 3]))
    n = {1: int(rng.integers(20, 300)), 2: int(rng.integers(10, 50)), 3: int(rng.integers(6, 16))}[ndim]
    kind = rng.choice(["wells", "pole", "corner"])
    if kind == "pole" and ndim < 3:
        from scipy.stats import gamma

        k = [rounded(10 ** rng.uniform(-1.3, 0.5), 2) for _ in range(ndim)]
        text = " + ".join(f"{1 - v!r}*log({c}) + {c}" for v, c in zip(k, "xy"))
        theta, box = 1.0, [(0.0, 12.0)] * ndim
        exact = lambda edges: [np.diff(gamma.cdf(e, v)) / gamma.cdf(12.0, v) for e, v in zip(edges, k)]
    elif kind == "corner":
        a = [(rounded(rng.uniform(0.5, 2), 3), rounded(rng.uniform(-0.9, 0.9), 3)) for _ in range(ndim)]
        text, box = " + ".join(f"{s!r}*abs({c} - {m!r})" for (s, m), c in zip(a, "xyz")), [(-2.0, 2.0)] * ndim

        def exact(edges):
            out = []
            for e, (s, m) in zip(edges, a):
                b = s / theta
                at = np.where(e < m, np.exp(b * (np.minimum(e, m) - m)),
                              2 - np.exp(-b * (np.maximum(e, m) - m)))
                out.append(np.diff(at) / (at[-1] - at[0]))
            return out
    else:
        wells = [smooth_line(rng, theta) for _ in range(ndim)]
        text, box = " + ".join(w.of(c) for w, c in zip(wells, "xyz")), [w.box for w in wells]

        def exact(edges):
            lines = [line_of(w, theta, *e) for w, e in zip(wells, edges)]
            return [np.array([line.between(line.weight, a, b) for a, b in zip(e, e[1:])])
                    / line.between(line.weight, *w.box) for line, e, w in zip(lines, edges, wells)]

    def ask():
        grid = fp.Grid(box, (n,) * ndim)
        g = fp.FokkerPlanck(fp.Potential(text), theta, grid).gibbs
        p = _product(exact(grid.edges))
        return [Answer(float(np.abs(g.values * grid.volumes - p).sum()),
                       float((g.error * grid.volumes).sum()), 1e-13, 1.0)]
    return Problem("densities", f"gibbs {text}, theta {theta}, {n} cells an axis on {box}", ask)


# ---- probabilities and free energies ----

def cut_wall(rng):
    """Walls that cut cells: boxes and discs from which f is infinite or high."""
    import fpkit as fp

    theta, n = temperature(rng), int(rng.integers(20, 65))
    high = rng.choice(["inf", "1e6"])
    if rng.random() < 0.5:
        a, b = rounded(rng.uniform(-1.5, -0.4), 4), rounded(rng.uniform(0.2, 1.5), 4)
        V = lambda: fp.Potential(lambda x: np.where((x > a) & (x < b), 0.0, float(high)))
        text, grid, region, truth = f"where({a} < x < {b}, 0, {high})", fp.Grid([(-2, 2)], n), fp.HalfSpace(
            [1], 0.0), b / (b - a)
    else:
        r = rounded(rng.uniform(0.5, 1.2), 3)
        V = lambda: fp.Potential(lambda x, y: np.where(x**2 + y**2 < r**2, float(high), (x**2 + y**2) / 2))
        s = rounded(r + rng.uniform(0.2, 1.0) * np.sqrt(theta), 3)
        reach = rounded(np.sqrt(r * r + 60 * theta), 3)
        text, grid = f"where(r < {r}, {high}, r^2/2), P(r > {s}), +-{reach}", fp.Grid([(-reach, reach)] * 2,
                                                                                      (n, n))
        region, truth = ~fp.Ball([0, 0], s), float(np.exp((r * r - s * s) / (2 * theta)))
    return Problem("probabilities", f"probability {text}, theta {theta}, {n} cells an axis",
                   lambda: [scalar(fp.FokkerPlanck(V(), theta, grid).probability(region), truth, 1e-12)])


def probability_of_set(rng):
    """Gibbs probabilities of half-spaces, boxes, balls and their products."""
    import fpkit as fp

    ndim, theta = int(rng.choice([1, 2, 3])), temperature(rng)
    n = {1: int(rng.integers(20, 300)), 2: int(rng.integers(16, 60)), 3: int(rng.integers(10, 24))}[ndim]
    shape = rng.choice(["box", "ball", "half-space"])
    if shape == "box":
        wells = [smooth_line(rng, theta) for _ in range(ndim)]
        sides = [tuple(sorted(rounded(v * w.box[1], 4) for v in rng.uniform(-0.6, 0.6, 2))) for w in wells]
        text, box, region = " + ".join(w.of(c) for w,
                                       c in zip(wells, "xyz")), [w.box for w in wells], fp.Box(sides)
        lines = [line_of(w, theta, *s) for w, s in zip(wells, sides)]
        truth = float(np.prod([ln.between(ln.weight, *s) / ln.between(ln.weight, *w.box)
                               for ln, s, w in zip(lines, sides, wells)]))
        name = f"box {sides}"
    else:
        from scipy.stats import chi2

        text = " + ".join(f"{c}**2/2" for c in "xyz"[:ndim])
        reach = rounded(8.0 * np.sqrt(theta), 3)
        box = [(-reach, reach)] * ndim
        if shape == "ball":
            r = rounded(rng.uniform(0.4, 2.5) * np.sqrt(theta), 4)
            region, truth, name = fp.Ball([0.0] * ndim,
                                          r), float(chi2.cdf(r * r / theta, ndim)), f"ball of {r}"
        else:
            v = rng.normal(size=ndim)
            v = [rounded(c, 3) for c in v / np.linalg.norm(v)]
            b = rounded(rng.uniform(-1.5, 1.5) * np.sqrt(theta), 4)
            region, truth = fp.HalfSpace(v, b), float(ndtr(-b / np.linalg.norm(v) / np.sqrt(theta)))
            name = f"half-space {v}.x > {b}"
    return Problem("probabilities", f"probability of {name}, {text}, theta {theta}, {n} cells an axis on "
                   f"{box}", lambda: [scalar(fp.FokkerPlanck(
                    fp.Potential(text), theta, fp.Grid(box, (n,) * ndim)).probability(region), truth, 1e-13)])


def free_energy_of_set(rng):
    """F, E and S of a box under a separable potential."""
    import fpkit as fp

    ndim, theta = int(rng.choice([1, 2])), temperature(rng)
    n = int(rng.integers(30, 200)) if ndim == 1 else int(rng.integers(20, 50))
    wells = [smooth_line(rng, theta) for _ in range(ndim)]
    sides = [tuple(sorted((rounded(rng.uniform(-0.7, -0.05) * w.box[1], 4),
                           rounded(rng.uniform(0.05, 0.7) * w.box[1], 4)))) for w in wells]
    text = " + ".join(w.of(c) for w, c in zip(wells, "xy"))

    def ask():
        found = fp.free_energy(fp.Potential(text), theta, fp.Box(sides),
                               fp.Grid([w.box for w in wells], (n,) * ndim))
        lines = [line_of(w, theta, *s) for w, s in zip(wells, sides)]
        F = -theta * sum(ln.log_partition(*s) for ln, s in zip(lines, sides))
        E = sum(ln.mean(ln.f(ln.x), *s) for ln, s in zip(lines, sides))
        return [scalar(found.free_energy, F,
                       1e-13), scalar(found.energy, E, 1e-12), scalar(found.entropy, (E - F) / theta, 1e-12)]
    return Problem("free energies", f"free_energy of box {sides}, {text}, theta {theta}, {n} cells an axis "
                   f"on {[w.box for w in wells]}", ask)


def free_energy_of_way(rng):
    """The rate along a straight coordinate of a separable potential, seen at an angle, beside 1/mfpt."""
    import fpkit as fp

    ndim, theta = int(rng.choice([1, 2])), temperature(rng)
    well, a = double_well(rng, theta, 4.0, 9.0)
    k = rounded(rng.uniform(0.5, 2) * 6, 3)
    angle = rounded(rng.uniform(0, 1.5), 3)
    C, S = rounded(np.cos(angle), 6), rounded(np.sin(angle), 6)
    s, n = f"({C!r}*x + {S!r}*y)", f"({C!r}*y - {S!r}*x)"
    text = well.text if ndim == 1 else f"{well.text.replace('x', s)} + {k / 2!r}*{n}**2"
    left, right = _bottoms(well, a)

    def ask():
        V, reach = fp.Potential(text), well.box[1]
        direction = np.array([1.0]) if ndim == 1 else np.array([C, S]) / np.hypot(C, S)
        scale = 1.0 if ndim == 1 else np.hypot(C, S)
        bounds = [well.box] if ndim == 1 else [(-1.5 * reach, 1.5 * reach)] * 2
        found = fp.free_energy_rate(V, theta, left / scale * direction, right / scale * direction,
                                    bounds=bounds)
        line = line_of(well, theta, left, right)
        return [logarithmic(found, -np.log(line.mfpt(left, right)), 1e-6)]
    return Problem("free energies", f"free_energy_rate {text}, theta {theta}, from {left:.5g} to {right:.5g} "
                   f"along ({C}, {S}) in {ndim}-D, box {well.box}", ask)


def _bottoms(well, a):
    """The two minima of a tilted double well, by Newton's steps on f'."""
    out = []
    for x in (-a, a):
        for _ in range(50):
            h = 1e-6
            x -= float(well.slope(x)) * 2 * h / float(well.slope(x + h) - well.slope(x - h))
        out.append(float(x))
    return out


# ---- passage ----

def beside(well, rng, *, low, high):
    """A point of the box between two shares of its half width."""
    return rounded(rng.uniform(low, high) * well.box[1], 4)


def plane_of(rng, well, theta):
    """A second coordinate that the question does not feel, or none: (text, box, the other potential)."""
    if rng.random() < 0.4:
        return well.text, [well.box], None
    other = smooth_line(rng, theta)
    return f"{well.text} + {other.of('y')}", [well.box, other.box], other


def passage_on_line(rng):
    """Time to a half-space under a separable potential: exact on the line, by the chain, in the plane."""
    import fpkit as fp

    theta = temperature(rng)
    well = smooth_line(rng, theta)
    x0, b = beside(well, rng, low=-0.6, high=0.1), beside(well, rng, low=0.2, high=0.6)
    text, box, _ = plane_of(rng, well, theta)
    ndim = len(box)
    n, options = int(rng.integers(40, 200)) if ndim == 1 else int(rng.integers(24, 70)), {}
    if ndim == 1:
        options = {"exact": bool(rng.random() < 0.5)}
    elif rng.random() < 0.3:
        options = {"refine": True}
    point = [x0] if ndim == 1 else [x0, rounded(rng.uniform(-0.2, 0.2), 3)]

    def ask():
        D = fp.FokkerPlanck(fp.Potential(text), theta, fp.Grid(box, (n,) * ndim))
        found = D.mfpt(fp.HalfSpace([1.0] + [0.0] * (ndim - 1), b), **options).at(point)
        return [scalar(found, line_of(well, theta, x0, b).mfpt(x0, b), 1e-11)]
    return Problem("passage", f"mfpt from {point} to x > {b}, {text}, theta {theta}, {n} cells an axis on "
                   f"{box}, {options}", ask)


def passage_from_disc(rng):
    """Time out of a disc or ball under a radial potential, and at an angle to a half-space."""
    import fpkit as fp

    ndim, theta = int(rng.choice([2, 2, 3])), temperature(rng)
    n = int(rng.integers(24, 70)) if ndim == 2 else int(rng.integers(12, 26))
    k, r = rounded(rng.uniform(0, 3) * theta, 3), rounded(rng.uniform(0.6, 1.5), 3)
    reach = rounded(r * rng.uniform(1.05, 1.4), 3)
    v = rng.normal(size=ndim)
    at = [rounded(c, 3) for c in v / np.linalg.norm(v) * rng.uniform(0, 0.8) * r]
    text = " + ".join(f"{k / 2!r}*{c}**2" for c in "xyz"[:ndim])
    r0 = float(np.linalg.norm(at))

    def ask():
        D = fp.FokkerPlanck(fp.Potential(text), theta, fp.Grid([(-reach, reach)] * ndim, (n,) * ndim))
        found = D.mfpt(~fp.Ball([0.0] * ndim, r)).at(at)
        # the radius alone moves in k r^2/2 - theta (d - 1) log r
        f = lambda s: k * s * s / 2 - theta * (ndim - 1) * np.log(s)
        line = Line(f, None, theta, 0.0, r, [r0] if r0 else [])
        return [scalar(found, line.mfpt(r0, r), 1e-9)]
    return Problem("passage", f"mfpt from {at} out of the ball of {r}, {text}, theta {theta}, {n} cells an "
                   f"axis on +-{reach}", ask)


def passage_at_angle(rng):
    """Time of an isotropic harmonic motion to a half-space at an angle to the grid."""
    import fpkit as fp

    theta, n = temperature(rng), int(rng.integers(30, 80))
    angle = rng.uniform(0, 2 * np.pi)
    v = [rounded(np.cos(angle), 8), rounded(np.sin(angle), 8)]
    b, s = rounded(rng.uniform(0.3, 1.8) * np.sqrt(theta), 3), rounded(-rng.uniform(0, 1.5) * np.sqrt(theta),
                                                                       3)
    reach = rounded(6.5 * np.sqrt(theta), 3)

    def ask():
        D = fp.FokkerPlanck(fp.Potential("x**2/2 + y**2/2"), theta, fp.Grid([(-reach, reach)] * 2, (n, n)))
        found = D.mfpt(fp.HalfSpace(v, b)).at([s * v[0], s * v[1]])
        line = Line(lambda x: x * x / 2, lambda x: x, theta, -8 * np.sqrt(theta), b, [s])
        return [scalar(found, line.mfpt(s, b), 1e-7)]
    return Problem("passage", f"mfpt x**2/2 + y**2/2, theta {theta}, from {s} n to n.x > {b}, n = {v}, {n} "
                   f"cells an axis on +-{reach}", ask)


def committor_somewhere(rng):
    """Committor of two half-spaces under a separable potential, or of an annulus."""
    import fpkit as fp

    theta = temperature(rng)
    if rng.random() < 0.35:
        ndim, n = 2, int(rng.integers(30, 80))
        r1, r2 = rounded(rng.uniform(0.2, 0.5), 3), rounded(rng.uniform(0.8, 1.3), 3)
        s, angle = rng.uniform(r1, r2), rng.uniform(0, 6.28)
        at = [rounded(s * np.cos(angle), 4), rounded(s * np.sin(angle), 4)]
        box, text = [(-1.5, 1.5)] * 2, "0*x + 0*y"
        source, target = fp.Ball([0, 0], r1), ~fp.Ball([0, 0], r2)
        truth, options = float(np.log(np.linalg.norm(at) / r1) / np.log(r2 / r1)), {}
        name = f"from the disc of {r1} to beyond {r2}"
    else:
        well = smooth_line(rng, theta)
        a, x0, b = sorted(beside(well, rng, low=-0.6, high=0.6) for _ in range(3))
        text, box, _ = plane_of(rng, well, theta)
        ndim = len(box)
        n = int(rng.integers(40, 200)) if ndim == 1 else int(rng.integers(24, 70))
        options = {"exact": bool(rng.random() < 0.5)} if ndim == 1 else {}
        rest = [0.0] * (ndim - 1)
        source, target, at = fp.HalfSpace([-1.0, *rest], -a), fp.HalfSpace([1.0, *rest], b), [x0, *rest]
        truth, name = line_of(well, theta, a, x0, b).committor(x0, a, b), f"from x < {a} to x > {b}"
    return Problem("passage", f"committor {name} at {at}, {text}, theta {theta}, {n} cells an axis on {box}, "
                   f"{options}", lambda: [scalar(fp.FokkerPlanck(fp.Potential(text), theta, fp.Grid(
                        box, (n,) * ndim)).committor(source, target, **options).at(at), truth, 1e-12)])


# ---- spectra ----

def gap_of_wells(rng):
    """Gap of a separable potential: the smallest of its lines; on a line by quadrature and by the chain."""
    import fpkit as fp

    theta = temperature(rng)
    ndim = int(rng.choice([1, 2, 2, 3]))
    wells = [smooth_line(rng, theta) for _ in range(ndim)]
    n = {1: int(rng.integers(40, 200)), 2: int(rng.integers(24, 60)), 3: int(rng.integers(12, 20))}[ndim]
    text, box = " + ".join(w.of(c) for w, c in zip(wells, "xyz")), [w.box for w in wells]
    options = {"exact": bool(rng.random() < 0.5)} if ndim == 1 else {
        "refine": True} if ndim == 2 and rng.random() < 0.3 else {}

    def ask():
        D = fp.FokkerPlanck(fp.Potential(text), theta, fp.Grid(box, (n,) * ndim))
        truth, own = min(line_of(w, theta).gap() for w in wells)
        return [scalar(D.spectrum(2, **options)[1], truth, own)]
    return Problem("spectra", f"spectrum(2)[1] {text}, theta {theta}, {n} cells an axis on {box}, {options}",
                   ask)


def gap_of_shape(rng):
    """Gaps known in closed form: rings, rectangles, discs, and harmonic wells with a mobility tensor."""
    import fpkit as fp

    theta, n = temperature(rng), int(rng.integers(24, 60))
    kind = rng.choice(["ring", "disc", "tensor"])
    if kind == "ring":
        L = [rounded(v, 3) for v in rng.uniform(0.8, 2.0, 2)]
        grid, V, mobility = fp.Grid([(0, v) for v in L], (n, n), periodic=[True, False]), "0*x + 0*y", None
        truth, name = theta * min((2 * np.pi / L[0]) ** 2,
                                  (np.pi / L[1]) ** 2), f"ring {L[0]} times interval {L[1]}"
    elif kind == "disc":
        r = rounded(rng.uniform(0.6, 1.0), 3)
        grid, V, mobility = fp.Grid([(-1.1, 1.1)] * 2, (n, n), mask=fp.Ball([0, 0], r)), "0*x + 0*y", None
        truth, name = theta * (1.8411837813406593 / r) ** 2, f"disc of {r} as a mask on +-1.1"
    else:
        k = [rounded(v, 3) for v in rng.uniform(0.6, 2.0, 2)]
        m = [rounded(v, 3) for v in rng.uniform(0.6, 2.0, 2)]
        c = rounded(rng.uniform(-0.7, 0.7) * np.sqrt(m[0] * m[1]), 3)
        mobility = [[m[0], c], [c, m[1]]]
        reach = [rounded(6.5 * np.sqrt(theta / v), 3) for v in k]
        grid, V = fp.Grid([(-r, r) for r in reach], (n, n)), f"{k[0] / 2!r}*x**2 + {k[1] / 2!r}*y**2"
        truth = float(np.linalg.eigvals(np.array(mobility) @ np.diag(k)).real.min())
        name = f"{V}, mobility {mobility}, +-{reach}"
    return Problem("spectra", f"spectrum(2)[1] of {name}, theta {theta}, {n} cells an axis", lambda: [
            scalar(fp.FokkerPlanck(fp.Potential(V), theta, grid, mobility=mobility).spectrum(2)[1],
                   float(truth), 1e-8 if kind == "tensor" else 0.0)])


# ---- rates ----

def rate_or_capacity(rng):
    """Rate, capacity and exit rate between half-spaces of a separable double well."""
    import fpkit as fp

    theta = temperature(rng)
    well, a = double_well(rng, theta, 2.5, 8.0)
    text, box, other = plane_of(rng, well, theta)
    ndim = len(box)
    n = int(rng.integers(40, 200)) if ndim == 1 else int(rng.integers(24, 60))
    left, right = rounded(-a * rng.uniform(0.6, 1.1), 4), rounded(a * rng.uniform(0.6, 1.1), 4)
    options = {"exact": bool(rng.random()
                             < 0.5)} if ndim == 1 else {"refine": True} if rng.random() < 0.3 else {}
    asked, rest = rng.choice(["rate", "capacity", "exit_rate"]), [0.0] * (ndim - 1)

    def ask():
        D = fp.FokkerPlanck(fp.Potential(text), theta, fp.Grid(box, (n,) * ndim))
        A, B = fp.HalfSpace([-1.0, *rest], -left), fp.HalfSpace([1.0, *rest], right)
        line = line_of(well, theta, left, right)
        if asked == "exit_rate":
            truth, own = line.gap(0, low=well.box[0], high=right, absorbs_high=True)
            return [scalar(D.exit_rate(B, **options), truth, own)]
        if asked == "rate":
            return [logarithmic(D.rate(A, B, **options), line.log_rate(left, right), 1e-12)]
        log_cap = line.log_capacity(left,
                                    right) + (0.0 if other is None else line_of(other, theta).log_partition())
        return [logarithmic(D.capacity(A, B, **options), log_cap, 1e-12)]
    return Problem("rates", f"{asked} from x < {left} to x > {right}, {text}, theta {theta}, {n} cells an "
                   f"axis on {box}, {options}", ask)


def rate_of_shape(rng):
    """Capacity of an annulus and exit rate of a disc, at any place between the cells."""
    import fpkit as fp

    theta, n = temperature(rng), int(rng.integers(30, 80))
    c = [rounded(v, 3) for v in rng.uniform(-0.1, 0.1, 2)]
    r1, r2 = rounded(rng.uniform(0.25, 0.5), 3), rounded(rng.uniform(0.8, 1.2), 3)
    is_capacity = rng.random() < 0.5

    def ask():
        D = fp.FokkerPlanck(fp.Potential("0*x + 0*y"), theta, fp.Grid([(-1.5, 1.5)] * 2, (n, n)))
        if is_capacity:
            return [scalar(D.capacity(fp.Ball(c, r1), ~fp.Ball(c, r2)), 2 * np.pi * theta / np.log(r2 / r1))]
        return [scalar(D.exit_rate(~fp.Ball(c, r2)), theta * (2.404825557695773 / r2) ** 2)]
    name = f"capacity of {r1} < r < {r2}" if is_capacity else f"exit rate of the disc of {r2}"
    return Problem("rates", f"{name} around {c}, f = 0, theta {theta}, {n} cells an axis on +-1.5", ask)


def rate_of_formula(rng):
    """Eyring-Kramers in its orders and the network, beside 1/mfpt of a separable double well."""
    import fpkit as fp

    theta = temperature(rng)
    well, a = double_well(rng, theta, 5.0, 14.0)
    left, right = _bottoms(well, a)
    if left > right or abs(left + a) > 0.3 * a or abs(right - a) > 0.3 * a:
        return rate_of_formula(rng)
    order = str(rng.choice(["leading", "next", "resummed", "network"]))
    text = f"{well.text} + {rounded(rng.uniform(0.5, 5), 3)!r}*y**2"

    def ask():
        V = fp.Potential(text)
        top = float(np.real(_root_between(well, left, right)))
        points = [[left, 0.0], [right, 0.0]]
        if order == "network":
            found = fp.well_network(V, theta,
                                    points=fp.critical_points(V, [well.box, (-3, 3)])).escape_rate(*points)
        else:
            found = fp.eyring_kramers(V, points[0], [top, 0.0], theta, order=order)
        return [logarithmic(found, -np.log(line_of(well, theta, left, right).mfpt(left, right)), 1e-11)]
    return Problem("rates", f"{order} Eyring-Kramers {text}, theta {theta}, from ({left:.6g}, 0) to "
                   f"({right:.6g}, 0)", ask)


def _root_between(well, left, right):
    """The maximum of f between two minima, by bisection of f'."""
    low, high = left + 1e-3, right - 1e-3
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if well.slope(middle) > 0 else (low, middle)
    return low


# ---- paths ----

def average_of_paths(rng):
    """Gibbs means of f and of the coordinates along paths, in one to three separable dimensions."""
    import fpkit as fp

    ndim, theta = int(rng.integers(1, 4)), temperature(rng)
    wells = [single_well(rng, theta) for _ in range(ndim)]
    text, seed = " + ".join(w.of(c) for w, c in zip(wells, "xyz")), int(rng.integers(1, 10_000))
    stiff = max(float((w.slope(x + 1e-4) - w.slope(x - 1e-4)) / 2e-4) for w in wells
                for x in np.linspace(-3 * np.sqrt(theta), 3 * np.sqrt(theta), 13))
    dt = rounded(rng.uniform(0.02, 0.08) / stiff, 2)

    def ask():
        V = fp.Potential(text)
        stats = fp.sample(V, theta, [0.0] * ndim, dt, 4000, n_paths=128, seed=seed, scheme="mala",
                          progress=False)
        lines = [line_of(w, theta) for w in wells]
        means = [ln.mean(ln.x) for ln in lines]
        found = [scalar(stats.energy, sum(ln.mean(ln.f(ln.x)) for ln in lines), 1e-12)]
        return found + [scalar(m, t, 1e-12) for m,
                        t in zip(np.atleast_1d(stats.mean), means) if hasattr(m, "error")]
    return Problem("path averages",
                   f"sample {text}, theta {theta}, mala, dt {dt}, 4000 steps of 128 paths, seed {seed}", ask)


def time_of_paths(rng):
    """Mean exit times: of an interval, of a disc, over a barrier from a mirror."""
    import fpkit as fp

    theta, seed = temperature(rng), int(rng.integers(1, 10_000))
    kind = rng.choice(["interval", "disc", "well", "bands"])
    walls = None
    if kind == "bands":                  # a thin target on a line between mirrors: its near edge counts
        a, h = rounded(rng.uniform(0.4, 0.8), 3), rounded(10 ** rng.uniform(-3, -1), 2)
        x0 = rounded(rng.uniform(0.05, 0.9) * a, 3)
        text, at, target, truth = "0*x", [x0], fp.Box([(a, a + h)]), (a * a - x0 * x0) / (2 * theta)
        dt, walls, name = rounded(0.02 / theta,
                                  2), fp.Walls([(0, 1)],
                                               ["reflecting"]), f"to ({a}, {a + h}), mirrors at 0, 1"
    elif kind == "interval":
        well = single_well(rng, theta)
        a, x0, b = sorted(beside(well, rng, low=-0.3, high=0.3) for _ in range(3))
        text, at, target = well.text, [x0], [fp.HalfSpace([-1], -a), fp.HalfSpace([1], b)]
        line = line_of(well, theta, a, x0, b)
        # T = s(x0)/s(b) int ... by the running integrals of the speed between the two ends
        scale, speed = 1 / line.weight, line.weight
        inner = line.running(np.where(line.x > a, speed, 0.0))
        up = line.between(scale * inner, a, b) / line.between(scale, a, b)
        truth = (up * line.between(scale, a, x0) - line.between(scale * inner, a, x0)) / theta
        dt, name = rounded(0.003 * (b - a) ** 2 / theta, 2), f"of ({a}, {b})"
    elif kind == "disc":
        r = rounded(rng.uniform(0.5, 1.5), 3)
        at = [rounded(v, 3) for v in rng.uniform(-0.5, 0.5, 2) * r]
        text, target, truth = "0*x + 0*y", ~fp.Ball([0, 0], r), (r * r - np.dot(at, at)) / (4 * theta)
        dt, name = rounded(0.002 * r * r / theta, 2), f"of the disc of {r}"
    else:
        well = double_well(rng, theta, 2.0, 3.0)[0]
        x0, b = beside(well, rng, low=-0.6, high=-0.3), beside(well, rng, low=0.2, high=0.5)
        text, at, target, truth = well.text, [x0], fp.HalfSpace([1], b), line_of(well, theta, x0, b).mfpt(x0,
                                                                                                          b)
        stiff = float(np.abs(np.gradient(well.slope(np.linspace(*well.box, 400)),
                                         np.diff(well.box)[0] / 399)).max())
        dt, walls, name = rounded(0.08 / stiff, 2), fp.Walls([well.box], ["reflecting"]), f"to x > {b}"

    def ask():
        found = fp.exit_time(fp.Potential(text), theta, at, target, dt, 2000, seed, extrapolate=True,
                             walls=walls, progress=False)
        low, high = found.interval
        true = abs(float(found) - truth)
        stated = (high - float(found)) if truth > float(found) else (float(found) - low)
        return [Answer(true, stated, 1e-9 * truth, truth, found.status)]
    return Problem("passage times", f"exit_time {name} from {at}, {text}, theta {theta}, dt {dt}, 2000 paths "
                   f"extrapolated, seed {seed}", ask)


def time_by_splitting(rng):
    """Multilevel splitting over barriers of 4 to 8 theta."""
    import fpkit as fp

    theta, seed = temperature(rng), int(rng.integers(1, 10_000))
    well, a = double_well(rng, theta, 4.0, 8.0)
    left, right = _bottoms(well, a)
    stiff = float(well.slope(left + 1e-4) - well.slope(left - 1e-4)) / 2e-4
    dt = rounded(0.02 / stiff, 2)
    edge = rounded(left + 0.15 * a, 4)

    def ask():
        found = fp.multilevel_splitting(fp.Potential(well.text), theta, fp.HalfSpace([-1], -edge),
                                        fp.HalfSpace([1], right), dt, 100, 16, x0=[left], seed=seed,
                                        extrapolate=True, progress=False)
        return [scalar(found, line_of(well, theta, left, right).mfpt(left, right), 0.0)]
    return Problem("passage times", f"multilevel_splitting {well.text}, theta {theta}, x < {edge} to x > "
                   f"{right:.6g}, dt {dt}, 16 times 100 replicas extrapolated, seed {seed}", ask)


# ---- landscapes ----

def rate_of_landscape(rng):
    """The slowest rate between the wells of a sampled double well on a plane of any directions."""
    theta = temperature(rng)
    well, a = double_well(rng, theta, 4.0, 12.0)
    k, n = rounded(theta * rng.uniform(2, 6) / a**2, 3), int(rng.integers(31, 72))
    plane = np.array([[rounded(v, 3) for v in row] for row in rng.normal(size=(2, 2))]) + 1.2 * np.eye(2)

    def ask():
        from fpkit.landscapes.analysis.dynamics import plane_mobility
        from fpkit.landscapes.analysis.kinetics import kinetics
        from fpkit.landscapes.surface.landscape import Landscape
        from fpkit.landscapes.surface.wells import find_wells

        reach = (well.box[1], np.sqrt(2 * 20 * theta / k))
        corners = np.array([[x, y] for x in (-reach[0], reach[0]) for y in (-reach[1], reach[1])])
        axes = tuple(np.linspace(-r, r, n) for r in np.abs(np.linalg.solve(plane, corners.T)).max(axis=1))
        x, y = np.moveaxis(np.stack(np.meshgrid(*axes), -1) @ plane.T, -1, 0)
        loss = well.f(x) + k / 2 * y**2
        valid = np.ones(loss.shape, bool)
        land = Landscape("double_well", "train_loss", axes, loss, {"train_loss": loss}, {}, valid, ~valid,
                         ~valid, gram=plane.T @ plane)
        wells, basins = find_wells(land, land.merge_tree(), theta)
        start = np.linalg.solve(plane, [-a, 0.0])
        (rates,) = kinetics(land, wells, basins, [theta], start, plane_mobility(land))
        truth, own = line_of(well, theta).gap()
        true = abs(float(rates.log10_modes[0]) - np.log10(min(truth, k)))
        error = float(rates.log10_modes_error[0])  # documented: NaN where it was not refined
        status = rates.status if np.isfinite(error) else "not refined: too many samples"
        return [Answer(true, error, own / truth, 1.0, status)]
    return Problem("landscape rates", f"slowest rate of {well.text} + {k / 2!r}*y**2 on {n} x {n} samples of "
                   f"the plane {plane.tolist()}, theta {theta}", ask)


# kind -> (makers by their shares, problems of the full and of the quick form, confidence or None for bounds)
KINDS = {
    "densities": ([density_of_harmonic, density_in_wells, density_at_corner, density_at_pole, density_free,
                   gibbs_cells, density_of_harmonic, density_in_wells, gibbs_cells], 170, 14, None),
    "probabilities": ([cut_wall, probability_of_set, probability_of_set], 80, 24, None),
    "free energies": ([free_energy_of_set, free_energy_of_way], 50, 12, None),
    "passage": ([passage_on_line, passage_from_disc, passage_at_angle, committor_somewhere], 110, 12, None),
    "spectra": ([gap_of_wells, gap_of_wells, gap_of_shape], 70, 10, None),
    "rates": ([rate_or_capacity, rate_or_capacity, rate_of_shape, rate_of_formula], 100, 12, None),
    "path averages": ([average_of_paths], 40, 10, 0.9973),
    "passage times": ([time_of_paths] * 7 + [time_by_splitting], 60, 16, 0.9973),
    "landscape rates": ([rate_of_landscape], 30, 6, None),
    # the last in the alphabet: the others keep their problems
    "without detailed balance": (DRIVEN, 60, 8, None),
    "without detailed balance: walls, sources, inertia": (SOURCES, 60, 12, None),
    MOVING: (MOVED, 24, 8, None),
}


def problems(kind, n, seed=0):
    """n random problems of a kind; the first ones are the same for any n."""
    makers = KINDS[kind][0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [makers[k % len(makers)](np.random.default_rng([seed, sorted(KINDS).index(kind), k]))
                for k in range(n)]
