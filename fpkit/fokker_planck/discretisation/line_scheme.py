"""The exact chain of visits to the nodes on one axis, with walls and regions that cut edges."""
from __future__ import annotations

import numpy as np

from ..gibbs.cut_cells import WalledExponent, domain_rule
from .absorbing_boundary import check_selection
from .chain import Chain
from .edge_integrals import hats


def exact_line_chain(space, notes):
    """The exact chain of visits to the nodes in one dimension: stationary mass, committors, capacities and
    mean passage times between nodes are those of the continuum, on any mesh and at any temperature.
    """
    grid, n = space.grid, space.grid.n_cells
    states, theta, centre = space.states, space.theta, grid.centres[0]
    if space.region is not None:
        check_selection(space)
    e = space.pairs(0)
    log_mass, log_ground = np.full(n, -np.inf), np.full(n, -np.inf)
    R, left, right = hats(space, e.start, e.step)
    np.logaddexp.at(log_mass, e.a, left)
    np.logaddexp.at(log_mass, e.b, right)
    log_cond = np.log(theta) - R
    for i, step in _walls(space, absorbing=False):
        _, left, right = hats(space, centre[None, i], step[None])
        np.logaddexp.at(log_mass, i, np.logaddexp(left, right))
    if space.region is not None:
        for i, step in line_cuts(space):
            R, left, _ = hats(space, centre[None, i], step[None])
            np.logaddexp.at(log_mass, i, left)
            np.logaddexp.at(log_ground, i, np.log(theta) - R)
    log_mass = np.where(states, log_mass, -np.inf)
    return Chain.of(log_mass, np.stack([e.a, e.b], axis=1), log_cond, log_ground, notes)


def _walls(space, absorbing):
    """1D: (states, steps to the wall or the edge of the domain beside them) on either side, where the region
    reaches the wall or where it does not."""
    e, n = space.axis_edges[0], space.grid.n_cells
    linked = np.zeros((2, n), bool)                      # has an inside neighbour before, after it
    linked[1, e.a] = linked[0, e.b] = True
    for side in (0, 1):
        i = np.flatnonzero(space.states & ~linked[side])
        wall = _end_of_domain(space, i, side)
        is_in = np.zeros(i.size, bool) if space.region is None else space.region.contains(wall[:, None])
        if (is_in == absorbing).any():
            yield i[is_in == absorbing], (wall - space.grid.centres[0][i])[is_in == absorbing]


def _end_of_domain(space, i, side):
    """1D: where the domain ends beside cells i without an inside neighbour there: at the face, or where f
    becomes infinite or the rule of a mask ends on the way to the next centre."""
    grid, rule = space.grid, domain_rule(space.exponent.potential, space.grid)
    face, centre = grid.edges[0][i + side], grid.centres[0][i]
    if not i.size or rule is None and not np.isinf(space.energies).any():
        return face
    walled, half = WalledExponent(space.exponent, rule), np.abs(face - centre)
    beyond = np.clip(i + 2 * side - 1, 0, grid.n_cells - 1)
    step = half + np.where(beyond == i, 0.0, grid.widths[0][beyond] / 2) * (not grid.has_array_mask)
    low, high = centre, centre + (2 * side - 1) * step
    is_open = walled(high[None]) < np.inf                # a mask of cells, or the wall of the box
    for _ in range(60):
        middle = (low + high) / 2
        is_in = walled(middle[None]) < np.inf
        low, high = np.where(is_in, middle, low), np.where(is_in, high, middle)
    return np.where(is_open, face, low)


def line_cuts(space):
    """1D: (states, steps to the boundary of the region beside them), for each direction, where an edge or the
    way to a wall meets it."""
    e, centre = space.axis_edges[0], space.grid.centres[0]
    for i, step in _walls(space, absorbing=True):
        yield i, _crossing(space.region, centre[i], step)
    for here, there, sign in ((e.a, e.b, 1.0), (e.b, e.a, -1.0)):
        pick = space.states[here] & space.absorbed[there]
        if pick.any():
            yield here[pick], _crossing(space.region, centre[here[pick]], sign * e.length[pick])


def _crossing(region, start, step):
    """Steps shortened to the boundary of the region."""
    s = region.crossing(start[:, None], (start + step)[:, None])
    return step * np.clip(np.nan_to_num(s, nan=1.0), 1e-12, 1.0)
