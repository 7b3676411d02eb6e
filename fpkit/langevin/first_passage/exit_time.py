"""Mean first-passage times from paths."""
from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import ArrayLike

from ...core import checks
from ...core.grid import Grid
from ...core.results import ResolutionWarning
from ...potentials.diffusion import Diffusion
from ...potentials.potential import Potential
from ...potentials.regions import Region
from ..dynamics.ensemble import Ensemble
from ..dynamics.process import arguments_of, needed, source_of
from ..dynamics.walls import Walls
from .exit_numpy import WholeExitRun
from .exit_run import ExitRun, drive
from .partial_absorption import PartialExitRun, reactivities
from .results import ExitTime, exit_time_of, extrapolated
from .targets import Targets

SCHEMES = ("euler-maruyama", "baoab")
COARSE = 0.5  # dt times the largest curvature: beyond it the scheme is far from the diffusion


def exit_time(potential: Potential | Diffusion, theta: float | None = None, x0: ArrayLike | None = None,
              target: Region | Sequence | dict | None = None, dt: float | None = None,
              n_paths: int = 1000, seed: int | SeedSequence | None = 1, scheme: str = "euler-maruyama",
              extrapolate: bool = False, t_max: float | None = None, walls: Walls | Grid | Sequence
              | None = None,
              mobility=None, friction: float | None = None, n_threads: int | None = None,
              progress: bool | None = None, force=None, reactivity=None) -> ExitTime:
    """Mean first-passage time from `x0` to a target, from paths of the diffusion dX = M (-grad f + F) dt +
    theta div M dt + sqrt(2 theta M) dW.

    Every path of the list 0 .. n_paths - 1 runs from its start to a target (or to `t_max`); a lane whose path
    has ended takes the next one at once. The Brownian bridge finds the crossings inside a step and their
    times: exact for a flat wall and a constant drift at any dt, weak order 1 for curved walls [1]_. What
    remains is the bias of Euler's drift, proportional to dt; `extrapolate` removes it.

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
    reactivity : float, sequence or dict, optional
        kappa, in length per time: the targets absorb in part, J.n = kappa u, and reflect else. Killing in
        proportion to the local time at the boundary: exact in law at any dt for a flat wall and a constant
        drift, up to the place inside the last step; weak order 1 for curved walls. One number, or one a
        target (0: a mirror; inf: absorbing). Stepped in NumPy.

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
    theta = constant("theta", theta, "passage times of a moving temperature are not offered; hold theta "
                     "fixed")
    dt = constant("dt", dt, "passage times need one time step")
    n_paths = checks.whole("n_paths", n_paths, 1)
    if potential.is_time_dependent or process is not potential and process.is_moving:
        raise ValueError("the potential depends on t; exit_time needs a potential that does not, hold t "
                         "fixed with with_params.")
    targets = Targets(target, potential.ndim)
    kappa = None if reactivity is None else reactivities(reactivity, targets)
    if kappa is not None and (scheme != "euler-maruyama" or not targets.has_distance):
        raise ValueError('reactivity needs scheme "euler-maruyama" and targets with a distance (balls, '
                         'half-spaces, boxes and their combinations).')
    max_steps = 0 if t_max is None else 2 * math.ceil(checks.number("t_max", t_max, positive=True) / (2 * dt))
    settings = dict(theta=theta, x0=x0, scheme=scheme, reactivity=kappa, walls=walls, mobility=mobility,
                    friction=friction, n_threads=n_threads)
    first = one_run(process, targets, dt, n_paths, seed, max_steps, progress, settings)
    if not extrapolate or first.inputs["stopped"]:
        return first
    second = one_run(process, targets, dt / 2, n_paths, another(first.inputs["key"], 1), 2 * max_steps,
                     progress, settings)
    if second.inputs["stopped"]:
        return first.with_status(f"at dt = {dt:g}, not extrapolated; at dt/2: {second.status}")
    order = 1 if targets.has_distance else 0.5
    return extrapolated(first, second, order)


def one_run(process, targets, dt, n_paths, seed, max_steps, progress, settings):
    """The ExitTime at one dt."""
    x0, kappa = settings["x0"], settings["reactivity"]
    settings = {name: value for name, value in settings.items() if name != "reactivity"}
    is_many = np.ndim(x0) == 2
    # checks and tables
    probe = Ensemble(process, dt=dt, seed=seed, n_paths=n_paths if is_many else None, precision="double",
                     **settings)
    if probe.has_absorbing:
        raise ValueError("absorbing walls are targets here: give them as target=[fpkit.HalfSpace(...), ...] "
                         "and leave those sides without a wall.")
    inside = targets.contains(probe.x)
    if inside.any():
        raise ValueError(f"x0 lies inside the target ({int(inside.sum())} of {len(inside)} starts): the "
                         "passage time is zero there. Start outside.")
    if kappa is None and targets.is_compiled and not probe.is_whole and not probe.is_drift:
        run = ExitRun(probe, targets, probe.X, n_paths, max_steps, settings["n_threads"])
        labels = targets.labels
    else:
        whole = probe if is_many else Ensemble(process, dt=dt, seed=probe.seed, n_paths=n_paths,
                                               precision="double", **settings)
        if kappa is not None:
            run = PartialExitRun(whole, targets, n_paths, max_steps, kappa)
        else:
            run = WholeExitRun(whole, targets, n_paths, max_steps)
        is_by_wall = targets.is_compiled and kappa is None
        labels = targets.labels if is_by_wall else np.arange(len(targets.regions))
    note = drive(run, progress)
    durations, walls, places = run.settle()
    sides = np.where(walls >= 0, labels[walls], -1)
    inputs = {"potential": source_of(probe), "theta": probe.schedule.theta, "dt": dt, "n_paths": n_paths,
              "scheme": probe.scheme, "seed": probe.seed, "key": probe.key, "friction": settings["friction"],
              "t_max": max_steps * dt if max_steps else None, "target": [repr(r) for r in targets.regions],
              "walls": None if probe.walls is None else repr(probe.walls),
              "x0": f"{n_paths} points" if is_many else probe.x[0].tolist()}
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
    return exit_time_of(durations, sides, places, targets.names, method, inputs, note)


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
        warnings.warn(f"dt = {dt:g} is coarse: the curvature {curvature:.3g} makes the dynamics as fast as "
                      f"{1 / rate:.2g}; take dt = {0.1 / rate:.2g} or "
                      "extrapolate=True.", ResolutionWarning, stacklevel=4)


def constant(name, value, reason):
    """One positive number, or a sentence."""
    if callable(value) or np.ndim(value) > 0:
        raise ValueError(f"{name} must be one number, got {checks.shown(value)}: {reason}.")
    return checks.number(name, value, positive=True, hint="The noise-free limit is fpkit.gradient_flow."
                         if name == "theta" else "")


def another(key, k):
    """A seed of its own for the k-th run that belongs to `key`."""
    return int(np.random.SeedSequence([int(key), k]).generate_state(1, np.uint64)[0])
