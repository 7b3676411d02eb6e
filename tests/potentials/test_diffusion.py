"""The process as one noun: potential, temperature and mobility together."""
import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fpkit as fp

FORMS = {"unit": None, "number": 2.0, "diagonal": [1.0, 3.0], "matrix": [[2.0, 0.5], [0.5, 1.0]],
         "formula": "1 + x**2 + y**2"}
V = fp.Potential("(x**2 - 1)**2 + y**2 + 0.3*x*y")


@pytest.mark.parametrize("mobility", FORMS.values(), ids=FORMS)
def test_the_gibbs_density_carries_no_current(mobility):
    """The current is drift p - theta div(M p): zero for p = exp(-beta f), differenced along each axis."""
    theta, x = 0.7, np.random.default_rng(2).normal(size=(20, 2))
    D = fp.Diffusion(V, theta, mobility)
    M = lambda y: (np.broadcast_to(D.mobility.matrix, (len(y), 2, 2)) if D.mobility.is_constant
                   else np.einsum("ni,ij->nij", D.mobility.at(y), np.eye(2)))
    h, div = 1e-5, np.zeros((20, 2))
    for j in range(2):
        step = h * np.eye(2)[j]
        weight = lambda y: np.exp(-(V(y) - V(x)) / theta)[:, None]
        div += (M(x + step)[:, :, j] * weight(x + step) - M(x - step)[:, :, j] * weight(x - step)) / (2 * h)
    assert_allclose(D.drift(x), theta * div, rtol=1e-6, atol=1e-6)


def test_a_moving_process_is_frozen_at_a_time_and_stays_there():
    D = fp.Diffusion(fp.Potential("(x - t)**2", t=0.0), lambda t: 1 + t, "1 + x**2")
    now = D.at(2.0)
    assert D.is_moving and not now.is_moving and now.at(5.0) is now and now.frozen is now
    assert now.theta == 3.0 and float(now.potential([2.0])) == 0.0
    assert_allclose(now.drift([[1.0]]), D.drift([[1.0]], t=2.0))
    assert_allclose(D.drift([[1.0]], t=2.0), -2 * 2 * (1 - 2) + 3 * 2)
    assert D.frozen.theta == 1.0 and float(D.frozen.potential([2.0])) == 4.0


def test_a_still_process_is_itself_at_all_times():
    D = fp.Diffusion(V, 0.3)
    assert D.at(7.0) is D and D.frozen is D and not D.is_moving and D.ndim == 2


def test_it_knows_the_domain():
    x = np.linspace(0, 1, 6)
    values = x[:, None] + x
    values[4:, 4:] = np.nan
    D = fp.Diffusion(fp.GridPotential([x, x], values), 0.2)
    assert D.is_inside([[0.1, 0.1], [0.9, 0.9], [2.0, 0.0]]).tolist() == [True, False, False]
    assert fp.Diffusion(V, 0.2).is_inside([[5.0, 5.0]]).tolist() == [True]


def test_it_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        fp.Diffusion(V, 0.2).theta = 3.0


def test_a_density_carries_its_process():
    D = fp.FokkerPlanck(V, 0.2, fp.Grid([(-2, 2)] * 2, (6, 6)), mobility=[1.0, 2.0])
    assert D.process.potential is V and D.process.theta == 0.2
    assert D.process.mobility.diagonal.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("arguments, words", [
    (("x**2", 0.1), "potential must be a Potential"), ((V, -1.0), "theta must not be negative"),
    ((V, np.nan), "theta must be finite"), ((V, "cold"), "theta must be a number"),
    ((V, lambda t: -1.0), r"theta\(0\) must not be negative"),
    ((V, 0.1, [1.0, 2.0, 3.0]), "mobility must be"),
])
def test_a_wrong_part_gets_one_sentence(arguments, words):
    with pytest.raises((ValueError, TypeError), match=words):
        fp.Diffusion(*arguments)


def test_it_prints_as_one_line():
    plain = fp.Diffusion(fp.Potential("x**2"), 0.25)
    assert repr(plain) == "Diffusion in potential x**2, 1 coordinate; theta = 0.25"
    assert repr(fp.Diffusion(fp.Potential("x**2"), lambda t: 1.0, lambda p: 1 + 0 * p[:, 0])).endswith(
        "theta(t), mobility M(x)")


@pytest.mark.parametrize("dimension, lowest", [(2, 2.404825557695773), (3, np.pi)])
def test_discs_and_balls_have_the_times_and_rates_of_their_radius(dimension, lowest):
    """tau = (1 - r^2)/(2 d theta), rate theta j^2 with j the first zero of J_0 or of sin(r)/r; with f = r^2/2
    the mean of r^2 is d theta."""
    theta, wall = 0.4, fp.HalfSpace([1], 1.0)
    ball = fp.FokkerPlanck(fp.Diffusion(fp.Potential("0*x"), theta).revolved(dimension),
                           grid=fp.Grid([(0, 1)], 24))
    for r in (0.0, 0.3, 0.8):
        assert float(ball.mfpt(wall).at([r])) == pytest.approx((1 - r**2) / (2 * dimension * theta), rel=1e-9)
    assert float(ball.exit_rate(wall)) == pytest.approx(theta * lowest**2, rel=1e-8)
    well = fp.FokkerPlanck(fp.Diffusion(fp.Potential("x**2/2"), theta).revolved(dimension),
                           grid=fp.Grid([(0, 8)], 400))
    p, r = well.gibbs.values * well.grid.volumes, well.grid.centres[0]
    assert (p * r**2).sum() == pytest.approx(dimension * theta, rel=1e-3)


def test_a_cylinder_has_the_rate_of_its_disc_and_a_force_along_its_axis():
    theta, wall = 0.4, fp.HalfSpace([1, 0], 1.0)
    process = fp.Diffusion(fp.Potential("0*x + 0*y"), theta, force="(0, 1)").revolved(2)
    D = fp.FokkerPlanck(process, grid=fp.Grid([(0, 1), (0, 1)], (28, 10)))
    rate, tau = D.exit_rate(wall), D.mfpt(wall).at([0.3, 0.5])
    assert abs(rate - theta * 2.404825557695773**2) <= rate.error < 0.2 * rate
    assert abs(tau - (1 - 0.09) / (4 * theta)) <= tau.error < 0.2 * tau


def test_what_cannot_be_revolved_says_so():
    for make, words in ((lambda: fp.Diffusion(V, 0.2).revolved(1), "at least 2"),
                        (lambda: fp.Diffusion(V, 0.2).revolved(2, axis=5), "below 2"),
                        (lambda: fp.Diffusion(V, lambda t: 1.0).revolved(), "one temperature"),
                        (lambda: fp.Diffusion(V, 0.2, [[2, 1], [1, 2]]).revolved(), "diagonal")):
        with pytest.raises(ValueError, match=words):
            make()
