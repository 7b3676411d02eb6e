"""A learning problem of a user's own, from its losses and their gradient."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from .problem import LearningProblem

DIFFERENCE = 1e-5                                # of a gradient, where no complex step is possible


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
        slope, h = gradient(x, some)[0], 1e-6
        v = np.random.default_rng(0).normal(size=self.n_params)
        steep = float(slope @ v)
        measured = float((losses(x + h * v, some).mean() - losses(x - h * v, some).mean()) / (2 * h))
        if abs(measured - steep) > 1e-3 * (abs(measured) + np.linalg.norm(slope) + 1e-6):
            raise ValueError(f"gradient is not that of the mean of losses: along one direction it says "
                             f"{steep:.4g} and the losses change by {measured:.4g}.")

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
        h = DIFFERENCE / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-300)
        return (self.gradient(x + h * v) - self.gradient(x - h * v)) / (2 * h)

    def __repr__(self) -> str:
        return (f"{self.name}: {self.n_train} training and {self.n_test} test members, {self.n_params} "
                "parameters")
