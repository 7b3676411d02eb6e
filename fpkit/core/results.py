"""What a calculation returns: a number with its error, and a function on a grid."""
from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .views.tables import Tabular, cell_columns, cell_picture, grid_coordinates


class ResolutionWarning(UserWarning):
    """The grid or the time step is too coarse for the claim made from it; the text says what would help."""


class Estimate(Tabular, float):
    """A number with its error; it is a float and can be used wherever one can.

    Parameters
    ----------
    value : float
        The number; 0.0 when it underflows (inf when it overflows), and then `log10` still holds it.
    error : float
        A bound that the true error keeps, in the units of `value`.
    method : str
        How the number was obtained.
    log10 : float, optional
        Decimal logarithm of a positive value, usable when `value` underflows. Default: from `value`.
    status : str
        "ok", or a sentence that says why the number is missing and what to try.
    inputs : dict
        What made it (theta, grid, seed, ...).

    Examples
    --------
    >>> k = Estimate(2.0, 0.1, "finite volumes")
    >>> k / 2, k.error
    (1.0, 0.1)
    >>> k
    2.00 +- 0.10 (finite volumes)
    """

    value: float
    error: float
    method: str
    log10: float
    status: str
    inputs: dict[str, Any]

    def __new__(cls, value: float, error: float, method: str, log10: float | None = None, status: str = "ok",
                inputs: dict[str, Any] | None = None) -> Estimate:
        self = super().__new__(cls, value)
        if log10 is None:
            log10 = math.log10(value) if value > 0 else (-math.inf if value == 0 else math.nan)
        self.__dict__.update(value=float(value), error=float(error), method=method, log10=float(log10),
                             status=status, inputs=dict(inputs or {}))
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Estimate does not change; make a new one")

    def __getnewargs__(self):
        return self.value, self.error, self.method, self.log10, self.status, self.inputs

    @property
    def relative_error(self) -> float:
        """error / |value|; where the value has left the range of floats, what `inputs["relative_error"]`
        says, else NaN."""
        if 0 < abs(self.value) < math.inf:
            return self.error / abs(self.value)
        return float(self.inputs.get("relative_error", math.nan))

    def _columns(self):
        return {"value": [self.value], "error": [self.error], "log10": [self.log10], "method": [self.method],
                "status": [self.status]}

    def to_dict(self) -> dict:
        """Plain dictionary for JSON; a number that is not finite becomes None."""
        number = lambda a: a if math.isfinite(a) else None
        return {"value": number(self.value), "error": number(self.error), "log10": number(self.log10),
                "method": self.method, "status": self.status}

    def __repr__(self) -> str:
        if self.status != "ok":
            return f"{self.status} ({self.method})"
        if self.value in (0, math.inf) and math.isfinite(self.log10):
            return f"10^{self.log10:.4f} ({self.method})"
        return f"{with_error(self.value, self.error)} ({self.method})"

    __str__ = __repr__


def with_error(value: float, error: float) -> str:
    """'1.234 +- 0.012': the error to two digits, the value to the same place."""
    if not (math.isfinite(value) and math.isfinite(error)) or error <= 0:
        return f"{value:.10g} +- {error:.2g}"
    exponent = math.floor(math.log10(abs(value))) if value else 0
    place = math.floor(math.log10(error)) - 1
    if -4 <= exponent <= 5 and place >= -8:
        digits = max(0, -place)
        return f"{value:.{digits}f} +- {error:.{digits}f}"
    digits = min(15, max(1, exponent - place))
    kind = "g" if -4 <= exponent <= 5 else "e"
    return f"{value:.{digits}{kind}} +- {error:.1e}"


def cell_differences(values, grid, axis):
    """First, second and third difference across each cell along an axis, and the largest fourth one of the
    cell and its neighbours: as large as the second at a kink, of fourth order where the values are smooth.
    Beside walls and missing values the first is one-sided and the second that of the next cell."""
    v, c, h = np.moveaxis(values, axis, -1), grid.centres[axis], grid.widths[axis]
    if v.shape[-1] < 3:
        return (np.zeros(values.shape),) * 4
    ends = (v[..., -1:], v[..., :1]) if grid.periodic[axis] else (np.full((*v.shape[:-1], 1), np.nan),) * 2
    gaps = np.r_[(h[-1] + h[0]) / 2, np.diff(c), (h[-1] + h[0]) / 2]
    slopes = np.diff(v, axis=-1, prepend=ends[0], append=ends[1]) / gaps
    left, right = slopes[..., :-1], slopes[..., 1:]
    d2 = (right - left) * h
    left, right = np.where(np.isfinite(left), left, right), np.where(np.isfinite(right), right, left)
    around = np.array([np.roll(d2, k, -1) for k in (1, -1)])
    d2 = np.nan_to_num(np.where(np.isfinite(d2), d2, np.where(np.isfinite(around[0]), *around)))
    before, after = np.roll(d2, 1, -1), np.roll(d2, -1, -1)
    d3, d4 = (after - before) / 2, np.abs(before - 2 * d2 + after)
    if not grid.periodic[axis]:
        d4[..., 0], d4[..., -1] = np.abs(d2[..., 0] - d2[..., 1]), np.abs(d2[..., -1] - d2[..., -2])
    d4 = np.max([d4, np.roll(d4, 1, -1), np.roll(d4, -1, -1)], 0)
    return tuple(np.moveaxis(a, -1, axis) for a in (np.nan_to_num((left + right) / 2 * h), d2, d3, d4))


def _covariance_error(of_a, of_b):
    """What the covariance of two functions in a cell may differ from da db/12: at kinks and jumps by the
    fourth differences, of smooth functions by products of first and third, and of second ones."""
    (da, d2a, d3a, d4a), (db, d2b, d3b, d4b) = ((np.abs(v) for v in of) for of in (of_a, of_b))
    return (d4a * (db + d4b) + d4b * (da + d4a)) / 9 + (d3a * db + d3b * da) / 40 + d2a * d2b / 150


@dataclass(frozen=True, repr=False)
class Field(Tabular):
    """A function on the cells of a grid.

    Attributes
    ----------
    values : ndarray, shape grid.shape
        One value a cell; outside the mask NaN, or 0 for a density. For a density: cell averages, so that
        ``(values * grid.volumes).sum()`` is the mass.
    grid : Grid
    name : str
        What it is, for tables and axis labels.
    error : float or ndarray or None
        Bound of the error of each value (None: not known).
    units : str
        "1/volume" says that it is a density.
    inputs : dict
        What made it.
    rule : callable or None
        Point -> Estimate, for a field that knows its values between the cell centres; None: multilinear
        interpolation.
    log10 : ndarray or None
        Decimal logarithms of positive values, where these may leave the range of floats.
    within : tuple or None
        (shift, error): the average over each cell is value + shift within error, for what arithmetic made of
        cell averages; None: a density, or values at the cell centres.
    """
    __array_priority__ = 100             # number * field is ours to answer

    values: np.ndarray
    grid: Any
    name: str = "field"
    error: Any = None
    units: str = ""
    inputs: dict = field(default_factory=dict)
    rule: Any = None
    log10: Any = None
    within: Any = None

    def at(self, point: ArrayLike) -> Estimate:
        """Value at one point as an Estimate: by the field's own `rule`, or by multilinear interpolation
        between cell centres.

        The error adds the interpolation's own (a cell average taken for a value included), judged from the
        second differences around the point, to the field's. A point outside the grid or the mask is refused.
        """
        if self.rule is not None:
            return self.rule(point)
        weights, indices, curvature = self.grid.interpolation(point)
        values = np.asarray(self.values)
        picked = values[tuple(indices.T)]
        known = np.isfinite(picked)
        if not known.any() or weights[known].sum() <= 0:
            raise ValueError(f"{self.name} has no value at {np.asarray(point).tolist()}: the cell is outside "
                             "the mask")
        w = np.where(known, weights, 0.0) / weights[known].sum()
        value = float(w @ np.where(known, picked, 0.0))
        error = 0.0
        if self.error is not None:
            error = float(w @ np.broadcast_to(self.error, values.shape)[tuple(indices.T)])
        return Estimate(value, error + curvature(values), f"{self.name}, interpolated", inputs=self.inputs)

    # ---- arithmetic: cell by cell, with the bounds of the errors ----
    @property
    def _is_average(self):
        return self.within is not None or self.units == "1/volume"

    def _averages(self):
        """What the average over each cell differs from the value, and the error of the average."""
        if self._is_average:
            return self.within or (0.0, self.error)
        shift = wrong = 0.0
        for axis in range(self.grid.ndim):
            _, d2, _, d4 = cell_differences(np.asarray(self.values), self.grid, axis)
            shift, wrong = shift + d2 / 24, wrong + d4 / 20
        return shift, None if self.error is None else self.error + wrong

    def _with(self, other, rule, wrong, symbol, shifted=None):
        """rule(a, b) of two fields of one grid, or of a field and a number; error wrong(a, b, ea, eb).
        Where a cell average is among them the result stands for averages: they lie shifted(sa, sb) beside
        the values, by default as the values themselves are combined."""
        a, ea = np.asarray(self.values), self.error
        if isinstance(other, Field):
            if other.grid != self.grid:
                raise ValueError(f"fields on {self.grid!r} and {other.grid!r} cannot be combined; bring them "
                                 "to one grid first.")
            b, eb, name = np.asarray(other.values), other.error, other.name
            is_average = self._is_average or other._is_average
        elif np.ndim(other) == 0 and not isinstance(other, (str, bytes)):
            b, eb, name, is_average = float(other), 0.0, f"{float(other):g}", self._is_average
        else:
            return NotImplemented
        within, sa, sb = None, 0.0, 0.0
        with np.errstate(all="ignore"):
            if is_average:
                sa, ea = self._averages()
                sb, eb = other._averages() if isinstance(other, Field) else (0.0, 0.0)
            error = None
            if ea is not None and eb is not None:
                error = wrong(np.abs(a) + np.abs(sa), np.abs(b) + np.abs(sb), ea, eb)
            if is_average:
                shift, more = shifted(sa, sb) if shifted else (rule(sa, sb), 0.0)
                error = None if error is None else error + more
                within = shift, error
                error = None if error is None else error + np.abs(shift)
            return Field(rule(a, b), self.grid, f"({self.name} {symbol} {name})", error, inputs=self.inputs,
                         within=within)

    def __add__(self, other: Any) -> Field:
        return self._with(other, np.add, lambda a, b, ea, eb: ea + eb, "+")

    __radd__ = __add__

    def __sub__(self, other: Any) -> Field:
        return self._with(other, np.subtract, lambda a, b, ea, eb: ea + eb, "-")

    def __rsub__(self, other: Any) -> Field:
        return replace(self * -1.0 + other, name=f"({other:g} - {self.name})")

    def __mul__(self, other: Any) -> Field:
        def shifted(sa, sb):
            if not isinstance(other, Field):
                return sa * float(other), 0.0
            a, b = np.asarray(self.values), np.asarray(other.values)
            shift, more = a * sb + b * sa + sa * sb, 0.0
            for axis in range(self.grid.ndim):     # the covariance within the cell, da db/12 an axis
                of_a, of_b = (cell_differences(v, self.grid, axis) for v in (a, b))
                shift, more = shift + of_a[0] * of_b[0] / 12, more + _covariance_error(of_a, of_b)
            return shift, more

        wrong = lambda a, b, ea, eb: abs(a) * eb + abs(b) * ea + ea * eb
        return self._with(other, np.multiply, wrong, "*", shifted)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Field:
        return self * (other._inverse() if isinstance(other, Field) else 1 / other)

    def __rtruediv__(self, other: Any) -> Field:
        return self._inverse() * other

    def _inverse(self):
        """1 over the field; the error is inf where it may be zero."""
        b, is_average = np.asarray(self.values), self._is_average
        shift, eb = self._averages() if is_average else (0.0, self.error)
        error = within = None
        with np.errstate(all="ignore"):
            if eb is not None:
                room = np.abs(b) - eb
                error = np.where(room > 0, eb / (np.abs(b) * room), np.inf)
            if is_average:
                more = 0.0
                shift = -shift / b**2
                for axis in range(self.grid.ndim):
                    of_b = cell_differences(b, self.grid, axis)
                    shift = shift + of_b[0] ** 2 / (12 * b**3)
                    rest = _covariance_error(of_b, of_b) + of_b[0] ** 4 / (20 * b**2)
                    more = more + rest / np.abs(b) ** 3
                error = None if error is None else error + more
                within = shift, error
                error = None if error is None else error + np.abs(shift)
            return Field(1 / b, self.grid, f"1 / {self.name}", error, inputs=self.inputs, within=within)

    def __neg__(self) -> Field:
        return self * -1.0

    # ---- parts ----
    def integral(self, region: Any = None) -> Estimate:
        """Integral over the grid, or over the cells with their centres in a region; half of what lies in
        cells that its boundary cuts belongs to the error. Values at cell centres count as the averages over
        their cells, to second order.

        Examples
        --------
        >>> f = Field(np.ones((4, 2)), fp.Grid([(0, 2), (0, 1)], (4, 2)), error=0.1)
        >>> f.integral(), (3 * f - 1).integral().value
        (2.00 +- 0.20 (field, integrated), 4.0)
        """
        w = self.grid.volumes
        if region is not None:
            w = np.where(region.contains(self.grid.points), w, 0.0)
        values, wrong = self._integrable()
        total, error = float((w * values).sum()), float((w * wrong).sum())
        if region is not None:
            error += float((self.grid.volumes * np.abs(values))[self.grid.is_cut(region)].sum()) / 2
        return Estimate(total, error, f"{self.name}, integrated", inputs=self.inputs)

    def _integrable(self):
        """Averages over the cells, 0 outside the mask, and their errors; NaN where these are not known."""
        shift, error = self._averages()
        values = np.asarray(self.values) + shift
        known = np.isfinite(values)
        return np.where(known, values, 0.0), np.where(known, math.nan if error is None else error, 0.0)

    def marginal(self, *axes: int) -> Field:
        """The field integrated over all axes but these, on their grid."""
        others = self._others(axes)
        w = np.ones(self.grid.shape)
        for k in others:
            w = w * self.grid.widths[k].reshape([-1 if m == k else 1 for m in range(self.grid.ndim)])
        values, error = ((a * w).sum(others) for a in self._integrable())
        known = None if self.error is None else error
        return Field(values, self.grid.along(axes), f"marginal of {self.name}", known, inputs=self.inputs,
                     within=(0.0, known))

    def sliced(self, axis: int, at: float) -> Field:
        """The values of the cells that hold `at` along one axis, on the grid of the other axes, with an error
        that counts what they change by across the cell; divided by its integral a slice of a density is a
        conditional density."""
        keep = [k for k in range(self.grid.ndim) if k != axis]
        self._others(keep)
        low, high = self.grid.bounds[axis]
        if not low <= at <= high:
            raise ValueError(f"{at:g} lies outside axis {axis}, which covers {low:g} to {high:g}.")
        k = min(int(np.searchsorted(self.grid.edges[axis], at, side="right")) - 1, self.grid.shape[axis] - 1)
        cut = lambda a: None if a is None else np.take(np.broadcast_to(a, self.grid.shape), k, axis)
        d, d2, _, d4 = (cut(np.abs(v)) for v in cell_differences(np.asarray(self.values), self.grid, axis))
        across = abs(at - self.grid.centres[axis][k]) / self.grid.widths[axis][k] * d + (d2 + d4) / 6
        wider = lambda a: None if a is None else cut(a) + across
        within = self.within and (cut(self.within[0]), wider(self.within[1]))
        return Field(cut(self.values), self.grid.along(keep), f"{self.name} at {at:g}", wider(self.error),
                     self.units, self.inputs, within=within)

    def _others(self, axes):
        if not axes or any(k not in range(self.grid.ndim) for k in axes) or len(axes) >= self.grid.ndim or (
                list(axes) != sorted(set(axes))):
            raise ValueError(f"axes must be some of 0 to {self.grid.ndim - 1}, ascending and not all, got "
                             f"{list(axes)}.")
        return tuple(k for k in range(self.grid.ndim) if k not in axes)

    def _columns(self):
        columns = cell_columns(self.grid, **{self.name: self.values})
        if self.error is not None:
            columns["error"] = np.broadcast_to(self.error, self.grid.shape)[self.grid.inside]
        return columns

    def _labelled(self):
        values = (tuple("xyz"[:self.grid.ndim]), np.asarray(self.values), {"units": self.units})
        return {self.name: values}, grid_coordinates(self.grid)

    def _picture(self):
        return cell_picture(self.grid, self.values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self.values, dtype)

    def __repr__(self) -> str:
        v = self.values[np.isfinite(self.values)]
        span = f"{v.min():.4g} to {v.max():.4g}" if v.size else "no finite value"
        units = f" {self.units}" if self.units else ""
        return f"{self.name} on {'x'.join(map(str, self.grid.shape))} cells: {span}{units}"
