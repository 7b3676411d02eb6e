"""Stationary states of driven processes against answers found another way, on problems drawn at random."""
import numpy as np
import pytest
import scipy.linalg as la
from numpy.testing import assert_allclose

import fpkit as fp
from fpkit.fokker_planck.driven.stationary import _Level


def linear(seed):
    """dX = -K X dt + noise with two temperatures: K, D, covariance, entropy production, and J = R x p."""
    rng = np.random.default_rng(seed)
    K = np.array([[1.0, 0.0], [0.0, 1.0]]) + rng.uniform(-0.6, 0.6, (2, 2))
    D = np.diag(rng.uniform(0.3, 1.5, 2))
    S = la.solve_continuous_lyapunov(K, 2 * D)
    R = -K + D @ np.linalg.inv(S)
    return K, D, S, float(np.trace(R.T @ np.linalg.inv(D) @ R @ S)), R


def text_of(K):
    return f"({-K[0, 0]:.17g}*x + {-K[0, 1]:.17g}*y, {-K[1, 0]:.17g}*x + {-K[1, 1]:.17g}*y)"


def solved(seed, n, sigmas=6.5):
    K, D, S, rate, R = linear(seed)
    grid = fp.Grid([(-sigmas * s, sigmas * s) for s in np.sqrt(np.diag(S))], (n, n))
    F = fp.FokkerPlanck(fp.Diffusion.from_sde(text_of(K), np.diag(D)), grid=grid)
    x = grid.points
    p = np.exp(-0.5 * np.einsum("xyi,ij,xyj->xy", x, np.linalg.inv(S), x)) / (
        2 * np.pi * np.sqrt(np.linalg.det(S)))
    return F, F.stationary(), p, S, rate, R


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_temperatures_and_a_rotation_give_the_gaussian_of_lyapunovs_equation(seed):
    F, state, p, S, rate, R = solved(seed, 36)
    volumes = F.grid.volumes
    assert state.density.values.min() > 0
    assert (state.density.values * volumes).sum() == pytest.approx(1, abs=1e-13)
    assert (np.abs(np.exp(state.log_density.values) - p) * volumes).sum() < 5e-5
    bulk = p > 1e-4 * p.max()
    assert (np.abs(state.log_density.values - np.log(p)) <= state.log_density.error)[bulk].all()
    assert (np.abs(state.density.values - p) <= state.density.error)[bulk].all()
    for i, j, text in ((0, 0, "x**2"), (0, 1, "x*y"), (1, 1, "y**2")):
        found = state.expectation(text)
        assert abs(found - S[i, j]) <= found.error < 0.01
    ep = state.entropy_production
    assert abs(ep - rate) <= ep.error < 2e-3 * rate + 1e-5
    J = (F.grid.points @ R.T) * p[..., None]
    assert np.abs(state.current.vector - J).max() < 2e-2 * np.abs(J).max()
    assert np.abs(state.current.divergence).max() < 1e-13
    assert not state.is_gibbs and "broken" in state.is_gibbs.sentence


def test_the_limit_is_of_order_four():
    error = [(np.abs(np.exp(s.log_density.values) - p) * F.grid.volumes).sum()
             for F, s, p, *_ in (solved(1, n, 7.0) for n in (16, 24, 36))]
    orders = np.log(np.array(error[:-1]) / error[1:]) / np.log(1.5)
    assert (orders > 3.5).all(), (error, orders)


@pytest.mark.parametrize("theta", [0.2, 0.02])
@pytest.mark.parametrize("psi, mobility", [(-0.7, None), ("0.2*x*y", [1.0, 0.3])], ids=["levels", "function"])
def test_a_rotation_keeps_gibbs_to_rounding_at_any_temperature(theta, psi, mobility):
    V = fp.Potential("(x**2 - 1)**2/4 + y**2/2 + 0.3*x*y")
    D = fp.FokkerPlanck(V, theta, fp.Grid([(-2.5, 2.5)] * 2, (30, 34)), mobility, force=fp.Rotation(psi))
    state = D.stationary()
    g = fp.FokkerPlanck(V, theta, D.grid, mobility).gibbs
    assert (np.abs(np.exp(state.log_density.values) - g.values) * D.grid.volumes).sum() < 1e-13
    assert state.is_gibbs and (state.density.values == g.values).all() and (D.gibbs.values == g.values).all()
    assert np.abs(state.current.divergence).max() < 1e-13 * np.abs(state.current.flow).max()


def test_the_same_force_given_as_it_is_keeps_gibbs_to_its_order_and_says_so():
    V = fp.Potential("(x**2 - 1)**2/4 + y**2/2 + 0.3*x*y")
    grid, w, theta = fp.Grid([(-2.5, 2.5)] * 2, (30, 30)), 0.7, 0.2
    force = f"({w}*(y + 0.3*x), {-w}*(x*(x**2 - 1) + 0.3*y))"
    state = fp.FokkerPlanck(V, theta, grid, force=force).stationary()
    exact = fp.FokkerPlanck(V, theta, grid, force=fp.Rotation(-w * theta)).stationary()
    gap = np.abs(state.log_density.values - np.log(exact.density.values))
    centre = exact.density.values > 1e-3 * exact.density.values.max()
    assert 1e-9 < (np.abs(np.exp(state.log_density.values) - np.exp(
        -(V(grid.points) - V(grid.points).min()) / theta) / np.exp(
        -(V(grid.points) - V(grid.points).min()) / theta).sum() / grid.volumes) * grid.volumes).sum() < 2e-4
    assert np.isfinite(gap[centre]).all()
    a, b = state.entropy_production, exact.entropy_production
    assert abs(a - b) <= a.error + b.error


def test_a_force_that_is_zero_leaves_the_gibbs_density_at_the_nodes():
    V = fp.Potential("(x**2 - 1)**2 + y**2*(1 + x/4)")
    for mobility in (None, [2.0, 0.5], "1 + x**2/4", [[1.0, 0.4], [0.4, 0.5]]):
        grid = fp.Grid([(-2, 2)] * 2, (20, 22))
        state = fp.FokkerPlanck(V, 0.1, grid, mobility, force="(0*x, 0)").stationary()
        logs = state.log_density.values + V(state.grid.points) / 0.1
        assert np.ptp(logs) < 1e-11
        assert state.entropy_production < 1e-12 and state.is_gibbs


@pytest.mark.parametrize("mask", [lambda p: p[..., 0]**2 + p[..., 1]**2 < 3.6, lambda p: p[..., 0] < 0.69])
def test_cell_averages_beside_a_mask_are_those_of_the_density(mask):
    V = fp.Potential("(x**2 - 1)**2 + 2*y**2 + 0.3*x*y")
    grid = fp.Grid([(-2.3, 2.3), (-2, 2)], (40, 36), mask=mask)
    F = fp.FokkerPlanck(V, 0.2, grid, force="(0*y, 0*x)")
    found, exact = F.stationary().density, F.gradient_twin.gibbs.values
    away = (np.abs(found.values - exact) * grid.volumes).sum()
    assert away <= (found.error * grid.volumes).sum() and away < 5e-3


def test_on_a_tilted_torus_theta_times_the_entropy_production_is_the_work():
    """Exact on any mesh: F . v = theta sigma; and the velocity without coupling is Stratonovich's."""
    turn = 2 * np.pi
    for a, force in ((0.0, [0.4, 0.0]), (0.6, [0.7, -0.3])):
        D = fp.FokkerPlanck(fp.Potential(f"cos(x) + cos(y) + {a}*cos(x - y)"), 0.5,
                            fp.Grid([(0, turn)] * 2, (16, 18), periodic=True), force=force)
        state = D.stationary()
        work = sum(f * float(v) for f, v in zip(force, state.velocity))
        assert 0.5 * state.entropy_production == pytest.approx(work, rel=1e-11)
    ring = fp.FokkerPlanck(fp.Potential("cos(x)"), 0.5, fp.Grid([(0, turn)], (16,), periodic=True))
    torus = fp.Grid([(0, turn)] * 2, (24, 24), periodic=True)
    D = fp.FokkerPlanck(fp.Potential("cos(x) + cos(y)"), 0.5, torus, force=[0.4, 0.0])
    v = D.stationary().velocity
    assert abs(v[0] - ring.velocity(0.4)) <= v[0].error < 1e-4
    assert abs(v[1]) <= v[1].error


def test_wells_whose_weights_differ_by_hundreds_of_decades_keep_their_ratio():
    """A constant force between walls is a gradient: the exact weights of two wells."""
    grid = fp.Grid([(-1.6, 1.6), (-0.6, 0.6)], (64, 24))
    D = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2 + y**2"), 0.006, grid, force=[0.3, 0.0])
    state = D.stationary()
    f = lambda p: (p[..., 0]**2 - 1)**2 + p[..., 1]**2 - 0.3 * p[..., 0]
    logs = state.log_density.values + f(D.grid.points) / 0.006
    assert state.log_density.values.min() < -500 and np.ptp(logs) < 1e-9


def test_maier_steins_quasi_potential_of_the_gradient_case():
    """alpha = 1: U(saddle) = 1/4 exactly, as the slope of log p in 1/theta."""
    at = []
    for theta in (0.02, 0.01):
        grid = fp.Grid([(-1.6, 1.6), (-0.9, 0.9)], (65, 45))
        D = fp.FokkerPlanck(fp.Diffusion.from_sde("(x - x**3 - x*y**2, -(1 + x**2)*y)", theta), grid=grid)
        state = D.stationary()
        logs = state.log_density.values[:, 22]
        U = state.quasi_potential.values
        assert np.allclose(U, theta * (state.log_density.values.max() - state.log_density.values))
        at.append(float(logs.max() - np.interp(0.0, grid.centres[0], logs)))
    assert at[1] - at[0] == pytest.approx(0.25 * (1 / 0.01 - 1 / 0.02), rel=3e-3)


def test_what_has_no_stationary_state_or_no_gibbs_density_says_so():
    V, grid = fp.Potential("x**2 + y**2"), fp.Grid([(-3, 3)] * 2, (12, 12))
    D = fp.FokkerPlanck(V, 0.5, grid, force="(y, -x)")
    for ask, words in ((lambda: D.gibbs, "stationary"), (lambda: D.free_energy(np.ones((12, 12))), "driven"),
                       (lambda: D.log_partition, "driven"), (lambda: D.chain, "driven"),
                       (lambda: D.capacity(fp.Ball([0, 0], 1), fp.HalfSpace([1, 0], 2.5)), "reversible"),
                       (lambda: fp.FokkerPlanck(V, 0.5, grid, scheme="sg", force="(y, -x)"), "scheme"),
                       (lambda: D.killed(fp.Ball([0, 0], 1)).stationary(), "quasi_stationary"),
                       (lambda: fp.FokkerPlanck(D.process, 0.5, grid), "already"),
                       (lambda: fp.FokkerPlanck(V, 0.5, grid, force=np.ones((3, 3, 2))), "cell centres")):
        with pytest.raises((ValueError, TypeError), match=words):
            ask()
    walls = fp.Grid([(-3, 3)] * 2, (12, 12), mask=lambda p: np.abs(p[..., 0]) > 1)
    with pytest.raises(ValueError, match="2 parts"):
        fp.FokkerPlanck(V, 0.5, walls, force="(y, -x)").stationary()


def test_a_process_and_its_short_form_are_the_same_density():
    V, grid = fp.Potential("x**2 + y**2"), fp.Grid([(-3, 3)] * 2, (16, 16))
    x, y = np.moveaxis(grid.points, -1, 0)
    states = [D.stationary() for D in (
        fp.FokkerPlanck(V, 0.5, grid, force="(y, -x)"),
        fp.FokkerPlanck(fp.Diffusion(V, 0.5, force=lambda x, y: (y, -x)), grid=grid),
        fp.FokkerPlanck(V, 0.5, grid, force=np.stack([y, -x], -1)))]
    for other in states[1:]:
        assert_allclose(other.log_density.values, states[0].log_density.values, atol=1e-9)


def test_a_direction_without_noise_is_carried_upwind_with_an_error_that_holds():
    """A damped oscillator: Maxwell-Boltzmann, of order 1 in the cell width."""
    theta, friction, gaps = 0.5, 1.0, []
    process = fp.Diffusion.from_sde(f"(y, -x - {friction}*y)", [0.0, friction * theta])
    for n in (16, 32):
        D = fp.FokkerPlanck(process, grid=fp.Grid([(-4, 4)] * 2, (n, n)))
        state, exact = D.stationary(), -(D.grid.points**2).sum(-1) / (2 * theta) - np.log(2 * np.pi * theta)
        bulk, wrong = exact > exact.max() - 7, np.abs(state.log_density.values - exact)
        assert (wrong <= state.log_density.error)[bulk].all()
        assert "one direction" in state.entropy_production.status
        gaps.append(wrong[bulk].max())
    assert gaps[1] < 0.65 * gaps[0]
    for wrong in (fp.Diffusion.from_sde("-x", 0.0), fp.Diffusion.from_sde("(y, -x)", [[1, 1], [1, 1]])):
        with pytest.raises(ValueError, match="directions without noise"):
            fp.FokkerPlanck(wrong, grid=fp.Grid([(-1, 1)] * wrong.ndim, (8,) * wrong.ndim))


@pytest.mark.parametrize("case", range(6))
def test_rounds_both_ways_are_those_of_the_chain_in_many_digits(case):
    """Net flow across each row of a chain whose stationary state was solved with 80 digits."""
    import mpmath as mp

    rng = np.random.default_rng(case)
    ndim = 3 if case == 5 else 2
    shape, theta = tuple(rng.integers(3, 6, ndim)) if ndim == 2 else (3, 3, 3), 10 ** rng.uniform(-2, -0.5)
    rings = [True, case % 3 > 0, True][:ndim]
    mask = rng.random(shape) > 0.15 if case == 4 else None
    text = " + ".join(f"cos({c})" for c in "xyz"[:ndim]) + " + 0.5*cos(x + y) + 0.2*sin(x - y)"
    D = fp.FokkerPlanck(fp.Potential(text), theta, fp.Grid([(0, 2 * np.pi)] * ndim, shape, rings, mask),
                        force=tuple(rng.uniform(-0.2, 0.2, ndim)))
    level = _Level(D)
    c, n = level.chain, level.chain.n
    with mp.workdps(80):
        Q = mp.zeros(n)
        for i, j, forth, back in zip(c.I, c.J, c.forth, c.back):
            Q[int(i), int(j)] += mp.mpf(float(forth))
            Q[int(j), int(i)] += mp.mpf(float(back))
        for i in range(n):
            Q[i, i] = -sum(Q[i, j] for j in range(n) if j != i)
        A, b = Q.T.copy(), mp.zeros(n, 1)
        A[0, :], b[0] = mp.ones(1, n), mp.mpf(1)
        p = mp.lu_solve(A, b)
        X = np.stack(np.unravel_index(c.ids, shape))
        for axis in np.flatnonzero(rings):
            first, then = (np.flatnonzero(X[axis] == k % shape[axis]).tolist() for k in (1, 2))
            flow = sum(p[i] * Q[i, j] - p[j] * Q[j, i] for i in first for j in then)
            up, down = level.rounds(axis)
            assert up > 0 and down > 0
            assert float(abs((mp.mpf(up) - mp.mpf(down)) - flow)) <= 1e-12 * (up + down)


def test_velocities_far_below_the_rounding_of_the_traffic_are_those_of_rings():
    """f = cos x + 1.5 cos y + .3 cos 2y on a torus, theta .03: 2 rings, known by Stratonovich's formula; the
    coordinates are not taken apart for a force that is a function."""
    F, theta, texts = (0.2, -0.1), 0.03, ("cos(x)", "1.5*cos(y) + 0.3*cos(2*y)")
    rings = [fp.FokkerPlanck(fp.Potential(t.replace("y", "x")), theta, fp.Grid([(0, 2 * np.pi)], 96, True),
                             force=(f,)).stationary() for t, f in zip(texts, F)]
    S = fp.FokkerPlanck(fp.Potential(" + ".join(texts)), theta, fp.Grid([(0, 2 * np.pi)] * 2, (48, 48), True),
                        force=F).stationary()
    for found, ring in zip(S.velocity, rings):
        v = ring.velocity[0]
        assert abs(found - v) <= found.error < 0.02 * abs(v) < 1e-15
    work = sum(r.entropy_production for r in rings)
    assert abs(S.entropy_production - work) <= S.entropy_production.error < 0.02 * work
