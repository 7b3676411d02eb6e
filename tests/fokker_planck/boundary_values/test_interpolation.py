"""Values between the nodes: their stated errors are kept by the truth and are not idle."""
import math

import numpy as np
import pytest

import fpkit as fp
from fpkit.fokker_planck.boundary_values.interpolation import Interpolant

V = fp.Potential("(x**2 - 1)**2 + 0.3*x")
A, B = fp.HalfSpace([-1], 1.0), fp.HalfSpace([1], 0.9)


def interpolant(n, function, zero=None):
    grid = fp.Grid([(0.0, 2.0), (0.0, 1.5)], (n, n))
    inside = np.ones(grid.shape, bool) if zero is None else ~zero.contains(grid.points)
    with np.errstate(divide="ignore"):
        log = np.where(inside, np.log(np.maximum(function(grid.points), 0.0)), -np.inf)
    return Interpolant(grid, log, inside, np.ones(grid.shape, bool), zero)


@pytest.mark.parametrize("ask", ["committor", "mfpt"])
def test_errors_between_the_nodes_are_kept_and_not_idle_in_one_dimension(ask):
    points = np.random.default_rng(3).uniform(-0.99, 0.89, (60, 1))
    for theta in (0.2, 0.07):
        D = fp.FokkerPlanck(V, theta, fp.Grid([(-2, 2)], 100))
        regions = (A, B) if ask == "committor" else (B,)
        exact, chain = getattr(D, ask)(*regions), getattr(D, ask)(*regions, exact=False)
        truth = np.array([exact.at(p).log10 for p in points]) * math.log(10)
        log, relative, _ = chain.rule.logs(points)
        true = np.abs(np.expm1(log - truth))
        assert (true <= relative + 1e-12).all()
        # measured: 0.85 to 0.88; the medians 15 to 18
        assert np.mean((relative < 60 * true) | (relative < 2e-6)) > 0.8
        assert np.median(relative / np.maximum(true, 1e-12)) < 20


def test_polynomials_have_order_six_and_know_their_error():
    points = np.random.default_rng(4).uniform([0.1, 0.1], [1.9, 1.4], (200, 2))
    field = lambda x: np.exp(np.sin(2 * x[..., 0]) + x[..., 1] ** 2 / 2) * (2 + np.cos(3 * x[..., 1]))
    worst = []
    for n in (16, 32):
        log, error = interpolant(n, field)(points)
        true = np.abs(log - np.log(field(points)))
        assert (true <= error + 1e-14).all() and np.median(error / true) < 20
        worst.append(true.max())
    assert worst[0] / worst[1] > 2**5


def test_a_field_is_known_relative_to_itself_up_to_where_it_vanishes():
    disc = fp.Ball([0.0, 0.0], 0.5)
    field = lambda x: np.log(np.hypot(x[..., 0], x[..., 1]) / 0.5)                 # 0 on the disc
    angles = np.random.default_rng(5).uniform(0.2, 1.3, 100)
    for distance in (1e-4, 0.01, 0.05):
        points = (0.5 + distance) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        log, error = interpolant(40, field, disc)(points)
        true = np.abs(log - np.log(field(points)))
        assert true.max() < 3e-3 and (true <= error).mean() > 0.97


def test_distances_of_regions_on_a_ring_do_no_harm():
    W = fp.Potential("cos(x) + cos(y)")
    D = fp.FokkerPlanck(W, 0.5, fp.Grid([(0, 2 * np.pi)] * 2, (36, 36), periodic=True))
    q = D.committor(fp.Ball([np.pi, np.pi], 0.8), fp.Ball([0.5, 0.5], 0.4))
    for p in ([0.02, 6.2], [6.26, 3.0], [3.0, 0.01]):
        assert 0 < q.at(p).value < 1 and q.at(p).error < 0.2
