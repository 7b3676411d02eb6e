"""A potential on a periodic axis must be the same at both walls."""
from __future__ import annotations

import numpy as np

from ..gibbs.quick_masses import is_smooth

# of the range of f, and of the largest gradient, on the walls and the middle
JUMP, GRADIENT_JUMP = 1e-6, 1e-2
SAMPLES = 9
CORNER_SAMPLES = 401                   # points along an axis between which a corner is looked for


def check_periodic(potential, grid):
    """Refuse a potential whose values differ at opposite walls of a periodic axis, or whose gradients do.

    A slope that jumps at the wall is taken for a wrong period where the formula is smooth; one that names
    where, abs, minimum or the like may have its corner there as well as anywhere else.
    """
    for axis in np.flatnonzero(grid.periodic):
        low, high = grid.bounds[axis]
        lines = [np.linspace(a, b, SAMPLES + 2)[1:-1] for a, b in grid.bounds]
        lines[axis] = np.array([low, np.mean(grid.bounds[axis]), low * 0.7 + high * 0.3, high])
        points = np.moveaxis(np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1), axis, 0)
        with np.errstate(all="ignore"):
            f = np.asarray(potential(points), float)
        usable = np.isfinite(f)
        pair = usable[0] & usable[-1]
        if not pair.any():
            continue
        jump = np.abs(f[-1][pair] - f[0][pair]).max()
        scale = np.ptp(f[usable])
        if jump > JUMP * scale + 1e-12 * np.abs(f[usable]).max():
            raise ValueError(f"the potential is not periodic on axis {axis}: it jumps by {jump:.3g} between "
                             f"the walls at {low:g} and {high:g}; correct the bounds to one period or use "
                             "periodic=False.")
        if potential.is_black_box or not is_smooth(potential):
            continue
        with np.errstate(all="ignore"):
            g = np.asarray(potential.gradient(points), float)[..., axis]
        kink = np.abs(g[-1] - g[0])[pair & np.isfinite(g[0]) & np.isfinite(g[-1])].max(initial=0.0)
        largest = np.abs(g[np.isfinite(g)]).max(initial=0.0)
        if (kink > GRADIENT_JUMP * largest and largest * (high - low) > 1e-9 * (scale + 1e-300)
                and not _has_corner(potential, points[0], axis, low, high, kink)):
            raise ValueError(f"the potential is not periodic on axis {axis}: its slope jumps by {kink:.3g} "
                             f"between the walls at {low:g} and {high:g}; correct the bounds to one period "
                             "or use periodic=False.")


def _has_corner(potential, points, axis, low, high, kink):
    """Whether the slope jumps by a tenth of `kink` or more inside the box too, on the lines through `points`
    along an axis: the corners of such a potential may lie on a wall as anywhere else."""
    x = np.linspace(low, high, CORNER_SAMPLES + 2)[1:-1]

    def slope(x):
        at = np.array(np.broadcast_to(points, x.shape + points.shape[-1:]))
        at[..., axis] = x
        with np.errstate(all="ignore"):
            return np.asarray(potential.gradient(at), float)[..., axis]
    points = points.reshape(-1, points.shape[-1])
    g = slope(x[:, None] + np.zeros(len(points)))
    jump = np.nan_to_num(np.abs(np.diff(g, axis=0)))
    k, line = np.unravel_index(jump.argmax(), jump.shape)
    points, a, b = points[line], x[k], x[k + 1]
    for _ in range(30):                          # a bend gets small between near points, a corner does not
        c = (a + b) / 2
        ga, gc, gb = slope(np.array([a, c, b]))
        a, b = (a, c) if abs(gc - ga) > abs(gb - gc) else (c, b)
    return abs(slope(np.array([b]))[0] - slope(np.array([a]))[0]) > 0.1 * kink
