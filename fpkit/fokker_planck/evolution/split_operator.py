"""The reversible chain of a grid axis by axis, in rates, and steps split into lines.

This is the evolution scheme of order 4 (NUMERICS of the project, "line quadrature, point masses, order-4
mass"): every axis shares the node masses D = exp(-beta f), so that axes split without cross terms and sum p
is kept by every sub-step. Only the rates c/D of the edges are held: no exponential of f itself, so that no
height is out of range.
"""
from __future__ import annotations

import math
from functools import reduce

import numpy as np

from ...core.compilation.kernels import PARALLEL_CELLS
from ...core.networks import connected_parts

UNSEEN = 0.05  # log of a cell's mass over what its nodes see of it, from which it has a pole or a hidden well

REACH_OF_POLE = 8  # cells beside a pole whose masses are completed


class SplitOperator:
    """Rates between the nodes (cell centres) of one potential on one grid at one temperature.

    Attributes
    ----------
    shape : tuple
    b : ndarray (N,)
        beta (f - f0) on the nodes, 0 outside the domain (where every rate is 0).
    up, down : list of ndarray
        Rates along axis a, from a node to the next one and back, flat from shape (..., n_a - 1, ...) or, on a
        periodic axis, (..., n_a, ...).
    delta : list of ndarray (n_a,)
        h^2/(12 theta mobility) of each edge of a line; zeros for the scheme of order 2.
    mobility : ndarray (ndim,)
        Typical mobility of each axis.
    killing : ndarray (N,) or None
        Rate at which each node is absorbed; it acts in the lines of the first axis.
    inside : ndarray of bool (N,), or None when all nodes are
    volumes : ndarray (N,) or None
        Cell volumes over their mean; None on uniform axes.
    work : list of ndarray or None
        Work of a force along the edges over theta: a line has the potential b less the work, each axis its
        own.
    x : list of ndarray (n_a + 1,)
        Node positions and one more: the first node a period on, or beyond the wall.
    """

    is_split = True
    nodes_are_cells = False            # True: a cell probability is the probability of its node

    def __init__(self, grid, b, up, down, delta, killing=None, theta=1.0, inside=None, f0=0.0, order=4,
                 mobility=None, work=None):
        self.mobility = np.ones(grid.ndim) if mobility is None else mobility
        self.grid, self.shape, self.periodic = grid, grid.shape, grid.periodic
        self.b, self.up, self.down, self.delta = b, up, down, delta
        self.theta, self.f0, self.order = theta, f0, order
        self.killing, self.inside, self.work = killing, inside, work
        self.volumes = None if grid.is_uniform else (grid.volumes / grid.volumes.mean()).ravel()
        self.x = positions(grid)
        self.is_plain = killing is None and not any(grid.periodic)
        self.is_parallel = b.size >= PARALLEL_CELLS
        self._joined = None
        self._look()

    @property
    def masses(self):
        """exp(-beta (f - f0)) times the relative volume (N,), 0 outside; it may underflow far up."""
        D = np.exp(-self.b)
        if self.volumes is not None:
            D *= self.volumes
        if self.inside is not None:
            D[~self.inside] = 0.0
        return D

    def take_cell_masses(self, jump):
        """Nodes at a pole or in a well that no neighbour sees take the mass of their cell; True if there are
        any.

        Point masses are the better ones wherever drift matters. But a pole x^-0.8 at a wall, or a well
        narrower than a cell, holds several times what its node says. In one dimension any node that lies
        below its neighbours may be one, in more only those at a wall, where the rates along it keep their
        ratios.

        Parameters
        ----------
        jump : ndarray (N,)
            log of the mass of a cell over what its node says.
        """
        b, jump = self.b.reshape(self.shape), jump.reshape(self.shape)
        inside = np.ones(self.shape, bool) if self.inside is None else self.inside.reshape(self.shape)
        lowest, is_pole, both = [], np.zeros(self.shape, bool), []
        for axis, is_ring in enumerate(self.periodic):
            rises, closed = [], []
            for step in (1, -1):
                is_open = np.roll(inside, step, axis) & inside
                if not is_ring:
                    is_open[(slice(None),) * axis + (0 if step == 1 else -1,)] = False
                rises.append(np.where(is_open, np.roll(b, step, axis) - b, 0.0))
                closed.append(~is_open)
            lowest.append((rises[0] >= 0) & (rises[1] >= 0))
            is_pole |= lowest[-1] & (closed[0] | closed[1] | (len(self.shape) == 1))
            both.append((rises, closed))
        is_pole &= inside
        if not is_pole.any():
            return False
        seen = np.zeros(self.shape)
        for rises, closed in both:
            slope = np.minimum(np.abs(rises[0] - rises[1]) / np.where(closed[0] | closed[1], 1, 2), 1.0)
            seen += slope**2 / 24  # log of the mean of exp(slope x) over the cell
        gain = np.where(is_pole & (np.abs(jump - seen) > UNSEEN), jump, 0.0)
        if not gain.any():
            return False
        for place in zip(*np.nonzero(gain)):
            gain[place] += self._missing(place, b, jump, lowest, inside)
        for axis, is_ring in enumerate(self.periodic):
            first = (slice(None),) * axis + (slice(None, None if is_ring else -1),)
            own = gain, np.where(lowest[axis], 0.0, gain)
            here, along = (a[first].ravel() for a in own)
            there, beyond = (np.roll(a, -1, axis)[first].ravel() for a in own)
            common = (along + beyond) / 2
            self.up[axis] = self.up[axis] * np.exp(common - here)
            self.down[axis] = self.down[axis] * np.exp(common - there)
        self.b = self.b - gain.ravel()
        self._joined = None
        self._look()
        return True

    def _missing(self, place, b, jump, lowest, inside):
        """log of what a pole has to take over besides its own cell: what the point masses of the next cells
        lack, but for the share that the order-4 rule of smooth cells makes up for (Euler and Maclaurin's
        first term at the last of them)."""
        lacking = 0.0
        for axis, n in enumerate(self.shape):
            if not lowest[axis][place]:
                continue
            line = [slice(k, k + 1) for k in place]
            line[axis] = slice(None)
            rise, gap = (a[tuple(line)].ravel() for a in (b, jump))
            is_open, i = inside[tuple(line)].ravel(), place[axis]
            mass = np.exp(np.clip(rise[i] - rise - jump[place], -700.0, 50.0))
            for step in (1, -1):
                k = i + step
                while 0 <= k < n and abs(k - i) <= REACH_OF_POLE and is_open[k] and abs(gap[k]) < UNSEEN:
                    lacking += mass[k] * np.expm1(gap[k])
                    k += step
                if 0 <= k < n and is_open[k] and abs(k - i) > 1:
                    lacking -= (mass[k] - mass[k - step]) / 24
        return np.log1p(lacking) if abs(lacking) < 0.5 else 0.0

    def _look(self):
        """Whether the order-4 mass is held back on some edge, so that the kernels have to look at each."""
        self.is_capped = any(6 * d.max(initial=0.0) * max(u.max(initial=0.0), w.max(initial=0.0)) > 1
                             for d, u, w in zip(self.delta, self.up, self.down))

    @property
    def is_driven(self):
        """Whether the lines of different axes share no stationary state."""
        return self.work is not None

    def heights(self, axis):
        """Potential of the lines along an axis over theta, shape (n_0, ...): b, less the work since the first
        node."""
        b = self.b.reshape(self.shape)
        if self.work is None:
            return b
        work = self.work[axis].reshape(*self.shape[:axis], -1, *self.shape[axis + 1:])
        done = np.cumsum(work, axis)[(slice(None),) * axis + (slice(self.shape[axis] - 1),)]
        return b - np.concatenate([np.zeros_like(np.take(b, [0], axis)), done], axis)

    def _block(self, axis):
        """Numbers of nodes before, along and after an axis."""
        return math.prod(self.shape[:axis]), self.shape[axis], math.prod(self.shape[axis + 1:])

    def sweep(self, p, axis, dt, mode):
        """Implicit step along one axis, in place."""
        block, rates = self._block(axis), (self.up[axis], self.down[axis])
        if self.is_plain:
            from .sweep_kernels import sweep, sweep_parallel
            (sweep_parallel if self.is_parallel else sweep)(p, *rates, self.delta[axis], block, dt, mode,
                                                            self.is_capped)
            return
        from .sweep_kernels import lines, lines_parallel
        killing = np.zeros(1) if self.killing is None or axis else self.killing
        (lines_parallel if self.is_parallel else lines)(p, *rates, killing, self.delta[axis],
                                                        self.periodic[axis], block, dt, mode)

    def strang(self, p, dt, n_steps=1, mode=1):
        """n_steps symmetric split steps of length dt on p (N,), in place; mode 1: SDIRK2, 0: backward Euler
        (positive)."""
        if self.is_plain and not self.is_parallel:
            from .sweep_kernels import strang
            if self._joined is None:
                self._joined = *map(np.concatenate, (self.up, self.down, self.delta)), np.array(self.shape)
            strang(p, *self._joined, dt, n_steps, mode, self.is_capped)
            return p
        if len(self.shape) == 1:
            for _ in range(n_steps):
                self.sweep(p, 0, dt, mode)
            return p
        self.sweep(p, 0, dt / 2, mode)
        for k in range(n_steps):
            self._inner_axes(p, dt, mode)
            self.sweep(p, 0, dt if k < n_steps - 1 else dt / 2, mode)
        return p

    def _inner_axes(self, p, dt, mode):
        """The symmetric step along all axes but the first."""
        if len(self.shape) == 2:
            self.sweep(p, 1, dt, mode)
        elif self.is_plain:
            from .sweep_kernels import planes_parallel
            planes_parallel(p, *(tuple(part[1:]) for part in (self.up, self.down, self.delta)), self.shape,
                            dt, mode, self.is_capped)
        else:
            self.sweep(p, 1, dt / 2, mode)
            self.sweep(p, 2, dt, mode)
            self.sweep(p, 1, dt / 2, mode)

    def _moved(self, p):
        """D M^-1 K D^-1 p of each axis."""
        for axis in range(len(self.shape)):
            w = p.copy()
            self.sweep(w, axis, 0.0, 2)
            yield w

    def operator(self, p):
        """sum over the axes of D M^-1 K D^-1 p: dp/dt = -operator(p)."""
        return reduce(lambda total, w: np.add(total, w, out=total), self._moved(p))

    def traffic(self, p):
        """L1 norms of what the axes move, each by itself, in a unit of time."""
        return sum(float(np.abs(w).sum()) for w in self._moved(p))

    def edges(self):
        """All edges as (I, J, up, down): flat indices of the two nodes and the rates from I to J and back."""
        index = np.arange(self.b.size).reshape(self.shape)
        I, J = [], []
        for axis, is_ring in enumerate(self.periodic):
            keep = (slice(None),) * axis + (slice(None, None if is_ring else -1),)
            I.append(index[keep].ravel())
            J.append(np.roll(index, -1, axis)[keep].ravel())
        return tuple(map(np.concatenate, (I, J, self.up, self.down)))

    def components(self):
        """Number of connected parts of the domain and the part of each node (N,), -1 outside."""
        if self.inside is None:
            return 1, None
        I, J, up, down = self.edges()
        is_open = up + down > 0
        part = connected_parts(self.b.size, np.stack([I[is_open], J[is_open]], axis=1))
        names, part_inside = np.unique(part[self.inside], return_inverse=True)
        label = np.full(self.b.size, -1)
        label[self.inside] = part_inside
        return names.size, label


def positions(grid):
    """Node positions of each axis with one more at the end (see `SplitOperator.x`)."""
    out = []
    for axis, centres in enumerate(grid.centres):
        low, high = grid.bounds[axis]
        last = centres[0] + (high - low) if grid.periodic[axis] else 2 * high - centres[-1]
        out.append(np.append(centres, last))
    return out
