"""Quasi-stationary distributions beside the lowest eigenfunctions that are known."""
import numpy as np
from scipy.special import j0

import fpkit as fp


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
