"""A potential from samples on a grid: C2 spline, missing samples as walls."""
from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.calls import understood
from . import spline
from .pieces import SplinePiece
from .potential import Potential
from .terms import Parts

# deviation from a uniform axis, in steps, that is still rounding of the file it came from (float32)
UNIFORM = 1e-4
FINER = {1: 50, 2: 6, 3: 3}          # times as many samples an axis as an uneven axis may become
FROM_SPLINE = {1: 2001, 2: 301}      # samples an axis of a spline that keeps none


class GridPotential(Potential):
    """Potential through samples on a rectangular grid, as a tensor-product cubic spline (C2).

    The spline passes through every valid sample, with not-a-knot ends; error of order h^4 for the value, h^3
    for the gradient and h^2 for the Hessian of a smooth function, up to the boundary of the box and of a
    hole.

    Outside the box the outermost cubic continues, so value, gradient and Hessian stay continuous across the
    edge; farther out than a few cells it means nothing, and the solvers put walls at `bounds`.

    Parameters
    ----------
    axes : sequence of array, or an interpolant of SciPy
        One axis each for 1 to 3 coordinates, at least 5 samples; descending ones are turned round. Samples on
        an uneven axis are put on a uniform one first, along the C2 cubic spline through them. An interpolant
        (RegularGridInterpolator, CubicSpline, interp1d, RectBivariateSpline, ...) stands for its samples.
    values : array, omitted with an interpolant
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

    units_of: dict | None = None                 # dimension -> unit, where axes or values had some (pint)

    @understood
    def __init__(self, axes: ArrayLike, values: ArrayLike | None = None) -> None:
        if values is None:
            axes, values = samples_of(axes)
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
            if not _is_uniform(axis):
                axis, values = _resampled(axis, values, k)
            n = axis.size
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
    return (axis[::-1].copy(), True) if steps[0] < 0 else (axis, False)


def _is_uniform(axis):
    mean = (axis[-1] - axis[0]) / (axis.size - 1)
    return np.abs(axis - (axis[0] + mean * np.arange(axis.size))).max() <= UNIFORM * mean


def _resampled(axis, values, k):
    """The axis and the values on a uniform axis of the smallest step, at most `FINER` times as many samples,
    from the cubic spline (C2, not-a-knot) along axis k."""
    if not np.isfinite(values).all():
        raise ValueError(f"axes[{k}] is not uniform (steps from {np.diff(axis).min():.4g} to "
                         f"{np.diff(axis).max():.4g}) and some samples are missing: nothing tells what "
                         "stands between them. Give the samples on a uniform axis.")
    span, most = axis[-1] - axis[0], FINER[values.ndim] * axis.size
    n = int(min(np.ceil(span / np.diff(axis).min() * (1 - UNIFORM)) + 1, most))
    uniform = np.linspace(axis[0], axis[-1], n)
    from scipy.interpolate import CubicSpline  # a tenth of a second that most calls do not need

    return uniform, CubicSpline(axis, values, axis=k)(uniform)


def is_interpolant(a: object) -> bool:
    """Whether a is one of SciPy's functions through samples."""
    return type(a).__module__.startswith("scipy.interpolate")


def samples_of(interpolant: object) -> tuple[list[np.ndarray], np.ndarray]:
    """Axes and values of an interpolant of SciPy: its own samples, or its values on `FROM_SPLINE` points an
    axis where it has forgotten them."""
    if not is_interpolant(interpolant):
        raise TypeError(f"GridPotential takes axes and values, or an interpolant of SciPy alone; got "
                        f"{checks.shown(interpolant)} alone.")
    f = interpolant
    if hasattr(f, "grid") and hasattr(f, "values"):
        return list(f.grid), np.asarray(f.values)
    if hasattr(f, "x") and hasattr(f, "c") and np.ndim(f.x) == 1:              # piecewise polynomials
        x = np.asarray(f.x, float)
        return [x], np.asarray(f(x))
    if hasattr(f, "x") and hasattr(f, "y") and np.ndim(f.y) == 1:
        return [np.asarray(f.x)], np.asarray(f.y)
    if hasattr(f, "get_knots") and hasattr(f, "ev"):
        axes = [np.linspace(t[0], t[-1], FROM_SPLINE[2]) for t in f.get_knots()]
        return axes, f(*axes)
    knots = f.t[f.k:-f.k or None] if hasattr(f, "t") else f.get_knots() if hasattr(f, "get_knots") else None
    if knots is None or np.ndim(f(knots[0])):
        raise TypeError(f"a {type(f).__name__} does not tell its samples; call it on a grid and give "
                        "GridPotential(axes, values).")
    x = np.linspace(knots[0], knots[-1], FROM_SPLINE[1])
    return [x], np.asarray(f(x))
