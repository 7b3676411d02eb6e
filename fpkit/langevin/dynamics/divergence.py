"""What went wrong when a path is no longer finite: how many, when first, and the time step that would have
helped."""
from __future__ import annotations

import numpy as np

MOST_REPLAYED, PIECE = 4096, 64


class DivergenceError(ArithmeticError):
    """Paths stopped being finite. `run` is the result up to the last time at which all were, `count` and
    `time` say how many and when first, `dt` is the time step that the curvature along the path asks for (NaN
    when the step is not the cause)."""

    def __init__(self, message, count=0, time=np.nan, dt=np.nan, run=None):
        super().__init__(message)
        self.count, self.time, self.dt, self.run = count, time, dt, run


def diverged(ensemble):
    """The error to raise, found by replaying the paths that failed from the last good state, step by step."""
    bad = np.flatnonzero(~np.isfinite(ensemble.X).all(axis=0))
    replay = _rewound(ensemble, bad[:MOST_REPLAYED])
    total = ensemble.step - replay.step
    while total > 0:
        start, n = replay.state(), min(PIECE, total)
        replay.advance(n)
        if not np.isfinite(replay.X).all():
            break
        total -= n
    replay.restore(start)
    here = replay.X.copy()
    places = np.concatenate([here[None], replay.advance(n, every=1)])
    finite = np.isfinite(places).all(axis=1)                     # (steps, paths)
    first = np.argmin(finite, axis=0) + len(places) * finite.all(axis=0)
    who, last = int(np.argmin(first)), int(first.min()) - 1
    step, time = int(start["step"]) + last, _time_of(ensemble, int(start["step"]) + last, start)
    path = places[: last + 1, :, who]
    count = (f"{bad.size} of {ensemble.n_paths} paths stopped being finite, the first at t = {time:.6g} "
             f"(step {step})")
    dt = _dt_at(ensemble, step, start)
    with np.errstate(all="ignore"):
        if ensemble.field is None:
            gradient = ensemble.process.drift(path[-1])
        else:
            gradient = np.asarray(ensemble.field.gradient(path[-1]), float)
    if not np.isfinite(gradient).all() and abs(path[-1]).max() < 1e6:
        return DivergenceError(f"{count}: the gradient of the potential is not finite at "
                               f"{np.round(path[-1], 6).tolist()}. Keep the paths where "
                               "it is defined, with walls=.", bad.size, time)
    stable, curvature = _stable_dt(ensemble, path, dt)
    helps = "a smaller dt or walls="
    if ensemble.scheme != "baoab":
        helps = 'a smaller dt, walls=, or scheme "mala"'
    if not np.isfinite(stable):
        return DivergenceError(f"{count} with dt = {dt:.3g}: try {helps}.", bad.size, time, dt / 4)
    law = "2/sqrt(curvature)" if ensemble.scheme == "baoab" else "2/curvature"
    advised = min(stable / 2, dt / 2)
    return DivergenceError(f"{count} with dt = {dt:.3g}: the curvature along the path reaches "
                           f"{curvature:.3g}, and a step is stable below {law} "
                           f"= {stable:.2g}. Try dt = {advised:.2g} or smaller.", bad.size, time, advised)


def _rewound(ensemble, which):
    """The trajectories `which` alone, in the state before the last call of `advance`."""
    part = ensemble.part(which)
    for name, array in ensemble.before.items():
        if np.ndim(array) and array.shape[-1] == ensemble.n_paths:
            setattr(part, name, np.ascontiguousarray(array[..., which]))
    part.step, part.time = int(ensemble.before["step"]), float(ensemble.before["time"])
    return part


def _dt_at(ensemble, step, start):
    schedule = ensemble.schedule
    return schedule.dt if isinstance(schedule.dt, float) else float(
        np.reshape(schedule.dt(step), ()) if callable(schedule.dt)
        else schedule.dt[min(step, schedule.dt.size - 1)])


def _time_of(ensemble, step, start):
    dt = ensemble.schedule.dt
    if isinstance(dt, float):
        return (step + 1) * dt
    return float(start["time"]) + sum(_dt_at(ensemble, k, start) for k in range(int(start["step"]), step + 1))


def _stable_dt(ensemble, path, dt):
    """(largest stable dt, curvature): the eigenvalues of A'HA over the living paths, and along the path until
    it was lost."""
    try:
        typical = ensemble.before["X"][:, :256].T
        root = ensemble.mobility.root if ensemble.mobility.is_constant else np.eye(ensemble.ndim)
        with np.errstate(all="ignore"):
            curvature = lambda x: np.linalg.eigvalsh(root.T @ np.asarray(ensemble.potential.hessian(x), float)
                                                     @ root)[..., -1]
            known = curvature(typical[np.isfinite(typical).all(axis=1)])
            along = curvature(path)
    except (NotImplementedError, TypeError, ValueError, np.linalg.LinAlgError):
        return np.nan, np.nan
    limit = (2 / dt) ** 2 if ensemble.scheme == "baoab" else 2 / dt
    lost = np.flatnonzero(along > limit)  # from here on the path is the scheme's, not the potential's
    known = np.concatenate([known, along[: lost[0] + 1] if lost.size else along])
    known = known[np.isfinite(known)]
    if known.size == 0 or known.max() <= 0:
        return np.nan, np.nan
    return (2 / np.sqrt(known.max()) if ensemble.scheme == "baoab" else 2 / known.max()), float(known.max())
