"""Bounds of a capacity in the continuum: Dirichlet's principle from above, Thomson's from below.

cap = min theta int M |grad h|^2 e^{-beta f} over h = 0 on A and 1 on B, and 1/cap = min int |j|^2 e^{beta f}
/ (theta M) over flows j without sources that carry 1 from A to B [1]_. Any h and any j give a bound, whatever
the chain that they are made from:

- h is multilinear in each cell between its corners, where it is the mean of the committor in the cells that
  meet there;
- j is the flow of a chain through the faces, linear in each cell between opposite faces (Raviart and Thomas),
  so that no source is left.

Both are integrated over the cells by Gauss quadrature. Both bounds close with h^2 where A and B are made of
whole cells. A cell that the boundary of A cuts belongs to A for the upper bound and not for the lower one,
since a capacity grows with its sets: still two bounds, which close as fast where A and B lie deep in wells,
so that it hardly matters how large they are, and with h elsewhere. No lower bound is given (0) where the
chain is so large that it is solved by iteration.

References
----------
.. [1] A. Bovier, F. den Hollander, Metastability: A Potential-Theoretic Approach (Springer, 2015), chapter 7.
"""
from __future__ import annotations

import hashlib

import numpy as np

from ...core.grid import Grid
from ...core.logarithms import log_sum
from ...potentials.regions.shapes import Region
from ..gibbs.cut_cells import boxes_of
from ..gibbs.quadrature import tensor_rule
from ..gibbs.region_masses import region_masses
from .killed_chain import KilledChain

# Gauss points an axis in cells where beta f changes by up to CHANGES, and more
POINTS = {1: (8, 16, 48), 2: (6, 10, 20), 3: (4, 6, 10)}
CHANGES = 3.0, 10.0
# of the mass of a cell: less of it in a region, or outside, is the rounding of a boundary along its face
WHOLE = 1e-9
SLACK = 1e-9                       # what the sums may be off
AGREED = 1e-9                      # of the current out of A and into B
AT_ONCE = 1_000_000


def log_bracket(diffusion, pair):
    """log of a lower and of an upper bound of the capacity, in units of int exp(-beta (f - f0)); `pair`: the
    two regions on this grid."""
    if diffusion._space.mobility.is_full:
        raise ValueError("the bracket of a capacity needs a mobility along the axes: a number, or one for "
                         "each axis.")
    if not pair.is_reachable:
        return -np.inf, -np.inf
    touched, within = zip(*(_cells_of(diffusion, r) for r in pair.out.regions))
    low = _thomson(diffusion, within) - SLACK if within[0].any() and within[1].any() else -np.inf
    high = _dirichlet(diffusion, pair, touched) + SLACK if not _meet(touched, diffusion.grid) else np.inf
    return low, high


def _cells_of(diffusion, region):
    """Cells that a region touches, and those that lie wholly in it: bool, shape grid.shape."""
    parts = region_masses(diffusion._space.without_region(), region)
    within, touched = parts.whole.copy(), parts.whole.copy()
    with np.errstate(invalid="ignore"):
        share = np.exp(parts.masses.log_mass - diffusion._cell_masses.log_mass[parts.cut])
    touched[parts.cut], within[parts.cut] = share > WHOLE, share > 1 - WHOLE
    return touched.reshape(diffusion.grid.shape), within.reshape(diffusion.grid.shape)


# ----------------------------------------------------------------------------------------------------------
# from above
def _dirichlet(diffusion, pair, touched):
    """log of the energy of the committor between the corners of the cells."""
    space, grid, d = diffusion._space, diffusion.grid, diffusion.grid.ndim
    cells = np.flatnonzero(diffusion.inside)
    # h and 1 - h, each without subtraction: in a cell the smaller one counts, else the digits of small slopes
    # are lost
    both = [_at_corners(grid, _on_cells(pair, q, k), touched[k], touched[1 - k])
            .reshape(grid.n_cells, -1)[cells] for k, q in enumerate((pair.q_target, pair.q_source))]
    h = np.where((both[0].max(1) <= both[1].max(1))[:, None], *both)
    size = np.ptp(h, axis=1)
    logs = []
    for part, nodes, weights, resistances in _quadrature(space, cells[size > 0]):
        part = np.flatnonzero(size > 0)[part]
        low = np.min([r.min(1) for r in resistances], axis=0)
        energy = 0.0
        for k in range(d):
            width = grid.widths[k][np.unravel_index(cells[part], grid.shape)[k]]
            slope = (h[part] / size[part, None]) @ _slopes(nodes, k).T / width[:, None]
            energy = energy + slope**2 * np.exp(low[:, None] - resistances[k])
        logs.append(np.log(energy @ weights) + 2 * np.log(size[part]) - low
                    + np.log(grid.volumes.ravel()[cells[part]]))
    return log_sum(np.concatenate(logs)) + np.log(space.theta)


def _on_cells(pair, q, k):
    """Committor on the cells, 0 in region k and 1 in the other; NaN where there is none."""
    out = pair.out
    values = np.full(out.grid.n_cells, np.nan)
    values[out.ids] = np.where(out.reaches_boundary, q, np.nan)
    values[out.in_region[k].ravel()], values[out.in_region[1 - k].ravel()] = 0.0, 1.0
    return values.reshape(out.grid.shape)


def _at_corners(grid, values, zero, one):
    """Values at the 2^d corners of each cell (*shape, 2^d): means over the cells that meet there, 0 and 1 at
    the corners of two sets of cells."""
    known = np.isfinite(values)
    total, count = _gathered(grid, np.where(known, values, 0.0)), _gathered(grid, known.astype(float))
    corner = np.divide(total, count, out=np.zeros(total.shape), where=count > 0)
    corner[_gathered(grid, one.astype(float)) > 0] = 1.0
    corner[_gathered(grid, zero.astype(float)) > 0] = 0.0
    return np.stack([corner[tuple(slice(s, s + n) for s, n in zip(shift, grid.shape))]
                     for shift in np.ndindex(*(2,) * grid.ndim)], axis=-1)


def _gathered(grid, values):
    """Sums over the cells that meet at each corner, shape + 1 along each axis; around on a ring."""
    for k, is_ring in enumerate(grid.periodic):
        padded = np.pad(values, [(1, 1) if a == k else (0, 0) for a in range(grid.ndim)],
                        "wrap" if is_ring else "constant")
        n = padded.shape[k]
        values = np.take(padded, range(n - 1), k) + np.take(padded, range(1, n), k)
    return values


def _meet(sets, grid):
    """Whether cells of the two sets share a corner."""
    return bool(((_gathered(grid, sets[0].astype(float)) > 0)
                 & (_gathered(grid, sets[1].astype(float)) > 0)).any())


def _slopes(nodes, axis):
    """Derivatives along an axis of the multilinear functions of the corners of the unit cube, at nodes (m,
    d): (m, 2^d)."""
    d = nodes.shape[1]
    columns = []
    for shift in np.ndindex(*(2,) * d):
        parts = [np.where(s, 1.0, -1.0) if k == axis else (nodes[:, k] if s else 1 - nodes[:, k])
                 for k, s in enumerate(shift)]
        columns.append(np.prod(np.broadcast_arrays(*parts, nodes[:, 0])[:d], axis=0))
    return np.stack(columns, axis=1)


# ----------------------------------------------------------------------------------------------------------
# from below
class Cells(Region):
    """The cells of a grid that are marked, as a region."""

    has_distance = False
    is_distance_exact = False

    def __init__(self, grid, marked):
        self.grid, self.marked, self.ndim = grid, marked, grid.ndim

    def _contains(self, x):
        index = [np.clip(np.searchsorted(e, x[..., k], side="right") - 1, 0, n - 1)
                 for k, (e, n) in enumerate(zip(self.grid.edges, self.grid.shape))]
        return self.marked[tuple(index)]

    def to_dict(self):
        return {"region": "cells", "of": hashlib.sha256(np.packbits(self.marked).tobytes()).hexdigest(),
                "shape": list(self.grid.shape)}

    def __repr__(self):
        return f"{int(self.marked.sum())} cells"


def _thomson(diffusion, within):
    """log of I^2 over the energy of a flow that carries I from one set of cells to the other."""
    space, grid, d = diffusion._space, diffusion.grid, diffusion.grid.ndim
    # no flow through the rim, where conductances are cut to the range of floats and exp(beta f) is huge
    kept = diffusion.inside & ((space.B.reshape(grid.shape) <= space.weight_limit) | within[0] | within[1])
    try:
        out = KilledChain(diffusion.on(_masked(grid, kept)), [Cells(grid, within[0]), Cells(grid, within[1])])
    except ValueError:                                # nothing lies between
        return -np.inf
    if not (out.reaches(0) & out.reaches(1)).any() or out.is_large:  # a solution by iteration leaves sources
        return -np.inf
    # of the symmetric chain: its flow has no sources
    q_source, q_target = out.factors().solve(np.stack(out.killings[:2]))
    flow = [np.zeros([n + (k == a) for a, n in enumerate(grid.shape)]) for k in range(d)]
    near = q_target[out.I] + q_target[out.J] < q_source[out.I] + q_source[out.J]
    through = out.c * np.where(near, q_target[out.J] - q_target[out.I], q_source[out.I] - q_source[out.J])
    _add_edges(grid, flow, out.ids[out.I], out.ids[out.J], through)
    current = [_add_ends(out, flow, 0, q_target, 1.0), _add_ends(out, flow, 1, q_source, -1.0)]
    for k, is_ring in enumerate(grid.periodic):
        if is_ring:                                   # the last face is the first
            np.moveaxis(flow[k], k, 0)[-1] = np.moveaxis(flow[k], k, 0)[0]
    cells = np.flatnonzero(kept & ~within[0] & ~within[1])
    sides = []
    for k in range(d):
        low, high = (np.take(flow[k], range(s, s + grid.shape[k]), k).ravel()[cells] for s in (0, 1))
        area = (grid.volumes / np.reshape(grid.widths[k],
                                          [-1 if a == k else 1 for a in range(d)])).ravel()[cells]
        sides.append((low / area, high / area))
    size = np.max([np.maximum(np.abs(a), np.abs(b)) for a, b in sides], axis=0)
    used = np.flatnonzero(size > 0)
    logs = []
    for part, nodes, weights, resistances in _quadrature(space, cells[used]):
        at = used[part]
        top = np.max([r.max(1) for r in resistances], axis=0)
        energy = 0.0
        for k in range(d):
            low, high = (s[at] / size[at] for s in sides[k])
            j = low[:, None] * (1 - nodes[:, k]) + high[:, None] * nodes[:, k]
            energy = energy + j**2 * np.exp(resistances[k] - top[:, None])
        logs.append(np.log(energy @ weights) + 2 * np.log(size[at]) + top
                    + np.log(grid.volumes.ravel()[cells[at]]))
    # probabilities that left the range of floats took flow with them
    if not min(current) > (1 - AGREED) * max(current):
        return -np.inf
    return 2 * float(np.log(min(current))) - log_sum(np.concatenate(logs)) + np.log(space.theta)


def _masked(grid, kept):
    if grid.is_uniform:
        return Grid(grid.bounds, grid.shape, grid.periodic, kept)
    return Grid.from_edges(grid.edges, grid.periodic, kept)


def _add_edges(grid, flow, a, b, through):
    """Flow from cell a to cell b > a, neighbours along an axis or around it, added to the face between
    them."""
    A, B = (np.array(np.unravel_index(i, grid.shape)) for i in (a, b))
    axis = np.argmax(A != B, axis=0)
    for k in range(grid.ndim):
        at = np.flatnonzero(axis == k)
        # from the first cell of a ring to its last, backwards through the first face
        is_around = B[k, at] - A[k, at] != 1
        place = [B[i, at] for i in range(grid.ndim)]
        place[k] = np.where(is_around, 0, B[k, at])
        flow[k][tuple(place)] += np.where(is_around, -1.0, 1.0) * through[at]


def _add_ends(out, flow, k, q, sign):
    """Flow out of the cells of region k (sign 1) or into them (-1) to the states beside them, added to the
    faces; the current."""
    grid, held = out.grid, out.in_region[k]
    place, total = np.array(np.unravel_index(out.ids, grid.shape)), 0.0
    for axis, logs in enumerate(out._by_axis[k]):
        n, is_ring = grid.shape[axis], grid.periodic[axis]
        # before, after
        lies = [np.roll(held, s, axis).ravel()[out.ids] & (is_ring | (place[axis] != edge))
                for s, edge in ((1, 0), (-1, n - 1))]
        through = out.scaled(logs) * q / np.maximum(lies[0] + lies[1].astype(int), 1)
        for s in (0, 1):
            face = place[:, lies[s]]
            face[axis] = (face[axis] + s) % n if is_ring else face[axis] + s
            flow[axis][tuple(face)] += (sign if s == 0 else -sign) * through[lies[s]]
            total += float(through[lies[s]].sum())
    return total


def _quadrature(space, cells):
    """Chunks (rows of `cells`, nodes (m, d) of the unit cube, weights, [beta (f - f0) - log M along each axis
    (n, m)])."""
    lower, width, _ = boxes_of(space.grid, cells)
    d = space.grid.ndim
    probes = np.stack(np.meshgrid(*[[0.0, 0.5, 1.0]] * d, indexing="ij"), axis=-1).reshape(-1, d)
    B = space.exponent((lower[:, :, None] + width[:, :, None]
                        * probes.T[:, None]).reshape(d, -1)).reshape(cells.size, -1)
    kind = np.searchsorted(CHANGES, np.ptp(B, axis=1))
    for i, n in enumerate(POINTS[d]):
        rows = np.flatnonzero(kind == i)
        nodes, weights = tensor_rule(n, d)
        step = max(1, AT_ONCE // weights.size)
        for at in (rows[s:s + step] for s in range(0, rows.size, step)):
            X = (lower[:, at, None] + width[:, at, None] * nodes.T[:, None]).reshape(d, -1)
            B = space.exponent(X).reshape(at.size, -1)
            yield at, nodes, weights, [B - np.broadcast_to(space.mobility.log_along(k, X),
                                                           X.shape[1:]).reshape(B.shape) for k in range(d)]
