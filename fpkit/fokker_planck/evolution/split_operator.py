"""The reversible chain of a grid as lines: node weights, conductances axis by axis, and steps split into
lines.

This is the evolution scheme of order 4 (NUMERICS of the project, "line quadrature, point masses, order-4
mass"): every axis shares the node masses D, so that axes split without cross terms and sum D v is kept by
every sub-step.
"""
from __future__ import annotations

import math

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ...core.compilation.kernels import PARALLEL_CELLS

CLIP = 600.0  # beta (f - f0) rises logarithmically above: exp(+-600) and their products stay in range


class SplitOperator:
    """Node masses and conductances of one potential on one grid at one temperature.

    Attributes
    ----------
    shape : tuple
    W : ndarray (N,)
        exp(-beta (f - f0)) on the nodes (cell centres), 0 outside the domain.
    D : ndarray (N,)
        Node masses: W times the cell volume over the mean volume, 1 outside the domain (where every
        conductance is 0).
    C : list of ndarray
        Conductances of axis a, flat from shape (..., n_a - 1, ...) or, on a periodic axis, (..., n_a, ...).
    delta : list of ndarray (n_a,)
        h^2/(12 theta mobility) of each edge of a line; zeros for the scheme of order 2.
    mobility : ndarray (ndim,)
        Typical mobility of each axis.
    killing : list of (ndarray (N,) or None), or None
        Killing rate times node mass, per axis.
    x : list of ndarray (n_a + 1,)
        Node positions and one more: the first node a period on, or beyond the wall.
    """

    is_split = True
    nodes_are_cells = False            # True: a cell probability is node mass times node value

    def __init__(self, grid, W, C, delta, killing=None, theta=1.0, inside=None, f0=0.0, order=4,
                 mobility=None):
        self.mobility = np.ones(grid.ndim) if mobility is None else mobility
        self.grid, self.shape, self.periodic = grid, grid.shape, grid.periodic
        self.W, self.C, self.delta, self.theta, self.f0, self.order = W, C, delta, theta, f0, order
        self.killing, self.inside = killing, inside
        self.x = positions(grid)
        self.D = W if grid.is_uniform else W * (grid.volumes / grid.volumes.mean()).ravel()
        if inside is not None:
            self.D = np.where(inside, self.D, 1.0)
        self.is_plain = killing is None and not any(grid.periodic)
        self.is_parallel = W.size >= PARALLEL_CELLS
        self._joined = None

    @property
    def mass(self):
        """Node masses of the domain, 0 outside: sum(mass * v) is what every step keeps."""
        return self.D if self.inside is None else np.where(self.inside, self.D, 0.0)

    def with_order(self, order):
        """The same chain with the plain node masses (order 2), or itself."""
        if order == self.order:
            return self
        return SplitOperator(self.grid, self.W, self.C, [np.zeros_like(d) for d in self.delta], self.killing,
                     self.theta, self.inside, self.f0, order, self.mobility)

    def _around(self, axis):
        return math.prod(self.shape[:axis]), self.shape[axis], math.prod(self.shape[axis + 1:])

    def sweep(self, v, axis, dt, mode):
        """Implicit step along one axis, in place."""
        outer, n, inner = self._around(axis)
        if self.is_plain and self.is_parallel and mode != 2:
            from .sweep_kernels import sweep_parallel
            sweep_parallel(v, self.D, self.C[axis], self.delta[axis], outer, n, inner, dt, mode)
            return
        from .sweep_kernels import lines, lines_parallel
        killing = None if self.killing is None else self.killing[axis]
        (lines_parallel if self.is_parallel else lines)(
            v, self.D, self.C[axis], np.zeros(1) if killing is None else killing, self.delta[axis],
            self.periodic[axis], outer, n, inner, dt, mode)

    def strang(self, v, dt, n_steps=1, mode=1):
        """n_steps symmetric split steps of length dt on v (N,), in place; mode 1: SDIRK2, 0: backward Euler
        (positive)."""
        if self.is_plain and not self.is_parallel:
            from .sweep_kernels import strang
            if self._joined is None:
                self._joined = np.concatenate(self.C), np.concatenate(self.delta), np.array(self.shape)
            strang(v, self.D, *self._joined, dt, n_steps, mode)
            return v
        d = len(self.shape)
        if d == 1:
            for _ in range(n_steps):
                self.sweep(v, 0, dt, mode)
            return v
        self.sweep(v, 0, dt / 2, mode)
        for k in range(n_steps):
            self._inner_axes(v, dt, mode)
            self.sweep(v, 0, dt if k < n_steps - 1 else dt / 2, mode)
        return v

    def _inner_axes(self, v, dt, mode):
        """The symmetric step along all axes but the first."""
        if len(self.shape) == 2:
            self.sweep(v, 1, dt, mode)
        elif self.is_plain:
            from .sweep_kernels import planes_parallel
            planes_parallel(v, self.D, self.C[1], self.C[2], self.delta[1], self.delta[2], *self.shape, dt,
                            mode)
        else:
            self.sweep(v, 1, dt / 2, mode)
            self.sweep(v, 2, dt, mode)
            self.sweep(v, 1, dt / 2, mode)

    def operator(self, v):
        """sum over the axes of M^-1 K v: dv/dt = -operator(v)."""
        total = np.zeros_like(v)
        for axis in range(len(self.shape)):
            w = v.copy()
            self.sweep(w, axis, 0.0, 2)
            total += w
        return total

    def edges(self):
        """All edges as (I, J, c), flat indices of the two nodes and the conductance."""
        index = np.arange(self.W.size).reshape(self.shape)
        I, J = [], []
        for axis, is_ring in enumerate(self.periodic):
            after = np.roll(index, -1, axis)
            if not is_ring:
                keep = tuple(slice(None, -1) if a == axis else slice(None) for a in range(index.ndim))
                I.append(index[keep].ravel())
                J.append(after[keep].ravel())
            else:
                I.append(index.ravel())
                J.append(after.ravel())
        return np.concatenate(I), np.concatenate(J), np.concatenate(self.C)

    def components(self):
        """Number of connected parts of the domain and the part of each node (N,), -1 outside."""
        if self.inside is None:
            return 1, None
        I, J, c = self.edges()
        open_edges = c > 0
        n = self.W.size
        graph = coo_matrix((np.ones(open_edges.sum(), np.int8), (I[open_edges], J[open_edges])), shape=(n, n))
        _, part = connected_components(graph, directed=False)
        names, part_inside = np.unique(part[self.inside], return_inverse=True)
        label = np.full(n, -1)
        label[self.inside] = part_inside
        return names.size, label


def positions(grid):
    """Node positions of each axis with one more at the end (see Lines.x)."""
    out = []
    for axis, centres in enumerate(grid.centres):
        low, high = grid.bounds[axis]
        last = centres[0] + (high - low) if grid.periodic[axis] else 2 * high - centres[-1]
        out.append(np.append(centres, last))
    return out
