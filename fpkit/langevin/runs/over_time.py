"""Quantities over time from saved paths, with the error that the scatter of independent paths gives: three
standard errors' level, 99.73 %, by Student's law."""
from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from ...core import checks
from ...core.grid import Grid
from ...core.results import Field
from ...core.views.series import Series

LEVEL = 0.99865                     # one side of 99.73 %


def values_of(run, observable):
    """The observable on all saved places, (n_paths, n_times): an index of a coordinate, or a function of
    points (..., ndim)."""
    saved(run)
    X = run.paths
    if callable(observable):
        a = np.asarray(observable(X.reshape(-1, X.shape[2])), float)
        if a.shape != (X.shape[0] * X.shape[1],):
            raise ValueError(f"the observable gave shape {a.shape} for {X.shape[0] * X.shape[1]} points; it "
                             "takes points (n, ndim) and returns (n,).")
        return a.reshape(X.shape[:2])
    k = checks.whole("observable", observable, 0, "Give a coordinate's number, or a function of points.")
    if k >= X.shape[2]:
        raise ValueError(f"observable {k} is no coordinate of paths in {X.shape[2]}-D.")
    return X[:, :, k]


def saved(run):
    """Refuse runs without saved paths."""
    if run.paths is None:
        raise ValueError("the run kept no paths; simulate with save_every= to have quantities over time.")


def _mean(a, shift=0.0):
    """Means over paths (axis 0) and their error bounds; NaN errors of a single path."""
    n = len(a)
    if n < 2:
        return a.mean(0) + shift, np.full(a.shape[1:], np.nan)
    return a.mean(0) + shift, stdtrit(n - 1, LEVEL) * a.std(0, ddof=1) / np.sqrt(n)


def _series(run, times, a, name, axis="time"):
    values, errors = _mean(a)
    return Series(times, values, errors, name, axis, f"{run.n_paths} paths", _inputs(run))


def _inputs(run):
    return {"scheme": run.scheme, "dt": run.dt, "seed": run.seed, "n_paths": run.n_paths}


def expectation(run, observable):
    """Mean over paths at each saved time."""
    return _series(run, run.times, values_of(run, observable), "expectation")


def variance(run, observable):
    """Variance over paths at each saved time; the error from the scatter of the squares."""
    a = values_of(run, observable)
    n = len(a)
    if n < 2:
        raise ValueError("a variance over paths needs at least two of them.")
    squares = (a - a.mean(0)) ** 2 * (n / (n - 1))
    return _series(run, run.times, squares, "variance")


def displacements(run):
    """Places on the line, periods of periodic axes put back: (n_paths, n_times, ndim).

    From one saved place to the next by the nearest image, checked against the windings that the run counted.
    """
    saved(run)
    X = run.paths
    if run.winding is None:
        return X
    walls = run.inputs["walls"]
    period = np.array([high - low if kind == "periodic" else np.inf
                       for (low, high), kind in zip(walls.bounds, walls.kind)])
    steps = np.diff(X, axis=1)
    with np.errstate(invalid="ignore"):
        steps = steps - np.where(np.isfinite(period), period, 0.0) * np.round(steps / period)
    line = np.concatenate([X[:, :1], X[:, :1] + np.cumsum(steps, axis=1)], axis=1)
    if run.time == run.times[-1] and np.abs(line[:, -1] - run.unwrapped).max() > 1e-6:
        raise ValueError("paths go round more than half a period between two saved places, so their way "
                         "there is not known; simulate with a smaller save_every.")
    return line


def mean_square_displacement(run, axis=None, is_lagged=False):
    """Mean of |X(t) - X(0)|^2 over paths, or over all pairs of times a lag apart too."""
    X = displacements(run)
    if axis is not None:
        axis = checks.whole("axis", axis, 0)
        if axis >= X.shape[2]:
            raise ValueError(f"axis {axis} is none of the {X.shape[2]} coordinates.")
        X = X[:, :, [axis]]
    if not is_lagged:
        return _series(run, run.times - run.times[0], ((X - X[:, :1]) ** 2).sum(-1),
                       "mean square displacement")
    lags = _equal_steps(run) * np.arange(X.shape[1] // 2 + 1)
    each = np.stack([((X[:, k:] - X[:, :X.shape[1] - k]) ** 2).sum(-1).mean(1) for k in range(lags.size)], 1)
    return _series(run, lags, each, "mean square displacement", "lag")


def _equal_steps(run):
    steps = np.diff(run.times)
    if steps.size < 3 or np.ptp(steps) > 1e-9 * steps[0]:
        raise ValueError("this needs at least four saved times, equally spaced; save more often, with one "
                         "dt.")
    return float(steps[0])


def autocorrelation(run, observable, burn_in=0.0, is_normalised=False):
    """C(lag) = <(a(s) - <a>)(a(s + lag) - <a>)> of the stationary process, over times from `burn_in` on."""
    a, step = _stationary(run, observable, burn_in)
    n = a.shape[1]
    m = np.fft.rfft(a - a.mean(), 2 * n, axis=1)
    products = np.fft.irfft(abs(m) ** 2, 2 * n, axis=1)[:, :n // 2]
    each = products / (n - np.arange(n // 2))
    if len(a) > 1:                                  # the mean that was taken off has an error of its own
        each = each + a.mean(1).var(ddof=1) / len(a)
    if is_normalised:
        values, c0 = each.mean(0), each[:, 0].mean()
        ratio = values / c0                         # linearised about the means
        each = (each - each[:, :1] * ratio) / c0 + ratio
    return _series(run, step * np.arange(n // 2), each, "autocorrelation", "lag")


def power_spectrum(run, observable, burn_in=0.0):
    """One-sided spectral density S(f), int_0 S df = the variance, by periodograms of each path with Hann's
    window."""
    a, step = _stationary(run, observable, burn_in)
    n = a.shape[1]
    window = np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2
    a = a - a.mean()
    power = 2 * step * abs(np.fft.rfft(a * window, axis=1)) ** 2 / (window ** 2).sum()
    keep = slice(2, (n + 1) // 2)                    # beside 0 the window sees the mean
    return _series(run, np.fft.rfftfreq(n, step)[keep], power[:, keep], "power spectrum", "frequency")


def _stationary(run, observable, burn_in):
    a, step = values_of(run, observable), _equal_steps(run)
    first = int(np.searchsorted(run.times, checks.number("burn_in", burn_in, non_negative=True)))
    if a.shape[1] - first < 8:
        raise ValueError(f"a burn-in of {burn_in:g} leaves {max(a.shape[1] - first, 0)} saved times; at "
                         "least 8 are needed.")
    return a[:, first:], step


def occupation(run, region):
    """Share of the paths in a region at each saved time; the error is Wilson's, also where no path is
    inside."""
    saved(run)
    X = run.paths
    share = np.asarray(region.contains(X), float).reshape(X.shape[:2]).mean(0)
    n, z = len(X), 3.0
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Series(run.times, share, np.abs(centre - share) + half, f"occupation of {region!r}", "time",
                  f"{n} paths", _inputs(run))


def marginal(run, axes, grid, k):
    """Density of some coordinates at the k-th saved time (or at the end), on the cells of a grid."""
    X = run.x if run.paths is None else run.paths[:, k]
    axes = [checks.whole("axes", a, 0) for a in np.atleast_1d(axes)]
    if any(a >= X.shape[1] for a in axes):
        raise ValueError(f"axes {axes} are not all among the {X.shape[1]} coordinates.")
    x = X[:, axes]
    if not isinstance(grid, Grid):
        bins = checks.whole("grid", grid, 2, "Give a Grid, or a number of cells.")
        low, high = x.min(0), x.max(0)
        pad = 0.01 * np.maximum(high - low, 1e-12)
        grid = Grid(list(zip(low - pad, high + pad)), [bins] * len(axes))
    if grid.ndim != len(axes):
        raise ValueError(f"the grid has {grid.ndim} axes and {len(axes)} coordinates were asked for.")
    counts, _ = np.histogramdd(x, bins=grid.edges)
    n, z = len(x), 3.0
    p = counts / n
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    shift = np.abs((p + z * z / (2 * n)) / (1 + z * z / n) - p)
    return Field(p / grid.volumes, grid, "marginal density", (half + shift) / grid.volumes, "1/volume",
                 _inputs(run))
