"""The same question for many cases: on one machine or many, in bounded memory, resumed after a kill, one
table at the end."""
from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core import checks
from ..core.calls import understood
from ..core.interruption import GRACE_SECONDS, interruption
from ..core.progress import bar
from ..core.results import Estimate
from ..core.sharing import finished, is_here
from ..core.text import printable
from ..core.views.tables import Tabular
from .journal import Journal

ROWS_SHOWN = 8


@dataclass(frozen=True, repr=False)
class SweepTable(Tabular):
    """One row for each case that was done, in the order of the cases.

    Attributes
    ----------
    columns : dict of list
        ``case`` (its number), what the case said in numbers and texts, and what the call answered: of an
        Estimate ``value``, ``error``, ``log10`` and ``status``.
    status : str
        "ok", or how many cases are missing and why.
    inputs : dict

    ``table["value"]`` is an array, ``table.to_dataframe()`` a data frame.
    """
    columns: dict[str, list]
    status: str = "ok"
    inputs: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns.get("case", ()))

    def __getitem__(self, name: str) -> np.ndarray:
        """One column as an array."""
        return np.array(self.columns[checks.choice("column", name, self.columns)])

    def _columns(self):
        return self.columns

    def __repr__(self) -> str:
        shown = list(self.columns)[:8]
        lines = [f"sweep of {len(self)} cases: {self.status}", "  ".join(f"{n[:12]:>12}" for n in shown)]
        for k in range(min(len(self), ROWS_SHOWN)):
            cells = (self.columns[n][k] for n in shown)
            lines.append("  ".join(f"{c:12.6g}" if isinstance(c, float) else f"{printable(str(c))[:12]:>12}"
                                   for c in cells))
        return "\n".join(lines + ["  ..."] * (len(self) > ROWS_SHOWN))


@understood
def sweep(call: Callable[..., Any], cases: Iterable[Any], executor: Executor | None = None,
          checkpoint: str | os.PathLike[str] | None = None, checkpoint_every: float = 2.0,
          resume: bool | None = None, progress: bool | None = None) -> SweepTable:
    """Answers of a call for many cases, as one table.

    Parameters
    ----------
    call : callable
        ``call(**case)`` for a case that is a dictionary, ``call(*case)`` for a tuple, else ``call(case)``; it
        returns a number, an Estimate, or a dictionary of them. With an executor it stands at the top of a
        module, unless cloudpickle is installed.
    cases : iterable
        Such as (potential, theta) pairs. A generator is read as the work goes on, so that no more than a few
        cases exist at a time.
    executor : concurrent.futures.Executor, optional
        Cases go to its workers; those of a lost worker are done again. The table does not depend on it. Any
        executor will do: of threads, processes, mpi4py.futures, or a dask cluster behind a batch queue [1]_::

            from dask_jobqueue import SLURMCluster
            from distributed import Client

            cluster = SLURMCluster(cores=8, processes=8, memory="16GB", walltime="01:00:00")
            cluster.scale(jobs=10)
            client = Client(cluster)
            client.wait_for_workers(80)
            table = fp.sweep(rate, cases, executor=client.get_executor(), checkpoint="rates.jsonl")

        The same executor goes to every other call that takes one (`fpkit.sample`, `fpkit.exit_time`, ...).
    checkpoint : path, optional
        File of finished rows, one JSON text a line, to which the finished ones are added every
        `checkpoint_every` seconds: a kill or a full disk loses the last interval at most. A later call with
        the same cases goes on where it ended; a case that has changed is refused.
    resume : bool, optional
        True: the file must exist; False: it must not; None: go on if it exists.
    progress : bool, optional

    Returns
    -------
    SweepTable
        Ctrl-C returns what is done, and `status` says so.

    Examples
    --------
    >>> V = fp.Potential("a*(x**2 - 1)**2", a=1.0)
    >>> def rate(V, theta):
    ...     return fp.eyring_kramers(V, [-1], [0], theta)
    >>> table = fp.sweep(rate, ((V.with_params(a=a), 0.1) for a in (1.0, 1.5, 2.0)))
    >>> len(table), bool((np.diff(table["log10"]) < 0).all())     # higher barriers, lower rates
    (3, True)

    References
    ----------
    .. [1] https://jobqueue.dask.org
    """
    if not callable(call):
        raise TypeError(f"call must be a function of a case, got {checks.shown(call)}.")
    journal = Journal(checkpoint, checkpoint_every, resume, call)
    try:
        n_cases = len(cases)                                     # type: ignore[arg-type]
    except TypeError:
        n_cases = None
    pending, digests, seen = [], {}, [0]

    def jobs() -> Iterator[tuple]:
        for k, case in enumerate(cases):
            seen[0] = k + 1
            digest = journal.digest_of(k, case)
            if digest is not None and journal.is_done(k, digest):
                continue
            pending.append(k)
            digests[k] = digest
            yield case,
    may_be_cut = executor is None or is_here(executor)           # a call that ends after the press
    with journal, interruption(GRACE_SECONDS) as is_pressed, bar(n_cases, "sweep", progress,
                                                                 " cases") as shown:
        if shown is not None:
            shown.update(len(journal.rows))
        with contextlib.suppress(KeyboardInterrupt):             # a case that took longer than the grace
            for n, row in finished(executor, answered, jobs(), (call,), is_pressed):
                if is_pressed() and may_be_cut:
                    break
                k = pending[n]
                journal.add(k, digests.pop(k), row)
                if shown is not None:
                    shown.update()
        is_cut = is_pressed()
    n_done = sum(k < seen[0] for k in journal.rows)
    is_whole = n_done == n_cases if n_cases is not None else not is_cut and not digests
    status = "ok" if is_whole else (
        f"stopped by Ctrl-C: {n_done} cases are done" + (f" of {n_cases}" if n_cases is not None else ""))
    return SweepTable(_as_columns(journal.rows), status, {"call": getattr(call, "__name__", repr(call))})


def answered(call: Callable[..., Any], case: Any) -> dict[str, Any]:
    """The row of one case, here or in a worker: what it said, and what the call answered."""
    if isinstance(case, dict):
        found, said = call(**case), case
    elif isinstance(case, tuple):
        found, said = call(*case), {f"argument {k}": a for k, a in enumerate(case)}
    else:
        found, said = call(case), {"argument": case}
    row = {}
    for name, a in said.items():
        params = getattr(a, "params", None)
        if isinstance(params, dict):                             # a potential: its text and its parameters
            row |= {name: printable(str(getattr(a, "source", a))), **{p: float(v) for p, v in params.items()}}
        else:
            row |= _numbers(name, a)
    for name, a in (found.items() if isinstance(found, dict) else [("value", found)]):
        row |= _numbers(name, a)
    return row


def _numbers(name, a):
    """Plain numbers and texts of one entry."""
    if isinstance(a, Estimate):
        more = {"error": a.error, "log10": a.log10, "status": a.status}
        return {name: a.value, **{m if name == "value" else f"{name}_{m}": v for m, v in more.items()}}
    if isinstance(a, (bool, int, str)) or a is None:
        return {name: printable(a) if isinstance(a, str) else a}
    try:
        return {name: float(a)}
    except (TypeError, ValueError):
        return {name: checks.shown(a)}


def _as_columns(rows):
    """Columns of all rows in the order of their cases; None where a row has no such entry."""
    order = sorted(rows)
    names = dict.fromkeys(name for k in order for name in rows[k])
    return {"case": order, **{name: [rows[k].get(name) for k in order] for name in names}}
