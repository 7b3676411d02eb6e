"""Files that are written whole or not at all."""
from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import secrets
from collections.abc import Iterator
from pathlib import Path

NAME_LENGTH = 60                     # of a file's name that goes into temporary ones, which end at 255


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

    Each writer has a temporary name of its own, so that of many writers one has the last word, with the whole
    of its file. The file is brought to the disk before the move: whoever reads `path`, even after a crash in
    the middle, finds the old file or a new one. The mode of the file follows the umask.
    """
    path = target(path)
    folder, name = os.path.split(path)
    _sweep(folder, name)
    temporary = os.path.join(folder, f"{_start_of(name)}{os.getpid()}.{secrets.token_hex(4)}.part")
    # made by open and not by tempfile: mkstemp would give the mode 0600 whatever the umask says
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(temporary, flags, 0o666))
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def _start_of(name):
    """First part of the temporary names for a file: its name, and the machine on which the process runs."""
    machine = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
    return f".{name[:NAME_LENGTH]}.{machine}."


def _sweep(folder, name):
    """Remove what killed writers of the same file on this machine left behind."""
    start = _start_of(name)
    for entry in os.listdir(folder):
        if entry.startswith(start) and ".part" in entry[-10:]:
            owner = entry[len(start):].split(".")[0]
            if owner.isdecimal() and not _is_alive(int(owner)):
                with contextlib.suppress(OSError):
                    os.remove(os.path.join(folder, entry))


def _is_alive(process):
    """Whether a process of this number runs; True where that cannot be asked."""
    if os.name != "posix":
        return True                  # os.kill(.., 0) would end it there
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True                  # somebody else's
    return True


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


def shipped(pattern: str) -> Path:
    """Path of a file that comes with fpkit, in a checkout (data/) or in an installation (fpkit/data/)."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "data", here.parent / "data"):
        for path in sorted(folder.glob(pattern)):
            return path
    raise FileNotFoundError(f"the file {pattern} is missing from this installation; install fpkit again.")


def demo_file() -> Path:
    """Path of the landscape that comes with fpkit."""
    return shipped("modular_addition*.h5")
