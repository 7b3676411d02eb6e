"""Bases of velocity functions, split by parity: Hermite polynomials on the line, and polynomials on the half
line that may break at v = 0."""
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LARGEST_SPEED = 16.0         # thermal speeds: exp(-128) is nothing, also beside polynomials of degree 100


@dataclass(frozen=True, eq=False)
class ParityBasis:
    """Even functions e_i and odd functions o_j of y = v/sqrt(theta), orthonormal for the weight w = 2 phi on
    y > 0, phi the standard normal density.

    Attributes
    ----------
    P, Q : ndarray (n_odd, n_even), (n_even, n_odd)
        ``P[i, j]`` = int o_i e_j' w and ``Q[i, j]`` = int e_i o_j' w.
    K_even, K_odd : ndarray
        int e_i' e_j' w and int o_i' o_j' w: friction.
    flux : ndarray (n_even, n_even)
        int y e_i e_j w: what leaves through an absorbing wall.
    """
    P: np.ndarray
    Q: np.ndarray
    K_even: np.ndarray
    K_odd: np.ndarray
    flux: np.ndarray


@lru_cache(8)
def half_line(n):
    """`ParityBasis` of the polynomials of degree below n on y > 0, the odd ones with a root at 0.

    At a wall that absorbs, a density has a kink and a root singularity at v = 0, which polynomials on the
    whole line resolve with an error like 1/n only; here it is like n^-3 (measured).
    """
    x, g = np.polynomial.legendre.leggauss(40)
    cuts = LARGEST_SPEED * np.linspace(0, 1, 41)
    y = (cuts[:-1, None] + np.diff(cuts)[:, None] * (x + 1) / 2).ravel()
    w = np.tile(g, cuts.size - 1) * LARGEST_SPEED / 80 * 2 * np.exp(-y * y / 2) / np.sqrt(2 * np.pi)
    e, de = _orthonormal(y, w, n)
    p, dp = _orthonormal(y, w * y * y, n - 1)
    o, do = p * y, p + dp * y
    inner = lambda a, b: (a * w) @ b.T
    return ParityBasis(inner(o, de), inner(e, do), inner(de, de), inner(do, do), inner(e * y, e))


def _orthonormal(y, w, n):
    """Values and derivatives (n, len(y)) of the first n polynomials that are orthonormal for the weights w
    (Stieltjes' procedure, orthogonalised twice)."""
    p, dp = np.zeros((n, y.size)), np.zeros((n, y.size))
    p[0] = 1 / np.sqrt(w.sum())
    for k in range(1, n):
        q, dq = y * p[k - 1], p[k - 1] + y * dp[k - 1]
        for _ in range(2):
            c = (p[:k] * w) @ q
            q, dq = q - c @ p[:k], dq - c @ dp[:k]
        size = np.sqrt((q * q) @ w)
        p[k], dp[k] = q / size, dq / size
    return p, dp


def hermite(y, n):
    """He_k(y)/sqrt(k!) for k < n: (n, len(y)), orthonormal for the normal density."""
    H = np.ones((n, np.size(y)))
    if n > 1:
        H[1] = y
    for k in range(1, n - 1):
        H[k + 1] = (y * H[k] - np.sqrt(k) * H[k - 1]) / np.sqrt(k + 1)
    return H


def gaussian_moments(mean, std, n):
    """Mean of He_k(Y)/sqrt(k!) for a normal Y, k < n: (n,)."""
    m = np.zeros(n)
    m[0] = 1.0
    if n > 1:
        m[1] = mean
    for k in range(1, n - 1):
        m[k + 1] = (mean * m[k] - np.sqrt(k) * (1 - std * std) * m[k - 1]) / np.sqrt(k + 1)
    return m


def hermite_cell_means(edges, n):
    """Means over cells of He_k(y) phi(y)/sqrt(k!), k < n, phi the normal density: (n, n_cells).

    The integral of He_k phi is -He_(k-1) phi; that of phi by erf.
    """
    from scipy.special import ndtr
    phi = np.exp(-edges * edges / 2) / np.sqrt(2 * np.pi)
    below = np.empty((n, edges.size))
    below[0] = np.where(edges < 0, ndtr(edges), -ndtr(-edges))      # tails keep their digits on both sides
    if n > 1:
        H = hermite(edges, n - 1)
        below[1:] = -H * phi / np.sqrt(np.arange(1, n))[:, None]
    out = np.diff(below, axis=1)
    across = (edges[:-1] < 0) & (edges[1:] >= 0)
    out[0, across] += 1.0
    return out / np.diff(edges)
