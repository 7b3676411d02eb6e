"""A file of finished rows, one JSON text a line: what a sweep or a table has done is there after any end."""
from __future__ import annotations

import json
import math
import os
import time
from typing import Any

from ..core import checks
from ..core.files import target
from ..core.plain_json import plain
from ..core.runs.identity import REMEDY, NotIdentified, content_of

KIND = "fpkit sweep"


class Journal:
    """Finished rows: in memory and, where there is a path, in a file to which lines are added.

    The file is never rewritten; a last line that a kill has torn is cut off when the work goes on.

    Parameters
    ----------
    path : path or None
    seconds : float
        Between two writings.
    resume : bool or None
        True: the file must exist; False: it must not; None: go on if it exists.
    identity : object
        What the rows belong to, by its content.
    """

    def __init__(self, path, seconds, resume, identity):
        self.path, self.rows, self.known, self.waiting, self.file = path, {}, {}, [], None
        self.seconds = checks.number("checkpoint_every", seconds, non_negative=True)
        if path is None:
            if resume:
                raise ValueError("resume=True needs checkpoint=, the file to go on from.")
            return
        self.path = target(path)
        exists = os.path.lexists(self.path)
        if exists and resume is False:
            raise ValueError(f"{checks.shown(os.fspath(path))} exists; name another file or remove it.")
        if not exists and resume:
            raise FileNotFoundError(f"{checks.shown(os.fspath(path))} does not exist; there is nothing to go "
                                    "on from.")
        try:
            self.head = {"kind": KIND, "call": content_of(identity)}
        except NotIdentified as error:
            raise ValueError(f"{error}, so a later sweep could not be told from this one: {REMEDY}, or leave "
                             "checkpoint= out.") from None
        if exists:
            self._read()

    def _read(self):
        whole = 0
        with open(self.path, "rb") as file:
            for n, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break                                        # torn by a kill
                try:
                    entry = json.loads(line)
                    if n == 0:
                        head = {k: entry[k] for k in self.head}
                    else:
                        self.rows[int(entry["k"])] = dict(entry["row"])
                        self.known[int(entry["k"])] = str(entry["case"])
                except (ValueError, KeyError, TypeError):
                    raise ValueError(f"line {n + 1} of {checks.shown(self.path)} is not a row of a sweep; "
                                     "name another file.") from None
                if n == 0 and head != self.head:
                    raise ValueError(f"{checks.shown(self.path)} belongs to another call; name another file.")
                whole += len(line)
        with open(self.path, "rb+") as file:
            file.truncate(whole)

    def __enter__(self):
        if self.path is not None:
            self.file = open(self.path, "ab")
            if self.file.tell() == 0:
                self.waiting.append(self.head)
            self.written = -math.inf
            self._write()
        return self

    def __exit__(self, *exception):
        if self.file is not None:
            try:
                self._write()
            finally:
                self.file.close()

    def digest_of(self, k, case):
        """Content of a case; None where nothing is kept."""
        if self.path is None:
            return None
        try:
            return content_of(case)[:32]
        except NotIdentified as error:
            raise ValueError(f"case {k} has no content that could be told later ({error}); leave checkpoint= "
                             "out.") from None

    def is_done(self, k, digest):
        """Whether the row of this case is there; a row of another case is refused."""
        if k in self.known and self.known[k] != digest:
            raise ValueError(f"case {k} is another one than when {checks.shown(self.path)} was written; name "
                             "another file.")
        return k in self.known

    def add(self, k, digest, row):
        """Keep a finished row; the file gets it when the interval is over."""
        self.rows[k] = row
        if self.file is not None:
            self.known[k] = digest
            self.waiting.append({"k": k, "case": digest, "row": plain_row(row)})
            if time.monotonic() - self.written > self.seconds:
                self._write()

    def _write(self):
        if self.waiting:
            self.file.write(b"".join(json.dumps(e).encode() + b"\n" for e in self.waiting))
            self.file.flush()
            os.fsync(self.file.fileno())
            self.waiting = []
        self.written = time.monotonic()


def plain_row(row: dict[str, Any]) -> dict[str, Any]:
    """The row as JSON holds it; numbers that are not finite stay (NaN, Infinity), at any depth."""
    return {k: _plain(v) for k, v in row.items()}


def _plain(v):
    if isinstance(v, float):
        return float(v)
    return [_plain(a) for a in v] if isinstance(v, (list, tuple)) else plain(v)
