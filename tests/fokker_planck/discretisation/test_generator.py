"""The exported generator and the Gibbs cell probabilities."""
import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

import fpkit as fp

COUPLED = {1: "(x**2 - 1)**2 + a*x", 2: "(x**2 - 1)**2 + a*x + y**2*(1 + 0.3*x)",
           3: "(x**2 - 1)**2 + a*x + y**2 + z**2*(1 + 0.3*y)"}
SHAPES = {1: (23,), 2: (14, 11), 3: (7, 6, 8)}


def problems():
    """Random diffusions of one to three dimensions with every option."""
    rng = np.random.default_rng(20)
    for d in (1, 2, 3):
        A = rng.normal(size=(d, d))
        full = A @ A.T + 0.3 * np.eye(d)
        for name, options in (("plain", {}), ("diagonal", {"mobility": rng.uniform(0.3, 2, d)}),
                              ("full", {"mobility": full}),
                              ("function", {"mobility": lambda x: 1 + 0.5 * np.sin(x[..., 0])}),
                              ("absorbing", {"absorbing": fp.HalfSpace([1.0] + [0.4] * (d - 1), -0.9)}),
                              ("absorbing full", {"absorbing": fp.Ball([0.4] * d, 0.5), "mobility": full})):
            for kind in ("box", "mask", "region"):
                mask = {"box": None, "mask": rng.random(SHAPES[d]) < 0.8,
                        "region": lambda x: (x**2).sum(-1) < 3.1}[kind]
                grid = fp.Grid([(-1.9, 1.8)] * d, SHAPES[d], mask=mask)
                yield pytest.param(fp.FokkerPlanck(fp.Potential(COUPLED[d], a=rng.uniform(-0.4, 0.4)),
                                                   rng.uniform(0.15, 1.0), grid, **options),
                                   id=f"{d}D {name} {kind}")


@pytest.mark.parametrize("D", list(problems()))
def test_the_generator_is_in_detailed_balance_with_the_gibbs_cell_probabilities(D):
    p = (D.gibbs.values * D.grid.volumes).ravel()
    Q = D.generator
    flow = Q.multiply(p[:, None]).tocsr()
    assert abs(flow - flow.T).max() <= 1e-13 * abs(flow).max()
    states = np.isfinite(D.log_mass)
    np.testing.assert_allclose(np.exp(D.log_mass)[states] * p[states].max(), p[states], rtol=1e-12)
    c = np.asarray(flow[D.edges[:, 0], D.edges[:, 1]]).ravel()
    np.testing.assert_allclose(np.exp(D.log_conductance) * p[states].max(), c, rtol=1e-12)
    if D.absorbing is None:
        assert np.abs(Q.T @ p).max() <= 1e-13 * np.abs(Q.data).max() * p.max()
        np.testing.assert_allclose(np.asarray(Q.sum(1)).ravel(), 0, atol=1e-13 * np.abs(Q.data).max())


@pytest.mark.parametrize("d", [1, 2])
def test_the_gap_of_the_generator_converges_with_order_two(d):
    def gap(n):
        V = fp.Potential("x**4/4 - x**2/2 + 0.1*x" + (" + (y - 0.4*x)**2" if d == 2 else ""))
        D = fp.FokkerPlanck(V, 0.3, fp.Grid([(-2.4, 2.4)] * d, (n,) * d))
        s = np.exp(D.log_mass / 2)
        S = D.generator.multiply(s[:, None]).multiply(1 / s[None]).tocsc()
        return -eigsh((S + S.T) / 2, k=2, sigma=1e-3, which="LM")[0].min()
    gaps = [gap(n) for n in (20, 40, 80)]
    order = np.log2(abs(gaps[0] - gaps[1]) / abs(gaps[1] - gaps[2]))
    assert 1.7 < order < 2.4


def test_steep_cells_are_no_traps():
    for n, theta in ((16, 0.05), (20, 0.03), (33, 0.01)):
        D = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2 + 0.1*x"), theta, fp.Grid([(-2, 2)], n))
        s = np.exp(D.log_mass / 2)
        S = (D.generator.toarray() * s[:, None]) / s[None]
        assert -np.sort(np.linalg.eigvalsh((S + S.T) / 2))[-3] > 1   # the relaxation in a well, not a trap
