"""Networks of kept nodes by elimination along a nested dissection: doubles, and mantissas with exponents."""
import numpy as np
import pytest

from fpkit.fokker_planck.solvers import elimination
from fpkit.fokker_planck.solvers.elimination import reduced_network, split


def problem(shape, spread, n_kept=3, seed=0):
    rng = np.random.default_rng(seed)
    n = int(np.prod(shape))
    flat, f = np.arange(n).reshape(shape), spread * rng.random(n)
    edges = np.concatenate([np.stack([np.delete(flat, -1, k).ravel(), np.delete(flat, 0, k).ravel()], 1)
                            for k in range(len(shape))])
    kept = rng.choice(n, n_kept, replace=False)
    cells = np.setdiff1d(np.arange(n), kept)
    node = np.empty(n, int)
    node[cells], node[kept] = np.arange(cells.size), cells.size + np.arange(n_kept)
    I, J = np.sort(node[edges], axis=1).T
    mass = np.empty(n)
    mass[node] = -f
    through = cells.size > I
    X = np.array(np.unravel_index(cells, shape))
    return X, I[through], J[through], -np.maximum(*f[edges.T])[through], mass, n_kept


def dense(X, I, J, log_c, log_mass, n_kept):
    """Schur complement and masses by the plainest star-mesh elimination in long doubles of logarithms."""
    n = X.shape[1]
    C = np.full((n + n_kept,) * 2, -np.inf)
    C[I, J] = C[J, I] = log_c
    m = log_mass.copy()
    for k in range(n):
        rest = np.arange(k + 1, n + n_kept)
        share = C[k, rest] - np.logaddexp.reduce(C[k, rest])
        C[np.ix_(rest, rest)] = np.logaddexp(C[np.ix_(rest, rest)], share[:, None] + C[k, rest])
        m[rest] = np.logaddexp(m[rest], m[k] + share)
    C = C[n:, n:]
    np.fill_diagonal(C, -np.inf)
    return C, m[n:]


@pytest.mark.parametrize("shape, spread", [((9, 7), 5), ((30, 4), 50), ((5, 4, 6), 20), ((40,), 30),
                                           ((9, 7), 3000),
                                           ((5, 4, 6), 12000), ((40,), 1e6)])
def test_any_range_gives_the_plain_elimination(shape, spread):
    given = problem(shape, spread)
    with np.errstate(invalid="ignore"):
        for found, exact in zip(reduced_network(*given), dense(*given)):
            off = np.isfinite(exact)
            assert np.array_equal(off, np.isfinite(found))
            assert np.abs(found[off] - exact[off]).max() < 1e-11 * max(1.0, spread)


@pytest.mark.parametrize("shape", [(25, 25), (7, 8, 6)])
def test_mantissas_and_exponents_agree_with_doubles(shape, monkeypatch):
    given = problem(shape, 30, seed=4)
    plain = reduced_network(*given)
    monkeypatch.setattr(elimination, "DOUBLES", 0.0)
    wide = reduced_network(*given)
    with np.errstate(invalid="ignore"):
        assert np.nanmax(np.abs(plain[0] - wide[0])) < 1e-13 and np.abs(plain[1] - wide[1]).max() < 1e-13


def test_a_capacity_screened_below_the_range_of_doubles_is_not_lost():
    """Three nodes on a line of walls: what passes from end to end past the middle is far below 1e-308."""
    n = 41
    f = np.where(np.arange(n) % 2 == 1, 300.0, 0.0)
    X = np.arange(n - 2)[None]
    I, J = np.arange(n - 1), np.arange(1, n)
    node = np.r_[n - 2, np.arange(n - 2), n - 1]
    a, b = np.sort(np.stack([node[I], node[J]]), axis=0)
    log_c = -np.maximum(f[I], f[J]) - np.arange(n - 1) * 40.0
    C, _ = reduced_network(X, a, b, log_c, np.zeros(n), 2)
    assert C[0, 1] == pytest.approx(-np.logaddexp.reduce(-log_c), rel=1e-12)


def test_too_much_work_is_declined():
    assert reduced_network(*problem((30, 30), 5), most=10.0) is None


def test_logarithms_split_into_mantissas_and_exponents():
    logs = np.array([0.0, -1e5, 7e5, -np.inf, 3.3])
    m, e = split(logs)
    assert m[3] == 0 and np.allclose(np.log(m[[0, 1, 2, 4]]) + e[[0, 1, 2, 4]] * np.log(2), logs[[0, 1, 2,
    4]],
                                     rtol=1e-14, atol=1e-13)
