"""Many writers of one file, and a full disk, for every writer of the project.

    python -m validation.writers [FOLDER]             # the full disk: FOLDER on a small file system, such as
                                                      # mount -t tmpfs -o size=2m tmpfs FOLDER
"""
from __future__ import annotations

import copy
import errno
import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .verdict import Table, ruled

CLAIM = "A file is always the whole of what some writer wrote, and a full disk loses nothing that was there."
SOURCE = ("Eight processes write one path again and again, a ninth reads it all the time; then a write for "
          "which the disk, or the process's limit of a file's size, has no room.")
CRITERION = ("Every file that was read has the bytes of one of the eight; no write fails, nothing is left "
             "over. Without room the writer raises an OSError, and the old file stands, alone.")
SLOW = True                                        # minutes

ROOT = Path(__file__).resolve().parents[1]
WRITERS, WRITES = 8, {"report": 2, "animation": 3, "figure, png": 6, "figure, svg": 6, "figure, pdf": 6}
MOST_WRITES, ROOM = 40, 3000


def landscape(k, size):
    """A surface that is another one for each writer."""
    import fpkit as fp

    with tempfile.TemporaryDirectory() as folder:
        surface(Path(folder) / "plane.h5", k, size)
        return fp.read_landscape(Path(folder) / "plane.h5")


def curves(k, size):
    """Something that can be drawn and tabulated."""
    import fpkit as fp

    D = fp.FokkerPlanck(fp.Potential("x**2"), 0.5 + k / 10, fp.Grid([(-3, 3)], size))
    return D.evolve([0.5], np.linspace(0.1, 1, 5))


def checkpoint(path, k, size):
    from fpkit.core.hdf5 import save_state

    save_state(path, "digest", {"x": np.full((size, 40), k, float)}, "a run")


def surface(path, k, size):
    from fpkit.landscapes.files.writing import write_landscape

    x = np.linspace(-1, 1, size)
    write_landscape(path, x, x, {"train_loss": k + x**2 + x[:, None]}, created_utc=None)


def report(path, k, size):
    import fpkit as fp

    fp.analyse(landscape(k, 21), theta=[0.1], n_paths=20, progress=False).save(path)


def drawn(path, k, size):
    import fpkit as fp

    fp.plot(curves(k, size), path)


WRITES_OF = {
    "checkpoint": (".h5", checkpoint), "landscape, HDF5": (".h5", surface),
    "landscape, npz": (".npz", lambda path, k, size: landscape(k, size).save(path)),
    "landscape, vtk": (".vtk", lambda path, k, size: landscape(k, size).save(path)),
    "landscape, vti": (".vti", lambda path, k, size: landscape(k, size).save(path)),
    "landscape, csv": (".csv", lambda path, k, size: landscape(k, size).save(path)),
    "landscape, netCDF": (".nc", lambda path, k, size: landscape(k, size).save(path)),
    "evolution": (".h5", lambda path, k, size: curves(k, size).save(path)),
    "table": (".csv", lambda path, k, size: landscape(k, size).to_csv(path)),
    "figure, png": (".png", drawn), "figure, svg": (".svg", drawn), "figure, pdf": (".pdf", drawn),
    "animation": (".gif", drawn), "report": ("", report)}


def files_of(path):
    """Hash of every file at the path, a file or a folder, hidden ones too."""
    found = {}
    for file in [path] if path.is_file() else sorted(path.rglob("*")) if path.is_dir() else []:
        try:
            if file.is_file() and not file.name.startswith("."):
                found[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
        except FileNotFoundError:
            pass                                   # replaced between the two looks
    return found


def write_often(name, path, k, n):
    """One of the eight: n writes, and before them one to a place of its own, whose hashes it tells."""
    own = Path(f"{path}.own{k}{WRITES_OF[name][0]}")
    write = WRITES_OF[name][1]
    write(own, k, 30)
    print(*(f"{file.removeprefix(own.name)} {h}" for file, h in files_of(own).items()), sep="\n", flush=True)
    for _ in range(n):
        write(Path(path), k, 30)


def many(name):
    """One row: eight writers of one path."""
    suffix, n = WRITES_OF[name][0], WRITES.get(name, MOST_WRITES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"shared{suffix}"
        jobs = [subprocess.Popen([sys.executable, "-m", "validation.writers", "--write", name, str(path),
                                  str(k), str(n)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 cwd=ROOT) for k in range(WRITERS)]
        seen, reads = set(), 0
        while any(job.poll() is None for job in jobs):
            found = files_of(path)
            seen |= {(file if not suffix else "", h) for file, h in found.items()}
            reads += len(found)
            time.sleep(0.005)
        seen |= {(file if not suffix else "", h) for file, h in files_of(path).items()}
        known, failed, said = set(), 0, ""
        for job in jobs:
            out, complaint = job.communicate()
            known |= {tuple(line.rsplit(" ", 1)) for line in out.splitlines() if " " in line}
            failed += job.returncode != 0
            said = said or complaint.strip()[-200:] * (job.returncode != 0)
        left = [p.name for p in Path(folder).rglob("*.part")]
    return {"writer": name, "writes": WRITERS * n, "reads": reads, "failed": failed,
            "torn": len(seen - known), "left": len(left), "said": said}


def without_room(name, folder=None):
    """One row: the old file stays when the disk, or the size that a file may have, has no room."""
    import resource
    import signal

    suffix, write = WRITES_OF[name]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path, filler = Path(place) / f"kept{suffix}", Path(place) / "filler"
        write(path, 0, 12)
        before = files_of(path)
        if folder is None:
            limit = resource.getrlimit(resource.RLIMIT_FSIZE)
            old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, limit[1]))
        else:
            fill(filler)
        try:
            write(path, 1, 120)
            said = "nothing was raised"
        except OSError as error:
            said = "ok" if error.errno in (errno.ENOSPC, errno.EFBIG) else f"OSError: {error}"
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            if folder is None:
                resource.setrlimit(resource.RLIMIT_FSIZE, limit)
                signal.signal(signal.SIGXFSZ, old)
        left = [p.name for p in Path(place).rglob("*") if p.name.endswith(".part")]
        after = files_of(path)
        kept = before == after if suffix else all(after.get(f) == h for f, h in before.items())
        return {"writer": name, "kept": kept, "raised": said[:100], "left": len(left)}


def fill(filler):
    """Leave less than ROOM bytes on the file system."""
    with open(filler, "wb", buffering=0) as file:
        for block in (65536, 4096, 512):
            try:
                while file.write(bytes(block)) == block:
                    pass
            except OSError:
                pass


def measure(quick=False, folder=None, shown=None):
    """Rows of both parts."""
    found = {"many": [], "full": []}
    for name in WRITES_OF:
        for part, row in (("full", without_room(name, folder)), ("many", many(name))):
            found[part].append(row)
            if shown:
                shown(row)
    return found


def judge(found):
    """The rule of CRITERION."""
    misses = [f"{r['writer']}: {r['torn']} files of nobody, {r['failed']} writers failed {r['said']}, "
              f"{r['left']} left over" for r in found["many"] if r["torn"] or r["failed"] or r["left"]]
    misses += [f"{r['writer']}: without room: {r['raised']}, the old file "
               f"{'stands' if r['kept'] else 'is gone'}, {r['left']} left over"
               for r in found["full"] if not r["kept"] or r["raised"] != "ok" or r["left"]]
    table = Table.of([{**a, **b} for a, b in zip(found["many"], found["full"])],
                     ["writer", "writes", "reads", "torn", "failed", "kept", "raised"])
    return ruled(globals(), table, misses, f"{sum(r['writes'] for r in found['many'])} writes, "
                 f"{sum(r['reads'] for r in found['many'])} reads, every file whole; full disks lose nothing",
                 found)


def run(quick=False):
    """Measure and judge."""
    return judge(measure(quick))


def contrary(found):
    """Numbers that must flip the verdict."""
    found = copy.deepcopy(found)
    found["many"][0]["torn"] = 1
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write_often(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        verdict = judge(measure(folder=sys.argv[1] if len(sys.argv) > 1 else None,
                                shown=lambda r: print(r, flush=True)))
        print(verdict)
        sys.exit(int(verdict.failed))
