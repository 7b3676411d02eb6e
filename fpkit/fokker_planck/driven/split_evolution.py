"""Densities of driven diffusions over time by the split steps of reversible ones.

Every line of a grid is a gradient process, with a potential of its own: f less the work of the force along
it. So a sweep along an axis is that of the reversible chain, of order 4 and without subtraction; only sum p
is shared by the axes, and that is enough. Lines do not share a stationary state, so that steps beyond the
local relaxation are of the whole grid.
"""
from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from functools import partial

import numpy as np

from ...core.results import ResolutionWarning
from ..evolution.evolve import evolve as evolve_lines
from ..evolution.result import Evolution

LATE = "gibbs", "relative_entropy", "distance"
AT_WALLS = 1e-9            # of the largest psi exp(-beta f) that counts as none
WHOLE = ("noise across the axes or that depends on x, grids that are not uniform, what absorbs or kills, and "
         "stream functions on walls or with order=2 take steps of the whole grid")


@dataclass(frozen=True, repr=False)
class DrivenEvolution(Evolution):
    """`Evolution` of a driven diffusion: `gibbs` is the stationary density, found when it, `distance` or
    `relative_entropy` is first asked for (NaN where there is none); `free_energy` is NaN."""

    def __getattr__(self, name):
        if name not in LATE or "_stationary" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        limit = self.__dict__.pop("_stationary")()
        P, Q = self.densities * self.grid.volumes, limit * self.grid.volumes
        axes = tuple(range(1, P.ndim))
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = np.maximum(np.where(P > 0, P * np.log(P / Q), 0.0).sum(axes), 0.0)
        self.__dict__.update(gibbs=limit, relative_entropy=entropy, distance=np.abs(P - Q).sum(axes) / 2)
        return self.__dict__[name]

    def __getstate__(self):
        return {f.name: getattr(self, f.name) for f in fields(self)}


def settled(diffusion) -> np.ndarray:
    """The stationary density, shape grid.shape; NaN where there is none."""
    D = diffusion
    if D.absorbing is not None or D.killing_rate is not None:
        return np.full(D.grid.shape, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResolutionWarning)
        return D.stationary().density.values


def with_its_limit(diffusion, found: dict) -> DrivenEvolution:
    """`DrivenEvolution` of the fields of an evolution, without those that come late."""
    made = DrivenEvolution(**found, **dict.fromkeys(LATE))
    for name in LATE:
        del made.__dict__[name]
    made.__dict__["_stationary"] = partial(settled, diffusion)
    return made


def is_split(diffusion, order) -> bool:
    """Whether lines carry the process: constant noise along the axes of a uniform grid, nothing absorbed or
    killed. A stream function keeps the Gibbs density to rounding on the chain of order 2 alone."""
    D, M = diffusion, diffusion.frozen_process.mobility
    return bool(M.is_constant and not M.is_full and not M.is_degenerate and D.grid.is_uniform
                and D.absorbing is None and D._killing is None
                and (D.frozen_process.rotation is None or order == 4 and _ends_at_walls(D)))


def _ends_at_walls(diffusion):
    """Whether the current of a stream function ends within the box: on walls psi counts as zero, which would
    be a jump of its own."""
    D, grid = diffusion, diffusion.grid
    psi, V = D.frozen_process.rotation.psi, D.potential
    weight = lambda X: np.abs(psi(X)) * np.exp(-D.beta * (V(X) - D.f0))
    most = weight(grid.points).max()
    if grid.mask is not None or callable(V.domain):
        return False
    for axis, is_ring in enumerate(grid.periodic):
        for wall in () if is_ring else grid.bounds[axis]:
            X = np.take(grid.points, [0], axis)
            X[..., axis] = wall
            if not weight(X).max() <= AT_WALLS * most:
                return False
    return True


def evolve(diffusion, u0, times, **options) -> DrivenEvolution:
    """`DrivenEvolution` by the steps of `fpkit.fokker_planck.evolution.evolve.evolve`."""
    run = evolve_lines(diffusion, u0, times, **options)
    found = {f.name: getattr(run, f.name) for f in fields(run) if f.name not in LATE}
    found["inputs"] = {**diffusion._inputs, **{k: v for k, v in run.inputs.items() if k != "potential"}}
    return with_its_limit(diffusion, found)
