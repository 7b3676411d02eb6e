"""Claim (a): noise leads to generalisation, as a walk does: first passage over temperature, L2, rate and
width."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, judged
from ._power import abstains, aicc, enough, known, need, passages_of, rows_of, summary
from ._walkers import RATE, confined, controls, rates, temperatures, widths
from .verdict import Table, formed

CLAIM = ("Generalising is a first passage of a random walk on the zero-risk set: it does not come without "
         "noise, and its time goes as 1/theta.")
SOURCE = f"{TALK}, explanation of its Figure 1; SGLD of a real network."
CRITERION = ("SGLD without L2: at least 3 temperatures with 12 walkers on 4 splits each and 75 % passed, and "
             "a control at theta = 0 watched to 5 times the longest median, else nothing is concluded. Holds "
             "when d ln t/d ln theta is -1 within its 95 % interval (or .1), a constant is worse by AICc > "
             "10, no control passes, and neither width nor L2 changes that; conditional when they do (L2 "
             "alone passes, none at a width watched for twice the median of width 32, or controls with more "
             "training pairs) or when the exponent is another; false here when half of the controls pass or "
             "temperature has no effect.")
COLUMNS = ("theta", "l2", "learning_rate", "width", "t_mem")


def measure(quick=False):
    rows = []
    for runs in (temperatures, confined, rates):
        found = runs(quick)
        found.columns["width"] = np.full(len(found), 32)
        rows += rows_of(found, *COLUMNS)
    return {"rows": rows, "widths": rows_of(widths(quick), *COLUMNS),
            "controls": rows_of(controls(quick), "n")}


def main_runs(P):
    return P.where(l2=0.0, learning_rate=RATE)


@abstains
def judge(found):
    from fpkit.learning.walkers import slope_of

    P = passages_of(found["rows"], *COLUMNS[:4])
    free = main_runs(P)
    control, hot = free.where(theta=0.0), free.where(free.columns["theta"] > 0)
    table = Table.of(summary(P, "l2", "theta", "learning_rate"))
    thetas = [t for t in np.unique(hot.columns["theta"]) if hot.where(theta=t).seen.mean() >= 0.75]
    need(len(thetas) >= 3, f"{len(thetas)} temperatures at which 75 % pass, 3 are needed")
    hot = hot.where(np.isin(hot.columns["theta"], thetas))
    for t in thetas:
        enough(hot.where(theta=t), f"theta {t:g}")
    longest = max(hot.where(theta=t).median() for t in thetas)
    need(len(control), "there is no control without noise")
    watched = control.time[~control.seen].min() if (~control.seen).any() else np.inf
    need(watched >= 5 * longest, f"the control without noise was watched to {watched / longest:.1f} times "
                                 f"the "
         "longest median, 5 are needed")
    slope = slope_of(hot, np.log(hot.columns["theta"]))
    low, high = (known(v, "the interval of the exponent") for v in slope.interval)
    x = np.log(hot.columns["theta"])
    scores = aicc(hot, {"constant": (lambda q: q[0] + 0 * x, [(9.0,)]),
                        "power": (lambda q: q[0] + q[1] * (x + 10), [(9.0, -1.0)])})
    gain = scores["constant"] - scores["power"]
    passed = control.seen.mean()
    text = (f"t ~ theta^{slope.value:.2f} ({low:.2f} to {high:.2f}), a constant worse by {gain:.0f} in AICc, "
            f"{control.seen.sum()} of {len(control)} controls passed by {control.time.max():.0f} "
            f"({control.time.max() / longest:.1f} times the longest median)")
    numbers = {**found, "slope": slope.value, "interval": [low, high]}
    is_walk = (low <= -1 <= high or abs(slope.value + 1) <= 0.1) and high < -0.5
    is_flat = gain <= 10 and low > -0.5
    if passed >= 0.5 or is_flat or low > 0:            # noise is not needed, does nothing, or hinders
        return judged(globals(), table, "false here", text, numbers)
    need(gain > 10, f"{text}; no law is told apart")
    limits = conditions(P, found.get("widths") or [], found.get("controls") or [])
    for name in ("widths", "controls"):
        if not found.get(name):
            limits.append(f"{name} were not measured")
    if not is_walk:
        limits.insert(0, "another exponent than -1")
    if control.seen.any():
        limits.insert(0, "some controls pass")
    outcome = "conditional" if limits else "holds"
    return judged(globals(), table, outcome, "; ".join([text, *limits]), numbers)


def conditions(P, wide_rows, control_rows):
    """What limits the claim, in sentences."""
    found = []
    C = passages_of(control_rows, "n") if control_rows else None
    for n in [] if C is None else np.unique(C.columns["n"]):
        some = C.where(n=n)
        if some.seen.any():
            found.append(f"with {n:g} training pairs {some.seen.sum()} of {len(some)} pass without noise by "
                         f"{some.time.max():.0f}")
    alone = P.where(theta=0.0).where(P.where(theta=0.0).columns["l2"] > 0)
    if len(alone) and alone.seen.any():
        found.append(f"L2 alone passes as well ({alone.seen.sum()} of {len(alone)})")
    W = passages_of(wide_rows, *COLUMNS[:4]) if wide_rows else P.where(theta=-1.0)
    for l2 in np.unique(W.columns["l2"]):
        share = {int(w): W.where(l2=l2, width=w) for w in np.unique(W.where(l2=l2).columns["width"])}
        usual = share[32].median() if 32 in share else np.inf
        if any(not q.seen.any() and q.time.min() >= 2 * usual for q in share.values()):
            seen = ", ".join(f"{w}: {q.seen.sum()} of {len(q)}" for w, q in share.items())
            found.append(f"passed by width at L2 {l2:g} within {W.where(l2=l2).time.max() / usual:.1f} times "
                         f"the median of width 32: {seen}")
    return found


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def contrary(found):
    """Times that do not know the temperature and controls that pass, or a walk and none that does."""
    power = -1.0 if judge(copy.deepcopy(found)).outcome == "false here" else 0.0
    rng = np.random.default_rng(0)
    rows = [{"theta": t, "l2": 0.0, "learning_rate": RATE, "width": 32, "t_mem": 100.0, "split": k % 4,
             "t": float(3000 * (t / 1e-4) ** power * np.exp(0.3 * rng.normal())), "seen": True}
            for t in (3e-5, 6e-5, 1e-4) for k in range(16)]
    return {"rows": rows + [{**rows[k], "theta": 0.0, "seen": power == 0, "t": 1e6} for k in range(8)],
            "widths": []}


def figure(verdict):
    from fpkit.plotting.style import figure
    from fpkit.plotting.walkers import passage_axes

    made, axes = figure(width=13, height=9)
    passage_axes(axes, verdict.numbers["rows"], "theta", "l2", {"learning_rate": RATE})
    axes.set(xscale="symlog", xlabel="temperature θ (loss)", title="First passage to generalisation, SGLD")
    axes.set_xscale("symlog", linthresh=1e-5)
    return made
