"""SGLD of a hypothesis: paths of its training risk at a temperature, with what one watches in learning
streamed along the way."""
from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.calls import understood, warned
from ..core.views.pictures import curves
from ..core.views.tables import Tabular
from ..langevin.dynamics.ensemble import Ensemble
from ..langevin.runs.checkpoint import load_state, save_state
from ..langevin.runs.driving import bar, interruption
from ..langevin.runs.identity import REMEDY, NotIdentified, content_of
from .curvature import largest_curvature, noise_temperature
from .problem import LearningProblem


@dataclass(frozen=True, repr=False)
class SgldRun(Tabular):
    """Walkers in the space of hypotheses and what was recorded on the way.

    Attributes
    ----------
    problem : LearningProblem
    x : ndarray, shape (n_paths, n_params)
        Hypotheses at the end.
    steps : ndarray of int, shape (n_records,)
    history : dict of ndarray, shape (n_records, n_paths)
        ``train_loss, test_loss``, with classes ``train_acc, test_acc``, ``norm`` |x|, and ``displacement`` |x
        - x0|^2, at `steps`.
    theta, l2, learning_rate, batch, seed
        As given.
    curvature : float
        Largest eigenvalue of the Hessian of the confined risk over the starts; the step is stable below 2
        over it.
    noise_temperature : float
        What the minibatches add to theta at the starts, (learning_rate/2) tr Cov/d, averaged; 0 for the full
        sample.
    status : str
        "ok", or why it ended early.
    """
    problem: LearningProblem
    x: np.ndarray
    steps: np.ndarray
    history: dict[str, np.ndarray]
    theta: float
    l2: float
    learning_rate: float
    batch: int | None
    seed: int
    curvature: float
    noise_temperature: float
    status: str = "ok"

    @property
    def times(self) -> np.ndarray:
        """Time learning_rate * steps of the diffusion."""
        return self.steps * self.learning_rate

    def late_mean(self, name: str, share: float = 0.25) -> np.ndarray:
        """Mean of one recorded quantity over the last `share` of the records, shape (n_paths,)."""
        values = self.history[name]
        return values[-max(1, int(round(share * len(values)))):].mean(0)

    def _columns(self):
        return {"step": self.steps, **{f"mean_{name}": v.mean(1) for name, v in self.history.items()}}

    def _labelled(self):
        return ({name: (("step", "path"), v) for name, v in self.history.items()},
                {"step": (("step",), self.steps)})

    def _picture(self):
        return curves([(self.steps, v.mean(1)) for name, v in self.history.items() if name.endswith("_loss")])

    def __repr__(self) -> str:
        end = ", ".join(f"{name} {values[-1].mean():.4g}" for name, values in self.history.items())
        text = (f"SGLD, {len(self.x)} path{'s' if len(self.x) > 1 else ''} in {self.x.shape[1]}-D: "
                f"theta {self.theta:g}, L2 {self.l2:g}, learning rate {self.learning_rate:g} (stable below "
                f"{2 / self.curvature:.3g}), {int(self.steps[-1])} steps; at the end {end}")
        return text if self.status == "ok" else f"{text}; {self.status}"


@understood
def sgld(problem: LearningProblem, theta: float, x0: ArrayLike, learning_rate: float, n_steps: int,
         l2: float = 0.0, batch: int | None = None, n_paths: int | None = None, record_every: int = 100,
         seed: int = 1, checkpoint: str | os.PathLike[str] | None = None, checkpoint_every: float = 60.0,
         progress: bool | None = None) -> SgldRun:
    """Stochastic gradient Langevin dynamics of the training risk.

        x <- x - lr (grad f_B(x) + l2 x) + sqrt(2 theta lr) N(0, 1)

    It is Euler-Maruyama of dX = -grad(f + l2 |x|^2/2) dt + sqrt(2 theta) dW with dt = lr: the same paths as
    ``fpkit.simulate(problem.potential(l2), theta, x0, lr, n_steps)``.

    Parameters
    ----------
    problem : LearningProblem
    theta : float
        Temperature in the units of the loss; 0 is gradient descent.
    x0 : array (n_params,) or (n_paths, n_params)
    learning_rate : float
        Refused above 1/(largest curvature at the starts), where the walk in stiff directions is no longer the
        diffusion's.
    n_steps : int
    l2 : float
        Confinement (l2/2)|x|^2; without it there is no normalisable Gibbs density.
    batch : int, optional
        Minibatches of this size, each walker its own; their noise adds to theta and is reported as
        `noise_temperature`.
    record_every : int
        Steps between two records of losses, accuracies, norm and displacement.
    seed : int
        The same seed gives the same run, also after an interruption.
    checkpoint : path, optional
        File for the state, written every `checkpoint_every` seconds and at the end; an existing one of the
        same run is resumed.

    Returns
    -------
    SgldRun
        Ctrl-C returns the run so far, with the reason in ``.status``.

    Examples
    --------
    >>> from fpkit.learning.modular_addition import ModularAddition
    >>> from fpkit.learning.sgld import sgld
    >>> problem = ModularAddition(modulus=5, width=4)
    >>> run = sgld(problem, 1e-4, problem.start(), learning_rate=0.02, n_steps=200, l2=1e-3, n_paths=2)
    >>> run.history["test_loss"].shape
    (3, 2)
    """
    theta = checks.number("theta", theta, non_negative=True)
    rate = checks.number("learning_rate", learning_rate, positive=True)
    n_steps, every = checks.whole("n_steps", n_steps, 1), checks.whole("record_every", record_every, 1)
    seed = checks.whole("seed", seed, 0)
    V = problem.potential(l2, batch, rate, seed)
    ensemble = Ensemble(V, theta, x0, rate, seed=seed, n_paths=n_paths)
    starts = ensemble.x.copy()  # of one path `ensemble.x` is a view, and it moves
    distinct = np.unique(starts, axis=0)
    curvature = max(float(c) + c.error for c in (largest_curvature(problem, x) for x in distinct)) + l2
    if rate * curvature > 1:
        raise ValueError(f"learning_rate is {rate:g} and the largest curvature at the start {curvature:.3g}: "
                         f"above 1/{curvature:.3g} = {1 / curvature:.3g} the "
                         "walk in the stiff directions is not that of the diffusion (and above twice that it "
                         "leaves the well); take a smaller one.")
    extra = 0.0 if batch is None else float(np.mean([noise_temperature(problem, x, batch, rate)
                                                     for x in distinct]))
    names = [*problem.scores(starts[0]), "norm", "displacement"]
    steps, table = [], {name: [] for name in names}
    digest = ""
    if checkpoint is not None:
        digest = _identity(checkpoint, problem, {"theta": theta, "x0": starts, "rate": rate, "l2": float(l2),
                                                 "batch": batch or 0, "every": every, "seed": seed})
    if checkpoint is not None and os.path.exists(checkpoint):
        state = load_state(checkpoint, digest)
        if int(state["step"]) > n_steps:
            raise ValueError(f"the checkpoint is at step {int(state['step'])}, beyond n_steps = {n_steps}; "
                             "ask for more steps or remove it.")
        ensemble.restore(state)
        steps = state["records/steps"].tolist()
        table = {name: list(state[f"records/{name}"]) for name in names}

    def save():
        if checkpoint is not None:
            save_state(checkpoint, digest, ensemble.state() | {"records/steps": np.array(steps, np.int64)}
                       | {f"records/{name}": np.array(values) for name, values in table.items()})

    def record():
        steps.append(ensemble.step)
        X = ensemble.x
        scores = [problem.scores(x) for x in X]
        for name in scores[0]:
            table[name].append(np.array([s[name] for s in scores]))
        table["norm"].append(np.linalg.norm(X, axis=1))
        table["displacement"].append(((X - starts) ** 2).sum(1))

    if not steps:
        record()
    saved = time.monotonic()
    with interruption() as is_pressed, bar(n_steps, "SGLD", progress) as shown:
        while ensemble.step < n_steps and not is_pressed():
            n = min(every - ensemble.step % every, n_steps - ensemble.step)
            ensemble.advance(n)
            ensemble.check_finite()
            if ensemble.step % every == 0 or ensemble.step == n_steps:
                record()
            if shown is not None:
                shown.update(n)
            if time.monotonic() - saved > checkpoint_every:
                save()
                saved = time.monotonic()
    save()
    done = ensemble.step
    status = "ok" if done == n_steps else f"stopped by Ctrl-C after {done} of {n_steps} steps"
    return SgldRun(problem, ensemble.x, np.array(steps),
                   {name: np.array(values) for name, values in table.items()}, theta, float(l2), rate, batch,
                   seed, curvature, extra, status)


def _identity(checkpoint, problem, settings):
    """Hash of all that the walk depends on: data, labels, noise, the code of the problem and the settings."""
    try:
        return content_of({"problem": problem, **settings})
    except NotIdentified as reason:
        sentence = (f"{reason}, so it cannot be known whether a checkpoint is of this problem: {REMEDY}, or "
                    "name "
                    "another file.")
        if os.path.exists(checkpoint):
            raise ValueError(f"{os.fspath(checkpoint)!r} is not resumed: {sentence}") from None
        warned(f"this run cannot be resumed later: {sentence}", UserWarning)
        return "unidentified"
