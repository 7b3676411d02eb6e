"""Walls that cut cells: jumps of f, infinite f, masks given by a rule."""
import numpy as np
import pytest
from scipy.integrate import quad

import fpkit as fp


def within(estimate, exact, most):
    assert abs(float(estimate) - exact) <= estimate.error <= most, (float(estimate) - exact, estimate.error)


@pytest.mark.parametrize("seed", range(12))
def test_a_box_on_the_line_has_its_exact_probabilities_however_it_cuts_cells(seed):
    rng = np.random.default_rng(seed)
    low, high = rng.uniform(-1.4, -0.2), rng.uniform(0.2, 1.4)
    at, theta, n = rng.uniform(low, high), rng.uniform(0.2, 1.5), int(rng.integers(5, 120))
    step = f"where(x < {low!r}, wall, where(x < {high!r}, 0, wall))"
    walls = [fp.Potential(step, wall=float(rng.choice([60.0, 1e3, 1e6]))),
             fp.Potential(lambda x: np.where((x > low) & (x < high), 0 * x, np.inf))]
    diffusions = [fp.FokkerPlanck(V, theta, fp.Grid([(-2, 2)], n)) for V in walls]
    rule = (lambda p: (p[..., 0] > low) & (p[..., 0] < high), fp.Box([(low, high)]))[seed % 2]
    diffusions.append(fp.FokkerPlanck(fp.Potential("0*x"), theta, fp.Grid([(-2, 2)], n, mask=rule)))
    beyond = 0.0 if seed % 3 else np.exp(-60 / theta) * 4 / (high - low)
    for D in diffusions:
        p = D.probability(fp.HalfSpace([1], at))
        assert abs(float(p) - (high - at) / (high - low)) <= p.error + beyond and p.error < 1e-11
        assert np.isfinite(D.gibbs.values).all() and (D.gibbs.values >= 0).all()
        e = D.grid.edges[0]
        exact = np.clip(np.minimum(e[1:], high) - np.maximum(e[:-1], low), 0, None) / (high - low)
        gap = np.abs(D.gibbs.values * D.grid.volumes - exact)
        assert (gap <= D.gibbs.error * D.grid.volumes + 1e-15 + beyond).all()


def disc(theta, hole, radius, side):
    """P(r > radius) for f = r^2/2 outside a hole in a box of half-width `side`."""
    box = quad(lambda u: np.exp(-u * u / 2 / theta), -side, side, epsabs=1e-15)[0] ** 2
    inner = lambda r: 2 * np.pi * theta * (1 - np.exp(-r * r / 2 / theta))
    return (box - inner(radius)) / (box - inner(hole))


@pytest.mark.parametrize("seed", range(10))
def test_a_disc_that_is_cut_out_has_its_probabilities(seed):
    rng = np.random.default_rng(seed + 50)
    theta, hole, shape = rng.uniform(0.2, 0.8), rng.uniform(0.7, 1.3), tuple(rng.integers(18, 60, 2))
    radius = hole + rng.uniform(0.1, 0.6)
    outside, kind = f"where(x*x + y*y < {hole * hole!r}, 1e6, (x*x + y*y)/2)", seed % 4
    V = fp.Potential(outside) if kind == 0 else fp.Potential("(x*x + y*y)/2")
    if kind == 1:
        V = fp.Potential(lambda x, y: np.where(x * x + y * y < hole * hole, np.inf, (x * x + y * y) / 2))
    mask = {2: ~fp.Ball([0, 0], hole), 3: lambda p: (p**2).sum(-1) > hole**2}.get(kind)
    D = fp.FokkerPlanck(V, theta, fp.Grid([(-4, 4)] * 2, shape, mask=mask))
    within(D.probability(~fp.Ball([0, 0], radius)), disc(theta, hole, radius, 4.0), 1e-4)
    within(D.probability(fp.HalfSpace([1, 0], 0.0)), 0.5, 1e-6)
    assert (D.gibbs.values * D.grid.volumes).sum() == pytest.approx(1, abs=1e-12)


def area(corners):
    x, y = np.asarray(corners).T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


@pytest.mark.parametrize("seed", range(10))
def test_random_triangles_have_the_area_of_triangles(seed):
    rng = np.random.default_rng(seed + 80)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 3) / 3 + np.arange(3) * 2 * np.pi / 3)
    corners = np.stack([np.cos(angle), np.sin(angle)], -1) * rng.uniform(0.7, 1.8, (3, 1))
    corners = corners + rng.uniform(-0.2, 0.2, 2)

    def inside(p):
        sides = []
        for a, b in zip(corners, np.roll(corners, -1, 0)):
            sides.append((b[0] - a[0]) * (p[..., 1] - a[1]) - (b[1] - a[1]) * (p[..., 0] - a[0]) > 0)
        return np.logical_and.reduce(sides)
    grid = fp.Grid([(-2.1, 2.2)] * 2, tuple(rng.integers(12, 40, 2)), mask=inside)
    D = fp.FokkerPlanck(fp.Potential("0*x + 0*y"), 1.0, grid)
    assert abs(np.exp(D.log_partition) - area(corners)) <= D._cell_masses.total_error * area(corners) < 1e-4
    centre = corners.mean(0)
    normal = np.array([corners[0][1] - centre[1], centre[0] - corners[0][0]])  # the median halves the area
    within(D.probability(fp.HalfSpace(normal, normal @ centre)), 0.5, 1e-3)


def test_a_ball_in_space_is_cut_out_with_an_error():
    D = fp.FokkerPlanck(fp.Potential("0*x + 0*y + 0*z"), 0.5, fp.Grid([(-2, 2)] * 3, (9, 10, 11),
                                                                       mask=fp.Ball([0.1, 0, -0.05], 1.6)))
    within(D.probability(fp.Ball([0.1, 0, -0.05], 1.0)), (1 / 1.6) ** 3, 1e-2)
    assert abs(np.exp(D.log_partition) / (4 / 3 * np.pi * 1.6**3) - 1) <= D._cell_masses.total_error < 1e-2


def test_the_error_of_the_gibbs_density_covers_what_cells_beyond_a_wall_give_away():
    grid = fp.Grid([(-2, 2)] * 2, (15, 14), mask=fp.Ball([0, 0], 1.7))
    D = fp.FokkerPlanck(fp.Potential("0*x + 0*y"), 1.0, grid)
    exact = np.exp(np.where(D._cell_masses.own.log_mass > -np.inf, D._cell_masses.own.log_mass, -np.inf))
    exact = (exact / exact.sum()).reshape(D.grid.shape) / D.grid.volumes
    gap = np.abs(D.gibbs.values - exact)
    assert gap.max() > 0.01 and (gap <= D.gibbs.error + 1e-12).all()
    p = D.gibbs.values * D.grid.volumes
    assert np.abs(D.generator.T @ p.ravel()).max() < 1e-12 * np.abs(D.generator.data).max()


def test_a_mask_of_cells_is_exact_and_says_what_it_is():
    cells = np.zeros((6, 8), bool)
    cells[1:4, 2:7] = True
    grid = fp.Grid([(0, 6), (0, 8)], (6, 8), mask=cells)
    D = fp.FokkerPlanck(fp.Potential("x/3 + 0*y"), 1.0, grid)
    exact = 5 * 3 * (np.exp(-1 / 3) - np.exp(-4 / 3))
    assert np.exp(D.log_partition) == pytest.approx(exact, rel=1e-14)
    inputs = D.probability(fp.HalfSpace([1, 0], 2.0)).inputs
    assert "mask of cells" in repr(grid) and "mask of cells" in inputs["grid"]
    rule = fp.Grid([(0, 6), (0, 8)], (6, 8), mask=lambda p: (p[..., 0] > 1) & (p[..., 0] < 4))
    assert "mask of cells" not in repr(rule)


def test_the_chain_on_a_line_ends_at_the_wall_and_not_at_a_face():
    V = fp.Potential(lambda x: np.where((x > -0.7712) & (x < 0.713), 0 * x, np.inf))
    exact = ((0.3 + 0.7712) ** 2 - 0.7712**2) / 2
    for n in (37, 61):
        D = fp.FokkerPlanck(V, 1.0, fp.Grid([(-2, 2)], n))
        assert float(D.mfpt(fp.HalfSpace([1], 0.3), exact=False).at([0.0])) == pytest.approx(exact, rel=1e-5)
        total = np.log(np.exp(D.chain.log_mass).sum()) + D.chain.shift
        assert total == pytest.approx(D._cell_masses.log_total, abs=1e-12)
