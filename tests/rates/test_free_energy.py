"""Free energies of sets and the free-energy form of the rate, against exact answers."""
import math

import numpy as np
import pytest

import fpkit as fp

LOG10 = math.log(10)


def line(V, theta, a, b):
    D = fp.FokkerPlanck(V, theta=theta, grid=fp.Grid(V.box, 100))
    return D, fp.HalfSpace([-1], -a), fp.HalfSpace([1], b)


@pytest.mark.parametrize("name, ends, heights",
                         [("double_well", (-1, 1), (10, 40)), ("flat_bottomed", (-1.25, 1.25), (10, 40)),
                          ("sharp_and_wide", (-1, 1), (10, 40)), ("rugged", None, (10, 20))])
def test_in_one_dimension_the_form_is_within_a_tenth_of_a_percent_from_ten_theta_on(name, ends, heights):
    V = fp.catalogue.get(name)
    a, b = ends if ends else (V.minima[0].x[0], V.minima[1].x[0])
    a, b = min(a, b), max(a, b)
    for height in heights:
        theta = 1 / height
        D, A, B = line(V, theta, a, b)
        k, exact = fp.free_energy_rate(V, theta, [a], [b]), D.rate(A, B)
        miss = abs(math.expm1((k.log10 - exact.log10) * LOG10))
        assert miss < 1e-3 and miss <= k.relative_error + exact.relative_error


def test_the_form_with_capacity_and_mass_is_exact():
    D, A, B = line(fp.catalogue.double_well(), 0.1, -1.0, 1.0)
    form = fp.free_energy_form(D, A, B)
    assert math.exp(-(form.gate - form.well) / 0.1) == pytest.approx(form.rate, rel=1e-12)
    assert "F1" in repr(form) and form.to_dict()["F0"]["value"] == form.well.value
    shifted = fp.free_energy_form(fp.FokkerPlanck(fp.catalogue.double_well() + 5.0, theta=0.1, grid=D.grid),
                                  A, B)
    assert shifted.well - form.well == pytest.approx(5.0,
                                                     abs=1e-10) and shifted.rate == pytest.approx(form.rate,
                                                                                                  rel=1e-10)


def test_a_parabola_has_the_free_energy_energy_and_entropy_of_the_textbook():
    V, theta = fp.Potential("x**2/2 + 2*y**2"), 0.07
    whole = fp.free_energy(V, theta, fp.Box([(-4, 4), (-3, 3)]), fp.Grid([(-4, 4), (-3, 3)], (64, 64)))
    F = -theta * math.log(2 * math.pi * theta / 2)
    assert whole.free_energy == pytest.approx(F, abs=1e-9) and whole.energy == pytest.approx(theta, abs=1e-6)
    assert whole.free_energy == pytest.approx(whole.energy - theta * whole.entropy, abs=1e-12)
    assert abs(whole.energy - theta) <= whole.energy.error and abs(whole.entropy - (theta - F)
                                                                   / theta) <= whole.entropy.error


def test_wide_wells_win_by_their_entropy():
    V, theta = fp.catalogue.wide_and_narrow(), 0.05
    grid = fp.Grid(V.box, (96, 96))
    narrow, wide = (fp.free_energy(V, theta, fp.HalfSpace([s, 0], 0.0), grid) for s in (-1, 1))
    ratio = math.exp((narrow.free_energy - wide.free_energy) / theta)
    assert ratio == pytest.approx(5.0,
                                  rel=0.05) and wide.entropy - narrow.entropy == pytest.approx(math.log(5),
                                                                                               rel=0.1)
    D = fp.FokkerPlanck(V, theta=theta, grid=grid)
    occupied = D.probability(fp.HalfSpace([1, 0], 0.0)) / D.probability(fp.HalfSpace([-1, 0], 0.0))
    assert ratio == pytest.approx(occupied, rel=1e-9)


def test_turning_the_plane_changes_nothing():
    c, s = math.cos(0.6), math.sin(0.6)
    V = fp.catalogue.coupled_double_well()
    W = fp.Potential(lambda x, y: (((c * x - s * y)) ** 2 - 1) ** 2 + 2 * (s * x + c * y) ** 2
                     + 0.3 * (c * x - s * y) * (s * x + c * y))
    back = np.array([[c, s], [-s, c]])
    a, b = V.minima[0].x, V.minima[1].x
    k = fp.free_energy_rate(V, 0.1, a, b)
    assert fp.free_energy_rate(W, 0.1, back @ a, back @ b,
                               bounds=[(-2.5, 2.5)] * 2) == pytest.approx(k, rel=1e-6)


@pytest.mark.parametrize("make, sentence", [
    (lambda V: fp.free_energy_rate(V, 0.1, [-1], [-1]), "must point from the source to the target"),
    (lambda V: fp.free_energy_rate(fp.Potential("(x**2-1)**2"), 0.1, [-1], [1]), "bounds are needed"),
    (lambda V: fp.free_energy_rate(fp.catalogue.quartic_chain(d=4), 0.1, -np.ones(4), np.ones(4)),
     "one to three dimensions"),
    (lambda V: fp.free_energy(V, -1, fp.HalfSpace([1], 0.0), fp.Grid(V.box, 10)), "theta must be positive")])
def test_wrong_questions_get_one_sentence(make, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        make(fp.catalogue.double_well())
