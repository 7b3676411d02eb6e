"""Walkers from the Gaussian to the well and back, level by level, and what their weights say.

Population annealing inside islands that never mix [1]_, Bennett's ratio between neighbouring levels [2]_.

References
----------
.. [1] K. Hukushima, Y. Iba, AIP Conf. Proc. 690, 200 (2003).
.. [2] C. H. Bennett, J. Comput. Phys. 22, 245 (1976).
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.logarithms import log_sum
from .sampler import EVERY, Target, Walkers, adapted, moved

OVERLAP = 0.4                    # effective share of the samples that the next level keeps: about one nat
MOST_LEVELS = 400
N_DRAWS = 8                      # exact draws of the Gaussian for each walker
FIRST_STEP = 0.5                 # kicks grow like s: near the Gaussian they may be long
N_TRIES = 400                    # for a draw inside the wall
N_BISECTIONS = 60
LEAST_SHARE = 1e-18               # of the way that is left, for the next level
SETTLING = 1 / 3                 # of the moves of a level, in which the step is adapted and nothing is kept
SPREADING = ", the walkers ever wider apart"


class Stopped(Exception):
    """Ctrl-C was pressed: `args[0]` says where."""


class Failed(Exception):
    """The walk cannot go on: `args` are a code and a sentence."""


@dataclass(frozen=True)
class Ladder:
    """Samples along a path of levels.

    Attributes
    ----------
    s : ndarray (L,)
    D : tuple of ndarray (n_moves, W)
    acceptance : ndarray (L,)
    log_weight : ndarray (islands,)
        Sum of the logarithms of the mean weights of each island (AIS).
    log_inside : ndarray (islands,)
        log of the share of the Gaussian inside the wall, as each island saw it (walks up only).
    E, r2 : ndarray (n_moves, W)
        Loss and squared distance from x0 at s = 1.
    well : ndarray (W, d)
        The walkers at the end of s = 1, whitened.
    step : float
    """
    s: np.ndarray
    D: tuple
    acceptance: np.ndarray
    log_weight: np.ndarray
    log_inside: np.ndarray
    E: np.ndarray
    r2: np.ndarray
    well: np.ndarray
    step: float

    def arrays(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"s": self.s, "D": np.concatenate(self.D), "sizes": np.array([len(D) for D in self.D]),
                "acceptance": self.acceptance, "log_weight": self.log_weight, "log_inside": self.log_inside,
                "E": self.E, "r2": self.r2, "well": self.well, "step": np.array(self.step)}

    @staticmethod
    def of(a: dict[str, Any]) -> Ladder:
        """From the arrays of a checkpoint."""
        D = tuple(np.split(a["D"], np.cumsum(a["sizes"])[:-1]))
        return Ladder(a["s"], D, a["acceptance"], a["log_weight"], a["log_inside"], a["E"], a["r2"],
                      a["well"], float(a["step"]))


@dataclass(frozen=True)
class Plan:
    """Walkers, islands, moves of a level, kicks of a move at most, the seed, what is called after each move
    with a text (it raises `Stopped` on Ctrl-C), and how many times as long a trajectory is."""
    n_walkers: int
    n_islands: int
    n_moves: int
    most_kicks: int
    seed: int
    told: Callable[[str], None]
    turns: int = 1


def climb(target: Target, plan: Plan, stage: int, step: float, levels: np.ndarray | None = None,
          start: np.ndarray | None = None, book: Any = None) -> Ladder:
    """Up from s = 0 with exact draws, or down the given levels from walkers `start` (whitened) at s = 1.

    `book`, a part of a checkpoint, is told of each level and goes on where it ended.
    """
    is_up, parts = start is None, np.array_split(np.arange(plan.n_walkers), plan.n_islands)
    log_weight, log_inside = np.zeros(plan.n_islands), np.zeros(plan.n_islands)
    s, seen, kept, shares = (0.0 if is_up else 1.0), [], [], []
    E = r2 = well = np.zeros((0, plan.n_walkers))
    saved = None if book is None else book.get("levels")
    if saved is not None:
        now, step, s = Walkers(*(saved[name] for name in Walkers._fields)), float(saved["step"]), float(
            saved["next"])
        so_far = Ladder.of({**saved, "E": saved["E_end"], "r2": saved["r2_end"]})
        seen, kept, shares = list(so_far.s), list(so_far.D), list(so_far.acceptance)
        log_weight, log_inside, E, r2, well = (so_far.log_weight, so_far.log_inside, so_far.E, so_far.r2,
                                               so_far.well)
    else:
        now = None if is_up else target.at(start)
    while True:
        k = len(seen)
        rng = np.random.default_rng([plan.seed, stage, k])
        told = f"{'up' if is_up else 'down'}, level {k + 1}, s = {s:.3g}"
        if s == 0:
            past, log_inside = _draws(target, plan, parts, rng, told)
            shares.append(1.0)
        else:
            if is_up and k == 1:
                step = min(FIRST_STEP, step / np.sqrt(s))
            past, step, share = _level(target, plan, now, s, step, rng, told)
            shares.append(share)
            if s == 1:
                E, r2, well = np.array([w.E for w in past]), np.array([w.r2 for w in past]), past[-1].y
        D = np.array([w.D for w in past])
        seen.append(s)
        kept.append(D)
        if s == (1.0 if is_up else 0.0) or levels is not None and k + 1 == len(levels):
            break
        if k >= MOST_LEVELS:
            raise Failed("too-many-levels", f"after {MOST_LEVELS} levels the walkers are at s = {s:.3g}: the "
                         "Gaussian and the well have too little in common; give a stronger tether, a lower "
                         "theta, or a wall closer to the well")
        new = levels[k + 1] if levels is not None else s + _next(D, s)
        chosen, pool = [], past if s == 0 else past[-1:]   # in narrow valleys few draws of a Gaussian weigh
        for j, part in enumerate(parts):                   # modes keep their shares, islands stay apart
            logs = -(new - s) * np.array([w.D[part] for w in pool]).ravel()
            top = logs.max()
            w = np.exp(logs - top)
            log_weight[j] += top + np.log(w.mean())
            at = np.searchsorted(np.cumsum(w) / w.sum(), (np.arange(part.size) + rng.random()) / part.size)
            chosen += [(k // part.size, part[k % part.size]) for k in at.clip(max=w.size - 1)]
        now, s = Walkers(*(np.array([a[m][i] for m, i in chosen]) for a in zip(*pool))), float(new)
        if book is not None:
            so_far = Ladder(np.array(seen), tuple(kept), np.array(shares), log_weight, log_inside, E, r2,
                            well, step).arrays()
            book.put("levels", {**so_far, **now._asdict(), "E_end": E, "r2_end": r2, "next": np.array(s)})
    return Ladder(np.array(seen), tuple(kept), np.array(shares), log_weight, log_inside, E, r2, well, step)


def _level(target, plan, now, s, step, rng, told):
    """The moves of one level: the walkers after each that is kept, the step, and the share accepted."""
    n_settling = max(2, round(plan.n_moves * SETTLING))
    kept, shares = [], []
    for m in range(plan.n_moves):
        is_fine = m % EVERY == EVERY - 1
        now, share = moved(target, now, s, step, plan.most_kicks, rng, is_fine, plan.turns)
        plan.told(told)
        if m >= n_settling:
            kept.append(now)
            shares.append(share)
        elif not is_fine:
            step = adapted(step, share)
    return kept, step, float(np.mean(shares))


def _draws(target, plan, parts, rng, told):
    """Exact draws of the Gaussian inside the wall, and log of the share inside for each island."""
    d, W = target.x0.size, plan.n_walkers
    kept, tries, hits = [], np.zeros(W), np.zeros(W)
    for _ in range(N_DRAWS):
        now = target.at(rng.normal(size=(W, d)))
        tries += 1
        lost = ~np.isfinite(now.D)
        hits += ~lost
        for _ in range(N_TRIES):
            if not lost.any():
                break
            rows = np.flatnonzero(lost)
            again = target.at(rng.normal(size=(rows.size, d)))
            tries[rows] += 1
            hits[rows] += np.isfinite(again.D)
            now = Walkers(*(_put(a, rows, b) for a, b in zip(now, again)))
            lost = ~np.isfinite(now.D)
        if lost.any():
            raise Failed("outside", f"of {N_TRIES} draws of the fitted Gaussian none fell inside the wall "
                         "where the loss is finite; give a lower theta or a wall that holds the well")
        plan.told(told)
        kept.append(now)
    # unbiased where the draws go on until a number of hits is reached (inverse sampling)
    log_inside = np.log([(hits[p].sum() - 1) / (tries[p].sum() - 1) for p in parts])
    return kept, log_inside


def _put(a, rows, b):
    a = a.copy()
    a[rows] = b
    return a


def _next(D, s):
    """Step in s that keeps `OVERLAP` of the samples, by bisection."""
    D = np.sort(D.ravel())
    D = D[np.isfinite(D)] - D[0]

    def share(h):
        w = np.exp(-h * D)
        return w.sum() ** 2 / ((w * w).sum() * D.size)
    high = 1.0 - s
    if share(high) >= OVERLAP:
        return high
    low = high * LEAST_SHARE
    for _ in range(N_BISECTIONS):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if share(middle) >= OVERLAP else (low, middle)
    return low


def bennett(work: np.ndarray, work_back: np.ndarray) -> np.ndarray:
    """-log(Z_1/Z_0) of each column: work (n, m) = U_1 - U_0 at samples of U_0, work_back at samples of U_1.

    The root C of mean f(work - C) = mean f(C - work_back), f(x) = 1/(1 + exp(x)); infinite work counts zero.

    Examples
    --------
    >>> x = np.random.default_rng(1).normal(size=(4000, 1))            # U_0 = x^2/2, U_1 = (x - 1)^2/2 + 3
    >>> found = bennett(3.5 - x, 3.5 - (x + 1))
    >>> bool(abs(found[0] - 3.0) < 0.05)
    True
    """
    far = np.where(np.isfinite(work), work, -np.inf).max(0)
    low = np.minimum(np.where(np.isfinite(work), work, np.inf).min(0), work_back.min(0)) - 40
    high = np.maximum(far, work_back.max(0)) + 40
    fermi = lambda a: 1 / (1 + np.exp(np.clip(a, -500, 500)))
    for _ in range(N_BISECTIONS):
        middle = 0.5 * (low + high)
        is_above = fermi(work - middle).mean(0) > fermi(middle - work_back).mean(0)
        low, high = np.where(is_above, low, middle), np.where(is_above, middle, high)
    return 0.5 * (low + high)


@dataclass(frozen=True)
class Sums:
    """-log(Z_1/Z_0) of a ladder, in nats, by three estimators; `islands` are Bennett's sums of each."""
    bennett: float
    integral: float
    ais: float
    islands: np.ndarray

    @property
    def variance(self) -> float:
        """Squared standard error of the mean of the islands."""
        return float(self.islands.var(ddof=1) / self.islands.size)


def sums_of(ladder: Ladder, n_islands: int) -> Sums:
    """Bennett's ratio, the integral of <D> (trapezoids with the exact slopes -Var D) and annealed
    importance weights; with the share of the Gaussian inside the wall."""
    s, D = ladder.s, ladder.D
    is_down = s[0] > s[-1]
    if is_down:
        s, D = s[::-1], D[::-1]
    W = D[0].shape[1]
    parts = np.array_split(np.arange(W), n_islands)
    total, islands = 0.0, np.zeros(n_islands)
    for h, below, above in zip(np.diff(s), D, D[1:]):
        total += float(bennett(h * below.reshape(-1, 1), h * above.reshape(-1, 1))[0])
        islands += [float(bennett(h * below[:, p].reshape(-1, 1), h * above[:, p].reshape(-1, 1))[0])
                    for p in parts]
    means, variances = np.array([d.mean() for d in D]), np.array([d.var() for d in D])
    h = np.diff(s)
    integral = float((h * (means[1:] + means[:-1]) / 2 + h**2 / 12 * (variances[1:] - variances[:-1])).sum())
    ais = (1 if is_down else -1) * float(log_sum(ladder.log_weight) - np.log(n_islands))
    inside = ladder.log_inside
    mean_inside = float(log_sum(inside) - np.log(n_islands))
    return Sums(total - mean_inside, integral - mean_inside, ais - mean_inside, islands - inside)
