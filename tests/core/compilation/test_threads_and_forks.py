"""Compilation and kernels under many threads, and after a fork."""
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from numba import config

ROOT = Path(__file__).resolve().parents[3]
needs_compiler = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="about compiled code")


def run(code, **environment):
    """Output of a fresh process; it may take two minutes, never for ever."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, timeout=120,
                          env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@needs_compiler
def test_eight_threads_may_ask_for_new_potentials_at_once(tmp_path):
    """The same new potential, one shared object, and others, all for the first time: no half-made module."""
    out = run("""
        import threading
        import numpy as np
        import fpkit as fp
        start, failed, found = threading.Barrier(8), [], []
        shared = fp.Potential(lambda x, y: np.exp(x) * np.cos(y) + x**4)
        def work(k):
            try:
                start.wait()
                V = fp.Potential("x**4 + exp(x)*cos(y)")
                at = [1.0, 0.0]
                found.append((float(V(at)), float(shared(at)), shared.hessian(at)[0, 0]))
                W = fp.Potential(f"x**2 + {k % 3}*y**3")
                found.append(float(W([1.0, 1.0])) == 1 + k % 3)
            except BaseException as error:
                failed.append(repr(error))
        threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
        for t in threads: t.start()
        for t in threads: t.join()
        assert not failed, failed
        assert len(found) == 16 and len({f for f in found if f is not True}) == 1
        print("fine")
    """, FPKIT_CACHE_DIR=str(tmp_path))
    assert out == "fine"


@pytest.mark.slow
@needs_compiler
def test_kernels_that_call_each_other_are_built_by_many_threads(tmp_path):
    out = run("""
        import threading
        import fpkit as fp
        failed, start = [], threading.Barrier(6)
        def work(k):
            try:
                start.wait()
                V = fp.Potential("x**2 + y**2")
                if k % 2:
                    fp.simulate(V, 0.1, [0.0, 0.0], 0.01, 20, 50, walls=fp.Walls([(-1, 1)] * 2))
                else:
                    fp.FokkerPlanck(V, 0.1, fp.Grid([(-1, 1)] * 2, (8, 8))).gibbs
            except BaseException as error:
                failed.append(repr(error))
        threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
        for t in threads: t.start()
        for t in threads: t.join()
        print(failed or "fine")
    """, FPKIT_CACHE_DIR=str(tmp_path))
    assert out == "fine"


@needs_compiler
@pytest.mark.skipif(not hasattr(os, "fork"), reason="about fork")
@pytest.mark.filterwarnings("ignore")
def test_a_fork_after_first_use_works_and_gives_the_same_numbers():
    """Pools of threads do not survive a fork: the children do without them."""
    out = run("""
        import concurrent.futures, multiprocessing
        import numpy as np
        import fpkit as fp
        V = fp.Potential("(x**2 - 1)**2 + y**2")
        def work(seed):
            return fp.simulate(V, 0.2, [-1.0, 0.0], 0.01, 50, 600, seed=seed, progress=False).x
        here = [work(k) for k in range(3)]
        fork = multiprocessing.get_context("fork")
        with fork.Pool(2) as pool:
            there = pool.map_async(work, range(3)).get(60)
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=fork) as pool:
            again = list(pool.map(work, range(3), timeout=60))
        print(all(np.array_equal(a, b) and np.array_equal(a, c) for a, b, c in zip(here, there, again)))
    """, PYTHONWARNINGS="ignore", NUMBA_NUM_THREADS="2")
    assert out == "True"


@needs_compiler
def test_one_thread_takes_the_kernels_without_threads_and_the_same_numbers():
    code = """
        import hashlib
        import fpkit as fp
        from fpkit.langevin.dynamics.metropolis_kernels import metropolis
        V = fp.Potential("(x**2 - 1)**2 + y**2")
        x = fp.simulate(V, 0.2, [-1.0, 0.0], 0.01, 50, 600, scheme="mala", seed=1, progress=False).x
        print(metropolis._serial is not None, hashlib.sha256(x.tobytes()).hexdigest())
    """
    one, two = (run(code, NUMBA_NUM_THREADS=n).split() for n in "12")
    assert (one[0], two[0]) == ("True", "False") and one[1] == two[1]
