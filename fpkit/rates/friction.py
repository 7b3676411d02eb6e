"""Escape of an underdamped particle in one dimension, from weak to strong friction: Kramers' turnover."""
from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import lru_cache
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core import checks
from ..core.calls import understood
from ..core.sharing import in_order
from ..potentials.potential import Potential
from ..potentials.stationary.critical import CriticalPoint
from .guard import (
    Guard,
    RateEstimate,
    barrier_reasons,
    caution,
    definition_error,
    rate_estimate,
    refusal,
    well_reasons,
)
from .points import stationary_point

N_NODES = 200  # Gauss-Legendre: integrands are smooth after the substitutions
N_STEPS = 4000  # of the search for a turning point, each 1/200 of the way from minimum to top
# the formula's own relative error near its maximum, against simulation (validation/friction.py)
DEPOPULATION_ERROR = 0.15


@overload
def kramers_turnover(V: Potential, minimum: CriticalPoint | ArrayLike, saddle: CriticalPoint | ArrayLike,
                     theta: float, friction: float, executor: Executor | None = None) -> RateEstimate: ...


@overload
def kramers_turnover(V: Potential, minimum: CriticalPoint | ArrayLike, saddle: CriticalPoint | ArrayLike,
                     theta: float, friction: Sequence[float] | NDArray[np.float64],
                     executor: Executor | None = None) -> tuple[RateEstimate, ...]: ...


@understood
def kramers_turnover(V: Potential, minimum: CriticalPoint | ArrayLike, saddle: CriticalPoint | ArrayLike,
                     theta: float, friction: float | Sequence[float] | NDArray[np.float64],
                     executor: Executor | None = None) -> RateEstimate | tuple[RateEstimate, ...]:
    """Rate of escape of dx = v dt, dv = -f' dt - g v dt + sqrt(2 g theta) dW over a top in one dimension, at
    any friction g.

    Kramers' spatial-diffusion rate times the depopulation factor of Mel'nikov and Meshkov [1]_,

        k = (sqrt(g^2/4 + w_b^2) - g/2)/w_b * w_0/(2 pi) exp(-(f_top - f_min)/theta) * A(D_1) A(D_2)/A(D_1 +
        D_2), log A(D) = (1/2 pi) int log(1 - exp(-D (x^2 + 1/4))) / (x^2 + 1/4) dx,

    D = g S/theta the energy lost on one swing at the height of the top in units of theta, S = int p dx over
    the swing in each of the two wells (the second factor is left out when the other side never returns). At
    weak friction k = g S/theta w_0/(2 pi) exp(...) for a single well (energy diffusion), at strong friction A
    = 1.

    Parameters
    ----------
    V : Potential
        One coordinate.
    minimum, saddle : CriticalPoint or array_like, shape (1,)
    theta : float
    friction : float or sequence of float
    executor : concurrent.futures.Executor, optional
        Shares several frictions among its workers.

    Returns
    -------
    k : RateEstimate, or a tuple of them

    Examples
    --------
    >>> V = fp.catalogue.double_well()
    >>> rates = [fp.kramers_turnover(V, [-1], [0], 0.1, g) for g in (0.01, 1.0, 100.0)]
    >>> rates[1] > rates[0] and rates[1] > rates[2]          # too little and too much friction hinder
    True
    >>> overdamped = fp.eyring_kramers(V, [-1], [0], 0.1)
    >>> bool(abs(100 * rates[2] / overdamped - 1) < 1e-3)            # g k tends to the overdamped rate
    True

    References
    ----------
    .. [1] V. I. Mel'nikov, S. V. Meshkov, J. Chem. Phys. 85, 1018 (1986).
    """
    if V.ndim != 1:
        raise ValueError(f"the turnover is known in one dimension only, this potential has {V.ndim}; "
                         "eyring_kramers(..., friction=) gives Langer's formula.")
    theta = checks.number("theta", theta, positive=True)
    if np.ndim(friction):
        jobs = [(checks.number("friction", g, positive=True),) for g in friction]
        return tuple(in_order(executor, turnover, jobs, (V, minimum, saddle, theta)))
    return turnover(V, minimum, saddle, theta, checks.number("friction", friction, positive=True))


def turnover(V: Potential, minimum: CriticalPoint | ArrayLike, saddle: CriticalPoint | ArrayLike,
             theta: float, friction: float) -> RateEstimate:
    """The rate at one friction, here or in a worker; see `kramers_turnover`."""
    well, top = stationary_point(V, minimum, 0, "minimum"), stationary_point(V, saddle, 1, "saddle")
    barrier = top.value - well.value
    guard = Guard((*barrier_reasons(barrier, theta), *well_reasons(well)))
    w0, wb = math.sqrt(well.eigenvalues[0]), math.sqrt(-top.eigenvalues[0])
    spatial = (math.sqrt(friction ** 2 / 4 + wb ** 2) - friction / 2) / wb
    side = math.copysign(1, well.x[0] - top.x[0])
    here, beyond = _action(V, top, side), _action(V, top, -side)
    if here is None:
        raise ValueError("the well does not return to the height of its top on the far side; take a "
                         "potential that is bounded there.")
    loss = friction * here / theta
    log_factor = _log_depopulation(loss)
    if beyond is not None:
        other = friction * beyond / theta
        log_factor += _log_depopulation(other) - _log_depopulation(loss + other)
    log_rate = math.log(spatial * w0 / (2 * math.pi)) - barrier / theta + log_factor
    error = DEPOPULATION_ERROR * (1 - math.exp(2 * log_factor)) + theta / barrier / 2
    error += definition_error(barrier / theta)
    return rate_estimate(log_rate, error, f"kramers turnover, friction {friction:g}", guard,
                         {"theta": theta, "friction": friction})


@lru_cache(1)
def _rule():
    """Nodes and weights of Gauss and Legendre on [-1, 1]."""
    return np.polynomial.legendre.leggauss(N_NODES)


def _action(V, top, side):
    """S = int p dx of one swing at the height of the top, from the top to the turning point on one side and
    back; None if there is none."""
    width = 0.05 * math.sqrt(max(abs(top.value), 1.0) / -top.eigenvalues[0])
    x = top.x[0] + side * width * np.arange(1, N_STEPS + 1)
    with np.errstate(all="ignore"):
        f = V(x[:, None])
    up = np.flatnonzero(~(f < top.value))
    if not up.size or up[0] == 0:
        return None
    low, high = (x[up[0] - 1], x[up[0]])
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if V([middle]) < top.value else (low, middle)
    t, w = _rule()
    t, w = (t + 1) / 2, w / 2
    length = top.x[0] - low
    x = low + length * t * t  # the square takes the root at the turning point out of the integrand
    p = np.sqrt(np.maximum(2 * (top.value - V(x[:, None])), 0.0))
    return float(2 * abs((w * p * 2 * t * length).sum()))


def low_friction(friction, barrier, curvature, theta):
    """Relative error of the spatial-diffusion formula from weak friction, and the guard's verdict.

    A swing at the height of the top loses about D = 2 pi g barrier/w in units of theta (a parabola of
    curvature w^2); the rate is too large by about 1/A(D).
    """
    loss = 2 * math.pi * friction * barrier / (math.sqrt(curvature) * theta)
    factor = math.exp(_log_depopulation(loss))
    text = (f"at this friction a swing loses only about {loss:.2g} theta: escape is limited by the supply of "
            f"energy and the formula is too large by about a factor {1 / factor:.2g}; fpkit.kramers_turnover "
            "holds in one dimension")
    if factor < 0.5:
        return math.inf, refusal("low-friction", text)
    return 2 * (1 / factor - 1), caution("low-friction", text) if factor < 0.95 else Guard()


def _log_depopulation(loss):
    """log A(D), by the substitution x = tan(phi)/2, which turns the weight dx/(x^2 + 1/4) into 2 dphi."""
    t, w = _rule()
    phi = math.pi / 2 * t
    return float((w * math.pi / 2 * 2 * np.log(-np.expm1(-loss / (4 * np.cos(phi) ** 2)))).sum()
                 / (2 * math.pi))
