"""A small network that learns addition modulo p: it memorises early and generalises late ("grokking").

The network has one hidden layer with a quadratic activation. With the rows U[a], V[b] of two embeddings,

    out(a, b) = (U[a] + V[b])^2 W,    loss = mean over a sample of |out(a, b) - e_{(a + b) mod p}|^2 / 2,

where e_c is the one-hot vector. All p^2 pairs exist; a share of them, drawn by a seed, is the training sample and the
rest the test sample. The model is that of A. Gromov, "Grokking modular arithmetic", arXiv:2301.02679 (2023), here with
the embeddings as first layer and trained by full-batch AdamW.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..core import checks


@dataclass(frozen=True, repr=False)
class ModularAddition:
    """The learning problem a + b mod p: a split into training and test pairs, and the loss of a parameter vector.

    Parameters
    ----------
    modulus : int
        p; there are p^2 pairs and p classes.
    width : int
        Number of hidden units; ``n_params = 3 * modulus * width``.
    fraction : float
        Share of the pairs in the training sample, strictly between 0 and 1.
    seed : int
        Decides the split and, with `start`, the initial parameters.

    Attributes
    ----------
    is_train : ndarray of bool, shape (modulus, modulus)
        True where the pair (a, b) is in the training sample.

    Examples
    --------
    >>> from fpkit.learning.modular_addition import ModularAddition
    >>> problem = ModularAddition(modulus=7, width=5, fraction=0.6, seed=1)
    >>> problem.n_params, int(problem.is_train.sum())
    (105, 29)
    >>> problem
    a + b mod 7: 29 training and 20 test pairs, 5 hidden units, 105 parameters, seed 1
    """
    modulus: int = 23
    width: int = 64
    fraction: float = 0.6
    seed: int = 0
    is_train: np.ndarray = field(init=False, compare=False)

    def __post_init__(self):
        checks.whole("modulus", self.modulus, 2)
        checks.whole("width", self.width, 1)
        checks.whole("seed", self.seed, 0)
        fraction = checks.number("fraction", self.fraction)
        n = round(fraction * self.modulus**2)
        if not 0 < n < self.modulus**2:
            raise ValueError(f"fraction must leave at least one pair in each sample (strictly between 0 and 1), got {fraction:g}.")
        chosen = np.zeros(self.modulus**2, bool)
        chosen[np.random.default_rng(self.seed).permutation(self.modulus**2)[:n]] = True
        chosen.setflags(write=False)
        object.__setattr__(self, "is_train", chosen.reshape(self.modulus, self.modulus))

    def __repr__(self):
        n = int(self.is_train.sum())
        return (f"a + b mod {self.modulus}: {n} training and {self.modulus**2 - n} test pairs, {self.width} hidden units, "
                f"{self.n_params} parameters, seed {self.seed}")

    @property
    def n_params(self):
        """Length of a parameter vector."""
        return 3 * self.modulus * self.width

    def layers(self, x):
        """Views U (p, width), V (p, width), W (width, p) into a parameter vector."""
        n = self.modulus * self.width
        return x[:n].reshape(self.modulus, self.width), x[n:2 * n].reshape(self.modulus, self.width), x[2 * n:].reshape(self.width, self.modulus)

    def start(self, scale=1.0):
        """Random initial parameters: U, V ~ scale/2 N(0, 1), W ~ scale/sqrt(width) N(0, 1)."""
        x = np.random.default_rng([self.seed, 1]).normal(size=self.n_params) * scale
        U, V, W = self.layers(x)
        U *= 0.5
        V *= 0.5
        W /= np.sqrt(self.width)
        return x

    def _forward(self, x):
        """Hidden sums (p^2, width) and residuals out - target (p^2, p) of all pairs."""
        U, V, W = self.layers(x)
        hidden = (U[:, None, :] + V[None, :, :]).reshape(-1, self.width)
        residual = (hidden * hidden) @ W
        residual[np.arange(len(residual)), self._labels] -= 1.0
        return hidden, residual

    @property
    def _labels(self):
        a = np.arange(self.modulus)
        return ((a[:, None] + a) % self.modulus).ravel()

    def _scores(self, residual):
        """train_loss, test_loss, train_acc, test_acc from the residuals of all pairs."""
        loss = 0.5 * (residual**2).sum(1)
        out = residual
        out[np.arange(len(out)), self._labels] += 1.0
        right = out.argmax(1) == self._labels
        train = self.is_train.ravel()
        return {"train_loss": float(loss[train].mean()), "test_loss": float(loss[~train].mean()),
                "train_acc": float(right[train].mean()), "test_acc": float(right[~train].mean())}

    def scores(self, x):
        """Losses and accuracies (between 0 and 1) of a parameter vector on both samples.

        No weight decay is in the loss: it is the plain half squared error.

        Returns
        -------
        dict
            ``train_loss, test_loss, train_acc, test_acc``, floats.
        """
        return self._scores(self._forward(checks.points("x", x, self.n_params))[1])

    def loss(self, x):
        """Training loss of a parameter vector of shape (n_params,)."""
        return self.scores(x)["train_loss"]

    def gradient(self, x):
        """Exact gradient of the training loss, shape (n_params,)."""
        return self._gradient(x, *self._forward(checks.points("x", x, self.n_params)))

    def _gradient(self, x, hidden, residual):
        train = self.is_train.ravel()
        error = residual * (train / train.sum())[:, None]        # test pairs are carried along with weight zero
        g = np.empty(self.n_params)
        gU, gV, gW = self.layers(g)
        gW[:] = (hidden * hidden).T @ error
        back = (2.0 * hidden * (error @ self.layers(x)[2].T)).reshape(self.modulus, self.modulus, self.width)
        gU[:], gV[:] = back.sum(1), back.sum(0)
        return g


@dataclass(frozen=True, repr=False)
class TrainingRun:
    """One training: when it memorised, when it generalised, and its history.

    Attributes
    ----------
    problem : ModularAddition
    x : ndarray, shape (n_params,)
        Final parameters.
    t_memorised, t_grokked : int or None
        First checked step with training / test accuracy at `threshold`; None if it never came (a censored run, to be
        counted as such and not dropped).
    steps : ndarray of int, shape (n_checks,)
    history : dict of ndarray, shape (n_checks,)
        ``train_loss, test_loss, train_acc, test_acc, norm`` at `steps`.
    checkpoints : ndarray, shape (n_saved, n_params)
        Parameters at `saved_steps`.
    recipe : dict
        learning_rate, weight_decay, betas, threshold, n_steps, optimiser.
    """
    problem: ModularAddition
    x: np.ndarray
    t_memorised: int | None
    t_grokked: int | None
    steps: np.ndarray
    history: dict
    saved_steps: np.ndarray
    checkpoints: np.ndarray
    recipe: dict

    def __repr__(self):
        when = lambda t: "never" if t is None else f"at step {t}"
        return (f"{self.problem}; AdamW, learning rate {self.recipe['learning_rate']:g}, decay {self.recipe['weight_decay']:g}: "
                f"memorised {when(self.t_memorised)}, generalised {when(self.t_grokked)} (of {int(self.steps[-1])})")


def train(problem, n_steps=2000, learning_rate=0.003, weight_decay=1.0, betas=(0.9, 0.98), start=None, check_every=10,
          save_every=None, threshold=0.99, stop_after=None):
    """Train by full-batch AdamW with decoupled weight decay and record when the network memorises and generalises.

    One step is m += (1 - b1)(g - m), v += (1 - b2)(g^2 - v), x *= 1 - lr decay, x -= lr m^ / (sqrt(v^) + 1e-8), with
    the bias-corrected m^, v^ [1]_. The decay is not part of the loss. AdamW has no temperature: its runs test no
    Langevin statement.

    Parameters
    ----------
    problem : ModularAddition
    n_steps : int
        Most steps to take.
    learning_rate, weight_decay : float
        Per step; a weight_decay of 0 memorises and does not generalise.
    betas : pair of float
        Decay of the running means of the gradient and of its square.
    start : ndarray, shape (n_params,), optional
        Default: ``problem.start()``.
    check_every : int
        Steps between two checks of the accuracies.
    save_every : int, optional
        Steps between two saved parameter vectors (the first and the last are always saved). Default: none between.
    threshold : float
        Accuracy that counts as memorised or generalised.
    stop_after : int, optional
        Stop this many steps after generalising; default: go on to `n_steps`.

    Returns
    -------
    TrainingRun

    Examples
    --------
    >>> from fpkit.learning.modular_addition import ModularAddition, train
    >>> run = train(ModularAddition(modulus=7, width=16, fraction=0.8), n_steps=400)
    >>> run.t_memorised is not None, run.history["train_loss"].shape
    (True, (41,))

    References
    ----------
    .. [1] I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", arXiv:1711.05101, algorithm 2.
    """
    n_steps = checks.whole("n_steps", n_steps, 1)
    check_every = checks.whole("check_every", check_every, 1)
    rate = checks.number("learning_rate", learning_rate, positive=True)
    decay = checks.number("weight_decay", weight_decay, non_negative=True)
    b1, b2 = (checks.number("betas", b, non_negative=True) for b in betas)
    if max(b1, b2) >= 1:
        raise ValueError(f"betas must be below 1, got {tuple(betas)}.")
    x = problem.start() if start is None else checks.points("start", start, problem.n_params).copy()
    m, v = np.zeros_like(x), np.zeros_like(x)
    history, steps, saved_steps, checkpoints = [], [], [], []
    t_memorised = t_grokked = None
    last = n_steps
    for k in range(n_steps + 1):
        is_checked = k % check_every == 0 or k == last
        hidden, residual = problem._forward(x)
        g = problem._gradient(x, hidden, residual)
        if is_checked:
            scores = problem._scores(residual)
            steps.append(k)
            history.append({**scores, "norm": float(np.linalg.norm(x))})
            if t_memorised is None and scores["train_acc"] >= threshold:
                t_memorised = k
            if t_grokked is None and scores["test_acc"] >= threshold:
                t_grokked = k
                if stop_after is not None:
                    last = min(n_steps, k + stop_after)
        if k in (0, last) or (save_every and k % save_every == 0):
            saved_steps.append(k)
            checkpoints.append(x.copy())
        if k >= last:
            break
        m += (1 - b1) * (g - m)
        v += (1 - b2) * (g * g - v)
        x *= 1 - rate * decay
        x -= rate / (1 - b1 ** (k + 1)) * m / (np.sqrt(v / (1 - b2 ** (k + 1))) + 1e-8)
    recipe = {"optimiser": "AdamW, full batch", "learning_rate": rate, "weight_decay": decay, "betas": [b1, b2],
              "threshold": float(threshold), "n_steps": int(steps[-1])}
    table = {key: np.array([row[key] for row in history]) for key in history[0]}
    return TrainingRun(problem, x, t_memorised, t_grokked, np.array(steps), table, np.array(saved_steps), np.array(checkpoints), recipe)


def frequency_share(embedding):
    """Share of the Fourier power over residues that lies in each hidden unit's best frequency, in [0, 1].

    `embedding` has shape (modulus, width); the constant mode is left out. 1 means that every unit is one cosine of the
    residue, so that the residues lie on a circle.
    """
    power = np.abs(np.fft.rfft(embedding, axis=0))[1:] ** 2
    return float(power.max(0).sum() / power.sum())
