"""One reading of every `mobility=`, for the density, the paths and the rates."""
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fpkit as fp
from fpkit.potentials.mobility import ConstantMobility, mobility_of

PLANE = "(x**2 - 1)**2 + y**2"
GRID = fp.Grid([(-2, 2), (-1.5, 1.5)], (14, 10))


def variable(p):
    return 2 + np.sin(p[:, 0]) * np.cos(p[:, 1])


def its_divergence(p):
    x, y = p.T
    return np.stack([np.cos(x) * np.cos(y), -np.sin(x) * np.sin(y)], -1)


SAME_FIELD = {"formula": "2 + sin(x)*cos(y)",
              "potential": fp.Potential(lambda x, y: 2 + np.sin(x) * np.cos(y)),
              "function": variable, "pair": (variable, its_divergence)}


def test_constant_forms_are_one_matrix_with_its_root():
    for given, matrix in ((None, np.eye(2)), (3, 3 * np.eye(2)), ([2.0, 0.5], np.diag([2.0, 0.5])),
                          ([[2.0, 0.7], [0.7, 0.5]], [[2.0, 0.7], [0.7, 0.5]])):
        M = mobility_of(given, 2)
        assert isinstance(M, ConstantMobility) and mobility_of(M, 2) is M
        assert_array_equal(M.matrix, matrix)
        assert_allclose(M.root @ M.root.T, matrix, rtol=1e-15)
        assert_array_equal(M.root, np.tril(M.root))
        assert M.is_full == (np.count_nonzero(matrix) > 2) and M.is_unit == (given is None)
        g = np.random.default_rng(0).normal(size=(2, 5))
        assert_allclose(M.applied(g), np.asarray(matrix) @ g, rtol=1e-13)
        assert_allclose(M.rooted(M.rooted(np.eye(2)).T), M.root @ M.root.T, rtol=1e-13)


@pytest.mark.parametrize("mobility", SAME_FIELD.values(), ids=SAME_FIELD)
def test_every_form_of_a_field_is_the_same_field(mobility):
    x = np.random.default_rng(1).normal(size=(50, 2))
    M = mobility_of(mobility, 2)
    assert_allclose(M.at(x), np.repeat(variable(x)[:, None], 2, 1), rtol=1e-14)
    assert_allclose(M.at(x.reshape(5, 10, 2)), M.at(x).reshape(5, 10, 2), rtol=1e-14)
    assert_allclose(M.divergence(x), its_divergence(x), atol=1e-9)
    assert_allclose(M.log_along(1, x.T), np.log(variable(x)), rtol=1e-14)


@pytest.mark.parametrize("mobility", SAME_FIELD.values(), ids=SAME_FIELD)
def test_density_and_paths_take_every_form_of_a_field(mobility):
    V = fp.Potential(PLANE)
    D, E = (fp.FokkerPlanck(V, 0.3, GRID, mobility=m) for m in (mobility, variable))
    assert_allclose(D.generator.toarray(), E.generator.toarray(), rtol=1e-12)
    for other in (D.at(0.0), D.on(GRID.refined()) if hasattr(D, "on") else D):
        assert mobility_of(other.mobility, 2).at(np.zeros((1, 2)))[0, 0] == 2.0
    u, v = (d.evolve(([-1, 0], 0.4), [0.05]).densities for d in (D, E))
    assert_allclose(u, v, atol=1e-12)
    runs = [fp.simulate(V, 0.3, [-1.0, 0.0], 0.01, 20, 6, mobility=m, seed=3).x for m in (mobility, variable)]
    assert_allclose(runs[0], runs[1], atol=1e-9)


def test_a_formula_gives_the_exact_mean_time_that_its_function_gives():
    make = lambda m: fp.FokkerPlanck(fp.Potential("x**2/2"), 0.3, fp.Grid([(-2, 1)], 30), mobility=m)
    a, b = (make(m).mfpt(fp.HalfSpace([1], 1.0)).at([0.0])
            for m in ("1 + x**2", (lambda p: 1 + p[:, 0]**2, lambda p: 2 * p)))
    assert float(a) == pytest.approx(float(b), rel=1e-13)


def test_rates_take_constant_forms_alike_and_refuse_fields():
    V = fp.Potential(PLANE)
    rates = [float(fp.eyring_kramers(V, [-1, 0], [0, 0], 0.1, mobility=m))
             for m in (2.0, [2.0, 2.0], 2 * np.eye(2), mobility_of(2.0, 2))]
    assert_allclose(rates, rates[0], rtol=1e-14)
    for m in SAME_FIELD.values():
        with pytest.raises(ValueError, match="must be constant for Eyring-Kramers"):
            fp.eyring_kramers(V, [-1, 0], [0, 0], 0.1, mobility=m)


@pytest.mark.parametrize("mobility, words", [
    (-1.0, "mobility must be positive"), (0.0, "mobility must be positive"),
    ((1.0, -2.0), "mobility must be positive"),
    ([[1, 2], [2, 1]], "mobility must be positive definite"), ([[1, 1], [0, 1]], "symmetric"),
    (np.eye(3), r"mobility must be a number, \(2,\) or \(2, 2\), got shape"),
    ((1.0, 2.0, 3.0), "mobility must be a number"), (np.nan, "finite"), ("fast", "mobility must be"),
    (True, "mobility must be a number"), ([None, 1], "mobility must be a number"),
    (fp.Potential("x*y*z"), "the mobility has 3 coordinates"),
    (lambda p: -np.ones(p.shape[:-1]), "positive"), (lambda p: np.full(len(p), np.inf), "finite"),
    (lambda p: np.ones(7), "shape"),
])
def test_a_wrong_mobility_gets_one_sentence_on_both_sides(mobility, words):
    V = fp.Potential(PLANE)
    for ask in (lambda: fp.FokkerPlanck(V, 0.3, GRID, mobility=mobility),
                lambda: fp.simulate(V, 0.3, [-1.0, 0.0], 0.01, 2, 3, mobility=mobility)):
        with pytest.raises((ValueError, TypeError), match=words):
            ask()


def test_a_full_matrix_needs_a_uniform_grid():
    grid = fp.Grid.from_edges([[0, 1, 3, 4], [0, 1, 2]])
    with pytest.raises(ValueError, match="needs a uniform grid"):
        fp.FokkerPlanck(fp.Potential(PLANE), 0.3, grid, mobility=[[2.0, 0.7], [0.7, 0.5]])


def test_mobilities_travel_to_other_processes():
    for given in (None, 2.0, [[2.0, 0.7], [0.7, 0.5]], *SAME_FIELD.values()):
        M = mobility_of(given, 2)
        again = pickle.loads(pickle.dumps(M))
        if M.is_constant:
            assert_array_equal(again.matrix, M.matrix)
        else:
            assert_allclose(again.at(np.ones((1, 2))), M.at(np.ones((1, 2))), rtol=1e-15)
