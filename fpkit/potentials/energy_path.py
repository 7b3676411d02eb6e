"""Minimum-energy paths between two wells, with the saddles and the wells they pass."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core import checks
from .critical import CriticalPoint
from .descent import Surface, minimise
from .paths import relaxed_string
from .stationary import newton_to_zero, polish

N_STEPS = 400
BEND = 1e-3                                      # of the span
FLAT = 1e-8                                      # |eigenvalue| below this times the largest counts as zero


@dataclass(frozen=True, eq=False, repr=False)
class EnergyPath:
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
    def barrier(self):
        """The highest saddle minus f at the start."""
        return max([s.value for s in self.saddles], default=float(self.value.max())) - float(self.value[0])

    def __repr__(self):
        return f"minimum-energy path of length {self.arc[-1]:.5g} through {len(self.wells)} wells and {len(self.saddles)} saddles, barrier {self.barrier:.8g}"


def minimum_energy_path(V, start, end, bounds=None, periodic=None):
    """Path of steepest descent from saddle to well between two wells, by the string method.

    A string of images relaxes across itself with Newton steps and is kept at equal distances [1]_; its tops are then refined to saddles and its
    dips to wells by Newton's method. The path found is the one the straight line between the ends slides into; others may be lower
    (`critical_points` looks for all saddles).

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
    bounds = bounds if bounds is not None else V.bounds if V.bounds is not None else getattr(V, "box", None)
    if periodic is None:
        periodic = getattr(V, "periodic_axes", None)
    periodic = np.broadcast_to(np.asarray(False if periodic is None else periodic, bool), (V.ndim,))
    ends = np.array([p.x if isinstance(p, CriticalPoint) else checks.points(name, p, V.ndim) for name, p in (("start", start), ("end", end))], float)
    span = np.array([high - low for low, high in bounds], float) if bounds is not None else np.full(V.ndim, max(1.0, float(np.abs(ends[1] - ends[0]).max())))
    surface = Surface(V, bounds, periodic)
    bottoms, converged = minimise(surface, ends, span)
    if not converged.all():
        raise ValueError("no minimum was found near one of the ends; give points in two wells.")
    if np.abs(surface.difference(bottoms[0], bottoms[1]) / span).max() < 1e-6:
        raise ValueError("both ends lie in the same well; give points in two different wells.")
    bend = BEND * span * np.random.default_rng(0).standard_normal(V.ndim) if V.ndim > 1 else 0.0       # off a ridge that symmetry would keep it on
    x, value = relaxed_string(surface, bottoms[0], bottoms[1], span, n_steps=N_STEPS, bend=bend)
    tops = np.flatnonzero((value[1:-1] >= value[:-2]) & (value[1:-1] > value[2:])) + 1
    dips = np.flatnonzero((value[1:-1] <= value[:-2]) & (value[1:-1] < value[2:])) + 1
    saddles = _refined(surface, newton_to_zero(surface, x[tops], span) if len(tops) else x[:0], span, 1)
    inner = minimise(surface, x[dips], span)[0] if len(dips) else x[:0]
    wells = _refined(surface, np.concatenate([bottoms[:1], inner, bottoms[1:]]), span, 0)
    steps = surface.difference(x[1:], x[:-1])
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(steps, axis=1))])
    return EnergyPath(x, value, arc, saddles, wells)


def _refined(surface, x, span, index):
    """The distinct stationary points of this index among x, in order."""
    found = []
    for y in polish(surface, x, span) if len(x) else ():
        if any(np.abs(surface.difference(y, c.x) / span).max() < 1e-6 for c in found):
            continue
        w = np.linalg.eigvalsh(surface.hessian(y[None])[0])
        flat = np.abs(w) <= FLAT * np.abs(w).max()
        if int(((w < 0) & ~flat).sum()) == index:
            found.append(CriticalPoint(y, float(surface.value(y[None])[0]), w, index, degenerate=bool(flat.any())))
    return tuple(found)
