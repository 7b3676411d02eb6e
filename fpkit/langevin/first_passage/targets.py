"""The sets at which paths end, as tables that compiled kernels read.

A region made of half-spaces, balls and boxes is a union of intersections (De Morgan). Each intersection is
one *wall* with the signed distance of its atoms' maximum, and a step is tested against every wall with a
uniform number of its own: the two sides of an interval are two walls, not one set with the distance to the
nearer of them.
"""
from __future__ import annotations

import math

import numpy as np

from ...core import checks
from ...potentials.regions import Ball, Box, Complement, HalfSpace, Intersection, Region, Sublevel, Union
from .target_kernels import BALL, BOX, HALF_SPACE, INTERVAL, OUTSIDE_BALL, TargetWalls

MOST_ATOMS = 256
NARROW = 0.1  # variance of a step over the squared distance of two edges
TOO_MANY = f"a region has more than {MOST_ATOMS} parts; describe it by fewer shapes."


class Targets:
    """One or several target regions.

    Attributes
    ----------
    regions, names : tuple
        As given: a region, a list of them (names 0, 1, ...) or a dictionary from names to regions.
    atoms : ndarray (n_atoms, 2 + 2 ndim) or None
        Rows wall, kind, numbers of the shape, ordered by wall; None when a region cannot be compiled (a
        basin, a sublevel set).
    first : ndarray of int (n_walls + 1,)
        Where the atoms of each wall begin.
    labels : ndarray of int (n_walls,)
        Index of the region that a wall belongs to.
    has_distance : bool
        Whether all regions have a distance that a bridge can use. A basin has none, and the one of a single
        component of a sublevel set is about the nearest component, which may be another.
    """

    def __init__(self, target, ndim, name="target"):
        if isinstance(target, Region):
            self.names, self.regions = (0,), (target,)
        elif isinstance(target, dict):
            self.names, self.regions = tuple(target), tuple(target.values())
        elif isinstance(target, (list, tuple)):
            self.names, self.regions = tuple(range(len(target))), tuple(target)
        else:
            raise TypeError(f"{name} must be a region such as fpkit.Ball([1, 0], 0.2), a list or a "
                            f"dictionary of them, got {checks.shown(target)}.")
        if not self.regions:
            raise ValueError(f"{name} holds no region; give at least one.")
        for region in self.regions:
            if not isinstance(region, Region):
                raise TypeError(f"{name} must hold regions such as fpkit.Ball([1, 0], 0.2), got "
                                f"{checks.shown(region)}.")
            if region.ndim != ndim:
                raise ValueError(f"{region!r} has {region.ndim} coordinates and the potential has {ndim}.")
        self.ndim, self.has_distance = ndim, all(map(_has_distance, self.regions))
        walls = [(_intervals if ndim == 1 else _walls)(region) for region in self.regions]
        self.atoms = None
        if all(w is not None for w in walls):
            self.labels = np.array([k for k, some in enumerate(walls) for _ in some], np.int64)
            flat = [wall for some in walls for wall in some]
            self.atoms = np.zeros((sum(map(len, flat)), 2 + 2 * ndim))
            rows = ((w, atom) for w, wall in enumerate(flat) for atom in wall)
            for row, (w, (kind, numbers)) in zip(self.atoms, rows):
                row[:2], row[2:2 + len(numbers)] = (w, kind), numbers
            self.first = np.concatenate([[0], np.cumsum([len(wall) for wall in flat])]).astype(np.int64)

    @property
    def is_compiled(self):
        return self.atoms is not None

    @property
    def walls(self):
        """The walls as kernels read them."""
        return TargetWalls(self.atoms, self.first)

    def contains(self, points):
        """Whether each point (..., ndim) lies in one of the regions."""
        return np.any([region.contains(points) for region in self.regions], axis=0)

    def narrow(self, ensemble):
        """A sentence where starts on a line lie between two edges that one step may reach both, else "": the
        bridge serves one edge at a time, and was 1 % wrong at twice `NARROW`."""
        if self.ndim > 1 or not self.is_compiled or not ensemble.mobility.is_constant:
            return ""
        x, (low, high) = ensemble.x, self.atoms[:, 2:].T
        gap = np.where(low > x, low, np.inf).min(1) - np.where(high < x, high, -np.inf).max(1)
        dt = NARROW * gap.min() ** 2 / (2 * ensemble.schedule.theta * ensemble.mobility.matrix[0, 0])
        return "" if ensemble.schedule.dt <= dt or ensemble.scheme == "baoab" else (
            "one step may reach both edges of the target, which the bridge takes one by one: take dt = "
            f"{0.9 * dt:.2g}")


def compiled_targets(name, target, ndim):
    """Targets for a kernel, or one sentence."""
    targets = Targets(target, ndim, name)
    if not targets.is_compiled:
        raise ValueError(f"{name} must be made of Ball, HalfSpace and Box (with |, & and ~), got "
                         f"{checks.shown(target)}: the distance to other regions is not compiled.")
    return targets


def _has_distance(region):
    if isinstance(region, (Union, Intersection)):
        return _has_distance(region.first) and _has_distance(region.second)
    if isinstance(region, Complement):
        return _has_distance(region.of)
    is_one_component = isinstance(region, Sublevel) and region.around is not None
    return region.has_distance and not is_one_component


def _intervals(region):
    """The closed intervals of a region of the line, each a wall of one atom; None if it has other parts."""
    ends = _interval_ends(region)
    return None if ends is None else [((INTERVAL, pair),) for pair in ends]


def _interval_ends(region):
    """[(low, high), ...] in ascending order, infinite where there is no end; None for what is no interval."""
    if isinstance(region, Complement):
        ends = _interval_ends(region.of)
        if ends is None:
            return None
        cuts = [-math.inf, *(end for pair in ends for end in pair), math.inf]
        return [(a, b) for a, b in zip(cuts[::2], cuts[1::2]) if a < b]
    if isinstance(region, (Union, Intersection)):
        first, second = _interval_ends(region.first), _interval_ends(region.second)
        if first is None or second is None:
            return None
        if isinstance(region, Intersection):
            pairs = [(max(a, c), min(b, d)) for a, b in first for c, d in second]
            return sorted(pair for pair in pairs if pair[0] <= pair[1])
        joined = []
        for low, high in sorted(first + second):
            if joined and low <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(high, joined[-1][1])
            else:
                joined.append((low, high))
        return joined
    if isinstance(region, HalfSpace):
        place = float(region.offset / region.normal[0])
        return [(place, math.inf) if region.normal[0] > 0 else (-math.inf, place)]
    if isinstance(region, Ball):
        return [(float(region.centre[0] - region.radius), float(region.centre[0] + region.radius))]
    return [(float(region.low[0]), float(region.high[0]))] if isinstance(region, Box) else None


def _walls(region, is_complement=False):
    """List of walls, each a tuple of atoms (kind, numbers), whose union is the region or its complement; None
    if it has other parts."""
    if isinstance(region, Complement):
        return _walls(region.of, not is_complement)
    if isinstance(region, (Union, Intersection)):
        first, second = _walls(region.first, is_complement), _walls(region.second, is_complement)
        if first is None or second is None:
            return None
        if isinstance(region, Union) != is_complement:
            walls = first + second
        else:
            if len(first) * len(second) > MOST_ATOMS:
                raise ValueError(TOO_MANY)
            walls = [a + b for a in first for b in second]
        if sum(map(len, walls)) > MOST_ATOMS:
            raise ValueError(TOO_MANY)
        return list(dict.fromkeys(walls))  # the same wall twice would be hit twice as often
    if isinstance(region, HalfSpace):
        sign = -1.0 if is_complement else 1.0
        unit = region.normal / region._length
        return [((HALF_SPACE, (sign * region.offset / region._length, *(sign * unit)),),)]
    if isinstance(region, Ball):
        return [((OUTSIDE_BALL if is_complement else BALL, (region.radius, *region.centre)),)]
    if isinstance(region, Box):
        if not is_complement:
            return [((BOX, (*region.low, *region.high)),)]
        eye = np.eye(region.ndim)
        sides = [(-low, -eye[k]) for k, low in enumerate(region.low)]
        sides += [(high, eye[k]) for k, high in enumerate(region.high)]
        return [((HALF_SPACE, (offset, *normal)),) for offset, normal in sides if np.isfinite(offset)]
    return None
