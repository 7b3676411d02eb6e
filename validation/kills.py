"""Long calls that are killed at any moment, again and again, end with the bits of one that was left alone.

    python -m validation.kills [NAME ...]             # those whose name holds one of the words
"""
from __future__ import annotations

import contextlib
import copy
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .verdict import Table, ruled

CLAIM = "kill -9 at any moment of a call with a checkpoint loses the last interval at most, and no bit."
SOURCE = ("SIGKILL of the process group at random moments from the start of the call to its expected end; "
          "after one to four kills the call goes on to its end.")
CRITERION = ("At least 100 kills over all calls with a checkpoint, alone and in a pool of processes: each "
             "end has the bits of the undisturbed call, no call is refused its own file.")
SLOW = True                                        # a quarter of an hour

ROOT = Path(__file__).resolve().parents[1]
KILLS, OF_EACH, MOST_IN_A_ROW = 100, 10, 4
SEED, LIMIT = 6, 600.0
POOLED = ("sample", "exit_time", "sweep")          # once more with a pool of processes


def begun(name, kind, path):
    """The call in a process group of its own, which has said that it runs."""
    from ._long_calls import CALLS

    job = subprocess.Popen([sys.executable, "-m", "validation._long_calls", name, kind,
                            str(CALLS[name].whole), *([str(path)] if path else [])], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True)
    line = job.stdout.readline().strip()
    if line != "running":
        raise RuntimeError(f"{name} did not begin: {job.communicate()[1][-500:]}")
    return job


def ended(job):
    """What the call said at its end, or its complaint."""
    out = job.stdout.read()                  # what came together with the first line too
    complaint = job.communicate(timeout=LIMIT)[1]
    return json.loads(out) if out.strip() else {"status": complaint.strip()[-200:], "hash": None}


def killed_often(name, kind, n_kills, rng, folder):
    """One row: kills, ends, ends with other bits."""
    calm = ended(begun(name, "none", None))
    path = Path(folder) / f"{name} {kind}.h5"
    row = {"call": name, "pool": kind, "kills": 0, "late": 0, "ends": 0, "other bits": 0, "said": ""}
    while row["kills"] < n_kills:
        for _ in range(int(rng.integers(1, MOST_IN_A_ROW + 1))):
            job = begun(name, kind, path)
            time.sleep(float(rng.uniform(0, calm["seconds"])))
            row["kills" if job.poll() is None else "late"] += 1
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
            job.communicate()
            if name == "export_landscape" and path.exists() and row["late"]:
                break
        found = ended(begun(name, kind, path))
        row["ends"] += 1
        if found["hash"] != calm["hash"]:
            row["other bits"] += 1
            row["said"] = found["status"]
        for old in path.parent.glob(f"{path.name}*"):
            old.unlink()
    return row


def measure(quick=False, words=(), shown=None):
    """One row a call and a kind of pool."""
    from ._long_calls import CALLS

    rng, rows = np.random.default_rng(SEED), []
    with tempfile.TemporaryDirectory() as folder:
        for name, call in CALLS.items():
            if call.keeps_state and (not words or any(w in name for w in words)):
                for kind in ("none", "processes")[:1 + (name in POOLED)]:
                    rows.append(killed_often(name, kind, OF_EACH, rng, folder))
                    if shown:
                        shown(rows[-1])
        left = sorted(p for p in os.listdir(folder))
    return {"rows": rows, "left": left}


def judge(found):
    """The rule of CRITERION."""
    rows = found["rows"]
    misses = [f"{r['call']} ({r['pool']}): {r['other bits']} of {r['ends']} ends have other bits; "
              f"{r['said']}" for r in rows if r["other bits"]]
    kills = sum(r["kills"] for r in rows)
    if kills < KILLS:
        misses.append(f"only {kills} kills, {KILLS} are asked for")
    if found["left"]:
        misses.append(f"files were left over: {', '.join(found['left'])}")
    table = Table.of(rows, ["call", "pool", "kills", "ends", "other bits"])
    return ruled(globals(), table, misses, f"{kills} kills, {sum(r['ends'] for r in rows)} ends, all with "
                 "the bits of the undisturbed calls", found)


def run(quick=False):
    """Measure and judge."""
    return judge(measure(quick))


def contrary(found):
    """Numbers that must flip the verdict."""
    found = copy.deepcopy(found)
    found["rows"][0]["other bits"] = 1
    return found


if __name__ == "__main__":
    verdict = judge(measure(words=sys.argv[1:], shown=lambda r: print(r, flush=True)))
    print(verdict)
    sys.exit(int(verdict.failed))
