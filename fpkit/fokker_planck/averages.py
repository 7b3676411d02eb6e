"""Averages over the Gibbs density."""
from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..core.results import Estimate
from .fokker_planck import FokkerPlanck
from .gibbs.cell_masses import _Work
from .gibbs.cut_cells import WalledExponent, boxes_of, divided, domain_rule
from .gibbs.poles import LAST, shells_towards
from .gibbs.quadrature import tensor_rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..core.grid import Grid
    from ..potentials.potential import Potential

RULES = {1: (8, 6), 2: (8, 6), 3: (6, 4)}    # Gauss points an axis: rule and check
CHUNK = 2000                 # boxes at a time
ALLOWED = 1e-14              # of the spread of the values: what the boxes may leave
HALVINGS, BUDGET = 40, 200_000               # of boxes, and boxes in all
LOST, MOST_LOST = 5.0, 1e-3  # the mass that was not seen errs by so much; above that share nothing is stated


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
    masses, exponent, rule = D._cell_masses, D._space.exponent, domain_rule(potential, grid)
    exponent = exponent if rule is None else WalledExponent(exponent, rule)
    heavy = (masses.own or masses).log_mass > masses.log_total - 45
    shells = shells_towards(masses.poles, *boxes_of(grid, np.flatnonzero(heavy)))
    values = (lambda X, B: B) if function is None else (lambda X, B: np.asarray(function(X.T), float))
    sums, weight, error, away = _box_sums(exponent, shells, values, masses.log_total)
    is_core = shells.level == LAST
    if is_core.any():
        _, weight[is_core], blur = shells.cores(weight)
        last, before, first = (shells.of_last(sums, k) / shells.of_last(weight, k) for k in (1, 2, 3))
        # means go on from shell to shell by equal steps, as those of a logarithm do
        far = 1 / (1 - shells.of_last(weight, 1) / shells.of_last(weight, 2))
        core, beyond = shells.core[is_core], last + (last - before) * far
        sums[is_core] = weight[is_core] * beyond[core]
        away = max(away, float(np.abs(beyond - sums.sum() / weight.sum()).max()))
        error += float(weight[is_core] @ np.abs((last - 2 * before + first) * far)[core] + blur.sum() * away)
    best, lost = sums.sum() / weight.sum(), abs(weight.sum() - 1.0)
    error += LOST * lost * away
    is_known = lost < MOST_LOST
    scale, zero = (theta, D.f0) if function is None else (1.0, 0.0)
    rounding = 4e-15 * (abs(scale * best) + abs(zero) + scale)
    status = "ok" if is_known else (
        f"{lost:.1g} of the Gibbs mass lies at a pole or wall where the rule does not resolve it: refine the "
        "grid there, or take the place out with Grid(..., mask=...)")
    return Estimate(zero + scale * best, scale * error + rounding if is_known else math.nan,
                    "Gauss quadrature over the cells", status=status, inputs=D._inputs)


def _box_sums(exponent, shells, values, log_total):
    """int values exp(-beta (f - f0)) / Z over boxes (n,) but cores, and the same of 1; the error of the mean,
    and how far from it the mean of a box lies at most. Boxes are halved until two rules agree."""
    n, d = shells.level.size, exponent.ndim
    box = np.flatnonzero(shells.level < LAST)
    lower, width = shells.lower[:, box], shells.width[:, box]
    slope, bend, *_ = _Work(exponent, 0.0, 0).probe(lower, width)
    parts = np.clip(np.ceil(slope + np.sqrt(bend)), 1, {1: 64, 2: 8, 3: 3}[d]).astype(int)
    total, error, away, budget = np.zeros((2, n)), 0.0, 0.0, BUDGET
    for _ in range(HALVINGS):
        pieces = []
        for kind in np.unique(parts, axis=1).T:
            at = (parts == kind[:, None]).all(0)
            pieces.append(divided(lower[:, at], width[:, at], box[at], kind))
        lower, width, box = (np.concatenate(a, axis=-1) for a in zip(*pieces))
        budget -= box.size
        fine, coarse = (_rule_sums(exponent, lower, width, values, log_total, q) for q in RULES[d])
        mean = (total[0].sum() + fine[0].sum()) / (total[1].sum() + fine[1].sum())
        gap = np.abs((fine - coarse)[0] - mean * (fine - coarse)[1])
        with np.errstate(all="ignore"):
            away = max(away, float(np.nanmax(np.where(fine[1] > 0, np.abs(fine[0] / fine[1] - mean), 0.0))))
        rough = gap > ALLOWED * away / box.size
        if budget < 2**d * np.count_nonzero(rough):
            rough[:] = False
        for k in (0, 1):
            total[k] += np.bincount(box[~rough], fine[k, ~rough], n)
        error += float(gap[~rough].sum())
        if not rough.any():
            break
        lower, width, box = lower[:, rough], width[:, rough], box[rough]
        parts = np.full(lower.shape, 2)
    return *total, error, away


def _rule_sums(exponent, lower, width, values, log_total, q):
    """(2, n): integrals of values exp(-beta (f - f0)) / Z over boxes, and of 1, by q Gauss points an axis."""
    d, n = lower.shape
    (nodes, weights), found = tensor_rule(q, d), np.zeros((2, n))
    for start in range(0, n, CHUNK):
        some = slice(start, start + CHUNK)
        X = (lower[:, None, some] + nodes.T[:, :, None] * width[:, None, some]).reshape(d, -1)
        B = exponent(X)
        with np.errstate(all="ignore"):
            density = np.exp(-B - log_total) * (weights[:, None] * width[:, some].prod(0)).ravel()
            value = np.where(density > 0, values(X, B), 0.0)
        for k, a in enumerate((density * value, density)):
            found[k, some] = a.reshape(weights.size, -1).sum(0)
    return found
