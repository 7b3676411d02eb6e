"""Make modular_addition_plane.h5: a plane of a small network through a memorising and a generalising
solution.

    python data/make_modular_addition.py [--output FILE] [--seed N]

trains a network for addition modulo 23 (fpkit.learning.modular_addition, NumPy alone) twice from the same
start: once without weight decay, polished with a smaller learning rate (M, memorises), once with weight decay
(G, generalises); the third point T is the parameter vector of G's own training at two thirds of the way from
memorising to generalising. The plane is w = M + a (G - M) + b (T - M), so M is at (0, 0), G at (1, 0), T at
(0, 1).

The same seed gives the same file, byte for byte, on one machine with one NumPy, whatever the number of cores;
on another processor training amplifies the last digit of a sum, and the numbers differ while the picture
stays.
"""
from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

for library in ("OPENBLAS", "OMP", "MKL", "VECLIB_MAXIMUM"):
    # the order of a sum must not depend on the cores; before NumPy loads
    os.environ[f"{library}_NUM_THREADS"] = "1"

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / "fpkit" / "__init__.py").exists():            # a checkout works without installation
    sys.path.insert(0, str(ROOT))

import fpkit as fp
from fpkit.landscapes.adapters import problem_loss
from fpkit.learning.modular_addition import ModularAddition, train

HERE = Path(__file__).resolve().parent
X = np.arange(-16, 57) / 40                              # M, G and T are exactly points of the grid,
Y = np.arange(-10, 36) / 25                              # and it is not square, to catch a swapped axis
MEMORISING = ({"n_steps": 3000, "learning_rate": 0.003, "weight_decay": 0.0},
              {"n_steps": 2000, "learning_rate": 0.0003, "weight_decay": 0.0})
GENERALISING = {"n_steps": 6000, "learning_rate": 0.003, "weight_decay": 3.0, "save_every": 20,
                "stop_after": 600}


def three_points(problem):
    """M, G, T and the run that made G."""
    first = train(problem, **MEMORISING[0])
    memorised = train(problem, start=first.x, **MEMORISING[1])
    run = train(problem, **GENERALISING)
    if run.t_grokked is None:
        raise SystemExit(f"seed {problem.seed} did not generalise within {GENERALISING['n_steps']} steps; "
                         "try another seed.")
    between = run.t_memorised + 2 * (run.t_grokked - run.t_memorised) / 3
    third = int(np.argmin(np.abs(run.saved_steps - between)))
    return memorised.x, run.x, third, run


def make(path, seed=0):
    """Train, evaluate the plane and write `path`; returns the landscape."""
    problem = ModularAddition(modulus=23, width=96, fraction=0.5, seed=seed)
    M, G, third, run = three_points(problem)
    plane = fp.Plane.through(M, G, run.checkpoints[third], orthonormal=False)
    meta = {"command": f"python data/make_modular_addition.py --seed {seed}", "seed": seed,
            "kind": "plane through three solutions: w = M + x (G - M) + y (T - M)",
            "dataset": "all pairs (a, b), label (a + b) mod 23; half of them, by the seed, for training",
            "model": "out = (U[a] + V[b])^2 W, 96 hidden units",
            "loss": "half squared error to the one-hot label, mean over the sample, WITHOUT weight decay",
            "points": {"M": {"at": [0, 0], "training": MEMORISING},
                       "G": {"at": [1, 0], "training": GENERALISING},
                       "T": {"at": [0, 1], "training": "checkpoint of G's training at step "
                             f"{int(run.saved_steps[third])}"}},
            "memorised_at_step": run.t_memorised, "generalised_at_step": run.t_grokked,
            "optimiser": run.recipe,
            "time_unit": "learning rate x steps of plain gradient descent; AdamW, which made the points, has "
            "no such unit",
            "normalisation": "none", "batch_norm": "none",
            "scores": {"M": problem.scores(M), "G": problem.scores(G)}}
    return fp.export_landscape(path, problem_loss(problem), plane, x=X, y=Y, trajectory=run.checkpoints,
                               steps=run.saved_steps, meta=meta,
                               store_directions=False, created_utc=None, overwrite=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the network and write the plane of its loss.")
    parser.add_argument("--output", default=str(HERE / "modular_addition_plane.h5"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(make(options.output, options.seed))
