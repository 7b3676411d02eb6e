"""Figures of driven processes: what they draw is what was computed."""
import matplotlib.pyplot as plt
import numpy as np

import fpkit as fp

PLANE = fp.FokkerPlanck(fp.Potential("x**2/2 + y**2"), 0.5, fp.Grid([(-3, 3), (-2.5, 2.5)], (14, 12)),
                        force="(y, -x)")


def test_a_stationary_state_is_drawn_with_its_current_and_its_quasi_potential():
    state = PLANE.stationary()
    made = fp.plot(state)
    left, right = made.axes[:2]
    assert left.get_title(loc="left") + left.get_title() == "Stationary density and current"
    drawn = left.collections[0].get_array()
    assert np.allclose(np.ravel(drawn), state.density.values.T.ravel())
    assert len(left.collections) > 1 and right.collections          # streamlines; levels
    plt.close(made)
    line = fp.plot(fp.FokkerPlanck(fp.Potential("x**2"), 0.5, fp.Grid([(-2, 2)], 20), force="1").stationary())
    assert len(line.axes) == 2
    plt.close(line)


def test_a_complex_spectrum_and_a_driven_evolution_have_figures():
    for result in (PLANE.spectrum(4), PLANE.evolve([0.5, 0.0], [0.1, 1.0], order=2)):
        made = fp.plot(result)
        assert made.axes
        plt.close(made)
