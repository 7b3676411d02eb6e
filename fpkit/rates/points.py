"""Stationary points as the rate formulas take them: given as CriticalPoint or as coordinates, polished and
described."""
from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.grid import Grid
from ..potentials.potential import Potential
from ..potentials.stationary.critical import CriticalPoint
from ..potentials.stationary.descent import Surface
from ..potentials.stationary.newton import polish
from .guard import FLAT

FARTHEST = 0.05                                  # of the length scale: how far Newton may move a given point
SMALL_GRADIENT = 1e-5  # |grad f| times the length scale over the stiffness: still a stationary point


def potential(V: Potential) -> Potential:
    """V, if it is a Potential; otherwise a sentence."""
    if not isinstance(V, Potential):
        raise TypeError(f"V must be a Potential, got {checks.shown(V)}; make one with fp.Potential(...).")
    return V


def box_of(V: Potential, grid: Grid | None = None) -> Sequence[tuple[float, float]] | None:
    """The box of the grid, of the potential's data, or of its entry in the catalogue; None without any."""
    return grid.bounds if grid is not None else V.bounds if V.bounds is not None else V.box


def stationary_point(V: Potential, given: CriticalPoint | ArrayLike, index: int, name: str) -> CriticalPoint:
    """The stationary point of index 0 or 1 nearest to `given`, as a CriticalPoint; a point that is none is
    refused.

    Up to `FLAT` an eigenvalue counts as zero, and such a point is `degenerate`, whatever its index. """
    if isinstance(given, CriticalPoint):
        found = given
        if len(found.x) != V.ndim:
            raise ValueError(f"the {name} has {len(found.x)} coordinates and the potential {V.ndim}.")
    else:
        x = checks.points(name, given, V.ndim)
        if x.ndim != 1:
            raise ValueError(f"{name} must be one point of shape ({V.ndim},), got {x.shape}.")
        found = described(V, x, name)
    if found.degenerate or found.on_wall:
        return found
    if found.index != index:
        kinds = {0: "a minimum", 1: "a saddle of index 1"}
        raise ValueError(f"the {name} at {place(found.x)} must be {kinds[index]}, but its Hessian has "
                         f"{found.index} negative eigenvalues; fpkit.critical_points lists the stationary "
                         "points.")
    return found


def described(V: Potential, x: np.ndarray, name: str) -> CriticalPoint:
    """The stationary point that Newton finds from x, which must be close to it."""
    length = _length_scale(V, x)
    surface = Surface(V)
    y = polish(surface, x[None], np.full(V.ndim, length))[0]
    gradient = np.linalg.norm(surface.gradient(y[None])[0])
    w = np.linalg.eigvalsh(surface.hessian(y[None])[0])
    stiffness = max(abs(w[0]), abs(w[-1]))
    small = SMALL_GRADIENT * length * max(stiffness, 1e-300) + 1e-12
    if np.linalg.norm(y - x) > FARTHEST * length or not gradient <= small:
        raise ValueError(f"the {name} {place(x)} is no stationary point: |grad f| = "
                         f"{np.linalg.norm(surface.gradient(x[None])[0]):.3g} there; "
                         "fpkit.critical_points(V, bounds) lists them.")
    flat = np.abs(w) <= FLAT * stiffness
    return CriticalPoint(y, float(V(y)), w, int(((w < 0) & ~flat).sum()),
                         degenerate=bool(flat.any() or stiffness == 0))


def _length_scale(V, x):
    """A length on which coordinates near x are of order one: the box if there is one, else 1 or |x|."""
    bounds = box_of(V)
    if bounds is not None:
        return float(min(high - low for low, high in bounds))
    return max(1.0, float(np.abs(x).max(initial=0.0)))


def passes(saddles: Iterable[CriticalPoint]) -> list[CriticalPoint]:
    """The saddles of which both neighbouring wells are known."""
    return [s for s in saddles if s.between and None not in s.between]


def place(x: np.ndarray) -> str:
    """Coordinates for a sentence."""
    return "(" + ", ".join(f"{v:.6g}" for v in x) + ")"


def square_root(mobility, ndim):
    """A with A A^T = M for a mobility None, number, diagonal or symmetric positive definite matrix."""
    if mobility is None:
        return np.eye(ndim)
    if callable(mobility):
        raise ValueError("the mobility must be constant for Eyring-Kramers (a number, a diagonal or a "
                         "matrix); a field goes to the rate of the grid.")
    m = np.asarray(mobility, float)
    if m.ndim == 0:
        m = m * np.eye(ndim)
    elif m.shape == (ndim,):
        m = np.diag(m)
    if m.shape != (ndim, ndim) or not np.isfinite(m).all() or not np.allclose(
        m, m.T, rtol=1e-12, atol=0) or np.linalg.eigvalsh(m)[0] <= 0:
        raise ValueError(f"mobility must be a positive number, {ndim} positive numbers or a symmetric "
                         f"positive definite {ndim} x {ndim} matrix, got {checks.shown(mobility)}.")
    return np.linalg.cholesky(m)
