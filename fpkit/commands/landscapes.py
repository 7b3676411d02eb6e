"""fpkit analyse, demo and info: loss landscapes from files."""
from __future__ import annotations

import argparse
import os

import fpkit as fp

from ..core.files import demo_file
from ..landscapes import files
from .common import command, print_facts, print_json, reading_of, reading_options, scheduler_option


def add(commands):
    c = command(commands, "analyse", _analyse, "analyse exported loss landscapes and write a report")
    c.add_argument("file", nargs="+", help="file(s) of a loss landscape: HDF5, .npz, "
                   ".npy, CSV or other tables, JSON, MATLAB, PLUMED, GROMACS .xpm")
    c.add_argument("-o", "--output", default="report", help="folder for the report (default: report)")
    c.add_argument("--theta", type=float, nargs="+", help="temperatures (default: from the depths of the "
                   "wells)")
    c.add_argument("--start", type=float, nargs="+", help="start point on the plane (default: the "
                   "trajectory's first point, else the origin)")
    c.add_argument("--lr", type=float, help="learning rate: times are then given in steps, one of them takes "
                   "lr/(1 - momentum)")
    c.add_argument("--momentum", type=float, help="momentum of the optimiser (default: what the file tells, "
                   "else 0)")
    c.add_argument("--batch", type=float, help="batch size; scales the temperature of the SGD noise that the "
                   "file tells of")
    c.add_argument("--n-steps", type=int, help="length of a training run: the report says where it is by "
                   "then (needs --lr)")
    c.add_argument("--paths", type=int, default=400, help="number of paths (default: 400)")
    c.add_argument("--seed", type=int, default=1, help="seed of the paths (default: 1)")
    c.add_argument("--animate", metavar="FILE", help="write the density on its way to equilibrium as a film "
                   "into the report's folder: density.gif, or .mp4 where ffmpeg is installed")
    c.add_argument("--same-plane", action="store_true", help="several files with the same axes are on one "
                   "plane, where they cannot show it themselves")
    scheduler_option(c)
    c.add_argument("--svg", action="store_true", help="write the figures as SVG too")
    c.add_argument("--allow-partial", action="store_true", help="analyse a file whose computation was not "
                   "finished")
    reading_options(c)

    c = command(commands, "demo", _demo, "analyse the landscape that comes with fpkit")
    c.add_argument("-o", "--output", default="report", help="folder for the report (default: report)")

    c = command(commands, "info", _info, "tell what a landscape file holds, without analysing it")
    c.add_argument("file", help="landscape, direction or projection file in HDF5, .npz or .npy, or a folder "
                   "of topsearch's texts")
    reading_options(c)


def _analyse(arguments):
    options = {k: getattr(arguments, k) for k in ("theta", "start", "seed", "lr", "momentum", "batch",
                                                  "n_steps")}
    reports, pages, is_single = [], [], len(arguments.file) == 1
    for n, path in enumerate(arguments.file):
        land = reading_of(arguments, path, allow_partial=arguments.allow_partial)
        report = fp.analyse(land, n_paths=arguments.paths, executor=arguments.executor, **options)
        name = os.path.splitext(os.path.basename(path))[0]
        name += f"_{n + 1}" if name in [p[0] for p in pages] else ""
        page = report.save(arguments.output if is_single else os.path.join(arguments.output, name),
                           svg=arguments.svg)
        if arguments.animate:
            report.animate(os.path.join(os.path.dirname(page), os.path.basename(arguments.animate)))
        reports.append(report)
        pages.append((name, str(page)))
        if not arguments.json:
            print(report)
            print(f"report: {page}")
    both = None
    if not is_single:
        both = fp.compare_landscapes(reports, same_plane=arguments.same_plane)
        page = both.save(arguments.output, [(name, f"{name}/index.html") for name, _ in pages],
                         svg=arguments.svg)
        if not arguments.json:
            print(both)
            print(f"comparison: {page}")
    if arguments.json:
        found = [{"file": path, "report": page, **r.to_dict()} for path, (_, page),
                 r in zip(arguments.file, pages, reports)]
        print_json(found[0] if is_single
                   else {"reports": found, "comparison": None if both is None else both.to_dict()})


def _demo(arguments):
    options = vars(arguments) | {"file": [str(demo_file())]}
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    defaults = parser.parse_args(["analyse", *options["file"]])
    return _analyse(argparse.Namespace(**(vars(defaults) | options)))


def _info(arguments):
    facts = files.describe(arguments.file, lambda path: reading_of(arguments, path), arguments.key)
    if arguments.json:
        print_json(facts)
    else:
        print_facts(facts)
