"""Arrays of .npy and .npz files that come from strangers: plain numbers only, and nothing larger than it
looks.

NumPy's own reader evaluates the header as a Python literal and allocates what it declares; here the header
must have the one form that NumPy writes, and its size must be that of the data.
"""
from __future__ import annotations

import re
import struct
import zipfile
import zlib

import numpy as np

from .checked_hdf5 import (
    MAX_EXPANSION,
    PICKLE,
    LandscapeFormatError,
    content_of,
    most_cells,
    short,
)

MAX_MEMBERS = 200
MAX_HEADER = 4096
HEADER = re.compile(rb"\{\s*'descr':\s*'([<>|=]?[a-zA-Z]\d{0,3})',\s*'fortran_order':\s*(True|False),\s*"
                    rb"'shape':\s*\(([\d,\s]*)\),?\s*\}\s*")


class _NotNumbers(LandscapeFormatError):
    """A member of an archive that holds texts or objects: left out as long as there are others."""


def read_arrays(path):
    """Arrays of the file as float64, by name (a bare .npy: ""); LandscapeFormatError for whatever is wrong
    with it.

    Members of an archive that are no plain numbers are left out, unread.
    """
    content, size = content_of(path)
    try:
        if content == "npy":
            with open(path, "rb") as stream:
                return {"": _array(path, "", stream, size)}
        return _members(path, size)
    except LandscapeFormatError:
        raise
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, KeyError, IndexError, struct.error,
            NotImplementedError, RuntimeError, OverflowError, MemoryError, UnicodeError, TypeError,
            AttributeError) as error:
        raise LandscapeFormatError(path, None,
                                   f"reading failed ({short(error)}); the file is damaged") from None


def _members(path, size):
    found, total, most, left_out = {}, 0, 8 * most_cells(size), None
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > MAX_MEMBERS:
            raise LandscapeFormatError(path, None, f"the archive holds {len(members)} members, more than the "
                                       f"allowed {MAX_MEMBERS}")
        for member in members:
            name = member.filename[:-4] if member.filename.endswith(".npy") else member.filename
            shown = name[:60]
            if member.filename.endswith(".pkl"):
                raise LandscapeFormatError(path, shown, PICKLE)
            if not member.filename.endswith(".npy") or len(name) > 200:
                raise LandscapeFormatError(path, shown, "this archive holds something else than arrays, so "
                                           "it is no .npz of a landscape")
            if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise LandscapeFormatError(path, shown,
                                           "it is encrypted or packed in a way that NumPy does not write")
            total += member.file_size
            if total > most:
                raise LandscapeFormatError(path, shown, f"it would unpack to {member.file_size} bytes, more "
                                           f"than the allowed {most} of a file of {size}")
            if member.file_size > MAX_EXPANSION * max(1, member.compress_size):
                raise LandscapeFormatError(path, shown, f"{member.compress_size} stored bytes claim to be "
                                           f"{member.file_size}: a compression bomb")
            if name in found:
                raise LandscapeFormatError(path, shown, "the archive holds it twice")
            with archive.open(member) as stream:
                try:
                    found[name] = _array(path, shown, stream, member.file_size)
                except _NotNumbers as error:
                    left_out = error
    if left_out is not None and not found:
        raise LandscapeFormatError(path, left_out.key, left_out.reason)
    return found


def _array(path, key, stream, size):
    """The array of one .npy stream of `size` bytes."""
    head = stream.read(8)
    if head[:6] != b"\x93NUMPY" or len(head) < 8:
        raise LandscapeFormatError(path, key or None, "it does not begin as a NumPy array does")
    width = 2 if head[6] == 1 else 4
    raw = stream.read(width)
    length = int.from_bytes(raw, "little")
    if length > MAX_HEADER or len(raw) < width:
        raise LandscapeFormatError(path, key or None,
                                   f"its header of {length} bytes is none that NumPy writes for numbers")
    header = stream.read(length)
    m = HEADER.fullmatch(header)
    if m is None:
        raise _NotNumbers(path, key or None, "its header is not that of an array of plain numbers")
    dtype = np.dtype(m[1].decode())
    if dtype.kind == "O":
        raise _NotNumbers(path, key or None,
                          "it holds Python objects, which only unpickling could read; save plain numbers")
    if dtype.kind not in "fiu":
        raise _NotNumbers(path, key or None, f"its type {str(dtype)[:40]!r} is not plain numbers")
    shape = tuple(int(n) for n in m[3].split(b",") if n.strip())
    count = 1
    for n in shape:
        count *= n
    there = size - 8 - width - length
    if count > most_cells(size):
        raise LandscapeFormatError(path, key or None, f"{count} values are more than the allowed "
                                   f"{most_cells(size)} of {size} bytes")
    if count * dtype.itemsize != there:
        raise LandscapeFormatError(path, key or None, f"its header declares {count * dtype.itemsize} bytes "
                                   f"of numbers and {there} follow")
    data = stream.read(there)
    if len(data) != there or stream.read(1):
        raise LandscapeFormatError(path, key or None, "it is cut off")
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.frombuffer(data, dtype).astype(np.float64)
    return values.reshape(shape, order="F" if m[2] == b"True" else "C")
