"""Densities in phase space as coefficients of the ladder, and back."""
from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from ...core import checks
from ...core.results import Field
from .velocity import gaussian_moments, hermite, hermite_cell_means


class LadderState:
    """Coefficients c_n: even n on the cells of a `StaggeredGrid`, odd n on the edges between.

    Parameters
    ----------
    space : StaggeredGrid
    theta : float
    modes : int
    grid : Grid
        Cells in x and v, for densities.
    """

    def __init__(self, space, theta, modes, grid):
        self.space, self.theta, self.modes, self.grid = space, theta, modes, grid
        self.n, self.n_edges = space.places.size, space.edge_places.size
        sizes = [self.n_edges if k % 2 else self.n for k in range(modes)]
        self.cuts = np.concatenate([[0], np.cumsum(sizes)])
        self.means = hermite_cell_means(grid.edges[1] / np.sqrt(theta), modes) / np.sqrt(theta)

    def blocks(self, c):
        return np.split(c, self.cuts[1:-1])

    def density(self, c):
        """Cell averages (n_x, n_v)."""
        s, parts = self.space, self.blocks(c)
        root = np.exp(s.log_mass / 2) / s.widths                  # sqrt of the mass over the width
        even = np.stack(parts[::2]) * root
        odd = np.stack(parts[1::2]) / np.sqrt(s.lengths)
        padded = np.zeros((odd.shape[0], self.n + 1))             # odd modes vanish at a wall
        if self.n_edges == self.n:
            padded[:, 1:], padded[:, 0] = odd, odd[:, -1]
        else:
            padded[:, 1:-1] = odd
        odd = (padded[:, 1:] + padded[:, :-1]) / 2 * root * np.sqrt(s.widths)
        return even.T @ self.means[::2] + odd.T @ self.means[1::2]

    def mass(self, c):
        return float(np.exp(self.space.log_mass / 2) @ c[:self.n])

    def _coefficients(self, at_cells, at_edges):
        """c from int He_n u over cells (n_even, n) and over the lengths of edges (n_odd, n_edges)."""
        s = self.space
        even = at_cells * np.exp(-s.log_mass / 2)
        odd = at_edges * np.exp(-s.log_edge_mass / 2)
        return np.concatenate([odd[k // 2] if k % 2 else even[k // 2] for k in range(self.modes)])

    def of_point(self, x, v):
        """All mass at one point: shared between the nearest cells, and edges, so that the mean is exact."""
        m = gaussian_moments(v / np.sqrt(self.theta), 0.0, self.modes)
        s, period = self.space, self.grid.bounds[0][1] - self.grid.bounds[0][0]
        ring = period if self.n_edges == self.n else None
        return self._coefficients(np.outer(m[::2], _shares(x, s.places, ring)),
                                  np.outer(m[1::2], _shares(x, s.edge_places, ring)))

    def of_gaussian(self, mean, std):
        """Independent normal laws of position and velocity."""
        root, s = np.sqrt(self.theta), self.space
        m = gaussian_moments(mean[1] / root, std[1] / root, self.modes)
        low, high = self.grid.bounds[0]
        cells, edges = np.zeros(self.n), np.zeros(self.n_edges)
        for turn in ((-1, 0, 1) if self.n_edges == self.n else (0,)):
            at = mean[0] + turn * (high - low)
            cells += np.diff(ndtr((self.grid.edges[0] - at) / std[0]))
            edges += (s.lengths * np.exp(-((s.edge_places - at) / std[0]) ** 2 / 2)
                      / (np.sqrt(2 * np.pi) * std[0]))
        return self._coefficients(np.outer(m[::2], cells), np.outer(m[1::2], edges)) / cells.sum()

    def of_averages(self, u):
        """Cell averages (n_x, n_v) of a density on the grid."""
        g, s = self.grid, self.space
        centres, h = g.centres[1] / np.sqrt(self.theta), g.widths[1][0] / np.sqrt(self.theta)
        H = hermite(centres, self.modes)
        k = np.arange(self.modes)
        bend = np.zeros_like(H)                    # He_n'' / sqrt(n!), against the averaging over a cell
        bend[2:] = np.sqrt(k[2:] * (k[2:] - 1))[:, None] * H[:-2]
        p = (u * g.widths[1]) @ (H - h * h / 24 * bend).T                # densities in x
        after = np.roll(p, -1, axis=0)[:self.n_edges]
        return self._coefficients(p[:, ::2].T * s.widths,
                                  ((p[:self.n_edges] + after) / 2)[:, 1::2].T * s.lengths)


def _shares(x, places, period):
    """Weights of the two places beside x, linear in x; all of it to the first or last place beyond them."""
    out = np.zeros(places.size)
    if period is not None:
        order = np.argsort(places)
        ring = np.r_[places[order][-1] - period, places[order], places[order][0] + period]
        k = int(np.clip(np.searchsorted(ring, x) - 1, 0, places.size))
        s = (x - ring[k]) / (ring[k + 1] - ring[k])
        out[order[(k - 1) % places.size]] += 1 - s
        out[order[k % places.size]] += s
        return out
    x = np.clip(x, places[0], places[-1])
    k = int(np.clip(np.searchsorted(places, x) - 1, 0, places.size - 2))
    s = (x - places[k]) / (places[k + 1] - places[k])
    out[k], out[k + 1] = 1 - s, s
    return out


def start_of(u0, grid, theta):
    """('point' | 'gaussian' | 'averages', data) of a checked start."""
    shape = f"a point (x, v), a pair ((x, v), std), cell averages of shape {grid.shape} or a function u(x, v)"
    if isinstance(u0, Field):
        if u0.grid != grid:
            raise ValueError(f"u0 lives on {u0.grid}, phase space is {grid}; give a function instead.")
        u0 = np.asarray(u0.values, float)
    if callable(u0):
        x, w = np.polynomial.legendre.leggauss(3)
        total = np.zeros(grid.shape)
        for a, wa in zip(x / 2, w / 2):
            for b, wb in zip(x / 2, w / 2):
                at = (grid.centres[0][:, None] + a * grid.widths[0][:, None],
                      grid.centres[1][None] + b * grid.widths[1][None])
                total += wa * wb * np.broadcast_to(np.asarray(u0(*np.broadcast_arrays(*at)), float),
                                                   grid.shape)
        u0 = total
    elif isinstance(u0, tuple) and len(u0) == 2 and np.ndim(u0[0]) == 1:
        mean = checks.points("the mean of u0", u0[0], 2)
        std = np.broadcast_to(np.asarray(u0[1], float), (2,)).copy()
        if not (np.isfinite(std).all() and (std > 0).all()):
            raise ValueError(f"the std of u0 must be one positive number or two of them, got "
                             f"{checks.shown(u0[1])}.")
        if std[1] ** 2 >= 2 * theta:
            raise ValueError(f"a velocity spread of {std[1]:g} is beyond sqrt(2 theta) = "
                             f"{np.sqrt(2 * theta):g}, where Hermite modes do not converge; start narrower.")
        return "gaussian", (_inside(mean, grid), std)
    try:
        array = np.asarray(u0, float)
    except (TypeError, ValueError):
        raise TypeError(f"u0 must be {shape}, got {checks.shown(u0)}.") from None
    if array.shape == (2,) and grid.shape != (2,):
        if not np.isfinite(array).all():
            raise ValueError(f"u0 = {array.tolist()} is not finite.")
        return "point", _inside(array, grid)
    if array.shape != grid.shape:
        raise ValueError(f"u0 must be {shape}, got shape {array.shape}.")
    total = float((array * grid.volumes).sum())
    if not np.isfinite(array).all() or (array < 0).any() or not total > 0:
        raise ValueError("u0 must be finite and not negative, with some mass on the grid of phase space.")
    return "averages", array / total


def _inside(point, grid):
    for k, name in enumerate(("position", "velocity")):
        low, high = grid.bounds[k]
        if not low <= point[k] <= high:
            raise ValueError(f"the start has {name} {point[k]:g}, outside {low:g} to {high:g}.")
    return point
