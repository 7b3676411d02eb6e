"""Mean first-passage times from paths."""
from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import ArrayLike

from ...core import checks
from ...core.calls import understood, warned
from ...core.grid import Grid
from ...core.interruption import interruption
from ...core.results import ResolutionWarning
from ...core.runs.checkpoint import Checkpoint
from ...potentials.diffusion import Diffusion
from ...potentials.potential import Potential
from ...potentials.regions import Region
from ..dynamics.ensemble import Ensemble
from ..dynamics.process import arguments_of, needed, source_of
from ..dynamics.walls import Walls
from ..runs.sharing import arrays_to_states, parts_of, rounds, states_to_arrays
from .exit_numpy import WholeExitRun
from .exit_run import ExitRun, drive
from .partial_absorption import PartialExitRun, reactivities
from .results import ExitTime, exit_time_of, extrapolated
from .targets import Targets

SCHEMES = ("euler-maruyama", "baoab")
COARSE = 0.5  # dt times the largest curvature: beyond it the scheme is far from the diffusion


@understood
def exit_time(potential: Potential | Diffusion, theta: float | None = None, x0: ArrayLike | None = None,
              target: Region | Sequence | dict | None = None, dt: float | None = None,
              n_paths: int = 1000, seed: int | SeedSequence | None = 1, scheme: str = "euler-maruyama",
              extrapolate: bool = False, t_max: float | None = None,
              walls: Walls | Grid | Sequence | None = None, mobility=None, friction: float | None = None,
              n_threads: int | None = None, progress: bool | None = None, executor: Executor | None = None,
              checkpoint: str | os.PathLike | None = None, checkpoint_every: float = 60.0,
              resume: bool | None = None, force=None, reactivity=None, killing=None,
              resetting=None) -> ExitTime:
    """Mean first-passage time from `x0` to a target, from paths of the diffusion dX = M (-grad f + F) dt +
    theta div M dt + sqrt(2 theta M) dW.

    Every path of the list 0 .. n_paths - 1 runs from its start to a target (or to `t_max`); a lane whose path
    has ended takes the next one at once. The Brownian bridge finds the crossings inside a step and their
    times: exact for one flat wall and a constant drift at any dt, weak order 1 for curved walls [1]_ and two
    within a step (see `status`). Euler's drift leaves a bias of order dt, which `extrapolate` removes.

    Parameters
    ----------
    potential : Potential or Diffusion
        f; or the whole process (then theta, mobility and force are left out), also one of
        `Diffusion.from_sde`. It may not depend on the time.
    theta : float
        Temperature, positive, in the units of f.
    x0 : array (ndim,) or (n_paths, ndim)
        Start, or one a path; outside the target.
    target : Region, list or dict of Region
        Where a path ends. With several, the first one met counts: `probabilities` says which. An interval (a,
        b) in one dimension is left through ``[fpkit.HalfSpace([-1], -a), fpkit.HalfSpace([1], b)]`` or
        ``~fpkit.Box([(a, b)])``. Balls, half-spaces and boxes (with ``|``, ``&``, ``~``) are compiled;
        sublevel sets and basins are decided step by step in NumPy, slowly, and a basin has no distance and
        therefore no bridge: there the bias is of order sqrt(dt).
    dt : float
        Time step; f's largest curvature times dt should stay well below 1.
    n_paths : int
        With passage times that are nearly exponential the standard error is value / sqrt(n_paths).
    seed : int, SeedSequence or None
        The seed alone decides the numbers, whatever the number of threads.
    scheme : {"euler-maruyama", "baoab"}
        "baoab" is underdamped with unit mass and `friction`, started with Maxwell's velocities. Its paths are
        straight between the half steps and all their crossings are found, so there is no bridge; the bias is
        that of the scheme, of order dt.
    extrapolate : bool
        Run dt and dt/2 (three times the work) and extrapolate linearly; `error` then covers the statistical
        part and the whole correction. Without it `error` is statistical, about the scheme at this dt.
    t_max : float, optional
        Give a path up after this time (rounded up to an even number of steps). Such paths are censored: their
        time counts as exposure and the estimate is exposure / hits. By default every path runs until it
        arrives, however long that takes.
    walls, mobility, force
        As in `fpkit.simulate`; absorbing walls are given as targets.
    friction : float
        Damping rate for "baoab".
    n_threads : int, optional
    progress : bool, optional
    executor : concurrent.futures.Executor, optional
        Shares the paths among its workers; the bits stay the same, a lost worker is made good.
    checkpoint, checkpoint_every, resume
        As in `fpkit.sample`: the file from which a killed call goes on, to the same bits.
    reactivity : float, sequence or dict, optional
        kappa, in length per time: the targets absorb in part, J.n = kappa u, and reflect else. Killing in
        proportion to the local time at the boundary: exact in law at any dt for a flat wall and a constant
        drift, up to the place inside the last step; weak order 1 for curved walls. One number, or one a
        target (0: a mirror; inf: absorbing). Stepped in NumPy.
    killing, resetting : optional
        As in `fpkit.simulate`, with compiled targets. The "killed" have ended too; see `probabilities`.

    Returns
    -------
    ExitTime
        An Estimate with `interval`, `hits`, `exposure`, `n_censored`, `variance`, `times`, `exit_points`,
        `exit_sides`, `probabilities` and `survival()`. Ctrl-C returns what is done: the paths under way are
        censored, and `status` says so.

    Raises
    ------
    ValueError, TypeError
    DivergenceError
        When paths stop being finite.

    Examples
    --------
    Brownian motion leaves (-1, 1) from 0 after 1 / (2 theta).

    >>> V, outside = fp.Potential("0*x"), ~fp.Box([(-1, 1)])
    >>> tau = fp.exit_time(V, theta=0.5, x0=[0.0], target=outside, dt=0.01, n_paths=4000, seed=1)
    >>> bool(abs(tau - 1.0) < tau.error), tau.hits
    (True, 4000)

    References
    ----------
    .. [1] E. Gobet, ESAIM: Probab. Stat. 5, 261 (2001).
    """
    checks.choice("scheme", scheme, SCHEMES)
    process, potential, theta, mobility = arguments_of(potential, theta, mobility, force)
    needed(x0=x0, target=target, dt=dt)
    theta = constant("theta", theta, "passage times of a moving temperature are not offered; hold it fixed")
    dt = constant("dt", dt, "passage times need one time step")
    n_paths = checks.whole("n_paths", n_paths, 1)
    if potential.is_time_dependent or process is not potential and process.is_moving:
        raise ValueError("the potential depends on t; exit_time needs a potential that does not, hold t "
                         "fixed with with_params.")
    targets = Targets(target, potential.ndim)
    kappa = reactivities(reactivity, targets, scheme)
    max_steps = 0 if t_max is None else 2 * math.ceil(checks.number("t_max", t_max, positive=True) / (2 * dt))
    settings = dict(theta=theta, x0=x0, scheme=scheme, walls=walls, mobility=mobility, friction=friction,
                    n_threads=n_threads, **_of_sources(killing, resetting, scheme, kappa, targets))
    storage = (checkpoint, checkpoint_every, resume)
    run = lambda *arguments: one_run(process, targets, *arguments, progress, settings, executor, storage)
    with interruption() as is_pressed:                           # also between the two runs
        first = run(dt, n_paths, seed, max_steps)
        if not extrapolate or first.inputs["stopped"]:
            return first
        if checkpoint is not None:
            storage = (f"{os.fspath(checkpoint)}.half", checkpoint_every, None if resume else resume)
        again = (dt / 2, n_paths, another(first.inputs["key"], 1), 2 * max_steps)
        second = None if is_pressed() else run(*again)
    why = "stopped by Ctrl-C" if second is None else second.inputs["stopped"] and second.status
    text = f"at dt = {dt:g}, not extrapolated; at dt/2: {why}"
    return first.with_status(text) if why else extrapolated(first, second, 1 if targets.has_distance else 0.5)


def _of_sources(killing, resetting, scheme, kappa, targets):
    """The settings of reactivity, killing and resetting that are not None."""
    given = {"reactivity": kappa, "killing": killing, "resetting": resetting}
    given = {name: value for name, value in given.items() if value is not None}
    if given.keys() - {"reactivity"} and (scheme != "euler-maruyama" or kappa is not None
                                          or not targets.is_compiled):
        raise ValueError('killing and resetting go with scheme "euler-maruyama" and targets that are balls, '
                         'half-spaces, boxes and their combinations, without reactivity.')
    return given


def one_run(potential, targets, dt, n_paths, seed, max_steps, progress, settings, executor=None,
            storage=(None, 60.0, None)):
    """The ExitTime at one dt."""
    is_many = np.ndim(settings["x0"]) == 2
    probe = _probe(potential, dt, n_paths, seed, settings)       # checks and tables
    if probe.has_absorbing:
        raise ValueError("absorbing walls are targets here: give them as target=[fpkit.HalfSpace(...), ...] "
                         "and leave those sides without a wall.")
    inside = targets.contains(probe.x)
    if inside.any():
        raise ValueError(f"x0 lies inside the target ({int(inside.sum())} of {len(inside)} starts): the "
                         "passage time is zero there. Start outside.")
    kappa = settings.get("reactivity")
    is_by_wall = targets.is_compiled and kappa is None
    labels = targets.labels if is_by_wall else np.arange(len(targets.regions))
    labels = np.append(labels, len(targets.regions))             # of what was killed
    if storage[0] is not None and seed is None:
        raise ValueError("a run with a checkpoint needs a seed that a later call can repeat; pass a whole "
                         "number.")
    what = (potential, targets, dt, n_paths, probe.seed, max_steps, settings)
    store = Checkpoint(*storage, {"potential": potential, "targets": targets.regions, "dt": dt, "n": n_paths,
                                  "seed": probe.seed, "max_steps": max_steps,
                                  **{k: v for k, v in settings.items() if k != "n_threads"}})
    runs, note = _all_parts(what, executor, store, progress)
    durations, walls, places = (np.concatenate(found) for found in zip(*(run.settle() for run in runs)))
    sides = np.where(walls >= 0, labels[walls], -1)
    inputs = {"potential": source_of(probe), "theta": probe.schedule.theta, "dt": dt, "n_paths": n_paths,
              "scheme": probe.scheme, "seed": probe.seed, "key": probe.key, "friction": settings["friction"],
              "t_max": max_steps * dt if max_steps else None, "target": [repr(r) for r in targets.regions],
              "walls": None if probe.walls is None else repr(probe.walls),
              "x0": f"{n_paths} points" if is_many else probe.x[0].tolist(),
              **({} if probe.sources is None else probe.sources.given)}
    n_arrived = int((sides >= 0).sum())
    bridge = "" if probe.scheme == "baoab" else "Brownian bridge, " if targets.has_distance else "no bridge, "
    if kappa is not None:
        bridge = "local time, "
    method = f"{probe.scheme}, {bridge}dt = {dt:g}, {n_arrived} arrivals"
    inputs["stopped"] = note
    if note:
        note = f"{note}: {n_arrived} of {n_paths} paths had arrived, those under way are censored"
    _check_step(probe.potential, probe, np.concatenate([probe.x[:64],
                                                  places[np.isfinite(places).all(axis=1)][:192]]))
    note = "; ".join(filter(None, [note, targets.narrow(probe)]))
    names = targets.names if settings.get("killing") is None else (*targets.names, "killed")
    return exit_time_of(durations, sides, places, names, method, inputs, note)


def _probe(potential, dt, n_paths, seed, settings, are_all=False):
    """An ensemble of the settings: of all paths, or of one path for each start that was given."""
    is_many = are_all or np.ndim(settings["x0"]) == 2
    return Ensemble(potential, dt=dt, seed=seed, n_paths=n_paths if is_many else None, precision="double",
                    **{k: v for k, v in settings.items() if k != "reactivity"})


def _run_of(what, span, state=None):
    """The run of the paths of a span, in a state."""
    potential, targets, dt, n_paths, seed, max_steps, settings = what
    probe = _probe(potential, dt, n_paths, seed, settings)
    kappa = settings.get("reactivity")
    if kappa is None and targets.is_compiled and not probe.is_whole:
        run = ExitRun(probe, targets, probe.X, n_paths, max_steps, settings["n_threads"], span)
    else:
        if probe.n_paths != n_paths or n_paths == 1:
            probe = _probe(potential, dt, n_paths, seed, settings, are_all=True)
        if kappa is None:
            run = WholeExitRun(probe, targets, n_paths, max_steps, span)
        else:
            run = PartialExitRun(probe, targets, n_paths, max_steps, kappa, span)
    if state is not None:
        run.restore(state)
    return run


def _all_parts(what, executor, store, progress):
    """(the runs that make all paths together, why they stopped earlier or ""): one here, or one a worker."""
    n_paths = what[3]
    if store.found is not None:
        cuts, states = arrays_to_states(store.found)
    else:
        cuts = np.array([0, n_paths]) if executor is None else parts_of(executor, n_paths)
        states = [None] * (len(cuts) - 1)
    spans = [(int(a), int(b)) for a, b in zip(cuts, cuts[1:])]
    if executor is None and len(spans) == 1:
        run = _run_of(what, spans[0], states[0])
        note = drive(run, progress, store=store)
        store.save(states_to_arrays(cuts, [run.state()]))
        return [run], note
    one_thread = (*what[:6], {**what[6], "n_threads": what[6]["n_threads"] or 1})
    begun = 0 if states[0] is None else max(_run_of(what, s, x).step_count for s, x in zip(spans, states))
    note, n_ended = "stopped by Ctrl-C", 0
    for _, outcomes in rounds(executor, advanced, (one_thread,), [(s,) for s in spans], states,
                              (begun, math.inf, 2), "passages", progress, "path", n_paths,
                              lambda outcomes: sum(o[1] for o in outcomes)):
        states, n_ended = [o[0] for o in outcomes], sum(o[1] for o in outcomes)
        if n_ended == n_paths:
            note = ""
            break
        if store.is_due:
            store.save(states_to_arrays(cuts, states))
    if states[0] is not None:
        store.save(states_to_arrays(cuts, states))
    return [_run_of(what, s, x) for s, x in zip(spans, states)], note


def advanced(what, span, state, end):
    """Bring the paths of one span to the step `end`, in a worker: (state, how many have ended)."""
    run = _run_of(what, span, state)
    while run.step_count < end and run.n_ended < run.n_own:
        run.advance(end - run.step_count)
        run.check_finite()
    return run.state(), run.n_ended


def _check_step(potential, ensemble, points):
    """Warn when the curvature at starts and exits is too large for dt."""
    try:
        root = ensemble.mobility.root if ensemble.mobility.is_constant else np.eye(ensemble.ndim)
        with np.errstate(all="ignore"):
            curvature = np.linalg.eigvalsh(root.T @ np.asarray(potential.hessian(points), float)
                                           @ root)[..., -1].max(initial=0.0)
    except (NotImplementedError, TypeError, ValueError, np.linalg.LinAlgError):
        return
    dt = ensemble.schedule.dt
    rate = math.sqrt(max(curvature, 0.0)) if ensemble.scheme == "baoab" else curvature
    if rate * dt > COARSE:
        warned(f"dt = {dt:g} is coarse: the curvature {curvature:.3g} makes the dynamics as fast as "
                      f"{1 / rate:.2g}; take dt = {0.1 / rate:.2g} or extrapolate=True.", ResolutionWarning)


def constant(name, value, reason):
    """One positive number, or a sentence."""
    if callable(value) or np.ndim(value) > 0:
        raise ValueError(f"{name} must be one number, got {checks.shown(value)}: {reason}.")
    return checks.number(name, value, positive=True, hint="The noise-free limit is fpkit.gradient_flow."
                         if name == "theta" else "")


def another(key, k):
    """A seed of its own for the k-th run that belongs to `key`."""
    return int(np.random.SeedSequence([int(key), k]).generate_state(1, np.uint64)[0])
