"""Densities over time and spectra of driven processes, against the Gaussian of a linear drift."""
import numpy as np
import pytest
import scipy.linalg as la

import fpkit as fp

K, D = np.array([[1.0, 1.5], [-0.9, 1.2]]), np.diag([1.0, 0.4])
S = la.solve_continuous_lyapunov(K, 2 * D)
START, WIDTH = np.array([0.5, 0.3]), 0.4


def linear(n):
    drift = lambda x, y: (-K[0, 0] * x - K[0, 1] * y, -K[1, 0] * x - K[1, 1] * y)
    grid = fp.Grid([(-5.5 * s, 5.5 * s) for s in np.sqrt(np.diag(S))], (n, n))
    return fp.FokkerPlanck(fp.Diffusion.from_sde(drift, np.diag(D)), grid=grid)


def exact(t, grid, n=4):
    """Cell averages of the Gaussian at time t."""
    E = la.expm(-K * t)
    C = E @ (WIDTH**2 * np.eye(2) - S) @ E.T + S
    fine = grid.refined(n)
    x = fine.points - E @ START
    p = np.exp(-0.5 * np.einsum("xyi,ij,xyj->xy", x, np.linalg.inv(C), x))
    p = p.reshape(grid.shape[0], n, grid.shape[1], n).sum((1, 3))
    return p / p.sum() / grid.volumes


def test_a_gaussian_turns_and_relaxes_within_the_stated_error():
    F, times = linear(32), [0.05, 0.5, 2.0, 20.0]
    run = F.evolve((START, WIDTH), times)
    assert run.status == "ok" and (run.densities >= 0).all()
    assert np.abs(run.mass - 1).max() < 1e-12
    for t, u, bound in zip(times, run.densities, run.error):
        error = (np.abs(u - exact(t, F.grid)) * F.grid.volumes).sum()
        assert error <= bound < 0.2
    assert run.error[-1] < 5e-3 and run.time_error.max() < 1e-5


@pytest.mark.filterwarnings("ignore::fpkit.ResolutionWarning")
def test_noise_across_the_axes_may_be_of_order_one_and_its_error_knows():
    """Grids that still agree on order 2 let order 1 through."""
    K, D = np.array([[1.30, 0.55], [-0.35, 0.95]]), np.array([[0.377, 0.510], [0.510, 1.188]])
    S = la.solve_continuous_lyapunov(K, 2 * D)
    grid = fp.Grid([(-7 * s, 7 * s) for s in np.sqrt(np.diag(S))], (32, 32))
    drift = lambda x, y: (-K[0, 0] * x - K[0, 1] * y, -K[1, 0] * x - K[1, 1] * y)
    run = fp.FokkerPlanck(fp.Diffusion.from_sde(drift, D), grid=grid).evolve((START, WIDTH), [0.3, 1.0, 20.0])
    fine = grid.refined(4)
    for t, u, bound in zip(run.times, run.densities, run.error):
        E = la.expm(-K * t)
        C, x = E @ (WIDTH**2 * np.eye(2) - S) @ E.T + S, fine.points - E @ START
        p = np.exp(-0.5 * np.einsum("xyi,ij,xyj->xy", x, np.linalg.inv(C), x))
        p = p.reshape(32, 4, 32, 4).sum((1, 3)) / p.sum()
        true = np.abs(u * grid.volumes - p).sum()
        assert 0.005 < true <= bound < 40 * true


def test_any_length_of_step_tends_to_the_stationary_state():
    F = linear(16)
    run = F.evolve(START, [1e3, 1e12], order=2)
    chain = F._remember(("driven level",), lambda: None) or F.stationary()
    assert (np.abs(run.densities[0] - run.densities[1]) * F.grid.volumes).sum() < 1e-9
    assert (np.abs(run.densities[1] - chain.density.values) * F.grid.volumes).sum() <= run.error[1]
    assert run.steps["coupled"] < 600 and abs(run.mass[-1] - 1) < 1e-12


def test_positive_steps_keep_every_density_positive_and_fixed_steps_are_counted():
    F = linear(12)
    run = F.evolve(START, [0.1, 1.0], positive=True)
    assert (run.densities > 0).all() and run.time_error.max() < 0.02
    few = F.evolve((START, WIDTH), [0.1, 1.0], n_steps=4, order=2)
    assert few.steps["strang"] + few.steps["coupled"] == 8 and np.isnan(few.time_error).all()


def test_absorbed_probability_is_lost_at_the_rate_of_exit():
    F = linear(20).killed(fp.HalfSpace([1, 0], 1.0))
    run = F.evolve((START - [1.0, 0], 0.2), [4.0, 5.0], order=2)
    lost = np.log(run.mass[0] / run.mass[1])
    assert lost == pytest.approx(float(linear(20).exit_rate(fp.HalfSpace([1, 0], 1.0))), rel=2e-3)


def test_a_rotating_linear_drift_has_its_complex_spectrum():
    """lambda = sums of the eigenvalues of K."""
    one = np.linalg.eigvals(K)
    wanted = sorted([0, *one, *(2 * one), one.sum()], key=lambda z: (round(z.real, 9), -z.imag))
    found = linear(32).spectrum(6)
    assert np.iscomplexobj(found.eigenvalues)
    for z in wanted:
        k = np.argmin(np.abs(found.eigenvalues - z))
        assert abs(found.eigenvalues[k] - z) <= found.errors[k] + 1e-12
        assert found.errors[k] < 0.3 * abs(z) + 1e-12
    assert found[1].inputs["imaginary"] == pytest.approx(-found[2].inputs["imaginary"])
    assert "i +-" in repr(found) and found.to_dict()["imaginary"][0] == 0


def test_the_slow_eigenvalue_of_two_wells_keeps_its_digits():
    """The spectral gap is the sum of both rates up to what is fast; here far below rounding of the matrix."""
    V = fp.Potential("(x**2 - 1)**2 + y**2")
    grid = fp.Grid([(-1.7, 1.7), (-1.2, 1.2)], (28, 18))
    F = fp.FokkerPlanck(V, 0.03, grid, force=fp.Rotation("-0.03"))
    gap = F.spectrum(2).eigenvalues[1]
    A, B = fp.Ball([-1, 0], 0.4), fp.Ball([1, 0], 0.4)
    assert 1e-18 < gap < 1e-12
    assert gap == pytest.approx(float(F.rate(A, B)) + float(F.rate(B, A)), rel=1e-3)


def test_what_moves_is_left_to_paths():
    F = fp.FokkerPlanck(fp.Potential("x**2 + y**2"), 0.5, fp.Grid([(-3, 3)] * 2, (12, 12)), force="(t*y, -x)")
    with pytest.raises(ValueError, match="known to paths only"):
        F.evolve([0.0, 0.0], [1.0])
