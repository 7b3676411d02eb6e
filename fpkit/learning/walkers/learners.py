"""Many learners at once, each with its own sample, start, temperature and rate, watched until each has
passed."""
from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ...core.calls import understood, warned
from ...core.compilation.vectors import LANES
from ...core.interruption import interruption
from ...core.runs.checkpoint import load_state, save_state
from ...core.runs.identity import REMEDY, NotIdentified, content_of
from ...core.sharing import in_order
from ...core.views.pictures import curves
from ...core.views.tables import Tabular
from ...langevin.runs.driving import bar
from ..problem import LearningProblem
from .engines import OPTIMISERS, PRECISIONS, Walkers, advance, first_state, is_network

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
MEMORISED = 0.99
FIRST_ROUND, ROUND_SECONDS = 64, 0.3


@dataclass(frozen=True)
class Every:
    """Records of a run each `n` steps."""
    n: int


class Records(Tabular):
    """What runs of walkers show of their `steps` and `history`."""
    steps: np.ndarray
    history: dict[str, np.ndarray]

    def _columns(self):
        return {"step": self.steps, **{f"mean_{name}": v.mean(1) for name, v in self.history.items()}}

    def _labelled(self):
        return ({name: (("step", "walker"), v) for name, v in self.history.items()},
                {"step": (("step",), self.steps)})

    def _picture(self):
        return curves([(self.steps, v.mean(1)) for name, v in self.history.items() if name.endswith("_loss")])


@dataclass(frozen=True, repr=False)
class LearnerRun(Records):
    """Walkers in the space of hypotheses, when each passed, and what was recorded on the way.

    Attributes
    ----------
    problems : tuple of LearningProblem
        One for each walker.
    x : ndarray, shape (n_walkers, n_params)
        Hypotheses at the end, or when the walker stopped.
    steps : ndarray of int, shape (n_records,)
    history : dict of ndarray, shape (n_records, n_walkers)
        ``train_loss, test_loss``, with classes ``train_acc, test_acc``, ``norm`` |x| and ``displacement`` |x
        - x0|^2 at `steps`; NaN after a walker stopped.
    t_memorised : ndarray, shape (n_walkers,)
        First checked step with a training accuracy of .99; infinite where it never came.
    passages : dict of ndarray
        For each level of the test accuracy, the first checked step at which each walker was there; infinite
        for those that were not (censored at `watched`).
    watched : ndarray of int, shape (n_walkers,)
        Step up to which each walker was followed.
    snapshot_steps : ndarray of int
    snapshots : ndarray, shape (n_snapshots, n_walkers, n_params)
        float32; NaN after a walker stopped.
    learning_rate, theta, l2, batch : ndarray, shape (n_walkers,)
    optimiser, precision : str
    seed : int
    status : str
        "ok", or why it ended early, or which walkers diverged.
    """
    problems: tuple[LearningProblem, ...]
    x: np.ndarray
    steps: np.ndarray
    history: dict[str, np.ndarray]
    t_memorised: np.ndarray
    passages: dict[float, np.ndarray]
    watched: np.ndarray
    snapshot_steps: np.ndarray
    snapshots: np.ndarray
    learning_rate: np.ndarray
    theta: np.ndarray
    l2: np.ndarray
    batch: np.ndarray
    optimiser: str
    precision: str
    seed: int
    status: str = "ok"

    def first_steps(self, level: float) -> np.ndarray:
        """`passages` of a level that was watched."""
        if level not in self.passages:
            known = ", ".join(f"{v:g}" for v in self.passages)
            raise ValueError(f"level {level!r} was not watched: " + (
                f"{known} were; give levels=... to `learn`." if known else "there are no test accuracies."))
        return self.passages[level]

    def passage_times(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Times learning_rate x steps at which the walkers passed a level or were last seen below it, and
        whether they passed."""
        steps = self.first_steps(level)
        seen = np.isfinite(steps)
        return np.where(seen, steps, self.watched) * self.learning_rate, seen

    def late_mean(self, name: str, share: float = 0.25) -> np.ndarray:
        """Mean of a recorded quantity over the records in the last `share` of the steps that each walker was
        followed."""
        late = (self.steps[:, None] >= (1 - share) * self.watched) & (self.steps[:, None] <= self.watched)
        values = np.where(late, self.history[checks.choice("quantity", name, self.history)], 0.0)
        return values.sum(0) / np.maximum(late.sum(0), 1)

    def __repr__(self) -> str:
        n = len(self.x)
        passed = ", ".join(f"{np.isfinite(t).sum()} at {level:g}" for level, t in self.passages.items())
        passed = f"; passed: {passed}" if passed else ""
        spread = lambda v: f"{v.min():g}" if v.min() == v.max() else f"{v.min():g} to {v.max():g}"
        text = (f"{self.optimiser.upper() if self.optimiser != 'adamw' else 'AdamW'}, {n} "
                f"walker{'s' * (n > 1)} in {self.x.shape[1]}-D: theta {spread(self.theta)}, L2 "
                f"{spread(self.l2)}, learning rate {spread(self.learning_rate)}, at most "
                f"{int(self.watched.max())} steps{passed}")
        return text if self.status == "ok" else f"{text}; {self.status}"


@understood
def learn(problems: LearningProblem | Sequence[LearningProblem], n_steps: int, learning_rate: ArrayLike,
          theta: ArrayLike = 0.0, l2: ArrayLike = 0.0, optimiser: str = "sgld", batch: ArrayLike = 0,
          starts: ArrayLike | None = None, weights: ArrayLike | None = None, check_every: int = 100,
          record: int | Every | Sequence[int] = 20, snapshots: Sequence[int] = (),
          stop_at: float | None = None,
          levels: Sequence[float] = LEVELS, betas: tuple[float, float] = (0.9, 0.98), seed: int = 1,
          precision: str = "single", n_threads: int | None = None, executor: Executor | None = None,
          checkpoint: str | os.PathLike[str] | None = None, checkpoint_every: float = 60.0,
          progress: bool | None = None) -> LearnerRun:
    """Let many walkers learn at once, and find when each of them first passes each level of test accuracy.

        sgld:   x <- x - lr (grad f_B(x) + l2 x) + sqrt(2 theta lr) N(0, 1)
        sgd:    the same without noise of its own (theta = 0)
        adamw:  m += (1 - b1)(g - m), v += (1 - b2)(g^2 - v), x <- (1 - lr l2) x - lr m^/(sqrt(v^) + 1e-8)

    Walkers of the quadratic network (`ModularAddition`, one modulus and width) run in compiled code, 16 to a
    processor's vector; any other problem runs in NumPy with the same noise. The numbers of a walker depend on
    its own settings, `seed` and its place in the list alone: not on threads, lanes or the other walkers.

    Parameters
    ----------
    problems : LearningProblem or sequence of them
        One a walker; a single one is everybody's (then `starts` says how many walkers there are).
    n_steps : int
        Most steps of each walker.
    learning_rate, theta, l2, batch : number or sequence, one a walker
        `l2` is the confinement (l2/2)|x|^2 of SGLD and SGD, and AdamW's decoupled decay; `batch` the size of
        the minibatches, drawn without repetition, 0 for the whole sample.
    starts : array (n_params,) or (n_walkers, n_params), optional
        Default: ``problem.start()`` of each.
    weights : array (n_walkers, n_members), optional
        Weight of the loss of every pair in the risk (default 1/n_train on the training sample); for the
        compiled network. Each walker its own: a ladder of weights of one pair is a thermodynamic integration.
    check_every : int
        Steps between two checks of the passages.
    record : int, sequence of int or `Every`
        Records a decade of steps, the steps themselves, or ``Every(n)`` steps; each is taken at the next
        check.
    snapshots : sequence of int
        Steps at which all hypotheses are kept.
    stop_at : float, optional
        A walker stops when its test accuracy is first here.
    levels : sequence of float
    betas : pair of float
        Of AdamW.
    precision : {"single", "double"}
        Of the compiled network.
    n_threads : int, optional
        Blocks of walkers at a time (default: the processors; 1 for problems in NumPy, whose functions need
        not be safe in threads).
    executor : concurrent.futures.Executor, optional
        Runs the blocks instead, elsewhere.
    checkpoint, checkpoint_every, progress
        File for the state, resumed when it is there; seconds between two states; progress bar.

    Returns
    -------
    LearnerRun
        Ctrl-C returns the run so far, with the reason in ``.status``.

    Examples
    --------
    >>> from fpkit.learning.modular_addition import ModularAddition
    >>> from fpkit.learning.walkers import learn
    >>> problems = [ModularAddition(modulus=7, width=16, fraction=0.8, seed=s) for s in range(4)]
    >>> run = learn(problems, 3000, 0.003, l2=1.0, optimiser="adamw", stop_at=0.9)
    >>> run.passages[0.9].shape, bool((run.t_memorised <= run.passages[0.9]).all())
    ((4,), True)
    """
    each = {"learning_rate": learning_rate, "theta": theta, "l2": l2, "batch": 0 if batch is None else batch}
    walkers, settings = _begun(problems, each, optimiser, starts, weights, betas, seed, precision, stop_at,
                               check_every)
    n_steps, every = checks.whole("n_steps", n_steps, 1), walkers.check_every
    saved = np.unique([checks.whole("snapshots", s, 0) for s in np.atleast_1d(snapshots)]).astype(np.int64)
    if saved.size and saved[-1] > n_steps:
        raise ValueError(f"snapshots holds step {saved[-1]}, beyond n_steps = {n_steps}; ask for more steps "
                         "or earlier snapshots.")
    schedule = np.unique(np.concatenate([np.arange(0, n_steps, every), saved, [n_steps]])).astype(np.int64)
    wanted = _records(record, n_steps)
    recorded = schedule[np.minimum(np.searchsorted(schedule, wanted), len(schedule) - 1)]
    watched = tuple(_accuracy("levels", v) for v in np.atleast_1d(levels).tolist())
    if not any(p.n_test and p.is_right(walkers.start[:1]) is not None
               for p in {id(p): p for p in walkers.problems}.values()):
        watched = ()
    if watched and every > n_steps:
        warned(f"accuracies are looked at each check_every = {every} steps, and n_steps is {n_steps}: no "
               "passage can be seen; give a smaller check_every.", UserWarning)
    book = _Book(walkers, np.unique(recorded), saved, watched)
    digest = ""
    if checkpoint is not None:
        digest = identity_of(checkpoint, {**settings, "record": record if isinstance(record, (int, Every))
                                          else list(record),
                                          "levels": book.levels})
        if os.path.exists(checkpoint):
            book.restore(load_state(checkpoint, digest), n_steps)
    if executor is not None:
        _rounds(book, walkers, schedule, executor, getattr(executor, "_max_workers", None) or 1, checkpoint,
                digest, checkpoint_every, progress)
    else:
        most = (os.cpu_count() or 1) if is_network(walkers.problems) else 1
        n = checks.whole("n_threads", n_threads or most, 1)
        with ThreadPoolExecutor(n) as pool:
            _rounds(book, walkers, schedule, pool, n, checkpoint, digest, checkpoint_every, progress)
    return book.run(walkers, n_steps)


def _records(record, n_steps):
    """Steps of the records: none depends on where the run ends, but the last."""
    if isinstance(record, Every):
        record = np.arange(0, n_steps, record.n)
    if np.ndim(record) == 0:
        n = checks.whole("record", record, 1)
        record = np.concatenate([[0], (10 ** (np.arange(int(n * np.log10(n_steps)) + 1) / n)).round()])
    return np.array(sorted({*(checks.whole("record", v) for v in record if v <= n_steps), n_steps}), np.int64)


def identity_of(checkpoint, settings):
    """Hash of all that a run depends on: data, labels, noise, the code of the problems and the settings."""
    try:
        return content_of(settings)
    except NotIdentified as reason:
        sentence = (f"{reason}, so it cannot be known whether a checkpoint is of this problem: {REMEDY}, or "
                    "name another file.")
        if os.path.exists(checkpoint):
            raise ValueError(f"{os.fspath(checkpoint)!r} is not resumed: {sentence}") from None
        warned(f"this run cannot be resumed later: {sentence}", UserWarning)
        return "unidentified"


def _accuracy(name, value):
    """A share of right answers, above 0 and at most 1."""
    value = checks.number(name, value, positive=True)
    if value > 1:
        raise ValueError(f"{name} is a share of right answers, at most 1, got {value:g}.")
    return value


def _begun(problems, each, optimiser, starts, weights, betas, seed, precision, stop_at, check_every):
    """The walkers at step 0 and all that the run depends on, once the arguments are in order."""
    checks.choice("optimiser", optimiser, OPTIMISERS)
    checks.choice("precision", precision, tuple(PRECISIONS))
    one = isinstance(problems, LearningProblem)
    n = (1 if np.ndim(starts) < 2 else len(starts)) if one else np.size(problems)
    if n == 0:
        raise ValueError("problems is empty; give one for each walker.")
    listed = [problems] * n if one else list(problems) if np.ndim(problems) else [problems]
    for problem in listed:
        if not isinstance(problem, LearningProblem):
            raise TypeError(f"problems must be LearningProblem objects, got {checks.shown(problem)}; "
                            "`fpkit.learning.OwnProblem` makes one of your losses and their gradient.")
    if len({p.n_params for p in listed}) > 1:
        raise ValueError("all problems of one run must have the same number of parameters; run each kind "
                         "on its own.")
    x = np.stack([p.start() for p in listed]) if starts is None else checks.points("starts", starts,
                                                                                   listed[0].n_params)
    if x.ndim > 2 or x.ndim == 2 and len(x) not in (1, n):
        raise ValueError(f"starts must be one point or one for each of the {n} walkers, got shape {x.shape}.")
    x = np.broadcast_to(x, (n, listed[0].n_params)).copy()
    of = lambda name, **rule: np.array([checks.number(name, v, **rule) for v in _spread(name, each[name], n)])
    rates = of("learning_rate", positive=True)
    thetas, confinement = of("theta", non_negative=True), of("l2", non_negative=True)
    if optimiser != "sgld" and thetas.any():
        raise ValueError(f"{optimiser} has no temperature, got theta {thetas.max():g}; SGLD has one.")
    if (rates * confinement > 2).any():
        raise ValueError(f"learning_rate x l2 is {(rates * confinement).max():g}: above 2 the confinement "
                         "alone throws walkers out; take a smaller one of the two.")
    sizes = np.array([checks.whole("batch", v, 0) for v in _spread("batch", each["batch"], n)], np.int64)
    for problem, size in zip(listed, sizes):
        if size > problem.n_train:
            raise ValueError(f"a batch of {size} is larger than the training sample of {problem.n_train}.")
    own = None
    if weights is not None:
        if not is_network(listed):
            raise ValueError("weights are for walkers of one quadratic network (ModularAddition).")
        own = np.broadcast_to(np.asarray(weights, float), (n, listed[0].modulus**2)).copy()
        if not np.isfinite(own).all() or (own < 0).any() or not own.any(1).all():
            raise ValueError("weights must be finite, not negative, and some of each walker's positive.")
    seed, ids = checks.whole("seed", seed, 0), np.arange(n)
    if stop_at is not None:
        stop_at = _accuracy("stop_at", stop_at)
        for problem in listed:
            right = problem.is_right(x[:1], "test")
            if right is None or not np.size(right):
                raise ValueError("a passage is one of the test accuracy, and this problem has "
                                 f"{'no classes' if right is None else 'an empty test sample'}.")
    betas = tuple(checks.number("betas", b, non_negative=True) for b in betas)
    if len(betas) != 2 or max(betas) >= 1:
        raise ValueError(f"betas must be two numbers of at least 0 and below 1, got {betas}.")
    if is_network(listed):
        x = x.astype(PRECISIONS[precision]).astype(float)
    walkers = Walkers(listed, ids, rates, thetas, confinement, sizes, own, x,
                      first_state(x, ids, optimiser, seed), optimiser, betas, seed, precision, stop_at,
                      checks.whole("check_every", check_every, 1))
    facts = {"problems": list({id(p): p for p in listed}.values()), "rate": rates, "theta": thetas,
             "l2": confinement, "batch": sizes, "weights": 0 if own is None else own, "x0": x, "seed": seed,
             "optimiser": optimiser, "betas": list(walkers.betas), "precision": precision,
             "stop_at": -1.0 if stop_at is None else float(stop_at), "every": walkers.check_every}
    return walkers, facts


def _spread(name, value, n):
    values = np.atleast_1d(np.asarray(value))
    if values.ndim != 1 or len(values) not in (1, n):
        raise ValueError(f"{name} must be one number or one for each of the {n} walkers, got shape "
                         f"{values.shape}.")
    return np.broadcast_to(values, n)


class _Book:
    """What is kept of a run: state, passages, records, snapshots, and who is still running."""

    def __init__(self, walkers, recorded, saved, levels):
        n, d = walkers.start.shape
        self.step, self.state = -1, walkers.state
        self.every, self.stop_at = walkers.check_every, walkers.stop_at
        self.recorded, self.saved, self.levels = recorded, saved, levels
        self.table: dict[str, np.ndarray] = {}
        self.memorised, self.passed = np.full(n, np.inf), np.full((len(levels), n), np.inf)
        self.watched, self.running = np.zeros(n, np.int64), np.ones(n, bool)
        self.diverged = np.zeros(n, bool)
        self.snapshots = np.full((len(saved), n, d), np.nan, np.float32)
        self.status = "ok"

    def add(self, chosen, steps, found):
        """One round of the walkers `chosen` at the checks `steps`."""
        state, table, places, stopped = found
        for name, values in state.items():
            self.state[name][chosen] = values
        passed_now = ~np.isnan(stopped).any(1)
        last, counts = np.full(len(chosen), steps[-1]), (steps % self.every == 0)[:, None]
        if passed_now.any():
            self.state["x"][chosen[passed_now]] = stopped[passed_now]
            reached = (table["test_acc"] >= self.stop_at) & counts
            last[passed_now] = steps[reached.argmax(0)[passed_now]]
        bad = ~np.isfinite(table["norm"])
        if bad.any():
            first = np.where(bad.any(0), steps[bad.argmax(0)], steps[-1] + 1)
            self.diverged[chosen] |= first <= last
            last = np.minimum(last, first)
        alive = (steps[:, None] <= last) & ~bad
        for name, values in table.items():
            kept = self.table.setdefault(name, np.full((len(self.recorded), len(self.running)), np.nan))
            at = np.searchsorted(self.recorded, steps)
            at_record = (at < len(self.recorded)) & (self.recorded[np.minimum(at, len(self.recorded) - 1)]
                                                     == steps)
            kept[np.ix_(at[at_record], chosen)] = np.where(alive, values, np.nan)[at_record]
        if "train_acc" in table:
            self._first(self.memorised, chosen, steps, alive & counts & (table["train_acc"] >= MEMORISED))
        for k, level in enumerate(self.levels if "test_acc" in table else ()):
            self._first(self.passed[k], chosen, steps, alive & counts & (table["test_acc"] >= level))
        inside = np.flatnonzero(np.isin(self.saved, steps))
        for row, k in enumerate(inside):
            ok = self.saved[k] <= last
            self.snapshots[k, chosen[ok]] = places[row][ok]
        self.watched[chosen] = last
        self.running[chosen[passed_now]] = False
        self.running[self.diverged] = False

    @staticmethod
    def _first(kept, chosen, steps, is_there):
        first = np.where(is_there.any(0), steps[is_there.argmax(0)], np.inf)
        kept[chosen] = np.minimum(kept[chosen], first)

    def arrays(self):
        return {"step": np.array(self.step), "recorded": self.recorded, "saved": self.saved,
                "memorised": self.memorised, "passed": self.passed,
                "watched": self.watched, "running": self.running.astype(np.int64),
                "diverged": self.diverged.astype(np.int64), "snapshots": self.snapshots,
                **{f"state/{k}": v for k, v in self.state.items()},
                **{f"table/{k}": v for k, v in self.table.items()}}

    def restore(self, arrays, n_steps):
        self.step = int(arrays["step"])
        if self.step > n_steps:
            raise ValueError(f"the checkpoint is at step {self.step}, beyond n_steps = {n_steps}; ask for "
                             f"more steps or remove it.")
        for name in ("memorised", "passed", "watched"):
            setattr(self, name, arrays[name].copy())
        self.running, self.diverged = arrays["running"].astype(bool), arrays["diverged"].astype(bool)
        part = lambda word: {k.partition("/")[2]: v for k, v in arrays.items() if k.startswith(f"{word}/")}
        self.state = {name: values.copy() for name, values in part("state").items()}
        for name, values in part("table").items():
            self.table[name] = _moved(values, arrays["recorded"], self.recorded)
        self.snapshots = _moved(arrays["snapshots"], arrays["saved"], self.saved)

    def run(self, walkers, n_steps):
        done = self.recorded <= self.step
        status = self.status
        if self.diverged.any():
            status = (f"{self.diverged.sum()} of {len(self.running)} walkers diverged; take a learning rate "
                      f"below {walkers.rate[self.diverged].min():g}")
        passages = dict(zip(self.levels, self.passed))
        return LearnerRun(tuple(walkers.problems), self.state["x"], self.recorded[done],
                          {name: values[done] for name, values in self.table.items()}, self.memorised,
                          passages, self.watched, self.saved[self.saved <= self.step],
                          self.snapshots[self.saved <= self.step], walkers.rate, walkers.theta, walkers.l2,
                          walkers.batch, walkers.optimiser, walkers.precision, walkers.seed, status)


def _moved(rows, before, now):
    """Rows of the steps `before` at the places of the same steps in `now`, NaN where there are none."""
    found = np.full((len(now), *rows.shape[1:]), np.nan, rows.dtype)
    _, old, new = np.intersect1d(before, now, return_indices=True)
    found[new] = rows[old]
    return found


def _rounds(book, walkers, schedule, pool, n_workers, checkpoint, digest, checkpoint_every, progress):
    """Rounds of about ROUND_SECONDS until all walkers have stopped, or Ctrl-C."""
    n_steps, n = int(schedule[-1]), FIRST_ROUND
    keep = lambda: save_state(checkpoint, digest, book.arrays()) if checkpoint is not None else None
    written = time.monotonic()
    with interruption() as is_pressed, bar(n_steps, "learning", progress) as shown:
        while book.step < n_steps and book.running.any() and not is_pressed():
            end = book.step + max(1, n)
            ahead = schedule[schedule > book.step]
            steps = ahead[:int(np.searchsorted(ahead, end, "right"))]
            if not len(steps):                        # between two far checks Ctrl-C would wait long
                steps = np.array([end])
            chosen = np.flatnonzero(book.running)
            started = time.perf_counter()
            parts = _parts(chosen, walkers, n_workers)
            current = walkers.some(chosen)
            current.state.update({name: values[chosen] for name, values in book.state.items()})
            place = {int(walker): k for k, walker in enumerate(chosen)}
            jobs = [(current.some(np.array([place[int(w)] for w in part])), max(book.step, 0), steps,
                     book.saved) for part in parts]
            outcomes = in_order(pool, advance, jobs, (), is_pressed)
            if any(found is None for found in outcomes):         # Ctrl-C came and a worker with it
                break
            for part, found in zip(parts, outcomes):
                book.add(part, steps, found)
            if shown is not None:
                shown.update(int(steps[-1]) - max(book.step, 0))
            book.step = int(steps[-1])
            spent = time.perf_counter() - started
            n = max(1, int(n * min(max(ROUND_SECONDS / max(spent, 1e-6), 0.25), 8.0)))
            if time.monotonic() - written > checkpoint_every:
                keep()
                written = time.monotonic()
    keep()
    if book.step < n_steps and book.running.any():
        book.status = f"stopped by Ctrl-C after {max(book.step, 0)} of {n_steps} steps"


def _parts(chosen, walkers, n_workers):
    """Walkers of each job: whole vectors of lanes where there are enough, so that none is empty for long."""
    lanes = LANES[PRECISIONS[walkers.precision]] if is_network(walkers.problems) else 1
    n_parts = max(1, min(n_workers, -(-len(chosen) // lanes)))
    size = -(-len(chosen) // (n_parts * lanes)) * lanes
    return [chosen[k:k + size] for k in range(0, len(chosen), size)]


