"""Claim (e): each training example cuts the entropy of the zero-risk region by the same amount, and that is
the slope of log time."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, judged
from ._power import abstains, known, need, passages_of, rows_of
from ._walkers import cuts, sizes
from .verdict import Table, formed

CLAIM = ("Each training example cuts the entropy of the region in which a walker memorises by the same "
         "number of nats, and the log time to generalise falls by as much.")
SOURCE = f"{TALK}, explanation of its Figure 2: entropy linear in n, t ~ exp(S)."
CRITERION = ("Nats per pair by thermodynamic integration of one more pair from memorising and from "
             "generalising walkers (theta 1e-4, no L2); d ln t/dn of the same walkers' first passages. A "
             "size counts with 4 walkers whose halves of the measurement agree within 30 % on the mean and "
             "whose standard error is below 20 %; needed are 2 sizes of memorising walkers and both phases "
             "at one size, else nothing is concluded. Holds when the cuts agree within 20 % and either "
             "predicted slope (memorising, or memorising less generalising) lies within a factor of 2 of the "
             "measured one; false here when both differ by more than a factor of 3 and two standard errors.")


def measure(quick=False):
    found = sizes(quick)
    found = found.where(theta=1e-4)
    return {"rows": cuts(quick), "times": rows_of(found, "n")}


def by_size(rows):
    """Mean nats, error and ratio of halves by phase and n, of those that count."""
    found = {}
    for phase, n in sorted({(r["phase"], r["n"]) for r in rows}):
        some = [r for r in rows if (r["phase"], r["n"]) == (phase, n)]
        nats = np.array([known(r.get("nats"), f"nats of a {phase} walker at n = {n}") for r in some])
        halves = np.array([known(r.get("halves"), f"halves of a {phase} walker at n = {n}") for r in some])
        if len(nats) < 4:
            continue
        error = float(nats.std(ddof=1) / np.sqrt(len(nats)))
        if abs(halves.mean() - 1) <= 0.3 and error <= 0.2 * abs(nats.mean()):
            found[phase, n] = (float(nats.mean()), error)
    return found


@abstains
def judge(found):
    from fpkit.learning.walkers import slope_of

    need(found["rows"], "there are no measurements")
    nats = by_size(found["rows"])
    memorising = {n: v for (phase, n), v in nats.items() if phase == "memorising"}
    both = [n for n in memorising if ("generalising", n) in nats]
    need(len(memorising) >= 2 and both, f"{len(memorising)} sizes of memorising walkers count and "
         f"{len(both)} with both phases; 2 and 1 are needed")
    P = passages_of(found["times"], "n")
    P = P.where(np.isin(P.columns["n"], [n for n in np.unique(P.columns["n"])
                                          if P.where(n=n).seen.mean() >= 0.5]))
    need(len(np.unique(P.columns["n"])) >= 3, "fewer than 3 sizes at which half of the walkers pass")
    slope = slope_of(P, P.columns["n"].astype(float))
    measured, low, high = (known(v, "the slope of the times") for v in (slope.value, *slope.interval))
    need(high < 0, f"the slope of the times is {measured:.3f} ({low:.3f} to {high:.3f}): it may be none")
    n = both[len(both) // 2]
    (m, m_error), (g, g_error) = memorising[n], nats["generalising", n]
    both_errors = float(np.hypot(m_error, g_error))
    predicted = {"memorising": (-m, m_error), "memorising less generalising": (g - m, both_errors)}
    values = np.array([v for v, _ in memorising.values()])
    spread = float(values.max() / values.min() - 1)
    factor = {k: v / measured for k, (v, _) in predicted.items()}
    text = (f"a pair cuts {', '.join(f'{v:.1f} +- {e:.1f} (n {k})' for k, (v, e) in memorising.items())} "
            f"nats while "
            f"memorising and {g:.1f} +- {g_error:.1f} (n {n}) of the generalising part; predicted d ln t/dn "
            f"{predicted['memorising'][0]:.1f} or {predicted['memorising less generalising'][0]:.1f}, "
            f"measured {measured:.3f} ({low:.3f} to {high:.3f})")
    table = Table(("phase", "n", "nats per pair", "+-"), tuple((p, k, v, e) for (p, k), (v,
                                                                                         e) in nats.items()))
    numbers = {"nats": [[p, k, v, e] for (p, k), (v, e) in nats.items()], "measured": [measured, low, high]}
    close = [k for k, f in factor.items() if 0.5 <= f <= 2]
    far = [k for k, (v, e) in predicted.items() if (factor[k] > 3 or factor[k] < 1 / 3)
           and not low <= v + 2 * e and not high >= v - 2 * e or factor[k] > 3 and v + 2 * e < low
           or factor[k] < 1 / 3 and v - 2 * e > high]
    if close and spread <= 0.2:
        return judged(globals(), table, "holds", text, numbers)
    if len(far) == len(predicted):
        return judged(globals(), table, "false here", text, numbers)
    return judged(globals(), table, "not supported", text, numbers)


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def made_up(nats, slope, n_walkers=6, generalising=1.0):
    """Walkers whose cuts and times are given."""
    rng = np.random.default_rng(3)
    rows = [{"n": n, "phase": phase, "split": k, "test_acc": 0.1, "halves": 1.0,
             "nats": v * (1 + 0.05 * (-1) ** k)} for n in (79, 91)
            for phase, v in (("memorising", nats), ("generalising", generalising)) for k in range(n_walkers)]
    times = [{"n": n, "split": k // 2, "seen": True,
              "t": float(np.exp(8 + slope * (n - 91) + 0.1 * rng.normal()))}
             for n in (103, 97, 91, 85) for k in range(16)]
    return {"rows": rows, "times": times}


def contrary(found):
    """The other relation."""
    is_false = judge(copy.deepcopy(found)).outcome != "holds"
    return made_up(0.12 if is_false else 20.0, -0.12, generalising=0.02)


def figure(verdict):
    from fpkit.plotting.style import figure

    from ._walker_figures import cuts_axes

    made, axes = figure(width=12, height=8)
    n = verdict.numbers
    each = [[r["phase"], r["n"], r["nats"], 0.0] for r in n.get("rows", [])]
    cuts_axes(axes, n.get("nats") or each, n.get("measured"))
    axes.set_title("Nats per example, and the slope of log time")
    return made
