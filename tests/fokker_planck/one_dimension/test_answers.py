"""Continuum answers in one dimension against closed forms, against each other, and against mpmath."""
import math

import numpy as np
import pytest

import fpkit as fp
from fpkit.fokker_planck.one_dimension import answers as interval

PI = math.pi
RIGHT, LEFT = fp.HalfSpace([1], 1.0), fp.HalfSpace([-1], 1.0)


def diffusion(potential, theta, low, high, n=40, **options):
    grid = {k: options.pop(k) for k in ("periodic", "mask") if k in options}
    V = fp.Potential(potential) if isinstance(potential,
                                              str) or not hasattr(potential, "block") else potential
    return fp.FokkerPlanck(V, theta=theta, grid=fp.Grid([(low, high)], shape=n, **grid), **options)


def agrees(estimate, truth, tolerance=1e-12):
    """The value is right to `tolerance`, and the truth within the stated error, which is not idle."""
    assert abs(float(estimate) - truth) <= tolerance * abs(truth)
    assert abs(float(estimate) - truth) <= estimate.error + 2e-16 * abs(truth)
    assert estimate.error <= 1e-10 * abs(truth)
    return True


# ----------------------------------------------------------------------------------------------------------
# closed forms
def test_times_on_a_flat_line_are_the_known_parabolas():
    D = diffusion("0*x", 0.3, -1, 2)
    assert agrees(D.mfpt(fp.HalfSpace([1], 2.0)).at([-1]), 9 / 0.6)
    both = fp.HalfSpace([1], 2.0) | LEFT
    assert agrees(D.mfpt(both).at([0.3]), 1.3 * 1.7 / 0.6)
    assert agrees(D.mfpt_variance(fp.HalfSpace([1], 2.0)).at([-1]), 81 / 6 / 0.09)
    # from the middle of (-l, l): mean l^2/(2 theta), variance l^4/(6 theta^2)
    assert agrees(D.mfpt_variance(both).at([0.5]), 1.5 ** 4 / 6 / 0.09)


def test_time_on_a_slope_is_the_known_exponential():
    D, beta = diffusion("2*x", 0.1, 0, 1), 10.0
    s = 2 * beta
    assert agrees(D.mfpt(RIGHT).at([0]), beta * ((math.exp(s) - 1) / s - 1) / s)
    q = D.committor(fp.HalfSpace([-1], 0.0), RIGHT)
    assert agrees(q.at([0.5]), math.expm1(s / 2) / math.expm1(s))


def test_mean_of_the_square_is_variance_plus_square_of_the_mean():
    D = diffusion("(x**2 - 1)**2 + 0.2*x", 0.2, -2, 2)
    for target in (RIGHT, fp.HalfSpace([1], 1.7) | fp.HalfSpace([-1], 1.6)):
        tau, v = (f(D, target).at([-0.4]) for f in (interval.mfpt, interval.mfpt_variance))
        second = interval._passage(D, target, lambda piece: interval.mean_time(piece, 2), "", "").at([-0.4])
        assert abs(v + tau ** 2 - second) < 1e-12 * second


def test_reference_times_of_the_quartic():
    for theta, to_top, to_well in ((0.1, 1.276267562715e4, 2.552709136429e4),
                                   (0.02, 2.901510857164e21, 5.803021714328e21),
                                   (0.01, 1.498539900052e43, 2.997079800105e43)):
        D = diffusion("(x**2 - 1)**2", theta, -2.5, 2.5, n=30)
        assert abs(D.mfpt(fp.HalfSpace([1], 0.0)).at([-1]) / to_top - 1) < 1e-12
        assert abs(D.mfpt(RIGHT).at([-1]) / to_well - 1) < 1e-12


def test_lifson_and_jackson_of_a_cosine_is_a_bessel_function():
    from scipy.special import ive
    for theta in (0.05, 1.0, 30.0):
        D = diffusion("cos(x)", theta, 0, 2 * PI, periodic=True)
        expected = theta / (ive(0, 1 / theta) * math.exp(1 / theta)) ** 2
        assert agrees(D.effective_diffusion()[0], expected)
        assert float(D.effective_diffusion()) == D.effective_diffusion().value


def test_a_constant_force_on_a_flat_ring_drives_at_its_own_speed():
    D = diffusion("0*x", 0.2, 0, 2, periodic=True)
    for force in (3.0, -500.0):
        assert agrees(D.velocity(force), force)
        assert agrees(D.effective_diffusion(force=force)[0], 0.2, 1e-11)


def test_a_tilted_ring_agrees_with_the_double_integrals_and_with_lifson_and_jackson():
    D = diffusion("cos(x) + 0.3*sin(2*x)", 0.2, 0, 2 * PI, periodic=True)
    assert agrees(D.velocity(0.7), 0.2245903001472354, 1e-13)  # mpmath, nested quadrature of both formulas
    assert agrees(D.effective_diffusion(force=0.7)[0], 0.3131172263313872, 1e-13)
    still = D.effective_diffusion()[0]
    assert abs(D.velocity(1e-7) / (1e-7 * still / 0.2) - 1) < 1e-6         # Einstein's relation
    assert abs(float(D.effective_diffusion(force=1e-7)) / still - 1) < 1e-6


def test_exit_from_a_harmonic_well_is_the_known_sum():
    """From 0 to +-a at theta = 1: tau = sum_n 2^n n! a^(2n + 2)/(2n + 2)!, the series of int exp(y^2/2) int
    exp(-z^2/2)."""
    a = 1.7
    D = diffusion("x**2/2", 1.0, -a, a)
    tau = sum(2 ** n * math.factorial(n) * a ** (2 * n + 2) / math.factorial(2 * n + 2) for n in range(60))
    assert agrees(D.mfpt(fp.HalfSpace([1], a) | fp.HalfSpace([-1], a)).at([0]), tau)


# ----------------------------------------------------------------------------------------------------------
# laws
DOUBLE = "(x**2 - 1)**2 + 0.3*x"


def test_committors_of_both_directions_add_to_one():
    A, B = fp.Ball([-1], 0.2), fp.Ball([0.95], 0.1)
    for D in (diffusion(DOUBLE, 0.05, -2, 2), diffusion("cos(2*x) + 0.2*sin(x)", 0.1, -PI, PI,
                                                        periodic=True)):
        q, p = D.committor(A, B), D.committor(B, A)
        assert np.abs(q.values + p.values - 1).max() < 1e-13
        assert q.at([-1.0]) == 0 and q.at([0.95]) == 1 and q.at([-0.8]) == 0


def test_rate_is_one_over_the_time_from_the_last_exit_distribution():
    """With one gate the equilibrium measure of A sits on the end of A that faces it."""
    D, A, B = diffusion(DOUBLE, 0.05, -2, 2), fp.HalfSpace([-1], 0.9), fp.HalfSpace([1], 0.9)
    assert abs(D.rate(A, B) * D.mfpt(B).at([-0.9]) - 1) < 1e-12
    assert abs(D.rate(B, A) * D.mfpt(A).at([0.9]) - 1) < 1e-12
    assert abs(D.capacity(A, B) / D.capacity(B, A) - 1) < 1e-13
    nu = D.reactive_flux(A, B)
    # time spent coming from A and from B is all of it
    assert abs(1 / nu - 1 / D.rate(A, B) - 1 / D.rate(B, A)) < 1e-12 / nu


def test_capacity_shifts_with_the_potential_and_rates_do_not():
    A, B = LEFT, RIGHT
    D, E = diffusion(DOUBLE, 0.05, -2, 2), diffusion(DOUBLE + " + 2", 0.05, -2, 2)
    assert abs(E.capacity(A, B).log10 - D.capacity(A, B).log10 + 40 / math.log(10)) < 1e-11
    assert abs(E.rate(A, B) / D.rate(A, B) - 1) < 1e-12
    assert abs(E.mfpt(B).at([-1]) / D.mfpt(B).at([-1]) - 1) < 1e-12


def test_the_grid_only_draws():
    for n in (4, 25, 700):
        D = diffusion(DOUBLE, 0.02, -2, 2, n=n)
        assert abs(D.mfpt(RIGHT).at([-1.3]) / diffusion(DOUBLE, 0.02, -2, 2).mfpt(RIGHT).at([-1.3])
                   - 1) < 1e-12


def test_scaling_of_potential_and_temperature_together_scales_time_and_mobility_too():
    D = diffusion(DOUBLE, 0.05, -2, 2)
    E, M = diffusion(f"3*({DOUBLE})", 0.15, -2, 2), diffusion(DOUBLE, 0.05, -2, 2, mobility=3.0)
    assert abs(E.rate(LEFT, RIGHT) / D.rate(LEFT, RIGHT) - 3) < 1e-12
    assert abs(M.rate(LEFT, RIGHT) / D.rate(LEFT, RIGHT) - 3) < 1e-12
    assert abs(M.exit_rate(RIGHT) / D.exit_rate(RIGHT) - 3) < 1e-11


def test_a_mobility_that_depends_on_x_is_a_change_of_coordinate():
    """y = log(1 + x): with M = (1 + x)^2 the flat line in x is f = -theta y in y, and (0, 1) becomes (0, log
    2)."""
    D = diffusion("0*x", 0.7, 0, 1, mobility=lambda p: (1 + p[..., 0]) ** 2)
    E = diffusion("-0.7*x", 0.7, 0, math.log(2))
    assert abs(D.mfpt(RIGHT).at([0.2]) / E.mfpt(fp.HalfSpace([1], math.log(2))).at([math.log(1.2)])
               - 1) < 1e-12
    assert abs(D.spectrum(3)[2] / E.spectrum(3)[2] - 1) < 1e-12


def test_a_ring_cut_by_a_target_is_an_interval_that_wraps():
    ring = diffusion("cos(x) + 0.3*sin(2*x)", 0.3, 0, 2 * PI, periodic=True)
    line = diffusion("cos(x) + 0.3*sin(2*x)", 0.3, 1.2, 0.8 + 2 * PI)
    target, ends = fp.Ball([1.0], 0.2), fp.HalfSpace([-1], -1.2) | fp.HalfSpace([1], 0.8 + 2 * PI)
    for x in (1.5, 3.0, 6.2, 2 * PI):
        assert abs(ring.mfpt(target).at([x]) / line.mfpt(ends).at([x]) - 1) < 1e-12
    assert abs(ring.mfpt(target).at([0.4]) / line.mfpt(ends).at([0.4 + 2 * PI]) - 1) < 1e-12
    assert abs(ring.exit_rate(target) / line.exit_rate(ends) - 1) < 1e-12


def test_fields_are_drawn_at_the_cell_centres():
    D = diffusion(DOUBLE, 0.05, -2, 2, n=80)
    tau = D.mfpt(RIGHT)
    for k in (0, 13, 55, 79):
        assert tau.values[k] == pytest.approx(float(tau.at(D.grid.points[k])), rel=1e-14)
    assert tau.values[-1] == 0 and (np.diff(tau.values[:60]) < 0).all()


# ----------------------------------------------------------------------------------------------------------
# domains
def test_kinks_and_jumps_of_the_potential_are_closed_in():
    D = diffusion(lambda x: np.where(x > 0.3, 1.0, 0.0) + 0 * x, 0.1, -1, 1)
    e = math.exp(10)
    assert agrees(D.mfpt(RIGHT).at([-1]), (1.3 ** 2 / 2 + e * 1.3 * 0.7 + 0.7 ** 2 / 2) / 0.1)
    D = diffusion("abs(x - 0.3)*2", 0.1, -1, 1)
    # down the slope e^{s(1.3 - t)} int_0^t e^{-s(1.3 - u)} du = (1 - e^{-s t})/s, then up e^{s t} (mass + (1
    # - e^{-s t})/s), s = 2 beta
    s = 20.0
    mass = -math.expm1(-s * 1.3) / s
    truth = (1.3 - mass) / s + mass * math.expm1(s * 0.7) / s + (math.expm1(s * 0.7) / s - 0.7) / s
    assert agrees(D.mfpt(RIGHT).at([-1]), truth / 0.1)


def test_an_infinite_potential_is_a_wall_where_it_begins():
    walled = diffusion(lambda x: np.where(x < -0.7, np.inf, x * x), 0.1, -1, 1)
    plain = diffusion("x**2", 0.1, -0.7, 1)
    for x in (-0.7, 0.0, 0.9):
        assert abs(walled.mfpt(RIGHT).at([x]) / plain.mfpt(RIGHT).at([x]) - 1) < 1e-12
    with pytest.raises(ValueError, match="outside the domain"):
        walled.mfpt(RIGHT).at([-0.8])
    assert np.isnan(walled.mfpt(RIGHT).values[0])


def test_parts_cut_off_by_a_mask_are_named_unreachable():
    D = diffusion("x**2", 0.1, -1, 1, mask=lambda p: abs(p[..., 0]) > 0.2)
    alone = diffusion("x**2", 0.1, 0.2, 1)
    assert abs(D.mfpt(RIGHT).at([0.5]) / alone.mfpt(RIGHT).at([0.5]) - 1) < 1e-12
    lost = D.mfpt(RIGHT).at([-0.5])
    assert lost == math.inf and "cannot be reached" in lost.status
    assert "neither" in D.committor(fp.Ball([0.3], 0.05), RIGHT).at([-0.5]).status
    assert list(D.spectrum(4).eigenvalues[:2]) == [0, 0]


def test_steep_repulsion_at_a_wall_is_no_obstacle():
    """r^-12 is infinite at the lower bound; nobody is there."""
    D, E = (diffusion("(0.5/x)**12 - (0.5/x)**6", 1.0, low, 2) for low in (0.0, 0.2))
    target = fp.HalfSpace([1], 2.0)
    assert abs(D.mfpt(target).at([0.6]) / E.mfpt(target).at([0.6]) - 1) < 1e-12


@pytest.mark.parametrize("text", ["-1/abs(x)", "log(abs(x))", "1/x"])
def test_poles_are_refused(text):
    with pytest.raises(ValueError, match="pole"):
        diffusion(text, 0.1, -1, 1).mfpt(RIGHT)


@pytest.mark.parametrize("potential", ["spline", "black box"])
def test_sampled_and_uncompiled_potentials_are_taken(potential):
    f = lambda x: (x ** 2 - 1) ** 2 + 0.3 * x
    if potential == "spline":
        x = np.linspace(-2, 2, 401)
        V, tolerance = fp.GridPotential([x], f(x)), 1e-8
    else:
        V, tolerance = fp.Potential.black_box(lambda p: f(p[:, 0]), None, 1), 1e-12
    rate = diffusion(V, 0.05, -2, 2).rate(LEFT, RIGHT)
    assert abs(rate / diffusion(DOUBLE, 0.05, -2, 2).rate(LEFT, RIGHT) - 1) < tolerance


def test_a_noisy_black_box_says_so_in_its_error():
    f = lambda p: ((p[:, 0] ** 2 - 1) ** 2).astype(np.float32).astype(float)
    rate = diffusion(fp.Potential.black_box(f, None, 1), 0.1, -2, 2).rate(LEFT, RIGHT)
    truth = diffusion("(x**2 - 1)**2", 0.1, -2, 2).rate(LEFT, RIGHT)
    assert abs(rate - truth) < rate.error < 1e-4 * truth


def test_points_thin_regions_walls_and_sublevels_are_targets():
    D = diffusion(DOUBLE, 0.1, -2, 2)
    point = fp.HalfSpace([1], 0.5) & fp.HalfSpace([-1], -0.5)
    exact = D.mfpt(fp.HalfSpace([1], 0.5)).at([-1])
    assert abs(D.mfpt(point).at([-1]) / exact - 1) < 1e-12
    assert abs(D.mfpt(fp.Ball([0.5], 1e-9)).at([-1]) / exact - 1) < 1e-7
    wall = D.mfpt(fp.HalfSpace([1], 2.0))
    assert wall.at([2.0]) == 0 and wall.at([-1]) > exact
    V = D.potential
    level = float(V([0.5]))
    assert abs(D.mfpt(fp.Sublevel(V, level, around=[0.96])).at([-1]) / exact - 1) < 1e-11
    assert abs(D.killed(fp.HalfSpace([1], 0.5)).spectrum(1)[0] / D.exit_rate(fp.HalfSpace([1], 0.5))
               - 1) < 1e-11


def test_wrong_regions_are_refused_in_one_sentence():
    D = diffusion(DOUBLE, 0.1, -2, 2)
    for call, words in ((lambda: D.mfpt(fp.Ball([5], 1)), "selects nothing"),
                        (lambda: D.committor(LEFT, fp.Ball([-1], 0.5)), "overlap"),
                        (lambda: D.exit_rate(fp.Ball([0], 9)), "covers the whole"),
                        (lambda: D.rate(fp.Ball([0, 0], 1), RIGHT), "2 coordinates"),
                        (lambda: D.committor(fp.HalfSpace([-1], 0), fp.HalfSpace([1], 0)), "touch")):
        with pytest.raises(ValueError, match=words):
            call()


def test_tiny_rates_keep_their_logarithm():
    D = diffusion("(x**2 - 1)**2", 1 / 23500, -1.2, 1.2)
    tau = D.mfpt(RIGHT).at([-1])
    assert tau == math.inf and 10205 < tau.log10 < 10206.5
    kramers = math.log(math.sqrt(8 * 4) / (2 * PI)) - 23500
    assert abs(-tau.log10 * math.log(10) - kramers) < 3e-5  # Eyring-Kramers errs by 0.375 theta
    assert abs(D.exit_rate(RIGHT).log10 + tau.log10) < 1e-9 and D.rate(LEFT, RIGHT).log10 < -10205


# ----------------------------------------------------------------------------------------------------------
# mpmath
CASES = [("(x**2-1)**2 + 0.3*x", lambda x, mp: (x * x - 1) ** 2 + mp.mpf(3) / 10 * x, 0.25,
          (-1.6, -1.0, 0.7)),
         ("x**4/4 + sin(3*x)", lambda x, mp: x ** 4 / 4 + mp.sin(3 * x), 0.4, (-2.0, -0.5, 1.1))]


@pytest.mark.parametrize("text, f, theta, points", CASES, ids=[c[0] for c in CASES])
def test_times_and_committors_agree_with_mpmath(text, f, theta, points):
    mp = pytest.importorskip("mpmath").mp
    mp.dps = 20
    a, x, b = map(mp.mpf, map(str, points))
    beta = 1 / mp.mpf(str(theta))
    up, down = (lambda y: mp.exp(beta * f(y, mp))), (lambda y: mp.exp(-beta * f(y, mp)))
    quad = lambda g, lo, hi: mp.quad(g, [lo, hi], method="gauss-legendre", maxdegree=3)
    edges = mp.linspace(a, x, 9) + mp.linspace(x, b, 13)[1:]
    tau, mass = mp.mpf(0), mp.mpf(0)
    for lo, hi in zip(edges[:-1], edges[1:]):
        if lo >= x:
            tau += beta * quad(lambda y, mass=mass, lo=lo: up(y) * (mass + quad(down, lo, y)), lo, hi)
        mass += quad(down, lo, hi)
    D = diffusion(text, theta, points[0], points[2] + 0.4)
    assert agrees(D.mfpt(fp.HalfSpace([1], points[2])).at([points[1]]), float(tau))
    resistance = [quad(up, lo, hi) for lo, hi in zip(edges[:-1], edges[1:])]
    q = sum(resistance[:8]) / sum(resistance)
    assert agrees(D.committor(fp.HalfSpace([-1], -points[0]), fp.HalfSpace([1], points[2])).at([points[1]]),
                  float(q))
