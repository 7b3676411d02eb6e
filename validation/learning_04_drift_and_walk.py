"""Talk, claim 4: memorising is a drift (~ t), generalising a Brownian walk (~ sqrt t)."""
from __future__ import annotations

import copy

from ._learning import TALK, judged, ravines, z_score
from .verdict import Table

CLAIM = "Memorising is a drift, distance ~ t; grokking of the model is Brownian motion, distance ~ sqrt(t)."
SOURCE = f"{TALK}, explanation of its Figure 1; model A of fpkit.learning.models."
CRITERION = ("Exponents of t_mem(L) and t_grok(L) within .03 of 1 and 2 (quick form: within .15); t_grok of "
             "the paths within 4 standard errors of finite volumes, these within 1 % of L^2/(2 theta).")


def measure(quick=False):
    table = ravines(quick)
    rows = [{**{k: float(v) for k, v in row.items()}, "mem_error": row["t_mem"].error,
             "grok_error": row["t_grok"].error,
             "z": z_score(row["t_grok"], row["finite_volumes"])} for row in table.rows]
    return {"rows": rows, "drift": float(table.exponent("t_mem", "length")),
            "drift_error": table.exponent("t_mem", "length").error,
            "walk": float(table.exponent("t_grok", "length")),
            "walk_error": table.exponent("t_grok", "length").error,
            "n_paths": table.inputs["n_paths"], "tolerance": 0.15 if quick else 0.03}


def judge(found):
    rows = found["rows"]
    columns = {"length": "L", "t_mem": "t_mem", "mem_error": "+-", "drift": "(L - floor)/g",
               "t_grok": "t_grok", "grok_error": "+- ", "finite_volumes": "finite volumes",
               "reduced": "reduced 1D", "walk": "L^2/(2 theta)", "z": "z"}
    exact = all(abs(r["finite_volumes"] / r["walk"] - 1) <= 0.01 and abs(r["z"]) <= 4 for r in rows)
    good = abs(found["drift"] - 1) <= found["tolerance"] and abs(found["walk"] - 2) <= found["tolerance"]
    reason = (f"exponents {found['drift']:.3f} +- {found['drift_error']:.3f} and {found['walk']:.3f} +- "
              f"{found['walk_error']:.3f} from {found['n_paths']} paths a length, "
              "in model A; nothing is said of a network")
    outcome = "holds in the model" if good and exact else "fails" if not exact else "not supported"
    return judged(globals(), Table.of(rows, columns), outcome, reason if exact else "paths, finite volumes "
                  "and formula disagree: " + reason, {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(found):
    found = copy.deepcopy(found)
    found["walk"] = 1.0
    return found


def figure(verdict):
    from fpkit.plotting.learning import ravine_axes
    from fpkit.plotting.style import figure

    made, axes = figure(width=12, height=9)
    ravine_axes(axes, verdict.numbers["rows"])
    axes.set_title("Model A: drift and walk")
    return made
