"""What first-passage runs return, and the intervals of means, shares and rates that are estimated from few
events."""
from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, gammaincinv, stdtrit

from ...core.results import Estimate, with_error

LEVEL = 0.9973  # of every interval: three standard errors of a normal law
FEW = 30  # with fewer events the spread itself is hardly known


def interval_of_mean(value, relative_variance, n_events=math.inf, level=LEVEL):
    """(low, high) of a positive mean whose estimate is spread like a Gamma variable: exact for the mean of
    exponential times.

    With many events this is the normal interval, with few it keeps the skewness. Below `FEW` events the
    spread is taken as that of exponential times at least.
    """
    if not relative_variance > 0 and n_events >= FEW:
        return value, value
    shape = 1 / relative_variance if relative_variance > 0 else math.inf
    if n_events < FEW:
        shape = min(shape, n_events)
    tail = 0.5 * (1 - level)
    if shape > 1e6:
        width = value * 3 * math.sqrt(relative_variance)
        return value - width, value + width
    return value * shape / gammaincinv(shape, 1 - tail), value * shape / max(gammaincinv(shape, tail), 1e-300)


def interval_of_share(k, n, level=LEVEL):
    """(low, high) of a probability of which k events in n trials were seen (Clopper and Pearson's, never too
    short)."""
    tail = 0.5 * (1 - level)
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    return low, 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))


def student_factor(n, level=LEVEL):
    """Standard errors in an interval from n independent repeats: Student's quantile."""
    return float(stdtrit(n - 1, 0.5 * (1 + level))) if n > 1 else math.inf


class PassageEstimate(Estimate):
    """An Estimate with more that came out of the same run; every extra name is an attribute.

    `interval` (low, high) holds the truth with probability 99.73 % (three standard errors of a normal law),
    `error` is the distance to its farther end, `standard_error` one standard error. The value prints together
    with its status.
    """

    def __new__(cls, value, interval, method, log10=None, status="ok", inputs=None, **extras):
        low, high = (float(v) for v in interval)
        error = max(high - value, value - low) if math.isfinite(value) else math.inf
        self = super().__new__(cls, value, error, method, log10, status, inputs)
        self.__dict__.update(interval=(low, high), **extras)
        return self

    def __getnewargs__(self):
        return self.value, self.interval, self.method, self.log10, self.status, self.inputs

    def to_dict(self) -> dict:
        ends = [v if math.isfinite(v) else None for v in self.interval]
        return {**super().to_dict(), "interval": ends}

    def __repr__(self):
        if self.status != "ok" and not math.isfinite(self.value):
            return f"{self.status} ({self.method})"
        text = f"{with_error(self.value, self.error)} ({self.method})"
        return text if self.status == "ok" else f"{text}; {self.status}"

    __str__ = __repr__


class ExitTime(PassageEstimate):
    """Mean first-passage time from paths, and the law behind it.

    Attributes
    ----------
    value, error, interval, standard_error : float, float, (float, float), float
        Mean time; `interval` (99.73 %) and `error`, the distance to its farther end. Without `extrapolate`
        they are about the scheme at the given dt. No path arrived: `value` is NaN, and `interval` begins at
        exposure/3, which the mean exceeds with probability 95 %.
    hits, n_censored : int
        Paths that reached a target, and paths that had not when they were stopped (at `t_max`, or by Ctrl-C).
    exposure : float
        Time spent by all paths, censored ones included.
    variance : float
        Variance of the passage time; with censored paths their rest is taken as exponential.
    times : ndarray (hits + n_censored,)
        Durations of the paths in the order of their numbers; `is_censored` marks those that had not arrived.
    exit_points : ndarray (hits, ndim)
        Where the targets were met.
    exit_sides : ndarray (hits,)
        Index of the target that was met.
    probabilities : dict
        Probability of each target to be met first, an Estimate: for two targets the committor at the start.
    levels : tuple of ExitTime or None
        With ``extrapolate=True``: the runs at dt and dt/2.
    """

    @property
    def rate(self) -> PassageEstimate:
        """1 / value, an Estimate."""
        low, high = 1 / self.interval[1], (1 / self.interval[0] if self.interval[0] > 0 else math.inf)
        return PassageEstimate(1 / self.value, (low, high), f"1 / {self.method}", -self.log10, self.status,
                               self.inputs)

    def survival(self, times: ArrayLike | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(t, S): share of the paths that have not arrived by t, with the censored ones taken into account
        [1]_.

        Parameters
        ----------
        times : array, optional
            Default: the passage times themselves, where S steps down.

        References
        ----------
        .. [1] E. Kaplan, P. Meier, J. Am. Stat. Assoc. 53, 457 (1958).
        """
        t, ended = np.sort(self.times[~self.is_censored]), np.sort(self.times)
        steps, counts = np.unique(t, return_counts=True)
        at_risk = ended.size - np.searchsorted(ended, steps, "left")
        share = np.concatenate([[1.0], np.cumprod(1 - counts / np.maximum(at_risk, 1))])
        if times is None:
            return np.concatenate([[0.0], steps]), share
        times = np.asarray(times, float)
        return times, share[np.searchsorted(steps, times, "right")]

    def to_dict(self) -> dict:
        return {**super().to_dict(), "hits": self.hits, "n_censored": self.n_censored,
                "exposure": self.exposure,
                "probabilities": {str(k): v.to_dict() for k, v in self.probabilities.items()}}


def exit_time_of(durations, sides, points, names, method, inputs, note=""):
    """The ExitTime of one run: durations (n,), sides (n,) index of the target or -1 for a censored path,
    points (n, ndim).

    The mean is exposure / hits, the maximum-likelihood estimate for exponential times and the plain mean when
    no path is censored.
    """
    is_hit = sides >= 0
    hits, n, exposure = int(is_hit.sum()), len(durations), float(durations.sum())
    extras = dict(hits=hits, n_censored=n - hits, exposure=exposure, times=durations, is_censored=~is_hit,
                  exit_points=points[is_hit],
                  exit_sides=sides[is_hit], levels=None)
    text = f"{method}, share of {hits} arrivals"
    extras["probabilities"] = {name: _share(int((sides == k).sum()), hits, text, inputs)
                               for k, name in enumerate(names)}
    if hits == 0:
        status = (f"no events: no path reached the target in a total time of {exposure:.4g}, so the mean is "
                  f"above {exposure / 3:.3g} with "
                  "probability 95 %; raise t_max or n_paths, or use fpkit.multilevel_splitting")
        return ExitTime(math.nan, (exposure / 3, math.inf), method, math.nan, status, inputs,
                        variance=math.nan, standard_error=math.inf, **extras)
    value = exposure / hits
    # delta method for the ratio of two sums
    spread = float(((durations - value * is_hit) ** 2).sum()) / hits**2
    low, high = interval_of_mean(value, spread / value**2, hits)
    rest = (n - hits) / n
    longest = float(durations[~is_hit].mean()) if hits < n else 0.0
    second = float((durations**2).mean()) + rest * 2 * value * (longest + value)
    if rest > 0:  # what a rate that is not constant may do to the unseen part
        # twice: the second half has not forgotten the start either
        drift = 2 * rest * abs(_late_mean(durations, is_hit, value) - value)
        low, high = max(low - drift, 0.0), high + drift
    return ExitTime(value, (low, high), method, None, note or "ok", inputs,
                    variance=max(second - value**2, 0.0), standard_error=math.sqrt(spread), **extras)


def _late_mean(durations, is_hit, value):
    """Exposure / hits in the second half of the time watched; `value` when there are too few events to
    tell."""
    half = 0.5 * durations.max()
    late = durations > half
    hits = int((late & is_hit).sum())
    return float((durations[late] - half).sum()) / hits if hits >= FEW else value


def _share(k, n, method, inputs):
    low, high = interval_of_share(k, n) if n else (0.0, 1.0)
    value = k / n if n else math.nan
    return PassageEstimate(value, (low, high), method, inputs=inputs, status="ok" if n else "no events",
                           standard_error=math.sqrt(value * (1 - value) / n) if n else math.inf)


def limit_of_steps(a, b, order):
    """(value, interval, standard error, size of the correction) for dt -> 0 from estimates a at dt and b at
    dt/2, bias ~ dt^order.

    The correction joins the interval: what the next order leaves is smaller than it as long as the
    extrapolation makes sense.
    """
    factor = 1 / (2.0**order - 1)
    shift = factor * (b.value - a.value)
    value = b.value + shift
    below = math.hypot((1 + factor) * (b.value - b.interval[0]),
                       factor * (a.interval[1] - a.value)) + abs(shift)
    above = math.hypot((1 + factor) * (b.interval[1] - b.value),
                       factor * (a.value - a.interval[0])) + abs(shift)
    return value, (value - below, value + above), math.hypot((1 + factor) * b.standard_error,
                                                             factor * a.standard_error), abs(shift)


def extrapolated(coarse, fine, order):
    """ExitTime in the limit dt -> 0 from runs at dt and dt/2 whose bias is proportional to dt^order."""
    extras = {name: fine.__dict__[name] for name in ("times", "is_censored", "exit_points", "exit_sides",
                                                     "variance")}
    extras |= dict(hits=coarse.hits + fine.hits, n_censored=coarse.n_censored + fine.n_censored,
                   exposure=coarse.exposure + fine.exposure,
                   levels=(coarse, fine))
    method = (f"{fine.inputs['scheme']}, extrapolated from dt = {coarse.inputs['dt']:g} and "
              f"{fine.inputs['dt']:g} (order {order:g})")
    inputs = {**fine.inputs, "dt": coarse.inputs["dt"], "n_paths": coarse.inputs["n_paths"]
              + fine.inputs["n_paths"]}
    probabilities = {}
    for name, b in fine.probabilities.items():
        value, (low, high), standard, _ = limit_of_steps(coarse.probabilities[name], b, order)
        value = min(max(value, 0.0), 1.0)
        probabilities[name] = PassageEstimate(value, (max(low, 0.0), min(high, 1.0)), method, None, b.status,
                                              inputs, standard_error=standard)
    status = fine.status if fine.status != "ok" else coarse.status
    if not (coarse.hits and fine.hits):
        return ExitTime(math.nan, (min(coarse.interval[0], fine.interval[0]), math.inf), method, math.nan,
                        status, inputs, probabilities=probabilities,
                        standard_error=math.inf, **extras)
    value, (low, high), standard, shift = limit_of_steps(coarse, fine, order)
    inputs["dt_error"] = shift
    return ExitTime(value, (max(low, 0.0), high), method, None, status, inputs, probabilities=probabilities,
                    standard_error=standard, **extras)
