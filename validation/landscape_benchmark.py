"""CPU seconds and memory of `fpkit analyse` with all figures, from 31 x 31 to 401 x 401 samples and 41^3."""
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from fpkit.fokker_planck.solvers import elimination
from fpkit.landscapes.files.writing import write_landscape

from .verdict import Table, ruled

CLAIM = ("A landscape report with all figures takes seconds: 31^2 at most 4 CPU s, 41^2 and 101^2 at "
         "most 5, 201^2 at most 20, 401^2 at most 90, 41^3 at most 30, in less than 500 MB; the first run of "
         "a fresh installation at most 25. The network of wells is the same in doubles and in mantissas with "
         "exponents.")
SOURCE = ("f = (x^2-1)^2 + 0.15 x + 0.8 (y - 0.3 x)^2 + 0.05 sin 7x cos 5y (+ 0.6 z^2) with a metric and "
          "a test loss; the whole command in a process of its own, one thread, kernels on disk but for the "
          "first run.")
CRITERION = ("Capacities and masses of the network, by doubles and by mantissas with exponents, differ by at "
             "most 1e-11 in their logarithms. CPU seconds and memory are judged in the full form only, on an "
             "idle machine.")

BARS = {(31, 2): 4.0, (41, 2): 5.0, (101, 2): 5.0, (201, 2): 20.0, (401, 2): 90.0, (41, 3): 30.0}
COLD, MEMORY, SAME = 25.0, 500.0, 1e-11
ROOT = Path(__file__).resolve().parent.parent


def surface(path, n, d):
    """A landscape file of n samples an axis."""
    x, y = np.linspace(-1.6, 1.6, n), np.linspace(-1.2, 1.2, n)
    loss = ((x**2 - 1) ** 2 + 0.15 * x + 0.8 * (y[:, None] - 0.3 * x) ** 2
            + 0.05 * np.sin(7 * x) * np.cos(5 * y[:, None]))
    z = np.linspace(-1, 1, n) if d == 3 else None
    loss = loss if d == 2 else loss + 0.6 * z[:, None, None] ** 2
    return write_landscape(path, x, y, {"train_loss": loss, "test_loss": loss + 0.1 + 0.05 * x},
                           gram=np.eye(d), z=z)


def analysed(path, folder, caches=None):
    """CPU seconds and megabytes of the command."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    environment.pop("PYTHONDONTWRITEBYTECODE", None)             # an installation has its byte code
    if (ROOT / "fpkit").is_dir():
        environment["PYTHONPATH"] = str(ROOT)
    if caches:
        environment |= {"NUMBA_CACHE_DIR": os.path.join(caches, "numba"),
                        "FPKIT_CACHE_DIR": os.path.join(caches, "fpkit")}
    code = ("import resource, sys; from fpkit.cli import main; main(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run([sys.executable, "-c", code, "analyse", str(path), "-o", str(folder)],
                          env=environment, capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, float(said.split()[-1]) / (1024 if sys.platform != "darwin" else 2**20)


def network(n, d, theta=0.05, n_kept=4):
    """Largest difference of the logarithms of the network's capacities and masses between the two ways."""
    rng = np.random.default_rng(n)
    axes = [np.linspace(-1.5, 1.5, n)] * d
    x = np.stack(np.meshgrid(*axes, indexing="ij"))
    f = ((x[0] ** 2 - 1) ** 2 + (x[1:] ** 2).sum(0) + 0.2 * np.sin(5 * x).prod(0)).ravel() / theta
    flat, kept = np.arange(f.size).reshape((n,) * d), rng.choice(f.size, n_kept, replace=False)
    edges = np.concatenate([np.stack([np.delete(flat, -1, k).ravel(), np.delete(flat, 0, k).ravel()],
                                     1) for k in range(d)])
    cells = np.setdiff1d(flat.ravel(), kept)
    node = np.empty(f.size, int)
    node[cells], node[kept] = np.arange(cells.size), cells.size + np.arange(n_kept)
    a, b = np.sort(node[edges], axis=1).T
    through, mass = a < cells.size, np.empty(f.size)
    mass[node] = -f
    given = (np.array(np.unravel_index(cells, (n,) * d)), a[through], b[through],
             -np.maximum(*f[edges.T])[through], mass, n_kept)
    plain, limit = elimination.reduced_network(*given), elimination.DOUBLES
    try:
        elimination.DOUBLES = 0.0
        wide = elimination.reduced_network(*given)
    finally:
        elimination.DOUBLES = limit
    both = np.triu_indices(n_kept, 1)
    return float(max(np.abs(plain[0][both] - wide[0][both]).max(), np.abs(plain[1] - wide[1]).max()))


def measure(quick=False):
    cases = [(31, 2)] if quick else list(BARS)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n, d in cases:
            difference = network(min(n, 101 if d == 2 else 15), d)
            row = {"samples": f"{n}^{d}", "bar": BARS[n, d], "difference": difference, "cold": False,
                   "quick": quick}
            if not quick:
                path = surface(os.path.join(folder, f"{n}_{d}.h5"), n, d)
                if not rows:
                    seconds, memory = analysed(path, os.path.join(folder, "cold"),
                                               os.path.join(folder, "caches"))
                    rows.append(row | {"samples": f"{n}^{d}, first run", "bar": COLD, "seconds": seconds,
                                       "memory": memory, "cold": True})
                analysed(path, os.path.join(folder, "warm"))       # larger surfaces take more kernels
                seconds, memory = analysed(path, os.path.join(folder, "report"))
                row |= {"seconds": seconds, "memory": memory}
            rows.append(row)
    return rows


def judge(rows):
    misses = []
    for r in rows:
        if not r["difference"] <= SAME:
            misses.append(f"{r['samples']}: the two ways of the network differ by {r['difference']:.1e}")
        if r["quick"]:
            continue
        if not r["seconds"] <= r["bar"]:
            misses.append(f"{r['samples']}: {r['seconds']:.1f} CPU s, at most {r['bar']:g} was claimed")
        if not r["memory"] <= MEMORY:
            misses.append(f"{r['samples']}: {r['memory']:.0f} MB, at most {MEMORY:g} was claimed")
    columns = {"samples": "samples", "seconds": "CPU s", "bar": "at most", "memory": "MB",
               "difference": "network, two ways"}
    reason = (f"the two ways of the network differ by at most {max(r['difference'] for r in rows):.1e}"
              + ("; speed is judged in the full form only" if rows[0]["quick"] else ""))
    return ruled(globals(), Table.of(rows, columns), misses, reason, {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    return [row | {"difference": 1e-3} for row in rows]
