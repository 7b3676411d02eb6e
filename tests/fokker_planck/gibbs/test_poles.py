"""Poles of exp(-beta f): right values, or an honest error, against incomplete Gamma functions and powers."""
import mpmath as mp
import numpy as np
import pytest

import fpkit as fp


@pytest.mark.parametrize("k", [0.02, 0.03, 0.05, 0.08, 0.15, 0.3, 0.5, 0.7, 0.9, 1.5, 2.3, 3.0])
def test_the_gamma_density_has_the_probabilities_of_the_incomplete_gamma_function(k):
    rng = np.random.default_rng(int(100 * k))
    top, n, at = rng.uniform(8, 25), int(rng.integers(5, 80)), rng.uniform(0.01, 3)
    D = fp.FokkerPlanck(fp.Potential("(1 - k)*log(x) + x", k=k), 1.0, fp.Grid([(0, top)], n))
    with mp.workdps(30):
        upto = lambda x: mp.gammainc(mp.mpf(k), 0, mp.mpf(float(x)))
        Z = upto(top)
        e = D.grid.edges[0]
        exact = np.array([float((upto(b) - upto(a)) / Z) for a, b in zip(e[:-1], e[1:])])
        p, beyond = D.probability(fp.HalfSpace([1], at)), float((Z - upto(at)) / Z)
    assert abs(float(p) - beyond) <= p.error < 1e-9
    assert (np.abs(D.gibbs.values * D.grid.volumes - exact) <= D.gibbs.error * D.grid.volumes + 4e-16).all()
    assert abs(D.log_partition - float(mp.log(Z))) < 1e-11


@pytest.mark.parametrize("seed", range(12))
def test_a_pole_anywhere_on_the_line_keeps_its_error(seed):
    rng = np.random.default_rng(seed + 7)
    k, n = rng.uniform(0.02, 0.95), int(rng.integers(6, 50))
    at = float(rng.choice([0.3, -1.0, 2.0, rng.uniform(-0.9, 0.9)]))
    D = fp.FokkerPlanck(fp.Potential("(1 - k)*log(abs(x - a))", k=k, a=at), 1.0, fp.Grid([(-1, 2)], n))
    power = lambda x: np.sign(x - at) * abs(x - at) ** k
    exact = (power(2) - power(1)) / (power(2) - power(-1))
    p = D.probability(fp.HalfSpace([1], 1.0))
    assert abs(float(p) - exact) <= p.error < 1e-3


@pytest.mark.parametrize("k", [0.1, 0.4, 0.9])
def test_poles_along_walls_and_in_corners_of_a_plane_are_powers(k):
    edge = fp.FokkerPlanck(fp.Potential("(1 - k)*log(x) + y*y/2", k=k), 1.0,
                           fp.Grid([(0, 1), (-1, 1)], (12, 9)))
    p = edge.probability(fp.HalfSpace([1, 0], 0.5))
    assert abs(float(p) - (1 - 0.5**k)) <= p.error < 1e-10
    corner = fp.FokkerPlanck(fp.Potential("(1 - k)*log(x) + (1 - k)*log(y)", k=k), 1.0,
                             fp.Grid([(0, 1)] * 2, (12, 9)))
    p = corner.probability(fp.Box([(0.5, 1), (0.5, 1)]))
    assert abs(float(p) - (1 - 0.5**k) ** 2) <= p.error + 1e-15 and p.error < 1e-10
    for at in ((0.0, 0.0), (0.137, -0.211)):
        D = fp.FokkerPlanck(fp.Potential("(1 - k)*log((x - a)**2 + (y - b)**2)", k=k, a=at[0], b=at[1]), 1.0,
                            fp.Grid([(-1, 1)] * 2, (10, 8)))
        small, large = (D.probability(fp.Ball(at, r)) for r in (0.4, 0.7))
        share = float(small) / float(large)
        stated = small.error / float(large) + large.error * share / float(large)
        assert abs(share - (0.4 / 0.7) ** (2 * k)) <= stated


@pytest.mark.parametrize("text, bounds, theta", [("log(x)", [(0, 1)], 1.0), ("1.2*log(x)", [(0, 1)], 1.0),
                                                 ("log(x**2 + y**2)", [(-1e-9, 1e-9)] * 2, 0.5)])
def test_a_pole_without_a_finite_integral_is_refused_with_the_reason(text, bounds, theta):
    with pytest.raises(ValueError, match="no finite integral near"):
        _ = fp.FokkerPlanck(fp.Potential(text), theta, fp.Grid(bounds, (20,) * len(bounds))).gibbs


def test_poles_that_carry_nothing_and_tiny_boxes_cost_few_points():
    from fpkit.fokker_planck.gibbs import cell_masses
    counts = []
    original = cell_masses._Work.run
    run = lambda self, lower, *rest: (counts.append(lower.shape[1]), original(self, lower, *rest))[1]
    cell_masses._Work.run = run
    try:
        _ = fp.FokkerPlanck(fp.Potential("1/(x**2 + y**2)"), 1e-2, fp.Grid([(-1, 1), (-1, 1)], (2, 3))).gibbs
        with pytest.raises(ValueError, match="narrower than a cell"):
            _ = fp.FokkerPlanck(fp.Potential("1/(x**2 + y**2)"), 1e-6,
                                fp.Grid([(-1, 1), (-1, 1)], (2, 3))).gibbs
        D = fp.FokkerPlanck(fp.Potential("log(x**2 + y**2)"), 1.5, fp.Grid([(-1e-9, 1e-9)] * 2, (20, 20)))
        p = D.probability(fp.HalfSpace([1, 0], 0.0))
    finally:
        cell_masses._Work.run = original
    assert sum(counts) < 100_000 and abs(float(p) - 0.5) <= p.error
