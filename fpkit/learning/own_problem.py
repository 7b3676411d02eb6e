"""A learning problem of a user's own, from its losses and their gradient."""
from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from .problem import LearningProblem

# of the losses and of the gradient where no complex step is possible, and the relative miss that is forgiven
STEPS = {4: (3e-3, 1e-2, 2e-2), 8: (1e-6, 1e-5, 1e-3)}          # float32 and float64

MODULES = threading.Lock()                       # a module holds one hypothesis at a time


def numbers_of(sample, members):
    """Numbers of the members of a sample, given as such or by truth values."""
    found = np.asarray(members)
    if found.dtype == bool and found.ndim == 1:
        return np.flatnonzero(found)
    if found.size and (found.dtype.kind not in "iu" or found.ndim != 1 or (found < 0).any()
                       or len(np.unique(found)) < len(found)):
        raise ValueError(f"{sample} must hold different whole numbers of members, none negative, or a truth "
                         f"value for each member, got {checks.shown(members)}.")
    return found.ravel().astype(np.int64)


def asked_once(what, function, x, some, shape):
    """What one of the user's functions answers, when it can and the shape is right."""
    if not callable(function):
        raise TypeError(f"{what} must be a function of (X, members), got {checks.shown(function)}.")
    try:
        found = np.asarray(function(x, some))
    except Exception as reason:
        raise ValueError(f"{what}(X, members) fails for X of shape {x.shape} and the members {some}: "
                         f"{' '.join(str(reason).split())}. It must take many hypotheses, one a row, and "
                         "every number in train and test.") from reason
    if found.shape != shape:
        raise ValueError(f"{what}(X, members) must return shape {shape} for X of shape {x.shape} and "
                         f"{len(some)} members, got {found.shape}.")
    return found


class OwnProblem(LearningProblem):
    """A learning problem made of functions: losses, their gradient, and what counts as right.

    All members of both samples are numbered once; the functions are asked about hypotheses X (k, n_params)
    and some of those numbers. What is made runs through all that takes a `LearningProblem`: `train`, `sgld`,
    `learn`, the experiments of `fpkit.learning.walkers`, spectra, `fpkit.landscapes` exports, and as
    ``problem.potential(l2)`` through `fpkit.simulate`.

    Parameters
    ----------
    losses : callable
        ``losses(X, members)``: the loss of every member, shape (k, len(members)).
    gradient : callable
        ``gradient(X, members)``: gradient of their MEAN, shape (k, n_params).
    n_params : int
    train, test : sequence of int, or of truth values (one for each member)
        Numbers of the members of the two samples, which share none. `test` may be empty.
    start : callable or array (n_params,)
        ``start(seed)``: random parameters, each walker of an experiment its own; or one point for all.
    is_right : callable, optional
        ``is_right(X, members)``: truth values (k, len(members)). Without it there are no accuracies, and
        nothing that waits for one.
    seed : int
        Handed to `start`.
    name : str
        For what is printed.

    Examples
    --------
    A network of three tanh units that learns the sign of a product:

    >>> from fpkit.learning import OwnProblem, learn
    >>> u = np.random.default_rng(0).normal(size=(60, 2))
    >>> y = np.sign(u[:, 0] * u[:, 1])
    >>> parts = lambda X: (X[:, :6].reshape(-1, 2, 3), X[:, None, 6:9], X[:, 9:])
    >>> def hidden(X, members):
    ...     A, a, b = parts(X)
    ...     h = np.tanh(u[members] @ A + a)
    ...     return h, b, (h @ b[..., None])[..., 0] - y[members]
    >>> losses = lambda X, members: 0.5 * hidden(X, members)[2] ** 2
    >>> def gradient(X, members):
    ...     h, b, r = hidden(X, members)
    ...     inner = r[..., None] * b[:, None] * (1 - h**2)
    ...     sums = [(u[members].T @ inner).reshape(len(X), -1), inner.sum(1), (r[..., None] * h).sum(1)]
    ...     return np.concatenate(sums, 1) / len(members)
    >>> problem = OwnProblem(losses, gradient, 12, range(40), range(40, 60),
    ...                      start=lambda seed: np.random.default_rng(seed).normal(size=12),
    ...                      is_right=lambda X, members: abs(hidden(X, members)[2]) < 1)
    >>> run = learn([problem] * 4, 2000, 0.05, theta=1e-4, l2=1e-3)
    >>> bool(run.history["train_loss"][-1].mean() < run.history["train_loss"][0].mean())
    True
    """

    def __init__(self, losses: Callable, gradient: Callable, n_params: int, train: ArrayLike, test: ArrayLike,
                 start: Callable[[int], ArrayLike] | ArrayLike, is_right: Callable | None = None,
                 seed: int = 0, name: str = "own problem"):
        self.n_params = checks.whole("n_params", n_params, 1)
        self._index = {}
        for sample, members in (("train", train), ("test", test)):
            self._index[sample] = numbers_of(sample, members)
        if not len(self._index["train"]):
            raise ValueError("train is empty; there is nothing to learn from.")
        both = np.intersect1d(*self._index.values())
        if both.size:
            raise ValueError(f"train and test share {both.size} members, the first of them {both[0]}; what "
                             "was learnt tests nothing: take them out of one of the two.")
        self._given = losses, gradient, is_right
        self.seed, self.name, self._start, self._cost = checks.whole("seed", seed, 0), name, start, 1.0
        # the last of all numbers too, which must exist
        x = self.start()[None]
        some = np.unique([self._index["train"][0], *(m.max() for m in self._index.values() if m.size)])
        found = asked_once("losses", losses, x, some, (1, len(some)))
        slope = asked_once("gradient", gradient, x, some, (1, self.n_params))[0].astype(float)
        right = None if is_right is None else asked_once("is_right", is_right, x, some, (1, len(some)))
        if not np.isfinite(found).all():
            raise ValueError("losses are not finite at the start.")
        if right is not None and right.dtype != bool:
            raise ValueError(f"is_right(X, members) must return truth values, got {right.dtype} numbers; "
                             "compare them with something, as in `losses(X, members) < 0.5`.")
        h, _, forgiven = self._h = STEPS[4 if found.dtype.itemsize < 8 else 8]
        v = np.random.default_rng(0).normal(size=self.n_params)
        v /= np.linalg.norm(v)
        steep = float(slope @ v)
        measured = float((self._losses(x + h * v, some) - self._losses(x - h * v, some)).mean() / (2 * h))
        if abs(measured - steep) > forgiven * (abs(measured) + np.linalg.norm(slope) + 1e-6):
            raise ValueError(f"gradient is not that of the mean of losses: along one direction it says "
                             f"{steep:.4g} and the losses change by {measured:.4g}.")

    @classmethod
    def of_torch(cls, model: Any, losses: Callable, train: ArrayLike, test: ArrayLike,
                 is_right: Callable | None = None, **more: Any) -> OwnProblem:
        """The problem of a torch module.

        Its parameters with a gradient, as they are, are the start of the problem's own `seed`; any other seed
        draws them anew by the ``reset_parameters`` of torch's layers, so that each walker of an experiment
        has its own.

        Parameters
        ----------
        model : torch.nn.Module
        losses : callable
            ``losses(model, members)``: a tensor with the loss of every member; `members` is a NumPy array,
            which indexes tensors.
        train, test : sequence of int
        is_right : callable, optional
            ``is_right(model, members)``: a tensor of truth values.
        **more
            As for `OwnProblem`: start, seed, name. One hypothesis is asked about at a time, in the numbers
            of the model (take ``model.double()`` where float32 is too coarse).

        Examples
        --------
        With torch at hand (not run here)::

            model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)).double()          # torch.nn
            losses = lambda model, k: nn.functional.cross_entropy(model(u[k]), y[k], reduction="none")
            is_right = lambda model, k: model(u[k]).argmax(-1) == y[k]
            problem = OwnProblem.of_torch(model, losses, range(40), range(40, 60), is_right)
            run = learn([problem] * 4, 2000, 0.05, theta=1e-4, l2=1e-3)
        """
        torch = sys.modules.get("torch")
        if torch is None or not isinstance(model, torch.nn.Module):
            raise TypeError(f"expected a torch.nn.Module, got {checks.shown(model)}.")
        if any(m.training and any(n in type(m).__name__ for n in ("BatchNorm", "Dropout"))
               for m in model.modules()):
            raise ValueError("the model is in train mode, where the loss of a member depends on those beside "
                             "it (BatchNorm) or on chance (dropout); call model.eval() first.")
        tensors = [p for p in model.parameters() if p.requires_grad]
        vector = lambda parts: torch.cat([p.detach().reshape(-1) for p in parts]).cpu().numpy()

        def asked(X, function):
            found = []
            with MODULES:
                kept = [p.data for p in tensors]
                try:
                    for x in X:
                        torch.nn.utils.vector_to_parameters(torch.as_tensor(x).to(tensors[0]), tensors)
                        found.append(function())
                finally:
                    for p, values in zip(tensors, kept):
                        p.data = values
            return np.stack(found)

        def gradient(X, members):
            def one():
                slopes = torch.autograd.grad(losses(model, members).mean(), tensors, allow_unused=True)
                return vector([torch.zeros_like(p) if g is None else g for p, g in zip(tensors, slopes)])
            return asked(X, one)

        def plain(function):
            def of(X, members):
                with torch.no_grad():
                    return asked(X, lambda: function(model, members).cpu().numpy())
            return of
        here = vector(tensors).astype(float)

        def start(seed):
            if seed == more.get("seed", 0):
                return here
            with MODULES, torch.random.fork_rng(devices=[]):
                fresh = copy.deepcopy(model)                # the model keeps its numbers, and BatchNorm's too
                layers = [m for m in fresh.modules() if hasattr(m, "reset_parameters")]
                torch.manual_seed(seed)
                for layer in layers:
                    layer.reset_parameters()
            drawn = {id(p) for layer in layers for p in layer.parameters()}
            free = [p for p in fresh.parameters() if p.requires_grad]
            if not drawn.issuperset(map(id, free)):
                raise ValueError(f"{type(model).__name__} has parameters of no layer with reset_parameters, "
                                 "so no other start can be drawn; give start=lambda seed: ... (n_params,), "
                                 "or an array for one start of all.")
            return vector(free)
        made = cls(plain(losses), gradient, here.size, train, test,
                   **{"start": start, "name": type(model).__name__} | more,
                   is_right=None if is_right is None else plain(is_right))
        made._given_as = model, losses, is_right, more.get("start")
        return made

    def identifying(self) -> tuple[tuple, tuple, str]:
        """What a run depends on (of a module: it and the user's functions), for checkpoints."""
        given = getattr(self, "_given_as", (self._given, self._start))
        return ("own problem",), (given, self.n_params, self._index, self.seed), "the problem"

    def start(self, scale: float = 1.0, seed: int | None = None) -> np.ndarray:
        """Initial parameters, times `scale`; `seed` in place of the problem's own."""
        given = self._start(self.seed if seed is None else seed) if callable(self._start) else self._start
        return scale * checks.points("start", np.asarray(given, float), self.n_params)

    def _losses(self, X, members):
        return np.asarray(self._given[0](X, members), float)

    def _gradient(self, X, members):
        return np.asarray(self._given[1](X, members), float)

    def _right(self, X, members):
        return None if self._given[2] is None else np.asarray(self._given[2](X, members))

    def hessian_vector(self, x: ArrayLike, v: ArrayLike) -> np.ndarray:
        """Hessian of the training risk at x times v, by central differences of the gradient: the error is of
        the order 1e-10 times the third derivative."""
        x, v = checks.points("x", x, self.n_params), checks.points("v", v, self.n_params)
        h = self._h[1] / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-300)
        return (self.gradient(x + h * v) - self.gradient(x - h * v)) / (2 * h)

    def __repr__(self) -> str:
        return (f"{self.name}: {self.n_train} training and {self.n_test} test members, {self.n_params} "
                "parameters")
