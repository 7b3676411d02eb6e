"""Minima that Newton's method cannot settle: flatter than a parabola, or at corners of f."""
from __future__ import annotations

import numpy as np

from .descent import Surface, directions

FLAT = 1e-8            # |eigenvalue| below this times the largest (or range/box^2) counts as zero
REACH = 1e-2           # of the box: how far from a flat minimum its gradient is asked
SMALLEST = 1e-16       # of the box: where the search for a corner ends
NEAR, FAR = 1e-8, 1e-6  # of the box: distances at which the gradient is compared on both sides of a corner
KINK, POLE = 0.5, 50.0  # jump of the gradient at NEAR over that at FAR: 0.01 if f is smooth, 100 at log|x|
LEAST_JUMP = 1e-6      # of the typical slope


def settle_flat(surface: Surface, x: np.ndarray, span: np.ndarray, value_range: float, slope: float,
                noise: float = 0.0) -> np.ndarray:
    """Minima near x (n, ndim) with a singular Hessian: where the gradient along each flat direction changes
    its sign, found by bisection. Points without such a change (on a slope, in a tail) are dropped; slopes up
    to `noise` times the typical one have no sign.

    The gradient tells what values cannot: beside a minimum of y^6 f is constant to rounding for y < 1e-3.
    """
    settled = []
    for point in x:
        y, is_minimum = point[None], True
        for _ in range(3):                     # flat directions one by one, stiff ones by Newton, again
            before = y
            w, axes = np.linalg.eigh(surface.hessian(y)[0])
            flat = np.abs(w) <= FLAT * max(np.abs(w).max(), value_range / span.max()**2)
            moves = [_sign_change(surface, y, axis, span, noise * slope / span.max())
                     for axis in axes.T[flat]]
            is_minimum = bool(flat.any()) and None not in moves
            if not is_minimum:
                break
            y = surface.into_box(y + sum(t * axis for t, axis in zip(moves, axes.T[flat])))
            y = _newton_across(surface, y, axes.T[~flat], span)
            if np.abs((y - before) / span).max() < 1e-12:
                break
        free = surface.free_gradient(y, surface.gradient(y))[0]
        if is_minimum and np.linalg.norm(free * span) <= 1e-6 * slope:
            settled.append(y[0])
    return np.array(settled).reshape(-1, surface.ndim)


def _sign_change(surface, y, axis, span, noise):
    """t at which the derivative of f along `axis` at y + t axis turns from negative to positive: 0 on a
    floor, and None where it does not."""
    reach = REACH * span.min()
    slope = lambda t: float((surface.gradient(surface.into_box(y + t * axis))[0] * axis).sum())
    low, high = -reach, reach
    if not (slope(low) <= noise and slope(high) >= -noise):
        return None
    if abs(slope(0.0)) <= noise:
        return 0.0
    for _ in range(100):
        middle = 0.5 * (low + high)
        s = slope(middle)
        if s == 0 or not low < middle < high:
            return middle
        low, high = (middle, high) if s < 0 else (low, middle)
    return 0.5 * (low + high)


def _newton_across(surface, y, axes, span):
    """y after Newton steps in the space of `axes` (k, ndim) alone."""
    if not len(axes):
        return y
    for _ in range(4):
        g, h = axes @ surface.gradient(y)[0], axes @ surface.hessian(y)[0] @ axes.T
        step = np.linalg.lstsq(h, -g, rcond=None)[0] @ axes
        if not np.abs(step / span).max() < REACH:
            break
        y = surface.into_box(y + step)
    return y


def corners(surface: Surface, x: np.ndarray, span: np.ndarray, slope: float,
            n_steps: int = 400) -> np.ndarray:
    """Minima near x (n, ndim) at which the gradient of f jumps.

    A direct search: the lowest of the 2 ndim points x +- r b is taken if it is lower, else r is halved. The
    basis b are the principal directions of the change of the gradient among those points, so that one of them
    stands across the kink and the others lie along it.
    """
    x = surface.into_box(np.array(x, float))
    n, d = x.shape
    v, r = surface.value(x), np.full(n, REACH)
    basis = np.broadcast_to(np.eye(d), (n, d, d)).copy()                     # rows, in units of the span
    for _ in range(n_steps):
        k = np.flatnonzero((r > SMALLEST) & np.isfinite(v))
        if not len(k):
            break
        around = _around(surface, x[k], basis[k], r[k], span)
        values = surface.value(around.reshape(-1, d)).reshape(len(k), 2 * d)
        best = values.argmin(1)
        lowest = values[np.arange(len(k)), best]
        good = lowest < v[k]
        x[k[good]], v[k[good]] = around[good, best[good]], lowest[good]
        r[k] = np.where(good, np.minimum(2 * r[k], REACH), 0.5 * r[k])
        bad = k[~good]
        if len(bad) and d > 1:
            g = surface.gradient(around[~good].reshape(-1, d)).reshape(len(bad), 2 * d, d) * span
            g = np.where(np.isfinite(g), g, 0.0)
            basis[bad] = np.linalg.svd(g - g.mean(1, keepdims=True))[2]
    keep = [k for k in range(n) if r[k] <= SMALLEST and is_corner(surface, x[k], basis[k], span, slope)]
    return x[keep]


def _around(surface, x, basis, r, span):
    """The points x +- r b for each point and each of its directions, (n, 2 ndim, ndim)."""
    steps = r[:, None, None] * basis * span
    return surface.into_box(np.concatenate([x[:, None] + steps, x[:, None] - steps], axis=1))


def is_corner(surface: Surface, x: np.ndarray, basis: np.ndarray, span: np.ndarray, slope: float) -> bool:
    """Whether f rises in all directions from x (ndim,) and its gradient jumps across one direction of the
    basis (rows, in units of the span)."""
    # the gradient of a black box may come from differences over 1e-5
    near, far = (1e4 * NEAR, 1e4 * FAR) if surface.potential.is_black_box else (NEAR, FAR)
    rays = np.concatenate([directions(len(x), 32), basis, -basis])
    value = float(surface.value(x[None])[0])
    for distance in (far, max(far, 1e3 * FAR)):
        around = surface.value(surface.into_box(x + distance * rays * span))
        if not (around >= value - 4e-16 * abs(value)).all():
            return False
    jumps = []
    for distance in (near, far):
        around = _around(surface, x[None], basis[None], np.array([distance]), span)[0]
        g = surface.gradient(around) * span
        along = np.einsum("kd,kd->k", g[:len(x)] - g[len(x):], basis)
        jumps.append(np.where(np.isfinite(along), along, 0.0))
    first, last = jumps
    return bool(((first > LEAST_JUMP * slope) & (first > KINK * last) & (first < POLE * last)).any())
