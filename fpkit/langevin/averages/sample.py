"""Averages along Langevin paths, streamed: no path is stored, the errors know the memory of the paths."""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ...core.calls import understood, warned
from ...core.grid import Grid
from ...core.results import Estimate, Field, ResolutionWarning
from ...core.runs.checkpoint import Checkpoint
from ...potentials.diffusion import Diffusion
from ...potentials.potential import Potential
from ...potentials.regions import Region
from ..dynamics.divergence import DivergenceError
from ..dynamics.ensemble import SCHEMES, Ensemble
from ..dynamics.process import arguments_of, needed, source_of
from ..dynamics.walls import Walls
from ..runs.driving import drive
from .diagnostics import doubts
from .sharing import shared
from .statistics import Statistics
from .tally import Accumulators, check_observables, check_regions

# of the invariant measure in dt
ORDER = {"euler-maruyama": 1, "leimkuhler-matthews": 2, "heun": 2, "baoab": 2, "mala": None}


@understood
def sample(potential: Potential | Diffusion, theta: float | None = None, x0: ArrayLike | None = None,
           dt: float | None = None, n_steps: int | None = None, n_paths: int | None = None,
           scheme: str | None = None, burn_in: int | None = None, every: int | None = None,
           histogram: Grid | None = None, marginal: Sequence[int] | None = None,
           regions: dict[str, Region] | None = None, observables: dict[str, Callable] | None = None,
           seed: int = 1, walls: Walls | Grid | Sequence | None = None, mobility=None,
           friction: float | None = None, n_threads: int | None = None,
           checkpoint: str | os.PathLike | None = None, checkpoint_every: float = 60.0,
           resume: bool | None = None, extrapolate: bool = False, executor: Executor | None = None,
           progress: bool | None = None, precision: str = "auto", noise: str = "gaussian", force=None,
           resetting=None) -> Statistics:
    """Averages of the stationary distribution from Langevin paths: energy, moments, histogram, occupancies,
    each with its error.

    The paths follow dX = M (-grad f + F) dt + theta div M dt + sqrt(2 theta M) dW (or its underdamped form
    for "baoab"). Without a force F their long-time law is exp(-f/theta)/Z up to the bias of the scheme: of
    order dt for "euler-maruyama", dt^2 for "leimkuhler-matthews" [1]_ and "baoab", none for "mala"; with one
    it is another, and every bias is of order dt. Snapshots are summed while the paths run and then forgotten.

    Parameters
    ----------
    potential : Potential or Diffusion
        f; or the whole process, also one of `Diffusion.from_sde` (then theta, mobility, force are left out).
    theta : float
        Temperature, positive, in the units of f.
    x0 : array (ndim,) or (n_paths, ndim)
        Start.
    dt : float
        Time step.
    n_steps : int
        Steps of each path, the burn-in included.
    n_paths : int, optional
        Number of paths; default one a row of `x0`, or 1000.
    scheme : {"leimkuhler-matthews", "euler-maruyama", "heun", "mala", "baoab"}, optional
        Default "leimkuhler-matthews", or "euler-maruyama" where M(x), a drift or resetting needs it.
    burn_in : int, optional
        Steps thrown away at the start of each path; default a fifth of `n_steps`. Rounded up to a multiple of
        `every`.
    every : int, optional
        Steps between two snapshots; default 10, fewer when the run is shorter than 640 steps.
    histogram : Grid, optional
        Cells to count in; points outside are counted apart. A periodic axis takes points modulo its period.
    marginal : sequence of int, optional
        The coordinate that each axis of `histogram` shows, such as ``(0, 3)``; default: all of them.
    regions : dict of str to Region, optional
        Disjoint regions ``{"left": A, "right": B}``: their occupancies, and transitions between them.
    observables : dict of str to callable, optional
        ``observable(points (n_paths, ndim)) -> (n_paths,)``.
    seed : int
    walls, mobility, friction, precision, noise, resetting
        As in `fpkit.simulate`; walls may not absorb.
    n_threads : int, optional
        The bits of the result do not depend on it.
    checkpoint : path, optional
        File of the state, written every `checkpoint_every` seconds, on Ctrl-C and at the end.
    resume : bool, optional
        True: go on from `checkpoint`, which must exist; False: start anew; None (default): go on if it
        exists. The end is the same to the bit as without the interruption. `n_steps` may be larger than it
        was; `burn_in` and `every` stay those of the first run, defaults included.
    extrapolate : bool
        Run once more with 2 dt (half the steps), extrapolate to dt = 0 with the order of the scheme, and add
        the size of that correction to the errors. Without it the errors are statistical alone.
    executor : concurrent.futures.Executor, optional
        Shares the paths among its workers (threads, processes, mpi4py.futures, dask; a recipe for batch
        queues: `fpkit.sweep`); the bits stay the same, and what a lost worker had is made again.
    progress : bool, optional
        Progress bar on standard error; default: on a terminal only.

    Returns
    -------
    Statistics
        `status` is "ok" or what is doubtful, said by a ResolutionWarning too. Ctrl-C returns what is done.

    Raises
    ------
    ValueError, TypeError
        One sentence. Diverging paths: DivergenceError, with a time step that would have helped.

    Examples
    --------
    >>> V, cells = fp.Potential("x**2/2"), fp.Grid([(-3, 3)], shape=(12,))
    >>> stats = fp.sample(V, theta=0.5, x0=[0.0], dt=0.1, n_steps=2000, n_paths=200, histogram=cells)
    >>> bool(abs(stats.energy - 0.25) < stats.energy.error), stats.status      # theta/2
    (True, 'ok')
    >>> int(stats.counts.sum() + stats.overflow.sum()) == stats.n_samples
    True

    References
    ----------
    .. [1] B. Leimkuhler, C. Matthews, Appl. Math. Res. Express 2013, 34 (2013).
    """
    process, potential, theta, mobility = arguments_of(potential, theta, mobility, force)
    needed(x0=x0, dt=dt, n_steps=n_steps)
    scheme = scheme or _scheme_for(process, resetting)
    if potential.is_time_dependent or process is not potential and process.is_moving:
        raise ValueError("the potential depends on t and has no stationary average; use fpkit.simulate with "
                         "save_every.")
    x0 = checks.points("x0", np.atleast_1d(x0), potential.ndim)
    n_paths = (len(x0) if x0.ndim == 2 else 1000) if n_paths is None else n_paths
    settings = {"theta": _temperature(theta), "dt": _time_step(dt),
                "scheme": checks.choice("scheme", scheme, SCHEMES),
                "n_paths": checks.whole("n_paths", n_paths, 1), "seed": seed, "walls": walls,
                "mobility": mobility, "friction": friction, "precision": precision, "noise": noise,
                **({} if resetting is None else {"resetting": resetting})}
    what = {"histogram": histogram, "regions": check_regions(regions, potential.ndim),
            "observables": check_observables(observables),
            "marginal": _check_histogram(histogram, marginal, potential.ndim)}
    plan = {"n_steps": checks.whole("n_steps", n_steps, 1), "burn_in": burn_in, "every": every}
    if checkpoint is not None and seed is None:
        raise ValueError("a run with a checkpoint needs a seed that a later call can repeat, a whole number.")
    storage = (checkpoint, checks.number("checkpoint_every", checkpoint_every, positive=True), resume)
    stats, key, done = _one_run(process, x0, settings, what, plan, storage, n_threads, executor, progress)
    if extrapolate and ORDER[scheme] and done >= n_steps:
        if checkpoint is not None:                          # the second run has a file of its own
            storage = (f"{os.fspath(checkpoint)}.2dt", checkpoint_every, None if resume else resume)
        stats = _with_coarser(stats, process, x0, settings, what, key, storage, n_threads, executor, progress)
    if stats.status != "ok":
        warned(stats.status, ResolutionWarning)
    return stats


def _scheme_for(process, resetting):
    """The scheme when none was asked for."""
    if resetting is not None:
        return "euler-maruyama"
    has_place = isinstance(process, Diffusion) and not process.mobility.is_constant
    return "euler-maruyama" if has_place else "leimkuhler-matthews"


def _one_run(process, x0, settings, what, plan, storage, n_threads, executor, progress):
    """(Statistics, key of the seed, steps made) at one time step."""
    n_steps, n_paths, dt = plan["n_steps"], settings["n_paths"], settings["dt"]
    every = max(1, min(10, n_steps // 64)) if plan["every"] is None else checks.whole("every", plan["every"],
                                                                                      1)
    burn_in = n_steps // 5 if plan["burn_in"] is None else checks.whole("burn_in", plan["burn_in"], 0)
    ensemble = Ensemble(process, x0=x0, n_threads=n_threads, **settings)
    settings, potential = {**settings, "seed": ensemble.seed}, ensemble.potential
    if ensemble.has_absorbing:
        raise ValueError("absorbing walls end the paths and leave no stationary average; use fpkit.simulate, "
                         "or reflecting walls.")
    tally = Accumulators(potential, n_paths, x0.reshape(-1, potential.ndim).mean(0), what["histogram"],
                         what["regions"], what["observables"], n_threads, marginal=what["marginal"])
    store = Checkpoint(*storage, _identity(process, settings, x0, what))
    if store.found is not None:
        found = store.found
        ensemble.restore({name[9:]: value for name, value in found.items() if name.startswith("ensemble/")})
        tally.restore({name[6:]: value for name, value in found.items() if name.startswith("tally/")})
        if ensemble.step > n_steps:
            raise ValueError(f"the checkpoint is at step {ensemble.step}, beyond n_steps = {n_steps}; "
                             "ask for more steps or start anew with resume=False.")
        every, burn_in = _as_before(found, plan["every"], plan["burn_in"])
    burn_in = -(-burn_in // every) * every
    if (n_steps - burn_in) // every < 1:
        raise ValueError(f"n_steps = {n_steps} leaves no snapshot after a burn-in of {burn_in} steps with "
                         f"every = {every}; make the run longer.")
    plan = {"n_steps": n_steps, "burn_in": burn_in, "every": every}

    def save():
        if store.path is None:
            return
        state = {f"ensemble/{k}": v for k, v in ensemble.state().items()}
        state |= {f"tally/{k}": v for k, v in tally.state().items()}
        store.save({**state, "burn_in": np.array(burn_in), "every": np.array(every)})
    error = None
    if executor is None:
        error = _drive(ensemble, tally, plan, store, save, progress)
    else:
        shared(executor, ensemble, tally, x0, settings, plan, store, save, progress)
    done, end, accepted = ensemble.step, ensemble.x, ensemble.accepted
    inputs = {"potential": source_of(ensemble), "theta": settings["theta"], "dt": dt, **plan,
              "n_paths": n_paths, "scheme": settings["scheme"], "seed": ensemble.seed,
              "friction": settings["friction"],
              "walls": None if ensemble.walls is None else repr(ensemble.walls),
              "marginal": None if what["marginal"] is None else list(what["marginal"]),
              "x0": x0.tolist() if x0.ndim == 1 else f"{len(x0)} points",
              **({} if ensemble.sources is None else ensemble.sources.given)}
    acceptance = float(accepted.sum() / (n_paths * done)) if accepted.size and done else None
    start = np.broadcast_to(x0, (n_paths, potential.ndim))
    if error is not None:                                        # what is done goes with the error
        error.run = _result(tally, inputs, acceptance, done, start, end, potential) if tally.n_saved else None
        raise error
    return _result(tally, inputs, acceptance, done, start, end, potential), ensemble.key, done


def _with_coarser(fine, process, x0, settings, what, key, storage, n_threads, executor, progress):
    """The limit dt -> 0 of a run and of a second one at 2 dt, or the first with a sentence."""
    n_steps, burn_in, every = (fine.inputs[name] for name in ("n_steps", "burn_in", "every"))
    seed = int(np.random.SeedSequence([*np.atleast_1d(key), 2]).generate_state(1, np.uint64)[0])
    plan = {"n_steps": max(n_steps // 2, burn_in // 2 + 2 * every), "burn_in": burn_in // 2, "every": every}
    coarser = {**settings, "dt": 2 * settings["dt"], "seed": seed}
    try:
        coarse, _, _ = _one_run(process, x0, coarser, {**what, "histogram": None, "marginal": None}, plan,
                                storage, n_threads, executor, progress)
    except KeyboardInterrupt as error:
        unknown = f"at 2 dt: {error}, so the error of dt is not known"
        return replace(fine, status=unknown if fine.status == "ok" else f"{fine.status}; {unknown}")
    except DivergenceError:
        unknown = f"paths diverge at 2 dt = {2 * settings['dt']:g}, so the error of dt is not known; halve dt"
        return replace(fine, status=unknown if fine.status == "ok" else f"{fine.status}; {unknown}")
    has_mirrors = "reflecting" in (fine.inputs["walls"] or "")
    has_force = isinstance(process, Diffusion)              # the second order in dt is that of gradients
    return _extrapolated(fine, coarse, 1 if has_mirrors or has_force else ORDER[settings["scheme"]])


def _drive(ensemble, tally, plan, store, save, progress):
    """Run the ensemble to the end of the plan, or to Ctrl-C, or to an error of a function that the user gave
    (which is returned); what comes out does not depend on how the steps fall into chunks."""
    error = None
    for end, every, label in ((plan["burn_in"], None, "burn-in"),
                              (plan["n_steps"], plan["every"], "sampling")):
        if ensemble.step >= end:
            continue
        chunks = drive(ensemble, end - ensemble.step, every, progress, label)
        try:
            for snapshots in chunks:
                if snapshots is not None and len(snapshots):
                    tally.add(snapshots)
                if store.is_due:
                    save()
        except (ValueError, TypeError) as found:
            if ensemble.before is None:
                raise
            ensemble.restore(ensemble.before)
            error = found
        finally:
            chunks.close()                                  # gives Ctrl-C back
        if ensemble.step < end:
            break
    save()
    return error


def _result(tally, inputs, acceptance, done, start, end, potential):
    """The Statistics of what was summed."""
    averages = tally.means.averages() if tally.n_saved else []
    if not averages:
        raise KeyboardInterrupt("interrupted before the end of the burn-in: there is nothing to average yet")
    slowest = max(range(len(averages)), key=lambda q: averages[q].inefficiency)
    interval = inputs["every"] * inputs["dt"]
    n_effective = averages[slowest].n_effective
    text = f"{inputs['scheme']}, 3 standard errors"

    def estimate(q, is_share=False):
        a = averages[q]
        bound, error = a.bound, a.standard_error
        # never, or always, seen inside: rule of three
        if is_share and (a.mean in (0.0, 1.0) or a.variance == 0):
            bound = 6.0 / max(n_effective, 1.0)
        value = a.mean + (tally.shifts[q] if q <= tally.ndim else 0.0)
        return Estimate(value, bound, text, inputs={**inputs, "standard_error": float(error),
                                                    "n_effective": float(a.n_effective)})
    d, n_regions = tally.ndim, len(tally.regions)
    mean = tuple(estimate(k) for k in range(d))
    occupancy = {name: estimate(d + 1 + k, True) for k, name in enumerate(tally.regions)}
    own = {name: estimate(d + 1 + n_regions + k) for k, name in enumerate(tally.observables)}
    names = list(tally.regions)
    transitions = {(a, b): int(tally.transitions[i, j]) for i, a in enumerate(names) for j,
                   b in enumerate(names) if i != j}
    field = counts = overflow = standard = None
    if tally.grid is not None:
        counts, overflow, bound, error = tally.histogram()
        volumes, inside = tally.grid.volumes, tally.grid.inside
        values = np.where(inside, counts / (tally.n_paths * tally.n_saved) / volumes, np.nan)
        field = Field(values, tally.grid, "density", bound / volumes, "1/volume", inputs)
        standard = error / volumes
    status = doubts(averages, tally, inputs, start, end, potential)
    if done < inputs["n_steps"]:
        status.insert(0, f"interrupted at step {done} of {inputs['n_steps']}: the averages are of what was "
                      "done")
    return Statistics(estimate(d), mean, tally.covariance(), field, standard, counts, overflow, occupancy,
                      transitions, own,
                      float(averages[slowest].inefficiency * interval / 2), float(n_effective),
                      tally.n_paths * tally.n_saved, acceptance,
                      "; ".join(status) if status else "ok", inputs)


def _extrapolated(fine, coarse, order):
    """Richardson's step from dt and 2 dt; the correction is added to the errors."""
    factor = 2.0**order - 1

    def corrected(a, b):
        correction = (a.value - b.value) / factor
        bound = float(np.hypot((1 + 1 / factor) * a.error, b.error / factor)) + abs(correction)
        return Estimate(a.value + correction, bound, f"{a.method}, extrapolated from dt and 2 dt (order "
                        f"{order})",
                        inputs={**a.inputs, "dt_error": abs(correction), "value_at_dt": a.value,
                                "value_at_2dt": b.value})
    status = fine.status if coarse.status == "ok" else "; ".join(
        ([] if fine.status == "ok" else [fine.status]) + [f"at 2 dt: {coarse.status}"])
    pick = lambda name: {k: corrected(v, getattr(coarse, name)[k]) for k, v in getattr(fine, name).items()}
    return replace(fine, energy=corrected(fine.energy, coarse.energy),
                   mean=tuple(map(corrected, fine.mean, coarse.mean)),
                   occupancy=pick("occupancy"), observables=pick("observables"), status=status)


def _temperature(theta):
    theta = _constant("theta", theta, "sample averages over time and needs one temperature; anneal with "
                      "fpkit.simulate.")
    if theta == 0:
        raise ValueError("theta must be positive, got 0. The noise-free limit is fpkit.gradient_flow.")
    return theta


def _time_step(dt):
    return _constant("dt", dt, "sample weighs all snapshots alike and needs one time step; schedules are for "
                     "fpkit.simulate.")


def _constant(name, value, reason):
    if callable(value) or np.ndim(value) > 0:
        raise ValueError(f"{name} must be one number, got {checks.shown(value)}: {reason}")
    return checks.number(name, value, positive=name == "dt", non_negative=True,
                         hint="The noise-free limit is fpkit.gradient_flow." if name == "theta" else "")


def _check_histogram(grid, marginal, ndim):
    """The coordinates that the axes of the histogram show."""
    if grid is None:
        return None
    if not isinstance(grid, Grid):
        raise TypeError(f"histogram must be a Grid (fpkit.Grid(bounds, shape)), got {checks.shown(grid)}.")
    if marginal is None:
        if grid.ndim != ndim:
            raise ValueError(f"the histogram has {grid.ndim} axes and the potential {ndim} coordinates; give "
                             "one axis each, or name the coordinates to show by marginal=.")
        return tuple(range(ndim))
    marginal = tuple(checks.whole("marginal", k) for k in np.atleast_1d(marginal))
    if len(marginal) != grid.ndim or len(set(marginal)) != len(marginal) or max(marginal) >= ndim:
        raise ValueError(f"marginal must name {grid.ndim} different coordinates from 0 to {ndim - 1}, one "
                         f"for each axis of the histogram, got {marginal}.")
    return marginal


# ---- resuming ----

def _identity(process, settings, x0, what):
    """All that the bits depend on, except the length of the run."""
    grid = what["histogram"]
    cells = None if grid is None else [list(grid.edges), grid.periodic, grid.inside, what["marginal"]]
    return {**settings, "potential": process, "x0": np.asarray(x0, float), "cells": cells,
            "regions": what["regions"], "observables": what["observables"]}


def _as_before(found, given_every, given_burn_in):
    """`every` and `burn_in` of the run that is resumed; others that were asked for are refused."""
    every, burn_in = int(found["every"]), int(found["burn_in"])
    is_rounded = given_burn_in is not None and -(-given_burn_in // every) * every == burn_in
    for name, given, then in (("every", given_every, every), ("burn_in", given_burn_in, burn_in)):
        if given is not None and given != then and not (name == "burn_in" and is_rounded):
            raise ValueError(f"the checkpoint was made with {name}={then}, got {given}; leave it out or "
                             "start anew with resume=False.")
    return every, burn_in
