"""Mirrors, periods and absorbing sides. Seeds are fixed; KS limits are 1e-3, others 4.5 sigma (7e-6) by
accident."""
import numpy as np
import pytest
from langevin_problems import KS_LIMIT, distance_to_gibbs
from scipy import stats

import fpkit as fp

FLAT = fp.Potential("a*x", a=0.0)
N = 20000


@pytest.mark.parametrize("scheme", ["euler-maruyama", "leimkuhler-matthews", "heun", "mala", "baoab"])
def test_a_flat_potential_between_mirrors_stays_uniform(scheme):
    settings = {"friction": 2.0} if scheme == "baoab" else {}
    start = (np.arange(N) + 0.5)[:, None] / N * 3 - 1
    run = fp.simulate(FLAT, 0.5, start, 0.05, 60, scheme=scheme, walls=[(-1, 2)], seed=21, **settings)
    assert run.x.min() >= -1 and run.x.max() <= 2
    assert stats.kstest((run.x[:, 0] + 1) / 3, "uniform").statistic * N**0.5 < KS_LIMIT


def test_a_long_jump_is_mirrored_until_it_is_inside():
    run = fp.simulate(FLAT, 50.0, [0.1], 1.0, 3, 5000, walls=[(0, 1)], seed=22)
    assert run.x.min() >= 0 and run.x.max() <= 1
    assert stats.kstest(run.x[:, 0], "uniform").statistic * 5000**0.5 < KS_LIMIT


def test_a_slope_against_a_mirror_gives_the_exponential_density():
    V, start = fp.Potential("a*x", a=2.0), stats.expon.rvs(scale=0.5, size=(N, 1), random_state=5)
    for scheme in ("euler-maruyama", "leimkuhler-matthews"):
        run = fp.simulate(V, 1.0, start, 1e-3, 1000, scheme=scheme, walls=[(0, np.inf)], seed=23)
        assert distance_to_gibbs(run.x[:, 0], lambda x: 2 * x, 1.0, 0, 12) < KS_LIMIT
    # refusals beyond the wall are exact at any step
    run = fp.simulate(V, 1.0, start, 0.1, 60, scheme="mala", walls=[(0, np.inf)], seed=23)
    assert distance_to_gibbs(run.x[:, 0], lambda x: 2 * x, 1.0, 0, 12) < KS_LIMIT


def test_the_winding_number_counts_turns_and_free_diffusion_spreads_on_the_line():
    run = fp.simulate(fp.Potential("a*x", a=-1.5), 0.4, [0.2], 0.02, 200, N,
                      walls=fp.Walls([(-0.5, 0.5)], "periodic"), seed=24)
    assert run.x.min() >= -0.5 and run.x.max() < 0.5
    z = run.unwrapped[:, 0] - 0.2
    assert abs(z.mean() - 1.5 * 4) < 4.5 * (2 * 0.4 * 4 / N) ** 0.5
    assert abs(z.var() / (2 * 0.4 * 4) - 1) < 4.5 * (2 / N) ** 0.5
    assert np.array_equal(run.unwrapped, run.x + run.winding) and run.winding.dtype == np.int64


def test_a_start_outside_a_period_is_wrapped_and_counted():
    run = fp.simulate(FLAT, 0.0, [2.3], 0.1, 1, walls=fp.Walls([(0, 1)], "periodic"))
    assert abs(run.x[0, 0] - 0.3) < 1e-12 and run.winding[0, 0] == 2


def test_brownian_exit_from_an_interval_has_the_exact_mean_and_sides():
    theta, a = 0.5, 0.3                                          # start 0.3 in [-1, 1]
    run = fp.simulate(FLAT, theta, [a], 0.02, 1500, N, walls=fp.Walls([(-1, 1)], "absorbing"), seed=25)
    assert np.isfinite(run.exit_time).all()
    mean = (1 - a * a) / (2 * theta)
    # the middle of the step: order dt^2 and less
    assert abs(run.exit_time.mean() - mean) < 4.5 * run.exit_time.std() / N**0.5 + 1e-3
    upper = (run.exit_side == 1).mean()
    assert abs(upper - (1 + a) / 2) < 4.5 * 0.5 / N**0.5
    assert np.array_equal(run.x[:, 0], np.where(run.exit_side == 1, 1.0, -1.0))


def scheme_mfpt(x0, b, dt, theta, low=-2.4):
    """Mean passage time of bridge-corrected Euler-Maruyama to b: the killed transition kernel of one step,
    solved on Gauss nodes."""
    var = 2 * theta * dt
    n = int(8 * (b - low) / var**0.5)
    t, w = np.polynomial.legendre.leggauss(n)
    x, w = low + (b - low) * (t + 1) / 2, w * (b - low) / 2

    def kernel(a):
        mean = a - dt * 4 * a * (a * a - 1)
        k = np.exp(-((x[None] - mean[:, None]) ** 2) / (2 * var)) / np.sqrt(2 * np.pi * var) * w[None]
        return k * -np.expm1(-(b - a)[:, None] * (b - x)[None] / (theta * dt))
    tau = np.linalg.solve(np.eye(n) - kernel(x), np.full(n, dt))
    return dt / 2 + (kernel(np.array([x0])) @ tau)[0]            # the last step counts half


@pytest.mark.parametrize("b", [0.0, 1.0])
def test_passage_times_are_those_of_the_killed_chain_at_a_coarse_step(b):
    V, n, dt = fp.Potential("(x**2 - 1)**2"), 4000, 0.02
    run = fp.simulate(V, 0.4, [-1.0], dt, 6000, n, walls=fp.Walls([(-np.inf, b)], "absorbing"), seed=26)
    assert np.isfinite(run.exit_time).all() and set(run.exit_side) == {1}
    assert abs(run.exit_time.mean() - scheme_mfpt(-1.0, b, dt, 0.4)) < 4.5 * run.exit_time.std() / n**0.5


def test_a_path_that_has_not_left_is_not_counted():
    run = fp.simulate(FLAT, 0.1, [0.0], 0.01, 10, 50, walls=fp.Walls([(-5, 5)], "absorbing"))
    assert np.isnan(run.exit_time).all() and (run.exit_side == -1).all() and "0 absorbed" in repr(run)


def test_an_absorbed_path_rests_where_it_met_the_wall():
    V = fp.Potential("a*x + 0*y", a=1.0)
    run = fp.simulate(V, 0.2, [0.0, 0.0], 0.01, 400, 300,
                      walls=fp.Walls([(-1, np.inf), (-np.inf, np.inf)], "absorbing"), save_every=100, seed=27)
    done = run.exit_time < 2.9
    assert done.any() and np.array_equal(run.paths[done, 3],
                                         run.paths[done, 4]) and (run.x[done, 0] == -1).all()


def test_one_side_mirrors_while_the_other_absorbs():
    run = fp.simulate(FLAT, 0.5, [0.0], 0.02, 1500, N,
                      walls=fp.Walls([(0, 1)], [("reflecting", "absorbing")]), seed=28)
    # L^2 / (2 theta) from the mirror
    assert abs(run.exit_time.mean() - 1.0) < 4.5 * run.exit_time.std() / N**0.5 + 2e-3


def test_a_grid_potential_has_mirrors_at_its_bounds_and_walls_at_its_holes():
    axis = np.linspace(-1, 1, 21)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    V = fp.GridPotential([axis, axis], np.where((x > 0.3) & (y > 0.3), np.nan, 0.0 * x))
    run = fp.simulate(V, 0.3, [-0.5, -0.5], 0.01, 300, 200, seed=29)
    assert abs(run.x).max() <= 1 and np.asarray(V.domain(run.x)).all() and (run.x[:, 0] > 0.2).any()


def test_walls_of_a_grid_follow_its_periodic_axes():
    grid = fp.Grid([(0, 1), (-1, 1)], (4, 4), periodic=[True, False])
    run = fp.simulate(fp.Potential("a*x + b*y", a=1.0, b=1.0), 1.0, [0.5, 0.0], 0.1, 30, 40, walls=grid)
    assert run.inputs["walls"].kind == ("periodic",
                                        "reflecting") and ((run.x >= [0, -1]) & (run.x <= [1, 1])).all()


@pytest.mark.parametrize("make, message", [
    (lambda: fp.Walls([(1, -1)]), "low < high"),
    (lambda: fp.Walls([(0, 1)], "sticky"), "is unknown; known are none, reflecting"),
    (lambda: fp.Walls([(0, np.inf)], "periodic"), "both bounds are finite"),
    (lambda: fp.Walls([(0, 1)], [("periodic", "reflecting")]), "only when both"),
    (lambda: fp.Walls([(0, 1)], ["reflecting", "periodic"]), "kind names 2 axes"),
    (lambda: fp.Walls(3), "one \\(low, high\\) pair"),
    (lambda: fp.simulate(FLAT, 1.0, [2.0], 0.1, 1, walls=[(0, 1)]), "outside the walls"),
    (lambda: fp.simulate(FLAT, 1.0, [0.5], 0.1, 1, walls=[(0, 1), (0, 1)]), "2 axes and the potential has 1"),
    (lambda: fp.simulate(FLAT, 1.0, [0.5], 0.1, 1, walls=fp.Walls([(0, 1)], "absorbing"), scheme="mala"),
     "true passage times"),
    (lambda: fp.simulate(FLAT, 1.0, [0.5], 0.1, 1,
                         walls=fp.Grid([(0, 1)], (4,), mask=np.array([1, 1, 0, 1], bool))),
                         "mask cannot bound"),
])
def test_wrong_walls_get_a_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()
