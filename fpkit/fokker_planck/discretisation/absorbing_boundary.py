"""Absorbing sets and walls: edges shortened to the boundary, cell masses cut by it.

An edge that crosses the boundary at the fraction s of its length becomes killing with the conductance of the
part outside. The mass of a cell is the part outside the set. Symmetric, positive, and of order 2 in h.
"""
from __future__ import annotations

import numpy as np

from .tensor_stencil import selling

LEAST_FRACTION = 1e-3  # of an edge and of a cell: a boundary through a node must not make an infinite rate


def check_selection(space):
    """An absorbing set must take away some cells or a wall, and leave some."""
    if not space.states.any():
        raise ValueError("the absorbing region covers every cell; nothing is left to diffuse.")
    if not space.absorbed.any() and not any(face[0].size for face in wall_faces(space)):
        raise ValueError(f"{space.region!r} selects no cell centre and no wall of the grid; enlarge it or "
                         "refine the grid.")


def outside_fractions(space):
    """log of the part of the Gibbs mass of each cell that lies outside the absorbing set (n_cells,), at least
    log(1e-3)."""
    from ..gibbs.cell_masses import integrate
    from ..gibbs.region_masses import _boxes_of, region_masses
    out = np.zeros(space.grid.n_cells)
    try:
        parts = region_masses(space, space.region)
    except ValueError:                       # the region only touches a wall
        return out
    if not parts.cut.size:
        return out
    lower, width, _ = _boxes_of(space.grid, parts.cut)
    cells = integrate(space.exponent, [(lower, width, np.arange(parts.cut.size))], parts.cut.size)
    with np.errstate(invalid="ignore"):
        inside = np.exp(np.minimum(parts.masses.log_mass - cells.log_mass, 0.0))
    out[parts.cut] = np.log(np.clip(1 - np.nan_to_num(inside), LEAST_FRACTION, 1.0))
    return out


def wall_faces(space):
    """For each axis and direction: flat states whose face on that side is a wall (or the edge of the domain)
    inside the region."""
    grid, states = space.grid, space.states
    points = None
    for axis in range(grid.ndim):
        for sign in (-1, 1):
            has_next = np.roll(space.inside, -sign, axis)
            if not grid.periodic[axis]:
                edge = [slice(None)] * grid.ndim
                edge[axis] = -1 if sign > 0 else 0
                has_next = has_next.copy()
                has_next[tuple(edge)] = False
            flat = np.flatnonzero(states & ~has_next)
            if flat.size:
                points = grid.points.reshape(-1, grid.ndim) if points is None else points
                place = np.unravel_index(flat, grid.shape)[axis]
                face = points[flat].copy()
                face[:, axis] = grid.edges[axis][place + (sign > 0)]
                flat = flat[space.region.contains(face)]
            yield flat, axis, sign


def axis_cuts(space):
    """For each axis and direction (axis, sign, flat states, distance to the boundary): edges and walls that
    the region cuts."""
    states, absorbed = space.states.ravel(), space.absorbed.ravel()
    for axis, e in enumerate(space.axis_edges):
        for here, there, sign in ((e.a, e.b, 1.0), (e.b, e.a, -1.0)):
            pick = states[here] & absorbed[there]
            if pick.any():
                flat = here[pick]
                yield axis, sign, flat, _distance(space, axis, flat, sign * e.part(pick).length)
    for flat, axis, sign in wall_faces(space):
        if flat.size:
            place = np.unravel_index(flat, space.grid.shape)
            yield axis, float(sign), flat, _distance(space, axis, flat,
                                                     sign * space.grid.widths[axis][place[axis]] / 2)


def _distance(space, axis, flat, length):
    start = _centres(space, flat)
    step = np.zeros(start.shape)
    step[axis] = length
    return np.abs(_shortened(space, start, step)[0][axis])


def ground(space, conductance, notes, by_axis=False):
    """log of killing rate times mass (n_cells,); -inf where nothing is absorbed. `by_axis`: the part of each
    axis (ndim, n_cells)."""
    check_selection(space)
    d = space.grid.ndim
    out = np.full((d, space.grid.n_cells), -np.inf)
    if not space.mobility.is_full:
        for axis, e in enumerate(space.axis_edges):
            states, absorbed = space.states.ravel(), space.absorbed.ravel()
            for here, there, sign in ((e.a, e.b, 1.0), (e.b, e.a, -1.0)):
                pick = states[here] & absorbed[there]
                if pick.any():
                    cut = e.part(pick)
                    _add(space, out[axis], conductance, axis, here[pick], sign * cut.length, cut.area)
    else:
        _add_tensor(space, out[0], conductance)
    for flat, axis, sign in wall_faces(space):
        if flat.size:
            place = np.unravel_index(flat, space.grid.shape)
            area = np.ones(flat.size)
            for k in range(d):
                if k != axis:
                    area = area * space.grid.widths[k][place[k]]
            _add(space, out[axis], conductance, axis, flat, sign * space.grid.widths[axis][place[axis]] / 2,
                 area)
    return out if by_axis else np.logaddexp.reduce(out, axis=0)


def _centres(space, flat):
    return np.stack([c[p] for c, p in zip(space.grid.centres, np.unravel_index(flat, space.grid.shape))])


def _shortened(space, start, step):
    """Steps cut at the boundary of the region, and beta (f - f0) there."""
    s = np.nan_to_num(space.region.crossing(start.T, (start + step).T), nan=1.0)
    step = step * np.clip(s, LEAST_FRACTION, 1.0)
    return step, space.exponent(start + step)


def _add(space, out, conductance, axis, flat, length, area):
    from .edge_rules import log_conductance
    start = _centres(space, flat)
    step = np.zeros(start.shape)
    step[axis] = length
    step, Bw = _shortened(space, start, step)
    rule = "quadrature" if conductance in ("face", "committor") else conductance
    if space.mobility.is_full:
        c = log_conductance(space, rule, None, start, step, np.abs(step[axis]),
                            area * space.mobility.matrix[axis, axis], space.B[flat], Bw) \
            if rule != "quadrature" else _line(space, start, step,
                                               space.theta * space.mobility.matrix[axis, axis] * area
                                               / np.abs(step[axis]))
    else:
        c = log_conductance(space, rule, axis, start, step, np.abs(step[axis]), area, space.B[flat], Bw)
    np.logaddexp.at(out, flat, c)


def _line(space, start, step, factor):
    from .edge_integrals import log_mean_resistance
    return np.log(factor) - log_mean_resistance(space, start, step, None)


def _add_tensor(space, out, conductance):
    """Edges of the stencil of a tensor that end in the region."""
    from .edge_rules import log_weight
    from .tensor_stencil import neighbours
    grid = space.grid
    volume = float(np.prod(grid.h))
    for offset, weight in zip(*selling(space.mobility.matrix, grid.h)):
        if weight <= 0:
            continue
        for sign in (1, -1):
            a, b = neighbours(grid, space.inside, sign * offset)
            pick = space.states.ravel()[a] & space.absorbed.ravel()[b]
            a = a[pick]
            if not a.size:
                continue
            start = _centres(space, a)
            whole = np.repeat((sign * offset * grid.h)[:, None], a.size, axis=1)
            step, Bw = _shortened(space, start, whole)
            s = np.sqrt((step ** 2).sum(0) / (whole ** 2).sum(0))
            factor = space.theta * volume * weight / s
            if conductance in ("quadrature", "face", "committor"):
                c = _line(space, start, step, factor)
            else:
                c = np.log(factor) + log_weight(space, conductance, start, step, space.B[a], Bw)
            np.logaddexp.at(out, a, c)


def exit_points(diffusion, region, cells):
    """For each cell with killing the point of the boundary at the end of its shortest cut edge or wall (k,
    ndim)."""
    grid, space = diffusion.grid, diffusion._space
    region = region if diffusion.absorbing is None else diffusion.absorbing | region
    centres = _centres(space, cells).T
    best, out = np.full(len(cells), np.inf), centres.copy()
    for axis in range(grid.ndim):
        width = grid.widths[axis][np.unravel_index(cells, grid.shape)[axis]]
        for reach in (-1.0, 1.0):
            ends = centres.copy()
            ends[:, axis] += reach * width
            s = region.crossing(centres, ends)
            wall = centres.copy()
            wall[:, axis] += reach * width / 2
            at_wall = np.isnan(s) & region.contains(wall)
            distance = np.where(at_wall, 0.5, s) * width
            closer = distance < best                         # NaN is not
            best = np.where(closer, distance, best)
            out[closer, axis] = centres[closer, axis] + reach * distance[closer]
            for other in range(grid.ndim):
                if other != axis:
                    out[closer, other] = centres[closer, other]
    return out
