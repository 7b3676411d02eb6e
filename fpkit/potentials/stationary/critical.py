"""Stationary points of a potential in a box: wells, saddles and which wells a saddle joins."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ...core.calls import understood
from ...core.views.tables import Tabular, coordinate_names
from .descent import ScalarField, Surface, box_of, descend, minimise, periodic_of
from .newton import climb_to_saddles, newton_to_zero, polish, spread
from .rough import FLAT, corners, is_corner, settle_flat
from .saddle_paths import _flood, highest_on_segments, relaxed_string

SAME_PLACE = 1e-5  # of the box: two results this close, with the same value, are one
SAME_VALUE = 1e-7                               # of the range of values among the starts
LEVEL = 1e-4  # of the same range: a path that rises less joins degenerate points
N_STRINGS = 8
ASIDE, LEAST_FALL = 1e-2, 1e-9  # of the box and of the range: where a flat direction is looked at
APART = 1e-3                                    # of the box: points nearer than this are one start
QUIET = 1e-9                                    # of the typical slope: slopes of floors, and of rounding


@dataclass(frozen=True, eq=False)
class CriticalPoint(Tabular):
    """A stationary point of a potential.

    Attributes
    ----------
    x : ndarray, shape (ndim,)
    value : float
    eigenvalues : ndarray, shape (ndim,)
        Of the Hessian, ascending.
    index : int
        Number of negative eigenvalues: 0 for a minimum, 1 for a saddle, ndim for a maximum.
    between : tuple of int or None
        For a saddle: numbers of the two minima that descent reaches on its two sides, smaller first. Equal
        numbers mean the same well on both sides, None in a place that no listed minimum was reached there (it
        lies outside the box).
    degenerate : bool
        The Hessian is singular: the point is one of a whole set (a floor, a ring) or flatter than a parabola.
        The index then counts the clearly negative eigenvalues and the flat directions along which f falls on
        both sides.
    on_wall : bool
        A minimum of the potential restricted to the box, with the gradient pushing against the wall.
    corner : bool
        f has a kink there (|x|): its gradient jumps and does not vanish, and the Hessian says nothing. Such a
        point counts as degenerate too.
    """

    x: np.ndarray
    value: float
    eigenvalues: np.ndarray
    index: int
    between: tuple | None = None
    degenerate: bool = False
    on_wall: bool = False
    corner: bool = False

    @property
    def kind(self) -> str:
        """"minimum", "saddle" (index 1), "maximum" or "saddle of index k"."""
        names = {0: "minimum", len(self.x): "maximum", 1: "saddle"}
        return names.get(self.index, f"saddle of index {self.index}")

    @property
    def mark(self) -> str:
        """" degenerate", " corner", " on wall" or nothing: what a table says behind the point."""
        if self.corner:
            return " corner"
        return (" degenerate" if self.degenerate else "") + (" on wall" if self.on_wall else "")

    def _columns(self):
        return point_columns([self])

    def __repr__(self) -> str:
        place = ", ".join(f"{v:.6g}" for v in self.x)
        extra = (f" between {self.between}" if self.between else "") + self.mark
        return f"<{self.kind} ({place}) value {self.value:.8g}{extra}>"


def point_columns(points: Sequence[CriticalPoint]) -> dict[str, list]:
    """Columns of a table of critical points."""
    names = coordinate_names(len(points[0].x)) if points else []
    return {"kind": [c.kind + c.mark for c in points], "value": [float(c.value) for c in points],
            **{name: [float(c.x[k]) for c in points] for k, name in enumerate(names)},
            "softest": [float(c.eigenvalues[0]) for c in points],
            "stiffest": [float(c.eigenvalues[-1]) for c in points],
            "between": [" ".join(map(str, c.between or ())) for c in points]}


class CriticalPoints(Tabular, tuple):
    """Stationary points, sorted by value, as a tuple of `CriticalPoint`; prints as a table."""

    @property
    def minima(self) -> tuple[CriticalPoint, ...]:
        return tuple(c for c in self if c.index == 0)

    @property
    def saddles(self) -> tuple[CriticalPoint, ...]:
        """Points of index 1; their `between` counts in `minima`."""
        return tuple(c for c in self if c.index == 1)

    @property
    def index_sum(self) -> int:
        """Sum of (-1)^index. It is 1 for a complete list if -grad f points inwards everywhere on the box; 0
        if every axis is periodic."""
        return sum((-1) ** c.index for c in self)

    def _columns(self):
        return point_columns(self)

    def __repr__(self) -> str:
        rows = [f"{'':>3} {'kind':<18} {'value':>15} {'softest':>11} {'stiffest':>11}  between  x"]
        for k, c in enumerate(self):
            rows.append(f"{k:>3} {c.kind:<18} {c.value:>15.8g} {c.eigenvalues[0]:>11.4g} "
                        f"{c.eigenvalues[-1]:>11.4g}  {str(c.between or '-'):<7}  "
                        + " ".join(f"{v:.8g}" for v in c.x) + c.mark)
        return "\n".join(rows)


@understood
def find_wells(V: ScalarField, bounds: ArrayLike | None = None, periodic: bool | Sequence[bool] | None = None,
               n_starts: int | None = None, starts: ArrayLike | None = None, walls: bool = False,
               seed: int = 0) -> CriticalPoints:
    """The minima of a potential in a box, lowest first.

    From points spread over the box: Newton steps with |H| and a trust radius, then plain Newton to rounding
    (|grad f| below 1e-10 of its typical size where rounding allows). Results are one if they agree in place
    AND value. No method can promise to find every minimum: a well that catches none of the starts is missed,
    so give more starts, or points near suspected wells.

    Parameters
    ----------
    V : Potential
        Also black boxes and grid potentials; points outside the domain of V never count.
    bounds : sequence of (low, high), optional
        The box to search. Default: V.bounds, or the box of a catalogue potential.
    periodic : bool or sequence of bool, optional
        Axes on which opposite sides of the box are the same. Default: what V says, else none.
    n_starts : int, optional
        Default: 1000, and 64 for a black box.
    starts : array_like, shape (n, ndim), optional
        Further points to start from.
    walls : bool
        Whether minima of V restricted to the box that lie on a wall, with the gradient pushing outwards, are
        returned too (marked `on_wall`). Left out by default.
    seed : int
        Of the spread of starts above two dimensions.

    Returns
    -------
    wells : CriticalPoints
        A degenerate minimum (ring, flat floor) appears once, as one point of it, marked `degenerate`, as are
        minima flatter than a parabola (x^4, x^6). A minimum at which the gradient jumps (|x|) is marked
        `corner`.

    Examples
    --------
    >>> V = fp.Potential("(x**2 - 1)**2 + 0.3*x + y**2")
    >>> [(w.x.round(4) + 0.0).tolist() for w in fp.find_wells(V, [(-2, 2), (-1, 1)])]
    [[-1.0356, 0.0], [0.9601, 0.0]]
    """
    search = _Search(V, bounds, periodic, n_starts, starts, seed)
    return CriticalPoints(search.minima(walls))


@understood
def critical_points(V: ScalarField, bounds: ArrayLike | None = None,
                    periodic: bool | Sequence[bool] | None = None, n_starts: int | None = None,
                    starts: ArrayLike | None = None, seed: int = 0) -> CriticalPoints:
    """All stationary points found in a box, sorted by value, each with its index.

    Minima as in `find_wells`; saddles and maxima from the same starts by damped Newton steps on grad f = 0,
    by climbing the softest mode while descending in the others, and from the tops of strings between minima.
    From each saddle, descent on both sides tells the two minima it joins. Points on the edge of the box are
    left out unless stationary; nothing outside the box is returned.

    Parameters
    ----------
    V, bounds, periodic, n_starts, starts, seed
        As for `find_wells`.

    Returns
    -------
    points : CriticalPoints
        `points.index_sum` is 1 for a complete list when -grad f points inwards all over the box (0 if all
        axes are periodic): a necessary check, not a proof.

    Examples
    --------
    >>> found = fp.critical_points(fp.Potential("(x**2 - 1)**2 + y**2"), [(-2, 2), (-1, 1)])
    >>> [(c.kind, c.between) for c in found], found.index_sum
    ([('minimum', None), ('minimum', None), ('saddle', (0, 1))], 1)
    """
    search = _Search(V, bounds, periodic, n_starts, starts, seed)
    minima = search.minima(False)
    others = [c for c in search.others(minima) if c.index > 0]
    saddles = search.joined([c for c in others if c.index == 1], minima)
    found = [*minima, *saddles, *(c for c in others if c.index > 1)]
    return CriticalPoints(found[k] for k in in_order(found, search.span))


class _Search:
    """One search: the surface, the scales of the box and the starts."""

    def __init__(self, V, bounds, periodic, n_starts, starts, seed):
        bounds = box_of(V) if bounds is None else bounds
        if bounds is None:
            raise ValueError(f"bounds are needed: one (low, high) pair for each of the {V.ndim} coordinates, "
                             "the box to search.")
        pairs = np.array([[checks.number("bounds", v) for v in pair] for pair in bounds])
        if pairs.shape != (V.ndim, 2) or not (pairs[:, 0] < pairs[:, 1]).all():
            raise ValueError(f"bounds must be {V.ndim} pairs (low, high) with low < high, got "
                             f"{checks.shown(bounds)}.")
        self.surface = Surface(V, pairs, periodic_of(V, periodic))
        self.span = pairs[:, 1] - pairs[:, 0]
        n = checks.whole("n_starts", n_starts, 1) if n_starts is not None else 64 if V.is_black_box else 1000
        self.x = spread(pairs, n, seed)
        if starts is not None:
            self.x = np.concatenate([np.atleast_2d(checks.points("starts", starts,
                                                                 V.ndim)).reshape(-1, V.ndim), self.x])
        self.x = self.surface.into_box(self.x)
        value = self.surface.value(self.x)
        self.x = self.x[np.isfinite(value)]
        value = value[np.isfinite(value)]
        if not len(self.x):
            raise ValueError("the potential is not finite at any start; check that bounds lie in its domain.")
        gradient = np.linalg.norm(self.surface.gradient(self.x) * self.span, axis=1)
        # Quantiles, since one point at a singular wall must not set the scale.
        self.value_range = max(float(np.percentile(value, 90) - value.min()), 1e-300)
        self.slope = max(float(np.median(gradient[np.isfinite(gradient)])),
                         1e-300) if np.isfinite(gradient).any() else 1e-300

    def minima(self, walls):
        x, converged = minimise(self.surface, self.x, self.span)
        found = self._described(polish(self.surface, self._distinct(x[converged]), self.span))
        found = [c for c in found if c.index == 0 and (walls or not c.on_wall)]
        found = self._one_of_each_set(sorted(found, key=lambda c: c.value))
        found = [c for c in map(self._checked, found) if c is not None and c.index == 0]
        rest = self._apart(x[~converged], found)
        flat = [replace(c, degenerate=True) for c in self._described(self._settled(rest))
                if c.index == 0 and not c.on_wall]
        found += [c for c in map(self._checked, flat) if c is not None]
        found += [c for c in self._corners(self._apart(rest, found)) if walls or not c.on_wall]
        found = self._one_of_each_set(sorted(found, key=lambda c: c.value))
        return [found[k] for k in in_order(found, self.span)]

    def _settled(self, x, noise=0.0):
        return settle_flat(self.surface, x, self.span, self.value_range, self.slope, noise)

    def _checked(self, c):
        """A degenerate minimum after a second look: a corner is named, one flatter than a parabola is put
        where its gradient vanishes, and a point of inflection is none (None)."""
        if c.on_wall or c.index:
            return c
        basis = np.linalg.eigh(self.surface.hessian(c.x[None])[0])[1].T
        if is_corner(self.surface, c.x, basis, self.span, self.slope):
            return replace(c, corner=True, degenerate=True)
        if not c.degenerate:
            return c
        if not len(self._settled(c.x[None], 0.0 if self._touches(c.x) else QUIET)):
            return None
        steepness = lambda x: np.linalg.norm(self.surface.gradient(x) * self.span)
        better = self._settled(c.x[None])
        if not len(better) or steepness(better) > 0.1 * steepness(c.x[None]):
            return c
        return (self._described(better) or [c])[0]

    def _touches(self, x):
        """Whether a point lies on a wall of the box."""
        near = np.minimum(abs(x - self.surface.low), abs(self.surface.high - x)) <= 1e-12 * self.span
        return bool((near & ~self.surface.periodic).any())

    def _apart(self, x, found):
        """Some of the points at which Newton's method did not come to rest: the lowest first, none near
        another one or near a point found."""
        value = self.surface.value(x)
        x = x[np.argsort(value, kind="stable")][:np.isfinite(value).sum()]
        kept = []
        for y in x:
            others = [c.x for c in found] + kept
            if len(kept) < (8 if self.surface.potential.is_black_box else 64) and all(
                    np.abs(self.surface.difference(y, z) / self.span).max() > APART for z in others):
                kept.append(y)
        return np.array(kept).reshape(-1, self.surface.ndim)

    def _corners(self, x, surface=None):
        """The minima at corners of f near x, or of -f with its surface."""
        surface = surface or self.surface
        found = []
        for y in corners(surface, x, self.span, self.slope) if len(x) else ():
            is_new = all(np.abs(surface.difference(y, c.x) / self.span).max() > SAME_PLACE for c in found)
            if is_new:
                w = np.linalg.eigvalsh(surface.hessian(y[None])[0])
                found.append(CriticalPoint(y, float(self.surface.value(y[None])[0]), w, 0, degenerate=True,
                                           on_wall=self._touches(y), corner=True))
        return found

    def others(self, minima):
        starts = [self.x]
        wells = [m for m in minima if not m.degenerate][:12]
        tops = []
        for i, a in enumerate(wells):
            for b in wells[:i]:
                path, value = relaxed_string(self.surface, a.x, b.x, self.span, n_steps=100)
                inner = np.flatnonzero((value[1:-1] >= value[:-2]) & (value[1:-1] >= value[2:])) + 1
                tops.extend(path[inner])
        tops = np.array(tops).reshape(-1, self.surface.ndim)
        x = [newton_to_zero(self.surface, np.concatenate([*starts, tops]), self.span)]
        if self.surface.ndim > 1:
            climbing = np.concatenate([self.x[:: max(1, len(self.x) // 300)], tops])
            x.append(newton_to_zero(self.surface, climb_to_saddles(self.surface, climbing, self.span),
                                    self.span))
        x = self._distinct(np.concatenate(x))
        found = [c for c in self._described(polish(self.surface, x, self.span)) if not c.on_wall
                 and c.index > 0]
        if self.surface.ndim == 1 and any(m.corner for m in minima):
            found += self._tops()
        return self._one_of_each_set(sorted(found, key=lambda c: c.value))

    def _tops(self):
        """The maxima at corners, on a line: the minima of -f."""
        surface = Surface(-self.surface.potential, np.stack([self.surface.low, self.surface.high], 1),
                          self.surface.periodic)
        x = minimise(surface, self.x, self.span)[0]
        return [replace(c, index=1) for c in self._corners(self._apart(x, []), surface) if not c.on_wall]

    def joined(self, saddles, minima):
        """The saddles with `between`: descent from both sides along the unstable direction."""
        if not saddles:
            return []
        x = np.array([s.x for s in saddles])
        unstable = np.linalg.eigh(self.surface.hessian(x))[1][:, :, 0]
        step = 1e-3 / np.abs(unstable / self.span).max(1, keepdims=True) * unstable
        ends = descend(self.surface, np.concatenate([x - step, x + step]), self.span, patience=2)
        number = np.full(len(ends.points), -1)
        for j, m in enumerate(minima):
            near = np.abs(self.surface.difference(ends.points, m.x) / self.span).max(1) < 1e-4
            if m.degenerate:                    # anywhere on its floor
                level = m.value + LEVEL * self.value_range
                floor = (ends.zone < 0) & (self.surface.value(ends.points) <= level)
                floor[floor] = highest_on_segments(self.surface,
                                                   np.broadcast_to(m.x, ends.points[floor].shape),
                                                   ends.points[floor]) <= level
                near |= floor
            number[near] = j
        sides = np.sort(number.reshape(2, -1).T, axis=1)
        return [replace(s, between=tuple(None if j < 0 else int(j) for j in pair)) for s,
                pair in zip(saddles, sides)]

    def _distinct(self, x):
        """One of each group that agrees in place and value."""
        if not len(x):
            return x
        v = self.surface.value(x)
        x, v = x[np.isfinite(v)], v[np.isfinite(v)]
        order = np.argsort(v, kind="stable")
        x, v = x[order], v[order]
        free, kept = np.ones(len(x), bool), []
        while free.any():
            k = np.argmax(free)                 # the lowest that is left takes all that agree with it
            same = free & (np.abs(v - v[k]) <= SAME_VALUE * self.value_range)
            same[same] = np.abs(self.surface.difference(x[same], x[k]) / self.span).max(1) <= SAME_PLACE
            free[same | (np.arange(len(x)) == k)] = False
            kept.append(k)
        return x[kept]

    def _described(self, x):
        """Stationary points among x, with their Hessians; the rest is dropped."""
        if not len(x):
            return []
        x = self._distinct(x)
        v, g = self.surface.value(x), self.surface.gradient(x)
        free, held = self.surface.free_gradient(x, g)
        w, axes = np.linalg.eigh(self.surface.hessian(x))
        stiff, least = np.abs(w).max(1), self.value_range / self.span.max() ** 2
        steepness = np.linalg.norm(free * self.span, axis=1)
        found = []
        for k in np.flatnonzero(np.isfinite(v) & (steepness <= 1e-6 * self.slope)):
            flat = np.abs(w[k]) <= FLAT * max(stiff[k], least)
            at_wall = bool((held[k] & (np.abs(g[k] * self.span) > 1e-6 * self.slope)).any())
            index = 0 if at_wall else int(((w[k] < 0) & ~flat).sum()) + self._falls(x[k], v[k],
                                                                                    axes[k][:, flat])
            found.append(CriticalPoint(x[k], float(v[k]), w[k], index, degenerate=bool(flat.any()),
                                       on_wall=at_wall))
        return found

    def _falls(self, x, value, axes):
        """How many of the flat directions lead down on both sides: those of a top that is flatter than a
        parabola."""
        count = 0
        for axis in axes.T:
            step = ASIDE * self.span.min() * axis
            count += bool((self.surface.value(self.surface.into_box(np.stack([x - step, x + step]))) < value
                           - LEAST_FALL * self.value_range).all())
        return count

    def _one_of_each_set(self, found):
        """Degenerate points (found, lowest first) joined by a level path are one set: keep one of it."""
        kept = [c for c in found if not c.degenerate]
        rest = [c for c in found if c.degenerate]
        while rest:
            first = rest.pop(0)
            level = first.value + LEVEL * self.value_range
            near = [c for c in rest if c.index == first.index and c.value <= level]
            if near and first.index == 0:
                x = np.array([c.x for c in near])
                same = _flood(self.surface, x, first.x[None], level, self.span)
                for k in np.flatnonzero(~same)[:N_STRINGS]:
                    same[k] = relaxed_string(self.surface, first.x, x[k], self.span, level,
                                             100)[1].max() <= level
                near = [c for c, joined in zip(near, same) if joined]
            gone = {id(c) for c in near}
            rest = [c for c in rest if id(c) not in gone]
            kept.append(first)
        return kept


def in_order(points: Sequence[CriticalPoint], span: np.ndarray) -> list[int]:
    """Numbers of the points from the lowest up, those of equal value (to rounding) by their coordinates from
    left to right."""
    if not points:
        return []
    value = np.array([c.value for c in points])
    order = np.argsort(value, kind="stable")
    stiffness = max(float(np.abs(c.eigenvalues * span.max() ** 2).max()) for c in points)
    tie = 1e-11 * max(stiffness, float(np.abs(value).max()))
    level = np.zeros(len(points), int)
    level[order] = np.cumsum(np.diff(value[order], prepend=value[order[0]]) > tie)
    return sorted(range(len(points)), key=lambda k: (level[k], *np.round(points[k].x / span, 9)))


def barriers_between(minima: CriticalPoints, saddles: CriticalPoints) -> dict[tuple[int, int], float]:
    """Barriers {(i, j): height}: the lowest highest saddle on the way from minimum i to minimum j, minus f at
    minimum i.

    Pairs that no chain of saddles joins are left out. A saddle with the same minimum on both sides (a path
    around a periodic axis) gives the entry (i, i).
    """
    n = len(minima)
    height = np.full((n, n), np.inf)
    for s in saddles:
        if s.between and None not in s.between:
            i, j = s.between
            height[i, j] = height[j, i] = min(height[i, j], s.value)
    for k in range(n):                          # Floyd's recursion in the (min, max) algebra
        height = np.minimum(height, np.maximum(height[:, k, None], height[None, k, :]))
    own = {s.between[0] for s in saddles if s.between and s.between[0] is not None
           and s.between[0] == s.between[1]}
    return {(i, j): float(height[i, j] - minima[i].value) for i in range(n) for j in range(n)
            if np.isfinite(height[i, j]) and (i != j or i in own)}
