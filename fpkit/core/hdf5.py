"""The package's own HDF5 files: named arrays of numbers and plain facts, written whole or not at all, read
without trusting them."""
from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterator
from typing import Any

import numpy as np

from .files import replacing
from .text import cleaned, printable

VERSION = 1
SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_BYTES = 1 << 36
KINDS = "fiub"       # numbers and truth values; texts, references and opaque bytes are never read
FACTS = "facts"      # the array that holds the facts, as the bytes of a JSON text
MAX_DEPTH, MAX_OBJECTS, MAX_TEXT = 8, 100_000, 65_536
# what h5py and a file with the wrong content were seen to raise
DAMAGES = (OSError, RuntimeError, LookupError, ValueError, AttributeError, TypeError, ArithmeticError,
           MemoryError, AssertionError)


@contextlib.contextmanager
def written(path: str | os.PathLike, **options: Any) -> Iterator[Any]:
    """An h5py.File to fill, which becomes the file `path`, whole or not at all.

    It is made in memory and written at once: HDF5 itself, when the disk is full, fails in ways that cannot
    be caught; a plain write fails with an OSError and leaves the old file.
    """
    import h5py

    with replacing(path) as temporary:
        with h5py.File(temporary, "w", driver="core", backing_store=False, **options) as file:
            yield file
            file.flush()
            image = file.id.get_file_image()
        with open(temporary, "wb") as plain:
            plain.write(image)


def save_state(path: str | os.PathLike, digest: str, arrays: dict[str, Any], kind: str,
               attributes: dict | None = None, facts: Any = None) -> None:
    """Write named arrays to an HDF5 file, whole or not at all.

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
    facts : optional
        What JSON can hold, of any length: the array "facts".
    """
    if facts is not None:
        arrays = arrays | {FACTS: np.frombuffer(json.dumps(facts).encode(), np.uint8)}
    with written(path) as f:
        for name, value in {"kind": kind, "version": VERSION, "digest": digest, **(attributes or {})}.items():
            # texts of fixed length: those of variable length lie in a heap that a damaged file never leaves
            f.attrs[name] = np.bytes_(value.encode()) if isinstance(value, str) else value
        for name, value in arrays.items():
            value = np.asarray(value)
            if value.dtype.kind not in KINDS:
                raise TypeError(f"the state {name!r} has dtype {value.dtype}; only numbers can be saved.")
            f.create_dataset(name, data=value)


def load_state(path: str | os.PathLike, digest: str | None, kind: str) -> dict[str, np.ndarray]:
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
        the file is executed or followed: links to other files, virtual and external data, packed data, and
        all but plain numbers are refused; no more is read than the file has bytes.
    FileNotFoundError
    """
    return load_file(path, digest, kind)[0]


def load_file(path: str | os.PathLike, digest: str | None, kind: str) -> tuple[dict, dict]:
    """(arrays, attributes) of a file written by `save_state`; see `load_state`."""
    import h5py

    path = os.fsdecode(path)
    size = _checked_size(path, kind)
    with understood(path, kind), h5py.File(path, "r", locking=False) as f:
        attributes = {str(name): _attribute(f, name, path, kind) for name in f.attrs}
        if attributes.get("kind") != kind or attributes.get("version") != VERSION:
            raise _Refused(f"{printable(path)!r} is an HDF5 file but no {kind} of this version of fpkit; "
                           "give another name or remove it.")
        if digest is not None and attributes.get("digest") != digest:
            found = printable(str(attributes.get("digest"))[:12])
            raise _Refused(f"{printable(path)!r} belongs to another potential or other settings (its digest "
                           f"is {found}, this run's {digest[:12]}); give another name, or the settings it "
                           "was made with.")
        arrays: dict[str, np.ndarray] = {}
        _walk(f, "", arrays, path, kind, [size, MAX_OBJECTS])
        return arrays, attributes


def facts_of(arrays: dict[str, np.ndarray], name: str = FACTS, **types: type) -> dict[str, Any]:
    """The facts of a loaded file, with texts that a terminal may see; inside `understood`, since they may be
    anything. `types`: what some of them must be."""
    facts = cleaned(json.loads(bytes(arrays[name]).decode()))
    for key, kind in types.items():
        if not isinstance(facts[key], kind):
            raise TypeError(f"{key} is no {kind.__name__}")
    return facts


class _Refused(ValueError):
    """A file that is refused, with its sentence."""


@contextlib.contextmanager
def understood(path: str | os.PathLike, kind: str) -> Iterator[None]:
    """Whatever fails in the block because of what the file holds becomes one sentence."""
    try:
        yield
    except _Refused as error:
        raise ValueError(str(error)) from None
    except DAMAGES as error:
        shown = repr(printable(os.fsdecode(path)))
        raise ValueError(f"{shown} cannot be read as a {kind} ({type(error).__name__}); it is damaged or "
                         "foreign, remove it to start anew.") from None


def _checked_size(path, kind):
    """Bytes of a regular file that starts as HDF5 does."""
    shown = repr(printable(path))
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, f"there is no {kind}", path) from None
    except ValueError:
        raise ValueError(f"{shown} is no name of a file.") from None
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError(f"{shown} is no regular file and cannot be a {kind}.")
    if facts.st_size > MAX_BYTES:
        raise ValueError(f"{shown} has {facts.st_size:.1e} bytes, more than any {kind}.")
    with open(path, "rb") as f:
        if f.read(len(SIGNATURE)) != SIGNATURE:
            raise ValueError(f"{shown} is no HDF5 file and cannot be a {kind}; give another name or remove "
                             "it.")
    return facts.st_size


def _attribute(f, name, path, kind):
    """A number or a text of fixed length."""
    a = f.attrs.get_id(name)
    if a.shape != () or a.dtype.kind not in KINDS + "S":
        raise _Refused(f"{printable(path)!r} carries the attribute {printable(str(name))!r} of an unknown "
                       f"type and is no {kind}.")
    value = f.attrs[name]
    return value.decode("utf-8", "replace")[:MAX_TEXT] if isinstance(value, bytes) else value.item()


def _walk(group, prefix, arrays, path, kind, left, depth=0):
    """Read all arrays of a group; `left` = [bytes, objects] that may still be read."""
    import h5py

    for name in group:
        full = f"{prefix}{name}"
        shown = f"{printable(path)!r} holds {printable(full)!r}"
        left[1] -= 1
        if not isinstance(group.get(name, getlink=True), h5py.HardLink) or depth > MAX_DEPTH or left[1] < 0:
            raise _Refused(f"{shown}, a link to elsewhere, and is no {kind}.")
        item = group[name]
        if isinstance(item, h5py.Group):
            _walk(item, full + "/", arrays, path, kind, left, depth + 1)
            continue
        is_plain = (isinstance(item, h5py.Dataset) and not item.is_virtual and not item.external
                    and item.dtype.kind in KINDS and item.shape is not None
                    and item.id.get_create_plist().get_nfilters() == 0)
        if not is_plain:
            raise _Refused(f"{shown}, which is no plain array of numbers; it is no {kind}.")
        size = item.size * item.dtype.itemsize
        left[0] -= size
        if left[0] < 0:
            raise _Refused(f"{shown}, which claims {size:.1e} bytes, more than the file has; it is a damaged "
                           f"{kind}.")
        arrays[full] = item[()]
