"""Poles, vanishing mobility, jumps of any height and slopes of any steepness in one dimension, against closed forms."""
import math
import warnings

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import jv

import fpkit as fp

ZERO, ONE = fp.HalfSpace([-1], 0.0), fp.HalfSpace([1], 1.0)


def line(text, theta, low, high, n=60, **options):
    return fp.FokkerPlanck(fp.Potential(text), theta, fp.Grid([(low, high)], n), **options)


def kept(estimate, truth, tolerance=1e-7, slack=3e-14):
    """Within the stated error, which is small."""
    assert abs(float(estimate) - truth) <= estimate.error + slack * abs(truth)
    assert estimate.error <= tolerance * abs(truth) and estimate.status == "ok"


@pytest.fixture(autouse=True)
def no_raw_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


# ----------------------------------------------------------------------------------------------------------
# poles at an end
@pytest.mark.parametrize("n", [-0.95, -0.8, -0.5, -0.3, 0.5, 1.0, 2.3])
@pytest.mark.parametrize("side", ["low", "high"])
def test_bessel_processes_have_their_known_times_and_eigenvalues(n, side):
    """f = -n theta log r: times (1 - r^2)/(2 (n + 1)), eigenvalues squares of the zeros of J_(n+1)/2."""
    theta = 0.7
    if side == "low":
        D, target, at = line(f"-({n * theta})*log(x)", theta, 0, 1), ONE, 0.3
    else:
        D, target, at = line(f"-({n * theta})*log(3 - x)", theta, 2, 3), fp.HalfSpace([-1], -2.0), 2.7
    kept(D.mfpt(target).at([at]), (1 - 0.3**2) / (2 * (n + 1)) / theta)
    nu, x = (n + 1) / 2, np.linspace(1e-3, 12, 4000)
    sign = np.flatnonzero(np.diff(np.sign(jv(nu, x))))[:2]
    zeros = [brentq(lambda z: jv(nu, z), x[k], x[k + 1], xtol=1e-15) for k in sign]
    for estimate, z in zip(list(D.spectrum(3))[1:], zeros):
        kept(estimate, theta * z**2)


@pytest.mark.parametrize("k", [0.02, 0.08, 0.3, 0.9, 1.5, 4.0])
def test_square_root_diffusion_has_whole_eigenvalues(k):
    # Laguerre polynomials; the Feller condition is violated for k < 1
    D = line(f"x - ({k} - 1)*log(x)", 1.0, 0, 60, mobility=lambda x: x[..., 0])
    for i, estimate in enumerate(D.spectrum(4)):
        assert abs(float(estimate) - i) <= estimate.error + 1e-9 and estimate.error < 1e-8


@pytest.mark.parametrize("N", [10, 1000])
def test_wright_fisher_diffusion_fixes_as_it_must(N):
    D = line("log(x*(1 - x))", 1.0, 0, 1, mobility=lambda x: (x * (1 - x) / (4 * N))[..., 0])
    both, q = D.mfpt(ZERO | ONE), D.committor(ZERO, ONE)
    for x in (1e-3, 0.1, 0.5, 0.77, 0.999):
        kept(q.at([x]), x)
        kept(both.at([x]), -4 * N * (x * math.log(x) + (1 - x) * math.log(1 - x)))
    kept(D.exit_rate(ZERO | ONE), 2 / (4 * N))
    for i, estimate in enumerate(D.killed(ZERO | ONE).spectrum(4)):
        kept(estimate, (i + 1) * (i + 2) / (4 * N))


@pytest.mark.parametrize("s", [-40.0, -3.0, 1.0, 12.0, 60.0])
def test_selection_changes_fixation_as_kimura_found(s):
    N = 100
    D = line(f"log(x*(1 - x)) - {s}*x", 1.0, 0, 1, mobility=lambda x: (x * (1 - x) / (4 * N))[..., 0])
    kept(D.committor(ZERO, ONE).at([0.2]), math.expm1(-s * 0.2) / math.expm1(-s), 1e-6)


def test_what_is_infinite_beside_a_pole_is_refused_with_the_reason():
    D = line("log(x*(1 - x))", 1.0, 0, 1, mobility=lambda x: (x * (1 - x))[..., 0])
    for ask in (lambda: D.mfpt(ONE), lambda: D.spectrum(2), lambda: D.rate(ZERO, ONE), lambda: D.reactive_flux(ZERO, ONE)):
        with pytest.raises(ValueError, match="no finite integral there, so paths stay for ever"):
            ask()
    # a Bessel process of dimension 3 never comes back to 0
    D = line("-2*log(x)", 1.0, 0, 1)
    assert "cannot be reached" in D.mfpt(ZERO).at([0.5]).status
    kept(D.mfpt(ZERO | ONE).at([0.5]), (1 - 0.25) / 6)


@pytest.mark.parametrize("theta", [0.05, 0.5, 2.0])
def test_errors_beside_a_repulsive_pole_are_not_idle(theta):
    # x^2/2 - theta log x: the square of the radius in the plane is a square-root diffusion
    D = line(f"x**2/2 - {theta}*log(x)", theta, 0, 12 * math.sqrt(theta))
    for i, estimate in enumerate(list(D.spectrum(3))[1:]):
        kept(estimate, 2.0 * (i + 1), 1e-10, 1e-12)
    b = 2 * math.sqrt(theta)
    start = 0.3 * b
    truth = quad(lambda y: 2 * math.sinh(y**2 / 4 / theta) * math.exp(y**2 / 4 / theta) / y, start, b)[0]
    kept(D.mfpt(fp.HalfSpace([1], b)).at([start]), truth, 1e-10, 1e-11)


# ----------------------------------------------------------------------------------------------------------
# jumps
@pytest.mark.parametrize("height", [20.0, 60.0, 100.0, 300.0, 1e3, 1e5])
def test_a_box_with_walls_of_any_finite_height_has_the_modes_of_its_parts(height):
    """Beyond exp(20) the parts are alone: the box reflects at its walls, the plateaus absorb at theirs."""
    D = line(f"where(abs(x) < 0.513, 0, {height})", 1.0, -2, 2, n=50)
    plateau, box = (math.pi / 2 / (2 - 0.513))**2, (math.pi / 1.026)**2
    truth = sorted([0.0, plateau, plateau, box, 9 * plateau, 9 * plateau])
    S = D.spectrum(6)
    assert np.allclose(S.eigenvalues, truth, rtol=20 * math.exp(-height / 2) + 1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_infinite_walls_leave_the_box_alone(seed):
    rng = np.random.default_rng(seed)
    low, high = -rng.uniform(0.2, 0.9), rng.uniform(0.2, 0.9)
    for V in (fp.Potential(lambda x: np.where((x > low) & (x < high), 0.0, np.inf)),
              fp.Potential(lambda x: np.where((x > low) & (x < high), 0.0, 1e7))):
        S = fp.FokkerPlanck(V, 0.5, fp.Grid([(-1, 1)], 60)).spectrum(3)
        for i, estimate in enumerate(list(S)[1:]):
            kept(estimate, 0.5 * ((i + 1) * math.pi / (high - low))**2, 1e-9, 1e-9)


# ----------------------------------------------------------------------------------------------------------
# down slopes to the noise-free limit
@pytest.mark.parametrize("theta", [1e-2, 1e-3, 1e-4, 1e-6, 1e-8])
def test_a_drift_without_noise_takes_the_time_of_the_flow(theta):
    D = line("(x - 20)**2/2", theta, -1, 15, n=200)
    T = D.mfpt(fp.HalfSpace([1], 15.0)).at([0.0])
    # the next term of the expansion in theta: theta/2 (1/20^2 - 1/5^2)
    truth = math.log(4) + theta / 2 * (1 / 400 - 1 / 25)
    assert abs(float(T) - truth) <= T.error + 2 * theta**2 and T.error < 1e-5


@pytest.mark.parametrize("theta", [1e-3, 3e-4])
def test_beside_the_wall_that_a_slope_starts_from_the_layer_is_resolved(theta):
    # f = -s x, exactly: T = (b - x)/s - theta/s^2 (exp(-s x/theta) - exp(-s b/theta))
    s, b = 700.0, 1.0
    D = line(f"-{s}*x", theta, 0, 1, n=50)
    tau = D.mfpt(ONE)
    for x in (0.0, theta / s, 20 * theta / s, 0.3, 1 - theta / s):
        truth = (b - x) / s - theta / s**2 * math.exp(-s * x / theta)
        kept(tau.at([x]), truth, 1e-7)
    v = D.mfpt_variance(ONE).at([0.4])
    kept(v, 2 * theta * 0.6 / s**3, 1e-5)


@pytest.mark.parametrize("theta", [1e-4, 1e-6])
def test_a_start_on_a_hilltop_leaves_in_logarithmic_time(theta):
    # (log(2/theta) + Euler's constant)/2 with remainders of order theta
    D = line("-x**2/2", theta, -1, 1, n=200)
    out = fp.HalfSpace([1], 1.0) | fp.HalfSpace([-1], 1.0)
    T = D.mfpt(out).at([0.0])
    assert abs(float(T) - 0.5 * (math.log(2 / theta) + np.euler_gamma)) < 2 * theta + T.error and T.error < 1e-6
    q = D.committor(fp.HalfSpace([-1], 1.0), ONE).at([math.sqrt(theta)])
    kept(q, 0.5 * (1 + math.erf(math.sqrt(0.5))), 1e-7)


@pytest.mark.parametrize("seed", range(10))
def test_slopes_that_both_kinds_of_panels_can_follow_take_the_same_time(seed):
    """A temperature at which short panels still do, and the same f with steep ones."""
    from fpkit.fokker_planck.one_dimension.passage import mean_time
    from fpkit.fokker_planck.one_dimension.pieces import marked
    rng = np.random.default_rng(seed)
    a, b, c, w = rng.uniform(0.5, 2), rng.uniform(-1, 1), rng.uniform(0.2, 1), rng.uniform(2, 5)
    D = line(f"{a}*x**2 + {b}*x + {c}*sin({w}*x)", 10.0 ** rng.uniform(-4, -2), -2, 3, n=100)
    target = fp.HalfSpace([1], rng.uniform(0.3, 1.5)) if seed % 2 else fp.HalfSpace([-1], rng.uniform(0.3, 1.5))
    x = np.linspace(-1.99, 2.99, 40)
    short, steep = (marked(D, {"target": target}, is_steep)[0].pieces[0] for is_steep in (False, True))
    assert len(steep.panels) < len(short.panels)
    x = x[(x > short.panels.edges[0]) & (x < short.panels.edges[-1])]
    assert np.abs(mean_time(short)(x) - mean_time(steep)(x)).max() < 1e-7
