"""Talk, claim 17: each example removes an equal percentage of the zero-risk volume."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, judged
from .verdict import Table

CLAIM = ("Each example removes an equal share of the volume of the zero-risk region: its entropy falls "
         "linearly with the sample.")
SOURCE = f"{TALK}, explanation of its Figure 2 (an assumption there)."
CRITERION = ("log Z_n(beta = 100), the prior's volume that fits n examples: thermodynamic integration within "
             "its error of the exact values on a matrix factorisation, else it fails. Holds when "
             "the cuts of all examples are within 30 % of their mean; conditional when those of independent "
             "examples are and those of implied ones are below a third of it.")
BETA = 100.0


def measure(quick=False):
    from fpkit.learning.factorisation import MatrixFactorisation
    from fpkit.learning.manifold import log_evidence
    from fpkit.learning.modular_addition import ModularAddition

    options = {"n_paths": 96, "n_steps": 100} if quick else {}
    whole, chain = MatrixFactorisation(rows=3, columns=3,
                                       n_examples=8), MatrixFactorisation(rows=3, columns=3, n_examples=5)
    exact = chain.log_evidence(BETA)
    rows = []
    for n in (2, 5, 7) if quick else (1, 2, 3, 4, 5, 6, 7, 8):
        found = log_evidence(whole, BETA, n, **options)
        dimension = MatrixFactorisation(rows=3, columns=3, n_examples=n).zero_risk_dimension()
        rows.append({"problem": "factorisation", "n": n, "dimension": dimension, "exact": float(exact[n])
                     if n <= 5 else None, "found": float(found), "error": found.error})
    net = ModularAddition(5, 4 if quick else 8, 0.9, 0)
    for n in (4, 8) if quick else (4, 8, 12, 16, 20, 22):
        found = log_evidence(net, BETA, n, prior=0.5, **(options or {"n_paths": 128}))
        rows.append({"problem": "network", "n": n, "dimension": None, "exact": None, "found": float(found),
                     "error": found.error})
    return {"rows": rows, "exact": exact.tolist(), "n_params": net.n_params}


def judge(found):
    rows = found["rows"]
    table = Table.of(rows, {"problem": "problem", "n": "n", "dimension": "dimension of the zero-risk set",
                            "exact": "log Z_n, exact", "found": "thermodynamic integration", "error": "+-"})
    numbers = {"rows": rows, "exact": found["exact"]}
    bad = [r for r in rows if r["exact"] is not None and not abs(r["found"] - r["exact"]) <= r["error"]]
    if bad:
        return judged(globals(), table, "fails", f"thermodynamic integration gives {bad[0]['found']:.2f} +- "
                      f"{bad[0]['error']:.2f} for {bad[0]['n']} examples and not {bad[0]['exact']:.2f}",
                      numbers)
    cuts = -np.diff(found["exact"])
    last = [r for r in rows if r["problem"] == "factorisation"][-1]
    implied = (found["exact"][-1] - last["found"]) / max(last["n"] - (len(found["exact"]) - 1), 1)
    network = [(0, 0.0)] + [(r["n"], r["found"]) for r in rows if r["problem"] == "network"]
    n, z = np.array(network).T
    per = -np.diff(z) / np.diff(n)
    spread = lambda c: float(abs(c / c.mean() - 1).max())
    text = (f"factorisation: {cuts.mean():.2f} nats an independent example (spread {100 * spread(cuts):.0f} "
            f"%), {implied:.2f} an implied one; network of {found['n_params']} parameters "
            f"(p = 5): {per.mean():.1f} nats (spread {100 * spread(per):.0f} %)")
    is_equal = spread(cuts) <= 0.3 and spread(per) <= 0.3
    if is_equal and implied < cuts.mean() / 3:
        return judged(globals(), table, "conditional", "while examples are independent conditions; " + text,
                      numbers)
    if is_equal and abs(implied / cuts.mean() - 1) <= 0.3:
        return judged(globals(), table, "holds", text, numbers)
    return judged(globals(), table, "not supported", text, numbers)


def run(quick=False):
    return judge(measure(quick))


def contrary(found):
    found = copy.deepcopy(found)
    first = next(r for r in found["rows"] if r["exact"] is not None)
    first["found"] = first["exact"] - 10 * first["error"]
    return found


def figure(verdict):
    from fpkit.plotting.style import COLOURS, INK, figure

    made, (left, right) = figure(1, 2, width=17, height=8)
    rows = verdict.numbers["rows"]
    left.plot(range(len(verdict.numbers["exact"])), verdict.numbers["exact"], color=INK,
              label="exact, independent examples")
    for axes, problem, k in ((left, "factorisation", 0), (right, "network", 1)):
        mine = [r for r in rows if r["problem"] == problem]
        axes.errorbar([r["n"] for r in mine], [r["found"] for r in mine], [r["error"] for r in mine],
                      fmt="os"[k], color=COLOURS[k], markerfacecolor="none", capsize=2,
                      label="thermodynamic integration")
        axes.set(xlabel="number of examples n", ylabel="log Z_n (nats)")
        axes.legend(fontsize=7.5)
    left.set_title("Rank-1 factorisation, 3 × 3")
    right.set_title("Network: a + b mod 5")
    return made
