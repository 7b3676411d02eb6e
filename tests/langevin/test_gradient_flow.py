"""The gradient flow against exact solutions."""
import numpy as np
import pytest
from langevin_problems import double_well

import fpkit as fp


def test_the_double_well_flow_is_the_exact_one():
    flow = fp.gradient_flow(double_well(), [[0.5], [-0.3], [2.0]], t=np.linspace(0, 2, 41))
    start = np.array([0.25, 0.09, 4.0])[:, None]                 # u = x^2 obeys u' = -8 u (u - 1)
    u = start / (start + (1 - start) * np.exp(-8 * flow.times))
    assert flow.paths.shape == (3, 41, 1)
    assert abs(flow.paths[..., 0] - np.array([1, -1, 1])[:, None] * np.sqrt(u)).max() < 1e-8


def test_the_potential_never_rises_along_the_flow():
    V = fp.catalogue.mueller_brown()
    x = V.minima[0].x + np.random.default_rng(2).normal(size=(6, 2)) * 0.3
    flow = fp.gradient_flow(V, x, 0.05)
    assert (np.diff(flow.values, axis=-1) <= 1e-8 * abs(flow.values).max()).all() and flow.status == "ok"


def test_a_mobility_bends_the_flow_and_a_stiff_one_is_solved():
    V, M = fp.Potential("500*x**2 + y**2"), np.array([[1.0, 0.5], [0.5, 1.0]])
    flow = fp.gradient_flow(V, [1.0, 1.0], 1.0, mobility=M)
    w, v = np.linalg.eig(M @ np.diag([1000.0, 2.0]))
    exact = (v @ np.diag(np.exp(-w)) @ np.linalg.inv(v) @ np.ones(2)).real
    assert abs(flow.x - exact).max() < 1e-8


def test_a_moving_potential_is_followed():
    flow = fp.gradient_flow(fp.Potential("(x - t)**2/2", t=0.0), [0.0], 2.0)
    assert abs(flow.x[0] - (1 + np.exp(-2.0))) < 1e-8


def test_a_small_step_of_simulate_at_theta_zero_approaches_the_flow():
    V, exact = double_well(), fp.gradient_flow(double_well(), [0.3], 0.5).x[0]
    errors = [abs(fp.simulate(V, 0.0, [0.3], 0.5 / n, n).x[0, 0] - exact) for n in (100, 200, 400)]
    assert abs(np.polyfit(np.log([100, 200, 400]), np.log(errors), 1)[0] + 1) < 0.05


@pytest.mark.parametrize("text", ["-x**4", "log(x)"])
def test_a_flow_that_cannot_go_on_says_so(text):
    flow = fp.gradient_flow(fp.Potential(text), [1.0], 5.0)
    assert "only to t = " in flow.status
    assert "only to t" in repr(flow)
    assert np.isnan(flow.x).all()
    assert np.isfinite(flow.paths[0]).all()


@pytest.mark.parametrize("x0, t, message", [([0.0, 1.0], 1.0, "x0 must have shape"),
                                            ([0.0], -1.0, "t must be positive"), ([0.0], [0.0], "beyond 0"),
                                            ([0.0], [1.0, 0.5], "increasing"), ([np.nan], 1.0, "not finite")])
def test_wrong_calls_get_a_sentence(x0, t, message):
    with pytest.raises(ValueError, match=message):
        fp.gradient_flow(double_well(), x0, t)
