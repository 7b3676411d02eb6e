"""Networks of wells: elimination against extended precision, and the spectrum of separable potentials."""
import math

import numpy as np
import pytest

import fpkit as fp
from fpkit.core import networks as elimination

LOG10 = math.log(10)


def random_network(seed, n, spread):
    rng = np.random.default_rng(seed)
    log_m, log_c = rng.normal(0, spread, n), rng.normal(0, spread, (n, n))
    return (log_c + log_c.T) / 2, log_m


@pytest.fixture
def mp():
    """mpmath with 800 digits."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(800):
        yield mpmath


def laplacian(mp, log_c, log_m):
    """The symmetrised generator in 800 digits."""
    n = len(log_m)
    K = mp.zeros(n)
    for i in range(n):
        for j in range(n):
            if i != j:
                K[i, j] = -mp.e ** (mp.mpf(log_c[i, j]) - (mp.mpf(log_m[i]) + mp.mpf(log_m[j])) / 2)
                K[i, i] += mp.e ** (mp.mpf(log_c[i, j]) - mp.mpf(log_m[i]))
    return K


@pytest.mark.parametrize("n, spread", [(3, 2), (5, 20), (6, 100)])
def test_eigenvalues_of_any_spread_agree_with_extended_precision(mp, n, spread):
    for seed in range(3):
        log_c, log_m = random_network(seed, n, spread)
        exact = [float(mp.log(e)) for e in sorted(mp.eigsy(laplacian(mp, log_c, log_m),
                                                           eigvals_only=True))[1:]]
        np.testing.assert_allclose(elimination.log_eigenvalues(log_c, log_m), exact, rtol=0, atol=3e-13)


def test_passage_times_agree_with_extended_precision(mp):
    log_c, log_m = random_network(7, 6, 60)
    times = elimination.log_hitting(log_c - log_m[:, None], [2], np.zeros(6))
    keep = [0, 1, 3, 4, 5]
    A = mp.matrix(5, 5)
    for a, i in enumerate(keep):
        for b, j in enumerate(keep):
            if i != j:
                A[a, b] = -mp.e ** (mp.mpf(log_c[i, j]) - mp.mpf(log_m[i]))
        A[a, a] = sum(mp.e ** (mp.mpf(log_c[i, j]) - mp.mpf(log_m[i])) for j in range(6) if j != i)
    exact = mp.lu_solve(A, mp.ones(5, 1))
    np.testing.assert_allclose(times[keep], [float(mp.log(t)) for t in exact], atol=1e-12)
    assert times[2] == -np.inf


def test_committors_of_both_directions_add_to_one():
    log_c, log_m = random_network(3, 7, 8)
    log_k = log_c - log_m[:, None]
    q, p = elimination.log_committor(log_k, [0, 1], [4]), elimination.log_committor(log_k, [4], [0, 1])
    np.testing.assert_allclose(np.exp(q) + np.exp(p), 1.0, rtol=1e-13)
    assert q[4] == 0 and (q[:2] == -np.inf).all()


def test_states_without_a_way_to_the_target_wait_for_ever():
    log_c = np.full((3, 3), -np.inf)
    log_c[0, 1] = log_c[1, 0] = 0.0
    assert elimination.log_hitting(log_c, [0], np.zeros(3)).tolist() == [-np.inf, 0.0, np.inf]
    assert len(elimination.log_eigenvalues(log_c, np.zeros(3))) == 1


FOUR = "(x**2 - 1)**2 + 0.3*x + 1.3*(y**2 - 1)**2 - 0.2*y"


@pytest.fixture(scope="module")
def four_wells():
    V = fp.Potential(FOUR)
    return V, fp.critical_points(V, [(-1.5, 1.5)] * 2)


@pytest.mark.parametrize("theta, slopes", [(0.2, (0.389, 0.543)), (0.025, (0.323, 0.478)),
                                           (0.008, (0.317, 0.465))])
def test_the_four_well_network_has_the_known_error_over_theta(four_wells, theta, slopes):
    V, points = four_wells
    gaps = [fp.FokkerPlanck(fp.Potential(f), theta=theta, grid=fp.Grid([(-2, 2)], 60)).spectrum(2)[1].log10
            * LOG10 for f in ("(x**2 - 1)**2 + 0.3*x", "1.3*(x**2 - 1)**2 - 0.2*x")]
    exact = sorted([*gaps, float(np.logaddexp(*gaps))])
    for order, bounds in (("leading", slopes), ("next", (0.08, 0.08))):
        values = fp.well_network(V, theta, points=points, order=order).eigenvalues
        for k, (e, bound) in enumerate(zip(values, bounds)):
            miss = math.expm1(e.log10 * LOG10 - exact[k])
            assert abs(miss) < e.relative_error
            if order == "leading":
                assert miss / theta == pytest.approx(bound, abs=0.0015)
            else:
                assert abs(miss) / theta < bound


def test_the_network_obeys_its_laws(four_wells):
    V, points = four_wells
    N = fp.well_network(V, 0.05, points=points)
    assert N.n_states == 4 and N.stationary.sum() == pytest.approx(1, rel=1e-14)
    pi = np.exp(N.log_mass)
    k = np.exp(N.log_rates)
    np.testing.assert_allclose(pi[:, None] * k, (pi[:, None] * k).T, rtol=1e-13)  # detailed balance
    there, back = N.committor(1, 0, 3), N.committor(1, 3, 0)
    assert there + back == pytest.approx(1, abs=1e-12)
    assert N.mfpt(0, 3) == pytest.approx(1 / N.escape_rate(0, 3), rel=1e-12)
    assert [row[0] for row in N.hierarchy] == [1, 2, 3] or len(N.hierarchy) == 3
    assert "slow eigenvalues" in repr(N) and "network of 4 wells" in repr(N)
    assert N.state_of([-1.0, 1.0]) == 0


def test_wells_shallower_than_three_theta_are_merged_and_named():
    V = fp.catalogue.rugged()
    N = fp.well_network(V, 0.1)
    assert N.n_states == 2 and "shallow-well" in N.guard.codes and sum(len(s)
                                                                       for s in N.states) == len(V.minima)
    with pytest.raises(ValueError, match="one state"):
        N.rate(0, N.states[0][1])


def test_networks_below_the_range_of_doubles_keep_their_logarithms(four_wells):
    V, points = four_wells
    N = fp.well_network(V, 5e-4, points=points)
    assert N.eigenvalues[0].log10 == pytest.approx(-960.44, abs=0.01) and N.eigenvalues[0] == 0.0
    assert N.mfpt(0, 3).log10 > 1000 and N.mfpt(0, 3).relative_error < 1e-3


def test_two_gates_in_series_halve_and_two_beside_each_other_double():
    V, theta = fp.catalogue.triple_well(), 0.05
    N = fp.well_network(V, theta)
    one = N.rate(0, 1)
    # from the left to the right over a middle well of half the width: 1/cap adds, so half of the way back is
    # lost
    assert N.escape_rate(0, 2) == pytest.approx(1 / (2 / one + 1 / N.rate(1, 2)), rel=0.5)
    exact = 1 / fp.FokkerPlanck(V, theta=theta,
                                grid=fp.Grid(V.box, 60)).mfpt(fp.HalfSpace([1], 1.0)).at([-1.0])
    k = N.escape_rate(0, 2)
    assert abs(k / exact - 1) < k.relative_error


@pytest.mark.parametrize("make, sentence", [
    (lambda N, V: N.rate(0, 9), "there are 4 wells"), (lambda N, V: N.rate(0, 0), "one state"),
    (lambda N, V: fp.well_network(V, 0.0), "theta must be positive"),
    (lambda N, V: fp.well_network(V, 0.1), "bounds are needed"),
    (lambda N, V: fp.well_network(V, 0.1, order="third"), "order 'third' is unknown")])
def test_wrong_questions_get_one_sentence(four_wells, make, sentence):
    V, points = four_wells
    with pytest.raises((ValueError, TypeError), match=sentence):
        make(fp.well_network(V, 0.05, points=points), V)
