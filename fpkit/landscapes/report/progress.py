"""What is being done, on one line of standard error."""
from __future__ import annotations

import sys

from ...core.progress import is_shown


class Stages:
    """Calls say what begins: "[2/4] density and paths"; `within` says how far it is; None wipes the line."""

    def __init__(self, is_wanted: bool, n: int, name: str) -> None:
        self.is_wanted, self.n, self.k, self.name, self.said = is_wanted, n, 0, name, ""

    def __call__(self, what: str | None) -> None:
        self.k += what is not None
        self.said = "" if what is None else f"{self.name} [{self.k}/{self.n}]: {what}"
        self._write(self.said)

    def within(self, done: int, of: int, what: str) -> None:
        """Part `done` of `of` of the present stage."""
        self._write(f"{self.said}, {what} {done} of {of}")

    def _write(self, text):
        if self.is_wanted:
            sys.stderr.write(f"\r\x1b[K{text}{' ...' if text else ''}")
            sys.stderr.flush()


def stages(wanted: bool | None, n: int, name: str = "analyse") -> Stages:
    """`Stages`; shown as every progress is."""
    return Stages(is_shown(wanted), n, name)
