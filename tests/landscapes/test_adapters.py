"""Models of other libraries as functions of a vector; the libraries are optional."""
import sys
import types

import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.adapters import (
    array_parameters,
    jax_parameters,
    keras_parameters,
    sklearn_parameters,
    torch_parameters,
)

RNG = np.random.default_rng(0)


def test_lists_of_arrays_are_filled_in_place():
    W, b = RNG.normal(size=(3, 2)), RNG.normal(size=2)
    vector, layout, load = array_parameters([W, b])
    assert np.array_equal(vector, np.r_[W.ravel(), b])
    load(vector + 1)
    assert np.array_equal(np.r_[W.ravel(), b], vector + 1)


def test_keras_models_keep_their_weights_in_order_and_type():
    class Model:
        weights = [RNG.normal(size=(4, 3)).astype("f4"), np.zeros(3, "f4")]

        def get_weights(self):
            return self.weights

        def set_weights(self, weights):
            self.weights = weights

    model = Model()
    vector, layout, load = keras_parameters(model)
    load(vector * 2)
    assert (model.weights[0].dtype == np.float32 and np.array_equal(model.weights[0].ravel(),
                                                                    2 * vector[:12].astype("f4"))
            and layout.filter_axis == -1)


def test_pytrees_come_back_in_their_structure(monkeypatch):
    tree_util = types.SimpleNamespace(tree_flatten=lambda t: (list(t.values()), list(t)),
                                      tree_unflatten=lambda s, leaves: dict(zip(s, leaves)))
    monkeypatch.setitem(sys.modules, "jax", types.SimpleNamespace(tree_util=tree_util))
    vector, layout, unflatten = jax_parameters({"kernel": np.ones((2, 2)), "bias": np.zeros(2)})
    assert unflatten(vector + 1)["kernel"].tolist() == [[2, 2],
                                                        [2, 2]] and unflatten(vector)["bias"].shape == (2,)


@pytest.mark.parametrize("adapter", [sklearn_parameters, torch_parameters, keras_parameters])
def test_something_else_is_refused(adapter):
    with pytest.raises(TypeError, match="expected a"):
        adapter(object())


# ---- the real libraries ----

@pytest.mark.slow
def test_a_scikit_learn_network_is_exported(tmp_path):
    datasets = pytest.importorskip("sklearn.datasets")
    from sklearn.metrics import log_loss
    from sklearn.neural_network import MLPClassifier

    X, y = datasets.load_digits(return_X_y=True)
    X = X / 16
    model = MLPClassifier((8,), max_iter=60, random_state=0)
    with pytest.warns(UserWarning):                       # not converged, which does not matter here
        model.fit(X[:600], y[:600])
    vector, layout, load = sklearn_parameters(model)
    before = log_loss(y[:600], model.predict_proba(X[:600]))

    def loss(w):
        load(w)
        return {"train_loss": log_loss(y[:600], model.predict_proba(X[:600]), labels=range(10)),
                "test_loss": log_loss(y[600:], model.predict_proba(X[600:]), labels=range(10)),
                "test_acc": 100 * model.score(X[600:], y[600:])}

    plane = fp.Plane.random(vector, layout, seed=1)
    land = fp.export_landscape(tmp_path / "a.h5", loss, plane, x=(-4, 4, 9), y=(-4, 4, 11))
    assert land.n_valid == 99 and land.loss[5, 4] == pytest.approx(before, rel=1e-12)
    given = fp.Plane.random(vector, layout, seed=1, orthonormal=False).directions[0][:512].reshape(64, 8)
    assert np.linalg.norm(given, axis=0) == pytest.approx(np.linalg.norm(vector[:512].reshape(64, 8), axis=0))


@pytest.mark.slow
def test_a_torch_network_with_batchnorm_is_exported(tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.ReLU(),
                                torch.nn.Flatten(), torch.nn.Linear(3 * 16, 4))
    inputs, labels = torch.randn(64, 1, 6, 6), torch.randint(4, (64,))
    model(inputs)                                         # running statistics and the counter move
    model.eval()
    criterion = torch.nn.CrossEntropyLoss()
    vector, layout, load = torch_parameters(model)
    assert vector.size == sum(p.numel() for p in model.parameters())
    everything, _, _ = torch_parameters(model, "interpolate")
    assert everything.size == vector.size + 6             # mean and variance, not the counter

    def loss(w):
        load(w)
        with torch.no_grad():
            return float(criterion(model(inputs), labels))

    with torch.no_grad():
        before = float(criterion(model(inputs), labels))
    plane = fp.Plane.random(vector, layout, seed=2)
    land = fp.export_landscape(tmp_path / "a.h5", loss, plane, x=(-1, 1, 5), y=(-1, 1, 7))
    assert land.loss[3, 2] == pytest.approx(before, rel=1e-6) and land.n_valid == 35
    assert int(model[1].num_batches_tracked) == 1
    calls = []
    torch_parameters(model, recalibrate=calls.append)[2](vector)
    assert calls == [model]
