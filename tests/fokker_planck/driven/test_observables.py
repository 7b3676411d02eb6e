"""Correlations and observables over time against the Ornstein-Uhlenbeck process."""
import numpy as np
import pytest
import scipy.linalg as la
from scipy import special

import fpkit as fp

K, D = np.array([[1.0, 0.8], [-0.6, 1.3]]), np.diag([1.0, 0.4])
S = la.solve_continuous_lyapunov(K, 2 * D)


def gyrator(n):
    drift = lambda x, y: (-K[0, 0] * x - K[0, 1] * y, -K[1, 0] * x - K[1, 1] * y)
    grid = fp.Grid([(-5.5 * s, 5.5 * s) for s in np.sqrt(np.diag(S))], (n, n))
    return fp.FokkerPlanck(fp.Diffusion.from_sde(drift, np.diag(D)), grid=grid)


def test_the_correlation_of_a_driven_coordinate_is_that_of_the_matrix_exponential():
    F, times = gyrator(20), np.array([0.0, 0.4, 1.5])
    C = F.autocorrelation("y", times)
    exact = np.array([(la.expm(-K * t) @ S)[1, 1] for t in times])
    assert (np.abs(C.values - exact) <= C.error).all() and (C.error < 0.05 * S[1, 1]).all()
    assert abs(C.variance - S[1, 1]) <= C.variance.error and abs(C.mean) <= C.mean.error + 1e-9


def test_the_power_spectrum_is_the_lorentzian_of_the_matrix():
    F, w = gyrator(20), np.array([0.0, 0.7, 3.0])
    P = F.power_spectrum(lambda x, y: x, w)
    exact = np.array([2 * np.real(np.linalg.inv(1j * a * np.eye(2) + K) @ S)[0, 0] for a in w])
    assert (np.abs(P.values - exact) <= P.error).all() and (P.error < 0.05 * exact[0]).all()


def test_a_reversible_process_has_correlations_too():
    F = fp.FokkerPlanck(fp.Potential("x**2/2"), 0.5, fp.Grid([(-6, 6)], 64))
    C, P = F.autocorrelation("x**2", [0.0, 1.0]), F.power_spectrum("x", [0.0, 2.0])
    assert (np.abs(C.values - 0.5 * np.exp(-2 * C.at)) <= C.error).all()
    assert (np.abs(P.values - 1 / (1 + P.at**2)) <= P.error).all()


def test_observables_of_an_evolution_keep_their_errors():
    F = fp.FokkerPlanck(fp.Potential("x**2/2 + y**2"), 0.5, fp.Grid([(-5, 5), (-4, 4)], (48, 40)))
    run = F.evolve(([1.0, 0.3], 0.5), [0.3, 1.0])
    for t, m, v, right in zip(run.times, run.expectation("x"), run.variance("x"),
                              run.occupation(fp.HalfSpace([1, 0], 0.0))):
        spread = 0.25 * np.exp(-2 * t) + 0.5 * -np.expm1(-2 * t)
        assert abs(m - np.exp(-t)) <= m.error < 0.1
        assert abs(v - spread) <= v.error < 1.0
        chance = 0.5 * (1 + special.erf(np.exp(-t) / np.sqrt(2 * spread)))
        assert abs(right - chance) <= right.error < 0.1


@pytest.mark.parametrize("ask, words", [
    (lambda F: F.autocorrelation("x", [1.0, 0.5]), "increase"),
    (lambda F: F.power_spectrum("x", [-1.0]), "negative"),
    (lambda F: F.autocorrelation("(x, y)", [1.0]), "one by one"),
    (lambda F: F.killed(fp.HalfSpace([1, 0], 1.0)).autocorrelation("x", [1.0]), "stationary process")])
def test_what_has_no_correlation_says_so(ask, words):
    with pytest.raises(ValueError, match=words):
        ask(gyrator(8))


@pytest.mark.parametrize("seed", [2, 52, 104])
def test_the_errors_of_spectra_and_variances_hold_where_the_potential_has_a_kink(seed):
    """A kink lies elsewhere in the cells of each grid, so that their differences may be small by chance."""
    rng = np.random.default_rng(seed)
    theta, n, kink = rng.uniform(0.1, 1), int(rng.integers(24, 120)), rng.uniform(-0.8, 0.8)
    a, b = rng.uniform(0.5, 1.5), rng.uniform(0.1, 0.4)
    V = fp.Potential(f"{a}*abs(x - {kink}) + {b}*x**2")
    found, fine = (fp.FokkerPlanck(V, theta, fp.Grid([(-3, 3)], m)).power_spectrum("x", [0.5, 2.0])
                   for m in (n, 10 * n))
    x = kink + np.concatenate([-np.geomspace(3 + kink, 1e-9, 100_001), np.geomspace(1e-9, 3 - kink, 100_001)])
    p = np.exp(-(a * np.abs(x - kink) + b * x**2) / theta)
    mean = np.trapezoid(x * p, x) / np.trapezoid(p, x)
    variance = np.trapezoid((x - mean) ** 2 * p, x) / np.trapezoid(p, x)
    assert abs(found.variance - variance) <= found.variance.error
    assert (np.abs(found.values - fine.values) <= found.error + fine.error).all()
