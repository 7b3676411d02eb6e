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
