"""Intervals of first-passage results against laws with known means. Chance of failing by accident is stated
where a test is one of chance; seeds are fixed."""
import math

import numpy as np
import pytest
from scipy.special import gamma

import fpkit as fp
from fpkit.langevin.first_passage.fleming_viot import BIAS, _result
from fpkit.langevin.first_passage.results import (
    FEW,
    ExitTime,
    PassageEstimate,
    exit_time_of,
    extrapolated,
    interval_of_mean,
    limit_of_steps,
)
from fpkit.langevin.first_passage.targets import Targets


def seen(times, end):
    """The ExitTime of paths that are watched up to `end`."""
    is_hit = times <= end
    return exit_time_of(np.minimum(times, end), np.where(is_hit, 0, -1), np.zeros((times.size, 1)), (0,),
                        "test", {})


LAWS = {
    "exponential": lambda rng, n: (rng.exponential(2.0, n), 2.0),
    "gamma": lambda rng, n: (rng.gamma(3.0, 1.0, n), 3.0),
    "Weibull": lambda rng, n: (rng.weibull(0.8, n), gamma(1 + 1 / 0.8)),
    "delayed": lambda rng, n: (0.5 + rng.exponential(1.0, n), 1.5),
    "two wells": lambda rng, n: (np.where(rng.random(n) < 0.7, rng.exponential(1.0, n),
                                          rng.exponential(50.0, n)), 15.7),
    "drift": lambda rng, n: (rng.wald(20.0, 1.0, n), 20.0),
    "free Brownian motion": lambda rng, n: (1 / rng.standard_normal(n) ** 2, math.inf),
}


@pytest.mark.parametrize("name", LAWS)
def test_a_censored_interval_holds_the_mean_or_is_one_sided_or_says_what_it_assumes(name):
    rng, silent = np.random.default_rng(7), 0
    for _ in range(40):
        times, mean = LAWS[name](rng, int(10 ** rng.uniform(2, 4)))
        tau = seen(times, np.quantile(times, rng.uniform(0.5, 0.99)))
        assert tau.n_censored > 0
        low, high = tau.interval
        silent += tau.status == "ok"
        assert low <= mean <= high or "take the rate of arrivals to go on" in tau.status
    if name in ("exponential", "gamma"):
        assert silent > 5                                        # not by refusing everything


def test_brownian_motion_to_a_half_line_has_no_mean_and_says_so():
    for k in range(10):
        times = 1 / np.random.default_rng(k).standard_normal(2000) ** 2
        for end in (math.inf, 1000.0, 50.0):
            tau = seen(times, min(end, times.max()))
            assert tau.interval[1] == math.inf and "infinite" in tau.status and tau.interval[0] <= tau.value


def test_a_mirror_far_away_is_not_forgotten_by_the_interval():
    V, L = fp.Potential("0*x"), 100.0
    tau = fp.exit_time(V, 1.0, [1.0], fp.HalfSpace([-1], 0.0), 1.0, 2000, t_max=1000.0, walls=[(-1, L)])
    assert tau.n_censored > 0 and tau.interval[0] <= L - 0.5 <= tau.interval[1] == math.inf
    assert "one-sided" in tau.status


def test_uncensored_exponential_times_are_not_taken_for_a_heavy_tail():
    for k in range(50):
        tau = seen(np.random.default_rng(k).exponential(1.0, 200), math.inf)
        assert tau.status == "ok" and tau.interval[0] <= 1.0 <= tau.interval[1]


def test_the_interval_of_a_mean_is_not_too_wide_nor_too_narrow():
    """Three standard errors: of 4000 intervals about 11 miss; half as wide, about 500 would (chance 1e-6)."""
    rng, misses = np.random.default_rng(3), 0
    for _ in range(4000):
        times = rng.exponential(1.0, 100)
        low, high = interval_of_mean(times.mean(), 1 / 100, 100)
        misses += not low <= 1.0 <= high
    assert misses < 40


def test_shares_of_targets_leave_room_for_the_paths_that_have_not_arrived():
    durations, sides = np.full(1000, 1.0), np.repeat([0, 1, -1], [300, 300, 400])
    tau = exit_time_of(durations, sides, np.zeros((1000, 1)), ("a", "b"), "test", {})
    low, high = tau.probabilities["a"].interval
    assert low <= 0.3 and high >= 0.7


def estimate(value, half):
    return PassageEstimate(value, (value - half, value + half), "test", standard_error=half / 3)


@pytest.mark.parametrize("order", [0.5, 1])
def test_the_whole_correction_of_an_extrapolation_is_in_its_interval(order):
    """A bias c dt^order + e dt^(order + 1) with e dt < c: what is left stays below the correction."""
    rng = np.random.default_rng(11)
    for _ in range(100):
        truth, c, half = rng.uniform(1, 2), rng.uniform(-1, 1), 10 ** rng.uniform(-6, -2)
        bias = lambda dt, c=c: c * dt**order
        a, b = estimate(truth + bias(0.1), half), estimate(truth + bias(0.05), half)
        value, (low, high), _, shift = limit_of_steps(a, b, order)
        factor = 1 / (2**order - 1)
        assert abs(value - truth) < 1e-12 + 1e-9 and abs(shift - factor * abs(b - a)) < 1e-12
        assert math.isclose(high - value, math.hypot((1 + factor) * half, factor * half) + shift,
                            rel_tol=1e-9)
        assert math.isclose(value - low, high - value, rel_tol=1e-9)


def test_an_extrapolated_exit_time_covers_a_next_order_as_large_as_the_correction():
    """With bias c dt + e dt^2, e dt = c, the limit misses by the half of the correction: it must be
    inside."""
    common = dict(standard_error=1e-9, times=np.ones(100), is_censored=np.zeros(100, bool), probabilities={},
                  exit_points=np.zeros((100, 1)), exit_sides=np.zeros(100, int), variance=1.0, hits=100,
                  n_censored=0,
                  exposure=100.0, levels=None)
    inputs = {"scheme": "test", "n_paths": 100}
    truth, c, dt = 3.0, 0.2, 1.0
    f = lambda h: truth + c * h + 0.9 * c * h * h
    a, b = (ExitTime(f(h), (f(h) - 3e-9, f(h) + 3e-9), "m", None, "ok", {**inputs, "dt": h}, **common)
            for h in (dt, dt / 2))
    tau = extrapolated(a, b, 1)
    assert tau.interval[0] <= truth <= tau.interval[1]
    assert not abs(tau.value - truth) <= 0.25 * tau.error        # a fourth of the error would not do


def test_the_bias_of_a_finite_system_is_in_the_interval_of_its_rate():
    rng, n_walkers, dt = np.random.default_rng(5), 50, 0.01
    kills = rng.poisson(40, (16, 20))
    targets = Targets(fp.HalfSpace([1], 0.0), 1)
    one = lambda n: _result(targets, kills, np.zeros((16, 4096, 1)), np.zeros((16, 4096), np.int64),
                            np.zeros((16, n, 1)), 20_000, dt, {}, "")
    rate = one(n_walkers)
    systems = -np.log1p(-kills.sum(1) / (n_walkers * 20_000)) / dt
    assert np.array_equal(rate.systems, systems)
    least = 3 * systems.std(ddof=1) / 4 + BIAS / n_walkers * rate.value
    assert rate.interval[1] - rate.value >= least * (1
                                                     - 1e-12) and rate.value - rate.interval[0] >= 0.9 * least


def test_the_mean_of_censored_exponential_times_is_exposure_over_arrivals():
    rng = np.random.default_rng(2)
    misses = 0
    for _ in range(50):
        times = rng.exponential(3.0, 2000)
        tau = seen(times, 2.0)
        assert math.isclose(tau.value, np.minimum(times, 2.0).sum() / (times <= 2.0).sum(), rel_tol=1e-12)
        misses += abs(tau.value - 3.0) > 4 * tau.standard_error
        assert math.isclose(tau.standard_error, tau.value / tau.hits**0.5, rel_tol=0.35) and tau.hits > FEW
    assert misses == 0
