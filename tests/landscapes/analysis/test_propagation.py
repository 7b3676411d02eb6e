"""The density from any height: against the matrix exponential, the exact mean of a quadratic, and mass."""
import numpy as np
import pytest
from scipy.linalg import expm

import fpkit as fp
from fpkit.landscapes.analysis.propagation import propagated
from fpkit.landscapes.analysis.sampled_chain import SampledDiffusion
from fpkit.landscapes.files.writing import write_landscape


def surface(path, x, y, loss):
    return fp.read_landscape(write_landscape(path / "a.h5", x, y, {"train_loss": loss}, gram=np.eye(2)))


def test_implicit_steps_equal_the_matrix_exponential(tmp_path):
    x, y = np.linspace(-1.5, 1.5, 9), np.linspace(-1, 1, 6)
    chain = SampledDiffusion(surface(tmp_path, x, y, (x**2 - 1) ** 2 + 0.3 * x + y[:, None] ** 2), 0.3,
                             highest=np.inf)
    a, b, forth, back = chain.rates()
    K = np.zeros((54, 54))
    np.add.at(K, (np.r_[b, a], np.r_[a, b]), np.r_[forth, back])
    K -= np.diag(K.sum(0))
    weights = np.exp(chain.log_mass)
    gibbs, start, times = weights / weights.sum(), np.eye(54)[3], np.geomspace(1e-3, 30, 12)
    assert np.abs(K @ gibbs).max() < 1e-12 * np.abs(K).max()
    found = propagated(chain, start, times, gibbs, 0.0)
    for p, t in zip(found, times):
        assert 0.5 * np.abs(p - expm(t * K) @ start).sum() < 5e-3 and p.sum() == pytest.approx(1, abs=1e-12)
        assert (p >= 0).all()


@pytest.mark.parametrize("theta", [0.1, 0.02])
def test_a_start_thousands_of_theta_up_descends_as_fast_as_it_should(tmp_path, theta):
    """f = (x - 15)^2/2 from 0: mean 15 (1 - exp(-t)), 1125 and 5625 theta above the well."""
    x, y = np.linspace(-1, 31, 161), np.linspace(-2, 2, 9)
    land = surface(tmp_path, x, y, (x - 15) ** 2 / 2 + y[:, None] ** 2 / 2)
    motion = fp.analyse(land, theta=theta, start=[0, 0], n_paths=4).dynamics
    p = motion.density * land.volumes
    mean = (p * x).reshape(len(p), -1).sum(axis=1)
    exact = 15 * (1 - np.exp(-motion.times))
    assert np.abs(mean - exact).max() < 0.01 * 15 and motion.distance[-1] < 0.01
    assert motion.mass == pytest.approx(1)


def test_cliffs_of_any_height_leave_finite_rates(tmp_path):
    x = np.linspace(-1, 1, 7)
    loss = np.where(np.abs(x) > 0.9, 1e35, x**2) + x[:, None] ** 2
    chain = SampledDiffusion(surface(tmp_path, x, x, loss), 1e-3, highest=np.inf)
    assert all(np.isfinite(r).all() for r in chain.rates()[2:])
