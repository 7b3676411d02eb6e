"""Learners without a temperature: gradient descent, SGD, AdamW. `fpkit.learning.sgld` has the one with a
temperature."""
from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.calls import understood
from ..core.interruption import interruption
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
            end = (f": training risk {self.history['train_loss'][-1]:.3g}, test risk "
                   f"{self.history['test_loss'][-1]:.3g}")
        return (f"{self.problem}; {name}, learning rate {self.recipe['learning_rate']:g}, decay "
                f"{self.recipe['weight_decay']:g}{end}")


@understood
def train(problem: LearningProblem, n_steps: int = 2000, learning_rate: float = 0.003,
          weight_decay: float | None = None, betas: tuple[float, float] = (0.9, 0.98),
          start: ArrayLike | None = None, check_every: int = 10, save_every: int | None = None,
          threshold: float = 0.99, stop_after: int | None = None, optimiser: str = "adamw",
          momentum: float = 0.0, batch: int | None = None, seed: int = 0, resume: TrainingRun | None = None,
          is_stopped: Callable[[], bool] | None = None) -> TrainingRun:
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
    first = 0
    if resume is None:
        x = problem.start() if start is None else checks.points("start", start, problem.n_params).copy()
        m, v = np.zeros_like(x), np.zeros_like(x)
    else:
        first, x, m, v = int(resume.steps[-1]), resume.x.copy(), resume.state["m"].copy(), resume.state[
            "v"].copy()
    step = partial(_adamw, rate, decay, b1, b2) if is_adam else partial(_sgd, rate, decay, momentum)
    members = problem._index["train"]
    history, steps, saved_steps, checkpoints = [], [], [], []
    t_memorised, t_grokked = (None, None) if resume is None else (resume.t_memorised, resume.t_grokked)
    last = n_steps
    with contextlib.nullcontext(is_stopped) if is_stopped else interruption() as is_ended:
        for k in range(first, n_steps + 1):
            last = k if k > first and is_ended() else last
            if (k % check_every == 0 or k == last) and (resume is None or k > first):
                scores = problem.scores(x) if np.isfinite(x).all() else {"train_loss": np.inf}
                if not np.isfinite(scores["train_loss"]):
                    raise ArithmeticError(f"training diverged before step {k}; take a learning rate below "
                                          f"{rate:g}.")
                steps.append(k)
                history.append({**scores, "norm": float(np.linalg.norm(x))})
                if t_memorised is None and scores.get("train_acc", 0.0) >= threshold:
                    t_memorised = k
                if t_grokked is None and scores.get("test_acc", 0.0) >= threshold:
                    t_grokked = k
                    if stop_after is not None:
                        last = min(n_steps, k + stop_after)
            if k in (first, last) or (save_every and k % save_every == 0):
                saved_steps.append(k)
                checkpoints.append(x.copy())
            if k >= last:
                break
            g = problem._gradient(x[None], members if batch is None else problem.minibatch(batch, k, seed))[0]
            step(x, m, v, g, k)
    if not history:
        raise ValueError(f"the run to resume already ends at step {first}; give n_steps above it.")
    status = f"stopped after {k} of {n_steps} steps; go on with resume" if is_ended() else "ok"
    kind = "full batch" if batch is None else f"batch {batch}"
    recipe = {"optimiser": f"{'AdamW' if is_adam else 'SGD'}, {kind}", "learning_rate": rate,
              "weight_decay": decay, **({"betas": [b1, b2]} if is_adam else {"momentum": momentum}),
              "batch": batch, "threshold": float(threshold), "n_steps": int(steps[-1])}
    table = {key: np.array([row[key] for row in history]) for key in history[0]}
    return TrainingRun(problem, x, t_memorised, t_grokked, np.array(steps), table, np.array(saved_steps),
                       np.array(checkpoints), recipe, {"m": m, "v": v}, status)


def _below_one(name, value):
    value = checks.number(name, value, non_negative=True)
    if value >= 1:
        raise ValueError(f"{name} must be below 1, got {value:g}.")
    return value


def _adamw(rate, decay, b1, b2, x, m, v, g, k):
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
