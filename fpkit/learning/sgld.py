"""SGLD of a hypothesis: paths of its training risk at a temperature, with what one watches in learning
streamed along the way."""
from __future__ import annotations

import os
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.calls import understood
from .curvature import largest_curvature, noise_temperature
from .problem import LearningProblem
from .walkers.learners import Every, Records, learn


@dataclass(frozen=True, repr=False)
class SgldRun(Records):
    """Walkers in the space of hypotheses and what was recorded on the way.

    Attributes
    ----------
    problem : LearningProblem
    x, steps, history
        As of a `LearnerRun`, with one walker a path.
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
         executor: Executor | None = None, progress: bool | None = None) -> SgldRun:
    """Stochastic gradient Langevin dynamics of the training risk.

        x <- x - lr (grad f_B(x) + l2 x) + sqrt(2 theta lr) N(0, 1)

    It is Euler-Maruyama of dX = -grad(f + l2 |x|^2/2) dt + sqrt(2 theta) dW with dt = lr, the diffusion of
    ``fpkit.simulate(problem.potential(l2), theta, x0, lr, n_steps)``. `fpkit.learning.learn` makes the steps;
    it takes many problems, starts and temperatures at once, in float32 by default.

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
    executor : concurrent.futures.Executor, optional
        Runs blocks of the paths elsewhere; the numbers are the same.

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
    rate = checks.number("learning_rate", learning_rate, positive=True)
    every = checks.whole("record_every", record_every, 1)
    starts = checks.points("x0", x0, problem.n_params)
    if n_paths is not None or starts.ndim == 1:
        starts = np.broadcast_to(starts, (checks.whole("n_paths", n_paths or 1, 1), problem.n_params))
    distinct = np.unique(starts, axis=0)
    l2 = checks.number("l2", l2, non_negative=True)
    curvature = stable_curvature(problem, distinct, l2, rate)
    extra = 0.0 if batch is None else float(np.mean([noise_temperature(problem, x, batch, rate)
                                                     for x in distinct]))
    run = learn(problem, n_steps, rate, theta, l2, batch=batch or 0, starts=starts, check_every=every,
                record=Every(every), levels=(), seed=seed, precision="double", checkpoint=checkpoint,
                checkpoint_every=checkpoint_every, executor=executor, progress=progress)
    if run.status.endswith(f"below {rate:g}"):
        raise ArithmeticError(run.status)
    return SgldRun(problem, run.x, run.steps, run.history, float(run.theta[0]), l2, rate, batch, seed,
                   curvature, extra, run.status)


def stable_curvature(problem: LearningProblem, starts: np.ndarray, l2: float, rate: float) -> float:
    """Largest eigenvalue of the Hessian of the confined risk over the starts; refuses a rate above 1 over
    it."""
    curvature = max(float(c) + c.error for c in (largest_curvature(problem, x) for x in starts)) + l2
    if rate * curvature > 1:
        raise ValueError(f"learning_rate is {rate:g} and the largest curvature at the start {curvature:.3g}: "
                         f"above 1/{curvature:.3g} = {1 / curvature:.3g} the "
                         "walk in the stiff directions is not that of the diffusion (and above twice that it "
                         "leaves the well); take a smaller one.")
    return curvature
