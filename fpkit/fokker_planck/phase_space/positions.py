"""The operators A = sqrt(theta) d_x + f'/(2 sqrt(theta)) between functions of the position, in the gauge c =
u exp(f/2 theta): on a staggered grid, and in cosines and sines."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ...core.logarithms import log_sum

WEIGHTLESS = 30.0             # log of the share of a cell below which its rates are seen by no eigenvalue


@dataclass(frozen=True, eq=False)
class PositionPair:
    """Two spaces of functions of x, for even and for odd velocity modes, and A between them.

    Attributes
    ----------
    up, down : sparse or dense matrix (n_odd, n_even), (n_even, n_odd)
        A from even to odd modes, and from odd to even ones.
    rest : ndarray (n_even,)
        The equilibrium exp(-f/2 theta)/sqrt(Z): ``up @ rest`` is 0.
    scale : float
        Largest entry of A where there is weight: the size of rounding errors.
    conductance, mass : ndarray or None
        Of the chain behind `up` = conductance^1/2 G mass^-1/2 (staggered).
    """
    up: object
    down: object
    rest: np.ndarray
    scale: float
    conductance: np.ndarray | None = None
    mass: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class StaggeredGrid:
    """Cells with their probabilities (even modes), and the edges between them (odd modes).

    Attributes
    ----------
    pair : PositionPair
    places, edge_places : ndarray (n,), (n_edges,)
    log_mass, log_edge_mass : ndarray
        Logarithms of the Gibbs probabilities of the cells, and of the intervals between their centres.
    """
    pair: PositionPair
    places: np.ndarray
    edge_places: np.ndarray
    widths: np.ndarray
    lengths: np.ndarray
    log_mass: np.ndarray
    log_edge_mass: np.ndarray


def staggered(D):
    """`StaggeredGrid` of a one-dimensional `FokkerPlanck`: its own chain as A from nodes to edges, so that
    strong friction gives its generator over the friction, and mass and Maxwell-Boltzmann are exact."""
    grid, n, is_ring = D.grid, D.grid.n_cells, D.grid.periodic[0]
    x, width = grid.centres[0], grid.widths[0]
    chain = D.log_conductance, D.edges
    log_mass = D.log_mass - log_sum(D.log_mass)
    order = np.full(n if is_ring else n - 1, -np.inf)
    first, last = chain[1].T
    wraps = (first == 0) & (last == n - 1) & is_ring
    order[np.where(wraps, n - 1, first)] = chain[0] - log_sum(D.log_mass)
    if not np.isfinite(order).all():
        raise ValueError("phase space needs a potential that is finite on the whole interval, without gaps; "
                         "move the bounds of the grid.")
    after = np.roll(x, -1) if is_ring else x[1:]
    length = np.where(after < x[:order.size], after + grid.bounds[0][1] - grid.bounds[0][0], after
                      ) - x[:order.size]
    edge = x[:order.size] + length / 2
    wrapped = np.where(edge > grid.bounds[0][1], edge - (grid.bounds[0][1] - grid.bounds[0][0]), edge)
    beta, exponent = D.beta, D._space.exponent
    log_z = D._cell_masses.log_total
    at_node = -exponent(x[None]) - log_z
    log_edge_mass = np.log(length) - exponent(wrapped[None]) - log_z
    i = np.arange(order.size)
    j = (i + 1) % n
    rows = np.r_[i, i]
    up = sparse.csc_matrix((np.r_[-np.exp((order - log_mass[i]) / 2), np.exp((order - log_mass[j]) / 2)],
                            (rows, np.r_[i, j])), shape=(i.size, n))
    # weight of a node as a conductance between the edges beside it; beyond a wall odd modes vanish
    node = np.log(1 / (beta * width)) + at_node
    down = sparse.csc_matrix((np.r_[np.exp((node[i] - log_edge_mass) / 2),
                                    -np.exp((node[j] - log_edge_mass) / 2)],
                              (np.r_[i, j], rows)), shape=(n, i.size))
    weighty = (log_mass[i] > -WEIGHTLESS) & (log_mass[j] > -WEIGHTLESS)
    steepest = np.maximum(order - log_mass[i], order - log_mass[j])[weighty].max(initial=0.0)
    scale = float(np.exp(steepest / 2))
    pair = PositionPair(up, down, np.exp(log_mass / 2), scale, np.exp(order), np.exp(log_mass))
    return StaggeredGrid(pair, x, wrapped, width, length, log_mass, log_edge_mass)


def spectral(V, theta, low, high, n, is_ring):
    """`PositionPair` of n cosines (even modes: a wall turns v around) and n sines on an interval, or of n
    real Fourier modes, n odd, on a ring; f' by 3 n midpoints."""
    m, length = 3 * n, high - low
    s = (np.arange(m) + 0.5) / m
    gradient = np.asarray(V.gradient((low + length * s)[:, None])).ravel() / (2 * np.sqrt(theta))
    energy = np.asarray(V((low + length * s)[:, None])).ravel() / (2 * theta)
    rest = np.exp(energy.min() - energy)
    if is_ring:
        k = np.arange(1, n // 2 + 1)
        C = np.sqrt(2 / m) * np.cos(2 * np.pi * np.outer(k, s))
        S = np.sqrt(2 / m) * np.sin(2 * np.pi * np.outer(k, s))
        even = odd = np.vstack([np.full((1, m), 1 / np.sqrt(m)), C, S])
        rate = 2 * np.pi / length * k
        slope = np.vstack([np.zeros((1, m)), -rate[:, None] * S, rate[:, None] * C])
        slope_odd = slope
    else:
        k = np.arange(n)
        even = np.sqrt(2 / m) * np.cos(np.pi * np.outer(k, s))
        even[0] = 1 / np.sqrt(m)
        odd = np.sqrt(2 / m) * np.sin(np.pi * np.outer(k + 1, s))
        slope = -np.sqrt(2 / m) * (np.pi * k / length)[:, None] * np.sin(np.pi * np.outer(k, s))
        slope_odd = np.sqrt(2 / m) * (np.pi * (k + 1) / length)[:, None] * np.cos(np.pi * np.outer(k + 1, s))
    up = odd @ (np.sqrt(theta) * slope + gradient * even).T
    down = even @ (np.sqrt(theta) * slope_odd + gradient * odd).T
    found = even @ rest
    weighty = energy < energy.min() + WEIGHTLESS / 2
    scale = np.sqrt(theta) * np.pi * n / length + np.abs(gradient[weighty]).max()
    return PositionPair(up, down, found / np.sqrt(found @ found), float(scale))
