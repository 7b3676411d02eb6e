"""Averages over the Gibbs density."""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core.results import Estimate
from .fokker_planck import FokkerPlanck
from .gibbs.cell_masses import _Work
from .gibbs.quadrature import tensor_rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..core.grid import Grid
    from ..potentials.potential import Potential


def gibbs_mean(potential: Potential, theta: float, grid: Grid, function: Callable | None = None) -> Estimate:
    """Mean of f, or of a function of the points, under the Gibbs density on a grid, as an Estimate.

    Parameters
    ----------
    function : callable, optional
        ``function(points)`` for points (n, ndim); default: the potential.

    Examples
    --------
    >>> from fpkit.fokker_planck.averages import gibbs_mean
    >>> mean = gibbs_mean(fp.Potential("x**2/2"), 0.1, fp.Grid([(-4, 4)], shape=50))
    >>> bool(abs(mean - 0.05) < 1e-15)                                   # theta/2
    True
    """
    D = FokkerPlanck(potential, theta, grid)
    masses, space = D._cell_masses, D._space
    cells = np.flatnonzero(masses.log_mass > masses.log_total - 45)
    place = np.unravel_index(cells, grid.shape)
    lower = np.stack([e[p] for e, p in zip(grid.edges, place)])
    width = np.stack([w[p] for w, p in zip(grid.widths, place)])
    slope, bend, *_ = _Work(space.exponent, 0.0, 0).probe(lower, width)
    parts = np.clip(np.ceil(slope + np.sqrt(bend)), 1, {1: 64, 2: 8, 3: 3}[grid.ndim]).astype(int)
    sums = np.zeros((2, 2))
    for kind in np.unique(parts, axis=1).T:
        pick = (parts == kind[:, None]).all(0)
        w = width[:, pick] / kind[:, None]
        offsets = np.array(list(np.ndindex(*kind))).T
        low = (lower[:, pick, None] + offsets[:, None, :] * w[:, :, None]).reshape(grid.ndim, -1)
        w = np.repeat(w, offsets.shape[1], axis=1)
        for k, q in enumerate((8, 6) if grid.ndim < 3 else (6, 4)):
            nodes, weights = tensor_rule(q, grid.ndim)
            for start in range(0, low.shape[1], 2000):
                some = slice(start, start + 2000)
                X = (low[:, None, some] + nodes.T[:, :, None] * w[:, None, some]).reshape(grid.ndim, -1)
                B = space.exponent(X)
                values = B if function is None else np.asarray(function(X.T), float)
                volume = weights[:, None] * w[:, some].prod(0)
                density = np.exp(-B - masses.log_total) * volume.ravel()
                sums[k] += (density * values).sum(), density.sum()
    best, check = sums[:, 0] / sums[:, 1]
    scale, zero = (theta, D.f0) if function is None else (1.0, 0.0)
    rounding = 4e-15 * (abs(scale * best) + abs(zero) + scale)
    return Estimate(zero + scale * best, scale * abs(best - check) + rounding,
                    "Gauss quadrature over the cells", inputs=D._inputs)
