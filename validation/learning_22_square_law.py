"""Claim (c): the time to generalise is the square of the time to memorise."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, judged
from ._power import Thin, abstains, enough, known, need, passages_of, rows_of, summary
from ._walkers import passing_widths, rates, scales
from .verdict import Table, formed

CLAIM = "The time to generalise grows as the square of the time to memorise when one setting is varied."
SOURCE = f"{TALK}, \"10^3 and 10^6 steps\"; SGLD of a real network without L2, theta 1e-4."
CRITERION = ("For learning rate, scale of the start and width, each varied alone: exponent of the time of "
             "the first passage against the median time of memorising, by a censored fit with its "
             "jackknife over splits. Times are rate x steps: in steps both go as 1/rate, an exponent of 1 "
             "by the choice of the unit. A setting has power when its times of memorising span a factor of "
             "4 with 75 % of 8 walkers passed at 3 values and the 95 % interval of the exponent excludes 2 "
             "or is at most 1 wide. Holds when 2 is in the interval of every setting with power, false "
             "here when it is in none, conditional when they differ; without such a setting nothing is "
             "concluded.")
SPAN, CLAIMED = 4.0, 2.0


def measure(quick=False):
    rows = []
    for name, runs in (("learning_rate", rates), ("scale", scales), ("width", passing_widths)):
        rows += [{"setting": name, "value": r.pop(name), **r} for r in rows_of(runs(quick), name, "t_mem")]
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
    need(not low <= CLAIMED <= high or high - low <= 1,
         f"the exponent is {slope.value:.2f} ({low:.2f} to {high:.2f}), which does not tell 2 from 1")
    return {"exponent": slope.value, "low": low, "high": high, "span": span}


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
                        f"{f['high']:.2f}), the times of memorising span a factor of {f['span']:.1f}"
                        for n, f in fits.items()), *reasons])
    numbers = {"rows": found["rows"], "fits": fits}
    need(fits, text)
    agrees = [f["low"] <= CLAIMED <= f["high"] for f in fits.values()]
    outcome = "holds" if all(agrees) else "conditional" if any(agrees) else "false here"
    return judged(globals(), table, outcome, text, numbers)


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def made_up(power, setting="width", spread=0.1):
    """Rows with a given exponent; each split has a share of the spread."""
    rng = np.random.default_rng(1)
    return [{"setting": setting, "value": v, "t_mem": m, "split": k % 4, "seen": True,
             "t": float(0.1 * m**power * np.exp(spread * rng.normal()))}
            for v, m in ((20, 400.0), (28, 200.0), (40, 100.0)) for k in range(16)]


def contrary(found):
    """The other exponent."""
    is_false = judge(copy.deepcopy(found)).outcome == "false here"
    return {"rows": made_up(2.0 if is_false else 1.0)}


def figure(verdict):
    from fpkit.plotting.style import figure

    from ._walker_figures import power_axes

    made, axes = figure(width=13, height=9)
    power_axes(axes, verdict.numbers["rows"])
    axes.set_title("Time to generalise against time to memorise")
    return made
