"""Stationary states and solves of chains that are not reversible, by elimination without subtraction [1]_.

A = diag(sum_j q_ij + killing_i) - q with rates q_ij >= 0 from i to j is never formed: only sums and products
of positive numbers, so that every entry of the stationary state and of each solution for a right side >= 0
has full relative accuracy, however small a rate is. One elimination serves both directions.

References
----------
.. [1] W. K. Grassmann, M. I. Taksar, D. P. Heyman, Oper. Res. 33, 1107 (1985).
"""
from __future__ import annotations

import numpy as np


class DirectedElimination:
    """Factors of the rates q_forth (I to J) and q_back (J to I), each (n_edges,), with killing rates (n,), in
    the order of an `Ordering`."""

    def __init__(self, ordering, q_forth, q_back, killing=None):
        from .directed_kernels import eliminate_directed
        o = self.ordering = ordering
        out, back = q_forth[o.edge], q_back[o.edge]
        excess = np.zeros(o.n) if killing is None else np.ascontiguousarray(killing[o.order], float)
        self.pivot, self.U, self.C = np.zeros(o.n), np.zeros(o.base[-1]), np.zeros(o.base[-1])
        rates = np.stack([np.where(o.leads_on, out, back), np.where(o.leads_on, back, out)])
        eliminate_directed(o.indptr, o.indices, rates, o.tree, o.ptr, o.border, excess, self.pivot, self.U,
                           self.C, np.empty(o.stack), o.largest)

    def stationary(self):
        """log of the stationary probabilities (n,) of the chain without killing."""
        from .directed_kernels import stationary_logs
        o = self.ordering
        if (self.pivot[:-1] == 0).any() or not np.isfinite(self.pivot[:-1]).all():
            raise ArithmeticError("rates between parts of the domain leave the range of floats: some states "
                                  "weigh less than 1e-300 and stand between the others.")
        logs = np.full(o.n, -np.inf)
        stationary_logs(o.tree, o.ptr, o.border, o.base, self.C, logs, o.largest)
        out = np.empty(o.n)
        out[o.order] = logs
        top = out.max()
        return out - top - np.log(np.exp(out - top).sum())

    def solve(self, b):
        """v with A v = b for b >= 0 of shape (n,) or (p, n): mean times, committors."""
        return self._substituted(b, self.C, self.U)

    def solve_transposed(self, b):
        """u with u A = b for b >= 0: times spent, densities, backward committors times p."""
        return self._substituted(b, self.U, self.C)

    def _substituted(self, b, up, down):
        from .elimination_kernels import substitute
        o = self.ordering
        R = np.ascontiguousarray(np.atleast_2d(b)[:, o.order], float)
        substitute(np.arange(o.start.size), o.base, o.tree, o.ptr, o.border, self.pivot, up, down, R,
                   o.largest)
        out = np.empty_like(R)
        out[:, o.order] = R
        return out.reshape(np.shape(b))
