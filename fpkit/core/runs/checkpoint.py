"""Checkpoints of runs: what a state belongs to, and its file, which is written whole or not at all and read
without trusting it."""
from __future__ import annotations

import hashlib
import os
import time

import numpy as np

from .. import checks, hdf5
from ..calls import warned
from ..files import target
from .identity import REMEDY, NotIdentified, content_of

KIND = "fpkit checkpoint"
UNKNOWN = "unidentified"  # digest of a run that cannot be told by its content


class Checkpoint:
    """The file from which a call goes on; without a path every method does nothing.

    Parameters
    ----------
    path : path or None
    seconds : float
        Between two writings.
    resume : bool or None
        True: the file must be there; False: start anew; None: go on if it is there.
    identity : dict
        All that the bits depend on, except the length of the run.

    Attributes
    ----------
    found : dict of arrays or None
        What to go on from.
    """

    def __init__(self, path, seconds, resume, identity):
        self.path, self.found, self.written, self.digest = path, None, time.monotonic(), ""
        self.seconds = checks.number("checkpoint_every", seconds, positive=True)
        if path is None:
            if resume:
                raise ValueError("resume=True needs checkpoint=, the file to go on from.")
            return
        if "seed" in identity and identity["seed"] is None:
            raise ValueError("a run with a checkpoint needs a seed that a later call can repeat; pass a "
                             "whole number.")
        target(path)
        reason = ""
        try:
            self.digest = content_of(identity)
        except NotIdentified as error:
            self.digest = UNKNOWN
            reason = (f"{error}, so it cannot be known whether a checkpoint is of this run: {REMEDY}, or "
                      "start anew with resume=False.")
        self.found = resumed(path, resume, self.digest, reason)
        if reason:
            warned(f"this run cannot be resumed later: {reason}", UserWarning)

    @property
    def is_due(self):
        """Whether it is time to write."""
        return self.path is not None and time.monotonic() - self.written > self.seconds

    def then(self, more):
        """Name of a second file for a second run of the same call; None without a first."""
        return None if self.path is None else f"{os.fspath(self.path)}.{more}"

    def save(self, arrays):
        """Write the arrays, whole or not at all."""
        if self.path is not None:
            save_state(self.path, self.digest, arrays)
            self.written = time.monotonic()


def resumed(path, resume, digest, reason):
    """Arrays of the checkpoint to go on from, or None for a new run; `reason`: why none can be told to belong
    to this run."""
    exists = os.path.lexists(path)
    if reason and resume is not False and (exists or resume):
        raise ValueError(f"{os.fspath(path)!r} is not resumed: {reason}")
    if not exists and not resume:
        return None
    if resume is False:
        try:
            load_state(path)                                # only a checkpoint may be overwritten
        except ValueError as error:
            raise ValueError(f"{error} It was not overwritten.") from None
        return None
    return load_state(path, digest)


def digest_of(parts):
    """Hexadecimal SHA-256 of a dictionary of texts, numbers and arrays, independent of its order."""
    total = hashlib.sha256()
    for name in sorted(parts):
        value = parts[name]
        if isinstance(value, np.ndarray):
            value = np.ascontiguousarray(value)
            text = f"{value.dtype.str}{value.shape}".encode() + value.tobytes()
        else:
            text = repr(value).encode()
        total.update(name.encode() + b"\0" + len(text).to_bytes(8, "little") + text)
    return total.hexdigest()


def save_state(path, digest, arrays, kind=KIND, attributes=None):
    """Write the arrays of a run to an HDF5 file; see `fpkit.core.hdf5.save_state`."""
    hdf5.save_state(path, digest, arrays, kind, attributes)


def load_state(path, digest=None, kind=KIND):
    """Arrays of a file written by `save_state`; see `fpkit.core.hdf5.load_state`."""
    return hdf5.load_state(path, digest, kind)
