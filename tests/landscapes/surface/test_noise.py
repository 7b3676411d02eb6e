"""Noise of evaluation: recognised where it is, not seen where the surface is smooth, coarse or wild."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.files.writing import write_landscape

X = np.linspace(-1.5, 1.5, 51)
WELLS = (X**2 - 1) ** 2 + 0.2 * X + X[:, None] ** 2


def surface(path, loss, **more):
    x = np.linspace(-1.5, 1.5, loss.shape[1])
    return fp.read_landscape(write_landscape(path / "a.h5", x, x[:loss.shape[0]], {"train_loss": loss},
                                             **more))


@pytest.mark.parametrize("sigma", [0.003, 0.03, 0.3])
def test_white_noise_on_wells_is_measured(tmp_path, sigma):
    land = surface(tmp_path, WELLS + sigma * np.random.default_rng(1).normal(size=WELLS.shape))
    assert land.noise.sigma == pytest.approx(sigma, rel=0.1) and not land.noise.is_dominant


@pytest.mark.parametrize("loss", [WELLS, WELLS[::5, ::5], np.sin(14 * X) * np.cos(12 * X[:, None]),
                                  np.exp(40 * X**2) + WELLS, np.zeros((9, 9)), X[None, :9] + 0 * X[:9, None]])
def test_smooth_coarse_wild_and_flat_surfaces_carry_none(tmp_path, loss):
    land = surface(tmp_path, np.array(loss))
    assert land.noise.sigma == 0 and not land.noise.is_dominant


def test_pure_noise_is_the_headline_and_nothing_about_wells_is_firm(tmp_path):
    land = surface(tmp_path, np.random.default_rng(2).normal(size=(31, 31)), gram=np.eye(2))
    report = fp.analyse(land, n_paths=4)
    found = report.findings()
    assert land.noise.is_dominant and abs(land.noise.correlation) < 0.1
    assert found[0].topic == "noise" and "This surface is noise" in report.verdict()
    assert all(f.trust == "open" for f in found[1:])


def test_dents_of_noise_are_no_wells_and_real_wells_stay(tmp_path):
    noisy = WELLS + 0.03 * np.random.default_rng(3).normal(size=WELLS.shape)
    report = fp.analyse(surface(tmp_path, noisy, gram=np.eye(2)), n_paths=4)
    assert len(report.landscape.merge_tree()) > 10 and len(report.wells) == 2
    assert [np.sign(w.x[0]) for w in report.wells] == [-1, 1]
    assert report.findings()[0].topic == "noise" and report.findings()[1].trust == "rough"


def test_standard_errors_count_as_noise_only_where_the_surface_has_no_shape(tmp_path):
    errors = {"own": {"loss_stderr": np.full(WELLS.shape, 0.5)}}
    assert surface(tmp_path, WELLS, **errors).noise.sigma == 0


def test_noise_that_a_row_shares_is_measured(tmp_path):
    """Each row evaluated with a minibatch of its own: smooth along x, noise along y."""
    shared = 0.03 * np.random.default_rng(3).normal(size=(51, 1))
    land = surface(tmp_path, WELLS + shared)
    assert land.noise.sigma == pytest.approx(0.03, rel=0.4) and land.noise.source == "differences along y"


@pytest.mark.parametrize("step", [0.05, 0.1, 0.25])
def test_rounded_losses_carry_the_noise_of_rounding(tmp_path, step):
    land = surface(tmp_path, step * np.round(WELLS / step))
    assert land.noise.sigma == pytest.approx(step / np.sqrt(12), rel=0.5)
    assert next(f for f in fp.analyse(land, n_paths=2).findings() if f.topic == "wells").trust != "firm"


def test_losses_on_a_decimal_grid_are_not_rounded(tmp_path):
    x = np.round(np.linspace(-2, 2, 41), 10)
    for loss in (x**2 + x[:, None] ** 2, (x**2 - 1) ** 2 + x[:, None] ** 2 / 2, np.abs(x + x[:, None])):
        assert surface(tmp_path, loss).noise.sigma == 0


def test_a_surface_that_alternates_from_sample_to_sample_is_coarse_and_not_noise(tmp_path):
    i, j = np.indices((33, 41))
    land = surface(tmp_path, (i + j) % 2 + 0.01 * j)
    found = fp.analyse(land, n_paths=2).findings()
    assert land.noise.sigma == 0 and next(f for f in found if f.topic == "wells").trust == "open"


def test_losses_of_few_significant_digits_are_rounded(tmp_path):
    exact = 5 * WELLS + 1
    size = 10.0 ** np.floor(np.log10(exact))
    land = surface(tmp_path, np.round(exact / size, 1) * size)
    assert 0.01 < land.noise.sigma < 0.3


def bad_samples(loss, share, size, seed):
    rng = np.random.default_rng(seed)
    return loss + np.where(rng.random(loss.shape) < share, size * rng.choice([-1, 1], loss.shape), 0.0)


def random_surface(rng, ndim):
    n = rng.integers(9, 20, ndim) if ndim == 3 else rng.integers(15, 60, ndim)
    at = np.meshgrid(*[np.linspace(-1.5, 1.5, m) for m in n], indexing="ij")
    waves = sum(rng.normal() * np.cos(sum(rng.uniform(1, 4) * x for x in at) + rng.uniform(0, 6))
                for _ in range(4))
    loss = waves + (at[0] ** 2 - 1) ** 2
    return [loss, np.maximum(loss, loss.mean()), loss + abs(at[0] - 0.3 * at[-1]), loss * np.exp(3 * at[0])][
        rng.integers(4)]


@pytest.mark.parametrize("ndim, least", [(1, 0.5), (2, 0.65), (3, 0.4)])
def test_samples_that_stand_out_alone_are_found_and_ridges_and_kinks_are_none(ndim, least):
    from types import SimpleNamespace

    from fpkit.landscapes.surface.noise import outliers

    rng, found, wrong, all_bad = np.random.default_rng(7), 0, 0, 0
    land = lambda loss: SimpleNamespace(loss=loss, valid=np.isfinite(loss), wraps=None)
    for seed in range(40):
        loss = random_surface(rng, ndim)
        assert not outliers(land(loss)).any()
        broken = bad_samples(loss, 0.02, np.ptp(loss) / 4, seed)
        seen, bad = outliers(land(broken)) != 0, broken != loss
        found, wrong, all_bad = found + (seen & bad).sum(), wrong + (seen & ~bad).sum(), all_bad + bad.sum()
    assert found > least * all_bad and not wrong


def test_an_outlier_is_told_first_and_no_well_in_one_is_firm(tmp_path):
    broken = WELLS.copy()
    broken[25, 8] -= 1.0
    report = fp.analyse(surface(tmp_path, broken, gram=np.eye(2)), theta=[0.1, 0.2], n_paths=4)
    first, wells = report.findings()[:2]
    assert first.topic == "outliers" and "1 below" in first.sentence and first.sentence in report.verdict()
    assert wells.trust == "rough" and report.landscape.outliers[25, 8] == pytest.approx(-1.0, rel=0.05)
    assert all(f.trust != "firm" for f in report.findings())
