"""Walls and wells narrower than the cells: in the masses, in the probabilities, on a line and in a plane."""
import numpy as np
import pytest

import fpkit as fp

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
