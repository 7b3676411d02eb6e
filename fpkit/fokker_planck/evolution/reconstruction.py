"""Cell probabilities from node probabilities and back.

P_i = G_i * (weighted mean of v over cell i), v = p/D, G_i the exact Gibbs mass of the cell: in equilibrium (v
constant) the exact cell probabilities, whatever the chain. The weights are non-negative, so positivity is
kept.
"""
from __future__ import annotations

import numpy as np

from ...core.logarithms import chunks, log_sum

# where a cell holds less than exp(-FAR) of the equilibrium, or exp(+-FARTHEST) times what its node says, the
# density itself is read instead of its ratio to exp(-beta f): what slides there is smooth, the ratio is not
FAR, FARTHEST, LEAST_START = 50.0, 300.0, 1e-15


class Reconstruction:
    """Turns node probabilities p of `lines` into cell probabilities.

    `log_mass`: logarithms of the exact integrals of exp(-beta (f - f0)) over the cells, f0 that of the lines;
    -inf outside.
    """

    def __init__(self, lines, log_mass, parts=None):
        self.lines = lines
        self.log_mass = np.asarray(log_mass, float).ravel()
        self.n_parts, self.part = lines.components() if parts is None else parts
        grid = lines.grid
        volumes = grid.volumes.ravel() if not grid.is_uniform else float(np.prod(grid.h))
        self.jump = self.log_mass + lines.b - np.log(volumes)  # of the cell over its node
        self.is_free = ~(np.abs(self.jump) <= FARTHEST) | (self.log_mass < log_sum(self.log_mass) - FAR)
        np.clip(np.nan_to_num(self.jump), -FARTHEST, FARTHEST, out=self.jump)

    @property
    def G(self):
        """Masses of the cells over the largest one (N,); 0 outside."""
        return np.exp(self.log_mass - self.log_mass.max())

    def means(self, p):
        """exp(-beta f) times the mean of v over every cell, weighted by exp(-beta f) and relative to the
        volume, of order 4 on uniform axes."""
        lines = self.lines
        from .reconstruction_kernels import OUTSIDE, cell_mean, cell_mean_parallel
        b = lines.b if lines.inside is None else np.where(lines.inside, lines.b, OUTSIDE)
        W = np.exp(-lines.b) if lines.b.max() < 600.0 else np.zeros(1)      # saves exponentials where it can
        u, spare = p if lines.volumes is None else p / lines.volumes, None
        for axis in range(len(lines.shape)):
            out = np.empty_like(u) if spare is None else spare
            (cell_mean_parallel if lines.is_parallel else cell_mean)(
                u, b, W, self.jump, self.is_free, lines.x[axis], lines.grid.widths[axis],
                lines.periodic[axis],
                lines._block(axis), out)
            u, spare = out, u if axis else None                  # the argument itself stays as it is
        return u

    def part_masses(self, p):
        """Mass of each connected part, shape (n_parts,)."""
        if self.n_parts == 1:
            return np.array([p.sum()])
        at = self.part >= 0
        return np.bincount(self.part[at], p[at], self.n_parts)

    def probabilities(self, p, masses):
        """Cell probabilities (N,) whose sum over each connected part is `masses`, and the negative mass that
        was cut off.

        Steps of order 2 that do not resolve a sharp start leave negative values; none is handed out.
        """
        if self.lines.nodes_are_cells:
            P = p.copy()
        else:
            P = self.means(p)
            for part in chunks(P.size):  # no array of the factors is held: in 3D each is 17 MB
                P[part] *= np.exp(np.where(self.is_free[part], 0.0, self.jump[part]))
            if self.lines.volumes is not None:
                P *= self.lines.volumes
        if self.lines.inside is not None:
            P[~self.lines.inside] = 0.0
        P = self.scaled(P, masses)
        negative = P < 0
        if not negative.any():
            return P, 0.0
        cut = -float(P[negative].sum())
        P[negative] = 0.0
        return self.scaled(P, np.maximum(masses, 0.0)), cut

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
        """Node probabilities p >= 0 whose reading is P to order 4: p = q^2 / mean(q), q = P without the
        jump."""
        # in free cells what matters is p itself, what does not is in equilibrium with its neighbours
        jump = np.where(self.is_free & (P > LEAST_START), 0.0, self.jump)
        q = P.copy() if self.lines.nodes_are_cells else P * np.exp(-jump)
        if self.lines.inside is not None:
            q[~self.lines.inside] = 0.0
        if not self.lines.nodes_are_cells:
            mean = self.means(q)
            if self.lines.volumes is not None:
                mean *= self.lines.volumes
            q *= np.divide(q, mean, out=np.zeros_like(q), where=mean > 0)
        return self.scaled(q, self.part_masses(P))
