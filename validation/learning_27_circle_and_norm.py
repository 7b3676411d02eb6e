"""Claim (h): circle and weight norm of networks that generalised by SGLD."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, judged
from ._power import abstains, known, need
from ._walkers import followed
from .verdict import Table, formed

CLAIM = ("A network that has generalised by SGLD holds the residues on circles, and its weight norm rises "
         "while it memorises and falls when it generalises.")
SOURCE = f"{TALK}, its Figures 3 and 4, in the talk's own dynamics (SGLD)."
CRITERION = ("Of 12 walkers on 4 splits that passed, in each arm of SGLD: circle when the mean share of a "
             "unit's best frequency in the end is above .9 (the start's is given), none when it is below .7 "
             "by two standard errors over splits; norm when at least three quarters rise by 3 % after "
             "memorising and fall by 3 % from there, not when at most a quarter do. Holds when every judged "
             "arm has both, false here when none has either, else conditional; without a judged arm nothing "
             "is concluded.")


def measure(quick=False):
    keep = ("arm", "split", "t", "share", "share_start", "norm_start", "norm_mem", "norm_most", "norm_end")
    found = followed(quick)
    return {"rows": [{k: r[k] for k in keep} for r in found["rows"]
                     if r["arm"].startswith("SGLD") and "width" not in r["arm"]], "curves": found["curves"]}


@abstains
def judge(found):
    rows = found["rows"]
    need(rows, "there are no measurements")
    lines, text, circles, norms = [], [], [], []
    for arm in dict.fromkeys(r["arm"] for r in rows):
        mine = [r for r in rows if r["arm"] == arm and r.get("t") is not None and np.isfinite(r["t"])]
        line = {"arm": arm, "walkers": len(mine), "share": None, "error": None, "agree": None}
        lines.append(line)
        if len(mine) < 12 or len({r["split"] for r in mine}) < 4:
            text.append(f"{arm} is not judged: {len(mine)} walkers passed, 12 on 4 splits are needed")
            continue
        for name in ("share", "norm_mem", "norm_most", "norm_end"):
            for k, r in enumerate(mine):
                known(r.get(name), f"{name} of walker {k + 1} of {arm}")
        splits = sorted({r["split"] for r in mine})
        shares = np.array([np.mean([r["share"] for r in mine if r["split"] == s]) for s in splits])
        share, error = float(shares.mean()), float(shares.std(ddof=1) / np.sqrt(len(shares)))
        agree = np.mean([r["norm_most"] > 1.03 * r["norm_mem"] and r["norm_end"] < 0.97 * r["norm_most"]
                         for r in mine])
        line |= {"share": share, "error": error, "agree": float(agree)}
        need((shares <= 1).all(), f"a share of {shares.max():.3g} is more than all")
        circles.append(True if share - 2 * error > 0.9 else False if share + 2 * error < 0.7 else None)
        norms.append(True if agree >= 0.75 else False if agree <= 0.25 else None)
        text.append(f"{arm}: share of the best frequency {share:.2f} +- {error:.2f}, the norm rises and "
                    f"falls in "
                    f"{100 * agree:.0f} % of the walkers ({np.mean([r['norm_mem'] for r in mine]):.1f} to "
                    f"{np.mean([r['norm_most'] for r in mine]):.1f} to "
                    f"{np.mean([r['norm_end'] for r in mine]):.1f})")
    table = Table.of(lines, {"arm": "arm", "walkers": "walkers passed", "share": "circle: share",
                             "error": "+-",
                             "agree": "norm rises and falls"})
    text = "; ".join(text)
    need(circles, text)
    both = [*circles, *norms]
    need(None not in both or True in both, f"{text}; neither is decided")
    outcome = ("holds" if all(v is True for v in both) else "false here" if all(v is False for v in both)
               else "conditional")
    return judged(globals(), table, outcome, text, {"curves": found.get("curves")})


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def made_up(share, rises, n=16):
    """One arm with given shares and norms."""
    return {"rows": [{"arm": "SGLD", "split": k % 4, "t": 9.0, "share": share + 0.001 * k, "share_start": 0.4,
                      "norm_start": 12.0, "norm_mem": 12.0, "norm_most": 14.0 if rises else 12.1,
                      "norm_end": 11.0 if rises else 12.1} for k in range(n)], "curves": {}}


def contrary(found):
    """The other of both."""
    return made_up(0.5, False) if judge(copy.deepcopy(found)).outcome != "false here" else made_up(0.95, True)


def figure(verdict):
    from fpkit.plotting.style import figure

    from ._walker_figures import follow_axes

    made, axes = figure(width=14, height=8)
    follow_axes(axes, verdict.numbers["curves"], "norm")
    axes.set_title("Norm of the weights (mean over the walkers)")
    return made
