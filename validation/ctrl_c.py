"""Ctrl-C in the middle of every long call, with and without pools of workers.

    python -m validation.ctrl_c [NAME ...]            # those whose name holds one of the words
"""
from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from .verdict import Table, ruled

CLAIM = "Ctrl-C ends every long call within 3 s, with and without executors; what is done is kept."
SOURCE = ("SIGINT to the process group of a call in a process of its own, as a terminal sends it, 3 s after "
          "the call began.")
CRITERION = ("The call is over within 3 s; calls that return what is done say so, the others raise "
             "KeyboardInterrupt. When the processes of the pool are gone is shown beside.")
SLOW = True                                        # times on a machine that has nothing else to do

ROOT = Path(__file__).resolve().parents[1]
AT_MOST, WAIT, GIVE_UP = 3.0, 3.0, 60.0
SAYING = ("Ctrl-C", "interrupted", "stopped", "KeyboardInterrupt")


def pressed(name, kind, size, wait=WAIT):
    """What was said, seconds until the call was over and until all processes were gone; None where it ended
    before."""
    job = subprocess.Popen([sys.executable, "-m", "validation._long_calls", name, kind, str(size)],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
                           start_new_session=True)
    complaints = []
    listener = threading.Thread(target=lambda: complaints.extend(job.stderr), daemon=True)
    listener.start()
    try:
        if job.stdout.readline().strip() != "running":
            job.wait()
            listener.join()
            raise RuntimeError(f"{name} did not begin: {''.join(complaints)[-500:]}")
        time.sleep(wait)
        if job.poll() is not None:
            return None
        moment = time.monotonic()
        os.killpg(job.pid, signal.SIGINT)
        killer = threading.Timer(GIVE_UP, os.killpg, [job.pid, signal.SIGKILL])
        killer.start()
        last = job.stdout.readline()
        over = time.monotonic() - moment
        listener.join(GIVE_UP)                     # until the last process has closed the stream of errors
        gone = time.monotonic() - moment
        killer.cancel()
        said = json.loads(last)["status"] if last.strip() else f"nothing; {''.join(complaints)[-300:]}"
        return said, over, gone
    finally:
        if alive(job.pid):
            os.killpg(job.pid, signal.SIGKILL)
        job.communicate()


def alive(group):
    """Whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def measure(quick=False, words=(), shown=None):
    """One row a call and a kind of pool."""
    from ._long_calls import CALLS, POOLS

    rows = []
    for name, call in CALLS.items():
        if words and not any(w in name for w in words):
            continue
        for kind in POOLS if call.takes_pool else POOLS[:1]:
            found = pressed(name, kind, call.endless)
            row = {"call": name, "pool": kind}
            said, over, gone = found or ("the call ended before Ctrl-C", float("nan"), float("nan"))
            rows.append(row | {"over": over, "gone": gone, "said": " ".join(said.split())})
            if shown:
                shown(rows[-1])
    return rows


def judge(rows):
    """The rule of CRITERION."""
    misses = [f"{r['call']} ({r['pool']}): over after {r['over']:.1f} s, gone after {r['gone']:.1f} s, "
              f"said {r['said'][:80]!r}" for r in rows
              if not r["over"] <= AT_MOST or not any(w in r["said"] for w in SAYING)]
    table = Table.of(rows, {"call": "call", "pool": "pool", "over": "s to the end of the call",
                            "gone": "s to the end of the process", "said": "said"})
    return ruled(globals(), table, misses, f"{len(rows)} calls stopped, the slowest after "
                 f"{max((r['over'] for r in rows), default=0):.2f} s", {"rows": rows})


def run(quick=False):
    """Measure and judge."""
    return judge(measure(quick))


def contrary(rows):
    """Numbers that must flip the verdict."""
    rows = copy.deepcopy(rows)
    rows[0]["over"] = 2 * AT_MOST
    return rows


if __name__ == "__main__":
    verdict = judge(measure(words=sys.argv[1:], shown=lambda r: print(
        f"{r['over']:6.2f} {r['gone']:6.2f} s  {r['call']} ({r['pool']}): {r['said'][:150]}", flush=True)))
    print(verdict)
    sys.exit(int(verdict.failed))
