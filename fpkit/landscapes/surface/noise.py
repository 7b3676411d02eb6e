"""Noise of evaluation on a sampled surface, told from its shape: differences of high order forget everything
smooth and keep white noise."""
from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

NORMAL = 0.6745                      # median of |x| of a normal variable
ALIKE = (0.9, 1.15)                  # ratio of the estimates of two orders where noise is what they see
ALIKE_IN_ROWS = (0.7, 1.4)           # the same where the samples of a row share it and few are independent
FEWEST = 40                          # differences that make an estimate
FEWEST_ROWS = 16                     # that can show noise of their own
FEWEST_STEPS = 4                     # between values, from which on losses can be called rounded
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
        "differences", "differences along y" (another minibatch a row), "rounding", "standard errors in the
        file" or "none".
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
    the orders 4 and 6 agree: along all axes together, else along one of them (noise that the samples of a row
    share). Samples that alternate, like those of a wave of less than three samples, are not noise.
    """
    loss = np.where(land.valid, land.loss, np.nan)
    known = land.loss[land.valid]
    spread = float(np.subtract(*np.quantile(known, [0.75, 0.25]))) if known.size else 0.0
    least = max(LEAST * spread, 8 * np.finfo(float).eps * float(np.abs(known).max(initial=0.0)))
    every = tuple(range(loss.ndim))
    correlation = whole = _correlation(loss, every)
    seen, source = _seen(loss, every, least, whole, ALIKE), "differences"
    rounded = _step_of_rounding(loss, known, least) / np.sqrt(12)
    if rounded > seen:
        seen, source = rounded, "rounding"
    for axis in [k for k in every if loss.ndim > 1 and not seen and loss.shape[k] >= FEWEST_ROWS]:
        alone = _correlation(loss, (axis,))
        found = _seen(loss, (axis,), least, alone, ALIKE_IN_ROWS)
        if found > seen and _is_shared(loss, axis):
            seen, correlation, source = found, alone, f"differences along {'xyz'[loss.ndim - 1 - axis]}"
    told = land.loss_stderr
    told = 0.0 if told is None or np.shape(told) != land.shape else _median(np.asarray(told)[land.valid])
    # standard errors of one minibatch at all points are shared and make no shape; without a shape they are
    # noise
    if not seen and told > 0 and correlation < UNCORRELATED:
        return Noise(told, correlation, "standard errors in the file", True)
    return Noise(float(seen), correlation, source if seen else "none",
                 bool(seen > 0 and correlation < UNCORRELATED))


def _seen(loss, axes, least, correlation, alike):
    """Standard deviation of noise that differences along some axes show, 0 where they show none."""
    four, six = (_from_differences(loss, k, axes) for k in (4, 6))
    is_noise = six > least and alike[0] * four < six < alike[1] * four and not correlation < -UNCORRELATED
    return six if is_noise else 0.0


def _is_shared(loss, axis):
    """Whether the samples of a row have the differences of order 6 between rows in common."""
    six = np.moveaxis(np.diff(loss, 6, axis), axis, 0).reshape(loss.shape[axis] - 6, -1)
    six = six[np.isfinite(six).any(axis=1)]
    own = six - np.nanmedian(six, axis=1, keepdims=True)
    return bool(np.nanmedian(np.abs(own)) < 0.5 * np.nanmedian(np.abs(six)))


def _step_of_rounding(loss, known, least):
    """The step of which all losses are multiples, 0 where there is none. Differences of order 6, which forget
    polynomials on a decimal grid, keep the rounding."""
    steps = np.diff(np.unique(known))
    if known.size < FEWEST or steps.size < FEWEST_STEPS or steps.min() < least:
        return 0.0
    multiple = (known - known.min()) / steps.min()
    if np.abs(multiple - np.rint(multiple)).max() > 0.01:
        return 0.0
    six = np.concatenate([np.diff(loss, 6, axis).ravel() for axis in range(loss.ndim)])
    rough = np.sqrt(np.mean(six[np.isfinite(six)] ** 2) / comb(12, 6)) if np.isfinite(six).any() else 0.0
    return float(steps.min()) if 0.05 * steps.min() < rough < 2 * steps.min() else 0.0


def _median(a):
    a = a[np.isfinite(a)]
    return float(np.median(a)) if a.size else 0.0


def _from_differences(loss, order, axes):
    with np.errstate(invalid="ignore", over="ignore"):
        found = [np.diff(loss, order, axis).ravel() for axis in axes if loss.shape[axis] > order]
    found = np.concatenate(found) if found else np.empty(0)
    found = np.abs(found[np.isfinite(found)])
    return float(np.median(found) / NORMAL / np.sqrt(comb(2 * order,
                                                          order))) if found.size >= FEWEST else np.nan


def _correlation(loss, axes):
    """Rank correlation of the samples with their neighbours along some axes; NaN for constants."""
    rank = np.full(loss.shape, np.nan)
    known = np.isfinite(loss)
    _, place, count = np.unique(loss[known], return_inverse=True, return_counts=True)
    rank[known] = (np.cumsum(count) - (count - 1) / 2)[place]
    one = np.concatenate([np.delete(rank, -1, axis).ravel() for axis in axes])
    two = np.concatenate([np.delete(rank, 0, axis).ravel() for axis in axes])
    both = np.isfinite(one) & np.isfinite(two)
    if both.sum() < 3 or np.ptp(one[both]) == 0 or np.ptp(two[both]) == 0:
        return float("nan")
    return float(np.corrcoef(one[both], two[both])[0, 1])
