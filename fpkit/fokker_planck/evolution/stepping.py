"""Automatic time steps: split steps first, steps of the whole grid, of order 8, once splitting holds back.

A step is accepted when its error in L1 is below a fixed fraction of the tolerance: the difference of one
split step and two half ones, divided by 2^order - 1, or the last term of an unsplit step. No sum over the
steps is kept: the flow is a contraction in L1 and forgets early errors, and budgets that add up took ten
times the steps. The fractions are measured (tests/fokker_planck/evolution/test_stepping.py says where).
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ...core.logarithms import dot
from .implicit import ORDER, ImplicitStep
from .split_operator import SplitOperator


def allowed_step(tol, kind):
    """Largest L1 difference that a step may show, for an error of at most `tol` at the end.

    Unsplit steps and single lines go on from a value one order better than what is compared: tol. Split steps
    gain nothing from it (order reduction): n ~ allowed^(-1/3) of them add up, so allowed falls as tol^(4/3)
    below 1e-4. Backward Euler adds up n ~ allowed^(-1/2) steps: tol^2, and a tenth of that where lines share
    no stationary state ("driven euler").
    """
    if kind in ("line", "coupled"):
        return tol
    if kind == "strang":
        return tol / 16 * min(1.0, (tol / 1e-4) ** (1 / 3))
    return tol * min(tol / (0.3 if kind == "euler" else 3.0), 1 / 16)


MAX_GROWTH = 4.0
FEW = 0.1                             # of the tolerance that may be lost without notice
# with a force both kinds of steps settle elsewhere: after so many turns the unsplit ones are given time to
RETURNS = 8
REACH, LEAST_REACH = 2.0, 0.02  # longest split step in local relaxation times, and what it shrinks to


@dataclass
class Counts:
    """Steps taken and refused, and the solves behind them."""
    strang: int = 0
    coupled: int = 0
    rejected: int = 0
    factors: int = 0
    solves: int = 0
    local_error: float = 0.0  # largest local error accepted, after extrapolation one order better

    def as_dict(self):
        return {k: p for k, p in self.__dict__.items()}

    def restore(self, values):
        for (name, was), value in zip(self.as_dict().items(), values.tolist()):
            setattr(self, name, type(was)(value))


@dataclass
class StepControl:
    """Carries node probabilities p from one time to the next within `tol` (L1)."""
    lines: SplitOperator
    tol: float
    positive: bool = False
    counts: Counts = field(default_factory=Counts)
    dt: float = 0.0
    stalled: int = 0  # split steps in a row that hardly grew; coupled ones since the switch
    retry: float = 0.0                     # time before which unsplit steps are not tried again
    split_dt: float = 0.0                  # the split step that unsplit ones have to beat (0: never go back)
    is_coupled: bool = False
    horizon: float = 0.0                   # the last time that will be asked for
    solver: ImplicitStep | None = None

    def __post_init__(self):
        lines, self._price, self._slopes, self.reach = self.lines, None, None, REACH
        self._within, self._forgets, self._returns = None, False, 0
        self.mode = 0 if self.positive else 1
        if self.dt == 0.0:
            self.dt = first_step(lines)
        self.is_exact_in_lines = len(lines.shape) == 1  # one axis: nothing is split, steps may grow for ever
        if not lines.is_split:
            self.solver, self.is_coupled = self._make_solver(), True

    @property
    def order(self):
        """Order of the steps in time that their error shows."""
        return 1 if self.positive else ORDER - 1 if self.is_coupled else 2

    @property
    def drift(self):
        return 1.0 if self.solver is None else self.solver.drift

    @property
    def rounding_rate(self):
        """L1 error a unit of time that rounding may add: eps times the largest rate, where a solve is not
        free of subtraction."""
        if not self.counts.coupled or self.solver.graph.is_eliminated:
            return 0.0
        return 2.2e-16 * float(self.solver.graph.leaving.max())

    def advance(self, p, start, stop, report=lambda s, p: None):
        """Node probabilities at `stop` from those at `start`."""
        s, self.horizon = start, max(self.horizon, stop)
        while stop - s > 1e-12 * stop:
            p, s = (self._coupled if self.is_coupled else self._split)(p, s, stop - s)
            report(s, p)
        self._count()
        return p

    def state(self):
        """What later steps depend on beside the density, as named arrays."""
        solver = self.solver
        control = [self.dt, self.stalled, self.retry, self.split_dt, self.is_coupled, self.horizon,
                   self.reach, solver is not None]
        solved = [1.0, 0.0, 0.0] if solver is None else [solver.drift, solver.n_factors, solver.n_solves,
                                                         *solver.kept]
        late = {} if not self.lines.is_driven else {"late": np.array([
            np.nan if self._within is None else self._within, self._forgets, self._returns,
            solver is not None and solver.operator is None], float)}
        return {"control": np.array(control, float), "solver": np.array(solved, float), **late,
                "counts": np.array(list(self.counts.as_dict().values()), float)}

    def restore(self, found):
        """Go on from a `state`."""
        (self.dt, stalled, self.retry, self.split_dt, is_coupled, self.horizon, self.reach,
         is_solved) = found["control"].tolist()
        self.stalled, self.is_coupled = int(stalled), bool(is_coupled)
        if is_solved:
            self.solver = self.solver or self._make_solver()
            self.solver.drift, n_factors, n_solves, *kept = found["solver"].tolist()
            self.solver.n_factors, self.solver.n_solves = int(n_factors), int(n_solves)
            self.solver.kept = dict.fromkeys(kept)
        if "late" in found:
            within, forgets, self._returns, is_lumped = found["late"].tolist()
            self._within, self._forgets = None if np.isnan(within) else within, bool(forgets)
            if is_lumped and self.solver is not None:
                self.solver.operator = None
        self.counts.restore(found["counts"])

    def is_beyond(self, p, dt):
        """Whether split steps of this length settle elsewhere: with a force, beyond the local relaxation."""
        if not self.lines.is_driven or self.is_exact_in_lines or dt <= self.reach * self._relaxation(p):
            return False
        self.solver = self.solver or self._make_solver()
        return self.solver.graph.is_eliminated

    def coupled_steps(self, p, dt, n):
        """n unsplit steps of equal length; their solves are off by tol together."""
        self.counts.coupled += n
        self.solver.start_over()
        for _ in range(n):
            p = self.solver.step(p, min(dt, self._longest(p, dt)), self.tol / n, order=3)[0]
        self._count()
        return p

    def _count(self):
        if self.solver is not None:
            self.counts.factors, self.counts.solves = self.solver.n_factors, self.solver.n_solves

    def _split(self, p, s, left):
        cap = np.inf if self.is_exact_in_lines else self.reach * self._relaxation(p)
        if not self.counts.strang:
            self.dt = min(self.dt, cap / 8)      # what starts far off is no local equilibrium
        is_slow = self.dt >= cap
        dt = min(self.dt, cap)
        n = max(1, math.ceil(left / dt - 1e-9))
        dt = left / n if n < 4 else dt
        one = self.lines.strang(p.copy(), dt, 1, self.mode)
        two = self.lines.strang(p.copy(), dt / 2, 2, self.mode)
        error = self._difference(one, two)
        kind = "line" if self.is_exact_in_lines else "strang"
        if self.positive:
            kind = "driven euler" if self.lines.is_driven else "euler"
        allowed = allowed_step(self.tol, kind)
        if is_slow and self._adds_up(s, dt, error):
            self.counts.rejected += 1
            return p, s
        ratio = self._ratio(allowed, error)
        if not error <= allowed:
            self.dt = dt * max(0.2, 0.9 * ratio)
            self.counts.rejected += 1
            return p, s
        self.counts.strang += 1
        self.counts.local_error = max(self.counts.local_error, error)
        p = two if self.positive else two + (two - one) / (2**self.order - 1)
        factor = min(MAX_GROWTH, 0.9 * ratio)
        if not is_slow:
            # a last step shortened to land on `stop` says nothing about the step that the splitting allows
            self.dt = max(self.dt, dt * factor) if dt < self.dt and factor > 0.5 else dt * max(factor, 0.5)
        self.stalled = 0 if factor > 1.3 and not is_slow else self.stalled + 1
        now = min(self.dt, cap)
        is_held_back = self.stalled >= 3 and not self.is_exact_in_lines and (is_slow or s >= self.retry)
        if is_held_back and (self.horizon - s - dt) / now > 5 * self.price:
            self._switch(now, is_slow)
        return p, s + dt

    def _adds_up(self, s, dt, error):
        """True when a step in local equilibrium has to be done otherwise: shorter, or of the whole grid.

        What is left there is slow and forgets nothing, so a biased rate adds up until the last time.
        """
        lasting = 0.5 * self.tol * dt / max(self.horizon - s, dt)
        if error <= lasting or self.reach <= LEAST_REACH:
            if error <= lasting / 4:
                self.reach = min(REACH, 1.2 * self.reach)
            return False
        shorter = max(0.2, 0.9 * (lasting / error) ** (1 / self.order))
        if (self.horizon - s) / (dt * shorter) > 5 * self.price:
            self._switch(dt, is_slow=True)
        else:
            self.reach = max(self.reach * shorter, LEAST_REACH)
        return True

    def _switch(self, dt, is_slow):
        self.solver = self.solver or self._make_solver()
        self.is_coupled, self.split_dt, self.stalled = True, 0.0 if is_slow else dt, 0
        self.dt = dt * min(self.price, 16.0)

    def _relaxation(self, p):
        """Local relaxation time, ndim/<laplacian f> by parts = ndim/(theta <|grad log W|^2>), at most that of
        free diffusion across a line.

        Split steps beyond it act as a heat bath: they look converged (one step and two halves agree) and
        cross barriers at a wrong rate. In local equilibrium the mean over the present density is the mean
        curvature of the wells that hold it.
        """
        if self._slopes is None:
            self._slopes, self._across = slopes(self.lines)
        u = np.abs(p)
        mean = dot(self._slopes, u) / max(float(u.sum()), 1e-300)
        return min(len(self.lines.shape) / max(mean, 1e-300), self._across)

    def _longest(self, p, dt):
        """Length of the longest unsplit step; with a force those of order 4 round off their share of
        probability in each unit of time. Where that is too much for a step of `dt` all starts are forgotten,
        and nothing longer is of use, or wells remain and steps of order 2 take over, which never subtract."""
        if not self.lines.is_driven or self.solver.operator is None:
            return np.inf
        if self._within is None:
            self._within = FEW * self.tol / (2.2e-16 * self.lines.traffic(p))
        if dt <= self._within or self._forgets:
            return self._within
        self._forgets = self.solver.forgets(self._within)
        if not self._forgets:
            self.solver.operator = None
        return self._longest(p, dt)

    def _coupled(self, p, s, left):
        longest = self._longest(p, min(self.dt, left))
        self.solver.start_over()
        self.dt = min(self.dt, longest)
        n = max(1, math.ceil(left / self.dt - 1e-9))
        dt = left / n if n < 4 else 2.0 ** (math.floor(2 * math.log2(self.dt) + 1e-9) / 2)
        allowed = allowed_step(self.tol, "euler" if self.positive else "coupled")
        accuracy = 0.05 * allowed
        new, error = self.solver.step(p, dt, accuracy)
        if self.positive:
            one, half = new, self.solver.step(p, dt / 2, accuracy)[0]
            new = self.solver.step(half, dt / 2, accuracy)[0]
            error = self._difference(one, new)
        ratio = self._ratio(allowed, in_range(error))
        if not error <= allowed:
            self.dt = dt * max(0.2, 0.9 * ratio)
            self.counts.rejected += 1
            return p, s
        self.counts.coupled += 1
        self.counts.local_error = max(self.counts.local_error, error)
        factor = min(MAX_GROWTH, 0.9 * ratio)
        factor = factor if factor > 1.42 else 1.0 if factor > 0.9 else 0.75
        self.dt = max(self.dt, dt * factor) if dt < self.dt and factor >= 1 else dt * factor
        self.stalled += 1
        is_split = self.lines.is_split and self.stalled >= 3 * 4.0 ** max(self._returns - RETURNS, 0)
        if is_split and factor <= 1.0 and self.dt < self.price * self.split_dt:
            # accuracy and not the splitting holds the step back: go on with the cheaper kind, and look again
            # later
            self.is_coupled, self.dt, self.stalled = False, self.split_dt, 0
            self.retry = s + dt + 5 * self.price * self.split_dt
            self._returns += self.lines.is_driven
        settled = self._forgets and dt > longest / 4 and float(np.abs(new - p).sum()) <= FEW * self.tol
        return new, s + left if settled else s + dt

    @property
    def price(self):
        """Cost of an unsplit step in split steps: 3 solves of positive ones, 8 on a chain of order 2."""
        if self._price is None:
            self.solver = self.solver or self._make_solver()
            share = 0.15 if self.positive else 0.4 if self.solver.operator is None else 1.0
            self._price = share * self.solver.graph.price
        return self._price

    def _difference(self, one, two):
        return in_range(float(np.abs(one - two).sum()) / (2**self.order - 1))

    def _ratio(self, allowed, error):
        return (allowed / max(error, 1e-300)) ** (1 / (self.order + 1))

    def _make_solver(self):
        return ImplicitStep.of(self.lines, self.positive)


def in_range(error):
    if not np.isfinite(error):
        raise ArithmeticError("the time steps left the range of numbers; refine the grid or raise theta")
    return error


def first_step(lines):
    """Step to try first: twice the time in which a cell is crossed."""
    return 2 * float(min(np.min(w) for w in lines.grid.widths)) ** 2 / lines.theta


def slopes(lines):
    """theta mobility |grad beta f|^2 on the nodes (N,) and the time of free diffusion across the shortest of
    the mean chords.

    Beyond two theta a cell the rate |grad beta f| |grad f| stops at that of the grid, 2 |f'|/h: a density
    that slides relaxes as it passes from cell to cell.
    """
    b, shape = lines.b.reshape(lines.shape), lines.shape
    total, across = np.zeros(shape), np.inf
    n_inside = b.size if lines.inside is None else int(lines.inside.sum())
    for axis, x in enumerate(lines.x):
        is_ring = lines.periodic[axis]
        m = shape[axis] if is_ring else shape[axis] - 1
        first = (slice(None),) * axis + (slice(m),)
        is_open = (lines.up[axis] + lines.down[axis] > 0).reshape(b[first].shape)
        lengths = np.diff(x)[:m].reshape([-1 if a == axis else 1 for a in range(len(shape))])
        rise = np.roll(b, -1, axis)[first] - b[first]
        if lines.is_driven:
            rise -= lines.work[axis].reshape(rise.shape)
        rise = np.abs(rise) / lengths
        weight = lines.mobility[axis] * lines.theta
        half = np.where(is_open, 0.5 * weight * rise * np.minimum(rise, 2 / lengths), 0.0)
        total[first] += half
        if is_ring:
            total += np.roll(half, 1, axis)
        else:
            total[(slice(None),) * axis + (slice(1, None),)] += half
        chord = float(lengths.sum())
        if not is_ring or lines.inside is not None:
            chord = n_inside / max(n_inside - int(is_open.sum()), 1) * float(lengths.mean())
        across = min(across, chord**2 / (math.pi**2 * max(weight, 1e-300)))
    return total.ravel(), across
