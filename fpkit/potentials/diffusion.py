"""The one noun for the process: a potential, a temperature and a mobility, checked together once."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.calls import understood
from .force import Rotation, force_of, n_coordinates
from .mobility import ConstantMobility, mobility_of
from .potential import Potential
from .symbolic.expressions import component_texts
from .vector_field import VectorField, product

THETA_HINT = "The noise-free limit is `fpkit.gradient_flow`."
CONVENTIONS = ("ito", "stratonovich", "isothermal")


@dataclass(frozen=True, eq=False)
class Diffusion:
    """The process dX = M (-grad f + F) dt + theta div M dt + sqrt(2 theta M) dW.

    Its density obeys du/dt = -div J with the current J = M (-grad f + F) u - theta M grad u. Without the
    force F it relaxes to the Gibbs density exp(-beta f)/Z, beta = 1/theta, whatever M is [1]_. An equation
    with a drift and a diffusion matrix of its own is made by `from_sde`.

    Parameters
    ----------
    potential : Potential
        f; it may depend on the time t.
    theta : float or callable
        Temperature in the units of f, not negative (0: the noise-free limit), or ``theta(t)``.
    mobility : None, float, (ndim,), (ndim, ndim), str, Potential, callable or pair, optional
        M: isotropic, diagonal, a constant symmetric positive definite matrix; formulas, one, (ndim,) or
        (ndim, ndim); a function of points (n, ndim) that gives (n,), (n, ndim) or (n, ndim, ndim); or
        ``(M, div M)``. Kept as a `Mobility`.
    force : str, callable, sequence or Rotation, optional
        F: a text "(y, -x)", a function of the coordinates that returns ndim values, a function of points (n,
        ndim), ndim numbers, formulas or potentials (`GridPotential` for samples), or a `Rotation`. Kept as a
        `VectorField`.

    Attributes
    ----------
    rotation : Rotation or None
        The force as it was given, where it is one.
    equation : tuple or None
        (b, convention) of `from_sde`; then f is 0, theta is 1 and M is the diffusion matrix D.

    Examples
    --------
    >>> X = fp.Diffusion(fp.Potential("x**2/2"), theta=0.5, mobility="1 + x**2")
    >>> X.drift([2.0])                      # -M f' + theta M'
    array([-8.])
    >>> X
    Diffusion in potential x**2/2, 1 coordinate; theta = 0.5, mobility M(x) = 1 + x**2
    >>> fp.Diffusion(fp.Potential("x**2 + y**2"), 0.5, force="(y, -x)").drift([1.0, 1.0])
    array([-1., -3.])

    References
    ----------
    .. [1] G. A. Pavliotis, Stochastic Processes and Applications, Springer (2014), section 4.6.
    """

    potential: Potential
    theta: float | Callable[[float], float]
    mobility: Any = None
    force: Any = None
    rotation: Rotation | None = field(default=None, init=False)
    equation: tuple[VectorField, str] | None = field(default=None, init=False)

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
        if isinstance(self.force, Rotation):
            object.__setattr__(self, "rotation", self.force)
            object.__setattr__(self, "force", self._rotated())
        elif self.force is not None:
            object.__setattr__(self, "force", force_of(self.force, V.ndim))

    def _rotated(self):
        """The force of a stream function at this temperature."""
        theta, M = self.theta, self.mobility
        if callable(theta) or theta == 0:
            raise ValueError("a force given by a stream function needs a temperature that is a positive "
                             "number: it belongs to the Gibbs density; give the force itself.")
        if not M.is_constant:
            raise ValueError("a force given by a stream function needs a constant mobility; give the force "
                             "itself.")
        made = self.rotation.of(self.potential, theta)
        return made if M.is_unit else made.transformed(np.linalg.inv(M.matrix))

    @classmethod
    def from_sde(cls, drift: Any, diffusion: Any, convention: str | None = None,
                 ndim: int | None = None) -> Diffusion:
        """The process with the drift b(x) and the diffusion matrix D(x) = s s'.

        ============== ============================================== =====================================
        convention     path                                           current of the density u
        ============== ============================================== =====================================
        "ito"          dX = b dt + sqrt(2) s(X) dW                    J_i = b_i u - sum_j d_j (D_ij u)
        "stratonovich" dX = b dt + sqrt(2) s(X) o dW                  J = (b - div D/2) u - D grad u
                                                                      (D diagonal)
        "isothermal"   dX = (b + div D) dt + sqrt(2) s(X) dW          J = b u - D grad u
        ============== ============================================== =====================================

        Parameters
        ----------
        drift : str, callable or sequence
            b, in any form that `force` may have.
        diffusion : float, (ndim,), (ndim, ndim), str, callable or sequence
            D, in any form that `mobility` may have; a constant one may have directions without noise.
        convention : {"ito", "stratonovich", "isothermal"}
            Without a default where D depends on x, since the three are different processes; where D is
            constant they are one.
        ndim : int, optional
            Number of coordinates, where the drift does not tell.

        Examples
        --------
        >>> X = fp.Diffusion.from_sde("-x", "1 + x**2", "ito")
        >>> X.drift([2.0]), X.advection([2.0])          # b; b - D'
        (array([-2.]), array([-6.]))
        >>> fp.Diffusion.from_sde("(-x + y, -y - x)", [1.0, 0.5]).diffusion([0.0, 0.0])
        array([[1. , 0. ],
               [0. , 0.5]])
        """
        if ndim is None:
            ndim = _n_components(drift, diffusion)
        b = force_of(drift, checks.whole("ndim", ndim, 1), "drift")
        try:
            D = mobility_of(1.0 if diffusion is None else diffusion, ndim, may_degenerate=True)
        except (ValueError, TypeError) as error:
            raise type(error)(str(error).replace("the mobility", "the diffusion matrix").replace(
                "mobility", "diffusion")) from None
        if convention is not None or not D.is_constant:
            if convention is None:
                raise ValueError("convention must be given where the diffusion matrix depends on x: 'ito', "
                                 "'stratonovich' or 'isothermal' are different processes.")
            convention = checks.choice("convention", convention, CONVENTIONS)
        if convention == "stratonovich" and D.is_tensor:
            raise ValueError("the drift of a Stratonovich equation depends on which root of a full D(x) "
                             "drives the noise; add sum_jk s_jk d_j s_ik to it and give convention='ito'.")
        made = cls(Potential(lambda x: 0.0 * x[0], ndim=ndim), 1.0, D)
        object.__setattr__(made, "equation", (b, "ito" if D.is_constant else convention))
        return made

    @property
    def ndim(self) -> int:
        return self.potential.ndim

    @property
    def is_gradient(self) -> bool:
        """Whether it has neither a force nor a drift of its own, so that it relaxes to exp(-beta f)/Z."""
        return self.force is None and self.equation is None

    @cached_property
    def is_moving(self) -> bool:
        """Whether f, theta, the force or the drift depends on the time."""
        return (callable(self.theta) or self.potential.is_time_dependent
                or any(v is not None and v.is_time_dependent for v in (self.force, self._b)))

    @property
    def _b(self):
        return None if self.equation is None else self.equation[0]

    def at(self, t: float) -> Diffusion:
        """The process frozen at time t."""
        if not self.is_moving:
            return self
        t = checks.number("t", t)
        theta = self.theta
        if callable(theta):
            theta = checks.number(f"theta({t:g})", theta(t), non_negative=True, hint=THETA_HINT)
        stopped = lambda v: v.held(t) if v is not None and v.is_time_dependent else v
        frozen = Diffusion(stopped(self.potential), theta, self.mobility, stopped(self.force))
        frozen.__dict__.update(rotation=self.rotation)
        if self.equation is not None:
            frozen.__dict__["equation"] = (stopped(self._b), self.equation[1])
        return frozen

    @cached_property
    def frozen(self) -> Diffusion:
        """The process frozen at time 0."""
        return self.at(0.0)

    def revolved(self, dimension: int = 2, axis: int = 0) -> Diffusion:
        """The same process around an axis of revolution or a centre, with the distance from it, r > 0, as one
        coordinate.

        What is isotropic in the `dimension` coordinates that make up r has the volume r^(dimension - 1) dr of
        shells: the potential is f - (dimension - 1) theta log r, and densities are those of r itself.
        Cylinders (r, z) have dimension 2, spheres 3. r = 0 is the end of the grid, where nothing flows.

        Parameters
        ----------
        dimension : int
            Of the space in which r is a distance, at least 2.
        axis : int
            The coordinate that is r.

        Examples
        --------
        >>> ball = fp.Diffusion(fp.Potential("0*x"), theta=0.5).revolved(3)
        >>> D = fp.FokkerPlanck(ball, grid=fp.Grid([(0, 1)], 20))
        >>> round(D.mfpt(fp.HalfSpace([1], 1.0)).at([0.5]), 9)           # (1 - r^2) / (2 d theta)
        0.25
        """
        dimension, axis = checks.whole("dimension", dimension, 2), checks.whole("axis", axis)
        if axis >= self.ndim:
            raise ValueError(f"axis must be below {self.ndim}, got {axis}.")
        if callable(self.theta) or self.equation is not None or self.rotation is not None:
            raise ValueError("revolved is known for a potential with one temperature; add (dimension - 1) "
                             "D/r to the drift of an equation.")
        if self.mobility.is_full or self.mobility.is_tensor:
            raise ValueError("the mobility must be diagonal in the coordinates of revolution.")
        shells = Potential(_Shells(axis), ndim=self.ndim, weight=(dimension - 1) * self.theta)
        return Diffusion(self.potential + shells, self.theta, self.mobility, self.force)

    def is_inside(self, points: ArrayLike) -> np.ndarray:
        """Whether points (..., ndim) lie in the domain of the potential."""
        points = checks.points("points", points, self.ndim)
        domain = self.potential.domain
        return np.ones(points.shape[:-1], bool) if domain is None else np.asarray(domain(points), bool)

    # ---- the coefficients ----
    def drift(self, points: ArrayLike, t: float = 0.0) -> np.ndarray:
        """The drift of the path in Ito's calculus, M (-grad f + F) + theta div M, at points (..., ndim) and
        time t, in their shape."""
        points = checks.points("points", points, self.ndim)
        now, M = self.at(t), self.mobility
        if now.equation is not None:
            share = {"ito": 0.0, "stratonovich": 0.5, "isothermal": 1.0}[now.equation[1]]
            b = now.equation[0](points)
            return b + share * now.divergence(points) if share and not M.is_constant else b
        if isinstance(M, ConstantMobility):
            return -(now.slope.gradient(points) @ M.matrix)
        return now.divergence(points) + now.advection(points)

    def advection(self, points: ArrayLike, t: float = 0.0) -> np.ndarray:
        """a = drift - div D at points (..., ndim): the current of a density u is J = a u - D grad u."""
        points = checks.points("points", points, self.ndim)
        now, M = self.at(t), self.mobility
        if now.equation is not None:
            a = now.drift(points)
            return a if M.is_constant else a - now.divergence(points)
        g = now.slope.gradient(points)
        if M.is_tensor:
            return -np.einsum("...ij,...j->...i", M(points), g)
        return -(g @ M.matrix) if M.is_constant else -M.at(points) * g

    def diffusion(self, points: ArrayLike, t: float = 0.0) -> np.ndarray:
        """D = theta M at points (..., ndim), shape (..., ndim, ndim)."""
        points = checks.points("points", points, self.ndim)
        return self.at(t).theta * self.mobility.matrices(points)

    def divergence(self, points: ArrayLike, t: float = 0.0) -> np.ndarray:
        """(div D)_i = sum_j d D_ij / d x_j at points (..., ndim), in their shape."""
        points = checks.points("points", points, self.ndim)
        flat = points.reshape(-1, self.ndim)
        return self.at(t).theta * self.mobility.divergence(flat).reshape(points.shape)

    @cached_property
    def slope(self) -> Potential | VectorField:
        """What paths step down, in place of a potential: ``slope.gradient`` and its block functions are
        grad f - F, so that the drift is -M slope + theta div M. Without a force it is the potential itself;
        of an equation with a constant D it is -D^-1 b."""
        if self.equation is not None:
            D = self.mobility
            if not D.is_constant or D.is_degenerate:
                raise ValueError("an equation with a diffusion matrix that depends on x, or without noise in "
                                 "some direction, has no slope; use drift and diffusion.")
            return self._b.transformed(-np.linalg.inv(D.matrix), f"-D^-1 {self._b.text}")
        if self.force is None:
            return self.potential
        return VectorField(self.ndim, [(self.potential, ("gradient",)), *self.force.sources],
                           _Downhill(self.force.rule), f"grad({self.potential.text}) - {self.force.text}",
                           self.force.values)

    @cached_property
    def drift_field(self) -> VectorField | None:
        """The drift in Ito's calculus as a compiled field; None where M is a plain function of points."""
        M, moving = self.mobility, callable(self.theta)
        if moving or not M.is_constant and M.parts is None or self.slope_sources is None:
            return None
        sources, rule, values = self.slope_sources
        parts = [] if M.is_constant else [(V, ("value", "gradient")) for V in M.parts.ravel()]
        share = 1.0 if self.equation is None else {"ito": 0.0, "stratonovich": 0.5,
                                                   "isothermal": 1.0}[self.equation[1]]
        shape = None if M.is_constant else M.parts.shape
        return VectorField(self.ndim, [*sources, *parts],
                           _ItoDrift(rule, len(sources), M.matrix.tolist() if M.is_constant else None, shape,
                                     self.equation is not None, share * self.theta), "drift", values)

    @property
    def slope_sources(self) -> tuple | None:
        """Sources, rule and values of the drift of an equation, or of grad f - F."""
        if self.equation is not None:
            return self._b.sources, self._b.rule, self._b.values
        if self.force is None:
            return [(self.potential, ("gradient",))], _Downhill(None), {}
        return self.slope.sources, self.slope.rule, self.slope.values

    def __repr__(self) -> str:
        if self.equation is not None:
            b, convention = self.equation
            kind = "" if self.mobility.is_constant else f", {convention}"
            return f"Diffusion with drift {b!r}, diffusion {self.mobility!r}{kind}"
        V = repr(self.potential)
        theta = "theta(t)" if callable(self.theta) else f"theta = {self.theta:.6g}"
        M = "" if self.mobility.is_unit else f", mobility {self.mobility!r}"
        F = "" if self.force is None else f", force {self.force!r}"
        return f"Diffusion in {V[0].lower() + V[1:]}; {theta}{M}{F}"


def _n_components(drift, diffusion):
    """Number of coordinates that a drift or a diffusion matrix shows."""
    if isinstance(drift, VectorField):
        return drift.ndim
    if isinstance(drift, str):
        parts = component_texts(drift)
        return len(parts) if isinstance(parts, list) else 1
    if callable(drift):
        n = n_coordinates(drift)
        if n > 1:
            return n
        shape = np.shape(diffusion) if not isinstance(diffusion, str) and not callable(diffusion) else ()
        if isinstance(diffusion, str):
            parts = component_texts(diffusion)
            shape = (len(parts),) if isinstance(parts, list) else ()
        if shape:
            return shape[0]
        return _probed_ndim(drift)
    return max(1, np.size(drift)) if isinstance(drift, np.ndarray) else (
        len(drift) if isinstance(drift, (list, tuple)) else 1)


def _probed_ndim(function):
    """The number of coordinates for which a function of one array gives as many values."""
    for ndim in (1, 2, 3):
        try:
            force_of(function, ndim, "drift")
        except (ValueError, TypeError):
            continue
        return ndim
    raise ValueError("ndim must be given: the drift does not tell how many coordinates there are.")


Diffusion.__init__ = understood(Diffusion.__init__)        # type: ignore[method-assign]


class _Shells:
    """-weight log r with r one of the coordinates."""

    def __init__(self, axis: int) -> None:
        self.axis, self.__name__ = axis, "shells"

    def __call__(self, x, weight=0.0):
        return -weight * np.log(x[self.axis])


class _Downhill:
    """grad f - F, with f the first source."""

    def __init__(self, force_rule: Callable | None) -> None:
        self.force_rule = force_rule

    def __call__(self, jets, values):
        g = jets[0].gradient
        if self.force_rule is None:
            return list(g)
        return [a - F for a, F in zip(g, self.force_rule(jets[1:], values))]


class _ItoDrift:
    """-M slope (or b as it is) + share div M, from the parts of M behind the other sources."""

    def __init__(self, rule: Callable, n_sources: int, matrix: np.ndarray | None, shape: tuple | None,
                 is_drift: bool, share: float) -> None:
        self.rule, self.n_sources, self.matrix, self.shape = rule, n_sources, matrix, shape
        self.is_drift, self.share = is_drift, share

    def __call__(self, jets, values):
        v, parts = self.rule(jets[:self.n_sources], values), jets[self.n_sources:]
        d = len(v)
        diagonal = lambda i: parts[i if self.shape else 0]
        if not self.is_drift:
            if self.matrix is not None:
                M = self.matrix
            elif len(self.shape) == 2:
                M = [[parts[i * d + j].value for j in range(d)] for i in range(d)]
            else:
                M = [[diagonal(i).value if i == j else 0.0 for j in range(d)] for i in range(d)]
            v = [-a for a in product(M, v)]
        if self.matrix is not None or self.share == 0:
            return v
        if len(self.shape) == 2:
            div = [sum((parts[i * d + j].gradient[j] for j in range(d)), 0.0) for i in range(d)]
        else:
            div = [diagonal(i).gradient[i] for i in range(d)]
        return [a + self.share * b for a, b in zip(v, div)]

