"""Work shared among the workers of a concurrent.futures.Executor, whatever stands behind it: threads,
processes of this machine, mpi4py.futures, a dask cluster.

What comes back does not depend on who did it: jobs are numbered, and each is a function of what it is given.
A worker that is lost takes nothing with it: what is finished is kept, the rest is run again.
"""
from __future__ import annotations

import contextlib
import functools
import math
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from typing import Any

from .interruption import GRACE_SECONDS, given_up_by, interruption, left_to_the_caller

POLL_SECONDS = 0.1
MOST_LOSSES = 3                              # of workers in a row, or with one job: then the job is to blame
OPEN = 2                                     # jobs under way for each worker
UNKNOWN_WORKERS = 8                          # of an executor that does not tell


def as_executor(executor: Any) -> Executor | None:
    """An executor as it was given; the one of a dask client that was given in its place.

    Raises
    ------
    TypeError
        For what cannot take a job.
    """
    if callable(getattr(executor, "get_executor", None)):
        return executor.get_executor()
    if executor is None or callable(getattr(executor, "submit", None)):
        return executor
    raise TypeError(f"executor must have the interface of concurrent.futures.Executor, got a "
                    f"{type(executor).__name__}; of a dask client give client.get_executor().")


def n_workers(executor: Any, unknown: int = UNKNOWN_WORKERS) -> int:
    """Workers behind an executor: what it says itself, the threads of a dask cluster at this moment, or
    `unknown`."""
    for name in ("_max_workers", "num_workers", "max_workers"):
        found = getattr(executor, name, None)
        if isinstance(found, int) and found > 0:
            return found
    client = getattr(executor, "_client", None)
    with contextlib.suppress(Exception):
        return max(1, sum(client.ncores().values()))
    return unknown


def finished(executor: Any, work: Callable, jobs: Iterable[tuple], common: tuple = (),
             is_pressed: Callable[[], bool] | None = None) -> Iterator[tuple[int, Any]]:
    """(number of the job, ``work(*common, *job)``) as they are finished; here, one after the other, without
    an executor.

    At most `OPEN` jobs a worker are under way, so `jobs` may be an endless generator. Ctrl-C (`is_pressed`)
    ends the iteration after what is under way, as far as it ends within `GRACE_SECONDS`; workers that go on
    are ended. An error of a job is raised, and the others are given up.

    Parameters
    ----------
    executor : Executor or None
    work : callable
        At the top of a module; with cloudpickle installed any function.
    jobs : iterable of tuple
    common : tuple
        What all jobs share; packed once.
    is_pressed : callable, optional
        Default: Ctrl-C is held back here, and raised at the end. (Raised at any moment it may come in the
        callback of a weak reference, where Python drops it.)
    """
    if is_pressed is None:
        with interruption(math.inf if executor else GRACE_SECONDS) as is_pressed:
            yield from finished(executor, work, jobs, common, is_pressed)
            if is_pressed():
                raise KeyboardInterrupt
        return
    if executor is None:
        for k, job in enumerate(jobs):
            if is_pressed():
                return
            yield k, work(*common, *job)
        return
    pool = _Pool(as_executor(executor), work, common, is_pressed)
    waiting, again, open_jobs, end = enumerate(jobs), [], {}, None
    try:
        while True:
            while len(open_jobs) < pool.width and not is_pressed():
                task = again.pop() if again else next(waiting, None)
                if task is None:
                    break
                open_jobs[pool.submit(task[1])] = task
            if is_pressed():                 # what has not begun will not begin
                open_jobs = {future: task for future, task in open_jobs.items() if not future.cancel()}
                end = end or time.monotonic() + GRACE_SECONDS + 5 * POLL_SECONDS
            if not open_jobs or end and time.monotonic() > end:
                return
            for future in _done(open_jobs):
                task = open_jobs.pop(future)
                error = future.exception()
                if error is None:
                    pool.won(task[0])
                    yield task[0], future.result()
                elif is_pressed():           # the signal reached the workers as well
                    continue
                elif _is_loss(error):
                    pool.lost(task[0])
                    again.append(task)
                else:
                    raise error
    finally:
        pool.close(open_jobs)


def in_order(executor: Any, work: Callable, jobs: Iterable[tuple], common: tuple = (),
             is_pressed: Callable[[], bool] | None = None) -> list:
    """The results of `finished` in the order of the jobs; None for those that Ctrl-C left undone."""
    jobs = list(jobs)
    found = [None] * len(jobs)
    for k, result in finished(executor, work, jobs, common, is_pressed):
        found[k] = result
    return found


class _Pool:
    """The executor, and another one of its kind when a pool of processes has broken."""

    def __init__(self, executor, work, common, is_pressed):
        self.given = self.now = executor
        self.is_pressed, self.is_closed = is_pressed, False
        self.call = work if is_here(executor) else Portable(work, common)
        self.common = common if is_here(executor) else None
        self.width = OPEN * n_workers(executor)
        self.losses, self.losses_of = 0, {}

    def submit(self, job):
        if self.common is not None:
            return self.now.submit(self._here, *self.common, *job)
        data = dumps(job, "an argument")
        try:
            return self.now.submit(self.call, data)
        except BrokenExecutor:
            self._anew()
            return self.now.submit(self.call, data)

    def _here(self, *job):
        with given_up_by(lambda: self.is_closed or self.is_pressed()):
            return self.call(*job)

    def won(self, k):
        self.losses = 0
        self.losses_of.pop(k, None)

    def lost(self, k):
        self.losses_of[k] = self.losses_of.get(k, 0) + 1
        self.losses = max(self.losses_of.values())
        if self.losses > MOST_LOSSES:
            raise RuntimeError(f"workers died {self.losses} times over the same piece of work before it was "
                               "done. In a script the call belongs below `if __name__ == \"__main__\":`; "
                               "otherwise memory may have run out: take fewer workers.") from None

    def _anew(self):
        e = self.now
        if not isinstance(e, ProcessPoolExecutor):
            raise RuntimeError(f"the workers of the {type(e).__name__} are gone and no new ones "
                               "came.") from None
        self.close()
        self.now = ProcessPoolExecutor(e._max_workers, e._mp_context, e._initializer, e._initargs)

    def close(self, open_jobs=()):
        """Give up what is under way: threads are told; processes end it, but after Ctrl-C, when nobody is
        left to wait for them, they are ended."""
        self.is_closed = True
        is_left = not all([future.cancel() or future.done() for future in open_jobs])
        if is_left and self.is_pressed() and isinstance(self.now, ProcessPoolExecutor):
            for process in list((self.now._processes or {}).values()):
                process.terminate()
            self.now._result_queue._writer.close()       # the reader would wait for the rest of a message
        if self.now is not self.given:
            self.now.shutdown(wait=False, cancel_futures=True)


def is_here(executor: Any) -> bool:
    """Whether jobs run in this process and share its objects."""
    return isinstance(executor, ThreadPoolExecutor) or getattr(executor, "runs_here", False)


def _is_loss(error):
    """Whether an error says that a worker died, or was told to, and not that its work failed."""
    return isinstance(error, (BrokenExecutor, KeyboardInterrupt)) or type(error).__name__ in (
        "KilledWorker", "CancelledError", "FutureCancelledError")


def _done(futures):
    """Those that are done, at least one; a moment without any gives an empty list, so that Ctrl-C is seen."""
    if all(isinstance(f, Future) for f in futures):
        return wait(futures, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED).done
    ready = [f for f in futures if f.done()]
    if not ready:
        time.sleep(POLL_SECONDS / 5)
    return ready


# ---- what travels ----

class Portable:
    """``work(*common, *job)`` for a worker elsewhere: packed once, by value where cloudpickle is installed;
    called with the packed job."""

    def __init__(self, work: Callable, common: tuple) -> None:
        self.data = dumps((work, common), "an argument or a function")

    def __call__(self, job: bytes) -> Any:
        work, common = _opened(self.data)
        with left_to_the_caller():
            return work(*common, *pickle.loads(job))


def dumps(a: Any, what: str) -> bytes:
    """Bytes of an object, by cloudpickle where it is installed; or a sentence."""
    try:
        from cloudpickle import dumps as pack
    except ImportError:
        pack = pickle.dumps
    try:
        return pack(a)
    except Exception as error:
        helps = "" if pack is not pickle.dumps else ", or install cloudpickle"
        raise TypeError(f"an executor needs arguments that can be sent to other processes, and {what} cannot "
                        f"({' '.join(str(error).split())[:120]}); define functions at the top of a module"
                        f"{helps}.") from None


@functools.lru_cache(4)
def _opened(data):
    return pickle.loads(data)
