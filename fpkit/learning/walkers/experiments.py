"""Experiments with walkers of any learning problem: first passages, displacement by curvature, nats per
example, and what becomes of walkers that have generalised."""
from __future__ import annotations

import numbers
from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core import checks
from ...core.interruption import whole_results
from ...core.views.tables import Tabular
from ..modular_addition import ModularAddition
from ..problem import LearningProblem
from .engines import _Network, _Plain, is_network
from .learners import LearnerRun, _accuracy, _begun, learn
from .passages import Passages, joined

DEFAULTS = {"theta": 0.0, "l2": 0.0, "learning_rate": 0.08, "batch": 0, "scale": 1.0, "optimiser": "sgld",
            "horizon": 1e4}
FAR = 1e4
CHECK = 2.0                                      # time between two checks of the passages


def addition(modulus: int = 11, width: int = 32, n: int = 91) -> Callable[[int, Mapping[str, float]],
                                                                           ModularAddition]:
    """Makes the problems of an experiment: addition modulo p for a split and a condition, whose `width` and
    `n` (training pairs) count before these."""
    def make(split: int, condition: Mapping[str, float]) -> ModularAddition:
        size = condition.get("n", n)
        return ModularAddition(modulus, int(condition.get("width", width)), size / modulus**2, split)
    return make


class _Condition(UserDict):
    """A condition that knows which of its settings were asked for."""
    def __init__(self, given):
        if not isinstance(given, Mapping):
            raise TypeError("conditions must be dictionaries such as {'theta': 1e-4, 'horizon': 100.0}, got "
                            f"{checks.shown(given)}.")
        self.read = set(DEFAULTS)
        super().__init__(DEFAULTS | dict(given))
        for name in ("horizon", "learning_rate"):
            checks.number(name, self.data[name], positive=True)

    def __getitem__(self, name):
        self.read.add(name)
        return super().__getitem__(name)


def first_passages(make: Callable[[int, Mapping[str, Any]], LearningProblem],
                   conditions: Sequence[Mapping[str, Any]], n_splits: int = 4, n_starts: int = 4,
                   level: float = 0.9, seed: int = 1, precision: str = "single", n_threads: int | None = None,
                   progress: bool | None = None, every: float | None = None) -> Passages:
    """Times learning_rate x steps (for AdamW: steps) at which walkers first reach a test accuracy.

    Parameters
    ----------
    make : callable
        ``make(split, condition)`` returns the problem of one split of the data; its ``start(scale, seed)``
        the starts. `addition` makes the network's; for a problem of your own return an `OwnProblem`, whose
        `start` should draw (with one point for all, walkers differ by their noise alone).
    conditions : sequence of dict
        Of ``theta, l2, learning_rate, batch, scale, optimiser, horizon`` (longest time) and whatever `make`
        reads; what nobody reads is refused. Each is run on the same splits with the same starts and its own
        noise.
    n_splits, n_starts : int
        Splits of the data, and walkers on each.
    level : float
    seed, precision, n_threads, progress
        As in `learn`.
    every : float, optional
        Time between two looks at the accuracies, default 2 (for AdamW 10 steps): a passage is seen so much
        late at most, or not at all where the accuracy falls below the level again in between.

    Returns
    -------
    Passages
        Times are 0 for walkers that start at the level. Columns: the conditions, ``level``, ``t_mem`` (time
        of memorising, infinite when it never came), ``late`` (test accuracy over the last quarter watched),
        ``norm_mem, norm_most, norm_end`` and ``split, start``.

    Examples
    --------
    >>> from fpkit.learning.walkers import addition, first_passages
    >>> found = first_passages(addition(11, 32, 109), [{"theta": 3e-4, "l2": 2e-4, "horizon": 400.0}],
    ...                        n_splits=2, n_starts=1)
    >>> len(found), sorted(found.columns)[:3]
    (2, ['batch', 'horizon', 'l2'])
    """
    if not callable(make):
        raise TypeError(f"make must be a function of (split, condition), got {checks.shown(make)}; for one "
                        "problem give `lambda split, condition: problem`.")
    wanted = [_Condition(c) for c in ([conditions] if isinstance(conditions, Mapping) else conditions)]
    if not wanted:
        raise ValueError("conditions is empty; give at least one, [{}] for the defaults.")
    n_splits, n_starts = checks.whole("n_splits", n_splits, 1), checks.whole("n_starts", n_starts, 1)
    level = _accuracy("level", level)
    jobs: dict[tuple, list] = {}
    for c in wanted:
        for split in range(n_splits):
            problem = make(split, c)
            if not isinstance(problem, LearningProblem):
                raise TypeError(f"make must return a LearningProblem, got {checks.shown(problem)}.")
            for name in c.data:
                checks.choice("setting of a condition", name, sorted(c.read))
            for start in range(n_starts):
                x = problem.start(c["scale"], 1000 + 100 * split + start)
                key = c["optimiser"], problem.n_params, c["learning_rate"], c["horizon"]
                jobs.setdefault(key, []).append((c, split, start, problem, x))
    every = None if every is None else checks.number("every", every, positive=True)
    parts = [_passed(key, rows, level, every, seed + k, precision, n_threads, progress)
             for k, (key, rows) in enumerate(jobs.items())]
    return joined(parts)


def _passed(key, rows, level, every, seed, precision, n_threads, progress):
    optimiser, _, rate, horizon = key
    unit = 1.0 if optimiser == "adamw" else rate
    n_steps = max(1, round(horizon / unit))
    of = lambda name: np.array([row[0][name] for row in rows])
    run = learn([row[3] for row in rows], n_steps, of("learning_rate"), of("theta"),
                of("l2"), optimiser, of("batch"), np.array([row[4] for row in rows]), stop_at=level,
                check_every=min(max(1, round((every or (10.0 if optimiser == "adamw" else CHECK)) / unit)),
                                n_steps),
                levels=(level,), seed=seed, precision=precision, n_threads=n_threads, progress=progress)
    seen = np.isfinite(run.passages[level])
    columns = {name: of(name) for name in rows[0][0]
               if all(isinstance(row[0].get(name), (numbers.Real, str)) for row in rows)}
    norms = np.where(run.steps[:, None] >= run.t_memorised, run.history["norm"], np.nan)
    ok = np.isfinite(norms).any(0)
    summary = lambda function: np.array([function(norms[:, k]) if ok[k] else np.nan
                                         for k in range(len(rows))])
    columns |= {"level": np.full(len(rows), level), "t_mem": run.t_memorised * unit,
                "late": run.late_mean("test_acc"),
                "norm_mem": summary(lambda v: v[np.isfinite(v)][0]), "norm_most": summary(np.nanmax),
                "norm_end": np.linalg.norm(run.x, axis=1), "split": np.array([row[1] for row in rows]),
                "start": np.array([row[2] for row in rows])}
    if "diverged" in run.status:
        where = [dict(row[0].data) for row, x in zip(rows, run.x) if not np.isfinite(x).all()]
        raise ArithmeticError(f"{run.status}, or leave out conditions such as {where[0] if where else ''}.")
    if run.status != "ok":
        raise KeyboardInterrupt(run.status)
    return Passages(np.where(seen, run.passages[level], run.watched) * unit, seen, columns["split"], columns)


# ---- displacement by curvature ----
CLASSES = ((1e-1, np.inf), (1e-2, 1e-1), (1e-3, 1e-2), (0.0, 1e-3))


def gauss_newton(problem: LearningProblem, x: np.ndarray) -> np.ndarray:
    """Mean over the training sample of the outputs' J^T J, (n_params, n_params): the Hessian of the risk
    without the residuals' part, for half squared errors. A problem that shows no outputs: the Hessian."""
    x = problem._one(x)
    if not hasattr(problem, "_outputs"):
        return problem.hessian(x)
    members = problem._index["train"]
    shape = problem._outputs(x[None], members)[0].shape[1:]
    total = np.zeros((problem.n_params, problem.n_params))
    for k in range(shape[0]):
        _, back = problem._outputs(np.broadcast_to(x, (shape[1], problem.n_params)), members[k:k + 1])
        J = back(np.eye(shape[1])[:, None])
        total += J.T @ J
    return total / shape[0]


@dataclass(frozen=True)
class Displacement(Tabular):
    """Mean squared displacement from an origin, in all directions and by their curvature there.

    Attributes
    ----------
    lags : ndarray, shape (n_lags,)
        Times.
    whole : ndarray, shape (n_walkers, n_lags)
        |x(t0 + lag) - x(t0)|^2.
    parts : ndarray, shape (n_classes, n_walkers, n_lags)
        The same within the eigenvectors whose curvatures lie in each of `CLASSES` by size (a Hessian has
        negative ones too), the last being null.
    dimensions : ndarray of int, shape (n_classes, n_walkers)
    theta : float
    cluster : ndarray of int
    """
    lags: np.ndarray
    whole: np.ndarray
    parts: np.ndarray
    dimensions: np.ndarray
    theta: float
    cluster: np.ndarray

    def _columns(self):
        parts = {f"class_{k}": part.mean(0) for k, part in enumerate(self.parts) if len(self.cluster)}
        return {"lag": self.lags, "whole": self.whole.mean(0), **parts}

    def _inside(self, low, high, least, part):
        if part is not None and not self.dimensions[part].any():
            low, high = CLASSES[part]
            raise ValueError(f"no walker has a direction whose curvature is {low:g} to {high:g}; the classes "
                             f"hold {self.dimensions.max(1).tolist()} directions at most.")
        inside = (self.lags >= low) & (self.lags <= high)
        if inside.sum() < least:
            raise ValueError(f"{inside.sum()} of the lags lie in {low:g} to {high:g}, {least} are needed; "
                             f"they go from {self.lags[0]:g} to {self.lags[-1]:g}.")
        return inside

    def exponents(self, low: float, high: float, part: int | None = None) -> np.ndarray:
        """Exponent of each walker's displacement between two lags."""
        inside = self._inside(low, high, 2, part)
        values = self.whole if part is None else self.parts[part]
        with np.errstate(divide="ignore", invalid="ignore"):         # of walkers without such a direction
            return np.polyfit(np.log(self.lags[inside]), np.log(values[:, inside]).T, 1)[0]

    def prefactors(self, low: float, high: float, part: int = -1) -> np.ndarray:
        """Displacement over that of a free walk, 2 theta d lag, of each walker: mean over the lags between
        two."""
        inside = self._inside(low, high, 1, part)
        if not self.theta:
            raise ValueError("theta is 0: there is no free walk to compare with.")
        free = 2 * self.theta * self.dimensions[part][:, None] * self.lags[inside]
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.parts[part][:, inside] / free).mean(1)


def displacement(problems: Sequence[LearningProblem], starts: np.ndarray, theta: float, origin: float,
                 lags: Sequence[float], l2: float = 0.0, learning_rate: float = 0.04,
                 n_resolved: int | None = None,
                 seed: int = 1, n_threads: int | None = None) -> Displacement:
    """Displacement of walkers from where they are at the time `origin`; with `n_resolved` of them (default
    all) resolved by the curvature there.

    Near-null directions of a zero-risk set are free: a walk of 2 theta d lag, with nothing fitted.
    """
    learning_rate = checks.number("learning_rate", learning_rate, positive=True)
    first = round(checks.number("origin", origin, non_negative=True) / learning_rate)
    lags = [checks.number("lags", lag, positive=True) for lag in lags]
    if not lags:
        raise ValueError("lags is empty; give the times at which the displacement is wanted.")
    if min(lags) < learning_rate / 2:
        raise ValueError(f"a lag of {min(lags):g} is less than one step of the learning rate "
                         f"{learning_rate:g}.")
    steps = np.unique(np.maximum(1, np.round(np.array(lags) / learning_rate))).astype(int)
    if isinstance(problems, LearningProblem):
        problems = [problems] * len(np.atleast_2d(starts))
    theta = checks.number("theta", theta, non_negative=True)
    with whole_results():
        run = learn(problems, first + int(steps[-1]), learning_rate, theta, l2, starts=starts,
                    snapshots=[first, *(first + steps)], seed=seed, check_every=10**9, levels=(),
                    n_threads=n_threads)
    if run.status != "ok":
        raise ArithmeticError(run.status)
    x = run.snapshots.astype(float)
    _still_here(x, starts, learning_rate)
    moved = x[1:] - x[0]
    n = min(len(problems), len(problems) if n_resolved is None else checks.whole("n_resolved", n_resolved))
    chosen = np.round(np.linspace(0, len(problems) - 1, n)).astype(int)
    parts, dimensions = np.zeros((len(CLASSES), n, len(steps))), np.zeros((len(CLASSES), n), int)
    for row, k in enumerate(chosen):
        values, vectors = np.linalg.eigh(gauss_newton(problems[k], x[0, k]))
        values = abs(values)
        squares = (moved[:, k] @ vectors) ** 2
        for c, (low, high) in enumerate(CLASSES):
            inside = (values >= low) & (values < high)
            parts[c, row], dimensions[c, row] = squares[:, inside].sum(1), inside.sum()
    seeds = {id(p): j for j, p in enumerate({id(p): p for p in problems}.values())}
    cluster = np.array([getattr(problems[k], "seed", seeds[id(problems[k])]) for k in chosen])
    return Displacement(steps * learning_rate, (moved**2).sum(-1).T, parts, dimensions, float(theta), cluster)


def _still_here(x, starts, learning_rate):
    """Refuse walkers that diverged: no loss holds any this far from where they came from."""
    if not np.abs(x).max() < FAR * (1 + np.abs(starts).max()):
        raise ArithmeticError(f"walkers diverged; take a learning rate below {learning_rate:g}.")


# ---- nats per example ----
NODES, SAMPLES = 16, 50


class _OneMore(_Plain):
    """Walkers of any problem whose risk counts one more member with the weight lambda, one a walker."""

    def _gradient(self, step):
        problem, g = self.walkers.problems[0], np.zeros_like(self.x)
        n, lam, x = problem.n_train, self.lam[self.fine, None], self.x[self.fine]
        if len(x):
            g[self.fine] = (n * problem.gradient(x) + lam * problem.gradient(x, self.added)) / (n + lam)
        return g


def example_entropy(problem: LearningProblem, x: np.ndarray, theta: float, l2: float = 0.0,
                    learning_rate: float = 0.08, settle: float = 320.0, measure: float = 400.0,
                    seed: int = 1) -> dict[str, float]:
    """Nats by which one more member cuts the zero-risk region around a walker: the change of F/theta.

        (F_{n+1} - F_n)/theta = (1/theta) int_0^1 <d f_lambda/d lambda> d lambda,

    f_lambda the risk in which a test member has the weight lambda beside the n of weight one. The nodes of
    Gauss's rule in lambda^(1/4) are the walkers of one run, from the same hypothesis: quasi-stationary, not
    an equilibrium of the whole space. `halves` is the ratio of the two halves of the measurement.

    Returns
    -------
    dict
        ``nats, halves, test_acc`` (mean over the walkers in the end; NaN without classes).
    """
    theta, n = checks.number("theta", theta, positive=True), problem.n_train
    for name, value in (("learning_rate", learning_rate), ("settle", settle), ("measure", measure)):
        checks.number(name, value, positive=True)
    if not problem.n_test:
        raise ValueError("the test sample is empty: there is no member to add.")
    x = problem._one(x)
    added = np.random.default_rng([checks.whole("seed", seed), 3]).choice(problem._index["test"], 1)
    nodes, quadrature = np.polynomial.legendre.leggauss(NODES)
    u = 0.5 * (nodes + 1)
    lam, jacobian = u**4, 0.5 * quadrature * 4 * u**3
    weights = None
    if is_network([problem]):
        weights = np.broadcast_to(problem.is_train.ravel().astype(float), (NODES, problem.modulus**2)).copy()
        weights[:, added] = lam[:, None]
        weights /= weights.sum(1, keepdims=True)
    every = max(1, round(measure / (SAMPLES * learning_rate)))
    walkers, _ = _begun(problem, {"learning_rate": learning_rate, "theta": theta, "l2": l2, "batch": 0},
                        "sgld", np.broadcast_to(x, (NODES, len(x))), weights, (0.9, 0.98), seed, "single",
                        None, every)
    engine: Any = (_OneMore if weights is None else _Network)(walkers)
    engine.lam, engine.added = lam, added
    step, found = round(settle / learning_rate), []
    engine.march(0, step)
    for _ in range(SAMPLES):
        engine.march(step, every)
        step += every
        _still_here(engine.x, x, learning_rate)
        # d/dlambda of the mean with weights (1, ..., 1, lambda)/(n + lambda)
        one = problem._losses(engine.x, added)[:, 0]
        mean = (problem.losses(engine.x).sum(1) + lam * one) / (n + lam)
        found.append((one - mean) / (n + lam))
    half = len(found) // 2
    nats = [float((jacobian * np.mean(part, axis=0)).sum() / theta) for part in (found, found[:half],
                                                                                found[half:])]
    return {"nats": nats[0], "halves": nats[1] / nats[2] if nats[2] else float("nan"),
            "test_acc": float(engine.measure().get("test_acc", np.array(np.nan)).mean())}


# ---- after the passage ----
def persistence(run: LearnerRun, level: float = 0.9) -> dict[str, np.ndarray]:
    """What became of the walkers of a run without `stop_at` after their first passage of a level.

    Returns
    -------
    dict of ndarray, shape (n_walkers,)
        ``followed``: how many times its passage time each was followed after it (0 when it did not pass);
        ``late``: its mean test accuracy over the last quarter of the run; ``above``: share of the records
        after the passage at the level.
    """
    t = run.first_steps(level)
    with np.errstate(invalid="ignore"):
        followed = np.where(np.isfinite(t), (run.watched - t) / np.maximum(t, 1), 0.0)
    after = run.steps[:, None] >= t
    above = np.where(after, run.history["test_acc"] >= level, False).sum(0) / np.maximum(after.sum(0), 1)
    return {"followed": followed, "late": run.late_mean("test_acc"), "above": above}
