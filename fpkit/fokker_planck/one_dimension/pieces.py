"""The connected parts of a one-dimensional domain, where regions lie on them, and the pieces between."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...potentials.regions.shapes import Ball, Box, Complement, HalfSpace, Region, _Pair, check_region
from ..gibbs.cell_masses import spline_knots
from .panels import INTEGRABLE, Panels, adaptive, power_law

FIRST_PANELS = 16
CELLS_PER_PANEL = 8             # so that the Gauss nodes of the first panels lie closer than the cells
NEAR = 1e-12                    # of the length: ends closer than that are the same point
MOST_CUTS = 60                  # of a steep panel, in halves
SLIVER = 1e-9                   # share of a panel as narrow as the numbers are fine: a pole


@dataclass(frozen=True, eq=False)
class Interval:
    """A connected part of the domain: an interval between walls, or a ring.

    Attributes
    ----------
    panels : Panels
        Coordinates run on beyond the upper bound where the part passes the seam of a periodic axis.
    is_ring : bool
    function : callable
        Points -> (beta (f - f0), log of the resistance per length).
    domain : (float, float, bool)
        Bounds of the axis, and whether it is periodic.
    """
    panels: Panels
    is_ring: bool
    function: object
    domain: tuple

    @property
    def low(self):
        return float(self.panels.edges[0])

    @property
    def high(self):
        return float(self.panels.edges[-1])

    def wrapped(self, x):
        """Coordinates inside the bounds."""
        low, high, is_periodic = self.domain
        return np.where(x > high, low + (x - high), x) if is_periodic else x

    def own(self, x):
        """Points in the coordinates of this line, and whether they lie on it (to rounding: a wall is as sharp
        as its last digit)."""
        low, high, is_periodic = self.domain
        near = NEAR * (self.high - self.low)
        if is_periodic:
            x = np.where(x < self.low - near, x + (high - low),
                         np.where(x > self.high + near, x - (high - low), x))
        on = (x >= self.low - near) & (x <= self.high + near)
        return np.where(on, np.clip(x, self.low, self.high), x), on


@dataclass(frozen=True, eq=False)
class Piece:
    """Part of a line between two ends, each a wall (None) or the boundary of a region (its label).

    A region at a pole that paths never reach ends nothing: such an end is a wall.
    """
    panels: Panels
    left: str | None
    right: str | None
    function: Callable | None = None

    @property
    def absorbs(self):
        """Whether the left and the right end absorb."""
        return self.left is not None, self.right is not None

    def relative_error(self, level=0.0):
        return self.panels.relative_error(level, self.absorbs)

    @staticmethod
    def of(line, panels, left, right):
        """The piece, with walls in place of ends that are never reached."""
        laws = panels.powers
        left, right = (None if law is not None and law.resistance < INTEGRABLE else label
                       for law, label in zip(laws, (left, right)))
        return Piece(panels, left, right, line.function)

    def resolved(self, evaluated):
        """`evaluated(piece)` with panels that are `unresolved`, on steep lines only, cut until none is."""
        piece = self
        if self.panels.is_steep:
            piece = replace(self, panels=self.panels.refined_at_ends(self.function))
        for _ in range(MOST_CUTS):
            found = evaluated(piece)
            if not piece.panels.is_steep or not found.unresolved.any():
                return found
            piece = replace(piece, panels=piece.panels.halved(found.unresolved, piece.function))
        raise ValueError("f/theta is too steep and too rough for an answer here; narrow the grid, or raise "
                         "theta.")

    def refuse_infinite(self):
        """Masses that are infinite where the answer needs them finite."""
        for law, label, end in zip(self.panels.powers, (self.left, self.right), self.panels.edges[[0, -1]]):
            if law is None:
                continue
            if label is None and law.mass < INTEGRABLE:
                raise ValueError(f"the potential has a pole near {end:.6g}: exp(-f/theta) has no finite "
                                 "integral there, so paths stay for ever; make that end part of the region, "
                                 "absorbing, or take it out with Grid(..., mask=...).")
            if label is not None and law.mass + law.resistance < INTEGRABLE - 1:
                raise ValueError(f"the potential has a pole near {end:.6g}: paths reach it, but their mean "
                                 "time is infinite there; take that place out with Grid(..., mask=...).")


@dataclass(frozen=True, eq=False)
class MarkedInterval:
    """A line with regions on it: `pieces` outside them, `within` the (low, high, label, panels or None)
    inside them."""
    line: Interval
    pieces: list
    within: list


def lines(diffusion, is_steep=False):
    """The connected parts of a one-dimensional domain, cached on the diffusion; with steep panels also where
    f lies so high that it counts as a wall else."""
    kept = diffusion.__dict__.setdefault("_interval_lines", {})
    if is_steep not in kept:
        kept[is_steep] = _lines(diffusion, is_steep)
    return kept[is_steep]


def _lines(D, is_steep):
    grid, V = D.grid, D._frozen_potential
    _ = D._energies                              # refuses NaN
    beta, f0, log_theta = D.beta, D.f0, np.log(D._frozen_theta)
    low, high = grid.bounds[0]
    period, is_periodic = high - low, grid.periodic[0]
    exponent = D._space.exponent

    def function(x):
        x = np.where(x > high, low + (x - high), x) if is_periodic else x
        B = exponent(x[None])
        return B, B - D._mobility.log_along(0, x[None]) - log_theta

    found = []
    for left, right, n_cells in _runs(grid, V):
        is_whole = is_periodic and n_cells == grid.n_cells
        edges = np.linspace(left, right, 1 + int(np.clip(n_cells // CELLS_PER_PANEL, FIRST_PANELS, 4000)))
        knots = spline_knots(V)
        special = [] if knots is None else list(knots[0])
        if is_periodic:
            special = [*special, high, *(k + period for k in special)]
        special = np.array([k for k in special if left < k < right])
        if special.size:
            if special.size < 4000:
                edges = edges[np.abs(edges[:, None] - special[None]).min(1) > NEAR * period]
            else:
                edges = edges[[0, -1]]
            edges = np.union1d(np.union1d(edges, special), [left, right])
        laws = [None if is_whole else power_law(function, *ends) for ends in ((left, right), (right, left))]
        parts = _with_laws(adaptive(function, _inner(edges, laws), beta, f0, is_steep), left, right, laws)
        parts = [q for p in _mended(parts, function) for q in _cut_at_poles(p, function)]
        is_whole = is_whole and parts and parts[0].edges[0] == left and parts[-1].edges[-1] == right
        if is_whole and len(parts) > 1:          # a wall elsewhere on the ring: the seam is none
            parts, is_whole = parts[1:-1] + [_joined(parts[-1], parts[0], period)], False
        found += [Interval(p, bool(is_whole), function, (low, high, is_periodic)) for p in parts]
    if not found:
        raise ValueError("the potential is infinite in every cell; move the bounds of the grid.")
    _refuse_poles(found)
    return found


def _joined(first, second, period):
    return Panels(np.concatenate([first.edges, second.edges[1:] + period]),
                  *(np.concatenate([getattr(first, k), getattr(second, k)]) for k in ("B", "log_r", "error")),
                  (first.powers[0], second.powers[1]), first.is_steep)


def _inner(edges, laws):
    """The edges without the two end panels of power laws."""
    low, high = (edges[k] if law is None else edges[k] + sign * law.width
                 for k, sign, law in zip((0, -1), (1, -1), laws))
    return np.r_[low, edges[(edges > low) & (edges < high)], high]


def _with_laws(parts, left, right, laws):
    """The parts of a run, with the panel of a power law at either end."""
    for k, end, law in zip((0, -1), (left, right), laws):
        if law is None:
            continue
        if not parts or abs(parts[k].edges[k] - end) > 1.5 * law.width:
            continue
        p, turn = parts[k], slice(None, None, 1 if k == 0 else -1)
        join = (lambda a, b: np.concatenate([a, b])) if k == 0 else (lambda a, b: np.concatenate([b, a]))
        parts[k] = Panels(join([end], p.edges), join(law.B[None, turn], p.B),
                          join(law.log_r[None, turn], p.log_r),
                          join([0.0], p.error), (law, p.powers[1]) if k == 0 else (p.powers[0], law),
                          p.is_steep)
    return parts


def _slivers(p):
    """(panel, share of the mass, share of the resistance) of panels as narrow as the numbers are fine that
    still hold a share of an integral: poles of f, if not at an end where a power law is known."""
    tiny = p.width <= 1e-14 * max(np.abs(p.edges).max(), p.edges[-1] - p.edges[0])
    tiny[0] &= p.powers[0] is None
    tiny[-1] &= p.powers[1] is None
    for k in np.flatnonzero(tiny):
        mass, resistance = (np.exp(r.log_whole[k] - r.log_total) for r in (p.mass, p.resistance))
        from_ends = min(p.edges[k] - p.edges[0], p.edges[-1] - p.edges[k + 1])
        at_an_end = from_ends <= NEAR * (p.edges[-1] - p.edges[0])
        if mass > SLIVER or (resistance > SLIVER and not at_an_end):
            yield k, mass, resistance


def _cut_at_poles(p, function):
    """The panels with the two power laws of each pole inside them, where both integrals are finite; cut in
    two where paths never cross it."""
    length = p.edges[-1] - p.edges[0]
    for k, *_ in sorted(_slivers(p), key=lambda found: -max(found[1:])):
        pole = _peak(function, p.edges[k], p.edges[k + 1])
        near = min(pole - p.edges[0], p.edges[-1] - pole)
        if near <= NEAR * length:
            continue
        sides = _beside_pole(p, p, pole, function)
        if sides is not None:
            return [q for side in sides for q in (_cut_at_poles(side, function) if _is_other_pole(side, pole)
                                                  else [side])]
    return [p]


def _peak(function, low, high):
    """The place of a pole in a panel as narrow as the numbers are fine."""
    size = lambda *x: np.abs(np.nan_to_num(function(np.array(x))[0], nan=np.inf))
    if low < 0 < high and np.isinf(size(0.0)[0]):                      # where numbers are finer still
        return 0.0
    for _ in range(100):
        middle = (low + high) / 2
        left, right = size(low, high)
        if not low < middle < high:
            break
        low, high = (low, middle) if left > right else (middle, high)
    return float((low, high)[int(np.argmax(size(low, high)))])


def _is_other_pole(panels, pole):
    near = 1e-6 * (panels.edges[-1] - panels.edges[0])
    return any(abs(panels.edges[k] - pole) > near for k, *_ in _slivers(panels))


def _mended(parts, function):
    """The parts, where the gap between two is a pole, as narrow as the numbers are fine, and not a wall."""
    out = parts[:1]
    for p in parts[1:]:
        before = out[-1]
        a, b = before.edges[-1], p.edges[0]
        sides = None
        if b - a <= 2e-14 * max(abs(a), abs(b), p.edges[-1] - before.edges[0]):
            sides = _beside_pole(before, p, _peak(function, a, b), function)
        out[-1:] = [before, p] if sides is None else sides
    return out


def _beside_pole(before, after, pole, function):
    """[panels] across a pole, with its power laws on either side; [panels, panels] up to it where paths never
    cross it; None without such laws, or where a mass is infinite."""
    ends = (before.edges[0], after.edges[-1])
    near = min(pole - ends[0], ends[1] - pole) / 2
    laws = [power_law(function, pole, pole + sense * near) for sense in (-1, 1)]
    if any(law is None or law.mass < INTEGRABLE for law in laws):
        return None
    joined = []
    for p, law, sense in zip((before, after), laws, (-1, 1)):
        cut = p.cut_at(np.array([pole + sense * law.width]), function)
        at = int(np.argmin(np.abs(cut.edges - pole - sense * law.width)))
        joined.append(cut.part(0, at) if sense < 0 else cut.part(at, len(cut)))
    left, right = joined
    left = Panels(np.append(left.edges, pole), np.vstack([left.B, laws[0].B[None, ::-1]]),
                  np.vstack([left.log_r, laws[0].log_r[None, ::-1]]),
                  np.append(left.error, max(laws[0].errors)), (left.powers[0], laws[0]), left.is_steep)
    right = Panels(np.append(pole, right.edges), np.vstack([laws[1].B[None], right.B]),
                   np.vstack([laws[1].log_r[None], right.log_r]),
                   np.append(max(laws[1].errors), right.error), (laws[1], right.powers[1]), right.is_steep)
    if any(law.resistance < INTEGRABLE for law in laws):
        return [left, right]
    return [Panels(np.append(left.edges, right.edges[1:]),
                   *(np.concatenate([getattr(left, name), getattr(right, name)])
                     for name in ("B", "log_r", "error")), (left.powers[0], right.powers[1]), left.is_steep)]


def _refuse_poles(found):
    """Poles that are left: an integral is infinite there."""
    for line in found:
        for k, mass, _ in _slivers(line.panels):
            raise ValueError(f"the potential has a pole near {line.panels.edges[k]:.6g}: "
                             f"exp({'-' if mass > SLIVER else ''}f/theta) has no finite integral "
                             "there; take that place out with Grid(..., mask=...).")


def _runs(grid, V):
    """(left, right, number of cells) of each run of inside cells; walls between two cell centres are found by
    bisection."""
    low, high = grid.bounds[0]
    edges, centres, n, is_periodic = grid.edges[0], grid.centres[0], grid.n_cells, grid.periodic[0]
    rules = [r for r in (getattr(grid.mask, "contains", grid.mask), V.domain) if callable(r)]
    inside = np.array(grid.inside)
    if callable(V.domain):
        inside &= V.domain(grid.points)
    if is_periodic and inside.all():
        return [(low, high, n)]
    first = int(np.flatnonzero(~inside)[0]) if is_periodic else 0       # start outside: no run is cut in two
    flags = np.r_[False, np.roll(inside, -first), False]
    lap = lambda i, values: values[i % n] + (i // n) * (high - low)

    def allowed(x):
        x = low + (x - low) % (high - low) if is_periodic else x
        return all(bool(np.all(rule(np.array([[x]])))) for rule in rules)

    def wall(cell, side, step):
        face = edges[cell % n + side] + (cell // n) * (high - low)
        beyond = face if not is_periodic and not 0 <= cell + step < n else lap(cell + step, centres)
        return _wall(allowed, lap(cell, centres), beyond, face) if rules else face

    starts, stops = np.flatnonzero(flags[1:] & ~flags[:-1]), np.flatnonzero(flags[:-1] & ~flags[1:])
    return [(wall(first + i, 0, -1), wall(first + j - 1, 1, 1), int(j - i)) for i, j in zip(starts, stops)]


def _wall(allowed, inner, outer, face):
    """Where the domain ends between a point inside it and one outside; the face where the rules allow
    both."""
    if not allowed(inner) or allowed(outer):
        return face
    a, _ = _bisected(allowed, inner, outer)
    return face if abs(a - face) <= 1e-9 * abs(outer - inner) else a


def _bisected(is_true, a, b):
    """Two points as near as floats allow between which `is_true` changes; it holds at the first."""
    for _ in range(60):
        c = 0.5 * (a + b)
        a, b = (c, b) if is_true(c) else (a, c)
    return a, b


# ----------------------------------------------------------------------------------------------------------
# regions
def marked(diffusion, regions, is_steep=False):
    """Each line with the regions {label: Region} on it, cut at their boundaries.

    Refused: a region that meets no line, and two that share more than nothing.
    """
    grid = diffusion.grid
    for label, region in regions.items():
        check_region(region, grid, f"the {label}")
    out, met = [], set()
    for line in lines(diffusion, is_steep):
        spans = []
        for label, region in regions.items():
            own = _spans(region, line, grid)
            if own:
                met.add(label)
            spans += [(a, b, label) for a, b in own]
        out.append(_cut(line, sorted(spans)))
    for label, region in regions.items():
        if label not in met:
            raise ValueError(f"the {label} {region!r} selects nothing: it does not meet the domain {grid!r}.")
    return out


def _ends(region):
    """Points where a region of intervals may begin or end."""
    if isinstance(region, Ball):
        return [region.centre[0] - region.radius, region.centre[0] + region.radius]
    if isinstance(region, HalfSpace):
        return [region.offset / region.normal[0]]
    if isinstance(region, Box):
        return [e for e in region.bounds[0] if np.isfinite(e)]
    if isinstance(region, _Pair):
        return _ends(region.first) + _ends(region.second)
    if isinstance(region, Complement):
        return _ends(region.of)
    return []


def _spans(region: Region, line, grid):
    """Intervals of a region on a line, in its coordinates; a single point, or a wall that only touches it,
    has length 0."""
    low, high, is_periodic = line.domain
    near = NEAR * (line.high - line.low)
    special = np.array(_ends(region), float)
    ticks = np.concatenate([grid.edges[0], grid.centres[0], special])
    if is_periodic:
        ticks = np.concatenate([ticks, ticks + (high - low)])
        special = np.concatenate([special, special + (high - low)])
    special = np.concatenate([special[(special > line.low - near) & (special < line.high + near)],
                              [line.low, line.high]])
    for end in (line.low, line.high):
        special[np.abs(special - end) <= near] = end
    ticks = np.r_[ticks[(ticks > line.low + near) & (ticks < line.high - near)], special]
    ticks = np.unique(ticks)
    x = np.sort(np.concatenate([ticks, (ticks[1:] + ticks[:-1]) / 2]))
    hit = region.contains(line.wrapped(x)[:, None])
    change = np.flatnonzero(hit[1:] != hit[:-1])
    cross = []
    is_in = lambda p: bool(region.contains(line.wrapped(np.array([[p]])))[0])
    for k in change:
        ends = (x[k], x[k + 1]) if hit[k] else (x[k + 1], x[k])
        c = 0.5 * sum(_bisected(is_in, *ends))
        closest = special[np.abs(special - c).argmin()]
        cross.append(closest if abs(closest - c) <= 10 * near else c)
    bounds = ([line.low] if hit[0] else []) + cross + ([line.high] if hit[-1] else [])
    spans = []
    for a, b in zip(bounds[::2], bounds[1::2]):
        if spans and a - spans[-1][1] <= near:                     # open on one side, closed on the other
            spans[-1] = (spans[-1][0], b)
        else:
            spans.append((a, b))
    if line.is_ring and len(spans) > 1 and spans[0][0] == line.low and spans[-1][1] == line.high:
        spans = spans[1:-1] + [(spans[-1][0], spans[0][1] + (line.high - line.low))]
    return spans


def _cut(line, spans):
    """`MarkedInterval` of sorted (low, high, label)."""
    panels = line.panels
    if not spans:
        return MarkedInterval(line, [] if line.is_ring else [Piece.of(line, panels, None, None)], [])
    ends = np.array([e for a, b, _ in spans for e in (a, b)])
    if line.is_ring:                             # its coordinates begin at the first region
        start, period = spans[0][0], line.high - line.low
        panels = panels.cut_at(line.low + (ends - line.low) % period, line.function)
        panels = panels.rotated(int(np.argmin(np.abs(panels.edges[:-1] - start))), period)
        spans = [*spans, (start + period, start + period, spans[0][2])]
        line = Interval(panels, False, line.function, line.domain)
    else:
        panels = panels.cut_at(ends, line.function)
    edge = lambda e: int(np.argmin(np.abs(panels.edges - e)))
    _refuse_overlap(spans)
    pieces, within, at, label = [], [], 0, None
    for a, b, name in spans:
        i, j = edge(a), edge(b)
        if i > at:
            pieces.append(Piece.of(line, panels.part(at, i), label, name))
        within.append((a, b, name, panels.part(i, j) if j > i else None))
        at, label = j, name
    if at < len(panels):
        pieces.append(Piece.of(line, panels.part(at, len(panels)), label, None))
    return MarkedInterval(line, pieces, within)


def _refuse_overlap(spans):
    """Regions of different labels may not share a point."""
    for (_, b, name), (c, _, other) in zip(spans[:-1], spans[1:]):
        if c <= b and name != other:
            raise ValueError(f"the {name} and the {other} {'touch' if c == b else 'overlap'} at {c:.6g}; "
                             "shrink one of them.")
