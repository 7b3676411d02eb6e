"""Evaluating a loss at many points: here, in processes of this machine, or wherever an executor leads."""
from __future__ import annotations

import itertools
import pickle
import re
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from ...core import checks
from ...core.sharing import finished

RESERVED = {"xcoordinates", "ycoordinates", "zcoordinates", "fpkit", "dir_file"}


def potential_of(names):
    """Name of the loss that counts: the training loss, else the test loss."""
    return "train_loss" if "train_loss" in names else "test_loss"


def values_of(answer):
    """What a loss returned, as a dict of floats; a loss given as an array of minibatch losses becomes mean
    and standard error."""
    if answer is None or isinstance(answer, (tuple, list)):
        raise TypeError(f"the loss returned {checks.shown(answer)}, and what that means is not told; "
                        "return one number, or a dict such as {'train_loss': 0.3, 'train_acc': 95.0}; losses "
                        "of minibatches come as one array.")
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
        if hasattr(value, "detach"):                         # a tensor, with its gradient perhaps
            value = value.detach().cpu().double()
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
        groups = iter(lambda: list(itertools.islice(tasks, at_once)), [])
        for _, found in finished(None, _evaluate_group, ((group,) for group in groups), (loss, on_error)):
            yield from found
    elif executor is not None or workers == 1:
        for _, found in finished(executor, _evaluate_task, tasks, (loss, on_error)):
            yield found
    else:
        with _processes(loss, workers) as pool:
            for _, found in finished(pool, _evaluate_here, tasks, (on_error,)):
                yield found


def _evaluate_group(loss, on_error, group):
    try:
        answers = [values_of(a) for a in loss.many([vector for _, vector in group])]
    except Exception:
        if on_error == "raise":
            raise
        answers = [evaluate(loss, vector, on_error) for _, vector in group]
    return zip((index for index, _ in group), answers)


def _evaluate_task(loss, on_error, index, vector):
    return index, evaluate(loss, vector, on_error)


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


def _evaluate_here(on_error, index, vector):
    return index, evaluate(_LOSS, vector, on_error)
