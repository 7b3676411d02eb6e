"""Evolution of a density from 1e-3 to 1e12 in one call: start, steps, reading, errors."""
from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import checks
from ...core.calls import understood, warned
from ...core.interruption import stop_if_needed_whole
from ...core.progress import bar, is_shown
from ...core.results import ResolutionWarning
from ...core.runs.checkpoint import Checkpoint
from .assembly import space_order
from .chain_operator import exact_line
from .grid_error import (
    SAFETY,
    STEEPEST,
    convergence_of,
    early_errors,
    is_narrow,
    is_rough,
    jump_errors,
    observed_error,
    regridded,
    walk_error,
    wall_errors,
)
from .initial import kind_of, node_start
from .problem import Problem
from .result import Evolution
from .stepping import StepControl
from .time_dependent import TimeDependentSteps

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .chain_operator import ReversibleChain

LEAST_CELLS = 8                            # of an axis whose grid is halved to see the error
MOST_FINER = 20_000                        # cells of a finer grid, where halving shows nothing
# log of the nodes' sum of exp(-beta f) over its integral, from which nothing is known
UNRESOLVED = np.log(2.0)
LOST = 1.0  # a space error in L1 from which on the density says nothing
LEAST_POSITIVE_TOL = 1e-5
# tolerance of the runs that show the error of the grid over that of the run, at most `WIDEST`, where the
# grids differ by `CLEAR` times it
LOOSER, WIDEST, CLEAR = 100.0, 1e-3, 20.0
SHORE = 20.0  # beta (f - f0) up to which a cell beside the density is no wall of a box
LIVING = 4.0  # beta (f - f0) up to which most of the density lives (exp(-4) = 0.02)


@understood
def evolve(diffusion: ReversibleChain, u0: Any, times: ArrayLike, tol: float | None = None,
           positive: bool = False, n_steps: int | None = None, order: int = 4,
           progress: bool | None = None, checkpoint: str | os.PathLike[str] | None = None,
           checkpoint_every: float = 60.0, resume: bool | None = None) -> Evolution:
    """Densities at the given times, from du/dt = theta div[m exp(-beta f) grad(u exp(beta f))].

    Split steps of order 4 in space and 2 in time (lines solved without subtraction), then, at times beyond
    the local relaxation, implicit steps of the whole grid that grow without limit [1]_ [2]_. Only differences
    of f between neighbours are used, so that a start any number of theta up slides down as it must.

    Parameters
    ----------
    diffusion : FokkerPlanck
    u0 : point (ndim,), (mean, std), array of grid.shape, Field or callable
        The start. A point, and a Gaussian narrower than 1.5 cells, is shared among the nodes around it so
        that its moments up to the third are exact (in positive mode and beside masks the mean alone, the
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
        never rises, but of order 1 in time (tol below 1e-5 is refused). Otherwise steps that do not resolve a
        sharp start may leave negative values: these are cut off, and what was cut counts in the error.
    n_steps : int, optional
        This many equal split steps from each time to the next in place of automatic steps; the time error is
        then not known (NaN). With a force, steps beyond the local relaxation are of the whole grid, since
        lines do not share its stationary state.
    order : {4, 2}
        Order in space. Non-uniform axes and position-dependent mobility have order 2 in any case; with a full
        mobility tensor or a named scheme the chain of the diffusion is used.
    progress : bool, optional
        Progress bar on the standard error stream; default: when that is a terminal.
    checkpoint : path, optional
        File for the state, written every `checkpoint_every` seconds, at Ctrl-C and at the end; the coarser
        grids of the error have files beside it (``.half`` ...). A call with the same arguments goes
        on from there, to the same bits; with `n_steps` from the last time or the last second of steps.
    checkpoint_every : float
    resume : bool, optional
        True: the file must be there; False: start anew; default: go on if it is there.

    Returns
    -------
    Evolution
        Its error comes from the same evolution on grids of half and a quarter of the cells an axis: 2 times
        the work in one dimension, 1.25 in two, 1.15 in three. After Ctrl-C it holds the times reached, and
        `status` says so; `status` also says when the cells are too wide for the wells.

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
    .. [2] S. P. Norsett, BIT 14, 63 (1974): restricted Pade approximations to exp, here of order 8.
    """
    return evolved(Problem(diffusion), u0, times, tol, positive, n_steps, order, progress, checkpoint,
                   checkpoint_every, resume)


def evolved(problem, u0, times, tol=None, positive=False, n_steps=None, order=4, progress=None,
            checkpoint=None, checkpoint_every=60.0, resume=None, look=None) -> Evolution:
    """`Evolution` of a `Problem`; look(run, times) gives the errors of the grid in place of coarser grids."""
    times = _times(times)
    if tol is None:
        tol = 1e-3 if positive else 1e-6
    tol = checks.number("tol", tol, positive=True,
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
    diffusion = problem.diffusion
    kind = kind_of(u0, diffusion.grid)
    options = tol, bool(positive), n_steps, order
    identity = {"call": "evolve", "diffusion": diffusion, "start": kind, "options": options, "times": times}
    store = Checkpoint(checkpoint, checkpoint_every, resume, {} if checkpoint is None else identity)
    run = Run(problem, kind, options, reads_start=times[0] == 0, store=store)
    show = is_shown(progress)
    with _bar(show, times.size) as bar:
        run.go(times, bar)
    space_error = np.full(times.size, np.nan)
    if run.status == "ok" and (n_steps is None or look is not None):
        space_error = np.maximum((look or _space_error)(run, times), early_errors(run, times))
    if run.resolution > UNRESOLVED and run.status == "ok" and not problem.is_foreign:
        run.status = ("not resolved: the cell centres see exp(-f/theta) "
                      f"{np.exp(min(run.resolution, 700.0)):.3g} times off its integral; refine the grid or "
                      "raise theta")
        space_error = np.full(times.size, 2.0)
    lost = np.flatnonzero(space_error >= LOST)
    if lost.size and run.status == "ok":
        run.status = (f"not resolved at {lost.size} of {times.size} times, first at t = {times[lost[0]]:g}: "
                      "the grids disagree there by as much as densities can; refine the grid")
    return run.result(diffusion, times, space_error)


class Run:
    """One start carried through all times on one grid."""

    def __init__(self, problem, kind, options, reads_start=True, first=None, store=None):
        self.store, self.latest, self.has_exact_masses = store or Checkpoint(None, 1.0, None, {}), None, False
        tol, positive, n_steps, order = options
        self.problem, self.kind, self.options, self.n_steps, self.tol = problem, kind, options, n_steps, tol
        self.status = "ok"
        self.n_done, self.mass, self.facts, self.beside, self.resolution = 0, [], [], [], 0.0
        if problem.is_moving:
            self.stepper = TimeDependentSteps(problem, tol, positive, order, n_steps)
            lines = self.stepper.at(0.0)
        else:
            lines = problem.lines(order)
            self.stepper = StepControl(lines, tol, positive)
        self.reading = problem.reading(lines, 0.0)
        self.is_exact, self.has_poles = False, False
        begun, reading = node_start(*kind, lines, self.reading, positive), self.reading
        if problem.is_split and not problem.is_moving and not problem.is_foreign:
            lines = self._rough(lines, begun[0], positive, first)
            if self.reading is not reading:
                begun = node_start(*kind, lines, self.reading, positive)
        self.p, self.start = begun
        self.lines = lines
        self.masses = self.reading.part_masses(self.p)
        if self.start is None:
            # read properly only when time 0 is asked for; else the node masses say what the start was
            self.start = self.reading.probabilities(self.p, self.masses)[0] if reads_start else self.p.copy()
        if first is None and not lines.is_driven:
            warn_if_coarse(lines)

    def _rough(self, lines, p, positive, first):
        """The lines that a rough potential needs, on coarser grids the same as on the first one."""
        problem, reading = self.problem, self.reading
        if first is None:
            self.is_exact = not lines.is_driven and is_rough(lines, p, reading.jump, problem)
        else:
            self.is_exact = first.is_exact
        if self.is_exact:
            exact = exact_line(problem.diffusion)
            if exact is not None:
                self.stepper = StepControl(exact, self.tol, positive)
                self.reading = problem.reading(exact, 0.0, (reading.n_parts, reading.part))
                return exact
            self.is_exact = False
        if lines.take_cell_masses(reading.jump):
            self.reading = problem.reading(lines, 0.0, (reading.n_parts, reading.part))
            self.has_poles = True
        return lines

    def go(self, times, bar):
        s, p, done = 0.0, self.p, 0
        self.p = None                          # in 3D every array counts
        self.P = np.empty((times.size, p.size))
        self.stepper.horizon = times[-1]
        if self.store.found is not None:
            p, s, done = self._restore(self.store.found)
        try:
            for k in range(self.n_done, times.size):
                t = times[k]
                if t > s:
                    p = self.to(p, s, t, bar, k, done)
                s, done = t, 0
                self.keep(p, t)
                self._note(p, t)
        except KeyboardInterrupt:
            stop_if_needed_whole()
            self.status = (f"interrupted after {self.n_done} of {times.size} times; the last one reached is "
                           "kept")
        except ArithmeticError as error:
            self.status = f"stopped after {self.n_done} of {times.size} times: {error}"
        if self.latest is not None:
            self.store.save(self.latest())

    def to(self, p, s, t, bar, k, done=0):
        def report(now, p):
            bar(k + (now - s) / (t - s))
            self._note(p, now)
        if self.problem.is_moving or self.n_steps is None:
            return self.stepper.advance(p, s, t, report)
        dt = (t - s) / self.n_steps
        if not self.lines.is_split or done == 0 and self.stepper.is_beyond(p, dt):
            return self.stepper.coupled_steps(p, dt, self.n_steps)
        if done == 0:
            self.stepper.counts.strang += self.n_steps
        # about a second, so that Ctrl-C is heard
        chunk = max(1, min(self.n_steps, 50_000_000 // self.lines.b.size))
        while done < self.n_steps:
            m = min(chunk, self.n_steps - done)
            p = self.lines.strang(p.copy() if done == 0 and s > 0 else p, dt, m, self.stepper.mode)
            done += m
            bar(k + done / self.n_steps)
            if done < self.n_steps:
                self._note(p, s, done)
        return p

    def _note(self, p, s, done=0):
        """The state after so many fixed steps beyond time s is one to go on from; written when it is time."""
        if self.store.path is None or p is None:
            return
        n, control = self.n_done, self.stepper.state()

        def arrays(p=p.copy() if done else p):
            return {"p": p, "at": np.array([s, done, n, self.resolution, self.has_exact_masses], float),
                    "P": self.P[:n], "mass": np.array(self.mass[:n]), "beside": np.array(self.beside[:n]),
                    "facts": np.array(self.facts[:n]).reshape(n, 3), **control}
        self.latest = arrays
        if self.store.is_due:
            self.store.save(arrays())

    def _restore(self, found):
        """(p, time, fixed steps since) of a state that was written."""
        s, done, n, self.resolution, is_exact = found["at"].tolist()
        self.n_done = n = int(n)
        self.P[:n] = found["P"]
        self.mass, self.beside = list(found["mass"]), list(found["beside"])
        self.facts = [tuple(row) for row in found["facts"]]
        self.stepper.restore(found)
        if is_exact:
            self._take_exact_masses(s)
        return np.array(found["p"]), s, int(done)

    def _take_exact_masses(self, t):
        reading, self.has_exact_masses = self.reading, True
        self.problem.forget_quick_masses()
        lines = self.stepper.at(t) if self.problem.is_moving else self.lines
        self.reading = self.problem.reading(lines, t, (reading.n_parts, reading.part))

    def keep(self, p, t):
        """Read the density at time t and its functionals."""
        problem, reading, lines = self.problem, self.reading, self.lines
        if problem.is_moving:
            lines = self.stepper.at(t)
            reading = problem.reading(lines, t, (reading.n_parts, reading.part))
        now = reading.part_masses(p)
        masses = self.masses if lines.killing is None else now
        P, cut = (self.start.copy(), 0.0) if t == 0 else reading.probabilities(p, masses)
        if problem.is_rough(P):
            self._take_exact_masses(t)
            reading = self.reading
            if t > 0:
                P, cut = reading.probabilities(p, masses)
        if not np.isfinite(P).all():
            raise ArithmeticError(f"the density at t = {t:g} is not finite; refine the grid or raise theta.")
        self.reading = reading
        self.P[self.n_done] = P
        self.n_done += 1
        self.beside.append(2 * cut + problem.mass_error(P, t))
        self.mass.append(now.sum() * self.stepper.drift)
        self.facts.append(problem.functionals(P, t, reading, self.masses))
        self.resolution = max(self.resolution, abs(problem.resolution(lines, reading)))

    def result(self, diffusion, times, space_error):
        grid, n, problem = diffusion.grid, self.n_done, self.problem
        tol, positive, n_steps, _ = self.options
        volumes = grid.volumes.ravel() if not grid.is_uniform else float(np.prod(grid.h))
        self.P /= volumes
        densities = self.P[:n].reshape(n, *grid.shape)
        facts = np.array(self.facts).reshape(n, 3)
        gibbs = problem.equilibrium(times[n - 1] if n else 0.0, self.reading, self.masses) / volumes
        time_error = np.full(n, np.nan)
        if n_steps is None:
            time_error = np.minimum(tol + self.stepper.rounding_rate * times[:n], 2.0)
        inputs = {**problem.provenance(), "tol": tol, "positive": positive, "n_steps": n_steps,
                  "order": space_order(self.lines), "start": self.kind[0],
                  "start_data": None if self.kind[0] in ("array", "function") else self.kind[1]}
        return Evolution(times=times[:n].copy(), densities=densities, grid=grid,
                         theta=problem.theta_text(times[:n]), gibbs=gibbs.reshape(grid.shape),
                         mass=np.array(self.mass), free_energy=facts[:, 0], relative_entropy=facts[:, 1],
                         distance=facts[:, 2], time_error=time_error, space_error=space_error[:n],
                         start=(self.start / volumes).reshape(grid.shape),
                         steps=self.stepper.counts.as_dict(),
                         resolution=float(abs(np.expm1(min(self.resolution, 700.0)))), status=self.status,
                         inputs=inputs)


def _space_error(run, times):
    """L1 error of the grid at each time, from runs with about twice and four times the cell width.

    The ratio of the two differences is the gain seen; differences and gains see the start, kinks, walls and
    steep drift as well. Where a coarser grid does not exist, has another mask or does not see a set that
    absorbs, the runs have half and a quarter of the width. NaN where neither can be.
    """
    if run.problem.is_foreign:
        return np.full(times.size, np.nan)
    options = convergence_of(run), is_narrow(run, times)
    found = _differences(run, times, _coarser)
    seen = observed_error(found, *options) if found else None
    if not found:
        found = _differences(run, times, _finer)
        if not found:
            return np.full(times.size, np.nan)
        seen = observed_error(found[::-1], *options) + SAFETY * found[0]
    seen = np.maximum(seen, walk_error(run, times)) + run.beside
    return np.minimum(seen + wall_errors(run) + jump_errors(run, times), 2.0)


def _differences(run, times, other):
    """L1 distances at each time from a run to the next, on at most two other grids.

    Those are run with a tolerance as wide as the grids differ by far more than; it is added, so that no
    distance is too small for it.
    """
    tol = run.options[0]
    wide = LOOSER * tol
    if wide < WIDEST:
        found = _distances(run, times, other, wide)
        if not found or max(found[0]) >= CLEAR * wide:
            return [distance + wide for distance in found]
        wide = max(found[0]) / CLEAR
        if wide > 2 * tol:
            return [distance + wide for distance in _distances(run, times, other, wide)]
    return _distances(run, times, other, tol)


def _distances(run, times, other, tol):
    found, one = [], run
    for _ in range(2):
        grid = other(one.problem.grid)
        if grid is None:
            break
        name, data = one.kind
        if name == "array":
            old = one.problem.grid
            if grid.n_cells < old.n_cells:
                data = np.maximum(regridded(data * old.volumes, old, grid), 0.0) * grid.inside / grid.volumes
            else:
                data = np.kron(data, np.ones((2,) * grid.ndim))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                options = tol, *run.options[1:]
                name_of_file = ("half", "quarter")[len(found)] + (".again" if tol < LOOSER * run.tol else "")
                store = Checkpoint(run.store.then(name_of_file), run.store.seconds, None,
                                   {"of": run.store.digest, "grid": grid.shape, "tol": tol})
                two = Run(one.problem.on(grid), (name, data), options, times[0] == 0, run, store)
                two.go(times, lambda x: None)
        except ValueError:     # e.g. the start lies in a cell that the other mask removes
            break
        if two.n_done < times.size:
            break
        fine, coarse = (one, two) if grid.n_cells < one.problem.grid.n_cells else (two, one)
        grids = fine.problem.grid, coarse.problem.grid
        found.append(np.array([np.abs(regridded(a.reshape(grids[0].shape), *grids)
                                      - b.reshape(grids[1].shape)).sum() for a, b in zip(fine.P, coarse.P)]))
        one = two
    return found


def _coarser(grid):
    """Half the cells along each axis, or None where that is another domain."""
    coarse = grid.coarsened() if min(grid.shape) >= LEAST_CELLS else None
    if (coarse is not None and grid.has_array_mask and 2**grid.ndim * grid.n_cells <= MOST_FINER
            and (coarse.refined().inside != grid.inside).any()):
        return None
    return coarse


def _finer(grid):
    return grid.refined() if 2**grid.ndim * grid.n_cells <= MOST_FINER else None


def warn_if_coarse(lines):
    """A ResolutionWarning that names the axis and the number of cells that would help, where beta f changes
    too fast between nodes."""
    change, worst_axis = 0.0, 0
    b = lines.b.reshape(lines.shape)
    if lines.inside is not None:
        b = np.where(lines.inside.reshape(lines.shape), b, np.inf)
    for axis in range(len(lines.shape)):
        for k in range(0, lines.shape[0], 16):                 # slabs: in 3D whole copies are 17 MB each
            slab = b[k:k + 16 + (axis == 0)]
            one, two = (slab[(slice(None),) * axis + (part,)] for part in (slice(None, -1), slice(1, None)))
            high, low = np.maximum(one, two), np.minimum(one, two)
            lives = (high < np.inf) & ((high <= LIVING) | (low <= 0.0) | (low <= LIVING / 2)
                                       & (high <= SHORE))
            steepest = float((high[lives] - low[lives]).max(initial=0.0))
            if steepest > change:
                change, worst_axis = steepest, axis
    if change > STEEPEST:
        n = lines.shape[worst_axis] * change / STEEPEST
        digits = 10.0 ** max(np.floor(np.log10(n)) - 1, 0)
        warned(f"f changes by {change:.1f} theta between neighbouring cells on axis {worst_axis} "
               "where the density lives; it will be too wide and slow drift may be off. About "
               f"{int(np.ceil(n / digits) * digits)} cells on that axis would bring this below "
               f"{STEEPEST:g}.", ResolutionWarning)


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
        self.bar = bar(n_times, "density", True, " times", bar_format="{desc}: {percentage:3.0f}% |{bar}| "
                       "{elapsed}<{remaining}") if is_shown else None

    def __enter__(self):
        return self

    def __call__(self, x):
        if self.bar is not None:
            self.bar.n = min(x, self.bar.total)
            self.bar.refresh() if self.bar.n >= self.bar.total else self.bar.update(0)

    def __exit__(self, *exception):
        if self.bar is not None:
            self.bar.close()
