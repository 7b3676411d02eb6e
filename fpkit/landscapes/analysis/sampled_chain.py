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

HIGHEST = 600.0  # theta above the lowest sample from which on the loss rises only logarithmically


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
    log_mass : ndarray (n_cells,)
        log of volume * exp(-beta (f - f0)), -inf outside; `cell_log_mass` is the same.
    edges, log_conductance : ndarray (n_edges, 2), (n_edges,)
        Pairs of flat cell indices and log c; the rate from a to b is c / mass[a].
    """
    scheme = "samples"
    # evolve: a cell probability is node mass times node value, nothing is averaged in between
    nodes_are_cells = True
    ground = None

    def __init__(self, land, theta, mobility=None, highest=HIGHEST):
        if not land.is_uniform:
            raise ValueError("the samples are not evenly spaced; the chain needs even spacing on each axis.")
        self.theta, self.beta = float(theta), 1 / float(theta)
        self.potential = land
        self.mobility = np.eye(land.ndim) if mobility is None else np.asarray(mobility, float)
        valid, loss = land.valid.T, land.loss.T
        self.grid = Grid([(e[0], e[-1]) for e in land.edges], valid.shape,
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
        self.log_mass = np.log(volume) - scaled
        self.cell_log_mass = self.log_mass.reshape(self.grid.shape)
        pairs, logs = [], []
        flat = np.arange(valid.size).reshape(valid.shape)
        for step, weight in stencil(self.mobility, self.grid.h):
            low = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(step, valid.shape))
            high = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(step, valid.shape))
            is_edge = (valid[low] & valid[high]).ravel()
            a, b = flat[low].ravel()[is_edge], flat[high].ravel()[is_edge]
            pairs.append(np.stack([a, b], axis=1))
            logs.append(np.log(self.theta * volume * weight) - scaled[a]
                        + log_bernoulli(scaled[b] - scaled[a]))
        self.edges, self.log_conductance = np.concatenate(pairs), np.concatenate(logs)

    def parts(self):
        """Number of the connected part of each cell, of shape grid.shape; -1 outside."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        n = self.log_mass.size
        graph = coo_matrix((np.ones(len(self.edges), np.int8), self.edges.T), shape=(n, n))
        part = connected_components(graph, directed=False)[1].reshape(self.grid.shape)
        return np.where(self.inside, part, -1)

    def symmetric_generator(self, cells=None):
        """S = D^1/2 L D^-1/2 of the generator L (rows of L sum to zero), a symmetric sparse matrix over the
        cells inside, and their indices.

        Given flat indices of `cells`, over these alone, all other cells and their edges left out.
        """
        from scipy.sparse import coo_matrix

        inside = np.flatnonzero(self.inside.ravel()) if cells is None else np.asarray(cells)
        place = np.full(self.log_mass.size, -1)
        place[inside] = np.arange(inside.size)
        used = (place[self.edges] >= 0).all(axis=1)
        (a, b), log_c = self.edges[used].T, self.log_conductance[used]
        with np.errstate(under="ignore"):
            off = np.exp(log_c - (self.log_mass[a] + self.log_mass[b]) / 2)
            out = np.bincount(place[a], np.exp(log_c - self.log_mass[a]), inside.size)
            out += np.bincount(place[b], np.exp(log_c - self.log_mass[b]), inside.size)
        k = np.arange(inside.size)
        i, j = place[a], place[b]
        return coo_matrix((np.r_[off, off, -out], (np.r_[i, j, k], np.r_[j, i, k])),
                          shape=(inside.size,) * 2).tocsc(), inside


def log_bernoulli(d):
    """log of d / (exp(d) - 1), finite for every finite d."""
    size = np.abs(d)
    with np.errstate(divide="ignore", invalid="ignore", under="ignore", over="ignore"):
        far = np.log(size) - np.log1p(-np.exp(-size)) - np.maximum(d, 0)
        # near 0 the quotient cancels: d/(exp(d) - 1) = exp(-d/2) (d/2)/sinh(d/2)
        near = -d / 2 - d * d / 24
    return np.where(size < 1e-3, near, far)


def stencil(mobility, h):
    """Offsets to neighbours and their weights >= 0 with sum w e e' = diag(1/h) M diag(1/h): Selling's
    decomposition.

    In the plane the superbase is reduced by Lagrange and Gauss and the offsets are its vectors turned by a
    right angle; in space it is reduced by Selling's own steps, and the offset of a pair is the cross product
    of the other two vectors.
    """
    E = np.asarray(mobility, float) / np.outer(h, h)
    if len(h) == 1:
        return [((1,), float(E[0, 0]))]
    base = _obtuse_plane(E) if len(h) == 2 else _obtuse_space(E)
    found = []
    for i in range(len(base)):
        for j in range(i):
            weight = -(base[i] @ E @ base[j])
            others = [base[k] for k in range(len(base)) if k not in (i, j)]
            step = (-others[0][1], others[0][0]) if len(h) == 2 else np.cross(*others)
            if weight > 1e-14 * np.trace(E):                   # less is the rounding of a weight that is zero
                found.append((tuple(int(s) for s in step), float(weight)))
    return found


def _obtuse_plane(E):
    u, v = np.array([1, 0]), np.array([0, 1])
    while True:
        if v @ E @ v < u @ E @ u:
            u, v = v, u
        q = int(np.rint((u @ E @ v) / (u @ E @ u)))
        if q == 0:
            break
        v = v - q * u
    if u @ E @ v > 0:
        v = -v
    return [u, v, -u - v]


def _obtuse_space(E):
    base = [*np.eye(3, dtype=int), -np.ones(3, int)]
    tiny = 1e-12 * np.trace(E)
    while True:
        pairs = [(base[i] @ E @ base[j], i, j) for i in range(4) for j in range(i)]
        largest, i, j = max(pairs)
        if largest <= tiny:
            return base
        for k in range(4):
            if k not in (i, j):
                base[k] = base[k] + base[i]
        base[i] = -base[i]
