"""Elimination of chains that are not reversible, against dense arithmetic of 80 digits."""
import numpy as np
import pytest
from numpy.testing import assert_allclose

from fpkit.fokker_planck.solvers.directed_elimination import DirectedElimination
from fpkit.fokker_planck.solvers.elimination import Ordering

mpmath = pytest.importorskip("mpmath")


def chain(shape, decades, seed):
    """Random rates over many decades on the edges of a box, some edges across corners."""
    rng = np.random.default_rng(seed)
    X = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).reshape(len(shape), -1)
    index, edges = np.arange(X.shape[1]).reshape(shape), []
    for axis in range(len(shape)):
        a = np.moveaxis(index, axis, 0)
        edges.append(np.stack([a[:-1].ravel(), a[1:].ravel()]))
    if len(shape) > 1:
        edges.append(np.stack([index[:-1, :-1].ravel(), index[1:, 1:].ravel()]))
    I, J = np.concatenate(edges, axis=1)
    return X, I, J, 10 ** rng.uniform(-decades, 0, I.size), 10 ** rng.uniform(-decades, 0, I.size), rng


def exact(n, I, J, q, r, killing):
    A = mpmath.zeros(n)
    for i, j, a, b in zip(I.tolist(), J.tolist(), q, r):
        A[i, j] -= mpmath.mpf(a)
        A[j, i] -= mpmath.mpf(b)
        A[i, i] += mpmath.mpf(a)
        A[j, j] += mpmath.mpf(b)
    for i, g in enumerate(killing):
        A[i, i] += mpmath.mpf(g)
    return A


def array(column):
    return np.array([float(x) for x in column])


@pytest.mark.parametrize("shape, decades", [((6, 6), 3), ((7, 5), 40), ((3, 3, 4), 20), ((30,), 9)])
def test_every_entry_has_full_relative_accuracy_over_any_number_of_decades(shape, decades):
    X, I, J, q, r, rng = chain(shape, decades, sum(shape))
    n = X.shape[1]
    with mpmath.workdps(60 + 6 * decades):
        A = exact(n, I, J, q, r, np.zeros(n)).T
        A[n - 1, :] = mpmath.ones(1, n)
        b = mpmath.zeros(n, 1)
        b[n - 1] = 1
        p = mpmath.lu_solve(A, b)
        logs = np.array([float(mpmath.log(x)) for x in p])
    assert_allclose(DirectedElimination(Ordering(X, I, J), q, r).stationary(), logs, rtol=1e-14, atol=2e-14)
    killing, right = np.zeros(n), rng.uniform(size=n)
    killing[[0, n // 2]] = 10 ** rng.uniform(-decades, 0, 2)
    E = DirectedElimination(Ordering(X, I, J), q, r, killing)
    with mpmath.workdps(60 + 6 * decades):
        A, b = exact(n, I, J, q, r, killing), mpmath.matrix([mpmath.mpf(x) for x in right])
        forward, back = array(mpmath.lu_solve(A, b)), array(mpmath.lu_solve(A.T, b))
    assert_allclose(E.solve(right), forward, rtol=1e-13)
    assert_allclose(E.solve_transposed(np.stack([right, 2 * right])), [back, 2 * back], rtol=1e-13)


def test_a_larger_chain_keeps_its_identities():
    """Probability flows into each state as it flows out; mean times obey their equation; adjoint solves."""
    X, I, J, q, r, rng = chain((40, 33), 2, 8)
    n, o = X.shape[1], Ordering(X, I, J)
    p = np.exp(DirectedElimination(o, q, r).stationary())
    out = np.bincount(I, p[I] * q, n) + np.bincount(J, p[J] * r, n)
    into = np.bincount(J, p[I] * q, n) + np.bincount(I, p[J] * r, n)
    assert_allclose(out, into, rtol=1e-12)
    killing = np.where(X[0] == 0, 1.0, 0.0)
    E, b, c = DirectedElimination(o, q, r, killing), rng.uniform(size=n), rng.uniform(size=n)
    v = E.solve(b)
    leaves = np.bincount(I, q, n) + np.bincount(J, r, n) + killing
    assert_allclose(leaves * v, b + np.bincount(I, q * v[J], n) + np.bincount(J, r * v[I], n), rtol=1e-12)
    assert c @ v == pytest.approx(E.solve_transposed(c) @ b, rel=1e-12)


def test_weights_beyond_the_range_of_floats_come_as_logarithms():
    def line(n):
        steps = np.arange(n - 1)
        return DirectedElimination(Ordering(np.arange(n)[None], steps, steps + 1), np.full(n - 1, 1e-6),
                                   np.full(n - 1, 1e6)).stationary()
    assert_allclose(np.diff(line(100)), np.log(1e-12), rtol=1e-12)
    with pytest.raises(ArithmeticError, match="range of floats"):
        line(300)
