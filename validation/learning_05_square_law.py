"""Talk, claim 5: the number of steps to grok is the square of the number to memorise."""
from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from ._learning import TALK, is_known, judged, ravines, setting_sweeps
from .verdict import Table, formed

CLAIM = "The number of steps to generalise is the square of the number of steps to memorise."
SOURCE = (f"{TALK}, explanation of its Figure 1 (10^3 and 10^6 steps, quoted there from Power et al., "
          "arXiv:2201.02177).")
CRITERION = ("Model A: k_grok/k_mem^2 follows dt g^2/(2 theta) within 10 % (25 % quick), so the law needs "
             "drift and noise of one step to be equal. Network: exponent of median t_grok against median "
             "t_mem when one setting is varied, with the jackknife's error over seeds. A setting is judged "
             "when its t_mem span a factor of 4 (the learning rate turns steps into time: of it an exponent "
             "of 1 is no evidence) and two errors are at most .5; the law asks for 1.8 to 2.2, within two "
             "errors, in all of them.")
SPAN = 4.0


def measure(quick=False):
    rows = [{"what": f"model A, L = {row['length']:g}", "measured": row["steps_ratio"],
             "asked": row["ratio_formula"]} for row in ravines(quick).rows]
    for name, found in setting_sweeps(quick).items():
        rows.append({"what": f"network, varying {name.replace('_', ' ')}", "asked": 2.0, **arm(found)})
    return {"rows": rows, "tolerance": 0.25 if quick else 0.1}


def arm(found):
    """Exponent of one sweep, its error, and the factor that the times of memorising span."""
    from fpkit.learning.walkers import jackknife

    of = lambda keep: replace(found, t_memorised=found.t_memorised[:, keep],
                              t_grokked=found.t_grokked[:, keep]).exponent()
    slope, times = jackknife(of, np.arange(found.t_grokked.shape[1])), found.medians("t_memorised")
    return {"measured": slope.value, "error": slope.error, "span": float(times.max() / times.min())}


def judge(found):
    rows = found["rows"]
    table = Table.of([{"error": None, "span": None, **r} for r in rows], {
        "what": "case", "measured": "measured", "error": "+-", "asked": "asked for", "span": "t_mem span"})
    model = [r for r in rows if r["what"].startswith("model")]
    if not model or not is_known([model[-1]["measured"], model[-1]["asked"]]):
        return judged(globals(), table, "not measured", "the longest run of model A has no times: nothing is "
                      "concluded")
    # short lengths hold a start-up time before the terminal slope: the longest one decides
    is_model = abs(model[-1]["measured"] / model[-1]["asked"] - 1) <= found["tolerance"]
    judged_arms = [r for r in rows if r["what"].startswith("network") and is_known(
        [r["measured"], r["error"], r["span"]]) and r["span"] >= SPAN and r["error"] <= 0.25]
    is_network = all(abs(r["measured"] - 2) <= 0.2 + 2 * r["error"] for r in judged_arms)
    text = ", ".join(f"{r['measured']:.2f} +- {r['error']:.2f} ({r['what'].removeprefix('network, ')})"
                     for r in judged_arms)
    if not is_model:
        return judged(globals(), table, "fails", "model A gives k_grok/k_mem^2 = "
                      f"{model[-1]['measured']:.3g} and not {model[-1]['asked']:.3g}")
    if not judged_arms:
        return judged(globals(), table, "not measured", "no setting of a network has an exponent over times "
                      f"of memorising that span a factor of {SPAN:g}: nothing is concluded")
    if is_network:
        return judged(globals(), table, "holds", f"the network's exponents are {text}")
    return judged(globals(), table, "conditional", "in model A k_grok/k_mem^2 = dt g^2/(2 theta): the square "
                  "law is a choice of units, true only where drift and noise of a "
                  f"step are equal; FALSE for the networks tried, whose exponents are {text}")


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def contrary(found):
    found = copy.deepcopy(found)
    for r in found["rows"]:
        if r["what"].startswith("network"):
            r |= {"measured": 2.0, "error": 0.05, "span": 9.0}
    return found


def figure(verdict):
    from fpkit.plotting.style import COLOURS, INK, figure

    made, axes = figure(width=16, height=9)
    t = verdict.table
    names = t.column("case")
    rows = range(len(names))
    axes.plot(t.column("asked for"), rows, "|", markersize=18, color=INK,
              label="the law: dt g²/2θ (model), 2 (network)")
    known = lambda name: np.array([v if v is not None else np.nan for v in t.column(name)], float)
    errors, is_thin = 2 * np.nan_to_num(known("+-")), known("t_mem span") < SPAN
    for some, face, text in ((~is_thin, COLOURS[0], "measured, ± 2 errors"),
                             (is_thin, "white", f"not judged: t_mem within a factor of {SPAN:g}")):
        axes.errorbar(known("measured")[some], np.arange(len(names))[some], xerr=errors[some], fmt="o",
                      color=COLOURS[0], markerfacecolor=face, label=text)
    axes.set_yticks(rows, names, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="ratio (model), exponent (network)", title="Is t_grok the square of t_mem?")
    made.legend(fontsize=8, loc="outside lower center", ncols=2, markerscale=0.6, frameon=False)
    return made
