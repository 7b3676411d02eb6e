"""Talk, claim 9: Brownian motion on the zero-risk set groks by itself."""
from __future__ import annotations

import copy

from ._learning import TALK, judged, too_short, walks
from .verdict import Table

CLAIM = ("A random walk in the zero-risk region, without any confinement, leads from memorising to "
         "generalising.")
SOURCE = f"{TALK}, explanation of its Figure 1 (\"Grokking - random walk in the region of zero risk\")."
CRITERION = ("SGLD at theta 3e-5 without L2 from M and from G: holds when both end (mean of the last eighth, "
             "mean over seeds) at a test accuracy of .9; false here when M "
             "stays below .5 and G falls by more than .1.")


def measure(quick=False):
    found = walks(quick)
    return {"rows": [r for r in found.rows if r["l2"] == 0],
            "time": float(found.runs[0.0, 3e-5, 0].times[-1]),
            "curves": {f"{start}, seed {seed}": run.history["test_acc"][:, k].tolist() for (l2, theta, seed),
                       run in found.runs.items() if l2 == 0
                       for k, start in enumerate("MG")}, "times": found.runs[0.0, 3e-5, 0].steps.tolist()}


COLUMNS = {"start": "start", "seed": "seed", "l2": "L2", "theta": "theta", "first": "test accuracy, start",
           "late": "last eighth", "last": "end", "norm_first": "norm, start", "norm_last": "norm, end"}


def judge(found):
    rows = found["rows"]
    mean = lambda start, key: sum(r[key] for r in rows if r["start"] == start) / sum(r["start"] == start
                                                                                     for r in rows)
    m, g, g0 = mean("M", "late"), mean("G", "late"), mean("G", "first")
    n = len(rows) // 2
    text = (f"after a time of {found['time']:g} M is at {m:.2f} and G has gone from {g0:.2f} to {g:.2f} "
            f"(mean of {n} seed{'s' if n > 1 else ''}); the unbounded zero-risk set has no Gibbs density and "
            "its volume lies elsewhere")
    outcome = ("holds" if m >= 0.9 and g >= 0.9 else "false here" if m < 0.5 and g < g0 - 0.1
               else "not supported")
    if too_short(found):
        outcome, text = "not measured", too_short(found)
    return judged(globals(), Table.of(rows, COLUMNS), outcome, text,
                  {"curves": found["curves"], "times": found["times"]})


def run(quick=False):
    return judge(measure(quick))


def contrary(found):
    found = copy.deepcopy(found) | {"time": 1e4}
    for r in found["rows"]:
        r["late"] = 0.99
    return found


def figure(verdict):
    from fpkit.plotting.learning import walk_axes
    from fpkit.plotting.style import figure

    made, axes = figure(width=13, height=8)
    walk_axes(axes, verdict.numbers["times"], list(verdict.numbers["curves"].items()), "test accuracy")
    axes.set(ylim=(-0.03, 1.05), title="SGLD without confinement, from M and G")
    axes.legend(fontsize=7.5)
    return made
