"""All problems on which fpkit is compared with others in one table: error first, then CPU seconds."""
from __future__ import annotations

import copy
import time
from importlib.util import find_spec

import numpy as np

from . import density_benchmark, driven_peers, exact_1d, passage_benchmark, paths_benchmark
from ._euler_chain import exact_mfpt
from .first_passage_paths import LOW, START, THETA, gradient
from .verdict import Table, ruled

CLAIM = ("On each problem of the comparison fpkit is as accurate as asked, and no other code that is takes "
         "less CPU time.")
SOURCE = ("P1, P4: gap and passage times of (x^2-1)^2 in one dimension against constants of 200 digits; P2, "
          "P3: densities (density_benchmark), with a force (driven_peers); committor, rate and gap on grids "
          "(passage_benchmark); S1 to S3: paths (paths_benchmark); S4: passage time from paths. NumPy and "
          "SciPy always; fplanck, FiPy, py-pde, pyamg, scikit-fem, kramers where they are installed (extra "
          "`peers`).")
CRITERION = ("The error of ours is at most that of the problem; of the others, those within it take at "
             "least our CPU seconds (medians of interleaved runs of one thread; full form only, the quick "
             "form looks at P1, P4 and S4 and judges errors alone). C kernels are yardsticks, not rivals.")

LIMIT = {"P1 gap": 1e-12, "P4 gap": 1e-12, "P4 passage time": 1e-12, "S4": 0.04}
CELLS = {0.1: 200, 0.02: 1000}
N_PATHS, STEP = 4000, 0.01
YARDSTICK = "C kernel"


def timed(calls, repeats):
    """{name: (answer, median CPU seconds)} of interleaved runs, after one that compiles."""
    found = {name: (call(), []) for name, call in calls.items()}
    for _ in range(repeats):
        for name, call in calls.items():
            clock = time.process_time()
            call()
            found[name][1].append(time.process_time() - clock)
    return {name: (answer, float(np.median(seconds))) for name, (answer, seconds) in found.items()}


def rows_of(problem, found, error, limit):
    """One row a code; `error(answer)`."""
    own = found["fpkit"][1]
    return [{"problem": problem, "code": code, "error": float(error(answer)), "seconds": seconds,
             "ratio": None if code == "fpkit" else seconds / own, "limit": limit}
            for code, (answer, seconds) in found.items()]


# ---------------------------------------------------------------------------------------------- one dimension
def scipy_gap(theta, n):
    """Second eigenvalue by finite volumes with midpoint weights, what a good user writes first."""
    from scipy.linalg import eigh_tridiagonal
    h = 5 / n
    x = -2.5 + h * (np.arange(n) + 0.5)
    f = lambda y: (y * y - 1) ** 2 / theta
    up, m = np.exp(-(f(x[:-1] + h / 2) - f(x)[:-1])), f(x)
    down = np.exp(-(f(x[:-1] + h / 2) - m[1:]))
    diagonal = np.r_[up, 0.0] + np.r_[0.0, down]
    values = eigh_tridiagonal(diagonal, -np.sqrt(up * down), eigvals_only=True, select="i",
                              select_range=(0, 1))
    return theta / h**2 * values[1]


def scipy_passage(theta):
    """MFPT from -1 to 1 by nested quadrature."""
    from scipy.integrate import quad
    f = lambda y: (y * y - 1) ** 2 / theta
    inner = lambda y: quad(lambda z: np.exp(f(y) - f(z)), -2.5, y, points=[-1.0] if y > -1 else None,
                           limit=200)[0]
    return quad(inner, -1.0, 1.0, limit=200, points=[0.0])[0] / theta


def line(repeats):
    import fpkit as fp

    rows = []
    for theta, gap, _, well in exact_1d.CONSTANTS[:2]:
        n = CELLS[theta]
        D = lambda theta=theta, n=n: exact_1d.diffusion(exact_1d.QUARTIC, theta, -2.5, 2.5, n)
        name = "P1 gap" if theta == 0.1 else "P4 gap"
        found = timed({"fpkit": lambda D=D: D().spectrum(2)[1].value,
                       "SciPy finite volumes": lambda t=theta, n=n: scipy_gap(t, n)}, repeats)
        rows += rows_of(f"{name}, theta {theta:g}", found, lambda v, gap=gap: abs(v / gap - 1), LIMIT[name])
        calls = {"fpkit": lambda D=D: D().mfpt(fp.HalfSpace([1], 1.0)).at([-1.0]).value,
                 "SciPy quad": lambda t=theta: scipy_passage(t)}
        if find_spec("kramers") is not None:
            calls["kramers"] = lambda t=theta: _kramers(t)
        rows += rows_of(f"P4 passage time, theta {theta:g}", timed(calls, repeats),
                        lambda v, well=well: abs(v / well - 1), LIMIT["P4 passage time"])
    return rows


def _kramers(theta):
    import kramers

    f = lambda y: (np.asarray(y) ** 2 - 1) ** 2 / theta
    one = kramers.FirstPassage1D(f, D=theta, domain=(-2.5, 1.0), left="reflecting", right="absorbing")
    return float(one.mean_time(-1.0).value)


# ------------------------------------------------------------------------------------------------------ paths
def numpy_passage():
    """Mean passage time from -1 to 0 by Euler's steps of all walkers that are left."""
    rng, sigma = np.random.default_rng(1), np.sqrt(2 * THETA * STEP)
    x, total, k = np.full(N_PATHS, START), 0.0, 0
    while x.size:
        x += sigma * rng.standard_normal(x.size) - STEP * gradient(x)
        k += 1
        is_out = x >= 0.0
        total += k * STEP * is_out.sum()
        x = x[~is_out]
    return total / N_PATHS


def passage_of_paths(repeats):
    import fpkit as fp

    V = fp.Potential("(x**2 - 1)**2")
    exact = exact_mfpt(lambda x: (x * x - 1) ** 2, START, 0.0, THETA, LOW)
    found = timed({"fpkit": lambda: fp.exit_time(V, THETA, [START], fp.HalfSpace([1], 0.0), STEP, N_PATHS,
                                                 seed=3, n_threads=1).value,
                   "NumPy loop": numpy_passage}, repeats)
    return rows_of("S4", found, lambda v: abs(v / exact - 1), LIMIT["S4"])


# ---------------------------------------------------------------------------- what other validations measure
def densities(found):
    """Rows of density_benchmark: P2 and P3."""
    for r in found:
        if r["code"] == "order" or r.get("assembly") is None:
            continue
        seconds = r["assembly"] + r["stepping"]
        own = next(o for o in found if o["code"] == "fpkit" and (o["problem"], o["t"]) == (
            r["problem"], r["t"]) and (o["problem"] != "P3" or o["cells"] == r["cells"]))
        yield {"problem": f"{r['problem']}, t = {r['t']:g}", "code": r["code"], "cells": r["cells"],
               "error": r["error"], "seconds": seconds, "limit": own.get("limit", 1e-3),
               "ratio": None if r["code"] == "fpkit" else seconds / (own["assembly"] + own["stepping"])}


def driven(found):
    own = found["rows"][0]
    for r in found["rows"]:
        yield {"problem": "P2 with a force", "code": r["code"], "cells": r["cells"], "error": r["error"],
               "seconds": r["seconds"], "limit": driven_peers.TARGET,
               "ratio": None if r is own else r["seconds"] / own["seconds"]}


def passages(found):
    for r in found:
        problem = f"{r['question']}, {r['cells']} cells"
        yield {"problem": problem, "code": "fpkit", "error": r["difference"], "seconds": r["own"],
               "limit": passage_benchmark.SAME[r["d"]], "ratio": None}
        yield {"problem": problem, "code": f"{r['code']} on our chain", "error": r["difference"],
               "seconds": r["assembly"] + r["rival"], "limit": None, "ratio": r["ratio"]}


def paths(found):
    for r in found:
        own = paths_benchmark.N_PATHS / r["steps_per_cpu_second"]
        yield {"problem": f"{r['problem']}, a step of all paths", "code": "fpkit", "error": r["ks"],
               "seconds": own, "limit": r["ks_limit"], "ratio": None}
        for code, ratio in (("NumPy loop", r["over_numpy"]),
                            (YARDSTICK, None if r.get("over_c") is None else 1 / r["over_c"])):
            if ratio is not None:
                yield {"problem": f"{r['problem']}, a step of all paths", "code": code,
                       "error": None, "seconds": own * ratio, "limit": None, "ratio": ratio}


def measure(quick=False):
    rows = [*line(1 if quick else 5), *passage_of_paths(1 if quick else 3)]
    if not quick:
        rows += [*densities(density_benchmark.measure()), *driven(driven_peers.measure()),
                 *passages(passage_benchmark.measure()), *paths(paths_benchmark.measure())]
    return [row | {"quick": quick} for row in rows]


def judge(rows):
    misses = []
    for r in rows:
        if r["code"] == "fpkit":
            if not r["error"] <= r["limit"]:
                misses.append(f"{r['problem']}: our error is {r['error']:.1e}, asked {r['limit']:.1e}")
        elif (not r["quick"] and r["code"] != YARDSTICK and r["limit"] is not None
              and r["error"] <= r["limit"] and not r["ratio"] >= 1):
            misses.append(f"{r['problem']}: {r['code']} takes {r['ratio']:.2f} times our CPU time at an "
                          f"error of {r['error']:.1e}")
    columns = {"problem": "problem", "code": "code", "cells": "cells an axis", "error": "error",
               "limit": "asked", "seconds": "CPU s", "ratio": "CPU s / ours"}
    used = {k: v for k, v in columns.items() if any(r.get(k) is not None for r in rows)}
    others = sorted({r["code"] for r in rows} - {"fpkit"})
    return ruled(globals(), Table.of(rows, used), misses, f"beside {', '.join(others)}"
                 + ("; speed is judged in the full form only" if rows[0]["quick"] else ""), {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    rows = copy.deepcopy(rows)
    rows[0]["error"] = 10 * rows[0]["limit"]
    return rows


def figure(verdict):
    """CPU seconds of the others over ours; hollow where they miss the error that was asked."""
    from fpkit.plotting import style
    rows = [r for r in verdict.numbers["rows"] if r.get("ratio") is not None]
    fig, axes = style.figure(1, 1, height=2.5 + 0.55 * len(rows))
    ax = np.ravel(axes)[0]
    for k, r in enumerate(reversed(rows)):
        is_there = r["limit"] is None or r["error"] <= r["limit"]
        ax.plot(r["ratio"], k, "o", color="C0", markerfacecolor="C0" if is_there else "none")
    ax.set_yticks(range(len(rows)), [f"{r['problem']}: {r['code']}" for r in reversed(rows)])
    ax.axvline(1.0, color="0.6", linewidth=0.8)
    ax.set(xscale="log", xlabel="CPU seconds over ours (hollow: does not reach the error asked)")
    return fig
