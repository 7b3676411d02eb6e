"""The mobility M of a diffusion, read once for the density and for the paths: constant, or a function of the
place."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from .force import components_of, n_coordinates
from .potential import Potential
from .vector_field import PointFunction

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
    is_tensor : bool
        Whether M depends on the place and has entries off its diagonal.
    parts : ndarray of Potential or None
        M(x) as potentials, shape (), (ndim,) or (ndim, ndim), where it was given so that it can be compiled.
    given : object
        A constant M as an array, or a function of points (..., ndim): what makes the same mobility again.
    """

    ndim: int
    is_constant: bool
    is_full = False
    is_tensor = False
    is_unit = False
    parts = None
    given: Any

    def log_along(self, axis: int, X: np.ndarray | None) -> float | np.ndarray:
        """log of the mobility along one axis at points X (ndim, n): a number where it is constant."""
        raise NotImplementedError

    def matrices(self, points: np.ndarray) -> np.ndarray:
        """M at points (..., ndim), shape (..., ndim, ndim)."""
        raise NotImplementedError

    def roots(self, points: np.ndarray) -> np.ndarray:
        """Lower triangular A with A A' = M at points (..., ndim), shape (..., ndim, ndim)."""
        return np.linalg.cholesky(self.matrices(points))


class ConstantMobility(Mobility):
    """A constant M = root root'; of a diffusion matrix given directly it may have directions without
    noise.

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
        self.is_degenerate = False
        try:
            root = np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            self.is_degenerate, root = True, semidefinite_root(matrix)
        self.root = np.ascontiguousarray(root)
        self._diagonal_root = np.diag(self.root).copy()

    def __repr__(self) -> str:
        return str(np.asarray(1.0 if self.given is None else self.given).tolist())

    def log_along(self, axis: int, X: np.ndarray | None) -> float:
        with np.errstate(divide="ignore"):
            return float(np.log(self.diagonal[axis]))

    def matrices(self, points: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.matrix, (*points.shape, self.ndim))

    def roots(self, points: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.root, (*points.shape, self.ndim))

    def divergence(self, points: np.ndarray) -> np.ndarray:
        """Zero."""
        return np.zeros(points.shape)

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
    text = ""

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
            raise ValueError("the mobility gave full matrices at some points only; give them everywhere.")
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
        text = self.given.text if isinstance(self.given, Potential) else self.text
        return f"M(x) = {text}" if text else "M(x)"

    def at(self, points: np.ndarray) -> np.ndarray:
        """The diagonal of M at points (..., ndim), in their shape."""
        m = self(points)
        return m if m.shape == points.shape else np.broadcast_to(m[..., None], points.shape)

    def matrices(self, points: np.ndarray) -> np.ndarray:
        return self.at(points)[..., None] * np.eye(self.ndim)

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


class TensorMobility(VariableMobility):
    """M(x) with entries off its diagonal: symmetric and positive definite wherever it is asked for."""

    is_tensor = True

    def __call__(self, points: ArrayLike) -> np.ndarray:
        """M at points (..., ndim), as (..., ndim, ndim)."""
        points = np.asarray(points, float)
        flat = points.reshape(-1, self.ndim)
        shape = (len(flat), self.ndim, self.ndim)
        m = np.asarray(self._value(flat), float)
        if m.shape != shape:
            raise ValueError(f"the mobility gave shape {m.shape} for {len(flat)} points; expected {shape}.")
        size = np.abs(m).max((1, 2))
        if not np.isfinite(size).all():
            raise MobilityError(f"the mobility must be finite, got a value that is not at "
                                f"{flat[~np.isfinite(size)][0].tolist()}.")
        skew = np.abs(m - m.swapaxes(1, 2)).max((1, 2)) > SAME * size
        if skew.any():
            raise MobilityError(f"the mobility must be symmetric, got {m[skew][0].tolist()} at "
                                f"{flat[skew][0].tolist()}.")
        lowest = np.linalg.eigvalsh(m)[:, 0] if len(m) else np.ones(0)
        if (lowest <= 0).any():
            bad = int(np.argmin(lowest))
            raise MobilityError(f"the mobility must be positive definite; its smallest eigenvalue is "
                                f"{lowest[bad]:.3g} at {flat[bad].tolist()}.")
        return m.reshape(points.shape + (self.ndim,))

    def at(self, points: np.ndarray) -> np.ndarray:
        """The diagonal of M at points (..., ndim), in their shape."""
        return np.diagonal(self(points), axis1=-2, axis2=-1)

    def matrices(self, points: np.ndarray) -> np.ndarray:
        return self(points)

    def log_along(self, axis: int, X: np.ndarray | None) -> np.ndarray:
        return np.log(self(np.ascontiguousarray(X.T))[:, axis, axis])

    def divergence(self, points: np.ndarray) -> np.ndarray:
        """(div M)_i = sum_j d M_ij / d x_j at points (n, ndim)."""
        if self._divergence is not None:
            return np.asarray(self._divergence(points), float)
        g = np.zeros(points.shape)
        for j in range(self.ndim):
            h = 6e-6 * np.maximum(1.0, abs(points[:, j]))        # cube root of the rounding unit
            ahead, behind = points.copy(), points.copy()
            ahead[:, j] += h
            behind[:, j] -= h
            g += (self(ahead)[:, :, j] - self(behind)[:, :, j]) / (ahead[:, j] - behind[:, j])[:, None]
        return g


class _Stacked:
    """Values, or the divergence, of a mobility that is given by potentials."""

    def __init__(self, parts: np.ndarray, is_divergence: bool) -> None:
        self.parts, self.is_divergence = parts, is_divergence

    def __call__(self, points: np.ndarray) -> np.ndarray:
        if not self.is_divergence:
            values = [V(points) for V in self.parts.ravel()]
            return np.stack(values, -1).reshape(len(points), *self.parts.shape)
        gradients = np.stack([V.gradient(points) for V in self.parts.ravel()], 1)      # (n, parts, ndim)
        n, d = points.shape
        if self.parts.ndim == 1:
            return np.einsum("nii->ni", gradients)
        return np.einsum("nijj->ni", gradients.reshape(n, d, d, d))


def refuse_tensor(mobility: Mobility) -> None:
    """For callers that take a diagonal that depends on the place, and no more."""
    if mobility.is_tensor:
        raise ValueError("a mobility that depends on the place must be isotropic or diagonal here, shape "
                         "(n,) or (n, ndim) for n points; full matrices that change with x are not "
                         "supported.")


def semidefinite_root(matrix: np.ndarray) -> np.ndarray:
    """Lower triangular A with A A' = M for a positive semidefinite M."""
    M, A = matrix.copy(), np.zeros(matrix.shape)
    for k in range(len(M)):
        if M[k, k] > SAME * np.abs(matrix).max():
            A[k:, k] = M[k:, k] / np.sqrt(M[k, k])
            M[k:, k:] -= np.outer(A[k:, k], A[k:, k])
    return A


def mobility_of(mobility: Any, ndim: int,
                may_degenerate: bool = False) -> ConstantMobility | VariableMobility:
    """The one reading of every ``mobility=``, and of a diffusion matrix given directly.

    Parameters
    ----------
    mobility : None, float, (ndim,), (ndim, ndim), str, Potential, callable, pair of callables or Mobility
        One; isotropic; diagonal; a symmetric positive definite matrix; a formula of the coordinates, "1 +
        x**2", "(1 + x**2, 1)" or "[[2, x/9], [x/9, 1]]"; a function M(points) of points (n, ndim) that gives
        (n,), (n, ndim) or (n, ndim, ndim); a function of the coordinates that gives one value, `ndim` or
        ndim x ndim; the pair (M, div M); nested lists of formulas, functions, potentials and numbers.
    ndim : int
    may_degenerate : bool
        Whether a constant matrix may have directions without noise.

    Examples
    --------
    >>> from fpkit.potentials.mobility import mobility_of
    >>> mobility_of([[2.0, 0.5], [0.5, 1.0]], 2).is_full
    True
    >>> mobility_of("1 + x**2", 1).divergence(np.array([[3.0]]))
    array([[6.]])
    >>> mobility_of("[[2, x/9], [x/9, 1 + y**2]]", 2).divergence(np.array([[0.0, 3.0]])).round(12)
    array([[0.        , 6.11111111]])
    """
    if isinstance(mobility, (ConstantMobility, VariableMobility)):
        return mobility
    if mobility is None:
        return ConstantMobility(np.eye(ndim))
    if isinstance(mobility, Potential):
        if mobility.ndim != ndim:
            raise ValueError(f"the mobility has {mobility.ndim} coordinates and the potential {ndim}.")
        made = VariableMobility(mobility, mobility.gradient, ndim)
        made.parts = np.array(mobility, object)
        return made
    if isinstance(mobility, tuple) and len(mobility) == 2 and all(map(callable, mobility)):
        if all(isinstance(part, Potential) for part in mobility):
            return _of_components(mobility, ndim, may_degenerate)
        tried = _shape_at_points(mobility[0], ndim) or ()
        return (TensorMobility if len(tried) == 3 else VariableMobility)(*mobility, ndim)
    if isinstance(mobility, str) or callable(mobility) or _holds_fields(mobility):
        return _of_components(mobility, ndim, may_degenerate)
    return ConstantMobility(*_matrix(mobility, ndim, may_degenerate))


def _holds_fields(given):
    """Whether nested lists hold a text, a function or a potential."""
    if isinstance(given, (list, tuple)):
        return any(map(_holds_fields, given))
    return isinstance(given, str) or callable(given)


def _of_components(given, ndim, may_degenerate):
    """A mobility of formulas, functions or nested lists of them."""
    if callable(given):
        tried = _shape_at_points(given, ndim)
        if tried is not None:
            return (TensorMobility if len(tried) == 3 else VariableMobility)(given, None, ndim)
    try:
        parts, text = components_of(given, ndim, "mobility")
    except (ValueError, TypeError) as error:
        if callable(given) and n_coordinates(given) == 1:
            return VariableMobility(given, None, ndim)     # shows what is wrong where it is asked for
        raise type(error)(f"mobility must be a number, a diagonal, a matrix, a formula or a function of "
                          f"points: {error}") from None
    if isinstance(parts, PointFunction):
        return VariableMobility(given, None, ndim)
    if parts.shape not in ((), (ndim,), (ndim, ndim)):
        raise ValueError(f"mobility must be one formula, or formulas of shape ({ndim},) or ({ndim}, {ndim}), "
                         f"got shape {parts.shape}.")
    constant = [V._parts.formula is not None and not V.params and V._recording()[0].op == "constant"
                or list(V._parts.values) == ["#c"] for V in parts.ravel()]
    if all(constant) and parts.shape:
        values = np.array([float(V(np.zeros(ndim))) for V in parts.ravel()]).reshape(parts.shape)
        return ConstantMobility(*_matrix(values, ndim, may_degenerate))
    if parts.shape == ():
        return mobility_of(parts[()], ndim)
    kind = TensorMobility if parts.ndim == 2 else VariableMobility
    made = kind(_Stacked(parts, False), _Stacked(parts, True), ndim)
    made.parts, made.text = parts, text
    return made


def _shape_at_points(function, ndim):
    """Shape that a function of points (n, ndim) gives, or None where it is none."""
    try:
        with np.errstate(all="ignore"):
            shape = np.shape(function(np.random.default_rng(0).uniform(0.1, 0.9, (5, ndim))))
    except Exception:                                  # user code: anything may come out
        return None
    return shape if shape in ((), (5,), (5, ndim), (5, ndim, ndim)) else None


def _matrix(mobility: Any, ndim: int, may_degenerate: bool = False) -> tuple[np.ndarray, np.ndarray]:
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
        if (m < 0).any() or not may_degenerate and (m == 0).any():
            raise ValueError(f"mobility must be positive, got {m.min():g}.")
        return np.diag(np.broadcast_to(m, (ndim,))), m
    if np.abs(m - m.T).max() > SAME * np.abs(m).max():
        raise ValueError("mobility must be symmetric: give D with D[i, j] = D[j, i], for a plane the inverse "
                         "of its Gram matrix.")
    m = (m + m.T) / 2
    lowest = np.linalg.eigvalsh(m)[0]
    if lowest <= 0 and not (may_degenerate and lowest >= -SAME * np.abs(m).max()):
        raise ValueError(f"mobility must be positive definite; its smallest eigenvalue is {lowest:.3g}.")
    return m, m
