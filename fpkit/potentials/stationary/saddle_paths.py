"""Paths between points below a level: the segment, or a string of images that slides down from it."""
from __future__ import annotations

import numpy as np

N_IMAGES = 33
N_STRINGS = 200  # strings tried for one request; what is left counts as not joined


def highest_on_segments(surface, start, end, n_points=N_IMAGES):
    """Largest value of the potential on each segment from start to end (n, ndim), at n_points points."""
    s = np.linspace(0, 1, n_points)[:, None, None]
    return surface.value(surface.into_box(start + s * surface.difference(end, start))).max(0)


def relaxed_string(surface, start, end, span, level=-np.inf, n_steps=60, path=None):
    """A string of images from start to end, relaxed into the valley floor and kept at equal distances.

    The string method of E, Ren and Vanden-Eijnden (J. Chem. Phys. 126, 164103 (2007)), with Newton steps
    across the string (|H| in place of H, no image moves farther than the distance to the next) instead of
    gradient steps, so stiff valleys need no small steps. Stops when its highest value is below `level` or
    when it has settled. `path` (n, ndim) is where it starts, by default the straight line with 33 images.
    Returns images (n, ndim) and values (n,), four times as many as were relaxed.
    """
    if path is None:
        path = start + np.linspace(0, 1, N_IMAGES)[:, None] * surface.difference(end, start)
    n = len(path)
    for _ in range(n_steps if surface.ndim > 1 else 0):
        x = surface.into_box(path)
        if surface.value(x).max() <= level:
            break
        tangent = np.gradient(path / span, axis=0)
        tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-300)
        across = np.eye(surface.ndim) - tangent[:, :, None] * tangent[:, None, :]
        # in units of the span on every axis
        g = np.where(np.isfinite(g := surface.gradient(x)), g, 0.0) * span
        w, q = np.linalg.eigh(across @ (surface.hessian(x) * span[:, None] * span) @ across)
        along = np.einsum("nji,nj->ni", q, np.einsum("nij,nj->ni", across, g))
        step = -np.einsum("nij,nj->ni", q, along / np.maximum(np.abs(w), 1e-8 * np.abs(w).max() + 1e-300))
        step = np.einsum("nij,nj->ni", across, step)
        spacing = np.linalg.norm(np.diff(path / span, axis=0), axis=1).mean()
        length = np.linalg.norm(step, axis=1, keepdims=True)
        step *= np.minimum(1.0, spacing / np.maximum(length, 1e-300))
        step[[0, -1]] = 0.0
        path = evenly(path + step * span, n)
        if length[1:-1].max() < 1e-3 * spacing:
            break
    path = surface.into_box(evenly(path, 4 * n))
    return path, surface.value(path)


def evenly(path, n):
    """The same path with n images at equal distances."""
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    if s[-1] == 0:
        return np.repeat(path[:1], n, 0)
    t = np.linspace(0, s[-1], n)
    return np.stack([np.interp(t, s, path[:, k]) for k in range(path.shape[1])], 1)


def linked_below(surface, points, anchors, strangers, level, span):
    """Which points are joined to one of `anchors` by a path with values <= level.

    Segments to the nearest joined points first, repeated while they join more (a flood over the cloud of
    points: this is what follows a ring or a flat floor), then strings for the rest, one for each group of
    points that see each other. `strangers` are points known not to be joined. Returns the answers and the
    enlarged anchors and strangers.
    """
    joined = np.zeros(len(points), bool)
    stranger = np.zeros(len(points), bool)
    slack = level + 1e-12 * max(1.0, abs(level))
    anchors, strangers = _thinned(anchors), _thinned(strangers)
    joined |= _flood(surface, points, anchors, slack, span)
    rest = np.flatnonzero(~joined)
    if len(rest) and len(strangers):
        stranger[rest] = _flood(surface, points[rest], strangers, slack, span)
    for _ in range(N_STRINGS):
        rest = np.flatnonzero(~joined & ~stranger)
        if not len(rest):
            break
        p = points[rest[0]]
        pool = np.concatenate([anchors, points[joined]])
        near = pool[np.argsort(np.linalg.norm(surface.difference(pool, p) / span, axis=1))[:1]]
        is_joined = False
        for end in np.concatenate([near, anchors[:1]]):
            if relaxed_string(surface, p, end, span, level)[1].max() <= slack:
                is_joined = True
                break
        group = _flood(surface, points[rest], p[None], slack, span)
        group[0] = True
        (joined if is_joined else stranger)[rest[group]] = True
    keep = lambda mask: points[np.flatnonzero(mask)][:64]
    return joined, np.concatenate([anchors, keep(joined)]), np.concatenate([strangers, keep(stranger)])


def _thinned(points):
    """The first point and at most 127 others, without repetitions: enough anchors for a flood, few enough to
    compare with."""
    _, first = np.unique(points, axis=0, return_index=True)
    return points[np.sort(first)[:128]] if len(points) else points


def _flood(surface, points, seeds, level, span):
    """Points reached from the seeds by segments that stay below the level, through points already reached."""
    reached = np.zeros(len(points), bool)
    front = seeds
    while len(front) and not reached.all():
        rest = np.flatnonzero(~reached)
        nearest, best = np.zeros(len(rest), int), np.full(len(rest), np.inf)
        for j, q in enumerate(front):
            d = (surface.difference(points[rest], q) / span) ** 2
            d = d.sum(1)
            nearest, best = np.where(d < best, j, nearest), np.minimum(d, best)
        new = rest[highest_on_segments(surface, front[nearest], points[rest]) <= level]
        reached[new] = True
        front = points[new[np.linspace(0, len(new) - 1,
                                       min(len(new), 128)).astype(int)]] if len(new) else points[:0]
    return reached
