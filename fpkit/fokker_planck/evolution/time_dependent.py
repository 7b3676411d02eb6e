"""Steps while theta(t) or f(x, t) changes: the chain is rebuilt for every step at its middle time (order
2)."""
from __future__ import annotations

import math

import numpy as np

from .stepping import MAX_GROWTH, Counts, StepControl, allowed_step, first_step

KEPT = 4                                   # chains of recent moments: one step, its two halves, the reading


class TimeDependentSteps(StepControl):
    """Carries node probabilities, which mean the same for every chain."""
    rounding_rate = 0.0

    def __init__(self, problem, tol, positive=False, order=4, n_steps=None):
        self.problem, self.space_order, self.n_steps = problem, order, n_steps
        self._recent = {}
        self.tol, self.positive, self.counts = tol, positive, Counts()
        self.mode = 0 if positive else 1
        self.horizon, self._drift = 0.0, 1.0
        self.dt = first_step(self.at(0.0))

    @property
    def drift(self):
        return self._drift

    def at(self, time):
        """Lines of the chain at one moment."""
        if time not in self._recent:
            while len(self._recent) >= KEPT:
                self._recent.pop(next(iter(self._recent)))
            self._recent[time] = self.problem.lines(self.space_order, time)
        return self._recent[time]

    def state(self):
        return {"control": np.array([self.dt, self.horizon, self._drift]),
                "counts": np.array(list(self.counts.as_dict().values()), float)}

    def restore(self, found):
        self.dt, self.horizon, self._drift = found["control"].tolist()
        self.counts.restore(found["counts"])

    def advance(self, p, start, stop, report=lambda s, p: None):
        """Node probabilities at `stop` from those at `start`."""
        if self.n_steps is not None:
            dt = (stop - start) / self.n_steps
            for k in range(self.n_steps):
                p = self._take(p, start + k * dt, dt)
                report(start + (k + 1) * dt, None)
            self.counts.strang += self.n_steps
            return p
        s = start
        while stop - s > 1e-12 * stop:
            left = stop - s
            n = max(1, math.ceil(left / self.dt - 1e-9))
            dt = left / n if n < 4 else self.dt
            one = self._take(p, s, dt)
            two = self._take(self._take(p, s, dt / 2), s + dt / 2, dt / 2)
            error = self._difference(one, two)
            allowed = allowed_step(self.tol, "euler" if self.positive else "strang")
            ratio = self._ratio(allowed, error)
            if not error <= allowed:
                self.dt = dt * max(0.2, 0.9 * ratio)
                self.counts.rejected += 1
                continue
            self.counts.strang += 1
            p = two if self.positive else two + (two - one) / 3
            s += dt
            factor = min(MAX_GROWTH, 0.9 * ratio)
            self.dt = max(self.dt, dt * factor) if dt < self.dt else dt * max(0.5, factor)
            report(s, p)
        return p

    def _take(self, p, s, dt):
        """One step by the chain at the middle time: split where it resolves the local relaxation, of the
        whole grid beyond."""
        lines = self.at(s + dt / 2)
        frozen = StepControl(lines, self.tol, self.positive, dt=dt)
        if lines.is_split and (frozen.is_exact_in_lines or dt <= frozen.reach * frozen._relaxation(p)):
            return lines.strang(p.copy(), dt, 1, self.mode)
        solver = frozen._make_solver()
        p = solver.step(p, dt, 1e-2 * self.tol, order=2)[0]
        self._drift *= solver.drift
        self.counts.factors += solver.n_factors
        return p
