"""Ctrl-C: every long call stops soon, keeps what is done and says so; a signal to one worker loses
nothing."""
import importlib
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import fpkit as fp

WELL = fp.Potential("(x**2 - 1)**2")
LEFT, RIGHT = fp.HalfSpace([-1], 0.9), fp.HalfSpace([1], 0.9)
AT_MOST = 60.0  # seconds; a loaded machine may compile meanwhile


def pressed_after(seconds, call):
    """(result, seconds from Ctrl-C to the return) of a call during which Ctrl-C is pressed."""
    moment = []

    def press():
        moment.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    timer = threading.Timer(seconds, press)
    timer.start()
    try:
        result = call()
    finally:
        timer.cancel()
        timer.join()
    assert moment, "the call ended before Ctrl-C"
    return result, time.monotonic() - moment[0]


def warm(call):
    """Compile before time counts."""
    call()
    return call


LONG = {
    "simulate": lambda n: fp.simulate(WELL, 0.2, [-1.0], 0.01, n, 200),
    "sample": lambda n: fp.sample(WELL, 0.2, [-1.0], 0.01, n, 200, burn_in=10, every=5),
    "exit_time": lambda n: fp.exit_time(WELL, 0.05, [-1.0], RIGHT, 0.01, 2000, t_max=0.01 * n),
    "exit_time extrapolated": lambda n: fp.exit_time(WELL, 0.02, [-1.0], RIGHT, 0.01, 2000, t_max=0.01 * n,
                                                     extrapolate=True),
    "multilevel_splitting": lambda n: fp.multilevel_splitting(WELL, 0.2, LEFT, RIGHT, 0.01, 10 if n < 1e4
                                                              else 200_000,
                                                              4, x0=[-1.0]),
    "fleming_viot": lambda n: fp.fleming_viot(WELL, 0.4, RIGHT, [-1.0], 0.01, 200, t=0.01 * n, n_systems=4),
    "gradient_flow": lambda n: fp.gradient_flow(fp.Potential.black_box(slow_value, slow_gradient, ndim=1),
                                                np.linspace(0.1, 1, 3 if n < 1e4 else 10_000)[:, None], 1.0),
}


def slow_value(points):
    return 0.5 * (points**2).sum(-1)


def slow_gradient(points):
    time.sleep(1e-4)
    return points


@pytest.mark.parametrize("name", LONG)
def test_ctrl_c_stops_a_long_call_which_keeps_what_is_done(name):
    LONG[name](1000)
    handler = signal.getsignal(signal.SIGINT)
    result, seconds = pressed_after(0.5, lambda: LONG[name](10**9))
    assert seconds < AT_MOST and signal.getsignal(signal.SIGINT) is handler
    assert "stopped by Ctrl-C" in result.status or "interrupted at step" in result.status
    if name == "sample":
        assert result.n_samples > 0 and np.isfinite(result.energy.value)
    if name == "gradient_flow":
        done = np.isfinite(result.x[:, 0]).sum()
        assert 0 < done < 10_000 and f"{done} of 10000 points" in result.status


def test_ctrl_c_in_the_finer_run_keeps_the_coarser_one(monkeypatch):
    module = importlib.import_module("fpkit.langevin.first_passage.exit_time")
    before, calls = module.drive, []

    def second_is_stopped(run, progress, **more):
        calls.append(1)
        if len(calls) == 2:
            return "stopped by Ctrl-C"
        return before(run, progress, **more)
    monkeypatch.setattr(module, "drive", second_is_stopped)
    tau = fp.exit_time(WELL, 0.4, [-1.0], RIGHT, 0.02, 500, extrapolate=True)
    plain = fp.exit_time(WELL, 0.4, [-1.0], RIGHT, 0.02, 500)
    assert tau.value == plain.value and tau.interval == plain.interval and tau.hits == 500
    assert "not extrapolated" in tau.status and "Ctrl-C" in tau.status


def pool(kind):
    if kind == "threads":
        return ThreadPoolExecutor(2)
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


def shared(n, executor, **more):
    return fp.sample(WELL, 0.5, [-1.0], 0.01, n, 64, burn_in=50, every=5, executor=executor,
                     regions={"left": fp.HalfSpace([-1], 0.5), "right": fp.HalfSpace([1], 0.5)},
                     histogram=fp.Grid([(-2, 2)], 16), **more)


def test_slow_functions_of_the_user_do_not_make_long_chunks():
    V = fp.Potential("x**2/2")

    def slow(points):
        time.sleep(0.02)
        return points[:, 0]
    run = lambda n: fp.sample(V, 0.5, [0.0], 0.01, n, 10, burn_in=0, every=1, observables={"x": slow})
    run(10)
    stats, seconds = pressed_after(2.0, lambda: run(10**9))
    assert seconds < AT_MOST and 0 < stats.n_samples < 10 * 5000

    def gradient(points):
        time.sleep(0.01)
        return points
    box = fp.Potential.black_box(lambda p: (p**2).sum(-1) / 2, gradient, ndim=1)
    run = lambda end: fp.exit_time(box, 0.01, [0.0], fp.HalfSpace([1], 1.0), 0.01, 10, t_max=end)
    run(0.05)                                                    # compiled before Ctrl-C is pressed
    tau, seconds = pressed_after(1.0, lambda: run(1e6))
    assert seconds < AT_MOST and "stopped by Ctrl-C" in tau.status


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_ctrl_c_stops_a_shared_run_at_one_step_of_all_workers(kind):
    with pool(kind) as executor:
        shared(600, executor)
        stats, seconds = pressed_after(1.0, lambda: shared(10**9, executor))
        done = int(stats.status.split("interrupted at step ")[1].split(" ")[0])
        assert seconds < AT_MOST and stats.n_samples == 64 * ((done - 50) // 5)
        whole = shared(done, None)
        assert whole.energy.value == stats.energy.value and np.array_equal(whole.counts, stats.counts)


@pytest.mark.slow
def test_a_signal_to_one_worker_changes_nothing():
    with pool("processes") as executor:
        shared(600, executor)
        workers = list(executor._processes)
        timer = threading.Timer(1.0, lambda: os.kill(workers[0], signal.SIGINT))
        timer.start()
        stats = shared(1_500_000, executor)
        timer.join()
        whole = shared(1_500_000, None)
    assert stats.n_samples == whole.n_samples and stats.energy.value == whole.energy.value
    assert stats.transitions == whole.transitions and "interrupted" not in stats.status


class Inline(Executor):
    """An executor that says nothing of its workers."""

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        future.set_result(function(*args, **kwargs))
        return future


def test_an_executor_that_does_not_tell_its_workers_gives_the_same_bits():
    a, b = shared(700, Inline()), shared(700, None)
    assert a.energy.value == b.energy.value and np.array_equal(a.counts, b.counts)


CHILD = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import numpy as np, fpkit as fp
V = fp.Potential("(x**2 - 1)**2")
def job(seed):
    return float(fp.simulate(V, 0.2, [-1.0], 0.01, 200, 64, seed=seed).x.sum())
here = [job(k) for k in range(3)]
context = multiprocessing.get_context("fork")
with context.Pool(2) as pool:
    assert pool.map(job, range(3)) == here
with ProcessPoolExecutor(2, mp_context=context) as executor:
    assert list(executor.map(job, range(3))) == here
print("same")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_processes_forked_after_first_use_give_the_same_bits():
    import subprocess
    import sys
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=600,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path),
                               "NUMBA_NUM_THREADS": "2"})
    assert done.stdout.strip() == "same", done.stderr[-2000:]
