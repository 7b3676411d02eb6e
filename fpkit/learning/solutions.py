"""A memorising and a generalising zero-risk hypothesis of one network, and walks that start from them."""
from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from typing import Any

import numpy as np

from ..core import checks
from ..core.sharing import in_order
from ..core.views.tables import Tabular
from .modular_addition import ModularAddition
from .sgld import SgldRun, sgld
from .training import TrainingRun, train


@dataclass(frozen=True, repr=False)
class Solutions(Tabular):
    """Two hypotheses that fit the training sample of one problem.

    Attributes
    ----------
    problem : ModularAddition
    memorised : ndarray, shape (n_params,)
        M: AdamW without decay from the start: fits the training sample, fails on the test sample.
    generalised : ndarray, shape (n_params,)
        G: AdamW with decay 1 from the same start until it generalises, then without decay: fits both.
    between : ndarray, shape (n_params,)
        A point of G's training, two thirds of the way from memorising to generalising.
    run : TrainingRun
        The run that led to G, before the decay was taken away.
    """
    problem: ModularAddition
    memorised: np.ndarray
    generalised: np.ndarray
    between: np.ndarray
    run: TrainingRun

    def __repr__(self) -> str:
        m, g = self.problem.scores(self.memorised), self.problem.scores(self.generalised)
        return (f"{self.problem}\n  M: training risk {m['train_loss']:.2g}, test accuracy "
                f"{m['test_acc']:.2f}, norm {np.linalg.norm(self.memorised):.3g}\n"
                f"  G: training risk {g['train_loss']:.2g}, test accuracy {g['test_acc']:.2f}, norm "
                f"{np.linalg.norm(self.generalised):.3g}")


def solutions(modulus: int = 13, width: int = 64, fraction: float = 0.7, seed: int = 0, n_steps: int = 12000,
              polish: int = 3000) -> Solutions:
    """Train one network twice from the same start: without decay to M, with decay and then without to G.

    Raises ArithmeticError when the run with decay does not generalise within `n_steps`: another seed or a
    larger fraction helps.

    Examples
    --------
    >>> from fpkit.learning.solutions import solutions
    >>> found = solutions(modulus=11, width=32, fraction=0.75, polish=500)
    >>> found.problem.scores(found.generalised)["test_acc"]
    1.0
    """
    problem = ModularAddition(modulus, width, fraction, seed)
    polish = checks.whole("polish", polish, 1)
    memorised = train(problem, polish, weight_decay=0.0)
    memorised = train(problem, polish // 2, 3e-4, weight_decay=0.0, start=memorised.x)
    run = train(problem, n_steps, stop_after=200, save_every=20)
    if run.t_grokked is None:
        raise ArithmeticError(f"the network did not generalise within {n_steps} steps; take another seed "
                              f"than {seed} or a fraction above {fraction:g}.")
    polished = train(problem, polish // 2, 1e-3, weight_decay=0.0, start=run.x)
    polished = train(problem, polish // 2, 1e-4, weight_decay=0.0, start=polished.x)
    wanted = run.t_memorised + 2 * (run.t_grokked - run.t_memorised) / 3
    between = run.checkpoints[int(np.argmin(abs(run.saved_steps - wanted)))]
    return Solutions(problem, memorised.x, polished.x, between, run)


@dataclass(frozen=True, repr=False)
class Walks(Tabular):
    """SGLD from M and from G of several networks under several conditions.

    Attributes
    ----------
    rows : list of dict
        One for each condition, seed and start: ``l2, theta, seed, start`` ("M" or "G"), the accuracy at the
        end of the run (``late``: mean of its last eighth; ``reached``: first step at .99 or None), norms,
        mean risk (``risk``, last eighth), and ``equipartition``, theta n p/(2 n) per member: see `walks`.
    runs : dict
        (l2, theta, seed) to the `SgldRun` with the two paths.
    """
    rows: list[dict[str, Any]]
    runs: dict[tuple[float, float, int], SgldRun]
    status: str = "ok"

    def _columns(self):
        return {name: [row[name] for row in self.rows] for name in (self.rows[0] if self.rows else ())}

    def mean(self, name: str, l2: float, theta: float, start: str) -> tuple[float, float]:
        """Mean over the seeds of one entry, and its standard error (0 with one seed)."""
        v = np.array([r[name] for r in self.rows if (r["l2"], r["theta"], r["start"]) == (l2, theta, start)],
                     float)
        return float(v.mean()), float(v.std(ddof=1) / np.sqrt(len(v))) if len(v) > 1 else 0.0

    def __repr__(self) -> str:
        lines = ["    L2     theta  seed  start  test accuracy   late  norm       mean risk  equipartition"]
        for r in self.rows:
            lines.append(f"{r['l2']:6.0e}  {r['theta']:8.0e}  {r['seed']:4d}  {r['start']:>5}  "
                         f"{r['first']:.2f} -> {r['last']:.2f}   {r['late']:.3f}  {r['norm_first']:.1f} -> "
                         f"{r['norm_last']:.1f}  {r['risk']:.4f}  {r['equipartition']:.4f}")
        return "\n".join(lines)


# (l2, theta, steps at learning rate .02)
CONDITIONS = ((0.0, 3e-5, 300_000), (2e-4, 3e-5, 500_000), (2e-4, 0.0, 500_000), (1e-3, 1e-4, 300_000),
              (1e-3, 0.0, 300_000))


def walks(conditions: Sequence[tuple[float, float, int]] = CONDITIONS, seeds: Sequence[int] = (0, 1, 2),
          learning_rate: float = 0.02, modulus: int = 13, width: int = 64, fraction: float = 0.7,
          n_processes: int = 1, executor: Executor | None = None) -> Walks:
    """SGLD of the training risk from the memorising and the generalising hypothesis of each seed, with and
    without L2.

    On the zero-risk set of n samples with p outputs each every one of the n p residuals is a stiff direction;
    in equilibrium each carries theta/2 of the SUM of losses' quadratic form, so that the mean risk is theta n
    p/2 when n p is below the number of parameters (equipartition: f is quadratic in n p independent
    residuals).

    Parameters
    ----------
    conditions : sequence of (l2, theta, n_steps)
    seeds : sequence of int
    learning_rate : float
        Of each step; the time of a walk is its product with n_steps.
    modulus, width, fraction
        The network.
    n_processes : int
        Walks at a time, the same bits for any number. Above 1 they run in processes of their own (the steps
        are small NumPy calls, which threads would hold up for one another), and a script that calls this
        needs the line ``if __name__ == "__main__":``.
    executor : concurrent.futures.Executor, optional
        Its workers walk in place of processes of this call.

    Returns
    -------
    Walks
    """
    found = [solutions(modulus, width, fraction, seed) for seed in seeds]
    # the longest first: none is left over at the end
    jobs = sorted(((c, s) for c in conditions for s in found), key=lambda job: -job[0][2])
    if executor is not None:
        runs = in_order(executor, _walk, [(job, learning_rate) for job in jobs])
    elif checks.whole("n_processes", n_processes, 1) == 1:
        runs = []
        for job in jobs:
            runs.append(_walk(job, learning_rate))
            if runs[-1].status != "ok":        # Ctrl-C: a walk that was cut short has no late mean
                del runs[-1]
                break
    else:
        with ProcessPoolExecutor(n_processes, get_context("spawn")) as pool:
            runs = list(pool.map(_walk, jobs, repeat(learning_rate)))
    rows = []
    for ((l2, theta, _), s), run in zip(jobs, runs):
        for k, start in enumerate("MG"):
            acc = run.history["test_acc"][:, k]
            reached = np.flatnonzero(acc >= 0.99)
            rows.append({"l2": l2, "theta": theta, "seed": s.problem.seed, "start": start,
                         "first": float(acc[0]), "last": float(acc[-1]),
                         "late": float(run.late_mean("test_acc", 0.125)[k]),
                         "reached": int(run.steps[reached[0]]) if reached.size else None,
                         "norm_first": float(run.history["norm"][0, k]),
                         "norm_last": float(run.history["norm"][-1, k]),
                         "risk": float(run.late_mean("train_loss", 0.125)[k]), "equipartition": theta
                         * s.problem.n_train * modulus / 2, "curvature": run.curvature})
    done = {(l2, theta, s.problem.seed): run for ((l2, theta, _), s), run in zip(jobs, runs)}
    status = "ok" if len(runs) == len(
        jobs) else f"stopped by Ctrl-C: {len(runs)} of {len(jobs)} walks are done"
    return Walks(rows, done, status)


def _walk(job, learning_rate):
    """The paths from M and from G of one network under one condition."""
    (l2, theta, n_steps), s = job
    starts = np.stack([s.memorised, s.generalised])
    return sgld(s.problem, theta, starts, learning_rate, n_steps, l2=l2, record_every=max(1, n_steps // 200),
                seed=11 + s.problem.seed, progress=False)
