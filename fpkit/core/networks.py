"""Networks of states by elimination without subtraction, everything in logarithms.

A reversible network of n states has masses m_i and conductances c_ij = m_i k_ij = c_ji. Eliminating state e
(graph transformation; Grassmann, Taksar, Heyman [1]_) with s_e = sum_j k_ej:

    k_ij += k_ie k_ej / s_e,        w_i += k_ie w_e / s_e.

All terms are positive, so every result has full relative accuracy however disconnected the network is, and in
logarithms no range of exponents is left to worry about.

.. [1] W. K. Grassmann, M. I. Taksar, D. P. Heyman, Oper. Res. 33, 1107 (1985).
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

ORTHOGONAL = 1e-15                               # columns whose cosine is below it count as orthogonal
SEPARATE = 35.0  # log of the ratio of two columns beyond which the larger one no longer changes
N_SWEEPS = 60


def log_hitting(log_k: ArrayLike, targets: Sequence[int], log_source: ArrayLike) -> np.ndarray:
    """log t with sum_j k_ij (t_i - t_j) = w_i outside the targets and t = 0 on them.

    Parameters
    ----------
    log_k : ndarray (n, n)
        log of the rates i -> j, -inf where there is none; the diagonal is ignored.
    targets : sequence of int
    log_source : ndarray (n,)
        log w; 0 everywhere gives the log of the mean first passage times.

    Returns
    -------
    log_t : ndarray (n,)
        -inf on the targets, +inf where they cannot be reached (if w > 0 anywhere on the way).
    """
    log_k = np.array(log_k, float)
    np.fill_diagonal(log_k, -np.inf)
    n, targets = len(log_k), list(targets)
    w = np.array(log_source, float)
    states = [i for i in range(n) if i not in set(targets)]
    parts = connected_parts(n, np.argwhere(np.isfinite(log_k)))
    reached = np.isin(parts, parts[targets])
    states = [i for i in states if reached[i]]
    exits = {}
    for place, e in enumerate(states):
        later, rest = states[place + 1:], states[place + 1:] + targets
        exits[e] = np.logaddexp.reduce(log_k[e, rest])
        share = log_k[later, e] - exits[e]
        w[later] = np.logaddexp(w[later], share + w[e])
        block = np.ix_(later, rest)
        log_k[block] = np.logaddexp(log_k[block], share[:, None] + log_k[e, rest])
        log_k[later, later] = -np.inf
    t = np.where(reached, -np.inf, np.inf)
    for place in range(len(states) - 1, -1, -1):
        e, later = states[place], states[place + 1:]
        t[e] = np.logaddexp.reduce(np.r_[w[e] - exits[e], log_k[e, later] - exits[e] + t[later]])
    t[targets] = -np.inf
    return t


def log_committor(log_k: ArrayLike, sources: Sequence[int], targets: Sequence[int]) -> np.ndarray:
    """log of the probability of reaching the targets before the sources, from each state."""
    log_k = np.array(log_k, float)
    np.fill_diagonal(log_k, -np.inf)
    ends = [*sources, *targets]
    source = np.logaddexp.reduce(log_k[:, list(targets)], axis=1)
    q = log_hitting(log_k, ends, source)
    q[list(sources)], q[list(targets)] = -np.inf, 0.0
    return np.where(q == np.inf, np.nan, q)


def log_eigenvalues(log_c: ArrayLike, log_m: ArrayLike) -> np.ndarray:
    """log of the nonzero eigenvalues of the network with conductances c_ij and masses m_i, ascending.

    The matrix M^-1/2 (diag(sum c) - c) M^-1/2 is factorised as L D L^T by elimination without subtraction,
    largest pivot first, and the columns of L D^1/2, kept as unit vectors times exp(scale), are made
    orthogonal by Jacobi rotations [1]_: L is well conditioned, so each eigenvalue is accurate to a few ulp
    times n, whatever the spread (1e-21 or 1e-2000).

    .. [1] J. Demmel, M. Gu, S. Eisenstat, I. Slapnicar, K. Veselic, Z. Drmac, Linear Algebra Appl. 299, 21
    (1999).
    """
    log_c = np.array(log_c, float)
    np.fill_diagonal(log_c, -np.inf)
    log_m = np.asarray(log_m, float)
    n = len(log_m)
    left, columns, scales = list(range(n)), [], []
    while len(left) > 1:
        total = np.array([np.logaddexp.reduce(log_c[i, [j for j in left if j != i]]) for i in left])
        pick = int(np.argmax(total - log_m[left]))
        if total[pick] == -np.inf:
            break  # the rest is disconnected: further zero eigenvalues
        e = left.pop(pick)
        column = np.zeros(n)
        column[e] = 1.0
        shares = log_c[left, e] - total[pick]
        column[left] = -np.exp(shares + 0.5 * (log_m[e] - log_m[left]))
        columns.append(column)
        scales.append(0.5 * (total[pick] - log_m[e]))
        new = log_c[np.ix_(left, left)]
        new = np.logaddexp(new, shares[:, None] + log_c[e, left])
        np.fill_diagonal(new, -np.inf)
        log_c[np.ix_(left, left)] = new
    return np.sort(2 * _orthogonal_scales(np.array(columns).reshape(-1, n), np.array(scales)))


def _orthogonal_scales(u, scale):
    """log lengths of the vectors u_k exp(scale_k) after they have been made orthogonal by rotations of
    pairs."""
    length = np.linalg.norm(u, axis=1)
    u, scale = u / length[:, None], scale + np.log(length)
    for _ in range(N_SWEEPS):
        largest = 0.0
        for p in range(len(u)):
            for q in range(p + 1, len(u)):
                a, b = (p, q) if scale[p] >= scale[q] else (q, p)      # a is the longer
                cosine = float(u[a] @ u[b])
                largest = max(largest, abs(cosine))
                if abs(cosine) <= ORTHOGONAL:
                    continue
                gap = scale[b] - scale[a]
                if gap < -SEPARATE:
                    x, y = u[a], u[b] - cosine * u[a]
                    log_x, log_y = scale[a], scale[b]
                else:
                    r = np.exp(gap)                                    # the pair as vectors u_a and r u_b
                    zeta = (r * r - 1) / (2 * r * cosine)
                    t = (1 if zeta >= 0 else -1) / (abs(zeta) + np.hypot(1.0, zeta))
                    c = 1 / np.hypot(1.0, t)
                    # the small vector b is updated as b - cosine a + ..., in units of its own length
                    x = c * (u[a] - t * r * u[b])
                    y = c * (u[b] + t / r * u[a])
                    log_x, log_y = scale[a], scale[b]
                for k, v, base in ((a, x, log_x), (b, y, log_y)):
                    size = np.linalg.norm(v)
                    u[k], scale[k] = v / size, base + np.log(size)
        if largest <= ORTHOGONAL:
            break
    return scale


def connected_parts(n: int, edges: ArrayLike) -> np.ndarray:
    """Number of the connected part of each of n nodes (n,); nodes without edges are parts of their own.

    Parameters
    ----------
    n : int
    edges : int ndarray (n_edges, 2)
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    pairs = np.asarray(edges).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(pairs), np.int8), tuple(pairs.T)), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def potentials(conductance: np.ndarray, leak: np.ndarray, source: np.ndarray) -> np.ndarray:
    """x with sum_j C_ij (x_i - x_j) + leak_i x_i = source_i for a small dense network, by elimination."""
    C, leak, b = conductance.copy(), leak.copy(), source.copy()
    k = len(b)
    s = np.zeros(k)
    for i in range(k):
        s[i] = C[i, i + 1:].sum() + leak[i]
        for j in range(i + 1, k):
            x = C[j, i] / s[i]
            leak[j] += x * leak[i]
            b[j] += x * b[i]
            C[j, i + 1:] += x * C[i, i + 1:]
            C[j, j] = 0.0
    v = np.zeros(k)
    for i in reversed(range(k)):
        v[i] = (b[i] + C[i, i + 1:] @ v[i + 1:]) / s[i]
    return v
