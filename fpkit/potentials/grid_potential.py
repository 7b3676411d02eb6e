"""A potential from samples on a grid: C2 spline, missing samples as walls."""
from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from . import spline
from .pieces import SplinePiece
from .potential import Potential
from .terms import Parts

# deviation from a uniform axis, in steps, that is still rounding of the file it came from (float32)
UNIFORM = 1e-4


class GridPotential(Potential):
    """Potential through samples on a rectangular grid, as a tensor-product cubic spline (C2).

    The spline passes through every valid sample, with not-a-knot ends; error of order h^4 for the value, h^3
    for the gradient and h^2 for the Hessian of a smooth function, up to the boundary of the box and of a
    hole.

    Outside the box the outermost cubic continues, so value, gradient and Hessian stay continuous across the
    edge; farther out than a few cells it means nothing, and the solvers put walls at `bounds`.

    Parameters
    ----------
    axes : sequence of array
        One uniform axis each for 1 to 3 coordinates, at least 5 samples; descending ones are turned round.
    values : array
        Shape ``(len(axes[0]), len(axes[1]), ...)``, in the units of f. NaN or inf: outside the domain.
        Missing samples are continued smoothly so that the cells beside them keep their order; cells with a
        missing corner are outside `domain`.

    Attributes
    ----------
    bounds : list of (low, high)
        First and last sample of each axis.
    domain : callable or None
        ``domain(points)`` for points (..., ndim): True where all corners of the cell are valid. None without
        missing samples.
    axes, values
        The samples as given, axes ascending.

    Examples
    --------
    >>> x, y = np.linspace(-1, 1, 41), np.linspace(0, 2, 31)
    >>> V = fp.GridPotential([x, y], np.sin(x)[:, None] + y**2)
    >>> bool(abs(V([0.3, 0.7]) - (np.sin(0.3) + 0.49)) < 1e-7)
    True
    """

    def __init__(self, axes: ArrayLike, values: ArrayLike) -> None:
        values = _numbers(values)
        axes = list(axes) if not (isinstance(axes, np.ndarray) and axes.ndim == 1) else [axes]
        if not 1 <= values.ndim <= 3:
            raise ValueError(f"values must have one to three axes, got shape {values.shape}; in more "
                             "dimensions use Potential.black_box.")
        if len(axes) != values.ndim:
            raise ValueError(f"{len(axes)} axes do not match values of shape {values.shape}; give one axis "
                             "per index of values.")
        head, ordered = [], []
        for k, n in enumerate(values.shape):
            axis, is_descending = _axis(axes[k], k, n, values.shape)
            if is_descending:
                values = np.flip(values, k)
            ordered.append(axis)
            head += [n + 2, axis[0], (n - 1) / (axis[-1] - axis[0])]
        values = np.array(values, float)
        valid = np.isfinite(values)
        if not valid.any():
            raise ValueError(f"all {values.size} samples are NaN or infinite; at least one cell needs finite "
                             "samples.")
        corners = valid
        for k in range(values.ndim):
            low, high = [slice(None)] * values.ndim, [slice(None)] * values.ndim
            low[k], high[k] = slice(None, -1), slice(1, None)
            corners = corners[tuple(low)] & corners[tuple(high)]
        if not corners.any():
            raise ValueError("no cell of the samples has all its corners finite; the NaN are too dense for a "
                             "potential.")
        data = np.concatenate([head, spline.coefficients(spline.filled(values)).ravel()])
        self._start(Parts(values.ndim, None, {}, ((None, SplinePiece(values.ndim, data)),),
                          f"samples {'x'.join(map(str, values.shape))}"))
        self.axes, self.values = tuple(ordered), values
        self.bounds = [(float(a[0]), float(a[-1])) for a in ordered]
        self.domain = None if valid.all() else _Domain(self.bounds, corners)


class _Domain:
    """True where all corners of the cell that holds the point are valid; False outside the box and for
    NaN."""

    def __init__(self, bounds: ArrayLike, cells: ArrayLike) -> None:
        self.low, self.high = np.array(bounds).T
        self.cells = cells

    def __call__(self, points: ArrayLike) -> np.ndarray:
        points = checks.points("points", points, self.low.size)
        n = np.array(self.cells.shape)
        s = (points - self.low) / (self.high - self.low) * n
        index = np.clip(np.floor(s), 0, n - 1).astype(int)
        is_inside = ((points >= self.low) & (points <= self.high)).all(-1)
        return self.cells[tuple(np.moveaxis(index, -1, 0))] & is_inside


def _numbers(values):
    try:
        if np.iscomplexobj(values):
            raise TypeError
        return np.asarray(values, float)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"values must be an array of real numbers, got {checks.shown(values)}.") from None


def _axis(axis, k, n, shape):
    try:
        axis = np.asarray(axis, float)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"axes[{k}] must be an array of numbers, got {checks.shown(axis)}.") from None
    if axis.shape != (n,):
        raise ValueError(f"axes[{k}] has shape {axis.shape} and does not match values of shape {shape}, "
                         f"which has {n} samples there; "
                         "values[i, j] belongs to axes[0][i], axes[1][j] (transpose an array indexed [iy, "
                         "ix]).")
    if n < spline.LEAST_SAMPLES:
        raise ValueError(f"axes[{k}] has {n} samples; a spline needs at least {spline.LEAST_SAMPLES} on each "
                         "axis.")
    steps = np.diff(axis)
    if not np.isfinite(axis).all() or not ((steps > 0).all() or (steps < 0).all()):
        raise ValueError(f"axes[{k}] must increase or decrease all along with finite numbers, got "
                         f"{checks.shown(axis)}.")
    mean = (axis[-1] - axis[0]) / (n - 1)
    if np.abs(axis - (axis[0] + mean * np.arange(n))).max() > UNIFORM * abs(mean):
        raise ValueError(f"axes[{k}] is not uniform (steps from {np.abs(steps).min():.4g} to "
                         f"{np.abs(steps).max():.4g}); interpolate the samples to a uniform "
                         "axis first, e.g. with scipy.interpolate.RegularGridInterpolator.")
    return (axis[::-1].copy(), True) if mean < 0 else (axis, False)
