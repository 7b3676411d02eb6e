"""Eigenpairs of -L by inverse iteration without subtraction, and by Lanczos on the inverse."""
from __future__ import annotations

import numpy as np

STEPS = 12                       # of plain inverse iteration before Lanczos is asked
AGREED, AGREED_BY_ROWS = 3e-14, 1e-11          # of the rate: of a chain, of the consistent rows
LEAST_MASS = 1e-200              # relative: lighter states take no part in scalar products


def lowest(out, start=None):
    """log of the lowest eigenvalue of (K + ground + R) v = rate m v where every part is drained, and v > 0;
    R are the consistent rows. The iteration begins at `start` (n,), where it is given."""
    top = out.log_m.max()
    m = np.where(out.reaches_boundary, out.mode_mass(top), 0.0)
    factors = out.factors()
    extra, agreed = 0.0, AGREED
    if out.rows is not None:
        extra = np.where(m > 0, np.exp(out.log_source - top) - np.exp(out.log_m - top), 0.0)
        agreed = AGREED_BY_ROWS

    def solve(v, begun=None):
        return np.where(out.reaches_boundary, out.consistent(factors, m * v, extra * v, begun), 0.0)

    if start is None:
        start = solve(np.ones(out.n))
        start = start / start.max()
    rate, v, is_found = _inverse_steps(solve, m, start, STEPS, agreed)
    if not is_found:
        chain = lambda x: np.where(out.reaches_boundary, signed(lambda b: factors.solve(m * b), x), 0.0)
        _, vectors = inverse_lanczos(chain, m, 1, v)
        # positive entry by entry again
        v = np.abs(vectors[0]) / np.abs(vectors[0]).max()
        rate, v, _ = _inverse_steps(solve, m, v, STEPS, agreed)
    return float(np.log(rate)) + out.shift - top, v


def _inverse_steps(solve, m, v, n_steps, agreed):
    """Rate, vector and whether the rate is found to `agreed`, from steps v <- solve(v, v / rate); v > 0 stays
    so.

    The steps converge like a geometric series, whose sum the last two changes tell."""
    rate, changed, begun = np.nan, np.nan, None
    for _ in range(n_steps):
        w = solve(v, begun)
        last, rate = rate, (m @ v) / (m @ w)    # flow out over mass, both sums of positive terms
        v = w / w.max()
        begun = v / rate
        change = abs(1 - last / rate)
        if change <= agreed or change**2 <= agreed * (changed - change):
            return rate, v, True
        changed = change
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
