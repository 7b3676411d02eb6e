"""The search for stationary points, against functions whose points are known otherwise."""
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import fpkit as fp
from fpkit.potentials.stationary.critical import barriers_between
from fpkit.potentials.stationary.descent import Surface, descend, trapping_zone
from fpkit.potentials.stationary.saddle_paths import relaxed_string


def test_wells_come_sorted_and_polished():
    V = fp.Potential("(x**2 - 1)**2 + 0.3*x + 2*y**2 + 0.5*x*y")
    wells = fp.find_wells(V, [(-2, 2), (-2, 2)])
    assert len(wells) == 2 and wells[0].value < wells[1].value and wells[0].x[0] < 0
    assert all(np.abs(V.gradient(w.x)).max() < 1e-14 for w in wells)
    assert "minimum" in repr(wells) and "minimum" in repr(wells[0])


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_all_points_of_a_random_polynomial_on_a_line_are_found(seed):
    c = np.random.default_rng(seed).normal(size=6)
    roots = np.polynomial.Polynomial([*c, 0.0, 0.5]).integ().deriv().roots()
    real = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
    real = real[np.abs(real) < 3]
    V = fp.Potential("c0*x + c1*x**2/2 + c2*x**3/3 + c3*x**4/4 + c4*x**5/5 + c5*x**6/6 + 0.0625*x**8",
                     **{f"c{k}": v for k, v in enumerate(c)})
    if len(real) > 1 and np.diff(real).min() < 1e-3:
        return  # nearly degenerate pairs are another question
    found = fp.critical_points(V, [(-3, 3)])
    np.testing.assert_allclose(sorted(p.x[0] for p in found), real, atol=1e-8)


def test_a_separable_landscape_has_the_product_of_its_points():
    V = fp.Potential("(x**2 - 1)**2 + 0.1*x + 2*(y**2 - 1)**2 - 0.2*y + (z**2 - 1)**2")
    found = fp.critical_points(V, [(-1.6, 1.6)] * 3)
    counts = np.bincount([c.index for c in found])
    assert counts.tolist() == [8, 12, 6, 1] and found.index_sum == 1
    for s in found.saddles:                                       # a saddle joins the two corners of its edge
        i, j = s.between
        assert np.count_nonzero(np.sign(found.minima[i].x) != np.sign(found.minima[j].x)) == 1


def test_wells_are_found_in_ten_dimensions():
    V = fp.catalogue.quartic_chain(d=10, coupling=4.0)
    wells = fp.find_wells(V, V.box)
    np.testing.assert_allclose([w.x for w in wells[:2]], [-np.ones(10), np.ones(10)], atol=1e-12)


def test_a_black_box_gives_its_wells_too():
    V = fp.Potential.black_box(lambda x: (x[:, 0]**2 - 1)**2 + (x[:, 1] - 0.3 * x[:, 0])**2, ndim=2)
    found = fp.critical_points(V, [(-2, 2), (-2, 2)])
    assert [c.index for c in found] == [0, 0, 1] and found[2].between == (0, 1)
    np.testing.assert_allclose([c.x for c in found], [[-1, -0.3], [1, 0.3], [0, 0]], atol=1e-5)


def test_samples_give_the_points_of_their_spline():
    exact = fp.catalogue.mueller_brown()
    x, y = np.linspace(-1.7, 1.3, 121), np.linspace(-0.5, 2.2, 111)
    V = fp.GridPotential([x, y], exact(np.stack(np.meshgrid(x, y, indexing="ij"), -1)))
    found = fp.critical_points(V)
    assert len(found.minima) == 3 and [s.between for s in found.saddles] == [s.between for s in exact.saddles]
    np.testing.assert_allclose([m.x for m in found.minima], [m.x for m in exact.minima], atol=1e-4)
    assert all(np.abs(V.gradient(c.x)).max() < 1e-9 for c in found)


def test_wells_behind_missing_samples_are_left_out():
    x = np.linspace(-2, 2, 81)
    value = (x[:, None]**2 - 1)**2 + x[None, :]**2
    value[x > 0.5] = np.nan
    wells = fp.find_wells(fp.GridPotential([x, x], value))
    assert len(wells) == 1 and wells[0].x[0] == pytest.approx(-1, abs=1e-4)


def test_minima_on_walls_are_returned_when_asked_for():
    V = fp.Potential("(x - 3)**2 + y**2")
    assert len(fp.find_wells(V, [(-1, 1), (-1, 1)])) == 0
    (wall,) = fp.find_wells(V, [(-1, 1), (-1, 1)], walls=True)
    assert wall.on_wall and wall.x.tolist() == [1.0, 0.0]


def test_periodic_axes_count_each_point_once():
    V = fp.Potential("cos(x) + 0.5*cos(2*x + 1) + cos(y)")
    bounds = [(0, 2 * np.pi), (-np.pi, np.pi)]
    found = fp.critical_points(V, bounds, periodic=True)
    assert found.index_sum == 0 and len(found.minima) == 2
    shifted = fp.critical_points(V, [(1.0, 1.0 + 2 * np.pi), (0, 2 * np.pi)], periodic=True)
    np.testing.assert_allclose([c.value for c in found], [c.value for c in shifted], atol=1e-12)
    assert all(None not in s.between for s in found.saddles)


def test_shifting_and_scaling_f_moves_no_point():
    V = fp.catalogue.three_hole()
    base = fp.critical_points(V)
    for W in (V + 1000.0, 1e-6 * V, 1e6 * V):
        other = fp.critical_points(W, V.box)
        np.testing.assert_allclose([c.x for c in other], [c.x for c in base], atol=1e-7)
        assert [c.between for c in other] == [c.between for c in base]


def test_given_starts_reach_a_well_that_the_spread_misses():
    V = fp.Potential("0.1*(x**2 + y**2) - exp(-((x - 0.7)**2 + (y - 0.3)**2)*1e5)")
    assert len(fp.find_wells(V, [(-1, 1), (-1, 1)], n_starts=9)) == 1
    assert len(fp.find_wells(V, [(-1, 1), (-1, 1)], n_starts=9, starts=[[0.701, 0.301]])) == 2


def test_barriers_are_the_lowest_of_the_highest_saddles():
    V = fp.catalogue.three_hole()
    b = barriers_between(V.minima, V.saddles)
    detour = V.saddles[0].value - V.minima[0].value
    assert b[0, 1] == pytest.approx(detour) and b[2,
                                                  1] == pytest.approx(V.saddles[1].value - V.minima[2].value)
    assert barriers_between(V.minima, V.saddles[2:]).keys() == {(0, 1), (1, 0)}


def test_a_relaxed_string_passes_over_the_saddles():
    V = fp.catalogue.mueller_brown()
    span = np.array([3.0, 2.7])
    path, value = relaxed_string(Surface(V), V.minima[0].x, V.minima[1].x, span)
    assert value.max() == pytest.approx(V.saddles[1].value, abs=0.02)
    for s in V.saddles:
        assert np.linalg.norm(path - s.x, axis=1).min() < 0.05


@pytest.mark.parametrize("d", [2, 3, 6])
def test_a_trapping_zone_is_left_by_no_descent(d):
    V = fp.catalogue.quartic_chain(d=d)
    surface, m = Surface(V), np.ones(d)
    zone = trapping_zone(surface, m, np.full(d, 4.0))
    x = m + np.random.default_rng(0).normal(0, 0.5 / np.sqrt(d), (20000, d))
    held = zone.holds(surface, x, V(x))
    assert held.sum() > 20
    x = x[held][:300]
    for _ in range(800):                                          # plain small steps downhill
        x = x - 0.01 * V.gradient(x)
    np.testing.assert_allclose(x, np.broadcast_to(m, x.shape), atol=1e-8)


def test_descent_is_the_flow_and_not_a_leap():
    # In f = x^2/2 + 50 y^2 - ... every start with x > 0 ends right of the ridge x = 0, however steep the
    # other axis is.
    V = fp.Potential("(x**2 - 1)**2 + 500*y**2*(1 + x**2)")
    x = np.random.default_rng(1).uniform(-2, 2, (300, 2))
    ends = descend(Surface(V), x, np.array([4.0, 4.0]))
    np.testing.assert_allclose(ends.points, np.stack([np.sign(x[:, 0]), 0 * x[:, 0]], 1), atol=1e-7)


@pytest.mark.parametrize("make, sentence", [
    (lambda V: fp.find_wells(V), "bounds are needed"),
    (lambda V: fp.find_wells(V, [(0, 1)]), r"bounds must be 2 pairs \(low, high\)"),
    (lambda V: fp.find_wells(V, [(1, 0), (0, 1)]), "low < high"),
    (lambda V: fp.find_wells(V, [(0, np.nan), (0, 1)]), "bounds must be finite"),
    (lambda V: fp.find_wells(V, [(0, 1), (0, 1)], n_starts=0), "n_starts must be at least 1"),
    (lambda V: fp.find_wells(V, [(0, 1), (0, 1)], starts=[[0.0]]), "starts must have shape"),
    (lambda V: fp.find_wells(fp.Potential("log(x)"), [(-2, -1)]), "not finite at any start"),
])
def test_wrong_searches_get_one_sentence(make, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence) as caught:
        make(fp.Potential("x**2 + y**2"))
    assert "\n" not in str(caught.value)


def test_a_top_flatter_than_a_parabola_is_a_saddle_all_the_same():
    found = fp.critical_points(fp.Potential("x**6 - 1.5*x**4 + y**2"), [(-1.5, 1.5), (-1, 1)])
    assert [(c.kind, c.degenerate, c.between)
            for c in found] == [("minimum", False, None)] * 2 + [("saddle", True, (0, 1))]
    assert np.abs(found[2].x).max() < 1e-4 and found.index_sum == 1


def test_a_minimum_energy_path_passes_all_its_saddles_and_wells_in_order():
    V = fp.catalogue.mueller_brown()
    path = fp.minimum_energy_path(V, V.minima[0], V.minima[1].x)
    np.testing.assert_allclose([s.x for s in path.saddles], [V.saddles[k].x for k in (1, 0)], atol=1e-9)
    np.testing.assert_allclose([w.x for w in path.wells], [V.minima[k].x for k in (0, 2, 1)], atol=1e-9)
    tangent = np.gradient(path.x, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    g = V.gradient(path.x)
    across = np.linalg.norm(g - (g * tangent).sum(1, keepdims=True) * tangent, axis=1)
    stiffness = np.abs(np.linalg.eigvalsh(V.hessian(path.x))).max(1)
    assert (across / stiffness).max() < 0.03 and path.barrier == pytest.approx(V.barriers[0, 1], rel=1e-12)


def test_a_path_leaves_the_ridge_that_symmetry_would_keep_it_on():
    V = fp.catalogue.quartic_chain(d=4)  # the diagonal of the chain is a ridge of index above 1
    path = fp.minimum_energy_path(V, -np.ones(4), np.ones(4))
    assert len(path.saddles) == len(path.wells) - 1 == 4 and all(s.index == 1 for s in path.saddles)
    assert path.barrier < V(np.zeros(4)) - V(np.ones(4))


@pytest.mark.parametrize("ends, sentence",
                         [(([-1.1], [-0.9]), "same well"), (([-1.0, 0.0], [1.0]), "start must have shape")])
def test_wrong_ends_of_a_path_get_one_sentence(ends, sentence):
    with pytest.raises(ValueError, match=sentence):
        fp.minimum_energy_path(fp.catalogue.double_well(), *ends)
