"""Paths with forces, drifts and diffusion matrices of their own, beside closed forms and plain references."""
import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov

import fpkit as fp


def linear(K):
    """The text of the drift -K x in the plane."""
    return "({}*x + {}*y, {}*x + {}*y)".format(*(-K).ravel().tolist()).replace("+ -", "- ")


def euler_covariance(K, D, dt):
    """Stationary covariance of Euler-Maruyama for dX = -K X dt + sqrt(2 D) dW: Lyapunov's equation."""
    return solve_discrete_lyapunov(np.eye(len(K)) - dt * K, 2 * dt * D)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rotation_and_two_temperatures_give_the_covariance_of_lyapunov(seed):
    rng = np.random.default_rng(seed)
    K = np.array([[1.0, 0], [0, 1.5]]) + rng.uniform(-0.8, 0.8, (2, 2))
    A = rng.normal(size=(2, 2))
    D = A @ A.T / 4 + np.diag([0.2, 0.6]) if seed > 1 else np.diag(rng.uniform(0.2, 1.0, 2))
    X, dt, n = fp.Diffusion.from_sde(linear(K), D), 0.05, 40_000
    run = fp.simulate(X, x0=[0.0, 0.0], dt=dt, n_steps=400, n_paths=n, seed=seed)
    exact = euler_covariance(K, D, dt)
    found = np.cov(run.x.T)
    size = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert (abs(found - exact) < 4.5 * np.sqrt(2 / n) * size).all()
    assert (abs(run.x.mean(0)) < 4.5 * np.sqrt(np.diag(exact) / n)).all()


def test_a_force_on_a_potential_is_the_same_equation():
    V = fp.Potential("x**2/2 + y**2/2")
    forced = fp.simulate(V, 0.3, [1.0, 0.0], 0.01, 300, 64, force="(0.7*y, -0.7*x)", precision="double")
    X = fp.Diffusion.from_sde("(-x + 0.7*y, -y - 0.7*x)", 0.3)
    given = fp.simulate(X, x0=[1.0, 0.0], dt=0.01, n_steps=300, n_paths=64, precision="double")
    assert abs(forced.x - given.x).max() < 1e-9
    process = fp.Diffusion(V, 0.3, force="(0.7*y, -0.7*x)")
    again = fp.simulate(process, x0=[1.0, 0.0], dt=0.01, n_steps=300, n_paths=64, precision="double")
    assert np.array_equal(forced.x, again.x)
    black = fp.simulate(V, 0.3, [1.0, 0.0], 0.01, 300, 64,
                        force=lambda p: 0.7 * np.stack([p[..., 1], -p[..., 0]], axis=-1))
    assert abs(forced.x - black.x).max() < 1e-5


@pytest.mark.parametrize("scheme", ["euler-maruyama", "leimkuhler-matthews", "heun", "baoab"])
def test_a_force_that_is_a_gradient_gives_the_paths_of_the_sum(scheme):
    V, U = fp.Potential("(x**2 - 1)**2 + y**2"), fp.Potential("(x**2 - 1)**2 + y**2 + 0.3*x + 0.1*x*y**2")
    rest = dict(theta=0.2, x0=[-1.0, 0.2], dt=0.01, n_steps=200, n_paths=40, scheme=scheme,
                precision="double", friction=1.0 if scheme == "baoab" else None,
                walls=[(-2, 2), (-1, 1)] if scheme == "heun" else None)
    a = fp.simulate(U, **rest)
    b = fp.simulate(V, **rest, force="(-0.3 - 0.1*y**2, -0.2*x*y)")
    assert abs(a.x - b.x).max() < 1e-8


def test_no_force_changes_no_bit():
    V = fp.catalogue.mueller_brown()
    rest = dict(x0=[-0.5, 1.4], dt=1e-4, n_steps=300, n_paths=96, seed=5)
    a = fp.simulate(V, 10.0, **rest)
    b = fp.simulate(fp.Diffusion(V, 10.0), **rest)
    assert np.array_equal(a.x, b.x)
    c = fp.simulate(V, 10.0, **rest, mobility=[1.0, 0.5])
    d = fp.simulate(fp.Diffusion(V, 10.0, [1.0, 0.5]), **rest)
    assert np.array_equal(c.x, d.x)


def test_tilted_ring_has_the_velocity_of_stratonovich():
    V, theta, F, n, t = fp.Potential("cos(x)"), 0.5, 0.8, 3000, 40.0
    ring = fp.Grid([(0, 2 * np.pi)], shape=40, periodic=True)
    exact = fp.FokkerPlanck(V, theta, ring).velocity(force=F)
    begun = fp.simulate(V, theta, [1.0], 0.01, 2000, n, walls=ring, force=str(F), seed=3)
    run = fp.simulate(V, theta, begun.x, 0.01, 4000, n, walls=ring, force=str(F), seed=4)
    travelled = run.unwrapped[:, 0] - begun.x[:, 0]
    error = travelled.std() / np.sqrt(n) / t
    assert abs(travelled.mean() / t - exact) < 4 * error + 0.01 * exact
    assert error < 0.05 * exact


@pytest.mark.parametrize("convention, share", [("ito", 0.0), ("stratonovich", 0.5), ("isothermal", 1.0)])
def test_multiplicative_noise_has_the_mean_of_its_convention(convention, share):
    rng = np.random.default_rng(8)
    k, a, c, dt, n = rng.uniform(0.5, 1.5), rng.uniform(0.1, 0.3), rng.uniform(0.2, 0.5), 0.01, 60_000
    X = fp.Diffusion.from_sde(f"-{k!r}*x", f"{c!r} + {a!r}*x**2", convention)
    run = fp.simulate(X, x0=[1.0], dt=dt, n_steps=80, n_paths=n, seed=4)
    slope = -k + share * 2 * a                                  # b + share D'
    exact = (1 + dt * slope) ** 80                              # of Euler's scheme, to the bit
    assert abs(run.x.mean() - exact) < 4.5 * run.x.std() / np.sqrt(n)
    other = (1 + dt * (slope + a)) ** 80
    assert abs(exact - other) > 9 * run.x.std() / np.sqrt(n)    # the conventions can be told apart
    plain = fp.Diffusion.from_sde(lambda p: -k * p, lambda p: c + a * p[:, 0] ** 2, convention, ndim=1)
    slow = fp.simulate(plain, x0=[1.0], dt=dt, n_steps=80, n_paths=50, seed=4)
    assert abs(slow.x - run.x[:50]).max() < 1e-5


@pytest.mark.parametrize("convention, share", [("ito", 0.0), ("stratonovich", 0.5), ("isothermal", 1.0)])
def test_multiplicative_noise_has_the_stationary_law_of_its_convention(convention, share):
    """p = exp(int b/D) D^(share - 1), by quadrature."""
    b, D = (lambda x: -x - 0.5 * x ** 3), (lambda x: 0.4 + 0.3 * np.cos(x))
    x = np.linspace(-5, 5, 20_001)
    steps = (b(x) / D(x))[1:] + (b(x) / D(x))[:-1]
    p = np.exp(np.concatenate([[0], np.cumsum(steps) * 0.5 * (x[1] - x[0])])) * D(x) ** (share - 1)
    p /= p.sum()
    X = fp.Diffusion.from_sde("-x - 0.5*x**3", "0.4 + 0.3*cos(x)", convention)
    S = fp.sample(X, x0=[0.0], dt=0.01, n_steps=3000, n_paths=600, seed=2,
                  observables={"square": lambda x: x[:, 0] ** 2}, extrapolate=True)
    exact = p @ x ** 2
    assert abs(S.observables["square"] - exact) < S.observables["square"].error
    assert S.observables["square"].error < 0.1 * exact


def test_full_matrices_that_turn_with_the_place_run_compiled_as_in_numpy():

    def matrix(p):
        x, y = p[..., 0], p[..., 1]
        off = 0.15 * np.sin(x + y)
        rows = [[0.4 + 0.1 * x**2, off], [off, 0.3 + 0.1 * np.cos(y)]]
        return np.stack([np.stack(row, -1) for row in rows], -2)
    nested = [["0.4 + 0.1*x**2", "0.15*sin(x + y)"], ["0.15*sin(x + y)", "0.3 + 0.1*cos(y)"]]
    X = fp.Diffusion.from_sde("(-x + y, -y)", nested, "isothermal")
    b = lambda p: np.stack([-p[:, 0] + p[:, 1], -p[:, 1]], -1)
    Y = fp.Diffusion.from_sde(b, matrix, "isothermal", ndim=2)
    rest = dict(x0=[0.3, -0.2], dt=0.01, n_steps=150, n_paths=70, seed=9)
    a, b = fp.simulate(X, **rest), fp.simulate(Y, **rest)
    assert abs(a.x - b.x).max() < 1e-4
    # the noise has the covariance 2 D dt
    one = fp.simulate(X, x0=[0.3, -0.2], dt=1e-3, n_steps=1, n_paths=40_000, seed=1)
    found, exact = np.cov(one.x.T) / 2e-3, matrix(np.array([0.3, -0.2]))
    assert abs(found - exact).max() < 4.5 * np.sqrt(2 / 40_000) * exact.max()


def test_a_direction_without_noise_is_followed_exactly():
    """dq = p dt, dp = (-q - g p) dt + sqrt(2 g theta) dW: the diffusion matrix has no rank."""
    g, theta, dt, n = 0.8, 0.5, 0.02, 30_000
    X = fp.Diffusion.from_sde("(y, -x - 0.8*y)", [[0.0, 0.0], [0.0, g * theta]])
    run = fp.simulate(X, x0=[1.0, 0.0], dt=dt, n_steps=800, n_paths=n, seed=6)
    exact = euler_covariance(np.array([[0, -1], [1, g]]), np.diag([0, g * theta]), dt)
    assert (abs(np.cov(run.x.T) - exact) < 4.5 * np.sqrt(2 / n) * np.trace(exact) / 2).all()
    one = fp.simulate(X, x0=[1.0, 0.5], dt=dt, n_steps=1, n_paths=200)
    assert np.ptp(one.x[:, 0]) == 0
    assert one.x[0, 0] == 1.0 + dt * 0.5
    tau = fp.exit_time(X, x0=[0.0, 0.0], target=fp.HalfSpace([1, 0], 1.2), dt=0.02, n_paths=400, seed=2)
    assert tau.hits == 400 and 2 < tau < 60


@pytest.mark.parametrize("seed", [1, 2])
def test_drift_diffusion_arrives_in_closed_form(seed):
    """Mean L/v and variance 2 D L/v^3 of the inverse Gaussian law: exact at any dt, thanks to the bridge."""
    rng = np.random.default_rng(seed)
    v, D, L = rng.uniform(0.5, 1.5), rng.uniform(0.2, 0.6), rng.uniform(0.7, 1.5)
    n, target = 6000, fp.HalfSpace([1], L)
    rest = dict(x0=[0.0], target=target, dt=0.05, n_paths=n, seed=seed)
    for tau in (fp.exit_time(fp.Potential("0*x"), D, force=str(v), **rest),
                fp.exit_time(fp.Diffusion.from_sde(str(v), D, ndim=1), **rest)):
        assert abs(tau - L / v) < 4.5 * np.sqrt(2 * D * L / v**3 / n)
        assert tau.error < 0.1 * tau
        variance = 2 * D * L / v ** 3
        assert abs(np.var(tau.times) / variance - 1) < 0.35
    # with a diffusion matrix that is a formula the steps run in NumPy
    slow = fp.exit_time(fp.Diffusion.from_sde(str(v), f"{D!r} + 0*x", "ito", ndim=1), x0=[0.0], target=target,
                        dt=0.05, n_paths=600, seed=seed)
    assert abs(slow - L / v) < 4.5 * np.sqrt(2 * D * L / v**3 / 600)


def test_fleming_viot_and_splitting_know_a_drift():
    # (0, 1) with a drift v: lambda = theta pi^2 + v^2/(4 theta)
    ends = {"left": fp.HalfSpace([-1], 0), "right": fp.HalfSpace([1], 1)}
    k = fp.fleming_viot(fp.Potential("0*x"), 0.5, ends, [0.3], dt=1e-3, n_walkers=200, t=2.0, force="1.5")
    assert abs(k - (0.5 * np.pi ** 2 + 1.5 ** 2 / 2)) < k.error
    # a force that is a gradient moves what the potential moves
    A, B = fp.HalfSpace([-1], 0.9), fp.HalfSpace([1], 0.9)
    V, U = fp.Potential("(x**2 - 1)**2"), fp.Potential("(x**2 - 1)**2 - 0.1*x")
    rest = (0.15, A, B, 0.01, 60, 6)
    a = fp.multilevel_splitting(V, *rest, x0=[-1.0], force="0.1")
    b = fp.multilevel_splitting(U, *rest, x0=[-1.0])
    assert abs(a - b) < 1e-6 * b


def test_forces_may_depend_on_the_time():
    V, n = fp.Potential("x**2/2"), 20_000
    run = fp.simulate(V, 0.1, [0.0], 0.01, 300, n, force="cos(2*t)", seed=3, save_every=100)
    m, means = 0.0, []
    for k in range(300):
        m += 0.01 * (-m + np.cos(2 * 0.01 * k))
        if (k + 1) % 100 == 0:
            means.append(m)
    assert (abs(run.paths[:, 1:, 0].mean(0) - means) < 4.5 * np.sqrt(0.1 / n)).all()


def test_level_set_rotations_keep_the_gibbs_law():
    V = fp.Potential("x**2/2 + y**2/2 + x**2*y**2/4")
    S = fp.sample(V, 0.5, [0.5, 0.0], 0.02, 4000, 400, force=fp.Rotation("1.5*(x**2 + y**2)*0 + 0.8"), seed=2,
                  extrapolate=True, observables={"x2": lambda p: p[:, 0] ** 2})
    D = fp.FokkerPlanck(V, 0.5, fp.Grid([(-4.5, 4.5)] * 2, shape=(90, 90)))
    exact = float((D.gibbs.values * D.grid.volumes * D.grid.points[..., 0] ** 2).sum())
    assert abs(S.observables["x2"] - exact) < S.observables["x2"].error + 1e-3


def test_a_checkpoint_knows_its_force(tmp_path):
    V, path = fp.Potential("x**2/2 + y**2/2"), tmp_path / "run.h5"
    rest = dict(theta=0.3, x0=[0.0, 0.0], dt=0.02, n_steps=400, n_paths=50, every=5)
    whole = fp.sample(V, **rest, burn_in=80, force="(y, -x)")
    fp.sample(V, **{**rest, "n_steps": 200}, burn_in=80, force="(y, -x)", checkpoint=path)
    more = fp.sample(V, **rest, burn_in=80, force="(y, -x)", checkpoint=path, resume=True)
    assert abs(more.energy - whole.energy) < 1e-12
    with pytest.raises(ValueError, match="other|differ"):
        fp.sample(V, **rest, burn_in=80, force="(y, -1.5*x)", checkpoint=path, resume=True)


def test_what_has_no_meaning_with_a_force_is_refused():
    V = fp.Potential("x**2 + y**2")
    with pytest.raises(ValueError, match="mala.*Gibbs"):
        fp.simulate(V, 0.2, [0.0, 0.0], 0.01, 10, scheme="mala", force="(y, -x)")
    X = fp.Diffusion.from_sde("(-x, -y)", 0.2)
    with pytest.raises(TypeError, match="theta is part of the process"):
        fp.simulate(X, 0.2, [0.0, 0.0], 0.01, 10)
    with pytest.raises(ValueError, match="baoab.*overdamped"):
        fp.simulate(X, x0=[0.0, 0.0], dt=0.01, n_steps=10, scheme="baoab", friction=1.0)
    with pytest.raises(TypeError, match="n_steps is missing"):
        fp.simulate(X, x0=[0.0, 0.0], dt=0.01)
    with pytest.raises(TypeError, match="theta is missing"):
        fp.simulate(V, x0=[0.0, 0.0], dt=0.01, n_steps=5)
    wobbly = fp.Diffusion.from_sde("(-x, -y)", "1 + x**2", "ito")
    with pytest.raises(ValueError, match="euler-maruyama"):
        fp.simulate(wobbly, x0=[0.0, 0.0], dt=0.01, n_steps=5, scheme="heun")
