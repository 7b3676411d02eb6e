"""Talk, claim 13: the weight norm rises on memorising and falls on generalising."""
from __future__ import annotations

import copy
import math

import numpy as np

from ._learning import TALK, abstaining, judged
from .verdict import Table, formed

CLAIM = "When overfitting happens the weight norm increases, when generalisation happens it decreases."
SOURCE = f"{TALK}, its Figure 4 (after Liu, Michaud, Tegmark, Omnigrok, arXiv:2210.01117)."
CRITERION = ("Per run: rise = largest norm between memorising and generalising over the one at memorising, "
             "fall = that over the norm 2000 steps later. A run agrees when both "
             "exceed 3 %. Holds when all runs agree, conditional when all runs of a fraction agree, else not "
             "supported; the fall from the random start is reported apart.")
AFTER = 2000


def measure(quick=False):
    from fpkit.learning.modular_addition import ModularAddition, train

    rows, histories = [], {}
    p, width, n_steps = (23, 64, 2500) if quick else (31, 96, 9000)
    for fraction in (0.5, 0.6) if quick else (0.4, 0.5):
        for seed in range(1 if quick else 3):
            run = train(ModularAddition(p, width, fraction, seed), n_steps,
                        stop_after=AFTER if not quick else 800)
            norm, steps = run.history["norm"], run.steps
            end = run.t_grokked or int(steps[-1])
            on = np.flatnonzero((steps >= (run.t_memorised or math.inf)) & (steps <= end))
            known = on.size > 0                    # a run that never memorised has no plateau
            rows.append({"fraction": fraction, "seed": seed, "start": float(norm[0]),
                         "memorised": float(norm[on[0]]) if known else None,
                         "plateau": float(norm[on].max()) if known else None,
                         "end": float(norm[-1]), "t_memorised": run.t_memorised, "t_grokked": run.t_grokked})
            if seed == 0:
                histories[str(fraction)] = {"steps": steps.tolist(),
                                            **{k: v.tolist() for k, v in run.history.items()}}
    return {"rows": rows, "histories": histories}


@abstaining("start", "memorised", "plateau", "end")
def judge(found):
    rows = [{**r, "rise": r["plateau"] / r["memorised"] - 1, "fall": 1 - r["end"] / r["plateau"]}
            for r in found["rows"]]
    rows = [{**r, "agrees": bool(r["rise"] > 0.03 and r["fall"] > 0.03 and r["t_grokked"] is not None)}
            for r in rows]
    columns = {k: k for k in ("fraction", "seed", "start", "memorised", "plateau", "end", "rise", "fall",
                              "agrees")}
    by_fraction = {f: [r["agrees"] for r in rows if r["fraction"] == f]
                   for f in sorted({r["fraction"] for r in rows})}
    count = "; ".join(f"fraction {f:g}: {sum(a)} of {len(a)} runs agree" for f, a in by_fraction.items())
    fell = sum(r["memorised"] < r["start"] for r in rows)
    reason = (f"{count}; in {fell} of {len(rows)} the norm FALLS until the sample is memorised; one weight "
              "decay, 1")
    outcome = "holds" if all(map(all, by_fraction.values())) else "conditional" if any(
        map(all, by_fraction.values())) else "not supported"
    return judged(globals(), Table.of(rows, columns), outcome, reason, {"histories": found["histories"]})


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def contrary(found):
    found = copy.deepcopy(found)
    was = judge(found).outcome
    for r in found["rows"]:
        r.update(plateau=2 * r["memorised"], end=r["memorised"],
                 t_grokked=1000) if was != "holds" else r.update(plateau=r["memorised"])
    return found


def figure(verdict):
    from fpkit.plotting.learning import norm_axes, norm_key
    from fpkit.plotting.style import figure

    histories = verdict.numbers["histories"]
    made, row = figure(1, len(histories), width=17, height=8, squeeze=False)
    for k, (axes, (fraction, history)) in enumerate(zip(row[0], histories.items())):
        second = norm_axes(axes, history, f"fraction {fraction}, weight decay 1, seed 0", k == 0)
    norm_key(made, row[0][0], second)
    return made
