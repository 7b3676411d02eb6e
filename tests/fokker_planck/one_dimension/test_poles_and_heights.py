"""Poles inside an interval, and barriers that count as walls elsewhere."""
import math

import numpy as np
import pytest

import fpkit as fp


@pytest.mark.parametrize("power", [-0.9, -0.5, 0.3, 0.95])
@pytest.mark.parametrize("place", [0.0, 0.137])
def test_a_pole_with_finite_integrals_is_crossed(power, place):
    """|x| is a Bessel process: its mean time to the ends at +-1 is (1 - x^2)/(2 (n + 1))."""
    V = fp.Potential("-n*log(abs(x - a))", n=power, a=place)
    D = fp.FokkerPlanck(V, 1.0, fp.Grid([(place - 1, place + 1)], 60))
    ends = fp.HalfSpace([-1], 1 - place) | fp.HalfSpace([1], 1 + place)
    for x in (-0.4, 0.3):
        time = D.mfpt(ends).at([place + x])
        assert abs(time.value - (1 - x * x) / (2 * (power + 1))) <= time.error < 1e-6
    q = D.committor(fp.HalfSpace([-1], 1 - place), fp.HalfSpace([1], 1 + place)).at([place + 0.3])
    assert abs(q.value - (1 + 0.3 ** (1 - power)) / 2) <= q.error < 1e-6   # the scale function is |x|^(1-n)


def test_a_pole_that_paths_never_cross_parts_the_domain():
    D = fp.FokkerPlanck(fp.Potential("-1.5*log(abs(x - 0.3))"), 1.0, fp.Grid([(-1, 1.6)], 60))
    assert D.spectrum(3).eigenvalues[1] == 0.0 < D.spectrum(3).eigenvalues[2]
    assert math.isinf(D.mfpt(fp.HalfSpace([1], 1.6)).at([0.0]).value)


def test_a_pole_that_holds_paths_for_ever_is_refused():
    D = fp.FokkerPlanck(fp.Potential("1.5*log(abs(x - 0.3))"), 1.0, fp.Grid([(-1, 1.6)], 61))
    with pytest.raises(ValueError, match="no finite integral"):
        D.mfpt(fp.HalfSpace([1], 1.6))


@pytest.mark.parametrize("theta", [1e-4, 1e-6])
def test_a_rate_over_any_barrier_has_its_logarithm(theta):
    """Kramers' law with its next order: (w_0 w_b / 2 pi)(1 - c theta) exp(-1/theta), c below 1."""
    D = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2"), theta, fp.Grid([(-2, 2)], 101))
    rate = D.rate(fp.HalfSpace([-1], 0.9), fp.HalfSpace([1], 0.9))
    wanted = math.log(math.sqrt(32) / (2 * math.pi)) - 1 / theta
    assert abs(rate.log10 * math.log(10) - wanted) < theta + 4e-15 / theta


@pytest.mark.slow
@pytest.mark.parametrize("theta", [5e-6, 1e-6])
def test_an_eigenvalue_over_any_barrier_has_its_logarithm(theta):
    """Twice Kramers' rate, with its next order."""
    S = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2"), theta, fp.Grid([(-2, 2)], 101)).spectrum(3)
    wanted = math.log(2 * math.sqrt(32) / (2 * math.pi)) - 1 / theta
    assert S.status == "ok" and S[1].value == 0
    assert abs(S.log10[1] * math.log(10) - wanted) < S[1].relative_error + 2 * theta < 1e-4
    assert abs(S[2].value - 8) < 20 * theta and S.gap.log10 == S.log10[1]


@pytest.fixture
def low_walls(monkeypatch):
    """2000 theta for the limit above which f is a wall."""
    for name in ("panels", "answers"):
        monkeypatch.setattr(f"fpkit.fokker_planck.one_dimension.{name}.HIGHEST", 2000.0)


def test_barriers_that_count_as_walls_give_the_eigenvalues_that_elements_give(low_walls):
    """Elements across barriers of 4000 and 5000 theta, without such a limit, gave these logarithms."""
    V = fp.Potential("1 - cos(2*pi*x) + 0.2*cos(pi*x) + 0.05*x")
    S = fp.FokkerPlanck(V, 1 / 2500, fp.Grid([(0.6, 4.4)], 200)).spectrum(6)
    wanted = [-2365.29945594217, -1932.75915676369, -1932.75915676369, 1.57397239755607, 1.57397239755609]
    assert S.status == "ok" and np.isneginf(S.log10[0]) and (np.abs(S.log10[1:] - wanted) < 1e-9).all()
    assert (S.relative_errors < 1e-9).all() and S.gap.log10 == S.log10[1]


def test_wells_higher_than_the_line_can_hold_have_no_eigenvalues_but_a_reason(low_walls):
    S = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2 + 0.1*x"), 5e-5, fp.Grid([(-1.6, 1.6)], 101)).spectrum(3)
    assert S.log10[0] == -np.inf and np.isnan(S.log10[1:]).all() and np.isnan(S.errors[1:]).all()
    assert "150000 theta" in S.status and "150000 theta" in S.gap.status and math.isnan(S.gap.error)


def test_an_exit_that_counts_as_walled_off_says_so():
    D = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2"), 1e-6, fp.Grid([(-2, 2)], 100))
    with pytest.raises(ValueError, match="150000 theta"):
        D.exit_rate(fp.HalfSpace([1], 0.0))


@pytest.mark.parametrize("question", ["exit_rate", "quasi_stationary"])
@pytest.mark.parametrize("shape", [(11, 11), (20, 20), (11, 7)])
@pytest.mark.filterwarnings("ignore::fpkit.ResolutionWarning")
def test_cold_coarse_planes_answer_or_say_why(question, shape):
    D = fp.FokkerPlanck(fp.Potential("(x**2 - 1)**2 + y**2"), 1e-3, fp.Grid([(-2, 2)] * 2, shape))
    found = getattr(D, question)(fp.HalfSpace([1, 0], 0.0))
    rate = found if question == "exit_rate" else found.rate
    assert not (np.isfinite(rate.error) and rate.error > 0 and rate.value == 0)
