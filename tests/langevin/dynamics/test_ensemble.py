"""The state of an ensemble depends on seed, trajectory and step alone."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from langevin_problems import SCHEMES, WELL, double_well, tilted_plane

import fpkit as fp
from fpkit.langevin.dynamics.ensemble import Ensemble

START = np.stack([np.where(np.arange(333) % 2, 1.0, -1.0), np.linspace(-0.5, 0.5, 333)], axis=1)
WALLS = {"none": None, "mirrors": [(-1.2, 1.2), (-np.inf, 0.6)],
         "periodic": fp.Walls([(-1.5, 1.5), (-1, 1)], ["periodic", "reflecting"]),
         "absorbing": fp.Walls([(-1.6, 1.4), (-2, 2)], [("reflecting", "absorbing"), "absorbing"])}


def ensemble(scheme, walls="none", start=START, **changes):
    settings = dict(seed=3, walls=WALLS[walls], precision="double") | SCHEMES[scheme] | changes
    return Ensemble(tilted_plane(), 0.3, start, 0.05, scheme, **settings)


CASES = [(scheme, walls) for scheme in SCHEMES for walls in WALLS
         if not (walls == "absorbing" and scheme in ("leimkuhler-matthews", "mala"))]


@pytest.mark.parametrize("scheme, walls", CASES)
def test_threads_chunks_and_lanes_do_not_change_a_bit(scheme, walls):
    reference = ensemble(scheme, walls)
    reference.advance(60)
    assert np.isfinite(reference.X).all()
    for chunks, changes in (([60], dict(n_threads=1)), ([7, 1, 2, 50], dict(n_threads=2)), ([1] * 60, {}),
                            ([25, 35], dict(lanes=32)),
                            ([60], dict(lanes=96)), ([11, 49], dict(lanes=512))):
        other = ensemble(scheme, walls, **changes)
        for n in chunks:
            other.advance(n)
        mine, its = reference.state(), other.state()
        assert all(np.array_equal(mine[k], its[k], equal_nan=True)
                   for k in ("X", "S", "turns", "exit_time", "exit_side", "velocity", "accepted"))


@pytest.mark.parametrize("scheme", ["euler-maruyama", "leimkuhler-matthews"])
def test_the_single_precision_kernel_keeps_the_same_laws_and_stays_near_the_double_one(scheme):
    runs = []
    for chunks, changes in (([60], {}), ([1] * 60, dict(lanes=32)), ([13, 47], dict(n_threads=1))):
        e = ensemble(scheme, precision="single", **changes)
        for n in chunks:
            e.advance(n)
        runs.append(e.X)
    assert all(np.array_equal(runs[0], x) for x in runs[1:])
    double = ensemble(scheme)
    double.advance(60)
    assert np.median(abs(runs[0] - double.X)) < 1e-6


@pytest.mark.parametrize("scheme, walls", CASES)
def test_one_trajectory_alone_is_the_one_of_the_ensemble(scheme, walls):
    many, one = ensemble(scheme, walls), ensemble(scheme, walls, START[200:201], trajectories=[200])
    many.advance(33)
    one.advance(33)
    assert np.array_equal(many.X[:, 200], one.X[:, 0])


@pytest.mark.parametrize("scheme, walls", CASES)
def test_a_restored_ensemble_goes_on_to_the_same_bits(scheme, walls):
    first, second = ensemble(scheme, walls), ensemble(scheme, walls)
    first.advance(21)
    state = first.state()
    first.advance(22)
    second.restore(state)
    second.advance(22)
    assert np.array_equal(first.X, second.X) and first.time == second.time


@pytest.mark.parametrize("scheme, walls", CASES)
def test_a_black_box_follows_the_same_paths(scheme, walls):
    compiled, plain = ensemble(scheme, walls), tilted_plane()
    box = Ensemble(fp.Potential.black_box(plain, plain.gradient, ndim=2), 0.3, START, 0.05, scheme, seed=3,
                   walls=WALLS[walls], **SCHEMES[scheme])
    compiled.advance(8)
    box.advance(3)
    box.advance(5)
    assert box.is_whole and np.median(abs(compiled.X
                                          - box.X)) < 1e-13 and np.quantile(abs(compiled.X - box.X),
                                                                            0.99) < 1e-9


@pytest.mark.parametrize("mobility", [2.0, [0.5, 2.0], [[2.0, 0.7], [0.7, 0.5]]],
                         ids=["number", "diagonal", "matrix"])
@pytest.mark.parametrize("scheme", ["euler-maruyama", "leimkuhler-matthews", "heun", "mala"])
def test_a_mobility_acts_as_in_the_plain_loop(scheme, mobility):
    plain = tilted_plane()
    e = ensemble(scheme, mobility=mobility)
    box = Ensemble(fp.Potential.black_box(plain, plain.gradient, ndim=2), 0.3, START, 0.05, scheme, seed=3,
                   mobility=mobility)
    e.advance(6)
    box.advance(6)
    assert np.quantile(abs(e.X - box.X), 0.99) < 1e-6


def test_saved_places_are_those_of_the_steps_divisible_by_every():
    one, other = ensemble("euler-maruyama"), ensemble("euler-maruyama")
    saved = [one.advance(n, every=5) for n in (3, 9, 1, 17)]
    assert [len(s) for s in saved] == [0, 2, 0, 4]
    for place in np.concatenate(saved):
        other.advance(5)
        assert np.array_equal(place, other.X)


def test_euler_maruyama_is_the_shortest_loop():
    from fpkit.langevin.dynamics import noise_kernels as noise
    V, e = double_well(), Ensemble(double_well(), 0.2, [[0.3], [-0.4], [1.0]], 0.01, seed=9,
                                   precision="double")
    s, z = np.empty((4, 3), np.uint32), np.empty((8, 3), np.float32)
    noise.seed_states(s, np.arange(3), noise.PATH, e.key)
    noise.draw_noise(s, z, False)
    x = np.array([0.3, -0.4, 1.0])
    for k in range(8):
        x = x - 0.01 * V.gradient(x[:, None])[:, 0] + (2 * 0.2 * 0.01) ** 0.5 * z[k].astype(float)
    e.advance(8)
    assert abs(e.X[0] - x).max() < 1e-15


def test_kernels_run_uncompiled_with_the_same_result():
    code = f"""
import json, numpy as np, fpkit as fp
from fpkit.langevin.dynamics.ensemble import Ensemble
out = []
for scheme, settings in {SCHEMES!r}.items():
    has_single = scheme in ("euler-maruyama", "leimkuhler-matthews")
    for precision in ("double", "single") if has_single else ("double",):
        for walls in ([(-1.1, 1.1)], None) if precision == "double" else (None,):
            e = Ensemble(fp.Potential({WELL!r}), 0.2, [[-1.0], [0.5], [1.0]], 0.02, scheme, seed=4,
                         walls=walls, precision=precision, **settings)
            e.advance(5)
            out.append(e.X[0].tolist())
e = Ensemble(fp.Potential({WELL!r}), 0.2, [[-1.0], [0.5], [1.0]], 0.02, seed=4,
             walls=fp.Walls([(-1.3, 1.3)], "absorbing"))
e.advance(5)
print(json.dumps(out + [e.X[0].tolist()]))"""
    found = []
    for off in ("0", "1"):
        done = subprocess.run([sys.executable, "-W", "error::RuntimeWarning", "-c", code],
                              env=os.environ | {"NUMBA_DISABLE_JIT": off}, capture_output=True,
                              text=True)
        assert done.returncode == 0, done.stderr
        found.append(np.array(json.loads(done.stdout)))
    assert abs(found[0] - found[1]).max() < 1e-6


def test_a_state_of_other_settings_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        ensemble("euler-maruyama").restore(ensemble("euler-maruyama", start=START[:5]).state())


@pytest.mark.parametrize("k", range(10))
def test_far_from_the_origin_the_drift_stays_in_float64(k):
    rng = np.random.default_rng(k)
    start, theta, frequency = 10 ** rng.uniform(6, 9), rng.uniform(0.3, 1.0), rng.uniform(0.5, 2.0)
    V = fp.Potential("cos(w*x)", w=frequency)
    e = Ensemble(V, theta, [start], 0.05, seed=k, n_paths=10)
    assert e.precision == "double"
    near = Ensemble(V, theta, [start % (2 * np.pi / frequency)], 0.05, seed=k, n_paths=10)
    assert near.precision == "single"


def test_the_mean_of_a_cosine_far_out_is_that_of_its_gibbs_density():
    from scipy.special import ive
    V, theta = fp.Potential("cos(x)"), 0.5
    stats = fp.sample(V, theta, [1e8], 0.1, 4000, 500, observables={"cos": lambda p: np.cos(p[:, 0])})
    exact = -ive(1, 1 / theta) / ive(0, 1 / theta)
    assert abs(stats.observables["cos"].value - exact) < stats.observables["cos"].error + 0.01


def test_one_element_arrays_are_numbers_for_temperatures_and_time_steps():
    V, x0 = fp.Potential("x**2/2"), [0.5]
    plain = fp.simulate(V, lambda t: 0.2 + t, x0, lambda k: 0.01, 50, 20)
    boxed = fp.simulate(V, lambda t: np.array([0.2 + t]), x0, lambda k: np.array([0.01]), 50, 20,
                        save_every=10)
    assert np.array_equal(plain.x, boxed.x)
    with pytest.raises(TypeError, match="must return one number"):
        fp.simulate(V, lambda t: np.array([0.2, 0.3]), x0, 0.01, 50, 20)


def test_a_generator_is_a_seed():
    V = fp.Potential("x**2/2")
    run = lambda seed: fp.simulate(V, 0.5, [0.0], 0.01, 20, 10, seed=seed)
    one = run(np.random.default_rng(4))
    assert np.array_equal(one.x, run(np.random.default_rng(4)).x) and np.array_equal(one.x, run(one.seed).x)
    rng = np.random.default_rng(4)
    assert not np.array_equal(run(rng).x, run(rng).x)
    tau = fp.exit_time(V, 0.5, [0.0], fp.HalfSpace([1], 1.0), 0.02, 50, seed=np.random.default_rng(4))
    assert np.array_equal(tau.times, fp.exit_time(V, 0.5, [0.0], fp.HalfSpace([1], 1.0), 0.02, 50,
                                                  seed=tau.inputs["seed"]).times)


def test_a_mobility_that_turns_negative_in_the_run_loses_nothing():
    V = fp.Potential("0*x")
    mobility = lambda points: 1.0 - points[:, 0] ** 2 / 9        # negative beyond 3
    with pytest.raises(ValueError, match="mobility must be positive") as caught:
        fp.simulate(V, 1.0, [0.0], 0.01, 10_000, 50, mobility=mobility, save_every=5)
    run = caught.value.run
    assert run.n_steps > 20 and len(run.times) == run.paths.shape[1] > 4 and np.isfinite(run.paths).all()
    assert "mobility must be positive" in run.status
    with pytest.raises(ValueError, match="mobility must be positive") as caught:
        fp.sample(V, 1.0, [0.0], 0.01, 10_000, 50, "euler-maruyama", burn_in=5, every=5, mobility=mobility)
    assert caught.value.run.n_samples > 50
    tau = fp.exit_time(V, 1.0, [0.0], fp.HalfSpace([1], 0.5), 0.01, 200, mobility=mobility)
    assert tau.hits > 20 and "stopped (the mobility must be positive" in tau.status
