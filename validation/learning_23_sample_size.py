"""Claim (d): the time to generalise depends exponentially on the sample size."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, judged
from ._power import Thin, abstains, aicc, known, need, passages_of, rows_of, summary
from ._walkers import sizes
from .verdict import Table, formed

CLAIM = "The time to generalise falls exponentially with the number n of training examples."
SOURCE = f"{TALK}, its Figure 2 and the entropy of the start region; SGLD without and with L2, and AdamW."
CRITERION = ("For each arm, over all stated n from the largest down to the last one at which half the "
             "walkers pass: censored likelihood of log t = a + b n, of a + b log n, of a + b/n, and of a + b "
             "log(n - n0), which becomes the first as n0 falls. An arm is judged when it has 5 sizes, 12 "
             "walkers on 4 splits each, and times over a factor of 10. It is exponential when power and 1/n "
             "are worse by AICc > 4 and the threshold is no better; another law when the exponential is "
             "worse than one of them by > 4; else undecided. Holds when every arm is exponential, "
             "conditional when some is, false here when every judged arm has another law, not supported "
             "when some has and the others are undecided; nothing is concluded when no arm is decided.")
ARMS = {"SGLD": ("sgld", 0.0), "SGLD with L2": ("sgld", 2e-4), "AdamW": ("adamw", 1.0)}


def measure(quick=False):
    found = sizes(quick)
    name = {arm: key for key, arm in ARMS.items()}
    return {"rows": [{"arm": name[r.pop("optimiser"), r.pop("l2")], **r}
                     for r in rows_of(found, "optimiser", "l2", "n", "t_mem")]}


def arm_law(P):
    """Which law one arm follows, with the AICc of each and the slope; or why it is not judged."""
    from fpkit.learning.walkers import slope_of

    n_all = sorted(np.unique(P.columns["n"]), reverse=True)
    kept = []
    for n in n_all:
        some = P.where(n=n)
        if some.seen.mean() < 0.5:
            break
        need(len(some) >= 12 and len(np.unique(some.cluster)) >= 4, f"{len(some)} walkers at n = {n:g}, 12 "
                                                                    f"on 4 "
             "splits are needed")
        kept.append(n)
    need(len(kept) >= 5, f"{len(kept)} sizes at which half pass, 5 are needed")
    medians = [P.where(n=n).median() for n in kept]
    need(max(medians) >= 10 * min(medians), f"the times span a factor of {max(medians) / min(medians):.1f}, "
                                            f"10 is "
         "needed")
    P = P.where(P.columns["n"] >= min(kept))
    n = P.columns["n"].astype(float)
    least, centre = n.min(), n.mean()

    def threshold(q):                          # (c - n0) log((n - n0)/(c - n0)): n - c when n0 is far below
        gap = centre - least + 0.5 + np.exp(np.clip(q[2], -6, 6))
        return q[0] + q[1] * gap * np.log1p((n - centre) / gap)
    scores = aicc(P, {"exponential": (lambda q: q[0] + q[1] * (n - centre), [(8.0, -0.06)]),
                      "threshold": (threshold, [(8.0, -0.06, 0.0), (8.0, -0.06, 3.0)]),
                      "power": (lambda q: q[0] + q[1] * np.log(n / centre), [(8.0, -5.0)]),
                      "inverse": (lambda q: q[0] + q[1] * (centre / n - 1), [(8.0, 5.0)])})
    slope = slope_of(P, n)
    for law, value in scores.items():
        known(value, f"AICc of the {law} law")
    simple = min(scores["power"], scores["inverse"])
    law = ("another" if scores["exponential"] - min(simple, scores["threshold"]) > 4 else "exponential"
           if simple - scores["exponential"] > 4 and scores["threshold"] > scores["exponential"]
           else "undecided")
    return {"law": law, "scores": scores, "range": [min(kept), max(kept)], "slope": known(slope.value,
                                                                                          "the slope"),
            "interval": [known(v, "the interval of the slope") for v in slope.interval]}


@abstains
def judge(found):
    P = passages_of(found["rows"], "n")
    table = Table.of(summary(P, "arm", "n"))
    laws, text = {}, []
    for arm in dict.fromkeys(P.columns["arm"].tolist()):
        try:
            a = laws[arm] = arm_law(P.where(P.columns["arm"] == arm))
            text.append(f"{arm}, n {a['range'][0]:g} to {a['range'][1]:g}: {a['law']} (AICc exponential "
                        f"{a['scores']['exponential']:.1f}, threshold {a['scores']['threshold']:.1f}, power "
                        f"{a['scores']['power']:.1f}, 1/n {a['scores']['inverse']:.1f}; d ln t/dn "
                        f"{a['slope']:.3f}, {a['interval'][0]:.3f} to "
                        f"{a['interval'][1]:.3f})")
        except Thin as reason:
            text.append(f"{arm} is not judged: {reason}")
    text = "; ".join(text)
    decided = [a["law"] for a in laws.values() if a["law"] != "undecided"]
    need(decided, text)
    outcome = ("holds" if decided == ["exponential"] * len(ARMS) else "conditional"
               if "exponential" in decided else "false here" if len(decided) == len(laws)
               else "not supported")
    return judged(globals(), table, outcome, text, {"rows": found["rows"], "laws": laws})


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def made_up(law, arms=tuple(ARMS), walkers=16):
    """Rows of a given law."""
    rng = np.random.default_rng(2)
    mean = {"exponential": lambda n: 8 - 0.11 * (n - 91), "threshold": lambda n: 14 - 2.5 * np.log(n - 76.5),
            "flat": lambda n: 8.0}[law]
    return [{"arm": arm, "n": n, "t_mem": 100.0, "split": k // 2, "seen": True,
             "t": float(np.exp(mean(n) + 0.15 * rng.normal()))}
            for arm in arms for n in (109, 103, 97, 91, 85, 79) for k in range(walkers)]


def contrary(found):
    """The other law."""
    is_false = judge(copy.deepcopy(found)).outcome in ("false here", "not measured")
    return {"rows": made_up("exponential" if is_false else "threshold")}


def figure(verdict):
    from fpkit.plotting.style import figure
    from fpkit.plotting.walkers import sizes_axes

    made, axes = figure(width=13, height=9)
    sizes_axes(axes, verdict.numbers["rows"], verdict.numbers.get("laws"))
    axes.set_title("First passage against the sample size")
    return made
