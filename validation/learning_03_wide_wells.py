"""Talk, claim 3: the walk is captured by wide wells."""
from __future__ import annotations

import copy
import math

from ._learning import TALK, judged
from .verdict import Table

CLAIM = "SGLD is captured by wide wells: the wider of two wells holds more of the walkers."
SOURCE = (f"{TALK}, \"capture of a system by wide potential wells\"; Z_w/Z_n = exp((E_n - E_w)/theta) "
          "(k_n/k_w)^(m/2), m directions across.")
CRITERION = ("Share of the wide well among walkers that started in the narrow one within 4 standard "
             "errors of the exact Gibbs share, in 2D and 10-D, on both sides of theta* = 2 (E_w - E_n)/(m "
             "log(k_n/k_w)) when the narrow well is deeper; the majority changes sides at theta*.")

CASES = ((2, 25.0, 0.0), (10, 2.0, 0.0), (10, 2.0, 0.6))       # dimension, k_n/k_w, E_w - E_n
BARRIER = 0.6


def measure(quick=False):
    """One row for each case and temperature."""
    import numpy as np

    import fpkit as fp

    n = 500 if quick else 2000
    rows = []
    for d, ratio, deeper in CASES:
        def f(x, barrier=BARRIER, deeper=deeper, logr=math.log(ratio)):
            return barrier * (x[0] ** 2 - 1) ** 2 + 0.5 * deeper * x[0] + 0.5 * np.exp(
                -0.5 * x[0] * logr) * 4.0 * (x[1:] ** 2).sum()

        V = fp.Potential(f, ndim=d)
        crossover = 2 * deeper / ((d - 1) * math.log(ratio))
        for theta in (0.3, 0.5) if not deeper else (0.15, 0.3):
            x = np.linspace(-2.5, 2.5, 20_001)
            w = np.exp(-(BARRIER * (x**2 - 1) ** 2 + 0.5 * deeper * x) / theta
                       + 0.25 * (d - 1) * x * math.log(ratio))
            exact = float(w[x > 0].sum() / w.sum())
            run = fp.simulate(V, theta, np.r_[-1.0, np.zeros(d - 1)], 0.02, 50_000 if theta < 0.2 else 10_000,
                              n_paths=n, seed=3, scheme="leimkuhler-matthews")
            share = float((run.x[:, 0] > 0).mean())
            rows.append({"dimension": d, "k_n/k_w": ratio, "deeper": deeper, "theta*": crossover,
                         "theta": theta, "exact": exact, "paths": share,
                         "z": (share - exact) / math.sqrt(exact * (1 - exact) / n)})
    return rows


def judge(rows):
    """Equilibrium occupation must be the Gibbs one; the claim itself is conditional on theta above theta*."""
    columns = {k: k for k in ("dimension", "k_n/k_w")} | {"deeper": "E_w - E_n", "theta*": "theta*",
                                                          "theta": "theta", "exact": "share of the wide "
                                                          "well, exact", "paths": "paths", "z": "z"}
    table = Table.of(rows, columns)
    bad = [r for r in rows if not abs(r["z"]) <= 4]
    if bad:
        return judged(globals(), table, "fails", f"in {bad[0]['dimension']}-D at theta {bad[0]['theta']:g} "
                      f"the paths are {bad[0]['z']:.1f} standard errors off")
    if all(r["paths"] > 0.5 for r in rows):
        return judged(globals(), table, "holds", "the wide well holds the majority in every case tried")
    right = all((r["paths"] > 0.5) == (r["theta"] > r["theta*"])
                for r in rows if abs(r["theta"] / max(r["theta*"], 1e-9) - 1) > 0.05)
    cold = next(r for r in rows if r["paths"] <= 0.5)
    return judged(globals(), table, "conditional" if right else "not supported",
                  f"equilibrium occupation is exp(-F/theta) to {max(abs(r['z']) for r in rows):.1f} standard "
                  "errors, so wide wells win only above theta* when the narrow one is deeper: share "
                  f"{cold['paths']:.2f} at theta {cold['theta']:g} < theta* = {cold['theta*']:.2f}")


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    rows = copy.deepcopy(rows)
    rows[0]["z"] = 12.0
    return rows


def figure(verdict):
    from fpkit.plotting.style import COLOURS, INK, figure

    made, axes = figure(width=13, height=8)
    t = verdict.table
    names = [f"{d}-D\nE_w−E_n {e:g}\nθ {th:g}" for d, e,
             th in zip(t.column("dimension"), t.column("E_w - E_n"), t.column("theta"))]
    axes.bar(range(len(names)), t.column("share of the wide well, exact"), width=0.6, color=COLOURS[4],
             label="exact Gibbs share")
    axes.plot(range(len(names)), t.column("paths"), "o", color=INK, label="paths from the narrow well")
    axes.axhline(0.5, color=INK, linewidth=0.7, linestyle=":")
    axes.set_xticks(range(len(names)), names, fontsize=7)
    axes.set(ylim=(0, 1.3), ylabel="share of the wide well", title="Who holds the walkers")
    axes.legend(ncols=2, fontsize=7.5)
    return made
