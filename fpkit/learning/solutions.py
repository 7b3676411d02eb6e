"""A memorising and a generalising zero-risk hypothesis of one network, and walks that start from them."""
from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import checks
from ..core.interruption import whole_results
from ..core.views.tables import Tabular
from .modular_addition import ModularAddition
from .sgld import SgldRun, stable_curvature
from .training import TrainingRun, train
from .walkers.learners import Every, learn


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


@whole_results()
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
        Threads; the same bits for any number.
    executor : concurrent.futures.Executor, optional
        Its workers walk in place of threads of this call.

    Returns
    -------
    Walks
    """
    found = [solutions(modulus, width, fraction, seed) for seed in seeds]
    curvatures = {(l2, s.problem.seed): stable_curvature(s.problem, np.stack([s.memorised, s.generalised]),
                                                         l2, learning_rate)
                  for l2 in {c[0] for c in conditions} for s in found}
    rows, done, status = [], {}, "ok"
    for n_steps in sorted({c[2] for c in conditions}, reverse=True):
        some = [(l2, theta, s) for l2, theta, n in conditions if n == n_steps for s in found]
        problems = [s.problem for _, _, s in some for _ in "MG"]
        pair = lambda k, some=some: np.repeat([job[k] for job in some], 2)
        every = max(1, n_steps // 200)              # records are made at checks only
        run = learn(problems, n_steps, learning_rate, pair(1), pair(0), check_every=every,
                    starts=np.concatenate([[s.memorised, s.generalised] for _, _, s in some]), seed=11,
                    record=Every(every), n_threads=n_processes, executor=executor, progress=False)
        if run.status != "ok":                     # a walk that was cut short has no late mean
            status = f"{run.status}: {len(done)} of {len(conditions) * len(found)} walks are done"
            break
        for k, (l2, theta, s) in enumerate(some):
            mine = slice(2 * k, 2 * k + 2)
            walk = SgldRun(s.problem, run.x[mine], run.steps, {name: v[:, mine] for name,
                                                               v in run.history.items()},
                           theta, l2, learning_rate, None, run.seed, curvatures[l2, s.problem.seed], 0.0)
            done[l2, theta, s.problem.seed] = walk
            rows += [_row(walk, j, start, modulus) for j, start in enumerate("MG")]
    return Walks(rows, done, status)


def _row(walk, k, start, modulus):
    """One path of a walk in numbers."""
    accuracy, norm = walk.history["test_acc"][:, k], walk.history["norm"][:, k]
    reached = np.flatnonzero(accuracy >= 0.99)
    late = lambda name: float(walk.late_mean(name, 0.125)[k])
    return {"l2": walk.l2, "theta": walk.theta, "seed": walk.problem.seed, "start": start,
            "first": float(accuracy[0]), "last": float(accuracy[-1]), "late": late("test_acc"),
            "reached": int(walk.steps[reached[0]]) if reached.size else None, "norm_first": float(norm[0]),
            "norm_last": float(norm[-1]), "risk": late("train_loss"),
            "equipartition": walk.theta * walk.problem.n_train * modulus / 2, "curvature": walk.curvature}
