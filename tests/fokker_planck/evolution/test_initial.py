"""Starts of an evolution: what they mean, and the sentence that a wrong one gets."""
from types import SimpleNamespace

import numpy as np
import pytest

import fpkit as fp
from fpkit.fokker_planck.evolution.initial import node_start

D = fp.FokkerPlanck(fp.Potential("x**2 + y**2"), 0.3, fp.Grid([(-2, 2), (-1.5, 1.5)], (32, 24)))


def start(u0, diffusion=D):
    return diffusion.evolve(u0, [0.0], n_steps=1)


def mean(e):
    return (e.probabilities()[..., None] * e.grid.points).sum((0, 1))


def test_time_zero_gives_the_start_itself():
    u = np.random.default_rng(1).random(D.grid.shape)
    u /= (u * D.grid.volumes).sum()
    assert np.abs(start(u).densities[0] - u).max() < 1e-14


def test_a_point_keeps_its_mean_and_lives_on_four_centres():
    e = start([0.31, -0.44])
    assert np.abs(mean(e) - [0.31, -0.44]).max() < 2e-2
    assert abs(e.probabilities().sum() - 1) < 1e-14


def test_a_gaussian_has_its_mean_and_width():
    e = start(([0.3, -0.2], [0.3, 0.25]))
    second = (e.probabilities()[..., None] * (e.grid.points - mean(e)) ** 2).sum((0, 1)) - D.grid.h**2 / 12
    assert np.abs(mean(e) - [0.3, -0.2]).max() < 1e-4
    assert np.abs(np.sqrt(second) - [0.3, 0.25]).max() < 1e-3


def test_a_gaussian_narrower_than_a_cell_is_no_empty_start():
    assert abs(start(([0.3, -0.2], 1e-3)).probabilities().sum() - 1) < 1e-13


def test_cell_averages_are_read_back_to_order_four():
    errors = []
    for n in (16, 32, 64):
        grid = fp.Grid([(-2, 2), (-2, 2)], (n, n))
        diffusion = fp.FokkerPlanck(fp.Potential("x**2 + y**2 + 0.3*x*y"), 0.5, grid)
        by_function = diffusion.evolve(([0.2, 0.1], 0.5), [0.1], n_steps=32)
        averages = diffusion.evolve(([0.2, 0.1], 0.5), [0.0], n_steps=1).densities[0]
        by_averages = diffusion.evolve(averages, [0.1], n_steps=32)
        errors.append(np.abs((by_function.densities - by_averages.densities) * grid.volumes).sum())
    assert errors[0] / errors[1] > 10 and errors[1] / errors[2] > 10 and errors[2] < 1e-5


def test_a_field_and_its_values_are_the_same_start():
    e = D.evolve(([0.3, -0.2], 0.3), [0.1], n_steps=8)
    a, b = D.evolve(e.field(), [0.1], n_steps=8), D.evolve(e.densities[0], [0.1], n_steps=8)
    assert np.array_equal(a.densities, b.densities)


def test_an_array_of_cell_averages_gives_values_that_are_not_negative():
    u = np.zeros(D.grid.shape)
    u[3, 4] = 1.0
    assert D.evolve(u, [1e-4], tol=1e-2, positive=True).densities.min() >= 0


@pytest.mark.parametrize("u0, words", [
    ([5.0, 0.0], "outside the grid"),
    ([np.nan, 0.0], "not finite"),
    ([0.0, 0.0, 0.0], "has shape"),
    (np.ones((5, 5)), "cell averages have shape"),
    (-np.ones((32, 24)), "negative"),
    (np.zeros((32, 24)), "zero everywhere"),
    (np.full((32, 24), np.nan), "not finite"),
    (([0.0, 0.0], -1.0), "std"),
    (([0.0, 0.0, 1.0], 1.0), "mean of u0"),
    ("left", "u0 must be"),
    (None, "u0 must be"),
    (lambda x: x[..., 0], "negative"),
    (lambda x: x, "gave shape"),
    (lambda x: np.zeros(x.shape[:-1]), "no mass"),
])
def test_a_wrong_start_gets_one_sentence(u0, words):
    with pytest.raises((ValueError, TypeError), match=words):
        start(u0)


@pytest.mark.parametrize("times, words", [([], "one list"), ([1.0, 1.0], "increasing"),
                                          ([2.0, 1.0], "increasing"), ([-1.0], "negative"),
                                          ([np.inf], "finite"), ("soon", "numbers")])
def test_wrong_times_get_one_sentence(times, words):
    with pytest.raises((ValueError, TypeError), match=words):
        D.evolve([0.0, 0.0], times)


@pytest.mark.parametrize("options", [dict(tol=0), dict(tol=-1), dict(tol=2), dict(n_steps=0),
                                     dict(n_steps=1.5), dict(order=3)])
def test_wrong_options_get_one_sentence(options):
    with pytest.raises((ValueError, TypeError), match="tol|n_steps|order"):
        D.evolve([0.0, 0.0], [1.0], **options)


def test_a_start_in_a_masked_cell_is_refused():
    holed = fp.FokkerPlanck(fp.Potential("x**2 + y**2"), 0.3,
                            fp.Grid([(-2, 2), (-2, 2)], (16, 16), mask=lambda x: x[..., 0] > 0))
    with pytest.raises(ValueError, match="masked|outside the domain"):
        start([-1.0, 0.0], holed)
    with pytest.raises(ValueError, match="outside the domain"):
        start(np.ones((16, 16)), holed)


@pytest.mark.parametrize("positive", [False, True])
def test_a_narrow_gaussian_keeps_its_mean_on_uneven_cells(positive):
    rng = np.random.default_rng(3)
    for mean_, std in ((0.31, 0.004), (-0.04, 0.02), (0.0, 0.15)):
        grid = fp.Grid.from_edges([np.sort(np.r_[-2, 2, rng.uniform(-2, 2, 29)])])
        p, _ = node_start("gaussian", ([mean_], [std]), SimpleNamespace(
            grid=grid, inside=None, nodes_are_cells=False, is_driven=False), None, positive)
        assert p @ grid.centres[0] == pytest.approx(mean_, abs=1e-12) and (not positive or p.min() >= 0)
