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
FEWEST_ASKED = 5                     # predictions that can show an outlier
FEWEST_ROWS = 16                     # that can show noise of their own
FEWEST_STEPS = 4                     # between values, from which on losses can be called rounded
UNCORRELATED = 0.5                   # rank correlation of neighbours below which a noisy surface has no shape
LEAST = 1e-6                         # of the spread of the losses: less is rounding
DEPTH = 6.0                          # standard deviations: shallower minima may be noise
ALONE = 1 / 8                        # of an outlier: what its neighbours may keep once it is set right
KEPT = 0.9                           # share of the neighbours that must be right then
FAR = 8.0                            # times the usual difference from the prediction: less is no outlier


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


def outliers(land) -> np.ndarray:
    """How far each sample lies above what its neighbours predict, 0 where it is not alone with that: failures
    of single evaluations, or pits and spikes narrower than the samples.

    A sample is an outlier where setting it right makes its neighbours right, too: a wrong value takes part in
    the predictions of the samples up to two beside it by -2/3 and 1/6, a ridge or a kink by others.
    """
    loss = np.where(land.valid, land.loss, np.nan)
    beside = [unpredicted(loss, axis, land.wraps and land.wraps[axis]) for axis in range(loss.ndim)]
    seen = np.isfinite(beside)
    if not seen.any():
        return np.zeros(loss.shape)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        off = np.where(seen, beside, 0.0).sum(axis=0) / seen.sum(axis=0)
        asked, right = np.zeros(loss.shape), np.zeros(loss.shape)
        for axis, values in enumerate(beside):
            for step, share in ((-2, 1 / 6), (-1, -2 / 3), (0, 1.0), (1, -2 / 3), (2, 1 / 6)):
                left = np.abs(np.roll(values, -step, axis) - share * off)
                asked += np.isfinite(left)
                right += left <= ALONE * np.abs(off)
        is_alone = (asked >= FEWEST_ASKED) & (right >= KEPT * asked)
        far = max(FAR * float(np.median(np.abs(np.array(beside)[seen]))), LEAST * np.ptp(loss[land.valid]))
        return np.where(is_alone & (np.abs(off) > far), off, 0.0)


def unpredicted(loss, axis, is_ring):
    """Each sample minus the cubic through the two on either side of it along an axis: the difference of order
    4 over 6; NaN where one is missing."""
    if loss.shape[axis] < 5:
        return np.full(loss.shape, np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        at = lambda step: np.roll(loss, step, axis)
        found = loss - (4 * (at(1) + at(-1)) - at(2) - at(-2)) / 6
    if not is_ring:
        np.moveaxis(found, axis, 0)[[0, 1, -2, -1]] = np.nan
    return found


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
    """The step to which the lower half of the losses was rounded, 0 where there is none: one that all are
    multiples of, or that of as few significant digits. Differences of order 6, which forget polynomials on a
    decimal grid, keep the rounding."""
    steps = np.diff(np.unique(known))
    if known.size < FEWEST or steps.size < FEWEST_STEPS:
        return 0.0
    step, multiple = steps.min(), (known - known.min()) / steps.min()
    if np.abs(multiple - np.rint(multiple)).max() > 0.01:
        size = 10.0 ** np.floor(np.log10(np.maximum(np.abs(known), 1e-300)))
        shown = [known / size * 10**d for d in range(3)]
        digits = next((d for d, a in enumerate(shown) if np.abs(a - np.rint(a)).max() < 1e-9), None)
        step = 0.0 if digits is None else float(np.median(size[known <= np.median(known)])) / 10**digits
    six = np.concatenate([np.diff(loss, 6, axis).ravel() for axis in range(loss.ndim)])
    six = np.abs(six[np.isfinite(six)])
    rough = np.median(six[six > 0]) / np.sqrt(comb(12, 6)) if (six > 0).any() else 0.0
    return float(step) if step > least and 0.05 * step < rough < 2 * step else 0.0


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
