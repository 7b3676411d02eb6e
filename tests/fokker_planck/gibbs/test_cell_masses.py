import numpy as np
import pytest
from plain_references import cell_probabilities

import fpkit as fp
from fpkit.fokker_planck.averages import gibbs_mean
from fpkit.fokker_planck.gibbs.cell_masses import cell_masses


def well(x):
    return (x**2 - 1)**2 + 0.3 * x


def plane(x, y):
    return (x**2 - 1)**2 + 2 * y**2 + 0.3 * x * y


def channel(x, y):
    return (x**2 - 1)**2 + 0.3 * x + 1.5 * (y - 0.5 * x**2 + 0.25)**2


def space(x, y, z):
    return (x**2 - 1)**2 + 2 * y**2 + 0.3 * x * y + 1.5 * z**2 + 0.2 * y * z


def gibbs_error(f, grid, theta, **options):
    D = fp.FokkerPlanck(fp.Potential(f), theta, grid)
    p = D.gibbs.values * grid.volumes
    return np.abs(p - cell_probabilities(f, grid.edges, theta,
                                         **options)).sum(), float((D.gibbs.error * grid.volumes).sum())


@pytest.mark.parametrize("theta", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("n", [16, 200])
def test_cell_probabilities_of_a_smooth_potential_are_exact_in_one_dimension(theta, n):
    error, stated = gibbs_error(well, fp.Grid([(-2.5, 2.5)], n), theta, parts=16 if n == 16 else 2)
    assert error < 2e-14
    assert stated < 1e-12


@pytest.mark.parametrize("theta", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("f", [plane, channel])
def test_cell_probabilities_of_a_smooth_potential_are_exact_in_two_dimensions(f, theta):
    error, stated = gibbs_error(f, fp.Grid([(-2.5, 2.5), (-2.2, 2.5)], (64, 48)), theta, parts=2, points=12)
    assert error < 2e-14
    assert stated < 1e-12


def test_cell_probabilities_are_exact_in_three_dimensions_where_the_cells_resolve_the_potential():
    error, stated = gibbs_error(space, fp.Grid([(-2, 2), (-1.5, 1.5), (-1.5, 1.5)], (20, 16, 14)), 0.3,
                                parts=1, points=9)
    assert error < 1e-12
    assert error <= stated < 1e-9


def test_cold_coarse_cells_in_three_dimensions_keep_the_stated_error():
    error, stated = gibbs_error(space, fp.Grid([(-2, 2)] * 3, (9, 8, 10)), 0.05, parts=3, points=6)
    assert error <= stated + 3e-8                   # 3e-8: the reference itself
    assert stated < 1e-6


@pytest.mark.parametrize("theta", [1.0, 0.1, 0.01])
def test_the_stated_error_is_kept_where_the_potential_has_kinks(theta):
    kinks = lambda x: np.abs(x - 0.123) + 0.2 * np.where(x > -0.61, x + 0.61, 0)**2
    error, stated = gibbs_error(kinks, fp.Grid([(-2, 2)], 40), theta, breaks=(0.123, -0.61))
    assert error <= stated < 1e-11


def test_a_kink_of_the_second_derivative_beyond_the_gauss_points_is_seen():
    V = fp.catalogue.flat_bottomed()
    grid = fp.Grid(V.box, 200)
    f = lambda x: V(x[:, None])
    D = fp.FokkerPlanck(V, 0.1, grid)
    p = cell_probabilities(f, grid.edges, 0.1, breaks=(-2, -0.5, 0.5, 2))
    assert np.abs(D.gibbs.values * grid.volumes - p).sum() < 1e-13


def test_cell_probabilities_keep_the_stated_error_across_a_kinked_line():
    # the line is a diagonal of the cells of a finer grid, whose masses add up
    V = fp.Potential("maximum(abs(x), abs(y)) + 0.1*x")
    D = fp.FokkerPlanck(V, 0.2, fp.Grid([(-1, 1)] * 2, (15, 15)))
    x, w = np.polynomial.legendre.leggauss(24)
    total, centre = 0.0, 0.0
    # four triangles, polar-like coordinates r, s = other / r
    for sx, _ in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        r, s = np.meshgrid((x + 1) / 2, x, indexing="ij")
        weight = np.outer(w / 2, w)
        for limit in (1.0, 1 / 15):
            R = r * limit
            X = sx * R if sx else R * s
            value = (np.exp(-(R + 0.1 * X) / 0.2) * R * limit * weight).sum()
            total, centre = (total + value, centre) if limit == 1.0 else (total, centre + value)
    p = D.gibbs.values[7, 7] * D.grid.volumes[7, 7]
    assert abs(p - centre / total) <= float((D.gibbs.error * D.grid.volumes).sum()) < 1e-5


def test_a_constant_added_to_the_potential_changes_nothing_but_the_rounding_of_f():
    grid = fp.Grid([(-2, 2), (-1.5, 1.5)], (31, 20))
    a = fp.FokkerPlanck(fp.Potential(plane), 0.05, grid)
    b = fp.FokkerPlanck(fp.Potential(lambda x, y: plane(x, y) + 1000.0), 0.05, grid)
    np.testing.assert_allclose(a.gibbs.values, b.gibbs.values, rtol=1e-10, atol=1e-12 * a.gibbs.values.max())
    assert abs((a.log_partition - b.log_partition) - 1000 / 0.05) < 1e-6
    known = a.log_conductance > -500
    np.testing.assert_allclose(a.log_conductance[known], b.log_conductance[known], atol=1e-9)


def test_nothing_overflows_where_the_potential_reaches_thousands_of_theta():
    D = fp.FokkerPlanck(fp.Potential("50*(x**2 - 1)**2 + exp(3*abs(x))"), 1e-3, fp.Grid([(-3, 3)], 60))
    assert np.isfinite(D.gibbs.values).all() and np.isfinite(D.generator.data).all()
    assert abs((D.gibbs.values * D.grid.volumes).sum() - 1) < 1e-14
    assert np.isfinite(D.cell_log_mass).all() and D.cell_log_mass.min() < -1e4


def test_non_uniform_cells_hold_the_sums_of_their_parts():
    fine = fp.Grid([(-2, 2)], 64)
    rng = np.random.default_rng(3)
    cut = np.sort(np.r_[0, rng.choice(np.arange(1, 64), 20, replace=False), 64])
    coarse = fp.Grid.from_edges([fine.edges[0][cut]])
    V = fp.Potential(well)
    p = fp.FokkerPlanck(V, 0.02, fine).gibbs.values * fine.volumes
    q = fp.FokkerPlanck(V, 0.02, coarse).gibbs.values * coarse.volumes
    np.testing.assert_allclose(np.add.reduceat(p, cut[:-1]), q, rtol=1e-13, atol=1e-16)


def test_a_mask_of_cells_removes_them_and_leaves_the_ratios_of_the_others():
    V = fp.Potential(plane)
    inside = np.hypot(*np.moveaxis(fp.Grid([(-2, 2)] * 2, (24, 20)).points - [0.4, 0.0], -1, 0)) > 0.5
    whole, holed = (fp.FokkerPlanck(V, 0.3, fp.Grid([(-2, 2)] * 2, (24, 20), mask=m)).gibbs.values
                    for m in (None, inside))
    assert (holed[~inside] == 0).all()
    np.testing.assert_allclose(holed[inside] / holed[inside].sum(), whole[inside] / whole[inside].sum(),
                               rtol=1e-14, atol=1e-15)


def test_a_black_box_gives_the_same_masses_as_the_compiled_formula():
    V = fp.Potential(plane)
    box = fp.Potential.black_box(lambda x: plane(x[..., 0], x[..., 1]), None, 2)
    grid = fp.Grid([(-2, 2), (-1, 1)], (20, 12))
    inside = np.ones(grid.shape, bool)
    a, b = (cell_masses(v, 0.1, grid, inside) for v in (V, box))
    np.testing.assert_allclose(a.log_mass, b.log_mass, rtol=1e-13, atol=1e-13)


def test_masses_of_a_spline_are_those_of_its_cubic_pieces():
    knots = np.linspace(-2, 2, 18)
    W = fp.GridPotential([knots], well(knots))
    grid = fp.Grid([(-2, 2)], 23)                                   # the knots do not lie on the faces
    D = fp.FokkerPlanck(W, 0.02, grid)
    p = cell_probabilities(lambda x: W(x[:, None]), grid.edges, 0.02, parts=4, breaks=knots[1:-1])
    assert np.abs(D.gibbs.values * grid.volumes - p).sum() < 1e-13


def test_the_mean_energy_of_an_oscillator_is_half_theta_a_coordinate():
    assert abs(gibbs_mean(fp.Potential("x**2/2 + 3*y**2"), 0.02, fp.Grid([(-2, 2)] * 2, (40, 40)))
               - 0.02) < 1e-15
    square = gibbs_mean(fp.Potential("x**2/2"), 0.02, fp.Grid([(-2, 2)], 50), lambda x: x[:, 0]**2)
    assert abs(square - 0.02) <= square.error < 1e-13
