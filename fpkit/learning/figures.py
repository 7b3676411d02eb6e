"""The data of the talk's Figures 1 to 4, from our own runs; `fpkit.plotting.learning` draws them.

What takes more than a minute was run once and is shipped (data/grokking_runs.json, with its command).
"""
from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np

from ..core import checks
from ..core.files import shipped
from ..core.interruption import whole_results
from .models import chamber, ravine_story
from .modular_addition import ModularAddition, circle
from .sweep import fit_laws, sweep
from .training import train
from .walkers.learners import LearnerRun, learn

FULL = {"modulus": 23, "width": 64, "fractions": (0.8, 0.7, 0.6, 0.55, 0.5, 0.475, 0.45, 0.425), "n_seeds": 5,
        "n_steps": 6000, "circle": (31, 96, 6000), "n_paths": 1000, "n_samples": (0, 2, 4, 6, 8, 10, 12),
        "seed": 0, "long": (13, 64, 0.8, (0.0, 0.01), 4, 100_000)}
QUICK = {"modulus": 23, "width": 64, "fractions": (0.8, 0.7, 0.6, 0.55, 0.5), "n_seeds": 2,
         "n_steps": 2500, "circle": (23, 64, 3000), "n_paths": 200, "n_samples": (4, 6, 8, 10, 12),
         "seed": 0, "long": (11, 32, 0.8, (0.0, 0.3), 4, 8000)}


@cache
@whole_results()
def grokking_runs(modulus: int, width: int, fraction: float, decays: tuple[float, ...], n_seeds: int,
                  n_steps: int) -> LearnerRun:
    """AdamW (learning rate .003) of `n_seeds` networks for each decay, the decays one after the other."""
    problems = [ModularAddition(modulus, width, fraction, seed) for _ in decays for seed in range(n_seeds)]
    return learn(problems, n_steps, 0.003, l2=np.repeat(decays, n_seeds), optimiser="adamw", check_every=10,
                 record=40, precision="double")


@cache
def stored_runs() -> dict[str, Any]:
    """The runs that are shipped: ``command``, and by name what figures show of them."""
    return json.loads(shipped("grokking_runs.json").read_text(encoding="utf-8"))


def history_of(run, k):
    """The record of one walker."""
    return {"steps": run.steps, **{name: values[:, k] for name, values in run.history.items()}}


def middle(times):
    """Place of the median time, of the last known one when that is infinite."""
    order = np.argsort(times, kind="stable")
    known = int(np.isfinite(np.array(times, float)[order]).sum())
    return int(order[min((len(order) - 1) // 2, max(known - 1, 0))])


def figure_one_data(setting):
    """Walkers that memorise early and generalise late, from a run and from the stored one; the story of model
    A."""
    modulus, _, fraction, decays, n_seeds, _ = setting["long"]
    run = grokking_runs(*setting["long"])
    mine = range((len(decays) - 1) * n_seeds, len(decays) * n_seeds)
    first = middle([run.passages[0.99][k] for k in mine]) + mine[0]
    return {"history": history_of(run, first), "others": [history_of(run, k) for k in mine if k != first],
            "t_memorised": float(run.t_memorised[first]), "t_grokked": float(run.passages[0.99][first]),
            "modulus": modulus, "fraction": fraction, "decay": decays[-1],
            "stored": stored_runs().get("adamw"), "story": ravine_story(n_paths=setting["n_paths"])}


def figure_two_data(setting, found=None, table=None):
    """Times against the training fraction with both laws, SGLD against the sample size (stored), and model B;
    `found` and `table` when they are already known."""
    found = found or sweep(setting["fractions"], n_seeds=setting["n_seeds"], n_steps=setting["n_steps"],
                           modulus=setting["modulus"], width=setting["width"])
    return {"sweep": found, "laws": fit_laws(found, 0), "sizes": stored_runs().get("sizes"),
            "chamber": table or chamber(setting["n_samples"], n_paths=setting["n_paths"])}


def figure_three_data(setting):
    """Embedding and output weights in the plane of their strongest frequency: at the start, when memorised,
    and well after generalising."""
    modulus, width, n_steps = setting["circle"]
    problem = ModularAddition(modulus, width, 0.6, setting["seed"])
    run = train(problem, n_steps, save_every=10)
    moments, outputs = [], []
    for title, step in (("start", 0), (f"memorised, step {run.t_memorised}", run.t_memorised or 0),
                        (f"after generalising, step {int(run.steps[-1])}", run.steps[-1])):
        x = run.checkpoints[int(np.argmin(abs(run.saved_steps - step)))]
        moments.append((title, circle(problem.embedding(x))))
        outputs.append((title, circle(problem.layers(x)[2].T)))
    return {"moments": moments, "outputs": outputs, "t_grokked": run.t_grokked}


def figure_four_data(setting):
    """Norm and accuracies without and with decay, and of SGLD without and with L2 (stored)."""
    modulus, _, fraction, decays, n_seeds, _ = setting["long"]
    run = grokking_runs(*setting["long"])
    panels = [(f"AdamW, p = {modulus}, fraction {fraction:g}, decay {decay:g}",
               history_of(run, k * n_seeds + middle(run.passages[0.99][k * n_seeds:(k + 1) * n_seeds])))
              for k, decay in enumerate(decays)]
    for name in ("SGLD", "SGLD with L2, colder"):
        if name in stored_runs()["followed"]:
            panels.append((f"{name}, p = 11 (mean of 16)", {k: np.array(v) for k, v in
                                                    stored_runs()["followed"][name].items()}))
    return {"panels": panels}


@whole_results()
def figure_data(number: int, quick: bool = False) -> dict[str, Any]:
    """Data of one of the talk's figures, 1 to 4, from our own runs.

    Examples
    --------
    >>> from fpkit.learning.figures import figure_data
    >>> moments = figure_data(3, quick=True)["moments"]
    >>> moments[-1][1].share > 0.9 > moments[0][1].share              # a circle in the end, none at the start
    True
    """
    make = checks.choice("figure", number, (1, 2, 3, 4))
    return (figure_one_data, figure_two_data, figure_three_data,
            figure_four_data)[make - 1](QUICK if quick else FULL)
