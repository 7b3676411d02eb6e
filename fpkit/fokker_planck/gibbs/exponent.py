"""The exponent beta f at quadrature points."""
from __future__ import annotations

import numpy as np

CHUNK = 32768                # points of one evaluation: they stay in the second-level cache


class Exponent:
    """beta (f - f0) of a potential whose parameters are frozen.

    Attributes
    ----------
    beta, f0 : float
    ndim : int
    """

    def __init__(self, potential, beta, f0=0.0):
        self.potential, self.beta, self.f0, self.ndim = potential, float(beta), float(f0), potential.ndim

    @property
    def is_compiled(self):
        return not self.potential.is_black_box

    def energies(self, X):
        """f on points X (ndim, n), one column a point."""
        X = np.ascontiguousarray(X, float)
        if not self.is_compiled:
            return np.asarray(self.potential(X.T), float)
        out, block, p = np.empty(X.shape[1]), self.potential.block("value"), self.potential.p
        if X.shape[1] <= CHUNK:
            block(X, p, out)
            return out
        for k in range(0, X.shape[1], CHUNK):
            part = np.empty(min(CHUNK, X.shape[1] - k))
            block(np.ascontiguousarray(X[:, k:k + CHUNK]), p, part)
            out[k:k + CHUNK] = part
        return out

    def __call__(self, X):
        """beta (f - f0) on points X (ndim, n); +inf and NaN are passed on."""
        with np.errstate(all="ignore"):
            return self.beta * (self.energies(X) - self.f0)

    def on(self, points):
        """The same on points (..., ndim)."""
        points = np.asarray(points, float)
        return self(points.reshape(-1, self.ndim).T).reshape(points.shape[:-1])
