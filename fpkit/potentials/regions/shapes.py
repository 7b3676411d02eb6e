"""Regions of R^d: the base class with its set operations, and the shapes whose distance is exact."""
from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ...core.grid import Grid

N_BISECTIONS = 52                                # a fraction in [0, 1] to one unit in the last place


class Region:
    """A set of points of R^d, with ``|`` (union), ``&`` (intersection) and ``~`` (complement).

    Attributes
    ----------
    ndim : int
        Number of coordinates of a point.
    has_distance : bool
        Whether `signed_distance` answers. A basin has none: only its membership is known.
    is_distance_exact : bool
        Whether the answer is the Euclidean distance itself. If not, it still has the right sign and is zero
        exactly on the boundary; how far it may be off is said by each region.
    is_distance_bound : bool
        Whether the boundary is nowhere nearer than the answer says.

    Examples
    --------
    >>> A = fp.Ball([0, 0], 1.0) & ~fp.HalfSpace([1, 0], 0.0)        # the left half of the disc
    >>> A.contains([[-0.5, 0], [0.5, 0]])
    array([ True, False])
    """

    has_distance = True
    is_distance_exact = True
    is_distance_bound = True

    def contains(self, points: ArrayLike) -> np.ndarray:
        """Whether each point lies in the region: bool array of shape ``points.shape[:-1]`` for points (...,
        ndim)."""
        return self._contains(checks.points("points", points, self.ndim))

    def signed_distance(self, points: ArrayLike) -> np.ndarray:
        """Distance to the boundary, negative inside: float array of shape ``points.shape[:-1]`` for points
        (..., ndim)."""
        if not self.has_distance:
            raise ValueError(f"{self!r} has no signed distance, only membership; use contains, or crossing "
                             "for its boundary on a segment.")
        return self._distance(checks.points("points", points, self.ndim))

    def crossing(self, start: ArrayLike, end: ArrayLike) -> np.ndarray:
        """Where the boundary cuts each segment: fraction of the way from `start` to `end`, in [0, 1].

        Exact to rounding for every region: by bisection on membership, or by false position where the
        distance is known. NaN where both ends lie on the same side.
        If the boundary is crossed several times, one of the crossings is returned.

        Parameters
        ----------
        start, end : array_like, shape (..., ndim)

        Returns
        -------
        fraction : ndarray, shape (...)

        Examples
        --------
        >>> fp.Ball([0, 0], 1.0).crossing([0, 0], [[4, 0], [0, 0.5]])
        array([0.25,  nan])
        """
        start = checks.points("start", start, self.ndim)
        start, end = np.broadcast_arrays(start, checks.points("end", end, self.ndim))
        shape = start.shape[:-1]
        start, end = start.reshape(-1, self.ndim), end.reshape(-1, self.ndim)
        inside = self._contains(start)
        cut = inside != self._contains(end)
        fraction = np.full(cut.shape, np.nan)
        find = self._by_distance if self.has_distance and self.is_distance_bound else self._by_membership
        fraction[cut] = find(start[cut], end[cut], inside[cut])
        return fraction.reshape(shape)

    def _by_membership(self, start, end, inside):
        low, high = np.zeros(len(start)), np.ones(len(start))
        for _ in range(N_BISECTIONS if len(start) else 0):
            middle = 0.5 * (low + high)
            same = self._contains(start + middle[:, None] * (end - start)) == inside
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        return 0.5 * (low + high)

    def _by_distance(self, start, end, inside):
        """False position with halved weights of an end that stays twice (Illinois), every fourth step a
        bisection."""
        out, left = np.zeros(len(start)), np.arange(len(start))
        step, low, high = end - start, np.zeros(len(start)), np.ones(len(start))
        at_low, at_high = self._distance(start), self._distance(end)
        # rounding of the coordinates
        tiny = 1e-15 * np.maximum(np.abs(start), np.abs(end)).max(1, initial=0.0)
        before = np.full(len(start), -1)  # whether the low end moved last; -1: none has
        for k in range(4 * N_BISECTIONS):
            if not left.size:
                break
            with np.errstate(all="ignore"):
                t = (low * at_high - high * at_low) / (at_high - at_low)
            t = np.where((t > low) & (t < high) & (k % 4 < 3), t, 0.5 * (low + high))
            d = self._distance(start + t[:, None] * step)
            same = (d <= 0) == inside
            again = same == before
            at_low, at_high = (np.where(same, d, np.where(again, at_low / 2, at_low)),
                               np.where(same, np.where(again, at_high / 2, at_high), d))
            before = same
            low, high = np.where(same, t, low), np.where(same, high, t)
            done = (np.abs(d) <= tiny) | (high - low <= 2e-16)
            out[left] = t
            left, keep = left[~done], ~done
            start, step, inside, tiny, before = (a[keep] for a in (start, step, inside, tiny, before))
            low, high, at_low, at_high = low[keep], high[keep], at_low[keep], at_high[keep]
        return out

    def to_dict(self) -> dict:
        """What defines the region, in plain types: for provenance and files."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """Hexadecimal hash of `to_dict`: equal for regions defined in the same way."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def __or__(self, other: Region) -> Region:
        return Union(self, other) if isinstance(other, Region) else NotImplemented

    def __and__(self, other: Region) -> Region:
        return Intersection(self, other) if isinstance(other, Region) else NotImplemented

    def __invert__(self) -> Region:
        return Complement(self)


class Ball(Region):
    """The closed ball {x : |x - centre| <= radius}.

    On a periodic axis the ball is not wrapped around: give a second one, one period away, and unite them.

    Parameters
    ----------
    centre : array_like, shape (ndim,)
    radius : float
        Positive, in the units of the coordinates.

    Examples
    --------
    >>> fp.Ball([-1, 0], 0.2).signed_distance([[-1, 0], [0, 0]])
    array([-0.2,  0.8])
    """

    def __init__(self, centre: ArrayLike, radius: float) -> None:
        self.centre = _vector("centre", centre)
        self.radius = checks.number("radius", radius, positive=True)
        self.ndim = len(self.centre)

    def _contains(self, x):
        return self._distance(x) <= 0

    def _distance(self, x):
        total = 0.0  # axis by axis: a sum over a short last axis takes several times as long
        for k, c in enumerate(self.centre):
            total = total + (x[..., k] - c) ** 2
        return np.sqrt(total) - self.radius

    def to_dict(self) -> dict:
        return {"region": "ball", "centre": self.centre.tolist(), "radius": self.radius}

    def __repr__(self) -> str:
        return f"Ball({_text(self.centre)}, {self.radius:g})"


class HalfSpace(Region):
    """The closed half-space {x : normal . x >= offset}.

    Parameters
    ----------
    normal : array_like, shape (ndim,)
        Points into the region; any length but zero. ``HalfSpace([1], 1.0)`` is {x >= 1}, ``HalfSpace([-1],
        1.0)`` is {x <= -1}.
    offset : float
        In the units of ``normal . x``: the plane lies at the distance offset / |normal| from the origin.

    Examples
    --------
    >>> fp.HalfSpace([2, 0], 2.0).signed_distance([[3, 7], [0, 0]])
    array([-2.,  1.])
    """

    def __init__(self, normal: ArrayLike, offset: float) -> None:
        self.normal = _vector("normal", normal)
        self.offset = checks.number("offset", offset)
        self.ndim = len(self.normal)
        largest = np.abs(self.normal).max()
        if largest == 0:
            raise ValueError("normal must not be zero: it says on which side of the plane the region lies.")
        # neither overflows nor underflows
        self._length = largest * np.sqrt(((self.normal / largest) ** 2).sum())

    def _contains(self, x):
        return _dot(x, self.normal) >= self.offset

    def _distance(self, x):
        return (self.offset - _dot(x, self.normal)) / self._length + 0.0        # + 0.0: no -0. on the plane

    def to_dict(self) -> dict:
        return {"region": "half-space", "normal": self.normal.tolist(), "offset": self.offset}

    def __repr__(self) -> str:
        return f"HalfSpace({_text(self.normal)}, {self.offset:g})"


class Box(Region):
    """The closed box of all x with low <= x <= high along every axis.

    Parameters
    ----------
    bounds : sequence of (low, high)
        One pair an axis with low < high; -inf and inf are allowed, so that slabs and quadrants are boxes too.

    Examples
    --------
    >>> fp.Box([(0, 1), (0, 2)]).signed_distance([[0.5, 1.0], [4.0, 6.0]])
    array([-0.5,  5. ])
    """

    def __init__(self, bounds: ArrayLike) -> None:
        try:
            pairs = np.array([(float(low), float(high)) for low, high in bounds])
        except (TypeError, ValueError, OverflowError):
            raise ValueError("bounds must be one (low, high) pair an axis, got "
                             f"{checks.shown(bounds)}.") from None
        if not len(pairs):
            raise ValueError("bounds must hold one (low, high) pair an axis, got none.")
        for k, (low, high) in enumerate(pairs):
            if not low < high:
                raise ValueError(f"bounds of axis {k} must be numbers with low < high, got ({low:g}, "
                                 f"{high:g}).")
        if not np.isfinite(pairs).any():
            raise ValueError("the box is the whole space; give at least one finite bound.")
        self.bounds = tuple((float(low), float(high)) for low, high in pairs)
        self.low, self.high = pairs.T
        self.ndim = len(pairs)

    def _contains(self, x):
        return ((x >= self.low) & (x <= self.high)).all(-1)

    def _distance(self, x):
        out = np.maximum(self.low - x, x - self.high)                 # per axis, negative inside
        return np.sqrt((np.maximum(out, 0.0) ** 2).sum(-1)) + np.minimum(out.max(-1), 0.0)

    def to_dict(self) -> dict:
        return {"region": "box", "bounds": [[repr(low), repr(high)] for low, high in self.bounds]}

    def __repr__(self) -> str:
        return "Box([" + ", ".join(f"({low:g}, {high:g})" for low, high in self.bounds) + "])"


class _Pair(Region):
    is_distance_exact = False

    def __init__(self, first: Region, second: Region) -> None:
        if first.ndim != second.ndim:
            raise ValueError(f"{first!r} has {first.ndim} coordinates and {second!r} has {second.ndim}; both "
                             "regions need the same number.")
        self.first, self.second = first, second
        self.ndim = first.ndim
        self.has_distance = first.has_distance and second.has_distance
        self.is_distance_bound = first.is_distance_bound and second.is_distance_bound

    def to_dict(self) -> dict:
        return {"region": type(self).__name__.lower(), "of": [self.first.to_dict(), self.second.to_dict()]}

    def __repr__(self) -> str:
        return f"({self.first!r} {self._sign} {self.second!r})"


class Union(_Pair):
    """Points in either region, written ``A | B``.

    The signed distance is min(d_A, d_B): exact outside, and inside a bound of the depth from below, with the
    right sign. It is zero on the boundaries of A and of B, hence also on the part of one that the other
    covers when both touch there.
    """

    _sign = "|"

    def _contains(self, x):
        return self.first._contains(x) | self.second._contains(x)

    def _distance(self, x):
        return np.minimum(self.first._distance(x), self.second._distance(x))


class Intersection(_Pair):
    """Points in both regions, written ``A & B``.

    The signed distance is max(d_A, d_B): exact inside, and outside a bound of the distance from below, with
    the right sign.
    """

    _sign = "&"

    def _contains(self, x):
        return self.first._contains(x) & self.second._contains(x)

    def _distance(self, x):
        return np.maximum(self.first._distance(x), self.second._distance(x))


class Complement(Region):
    """Points outside a region, written ``~A``; its signed distance is -d_A."""

    def __init__(self, of: Region) -> None:
        self.of = of
        self.ndim, self.has_distance = of.ndim, of.has_distance
        self.is_distance_exact, self.is_distance_bound = of.is_distance_exact, of.is_distance_bound

    def _contains(self, x):
        return ~self.of._contains(x)

    def _distance(self, x):
        return -self.of._distance(x)

    def __invert__(self) -> Region:
        return self.of

    def to_dict(self) -> dict:
        return {"region": "complement", "of": self.of.to_dict()}

    def __repr__(self) -> str:
        return f"~{self.of!r}"


def _dot(x, normal):
    # A sum over the axes in fixed order: the same point gives the same bits alone or in an array of any
    # layout.
    total = x[..., 0] * normal[0]
    for k in range(1, len(normal)):
        total = total + x[..., k] * normal[k]
    return total


def _vector(name, value):
    try:
        vector = np.array(value, float)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} must be a list of numbers, one a coordinate, got "
                        f"{checks.shown(value)}.") from None
    if vector.ndim != 1 or not vector.size:
        hint = f" In one dimension write [{vector:g}]." if vector.ndim == 0 else ""
        raise ValueError(f"{name} must be a list of numbers, one a coordinate, got "
                         f"{checks.shown(value)}.{hint}")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name} must be finite, got {checks.shown(value)}.")
    vector.flags.writeable = False
    return vector


def _text(vector):
    return "[" + ", ".join(f"{v:g}" for v in vector) + "]"


def check_region(region: Any, grid: Grid, name: str) -> None:
    """Refuse what is no region of this dimension."""
    if not (hasattr(region, "contains") and hasattr(region, "crossing")):
        raise TypeError(f"{name} must be a Region such as fp.Ball or fp.HalfSpace, got "
                        f"{checks.shown(region)}.")
    if region.ndim != grid.ndim:
        raise ValueError(f"{name} has {region.ndim} coordinates and the grid {grid.ndim} axes; they must "
                         "agree in dimension.")
