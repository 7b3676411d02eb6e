"""One-dimensional answers by means that share no code with the package: composite Gauss-Legendre rules for
integrals, and a Legendre expansion of the symmetric problem for spectra and densities."""
from __future__ import annotations

import numpy as np
from numpy.polynomial import legendre

POINTS = 10                                        # Gauss points of a panel
PANELS = 60                                        # between two breaks
SAFE = 2.0 / 3.0                                   # modes that are trusted of those computed


class Line:
    """The diffusion dX = -f' dt + sqrt(2 theta) dW between two reflecting walls.

    Parameters
    ----------
    f, slope : callable
        f and f' of an array.
    theta, low, high : float
    breaks : sequence of float
        Points at which integrals begin or end, and kinks of f.
    """

    def __init__(self, f, slope, theta, low, high, breaks=()):
        self.f, self.slope, self.theta, self.low, self.high = f, slope, theta, low, high
        edges = np.unique([low, high, *breaks])
        edges = np.concatenate([np.linspace(a, b, PANELS + 1)[:-1] for a, b in zip(edges, edges[1:])]
                               + [[high]])
        t, w = legendre.leggauss(POINTS)
        half = np.diff(edges)[:, None] / 2
        self.edges, self.x, self.w = edges, edges[:-1, None] + half * (1 + t), half * w
        # integrals of the interpolating polynomial from the left end of a panel to each of its points
        antiderivative = np.array([legendre.legint(c, lbnd=-1) for c in np.eye(POINTS)])
        self._inner = legendre.legval(t,
                                      antiderivative.T).T @ np.linalg.inv(legendre.legvander(t, POINTS - 1))
        self._half = half
        self.f0 = float(f(self.x).min())
        self.weight = np.exp(-(f(self.x) - self.f0) / theta)

    def between(self, values, a, b):
        """Integral of the values at the points from a to b, both of them breaks."""
        some = (self.edges[:-1] >= a - 1e-14) & (self.edges[1:] <= b + 1e-14)
        return float((values * self.w)[some].sum())

    def running(self, values):
        """Integral from the lower wall to each point."""
        before = np.concatenate([[0.0], np.cumsum((values * self.w).sum(1))])[:-1]
        return before[:, None] + self._half * (values @ self._inner.T)

    def log_partition(self, a=None, b=None):
        """log of the integral of exp(-f/theta), over the interval or between two breaks."""
        a, b = self.low if a is None else a, self.high if b is None else b
        return np.log(self.between(self.weight, a, b)) - self.f0 / self.theta

    def mean(self, values, a=None, b=None):
        """Gibbs mean of the values at the points."""
        a, b = self.low if a is None else a, self.high if b is None else b
        return self.between(values * self.weight, a, b) / self.between(self.weight, a, b)

    def mfpt(self, x0, target):
        """Mean first passage time from x0 up to a point above it, both of them breaks."""
        return self.between(self.running(self.weight) / self.weight, x0, target) / self.theta

    def committor(self, x0, a, b):
        """Probability of reaching b before a from x0 in (a, b), all of them breaks."""
        return self.between(1 / self.weight, a, x0) / self.between(1 / self.weight, a, b)

    def log_capacity(self, a, b):
        """log of theta/int exp(f/theta) from a to b, with the weight exp(-f/theta) as it stands."""
        return np.log(self.theta / self.between(1 / self.weight, a, b)) - self.f0 / self.theta

    def log_rate(self, a, b):
        """log of capacity over int (1 - q) exp(-f/theta), q the committor from (low, a) to (b, high)."""
        inside = (self.edges[:-1] >= a - 1e-14) & (self.edges[1:] <= b + 1e-14)
        grown = self.running(np.where(inside[:, None], 1 / self.weight, 0.0))
        q = grown / self.between(1 / self.weight, a, b)
        z = self.between(self.weight, self.low, a) + self.between((1 - q) * self.weight, a, b)
        return self.log_capacity(a, b) + self.f0 / self.theta - np.log(z)

    def modes(self, n=60, low=None, high=None, absorbs_low=False, absorbs_high=False, with_modes=True):
        """Eigenvalues, coefficients of the modes psi = phi exp(-f/2 theta), what evaluates the polynomials.

        With psi = sum c_j P_j the form theta int exp(-f/theta) phi'^2 is theta int (psi' + f' psi/2 theta)^2:
        the singular values of the matrix of psi_j' + f' psi_j/2 theta at Gauss points are the roots of the
        eigenvalues, to rounding of the largest root.
        """
        low, high = self.low if low is None else low, self.high if high is None else high
        t, w = legendre.leggauss(POINTS)
        # panels of equal angle, in which the polynomials are waves of about equal length
        angle = (np.arange(n // 2)[:, None] + (t + 1) / 2).ravel() * np.pi / (n // 2)
        t, w = -np.cos(angle), np.tile(w, n // 2) * np.pi / (n // 2) / 2 * np.sin(angle)
        half = (high - low) / 2
        norm = np.sqrt((2 * np.arange(n) + 1) / (2 * half))

        def values(x):
            s = np.clip((np.asarray(x, float) - low) / half - 1, -1, 1)
            return legendre.legvander(s, n - 1) * norm

        x = low + half * (1 + t)
        P = values(x)
        dP = np.stack([legendre.legval(t, legendre.legder(np.eye(n)[k])) for k in range(n)], -1) * norm / half
        B = (dP + self.slope(x)[:, None] / (2 * self.theta) * P) * np.sqrt(self.theta * w * half)[:, None]
        # walls that absorb: only combinations that vanish there
        rows = [values([e])[0] for e, is_on in ((low, absorbs_low), (high, absorbs_high)) if is_on]
        kept = np.linalg.svd(np.array(rows))[2][len(rows):].T if rows else np.eye(n)
        if not with_modes:
            return np.sort(np.linalg.svd(B @ kept, compute_uv=False)) ** 2, None, values
        _, s, vh = np.linalg.svd(B @ kept, full_matrices=False)
        order = np.argsort(s)
        return s[order] ** 2, kept @ vh[order].T, values

    def gap(self, k=1, **options):
        """k-th eigenvalue (1: the gap between reflecting walls) and what 20 more terms change."""
        coarse, fine = (self.modes(n, with_modes=False, **options)[0][k] for n in (60, 80))
        return fine, abs(fine - coarse) + 1e-13 * abs(fine)

    def cell_probabilities(self, x0, times, edges):
        """Probabilities (n_times, n_cells) from a point start, and bounds of their L1 errors (n_times,)."""
        found = [self._cells(n, x0, times, edges) for n in (90, 120)]
        return found[1], np.abs(found[1] - found[0]).sum(1) + 1e-13

    def _cells(self, n, x0, times, edges):
        eigenvalues, c, values = self.modes(n)
        t, w = legendre.leggauss(8)
        half = np.diff(edges)[:, None] / 2
        x = edges[:-1, None] + half * (1 + t)
        shift = (self.f(x) - float(self.f(np.array([x0]))[0])) / (2 * self.theta)
        psi, start = values(x.ravel()) @ c, (values([x0]) @ c)[0]
        m = int(SAFE * n)                          # the last modes are those of the polynomials
        out = []
        for time in times:
            density = (psi[:, :m]
                       @ (np.exp(-eigenvalues[:m] * time) * start[:m])).reshape(x.shape) * np.exp(-shift)
            out.append((density * half * w).sum(1))
        return np.array(out)
