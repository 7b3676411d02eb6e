"""Files that are written whole or not at all."""
from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def target(path: str | os.PathLike) -> str:
    """Full path of a file that can be written, or a sentence: asked before a long run, not after it."""
    path = os.path.realpath(os.fspath(path))
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"the folder of {path!r} does not exist; make it first.")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path!r} is a folder; give the name of a file.")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"the folder of {path!r} cannot be written to; give another place.")
    return path


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[str]:
    """Name of a temporary file beside `path` that takes its place when the block ends well and vanishes
    otherwise.

    It is brought to the disk before the move: whoever reads `path`, even after a crash in the middle, finds
    the old file or the new one. The mode of the file follows the umask.
    """
    path = target(path)
    folder = os.path.dirname(path)
    # one name for all: what a killed process left behind is written over (and HDF5 locks it against a second
    # writer)
    temporary = os.path.join(folder, f".{os.path.basename(path)}.part")
    # made by open and not by tempfile: mkstemp would give the mode 0600 whatever the umask says
    os.close(os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o666))
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def _flush(path):
    """Push a file or a folder to the disk, so that the move cannot overtake the content."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return                       # folders cannot be opened everywhere
    try:
        os.fsync(handle)
    except OSError:
        pass                         # some file systems know no fsync of folders
    finally:
        os.close(handle)


def demo_file() -> Path:
    """Path of the landscape that comes with fpkit, in a checkout (data/) or in an installation
    (fpkit/data/)."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "data", here.parent / "data"):
        for path in sorted(folder.glob("modular_addition*.h5")):
            return path
    raise FileNotFoundError("the demonstration file modular_addition*.h5 is missing from this installation; "
                            "install fpkit again.")
