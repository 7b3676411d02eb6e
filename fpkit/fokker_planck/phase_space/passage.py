"""Escape in phase space: the reactive flux between two regions of positions, each entered at any velocity."""
from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from .velocity import half_line


def stationary_flux(exponent, theta, friction, left, right, n, modes):
    """Flux and occupation of paths that come from the left of an interval and have not yet met its right end.

    h = u/(equilibrium) solves the stationary Klein-Kramers equation on (left, right) with h = 1 for what
    comes in from the left and h = 0 for what comes in from the right: the probability that a particle seen at
    (x, v) came from the left. Staggered: even parts of h in v on n + 1 nodes, odd parts on the n edges
    between; walls through int v h h over outgoing velocities. Order 2 in 1/n.

    Parameters
    ----------
    exponent : callable
        x -> beta (f - f0).
    modes : int
        Polynomials on the half line.

    Returns
    -------
    log_flux, log_occupation : float
        log of int v h exp(-beta (f - f0)) phi dv, and of int int h exp(-beta (f - f0)) phi dv dx.
    """
    basis = half_line(modes)
    t = np.linspace(0, 1, 2 * n + 1)
    x = left + (right - left) * t ** 3 * (10 - 15 * t + 6 * t * t)
    B = exponent(x)
    node, edge, s = B[::2], B[1::2], np.sqrt(theta)
    width, length = np.diff(np.r_[left, x[1::2], right]), np.diff(x[::2])
    up, down = np.exp(node[:-1] - edge), np.exp(node[1:] - edge)        # weight of an edge in units of a node
    # differences of odd parts seen from nodes, and of even parts seen from edges; rows in their own weight
    plain = sparse.diags([np.ones(n), -np.ones(n)], [0, -1], shape=(n + 1, n))
    weighted = sparse.diags([up, -down], [0, -1], shape=(n + 1, n))
    step = sparse.diags([-np.ones(n), np.ones(n)], [0, 1], shape=(n, n + 1))
    weighted_step = sparse.diags([-1 / up, 1 / down], [0, 1], shape=(n, n + 1))
    wall = np.zeros(n + 1)
    wall[[0, -1]] = s
    A = sparse.bmat([
        [friction * sparse.kron(sparse.diags(width), basis.K_even) + sparse.kron(sparse.diags(wall),
                                                                                 basis.flux),
         s * (sparse.kron(plain, basis.P.T) + sparse.kron(weighted, basis.Q))],
        [s * (sparse.kron(step, basis.Q.T) + sparse.kron(weighted_step, basis.P)),
         friction * sparse.kron(sparse.diags(length), basis.K_odd)]], format="csc")
    b = np.zeros(A.shape[0])
    b[:modes] = s * basis.flux[:, 0]
    c = splu(A).solve(b)
    even, odd = c[:(n + 1) * modes].reshape(n + 1, modes), c[(n + 1) * modes:].reshape(n, modes - 1)
    flux, top = s * (odd @ basis.Q[0]), int(np.argmax(edge))
    weight = np.exp(node.min() - node) * width * even[:, 0]
    return float(np.log(flux[top]) - edge[top]), float(np.log(weight.sum()) - node.min())
