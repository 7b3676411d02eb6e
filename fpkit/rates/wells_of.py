"""Source and target of a rate: wells and regions, and the gates that lead out of the source."""
from __future__ import annotations

from functools import cached_property

import numpy as np

from ..core import checks
from ..potentials.regions import Ball, HalfSpace, Region
from ..potentials.stationary.critical import CriticalPoint, critical_points
from ..potentials.stationary.descent import Surface, descend

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

    def __init__(self, V, source, target, grid, points=None):
        self.V, self.grid = V, grid
        self.points = points if points is not None else self._search()
        self.minima, self.saddles = tuple(self.points.minima), tuple(self.points.saddles)
        self.source_well, source_region, self.source_name = self._read("source", source)
        self.target_well, target_region, self.target_name = self._read("target", target)
        if self.source_well is not None and self.source_well == self.target_well and source_region is None and target_region is None:
            raise ValueError("source and target lie in the same well, at "
                             f"{_place(self.minima[self.source_well].x)}; give two different wells.")
        self._given_source = source_region
        self.source = source_region if source_region is not None else self._core(self.source_well,
                                                                                 self.target_well)
        self.target = target_region if target_region is not None else self._core(self.target_well,
                                                                                 self.source_well)

    def _search(self):
        V = self.V
        if V.minima is not None and V.saddles is not None:
            from ..potentials.stationary.critical import CriticalPoints
            return CriticalPoints([*V.minima, *V.saddles])
        bounds = None if self.grid is None else self.grid.bounds
        return critical_points(V, bounds, None if self.grid is None else self.grid.periodic)

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
            raise ValueError(f"the {name} {_place(x)} leads by descent to no minimum in the box; give a "
                             "point in a well, or a Region.")
        return well, None, _place(self.minima[well].x)

    @property
    def _span(self):
        bounds = self.grid.bounds if self.grid is not None else self.V.bounds or getattr(self.V, "box", None)
        return np.ones(self.V.ndim) if bounds is None else np.array([high - low for low, high in bounds])

    @cached_property
    def _surface(self):
        periodic = None if self.grid is None else self.grid.periodic
        return Surface(self.V, None if self.grid is None else self.grid.bounds, periodic)

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
    def wide_source(self):
        """A source with the bottom of its well inside: that of the user, or the core, in one dimension
        widened towards the target."""
        if not (isinstance(self.source, HalfSpace) and self.V.ndim == 1 and self._given_source is None):
            return self.source
        x, near = float(self.minima[self.source_well].x[0]), [abs(float(s.x[0]) - float(self.minima[self.source_well].x[0])) for s in self.saddles]
        outwards = float(self.source.normal[0])
        return HalfSpace([outwards], outwards * x - CORE * min(near))

    # -------------------------------------------------------------------------------------------------------------
    # gates
    @cached_property
    def barrier(self):
        height = self._height
        return float("nan") if height is None else height - self.minima[self.source_well].value

    @cached_property
    def _height(self):
        """Lowest level at which source and target are joined by saddles; None if they never are."""
        if self.source_well is None or self.target_well is None or self.source_well == self.target_well:
            return None
        group = list(range(len(self.minima)))
        for s in sorted(self.saddles, key=lambda s: s.value):
            if s.between and None not in s.between:
                a, b = (group[w] for w in s.between)
                group = [a if g == b else g for g in group]
                if group[self.source_well] == group[self.target_well]:
                    return float(s.value)
        return None

    def gates(self, theta, reach):
        """Saddles on the border of the source's valley that lie at most reach theta above the height of the
        way to the target.

        The valley is what saddles below that height join to the source. Also the other wells in it.
        """
        height = self._height
        if height is None:
            raise ValueError("no chain of saddles leads from the source to the target; Eyring-Kramers has "
                             "nothing to say, ask the grid.")
        group = list(range(len(self.minima)))
        for s in self.saddles:
            if s.between and None not in s.between and s.value < height:
                a, b = (group[w] for w in s.between)
                group = [a if g == b else g for g in group]
        home = group[self.source_well]
        border = [s for s in self.saddles if s.between and None not in s.between and s.value <= height
                  + reach * theta and (group[s.between[0]] == home) != (group[s.between[1]] == home)]
        return tuple(border), tuple(k for k in range(len(self.minima)) if group[k] == home
                                    and k != self.source_well)


def _place(x):
    return "(" + ", ".join(f"{v:.6g}" for v in x) + ")"
