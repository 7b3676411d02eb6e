"""One dimension: equations with any drift and noise are exact on intervals, tilted rings by their
formulas."""
import numpy as np
import pytest

import fpkit as fp

X, W = np.polynomial.legendre.leggauss(20)
# what is taken from b, as a multiple of D', to make the current of each convention
SHARES = {"ito": 1.0, "stratonovich": 0.5, "isothermal": 0.0}


def integral(g, low, high, n=16):
    """int g by Gauss points on n panels."""
    edges = np.linspace(low, high, n + 1)
    x = (edges[:-1, None] + np.diff(edges)[:, None] * (X + 1) / 2).ravel()
    return float(np.tile(W, n) @ np.vectorize(g)(x)) * (high - low) / (2 * n)


@pytest.mark.parametrize("convention", SHARES)
def test_an_equation_on_an_interval_is_answered_by_quadrature(convention):
    F = fp.FokkerPlanck(fp.Diffusion.from_sde("-2*x + sin(3*x)", "1 + x**2/2", convention),
                        grid=fp.Grid([(-2, 2)], 40))
    D = lambda x: 1 + x * x / 2
    slope = lambda y: -(-2 * y + np.sin(3 * y) - SHARES[convention] * y) / D(y)
    phi = lambda x: integral(slope, 0.0, x, 2)
    Z = integral(lambda x: np.exp(-phi(x)), -2, 2)
    state = F.stationary()
    for k in (0, 13, 39):
        x = F.grid.centres[0][k]
        assert abs(state.log_density.values[k] - (-phi(x) - np.log(Z))) < 1e-12
    tau = F.mfpt(fp.HalfSpace([1], 1.0)).at([-1.0])
    below = lambda y: integral(lambda z: np.exp(-phi(z)), -2, y, 3)
    exact = integral(lambda y: np.exp(phi(y)) / D(y) * below(y), -1, 1, 3)
    assert tau.error < 1e-10 * tau and tau == pytest.approx(exact, rel=1e-11)
    assert state.is_gibbs and state.entropy_production == 0 and state.velocity[0] == 0


def test_an_equation_on_an_interval_evolves_and_has_a_spectrum():
    """The Ornstein-Uhlenbeck process as an equation is the one in a parabola."""
    grid = fp.Grid([(-6, 6)], 80)
    one = fp.FokkerPlanck(fp.Diffusion.from_sde("-x", 1.0), grid=grid)
    two = fp.FokkerPlanck(fp.Potential("x**2/2"), 1.0, grid)
    for a, b in zip(one.spectrum(3).eigenvalues, two.spectrum(3).eigenvalues):
        assert a == pytest.approx(b, rel=1e-11)
    u, v = (D.evolve(([1.0], 0.3), [0.2, 5.0]).densities for D in (one, two))
    assert np.abs(u - v).max() < 1e-10


@pytest.mark.parametrize("theta", [0.5, 0.1, 0.02])
def test_a_tilted_ring_has_stratonovichs_velocity_however_tiny(theta):
    """The current of 2e-20 is far below the rounding of the traffic."""
    ring = fp.Grid([(0, 2 * np.pi)], (32,), periodic=True)
    D = fp.FokkerPlanck(fp.Potential("cos(x)"), theta, ring, force=[0.4])
    state = D.stationary()
    f, L = (lambda x: (np.cos(x) - 0.4 * x) / theta), 2 * np.pi
    edges = np.linspace(0, L, 65)
    steps = (edges[:-1, None] + np.diff(edges)[:, None] * (X + 1) / 2).ravel()
    inner = lambda x: float(np.tile(W, 64) @ np.exp(f(x + steps) - f(x))) * L / 128
    norm = L / 200 * sum(inner(L * k / 200) for k in range(200))              # a periodic function: spectral
    v = L * theta * -np.expm1(-0.4 * L / theta) / norm
    logs = np.array([np.log(inner(x) / norm) for x in ring.centres[0][::8]])
    assert float(D.velocity()) == pytest.approx(v, rel=1e-9)
    assert float(state.velocity[0]) == float(D.velocity())
    assert state.entropy_production == pytest.approx(0.4 * v / theta, rel=1e-9)
    assert state.current.flow.min() == pytest.approx(-v / (2 * np.pi), rel=1e-9)
    assert np.abs(state.log_density.values[::8] - logs).max() < 1e-4
    assert (np.abs(state.log_density.values[::8] - logs) <= state.log_density.error[::8] + 1e-12).all()


def test_a_force_without_work_around_the_ring_is_a_potential():
    ring = fp.Grid([(0, 2 * np.pi)], (40,), periodic=True)
    D = fp.FokkerPlanck(fp.Potential("cos(x)"), 0.3, ring, force="0.5*cos(2*x)")
    twin = fp.FokkerPlanck(fp.Potential("cos(x) - 0.25*sin(2*x)"), 0.3, ring)
    assert np.abs(D.stationary().density.values - twin.gibbs.values).max() < 1e-13
    A, B = fp.Ball([1.0], 0.2), fp.Ball([4.0], 0.3)
    assert float(D.rate(A, B)) == pytest.approx(float(twin.rate(A, B)), rel=1e-12)
    assert D.velocity() == 0


def test_a_force_changes_the_verdict_on_gibbs_even_where_it_is_a_potential():
    state = fp.FokkerPlanck(fp.Potential("x**2"), 0.3, fp.Grid([(-2, 2)], 20), force="1").stationary()
    assert not state.is_gibbs and "int F" in str(state.is_gibbs)
    assert fp.FokkerPlanck(fp.Potential("x**2"), 0.3, fp.Grid([(-2, 2)], 20)).stationary().is_gibbs
