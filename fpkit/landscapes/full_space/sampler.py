"""Hybrid Monte Carlo between a Gaussian and a well: the Gaussian's motion is an exact rotation.

    U_s = |y|^2/2 + s D,    D = beta (E - E0) + (g/2)|x - x0|^2 - |y|^2/2,    s = 0 ... 1

A. Beskos, F. J. Pinski, J. M. Sanz-Serna, A. M. Stuart, Stoch. Proc. Appl. 121, 2201 (2011).
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .gaussian import Gaussian
from .losses import Loss

ANGLE = 1.2                      # of a trajectory: a little less than a quarter turn, where nothing returns;
                                 # `turns` times that along curved valleys, narrower than the Gaussian shows
WANTED = 0.75                    # acceptance
EVERY, FINER, LONGER = 4, 0.5, 2       # one move in four takes finer steps and more of them: narrow places
LEAST_STEP = 1e-4


class Walkers(NamedTuple):
    """Walkers in whitened coordinates: y (W, d), D (W,) and its gradient (W, d), E and |x - x0|^2 (W,)."""
    y: np.ndarray
    D: np.ndarray
    slope: np.ndarray
    E: np.ndarray
    r2: np.ndarray


class Target(NamedTuple):
    """The well that is sampled: loss, x0, its loss, beta, tether g, wall and Gaussian."""
    loss: Loss
    x0: np.ndarray
    e0: float
    beta: float
    tether: float
    gaussian: Gaussian
    inside: Callable[[np.ndarray], np.ndarray] | None = None

    def at(self, y: np.ndarray, is_end: bool = True) -> Walkers:
        """Walkers at y; D is infinite where the loss is not finite, and outside the wall, which is only asked
        at the end of a trajectory."""
        x = self.gaussian.place(y)
        E, G = self.loss(x)
        away = x - self.x0
        with np.errstate(all="ignore"):
            r2 = (away * away).sum(-1)
            D = self.beta * (E - self.e0) + 0.5 * self.tether * r2 - 0.5 * (y * y).sum(-1)
            slope = self.gaussian.pull(self.beta * G + self.tether * away) - y
        if self.inside is not None and is_end:
            D = np.where(np.asarray(self.inside(x), bool), D, np.inf)
        lost = ~np.isfinite(D) | ~np.isfinite(slope).all(-1)
        D[lost], slope[lost] = np.inf, 0.0
        return Walkers(y, D, slope, E, r2)


def moved(target: Target, now: Walkers, s: float, step: float, most: int, rng: np.random.Generator,
          is_fine: bool = False, turns: int = 1) -> tuple[Walkers, float]:
    """One trajectory for every walker, accepted or not by Metropolis; the walkers, and the share accepted of
    those that end inside the wall (a finer step would not bring the others back)."""
    n, y = len(now.y), now.y
    p = rng.normal(size=y.shape)
    before = 0.5 * (p * p).sum(-1) + 0.5 * (y * y).sum(-1) + s * now.D
    each = (FINER if is_fine else 1.0) * step * rng.uniform(0.8, 1.2, (n, 1))
    draw = np.log(rng.random(n))
    cos, sin, kick = np.cos(each), np.sin(each), 0.5 * s * each
    new = now
    n_left = int(np.clip(np.ceil(ANGLE * turns / step), 1, most * turns)) * (LONGER if is_fine else 1)
    while n_left:
        n_left -= 1
        p = p - kick * new.slope
        y, p = cos * y + sin * p, cos * p - sin * y
        new = target.at(y, is_end=n_left == 0)
        p = p - kick * new.slope
    with np.errstate(invalid="ignore", over="ignore"):
        after = 0.5 * (p * p).sum(-1) + 0.5 * (y * y).sum(-1) + s * new.D
        is_taken = draw < np.where(np.isfinite(after), before - after, -np.inf)
    wide = is_taken[:, None]
    ended = len(now.D) if target.inside is None else max(1, int(np.isfinite(new.D).sum()))
    return Walkers(*(np.where(wide if a.ndim == 2 else is_taken, b, a) for a, b in zip(now, new))), float(
        is_taken.sum() / ended)


def adapted(step: float, acceptance: float) -> float:
    """The next step size."""
    return float(np.clip(step * np.exp(0.5 * (acceptance - WANTED)), LEAST_STEP, ANGLE))
