"""What first-passage runs return, and the intervals of means, shares and rates that are estimated from few
events."""
from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import betaincinv, gamma, gammaincc, gammaincinv, stdtrit

from ...core.results import Estimate, with_error
from ...core.views.pictures import curves

LEVEL = 0.9973  # of every interval: three standard errors of a normal law
FEW = 30  # with fewer events the spread itself is hardly known
STEEPEST = 0.4  # smallest shape of Weibull's law with which a censored mean is still bounded from above
MANY_CENSORED = 0.1  # share of censored paths above which the assumption on the rest is told
WEAK_FALL = 0.2  # a rate of arrivals that falls more slowly than t^-0.2 is covered by the interval


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

    def with_status(self, status: str) -> PassageEstimate:
        """The same result with another status."""
        own = {"value", "error", "method", "log10", "status", "inputs", "interval"}
        extras = {name: value for name, value in self.__dict__.items() if name not in own}
        return type(self)(self.value, self.interval, self.method, self.log10, status, self.inputs, **extras)

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


class PassageTime(PassageEstimate):
    """A mean first-passage time from paths."""

    @property
    def rate(self) -> PassageEstimate:
        """1 / value, an Estimate."""
        low, high = 1 / self.interval[1], (1 / self.interval[0] if self.interval[0] > 0 else math.inf)
        return PassageEstimate(1 / self.value, (low, high), f"1 / {self.method}", -self.log10, self.status,
                               self.inputs)


class ExitTime(PassageTime):
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

    def _picture(self):
        return curves([self.survival()])

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
    extras["probabilities"] = {name: _share(int((sides == k).sum()), hits, n if len(names) > 1 else hits,
                                            text, inputs)
                               for k, name in enumerate(names)}
    if hits == 0:
        status = (f"no events: no path reached the target in a total time of {exposure:.4g}, so the mean is "
                  f"above {exposure / 3:.3g} with "
                  "probability 95 %; raise t_max or n_paths, or use fpkit.multilevel_splitting")
        status = f"{note}; {status}" if note else status
        return ExitTime(math.nan, (exposure / 3, math.inf), method, math.nan, status, inputs,
                        variance=math.nan, standard_error=math.inf, **extras)
    value = exposure / hits
    # delta method for the ratio of two sums
    spread = float(((durations - value * is_hit) ** 2).sum()) / hits**2
    low, high = interval_of_mean(value, spread / value**2, hits)
    rest = (n - hits) / n
    longest = float(durations[~is_hit].mean()) if hits < n else 0.0
    second = float((durations**2).mean()) + rest * 2 * value * (longest + value)
    doubt = ""
    if rest > 0:
        low, high, doubt = censored_interval(durations, is_hit, value, (low, high))
    elif hits >= 2 * FEW and _tail_index(durations) < 1:
        high, doubt = math.inf, ("the longest times dominate the mean, which may be infinite (the share of "
                                 "paths that "
                                 f"have not arrived falls like t^-{_tail_index(durations):.2g}): the "
                                 "interval is one-sided; see `survival()`")
    return ExitTime(value, (low, high), method, None, "; ".join(filter(None, [note, doubt])) or "ok", inputs,
                    variance=max(second - value**2, 0.0), standard_error=math.sqrt(spread), **extras)


def censored_interval(durations, is_hit, value, around):
    """(low, high, doubt) of a mean of which some times were only seen to exceed their durations.

    mean = integral of S to T + S(T) E[rest], S the share that has not arrived (Kaplan and Meier's) and T the
    longest time watched. The rest is bounded by two laws, each at both ends of what the arrivals allow:
    arrivals at the constant rate of the last quarter of them, and Weibull's law, whose rate changes like
    t^(k-1). When the rate has fallen between the last two quarters, or when k may be so small that hardly any
    time bounds the rest, there is no upper end.
    """
    hits, end = int(is_hit.sum()), float(durations.max())
    seen, share, error = _restricted_mean(durations, is_hit, end)
    error_share = 3 * math.sqrt(share * (1 - share) / len(durations))
    shares = max(share - error_share, 0.0), min(share + error_share, 1.0)
    lowest = max(seen - 3 * error, 0.0)
    late = max(hits // 4, min(hits, FEW))
    fall, fall_error, rate = _late_rates(np.sort(durations[is_hit]), durations, late)
    k, k_error = weibull_shape(durations, is_hit)
    rest = [1 / (rate * (1 + 3 / math.sqrt(late)))]
    rest += [_weibull_rest(durations, hits * (1 + 3 * sign / math.sqrt(hits)), k + 3 * k_error, end)
             for sign in (-1, 1) if hits > 9 or sign > 0]
    low = min(around[0], lowest + shares[0] * min(rest))
    doubt = ""
    if hits < FEW or k - 3 * k_error < STEEPEST or fall + 2 * fall_error < 0 and fall < -WEAK_FALL:
        why = ("too few arrivals tell how the rate of arrivals goes on" if hits < FEW else
               f"the rate of arrivals falls with time (like t^{min(fall, k - 1):.2g})")
        doubt = (f"{100 * share:.2g} % of the paths are censored and {why}: the mean may be far above the "
                 "value, or infinite, and the interval is one-sided; raise t_max")
        return min(low, value), math.inf, doubt
    if share > MANY_CENSORED:
        doubt = (f"{100 * share:.2g} % of the paths are censored: value and interval take the rate of "
                 "arrivals to go on as it was seen")
    rest = [1 / (rate * max(1 - 3 / math.sqrt(late), 0.1)),
            _weibull_rest(durations, hits * max(1 - 3 / math.sqrt(hits), 0.1), k - 3 * k_error, end)]
    return min(low, value), max(around[1], value, seen + 3 * error + shares[1] * max(rest)), doubt


def _restricted_mean(durations, is_hit, end):
    """Integral of the share that has not arrived up to the time `end`, that share, and the integral's
    standard error (Greenwood's formula)."""
    order = np.lexsort((~is_hit, durations))
    times, died = durations[order], is_hit[order]
    at_risk = np.arange(len(times), 0, -1)
    S = np.cumprod(np.where(died, 1 - 1 / at_risk, 1.0))
    pieces = np.diff(np.concatenate([[0.0], times])) * np.concatenate([[1.0], S[:-1]])
    seen = float(pieces.sum())
    beyond = seen - np.cumsum(pieces)                            # integral from each time on
    weights = np.where(died & (at_risk > 1), 1 / (at_risk * np.maximum(at_risk - 1, 1)), 0.0)
    return seen, float(S[-1]), math.sqrt(float((beyond**2 * weights).sum()))


def _late_rates(arrivals, durations, m):
    """Exponent with which the rate of arrivals changes between the last two groups of m of them, its standard
    error, and the last rate."""
    cuts = [arrivals[-2 * m - 1] if len(arrivals) > 2 * m else 0.0, arrivals[-m - 1] if len(arrivals) > m
            else 0.0]
    rates, middles = [], []
    for a, b, count in ((cuts[0], cuts[1], m), (cuts[1], float(durations.max()), min(m, len(arrivals)))):
        inside = np.clip(durations, a, b)
        exposure = float((inside - a).sum())
        rates.append(count / exposure if exposure > 0 else math.nan)
        middles.append(float((inside**2 - a**2).sum()) / 2 / exposure if exposure > 0 else math.nan)
    octaves = math.log(middles[1] / middles[0]) if middles[0] > 0 else math.nan
    if not octaves > 0:                                          # one group only
        return 0.0, math.inf, rates[1]
    return math.log(rates[1] / rates[0]) / octaves, math.sqrt(2 / m) / octaves, rates[1]


def weibull_shape(durations, is_hit):
    """Shape k of Weibull's law of the arrivals by maximum likelihood, with its standard error."""
    t = durations / durations.max()
    logs, hits = np.log(np.maximum(t, 1e-300)), int(is_hit.sum())
    mean = float(logs[is_hit].mean())

    def slope(k):
        weights = t**k
        return float((weights * logs).sum() / weights.sum()) - 1 / k - mean
    k = brentq(slope, 1e-3, 1e3) if slope(1e-3) < 0 < slope(1e3) else 1.0
    weights = t**k / (t**k).sum()
    information = hits * (1 / k**2 + float((weights * logs**2).sum() - (weights * logs).sum() ** 2))
    return k, 1 / math.sqrt(information)


def _weibull_rest(durations, hits, k, end):
    """Mean time beyond `end` of a path that has not arrived by then, under Weibull's law of shape k that
    explains this many arrivals."""
    x = hits / float(((durations / end) ** k).sum())             # (end/scale)^k
    if x > 100:
        return end / (k * x)
    return end * math.exp(x) * gamma(1 / k) * gammaincc(1 / k, x) / (k * x ** (1 / k))


def _tail_index(durations):
    """Exponent a with which the share of longer times falls, like t^-a, among the longest fifth (Hill's)."""
    tail = np.sort(durations)[-(len(durations) // 5) - 1:]
    return 1 / max(float(np.log(tail[1:] / tail[0]).mean()), 1e-300) if tail[0] > 0 else math.inf


def _share(k, hits, n, method, inputs):
    """Probability of one target; the paths that have not arrived may all go to it, or to others."""
    low, high = interval_of_share(k, hits) if hits else (0.0, 1.0)
    if hits < n:
        low, high = low * hits / n, (high * hits + n - hits) / n
    value = k / hits if hits else math.nan
    return PassageEstimate(value, (low, high), method, inputs=inputs, status="ok" if hits else "no events",
                           standard_error=math.sqrt(value * (1 - value) / hits) if hits else math.inf)


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
