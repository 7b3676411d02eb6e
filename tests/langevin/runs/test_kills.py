"""A kill at any moment, or a full disk, loses the last interval at most; what goes on has the same bits."""
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fpkit as fp

resource = pytest.importorskip("resource")                       # limits of a process: POSIX
WELL = fp.Potential("(x**2 - 1)**2")
LEFT, RIGHT = fp.HalfSpace([-1], 0.9), fp.HalfSpace([1], 0.9)
CALLS = {
    "simulate": ("fp.simulate(V, 0.3, [-1.0], 0.01, 20_000, 50, save_every=100{})", "r.paths.sum(),"),
    "exit_time": ("fp.exit_time(V, 0.13, [-1.0], R, 0.01, 300{})", "r.times.sum(), r.exit_points.sum()"),
    "multilevel_splitting": ("fp.multilevel_splitting(V, 0.08, L, R, 0.005, 60, 10, x0=[-1.0]{})",
                             "r.repeats.sum(),"),
    "fleming_viot": ("fp.fleming_viot(V, 0.4, R, [-1.0], 0.01, 200, t=60.0, n_systems=6{})",
                     "r.walkers.sum(),"),
    "sample": ("fp.sample(V, 0.3, [-1.0], 0.01, 20_000, 100{})", "r.energy.value,"),
}
CHILD = """
import sys, warnings
import fpkit as fp
warnings.simplefilter("ignore")
V, L, R = fp.Potential("(x**2 - 1)**2"), fp.HalfSpace([-1], 0.9), fp.HalfSpace([1], 0.9)
r = {call}
print(*[repr(float(v)) for v in ({numbers})])
"""


def script(name, path):
    call, numbers = CALLS[name]
    options = "" if path is None else f", checkpoint={str(path)!r}, checkpoint_every=0.01"
    return CHILD.format(call=call.format(options), numbers=numbers)


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_NUM_THREADS": "1"}


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_kills_at_random_moments_change_no_bit(name, tmp_path):
    whole = subprocess.run([sys.executable, "-c", script(name, None)], capture_output=True, text=True,
                           check=True, env=environment()).stdout
    draw, path, n_kills = random.Random(name), tmp_path / "run.h5", 0
    for _ in range(20):
        child = subprocess.Popen([sys.executable, "-c", script(name, path)], stdout=subprocess.PIPE,
                                 text=True, env=environment())
        before = path.stat().st_mtime_ns if path.exists() else 0
        while child.poll() is None and (not path.exists() or path.stat().st_mtime_ns == before):
            time.sleep(0.005)                                    # it has begun, and written once more
        try:
            child.wait(draw.uniform(0, 0.3))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            n_kills += 1
        found = child.communicate()[0]
        if child.returncode == 0:
            break
    else:
        found = subprocess.run([sys.executable, "-c", script(name, path)], capture_output=True, text=True,
                               check=True, env=environment()).stdout
    assert found == whole and (n_kills or path.exists())


def test_a_full_disk_keeps_the_last_checkpoint_and_says_so(tmp_path):
    path = tmp_path / "run.h5"
    call = lambda n, **more: fp.simulate(WELL, 0.3, [-1.0], 0.01, n, 500, save_every=10, **more)
    call(200, checkpoint=path)
    before, limit = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 4096, limit[1]))
    try:
        with pytest.raises(OSError):
            call(20_000, checkpoint=path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, old)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["run.h5"]
    np.testing.assert_array_equal(call(1000, checkpoint=path).paths, call(1000).paths)


@pytest.mark.parametrize("name", CALLS)
def test_a_file_of_another_run_is_refused(name, tmp_path):
    names = {"fp": fp, "V": WELL, "L": LEFT, "R": RIGHT}
    path = tmp_path / "run.h5"
    fp.sample(WELL, 0.2, [-1.0], 0.01, 900, 8, checkpoint=path)
    with pytest.raises(ValueError):
        eval(CALLS[name][0].format(f", checkpoint={str(path)!r}"), names)
