"""The optimiser's own path on the landscape, held against the diffusion: where it dwelt, and whether it
drifted or diffused."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

FEWEST = 8                           # points of a path that allow an exponent
# exponents of the mean square displacement above and below which the words are used
DRIFT, BROWNIAN = 1.6, 1.25


@dataclass(frozen=True, repr=False, eq=False)
class TrainingPath:
    """Diagnostics of a trajectory.

    Attributes
    ----------
    n_points, n_inside : int
        Of the trajectory, and of it on valid cells of the surface.
    wells : tuple of int
        Well (number) of each point, 0 outside.
    dwell : ndarray (n_wells,)
        Share of the training steps spent in the basin of each well (each point stands for half the way to its
        neighbours).
    occupation : ndarray (n_wells,)
        Gibbs occupation at `theta`.
    theta : float
    exponent, exponent_error : float
        a of <|w(t + s) - w(t)|^2> ~ s^a, in the metric of the plane: 1 for Brownian motion, 2 for a drift;
        NaN with too few points.
    word : str
        "drift", "Brownian", "between drift and Brownian", or "too few points".
    loss_gap : float or None
        Median of (loss at the checkpoints - loss of the plane below them), where the file has the losses.
    residual : float or None
        Median distance of the checkpoints from the plane over their distance from its origin.
    lags, displacement : ndarray
        The mean square displacement itself.
    """
    n_points: int
    n_inside: int
    wells: tuple
    dwell: np.ndarray
    occupation: np.ndarray
    theta: float
    exponent: float
    exponent_error: float
    word: str
    loss_gap: float | None
    residual: float | None
    lags: np.ndarray
    displacement: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def training_path(land, wells, basins, theta, occupation):
    """`TrainingPath` of the trajectory of a landscape; None where it has none."""
    if land.trajectory is None:
        return None
    points = np.asarray(land.trajectory, float)
    steps = np.arange(len(points)) if land.trajectory_steps is None else np.asarray(land.trajectory_steps,
                                                                                    float)
    home, below = [], []
    for p in points:
        try:
            index = land.index(p)
        except ValueError:
            index = None
        home.append(0 if index is None else int(basins[index]) + 1)
        below.append(np.nan if index is None else float(land.loss[index]))
    home = np.array(home)
    weight = np.gradient(steps) if len(points) > 1 and (np.diff(steps) > 0).all() else np.ones(len(points))
    dwell = np.array([weight[home == w.number].sum() for w in wells]) / weight.sum()
    metric = np.eye(land.ndim) if land.gram is None else land.gram
    lags, displacement = _displacement(points, steps, metric)
    exponent, error = _exponent(lags, displacement) if len(points) >= FEWEST else (np.nan, np.nan)
    word = ("too few points" if not np.isfinite(exponent) else "drift" if exponent > DRIFT else "Brownian"
            if exponent < BROWNIAN else "between drift and Brownian")
    losses = np.asarray([] if land.trajectory_loss is None else land.trajectory_loss)
    gap = (float(np.nanmedian(losses - below)) if losses.size == len(points)
           and np.isfinite(losses - below).any() else None)
    residuals = np.asarray([] if land.trajectory_residual is None else land.trajectory_residual)
    return TrainingPath(len(points), int((home > 0).sum()), tuple(home.tolist()),
                        dwell, np.asarray(occupation), float(theta), exponent, error, word,
                        gap, float(np.nanmedian(residuals)) if np.isfinite(residuals).any() else None, lags,
                        displacement)


def _displacement(points, steps, metric):
    """Mean square displacement against the lag in steps, over all pairs, at log-spaced lags up to a quarter
    of the path."""
    n = len(points)
    lags, found = [], []
    for k in np.unique(np.geomspace(1, max(3, n // 4), 24).round().astype(int)):
        if k < n:
            d = points[k:] - points[:-k]
            lags.append(float((steps[k:] - steps[:-k]).mean()))
            found.append(float(np.einsum("ni,ij,nj->n", d, metric, d).mean()))
    return np.array(lags), np.array(found)


def _exponent(lags, displacement):
    """Slope of log MSD against log lag, each lag weighed by how many independent pairs it has, and half the
    difference of the slopes of both halves."""
    usable = (lags > 0) & (displacement > 0)
    x, y = np.log(lags[usable]), np.log(displacement[usable])
    if x.size < 3:
        return np.nan, np.nan
    slope = lambda a, b: float(np.polyfit(a, b, 1, w=np.exp(-a / 2))[0])
    half = (x.size + 1) // 2
    halves = abs(slope(x[:half], y[:half])
                 - slope(x[half - 1:], y[half - 1:])) / 2 if half >= 2 and x.size - half + 1 >= 2 else np.nan
    return slope(x, y), halves
