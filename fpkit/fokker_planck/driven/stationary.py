"""The stationary state of a driven diffusion: density, current, entropy production, with errors from grids of
two and three times the cells.

Centres of cells are centres of cells three times finer, and lie midway between those twice finer, so that the
logarithms of the density are extrapolated place by place (Richardson): with n and 3n cells the answer, with n
and 2n cells another one, and what they differ by, several times, is the error.
"""
from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ...core.grid import Grid
from ...core.results import Estimate, Field, ResolutionWarning
from ...core.views.tables import Tabular, cell_columns, cell_picture
from ...potentials.potential import Potential
from ..currents import Currents
from ..results import PerAxis
from ..solvers.directed_elimination import DirectedElimination
from ..solvers.elimination import Ordering
from .chain import MOST_STATES, DrivenChain

MOST_FINE = {1: 100_000, 2: 300_000, 3: 50_000}       # cells of a grid made here
SAFETY = 4.0            # on the difference of two limits; covers orders from 1 to 4
SEEN = 0.02             # of the last correction, which counts in any case
ROUNDING = 4e-15
WALL_SHARE = 0.5        # of the correction of sums at walls
LOST = 1.0              # error of a logarithm from which on the density itself is compared
FAINT = 1e-6            # of a sum of net flows, above which its rounding is too much
COARSE = 2.0            # e-foldings from cell to cell, in the mean


class Verdict(int):
    """Yes or no, with the sentence that says why; it counts as a truth value."""

    sentence: str

    def __new__(cls, answer: bool, sentence: str) -> Verdict:
        self = super().__new__(cls, bool(answer))
        self.sentence = sentence
        return self

    def __getnewargs__(self):
        return bool(self), self.sentence

    def __repr__(self) -> str:
        return f"{'yes' if self else 'no'}: {self.sentence}"

    __str__ = __repr__


@dataclass(frozen=True, repr=False)
class StationaryState(Tabular):
    """What a driven diffusion settles to.

    Attributes
    ----------
    density : Field
        Cell averages; ``(values * grid.volumes).sum() == 1``. Its error also covers what a cell average
        differs from the value at the centre.
    log_density : Field
        log of the density at the cell centres, also where it underflows; errors are absolute.
    quasi_potential : Field
        -theta log(p/max p) at the centres, with theta = D for an equation with one constant D (1 for others):
        tends to the quasi-potential of Freidlin and Wentzell as theta
        tends to 0, with a part of order theta log theta; the slope in 1/theta of two temperatures has none.
    current : Currents
        Flow through the faces, and as a vector field; `current_error` bounds each flow.
    entropy_production : Estimate
        sum over edges of flow times log of the ratio of forth and back, int J.D^-1 J/p, in 1/time [1]_.
    velocity : PerAxis
        Mean velocity int J dx along each axis, Estimates; 0 between walls.
    is_gibbs : Verdict
        Whether the density is exp(-f/theta)/Z (of an equation: whether detailed balance holds), and why.
    grid : Grid
    inputs : dict

    References
    ----------
    .. [1] J. Schnakenberg, Rev. Mod. Phys. 48, 571 (1976).
    """
    density: Field
    log_density: Field
    quasi_potential: Field
    current: Currents
    current_error: np.ndarray
    entropy_production: Estimate
    velocity: PerAxis
    is_gibbs: Verdict
    grid: Grid
    inputs: dict = field(default_factory=dict)

    def expectation(self, observable) -> Estimate:
        """Mean of an observable, a function of points (n, ndim) or a formula, as an Estimate: sums over the
        cell centres, exact to rounding for a smooth density that ends within the box, with the slopes at
        walls that it does not end at (Euler and Maclaurin)."""
        grid = self.grid
        g = observable
        if isinstance(observable, str):
            g = Potential(observable, ndim=grid.ndim)
        x = grid.points.reshape(-1, grid.ndim)
        values = np.broadcast_to(np.asarray(g(x), float), (len(x),))
        logs = self.log_density.values.ravel()
        at = np.isfinite(logs)
        w = np.exp(logs[at]) * grid.volumes.ravel()[at]
        w /= w.sum()
        plain = float(w @ values[at])
        logs = np.where(np.isfinite(logs), logs, -np.inf).reshape(grid.shape)
        above, below = (_beside_walls(g * np.exp(logs), grid) for g in (values.reshape(grid.shape), 1.0))
        mean = (plain + above) / (1 + below)
        spread = np.abs(values[at] - mean)
        bound = w * np.expm1(np.minimum(np.asarray(self.log_density.error).ravel()[at], 700.0))
        whole = (np.asarray(self.density.error) * grid.volumes).ravel()[at]
        error = float((spread * np.minimum(bound, whole)).sum())
        error += WALL_SHARE * abs(mean - plain)
        return Estimate(mean, error + 1e-14 * float(w @ np.abs(values[at])), "stationary density",
                        inputs=self.inputs)

    def _columns(self):
        parts = {f"current_{n}": self.current.vector[..., k] for k, n in enumerate("xyz"[:self.grid.ndim])}
        return cell_columns(self.grid, density=self.density.values, log_density=self.log_density.values,
                            quasi_potential=self.quasi_potential.values, **parts)

    def _labelled(self):
        names = tuple("xyz"[:self.grid.ndim])
        arrays, coordinates = self.current._labelled()
        fields = {n: (names, getattr(self, n).values) for n in ("density", "log_density", "quasi_potential")}
        return {**fields, **arrays}, coordinates

    def _picture(self):
        return cell_picture(self.grid, self.density.values)

    def __repr__(self) -> str:
        cells = "x".join(map(str, self.grid.shape))
        return (f"stationary state on {cells} cells: entropy production {self.entropy_production!r}, Gibbs: "
                f"{self.is_gibbs!r}")


def _beside_walls(f, grid):
    """What midpoint sums of a density over a uniform grid leave out of its integral: h^2/24 times the slope
    at the walls, each by a parabola through three centres."""
    if not grid.is_uniform or grid.mask is not None or min(grid.shape) < 3:
        return 0.0
    total = 0.0
    for axis, is_ring in enumerate(grid.periodic):
        if not is_ring:
            a = np.moveaxis(f, axis, 0)
            total += float(((2 * a[-1] - 3 * a[-2] + a[-3]) - (3 * a[1] - 2 * a[0] - a[2])).sum()) / 24
    return total * float(grid.volumes.flat[0])


class SmoothCurrents(Currents):
    """`Currents` whose vector field is of order 4 inside the domain: cubics through four faces along the
    axis, parabolas across them."""

    @cached_property
    def vector(self) -> np.ndarray:
        grid, plain = self.grid, super().vector
        try:
            faces = self.faces
        except ValueError:                     # edges across corners
            return plain
        out = plain.copy()
        for axis, (f, is_ring) in enumerate(zip(faces, grid.periodic)):
            f = np.moveaxis(f, axis, 0)
            if f.shape[0] < 5 or not grid.is_uniform:
                continue
            ring = np.concatenate([f[-2:-1], f, f[1:2]]) if is_ring else f
            n = ring.shape[0] - 3
            centre = (9 * (ring[1:n + 1] + ring[2:n + 2]) - ring[:n] - ring[3:n + 3]) / 16
            at = np.moveaxis(out[..., axis], axis, 0)[slice(None) if is_ring else slice(1, -1)]
            inside = np.ones(centre.shape, bool)
            for across in range(1, grid.ndim):
                k = across - 1 if across <= axis else across
                up, down = np.roll(centre, -1, across), np.roll(centre, 1, across)
                bend = up - 2 * centre + down
                if not grid.periodic[k]:
                    edge = np.ones(centre.shape, bool)
                    edge[(slice(None),) * across + (slice(1, -1),)] = False
                    inside &= ~edge
                centre = centre - np.where(inside, bend, 0.0) / 24
            at[:] = np.where(inside, centre, at)
        return out


class _Level:
    """The stationary state of one grid."""

    def __init__(self, diffusion):
        self.diffusion = diffusion
        chain = self.chain = DrivenChain(diffusion)
        labels = chain.labels()
        if labels.max() > 0:
            raise ValueError(f"the domain falls into {labels.max() + 1} parts that no path connects, so that "
                             "there is no one stationary state; mask all but one of them out.")
        if diffusion.resetting is not None:
            r, start = diffusion.resetting[0], diffusion.reset_probabilities[chain.ids]
            p = chain.factors(extra=np.full(chain.n, r)).solve_transposed(r * start)
            with np.errstate(divide="ignore"):
                self.p, self.log_p = p / p.sum(), np.log(p / p.sum())
            return
        try:
            self.log_p = chain.factors().stationary()
        except ArithmeticError as error:
            raise ValueError(f"{error} Raise theta, or mask out what lies between.") from None
        self.p = np.exp(self.log_p)

    @property
    def log_density(self):
        grid = self.diffusion.grid
        out = np.full(grid.n_cells, -np.inf)
        out[self.chain.ids] = self.log_p
        return out.reshape(grid.shape) - np.log(grid.volumes)

    def flows(self):
        """Net flow of each edge, and the traffic both ways."""
        c, lp = self.chain, self.log_p
        one, two = lp[c.I] + c.log_forth, lp[c.J] + c.log_back
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            x = one - two
            flow = np.where(np.isfinite(x), np.exp(np.minimum(two, 700.0)) * np.expm1(np.clip(x, -745, 700)),
                            np.exp(one) - np.exp(two))
            large = x > 30
            flow = np.where(large, np.exp(one) - np.exp(two), flow)
        return flow, np.exp(one) + np.exp(two), x

    def velocity(self):
        """int J dx along each axis (ndim,) and the bound of its rounding."""
        c, (flow, traffic, _) = self.chain, self.flows()
        grid = self.diffusion.grid
        edges = np.stack([c.ids[c.I], c.ids[c.J]], axis=1)
        steps = Currents(grid, edges, flow, np.zeros(grid.shape))._steps
        delta = ROUNDING * (10 + np.abs(self.log_p).max())
        total, wrong = steps @ flow, delta * (np.abs(steps) @ traffic)
        rings = grid.periodic if self.diffusion.resetting is None else ()     # resets go round nothing
        for axis in np.flatnonzero(rings):
            if wrong[axis] > FAINT * abs(total[axis]) and grid.shape[axis] > 2:
                length = grid.bounds[axis][1] - grid.bounds[axis][0]
                up, down = self.rounds(axis)
                total[axis], wrong[axis] = (up - down) * length, delta * (up + down) * length
        return total, wrong

    def rounds(self, axis):
        """How often probability goes round an axis, upwards and downwards: the flow out of one row of cells
        on each side, times the chance to come back to the row from the other side first. Currents that are
        tiny beside the traffic are known to rounding so, for all sums are of positive numbers."""
        c, n = self.chain, self.diffusion.grid.shape[axis]
        X = np.stack(np.unravel_index(c.ids, self.diffusion.grid.shape))
        row = int(np.argmax(np.bincount(X[axis], self.p, n)))
        place = np.cumsum(X[axis] != row) - 1
        off = X[axis] != row
        inner = off[c.I] & off[c.J]
        leave, back = np.zeros((2, off.sum())), np.zeros((2, off.sum()))       # upwards, downwards
        for here, there, q in ((c.I, c.J, c.forth), (c.J, c.I, c.back)):
            out, home = off[there] & ~off[here], off[here] & ~off[there]
            for k, side in enumerate((1, -1)):
                pick = out & ((X[axis][there] - row - side) % n == 0)
                leave[k] += np.bincount(place[there[pick]], self.p[here[pick]] * q[pick], leave.shape[1])
                pick = home & ((X[axis][here] - row + side) % n == 0)
                back[k] += np.bincount(place[here[pick]], q[pick], back.shape[1])
        order = Ordering(X[:, off], place[c.I[inner]], place[c.J[inner]])
        chance = DirectedElimination(order, c.forth[inner], c.back[inner], back.sum(0)).solve(back)
        return float(leave[0] @ chance[0]), float(leave[1] @ chance[1])

    def entropy_production(self):
        """Schnakenberg's sum and the bound of its rounding; with edges across corners, some of them passed in
        one direction only, int J.D^-1 J/p of the vector field."""
        M = self.diffusion.frozen_process.mobility
        if M.is_full or M.is_tensor:
            return self._dissipation()
        flow, traffic, x = self.flows()
        if not np.isfinite(x).all():
            return math.inf, math.inf
        total, width = float((flow * x).sum()), float(traffic.sum())
        delta = ROUNDING * (10 + np.abs(self.log_p).max())
        return total, 2 * math.sqrt(max(total, 0.0) * width) * delta + width * delta**2


    def _dissipation(self):
        c, (flow, traffic, _) = self.chain, self.flows()
        D, grid = self.diffusion, self.diffusion.grid
        edges = np.stack([c.ids[c.I], c.ids[c.J]], axis=1)
        field = lambda f: Currents(grid, edges, f, np.zeros(grid.shape)).vector.reshape(-1, grid.ndim)[c.ids]
        J, noise = field(flow), np.abs(field(ROUNDING * traffic))
        inverse = np.linalg.inv(D.frozen_process.diffusion(grid.points.reshape(-1, grid.ndim)[c.ids]))
        w = grid.volumes.ravel()[c.ids]**2 / np.maximum(self.p, 1e-300)
        known = self.p > 1e-200
        total = lambda a, b: float((w * np.einsum("ni,nij,nj->n", a, inverse, b))[known].sum())
        return total(J, J), 2 * abs(total(np.abs(J), noise)) + abs(total(noise, noise))


def stationary_state(diffusion) -> StationaryState:
    """`StationaryState` of a driven `FokkerPlanck`."""
    D = diffusion
    if D.absorbing is not None:
        raise ValueError(f"paths are absorbed in {D.absorbing!r}, so that nothing is left in the end; ask "
                         "for quasi_stationary(region) without `absorbing`.")
    if D.killing_rate is not None:
        raise ValueError("paths are killed, so that nothing is left in the end; ask for "
                         "quasi_stationary(region) without `killing`, or for `resetting` in its place.")
    if D.is_gradient or D.line_twin is not None:
        return _at_rest(D)
    process, grid = D.frozen_process, D.grid
    base = _Level(D)
    exact = process.rotation is not None and not process.mobility.is_full and D.resetting is None
    levels = _finer(D, base)
    log, error, spread = _limit(base, {1: base} if exact else levels)
    log_density = Field(log, grid, "log of the stationary density", error, "", D._inputs)
    if exact:
        gibbs = D.gradient_twin.gibbs
        density, point_error = gibbs, np.abs(error)
        log_density = Field(log, grid, "log of the stationary density", point_error, "", D._inputs)
    else:
        density = _averages(D, log, error, spread)
    flow, flow_error = _current(D, base, {1: base} if exact else levels)
    velocity = _velocity(D, levels)
    ep = _entropy_production(D, levels, velocity) if D.resetting is None else Estimate(
        math.inf, math.nan, "resetting", status="not known: a reset has no way back", inputs=D._inputs)
    if D._on_line is not None:                               # a ring, whose formulas are exact
        flow, flow_error, ep, velocity = _around(D, base)
    edges = np.stack([base.chain.ids[c] for c in (base.chain.I, base.chain.J)], axis=1)
    current = SmoothCurrents(grid, edges, flow, np.zeros(grid.shape))
    M, theta = process.mobility, process.theta
    if process.equation is not None and M.is_constant and not M.is_full and np.ptp(M.diagonal) == 0:
        theta = float(M.diagonal[0])
    quasi = Field(theta * (np.nanmax(log) - log), grid, "quasi-potential", theta * 2 * error, "", D._inputs)
    if not exact:
        _warn_if_coarse(D, base)
    return StationaryState(density, log_density, quasi, current, flow_error, ep,
                           velocity, _verdict(D, exact, log, error, ep), grid, D._inputs)


def _at_rest(D):
    """The state of a process without currents: exact cell averages, f or its equivalent at the centres."""
    twin = D if D.is_gradient else D.line_twin
    grid, density = D.grid, twin.gibbs
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.where(twin.inside, -twin.beta * twin._energies[0] - twin.log_partition, -np.inf)
        error = np.where(twin.inside, twin._cell_masses.total_error
                         + ROUNDING * (10 + np.abs(np.where(np.isfinite(log), log, 0.0))), 0.0)
    chain = twin._generator_chain
    none = np.zeros(len(chain.edges))
    if D.is_gradient:
        verdict = Verdict(True, "the process has no force: detailed balance holds")
    elif D.process.equation is not None:
        verdict = Verdict(True, "in one dimension without a force around a ring detailed balance holds, with "
                                "exp(int (b - D')/D)")
    else:
        verdict = Verdict(False, "in one dimension the force has a potential, and the density is exp(-(f - "
                                 "int F)/theta)/Z: detailed balance holds, with f - int F in the place of f")
    zero = lambda method: Estimate(0.0, 0.0, method, inputs=D._inputs)
    M, theta = twin._mobility, twin._frozen_theta
    if D.process.equation is not None and M.is_constant and not M.is_full:
        theta = float(M.diagonal[0])
    return StationaryState(
        density, Field(log, grid, "log of the stationary density", error, "", D._inputs),
        Field(theta * (np.nanmax(log) - log), grid, "quasi-potential", 2 * theta * error, "", D._inputs),
        SmoothCurrents(grid, chain.edges, none, np.zeros(grid.shape)), none, zero("detailed balance"),
        PerAxis(zero("detailed balance") for _ in grid.shape), verdict, grid, D._inputs)


def _around(D, base):
    """Flows, their error, entropy production and velocity of a ring, from Stratonovich's formula: no
    difference of edge flows, which for a current that is tiny beside the traffic would be rounding."""
    twin, force = D._on_line
    v = twin.velocity(force)
    length = D.grid.bounds[0][1] - D.grid.bounds[0][0]
    c = base.chain
    forward = np.where(c.ids[c.J] - c.ids[c.I] == 1, 1.0, -1.0)   # the edge over the seam: from 0 to n - 1
    flow, ep = forward * v.value / length, force * v.value / D._frozen_theta
    log10 = v.log10 + math.log10(abs(force) / D._frozen_theta)
    return (flow, np.full(flow.size, v.error / length),
            Estimate(ep, v.error * abs(force) / D._frozen_theta, "force times velocity over theta", log10,
                     inputs=D._inputs), PerAxis([v]))


def _finer(D, base):
    """Levels of two and three times the cells, as far as they are allowed."""
    levels = {1: base}
    fixed = D.grid.mask is not None and D.grid.has_array_mask
    for factor in (2, 3):
        n = D.grid.n_cells * factor ** D.grid.ndim
        if n <= min(MOST_FINE[D.grid.ndim], MOST_STATES[D.grid.ndim]) and not fixed:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResolutionWarning)
                levels[factor] = _Level(D.on(D.grid.refined(factor)))
    if len(levels) == 1 and min(D.grid.shape) >= 8 and (coarse := D.grid.coarsened()) is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResolutionWarning)
            levels[0] = _Level(D.on(coarse))           # half the cells
    return levels


def _limit(base, levels):
    """log density at the centres of the grid, the bound of its error, and twice the range of the density in
    all that the grids say of it, which bounds its error where the logarithm is lost."""
    one, spread = base.log_density, None
    rounding = ROUNDING * (10 + np.abs(np.where(np.isfinite(one), one, 0.0)))
    grid = base.diffusion.grid
    with np.errstate(invalid="ignore"):
        if 3 in levels:
            three, two = _thirds(levels[3].log_density, grid), _halves(levels[2].log_density, grid)
            value, other, step = one + 9 / 8 * (three - one), one + 4 / 3 * (two - one), (three - one) / 8
            lost = np.abs(three - one) > LOST          # there the finest grid is nearer than any limit
            value, other = np.where(lost, three, value), np.where(lost, two, other)
            error = SAFETY * _largest_near(np.abs(value - other), grid) + SEEN * np.abs(step)
            if base.diffusion._mobility.is_tensor:     # edges change from node to node: no clear order
                error = 2 * error + np.abs(step)
            said = np.exp(np.stack([_normalised(a, grid) for a in (one, two, three, value, other)]))
            spread = 2 * _largest_near(np.ptp(said, axis=0), grid)
        elif 2 in levels:
            two = _halves(levels[2].log_density, grid)
            value, error = one + 4 / 3 * (two - one), SAFETY / 2 * _largest_near(np.abs(two - one), grid) / 3
        elif 0 in levels:
            coarse = levels[0].diffusion.grid
            change = np.abs(_halves(one, coarse) - levels[0].log_density)
            error = SAFETY * _largest_near(change, coarse) / 3
            for axis, n in enumerate(grid.shape):
                error = np.repeat(error, 2, axis=axis)[(slice(None),) * axis + (slice(0, n),)]
                if error.shape[axis] < n:
                    error = np.concatenate([error, np.take(error, [-1], axis)], axis)
            value = one
        else:
            is_exact = base.diffusion.frozen_process.rotation is not None and base.diffusion.resetting is None
            value, error = one, np.full(one.shape, 0.0 if is_exact else np.inf)
    value = np.where(np.isfinite(value), value, one)
    error = np.where(np.isfinite(value), np.nan_to_num(error, nan=np.inf) + rounding, np.inf)
    value, inside = _normalised(value, grid), base.diffusion.inside
    return np.where(inside, value, -np.inf), np.where(inside, error, 0.0), spread


def _normalised(log, grid):
    top = np.nanmax(log[np.isfinite(log)])
    with np.errstate(under="ignore", over="ignore"):
        return log - top - np.log(np.nansum(np.exp(log - top) * grid.volumes))


def _thirds(fine, grid):
    return fine[tuple(slice(1, None, 3) for _ in grid.shape)]


def _halves(fine, grid):
    """A function on twice the cells at the centres of `grid`, by cubics through four centres an axis."""
    for axis, is_ring in enumerate(grid.periodic):
        f = np.moveaxis(fine, axis, 0)
        n = f.shape[0] // 2
        left, right = f[0:2 * n:2], f[1:2 * n:2]
        out = (left + right) / 2
        if n >= 3 or is_ring:
            before, after = np.roll(right, 1, 0), np.roll(left, -1, 0)
            with np.errstate(invalid="ignore"):
                cubic = (9 * (left + right) - before - after) / 16
                if not is_ring:
                    cubic[0] = (5 * f[0] + 15 * f[1] - 5 * f[2] + f[3]) / 16
                    cubic[-1] = (5 * f[-1] + 15 * f[-2] - 5 * f[-3] + f[-4]) / 16
            out = np.where(np.isfinite(cubic), cubic, out)
        fine = np.moveaxis(out, 0, axis)
    return fine


def _largest_near(error, grid):
    """Largest of the neighbouring cells: two limits agree by accident where their difference changes sign."""
    from scipy.ndimage import maximum_filter
    error = np.where(np.isfinite(error), error, 0.0)
    return maximum_filter(error, 3, mode=["wrap" if p else "nearest" for p in grid.periodic])


def _averages(D, log, error, spread):
    """The density as cell averages, from its logarithm at the centres as a parabola along each axis."""
    grid, factor = D.grid, 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        for axis in range(grid.ndim):
            f = np.moveaxis(log, axis, 0)
            if grid.periodic[axis]:
                before, after = np.roll(f, 1, 0), np.roll(f, -1, 0)
            else:
                f4 = np.concatenate([2 * f[:1] - f[1:2], f, 2 * f[-1:] - f[-2:-1]])
                before, after = f4[:-2], f4[2:]
            # beside what is masked out the line goes on as it came
            before, after = (np.where(np.isfinite(a), a, 2 * f - b) for a, b in ((before, after),
                                                                                 (after, before)))
            slope, bend = (after - before) / 4, after - 2 * f + before
            slope, bend = (np.where(np.isfinite(a), np.clip(a, -50, 50), 0.0) for a in (slope, bend))
            small = np.abs(slope) < 1e-4
            mean = np.where(small, 1 + slope**2 / 6, np.sinh(slope) / np.where(small, 1.0, slope))
            factor = factor * np.moveaxis(np.maximum(mean + np.clip(bend, -12, 12) / 24, 0.5), 0, axis)
    p = np.exp(log)
    mean = p * factor
    mean = mean / (mean * grid.volumes).sum()
    bound = mean * np.expm1(np.minimum(error, 700.0))
    if spread is not None:
        bound = np.where(error > LOST, np.minimum(bound, np.nan_to_num(spread, nan=np.inf)), bound)
    bound = bound + np.abs(mean - p)
    return Field(mean, grid, "stationary density", np.where(D.inside, bound, 0.0), "1/volume", D._inputs)


def _current(D, base, levels):
    """Net flow through each edge of the grid and the bound of its error; flows of finer grids are added up
    over the faces."""
    flow, traffic, _ = base.flows()
    rounding = ROUNDING * (10 + np.abs(base.log_p).max()) * traffic
    M = D.frozen_process.mobility
    if len(levels) == 1 or M.is_full or M.is_tensor or 0 in levels:
        unknown = D.frozen_process.rotation is None
        return flow, rounding + (np.abs(flow).max() if unknown else 0.0)
    limits, grid = [], D.grid
    c = base.chain
    key = c.ids[c.I] * grid.n_cells + c.ids[c.J]
    order = np.argsort(key)
    for factor in sorted(levels)[1:]:
        fine = levels[factor]
        cells = [np.stack(np.unravel_index(fine.chain.ids[e], fine.diffusion.grid.shape)) // factor
                 for e in (fine.chain.I, fine.chain.J)]
        a, b = (np.ravel_multi_index(tuple(x), grid.shape) for x in cells)
        fine_flow = fine.flows()[0]
        cross = a != b
        a, b, f = a[cross], b[cross], fine_flow[cross]
        turned = a > b
        k = np.where(turned, b, a) * grid.n_cells + np.where(turned, a, b)
        at = np.searchsorted(key[order], k)
        total = np.zeros(key.size)
        known = (at < key.size) & (key[order][np.minimum(at, key.size - 1)] == k)
        np.add.at(total, order[at[known]], np.where(turned, -f, f)[known])
        limits.append(flow + (total - flow) * factor**2 / (factor**2 - 1))
    value = limits[-1]
    other = limits[0] if len(limits) > 1 else flow
    scale = np.abs(value - other)
    return value, SAFETY * np.maximum(scale, 0.1 * scale.max(initial=0.0)) + rounding + SEEN * np.abs(
        value - flow)


def _entropy_production(D, levels, velocity):
    found = {k: level.entropy_production() for k, level in levels.items()}
    M = D.frozen_process.mobility
    name = "int J.D^-1 J/p" if M.is_full or M.is_tensor else "Schnakenberg's sum"
    method, rounding = f"{name}, extrapolated", max(r for _, r in found.values())
    e = {k: v for k, (v, _) in found.items()}
    if not np.isfinite(list(e.values())).all():
        return Estimate(math.inf, math.nan, name, status="not known: some edges are passed in one direction "
                                                         "only", inputs=D._inputs)
    if 3 in e:
        value, other = (9 * e[3] - e[1]) / 8, (4 * e[2] - e[1]) / 3
        error = SAFETY * abs(value - other) + SEEN * abs(value - e[3])
    elif 2 in e:
        value, error = (4 * e[2] - e[1]) / 3, SAFETY * abs(e[2] - e[1]) / 3
    elif 0 in e:
        value, error, method = e[1], SAFETY * abs(e[1] - e[0]) / 3, name
    else:
        value, error, method = e[1], math.nan, f"{name} of the chain"
    process = D.frozen_process
    if rounding > FAINT * abs(value) and process.equation is None and process.rotation is None:
        F = process.force(D.grid.points[D.inside]) if process.force else np.zeros((1, D.grid.ndim))
        if not np.ptp(F, axis=0).any():                # the flow along grad f adds up to nothing
            parts = [(f * v.value / process.theta, abs(f) * v.error / process.theta)
                     for f, v in zip(F[0], velocity)]
            value, error = (sum(a) for a in zip(*parts))
            rounding, method = 0.0, "force times velocity over theta"
    return Estimate(max(value, 0.0), error + rounding, method, inputs=D._inputs)


def _velocity(D, levels):
    """Mean velocities along the axes; between walls nothing moves on in the end."""
    found = {k: level.velocity() for k, level in levels.items()}
    v, rounding = {k: a for k, (a, _) in found.items()}, np.max([r for _, r in found.values()], axis=0)
    if 3 in v:
        value, other = (9 * v[3] - v[1]) / 8, (4 * v[2] - v[1]) / 3
        error = SAFETY * np.abs(value - other) + SEEN * np.abs(value - v[3])
    elif 2 in v:
        value, error = (4 * v[2] - v[1]) / 3, SAFETY * np.abs(v[2] - v[1]) / 3
    else:
        value = v[1]
        error = SAFETY * np.abs(v[1] - v[0]) / 3 if 0 in v else np.full(value.shape, np.nan)
    return PerAxis(Estimate(float(a), float(e + r), "mean current", inputs=D._inputs) if is_ring
                   else Estimate(0.0, 0.0, "no flux through walls", inputs=D._inputs)
                   for a, e, r, is_ring in zip(value, error, rounding, D.grid.periodic))


def _verdict(D, is_exact, log, error, ep):
    if D.resetting is not None:
        return Verdict(False, "paths are reset, which carries a current")
    if is_exact:
        return Verdict(True, "the force is given by its stream function, whose current has no divergence in "
                             "exp(-f/theta)")
    if D.frozen_process.equation is not None:
        known = ep.value <= ep.error
        return Verdict(known, f"entropy production {ep!r}: detailed balance "
                              f"{'holds within the error' if known else 'is broken'}")
    g = D.gradient_twin
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = np.where(D.inside, -D.beta * (g._energies[0] - g.f0), -np.inf)
        p = np.exp(log) * D.grid.volumes
        q = np.exp(exact) * D.grid.volumes
        distance = float(np.abs(p - q / q.sum()).sum())
        bound = float((p * np.expm1(np.minimum(error, 700.0)))[np.isfinite(error)].sum())
    if distance <= bound + 1e-12:
        return Verdict(True, f"L1 distance {distance:.3g} from exp(-f/theta)/Z is within the error")
    return Verdict(False, f"L1 distance {distance:.3g} from exp(-f/theta)/Z")


def _warn_if_coarse(D, base):
    """Where the drift times a cell is larger than the temperature the chain is warmer than it should be."""
    process, grid = D.frozen_process, D.grid
    M = process.mobility
    if M.is_full or M.is_tensor:
        return
    x = grid.points.reshape(-1, grid.ndim)[base.chain.ids]
    peclet = np.abs(process.advection(x)) * grid.h / (process.theta * M.at(x) if not M.is_constant
                                                      else np.maximum(process.theta * M.diagonal, 1e-300))
    mean = base.p @ peclet
    if M.is_constant:
        mean = np.where(M.diagonal > 0, mean, 0.0)              # upwind there, and of order 1
    if mean.max() > COARSE:
        axis = int(np.argmax(mean))
        warnings.warn(f"where the density lives it changes by {mean[axis]:.2g} e-foldings from cell to cell "
                      f"on axis {axis}; below theta of about |b| h/2 the grid adds noise of its "
                      "own: refine the grid.", ResolutionWarning, stacklevel=5)
