"""Figures of answers and of wells show the numbers of their results."""
import numpy as np
import pytest

import fpkit as fp

V1 = fp.Potential("(x**2 - 1)**2 + 0.2*x")
RIGHT = fp.HalfSpace([1], 1.0)
LINE, PLANE = fp.Grid([(-2, 2)], 40), fp.Grid([(-2, 2), (-1, 3)], (12, 9))
SPACE = fp.Grid([(-2, 2), (-1, 1), (0, 3)], (8, 7, 6))


def maps(made):
    """Values of the maps of a figure, [row y, column x]."""
    found = [c for axes in made.axes for c in axes.collections if hasattr(c, "get_coordinates")]
    return [np.asarray(c.get_array()).reshape(np.array(c.get_coordinates().shape[:2]) - 1) for c in found]


@pytest.fixture(scope="module")
def line():
    return fp.FokkerPlanck(V1, 0.3, LINE)


def test_a_spectrum_shows_logarithms_and_the_slowest_modes(line):
    spectrum = line.spectrum(4)
    axes, modes = fp.plot(spectrum).axes
    k, y = axes.containers[0].lines[0].get_data()
    np.testing.assert_array_equal(k, [1, 2, 3])
    np.testing.assert_allclose(y, spectrum.log10[1:])
    for i, drawn in enumerate(modes.get_lines(), 1):
        np.testing.assert_array_equal(drawn.get_ydata(), spectrum.eigenfunctions[i])


def test_modes_in_the_plane_are_maps_with_their_first_axis_along_x():
    spectrum = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2 + y**2"), 0.5, PLANE).spectrum(3)
    for values, k in zip(maps(fp.plot(spectrum)), (1, 2)):
        np.testing.assert_array_equal(values, spectrum.eigenfunctions[k].T)


def test_a_quasi_stationary_state_marks_where_it_is_left(line):
    state = line.quasi_stationary(RIGHT)
    axes = fp.plot(state).axes[0]
    np.testing.assert_array_equal(axes.patches[0].get_data()[0], state.density.values)
    assert [float(x.get_xdata()[0]) for x in axes.get_lines()] == state.exit_points[:, 0].tolist()


def test_currents_are_their_vectors(line):
    currents = line.currents(line.evolve([-1.0], [0.1]).field())
    np.testing.assert_array_equal(fp.plot(currents).axes[0].get_lines()[0].get_ydata(), currents.vector[:, 0])
    D = fp.FokkerPlanck(fp.Potential("x**2 + x*y + y**2"), 0.5, PLANE)
    flow = D.currents(D.evolve([1.0, 0.0], [0.2]).field())
    np.testing.assert_allclose(maps(fp.plot(flow))[0], np.linalg.norm(flow.vector, axis=-1).T)


def test_a_field_in_space_is_sliced_where_asked():
    values = np.random.default_rng(1).random(SPACE.shape)
    made = fp.plot(fp.Field(values, SPACE, "committor"), at=[0.2, -0.3, 1.1])
    i, j, k = SPACE.locate([0.2, -0.3, 1.1])
    for drawn, cut in zip(maps(made), (values[:, :, k], values[:, j], values[i])):
        np.testing.assert_array_equal(drawn, cut.T)
    sliced = fp.plot(fp.Field(values, SPACE, "density", units="1/volume"), slices=True)
    np.testing.assert_array_equal(maps(sliced)[0].shape, (7, 8))
    assert "summed" not in sliced.axes[-1].get_ylabel()
    assert fp.plot(fp.Field(values, SPACE, "density")).axes[-1].get_ylabel().endswith("summed over x")


def test_wells_saddles_and_the_ways_between_stand_where_they_are():
    B = fp.catalogue.mueller_brown()
    axes = fp.plot(fp.critical_points(B)).axes[0]
    marks = {x.get_label(): x.get_xydata() for x in axes.get_lines() if x.get_marker() != "None"}
    order = lambda a: a[np.argsort(a[:, 0])]
    np.testing.assert_allclose(order(marks["minimum"]), order(np.array([m.x for m in B.minima])), atol=1e-6)
    np.testing.assert_allclose(order(marks["saddle"]), order(np.array([m.x for m in B.saddles])), atol=1e-6)
    path = fp.minimum_energy_path(B, B.minima[0], B.minima[1])
    profile, plane = fp.plot(path).axes
    np.testing.assert_array_equal(profile.get_lines()[0].get_xydata(), np.stack([path.arc, path.value], 1))
    assert any(np.array_equal(x.get_xydata(), path.x) for x in plane.get_lines())
    network = fp.well_network(B, 0.1)
    axes = fp.plot(network).axes[0]
    np.testing.assert_array_equal(axes.collections[0].get_offsets(),
                                  [network.minima[s[0]].x for s in network.states])
    rates = network.log_rates[np.isfinite(network.log_rates)] / np.log(10)
    texts = [t.get_text() for t in axes.texts]
    assert all(f"{r:.2f}" in texts for r in rates)


def test_heights_of_wells_in_many_coordinates_join_saddles_to_their_wells():
    points = fp.critical_points(fp.Potential("(x**2 - 1)**2 + y**2 + z**2"), [(-2, 2)] * 3)
    axes = fp.plot(points).axes[0]
    assert len([x for x in axes.get_lines() if x.get_marker() == "None"]) == 2
    with pytest.raises(ValueError, match="no critical points"):
        fp.plot(type(points)())


def test_passages_flows_and_refinements():
    tau = fp.exit_time(V1, 0.5, [-1.0], RIGHT, 0.02, n_paths=100)
    drawn = fp.plot(tau).axes[0].get_lines()[0].get_xydata()
    np.testing.assert_array_equal(drawn, np.stack(tau.survival(), 1))
    flow = fp.gradient_flow(V1, [[-0.5], [0.5]], 1.0)
    places, heights = fp.plot(flow).axes
    np.testing.assert_array_equal(heights.get_lines()[1].get_ydata(), flow.values[1])
    table = fp.refinement_table(V1, 0.3, fp.Grid([(-2, 2)], 32), n_grids=2)
    drawn = fp.plot(table).axes[0].get_lines()[0].get_ydata()
    np.testing.assert_array_equal(drawn, table.errors["recommended"])


def test_driven_states_and_densities_of_passage():
    D = fp.FokkerPlanck(fp.Potential("x**2 + y**2"), 0.5, PLANE, force="(y, -x)")
    state = D.stationary()
    made = fp.plot(state)
    np.testing.assert_allclose(maps(made)[0], np.linalg.norm(state.current.vector, axis=-1).T)
    density = fp.FokkerPlanck(V1, 0.3, LINE).first_passage_density([-1.0], RIGHT, [0.5, 1.0, 2.0])
    np.testing.assert_array_equal(fp.plot(density).axes[0].get_lines()[0].get_ydata(), density.density)
