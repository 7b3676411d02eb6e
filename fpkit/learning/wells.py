"""A network so small that everything about two of its wells can be known: one tanh unit that must choose
which side of a bump to fit.

    out(u) = B tanh(A u + a) + b,   f = mean over 14 examples of (out(u) - y)^2/2 + (L2/2)|x|^2,
    x = (A, a, B, b)

The targets are 0 on the left, 1 in the middle and .1 on the right. One unit can fit the rise or the fall: two
unequal wells, each with a mirror image under (A, a, B) -> -(A, a, B), which is the same function. Escape
between them is predicted from a plane, from the full Hessian, and measured by SGLD; the occupation is known
exactly, since f is quadratic in (B, b).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..potentials.potential import Potential
from ..potentials.regions import Ball, Region
from ..potentials.stationary.critical import CriticalPoint, critical_points
from ..rates.eyring_kramers import harmonic_log_capacity, harmonic_log_mass
from .classifiers import Regression

BOUNDS = ((-3.0, 3.0), (-3.0, 3.0), (-1.5, 1.5), (-0.5, 1.0))


@dataclass(frozen=True, repr=False)
class BumpNetwork:
    """The problem, its confined risk as a compiled potential, its wells and the saddle between rise and fall.

    Attributes
    ----------
    problem : Regression
    potential : Potential
        f with the confinement, four coordinates, compiled: SGLD on it is ``fpkit.simulate`` with dt =
        learning rate.
    l2 : float
    rise, fall : CriticalPoint
        The two wells.
    mirrors : list of ndarray
        The mirror images of rise and fall.
    saddles : list of CriticalPoint
        All saddles next to the rise well. They lie close together around x = 0 in (A, a, B), where the unit
        does nothing.
    """
    problem: Regression
    potential: Potential
    l2: float
    rise: CriticalPoint
    fall: CriticalPoint
    mirrors: list[np.ndarray]
    saddles: list[CriticalPoint]

    def barrier(self) -> float:
        """Height of the lowest saddle over the rise well."""
        return min(s.value for s in self.saddles) - self.rise.value

    def harmonic_rate(self, theta: float, directions: ArrayLike | None = None) -> np.ndarray:
        """Eyring-Kramers rate out of the rise well through each of its saddles, from the Hessians, per unit
        time.

        With `directions` (rows, orthonormal): the rates of the motion that keeps to their plane, where a
        saddle that is not unstable within the plane counts zero.
        """
        theta = checks.number("theta", theta, positive=True)
        D = np.eye(4) if directions is None else np.asarray(directions, float)
        curvatures = lambda point: np.linalg.eigvalsh(D @ self.potential.hessian(point.x) @ D.T)
        log_mass = harmonic_log_mass(curvatures(self.rise), theta)
        log_rate = lambda e, s: harmonic_log_capacity(e,
                                                      theta) - log_mass - (s.value - self.rise.value) / theta
        pairs = [(curvatures(s), s) for s in self.saddles]
        return np.array([np.exp(log_rate(e, s)) if e[0] < 0 else 0.0 for e, s in pairs])

    def others(self, radius: float = 0.8) -> Region:
        """The union of the balls around the three other wells: where an escape has arrived."""
        first, *rest = (Ball(x, radius) for x in (self.fall.x, *self.mirrors))
        return first | rest[0] | rest[1]

    def plane_directions(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """Origin and two directions of the plane that holds all four wells (b at the mean of its values
        there)."""
        flat = np.array([1.0, 1.0, 1.0, 0.0])
        return np.array([0.0, 0.0, 0.0, 0.5 * (self.rise.x[3] + self.fall.x[3])]), [self.rise.x * flat,
                                                                                    self.fall.x * flat]

    def harmonic_share(self, theta: float) -> float:
        """Harmonic Gibbs probability of the two rising wells: weights exp(-E/theta)/sqrt(det H)."""
        theta = checks.number("theta", theta, positive=True)
        log_w = [-w.value / theta - 0.5 * np.log(w.eigenvalues).sum() for w in (self.rise, self.fall)]
        return float(1 / (1 + np.exp(log_w[1] - log_w[0])))

    def exact_share(self, theta: float, n_points: int = 400) -> float:
        """Exact Gibbs probability of A B > 0 (a rising output): f is quadratic in (B, b), so two integrals
        are Gaussian and one an error function.

        The remaining two, over A and a, are midpoint sums over +-8 prior lengths sqrt(theta/L2). """
        from scipy.special import log_ndtr, logsumexp

        theta = checks.number("theta", theta, positive=True)
        reach = 8 * np.sqrt(theta / self.l2)
        axis = (np.arange(n_points) + 0.5) / n_points * 2 * reach - reach
        A, a = np.meshgrid(axis, axis, indexing="ij")
        members = self.problem._index["train"]
        u, y = self.problem._inputs[members, 0], self.problem._targets[members, 0]
        t = np.tanh(A[..., None] * u + a[..., None])
        # f = (P B^2 + 2 Q B b + R b^2)/2 - (p B + q b) + const, with b integrated out
        P, Q, R = (t * t).mean(-1) + self.l2, t.mean(-1), 1.0 + self.l2
        p, q = (t * y).mean(-1), y.mean()
        curvature, slope = P - Q * Q / R, p - Q * q / R
        centre = slope / curvature
        log_w = (0.5 * slope * centre - 0.5 * self.l2 * (A * A + a * a)) / theta - 0.5 * np.log(curvature)
        log_up = log_ndtr(centre * np.sqrt(curvature / theta))             # log P(B > 0)
        log_down = log_ndtr(-centre * np.sqrt(curvature / theta))
        rising = logsumexp(log_w + np.where(A > 0, log_up, log_down))
        falling = logsumexp(log_w + np.where(A > 0, log_down, log_up))
        return float(1 / (1 + np.exp(falling - rising)))

    def __repr__(self) -> str:
        return (f"{self.problem}, L2 {self.l2:g}: rise {self.rise.value:.5f}, fall {self.fall.value:.5f}, "
                f"lowest saddle {min(s.value for s in self.saddles):.5f}")


def bump_network(l2: float = 0.003) -> BumpNetwork:
    """The network with its wells and saddles found.

    Examples
    --------
    >>> from fpkit.learning.wells import bump_network
    >>> net = bump_network()
    >>> net
    tanh network of 1 units: 14 training and 1 test members, 4 parameters, L2 0.003: rise 0.08978, fall
    0.09441, lowest saddle 0.10342
    """
    l2 = checks.number("l2", l2, positive=True)
    u = np.concatenate([np.linspace(-3, -1.2, 4), np.linspace(-0.8, 0.8, 5), np.linspace(1.2, 3, 5), [0.0]])
    y = np.concatenate([np.zeros(4), np.ones(5), np.full(5, 0.1), [1.0]])
    problem = Regression(u[:, None], y[:, None], width=1)

    def f(x, l2=l2):
        total = 0.0
        for k in range(len(u) - 1):
            residual = x[2] * np.tanh(x[0] * float(u[k]) + x[1]) + x[3] - float(y[k])
            total = total + residual * residual
        return 0.5 * total / (len(u) - 1) + 0.5 * l2 * (x * x).sum()

    V = Potential(f, ndim=4)
    found = critical_points(V, list(BOUNDS))
    wells = [p for p in found if p.kind == "minimum"]
    saddles = [p for p in found if p.kind == "saddle"]
    is_rising = lambda p: p.x[0] * p.x[2] > 0
    try:
        rise = next(p for p in wells if is_rising(p) and p.x[0] > 0)
        fall = next(p for p in wells if not is_rising(p) and p.x[0] > 0)
    except StopIteration:
        raise ValueError(f"at L2 {l2:g} this network has no two kinds of wells; between .0005 and .004 it "
                         "has.") from None
    mirror = lambda x: x * np.array([-1.0, -1.0, -1.0, 1.0])
    k = next(k for k, p in enumerate(wells) if p is rise)
    return BumpNetwork(problem, V, l2, rise, fall, [mirror(rise.x), mirror(fall.x)],
                       [s for s in saddles if k in s.between])
