"""No damage to a landscape file brings down the reader."""
from __future__ import annotations

import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from .verdict import Table, ruled

CLAIM = ("Whatever bytes of a landscape file are changed, reading it gives a landscape or one "
         "LandscapeFormatError, soon and in little memory.")
SOURCE = ("3000 seeded mutations (single bytes, runs of bytes, cuts, insertions, copies) of real HDF5, NumPy "
          "and text files.")
CRITERION = ("No exception but LandscapeFormatError, no read above 1 s of processor time, no growth of the "
             "process above 200 MB.")

N, QUICK_N = 3000, 300
SECONDS, MEGABYTES = 1.0, 200.0
SEED = 20251125


def originals(folder):
    """Name -> (bytes, coordinates to give) of one file of each kind: this project's planes, other programs'
    where they are at hand."""
    import h5py

    import fpkit as fp

    root = Path(__file__).resolve().parents[1]
    found = {}
    places = [*sorted((root / "data").glob("*.h5")),
              *sorted((root.parent / "shared" / "landscapes").glob("*.h5"))]
    for path in places:
        found[path.name] = (path.read_bytes(), {})
    x, y = np.linspace(-1, 1, 7), np.linspace(0, 1, 5)
    sheet = (x - 0.2) ** 2 + y[:, None]
    given = {"x": (-1, 1), "y": (0, 1)}
    A, B = np.meshgrid(x, y)
    small = {"goldstein.h5": {"xcoordinates": x, "ycoordinates": y, "train_loss": sheet.ravel().reshape(7, 5),
                              "train_acc": np.full((7, 5), 9.0)},
             "losscape.h5": {"X": A, "Y": B, "losses": sheet},
             "points.h5": {f"loss_{i}_{j}": sheet[j, i] for i in range(7) for j in range(5)}}
    for name, datasets in small.items():
        with h5py.File(Path(folder) / name, "w") as f:
            for key, values in datasets.items():
                f[key] = values
    np.save(Path(folder) / "bare.npy", sheet)
    np.savez(Path(folder) / "stored.npz", train_loss=sheet, x=x, y=y)
    np.savez_compressed(Path(folder) / "packed.npz", train_loss=sheet, x=x, y=y)
    for name in (*small, "bare.npy", "stored.npz", "packed.npz"):
        found[name] = ((Path(folder) / name).read_bytes(), given if name in ("points.h5", "bare.npy") else {})
    surface = fp.read_landscape(Path(folder) / "goldstein.h5")
    network = Path(surface.save(Path(folder) / "network"))
    found["min.data"] = ((network / "min.data").read_bytes(), {})
    return found


def mutated(data, rng):
    """One mutation: bytes replaced (more often near the start, where the structure is), a cut, an insertion
    or a copied piece."""
    data, n = bytearray(data), len(data)
    if not n:
        return bytes(data)
    kind = rng.integers(6)
    reach = n if rng.random() < 0.5 else min(n, 4096)
    place = int(rng.integers(reach))
    if kind <= 1:
        for k in rng.integers(reach, size=int(rng.integers(1, 6))):
            data[k] = int(rng.integers(256))
    elif kind == 2:
        data[place:place + 8] = bytes([int(rng.choice([0, 255, 127]))] * len(data[place:place + 8]))
    elif kind == 3:
        del data[place:]
    elif kind == 4:
        data[place:place] = rng.bytes(int(rng.integers(1, 64)))
    else:
        size = int(rng.integers(1, 128))
        source = int(rng.integers(n))
        piece = data[source:source + size]
        data[place:place + len(piece)] = piece
    return bytes(data)


def measure(quick=False):
    """One row a file: mutations, outcomes, the slowest read, growth of the process."""
    import fpkit as fp

    rng = np.random.default_rng(SEED)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = originals(folder)
        each = -(-(QUICK_N if quick else N) // len(files))
        place = Path(folder) / "mutated"
        place.mkdir()
        for name, (data, given) in files.items():
            path = place / (name if name == "min.data" else "mutated" + Path(name).suffix)
            path.write_bytes(data)
            fp.read_landscape(path, **given) if not name.endswith(("trajectory.h5", "only.h5")) else None
            before, outcomes, slowest, foreign = memory(), {"read": 0, "refused": 0}, 0.0, ""
            for _ in range(each):
                path.write_bytes(mutated(data, rng))
                start = time.process_time()
                try:
                    land = fp.read_landscape(path, **given)
                    land.to_dict()
                    outcomes["read"] += 1
                except fp.LandscapeFormatError:
                    outcomes["refused"] += 1
                except Exception as error:
                    # coordinates of the caller that no longer fit are the caller's mistake
                    if given and type(error) is ValueError and "was given" in str(error):
                        outcomes["refused"] += 1
                    else:
                        foreign = f"{type(error).__name__}: {error}"[:80]
                slowest = max(slowest, time.process_time() - start)
            os.remove(path)
            rows.append({"file": name, "mutations": each, **outcomes, "slowest s": slowest,
                         "growth MB": memory() - before, "foreign": foreign or "none"})
    return rows


def memory():
    """Largest size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def judge(rows):
    """The rule of CRITERION, row by row."""
    misses = []
    for row in rows:
        if row["foreign"] != "none":
            misses.append(f"{row['file']}: {row['foreign']}")
        if row["read"] + row["refused"] < row["mutations"] and row["foreign"] == "none":
            misses.append(f"{row['file']}: some reads had no outcome")
        if row["slowest s"] > SECONDS:
            misses.append(f"{row['file']}: a read took {row['slowest s']:.2f} s")
        if row["growth MB"] > MEGABYTES:
            misses.append(f"{row['file']}: the process grew by {row['growth MB']:.0f} MB")
    n = sum(row["mutations"] for row in rows)
    return ruled(globals(), Table.of(rows), misses, f"{n} mutations: {sum(r['read'] for r in rows)} read, "
                 f"{sum(r['refused'] for r in rows)} refused")


def run(quick=False):
    """Measure and judge."""
    return judge(measure(quick))


def contrary(rows):
    """Numbers that must flip the verdict."""
    return [{**rows[0], "slowest s": 3.0}, *rows[1:]]
