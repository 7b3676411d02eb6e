"""Long runs in chunks of a few tenths of a second: between them come the progress bar, Ctrl-C and the check
that all is finite."""
from __future__ import annotations

import threading
import time

from ...core.interruption import interruption
from ...core.progress import bar as progress_bar

CHUNK_SECONDS = 0.2
CHUNK_BYTES = 2**26                                              # of saved places held at once
POLL_SECONDS = 0.05


def stoppable(call, stop, is_pressed):
    """Run `call`, a long compiled kernel that releases the interpreter and returns soon after stop[0] = 1, in
    a thread of its own, so that Ctrl-C is seen meanwhile."""
    if threading.current_thread() is not threading.main_thread():
        call()
        return
    failed = []

    def run():
        try:
            call()
        except BaseException as error:                           # told by the thread that waits
            failed.append(error)
    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    try:
        while worker.is_alive():
            worker.join(POLL_SECONDS)
            if is_pressed():
                stop[0] = 1
    finally:
        stop[0] = stop[0] or int(worker.is_alive())
        worker.join()
    if failed:
        raise failed[0]


def bar(total, label, progress, unit="step"):
    """A bar of large numbers of steps or paths, `fpkit.core.progress.bar`."""
    return progress_bar(total, label, progress, unit, unit_scale=True)


def drive(ensemble, n_steps, every=None, progress=None, label="paths"):
    """Advance by `n_steps` in chunks; yields the saved places of each (or None). Stops early, after a whole
    chunk, on Ctrl-C.

    Raises DivergenceError after the chunk in which a path stopped being finite. How the steps fall into
    chunks depends on the clock, the results do not.
    """
    size = ensemble.X.size
    n = max(1, min(256, 2_000_000 // size)) if not ensemble.is_whole else 1
    most = n_steps if not every else max(1, CHUNK_BYTES // (8 * size)) * every
    done = 0
    with interruption() as is_pressed, bar(n_steps, label, progress) as shown:
        while done < n_steps and not is_pressed():
            n = max(1, min(n, most, n_steps - done))
            started = time.perf_counter()
            saved = ensemble.advance(n, every)
            ensemble.check_finite()
            done += n
            if shown is not None:
                shown.update(n)
            yield saved
            elapsed = time.perf_counter() - started  # what the caller does with the places included
            growth = CHUNK_SECONDS / max(elapsed, 1e-6)
            # the first chunk may hold the loading of a kernel
            n = int(n * min(max(growth, 1.0 if done == n else 0.25), 8.0))
