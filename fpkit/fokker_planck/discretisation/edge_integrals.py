"""Integrals of exp(+beta f)/M along edges, in logarithms: the resistance between two nodes, and the hats that
follow it."""
from __future__ import annotations

import numpy as np

from ..gibbs.quadrature import cumulative, gauss

STEP, ABOVE_LIMIT = 2.0, 16.0 # change of beta f on one sub-interval, and where nothing of weight lies
MAX_PIECES = 1024
CHUNK = 400_000               # points held at a time
WALL = 1e300                  # stands for an exponent of infinity, so that differences stay numbers


def log_mean_exp(exponents, pieces, n_points=4):
    """log of int_0^1 exp(E(s)) ds for n exponents, by Gauss points on `pieces` equal sub-intervals.

    ``exponents(s)`` gives E at the fractions s, shape (len(s), n).
    """
    x, w = gauss(n_points)
    E = exponents(((np.arange(pieces)[:, None] + x) / pieces).ravel())
    top = E.max(0)
    return top + np.log(np.tile(w / pieces, pieces) @ np.exp(E - top))


def log_mean_resistance(space, start, step, axis, n_points=4):
    """log of the mean of exp(beta (f - f0)) / M over segments.

    Parameters
    ----------
    start, step : ndarray (ndim, n)
        First point and vector to the last.
    axis : int or None
        Axis of the mobility; None takes none.
    n_points : int
        Gauss points on each sub-interval.

    Returns
    -------
    ndarray (n,)
    """
    out = np.empty(start.shape[1])
    for pieces, pick in _by_pieces(space, start, step):
        for at in _chunks(pick, pieces * n_points):
            out[at] = log_mean_exp(lambda s, at=at: _exponents(space, start[:, at], step[:, at], s, axis),
                                   pieces, n_points)
    return np.where(out >= WALL, np.inf, out)            # nothing passes a wall


def hats(space, start, step, axis=0, n_points=8):
    """Resistances of intervals and the masses of the two hats on each, for the exact chain in one dimension.

    The hat of the left end is 1 there, 0 at the right end and follows int exp(beta f)/M between: it is the
    committor of the interval.

    Returns
    -------
    log_resistance, log_left, log_right : ndarray (n,)
        log of int exp(beta (f - f0)) / M, and of int hat exp(-beta (f - f0)) of the left and right ends.
    """
    n, d = start.shape[1], start.shape[0]
    length = np.sqrt((step ** 2).sum(0))
    out = np.empty((3, n))
    x, w = gauss(n_points)
    C = cumulative(n_points)
    for pieces, pick in _by_pieces(space, start, step, least=4):
        s = ((np.arange(pieces)[:, None] + x) / pieces).ravel()
        for at in _chunks(pick, s.size):
            X = (start[:, at, None] + step[:, at, None] * s).reshape(d, -1)
            B = np.minimum(space.exponent(X), WALL).reshape(at.size, pieces, n_points)
            R = B
            if axis is not None:
                log_m = space.mobility.log_along(axis, X)
                R = B - (log_m if space.mobility.is_constant else log_m.reshape(B.shape))
            top, low = R.max((1, 2)), B.min((1, 2))
            e = np.exp(R - top[:, None, None])
            full = e @ w
            none = np.zeros((at.size, 1))
            before = np.hstack([none, np.cumsum(full, 1)[:, :-1]])
            # from the other end: never 1 - right
            after = np.hstack([np.cumsum(full[:, ::-1], 1)[:, ::-1][:, 1:], none])
            total = full.sum(1)
            right = np.maximum(before[:, :, None] + e @ C.T, 0)
            left = np.maximum(after[:, :, None] + e @ (w[None] - C).T, 0)
            p = np.exp(low[:, None, None] - B) * w
            scale = np.log(length[at] / pieces)
            with np.errstate(divide="ignore"):
                out[0, at] = np.where(top >= WALL, np.inf, top + np.log(total) + scale)
                out[1, at] = np.log((p * left).sum((1, 2)) / total) - low + scale
                out[2, at] = np.log((p * right).sum((1, 2)) / total) - low + scale
    return out


def _chunks(pick, n_points):
    """Parts of an array of indices, each of which asks for at most CHUNK points."""
    per = max(1, CHUNK // n_points)
    return (pick[k:k + per] for k in range(0, pick.size, per))


def _exponents(space, start, step, s, axis):
    """beta (f - f0) - log M at fractions s of segments: (len(s), n)."""
    d, n = start.shape
    X = (start[:, None, :] + step[:, None, :] * s[:, None]).reshape(d, -1)
    E = space.exponent(X)
    if axis is not None:
        E = E - space.mobility.log_along(axis, X)
    return np.nan_to_num(E, nan=np.nan, posinf=WALL).reshape(s.size, n)


def _by_pieces(space, start, step, least=1):
    """Groups (n_pieces, indices): sub-intervals, a power of two, so that beta f changes by at most STEP on
    each."""
    probes = np.linspace(0, 1, 5)
    B = _exponents(space, start, step, probes, None)
    with np.errstate(over="ignore"):
        change = np.abs(np.diff(B, axis=0)).max(0) * 4
    if np.isnan(change).any():
        where = np.round((start + step / 2)[:, np.isnan(change)][:, 0], 6).tolist()
        raise ValueError(f"the potential is NaN between cell centres, first near {where}; take that place "
                         "out with Grid(..., mask=...).")
    wanted = np.ceil(change / STEP)
    remote = B.min(0) > space.weight_limit
    wanted[remote] = np.minimum(wanted[remote], np.maximum(np.ceil(change[remote] / ABOVE_LIMIT), 1))
    wanted = np.clip(wanted, least, MAX_PIECES)
    pieces = (2 ** np.ceil(np.log2(wanted))).astype(int)
    return [(int(p), np.flatnonzero(pieces == p)) for p in np.unique(pieces)]
