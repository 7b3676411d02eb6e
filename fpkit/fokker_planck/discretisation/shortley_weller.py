"""Cells beside a curved boundary, made consistent: the Shortley-Weller rows of the chain.

The chain itself takes a cut edge as it is, with the full width of its strip, and the open part of the cell as
its mass. That is symmetric, but off by a finite amount in the cells that are cut, and the error of order h^2
that comes of it changes erratically with the place of the boundary between the nodes. With a_k = the mass
that the hat along axis k keeps over the mass it would have, the row with edges along axis k weighted by the a
of the other axes and with mass m a_x a_y (a_z) is consistent to order h [1]_: the error is then h^2 times a
constant, and refinement can be extrapolated. For boundaries along the axes it is the tensor product of the
exact scheme in one dimension. The rows are not symmetric; they are solved by steps of the symmetric chain,
whose correction touches the cut cells only.

References
----------
.. [1] G. H. Shortley, R. Weller, J. Appl. Phys. 9, 334 (1938).
"""
from __future__ import annotations

import numpy as np

from .absorbing_boundary import axis_cuts
from .chain import next_cells
from .edge_integrals import hats

AGREED, STEPS = 1e-13, 60         # what repeated solves can agree to, and how many are cheap
ROUGH = 1e-6  # relative change after which steps that shrink no more have reached rounding
# bounds of a: (1/2, 1) where f changes little in a cell, and steps that converge anywhere
KEPT = np.log(0.4), np.log(1.25)


class ShortleyWellerRows:
    """Difference between the rows of cut cells and those of the symmetric chain, for an `KilledChain`.

    Attributes
    ----------
    cut : bool ndarray (n,)
    log_mass_factor : ndarray (n,)
        log of a_x a_y (a_z).
    grounds : list of ndarray (n,)
        Conductance into each region with the weights of the rows.
    """

    def __init__(self, out, space, grounds_by_axis):
        from scipy.sparse import csr_matrix
        log_a = _kept(space, out)
        self.log_mass_factor, self.cut = log_a.sum(0), (log_a != 0).any(0)
        # the weight of the edges along each axis, less 1
        excess, edges = np.zeros(log_a.shape), []
        excess[:, self.cut] = np.expm1(self.log_mass_factor[self.cut] - log_a[:, self.cut])
        for axis, a, b, c in (_links_at if out.is_on_cells else _edges_at)(out, self.cut):
            edges.append((a, b, excess[axis, a] * c))
        self.rows, self.columns, self.excess = (np.concatenate(part) for part in zip(*edges))
        self.grounds, self.excess_grounds = [], []
        for g in grounds_by_axis:
            at = None if g is None else np.flatnonzero(np.isfinite(g).any(0))
            for least, grounds in ((1.0, self.grounds), (0.0, self.excess_grounds)):
                grounds.append(None if g is None else np.zeros(out.n))
                if g is not None:
                    grounds[-1][at] = (out.scaled(g[:, at]) * (least + excess[:, at])).sum(0)
        h = sum((g for g in self.excess_grounds if g is not None), np.zeros(out.n))
        nodes = self.nodes = np.unique(np.concatenate([np.flatnonzero(self.cut), np.flatnonzero(h != 0),
                                                       self.rows, self.columns]))
        self._ids, self._h, k = out.ids, h[nodes], np.arange(nodes.size)
        self._row, self._column = np.searchsorted(nodes, self.rows), np.searchsorted(nodes, self.columns)
        data = np.concatenate([self.excess, -self.excess, self._h])
        at = np.concatenate([self._row, self._row, k]), np.concatenate([self._row, self._column, k])
        self.R = csr_matrix((data, at), shape=(nodes.size, nodes.size))

    def flow(self, v, region=None):
        """-R v (n,), from differences; with the excess of the region's own conductance where v is 1 on it."""
        out, v = np.zeros(v.size), v[self.nodes]
        h = 0.0 if region is None else self.excess_grounds[region][self.nodes]
        flow = np.bincount(self._row, self.excess * (v[self._column] - v[self._row]), v.size)
        out[self.nodes] = flow + h * (1 - v) - (self._h - h) * v
        return out

    def on_cells(self, free):
        """x -> R x for arrays on all cells of the grid, without the rows of states that are not `free`."""
        cells, is_row = self._ids[self.nodes], free[self.nodes]

        def product(x):
            out, v = np.zeros(x.size), x[cells]
            flow = np.bincount(self._row, self.excess * (v[self._row] - v[self._column]),
                               v.size) + self._h * v
            out[cells] = np.where(is_row, flow, 0.0)
            return out
        return product

    def improved(self, factors, v, extra):
        """v with (K + ground + R) v = b + extra, from the v with (K + ground) v = b: (p, n), by steps of the
        symmetric chain.

        The steps are taken at the cells beside the boundary alone: a step over v is largest there, since b >=
        0 elsewhere. v is given back as it is where the steps do not converge: where f changes by many theta
        in a cell and the boundary lies there.
        """
        if not self.nodes.size:
            return v
        at, solve, last = v[:, self.nodes], factors.near(self.nodes), np.inf
        r, total = extra[:, self.nodes] - (self.R @ at.T).T, np.zeros(v.shape)
        for _ in range(STEPS):
            with np.errstate(all="ignore"):
                step = solve(r)
                change = float(np.nanmax(np.where(at > 0, np.abs(step) / at, 0.0), initial=0.0))
            if not np.isfinite(step).all():
                return v
            total[:, self.nodes] += r
            if change < AGREED or change < ROUGH and change > last / 2:  # what no longer shrinks is rounding
                break
            last, r = change, -(self.R @ step.T).T
        found = v + factors.solve_signed(total)
        return found if change < 10 * ROUGH and (found >= 0).all() else v


def _edges_at(out, cut):
    """(axis, a, b, c) of the edges that leave the states in `cut`."""
    for a, b in ((out.I, out.J), (out.J, out.I)):
        at = np.flatnonzero(cut[a])
        yield np.argmax(out.X[:, a[at]] != out.X[:, b[at]], axis=0), a[at], b[at], out.c[at]


def _links_at(out, cut):
    """The same from conductances on cells."""
    states = np.flatnonzero(cut)
    cells = out.ids[states]
    for axis in range(out.grid.ndim):
        for sign in (1, -1):
            other = next_cells(out.grid.shape, axis, cells, sign)
            c = out.laplacian.links[axis, cells if sign > 0 else other]
            at = np.flatnonzero(c > 0)
            yield axis, states[at], np.searchsorted(out.ids, other[at]), c[at]


def _kept(space, out):
    """log of the mass that the hat along each axis keeps, over the mass it has without the region (d, n); 0
    where nothing is cut."""
    grid, d = space.grid, space.grid.ndim
    place = np.full(grid.n_cells, -1)
    place[out.ids] = np.arange(out.n)
    distance = np.full((d, 2, out.n), np.nan)
    for axis, sign, flat, s in axis_cuts(space):
        distance[axis, int(sign > 0), place[flat]] = s
    log_a = np.zeros((d, out.n))
    for axis in range(d):
        at = np.flatnonzero(np.isfinite(distance[axis]).any(0))
        if not at.size:
            continue
        kept, whole = np.full(at.size, -np.inf), np.full(at.size, -np.inf)
        for side, sign in ((0, -1.0), (1, 1.0)):
            s = distance[axis, side, at]
            half = grid.widths[axis][np.unravel_index(out.ids[at], grid.shape)[axis]] / 2
            start = space.centres(out.ids[at])
            _, left, right = hats(space, start, space.along(axis, sign * half), axis)
            part = np.logaddexp(left, right)
            whole = np.logaddexp(whole, part)
            cut = np.isfinite(s)
            if cut.any():
                part[cut] = hats(space, start[:, cut], space.along(axis, sign * s[cut]), axis)[1]
            kept = np.logaddexp(kept, part)
        log_a[axis, at] = np.clip(kept - whole, *KEPT)
    return log_a
