"""Make digits_plane.h5: a plane of a small network for handwritten digits through three solutions of SGD.

    python data/make_digits.py [--output FILE] [--seed N]

trains a ReLU network with 12 hidden units on 500 digits (fpkit.learning.classifiers, data/digits.csv.gz)
three times from three starts: A and B by SGD with minibatches of 8, C with minibatches of 250. The plane is w
= A + x (B - A) + y (C - A), so A is at (0, 0), B at (1, 0), C at (0, 1). The path is that of A's training;
the temperature is measured at A from the gradients of all members. `fpkit.export_landscape` computes the
plane: a killed run goes on where it stopped.

The same seed gives the same file, byte for byte, on one machine with one NumPy, whatever the number of cores.
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
from fpkit.learning.classifiers import digits
from fpkit.learning.training import train

HERE = Path(__file__).resolve().parent
X = np.arange(-10, 33) / 20                              # A, B and C are exactly points of the grid,
Y = np.arange(-8, 31) / 20                               # and it is not square, to catch a swapped axis
SMALL = {"optimiser": "sgd", "batch": 8, "learning_rate": 0.05, "n_steps": 6000}
LARGE = {"optimiser": "sgd", "batch": 250, "learning_rate": 0.4, "n_steps": 3000}


def make(path, seed=0):
    """Train, evaluate the plane and write `path`; returns the landscape."""
    problem = digits(width=12, n_train=500, seed=seed)
    starts = [digits(width=12, n_train=500, seed=seed + 1000 * k).start() for k in range(3)]
    run = train(problem, start=starts[0], seed=1, save_every=200, check_every=200, **SMALL)
    A, B = run.x, train(problem, start=starts[1], seed=2, check_every=200, **SMALL).x
    C = train(problem, start=starts[2], seed=3, check_every=200, **LARGE).x
    plane = fp.Plane.through(A, B, C, orthonormal=False)
    temperature = fp.sgd_temperature(problem.member_gradients(A), SMALL["learning_rate"], plane,
                                     batch=SMALL["batch"], n_data=problem.n_train, replacement=False)
    meta = {"command": f"python data/make_digits.py --seed {seed}", "seed": seed,
            "dataset": "1797 handwritten digits of 8 x 8 pixels (Alpaydin and Kaynak, UCI repository, 1998), "
            "500 drawn by the seed for training",
            "model": "ReLU network, 64 - 12 - 10", "loss": "cross-entropy, mean over the sample",
            "weight_decay": 0, "batch_norm": "none",
            "training": {"A": SMALL, "B": SMALL, "C": LARGE},
            "scores": {n: problem.scores(w) for n, w in zip("ABC", (A, B, C))}}
    return fp.export_landscape(path, problem_loss(problem), plane, x=X, y=Y, trajectory=run.checkpoints,
                               steps=run.saved_steps,
                               temperature=temperature, meta=meta, created_utc=None, overwrite=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the network and write the plane of its loss.")
    parser.add_argument("--output", default=str(HERE / "digits_plane.h5"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(make(options.output, options.seed))
