"""Talk, claim 11 (implied): equipartition on the zero-risk set."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, abstaining, judged, too_short, walks
from .verdict import Table, formed

CLAIM = ("On the zero-risk set each of the n p residuals is a stiff direction that carries theta/2: the mean "
         "risk is theta n p/2.")
SOURCE = (f"{TALK} (zero risk as an intersection of the conditions L(z, x) = 0; temperature); equipartition "
          "for f quadratic in its residuals.")
CRITERION = ("Mean training risk over the last eighth against theta n p/2: within 10 % for all conditions "
             "and starts, mean over seeds; conditional when only within 25 %. Beside "
             "it sum_i (theta/2) lambda_i/(lambda_i + L2) over the Hessian at the end of seed 0, which "
             "counts soft directions as what they are.")


def measure(quick=False):
    found = walks(quick)
    rows = []
    for (l2, theta, seed), run in found.runs.items():
        if theta == 0:
            continue
        for k, start in enumerate("MG"):
            row = next(r for r in found.rows
                       if (r["l2"], r["theta"], r["seed"], r["start"]) == (l2, theta, seed, start))
            soft = None
            if seed == 0 and not quick:
                e = np.maximum(np.linalg.eigvalsh(run.problem.hessian(run.x[k])), 0.0)
                soft = float(0.5 * theta * (e / (e + max(l2, 1e-12))
                                            / (1 - 0.5 * run.learning_rate * (e + l2))).sum()) if l2 else None
            rows.append({"l2": l2, "theta": theta, "seed": seed, "start": start, "risk": row["risk"],
                         "equipartition": row["equipartition"],
                         "ratio": row["risk"] / row["equipartition"], "soft": soft})
    return {"rows": rows, "time": float(min(run.times[-1] for run in found.runs.values()))}


@abstaining("ratio", numbers_of=("time",))
def judge(found):
    rows = found["rows"]
    columns = {"l2": "L2", "theta": "theta", "seed": "seed", "start": "start", "risk": "mean risk",
               "equipartition": "theta n p/2", "ratio": "ratio", "soft": "with soft directions"}
    groups = sorted({(r["l2"], r["theta"], r["start"]) for r in rows})
    ratios = {g: float(np.mean([r["ratio"] for r in rows if (r["l2"], r["theta"], r["start"]) == g]))
              for g in groups}
    worst = max(ratios.values(), key=lambda v: abs(v - 1))
    outcome = "holds" if abs(worst - 1) <= 0.1 else "conditional" if abs(worst
                                                                         - 1) <= 0.25 else "not supported"
    free = [v for (l2, _, _), v in ratios.items() if l2 == 0]
    without = f" (without L2 {min(free):.3f} to {max(free):.3f})" if free else ""
    reason = (f"ratios {min(ratios.values()):.3f} to {max(ratios.values()):.3f}{without}: L2 makes the "
              "softest of the n p directions carry less than theta/2")
    if too_short(found):
        outcome, reason = "not measured", too_short(found)
    return judged(globals(), Table.of(rows, columns), outcome, reason)


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def contrary(found):
    return {"rows": [{**r, "ratio": 3.0} for r in copy.deepcopy(found["rows"])], "time": 1e4}


def figure(verdict):
    from fpkit.plotting.style import COLOURS, FEW, INK, figure

    made, axes = figure(width=11, height=9)
    t = verdict.table
    for k, start in enumerate("MG"):
        chosen = [i for i, s in enumerate(t.column("start")) if s == start]
        axes.plot([t.column("theta n p/2")[i] for i in chosen], [t.column("mean risk")[i] for i in chosen],
                  "os"[k], color=COLOURS[k], markerfacecolor="none",
                  linestyle="", label=f"walks from {start}")
    line = sorted(t.column("theta n p/2"))
    axes.plot([0.8 * line[0], 1.2 * line[-1]], [0.8 * line[0], 1.2 * line[-1]], color=INK, linewidth=0.8,
              label="equal")
    axes.set(xscale="log", yscale="log", xlabel="θ n p/2 (loss)", ylabel="mean training risk",
             title="Equipartition")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(FEW)
    axes.legend()
    return made
