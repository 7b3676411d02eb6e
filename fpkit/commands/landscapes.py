"""fpkit analyse, demo and info: loss landscapes from files."""
from __future__ import annotations

from .common import command, print_facts, print_json


def add(commands):
    c = command(commands, "analyse", _analyse, "analyse exported loss landscapes and write a report")
    c.add_argument("file", nargs="+", help="HDF5 file(s) of a loss landscape")
    c.add_argument("-o", "--output", default="report", help="folder for the report (default: report)")
    c.add_argument("--theta", type=float, nargs="+", help="temperatures (default: from the depths of the wells)")
    c.add_argument("--start", type=float, nargs="+", help="start point on the plane (default: the trajectory's first point, else the origin)")
    c.add_argument("--seed", type=int, default=1, help="seed of the paths (default: 1)")
    c.add_argument("--allow-partial", action="store_true", help="analyse a file whose computation was not finished")

    c = command(commands, "demo", _demo, "analyse the landscape that comes with fpkit")
    c.add_argument("-o", "--output", default="report", help="folder for the report (default: report)")

    c = command(commands, "info", _info, "tell what a landscape file holds, without analysing it")
    c.add_argument("file", help="HDF5 file")


def _analyse(arguments):
    import os

    from .. import analyse, read_landscape

    reports = []
    for path in arguments.file:
        land = read_landscape(path, allow_partial=arguments.allow_partial)
        report = analyse(land, theta=arguments.theta, start=arguments.start, seed=arguments.seed)
        name = os.path.splitext(os.path.basename(path))[0]
        folder = arguments.output if len(arguments.file) == 1 else os.path.join(arguments.output, name)
        page = report.save(folder)
        reports.append({"file": path, "report": str(page), **report.to_dict()})
        if not arguments.json:
            print(report)
            print(f"report: {page}")
    if arguments.json:
        print_json(reports[0] if len(reports) == 1 else reports)


def _demo(arguments):
    arguments.file, arguments.theta, arguments.start, arguments.seed, arguments.allow_partial = [str(demo_file())], None, None, 1, False
    _analyse(arguments)


def demo_file():
    """Path of the landscape that comes with fpkit, in a checkout (data/) or in an installation (fpkit/data/)."""
    from pathlib import Path

    here = Path(__file__).resolve().parents[1]
    for folder in (here / "data", here.parent / "data"):
        for path in sorted(folder.glob("modular_addition*.h5")):
            return path
    raise FileNotFoundError("the demonstration file modular_addition*.h5 is missing from this installation; install fpkit again.")


def _info(arguments):
    from ..landscapes.reading import describe

    facts = describe(arguments.file)
    if arguments.json:
        print_json(facts)
    else:
        print_facts(facts)
