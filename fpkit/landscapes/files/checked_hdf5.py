"""Opening HDF5 files that come from strangers: every doubt is settled before a byte of data is read.

h5py follows external links, external storage and virtual datasets into other files without a word, and
allocates what a header declares. So each name is checked as a hard link, each dataset for type, filters,
layout and size, in that order, and every failure of any kind becomes one `LandscapeFormatError`.
"""
from __future__ import annotations

import itertools
import mmap
import os
import stat
from contextlib import contextmanager, suppress

import h5py
import numpy as np

from ...core.text import printable
from .refusals import refusal_of

MAX_FILE_BYTES = 2**30
MAX_CELLS = 50_000_000           # of all that is read from one file,
# and beyond this no more than the file has bytes: what is large must be large on the disk
FREE_CELLS = 4_000_000
MAX_EXPANSION = 10_000           # logical bytes for each stored byte: beyond, a compression bomb
TENSOR_EXPANSION = 20            # of the tensors of a direction file, which are random numbers
MAX_CHUNKS = 20_000              # each costs a look-up and an unpacking
MAX_TEXT = 65_536
MAX_NAMES = 1000                 # names listed of one group
# bytes of a file that is searched for every text attribute; in larger ones for those that decide
SEARCHED = 64 * 2**20
DECIDING = ("format", "format_version", "axis_order")
REFERENCE = 16                   # bytes of a reference to a variable-length text
SIGNATURE = b"\x89HDF\r\n\x1a\n"
FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF}
# what h5py was seen to raise on damaged files
H5PY_ERRORS = (OSError, RuntimeError, KeyError, ValueError, AttributeError, TypeError, IndexError,
               OverflowError, MemoryError, UnicodeError, NotImplementedError)


class LandscapeFormatError(ValueError):
    """A file that cannot be read as a loss landscape, or may not be analysed.

    Attributes
    ----------
    path : str
    key : str or None
        The dataset or attribute that is to blame; None for the file as a whole.
    reason : str
        One clause: what was found, what was expected, what helps.
    """

    def __init__(self, path, key, reason):
        self.path, self.key, self.reason = os.fspath(path), key, reason
        super().__init__(printable(f"{self.path}{f' [{key}]' if key else ''}: {reason}"))

    def __reduce__(self):
        return type(self), (self.path, self.key, self.reason)


@contextmanager
def open_checked(path):
    """The file at `path` as a `CheckedFile`, closed on leaving; LandscapeFormatError for whatever is wrong
    with it."""
    try:
        path = os.fspath(path)
        if isinstance(path, bytes):
            path = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"a landscape is read from a path, got {type(path).__name__}.") from None
    content, size = content_of(path)
    if content != "hdf5":
        raise LandscapeFormatError(path, None, _not_hdf5(content))
    try:
        handle = h5py.File(path, "r")
    except BlockingIOError:
        raise LandscapeFormatError(path, None, "the file is locked, so it is still being written; wait for "
                                   "its writer or copy it") from None
    except H5PY_ERRORS as error:
        raise LandscapeFormatError(path, None, f"HDF5 cannot open it ({short(error)}); it is damaged or cut "
                                   "off") from None
    try:
        yield CheckedFile(handle, path, size)
    except LandscapeFormatError:
        raise
    except H5PY_ERRORS as error:
        raise LandscapeFormatError(path, None,
                                   f"reading failed ({short(error)}); the file is damaged") from None
    finally:
        with suppress(*H5PY_ERRORS):  # a damaged file may fail to close as well; nothing was written
            handle.close()


def content_of(path):
    """What the first bytes of a file say it is ("hdf5", "npz", "npy", "pickle", "empty", "other") and its
    size in bytes.

    The checks before any reading: it is there, a regular file, not too large.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else short(error)
        raise LandscapeFormatError(path, None, reason) from None
    if stat.S_ISDIR(status.st_mode):
        raise LandscapeFormatError(path, None, "this is a folder; give the HDF5 file in it")
    if not stat.S_ISREG(status.st_mode):         # opening a FIFO would wait for ever
        raise LandscapeFormatError(path, None, "this is not a regular file")
    if status.st_size > MAX_FILE_BYTES:
        raise LandscapeFormatError(path, None, f"{status.st_size / 2**30:.1f} GiB is more than a landscape "
                                   "of the allowed 1 GiB")
    try:
        with open(path, "rb") as stream:
            first = head = stream.read(512)
            offset = 0
            while head[:8] != SIGNATURE:  # a user block of 512, 1024, 2048, ... bytes may stand before it
                offset = max(512, 2 * offset)
                if offset >= status.st_size:
                    return _content_of_start(first, os.fspath(path)), status.st_size
                stream.seek(offset)
                head = stream.read(8)
    except OSError as error:
        raise LandscapeFormatError(path, None, short(error)) from None
    return "hdf5", status.st_size


def _content_of_start(first, path):
    if not first:
        return "empty"
    reason = refusal_of(first, os.fsdecode(os.path.basename(path)))
    if reason is not None:
        raise LandscapeFormatError(path, None, reason)
    if first[:4] == b"PK\x03\x04" or first[:4] == b"PK\x05\x06":
        return "npz"
    if first[:6] == b"\x93NUMPY":
        return "npy"
    name = os.fsdecode(path).lower()
    if (first[:1] == b"\x80" and first[1:2] in (b"\x02", b"\x03", b"\x04",
                                                b"\x05")) or name.endswith((".p", ".pkl", ".pickle")):
        return "pickle"
    if first.startswith(b"MATLAB 5.0"):
        return "mat"
    return "other" if b"\0" in first or name.endswith((".h5", ".hdf5")) else "text"


PICKLE = ("this looks like a pickle, which runs code when it is loaded; save the arrays with numpy.savez or "
          "in HDF5")


def _not_hdf5(content):
    return {"empty": "the file is empty", "pickle": PICKLE,
            "npz": "this is a NumPy archive, expected HDF5", "npy": "this is a NumPy array, expected HDF5",
            "mat": "this is a MATLAB file, expected HDF5", "text": "this is a text, expected HDF5",
            "other": "this is not an HDF5 file (no HDF5 signature)"}[content]


def most_cells(size):
    """How many values may be read from a file of `size` bytes."""
    return min(MAX_CELLS, max(FREE_CELLS, size))


def short(error):
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."


class CheckedFile:
    """Read access to datasets and attributes of one open file, each after its checks."""

    def __init__(self, handle, path, size):
        self.handle, self.path, self.size = handle, path, size
        self.n_read = 0

    def fail(self, key, reason):
        raise LandscapeFormatError(self.path, key, reason)

    def names(self, group="/", limit=MAX_NAMES):
        """Names in a group, at most `limit`, in the file's order."""
        found = self._object(group) if group != "/" else self.handle
        if not isinstance(found, h5py.Group):
            self.fail(group, "it is a dataset, expected a group")
        return [str(n) for n in itertools.islice(found, limit)]

    def paths(self, limit=200):
        """Datasets of the root and of its groups, at most `limit` of each."""
        names = self.names(limit=limit)
        groups = [n for n in names if self.is_group(n)]
        return [n for n in names if n not in groups] + [
            path for g in groups for n in self.names(g, limit) if not self.is_group(path := f"{g}/{n}")]

    def has(self, key):
        """Whether a link of that name exists (what stands behind it is not looked at)."""
        here, parts = self.handle, key.strip("/").split("/")
        for depth, name in enumerate(parts):
            try:
                link = here.get(name, getlink=True) if name in here or self._is_linked(here, name) else None
            except H5PY_ERRORS as error:
                self.fail(key, f"its link cannot be read ({short(error)})")
            if link is None:
                return False
            if depth + 1 < len(parts):
                self._hard(link, key)
                here = here[name]
                if not isinstance(here, h5py.Group):
                    return False
        return True

    @staticmethod
    def _is_linked(group, name):
        # `in` is False for a soft link that points nowhere; the link itself still counts as present
        return group.id.links.exists(name.encode())

    def _hard(self, link, key):
        if not isinstance(link, h5py.HardLink):
            kind = "a link into another file" if isinstance(link, h5py.ExternalLink) else "a soft link"
            self.fail(key, f"it is {kind}; only data stored in the file itself are read")

    def _object(self, key):
        """The group or dataset at `key`, reached through hard links alone."""
        here = self.handle
        for name in key.strip("/").split("/"):
            try:
                link = here.get(name, getlink=True)
                if link is not None:
                    self._hard(link, key)
                    here = here[name]
            except LandscapeFormatError:
                raise
            except H5PY_ERRORS as error:
                self.fail(key, f"it cannot be opened ({short(error)})")
            if link is None:
                self.fail(key, "it is missing")
        return here

    def is_group(self, key):
        """Whether a group stands at `key`."""
        return isinstance(self._object(key), h5py.Group)

    def dataset(self, key):
        """The dataset at `key` after the checks of link, kind, layout and external storage; nothing is
        read."""
        found = self._object(key)
        if not isinstance(found, h5py.Dataset):
            self.fail(key, "it is a group, expected a dataset")
        try:
            if found.is_virtual:
                self.fail(key, "it is a virtual dataset, whose values may lie in other files")
            if found.external:
                self.fail(key, "its values lie in another file (external storage)")
        except H5PY_ERRORS as error:
            if isinstance(error, LandscapeFormatError):
                raise
            self.fail(key, f"its layout cannot be read ({short(error)})")
        return found

    def array(self, key, ndim=None, shapes=None):
        """Numbers of the dataset `key` as float64; None when it was declared and never written.

        `shapes`: the shapes allowed (a set of tuples), checked before anything is allocated.
        """
        d = self.numbers(key)
        shape = d.shape
        if ndim is not None and len(shape) != ndim:
            self.fail(key, f"its shape is {shape}, expected {ndim} axis(es)")
        if shapes is not None and tuple(shape) not in shapes:
            allowed = " or ".join(str(s) for s in sorted(shapes))
            self.fail(key, f"its shape {tuple(shape)} does not fit the coordinates, expected {allowed}")
        cells = d.size
        if self.n_read + cells > most_cells(self.size):
            self.fail(key, f"{self.n_read + cells} values in all are more than the allowed "
                      f"{most_cells(self.size)} of a file of {self.size} bytes")
        if cells == 0 or not self._is_stored(key, d, MAX_EXPANSION):
            return None
        self.n_read += cells
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # a long double may exceed what a double holds
                return np.array(d[()], dtype=np.float64)
        except H5PY_ERRORS as error:
            self.fail(key, f"its values cannot be read ({short(error)})")

    def blocks(self, key):
        """The numbers of a dataset of any size, flattened, as float64 pieces of at most FREE_CELLS."""
        d = self.numbers(key)
        if d.size == 0 or len(d.shape) == 0 or not self._is_stored(key, d, TENSOR_EXPANSION):
            self.fail(key, "it was declared and never written")
        row = d.size // d.shape[0]
        if row > FREE_CELLS:
            self.fail(key, f"its rows of {row} values are more than the allowed {FREE_CELLS}")
        n = max(1, 10**6 // row)
        try:
            for start in range(0, d.shape[0], n):
                yield np.array(d[start:start + n], dtype=np.float64).ravel()
        except H5PY_ERRORS as error:
            self.fail(key, f"its values cannot be read ({short(error)})")

    def numbers(self, key):
        """The dataset at `key` after the checks of type, filters and space; nothing is read."""
        d = self.dataset(key)
        try:
            kind = d.dtype.kind
        except H5PY_ERRORS as error:
            self.fail(key, f"its type cannot be read ({short(error)})")
        if kind not in "fiu":
            self.fail(key, f"its type {str(d.dtype)[:60]!r} is not plain numbers; store an array of real "
                      "numbers for each quantity")
        plist = d.id.get_create_plist()
        for k in range(plist.get_nfilters()):
            code = plist.get_filter(k)[0]
            if code not in FILTERS:
                self.fail(key, f"it is packed with filter {code}; gzip, shuffle, fletcher32 and lzf are read")
        if d.shape is None:
            self.fail(key, "it is an empty (null) dataset")
        return d

    def _is_stored(self, key, d, expansion):
        """Whether anything was written; refuses what would unpack to far more than is stored."""
        stored, size = d.id.get_storage_size(), int(d.size) * d.dtype.itemsize
        if stored == 0:
            return False                         # declared and never written: a fill value is no measurement
        if size > expansion * stored:
            self.fail(key, f"{stored} stored bytes claim to be {size}: a compression bomb")
        if d.chunks is not None:
            chunk = int(np.prod([float(c) for c in d.chunks])) * d.dtype.itemsize
            if chunk > max(2**24, 4 * size):     # a chunk is unpacked whole, however small the dataset
                self.fail(key, f"its chunks of {chunk} bytes are far larger than its data")
            if np.prod([np.ceil(n / c) for n, c in zip(d.shape, d.chunks)]) > MAX_CHUNKS:
                self.fail(key, "it is cut into far too many chunks")
        return True

    def text(self, key):
        """Text of a scalar string dataset, cut at MAX_TEXT; None when absent or no text. Never evaluated or
        followed."""
        if not self.has(key):
            return None
        d = self.dataset(key)
        kind = h5py.check_string_dtype(d.dtype)
        if d.shape != () or kind is None or d.id.get_storage_size() > MAX_TEXT:
            return None
        if kind.length is not None:
            return self._decoded(d[()])
        place = d.id.get_offset()
        if place is None:
            return None
        texts = self._heap_texts(lambda data: [data[place:place + REFERENCE]])
        return texts[0] if texts else None

    def integers(self, key, name):
        """A short attribute of integers of a dataset, as a list; [] where there is none."""
        try:
            a = self.dataset(key).attrs
            if name not in a or a.get_id(name).dtype.kind not in "iu" or np.prod(a.get_id(name).shape) > 8:
                return []
            return [int(v) for v in np.ravel(a[name])]
        except H5PY_ERRORS:
            return []

    def attributes(self, limit=64):
        """Plain attributes of the root: numbers (scalars and short arrays) and strings; others are left
        out."""
        found = {}
        for name in itertools.islice(self.handle.attrs, limit):
            try:
                a = self.handle.attrs.get_id(name)
                shape, kind = a.shape, h5py.check_string_dtype(a.dtype)
                if shape is None or int(np.prod(shape, dtype=float)) > 1000:
                    continue
                if a.dtype.kind in "fiu":
                    value = np.asarray(self.handle.attrs[name])
                    found[str(name)] = value.item() if value.ndim == 0 else value.tolist()
                elif shape == () and kind is not None and kind.length is not None and kind.length <= MAX_TEXT:
                    found[str(name)] = self._decoded(self.handle.attrs[name])
                elif shape == () and kind is not None and kind.length is None and (self.size <= SEARCHED
                                                                                   or name in DECIDING):
                    texts = self._heap_texts(lambda data, name=name: attribute_references(data, name))
                    # several: other objects have it too, or it was written over; all are sound to read
                    if texts:
                        found[str(name)] = (texts[0] if len(set(texts)) == 1
                                            else self._decoded(self.handle.attrs[name]))
            except H5PY_ERRORS:
                continue                          # an attribute that cannot be read decides nothing
        return found

    def _heap_texts(self, references):
        """Texts behind the references that a function finds in the bytes of the file; none unless all lead to
        one in a sound heap."""
        with open(self.path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = [heap_text(data, self.handle.userblock_size, r, MAX_TEXT) for r in references(data)]
        return [] if None in found else [self._decoded(text) for text in found]

    @staticmethod
    def _decoded(value):
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        text = str(value)
        return text if len(text) <= MAX_TEXT else text[:MAX_TEXT]


# ---- variable-length texts, taken from the bytes of the file ----
#
# HDF5 itself is not asked for them: on a damaged file it walks a heap for ever where a free piece has size 0,
# and allocates the four gigabytes that a damaged length declares. A text is a reference of 16 bytes (length,
# address of a heap, number in it), little-endian; the heap is a sequence of numbered pieces [HDF5 file format
# specification, III.E global heap; IV.A.2.m attribute message].

def heap_text(data, base, reference, limit):
    """Bytes of the text behind a reference, cut at `limit`; None when it does not lead to a text in a sound
    heap."""
    length, address, number = (int.from_bytes(reference[a:b], "little") for a,
                               b in ((0, 4), (4, 12), (12, 16)))
    if len(reference) < REFERENCE or length > len(data) or address > len(data):
        return None
    if length == 0:
        return b""
    start = base + address
    if data[start:start + 5] != b"GCOL\x01":
        return None
    place, end, found = start + 16, min(start + int.from_bytes(data[start + 8:start + 16], "little"),
                                        len(data)), None
    while place + 16 <= end:  # to the end, so that a text found is one in a sound heap
        index, size = int.from_bytes(data[place:place + 2],
                                     "little"), int.from_bytes(data[place + 8:place + 16], "little")
        if index == 0 and size == 0:
            return None
        if index == number and index > 0 and length <= size and place + 16 + size <= end:
            found = data[place + 16:place + 16 + min(length, limit)]
        place += size if index == 0 else 16 + -(-size // 8) * 8
    return found


def attribute_references(data, name):
    """The 16 bytes of every scalar attribute of that name with a variable-length text, found by its
    message."""
    found, key = set(), name.encode() + b"\0"
    place = data.find(key)
    while place >= 0:
        for version, before in ((1, 8), (3, 9)):
            head = data[max(0, place - before):place]
            if len(head) == before and head[0] == version and int.from_bytes(head[2:4], "little") == len(key):
                sizes = [len(key), *(int.from_bytes(head[k:k + 2], "little") for k in (4, 6))]
                start = place + sum(-(-s // 8) * 8 if version == 1 else s for s in sizes)
                found.add(bytes(data[start:start + REFERENCE]))
        place = data.find(key, place + 1)
    return found
