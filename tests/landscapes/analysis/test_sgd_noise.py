"""SGD with its measured noise on a plane: the covariance in the file, the report against known answers."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.analysis import sgd_noise
from fpkit.landscapes.analysis.sgd_noise import _NoiseField
from fpkit.landscapes.surface.landscape import Landscape
from validation.sgd_noise import Regression

PLANE = fp.Plane.from_directions(np.zeros(2), [1.0, 0.0], [0.0, 1.0])


def covariance(model, w):
    g = model.gradients(np.asarray(w))
    away = g - g.mean(0)
    return away.T @ away / len(g)


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    """The model and its landscape with noise, at a learning rate of 0.02 and batches of 2."""
    model = Regression()
    s = np.sqrt(np.diag(model.covariance(0.02, 2)))
    (x, y) = [(b - 6 * c, b + 6 * c, 9) for b, c in zip(model.best, s)]
    path = tmp_path_factory.mktemp("noise") / "plane.h5"
    return model, fp.export_landscape(path, model.loss, PLANE, x=x, y=y, noise=model.gradients,
                                      progress=False)


def test_the_file_holds_the_covariance_of_every_point(regression, tmp_path):
    model, land = regression
    assert land.gradient_noise.shape == (9, 9, 2, 2)
    for i, j in ((0, 0), (3, 7)):
        assert np.allclose(land.gradient_noise[i, j], covariance(model, land.point((i, j))), rtol=1e-12)
    again = fp.read_landscape(land.save(tmp_path / "again.h5"))
    assert (again.gradient_noise == land.gradient_noise).all()
    thin = fp.read_landscape(land.path, every=2)
    assert (thin.gradient_noise == land.gradient_noise[::2, ::2]).all()


def test_noise_in_an_oblique_plane_is_that_of_its_coordinates(tmp_path):
    model, A = Regression(), np.array([[2.0, 0.0], [1.0, 1.0]])
    plane = fp.Plane.from_directions(np.zeros(2), *A, orthonormal=False)
    land = fp.export_landscape(tmp_path / "oblique.h5", model.loss, plane, x=(-1, 1, 3), y=(-1, 1, 2),
                               noise=model.gradients, progress=False)
    assert np.allclose(land.gradient_noise[1, 2], A @ covariance(model, plane.at([1, 1])) @ A.T)


def test_models_tell_the_covariance_of_their_samples(tmp_path):
    linear = pytest.importorskip("sklearn.linear_model")
    model = Regression(n=40)
    fitted = linear.LinearRegression(fit_intercept=False).fit(model.X, model.y)
    ask = lambda name, what, plane, data: fp.export_landscape(
        tmp_path / name, what, plane, x=(-1, 1, 2), y=(-1, 1, 2), data=data, noise=True, progress=False)
    space = fp.Plane.from_directions(np.zeros(3), [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])        # and an intercept
    land = ask("sklearn.h5", fitted, space, (model.X, model.y))
    wanted = 4 * covariance(model, [1, -1])                       # squares, not halves of squares
    assert np.allclose(land.gradient_noise[0, 1], wanted, rtol=1e-7)
    torch = pytest.importorskip("torch")
    net = torch.nn.Linear(2, 1, bias=False).double()
    data = torch.tensor(model.X), torch.tensor(model.y)[:, None]
    assert np.allclose(ask("torch.h5", net, PLANE, data).gradient_noise[0, 1], wanted, rtol=1e-12)


def test_what_cannot_be_measured_is_refused(tmp_path):
    ask = lambda **k: fp.export_landscape(tmp_path / "no.h5", lambda w: float(w @ w), PLANE, x=(0, 1, 2),
                                          y=(0, 1, 2), progress=False, **k)
    with pytest.raises(ValueError, match="give noise=gradients"):
        ask(noise=True)
    with pytest.raises(ValueError, match="expected .n, 2. for at least two"):
        ask(noise=lambda w: np.ones(2))
    with pytest.raises(TypeError, match="noise must be True"):
        ask(noise=3)


def test_the_noise_between_the_samples_has_its_own_divergence():
    x, y = np.linspace(-1, 1, 9), np.linspace(-1, 1, 8)
    X, Y = np.meshgrid(x, y)
    D = np.stack([np.stack([np.exp(X), 0.3 * X * Y], -1), np.stack([0.3 * X * Y, 1 + Y * Y], -1)], -2)
    field, p, h = _NoiseField((x, y), D), np.array([[0.31, -0.44]]), 1e-5
    e = h * np.eye(2)
    by_steps = sum((field(p + e[j]) - field(p - e[j]))[:, :, j] / (2 * h) for j in (0, 1))
    assert np.allclose(field.divergence(p), by_steps, atol=1e-8)


def test_the_report_tells_the_state_of_sgd_and_how_far_it_is_from_gibbs(regression, monkeypatch, tmp_path):
    model, land = regression
    monkeypatch.setattr(sgd_noise, "CELLS", 12)
    report = fp.analyse(land, theta=[1e-3], lr=0.02, batch=2, n_paths=2, progress=False)
    state, S = report.sgd, model.covariance(0.02, 2)
    away, w = state.grid.points - model.best, state.density * state.grid.volumes
    found = np.einsum("xy,xyi,xyj->ij", w, away, away)
    assert np.abs(found - S).max() < 0.01 * S.max()
    assert 0.15 < state.distance < 0.3 and state.distance.error < 0.1
    said = [f for f in report.findings() if f.topic == "SGD noise"]
    assert len(said) == 1 and "nearest Gibbs density" in said[0].sentence
    assert report.to_dict()["sgd"]["distance"]["value"] == float(state.distance)
    assert len(fp.plot(state).axes) == 6


def test_without_a_learning_rate_the_report_says_what_is_missing(regression):
    report = fp.analyse(regression[1], theta=[1e-3], n_paths=2, progress=False)
    said = [f for f in report.findings() if f.topic == "SGD noise"]
    assert said[0].trust == "open" and "give lr and batch" in said[0].sentence
    assert report.to_dict()["sgd"] == {"status": report.sgd.status}


def test_nothing_escapes_from_wells_that_the_noise_runs_over():
    """Depth 1, gradient noise of temperature .1 and 1: at 1 there are no wells to leave."""
    x = np.linspace(-1.8, 1.8, 31)
    loss = (x**2 - 1) ** 2 + 0.1 * x
    valid = np.ones(31, bool)
    land = Landscape("f", "train_loss", (x,), loss, {"train_loss": loss}, {}, valid, ~valid, ~valid,
                     gram=np.eye(1), gradient_noise=np.ones((31, 1, 1)))
    told = {lr: fp.analyse(land, lr=lr, batch=1, n_paths=2).sgd for lr in (0.2, 2.0)}
    assert told[0.2].theta == pytest.approx(0.1, rel=0.01) and len(told[0.2].escapes) == 2
    assert told[2.0].theta == pytest.approx(1.0, rel=0.01) and told[2.0].escapes == ()
