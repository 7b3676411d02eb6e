"""Paths of a potential: `simulate` keeps them, `sample` keeps their statistics."""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import ArrayLike

from ..core import checks
from ..core.calls import understood
from ..core.grid import Grid
from ..core.runs.checkpoint import Checkpoint
from ..potentials.diffusion import Diffusion
from ..potentials.potential import Potential
from .averages.sample import sample  # noqa: F401  (a public name of this module)
from .dynamics.divergence import DivergenceError
from .dynamics.ensemble import Ensemble
from .dynamics.process import arguments_of, needed
from .dynamics.walls import Walls
from .runs.driving import drive
from .runs.paths import Paths
from .runs.sharing import divided, joined, parts_of, rounds

MEMORY_SHARE = 0.6  # of the free memory that saved paths may take


@understood
def simulate(potential: Potential | Diffusion, theta: float | Callable | None = None,
             x0: ArrayLike | None = None, dt: ArrayLike | Callable | None = None, n_steps: int | None = None,
             n_paths: int | None = None, scheme: str = "euler-maruyama", seed: int | SeedSequence | None = 1,
             save_every: int | None = None, walls: Walls | Grid | Sequence | None = None, mobility=None,
             friction: float | None = None, n_threads: int | None = None, precision: str = "auto",
             noise: str = "gaussian", velocity: ArrayLike | None = None,
             progress: bool | None = None, executor: Executor | None = None,
             checkpoint: str | os.PathLike | None = None, checkpoint_every: float = 60.0,
             resume: bool | None = None, force=None, killing=None, resetting=None) -> Paths:
    """Paths of the diffusion dX = M (-grad f + F) dt + theta div M dt + sqrt(2 theta M) dW.

    Parameters
    ----------
    potential : Potential or Diffusion
        The whole process (then theta, mobility and force are left out), also one of `Diffusion.from_sde`; or
        f. A parameter named ``t`` is the time: it is set to t_k, the start of each step (Heun and BAOAB: also
        to its end).
    theta : float or callable
        Temperature in the units of f, 0 allowed (Euler steps of the gradient flow); ``theta(t)`` is taken at
        t_k + dt/2.
    x0 : array (ndim,) or (n_paths, ndim)
        Starts.
    dt : float, array (n_steps,) or callable
        Time step, or a schedule ``dt(k)``. Stable below 2 / (largest curvature of f).
    n_steps : int
    n_paths : int, optional
        Default: the rows of `x0`.
    scheme : str
        ``"euler-maruyama"``: weak order 1; paths and passage times.
        ``"leimkuhler-matthews"``: the same cost, second order in the invariant measure [1]_; averages, not
        times. ``"heun"``: stochastic Heun, two gradients a step, closer paths.
        ``"mala"``: Metropolis-adjusted, exactly Gibbs at any dt; averages, not times.
        ``"baoab"``: underdamped with `friction` and unit mass, configurations of order 2 [2]_.
    seed : int, SeedSequence, Generator or None
        The same seed gives the same paths for any number of threads, chunks and other paths; None draws one
        and stores it.
    save_every : int, optional
        Keep the places every so many steps (step 0 included). Without it only the ends are kept.
    walls : Walls, Grid, or list of (low, high)
        A list means mirrors, a Grid its box (periodic where it is). A GridPotential has mirrors at its bounds
        by default, and its NaN cells are walls too.
    mobility : float, (ndim,), (ndim, ndim), text, Potential or callable
        M, default 1. ``M(points)`` may be isotropic (n,) or diagonal (n, ndim); the Ito drift theta div M is
        added, from the exact gradient of a text or Potential, from the second callable of ``(M, div_M)``, or
        by central differences.
    friction : float
        Damping rate for "baoab", in 1/time.
    n_threads : int, optional
        Default: all cores.
    precision : {"auto", "double", "single"}
        "single" takes the drift in float32 (state 48 bits): faster, for coordinates of order one. "auto"
        compares the two at the starts and near them, and takes "single" when they agree to 1e-5.
    noise : {"gaussian", "three-point"}
        "three-point" is a coarser, faster law for averages with "leimkuhler-matthews".
    velocity : array (ndim,) or (n_paths, ndim), optional
        Starts for "baoab"; default: drawn from Maxwell's distribution.
    force : optional
        F, in any form that `Diffusion` takes: ``"(y, -x)"``, a function, numbers, `Rotation`; compiled with
        the gradient into one function. "leimkuhler-matthews" is of second order only without a force.
    killing : number, text, Potential or function, optional
        Rate k(x) at which a path ends, in 1/time: it stays where it was, `exit_time` says when it ended, with
        the `exit_side` 2 ndim. For "euler-maruyama" and "heun", compiled, with an error of order dt^2.
    resetting : (rate, point), optional
        The path is set back to the point at a constant rate, likewise.
    progress : bool, optional
        Progress bar on standard error; default: on a terminal only.
    executor : concurrent.futures.Executor, optional
        Shares the paths among its workers; the bits stay the same, a lost worker is made good (a recipe for
        clusters: `fpkit.sweep`).
    checkpoint, checkpoint_every, resume
        As in `fpkit.sample`: the file from which a killed call goes on, to the same bits. It holds the paths
        that were saved so far too.

    Returns
    -------
    Paths
        ``.x`` (n_paths, ndim), ``.paths`` (n_paths, n_times, ndim) or None, ``.times``, and what made them.
        Ctrl-C returns the run so far, with the reason in ``.status``.

    Raises
    ------
    DivergenceError
        An ArithmeticError: paths stopped being finite. It says how many, when first, and which dt would have
        helped; its ``run`` holds everything up to the last time at which all paths were finite. Errors of a
        mobility, temperature or potential that come up in the run carry ``run`` as well.
    MemoryError
        When the saved paths would not fit; `fpkit.sample` gathers statistics without them.

    Examples
    --------
    >>> V = fp.Potential("(x**2 - 1)**2")
    >>> run = fp.simulate(V, theta=0.2, x0=[-1.0], dt=0.01, n_steps=200, n_paths=50, save_every=50)
    >>> run.x.shape, run.paths.shape, run.times
    ((50, 1), (50, 5, 1), array([0. , 0.5, 1. , 1.5, 2. ]))

    References
    ----------
    .. [1] B. Leimkuhler, C. Matthews, Appl. Math. Res. eXpress 2013, 34 (2013).
    .. [2] B. Leimkuhler, C. Matthews, J. Chem. Phys. 138, 174102 (2013).
    """
    process, potential, theta, mobility = arguments_of(potential, theta, mobility, force)
    needed(x0=x0, dt=dt, n_steps=n_steps)
    n_steps = checks.whole("n_steps", n_steps, 1)
    if save_every is not None:
        save_every = checks.whole("save_every", save_every, 1)
        if save_every > n_steps:
            raise ValueError(f"save_every is {save_every} and there are {n_steps} steps; nothing would be "
                             f"saved. Take at most {n_steps}.")
    ensemble = Ensemble(process, theta, x0, dt, scheme, seed, n_paths, walls, mobility, friction, n_threads,
                        precision, noise, velocity, killing=killing, resetting=resetting)
    if n_steps > ensemble.schedule.n_steps:
        raise ValueError(f"dt has {ensemble.schedule.n_steps} entries and n_steps is {n_steps}; give one "
                         "entry a step.")
    given = dict(theta=theta, dt=float(dt) if np.ndim(dt) == 0 and not callable(dt) else dt)
    store = Checkpoint(checkpoint, checkpoint_every, resume, {
        "potential": process, "theta": theta, "x0": np.asarray(x0, float), "dt": dt, "scheme": scheme,
        "seed": seed, "n_paths": ensemble.n_paths, "save_every": save_every, "walls": walls,
        "mobility": mobility, "friction": friction, "precision": ensemble.precision, "noise": noise,
        "velocity": velocity, "killing": killing, "resetting": resetting})
    return _run(ensemble, n_steps, save_every, given, progress, executor, store)


def _run(ensemble, n_steps, save_every, given, progress, executor=None, store=None):
    """Make the steps; Ctrl-C and divergence keep what is done."""
    paths, times, at, n_saved = None, None, 0, 0 if save_every is None else n_steps // save_every
    if save_every is not None:
        _check_memory(ensemble, n_saved + 1)
        paths, at = np.empty((ensemble.n_paths, n_saved + 1, ensemble.ndim)), 1
        paths[:, 0] = ensemble.x
    if store.found is not None:
        at = _resume(ensemble, paths, n_steps, store.found)

    def save():
        if store.path is not None:
            saved = {} if paths is None else {"paths": paths[:, :at]}
            store.save({f"ensemble/{k}": v for k, v in ensemble.state().items()} | saved)
    error = None
    chunks = (drive(ensemble, n_steps - ensemble.step, save_every, progress) if executor is None
              else _shared(ensemble, n_steps, save_every, progress, executor))
    try:
        for saved in chunks:
            if saved is not None and len(saved):
                paths[:, at:at + len(saved)] = saved.transpose(2, 0, 1)
                at += len(saved)
            if store.is_due:
                save()
        save()
    except (DivergenceError, ValueError, TypeError) as found:    # or a function of the user's, in the run
        if ensemble.before is None:
            raise
        error = found
        ensemble.restore(ensemble.before)
    finally:
        chunks.close()
    status = "ok"
    if error is not None:
        status = str(error)
    elif ensemble.step < n_steps:
        status = f"stopped by Ctrl-C after {ensemble.step} of {n_steps} steps"
    if paths is not None:
        paths = paths if at > n_saved else paths[:, :at].copy()
        times = _times(ensemble.schedule, save_every, at - 1)
    run = _result(ensemble, paths, times, status, given)
    if error is not None:
        error.run = run
        raise error
    return run


def _resume(ensemble, paths, n_steps, found):
    """Bring ensemble and saved paths to the state of a checkpoint; the number of saved times."""
    ensemble.restore({k[9:]: v for k, v in found.items() if k.startswith("ensemble/")})
    if ensemble.step > n_steps:
        raise ValueError(f"the checkpoint is at step {ensemble.step}, beyond n_steps = {n_steps}; ask for "
                         "more steps or start anew with resume=False.")
    if paths is None:
        return 0
    at = found["paths"].shape[1]
    paths[:, :at] = found["paths"]
    return at


def _shared(ensemble, n_steps, save_every, progress, executor):
    """What `drive` yields, made by the workers of an executor."""
    cuts = parts_of(executor, ensemble.n_paths)
    parts = [ensemble.part(np.arange(a, b)) for a, b in zip(cuts, cuts[1:])]
    for part in parts:
        part.n_threads = ensemble.n_threads or 1
    states = divided(ensemble.state(), cuts)
    for _, outcomes in rounds(executor, advanced, (save_every,), [(part,) for part in parts], states,
                              (ensemble.step, n_steps, 1), "paths", progress):
        ensemble.restore(joined([o[0] for o in outcomes], list(np.diff(cuts))))
        yield None if save_every is None else np.concatenate([o[1] for o in outcomes], axis=2)


def advanced(save_every, part, state, end):
    """Bring one part of an ensemble to the step `end`, in a worker: (state, saved places)."""
    part.restore(state)
    saved = part.advance(end - part.step, save_every)
    part.check_finite()
    return part.state(), saved


def _result(e, paths, times, status, given):
    """The Paths of an ensemble as it is now."""
    inputs = dict(potential=e.potential, process=e.process, walls=e.walls, mobility=e.mobility,
                  friction=e.friction, noise=e.noise_law, time=e.time, n_threads=e.n_threads, key=e.key,
                  **({} if e.sources is None else e.sources.given))
    has_ends = e.has_absorbing or e.sources is not None and e.sources.has_killing
    has_winding = e.walls is not None and e.walls.has("periodic")
    return Paths(
        x=e.x, paths=paths, times=np.array([e.time]) if times is None else times, theta=given["theta"],
        dt=given["dt"], scheme=e.scheme, seed=e.seed, n_steps=e.step, status=status,
        velocity=np.ascontiguousarray(e.velocity.T) if e.scheme == "baoab" else None,
        winding=e.turns.T.astype(np.int64) if has_winding else None,
        exit_time=e.exit_time.copy() if has_ends else None,
        exit_side=e.exit_side.copy() if has_ends else None,
        acceptance=float(e.accepted.mean() / max(e.step, 1)) if e.scheme == "mala" else None,
        precision=e.precision, inputs=inputs)


def _times(schedule, every, n_saved):
    """Times of the start and of `n_saved` saved steps."""
    if isinstance(schedule.dt, float):
        return np.arange(n_saved + 1) * every * schedule.dt
    n = every * n_saved
    dt = np.array([float(np.reshape(schedule.dt(k), ()))
                   for k in range(n)]) if callable(schedule.dt) else schedule.dt[:n]
    return np.cumsum(np.concatenate([[0.0], dt]))[::every]


def _check_memory(ensemble, n_times):
    """Refuse saved paths that would not fit, before anything is allocated."""
    need = 8.0 * ensemble.n_paths * n_times * ensemble.ndim
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        free = 4 * 2**30
    if need > MEMORY_SHARE * free:
        raise MemoryError(f"{ensemble.n_paths} paths at {n_times} times in {ensemble.ndim}-D take "
                          f"{need / 2**30:.3g} GiB and {free / 2**30:.3g} GiB are "
                          "free; raise save_every, or use fpkit.sample, which gathers statistics and keeps "
                          "no path.")
