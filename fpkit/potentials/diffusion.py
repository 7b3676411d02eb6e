"""The one noun for the process: a potential, a temperature and a mobility, checked together once."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from .mobility import ConstantMobility, mobility_of
from .potential import Potential

THETA_HINT = "The noise-free limit is `fpkit.gradient_flow`."


@dataclass(frozen=True, eq=False)
class Diffusion:
    """The process dX = -M grad f dt + theta div M dt + sqrt(2 theta M) dW.

    Its density obeys du/dt = theta div[M exp(-beta f) grad(u exp(beta f))], beta = 1/theta, and relaxes to
    the Gibbs density exp(-beta f)/Z, whatever M is [1]_.

    Parameters
    ----------
    potential : Potential
        f; it may depend on the time t.
    theta : float or callable
        Temperature in the units of f, not negative (0: the noise-free limit), or ``theta(t)``.
    mobility : None, float, (ndim,), (ndim, ndim), str, Potential, callable or pair, optional
        M: isotropic, diagonal, a constant symmetric positive definite matrix; a formula or a function of
        points (n, ndim) that gives (n,) or (n, ndim); or ``(M, div M)``. Kept as a `Mobility`.

    Examples
    --------
    >>> X = fp.Diffusion(fp.Potential("x**2/2"), theta=0.5, mobility="1 + x**2")
    >>> X.drift([2.0])                      # -M f' + theta M'
    array([-8.])
    >>> X
    Diffusion in potential x**2/2, 1 coordinate; theta = 0.5, mobility M(x) = 1 + x**2

    References
    ----------
    .. [1] G. A. Pavliotis, Stochastic Processes and Applications, Springer (2014), section 4.6.
    """

    potential: Potential
    theta: float | Callable[[float], float]
    mobility: Any = None

    def __post_init__(self) -> None:
        V, theta = self.potential, self.theta
        if not isinstance(V, Potential):
            raise TypeError(f"potential must be a Potential, got {checks.shown(V)}; make one with "
                            "fp.Potential(...).")
        if callable(theta):
            checks.number("theta(0)", theta(0.0), non_negative=True, hint=THETA_HINT)
        else:
            theta = checks.number("theta", theta, non_negative=True, hint=THETA_HINT)
        object.__setattr__(self, "theta", theta)
        object.__setattr__(self, "mobility", mobility_of(self.mobility, V.ndim))

    @property
    def ndim(self) -> int:
        return self.potential.ndim

    @cached_property
    def is_moving(self) -> bool:
        """Whether f or theta depends on the time."""
        return callable(self.theta) or self.potential.is_time_dependent

    def at(self, t: float) -> Diffusion:
        """The process frozen at time t."""
        if not self.is_moving:
            return self
        t = checks.number("t", t)
        theta = self.theta
        if callable(theta):
            theta = checks.number(f"theta({t:g})", theta(t), non_negative=True, hint=THETA_HINT)
        V = self.potential.with_params(t=t) if self.potential.is_time_dependent else self.potential
        frozen = Diffusion(V, theta, self.mobility)
        frozen.__dict__.update(is_moving=False, frozen=frozen)         # t is an ordinary parameter there
        return frozen

    @cached_property
    def frozen(self) -> Diffusion:
        """The process frozen at time 0."""
        return self.at(0.0)

    def is_inside(self, points: ArrayLike) -> np.ndarray:
        """Whether points (..., ndim) lie in the domain of the potential."""
        points = checks.points("points", points, self.ndim)
        domain = self.potential.domain
        return np.ones(points.shape[:-1], bool) if domain is None else np.asarray(domain(points), bool)

    def drift(self, points: ArrayLike, t: float = 0.0) -> np.ndarray:
        """-M grad f + theta div M at points (..., ndim) and time t, in their shape."""
        points = checks.points("points", points, self.ndim)
        now, M = self.at(t), self.mobility
        g = now.potential.gradient(points)
        if isinstance(M, ConstantMobility):
            return -(g @ M.matrix)
        flat = points.reshape(-1, self.ndim)
        return now.theta * M.divergence(flat).reshape(points.shape) - M.at(points) * g

    def __repr__(self) -> str:
        V = repr(self.potential)
        theta = "theta(t)" if callable(self.theta) else f"theta = {self.theta:.6g}"
        M = "" if self.mobility.is_unit else f", mobility {self.mobility!r}"
        return f"Diffusion in {V[0].lower() + V[1:]}; {theta}{M}"
