"""Claim (f): what has generalised stays."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, judged
from ._power import abstains, known, need
from ._walkers import followed
from .verdict import Table, formed

CLAIM = "A hypothesis that has generalised stays generalising: the high-entropy region does not let it go."
SOURCE = (f"{TALK}, \"transition to generalization by the second law\"; SGLD without and with L2, at "
          "width 32 and from generalised hypotheses at width 64 (over-parametrised).")
CRITERION = ("Walkers followed for at least 3 times their passage time after it; a walker is kept when its "
             "test accuracy over the last quarter is .8 or more. An arm is judged with 12 such walkers on 4 "
             "splits: kept when the mean share over splits less two standard errors is above .5, lost when "
             "the share plus two standard errors is below .5. Holds when every judged arm (at least 2) is "
             "kept, false here when every one is lost, conditional when they differ; else nothing is "
             "concluded.")
FOLLOWED, KEPT = 3.0, 0.8


def measure(quick=False):
    found = followed(quick)
    keep = ("arm", "split", "t", "followed", "late", "above")
    return {"rows": [{k: r[k] for k in keep} for r in found["rows"]], "curves": found["curves"]}


def share_of(rows):
    """Mean share of kept walkers over splits, and its error."""
    splits = sorted({r["split"] for r in rows})
    shares = np.array([np.mean([r["late"] >= KEPT for r in rows if r["split"] == s]) for s in splits])
    # a share of all or none has no spread: the error of one more walker of each kind stands for it
    n = len(rows)
    least = np.sqrt((shares.mean() * n + 1) * ((1 - shares.mean()) * n + 1)) / (n + 2) / np.sqrt(n + 2)
    return float(shares.mean()), float(max(shares.std(ddof=1) / np.sqrt(len(shares)), least))


@abstains
def judge(found):
    rows = found["rows"]
    need(rows, "there are no measurements")
    verdicts, lines, text = {}, [], []
    for arm in dict.fromkeys(r["arm"] for r in rows):
        mine = [r for r in rows if r["arm"] == arm]
        for k, r in enumerate(mine):
            known(r.get("followed"), f"how long walker {k + 1} of {arm} was followed")
            known(r.get("late"), f"the late accuracy of walker {k + 1} of {arm}")
        good = [r for r in mine if r["followed"] >= FOLLOWED]
        line = {"arm": arm, "walkers": len(mine), "followed": len(good), "late": None, "kept": None,
                "error": None}
        lines.append(line)
        if len(good) < 12 or len({r["split"] for r in good}) < 4:
            text.append(f"{arm} is not judged: {len(good)} walkers were followed long enough, 12 on 4 splits "
                        f"are needed")
            continue
        share, error = share_of(good)
        line |= {"late": float(np.mean([r["late"] for r in good])), "kept": share, "error": error}
        verdicts[arm] = "kept" if share - 2 * error > 0.5 else "lost" if share + 2 * error < 0.5 else "open"
        text.append(f"{arm}: {100 * share:.0f} +- {100 * error:.0f} % kept, late accuracy {line['late']:.2f}")
    table = Table.of(lines, {"arm": "arm", "walkers": "walkers", "followed": "followed 3 x",
                             "late": "late test accuracy", "kept": "kept", "error": "+-"})
    decided = [v for v in verdicts.values() if v != "open"]
    text = "; ".join(text)
    need(len(decided) >= 2, text)
    outcome = "conditional" if len(set(verdicts.values())) > 1 else (
        "holds" if decided[0] == "kept" else "false here")
    return judged(globals(), table, outcome, text, {"curves": found.get("curves")})


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def made_up(*lates, n=16, followed=20.0):
    """Arms with given late accuracies."""
    return {"rows": [{"arm": f"arm {j}", "split": k % 4, "t": 1.0, "followed": followed, "late": late,
                      "above": late}
                     for j, late in enumerate(lates) for k in range(n)], "curves": {}}


def contrary(found):
    """The other fate."""
    return made_up(0.2, 0.3) if judge(copy.deepcopy(found)).outcome != "false here" else made_up(0.95, 0.9)


def figure(verdict):
    from fpkit.plotting.style import figure

    from ._walker_figures import follow_axes

    made, axes = figure(width=14, height=8)
    follow_axes(axes, verdict.numbers["curves"])
    axes.set_title("Does it stay? (mean over the walkers)")
    return made
