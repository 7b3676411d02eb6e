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


def test_curvatures_of_pits_as_narrow_as_the_samples_are_not_stated():
    """Pits in space of .7 to 4 samples: what is stated lies within a fifth, and wide ones are answered."""
    from fpkit.landscapes.surface.harmonic import curvatures
    from fpkit.landscapes.surface.landscape import Landscape

    rng, x, answered = np.random.default_rng(5), np.linspace(-1, 1, 15), []
    for width in np.geomspace(0.1, 0.6, 40):
        centre = rng.uniform(-0.3, 0.3, 3)
        z, y, at = np.meshgrid(x - centre[2], x - centre[1], x - centre[0], indexing="ij")
        loss = -np.exp(-(at**2 + y**2 + z**2) / (2 * width**2))
        valid = np.ones(loss.shape, bool)
        land = Landscape("a", "train_loss", (x, x, x), loss, {"train_loss": loss}, {}, valid, ~valid, ~valid)
        found = curvatures(land, land.minimum_index)
        if found is not None:
            answered.append(width)
            assert np.abs(found * width**2 - 1).max() < 0.2
    assert 0.2 < min(answered) < 0.4 and len(answered) > 10


def test_the_value_of_another_quantity_at_the_minimum_lies_within_its_error():
    """300 random pairs of surfaces, beside the minimum of the first by descent."""
    from scipy.optimize import minimize

    from fpkit.landscapes.surface.harmonic import value_at_minimum
    from fpkit.landscapes.surface.landscape import Landscape

    rng, off = np.random.default_rng(18), []
    for _ in range(300):
        (n, m), a = rng.integers(15, 60, 2), rng.uniform(-1, 1, 8)
        f = lambda x, y, a=a: ((x**2 - 1) ** 2 * (1 + 0.3 * a[0]) + 0.1 * a[3] * np.cos(3 * x + 2 * y)
                               + (0.6 + 0.5 * abs(a[1])) * (y - 0.3 * a[2] * x) ** 2 + 0.1 * a[4] * x)
        g = lambda x, y, a=a, f=f: f(x - 0.3 * a[5], y - 0.3 * a[6]) + 0.3 * a[7] * np.sin(2 * x - y)
        x, y = np.linspace(-1.9 + 0.1 * a[3], 1.9, n), np.linspace(-1.6, 1.7, m)
        loss = f(x, y[:, None])
        valid = np.ones(loss.shape, bool)
        land = Landscape("a", "train_loss", (x, y), loss, {"train_loss": loss}, {}, valid, ~valid, ~valid)
        minimum = minimize(lambda v, f=f: f(*v), land.point(land.minimum_index), tol=1e-12).x
        value, error = value_at_minimum(land, g(x, y[:, None]), land.minimum_index)
        off.append(abs(value - g(*minimum)) / error)
    assert 0.5 < max(off) < 1 and np.median(off) > 1 / 20
