"""When a network memorises and when it generalises, over seeds and one varied setting, and the laws that may
connect the times."""
from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.calls import understood
from ..core.views.tables import Tabular
from .modular_addition import ModularAddition
from .walkers.learners import Every, learn
from .walkers.passages import fit_law

THRESHOLD = 0.99
VARIED = ("fraction", "learning_rate", "weight_decay", "scale", "width")


@dataclass(frozen=True, repr=False)
class Sweep(Tabular):
    """Times of memorising and of generalising for several values of one setting and several seeds.

    Attributes
    ----------
    vary : str
        The setting that was varied.
    values : ndarray, shape (n_values,)
    t_memorised, t_grokked : ndarray, shape (n_values, n_seeds)
        In steps; infinite where it had not happened after `n_steps`: such runs are censored, never dropped.
    n_steps : int
    n_train : ndarray of int, shape (n_values,)
        Size of the training sample.
    settings : dict
        What was held fixed.
    histories : list
        For each value, the history of seed 0: steps, losses, accuracies, norm.
    status : str
        "ok", or which values are missing because the sweep was stopped.
    """
    vary: str
    values: np.ndarray
    t_memorised: np.ndarray
    t_grokked: np.ndarray
    n_steps: int
    n_train: np.ndarray
    settings: dict[str, Any]
    histories: list[dict[str, np.ndarray]]
    status: str = "ok"

    @property
    def delay(self) -> np.ndarray:
        """t_grokked - t_memorised of each run; infinite when censored, at least one step between two
        checks."""
        with np.errstate(invalid="ignore"):
            d = self.t_grokked - self.t_memorised
        return np.where(np.isfinite(self.t_grokked), np.maximum(d, 1.0), np.inf)

    def medians(self, of: str = "t_grokked") -> np.ndarray:
        """Median over the seeds with censored runs counted as later than all others; infinite when half or
        more are."""
        times = {"t_memorised": self.t_memorised, "t_grokked": self.t_grokked, "delay": self.delay}[of]
        n = times.shape[1]
        return np.sort(times, axis=1)[:, n // 2] if n % 2 else np.median(times, axis=1)

    @property
    def n_censored(self) -> np.ndarray:
        """Runs that had not generalised, for each value."""
        return (~np.isfinite(self.t_grokked)).sum(1)

    def exponent(self, of: str = "t_grokked", against: str = "t_memorised") -> float:
        """Slope of log median `of` against log median `against` over the values where both are known."""
        x, y = np.log(self.medians(against)), np.log(self.medians(of))
        ok = np.isfinite(x) & np.isfinite(y)
        return float(np.polyfit(x[ok], y[ok], 1)[0]) if ok.sum() > 1 and np.ptp(x[ok]) > 0 else float("nan")

    def __repr__(self) -> str:
        lines = [f"addition modulo {self.settings['modulus']}, {self.t_grokked.shape[1]} seeds, at most "
                 f"{self.n_steps} steps",
                 f"{self.vary:>14}  n_train  median memorised  median generalised  not generalised"]
        for v, n, m, g, c in zip(self.values, self.n_train, self.medians("t_memorised"), self.medians(),
                                 self.n_censored):
            late = f"{g:.0f}" if np.isfinite(g) else f"> {self.n_steps}"
            lines.append(f"{v:14g}  {n:7d}  {m:16.0f}  {late:>18}  {c:15d}")
        return "\n".join(lines + [self.status] * (self.status != "ok"))

    def _columns(self):
        n_seeds = self.t_grokked.shape[1]
        return {self.vary: np.repeat(self.values, n_seeds),
                "seed": np.tile(np.arange(n_seeds), len(self.values)),
                "n_train": np.repeat(self.n_train, n_seeds), "t_memorised": self.t_memorised.ravel(),
                "t_grokked": self.t_grokked.ravel()}

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON; None for a censored run."""
        known = lambda a: [[float(v) if np.isfinite(v) else None for v in row] for row in a]
        return {"vary": self.vary, "values": self.values.tolist(), "n_train": self.n_train.tolist(),
                "t_memorised": known(self.t_memorised),
                "t_grokked": known(self.t_grokked), "n_steps": self.n_steps, "settings": self.settings}


@understood
def sweep(values: Sequence[float] = (0.8, 0.7, 0.6, 0.5, 0.45, 0.425, 0.4), vary: str = "fraction",
          n_seeds: int = 5, n_steps: int = 8000, modulus: int = 31, width: int = 96, fraction: float = 0.5,
          learning_rate: float = 0.003, weight_decay: float = 1.0, scale: float = 1.0,
          n_threads: int = 2, executor: Executor | None = None) -> Sweep:
    """Train addition modulo p by AdamW for each value of one setting and each seed.

    Parameters
    ----------
    values : sequence of float
        Of the setting named by `vary`: "fraction", "learning_rate", "weight_decay", "scale" (of the start) or
        "width".
    n_seeds : int
        Seeds 0, 1, ...: each decides split and start.
    n_steps : int
        Runs that have not generalised by then are censored.
    modulus, width, fraction, learning_rate, weight_decay, scale
        The settings held fixed.
    n_threads : int
        Threads; the times do not depend on it.
    executor : concurrent.futures.Executor, optional
        Its workers learn in place of threads of this process.

    Returns
    -------
    Sweep

    Examples
    --------
    >>> from fpkit.learning.sweep import sweep
    >>> found = sweep(values=(0.9, 0.8), n_seeds=2, n_steps=600, modulus=11, width=32)
    >>> found.t_grokked.shape
    (2, 2)
    """
    vary = checks.choice("vary", vary, VARIED)
    fixed = {"modulus": modulus, "width": width, "fraction": fraction, "learning_rate": learning_rate,
             "weight_decay": weight_decay, "scale": scale}
    n_seeds = checks.whole("n_seeds", n_seeds, 1)
    values = np.array([checks.number("values", v, non_negative=True) for v in values])

    jobs = [fixed | {vary: int(v) if vary == "width" else float(v)} for v in values]
    runs, histories, sizes = [], [], []
    # networks of one width learn together
    for some in ([[s] for s in jobs] if vary == "width" else [jobs]):
        problems = [ModularAddition(s["modulus"], s["width"], s["fraction"], seed)
                    for s in some for seed in range(n_seeds)]
        each = lambda name, some=some: np.repeat([s[name] for s in some], n_seeds)
        run = learn(problems, n_steps, each("learning_rate"), l2=each("weight_decay"), optimiser="adamw",
                    starts=[p.start(scale) for p, scale in zip(problems, each("scale"))], check_every=10,
                    record=Every(10), stop_at=THRESHOLD, n_threads=n_threads, executor=executor)
        rows = lambda values: np.asarray(values, float).reshape(-1, n_seeds)
        grokked = rows(run.passages[THRESHOLD])
        runs += zip(rows(run.t_memorised), grokked, np.isfinite(grokked) | (rows(run.watched) == n_steps))
        for k in range(0, len(problems), n_seeds):
            followed = run.steps <= run.watched[k]
            histories.append({"steps": run.steps[followed],
                              **{name: v[followed, k] for name, v in run.history.items()}})
            sizes.append(problems[k].n_train)
        if run.status.startswith("stopped"):
            break
    whole = np.array([all(ended) for _, _, ended in runs])
    status = "ok"
    if whole.sum() < len(values):              # a run that was cut short is neither an arrival nor censored
        if not whole.any():
            raise KeyboardInterrupt("stopped before all seeds of one value were trained")
        status = f"stopped by Ctrl-C: {whole.sum()} of {len(values)} values are done"
    kept = np.flatnonzero(whole)
    return Sweep(vary, values[kept], np.array([runs[k][0] for k in kept]),
                 np.array([runs[k][1] for k in kept]), n_steps, np.array(sizes)[kept],
                 {k: v for k, v in fixed.items() if k != vary}, [histories[k] for k in kept], status)


# ---- laws ----
@dataclass(frozen=True, repr=False)
class Law(Tabular):
    """A law fitted to the delay between memorising and generalising, log delay = g(fraction) + sigma N(0, 1).

    Attributes
    ----------
    name : {"exponential", "power"}
        log delay = a - b fraction, or a - b log(fraction - critical).
    a, b : float
    critical : float or None
    sigma : float
        Spread of one run.
    b_interval, critical_interval : pair of float
        Central 90 % of the bootstrap over seeds; None when it was not asked for.
    log_likelihood : float
    aic : float
        2 (number of parameters) - 2 log_likelihood: smaller is better.
    r_squared : float
        Of the logarithms of the median delays that are known.
    """
    name: str
    a: float
    b: float
    critical: float | None
    sigma: float
    log_likelihood: float
    aic: float
    r_squared: float
    b_interval: tuple[float, float] | None = None
    critical_interval: tuple[float, float] | None = None

    def delay(self, fraction: ArrayLike) -> np.ndarray:
        """Median delay at a fraction, in steps; infinite at or below the critical one."""
        fraction = np.asarray(fraction, float)
        if self.name == "exponential":
            return np.exp(self.a - self.b * fraction)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(fraction > self.critical,
                            np.exp(self.a - self.b * np.log(fraction - self.critical)), np.inf)

    def __repr__(self) -> str:
        form = f"exp({self.a:.3g} - {self.b:.3g} fraction)" if self.name == "exponential" else (
            f"{np.exp(self.a):.3g} (fraction - {self.critical:.4g})^-{self.b:.3g}")
        interval = ""
        if self.b_interval is not None:
            interval = f", 90 % interval of the slope {self.b_interval[0]:.3g} to {self.b_interval[1]:.3g}"
        return f"{self.name} law: delay = {form}; R2 {self.r_squared:.3f}, AIC {self.aic:.1f}{interval}"


def fit_laws(found: Sweep, n_bootstrap: int = 100, seed: int = 0) -> dict[str, Law]:
    """The exponential and the power law with a critical fraction, fitted to the delays of a sweep over
    fractions.

    Maximum likelihood on all runs: a censored run contributes the probability that its delay is longer than
    what was watched, so none is dropped and none is taken for an arrival. The critical fraction may lie
    anywhere below the smallest one at which a run generalised. Intervals are of a bootstrap over the seeds
    within each fraction.

    Returns
    -------
    dict of Law
        ``{"exponential": ..., "power": ...}``
    """
    if found.vary != "fraction":
        raise ValueError(f"the laws are for a sweep over fractions, got one over {found.vary}.")
    watched = np.where(np.isfinite(found.t_grokked), found.delay,
                       np.maximum(found.n_steps - np.minimum(found.t_memorised, found.n_steps - 1), 1.0))
    known, median = np.isfinite(found.delay), found.medians("delay")
    fractions = np.repeat(found.values, found.delay.shape[1])
    mean = lambda name: lambda p: _mean_log(name, p, fractions)
    least = fractions[known.ravel()].min()
    starts = {"exponential": [(10.0, 10.0)], "power": [(2.0, 1.0, least - gap) for gap in (0.003, 0.01, 0.03,
                                                                                           0.1)]}
    fits = {name: fit_law(mean(name), some, watched.ravel(), known.ravel()) for name, some in starts.items()}
    rng, draws = np.random.default_rng(seed), {name: [] for name in fits}
    for _ in range(n_bootstrap):
        pick = rng.integers(0, known.shape[1], known.shape)
        drawn = [np.take_along_axis(a, pick, 1).ravel() for a in (watched, known)]
        for name, law in fits.items():
            draws[name].append(fit_law(mean(name), [law.parameters], *drawn).parameters)
    laws = {}
    for name, law in fits.items():
        p, likelihood = law.parameters, law.log_likelihood
        medians = _mean_log(name, p, found.values)
        ok = np.isfinite(median)
        rest, total = np.log(median[ok]) - medians[ok], np.log(median[ok]) - np.log(median[ok]).mean()
        interval = lambda k: tuple(float(q) for q in np.nanquantile([d[k] for d in draws[name]], (0.05, 0.95))
                                   ) if n_bootstrap else None
        is_power = name == "power"
        laws[name] = Law(name, float(p[0]), float(p[1]), float(p[2]) if is_power else None,
                         law.sigma, likelihood, 2 * len(p) + 2 - 2 * likelihood,
                         float(1 - (rest @ rest) / (total @ total)),
                         interval(1), interval(2) if is_power else None)
    return laws


def _mean_log(name, p, fractions):
    if name == "exponential":
        return p[0] - p[1] * fractions
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(fractions > p[2], p[0] - p[1] * np.log(np.maximum(fractions - p[2], 1e-300)), np.inf)
