"""Absorbing sets and walls: edges shortened to the boundary, cell masses cut by it.

An edge that crosses the boundary at the fraction s of its length becomes killing with the conductance of the
part outside. The mass of a cell is the part outside the set. Symmetric, positive, and of order 2 in h.
"""
from __future__ import annotations

import numpy as np

from ..gibbs.cell_masses import integrate
from ..gibbs.cut_cells import boxes_of
from ..gibbs.region_masses import region_masses
from .chain import next_cells
from .coefficients import AxisEdges, face_area
from .edge_rules import linked, log_conductance
from .tensor_stencil import neighbours, selling

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
    if "outside" not in space.known:
        space.known["outside"] = _outside_fractions(space)
    return space.known["outside"]


def _outside_fractions(space):
    out = np.zeros(space.grid.n_cells)
    try:
        parts = region_masses(space, space.region)
    except ValueError:                       # the region only touches a wall
        return out
    if not parts.cut.size:
        return out
    lower, width, _ = boxes_of(space.grid, parts.cut)
    cells = integrate(space.exponent, [(lower, width, np.arange(parts.cut.size))], parts.cut.size)
    with np.errstate(invalid="ignore"):
        inside = np.exp(np.minimum(parts.masses.log_mass - cells.log_mass, 0.0))
    out[parts.cut] = np.log(np.clip(1 - np.nan_to_num(inside), LEAST_FRACTION, 1.0))
    return out


def wall_faces(space):
    """For each axis and direction: flat states whose face on that side is a wall (or the edge of the domain)
    inside the region."""
    grid, states = space.grid, space.states
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
                face = space.centres(flat)
                face[axis] = grid.edges[axis][np.unravel_index(flat, grid.shape)[axis] + (sign > 0)]
                flat = flat[space.region.contains(face.T)]
            yield flat, axis, sign


def cut_edges(space):
    """For each axis and direction: (axis, flat states, signed lengths, areas) of the edges that end in the
    region."""
    grid, states, absorbed = space.grid, space.states, space.absorbed
    for axis in range(grid.ndim):
        is_linked = linked(space.inside, axis, grid.periodic[axis])
        after = lambda cells, axis=axis: np.roll(cells, -1, axis)
        for cut, sign in ((states & after(absorbed), 1.0), (absorbed & after(states), -1.0)):
            a = np.flatnonzero(cut & is_linked)
            if a.size:
                b = next_cells(grid.shape, axis, a)
                e = AxisEdges(grid, axis, a, b)
                yield axis, a if sign > 0 else b, sign * e.length, e.area


def cut_walls(space):
    """The same for the ways from cells to walls inside the region."""
    for flat, axis, sign in wall_faces(space):
        if flat.size:
            place = np.unravel_index(flat, space.grid.shape)
            yield (axis, flat, sign * space.grid.widths[axis][place[axis]] / 2,
                   face_area(space.grid, axis, place))


def axis_cuts(space):
    """For each axis and direction (axis, sign, flat states, distance to the boundary): edges and walls that
    the region cuts."""
    for cuts in (cut_edges, cut_walls):
        for axis, flat, length, _ in cuts(space):
            step = _shortened(space, space.centres(flat), space.along(axis, length))[0]
            yield axis, np.sign(length[0]), flat, np.abs(step[axis])


def ground(space, conductance, by_axis=False):
    """log of killing rate times mass (n_cells,); -inf where nothing is absorbed. `by_axis`: the part of each
    axis (ndim, n_cells)."""
    check_selection(space)
    tensor = space.mobility.matrix if space.mobility.is_full else None
    out = np.full((space.grid.ndim, space.grid.n_cells), -np.inf)
    if tensor is not None:
        _add_tensor(space, out[0], conductance)
    for cuts in ((cut_edges, cut_walls) if tensor is None else (cut_walls,)):
        for axis, flat, length, area in cuts(space):
            start = space.centres(flat)
            step, Bw = _shortened(space, start, space.along(axis, length))
            along, factor = (axis, 1.0) if tensor is None else (None, tensor[axis, axis])
            np.logaddexp.at(out[axis], flat, log_conductance(
                space, conductance, along, start, step, np.abs(step[axis]), area * factor, space.B[flat], Bw))
    return out if by_axis else np.logaddexp.reduce(out, axis=0)


def _shortened(space, start, step):
    """Steps cut at the boundary of the region, and beta (f - f0) there."""
    s = np.nan_to_num(space.region.crossing(start.T, (start + step).T), nan=1.0)
    step = step * np.clip(s, LEAST_FRACTION, 1.0)
    return step, space.exponent(start + step)


def _add_tensor(space, out, conductance):
    """Edges of the stencil of a tensor that end in the region."""
    grid = space.grid
    volume = float(np.prod(grid.h))
    for offset, weight in zip(*selling(space.mobility.matrix, grid.h)):
        for sign in (1, -1) if weight > 0 else ():
            a, b = neighbours(grid, space.inside, sign * offset)
            a = a[space.states.ravel()[a] & space.absorbed.ravel()[b]]
            if a.size:
                start = space.centres(a)
                whole = np.repeat((sign * offset * grid.h)[:, None], a.size, axis=1)
                step, Bw = _shortened(space, start, whole)
                s = np.sqrt((step ** 2).sum(0) / (whole ** 2).sum(0))
                np.logaddexp.at(out, a, log_conductance(space, conductance, None, start, step, s,
                                                        volume * weight, space.B[a], Bw))


def exit_points(diffusion, region, cells):
    """For each cell with killing the point of the boundary at the end of its shortest cut edge or wall (k,
    ndim)."""
    grid, space = diffusion.grid, diffusion._space
    region = region if diffusion.absorbing is None else diffusion.absorbing | region
    centres = space.centres(cells).T
    best, out = np.full(len(cells), np.inf), centres.copy()
    for axis in range(grid.ndim):
        width = grid.widths[axis][np.unravel_index(cells, grid.shape)[axis]]
        for reach in (-1.0, 1.0):
            ends, wall = centres.copy(), centres.copy()
            ends[:, axis] += reach * width
            wall[:, axis] += reach * width / 2
            s = region.crossing(centres, ends)
            at_wall = np.isnan(s) & region.contains(wall)
            distance = np.where(at_wall, 0.5, s) * width
            closer = distance < best                         # NaN is not
            best = np.where(closer, distance, best)
            out[closer] = centres[closer]
            out[closer, axis] += reach * distance[closer]
    return out
