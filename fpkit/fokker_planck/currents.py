"""Probability currents, free energy and distances of a density."""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..core import checks
from ..core.results import Field
from ..core.views.tables import Tabular, cell_columns, cell_picture, grid_coordinates

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..core.grid import Grid
    from .fokker_planck import FokkerPlanck

LEAST = 1e-290
KINDS = ("l1", "tv", "chi2", "entropy")


@dataclass(frozen=True, repr=False)
class Currents(Tabular):
    """Probability current J = -theta M exp(-beta f) grad(u exp(beta f)) of a density.

    Attributes
    ----------
    grid : Grid
    edges : int ndarray (n_edges, 2)
        Flat cells of each edge of the chain.
    flow : ndarray (n_edges,)
        Probability per time from the first to the second cell of each edge.
    absorbed : ndarray, shape grid.shape
        Probability per time that each cell loses to the absorbing set.
    """
    grid: Grid
    edges: np.ndarray
    flow: np.ndarray
    absorbed: np.ndarray

    @cached_property
    def divergence(self) -> np.ndarray:
        """Net outflow of each cell, probability per time, shape grid.shape: minus the rate of change of its
        probability."""
        n = self.grid.n_cells
        out = np.bincount(self.edges[:, 0], self.flow, n) - np.bincount(self.edges[:, 1], self.flow, n)
        return out.reshape(self.grid.shape) + self.absorbed

    @cached_property
    def vector(self) -> np.ndarray:
        """Current density at the cell centres, shape (*grid.shape, ndim), probability per time and area.

        Each edge gives half of its flow times its length to both cells, so a constant current is exact.
        """
        grid = self.grid
        i, j = self.edges.T
        steps = self._steps
        moment = np.stack([np.bincount(i, self.flow * s, grid.n_cells)
                           + np.bincount(j, self.flow * s, grid.n_cells) for s in steps], axis=-1)
        return moment.reshape(*grid.shape, grid.ndim) / (2 * grid.volumes[..., None])

    @cached_property
    def _steps(self):
        """Vector from the first to the second cell of each edge, around the ring where that is shorter (ndim,
        n_edges)."""
        grid = self.grid
        first, second = (np.unravel_index(c, grid.shape) for c in self.edges.T)
        out = []
        for k in range(grid.ndim):
            s = grid.centres[k][second[k]] - grid.centres[k][first[k]]
            if grid.periodic[k]:
                period = grid.bounds[k][1] - grid.bounds[k][0]
                s = s - period * np.rint(s / period)
            out.append(s)
        return np.stack(out)

    def component(self, axis: int) -> Field:
        """One component of `vector` as a Field."""
        axis = checks.whole("axis", axis)
        if axis >= self.grid.ndim:
            raise ValueError(f"axis must be below {self.grid.ndim}, got {axis}.")
        return Field(np.ascontiguousarray(self.vector[..., axis]), self.grid, f"current along axis {axis}",
                     units="1/(time area)")

    @cached_property
    def faces(self) -> tuple[np.ndarray, ...]:
        """Current density through the faces normal to each axis: arrays with one more entry along that axis;
        0 at reflecting walls.

        For chains of neighbours only; a full mobility tensor also has edges across corners.
        """
        grid = self.grid
        first, second = (np.stack(np.unravel_index(c, grid.shape)) for c in self.edges.T)
        out = []
        used = np.zeros(self.flow.size, bool)
        for k, n in enumerate(grid.shape):
            step = second[k] - first[k]
            others = [a for a in range(grid.ndim) if a != k]
            straight = (second[others] == first[others]).all(0) if others else np.ones(step.size, bool)
            forth, around = straight & (step == 1), straight & (step == n - 1) & (n > 2) & grid.periodic[k]
            used |= forth | around
            shape = [m + (a == k) for a, m in enumerate(grid.shape)]
            field = np.zeros(shape)
            at = list(first)
            at[k] = first[k] + 1
            field[tuple(a[forth] for a in at)] = self.flow[forth]
            if around.any():
                for place in (0, n):
                    at[k] = np.full_like(first[k], place)
                    # from the last cell to the first is forwards
                    field[tuple(a[around] for a in at)] = -self.flow[around]
            area = np.ones([1] * grid.ndim)
            for a in others:
                area = area * grid.widths[a].reshape([-1 if b == a else 1 for b in range(grid.ndim)])
            out.append(field / area)
        if not used.all():
            raise ValueError("the chain has edges across corners (full mobility tensor); use `vector` or "
                             "`flow`.")
        return tuple(out)

    def _columns(self):
        parts = {f"current_{name}": self.vector[..., k] for k, name in enumerate("xyz"[:self.grid.ndim])}
        return cell_columns(self.grid, **parts, absorbed=self.absorbed)

    def _labelled(self):
        names = tuple("xyz"[:self.grid.ndim])
        arrays = {f"current_{name}": (names, self.vector[..., k]) for k, name in enumerate(names)}
        return {**arrays, "absorbed": (names, self.absorbed)}, grid_coordinates(self.grid)

    def _picture(self):
        speed = np.linalg.norm(self.vector, axis=-1)
        return cell_picture(self.grid, self.vector[..., 0] if self.grid.ndim == 1 else speed)

    def __repr__(self):
        cells, largest = "x".join(map(str, self.grid.shape)), np.abs(self.flow).max(initial=0.0)
        return f"Currents on {cells} cells: largest flow {largest:.4g} per time through one face"


def probabilities(diffusion: FokkerPlanck, density: Field | ArrayLike, name: str = "density") -> np.ndarray:
    """Cell probabilities (flat) of a density given as a Field or an array of cell averages."""
    values = density.values if isinstance(density, Field) else density
    try:
        values = np.asarray(values, float)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} must be a Field or an array of cell averages, got "
                        f"{checks.shown(density)}.") from None
    if values.shape != diffusion.grid.shape:
        raise ValueError(f"{name} has shape {values.shape}, expected that of the grid, "
                         f"{diffusion.grid.shape}.")
    p = np.where(diffusion.inside, values, 0.0) * diffusion.grid.volumes
    if not np.isfinite(p).all():
        raise ValueError(f"{name} is not finite in {int((~np.isfinite(p)).sum())} cells.")
    return p.ravel()


def currents(diffusion: FokkerPlanck, density: Field | ArrayLike) -> Currents:
    """Currents of a density; zero to rounding for the Gibbs density.

    With v = u/gibbs and conductances c the flow from cell i to j is c (v_i - v_j) / Z, which is what the
    chain does with v.
    """
    P = probabilities(diffusion, density)
    chain = diffusion.chain
    log_z = diffusion._cell_masses.log_total
    log_g = diffusion._cell_masses.log_mass - log_z
    i, j = chain.edges.T
    log_c = chain.log_cond + chain.shift - log_z
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        g = np.exp(log_g)
        v = np.where(g > LEAST, P / np.where(g > LEAST, g, 1.0), np.nan)
        flow = np.exp(log_c) * (v[i] - v[j])
        deep = np.isnan(flow)                            # one end has next to no Gibbs mass: in logarithms
        if deep.any():
            log_p = np.log(np.abs(P))
            term = [np.where(P[k[deep]] == 0, 0.0, np.sign(P[k[deep]])
                             * np.exp(np.minimum(log_c[deep] + log_p[k[deep]] - log_g[k[deep]], 700.0)))
                    for k in (i, j)]
            flow[deep] = term[0] - term[1]
        absorbed = np.zeros(P.size)
        if chain.log_ground is not None:
            at = np.isfinite(chain.log_ground)
            absorbed[at] = P[at] * np.exp(np.minimum(chain.log_ground[at] + chain.shift - log_z - log_g[at],
                                                     700.0))
    return Currents(diffusion.grid, chain.edges, flow, absorbed.reshape(diffusion.grid.shape))


def free_energy(diffusion: FokkerPlanck, density: Field | ArrayLike) -> float:
    """F = sum P (theta log P - theta log G) + f0 with the exact cell masses G: the free energy of the density
    that is Gibbs within cells."""
    P = probabilities(diffusion, density)
    _no_negative(P)
    at = P > 0
    logs = diffusion._cell_masses.log_mass[at]
    theta = diffusion._frozen_theta
    return float(P.sum() * diffusion.f0 + theta * (P[at] * (np.log(P[at]) - logs)).sum())


def distance(diffusion: FokkerPlanck, density: Field | ArrayLike, kind: str = "l1") -> float:
    """Distance to the Gibbs density: "l1" int |u - g|, "tv" half of it, "chi2" sqrt(int (u/g - 1)^2 g),
    "entropy" int u log(u/g)."""
    kind = checks.choice("kind", kind, KINDS)
    P = probabilities(diffusion, density)
    log_g = diffusion._cell_masses.log_mass - diffusion._cell_masses.log_total
    G = np.exp(log_g)
    G = G / G.sum()
    if kind in ("l1", "tv"):
        return float(np.abs(P - G).sum()) * (0.5 if kind == "tv" else 1.0)
    if kind == "chi2":
        # inf for mass where the Gibbs density underflows
        with np.errstate(over="ignore", divide="ignore", under="ignore"):
            logs = np.where(np.isfinite(log_g), 2 * np.log(np.abs(P - G)) - log_g, -np.inf)
            return float(np.sqrt(np.exp(logs).sum()))
    _no_negative(P)
    at = P > 0
    return float(max((P[at] * (np.log(P[at]) - log_g[at])).sum(), 0.0))


def _no_negative(P):
    if P.min() < -1e-9 * P.max():
        raise ValueError(f"the density is negative in {int((P < 0).sum())} cells, so it has no entropy; "
                         "evolve with positive=True.")
