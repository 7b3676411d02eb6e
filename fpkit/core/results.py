"""What a calculation returns: a number with its error, and a function on a grid."""
from __future__ import annotations

import math
from dataclasses import dataclass, field
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


def _quotient_error(a, b, ea, eb):
    """Bound of the error of a/b; inf where b may be zero."""
    room = np.abs(b) - eb
    return np.where(room > 0, (ea + np.abs(a / b) * eb) / np.where(room > 0, room, 1.0), np.inf)


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
    inputs : dict
        What made it.
    rule : callable or None
        Point -> Estimate, for a field that knows its values between the cell centres; None: multilinear
        interpolation.
    log10 : ndarray or None
        Decimal logarithms of positive values, where these may leave the range of floats.
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
    def _with(self, other, rule, wrong, symbol, is_turned=False):
        """rule(a, b) of two fields of one grid, or of a field and a number, and wrong(a, b, ea, eb)."""
        if isinstance(other, Field):
            if other.grid != self.grid:
                raise ValueError(f"fields on {self.grid!r} and {other.grid!r} cannot be combined; bring them "
                                 "to one grid first.")
            b, eb, name = np.asarray(other.values), other.error, other.name
        elif np.ndim(other) == 0 and not isinstance(other, (str, bytes)):
            b, eb, name = float(other), 0.0, f"{float(other):g}"
        else:
            return NotImplemented
        a, ea = np.asarray(self.values), self.error
        pairs = (b, a, eb, ea) if is_turned else (a, b, ea, eb)
        error = None
        with np.errstate(all="ignore"):
            if ea is not None and eb is not None:
                error = wrong(*pairs)
            names = (name, self.name) if is_turned else (self.name, name)
            return Field(rule(*pairs[:2]), self.grid, f"({names[0]} {symbol} {names[1]})", error,
                         inputs=self.inputs)

    def __add__(self, other: Any) -> Field:
        return self._with(other, np.add, lambda a, b, ea, eb: ea + eb, "+")

    __radd__ = __add__

    def __sub__(self, other: Any) -> Field:
        return self._with(other, np.subtract, lambda a, b, ea, eb: ea + eb, "-")

    def __rsub__(self, other: Any) -> Field:
        return self._with(other, np.subtract, lambda a, b, ea, eb: ea + eb, "-", True)

    def __mul__(self, other: Any) -> Field:
        wrong = lambda a, b, ea, eb: abs(a) * eb + abs(b) * ea + ea * eb + self._inside_cells(a, b)
        return self._with(other, np.multiply, wrong, "*")

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Field:
        wrong = lambda a, b, ea, eb: _quotient_error(a, b, ea, eb) + self._inside_cells(a, 1 / b)
        return self._with(other, np.divide, wrong, "/")

    def __rtruediv__(self, other: Any) -> Field:
        return self._with(other, np.divide, _quotient_error, "/", True)

    def _inside_cells(self, a, b):
        """What a product of cell averages differs by from the average of the product: their covariance in the
        cell, of differences da and db across it da db/12 an axis, and of values at centres for averages the
        second differences/24 each; twice that, for what the next order adds."""
        wrong = np.zeros(np.shape(a))
        if np.ndim(b) == 0:
            return wrong
        for axis, n in enumerate(np.shape(a)):
            if n > 2:
                da, db = (np.gradient(v, axis=axis) for v in (a, b))
                d2a, d2b = (np.abs(np.gradient(d, axis=axis)) for d in (da, db))
                wrong += np.abs(da * db) / 6 + (np.abs(b) * d2a + np.abs(a) * d2b) / 12
        return np.nan_to_num(wrong)

    def __neg__(self) -> Field:
        return self * -1.0

    # ---- parts ----
    def integral(self, region: Any = None) -> Estimate:
        """Sum of values times volumes over the grid, or over the cells with their centres in a region; half
        of what lies in cells that its boundary cuts belongs to the error.

        Examples
        --------
        >>> f = Field(np.ones((4, 2)), fp.Grid([(0, 2), (0, 1)], (4, 2)), error=0.1)
        >>> f.integral(), (3 * f - 1).integral().value
        (2.00 +- 0.20 (field, integrated), 4.0)
        """
        values = np.asarray(self.values)
        w = np.where(np.isfinite(values), self.grid.volumes, 0.0)
        if region is not None:
            w = np.where(region.contains(self.grid.points), w, 0.0)
        total = float((w * np.where(np.isfinite(values), values, 0.0)).sum())
        error = math.nan if self.error is None else float((w * np.broadcast_to(self.error, w.shape)).sum())
        if region is not None:
            cut = self.grid.is_cut(region)
            error += float((self.grid.volumes * np.abs(np.nan_to_num(values)))[cut].sum()) / 2
        return Estimate(total, error, f"{self.name}, integrated", inputs=self.inputs)

    def marginal(self, *axes: int) -> Field:
        """The field integrated over all axes but these, on their grid."""
        others = self._others(axes)
        w = np.ones(self.grid.shape)
        for k in others:
            w = w * self.grid.widths[k].reshape([-1 if m == k else 1 for m in range(self.grid.ndim)])
        values = np.where(np.isfinite(self.values), self.values, 0.0)
        error = None if self.error is None else (np.broadcast_to(self.error, w.shape) * w).sum(others)
        return Field((values * w).sum(others), self.grid.along(axes), f"marginal of {self.name}", error,
                     inputs=self.inputs)

    def sliced(self, axis: int, at: float) -> Field:
        """The values of the cells that hold `at` along one axis, on the grid of the other axes; divided by
        its integral a slice of a density is a conditional density."""
        keep = [k for k in range(self.grid.ndim) if k != axis]
        self._others(keep)
        low, high = self.grid.bounds[axis]
        if not low <= at <= high:
            raise ValueError(f"{at:g} lies outside axis {axis}, which covers {low:g} to {high:g}.")
        k = min(int(np.searchsorted(self.grid.edges[axis], at, side="right")) - 1, self.grid.shape[axis] - 1)
        error = None if self.error is None else np.take(np.broadcast_to(self.error, self.grid.shape), k, axis)
        return Field(np.take(self.values, k, axis), self.grid.along(keep), f"{self.name} at {at:g}", error,
                     self.units, self.inputs)

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
