"""SGD on a plane with the gradient noise that was measured there: its own stationary state beside Gibbs.

With C(x) the covariance of single samples' slopes, B samples a step and the time lr/(1 - momentum) a step,

    dX = -G^-1 grad f dt + sqrt(2 D(X)) dW (Ito),    D = lr G^-1 C G^-1 / (2 B (1 - momentum)),

to leading order in lr [1]_. D is no temperature times a mobility, so that the state it settles to is no Gibbs
density: probability turns, and wells are left at another pace.

References
----------
.. [1] Q. Li, C. Tai, W. E, JMLR 20 (2019), 40.
"""
from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.grid import Grid
from ...core.results import Estimate, ResolutionWarning
from ...fokker_planck.fokker_planck import FokkerPlanck
from ...potentials.diffusion import Diffusion
from ...potentials.grid_potential import GridPotential
from ...potentials.mobility import TensorMobility, VariableMobility
from ...potentials.regions.shapes import Ball
from ..surface.wells import WELL_FACTOR

CELLS = 40                           # an axis; the stationary state is solved on two and three times as many
SINGULAR = 1e-9                      # smallest over largest eigenvalue of D: a direction without noise
N_THETA = 60
DECADES = 3.0                        # of temperatures looked through on both sides of that of the noise
CORE = 0.25                          # radius of the core of a well over the distance to the next one
MOST_WELLS = 3


@dataclass(frozen=True)
class SGDEscape:
    """Mean time from the lowest point of a well into the core of another, by the measured noise and by noise
    of one temperature.

    Attributes
    ----------
    well : int
    time, gibbs_time : Estimate
    """
    well: int
    time: Estimate
    gibbs_time: Estimate

    @property
    def ratio(self) -> tuple[float, float]:
        """Time by the measured noise over the other, and its error."""
        value = float(self.time) / float(self.gibbs_time)
        return value, value * (self.time.error / float(self.time)
                               + self.gibbs_time.error / float(self.gibbs_time))


@dataclass(frozen=True, repr=False, eq=False)
class SGDState:
    """What SGD itself settles to on the plane, or why that is not known.

    Attributes
    ----------
    status : str
        "ok", or a sentence.
    lr, momentum, batch : float or None
    grid : Grid
    density : ndarray, shape grid.shape, index [ix, iy]
        Stationary density; `gibbs` is exp(-f/theta)/Z at the same points.
    theta : float
        The temperature whose Gibbs density is nearest.
    noise_theta : float
        Temperature of the noise, <tr(G D)>/ndim in the stationary state.
    distance, noise_distance : Estimate
        Half the L1 distance to the Gibbs densities of `theta` and of `noise_theta`.
    entropy_production : Estimate
        1/time; 0 in detailed balance.
    current : ndarray (*grid.shape, ndim)
    occupation, gibbs_occupation : ndarray (n_wells,)
    anisotropy : float
        Largest over smallest eigenvalue of G^1/2 D G^1/2, mean over the stationary state.
    escapes : tuple of SGDEscape
    """
    status: str
    lr: float | None = None
    momentum: float = 0.0
    batch: float | None = None
    grid: Grid | None = None
    density: np.ndarray | None = None
    gibbs: np.ndarray | None = None
    theta: float = np.nan
    noise_theta: float = np.nan
    distance: Estimate | None = None
    noise_distance: Estimate | None = None
    entropy_production: Estimate | None = None
    current: np.ndarray | None = None
    occupation: np.ndarray | None = None
    gibbs_occupation: np.ndarray | None = None
    anisotropy: float = np.nan
    escapes: tuple = ()

    def to_dict(self) -> dict[str, Any]:
        if self.status != "ok":
            return {"status": self.status}
        pair = lambda e: {"value": float(e), "error": e.error}
        return {"status": "ok", "lr": self.lr, "momentum": self.momentum, "batch": self.batch,
                "theta": self.theta, "noise_theta": self.noise_theta, "anisotropy": self.anisotropy,
                "distance": pair(self.distance), "noise_distance": pair(self.noise_distance),
                "entropy_production": pair(self.entropy_production),
                "occupation": self.occupation, "gibbs_occupation": self.gibbs_occupation,
                "escapes": [{"well": e.well, "time": pair(e.time), "gibbs_time": pair(e.gibbs_time)}
                            for e in self.escapes]}


def sgd_state(land, wells, basins, clock) -> SGDState | None:
    """`SGDState` of a landscape whose file holds the noise; None where it holds none."""
    if land.gradient_noise is None:
        return None
    refusal = _refusal(land, clock)
    if refusal:
        return SGDState(refusal)
    inverse = np.linalg.inv(land.gram)
    D = clock.lr / (2 * clock.batch * (1 - clock.momentum)) * np.einsum(
        "ab,...bc,cd->...ad", inverse, land.gradient_noise, inverse)
    powers = np.linalg.eigvalsh(D)
    dead = int((powers[..., 0] <= SINGULAR * powers[..., -1]).sum())
    if dead:
        return SGDState(f"the measured noise has a direction without noise in {dead} of {land.loss.size} "
                        "points, where SGD does not diffuse")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResolutionWarning)
        try:
            return _solved(land, wells, basins, clock, D, inverse)
        except (ValueError, ArithmeticError) as error:
            return SGDState(f"the stationary state was not found: {error}")


def _refusal(land, clock):
    if land.ndim > 2:
        return "it is known for lines and planes, and this is a space"
    if not land.valid.all() or not np.isfinite(land.gradient_noise).all():
        return "it needs the loss and its noise at every point, and some are missing"
    if land.wraps is not None and any(land.wraps) or not land.is_uniform:
        return "it needs evenly spaced axes that do not close on themselves"
    if min(land.shape) < 5:
        return "it needs five samples an axis"
    if land.gram is None:
        return "the file has no Gram matrix of its directions"
    if clock.lr is None or clock.batch is None:
        return ("the file holds the noise of single samples; give lr and batch (--lr, --batch) for that of "
                "the optimiser")
    return None


def _solved(land, wells, basins, clock, D, inverse):
    axes = land.axes
    V, noise = land.potential(), _NoiseField(axes, D)
    kind = TensorMobility if land.ndim == 2 else VariableMobility
    process = Diffusion.from_sde(_Descent(V, inverse), kind(noise, noise.divergence, land.ndim), "ito",
                                 ndim=land.ndim)
    grid = Grid([(e[0], e[-1]) for e in land.edges], shape=(CELLS,) * land.ndim)
    F = FokkerPlanck(process, grid=grid)
    state = F.stationary()
    x, volumes = grid.points, grid.volumes
    p, f = np.exp(state.log_density.values), V(x)
    p = p / (p * volumes).sum()
    said = (np.minimum(np.asarray(state.density.error), 1 / volumes.min()) * volumes).sum() / 2
    local = np.einsum("ab,...ba->...", land.gram, noise.matrices(x)) / land.ndim
    noise_theta = float((p * volumes * local).sum())
    theta = _nearest(p, f, volumes, noise_theta)
    q = _gibbs(f, theta, volumes)
    distance = lambda q: Estimate(float((np.abs(p - q) * volumes).sum() / 2), min(float(said), 1.0),
                                  "half the L1 distance")
    root = np.linalg.cholesky(land.gram)
    powers = np.linalg.eigvalsh(np.einsum("ba,...bc,cd->...ad", root, noise.matrices(x), root))
    where = basins[tuple(_nearest_index(a, x[..., k]) for k, a in reversed(list(enumerate(axes))))]
    held = lambda q: np.array([(q * volumes)[where == k].sum() for k in range(len(wells))])
    current = state.current.vector
    return SGDState(
        "ok", clock.lr, clock.momentum, clock.batch, grid, p, q, theta, noise_theta, distance(q),
        distance(_gibbs(f, noise_theta, volumes)), state.entropy_production, current, held(p), held(q),
        float((p * volumes * powers[..., -1] / powers[..., 0]).sum()),
        _escapes(F, V, theta, grid, inverse, wells))


def _escapes(F, V, theta, grid, inverse, wells):
    """Mean times out of the lowest wells at temperature `theta` into the core of any other."""
    wells = [w for w in wells if w.persistence > WELL_FACTOR * theta]
    if len(wells) < 2:
        return ()
    apart = lambda a, b: float(np.linalg.norm(a.x - b.x))
    isotropic = FokkerPlanck(V, theta, grid, inverse)
    found = []
    for w in wells[:MOST_WELLS]:
        target = None
        for other in wells:
            if other is not w:
                ball = Ball(other.x, CORE * min(apart(other, v) for v in wells if v is not other))
                target = ball if target is None else target | ball
        try:
            times = [D.mfpt(target).at(w.x) for D in (F, isotropic)]
        except (ValueError, ArithmeticError):
            continue
        if all(np.isfinite(float(t)) and float(t) > 0 for t in times):
            found.append(SGDEscape(w.number, *times))
    return tuple(found)


def _gibbs(f, theta, volumes):
    with np.errstate(under="ignore"):
        q = np.exp(-(f - f.min()) / theta)
    return q / (q * volumes).sum()


def _nearest(p, f, volumes, guess):
    """The temperature whose Gibbs density has the least L1 distance: the best of many, then the best beside
    it."""
    far = lambda t: float((np.abs(p - _gibbs(f, t, volumes)) * volumes).sum())
    thetas = guess * np.geomspace(10.0**-DECADES, 10.0**DECADES, N_THETA)
    for _ in range(2):
        k = int(np.argmin([far(t) for t in thetas]))
        thetas = np.geomspace(thetas[max(k - 1, 0)], thetas[min(k + 1, N_THETA - 1)], N_THETA)
    return float(min(thetas, key=far))


def _nearest_index(axis, x):
    return np.clip(np.rint((x - axis[0]) / (axis[1] - axis[0])), 0, axis.size - 1).astype(int)


class _Descent:
    """-G^-1 grad f at points (n, ndim)."""

    def __init__(self, potential: GridPotential, inverse: np.ndarray) -> None:
        self.potential, self.inverse, self.__name__ = potential, inverse, "descent"

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return -self.potential.gradient(points) @ self.inverse


class _NoiseField:
    """D between its samples (ny, nx, ndim, ndim): splines of log D_xx, of D_xy/D_xx and of the logarithm of
    what D_yy has beside them, so that it is positive definite everywhere."""

    def __init__(self, axes: tuple, D: np.ndarray) -> None:
        self.__name__, self.ndim = "measured noise", len(axes)
        turned = lambda a: GridPotential(list(axes), np.ascontiguousarray(a.T))
        self.first = turned(np.log(D[..., 0, 0]))
        if self.ndim == 2:
            slope = D[..., 0, 1] / D[..., 0, 0]
            self.slope = turned(slope)
            self.rest = turned(np.log(D[..., 1, 1] - slope * D[..., 0, 1]))

    def matrices(self, points: np.ndarray) -> np.ndarray:
        """(..., ndim, ndim)."""
        d = np.exp(self.first(points))
        if self.ndim == 1:
            return d[..., None, None]
        s, r = self.slope(points), np.exp(self.rest(points))
        return np.stack([np.stack([d, s * d], -1), np.stack([s * d, r + s * s * d], -1)], -2)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        D = self.matrices(points)
        return D[..., 0, 0] if self.ndim == 1 else D

    def divergence(self, points: np.ndarray) -> np.ndarray:
        """sum_j d_j D_ij, (n, ndim)."""
        d, gd = np.exp(self.first(points)), self.first.gradient(points)
        if self.ndim == 1:
            return d[:, None] * gd
        s, gs = self.slope(points), self.slope.gradient(points)
        r, gr = np.exp(self.rest(points)), self.rest.gradient(points)
        gxx, gxy = d[:, None] * gd, d[:, None] * (gs + s[:, None] * gd)
        gyy = r[:, None] * gr + s[:, None] * gxy + (s * d)[:, None] * gs
        return np.stack([gxx[:, 0] + gxy[:, 1], gxy[:, 0] + gyy[:, 1]], axis=1)
