"""Talk, claim 10: the second law (with a proper Gibbs density) leads to generalisation."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, judged, too_short, walks
from .learning_09_zero_risk_walk import COLUMNS
from .verdict import Table

CLAIM = ("With a proper Gibbs density (L2 confinement), thermal motion leads from memorising to "
         "generalising: the second law.")
SOURCE = (f"{TALK}, \"Transition to generalization by the second law of thermodynamics\"; the confinement is "
          "ours.")
CRITERION = ("SGLD from M with L2 2e-4 (theta 3e-5) and 1e-3 (theta 1e-4) against the same without noise, "
             "mean of the last eighth over seeds: holds when noise ends at .9 or "
             "more at both; conditional when it beats its noise-free control by .2 and two standard errors "
             "at one of them; else not supported.")


def measure(quick=False):
    found = walks(quick)
    chosen = [r for r in found.rows if r["l2"] > 0]
    return {"rows": chosen, "time": float(max(run.times[-1] for run in found.runs.values())),
            "curves": {f"M, L2 {l2:g}, θ "
                       f"{theta:g}": [run.times.tolist(), run.history["test_acc"][:, 0].tolist()]
                       for (l2, theta, seed), run in found.runs.items() if l2 > 0 and seed == 0}}


def judge(found):
    rows = found["rows"]
    late = lambda l2, hot: np.array([r["late"] for r in rows if r["l2"] == l2 and (r["theta"] > 0) == hot
                                     and r["start"] == "M"])
    gains, text = [], []
    for l2 in sorted({r["l2"] for r in rows}):
        hot, cold = late(l2, True), late(l2, False)
        gain = hot - cold
        error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else 0.0
        gains.append((hot.mean(), gain.mean(), error))
        text.append(f"L2 {l2:g}: {hot.mean():.2f} with noise, {cold.mean():.2f} without")
    n = len({r["seed"] for r in rows})
    reason = "; ".join(
        text) + f" (M, last eighth, {n} seed{'s' if n > 1 else ''}, time up to {found['time']:g})"
    if all(h >= 0.9 for h, _, _ in gains):
        outcome = "holds"
    elif any(g >= 0.2 and g >= 2 * e for _, g, e in gains):
        outcome, reason = ("conditional",
                           "noise helps where L2 alone is too slow, and caps the accuracy: " + reason)
    else:
        outcome = "not supported"
    if too_short(found):
        outcome, reason = "not measured", too_short(found)
    return judged(globals(), Table.of(rows, COLUMNS), outcome, reason, {"curves": found["curves"]})


def run(quick=False):
    return judge(measure(quick))


def contrary(found):
    found = copy.deepcopy(found) | {"time": 1e4}
    is_low = judge(found).outcome != "holds"
    for r in found["rows"]:
        r["late"] = 0.99 if is_low and r["theta"] > 0 else 0.0
    return found


def figure(verdict):
    from fpkit.plotting.style import COLOURS, figure, line_style

    made, axes = figure(width=13, height=8)
    for k, (name, (t, values)) in enumerate(verdict.numbers["curves"].items()):
        axes.plot(t, values, label=name, color=COLOURS[k], linestyle=line_style(k)["linestyle"],
                  linewidth=1.3)
    axes.set(ylim=(-0.03, 1.05), xlabel="time (learning rate × steps)", ylabel="test accuracy",
             title="SGLD from M with confinement, seed 0")
    axes.legend(fontsize=7.5)
    return made
