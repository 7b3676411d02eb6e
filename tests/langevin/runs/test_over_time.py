"""Quantities over time from paths, beside the closed forms of Euler's Ornstein-Uhlenbeck chain."""
import numpy as np
import pytest

import fpkit as fp

K, THETA, DT = 0.8, 0.5, 0.05
V = fp.Potential("0.4*x**2")
PHI = 1 - K * DT                                             # x' = PHI x + sqrt(2 theta dt) z
STATIONARY = 2 * THETA * DT / (1 - PHI ** 2)


@pytest.fixture(scope="module")
def run():
    return fp.simulate(V, THETA, [1.0], DT, 600, 400, save_every=2, seed=3)


def kept(series, exact):
    """Within the error bounds, which are of level 99.73 %: a few entries of many correlated ones may miss."""
    return np.mean(abs(series.values - exact) <= series.errors) > 0.95 and (
        abs(series.values - exact) <= 1.8 * series.errors).all()


def test_mean_and_variance_follow_the_chain(run):
    k = np.round(run.times / DT)
    variance = STATIONARY * (1 - PHI ** (2 * k))
    assert kept(run.expectation(), PHI ** k)
    assert kept(run.expectation(lambda x: x[:, 0] ** 2), PHI ** (2 * k) + variance)
    assert kept(run.variance(), variance)
    msd = run.mean_square_displacement()
    assert kept(msd, (1 - PHI ** k) ** 2 + variance)
    assert run.expectation()[4].error > 0
    assert "expectation over time" in repr(run.expectation())
    assert list(run.variance()._columns()) == ["time", "value", "error"]


def test_autocorrelation_and_spectrum_of_the_stationary_chain(run):
    c = run.autocorrelation(burn_in=6.0)
    lag = np.round(c.times / DT)
    exact = STATIONARY * PHI ** lag
    assert kept(type(c)(c.times[:60], c.values[:60], c.errors[:60], "c"), exact[:60])
    ratio = run.autocorrelation(burn_in=6.0, normalised=True)
    assert ratio.values[0] == pytest.approx(1.0)
    assert kept(type(c)(c.times[1:60], ratio.values[1:60], ratio.errors[1:60], "c"), PHI ** lag[1:60])
    s = run.power_spectrum(burn_in=6.0)
    phi, step = PHI ** 2, 2 * DT                             # every second step is saved
    turn = np.cos(2 * np.pi * s.times * step)
    exact = 2 * step * STATIONARY * (1 - phi ** 2) / (1 + phi ** 2 - 2 * phi * turn)
    # Hann's window smears over three frequencies: compare where the spectrum is flat on that scale
    assert kept(type(s)(s.times[5:], s.values[5:], s.errors[5:], "s"), exact[5:])
    assert abs(s.values.sum() / exact.sum() - 1) < 0.05


def test_lagged_displacements_of_a_free_path_grow_in_proportion_and_pass_the_seam():
    ring = fp.Grid([(0, 1)], shape=10, periodic=True)
    rest = (fp.Potential("0*x"), 0.5, [0.5], 1e-3, 2000, 300)
    free = fp.simulate(*rest, walls=ring, save_every=10, seed=1)
    msd = free.mean_square_displacement()
    assert kept(msd, 2 * 0.5 * msd.times)
    lagged = free.mean_square_displacement(lags=True)
    assert kept(lagged, 2 * 0.5 * lagged.times)
    assert lagged.errors[1] < msd.errors[1]
    coarse = fp.simulate(*rest, walls=ring, save_every=1000, seed=1)
    with pytest.raises(ValueError, match="more than half a period"):
        coarse.mean_square_displacement()


def test_occupation_and_marginal_have_errors_that_the_truth_keeps(run):
    from scipy.stats import norm
    right = run.occupation(fp.HalfSpace([1], 0.5))
    k = np.round(run.times / DT)
    spread = np.sqrt(np.maximum(STATIONARY * (1 - PHI ** (2 * k)), 1e-300))
    assert kept(right, norm.sf((0.5 - PHI ** k) / spread))
    grid = fp.Grid([(-3, 3)], shape=24)
    p = run.marginal(0, grid)
    exact = np.diff(norm.cdf(grid.edges[0] / np.sqrt(STATIONARY))) / grid.volumes
    assert (abs(p.values - exact) <= p.error).mean() > 0.9
    assert run.marginal(0, 15).values.shape == (15,)


def test_what_the_saved_paths_do_not_hold_is_refused(run):
    ends = fp.simulate(V, THETA, [1.0], DT, 10, 5)
    with pytest.raises(ValueError, match="save_every"):
        ends.expectation()
    with pytest.raises(ValueError, match="no coordinate"):
        run.expectation(3)
    with pytest.raises(ValueError, match="at least 8"):
        run.autocorrelation(burn_in=29.9)
    with pytest.raises(ValueError, match="shape"):
        run.expectation(lambda x: x)
