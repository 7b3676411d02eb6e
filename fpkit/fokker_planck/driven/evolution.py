"""Densities of driven diffusions over time where lines do not carry them (`split_evolution`): by implicit
steps of the whole grid.

Each solve is one with the rates and a killing, without subtraction, so that steps of any length keep the mass
and tend to the stationary state of the chain to rounding; steps are of order 8. Two grids are extrapolated in
h^2.
"""
from __future__ import annotations

import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np

from ...core import checks
from ...core.interruption import stop_if_needed_whole
from ...core.results import ResolutionWarning
from ..evolution.evolve import checked_times
from ..evolution.implicit import ORDER, exponential
from ..evolution.initial import kind_of, node_start
from ..evolution.problem import joined
from ..evolution.result import Evolution
from .chain import MOST_STATES, DrivenChain
from .split_evolution import WHOLE, evolve as evolve_split, is_split, with_its_limit

SHARE = 0.02                    # of the tolerance that one step may take
LADDER = np.sqrt(2.0)           # steps are powers of it, so that factors are used again
MOST_FINE = 20_000
LEAST_CELLS = 8
MOST_STEPS = 20_000
ROUNDING = 2e-14                # L1, of a step


class Steps:
    """One density carried along on one grid."""

    def __init__(self, diffusion, tol, positive):
        self.chain = DrivenChain(diffusion)
        self.ordering, self.tol, self.positive = self.chain.ordering(), tol, positive
        self.factors, self.dt_of_factors, self.killing = None, 0.0, None
        out = np.zeros(self.chain.n)
        np.add.at(out, self.chain.I, self.chain.forth)
        np.add.at(out, self.chain.J, self.chain.back)
        self.dt = LADDER ** np.floor(np.log(0.5 / max(np.median(out), 1e-300)) / np.log(LADDER))
        self.counts = {"strang": 0, "coupled": 0, "refused": 0, "factorisations": 0, "solves": 0}
        self.error = 0.0

    def solve(self, rhs, dt):
        """(1 - dt L)^-1 rhs in the forward direction, for data of both signs."""
        if self.factors is None or dt != self.dt_of_factors:
            self.factors = self.chain.factors(self.ordering, np.full(self.chain.n, 1 / dt))
            self.dt_of_factors = dt
            self.counts["factorisations"] += 1
        both = np.stack([np.maximum(rhs, 0.0), np.maximum(-rhs, 0.0)]) / dt
        self.counts["solves"] += 1
        if not both[1].any():
            return self.factors.solve_transposed(both[0])
        up, down = self.factors.solve_transposed(both)
        return up - down

    def euler(self, p, dt):
        """Two implicit Euler steps of dt/2 and their distance to one of dt."""
        half = self.solve(self.solve(p, dt / 2), dt / 2)
        return half, float(np.abs(half - self.solve(p, dt)).sum())

    def advance(self, p, span, note):
        """The density after `span`, in steps that the error chooses."""
        step, order = (self.euler, 2) if self.positive else (partial(exponential, self.solve), ORDER)
        most, done = max(SHARE * self.tol, 2 * ROUNDING), 0.0
        for _ in range(MOST_STEPS):
            dt = min(self.dt, span - done)
            if span - done < 1.5 * self.dt:              # no last step that is much shorter than the others
                dt = span - done if span - done <= self.dt * 1.0001 else (span - done) / 2
            new, wrong = step(p, dt)
            factor = 0.85 * (most / max(wrong, 1e-300)) ** (1 / order)
            if wrong > most and dt > 1e-14 * span:
                self.counts["refused"] += 1
                self.dt = self._rung(dt * max(factor, 0.1))
                continue
            p, done = new, done + dt
            self.error += wrong + ROUNDING
            self.counts["coupled"] += 1
            if factor > 1.3:
                self.dt = max(self.dt, self._rung(dt * min(factor, 8.0)))
            note(done / span)
            if done >= span * (1 - 1e-15):
                return p
        raise ArithmeticError(f"more than {MOST_STEPS} steps; ask for a larger tol, or for earlier times")

    @staticmethod
    def _rung(dt):
        return float(LADDER ** np.floor(np.log(dt) / np.log(LADDER)))


class _Run:
    """One start carried through all times on one grid: P (n_times, n_cells)."""

    def __init__(self, diffusion, kind, times, options):
        D, (tol, positive, n_steps) = diffusion, options
        self.grid, self.steps = D.grid, Steps(D, tol, positive)
        chain = self.steps.chain
        states = chain.states.ravel()
        nodes = SimpleNamespace(grid=D.grid, inside=states, nodes_are_cells=False)
        reading = SimpleNamespace(node_values=lambda P: P)
        start, _ = node_start(*kind, nodes, reading, positive)
        p = start[chain.ids]
        self.start, self.P = start, np.zeros((times.size, D.grid.n_cells))
        self.mass, self.error, self.cut = np.ones(times.size), np.zeros(times.size), np.zeros(times.size)
        self.status, self.n_done, s = "ok", 0, 0.0
        try:
            for k, t in enumerate(times):
                if t > s and n_steps is None:
                    p = self.steps.advance(p, t - s, lambda part: None)
                elif t > s:
                    for _ in range(n_steps):
                        p = exponential(self.steps.solve, p, (t - s) / n_steps)[0]
                        self.steps.counts["coupled"] += 1
                s = t
                self.mass[k] = p.sum()
                self.cut[k] = 2 * np.maximum(-p, 0.0).sum()
                kept = np.maximum(p, 0.0)
                total = 1.0 if not chain.log_killings else min(max(self.mass[k], 0.0), 1.0)
                self.P[k, chain.ids] = kept * (total / max(kept.sum(), 1e-300))
                self.error[k] = self.steps.error
                self.n_done += 1
        except KeyboardInterrupt:
            stop_if_needed_whole()
            self.status = (f"interrupted after {self.n_done} of {times.size} times; the last one reached is "
                           "kept")
        except ArithmeticError as error:
            self.status = f"stopped after {self.n_done} of {times.size} times: {error}"

    def joined(self):
        """P on twice as wide cells."""
        return np.stack([joined(p, self.grid.shape).ravel() for p in self.P])


def evolve(diffusion, u0, times, tol=None, positive=False, n_steps=None, order=4, progress=None,
           checkpoint=None, checkpoint_every=60.0, resume=None) -> Evolution:
    """`Evolution` of a driven diffusion: its `gibbs` is the stationary density, `free_energy` is NaN."""
    D = diffusion
    if D.process.is_moving:
        raise ValueError("a force together with a potential, temperature or drift that depends on the time "
                         "is known to paths only; use fpkit.simulate.")
    if D.resetting is not None:
        raise ValueError("evolve is not known with resetting; stationary() gives its limit.")
    if is_split(D, order):
        return evolve_split(D, u0, times, tol=tol, positive=positive, n_steps=n_steps, order=order,
                            progress=progress, checkpoint=checkpoint, checkpoint_every=checkpoint_every,
                            resume=resume)
    if checkpoint is not None:
        raise ValueError(f"checkpoint= is known to steps along axes; leave it out here: {WHOLE}.")
    times = checked_times(times)
    tol = checks.number("tol", (1e-3 if positive else 1e-6) if tol is None else tol, positive=True)
    n_steps = None if n_steps is None else checks.whole("n_steps", n_steps, 1)
    order = 2 if positive else checks.choice("order", order, (4, 2))   # limits of grids may be negative
    kind, grid = kind_of(u0, D.grid), D.grid
    options = tol, bool(positive), n_steps
    run = _Run(D, kind, times, options)
    n, P = run.n_done, run.P[:run.n_done]
    space_error, cut = np.full(n, np.nan), run.cut[:n].copy()
    if run.status == "ok":
        P, space_error, cut = _compared(D, kind, times, options, run, order)
    volumes = grid.volumes.ravel()
    lost = np.flatnonzero(space_error >= 1)
    status = run.status
    if lost.size and status == "ok":
        status = (f"not resolved at {lost.size} of {times.size} times, first at t = {times[lost[0]]:g}: the "
                  "grids disagree there by as much as densities can; refine the grid")
    inputs = {**D._inputs, "tol": tol, "positive": bool(positive), "n_steps": n_steps, "order": order,
              "start": kind[0], "start_data": None if kind[0] in ("array", "function") else kind[1]}
    time_error = run.error[:n] if n_steps is None else np.full(n, np.nan)
    return with_its_limit(D, dict(
        times=times[:n].copy(), densities=(P / volumes).reshape(n, *grid.shape), grid=grid,
        theta=D.frozen_process.theta, mass=run.mass[:n], free_energy=np.full(n, np.nan),
        time_error=np.minimum(time_error, 2.0), space_error=np.minimum(space_error + cut, 2.0),
        start=(run.start / volumes).reshape(grid.shape), steps=run.steps.counts, resolution=np.nan,
        status=status, inputs=inputs))


def _halved_cells(values, axis, is_ring):
    """Averages over half cells whose means are those given, by the slope of the neighbours; halves that
    are alike would make the start of a finer grid another one."""
    a = np.moveaxis(np.asarray(values, float), axis, 0)
    change = np.roll(a, -1, 0) - np.roll(a, 1, 0)
    if not is_ring:
        change[0], change[-1] = 2 * (a[1] - a[0]), 2 * (a[-1] - a[-2])
    change = np.clip(change / 8, -np.abs(a), np.abs(a))
    both = np.stack([a - change, a + change], axis=1)
    return np.moveaxis(both.reshape(2 * a.shape[0], *a.shape[1:]), 0, axis)


def _compared(D, kind, times, options, run, order):
    """(P, space errors, what was cut off) from the grid and from grids of twice and half the cells."""
    def on(grid):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResolutionWarning)
            other = kind
            if kind[0] == "array" and grid.n_cells > D.grid.n_cells:
                values = kind[1]
                for axis in range(grid.ndim):
                    values = _halved_cells(values, axis, D.grid.periodic[axis])
                other = "array", values
            elif kind[0] == "array":
                other = "array", joined(kind[1] * D.grid.volumes, D.grid.shape) / grid.volumes
            try:
                return _Run(D.on(grid), other, times, options)
            except ValueError:                         # the coarser grid misses a region or a neck
                return None

    grid, fine, coarse = D.grid, None, None
    n_fine = grid.n_cells * 2 ** grid.ndim
    cells = grid.mask is not None and grid.has_array_mask
    if order == 4 and n_fine <= min(MOST_FINE, MOST_STATES[grid.ndim]) and not cells:
        fine = on(grid.refined(2))
    is_even = all(n % 2 == 0 and n >= LEAST_CELLS for n in grid.shape)
    if is_even and not cells:
        coarse = on(grid.coarsened())
    P, cut = run.P, run.cut
    if fine is not None and fine.status == "ok":
        sharper = fine.joined()
        limit = sharper + (sharper - P) / 3
        if coarse is not None and coarse.status == "ok":
            half = SimpleNamespace(P=limit, grid=grid)
            first = run.joined()
            other = first + (first - coarse.P) / 3
            error = np.abs(_Run.joined(half) - other).sum(1)
            error = np.minimum(error, np.abs(sharper - P).sum(1)) + np.abs(limit - sharper).sum(1) / 50
        else:
            error = np.abs(sharper - P).sum(1)
        negative = 2 * np.maximum(-limit, 0.0).sum(1)
        is_open = D.absorbing is not None or D.killing_rate is not None
        total = limit.sum(1) if is_open else run.P.sum(1)             # what is left has a limit of its own
        limit = np.maximum(limit, 0.0)
        return limit * (total / np.maximum(limit.sum(1), 1e-300))[:, None], error, fine.cut + negative
    if coarse is not None and coarse.status == "ok":
        return P, 4 / 3 * np.abs(run.joined() - coarse.P).sum(1), cut
    return P, np.full(times.size, np.nan), cut

