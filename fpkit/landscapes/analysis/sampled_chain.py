"""The reversible Markov chain on the samples of a landscape: what `FokkerPlanck` is for a function, for
values known at points alone.

Each valid sample is a cell of constant loss; no value is ever interpolated, so cliffs of 1e35 beside a well
of depth one do no harm, and the stationary state is exp(-f/theta) over the cells (but for cells of weight
below 1e-260). The edges carry Scharfetter-Gummel conductances, the metric of the plane enters by Selling's
decomposition of the mobility into a non-negative stencil.
"""
from __future__ import annotations

import numpy as np

from ...core.grid import Grid
from ...core.logarithms import log_bernoulli
from ...core.networks import connected_parts
from ...fokker_planck.discretisation.chain import Chain
from ...fokker_planck.discretisation.edge_rules import log_end_weight
from ...fokker_planck.discretisation.tensor_stencil import selling
from ...potentials.mobility import mobility_of
from ..surface.cells import neighbour_table

HIGHEST = 600.0  # theta above the lowest sample from which on the loss rises only logarithmically
NO_WEIGHT = 1e-14                    # of the trace: a smaller weight of an edge is the rounding of zero


class SampledDiffusion:
    """du/dt = theta div[M exp(-beta f) grad(u exp(beta f))] on the cells around the samples, no flux through
    box and holes.

    Parameters
    ----------
    land : Landscape
        With evenly spaced axes.
    theta : float
    mobility : ndarray (ndim, ndim), optional
        M, the inverse Gram matrix of the plane; default the unit matrix.
    highest : float
        Height above the lowest sample, in theta, from which on the loss rises only logarithmically. The
        default keeps exp(-beta f) a double, which `evolve` needs; with infinity the chain is the one of the
        samples, for work in logarithms.

    Attributes
    ----------
    grid : Grid
        Cells (nx, ny) whose centres are the samples, valid ones inside.
    chain : Chain
        Of cells and edges, largest mass one; `edges`, `log_mass` and `log_conductance` are its arrays.
    cell_log_mass : ndarray, shape of the grid
        log of volume * exp(-beta (f - f0)), -inf outside.
    """
    scheme = "samples"
    # evolve: a cell probability is node mass times node value, nothing is averaged in between
    nodes_are_cells = True
    ground = absorbing = killing = None

    def __init__(self, land, theta, mobility=None, highest=HIGHEST):
        if not land.is_uniform:
            raise ValueError("the samples are not evenly spaced; the chain needs even spacing on each axis.")
        self.theta, self.beta = float(theta), 1 / float(theta)
        self.potential = land
        self.mobility = mobility_of(mobility, land.ndim).matrix
        valid, loss = land.valid.T, land.loss.T
        self.grid = Grid([(e[0], e[-1]) for e in land.edges], valid.shape, land.periodic or False,
                         mask=None if valid.all() else np.ascontiguousarray(valid))
        self.inside = self.grid.inside
        self.f0 = float(land.loss[land.minimum_index])
        volume = float(np.prod(self.grid.h))
        with np.errstate(over="ignore"):
            scaled = np.where(valid, (loss - self.f0) / self.theta, np.inf)
            # beyond, the weight is below 1e-260 and exp() would underflow; the slope keeps its sign, so
            # nothing gets stuck up there
            if np.isfinite(highest):
                scaled = np.where(valid & (scaled > highest),
                                  highest + np.log1p(np.clip(scaled, highest, 1e300) - highest), scaled)
            scaled = scaled.ravel()
        pairs, logs, weights = [], [], []
        inside = np.ascontiguousarray(valid).ravel()
        for step, weight in zip(*selling(self.mobility, self.grid.h)):
            if weight <= NO_WEIGHT * np.trace(self.mobility / np.outer(self.grid.h, self.grid.h)):
                continue
            b = neighbour_table(valid.shape, [step], land.periodic)[:, 0]
            a = np.flatnonzero((b >= 0) & inside & inside[b])
            b = b[a]
            pairs.append(np.stack([a, b], axis=1))
            weights.append(np.full(a.size, self.theta * weight))
            logs.append(np.log(self.theta * volume * weight) + log_end_weight("scharfetter-gummel", scaled[a],
                                                                              scaled[b]))
        self.chain = Chain.of(np.log(volume) - scaled, np.concatenate(pairs), np.concatenate(logs))
        self._raw = np.concatenate(pairs), np.concatenate(weights), scaled
        self.log_mass, self.edges = self.chain.log_mass, self.chain.edges
        self.log_conductance = self.chain.log_cond
        self.cell_log_mass = (self.log_mass + self.chain.shift).reshape(self.grid.shape)

    def rates(self):
        """Cells a, b of each edge and the rates from a to b and back, in 1/time: finite at any height."""
        (a, b), weights, scaled = self._raw[0].T, *self._raw[1:]
        with np.errstate(under="ignore"):
            rise = scaled[b] - scaled[a]
            return a, b, weights * np.exp(log_bernoulli(rise)), weights * np.exp(log_bernoulli(-rise))

    def parts(self):
        """Number of the connected part of each cell, of shape grid.shape; -1 outside."""
        part = connected_parts(self.log_mass.size, self.edges).reshape(self.grid.shape)
        return np.where(self.inside, part, -1)
