"""Eyring-Kramers against exact one-dimensional rates, and by the laws it must obey."""
import json
import math

import numpy as np
import pytest

import fpkit as fp
from fpkit.potentials.stationary.critical import CriticalPoint
from fpkit.rates import expansions
from fpkit.rates.saddle_profiles import log_capacity

LOG10 = math.log(10)


def exact_rate(V, theta, source=-1.0, target=1.0):
    """log of capacity over committor-weighted mass between two half-lines, by quadrature."""
    D = fp.FokkerPlanck(V, theta=theta, grid=fp.Grid(V.box, 100))
    return D.rate(fp.HalfSpace([-1], -source), fp.HalfSpace([1], target)).log10 * LOG10


def test_the_formula_is_the_formula():
    k = fp.eyring_kramers(fp.catalogue.double_well(), [-1], [0], 0.05)
    assert float(k) == pytest.approx(math.sqrt(8 * 4) / (2 * math.pi) * math.exp(-20), rel=1e-14)


@pytest.mark.parametrize("order, errors", [("leading", (0.12, 0.11, 0.045, 0.021, 0.0045)),
                                           ("next", (0.03, 0.025, 0.006, 0.0015, 5e-5)),
                                           ("resummed", (0.02, 0.03, 0.006, 0.0015, 7e-5))])
def test_the_error_shrinks_as_the_order_says_and_stays_within_the_stated_one(order, errors):
    V = fp.catalogue.double_well()
    for height, bound in zip((3, 5, 10, 20, 90), errors):
        k = fp.eyring_kramers(V, [-1], [0], 1 / height, order=order)
        gap = fp.FokkerPlanck(V, theta=1 / height,
                              grid=fp.Grid(V.box, 100)).spectrum(2)[1].log10 * LOG10 - math.log(2)
        miss = abs(math.expm1(k.log10 * LOG10 - gap))
        assert miss < bound and miss < k.relative_error < 30 * miss + 1e-6


@pytest.mark.parametrize("V, source, target", [(fp.catalogue.double_well(), -1, 1),
                                               (fp.catalogue.tilted_double_well(), -1.035578, 0.96015),
                                               (fp.catalogue.sharp_and_wide(ratio=9.0), -1, 1)])
def test_the_slope_of_the_error_is_the_next_order(V, source, target):
    saddle = V.saddles[0]
    well = min(V.minima, key=lambda m: abs(m.x[0] - source))
    slopes = [math.expm1(fp.eyring_kramers(V, well, saddle, theta).log10 * LOG10
                         - exact_rate(V, theta, source, target)) / theta for theta in (0.02, 0.01)]
    root = np.eye(1)
    c = expansions.well_correction(V, well.x, 0.01,
                                   root).c + expansions.saddle_correction(V, saddle.x, 0.01, root).c
    assert 2 * slopes[1] - slopes[0] == pytest.approx(c, abs=0.01)


def test_the_next_order_in_one_dimension_is_the_textbook_one():
    V = fp.Potential("x**2/2 - 0.3*x**3 + 0.1*x**4")
    f2, f3, f4 = 1.0, -1.8, 2.4
    c = expansions.well_correction(V, np.zeros(1), 0.01, np.eye(1)).c
    assert c == pytest.approx(-f4 / (8 * f2**2) + 5 * f3**2 / (24 * f2**3), rel=1e-7)
    c = expansions.saddle_correction(-1 * V, np.zeros(1), 0.01, np.eye(1)).c
    assert c == pytest.approx(-f4 / (8 * f2**2) + 5 * f3**2 / (24 * f2**3), rel=1e-7)


def test_separable_directions_add_to_the_saddle_as_gates_of_a_mass():
    # f = top(x) + well(y): the capacity is cap_x times the integral over y, so the corrections add
    x_only = fp.Potential("-x**2 + 0.2*x**3 + 0.5*x**4")
    both = fp.Potential("-x**2 + 0.2*x**3 + 0.5*x**4 + y**2 + 0.4*y**3 + y**4")
    line = fp.Potential("x**2 + 0.4*x**3 + x**4")
    sum_of = expansions.saddle_correction(x_only, np.zeros(1), 0.01,
                                          np.eye(1)).c - expansions.well_correction(line, np.zeros(1), 0.01,
                                                                                    np.eye(1)).c
    assert expansions.saddle_correction(both, np.zeros(2), 0.01,
                                        np.eye(2)).c == pytest.approx(sum_of, rel=1e-6)


def turned(c, s):
    return f"({c}*x - {s}*y)", f"({s}*x + {c}*y)"


def test_rates_do_not_change_under_rotation_shift_and_a_constant():
    c, s = math.cos(0.7), math.sin(0.7)
    u, v = turned(c, s)
    bent = "(({u})**2 - 1)**2 + 2*({v} - 0.5*({u})**2)**2*(1 + 0.3*({u}))"
    plain, other = fp.Potential(bent.format(u="x", v="y")), fp.Potential(bent.format(u=u, v=v)) + 17.0
    back = np.array([[c, s], [-s, c]])                               # (x, y) of (u, v)
    for order in ("leading", "next"):
        k = fp.eyring_kramers(plain, [-1, 0.5], [0, 0], 0.05, order=order)
        other_k = fp.eyring_kramers(other, back @ [-1, 0.5], [0, 0], 0.05, order=order)
        assert other_k.log10 == pytest.approx(k.log10, abs=1e-9)


def test_scaling_f_and_theta_together_scales_the_rate():
    V = fp.catalogue.coupled_double_well()
    k = [fp.eyring_kramers(s * V, V.minima[0].x, V.saddles[0].x, 0.05 * s, order="next") for s in (1.0, 3.0)]
    assert k[1].log10 == pytest.approx(k[0].log10 + math.log10(3), abs=1e-10)


def test_mobility_is_a_change_of_coordinates():
    # x = A y turns M = A A^T into one; and M -> s M gives s k
    V, A = fp.catalogue.coupled_double_well(), np.array([[1.2, 0.0], [0.5, 0.8]])
    stretched = fp.Potential(lambda u, v: (((1.2 * u) ** 2 - 1) ** 2 + 2 * (0.5 * u + 0.8 * v) ** 2
                                           + 0.3 * 1.2 * u * (0.5 * u + 0.8 * v)))
    for order in ("leading", "next"):
        k = fp.eyring_kramers(V, V.minima[0], V.saddles[0], 0.05, mobility=A @ A.T, order=order)
        same = fp.eyring_kramers(stretched, np.linalg.solve(A, V.minima[0].x), [0, 0], 0.05, order=order)
        assert k.log10 == pytest.approx(same.log10, abs=1e-9)
        assert fp.eyring_kramers(V, V.minima[0], V.saddles[0], 0.05, mobility=3 * A @ A.T,
                                 order=order) == pytest.approx(3 * k, rel=1e-12)


def test_equal_gates_beside_each_other_add():
    V = fp.catalogue.three_hole()
    one, both = (fp.eyring_kramers(V, V.minima[2], s, 0.05) for s in (V.saddles[0], V.saddles[:2]))
    assert both == pytest.approx(2 * one, rel=1e-9) and len(both.inputs["saddle"]) == 2


def test_tiny_rates_keep_their_logarithm():
    V = fp.catalogue.double_well()
    k = fp.eyring_kramers(V, [-1], [0], 1e-5)
    assert float(k) == 0.0 and k.log10 == pytest.approx(-1e5 / LOG10 + math.log10(math.sqrt(32)
                                                                                  / (2 * math.pi)), rel=1e-12)
    assert 0 < k.relative_error < 1e-4 and "10^-43429" in repr(k)


@pytest.mark.parametrize("theta, action", [(0.05, "ok"), (0.25, "warn"), (0.34, "refuse")])
def test_the_guard_knows_the_height_of_the_barrier(theta, action):
    k = fp.eyring_kramers(fp.catalogue.double_well(), [-1], [0], theta)
    assert k.guard.action == action and math.isnan(k) == (action == "refuse")
    told = json.loads(json.dumps(k.to_dict()))["guard"]
    assert told["action"] == action and all(r["code"] == "low-barrier" for r in told["reasons"])


def test_flat_wells_and_flat_tops_are_refused_with_the_way_out():
    V = fp.catalogue.flat_bottomed()
    k = fp.eyring_kramers(V, V.minima[0], V.saddles[0], 0.1)
    assert k.guard.codes == ("flat-well",) and "free-energy" in k.status and math.isnan(k)
    W = fp.Potential("x**6 - 1.5*x**4")
    k = fp.eyring_kramers(W, [-1], [0], 0.02)
    assert "flat-saddle" in k.guard.codes and "integral" in k.status


def test_a_quartic_top_has_its_gamma_function():
    # 1/k0 = int e^{f/theta} int e^{-f/theta}/theta with int exp(-c x^4/theta) = Gamma(1/4)/(2
    # (c/theta)^(1/4))
    V, theta = fp.Potential("x**6 - 1.5*x**4"), 0.005
    (top,) = [c for c in fp.critical_points(V, [(-1.5, 1.5)]) if c.degenerate]
    log_cap, _ = log_capacity(V, top, theta, np.eye(1), 0)
    gate = math.gamma(0.25) / (2 * (1.5 / theta) ** 0.25)
    # the sextic term is a correction of order sqrt(theta)
    assert log_cap == pytest.approx(math.log(theta / gate), abs=0.03)
    k = fp.eyring_kramers(V, [-1], top, theta, order="integral")
    exact = fp.FokkerPlanck(V, theta=theta, grid=fp.Grid([(-1.6, 1.6)], 100)).rate(fp.HalfSpace([-1], 1.0),
                                                                                   fp.HalfSpace([1], 1.0))
    assert abs(math.expm1((k.log10 - exact.log10) * LOG10)) < k.relative_error < 0.05


def test_a_pitchfork_is_taken_as_a_whole():
    # cap of f = -x^2/2 + h y^2/2 + y^4 (separable) is exact: the profile along y has no more than the quartic
    for h in (0.3, 1e-9, -0.2):
        V = fp.Potential("x**4/4 - x**2/2 + h*y**2/2 + y**4", h=h)
        theta = 0.02
        saddle = CriticalPoint(np.zeros(2), 0.0, np.sort([-1.0, h]), 1)
        log_cap, _ = log_capacity(V, saddle, theta, np.eye(2), 1)
        y = np.linspace(-2, 2, 40001)
        width = np.trapezoid(np.exp(-(h * y**2 / 2 + y**4) / theta), y)
        assert log_cap == pytest.approx(math.log(theta * math.sqrt(1 / (2 * math.pi * theta)) * width),
                                        abs=1e-6)


def test_points_that_are_no_stationary_points_get_one_sentence():
    V = fp.catalogue.double_well()
    for make, sentence in ((lambda: fp.eyring_kramers(V, [-0.6], [0], 0.1), "no stationary point"),
                           (lambda: fp.eyring_kramers(V, [0], [0], 0.1), "must be a minimum"),
                           (lambda: fp.eyring_kramers(V, [-1], [1], 0.1), "must be a saddle"),
                           (lambda: fp.eyring_kramers(V, [-1], [0], -0.1), "theta must be positive"),
                           (lambda: fp.eyring_kramers(V, [-1], [0], 0.1, order="third"),
                            "order 'third' is unknown"),
                           (lambda: fp.eyring_kramers(V, [-1, 0], [0], 0.1), "minimum must have shape"),
                           (lambda: fp.eyring_kramers(V, [-1], [0], 0.1, mobility=-1.0), "mobility must be"),
                           (lambda: fp.eyring_kramers("x**2", [-1], [0], 0.1), "V must be a Potential")):
        with pytest.raises((ValueError, TypeError), match=sentence) as caught:
            make()
        assert "\n" not in str(caught.value)


def test_strong_friction_is_overdamped_and_weak_friction_is_refused():
    V = fp.catalogue.coupled_double_well()
    overdamped = fp.eyring_kramers(V, V.minima[0], V.saddles[0], 0.1)
    misses = [abs(g * fp.eyring_kramers(V, V.minima[0], V.saddles[0], 0.1, friction=g) / overdamped - 1)
              for g in (10.0, 100.0)]
    # the approach is quadratic in 1/g
    assert misses[1] < 1e-3 and misses[0] / misses[1] == pytest.approx(100, rel=0.2)
    assert fp.eyring_kramers(V, V.minima[0], V.saddles[0], 0.1,
                             friction=1e-3).guard.codes == ("low-friction",)


def test_the_turnover_has_both_its_limits():
    V, theta = fp.catalogue.double_well(), 0.05
    action = 2 * np.trapezoid(np.sqrt(2 * np.maximum(1 - (np.linspace(-math.sqrt(2), 0, 200001) ** 2 - 1)
                                                     ** 2, 0)), dx=math.sqrt(2) / 200000)
    # half: it settles in either well
    weak = 1e-5 * action / theta * math.sqrt(8) / (2 * math.pi) * math.exp(-1 / theta) / 2
    assert fp.kramers_turnover(V, [-1], [0], theta, 1e-5) == pytest.approx(weak, rel=0.02)
    strong = fp.eyring_kramers(V, [-1], [0], theta, friction=50.0)
    assert fp.kramers_turnover(V, [-1], [0], theta, 50.0) == pytest.approx(strong, rel=1e-9)
