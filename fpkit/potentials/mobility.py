"""The mobility M of a diffusion, read once for the density and for the paths: constant, or a function of the
place."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from .potential import Potential

SAME = 1e-12                    # relative difference of M[i, j] and M[j, i] that is rounding


class MobilityError(ValueError):
    """A mobility that is not positive or has no meaning where a run or a grid asked for it."""


class Mobility:
    """M in dX = -M grad f dt + theta div M dt + sqrt(2 theta M) dW: symmetric and positive definite.

    Attributes
    ----------
    ndim : int
    is_constant : bool
    is_full : bool
        Whether a constant M has entries off its diagonal.
    given : object
        A constant M as an array, or a function of points (..., ndim): what makes the same mobility again.
    """

    ndim: int
    is_constant: bool
    is_full = False
    is_unit = False
    given: Any

    def log_along(self, axis: int, X: np.ndarray | None) -> float | np.ndarray:
        """log of the mobility along one axis at points X (ndim, n): a number where it is constant."""
        raise NotImplementedError


class ConstantMobility(Mobility):
    """A constant M = root root'.

    Attributes
    ----------
    matrix : ndarray (ndim, ndim)
    diagonal : ndarray (ndim,)
        Of `matrix`.
    root : ndarray (ndim, ndim)
        Lower triangular.
    """

    is_constant = True

    def __init__(self, matrix: np.ndarray, given: Any = None) -> None:
        self.ndim, self.matrix, self.given = len(matrix), matrix, given
        self.diagonal = np.diag(matrix).copy()
        self.is_full = bool(np.count_nonzero(matrix) > self.ndim)
        self.is_unit = not self.is_full and bool((self.diagonal == 1).all())
        self.root = np.ascontiguousarray(np.linalg.cholesky(matrix))
        self._diagonal_root = np.diag(self.root).copy()

    def __repr__(self) -> str:
        return str(np.asarray(1.0 if self.given is None else self.given).tolist())

    def log_along(self, axis: int, X: np.ndarray | None) -> float:
        return float(np.log(self.diagonal[axis]))

    def applied(self, g: np.ndarray) -> np.ndarray:
        """M g for g (ndim, n); a diagonal costs no product of matrices, which in the thousands of coordinates
        of a network matters."""
        return self.root @ (self.root.T @ g) if self.is_full else self._diagonal_root[:, None]**2 * g

    def rooted(self, z: np.ndarray) -> np.ndarray:
        """root z for z (ndim, n)."""
        return self.root @ z if self.is_full else self._diagonal_root[:, None] * z


class VariableMobility(Mobility):
    """M(x), isotropic or diagonal, with its divergence for the drift theta div M of Ito's calculus."""

    is_constant = False

    def __init__(self, value: Callable, divergence: Callable | None, ndim: int) -> None:
        self._value, self._divergence, self.ndim = value, divergence, ndim
        self.given = value if divergence is None or isinstance(value, Potential) else self

    def __call__(self, points: ArrayLike) -> np.ndarray:
        """M at points (..., ndim), as (...) where it is isotropic, else (..., ndim)."""
        points = np.asarray(points, float)
        flat = points.reshape(-1, self.ndim)
        n, d = flat.shape
        m = np.asarray(self._value(flat), float)
        if m.ndim == 0:
            m = np.full(n, float(m))
        if m.shape == (n, d, d):
            raise ValueError("a position-dependent mobility must be isotropic or diagonal, shape (...) or "
                             "(..., ndim); full matrices that change with x are not supported.")
        if m.shape not in ((n,), (n, d)):
            raise ValueError(f"the mobility gave shape {m.shape} for {n} points; expected ({n},) or ({n}, "
                             f"{d}).")
        good = (m > 0) & (m < np.inf)
        if not good.all():
            bad = np.flatnonzero(~good.reshape(n, -1).all(1))[0]
            wanted = "finite" if np.isposinf(m[bad]).any() and (m[bad] > 0).all() else "positive"
            raise MobilityError(f"the mobility must be {wanted}, got {m[bad].min():g} at "
                                f"{flat[bad].tolist()}.")
        return m.reshape(points.shape[:-1] + m.shape[1:])

    def __repr__(self) -> str:
        return f"M(x) = {self.given.text}" if isinstance(self.given, Potential) else "M(x)"

    def at(self, points: np.ndarray) -> np.ndarray:
        """The diagonal of M at points (..., ndim), in their shape."""
        m = self(points)
        return m if m.shape == points.shape else np.broadcast_to(m[..., None], points.shape)

    def log_along(self, axis: int, X: np.ndarray | None) -> np.ndarray:
        m = self(np.ascontiguousarray(X.T))
        return np.log(m if m.ndim == 1 else m[:, axis])

    def divergence(self, points: np.ndarray) -> np.ndarray:
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


def mobility_of(mobility: Any, ndim: int) -> ConstantMobility | VariableMobility:
    """The one reading of every ``mobility=``.

    Parameters
    ----------
    mobility : None, float, (ndim,), (ndim, ndim), str, Potential, callable, pair of callables or Mobility
        One; isotropic; diagonal; a symmetric positive definite matrix; a formula of the coordinates; a
        function M(points) of points (n, ndim) that gives (n,) or (n, ndim); or the pair (M, div M).
    ndim : int

    Examples
    --------
    >>> from fpkit.potentials.mobility import mobility_of
    >>> mobility_of([[2.0, 0.5], [0.5, 1.0]], 2).is_full
    True
    >>> mobility_of("1 + x**2", 1).divergence(np.array([[3.0]]))
    array([[6.]])
    """
    if isinstance(mobility, (ConstantMobility, VariableMobility)):
        return mobility
    if mobility is None:
        return ConstantMobility(np.eye(ndim))
    if isinstance(mobility, str):
        try:
            mobility = Potential(mobility, ndim=ndim)
        except ValueError as error:
            raise ValueError(f"mobility must be a number, a diagonal, a matrix, a formula or a function of "
                             f"points: {error}") from None
    if isinstance(mobility, Potential):
        if mobility.ndim != ndim:
            raise ValueError(f"the mobility has {mobility.ndim} coordinates and the potential {ndim}.")
        return VariableMobility(mobility, mobility.gradient, ndim)
    if isinstance(mobility, tuple) and len(mobility) == 2 and all(map(callable, mobility)):
        return VariableMobility(*mobility, ndim)
    if callable(mobility):
        return VariableMobility(mobility, None, ndim)
    return ConstantMobility(*_matrix(mobility, ndim))


def _matrix(mobility: Any, ndim: int) -> tuple[np.ndarray, np.ndarray]:
    """A constant mobility as a checked matrix, and as it was given."""
    try:
        m = np.asarray(mobility)
        if m.dtype.kind not in "fiu" or isinstance(mobility, bool):
            raise TypeError
        m = m.astype(float)
    except (TypeError, ValueError):
        raise TypeError(f"mobility must be a number, {ndim} numbers, a {ndim} x {ndim} matrix, a formula or "
                        f"a function of points, got {checks.shown(mobility)}.") from None
    if m.shape not in ((), (ndim,), (ndim, ndim)):
        raise ValueError(f"mobility must be a number, ({ndim},) or ({ndim}, {ndim}), got shape {m.shape}.")
    if not np.isfinite(m).all():
        raise ValueError("mobility must be finite, got values that are not.")
    if m.ndim < 2:
        if (m <= 0).any():
            raise ValueError(f"mobility must be positive, got {m.min():g}.")
        return np.diag(np.broadcast_to(m, (ndim,))), m
    if np.abs(m - m.T).max() > SAME * np.abs(m).max():
        raise ValueError("mobility must be symmetric: give D with D[i, j] = D[j, i], for a plane the inverse "
                         "of its Gram matrix.")
    m = (m + m.T) / 2
    lowest = np.linalg.eigvalsh(m)[0]
    if lowest <= 0:
        raise ValueError(f"mobility must be positive definite; its smallest eigenvalue is {lowest:.3g}.")
    return m, m
