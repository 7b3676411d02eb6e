"""Make the planes of this project's networks: grokking p = 31, digits sharp and wide, and the four wells of a
one-unit network.

    python data/make_learning_planes.py [--output DIR] [NAME ...]

NAMEs: grokking_p31_plane, grokking_p31_around_M, grokking_p31_around_G, digits_sharp, digits_wide,
bump_network_plane (default: all; about a minute). Same seed, same recipe, same picture; another processor
gives other last digits, since training amplifies them.
"""
from __future__ import annotations

import argparse
import os
import sys
from functools import lru_cache
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

HERE = Path(__file__).resolve().parent
GROKKING = {"modulus": 31, "width": 96, "fraction": 0.45, "seed": 0}


def tensors(problem, w):
    """The layers of a vector with one row for each output of a layer, as filter normalisation wants them."""
    return [np.ascontiguousarray(layer.T) if layer.shape[0] > 1 else layer.ravel()
            for layer in problem.layers(w)]


@lru_cache
def grokking():
    """The solutions of `GROKKING` and what the files tell about them."""
    from fpkit.learning.solutions import solutions

    found = solutions(**GROKKING, polish=5000)
    meta = {"problem": repr(found.problem), "made_by": "fpkit.learning.solutions.solutions", **GROKKING,
            "M": "AdamW lr .003, no decay, 5000 steps, then lr 3e-4, 2500 steps",
            "G": "the same start, decay 1 until 200 steps after generalising, then no decay, lr 1e-3 and "
            "1e-4, 2500 steps each", "T": "a point of G's training",
            "t_memorised": found.run.t_memorised, "t_grokked": found.run.t_grokked,
            "loss": "half squared error, mean over the sample; no decay in it",
            "scores": {name: problem_loss(found.problem)(w) for name,
                       w in (("M", found.memorised), ("G", found.generalised), ("T", found.between))}}
    return found, meta


def layered(problem, flat):
    """A direction given layer by layer (as `tensors`) back in the order of the parameter vector."""
    w, at = np.empty(problem.n_params), 0
    for layer in problem.layers(w):
        part = flat[at:at + layer.size]
        layer[...] = part.reshape(layer.T.shape).T if layer.shape[0] > 1 else part.reshape(layer.shape)
        at += layer.size
    return w


def filter_normalised(problem, w, seed):
    """Plane around w along two random directions, each filter scaled to the norm of w's; coordinates in units
    of the directions."""
    plane = fp.Plane.random(tensors(problem, w), seed=seed, orthonormal=False)
    return fp.Plane.from_directions(w, [layered(problem, d) for d in plane.directions], orthonormal=False,
                                    kind=f"filter-normalised random, seed {seed}")


def make_grokking_p31_plane(path):
    found, meta = grokking()
    plane = fp.Plane.through(found.memorised, found.generalised, found.between)
    keep = slice(None, None, max(1, len(found.run.checkpoints) // 60))
    far = plane.points[:, 0].max()
    return fp.export_landscape(path, problem_loss(found.problem), plane, x=(-0.35 * far, 1.35 * far, 69),
                               y=(-0.45 * far, 1.0 * far, 53),
                               trajectory=found.run.checkpoints[keep], steps=found.run.saved_steps[keep],
                               meta=meta, store_directions=False, overwrite=True, created_utc=None)


def make_around(which):
    def make(path):
        found, meta = grokking()
        w = {"M": found.memorised, "G": found.generalised}[which]
        return fp.export_landscape(path, problem_loss(found.problem), filter_normalised(found.problem, w, 5),
                                   x=(-1, 1, 41), y=(-1, 1, 39),
                                   meta=meta | {"around": which}, store_directions=False, overwrite=True,
                                   created_utc=None)
    return make


def make_digits(which):
    def make(path):
        from fpkit.learning.classifiers import digits
        from fpkit.learning.training import train

        problem = digits(width=16, label_noise=0.1, seed=0)
        rate, batch = {"sharp": (0.05, None), "wide": (0.3, 8)}[which]
        run = train(problem, 1500, rate, optimiser="sgd", batch=batch, check_every=500)
        meta = {"problem": repr(problem), "label_noise": 0.1, "recipe": run.recipe,
                "hessian_trace": float(np.trace(problem.hessian(run.x))),
                "scores": problem_loss(problem)(run.x), "loss": "cross-entropy, mean over the sample; no "
                "decay"}
        return fp.export_landscape(path, problem_loss(problem), filter_normalised(problem, run.x, 5),
                                   x=(-1, 1, 41), y=(-1, 1, 39),
                                   meta=meta, store_directions=False, overwrite=True, created_utc=None)
    return make


def make_bump_network_plane(path):
    from fpkit.learning.wells import bump_network

    net = bump_network()
    plane = fp.Plane.from_directions(*net.plane_directions(),
                                     kind="the four wells: origin 0 in (A, a, B), directions to the rise and "
                                     "the fall well")

    def loss(w):
        return {"train_loss": float(net.potential(w)), "test_loss": float(net.problem.risk(w, "test"))}
    meta = {"problem": repr(net.problem), "loss": "half squared error, mean over 14 examples, plus "
            f"{net.l2:g}/2 |x|^2", "rise": net.rise.x.tolist(), "fall": net.fall.x.tolist(),
            "barrier": net.barrier()}
    return fp.export_landscape(path, loss, plane, x=(-4, 4, 65), y=(-4.5, 4.5, 61), meta=meta, overwrite=True,
                               created_utc=None)


MAKERS = {"grokking_p31_plane": make_grokking_p31_plane, "grokking_p31_around_M": make_around("M"),
          "grokking_p31_around_G": make_around("G"),
          "digits_sharp": make_digits("sharp"), "digits_wide": make_digits("wide"),
          "bump_network_plane": make_bump_network_plane}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="planes to make (default: all of "
                        f"{', '.join(MAKERS)})")
    parser.add_argument("--output", default=HERE, type=Path, help="folder (default: beside this script)")
    arguments = parser.parse_args()
    for name in arguments.names or MAKERS:
        if name not in MAKERS:
            raise SystemExit(f"{name!r} is unknown; known are {', '.join(MAKERS)}.")
        print(MAKERS[name](arguments.output / f"{name}.h5"), flush=True)


if __name__ == "__main__":
    main()
