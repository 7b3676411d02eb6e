"""Targets that absorb in part (Robin): slab and disc beside their closed forms."""
import numpy as np
import pytest

import fpkit as fp

FLAT, PLANE = fp.Potential("0*x"), fp.Potential("0*x + 0*y")


@pytest.mark.parametrize("seed, dt", [(1, 0.01), (2, 0.1)])
def test_slab_is_exact_at_any_step(seed, dt):
    """A mirror at L and kappa at 0: tau(x) = L/kappa + (L x - x^2/2)/theta, whatever the step."""
    rng = np.random.default_rng(seed)
    kappa, theta, L, x, n = rng.uniform(0.5, 3), rng.uniform(0.3, 1), 1.0, rng.uniform(0.1, 0.9), 3000
    tau = fp.exit_time(FLAT, theta, [x], fp.HalfSpace([-1], 0.0), dt, n, seed, walls=[(-np.inf, L)],
                       reactivity=kappa)
    exact = L / kappa + (L * x - x * x / 2) / theta
    assert tau.hits == n
    assert abs(tau - exact) < tau.error + dt / 2
    assert tau.error < 0.1 * exact


def test_slab_with_a_drift_towards_the_wall():
    """Drift -v: theta tau'' - v tau' = -1, theta tau'(0) = kappa tau(0), tau'(L) = 0."""
    v, theta, kappa, L, x = 0.8, 0.4, 0.7, 1.5, 0.6
    c = np.exp(-v * L / theta)
    slope = (1 - c) / v                                           # tau'(0)
    exact = theta * slope / kappa + x / v - c * theta / v ** 2 * np.expm1(v * x / theta)
    tau = fp.exit_time(FLAT, theta, [x], fp.HalfSpace([-1], 0.0), 0.02, 3000, 3, walls=[(-np.inf, L)],
                       force=str(-v), reactivity=kappa)
    assert abs(tau - exact) < tau.error + 0.02


def test_reactivity_runs_from_a_mirror_to_an_absorbing_wall():
    ends = {"left": fp.HalfSpace([-1], 0.0), "right": fp.HalfSpace([1], 1.0)}
    rest = dict(theta=0.5, x0=[0.4], target=ends, dt=2e-3, n_paths=2000, seed=5)
    absorbing = fp.exit_time(FLAT, **rest)
    limit = fp.exit_time(FLAT, **rest, reactivity=np.inf)
    assert abs(limit - absorbing) < 1.5 * (limit.error + absorbing.error)
    mirror = fp.exit_time(FLAT, **rest, reactivity={"left": 0.0, "right": np.inf})
    assert mirror.probabilities["right"] == 1.0
    assert abs(mirror - (1 - 0.4 ** 2) / (2 * 0.5)) < mirror.error
    both = fp.exit_time(FLAT, **rest, reactivity=[1.0, 4.0])
    # tau'' = -1/theta with theta tau'(0) = k1 tau(0), -theta tau'(1) = k2 tau(1); the same for the share
    A = np.array([[-1.0, 0.5], [4.0, 4.0 + 0.5]])                # tau = a + b x - x^2/(2 theta)
    a, b = np.linalg.solve(A, [0.0, 1.0 + 4.0 / (2 * 0.5)])
    assert abs(both - (a + 0.4 * b - 0.16)) < both.error + 1e-3
    a, b = np.linalg.solve(A, [0.0, 4.0])
    assert abs(both.probabilities["right"] - (a + 0.4 * b)) < both.probabilities["right"].error


def test_disc_is_approached_with_weak_order_one():
    """Inside a disc of radius R: tau(r) = R/(2 kappa) + (R^2 - r^2)/(4 theta)."""
    R, theta, kappa = 1.0, 0.5, 1.5
    exact = R / (2 * kappa) + (R * R - 0.25) / (4 * theta)
    misses = []
    for dt, n in ((0.08, 3000), (0.02, 3000)):
        tau = fp.exit_time(PLANE, theta, [0.5, 0.0], ~fp.Ball([0, 0], R), dt, n, 7, reactivity=kappa)
        assert np.allclose(np.hypot(*tau.exit_points.T), R, atol=1e-6)
        misses.append(abs(tau - exact) - tau.error)
    assert misses[0] < 0.6 * 0.08
    assert misses[1] < 0.6 * 0.02


def test_oblique_mobility_is_reflected_along_the_conormal():
    """A half-space with a full M: only the part across the wall decides, theta n'Mn in place of theta."""
    M = np.array([[1.0, 0.6], [0.6, 0.8]])
    tau = fp.exit_time(PLANE, 0.5, [0.4, 0.0], fp.HalfSpace([-1, 0], 0.0), 0.02, 3000, 2,
                       walls=[(-np.inf, 1.0), (-np.inf, np.inf)], mobility=[1.0, 0.8], reactivity=2.0)
    exact = 1 / 2.0 + (0.4 - 0.08) / 0.5
    assert abs(tau - exact) < tau.error + 0.01
    full = fp.exit_time(PLANE, 0.5, [0.4, 0.0], fp.HalfSpace([-1, 0], 0.0), 0.02, 2000, 2, mobility=M,
                        force="(-1, 0)", reactivity=2.0)
    # across the wall a drift of -1; without a far wall tau = theta/(v kappa) + x/v
    assert abs(full - (0.5 / 2.0 + 0.4)) < full.error + 0.01
    assert full.error < 0.1


def test_reactivities_that_make_no_sense_are_refused():
    rest = dict(theta=0.5, x0=[0.5], target=fp.HalfSpace([-1], 0.0), dt=0.01, n_paths=10)
    with pytest.raises(ValueError, match="reactivity must not be negative"):
        fp.exit_time(FLAT, **rest, reactivity=-1.0)
    with pytest.raises(ValueError, match="one for each of 1 targets"):
        fp.exit_time(FLAT, **rest, reactivity=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="euler-maruyama"):
        fp.exit_time(FLAT, **rest, scheme="baoab", friction=1.0, reactivity=1.0)
