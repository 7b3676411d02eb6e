"""Talk, claim 7: the grokking time of the network depends exponentially on the training fraction."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, fractions_sweep, judged
from .verdict import Table

CLAIM = "Steps to generalise fall exponentially with the training fraction (log t linear in the fraction)."
SOURCE = f"{TALK}, its Figure 2 (after Power et al., arXiv:2201.02177)."
CRITERION = ("Both laws fitted to the delay by maximum likelihood with censored runs; the exponential law "
             "holds when its R2 on the median delays is above .9 and the power law with a critical fraction "
             "is not better by more than 6 in AIC.")


def measure(quick=False):
    from fpkit.learning.sweep import fit_laws

    found = fractions_sweep(quick)
    laws = fit_laws(found, 20 if quick else 200)
    rows = [{"fraction": float(v), "n_train": int(n), "t_mem": float(m), "t_grok": float(g),
             "censored": int(c)}
            for v, n, m, g, c in zip(found.values, found.n_train, found.medians("t_memorised"),
                                     found.medians(), found.n_censored)]
    return {"rows": rows, "modulus": found.settings["modulus"], "n_seeds": int(found.t_grokked.shape[1]),
            "n_steps": found.n_steps,
            "t_memorised": found.t_memorised.tolist(), "t_grokked": found.t_grokked.tolist(),
            "laws": {name: {"r_squared": law.r_squared, "aic": law.aic, "a": law.a, "b": law.b,
                            "critical": law.critical, "sigma": law.sigma,
                            "b_interval": law.b_interval, "critical_interval": law.critical_interval,
                            "log_likelihood": law.log_likelihood} for name, law in laws.items()}}


def judge(found):
    laws = found["laws"]
    e, p = laws["exponential"], laws["power"]
    rows = [{**r, "t_grok": r["t_grok"] if np.isfinite(r["t_grok"]) else f"> {found['n_steps']}"}
            for r in found["rows"]]
    table = Table.of(rows, {"fraction": "fraction", "n_train": "n", "t_mem": "median t_mem",
                            "t_grok": "median t_grok", "censored": "censored"})
    numbers = {k: found[k] for k in ("t_memorised", "t_grokked", "n_steps", "laws",
                                     "modulus")} | {"values": [r["fraction"] for r in found["rows"]]}
    seen = f"a + b mod {found['modulus']}, {found['n_seeds']} seeds, AdamW"
    both = f"R2 {e['r_squared']:.2f} against {p['r_squared']:.3f}, AIC {e['aic']:.0f} against {p['aic']:.0f}"
    if e["r_squared"] > 0.9 and e["aic"] <= p["aic"] + 6:
        return judged(globals(), table, "holds", f"{both} for exponential and power law ({seen})", numbers)
    if p["aic"] + 6 < e["aic"]:
        interval = ("" if p["critical_interval"] is None else f" ({p['critical_interval'][0]:.3f} to "
                    f"{p['critical_interval'][1]:.3f})")
        return judged(globals(), table, "false here",
                      f"a power law (fraction - {p['critical']:.3f}{interval})^-{p['b']:.2f} with a critical "
                      f"fraction fits better: {both} ({seen}); exponential is at best local", numbers)
    return judged(globals(), table, "not supported", f"neither law is clearly better: {both} ({seen})",
                  numbers)


def run(quick=False):
    return judge(measure(quick))


def contrary(found):
    found = copy.deepcopy(found)
    good, other = dict(found["laws"]["power"]), dict(found["laws"]["exponential"])
    is_false = found["laws"]["power"]["aic"] + 6 < found["laws"]["exponential"]["aic"]
    if is_false:
        found["laws"] = {"exponential": {**other, "r_squared": 0.99, "aic": good["aic"] - 20},
                         "power": {**good, "r_squared": 0.5}}
    else:
        found["laws"] = {"exponential": {**other, "r_squared": 0.2, "aic": good["aic"] + 50},
                         "power": {**good, "r_squared": 0.99}}
    return found


def figure(verdict):
    from fpkit.learning.sweep import Law
    from fpkit.plotting.learning import sweep_axes
    from fpkit.plotting.style import figure

    made, axes = figure(width=12, height=9)
    n = verdict.numbers
    laws = {name: Law(name, v["a"], v["b"], v["critical"], v["sigma"], v["log_likelihood"], v["aic"],
                      v["r_squared"]) for name, v in n["laws"].items()}
    sweep_axes(axes, {**n, "vary": "fraction"}, laws)
    axes.set_title(f"Network: a + b mod {n['modulus']}")
    axes.legend(fontsize=7.5)
    return made
