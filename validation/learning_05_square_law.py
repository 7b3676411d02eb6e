"""Talk, claim 5: the number of steps to grok is the square of the number to memorise."""
from __future__ import annotations

import copy
import math

from ._learning import TALK, judged, ravines, setting_sweeps
from .verdict import Table

CLAIM = "The number of steps to generalise is the square of the number of steps to memorise."
SOURCE = (f"{TALK}, explanation of its Figure 1 (10^3 and 10^6 steps, quoted there from Power et al., "
          "arXiv:2201.02177).")
CRITERION = ("Model A: k_grok/k_mem^2 follows dt g^2/(2 theta) within 10 % (25 % quick), so the law needs "
             "drift and noise of one step to be equal. Network: exponent of median t_grok against median "
             "t_mem when one setting is varied; the law asks for 1.8 to 2.2 in all of them.")


def measure(quick=False):
    rows = [{"what": f"model A, L = {row['length']:g}", "measured": row["steps_ratio"],
             "asked": row["ratio_formula"]} for row in ravines(quick).rows]
    for name, found in setting_sweeps(quick).items():
        rows.append({"what": f"network, varying {name.replace('_', ' ')}", "measured": found.exponent(),
                     "asked": 2.0})
    return {"rows": rows, "tolerance": 0.25 if quick else 0.1}


def judge(found):
    rows = found["rows"]
    model = [r for r in rows if r["what"].startswith("model")]
    # short lengths hold a start-up time before the terminal slope: the longest one decides
    is_model = abs(model[-1]["measured"] / model[-1]["asked"] - 1) <= found["tolerance"]
    exponents = [r["measured"]
                 for r in rows if r["what"].startswith("network") and not math.isnan(r["measured"])]
    is_network = bool(exponents) and all(1.8 <= e <= 2.2 for e in exponents)
    table = Table.of(rows, {"what": "case", "measured": "measured", "asked": "asked for"})
    text = ", ".join(f"{e:.2f}" for e in exponents)
    if not is_model:
        return judged(globals(), table, "fails", "model A gives k_grok/k_mem^2 = "
                      f"{model[-1]['measured']:.3g} and not {model[-1]['asked']:.3g}")
    if is_network:
        return judged(globals(), table, "holds", f"the network's exponents are {text}")
    return judged(globals(), table, "conditional", "in model A k_grok/k_mem^2 = dt g^2/(2 theta): the square "
                  "law is a choice of units, true only where drift and noise of a "
                  f"step are equal; FALSE for the networks tried, whose exponents are {text}")


def run(quick=False):
    return judge(measure(quick))


def contrary(found):
    found = copy.deepcopy(found)
    for r in found["rows"]:
        if r["what"].startswith("network"):
            r["measured"] = 2.0
    return found


def figure(verdict):
    from fpkit.plotting.style import COLOURS, INK, figure

    made, axes = figure(width=16, height=9)
    t = verdict.table
    names = t.column("case")
    rows = range(len(names))
    axes.plot(t.column("asked for"), rows, "|", markersize=18, color=INK,
              label="the law: dt g²/2θ (model), 2 (network)")
    axes.plot([v if v is not None else float("nan") for v in t.column("measured")], rows, "o",
              color=COLOURS[0], label="measured")
    axes.set_yticks(rows, names, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="ratio (model), exponent (network)", title="Is t_grok the square of t_mem?")
    made.legend(fontsize=8, loc="outside lower center", ncols=2, markerscale=0.6, frameon=False)
    return made
