"""The Eyring-Kramers rate: harmonic wells and saddles, mobility, friction, several gates, and the next order
in theta."""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.calls import understood
from ..potentials.potential import Potential
from ..potentials.stationary.critical import CriticalPoint
from . import expansions, saddle_profiles
from .friction import low_friction
from .guard import (
    FLAT,
    SAME_HEIGHT,
    Guard,
    RateEstimate,
    barrier_reasons,
    caution,
    definition_error,
    rate_estimate,
    refusal,
    wall_reasons,
    well_reasons,
)
from .points import potential, square_root, stationary_point

ORDERS = ("leading", "next", "resummed", "integral")
SOFT = 3.0  # a saddle is soft if h < SOFT sqrt(theta f4): its quartic term is no small correction
# times Correction.square theta^2 bounds what the first correction leaves, over the catalogue
SECOND_ORDER = 6.0
UNKNOWN = 0.5  # relative error where no correction could be computed: no evidence


@understood
def eyring_kramers(V: Potential, minimum: CriticalPoint | ArrayLike, saddle: CriticalPoint
                   | ArrayLike | Sequence[CriticalPoint], theta: float, mobility: ArrayLike | None = None,
                   order: str = "leading", friction: float | None = None) -> RateEstimate:
    """Rate of escape from a well over a saddle, k = |lambda_-|/(2 pi) sqrt(det H_min/|det H_saddle|)
    exp(-(f_saddle - f_min)/theta).

    lambda_- is the negative eigenvalue of M H_saddle, M the mobility [1]_; 1/k is the mean first passage time
    into the well beyond. The relative error of the formula is c theta + O(theta^2) with a constant c of the
    landscape; it is computed (see `fpkit.rates.expansions`) and stated as the error, and ``order="next"``
    takes it off.

    Parameters
    ----------
    V : Potential
    minimum : CriticalPoint or array_like, shape (ndim,)
        The well; coordinates are polished by Newton and must be close to a minimum.
    saddle : CriticalPoint or array_like, shape (ndim,), or a sequence of them
        Saddle of index 1. Several are gates beside each other (parallel): their rates add. Gates one after
        the other belong to `well_network`.
    theta : float
        Temperature in the units of f.
    mobility : None, float, (ndim,) or (ndim, ndim), optional
        M of dX = -M grad f dt + sqrt(2 theta M) dW.
    order : {"leading", "next", "resummed", "integral"}
        "next": times (1 - c theta); "resummed": over (1 + c theta), better at low barriers. "integral": for
        soft and degenerate saddles, the Gaussian of the softest direction is replaced by the integral over
        the profile of f along it (quartic tops, pitchforks, two saddles close together) [2]_.
    friction : float, optional
        g of dx = v dt, dv = -grad f dt - g v dt + sqrt(2 g theta) dW (unit mass): Kramers' spatial diffusion,
        in several dimensions Langer's formula, with |lambda_-| replaced by sqrt(g^2/4 + |lambda_-|) - g/2
        [1]_ [3]_. Right from moderate friction on; at low friction the rate falls again (`kramers_turnover`).

    Returns
    -------
    k : RateEstimate
        1/time, with `guard`: "ok", "warn" or "refuse" with machine-readable reasons. Refused numbers are NaN
        and `status` says why.

    Examples
    --------
    >>> V = fp.catalogue.double_well()
    >>> fp.eyring_kramers(V, [-1], [0], theta=0.1)
    4.09e-05 +- 1.8e-06 (eyring-kramers)
    >>> fp.eyring_kramers(V, [-1], [0], theta=0.1, order="resummed")
    3.940e-05 +- 3.0e-07 (eyring-kramers, resummed)
    >>> fp.eyring_kramers(V, [-1], [0], theta=0.001).log10
    -434.340...

    References
    ----------
    .. [1] J. S. Langer, Ann. Phys. 54, 258 (1969); A. Bovier, M. Eckhoff, V. Gayrard, M. Klein, J. Eur. Math.
    Soc. 6, 399 (2004).
    .. [2] N. Berglund, B. Gentz, Markov Processes Relat. Fields 16, 549 (2010).
    .. [3] H. A. Kramers, Physica 7, 284 (1940).
    """
    potential(V)
    theta = checks.number("theta", theta, positive=True, hint="Rates need noise.")
    checks.choice("order", order, ORDERS)
    if friction is not None:
        friction = checks.number("friction", friction, positive=True)
        if mobility is not None or order != "leading":
            raise ValueError("friction goes with unit mobility and order='leading' only; leave the other "
                             "out.")
    root = square_root(mobility, V.ndim)
    well = stationary_point(V, minimum, 0, "minimum")
    gates = [stationary_point(V, s, 1, "saddle") for s in _gates(saddle, V.ndim)]
    lowest = min(g.value for g in gates)
    if not lowest > well.value:
        raise ValueError(f"the saddle (f = {lowest:.6g}) must lie above the minimum (f = {well.value:.6g}).")
    method = "eyring-kramers" + ("" if order == "leading" else f", {order}")
    method += "" if friction is None else f", friction {friction:g}"
    inputs = {"theta": theta, "minimum": well.x.tolist(), "saddle": [g.x.tolist() for g in gates],
              "order": order}
    guard = Guard((*barrier_reasons(lowest - well.value, theta), *well_reasons(well),
                   *wall_reasons(V, well, "minimum"))) + _same_gate(V, gates, theta, order)
    parts = [one_gate(V, well, g, theta, root, order, friction) for g in gates]
    guard = sum((p[2] for p in parts), guard)
    if guard.is_refused:
        return rate_estimate(math.nan, math.nan, method, guard, inputs)
    logs = np.array([p[0] for p in parts])
    log_rate = float(np.logaddexp.reduce(logs))
    error = float(np.exp(logs - log_rate) @ np.array([p[1] for p in parts]))
    error += definition_error((lowest - well.value) / theta)
    return rate_estimate(log_rate, error, method, guard, inputs)


def _gates(saddle, ndim):
    if isinstance(saddle, CriticalPoint):
        return [saddle]
    if isinstance(saddle, (list, tuple)) and saddle and isinstance(saddle[0], CriticalPoint):
        return list(saddle)
    return list(np.atleast_2d(checks.points("saddle", saddle, ndim)))


def one_gate(V, well, gate, theta, root, order="leading", friction=None):
    """log of the rate through one saddle, its relative error, and the guard's verdict on the saddle."""
    guard = Guard(tuple(wall_reasons(V, gate, "saddle")))
    if well_is_flat(well):
        return math.nan, math.nan, guard
    log_mass, (c_well, square_well) = log_well_mass_with_error(V, well, theta, root)
    if order == "integral":
        try:
            log_cap, missing = saddle_profiles.log_capacity(V, gate, theta, root,
                                                            soft_axis(V, gate, theta, root))
        except saddle_profiles.SoftDirectionError as error:
            text = f"no integral over the saddle: {error}; ask for the rate of the grid"
            return math.nan, math.nan, guard + refusal("flat-saddle", text)
        missing += abs(c_well) * theta + SECOND_ORDER * square_well * theta ** 2
        # a plain saddle: the first correction is what the integral may miss
        if soft_direction(V, gate, theta, root) is None:
            missing += abs(_correction(expansions.saddle_correction, V, gate, theta, root)[0]) * theta
        return log_cap - log_mass, missing, guard
    log_cap, (c_gate, square_gate), said = log_capacity(V, gate, theta, root)
    guard += said
    log_rate = log_cap - log_mass
    extra = 0.0
    if friction is not None and not guard.is_refused:
        unstable = -np.linalg.eigvalsh(V.hessian(gate.x))[0]
        log_rate += math.log((math.sqrt(friction * friction / 4 + unstable) - friction / 2) / unstable)
        extra, said = low_friction(friction, gate.value - well.value, well.eigenvalues[0], theta)
        guard += said
    c, left = c_well + c_gate, SECOND_ORDER * (square_well + square_gate) * theta ** 2
    if order == "leading":
        return log_rate, abs(c) * theta + left + extra, guard
    factor = 1 - c * theta if order == "next" else 1 / (1 + c * theta)
    if not 0.2 < factor < 5:
        text = (f"the correction {-c * theta:+.2g} is as large as the rate itself; lower theta or take "
                "order='integral'")
        return log_rate, math.inf, guard + refusal("soft-saddle", text)
    return log_rate + math.log(factor), left / factor, guard


def harmonic_log_mass(curvatures: np.ndarray, theta: float) -> float:
    """log of the Gaussian integral prod sqrt(2 pi theta/h_i) over a well, its value left out."""
    return 0.5 * np.log(2 * np.pi * theta / curvatures).sum()


def harmonic_log_capacity(curvatures: np.ndarray, theta: float) -> float:
    """log of |h_0|/(2 pi) prod sqrt(2 pi theta/|h_i|) over a saddle, h_0 < 0 first, its value left out."""
    return math.log(-curvatures[0] / (2 * math.pi)) + harmonic_log_mass(np.abs(curvatures), theta)


def log_capacity(V, gate, theta, root):
    """log of the capacity of one saddle, theta sqrt(mu/(2 pi theta)) prod sqrt(2 pi theta/h_i)
    exp(-f_s/theta), the (c, square) of its first correction (cap shrinks by 1 - c theta), and the guard's
    verdict."""
    w = np.linalg.eigvalsh(root.T @ V.hessian(gate.x) @ root)
    flat = FLAT * np.abs(w).max()
    if gate.degenerate or not -w[0] > flat or (len(w) > 1 and not w[1] > flat):
        text = ("an eigenvalue of the Hessian at the saddle is zero: the harmonic formula does not apply; "
                "order='integral' takes the profile of f along that direction, and the grid gives the rate "
                "without any formula")
        return math.nan, (math.nan, math.nan), refusal("flat-saddle", text)
    guard, soft = Guard(), soft_direction(V, gate, theta, root)
    if soft is not None:
        guard = caution("soft-saddle", f"the saddle is soft (eigenvalue {soft[1]:.3g} against a "
                        f"quartic term of {soft[2]:.3g}): its next order is no small correction, "
                        "order='integral' integrates over it")
    correction = _correction(expansions.saddle_correction, V, gate, theta, root)
    return float(harmonic_log_capacity(w, theta) - gate.value / theta), correction, guard


def log_well_mass_with_error(V, well, theta, root):
    """log of the Gaussian integral of exp(-f/theta) over a well, in the coordinates in which the mobility is
    one, and the (c, square) of its first correction (the mass grows by 1 + c theta). NaN for a flat well."""
    w = np.linalg.eigvalsh(root.T @ V.hessian(well.x) @ root)
    if well_is_flat(well):
        return math.nan, (math.nan, math.nan)
    correction = _correction(expansions.well_correction, V, well, theta, root)
    return float(harmonic_log_mass(w, theta) - well.value / theta), correction


def _correction(expansion, V, point, theta, root):
    """(c, square) of the first correction; where it cannot be computed, (0, a square that makes the result no
    evidence)."""
    unknown = 0.0, UNKNOWN / SECOND_ORDER / theta ** 2
    if V.ndim > expansions.LARGEST_DIMENSION:
        return unknown
    with np.errstate(all="ignore"):
        part = expansion(V, point.x, theta, root)
    return (part.c, part.square) if np.isfinite([part.c, part.square]).all() else unknown


def well_is_flat(well):
    return Guard(tuple(well_reasons(well))).is_refused


def soft_axis(V, gate, theta, root):
    """Axis over which order="integral" integrates: the soft one, else the one with the smaller of the two
    softest eigenvalues."""
    soft = soft_direction(V, gate, theta, root)
    if soft is not None:
        return soft[0]
    w = np.linalg.eigvalsh(root.T @ V.hessian(gate.x) @ root)
    return 0 if len(w) == 1 or abs(w[0]) < w[1] else 1


def soft_direction(V, gate, theta, root):
    """(axis, eigenvalue, SOFT sqrt(theta f4)) of a direction at the saddle whose quartic term is no small
    correction, or None.

    f4 is the quartic coefficient along the axis, f_iiii/24, with the bending of the valley taken off (the
    relaxed profile of a pitchfork: f_iiii/24 - sum_j f_iij^2/(8 h_j), j over the other axes).
    """
    w, third, fourth = expansions.derivatives(V, gate.x, theta, root)
    flat = FLAT * np.abs(w).max()
    for i in np.argsort(np.abs(w)):
        bend = sum(third[i, i, j] ** 2 / (8 * w[j]) for j in range(len(w)) if j != i and abs(w[j]) > flat)
        quartic = abs(fourth[i, i, i] / 24 - bend)
        if abs(w[i]) < SOFT * math.sqrt(theta * quartic):
            return int(i), float(w[i]), float(SOFT * math.sqrt(theta * quartic))
    return None


def _same_gate(V, gates, theta, order):
    """Two saddles between which f varies by less than 3 theta are one gate, not two."""
    least = np.inf
    for i, a in enumerate(gates):
        for b in gates[:i]:
            if abs(a.value - b.value) < SAME_HEIGHT * theta:
                least = min(least, float(np.ptp(V(a.x + np.linspace(0, 1, 33)[:, None] * (b.x - a.x)))))
    if least >= SAME_HEIGHT * theta or order == "integral":
        return Guard()
    return caution("second-saddle", f"f varies by only {least / theta:.2g} theta between two of the "
                   "saddles: they are one gate; order='integral' at one of them, or the rate of the grid, "
                   "takes it as a whole")
