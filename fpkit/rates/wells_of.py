"""Source and target of a rate: wells and regions, and the gates that lead out of the source."""
from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.grid import Grid
from ..potentials.potential import Potential
from ..potentials.regions import Ball, HalfSpace, Region
from ..potentials.stationary.critical import CriticalPoint, CriticalPoints, critical_points
from ..potentials.stationary.descent import Surface, descend
from .points import box_of, passes, place

CORE = 0.3  # radius of a ball around a bottom, in units of the distance to the nearest saddle
LEVEL_SHARE = 0.25  # f may rise by this share of the lowest barrier inside such a ball


class Places:
    """A source and a target as wells and as regions.

    Attributes
    ----------
    source, target : Region
    source_well, target_well : int or None
        Numbers of the minima; None if a region holds none and leads into none.
    minima, saddles : tuple of CriticalPoint
    barrier : float
        Lowest highest saddle from source to target minus f at the source; NaN if unknown.
    """

    def __init__(self, V: Potential, source: ArrayLike | CriticalPoint | Region, target: ArrayLike
                 | CriticalPoint | Region, grid: Grid | None, points: CriticalPoints | None = None) -> None:
        self.V, self.grid = V, grid
        self._bounds, self._periodic = (None, None) if grid is None else (grid.bounds, grid.periodic)
        self.points = points if points is not None else self._search()
        self.minima, self.saddles = tuple(self.points.minima), tuple(self.points.saddles)
        self.source_well, source_region, self.source_name = self._read("source", source)
        self.target_well, target_region, self.target_name = self._read("target", target)
        if source_region is target_region is None and self.source_well == self.target_well:
            raise ValueError("source and target lie in the same well, at "
                             f"{place(self.minima[self.source_well].x)}; give two different wells.")
        self._given_source = source_region
        self.source = source_region or self._core(self.source_well, self.target_well)
        self.target = target_region or self._core(self.target_well, self.source_well)

    def _search(self):
        V = self.V
        if V.minima is not None and V.saddles is not None:
            return CriticalPoints([*V.minima, *V.saddles])
        return critical_points(V, self._bounds, self._periodic)

    def _read(self, name, given):
        """(number of the well, region or None, text) of what the user gave."""
        if isinstance(given, Region):
            if given.ndim != self.V.ndim:
                raise ValueError(f"the {name} has {given.ndim} coordinates and the potential {self.V.ndim}.")
            return self._well_in(given), given, repr(given)
        x = given.x if isinstance(given, CriticalPoint) else checks.points(name, given, self.V.ndim)
        if x.ndim != 1:
            raise ValueError(f"{name} must be one point of shape ({self.V.ndim},) or a Region, got shape "
                             f"{x.shape}.")
        well = self._well_of(x)
        if well is None:
            raise ValueError(f"the {name} {place(x)} leads by descent to no minimum in the box; give a "
                             "point in a well, or a Region.")
        return well, None, place(self.minima[well].x)

    @property
    def _span(self):
        bounds = box_of(self.V, self.grid)
        return np.ones(self.V.ndim) if bounds is None else np.array([high - low for low, high in bounds])

    @cached_property
    def _surface(self):
        return Surface(self.V, self._bounds, self._periodic)

    def _well_of(self, x):
        """The minimum that steepest descent from x reaches."""
        span = self._span
        distance = lambda y: [np.abs(self._surface.difference(y, m.x) / span).max() for m in self.minima]
        if not self.minima:
            return None
        if min(distance(x)) < 1e-3:
            return int(np.argmin(distance(x)))
        end = descend(self._surface, x[None], span).points[0]
        away = distance(end)
        if min(away) < 1e-2:
            return int(np.argmin(away))
        flat = [k for k, m in enumerate(self.minima) if m.degenerate
                and abs(float(self.V(end)) - m.value) < 1e-6 * (1 + abs(m.value))]
        return min(flat, key=lambda k: away[k]) if flat else None

    def _well_in(self, region):
        """The lowest minimum inside a region; where there is none, the well into which its lowest point
        descends."""
        inside = [k for k, m in enumerate(self.minima) if region.contains(m.x)]
        if inside:
            return min(inside, key=lambda k: self.minima[k].value)
        if self.grid is None:
            return None
        points = self.grid.points.reshape(-1, self.V.ndim)
        points = points[region.contains(points)]
        if not len(points):
            return None
        values = self._surface.value(points)
        return self._well_of(points[np.argmin(values)]) if np.isfinite(values).any() else None

    def _core(self, well, other):
        """A region that stands for a well: in one dimension the half-line outwards from its bottom, else a
        ball around it."""
        m = self.minima[well]
        if self.V.ndim == 1 and other is not None and not (self.grid is not None and self.grid.periodic[0]):
            outwards = 1.0 if m.x[0] > self.minima[other].x[0] else -1.0
            return HalfSpace([outwards], outwards * float(m.x[0]))
        span = self._span
        near = [np.linalg.norm(self._surface.difference(s.x, m.x)) for s in self.saddles]
        radius = CORE * min(near) if near else 0.1 * float(span.min())
        lowest = min((s.value for s in self.saddles if s.between and well in s.between), default=None)
        if lowest is not None and not m.degenerate:
            soft = max(float(m.eigenvalues[0]), 1e-300)
            radius = min(radius, float(np.sqrt(2 * LEVEL_SHARE * (lowest - m.value) / soft)))
        return Ball(m.x, radius)

    @property
    def wide_source(self) -> Region:
        """A source with the bottom of its well inside: that of the user, or the core, in one dimension
        widened towards the target."""
        if not (isinstance(self.source, HalfSpace) and self.V.ndim == 1 and self._given_source is None):
            return self.source
        x, outwards = float(self.minima[self.source_well].x[0]), float(self.source.normal[0])
        near = min(abs(float(s.x[0]) - x) for s in self.saddles)
        return HalfSpace([outwards], outwards * x - CORE * near)

    # ---- gates ----
    @cached_property
    def barrier(self) -> float:
        """Lowest highest saddle from source to target minus f at the source; NaN if unknown."""
        height = self._height
        return float("nan") if height is None else height - self.minima[self.source_well].value

    @cached_property
    def _height(self):
        """Lowest level at which source and target are joined by saddles; None if they never are."""
        if self.source_well is None or self.target_well is None or self.source_well == self.target_well:
            return None
        is_joined = lambda group, s: group[self.source_well] == group[self.target_well]
        return self._joined(sorted(passes(self.saddles), key=lambda s: s.value), is_joined)[1]

    def _joined(self, saddles: list[CriticalPoint],
                is_enough: Callable[[list[int], CriticalPoint], bool] = lambda *_: False
                ) -> tuple[list[int], float | None]:
        """Group of each well when the saddles join their neighbours one by one, and the height of the saddle
        with which it was enough."""
        group = list(range(len(self.minima)))
        for s in saddles:
            a, b = (group[w] for w in s.between)
            group = [a if g == b else g for g in group]
            if is_enough(group, s):
                return group, float(s.value)
        return group, None

    def gates(self, theta: float, reach: float) -> tuple[tuple[CriticalPoint, ...], tuple[int, ...]]:
        """Saddles on the border of the source's valley that lie at most reach theta above the height of the
        way to the target.

        The valley is what saddles below that height join to the source. Also the other wells in it. """
        height = self._height
        if height is None:
            raise ValueError("no chain of saddles leads from the source to the target; Eyring-Kramers has "
                             "nothing to say, ask the grid.")
        group, _ = self._joined([s for s in passes(self.saddles) if s.value < height])
        home = [g == group[self.source_well] for g in group]
        border = tuple(s for s in passes(self.saddles) if s.value <= height + reach * theta
                       and home[s.between[0]] != home[s.between[1]])
        return border, tuple(k for k, is_home in enumerate(home) if is_home and k != self.source_well)
