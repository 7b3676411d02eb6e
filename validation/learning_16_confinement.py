"""Talk, claim 16 (implied): zero risk and high entropy suffice, no confinement is needed."""
from __future__ import annotations

import copy

from ._learning import TALK, judged, too_short, walks
from .verdict import Table

CLAIM = "Zero risk and high entropy suffice: the walk needs no confinement of the weights."
SOURCE = (f"{TALK} (implied: f alone is the potential; f with an unbounded zero set has no normalisable "
          "Gibbs density).")
CRITERION = ("SGLD at theta 3e-5 from G, mean over seeds: false here when without L2 the norm grows by more "
             "than 10 % of its start and the accuracy ends more than .1 below that with L2 2e-4; "
             "holds when the norms agree within 3 % and the accuracies within .05; else not supported.")


def measure(quick=False):
    found = walks(quick)
    rows = [r for r in found.rows if r["theta"] == 3e-5 and r["start"] == "G"]
    return {"rows": rows, "time": float(min(run.times[-1] for run in found.runs.values())),
            "curves": {f"L2 {l2:g}": [run.times.tolist(), run.history["norm"][:, 1].tolist()]
                       for (l2, theta, seed), run in found.runs.items() if theta == 3e-5 and seed == 0}}


def judge(found):
    rows = found["rows"]
    mean = lambda l2, key: sum(r[key] for r in rows if (r["l2"] > 0) == l2) / sum((r["l2"] > 0) == l2
                                                                                  for r in rows)
    growth = mean(False, "norm_last") / mean(False, "norm_first") - 1
    with_l2, without = mean(True, "late"), mean(False, "late")
    norms = mean(True, "norm_last"), mean(False, "norm_last")
    outcome = ("false here" if growth > 0.1 and without < with_l2 - 0.1 else "holds"
               if abs(norms[0] / norms[1] - 1) < 0.03 and abs(with_l2 - without) < 0.05 else "not supported")
    reason = (f"without L2 the norm of G goes from {mean(False, 'norm_first'):.1f} to {norms[1]:.1f} and its "
              f"accuracy to {without:.2f}, with L2 2e-4 to {norms[0]:.1f} and {with_l2:.2f}: "
              "state the confinement in every run")
    if too_short(found):
        outcome, reason = "not measured", too_short(found)
    columns = {"l2": "L2", "seed": "seed", "norm_first": "norm, start", "norm_last": "norm, end",
               "first": "test accuracy, start", "late": "last eighth"}
    return judged(globals(), Table.of(rows, columns), outcome, reason, {"curves": found["curves"]})


def run(quick=False):
    return judge(measure(quick))


def contrary(found):
    found = copy.deepcopy(found) | {"time": 1e4}
    was = judge(found).outcome
    for r in found["rows"]:
        r.update(norm_last=r["norm_first"] * (1.0 if was != "holds" or r["l2"] else 2.0),
                 late=0.95 if was != "holds" or r["l2"] else 0.1)
    return found


def figure(verdict):
    from fpkit.plotting.style import figure, line_style

    made, axes = figure(width=12, height=8)
    for k, (name, (t, values)) in enumerate(verdict.numbers["curves"].items()):
        axes.plot(t, values, label=name, **(line_style(k) | {"marker": ""}))
    axes.set(xlabel="time (learning rate × steps)", ylabel="norm of the weights |x|",
             title="The walk from G with and without confinement")
    axes.legend()
    return made
