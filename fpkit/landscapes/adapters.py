"""Models of other libraries as functions of one parameter vector.

Each adapter gives the vector of a model, the `Layout` that knows its tensors (for filter-normalised planes),
and a function that puts a vector into the model. A loss for `export_landscape` is then two lines:

    vector, layout, load = torch_parameters(model)

    def loss(w):
        load(w)
        return {"train_loss": mean_loss(model, train_data), "test_loss": mean_loss(model, test_data)}

    fp.export_landscape("run.h5", loss, fp.Plane.random(vector, layout))

No library is imported here: a model brings its own. Integer buffers stay as they are. Which statistics
BatchNorm uses is a choice that changes the landscape: put it into `meta`.
"""
from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..core import checks
from .files.tensors import Layout, flatten

__all__ = ["problem_loss", "array_parameters", "sklearn_parameters", "torch_parameters", "torch_loss",
           "TorchLoss", "keras_parameters", "jax_parameters"]


def problem_loss(problem: Any) -> Callable[[np.ndarray], dict[str, float]]:
    """Loss of one of fpkit's learning problems for `export_landscape`: its scores, accuracies in per cent as
    landscape files have them.

    Examples
    --------
    >>> class Problem:
    ...     def scores(self, w):
    ...         return {"train_loss": 0.5, "train_acc": 0.75}
    >>> problem_loss(Problem())(np.zeros(3))
    {'train_loss': 0.5, 'train_acc': 75.0}
    """
    return partial(_percent_scores, problem)


def _percent_scores(problem, w):
    return {name: 100 * value if name.endswith("_acc") else value for name,
            value in problem.scores(w).items()}


def array_parameters(arrays: Sequence[np.ndarray],
                     filter_axis: int = 0) -> tuple[np.ndarray, Layout, Callable]:
    """Vector, layout and `load(vector)` of a list of NumPy arrays, which `load` fills in place.

    Examples
    --------
    >>> W, b = np.ones((2, 3)), np.zeros(3)
    >>> vector, layout, load = array_parameters([W, b])
    >>> load(2 * vector)
    >>> W
    array([[2., 2., 2.],
           [2., 2., 2.]])
    """
    vector, layout = flatten(arrays, filter_axis)

    def load(w):
        for array, values in zip(arrays, layout.tensors(w)):
            array[...] = values
    return vector, layout, load


def sklearn_parameters(model: Any) -> tuple[np.ndarray, Layout, Callable]:
    """Vector, layout and `load(vector)` of a fitted MLPClassifier or MLPRegressor, or of a linear model
    (coef_, intercept_).

    Examples
    --------
    With scikit-learn at hand: ``vector, layout, load = sklearn_parameters(MLPClassifier().fit(X, y))``; after
    ``load(w)`` the loss is ``log_loss(y, model.predict_proba(X))``.
    """
    if hasattr(model, "coefs_"):
        # coefs_ are (inputs, outputs)
        return array_parameters([*model.coefs_, *model.intercepts_], filter_axis=-1)
    if hasattr(model, "coef_"):
        model.coef_, model.intercept_ = np.atleast_1d(model.coef_), np.atleast_1d(model.intercept_)
        return array_parameters([model.coef_, model.intercept_])
    raise TypeError(f"expected a fitted scikit-learn model with coefs_ or coef_, got {checks.shown(model)}; "
                    "call its fit first.")


def torch_parameters(model: Any, batchnorm: str = "fixed",
                     recalibrate: Callable | None = None) -> tuple[np.ndarray, Layout, Callable]:
    """Vector, layout and `load(vector)` of a torch.nn.Module.

    Parameters
    ----------
    model : torch.nn.Module
    batchnorm : {"fixed", "interpolate"}
        Running statistics of BatchNorm: those of the model as it is, or part of the vector, so that they are
        interpolated along the plane like weights (tomgoldstein's 'states'). Counters of batches are never in
        the vector.
    recalibrate : callable, optional
        ``recalibrate(model)`` after each load: run the training data through in train mode, so that the
        statistics fit the weights.
    """
    checks.choice("batchnorm", batchnorm, ("fixed", "interpolate"))
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module):
        raise TypeError(f"expected a torch.nn.Module, got {checks.shown(model)}.")
    tensors = (dict(model.state_dict(keep_vars=True)) if batchnorm == "interpolate"
               else dict(model.named_parameters()))
    tensors = {name: t for name, t in tensors.items() if t.is_floating_point() and t.dim() > 0}
    copied = lambda t: t.detach().cpu().to(torch.float64 if t.dtype == torch.bfloat16 else t.dtype).numpy()
    vector, layout = flatten({name: copied(t) for name, t in tensors.items()})

    def load(w):
        with torch.no_grad():
            for t, values in zip(tensors.values(), layout.tensors(w)):
                t.copy_(torch.from_numpy(np.ascontiguousarray(values)))
        if recalibrate is not None:
            recalibrate(model)
    return vector, layout, load


def torch_loss(model: Any, criterion: Callable, inputs: Any, targets: Any, l2: float = 0.0,
               chunk: int | None = None) -> TorchLoss:
    """Loss with gradient of a torch.nn.Module over a whole sample, as a function of many parameter vectors.

    It is what `fpkit.well_free_energy` takes: ``criterion(model(inputs), targets) + (l2/2)|x|^2``, in double
    precision and evaluation mode (no dropout, fixed statistics of BatchNorm), of a copy of the model.

    Parameters
    ----------
    model : torch.nn.Module
    criterion : callable
        ``criterion(outputs, targets)``: the mean loss, such as torch.nn.functional.cross_entropy.
    inputs, targets : torch.Tensor
        The whole sample: minibatches have no Gibbs measure.
    l2 : float
        Confinement, in loss per squared weight; the weight decay of SGD.
    chunk : int, optional
        Parameter vectors computed at once; fewer need less memory. Default: about 2^24 numbers of input.

    Examples
    --------
    With torch at hand: ``f = torch_loss(model, torch.nn.functional.cross_entropy, X, y, l2=1e-3)``, then
    ``fp.well_free_energy(f, f.vector, theta=1e-5)``, and ``fp.export_landscape(path, f.loss, plane)``.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module):
        raise TypeError(f"expected a torch.nn.Module, got {checks.shown(model)}.")
    return TorchLoss(model, criterion, inputs, targets, checks.number("l2", l2, non_negative=True),
                     None if chunk is None else checks.whole("chunk", chunk, 1))


class TorchLoss:
    """What `torch_loss` returns: ``f(X)`` for points X (n, d) gives losses (n,) and gradients (n, d).

    Attributes
    ----------
    vector : ndarray (d,)
        The parameters of the model, the start.
    layout : Layout
        Its tensors, for filter-normalised planes.
    """

    def __init__(self, model, criterion, inputs, targets, l2, chunk):
        torch = sys.modules["torch"]
        self.vector, self.layout, _ = torch_parameters(model)
        self.vector = np.asarray(self.vector, float)
        copied = copy.deepcopy(model).to(device="cpu", dtype=torch.float64).eval()
        double = lambda t: t.detach().cpu().double() if t.is_floating_point() else t.detach().cpu()
        inputs, targets, self.l2 = double(inputs), double(targets), l2
        self.chunk = chunk or max(1, 2**24 // max(1, inputs.numel()))
        fixed = {name: t.detach() for name, t in (*copied.named_parameters(), *copied.named_buffers())}
        shapes = {name: t.shape for name, t in copied.named_parameters() if t.is_floating_point() and t.dim()}
        sizes = [shape.numel() for shape in shapes.values()]

        def one(v):
            own = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), v.split(sizes))}
            outputs = torch.func.functional_call(copied, {**fixed, **own}, (inputs,))
            return criterion(outputs, targets) + 0.5 * l2 * (v * v).sum()
        self._one = torch.func.grad_and_value(one)
        self._is_many = True

    def __call__(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Losses (n,) and gradients (n, d) at X (n, d), or one of each at X (d,)."""
        torch = sys.modules["torch"]
        points = torch.from_numpy(np.ascontiguousarray(np.atleast_2d(X), dtype=float))
        if self._is_many and len(points) > 1:
            try:
                G, E = torch.func.vmap(self._one, chunk_size=self.chunk)(points)
            except RuntimeError:                     # a layer that cannot be batched over its parameters
                self._is_many = False
        if not self._is_many or len(points) == 1:
            G, E = (torch.stack(parts) for parts in zip(*(self._one(v) for v in points)))
        E, G = E.detach().numpy(), G.detach().numpy()
        return (E, G) if np.ndim(X) == 2 else (E[0], G[0])

    def loss(self, w: np.ndarray) -> float:
        """The loss of one vector, for `fpkit.export_landscape`."""
        return float(self(np.asarray(w, float))[0])


def keras_parameters(model: Any) -> tuple[np.ndarray, Layout, Callable]:
    """Vector, layout and `load(vector)` of a Keras model, through its get_weights and set_weights."""
    if not (hasattr(model, "get_weights") and hasattr(model, "set_weights")):
        raise TypeError("expected a Keras model with get_weights and set_weights, got "
                        f"{checks.shown(model)}.")
    vector, layout = flatten(model.get_weights(), filter_axis=-1)
    return vector, layout, lambda w: model.set_weights(layout.tensors(w))


def jax_parameters(tree: Any) -> tuple[np.ndarray, Layout, Callable]:
    """Vector, layout and `unflatten(vector)` of a pytree of arrays; `unflatten` gives the tree, for
    ``apply(tree, inputs)``.

    JAX's functions are pure, so there is no model to load into: ``loss = lambda w:
    float(mean_loss(unflatten(w), data))``.
    """
    jax = sys.modules.get("jax")
    if jax is None:
        raise TypeError(f"expected a pytree of jax arrays, and jax is not loaded; got {checks.shown(tree)}.")
    leaves, structure = jax.tree_util.tree_flatten(tree)
    vector, layout = flatten([np.asarray(leaf) for leaf in leaves], filter_axis=-1)
    return vector, layout, lambda w: jax.tree_util.tree_unflatten(structure, layout.tensors(w))
