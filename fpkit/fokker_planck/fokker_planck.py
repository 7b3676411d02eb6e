"""FokkerPlanck: a potential, a temperature and a grid, and every question about the density that can be asked
of them."""
from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.calls import understanding
from ..core.grid import Grid
from ..core.results import Estimate, Field
from ..potentials.diffusion import Diffusion
from ..potentials.force import on_grid
from ..potentials.potential import Potential
from ..potentials.regions.shapes import Region, check_region
from . import currents as flows, questions
from .discretisation.chain import Chain
from .discretisation.coefficients import Coefficients
from .discretisation.periodicity import check_periodic
from .discretisation.schemes import assemble, generator_chain, parsed
from .driven import questions as driven
from .driven.line import line_potential
from .driven.stationary import StationaryState
from .evolution.evolve import evolve
from .evolution.result import Evolution
from .gibbs import region_masses
from .gibbs.cell_masses import cell_masses
from .gibbs.exponent import Exponent
from .gibbs.quick_masses import trusted_masses
from .one_dimension import answers
from .results import PerAxis, QuasiStationary, Spectrum

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DEEPEST_MISS = 600.0                   # theta by which f may fall below its smallest sample inside a cell
QUICK_CELLS = 50_000                   # in space: cells from which the chain takes masses by one pass
REMEMBERED = 12                        # answers and grids that a diffusion keeps
THETA_HINT = "The noise-free limit is `fpkit.gradient_flow`."


@understanding
class FokkerPlanck:
    """The diffusion du/dt = theta div[M exp(-beta f) grad(u exp(beta f))], beta = 1/theta, on a grid.

    Nothing is computed until it is asked for. Which discretisation answers what, with h the cell width:

    ======================================= ============================================== ==================
    question                                answered by                                    from the continuum
    ======================================= ============================================== ==================
    `gibbs`, `probability`, `log_partition` integrals over cells, no chain                 stated, to rounding
                                                                                           for smooth f
    `generator`, `log_mass`,                edges of the passage chain, Gibbs masses of    h^2; stationary
    `log_conductance`, `edges`, `ground`    the cells                                      state is `gibbs`
    `chain`; `mfpt`, `committor`,           1D: integrals of the interval, no grid (the    1D stated, near
    `capacity`, `rate`, `spectrum`,         chain of visits to the nodes if not `exact`);  rounding; else h^2,
    `quasi_stationary`, ...                 2D: committor masses; 3D: cell masses and      error stated
                                            means over faces
    `evolve`                                node values by line quadrature, read as cell   h^4, else h^2,
                                            averages with the masses of `gibbs`            error stated
    a named `scheme`                        its own conductances and masses in all of      h^2 or as it is
                                            these but `gibbs`
    ======================================= ============================================== ==================

    Parameters
    ----------
    potential : Potential
        f, with as many coordinates as the grid has axes. Cells outside its `domain` are taken out, with no
        flux through their faces.
    theta : float or callable
        Temperature in the units of f, positive; ``theta(t)`` for annealing, and then the stationary
        density is that at time 0 (see `at`), as for a potential that depends on t.
    grid : Grid
    mobility : None, float, (ndim,), (ndim, ndim), str, Potential, callable or pair, optional
        M: isotropic, diagonal, a constant symmetric positive definite matrix (uniform grids), a formula or a
        function of points (n, ndim) that gives (n,) or (n, ndim), or ``(M, div M)``, as in `fpkit.Diffusion`.
        On a plane of directions with Gram matrix G it is the inverse of G.
    scheme : str
        "recommended", or a named one for comparison: a rule for conductances and one for masses,
        "midpoint/cell" (see `fpkit.fokker_planck.discretisation.schemes`). "recommended" is the exact chain
        of visits to the nodes in 1D, committor masses in 2D, face quadrature with cell masses in 3D. `evolve`
        has its own scheme of order 4 behind "recommended".
    absorbing : Region, optional
        Paths that reach it are gone. A region that meets the box only at a wall makes that wall absorbing
        there.
    force : str, callable, sequence, array or Rotation, optional
        F in the drift M (-grad f + F), as in `fpkit.Diffusion`, or an array (*grid.shape, ndim) of its values
        at the cell centres. ``FokkerPlanck(process, grid=grid)`` takes a `Diffusion` in place of potential,
        theta, mobility and force. What is driven has no detailed balance: see `stationary`.
    reactivity : float, optional
        kappa of a partially absorbing boundary of `absorbing`, J.n = kappa u; without it all is absorbed.
    killing : number, str, callable or Potential, optional
        Rate k(x) at which paths are killed, in 1/time, not negative.
    resetting : (rate, x_r), optional
        Rate at which paths are set back to a point, or to a density as in `evolve`.

    Attributes
    ----------
    beta, f0 : float
        1/theta, and the smallest f at the cell centres, which is taken off before any exponential.
    inside : ndarray of bool, shape grid.shape

    Examples
    --------
    >>> V = fp.Potential("(x**2 - 1)**2 + 0.3*x")
    >>> D = fp.FokkerPlanck(V, theta=0.1, grid=fp.Grid([(-2, 2)], shape=200))
    >>> D
    FokkerPlanck of potential (x**2 - 1)**2 + 0.3*x, 1 coordinate; theta = 0.1, Grid 200 on [-2, 2]
    >>> p = D.probability(fp.HalfSpace([1], 0.0)); round(float(p), 6), p.error < 1e-14
    (0.002824, True)
    """

    # of a `killed` one: the diffusion whose masses and energies it shares
    _whole: FokkerPlanck | None = None
    nodes_are_cells = False  # cell averages are read from node values (see `ReversibleChain`)

    def __init__(self, potential: Potential | Diffusion,
                 theta: float | Callable[[float], float] | None = None, grid: Grid | None = None,
                 mobility: ArrayLike | Callable | None = None, scheme: str = "recommended",
                 absorbing: Region | None = None, force: Any = None, reactivity: float | None = None,
                 killing: Any = None, resetting: tuple | None = None) -> None:
        if isinstance(potential, Diffusion):
            if any(given is not None for given in (theta, mobility, force)):
                raise TypeError("a Diffusion has its temperature, mobility and force already; give "
                                "FokkerPlanck(process, grid=...).")
            process, potential = potential, potential.potential
            theta = process.theta
        else:
            process = None
            if not isinstance(potential, Potential):
                raise TypeError(f"potential must be a Potential or a Diffusion, got "
                                f"{checks.shown(potential)}; make one with fp.Potential(...).")
        if not hasattr(grid, "centres"):
            raise TypeError(f"grid must be a Grid, got {checks.shown(grid)}; make one with fp.Grid(bounds, "
                            "shape).")
        if potential.ndim != grid.ndim:
            raise ValueError(f"the potential has {potential.ndim} coordinates and the grid {grid.ndim} axes; "
                             "they must agree"
                             + (", and in more than three dimensions use paths (fpkit.simulate, "
                                "fpkit.sample)." if potential.ndim > 3 else "."))
        if callable(theta):
            checks.number("theta(0)", theta(0.0), positive=True, hint=THETA_HINT)
        else:
            theta = checks.number("theta", theta, positive=True, hint=THETA_HINT)
        parsed(scheme, grid.ndim)
        self.potential, self.theta, self.grid, self.scheme = potential, theta, grid, scheme
        self.process = process or Diffusion(potential, theta, mobility, on_grid(force, grid))
        self._mobility = M = self.process.mobility
        self.mobility = M.given
        if M.is_full and not grid.is_uniform:
            raise ValueError("a mobility with off-diagonal entries needs a uniform grid: its stencil couples "
                             "cells at fixed offsets; use Grid(bounds, shape).")
        if M.is_tensor and (grid.ndim != 2 or not grid.is_uniform):
            raise ValueError("a mobility with off-diagonal entries that depends on x is known on uniform "
                             "grids in two dimensions; in more use paths (fpkit.simulate).")
        if not M.is_constant:
            M.at(np.array([[(low + high) / 2 for low, high in grid.bounds]] * 2))   # a wrong one shows here
        self.absorbing = absorbing
        self.reactivity = driven.checked_reactivity(reactivity, absorbing)
        self._killing, self.resetting = killing, driven.checked_resetting(resetting, killing, absorbing)
        if not self.is_gradient:
            driven.check(self)
        if absorbing is not None:
            check_region(absorbing, grid, "the absorbing region")
        if any(grid.periodic):
            check_periodic(self._frozen_potential, grid)

    # ------------------------------------------------------------------------------------------------------
    # at one moment
    @property
    def beta(self) -> float:
        """1/theta (at time 0 when theta moves)."""
        return 1 / self._frozen_theta

    @property
    def _frozen_theta(self):
        return float(self.theta(0.0)) if callable(self.theta) else self.theta

    @cached_property
    def _frozen_potential(self):
        V = self.potential
        return V.held(0.0) if getattr(V, "is_time_dependent", False) else V

    @property
    def is_gradient(self) -> bool:
        """Whether the process has neither a force nor a drift of its own, and so relaxes to Gibbs, and is
        neither killed, reset nor partially absorbed."""
        return self.process.is_gradient and self._has_no_sources and not self._mobility.is_tensor

    @property
    def _has_no_sources(self):
        return self.reactivity is None and self._killing is None and self.resetting is None

    @cached_property
    def killing_rate(self) -> np.ndarray | None:
        """The killing rate k at the cell centres, shape grid.shape, or None."""
        return None if self._killing is None else driven.rates_of(self._killing, self.grid)

    @cached_property
    def reset_probabilities(self) -> np.ndarray:
        """Where paths are reset: cell probabilities (n_cells,)."""
        return driven.reset_start(self)

    @cached_property
    def frozen_process(self) -> Diffusion:
        """The process frozen at time 0."""
        return self.process.frozen

    @cached_property
    def gradient_twin(self) -> FokkerPlanck:
        """The same potential, temperature, mobility and grid without the force."""
        if self.process.equation is not None:
            raise ValueError("this process is given by its drift and has no potential beside it.")
        mobility = None if self._mobility.is_tensor else self.mobility
        return FokkerPlanck(self._frozen_potential, self._frozen_theta, self.grid, mobility, self.scheme,
                            self.absorbing)

    @cached_property
    def _on_line(self):
        """In one dimension: the gradient process of the same drift, and the constant force beside it that a
        ring may have; None in more."""
        if self.grid.ndim > 1 or self.process.is_gradient or not self._has_no_sources:
            return None
        phi, tilt = line_potential(self.frozen_process, self.grid)
        return FokkerPlanck(phi, self._frozen_theta, self.grid, self.mobility, self.scheme,
                            self.absorbing), tilt

    @property
    def line_twin(self) -> FokkerPlanck | None:
        """In one dimension, where there is no force around a ring: the gradient process of the same drift,
        which answers everything exactly; else None."""
        return self._on_line[0] if self._on_line is not None and self._on_line[1] == 0 else None

    def _remade(self, grid, scheme, absorbing):
        """The same process, otherwise placed."""
        if self.is_gradient:
            return FokkerPlanck(self.potential, self.theta, grid, self.mobility, scheme, absorbing)
        partial = self.reactivity if absorbing is self.absorbing else None
        return FokkerPlanck(self.process, None, grid, None, scheme, absorbing, reactivity=partial,
                            killing=self._killing, resetting=self.resetting)

    def at(self, t: float) -> FokkerPlanck:
        """The diffusion frozen at time t: its stationary density, chain and rates.

        Examples
        --------
        >>> grid = fp.Grid([(-3, 3)], shape=60)
        >>> D = fp.FokkerPlanck(fp.Potential("x**2"), theta=lambda t: 1 / (1 + t), grid=grid)
        >>> D.at(4.0).theta
        0.2
        """
        t = checks.number("t", t, non_negative=True)
        theta = checks.number(f"theta({t:g})", self.theta(t), positive=True,
                              hint=THETA_HINT) if callable(self.theta) else self.theta
        if self.is_gradient:
            V = self.potential
            V = V.held(t) if getattr(V, "is_time_dependent", False) else V
            return FokkerPlanck(V, theta, self.grid, self.mobility, self.scheme, self.absorbing)
        return FokkerPlanck(self.process.at(t), None, self.grid, None, self.scheme, self.absorbing,
                            reactivity=self.reactivity, killing=self._killing, resetting=self.resetting)

    @cached_property
    def _energies(self):
        """f at the cell centres and the cells of the domain; values that are no numbers are refused."""
        if self._whole is not None:
            return self._whole._energies
        V, grid = self._frozen_potential, self.grid
        inside = np.array(grid.inside)
        if callable(V.domain):
            inside &= V.domain(grid.points)
            if not inside.any():
                raise ValueError("no cell of the grid lies in the domain of the potential; move the bounds "
                                 "of the grid.")
        points = grid.points
        f = Exponent(V, 1.0).energies(points.reshape(-1, grid.ndim).T).reshape(grid.shape)
        bad = inside & (np.isnan(f) | (f == -np.inf))
        if bad.any():
            where = ", ".join(str(np.round(p, 6).tolist()) for p in points[bad][:2])
            raise ValueError(f"the potential is NaN or -inf in {int(bad.sum())} of {int(inside.sum())} cells,"
                             f" first at {where}; take them out with Grid(..., mask=...) or move the bounds.")
        inside &= f < np.inf                     # f = inf is a wall
        if not inside.any():
            raise ValueError("the potential is infinite in every cell; move the bounds of the grid.")
        f.setflags(write=False)
        inside.setflags(write=False)
        return f, inside

    @property
    def inside(self) -> np.ndarray:
        """Cells of the domain: the mask of the grid, the domain of the potential, and finite f."""
        return self._energies[1]

    @cached_property
    def f0(self) -> float:
        f, inside = self._energies
        return float(f[inside].min())

    # ------------------------------------------------------------------------------------------------------
    # stationary state
    @cached_property
    def _cell_masses(self):
        if self._whole is not None:
            return self._whole._cell_masses
        f, inside = self._energies
        masses = cell_masses(self._frozen_potential, self._frozen_theta, self.grid, inside, self.f0, f)
        bad = np.isnan(masses.log_mass)
        if bad.any():
            where = np.round(self.grid.points.reshape(-1, self.grid.ndim)[bad][0], 6).tolist()
            raise ValueError(f"the potential is NaN inside {int(bad.sum())} cells although not at their "
                             f"centres, first near {where}; take them out with Grid(..., mask=...).")
        below = float((masses.log_mass - np.log(self.grid.volumes).ravel()).max())
        if below > DEEPEST_MISS:
            raise ValueError(f"inside a cell f falls more than {below:.3g} theta below its smallest value at "
                             "the cell centres: it has a pole there, or a well far narrower than a cell; "
                             "mask it out or refine the grid.")
        masses.log_mass.setflags(write=False)
        return masses

    @property
    def cell_log_mass(self) -> np.ndarray:
        """log of int exp(-beta (f - f0)) over each cell, shape grid.shape; -inf outside the domain."""
        return self._cell_masses.log_mass.reshape(self.grid.shape)

    @cached_property
    def gibbs(self) -> Field:
        """The Gibbs density exp(-beta f)/Z as exact cell averages: ``values * grid.volumes`` are the cell
        probabilities.

        ``error`` bounds the error of each value; summed with the volumes it bounds the L1 error.

        What is far narrower than a cell is seen where it reaches one of the points at which f is looked at
        besides the quadrature: 4 to 16 a cell and axis (64 in 1D with few cells), up to a million in all;
        none on larger grids and for black boxes. Random Gaussian wells in a plane of up to 120 x 120 cells
        were found down to a fiftieth of a cell (their standard deviation); narrower ones may be missed in
        silence: refine the grid around them.
        """
        if not self.is_gradient:
            return driven.gibbs(self)
        m = self._cell_masses
        w = np.exp(m.log_mass - m.log_mass.max())
        p = (w / w.sum()).reshape(self.grid.shape)
        density = p / self.grid.volumes
        rounding = 2e-15 + 2.3e-16 * self.beta * abs(self.f0)  # of the sums, and of f itself times beta
        error = density * (m.relative_error.reshape(self.grid.shape) + m.total_error / 2 + rounding)
        outside = ~self.inside
        if outside.any():
            density[outside], error[outside] = 0.0, 0.0
        if m.moved is not None:              # what cells with their centre beyond a wall hold of the domain
            moved = np.exp(m.moved - m.log_total).reshape(self.grid.shape)
            error += moved / self.grid.volumes * (1 + 1e-9)
        return Field(density, self.grid, "gibbs", error, "1/volume", self._inputs)

    @property
    def log_partition(self) -> float:
        """log of Z = int exp(-beta f) over the domain."""
        self._needs_gradient("log_partition")
        return self._cell_masses.log_total - self.beta * self.f0

    def probability(self, region: Region, refine: bool = False) -> Estimate:
        """Gibbs probability of a region, as an Estimate.

        Cells cut by the boundary are integrated up to it: in 1D between its exact crossings, in 2D and 3D by
        lines that end on it.

        Parameters
        ----------
        region : Region
        refine : bool
            Cut the cells at the boundary once more; the error then is the change.
        """
        if not self.is_gradient:
            return driven.probability(self, region)
        return region_masses.probability(self, region, refine)

    def stationary(self) -> StationaryState:
        """The stationary state: density, its logarithm, current, entropy production, each with its error
        (`fpkit.fokker_planck.driven.stationary.StationaryState`).

        By elimination without subtraction, so that every value has full relative accuracy however deep it
        lies; on the grid and on grids of two and three times the cells along each axis, extrapolated in
        logarithms (Richardson).

        Examples
        --------
        >>> V = fp.Potential("x**2/2 + y**2")
        >>> D = fp.FokkerPlanck(V, 0.5, fp.Grid([(-4, 4)] * 2, (24, 24)), force="(y, -x)")
        >>> S = D.stationary()
        >>> S.is_gibbs
        no: L1 distance 0.126 from exp(-f/theta)/Z
        >>> S.entropy_production.value > 0
        True
        """
        return self._remember(("stationary",), lambda: driven.stationary_state(self))

    def _needs_gradient(self, name):
        if not self.is_gradient:
            raise ValueError(f"{name} belongs to the Gibbs density of a process without a force or a drift "
                             "of its own; this one is driven: ask for stationary().")

    # ------------------------------------------------------------------------------------------------------
    # chain
    @cached_property
    def _space(self):
        if self._whole is not None:
            return self._whole._space.with_region(self.absorbing)
        f, inside = self._energies
        exponent = Exponent(self._frozen_potential, self.beta, self.f0)
        space = Coefficients(self.grid, inside, f, exponent, self._mobility)
        return space if self.absorbing is None else space.with_region(self.absorbing)

    @cached_property
    def chain(self) -> Chain:
        """The reversible chain of the passage questions in raw logarithms
        (`fpkit.fokker_planck.discretisation.chain.Chain`), also below exp(-640)."""
        self._needs_gradient("the reversible chain")
        return assemble(self._space, self.scheme, lambda: self._chain_masses)

    @cached_property
    def _chain_masses(self):
        """log masses of the cells for the chain: on large grids in space by one pass of fixed rules where
        they serve, whose errors (1e-9 of the mass) are nothing beside those of the conductances."""
        if self._whole is not None:
            return self._whole._chain_masses
        V, space = self._frozen_potential, self._space
        if self.grid.ndim == 3 and self.grid.n_cells > QUICK_CELLS and "_cell_masses" not in self.__dict__:
            inside = None if self.inside.all() else self.inside.ravel()
            B = space.B if inside is None else np.where(inside, space.B, 0.0)
            found = trusted_masses(V, V.p, self.beta, self.grid, self.f0, B, inside)
            if found is not None and not np.isnan(found[0]).any():
                return found[0]
        return self._cell_masses.log_mass

    @cached_property
    def _generator_chain(self):
        """The chain of `generator`: with the recommended scheme the edges of `chain` and the Gibbs masses of
        the cells."""
        if self.scheme != "recommended":
            return self.chain.in_range()
        return generator_chain(self._space, self.chain, self._cell_masses.log_mass).in_range()

    @cached_property
    def generator(self) -> csr_matrix:
        """Generator Q, a scipy CSR matrix (n_cells, n_cells) in 1/time; rows sum to zero, or to minus the
        rate of absorption.

        With the recommended scheme it is in detailed balance with the Gibbs probabilities of the cells,
        ``gibbs.values * grid.volumes``, to rounding: without absorption these are its stationary state. Cells
        that are not states have empty rows. A density moves with the transpose. Of a driven process it is not
        reversible.
        """
        if not self.is_gradient:
            return driven.generator(self)
        return self._generator_chain.generator()

    @property
    def log_mass(self) -> np.ndarray:
        """log of the masses of `generator` (n_cells,), largest 0; -inf for cells that are not states.

        ``np.exp(log_mass)`` is stationary for `generator`, with detailed balance to rounding. Values are
        floored at -640.
        """
        return self._generator_chain.log_mass

    @property
    def log_conductance(self) -> np.ndarray:
        """log of m_i q_ij for each of the `edges` (n_edges,), on the scale of `log_mass`."""
        return self._generator_chain.log_cond

    @property
    def edges(self) -> np.ndarray:
        """Flat indices of the two cells of each edge (n_edges, 2)."""
        return self.chain.edges

    @property
    def killing(self) -> np.ndarray | None:
        """Rate of absorption times mass (n_cells,), on the scale of `log_mass`; None without absorption."""
        return self._generator_chain.ground

    ground = killing                             # its name in earlier versions

    @cached_property
    def components(self) -> tuple[np.ndarray, np.ndarray]:
        """Connected parts of the chain: labels (grid.shape, -1 where there is no state) and the Gibbs
        probability of each part."""
        return region_masses.components(self)

    def killed(self, region: Region) -> FokkerPlanck:
        """The same diffusion, absorbed in `region` (besides where it was absorbed before)."""
        union = region if self.absorbing is None else self.absorbing | region
        made = self._remade(self.grid, self.scheme, union)
        made._whole = self._whole or self
        return made

    def on(self, grid: Grid) -> FokkerPlanck:
        """The same diffusion on another grid."""
        return self._remade(grid, self.scheme, self.absorbing)

    def with_scheme(self, name: str) -> FokkerPlanck:
        """The same diffusion with another named scheme."""
        return self._remade(self.grid, name, self.absorbing)

    # ------------------------------------------------------------------------------------------------------
    # densities
    def evolve(self, u0: ArrayLike | Field | Callable, times: ArrayLike, tol: float | None = None,
               positive: bool = False, **options) -> Evolution:
        """Densities at the given times from the start u0; see
        `fpkit.fokker_planck.evolution.evolve.evolve`.

        With a force or a drift of its own the steps are the same, of order 4 in space where the noise is
        constant and along the axes of a uniform grid. Elsewhere, with what absorbs or kills, and with a
        stream function that does not end at the walls, they are of the whole grid, and two grids of order 2
        are extrapolated, also with `n_steps`. `free_energy` is then NaN, and `gibbs` the stationary density,
        which is found when it, `distance` or `relative_entropy` is asked for. A stream function keeps the
        Gibbs density up to the stated error, with ``order=2`` to rounding.

        Examples
        --------
        >>> V = fp.Potential("x**2/2 + y**2")
        >>> D = fp.FokkerPlanck(V, 0.5, fp.Grid([(-4, 4)] * 2, (32, 32)), force="(y, -x)")
        >>> run = D.evolve(([1.0, 0.5], 0.5), times=[0.5, 1e6])
        >>> bool(run.distance[0] > 0.1 and 2 * run.distance[1] < run.error[1] < 0.02)
        True
        """
        if not self.is_gradient:
            if self.line_twin is None or self.process.is_moving:
                return driven.evolve(self, u0, times, tol=tol, positive=positive, **options)
            return self.line_twin.evolve(u0, times, tol=tol, positive=positive, **options)
        return evolve(self, u0, times, tol=tol, positive=positive, **options)

    def currents(self, density: Field | ArrayLike) -> flows.Currents:
        """Probability current of a density: through the faces, and as a vector field (`Currents`)."""
        if not self.is_gradient:
            return driven.currents_of(self, density)
        return flows.currents(self, density)

    def free_energy(self, density: Field | ArrayLike) -> float:
        """F = int f u + theta int u log u of a density of cell averages; its minimum, -theta log Z, is
        reached by the Gibbs density."""
        self._needs_gradient("the free energy")
        return flows.free_energy(self, density)

    def distance(self, density: Field | ArrayLike, kind: str = "l1") -> float:
        """Distance of a density u to the Gibbs density g: "l1" (int |u - g|), "tv" (half of it, as in
        `Evolution.distance`), "chi2" (square root of int (u/g - 1)^2 g) or "entropy" (int u log(u/g))."""
        self._needs_gradient("the distance to Gibbs")
        return flows.distance(self, density, kind)

    # ------------------------------------------------------------------------------------------------------
    # spectrum and first passage
    def spectrum(self, k: int = 6, refine: bool = False, exact: bool = True) -> Spectrum:
        """The k lowest eigenvalues of -L, ascending, the first 0 (unless paths are absorbed), with their
        eigenfunctions (`Spectrum`).

        Parameters
        ----------
        k : int
        refine : bool
            Discretise anew on finer grids and extrapolate; the error is several times what these grids say
            apart about the limit. Without it the error is several times what two or three coarser grids
            predict for this one.
        exact : bool
            In one dimension the continuum answer of the interval, whatever the grid; False gives the chain's.
        """
        return self._ask("spectrum", checks.whole("k", k, 1), refine=refine, exact=exact)

    def mfpt(self, target: Region, refine: bool = False, exact: bool = True,
             reactivity: float | None = None) -> Field:
        """Mean first passage time tau(x) to a region, a Field: L tau = -1 outside, tau = 0 on the target.

        ``tau.at(point)`` is an Estimate. Infinite where the target cannot be reached. `refine` and `exact` as
        in `spectrum`. With a `reactivity` kappa the boundary of the target takes a part of what arrives,
        J.n = kappa u, and tau is the mean time until it does.
        """
        if reactivity is not None:
            check_region(target, self.grid, "a source or target")
            kappa = driven.checked_reactivity(reactivity, target)
            return driven.mfpt(self, target, refine=refine, reactivity=kappa)
        return self._ask("mfpt", target, refine=refine, exact=exact)

    def committor(self, source: Region, target: Region, refine: bool = False, exact: bool = True,
                  backward: bool = False) -> Field:
        """Probability q(x) of reaching `target` before `source`, a Field: L q = 0 outside, q = 0 on the
        source, 1 on the target.

        With `backward` the probability q-(x) that the stationary process now at x was in `source` after it
        was in `target`: 1 on the source, 0 on the target, and 1 - q without a force.
        """
        if backward and not self.is_gradient and self.line_twin is None:
            check_region(source, self.grid, "a source or target")
            check_region(target, self.grid, "a source or target")
            return driven.committor(self, source, target, backward=True, refine=refine)
        if backward:                           # detailed balance: the past is the future
            return self.committor(target, source, refine=refine, exact=exact)
        return self._ask("committor", source, target, refine=refine, exact=exact)

    def capacity(self, source: Region, target: Region, refine: bool = False, exact: bool = True,
                 bracket: bool = False) -> Estimate:
        """cap = theta int grad q . M grad q exp(-beta f), q the committor, as an Estimate; `log10` holds what
        underflows.

        Parameters
        ----------
        source, target : Region
        refine, exact : bool
            As in `spectrum`.
        bracket : bool
            Also bound it in the continuum, by the principles of Dirichlet and Thomson
            (`fpkit.fokker_planck.boundary_values.capacity_bounds`): ``inputs["bracket"]`` is (lower, upper),
            and ``inputs["bracket_log10"]`` where these underflow. The error is at most the distance to the
            farther one.

        Examples
        --------
        >>> V = fp.Potential("(x**2 - 1)**2 + y**2*(1 + 0.3*x)")
        >>> D = fp.FokkerPlanck(V, 0.2, fp.Grid([(-2, 2), (-2, 2)], (40, 40)))
        >>> cap = D.capacity(fp.HalfSpace([-1, 0], 1.0), fp.HalfSpace([1, 0], 1.0), bracket=True)
        >>> low, high = cap.inputs["bracket"]
        >>> low < cap < high < 1.1 * low
        True
        """
        return self._between("capacity", source, target, refine, exact, bracket)

    def reactive_flux(self, source: Region, target: Region, refine: bool = False, exact: bool = True,
                      bracket: bool = False) -> Estimate:
        """Reactive trajectories from `source` to `target` per unit time, nu = capacity / Z, as an Estimate;
        `bracket` as in `capacity`."""
        return self._between("reactive_flux", source, target, refine, exact, bracket)

    def rate(self, source: Region, target: Region, refine: bool = False, exact: bool = True,
             bracket: bool = False) -> Estimate:
        """Transitions per unit time spent coming from `source`: k = capacity / int (1 - q) exp(-beta f), as
        an Estimate.

        1/k is exactly the mean first passage time to `target` from the last-exit distribution of `source`.
        `bracket` as in `capacity`, widened by the stated error of the integral.
        """
        return self._between("rate", source, target, refine, exact, bracket)

    def _between(self, question, source, target, refine, exact, bracket):
        found = self._ask(question, source, target, refine=refine, exact=exact)
        if bracket:
            self._needs_gradient("bracket: the principles of Dirichlet and Thomson")
        return questions.bracketed(self, question, source, target, found) if bracket else found

    def exit_rate(self, target: Region, refine: bool = False, exact: bool = True,
                  reactivity: float | None = None) -> Estimate:
        """Quasi-stationary rate of exit into a region: the lowest eigenvalue of -L with absorption there, as
        an Estimate; `reactivity` as in `mfpt`."""
        if reactivity is not None:
            check_region(target, self.grid, "a source or target")
            kappa = driven.checked_reactivity(reactivity, target)
            return driven.exit_rate(self, target, refine=refine, reactivity=kappa)
        return self._ask("exit_rate", target, refine=refine, exact=exact)

    def quasi_stationary(self, target: Region, refine: bool = False, exact: bool = True) -> QuasiStationary:
        """Quasi-stationary distribution outside `target`, its exit rate, and where it exits
        (`QuasiStationary`)."""
        return self._ask("quasi_stationary", target, refine=refine, exact=exact)

    def autocorrelation(self, observable: Any, times: ArrayLike) -> driven.Correlation:
        """C(t) = E g(X_0) g(X_t) - (E g)^2 of an observable g in the stationary process, with errors
        (`Correlation`); g is a formula, a function of the coordinates or of points.

        Examples
        --------
        >>> D = fp.FokkerPlanck(fp.Potential("x**2/2"), 0.5, fp.Grid([(-5, 5)], 64))
        >>> C = D.autocorrelation("x", [0.0, 1.0])
        >>> bool((abs(C.values - 0.5 * np.exp(-C.at)) <= C.error).all() and C.error.max() < 1e-3)
        True
        """
        return driven.correlation(self, observable, times, False)

    def power_spectrum(self, observable: Any, frequencies: ArrayLike) -> driven.Correlation:
        """S(w) = int C(|t|) exp(i w t) dt at angular frequencies, as `autocorrelation`."""
        return driven.correlation(self, observable, frequencies, True)

    def first_passage_density(self, x0: ArrayLike | tuple, target: Region, times: ArrayLike,
                              reactivity: float | None = None) -> driven.FirstPassageDensity:
        """Density of the time at which paths from x0 first reach a region, at the given times, and its
        moments (`FirstPassageDensity`), extrapolated from three grids.

        Parameters
        ----------
        x0 : point (ndim,) or (mean, std)
        target : Region
        times : increasing sequence, positive
        reactivity : float, optional
            As in `mfpt`.

        Examples
        --------
        >>> D = fp.FokkerPlanck(fp.Potential("0*x"), 0.5, fp.Grid([(-9, 2)], 88), force=[1.0])
        >>> f = D.first_passage_density([0.0], fp.HalfSpace([1], 1.0), [0.5, 1.0, 2.0])
        >>> exact = np.exp(-(1 - f.times)**2 / (2 * f.times)) / np.sqrt(2 * np.pi * f.times**3)
        >>> bool((abs(f.density - exact) <= f.error).all() and f.error.max() < 2e-3)
        True
        """
        check_region(target, self.grid, "the target")
        kappa = driven.checked_reactivity(reactivity, target)
        return driven.first_passage_density(self, x0, target, times, kappa)

    def effective_diffusion(self, refine: bool = False, exact: bool = True, force: float = 0.0) -> PerAxis:
        """Diffusion at long times along the periodic axes: a list of Estimates, one an axis (0 along walls).

        In one dimension Lifson and Jackson's theta L^2 / (int exp(beta f)/M int exp(-beta f)), and with a
        constant `force` along the axis the formula of Reimann et al. [1]_; a list of one Estimate then, that
        converts to a float.

        References
        ----------
        .. [1] P. Reimann et al., Phys. Rev. Lett. 87, 010602 (2001).

        Examples
        --------
        >>> ring = fp.Grid([(0, 2 * np.pi)], shape=40, periodic=True)
        >>> D = fp.FokkerPlanck(fp.Potential("cos(x)"), theta=1.0, grid=ring)
        >>> round(float(D.effective_diffusion()), 12)                    # 1/I_0(1)^2
        0.623860360432
        """
        if self._on_line is not None:
            twin, own = self._on_line
            return twin.effective_diffusion(refine, True, own + checks.number("force", force))
        arguments = (checks.number("force", force),) if force else ()
        if arguments and self.grid.ndim > 1:
            raise ValueError("a force is known to effective_diffusion in one dimension only; use paths "
                             "(fpkit.simulate) in more.")
        return self._ask("effective_diffusion", *arguments, refine=refine, exact=exact)

    def velocity(self, force: float = 0.0) -> Estimate:
        """Mean velocity on a one-dimensional ring whose potential is tilted by a constant force, as an
        Estimate (Stratonovich's formula).

        The potential on the ring is the periodic part; the drift is M (force - grad f). A driven process has
        its own force already, and `force` is added to it.

        Examples
        --------
        >>> ring = fp.Grid([(0, 1)], shape=10, periodic=True)
        >>> D = fp.FokkerPlanck(fp.Potential("0*x"), theta=0.5, grid=ring)
        >>> round(D.velocity(force=3.0), 12)
        3.0
        """
        if self.grid.ndim > 1:
            raise ValueError("velocity is known in one dimension only; in more take that of stationary(), or "
                             "use paths (fpkit.simulate).")
        if self._on_line is not None:
            twin, own = self._on_line
            return twin.velocity(own + checks.number("force", force))
        return self._ask("velocity", checks.number("force", force), refine=False, exact=True)

    def mfpt_variance(self, target: Region) -> Field:
        """Variance of the first passage time to a region as a Field, in one dimension: L v = -2 theta M
        (tau')^2, v = 0 on the target.

        Examples
        --------
        >>> D = fp.FokkerPlanck(fp.Potential("0*x"), theta=1.0, grid=fp.Grid([(0, 1)], shape=10))
        >>> round(D.mfpt_variance(fp.HalfSpace([1], 1.0)).at([0.0]), 12)     # 1/6 for a mean of 1/2
        0.166666666667
        """
        if self.grid.ndim > 1:
            raise ValueError("mfpt_variance is known in one dimension only; in more take it from "
                             "fpkit.exit_time.")
        return self._ask("mfpt_variance", target, refine=False, exact=True)

    def _ask(self, question, *arguments, refine, exact):
        """The answer of the interval in one dimension, of the chain otherwise."""
        if self.process.is_moving:
            raise ValueError(f"{question} is asked of a process that stands still, and this one depends on "
                             "the time: D.at(t) holds it at one moment, and D.killed(region).evolve() gives "
                             "what is left outside a region while it moves.")
        for argument in arguments:
            if not isinstance(argument, (int, float)):
                check_region(argument, self.grid, "a source or target")
        if self.grid.ndim == 1 and exact and self.is_gradient:
            return getattr(answers, question)(self, *arguments)
        if not self.is_gradient:
            if self.line_twin is not None:
                return self.line_twin._ask(question, *arguments, refine=refine, exact=exact)
            return driven.ask(self, question, *arguments, refine=refine)
        return questions.QUESTIONS[question](self, *arguments, refine=refine)

    def _remember(self, key, make):
        """What `make` returned for this key; the last few are kept, since one question often follows from
        another."""
        kept = self.__dict__.setdefault("_kept", {})
        if key not in kept:
            made = make()
            while len(kept) >= REMEMBERED:
                del kept[next(iter(kept))]
            kept[key] = made
        return kept[key]

    def identifying(self) -> tuple[tuple, Any, str]:
        """What tells it from others, for `fpkit.core.runs.identity`: its arguments, not what it remembers."""
        grid, process = self.grid, self.process
        drive = () if process.is_gradient else (process.force, process.equation)
        return ("FokkerPlanck", self.scheme), (
            self.potential, self.theta, self.mobility, self.absorbing, self.reactivity, self._killing,
            self.resetting, grid.edges, grid.periodic, grid.inside, *drive), "the diffusion"

    @property
    def _inputs(self):
        V = self.potential if self.is_gradient else self.process
        return {"potential": repr(V), "theta": self._frozen_theta, "grid": repr(self.grid),
                "scheme": self.scheme}

    def __repr__(self):
        if not self.is_gradient:
            absorbed = "" if self.absorbing is None else f", absorbed in {self.absorbing!r}"
            text = repr(self.process)
            return f"FokkerPlanck of {text[0].lower()}{text[1:]}, {self.grid!r}{absorbed}"
        theta = "theta(t)" if callable(self.theta) else f"theta = {self.theta:g}"
        extra = "" if self._mobility.is_unit else ", with mobility"
        extra += "" if self.absorbing is None else f", absorbed in {self.absorbing!r}"
        name = repr(self.potential)
        return f"FokkerPlanck of {name[0].lower()}{name[1:]}; {theta}, {self.grid!r}{extra}"
