"""The data of the talk's Figures 1 to 4, from our own runs; `fpkit.plotting.learning` draws them."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..core import checks
from .models import chamber, ravine_story
from .modular_addition import ModularAddition, circle
from .sweep import fit_laws, sweep
from .training import train

FULL = {"modulus": 31, "width": 96, "fractions": (0.8, 0.7, 0.6, 0.5, 0.45, 0.425, 0.4),
        "shown": 0.4, "n_seeds": 5, "n_steps": 8000, "norm_fractions": (0.4, 0.5), "decays": (0.0, 0.1, 1.0),
        "n_paths": 1000, "n_samples": (0, 2, 4, 6, 8, 10, 12), "seed": 1}
QUICK = {"modulus": 23, "width": 64, "fractions": (0.8, 0.7, 0.6, 0.55, 0.5), "shown": 0.5, "n_seeds": 2,
         "n_steps": 2500,
         "norm_fractions": (0.5,), "decays": (0.0, 1.0), "n_paths": 200, "n_samples": (4, 6, 8, 10, 12),
         "seed": 0}
STEP = 8                                             # the talk's lines join a and a + 8


def figure_one_data(setting):
    """One run of the network that memorises early and generalises late, and the story of model A."""
    problem = ModularAddition(setting["modulus"], setting["width"], setting["shown"], setting["seed"])
    run = train(problem, setting["n_steps"], stop_after=setting["n_steps"] // 10)
    return {"history": {"steps": run.steps, **run.history}, "t_memorised": run.t_memorised,
            "t_grokked": run.t_grokked, "modulus": setting["modulus"], "fraction": setting["shown"],
            "story": ravine_story(n_paths=setting["n_paths"])}


def figure_two_data(setting, found=None, table=None):
    """Times against the training fraction with both laws, and model B; `found` and `table` when they are
    already known."""
    found = found or sweep(setting["fractions"], n_seeds=setting["n_seeds"], n_steps=setting["n_steps"],
                           modulus=setting["modulus"], width=setting["width"])
    return {"sweep": found, "laws": fit_laws(found, 0),
            "chamber": table or chamber(setting["n_samples"], n_paths=setting["n_paths"])}


def figure_three_data(setting):
    """The embedding in the plane of its strongest frequency: at the start, when memorised, and well after
    generalising."""
    problem = ModularAddition(setting["modulus"], setting["width"], min(0.6, setting["fractions"][0]),
                              setting["seed"])
    run = train(problem, 3000, save_every=10)
    at = lambda step: circle(problem.embedding(run.checkpoints[int(np.argmin(abs(run.saved_steps - step)))]))
    return {"step": STEP, "moments": [("start", at(0)),
                                      (f"memorised, step {run.t_memorised}", at(run.t_memorised or 0)),
                                      (f"after generalising, step {int(run.steps[-1])}", at(run.steps[-1]))],
            "t_grokked": run.t_grokked}


def figure_four_data(setting):
    """Norm and accuracies for several fractions and decays."""
    histories = {}
    for fraction in setting["norm_fractions"]:
        for decay in setting["decays"]:
            run = train(ModularAddition(setting["modulus"], setting["width"], fraction, setting["seed"]),
                        setting["n_steps"], weight_decay=decay)
            histories[fraction, decay] = {"steps": run.steps, **run.history}
    return {"fractions": setting["norm_fractions"], "decays": setting["decays"], "histories": histories}


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
