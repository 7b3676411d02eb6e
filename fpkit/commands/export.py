"""fpkit export: compute a loss landscape on a plane through parameter space; fpkit convert: write one in
another format."""
from __future__ import annotations

import importlib
import os
import sys

import fpkit as fp

from .. import landscapes, learning
from ..landscapes import files
from .common import command, print_json, reading_of, reading_options, scheduler_option

PROBLEM = "modular-addition"


def add(commands):
    c = command(commands, "export", _export, "compute the loss on a line, a plane or a space of parameters, "
                "resumable at any moment")
    c.add_argument("output", help="HDF5 file to make; the same command again goes on where a killed one "
                   "stopped")
    c.add_argument("--loss", metavar="MODULE:FUNCTION", required=True, help=f"your function loss(vector) -> "
                   "number or dict; THE CODE OF THE MODULE IS RUN (a module name, or a path that ends in "
                   f".py). Or {PROBLEM}, a problem that comes with fpkit and trains its own solutions")
    c.add_argument("--points", nargs="+", metavar="FILE", help=".npy or .npz file(s) of parameter vectors, "
                   "one a row: solutions, or checkpoints for pca; the first is the origin (of pca the last)")
    c.add_argument("--plane", choices=("through", "random", "pca"), default="through",
                   help="how the plane is laid (default: through the points)")
    c.add_argument("--ndim", type=int, default=2, choices=(1, 2, 3),
                   help="axes of a random or pca plane (default: 2)")
    c.add_argument("--as-given", action="store_true", help="keep the directions as given instead of making "
                   "them orthonormal: solutions lie at 0 and 1")
    for name in "xyz":
        c.add_argument(f"--{name}", type=float, nargs=3, metavar=("LOW", "HIGH", "N"),
                       help=f"samples along {name} (default: 51 over the points and a margin)")
    c.add_argument("--trajectory", metavar="FILE", help=".npy or .npz file of checkpoints to project onto "
                   "the plane")
    c.add_argument("--seed", type=int, default=0, help=f"seed of random directions, and of {PROBLEM} "
                   "(default: 0)")
    c.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    scheduler_option(c)
    c.add_argument("--share", type=int, nargs=2, metavar=("K", "N"), help="compute only each N-th point from "
                   "the K-th on; gather with a last call without --share")
    c.add_argument("--save-every", type=float, default=60.0, metavar="SECONDS",
                   help="time between two replacements of the file (default: 60)")
    c.add_argument("--meta", action="append", default=[], metavar="NAME=TEXT",
                   help="what the file shall tell, for example weight_decay=0.01 (repeatable)")
    c.add_argument("--record-errors", action="store_true", help="mark points where the loss fails instead of "
                   "stopping")
    c.add_argument("--overwrite", action="store_true", help="throw away a file of another export under this "
                   "name")

    c = command(commands, "convert", _convert, "write a landscape in another format: .h5, .npz (Landscaper), "
                ".vtk, .vti, .vts (ParaView), .csv, .nc (netCDF), or a folder of topsearch's texts")
    c.add_argument("file", help="landscape file of any layout that fpkit reads")
    c.add_argument("output", help="file to make; its ending tells the format, a name without ending is a "
                   "folder")
    reading_options(c)


def _export(arguments):
    loss, points, trajectory, steps, meta = _problem(arguments) if arguments.loss == PROBLEM else _own(
        arguments)
    plane = _plane(arguments, points)
    meta |= {"loss": arguments.loss} | dict(_pair(item) for item in arguments.meta)
    boxes = {n: None if getattr(arguments, n) is None else (*getattr(arguments, n)[:2],
                                                            int(getattr(arguments, n)[2])) for n in "xyz"}
    land = fp.export_landscape(arguments.output, loss, plane, **boxes, trajectory=trajectory,
                            steps=steps, workers=arguments.workers, executor=arguments.executor,
                            share=arguments.share,
                            save_every=arguments.save_every, overwrite=arguments.overwrite, meta=meta,
                            on_error="record" if arguments.record_errors else "raise")
    if land is None:
        print_json({"share": arguments.share}) if arguments.json else print(f"share {arguments.share[0]} of "
                                                                            f"{arguments.share[1]} is in its "
                                                                            "journal")
    elif arguments.json:
        print_json({"file": arguments.output, **land.to_dict()})
    else:
        print(land)


def _own(arguments):
    """The user's loss and the points of the files."""
    if not arguments.points:
        raise ValueError("give the parameter vectors of the plane with --points FILE [FILE ...].")
    points = [v for path in arguments.points for v in _vectors(path)]
    return _function(arguments.loss), points, None if arguments.trajectory is None else _vectors(
        arguments.trajectory), None, {}


def _problem(arguments):
    """Addition modulo 11: a memorising solution, a generalising one from the same start, and a point of its
    training between them."""
    if arguments.points or arguments.trajectory:
        raise ValueError(f"{PROBLEM} trains its own solutions; leave out --points and --trajectory.")
    found = learning.solutions.solutions(modulus=11, width=32, fraction=0.75, polish=1000,
                                         seed=arguments.seed)
    return (landscapes.problem_loss(found.problem), [found.memorised, found.generalised, found.between],
            found.run.checkpoints, found.run.saved_steps,
            {"problem": repr(found.problem), "optimiser": found.run.recipe, "seed": arguments.seed})


def _plane(arguments, points):
    if arguments.plane == "through":
        return fp.Plane.through(*points, orthonormal=not arguments.as_given)
    if arguments.plane == "pca":
        return fp.Plane.pca(points, ndim=arguments.ndim, orthonormal=not arguments.as_given)
    return fp.Plane.random(points[0], ndim=arguments.ndim, seed=arguments.seed,
                        orthonormal=not arguments.as_given)


def _function(text):
    """The function that MODULE:FUNCTION names, its module imported from the current folder or the installed
    packages."""
    module_name, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier():
        raise ValueError(f"--loss expects MODULE:FUNCTION (for example training.py:loss) or {PROBLEM}, got "
                         f"{text!r}.")
    folder, base = os.path.split(module_name)
    if base.endswith(".py"):
        folder, module_name = folder or os.getcwd(), base[:-3]
        if not os.path.isfile(os.path.join(folder, base)):
            raise FileNotFoundError(f"there is no file {os.path.join(folder, base)!r} with the loss.")
    # also for the worker processes, which import it again
    sys.path.insert(0, os.path.abspath(folder or os.getcwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name == module_name.split(".")[0]:
            raise ValueError(f"there is no module {module_name!r} here or among the installed "
                             "packages.") from None
        raise ValueError(f"the module {module_name!r} needs {error.name!r}, which is not "
                         "installed.") from None
    loss = getattr(module, name, None)
    if not callable(loss):
        raise ValueError(f"the module {module_name!r} has no function {name!r}.")
    return loss


def _vectors(path):
    """Parameter vectors of a .npy or .npz file: the rows of its arrays."""
    rows = []
    for name, a in files.read_arrays(path).items():
        if a.ndim not in (1, 2):
            raise ValueError(f"{path}: the array {name} has shape {a.shape}, expected one vector or one "
                             "vector a row.")
        rows.extend([a] if a.ndim == 1 else list(a))
    return rows


def _pair(item):
    name, sign, text = item.partition("=")
    if not sign or not name.strip():
        raise ValueError(f"--meta expects NAME=TEXT, got {item!r}.")
    try:
        return name.strip(), float(text)
    except ValueError:
        return name.strip(), text


def _convert(arguments):
    land = reading_of(arguments, arguments.file)
    path = land.write(arguments.output) if hasattr(land, "write") else land.save(arguments.output)
    print_json({"file": path, "warnings": list(getattr(land, "warnings",
                                                       ()))}) if arguments.json else print(path)
