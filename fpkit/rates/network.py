"""The network of wells: Eyring-Kramers rates between all minima, solved by elimination without
subtraction."""
from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks, networks
from ..core.calls import understood
from ..core.grid import Grid
from ..core.results import Estimate
from ..core.sharing import in_order
from ..core.views.tables import Tabular, coordinate_names
from ..fokker_planck.fokker_planck import FokkerPlanck
from ..fokker_planck.results import Spectrum
from ..potentials.potential import Potential
from ..potentials.stationary.critical import CriticalPoint, CriticalPoints, critical_points
from .eyring_kramers import SECOND_ORDER, log_capacity, log_well_mass_with_error
from .guard import (
    LEAST_BARRIER,
    SAME_HEIGHT,
    WARN,
    Guard,
    RateEstimate,
    Reason,
    definition_error,
    rate_estimate,
    well_reasons,
)
from .points import passes, square_root


@dataclass(frozen=True, repr=False)
class WellNetwork(Tabular):
    """Wells as states of a reversible Markov chain with Eyring-Kramers rates.

    States are the wells deeper than 3 theta; a shallower one is merged with its neighbour and the guard says
    so. Every number is an Estimate; its error is that of the formula (the next order in theta and what it
    leaves), not of the elimination, which is exact to rounding.

    Attributes
    ----------
    minima, saddles : tuple of CriticalPoint
    states : tuple of tuples of int
        Numbers of the minima in each state, lowest minimum first.
    theta : float
    log_mass : ndarray (n,)
        log of int exp(-f/theta) over each state.
    log_conductance : ndarray (n, n)
        log of mass times rate between two states, symmetric; parallel saddles added, -inf where no saddle
        joins them.
    guard : Guard
    grid_spectrum : Spectrum or None
        The lowest eigenvalues of the grid, when a grid was given.
    grid_shares : ndarray (n,) or None
        Gibbs probabilities of the states on the grid, each cell counted to the well below it; where a well
        has no formula (flat, at a corner) and a grid was given.
    """

    minima: tuple[CriticalPoint, ...]
    saddles: tuple[CriticalPoint, ...]
    states: tuple[tuple[int, ...], ...]
    theta: float
    log_mass: np.ndarray
    log_conductance: np.ndarray
    mass_correction: np.ndarray
    conductance_correction: np.ndarray
    left_error: float
    guard: Guard
    grid_spectrum: Spectrum | None = None
    grid_shares: np.ndarray | None = None
    inputs: dict[str, Any] = field(default_factory=dict)

    @property
    def n_states(self) -> int:
        """Number of states."""
        return len(self.states)

    @property
    def log_rates(self) -> np.ndarray:
        """log k_ij (n, n), rate from state i to state j; -inf on the diagonal and where no saddle joins
        them."""
        return self.log_conductance - self.log_mass[:, None]

    @property
    def stationary(self) -> np.ndarray:
        """Probabilities of the states, (n,): their shares of int exp(-f/theta); those of the grid where a
        well has no formula, NaN without a grid."""
        if self.grid_shares is not None:
            return self.grid_shares
        if np.isnan(self.log_mass).any():
            return np.full(self.n_states, np.nan)
        return np.exp(self.log_mass - np.logaddexp.reduce(self.log_mass))

    def _columns(self):
        lowest = [self.minima[s[0]] for s in self.states]
        names = coordinate_names(len(lowest[0].x))
        columns = {"state": np.arange(self.n_states), "minimum": [m.value for m in lowest],
                   **{name: [float(m.x[k]) for m in lowest] for k, name in enumerate(names)},
                   "stationary": self.stationary}
        rates = self.log_rates / math.log(10)
        return columns | {f"log10_rate_to_{k}": rates[:, k] for k in range(self.n_states)}

    def _labelled(self):
        states = np.arange(self.n_states)
        return ({"log_rate": (("state", "to"), self.log_rates), "stationary": (("state",), self.stationary),
                 "log_mass": (("state",), self.log_mass)},
                {"state": (("state",), states), "to": (("to",), states)})

    def state_of(self, well: int | ArrayLike) -> int:
        """State that holds a minimum, given by its number or by a point in the well."""
        if np.ndim(well) == 0:
            well = checks.whole("well", well)
            if well >= len(self.minima):
                raise ValueError(f"there are {len(self.minima)} wells, numbered from 0; got {well}.")
        else:
            point = checks.points("well", well, len(self.minima[0].x))
            well = int(np.argmin([np.linalg.norm(point - m.x) for m in self.minima]))
        return next(k for k, s in enumerate(self.states) if well in s)

    def rate(self, i: int | ArrayLike, j: int | ArrayLike) -> RateEstimate:
        """Rate from the state of well i into the state of well j, over the saddles between them (1/time)."""
        a, b = self._two(i, j)
        return self._estimate(lambda n: n.log_rates[a, b], "eyring-kramers rate")

    def mfpt(self, i: int | ArrayLike, j: int | ArrayLike) -> RateEstimate:
        """Mean first passage time from the state of well i to that of well j, by whatever way."""
        a, b = self._two(i, j)
        return self._estimate(lambda n: networks.log_hitting(n.log_rates, [b], np.zeros(n.n_states))[a],
                              "network mfpt")

    def escape_rate(self, i: int | ArrayLike, j: int | ArrayLike) -> RateEstimate:
        """1/mfpt(i, j)."""
        t = self.mfpt(i, j)
        if t.status != "ok":
            return t
        return rate_estimate(-t.log10 * math.log(10), t.relative_error, "network", self.guard, self.inputs)

    def committor(self, i: int | ArrayLike, source: int | ArrayLike, target: int | ArrayLike) -> RateEstimate:
        """Probability of reaching well `target` before well `source`, from well i, as an Estimate."""
        a, (s, t) = self.state_of(i), self._two(source, target)
        return self._estimate(lambda n: networks.log_committor(n.log_rates, [s], [t])[a], "network committor")

    @property
    def eigenvalues(self) -> tuple[RateEstimate, ...]:
        """The nonzero eigenvalues of the network, ascending, as Estimates (1/time): the slow eigenvalues of
        -L."""
        kth = lambda k: lambda n: networks.log_eigenvalues(n.log_conductance, n.log_mass)[k]
        return tuple(self._estimate(kth(k), "network eigenvalue") for k in range(self.n_states - 1))

    @property
    def hierarchy(self) -> tuple[tuple[int, int, float, RateEstimate], ...]:
        """For every state but the deepest: (state, state of a deeper minimum, barrier, rate into the deeper
        ones), slowest first.

        The barrier is the communication height to any deeper state minus the minimum. Well below the
        differences of these heights the rates are the slow eigenvalues [1]_.

        .. [1] A. Bovier, V. Gayrard, M. Klein, J. Eur. Math. Soc. 7, 69 (2005).
        """
        rows, heights = [], self._heights()
        value = [self.minima[s[0]].value for s in self.states]
        for i in range(self.n_states):
            deeper = [j for j in range(self.n_states) if (value[j], j) < (value[i], i)]
            if not deeper:
                continue
            near = min(deeper, key=lambda j: heights[i, j])
            rate = self._estimate(lambda n, i=i, deeper=deeper: -networks.log_hitting(
                n.log_rates, deeper, np.zeros(n.n_states))[i], "network")
            rows.append((i, near, float(heights[i, near] - value[i]), rate))
        return tuple(sorted(rows, key=lambda r: r[3].log10))

    def _heights(self):
        """Lowest highest saddle between the states."""
        n = self.n_states
        height = np.full((n, n), np.inf)
        for s in passes(self.saddles):
            a, b = (self.state_of(w) for w in s.between)
            height[a, b] = height[b, a] = min(height[a, b], s.value)
        for k in range(n):
            height = np.minimum(height, np.maximum(height[:, k, None], height[None, k, :]))
        return height

    def _two(self, i, j):
        a, b = self.state_of(i), self.state_of(j)
        if a == b:
            raise ValueError(f"wells {i} and {j} are one state at theta = {self.theta:g}: the barrier "
                             f"between them is below {LEAST_BARRIER:g} theta.")
        return a, b

    def _estimate(self, log_of, method):
        """log_of(network) with the error: the change when the next order is taken in, and what that
        leaves."""
        if self.guard.is_refused:
            return rate_estimate(math.nan, math.nan, method, self.guard, self.inputs)
        log_value = float(log_of(self))
        corrected = replace(self, log_mass=self.log_mass + self.mass_correction,
                            log_conductance=self.log_conductance + self.conductance_correction)
        change = abs(math.expm1(float(log_of(corrected)) - log_value)) if math.isfinite(log_value) else 0.0
        if not math.isfinite(log_value):
            value = math.inf if log_value > 0 else 0.0
            return RateEstimate(value, 0.0, method, log10=log_value,
                                inputs={**self.inputs, "guard": self.guard, "relative_error": 0.0})
        return rate_estimate(log_value, change + self.left_error, method, self.guard, self.inputs)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        log10 = np.where(np.isfinite(self.log_rates), self.log_rates / math.log(10), np.nan)
        grid = None if self.grid_spectrum is None else self.grid_spectrum.to_dict()
        return {"theta": self.theta,
                "minima": [{"x": m.x.tolist(), "value": m.value,
                            **({"mark": m.mark.strip()} if m.mark else {})} for m in self.minima],
                "states": [list(s) for s in self.states], "stationary": self.stationary.tolist(),
                "log10_rates": log10.tolist(), "eigenvalues": [e.to_dict() for e in self.eigenvalues],
                "grid_eigenvalues": grid, "guard": self.guard.to_dict()}

    def __repr__(self) -> str:
        rows = [f"network of {self.n_states} wells at theta = {self.theta:g}, guard: {self.guard.action}",
                f"{'':>3} {'f':>12} {'share':>10}  wells at"]
        for k, s in enumerate(self.states):
            places = "; ".join("(" + ", ".join(f"{v:.4g}" for v in self.minima[w].x) + ")"
                               + self.minima[w].mark for w in s)
            share = "-" if np.isnan(self.stationary[k]) else f"{self.stationary[k]:.4g}"
            rows.append(f"{k:>3} {self.minima[s[0]].value:>12.6g} {share:>10}  {places}")
        is_refused = self.guard.is_refused or not np.isfinite(self.log_conductance).any()
        rows.append("rates k_ij (1/time):" + (" none from the formula, see the guard" if self.guard.is_refused
                                              else "" if not is_refused else " no saddle joins two states"))
        for i in range(self.n_states):
            for j in range(self.n_states):
                if np.isfinite(self.log_conductance[i, j]):
                    rows.append(f"  {i} -> {j}  10^{self.log_rates[i, j] / math.log(10):.4f}")
        rows.append(f"{'slow eigenvalues':<18} {'network':>24}"
                    + (f" {'grid':>14} {'network/grid - 1':>18}" if self.grid_spectrum is not None else ""))
        for k, e in enumerate(self.eigenvalues):
            line = f"{k + 2:>18} {_shown(e):>24}"
            if self.grid_spectrum is not None and k + 1 < len(self.grid_spectrum):
                g = self.grid_spectrum[k + 1]
                line += f" {_shown(g):>14}"
                if math.isfinite(e.log10):
                    line += f" {math.expm1((e.log10 - g.log10) * math.log(10)):>+18.2%}"
            rows.append(line)
        rows += [f"guard: {r.action}: {r.text}" for r in self.guard.reasons]
        return "\n".join(rows)


def _shown(e: Estimate) -> str:
    if not math.isfinite(e.log10):
        return "-"
    text = f"{e.value:.4e}" if e.value > 0 else f"10^{e.log10:.3f}"
    return f"{text} ({e.relative_error:.0e})"


@understood
def well_network(V: Potential, theta: float, grid: Grid | None = None, mobility: ArrayLike | None = None,
                 points: CriticalPoints | None = None, order: str = "leading",
                 executor: Executor | None = None) -> WellNetwork:
    """Network of all wells of a potential in a box, with Eyring-Kramers rates, beside the spectrum of the
    grid.

    k_ij = sum over the saddles between i and j of cap_s/Z_i: in parallel capacities add, in series the
    elimination adds their inverses. Detailed balance holds by construction. Mean first passage times,
    committors and shares come by elimination without subtraction in logarithms, the slow eigenvalues by a
    factorisation without subtraction and Jacobi rotations (`fpkit.core.networks`).

    Parameters
    ----------
    V : Potential
    theta : float
    grid : Grid, optional
        The box to search, and the grid whose spectrum stands beside. Without it the box of V is searched.
    mobility : None, float, (ndim,) or (ndim, ndim), optional
    points : CriticalPoints, optional
        The stationary points, where they are known already. Default: those of the catalogue, else
        `critical_points`.
    order : {"leading", "next"}
        "next": wells and saddles with their first correction, as factors exp(-c theta).
    executor : concurrent.futures.Executor, optional
        One of its workers solves the spectrum of the grid while another makes the network. Many potentials
        or temperatures: `fpkit.sweep`.

    Returns
    -------
    network : WellNetwork

    Examples
    --------
    >>> V = fp.Potential("(x**2 - 1)**2 + 0.3*x + 1.3*(y**2 - 1)**2 - 0.2*y")
    >>> N = fp.well_network(V, 0.008, points=fp.critical_points(V, [(-1.5, 1.5)] * 2))
    >>> N.n_states, [round(e.log10, 2) for e in N.eigenvalues]
    (4, [-59.98, -39.01, -39.01])
    """
    theta = checks.number("theta", theta, positive=True)
    checks.choice("order", order, ("leading", "next"))
    root = square_root(mobility, V.ndim)
    minima, saddles = _points(V, grid, points)
    if grid is None:
        return _of_points(V, minima, saddles, theta, root, order)
    n_modes = max(len(_merged(minima, saddles, theta)[0]), 2)
    network, spectrum = in_order(executor, made, [(_of_points, V, minima, saddles, theta, root, order),
                                                  (grid_spectrum, V, theta, grid, mobility, n_modes)])
    network = replace(network, grid_spectrum=spectrum)
    if not np.isfinite(network.log_mass).all():
        D = FokkerPlanck(V, theta=theta, grid=grid, mobility=mobility)
        network = replace(network, grid_shares=_shares(D, minima, network.states))
    return network


def made(function, *arguments):
    """A part of the answer, here or in a worker."""
    return function(*arguments)


def _of_points(V, minima, saddles, theta, root, order):
    """The network of wells and saddles."""
    reasons = []
    masses, mass_parts = np.empty(len(minima)), []
    for k, m in enumerate(minima):
        reasons += [replace(r, text=f"well {k}: {r.text}") for r in well_reasons(m)]
        masses[k], part = log_well_mass_with_error(V, m, theta, root)
        mass_parts.append(part)
    log_c = np.full((len(minima), len(minima)), -np.inf)
    corrected = log_c.copy()
    gate_squares = []
    for s in passes(saddles):
        if s.between[0] == s.between[1]:
            continue
        log_cap, (c, square), guard = log_capacity(V, s, theta, root)
        reasons += guard.reasons
        if math.isnan(log_cap):
            continue                             # refused, and with it the whole network
        i, j = s.between
        log_c[i, j] = log_c[j, i] = np.logaddexp(log_c[i, j], log_cap)
        corrected[i, j] = corrected[j, i] = np.logaddexp(corrected[i, j], log_cap - c * theta)
        gate_squares.append(square)
    corrected_masses = masses + theta * np.array([c for c, _ in mass_parts])
    states, shallow = _merged(minima, saddles, theta)
    reasons += shallow
    with np.errstate(invalid="ignore"):  # NaN where a refused well takes part
        gather = lambda log, axis: np.array([np.logaddexp.reduce(log.take(s, axis), axis) for s in states])
        log_mass, mass_change = gather(masses, 0), gather(corrected_masses, 0) - gather(masses, 0)
        conductance = gather(gather(log_c, 0), 1).T
        change = np.nan_to_num(gather(gather(corrected, 0), 1).T - conductance, nan=0.0)
    np.fill_diagonal(conductance, -np.inf)
    left = SECOND_ORDER * theta ** 2 * (max([s for _, s in mass_parts], default=0.0)
                                        + max(gate_squares, default=0.0))
    network = WellNetwork(minima, saddles, states, theta, log_mass, conductance, mass_change, change, left,
                          Guard(), inputs={"theta": theta, "potential": repr(V), "order": order})
    if not Guard(tuple(reasons)).is_refused:
        reasons += _alike(network)
    barriers = _depths(network)
    left += definition_error(min(barriers) / theta) if barriers else 0.0
    network = replace(network, left_error=left, guard=Guard() + Guard(tuple(reasons)))
    if order == "next":
        network = replace(network, log_mass=log_mass + mass_change, log_conductance=conductance + change,
                          mass_correction=np.zeros_like(mass_change),
                          conductance_correction=np.zeros_like(change))
    return network


def grid_spectrum(V: Potential, theta: float, grid: Grid, mobility: ArrayLike | None, k: int) -> Spectrum:
    """The lowest eigenvalues on the grid."""
    return FokkerPlanck(V, theta=theta, grid=grid, mobility=mobility).spectrum(k)


def _shares(D, minima, states):
    """Gibbs probabilities of the states on a grid: each cell counts to the well in which the walk to the
    lowest neighbour ends."""
    grid = D.grid
    f = np.where(D.inside, np.asarray(D.potential(grid.points), float), np.inf)
    flat = np.arange(grid.n_cells).reshape(grid.shape)
    lowest, below = f.copy(), flat.copy()
    for axis in range(grid.ndim):
        for step in (1, -1):
            near_f, near = np.roll(f, step, axis), np.roll(flat, step, axis)
            if not grid.periodic[axis]:
                edge = [slice(None)] * grid.ndim
                edge[axis] = slice(0, 1) if step == 1 else slice(-1, None)
                near_f[tuple(edge)] = np.inf
            is_lower = near_f < lowest
            lowest, below = np.where(is_lower, near_f, lowest), np.where(is_lower, near, below)
    below = below.ravel()
    while (below[below] != below).any():
        below = below[below]
    ends = grid.points.reshape(-1, grid.ndim)[below]
    span = np.array([high - low for low, high in grid.bounds])
    apart = (ends[:, None] - np.array([m.x for m in minima])) / span
    apart = np.where(grid.periodic, apart - np.round(apart), apart)
    nearest = (apart**2).sum(-1).argmin(1)
    p = (D.gibbs.values * grid.volumes).ravel()
    return np.array([p[np.isin(nearest, s)].sum() for s in states])


def _points(V, grid, points):
    if points is not None:
        return tuple(points.minima), tuple(points.saddles)
    if V.minima is not None and V.facts_complete:
        return tuple(V.minima), tuple(V.saddles)
    found = critical_points(V, None if grid is None else grid.bounds, None if grid is None else grid.periodic)
    if not found.minima:
        raise ValueError("no minimum was found in the box; take a larger one, or give "
                         "points=fpkit.critical_points(...).")
    return tuple(found.minima), tuple(found.saddles)


def _merged(minima, saddles, theta):
    """States: wells joined until each is at least 3 theta deep, and the reasons that name what was merged."""
    group = list(range(len(minima)))
    reasons = []
    joins = [(s.value, *s.between) for s in passes(saddles)]
    while True:
        best = None
        for value, i, j in joins:
            a, b = group[i], group[j]
            if a == b:
                continue
            for high, low in ((a, b), (b, a)):
                bottom, other = (min(m.value for m, g in zip(minima, group) if g == k) for k in (high, low))
                depth = value - bottom
                is_shallow = depth < LEAST_BARRIER * theta * (1 - 1e-9) and bottom >= other
                if is_shallow and (best is None or depth < best[0]):
                    best = (depth, high, low)
        if best is None:
            break
        depth, high, low = best
        reasons.append(Reason(WARN, "shallow-well", f"well {high} is only {depth / theta:.2g} theta deep and "
                              f"was merged with well {low}: for a state of its own lower theta"))
        group = [low if g == high else g for g in group]
    states = sorted({tuple(k for k in range(len(minima)) if group[k] == g) for g in group},
                    key=lambda s: (minima[s[0]].value, s[0]))
    return tuple(states), reasons


def _depths(network):
    """Lowest barrier out of each state."""
    value = [network.minima[s[0]].value for s in network.states]
    height = network._heights()
    np.fill_diagonal(height, np.inf)
    return [float(h.min() - v) for h, v in zip(height, value) if np.isfinite(h.min())]


def _alike(network):
    """The hierarchy is no guide when two communication heights are close."""
    depths = sorted(b for _, _, b, _ in network.hierarchy) if network.n_states > 2 else []
    if any(b - a < SAME_HEIGHT * network.theta for a, b in zip(depths, depths[1:])):
        return [Reason(WARN, "equal-heights", "two barriers of the hierarchy differ by less than "
                       f"{SAME_HEIGHT:g} theta: read the eigenvalues of the whole network, not the "
                       "hierarchy")]
    return []

