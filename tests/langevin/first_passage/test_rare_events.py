"""Splitting and Fleming-Viot against exact answers. Seeds are fixed; intervals hold with 99.73 %."""
import pickle
import signal

import numpy as np
import pytest
from langevin_problems import KS_LIMIT, double_well
from scipy import stats

import fpkit as fp

WELL = double_well()
LEFT, RIGHT = fp.HalfSpace([-1], 0.9), fp.HalfSpace([1], 0.9)
FLAT, SIDES = fp.Potential("0*x"), [fp.HalfSpace([-1], 0.0), fp.HalfSpace([1], 1.0)]


def held(estimate, truth):
    low, high = estimate.interval
    return low <= truth <= high and abs(estimate.value - truth) <= estimate.error


@pytest.fixture(scope="module")
def cold():
    """A barrier of 20 theta."""
    return fp.multilevel_splitting(WELL, 0.05, LEFT, RIGHT, 0.005, 200, 16, x0=[-1.0], seed=2)


def well_time(theta):
    """Exact mean time -1 -> 0.9 by a plain double sum in one dimension."""
    y = np.linspace(-2.6, 0.9, 20001)
    h, f = y[1] - y[0], (y * y - 1) ** 2
    below = np.cumsum(np.exp(-f / theta)) * h
    start = np.searchsorted(y, -1.0)
    return float((np.exp(f[start:] / theta) * below[start:]).sum() * h / theta)


def test_splitting_reaches_the_exact_time_over_twenty_theta(cold):
    assert held(cold, well_time(0.05)) and cold.error < 0.6 * cold and cold.status == "ok"
    assert cold.n_steps < 1e-4 * cold.direct_steps
    direct = cold / 0.005 * (cold / cold.standard_error) ** 2
    assert abs(cold.direct_steps - direct) < 1e-6 * cold.direct_steps
    assert abs(cold - ((1 / cold.probability - 1) * cold.loop_time + cold.reactive_time)) < 1e-6 * cold
    assert held(cold.rate, 1 / cold.value) and len(cold.repeats) == 16


def test_splitting_agrees_with_direct_simulation_where_both_can(cold):
    direct = fp.exit_time(WELL, 0.25, [-1.0], RIGHT, 0.02, 4000, seed=3)
    split = fp.multilevel_splitting(WELL, 0.25, LEFT, RIGHT, 0.02, 100, 16, x0=[-1.0], seed=3)
    assert abs(split - direct) < np.hypot(split.error, direct.error) and split.error < 0.3 * split


@pytest.mark.parametrize("kind", ["table", "text", "function", "potential", "stairs"])
def test_any_reaction_coordinate_gives_the_same_time(kind):
    V = fp.Potential("(x**2 - 1)**2 + y**2")
    A, B = fp.Ball([-1, 0], 0.3), fp.Ball([1, 0], 0.3)
    grid = fp.Grid([(-2, 2), (-2, 2)], (40, 30))
    table = (grid, grid.points[..., 0] + 0.1 * grid.points[..., 1])
    given = {"table": table, "text": "x + 0.1*y", "function": lambda x, y: x - 0.05 * y**2,
             "potential": fp.Potential("a*x + 0*y", a=2.0), "stairs": (grid, np.floor(3 * table[1]))}[kind]
    tau = fp.multilevel_splitting(V, 0.15, A, B, 0.01, 60, 16, reaction_coordinate=given, seed=4)
    direct = fp.FokkerPlanck(V, theta=0.15, grid=fp.Grid([(-2, 2), (-2, 2)], (96, 96)))
    exact = eyring_free_time(direct)
    assert abs(tau - exact) < tau.error + 0.04 * exact, (tau, exact)


def eyring_free_time(D):
    """Mean time from (-1, 0) to the right ball on the grid, by one sparse solve with the chain's own
    generator."""
    from scipy.sparse.linalg import spsolve

    points = D.grid.points.reshape(-1, 2)
    outside = np.flatnonzero(fp.Ball([1, 0], 0.3).signed_distance(points) > 0)
    tau = spsolve(-D.generator.tocsr()[outside][:, outside].tocsc(), np.ones(outside.size))
    return float(tau[np.argmin(np.linalg.norm(points[outside] - [-1, 0], axis=1))])


def test_repeats_do_not_depend_on_threads_and_a_mobility_only_rescales_time():
    call = lambda **more: fp.multilevel_splitting(WELL, 0.15, LEFT, RIGHT, 0.01, 40, 6, x0=[-1.0], seed=5,
                                                  **more)
    one, two = call(n_threads=1), call(n_threads=2)
    assert np.array_equal(one.repeats, two.repeats)
    assert one.value == two.value
    assert one.interval == two.interval
    twice = fp.multilevel_splitting(WELL, 0.15, LEFT, RIGHT, 0.005, 40, 6, x0=[-1.0], seed=5, mobility=2.0)
    assert np.allclose(twice.repeats, one.repeats, rtol=1e-9) and abs(2 * twice.value / one.value - 1) < 1e-9
    again = pickle.loads(pickle.dumps(one))
    assert again == one and again.level == one.level and np.array_equal(again.repeats, one.repeats)


def test_splitting_extrapolates_in_the_time_step():
    tau = fp.multilevel_splitting(WELL, 0.15, LEFT, RIGHT, 0.02, 60, 8, x0=[-1.0], seed=6, extrapolate=True)
    assert held(tau, well_time(0.15)) and tau.inputs["dt_error"] > 0 and len(tau.levels) == 2
    assert tau.n_steps == sum(level.n_steps for level in tau.levels)


def test_a_bad_coordinate_shows_in_the_error_and_not_in_the_mean():
    """A coordinate that sends replicas across the well instead of out of it."""
    V = fp.Potential("(x**2 - 1)**2 + 0.5*y**2")
    A, B = fp.Ball([-1, 0], 0.3), fp.Ball([1, 0], 0.3)
    good = fp.multilevel_splitting(V, 0.2, A, B, 0.02, 60, 12, seed=7)
    bad = fp.multilevel_splitting(V, 0.2, A, B, 0.02, 60, 12, reaction_coordinate="x + y**2", seed=7)
    assert bad.error / bad > good.error / good and abs(bad - good) < np.hypot(bad.error, good.error)


def test_replicas_that_return_in_their_first_step_count_once():
    """Sigma right at the source: half of the replicas fall back at once. A second chance for them would
    double the time."""
    tau = fp.multilevel_splitting(WELL, 0.15, LEFT, RIGHT, 0.01, 100, 48, "x", x0=[-1.0], seed=8,
                                  level=-0.899)
    assert held(tau, well_time(0.15)) and tau.error < 0.3 * tau


@pytest.mark.parametrize("ends", [1, 4])
def test_ctrl_c_keeps_the_repeats_done(monkeypatch, ends):
    from fpkit.langevin.first_passage import splitting

    before, calls = splitting.splitting_repeat, []

    def pressed(*arguments):
        before(*arguments)
        n_replicas = arguments[1]
        calls.extend([1] * (n_replicas > 0))                    # the pilot run has none
        if n_replicas > 0 and len(calls) == ends:
            signal.raise_signal(signal.SIGINT)
    monkeypatch.setattr(splitting, "splitting_repeat", pressed)
    tau = fp.multilevel_splitting(WELL, 0.2, LEFT, RIGHT, 0.02, 20, 12, x0=[-1.0], n_threads=1)
    assert f"stopped by Ctrl-C after {ends} of 12" in tau.status and np.isfinite(tau.value) == (ends > 1)


BAD = {
    "inside out": (dict(x0=[0.0]), ValueError, "must lie in the source"),
    "no start": (dict(x0=None), ValueError, "x0 is needed"),
    "basin": (dict(source=fp.Basin(WELL, [-1.0])), ValueError, "source must be made of Ball, HalfSpace and "
              "Box"),
    "black box": (dict(potential=fp.Potential.black_box(WELL, WELL.gradient, ndim=1)), ValueError,
                  "needs a compiled potential"),
    "one repeat": (dict(n_repeats=1), ValueError, "n_repeats must be at least 4"),
    "no barrier": (dict(source=fp.HalfSpace([-1], 0.9), target=fp.HalfSpace([1], -0.85), theta=1.0),
                   ValueError, "arrive at once"),
    "coordinate": (dict(reaction_coordinate=3), TypeError, "reaction_coordinate must be a Field"),
    "coordinate shape": (dict(reaction_coordinate=(fp.Grid([(-2, 2)], 10), np.zeros(9))), ValueError,
                         "one value a cell"),
    "coordinate loop": (dict(reaction_coordinate=lambda x: 1.0 if x > 0 else 0.0), TypeError,
                        "Give its values on a grid"),
}


@pytest.mark.parametrize("changes, kind, message", BAD.values(), ids=BAD)
def test_wrong_calls_of_splitting_get_a_sentence(changes, kind, message):
    with pytest.raises(kind, match=message):
        fp.multilevel_splitting(**(dict(potential=WELL, theta=0.2, source=LEFT, target=RIGHT, dt=0.02,
                                        n_replicas=10, n_repeats=4, x0=[-1.0]) | changes))


@pytest.mark.slow
def test_intervals_of_splitting_and_of_fleming_viot_hold_over_many_seeds():
    """200 runs each, 2.7e-3 a miss: more than 4 by accident has the chance 3e-4. p itself is unbiased."""
    truth, rates = well_time(0.15), []
    for k in range(200):
        rates.append(fp.multilevel_splitting(WELL, 0.15, LEFT, RIGHT, 0.01, 40, 8, x0=[-1.0], seed=500 + k))
    assert sum(not held(tau, truth) for tau in rates) <= 4
    inverse = np.array([truth / tau.value for tau in rates])
    assert abs(inverse.mean() - 1) < 3.5 * inverse.std() / 200**0.5 + 0.015      # the bias of dt
    viot = [fp.fleming_viot(FLAT, 0.5, SIDES, [0.3], 1e-3, 100, t=2.0, n_systems=6, seed=k)
            for k in range(200)]
    assert sum(not held(k, 0.5 * np.pi**2) for k in viot) <= 4


# ---- Fleming-Viot ----

@pytest.fixture(scope="module")
def brownian():
    return fp.fleming_viot(FLAT, 0.5, SIDES, [0.3], 1e-3, 200, t=4.0, seed=1)


def test_the_rate_of_brownian_motion_is_the_dirichlet_eigenvalue(brownian):
    assert held(brownian, 0.5 * np.pi**2) and brownian.error < 0.06 * brownian and brownian.status == "ok"
    assert held(brownian.probabilities[0], 0.5) and brownian.hits > 10_000
    x = brownian.walkers.ravel()  # quasi-stationary density: pi/2 sin(pi x); walkers share ancestors
    assert stats.kstest(x, lambda v: 0.5 * (1 - np.cos(np.pi * v))).statistic < 3 * KS_LIMIT / x.size**0.5


def test_the_rate_in_a_disc_is_that_of_the_bessel_zero():
    V = fp.Potential("0*x + 0*y")
    k = fp.fleming_viot(V, 0.5, ~fp.Ball([0, 0], 1.0), [0.2, 0.0], 2e-3, 200, t=6.0, seed=2, extrapolate=True)
    assert held(k, 0.5 * 2.404825557695773**2) and k.error < 0.12 * k
    angle = np.arctan2(k.exit_points[:, 1], k.exit_points[:, 0]) / (2 * np.pi) + 0.5
    # siblings exit near one another
    assert stats.kstest(angle, "uniform").statistic * len(angle) ** 0.5 < 2 * KS_LIMIT


def test_the_rate_over_a_barrier_is_the_eigenvalue_of_the_grid():
    from scipy.linalg import eigvalsh_tridiagonal

    D = fp.FokkerPlanck(WELL, theta=0.3, grid=fp.Grid([(-2.4, 0.0)], 800))
    L = D.generator.toarray()
    w = np.exp(0.5 * D.log_mass)
    S = -(w[:, None] * L / w[None])
    h = D.grid.h[0]
    S[-1, -1] += 2 * 0.3 / h**2  # absorbing face at the top, half a cell from the last centre
    exact = eigvalsh_tridiagonal(np.diag(S), np.diag(S, 1), select="i", select_range=(0, 0))[0]
    k = fp.fleming_viot(WELL, 0.3, fp.HalfSpace([1], 0.0), [-1.0], 0.01, 200, t=60.0, seed=3,
                        extrapolate=True)
    assert held(k, exact) and k.error < 0.25 * k


def test_walkers_do_not_depend_on_threads_or_chunks(monkeypatch):
    from fpkit.langevin.runs import driving

    call = lambda n_threads: fp.fleming_viot(WELL, 0.4, fp.HalfSpace([1], 0.0), [-1.0], 0.01, 100, t=6.0,
                                             n_systems=6, seed=4, n_threads=n_threads)
    one = call(1)
    monkeypatch.setattr(driving, "CHUNK_SECONDS", 1e-6)
    two = call(2)
    for name in ("walkers", "exit_points", "exit_sides", "systems"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    assert one.value == two.value and "Fleming-Viot" in repr(one) and one.to_dict()["hits"] == one.hits


def test_nobody_arrives_gives_a_bound():
    k = fp.fleming_viot(WELL, 0.05, fp.HalfSpace([1], 0.0), [-1.0], 0.01, 50, t=4.0, n_systems=4)
    assert np.isnan(k.value)
    assert k.hits == 0
    assert k.status.startswith("no events")
    assert abs(k.interval[1] - 3 / k.exposure) < 1e-12


def test_a_transient_that_is_not_over_is_noticed():
    k = fp.fleming_viot(WELL, 0.4, fp.HalfSpace([1], 1.0), [-1.0], 0.01, 500, t=1.0, burn_in=0.0, n_systems=8)
    assert "the transient is not over" in k.status


BAD_VIOT = {
    "no time": (dict(t=None), ValueError, "t is needed"),
    "short": (dict(t=0.1), ValueError, "leaves less than 40 steps"),
    "inside": (dict(x0=[1.5]), ValueError, "lies inside the target"),
    "basin": (dict(target=fp.Basin(WELL, [1.0])), ValueError, "target must be made of Ball"),
    "walkers": (dict(n_walkers=1), ValueError, "n_walkers must be at least 2"),
    "cold": (dict(theta=0.0), ValueError, "theta must be positive"),
}


@pytest.mark.parametrize("changes, kind, message", BAD_VIOT.values(), ids=BAD_VIOT)
def test_wrong_calls_of_fleming_viot_get_a_sentence(changes, kind, message):
    with pytest.raises(kind, match=message):
        fp.fleming_viot(**(dict(potential=WELL, theta=0.3, target=RIGHT, x0=[-1.0], dt=0.01, n_walkers=10,
                                t=5.0, n_systems=4) | changes))


def test_the_bias_of_few_walkers_is_part_of_the_interval(monkeypatch):
    from fpkit.langevin.first_passage import fleming_viot as module

    run = lambda: fp.fleming_viot(FLAT, 0.5, SIDES, [0.3], 1e-3, 20, t=1.0, seed=1)
    with_bias = run()
    bias = module.BIAS / 20 * with_bias.value
    monkeypatch.setattr(module, "BIAS", 0.0)
    without = run()
    assert with_bias.interval[1] - without.interval[1] == pytest.approx(bias, rel=1e-9) and bias > 0
    assert without.interval[0] - with_bias.interval[0] == pytest.approx(min(bias, without.interval[0]),
                                                                        rel=1e-9)


def test_the_limit_of_steps_has_its_whole_correction_in_its_interval():
    from fpkit.langevin.first_passage.results import PassageEstimate, limit_of_steps

    a, b = (PassageEstimate(v, (v - 0.1, v + 0.2), "a", standard_error=0.05) for v in (1.0, 1.3))
    value, (low, high), standard, shift = limit_of_steps(a, b, 1)
    assert value == pytest.approx(1.6) and shift == pytest.approx(0.3)
    assert high - value == pytest.approx(np.hypot(2 * 0.2, 0.1) + 0.3)
    assert value - low == pytest.approx(np.hypot(2 * 0.1, 0.2) + 0.3)
    assert standard == pytest.approx(np.hypot(2 * 0.05, 0.05))
