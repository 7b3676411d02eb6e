"""Where a recorded function jumps: both sides of the surfaces on which its comparisons and steps change."""
from __future__ import annotations

import numpy as np
from scipy import special

from .graph import COMPARISONS, FUNCTIONS, STEPS, live

N_POINTS, N_PAIRS, ROUNDS, HALVINGS, FARTHER = 1024, 32, 10, 40, 1e5
SMALLEST, HIGHEST = 1e-3, 100.0  # in theta: jumps that matter, heights over the start that are reached
ROUNDING = 1e-9                        # of f
RULES = {name: getattr(np, name, None) or getattr(special, name) for name in FUNCTIONS}
RULES |= {sign: getattr(np, name) for name, sign in COMPARISONS.items()}
RULES |= {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power, "neg": np.negative,
          "abs": np.abs, "max": np.maximum, "min": np.minimum, "arctan2": np.arctan2, "where": np.where,
          "&": np.logical_and, "|": np.logical_or, "~": np.logical_not}


def jump_of(f, p, starts, theta, box=None):
    """(place, f on one side, f on the other) of a jump of the recorded function f that paths from
    `starts` (n, d) may meet inside a box (2, d), or None.

    A kink is none. Every surface is looked for by points around the starts and the origin, at all scales,
    that draw near to it.
    """
    surfaces, values = _surfaces(f), _evaluator(f, p)
    if not surfaces:
        return None
    box = np.array([[-np.inf], [np.inf]]) if box is None else box
    pairs = []
    with np.errstate(all="ignore"):
        highest = np.nanmin(values(starts.T)[f.index]) + HIGHEST * theta
        for k, surface in enumerate(surfaces):
            level = lambda X, s=surface: _level(s, values(X))
            ends = _on_both_sides(level, values, f.index, starts, box, highest)
            pairs += [(one, other, np.full(one.shape[1], k)) for one, other in ends]
        return _between(f, values, surfaces, pairs, SMALLEST * theta, highest)


def jump_along(f, p, path):
    """`jump_of` between the places (n, d) of a path that follow each other."""
    surfaces, values, pairs = _surfaces(f), _evaluator(f, p), []
    with np.errstate(all="ignore"):
        known = values(path.T)
        for k, surface in enumerate(surfaces):
            is_up = _level(surface, known) > 0
            at = np.flatnonzero(is_up[1:] != is_up[:-1])
            pairs.append((path[at].T, path[at + 1].T, np.full(at.size, k)))
        return _between(f, values, surfaces, pairs, 0.0, np.inf)


def _surfaces(f):
    """The nodes below f that change on a surface."""
    nodes = (f.graph.nodes[i] for i in live([f]))
    return [n for n in nodes if n.op in STEPS or n.op == "arctan2" or n.op in COMPARISONS.values()]


def _between(f, values, surfaces, pairs, least, highest):
    """The first jump larger than `least` between points on the two sides of surfaces, pairs (one, other,
    number of the surface), met lower than `highest`."""
    if not any(owner.size for _, _, owner in pairs):
        return None
    A, B, owner = (np.concatenate(parts, axis=-1) for parts in zip(*pairs))

    def level(X):
        known = values(X)
        return np.array([_level(s, known) for s in surfaces])[owner, np.arange(owner.size)]
    is_up = level(A) > 0
    for _ in range(HALVINGS):
        M = 0.5 * A + 0.5 * B
        is_left = (level(M) > 0) == is_up
        A, B = np.where(is_left, M, A), np.where(is_left, B, M)
    near = np.array([values(X)[f.index] for X in (A, B)])
    away = np.array([values(X)[f.index] for X in (A + FARTHER * (A - B), B + FARTHER * (B - A))])
    jump = np.abs(near[1] - near[0])
    least = least + ROUNDING * np.where(np.isfinite(near), np.abs(near), 0.0).max(0)
    # what is continuous differs more farther away; beside a pole the finite side goes on rising
    stays = np.where(np.isfinite(near), np.abs(near - away), 0.0).max(0) <= np.maximum(
        np.where(np.isfinite(jump), 0.5 * jump, 0.0), least)
    found = np.flatnonzero((jump > least) & stays & (near.min(0) <= highest))
    return ([float(f"{c:.6g}") for c in A[:, found[0]]], *near[:, found[0]]) if found.size else None


def _evaluator(f, p):
    """A function of points (d, n): {index of node: value} of all nodes below f."""
    nodes = [f.graph.nodes[i] for i in live([f])]

    def values(X):
        known = {}
        for n in nodes:
            if n.op == "constant":
                known[n.index] = n.value
            elif n.op == "variable":
                known[n.index] = X[int(n.value[1:])] if n.value[0] == "x" else p[int(n.value[2:-1])]
            else:
                known[n.index] = RULES[n.op](*(known[a.index] for a in n.args))
            known[n.index] = np.broadcast_to(known[n.index], X.shape[1])
        return known
    return values


def _level(surface, known):
    """What changes its sign on a surface."""
    if surface.op in STEPS:
        return np.mod(known[surface.index], 2.0) - 0.5
    other = 0.0 if surface.op == "arctan2" else known[surface.args[1].index]
    return np.subtract(known[surface.args[0].index], other, dtype=float)


def _on_both_sides(level, values, index, starts, box, highest):
    """Pairs of points (d, N_PAIRS) on the two sides of a surface: the lowest of f, the nearest
    ones, and some of those lower than `highest`."""
    rng, d = np.random.default_rng(1), starts.shape[1]
    inside = lambda X: np.clip(X, box[0][:, None], box[1][:, None])
    centre = np.where(rng.random(N_POINTS) < 0.3, 0.0, starts[rng.integers(len(starts), size=N_POINTS)].T)
    way = rng.standard_normal((d, N_POINTS)) * 10.0 ** rng.uniform(-1.0, 0.0, (d, N_POINTS))
    X = centre + way * 10.0 ** rng.uniform(-10.0, 4.0, N_POINTS)
    if np.isfinite(box).all():
        X[:, ::2] = (box[0] + (box[1] - box[0]) * rng.random((X[:, ::2].shape[1], len(box[0])))).T
    X = inside(X)
    for _ in range(ROUNDS):
        g = level(X)
        above, below = np.flatnonzero(g > 0), np.flatnonzero(g <= 0)
        if above.size and below.size:
            break
        best = X[:, np.argsort(np.where(np.isfinite(g), np.abs(g), np.inf))[:32]]
        near = best[:, rng.integers(32, size=N_POINTS)]
        width = np.abs(best - best[:, :1]).max() + 1e-12 * np.abs(best).max()
        X = inside(np.hstack([best, near + width * rng.standard_normal(near.shape)
                              * 10.0 ** rng.uniform(-2.0, 0.3, N_POINTS)]))
    else:
        return []
    f = values(X)[index]
    away = np.abs(X - starts.mean(0)[:, None]).max(0)
    pairs = []
    for by in (np.where(np.isfinite(f), f, np.inf), away, rng.random(f.size) + np.searchsorted([highest], f)):
        one, other = (side[np.argsort(by[side])[:N_PAIRS]] for side in (above, below))
        pairs.append((X[:, np.resize(one, N_PAIRS)], X[:, rng.permutation(np.resize(other, N_PAIRS))]))
    return pairs
