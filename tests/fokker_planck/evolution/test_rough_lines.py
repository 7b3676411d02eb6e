"""Rough lines: kinks, jumps and poles inside cells, what is narrower than a cell, and the errors they get."""
import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import gamma, norm, poisson

import fpkit as fp

pytestmark = pytest.mark.filterwarnings("ignore::fpkit.ResolutionWarning")


def step_chain(edges, f, theta):
    """Generator of cells on each of which f is constant: the two halves of a way lie in series."""
    h = np.diff(edges)
    half = np.exp(f / theta) * h / 2
    conductance, mass = theta / (half[1:] + half[:-1]), np.exp(-f / theta) * h
    Q = np.zeros((h.size, h.size))
    i = np.arange(h.size - 1)
    Q[i, i + 1], Q[i + 1, i] = conductance / mass[:-1], conductance / mass[1:]
    return Q - np.diag(Q.sum(1))


@pytest.mark.parametrize("seed", range(8))
def test_steps_anywhere_in_a_cell_keep_the_stated_error(seed):
    rng = np.random.default_rng(seed)
    n, parts, theta = int(rng.integers(24, 44)), 8, 10 ** rng.uniform(-0.7, 0.3)
    fine = np.linspace(-2, 2, n * parts + 1)
    a, b = np.sort(rng.choice(np.arange(n, n * parts - n), 2, replace=False))
    height, x0, std = 2.5 * theta * rng.normal(), rng.uniform(-1, 1), rng.uniform(0.2, 0.5)
    V = fp.Potential("where(x < a, 0, where(x < b, c, 0))", a=fine[a], b=fine[b], c=height)
    D = fp.FokkerPlanck(V, theta, fp.Grid([(-2, 2)], n))
    middle = (fine[1:] + fine[:-1]) / 2
    Q = step_chain(fine, np.where((middle > fine[a]) & (middle < fine[b]), height, 0.0), theta)
    start = np.diff(norm.cdf(fine, x0, std))
    times = np.array([0.02, 0.3, 3.0]) / theta
    e = D.evolve(([x0], std), times)
    for k, t in enumerate(times):
        exact = (start / start.sum() @ expm(t * Q)).reshape(n, parts).sum(1)
        true = np.abs(e.probabilities(k) - exact).sum()
        assert true <= e.error[k] + 2e-5 and e.error[k] < 1, (true, e.error[k])


@pytest.mark.parametrize("power", [-0.6, -0.3, 0.4, 0.8])
def test_a_pole_inside_the_box_is_crossed_as_a_bessel_process_crosses_it(power):
    """f = -power log|x|, theta 1: X^2/4t is Gamma((power + 1)/2 + Poisson(x0^2/4t)), on both sides."""
    n, x0 = 160, 1.3
    D = fp.FokkerPlanck(fp.Potential("-n*log(abs(x - 0.17))", n=power), 1.0, fp.Grid([(-9.83, 10.17)], n))
    times = [0.1, 0.7]
    e = D.evolve([x0 + 0.17], times)
    edges = np.linspace(0, 10, n // 2 + 1)
    for k, t in enumerate(times):
        number = np.arange(200)
        weight = poisson.pmf(number, x0**2 / (4 * t))
        law = (weight * gamma.cdf(edges[:, None] ** 2 / (4 * t), (power + 1) / 2 + number)).sum(1)
        P = e.probabilities(k)
        true = np.abs(P[n // 2:] + P[:n // 2][::-1] - np.diff(law)).sum()
        assert true <= e.error[k] < 0.2, (true, e.error[k])


def test_a_set_narrower_than_the_coarser_cells_and_grids_of_few_cells_have_an_error():
    V = fp.Potential("(x**2 - 1)**2")
    thin = fp.FokkerPlanck(V, 0.4, fp.Grid([(-3, 3)], 133), absorbing=fp.Box([(0.4, 0.43)]))
    few = fp.FokkerPlanck(fp.Potential("x**2"), 1.0, fp.Grid([(-2, 2)], 5))
    fine = [fp.FokkerPlanck(D.potential, D.theta, fp.Grid(D.grid.bounds, D.grid.n_cells * 9),
                            absorbing=D.absorbing) for D in (thin, few)]
    for D, other, x0 in zip((thin, few), fine, (-1.05, 0.31)):
        times = [0.3, 2.0]
        e, best = D.evolve(([x0], 0.4), times), other.evolve(([x0], 0.4), times)
        assert np.isfinite(e.error).all()
        for k in range(2):
            true = np.abs(e.probabilities(k) - best.probabilities(k).reshape(D.grid.n_cells, 9).sum(1)).sum()
            assert true <= e.error[k] + best.error[k]


def test_a_mask_of_cells_is_not_judged_on_grids_where_it_is_another_one():
    """The odd wall of an array mask moves on coarser grids; the error is that of the cells as they are."""
    centres = fp.Grid([(-3, 3)], 41).centres[0]
    grid = fp.Grid([(-3, 3)], 41, mask=centres > -0.777)
    V, times = fp.Potential("x**2/2 + 0.2*x"), [0.3, 2.0]
    e = fp.FokkerPlanck(V, 0.4, grid).evolve([0.3], times)
    low = grid.edges[0][:-1][grid.inside][0]
    n = int(grid.inside.sum())
    fine = fp.FokkerPlanck(V, 0.4, fp.Grid([(low, 3)], 8 * n)).evolve([0.3], times)
    for k in range(2):
        true = np.abs(e.probabilities(k)[grid.inside] - fine.probabilities(k).reshape(n, 8).sum(1)).sum()
        assert true <= e.error[k] < 0.05


@pytest.mark.parametrize("x0", [0.0, 0.03])
def test_a_start_at_a_mirror_keeps_the_stated_error(x0):
    """Reflected Brownian motion with drift -1 from x0: F(x) = Phi((x - x0 + t)/s) - e^(-x/theta)
    Phi((-x - x0 + t)/s), s^2 = 2 theta t."""
    theta, n = 0.5, 64
    D = fp.FokkerPlanck(fp.Potential("x"), theta, fp.Grid([(0, 8)], n))
    times = np.array([0.1, 0.3, 1.0])
    e = D.evolve([x0], times)
    x = D.grid.edges[0]
    for k, t in enumerate(times):
        s = np.sqrt(2 * theta * t)
        law = norm.cdf((x - x0 + t) / s) - np.exp(-x / theta) * norm.cdf((-x - x0 + t) / s)
        true = np.abs(e.probabilities(k) - np.diff(law)).sum()
        assert true <= e.error[k], (true, e.error[k])
