"""Laws of passage times with censoring, and the experiments that make them."""
import numpy as np
import pytest

from fpkit.learning import OwnProblem, learn
from fpkit.learning.modular_addition import ModularAddition
from fpkit.learning.walkers import (
    Passages,
    addition,
    displacement,
    example_entropy,
    first_passages,
    fit_law,
    gauss_newton,
    jackknife,
    persistence,
    slope_of,
    weibull_shape,
)


def drawn(slope, seed, n=6, clusters=6, sigma=0.3, shared=0.2, horizon=np.inf):
    """log t = 2 + slope x + noise of each walker and of its cluster, watched up to `horizon`."""
    rng = np.random.default_rng(seed)
    x = np.tile(np.repeat([0.0, 1.0, 2.0], n), clusters)
    cluster = np.repeat(np.arange(clusters), 3 * n)
    t = np.exp(2 + slope * x + sigma * rng.normal(size=x.size) + shared * rng.normal(size=clusters)[cluster])
    return Passages(np.minimum(t, horizon), t <= horizon, cluster, {"x": x})


def test_the_fit_is_where_the_likelihood_is_flat():
    from scipy.stats import norm

    found = drawn(-1.0, 0, horizon=6.0)
    x, y = found.columns["x"], np.log(found.time)
    law = fit_law(lambda q: q[0] + q[1] * x, [(2.0, 0.0)], found.time, found.seen)

    def likelihood(a, b, s):
        z = (y - a - b * x) / s
        return np.where(found.seen, norm.logpdf(z) - np.log(s), norm.logsf(z)).sum()
    best = np.array([*law.parameters, law.sigma])
    assert law.log_likelihood == pytest.approx(likelihood(*best), rel=1e-9)
    for k in range(3):
        step = 1e-4 * np.eye(3)[k]
        assert abs(likelihood(*(best + step)) - likelihood(*(best - step))) / 2e-4 < 0.05
    n = x.size
    assert law.aicc == pytest.approx(6 - 2 * law.log_likelihood + 24 / (n - 4))
    assert 0.2 < 1 - found.seen.mean() < 0.7


def test_the_interval_of_a_slope_holds_the_truth_although_walkers_share_their_splits():
    """60 drawn sets, a third of the times censored: below 50 of 60 has the chance 2e-3 at 95 %."""
    inside = 0
    for seed in range(60):
        found = drawn(-1.0, 100 + seed, n=2, horizon=5.0)
        low, high = slope_of(found, found.columns["x"]).interval
        inside += low <= -1 <= high
    assert inside >= 50


def test_the_jackknife_of_a_mean_is_the_error_of_the_cluster_means():
    rng = np.random.default_rng(0)
    values, cluster = rng.normal(size=20), np.repeat(np.arange(5), 4)
    found = jackknife(lambda keep: values[keep].mean(), cluster)
    means = values.reshape(5, 4).mean(1)
    assert found.error == pytest.approx(means.std(ddof=1) / np.sqrt(5)) and found.value == pytest.approx(
        values.mean())
    assert np.isnan(jackknife(lambda keep: 1.0, np.zeros(3)).error)


def test_the_median_counts_those_that_had_not_passed():
    of = lambda t, seen: Passages(np.array(t, float), np.array(seen, bool), np.arange(len(t)), {}).median()
    assert of([1, 2, 3, 4], [1, 1, 1, 1]) == 2.5 and of([1, 2, 3], [1, 1, 1]) == 2
    assert of([1, 2, 3, 4], [1, 1, 0, 0]) == 2          # half are left, and none is seen later
    assert of([1, 2, 3, 4], [1, 0, 0, 0]) == np.inf
    assert of([1, 1.5, 2, 3], [1, 0, 1, 1]) == 2        # after 1.5 two are at risk: 3/4 -> 3/8
    assert of([5, 5], [0, 0]) == np.inf


@pytest.mark.parametrize("shape", [1.0, 3.0])
def test_the_weibull_shape_of_drawn_times(shape):
    t = np.random.default_rng(1).weibull(shape, 2000)
    found = weibull_shape(Passages(np.minimum(t, 1.0), t <= 1, np.zeros(2000), {}))
    assert found == pytest.approx(shape, rel=0.1)


def test_no_slope_comes_of_what_was_not_seen():
    found = drawn(-1.0, 0, horizon=1e-9)
    assert np.isnan(slope_of(found, found.columns["x"]).value)


# ---- experiments ----

def test_first_passages_are_those_of_the_learner():
    conditions = [{"theta": 3e-4, "l2": 2e-4, "horizon": 300.0}, {"theta": 0.0, "horizon": 300.0}]
    found = first_passages(addition(11, 32, 109), conditions, n_splits=2, n_starts=2)
    again = first_passages(addition(11, 32, 109), conditions, n_splits=2, n_starts=2, n_threads=1)
    assert (found.time == again.time).all() and len(found) == 8
    assert (found.columns["t_mem"] <= found.time).all() and (found.time[~found.seen] == 300).all()
    cold = found.where(theta=0.0)
    problem = ModularAddition(11, 32, 109 / 121, int(cold.columns["split"][0]))
    run = learn(problem, 3750, 0.08, starts=problem.start(seed=1000 + 100 * problem.seed
                                                          + int(cold.columns["start"][0])), stop_at=0.9,
                check_every=25, levels=(0.9,))
    assert run.passage_times(0.9)[0][0] == pytest.approx(cold.time[0])


def flat(d=40, stiff=10, curvature=5.0):
    """A bowl in the first coordinates, nothing in the others."""
    k = np.where(np.arange(d) < stiff, curvature, 0.0)
    return OwnProblem(lambda X, m: np.repeat(0.5 * (k * X * X).sum(-1)[:, None], len(m), 1),
                      lambda X, m: k * X, d, [0, 1], [], lambda seed: np.zeros(d))


def test_flat_directions_are_a_free_walk_and_stiff_ones_stay():
    """8 walkers in 30 directions: one lag has a relative error of sqrt(2/240) = .09, and the mean over lags
    a smaller one; 4 of them."""
    problem, theta = flat(), 1e-2
    found = displacement([problem] * 8, np.zeros((8, 40)), theta, 2.0, np.geomspace(0.05, 20, 20),
                         learning_rate=0.05)
    assert (found.dimensions[-1] == 30).all() and (found.dimensions[0] == 10).all()
    assert found.prefactors(0.05, 20.0).mean() == pytest.approx(1.0, abs=0.36)
    assert found.exponents(0.05, 20.0, -1).mean() == pytest.approx(1.0, abs=0.2)
    bowl = found.parts[0, :, -1].mean() / 10                    # two independent places: 2 theta/curvature
    assert bowl == pytest.approx(2 * theta / 5.0, rel=0.6)
    assert (found.parts.sum(0) == pytest.approx(found.whole))


def test_the_gauss_newton_matrix_is_that_of_the_outputs():
    problem = ModularAddition(3, 2, 0.6, 0)
    x, members, h = problem.start(), problem._index["train"], 1e-6
    of = lambda y: problem._outputs(y[None], members)[0][0].ravel()
    J = np.stack([(of(x + h * e) - of(x - h * e)) / (2 * h) for e in np.eye(problem.n_params)], 1)
    assert gauss_newton(problem, x) == pytest.approx(J.T @ J / len(members), abs=1e-7)
    assert gauss_newton(flat(4, 2), np.zeros(4)) == pytest.approx(np.diag([5, 5, 0, 0]), abs=1e-6)


def test_the_nats_of_a_pair_at_rest_are_the_change_of_the_risk():
    """Walkers that do not move: theta times the integral is the risk with the pair less the risk without."""
    problem, theta = ModularAddition(7, 8, 0.6, 0), 1e-12
    x = problem.start()
    found = example_entropy(problem, x, theta, learning_rate=1e-9, settle=2e-9, measure=5e-8, seed=4)
    changes = [(problem.losses(x).sum() + loss) / (problem.n_train + 1) - problem.risk(x)
               for loss in problem.losses(x, "test")]
    assert min(abs(found["nats"] * theta - c) / abs(c) for c in changes) < 1e-4


def test_persistence_is_read_from_what_was_recorded():
    problem = ModularAddition(5, 6, 0.6, 0)
    run = learn([problem] * 2, 100, 0.01, record=range(0, 101, 10), levels=(0.9,), check_every=10)
    acc = np.array([0.0] * 2 + [1.0] * 9)
    run.history["test_acc"][:] = np.stack([acc, 0 * acc], 1)
    run.passages[0.9][:] = [20.0, np.inf]
    kept = persistence(run)
    assert kept["followed"].tolist() == [4.0, 0.0] and kept["late"].tolist() == [1.0, 0.0]
    assert kept["above"].tolist() == [1.0, 0.0]
