"""The Klein-Kramers equation: density, relaxation and escape of a particle with inertia in one dimension."""
from __future__ import annotations

import json
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ...core.grid import Grid
from ...core.results import Estimate, Field
from ...potentials.potential import Potential
from ...potentials.regions import Region
from ..evolution.result import Evolution
from ..extrapolation import UNRESOLVED
from ..fokker_planck import FokkerPlanck
from ..one_dimension.pieces import marked
from .ladder import eigenvalues, generator, slow_gap
from .passage import stationary_flux
from .positions import spectral, staggered
from .state import LadderState, start_of
from .stepping import Steps, controlled
from .velocity import hermite_cell_means

LEAST_FRICTION = 0.05           # below it a layer in energy is narrower than Hermite modes resolve
THERMAL_SPEEDS = 7.0            # exp(-24.5) of the velocities lie beyond
VELOCITY_CELLS = 128
MOST_MODES = 512
STILL = 1e-5                    # relative change of the gap from half the modes, or fewer functions of x
LEAST_AGREEMENT = 0.01          # of two sizes of the second basis, for it to be taken at all
LEAST_CONDUCTANCE = 1e-260      # below it chains are lifted into the range of floats
TINY = 1e-6                     # of the friction: below it gaps come from resistances, without cancellation
SPECTRAL_SIZES = (49, 73, 109)             # odd: real Fourier modes come in pairs
MOST_UNKNOWNS = 30_000
PASSAGE_MODES = (12, 18, 26, 38, 56)       # polynomials on the half line
PASSAGE_NODES = 100             # edges of the coarsest grid of an escape problem


class KleinKramers:
    """Diffusion with inertia, dx = v dt, dv = -(f' + g v) dt + sqrt(2 g theta) dW, seen as a density u(x, v).

    du/dt = -v d_x u + f' d_v u + g d_v(v u + theta d_v u), unit mass; walls turn v around. The velocity is
    expanded in Hermite functions; even modes live on the cells of the grid, odd ones on the edges between,
    with the chain of `FokkerPlanck` as the operator: Maxwell-Boltzmann and mass are exact, and strong
    friction gives that chain, slowed down by g [1]_.

    Parameters
    ----------
    potential : Potential
        f, of one coordinate.
    theta : float
        Temperature in the units of f.
    friction : float
        g, in 1/time, from 0.05 on (in slow potentials, from 0.05 of their fastest frequency).
    grid : Grid
        One axis, bounded by walls or a ring.
    modes : int
        Hermite modes for `evolve`, even, at least 8. `gap` and `rate` choose their own from there on.

    Attributes
    ----------
    grid, phase_grid : Grid
        In x; in (x, v), up to seven thermal speeds.

    Examples
    --------
    >>> V = fp.catalogue.double_well()
    >>> K = fp.KleinKramers(V, theta=0.2, friction=1.0, grid=fp.Grid([(-2, 2)], shape=96))
    >>> gap = K.gap(); round(gap, 6), gap.error < 1e-6 * gap
    (0.004434, True)
    >>> A, B = fp.HalfSpace([-1], 0.9), fp.HalfSpace([1], 0.9)        # x <= -0.9 and x >= 0.9
    >>> bool(abs(2 * K.rate(A, B) / gap - 1) < 0.1)
    True

    References
    ----------
    .. [1] H. Risken, The Fokker-Planck Equation, Springer (1989), chapter 10.
    """

    def __init__(self, potential: Potential, theta: float, friction: float, grid: Grid, modes: int = 64):
        if not isinstance(potential, Potential):
            raise TypeError(f"potential must be a Potential, got {checks.shown(potential)}; make one with "
                            "fp.Potential(...).")
        if potential.ndim != 1:
            raise ValueError(f"phase space is solved for one coordinate, the potential has {potential.ndim}; "
                             'use paths (fpkit.simulate with scheme="baoab").')
        if callable(theta) or potential.is_time_dependent:
            raise ValueError("phase space needs a theta and a potential that do not depend on the time; hold "
                             "t fixed with with_params.")
        self.friction = checks.number("friction", friction, positive=True)
        self.modes = checks.whole("modes", modes, 8)
        if self.modes % 2:
            raise ValueError(f"modes must be even, got {self.modes}: the last one belongs to the edges.")
        self.overdamped = D = FokkerPlanck(potential, theta, grid)
        if not D.inside.all():
            raise ValueError("phase space needs an interval or a ring without gaps; take the mask away and "
                             "move the bounds.")
        self.potential, self.theta, self.grid = potential, D.theta, grid
        least = LEAST_FRICTION * min(1.0, self._fastest)
        if self.friction < least:
            raise ValueError(f"friction {self.friction:g} is below {least:.3g}: there the density has a thin "
                             "layer in energy that Hermite modes do not resolve, and a solver in energy is "
                             "not offered; use fpkit.kramers_turnover for the rate of escape, or paths "
                             '(scheme="baoab").')
        fastest = THERMAL_SPEEDS * np.sqrt(self.theta)
        self.phase_grid = _phase_grid(grid, fastest)

    @cached_property
    def _bottoms(self):
        """Frequencies sqrt(f'') at the lowest cells of the wells."""
        x, f = self.grid.centres[0], self.overdamped._energies[0]
        low = np.flatnonzero((f <= np.roll(f, 1)) & (f <= np.roll(f, -1)) & (f < f.min() + 20 * self.theta))
        with np.errstate(all="ignore"):
            bend = np.asarray(self.potential.hessian(x[low][:, None]), float).ravel()
        bend = bend[np.isfinite(bend) & (bend > 0)]
        return np.unique(np.round(np.sqrt(bend), 6))

    @property
    def _fastest(self):
        return float(self._bottoms.max(initial=0.0))

    @cached_property
    def gibbs(self) -> Field:
        """The Maxwell-Boltzmann density exp(-(f + v^2/2)/theta)/Z as cell averages on `phase_grid`."""
        p = self.overdamped.gibbs
        v = hermite_cell_means(self.phase_grid.edges[1] / np.sqrt(self.theta), 1)[0] / np.sqrt(self.theta)
        return Field(p.values[:, None] * v, self.phase_grid, "gibbs", p.error[:, None] * v + 1e-15,
                     "1/volume", self._inputs)

    # ------------------------------------------------------------------------------------------------------
    def evolve(self, u0: ArrayLike | Field | tuple, times: ArrayLike, tol: float = 1e-6) -> Evolution:
        """Densities u(x, v, t) at the asked times, as an `Evolution` on `phase_grid`.

        Parameters
        ----------
        u0 : point (x, v), pair ((x, v), std), array, Field or callable
            All mass at one point; independent normal laws, std one number or two; cell averages on
            `phase_grid`; a density u(x, v), normalised here.
        times : array_like
            Not negative, ascending.
        tol : float
            Bound of the L1 error of the time steps.

        Returns
        -------
        Evolution
            ``time_error`` from halved steps; ``space_error`` from half the cells and from half the modes, and
            what has left the grid in v.

        Examples
        --------
        >>> K = fp.KleinKramers(fp.Potential("x**2/2"), 0.5, 1.0, fp.Grid([(-5, 5)], shape=100), modes=32)
        >>> run = K.evolve(((1.0, 0.0), 0.4), [0.5, 3.0])
        >>> P = run.probabilities(0); float(round((P.sum(1) * K.grid.centres[0]).sum(), 2))    # mean position
        0.9
        """
        times = np.atleast_1d(np.asarray(times, float))
        if times.ndim != 1 or not np.isfinite(times).all() or (times < 0).any() or (np.diff(times) < 0).any():
            raise ValueError(f"times must be ascending, finite and not negative, got {checks.shown(times)}.")
        tol = checks.number("tol", tol, positive=True)
        kind, data = start_of(u0, self.phase_grid, self.theta)
        u, time_error, plan, mass, begin, n_lu = self._run(self.overdamped, self.modes, kind, data, times,
                                                           tol)
        space = np.full(times.size, np.nan)
        if self.grid.n_cells % 2 == 0 and self.grid.n_cells >= 16:
            coarse = self.overdamped.on(self.grid.coarsened())
            v = self._run(coarse, self.modes, kind, data, times, None, plan)[0]
            space = (np.abs(_halved(u, self.grid) - v) @ self.phase_grid.widths[1]) @ coarse.grid.widths[0]
        half = max(4, self.modes // 4 * 2)
        v = self._run(self.overdamped, half, kind, data, times, None, plan)[0]
        cells = self.phase_grid.volumes
        truncation = (np.abs(u - v) * cells).sum((1, 2))
        lost = np.abs((u * cells).sum((1, 2)) - mass)
        return self._evolution(times, u, mass, time_error, space + truncation + lost, begin,
                               {"coupled": int(sum(plan)), "factorisations": n_lu}, kind, tol)

    def _run(self, D, modes, kind, data, times, tol, plan=None):
        """Densities at the times; with a tolerance in steps of its own, else in those of `plan`."""
        grid = self.phase_grid if D is self.overdamped else _phase_grid(D.grid, self.phase_grid.bounds[1][1])
        state = LadderState(staggered(D), self.theta, modes, grid)
        if kind == "point":
            c = state.of_point(*data)
        elif kind == "gaussian":
            c = state.of_gaussian(*data)
        else:
            c = state.of_averages(data if D is self.overdamped else _halved(data[None], self.grid)[0])
        steps = Steps(generator(state.space.pair, self.friction, modes))
        distance = lambda a, b: float((np.abs(state.density(a - b)) * grid.volumes).sum())
        found, mass, errors, used, begin = [], [], [], [], state.density(c)
        now, error = 0.0, 0.0
        for k, t in enumerate(times):
            n = 0
            if t > now and tol is not None:
                guess = (t - now) * self._fastest / 2
                c, more, n = controlled(steps, c, t - now, guess, tol / times.size, distance)
                error += more
            elif t > now:
                n = plan[k]
                c = steps.advance(c, t - now, n)
            now = t
            found.append(state.density(c))
            mass.append(state.mass(c))
            errors.append(error)
            used.append(n)
        return np.array(found), np.array(errors), used, np.array(mass), begin, steps.n_factorisations

    def _evolution(self, times, u, mass, time_error, space_error, begin, steps, kind, tol):
        cells, gibbs = self.phase_grid.volumes, self.gibbs.values
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(u > 0, u * np.log(u / gibbs), 0.0)
        entropy = (terms * cells).sum((1, 2))
        log_z = self.overdamped.log_partition + np.log(2 * np.pi * self.theta) / 2
        return Evolution(
            times=times, densities=u, grid=self.phase_grid, theta=self.theta, gibbs=gibbs, mass=mass,
            free_energy=self.theta * (entropy - log_z), relative_entropy=entropy,
            distance=(np.abs(u - gibbs) * cells).sum((1, 2)) / 2, time_error=time_error,
            space_error=space_error, start=begin, steps=steps,
            inputs={**json.loads(json.dumps(self._inputs)), "start": kind, "tol": tol})

    # ------------------------------------------------------------------------------------------------------
    def eigenvalues(self, k: int = 6) -> np.ndarray:
        """The k eigenvalues of -L of smallest real part found near 0 and near i times the frequencies of the
        wells, without the 0 of equilibrium: complex, on this grid with these modes."""
        k = checks.whole("k", k, 1)
        near = () if self.friction > 2 * self._fastest else tuple(self._bottoms[-3:])
        return eigenvalues(staggered(self.overdamped).pair, self.friction, self.modes, k, near)[0]

    def _one_gap(self, pair, modes):
        """The eigenvalue of smallest real part, and its rounding error."""
        if pair.mass is not None and pair.mass.size > pair.conductance.size:
            slow = slow_gap(pair, self.friction, modes)
            if slow is not None:
                return complex(slow), 1e-11 * slow
        near = () if self.friction > 2 * self._fastest else tuple(self._bottoms[-3:])
        w, rounding = eigenvalues(pair, self.friction, modes, 1, near)
        return complex(w[0]), rounding

    def gap(self) -> Estimate:
        """The slowest decay: smallest real part of an eigenvalue of -L besides 0, as an Estimate.

        Twice over: in cosines or Fourier modes of x, enlarged until still, and by the staggered ladder on the
        grid, on half and on a quarter of its cells (limit by the measured order); modes in v are doubled
        until still. The first answer is taken where it has converged and the second agrees; the error is what
        is left between sizes. ``inputs["eigenvalue"]`` is the complex eigenvalue.
        """
        if not hasattr(self, "_gap"):
            self._gap = self._found_gap()
        return self._gap

    def _found_gap(self):
        grids = [self._weighty_grid()]
        while len(grids) < 3 and min(grids[-1].shape) >= 16 and grids[-1].coarsened() is not None:
            grids.append(grids[-1].coarsened())
        pairs = [staggered(self.overdamped if g is self.grid else self.overdamped.on(g)).pair for g in grids]
        bounds = grids[0].bounds[0]
        if pairs[0].conductance.min() < LEAST_CONDUCTANCE:
            return Estimate(np.nan, np.nan, "staggered Hermite ladder", inputs=self._inputs,
                            status="the barrier is hundreds of theta high, where rates leave the range of "
                                   "floats; raise theta")
        modes, change = self._still(pairs[min(1, len(pairs) - 1)], self.modes)
        value, error, w = self._staggered_gap(pairs, modes)
        method, error = "staggered Hermite ladder", error + 3 * change
        if value > TINY * self.friction:
            found = self._spectral_gap(modes, bounds)
            if found is not None and found[1] < error and abs(found[0] - value) <= 3 * error + found[1]:
                value, error, modes, w = found
                method = f"{'Fourier' if self.grid.periodic[0] else 'cosine'} x Hermite modes"
        return Estimate(value, error, f"{method}, {modes} modes",
                        status="ok" if error < 0.5 * value else UNRESOLVED,
                        inputs={**self._inputs, "modes": modes, "eigenvalue": w})

    def _weighty_grid(self):
        """The grid, or as many equal cells on the part of an interval where exp(-f/theta) has weight beside
        the highest way between two wells: far out its rates are as large as they are idle."""
        space, grid = self.overdamped._space, self.grid
        inside = np.flatnonzero(space.weight_limit > space.B)
        low, high = grid.edges[0][inside[0]], grid.edges[0][inside[-1] + 1]
        if grid.periodic[0] or not grid.is_uniform or high - low > 0.9 * np.ptp(grid.bounds[0]):
            return grid
        return Grid([(low, high)], grid.shape)

    def _still(self, pair, modes):
        """(modes, change): doubled until the gap no longer changes."""
        w, _ = self._one_gap(pair, modes)
        while True:
            new, rounding = self._one_gap(pair, 2 * modes)
            change, w = abs(new - w), new
            if change <= STILL * abs(w) + rounding:
                return modes, change
            modes *= 2
            if 2 * modes > MOST_MODES:
                return modes, change

    def _staggered_gap(self, pairs, modes):
        """(value, error, eigenvalue) from grids of n, n/2 and n/4 cells."""
        found = [self._one_gap(p, modes) for p in pairs]
        levels, (w, rounding) = np.log([z.real for z, _ in found]), found[0]
        if len(levels) < 2:
            return w.real, np.inf, w
        step = levels[0] - levels[1]
        ratio = (levels[1] - levels[2]) / step if len(levels) > 2 and step else 4.0
        if 2.5 < ratio < 6.5:
            value = float(np.exp(levels[0] + step / 3))
            return value, value * abs(step) / 3 * max(1, 4 * abs(ratio / 4 - 1)) + rounding, w
        return w.real, w.real * 3 * max(abs(step), abs(levels[0] - levels[-1])) + rounding, w

    def _spectral_gap(self, modes, bounds):
        """(value, error, modes, eigenvalue) in a second basis; None where it does not become still."""
        (low, high), is_ring = bounds, self.grid.periodic[0]
        step, change, last = np.inf, np.inf, None
        for n in SPECTRAL_SIZES:
            if n * modes > MOST_UNKNOWNS:
                break
            pair = spectral(self.potential, self.theta, low, high, n, is_ring)
            if not np.isfinite(pair.up).all():
                return None
            w, rounding = self._one_gap(pair, modes)
            if last is None:
                change = abs(self._one_gap(pair, 2 * modes)[0] - w)
            else:
                step = abs(w - last)
            last = w
            if step <= STILL / 100 * abs(w):
                break
        if not step < LEAST_AGREEMENT * abs(last or 0):
            return None
        return last.real, 3 * (step + change) + 10 * rounding, modes, last

    # ------------------------------------------------------------------------------------------------------
    def rate(self, source: Region, target: Region) -> Estimate:
        """Transitions per unit time spent coming from `source`, as an Estimate: sets of positions, entered at
        any velocity.

        k = (reactive flux)/(probability that `source` was met last): in equilibrium a particle goes k times
        per unit time of the second kind from `source` to `target`; 1/k is the mean time to `target` after
        `source` is first met again. At weak friction a particle passes to and fro many times before it stays,
        so k exceeds the rate of escape unless the regions are whole wells.

        The stationary equation is solved between the two boundaries, with polynomials of the velocity on
        either side of v = 0; the error comes from half the nodes and from fewer polynomials.
        """
        parts = marked(self.overdamped, {"source": source, "target": target})
        flux, occupied, error, modes = [], [], 0.0, 0
        for part in parts:
            occupied += [panels.mass.log_total for _, _, label, panels in part.within
                         if label == "source" and panels is not None]
            for piece in part.pieces:
                ends = {piece.left, piece.right} - {None}
                if ends == {"source"}:
                    occupied.append(piece.panels.mass.log_total)
                elif ends == {"source", "target"}:
                    found = self._between(piece)
                    flux.append(found[0])
                    occupied.append(found[1])
                    error, modes = max(error, found[2]), max(modes, found[3])
        if not flux:
            raise ValueError("no path leads from the source to the target without a wall between; choose "
                             "regions of one interval.")
        log_k = np.logaddexp.reduce(flux) - np.logaddexp.reduce(occupied)
        value = float(np.exp(log_k))
        inputs = {**self._inputs, "modes": modes, "relative_error": error}
        return Estimate(value, value * error, f"staggered half-range modes, {modes}",
                        log10=float(log_k / np.log(10)), status="ok" if error < 0.5 else UNRESOLVED,
                        inputs=inputs)

    def _between(self, piece):
        """(log flux, log occupation, relative error, modes) of the piece between source and target."""
        edges, function = piece.panels.edges, piece.function
        exponent = lambda x: function(x)[0]
        if piece.left == "target":                        # a mirror image
            low, high = -edges[-1], -edges[0]
            exponent = lambda x: function(-x)[0]
        else:
            low, high = edges[0], edges[-1]
        n = max(PASSAGE_NODES, 2 * int((high - low) / self.grid.h[0]))
        ask = lambda n, modes: np.array(stationary_flux(exponent, self.theta, self.friction, low, high, n,
                                                        modes))
        last, k = ask(n, PASSAGE_MODES[0]), 1
        while True:
            new = ask(n, PASSAGE_MODES[k])
            change, last = np.abs(new - last).sum(), new
            if change < 1e-5 or k == len(PASSAGE_MODES) - 1:
                break
            k += 1
        fine = ask(2 * n, PASSAGE_MODES[k])
        step = fine - last
        return *(fine + step / 3), float(np.abs(step).sum() / 2 + 3 * change + 1e-9), PASSAGE_MODES[k]

    @property
    def _inputs(self):
        return {"potential": repr(self.potential), "theta": self.theta, "friction": self.friction,
                "grid": repr(self.grid), "modes": self.modes}

    def __repr__(self):
        name = repr(self.potential)
        return (f"KleinKramers in {name[0].lower()}{name[1:]}; theta = {self.theta:g}, friction = "
                f"{self.friction:g}, {self.grid!r}, {self.modes} modes")


def _halved(u, grid):
    """Averages (n, n_x/2, n_v) over pairs of cells of averages (n, n_x, n_v)."""
    w = grid.widths[0].reshape(-1, 2)
    pairs = u.reshape(len(u), w.shape[0], 2, -1) * w[:, :, None]
    return pairs.sum(2) / w.sum(1)[:, None]


def _phase_grid(grid, fastest):
    """Cells in (x, v)."""
    v = np.linspace(-fastest, fastest, VELOCITY_CELLS + 1)
    periodic = (grid.periodic[0], False)
    if grid.is_uniform:
        return Grid([grid.bounds[0], (v[0], v[-1])], (grid.shape[0], VELOCITY_CELLS), periodic)
    return Grid.from_edges([grid.edges[0], v], periodic)
