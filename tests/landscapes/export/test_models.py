"""Models taken directly as losses: each thread and process has a copy, data are kept, several points at
once."""
import os
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.export import models

RNG = np.random.default_rng(3)
INPUTS, LABELS = RNG.normal(size=(40, 3)), RNG.integers(0, 2, 40)


class Estimator:
    """What fpkit needs of a fitted classifier of scikit-learn: a linear model with two outputs."""

    def __init__(self):
        self.coefs_, self.intercepts_ = [RNG.normal(size=(3, 2))], [np.zeros(2)]
        self.classes_ = np.array([0, 1])

    def predict_proba(self, x):
        z = x @ self.coefs_[0] + self.intercepts_[0]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def predict(self, x):
        return self.predict_proba(x).argmax(axis=1)

    def score(self, x, y):
        return (self.predict(x) == y).mean()


def test_an_estimator_is_exported_as_it_is_and_stays_as_it_was(tmp_path):
    model = Estimator()
    before = model.coefs_[0].copy()
    plane = fp.Plane.random(model, seed=1)
    land = fp.export_landscape(tmp_path / "a.h5", model, plane, x=(-1, 1, 5), y=(-1, 1, 3),
                               data=(INPUTS[:30], LABELS[:30]), test_data=(INPUTS[30:], LABELS[30:]))
    p = model.predict_proba(INPUTS[:30])[np.arange(30), LABELS[:30]]
    assert land.loss[1, 2] == pytest.approx(-np.log(p).mean(), rel=1e-13)
    assert land.test_acc[1, 2] == pytest.approx(100 * model.score(INPUTS[30:], LABELS[30:]))
    assert np.array_equal(model.coefs_[0], before) and land.meta["meta"]["model"] == "Estimator"


def test_threads_work_on_copies_of_a_model(tmp_path):
    model = Estimator()
    plane = fp.Plane.random(model, seed=1)
    options = {"x": (-1, 1, 9), "y": (-1, 1, 9), "data": (INPUTS, LABELS), "created_utc": None}
    fp.export_landscape(tmp_path / "a.h5", model, plane, **options)
    with ThreadPoolExecutor(4) as pool:
        fp.export_landscape(tmp_path / "b.h5", model, plane, executor=pool, **options)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_criterion_of_ones_own_is_used(tmp_path):
    line = fp.Plane.random(Estimator(), ndim=1)
    land = fp.export_landscape(tmp_path / "a.h5", Estimator(), line, x=(-1, 1, 3), data=(INPUTS, LABELS),
                               criterion=lambda y, p: len(y) + 0 * p.sum())
    assert (land.loss == 40).all()


@pytest.mark.parametrize("change, error, words", [
    ({"data": None}, TypeError, "its data are missing"),
    ({"at_once": 2, "workers": 2}, ValueError, "at_once"),
    ({"batchnorm": "train"}, ValueError, "batchnorm"),
    ({"plane": np.zeros(9)}, ValueError, "the model has 8")])
def test_what_does_not_fit_a_model_is_refused(tmp_path, change, error, words):
    options = {"data": (INPUTS, LABELS), "plane": np.zeros(8)} | change
    plane = fp.Plane.line(options.pop("plane"), np.ones_like(change.get("plane", np.zeros(8))))
    with pytest.raises(error, match=words):
        fp.export_landscape(tmp_path / "a.h5", Estimator(), plane, **options)
    assert not list(tmp_path.iterdir())


def test_data_of_a_function_are_refused(tmp_path):
    with pytest.raises(ValueError, match="belong to a model"):
        fp.export_landscape(tmp_path / "a.h5", sum, fp.Plane.line([0.0, 1], [1.0, 1]), data=(INPUTS, LABELS))


# ---- PyTorch ----

@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return torch


def network(torch, seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
                               torch.nn.Flatten(), torch.nn.Linear(144, 10))


def digits(torch):
    X, y = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    return torch.tensor(X[:, None].reshape(-1, 1, 8, 8) / 16, dtype=torch.float32), torch.tensor(y)


@pytest.mark.slow
def test_torch_models_are_taken_as_they_come(torch, tmp_path):
    X, y = digits(torch)
    model, data = network(torch), (X[:200], y[:200])
    model(X[:100])                                       # running statistics move; parameters have gradients
    torch.nn.functional.cross_entropy(model(X[:50]), y[:50]).backward()
    plane, grid = fp.Plane.random(model, seed=1), {"x": (-1, 1, 5), "y": (-1, 1, 3)}
    one = fp.export_landscape(tmp_path / "one.h5", model, plane, data=data, **grid)
    assert model.training and int(model[1].num_batches_tracked) == 2
    with torch.no_grad():
        expected = float(torch.nn.functional.cross_entropy(model.eval()(X[:200]), y[:200]))
    model.train()
    assert one.loss[1, 2] == pytest.approx(expected, rel=1e-6)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data), batch_size=64)
    closure = lambda m: {"train_loss": float(torch.nn.functional.cross_entropy(m(X[:200]), y[:200]).detach())}
    wrapped = torch.nn.DataParallel(model)
    for k, (net, given, more) in enumerate([(model, loader, {}), (wrapped, data, {}), (model, closure, {}),
                                            (model, data, {"at_once": 4})]):
        other = fp.export_landscape(tmp_path / f"{k}.h5", net, plane, data=given, **grid, **more)
        assert np.allclose(other.loss, one.loss, rtol=1e-5)
    half = fp.export_landscape(tmp_path / "half.h5", network(torch).half(), fp.Plane.random(
        network(torch).half(), seed=1), data=data, **grid)
    assert half.n_valid == 15


@pytest.mark.slow
def test_batchnorm_statistics_are_interpolated_when_they_are_in_the_plane(torch, tmp_path):
    from fpkit.landscapes.adapters import torch_parameters

    X, y = digits(torch)
    model = network(torch)
    model(X[:100])
    vector, layout, _ = torch_parameters(model, "interpolate")
    plane = fp.Plane.random(vector, layout, seed=1)
    options = {"data": (X[:200], y[:200]), "x": (-1, 1, 3), "y": (-1, 1, 3)}
    one = fp.export_landscape(tmp_path / "a.h5", model, plane, batchnorm="interpolate", **options)
    two = fp.export_landscape(tmp_path / "b.h5", model, plane, batchnorm="interpolate", at_once=9, **options)
    assert np.allclose(one.loss, two.loss, rtol=1e-5)
    with pytest.raises(ValueError, match="with its BatchNorm statistics"):
        fp.export_landscape(tmp_path / "c.h5", model, fp.Plane.random(model), batchnorm="interpolate",
                            **options)


@pytest.mark.slow
def test_models_that_vmap_cannot_run_are_evaluated_one_by_one(torch):
    class Branching(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 2)

        def forward(self, x):
            out = self.layer(x)
            return out if float(out.sum()) > 0 else -out

    loss = models.ModelLoss(Branching(), (torch.ones(4, 3), torch.zeros(4, dtype=torch.long)))
    points = [np.full(8, v) for v in (-1.0, 1.0, 2.0)]
    assert loss.many(points) == [loss(p) for p in points]


@pytest.mark.slow
def test_hessian_planes_of_single_precision_say_what_they_lost(torch):
    X, y = digits(torch)
    model = network(torch).eval()
    from fpkit.landscapes.adapters import torch_parameters

    def gradient(kind):
        net = network(torch).eval().to(kind)
        vector, layout, load = torch_parameters(net)

        def at(w):
            load(w)
            net.zero_grad()
            torch.nn.functional.cross_entropy(net(X[:100].to(kind)), y[:100]).backward()
            return np.concatenate([p.grad.numpy().ravel() for p in net.parameters()])
        return vector, at
    vector, double = gradient(torch.float64)
    exact = fp.Plane.hessian(vector, gradient=double)
    assert max(exact.facts["residuals"]) < 1e-3 * exact.facts["eigenvalues"][0]
    try:
        plane = fp.Plane.hessian(torch_parameters(model)[0], gradient=gradient(torch.float32)[1])
    except ValueError as error:
        assert "float64" in str(error)
    else:
        assert max(plane.facts["residuals"]) <= 1e-3 * plane.facts["eigenvalues"][0]


SCRIPT = """
import sys

import torch

import fpkit as fp

torch.set_num_threads(1)
if __name__ == "__main__":
    *networks, data = [torch.load(name, weights_only=False) for name in sys.argv[2:]]
    plane = fp.Plane.through(*networks)
    box = [(*limits, 21) for limits in plane.box()]
    fp.export_landscape(sys.argv[1], networks[0], plane, *box, data=data["train"], test_data=data["test"],
                        workers=2, save_every=0.5, created_utc=None)
"""


@pytest.mark.slow
def test_two_networks_are_trained_exported_killed_resumed_analysed_and_compared(torch, tmp_path):
    X, y = digits(torch)
    data = {"train": (X[:1200], y[:1200]), "test": (X[1200:], y[1200:])}
    torch.save(data, tmp_path / "data.pt")
    for seed in (0, 1, 2):
        model = network(torch, seed)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(6 if seed < 2 else 1):
            for batch in torch.randperm(1200).split(60):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(model(X[batch]), y[batch]).backward()
                optimiser.step()
        torch.save(model, tmp_path / f"{seed}.pt")
    (tmp_path / "export.py").write_text(SCRIPT)
    path, whole = tmp_path / "killed.h5", tmp_path / "whole.h5"
    root = Path(fp.__file__).resolve().parents[1]
    environment = dict(os.environ, PYTHONPATH=str(root), OMP_NUM_THREADS="1")
    command = lambda target: [sys.executable, str(tmp_path / "export.py"), str(target),
                              *(str(tmp_path / name) for name in ("0.pt", "1.pt", "2.pt", "data.pt"))]
    job = subprocess.Popen(command(path), env=environment, start_new_session=True)
    journal = Path(f"{path}.journal")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (not journal.exists() or journal.stat().st_size < 4_000):
        time.sleep(0.05)
    assert job.poll() is None, "the job ended before it could be killed"
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    assert journal.exists()
    for target in (path, whole):
        subprocess.run(command(target), env=environment, check=True)
    assert path.read_bytes() == whole.read_bytes() and not journal.exists()
    report = fp.analyse(path, progress=False, n_paths=50)
    names = {name: well for name, _, well in report.solutions}
    assert set(names) == {"A", "B", "C"} and names["A"] > 0
    assert report.landscape.loss.min() < 0.2 and report.landscape.test_acc.max() > 80
    page = report.save(tmp_path / "report")
    assert page.exists() and "known solutions" in report.verdict()
    plane = fp.Plane.random(torch.load(tmp_path / "1.pt", weights_only=False), seed=4)
    fp.export_landscape(tmp_path / "other.h5", torch.load(tmp_path / "1.pt", weights_only=False), plane,
                        x=(-3, 3, 15), y=(-3, 3, 15), data=data["train"])
    both = fp.compare_landscapes([report, fp.analyse(tmp_path / "other.h5", progress=False, n_paths=50)])
    assert both.difference is not None                   # two planes: laid side by side


def test_losses_that_are_no_mean_over_all_samples_are_refused(torch, tmp_path):
    X, y = torch.arange(12.0).reshape(6, 2), torch.arange(6) % 2
    model, data = torch.nn.Linear(2, 2), torch.utils.data.TensorDataset(X, y)
    plane = fp.Plane.random(model)
    loader = lambda **more: torch.utils.data.DataLoader(data, batch_size=4, **more)
    with pytest.raises(ValueError, match="drop_last"):
        fp.export_landscape(tmp_path / "a.h5", model, plane, data=loader(drop_last=True))
    with pytest.raises(ValueError, match="reduction"):
        fp.export_landscape(tmp_path / "a.h5", model, plane, data=loader(),
                            criterion=torch.nn.CrossEntropyLoss(reduction="sum"))


def test_a_criterion_that_is_no_mean_over_samples_is_refused(tmp_path):
    """Sums, class weights, and targets that broadcast against the outputs give numbers that are no loss."""
    torch = pytest.importorskip("torch")
    rng, F = np.random.default_rng(0), torch.nn.functional
    X, Y = torch.tensor(rng.normal(size=(37, 6)), dtype=torch.float32), torch.tensor(rng.integers(0, 3, 37))
    net, line = torch.nn.Linear(6, 3), torch.nn.Linear(6, 1)
    for model, data, criterion in (
            (net, (X, Y), lambda out, t: F.cross_entropy(out, t, reduction="sum")),
            (net, (X, Y), torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.2]))),
            (line, (X, X[:, 0]), None)):
        with pytest.raises(ValueError, match="no mean over samples"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            models.ModelLoss(model, data, criterion=criterion)
    with pytest.raises(ValueError, match="without samples"):
        models.ModelLoss(net, (X[:0], Y[:0]))
    pair = torch.nn.Linear(6, 3)
    pair.register_forward_hook(lambda module, inputs, output: (output, inputs))
    with pytest.raises(TypeError, match="expected a tensor"):
        models.ModelLoss(pair, (X, Y))


def test_labels_left_out_and_samples_drawn_twice_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    X, Y = torch.arange(24.0).reshape(12, 2), torch.arange(12) % 2
    net, left_out = torch.nn.Linear(2, 2), Y.clone()
    left_out[5] = -100
    with pytest.raises(ValueError, match="1 targets are -100, labels that the criterion leaves out"):
        models.ModelLoss(net, (X, left_out))
    data = torch.utils.data.TensorDataset(X, Y)
    sampler = torch.utils.data.RandomSampler(data, replacement=True)
    with pytest.raises(ValueError, match="with replacement"):
        models.ModelLoss(net, torch.utils.data.DataLoader(data, batch_size=4, sampler=sampler))


def test_labels_and_criteria_of_another_shape_are_named(tmp_path):
    torch = pytest.importorskip("torch")
    X, Y = torch.arange(24.0).reshape(12, 2), torch.arange(12) % 2
    net, F = torch.nn.Linear(2, 2), torch.nn.functional
    with pytest.raises(ValueError, match=r"labels have shape \(12, 1\), expected one number a sample"):
        models.ModelLoss(net, (X, Y[:, None]))
    with pytest.raises(ValueError, match="returned 12 values for 12 samples, expected one, their mean"):
        models.ModelLoss(net, (X, Y), criterion=lambda out, t: F.cross_entropy(out, t, reduction="none"))
    plane = fp.Plane.from_directions(np.ones(6), np.eye(6)[0], np.eye(6)[1])
    loss = lambda v: {"train_loss": torch.as_tensor(v).requires_grad_().square().sum()}
    land = fp.export_landscape(tmp_path / "a.h5", loss, plane, (-1, 1, 3), (-1, 1, 3))
    assert land.loss[1, 1] == pytest.approx(6.0)


class Smoothed:
    """A criterion with a state of its own."""

    def __init__(self, share):
        self.share = share

    def __call__(self, outputs, targets):
        import torch

        return torch.nn.functional.cross_entropy(outputs, targets, label_smoothing=self.share)


def test_criteria_are_known_by_their_content_and_not_by_their_place(tmp_path):
    from functools import partial

    torch = pytest.importorskip("torch")
    X, Y = torch.arange(24.0).reshape(12, 2), torch.arange(12) % 2
    net, F = torch.nn.Linear(2, 2), torch.nn.functional
    told = lambda criterion: models.ModelLoss(net, (X, Y), criterion=criterion).fingerprint()
    for make in (Smoothed, lambda share: partial(F.cross_entropy, label_smoothing=share)):
        assert told(make(0.1)) == told(make(0.1)) != told(make(0.2))


def test_other_samples_or_another_criterion_are_another_export(tmp_path):
    torch, rng = pytest.importorskip("torch"), np.random.default_rng(0)
    X, Y = torch.tensor(rng.normal(size=(30, 6)), dtype=torch.float32), torch.tensor(rng.integers(0, 3, 30))
    net, plane = torch.nn.Linear(6, 3), fp.Plane.from_directions(np.zeros(21), np.eye(21)[0], np.eye(21)[1])
    export = lambda data, **more: fp.export_landscape(tmp_path / "a.h5", net, plane, (-1, 1, 3), (-1, 1, 3),
                                                      data=data, **more)
    first = export((X, Y))
    order = torch.randperm(30)
    batches = [(X[order[:9]], Y[order[:9]]), (X[order[9:]], Y[order[9:]])]
    assert np.array_equal(export(batches).loss, first.loss)
    for data, more in (((X, (Y + 1) % 3), {}), ((X, Y), {"criterion": torch.nn.MultiMarginLoss()})):
        with pytest.raises(ValueError, match="another export"):
            export(data, **more)
