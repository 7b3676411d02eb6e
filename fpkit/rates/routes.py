"""The routes to a rate, each a function of one question that returns an Estimate of the one-way rate or says
why it cannot."""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..core.grid import Grid
from ..core.results import Estimate
from ..fokker_planck.fokker_planck import FokkerPlanck
from ..langevin.dynamics.walls import Walls
from ..langevin.first_passage.exit_time import exit_time
from ..langevin.first_passage.splitting import multilevel_splitting
from ..potentials.potential import Potential
from ..potentials.stationary.critical import CriticalPoints
from .eyring_kramers import eyring_kramers
from .free_energy import free_energy_rate
from .guard import SAME_HEIGHT, WARN, Guard, Reason, rate_estimate
from .network import well_network
from .wells_of import Places

LONGEST_DIRECT = 6.0                             # theta: above it simulated paths wait too long
SPLITTING = (4.0, 20.0)                          # theta: where splitting is worth its cost
STEP = 0.02                                      # dt times the largest curvature
ONE_GATE_OF_MANY = 1.0  # relative error of one gate and one well where there are several: a factor of two
N_REPLICAS, N_REPEATS = 100, 24
MANY_STEPS = 4e8                                 # steps of all paths together beyond which "paths" is refused


@dataclass(eq=False)
class Question:
    """One row of the table: what all routes of one temperature share."""

    V: Potential
    theta: float
    places: Places
    grid: Grid | None
    mobility: Any
    refine: bool
    n_paths: int
    dt: float | None
    seed: int

    @cached_property
    def diffusion(self):
        if self.grid is None:
            raise ValueError("this method needs a grid: give grid=fpkit.Grid(...)"
                             + (", possible up to three dimensions." if self.V.ndim > 3 else "."))
        return FokkerPlanck(self.V, theta=self.theta, grid=self.grid, mobility=self.mobility)

    @cached_property
    def rate(self):
        return self.diffusion.rate(self.places.source, self.places.target, refine=self.refine)

    @cached_property
    def source_point(self):
        p = self.places
        if p.source_well is None:
            raise ValueError("the source holds no minimum to start from; give a point in a well.")
        return p.minima[p.source_well].x

    @property
    def height(self):
        return self.places.barrier / self.theta

    @cached_property
    def gates(self):
        """Saddles for Eyring-Kramers, and the reasons to prefer the network."""
        saddles, others = self.places.gates(self.theta, SAME_HEIGHT)
        reasons = []
        p = self.places
        wells = [p.minima[k] for k in others]
        if wells:
            reasons.append(Reason(WARN, "several-wells", f"{len(wells)} more well(s) lie on this side of the "
                                  "gate: the harmonic well of the source alone is not "
                                  "the whole valley, take the network"))
        through = {k for s in saddles for k in s.between} - {p.source_well, p.target_well, *others}
        if through:
            reasons.append(Reason(WARN, "series", "the way leads through another well: gates one after the "
                                  "other add their resistances, take the network"))
        if len(saddles) > 1:
            reasons.append(Reason(WARN, "second-saddle", f"{len(saddles)} saddles within {SAME_HEIGHT:g} "
                                  "theta lead out of the source; their rates were added"))
        return saddles, Guard(tuple(reasons))

    @cached_property
    def guard(self):
        """The guard's verdict on Eyring-Kramers at this temperature."""
        try:
            return self.harmonic("leading").guard
        except (ValueError, np.linalg.LinAlgError) as error:
            return Guard((Reason("refuse", "no-gate", " ".join(str(error).split())),))

    def harmonic(self, order):
        saddles, guard = self.gates
        p = self.places
        found = eyring_kramers(self.V, p.minima[p.source_well], saddles, self.theta, self.mobility, order)
        is_part = bool({"series", "several-wells"} & set(guard.codes))
        error = found.inputs["relative_error"] + (ONE_GATE_OF_MANY if is_part else 0.0)
        return rate_estimate(found.log10 * math.log(10), error, found.method, guard + found.guard,
                             found.inputs)


def _from_time(tau, method):
    """The rate 1/tau of an Estimate of a time."""
    if tau.status != "ok":
        raise ValueError(tau.status)
    value = 1 / tau.value if 0 < tau.value < math.inf else (0.0 if tau.log10 > 0 else math.inf)
    relative = tau.relative_error
    return Estimate(value, value * relative, f"1/{method}", log10=-tau.log10,
                    inputs={"relative_error": relative})


def _mfpt(q):
    return _from_time(q.diffusion.mfpt(q.places.target, refine=q.refine).at(q.source_point), "mfpt")


def _gap(q):
    if len(q.places.minima) != 2:
        raise ValueError(f"the gap is the rate between two wells only, here are {len(q.places.minima)}; see "
                         "the network.")
    forward, back = q.rate, q.diffusion.rate(q.places.target, q.places.source, refine=q.refine)
    gap = q.diffusion.spectrum(2, refine=q.refine)[1]
    log_share = -np.logaddexp(0.0, (back.log10 - forward.log10) * math.log(10))
    log10 = gap.log10 + log_share / math.log(10)
    relative = gap.relative_error + (forward.relative_error + back.relative_error) * (1 - math.exp(log_share))
    value = 10 ** log10 if log10 > -300 else 0.0
    return Estimate(value, value * relative, "gap x share of the target", log10=log10,
                    inputs={"relative_error": relative})


def _exit_rate(q):
    p = q.places
    others = [] if p.source_well is None else [m for k, m in enumerate(p.minima)
                                               if k not in (p.source_well, p.target_well)]
    rivals = [m for m in others if m.value < p.minima[p.source_well].value + SAME_HEIGHT * q.theta
              and not p.target.contains(m.x)]
    if rivals:
        raise ValueError(f"{len(rivals)} other well(s) outside the target share the quasi-stationary "
                         "distribution: its exit rate is not the rate out of the "
                         "source (FokkerPlanck.exit_rate gives it).")
    return q.diffusion.exit_rate(p.target, refine=q.refine)


def _free_energy(q):
    p = q.places
    if p.target_well is None:
        raise ValueError("the target holds no minimum; the free-energy form integrates from well to well.")
    if q.grid is not None and any(q.grid.periodic):
        raise ValueError("the straight coordinate is no coordinate on a periodic axis; ask the grid.")
    bounds = None if q.grid is None else q.grid.bounds
    return free_energy_rate(q.V, q.theta, q.source_point, p.minima[p.target_well].x, bounds=bounds,
                            mobility=q.mobility)


def _network(q):
    p = q.places
    if p.target_well is None:
        raise ValueError("the target holds no minimum; the network knows wells only.")
    return well_network(q.V, q.theta, mobility=q.mobility,
                        points=CriticalPoints([*p.minima, *p.saddles])).escape_rate(p.source_well,
                                                                                    p.target_well)


def _time_step(q):
    if q.dt is not None:
        return q.dt
    curvatures = [np.abs(c.eigenvalues).max() for c in (*q.places.minima, *q.places.saddles)]
    scale = 1.0 if q.mobility is None else float(
        np.linalg.eigvalsh(np.atleast_2d(_matrix(q.mobility, q.V.ndim)))[-1])
    return STEP / max(max(curvatures) * scale, 1e-12)


def _matrix(mobility, ndim):
    m = np.asarray(mobility, float)
    return m * np.eye(ndim) if m.ndim == 0 else np.diag(m) if m.ndim == 1 else m


def _walls(q):
    if q.grid is None:
        return None
    return Walls(q.grid.bounds, ["periodic" if p else "reflecting" for p in q.grid.periodic])


def _paths(q):
    if q.height > LONGEST_DIRECT:
        raise ValueError(f"the barrier is {q.height:.3g} theta: paths wait too long, direct simulation is "
                         f"for up to {LONGEST_DIRECT:g} theta; take splitting.")
    dt = _time_step(q)
    expected = _expected_steps(q, dt)
    if expected * q.n_paths > MANY_STEPS:
        raise ValueError(f"the paths would need about {expected * q.n_paths:.1e} steps; give fewer paths or "
                         "a larger dt, or take splitting.")
    return _from_time(exit_time(q.V, q.theta, q.source_point, q.places.target, dt, q.n_paths, q.seed,
                                extrapolate=True, mobility=q.mobility, walls=_walls(q)), "exit time of paths")


def _expected_steps(q, dt):
    try:
        return 1 / max(float(q.harmonic("leading")) * dt, 1e-300)
    except (ValueError, np.linalg.LinAlgError):
        return 0.0


def _splitting(q):
    low, high = SPLITTING
    if not low <= q.height <= high:
        raise ValueError(f"the barrier is {q.height:.3g} theta: splitting is for {low:g} to {high:g} "
                         "theta" + ("; paths do it directly." if q.height < low else "."))
    source, target = q.places.wide_source, q.places.target
    dt = 2 * _time_step(q)                       # the bias in dt stays below the scatter of the repeats
    score = q.diffusion.committor(source, target) if 1 < q.V.ndim <= 3 and q.grid is not None else None
    time = multilevel_splitting(q.V, q.theta, source, target, dt, N_REPLICAS, N_REPEATS, score,
                                q.source_point, q.seed, walls=_walls(q), mobility=q.mobility)
    return _from_time(time, "mfpt by multilevel splitting")


@dataclass(frozen=True)
class Route:
    """What a method computes, in words and as a function of the question."""

    quantity: str
    ask: Callable[[Question], Estimate]


ROUTES = {
    "rate": Route("capacity / int (1 - q) exp(-f/theta), q the committor of the target", lambda q: q.rate),
    "mfpt": Route("1 / mean first passage time from the bottom of the source well to the target", _mfpt),
    "gap": Route("spectral gap x k/(k + k'), the share of the target (two wells)", _gap),
    "exit-rate": Route("quasi-stationary rate of exit into the target", _exit_rate),
    "free-energy": Route("theta / (int_B exp(F/theta) int_W exp(-F/theta)), F along the straight coordinate",
                         _free_energy),
    "eyring-kramers": Route("Eyring-Kramers rate over the gates of the source well",
                            lambda q: q.harmonic("leading")),
    "next-order": Route("Eyring-Kramers rate times 1 - c theta", lambda q: q.harmonic("next")),
    "resummed": Route("Eyring-Kramers rate over 1 + c theta", lambda q: q.harmonic("resummed")),
    "integral": Route("Eyring-Kramers rate with the integral over the soft direction of each saddle",
                      lambda q: q.harmonic("integral")),
    "network": Route("1 / mfpt between the wells in the Eyring-Kramers network of all wells", _network),
    "paths": Route("1 / mean exit time of simulated paths, extrapolated in dt", _paths),
    "splitting": Route("1 / mfpt by adaptive multilevel splitting", _splitting),
}
