"""Text that comes from files: what a terminal or a page may see of it."""
from __future__ import annotations

import re
from typing import Any, TextIO

# Controls C0 and C1 (ESC, CR, OSC, ...), marks that turn the direction of writing, halves of characters.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, keep: str = "") -> str:
    """`text` with every control character shown as its code, ``\\x1b``, so that it cannot command a terminal.

    `keep`: control characters that stay, such as ``"\\n"`` in a table of many lines.

    Examples
    --------
    >>> from fpkit.core.text import printable
    >>> print(printable("loss\\x1b[2J\\r\\nall is well"))
    loss\\x1b[2J\\x0d\\x0aall is well
    """
    return _UNSEEN.sub(lambda m: m[0] if m[0] in keep else _code(ord(m[0])), text)


def cleaned(a: Any) -> Any:
    """What a JSON text held, with every text in it printable; line breaks stay."""
    if isinstance(a, dict):
        return {cleaned(k): cleaned(v) for k, v in a.items()}
    if isinstance(a, (list, tuple)):
        return type(a)(map(cleaned, a))
    return printable(a, "\n\t") if isinstance(a, str) else a


class PrintableStream:
    """A stream for people: what is written to it becomes printable first."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(printable(text, "\n\t"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _code(number):
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
