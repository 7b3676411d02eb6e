"""An ensemble shared among the workers of a concurrent.futures.Executor, with the bits of a single run.

The run is made in rounds of about a second: in each, every part is brought to the same step by one job that
is given the state of the part and returns it. Ctrl-C is seen between rounds; what is merged are always the
parts of one and the same round, never a part that a signal has stopped earlier.
"""
from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from concurrent.futures import Executor, ThreadPoolExecutor, wait

import numpy as np

from ..dynamics.ensemble import Ensemble
from ..runs.driving import bar, interruption
from .tally import Accumulators

ALONG_GROUPS = {"counts": 1, "outside": 0, "products": 0, "last_region": 0, "means/table": 1, "means/open": 0,
                "means/squares": 0, "means/sizes": 0}
ROUND_SECONDS, FIRST_STEPS, POLL_SECONDS = 1.0, 64, 0.1


def shared(executor: Executor, potential, x0, settings, tally, plan, n_threads, progress):
    """Run the plan in parts (whole strands of `tally`), fill `tally` with the sums; (steps made, last places,
    accepted proposals) of all paths.

    The random streams belong to the trajectories and the strands stay whole, so that nothing depends on the
    number of parts.
    """
    n_parts = min(tally.n_strands, _workers(executor, tally.n_strands))
    cuts = np.arange(n_parts + 1) * tally.n_strands // n_parts
    common = (potential, settings, (tally.shifts[:-1], tally.grid, tally.regions, tally.observables),
              tally.marginal, plan, n_threads or 1)
    try:
        if not isinstance(executor, ThreadPoolExecutor):        # threads share the objects themselves
            pickle.dumps(common)
    except Exception as error:
        raise TypeError(f"an executor needs arguments that can be sent to other processes ({error}); define "
                        "functions at the top of a module.") from None
    firsts, parts = tally.groups[tally.strands], []
    for a, b in zip(cuts, cuts[1:]):
        paths = np.arange(firsts[a], firsts[b])
        parts.append((x0 if x0.ndim == 1 else x0[paths], paths, (int(a), int(b)), tally.n_paths))
    states, done, n, n_steps = [None] * n_parts, 0, FIRST_STEPS, plan["n_steps"]
    with interruption() as is_pressed, bar(n_steps, "sampling", progress) as shown:
        while done < n_steps and not is_pressed():
            end = min(done + n, n_steps)
            started = time.perf_counter()
            found = _round(executor, [(common, *part, state, end) for part, state in zip(parts, states)],
                           is_pressed)
            if found is None:
                break
            if shown is not None:
                shown.update(end - done)
            states, done = found, end
            n = max(1, int(n * min(max(ROUND_SECONDS / max(time.perf_counter() - started, 1e-6), 0.25), 8.0)))
    if states[0] is None:
        raise KeyboardInterrupt("interrupted before the first round of the workers ended: there is nothing "
                                "yet")
    sums = [state[1] for state in states]
    merged = dict(sums[0])
    for name, axis in ALONG_GROUPS.items():
        merged[name] = np.concatenate([s[name] for s in sums], axis=axis)
    merged["transitions"] = sum(s["transitions"] for s in sums)
    tally.restore(merged)
    places = np.concatenate([state[0]["X"] for state in states], axis=1)
    return done, places.T.copy(), np.concatenate([state[0]["accepted"] for state in states])


def _workers(executor, most):
    """Parts to make: the workers of a pool of this library; for an executor that does not tell, as many as
    there may be."""
    if isinstance(executor, ThreadPoolExecutor) or type(executor).__module__.startswith("concurrent.futures"):
        return getattr(executor, "_max_workers", None) or os.cpu_count() or 1
    return most


def _round(executor, jobs, is_pressed):
    """The new states of all parts, or None when Ctrl-C came and a worker with it."""
    futures = [executor.submit(work, *job) for job in jobs]
    try:
        waiting = set(futures)
        while waiting:
            waiting = wait(waiting, timeout=POLL_SECONDS).not_done if _is_standard(futures) else set()
        return [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.cancel()
        if is_pressed():                                         # the signal reached the workers as well
            return None
        raise


def _is_standard(futures):
    """Whether `concurrent.futures.wait` can wait for them; other executors have futures of their own."""
    return all(type(future).__module__.startswith("concurrent.futures") for future in futures)


def work(common, start, paths, strands, n_paths, state, end):
    """Bring one part to the step `end`, in a worker: (state of the ensemble, state of the tally)."""
    _leave_signals_to_the_caller(end == common[4]["n_steps"])
    process, settings, what, marginal, plan, n_threads = common
    ensemble = Ensemble(process, x0=start, n_threads=n_threads, trajectories=paths,
                        **{**settings, "n_paths": len(paths)})
    tally = Accumulators(ensemble.potential, n_paths, *what, n_threads, strands=strands, marginal=marginal)
    if state is not None:
        ensemble.restore(state[0])
        tally.restore(state[1])
    for stop, every in ((min(plan["burn_in"], end), None), (end, plan["every"])):
        while ensemble.step < stop:
            saved = ensemble.advance(min(stop - ensemble.step, _chunk(ensemble, every)), every)
            ensemble.check_finite()
            if saved is not None and len(saved):
                tally.add(saved)
    return ensemble.state(), tally.state()


def _chunk(ensemble, every):
    """Steps at once: what is saved in them must stay small."""
    return max(1, 2**23 // ensemble.X.size) * (every or 64)


def _leave_signals_to_the_caller(is_last):
    """Ignore Ctrl-C in a worker process as long as the run goes on: the caller sees it, and stops all parts
    at the same step."""
    if multiprocessing.parent_process() is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler if is_last else signal.SIG_IGN)
