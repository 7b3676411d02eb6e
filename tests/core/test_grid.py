import numpy as np
import pytest

import fpkit as fp


def test_volumes_add_up_to_the_box():
    for grid in (fp.Grid([(-1, 3)], 7), fp.Grid([(0, 1), (0, 2), (0, 3)], (3, 4, 5)),
                 fp.Grid.from_edges([[0, 1, 4], [0, 0.5, 2, 3]])):
        assert np.isclose(grid.volumes.sum(),
                          np.prod([b - a for a, b in grid.bounds])) and grid.volumes.shape == grid.shape


def test_refining_keeps_the_box_and_the_mask():
    mask = np.array([[True, False], [True, True]])
    fine = fp.Grid([(0, 1), (0, 1)], (2, 2), mask=mask).refined(3)
    assert fine.shape == (6, 6) and fine.inside[:3, 3:].sum() == 0 and fine.inside.sum() == 27
    assert np.allclose(fp.Grid.from_edges([[0, 1, 4]]).refined(2).edges[0], [0, 0.5, 1, 2.5, 4])


def test_a_point_is_found_in_its_cell():
    grid = fp.Grid([(0, 1), (0, 2)], (4, 5))
    assert grid.locate([0.3, 1.9]) == (1, 4) and grid.locate([1.0, 2.0]) == (3, 4)


def test_a_periodic_axis_wraps():
    grid = fp.Grid([(0, 1)], 4, periodic=True)
    assert grid.locate([1.3]) == grid.locate([0.3]) == (1,)
    values = np.cos(2 * np.pi * grid.centres[0])
    assert np.isclose(fp.Field(values, grid).at([0.0]), fp.Field(values, grid).at([1.0]))


def test_linear_functions_are_interpolated_exactly_also_beyond_the_last_centre():
    grid = fp.Grid([(0, 1), (0, 1)], (5, 6))
    f = fp.Field(grid.points @ [2.0, -3.0] + 1, grid)
    assert np.isclose(f.at([0.01, 0.99]), 2 * 0.01 - 3 * 0.99 + 1)


def test_a_region_can_be_the_mask():
    grid = fp.Grid([(-1, 1), (-1, 1)], (20, 20), mask=fp.Ball([0, 0], 0.8))
    assert 0 < grid.inside.sum() < 400 and grid.inside[10, 10] and not grid.inside[0, 0]


def test_equal_grids_are_equal():
    assert fp.Grid([(0, 1)], 4) == fp.Grid([(0, 1)], 4) != fp.Grid([(0, 1)], 5)


@pytest.mark.parametrize("edges", [[[0, 1]], [[0, 2, 1]], [[0, np.nan, 1]], [[[0, 1], [2, 3]]]])
def test_bad_edges_are_refused(edges):
    with pytest.raises(ValueError, match="increasing"):
        fp.Grid.from_edges(edges)


def test_coarsening_undoes_refinement_and_keeps_the_walls():
    rng = np.random.default_rng(4)
    for grid in (fp.Grid([(-1, 2), (0, 5)], (7, 4)), fp.Grid([(0, 1)], 12, periodic=True),
                 fp.Grid.from_edges([np.cumsum(rng.random(9)), np.cumsum(rng.random(6))]),
                 fp.Grid([(0, 1)] * 2, (4, 6), mask=rng.random((4, 6)) < 0.6)):
        assert grid.refined().coarsened() == grid
        half = grid.coarsened(0.25)
        assert half.bounds == grid.bounds and half.shape == tuple((n + 1) // 2 for n in grid.shape)
    assert fp.Grid([(0, 1)], 5, mask=np.array([1, 1, 0, 1, 1], bool)).coarsened() is None
    half = fp.Grid([(0, 1)], 4, mask=np.array([1, 0, 1, 1], bool))
    assert half.coarsened().inside.tolist() == [False, True] and half.coarsened(0.5).inside.all()
