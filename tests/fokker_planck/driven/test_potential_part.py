"""A potential split off a drift: known densities on axes that turn."""
import numpy as np

import fpkit as fp
from fpkit.fokker_planck.driven.potential_part import with_potential_part

V = fp.Potential("(x**2 - 1)**2/1.2 + 1.5*y**2 + 0.4*x*y")
GRID = fp.Grid([(-2.6, 2.6)] * 2, (14, 14))


def process(ratio, strength):
    """Drift and diffusion matrix with axes 1 and 1/ratio that turn, stationary exp(-V), current rot(strength
    exp(-V))."""
    angle, k = "(0.6*x + 0.4*y)", 1 / ratio
    off = f"{1 - k}*cos{angle}*sin{angle}"
    M = fp.Diffusion(V, 1.0, f"[[cos{angle}**2 + {k}*sin{angle}**2, {off}], "
                             f"[{off}, sin{angle}**2 + {k}*cos{angle}**2]]")

    def drift(p):
        g = V.gradient(p)
        return M.drift(p) + strength * np.stack([-g[:, 1], g[:, 0]], axis=1)
    return fp.Diffusion.from_sde(drift, M.mobility, "ito", ndim=2)


def distance(state):
    p, q = np.exp(state.log_density.values), np.exp(-V(state.grid.points))
    return np.abs(p / p.sum() - q / q.sum()).sum()


def test_a_drift_without_a_potential_is_solved_as_if_it_had_one():
    state = fp.FokkerPlanck(process(10, 0.0), grid=GRID).stationary()
    said = (state.density.error * GRID.volumes).sum()
    assert distance(state) < said < 0.5 and distance(state) < 1e-2 and state.is_gibbs


def test_the_potential_found_is_that_of_the_density_and_the_process_stays_the_same():
    X = process(10, 0.1)
    Y = with_potential_part(X, GRID)
    points = GRID.points[3:11, 3:11]
    gap = Y.potential(points) - V(points)
    assert np.ptp(gap) < 0.4 * np.ptp(V(points))
    assert np.allclose(X.drift(points), Y.drift(points)) and np.allclose(X.diffusion(points),
                                                                         Y.diffusion(points))


def test_a_strong_current_gets_no_potential():
    assert with_potential_part(process(50, 0.7), GRID) is None
