"""Laws of passage times that were seen, or not seen within the time watched, of walkers in clusters.

    log t = m(covariates) + sigma N(0, 1)

by maximum likelihood; a walker that had not passed counts with the probability of passing later. Walkers of
one split of the data are not independent: errors are those of the jackknife over splits, with Student's
quantile of so few.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...core import checks
from ...core.views.tables import Tabular
from ...langevin.first_passage.results import weibull_shape as shape_of

LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, repr=False)
class Passages(Tabular):
    """Times of many walkers.

    Attributes
    ----------
    time : ndarray, shape (n,)
        Of the passage, or up to which the walker was watched.
    seen : ndarray of bool, shape (n,)
        Whether it passed.
    cluster : ndarray of int, shape (n,)
        Walkers that share a split of the data.
    columns : dict of ndarray, shape (n,)
        The settings of each, and what else was noted.
    """
    time: np.ndarray
    seen: np.ndarray
    cluster: np.ndarray
    columns: dict[str, np.ndarray]

    def where(self, chosen: np.ndarray | None = None, **values: float) -> Passages:
        """Those chosen by truth values, or whose columns have the given values."""
        keep = np.ones(len(self.time), bool) if chosen is None else np.asarray(chosen, bool)
        for name, value in values.items():
            keep = keep & (self.columns[checks.choice("column", name, self.columns)] == value)
        return Passages(self.time[keep], self.seen[keep], self.cluster[keep],
                        {name: v[keep] for name, v in self.columns.items()})

    def _columns(self):
        return {"time": self.time, "seen": self.seen, "cluster": self.cluster, **self.columns}

    def __len__(self) -> int:
        return len(self.time)

    def median(self) -> float:
        """Kaplan and Meier's median, midway to the next passage where just half are left; infinite when fewer
        than half are seen to pass."""
        order = np.lexsort((~self.seen, self.time))
        at_risk = len(self.time) - np.arange(len(self.time))
        survival = np.cumprod(1 - self.seen[order] / at_risk)
        below = np.flatnonzero(survival <= 0.5 + 1e-12)
        if not below.size:
            return float("inf")
        times, first = self.time[order], below[0]
        later = np.flatnonzero(survival < 0.5 - 1e-12)
        is_half = survival[first] >= 0.5 - 1e-12 and later.size
        return float((times[first] + times[later[0]]) / 2 if is_half else times[first])

    def __repr__(self) -> str:
        return (f"{int(self.seen.sum())} of {len(self)} walkers passed, {len(set(self.cluster.tolist()))} "
                f"splits, median {self.median():.4g}")


def joined(parts: Sequence[Passages]) -> Passages:
    """All walkers of several lists; they keep the columns that all have."""
    names = set.intersection(*(set(p.columns) for p in parts))
    together = lambda of: np.concatenate([of(p) for p in parts])
    return Passages(together(lambda p: p.time), together(lambda p: p.seen), together(lambda p: p.cluster),
                    {name: together(lambda p, name=name: p.columns[name]) for name in sorted(names)})


@dataclass(frozen=True)
class LifetimeLaw:
    """A fitted law.

    Attributes
    ----------
    parameters : ndarray
        Of m.
    sigma : float
        Spread of log t of one walker.
    log_likelihood, aicc : float
        Of log t; AICc = 2 k - 2 log L + 2 k (k + 1)/(n - k - 1), smaller is better.
    """
    parameters: np.ndarray
    sigma: float
    log_likelihood: float
    aicc: float


def logs_of(time):
    """Logarithms of times."""
    if (time <= 0).any():
        raise ValueError(f"{int((time <= 0).sum())} of {len(time)} times are 0, of walkers that were there "
                         "when they started: log t has no law for them; leave them out, as in "
                         "`passages.where(passages.time > 0)`, or start elsewhere.")
    return np.log(time)


def fit_law(mean: Callable[[np.ndarray], np.ndarray], starts: Sequence[Sequence[float]], time: np.ndarray,
            seen: np.ndarray) -> LifetimeLaw:
    """Maximum likelihood of log t = mean(parameters) + sigma N(0, 1) with censored times, best of several
    starts.

    A mean that is infinite where a walker was not seen to pass says that it never does, at no cost.

    Examples
    --------
    >>> from fpkit.learning.walkers.passages import fit_law
    >>> x = np.repeat([0.0, 1.0, 2.0], 50)
    >>> t = np.exp(1 - 2 * x + 0.3 * np.random.default_rng(0).normal(size=150))
    >>> law = fit_law(lambda q: q[0] + q[1] * x, [(0.0, 0.0)], t, np.ones(150, bool))
    >>> bool(abs(law.parameters[1] + 2) < 0.1)
    True
    """
    from scipy.optimize import minimize
    from scipy.special import log_ndtr

    y = logs_of(time)

    def cost(q):
        sigma = np.exp(np.clip(q[-1], -5, 5))
        with np.errstate(all="ignore"):
            z = (y - mean(q[:-1])) / sigma
            each = np.where(seen, -0.5 * z * z - np.log(sigma) - 0.5 * LOG_2PI, log_ndtr(-z))
            total = -each.sum()
        return total if np.isfinite(total) else 1e10

    options = {"maxiter": 6000, "maxfev": 6000, "xatol": 1e-6, "fatol": 1e-8}
    found = []
    for start in starts:
        climbed = minimize(cost, np.array([*start, -0.7]), method="BFGS")
        q = climbed.x
        for _ in range(2 if abs(climbed.jac).max() > 1e-3 else 0):    # a wall: by simplex, and again when
            q = minimize(cost, q, method="Nelder-Mead", options=options).x            # it has collapsed
        found.append((cost(q), q))
    least, q = min(found, key=lambda pair: pair[0])
    n, k = len(y), len(q)
    correction = 2 * k * (k + 1) / (n - k - 1) if n > k + 1 else np.inf
    return LifetimeLaw(q[:-1], float(np.exp(q[-1])), float(-least), float(2 * k + 2 * least + correction))


@dataclass(frozen=True)
class Slope:
    """A slope d log t/dx with the error of a jackknife over clusters.

    Attributes
    ----------
    value : float
    error : float
        One standard error; NaN with fewer than two clusters.
    interval : pair of float
        95 %, by Student's law with one less than the clusters.
    """
    value: float
    error: float
    interval: tuple[float, float]


def slope_of(passages: Passages, covariate: np.ndarray) -> Slope:
    """Slope of log t against a covariate, with its error."""
    x = np.asarray(covariate, float)
    if passages.seen.sum() < 3 or np.ptp(x[passages.seen]) == 0:
        return Slope(float("nan"), float("nan"), (float("nan"), float("nan")))
    centre, spread = x.mean(), np.ptp(x)

    def fitted(keep):
        z = (x[keep] - centre) / spread
        y = logs_of(passages.time[keep])
        slope, level = np.polyfit(z, y, 1)
        return fit_law(lambda q: q[0] + q[1] * z, [(level, slope)], passages.time[keep],
                       passages.seen[keep]).parameters[1] / spread
    return jackknife(fitted, passages.cluster)


def jackknife(statistic: Callable[[np.ndarray], float], cluster: np.ndarray) -> Slope:
    """A statistic of the members kept (truth values), with the error of leaving out one cluster at a time."""
    from scipy.stats import t as student

    value = float(statistic(np.ones(len(cluster), bool)))
    names = np.unique(cluster)
    n = len(names)
    if n < 2:
        return Slope(value, float("nan"), (float("nan"), float("nan")))
    without = np.array([statistic(cluster != name) for name in names], float)
    error = float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))
    half = float(student.ppf(0.975, n - 1)) * error
    return Slope(value, error, (value - half, value + half))


def weibull_shape(passages: Passages) -> float:
    """Shape of a Weibull law of the times (1: one memoryless jump), by maximum likelihood with censoring."""
    logs_of(passages.time)
    return shape_of(passages.time, passages.seen)[0] if passages.seen.sum() > 1 else float("nan")
