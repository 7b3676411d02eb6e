"""The journal of an export: what was computed, on the disk before anything else happens, and readable after a
kill at any moment.

A journal is one JSON line (the hash of the job and the names of the values), then records of fixed length:

    index (uint64), status (uint64), the values (float64 each), crc32 of all before (uint64), little-endian

Each record is ONE write on a descriptor opened for appending. A kill can cut off the last record; a damaged
one ends the reading, and its cells are computed again.
"""
from __future__ import annotations

import errno
import json
import os
import re
import struct
import time
import zlib
from contextlib import suppress

SYNC_SECONDS = 2.0
MAX_HEADER = 65_536


class Journal:
    """Appends records to one journal; `close` brings them to the disk."""

    def __init__(self, path, header):
        self.path, self.n_values = path, len(header["names"])
        self.handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
                              | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            _lock(self.handle, path)
            whole = _whole_bytes(path, self.n_values)
            if whole is None:
                os.ftruncate(self.handle, 0)
                _write(self.handle, (json.dumps(header, sort_keys=True) + "\n").encode())
                os.fsync(self.handle)
            else:
                # a record that a kill cut off must not shift those that follow
                os.ftruncate(self.handle, whole)
        except BaseException:
            os.close(self.handle)
            raise
        self.synced = time.monotonic()

    def append(self, index, status, values):
        """One record; on the disk within a few seconds, in the hands of the operating system at once."""
        body = struct.pack(f"<QQ{self.n_values}d", index, status, *values)
        _write(self.handle, body + struct.pack("<Q", zlib.crc32(body)))
        if time.monotonic() - self.synced > SYNC_SECONDS:
            self.sync()

    def sync(self):
        os.fsync(self.handle)
        self.synced = time.monotonic()

    def close(self):
        if self.handle is not None:
            with suppress(OSError):
                os.fsync(self.handle)
            os.close(self.handle)
            self.handle = None


def _write(handle, data):
    """All of the data or, where the disk is full, nothing and an OSError: half a record would hide those that
    come after it."""
    before = os.fstat(handle).st_size
    n = os.write(handle, data)
    if n < len(data):
        os.ftruncate(handle, before)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read(path):
    """Header and records [(index, status, values)] of a journal up to the first bad one; (None, []) when
    there is no header."""
    try:
        with open(path, "rb") as stream:
            line = stream.readline(MAX_HEADER)
            header = json.loads(line) if line.endswith(b"\n") else None
            if not isinstance(header, dict) or not isinstance(header.get("names"), list):
                return None, []
            layout = struct.Struct(f"<QQ{len(header['names'])}d")
            records = []
            while len(data := stream.read(layout.size + 8)) == layout.size + 8:
                if struct.unpack("<Q", data[layout.size:])[0] != zlib.crc32(data[:layout.size]):
                    break
                index, status, *values = layout.unpack(data[:layout.size])
                records.append((index, status, values))
            return header, records
    except FileNotFoundError:
        return None, []
    except (ValueError, RecursionError):
        return None, []


def journals(path):
    """Paths of all journals of the landscape file `path`, its own first, then those of shares, by number."""
    folder, name = os.path.split(os.path.abspath(path))
    found = []
    for entry in os.listdir(folder):
        if m := re.fullmatch(re.escape(name) + r"\.journal(?:\.(\d+))?", entry):
            found.append((-1 if m[1] is None else int(m[1]), os.path.join(folder, entry)))
    return [p for _, p in sorted(found)]


def _whole_bytes(path, n_values):
    """Length of the header and the good records; None when there is no header."""
    header, records = read(path)
    if header is None:
        return None
    with open(path, "rb") as stream:
        return len(stream.readline(MAX_HEADER)) + len(records) * (24 + 8 * n_values)


def _lock(handle, path):
    """Refuse a second writer; a lock dies with its process, however it dies."""
    try:
        import fcntl
    except ImportError:
        return                                            # no such locks on this system
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"another process is writing {path!r}; wait for it, or give this one its own "
                         "share=(k, n).") from None
    except OSError:
        pass                                              # some network file systems know no locks
