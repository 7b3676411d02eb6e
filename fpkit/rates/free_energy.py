"""Free energies of sets, and the rate as a difference of free energies.

The rate out of a well W is exactly

    k = cap(A, B)/Z_W = exp(-(F1 - F0)/theta),
    F0 = -theta log Z_W,   F1 = -theta log cap(A, B),   Z_W = int q_A exp(-f/theta),

with q_A the probability of reaching A before B. F0 is the free energy of a set; F1, the free energy of the
gate, belongs to no set (one of zero thickness has none without a width) and is defined by the capacity.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.calls import understood
from ..core.grid import Grid
from ..core.quadrature import log_integral
from ..core.results import Estimate
from ..core.views.tables import Tabular, estimate_columns
from ..fokker_planck.fokker_planck import FokkerPlanck
from ..potentials.potential import Potential
from ..potentials.regions import Region
from .guard import Guard, RateEstimate, caution, definition_error, rate_estimate
from .points import box_of, square_root

DIFFERENCE = 0.002  # relative step in theta for S = -dF/dtheta, extrapolated once
ROUNDING = 4e-15              # of sums and logarithms
WHOLE = 1e-12  # relative error of a weight above which cells are cut by the boundary of the set
ORDER = 8                                        # of the Gauss rule in each panel
N_PANELS = {1: 400, 2: 120, 3: 60}               # along the coordinate
N_PANELS_ACROSS = {2: 12, 3: 6}                  # across it, inside the window that counts
N_SEARCH = {2: 400, 3: 40}                       # points an axis to find that window
WINDOW = 40.0                                    # theta above the least value of the section
DIP = 3.0  # theta: a dip of F on the way that counts as a well of its own
TRANSVERSE = 1.5  # times the estimated loss of the straight coordinate: its stated error


@dataclass(frozen=True, repr=False)
class SetFreeEnergy(Tabular):
    """Free energy, energy and entropy of a set, F = E - theta S.

    Attributes
    ----------
    free_energy : Estimate
        F = -theta log int_U exp(-f/theta), in the units of f.
    energy : Estimate
        E, the Gibbs mean of f on the set.
    entropy : Estimate
        S = -dF/dtheta = (E - F)/theta, in nats, relative to the unit of volume.
    theta : float
    """

    free_energy: Estimate
    energy: Estimate
    entropy: Estimate
    theta: float
    region: Region | None = None

    def _columns(self):
        return estimate_columns((name, getattr(self, name)) for name in ("free_energy", "energy", "entropy"))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return {"theta": self.theta, "free_energy": self.free_energy.to_dict(),
                "energy": self.energy.to_dict(), "entropy": self.entropy.to_dict()}

    def __repr__(self) -> str:
        return (f"F = {self.free_energy.value:.8g}, E = {self.energy.value:.8g}, "
                f"S = {self.entropy.value:.8g} at theta = {self.theta:g}")


@understood
def free_energy(V: Potential, theta: float, region: Region, grid: Grid) -> SetFreeEnergy:
    """Free energy F = -theta log int_U exp(-f/theta) of a region, with its energy and entropy: F = E - theta
    S.

    The integral is the Gibbs probability of the region times the partition function of the grid's box; S =
    -dF/dtheta by differences in theta, E = F + theta S.

    Parameters
    ----------
    V : Potential
    theta : float
    region : Region
    grid : Grid

    Returns
    -------
    SetFreeEnergy

    Examples
    --------
    >>> V = fp.Potential("x**2/2")              # all of the line: F = -theta/2 log(2 pi theta), E = theta/2
    >>> W = fp.free_energy(V, 0.1, fp.Box([(-6, 6)]), fp.Grid([(-6, 6)], 200))
    >>> round(W.energy.value, 8), bool(abs(W.free_energy.value + 0.05 * np.log(2 * np.pi * 0.1)) < 1e-10)
    (0.05, True)
    """
    theta = checks.number("theta", theta, positive=True)
    logs, relative = _log_weights(V, theta, region, grid)
    F, E, S, more = _thermodynamics(logs, theta)
    seen = np.zeros(3)
    if relative > WHOLE:                       # cells are cut: cut finer, the change is what is left at most
        logs, relative = _log_weights(V, theta, region, grid, refine=True)
        before, (F, E, S, more) = (F, E, S), _thermodynamics(logs, theta)
        # the errors of the two cuts are alike in size and of random signs: the change, twice, and half of
        # the stated error of the weights in any case
        least = relative / 2 * np.array([theta, theta, 1.0])
        seen = np.maximum(2 * np.abs(np.subtract((F, E, S), before)), least)
    rounding = 4e-16 * abs(F) + 4e-16 * theta
    inputs = {"theta": theta, "region": repr(region), "grid": repr(grid)}
    errors = (max(theta * relative, seen[0]) + rounding, seen[1] + theta * more + 3 * rounding / DIFFERENCE,
              seen[2] + more + 3 * rounding / DIFFERENCE / theta)
    names = "Gibbs weight of the set", "F + theta S", "-dF/dtheta"
    return SetFreeEnergy(*(Estimate(v, e, name, inputs=inputs) for v, e,
                           name in zip((F, E, S), errors, names)), theta, region)


def _thermodynamics(logs, theta):
    """F, E, S from log int_U exp(-f/theta) at theta (1 + k DIFFERENCE), k = -2 ... 2, and the error of the
    differences."""
    free = -theta * (1 + DIFFERENCE * np.arange(-2, 3)) * logs
    near, far = (free[3] - free[1]) / 2, (free[4] - free[0]) / 4
    entropy = -(4 * near - far) / 3 / (theta * DIFFERENCE)
    # what the extrapolation leaves is DIFFERENCE^2 theta^2 F'''''/(5 F''') of what it took off
    more = abs(far - near) / 3 / (theta * DIFFERENCE) * 20 * DIFFERENCE**2
    return free[2], free[2] + theta * entropy, entropy, more


def _log_weights(V, theta, region, grid, refine=False):
    """log int_U exp(-f/theta) at five temperatures, and the largest relative error of the integrals."""
    logs, relative = np.empty(5), 0.0
    for k in range(5):
        D = FokkerPlanck(V, theta=theta * (1 + DIFFERENCE * (k - 2)), grid=grid)
        p = D.probability(region, refine=refine)
        if not math.isfinite(p.log10):
            raise ValueError(f"the region {region!r} holds nothing of the grid's box; move the box or the "
                             "region.")
        logs[k] = p.log10 * math.log(10) + D.log_partition
        relative = max(relative, p.relative_error + ROUNDING * (1 + abs(D.log_partition) + abs(logs[k])))
    return logs, relative


@dataclass(frozen=True, repr=False)
class FreeEnergyForm(Tabular):
    """A rate as exp(-(F1 - F0)/theta), exactly: F0 = -theta log Z_W of the well, F1 = -theta log cap of the
    gate.

    Attributes
    ----------
    rate, capacity : Estimate
    gate, well : Estimate
        F1 and F0, in the units of f.
    theta : float
    """

    rate: Estimate
    capacity: Estimate
    gate: Estimate
    well: Estimate
    theta: float
    inputs: dict[str, Any] = field(default_factory=dict)

    def _columns(self):
        return estimate_columns((name, getattr(self, name)) for name in ("rate", "capacity", "gate", "well"))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return {"theta": self.theta, "rate": self.rate.to_dict(), "capacity": self.capacity.to_dict(),
                "F1": self.gate.to_dict(), "F0": self.well.to_dict()}

    def __repr__(self) -> str:
        return (f"k = {self.rate!r} = exp(-(F1 - F0)/theta), F1 = {self.gate.value:.8g}, "
                f"F0 = {self.well.value:.8g}, theta = {self.theta:g}")


@understood
def free_energy_form(D: FokkerPlanck, source: Region, target: Region, refine: bool = False) -> FreeEnergyForm:
    """The rate of a diffusion between two regions as a difference of free energies, exact at any theta.

    Parameters
    ----------
    D : FokkerPlanck
    source, target : Region

    Returns
    -------
    FreeEnergyForm

    Examples
    --------
    >>> D = fp.FokkerPlanck(fp.catalogue.double_well(), theta=0.1, grid=fp.Grid([(-2, 2)], 200))
    >>> form = fp.free_energy_form(D, fp.HalfSpace([-1], 1.0), fp.HalfSpace([1], 1.0))
    >>> bool(abs(np.exp(-(form.gate - form.well) / 0.1) / form.rate - 1) < 1e-10)
    True
    """
    rate, capacity = D.rate(source, target, refine=refine), D.capacity(source, target, refine=refine)
    theta = 1 / D.beta
    gate, well = -theta * capacity.log10 * math.log(10), -theta * (capacity.log10 - rate.log10) * math.log(10)
    inputs = {"theta": theta, "source": repr(source), "target": repr(target)}
    gate = Estimate(gate, theta * capacity.relative_error, "-theta log capacity", inputs=inputs)
    relative = capacity.relative_error + rate.relative_error
    well = Estimate(well, theta * relative, "-theta log Z_W", inputs=inputs)
    return FreeEnergyForm(rate, capacity, gate, well, theta, inputs)


@understood
def free_energy_rate(V: Potential, theta: float, source: ArrayLike, target: ArrayLike,
                     bounds: ArrayLike | None = None, direction: ArrayLike | None = None,
                     mobility: ArrayLike | None = None) -> RateEstimate:
    """Rate along a reaction coordinate, k = theta / (int_B exp(F/theta) ds int_W exp(-F/theta) ds), F(s) =
    -theta log int exp(-f/theta) across.

    No curvature is needed: it covers flat wells, soft saddles and gates of entropy alone. The first integral
    runs from well to well, the second over the side of the source up to the top of F between them. s is a
    straight coordinate, so in one dimension the formula is exact up to exp(-barrier/theta), and above it is
    an upper bound of the capacity, typically by 1 to 5 %: the valley should not turn much. The loss is
    estimated from the fluctuation of the mean force across the valley and stated as the error.

    Parameters
    ----------
    V : Potential
        One to three coordinates.
    theta : float
    source, target : array_like, shape (ndim,)
        Points in the two wells.
    bounds : sequence of (low, high), optional
        The box; default: that of V.
    direction : array_like, shape (ndim,), optional
        Direction of s. Default: from source to target.
    mobility : None, float, (ndim,) or (ndim, ndim), optional

    Returns
    -------
    k : RateEstimate

    Examples
    --------
    >>> V = fp.catalogue.flat_bottomed()              # no curvature at the wells: Eyring-Kramers refuses
    >>> fp.free_energy_rate(V, 0.1, V.minima[0].x, V.minima[1].x)
    1.53682e-05 +- 7.0e-09 (free energy)
    """
    theta = checks.number("theta", theta, positive=True)
    if not 1 <= V.ndim <= 3:
        raise ValueError("the integral across the coordinate is done in one to three dimensions, this "
                         f"potential has {V.ndim}; use paths or eyring_kramers.")
    bounds = bounds if bounds is not None else box_of(V)
    if bounds is None:
        raise ValueError(f"bounds are needed: one (low, high) pair for each of the {V.ndim} coordinates.")
    bounds = np.array(bounds, float)
    a, b = checks.points("source", source, V.ndim), checks.points("target", target, V.ndim)
    n = b - a if direction is None else checks.points("direction", direction, V.ndim)
    if not np.linalg.norm(n) > 0 or not (b - a) @ n > 0:
        raise ValueError("the direction must point from the source to the target.")
    frame = _frame(n)
    s_a, s_b = a @ frame[0], b @ frame[0]
    corners = np.stack(np.meshgrid(*bounds, indexing="ij"), -1).reshape(-1, V.ndim) @ frame.T
    low, high = corners.min(0), corners.max(0)
    s, weight = _nodes(np.unique(np.clip([low[0], s_a, s_b, high[0]], low[0], high[0])), N_PANELS[V.ndim])
    log_z, fluctuation = _across(V, theta, bounds, frame, s, low, high)
    F = -log_z                                                       # over theta
    between = (s > s_a) & (s < s_b)
    top = s[between][np.argmax(np.where(np.isfinite(F[between]), F[between], np.inf))]
    height = float(F[between].max() - F[(s < top)].min())
    speed = frame[0] @ square_root(mobility, V.ndim)
    log_gate = log_integral(F[between], weight[between])
    log_well = log_integral(-F[s < top], weight[s < top])
    log_rate = math.log(theta * speed @ speed) - log_gate - log_well
    share = weight[between] * np.exp(F[between] - log_gate)
    loss = float((share * fluctuation[between]).sum())
    guard = Guard()
    if height < 3:
        guard = caution("low-barrier", f"the barrier of free energy is {height:.3g} theta: there is no "
                        "sharply defined rate")
    error = TRANSVERSE * loss + definition_error(max(height, 0.0)) + 1e-9
    before, after = F[between & (s <= top)], F[between & (s >= top)][::-1]
    dip = max(float((np.maximum.accumulate(side) - side).max(initial=0.0)) for side in (before, after))
    if dip > DIP:
        guard += caution("series", f"the way leads through another well, {dip:.3g} theta deep: its "
                         "mass is left out, ask the grid or the network")
        error += 1.0
    return rate_estimate(log_rate, error, "free energy", guard,
                         {"theta": theta, "direction": frame[0].tolist(),
                          "barrier_of_free_energy": theta * height})


def _frame(n):
    """Orthonormal rows, the first along n."""
    q = np.linalg.qr(np.column_stack([n, np.eye(len(n))]))[0].T[:len(n)]
    return q * np.sign(q[0] @ n) if q[0] @ n < 0 else q


def _nodes(breaks, n_panels):
    """Composite Gauss-Legendre nodes with panels that end at the breaks."""
    t, w = np.polynomial.legendre.leggauss(ORDER)
    edges = [breaks[0]]
    for low, high in zip(breaks, breaks[1:]):
        n = max(4, round(n_panels * (high - low) / (breaks[-1] - breaks[0])))
        edges.extend(np.linspace(low, high, n + 1)[1:])
    edges = np.array(edges)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + t)).ravel(), (half * w).ravel()


def _across(V, theta, bounds, frame, s, low, high):
    """log int exp(-f/theta) over the section at each s, and the relative loss of capacity from the
    fluctuating force there.

    The straight coordinate misses, to second order, the part of the force along s that fluctuates across the
    section: with g = f_s - F' and the transverse relaxation rate theta/var(y), the loss of capacity is var(g)
    var(y)/theta^2, weighted with exp(F/theta).
    """
    d = len(bounds)
    if d == 1:
        return -V(s[:, None] * frame[0]) / theta, np.zeros(len(s))
    search = [np.linspace(low[k], high[k], N_SEARCH[d]) for k in range(1, d)]
    coarse = np.stack(np.meshgrid(*search, indexing="ij"), -1)
    log_z, loss = np.empty(len(s)), np.empty(len(s))
    for k, at in enumerate(s):
        f = _inside(V, at * frame[0] + coarse @ frame[1:], bounds)
        if not np.isfinite(f).any():
            log_z[k], loss[k] = -np.inf, 0.0
            continue
        some = f < f.min() + WINDOW * theta
        pieces = []
        for axis in range(d - 1):
            hit = np.flatnonzero(some.any(tuple(a for a in range(d - 1) if a != axis)))
            ends = search[axis][[max(hit[0] - 1, 0), min(hit[-1] + 1, N_SEARCH[d] - 1)]]
            pieces.append(_nodes(ends, N_PANELS_ACROSS[d]))
        y = np.stack(np.meshgrid(*[p for p, _ in pieces], indexing="ij"), -1).reshape(-1, d - 1)
        w = np.prod(np.stack(np.meshgrid(*[w for _, w in pieces], indexing="ij"), -1), -1).ravel()
        x = at * frame[0] + y @ frame[1:]
        e = -_inside(V, x, bounds) / theta + np.log(w)
        p = np.exp(e - e.max())
        log_z[k] = e.max() + math.log(p.sum())
        p /= p.sum()
        some = p > 1e-14
        force = V.gradient(x[some]) @ frame[0]
        mean = (p[some] * force).sum()
        spread = sum((p[some] * (c - (p[some] * c).sum()) ** 2).sum() for c in y[some].T)
        loss[k] = (p[some] * (force - mean) ** 2).sum() * spread / theta ** 2
    return log_z, loss


def _inside(V, x, bounds):
    """f at the points, inf outside the box and where it is no number."""
    with np.errstate(all="ignore"):
        f = np.asarray(V(x), float)
    return np.where(((x >= bounds[:, 0]) & (x <= bounds[:, 1])).all(-1) & np.isfinite(f), f, np.inf)
