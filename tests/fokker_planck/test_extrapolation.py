"""What the change from grid to grid says of errors that are known."""
import io
from types import SimpleNamespace

import numpy as np
import pytest

import fpkit as fp
from fpkit.fokker_planck.extrapolation import RULE, GridSequence, richardson_limit, solve_on_sequence
from fpkit.fokker_planck.questions import pair, survivors
from fpkit.fokker_planck.spectrum.modes import lowest_modes


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
            assert 0.97 < error / abs(np.expm1(value)) / RULE.safety[2] < 1.1


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


@pytest.mark.parametrize("sizes, factor", [((24, 48), 0), ((24, 32, 48), 1), ((12, 24, 32, 48), 2)])
def test_the_stated_error_is_the_safety_times_the_error_of_order_two(sizes, factor):
    """An error bar is a claim: half of it, or twice, is another one."""
    value, error, _ = richardson_limit(*levels(sizes, len(sizes) - 1, False, lambda h: 3 * h**2))
    assert error / np.expm1(RULE.safety[factor] * value) == pytest.approx(1, rel=1e-6)


def test_the_stated_error_beside_one_finer_grid_is_a_multiple_of_the_change():
    value, error, _ = richardson_limit(*levels((24, 48), 0, False, lambda h: 3 * h**2))
    assert error == pytest.approx(np.expm1(RULE.finer_factor * 0.75 * value), rel=1e-6)


def test_the_stated_error_of_a_limit_is_what_its_grids_predict_apart():
    """log error h^2 + c h^4 on 24, 48, 72 and 96 cells: each predicts a limit of its own."""
    h = 1 / np.array([24, 48, 72, 96.0])
    for c in (300.0, -200.0):
        L = h**2 + c * h**4
        limits = L[3] + (L[3] - L[:3]) / ((h[:3] / h[3])**2 - 1)
        value, error, _ = richardson_limit(*levels((24, 48, 72, 96), 0, True, lambda h, c=c: h**2 + c * h**4))
        apart = max(RULE.between_factor * abs(limits[1] - limits[2]), abs(limits[1] - limits[0]))
        order = np.log2((L[0] - L[1]) / (L[1] - L[3]))
        apart = max(apart, abs(L[3] - L[1]) / (2 ** min(order, 2) - 1) - abs(limits[1] - L[3]))
        assert value == pytest.approx(limits[1], abs=1e-15)
        assert error == pytest.approx(max(apart, min(abs(limits[1] - L[3]), RULE.least_step)), rel=1e-3)


@pytest.mark.parametrize("h_and_h2", [(0.9, -25.0), (0.5, 30.0)])
def test_a_limit_keeps_its_error_where_no_order_shows_yet(h_and_h2):
    a, b = h_and_h2
    value, error, _ = richardson_limit(*levels((24, 48, 72, 96), 0, True, lambda h: a * h + b * h**2))
    assert abs(value) <= error


@pytest.mark.parametrize("n, stiff, across, theta, angle, edge, length", [
    ((20, 38), 2.191, 17.82, 0.085, 1.1755, 0.90025, 2.1814),
    ((28, 28), 2.1838, 29.32, 0.1353, 0.8263, 0.36, 1.9673)])
def test_refined_times_on_steep_coarse_grids_keep_their_errors(n, stiff, across, theta, angle, edge, length):
    """A parabola across the axes of the grid, whose time along one of its own axes is known from a line."""
    c, s = float(np.cos(angle)), float(np.sin(angle))
    V = fp.Potential("1.5*A*(c*x + s*y)**2 + 0.12*(c*x + s*y) + B*(c*y - s*x)**2/2", A=stiff, B=across,
                     c=c, s=s)
    D = fp.FokkerPlanck(V, theta, fp.Grid([(-length, length)] * 2, n))
    line = fp.FokkerPlanck(fp.Potential("1.5*A*x**2 + 0.12*x", A=stiff), theta, fp.Grid([(-2.6, 2.6)], 300))
    exact = line.mfpt(fp.HalfSpace([1], edge))
    tau = D.mfpt(fp.HalfSpace([c, s], edge), refine=True)
    for u in (-0.6, -0.3, 0.1):
        found = tau.at([c * u, s * u])
        assert abs(found - exact.at([u])) <= found.error < 0.05 * found


def test_numbers_fields_and_eigenvalues_state_the_error_of_their_grids():
    """Of each kind the error is the value times the relative error that the sequence of grids gives."""
    V = fp.Potential("(x**2 - 1)**2 + 0.2*x + 1.3*y**2 + 0.3*x*y")
    A, B, point = fp.Ball([-1, 0], 0.35), fp.Ball([1, 0], 0.3), [-0.2, 0.1]
    for refine in (False, True):
        D = fp.FokkerPlanck(V, 0.25, fp.Grid([(-2, 2), (-1.6, 1.6)], (24, 20)))
        for estimate, one in (
                (D.rate(A, B, refine=refine), lambda D: pair(D, A, B).log_capacity
                 - pair(D, A, B).log_source_mass()),
                (D.capacity(A, B, refine=refine), lambda D: pair(D, A, B).log_capacity - D.beta * D.f0),
                (D.exit_rate(B, refine=refine), lambda D: survivors(D, B).log_rate),
                (D.spectrum(2, refine=refine)[1], lambda D: lowest_modes(D, 2)[0][1])):
            found = solve_on_sequence(D, one, refine)
            log, relative, _ = richardson_limit(found, found.answers)
            assert estimate.value == pytest.approx(np.exp(log), rel=1e-9)
            assert estimate.error == pytest.approx(estimate.value * relative, rel=1e-3)
        for field in (D.mfpt(B, refine=refine), D.committor(A, B, refine=refine)):
            log, relative, _ = field.rule.logs(np.array([point]))
            assert field.at(point).error == pytest.approx(np.exp(log[0]) * relative[0], rel=1e-9)
            at = D.grid.locate(point)
            log, relative, _ = field.rule.at_nodes(np.array([np.ravel_multi_index(at, D.grid.shape)]))
            assert field.error[at] == pytest.approx(np.exp(log[0]) * relative[0], rel=1e-9)


@pytest.mark.parametrize("is_terminal, n, is_shown",
                         [(True, 100, True), (True, 20, False), (False, 100, False)])
def test_long_sequences_show_their_progress_on_a_terminal_only(monkeypatch, is_terminal, n, is_shown):
    class Stream(io.StringIO):
        isatty = lambda self: is_terminal
    stream = Stream()
    monkeypatch.setattr("sys.stderr", stream)
    D = fp.FokkerPlanck(fp.Potential("x**2 + y**2"), 0.5, fp.Grid([(-1, 1)] * 2, (n, n)))
    solve_on_sequence(D, lambda D: 0.0, False)
    assert ("grids" in stream.getvalue()) == is_shown
