"""Elimination along a nested dissection: entrywise right, whatever the conductances."""
import numpy as np
import pytest

from fpkit.fokker_planck.solvers.elimination import Elimination, Ordering


def grid_graph(shape, rng, span):
    """Nodes and edges of a grid with some edges left out and some diagonals, and log conductances over
    `span`."""
    index = np.arange(np.prod(shape)).reshape(shape)
    I = np.concatenate([index[:-1].ravel(), index[:, :-1].ravel(), index[:-1, :-1].ravel()])
    J = np.concatenate([index[1:].ravel(), index[:, 1:].ravel(), index[1:, 1:].ravel()])
    keep = rng.random(I.size) < 0.9
    return np.array(np.unravel_index(index.ravel(), shape)), I[keep], J[keep], -span * rng.random(keep.sum())


def exact(n, I, J, c, ground, b):
    """v by mpmath with enough digits for any range."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(700):
        K = mpmath.zeros(n)
        for i, j, w in zip(I, J, c):
            w = mpmath.mpf(float(w))
            K[i, i] += w
            K[j, j] += w
            K[i, j] -= w
            K[j, i] -= w
        for i, g in enumerate(ground):
            K[i, i] += mpmath.mpf(float(g))
        return [float(v) for v in mpmath.lu_solve(K, mpmath.matrix([mpmath.mpf(float(a)) for a in b]))]


@pytest.mark.parametrize("seed", range(3))
def test_solutions_have_full_relative_accuracy_entry_by_entry(seed):
    rng = np.random.default_rng(seed)
    X, I, J, log_c = grid_graph((7, 8), rng, 690.0)                  # conductances from 1e-300 to 1
    n = X.shape[1]
    c, ground, b = np.exp(log_c), np.zeros(n), rng.random(n)
    ground[rng.integers(n)] = 1.0
    reached = reachable(n, I, J, ground)
    ground[~reached] = 1.0
    v = Elimination(Ordering(X, I, J), c, ground).solve(b)
    truth = np.array(exact(n, I, J, c, ground, b))
    assert np.abs(v / truth - 1).max() < 1e-12


def reachable(n, I, J, ground):
    seen = ground > 0
    for _ in range(n):
        seen[I] |= seen[J]
        seen[J] |= seen[I]
    return seen


@pytest.mark.parametrize("shape", [(1, 30), (30, 1), (9, 40), (33, 31)])
def test_fronts_of_any_shape_give_the_dense_solution(shape):
    rng = np.random.default_rng(4)
    X, I, J, log_c = grid_graph(shape, rng, 3.0) if min(shape) > 1 else line_graph(shape, rng)
    n = X.shape[1]
    c, ground = np.exp(log_c), 0.1 * rng.random(n)
    K = np.diag(ground)
    np.add.at(K, (I, I), c)
    np.add.at(K, (J, J), c)
    np.add.at(K, (I, J), -c)
    np.add.at(K, (J, I), -c)
    b = rng.random((3, n))
    v = Elimination(Ordering(X, I, J), c, ground).solve(b)
    assert np.allclose(v, np.linalg.solve(K, b.T).T, rtol=1e-9)
    assert (v > 0).all()


def line_graph(shape, rng):
    n = max(shape)
    return np.array(np.unravel_index(np.arange(n), shape)), np.arange(n - 1), np.arange(1,
                                                                                        n), -rng.random(n - 1)
