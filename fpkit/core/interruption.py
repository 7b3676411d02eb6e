"""Ctrl-C held back until what is under way is whole: in a call, in the threads of its pool, and in worker
processes."""
from __future__ import annotations

import contextlib
import math
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator

GRACE_SECONDS = 1.5                          # what is not whole by then is given up

_is_held: Callable[[], bool] | None = None   # of the outermost call that holds Ctrl-C back: was it pressed?
_job = threading.local()                     # of a thread of a pool: is its job given up?
_whole: list[int] = []                       # calculations under way that need whole results


def interruption(grace: float = math.inf) -> contextlib.AbstractContextManager[Callable[[], bool]]:
    """Hold Ctrl-C back. Yields a function that tells whether it was pressed; the second press acts at once,
    and so does the first one after `grace` seconds.

    Inside another such call, and in the threads of its pool, the outer one is asked: one press ends all.
    """
    held = _held()
    return _holding(grace, True) if held is None else contextlib.nullcontext(held)


@contextlib.contextmanager
def given_up_by(is_given_up: Callable[[], bool]) -> Iterator[None]:
    """During a job of a thread of a pool: its caller no longer waits once `is_given_up()`, and the job stops
    as if Ctrl-C had been pressed."""
    _job.held = is_given_up
    try:
        yield
    finally:
        _job.held = None


def _held():
    return getattr(_job, "held", None) or _is_held


def left_to_the_caller() -> contextlib.AbstractContextManager[Callable[[], bool]]:
    """During a job of a worker process: Ctrl-C reaches it too, where it would cut what the caller means to
    keep. The job has `GRACE_SECONDS` to become whole, then it ends by KeyboardInterrupt. From the first job
    on, messages between the processes are not cut: the other side would wait for the rest for ever."""
    if multiprocessing.parent_process() is None or _is_held is not None:
        return contextlib.nullcontext(_never)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        with contextlib.suppress(ValueError):                    # not in the main thread
            signal.signal(signal.SIGINT, _between_messages)
    return _holding(GRACE_SECONDS, False)


def stop_if_pressed() -> None:
    """Raise KeyboardInterrupt where a call further out holds Ctrl-C back and it was pressed, or gave this job
    up: asked between the steps of long solves, which have nothing to keep."""
    held = _held()
    if held is not None and held():
        raise KeyboardInterrupt


@contextlib.contextmanager
def whole_results() -> Iterator[None]:
    """Inside, what is cut by Ctrl-C is not returned as a partial result but ends as KeyboardInterrupt: for a
    calculation that is made of long calls and needs them whole."""
    _whole.append(1)
    try:
        yield
    finally:
        _whole.pop()


def stop_if_needed_whole() -> None:
    """Raise KeyboardInterrupt in place of a partial result inside `whole_results`."""
    if _whole:
        raise KeyboardInterrupt


def _between_messages(number, frame):
    if not frame.f_globals.get("__name__", "").startswith(("multiprocessing.", "concurrent.")):
        raise KeyboardInterrupt


def _never():
    return False


@contextlib.contextmanager
def _holding(grace, is_told) -> Iterator[Callable[[], bool]]:
    """The handler of SIGINT, in the main thread alone; `is_told` decides whether the press is."""
    global _is_held
    pressed: list[int] = []
    timers: list[threading.Timer] = []

    def note(number, frame):
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)
        if math.isfinite(grace):
            timers.append(threading.Timer(grace, _press_again))
            timers[0].daemon = True
            timers[0].start()
    if threading.current_thread() is not threading.main_thread():
        yield _never
        return
    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:                                           # an embedded interpreter
        yield _never
        return
    _is_held = (lambda: bool(pressed)) if is_told else _never
    try:
        yield _is_held
    finally:
        for timer in timers:
            timer.cancel()
        _is_held = None
        signal.signal(signal.SIGINT, before)
    if pressed:
        stop_if_needed_whole()


def _press_again():
    """Signal the main thread, also while it waits."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)
