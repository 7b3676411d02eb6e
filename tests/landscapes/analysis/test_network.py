"""The network of wells: elimination in logarithms against dense linear algebra, exact line formulas, and
laws."""
import numpy as np
import pytest
from scipy.linalg import expm

from fpkit.core.grid import Grid
from fpkit.landscapes.analysis.network import ELIMINATED, LEFT_OUT, CoreNetwork, reduced


class Chain:
    """A chain on a grid of cells with random masses and conductances between neighbours, one diagonal
    included."""

    def __init__(self, shape, spread=2.0, seed=0):
        rng = np.random.default_rng(seed)
        self.grid = Grid([(0, n) for n in shape], shape)
        flat = np.arange(np.prod(shape)).reshape(shape)
        pairs = [np.stack([flat[:-1].ravel(), flat[1:].ravel()], 1),
                 np.stack([flat[:, :-1].ravel(), flat[:, 1:].ravel()], 1),
                 np.stack([flat[:-1, :-1].ravel(), flat[1:, 1:].ravel()], 1)]
        self.edges = np.concatenate(pairs)
        self.log_mass = rng.normal(0, spread, flat.size)
        self.log_conductance = rng.normal(0, spread, len(self.edges))

    def generator(self):
        n = self.log_mass.size
        L = np.zeros((n, n))
        for (a, b), c in zip(self.edges, np.exp(self.log_conductance)):
            L[a, b] += c / np.exp(self.log_mass[a])
            L[b, a] += c / np.exp(self.log_mass[b])
        return L - np.diag(L.sum(1))


def network_and_chain(shape=(7, 5), cores=(3, 17, 30), seed=0):
    chain = Chain(shape, seed=seed)
    groups = np.full(chain.log_mass.size, ELIMINATED)
    for k, cell in enumerate(cores):
        groups[cell] = k
    return reduced(chain, groups, len(cores)), chain, np.array(cores)


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (12, 3)])
def test_capacities_masses_and_times_equal_dense_algebra(shape):
    network, chain, cores = network_and_chain(shape)
    L, mass = chain.generator(), np.exp(chain.log_mass)
    others = np.setdiff1d(np.arange(mass.size), cores)
    q = np.zeros((mass.size, 3))
    q[cores] = np.eye(3)
    q[others] = np.linalg.solve(L[np.ix_(others, others)], -L[np.ix_(others, cores)])
    assert np.exp(network.log_mass) == pytest.approx(mass @ q, rel=1e-11)
    capacity = (q.T * mass) @ L @ q
    np.fill_diagonal(capacity, 0.0)
    assert np.exp(network.log_capacity) == pytest.approx(capacity, rel=1e-10)
    for b in range(3):
        keep = np.setdiff1d(np.arange(mass.size), cores[b])
        tau = np.zeros(mass.size)
        tau[keep] = np.linalg.solve(L[np.ix_(keep, keep)], -np.ones(keep.size))
        assert np.exp(network.log_mfpt(b)) == pytest.approx(tau[cores], rel=1e-10)
    assert (network.log_capacity == network.log_capacity.T).all()


def test_a_state_eliminated_leaves_times_and_gives_the_first_core():
    network, chain, cores = network_and_chain()
    rest, first = network.without(1)
    assert first.sum() == pytest.approx(1, abs=1e-14) and (first > 0).all()
    assert rest.log_mfpt(0)[1] == pytest.approx(network.log_mfpt(0)[2], rel=1e-13)
    assert np.exp(rest.log_mass).sum() == pytest.approx(np.exp(network.log_mass).sum(), rel=1e-13)


def test_a_core_of_many_cells_is_one_node():
    chain = Chain((6, 6), seed=5)
    groups = np.full(36, ELIMINATED)
    groups[[0, 1, 6]], groups[35] = 0, 1
    network = reduced(chain, groups, 2)
    L = chain.generator()
    keep = np.setdiff1d(np.arange(36), [0, 1, 6])
    tau = np.linalg.solve(L[np.ix_(keep, keep)], -np.ones(keep.size))
    assert np.exp(network.log_mfpt(0)[1]) == pytest.approx(tau[-1], rel=1e-10)


@pytest.mark.parametrize("theta", [0.2, 1e-2, 1e-4])
def test_line_times_equal_their_sum_however_long(theta):
    """On a line tau = sum over edges of (mass left of it)/conductance, all positive; at theta = 1e-4 that is
    10^4343."""
    x = np.linspace(-1.3, 1.3, 53)
    f = (x**2 - 1) ** 2 / theta

    class Line:
        grid = Grid([(0, 53)], [53])
        edges = np.stack([np.arange(52), np.arange(1, 53)], 1)
        log_mass = -f
        log_conductance = -np.maximum(f[1:], f[:-1])

    start, end = 6, 46
    groups = np.full(53, ELIMINATED)
    groups[start], groups[end] = 0, 1
    network = reduced(Line, groups, 2)
    left = np.logaddexp.accumulate(Line.log_mass)
    exact = np.logaddexp.reduce(left[start:end] - Line.log_conductance[start:end])
    assert network.log_mfpt(1)[0] == pytest.approx(exact, rel=1e-12)
    assert network.log_mfpt(1)[0] > 0.9 / theta


def test_parts_that_do_not_touch_are_out_of_reach():
    chain = Chain((6, 4))
    groups = np.full(24, ELIMINATED)
    groups[8:12] = LEFT_OUT                                 # a wall through the grid
    groups[0], groups[23], groups[7] = 0, 1, 2
    network = reduced(chain, groups, 3)
    assert (network.log_rate[0, 1] == -np.inf and network.log_mfpt(1)[0] == np.inf
            and np.isfinite(network.log_mfpt(0)[2]))
    assert np.isinf(network.log_eigenvalues()).sum() == 2


def random_network(n, spread, seed):
    rng = np.random.default_rng(seed)
    c = rng.normal(0, spread, (n, n))
    c = np.triu(c, 1) + np.triu(c, 1).T
    np.fill_diagonal(c, -np.inf)
    return CoreNetwork(rng.normal(0, 1, n), c)


def matrix(network):
    K = np.exp(network.log_rate)
    return K - np.diag(K.sum(1))


def test_eigenvalues_of_a_tame_network_are_those_of_its_matrix():
    network = random_network(5, 1.0, 2)
    exact = np.sort(-np.linalg.eigvals(matrix(network)).real)
    assert np.exp(network.log_eigenvalues()[1:]) == pytest.approx(exact[1:], rel=1e-9)


def test_eigenvalues_over_a_thousand_decades_equal_multiprecision():
    mpmath = pytest.importorskip("mpmath")
    network = random_network(4, 300.0, 4)
    with mpmath.workdps(1200):
        K = mpmath.matrix(4, 4)
        for a in range(4):
            for b in range(4):
                if a != b:
                    K[a, b] = -mpmath.exp(mpmath.mpf(network.log_capacity[a, b])
                                          - (mpmath.mpf(network.log_mass[a])
                                             + mpmath.mpf(network.log_mass[b])) / 2)
                    K[a, a] += mpmath.exp(mpmath.mpf(network.log_capacity[a, b])
                                          - mpmath.mpf(network.log_mass[a]))
        exact = sorted(mpmath.eigsy(K, eigvals_only=True))[1:]
        exact = [float(mpmath.log(v)) for v in exact]
    assert network.log_eigenvalues()[1:] == pytest.approx(exact, abs=1e-7)


def test_occupation_over_time_is_the_exponential_and_ends_in_the_masses():
    network = random_network(4, 2.0, 7)
    start = np.array([0.1, 0.2, 0.3, 0.4])
    times = np.array([1e-3, 0.1, 1.0, 10.0])
    found = network.occupation(start, np.log(times))
    for t, p in zip(times, found):
        assert p == pytest.approx(start @ expm(matrix(network) * t), abs=1e-11)
    late = network.occupation(start, [np.log(1e200)])[0]
    share = np.exp(network.log_mass)
    assert late == pytest.approx(share / share.sum(), rel=1e-9) and (found >= 0).all()


def test_doubling_all_conductances_halves_all_times():
    network = random_network(4, 2.0, 8)
    twice = CoreNetwork(network.log_mass, network.log_capacity + np.log(2))
    assert twice.log_mfpt(0)[1:] == pytest.approx(network.log_mfpt(0)[1:] - np.log(2), rel=1e-13)
    assert twice.log_eigenvalues()[1:] == pytest.approx(network.log_eigenvalues()[1:] + np.log(2), rel=1e-12)
