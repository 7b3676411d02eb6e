"""Iterations that end in stationary points of any index, for many starts at once."""
from __future__ import annotations

import numpy as np

from .descent import _newton_step


def spread(pairs, n, seed=0):
    """About n points spread over a box: cell centres in 1D and 2D, an additive sequence of low discrepancy
    above.

    The sequence is frac(s + k alpha), alpha_j = phi^-j with phi the root of phi^(d+1) = phi + 1 (Roberts
    2018); s from the seed.
    """
    low, width, ndim = pairs[:, 0], pairs[:, 1] - pairs[:, 0], len(pairs)
    if ndim <= 2:
        m = max(1, int(np.ceil(n ** (1 / ndim))))
        ticks = (np.arange(m) + 0.5) / m
        unit = np.stack(np.meshgrid(*[ticks] * ndim, indexing="ij"), -1).reshape(-1, ndim)
    else:
        phi = 2.0
        for _ in range(60):
            phi = (1 + phi) ** (1 / (ndim + 1))
        unit = np.mod(np.random.default_rng(seed).random(ndim) + np.arange(1, n + 1)[:, None] * phi **
                      -np.arange(1.0, ndim + 1), 1.0)
    return low + unit * width


def newton_to_zero(surface, x, span, n_steps=60):
    """Damped Newton iteration for grad f = 0 from each point: steps are halved until |grad f| falls. Returns
    those that converged inside."""
    x = surface.into_box(np.array(x, float))
    g = surface.gradient(x)
    size = np.linalg.norm(g * span, axis=1)
    last = np.full(len(x), np.inf)
    active = np.isfinite(size)
    for _ in range(n_steps):
        k = np.flatnonzero(active)
        if not len(k):
            break
        step = _newton_step(surface, x[k], lambda w: w)
        length = np.linalg.norm(step / span, axis=1)
        last[k] = length
        step *= np.minimum(1.0, 0.2 / np.maximum(length, 1e-300))[:, None]
        todo = np.ones(len(k), bool)
        for _ in range(12):
            rows = np.flatnonzero(todo)
            if not len(rows):
                break
            y = surface.into_box(x[k[rows]] + step[rows])
            new = np.linalg.norm(surface.gradient(y) * span, axis=1)
            good = new < size[k[rows]]
            done = rows[good]
            x[k[done]], size[k[done]] = y[good], new[good]
            todo[done] = False
            step[todo] *= 0.4
        active[k[todo]] = False  # no fall found: converged to rounding, or stuck at a minimum of |grad f|
        active[k[length < 1e-12]] = False
    return x[np.isfinite(size) & (last < 1e-5)]


def climb_to_saddles(surface, x, span, n_steps=150, reach=0.03):
    """Follow the softest mode uphill and all others downhill: ends near saddles of index 1."""
    x = surface.into_box(np.array(x, float))

    def softest_reversed(w):
        w = np.abs(w)
        w[:, 0] *= -1.0
        return w

    for _ in range(n_steps):
        step = _newton_step(surface, x, softest_reversed)
        length = np.linalg.norm(step / span, axis=1)
        if not (length > 1e-6).any():
            break
        x = surface.into_box(x + step * np.minimum(1.0, reach / np.maximum(length, 1e-300))[:, None])
    return x


def polish(surface, x, span, n_steps=6):
    """Plain Newton steps that are kept while |grad f| falls: to the last digits that rounding leaves."""
    if not len(x):
        return x
    x = np.array(x)
    size = np.linalg.norm(surface.free_gradient(x, surface.gradient(x))[0] * span, axis=1)
    for _ in range(n_steps):
        step = _newton_step(surface, x, lambda w: w)
        y = surface.into_box(x + step)
        new = np.linalg.norm(surface.free_gradient(y, surface.gradient(y))[0] * span, axis=1)
        better = (new < size) & (np.abs(step / span).max(1) < 1e-3)
        x, size = np.where(better[:, None], y, x), np.where(better, new, size)
    return x
