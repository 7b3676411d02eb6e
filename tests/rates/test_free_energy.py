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


def test_a_rate_along_a_line_is_proportional_to_the_mobility_along_it():
    V = fp.catalogue.coupled_double_well()
    a, b = V.minima[0].x, V.minima[1].x
    n = (b - a) / np.linalg.norm(b - a)
    plain = fp.free_energy_rate(V, 0.1, a, b)
    for M in (2.5, [2.0, 0.5], [[2.0, 0.3], [0.3, 0.7]]):
        full = np.array(M) if np.ndim(M) == 2 else np.diag(np.broadcast_to(M, (2,)).astype(float))
        assert fp.free_energy_rate(V, 0.1, a, b, mobility=M) == pytest.approx(n @ full @ n * plain, rel=1e-9)


def test_the_loss_of_a_straight_coordinate_is_covered_by_the_error_that_it_states():
    """Valleys that turn: the rate of the grid is below, by a third to all of the stated error."""
    for bend in (0.3, 0.5, 0.8):
        V, box = fp.Potential(f"(x**2 - 1)**2 + 3*(y - {bend}*x*(x**2 - 1))**2"), [(-2, 2), (-2.5, 2.5)]
        found = fp.free_energy_rate(V, 0.1, [-1, 0], [1, 0], bounds=box)
        rate = fp.FokkerPlanck(V, 0.1, fp.Grid(box, (48, 56))).rate(fp.Ball([-1, 0], 0.2),
                                                                    fp.Ball([1, 0], 0.2), refine=True)
        assert 1 / 3 < (found / rate - 1) / found.relative_error <= 1


def product_of_wells(theta, low, high):
    """F, E, S of a box under (x^2 - 1)^2 + y^2/2, by quadrature of each factor."""
    x, w = np.polynomial.legendre.leggauss(200)
    F = E = 0.0
    for f, a, b in ((lambda x: (x * x - 1) ** 2, low[0], high[0]), (lambda y: y * y / 2, low[1], high[1])):
        at, weight = (a + b) / 2 + (b - a) / 2 * x, (b - a) / 2 * w * np.exp(-f((a + b) / 2 + (b - a) / 2 * x)
                                                                             / theta)
        F -= theta * np.log(weight.sum())
        E += (weight * f(at)).sum() / weight.sum()
    return F, E, (E - F) / theta


def test_free_energies_of_cut_boxes_keep_their_errors_which_are_not_idle():
    V, slack = fp.Potential("(x**2 - 1)**2 + y**2/2"), []
    rng = np.random.default_rng(3)
    for _ in range(6):
        theta, n = rng.uniform(0.1, 0.4), int(rng.integers(20, 40))
        low, high = -rng.uniform(0.2, 1.2, 2), rng.uniform(0.2, 1.2, 2)
        found = fp.free_energy(V, theta, fp.Box(list(zip(low, high))),
                               fp.Grid([(-2.2, 2.2), (-5, 5)], (n, n)))
        for number, exact in zip((found.free_energy, found.energy, found.entropy),
                                 product_of_wells(theta, low, high)):
            assert abs(number - exact) <= number.error
            slack.append(number.error / max(abs(number - exact), 1e-12))
    assert np.median(slack) < 40 and min(slack) < 6
