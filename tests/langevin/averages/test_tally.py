"""Sums over snapshots: exact counts, fixed order, honest errors."""
import math

import numpy as np
import pytest

import fpkit as fp
from fpkit.langevin.averages.batch_means import N_BATCHES, BatchMeans, bound_factor
from fpkit.langevin.averages.tally import Accumulators

V = fp.Potential("x**2 + a*y", a=0.5)


def cloud(n_snapshots=12, n_paths=500, seed=1):
    return np.random.default_rng(seed).normal(size=(n_snapshots, 2, n_paths))


def flat(snapshots):
    return snapshots.transpose(0, 2, 1).reshape(-1, 2)


GRIDS = {
    "uniform": lambda: fp.Grid([(-2, 2), (-1, 1.5)], (13, 10)),
    "non-uniform": lambda: fp.Grid.from_edges([[-2, -1.5, 0, 0.1, 2], np.sinh(np.linspace(-1, 1, 8))]),
    "mixed": lambda: fp.Grid.from_edges([np.linspace(-2, 2, 9), [-1, 0, 3]]),
}


@pytest.mark.parametrize("kind", GRIDS)
def test_counts_are_those_of_numpy(kind):
    grid, snapshots = GRIDS[kind](), cloud()
    tally = Accumulators(V, 500, np.zeros(2), grid)
    tally.add(snapshots)
    counts, overflow, *_ = tally.histogram()
    assert np.array_equal(counts, np.histogramdd(flat(snapshots), bins=grid.edges)[0])
    assert counts.sum() + overflow.sum() == 12 * 500
    x, y = flat(snapshots).T
    inside = (x >= -2) & (x <= 2)
    low, high = grid.bounds[1]
    assert overflow.tolist() == [[(x < -2).sum(), (x > 2).sum()],
                                 [(inside & (y < low)).sum(), (inside & (y > high)).sum()]]


def test_cells_are_half_open_and_the_last_one_is_closed():
    grid = fp.Grid([(0, 1)], (10,))
    points = np.concatenate([grid.edges[0], np.nextafter(grid.edges[0], -1), np.nextafter(grid.edges[0], 2)])
    tally = Accumulators(fp.Potential("x**2"), points.size, np.zeros(1), grid)
    tally.add(points[None, None])
    counts, overflow, *_ = tally.histogram()
    assert np.array_equal(counts, np.histogram(points, grid.edges[0])[0])
    assert overflow.tolist() == [[1, 1]]


def test_a_periodic_axis_takes_points_modulo_its_period():
    grid = fp.Grid([(0, 2), (-1, 1)], (7, 5), periodic=[True, False])
    snapshots = cloud() * 3
    tally = Accumulators(V, 500, np.zeros(2), grid)
    tally.add(snapshots)
    counts, overflow, *_ = tally.histogram()
    x, y = flat(snapshots).T
    assert np.array_equal(counts, np.histogram2d(x % 2.0, y, bins=grid.edges)[0])
    assert overflow[0].sum() == 0 and counts.sum() + overflow.sum() == 6000


def test_moments_and_energy_are_those_of_numpy_far_from_the_origin():
    snapshots = cloud() + 1e6
    tally = Accumulators(V, 500, np.full(2, 1e6))
    tally.add(snapshots)
    points = flat(snapshots)
    means = [a.mean for a in tally.means.averages()] + tally.shifts
    assert np.allclose(means[:2], points.mean(0), rtol=1e-15) and np.isclose(means[2], V(points).mean(),
                                                                             rtol=1e-14)
    assert np.allclose(tally.covariance(), np.cov(points.T, bias=True), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_paths", [1, 5, 64, 333])
def test_the_bits_depend_neither_on_threads_nor_on_portions(n_paths):
    snapshots = cloud(70, n_paths)
    regions = {"left": fp.HalfSpace([-1, 0], 0.2), "right": fp.HalfSpace([1, 0], 0.2)}
    states = []
    for n_threads, portions in ((1, [70]), (2, [70]), (2, [1] * 70), (1, [3, 40, 27])):
        tally = Accumulators(V, n_paths, np.zeros(2), fp.Grid([(-2, 2), (-1, 1)], (6, 5)), regions,
                      {"xy": lambda p: p[:, 0] * p[:, 1]}, n_threads)
        begin = 0
        for n in portions:
            tally.add(snapshots[begin: begin + n])
            begin += n
        states.append({k: np.array(v) for k, v in tally.state().items()})
    for other in states[1:]:
        assert all(np.array_equal(states[0][k], other[k]) for k in states[0])


def test_a_restored_tally_goes_on_to_the_same_bits():
    snapshots, grid = cloud(40, 7), fp.Grid([(-2, 2), (-1, 1)], (6, 5))
    whole, first, second = (Accumulators(V, 7, np.zeros(2), grid) for _ in range(3))
    whole.add(snapshots)
    first.add(snapshots[:23])
    second.restore(first.state())
    second.add(snapshots[23:])
    assert all(np.array_equal(whole.state()[k], v) for k, v in second.state().items())
    with pytest.raises(ValueError, match="another run"):
        Accumulators(V, 8, np.zeros(2), grid).restore(first.state())


def test_the_kernel_without_compilation_sums_the_same():
    from fpkit.langevin.averages.tally_kernels import Groups, Sums, accumulate

    snapshots, grid = cloud(3, 20), fp.Grid([(-2, 2), (-1, 1)], (6, 5))
    results = []
    for kernel in (accumulate, accumulate.py_func):
        tally = Accumulators(V, 20, np.zeros(2), grid)
        sums, squares = np.empty((3, 20, 3)), np.empty((3, 20, 3))
        kernel(snapshots, V.block("value"), V.p, True, np.zeros((1, 1)), tally.shifts,
               Groups(tally.lanes, tally.groups, tally.strands), tally._cells,
               Sums(sums, squares, tally.products, tally.counts[0], tally.outside))
        results.append((sums, squares, tally.products, tally.counts, tally.outside))
    for a, b in zip(*results):
        assert np.allclose(a, b, rtol=1e-14, atol=1e-14)


def test_transitions_are_counted_through_the_gap_between_the_regions():
    path = np.array([-1, 0, 1, 1, 0, 1, 0, -1, -1, 1.0])
    snapshots = np.zeros((path.size, 2, 1))
    snapshots[:, 0, 0] = path
    regions = {"left": fp.HalfSpace([-1, 0], 0.5), "right": fp.HalfSpace([1, 0], 0.5)}
    tally = Accumulators(V, 1, np.zeros(2), regions=regions)
    tally.add(snapshots)
    assert tally.transitions.tolist() == [[0, 2], [1, 0]]
    averages = dict(zip(tally.names, tally.means.averages()))
    assert averages["in left"].mean == 0.3 and averages["in right"].mean == 0.4


def test_overlapping_regions_and_bad_observables_are_refused_in_a_sentence():
    regions = {"a": fp.HalfSpace([1, 0], -1.0), "b": fp.HalfSpace([1, 0], 0.0)}
    with pytest.raises(ValueError, match="'a' and 'b' overlap"):
        Accumulators(V, 500, np.zeros(2), regions=regions).add(cloud())
    with pytest.raises(ValueError, match="gave shape"):
        Accumulators(V, 500, np.zeros(2), observables={"o": lambda p: p}).add(cloud())
    with pytest.raises(ValueError, match="not finite"):
        Accumulators(V, 500, np.zeros(2), observables={"o": lambda p: np.full(500, np.nan)}).add(cloud())


# ---- errors ----

def autoregressive(n_times, n_chains, memory, seed):
    """Stationary chains x_k+1 = memory x_k + noise of variance one; the statistical inefficiency is (1 +
    memory)/(1 - memory)."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(seed)
    start = rng.normal(size=n_chains)
    noise = rng.normal(size=(n_times, n_chains)) * math.sqrt(1 - memory**2)
    return lfilter([1.0], [1.0, -memory], noise, axis=0, zi=(memory * start)[None])[0]


def averaged(x, n_groups):
    means = BatchMeans(np.full(n_groups, x.shape[1] // n_groups), 1)
    by_group = x.reshape(len(x), n_groups, -1)
    means.add(by_group.sum(2)[..., None], (by_group**2).sum(2)[..., None])
    return means.averages()[0]


@pytest.mark.parametrize("n_times, n_chains, n_groups", [(400, 256, 64), (10_000, 1, 1), (4000, 6, 6)])
def test_standard_errors_and_correlation_times_are_right_with_memory(n_times, n_chains, n_groups):
    """60 seeds. mean z^2 has expectation near one and deviation 0.19 (Student's tails included): outside
    [0.4, 2] once in 1e4."""
    memory = 0.8                                            # 9 samples worth one
    averages = [averaged(autoregressive(n_times, n_chains, memory, seed), n_groups) for seed in range(60)]
    z = np.array([a.mean / a.standard_error for a in averages])
    assert 0.4 < (z**2).mean() < 2.0
    assert abs(np.median([a.inefficiency for a in averages]) / 9 - 1) < 0.25
    # the bound misses once in 370: more than 3 of 60 with probability 3e-5
    assert sum(abs(a.mean) > a.bound for a in averages) <= 3


def test_batches_are_joined_without_loss():
    x = np.random.default_rng(3).normal(size=(1000, 4))
    means = BatchMeans(np.ones(4, int), 1)
    means.add(x[..., None], x[..., None] ** 2)
    assert means.n_saved == 1000 and N_BATCHES // 2 <= means.n_full < N_BATCHES
    assert np.allclose(means.table[: means.n_full].sum(0) + means.open, x.sum(0)[:, None])
    assert means.averages()[0].mean == pytest.approx(x.mean(), abs=1e-15)


def test_a_drift_is_seen():
    x = np.random.default_rng(4).normal(size=(600, 64)) + np.linspace(0, 1, 600)[:, None]
    assert abs(averaged(x, 64).drift) > 5
    assert abs(averaged(x - np.linspace(0, 1, 600)[:, None], 64).drift) < 5     # exceeded once in 1e5


def test_three_standard_errors_become_more_with_few_pieces():
    assert bound_factor(10**6) == pytest.approx(3.0, abs=1e-3)
    assert bound_factor(10) > 3.9
    assert bound_factor(0) == np.inf


def test_errors_of_cells_are_those_of_independent_points():
    """Independent uniform points: standard error sqrt(p(1-p)/n) in every cell; 40 cells x 31 degrees of
    freedom."""
    points = np.random.default_rng(5).uniform(0, 1, size=(50, 1, 640))
    tally = Accumulators(fp.Potential("x**2"), 640, np.zeros(1), fp.Grid([(0, 1)], (40,)))
    tally.add(points)
    counts, _, bound, error = tally.histogram()
    expected = math.sqrt(1 / 40 * 39 / 40 / 32000)
    assert np.sqrt((error**2).mean()) == pytest.approx(expected, rel=0.15)
    assert (abs(counts / 32000 - 1 / 40) > bound).sum() <= 2  # 40 chances of 1/370: once in 2000


def test_errors_of_cells_know_how_much_of_the_time_is_in_whole_slots():
    """Independent points of few paths, whose error comes from slots of time, the last of them not full:
    standard error sqrt(p(1-p)/n) with the n of ALL points. Ten seeds of 20 cells each."""
    worst = 1.0
    for n_saved in (97, 150, 190):
        found = []
        for seed in range(10):
            points = np.random.default_rng(seed).uniform(0, 1, size=(n_saved, 1, 4))
            tally = Accumulators(fp.Potential("x**2"), 4, np.zeros(1), fp.Grid([(0, 1)], (20,)))
            tally.add(points)
            assert tally.n_slots > 1
            worst = min(worst, tally.slot * tally.slot_length / n_saved)
            found.append(tally.histogram()[3])
        expected = math.sqrt(1 / 20 * 19 / 20 / (4 * n_saved))
        assert np.sqrt((np.array(found) ** 2).mean()) == pytest.approx(expected, rel=0.12)
    assert worst < 0.9                             # of the time in whole slots: the factor matters
