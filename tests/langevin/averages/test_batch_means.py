"""Standard errors of time averages against processes whose variance is known."""
import numpy as np
import pytest

from fpkit.langevin.averages.batch_means import BatchMeans


def autoregressive(rng, n, memory):
    x, out = rng.standard_normal(), np.empty(n)
    z = rng.standard_normal(n) * (1 - memory**2) ** 0.5
    for k in range(n):
        out[k] = x
        x = memory * x + z[k]
    return out


def averaged(series, group_sizes=(1,)):
    means = BatchMeans(group_sizes, 1)
    means.add(series[:, None, None], series[:, None, None] ** 2)
    return means.averages()[0]


@pytest.mark.parametrize("k", range(10))
def test_the_standard_error_of_one_path_is_that_of_its_memory(k):
    """Mean of 40 ratios of measured to true variance; its own spread is below a tenth (four of them:
    1e-4)."""
    rng = np.random.default_rng(k)
    memory, n = rng.uniform(0.0, 0.9), int(rng.integers(6000, 9000))
    true = (1 + memory) / (1 - memory) / n                       # of the mean of n values of unit variance
    ratios = [averaged(autoregressive(rng, n, memory)).standard_error ** 2 / true for _ in range(40)]
    assert 0.6 < np.mean(ratios) < 1.4


def test_time_that_is_in_no_full_batch_is_counted():
    """Ten thousand independent values of which the full batches hold about 8192: the variance of the mean is
    one over all of them (mean of 60 ratios, each known to a third: four of their errors are 0.17)."""
    rng, n = np.random.default_rng(1), 32 * 256 + 255            # the last batch of 256 stays open
    ratios = [averaged(rng.standard_normal(n)).standard_error ** 2 * n for _ in range(60)]
    assert abs(np.mean(ratios) - 1) < 0.2


@pytest.mark.parametrize("k", range(10))
def test_the_factor_of_unsaved_time_is_the_root_of_the_share_in_full_batches(k):
    rng = np.random.default_rng(k)
    values, length, rest = rng.standard_normal(40), 10, int(rng.integers(1, 10))
    errors = []
    for n_open in (0, rest):
        means = BatchMeans((1,), 1)
        means.length, means.n_full, means.n_open = length, 40, n_open
        means.table[:40, 0, 0], means.squares = length * values, np.full((1, 1), 400.0)
        errors.append(means.averages()[0].standard_error)
    pairs = values.reshape(20, 2).mean(1)                        # twenty pieces are enough
    assert np.isclose(errors[0], pairs.std(ddof=1) / 20**0.5, rtol=1e-12)
    assert np.isclose(errors[1] / errors[0], (40 * length / (40 * length + rest)) ** 0.5, rtol=1e-12)
