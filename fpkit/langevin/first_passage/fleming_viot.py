"""Quasi-stationary exit rates and exit laws, from Fleming-Viot systems of walkers."""
from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import ArrayLike

from ...core import checks
from ...core.calls import understood
from ...core.grid import Grid
from ...core.interruption import interruption
from ...core.runs.checkpoint import Checkpoint
from ...potentials.diffusion import Diffusion
from ...potentials.potential import Potential
from ...potentials.regions import Region
from ..dynamics.ensemble import thread_count
from ..dynamics.process import arguments_of, needed, source_of
from ..dynamics.walls import Walls
from ..runs import driving
from ..runs.sharing import parts_of, rounds
from .exit_run import divergence
from .exit_time import another, constant
from .fleming_viot_kernels import Counts, fleming_viot_systems, seed_systems
from .results import PassageEstimate, interval_of_mean, interval_of_share, limit_of_steps, student_factor
from .splitting import compiled_ensemble, start_in
from .target_kernels import step_of
from .targets import compiled_targets

N_BATCHES = 20  # parts of the time in which arrivals are counted
MOST_EXITS = 4096                                                # exit points kept of one system
# relative bias of a finite system: BIAS/N is allowed, 0.1/N was measured where exits are as fast as mixing
BIAS = 1.0
UNSETTLED = 4.0  # standard errors between the two halves of the run


class QuasiStationaryRate(PassageEstimate):
    """Exit rate from the quasi-stationary distribution: the principal Dirichlet eigenvalue of -L outside the
    target.

    Attributes
    ----------
    value, error, interval, standard_error : float, float, (float, float), float
        Rate, 1/time. The interval (99.73 %) is Student's from the independent systems, or Poisson's where
        that is wider, with the bias O(1/N) of a finite system beside it. No arrival: `value` is NaN, and
        `interval` ends at 3 / exposure (95 %).
    hits : int
        Arrivals counted.
    exposure : float
        Time of all walkers together.
    exit_points : ndarray (n, ndim)
        Where the target was met: a sample of the exit law of the quasi-stationary distribution.
    exit_sides : ndarray (n,)
    probabilities : dict
        Share of each target in the arrivals.
    walkers : ndarray (n_systems, n_walkers, ndim)
        Places at the end: a sample of the quasi-stationary distribution.
    systems : ndarray (n_systems,)
        The rate of each system.
    levels : tuple or None
        With ``extrapolate=True``: the runs at dt and dt/2.
    """

    def to_dict(self) -> dict:
        return {**super().to_dict(), "hits": self.hits, "exposure": self.exposure,
                "probabilities": {str(k): v.to_dict() for k, v in self.probabilities.items()}}


@understood
def fleming_viot(potential: Potential | Diffusion, theta: float | None = None,
                 target: Region | Sequence | dict | None = None, x0: ArrayLike | None = None,
                 dt: float | None = None,
                 n_walkers: int = 500, t: float | None = None, n_systems: int = 16,
                 burn_in: float | None = None,
                 seed: int | SeedSequence | None = 1, extrapolate: bool = False,
                 walls: Walls | Grid | Sequence | None = None, mobility=None, n_threads: int | None = None,
                 progress: bool | None = None, executor: Executor | None = None,
                 checkpoint: str | os.PathLike | None = None, checkpoint_every: float = 60.0,
                 resume: bool | None = None, force=None) -> QuasiStationaryRate:
    """Principal Dirichlet eigenvalue of the diffusion killed at a target: the exit rate of the
    quasi-stationary distribution.

    N walkers move independently; one that meets the target takes the place of one of the others, chosen at
    random [1]_. Their distribution tends to the quasi-stationary one, in which the exit time is exponential
    with rate lambda and independent of the exit point; with the share L of walkers that survive a step,
    lambda = -log(L)/dt. A finite system has a bias of order 1/N, relative.

    Parameters
    ----------
    potential : Potential
        Compiled, not depending on the time.
    theta : float
    target : Region, list or dict of Region
        Where walkers are killed; of a domain D give ``~D``. Balls, half-spaces, boxes and what is made of
        them.
    x0 : array (ndim,)
        Where all walkers start, inside the domain.
    dt : float
        Time step of Euler-Maruyama, with the Brownian bridge at the target; the bias is of order dt.
    n_walkers, n_systems : int
        N, and the number of independent systems (at least 4), whose scatter gives the error.
    t : float
        Time of every system, transient included: many relaxation times of the well.
    burn_in : float, optional
        Time that is not counted; default t/4.
    seed, walls, mobility, n_threads, progress
        As in `fpkit.exit_time`.
    executor, checkpoint, checkpoint_every, resume
        As in `fpkit.exit_time`: systems go to the workers.
    extrapolate : bool
        Run dt and dt/2 and extrapolate linearly; `error` then covers the correction as well.

    Returns
    -------
    QuasiStationaryRate
        An Estimate; `status` says when nobody arrived, when the two halves of the run disagree, and after
        Ctrl-C.

    Examples
    --------
    Brownian motion on (0, 1): theta pi^2, exits left and right alike.

    >>> V, ends = fp.Potential("0*x"), {"left": fp.HalfSpace([-1], 0), "right": fp.HalfSpace([1], 1)}
    >>> k = fp.fleming_viot(V, 0.5, ends, [0.3], dt=1e-3, n_walkers=200, t=2.0)
    >>> left = k.probabilities["left"]
    >>> bool(abs(k - 0.5 * np.pi**2) < k.error), bool(abs(left - 0.5) < left.error)
    (True, True)

    References
    ----------
    .. [1] K. Burdzy, R. Holyst, P. March, Commun. Math. Phys. 214, 679 (2000).
    """
    process, potential, theta, mobility = arguments_of(potential, theta, mobility, force)
    needed(target=target, dt=dt)
    theta = constant("theta", theta, "the quasi-stationary rate needs one temperature")
    dt = constant("dt", dt, "the quasi-stationary rate needs one time step")
    n_walkers, n_systems = checks.whole("n_walkers", n_walkers, 2), checks.whole("n_systems", n_systems, 4)
    targets = compiled_targets("target", target, potential.ndim)
    if t is None:
        raise ValueError("t is needed: the time of every system, many relaxation times of the well.")
    t = checks.number("t", t, positive=True)
    burn_in = t / 4 if burn_in is None else checks.number("burn_in", burn_in, non_negative=True)
    if t - burn_in < 2 * N_BATCHES * dt:
        raise ValueError(f"t = {t:g} leaves less than {2 * N_BATCHES} steps after a burn-in of {burn_in:g}; "
                         "make it longer or dt shorter.")
    x0 = start_in(target, x0, potential.ndim)
    if targets.contains(x0):
        raise ValueError(f"x0 = {x0.tolist()} lies inside the target: walkers there are killed at once. "
                         "Start outside.")
    plan = (targets, n_walkers, n_systems, t, burn_in, n_threads, progress)
    shared = dict(theta=theta, walls=walls, mobility=mobility)
    probe = compiled_ensemble("fleming_viot", process, x0, dt, seed, shared)
    store = Checkpoint(checkpoint, checkpoint_every, resume, {
        "potential": process, "target": targets.regions, "x0": x0, "dt": dt, "seed": seed,
        "plan": [n_walkers, n_systems, t, burn_in], **shared})
    first = _one_run(probe, *plan, executor, store)
    if not extrapolate or not math.isfinite(first.value) or "Ctrl-C" in first.status:
        return first
    second = _one_run(compiled_ensemble("fleming_viot", process, x0, dt / 2, another(probe.key, 1), shared),
                      *plan, executor, Checkpoint(store.then("half"), checkpoint_every, None, {
                          "of": store.digest if store.path is not None else None, "dt": dt / 2}))
    if "Ctrl-C" in second.status or not math.isfinite(second.value):
        return first.with_status(f"at dt = {dt:g}, not extrapolated; at dt/2: {second.status}")
    value, interval, standard, shift = limit_of_steps(first, second, 1)
    names = ("exit_points", "exit_sides", "probabilities", "walkers", "systems")
    return QuasiStationaryRate(value, (max(interval[0], 0.0), interval[1]),
                               f"{second.method}, extrapolated from dt = {dt:g} and {dt / 2:g}", None,
                               second.status if second.status != "ok" else first.status,
                               {**second.inputs, "dt": dt, "dt_error": shift}, standard_error=standard,
                               hits=first.hits + second.hits, exposure=first.exposure + second.exposure,
                               levels=(first, second),
                               **{name: second.__dict__[name] for name in names})


def _one_run(e, targets, n_walkers, n_systems, t, burn_in, n_threads, progress, executor, store):
    """The QuasiStationaryRate at the time step of the ensemble `e`."""
    dt = e.schedule.dt
    burn = 2 * round(burn_in / (2 * dt))
    length = 2 * max(1, math.ceil((t / dt - burn) / 2))
    state = store.found if store.found is not None else _begun(e, n_walkers, n_systems)
    plan, n = (e, targets, burn, length), 64
    if executor is None:
        with interruption() as is_pressed, driving.bar(burn + length, "Fleming-Viot", progress) as shown:
            while (done := int(state["done"])) < burn + length and not is_pressed():
                n = min(n, burn + length - done)
                started = time.perf_counter()
                state = advanced(*plan, n_threads, state, done + n)[0]
                if shown is not None:
                    shown.update(n)
                if store.is_due:
                    store.save(state)
                growth = driving.CHUNK_SECONDS / max(time.perf_counter() - started, 1e-6)
                n = 2 * max(1, int(n * min(max(growth, 0.25), 8.0)) // 2)
    else:
        cuts = parts_of(executor, n_systems)
        parts = [{k: v if k == "done" else v[a:b] for k, v in state.items()} for a, b in zip(cuts, cuts[1:])]
        for done, outcomes in rounds(executor, advanced, (*plan, n_threads or 1), [()] * len(parts), parts,
                                     (int(state["done"]), burn + length, 2), "Fleming-Viot", progress):
            state = {k: np.concatenate([o[0][k] for o in outcomes]) for k in state if k != "done"}
            state["done"] = np.int64(done)
            if store.is_due:
                store.save(state)
    store.save(state)
    done, kills, places, hits, Y = (state[k] for k in ("done", "kills", "places", "hits", "Y"))
    done = int(done)
    counted = max(done - burn, 0)
    inputs = {"potential": source_of(e), "theta": e.schedule.theta, "dt": dt, "n_walkers": n_walkers,
              "n_systems": n_systems, "t": t, "burn_in": burn * dt, "seed": e.seed,
              "target": [repr(r) for r in targets.regions]}
    note = "" if done == burn + length else f"stopped by Ctrl-C after {done} of {burn + length} steps"
    note = note or targets.narrow(e)
    return _result(targets, kills, places, hits, np.ascontiguousarray(Y.transpose(0, 2, 1)), counted, dt,
                   inputs, note)


def _begun(e, n_walkers, n_systems):
    """State of the systems at the start: places Y (n_systems, ndim, n_walkers), generators S, counts."""
    S = np.empty((n_systems, 4, n_walkers), np.uint32)
    seed_systems(S, e.key)
    return {"Y": np.ascontiguousarray(np.broadcast_to(e.X[:, :1], (n_systems, e.ndim, n_walkers))), "S": S,
            "kills": np.zeros((n_systems, N_BATCHES), np.int64), "done": np.int64(0),
            "hits": np.zeros((n_systems, MOST_EXITS), np.int64),
            "places": np.zeros((n_systems, MOST_EXITS, e.ndim)), "number": np.arange(n_systems)}


def advanced(e, targets, burn, length, n_threads, state, end):
    """The systems of a state brought to the step `end`, in this process or in a worker: (state,)."""
    state = {k: np.array(v) for k, v in state.items()}
    done, Y = int(state["done"]), state["Y"]
    step = step_of(e.schedule.dt, e.schedule.theta, e.mobility, e.is_drift, e.n_rows)
    setting = (e.field.block("gradient"), e.field.p, step, e.table, targets.walls)
    counts = Counts(burn, length, state["kills"], state["places"], state["hits"])
    with thread_count(n_threads), np.errstate(over="ignore", invalid="ignore"):
        fleming_viot_systems(Y, state["S"], *setting, int(state["number"][0]), done, end - done,
                             np.uint64(e.key), counts)
    if not np.isfinite(Y).all():
        raise divergence(int((~np.isfinite(Y).all(axis=1)).sum()), Y.shape[0] * Y.shape[2], e.schedule.dt, e)
    return ({**state, "done": np.int64(end)},)


def _result(targets, kills, places, hits, walkers, counted, dt, inputs, note):
    """Rate and exit law from the counts of arrivals (n_systems, n_batches)."""
    n_systems, n_walkers = walkers.shape[:2]
    each, total = kills.sum(axis=1), int(kills.sum())
    exposure = n_systems * n_walkers * counted * dt
    method = f"Fleming-Viot, {n_systems} systems of {n_walkers} walkers, dt = {dt:g}, {total} arrivals"
    kept = np.minimum(each, MOST_EXITS)
    points = np.concatenate([places[k, :m] for k, m in enumerate(kept)])
    sides = targets.labels[np.concatenate([hits[k, :m] for k, m in enumerate(kept)])] if total else hits[0,
                                                                                                         :0]
    probabilities = {}
    for k, name in enumerate(targets.names):
        count = int((sides == k).sum())
        interval = interval_of_share(count, len(sides)) if total else (0.0, 1.0)
        share = count / len(sides) if total else math.nan
        probabilities[name] = PassageEstimate(share, interval, f"{method}, share", inputs=inputs, status="ok"
                                              if total else "no events",
                                              standard_error=math.sqrt(share * (1 - share) / len(sides))
                                              if total else math.inf)
    extras = dict(hits=total, exposure=exposure, exit_points=points, exit_sides=sides,
                  probabilities=probabilities, walkers=walkers, levels=None)
    if total == 0 or counted == 0:
        bound = 3 / exposure if exposure > 0 else math.inf
        status = (f"no events: nobody arrived in a total time of {exposure:.4g}, so the rate is below "
                  f"{bound:.3g} with probability 95 %; make t longer, or use fpkit.multilevel_splitting")
        return QuasiStationaryRate(math.nan, (0.0, bound), method, math.nan, note or status, inputs,
                                   standard_error=math.inf, systems=np.zeros(n_systems), **extras)
    systems = -np.log1p(-each / (n_walkers * counted)) / dt
    value = float(systems.mean())
    standard = float(systems.std(ddof=1)) / math.sqrt(n_systems)
    width = student_factor(n_systems) * standard
    # a rate: the reciprocal of a mean time
    poisson = [value**2 / v for v in interval_of_mean(value, 1 / total, total)][::-1]
    low, high = min(value - width, poisson[0]), max(value + width, poisson[1])
    bias = BIAS / n_walkers * value
    halves = kills[:, :N_BATCHES // 2].sum(1) - kills[:, N_BATCHES // 2:].sum(1)
    scatter = max(float(halves.std(ddof=1)) * math.sqrt(n_systems), math.sqrt(total))
    status = note or "ok"
    if not note and abs(halves.sum()) > UNSETTLED * scatter:
        status = (f"the halves of the run differ by {abs(halves.sum()) / scatter:.1f} standard errors: the "
                  "transient is not over, make t and burn_in longer")
    return QuasiStationaryRate(value, (max(low - bias, 0.0), high + bias), method, None, status, inputs,
                               standard_error=max(standard, value / math.sqrt(total)),
                               systems=systems, **extras)
