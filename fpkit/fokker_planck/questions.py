"""Spectrum and first passage on the grid: each question asked of the chain on several grids, and what comes
back with its error."""
from __future__ import annotations

import math

import numpy as np

from ..core.results import Estimate, Field
from ..potentials.regions.shapes import Region
from .boundary_values.capacity_bounds import log_bracket
from .boundary_values.effective_diffusion import log_effective
from .boundary_values.fields import field
from .boundary_values.first_passage import UNREACHABLE, CommittorSolution, passage_time
from .extrapolation import (
    MOST_CELLS,
    RULE,
    UNRESOLVED,
    number,
    order_text,
    richardson_limit,
    solve_on_sequence,
)
from .results import PerAxis, QuasiStationary, Spectrum
from .spectrum.modes import modes_of
from .spectrum.quasi_stationary import survivors


# ----------------------------------------------------------------------------------------------------------
# numbers
def capacity(diffusion, source: Region, target: Region, refine: bool = False) -> Estimate:
    no_leak(diffusion, "capacity")
    one = lambda D: pair(D, source, target).log_capacity - D.beta * D.f0
    return answer_of(diffusion, one, refine, {"source": source, "target": target})


def reactive_flux(diffusion, source: Region, target: Region, refine: bool = False) -> Estimate:
    no_leak(diffusion, "reactive flux")
    one = lambda D: pair(D, source, target).log_capacity - D._cell_masses.log_total
    return answer_of(diffusion, one, refine, {"source": source, "target": target})


def rate(diffusion, source: Region, target: Region, refine: bool = False) -> Estimate:
    no_leak(diffusion, "rate")

    def one(D):
        both = pair(D, source, target)
        return both.log_capacity - both.log_source_mass()
    return answer_of(diffusion, one, refine, {"source": source, "target": target})


def bracketed(diffusion, question: str, source: Region, target: Region, found: Estimate) -> Estimate:
    """`found` with inputs["bracket"], two numbers between which the truth lies: of the capacity, divided by Z
    or by the mass that is the source's. Where they are nearer to the value than its error, they are the
    error.
    """
    no_leak(diffusion, question.replace("_", " "))
    low, high = log_bracket(diffusion, pair(diffusion, source, target))
    offset, slack = diffusion.beta * diffusion.f0, diffusion._cell_masses.total_error
    scale = offset if question == "capacity" else diffusion._cell_masses.log_total
    if question == "rate":  # its mass is no integral of known functions: its change from grid to grid widens
        mass = lambda D: pair(D, source, target).log_source_mass() - D.beta * D.f0
        levels = solve_on_sequence(diffusion, mass, False)
        scale, relative, _ = richardson_limit(levels, levels.answers)
        scale, slack = float(scale) + offset, float(np.log1p(relative))
    logs = low - scale - slack, high - scale + slack
    with np.errstate(over="ignore"):
        ends = tuple(float(np.exp(l)) for l in logs)
    value, farthest = found.log10 * math.log(10), math.inf
    if np.isfinite(logs).all():
        farthest = float(np.expm1(min(max(logs[1] - value, value - logs[0]), 700.0)))
    error = min(found.error, found.value * farthest) if found.value > 0 else found.error
    inputs = {**found.inputs, "bracket": ends, "bracket_log10": tuple(float(l) / math.log(10) for l in logs)}
    is_resolved = found.status == UNRESOLVED and error <= RULE.unresolved_error * found.value
    return Estimate(found.value, error, found.method, found.log10, "ok" if is_resolved else found.status,
                    inputs)


def exit_rate(diffusion, target: Region, refine: bool = False) -> Estimate:
    return answer_of(diffusion, lambda D: survivors(D, target).log_rate, refine, {"target": target})


def quasi_stationary(diffusion, target: Region, refine: bool = False) -> QuasiStationary:
    return exits(diffusion, target, exit_rate(diffusion, target, refine), survivors)


def exits(diffusion, target, found, survivors):
    """`QuasiStationary` of a rate and of what ``survivors(diffusion, target)`` tells."""
    if found.status == UNREACHABLE:
        raise ValueError(f"a part of the domain cannot reach {target!r}, so survival there lasts for ever; "
                         "mask that part out.")
    state = survivors(diffusion, target)
    points, p = state.exits()
    inputs = {**diffusion._inputs, "target": repr(target)}
    density = Field(state.density(), diffusion.grid, "quasi-stationary density", None, "1/volume", inputs)
    return QuasiStationary(found, density, points, p, target, inputs)


def effective_diffusion(diffusion, refine: bool = False) -> PerAxis:
    if not any(diffusion.grid.periodic):
        raise ValueError("effective diffusion needs a periodic axis: between walls no path spreads for ever; "
                         "use Grid(..., periodic=True).")
    levels = solve_on_sequence(diffusion, log_effective, refine)
    logs, errors, p = richardson_limit(levels, levels.answers)
    return PerAxis(number(l, e, order_text(p), diffusion._inputs) for l, e in zip(logs, errors))


def spectrum(diffusion, k: int = 6, refine: bool = False) -> Spectrum:
    one = lambda D: modes_of(D, k)
    levels = solve_on_sequence(diffusion, one, refine, MOST_CELLS)
    functions = one(diffusion)[1]
    n = len(levels.answers[-1 if refine else levels.base][0])
    if n == 0:
        raise ValueError("no eigenvalue is resolved on this grid: f changes by far too many theta from cell "
                         "to cell; refine the grid, or raise theta.")
    # where the next grid has fewer nothing is known from it
    each = [np.r_[a[0], np.full(n, np.nan)][:n] for a in levels.answers]
    logs, relative, p = richardson_limit(levels, each)
    is_known = np.isfinite(each[-2 if refine else max(levels.base - 1, 0)]) & ~np.isnan(relative)
    relative = np.where(np.isneginf(logs), 0.0, np.where(is_known, relative, np.inf))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        values = np.exp(logs)
        errors = np.where(values > 0, np.nan_to_num(values * relative, nan=np.inf), 0.0)
    method = "lowest eigenvalues of the chain" if p is None else f"{order_text(p)}: lowest eigenvalues"
    return Spectrum(values, errors, logs / math.log(10), functions[:n], diffusion.grid, method,
                    {**diffusion._inputs, "k": k}, relative)


def answer_of(diffusion, one, refine, regions):
    levels = solve_on_sequence(diffusion, one, refine)
    log, relative, p = richardson_limit(levels, levels.answers)
    inputs = {**diffusion._inputs, **{k: repr(r) for k, r in regions.items()}}
    return number(float(log), relative, order_text(p), inputs, UNREACHABLE if log == -np.inf else "ok")


def no_leak(diffusion, name):
    if diffusion.absorbing is not None:
        raise ValueError(f"a {name} between two regions needs a stationary flow, and paths are absorbed in "
                         f"{diffusion.absorbing!r}; leave `absorbing` out or ask for the committor.")


def pair(diffusion, source, target):
    """`CommittorSolution` of two regions on one grid, remembered."""
    return diffusion._remember(("pair", source.digest, target.digest),
                               lambda: CommittorSolution(diffusion, source, target))


# ----------------------------------------------------------------------------------------------------------
# fields
def mfpt(diffusion, target: Region, refine: bool = False) -> Field:
    one = lambda D: D._remember(("mfpt", target.digest), lambda: passage_time(D, target))
    return field(diffusion, one, refine, [(target, -np.inf)], "mfpt", "time", {"target": target})


def committor(diffusion, source: Region, target: Region, refine: bool = False) -> Field:
    one = lambda D: pair(D, source, target).values()
    exact = [(source, -np.inf), (target, 0.0)]
    if diffusion.absorbing is not None:
        exact.append((diffusion.absorbing, -np.inf))
    return field(diffusion, one, refine, exact, "committor", "", {"source": source, "target": target})


QUESTIONS = {f.__name__: f for f in (spectrum, mfpt, committor, capacity, reactive_flux, rate, exit_rate,
                                     quasi_stationary, effective_diffusion)}
