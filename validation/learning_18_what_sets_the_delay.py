"""Claim 18: what sets the delay of generalising: weight decay, learning rate, noise."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, judged, setting_sweeps, too_short, walks
from .verdict import Table

CLAIM = ("The delay between memorising and generalising is set by noise (a random walk) and not by a drift "
         "of weight decay times learning rate.")
SOURCE = (f"{TALK} (grokking as Brownian motion); against it Gromov, arXiv:2301.02679 (no noise needed), and "
          "Omnigrok, arXiv:2210.01117 (the norm decides).")
CRITERION = ("Exponents of the median delay against decay and against learning rate (AdamW, no noise), and "
             "late accuracy of SGLD from M with and without noise. False here when both exponents "
             "lie in (-1.6, -.4), a drift of rate lr x decay; holds when both are within .2 of 0 and noise "
             "raises the accuracy by .5; else not supported.")


def measure(quick=False):
    rows, slopes = [], {}
    for name in ("weight_decay", "learning_rate"):
        found = setting_sweeps(quick)[name]
        delay = found.medians("delay")
        rows += [{"what": f"AdamW, {name.replace('_', ' ')} {v:g}", "t_mem": float(m), "t_grok": float(g)
                  if np.isfinite(g) else None, "censored": int(c), "accuracy": None} for v, m, g,
                 c in zip(found.values, found.medians("t_memorised"), found.medians(), found.n_censored)]
        ok = np.isfinite(delay)
        slopes[name] = float(np.polyfit(np.log(found.values[ok]), np.log(delay[ok]),
                                        1)[0]) if ok.sum() > 1 else -1.0
    gains = []
    walked = walks(quick)
    for l2, theta in ((2e-4, 3e-5), (1e-3, 1e-4)):
        hot, cold = walked.mean("late", l2, theta, "M")[0], walked.mean("late", l2, 0.0, "M")[0]
        gains.append(hot - cold)
        rows += [{"what": f"SGLD from M, L2 {l2:g}, theta {t:g}", "t_mem": None, "t_grok": None,
                  "censored": None, "accuracy": a} for t, a in ((theta, hot), (0.0, cold))]
    return {"rows": rows, "slopes": slopes, "gains": gains,
            "time": float(min(run.times[-1] for run in walked.runs.values()))}


def judge(found):
    table = Table.of(found["rows"], {"what": "run", "t_mem": "median t_mem", "t_grok": "median t_grok",
                                     "censored": "censored", "accuracy": "late test accuracy"})
    s, gains = found["slopes"], found["gains"]
    text = (f"delay ~ decay^{s['weight_decay']:.2f} and lr^{s['learning_rate']:.2f} without any noise; noise "
            f"changes SGLD's late accuracy by {gains[0]:+.2f} (L2 2e-4) and {gains[1]:+.2f} (L2 1e-3)")
    if too_short(found):
        return judged(globals(), table, "not measured", too_short(found))
    if all(-1.6 < v < -0.4 for v in s.values()):
        return judged(globals(), table, "false here", "a drift of rate lr x decay, for AdamW: " + text)
    if all(abs(v) < 0.2 for v in s.values()) and min(gains) > 0.5:
        return judged(globals(), table, "holds", text)
    return judged(globals(), table, "not supported", text)


def run(quick=False):
    return judge(measure(quick))


def contrary(found):
    found = copy.deepcopy(found) | {"time": 1e4}
    found["slopes"], found["gains"] = {"weight_decay": 0.0, "learning_rate": 0.0}, [0.9, 0.9]
    return found


def figure(verdict):
    from fpkit.plotting.style import COLOURS, MARKERS, figure

    made, axes = figure(width=12, height=8)
    t = verdict.table
    for k, name in enumerate(("weight decay", "learning rate")):
        chosen = [i for i, what in enumerate(t.column("run")) if name in what and t.column("median t_grok")[i]
                  is not None]
        x = [float(t.column("run")[i].split()[-1]) for i in chosen]
        axes.plot([v / max(x) for v in x], [t.column("median t_grok")[i] - t.column("median t_mem")[i]
                                            for i in chosen], MARKERS[k], color=COLOURS[k],
                  linestyle=("-", "--")[k], label=f"{name} (largest {max(x):g})")
    axes.set(xscale="log", yscale="log", xlabel="setting / its largest value",
             ylabel="median delay t_grok − t_mem (steps)", title="What sets the delay (AdamW, no noise)")
    axes.legend()
    return made
