"""Checkpoints of runs: what a state belongs to, and its file, which is written whole or not at all and read
without trusting it."""
from __future__ import annotations

import hashlib

import numpy as np

from ...core import hdf5

KIND = "fpkit checkpoint"


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


def load_file(path, digest=None, kind=KIND):
    """(arrays, attributes) of a file written by `save_state`."""
    return hdf5.load_file(path, digest, kind)
