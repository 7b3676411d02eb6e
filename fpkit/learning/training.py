"""Learners without a temperature: gradient descent, SGD, AdamW. `fpkit.learning.sgld` has the one with a
temperature."""
from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.calls import understood
from ..core.interruption import interruption
from ..core.runs.checkpoint import Checkpoint
from ..core.views.pictures import curves
from ..core.views.tables import Tabular
from .problem import LearningProblem

OPTIMISERS = ("adamw", "sgd")


@dataclass(frozen=True, repr=False)
class TrainingRun(Tabular):
    """One training: when it memorised, when it generalised, and its history.

    Attributes
    ----------
    problem : LearningProblem
    x : ndarray, shape (n_params,)
        Final parameters.
    t_memorised, t_grokked : int or None
        First checked step with training / test accuracy at `threshold`; None if it never came (a censored
        run, to be counted as such and not dropped).
    steps : ndarray of int, shape (n_checks,)
    history : dict of ndarray, shape (n_checks,)
        ``train_loss, test_loss``, with classes ``train_acc, test_acc``, and ``norm``, at `steps`.
    checkpoints : ndarray, shape (n_saved, n_params)
        Parameters at `saved_steps`.
    recipe : dict
        optimiser, learning_rate, weight_decay, betas or momentum, batch, threshold, n_steps.
    status : str
        "ok", or where it was stopped; a run that was stopped goes on with `resume`.
    """
    problem: LearningProblem
    x: np.ndarray
    t_memorised: int | None
    t_grokked: int | None
    steps: np.ndarray
    history: dict[str, np.ndarray]
    saved_steps: np.ndarray
    checkpoints: np.ndarray
    recipe: dict[str, Any]
    state: dict[str, np.ndarray] = field(default_factory=dict)
    status: str = "ok"

    def _columns(self):
        return {"step": self.steps, **self.history}

    def _picture(self):
        shown = [v for name, v in self.history.items() if name.endswith("_loss")]
        return curves([(np.log10(np.maximum(self.steps, 1)), v) for v in shown])

    def __repr__(self) -> str:
        when = lambda t: "never" if t is None else f"at step {t}"
        name = self.recipe["optimiser"].split(",")[0]
        if "train_acc" in self.history:
            end = (f": memorised {when(self.t_memorised)}, generalised {when(self.t_grokked)} (of "
                   f"{int(self.steps[-1])})")
        else:
            end = "".join(f"{sign} {name} risk {self.history[key][-1]:.3g}" for sign, name, key in (
                (":", "training", "train_loss"), (",", "test", "test_loss")) if key in self.history)
        return (f"{self.problem}; {name}, learning rate {self.recipe['learning_rate']:g}, decay "
                f"{self.recipe['weight_decay']:g}{end}")


@understood
def train(problem: LearningProblem, n_steps: int = 2000, learning_rate: float = 0.003,
          weight_decay: float | None = None, betas: tuple[float, float] = (0.9, 0.98),
          start: ArrayLike | None = None, check_every: int = 10, save_every: int | None = None,
          threshold: float = 0.99, stop_after: int | None = None, optimiser: str = "adamw",
          momentum: float = 0.0, batch: int | None = None, seed: int = 0, resume: TrainingRun | None = None,
          is_stopped: Callable[[], bool] | None = None,
          checkpoint: str | os.PathLike[str] | None = None, checkpoint_every: float = 60.0) -> TrainingRun:
    """Train a hypothesis and record when it memorises and generalises.

    AdamW [1]_: m += (1 - b1)(g - m), v += (1 - b2)(g^2 - v), x *= 1 - lr decay, x -= lr m^ / (sqrt(v^) +
    1e-8), with the bias-corrected m^, v^. SGD: m = momentum m + g, x *= 1 - lr decay, x -= lr m; with the
    full batch that is gradient descent. The decay is not part of the loss. Neither has a temperature: these
    runs test no Langevin statement.

    Parameters
    ----------
    problem : LearningProblem
    n_steps : int
        Most steps to take.
    learning_rate, weight_decay : float
        Per step. Default decay: 1 for "adamw" (0 memorises and does not generalise), 0 for "sgd".
    betas : pair of float
        Decay of the running means of the gradient and of its square.
    start : ndarray, shape (n_params,), optional
        Default: ``problem.start()``.
    check_every : int
        Steps between two checks of the accuracies.
    save_every : int, optional
        Steps between two saved parameter vectors (the first and the last are always saved). Default: none
        between.
    threshold : float
        Accuracy that counts as memorised or generalised.
    stop_after : int, optional
        Stop this many steps after generalising; default: go on to `n_steps`.
    optimiser : {"adamw", "sgd"}
    momentum : float
        For "sgd".
    batch : int, optional
        Size of the minibatch of each step; default: the whole training sample.
    seed : int
        Of the minibatches.
    resume : TrainingRun, optional
        Go on from its end, with the optimiser's memory and the count of steps: the same bits as one long run.
    is_stopped : callable, optional
        Asked before each step; True ends the run. Default: whether Ctrl-C was pressed.
    checkpoint : path, optional
        File for the state, written every `checkpoint_every` seconds and at the end; one of the same training
        (of any length) is gone on from, to the same bits.
    checkpoint_every : float

    Returns
    -------
    TrainingRun
        Ctrl-C returns the run so far, with the reason in ``.status``.

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
    is_adam = checks.choice("optimiser", optimiser, OPTIMISERS) == "adamw"
    rate = checks.number("learning_rate", learning_rate, positive=True)
    decay = checks.number("weight_decay", float(is_adam) if weight_decay is None else weight_decay,
                          non_negative=True)
    b1, b2 = (_below_one("betas", b) for b in betas)
    momentum = _below_one("momentum", momentum)
    if batch is not None:
        problem.minibatch(batch, 0, seed)
    if resume is not None and checkpoint is not None:
        raise ValueError("resume and checkpoint both say where to go on from; give one of them.")
    book, first = _Book.begun(problem, start, resume)
    store = Checkpoint(checkpoint, checkpoint_every, None, {} if checkpoint is None else {
        "call": "train", "problem": problem, "start": book.x, "recipe": (
            optimiser, rate, decay, b1, b2, momentum, batch, seed), "checks": (
            check_every, save_every, float(threshold), stop_after)})
    step = partial(adamw_step, rate, decay, b1, b2) if is_adam else partial(_sgd, rate, decay, momentum)
    members = problem._index["train"]
    last, begun = n_steps, first
    if store.found is not None:
        first = book.restore(store.found)
        if first > n_steps:
            raise ValueError(f"the training in {checks.shown(os.fspath(checkpoint))} is at step {first} "
                             f"already; give n_steps of at least that.")
        last = n_steps if None in (book.t_grokked, stop_after) else min(n_steps, book.t_grokked + stop_after)
    with contextlib.nullcontext(is_stopped) if is_stopped else interruption() as is_ended:
        for k in range(first, n_steps + 1):
            last = k if k > first and is_ended() else last
            if store.path is not None and (store.is_due or k >= last):
                store.save(book.state(k))
            if ((k % check_every == 0 or k == last) and (resume is None or k > first)
                    and book.is_checked(problem, k, threshold, rate) and stop_after is not None):
                last = min(n_steps, k + stop_after)
            if k in (begun, last) or (save_every and k % save_every == 0):
                book.saved_steps.append(k)
                book.checkpoints.append(book.x.copy())
            if k >= last:
                break
            g = problem._gradient(book.x[None], members if batch is None
                                  else problem.minibatch(batch, k, seed))[0]
            step(book.x, book.m, book.v, g, k)
    if not book.steps:
        raise ValueError(f"the run to resume already ends at step {first}; give n_steps above it.")
    status = f"stopped after {k} of {n_steps} steps; go on with resume" if is_ended() else "ok"
    kind = "full batch" if batch is None else f"batch {batch}"
    recipe = {"optimiser": f"{'AdamW' if is_adam else 'SGD'}, {kind}", "learning_rate": rate,
              "weight_decay": decay, **({"betas": [b1, b2]} if is_adam else {"momentum": momentum}),
              "batch": batch, "threshold": float(threshold), "n_steps": int(book.steps[-1])}
    return TrainingRun(problem, book.x, book.t_memorised, book.t_grokked, np.array(book.steps), book.table,
                       np.array(book.saved_steps), np.array(book.checkpoints), recipe,
                       {"m": book.m, "v": book.v}, status)


class _Book:
    """Where a training stands and what it has seen."""

    def __init__(self):
        self.x = self.m = self.v = np.zeros(0)
        self.history, self.steps, self.saved_steps, self.checkpoints = [], [], [], []
        self.t_memorised = self.t_grokked = None

    def is_checked(self, problem, k, threshold, rate):
        """Note losses and accuracies at step k; whether it has generalised just now."""
        scores = problem.scores(self.x) if np.isfinite(self.x).all() else {"train_loss": np.inf}
        if not np.isfinite(scores["train_loss"]):
            raise ArithmeticError(f"training diverged before step {k}; take a learning rate below {rate:g}.")
        self.steps.append(k)
        self.history.append({**scores, "norm": float(np.linalg.norm(self.x))})
        if self.t_memorised is None and scores.get("train_acc", 0.0) >= threshold:
            self.t_memorised = k
        if self.t_grokked is None and scores.get("test_acc", 0.0) >= threshold:
            self.t_grokked = k
            return True
        return False

    @staticmethod
    def begun(problem, start, resume):
        """(book, first step) of a new training, or of one that goes on from the end of another."""
        book, first = _Book(), 0
        if resume is None:
            book.x = (problem.start() if start is None
                      else checks.points("start", start, problem.n_params).copy())
            book.m, book.v = np.zeros_like(book.x), np.zeros_like(book.x)
        else:
            first, book.x = int(resume.steps[-1]), resume.x.copy()
            book.m, book.v = (resume.state[name].copy() for name in "mv")
            book.t_memorised, book.t_grokked = resume.t_memorised, resume.t_grokked
        return book, first

    @property
    def table(self):
        names = self.history[0] if self.history else {}
        return {name: np.array([row[name] for row in self.history]) for name in names}

    def state(self, k):
        """Arrays of the state before the checks of step k; -1 for what never came."""
        return {"at": np.array([k, *(-1 if t is None else t for t in (self.t_memorised, self.t_grokked))]),
                "x": self.x, "m": self.m, "v": self.v, "steps": np.array(self.steps, np.int64),
                "saved_steps": np.array(self.saved_steps, np.int64),
                "checkpoints": np.array(self.checkpoints).reshape(len(self.saved_steps), self.x.size),
                **{f"history_{name}": values for name, values in self.table.items()}}

    def restore(self, found):
        """Go on from a `state`; returns its step."""
        k, *passed = (int(value) for value in found["at"])
        self.t_memorised, self.t_grokked = (None if t < 0 else t for t in passed)
        self.x, self.m, self.v = (np.array(found[name]) for name in "xmv")
        self.steps, self.saved_steps = ([int(value) for value in found[name]] for name in (
            "steps", "saved_steps"))
        self.checkpoints = list(np.array(found["checkpoints"]))
        named = {name.removeprefix("history_"): values for name, values in found.items()
                 if name.startswith("history_")}
        self.history = [{name: float(values[i]) for name, values in named.items()}
                        for i in range(len(self.steps))]
        return k


def _below_one(name, value):
    value = checks.number(name, value, non_negative=True)
    if value >= 1:
        raise ValueError(f"{name} must be below 1, got {value:g}.")
    return value


def adamw_step(rate, decay, b1, b2, x, m, v, g, k):
    """x, m, v after step k (from 0), in place."""
    m += (1 - b1) * (g - m)
    v += (1 - b2) * (g * g - v)
    x *= 1 - rate * decay
    x -= rate / (1 - b1 ** (k + 1)) * m / (np.sqrt(v / (1 - b2 ** (k + 1))) + 1e-8)


def _sgd(rate, decay, momentum, x, m, v, g, k):
    """x and m after a step, in place."""
    m *= momentum
    m += g
    x *= 1 - rate * decay
    x -= rate * m
