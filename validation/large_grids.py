"""Slow modes, committors and densities on large grids in space: CPU seconds and memory, beside scipy's eigsh
and LOBPCG and beside pyamg, on the same chains in the same run."""
from __future__ import annotations

import os
import time
import warnings
from importlib.util import find_spec

import numpy as np

from . import passage_benchmark
from ._density_references import TEXT, THETA
from .verdict import Table, ruled

CLAIM = ("Slow modes of chains in space cost less CPU time by the block iteration, assembly and all coarser "
         "grids included, than one and the same chain with LOBPCG and pyamg's smoothed aggregation, or with "
         "eigsh, from 64^3 on, and agree with them; committor and rate at 128^3 cost less than the chain and "
         "the solves of pyamg's classical levels; from 128^3 on 700 bytes a cell are enough.")
SOURCE = ("f = (x^2-1)^2 + 2y^2 + 0.3xy + 1.5z^2 + 0.2yz, theta 0.2, (-2.5, 2.5)^3, the gap and the next "
          "value; committor and rate as in passage_benchmark. eigsh about a shift just below 0 (SuperLU), "
          "lobpcg to a residual of 2e-5 or 25 steps, both on M^-1/2 K M^-1/2.")
CRITERION = ("Values agree with eigsh to 1e-7 and with lobpcg to 1e-5, relative; the answers of "
             "passage_benchmark to 1e-6. Each question in a process of its own, whose peak of memory above "
             "that of a small grid counts. Seconds and bytes are judged in the full form only, where (chain "
             "+ rival) / ours is to be above 1.")

SAME = {"eigsh": 1e-7, "lobpcg + pyamg": 1e-5, "pyamg": 1e-6}
JUDGED_FROM = {"eigsh": 48, "lobpcg + pyamg": 64, "pyamg": 128}
MOST_BYTES, BYTES_FROM = 700, 128
SMALL = 22
STEPS = 25                       # of lobpcg: the guards never get to its tolerance
# question: grids of the full form; the largest where the machine has the memory
OURS = {"slow modes": (32, 48, 64, 96, 128), "gibbs": (128, 256), "evolve": (128, 256), "gap": (256,),
        "exit rate": (64, 128), "quasi-stationary state": (128,)}
RIVALS = {"eigsh": (32, 48), "lobpcg + pyamg": (32, 48, 64, 96), "pyamg": (64, 128)}
ROOM = 700                       # bytes a cell that must be free for a grid to be tried


def diffusion(n):
    import fpkit as fp

    return fp.FokkerPlanck(fp.Potential(TEXT[3]), THETA, fp.Grid([(-2.5, 2.5)] * 3, (n,) * 3))


def _well():
    import fpkit as fp

    return fp.Ball([1.0, 0.0, 0.0], 0.4)


QUESTIONS = {
    "slow modes": lambda n: diffusion(n).spectrum(3).eigenvalues[1:],
    "gap": lambda n: diffusion(n).spectrum(2).eigenvalues[1:],
    "gibbs": lambda n: [diffusion(n).gibbs.values.max()],
    "evolve": lambda n: [diffusion(n).evolve(([-0.9, 0.7, 0.5], 0.25), [0.1], tol=1e-4).distance[0]],
    "exit rate": lambda n: [diffusion(n).exit_rate(_well()).value],
    "quasi-stationary state": lambda n: [diffusion(n).quasi_stationary(_well()).rate.value],
}


def _matrix(n):
    """M^-1/2 K M^-1/2 of the chain that `spectrum` asks, on the cells with weight, the roots of their masses,
    and these cells."""
    from scipy.sparse import coo_matrix, diags

    from fpkit.fokker_planck.boundary_values.killed_chain import KilledChain
    out = KilledChain(diffusion(n))
    m = out.mode_mass(out.log_m.max())
    heavy = np.flatnonzero(m > 0)                       # links to cells without weight would be slow modes
    root, place = np.sqrt(m[heavy]), np.full(out.n, -1)
    place[heavy] = np.arange(heavy.size)
    I, J = place[out.I], place[out.J]
    at = np.flatnonzero((I >= 0) & (J >= 0))
    I, J, c = I[at], J[at], out.c[at] * np.exp(out.shift - out.log_m.max())
    W = coo_matrix((np.r_[c, c], (np.r_[I, J], np.r_[J, I])), shape=(heavy.size,) * 2)
    K = diags(np.asarray(W.sum(1)).ravel()) - W
    return (diags(1 / root) @ K @ diags(1 / root)).tocsc(), root, heavy


def eigsh(n):
    from scipy.sparse.linalg import eigsh as solve
    clock = time.process_time()
    S = _matrix(n)[0]
    assembly = time.process_time() - clock
    values = solve(S, 3, sigma=-1e-4, tol=1e-12, return_eigenvectors=False)
    return np.sort(values)[1:], assembly, time.process_time() - clock - assembly


def lobpcg(n):
    import pyamg
    from scipy.sparse.linalg import lobpcg as solve
    clock = time.process_time()
    S, root, heavy = _matrix(n)
    assembly = time.process_time() - clock
    S, known = S.tocsr(), (root / np.linalg.norm(root))[:, None]
    levels = pyamg.smoothed_aggregation_solver(S, B=root[:, None])
    x = (np.arange(n) + 0.5) / n - 0.5
    X = np.stack([np.broadcast_to(v.reshape(s), (n,) * 3).ravel() for v, s in (
        (x, (-1, 1, 1)), (x**2, (-1, 1, 1)), (x, (1, -1, 1)), (x, (1, 1, -1)))], axis=1)
    X = X[heavy] * root[:, None]
    values, _ = solve(S, X, M=levels.aspreconditioner(), Y=known, tol=2e-5, maxiter=STEPS, largest=False)
    return np.sort(values)[:2], assembly, time.process_time() - clock - assembly


def pyamg_passage(n):
    difference, own, assembly, rival = passage_benchmark.committor_and_rate(3, n)
    return [difference], assembly, rival, own


SOLVERS = {"eigsh": eigsh, "lobpcg + pyamg": lobpcg, "pyamg": pyamg_passage}


def _alone(kind, name, n):
    """What a process of its own finds: numbers, seconds (ours; or chain, solve and ours), peak bytes a
    cell."""
    import resource

    import numba
    numba.set_num_threads(1)
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    call = QUESTIONS[name] if kind == "ours" else SOLVERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call(SMALL if kind == "ours" or name != "pyamg" else 10)                        # compile
        before, clock = peak(), time.process_time()
        found = call(n)
    seconds = (time.process_time() - clock,) if kind == "ours" else tuple(found[1:])
    values = found if kind == "ours" else found[0]
    return [float(v) for v in values], seconds, (peak() - before) / n**3


def _process(*job):
    """`_alone` in a process of its own, so that the peak of memory is that of one question."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_alone, *job).result()


def _has_room(n):
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > ROOM * n**3


def measure(quick=False):
    rows, run = [], _alone if quick else _process
    ours, rivals = ({"slow modes": (26,)}, {"eigsh": (26,)}) if quick else (OURS, RIVALS)
    known = {}
    for name, grids in ours.items():
        for n in (g for g in grids if _has_room(g)):
            values, (seconds,), size = run("ours", name, n)
            known[name, n] = values, seconds
            rows.append({"question": name, "cells": n, "code": "fpkit", "seconds": seconds, "bytes": size,
                         "values": values, "quick": quick})
    for name, grids in rivals.items():
        if "pyamg" in name and find_spec("pyamg") is None:
            continue
        for n in grids:
            values, (assembly, solve, *own), size = run("rival", name, n)
            if name == "pyamg":
                question, (difference,), (own,) = "committor and rate", values, own
            else:
                question, (mine, own) = "slow modes", known["slow modes", n]
                difference = max(abs(a / b - 1) for a, b in zip(mine, values))
            rows.append({"question": question, "cells": n, "code": name, "seconds": solve,
                         "assembly": assembly, "bytes": size, "difference": float(difference),
                         "ratio": (assembly + solve) / own, "own": own, "quick": quick})
    return rows


def judge(rows):
    misses = []
    for r in rows:
        where = f"{r['question']} at {r['cells']}^3"
        if r["code"] == "fpkit":
            if not r["quick"] and r["cells"] >= BYTES_FROM and not r["bytes"] <= MOST_BYTES:
                misses.append(f"{where} takes {r['bytes']:.0f} bytes a cell")
            continue
        if not r["difference"] <= SAME[r["code"]]:
            misses.append(f"{where}: {r['code']} and ours differ by {r['difference']:.1e}")
        if not r["quick"] and r["cells"] >= JUDGED_FROM[r["code"]] and not r["ratio"] > 1:
            misses.append(f"{where}: chain and {r['code']} took {r['ratio']:.2f} times our CPU time")
    columns = {"question": "question", "cells": "cells an axis", "code": "code", "assembly": "chain, CPU s",
               "seconds": "CPU s", "own": "ours, CPU s", "ratio": "(chain + rival) / ours",
               "bytes": "bytes a cell", "difference": "difference"}
    used = {k: v for k, v in columns.items() if any(r.get(k) is not None for r in rows)}
    others = [r for r in rows if r["code"] != "fpkit"]
    reason = (f"answers differ by at most {max(r['difference'] for r in others):.1e}"
              + ("; speed and memory are judged in the full form only" if rows[0]["quick"] else ""))
    return ruled(globals(), Table.of(rows, used), misses, reason, {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    return [row | {"difference": 1e-3} if row["code"] != "fpkit" else row for row in rows]


def figure(verdict):
    """CPU seconds against the number of cells, ours and of the rivals."""
    from fpkit.plotting import style
    fig, axes = style.figure(1, 1)
    ax = np.ravel(axes)[0]
    rows = verdict.numbers["rows"]
    for k, name in enumerate(dict.fromkeys((r["question"], r["code"]) for r in rows)):
        mine = sorted((r for r in rows if (r["question"], r["code"]) == name), key=lambda r: r["cells"])
        ax.plot([r["cells"] ** 3 for r in mine], [r["seconds"] + (r.get("assembly") or 0.0) for r in mine],
                marker="os^Dv"[k % 5], **style.line_style(k), label=f"{name[0]}, {name[1]}")
    ax.set(xscale="log", yscale="log", xlabel="cells", ylabel="CPU seconds, chain included")
    ax.legend()
    return fig
