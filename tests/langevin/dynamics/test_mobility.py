"""Mobilities keep the Gibbs distribution: constant ones by their root, those of the place with the Ito drift.
KS limits are 1e-3 by accident."""
import numpy as np
import pytest
from langevin_problems import KS_LIMIT, distance_to_gibbs, double_well

import fpkit as fp

N = 20000
M = [[2.0, 0.6], [0.6, 0.5]]


@pytest.mark.parametrize("scheme", ["euler-maruyama", "leimkuhler-matthews", "heun", "mala"])
def test_a_constant_matrix_keeps_gibbs(scheme):
    V = fp.Potential("(x**2 - 1)**2 + 0.5*y**2")                 # the marginals are those of the two terms
    start = np.stack([np.where(np.arange(N) % 2, 1.0, -1.0), np.zeros(N)], axis=1)
    run = fp.simulate(V, 0.3, start, 0.003, 2500, scheme=scheme, mobility=M, seed=31)
    assert distance_to_gibbs(run.x[:, 0], lambda x: (x * x - 1) ** 2, 0.3, -3, 3) < KS_LIMIT
    assert distance_to_gibbs(run.x[:, 1], lambda x: 0.5 * x * x, 0.3, -5, 5) < KS_LIMIT


def test_one_step_spreads_with_the_covariance_of_the_matrix():
    run = fp.simulate(fp.Potential("a*x + 0*y", a=1.0), 0.5, [0.0, 0.0], 0.1, 1, 100_000, mobility=M, seed=32)
    assert abs(run.x.mean(0) - [-0.2, -0.06]).max() < 0.005
    assert abs(np.cov(run.x.T) / (2 * 0.5 * 0.1) - M).max() < 0.05


def test_a_number_scales_the_time():
    V = double_well()
    fast = fp.simulate(V, 0.2, [-1.0], 0.01, 50, 100, mobility=4.0, precision="double")
    slow = fp.simulate(V, 0.2, [-1.0], 0.04, 50, 100, precision="double")
    assert abs(fast.x - slow.x).max() < 1e-12


PLACES = {"text": "1 + 0.8*tanh(2*x)", "callable": lambda x: 1 + 0.8 * np.tanh(2 * x[..., 0]),
          "with its divergence": (lambda x: 1 + 0.8 * np.tanh(2 * x), lambda x: 1.6 / np.cosh(2 * x) ** 2)}


@pytest.mark.parametrize("mobility", PLACES.values(), ids=PLACES)
def test_a_mobility_of_the_place_keeps_gibbs(mobility):
    start = np.where(np.arange(N) % 2, 1.0, -1.0)[:, None]
    run = fp.simulate(double_well(), 0.3, start, 0.004, 1500, mobility=mobility, seed=33)
    assert distance_to_gibbs(run.x[:, 0], lambda x: (x * x - 1) ** 2, 0.3, -3, 3) < KS_LIMIT


def test_without_the_ito_drift_the_distribution_is_another():
    start = np.where(np.arange(N) % 2, 1.0, -1.0)[:, None]
    without = (PLACES["with its divergence"][0], lambda x: np.zeros(x.shape))
    run = fp.simulate(double_well(), 0.3, start, 0.004, 1500, mobility=without, seed=33)
    assert distance_to_gibbs(run.x[:, 0], lambda x: (x * x - 1) ** 2, 0.3, -3, 3) > 4 * KS_LIMIT


def test_a_diagonal_mobility_of_the_place_keeps_gibbs():
    V = fp.Potential("0.5*x**2 + 0.5*y**2")
    run = fp.simulate(V, 0.5, [0.0, 0.0], 0.01, 700, N,
                      mobility=lambda x: np.stack([1 + 0.5 * np.tanh(x[..., 0]), 1 + 0.5 * np.sin(x[..., 1])],
                                                  -1), seed=34)
    for axis in range(2):
        assert distance_to_gibbs(run.x[:, axis], lambda x: 0.5 * x * x, 0.5, -6, 6) < KS_LIMIT


@pytest.mark.parametrize("mobility, scheme, message", [
    (-1.0, "euler-maruyama", "mobility must be positive"),
    ([1.0, 2.0, 3.0], "euler-maruyama", r"mobility must be a number, \(2,\) or \(2, 2\)"),
    ([[1.0, 2.0], [0.0, 1.0]], "euler-maruyama", "must be symmetric"),
    ([[1.0, 2.0], [2.0, 1.0]], "euler-maruyama", "positive definite; its smallest eigenvalue is -1"),
    (lambda x: 1 + 0 * x[..., 0], "leimkuhler-matthews", "needs scheme \"euler-maruyama\""),
    (lambda x: x[..., 0], "euler-maruyama", "the mobility must be positive, got"),
    (lambda x: np.ones(3), "euler-maruyama", "got shape"),
])
def test_wrong_mobilities_get_a_sentence(mobility, scheme, message):
    with pytest.raises(ValueError, match=message):
        fp.simulate(fp.Potential("x**2 + y**2"), 0.3, [-0.5, 0.0], 0.01, 5, 4, scheme=scheme,
                    mobility=mobility)
