import numpy as np
import pytest
from plain_references import imbalance
from scipy.integrate import quad
from scipy.sparse.linalg import spsolve

import fpkit as fp


def mean_times(D):
    """Mean time to absorption of every state of the passage chain, NaN elsewhere."""
    states, Q = np.flatnonzero(D.chain.states), D.chain.in_range().generator()
    tau = np.full(D.grid.n_cells, np.nan)
    tau[states] = spsolve(-Q[states][:, states].tocsc(), np.ones(states.size))
    return tau


@pytest.mark.parametrize("scheme", ["recommended", "scharfetter-gummel", "quadrature/node", "midpoint/cell"])
def test_the_mean_time_to_a_disc_is_of_order_two(scheme):
    # f = r^2/2: tau(r) = log(r/a)
    errors = []
    for n in (32, 64, 128):
        D = fp.FokkerPlanck(fp.Potential("(x**2 + y**2)/2"), 0.3, fp.Grid([(-3, 3)] * 2, (n, n)),
                            scheme=scheme, absorbing=fp.Ball([0, 0], 0.5))
        r = np.hypot(*np.moveaxis(D.grid.points, -1, 0)).ravel()
        ring = np.abs(r - 1.2) < 0.25
        errors.append(np.abs(mean_times(D)[ring] / np.log(r[ring] / 0.5) - 1).max())
    assert errors[-1] < 3e-3 and np.log2(errors[0] / errors[2]) > 3.2


def test_an_aligned_half_plane_between_nodes_is_of_order_two():
    exact = lambda x: quad(lambda s: np.exp(s * s / 0.6) / 0.3 * quad(lambda u: np.exp(-u * u / 0.6), -2,
                                                                      s)[0], x, 1.03)[0]
    errors = []
    for n in (16, 32, 64):
        D = fp.FokkerPlanck(fp.Potential("(x**2 + y**2)/2"), 0.3, fp.Grid([(-2, 2)] * 2, (n, 10)),
                            absorbing=fp.HalfSpace([1, 0], 1.03))
        tau, x = mean_times(D).reshape(n, 10), D.grid.centres[0]
        i = np.argmin(abs(x + 0.5))
        errors.append(abs(tau[i, 5] / exact(x[i]) - 1))
    assert errors[-1] < 2e-3 and np.log2(errors[0] / errors[2]) > 3


def test_a_region_at_the_wall_makes_that_wall_absorbing_and_no_other():
    D = fp.FokkerPlanck(fp.Potential("x**2 + y**2"), 1.0, fp.Grid([(-1, 1), (-1, 0.9)], (8, 6)),
                        absorbing=fp.HalfSpace([0, 1], 0.9))
    killed = (D.ground > 0).reshape(8, 6)
    assert killed[:, -1].all() and not killed[:, :-1].any()
    assert imbalance(D) <= 4
    rows = np.asarray(D.generator.sum(1)).reshape(8, 6)
    assert (rows[:, -1] < 0).all() and np.abs(rows[:, :-1]).max() < 1e-12


def test_both_walls_of_a_line_can_absorb():
    # tau(x) of flat diffusion with theta = 1: (1 - x^2)/2
    D = fp.FokkerPlanck(fp.Potential("0*x"), 1.0, fp.Grid([(-1, 1)], 10),
                        absorbing=~fp.Box([(-0.9999999, 0.9999999)]))
    x = D.grid.centres[0]
    np.testing.assert_allclose(mean_times(D), (1 - x**2) / 2, rtol=3e-6)


def test_cut_cells_carry_the_gibbs_mass_outside_the_set():
    region = fp.Ball([0.1, -0.05], 0.62)
    D = fp.FokkerPlanck(fp.Potential("(x**2 + y**2)/2"), 0.3, fp.Grid([(-2, 2)] * 2, (30, 30)),
                        absorbing=region, scheme="quadrature/cell")
    chain = np.log(np.exp(D.chain.log_mass).sum()) + D.chain.shift - D._cell_masses.log_total
    outside = 1 - float(D.probability(region))
    # cells whose centre is inside lose their part outside
    centres = region.contains(D.grid.points)
    lost = (D.gibbs.values * D.grid.volumes)[centres].sum() - float(D.probability(region
                                                                                  & fp.Box([(-2, 2)] * 2)))
    assert np.exp(chain) <= outside and np.exp(chain) > outside - 0.05
    assert abs(lost) < 0.05


def test_a_killed_diffusion_adds_regions():
    V, grid = fp.Potential("x**2"), fp.Grid([(-2, 2)], 20)
    D = fp.FokkerPlanck(V, 1.0, grid).killed(fp.HalfSpace([1], 1.5)).killed(fp.HalfSpace([-1], 1.5))
    assert (D.ground > 0).sum() == 2 and np.isneginf(D.log_mass[[0, 1, -1]]).all()


def test_absorption_in_a_tensor_medium_stays_balanced_and_kills_all_round():
    D = fp.FokkerPlanck(fp.Potential("x**2 + y**2"), 0.5, fp.Grid([(-2, 2)] * 2, (21, 21)),
                        mobility=[[2, 0.9], [0.9, 1]], absorbing=fp.Ball([0, 0], 0.7))
    assert imbalance(D) <= 4
    assert np.isfinite(mean_times(D)[np.isfinite(D.log_mass)]).all()


@pytest.mark.parametrize("region, words", [
    (fp.Ball([9.0, 0.0], 0.1), "selects no cell centre and no wall"),
    (fp.Ball([0.0, 0.0], 9.0), "covers every cell"),
    (fp.Ball([0.0], 1.0), "dimension"), (0.3, "Region"),
])
def test_an_absorbing_region_that_makes_no_sense_is_refused(region, words):
    with pytest.raises((ValueError, TypeError), match=words):
        _ = fp.FokkerPlanck(fp.Potential("x**2 + y**2"), 1.0, fp.Grid([(-1, 1)] * 2, (6, 6)),
                            absorbing=region).generator


@pytest.mark.parametrize("seed", range(10))
def test_edges_of_a_full_tensor_end_where_the_boundary_cuts_them(seed):
    """From an ellipse x' M^-1 x < 1 free diffusion with the tensor M exits after (1 - x' M^-1 x)/(2 d theta):
    edges at full length would make the ellipse wider by half a cell, 3 % and more."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(2, 2))
    M, theta = a @ a.T + 0.3 * np.eye(2), rng.uniform(0.3, 2)
    N = np.linalg.inv(M)
    ellipse = fp.Potential(f"{N[0, 0]}*x**2 + {2 * N[0, 1]}*x*y + {N[1, 1]}*y**2")
    b = 1.15 * np.sqrt(np.diag(M))
    D = fp.FokkerPlanck(fp.Potential("0*x + 0*y"), theta, fp.Grid([(-b[0], b[0]), (-b[1], b[1])], (24, 24)),
                        mobility=M)
    tau = D.mfpt(~fp.Sublevel(ellipse, 1.0))
    for x in ([0.0, 0.0], 0.3 * b * rng.uniform(-1, 1, 2)):
        truth = (1 - float(ellipse(np.array(x)))) / (4 * theta)
        assert abs(tau.at(x) / truth - 1) < 6e-3 and abs(tau.at(x) - truth) <= tau.at(x).error
