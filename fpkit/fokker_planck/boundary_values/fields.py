"""Solutions at any point, with their errors: how a field between the nodes is read."""
from __future__ import annotations

import math
from functools import cached_property, reduce
from operator import or_

import numpy as np

from ...core.results import Estimate, Field
from ..extrapolation import RULE, number, order_text, richardson_limit, solve_on_sequence
from .first_passage import UNREACHABLE
from .interpolation import Interpolant


class PointRule:
    """Value of a field at a point: of the chain between its nodes, with the change from grid to grid as
    error.

    `exact`: pairs (region, log value) where the value is known.
    """

    def __init__(self, levels, exact, name, inputs):
        self.levels, self.exact, self.name, self.inputs = levels, exact, name, inputs
        zeros = [region for region, log in exact if log == -np.inf]
        zero = reduce(or_, zeros) if zeros else None
        self.interpolants = [Interpolant(v.diffusion.grid, v.log, v.smooth, ~np.isnan(v.log), zero)
                             for v in levels.answers]

    @cached_property
    def changes(self):
        """One `Change` from each coarser grid to the finest."""
        return [Change(v, self.interpolants[-1]) for v in self.levels.answers[:-1]]

    def logs(self, points):
        """log values (n,), relative errors (n,) and the order."""
        log, own = self.interpolants[-1](points)
        # where the blocks do not see the field the values between the nodes change from grid to grid
        raw = [f(points, is_judged=False)[0] for f in self.interpolants[-2:]] if self.changes else None
        return self._limit(points, log, own, raw)

    def at_nodes(self, at):
        """The same at the centres of flat cells `at` of the given grid."""
        grid = self.levels.diffusions[self.levels.base].grid
        points = grid.points.reshape(-1, grid.ndim)[at]
        # nothing lies between its own nodes
        if not self.levels.is_refined and self.levels.base == len(self.levels.answers) - 1:
            return self._limit(points, self.levels.answers[-1].log.ravel()[at], 0.0, None)
        log, own = self.interpolants[-1].at_centres(grid, at, has_spread=True)
        raw = (self.interpolants[-2].at_centres(grid, at)[0], log) if self.changes else None
        return self._limit(points, log, own, raw)

    def _limit(self, points, log, own, raw):
        """From the log of the finest grid, its error of interpolation, and the logs of the two finest where
        they are compared."""
        changes, is_refined = self.changes, self.levels.is_refined
        with np.errstate(invalid="ignore"):    # inf - inf where no grid has a value
            # a third of the last change is added, so that its interpolation counts
            if is_refined and changes:
                last = changes[-1 - self.levels.has_between]
                own = own + np.abs(last(points, 3) - last(points)) / 3
            others = [log - c(points, 3 if is_refined else 1) for c in changes]
            log, error, p = richardson_limit(self.levels, [*others, log])
            error = error + np.expm1(np.minimum(own, 700.0))
            if raw is not None:
                raw = np.abs(np.expm1(raw[1] - raw[0]))
                error = np.where(raw > RULE.unseen_change, np.fmax(error, raw), error)
        return log, error, p

    def __call__(self, point):
        D = self.levels.diffusions[self.levels.base]
        x = D.grid._wrapped(point)
        method = f"{self.name}, finite volumes"
        for region, log in self.exact:
            if region.contains(x):
                return Estimate(math.exp(log), 0.0, method, inputs=self.inputs)
        if not D.inside[D.grid.locate(x)]:
            raise ValueError(f"{self.name} has no value at {x.tolist()}: the cell is outside the domain.")
        here = self.levels.answers[self.levels.base].log[D.grid.locate(x)]
        if here == np.inf or np.isnan(here):
            return Estimate(here, np.inf, method, log10=here, status=UNREACHABLE, inputs=self.inputs)
        log, relative, p = self.logs(x[None])
        return number(float(log[0]), relative[0], f"{self.name}, {order_text(p)}", self.inputs)


class Change:
    """Change of the logarithm of a field from one grid to a finer one, taken at the nodes of the coarser,
    where only the finer is interpolated."""

    def __init__(self, values, finer):
        from scipy.ndimage import distance_transform_edt
        self.grid = grid = values.diffusion.grid
        at = np.flatnonzero(values.smooth)
        change = np.full(grid.n_cells, np.nan)
        with np.errstate(invalid="ignore"):
            change[at] = finer.at_centres(grid, at)[0] - values.log.ravel()[at]
        change = change.reshape(grid.shape)
        missing = ~np.isfinite(change)
        if missing.all():
            change[:] = np.inf
        elif missing.any():                    # inside regions and walls: what the nearest cell says
            nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
            change = change[tuple(nearest)]
        self.change = np.pad(change, [(1, 1) if p else (0, 0) for p in grid.periodic], "wrap")

    def __call__(self, points, order=1):
        """By splines of this order between the nodes, constant beyond the last: (n,)."""
        from scipy.ndimage import map_coordinates
        place = []
        for x, c, (low, high), is_ring in zip(np.asarray(points).T, self.grid.centres, self.grid.bounds,
                                              self.grid.periodic):
            c = np.r_[c[-1] - (high - low), c, c[0] + (high - low)] if is_ring else c
            place.append(np.interp(x, c, np.arange(c.size)))
        return map_coordinates(self.change, place, order=order, mode="nearest")


def field(diffusion, one, refine, exact, name, units, regions):
    """`Field` of the answers `one(diffusion)` on a sequence of grids, with `PointRule` between the nodes."""
    levels = solve_on_sequence(diffusion, one, refine)
    inputs = {**diffusion._inputs, **{k: repr(r) for k, r in regions.items()}}
    rule = PointRule(levels, exact, name, inputs)
    base = levels.answers[levels.base]
    log, error = np.array(base.log), np.zeros(base.log.size)
    at = np.flatnonzero(base.smooth)
    found, relative, _ = rule.at_nodes(at)
    if levels.is_refined:
        log.ravel()[at] = found
    with np.errstate(over="ignore", invalid="ignore"):
        error[at] = np.nan_to_num(np.exp(log.ravel()[at]) * relative, nan=np.inf, posinf=np.inf)
        values = np.exp(log)
    return Field(values, diffusion.grid, name, error.reshape(log.shape), units, inputs, rule,
                 log / math.log(10))
