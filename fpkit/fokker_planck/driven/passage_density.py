"""The density of the first passage time to a region, and its moments.

f(t) = sum_i p_i(t) k_i, the flow into the region of the density that is left; E T^n = n! p(0) (-L)^-n 1. On
the grid and on grids of twice and half the cells, extrapolated in h^2.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from ...core import checks
from ...core.results import Estimate
from ...core.views.pictures import curves
from ...core.views.tables import Tabular
from ...potentials.regions.shapes import Region
from ..evolution.initial import kind_of, node_start
from ..evolution.stepping import StepControl
from .chain import DrivenChain
from .evolution import LEAST_CELLS, MOST_FINE, graph_of, has_smooth_process

TOLERANCES = 1e-5, 1e-9         # of the time steps; what the two differ by is the error of the second
N_MOMENTS = 4


@dataclass(frozen=True, repr=False)
class FirstPassageDensity(Tabular):
    """Density of the time of the first passage to a region.

    Attributes
    ----------
    times : ndarray (n,)
    density, error : ndarray (n,)
        f(t) in 1/time, and the bound of its error.
    survival : ndarray (n,)
        Probability not to have arrived, of the given grid.
    moments : list of Estimate
        E T, E T^2, E T^3, E T^4.
    region : Region
    inputs : dict
    """
    times: np.ndarray
    density: np.ndarray
    error: np.ndarray
    survival: np.ndarray
    moments: list[Estimate]
    region: Region
    inputs: dict = field(default_factory=dict)

    @property
    def mean(self) -> Estimate:
        """E T."""
        return self.moments[0]

    @property
    def variance(self) -> Estimate:
        """E T^2 - (E T)^2."""
        m, s = self.moments[:2]
        return Estimate(s.value - m.value**2, s.error + 2 * m.value * m.error + m.error**2, m.method,
                        inputs=self.inputs)

    def _columns(self):
        return {"time": self.times, "density": self.density, "error": self.error, "survival": self.survival}

    def _picture(self):
        return curves([(self.times, self.density)])

    def __repr__(self) -> str:
        return (f"first passage to {self.region!r}: mean {self.mean!r}, density at {self.times.size} times, "
                f"highest {self.density.max():.4g} at t = {self.times[self.density.argmax()]:.4g}")


def first_passage_density(diffusion, x0, target: Region, times,
                          reactivity: float | None = None) -> FirstPassageDensity:
    """`FirstPassageDensity` of paths from x0, a point or a start as in `evolve`."""
    D = diffusion
    times = np.atleast_1d(np.asarray(times, float))
    if not np.isfinite(times).all() or (times <= 0).any() or (np.diff(times) <= 0).any():
        raise ValueError(f"times must be positive and increasing, got {checks.shown(times)}.")
    if D.process.is_moving or any(a is not None for a in (D.absorbing, D.killing_rate, D.resetting)):
        raise ValueError("first_passage_density is known without absorption, killing, resetting and for "
                         "processes that stand still; for one that moves, evolve() with `absorbing` gives "
                         "what is left at each time.")
    kind = kind_of(x0, D.grid)
    if kind[0] not in ("point", "gaussian"):
        raise ValueError("x0 must be a point, or (mean, std) of a Gaussian.")
    grid, has_kinks = D.grid, not has_smooth_process(D)
    half = grid.coarsened() if min(grid.shape) >= LEAST_CELLS else None
    quarter = half and half.coarsened() if has_kinks and min(grid.shape) >= 2 * LEAST_CELLS else None
    double = grid.refined(2) if grid.n_cells * 2**grid.ndim <= MOST_FINE else None
    widest, coarser, base, finer = (None if g is None else _Passage(D.on(g), kind, target, reactivity, times)
                                    for g in (quarter, half, grid, double))
    is_cut = (half or grid).is_cut(target).any()
    rule = _across_cells if is_cut or has_kinks else _of_clean_order
    curves = [None if p is None else p.density for p in (coarser, base, finer)]
    density, error = rule(*curves)
    error = np.maximum(error, _over_the_curve(*curves) if rule is _across_cells else 0.0)
    moments, wrong = rule(*(None if p is None else p.moments / base.moments for p in (coarser, base, finer)))
    if widest is not None:               # three grids may agree by accident on where a kink lies
        error = np.maximum(error, np.abs(coarser.density - widest.density) / 8)
        wrong = np.maximum(wrong, np.abs(coarser.moments - widest.moments) / base.moments / 8)
    error = (1 + has_kinks) * error + base.time_error + 1e-9 * np.abs(density).max()
    inputs = {**D._inputs, "target": repr(target), "start": kind[0], "start_data": kind[1]}
    method = "first passage of the chain, extrapolated"
    found = [Estimate(float(m), float(e) + 1e-12 * float(m), method, inputs=inputs)
             for m, e in zip(base.moments * moments, (1 + has_kinks) * base.moments * wrong)]
    return FirstPassageDensity(times, np.maximum(density, 0.0), error, base.survival, found, target, inputs)


class _Passage:
    """Density of the passage time and its moments on one grid."""

    def __init__(self, diffusion, kind, target, reactivity, times):
        D = diffusion._remade(diffusion.grid, diffusion.scheme, target)
        D.reactivity = reactivity
        chain = DrivenChain(D)
        lines = graph_of(chain)
        nodes = SimpleNamespace(grid=D.grid, inside=chain.states.ravel(), nodes_are_cells=False)
        start = _point(kind[1], D.grid, chain.states) if kind[0] == "point" else None
        if start is None:
            start = node_start(*kind, nodes, SimpleNamespace(node_values=lambda P: P), False)[0]
        flows, left = np.empty((2, times.size)), np.empty(times.size)
        for row, tol in zip(flows, TOLERANCES):
            steps, p, s = StepControl(lines, tol), start, 0.0
            for k, t in enumerate(times):
                p, s = steps.advance(p, s, t), t
                row[k], left[k] = p @ lines.killing, p.sum()
        self.density, self.survival = flows[1], left
        self.time_error = np.abs(flows[1] - flows[0])
        factors, v, self.moments = chain.factors(), np.ones(chain.n), np.empty(N_MOMENTS)
        for n in range(N_MOMENTS):
            v = factors.solve(v)
            self.moments[n] = math.factorial(n + 1) * float(start[chain.ids] @ v)


def _of_clean_order(coarse, base, fine):
    """`extrapolated` for smooth processes whose boundaries lie on faces of all grids: the two limits bound
    what is left; also where they agree since their error changes its sign."""
    limit, error = extrapolated(coarse, base, fine)
    if coarse is None or fine is None:
        return limit, error
    apart = np.abs(limit - base - (base - coarse) / 3)
    return limit, apart + apart.max() / 10 + np.abs(fine - base) / 50


def _across_cells(coarse, base, fine):
    """`extrapolated` where a boundary or a kink cuts the cells of each grid elsewhere: the error is of order
    2 with a factor that depends on where, so that neighbouring grids may agree by accident and no part of
    what they differ by is known."""
    limit, error = extrapolated(coarse, base, fine)
    if coarse is None or fine is None:
        return limit, 3 * error
    apart = limit - base - (base - coarse) / 3
    return limit, np.maximum.reduce([error, np.abs(apart), np.abs(fine - base), np.abs(base - coarse) / 2])


def _over_the_curve(coarse, base, fine):
    """Error that a density has near the times at which that of a cut boundary changes its sign, where the
    grids agree and are wrong: a tenth of the largest difference at any time."""
    if coarse is None or fine is None:
        return 0.0
    return 0.1 * max(np.abs(base - coarse).max(), 4 * np.abs(fine - base).max())


def _point(x, grid, states):
    """A point shared by the three nearest centres of each axis so that mean and variance are exact (some
    shares are negative); None where these are no states of a uniform grid."""
    if not grid.is_uniform or min(grid.shape) < 3:
        return None
    weights, places = np.ones(1), []
    for c, v, n, is_ring in zip(grid.centres, np.atleast_1d(np.asarray(x, float)), grid.shape, grid.periodic):
        at = int(np.rint((v - c[0]) / (c[1] - c[0])))
        if not is_ring and not 1 <= at <= n - 2:
            return None
        u = (v - c[0]) / (c[1] - c[0]) - at
        places.append(np.arange(at - 1, at + 2) % n)
        weights = np.multiply.outer(weights, [u * (u - 1) / 2, 1 - u * u, u * (u + 1) / 2])
    here = np.ix_(*places)
    if not states[here].all():
        return None
    out = np.zeros(grid.shape)
    out[here] = weights[0]
    return out.ravel()


def extrapolated(coarse, base, fine):
    """Limit of values on half, once and twice the cells, and the bound of its error."""
    if fine is None:
        return base, np.full(base.shape, np.nan) if coarse is None else 4 / 3 * np.abs(base - coarse)
    limit = fine + (fine - base) / 3
    if coarse is None:
        return limit, np.abs(fine - base)
    other = base + (base - coarse) / 3
    # a boundary within a cell lies otherwise in each grid, so that the order is not a clean one
    size = np.maximum(np.abs(limit - fine), np.abs(base - coarse) / 12)
    return limit, np.minimum(4 * np.abs(limit - other), np.abs(fine - base)) + size
