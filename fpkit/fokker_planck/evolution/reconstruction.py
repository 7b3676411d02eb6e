"""Cell probabilities from node values and back.

P_i = G_i * (weighted mean of v over cell i), G_i the exact Gibbs mass of the cell: in equilibrium (v
constant) the exact cell probabilities, whatever the chain. The weights are non-negative, so positivity is
kept.
"""
from __future__ import annotations

import numpy as np

from ...core.logarithms import dot
from .split_operator import CLIP


def chunks(n, size=1 << 16):
    """Slices that cover range(n)."""
    return [slice(k, min(k + size, n)) for k in range(0, n, size)]


class Reconstruction:
    """Turns node values v = u exp(beta f) of `lines` into cell probabilities.

    `log_mass`: logarithms of the exact integrals of exp(-beta f) over the cells, shape grid.shape, any
    constant added.
    """

    def __init__(self, lines, log_mass, parts=None):
        self.lines = lines
        self.log_mass = np.asarray(log_mass, float).ravel()
        self.top = float(self.log_mass.max())
        self.n_parts, self.part = lines.components() if parts is None else parts

    @property
    def G(self):
        """Masses of the cells over the largest one (N,); 0 outside."""
        G = self.log_mass - self.top
        np.exp(G, out=G)
        if self.lines.inside is not None:
            G[~self.lines.inside] = 0.0
        return G

    def means(self, v):
        """Mean of v over every cell, weighted by exp(-beta f), of order 4 on uniform axes."""
        lines = self.lines
        # samples: the potential is known at the nodes alone, one value a cell
        if lines.nodes_are_cells:
            return v.copy()
        from .reconstruction_kernels import cell_mean, cell_mean_parallel
        spare = None
        for axis in range(len(lines.shape)):
            out = np.empty_like(v) if spare is None else spare
            (cell_mean_parallel if lines.is_parallel else cell_mean)(
                v, lines.W, lines.x[axis], lines.grid.widths[axis], lines.periodic[axis],
                *lines._around(axis), out)
            v, spare = out, v if axis else None                  # the argument itself stays as it is
        return v

    def part_masses(self, v):
        """Mass sum D v of each connected part, shape (n_parts,)."""
        if self.n_parts == 1:
            return np.array([dot(self.lines.mass, v)])
        at = self.part >= 0
        return np.bincount(self.part[at], (self.lines.D * v)[at], self.n_parts)

    def probabilities(self, v, masses):
        """Cell probabilities (N,) whose sum over each connected part is `masses`."""
        P = self.means(v)
        for part in chunks(P.size):  # no array of the masses is held: in 3D each is 17 MB
            P[part] *= np.exp(self.log_mass[part] - self.top)
        if self.lines.inside is not None:
            P[~self.lines.inside] = 0.0
        return self.scaled(P, masses)

    def scaled(self, P, masses):
        if self.n_parts == 1:
            total = P.sum()
            if total > 0:
                P *= masses[0] / total
            return P
        at = self.part >= 0
        sums = np.bincount(self.part[at], P[at], self.n_parts)
        factor = np.divide(masses, sums, out=np.zeros(self.n_parts), where=sums > 0)
        P[at] *= factor[self.part[at]]
        return P

    def node_values(self, P):
        """Node values v >= 0 whose reading is P to order 4: v = m^2 / mean(m) with m = P/G."""
        # as high as the chain goes, so that P/G stays finite
        G = np.exp(np.maximum(self.log_mass - self.top, -CLIP))
        m = P / G if self.lines.inside is None else np.where(self.lines.inside, P / G, 0.0)
        mean = self.means(m)
        # m^2 may overflow high above the minimum
        v = m * np.divide(m, mean, out=np.zeros_like(m), where=mean > 0)
        masses = np.bincount(self.part[self.part >= 0], P[self.part >= 0],
                             self.n_parts) if self.n_parts > 1 else np.array([P.sum()])
        now = self.part_masses(v)
        factor = np.divide(masses, now, out=np.zeros(self.n_parts), where=now > 0)
        return v * factor[0] if self.n_parts == 1 else np.where(self.part >= 0,
                                                                v * factor[np.maximum(self.part, 0)], 0.0)
