"""State of a run in an HDF5 file: written whole or not at all, read without trusting it."""
from __future__ import annotations

import errno
import hashlib
import os
import stat

import numpy as np

from ...core.files import replacing

KIND = "fpkit checkpoint"
VERSION = 1
SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_BYTES = 1 << 36
KINDS = "fiub"  # numbers and truth values; texts, references and opaque bytes are never read
FILTERS = {"gzip", "lzf", "shuffle", "fletcher32", None}


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
    """Write named arrays to an HDF5 file, whole or not at all.

    A temporary file in the same folder is filled, flushed to the disk and moved over `path`: whoever reads
    `path`, even after a crash in the middle, finds the old state or the new one. The mode of the file follows
    the umask.

    Parameters
    ----------
    path : str or path
    digest : str
        What the state belongs to (potential and settings); `load_state` refuses another one.
    arrays : dict of str to ndarray
        Numbers or truth values; a name may hold slashes.
    kind : str
        What the file is.
    attributes : dict, optional
        Short texts and numbers stored beside it.
    """
    import h5py

    with replacing(path) as temporary, h5py.File(temporary, "w") as f:
        f.attrs.update({"kind": kind, "version": VERSION, "digest": digest, **(attributes or {})})
        for name, value in arrays.items():
            value = np.asarray(value)
            if value.dtype.kind not in KINDS:
                raise TypeError(f"the state {name!r} has dtype {value.dtype}; only numbers can be saved.")
            f.create_dataset(name, data=value)


def load_state(path, digest=None, kind=KIND):
    """Arrays of a file written by `save_state`.

    Parameters
    ----------
    path : str or path
    digest : str, optional
        The digest that the file must carry.
    kind : str
        What the file must be.

    Returns
    -------
    arrays : dict of str to ndarray

    Raises
    ------
    ValueError
        One sentence: not such a file, damaged, or made with another potential or other settings. Nothing in
        the file is executed or followed: links to other files, virtual and external data, and all but plain
        numbers are refused.
    FileNotFoundError
    """
    return load_file(path, digest, kind)[0]


def load_file(path, digest=None, kind=KIND):
    """(arrays, attributes) of a file written by `save_state`; see `load_state`."""
    import h5py

    path = os.fspath(path)
    _regular(path, kind)
    try:
        with h5py.File(path, "r", locking=False) as f:
            attributes = {name: _attribute(f, name, path, kind) for name in f.attrs}
            if attributes.get("kind") != kind or attributes.get("version") != VERSION:
                raise ValueError(f"{path!r} is an HDF5 file but no {kind} of this version of fpkit; give "
                                 "another name or remove it.")
            if digest is not None and attributes.get("digest") != digest:
                raise ValueError(f"{path!r} belongs to another potential or other settings (its digest is "
                                 f"{str(attributes.get('digest'))[:12]}, "
                                 f"this run's {digest[:12]}); give another name, or the settings it was made "
                                 "with.")
            arrays = {}
            _walk(f, "", arrays, path, kind)
            return arrays, attributes
    except ValueError as error:
        if str(error).startswith(repr(path)):
            raise
        raise _damaged(path, kind, error) from None
    except (OSError, RuntimeError, KeyError, AttributeError, TypeError, MemoryError) as error:
        raise _damaged(path, kind, error) from None


def _damaged(path, kind, error):
    return ValueError(f"{path!r} cannot be read as a {kind} ({type(error).__name__}); it is damaged or "
                      "foreign, remove it to start anew.")


def _regular(path, kind):
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, f"there is no {kind}", path) from None
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError(f"{path!r} is no regular file and cannot be a {kind}.")
    if facts.st_size > MAX_BYTES:
        raise ValueError(f"{path!r} has {facts.st_size:.1e} bytes, more than any {kind}.")
    with open(path, "rb") as f:
        if f.read(len(SIGNATURE)) != SIGNATURE:
            raise ValueError(f"{path!r} is no HDF5 file and cannot be a {kind}; give another name or remove "
                             "it.")


def _attribute(f, name, path, kind):
    value = f.attrs[name]
    if isinstance(value, (str, int, float, np.integer, np.floating)):
        return value.item() if isinstance(value,
                                          np.generic) else value[:65536] if isinstance(value, str) else value
    raise ValueError(f"{path!r} carries the attribute {name!r} of an unknown type and is no {kind}.")


def _walk(group, prefix, arrays, path, kind, depth=0):
    import h5py

    for name in group:
        full = f"{prefix}{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink) or depth > 8:
            raise ValueError(f"{path!r} holds a link to elsewhere ({full!r}) and is no {kind}.")
        item = group[name]
        if isinstance(item, h5py.Group):
            _walk(item, full + "/", arrays, path, kind, depth + 1)
            continue
        is_plain = isinstance(item, h5py.Dataset) and not item.is_virtual and not item.external
        if not is_plain or item.dtype.kind not in KINDS or item.shape is None:
            raise ValueError(f"{path!r} holds {full!r}, which is no plain array of numbers; it is no {kind}.")
        size, stored = item.size * item.dtype.itemsize, item.id.get_storage_size()
        if item.compression not in FILTERS or size > MAX_BYTES or size > 10_000 * max(stored, 1):
            raise ValueError(f"{path!r} claims {size:.1e} bytes for {full!r} and stores {stored}; it is "
                             "damaged.")
        arrays[full] = item[()]
