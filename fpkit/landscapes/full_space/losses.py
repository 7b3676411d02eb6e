"""The loss of a network with its gradient at many points, however it was given."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...core import checks
from ...potentials.potential import Potential

HOW = ("give loss_and_gradient(X) that returns losses (n,) and gradients (n, n_params) for points X (n, "
       "n_params), or a fpkit.Potential")
SAME = 1e-6                     # relative difference of two calls at one point that rounding can explain
SLOPE = 1e-3                    # relative difference of a gradient and of differences of the loss


class Loss:
    """Losses E (n,) and gradients G (n, d) at points X (n, d); `n_gradients` counts the points asked for.

    A function of one vector is called point by point. What is no function of the point alone (minibatches,
    dropout) and a gradient that is not that of the loss are refused.
    """

    def __init__(self, given: Any, x0: np.ndarray) -> None:
        self.n_gradients = 0
        self.is_single = False
        self._both = _both_of(given, x0.size)
        self._learn_shape(x0)
        self._check_gradient(x0)

    def __call__(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.n_gradients += len(X)
        with np.errstate(all="ignore"):
            E, G = self._both(X)
        return np.asarray(E, float), np.asarray(G, float)

    def _learn_shape(self, x0):
        """Whether the function takes many points at once: asked with a number of points that is not d."""
        d = x0.size
        n = 2 if d != 2 else 3
        step = 1e-3 * (1 + np.abs(x0))
        X = x0 + step * np.linspace(0.0, 1.0, n)[:, None]
        both, reason = self._both, None
        try:
            E, G = both(X.copy())
            is_many = np.shape(E) == (n,) and np.shape(G) == (n, d)
        except Exception as error:                       # a function of one vector may fail in any way
            is_many, reason = False, error
        if not is_many:
            try:
                E, G = both(X[0].copy())
                is_one = np.size(E) == 1 and np.shape(G) == (d,)
            except Exception as error:
                raise TypeError(f"the loss failed both for {n} points and for one ({type(error).__name__}: "
                                f"{error}; for {n} points: {reason}); {HOW}.") from error
            if not is_one:
                raise TypeError(f"the loss returned shapes {np.shape(E)} and {np.shape(G)} for one point of "
                                f"{d} parameters; {HOW}.")
            self._both = lambda X: _point_by_point(both, X)
            E, G = self(X)
        again, _ = self(X[::-1].copy())
        E = np.asarray(E, float)
        self.is_single = np.asarray(G).dtype == np.float32
        if not np.isfinite(E[0]):
            raise ValueError(f"the loss at x0 is {E[0]}; give a point where it is finite.")
        change = np.abs(np.asarray(again)[::-1] - E)
        if not (change[np.isfinite(E)] <= SAME * (1 + np.abs(E[np.isfinite(E)]))).all():
            raise ValueError(f"two calls at one point gave losses that differ by {np.nanmax(change):.3g}: "
                             "minibatches, dropout or a loss that mixes its points have no Gibbs measure; "
                             "give the loss of the whole sample in evaluation mode.")

    def _check_gradient(self, x0):
        """Compare the gradient with differences of the loss along three random directions."""
        size = 1 + np.linalg.norm(x0) / np.sqrt(x0.size)
        h, rng = (1e-2 if self.is_single else 1e-5) * size, np.random.default_rng(7)
        V = rng.normal(size=(3, x0.size))
        x = x0 + 0.03 * size * rng.normal(size=x0.size)      # at the minimum there is no slope to compare
        E, G = self(np.concatenate([x + h * V, x - h * V]))
        slope, seen = (0.5 * (G[:3] + G[3:]) * V).sum(1), (E[:3] - E[3:]) / (2 * h)
        noise = (1e-6 if self.is_single else 1e-14) * np.abs(E).max() / h
        scale = np.maximum(np.abs(slope), np.abs(seen)) + 0.1 * np.linalg.norm(G, axis=1).max()
        wrong = np.abs(slope - seen) > (20 if self.is_single else 1) * SLOPE * scale + noise
        if np.isfinite(seen).all() and wrong.sum() >= 2:           # one may cross a kink
            k = int(np.argmax(np.abs(slope - seen)))
            raise ValueError(f"the gradient is not that of the loss: along a random direction it says "
                             f"{slope[k]:.6g}, differences of the loss say {seen[k]:.6g}. A term that only "
                             "one of the two holds (L2, a mean for a sum) is the usual reason.")


def _both_of(given, d) -> Callable:
    if isinstance(given, Potential):
        if given.ndim != d:
            raise ValueError(f"x0 has {d} coordinates and the potential {given.ndim}.")
        if given.is_time_dependent:
            raise ValueError("the potential depends on time, and only one that stands still has a free "
                             "energy; fix t with with_params.")
        return lambda X: (given(X), given.gradient(X))
    if hasattr(given, "named_parameters"):
        raise TypeError("the loss is a model; say what its loss is: "
                        "fpkit.landscapes.adapters.torch_loss(model, criterion, inputs, targets, l2=...) "
                        "gives a function that this call takes, and its start, .vector.")
    if callable(getattr(given, "potential", None)):
        raise TypeError(f"{checks.shown(given)} is a learning problem; give its potential with the "
                        "confinement, problem.potential(l2=...).")
    if not callable(given):
        raise TypeError(f"the loss must be a function, got {checks.shown(given)}; {HOW}.")
    return given


def _point_by_point(both, X):
    found = [both(x.copy()) for x in X]
    return (np.array([float(np.asarray(e, float).reshape(())) for e, _ in found]),
            np.array([np.asarray(g, float) for _, g in found]))
