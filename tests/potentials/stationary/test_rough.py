"""Minima without curvature and minima at corners: found, put where they are, and named."""
import numpy as np
import pytest

import fpkit as fp

# potential, box, its minima, whether they are corners
ROUGH = {
    "quartic across": ("(x**2 - 1)**2 + y**4", [(-2, 2), (-1.5, 1.5)], [[-1, 0], [1, 0]], False),
    "sextic across": ("(x**2 - 1)**2 + 2*y**6", [(-2, 2), (-1.4, 1.5)], [[-1, 0], [1, 0]], False),
    "quartic": ("3*(x - 0.3)**4", [(-1, 2)], [[0.3]], False),
    "sextic": ("(x + 0.2)**6 + 1", [(-1, 2)], [[-0.2]], False),
    "octic and quartic": ("(x - 0.1)**8 + (y + 0.2)**4", [(-1, 2), (-2, 1.7)], [[0.1, -0.2]], False),
    "oblique quartic": ("(x + y)**4 + (x - 2*y)**2", [(-1, 2), (-2, 1.7)], [[0, 0]], False),
    "flat of three": ("(x**2 - 1)**2 + y**2 + (z - 0.2)**4", [(-2, 2), (-1, 1), (-1, 1)],
                      [[-1, 0, 0.2], [1, 0, 0.2]], False),
    "corner": ("abs(x)", [(-2, 3)], [[0]], True),
    "two corners": ("abs(abs(x) - 1) + 0.1*x", [(-2, 2)], [[-1], [1]], True),
    "uneven corner": ("where(x < 0.37, 0.37 - x, 5*(x - 0.37))", [(0, 1)], [[0.37]], True),
    "cusp": ("sqrt(abs(x - 0.2))", [(-1, 1)], [[0.2]], True),
    "valley with a kink": ("abs(x + y) + (x - 2*y)**2", [(-1, 2), (-2, 1.7)], [[0, 0]], True),
    "kink and parabola": ("abs(x - 0.25) + y**2", [(-1, 2), (-2, 1.7)], [[0.25, 0]], True),
    "kink and quartic": ("abs(abs(x) - 1) + y**4", [(-2, 2), (-1, 1)], [[-1, 0], [1, 0]], True),
    "cone": ("sqrt(x**2 + (y - 0.1)**2)", [(-1, 1.3), (-1, 1)], [[0, 0.1]], True),
    "pyramid": ("maximum(abs(x), abs(y + 0.3))", [(-1, 1.3), (-1, 1)], [[0, -0.3]], True),
}


@pytest.mark.parametrize("text, box, places, is_corner", ROUGH.values(), ids=ROUGH)
def test_rough_minima_are_found_placed_and_named(text, box, places, is_corner):
    wells = fp.find_wells(fp.Potential(text), box)
    assert len(wells) == len(places)
    for place in places:
        near = min(wells, key=lambda w: np.abs(w.x - place).max())
        assert np.abs(near.x - place).max() < 1e-6
        assert near.kind == "minimum" and near.degenerate and near.corner == is_corner and not near.on_wall
        assert repr(near).endswith("corner>" if is_corner else "degenerate>")
        assert np.isfinite(near.eigenvalues).all() and np.isfinite(near.value)
    assert ("corner" if is_corner else "degenerate") in repr(wells)


SMOOTH = {
    "inflection": ("x**3", [(-1, 2)]), "two inflections": ("x**3 + y**3", [(-1, 2), (-2, 1)]),
    "tails": ("exp(-x**2)", [(-12, 10)]), "pole": ("log(x**2)", [(-1, 2)]),
    "pole in the plane": ("log(x**2 + y**2)", [(-1, 2), (-1, 2)]), "top with a kink": ("-abs(x)", [(-1, 2)]),
    "kink on a slope": ("x + 0.5*abs(x)", [(-1, 2)]), "slope": ("exp(x)", [(-700, 0)]),
    "flat top": ("-x**4", [(-1, 2)]), "ridge with a kink": ("x + abs(y)", [(-1, 1), (-1, 1)]),
}


@pytest.mark.parametrize("text, box", SMOOTH.values(), ids=SMOOTH)
def test_what_is_no_minimum_is_not_taken_for_one(text, box):
    assert not fp.find_wells(fp.Potential(text), box)


def test_a_smooth_minimum_is_no_corner_however_narrow():
    for width in (1e-3, 1e-5):
        V = fp.Potential("-exp(-((x - 0.3)/w)**2) + x**2", w=width)
        wells = fp.find_wells(V, [(-1, 1)], starts=[[0.3]])
        near = min(wells, key=lambda m: abs(m.x[0] - 0.3))
        assert abs(near.x[0] - 0.3) < width and not near.corner and not near.degenerate


def test_a_shift_and_a_scale_change_nothing():
    for a, b, c in ((1.0, 0.0, 0.0), (40.0, 3.0, 1e3), (1e-3, -7.0, -2.0)):
        V = fp.Potential("c + (s*abs((x - b)/1.7))", s=a, b=b, c=c)
        wells = fp.find_wells(V, [(b - 2, b + 3)])
        assert len(wells) == 1 and wells[0].corner and abs(wells[0].x[0] - b) < 1e-8


def test_the_top_between_two_corners_is_a_corner_that_joins_them():
    points = fp.critical_points(fp.Potential("abs(abs(x) - 1) + 0.1*x"), [(-2, 2)])
    assert [p.kind for p in points] == ["minimum", "minimum", "saddle"]
    assert points.saddles[0].between == (0, 1) and points.saddles[0].corner
    assert points.saddles[0].value == pytest.approx(1.0) and points.index_sum == 1


def test_black_boxes_have_corners_and_flat_minima_too():
    for value, corner in ((lambda p: np.abs(p[:, 0]) + p[:, 1]**2, True),
                          (lambda p: p[:, 0]**4 + p[:, 1]**2, False)):
        wells = fp.find_wells(fp.Potential.black_box(value, ndim=2), [(-1, 2), (-1.2, 1)])
        assert len(wells) == 1 and wells[0].degenerate
        assert np.abs(wells[0].x).max() < 1e-2 and (wells[0].corner or not corner)


def test_a_basin_may_end_at_a_corner():
    A = fp.Basin(fp.Potential("abs(abs(x) - 1) + 0.1*x"), [0.4])
    assert A.minimum == pytest.approx([1.0], abs=1e-8)
    assert A.contains([[0.01], [-0.01], [1.9], [-1.9]]).tolist() == [True, False, True, False]


@pytest.mark.parametrize("text, box, shape, mark", [
    ("(x**2 - 1)**2 + y**4 + 0.05*x", [(-2, 2), (-1.5, 1.5)], (60, 40), "degenerate"),
    ("abs(abs(x) - 1) + 0.1*x", [(-2, 2)], (400,), "corner")])
def test_networks_of_rough_wells_have_shares_and_say_what_they_lack(text, box, shape, mark):
    V, theta, grid = fp.Potential(text), 0.1, fp.Grid(box, shape)
    N = fp.well_network(V, theta, grid=grid)
    left = fp.FokkerPlanck(V, theta, grid).probability(fp.HalfSpace([-1] + [0] * (V.ndim - 1), 0.0))
    assert N.stationary == pytest.approx([float(left), 1 - float(left)], abs=2e-3)
    text = repr(N)
    assert "nan" not in text and mark in text and "guard: refuse" in text and "see the guard" in text
    bare = fp.well_network(V, theta, points=fp.critical_points(V, box))
    assert "nan" not in repr(bare) and np.isnan(bare.stationary).all()


def test_a_table_of_rates_between_corners_has_no_blank():
    V, grid = fp.Potential("abs(abs(x) - 1) + 0.1*x"), fp.Grid([(-3, 3)], (120,))
    table = fp.compare_rates(V, fp.HalfSpace([-1], 0.9), fp.HalfSpace([1], 0.9), [0.1], grid=grid,
                             methods=["mfpt", "eyring-kramers"])
    text = repr(table)
    assert "nan" not in text and "corner of f" in text and "barrier 1.1" in text
