"""Steepest descent of many points at once, to the minima they end in: the common ground of basins, sublevel
sets and wells.

dx/dt = -grad f is integrated by the exponential Rosenbrock pair exprb32 (Hochbruck, Ostermann, Schweitzer,
SIAM J. Numer. Anal. 47, 786 (2009)), each point with its own step: exact for parabolas, so stiff valleys cost
no more than round wells. A point is finished as soon as it enters the trapping zone of a known minimum m: an
ellipsoid (x - m) . H (x - m) < 2 rho in which the radial derivative of f is positive (checked on sampled
rays), cut at half the least rise of f over its surface. Descent cannot leave such a set and f has no other
stationary point there, so the long approach along the soft modes need not be followed. (Above two dimensions
the ellipsoid is kept inside the convex surroundings of m.)
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

TRAPPED, STATIONARY, LEFT, UNFINISHED = 1, 2, 3, 4
N_RAYS = 32  # sampled directions per dimension of a trapping zone (fewer above two, but they move)
MAX_ZONES = 32  # beyond it points are followed to rest, which takes a few steps more
CORNER_STEP = 1e-9  # of the span: a step on a line that may be no longer than this
ROUND = 4                                       # steps between two looks at the trapping zones


class ScalarField(Protocol):
    """What a search needs of f: a `Potential`, whose derivatives take points (..., ndim)."""

    ndim: int
    bounds: Any
    domain: Any
    box: Any
    periodic_axes: Any
    is_black_box: bool

    def __call__(self, x: ArrayLike) -> Any: ...
    def gradient(self, x: ArrayLike) -> np.ndarray: ...
    def hessian(self, x: ArrayLike) -> np.ndarray: ...


def box_of(V: ScalarField) -> Any:
    """The box that f itself knows: its bounds, or that of a catalogue potential; else None."""
    return V.bounds if V.bounds is not None else V.box


def periodic_of(V: ScalarField, periodic: bool | Sequence[bool] | None) -> np.ndarray:
    """Truth value an axis: what was asked for, else what f says."""
    periodic = V.periodic_axes if periodic is None else periodic
    return np.broadcast_to(np.asarray(False if periodic is None else periodic, bool), (V.ndim,))


@dataclass(frozen=True, eq=False)
class Ends:
    """Where descents end: `points` (n, ndim), `zone` (n,) index into `zones` or -1, `status` (n,) of TRAPPED
    ... UNFINISHED."""

    points: np.ndarray
    zone: np.ndarray
    status: np.ndarray
    zones: list


class Surface:
    """A potential with numbers of its own scale: value inf outside the domain, never a warning, box walls
    respected."""

    def __init__(self, potential, bounds=None, periodic=None):
        self.potential, self.ndim = potential, potential.ndim
        bounds = potential.bounds if bounds is None else bounds
        low, high = np.full(self.ndim, -np.inf), np.full(self.ndim, np.inf)
        if bounds is not None:
            low, high = np.array(bounds, float).reshape(self.ndim, 2).T
        self.low, self.high = low, high
        self.has_walls = bounds is not None
        self.periodic = np.zeros(self.ndim, bool) if periodic is None else np.asarray(periodic, bool)
        self.period = np.where(self.periodic, high - low, np.inf)

    def value(self, x):
        with np.errstate(all="ignore"):
            v = np.array(self.potential(x), float)
        if self.potential.domain is not None:
            whole = np.isfinite(x).all(-1)
            v = np.where(whole & self.potential.domain(np.where(whole[..., None], x, 0.0)), v, np.inf)
        return np.where(np.isnan(v), np.inf, v)

    def gradient(self, x):
        with np.errstate(all="ignore"):
            return np.asarray(self.potential.gradient(x), float)

    def hessian(self, x):
        with np.errstate(all="ignore"):
            h = np.asarray(self.potential.hessian(x), float)
        return np.where(np.isfinite(h), h, 0.0)

    def into_box(self, x):
        """Points wrapped on periodic axes and moved to the wall on the others."""
        if self.periodic.any():
            x = np.where(self.periodic, self.low
                         + np.mod(x - self.low, np.where(self.periodic, self.period, 1.0)), x)
        return np.clip(x, self.low, self.high)

    def difference(self, x, y):
        """x - y by the shorter way round on periodic axes."""
        d = x - y
        if self.periodic.any():
            period = np.where(self.periodic, self.period, 1.0)
            d = np.where(self.periodic, d - period * np.round(d / period), d)
        return d

    def free_gradient(self, x, g):
        """The gradient without the components that push against a wall the point already touches."""
        held = ((x <= self.low) & (g > 0) | (x >= self.high) & (g < 0)) & ~self.periodic
        return np.where(held, 0.0, g), held


@dataclass(frozen=True, eq=False)
class Zone:
    """Trapping zone of a minimum at x: 0.5 (y - x) . hessian (y - x) < size and f(y) < level."""

    x: np.ndarray
    value: float
    hessian: np.ndarray
    size: float
    level: float

    def holds(self, surface, y, v):
        d = surface.difference(y, self.x)
        return (0.5 * np.einsum("ni,ij,nj->n", d, self.hessian, d) < self.size) & (v < self.level)


def directions(ndim, count, seed=0):
    """Unit vectors: both in 1D, evenly spread in 2D, axes and random ones (fixed seed) above."""
    if ndim == 1:
        return np.array([[1.0], [-1.0]])
    if ndim == 2:
        phi = 2 * np.pi * (np.arange(count) + 0.5) / count
        return np.stack([np.cos(phi), np.sin(phi)], -1)
    u = np.random.default_rng(seed).standard_normal((count, ndim))
    return np.concatenate([np.eye(ndim), -np.eye(ndim), u / np.linalg.norm(u, axis=1)[:, None]])


def trapping_zone(surface, x, span):
    """The largest zone found around the minimum x by growing it shell by shell, or None if the minimum is
    degenerate or at a wall."""
    value, hessian = float(surface.value(x[None])[0]), surface.hessian(x[None])[0]
    w, q = np.linalg.eigh(hessian)
    if not w[0] > 1e-9 * max(w[-1], 0.0) or not w[-1] > 0:
        return None
    to_ball, from_ball = (q * np.sqrt(w)).T, q / np.sqrt(w)  # 0.5 d.H.d = |to_ball d|^2/2
    units = directions(len(x), N_RAYS * len(x) if len(x) <= 2 else 10 * len(x))
    if len(x) > 2:
        units = np.concatenate([units, *(s * to_ball.T / np.linalg.norm(to_ball.T, axis=1)[:, None]
                                         for s in (1, -1))])
    size, best = 0.5 * w[-1] * (1e-3 * span.min()) ** 2, None
    for _ in range(80):
        radius = np.sqrt(2 * size)
        shell = x + radius * units @ from_ball.T
        outside = ~surface.periodic & ((shell < surface.low) | (shell > surface.high))
        beyond_half_period = surface.periodic & (abs(shell - x) > 0.5 * surface.period)
        if outside.any() or beyond_half_period.any():
            break
        gradient = surface.gradient(shell)
        if len(x) > 2:
            # Rays are sparse in many dimensions and a saddle hides between them: slide along the shell to
            # where f is lower, and keep to where f is convex, which ends well before the saddle.
            for _ in range(4):
                downhill = -gradient @ from_ball
                downhill -= (downhill * units).sum(-1, keepdims=True) * units
                units = units + 0.15 * downhill / np.maximum(np.linalg.norm(downhill, axis=-1, keepdims=True),
                                                             1e-300)
                units /= np.linalg.norm(units, axis=-1, keepdims=True)
                shell = np.clip(x + radius * units @ from_ball.T, surface.low, surface.high)
                gradient = surface.gradient(shell)
            if np.linalg.eigvalsh(from_ball.T @ surface.hessian(shell) @ from_ball)[:, 0].min() < 0.2:
                break
        rise = surface.value(shell) - value
        if not (np.isfinite(rise).all() and ((shell - x) * gradient).sum(-1).min() > 0 and rise.min() > 0):
            break
        if best is None or 0.5 * rise.min() >= best.level - best.value:
            best = Zone(x, value, hessian, size, value + 0.5 * rise.min())
        size *= 1.5 if len(x) <= 2 else 2.25
    return best


def minimise(surface, x, span, n_steps=120):
    """Local minima by Newton steps with |H| in place of H, a trust radius for each point, and held
    coordinates at the walls.

    Returns points (n, ndim) and whether each has converged (last step below 1e-9 of the span).
    """
    x = surface.into_box(np.array(x, float))
    v = surface.value(x)
    radius, step_size = np.full(len(x), 0.1), np.full(len(x), np.inf)
    active = np.isfinite(v)
    for _ in range(n_steps):
        k = np.flatnonzero(active)
        if not len(k):
            break
        step = _newton_step(surface, x[k], np.abs)
        length = np.linalg.norm(step / span, axis=1)
        y = surface.into_box(x[k] + step * np.minimum(1.0, radius[k] / np.maximum(length, 1e-300))[:, None])
        new = surface.value(y)
        # A step at the rounding level of f may raise it by an ulp or two.
        with np.errstate(invalid="ignore"):
            good = new <= v[k] + 4e-16 * np.abs(v[k])
        moved = k[good]
        radius[k] = np.where(good, np.where(length > radius[k], np.minimum(2 * radius[k], 10.0), radius[k]),
                             np.minimum(radius[k], length) / 4)
        step_size[k] = length
        x[moved], v[moved] = y[good], new[good]
        active[k] = (length > 1e-12) & (radius[k] > 1e-13)
    return x, np.isfinite(v) & (step_size < 1e-9)


def _newton_step(surface, x, of_eigenvalues):
    g, held = surface.free_gradient(x, surface.gradient(x))
    h = surface.hessian(x)
    if held.any():
        h = np.where(held[:, :, None] | held[:, None, :], np.eye(surface.ndim), h)
    g = np.where(np.isfinite(g), g, 0.0)
    w, q = np.linalg.eigh(h)
    size = np.maximum(np.abs(w), 1e-10 * np.abs(w).max(1, keepdims=True) + 1e-300)
    w = np.where(w < 0, -size, size)
    step = -np.einsum("nij,nj->ni", q, np.einsum("nji,nj->ni", q, g) / of_eigenvalues(w))
    return np.clip(step, -1e100, 1e100)         # a linear f has no scale: the trust radius decides


def descend(surface, x, span, zones=(), tol=1e-5, n_steps=3000, patience=12):
    """Follow dx/dt = -grad f from each point of x (n, ndim) to its end.

    Parameters
    ----------
    surface : Surface
    span : ndarray, shape (ndim,)
        Length scale of each axis. A local error of the flow is at most ``tol * span``, so a point within
        about that distance of the border between two basins may be given to either.
    zones : sequence of Zone
        Minima already known; new ones are found on the way.
    patience : int
        Give up on finding new minima after so many failures in a row (flat or degenerate floors).

    Returns
    -------
    ends : Ends
    """
    x = surface.into_box(np.array(x, float))
    zones, n = list(zones), len(x)
    zone, status = np.full(n, -1), np.full(n, UNFINISHED)
    v, g = surface.value(x), surface.gradient(x)
    g = surface.free_gradient(x, g)[0]
    status[~np.isfinite(v) | ~np.isfinite(g).all(-1)] = LEFT
    speed = np.linalg.norm(g / span, axis=1)
    typical = np.median(speed[speed > 0]) if (speed > 0).any() else 1.0
    h = 0.02 / np.maximum(speed, 1e-12 * typical)
    misses, horizon = 0, 100 + 2 * np.abs(x / span).max(initial=0.0)
    for step in range(n_steps):
        k = np.flatnonzero(status == UNFINISHED)
        if not len(k):
            break
        if step % ROUND == 0:
            for j, z in enumerate(zones):
                held = z.holds(surface, x[k], v[k])
                zone[k[held]], status[k[held]] = j, TRAPPED
            still = k[(status[k] == UNFINISHED)]
            pace = np.linalg.norm(g[still] / span, axis=1)
            status[still[pace <= 1e-10 * typical]] = STATIONARY
            if surface.ndim == 1:              # at a corner of f every step is too long
                status[still[h[still] * pace <= CORNER_STEP]] = STATIONARY
            k = np.flatnonzero(status == UNFINISHED)
            if not len(k):
                break
            if misses < patience and len(zones) < MAX_ZONES:
                misses = 0 if _new_zones(surface, x[k], v[k], span, zones) else misses + 1
        h[k], x[k], v[k], g[k], status[k] = _exponential_step(surface, x[k], v[k], g[k], h[k], span, tol,
                                                              horizon)
    for j, z in enumerate(zones):               # points that came to rest before their minimum was known
        rest = np.flatnonzero((status == STATIONARY) & (zone < 0))
        held = z.holds(surface, x[rest], v[rest])
        zone[rest[held]], status[rest[held]] = j, TRAPPED
    done = status == TRAPPED
    if done.any():
        x[done] = np.array([z.x for z in zones])[zone[done]]
    return Ends(x, zone, status, zones)


def _new_zones(surface, x, v, span, zones):
    """Look for minima below the lowest and some other active points; True if one was new."""
    pick = np.unique(np.concatenate([[np.argmin(v)], np.linspace(0, len(x) - 1, min(len(x), 7)).astype(int)]))
    found, converged = minimise(surface, x[pick], span, 60)
    new = False
    for m in found[converged]:
        if not any(np.abs(surface.difference(m, z.x) / span).max() < 1e-6 for z in zones):
            z = trapping_zone(surface, m, span)
            if z is not None:
                zones.append(z)
                new = True
    return new


def _exponential_step(surface, x, v, g, h, span, tol, horizon):
    """One step of exprb32 for each point with its own step h; a step with too large an error or a rise of f
    is not taken."""
    held = surface.free_gradient(x, surface.gradient(x))[1] if surface.has_walls else np.zeros(x.shape, bool)
    hessian = surface.hessian(x)
    if held.any():
        hessian = np.where(held[:, :, None] | held[:, None, :], 0.0, hessian)
    w, q = np.linalg.eigh(hessian)
    # off a ridge by a factor of 20 a step, not by e^1000
    h = np.minimum(h, 3.0 / np.maximum(-w[:, 0], 1e-300))
    z = -h[:, None] * w
    into, back = "nji,nj->ni", "nij,nj->ni"
    phi1, phi3 = _phi(z)
    first = np.einsum(back, q, -h[:, None] * phi1 * np.einsum(into, q, g))
    u = surface.into_box(x + first)
    bend = surface.gradient(u) - g - np.einsum("nij,nj->ni", hessian, first)
    bend = np.where(held | ~np.isfinite(bend), 0.0, bend)
    second = np.einsum(back, q, -2 * h[:, None] * phi3 * np.einsum(into, q, bend))
    y = surface.into_box(x + first + second)
    new_v, new_g = surface.value(y), surface.gradient(y)
    move = np.abs(surface.difference(y, x) / span).max(1)
    error = np.abs(second / span).max(1) / tol
    if surface.has_walls:  # sliding along a wall: what counts is that f falls
        at_wall = (((y <= surface.low) | (y >= surface.high)) & ~surface.periodic).any(1)
        error = np.where(at_wall, np.minimum(error, move / 1e-2), error)
    whole = np.isfinite(error) & np.isfinite(new_g).all(1)
    good = whole & (error <= 1) & (new_v <= v + 1e-13 * (1 + np.abs(v))) & (move < 0.2)
    error = np.where(whole, np.clip(error, 1e-12, 1e12), 1e12)
    limit = np.where(move < 0.05, 8.0, 1.0)  # never past a narrow feature in one step
    factor = np.where(good, np.clip(0.9 * error ** (-1 / 3), 0.3, limit),
                      np.clip(0.9 * error ** (-1 / 3), 0.1, 0.5))
    status = np.where(good & (np.abs(y / span).max(1) > horizon), LEFT, UNFINISHED)
    keep = good[:, None]
    free = surface.free_gradient(y, new_g)[0]
    return (np.minimum(h * factor, 1e300), np.where(keep, y, x), np.where(good, new_v, v),
            np.where(keep, free, g), status)


def _phi(z):
    """phi_1(z) = (e^z - 1)/z and phi_3(z) = (e^z - 1 - z - z^2/2)/z^3, by their series where the quotients
    cancel."""
    small = np.abs(z) < 0.3
    safe = np.where(small, 1.0, z)
    e = np.expm1(safe)
    phi1 = np.where(small, _series(z, 2, 9), e / safe)
    return phi1, np.where(small, _series(z, 4, 10) / 6, ((e / safe - 1) / safe - 0.5) / safe)


def _series(z, first, last):
    """1 + z/first (1 + z/(first + 1) (1 + ... (1 + z/last)))."""
    total = 1 + z / last
    for k in range(last - 1, first - 1, -1):
        total = 1 + z / k * total
    return total
