"""Evaluating a loss at many points: here, in processes of this machine, or wherever an executor leads."""
from __future__ import annotations

import itertools
import pickle
import re
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

import numpy as np

from ...core import checks

RESERVED = {"xcoordinates", "ycoordinates", "zcoordinates", "fpkit", "dir_file"}


def potential_of(names):
    """Name of the loss that counts: the training loss, else the test loss."""
    return "train_loss" if "train_loss" in names else "test_loss"


def values_of(answer):
    """What a loss returned, as a dict of floats; a loss given as an array of minibatch losses becomes mean
    and standard error."""
    if isinstance(answer, tuple):
        raise TypeError(f"the loss returned {checks.shown(answer)}, and what its entries mean is not told; "
                        "return one number, or a dict such as {'train_loss': 0.3, 'train_acc': 95.0}.")
    answer = dict(answer) if hasattr(answer, "items") else {"train_loss": answer}
    if not {"train_loss", "test_loss"} & set(answer):
        names = ", ".join(map(str, answer)) or "none"
        raise ValueError("the loss must return a number, or a dict with train_loss or test_loss, got the "
                         f"names {names}.")
    main, found = potential_of(answer), {}
    for name, value in answer.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z]\w{0,63}", name) or name in RESERVED:
            raise ValueError(f"the loss returned a value named {checks.shown(name)}; names are letters, "
                             "digits and underscores, and none of the file's own.")
        try:
            a = np.asarray(value, float)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(f"the loss returned {checks.shown(value)} as {name}, expected a "
                            "number.") from None
        if a.size == 1:
            found[name] = float(a.reshape(()))
        elif a.ndim == 1 and a.size > 1 and name.endswith("_loss"):
            found[name] = float(a.mean())
            if name == main:
                found.setdefault("loss_stderr", float(a.std(ddof=1) / np.sqrt(a.size)))
        else:
            raise ValueError(f"the loss returned an array of shape {a.shape} as {name}, expected a number "
                             "(or losses of minibatches, one axis).")
    return found


def evaluate(loss, vector, on_error):
    """Values of one point, or the text of its failure when failures are recorded."""
    try:
        answer = loss(vector)
    except Exception as error:
        if on_error == "raise":
            raise
        return f"{type(error).__name__}: {error}"[:500]
    return values_of(answer)


def evaluated(loss, tasks, workers=1, executor=None, on_error="raise", at_once=1):
    """(index, values) of tasks (index, vector), in the order in which they are done; `at_once` of them
    together by `loss.many`."""
    if at_once > 1:
        tasks = iter(tasks)
        while group := list(itertools.islice(tasks, at_once)):
            try:
                answers = [values_of(a) for a in loss.many([vector for _, vector in group])]
            except Exception:
                if on_error == "raise":
                    raise
                answers = [evaluate(loss, vector, on_error) for _, vector in group]
            yield from zip((index for index, _ in group), answers)
    elif executor is None and workers == 1:
        for index, vector in tasks:
            yield index, evaluate(loss, vector, on_error)
    elif executor is not None:
        n = workers if workers > 1 else getattr(executor, "_max_workers", None) or 8
        yield from _windowed(lambda vector: executor.submit(evaluate, loss, vector, on_error), tasks, 2 * n)
    else:
        with _processes(loss, workers) as pool:
            yield from _windowed(lambda vector: pool.submit(_evaluate_here, vector, on_error), tasks,
                                 2 * workers)


def _windowed(submit, tasks, n_open):
    """Keep `n_open` tasks under way and yield results as they arrive; what is open is given up when the
    reader leaves."""
    open_tasks, tasks = {}, iter(tasks)
    try:
        while True:
            while len(open_tasks) < n_open and (task := next(tasks, None)) is not None:
                open_tasks[submit(task[1])] = task[0]
            if not open_tasks:
                return
            done, _ = wait(open_tasks, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=open_tasks.get):
                yield open_tasks.pop(future), future.result()
    except BrokenProcessPool:
        raise ValueError("a worker process died before it answered. In a script, the call belongs below "
                         "`if __name__ == \"__main__\":`; otherwise memory may have run out: take fewer "
                         "workers.") from None
    finally:
        for future in open_tasks:
            if isinstance(future, Future):
                future.cancel()


# ---- processes of this machine ----

_LOSS = None


def _processes(loss, workers):
    import multiprocessing

    try:
        pickle.dumps(loss)
    except Exception as error:
        raise ValueError("the loss cannot be sent to worker processes "
                         f"({' '.join(str(error).split())[:120]}); define it at the top of a module, or give "
                         "thread_safe=True with an executor of threads.") from None
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin,
                               initargs=(loss,))


def _begin(loss):
    import threading

    global _LOSS
    _LOSS = loss
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    """A worker whose parent was killed would wait for ever for its next task."""
    import multiprocessing
    import os

    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _evaluate_here(vector, on_error):
    return evaluate(_LOSS, vector, on_error)
