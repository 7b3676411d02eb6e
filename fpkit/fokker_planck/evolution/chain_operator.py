"""Evolution on the chain of a diffusion as it is: named schemes, full mobility tensors, absorbing sets,
chains made elsewhere.

Where every edge joins neighbours along an axis the chain becomes lines and keeps the split steps; with the
stencil of a full tensor only steps of the whole grid are left. Order 2 in space (with absorbing sets the
order-4 mass is kept away from them).
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .split_operator import SplitOperator

if TYPE_CHECKING:
    from ...core.grid import Grid


class ReversibleChain(Protocol):
    """What the evolution asks of a chain: `FokkerPlanck`, or samples of a landscape.

    Attributes
    ----------
    log_mass : ndarray (n_cells,)
        log of the stationary masses, -inf for cells that are not states.
    edges, log_conductance : ndarray (n_edges, 2), (n_edges,)
        Pairs of flat cells, and log of mass times rate.
    killing : ndarray (n_cells,) or None
        Rate of absorption times mass.
    nodes_are_cells : bool
        True where a cell probability is node mass times node value, False where cell averages are read from
        node values.
    """
    grid: Grid
    inside: np.ndarray
    theta: float
    mobility: Any
    scheme: str
    absorbing: Any
    nodes_are_cells: bool

    @property
    def log_mass(self) -> np.ndarray: ...
    @property
    def edges(self) -> np.ndarray: ...
    @property
    def log_conductance(self) -> np.ndarray: ...
    @property
    def killing(self) -> np.ndarray | None: ...


class GraphOperator(SplitOperator):
    """A chain whose edges leave the axes: unsplit steps only."""
    is_split = False

    def __init__(self, grid, W, pairs, c, killing, theta, inside):
        super().__init__(grid, W, [], [], killing, theta, inside, order=2)
        self.pairs, self.c = pairs, c

    def edges(self):
        return self.pairs[:, 0], self.pairs[:, 1], self.c

    def sweep(self, v, axis, dt, mode):
        raise NotImplementedError("a chain with edges across the axes does not split into lines")


def chain_lines(diffusion: ReversibleChain, order=4):
    """`SplitOperator` of a chain as it is."""
    chain, is_ours = diffusion, diffusion.scheme == "recommended"
    if is_ours:  # point masses: committor and cell masses are slow in strong drift
        chain = diffusion.with_scheme("quadrature/node")
    grid, theta = diffusion.grid, float(diffusion.theta)
    log_mass = np.asarray(chain.log_mass, float).ravel()
    inside = np.isfinite(log_mass)
    top = log_mass[inside].max()
    W = np.exp(np.where(inside, log_mass - top, -np.inf))
    if not grid.is_uniform:
        W /= (grid.volumes / grid.volumes.mean()).ravel()
    c = np.exp(np.asarray(chain.log_conductance, float) - top)
    killing = chain.killing
    if killing is not None:
        killing = np.where(inside, np.nan_to_num(np.asarray(killing, float)) * np.exp(-top), 0.0)
        killing = [killing] + [None] * (grid.ndim - 1)
    pairs = np.asarray(chain.edges).reshape(-1, 2)
    inside = None if inside.all() else inside
    C = _along_axes(grid, pairs, c)
    if C is None:
        lines = GraphOperator(grid, W, pairs, c, killing, theta, inside)
        lines.nodes_are_cells = diffusion.nodes_are_cells
        return lines
    mobility, has_order_4 = np.ones(grid.ndim), False
    if diffusion.mobility is not None and not callable(diffusion.mobility):
        m = np.asarray(diffusion.mobility, float)
        mobility = np.broadcast_to(np.diag(m) if m.ndim == 2 else m, (grid.ndim,)).astype(float)
    if is_ours and order == 4 and not callable(diffusion.mobility) and grid.is_uniform:
        has_order_4 = True
    delta = [np.full(n, h**2 / (12 * theta * m) if has_order_4 else 0.0) for n, h,
             m in zip(grid.shape, grid.h, mobility)]
    lines = SplitOperator(grid, W, C, delta, killing, theta, inside, order=4 if has_order_4 else 2,
                          mobility=mobility)
    lines.nodes_are_cells = diffusion.nodes_are_cells
    return lines


def _along_axes(grid, pairs, c):
    """Conductances axis by axis (see Lines.C), or None when an edge leaves the axes."""
    a, b = (np.array(np.unravel_index(pairs[:, k], grid.shape)) for k in (0, 1))
    step = b - a
    if (np.count_nonzero(step, axis=0) != 1).any():
        return None
    out = []
    used = 0
    for axis, n in enumerate(grid.shape):
        is_ring = grid.periodic[axis]
        field = np.zeros([k - (1 if j == axis and not is_ring else 0) for j, k in enumerate(grid.shape)])
        for size, place in ((1, a[axis]), (-1, b[axis]),
                            *(((n - 1, np.full(a.shape[1], n - 1)), (1 - n, np.full(a.shape[1], n - 1)))
                              if is_ring and n > 2 else ())):
            pick = step[axis] == size
            at = a[:, pick].copy()
            at[axis] = place[pick]
            field[tuple(at)] += c[pick]
            used += int(pick.sum())
        out.append(field.ravel())
    return out if used == c.size else None
