"""The Laplacian K of a reversible chain, (K v)_i = sum_j c_ij (v_i - v_j), on its states: from a list of
edges, or from conductances that are kept on the cells of a grid."""
from __future__ import annotations

import numpy as np


class EdgeLaplacian:
    """K of edges I - J with conductances c (n_edges,)."""

    def __init__(self, I, J, c):
        self.I, self.J, self.c = I, J, c

    def __matmul__(self, v):
        flow = self.c * (v[self.I] - v[self.J])
        return np.bincount(self.I, flow, v.size) - np.bincount(self.J, flow, v.size)

    def form(self, a, b):
        """a' K b from differences: sum of c da db over the edges."""
        return float((self.c * (a[self.J] - a[self.I])) @ (b[self.J] - b[self.I]))


class CellLaplacian:
    """The same for chains of neighbouring cells: links c (ndim, n_cells) to the next cell along each axis, of
    `out`, a chain that puts values of states `on_cells`."""

    def __init__(self, out, links):
        self.out, self.links = out, links
        self.shape = np.array((1,) * (3 - len(links)) + out.grid.shape)

    def __matmul__(self, v):
        from .multigrid_kernels import product
        full = np.ascontiguousarray(self.out.on_cells(v))
        got = np.empty(full.size)
        product(self.shape, self.links, np.zeros(full.size), full, got)
        return got if full.size == v.size else got[self.out.ids]

    def form(self, a, b):
        """a' K b from differences: sum of c da db over the links."""
        from .multigrid_kernels import form
        return form(self.shape, self.links, *(np.ascontiguousarray(self.out.on_cells(x)) for x in (a, b)))
