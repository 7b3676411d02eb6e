"""Make grokking_runs.json: runs that figures show and that take minutes.

    python data/make_grokking_runs.py [--output DIR]

About ten minutes of processor time; a run of AdamW that is stopped goes on from its checkpoint in the folder.
The same seeds give the same runs on every machine with fused multiplication.
"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / "fpkit" / "__init__.py").exists():            # a checkout works without installation
    sys.path.insert(0, str(ROOT))

import numpy as np

from fpkit.learning.modular_addition import ModularAddition
from fpkit.learning.walkers import learn
from validation import _walkers, learning_23_sample_size

HERE = Path(__file__).resolve().parent
RATE, DECAY, SEEDS, STEPS = 0.003, 0.003, range(8), 200_000


def rounded(values, digits=4):
    """Numbers for JSON: as many digits as a picture shows; None for what is not there."""
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in np.asarray(values, float).ravel()]


def adamw(folder):
    """AdamW with a weak decay: memorised after some 10^2 steps, generalised after some 10^5."""
    problems = [ModularAddition(13, 64, 0.8, seed) for seed in SEEDS]
    run = learn(problems, STEPS, RATE, l2=DECAY, optimiser="adamw", check_every=10, record=30,
                precision="double", checkpoint=folder / "grokking_runs.h5")
    return summary(run, range(len(SEEDS)))


def summary(run, chosen):
    """What the first figure shows of some walkers."""
    runs = [{"train_acc": rounded(run.history["train_acc"][:, k]), "norm": rounded(run.history["norm"][:, k]),
             "test_acc": rounded(run.history["test_acc"][:, k]),
             "t_memorised": rounded([run.t_memorised[k]], 9)[0],
             "t_grokked": rounded([run.passages[0.99][k]], 9)[0]} for k in chosen]
    return {"learning_rate": RATE, "decay": DECAY, "modulus": 13, "width": 64, "fraction": 0.8,
            "steps": run.steps.tolist(), "runs": runs}


def sizes():
    """First passages over the sample size, of claim 23."""
    verdict = learning_23_sample_size.run()
    rows = [r | {name: rounded([r[name]])[0] for name in ("t", "t_mem")} for r in verdict.numbers["rows"]]
    return {"rows": rows, "laws": verdict.numbers.get("laws")}


def followed():
    """Mean histories of walkers followed long after they generalised, of claims 25 and 27."""
    return {name: {key: rounded(values) if key != "steps" else values for key, values in curve.items()}
            for name, curve in _walkers.followed(False)["curves"].items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE, help="folder (default: that of this script)")
    folder = parser.parse_args().output
    write(folder, {"adamw": adamw(folder), "sizes": sizes(), "followed": followed()})


def write(folder, found):
    """The file, with the command that makes it."""
    text = json.dumps({"command": "python data/make_grokking_runs.py", **found}, allow_nan=False)
    (folder / "grokking_runs.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
