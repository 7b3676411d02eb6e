"""Potentials and temperatures that move, beside walls, with tensors, and held at one moment."""
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp
from scipy.stats import norm

import fpkit as fp


def test_paths_below_a_bound_that_falls_follow_bachelier_and_levy():
    """Brownian motion from 0 under the bound a - c t: S = Phi((a - c t)/r) - exp(a c/theta) Phi((-a - c
    t)/r), r^2 = 2 theta t. In y = (x - m)/s between the bound and -L the bounds stand still, the potential is
    m' y/s + s' y^2/(2 s) at the temperature theta/s^2."""
    theta, a, c, L = 0.5, 1.0, 0.3, 5.0
    s, t = f"(({a + L} - {c}*t)/2)", np.array([0.5, 1.5])
    V = fp.Potential(f"-{c / 2}*x/{s} - {c / 2}*x**2/(2*{s})")
    D = fp.FokkerPlanck(V, lambda time: theta / ((a + L - c * time) / 2) ** 2, fp.Grid([(-1.1, 1.1)], 88),
                        absorbing=~fp.Box([(-1, 1)]))
    E = D.evolve([-(a - L) / (a + L)], t, tol=1e-4)
    r = np.sqrt(2 * theta * t)
    exact = norm.cdf((a - c * t) / r) - np.exp(a * c / theta) * norm.cdf((-a - c * t) / r)
    left = np.array([E.probabilities(k).sum() for k in range(t.size)])
    assert (np.abs(left - exact) <= E.error + 1e-4).all() and E.error.max() < 0.03
    assert np.abs(left - exact).max() < 2e-3 < np.abs(left - left[::-1]).max()


def test_a_mean_that_is_drawn_round_obeys_its_equation_with_a_full_mobility():
    M = np.array([[1.0, 0.3], [0.3, 0.8]])
    V = fp.Potential("(x - sin(3*t))**2/2 + y**2/2 + 0.3*x*y")
    grid, times = fp.Grid([(-4, 4)] * 2, (40, 40)), [0.3, 1.0]
    E = fp.FokkerPlanck(V, 0.5, grid, mobility=M).evolve([0.2, 0.0], times, tol=1e-3)
    slope = lambda t, y: -M @ ([[1, 0.3], [0.3, 1]] @ y - [np.sin(3 * t), 0])
    exact = solve_ivp(slope, (0, 1), [0.2, 0.0], t_eval=times, rtol=1e-10).y.T
    mean = np.array([np.tensordot(d, grid.points, 2) for d in E.densities]) * grid.volumes.flat[0]
    assert_allclose(mean, exact, atol=3e-3)


@pytest.mark.parametrize("options", [{}, {"force": "(0.3*y, -0.2*x)"}, {"mobility": [[1, 0.2], [0.2, 1]]}])
def test_what_is_held_at_one_moment_stands_still_in_every_question(options):
    t = 0.7
    text = "(x**2 - 1)**2 + y**2 + {}*x + 0.5*{}*y"
    grid = fp.Grid([(-2, 2), (-2, 2)], (18, 16))
    held = fp.FokkerPlanck(fp.Potential(text.format("sin(2*t)", "t")), lambda s: 0.5 + 0.1 * s, grid,
                           **options).at(t)
    still = fp.FokkerPlanck(fp.Potential(text.format(float(np.sin(2 * t)), t)), 0.5 + 0.1 * t, grid,
                            **options)
    A, B = fp.Ball([-1, 0], 0.4), fp.Ball([1, 0], 0.4)
    for ask in (lambda D: D.mfpt(B).values, lambda D: D.committor(A, B).values,
                lambda D: D.on(fp.Grid([(-2, 2), (-2, 2)], (16, 16))).mfpt(B).values,
                lambda D: D.stationary().density.values,
                lambda D: D.killed(B).evolve([0, 0], [0.4]).densities,
                lambda D: D.evolve([0.1, 0.2], [0.5]).densities, lambda D: D.spectrum(2).eigenvalues):
        assert_allclose(np.asarray(ask(held), complex), np.asarray(ask(still), complex), rtol=1e-9, atol=1e-9)
    assert not held.process.is_moving


def test_paths_of_a_process_held_at_one_moment_are_those_of_the_potential_that_stands():
    held = fp.Diffusion(fp.Potential("(x - 3*sin(2*t))**2/2"), 0.4, force=("cos(t)*x",)).at(0.7)
    a, b = float(np.sin(1.4)), float(np.cos(0.7))
    still = fp.Diffusion(fp.Potential(f"(x - 3*{a!r})**2/2"), 0.4, force=(f"{b!r}*x",))
    ends = [fp.simulate(process, x0=[0.0], dt=0.01, n_steps=200, n_paths=40, seed=1).x[:, -1]
            for process in (held, still)]
    assert_allclose(*ends, rtol=1e-9)


def test_times_and_rates_of_a_process_that_moves_are_refused():
    A, B = fp.HalfSpace([-1], 1.0), fp.HalfSpace([1], 1.0)
    for theta, text in ((0.5, "(x - sin(t))**2/2"), (lambda t: 0.5 / (1 + t), "x**2/2")):
        D = fp.FokkerPlanck(fp.Potential(text), theta, fp.Grid([(-3, 3)], 40))
        for ask in (lambda: D.mfpt(B), lambda: D.committor(A, B), lambda: D.rate(A, B),
                    lambda: D.exit_rate(B), lambda: D.spectrum(2), lambda: D.quasi_stationary(B)):
            with pytest.raises(ValueError, match=r"D\.at\(t\)"):
                ask()
        assert D.at(1.0).mfpt(B).values.max() > 0 and D.gibbs.integral() == pytest.approx(1)
