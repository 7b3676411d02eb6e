"""Eigenpairs of -L by inverse iteration without subtraction, and by Lanczos on the inverse."""
from __future__ import annotations

import numpy as np

STEPS = 12                       # of plain inverse iteration before Lanczos is asked
AGREED = 3e-14
LEAST_MASS = 1e-200              # relative: lighter states take no part in scalar products


def lowest(out):
    """log of the lowest eigenvalue of (K + ground) v = rate m v where every part is drained, and v > 0."""
    top = out.log_m.max()
    m = np.where(out.reaches_boundary, out.mode_mass(top), 0.0)
    factors = out.factors()
    solve = lambda v: np.where(out.reaches_boundary, factors.solve(m * v), 0.0)
    v = solve(np.ones(out.n))
    v = v / v.max()
    rate, v, is_found = _inverse_steps(solve, m, v, STEPS)
    if not is_found:
        _, vectors = inverse_lanczos(lambda x: signed(solve, x), m, 1, v)
        # positive entry by entry again
        rate, v, _ = _inverse_steps(solve, m, np.abs(vectors[0]) / np.abs(vectors[0]).max(), 3)
    if out.rows is not None:
        extra = np.where(m > 0, np.exp(out.log_source - top) - np.exp(out.log_m - top), 0.0)
        consistent = lambda v: np.where(out.reaches_boundary, out.consistent(factors, m * v, extra * v), 0.0)
        rate, v, _ = _inverse_steps(consistent, m, v, 6, 1e-11)
    return float(np.log(rate)) + out.shift - top, v


def _inverse_steps(solve, m, v, n_steps, agreed=AGREED):
    """Rate, vector and whether two successive rates agree, from steps v <- solve(v); v > 0 stays so."""
    last = 0.0
    for _ in range(n_steps):
        w = solve(v)
        rate = (m @ v) / (m @ w)                # flow out over mass, both sums of positive terms
        v = w / w.max()
        if abs(rate - last) <= agreed * rate:
            return rate, v, True
        last = rate
    return rate, v, False


def signed(solve, x):
    """A linear solve of data of both signs by two of positive data."""
    return solve(np.maximum(x, 0.0)) - solve(np.maximum(-x, 0.0))


def inverse_lanczos(solve, m, k, start, project=None):
    """The k largest eigenvalues of x -> solve(x) in the product sum m x y, as (values, vectors (k, n)); fewer
    where the iteration finds no more.

    `project` takes the known eigenvectors out of a vector.
    """
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
    root = np.sqrt(np.maximum(m, LEAST_MASS * m.max()))
    clean = (lambda x: x) if project is None else project

    def apply(z):
        return root * clean(solve(clean(z.ravel() / root)))

    n = m.size
    k = min(k, n - 2)
    z0 = root * clean(np.asarray(start, float))
    try:
        with np.errstate(all="ignore"):
            values, vectors = eigsh(LinearOperator((n, n), matvec=apply, dtype=float), k=k, which="LA", v0=z0,
                                    ncv=min(n - 1, max(2 * k + 8, 20)), tol=1e-13)
    except ArpackError as error:
        values = np.asarray(getattr(error, "eigenvalues", ()))
        vectors = np.reshape(getattr(error, "eigenvectors", ()), (n, values.size))
    order = np.argsort(-values)
    return values[order], (vectors[:, order] / root[:, None]).T
