"""Signs that averages along paths are not yet those of the stationary distribution."""
from __future__ import annotations

import numpy as np

from ...potentials.stationary.critical import find_wells

LONG_ENOUGH = 10          # correlation times of one path (or batch) below which the start may still show
DRIFT = 5.0               # standard errors between the two halves of the run
FEW_CHANGES = 0.05        # share of paths that must have changed well at least, when another well has weight
MIN_WEIGHT = 0.01         # Gibbs weight (harmonic) below which a well need not be visited


def doubts(averages, tally, inputs, start, end, potential):
    """Sentences on what is doubtful, most important first; empty when nothing is."""
    out = []
    if tally.regions and len(tally.regions) > 1 and not tally.transitions.any():
        out.append(f"no transition was seen between the regions {', '.join(map(repr, tally.regions))}: their "
                   "occupancies are those of the start; run longer, raise theta, or start in all of them")
    elif not tally.regions:
        out += _wells(tally, inputs, start, end, potential)
    slowest = max(range(len(averages)), key=lambda q: averages[q].inefficiency / averages[q].length)
    a, name = averages[slowest], tally.names[slowest]
    interval = inputs["every"] * inputs["dt"]
    if a.length < LONG_ENOUGH * a.inefficiency / 2 and tally.n_saved > 1:
        what = "each path" if a.length == tally.n_saved else "a batch of time"
        n = int(np.ceil(LONG_ENOUGH * a.inefficiency / 2 * inputs["every"]
                        * (1 if a.length == tally.n_saved else inputs["n_steps"] / (
            a.length * inputs["every"])) / 1000) * 1000)
        out.append(f"{what} is only {2 * a.length / a.inefficiency:.2g} correlation times of {name} long "
                   f"({a.inefficiency * interval / 2:.3g} each): "
                   "the start may still show and the error be too small; n_steps of about "
                   f"{max(n, 2 * inputs['n_steps'])} would do")
    q = max(range(len(averages)), key=lambda q: abs(averages[q].drift))
    if abs(averages[q].drift) > DRIFT and not out:
        out.append(f"{tally.names[q]} still drifts: its two halves differ by {abs(averages[q].drift):.3g} "
                   "standard errors; use a longer burn_in")
    return out


def _wells(tally, inputs, start, end, potential):
    """Whether the paths stayed in the wells they started in although another well has weight."""
    minima = known_minima(potential, tally.grid if tally.marginal == tuple(range(tally.ndim)) else None)
    if len(minima) < 2:
        return []
    places = np.array([m[0] for m in minima])
    level = np.array([m[1] for m in minima]) / inputs["theta"]
    level -= level.min()
    weights = np.exp(-level)
    weights /= weights.sum()
    if (weights > MIN_WEIGHT).sum() < 2:
        return []
    nearest = lambda x: ((x[:, None, :] - places) ** 2).sum(-1).argmin(1)
    changed = int((nearest(start) != nearest(end)).sum())
    if changed >= FEW_CHANGES * len(end):
        return []
    return [f"{changed if changed else 'none'} of {len(end)} paths ended in another well than they started "
            f"in, though {len(minima)} are known: the "
            "shares of the wells are those of the start; run longer, raise theta, or start in all wells"]


def known_minima(potential, grid):
    """(x, f) of the minima that are known or easily found: the catalogue's, or those in the histogram's
    box."""
    minima = potential.minima
    if minima is None and grid is not None and grid.ndim <= 2 and not potential.is_black_box:
        try:
            minima = find_wells(potential, grid.bounds)
        except ValueError:  # a box that the potential does not fill: no advice is given then
            minima = None
    return [(np.atleast_1d(m.x), float(m.value)) for m in minima or ()]
