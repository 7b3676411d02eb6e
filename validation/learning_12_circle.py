"""Talk, claim 12: the embeddings of the residues lie on a circle."""
from __future__ import annotations

import copy

import numpy as np

from ._learning import TALK, abstaining, judged
from .verdict import Table, formed

CLAIM = ("After generalising, the embeddings of the residues lie on a circle, and addition is a shift along "
         "it.")
SOURCE = f"{TALK}, its Figure 3 (after Power et al., arXiv:2201.02177)."
CRITERION = ("Share of a unit's Fourier power in its best frequency, mean over seeds: above .9 well after "
             "generalising and above .3 more than at the start, for the quadratic net and "
             "for the ReLU net with an embedding; conditional when for one of them only.")


def measure(quick=False):
    from fpkit.learning.modular_addition import ModularAddition, ModularAdditionReLU, circle, train

    rows, points = [], []
    nets = [("quadratic", ModularAddition, dict(modulus=23 if quick else 31, width=64 if quick else 96,
                                                fraction=0.6), 2500 if quick else 3000, 0.003),
            ("ReLU", ModularAdditionReLU, dict(modulus=23, width=64, fraction=0.7), 1500 if quick else 5000,
             0.005)]
    for name, kind, setting, n_steps, rate in nets:
        for seed in range(1 if quick else 3):
            problem = kind(seed=seed, **setting)
            run = train(problem, n_steps, rate, save_every=10)
            at = lambda step: circle(
                problem.embedding(run.checkpoints[int(np.argmin(abs(run.saved_steps - step)))]))
            end = at(run.steps[-1])
            rows.append({"net": name, "seed": seed, "start": at(0).share,
                         "memorised": None if run.t_memorised is None else at(run.t_memorised).share,
                         "grokked": None if run.t_grokked is None else at(run.t_grokked).share,
                         "end": end.share, "plane": end.plane_share, "roundness": end.roundness,
                         "t_grokked": run.t_grokked, "test_acc": float(run.history["test_acc"][-1])})
            points.append({"points": end.points.tolist(),
                           "step": pow(int(end.frequency), -1, len(end.points)), "title":
                           f"{name}, seed {seed}: {end.share:.2f} of a unit's power\nin its best frequency; "
                           f"plane of frequency {end.frequency} ({100 * end.plane_share:.0f} %)"})
    return {"rows": rows, "points": points}


@abstaining("start", "end", "plane")
def judge(found):
    rows = found["rows"]
    columns = {"net": "net", "seed": "seed", "start": "share: start", "memorised": "memorised",
               "grokked": "generalised", "end": "end", "plane": "in one plane",
               "t_grokked": "t_grok", "test_acc": "test accuracy, end"}
    if {r["net"] for r in rows} != {"quadratic", "ReLU"}:
        return judged(globals(), Table.of(rows, columns), "not measured", "both kinds of networks are "
                      "needed, one is missing: nothing is concluded", {"points": found["points"]})
    is_round = {}
    for net in ("quadratic", "ReLU"):
        mine = [r for r in rows if r["net"] == net]
        end, start = np.mean([r["end"] for r in mine]), np.mean([r["start"] for r in mine])
        is_round[net] = (end > 0.9 and end > start + 0.3, end, start, np.mean([r["plane"] for r in mine]))
    text = "; ".join(f"{net}: {start:.2f} at the start, {end:.2f} in the end, the strongest plane holds "
                     f"{100 * plane:.0f} %" for net, (_, end, start, plane) in is_round.items())
    count = sum(v[0] for v in is_round.values())
    outcome = ("not supported", "conditional", "holds")[count]
    if outcome == "conditional":
        text = (f"for the {next(n for n, v in is_round.items() if v[0])} net, each unit a circle of its own "
                "frequency; " + text)
    return judged(globals(), Table.of(rows, columns), outcome, text,
                  {"points": [found["points"][0], found["points"][-1]]})


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def contrary(found):
    found = copy.deepcopy(found)
    for r in found["rows"]:
        r["end"] = r["start"]
    return found


def figure(verdict):
    from fpkit.plotting.learning import circle_axes
    from fpkit.plotting.style import figure

    made, row = figure(1, 2, width=17, height=9)
    for axes, data in zip(row, verdict.numbers["points"]):
        circle_axes(axes, data["points"], data["step"])
        axes.set_title(data["title"], fontsize=8)
        axes.set_xlabel(f"first axis (a is joined to a + {data['step']})")
    return made
