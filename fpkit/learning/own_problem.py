"""A learning problem of a user's own, from its losses and their gradient."""
from __future__ import annotations

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
    train, test : sequence of int
        Numbers of the members of the two samples. `test` may be empty.
    start : callable or array (n_params,)
        ``start(seed)``: random parameters, or one point.
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
            members = np.asarray(members, np.int64) if np.size(members) else np.zeros(0, np.int64)
            if members.ndim != 1 or (members < 0).any() or len(set(members.tolist())) < len(members):
                raise ValueError(f"{sample} must hold different numbers of members, none negative.")
            self._index[sample] = members
        if not len(self._index["train"]):
            raise ValueError("train is empty; there is nothing to learn from.")
        self._given = losses, gradient, is_right
        self.seed, self.name, self._start, self._cost = checks.whole("seed", seed, 0), name, start, 1.0
        x, some = self.start()[None], self._index["train"][:2]
        for what, shape in (("losses", (1, len(some))), ("gradient", (1, self.n_params)),
                            ("is_right", (1, len(some)))):
            function = self._given[("losses", "gradient", "is_right").index(what)]
            found = None if function is None else np.shape(function(x, some))
            if found is not None and found != shape:
                raise ValueError(f"{what}(X, members) must return shape {shape} for X of shape {x.shape} and "
                                 f"{len(some)} members, got {found}.")
        if not np.isfinite(losses(x, some)).all():
            raise ValueError("losses are not finite at the start.")
        self._h = STEPS[4 if np.asarray(losses(x, some)).dtype.itemsize < 8 else 8]
        slope, (h, _, forgiven) = np.asarray(gradient(x, some), float)[0], self._h
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
        """The problem of a torch module; its parameters with a gradient, as they are, are the start.

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
        vector = lambda of: torch.cat([of(p).detach().reshape(-1) for p in tensors]).cpu().numpy()

        def asked(X, function):
            found = []
            with MODULES:
                for x in X:
                    torch.nn.utils.vector_to_parameters(torch.as_tensor(x).to(tensors[0]), tensors)
                    found.append(function())
            return np.stack(found)

        def gradient(X, members):
            def one():
                model.zero_grad()
                losses(model, members).mean().backward()
                return vector(lambda p: torch.zeros_like(p) if p.grad is None else p.grad)
            return asked(X, one)

        def plain(function):
            def of(X, members):
                with torch.no_grad():
                    return asked(X, lambda: function(model, members).cpu().numpy())
            return of
        here = vector(lambda p: p)
        return cls(plain(losses), gradient, here.size, train, test,
                   **{"start": here.astype(float), "name": type(model).__name__} | more,
                   is_right=None if is_right is None else plain(is_right))

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
