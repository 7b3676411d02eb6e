"""Talk, claim 6: each example cuts the entropy of the start region, so the time falls exponentially."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, chambers, judged, z_score
from .verdict import Table

CLAIM = ("If the entropy of the start region falls linearly with the sample, the grokking time falls "
         "exponentially with it.")
SOURCE = f"{TALK}, explanation of its Figure 2; model B of fpkit.learning.models."
CRITERION = ("All times of the paths within 3 standard errors of finite volumes in (x, r) (quick form: 4), "
             "these within 1 % of the reduced form; slope of log t per nat above .85 for a chamber of more "
             "than 3 nats, and the floor 2^2/(2 theta) where the entropy is spent.")


def measure(quick=False):
    rows = [{"n": r["n"], "entropy": r["entropy"], "t_grok": float(r["t_grok"]), "error": r["t_grok"].error,
             "finite_volumes": r["finite_volumes"], "reduced": r["reduced"],
             "z": z_score(r["t_grok"], r["finite_volumes"])} for r in chambers(quick).rows]
    return {"rows": rows, "allowed": 4.0 if quick else 3.0}


def judge(found):
    rows = found["rows"]
    S, t = np.array([r["entropy"] for r in rows]), np.log([r["finite_volumes"] for r in rows])
    slopes = np.diff(t) / np.diff(S)
    worst = max(abs(r["z"]) for r in rows)
    misfit = max(abs(r["finite_volumes"] / r["reduced"] - 1) for r in rows)
    table = Table.of([{**r, "slope": None if k == 0 else float(slopes[k - 1])} for k, r in enumerate(rows)],
                     {"n": "n", "entropy": "S (nats)", "t_grok": "paths", "error": "+-",
                      "finite_volumes": "finite volumes", "reduced": "reduced", "z": "z",
                      "slope": "d log t/dS"})
    if not (worst <= found["allowed"] and misfit <= 0.01):
        return judged(globals(), table, "fails", f"worst distance {worst:.1f} standard errors, finite "
                      f"volumes {100 * misfit:.2f} % from the reduced form", {"rows": rows})
    deep = slopes[S[1:] >= 3]
    is_exponential = deep.size == 0 or (deep > 0.85).all()
    rising = (np.diff(slopes) <= 1e-9).all()
    if not (is_exponential and rising):
        return judged(globals(), table, "not supported", "slopes of log t per nat are "
                      f"{', '.join(f'{s:.2f}' for s in slopes)}", {"rows": rows})
    return judged(globals(), table, "holds in the model", f"log t grows by {slopes.max():.2f} per nat where "
                  f"the chamber is deep and by {slopes.min():.2f} where it is spent (the "
                  "diffusion floor); in model B, where the linear cut is put in by hand", {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(found):
    found = copy.deepcopy(found)
    found["rows"][0]["z"] = 9.0
    return found


def figure(verdict):
    from fpkit.plotting.learning import chamber_axes
    from fpkit.plotting.style import figure

    made, axes = figure(width=12, height=9)
    chamber_axes(axes, verdict.numbers["rows"])
    axes.set_title("Model B: exit time against the sample")
    return made
