"""Noise of evaluation on a sampled surface, told from its shape: differences of high order forget everything
smooth and keep white noise."""
from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

NORMAL = 0.6745                      # median of |x| of a normal variable
ALIKE = (0.9, 1.15)                  # ratio of the estimates of two orders where noise is what they see
FEWEST = 40                          # differences that make an estimate
UNCORRELATED = 0.5                   # rank correlation of neighbours below which a noisy surface has no shape
LEAST = 1e-6                         # of the spread of the losses: less is rounding
DEPTH = 6.0                          # standard deviations: shallower minima may be noise


@dataclass(frozen=True)
class Noise:
    """What is known of the noise of the loss.

    Attributes
    ----------
    sigma : float
        Standard deviation of one sample; 0 where none was recognised.
    correlation : float
        Rank correlation of neighbouring samples: 0 for white noise, near 1 for a resolved surface.
    source : str
        "differences", "standard errors in the file" or "none".
    is_dominant : bool
        Neighbours say less about each other than the noise hides.
    """
    sigma: float
    correlation: float
    source: str
    is_dominant: bool

    @property
    def depth(self) -> float:
        """Depth of a minimum below which it may be noise."""
        return DEPTH * self.sigma


def noise_of(land) -> Noise:
    """`Noise` of a landscape.

    The median of |differences of order k|, over that of normal noise of standard deviation one, estimates the
    noise for every k alike, while of a resolved surface it falls quickly with k. So noise is recognised where
    the orders 4 and 6 agree.
    """
    loss = np.where(land.valid, land.loss, np.nan)
    four, six = (_from_differences(loss, k) for k in (4, 6))
    known = land.loss[land.valid]
    spread = float(np.subtract(*np.quantile(known, [0.75, 0.25]))) if known.size else 0.0
    rounding = max(LEAST * spread, 8 * np.finfo(float).eps * float(np.abs(known).max(initial=0.0)))
    seen = six if six > rounding and ALIKE[0] * four < six < ALIKE[1] * four else 0.0
    correlation = _correlation(loss)
    told = land.loss_stderr
    told = 0.0 if told is None or np.shape(told) != land.shape else _median(np.asarray(told)[land.valid])
    # standard errors of one minibatch at all points are shared and make no shape; without a shape they are
    # noise
    if not seen and told > 0 and correlation < UNCORRELATED:
        return Noise(told, correlation, "standard errors in the file", True)
    return Noise(float(seen), correlation, "differences" if seen else "none",
                 bool(seen > 0 and correlation < UNCORRELATED))


def _median(a):
    a = a[np.isfinite(a)]
    return float(np.median(a)) if a.size else 0.0


def _from_differences(loss, order):
    with np.errstate(invalid="ignore", over="ignore"):
        found = [np.diff(loss, order, axis).ravel() for axis in range(loss.ndim) if loss.shape[axis] > order]
    found = np.concatenate(found) if found else np.empty(0)
    found = np.abs(found[np.isfinite(found)])
    return float(np.median(found) / NORMAL / np.sqrt(comb(2 * order,
                                                          order))) if found.size >= FEWEST else np.nan


def _correlation(loss):
    """Rank correlation of the samples with their neighbours along the axes; NaN for constants."""
    rank = np.full(loss.shape, np.nan)
    known = np.isfinite(loss)
    _, place, count = np.unique(loss[known], return_inverse=True, return_counts=True)
    rank[known] = (np.cumsum(count) - (count - 1) / 2)[place]
    one = np.concatenate([np.delete(rank, -1, axis).ravel() for axis in range(loss.ndim)])
    two = np.concatenate([np.delete(rank, 0, axis).ravel() for axis in range(loss.ndim)])
    both = np.isfinite(one) & np.isfinite(two)
    if both.sum() < 3 or np.ptp(one[both]) == 0 or np.ptp(two[both]) == 0:
        return float("nan")
    return float(np.corrcoef(one[both], two[both])[0, 1])
