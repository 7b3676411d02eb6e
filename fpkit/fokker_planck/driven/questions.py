"""What `FokkerPlanck` asks of a driven process."""
from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from ...core import checks
from ...core.results import Estimate, Field
from ...potentials.force import components_of
from ...potentials.regions.shapes import Region
from ...potentials.vector_field import PointFunction
from ..boundary_values.fields import field
from ..currents import Currents, probabilities
from ..evolution.initial import kind_of, node_start
from ..extrapolation import MOST_CELLS, solve_on_sequence
from ..questions import answer_of, exits, no_leak
from ..results import QuasiStationary, Spectrum
from .chain import DrivenChain
from .evolution import evolve
from .modes import LARGEST, lowest_modes
from .observables import Correlation, correlation
from .passage import Between, Survival, log_passage_time
from .passage_density import FirstPassageDensity, first_passage_density
from .stationary import StationaryState, stationary_state

__all__ = ["Correlation", "FirstPassageDensity", "StationaryState", "ask", "check", "checked_reactivity",
           "checked_resetting", "correlation", "currents_of", "evolve", "first_passage_density", "generator",
           "gibbs", "probability", "rates_of", "reset_start", "stationary_state"]


def check(diffusion) -> None:
    """Refuse what no driven chain answers."""
    D = diffusion
    if D.scheme != "recommended":
        raise ValueError(f"scheme {D.scheme!r} is one of a reversible chain; a driven process has its own: "
                         "leave `scheme` out.")
    M = D._mobility
    if M.is_constant and M.is_degenerate and (M.is_full or D.grid.ndim == 1):
        raise ValueError("the diffusion matrix has directions without noise that are not axes of a grid with "
                         "others; use paths (fpkit.simulate).")


def checked_reactivity(reactivity, region):
    """A reactivity as a positive number, or None."""
    if reactivity is None:
        return None
    if region is None:
        raise ValueError("a reactivity belongs to the boundary of a region: give absorbing=region too.")
    return checks.number("reactivity", reactivity, positive=True,
                         hint="A wall that takes nothing is no region at all.")


def checked_resetting(resetting, killing, absorbing):
    """(rate, place) of resetting, or None."""
    if resetting is None:
        return None
    if not isinstance(resetting, (tuple, list)) or len(resetting) != 2:
        raise TypeError(f"resetting must be (rate, point or density), got {checks.shown(resetting)}.")
    if killing is not None or absorbing is not None:
        raise ValueError("with killing or absorption resetting leaves no stationary state; give one of them, "
                         "or ask for mfpt(region) with resetting.")
    return checks.number("the rate of resetting", resetting[0], positive=True), resetting[1]


def rates_of(killing, grid) -> np.ndarray:
    """A killing rate at the cell centres."""
    parts, _ = components_of(killing, grid.ndim, "killing rate")
    points = grid.points.reshape(-1, grid.ndim)
    values = np.asarray(killing(points) if isinstance(parts, PointFunction) else parts[()](points), float)
    values = values.reshape(grid.shape)
    bad = grid.inside & ~((values >= 0) & np.isfinite(values))
    if bad.any():
        raise ValueError(f"the killing rate must be finite and not negative, got {values[bad][0]:g} at "
                         f"{np.round(grid.points[bad][0], 6).tolist()}.")
    return values


def reset_start(diffusion) -> np.ndarray:
    """Cell probabilities (n_cells,) of the place of resetting; a point is shared by the nodes around it."""
    D = diffusion
    nodes = SimpleNamespace(grid=D.grid, inside=D.inside.ravel(), nodes_are_cells=True)
    reading = SimpleNamespace(node_values=lambda P: P)
    return node_start(*kind_of(D.resetting[1], D.grid), nodes, reading, True)[0]


def gibbs(diffusion) -> Field:
    """The Gibbs density where it is the stationary one, else a refusal."""
    if _is_gibbs(diffusion):
        return diffusion.gradient_twin.gibbs
    raise ValueError("gibbs is the stationary density of a process without a force or a drift of its own; "
                     "this one is driven: ask for stationary().density.")


def _is_gibbs(diffusion):
    """Whether exp(-f/theta)/Z is stationary by construction."""
    process = diffusion.frozen_process
    return diffusion._has_no_sources and (process.is_gradient or process.rotation is not None)


def probability(diffusion, region) -> Estimate:
    """Stationary probability of a region."""
    if diffusion.line_twin is not None:
        return diffusion.line_twin.probability(region)
    if _is_gibbs(diffusion):
        return diffusion.gradient_twin.probability(region)
    raise ValueError("probability is the Gibbs probability of a region; of a driven process take "
                     "stationary().expectation(region.contains).")


def generator(diffusion):
    return diffusion._remember(("driven generator",), lambda: DrivenChain(diffusion).generator())


def currents_of(diffusion, density) -> Currents:
    """Currents of any density on the chain."""
    P = probabilities(diffusion, density)
    c = diffusion._remember(("driven chain",), lambda: DrivenChain(diffusion))
    I, J = c.ids[c.I], c.ids[c.J]
    absorbed = np.zeros(P.size)
    for k in range(len(c.log_killings)):
        absorbed[c.ids] += P[c.ids] * c.killing(k)
    return Currents(diffusion.grid, np.stack([I, J], axis=1), P[I] * c.forth - P[J] * c.back,
                    absorbed.reshape(diffusion.grid.shape))


# ----------------------------------------------------------------------------------------------------------
def ask(diffusion, question, *arguments, refine=False):
    """The answer to one of the questions of `FokkerPlanck`."""
    if question not in QUESTIONS:
        raise ValueError(f"{question} is {REFUSED.get(question, 'not known for a driven process')}.")
    return QUESTIONS[question](diffusion, *arguments, refine=refine)


REFUSED = {"capacity": "a quantity of reversible processes; of a driven one take reactive_flux or rate",
           "effective_diffusion": "not known for a force in more than one dimension; use paths "
                                  "(fpkit.simulate)",
           "mfpt_variance": "known for processes without a force only; take it from fpkit.exit_time"}


def between(diffusion, source, target):
    return diffusion._remember(("driven pair", source.digest, target.digest),
                               lambda: Between(diffusion, source, target))


def mfpt(diffusion, target: Region, refine: bool = False, reactivity: float | None = None) -> Field:
    one = lambda D: D._remember(("driven mfpt", target.digest, reactivity),
                                lambda: log_passage_time(D, target, reactivity))
    _only_seen(diffusion, refine, reactivity)
    exact = [(target, -np.inf)] if reactivity is None else []
    return field(diffusion, one, refine, exact, "mfpt", "time", {"target": target})


def committor(diffusion, source: Region, target: Region, backward: bool = False,
              refine: bool = False) -> Field:
    _no_reset(diffusion, "committor")
    regions = {"source": source, "target": target}
    if backward:
        _no_leak(diffusion, "backward committor")
        one = lambda D: between(D, source, target).backward_committor()
        return field(diffusion, one, refine, [(target, -np.inf), (source, 0.0)], "backward committor", "",
                     regions)
    exact = [(source, -np.inf), (target, 0.0)]
    if diffusion.absorbing is not None:
        exact.append((diffusion.absorbing, -np.inf))
    return field(diffusion, lambda D: between(D, source, target).committor(), refine, exact, "committor", "",
                 regions)


def reactive_flux(diffusion, source: Region, target: Region, refine: bool = False) -> Estimate:
    _no_leak(diffusion, "reactive flux")
    return answer_of(diffusion, lambda D: between(D, source, target).log_flux(), refine,
                     {"source": source, "target": target})


def rate(diffusion, source: Region, target: Region, refine: bool = False) -> Estimate:
    _no_leak(diffusion, "rate")
    return answer_of(diffusion, lambda D: between(D, source, target).log_rate(), refine,
                     {"source": source, "target": target})


def exit_rate(diffusion, target: Region, refine: bool = False, reactivity: float | None = None) -> Estimate:
    _no_reset(diffusion, "exit rate")
    _only_seen(diffusion, refine, reactivity)
    return answer_of(diffusion, lambda D: _survival(D, target, reactivity).log_rate, refine,
                     {"target": target})


def quasi_stationary(diffusion, target: Region, refine: bool = False,
                     reactivity: float | None = None) -> QuasiStationary:
    return exits(diffusion, target, exit_rate(diffusion, target, refine, reactivity),
                 lambda D, target: _survival(D, target, reactivity))


def _survival(diffusion, target, reactivity):
    return diffusion._remember(("survival", target.digest, reactivity),
                               lambda: Survival(diffusion, target, reactivity))


def _only_seen(diffusion, refine, reactivity):
    if refine and reactivity is not None and diffusion.grid.ndim > 1:
        raise ValueError("a partially absorbing boundary across a grid has no clear order, so that there is "
                         "no limit to extrapolate to; leave `refine` out and take a finer grid.")


def _no_reset(diffusion, name):
    if diffusion.resetting is not None:
        raise ValueError(f"{name} is not known with resetting; ask for stationary() or mfpt.")


def _no_leak(diffusion, name):
    _no_reset(diffusion, name)
    if diffusion.killing_rate is not None:
        raise ValueError(f"a {name} needs a stationary flow, and paths are killed; leave `killing` out.")
    no_leak(diffusion, name)


def spectrum(diffusion, k: int = 6, refine: bool = False) -> Spectrum:
    """Eigenvalues with what the nearest ones of other grids say of their errors."""
    _no_reset(diffusion, "spectrum")
    one = lambda D: D._remember(("driven modes", k), lambda: lowest_modes(D, k))
    levels = solve_on_sequence(diffusion, one, False, {d: min(n, MOST_CELLS[d]) for d, n in LARGEST.items()})
    values, functions = one(diffusion)
    widths, base = levels.widths, levels.base
    errors = np.full(values.size, np.inf)
    for j in range(len(widths)):
        if j != base:
            other = levels.answers[j][0]
            change = np.abs(values[:, None] - other[None]).min(1)
            said = SPECTRAL_SAFETY * change / abs((widths[j] / widths[base])**2 - 1)
            errors = np.where(np.isinf(errors), said, np.maximum(errors, said))
    if refine:
        finer, _ = one(diffusion.on(diffusion.grid.refined(2)))
        nearest = finer[np.abs(values[:, None] - finer[None]).argmin(1)]
        values, errors = nearest + (nearest - values) / 3, np.minimum(errors, np.abs(nearest - values) / 2)
    zero = np.abs(values) == 0
    errors = np.where(zero, 0.0, errors + 1e-11 * np.abs(values))
    with np.errstate(divide="ignore", invalid="ignore"):
        log10 = np.log10(np.abs(values))
        relative = np.where(zero, 0.0, errors / np.abs(values))
    return Spectrum(values, errors, log10, functions, diffusion.grid,
                    "lowest eigenvalues of the driven chain", {**diffusion._inputs, "k": k}, relative)


SPECTRAL_SAFETY = 4.0

QUESTIONS = {f.__name__: f for f in (spectrum, mfpt, committor, reactive_flux, rate, exit_rate,
                                     quasi_stationary)}
