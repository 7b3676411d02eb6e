"""Harmonic free energies of quadratic fits, beside Gaussian integrals."""
import numpy as np
import pytest

from fpkit.landscapes.surface.harmonic import QuadraticFit, harmonic_free_energy


def test_the_harmonic_free_energy_is_minus_theta_log_of_the_gaussian_integral():
    H = np.array([[2.0, 0.3], [0.3, 0.7]])
    fit = QuadraticFit(0.4, np.zeros(2), H, 0.1, 0)
    for theta in (0.05, 0.4):
        x = np.linspace(-9, 9, 1201) * np.sqrt(theta)
        X, Y = np.meshgrid(x, x)
        f = 0.4 + (H[0, 0] * X**2 + 2 * H[0, 1] * X * Y + H[1, 1] * Y**2) / 2
        exact = -theta * np.log(np.exp(-f / theta).sum() * (x[1] - x[0]) ** 2)
        value, error = harmonic_free_energy(fit, theta)
        assert value == pytest.approx(exact, rel=1e-9)
        assert error == pytest.approx(theta * 0.1 / 2)  # of a determinant known to a factor exp(.1)
