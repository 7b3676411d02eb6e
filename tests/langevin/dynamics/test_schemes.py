"""What each scheme must give: exact identities at coarse steps, the Gibbs distribution, orders. Seeds are
fixed; 4.5 sigma is 7e-6 by accident."""
import numpy as np
import pytest
from langevin_problems import KS_LIMIT, distance_to_gibbs, double_well

import fpkit as fp

N = 40000
QUADRATIC = fp.Potential("0.5*k*x**2", k=2.0)


def variance(run):
    return (run.x[:, 0] ** 2).mean(), 4.5 * (2 / len(run.x)) ** 0.5


@pytest.mark.parametrize("dt", [0.1, 0.4, 0.8])
def test_euler_maruyama_has_its_own_variance_on_a_quadratic_well(dt):
    theta, k = 0.7, 2.0
    found, error = variance(fp.simulate(QUADRATIC, theta, [0.0], dt, int(30 / dt), N, seed=11))
    exact = theta / (k * (1 - k * dt / 2))
    assert abs(found / exact - 1) < error


@pytest.mark.parametrize("dt", [0.1, 0.4, 0.8])
def test_leimkuhler_matthews_has_the_exact_variance_at_every_stable_step(dt):
    found, error = variance(fp.simulate(QUADRATIC, 0.7, [0.0], dt, int(30 / dt), N,
                                        scheme="leimkuhler-matthews", seed=12))
    assert abs(found / 0.35 - 1) < error


@pytest.mark.parametrize("dt", [0.1, 0.4, 0.8])
def test_heun_has_its_own_variance_on_a_quadratic_well(dt):
    theta, k = 0.7, 2.0
    found, error = variance(fp.simulate(QUADRATIC, theta, [0.0], dt, int(30 / dt), N, scheme="heun", seed=13))
    a = 1 - k * dt + (k * dt) ** 2 / 2
    assert abs(found / (2 * theta * dt * (1 - k * dt / 2) ** 2 / (1 - a * a)) - 1) < error


@pytest.mark.parametrize("dt, friction", [(0.2, 1.0), (0.8, 1.0), (0.8, 20.0)])
def test_baoab_has_the_exact_variance_of_places_on_a_quadratic_well(dt, friction):
    run = fp.simulate(QUADRATIC, 0.7, [0.0], dt, int(60 * max(1, friction / 4) / dt), N, scheme="baoab",
                      friction=friction, seed=14)
    found, error = variance(run)
    assert abs(found / 0.35 - 1) < error
    # velocities carry the error: <v^2> = theta (1 - k dt^2 / 4), Leimkuhler and Matthews 2013
    assert abs((run.velocity**2).mean() / (0.7 * (1 - 2.0 * dt * dt / 4)) - 1) < error


def test_baoab_starts_from_maxwell_and_keeps_given_velocities():
    run = fp.simulate(QUADRATIC, 0.7, [0.0], 1e-6, 1, N, scheme="baoab", friction=1.0)
    assert abs((run.velocity**2).mean() / 0.7 - 1) < 4.5 * (2 / N) ** 0.5
    run = fp.simulate(QUADRATIC, 0.0, [0.0], 1e-6, 1, 3, scheme="baoab", friction=1.0, velocity=[2.0])
    assert abs(run.velocity - 2.0).max() < 1e-5 and abs(run.x - 2e-6).max() < 1e-10


@pytest.mark.parametrize("dt", [0.02, 0.1])
def test_mala_is_exactly_gibbs_at_any_step(dt):
    start = np.where(np.arange(N) % 2, 1.0, -1.0)[:, None]
    run = fp.simulate(double_well(), 0.2, start, dt, int(8 / dt) + 40, scheme="mala", seed=15)
    # 1e-3 by accident
    assert distance_to_gibbs(run.x[:, 0], lambda x: (x * x - 1) ** 2, 0.2, -3, 3) < KS_LIMIT
    assert 0.3 < run.acceptance < 1


def test_mala_with_a_step_that_would_diverge_reports_its_acceptance():
    run = fp.simulate(double_well(), 0.2, [-1.0], 0.6, 400, 200, scheme="mala")
    assert np.isfinite(run.x).all() and run.acceptance < 0.5 and "accepted" in repr(run)


def test_leimkuhler_matthews_beats_euler_maruyama_by_far_on_the_double_well():
    start = np.where(np.arange(N) % 2, 1.0, -1.0)[:, None]
    distances = {scheme: distance_to_gibbs(fp.simulate(double_well(), 0.2, start, 0.05, 200, scheme=scheme,
                                                       seed=16).x[:, 0],
                                           lambda x: (x * x - 1) ** 2, 0.2, -3, 3)
                                           for scheme in ("euler-maruyama", "leimkuhler-matthews")}
    assert distances["leimkuhler-matthews"] < KS_LIMIT < 3 < distances["euler-maruyama"]


def test_the_energy_of_euler_maruyama_is_wrong_by_order_one_in_dt():
    n, theta, g = 200_000, 0.2, np.linspace(-3, 3, 20001)
    f = (g * g - 1) ** 2
    w = np.exp(-f / theta)
    exact, start = (f * w).sum() / w.sum(), np.where(np.arange(n) % 2, 1.0, -1.0)[:, None]
    steps, bias = np.array([0.01, 0.02, 0.04]), []
    for dt in steps:
        x = fp.simulate(double_well(), theta, start, dt, int(3 / dt), seed=17).x[:, 0]
        bias.append(((x * x - 1) ** 2).mean() / exact - 1)
    slope = np.polyfit(np.log(steps), np.log(bias), 1)[0]
    # the statistical error of the first is 0.3 %: many sigma inside
    assert 0.85 < slope < 1.4 and 0.02 < bias[0] < 0.06


def test_heun_follows_a_fine_path_of_the_same_noise_more_closely_than_euler_maruyama():
    V = fp.Potential("x**4/4 + a*x", a=1.0)  # without noise: orders 1 and 2 of the scheme for the flow
    exact = fp.gradient_flow(V, [1.5], 1.0, tol=1e-12).x[0]
    error = {s: [abs(fp.simulate(V, 0.0, [1.5], 1.0 / n, n, scheme=s).x[0, 0] - exact) for n in (20, 40, 80)]
             for s in ("euler-maruyama", "heun")}
    slopes = {s: np.polyfit(np.log([20, 40, 80]), np.log(e), 1)[0] for s, e in error.items()}
    assert abs(slopes["euler-maruyama"] + 1) < 0.15 and abs(slopes["heun"]
                                                            + 2) < 0.2 and error["heun"][-1] < 1e-3


def test_three_point_noise_gives_the_right_mean_energy():
    n = 100_000
    start = np.where(np.arange(n) % 2, 1.0, -1.0)[:, None]
    energy = [double_well()(fp.simulate(double_well(), 0.2, start, 0.02, 200, scheme="leimkuhler-matthews",
                                        noise=noise, seed=18).x)
              for noise in ("gaussian", "three-point")]
    assert abs(energy[0].mean() - energy[1].mean()) < 4.5 * (2 * energy[0].var() / n) ** 0.5


def test_theta_zero_is_the_euler_descent():
    V, x = fp.Potential("(x**2 - 1)**2 + 0.5*y**2"), np.array([[0.5, 1.0], [-0.2, -0.4]])
    run = fp.simulate(V, 0.0, x, 0.01, 50)
    for _ in range(50):
        x = x - 0.01 * V.gradient(x)
    assert abs(run.x - x).max() < 1e-15
    assert abs(fp.simulate(V, 0.0, [[0.5, 1.0]], 0.01, 50, scheme="leimkuhler-matthews").x
               - x[0]).max() < 1e-15


def test_a_temperature_that_rises_is_followed():
    run = fp.simulate(fp.Potential("x**2/2"), lambda t: t, [0.0], 0.01, 300, N, seed=19)
    exact = 3 - 0.5 + 0.5 * np.exp(-6.0)                         # v' = -2 v + 2 theta(t)
    assert abs((run.x**2).mean() / exact - 1) < 4.5 * (2 / N) ** 0.5 + 0.006  # and order one of the step


@pytest.mark.parametrize("scheme, error", [("euler-maruyama", 6e-3), ("heun", 1e-4),
                                           ("leimkuhler-matthews", 6e-3)])
def test_a_potential_that_moves_is_taken_at_the_time_of_the_step(scheme, error):
    V = fp.Potential("(x - t)**2/2", t=0.0)
    run = fp.simulate(V, 0.0, [0.0], 0.01, 200, scheme=scheme)
    assert abs(run.x[0, 0] - (2 - 1 + np.exp(-2.0))) < error
    box = fp.Potential.black_box(lambda x, t=0.0: (x[..., 0] - t) ** 2 / 2, lambda x, t=0.0: x - t, ndim=1,
                                 t=0.0)
    assert abs(fp.simulate(box, 0.0, [0.0], 0.01, 200, scheme=scheme).x - run.x).max() < 1e-12


def test_a_schedule_of_steps_is_the_loop_over_it():
    V, dt, x = double_well(), np.linspace(0.001, 0.02, 40), 0.3
    for h in dt:
        x -= h * V.gradient([x])[0]
    for given in (dt, list(dt), lambda k: float(dt[k])):
        run = fp.simulate(V, 0.0, [0.3], given, 40, save_every=8)
        assert abs(run.x[0, 0] - x) < 1e-14 and abs(run.times
                                                    - np.concatenate([[0],
                                                                      np.cumsum(dt)[7::8]])).max() < 1e-15
        assert abs(run.time - dt.sum()) < 1e-14
