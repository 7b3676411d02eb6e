"""Walls and wells narrower than the cells: in the masses, in the probabilities, on a line and in a plane."""
import math

import numpy as np
import pytest

import fpkit as fp
from fpkit.fokker_planck.gibbs import narrow_features
from fpkit.fokker_planck.gibbs.cell_masses import Masses

BALL = {1: lambda r: 2 * r, 2: lambda r: np.pi * r**2}
RADIUS = {1: 0.02, 2: 0.2}


def square(ndim, place=0.31):
    return " + ".join(f"({c} - {place})**2" for c in "xyz"[:ndim])


@pytest.mark.parametrize("ndim", [1, 2])
@pytest.mark.parametrize("kind", ["rule", "infinite", "well"])
def test_half_of_a_box_with_a_hole_or_a_well_in_one_cell(ndim, kind):
    r, place = RADIUS[ndim], np.full(ndim, 0.31)
    half, n = 10.5, 10
    box, hole = (2 * half) ** ndim, BALL[ndim](r)
    outside = lambda p: ((p - place) ** 2).sum(-1) > r**2
    grid = fp.Grid([(-half, half)] * ndim, (n,) * ndim, mask=outside if kind == "rule" else None)
    text = {"rule": "0*(" + square(ndim) + ")", "infinite": f"where({square(ndim)} < {r**2}, 1e9, 0)",
            "well": f"where({square(ndim)} < {r**2}, -3, 0)"}
    weight = np.exp(3.0) if kind == "well" else 0.0
    D = fp.FokkerPlanck(fp.Potential(text[kind]), 1.0, grid)
    p = D.probability(fp.HalfSpace([1.0] + [0.0] * (ndim - 1), 0.0))
    exact = (box / 2 + (weight - 1) * hole) / (box + (weight - 1) * hole)
    assert abs(float(p) - exact) <= p.error < 0.01, (float(p) - exact, p.error)


def test_a_region_whose_boundary_lies_on_faces_cuts_no_cell():
    grid = fp.Grid([(-2, 2)] * 2, (8, 8))
    D = fp.FokkerPlanck(fp.Potential("x**4/4 + sin(3*y)"), 0.7, grid)
    p, cells = D.gibbs.values * grid.volumes, np.indices(grid.shape)
    assert float(D.probability(fp.HalfSpace([1, 0], 0.5))) == pytest.approx(p[cells[0] >= 5].sum(), rel=1e-13)
    assert float(D.probability(fp.Box([(-1, 1), (0, 1.5)]))) == pytest.approx(
        p[(cells[0] >= 2) & (cells[0] < 6) & (cells[1] >= 4) & (cells[1] < 7)].sum(), rel=1e-13)


@pytest.mark.parametrize("depth, place", [(12.0, (0.31, -4.9)), (15.0, (-7.2, 3.3)), (-8.0, (4.6, 4.1))])
def test_a_dimple_of_a_fortieth_of_a_cell_is_seen(depth, place):
    """A flat plane with a Gaussian well (or hill) of radius 0.05 in cells of 2.1."""
    radius, half, n = 0.05, 10.5, 10
    extra = 2 * np.pi * radius**2 * sum(depth**m / (m * math.factorial(m)) for m in range(1, 80))
    V = fp.Potential("-d*exp(-((x - a)**2 + (y - b)**2)/(2*s**2))", d=depth, a=place[0], b=place[1], s=radius)
    D = fp.FokkerPlanck(V, 1.0, fp.Grid([(-half, half)] * 2, (n, n)))
    area = (2 * half) ** 2
    for region, share, holds in ((fp.HalfSpace([1.0, 0.0], 0.0), 0.5, place[0] > 0),
                                 (fp.Box([(-8.0, 1.2), (-6.0, 5.0)]), 9.2 * 11 / area, place[0] < 1.2),
                                 (fp.Ball(place, 1.7), np.pi * 1.7**2 / area, True)):
        p = D.probability(region)
        exact = (share * area + extra * holds) / (area + extra)
        assert abs(float(p) - exact) <= p.error + 1e-14 and p.error < 1e-6


def test_what_is_narrower_costs_a_bounded_number_of_looks():
    for shape in ((6, 6), (100, 90), (300, 300), (8, 9, 10)):
        seen = []

        class Exponent:
            is_compiled = True

            def __call__(self, X):
                seen.append(X.shape[1])
                return np.zeros(X.shape[1])
        grid = fp.Grid([(0, 1)] * len(shape), shape)
        masses = Masses(np.log(grid.volumes).ravel(), np.zeros(grid.n_cells), 0.0)
        cells, _ = narrow_features.cells_with_narrow_features(Exponent(), grid, np.ones(shape, bool), masses)
        assert not cells.size and sum(seen) <= narrow_features.LOOKS
