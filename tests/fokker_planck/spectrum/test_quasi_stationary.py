"""Quasi-stationary distributions beside the lowest eigenfunctions that are known."""
import numpy as np
import pytest
from scipy.special import j0

import fpkit as fp
from fpkit.fokker_planck.boundary_values import killed_chain


def test_the_quasi_stationary_density_of_a_disc_is_a_bessel_function():
    grid = fp.Grid([(-1.2, 1.2)] * 2, (48, 48))
    Q = fp.FokkerPlanck(fp.Potential("0*x + 0*y"), 1.0, grid).quasi_stationary(~fp.Ball([0, 0], 1.0))
    r = np.hypot(*np.meshgrid(*grid.centres, indexing="ij"))
    exact = np.where(r < 1, j0(2.404825557695773 * r), 0.0)
    exact /= (exact * grid.volumes).sum()
    inside = r < 0.9
    assert np.abs(Q.density.values - exact)[inside].max() < 0.02 * exact.max()


def test_the_quasi_stationary_density_of_a_harmonic_half_line_is_that_of_its_first_odd_mode():
    """f = x^2/2 with an end at 0: x exp(-x^2/2 theta), and the exit rate is 1."""
    theta, grid = 0.3, fp.Grid([(0, 4), (-3, 3)], (80, 30))
    D = fp.FokkerPlanck(fp.Potential("x**2/2 + y**2/2"), theta, grid)
    Q = D.quasi_stationary(fp.HalfSpace([-1, 0], -0.025))        # the first cells
    x = grid.centres[0]
    density = (Q.density.values * grid.widths[1]).sum(1)
    exact = np.maximum(x - 0.025, 0) * np.exp(-(x**2) / (2 * theta))
    exact /= (exact * grid.widths[0]).sum()
    assert np.abs(density - exact).max() < 0.03 * exact.max()


@pytest.mark.parametrize("seed", range(3))
def test_large_chains_are_answered_by_iteration_as_small_ones_by_elimination(monkeypatch, seed):
    """Also where two wells die equally slowly, so that plain inverse iteration stands still; and half the
    cells give a start that has not decided the answer."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(0.5, 2, 3)
    wells = "2*(x**2 - 1)**2" if seed == 0 else f"{a}*x**2 + 0.3*x*y"
    V, region = fp.Potential(f"{wells} + {b}*y**2 + {c}*z**2"), fp.Ball([0.2 * (seed > 0), 0, 1.1], 0.7)
    rate = lambda: fp.FokkerPlanck(V, 0.3, fp.Grid([(-2, 2)] * 3, (16,) * 3)).quasi_stationary(region)
    exact = rate()
    monkeypatch.setattr(killed_chain, "ELIMINATED", {1: 10**9, 2: 100, 3: 100})
    iterated = rate()
    assert iterated.rate.value == pytest.approx(exact.rate.value, rel=3e-8)
    assert np.abs(iterated.density.values - exact.density.values).max() < 1e-7 * exact.density.values.max()
