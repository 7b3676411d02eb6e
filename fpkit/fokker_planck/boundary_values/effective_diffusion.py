"""Effective diffusion at long times along periodic axes: the cell problem on the chain."""
from __future__ import annotations

import numpy as np

from .killed_chain import KilledChain


def log_effective(diffusion):
    """log of the effective diffusion along each axis (ndim,), -inf along walls.

    D_k = (1 / sum m) sum over edges of c (dx_k + d chi)^2, chi periodic, the least possible; as a flow: the
    sum of c (dx_k + d chi) over the edges that cross a section, times the period. The section with the
    smallest conductance is taken, where the differences are largest and nothing cancels.
    """
    out = KilledChain(diffusion)
    grid = diffusion.grid
    labels, total = out.labels, np.exp(out.log_m - out.log_m.max())
    ground = np.zeros(out.n)
    for part in range(labels.max() + 1):  # one fixed state in each part: chi is known up to a constant
        at = np.flatnonzero(labels == part)
        heaviest = at[np.argmax(out.log_m[at])]
        ground[heaviest] = max(float((out.c * ((heaviest == out.I) | (heaviest == out.J))).sum()), 1.0)
    solver = out.solver_with(out.c, ground)
    found = np.full(grid.ndim, -np.inf)
    for axis in range(grid.ndim):
        if not grid.periodic[axis]:
            continue
        n = grid.shape[axis]
        steps = out.X[axis][out.J] - out.X[axis][out.I]
        steps = (steps + n // 2) % n - n // 2
        centres, period = grid.centres[axis], grid.bounds[axis][1] - grid.bounds[axis][0]
        dx = centres[out.X[axis][out.J]] - centres[out.X[axis][out.I]]
        dx = dx - period * np.round((dx - np.sign(steps) * 1e-9 * period) / period)
        dx = np.where(steps == 0, 0.0, dx)
        flow = out.c * dx
        b = np.bincount(out.I, np.maximum(flow, 0), out.n) + np.bincount(out.J, np.maximum(-flow, 0), out.n)
        d = np.bincount(out.J, np.maximum(flow, 0), out.n) + np.bincount(out.I, np.maximum(-flow, 0), out.n)
        plus, minus = solver.solve(np.stack([b, d]))
        chi = plus - minus
        strain = dx + chi[out.J] - chi[out.I]
        # edges that cross the section behind cells of index s, in the direction of the axis
        sections, weights = np.zeros(n), np.zeros(n)
        for reach in range(1, int(np.abs(steps).max()) + 1):
            for sign in (1, -1):
                here = np.flatnonzero(sign * steps >= reach)
                s = (out.X[axis][out.I[here]] + sign * (reach - 1) + (0 if sign > 0 else -1)) % n
                np.add.at(sections, s, sign * (out.c * strain)[here])
                np.add.at(weights, s, out.c[here])
        flux = sections[np.argmin(weights)]
        if flux > 0:
            found[axis] = np.log(flux * period) - np.log(total.sum()) + out.shift - out.log_m.max()
    return found
