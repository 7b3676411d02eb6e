"""Klein-Kramers beside another basis, closed forms of the oscillator, half-space theory, and paths."""
import numpy as np
import pytest
from scipy.linalg import expm
from scipy.sparse import bmat, csc_matrix, identity
from scipy.sparse.linalg import eigs
from scipy.special import zeta

import fpkit as fp
from fpkit.fokker_planck.phase_space.ladder import slow_gap
from fpkit.fokker_planck.phase_space.passage import stationary_flux
from fpkit.fokker_planck.phase_space.positions import staggered
from fpkit.fokker_planck.phase_space.stepping import Steps
from fpkit.fokker_planck.phase_space.velocity import half_line


def oscillator_gap(coefficients, theta, friction, n_x, n_v, scale):
    """Smallest nonzero eigenvalue of -L for a polynomial f (lowest coefficient first), in oscillator
    functions of x times Hermite functions of v: another basis, on the whole line."""
    m = n_x + 12
    a = np.diag(np.sqrt(np.arange(1, m)), 1)
    X, slope, power = scale * (a + a.T) / np.sqrt(2), 0, np.eye(m)
    for k, c in enumerate(np.polynomial.polynomial.polyder(coefficients)):
        power = power @ X if k else power
        slope = slope + c * power
    A = np.sqrt(theta) * (a - a.T) / (scale * np.sqrt(2)) + slope / (2 * np.sqrt(theta))
    A = csc_matrix(A[:n_x, :n_x])
    rows = [[None] * n_v for _ in range(n_v)]
    for n in range(n_v):
        rows[n][n] = friction * n * identity(n_x)
        if n + 1 < n_v:
            rows[n + 1][n], rows[n][n + 1] = np.sqrt(n + 1) * A, -np.sqrt(n + 1) * A.T
    w = eigs(bmat(rows, format="csc"), k=4, sigma=-1e-3 * min(friction, 1 / friction),
             v0=np.ones(n_x * n_v), return_eigenvectors=False)
    return np.sort(w.real[np.argsort(abs(w))])[1]


@pytest.mark.parametrize("friction", [4.0, 100.0, *(pytest.param(g, marks=pytest.mark.slow)
                                                    for g in (0.2, 0.5, 1.0, 20.0))])
def test_gap_agrees_with_another_basis_within_its_error(friction):
    K = fp.KleinKramers(fp.catalogue.double_well(), 0.2, friction, fp.Grid([(-2.1, 2.1)], shape=64))
    gap = K.gap()
    truth = oscillator_gap([1, 0, -2, 0, 1], 0.2, friction, 110, 128 if friction < 0.5 else 48, 0.4)
    assert abs(gap - truth) <= gap.error + 2e-6 * truth
    assert gap.error < 2e-3 * gap


@pytest.mark.slow
def test_gap_at_the_weakest_friction_keeps_its_error():
    K = fp.KleinKramers(fp.catalogue.double_well(), 0.2, 0.05, fp.Grid([(-2.1, 2.1)], shape=128))
    gap = K.gap()
    truth = oscillator_gap([1, 0, -2, 0, 1], 0.2, 0.05, 110, 400, 0.5)
    assert abs(gap - truth) <= gap.error + 1e-5 * truth
    assert gap.error < 2e-2 * gap


@pytest.mark.parametrize("seed", [2, 3, pytest.param(1, marks=pytest.mark.slow)])
def test_gap_of_random_quartics_agrees_with_another_basis(seed):
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(0.5, 1.5), rng.uniform(-0.3, 0.3), rng.uniform(-2, 0.5)
    theta, friction = rng.uniform(0.2, 0.5), 10 ** rng.uniform(-0.3, 1)
    V = fp.Potential("a*x**4 + b*x**3 + c*x**2", a=a, b=b, c=c)
    gap = fp.KleinKramers(V, theta, friction, fp.Grid([(-3, 3)], shape=96)).gap()
    truth = oscillator_gap([0, 0, c, b, a], theta, friction, 70, 48, 0.5)
    assert abs(gap - truth) <= gap.error + 1e-6 * truth


@pytest.mark.parametrize("friction", [1.0, *(pytest.param(g, marks=pytest.mark.slow) for g in (0.3, 5.0))])
def test_oscillator_has_its_exact_eigenvalues(friction):
    K = fp.KleinKramers(fp.Potential("0.8*x**2"), 0.2, friction, fp.Grid([(-3.5, 3.5)], shape=140))
    roots = np.roots([1, -friction, 1.6])
    exact = np.sort([roots[np.argmin(abs(roots.real))].real])[0]
    gap = K.gap()
    assert abs(gap - exact) <= gap.error
    assert gap.error < 1e-5
    assert abs(abs(gap.inputs["eigenvalue"].imag) - abs(roots[0].imag)) < 1e-5
    assert np.min(abs(K.eigenvalues(4) - roots[np.argmin(abs(roots.real))])) < 0.01


@pytest.mark.parametrize("seed", [5, 6])
def test_gaussian_starts_in_an_oscillator_stay_gaussian(seed):
    rng = np.random.default_rng(seed)
    k, g, theta = rng.uniform(0.5, 2), rng.uniform(0.2, 4), rng.uniform(0.3, 0.8)
    mean, std = rng.uniform(-0.6, 0.6, 2), rng.uniform(0.5, 0.8, 2) * np.sqrt(theta)
    span = 6 * np.sqrt(theta / k) + 1
    grid = fp.Grid([(-span, span)], shape=128)
    K = fp.KleinKramers(fp.Potential("k*x**2/2", k=k), theta, g, grid, modes=32)
    run = K.evolve((mean, std), [0.0, 0.4, 1.5, 6.0])
    M, S = np.array([[0, 1], [-k, -g]]), np.diag([theta / k, theta])
    x, cells = K.phase_grid.points, K.phase_grid.volumes
    for i, t in enumerate(run.times):
        E = expm(M * t)
        m, C = E @ mean, E @ (np.diag(std ** 2) - S) @ E.T + S
        d = x - m
        exact = np.exp(-np.einsum("...i,ij,...j", d, np.linalg.inv(C), d) / 2) / np.sqrt(
            np.linalg.det(2 * np.pi * C))
        assert np.abs((run.densities[i] - exact) * cells).sum() <= run.error[i] + 2e-3   # point values
        P = run.probabilities(i)
        found = np.einsum("ij,ijk->k", P, x)
        assert abs(found - m).max() < 5e-3
        spread = np.einsum("ij,ijk,ijl->kl", P, x, x) - np.outer(found, found)
        assert abs(spread - C).max() < 0.02 * abs(C).max()
    assert abs(run.mass - 1).max() < 1e-10
    assert run.error.max() < 0.06


def test_start_forms_agree_and_equilibrium_stays():
    V = fp.Potential("(x**2 - 1)**2/2 + 0.2*x")
    K = fp.KleinKramers(V, 0.4, 0.7, fp.Grid([(-2.5, 2.5)], shape=64), modes=32)
    still = K.evolve(K.gibbs, [0.5, 1e6])
    assert still.distance.max() < 1e-6
    mean, std = (0.5, 0.3), (0.4, 0.5)
    normal = lambda x, v: np.exp(-((x - 0.5) / 0.4) ** 2 / 2 - ((v - 0.3) / 0.5) ** 2 / 2)
    a, b = (K.evolve(u0, [0.7]).densities[0] for u0 in ((mean, std), normal))
    assert (np.abs(a - b) * K.phase_grid.volumes).sum() < 0.01
    late = K.evolve([0.8, -0.4], [1.0, 500.0])
    assert late.distance[0] > 0.2
    assert late.distance[1] < 1e-4
    assert (np.diff(late.free_energy) < 0).all()


def test_strong_friction_gives_the_chain_of_the_overdamped_diffusion():
    V, grid = fp.Potential("(x**2 - 1)**2 + 0.2*x"), fp.Grid([(-2, 2)], shape=80)
    D, g = fp.FokkerPlanck(V, 0.25, grid), 3e3
    K = fp.KleinKramers(V, 0.25, g, grid)
    assert abs(g * K.gap() / D.spectrum(2)[1] - 1) < 1e-4
    A, B = fp.HalfSpace([-1], 0.8), fp.HalfSpace([1], 0.8)
    k = K.rate(A, B)
    # the Milne problem moves either boundary by 1.46 sqrt(theta)/g
    assert abs(g * k / D.rate(A, B) - 1) < 5e-3
    assert k.error < 1e-3 * k


def test_tiny_gaps_keep_their_digits():
    # barriers of 40 and 80 theta: Kramers' formula holds up to O(theta), and the two slopes agree
    V, grid = fp.catalogue.double_well(), fp.Grid([(-1.7, 1.7)], shape=128)
    for theta in (0.025, 0.0125):
        K = fp.KleinKramers(V, theta, 2.0, grid)
        gap = K.gap()
        kramers = 2 * (np.sqrt(1 + 4) - 1) / 2 * np.sqrt(8) / (2 * np.pi) * np.exp(-1 / theta)
        assert abs(gap / kramers - 1) < 2 * theta + gap.error / gap
        assert gap.error < 0.05 * gap
    pair = staggered(fp.FokkerPlanck(V, 0.002, fp.Grid([(-1.5, 1.5)], shape=300))).pair
    slow = slow_gap(pair, 2.0, 16)                             # 1e-217
    assert abs(np.log(slow) - np.log(2 * (np.sqrt(5) - 1) / 2 * np.sqrt(8) / (2 * np.pi)) + 1 / 0.002) < 0.2
    lost = fp.KleinKramers(V, 0.0015, 2.0, grid).gap()
    assert np.isnan(lost.value) and "raise theta" in lost.status


def test_half_space_problem_gives_the_length_of_milne():
    """A slab without a force between absorbing walls resists like one longer by 2 |zeta(1/2)| mean free
    paths: Marshall and Watson, J. Phys. A 18, 3531 (1985)."""
    length, friction, theta = 30.0, 1.3, 0.7
    log_flux, _ = stationary_flux(lambda x: 0 * x, theta, friction, 0.0, length, 400, 32)
    extra = theta / friction / np.exp(log_flux) - length
    assert abs(extra / 2 / (np.sqrt(theta) / friction) + zeta(0.5)) < 2e-4


def test_half_line_polynomials_know_parity_and_partial_integration():
    b = half_line(7)
    # int (e o)' w = int y e o w, since o(0) = 0; constants have no slope
    assert abs(b.P[:, 0]).max() < 1e-12
    assert abs(b.K_even[0]).max() < 1e-12
    assert np.linalg.eigvalsh(b.flux).min() > 0
    assert abs(b.Q[0, 0] - b.flux[0, 0] / np.sqrt(1)) > 0        # odd functions are no even ones


def transitions(V, theta, friction, a, b, dt, n_steps, n_paths, seed):
    """Transitions from x <= a to x >= b per unit time spent coming from there, by BAOAB in NumPy."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2.5, 2.5, 40 * n_paths)                     # starts in equilibrium, by rejection
    x = x[rng.random(x.size) < np.exp(-(x * x - 1) ** 2 / theta)][:n_paths]
    v = np.sqrt(theta) * rng.normal(size=n_paths)
    decay = np.exp(-friction * dt)
    force = lambda x: -4 * x * (x * x - 1)
    state, F = np.where(x <= a, 0, np.where(x >= b, 1, -1)), force(x)
    count, spent = np.zeros(n_paths), np.zeros(n_paths)
    for _ in range(n_steps):
        v += dt / 2 * F
        x += dt / 2 * v
        v = decay * v + np.sqrt(theta * (1 - decay * decay)) * rng.normal(size=n_paths)
        x += dt / 2 * v
        F = force(x)
        v += dt / 2 * F
        met_b = (x >= b) & (state == 0)
        spent += dt * (state == 0)
        count += met_b
        state = np.where(x >= b, 1, np.where(x <= a, 0, state))
    rates = count.sum() / spent.sum()
    return rates, (count - rates * spent).std() * np.sqrt(n_paths) / spent.sum()


@pytest.mark.parametrize("friction", [0.1, pytest.param(1.0, marks=pytest.mark.slow), 8.0])
def test_rate_counts_the_transitions_of_paths(friction):
    theta, a, b = 0.4, -0.8, 0.6
    K = fp.KleinKramers(fp.catalogue.double_well(), theta, friction, fp.Grid([(-2.4, 2.4)], shape=96))
    k = K.rate(fp.HalfSpace([-1], -a), fp.HalfSpace([1], b))
    found, error = transitions(None, theta, friction, a, b, 0.01, 8000, 1500, 4)
    assert abs(found - k) < 3.5 * error + k.error + 0.01 * k            # dt: crossings inside a step
    assert error < 0.06 * k and k.error < 1e-3 * k


def test_mirrored_and_enclosed_regions_give_the_same_rate():
    V = fp.Potential("(x**2 - 1)**2")
    K = fp.KleinKramers(V, 0.3, 0.8, fp.Grid([(-2, 2)], shape=64))
    left, right = fp.HalfSpace([-1], 0.7), fp.HalfSpace([1], 0.7)
    assert abs(K.rate(left, right) / K.rate(right, left) - 1) < 1e-6
    # a ring of two equal barriers has twice the flux of one
    ring = fp.KleinKramers(fp.Potential("-cos(2*x)"), 0.4, 1.0,
                           fp.Grid([(-np.pi / 2, 3 * np.pi / 2)], shape=64, periodic=True))
    A, B = fp.Ball([0.0], 0.4), fp.Ball([np.pi], 0.4)
    line = fp.KleinKramers(fp.Potential("-cos(2*x)"), 0.4, 1.0, fp.Grid([(0, np.pi)], shape=32))
    one = line.rate(fp.HalfSpace([-1], -0.4), fp.HalfSpace([1], np.pi - 0.4))
    both = ring.rate(A, B)
    assert abs(both / (2 * one) - 1) < 2e-3 or abs(both / one - 1) < 2e-3
    gap = ring.gap()
    assert gap.error < 1e-4 * gap


def test_pade_steps_are_of_ninth_order_and_keep_stationary_states():
    rng = np.random.default_rng(3)
    A = rng.normal(size=(6, 6)) / 4
    L = csc_matrix(A @ A.T / 6 + 3 * (A - A.T))                 # decay and rotation
    c, exact = rng.normal(size=6), None
    exact = expm(-0.8 * L.toarray()) @ c
    errors = [np.linalg.norm(Steps(L).advance(c, 0.8, n) - exact) for n in (1, 2, 4)]
    assert np.log2(errors[0] / errors[1]) > 7 or errors[1] < 1e-12
    assert errors[2] < 1e-9
    singular = csc_matrix(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert abs(Steps(singular).advance(np.array([1.0, 1.0]), 1e6, 3) - 1).max() < 1e-9


def test_weak_friction_and_bad_arguments_are_refused_in_a_sentence():
    V, grid = fp.catalogue.double_well(), fp.Grid([(-2, 2)], shape=40)
    with pytest.raises(ValueError, match="friction 0.01 is below 0.05"):
        fp.KleinKramers(V, 0.2, 0.01, grid)
    with pytest.raises(ValueError, match="one coordinate"):
        fp.KleinKramers(fp.Potential("x**2 + y**2"), 0.2, 1.0, fp.Grid([(-1, 1)] * 2, shape=(8, 8)))
    with pytest.raises(ValueError, match="modes must be even"):
        fp.KleinKramers(V, 0.2, 1.0, grid, modes=33)
    with pytest.raises(ValueError, match="friction must be positive"):
        fp.KleinKramers(V, 0.2, -1.0, grid)
    K = fp.KleinKramers(V, 0.2, 1.0, grid)
    with pytest.raises(ValueError, match="outside -2 to 2"):
        K.evolve([3.0, 0.0], [1.0])
    with pytest.raises(ValueError, match="u0 must be a point"):
        K.evolve(np.ones(5), [1.0])
    with pytest.raises(ValueError, match="ascending"):
        K.evolve([0.0, 0.0], [2.0, 1.0])
    with pytest.raises(ValueError, match="touch|overlap"):
        K.rate(fp.HalfSpace([-1], 0.0), fp.HalfSpace([1], 0.0))
