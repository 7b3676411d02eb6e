"""An export that is killed again and again ends in the same file as one that was left alone."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .verdict import Table, ruled

CLAIM = ("kill -9 at any moment of an export loses nothing that was computed but the point under way; "
         "resumed, it ends in the same bytes.")
SOURCE = ("SIGKILL of the exporting process at random moments: while it starts, takes up what is known, "
          "computes, saves and replaces.")
CRITERION = ("Every readable file on the way holds only right values, no point is lost or computed twice "
             "beyond one a kill, the final file is bit-equal.")

KILLS, QUICK_KILLS = 100, 4
ROOT = Path(__file__).resolve().parents[1]
SHAPE, QUICK_SHAPE = (31, 27), (15, 13)
SEED = 4

JOB = """
import sys, time
sys.path.insert(0, {root!r})
import numpy as np
import fpkit as fp

log = open({log!r}, "ab", buffering=0)

first = True

def loss(w):
    global first
    if first:
        print("computing", flush=True)
        first = False
    log.write(b".")                                   # one byte an evaluation, to count those that were lost
    time.sleep({pause})
    return {{"train_loss": float(np.cos(3 * w[0]) + w[1] ** 2 + w[2]), "test_loss": float(w[1])}}

w = np.arange(5.0)
plane = fp.Plane.through(w, w + [1, 0, 0, 0, 0], w + [0, 1, 1, 0, 0])
fp.export_landscape({path!r}, loss, plane, x=(-1, 2, {nx}), y=(-1, 1, {ny}), trajectory=[w + 1, w],
                    save_every={every}, created_utc=None, progress=False)
"""


def measure(quick=False):
    """One row a kill: when, how many points were known after it; then the final comparison."""
    import fpkit as fp

    kills, (nx, ny) = (QUICK_KILLS, QUICK_SHAPE) if quick else (KILLS, SHAPE)
    n_points = nx * ny + 2
    rng = np.random.default_rng(SEED)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        calm = Path(folder) / "calm.h5"
        start(calm, nx, ny, 0.0, 60.0).communicate()
        truth = fp.read_landscape(calm)
        path = Path(folder) / "run.h5"
        pause = 0.004 if quick else 0.006
        n_kills = wrong = n_finished = 0
        while n_kills < kills:
            known = points_known(path, n_points)
            job = start(path, nx, ny, pause, 0.05)
            if n_kills % 5 == 4:  # while it starts and takes up what is known
                time.sleep(float(rng.uniform(0, 1.0)))
            else:  # at random over its remaining life: computing, saving, replacing
                job.stdout.readline()
                time.sleep(float(rng.exponential((n_points - known) * pause / max(1, kills - n_kills))))
            job.send_signal(signal.SIGKILL)
            job.communicate()
            n_kills += 1
            wrong += wrong_values(path, truth)
            after = points_known(path, n_points)
            rows.append({"kill": n_kills, "known before": known, "known after": after,
                         "lost": max(0, known - after)})
            if after == n_points and n_kills < kills:  # done before the kills were: begin anew
                n_finished += 1
                for old in (path, Path(f"{path}.journal")):
                    old.unlink(missing_ok=True)
        start(path, nx, ny, 0.0, 60.0).communicate()
        is_equal = path.read_bytes() == calm.read_bytes()
        left = sorted(os.listdir(folder))
        evaluations = (Path(folder) / "run.h5.log").stat().st_size
    return {"rows": rows, "equal": bool(is_equal), "wrong": int(wrong),
            "left": [n for n in left if "journal" in n or "part" in n], "evaluations": evaluations,
            "points": n_points, "computed twice": evaluations - n_points * (1 + n_finished)}


def start(path, nx, ny, pause, every):
    """The export in a process of its own, which prints a line when it computes its first point."""
    code = JOB.format(root=str(ROOT), path=str(path), log=f"{path}.log", nx=nx, ny=ny, pause=pause,
                      every=every)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def points_known(path, n_points):
    """Points in the journal, or all when the complete file is there."""
    import fpkit as fp
    from fpkit.landscapes.export.journal import read

    if path.exists() and fp.read_landscape(path).meta["attributes"]["complete"]:
        return n_points
    records = read(f"{path}.journal")[1]
    return len({index for index, _, _ in records})


def wrong_values(path, truth):
    """Values of the file on the disk, complete or not, that differ from those of the undisturbed one."""
    import fpkit as fp

    if not path.exists():
        return 0
    land = fp.read_landscape(path)
    known = ~land.unfinished
    return int((land.loss[known] != truth.loss[known]).sum()
               + (land.test_loss[known] != truth.test_loss[known]).sum())


def judge(found):
    """The rule of CRITERION."""
    misses = []
    lost = sum(row["lost"] for row in found["rows"])
    if not found["equal"]:
        misses.append("the final file differs from that of the undisturbed export")
    if found["wrong"]:
        misses.append(f"{found['wrong']} values on the way were wrong")
    if lost:
        misses.append(f"{lost} points of a journal were lost")
    if found["computed twice"] > len(found["rows"]):
        misses.append(f"{found['computed twice']} points were computed twice in {len(found['rows'])} kills")
    if found["left"]:
        misses.append(f"files were left over: {', '.join(found['left'])}")
    table = Table(("kills", "points", "computed twice", "points lost", "wrong values", "bit-equal"),
                  ((len(found["rows"]), found["points"], found["computed twice"], lost, found["wrong"],
                    found["equal"]),))
    return ruled(globals(), table, misses, f"{len(found['rows'])} kills, final file bit-equal")


def run(quick=False):
    """Measure and judge."""
    return judge(measure(quick))


def contrary(found):
    """Numbers that must flip the verdict."""
    return {**found, "equal": False}
