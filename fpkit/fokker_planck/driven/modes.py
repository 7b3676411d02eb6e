"""Lowest eigenvalues of -L of a driven diffusion, complex where probability turns round and round.

(sigma - L)^-1 is a solve without subtraction; Arnoldi's method on it [1]_, on functions of mean zero, with
sigma lowered until it is of the size of the slowest eigenvalue, which keeps the digits of slow ones.

References
----------
.. [1] R. B. Lehoucq, D. C. Sorensen, C. Yang, ARPACK Users' Guide, SIAM (1998).
"""
from __future__ import annotations

import numpy as np

from .chain import DrivenChain
from .stationary import _Level

LARGEST = {1: 100_000, 2: 250_000, 3: 50_000}       # states of a spectrum
MOST_SHIFTS = 60
FAR = 1e-3                  # of sigma, below which an eigenvalue asks for a smaller one
STEP = 1e-6                 # by which sigma falls at most
DENSE = 60                  # states up to which a dense matrix is taken


def lowest_modes(D, k):
    """(eigenvalues (k,), right eigenfunctions (k, *grid.shape)), by ascending real part."""
    chain = DrivenChain(D)
    if chain.n > LARGEST[D.grid.ndim]:
        raise ValueError(f"{chain.n} states are more than the {LARGEST[D.grid.ndim]} of a spectrum in "
                         f"{D.grid.ndim} dimensions; take a coarser grid.")
    is_closed = not chain.log_killings
    p = _Level(D).p if is_closed else None
    values, vectors = _dense(chain, p) if chain.n <= max(DENSE, 2 * k + 12) else _arnoldi(D, chain, p, k)
    order = np.lexsort((-values.imag, np.round(values.real / max(abs(values[-1]), 1e-300), 10)))
    values, vectors = values[order], vectors[:, order]
    if is_closed:
        values, vectors = np.r_[0.0, values], np.column_stack([np.ones(chain.n), vectors])
    values, vectors = values[:k], vectors[:, :k]
    w = p if is_closed else np.full(chain.n, 1 / chain.n)
    vectors = vectors / np.sqrt(w @ np.abs(vectors)**2)
    heavy = vectors[np.argmax(w[:, None] * np.abs(vectors)**2, axis=0), np.arange(vectors.shape[1])]
    vectors = vectors * np.conj(heavy / np.abs(heavy))
    if not np.iscomplex(values).any():
        values, vectors = values.real, vectors.real
    functions = np.full((values.size, D.grid.n_cells), np.nan, vectors.dtype)
    functions[:, chain.ids] = vectors.T
    return values, functions.reshape(values.size, *D.grid.shape)


def _dense(chain, p):
    Q = chain.generator()[chain.ids][:, chain.ids].toarray()
    values, vectors = np.linalg.eig(-Q)
    order = np.argsort(np.abs(values))[int(p is not None):]
    return values[order].astype(complex), vectors[:, order].astype(complex)


def _arnoldi(D, chain, p, k):
    from scipy.sparse.linalg import LinearOperator, eigs
    lengths = np.array([high - low for low, high in D.grid.bounds])
    x = D.grid.points.reshape(-1, D.grid.ndim)[chain.ids][:1]
    sigma = float((np.trace(D.frozen_process.diffusion(x)[0]) * (np.pi / lengths)**2).max())
    ordering, n = chain.ordering(), chain.n
    centred = (lambda v: v - p @ v) if p is not None else (lambda v: v)
    start = centred(np.random.default_rng(0).standard_normal(n))
    for _ in range(MOST_SHIFTS):
        factors = chain.factors(ordering, np.full(n, sigma))

        def solve(v, factors=factors):
            v = centred(np.real(v))
            up, down = factors.solve(np.stack([np.maximum(v, 0.0), np.maximum(-v, 0.0)]))
            return centred(up - down)
        m = min(k + 2, n - 2)
        inverse, vectors = eigs(LinearOperator((n, n), solve, dtype=float), k=m, which="LM", v0=start,
                                ncv=min(n, max(2 * m + 8, 24)), tol=1e-12)
        values = 1 / inverse - sigma
        slowest = np.abs(values).min()
        if slowest >= FAR * sigma:
            break
        sigma = max(slowest, STEP * sigma)
    return values, vectors
