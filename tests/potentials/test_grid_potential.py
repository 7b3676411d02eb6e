"""Potentials from samples: orders, missing samples, axes."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.potentials import spline


def f1(x): return np.sin(2 * x + 0.3) + 0.1 * x**3
def f2(x, y): return np.sin(2 * x + 0.3) * np.cos(1.5 * y) + 0.1 * x * y * y
def f3(x, y, z): return np.sin(x + 0.3) * np.cos(1.5 * y) * np.exp(0.5 * z) + 0.1 * x * y * z


EXACT = {1: fp.Potential(f1), 2: fp.Potential(f2), 3: fp.Potential(f3)}
FUNCTION = {1: f1, 2: f2, 3: f3}


def sampled(d, n, hole=None):
    axes = [np.linspace(-1, 1, n + k) for k in range(d)]             # another number of samples on each axis
    mesh = np.meshgrid(*axes, indexing="ij")
    values = FUNCTION[d](*mesh)
    return fp.GridPotential(axes, values if hole is None else np.where(hole(*mesh), np.nan, values))


def errors(V, points):
    W = EXACT[V.ndim]
    return np.array([abs(V(points) - W(points)).max(), abs(V.gradient(points) - W.gradient(points)).max(),
                     abs(V.hessian(points) - W.hessian(points)).max()])


@pytest.mark.parametrize("d, sizes", [(1, (16, 32, 64, 128)), (2, (16, 32, 64)), (3, (10, 20, 40))])
def test_the_orders_are_four_three_two(d, sizes):
    points = np.random.default_rng(0).uniform(-1, 1, (4000, d))
    e = np.array([errors(sampled(d, n), points) for n in sizes])
    orders = np.log2(e[:-1] / e[1:])[-1]
    assert (orders > [3.7, 2.7, 1.7]).all(), orders
    assert (e[-1] < [2e-5, 1e-3, 5e-2]).all()


@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_spline_passes_through_the_samples_and_reproduces_cubics(d):
    axes = [np.linspace(0, 1 + k, 6 + k) for k in range(d)]
    mesh = np.meshgrid(*axes, indexing="ij")
    cubic = sum((k + 1) * m**3 - m**2 for k, m in enumerate(mesh)) + np.prod(mesh, axis=0)
    V = fp.GridPotential(axes, cubic)
    points = np.stack(mesh, -1)
    assert V(points) == pytest.approx(cubic, abs=1e-12)
    # outside the box the outermost polynomial continues
    x = np.random.default_rng(0).uniform(-0.5, 1.5, (50, d))
    assert V(x) == pytest.approx(sum((k + 1) * x[:, k]**3 - x[:, k]**2 for k in range(d)) + x.prod(1),
                                 abs=1e-11)


def disc(x, y): return (x - 0.2) ** 2 + (y + 0.1) ** 2 < 0.35**2
def ball(x, y, z): return (x - 0.2) ** 2 + (y + 0.1) ** 2 + z**2 < 0.4**2


@pytest.mark.parametrize("n, worst", [(21, 8), (41, 8)])
def test_a_hole_keeps_the_order_in_the_last_valid_cells(n, worst):
    V, W = sampled(2, n, disc), sampled(2, n)
    points = np.random.default_rng(1).uniform(-1, 1, (20_000, 2))
    points = points[V.domain(points)]
    assert (errors(V, points) <= worst * errors(W, points)).all()


def test_a_hole_in_three_dimensions_is_continued_smoothly():
    V = sampled(3, 15, ball)
    points = np.random.default_rng(1).uniform(-1, 1, (5000, 3))
    points = points[V.domain(points)]
    assert (errors(V, points) < [3e-3, 6e-2, 1.0]).all()


def test_the_domain_is_the_cells_with_four_valid_corners():
    values = np.zeros((6, 7))
    values[2, 3] = np.nan
    values[0, 0] = np.inf
    V = fp.GridPotential([np.arange(6.0), np.arange(7.0)], values)
    cells = np.stack(np.meshgrid(np.arange(5) + 0.5, np.arange(6) + 0.5, indexing="ij"), -1)
    expected = np.ones((5, 6), bool)
    expected[1:3, 2:4] = expected[0, 0] = False
    assert np.array_equal(V.domain(cells), expected)
    assert not V.domain([[-0.1, 3.0], [3.0, 6.1], [np.nan, 1.0]][:2]).any()
    assert np.isfinite(V(cells)).all() and V.bounds == [(0.0, 5.0), (0.0, 6.0)]


def test_complete_samples_have_no_domain():
    assert sampled(2, 8).domain is None


def test_values_far_inside_a_large_hole_stay_tame():
    V = sampled(2, 61, lambda x, y: x * x + y * y < 0.8**2)
    assert abs(V(np.random.default_rng(0).uniform(-1, 1, (2000, 2)))).max() < 20


def test_huge_finite_samples_survive():
    x = np.linspace(0, 1, 9)
    V = fp.GridPotential([x], np.where(x > 0.8, np.nan, 1e250 * x))
    assert V([0.5]) == pytest.approx(5e249)


def test_descending_axes_are_turned_round():
    x, y = np.linspace(1, -1, 9), np.linspace(0, 1, 7)
    V = fp.GridPotential([x, y], f2(x[:, None], y))
    W = fp.GridPotential([x[::-1], y], f2(x[::-1, None], y))
    assert V.bounds[0] == (-1.0, 1.0) and V([0.3, 0.4]) == W([0.3, 0.4]) and V.digest == W.digest


def test_values_are_indexed_by_the_axes_in_order():
    x, y = np.linspace(0, 1, 6), np.linspace(0, 2, 9)
    V = fp.GridPotential([x, y], x[:, None] + 10 * y)
    assert V([0.3, 1.1]) == pytest.approx(11.3)
    with pytest.raises(ValueError, match="does not match values.*transpose"):
        fp.GridPotential([y, x], x[:, None] + 10 * y)


def test_single_precision_axes_count_as_uniform():
    x = np.linspace(-1, 1, 101, dtype=np.float32)
    assert fp.GridPotential([x], f1(x.astype(float)))([0.3]) == pytest.approx(f1(0.3), abs=1e-6)


def test_a_new_landscape_of_the_same_dimension_compiles_nothing():
    V, W = sampled(2, 9), sampled(2, 13)
    assert V.block("value") is W.block("value")


@pytest.mark.parametrize("axes, values, words", [
    ([np.linspace(0, 1, 8) ** 2], np.r_[np.zeros(7), np.nan], "not uniform.*missing"),
    ([np.zeros(8)], np.zeros(8), "increase or decrease"),
    ([np.array([0, 1, 2, np.nan, 4.0])], np.zeros(5), "increase or decrease"),
    ([np.arange(4.0)], np.zeros(4), "at least 5"),
    ([np.arange(8.0)], np.full(8, np.nan), "all 8 samples"),
    ([np.arange(8.0)], np.where(np.arange(8) % 2, np.nan, 1.0), "no cell"),
    ([np.arange(8.0)] * 2, np.zeros(8), "2 axes do not match"),
    ([np.arange(8.0)] * 4, np.zeros((8,) * 4), "one to three axes"),
    ([], np.float64(3.0), "one to three axes"),
    ([np.arange(8.0)], np.zeros(8) * 1j, "real numbers"),
    ([np.arange(8.0)], ["a"] * 8, "real numbers"),
    (["abcdefgh"], np.zeros(8), "numbers"),
])
def test_wrong_samples_get_one_sentence(axes, values, words):
    with pytest.raises((ValueError, TypeError), match=words):
        fp.GridPotential(axes, values)


def test_missing_samples_stay_missing_in_the_record():
    V = sampled(2, 12, disc)
    assert np.isnan(V.values).any() and np.isfinite(spline.filled(V.values)).all()
