"""Time step, temperature and parameters of every step, and seeds: what a kernel reads from tables."""
from __future__ import annotations

import math
import numbers
import secrets

import numpy as np

from ...core import checks

NOISE_FREE = "The noise-free limit is theta = 0, or fpkit.gradient_flow."


def key_of(seed):
    """(seed to store, 64-bit key) of any int, SeedSequence, Generator (63 bits are drawn from it) or None
    (drawn)."""
    if seed is None:
        seed = secrets.randbits(63)
    if isinstance(seed, np.random.Generator):
        seed = int(seed.integers(2**63))
    if isinstance(seed, np.random.SeedSequence):
        return seed, int(seed.generate_state(1, np.uint64)[0])
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, numbers.Integral):
        raise TypeError("seed must be a whole number, a SeedSequence, a Generator or None, got "
                        f"{checks.shown(seed)}.")
    seed = int(seed)
    sequence = np.random.SeedSequence(abs(seed), spawn_key=(1,) if seed < 0 else ())
    return seed, int(sequence.generate_state(1, np.uint64)[0])


def _one_number(name, value):
    """A number, or an array of one."""
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.size != 1:
        raise TypeError(f"{name} must return one number, got {checks.shown(value)}.")
    return float(array.reshape(()))


class Schedule:
    """dt_k, theta(t_k + dt_k/2) and the parameters p(t_k), row by row.

    dt : number, array (one entry a step) or callable dt(k); theta : number or callable theta(t).
    Without anything that varies a table has one row. Callables are asked one number at a time, so that no
    chunking changes a bit.
    """

    def __init__(self, potential, theta, dt, friction=0.0):
        self.potential, self.friction = potential, friction
        self.theta = theta if callable(theta) else checks.number("theta", theta, non_negative=True,
                                                                 hint=NOISE_FREE)
        if callable(dt):
            self.dt = dt
        elif np.ndim(dt) == 0:
            self.dt = checks.number("dt", dt, positive=True)
        else:
            self.dt = self._checked("dt", np.array(dt, float).ravel(), 0)
        self.has_varying_dt = not isinstance(self.dt, float)
        self.is_time_dependent = potential.is_time_dependent
        self.is_varying = self.has_varying_dt or callable(self.theta) or self.is_time_dependent

    @property
    def n_steps(self):
        """How many steps the schedule covers (inf without an array)."""
        return self.dt.size if isinstance(self.dt, np.ndarray) else math.inf

    def rows(self, start, n, time):
        """steps (1 or n, 5) = dt, sqrt(2 theta dt), theta, t_k, exp(-friction dt); P (1 or n + 1, k); the
        time after them."""
        if not self.has_varying_dt:
            end = (start + n) * self.dt
        if not self.is_varying:
            return self._steps(np.array([self.dt]), np.array([self.theta]),
                               np.array([time])), self.potential.p[None].copy(), end
        if self.has_varying_dt:
            if callable(self.dt):
                dt = np.array([_one_number("dt(k)", self.dt(k)) for k in range(start, start + n)])
                dt = self._checked("dt", dt, start)
            else:
                dt = self.dt[start:start + n]
                if dt.size < n:
                    raise ValueError(f"dt has {self.dt.size} entries and step {start + n} was asked for; "
                                     "give one entry a step.")
            times = np.cumsum(np.concatenate([[time], dt]))
            end = float(times[-1])
        else:
            dt = np.full(n, self.dt)
            times = np.arange(start, start + n + 1) * self.dt
        theta = np.full(n, self.theta) if isinstance(self.theta, float) else np.array(
            [_one_number("theta(t)", self.theta(float(t))) for t in times[:-1] + dt / 2])
        if not (np.isfinite(theta).all() and (theta >= 0).all()):
            raise ValueError("theta(t) must be finite and not negative, got "
                             f"{theta[~(theta >= 0)][:1] or theta[~np.isfinite(theta)][:1]} "
                             f"between t = {times[0]:g} and {times[-1]:g}.")
        P = self.potential.p[None].copy()
        if self.is_time_dependent:
            P = np.repeat(P, n + 1, axis=0)
            P[:, self.potential.time_index] = times
        steps = self._steps(dt, theta, times[:-1])
        # one row alone would mean: the same at every step
        return np.repeat(steps, 2, axis=0) if n == 1 else steps, P, end

    def _steps(self, dt, theta, times):
        return np.stack([dt, np.sqrt(2 * theta * dt), theta, times, np.exp(-self.friction * dt)], axis=1)

    @staticmethod
    def _checked(name, values, start):
        bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if bad.size:
            raise ValueError(f"{name} must be positive and finite, got {values[bad[0]]:g} at step "
                             f"{start + bad[0]}.")
        return values
