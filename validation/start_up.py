"""How long a newcomer waits: import, and from a new potential to its first density and first path."""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from .verdict import Table, ruled

CLAIM = ("A new potential reaches its first density and first path within a second once the kernels are on "
         "disk.")
SOURCE = "Numba compiles each kernel once for all potentials; a new potential compiles only its own loops."
CRITERION = ("warm: at most 1 second by the clock (of an idle machine) from fp.Potential(...) to the first "
             "density and the first path of a potential never seen before; `import fpkit` at most 1.5 times "
             "`import numpy` (medians of interleaved processes, CPU seconds)")
SLOW = True                                    # a cold cache compiles every kernel anew

ROOT = Path(__file__).resolve().parent.parent

FIRST_USE = """
import json, sys, time
import numpy as np
clock = lambda: (time.perf_counter(), time.process_time())
import fpkit as fp
fp.Potential, fp.FokkerPlanck, fp.simulate, fp.Grid
import numba, scipy.sparse, scipy.linalg
a = clock()
V = fp.Potential(f"(x**2 - 1)**2 + {sys.argv[1]}*x + 0.1*sin(3*x)")
b = clock()
D = fp.FokkerPlanck(V, theta=0.2, grid=fp.Grid([(-2, 2)], 200))
D.evolve([-1.0], [1.0], tol=1e-3).densities
c = clock()
fp.simulate(V, 0.2, [-1.0], 0.01, 1000, n_paths=128, seed=1).x
d = clock()
print(json.dumps([[q[k] - p[k] for k in (0, 1)] for p, q in ((a, b), (b, c), (c, d), (a, d))]))
"""


def _run(code, *arguments, caches=None):
    environment = dict(os.environ)
    if (ROOT / "fpkit").is_dir():
        environment["PYTHONPATH"] = str(ROOT)
    if caches:
        environment |= {"NUMBA_CACHE_DIR": os.path.join(caches, "numba"),
                        "FPKIT_CACHE_DIR": os.path.join(caches, "fpkit")}
    return subprocess.run([sys.executable, "-c", code, *arguments], env=environment, capture_output=True,
                          text=True, check=True).stdout


def _import_seconds(module):
    code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    return float(_run(code))


def measure(quick=False):
    """Seconds (wall, CPU) of a first use with an empty and with a filled cache, and of the imports."""
    pairs = [(_import_seconds("fpkit"), _import_seconds("numpy")) for _ in range(5 if quick else 11)]
    own, reference = np.median(pairs, axis=0)
    rows = []
    with tempfile.TemporaryDirectory() as caches:
        for what, slope in (("cold", "0.1"), ("warm, new potential", "0.2"), ("warm, new potential", "0.3"),
                            ("warm, known potential", "0.3")):
            made, density, path, all_ = json.loads(_run(FIRST_USE, slope, caches=caches).splitlines()[-1])
            rows.append({"cache": what, "potential (s)": made[1], "first density (s)": density[1],
                         "first path (s)": path[1],
                         "CPU seconds in all": all_[1], "wall seconds in all": all_[0]})
    return {"rows": rows, "import fpkit (s)": own, "import numpy (s)": reference}


def judge(measurements):
    rows = measurements["rows"]
    misses = [f"{r['cache']}: {r['wall seconds in all']:.2f} seconds"
              for r in rows if r["cache"].startswith("warm") and r["wall seconds in all"] > 1]
    ratio = measurements["import fpkit (s)"] / measurements["import numpy (s)"]
    if ratio > 1.5:
        misses.append(f"import fpkit takes {ratio:.2f} times import numpy")
    worst = max(r["wall seconds in all"] for r in rows if r["cache"].startswith("warm"))
    return ruled(globals(), Table.of(rows), misses, f"warm at most {worst:.2f} s, import ratio {ratio:.2f}",
                 {"import ratio": ratio})


def contrary(measurements):
    rows = [r | {"wall seconds in all": 5.0} for r in measurements["rows"]]
    return measurements | {"rows": rows}


def run(quick=False):
    return judge(measure(quick))
