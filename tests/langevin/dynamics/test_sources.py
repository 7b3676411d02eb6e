"""Killing and resetting of paths, against closed forms and against densities."""
import math

import numpy as np
import pytest

import fpkit as fp

FREE = fp.Potential("0*x")
PLANE = fp.Potential("x**2/2 + 0.3*y**2 + 0.2*x*y")
TURN = "(0.8*y, -0.8*x)"
BOX = [(-5, 5)] * 2


def test_constant_killing_ends_paths_at_exponential_times_at_any_step():
    run = fp.simulate(FREE, 0.5, [0.0], 0.5, 8, 20_000, killing=0.7, progress=False)
    ended = np.isfinite(run.exit_time)
    t = np.sort(run.exit_time[ended])
    law = -np.expm1(-0.7 * t) / -np.expm1(-0.7 * 4.0)
    assert np.abs(law - (np.arange(t.size) + 0.5) / t.size).max() < 1.9 / math.sqrt(t.size)
    assert abs((~ended).mean() - np.exp(-2.8)) < 4 * 0.0017
    assert set(run.exit_side) == {-1, 2}
    assert run.x[ended].var() < run.x[~ended].var() / 2           # killed paths stay where they were


def test_killing_that_depends_on_the_place_leaves_what_the_density_leaves():
    rate = "0.5*(1 + tanh(2*x))*y**2"
    D = fp.FokkerPlanck(PLANE, 0.5, fp.Grid(BOX, (40, 40)), force=TURN, killing=rate)
    mass = D.evolve(([0.5, 0.3], 0.3), [0.5, 2.0])
    x0 = np.random.default_rng(0).normal([0.5, 0.3], 0.3, (30_000, 2))
    run = fp.simulate(PLANE, 0.5, x0, 0.05, 40, force=TURN, killing=rate, scheme="heun", progress=False)
    for t, wanted, error in zip(mass.times, mass.mass, mass.error):
        left = 1 - np.mean(run.exit_time <= t)
        assert abs(left - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / 30_000) + min(error, 3e-3)


def test_the_rate_of_killing_is_that_of_both_ends_of_a_step():
    run = fp.simulate(fp.Potential("x**2/2"), 0.0, [1.0], 0.2, 10, 20_000, killing="x", scheme="heun",
                      progress=False)
    assert abs(np.mean(run.exit_side < 0) - np.exp(-(1 - np.exp(-2.0)))) < 4 * 0.0035


def test_resetting_brings_paths_to_a_target_after_the_time_of_evans_and_majumdar():
    """E T = (exp(L sqrt(r/theta)) - 1)/r, also where steps are long beside 1/r."""
    for dt, bias in ((0.02, 0.004), (0.1, 0.012)):
        tau = fp.exit_time(FREE, 0.3, [0.0], fp.HalfSpace([1], 0.8), dt, 30_000, resetting=(3.0, [0.0]),
                           progress=False)
        exact = np.expm1(0.8 * math.sqrt(10)) / 3
        assert abs(tau.value - exact) < 4 * tau.standard_error + bias * exact


def test_what_is_killed_on_the_way_counts_with_its_share():
    tau = fp.exit_time(FREE, 0.5, [0.0], {"right": fp.HalfSpace([1], 1.0)}, 0.02, 20_000, killing=1.0,
                       progress=False)
    arrives = math.exp(-math.sqrt(2))
    assert abs(tau.probabilities["right"].value - arrives) < 4 * math.sqrt(arrives / 20_000)
    assert tau.probabilities["killed"].value == pytest.approx(1 - tau.probabilities["right"].value)
    assert abs(tau.value - (1 - arrives)) < 4 * tau.standard_error and "1" in tau.inputs["killing"]


def test_resetting_settles_in_the_state_of_the_density():
    D = fp.FokkerPlanck(PLANE, 0.5, fp.Grid(BOX, (40, 40)), force=TURN, resetting=(0.7, [1.2, 0.5]))
    state = D.stationary()
    run = fp.simulate(PLANE, 0.5, [1.2, 0.5], 0.05, 200, 30_000, force=TURN, resetting=(0.7, [1.2, 0.5]),
                      scheme="heun", progress=False)
    x, y = run.x.T
    for values, text in ((x, "x"), (y, "y"), (x * x, "x**2"), (x * y, "x*y"), (y * y, "y**2")):
        wanted = state.expectation(text)
        assert abs(values.mean() - wanted.value) < 4 * values.std() / math.sqrt(30_000) + wanted.error
    assert run.exit_time is None and run.inputs["resetting"] == [0.7, [1.2, 0.5]]
    stats = fp.sample(FREE, 0.5, [1.0], 0.05, 4000, 200, resetting=(2.0, [1.0]), progress=False,
                      observables={"away": lambda p: np.abs(p[:, 0] - 1.0)})
    away = stats.observables["away"]                              # of Laplace's law
    assert abs(away.value - 0.5) < away.error + 0.003 and stats.inputs["scheme"] == "euler-maruyama"


def test_the_bits_do_not_depend_on_threads_and_other_paths():
    options = dict(killing="0.3 + x**2", resetting=(1.0, [0.5]), progress=False, seed=4)
    one = fp.simulate(FREE, 0.5, [0.2], 0.05, 40, 300, n_threads=1, **options)
    two = fp.simulate(FREE, 0.5, [0.2], 0.05, 40, 500, n_threads=2, walls=[(-2, 2)], save_every=3, **options)
    inside = np.abs(one.x[:, 0]) < 1.0
    ask = lambda n: fp.exit_time(FREE, 0.5, [0.2], fp.HalfSpace([1], 1.0), 0.05, 300, n_threads=n, **options)
    a, b = ask(1), ask(2)
    assert np.array_equal(a.times, b.times) and np.array_equal(a.exit_sides, b.exit_sides)
    plain = fp.simulate(FREE, 0.5, [0.2], 0.05, 40, 500, n_threads=2, **options)
    assert np.array_equal(one.exit_time, plain.exit_time[:300], equal_nan=True)
    assert np.array_equal(one.x, plain.x[:300])
    assert np.mean(np.isclose(two.x[:300][inside], one.x[inside])) > 0.9


@pytest.mark.parametrize("options, message", [
    ({"scheme": "leimkuhler-matthews", "killing": 1.0}, "killing and resetting are known to"),
    ({"killing": -1.0}, "not negative"), ({"killing": lambda p: 1.0 if p[0, 0] > 0 else 2.0}, "formula"),
    ({"resetting": 2.0}, "must be"), ({"resetting": (0.0, [1.0])}, "rate of resetting"),
    ({"resetting": (1.0, [1.0, 2.0])}, "place of resetting"),
    ({"resetting": (1.0, [[1.0], [2.0]])}, "one point")])
def test_what_is_not_known_is_refused(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fp.simulate(FREE, 0.5, [0.0], 0.1, 10, 5, progress=False, **options)


def test_exit_times_refuse_what_they_do_not_know():
    for more in ({"reactivity": 1.0}, {"scheme": "baoab", "friction": 1.0}):
        with pytest.raises(ValueError, match="killing and resetting go with"):
            fp.exit_time(FREE, 0.5, [0.0], fp.HalfSpace([1], 1.0), 0.1, 10, killing=1.0,
                         progress=False, **more)
