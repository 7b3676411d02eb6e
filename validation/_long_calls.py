"""Every long call of the package as a job for a process of its own, to be stopped, killed and resumed there.

    python -m validation._long_calls NAME POOL SIZE [PATH]

runs one of them, without a pool ("none"), in a pool of "threads" or of "processes"; prints "running" when the
call begins, and at its end a line of JSON: seconds, status, and a hash of what came out.
"""
from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fpkit as fp
from fpkit.learning.modular_addition import ModularAddition
from fpkit.learning.sgld import sgld as walk_of_sgld
from fpkit.learning.solutions import walks
from fpkit.learning.sweep import sweep as sweep_of_learners
from fpkit.learning.training import train
from fpkit.learning.walkers import learn

WELL = fp.Potential("(x**2 - 1)**2")
LEFT, RIGHT = fp.HalfSpace([-1], 0.9), fp.HalfSpace([1], 0.9)
SPACE = fp.Potential("(x**2 - 1)**2 + y**2 + z**2 + x*y*z/4")
BALLS = fp.Ball([-1, 0, 0], 0.4), fp.Ball([1, 0, 0], 0.4)
EGGS = fp.Potential("cos(3*x) + cos(2*y) + x*y/20 + x**2/30 + y**2/30")
OFTEN = {"checkpoint_every": 0.05}
POOLS = ("none", "threads", "processes")


class Call(NamedTuple):
    """A long call of a size n, with its state in `path` where that is given.

    `whole` is a size of a few seconds, `endless` one of at least half a minute, `warm` compiles what there
    is.
    """

    run: Callable[[int, Any, Any], Any]
    numbers: Callable[[Any], Any]
    warm: int
    whole: int
    endless: int
    takes_pool: bool = True
    keeps_state: bool = True


def stored(path):
    """Arguments of a call with a checkpoint."""
    return {} if path is None else {"checkpoint": path, **OFTEN}


def slow_value(points):
    return 0.5 * (points**2).sum(-1)


def slow_gradient(points):
    time.sleep(1e-3)
    return points


def slow_loss(w):
    time.sleep(2e-3)
    return {"train_loss": float(np.cos(3 * w[0]) + w[1] ** 2 + w[2])}


def slow_rate(V, theta):
    time.sleep(0.02)
    return fp.eyring_kramers(V, [-1], [0], theta)


def space(n):
    return fp.FokkerPlanck(SPACE, 0.15, fp.Grid([(-2, 2), (-1.6, 1.6), (-1.6, 1.6)], (n,) * 3))


def evolution(n, path, pool):
    D = space(n)
    return D.evolve([-1.0, 0.1, 0.0], np.linspace(0.05, 4, 20), tol=1e-6, **stored(path))


def exported(n, path, pool):
    """An export whose file and journal stand at `path`."""
    w = np.arange(5.0)
    plane = fp.Plane.through(w, w + [1, 0, 0, 0, 0], w + [0, 1, 1, 0, 0])
    with contextlib.ExitStack() as stack:
        if path is None:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "surface.h5"
        fp.export_landscape(path, slow_loss, plane, x=(-1, 2, n), y=(-1, 1, n), save_every=0.05,
                            executor=pool, thread_safe=True, created_utc=None, progress=False)
        return np.frombuffer(Path(path).read_bytes(), np.uint8)


def analysed(n, path, pool):
    """A landscape of n x n cells with some twenty wells, at many temperatures."""
    from fpkit.landscapes.files.writing import write_landscape

    with tempfile.TemporaryDirectory() as folder:
        x = np.linspace(-4, 4, n)
        write_landscape(Path(folder) / "surface.h5", x, x, {"train_loss": EGGS(
            np.stack(np.meshgrid(x, x), -1))})
        return fp.analyse(Path(folder) / "surface.h5", theta=np.geomspace(0.03, 1, 40), n_paths=2000,
                          executor=pool)


def network(n, path, pool):
    return fp.well_network(EGGS, 0.1, fp.Grid([(-1.5 - n / 4, 1.5 + n / 4)] * 2, (64 + 16 * n,) * 2),
                           executor=pool)


def networks_of(n):
    return [ModularAddition(13, 32, 0.6, seed) for seed in range(n)]


CALLS = {
    "simulate": Call(lambda n, path, pool: fp.simulate(WELL, 0.3, [-1.0], 0.01, n, 50, save_every=1000,
                                                       executor=pool, **stored(path)),
                     lambda r: r.paths, 2000, 3_000_000, 300_000_000),
    "sample": Call(lambda n, path, pool: fp.sample(WELL, 0.3, [-1.0], 0.01, n, 200, burn_in=100, every=5,
                                                   executor=pool, **stored(path)),
                   lambda r: [r.energy.value, r.energy.error], 2000, 300_000, 10**9),
    "exit_time": Call(lambda n, path, pool: fp.exit_time(WELL, 0.13, [-1.0], RIGHT, 0.01, n, executor=pool,
                                                         **stored(path)),
                      lambda r: r.times, 20, 1000, 1_000_000),
    "exit_time, extrapolated": Call(
        lambda n, path, pool: fp.exit_time(WELL, 0.13, [-1.0], RIGHT, 0.01, n, executor=pool,
                                           extrapolate=True, **stored(path)),
        lambda r: [r.value, *r.interval], 20, 400, 1_000_000),
    "multilevel_splitting": Call(
        lambda n, path, pool: fp.multilevel_splitting(WELL, 0.08, LEFT, RIGHT, 0.005, 60, n, x0=[-1.0],
                                                      executor=pool, **stored(path)),
        lambda r: r.repeats, 4, 40, 100_000),
    "fleming_viot": Call(
        lambda n, path, pool: fp.fleming_viot(WELL, 0.4, RIGHT, [-1.0], 0.01, 200, t=0.01 * n, n_systems=6,
                                              executor=pool, **stored(path)),
        lambda r: r.walkers, 2000, 150_000, 10**8),
    "compare_rates": Call(
        lambda n, path, pool: fp.compare_rates(
            fp.catalogue.double_well(), [-1], [1], np.geomspace(0.15, 0.3, n), ["rate", "gap", "paths"],
            n_paths=300, executor=pool, **({} if path is None else {"checkpoint": path})),
        lambda r: [e.value for column in r.cells.values() for e in column], 1, 6, 500),
    "sweep": Call(
        lambda n, path, pool: fp.sweep(slow_rate, ((WELL, float(t)) for t in np.linspace(0.05, 0.2, n)),
                                       executor=pool, **stored(path)),
        lambda r: r["value"], 2, 120, 100_000),
    "export_landscape": Call(exported, lambda r: r, 3, 31, 400),
    "learn": Call(lambda n, path, pool: learn(networks_of(16), n, 0.01, 1e-4, 1e-3, executor=pool,
                                              progress=False, **stored(path)),
                  lambda r: r.x, 200, 6000, 10**8),
    "sgld": Call(lambda n, path, pool: walk_of_sgld(networks_of(1)[0], 1e-4, networks_of(1)[0].start(),
                                                    0.002, n, 1e-3, n_paths=4, **stored(path)),
                 lambda r: r.x, 200, 8000, 10**8, takes_pool=False),
    "train": Call(lambda n, path, pool: train(ModularAddition(31, 64, 0.6), n, 0.003),
                  lambda r: r.x, 20, 1000, 10**6, takes_pool=False, keeps_state=False),
    "sweep of learners": Call(
        lambda n, path, pool: sweep_of_learners((0.8, 0.3), n_seeds=3, n_steps=n, modulus=23, width=64,
                                                executor=pool),
        lambda r: r.t_grokked, 200, 1000, 10**6, keeps_state=False),
    "walks": Call(lambda n, path, pool: walks(((1e-3, 1e-4, n),), (0,), modulus=11, fraction=0.75,
                                                executor=pool),
                  lambda r: [row["late"] for row in r.rows], 200, 20_000, 10**8, keeps_state=False),
    "gradient_flow": Call(
        lambda n, path, pool: fp.gradient_flow(fp.Potential.black_box(slow_value, slow_gradient, ndim=1),
                                               np.linspace(0.1, 1, n)[:, None], 1.0),
        lambda r: r.x, 2, 20, 100_000, takes_pool=False, keeps_state=False),
    "evolve": Call(lambda n, path, pool: fp.FokkerPlanck(EGGS, 0.15, fp.Grid([(-4, 4)] * 2, (n, n))).evolve(
        [1.0, 1.5], np.geomspace(0.1, 1e8, 20), **stored(path)), lambda r: r.densities, 12, 96, 900,
        takes_pool=False),
    "evolve, 3D": Call(evolution, lambda r: r.densities, 8, 32, 80, takes_pool=False),
    "mfpt, 3D": Call(lambda n, path, pool: space(n).mfpt(BALLS[1]), lambda r: r.values, 12, 40, 144,
                     takes_pool=False, keeps_state=False),
    "committor, 3D": Call(lambda n, path, pool: space(n).committor(*BALLS), lambda r: r.values, 12, 40, 144,
                          takes_pool=False, keeps_state=False),
    "spectrum, 3D": Call(lambda n, path, pool: space(n).spectrum(3), lambda r: [float(v) for v in r], 12, 40,
                         144, takes_pool=False, keeps_state=False),
    "mfpt, 2D": Call(lambda n, path, pool: fp.FokkerPlanck(EGGS, 0.15, fp.Grid([(-4, 4)] * 2, (n, n))).mfpt(
        fp.Ball([1, 1.5], 0.3)), lambda r: r.values, 24, 300, 800, takes_pool=False, keeps_state=False),
    "well_network": Call(network, lambda r: r.log_conductance, 2, 8, 60, keeps_state=False),
    "analyse": Call(analysed, lambda r: r.occupation, 21, 31, 201, keeps_state=False),
}


def pool_of(kind):
    """A pool of two workers, or a context that gives None."""
    if kind == "threads":
        return ThreadPoolExecutor(2)
    if kind == "processes":
        return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
    return contextlib.nullcontext()


def main(name, kind, size, path=None):
    """Run one call, compiled before by a short one."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.default_int_handler)     # shells switch it off in the background
    call = CALLS[name]
    with pool_of(kind) as pool:
        try:
            call.run(call.warm, None, pool)
        except ValueError as error:
            print(f"the short call was refused: {error}", file=sys.stderr)
        print("running", flush=True)
        started, said = time.monotonic(), {}
        try:
            found = call.run(int(size), path, pool)
            numbers = np.ascontiguousarray(np.asarray(call.numbers(found)))
            said = {"status": str(getattr(found, "status", "ok")), "n": int(numbers.size),
                    "hash": hashlib.sha256(numbers.tobytes()).hexdigest()[:16]}
        except KeyboardInterrupt as error:
            said = {"status": f"KeyboardInterrupt: {error}"}
        print(json.dumps({"seconds": time.monotonic() - started, **said}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
