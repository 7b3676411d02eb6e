"""Checkpoints of free energies: the arrays of each finished part, and of the one that is under way."""
from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from ...core.files import target as writable
from ...core.runs.checkpoint import digest_of, load_state, save_state
from .losses import Loss

KIND = "fpkit free energy of a well"


class Book:
    """Named arrays that a run has found; with a path they are written every `every` seconds.

    The run is known by its settings and by the losses and gradients at three points.
    """

    def __init__(self, path: Any = None, digest: str = "", every: float = 60.0) -> None:
        self.path = None if path is None else writable(path)
        self.digest, self.every, self._saved = digest, every, time.monotonic()
        self.arrays: dict[str, np.ndarray] = {}
        if self.path is not None and os.path.exists(self.path):
            self.arrays = load_state(self.path, digest, KIND)

    def part(self, name: str) -> Part:
        """The entries that begin with a name."""
        return Part(self, name + "/")

    def save(self, is_urgent: bool = True) -> None:
        """Write the file; without urgency only when its time has come."""
        if self.path is not None and (is_urgent or time.monotonic() - self._saved > self.every):
            save_state(self.path, self.digest, self.arrays, KIND)
            self._saved = time.monotonic()


class Part:
    """A part of a book."""

    def __init__(self, book: Book, prefix: str) -> None:
        self.book, self.prefix = book, prefix

    def part(self, name: str) -> Part:
        """A part of it."""
        return Part(self.book, f"{self.prefix}{name}/")

    def get(self, name: str) -> dict[str, np.ndarray] | None:
        """The arrays of one entry, or None."""
        start = f"{self.prefix}{name}/"
        return {k[len(start):]: v for k, v in self.book.arrays.items() if k.startswith(start)} or None

    def put(self, name: str, arrays: dict[str, Any], forget: str | None = None) -> None:
        """Keep the arrays of one entry (and forget the part `forget`, whose end they are)."""
        for start in [f"{self.prefix}{name}/"] + ([] if forget is None else [f"{self.prefix}{forget}/"]):
            for key in [k for k in self.book.arrays if k.startswith(start)]:
                del self.book.arrays[key]
        self.book.arrays.update({f"{self.prefix}{name}/{k}": np.asarray(v) for k, v in arrays.items()})
        self.book.save(is_urgent=False)


def fingerprint(loss: Loss, points: list[np.ndarray], settings: dict[str, Any]) -> str:
    """Hash of the settings, the points, and of losses and gradients beside them."""
    rng, seen = np.random.default_rng(5), []
    for x in points:
        X = x + 1e-2 * rng.normal(size=(2, x.size)) * (1 + np.abs(x).mean())
        E, G = loss(np.concatenate([x[None], X]))
        seen += [x, np.nan_to_num(E), np.nan_to_num(G)]
    return digest_of({**settings, **{f"point {k}": a for k, a in enumerate(seen)}})
