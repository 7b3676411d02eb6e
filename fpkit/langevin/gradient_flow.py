"""The noise-free limit: dx/dt = -M grad f, solved as an ordinary differential equation."""
from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import LSODA

from ..core import checks
from ..core.calls import understood
from ..core.interruption import interruption
from ..core.views.pictures import curves
from ..core.views.tables import Tabular, coordinate_names
from ..potentials.mobility import mobility_of, refuse_tensor
from ..potentials.potential import Potential

LOST = 1e4  # sizes of the start: a flow this far away does not come back
MOST_STEPS = 50_000  # a blow-up in finite time would take steps without end


@dataclass(frozen=True, repr=False)
class Flow(Tabular):
    """Trajectories of the gradient flow.

    Attributes
    ----------
    x : ndarray (ndim,) or (n_paths, ndim)
        Places at the last time, in the shape of `x0`.
    paths : ndarray (..., n_times, ndim)
        Places at `times`.
    times : ndarray (n_times,)
    values : ndarray (..., n_times)
        f along the paths; it never rises (unless f depends on time).
    status : str
        "ok", or a sentence that says which paths ended early.
    inputs : dict
        What made it.
    """
    x: np.ndarray
    paths: np.ndarray
    times: np.ndarray
    values: np.ndarray
    status: str = "ok"
    inputs: dict = field(default_factory=dict)

    def _columns(self):
        paths, names = np.atleast_3d(self.paths.T).T, coordinate_names(self.x.shape[-1])
        n_paths, n_times = paths.shape[:2]
        return {"path": np.repeat(np.arange(n_paths), n_times), "time": np.tile(self.times, n_paths),
                **{name: paths[..., k].ravel() for k, name in enumerate(names)},
                "value": np.ravel(self.values)}

    def _picture(self):
        return curves([(self.times, v) for v in np.atleast_2d(self.values)[:4]])

    def __repr__(self):
        n = 1 if self.x.ndim == 1 else len(self.x)
        start, end = np.atleast_2d(self.values)[0, [0, -1]]
        text = (f"gradient flow of {n} point{'s' if n > 1 else ''} to t = {self.times[-1]:g}: f from "
                f"{start:.6g} to {end:.6g}{' (first point)' if n > 1 else ''}")
        return text if self.status == "ok" else f"{text}; {self.status}"


@understood
def gradient_flow(potential: Potential, x0: ArrayLike, t: ArrayLike, mobility=None,
                  tol: float = 1e-9) -> Flow:
    """Solution of dx/dt = -M grad f(x) from `x0`: the limit theta = 0 of the diffusion.

    Parameters
    ----------
    potential : Potential
        f; a parameter named ``t`` is the time.
    x0 : array (ndim,) or (n_paths, ndim)
        Starts.
    t : float or array (n_times,)
        End time (the path is then given at 101 equal times from 0), or increasing times from 0 on; 0 is added
        when it is missing.
    mobility : float, (ndim,), (ndim, ndim) or callable, optional
        M, as in `fpkit.simulate`.
    tol : float
        Relative error of one step of the solver [1]_; absolute ``tol`` times the size of the start, at least
        1e-3 of it. The error at time t is of this order while the flow contracts.

    Returns
    -------
    Flow
        ``.x`` ends, ``.paths``, ``.times``, ``.values`` (f along the way). Ctrl-C returns what is done, and
        `status` says so.

    Examples
    --------
    >>> V = fp.Potential("0.5*k*x**2", k=2.0)
    >>> flow = fp.gradient_flow(V, [1.0], t=1.5)
    >>> bool(abs(flow.x[0] - np.exp(-3.0)) < 1e-8)
    True

    References
    ----------
    .. [1] L. Petzold, SIAM J. Sci. Stat. Comput. 4, 136 (1983): LSODA, which changes to implicit steps where
    the flow is stiff.
    """
    x = checks.points("x0", np.atleast_1d(x0), potential.ndim)
    if x.ndim > 2:
        raise ValueError(f"x0 must have shape ({potential.ndim},) or (n_paths, {potential.ndim}), got "
                         f"{x.shape}.")
    tol = checks.number("tol", tol, positive=True)
    if np.ndim(t) == 0:
        times = np.linspace(0.0, checks.number("t", t, positive=True), 101)
    else:
        times = np.asarray(t, float).ravel()
        if times.size == 0 or not np.isfinite(times).all() or times[0] < 0 or (np.diff(times) <= 0).any():
            raise ValueError("t must be a positive number, or increasing finite times that start at 0 or "
                             "later.")
        times = times if times[0] == 0 else np.concatenate([[0.0], times])
        if times.size < 2:
            raise ValueError("t must reach beyond 0.")
    m = mobility_of(mobility, potential.ndim)
    refuse_tensor(m)
    is_timed = potential.is_time_dependent
    at = (lambda s: potential.with_params(t=float(s))) if is_timed else (lambda s: potential)

    def velocity(s, y):
        g = np.asarray(at(s).gradient(y), float)
        return -(m.matrix @ g) if m.is_constant else -m.at(y[None])[0] * g

    starts, failed, stopped = np.atleast_2d(x), [], None
    paths = np.full((len(starts), times.size, potential.ndim), np.nan)
    with interruption() as is_pressed, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for k, start in enumerate(starts):
            paths[k], reached = _followed(velocity, start, times, tol, is_pressed)
            if is_pressed():
                stopped = k
                break
            if reached < times[-1]:
                failed.append((k, reached))
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.stack([np.asarray(at(s)(paths[:, j]), float) for j, s in enumerate(times)], axis=-1)
    status = "ok" if not failed else (f"{len(failed)} of {len(starts)} points could not be followed to the "
                                      "end, the first (number "
                                      f"{failed[0][0]}) only to t = {failed[0][1]:.3g}: f is not bounded "
                                      "below there, or its gradient is not finite")
    if stopped is not None:
        status = (f"stopped by Ctrl-C: {stopped} of {len(starts)} points were followed to the end, the next "
                  "one to "
                  f"t = {times[np.isfinite(paths[stopped]).all(axis=1)].max(initial=0.0):.3g}; what is "
                  "missing is nan")
    jumps = [] if status != "ok" else [j for path in paths if (j := potential.jump_along(path)) is not None]
    if jumps:
        status = (f"f jumps near x = {jumps[0][0]} on the way of {len(jumps)} of {len(starts)} points: the "
                  "flow follows the gradient, which does not show it")
    if x.ndim == 1:
        paths, values = paths[0], values[0]
    inputs: Any = dict(potential=potential, x0=x, mobility=mobility, tol=tol)
    return Flow(x=paths[..., -1, :].copy(), paths=paths, times=times, values=values, status=status,
                inputs=inputs)


def _followed(velocity, start, times, tol, is_pressed):
    """Places at `times` (NaN after the last one reached), and the time reached."""
    scale = max(1e-3, float(abs(start).max()))
    path, at = np.full((times.size, start.size), np.nan), 1
    path[0] = start
    solver = LSODA(velocity, 0.0, start, times[-1], rtol=max(tol, 1e-13), atol=tol * scale * 1e-2)
    for _ in range(MOST_STEPS):
        if is_pressed():
            return path, times[at - 1]
        if np.isfinite(velocity(solver.t, solver.y)).all():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # LSODA's own words on a blow-up; the status says it better
                solver.step()
        is_lost = not np.isfinite(solver.y).all() or abs(solver.y).max() > LOST * scale
        if solver.status == "failed" or solver.t == solver.t_old or is_lost:
            return path, times[at - 1]
        n = int(np.searchsorted(times, solver.t, side="right"))
        if n > at:
            path[at:n] = solver.dense_output()(times[at:n]).T
            at = n
        if solver.status == "finished":
            path[-1] = solver.y
            return path, times[-1]
    return path, times[at - 1]
