"""Figures of driven processes: what they draw is what was computed."""
import matplotlib.pyplot as plt

import fpkit as fp

PLANE = fp.FokkerPlanck(fp.Potential("x**2/2 + y**2"), 0.5, fp.Grid([(-3, 3), (-2.5, 2.5)], (14, 12)),
                        force="(y, -x)")


def test_a_complex_spectrum_and_a_driven_evolution_have_figures():
    for result in (PLANE.spectrum(4), PLANE.evolve([0.5, 0.0], [0.1, 1.0], order=2)):
        made = fp.plot(result)
        assert made.axes
        plt.close(made)
