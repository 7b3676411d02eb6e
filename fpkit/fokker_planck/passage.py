"""Spectrum and first passage on the grid: each question asked of the chain on several grids, and what comes back with its error."""
from __future__ import annotations

import math

import numpy as np

from ..core.results import Estimate, Field
from .first_passage import UNREACHABLE, Pair, Survivors, passage_time
from .interpolation import Interpolant
from .levels import MOST_CELLS, ask, limit, number, order_text
from .passage_results import PerAxis, QuasiStationary, Spectrum


def answer(diffusion, question, arguments, refine=False):
    """One question about a diffusion on a grid: the chain's value with its error, or the extrapolation over finer grids."""
    return QUESTIONS[question](diffusion, *arguments, refine=refine)


# ------------------------------------------------------------------------------------------------------------------ numbers
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


def exit_rate(diffusion, target, refine=False):
    return _number(diffusion, lambda D: survivors(D, target).log_rate, refine, {"target": target})


def quasi_stationary(diffusion, target, refine=False):
    found = exit_rate(diffusion, target, refine)
    if found.status != "ok":
        raise ValueError(f"a part of the domain cannot reach {target!r}, so survival there lasts for ever; mask that part out.")
    state = survivors(diffusion, target)
    points, p = state.exits()
    inputs = {**diffusion._inputs, "target": repr(target)}
    density = Field(state.density(), diffusion.grid, "quasi-stationary density", None, "1/volume", inputs)
    return QuasiStationary(found, density, points, p, target, inputs)


def effective_diffusion(diffusion, refine=False):
    from .effective import log_effective
    if not any(diffusion.grid.periodic):
        raise ValueError("effective diffusion needs a periodic axis: between walls no path spreads for ever; use Grid(..., periodic=True).")
    levels = ask(diffusion, log_effective, refine)
    logs, errors, p = limit(levels, levels.answers)
    return PerAxis(number(l, e, order_text(p), diffusion._inputs) for l, e in zip(logs, errors))


def spectrum(diffusion, k=6, refine=False):
    from .spectrum import LARGEST, lowest_modes

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
    return Spectrum(values, errors, logs / math.log(10), functions[:n], diffusion.grid, method, {**diffusion._inputs, "k": k})


def _number(diffusion, one, refine, regions):
    levels = ask(diffusion, one, refine)
    log, relative, p = limit(levels, levels.answers)
    status = UNREACHABLE if log == -np.inf else "ok"
    return number(float(log), relative, order_text(p), {**diffusion._inputs, **{k: repr(r) for k, r in regions.items()}}, status)


def _no_leak(diffusion, name):
    if diffusion.absorbing is not None:
        raise ValueError(f"a {name} between two regions needs a stationary flow, and paths are absorbed in {diffusion.absorbing!r}; "
                         "leave `absorbing` out or ask for the committor.")


def pair(diffusion, source, target):
    """`Pair` of two regions on one grid, remembered."""
    return diffusion._remember(("pair", source.digest, target.digest), lambda: Pair(diffusion, source, target))


def survivors(diffusion, target):
    return diffusion._remember(("survivors", target.digest), lambda: Survivors(diffusion, target))


# ------------------------------------------------------------------------------------------------------------------- fields
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
    """Value of a field at a point: of the chain between its nodes, with the change from grid to grid as error.

    `exact`: pairs (region, log value) where the value is known.
    """

    def __init__(self, levels, exact, name, inputs):
        self.levels, self.exact, self.name, self.inputs = levels, exact, name, inputs
        self.interpolants = [Interpolant(v.diffusion.grid, v.log, v.smooth, ~np.isnan(v.log)) for v in levels.answers]

    def logs(self, points):
        """log values (n,), relative errors (n,) and the order."""
        found = [i(points) for i in self.interpolants]
        log, relative, p = limit(self.levels, [f[0] for f in found])
        own = found[self.levels.base][1]
        if self.levels.is_refined:             # the limit weighs the two finest with 4/3 and -1/3, or a little more
            own = 1.6 * found[-1][1] + 0.6 * found[-2][1] if len(found) > 1 else found[-1][1]
        return log, relative + own, p

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


def _field(diffusion, one, refine, exact, name, units, regions):
    levels = ask(diffusion, one, refine)
    inputs = {**diffusion._inputs, **{k: repr(r) for k, r in regions.items()}}
    rule = PointRule(levels, exact, name, inputs)
    base = levels.answers[levels.base]
    log = np.array(base.log)
    if levels.is_refined:
        at = np.flatnonzero(base.smooth)
        found, relative, _ = rule.logs(diffusion.grid.points.reshape(-1, diffusion.grid.ndim)[at])
        log.ravel()[at] = found
        error = np.zeros(log.size)
        error[at] = _times(found, relative)
        error = error.reshape(log.shape)
    else:
        error = _change(levels, rule)
    with np.errstate(over="ignore"):
        values = np.exp(log)
    return Field(values, diffusion.grid, name, error, units, inputs, rule, log / math.log(10))


def _times(log, relative):
    with np.errstate(over="ignore", invalid="ignore"):
        return np.nan_to_num(np.exp(log) * relative, nan=np.inf, posinf=np.inf)


def _change(levels, rule):
    """Error of each value of the base level: its difference from the next grid, taken where the coarser one has its nodes."""
    if len(levels.answers) < 2:
        return np.full(levels.answers[0].log.shape, np.inf)
    k = levels.base - 1 if levels.base else 1
    other, base = levels.answers[k], levels.answers[levels.base]
    there, grid = other.diffusion.grid, base.diffusion.grid
    if levels.base == 0:
        at = np.flatnonzero(base.smooth)
        log = rule.interpolants[k](grid.points.reshape(-1, grid.ndim)[at])[0]
        error = np.zeros(base.log.size)
        with np.errstate(over="ignore", invalid="ignore"):
            error[at] = 2 * np.abs(np.exp(base.log.ravel()[at]) - np.exp(log))
        return np.nan_to_num(error, nan=np.inf).reshape(base.log.shape)
    from scipy.ndimage import maximum_filter
    at = np.flatnonzero(other.smooth)
    log, spread = rule.interpolants[levels.base](there.points.reshape(-1, there.ndim)[at])
    with np.errstate(over="ignore", invalid="ignore"):
        change = np.abs(np.exp(log) - np.exp(other.log.ravel()[at])) + np.where(np.isfinite(spread), np.exp(log) * spread, 0.0)
    full = np.full(there.n_cells, -np.inf)
    full[at] = np.nan_to_num(change, nan=-np.inf)
    full = maximum_filter(full.reshape(there.shape), 3)
    largest = full.max() if np.isfinite(full).any() else np.inf
    full = np.where(np.isfinite(full), full, largest)
    place = [np.clip(np.searchsorted(e, c, side="right") - 1, 0, n - 1) for e, c, n in zip(there.edges, grid.centres, there.shape)]
    return np.where(base.smooth, full[np.ix_(*place)], 0.0)


QUESTIONS = {f.__name__: f for f in (spectrum, mfpt, committor, capacity, reactive_flux, rate, exit_rate, quasi_stationary, effective_diffusion)}
