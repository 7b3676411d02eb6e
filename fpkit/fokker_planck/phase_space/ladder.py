"""The ladder of velocity modes, and its slowest decay.

u = exp(-f/2 theta) sum_n c_n(x) He_n(v/sqrt(theta)) exp(-v^2/2 theta) / sqrt(2 pi theta n!) turns the
Klein-Kramers equation into dc_n/dt = -g n c_n - sqrt(n) A c_(n-1) + sqrt(n+1) A^T c_(n+1) [1]_.

References
----------
.. [1] H. Risken, The Fokker-Planck Equation, Springer (1989), section 10.2.
"""
from __future__ import annotations

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs, splu

SLOW = 1e-3                # of the friction: below it the gap is real, and found from resistances
ROUNDING = 1e-14           # of the largest rate, that eigenvalues of the whole ladder lose
ITERATIONS = 30


def generator(pair, friction, modes):
    """-L as a sparse matrix; mode n occupies the n-th block."""
    blocks = [[None] * modes for _ in range(modes)]
    for n in range(modes):
        A = pair.up if n % 2 == 0 else pair.down
        blocks[n][n] = friction * n * sparse.identity(A.shape[1])
        if n + 1 < modes:
            A = sparse.csc_matrix(A)
            blocks[n + 1][n] = np.sqrt(n + 1) * A
            blocks[n][n + 1] = -np.sqrt(n + 1) * A.T
    return sparse.bmat(blocks, format="csc")


def eigenvalues(pair, friction, modes, k, near=()):
    """The k eigenvalues of -L of smallest real part among those nearest to 0 and to each point of `near` on
    the imaginary axis, the 0 of the equilibrium left out, and the rounding error of each."""
    L = generator(pair, friction, modes)
    size = friction * modes + pair.scale * np.sqrt(modes)
    found, start = [], np.random.default_rng(0).normal(size=L.shape[0])
    for target in (0.0, *near):
        shift = -0.02 * min(friction, 1 / friction) + 1j * target
        kind = complex if target else float
        M = L.astype(kind)
        shift = kind(shift if target else shift.real)
        lu = splu((M - shift * sparse.identity(L.shape[0])).tocsc())
        inverse = LinearOperator(L.shape, lu.solve, dtype=kind)
        n = min(k + 5, L.shape[0] - 2)
        try:
            w = eigs(M, k=n, sigma=shift, OPinv=inverse, v0=start, ncv=min(4 * n + 20, L.shape[0]),
                     return_eigenvectors=False)
        except ArpackNoConvergence as stopped:
            w = stopped.eigenvalues
        found.append(w)
    w = np.concatenate(found)
    w = w.real + 1j * np.where(np.abs(w.imag) < 1e-9 * np.abs(w) + 10 * ROUNDING * size, 0, np.abs(w.imag))
    w = w[np.argsort(np.abs(w))]
    near = 10 * ROUNDING * size
    distinct = [z for i, z in enumerate(w) if not np.any(np.abs(w[:i] - z) < 1e-7 * abs(z) + near)]
    w = np.array([z for v in distinct[1:] for z in ({v, v.conjugate()})])      # without the equilibrium
    return w[np.lexsort((w.imag, w.real))][:k], ROUNDING * size


def slow_gap(pair, friction, modes):
    """The smallest eigenvalue of -L on an interval, to all digits however small it is; None where it is not
    far below the friction.

    With S_n = g n - lambda + (n + 1) A^T S_(n+1)^-1 A an eigenvector obeys A_0^T S_1^-1 A_0 c_0 = lambda c_0,
    A_0 = C^1/2 G m^-1/2, hence x = S_1^-1 A_0 c_0 has W S_1 x = x/lambda, W = (A_0 A_0^T)^-1 = C^-1/2 (G m^-1
    G^T)^-1 C^-1/2, whose middle is a product of masses left and right of edges: nothing cancels.
    """
    m, left = pair.mass, np.cumsum(pair.mass)[:-1]
    right = np.cumsum(m[::-1])[::-1][1:]
    middle = np.minimum.outer(np.arange(left.size), np.arange(left.size))
    other = np.maximum.outer(np.arange(left.size), np.arange(left.size))
    resistance = 1 / np.sqrt(pair.conductance)                   # up to 1e145: one factor at a time
    W = left[middle] / m.sum() * resistance * (right[other] * resistance[:, None])
    up = pair.up.toarray() if sparse.issparse(pair.up) else pair.up
    down = pair.down.toarray() if sparse.issparse(pair.down) else pair.down
    rate = 0.0
    for _ in range(ITERATIONS):
        S = _continued(up, down, friction, modes, rate)
        R = linalg.cholesky(S)
        new = 1 / linalg.eigh(R @ W @ R.T, eigvals_only=True, subset_by_index=[left.size - 1] * 2)[0]
        if not new < SLOW * friction:
            return None
        if abs(new - rate) < 1e-12 * new:
            return float(new)
        rate = new
    return None


def _continued(up, down, friction, modes, rate):
    """S_1 of the continued fraction, from the last mode down."""
    S = None
    for n in range(modes - 1, 0, -1):
        A = up if n % 2 == 0 else down
        here = (friction * n - rate) * np.eye(A.shape[1])
        if S is not None:
            X = linalg.solve_triangular(linalg.cholesky(S), A, trans="T")
            here += (n + 1) * (X.T @ X)
        S = here
    return S
