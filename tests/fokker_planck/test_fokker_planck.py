import numpy as np
import pytest
from plain_references import cell_probabilities
from scipy.special import erf, erfc

import fpkit as fp

WELL = "(x**2 - 1)**2 + 0.3*x"


def test_probabilities_of_regions_are_exact_in_one_dimension():
    f = lambda x: (x**2 - 1)**2 + 0.3 * x
    D = fp.FokkerPlanck(fp.Potential(WELL), 0.1, fp.Grid([(-2, 2)], 37))
    for region, low, high in ((fp.HalfSpace([1], 0.123), 0.123, 2), (fp.Ball([0.8], 0.05), 0.75, 0.85),
                              (fp.HalfSpace([1], 1.9), 1.9, 2)):
        exact = cell_probabilities(f, [np.unique([-2, low, high, 2])], 0.1, parts=40)
        exact = exact[np.flatnonzero(np.isclose(np.unique([-2, low, high, 2]), low))[0]]
        p = D.probability(region)
        assert p == pytest.approx(exact, rel=1e-12) and abs(p - exact) <= p.error + 1e-13 * exact


@pytest.mark.parametrize("n", [16, 48])
@pytest.mark.parametrize("refine", [False, True])
def test_the_probability_of_a_disc_keeps_its_error(n, refine):
    D = fp.FokkerPlanck(fp.Potential("(x**2 + y**2)/2"), 0.3, fp.Grid([(-6, 6)] * 2, (n, n)))
    p = D.probability(fp.Ball([0, 0], 0.5), refine=refine)
    exact = 1 - np.exp(-0.125 / 0.3)
    assert abs(p - exact) <= p.error < (2e-4 if not refine else 5e-5)


def test_the_probability_of_an_oblique_half_plane_is_right_also_far_in_the_tail():
    D = fp.FokkerPlanck(fp.Potential("(x**2 + y**2)/2"), 0.3, fp.Grid([(-6, 6)] * 2, (40, 36)))
    for offset in (0.2, 4.0):
        p = D.probability(fp.HalfSpace([1, 0.3], offset))
        exact = erfc(offset / np.hypot(1, 0.3) / np.sqrt(0.6)) / 2
        assert abs(p - exact) <= p.error and p == pytest.approx(exact, rel=1e-6)
    assert p.log10 == pytest.approx(np.log10(exact), abs=1e-6)


def test_the_probability_of_a_ball_keeps_its_error_in_three_dimensions():
    D = fp.FokkerPlanck(fp.Potential("(x**2 + y**2 + z**2)/2"), 0.3, fp.Grid([(-5, 5)] * 3, (16, 16, 16)))
    s = 0.9 / np.sqrt(0.3)
    exact = erf(s / np.sqrt(2)) - np.sqrt(2 / np.pi) * s * np.exp(-s * s / 2)
    p = D.probability(fp.Ball([0, 0, 0], 0.9))
    assert abs(p - exact) <= p.error < 1e-3


def test_a_region_and_its_complement_share_all_probability():
    D = fp.FokkerPlanck(fp.Potential("x**2 + y**2 + x*y"), 0.2, fp.Grid([(-2, 2)] * 2, (20, 21)))
    A = fp.Ball([0.3, 0.1], 0.4) | fp.HalfSpace([0, 1], 0.8)
    p, q = D.probability(A), D.probability(~A)
    assert abs(p + q - 1) <= p.error + q.error


def test_a_region_that_meets_only_a_wall_has_probability_zero():
    D = fp.FokkerPlanck(fp.Potential("x**2"), 0.2, fp.Grid([(-2, 2)], 20))
    assert D.probability(fp.HalfSpace([1], 2.0)) == 0.0


def test_a_region_without_distance_is_integrated_within_its_error():
    V = fp.Potential("(x**2 - 1)**2 + y**2")
    D = fp.FokkerPlanck(V, 0.3, fp.Grid([(-2, 2)] * 2, (16, 12)))
    p = D.probability(fp.Basin(V, [1.0, 0.0]))
    assert abs(p - 0.5) <= p.error < 0.1


def test_nothing_is_computed_before_it_is_asked_for():
    calls = []

    def value(x):
        calls.append(x.shape)
        return (np.asarray(x)**2).sum(-1)
    D = fp.FokkerPlanck(fp.Potential.black_box(value, None, 2), 0.3, fp.Grid([(-1, 1)] * 2, (6, 6)))
    before = len(calls)
    repr(D), D.beta, D.grid, D.scheme
    assert len(calls) == before
    assert D.gibbs is not None and len(calls) > before


def test_the_domain_of_a_sampled_potential_is_a_wall():
    axis = np.linspace(-1, 1, 21)
    values = axis[:, None]**2 + axis[None, :]**2
    values[14:17, 8:12] = np.nan
    D = fp.FokkerPlanck(fp.GridPotential([axis, axis], values), 0.2, fp.Grid([(-1, 1)] * 2, (30, 30)))
    assert 0 < (~D.inside).sum() < 120
    assert (D.gibbs.values[~D.inside] == 0).all() and np.isneginf(D.log_mass.reshape(30, 30)[~D.inside]).all()
    assert abs((D.gibbs.values * D.grid.volumes).sum() - 1) < 1e-14


def test_infinite_energy_is_a_wall():
    D = fp.FokkerPlanck(fp.Potential(lambda x: np.where(np.abs(x) < 1.0, x**2, np.inf)), 0.2,
                        fp.Grid([(-2, 2)], 20))
    assert D.inside.sum() == 10
    assert D.probability(fp.HalfSpace([1], 0.0)) == pytest.approx(0.5, abs=1e-14)


def test_moving_temperature_and_potential_are_frozen_at_a_time():
    V = fp.Potential("x**2 + t*x")
    D = fp.FokkerPlanck(V, lambda t: 0.2 / (1 + t), fp.Grid([(-3, 3)], 80))
    assert D.theta(1.0) == 0.1 and D.beta == 5.0
    frozen = D.at(2.0)
    plain = fp.FokkerPlanck(fp.Potential("x**2 + 2*x"), 0.2 / 3, fp.Grid([(-3, 3)], 80))
    np.testing.assert_allclose(frozen.gibbs.values, plain.gibbs.values, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(D.gibbs.values,
                               fp.FokkerPlanck(fp.Potential("x**2"), 0.2,
                                               fp.Grid([(-3, 3)], 80)).gibbs.values, rtol=1e-12)


def test_log_partition_is_that_of_an_oscillator():
    D = fp.FokkerPlanck(fp.Potential("x**2/2 + 7"), 0.01, fp.Grid([(-2, 2)], 60))
    assert D.log_partition == pytest.approx(0.5 * np.log(2 * np.pi * 0.01) - 700, abs=1e-10)


def test_a_periodic_potential_passes_on_a_ring():
    for text in ("cos(x)", "cos(x) + 1000", "sin(2*x)*exp(cos(x))"):
        D = fp.FokkerPlanck(fp.Potential(text), 0.5, fp.Grid([(0, 2 * np.pi)], 30, periodic=True))
        assert D.edges.shape == (30, 2)


@pytest.mark.parametrize("text, words", [("x", "not periodic on axis 0.*jumps by 6.28"),
                                         ("(x - pi)**2", "slope jumps"), ("cos(x) + 1e-3*x", "not periodic")])
def test_a_potential_that_is_not_periodic_is_refused_on_a_ring(text, words):
    with pytest.raises(ValueError, match=words):
        fp.FokkerPlanck(fp.Potential(text), 0.5, fp.Grid([(0, 2 * np.pi)], 30, periodic=True))


@pytest.mark.parametrize("theta, words", [(-0.1, "theta must be positive.*gradient_flow"),
                                          (0, "theta must be positive"), (np.nan, "finite"),
                                          ("warm", "number"), (True, "number"), (lambda t: -1.0, "positive")])
def test_a_wrong_temperature_is_refused(theta, words):
    with pytest.raises((ValueError, TypeError), match=words):
        fp.FokkerPlanck(fp.Potential("x**2"), theta, fp.Grid([(-1, 1)], 8))


def test_a_potential_that_is_no_number_somewhere_is_refused_with_the_place():
    with pytest.raises(ValueError, match=r"NaN or -inf in 5 of 10 cells, first at \[-1.8\]"):
        _ = fp.FokkerPlanck(fp.Potential("sqrt(x)"), 0.2, fp.Grid([(-2, 2)], 10)).gibbs
    masked = fp.FokkerPlanck(fp.Potential("sqrt(x)"), 0.2,
                             fp.Grid([(-2, 2)], 10, mask=lambda p: p[..., 0] > 0))
    assert abs((masked.gibbs.values * masked.grid.volumes).sum() - 1) < 1e-14


def test_a_coarse_grid_warns_before_an_evolution_and_names_the_cells_that_help():
    D = fp.FokkerPlanck(fp.Potential(WELL), 0.01, fp.Grid([(-2, 2)], 30))
    with pytest.warns(fp.ResolutionWarning, match=r"on axis 0.*About \d+ cells on that axis"):
        D.evolve([-1.0], [0.1], progress=False)


def test_the_repr_fits_on_a_line():
    D = fp.FokkerPlanck(fp.Potential(WELL), 0.1, fp.Grid([(-2, 2)], 30), mobility=2.0,
                        absorbing=fp.HalfSpace([1], 1.5))
    assert "theta = 0.1" in repr(D) and "\n" not in repr(D) and "absorbed in HalfSpace" in repr(D)
