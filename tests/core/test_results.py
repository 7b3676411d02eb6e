import json
import math
import operator
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fpkit as fp
from fpkit import Field, Grid
from fpkit.core.results import with_error


def test_an_estimate_is_a_float():
    a = fp.Estimate(0.25, 0.01, "test")
    assert a + 1 == 1.25 and math.sqrt(a) == 0.5 and np.isclose(a, 0.25) and isinstance(a, float)


def test_an_estimate_does_not_change():
    a = fp.Estimate(1.0, 0.1, "test")
    with pytest.raises(AttributeError, match="does not change"):
        a.error = 0.0


def test_an_estimate_keeps_a_value_that_underflows():
    a = fp.Estimate(0.0, 0.0, "test", log10=-5000.0)
    assert a.log10 == -5000 and repr(a) == "10^-5000.0000 (test)"


def test_an_estimate_survives_pickling_and_json():
    a = pickle.loads(pickle.dumps(fp.Estimate(2.0, 0.5, "test", inputs={"seed": 1})))
    assert a == 2 and a.error == 0.5 and a.inputs == {"seed": 1}
    assert json.loads(json.dumps(fp.Estimate(math.nan, math.inf, "test").to_dict(),
                                 allow_nan=False))["value"] is None


@pytest.mark.parametrize("value, error, text", [
    (1.23456, 0.0123, "1.235 +- 0.012"), (0.5, 1e-15, "0.5 +- 1.0e-15"),
    (3e-20, 2e-22, "3.000e-20 +- 2.0e-22"),
    (12345.0, 30.0, "12345 +- 30"), (0.0, 0.2, "0.00 +- 0.20"), (2.0, 0.0, "2 +- 0")])
def test_a_number_is_shown_to_the_place_of_its_error(value, error, text):
    assert with_error(value, error) == text


def test_a_field_is_interpolated_with_an_error_that_holds():
    grid = fp.Grid([(0, 1), (0, 2)], shape=(40, 60))
    x, y = np.moveaxis(grid.points, -1, 0)
    f = fp.Field(np.sin(3 * x) * np.cos(y), grid, "wave")
    for point in np.random.default_rng(0).uniform([0.05, 0.05], [0.95, 1.95], (50, 2)):
        e = f.at(point)
        assert abs(e - math.sin(3 * point[0]) * math.cos(point[1])) <= e.error + 1e-12


def test_a_field_refuses_points_outside():
    f = fp.Field(np.ones(10), fp.Grid([(0, 1)], 10))
    with pytest.raises(ValueError, match="outside the grid"):
        f.at([2.0])


def test_fields_are_added_multiplied_and_divided_with_bounds_that_hold():
    rng = np.random.default_rng(4)
    grid = Grid([(0, 2), (0, 1)], (5, 4))
    a, b = rng.normal(size=(2, 5, 4)) + 3 * np.sign(rng.normal(size=(2, 5, 4)))
    ea, eb = rng.uniform(0, 0.3, (2, 5, 4))
    A, B = Field(a, grid, "a", ea), Field(b, grid, "b", eb)
    for rule in (operator.add, operator.sub, operator.mul, operator.truediv):
        found = rule(A, B)
        assert_allclose(found.values, rule(a, b))
        for s in (-1, 1):
            for t in (-1, 1):
                gap = np.abs(rule(a + s * ea, b + t * eb) - found.values)
                assert (gap <= found.error * (1 + 1e-12) + 1e-14).all()
        for number in (2.5, np.float64(-0.5), 3):
            assert_allclose(rule(A, number).values, rule(a, number))
            assert isinstance(rule(number, A), Field)
            assert_allclose(rule(number, A).values, rule(number, a))
    assert_allclose((-A).values, -a)
    assert (A + Field(b, grid)).error is None
    with pytest.raises(ValueError, match="one grid"):
        A + Field(a, Grid([(0, 3), (0, 1)], (5, 4)))
    with pytest.raises(TypeError):
        A + "x"


def test_a_field_has_integrals_marginals_and_slices():
    grid = Grid.from_edges([[0, 1, 3, 4], [0, 0.5, 2]])
    f = Field(np.arange(6.0).reshape(3, 2), grid, "f", 0.1)
    whole = f.integral()
    assert whole == pytest.approx((f.values * grid.volumes).sum()) and whole.error == pytest.approx(0.1 * 8)
    x = f.marginal(0)
    assert x.grid.shape == (3,) and x.integral() == pytest.approx(whole) and f.marginal(1).grid.shape == (2,)
    assert_allclose(f.sliced(0, 2.0).values, [2, 3])
    assert_allclose(f.sliced(1, 2.0).values, [1, 3, 5])
    for ask in (f.marginal, lambda: f.marginal(0, 1), lambda: f.marginal(2), lambda: f.sliced(0, 9.0)):
        with pytest.raises(ValueError):
            ask()


@pytest.mark.parametrize("seed", range(2))
def test_products_of_fields_have_integrals_that_keep_their_errors(seed):
    """The committor on a line is an integral of exp(f/theta); averages of its products are integrals of one
    more."""
    from scipy.integrate import quad

    rng = np.random.default_rng(seed)
    a, b, theta = rng.uniform(0.4, 1.2), rng.uniform(-0.4, 0.4), rng.uniform(0.3, 0.7)
    D = fp.FokkerPlanck(fp.Potential(f"{a}*(x**2 - 1)**2 + {b}*x + y**2"), theta,
                        fp.Grid([(-2.4, 2.4), (-2.5, 2.5)], (int(rng.integers(24, 50)), 24)))
    f = lambda x: a * (x * x - 1) ** 2 + b * x
    weight, up = lambda x: np.exp(-f(x) / theta), lambda x: np.exp(f(x) / theta)
    whole = quad(up, -0.9, 0.9)[0]
    q = lambda x: quad(up, -0.9, min(max(x, -0.9), 0.9))[0] / whole
    mean = lambda h, low=-2.4: quad(lambda x: h(x) * weight(x), low, 2.4, points=[0.9])[0] / quad(
        weight, -2.4, 2.4)[0]
    c, g = D.committor(fp.HalfSpace([-1, 0], 0.9), fp.HalfSpace([1, 0], 0.9)), D.gibbs
    for found, exact in (((c * (1 - c) * g).integral(), mean(lambda x: q(x) * (1 - q(x)))),
                         ((c * g).integral(fp.HalfSpace([1, 0], 0.3)), mean(q, 0.3))):
        assert abs(found.value - exact) <= found.error < 0.1


@pytest.mark.parametrize("seed", range(8))
def test_averages_and_integrals_of_products_are_those_of_a_grid_fifteen_times_finer(seed):
    """Densities hold cell averages, committors and times values at the centres, with kinks inside cells."""
    rng = np.random.default_rng(seed)
    n, theta, is_ring = int(rng.integers(16, 90)), rng.uniform(0.2, 1.0), seed % 4 == 3
    wave = f"{rng.uniform(-1, 1)}*sin({rng.integers(1, 4)}*x) + {rng.uniform(-1, 1)}*cos(2*x)"
    V = fp.Potential(wave if is_ring else f"{wave} + x**2/2" + (" + abs(x - 0.3)" if seed % 3 == 0 else ""))
    W = fp.Potential(f"{rng.uniform(-1, 1)}*sin(x)" + ("" if is_ring else " + x**2/3"))
    A, B = fp.Ball([-1.2], rng.uniform(0.2, 0.6)), fp.Ball([1.0], rng.uniform(0.2, 0.6))
    found = []
    for grid in (Grid([(-np.pi, np.pi)], n * m, periodic=is_ring) for m in (1, 15)):
        D = fp.FokkerPlanck(V, theta, grid)
        p, r, q, t = D.gibbs, fp.FokkerPlanck(W, theta, grid).gibbs, D.committor(A, B), D.mfpt(B)
        found.append([q, t, p * q, p * (q * (1 - q)), p * t, p * p, (p - r) * q, p / r, p * (p / r),
                      t * t * p])
    for coarse, fine in zip(*found, strict=True):
        a, b = coarse.integral(), fine.integral()
        assert abs(a - b) <= a.error + b.error + 1e-13 * abs(a), coarse.name
        if coarse.within is not None:
            shift, wrong = fine.within
            means = (fine.values + shift).reshape(n, 15).mean(1)
            allowed = coarse.error + np.broadcast_to(wrong, fine.values.shape).reshape(n, 15).mean(1)
            assert (np.abs(coarse.values - means) <= allowed + 1e-13 * np.abs(means).max()).all(), coarse.name


def test_a_product_of_averages_with_a_jump_inside_a_cell_keeps_its_error():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, m = int(rng.integers(7, 15)), 400
        y = (np.arange(n * m) + 0.5) / (n * m)
        a, b = rng.uniform(0.3, 0.7, 2)
        step, line, kink = (y > a) * 1.0 + y, 1 + rng.normal() * y, np.abs(y - b)
        grid, mean = Grid([(0, 1)], n), lambda v: v.reshape(n, m).mean(1)
        fields = [Field(mean(v), grid, "v", 1e-5, "1/volume") for v in (step, line, kink)]
        for i, j in ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2)):
            v = mean((step, line, kink)[i] * (step, line, kink)[j])
            shift, wrong = (fields[i] * fields[j]).within
            assert (np.abs(fields[i].values * fields[j].values + shift - v) <= wrong).all()


def test_integrals_and_slices_over_what_lies_within_cells_say_so():
    D = fp.FokkerPlanck(fp.Potential("x**2/2 + y**2/2"), 0.5, fp.Grid([(-4, 4), (-4, 4)], (30, 37)))
    for region in (fp.Ball([0, 0], 1.0) & ~fp.Ball([0, 0], 0.97), fp.Box([(0.01, 0.02)] * 2),
                   ~fp.Box([(0.31, 0.33)] * 2), fp.Ball([0.1, 0.1], 0.03)):
        found, exact = D.gibbs.integral(region), D.probability(region)
        assert abs(found - exact) <= found.error
    whole = np.exp(-(0.2**2 + 0.3**2)) / np.pi
    at = D.gibbs.sliced(0, 0.3).at([0.2])
    assert abs(at - whole) <= at.error < 0.2 * whole
