"""Talk, claim 14: wide minima overfit less."""
from __future__ import annotations

import copy

import numpy as np
from scipy.stats import t

from ._learning import TALK, abstaining, judged
from .verdict import Table, formed

CLAIM = "Wide (flat) minima of the empirical risk generalise better than narrow (sharp) ones."
SOURCE = f"{TALK}, after Hochreiter and Schmidhuber, Neural Computation 9, 1 (1997)."
CRITERION = ("Digits and wine with 10 % wrong labels, one ReLU net, same start for each learner. Flatness: "
             "Hessian trace of the training risk. Over the seeds, wide minus sharp in test "
             "accuracy: holds when positive by two standard errors on both data sets, conditional on one, "
             "false here when negative by as much on both, else not supported.")
TRAINED, LEAST_SEEDS = 0.8, 4  # share of the training sample that a trained network fits; seeds of a mean
LEARNERS = {"sharp": (0.05, None), "large rate": (0.3, None), "small batch": (0.05, 8), "wide": (0.3, 8)}


def measure(quick=False):
    from fpkit.learning.classifiers import digits, wine
    from fpkit.learning.training import train

    rows = []
    for name, make, n_steps in (("digits", digits, 1500), ("wine", wine, 3000)):
        for seed in range(2 if quick else 6):
            problem = make(width=8 if quick else 16, label_noise=0.1, seed=seed,
                           **({"n_train": 200} if quick and name == "digits" else {}))
            for learner in ("sharp", "wide") if quick else LEARNERS:
                rate, batch = LEARNERS[learner]
                run = train(problem, 600 if quick else n_steps, rate, optimiser="sgd", batch=batch,
                            check_every=n_steps, seed=seed)
                H = problem.hessian(run.x)
                rows.append({"data": name, "seed": seed, "learner": learner, "trace": float(np.trace(H)),
                             **{k: float(v[-1]) for k, v in run.history.items()}})
    return rows


def standard_error(values):
    return values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.inf


@abstaining("trace", "train_loss", "train_acc", "test_loss", "test_acc")
def judge(rows):
    value = lambda data, learner, key: np.array([r[key] for r in rows if r["data"] == data
                                                 and r["learner"] == learner])
    shown, signs, flatter, total = [], [], 0, 0
    for data in sorted({r["data"] for r in rows}):
        for learner in dict.fromkeys(r["learner"] for r in rows):
            gain = value(data, learner, "test_acc") - value(data, "sharp", "test_acc")
            trace = value(data, learner, "trace")
            shown.append({"data": data, "learner": learner,
                          "trace": trace.mean(), "train_loss": value(data, learner, "train_loss").mean(),
                          "test_loss": value(data, learner, "test_loss").mean(),
                          "test_acc": value(data, learner, "test_acc").mean(), "n": len(gain),
                          "train_acc": value(data, learner, "train_acc").mean(), "gain": gain.mean(),
                          "error": standard_error(gain), "better": f"{(gain > 0).sum()} of {len(gain)}"})
            if learner == "wide":
                # two standard errors of a normal law, with Student's factor for few seeds
                signs.append((gain.mean(), standard_error(gain) * t.isf(0.0228, max(len(gain) - 1, 1)) / 2))
                flatter += int((trace < value(data, "sharp", "trace")).sum())
                total += len(trace)
    table = Table.of(shown, {"data": "data", "learner": "learner", "trace": "Hessian trace",
                             "train_loss": "train risk", "test_loss": "test risk",
                             "test_acc": "test accuracy",
                             "gain": "against sharp", "error": "+- (1 s.e.)", "better": "better"})
    wins, losses = sum(g > 2 * e for g, e in signs), sum(g < -2 * e for g, e in signs)
    outcome = "holds" if wins == len(signs) else "false here" if losses == len(
        signs) else "conditional" if wins else "not supported"
    text = ", ".join(f"{g:+.3f} +- {e:.3f}" for g, e in signs)
    trained, n_seeds = min(row["train_acc"] for row in shown), min(row["n"] for row in shown)
    why = ("" if flatter >= total / 2 else "wide is not flatter than sharp; " if total else "no wide runs; ")
    why += "" if trained >= TRAINED else f"networks that fit {trained:.2f} of their sample are not trained; "
    why += "" if n_seeds >= LEAST_SEEDS else f"{n_seeds} seeds have no error worth the name; "
    if why:
        outcome = "not measured"
    return judged(globals(), table, outcome,
                  f"{why}wide is flatter in {flatter} of {total} runs; change of the test accuracy {text} "
                  f"({', '.join(sorted({r['data'] for r in rows}))}, {total // len(signs)} seeds each)")


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def contrary(rows):
    rows = copy.deepcopy(rows)
    was = judge(rows).outcome
    for k, r in enumerate(rows):
        if r["learner"] == "wide":
            r["test_acc"] = (0.99 if was != "holds" else 0.1) + 1e-4 * k
    return rows


def figure(verdict):
    from fpkit.plotting.style import COLOURS, INK, MARKERS, figure

    made, axes = figure(width=12, height=8)
    t = verdict.table
    for k, data in enumerate(sorted(set(t.column("data")))):
        chosen = [i for i, d in enumerate(t.column("data")) if d == data]
        x, y = [t.column("Hessian trace")[i] for i in chosen], [t.column("against sharp")[i] for i in chosen]
        axes.errorbar(x, y, [2 * t.column("+- (1 s.e.)")[i] for i in chosen], fmt=MARKERS[k],
                      color=COLOURS[k], capsize=2, label=data)
        for i, a, b in zip(chosen, x, y):
            learner = t.column("learner")[i]
            axes.annotate(learner, (a, b), fontsize=7, textcoords="offset points",
                          xytext=(4, -11 if learner == "wide" else 4))
    axes.axhline(0, color=INK, linewidth=0.7)
    axes.set(xscale="log", xlabel="Hessian trace of the training risk",
             ylabel="test accuracy minus that of sharp", title="Flatness and its benefit (± 2 s.e.)")
    axes.legend()
    return made
