"""Minima and passes in the harmonic approximation: quadratic fits to the samples, and the Eyring-Kramers rate
beside its guard."""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...rates.eyring_kramers import harmonic_log_capacity, harmonic_log_mass
from .resampling import sharpened

# barriers in theta: below the first the formula is off by 10 % and more, below the second it is no rate
WEAK, REFUSED = 5.0, 3.0
SAME_BEND = 0.2                      # |log| of a curvature over another, up to which it is known
WITHIN = 1.0                         # cells: how far the stationary point of a fit may lie from its sample


@dataclass(frozen=True, eq=False)
class QuadraticFit:
    """f = value + (x - point).H.(x - point)/2 near a sample.

    Attributes
    ----------
    value : float
        Loss at the stationary point of the fit.
    point : ndarray (ndim,)
    hessian : ndarray (ndim, ndim)
    error : float
        |log |det H| from differences over h minus the same over 2 h|: how far the fit can be trusted; inf
        where 2 h leaves the data.
    index : int
        Number of negative eigenvalues.
    """
    value: float
    point: np.ndarray
    hessian: np.ndarray
    error: float
    index: int

    @property
    def log_det(self) -> float:
        return float(np.linalg.slogdet(self.hessian)[1])


def quadratic_fit(land, index):
    """Fit through the sample [iy, ix] and its neighbours by central differences; (fit, None) or (None,
    reason)."""
    if not land.is_uniform:
        return None, "the samples are not evenly spaced"
    near = _derivatives(land, index, 1)
    if near is None:
        return None, "the data end beside it"
    gradient, hessian = near
    if np.linalg.cond(hessian) > 1e12:
        return None, "it is flat"
    step = -np.linalg.solve(hessian, gradient)
    if (np.abs(step) > WITHIN * np.asarray(land.spacing)).any():
        return None, "the quadratic through the samples around it has no stationary point within a cell"
    wide = _derivatives(land, index, 2)
    with np.errstate(divide="ignore"):
        error = np.inf if wide is None else abs(np.linalg.slogdet(hessian)[1] - np.linalg.slogdet(wide[1])[1])
    value = float(land.loss[index] + gradient @ step / 2)
    return QuadraticFit(value, land.point(index) + step, hessian, float(error),
                        int((np.linalg.eigvalsh(hessian) < 0).sum())), None


def curvatures(land, index):
    """Eigenvalues of the Hessian at the minimum beside a sample, ascending; None where differences over h and
    over 2 h, at the sample and at its neighbours, on sharper pits, or the noise of the loss, leave them
    open."""
    fit, _ = quadratic_fit(land, index)
    wide, narrow = _derivatives(land, index, 2), _derivatives(sharpened(land), index, 1)
    if fit is None or fit.index or wide is None:
        return None
    at_minimum = fit.hessian.copy()
    for k, step in enumerate(fit.point - land.point(index)):      # the minimum lies between the samples
        beside = list(index)
        beside[-1 - k] += 1 if step > 0 else -1
        near = _derivatives(land, tuple(beside), 1)
        if near is None:
            return None
        at_minimum += abs(step) / land.spacing[k] * (near[1] - fit.hessian)
    bends = np.array([np.linalg.eigvalsh(h) for h in (at_minimum, fit.hessian, wide[1], narrow[1])])
    blur = 2 * np.sqrt(6) * land.noise.sigma / min(land.spacing) ** 2        # of a second difference
    if not bends.min() > 0 or blur > SAME_BEND * bends[0, 0]:
        return None
    return bends[0] if np.ptp(np.log(bends), axis=0).max() < SAME_BEND else None


def value_at_minimum(land, values, index):
    """(value, error) of another quantity on the samples at the minimum of the loss beside a sample, by its
    slope and bend there.

    The place is that of the differences over h and 2 h of the loss, extrapolated; the error is two thirds of
    what the value may change from one of them to the other, and a sixth of what bend adds to slope. Where no
    quadratic fits the loss, the value at the sample, within the largest step to a neighbour.
    """
    fit, _ = quadratic_fit(land, index)
    other = _derivatives(replace(land, loss=values), index, 1)
    wide = _derivatives(land, index, 2)
    here = float(values[index])
    if fit is not None and not fit.index and other is not None and wide is not None:
        one, two = fit.point - land.point(index), -np.linalg.lstsq(wide[1], wide[0], rcond=None)[0]
        slope, bend = other
        step, bent = one + (one - two) / 3, np.abs(bend)
        moved = np.abs(slope) @ np.abs(one - two) + np.abs(step) @ bent @ np.abs(one - two)
        return (here + float(slope @ step + step @ bend @ step / 2),
                float(moved + np.abs(step) @ bent @ np.abs(step) / 8) * 2 / 3)
    near = values[tuple(slice(max(i - 1, 0), i + 2) for i in index)]
    return here, float(np.nanmax(np.abs(near - here)))


def _derivatives(land, index, reach):
    """(gradient, Hessian) at a sample by central differences over `reach` cells; None where a sample is
    missing."""
    d, h = land.ndim, reach * np.asarray(land.spacing)
    centre = np.array(index[::-1])                       # order x, y, z
    sizes = np.array(land.shape[::-1])
    is_ring = np.array(land.periodic or (False,) * d)
    if (((centre < reach) | (centre + reach >= sizes)) & ~is_ring).any():
        return None
    at = lambda *steps: float(land.loss[tuple(((centre + reach * sum(steps)) % sizes)[::-1])])
    e = np.eye(d, dtype=int)
    gradient, hessian = np.empty(d), np.empty((d, d))
    for i in range(d):
        gradient[i] = (at(e[i]) - at(-e[i])) / (2 * h[i])
        hessian[i, i] = (at(e[i]) - 2 * at(0 * e[i]) + at(-e[i])) / h[i] ** 2
        for j in range(i):
            hessian[i, j] = hessian[j, i] = (at(e[i], e[j]) - at(e[i], -e[j]) - at(-e[i], e[j])
                                             + at(-e[i], -e[j])) / (4 * h[i] * h[j])
    return (gradient, hessian) if np.isfinite(hessian).all() and np.isfinite(gradient).all() else None


def harmonic_free_energy(fit, theta):
    """F = f - theta (d/2 log(2 pi theta) - log(det H)/2), and the error that its curvature leaves; in units
    of the loss."""
    d = len(fit.point)
    return fit.value - theta * (d / 2 * np.log(2 * np.pi * theta) - fit.log_det / 2), theta * fit.error / 2


def eyring_kramers(minimum, saddle, theta, mobility):
    """(log rate, verdict) over one pass: the formula of `fpkit.eyring_kramers` on quadratics through the
    samples.

    The verdict is "ok", or starts with "rough" (the number stands, with a reason) or "refused" (NaN).
    """
    if minimum[0] is None:
        return np.nan, f"refused: at the minimum, {minimum[1]}"
    if saddle[0] is None:
        return np.nan, f"refused: at the pass, {saddle[1]}"
    minimum, saddle = minimum[0], saddle[0]
    if minimum.index != 0:
        return np.nan, "refused: the samples around the minimum are not convex"
    if saddle.index != 1:
        return (np.nan,
                f"refused: the samples around the pass curve down in {saddle.index} directions, not in one")
    barrier = (saddle.value - minimum.value) / theta
    if barrier < REFUSED:
        return np.nan, f"refused: a barrier of {barrier:.2g} theta is no barrier"
    root = np.linalg.cholesky(mobility)
    bends = [np.linalg.eigvalsh(root.T @ fit.hessian @ root) for fit in (saddle, minimum)]
    log_rate = harmonic_log_capacity(bends[0], theta) - harmonic_log_mass(bends[1], theta) - barrier
    doubts = []
    if barrier < WEAK:
        doubts.append(f"a barrier of {barrier:.2g} theta")
    if max(minimum.error, saddle.error) > 1:
        doubts.append("curvatures that change by more than a factor from h to 2 h")
    return float(log_rate), "ok" if not doubts else "rough: " + ", ".join(doubts)
