"""The quasi-stationary state: what has survived so far, and how fast it dies."""
from __future__ import annotations

import numpy as np

from ..boundary_values.first_passage import UNREACHABLE
from ..boundary_values.killed_chain import NEGLIGIBLE_MASS, KilledChain
from ..discretisation.absorbing_boundary import exit_points
from ..extrapolation import coarser, on_grid
from .block_iteration import interpolated
from .inverse_iteration import lowest


def survivors(diffusion, target):
    """`QuasiStationaryState` on one grid, remembered."""
    return diffusion._remember(("survivors", target.digest), lambda: QuasiStationaryState(diffusion, target))


class QuasiStationaryState:
    """Quasi-stationary state outside a region on one chain.

    Attributes
    ----------
    log_rate : float
    v : ndarray (n,)
        Positive eigenvector of (K + ground) v = rate m v.
    """

    def __init__(self, diffusion, target):
        self.diffusion = diffusion
        out = self.out = KilledChain(diffusion, [target])
        self.status = "ok"
        if out.left_out(out.reaches_boundary) > NEGLIGIBLE_MASS:
            self.status, self.log_rate, self.v = UNREACHABLE, -np.inf, np.zeros(out.n)
            return
        self.log_rate, self.v = lowest(out, _from_half_the_cells(out, target) if out.is_large else None)

    def density(self):
        """Cell averages, shape grid.shape."""
        D, out = self.diffusion, self.out
        p = np.zeros(D.grid.n_cells)
        p[out.ids] = np.exp(out.log_m - out.log_m.max()) * self.v
        return (p / p.sum()).reshape(D.grid.shape) / D.grid.volumes

    def exits(self):
        """Points of the boundary (k, ndim) and probabilities (k,)."""
        out = self.out
        ground = out.killings[0] if out.killings[1] is None else out.killings[0] + out.killings[1]
        at = np.flatnonzero(ground > 0)
        p = ground[at] * self.v[at]
        return exit_points(self.diffusion, out.regions[0], out.ids[at]), p / p.sum()


def _from_half_the_cells(out, target):
    """Values (n,) to start from, those of the grid of half the cells; None where there is none."""
    D, half = out.diffusion, coarser(out.grid)
    try:
        found = None if half is None else survivors(on_grid(D, half), target)
    except ValueError:                         # that grid misses the region, or does not converge
        found = None
    if found is None or found.status != "ok":
        return None
    low = np.where(half.inside.ravel(), 0.0, np.nan)
    low[found.out.ids] = found.v
    return np.maximum(interpolated(low.reshape(1, *half.shape), half, out.grid, out.ids)[0], 0.0)
