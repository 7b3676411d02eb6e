"""Regions that follow a potential: sublevel sets (all of one, or one connected component) and basins of
attraction."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ..stationary.descent import STATIONARY, TRAPPED, ScalarField, Surface, box_of, descend, periodic_of
from ..stationary.saddle_paths import linked_below
from .shapes import Region, _text, _vector

CHUNK = 20000                                   # points descended at once: bounds the memory of huge requests


class _FollowsPotential(Region):
    """Common part: the surface on which points descend and the length scale of their coordinates."""

    is_distance_exact = is_distance_bound = False

    def _set(self, potential, periodic, scale):
        self.potential, self.ndim = potential, potential.ndim
        box, periodic = box_of(potential), periodic_of(potential, periodic)
        if periodic.any() and box is None:
            raise ValueError("a periodic axis needs the potential's own bounds to know its period; wrap the "
                             "potential or leave periodic out.")
        walls = potential.bounds
        if walls is None and periodic.any():
            walls = [pair if p else (-np.inf, np.inf) for pair, p in zip(box, periodic)]
        self._surface = Surface(potential, walls, periodic)
        self._box, self._scale = box, None if scale is None else checks.number("scale", scale, positive=True)

    def _span(self, x):
        if self._scale is not None:
            return np.full(self.ndim, self._scale)
        if self._box is not None:
            return np.array([high - low for low, high in self._box])
        extent = max(float(np.ptp(x, axis=0).max()), float(np.abs(x).max()))
        return np.full(self.ndim, extent if extent > 0 else 1.0)

    def _in_chunks(self, decide, x):
        """`decide` for flat points (n, ndim), chunk by chunk, in the shape of x (..., ndim)."""
        flat = x.reshape(-1, self.ndim)
        parts = [decide(flat[k:k + CHUNK]) for k in range(0, len(flat), CHUNK)]
        return np.concatenate(parts).reshape(x.shape[:-1]) if parts else np.zeros(x.shape[:-1], bool)

    def _checked_start(self, name, x):
        x = _vector(name, x)
        if len(x) != self.ndim:
            raise ValueError(f"{name} must have {self.ndim} coordinates like the potential, got {len(x)}.")
        if not np.isfinite(self._surface.value(x[None]))[0]:
            raise ValueError(f"the potential is not finite at {name} = {_text(x)}; take a point inside its "
                             "domain.")
        return x


class Sublevel(_FollowsPotential):
    """The set {V <= level}, or with `around` its connected component that holds this point.

    Connectivity is decided by descent, not on a grid, so it does not depend on a resolution and works in any
    dimension: descent never leaves a component, so a point belongs to the component of `around` if the
    minimum below it does. Two minima are joined if V <= level all along the segment between them or along a
    string of images relaxed from it; a detour that the relaxed string does not find would be missed (possible
    only with three or more wells and walls between them).

    Parameters
    ----------
    V : Potential
    level : float
        In the units of V.
    around : array_like, shape (ndim,), optional
        A point with V(around) <= level.
    periodic : bool or sequence of bool, optional
        Axes on which opposite sides of V.bounds (or of a catalogue potential's box) are the same. Default:
        what V says.
    scale : float, optional
        Typical length of the coordinates. Default: the extent of V.bounds, of the catalogue's box, or of the
        points asked for.

    Notes
    -----
    The signed distance is that of the parabola which f forms along its gradient, 2 (V - level) / (g +
    sqrt(g^2 + 2 k (level - V))) with g = |grad V| and k the curvature along it: zero exactly on the boundary,
    exact for round parabolas, and to first order in the distance elsewhere. Points of another component count
    as outside.

    Examples
    --------
    >>> V = fp.catalogue.double_well()
    >>> fp.Sublevel(V, 0.5, around=[1.0]).contains([[1.1], [0.0], [-1.0]])
    array([ True, False, False])
    """

    def __init__(self, V: ScalarField, level: float, around: ArrayLike | None = None,
                 periodic: bool | Sequence[bool] | None = None, scale: float | None = None) -> None:
        self.level = checks.number("level", level)
        self._set(V, periodic, scale)
        self.around = self._anchors = None
        if around is not None:
            self.around = self._checked_start("around", around)
            start = float(self._surface.value(self.around[None])[0])
            if start > self.level:
                raise ValueError(f"V is {start:g} at around = {_text(self.around)}, above the level "
                                 f"{self.level:g}: that point is not in the set.")
            self._anchors, self._strangers = self.around[None], np.empty((0, self.ndim))
            self._zones = []

    def _contains(self, x):
        below = self._surface.value(x) <= self.level
        if self.around is None or not below.any():
            return below
        below = np.array(below)
        below[below] = self._in_chunks(self._joined, x[below])
        return below

    def _joined(self, x):
        span = self._span(np.concatenate([x, self._anchors]))
        ends = descend(self._surface, x, span, self._zones)
        self._zones = ends.zones
        unique, of = np.unique(np.round(ends.points / (1e-6 * span)), axis=0, return_inverse=True)
        first = np.zeros(len(unique), int)
        first[of.ravel()[::-1]] = np.arange(len(x))[::-1]
        joined, self._anchors, self._strangers = linked_below(self._surface, ends.points[first],
                                                              self._anchors, self._strangers, self.level,
                                                              span)
        return joined[of.ravel()]

    def _distance(self, x):
        flat = x.reshape(-1, self.ndim)
        v, g, h = self._surface.value(flat), self._surface.gradient(flat), self._surface.hessian(flat)
        rise = v - self.level
        slope = np.linalg.norm(g, axis=-1)
        unit = g / np.maximum(slope, 1e-300)[:, None]
        along = np.einsum("ni,nij,nj->n", unit, h, unit)
        stiffest = np.linalg.eigvalsh(h)[:, -1]
        curvature = np.where(slope > 1e-8 * np.abs(stiffest) * np.abs(self._span(flat)).max(), along,
                             stiffest)
        root = slope**2 - 2 * curvature * rise
        root = np.sqrt(np.where(root >= 0, root, slope**2 + 2 * np.abs(curvature * rise)))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            d = 2 * rise / (slope + root)
        # A flat floor gives no scale (0/0 or 1/0), and a masked point has no value: far inside or outside.
        d = np.where(rise == 0, 0.0, np.where(np.isfinite(d), d, np.sign(rise) * 1e150))
        if self.around is not None:
            d = np.where(self._contains(flat), -np.abs(d), np.abs(d))
        return d.reshape(x.shape[:-1])

    def to_dict(self) -> dict:
        return {"region": "sublevel", "potential": self.potential.digest, "level": self.level, "around": None
                if self.around is None else self.around.tolist()}

    def __repr__(self) -> str:
        return f"Sublevel(V, {self.level:g}" + ("" if self.around is None
                                                else f", around={_text(self.around)}") + ")"


class Basin(_FollowsPotential):
    """The basin of attraction of the minimum below x: points whose steepest descent ends there.

    dx/dt = -grad V is followed for all points at once with an error-controlled step, until each is inside a
    neighbourhood of a minimum that descent cannot leave. Points on a ridge between basins belong to neither
    or to either.

    Parameters
    ----------
    V : Potential
    x : array_like, shape (ndim,)
        Any point of the basin.
    tol : float
        Local error of the descent in units of the length scale: points nearer than about tol times it to the
        border of the basin may be misplaced.
    periodic, scale
        As for `Sublevel`.

    Attributes
    ----------
    minimum : ndarray, shape (ndim,)

    Notes
    -----
    The cost is some 30 to 300 evaluations of the gradient for each point (more with widely different
    curvatures), so ask for the cells of a grid once and keep the answer. There is no signed distance;
    `crossing` finds the border on a segment. A walled potential (GridPotential) lets points slide along its
    walls, where minima count too.

    Examples
    --------
    >>> A = fp.Basin(fp.catalogue.double_well(), [0.3])
    >>> A.minimum.round(12), A.contains([[0.01], [-0.01]])
    (array([1.]), array([ True, False]))
    """

    has_distance = False

    def __init__(self, V: ScalarField, x: ArrayLike, tol: float = 1e-05,
                 periodic: bool | Sequence[bool] | None = None, scale: float | None = None) -> None:
        self.tol = checks.number("tol", tol, positive=True)
        self._set(V, periodic, scale)
        self.x = self._checked_start("x", x)
        ends = descend(self._surface, self.x[None], self._span(self.x[None]), tol=self.tol)
        if ends.status[0] not in (TRAPPED, STATIONARY):
            raise ValueError(f"descent from x = {_text(self.x)} does not end in a minimum (it runs off or "
                             "crawls); give another point or confine the potential.")
        self._zones, self.minimum = ends.zones, ends.points[0]

    def _contains(self, x):
        return self._in_chunks(self._ends_here, x)

    def _ends_here(self, x):
        span = self._span(np.concatenate([x, self.minimum[None]]))
        ends = descend(self._surface, x, span, self._zones, self.tol)
        self._zones = ends.zones
        near = np.abs(self._surface.difference(ends.points, self.minimum) / span).max(1) < 1e-4
        return near & np.isin(ends.status, (TRAPPED, STATIONARY))

    def to_dict(self) -> dict:
        return {"region": "basin", "potential": self.potential.digest, "minimum": self.minimum.tolist(),
                "tol": self.tol}

    def __repr__(self) -> str:
        return f"Basin(V, {_text(self.x)})"
