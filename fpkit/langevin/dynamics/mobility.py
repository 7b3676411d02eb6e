"""The mobility of a path: a number, a diagonal, a positive definite matrix, or a function of the place."""
from __future__ import annotations

import numpy as np

from ...core import checks


class ConstantMobility:
    """M = root root', root lower triangular (ndim, ndim)."""
    is_constant = True

    def __init__(self, root):
        self.root = np.ascontiguousarray(root)
        self.diagonal_root = np.diag(self.root).copy()
        self.is_full = bool(np.count_nonzero(self.root) > np.count_nonzero(self.diagonal_root))
        self.diagonal = (self.root**2).sum(1) if self.is_full else self.diagonal_root**2     # of M

    @property
    def matrix(self):
        return self.root @ self.root.T if self.is_full else np.diag(self.diagonal)

    def applied(self, g):
        """M g for g (ndim, n); a diagonal costs no product of matrices, which in the thousands of coordinates
        of a network matters."""
        return self.root @ (self.root.T @ g) if self.is_full else self.diagonal[:, None] * g

    def rooted(self, z):
        """root z for z (ndim, n)."""
        return self.root @ z if self.is_full else self.diagonal_root[:, None] * z


class VariableMobility:
    """M(x), isotropic (n,) or diagonal (n, ndim), with its divergence for the Ito drift theta div M."""
    is_constant = False

    def __init__(self, value, divergence, ndim):
        self._value, self._divergence, self.ndim = value, divergence, ndim

    def at(self, points):
        """M at points (n, ndim), as (n, ndim)."""
        m = np.asarray(self._value(points), float)
        n = len(points)
        if m.shape == (n,):
            m = np.broadcast_to(m[:, None], points.shape)
        if m.shape != points.shape:
            raise ValueError(f"the mobility gave shape {m.shape} for {n} points; expected ({n},) or ({n}, "
                             f"{self.ndim}).")
        if not (m > 0).all():
            bad = np.flatnonzero(~(m > 0).all(axis=1))[0]
            raise ValueError(f"the mobility must be positive, got {m[bad].min():g} at {points[bad].tolist()}.")
        return m

    def divergence(self, points):
        """(div M)_i = d M_ii / d x_i at points (n, ndim): given, or by central differences (relative error
        about 1e-10)."""
        if self._divergence is not None:
            g = np.asarray(self._divergence(points), float)
            if g.shape != points.shape:
                raise ValueError(f"the divergence of the mobility gave shape {g.shape}, expected "
                                 f"{points.shape}.")
            return g
        g = np.empty(points.shape)
        for i in range(self.ndim):
            h = 6e-6 * np.maximum(1.0, abs(points[:, i]))        # cube root of the rounding unit
            ahead, behind = points.copy(), points.copy()
            ahead[:, i] += h
            behind[:, i] -= h
            g[:, i] = (self.at(ahead)[:, i] - self.at(behind)[:, i]) / (ahead[:, i] - behind[:, i])
        return g


def mobility_of(mobility, ndim):
    """The `mobility=` argument: None, a number, (ndim,), (ndim, ndim), a text or potential, callable M, or
    (M, div M)."""
    if mobility is None:
        return ConstantMobility(np.eye(ndim))
    if isinstance(mobility, (ConstantMobility, VariableMobility)):
        return mobility
    if isinstance(mobility, str):
        from ...potentials.potential import Potential
        mobility = Potential(mobility, ndim=ndim)
    if hasattr(mobility, "gradient"):
        if mobility.ndim != ndim:
            raise ValueError(f"the mobility has {mobility.ndim} coordinates and the potential {ndim}.")
        return VariableMobility(mobility, mobility.gradient, ndim)
    if isinstance(mobility, tuple) and len(mobility) == 2 and all(map(callable, mobility)):
        return VariableMobility(*mobility, ndim)
    if callable(mobility):
        return VariableMobility(mobility, None, ndim)
    try:
        m = np.array(mobility, float)
    except (TypeError, ValueError):
        raise TypeError("mobility must be a number, a diagonal, a matrix or a function M(points), got "
                        f"{checks.shown(mobility)}.") from None
    if not np.isfinite(m).all():
        raise ValueError("mobility holds values that are not finite.")
    if m.ndim == 0:
        m = np.full(ndim, m)
    if m.shape == (ndim,):
        if not (m > 0).all():
            raise ValueError(f"mobility must be positive, got {m.min():g}.")
        return ConstantMobility(np.diag(np.sqrt(m)))
    if m.shape != (ndim, ndim):
        raise ValueError(f"mobility must be a number, ({ndim},) or ({ndim}, {ndim}), got shape {m.shape}.")
    if not np.allclose(m, m.T, rtol=1e-12, atol=0):
        raise ValueError("a mobility matrix must be symmetric; an antisymmetric part would break detailed "
                         "balance.")
    try:
        return ConstantMobility(np.linalg.cholesky(m))
    except np.linalg.LinAlgError:
        raise ValueError("a mobility matrix must be positive definite; its smallest eigenvalue is "
                         f"{np.linalg.eigvalsh(m)[0]:.3g}.") from None
