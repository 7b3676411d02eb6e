"""Work shared among executors: the order and the bits of one process, lost workers made good, Ctrl-C, bounded
memory."""
import multiprocessing
import os
import signal
import threading
import time
import weakref
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from fpkit.core import sharing
from fpkit.core.interruption import stop_if_pressed


class Inline(Executor):
    """Makes each job at once and says nothing of its workers."""
    runs = 0

    def submit(self, function, /, *args, **kwargs):
        self.runs += 1
        future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def processes(n=2):
    return ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("fork"))


def square(a, x):
    return a * x**2


def die_once(folder, x):
    """Kill the worker that comes to case 3 first."""
    if x == 3:
        try:
            os.close(os.open(os.path.join(folder, "died"), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return x
        os.kill(os.getpid(), signal.SIGKILL)
    with open(os.path.join(folder, str(x)), "a") as file:
        file.write("x")
    return x


def die(x):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(x):
    raise ValueError(f"case {x} has no answer")


@pytest.mark.parametrize("make", [lambda: None, Inline, lambda: ThreadPoolExecutor(2), processes])
def test_results_come_in_the_order_of_the_jobs(make):
    jobs = [(k,) for k in range(20)]
    executor = make()
    assert sharing.in_order(executor, square, jobs, (2,)) == [2 * k**2 for k in range(20)]
    if executor is not None:
        executor.shutdown()


def test_a_lost_worker_takes_nothing_with_it(tmp_path):
    with processes() as executor:
        found = sharing.in_order(executor, die_once, [(k,) for k in range(12)], (str(tmp_path),))
    assert found == list(range(12)) and (tmp_path / "died").exists()
    # what was finished before the loss was not made again, but for the few under way at that moment
    assert sum(len((tmp_path / str(k)).read_text()) for k in range(12) if k != 3) <= 11 + 2 * sharing.OPEN


def test_work_that_kills_every_worker_is_given_up_with_a_sentence():
    with processes(1) as executor, pytest.raises(RuntimeError, match="workers died 4 times over the same"):
        sharing.in_order(executor, die, [(1,)])


def test_an_error_of_the_work_is_the_error_of_the_call():
    for executor in (None, Inline(), processes(1)):
        with pytest.raises(ValueError, match="case 0 has no answer"):
            sharing.in_order(executor, fail, [(0,)])


def test_only_a_few_jobs_are_under_way_so_that_they_may_be_endless():
    made = []

    def jobs():
        for k in range(10**9):
            made.append(k)
            yield (k,)
    with ThreadPoolExecutor(2) as executor:
        found = sharing.finished(executor, square, jobs(), (1,))
        assert sorted(next(found)[0] for _ in range(50))[0] == 0
        found.close()
    assert len(made) <= 50 + 2 * sharing.OPEN * 2


def test_ctrl_c_leaves_undone_what_was_not_begun():
    pressed = threading.Event()

    def work(k):
        if k == 5:
            pressed.set()
        return k
    here = Inline()
    here.runs_here = True
    found = sharing.in_order(here, work, [(k,) for k in range(100)], (), pressed.is_set)
    assert found[:6] == list(range(6)) and None in found


class Thing:
    pass


def press_in_a_callback():
    """Where Python drops the exception of a handler."""
    thing = Thing()
    watched = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    del thing
    assert watched() is None


@pytest.mark.parametrize("make", [lambda: None, Inline, lambda: ThreadPoolExecutor(2), processes])
def test_ctrl_c_in_the_callback_of_a_weak_reference_is_not_lost(make):
    executor, found = make(), []
    with pytest.raises(KeyboardInterrupt):
        for k, _ in sharing.finished(executor, square, ((k,) for k in range(10**6)), (2,)):
            found.append(k)
            if len(found) == 5:
                press_in_a_callback()
    assert 5 <= len(found) < 100
    if executor is not None:
        executor.shutdown()


def wait_for_the_end(x):
    while x:
        stop_if_pressed()
        time.sleep(0.01)
    raise ValueError


def test_threads_of_jobs_that_nobody_waits_for_end():
    with ThreadPoolExecutor(2) as executor, pytest.raises(ValueError):
        sharing.in_order(executor, wait_for_the_end, [(1,), (0,)])


def test_processes_that_do_not_hear_ctrl_c_are_ended(monkeypatch):
    monkeypatch.setattr(sharing, "GRACE_SECONDS", 0.05)
    timer = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    started = time.monotonic()
    with processes() as executor, pytest.raises(KeyboardInterrupt):
        sharing.in_order(executor, time.sleep, [(60,)] * 3)
    timer.join()
    assert time.monotonic() - started < 20


def test_functions_of_a_script_travel_by_value_where_cloudpickle_is_installed():
    pytest.importorskip("cloudpickle")
    factor = 3
    with processes(1) as executor:
        assert sharing.in_order(executor, lambda x: factor * x, [(2,)]) == [6]


def test_what_cannot_travel_is_a_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cloudpickle", None)
    with processes(1) as executor, pytest.raises(TypeError, match="or install cloudpickle"):
        sharing.in_order(executor, lambda x: x, [(1,)])


def test_the_number_of_workers_is_asked_of_whoever_knows():
    cluster = SimpleNamespace(_client=SimpleNamespace(ncores=lambda: {"a": 4, "b": 2}))
    assert sharing.n_workers(cluster) == 6
    assert sharing.n_workers(ThreadPoolExecutor(3)) == 3 and sharing.n_workers(Inline(), 5) == 5
    assert sharing.n_workers(SimpleNamespace(num_workers=7)) == 7                     # mpi4py.futures
    client = SimpleNamespace(get_executor=lambda: "executor")
    assert sharing.as_executor(client) == "executor"
    with pytest.raises(TypeError, match="interface of concurrent.futures.Executor, got a int"):
        sharing.as_executor(3)


@pytest.mark.slow
def test_a_dask_cluster_that_loses_a_worker_gives_the_bits_of_one_process():
    distributed = pytest.importorskip("distributed")
    import numpy as np

    import fpkit as fp
    V = fp.Potential("(x**2 - 1)**2")
    right = {"right": fp.HalfSpace([1], 0)}
    call = lambda n, **options: fp.sample(V, 0.3, [-1.0], 0.05, n, 64, regions=right, **options)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, \
            distributed.Client(cluster) as client:
        assert sharing.n_workers(client.get_executor()) == 2
        call(700, executor=client.get_executor())                                     # compiles
        victim = next(iter(client.run(os.getpid).values()))
        timer = threading.Timer(2.0, lambda: os.kill(victim, signal.SIGKILL))
        timer.start()
        started = time.monotonic()
        shared = call(400_000, executor=client.get_executor())
        timer.join()
        assert time.monotonic() - started > 2.0
    alone = call(400_000)
    assert shared.energy.value == alone.energy.value and shared.transitions == alone.transitions
    assert np.array_equal(shared.covariance, alone.covariance)
