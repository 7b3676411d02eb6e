"""One press of Ctrl-C ends a call with all that it is made of, and nothing that was cut counts as whole."""
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fpkit as fp
from fpkit.core import interruption as module
from fpkit.core.interruption import interruption, stop_if_pressed, whole_results
from fpkit.learning.modular_addition import ModularAddition
from fpkit.learning.solutions import solutions
from fpkit.learning.walkers import learn

WELL, RIGHT = fp.Potential("(x**2 - 1)**2"), fp.HalfSpace([1], 0.9)


def press():
    signal.raise_signal(signal.SIGINT)


def test_a_call_inside_another_and_the_threads_of_its_pool_hear_the_same_press():
    handler = signal.getsignal(signal.SIGINT)
    with interruption() as outer, interruption() as inner, ThreadPoolExecutor(1) as pool:
        assert not outer() and not inner()
        press()

        def there():
            with interruption() as is_pressed:
                return is_pressed()
        assert outer() and inner() and pool.submit(there).result()
        with pytest.raises(KeyboardInterrupt):
            stop_if_pressed()
        with pytest.raises(KeyboardInterrupt):                   # the second one acts at once
            press()
    stop_if_pressed()
    assert signal.getsignal(signal.SIGINT) is handler


def test_what_is_not_whole_after_the_grace_is_given_up():
    with pytest.raises(KeyboardInterrupt), interruption(0.05):
        press()
        time.sleep(30)
    with interruption(0.05) as is_pressed:
        press()
        assert is_pressed()
    time.sleep(0.1)                                              # the clock of a call that is over is off


def test_a_calculation_that_needs_whole_runs_ends_with_ctrl_c():
    def stops_at_once(*arguments, **more):
        with interruption() as is_pressed:
            press()
            return is_pressed()
    assert stops_at_once()
    with pytest.raises(KeyboardInterrupt), whole_results():
        stops_at_once()
    assert stops_at_once()


def test_a_training_that_is_cut_is_no_solution():
    timer = threading.Timer(0.2, press)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        solutions(polish=10**6)
    timer.join()


def passage(theta):
    if theta == 0.25:
        press()
    return fp.exit_time(WELL, theta, [-1.0], RIGHT, 0.05, 100)


@pytest.mark.parametrize("pool", [None, ThreadPoolExecutor])
def test_a_case_that_ctrl_c_cut_short_is_no_row_of_a_sweep(pool, tmp_path, monkeypatch):
    thetas = [0.4, 0.3, 0.25, 0.35]
    executor = None if pool is None else pool(1)
    run = lambda: fp.sweep(passage, iter(thetas), executor, tmp_path / "rows.jsonl")
    found = run()
    assert found.status.startswith("stopped by Ctrl-C") and set(found["argument"]) <= {0.4, 0.3}
    monkeypatch.setattr(signal, "raise_signal", lambda number: None)
    whole = run()
    assert whole.status == "ok" and sorted(whole["argument"]) == sorted(thetas)
    assert all(row == float(passage(t)) for row, t in zip(whole["value"], whole["argument"]))


def test_learners_stop_between_far_checks_and_go_on_with_the_same_bits(tmp_path):
    run = lambda n, **more: learn([ModularAddition(5, 4, 0.6, s) for s in range(2)], n, 0.01, 1e-3, 1e-3,
                                  check_every=10**9, **more)
    timer = threading.Timer(0.5, press)
    timer.start()
    part = run(10**9, checkpoint=tmp_path / "state.h5", progress=False)
    timer.join()
    done = int(part.status.split(" after ")[1].split(" ")[0])
    assert 0 < done < 10**9
    whole = run(done + 1000, checkpoint=tmp_path / "state.h5")
    assert np.array_equal(whole.x, run(done + 1000).x)


def test_workers_leave_ctrl_c_to_their_caller_for_a_moment(monkeypatch):
    monkeypatch.setattr(module.multiprocessing, "parent_process", lambda: True)
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.05)
    with pytest.raises(KeyboardInterrupt), module.left_to_the_caller():
        press()
        with interruption() as is_pressed:
            assert not is_pressed()
        time.sleep(30)
