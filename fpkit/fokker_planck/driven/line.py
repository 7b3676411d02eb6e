"""One dimension: every drift has a potential on an interval, and one up to a constant force on a ring.

phi = f - int F, or -int (b - D')/D of an equation (theta = 1, M = D): the gradient process with phi answers
all questions of the interval exactly, and on a ring, where the force around it leaves F0 = int F / L, the
formulas of the tilted ring do.
"""
from __future__ import annotations

import numpy as np

from ...potentials.potential import Potential
from ..gibbs.quadrature import gauss

N_POINTS, DEEPEST = 16, 60
RESOLVED = 1e-15                    # of the size of an integral, that its two halves may differ by
BALANCED = 1e-12                    # of the work around a ring, below which it is none


class LineWork:
    """W(x) = int G from the middle of an interval to x, on panels that halve until Gauss rules agree."""

    def __init__(self, integrand, low: float, high: float) -> None:
        self.integrand, self.low, self.high = integrand, low, high
        self.x, self.w = gauss(N_POINTS)
        edges, parts, waiting = [low], [], [(low, high, self._one(low, high), 0)]
        scale = abs(waiting[0][2]) + self._one(low, high, absolute=True)
        while waiting:
            a, b, whole, depth = waiting.pop()
            middle = (a + b) / 2
            first, second = self._one(a, middle), self._one(middle, b)
            size = max(scale, abs(first) + abs(second)) if np.isfinite(scale) else abs(first) + abs(second)
            if depth >= DEEPEST or depth >= 2 and abs(first + second - whole) <= RESOLVED * size:
                edges.append(b)
                parts.append(first + second)
            else:
                waiting += [(middle, b, second, depth + 1), (a, middle, first, depth + 1)]
        self.edges = np.array(edges)
        self.sums = np.concatenate([[0.0], np.cumsum(parts)])
        self.sums -= np.interp((low + high) / 2, self.edges, self.sums)

    def _one(self, a, b, absolute=False):
        values = self.integrand(a + (b - a) * self.x)
        return float((b - a) * (self.w @ (np.abs(values) if absolute else values)))

    def absolute(self) -> float:
        """int |G| by the same panels."""
        return sum(self._one(a, b, absolute=True) for a, b in zip(self.edges[:-1], self.edges[1:]))

    def around(self) -> float:
        """int G from end to end."""
        return float(self.sums[-1] - self.sums[0])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """W at points (n,)."""
        k = np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, self.edges.size - 2)
        a = self.edges[k]
        values = self.integrand((a[:, None] + (x - a)[:, None] * self.x).ravel()).reshape(x.size, -1)
        return self.sums[k] + (x - a) * (values @ self.w)


class _Phi:
    """phi = f - W + F0 (x - middle), value or gradient, at points (n, 1)."""

    def __init__(self, potential, work, tilt, is_ring):
        self.potential, self.work, self.tilt, self.is_ring = potential, work, tilt, is_ring

    def wrapped(self, x):
        low, high = self.work.low, self.work.high
        return low + (x - low) % (high - low) if self.is_ring else x

    def __call__(self, points):
        x = self.wrapped(points[:, 0])
        middle = (self.work.low + self.work.high) / 2
        return self.potential(points) - self.work(x) + self.tilt * (x - middle)

    def gradient(self, points):
        x = self.wrapped(points[:, 0])
        return self.potential.gradient(points) - (self.work.integrand(x) - self.tilt)[:, None]


def line_potential(process, grid) -> tuple[Potential, float]:
    """phi of a frozen process on a grid of one axis, and the constant force F0 that is left on a ring."""
    (low, high), is_ring = grid.bounds[0], grid.periodic[0]

    def integrand(x):
        points = x[:, None]
        if process.equation is None:
            return process.force(points)[:, 0]
        return process.advection(points)[:, 0] / process.diffusion(points)[:, 0, 0]

    work = LineWork(integrand, low, high)
    tilt = 0.0
    if is_ring and abs(work.around()) > BALANCED * work.absolute():
        tilt = work.around() / (high - low)
    phi = _Phi(process.potential, work, work.around() / (high - low) if is_ring else 0.0, is_ring)
    made = Potential.black_box(phi, phi.gradient, ndim=1)
    made.domain = process.potential.domain
    return made, tilt
