"""The chain of a line whose potential is rough: kinks, jumps and poles wherever they lie in a cell.

Between two nodes stands the resistance int exp(beta f)/(theta M) of the adaptive panels that answer the
passage questions, in a cell its exact mass: both are right wherever in the cell f bends, jumps or diverges,
so that the error falls smoothly from grid to grid, where that of point masses depends on where the grid meets
the place.
"""
from __future__ import annotations

import numpy as np

from ..one_dimension.pieces import lines as intervals
from .grid_error import has_kinks, steepness
from .split_operator import UNSEEN, SplitOperator

ALIVE = 20.0                               # beta (f - f0) up to which a rough place matters
STEEP = 1.0                                # mean change of beta f between nodes at the start
LARGEST = 460.0  # log of the largest rate: sums and products with steps stay in range


def is_rough(lines, p, jump, problem):
    """True in one dimension where f bends sharply, jumps, or hides something in a cell, or M varies; unless
    the start p stands on a slope: there cell masses drift too slowly."""
    if len(lines.shape) > 1 or steepness(lines, p) > STEEP:
        return False
    slope = np.minimum(np.abs(np.gradient(lines.b)), 1.0)
    hidden = np.abs(jump - slope**2 / 24) > UNSEEN
    return callable(problem.mobility) or has_kinks(lines, reach=3) or bool(hidden[lines.b < ALIVE].any())


def exact_line(diffusion):
    """`SplitOperator` of order 2 with exact resistances and cell masses in one dimension, or None where the
    domain is not one whole interval, or holds what panels refuse."""
    grid, theta = diffusion.grid, float(diffusion.theta)
    try:
        parts, log_mass = intervals(diffusion), diffusion.cell_log_mass.ravel()
    except ValueError:
        return None
    low, high = grid.bounds[0]
    if len(parts) != 1 or parts[0].low != low or parts[0].high != high or not np.isfinite(log_mass).all():
        return None
    nodes, part = grid.centres[0], parts[0]
    is_ring = bool(grid.periodic[0])
    panels = part.panels.cut_at(nodes, part.function)
    middle = (panels.edges[1:] + panels.edges[:-1]) / 2
    edge = np.searchsorted(nodes, middle) - 1
    if is_ring:
        edge %= nodes.size                                 # what lies before the first node, too
    log_r = np.full(nodes.size if is_ring else nodes.size - 1, -np.inf)
    on = (edge >= 0) & (edge < log_r.size)
    np.logaddexp.at(log_r, edge[on], panels.resistance.log_whole[on])
    here = np.arange(log_r.size)
    up, down = (np.exp(np.clip(-log_r - log_mass[k], None, LARGEST)) for k in (here, (here + 1) % nodes.size))
    b = np.log(grid.volumes).ravel() - log_mass
    shift = float(b.min())
    # f0 moves with b: what is read from both is f itself
    lines = SplitOperator(grid, b - shift, [up], [down], [np.zeros(nodes.size)], None, theta, None,
                          diffusion.f0 + shift * theta, order=2, mobility=_typical(diffusion))
    return lines


def _typical(diffusion):
    M = diffusion._mobility
    if M.is_constant:
        return np.array(M.diagonal, float)
    return np.array([float(np.max(M.at(diffusion.grid.points.reshape(-1, 1))))])
