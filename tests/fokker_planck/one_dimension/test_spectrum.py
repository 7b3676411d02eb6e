"""Eigenvalues, eigenfunctions and quasi-stationary distributions of intervals and rings."""
import math

import numpy as np
import pytest

import fpkit as fp
from fpkit.fokker_planck.one_dimension.pieces import lines
from fpkit.fokker_planck.one_dimension.spectrum import Modes

PI = math.pi


def diffusion(text, theta, low, high, n=40, **grid):
    return fp.FokkerPlanck(fp.Potential(text), theta=theta, grid=fp.Grid([(low, high)], shape=n, **grid))


def within(spectrum, truth, tolerance=1e-12):
    truth = np.asarray(truth, float)
    off = np.abs(spectrum.eigenvalues - truth)
    assert (off <= tolerance * truth + 0).all(), off / np.maximum(truth, 1e-300)
    assert (off <= spectrum.errors + 2e-16 * truth).all()
    assert (spectrum.errors <= 1e-10 * truth).all()
    return True


def test_flat_interval_has_cosines():
    D = diffusion("0*x", 0.3, -1, 2, n=60)
    S = D.spectrum(12)
    k = np.arange(12)
    assert within(S, (k * PI / 3) ** 2 * 0.3)
    x = D.grid.centres[0]
    for j in range(1, 12):
        u = math.sqrt(2) * np.cos(j * PI * (x + 1) / 3)
        assert min(np.abs(S.eigenfunctions[j] - u).max(), np.abs(S.eigenfunctions[j] + u).max()) < 1e-11
    assert np.abs(S.eigenfunctions[0] - 1).max() < 1e-13


def test_flat_ring_has_each_frequency_twice_and_an_orthogonal_pair():
    D = diffusion("0*x", 0.3, -1, 2, n=60, periodic=True)
    S = D.spectrum(9)
    assert within(S, 0.3 * (2 * PI / 3 * np.array([0, 1, 1, 2, 2, 3, 3, 4, 4])) ** 2)
    overlap = S.eigenfunctions @ S.eigenfunctions.T / 60
    assert np.abs(overlap - np.eye(9)).max() < 1e-10


def test_ornstein_uhlenbeck_on_a_wide_box_counts():
    for theta in (0.02, 1.0):
        w = 12 * math.sqrt(theta)
        assert within(diffusion("x**2/2", theta, -w, w).spectrum(8), np.arange(8))


@pytest.mark.parametrize("theta, gap", [(0.1, 7.835709199892175e-05), (0.02, 3.446480296742441e-22),
                                        (0.01, 6.673162322638250e-44)])
def test_gaps_of_the_quartic(theta, gap):
    assert abs(diffusion("(x**2 - 1)**2", theta, -2.5, 2.5).spectrum(2)[1] / gap - 1) < 1e-12


def test_gaps_of_1e_40_and_1e_60():
    for text, gap in (("(x**2 - 1)**2 + 0.3*x", 9.79451950793966809e-40),
                      ("1.3*(x**2 - 1)**2 - 0.2*x", 1.05236809885492352e-60)):
        S = diffusion(text, 0.008, -1.5, 1.5, n=16).spectrum(4)
        assert abs(S[1] / gap - 1) < 1e-12 and S.gap == S[1] and S.eigenvalues[0] == 0


def test_graded_spectrum_of_three_wells_is_exact_at_every_scale():
    """Eigenvalues many orders of magnitude apart do not change in the twelfth digit when all panels are
    halved."""
    V = "0.3*x**6 - 2*x**4 + 3.2*x**2 + 0.25*x + 0.1*x**3"
    S = diffusion(V, 0.01, -2.6, 2.6).spectrum(4)
    assert S.eigenvalues[1] < 1e-20 and (np.diff(S.log10[1:]) > 0).all()
    full = lines(diffusion(V, 0.01, -2.6, 2.6))[0]
    chain = Modes(full.panels.halved(np.ones(len(full.panels), bool), full.function), 4, False, True, True,
                  full.function)
    assert np.abs(chain.log[1:] / math.log(10) - S.log10[1:]).max() < 1e-12


def test_dirichlet_eigenvalues_are_those_of_the_partner():
    """The flux of an eigenfunction solves the absorbed problem in -f: the gap of f is the exit rate of -f
    through both walls."""
    for text, theta, w in (("(x**2 - 1)**2 + 0.2*x", 0.1, 1.8), ("cos(3*x)", 0.2, 2.0)):
        S = diffusion(text, theta, -w, w).spectrum(2)
        walls = fp.HalfSpace([1], w) | fp.HalfSpace([-1], w)
        partner = diffusion(f"-({text})", theta, -w, w)
        assert abs(partner.exit_rate(walls) / S[1] - 1) < 1e-12
        assert abs(partner.killed(walls).spectrum(1)[0] / S[1] - 1) < 1e-12


def test_half_of_an_even_potential_holds_the_odd_modes():
    S = diffusion("(x**2 - 1)**2", 0.05, -2, 2).spectrum(3)
    half = diffusion("(x**2 - 1)**2", 0.05, 0, 2)
    assert abs(half.exit_rate(fp.HalfSpace([-1], 0.0)) / S[1] - 1) < 1e-12
    assert abs(half.spectrum(2)[1] / S[2] - 1) < 1e-12


def test_ring_of_two_equal_wells_holds_the_modes_of_its_halves():
    ring = diffusion("cos(2*x)", 0.05, 0, 2 * PI, periodic=True).spectrum(6)
    even = diffusion("cos(2*x)", 0.05, 0, PI).spectrum(3)                       # both mirror lines reflect
    quarter = diffusion("cos(2*x)", 0.05, 0, PI / 2)
    assert abs(ring[1] / quarter.exit_rate(fp.HalfSpace([-1], 0.0)) - 1) < 1e-12     # absorbed on both tops
    assert abs(ring[2] / even[1] - 1) < 1e-12 and abs(ring[3] / even[2] - 1) < 1e-12


def test_two_state_law_at_low_temperature():
    """lambda = k_12 + k_21 up to the ratio of the gap to the next eigenvalue."""
    D = diffusion("(x**2 - 1)**2 + 0.3*x", 0.03, -2, 2)
    A, B = fp.HalfSpace([-1], 1.0), fp.HalfSpace([1], 0.95)
    S = D.spectrum(3)
    assert abs((D.rate(A, B) + D.rate(B, A)) / S[1] - 1) < 10 * S[1] / S[2]
    assert abs(D.exit_rate(B) * D.mfpt(B).at([-1.03]) - 1) < 1e-6


def test_eigenfunctions_are_orthogonal_and_solve_their_equation():
    D = diffusion("(x**2 - 1)**2 + 0.2*x", 0.15, -2, 2, n=4000)
    S = D.spectrum(5)
    p = D.gibbs.values * D.grid.volumes
    overlap = (S.eigenfunctions * p) @ S.eigenfunctions.T
    assert np.abs(overlap - np.eye(5)).max() < 1e-5  # the sum over cells is the midpoint rule
    x, u = D.grid.centres[0], S.eigenfunctions[2]
    h = x[1] - x[0]
    slope = D.potential.gradient(x[:, None])[:, 0]
    left = -0.15 * (u[2:] - 2 * u[1:-1] + u[:-2]) / h ** 2 + slope[1:-1] * (u[2:] - u[:-2]) / (2 * h)
    assert np.abs(left - S.eigenvalues[2] * u[1:-1]).max() < 1e-3 * np.abs(S.eigenvalues[2] * u).max()


def test_quasi_stationary_distribution_of_a_flat_line_is_half_a_sine():
    D = diffusion("0*x", 0.3, -1, 2, n=30)
    both = fp.HalfSpace([1], 2.0) | fp.HalfSpace([-1], 1.0)
    Q = D.quasi_stationary(both)
    edges = D.grid.edges[0]
    exact = np.diff(-np.cos(PI * (edges + 1) / 3)) / 2
    assert np.abs(Q.density.values * D.grid.volumes - exact).max() < 1e-13
    assert Q.exit_points.tolist() == [[-1.0], [2.0]] and np.allclose(Q.exit_probabilities, 0.5, atol=1e-13)
    assert abs(Q.rate - 0.3 * (PI / 3) ** 2) < 1e-13
    assert Q.mean_exit_time == pytest.approx(1 / Q.rate)


def test_mean_exit_time_from_the_quasi_stationary_distribution_is_one_over_its_rate():
    D = diffusion("(x**2 - 1)**2 + 0.3*x", 0.1, -2, 2, n=800)
    B = fp.HalfSpace([1], 0.3)
    Q = D.quasi_stationary(B)
    mean = (Q.density.values * D.grid.volumes * np.nan_to_num(D.mfpt(B).values)).sum()
    assert abs(mean * Q.rate - 1) < 1e-4
    assert abs((Q.density.values * D.grid.volumes).sum() - 1) < 1e-13


def test_equal_halves_share_the_quasi_stationary_distribution():
    D = diffusion("(x**2 - 1)**2", 0.1, -2, 2, n=80)
    Q = D.quasi_stationary(fp.Ball([0], 0.1))
    assert np.abs(Q.density.values - Q.density.values[::-1]).max() < 1e-10
    assert np.allclose(Q.exit_probabilities, 0.5, atol=1e-10)


def test_parts_of_the_domain_bring_their_own_spectra():
    D = diffusion("x**2", 0.1, -1, 1, mask=lambda p: abs(p[..., 0]) > 0.2)
    one = diffusion("x**2", 0.1, 0.2, 1).spectrum(3)
    S = D.spectrum(6)
    assert np.allclose(S.eigenvalues, np.repeat(one.eigenvalues, 2), rtol=1e-12, atol=0)
    assert np.isnan(S.eigenfunctions[:, 20]).all() and (S.eigenfunctions[0] == 0).sum() == 16


def test_gaps_below_the_range_of_floats_keep_their_logarithm():
    S = diffusion("(x**2 - 1)**2", 1 / 2000, -1.3, 1.3).spectrum(2)
    assert S.eigenvalues[1] == 0 and -868.6 < S.log10[1] < -867
    kramers = math.log(2 * math.sqrt(32) / (2 * PI)) - 2000
    assert abs(S.log10[1] * math.log(10) - kramers) < 3e-4
    assert np.abs(S.eigenfunctions[1]).max() < 1.01                         # +1 and -1 in the wells


def test_modes_of_a_barrier_out_of_range_are_left_out_and_not_wrong():
    S = diffusion("(x**2 - 1)**2", 1 / 4000, -1.3, 1.3).spectrum(3)
    assert abs(S[2] / 4 - 1) < 1e-3 and np.isnan(S.eigenfunctions[2]).all()


def test_series_of_the_panels_does_not_matter():
    """Twice as many panels: every eigenvalue stays, to rounding."""
    line = lines(diffusion("cos(x) + 0.4*sin(3*x)", 0.1, 0, 2 * PI, periodic=True))[0]
    a = Modes(line.panels, 9, True, True, True, line.function)
    b = Modes(line.panels.halved(np.ones(len(line.panels), bool), line.function), 9, True, True, True,
              line.function)
    assert np.abs(a.log[1:] - b.log[1:]).max() < 2e-13


def test_a_cold_ring_holds_the_modes_of_its_wells_and_of_its_tops():
    """Shifting the ring moves the node where it is opened, from a well to a top and beside both: nothing may
    depend on it."""
    found = []
    for shift in (0.0, 1.0, 2.5, 4.0):
        f = f"-0.962156*cos(x + {3.19434 + shift}) + 0.202673*cos(2*(x + {shift}) + 5.35918)"
        found.append(diffusion(f, 0.004, 0, 2 * PI, periodic=True).spectrum(7))
    for S in found[1:]:
        assert np.abs(S.eigenvalues[1:] / found[0].eigenvalues[1:] - 1).max() < 3e-12


@pytest.mark.parametrize("scale", [1e-300, 1e-100, 1e-40, 1e40, 1e100, 1e300])
def test_units_leave_eigenvalues_alone_or_are_refused(scale):
    """f and theta in other units multiply every eigenvalue by the same number."""
    of = lambda s: fp.FokkerPlanck(fp.Potential("a*x**2/2", a=s), s, fp.Grid([(-6, 6)], 40)).spectrum(3)
    if abs(np.log10(scale)) > 50:
        with pytest.raises(ValueError, match="other units"):
            of(scale)
    else:
        assert float(of(scale)[1]) / scale == pytest.approx(float(of(1.0)[1]), rel=1e-12)
