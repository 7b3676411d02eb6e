"""What `simulate` returns, how it fails, and how it is stopped."""
import dataclasses
import signal

import numpy as np
import pytest
from langevin_problems import double_well

import fpkit as fp
from fpkit.langevin.dynamics.divergence import DivergenceError

V = double_well()


def test_shapes_and_times_are_as_promised():
    run = fp.simulate(V, 0.2, [-1.0], 0.01, 103, 7, save_every=10)
    assert run.x.shape == (7, 1) and run.paths.shape == (7, 11, 1) and abs(run.times - 0.1
                                                                           * np.arange(11)).max() < 1e-12
    assert (run.paths[:, 0] == -1).all() and abs(run.time - 1.03) < 1e-12 and run.status == "ok"
    assert np.array_equal(fp.simulate(V, 0.2, [-1.0], 0.01, 100, 7, save_every=100).x, run.paths[:, -1])
    alone = fp.simulate(V, 0.2, [[-1.0], [1.0]], 0.01, 5)
    assert alone.x.shape == (2, 1) and alone.paths is None and abs(alone.times - [0.05]).max() < 1e-15


def test_a_run_says_what_made_it_and_does_not_change():
    run = fp.simulate(V, 0.2, [-1.0], 0.01, 10, 3, seed=8)
    assert (run.theta, run.dt, run.scheme, run.seed, run.n_steps) == (0.2, 0.01, "euler-maruyama", 8, 10)
    assert repr(run) == "3 paths in 1-D to t = 0.1: euler-maruyama, theta 0.2, dt 0.01, 10 steps, seed 8"
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.seed = 9


def test_a_seed_that_was_drawn_is_stored_and_repeats_the_run():
    run = fp.simulate(V, 0.2, [-1.0], 0.01, 10, 3, seed=None)
    assert np.array_equal(run.x, fp.simulate(V, 0.2, [-1.0], 0.01, 10, 3, seed=run.seed).x)
    assert not np.array_equal(run.x, fp.simulate(V, 0.2, [-1.0], 0.01, 10, 3, seed=None).x)


def test_fewer_paths_are_the_first_of_many():
    assert np.array_equal(fp.simulate(V, 0.2, [-1.0], 0.01, 50, 5).x,
                          fp.simulate(V, 0.2, [-1.0], 0.01, 50, 300, n_threads=1).x[:5])


def test_precision_is_single_only_where_both_drifts_agree():
    assert fp.simulate(V, 0.2, [-1.0], 0.01, 5).precision == "single"
    far = fp.Potential("cos(5000*x) + x**2")  # 24 bits of the place are not enough for this one
    assert fp.simulate(far, 0.2, [3.0], 1e-6, 5).precision == "double"
    assert fp.simulate(V, 0.2, [-1.0], 0.01, 5, walls=[(-2, 2)]).precision == "double"
    with pytest.raises(ValueError, match="without walls"):
        fp.simulate(V, 0.2, [-1.0], 0.01, 5, walls=[(-2, 2)], precision="single")


@pytest.mark.parametrize("precision", ["double", "single"])
def test_divergence_tells_how_many_when_and_which_step_would_have_helped(precision):
    with pytest.raises(DivergenceError, match=r"100 of 100 paths stopped being finite, the first at t = .* "
                       r"with dt = 0.3: the curvature along the path "
                                              r"reaches .*Try dt = ") as caught:
        fp.simulate(V, 0.2, [-1.0], 0.3, 5000, 100, save_every=1, precision=precision)
    error = caught.value
    assert isinstance(error, ArithmeticError) and error.count == 100 and 0 < error.time < 10
    assert error.dt < 0.15 and np.isfinite(fp.simulate(V, 0.2, [-1.0], error.dt, 500, 100).x).all()
    assert np.isfinite(error.run.x).all()
    assert np.isfinite(error.run.paths).all()
    assert "stopped being finite" in error.run.status


def test_the_first_time_of_divergence_is_exact_whatever_the_chunks():
    times = []
    for every in (1, 7, None):
        with pytest.raises(DivergenceError) as caught:
            fp.simulate(V, 0.3, [-1.0], 0.15, 20000, 50, save_every=every, precision="double")
        times.append(caught.value.time)
    x = fp.simulate(V, 0.3, [-1.0], 0.15, round(times[0] / 0.15) - 1, 50, precision="double").x
    assert len(set(times)) == 1 and np.isfinite(x).all()
    with pytest.raises(DivergenceError):
        fp.simulate(V, 0.3, [-1.0], 0.15, round(times[0] / 0.15), 50, precision="double")


def test_divergence_of_a_black_box_and_of_a_schedule_is_reported():
    box = fp.Potential.black_box(V, V.gradient, ndim=1)
    for potential, dt in ((box, 0.4), (V, lambda k: 0.4), (V, np.full(200, 0.4))):
        with pytest.raises(DivergenceError, match="with dt = 0.4"):
            fp.simulate(potential, 0.2, [-1.0], dt, 200, 10)
    with pytest.raises(DivergenceError, match=r"2/sqrt\(curvature\)"):
        fp.simulate(V, 0.2, [-1.0], 1.5, 200, 10, scheme="baoab", friction=1.0)


def test_leaving_the_domain_of_a_potential_is_not_blamed_on_the_step():
    with pytest.raises(DivergenceError, match="gradient of the potential is not finite.*walls="):
        fp.simulate(fp.Potential("sqrt(x)"), 0.2, [0.05], 0.01, 500, 10)


def test_ctrl_c_returns_the_run_so_far():
    pressed = []

    def dt(k):
        if k == 40_000 and not pressed:
            pressed.append(k)
            signal.raise_signal(signal.SIGINT)
        return 0.001
    before = signal.getsignal(signal.SIGINT)
    run = fp.simulate(V, 0.2, [-1.0], dt, 2_000_000, 2, save_every=100)
    assert run.status.startswith("stopped by Ctrl-C after") and 40_000 <= run.n_steps < 2_000_000
    assert run.paths.shape[1] == len(run.times) == run.n_steps // 100 + 1
    assert signal.getsignal(signal.SIGINT) is before


def test_progress_stays_silent_without_a_terminal(capfd):
    fp.simulate(V, 0.2, [-1.0], 0.01, 10)
    assert capfd.readouterr() == ("", "")
    fp.simulate(V, 0.2, [-1.0], 0.01, 10, progress=True)
    out, err = capfd.readouterr()
    assert out == "" and "paths" in err


BAD = {
    "negative theta": (dict(theta=-0.1), ValueError, "theta must not be negative, got -0.1. The noise-free "
                       "limit"),
    "theta of text": (dict(theta="hot"), TypeError, "theta must be a number"),
    "nan theta": (dict(theta=np.nan), ValueError, "theta must be finite"),
    "theta(t) below zero": (dict(theta=lambda t: -1.0), ValueError,
                            r"theta\(t\) must be finite and not negative"),
    "zero dt": (dict(dt=0.0), ValueError, "dt must be positive"),
    "bad dt in a schedule": (dict(dt=[0.1, -0.1, 0.1]), ValueError,
                             "dt must be positive and finite, got -0.1 at step 1"),
    "short schedule": (dict(dt=[0.1, 0.1]), ValueError, "dt has 2 entries and n_steps is 5"),
    "no steps": (dict(n_steps=0), ValueError, "n_steps must be at least 1"),
    "half a step": (dict(n_steps=2.5), TypeError, "n_steps must be a whole number"),
    "wrong start": (dict(x0=[0.0, 1.0]), ValueError, r"x0 must have shape \(\.\.\., 1\)"),
    "nan start": (dict(x0=[np.nan]), ValueError, "not finite"),
    "rows and paths": (dict(x0=[[0.0], [1.0]], n_paths=3), ValueError, "x0 has 2 rows and n_paths is 3"),
    "unknown scheme": (dict(scheme="euler-maruyma"), ValueError, "Did you mean 'euler-maruyama'"),
    "no friction": (dict(scheme="baoab"), ValueError, "needs friction="),
    "friction elsewhere": (dict(friction=1.0), ValueError, 'friction is for scheme "baoab"'),
    "mobility of baoab": (dict(scheme="baoab", friction=1.0, mobility=2.0), ValueError,
                          "mobility is for overdamped"),
    "cold mala": (dict(scheme="mala", theta=0), ValueError, 'theta must be positive for "mala"'),
    "three points elsewhere": (dict(noise="three-point"), ValueError, '"three-point" is for averages'),
    "velocity elsewhere": (dict(velocity=[1.0]), ValueError, 'velocity is for scheme "baoab"'),
    "save too rarely": (dict(save_every=6), ValueError, "nothing would be saved"),
    "seed of text": (dict(seed="one"), TypeError, "seed must be a whole number"),
    "no threads": (dict(n_threads=0), ValueError, "n_threads must be at least 1"),
    "memory": (dict(n_steps=10**9, n_paths=10**4, save_every=1), MemoryError, "fpkit.sample"),
}


@pytest.mark.parametrize("changes, kind, message", BAD.values(), ids=BAD)
def test_wrong_calls_get_a_sentence(changes, kind, message):
    with pytest.raises(kind, match=message):
        fp.simulate(V, **(dict(theta=0.2, x0=[-1.0], dt=0.01, n_steps=5) | changes))
