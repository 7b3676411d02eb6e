"""What the change from grid to grid says of errors that are known."""
from types import SimpleNamespace

import numpy as np
import pytest

import fpkit as fp
from fpkit.fokker_planck.extrapolation import GridSequence, richardson_limit, solve_on_sequence


def levels(sizes, base, is_refined, error, has_corners=False):
    """Levels of the logs error(h), whose truth is 0."""
    diffusions = [SimpleNamespace(grid=fp.Grid([(0, 1)], n), inside=np.arange(n) > (0 if has_corners else -1))
                  for n in sizes]
    found = GridSequence(diffusions, [], base, is_refined, is_refined and len(sizes) > 3)
    return found, [error(1 / n) for n in sizes]


MODELS = {"order two": lambda h: 3 * h**2, "two orders": lambda h: 3 * h**2 - 400 * h**4,
          "they cancel on one grid": lambda h: 3 * h**2 - 3 * h**4 * 30**2,
          "order four": lambda h: 200 * h**4, "a corner": lambda h: 0.1 * h ** (4 / 3) + h**2,
          "erratic": lambda h: 5 * h**2 * np.sin(300 * h)}


@pytest.mark.parametrize("name", MODELS)
def test_the_error_of_the_given_grid_is_kept(name):
    for n in (48, 60, 96):
        value, error, p = richardson_limit(*levels((n // 4, n // 2, 2 * n // 3, n), 3, False, MODELS[name]))
        assert abs(np.expm1(value)) <= error and p is None
        if name == "order two":
            assert error < 7 * abs(np.expm1(value))


@pytest.mark.parametrize("name", MODELS)
def test_the_error_of_the_limit_is_kept(name):
    for n in (24, 32, 48):
        sizes = n, 2 * n, 3 * n, 4 * n
        value, error, p = richardson_limit(*levels(sizes, 0, True, MODELS[name], name == "a corner"))
        assert abs(value) <= error + 1e-12
        if name in ("order two", "two orders", "order four"):
            assert error < 60 * abs(value) + 1.1e-7 and p == 2
            assert abs(value) < abs(MODELS[name](1 / (4 * n))) * 5
        if name == "a corner":
            assert p == 4 / 3


def test_zeros_and_values_beyond_floats_are_compared():
    value, error, _ = richardson_limit(*levels((12, 24, 32, 48), 3, False, lambda h: -np.inf))
    assert value == -np.inf and error < 1e-12
    value, error, _ = richardson_limit(*levels((12, 24, 32, 48), 3, False, lambda h: -5000 + h**2))
    assert 1e-4 < error < 1e-2


def test_grids_between_halves_are_asked_where_they_can_be():
    V = fp.Potential("x**2 + y**2")
    solved = lambda grid, refine: solve_on_sequence(fp.FokkerPlanck(V, 0.5, grid), lambda D: 0.0, refine)
    shapes = lambda grid, refine: [D.grid.shape for D in solved(grid, refine).diffusions]
    assert shapes(fp.Grid([(-1, 1)] * 2, (48, 30)), False) == [(12, 7), (24, 15), (32, 20), (48, 30)]
    assert shapes(fp.Grid([(-1, 1)] * 2, (24, 12)), True) == [(24, 12), (48, 24), (96, 48), (144, 72),
                                                              (192, 96)]
    mask = np.ones((48, 32), bool)
    assert shapes(fp.Grid([(-1, 1)] * 2, (48, 32), mask=mask), False) == [(12, 8), (24, 16), (48, 32)]


def test_on_clear_orders_the_stated_error_is_as_many_times_the_true_one_as_the_rule_says():
    """Answers 1 + b h^2 + c h^4: of the given grid 15, 6 and 6 times with one, two and three coarser ones, of
    the limit 4.4 times with a grid between; so an error that is halved is seen."""
    for b, c in ((3.0, 50.0), (-2.0, 40.0), (0.3, 100.0)):
        v = lambda h, b=b, c=c: np.log(1 + b * h**2 + c * h**4)
        for sizes, factor in (((96, 192), 15.0), ((48, 96, 192), 6.0), ((24, 48, 96, 192), 6.0)):
            value, error, _ = richardson_limit(*levels(sizes, len(sizes) - 1, False, v))
            assert 0.85 * factor < error / abs(np.expm1(value)) < 1.6 * factor
        value, error, _ = richardson_limit(*levels((16, 32, 48, 64), 0, True, v))
        assert 3.5 < error / abs(np.expm1(value)) < 6.0
