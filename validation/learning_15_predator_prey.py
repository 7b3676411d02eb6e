"""Talk's papers, claim 15: a GAN is a predator and its prey, and predation selects wide wells. OUR OWN
minimal reading."""
from __future__ import annotations

import copy

from ._learning import abstaining, judged
from .verdict import Table, formed

CLAIM = "An adversarial pair is a predator and its prey, and predation moves the prey to wide wells."
SOURCE = ("Abstracts of arXiv:2412.10716 and arXiv:2402.19035; their equations, rates and potentials are NOT "
          "known to us. Tested: our own minimal model, fpkit.learning.predator_prey; "
          "it says nothing about a trained network.")
CRITERION = ("The limits must hold, else it fails: no predators gives the Gibbs share (1e-6); an infinite "
             "range gives the Lotka-Volterra equilibrium of the totals (2 %). Then open, since the "
             "authors' equations are unknown: for our reading the share of prey in the wide well is reported "
             "against the range; false here when predation lowers it.")


def measure(quick=False):
    from fpkit.learning.predator_prey import predation

    from ._predation import predation_by_particles

    t_end = 100.0 if quick else 400.0
    alone = predation(attack=0.0, t_end=40.0)
    blind = predation(20.0, 50.0, t_end=t_end)
    attack = 50.0 / (20.0 * (2 * 3.141592653589793) ** 0.5)      # c K(0): what a distance-blind predator eats
    rows = [{"range": "none", "attack": 0.0, "share": alone.share, "prey": alone.prey,
             "predators": alone.predators, "particles": None}]
    for r in (0.1, 1.0) if quick else (0.05, 0.1, 0.3, 1.0):
        found = predation(r, 1.0, t_end=t_end)
        particles = predation_by_particles(1000, r, 1.0).share if not quick and r in (0.1, 1.0) else None
        rows.append({"range": f"{r:g}", "attack": 1.0, "share": found.share, "prey": found.prey,
                     "predators": found.predators, "particles": particles})
    rows.append({"range": "blind", "attack": 50.0, "share": blind.share, "prey": blind.prey,
                 "predators": blind.predators, "particles": None})
    return {"rows": rows, "undisturbed": alone.undisturbed,
            "gibbs_miss": abs(alone.share - alone.undisturbed),
            "lv_miss": abs(blind.prey / (0.2 / attack) - 1)}


@abstaining("share", numbers_of=("undisturbed", "gibbs_miss", "lv_miss"))
def judge(found):
    rows = found["rows"]
    table = Table.of(rows, {"range": "range r", "attack": "c", "share": "share of prey, wide well",
                            "prey": "prey", "predators": "predators", "particles": "share, particles"})
    numbers = {"undisturbed": found["undisturbed"]}
    if not (found["gibbs_miss"] <= 1e-6 and found["lv_miss"] <= 0.02):
        return judged(globals(), table, "fails", "the limits do not hold: Gibbs misses by "
                      f"{found['gibbs_miss']:.2g}, Lotka-Volterra by {100 * found['lv_miss']:.1f} %", numbers)
    inner = [r["share"] for r in rows[1:-1]]
    text = (f"the wide well's share of prey is {found['undisturbed']:.3f} undisturbed, {inner[0]:.3f} at the "
            f"shortest range, {inner[-1]:.3f} at the longest, {rows[-1]['share']:.3f} when blind to distance")
    if min(inner) < found["undisturbed"]:
        return judged(globals(), table, "false here", "in our own reading predation does not favour the wide "
                      "well: " + text, numbers)
    return judged(globals(), table, "open", "the authors' equations are unknown; in our own reading, for one "
                  "potential and one set of rates, " + text, numbers)


def run(quick=False):
    return formed(judge(measure(quick)), quick)


def contrary(found):
    found = copy.deepcopy(found)
    found["rows"][1]["share"] = 0.2
    return found


def figure(verdict):
    from fpkit.plotting.style import COLOURS, INK, figure

    made, axes = figure(width=12, height=8)
    t = verdict.table
    axes.plot(range(len(t.rows)), t.column("share of prey, wide well"), "o", color=COLOURS[0],
              label="mean field")
    axes.plot(range(len(t.rows)), [v if v is not None else float("nan")
                                   for v in t.column("share, particles")], "s", color=COLOURS[1],
                                   markerfacecolor="none", label="particles")
    axes.axhline(verdict.numbers["undisturbed"], color=INK, linewidth=0.8, linestyle="--",
                 label="undisturbed (Gibbs)")
    axes.set_xticks(range(len(t.rows)), t.column("range r"))
    axes.set(xlabel="range of predation r (length)", ylabel="share of prey in the wide well",
             title="Predator and prey: our own reading")
    axes.legend()
    return made
