"""Automatic time steps: step doubling in L1, split steps first, one solve of the whole grid a step once the
splitting holds back.

A step is accepted when the L1 difference of one step and two half steps, divided by 2^order - 1, is below a
fixed fraction of the tolerance. No sum over the steps is kept: the flow is a contraction in L1 and forgets
early errors, and budgets that add up took ten times the steps. The fractions are measured, not proved
(tests/fokker_planck/test_control.py says where).
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ...core.logarithms import dot
from .implicit import Graph, ImplicitStep


def allowed_step(tol, kind):
    """Largest L1 difference that a step may show, for an error of at most `tol` at the end.

    Unsplit steps and single lines go on from the extrapolated value, one order better than what is compared:
    a fraction of tol. Split steps gain nothing from it (order reduction): n ~ allowed^(-1/3) of them add up,
    so allowed falls as tol^(4/3) below 1e-4. Backward Euler adds up n ~ allowed^(-1/2) steps: tol^2.
    """
    if kind == "line":
        return tol
    if kind == "coupled":
        return tol / 4
    if kind == "strang":
        return tol / 16 * min(1.0, (tol / 1e-4) ** (1 / 3))
    return tol * min(tol / 0.3, 1 / 16)


MAX_GROWTH = 4.0
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
        return {k: v for k, v in self.__dict__.items()}


@dataclass
class StepControl:
    """Carries node values v from one time to the next within `tol` (L1 of the cell probabilities)."""
    lines: object
    tol: float
    positive: bool = False
    graph: object = None                   # given alone (no split steps) for chains that are not lines
    counts: Counts = field(default_factory=Counts)
    dt: float = 0.0
    stalled: int = 0  # split steps in a row that hardly grew; coupled ones since the switch
    retry: float = 0.0                     # time before which unsplit steps are not tried again
    split_dt: float = 0.0                  # the split step that unsplit ones have to beat (0: never go back)
    is_coupled: bool = False
    horizon: float = 0.0                   # the last time that will be asked for
    solver: object = None

    def __post_init__(self):
        lines, self._price, self._slopes, self.reach = self.lines, None, None, REACH
        self.mode, self.order = (0, 1) if self.positive else (1, 2)
        self.D = lines.mass
        if self.dt == 0.0:
            self.dt = 2 * float(min(np.min(w) for w in lines.grid.widths)) ** 2 / lines.theta
        self.is_exact_in_lines = len(lines.shape) == 1  # one axis: nothing is split, steps may grow for ever
        if not lines.is_split:
            self.solver, self.is_coupled = self._make_solver(), True

    @property
    def drift(self):
        return 1.0 if self.solver is None else self.solver.drift

    @property
    def rounding_rate(self):
        """L1 error a unit of time that rounding may add: eps times the largest rate, where a solve is not
        free of subtraction."""
        return 0.0 if self.solver is None or self.solver.graph.method == "band" else 2.2e-16 * self.solver.graph.largest_rate

    def advance(self, v, start, stop, report=lambda s: None):
        """Node values at `stop` from those at `start`."""
        s, self.horizon = start, max(self.horizon, stop)
        while stop - s > 1e-12 * stop:
            v, s = (self._coupled if self.is_coupled else self._split)(v, s, stop - s)
            report(s)
        self._count()
        return v

    def coupled_steps(self, v, dt, n):
        """n unsplit steps of equal length."""
        for _ in range(n):
            v = self.solver.step(v, dt, 1e-3 * self.tol, self.D)
        self._count()
        return v

    def _count(self):
        if self.solver is not None:
            self.counts.factors, self.counts.solves = self.solver.n_factors, self.solver.n_solves

    def _split(self, v, s, left):
        cap = np.inf if self.is_exact_in_lines else self.reach * self._relaxation(v)
        is_slow = self.dt >= cap
        dt = min(self.dt, cap)
        n = max(1, math.ceil(left / dt - 1e-9))
        dt = left / n if n < 4 else dt
        one = self.lines.strang(v.copy(), dt, 1, self.mode)
        two = self.lines.strang(v.copy(), dt / 2, 2, self.mode)
        error = self._difference(one, two)
        allowed = allowed_step(self.tol, "euler" if self.positive else "line" if self.is_exact_in_lines
                               else "strang")
        if is_slow and self._adds_up(s, dt, error):
            self.counts.rejected += 1
            return v, s
        ratio = self._ratio(allowed, error)
        if not error <= allowed:
            self.dt = dt * max(0.2, 0.9 * ratio)
            self.counts.rejected += 1
            return v, s
        self.counts.strang += 1
        self.counts.local_error = max(self.counts.local_error, error)
        v = self._taken(one, two)
        factor = min(MAX_GROWTH, 0.9 * ratio)
        if not is_slow:
            # a last step shortened to land on `stop` says nothing about the step that the splitting allows
            self.dt = max(self.dt, dt * factor) if dt < self.dt and factor > 0.5 else dt * max(factor, 0.5)
        self.stalled = 0 if factor > 1.3 and not is_slow else self.stalled + 1
        now = min(self.dt, cap)
        if self.stalled >= 3 and not self.is_exact_in_lines and (is_slow
                                                                 or s
                                                                 >= self.retry) and (self.horizon - s
                                                                                     - dt) / now > 5 * self.price:
            self._switch(now, is_slow)
        return v, s + dt

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

    def _relaxation(self, v):
        """Local relaxation time, ndim/<laplacian f> by parts = ndim/(theta <|grad log W|^2>), at most that of
        free diffusion across a line.

        Split steps beyond it act as a heat bath: they look converged (one step and two halves agree) and
        cross barriers at a wrong rate. In local equilibrium the mean over the present density is the mean
        curvature of the wells that hold it.
        """
        if self._slopes is None:
            self._slopes, self._across = slopes(self.lines)
        u = np.abs(self.D * v)
        mean = dot(self._slopes, u) / max(float(u.sum()), 1e-300)
        return min(len(self.lines.shape) / max(mean, 1e-300), self._across)

    def _coupled(self, v, s, left):
        n = max(1, math.ceil(left / self.dt - 1e-9))
        dt = left / n if n < 4 else 2.0 ** (math.floor(2 * math.log2(self.dt) + 1e-9) / 2)
        allowed = allowed_step(self.tol, "euler" if self.positive else "coupled")
        accuracy = 0.02 * allowed
        one = self.solver.step(v, dt, accuracy, self.D)
        two = self.solver.step(self.solver.step(v, dt / 2, accuracy, self.D), dt / 2, accuracy, self.D)
        error = self._difference(one, two)
        ratio = self._ratio(allowed, error)
        if not error <= allowed:
            self.dt = dt * max(0.2, 0.9 * ratio)
            self.counts.rejected += 1
            return v, s
        self.counts.coupled += 1
        self.counts.local_error = max(self.counts.local_error, error)
        factor = min(MAX_GROWTH, 0.9 * ratio)
        factor = factor if factor > 1.42 else 1.0 if factor > 0.9 else 0.75
        self.dt = max(self.dt, dt * factor) if dt < self.dt and factor >= 1 else dt * factor
        self.stalled += 1
        if self.lines.is_split and self.stalled >= 3 and factor <= 1.0 and self.dt < self.price * self.split_dt:
            # accuracy and not the splitting holds the step back: go on with the cheaper kind, and look again
            # later
            self.is_coupled, self.dt, self.stalled = False, self.split_dt, 0
            self.retry = s + dt + 5 * self.price * self.split_dt
        return self._taken(one, two), s + dt

    @property
    def price(self):
        """Cost of an unsplit step in split steps: about 30 solves against 9 sweeps, counted in operations."""
        if self._price is None:
            self.solver = self.solver or self._make_solver()
            graph = self.solver.graph
            b = graph.band
            self._price = {"band": 10 + 0.7 * b + 0.005 * b * b, "lu": 250.0,
                           "multigrid": 1500.0}[graph.method] / (3 if self.positive else 1)
        return self._price

    def _difference(self, one, two):
        return float(np.abs(self.D * (one - two)).sum()) / (2**self.order - 1)

    def _ratio(self, allowed, error):
        return (allowed / max(error, 1e-300)) ** (1 / (self.order + 1)) if np.isfinite(error) else 0.0

    def _taken(self, one, two):
        return two if self.positive else two + (two - one) / (2**self.order - 1)

    def _make_solver(self):
        lines = self.lines
        graph = self.graph or graph_of(lines)
        is_order_4 = any((d > 0).any() for d in lines.delta)
        return ImplicitStep(graph, lines.operator if is_order_4 and not self.positive else None,
                            self.positive)


def slopes(lines):
    """theta mobility |grad log W|^2 on the nodes (N,) and the time of free diffusion across the shortest of
    the mean chords."""
    logs = np.log(np.where(lines.W > 0, lines.W, 1.0)).reshape(lines.shape)
    total, across = np.zeros(lines.shape), np.inf
    for axis, x in enumerate(lines.x):
        n = lines.shape[axis]
        m = n if lines.periodic[axis] else n - 1
        c = lines.C[axis].reshape([m if a == axis else k for a, k in enumerate(lines.shape)])
        lengths = np.diff(x)[:m].reshape([-1 if a == axis else 1 for a in range(len(lines.shape))])
        rise = np.where(c > 0, (np.take(np.roll(logs, -1, axis), range(m), axis)
                                - np.take(logs, range(m), axis)) / lengths, 0.0)
        weight = lines.mobility[axis] * lines.theta
        half = 0.5 * weight * rise**2
        np.add(total[_part(axis, 0, m)], half, out=total[_part(axis, 0, m)])
        back = np.roll(half, 1, axis) if lines.periodic[axis] else half
        place = _part(axis, 0, m) if lines.periodic[axis] else _part(axis, 1, n)
        total[place] += back
        n_inside = lines.W.size if lines.inside is None else int(lines.inside.sum())
        n_chords = max(n_inside - int((c > 0).sum()), 1)
        chord = n_inside / n_chords * float(lengths.mean()) if not lines.periodic[axis] or lines.inside is not None else float(lengths.sum())
        across = min(across, chord**2 / (math.pi**2 * max(weight, 1e-300)))
    return total.ravel(), across


def _part(axis, first, last):
    return (slice(None),) * axis + (slice(first, last),)


def graph_of(lines):
    """The whole chain of order 2 as a graph for unsplit solves."""
    killing = None if lines.killing is None else sum(g for g in lines.killing if g is not None)
    return Graph(lines.D, *lines.edges(), killing=killing, shape=lines.shape, inside=lines.inside,
                 has_rings=any(lines.periodic) or not lines.is_split)
