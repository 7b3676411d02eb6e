"""Spectrum and first passage on the grid: each question asked of the chain on several grids, and what comes
back with its error."""
from __future__ import annotations

import math
from functools import cached_property, reduce
from operator import or_

import numpy as np

from ..core.results import Estimate, Field
from .boundary_values.first_passage import UNREACHABLE, Pair, Survivors, passage_time
from .boundary_values.interpolation import Interpolant
from .extrapolation import HOPELESS, MOST_CELLS, UNRESOLVED, ask, limit, number, order_text
from .results import PerAxis, QuasiStationary, Spectrum
from .boundary_values.resampling import at_centres


UNSEEN = 0.2  # relative change between two grids, interpolated on both, above which it counts in full


def answer(diffusion, question, arguments, refine=False):
    """One question about a diffusion on a grid: the chain's value with its error, or the extrapolation over
    finer grids."""
    return QUESTIONS[question](diffusion, *arguments, refine=refine)


# ------------------------------------------------------------------------------------------------------------------
# numbers
def capacity(diffusion, source, target, refine=False):
    _no_leak(diffusion, "capacity")
    one = lambda D: pair(D, source, target).log_capacity - D.beta * D.f0
    return _number(diffusion, one, refine, {"source": source, "target": target})


def reactive_flux(diffusion, source, target, refine=False):
    _no_leak(diffusion, "reactive flux")
    one = lambda D: pair(D, source, target).log_capacity - D._cell_masses.log_total
    return _number(diffusion, one, refine, {"source": source, "target": target})


def rate(diffusion, source, target, refine=False):
    _no_leak(diffusion, "rate")

    def one(D):
        both = pair(D, source, target)
        return both.log_capacity - both.log_source_mass()
    return _number(diffusion, one, refine, {"source": source, "target": target})


def bracketed(diffusion, question, source, target, found):
    """`found` with inputs["bracket"], two numbers between which the truth lies: of the capacity, divided by Z
    or by the mass that is the source's. Where they are nearer to the value than its error, they are the
    error.
    """
    from .boundary_values.capacity_bounds import log_bracket
    _no_leak(diffusion, question.replace("_", " "))
    both, share = pair(diffusion, source, target), {"capacity": None, "reactive_flux": None,
                                                    "rate": Pair.log_source_mass}[question]
    low, high = log_bracket(diffusion, both)
    slack = diffusion._cell_masses.total_error
    if share is None:
        scale = diffusion.beta * diffusion.f0 if question == "capacity" else diffusion._cell_masses.log_total
    else:  # this mass is no integral of known functions: its own change from grid to grid widens the bracket
        levels = ask(diffusion, lambda D: share(pair(D, source, target)) - D.beta * D.f0, False)
        scale, relative, _ = limit(levels, levels.answers)
        scale, slack = float(scale) + diffusion.beta * diffusion.f0, float(np.log1p(relative))
    logs = low - scale - slack, high - scale + slack
    with np.errstate(over="ignore"):
        ends = tuple(float(np.exp(l)) for l in logs)
    value = found.log10 * math.log(10)
    farthest = float(np.expm1(min(max(logs[1] - value, value - logs[0]),
                                  700.0))) if np.isfinite(logs).all() else math.inf
    error = min(found.error, found.value * farthest) if found.value > 0 else found.error
    inputs = {**found.inputs, "bracket": ends, "bracket_log10": tuple(float(l) / math.log(10) for l in logs)}
    status = "ok" if found.status == UNRESOLVED and error <= HOPELESS * found.value else found.status
    return Estimate(found.value, error, found.method, found.log10, status, inputs)


def exit_rate(diffusion, target, refine=False):
    return _number(diffusion, lambda D: survivors(D, target).log_rate, refine, {"target": target})


def quasi_stationary(diffusion, target, refine=False):
    found = exit_rate(diffusion, target, refine)
    if found.status == UNREACHABLE:
        raise ValueError(f"a part of the domain cannot reach {target!r}, so survival there lasts for ever; "
                         "mask that part out.")
    state = survivors(diffusion, target)
    points, p = state.exits()
    inputs = {**diffusion._inputs, "target": repr(target)}
    density = Field(state.density(), diffusion.grid, "quasi-stationary density", None, "1/volume", inputs)
    return QuasiStationary(found, density, points, p, target, inputs)


def effective_diffusion(diffusion, refine=False):
    from .boundary_values.effective_diffusion import log_effective
    if not any(diffusion.grid.periodic):
        raise ValueError("effective diffusion needs a periodic axis: between walls no path spreads for ever; "
                         "use Grid(..., periodic=True).")
    levels = ask(diffusion, log_effective, refine)
    logs, errors, p = limit(levels, levels.answers)
    return PerAxis(number(l, e, order_text(p), diffusion._inputs) for l, e in zip(logs, errors))


def spectrum(diffusion, k=6, refine=False):
    from .spectrum.modes import LARGEST, lowest_modes

    def one(D):
        return D._remember(("modes", k), lambda: lowest_modes(D, k))
    levels = ask(diffusion, one, refine, {d: min(n, MOST_CELLS[d]) for d, n in LARGEST.items()})
    functions = one(diffusion)[1]
    n = min(len(a[0]) for a in levels.answers)
    logs, relative, p = limit(levels, [a[0][:n] for a in levels.answers])
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        values = np.exp(logs)
        errors = np.where(values > 0, values * relative, 0.0)
    method = "lowest eigenvalues of the chain" if p is None else f"{order_text(p)}: lowest eigenvalues"
    return Spectrum(values, errors, logs / math.log(10), functions[:n], diffusion.grid, method,
                    {**diffusion._inputs, "k": k})


def _number(diffusion, one, refine, regions):
    levels = ask(diffusion, one, refine)
    log, relative, p = limit(levels, levels.answers)
    status = UNREACHABLE if log == -np.inf else "ok"
    return number(float(log), relative, order_text(p),
                  {**diffusion._inputs, **{k: repr(r) for k, r in regions.items()}}, status)


def _no_leak(diffusion, name):
    if diffusion.absorbing is not None:
        raise ValueError(f"a {name} between two regions needs a stationary flow, and paths are absorbed in "
                         f"{diffusion.absorbing!r}; "
                         "leave `absorbing` out or ask for the committor.")


def pair(diffusion, source, target):
    """`Pair` of two regions on one grid, remembered."""
    return diffusion._remember(("pair", source.digest, target.digest),
                               lambda: Pair(diffusion, source, target))


def survivors(diffusion, target):
    return diffusion._remember(("survivors", target.digest), lambda: Survivors(diffusion, target))


# -------------------------------------------------------------------------------------------------------------------
# fields
def mfpt(diffusion, target, refine=False):
    one = lambda D: D._remember(("mfpt", target.digest), lambda: passage_time(D, target))
    return _field(diffusion, one, refine, [(target, -np.inf)], "mfpt", "time", {"target": target})


def committor(diffusion, source, target, refine=False):
    one = lambda D: pair(D, source, target).values()
    exact = [(source, -np.inf), (target, 0.0)]
    if diffusion.absorbing is not None:
        exact.append((diffusion.absorbing, -np.inf))
    return _field(diffusion, one, refine, exact, "committor", "", {"source": source, "target": target})


class PointRule:
    """Value of a field at a point: of the chain between its nodes, with the change from grid to grid as
    error.

    `exact`: pairs (region, log value) where the value is known.
    """

    def __init__(self, levels, exact, name, inputs):
        self.levels, self.exact, self.name, self.inputs = levels, exact, name, inputs
        zero = reduce(or_, (region for region, log in exact if log == -np.inf))
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
        if self.changes:
            raw = self.interpolants[-1](points,
                                        is_judged=False)[0], self.interpolants[-2](points, is_judged=False)[0]
        return self._limit(points, log, own, raw if self.changes else None)

    def at_nodes(self, at):
        """The same at the centres of flat cells `at` of the given grid."""
        grid = self.levels.diffusions[self.levels.base].grid
        points = grid.points.reshape(-1, grid.ndim)[at]
        # nothing lies between its own nodes
        if not self.levels.is_refined and self.levels.base == len(self.levels.answers) - 1:
            return self._limit(points, self.levels.answers[-1].log.ravel()[at], 0.0, None)
        log, own = at_centres(self.interpolants[-1], grid, at, has_spread=True)
        return self._limit(points, log, own, (log, at_centres(self.interpolants[-2], grid, at)[0])
                           if self.changes else None)

    def _limit(self, points, log, own, raw):
        """From the log of the finest grid, its error of interpolation, and the logs of the two finest where
        they are compared."""
        changes, is_refined = self.changes, self.levels.is_refined
        with np.errstate(invalid="ignore"):    # inf - inf where no grid has a value
            # a third of the last change is added, so that its interpolation counts
            if is_refined and changes:
                last = changes[-1 - self.levels.has_between]
                own = own + np.abs(last(points, 3) - last(points)) / 3
            log, error, p = limit(self.levels, [log - c(points, 3 if is_refined else 1) for c in changes]
                                  + [log])
            error = error + np.expm1(np.minimum(own, 700.0))
            if raw is not None:
                raw = np.abs(np.expm1(raw[0] - raw[1]))
                error = np.where(raw > UNSEEN, np.fmax(error, raw), error)
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
            change[at] = at_centres(finer, grid, at)[0] - values.log.ravel()[at]
        change = change.reshape(grid.shape)
        missing = ~np.isfinite(change)
        if missing.all():
            change[:] = np.inf
        elif missing.any():                    # inside regions and walls: what the nearest cell says
            change = change[tuple(distance_transform_edt(missing, return_distances=False,
                                                         return_indices=True))]
        self.change = np.pad(change, [(1, 1) if p else (0, 0) for p in grid.periodic], "wrap")

    def __call__(self, points, order=1):
        """By splines of this order between the nodes, constant beyond the last: (n,)."""
        from scipy.ndimage import map_coordinates
        place = []
        for x, c, n, (low, high), is_ring in zip(np.asarray(points).T, self.grid.centres, self.grid.shape,
                                                 self.grid.bounds, self.grid.periodic):
            c = np.r_[c[-1] - (high - low), c, c[0] + (high - low)] if is_ring else c
            place.append(np.interp(x, c, np.arange(c.size)))
        return map_coordinates(self.change, place, order=order, mode="nearest")


def _field(diffusion, one, refine, exact, name, units, regions):
    levels = ask(diffusion, one, refine)
    inputs = {**diffusion._inputs, **{k: repr(r) for k, r in regions.items()}}
    rule = PointRule(levels, exact, name, inputs)
    base = levels.answers[levels.base]
    log, error = np.array(base.log), np.zeros(base.log.size)
    at = np.flatnonzero(base.smooth)
    found, relative, _ = rule.at_nodes(at)
    if levels.is_refined:
        log.ravel()[at] = found
    error[at] = _times(log.ravel()[at], relative)
    with np.errstate(over="ignore"):
        values = np.exp(log)
    return Field(values, diffusion.grid, name, error.reshape(log.shape), units, inputs, rule,
                 log / math.log(10))


def _times(log, relative):
    with np.errstate(over="ignore", invalid="ignore"):
        return np.nan_to_num(np.exp(log) * relative, nan=np.inf, posinf=np.inf)


QUESTIONS = {f.__name__: f for f in (spectrum, mfpt, committor, capacity, reactive_flux, rate, exit_rate,
                                     quasi_stationary, effective_diffusion)}
