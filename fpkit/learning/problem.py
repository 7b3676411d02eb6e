"""The words of learning: sample, hypothesis, loss, empirical risk, and the potential that they make.

A sample z_1 ... z_L, a hypothesis x (the parameters of a network, a point of R^d) and a loss L(z, x) >= 0
define

    f(x) = (1/L) sum_l L(z_l, x)                                        (empirical risk, (4) of the talk)

f over the training sample is the potential in which the hypothesis moves; the same mean over the test sample
is what one wants small, and their difference is the generalisation gap. Overfitting: low training risk, high
test risk.
"""
from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..potentials.potential import Potential
from .walkers.minibatch_kernels import minibatch

COMPLEX_STEP = 1e-30  # no difference is formed, so the step may be far below the rounding unit
CHUNK = 2**21  # numbers of one intermediate array when many hypotheses are asked at once
SAMPLES = ("train", "test")


class LearningProblem:
    """A training and a test sample, and the loss of a hypothesis on each of their members.

    A concrete problem sets `n_params`, `_index` (member numbers by sample name), `_cost` (numbers of work for
    one hypothesis and member) and two methods that take many hypotheses at once, real or complex:

    ``_outputs(X, members)``: outputs (k, n, c) for the hypotheses X (k, n_params), and a function that maps
    the derivative of a sum with respect to the outputs, (k, n, c), to the one with respect to X, (k,
    n_params). ``_loss(outputs, members)``: losses (k, n) and their derivatives with respect to the outputs
    (k, n, c). ``_is_right(outputs, members)``: truth values (k, n), or None where the problem has no classes.
    """

    def __getstate__(self):  # what was only kept for speed is found again
        return {name: value for name, value in vars(self).items() if name != "_kept"}

    # ---- what a sample is ----
    @property
    def n_train(self) -> int:
        """Size of the training sample."""
        return len(self._index["train"])

    @property
    def n_test(self) -> int:
        """Size of the test sample."""
        return len(self._index["test"])

    def _members(self, sample):
        return self._index[checks.choice("sample", sample, SAMPLES)]

    def minibatch(self, size: int, step: int, seed: int = 0, walker: int = 0) -> np.ndarray:
        """Member numbers of the minibatch of one step of one walker: `size` of the training sample without
        repetition, a function of (seed, step, walker)."""
        size = checks.whole("batch", size, 1)
        if size > self.n_train:
            raise ValueError(f"a batch of {size} is larger than the training sample of {self.n_train}.")
        places = np.arange(self.n_train)
        minibatch(places, size, walker, step, seed)
        return self._index["train"][np.sort(places[:size])]

    # ---- risks ----
    def losses(self, x: ArrayLike, sample: str = "train") -> np.ndarray:
        """Loss L(z_l, x) of every member of a sample, shape (..., n)."""
        return self._each(x, lambda X: self._losses(X, self._members(sample)), self._members(sample))

    def is_right(self, x: ArrayLike, sample: str = "train") -> np.ndarray | None:
        """Whether every member of a sample is classified rightly, shape (..., n); None where there are no
        classes."""
        members = self._members(sample)
        X = checks.points("x", x, self.n_params)
        if self._right(X.reshape(-1, self.n_params)[:1], members) is None:
            return None
        return self._each(X, lambda X: self._right(X, members), members)

    def risk(self, x: ArrayLike, sample: str = "train") -> np.ndarray:
        """Empirical risk (equation 4): the mean loss over the "train" or the "test" sample, shape (...)."""
        return self.losses(x, sample).mean(-1)

    def loss(self, x: ArrayLike) -> np.ndarray:
        """Training risk, shape (...): the potential f."""
        return self.risk(x, "train")

    def gap(self, x: ArrayLike) -> np.ndarray:
        """Generalisation gap: test risk minus training risk, shape (...)."""
        return self.risk(x, "test") - self.risk(x, "train")

    def scores(self, x: ArrayLike) -> dict[str, float]:
        """Risks, and for classes accuracies between 0 and 1, of one hypothesis on both samples.

        No weight decay is in them: they are plain means of the loss.

        Returns
        -------
        dict
            ``train_loss, test_loss`` and, where there are classes, ``train_acc, test_acc``: floats.
        """
        x, found = self._one(x), {}
        for sample in (s for s in SAMPLES if len(self._index[s])):
            members = self._members(sample)
            found[f"{sample}_loss"] = float(self._losses(x[None], members).mean())
            right = self._right(x[None], members)
            if right is not None:
                found[f"{sample}_acc"] = float(right.mean())
        return {key: found[key]
                for key in ("train_loss", "test_loss", "train_acc", "test_acc") if key in found}

    # ---- derivatives ----
    def gradient(self, x: ArrayLike, members: np.ndarray | None = None) -> np.ndarray:
        """Exact gradient of the training risk, shape (..., n_params); `members` restricts the mean to a
        minibatch."""
        members = self._index["train"] if members is None else members
        return self._each(x, lambda X: self._gradient(X, members), members)

    def _losses(self, X, members):
        return self._loss(self._outputs(X, members)[0], members)[0]

    def _right(self, X, members):
        return self._is_right(self._outputs(X, members)[0], members)

    def _gradient(self, X, members):
        outputs, back = self._outputs(X, members)
        return back(self._loss(outputs, members)[1] / len(members))

    def hessian_vector(self, x: ArrayLike, v: ArrayLike) -> np.ndarray:
        """Hessian of the training risk at x times v, shape (..., n_params), exact to rounding.

        It is the imaginary part of the gradient at x + i h v over h, with h so small that no second order is
        left [1]_; kinks (ReLU) count as straight on either side.

        References
        ----------
        .. [1] W. Squire, G. Trapp, SIAM Review 40, 110 (1998).
        """
        x, v = checks.points("x", x, self.n_params), checks.points("v", v, self.n_params)
        z = x + 1j * COMPLEX_STEP * v
        return self._each(z, lambda X: self._gradient(X, self._index["train"]).imag / COMPLEX_STEP,
                          self._index["train"])

    def hessian(self, x: ArrayLike) -> np.ndarray:
        """Full symmetric Hessian of the training risk at one hypothesis, (n_params, n_params), column by
        column."""
        x = checks.points("x", x, self.n_params)
        H = self.hessian_vector(x, np.eye(self.n_params))
        return 0.5 * (H + H.T)

    def member_gradients(self, x: ArrayLike) -> np.ndarray:
        """Gradient of the loss of every member of the training sample at one hypothesis, shape (n_train,
        n_params)."""
        x = checks.points("x", x, self.n_params)
        return np.concatenate([self._gradient(x[None], self._index["train"][k:k + 1])
                               for k in range(self.n_train)])

    def _one(self, x):
        x = checks.points("x", x, self.n_params)
        if x.ndim != 1:
            raise ValueError(f"x must be one hypothesis of shape ({self.n_params},), got {x.shape}.")
        return x

    def _each(self, x, function, members):
        """`function` of all hypotheses x (..., n_params), so many at a time that intermediate arrays stay
        small."""
        x = x if np.iscomplexobj(x) else checks.points("x", x, self.n_params)
        X = x.reshape(-1, self.n_params)
        most = max(1, int(CHUNK // (self._cost * max(len(members), 1))))
        found = function(X) if len(X) <= most else np.concatenate([function(X[k:k + most])
                                                                   for k in range(0, len(X), most)])
        return found.reshape(x.shape[:-1] + found.shape[1:])

    # ---- the diffusion ----
    def potential(self, l2: float = 0.0, batch: int | None = None, learning_rate: float | None = None,
                  seed: int = 0) -> Potential:
        """The training risk with confinement, f(x) + (l2/2) |x|^2, as a black-box `Potential` for
        `fpkit.simulate`.

        Parameters
        ----------
        l2 : float
            Strength of the confinement, in loss per squared weight. Without it the zero-risk set is unbounded
            and there is no normalisable Gibbs density: say so beside every result.
        batch : int, optional
            The gradient is that of a minibatch, drawn anew in each step of length `learning_rate` (the dt of
            the paths) and for each path, the first point of a call being that of the first path; the value
            stays that of the whole sample. Its noise adds (learning_rate/2) Cov to the temperature.
        learning_rate : float
            Needed with `batch`: what tells the step from the time.
        seed : int
            Of the minibatches.

        Examples
        --------
        >>> from fpkit.learning.modular_addition import ModularAddition
        >>> problem = ModularAddition(modulus=5, width=4)
        >>> V = problem.potential(l2=1e-3)
        >>> V.ndim, V(problem.start()).shape
        (60, ())
        """
        l2 = checks.number("l2", l2, non_negative=True)
        value = lambda X, t=0.0: self.risk(X) + 0.5 * l2 * (X * X).sum(-1)
        if batch is None:
            return Potential.black_box(lambda X: value(X), lambda X: self.gradient(X) + l2 * X, self.n_params)
        rate = checks.number("learning_rate", learning_rate, positive=True)
        self.minibatch(batch, 0, seed)  # refuses a bad size here and not in the middle of a run

        def gradient(X, t=0.0):
            step = round(t / rate)
            rows = [self._gradient(X[k:k + 1], self.minibatch(batch, step, seed, k)) for k in range(len(X))]
            return np.concatenate(rows) + l2 * X
        return Potential.black_box(value, gradient, self.n_params, t=0.0)


class HalfSquaredError:
    """L = |output - target|^2 / 2 against `_targets` (members, c); there are no classes."""

    def _is_right(self, outputs, members):
        return None

    def _loss(self, outputs, members):
        residual = outputs - self._targets[members]
        return 0.5 * (residual * residual).sum(-1), residual


class OneHotError:
    """L = |output - e_label|^2 / 2; a class is right when its output is the largest."""

    def _loss(self, outputs, members):
        residual = outputs.copy()
        residual[:, np.arange(len(members)), self._labels[members]] -= 1.0
        return 0.5 * (residual * residual).sum(-1), residual

    def _is_right(self, outputs, members):
        return outputs.argmax(-1) == self._labels[members]


class CrossEntropy:
    """L = log sum_c exp(output_c) - output_label; a class is right when its output is the largest."""

    def _loss(self, outputs, members):
        shifted = outputs - outputs.real.max(-1, keepdims=True)
        weights = np.exp(shifted)
        total = weights.sum(-1, keepdims=True)
        rows = np.arange(len(members))
        slope = weights / total
        losses = np.log(total[..., 0]) - shifted[:, rows, self._labels[members]]
        slope[:, rows, self._labels[members]] -= 1.0
        return losses, slope

    def _is_right(self, outputs, members):
        return outputs.argmax(-1) == self._labels[members]


def views(x: np.ndarray, *shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Views of consecutive parts of the last axis of x, in the given shapes."""
    ends = np.cumsum([0, *(math.prod(shape) for shape in shapes)])
    return tuple(x[..., i:j].reshape(*x.shape[:-1], *shape) for i, j, shape in zip(ends, ends[1:], shapes))


def relu(z: np.ndarray) -> np.ndarray:
    """max(z, 0), by the real part for the complex arguments of a Hessian-vector product."""
    return np.where(z.real > 0, z, 0.0)
