import math

import mpmath as mp
import numpy as np

from fpkit.core.logarithms import log_bernoulli, log_sum, log_sums_by
from fpkit.core.networks import connected_parts, potentials


def test_sums_of_exponentials_know_their_range_and_nothing():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(7, 5)) * 3
    np.testing.assert_allclose(log_sum(a + 5000, axis=1), np.log(np.exp(a).sum(1)) + 5000, rtol=1e-15)
    assert log_sum(a - 9000) == math.log(np.exp(a).sum()) - 9000 or abs(log_sum(a - 9000) + 9000
                                                                        - math.log(np.exp(a).sum())) < 1e-11
    assert log_sum([]) == -math.inf and log_sum(np.full((2, 3), -np.inf), axis=1).tolist() == [-math.inf] * 2
    owner = rng.integers(0, 4, 35)
    found = log_sums_by(owner, a.ravel() - 800, 5)
    for k in range(5):
        assert np.isneginf(found[k]) if k == 4 else abs(found[k]
                                                        + 800 - log_sum(a.ravel()[owner == k])) < 1e-12


def test_the_bernoulli_function_is_right_from_rounding_to_cliffs():
    d = np.concatenate([s * 10.0 ** np.arange(-14.0, 5.0) for s in (1, -1)])
    with mp.workdps(60):
        exact = [float(mp.log(mp.mpf(float(v)) / mp.expm1(mp.mpf(float(v))))) for v in d]
    np.testing.assert_allclose(log_bernoulli(d), exact, rtol=1e-14, atol=5e-15)


def test_small_networks_are_solved_like_dense_matrices_and_fall_into_their_parts():
    rng = np.random.default_rng(3)
    for n in (1, 2, 5, 9):
        C = np.exp(rng.normal(size=(n, n)) * 3)
        C = np.triu(C, 1) + np.triu(C, 1).T
        leak, b = np.exp(rng.normal(size=n)), np.exp(rng.normal(size=n))
        x = potentials(C, leak, b)
        np.testing.assert_allclose((np.diag(C.sum(1) + leak) - C) @ x, b, rtol=1e-9)
    parts = connected_parts(6, [(0, 1), (1, 4), (3, 5)])
    assert parts[0] == parts[1] == parts[4] and parts[3] == parts[5] and len(set(parts)) == 3
