"""Masses of all cells for the reading of an evolution, in one compiled pass, with an error that says when
they are not good enough.

This pass stays beside the adaptive engine of `cell_masses`: it takes the slopes from the nodes that the
evolution has evaluated already and holds no list of boxes, a third of the time of the engine's first round.
"""
from __future__ import annotations

import re
from functools import cache

import numpy as np

from ...core.compilation.kernels import PARALLEL_CELLS
from ...core.logarithms import chunks, dot
from .cell_masses import GAIN, spline_knots
from .cut_cells import domain_rule
from .quadrature import tensor_rule

# points an axis: rule and check
RULES = {1: ((3, 2), (4, 3), (6, 4), (8, 6)), 2: ((3, 2), (4, 3), (6, 4), (8, 6)),
         3: ((0, 1), (4, 2), (6, 4))}
TOTAL_ERROR = {1: 2e-14, 2: 2e-14, 3: 1e-7}        # of the sum, as the slopes promise it
# a hundredth of what the weaker check rules show; above, the adaptive masses are taken
SUM_ERROR = {1: 1e-9, 2: 1e-9, 3: 1e-3}
LOCAL_ERROR = {1: 1e-8, 2: 1e-8, 3: 1e-3}          # the same, where the density is
NOT_SMOOTH = re.compile(r"\b(abs|where|maximum|minimum|max|min|if|sqrt|sign|floor|ceil)\b")


@cache
def _tables(ndim):
    """rules (n_rules, 6): points of rule and check, log constant and exponent of their errors; nodes
    (n_rules, ndim + 1, points): on the unit cube, last row the weights. Rule 0 is the one of degree 5 with 14
    points on the cube [1]_.

    References
    ----------
    .. [1] B. M. Irons, Int. J. Numer. Methods Eng. 3, 293 (1971).
    """
    rules, tables = np.zeros((len(RULES[ndim]), 6)), []
    for k, (q, check) in enumerate(RULES[ndim]):
        x, w = tensor_rule(q, ndim) if q else _irons()
        y, v = tensor_rule(check, ndim) if check > 1 else (np.zeros((0, ndim)), np.zeros(0))
        rules[k] = (w.size, v.size, np.log((10 if ndim < 3 else 1) * GAIN[q or 3]), 2 * (q or 3),
                    np.log(GAIN[check]), 2 * check)
        tables.append(np.vstack([np.hstack([x.T, y.T]), np.r_[w, v]]))
    nodes = np.zeros((len(tables), ndim + 1, max(t.shape[1] for t in tables)))
    for k, t in enumerate(tables):
        nodes[k, :, :t.shape[1]] = t
    return rules, nodes


def _irons():
    a, b = np.sqrt(19 / 30), np.sqrt(19 / 33)
    axes = np.vstack([a * np.eye(3), -a * np.eye(3)])
    corners = b * np.array(list(np.ndindex(2, 2, 2))) * 2 - b
    return (np.vstack([axes, corners]) + 1) / 2, np.r_[np.full(6, 320 / 361), np.full(8, 121 / 361)] / 8


def is_smooth(potential):
    """False when the text of a potential names what may have kinks: two rules agree when a kink lies beyond
    their last points."""
    return NOT_SMOOTH.search(str(getattr(potential, "source", ""))) is None


def trusted_masses(potential, p, beta, grid, f0, B, inside=None):
    """`quick_masses` on the cells `inside` (all without it), -inf elsewhere; None where the potential or
    their errors ask for the adaptive ones."""
    if (potential.is_black_box or spline_knots(potential) is not None or not is_smooth(potential)
            or domain_rule(potential, grid) is not None):                # walls that cut cells
        return None
    W = np.exp(-B)
    if inside is not None:
        W[~inside] = 0.0
    total = float(W.sum())
    logs, error = quick_masses(potential, p, beta, grid, f0, B, total)
    if inside is not None:
        logs[~inside], error[~inside] = -np.inf, 0.0
    wrong = sum(dot(W[part], error[part].astype(float)) for part in chunks(logs.size))
    return (logs, error) if wrong <= SUM_ERROR[grid.ndim] * total else None


def quick_masses(potential, p, beta, grid, f0, B, weight):
    """log of int exp(-beta (f - f0)) over the cells (N,) and the relative error of each (N,).

    B = beta (f - f0) on the nodes, weight = sum exp(-B). Nothing is refined: the caller looks at the errors
    and falls back on `cell_masses`.
    """
    from . import mass_kernels
    rules, nodes = _tables(grid.ndim)
    out, error = np.empty(B.size), np.empty(B.size)
    run = mass_kernels.grid_masses_parallel if B.size >= PARALLEL_CELLS else mass_kernels.grid_masses
    numbers = np.array([beta, f0, *np.log(TOTAL_ERROR[grid.ndim] * np.array([weight / B.size, 1.0]))])
    run(np.concatenate(grid.edges), np.array(grid.shape), potential.block("value"), p, numbers, B, rules,
        nodes, out, error)
    return out, error.astype(np.float32)
