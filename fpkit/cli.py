"""The command `fpkit`. Nothing heavy is imported before a command runs; errors are one sentence and exit code 2."""
from __future__ import annotations

import argparse
import json
import math
import sys

EXPRESSION = ("potential as a string, for example \"(x**2 - 1)**2 + a*y**2\" (coordinates x, y, z; every other name is a "
              "parameter, set by --set), or the name of a catalogue potential such as mueller_brown")


def main(argv=None):
    """Run one command. Returns the exit code: 0 done, 1 a validation failed, 2 refused with a sentence, 130 interrupted."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == ["validate"]:                      # its own options, in validation/__main__.py
        return _guarded(lambda _: _validate(argv[1:]), argparse.Namespace(traceback="--traceback" in argv))
    arguments = _parser().parse_args(argv)
    return _guarded(arguments.run, arguments)


def _guarded(run, arguments):
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: print(f"fpkit: warning: {message}", file=sys.stderr)
            return run(arguments) or 0
    except KeyboardInterrupt:
        print("fpkit: interrupted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, ArithmeticError, MemoryError) as error:
        if getattr(arguments, "traceback", False):
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"fpkit: {text}", file=sys.stderr)
        return 2


# ---- what the commands are called and take ----

def _parser():
    parser = argparse.ArgumentParser(prog="fpkit", description="Diffusion in a potential: densities, paths and loss landscapes.")
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    parser.set_defaults(run=_version_or_help, parser=parser, traceback=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    c = _command(commands, "analyse", _analyse, "analyse exported loss landscapes and write a report")
    c.add_argument("file", nargs="+", help="HDF5 file(s) of a loss landscape")
    c.add_argument("-o", "--output", default="report", help="folder for the report (default: report)")
    c.add_argument("--theta", type=float, nargs="+", help="temperatures (default: from the depths of the wells)")
    c.add_argument("--start", type=float, nargs="+", help="start point on the plane (default: the trajectory's first point, else the origin)")
    c.add_argument("--seed", type=int, default=1, help="seed of the paths (default: 1)")
    c.add_argument("--allow-partial", action="store_true", help="analyse a file whose computation was not finished")

    c = _command(commands, "demo", _demo, "analyse the landscape that comes with fpkit")
    c.add_argument("-o", "--output", default="report", help="folder for the report (default: report)")

    c = _command(commands, "info", _info, "tell what a landscape file holds, without analysing it")
    c.add_argument("file", help="HDF5 file")

    c = _command(commands, "evolve", _evolve, "evolve a density by the Fokker-Planck equation")
    _potential_options(c, box=True)
    c.add_argument("--theta", type=float, required=True, help="temperature")
    c.add_argument("--start", type=float, nargs="+", help="start point (default: the first minimum found)")
    c.add_argument("--times", type=float, nargs="+", default=[0.1, 1.0, 10.0, 100.0], help="output times (default: 0.1 1 10 100)")
    c.add_argument("--tol", type=float, default=None, help="bound of the time error in L1 (default: 1e-6, with --positive 1e-3)")
    c.add_argument("--positive", action="store_true", help="strictly positive, first-order steps")
    c.add_argument("-o", "--output", help="HDF5 file for the densities")
    c.add_argument("--figure", help="picture of the densities (.png, .svg, .pdf)")

    c = _command(commands, "sample", _sample, "sample the Gibbs distribution by Langevin paths, beside the exact answer")
    _potential_options(c, box=True)
    c.add_argument("--theta", type=float, required=True, help="temperature")
    c.add_argument("--start", type=float, nargs="+", help="start point (default: the first minimum found)")
    c.add_argument("--dt", type=float, help="time step (default: 0.1 / largest curvature at the wells)")
    c.add_argument("--steps", type=int, default=10_000, help="steps of each path (default: 10000)")
    c.add_argument("--paths", type=int, default=1000, help="number of paths (default: 1000)")
    c.add_argument("--scheme", default="leimkuhler-matthews", help="integrator (default: leimkuhler-matthews)")
    c.add_argument("--friction", type=float, help="friction, for the scheme baoab")
    c.add_argument("--seed", type=int, default=1, help="seed (default: 1)")
    c.add_argument("--checkpoint", help="HDF5 file to save the state to; an existing one is resumed")
    c.add_argument("-o", "--output", help="HDF5 file for the histogram and the moments")
    c.add_argument("--figure", help="picture of the histogram beside the exact density")

    c = _command(commands, "refine", _refine, "refinement table of a space scheme on your own potential: error, order, finest error")
    _potential_options(c, box=True)
    c.add_argument("--theta", type=float, required=True, help="temperature")
    c.add_argument("--quantity", default="transient", help="what is refined (default: transient)")
    c.add_argument("--schemes", nargs="+", default=None, help="space schemes (default: recommended)")

    commands.add_parser("validate", help="run the validations: claims, tables, verdicts", add_help=False)
    return parser


def _command(commands, name, run, text):
    c = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    c.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    c.add_argument("--traceback", action="store_true", help="show where an error arose instead of one sentence")
    c.set_defaults(run=run)
    return c


def _potential_options(c, box):
    c.add_argument("expression", help=EXPRESSION)
    c.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="value of a parameter (repeatable)")
    for name in "xyz":
        c.add_argument(f"--{name}", type=float, nargs=2, metavar=("LOW", "HIGH"), help=f"bounds of the {name} axis")
    c.add_argument("--cells", type=int, nargs="+", help="cells along each axis, one number for all or one an axis")
    c.add_argument("--periodic", nargs="+", choices=list("xyz"), default=[], help="periodic axes")


# ---- what they do ----

def _version_or_help(arguments):
    from . import __version__

    print(f"fpkit {__version__}") if arguments.version else arguments.parser.print_help()


def _analyse(arguments):
    import os

    from . import analyse, read_landscape

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
        _print_json(reports[0] if len(reports) == 1 else reports)


def _demo(arguments):
    arguments.file, arguments.theta, arguments.start, arguments.seed, arguments.allow_partial = [str(demo_file())], None, None, 1, False
    _analyse(arguments)


def demo_file():
    """Path of the landscape that comes with fpkit, in a checkout (data/) or in an installation (fpkit/data/)."""
    from pathlib import Path

    here = Path(__file__).resolve().parent
    for folder in (here / "data", here.parent / "data"):
        for path in sorted(folder.glob("modular_addition*.h5")):
            return path
    raise FileNotFoundError("the demonstration file modular_addition*.h5 is missing from this installation; install fpkit again.")


def _info(arguments):
    from .landscapes.reading import describe

    facts = describe(arguments.file)
    if arguments.json:
        _print_json(facts)
    else:
        _print_facts(facts)


def _evolve(arguments):
    import numpy as np

    import fpkit as fp

    V = _potential(arguments)
    grid = _grid(arguments, V)
    D = fp.FokkerPlanck(V, theta=arguments.theta, grid=grid)
    start = _start(arguments, V, grid)
    evolution = D.evolve(start, sorted(arguments.times), tol=arguments.tol, positive=arguments.positive)
    if arguments.output:
        evolution.save(arguments.output)
    if arguments.figure:
        fp.plot(evolution, arguments.figure)
    if arguments.json:
        _print_json({"potential": arguments.expression, "theta": arguments.theta, "start": np.asarray(start).tolist(),
                     "times": evolution.times, "mass": evolution.mass, "distance_to_gibbs": evolution.distance,
                     "free_energy": evolution.free_energy, "error": evolution.error, "status": evolution.status})
    else:
        print(evolution)


def _sample(arguments):
    import os

    import fpkit as fp

    V = _potential(arguments)
    grid = _grid(arguments, V) if V.ndim <= 3 else None
    start = _start(arguments, V, grid)
    walls = fp.Walls(grid.bounds, ["periodic" if p else "reflecting" for p in grid.periodic]) if grid is not None else None
    resume = bool(arguments.checkpoint) and os.path.exists(arguments.checkpoint)
    dt = arguments.dt if arguments.dt is not None else _time_step(V, grid, start)
    stats = fp.sample(V, arguments.theta, start, dt, arguments.steps, n_paths=arguments.paths, scheme=arguments.scheme,
                      friction=arguments.friction, seed=arguments.seed, histogram=grid, walls=walls,
                      checkpoint=arguments.checkpoint, resume=resume)
    if arguments.output:
        stats.save(arguments.output)
    if arguments.figure:
        fp.plot(stats, arguments.figure)
    exact = None
    if grid is not None:
        from .fokker_planck.cell_masses import gibbs_mean

        exact = gibbs_mean(V, arguments.theta, grid)
    if arguments.json:
        _print_json({**stats.to_dict(), "energy_exact": None if exact is None else exact.to_dict()})
    else:
        print(stats)
        if exact is not None:
            print(f"exact mean energy on the box: {exact}")


def _refine(arguments):
    import fpkit as fp

    V = _potential(arguments)
    options = {} if arguments.schemes is None else {"schemes": arguments.schemes}
    table = fp.refinement_table(V, arguments.theta, _grid(arguments, V), quantity=arguments.quantity, **options)
    _print_json(table.to_dict()) if arguments.json else print(table)


def _validate(argv):
    try:
        from .validation.__main__ import main as validate          # an installation
    except ModuleNotFoundError as error:
        if error.name not in ("fpkit.validation", "fpkit.validation.__main__"):
            raise
        import os

        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        if not os.path.isdir(os.path.join(root, "validation")):
            raise FileNotFoundError("the validations are missing from this installation; install fpkit again.") from None
        sys.path.insert(0, root)                                   # a checkout
        from validation.__main__ import main as validate
    return validate([a for a in argv if a != "--traceback"])


# ---- from arguments to objects ----

def _potential(arguments):
    import fpkit as fp

    values = {}
    for item in arguments.set:
        name, _, text = item.partition("=")
        try:
            values[name.strip()] = float(text)
        except ValueError:
            raise ValueError(f"--set expects NAME=NUMBER, got {item!r}.") from None
    if arguments.expression in fp.catalogue.names():
        return fp.catalogue.get(arguments.expression, **values)
    return fp.Potential(arguments.expression, **values)


def _grid(arguments, V):
    import fpkit as fp

    if V.ndim > 3:
        raise ValueError(f"a grid has one to three axes and this potential has {V.ndim}; use fpkit sample.")
    box = list(getattr(V, "box", None) or [None] * V.ndim)
    for k, name in enumerate("xyz"):
        given = getattr(arguments, name)
        if given is not None:
            if k >= V.ndim:
                raise ValueError(f"--{name} was given and the potential has only {V.ndim} coordinate(s).")
            box[k] = tuple(given)
    missing = [f"--{'xyz'[k]} LOW HIGH" for k, b in enumerate(box) if b is None]
    if missing:
        raise ValueError(f"the bounds of the box are missing: give {' '.join(missing)}.")
    cells = arguments.cells or [{1: 400, 2: 128, 3: 48}[V.ndim]]
    cells = cells * V.ndim if len(cells) == 1 else cells
    periodic = [("xyz"[k] in arguments.periodic) or bool((getattr(V, "periodic_axes", None) or [False] * V.ndim)[k]) for k in range(V.ndim)]
    return fp.Grid(box, cells, periodic=periodic)


def _start(arguments, V, grid):
    import numpy as np

    import fpkit as fp

    if arguments.start is not None:
        return np.array(arguments.start)
    if V.minima:
        return np.array(V.minima[0].x)
    if grid is None:
        return np.zeros(V.ndim)
    wells = fp.find_wells(V, grid.bounds)
    if not wells:
        raise ValueError("no minimum was found inside the box; give a start point with --start.")
    return np.array(wells[0].x)


def _time_step(V, grid, start):
    """A tenth of 1/(largest curvature of f at its wells): well inside the stability limit of every scheme."""
    import numpy as np

    import fpkit as fp

    wells = [w.x for w in V.minima or (fp.find_wells(V, grid.bounds) if grid is not None else ())] or [start]
    curvature = max(float(np.linalg.eigvalsh(V.hessian(x))[-1]) for x in wells)
    return 0.1 / curvature if curvature > 0 else 0.01


# ---- printing ----

def _plain(a):
    """Anything as strict JSON: arrays become lists, a number that is not finite becomes null."""
    if hasattr(a, "to_dict"):
        return _plain(a.to_dict())
    if isinstance(a, dict):
        return {str(k): _plain(v) for k, v in a.items()}
    if hasattr(a, "tolist"):
        return _plain(a.tolist())
    if isinstance(a, (list, tuple)):
        return [_plain(v) for v in a]
    if isinstance(a, float):
        return float(a) if math.isfinite(a) else None
    return a if a is None or isinstance(a, (bool, int, str)) else str(a)


def _print_json(a):
    print(json.dumps(_plain(a), allow_nan=False))


def _print_facts(facts, indent=""):
    for key, value in facts.items():
        if isinstance(value, dict):
            print(f"{indent}{key}:")
            _print_facts(value, indent + "  ")
        elif isinstance(value, (list, tuple)) and value and all(isinstance(v, str) for v in value):
            print(f"{indent}{key}:")
            for v in value:
                print(f"{indent}  - {v}")
        else:
            print(f"{indent}{key}: {value}")
