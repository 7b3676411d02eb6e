"""Mean passage times over high barriers, by adaptive multilevel splitting."""
from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import ArrayLike

from ...core import checks
from ...core.calls import understood
from ...core.grid import Grid
from ...core.interruption import interruption
from ...core.results import Field
from ...core.runs.checkpoint import Checkpoint
from ...core.sharing import finished
from ...potentials.diffusion import Diffusion
from ...potentials.potential import Potential
from ...potentials.regions import Ball, Region
from ..dynamics.ensemble import Ensemble
from ..dynamics.process import arguments_of, needed, source_of
from ..dynamics.walls import Walls
from ..runs import driving
from .exit_run import default_threads
from .exit_time import another, constant
from .results import PassageEstimate, PassageTime, limit_of_steps, student_factor
from .splitting_kernels import (
    BY_DISTANCE,
    BY_FUNCTION,
    BY_TABLE,
    DIRECT,
    FAILED,
    INTERRUPTED,
    LOG_P,
    LOOP,
    REACTIVE,
    STEPS,
    Coordinate,
    Setting,
    splitting_repeat,
)
from .target_kernels import step_of
from .targets import compiled_targets

N_EXCURSIONS = 400                                               # of the pilot run
QUANTILE = 0.9                                                   # one excursion in ten reaches Sigma
MOST_STEPS = 100_000_000                                         # of one path
HEAVY = 0.5  # share of one repeat in the sum from which the error is not believed
COLUMNS = 6                                                      # of the kernel's results


class SplittingTime(PassageTime):
    """Mean passage time by splitting, with its parts.

    Attributes
    ----------
    value, error, interval, standard_error : float, float, (float, float), float
        Mean time; `interval` is Student's of level 99.73 % for log(value), from the scatter of the
        independent repeats.
    probability : Estimate
        That a path from Sigma (the surface around the source) reaches the target before the source.
    loop_time, reactive_time : Estimate
        Mean times of a loop source -> Sigma -> source and of a path that arrives, counted from the source.
    level : float
        Value of the reaction coordinate on Sigma.
    repeats : ndarray (n_repeats,)
        The probability in each repeat.
    n_steps : int
        Time steps made, all repeats together.
    direct_steps : float
        Time steps that direct simulation would need for the same standard error (computed: exponential
        times).
    levels : tuple of SplittingTime or None
        With ``extrapolate=True``: the runs at dt and dt/2.
    """

    def to_dict(self) -> dict:
        return {**super().to_dict(), "probability": self.probability.to_dict(), "n_steps": self.n_steps,
                "direct_steps": self.direct_steps}


@understood
def multilevel_splitting(potential: Potential | Diffusion, theta: float | None = None,
                         source: Region | None = None, target: Region | None = None, dt: float | None = None,
                         n_replicas: int = 200, n_repeats: int = 24,
                         reaction_coordinate=None, x0: ArrayLike | None = None,
                         seed: int | SeedSequence | None = 1, level: float | None = None,
                         extrapolate: bool = False,
                         walls: Walls | Grid | Sequence | None = None, mobility=None,
                         n_threads: int | None = None, progress: bool | None = None,
                         executor: Executor | None = None, checkpoint: str | os.PathLike | None = None,
                         checkpoint_every: float = 60.0, resume: bool | None = None,
                         force=None) -> SplittingTime:
    """Mean first-passage time from a well to a target over a barrier of many theta, by adaptive multilevel
    splitting [1]_.

    With loops source -> Sigma -> source around the well and p the probability to reach the target from Sigma
    before the source,

        tau = (1/p - 1) E[loop] + E[reactive path]

    and p = prod(1 - killed/N) over rounds in which all replicas with the lowest score die and copies of
    survivors take their place. p is unbiased for the time-discrete paths and any reaction coordinate; its
    scatter, at best sqrt(-log p / N) a repeat, is not. The error comes from the independent repeats alone.

    Parameters
    ----------
    potential : Potential or Diffusion
        Compiled, not depending on the time; a mobility M(x) given by texts or potentials.
    theta : float
        Temperature, in the units of f. Worth it from barriers of about 6 theta.
    source, target : Region
        Balls, half-spaces, boxes and their unions, intersections and complements. The source should hold the
        bottom of the well, and no other well should lie between: put it into the source or the target.
    dt : float
        Time step of Euler-Maruyama; the target is met with the Brownian bridge.
    n_replicas, n_repeats : int
        N and the number of independent runs, at least 4; the work grows with both.
    reaction_coordinate : Field, (Grid, array), Potential, str or callable, optional
        What tells progress: larger values nearer to the target, any scale. A Field or values on a grid of
        equal cells (a committor, say) are interpolated; a function of the coordinates is traced like a
        potential. Default: d_A / (d_A + d_B) from the distances to source and target.
    x0 : array (ndim,), optional
        Where the loops begin; default: the centre of a Ball source, else required.
    seed : int, SeedSequence or None
        The seed alone decides the numbers, whatever the number of threads.
    level : float, optional
        Value of the reaction coordinate on Sigma; default: the one that a tenth of the excursions from the
        source reaches.
    extrapolate : bool
        Run dt and dt/2 and extrapolate linearly; `error` then covers the correction as well.
    walls, mobility, n_threads, progress
        As in `fpkit.exit_time`.
    executor, checkpoint, checkpoint_every, resume
        As in `fpkit.exit_time`: repeats go to the workers, finished ones to the file.

    Returns
    -------
    SplittingTime
        An Estimate; `status` tells when no replica arrived or when one repeat makes most of the mean. Ctrl-C
        returns the repeats done.

    Examples
    --------
    >>> V = fp.Potential("(x**2 - 1)**2")
    >>> A, B = fp.HalfSpace([-1], 0.9), fp.HalfSpace([1], 0.9)
    >>> tau = fp.multilevel_splitting(V, 0.1, A, B, 0.01, 100, 8, x0=[-1.0])
    >>> bool(abs(tau - 25527) < tau.error), bool(tau.n_steps < 0.1 * tau.direct_steps)
    (True, True)

    References
    ----------
    .. [1] F. Cerou, A. Guyader, T. Lelievre, D. Pommier, J. Chem. Phys. 134, 054108 (2011).
    """
    process, potential, theta, mobility = arguments_of(potential, theta, mobility, force)
    needed(source=source, target=target, dt=dt)
    theta = constant("theta", theta, "splitting needs one temperature")
    dt = constant("dt", dt, "splitting needs one time step")
    n_replicas, n_repeats = checks.whole("n_replicas", n_replicas, 2), checks.whole("n_repeats", n_repeats, 4)
    sources = compiled_targets("source", source, potential.ndim)
    targets = compiled_targets("target", target, potential.ndim)
    x0 = start_in(source, x0, potential.ndim)
    if not sources.contains(x0) or targets.contains(x0):
        raise ValueError(f"x0 = {x0.tolist()} must lie in the source and outside the target.")
    shared = dict(theta=theta, walls=walls, mobility=mobility)
    probe = compiled_ensemble("multilevel_splitting", process, x0, dt, seed, shared)
    plan = (sources, targets, _coordinate(reaction_coordinate, potential), n_replicas, n_repeats, level,
            n_threads, progress)
    store = Checkpoint(checkpoint, checkpoint_every, resume, {
        "potential": process, "source": source, "target": target, "dt": dt, "n": n_replicas, "x0": x0,
        "coordinate": reaction_coordinate, "seed": seed, "level": level, **shared})
    first = _one_run(probe, *plan, executor, store)
    if not extrapolate or first.status != "ok":
        return first
    finer = compiled_ensemble("multilevel_splitting", process, x0, dt / 2, another(probe.key, 1), shared)
    second = _one_run(finer, *plan, executor, Checkpoint(store.then("half"), checkpoint_every, None, {
        "of": store.digest if store.path is not None else None, "dt": dt / 2}))
    if "Ctrl-C" in second.status or not math.isfinite(second.value):
        return first.with_status(f"at dt = {dt:g}, not extrapolated; at dt/2: {second.status}")
    value, interval, standard, shift = limit_of_steps(first, second, 1)
    extras = {name: second.__dict__[name] for name in ("probability", "loop_time", "reactive_time", "level",
                                                       "repeats")}
    return SplittingTime(value, (max(interval[0], 0.0), interval[1]),
                         f"{second.method}, extrapolated from dt = {dt:g} and {dt / 2:g}", None,
                         second.status,
                         {**second.inputs, "dt": dt, "dt_error": shift}, standard_error=standard,
                         levels=(first, second), n_steps=first.n_steps + second.n_steps,
                         direct_steps=3 * value / dt * (value / standard) ** 2 if standard > 0 else math.inf,
                         **extras)


def compiled_ensemble(caller, potential, x0, dt, seed, settings):
    """Checked settings of paths that only compiled kernels can run."""
    if potential.is_moving if isinstance(potential, Diffusion) else potential.is_time_dependent:
        raise ValueError(f"the potential depends on t; {caller} needs a potential that does not, hold t "
                         "fixed with with_params.")
    probe = Ensemble(potential, x0=x0, dt=dt, seed=seed, precision="double", **settings)
    if probe.has_absorbing:
        raise ValueError("absorbing walls are targets here: give them as regions and leave those sides "
                         "without a wall.")
    if probe.is_whole:
        raise ValueError(f"{caller} needs a compiled potential without holes in its domain, and a mobility "
                         "that can be compiled; fpkit.exit_time takes the others.")
    return probe


def start_in(source, x0, ndim):
    """The start (ndim,): as given, or the centre of a ball."""
    if x0 is None:
        if not isinstance(source, Ball):
            raise ValueError(f"x0 is needed: a point of the well inside the source {source!r}.")
        x0 = source.centre
    x0 = checks.points("x0", np.atleast_1d(x0), ndim)
    if x0.shape != (ndim,):
        raise ValueError(f"x0 must be one point of shape ({ndim},), got {x0.shape}.")
    return np.array(x0)


class Reaction(NamedTuple):
    """A reaction coordinate: the potential whose value block is called, and what the kernel is told of it."""
    function: Potential
    about: Coordinate


def _coordinate(given, potential):
    """The reaction coordinate: the potential whose block is called, and what it is told."""
    ndim = potential.ndim
    table = (np.zeros(ndim), np.ones(ndim), np.full(ndim, 2), np.zeros(2**ndim))
    if given is None:
        return Reaction(potential, Coordinate(BY_DISTANCE, potential.p, *table))
    grid = values = None
    if isinstance(given, Field):
        grid, values = given.grid, given.values
    elif isinstance(given, tuple) and len(given) == 2:
        grid, values = given
    if grid is not None:
        values = np.array(values, float)
        if not isinstance(grid, Grid) or grid.ndim != ndim or values.shape != grid.shape:
            raise ValueError(f"reaction_coordinate must be a Field or (Grid, values) with {ndim} axes and "
                             f"one value a cell, got {checks.shown(given)}.")
        if not grid.is_uniform:
            raise ValueError("reaction_coordinate needs a grid of equal cells; interpolate it onto one.")
        if not np.isfinite(values).any():
            raise ValueError("reaction_coordinate holds no finite value.")
        values[~np.isfinite(values)] = np.nanmin(values[np.isfinite(values)])
        origin = np.array([c[0] for c in grid.centres])
        table = (origin, 1 / grid.h, np.array(grid.shape), values.ravel())
        return Reaction(potential, Coordinate(BY_TABLE, potential.p, *table))
    if isinstance(given, Potential):
        function = given
    elif isinstance(given, str) or callable(given):
        try:
            function = Potential(given, ndim=ndim) if isinstance(given, str) else Potential(given)
        except (ValueError, TypeError) as error:
            raise type(error)(f"reaction_coordinate cannot be compiled ({error}) Give its values on a grid "
                              "instead, as (Grid, values).") from None
    else:
        raise TypeError("reaction_coordinate must be a Field, (Grid, values), a Potential, a text or a "
                        f"function, got {checks.shown(given)}.")
    if function.ndim != ndim:
        raise ValueError(f"reaction_coordinate has {function.ndim} coordinates and the potential has {ndim}.")
    if function.is_black_box:
        raise ValueError("reaction_coordinate is a black box; give its values on a grid, as (Grid, values).")
    return Reaction(function, Coordinate(BY_FUNCTION, function.p, *table))


def _problem(e, sources, targets, coordinate, stop):
    """What the kernels are given, after the blocks of gradient and coordinate."""
    return (Setting(e.X[:, 0].copy(), e.field.p, e.table, MOST_STEPS, np.uint64(e.key), stop),
            step_of(e.schedule.dt, e.schedule.theta, e.mobility, e.is_drift, e.n_rows), sources.walls,
            targets.walls, coordinate.about)


def _one_run(e, sources, targets, coordinate, n_replicas, n_repeats, level, n_threads, progress, executor,
             store):
    """The SplittingTime at the time step of the ensemble `e`."""
    dt, gradient, value = e.schedule.dt, e.field.block("gradient"), coordinate.function.block("value")
    stop = np.zeros(1, np.int64)
    problem = _problem(e, sources, targets, coordinate, stop)
    batch = n_threads or default_threads()
    rows = {} if store.found is None else dict(zip(store.found["numbers"].tolist(), store.found["rows"]))
    level = level if store.found is None else float(store.found["level"])
    with interruption() as is_pressed, driving.bar(n_repeats, "splitting", progress, "repeat") as shown:
        if level is None:
            highest = np.zeros(N_EXCURSIONS)
            driving.stoppable(lambda: splitting_repeat(0, 0, math.inf, gradient, value, *problem,
                                                       np.zeros(COLUMNS), highest), stop, is_pressed)
            level = float(np.quantile(highest, QUANTILE, method="lower"))
            if not math.isfinite(level) and not stop[0]:
                raise ValueError(f"{100 * np.isinf(highest).mean():.0f} % of the excursions from the source "
                                 "arrive at once: there is no barrier to split, use fpkit.exit_time.")
        else:
            level = checks.number("level", level)
        def keep(k, part):
            rows.update((k + i, row) for i, row in enumerate(part) if row[FAILED] != INTERRUPTED)
            if shown is not None:
                shown.update(len(part))
            if store.is_due:
                _save(store, rows, level)
        missing = [k for k in range(n_repeats) if k not in rows]
        if executor is not None:
            for n, part in finished(executor, one_repeat, [(k,) for k in missing],
                                    (e, sources, targets, coordinate, n_replicas, level), is_pressed):
                keep(missing[n], part)
        while executor is None and missing and not is_pressed():
            many = next((i for i in range(1, len(missing)) if missing[i] != missing[0] + i), len(missing))
            part = np.zeros((min(batch, many), COLUMNS))

            def one(k, part=part, level=level, first=missing[0]):
                splitting_repeat(first + k, n_replicas, level, gradient, value, *problem, part[k],
                                 np.empty(0))

            def call(one=one, n=len(part)):
                with ThreadPoolExecutor(n) as threads:
                    list(threads.map(one, range(n)))
            driving.stoppable(call, stop, is_pressed)
            keep(missing[0], part)
            missing = missing[len(part):]
    if rows:
        _save(store, rows, level)
    rows = [rows[k] for k in sorted(rows) if k < n_repeats]
    inputs = {"potential": source_of(e), "theta": e.schedule.theta, "dt": dt, "n_replicas": n_replicas,
              "n_repeats": len(rows), "seed": e.seed, "source": repr(sources.regions[0]),
              "target": repr(targets.regions[0])}
    note = "" if len(rows) == n_repeats else f"stopped by Ctrl-C after {len(rows)} of {n_repeats} repeats"
    return _result(np.array(rows).reshape(-1, COLUMNS), level, inputs, note)


def _save(store, rows, level):
    numbers = np.array(sorted(rows), np.int64)
    store.save({"numbers": numbers, "rows": np.array([rows[k] for k in numbers]), "level": np.array(level)})


def one_repeat(e, sources, targets, coordinate, n_replicas, level, number):
    """The row (1, COLUMNS) of one repeat, in a worker."""
    part = np.zeros((1, COLUMNS))
    splitting_repeat(number, n_replicas, level, e.field.block("gradient"), coordinate.function.block("value"),
                     *_problem(e, sources, targets, coordinate, np.zeros(1, np.int64)), part[0], np.empty(0))
    return part


def _result(rows, level, inputs, note):
    """Estimates from the rows of the kernel, one a repeat."""
    n, n_steps = len(rows), int(rows[:, STEPS].sum())
    method = f"multilevel splitting, {inputs['n_replicas']} replicas, {n} repeats, dt = {inputs['dt']:g}"
    p, loop, reactive = np.exp(rows[:, LOG_P]), rows[:, LOOP], rows[:, REACTIVE]
    failed = bool(rows[:, FAILED].any())
    extras = dict(level=level, repeats=p, n_steps=n_steps, n_direct=int(rows[:, DIRECT].sum()), levels=None)
    if n < 2 or failed or not p.any():
        status = note or (f"a path made {MOST_STEPS:.0e} steps without meeting source or target: another "
                          "well lies between them, make it a part of one" if failed else
                          "no events: all replicas died before one arrived; take more replicas, or a better "
                          "reaction coordinate" if n > 1 else "too few repeats")
        none = PassageEstimate(math.nan, (0.0, math.inf), method, status=status, standard_error=math.inf)
        return SplittingTime(math.nan, (0.0, math.inf), method, math.nan, status, inputs,
                             standard_error=math.inf, probability=none, loop_time=none,
                             reactive_time=none, direct_steps=math.inf, **extras)
    t = student_factor(n)

    def mean(a):
        standard = a.std(ddof=1) / math.sqrt(n)
        return PassageEstimate(a.mean(), (a.mean() - t * standard, a.mean() + t * standard), method,
                               inputs=inputs, standard_error=standard)

    def time(keep):
        if not p[keep].any():
            return math.inf
        return (1 / p[keep].mean() - 1) * loop[keep].mean() + reactive[keep][p[keep] > 0].mean()
    value = time(np.arange(n))
    with np.errstate(divide="ignore"):
        logs = np.log([time(np.delete(np.arange(n), k)) for k in range(n)])  # jackknife of log tau
    spread = math.inf
    if np.isfinite(logs).all():
        spread = math.sqrt((n - 1) / n * float(((logs - logs.mean()) ** 2).sum()))
    status = note or "ok"
    if p.max() > HEAVY * p.sum():
        status = (f"one repeat of {n} makes {100 * p.max() / p.sum():.0f} % of the probability: the error "
                  "cannot be trusted; take more replicas or a better reaction coordinate")
    low, high = value * math.exp(-t * spread), value * math.exp(min(t * spread, 700.0))
    standard = value * spread
    direct = value / inputs["dt"] / spread**2 if spread > 0 else math.inf
    return SplittingTime(value, (low, high), method, None, status, inputs, standard_error=standard,
                         probability=mean(p), loop_time=mean(loop),
                         reactive_time=mean(reactive), direct_steps=direct, **extras)
