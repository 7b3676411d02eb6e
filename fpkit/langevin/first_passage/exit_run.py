"""The run behind `exit_time`: paths 0 .. n_paths - 1, each from its start to a target, advanced in chunks."""
from __future__ import annotations

import time

import numpy as np

from ...core.interruption import interruption
from ..dynamics.divergence import DivergenceError
from ..dynamics.ensemble import thread_count
from ..runs import driving
from ..runs.sharing import states_to_arrays
from .exit_kernels import Arrivals, Lanes, exits, exits_with_sources, underdamped_exits
from .target_kernels import step_of

LANES = 64  # walkers of one block: it stays in the first-level cache
PATHS_PER_LANE = 8  # below that a block wastes its lanes on the longest paths
BLOCKS_PER_THREAD = 2
FIRST_STEPS = 256


class ExitRun:
    """Paths and results so far; `ensemble` holds the checked settings, `X0` (ndim, 1 or n_paths) the starts.

    Attributes
    ----------
    span : (first, last)
        The paths of the list that this run makes: a part of all.
    when, wall, place : ndarray (n_paths,), (n_paths,), (ndim, n_paths)
        Duration, wall met (RUNNING -1, CENSORED -2) and last place of every path; of a running one after
        `settle` the present ones.
    """

    def __init__(self, ensemble, targets, X0, n_paths, max_steps, n_threads, span=None):
        self.ensemble, self.targets, self.X0, self.sources = ensemble, targets, X0, ensemble.sources
        self.max_steps, self.n_threads, self.n_paths = max_steps, n_threads, n_paths
        self.dt, self.theta, d = ensemble.schedule.dt, ensemble.schedule.theta, ensemble.ndim
        self.span = (0, n_paths) if span is None else span
        self.n_own, self.step_count = self.span[1] - self.span[0], 0
        lanes = LANES if self.n_own >= LANES * PATHS_PER_LANE else 32
        n_blocks = int(np.clip(self.n_own // (lanes * PATHS_PER_LANE), 1,
                               BLOCKS_PER_THREAD * (n_threads or default_threads())))
        cuts = self.span[0] + np.arange(n_blocks + 1) * self.n_own // n_blocks
        n_v = d if ensemble.scheme == "baoab" else 0
        # a lane without a path must hold a place at which the gradient is finite
        self.lanes = Lanes(
            Y=np.ascontiguousarray(np.broadcast_to(X0[:, :1], (n_blocks, d, lanes))),
            V=np.zeros((n_blocks, n_v, lanes)), S=np.ones((n_blocks, 4, lanes), np.uint32),
            owner=np.full((n_blocks, lanes), -1), born=np.zeros((n_blocks, lanes), np.int64),
            clock=np.zeros(n_blocks, np.int64),
            cursor=np.ascontiguousarray(np.stack([cuts[:-1], cuts[1:]], axis=1)))
        self.arrivals = Arrivals(np.full(n_paths, np.nan), np.full(n_paths, -1),
                                 np.full((d, n_paths), np.nan))
        self.when, self.wall, self.place = self.arrivals
        self.step = step_of(self.dt, self.theta, ensemble.mobility, ensemble.is_drift, ensemble.n_rows)

    first_steps = FIRST_STEPS

    @property
    def n_ended(self):
        return int((self.wall != -1).sum())

    def advance(self, n_steps):
        """Make up to n_steps (even) steps in every block."""
        self.step_count += n_steps
        e, V = self.ensemble, self.ensemble.field
        start = (self.lanes, self.X0, V.block("gradient"), V.p)
        ends = (e.table, self.targets.walls, self.max_steps, n_steps, np.uint64(e.key), self.arrivals)
        with thread_count(self.n_threads), np.errstate(over="ignore", invalid="ignore"):
            if e.scheme == "baoab":
                underdamped_exits(*start, (self.dt, self.theta, float(e.friction)), *ends)
            elif self.sources is not None:
                exits_with_sources(*start, self.step, *ends[:-2], ends[-1], *self.sources.table(e.key))
            else:
                exits(*start, self.step, *ends)

    def state(self):
        """All that the next steps depend on, as arrays; the results are those of the paths of the span."""
        own = slice(*self.span)
        return {**self.lanes._asdict(), "when": self.when[own], "wall": self.wall[own],
                "place": self.place[:, own], "step_count": np.int64(self.step_count)}

    def restore(self, state):
        """Go on from a `state()` of a run with the same arguments, whatever its number of threads was."""
        own = slice(*self.span)
        self.lanes = Lanes(*(np.ascontiguousarray(state[name]).copy() for name in Lanes._fields))
        self.when[own], self.wall[own], self.place[:, own] = state["when"], state["wall"], state["place"]
        self.step_count = int(state["step_count"])

    def check_finite(self):
        """Raise DivergenceError when a path is no longer finite."""
        lost = ~np.isfinite(self.lanes.Y).all(axis=1) & (self.lanes.owner >= 0)
        jumped = (self.wall >= 0) & ~np.isfinite(self.when)
        if lost.any() or jumped.any():
            raise divergence(int(lost.sum() + jumped.sum()), self.n_paths, self.dt, self.ensemble)

    def settle(self):
        """Durations, and walls (-1 for every path that has not arrived), of the paths that were begun."""
        when, place = self.when.copy(), self.place.copy()
        for b, j in zip(*np.nonzero(self.lanes.owner >= 0)):
            i = self.lanes.owner[b, j]
            when[i] = (self.lanes.clock[b] - self.lanes.born[b, j]) * self.dt
            place[:, i] = self.lanes.Y[b, :, j]
        begun = np.isfinite(when) & (when > 0)
        return when[begun], np.maximum(self.wall[begun], -1), np.ascontiguousarray(place[:, begun].T)


def divergence(count, n_paths, dt, ensemble):
    """The error of an exit run whose paths stopped being finite."""
    helps = "a smaller dt, or walls= that keep the paths where the potential is defined"
    return DivergenceError(f"{count} of {n_paths} paths stopped being finite before they reached the target, "
                           f"with dt = {dt:.3g} and scheme "
                           f"{ensemble.scheme!r}: try {helps}.", count, np.nan, dt / 4)


def default_threads():
    """Threads that kernels use by default."""
    import numba

    return numba.get_num_threads()


def drive(run, progress=None, label="passages", store=None):
    """Advance `run` until every path has ended; "", or why it stopped earlier (what is done stays): Ctrl-C,
    or an error of a function that the user gave. The chunks change no bit; the state goes to the store when
    it is due."""
    n, done = run.first_steps, 0
    with interruption() as is_pressed, driving.bar(run.n_paths, label, progress, "path") as shown:
        while run.n_ended < run.n_paths:
            if is_pressed():
                return "stopped by Ctrl-C"
            started = time.perf_counter()
            try:
                run.advance(n)
            except ValueError as error:                          # such as a mobility that turned negative
                if run.n_ended == 0:
                    raise
                return f"stopped ({error})"
            run.check_finite()
            if store is not None and store.is_due:
                store.save(states_to_arrays([0, run.n_paths], [run.state()]))
            elapsed = time.perf_counter() - started
            if shown is not None:
                shown.update(run.n_ended - done)
            done = run.n_ended
            n = 2 * max(1, int(n * min(max(driving.CHUNK_SECONDS / max(elapsed, 1e-6), 0.25), 8.0)) // 2)
    return ""
