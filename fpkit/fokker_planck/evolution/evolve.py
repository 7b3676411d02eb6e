"""Evolution of a density from 1e-3 to 1e12 in one call: start, steps, reading, errors."""
from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import checks
from ...core.grid import Grid
from ...core.results import ResolutionWarning
from .assembly import space_order
from .initial import kind_of, node_start
from .problem import Problem, joined
from .reconstruction import Reconstruction
from .result import Evolution
from .split_operator import CLIP
from .stepping import StepControl
from .time_dependent import TimeDependentSteps

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .chain_operator import ReversibleChain

COARSE_CELLS = 300_000                     # above, the grid error is not estimated by a second run
LEAST_POSITIVE_TOL = 1e-5
STEEPEST = 2.0  # beta |df| between neighbours: there the numerical temperature |f'| h/2 equals theta
LIVING = 4.0  # beta (f - f0) up to which most of the density lives (exp(-4) = 0.02)


def evolve(diffusion: ReversibleChain, u0: Any, times: ArrayLike, tol: float | None = None,
           positive: bool = False, n_steps: int | None = None, order: int = 4,
           progress: bool | None = None) -> Evolution:
    """Densities at the given times, from du/dt = theta div[m exp(-beta f) grad(u exp(beta f))].

    Split steps of order 4 in space and 2 in time (lines solved without subtraction), then, at times beyond
    the local relaxation, implicit steps of the whole grid that grow without limit [1]_ [2]_.

    Parameters
    ----------
    diffusion : FokkerPlanck
    u0 : point (ndim,), (mean, std), array of grid.shape, Field or callable
        The start. A point is shared among the 2^ndim nearest cell centres so that its mean is exact (its
        variance is too large by at most h^2/4 an axis). ``(mean, std)`` is a Gaussian, std one number or one
        an axis. An array or Field holds cell averages, a callable ``density(points)`` takes points (...,
        ndim). The start is normalised to mass one.
    times : float or increasing sequence
        When to read the density, in units of time, each >= 0. The start is at time 0.
    tol : float, optional
        L1 error of the cell probabilities that the time steps may make; default 1e-6, and 1e-3 in positive
        mode.
    positive : bool
        Backward Euler on the chain of order 2: no negative value at any step and a relative entropy that
        never rises, but of order 1 in time (tol below 1e-5 is refused). Otherwise sharp starts may leave
        negative values of 1e-5 of the peak at early times.
    n_steps : int, optional
        This many equal split steps from each time to the next in place of automatic steps; the time error is
        then not known (NaN).
    order : {4, 2}
        Order in space. Non-uniform axes and position-dependent mobility have order 2 in any case; with a full
        mobility tensor or a named scheme the chain of the diffusion is used.
    progress : bool, optional
        Progress bar on the standard error stream; default: when that is a terminal.

    Returns
    -------
    Evolution
        After Ctrl-C it holds the times reached, and `status` says so.

    Examples
    --------
    >>> V = fp.Potential("(x**2 - 1)**2")
    >>> D = fp.FokkerPlanck(V, theta=0.2, grid=fp.Grid([(-2, 2)], shape=(64,)))
    >>> evolution = D.evolve([-1.0], times=[0.1, 1e6])
    >>> bool(evolution.distance[0] > 0.4 and evolution.distance[1] < 1e-9)
    True

    References
    ----------
    .. [1] W. K. Grassmann, M. I. Taksar, D. P. Heyman, Oper. Res. 33, 1107 (1985): elimination without
    subtraction.
    .. [2] R. Alexander, SIAM J. Numer. Anal. 14, 1006 (1977): L-stable implicit Runge-Kutta (SDIRK2).
    """
    times = _times(times)
    tol = (1e-3 if positive else 1e-6) if tol is None else checks.number("tol", tol, positive=True,
                                                                         hint="It bounds the L1 error of the time steps; 1e-6 is a good start.")
    if tol >= 1:
        raise ValueError(f"tol must be below 1, got {tol:g}: L1 distances of densities are at most 2.")
    if positive and tol < LEAST_POSITIVE_TOL and n_steps is None:
        raise ValueError(f"positive=True is of order 1 in time, tol = {tol:g} would take about {1 / tol:.0e} "
                         "steps; ask for tol >= 1e-4 or leave it out.")
    if n_steps is not None:
        n_steps = checks.whole("n_steps", n_steps, 1)
    order = checks.choice("order", order, (4, 2))
    if positive:
        # the order-4 mass gives no M-matrix at small steps; capped there it would be another chain at each
        # step
        order = 2
    problem = Problem(diffusion)
    kind = kind_of(u0, diffusion.grid)
    run = _Run(problem, kind, tol, bool(positive), n_steps, order, reads_start=times[0] == 0)
    show = progress if progress is not None else sys.stderr.isatty()
    with _bar(show, times.size) as bar:
        run.go(times, bar)
    space_error = np.full(times.size, np.nan)
    if n_steps is None and run.status == "ok":
        space_error = _space_error(problem, kind, times, tol, positive, order, run)
    return run.result(diffusion, times, space_error)


class _Run:
    """One start carried through all times on one grid."""

    def __init__(self, problem, kind, tol, positive, n_steps, order, reads_start=True, is_second=False):
        self.is_second = is_second
        self.problem, self.kind, self.tol, self.positive, self.n_steps, self.order = problem, kind, tol, positive, n_steps, order
        self.status = "ok"
        self.n_done, self.mass, self.facts = 0, [], []
        if problem.is_moving:
            self.stepper = TimeDependentSteps(problem, tol, positive, order, n_steps)
            lines = self.stepper.at(0.0)
        else:
            lines = problem.lines(order)
            self.stepper = StepControl(lines, tol, positive)
        self.reading = Reconstruction(lines, problem.reading_log_mass(0.0))
        self.v, P = node_start(*kind, lines, self.reading)
        self.lines = lines
        self.last_reading = self.reading
        self.masses = self.reading.part_masses(self.v)
        if problem.is_moving:
            self.v = lines.mass * self.v
        if P is None:
            v = self._node_values(lines, self.v)
            # read properly only when time 0 is asked for; else the node masses say what the start was
            P = self.reading.probabilities(v, self.masses) if reads_start else lines.mass * v
        self.start = P
        self.check_start()

    def check_start(self):
        """Warn, once a call, when the grid or the range of exponents is too small for this start."""
        if self.is_second:
            return
        warn_if_coarse(self.lines)
        stuck = np.exp(-CLIP) * (1 + 1e-9) >= self.lines.W
        if stuck.any() and self.start[stuck].sum() > self.tol:
            warnings.warn(f"part of u0 lies where beta f is more than {CLIP:g} above its minimum; there the "
                          "drift is too slow, so start lower "
                          "or raise theta.", ResolutionWarning, stacklevel=5)

    def go(self, times, bar):
        s, v = 0.0, self.v
        self.v = None                          # in 3D every array counts
        self.P = np.empty((times.size, v.size))
        self.stepper.horizon = times[-1]
        try:
            for k, t in enumerate(times):
                if t > s:
                    v = self.to(v, s, t, bar, k)
                s = t
                self.keep(v, t)
        except KeyboardInterrupt:
            self.status = f"interrupted after {self.n_done} of {times.size} times; the last one reached is kept"

    def to(self, v, s, t, bar, k):
        if self.problem.is_moving:
            return self.stepper.advance(v, s, t, lambda now: bar(k + (now - s) / (t - s)))
        if self.n_steps is None:
            return self.stepper.advance(v, s, t, lambda now: bar(k + (now - s) / (t - s)))
        dt, done = (t - s) / self.n_steps, 0
        self.stepper.counts.strang += self.n_steps
        if not self.lines.is_split:
            return self.stepper.coupled_steps(v, dt, self.n_steps)
        # about a second, so that Ctrl-C is heard
        chunk = max(1, min(self.n_steps, 50_000_000 // self.lines.W.size))
        while done < self.n_steps:
            m = min(chunk, self.n_steps - done)
            v = self.lines.strang(v.copy() if done == 0 and s > 0 else v, dt, m, self.stepper.mode)
            done += m
            bar(k + done / self.n_steps)
        return v

    def _node_values(self, lines, v):
        """v = u/D from the node masses u that are carried while the chain moves."""
        return v if not self.problem.is_moving else np.divide(v, lines.mass, out=np.zeros_like(v),
                                                              where=lines.mass > 0)

    def keep(self, v, t):
        """Read the density at time t and its functionals."""
        problem = self.problem
        reading = self.reading
        if problem.is_moving:
            lines = self.stepper.at(t)
            reading = Reconstruction(lines, problem.reading_log_mass(t),
                                     (self.reading.n_parts, self.reading.part))
            v = self._node_values(lines, v)
            self.last_reading = reading
        now = reading.part_masses(v)
        is_killing = self.lines.killing is not None
        P = self.start.copy() if t == 0 else reading.probabilities(v, now if is_killing else self.masses)
        if problem.is_rough(P):
            reading = Reconstruction(reading.lines, problem.reading_log_mass(t),
                                     (reading.n_parts, reading.part))
            self.reading = self.reading if problem.is_moving else reading
            self.last_reading = reading
            P = reading.probabilities(v, now if is_killing else self.masses) if t > 0 else P
        self.P[self.n_done] = P
        self.n_done += 1
        self.mass.append(now.sum() * self.stepper.drift)
        self.facts.append(problem.functionals(P, t, reading, self.masses))

    def result(self, diffusion, times, space_error):
        grid, n = diffusion.grid, self.n_done
        problem = self.problem
        volumes = grid.volumes.ravel() if not grid.is_uniform else float(np.prod(grid.h))
        self.P /= volumes
        densities = self.P[:n].reshape(n, *grid.shape)
        facts = np.array(self.facts).reshape(n, 3)
        last = times[n - 1] if n else 0.0
        gibbs = problem.equilibrium(last, self.last_reading, self.masses)
        gibbs /= volumes
        self.start /= volumes
        fixed = self.n_steps is not None
        rounding = 0.0 if fixed else self.stepper.rounding_rate
        time_error = np.full(n, np.nan) if fixed else np.minimum(self.tol + rounding * times[:n], 2.0)
        counts = self.stepper.counts.as_dict()
        return Evolution(times=times[:n].copy(), densities=densities, grid=grid,
                         theta=problem.theta_text(times[:n]),
                         gibbs=gibbs.reshape(grid.shape), mass=np.array(self.mass), free_energy=facts[:, 0],
                         relative_entropy=facts[:, 1],
                         distance=facts[:, 2], time_error=time_error, space_error=space_error[:n],
                         start=self.start.reshape(grid.shape), steps=counts,
                         resolution=float(problem.resolution(self.lines)),
                         status=self.status, inputs={**problem.provenance(), "tol": self.tol,
                                                     "positive": self.positive,
                                                     "n_steps": self.n_steps,
                                                     "order": space_order(self.lines),
                                                     "start": self.kind[0], "start_data": None if self.kind[0]
                                                     in ("array", "function") else self.kind[1]})


def _space_error(problem, kind, times, tol, positive, order, run):
    """L1 error of the grid from a second run with about twice the cell width: the difference over r^p - 1, r
    the ratio of widths.

    p = 4 or 2, the order in space; a quarter of the gain only where the difference is large (the order is not
    seen yet) and no gain beside an absorbing set, whose cut cells err irregularly.
    """
    grid = problem.grid
    missing = np.full(times.size, np.nan)
    if grid.n_cells > COARSE_CELLS or min(grid.shape) < 8 or problem.is_foreign:
        return missing
    coarse = grid_of_half(grid)
    if coarse is None:
        return missing
    name, data = kind
    if name == "array":
        data = np.maximum(_regridded(data * grid.volumes, grid, coarse), 0.0) * coarse.inside / coarse.volumes
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            second = _Run(problem.on(coarse), (name, data), tol, positive, None, order, times[0] == 0,
                          is_second=True)
            second.go(times, lambda x: None)
    except ValueError:                      # e.g. the start lies in a cell that the coarse mask removes
        return missing
    if second.n_done < times.size:
        return missing
    ratio = max(coarse.h / grid.h)
    gain = max(ratio ** space_order(run.lines) - 1, 1.0) if problem.absorbing is None else 1.0
    gaps = [np.abs(_regridded(P.reshape(grid.shape), grid, coarse) - Q.reshape(coarse.shape)).sum() for P,
            Q in zip(run.P, second.P)]
    return np.array([min(gap / (gain if gap < 0.03 else max(gain / 4, 1.0)), 2.0) for gap in gaps])


def grid_of_half(grid):
    """The same domain with half the cells an axis (rounded up); None for a mask given as an array on an odd
    number of cells.

    Such a mask keeps a pair of cells when both are inside.
    """
    mask = grid.mask
    is_even = all(n % 2 == 0 for n in grid.shape)
    if mask is not None and not callable(mask) and not hasattr(mask, "contains"):
        if not is_even:
            return None
        mask = joined(grid.inside.astype(float), grid.shape) == 2**grid.ndim
    if grid.is_uniform:
        return Grid(grid.bounds, [(n + 1) // 2 for n in grid.shape], grid.periodic, mask)
    return Grid.from_edges([e[::2] if e.size % 2 else np.append(e[::2], e[-1]) for e in grid.edges],
                           grid.periodic, mask)


def _regridded(P, grid, coarse):
    """Cell probabilities on the coarse cells: sums of pairs, or a cubic spline through the cumulative sums
    where cells are cut."""
    if all(n == 2 * m for n, m in zip(grid.shape, coarse.shape)):
        return joined(P, grid.shape)
    from scipy.interpolate import CubicSpline
    for axis in range(grid.ndim):
        below = np.concatenate([np.zeros_like(np.take(P, [0], axis)), np.cumsum(P, axis)], axis)
        P = np.diff(CubicSpline(grid.edges[axis], below, axis=axis)(coarse.edges[axis]), axis=axis)
    return P


def warn_if_coarse(lines):
    """A ResolutionWarning that names the axis and the number of cells that would help, where beta f changes
    too fast between nodes."""
    worst, worst_axis = 1.0, 0
    W = lines.W.reshape(lines.shape)
    for axis, n in enumerate(lines.shape):
        for k in range(0, lines.shape[0], 16):                 # slabs: in 3D whole copies are 17 MB each
            slab = W[k:k + 16 + (axis == 0)]
            a, b = (slab[(slice(None),) * axis + (part,)] for part in (slice(None, -1), slice(1, None)))
            high, low = np.maximum(a, b), np.minimum(a, b)
            alive = (low > 0) & ((low >= np.exp(-LIVING)) | (high >= 1.0))
            ratio = np.divide(high, low, out=np.ones_like(high), where=alive)
            if ratio.size and ratio.max() > worst:
                worst, worst_axis = float(ratio.max()), axis
    change = np.log(worst)
    if change > STEEPEST:
        n = lines.shape[worst_axis] * change / STEEPEST
        digits = 10.0 ** max(np.floor(np.log10(n)) - 1, 0)
        warnings.warn(f"f changes by {change:.1f} theta between neighbouring cells on axis {worst_axis} "
                      "where the density lives; it will be too wide "
                      f"and slow drift may be off. About {int(np.ceil(n / digits) * digits)} cells on that "
                      f"axis would bring this below {STEEPEST:g}.",
                      ResolutionWarning, stacklevel=6)


def _times(times):
    try:
        array = np.atleast_1d(np.asarray(times, float)).astype(float)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"times must be numbers, got {checks.shown(times)}.") from None
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"times must be one list of numbers, got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError("times must be finite; for the limit of infinite time use `gibbs`.")
    if (array < 0).any():
        raise ValueError(f"times must not be negative, got {array.min():g}.")
    if (np.diff(array) <= 0).any():
        raise ValueError(f"times must be increasing, got {checks.shown(times)}; sort them.")
    return array


class _bar:
    """A progress bar over the output times, or nothing."""

    def __init__(self, is_shown, n_times):
        self.bar = None
        if is_shown:
            from tqdm import tqdm
            self.bar = tqdm(total=n_times, desc="density", unit=" times", leave=False, file=sys.stderr,
                            bar_format="{desc}: {percentage:3.0f}% |{bar}| {elapsed}<{remaining}")

    def __enter__(self):
        return self

    def __call__(self, x):
        if self.bar is not None:
            self.bar.n = min(x, self.bar.total)
            self.bar.refresh() if self.bar.n >= self.bar.total else self.bar.update(0)

    def __exit__(self, *exception):
        if self.bar is not None:
            self.bar.close()
