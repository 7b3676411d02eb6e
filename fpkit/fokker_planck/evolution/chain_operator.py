"""Evolution on the chain of a diffusion as it is: named schemes, full mobility tensors, absorbing sets,
chains made elsewhere, lines with kinks, jumps and poles.

Where every edge joins neighbours along an axis the chain becomes lines and keeps the split steps; with the
stencil of a full tensor only steps of the whole grid are left. Order 2 in space (with absorbing sets the
order-4 mass is kept away from them).
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..one_dimension.pieces import lines as intervals
from .split_operator import SplitOperator

if TYPE_CHECKING:
    from ...core.grid import Grid
    from ..discretisation.chain import Chain

LARGEST = 460.0  # log of the largest rate: sums and products with steps stay in range


class ReversibleChain(Protocol):
    """What the evolution asks of a diffusion: `FokkerPlanck`, or samples of a landscape.

    Attributes
    ----------
    chain : Chain
        Masses, conductances and killing, in raw logarithms.
    cell_log_mass : ndarray, shape grid.shape
        log of int exp(-beta (f - f0)) over the cells, -inf outside.
    nodes_are_cells : bool
        True where a cell probability is the probability of its node, False where cell averages are read from
        node values.
    """
    grid: Grid
    inside: np.ndarray
    theta: float
    potential: Any
    mobility: Any
    scheme: str
    absorbing: Any
    f0: float
    nodes_are_cells: bool

    @property
    def chain(self) -> Chain: ...
    @property
    def cell_log_mass(self) -> np.ndarray: ...


class GraphOperator(SplitOperator):
    """A chain whose edges leave the axes: unsplit steps only."""
    is_split = False

    def __init__(self, grid, b, edges, killing, theta, inside, f0):
        super().__init__(grid, b, [], [], [], killing, theta, inside, f0, order=2)
        self._edges = edges

    def edges(self):
        return self._edges

    def sweep(self, p, axis, dt, mode):
        raise NotImplementedError("a chain with edges across the axes does not split into lines")


def chain_lines(diffusion: ReversibleChain, order=4):
    """`SplitOperator` of a chain as it is."""
    is_ours = diffusion.scheme == "recommended"
    # point masses: committor and cell masses are slow in strong drift
    chain = diffusion.with_scheme("quadrature/node").chain if is_ours else diffusion.chain
    grid, theta = diffusion.grid, float(diffusion.theta)
    inside = np.isfinite(chain.log_mass)
    b = np.where(inside, np.log(grid.volumes).ravel() - chain.log_mass - chain.shift, 0.0)
    I, J = chain.edges.T
    rates = (I, J, *(np.exp(np.minimum(chain.log_cond - chain.log_mass[k], LARGEST)) for k in (I, J)))
    killing = None
    if chain.log_ground is not None:
        per_mass = chain.log_ground + np.where(inside, -chain.log_mass, 0.0)
        killing = np.exp(np.where(inside, np.minimum(per_mass, LARGEST), -np.inf))
    inside = None if inside.all() else inside
    fields = _along_axes(grid, *rates)
    if fields is None:
        lines = GraphOperator(grid, b, rates, killing, theta, inside, diffusion.f0)
    else:
        mobility = np.ones(grid.ndim)
        if diffusion.mobility is not None and not callable(diffusion.mobility):
            m = np.asarray(diffusion.mobility, float)
            mobility = np.broadcast_to(np.diag(m) if m.ndim == 2 else m, (grid.ndim,)).astype(float)
        has_order_4 = is_ours and order == 4 and not callable(diffusion.mobility) and grid.is_uniform
        delta = [np.full(n, h**2 / (12 * theta * m) if has_order_4 else 0.0)
                 for n, h, m in zip(grid.shape, grid.h, mobility)]
        lines = SplitOperator(grid, b, *fields, delta, killing, theta, inside, diffusion.f0,
                              order=4 if has_order_4 else 2, mobility=mobility)
    lines.nodes_are_cells = diffusion.nodes_are_cells
    return lines


def _along_axes(grid, I, J, up, down):
    """Rates axis by axis (see `SplitOperator.up`), or None when an edge leaves the axes."""
    a, b = (np.array(np.unravel_index(k, grid.shape)) for k in (I, J))
    step = b - a
    if (np.count_nonzero(step, axis=0) != 1).any():
        return None
    forth, back = [], []
    used = 0
    for axis, n in enumerate(grid.shape):
        is_ring = grid.periodic[axis]
        fields = np.zeros((2, *(k - (1 if j == axis and not is_ring else 0) for j,
                                k in enumerate(grid.shape))))
        around = [(n - 1, False), (1 - n, True)] if is_ring and n > 2 else []
        for size, is_forth in [(1, True), (-1, False), *around]:
            pick = step[axis] == size
            at = a[:, pick].copy()
            # the edge belongs to its lower node, or to the last one of a ring
            at[axis] = n - 1 if abs(size) > 1 else np.minimum(at[axis], b[axis, pick])
            fields[0][tuple(at)] += (up if is_forth else down)[pick]
            fields[1][tuple(at)] += (down if is_forth else up)[pick]
            used += int(pick.sum())
        forth.append(fields[0].ravel())
        back.append(fields[1].ravel())
    return (forth, back) if used == up.size else None


def exact_line(diffusion):
    """`SplitOperator` of order 2 with exact resistances and cell masses in one dimension, or None where the
    domain is not one whole interval, or holds what panels refuse.

    Resistances int exp(beta f)/(theta M) of the panels that answer the passage questions, and exact masses,
    are right wherever in a cell f bends, jumps or diverges, so that the error falls smoothly from grid to
    grid; that of point masses depends on where the grid meets the place.
    """
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
    return SplitOperator(grid, b - shift, [up], [down], [np.zeros(nodes.size)], None, theta, None,
                         diffusion.f0 + shift * theta, order=2, mobility=_typical(diffusion))


def _typical(diffusion):
    M = diffusion._mobility
    if M.is_constant:
        return np.array(M.diagonal, float)
    return np.array([float(np.max(M.at(diffusion.grid.points.reshape(-1, 1))))])
