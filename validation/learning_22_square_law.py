"""Claim (c): the time to generalise is the square of the time to memorise."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, judged
from ._power import Thin, abstains, enough, known, need, passages_of, rows_of, summary
from ._walkers import rates, scales, widths
from .verdict import Table, formed

CLAIM = "Steps to generalise grow as the square of the steps to memorise when one setting is varied."
SOURCE = f"{TALK}, \"10^3 and 10^6 steps\"; SGLD of a real network without L2, theta 1e-4."
CRITERION = ("For learning rate, scale of the start and width, each varied alone: exponent of the steps of "
             "the first passage against the median steps of memorising, by a censored fit with its jackknife "
             "over splits. A setting is judged only when its times of memorising span a factor of 4 with 75 "
             "% of 8 walkers passed at 3 values. Holds when 2 is in the interval of every judged setting and "
             "none is wider than 1; false here when some interval excludes 2; else nothing is concluded.")
SPAN = 4.0


def measure(quick=False):
    rows = []
    for name, runs in (("learning_rate", rates), ("scale", scales), ("width", widths)):
        found = runs(quick)
        if name == "width":
            found = found.where(l2=0.0)
        rows += [{"setting": name, "value": r.pop(name), **r}
                 for r in rows_of(found, *({name, "learning_rate"}), "t_mem")]
    # in steps: the learning rate is what turns steps into time
    for r in rows:
        rate = r["value"] if r["setting"] == "learning_rate" else r.pop("learning_rate")
        r["t"], r["t_mem"] = r["t"] / rate, r["t_mem"] / rate
    return {"rows": rows}


def exponent(P):
    """Exponent of one setting, or why it has none."""
    from fpkit.learning.walkers import slope_of

    values = [v for v in np.unique(P.columns["value"]) if P.where(value=v).seen.mean() >= 0.75]
    mem = {v: float(np.median(P.where(value=v).columns["t_mem"])) for v in np.unique(P.columns["value"])}
    need(len(values) >= 3, f"{len(values)} values at which 75 % pass, 3 are needed")
    P = P.where(np.isin(P.columns["value"], values))
    for v in values:
        enough(P.where(value=v), f"value {v:g}", 8)
    span = max(mem[v] for v in values) / min(mem[v] for v in values)
    need(span >= SPAN, f"the times of memorising span a factor of {span:.2f}, {SPAN:g} is needed")
    slope = slope_of(P, np.log([mem[v] for v in P.columns["value"]]))
    low, high = (known(v, "the interval of the exponent") for v in slope.interval)
    return {"exponent": slope.value, "low": low, "high": high}


@abstains
def judge(found):
    P = passages_of(found["rows"], "value", "t_mem")
    table = Table.of(summary(P, "setting", "value"))
    fits, reasons = {}, []
    for name in ("learning_rate", "scale", "width"):
        some = P.where(P.columns["setting"] == name)
        try:
            need(len(some), "it was not varied")
            fits[name] = exponent(some)
        except Thin as reason:
            reasons.append(f"{name.replace('_', ' ')}: {reason}")
    text = "; ".join([*(f"{n.replace('_', ' ')}: exponent {f['exponent']:.2f} ({f['low']:.2f} to "
                        f"{f['high']:.2f})"
                        for n, f in fits.items()), *reasons])
    numbers = {"rows": found["rows"], "fits": fits}
    excluded = [n for n, f in fits.items() if not f["low"] <= 2 <= f["high"]]
    if excluded:
        return judged(globals(), table, "false here", text, numbers)
    need(fits, text)
    need(all(f["high"] - f["low"] <= 1 for f in fits.values()), f"an interval is wider than 1: {text}")
    return judged(globals(), table, "holds", text, numbers)


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def made_up(power, setting="learning_rate"):
    """Rows with a given exponent."""
    rng = np.random.default_rng(1)
    return [{"setting": setting, "value": v, "t_mem": m, "split": k % 4, "seen": True,
             "t": float(0.1 * m**power * np.exp(0.1 * rng.normal()))}
            for v, m in ((0.02, 4000.0), (0.04, 2000.0), (0.08, 1000.0)) for k in range(16)]


def contrary(found):
    """The other exponent."""
    is_false = judge(copy.deepcopy(found)).outcome == "false here"
    return {"rows": made_up(2.0 if is_false else 1.0)}


def figure(verdict):
    from fpkit.plotting.style import figure
    from fpkit.plotting.walkers import power_axes

    made, axes = figure(width=13, height=9)
    power_axes(axes, verdict.numbers["rows"])
    axes.set_title("Steps to generalise against steps to memorise")
    return made
