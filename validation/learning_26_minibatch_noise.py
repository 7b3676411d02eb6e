"""Claim (g): the noise of minibatches acts as a temperature."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, judged
from ._power import abstains, enough, known, need, passages_of, rows_of, summary
from ._walkers import minibatches
from .verdict import Table, formed

CLAIM = ("Minibatch noise leads to generalisation as Gaussian noise of the same temperature does, theta + "
         "(rate/2) tr Cov/d.")
SOURCE = f"{TALK}, SGLD with theta as the noise of SGD; SGLD with L2 2e-4 and minibatches of its gradient."
CRITERION = ("First passages with Gaussian noise at 3 temperatures give the law t(theta) (12 walkers on 4 "
             "splits, 75 % passed). Walkers with minibatches are compared with it twice: at their total "
             "temperature, theta + the minibatches' as measured on the plateau, and at theta alone, as if "
             "minibatches did nothing. An arm is judged when they add at least 25 % to theta and the two 95 "
             "% intervals (jackknife over splits) tell one from the other. Holds when every judged arm "
             "agrees with the total (within a factor 1.25) and not with theta alone; false here when some "
             "agrees with theta alone or lies beyond the factor; else nothing is concluded.")
FACTOR, ADDED = 1.25, 0.25


def measure(quick=False):
    found = minibatches(quick)
    rows = rows_of(found["passages"], "theta", "batch") + rows_of(found["alone"], "theta", "batch")
    return {"rows": [{**r, "added": found["measured"].get((r["theta"], r["batch"]), 0.0)} for r in rows]}


def log_ratio(gauss, arm, total):
    """log of the times over those of the Gaussian law at the total temperature, with its error."""
    from fpkit.learning.walkers import fit_law, jackknife
    from fpkit.learning.walkers.passages import joined

    both = joined([gauss, arm])
    x = np.log(np.where(np.arange(len(both)) < len(gauss), both.columns["theta"], total))
    is_arm = np.arange(len(both)) >= len(gauss)
    centre = x.mean()

    def fitted(keep):
        law = fit_law(lambda q: q[0] + q[1] * (x[keep] - centre) + q[2] * is_arm[keep], [(8.0, -0.7, 0.0)],
                      both.time[keep], both.seen[keep])
        return law.parameters[2]
    return jackknife(fitted, both.cluster)


@abstains
def judge(found):
    P = passages_of(found["rows"], "theta", "batch", "added")
    table = Table.of(summary(P, "theta", "batch", "added"))
    gauss = P.where(batch=0)
    thetas = np.unique(gauss.columns["theta"])
    need(len(thetas) >= 3, f"{len(thetas)} temperatures of Gaussian noise, 3 are needed")
    for theta in thetas:
        enough(gauss.where(theta=theta), f"Gaussian noise at theta {theta:g}")
    text, ratios, off = [], {}, []
    arms = sorted({(t, b) for t, b in zip(P.columns["theta"].tolist(), P.columns["batch"].tolist()) if b})
    for theta, batch in arms:
        arm = P.where(theta=theta, batch=batch)
        name, added = f"batch {batch} at theta {theta:g}", float(arm.columns["added"][0])
        if theta == 0:
            text.append(f"{name}: {arm.seen.sum()} of {len(arm)} passed by {arm.time.max():.0f}, minibatches "
                        f"at {added:.2g} on the plateau")
            continue
        if added < ADDED * theta:
            text.append(f"{name} is not judged: minibatches add {100 * added / theta:.0f} % only")
            continue
        enough(arm, name)
        total, alone = (log_ratio(gauss, arm, t) for t in (theta + added, theta))
        (low, high), (low0, high0) = ([known(v, f"the ratio of {name}") for v in r.interval]
                                      for r in (total, alone))
        ratios[name] = (total.value, low, high, alone.value, low0, high0)
        text.append(f"{name} (minibatches add {added:.2g}): times {np.exp(total.value):.2f} of the Gaussian "
                    f"law's at the total temperature ({np.exp(low):.2f} to {np.exp(high):.2f}), "
                    f"{np.exp(alone.value):.2f} at theta alone ({np.exp(low0):.2f} to {np.exp(high0):.2f})")
        if low > np.log(FACTOR) or high < -np.log(FACTOR) or not low <= 0 <= high and low0 <= 0 <= high0:
            off.append(name)
        elif low0 <= 0 <= high0 or not low <= 0 <= high and abs(total.value) > np.log(FACTOR):
            text[-1] += ": it is not told which"
            del ratios[name]
    text = "; ".join(text)
    numbers = {"rows": found["rows"], "ratios": ratios}
    if off:
        return judged(globals(), table, "false here", text, numbers)
    need(ratios, f"no arm has the power: {text}")
    return judged(globals(), table, "holds", text, numbers)


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def made_up(factor, added=3e-5, walkers=16, spread=0.2):
    """Minibatches whose times are a factor of the Gaussian ones at the total temperature."""
    rng = np.random.default_rng(4)
    law = lambda theta: 0.5 / theta
    rows = []
    for theta, batch, more, f in ((3e-5, 0, 0.0, 1.0), (6e-5, 0, 0.0, 1.0), (1e-4, 0, 0.0, 1.0),
                                  (3e-5, 8, added, factor)):
        rows += [{"theta": theta, "batch": batch, "added": more, "split": k % 4, "seen": True,
                  "t": float(f * law(theta + more) * np.exp(spread * rng.normal()))} for k in range(walkers)]
    return {"rows": rows}


def contrary(found):
    """The other ratio."""
    return made_up(2.0) if judge(copy.deepcopy(found)).outcome == "holds" else made_up(1.0)


def figure(verdict):
    from fpkit.plotting.style import figure
    from fpkit.plotting.walkers import passage_axes

    made, axes = figure(width=13, height=9)
    rows = [{**r, "total": r["theta"] + r["added"]} for r in verdict.numbers["rows"]]
    passage_axes(axes, rows, "total", "batch", {})
    axes.set_xscale("symlog", linthresh=1e-5)
    axes.set(xlabel="total temperature θ + (rate/2) tr Cov/d (loss)", title="Minibatch noise and Gaussian "
                                                                            "noise")
    return made
