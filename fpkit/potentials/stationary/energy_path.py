"""Minimum-energy paths between two wells, with the saddles and the wells they pass."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ...core.calls import understood
from ...core.views.pictures import curves
from ...core.views.tables import Tabular, coordinate_names
from .critical import CriticalPoint
from .descent import ScalarField, Surface, box_of, minimise, periodic_of
from .newton import newton_to_zero, polish
from .saddle_paths import N_IMAGES, evenly, relaxed_string

N_STEPS, N_SETTLING = 400, 2000
SETTLED = 1e-4                                   # of the distance between images: the string stands still
BEND = 1e-3                                      # of the span
FLAT = 1e-8                                      # |eigenvalue| below this times the largest counts as zero


@dataclass(frozen=True, eq=False, repr=False)
class EnergyPath(Tabular):
    """A path that follows the floor of a valley: grad f is along it everywhere.

    Attributes
    ----------
    x : ndarray (n, ndim)
        Images at equal distances, from the first well to the last.
    value : ndarray (n,)
        f at the images.
    arc : ndarray (n,)
        Length along the path.
    saddles, wells : tuple of CriticalPoint
        On the way, in order; both ends count as wells. Each was polished by Newton.
    """

    x: np.ndarray
    value: np.ndarray
    arc: np.ndarray
    saddles: tuple
    wells: tuple

    @property
    def barrier(self) -> float:
        """The highest saddle minus f at the start."""
        return max([s.value for s in self.saddles], default=float(self.value.max())) - float(self.value[0])

    def _columns(self):
        names = coordinate_names(self.x.shape[1])
        return {"arc": self.arc, **{name: self.x[:, k] for k, name in enumerate(names)}, "value": self.value}

    def _picture(self):
        return curves([(self.arc, self.value)])

    def __repr__(self) -> str:
        return (f"minimum-energy path of length {self.arc[-1]:.5g} through {len(self.wells)} wells and "
                f"{len(self.saddles)} saddles, barrier {self.barrier:.8g}")


@understood
def minimum_energy_path(V: ScalarField, start: CriticalPoint | ArrayLike, end: CriticalPoint | ArrayLike,
                        bounds: ArrayLike | None = None,
                        periodic: bool | Sequence[bool] | None = None) -> EnergyPath:
    """Path of steepest descent from saddle to well between two wells, by the string method.

    A string of images relaxes across itself with Newton steps, then every image follows -grad f for a moment
    and all are put back at equal distances, until the string stands still [1]_; its tops are then refined to
    saddles and its dips to wells by Newton's method. The path found is the one the straight line between the
    ends slides into; others may be lower (`critical_points` looks for all saddles).

    Parameters
    ----------
    V : Potential
    start, end : CriticalPoint or array_like, shape (ndim,)
        Points in two wells; the nearest minima are taken.
    bounds : sequence of (low, high), optional
        A box the path may not leave; default: that of V, if any.
    periodic : bool or sequence of bool, optional

    Returns
    -------
    path : EnergyPath

    Examples
    --------
    >>> V = fp.catalogue.mueller_brown(scale=1.0)
    >>> path = fp.minimum_energy_path(V, V.minima[0].x, V.minima[1].x)
    >>> len(path.wells), [s.x.round(3).tolist() for s in path.saddles]
    (3, [[-0.822, 0.624], [0.212, 0.293]])
    >>> round(path.barrier, 3)
    106.035

    References
    ----------
    .. [1] W. E, W. Ren, E. Vanden-Eijnden, J. Chem. Phys. 126, 164103 (2007).
    """
    bounds = box_of(V) if bounds is None else bounds
    ends = np.array([p.x if isinstance(p, CriticalPoint) else checks.points(name, p, V.ndim)
                     for name, p in (("start", start), ("end", end))], float)
    if bounds is None:
        span = np.full(V.ndim, max(1.0, float(np.abs(ends[1] - ends[0]).max())))
    else:
        span = np.array([high - low for low, high in bounds], float)
    surface = Surface(V, bounds, periodic_of(V, periodic))
    bottoms, converged = minimise(surface, ends, span)
    if not converged.all():
        raise ValueError("no minimum was found near one of the ends; give points in two wells.")
    if np.abs(surface.difference(bottoms[0], bottoms[1]) / span).max() < 1e-6:
        raise ValueError("both ends lie in the same well; give points in two different wells.")
    s = np.linspace(0, 1, N_IMAGES)[:, None]
    # off a ridge that symmetry would keep it on
    bend = BEND * span * np.random.default_rng(0).standard_normal(V.ndim)
    x = bottoms[0] + s * surface.difference(bottoms[1], bottoms[0]) + np.sin(np.pi * s) * bend
    x = relaxed_string(surface, bottoms[0], bottoms[1], span, n_steps=N_STEPS, path=x)[0]
    x, value = _settled(surface, x, span)
    tops = np.flatnonzero((value[1:-1] >= value[:-2]) & (value[1:-1] > value[2:])) + 1
    dips = np.flatnonzero((value[1:-1] <= value[:-2]) & (value[1:-1] < value[2:])) + 1
    saddles = _refined(surface, newton_to_zero(surface, x[tops], span) if len(tops) else x[:0], span, 1)
    inner = minimise(surface, x[dips], span)[0] if len(dips) else x[:0]
    wells = _refined(surface, np.concatenate([bottoms[:1], inner, bottoms[1:]]), span, 0)
    steps = surface.difference(x[1:], x[:-1])
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(steps, axis=1))])
    return EnergyPath(x, value, arc, saddles, wells)


def _settled(surface, x, span):
    """The string method proper: each image follows -grad f (exactly for a parabola) for the time in which
    none passes half its neighbour."""
    n = len(x)
    for _ in range(N_SETTLING):
        g = surface.gradient(x) * span
        w, q = np.linalg.eigh(surface.hessian(x) * span[:, None] * span)
        along = np.einsum("nji,nj->ni", q, np.where(np.isfinite(g), g, 0.0))
        spacing = np.linalg.norm(np.diff(x / span, axis=0), axis=1).mean()
        tangent = np.gradient(x / span, axis=0)
        tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-300)
        h = 0.5 * spacing / max(float(np.abs((g * tangent).sum(1)).max()), 1e-300)
        rate = np.maximum(np.abs(w), 1e-12 * np.abs(w).max())
        step = -np.einsum("nij,nj->ni", q, along * -np.expm1(-h * rate) / rate)
        length = np.linalg.norm(step, axis=1, keepdims=True)
        step *= np.minimum(1.0, spacing / np.maximum(length, 1e-300))
        step[[0, -1]] = 0.0
        new = evenly(x + step * span, n)
        moved = np.linalg.norm((new - x) / span, axis=1).max()
        x = new
        if moved < SETTLED * spacing:
            break
    x = surface.into_box(x)
    return x, surface.value(x)


def _refined(surface, x, span, index):
    """The distinct stationary points of this index among x, in order."""
    found = []
    for y in polish(surface, x, span) if len(x) else ():
        if any(np.abs(surface.difference(y, c.x) / span).max() < 1e-6 for c in found):
            continue
        w = np.linalg.eigvalsh(surface.hessian(y[None])[0])
        flat = np.abs(w) <= FLAT * np.abs(w).max()
        if int(((w < 0) & ~flat).sum()) == index:
            found.append(CriticalPoint(y, float(surface.value(y[None])[0]), w, index,
                                       degenerate=bool(flat.any())))
    return tuple(found)
