"""Passage of driven processes: identities that hold to rounding, answers found another way, errors that
hold."""
import numpy as np
import pytest
from numpy.testing import assert_allclose

import fpkit as fp
from fpkit.fokker_planck.driven.questions import between

A, B = fp.HalfSpace([-1, 0], 0.8), fp.HalfSpace([1, 0], 0.8)


def maier_stein(shape, alpha=10.0, theta=0.1):
    drift = lambda x, y, alpha=alpha: (x - x**3 - alpha * x * y**2, -(1 + x**2) * y)
    grid = fp.Grid([(-1.6, 1.6), (-0.9, 0.9)], shape)
    return fp.FokkerPlanck(fp.Diffusion.from_sde(drift, theta), grid=grid)


@pytest.mark.parametrize("regions", [(A, B), (fp.Ball([-0.9, 0.1], 0.23), fp.Ball([0.8, -0.1], 0.3))])
def test_forward_and_backward_solves_keep_their_identities(regions):
    """q + (1 - q) = 1, q- + (1 - q-) = 1, the flux out of A is that into B, and the rate is one over the mean
    time to B from the first hits of A after B, each solved apart."""
    both = between(maier_stein((40, 23)), *regions)
    chain = both.chain
    assert_allclose(both.forward.sum(0), 1, rtol=1e-12)
    assert_allclose(both.backward.sum(0), both.p[chain.ids], rtol=1e-12)
    out, into = both.fluxes()
    assert out == pytest.approx(into, rel=1e-12)
    back = between(both.D, regions[1], regions[0])
    assert back.fluxes()[0] == pytest.approx(into, rel=1e-12)           # as many return


def test_mean_times_committors_and_rates_keep_their_errors_against_finer_grids():
    """Maier and Stein's system, alpha = 10: regions cut the cells; the reference is the limit of finer
    grids."""
    D, fine = maier_stein((24, 14)), maier_stein((37, 21))
    x = [-0.8, 0.0]
    for ask in (lambda D, **k: D.mfpt(B, **k).at(x), lambda D, **k: D.committor(A, B, **k).at([0.1, 0.2]),
                lambda D, **k: D.committor(A, B, backward=True, **k).at([0.1, 0.2]),
                lambda D, **k: D.rate(A, B, **k), lambda D, **k: D.reactive_flux(A, B, **k),
                lambda D, **k: D.exit_rate(B, **k)):
        reference = ask(fine, refine=True)
        found = ask(D)
        assert abs(found - reference) <= found.error + reference.error
        assert reference.error < 0.003 * reference < found.error < 0.3 * found
    q, backward = D.committor(A, B).at([0.1, 0.2]), D.committor(A, B, backward=True).at([0.1, 0.2])
    assert abs(1 - q - backward) > 0.015            # no detailed balance


def test_without_a_force_the_answers_are_those_of_the_reversible_chain():
    V, grid = fp.Potential("(x**2 - 1)**2/2 + y**2 + 0.2*x*y"), fp.Grid([(-2, 2)] * 2, (24, 26))
    R, S = fp.Ball([1, 0], 0.3), fp.Ball([-1, 0], 0.3)
    for mobility in ([1.0, 0.4], [[1.0, 0.3], [0.3, 0.6]]):
        one, two = (fp.FokkerPlanck(V, 0.2, grid, mobility, force=F) for F in (None, "(0*x, 0)"))
        for ask in (lambda D: D.mfpt(R).at([-1, 0]), lambda D: D.committor(S, R).at([0.1, 0.2]),
                    lambda D: D.committor(S, R, backward=True).at([0.1, 0.2]), lambda D: D.rate(S, R),
                    lambda D: D.exit_rate(R), lambda D: D.quasi_stationary(R).mean_exit_time):
            a, b = ask(one), ask(two)
            assert abs(a - b) <= a.error + b.error


def test_drift_along_one_axis_is_the_answer_of_one_dimension():
    """x drifts by itself, y moves in it: passage to a line across x knows nothing of y."""
    line = fp.FokkerPlanck(fp.Diffusion.from_sde("-sin(2*x) + 0.5", 0.4), grid=fp.Grid([(-2, 2)], 40))
    plane = fp.FokkerPlanck(fp.Diffusion.from_sde("(-sin(2*x) + 0.5, -y + x*sin(y))", [0.4, 0.7]),
                            grid=fp.Grid([(-2, 2), (-3, 3)], (42, 30)))
    ends, sides = (fp.HalfSpace([1], 1.3), fp.HalfSpace([-1], 1.1)), (fp.HalfSpace([1, 0], 1.3),
                                                                     fp.HalfSpace([-1, 0], 1.1))
    exact, found = line.mfpt(ends[0]).at([-0.5]), plane.mfpt(sides[0]).at([-0.5, 0.4])
    assert abs(exact - found) <= found.error < 0.1 * found
    exact, found = line.committor(*ends).at([0.2]), plane.committor(*sides).at([0.2, -0.3])
    assert abs(exact - found) <= found.error < 0.1 * found
    exact, found = line.rate(*ends), plane.rate(*sides)
    assert abs(exact - found) <= found.error < 0.1 * found


def test_the_quasi_stationary_state_dies_at_its_rate():
    D = maier_stein((40, 23))
    state = D.quasi_stationary(B)
    assert (state.density.values * D.grid.volumes).sum() == pytest.approx(1)
    assert state.exit_probabilities.sum() == pytest.approx(1) and (state.exit_probabilities >= 0).all()
    assert_allclose(state.exit_points[:, 0], 0.8, atol=1e-9)
    Q, nu = D.killed(B).generator, (state.density.values * D.grid.volumes).ravel()
    assert_allclose(nu @ Q, -float(state.rate) * nu, atol=1e-9 * np.abs(nu @ abs(Q)).max())


def test_rates_far_below_rounding_keep_their_identities():
    both = between(maier_stein((48, 27), alpha=3.0, theta=0.004), A, B)
    out, into = both.fluxes()
    assert into < 1e-24 and out == pytest.approx(into, rel=1e-11)
    assert_allclose(both.backward.sum(0), both.p[both.chain.ids], rtol=1e-11)


def test_a_wrong_pair_of_regions_gets_one_sentence():
    D = maier_stein((24, 14))
    with pytest.raises(ValueError, match="overlap"):
        D.committor(A, fp.HalfSpace([-1, 0], 0.5))
    with pytest.raises(ValueError, match="absorbed"):
        D.killed(A).mfpt(B)
