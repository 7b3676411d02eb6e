"""Claim (b): drift while memorising, Brownian motion in the flat directions afterwards."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, judged
from ._power import abstains, known, need
from ._walkers import THETA, walks
from .verdict import Table, formed

CLAIM = ("The displacement of a hypothesis is ballistic while it memorises (exponent 2) and that of a free "
         "walk, 2 theta d t, in the flat directions afterwards (exponent 1).")
SOURCE = f"{TALK}, \"Descent - drift, Grokking - Brownian motion\"; SGLD of a real network."
CRITERION = ("In the directions in which the Gauss-Newton matrix at the origin is below 1e-3, lags 3 to 300: "
             "prefactor and exponent within .1 of 1, each with a standard error over splits of at most .05, "
             "at least 4 walkers on 4 splits and 50 directions, else nothing is concluded. Exponent of the "
             "whole displacement from the start, lags .3 to 30: 2 within .2. Holds when both, conditional "
             "when one, false here when none.")
LOW, HIGH = 3.0, 300.0


def measure(quick=False):
    found = walks(quick)
    high = 60.0 if quick else HIGH
    rows, curves = [], {}
    for name, D in found.items():
        curves[name] = {"lags": D.lags.tolist(), "whole": D.whole.mean(0).tolist(),
                        "null": D.parts[-1].mean(0).tolist() if len(D.cluster) else None,
                        "dimension": float(D.dimensions[-1].mean()) if len(D.cluster) else None,
                        "theta": D.theta}
        for k in range(len(D.whole)):
            resolved = name in ("plateau", "wide") and k < len(D.cluster)
            rows.append({"case": name, "walker": k, "split": int(D.cluster[k]) if resolved else k % 4,
                         "from_start": float(D.exponents(0.3, 30.0)[k]) if name == "start" else None,
                         "directions": int(D.dimensions[-1, k]) if resolved else None,
                         "exponent": float(D.exponents(LOW, high, -1)[k]) if resolved else None,
                         "prefactor": float(D.prefactors(LOW, high)[k]) if resolved else None})
    return {"rows": rows, "curves": curves, "theta": THETA}


def over_splits(rows, name):
    """Mean of a number over walkers, and its error over splits."""
    for k, row in enumerate(rows):
        known(row.get(name), f"{name} of measurement {k + 1} of {len(rows)}")
    splits = sorted({r["split"] for r in rows})
    means = np.array([np.mean([r[name] for r in rows if r["split"] == s]) for s in splits])
    need(len(splits) >= 4, f"{len(splits)} splits, 4 are needed")
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))


@abstains
def judge(found):
    rows = found["rows"]
    need(rows, "there are no measurements")
    start = [r for r in rows if r.get("case") == "start"]
    flat = [r for r in rows if r.get("case") == "plateau" and r.get("directions") is not None]
    need(start and flat, "walkers from the start and from the plateau are needed")
    need(len(flat) >= 4, f"{len(flat)} walkers were resolved by curvature, 4 are needed")
    need(min(known(r["directions"], "the number of null directions") for r in flat) >= 50,
         "fewer than 50 null directions")
    first, first_error = over_splits(start, "from_start")
    exponent, exponent_error = over_splits(flat, "exponent")
    prefactor, prefactor_error = over_splits(flat, "prefactor")
    need(max(exponent_error, prefactor_error) <= 0.05 and first_error <= 0.1,
         f"errors over splits are {exponent_error:.2f}, {prefactor_error:.2f} and {first_error:.2f}, at most "
         ".05, .05 and .1 are wanted")
    is_free = abs(exponent - 1) <= 0.1 and abs(prefactor - 1) <= 0.1
    is_drift = abs(first - 2) <= 0.2
    outcome = "holds" if is_free and is_drift else "conditional" if is_free or is_drift else "false here"
    wide = [r for r in rows if r.get("case") == "wide" and r.get("directions") is not None]
    more = (f"; at width 64 {np.mean([r['exponent'] for r in wide]):.2f} and "
            f"{np.mean([r['prefactor'] for r in wide]):.2f}" if wide else "")
    if outcome == "holds" and any(abs(np.mean([r[k] for r in wide]) - 1) > 0.2 for k in (
            "exponent", "prefactor") if wide):
        outcome = "conditional"
    text = (f"in {np.mean([r['directions'] for r in flat]):.0f} null directions the exponent is "
            f"{exponent:.2f} +- {exponent_error:.2f} and the displacement {prefactor:.2f} +- "
            f"{prefactor_error:.2f} "
            f"of 2 theta d lag{more}; while memorising the exponent is {first:.2f} +- {first_error:.2f}, not "
            f"2"
            if not is_drift else f"exponents {first:.2f} and {exponent:.2f}, prefactor {prefactor:.2f}{more}")
    columns = {"case": "case", "walker": "walker", "from_start": "exponent from the start",
               "directions": "null directions", "exponent": "exponent there",
               "prefactor": "over 2 theta d lag"}
    return judged(globals(), Table.of([*start[:4], *flat, *wide], columns), outcome, text,
                  {"curves": found.get("curves"), "theta": found.get("theta")})


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def contrary(found):
    """A walk that is stuck and a start that does not drift, or both as claimed."""
    is_false = judge(copy.deepcopy(found)).outcome == "false here"
    start, exponent, prefactor = (2.0, 1.0, 1.0) if is_false else (1.0, 0.5, 0.3)
    found, base = dict(found), {"directions": 200, "from_start": None}
    found["rows"] = [{"case": "start", "walker": k, "split": k, "from_start": start + 0.01 * k,
                      "directions": None,
                      "exponent": None, "prefactor": None} for k in range(4)]
    found["rows"] += [base | {"case": "plateau", "walker": k, "split": k, "exponent": exponent + 0.01 * k,
                              "prefactor": prefactor} for k in range(4)]
    return found


def figure(verdict):
    from fpkit.plotting.style import figure
    from fpkit.plotting.walkers import displacement_axes

    made, axes = figure(width=13, height=9)
    displacement_axes(axes, verdict.numbers["curves"])
    axes.set_title("Displacement of SGLD walkers")
    return made
