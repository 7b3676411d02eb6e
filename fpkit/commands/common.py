"""What the commands share: options, from arguments to objects, and printing."""
from __future__ import annotations

import contextlib
import json

import fpkit as fp

from ..core.plain_json import plain

EXPRESSION = ("potential as a string, for example \"(x**2 - 1)**2 + a*y**2\" (coordinates x, y, z; "
              "every other name is a parameter, set by --set), or the name of a catalogue potential such as "
              "mueller_brown")


CONNECT_SECONDS = 10


def command(commands, name, run, text):
    c = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    c.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    c.add_argument("--traceback", action="store_true", help="show where an error arose instead of one "
                   "sentence")
    c.set_defaults(run=run, figure=None)
    return c


def scheduler_option(c):
    c.add_argument("--scheduler", metavar="ADDRESS", help="share the work among the workers of a dask "
                   "cluster, such as tcp://10.0.0.1:8786 (needs the extra dask)")


@contextlib.contextmanager
def executor_at(address):
    """The executor of the dask cluster at an address; None without one."""
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise ValueError('--scheduler needs dask.distributed, which is not installed: python -m pip install '
                         '"fpkit[dask]"') from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TimeoutError) as error:
        raise ValueError(f"there is no dask scheduler at {address!r} ({' '.join(str(error).split())[:100]}); "
                         "start one with `dask scheduler` and workers with `dask worker ADDRESS`.") from None
    with client:
        yield client.get_executor()


def potential_options(c):
    c.add_argument("expression", help=EXPRESSION)
    c.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                   help="value of a parameter (repeatable)")
    for name in "xyz":
        c.add_argument(f"--{name}", type=float, nargs=2, metavar=("LOW", "HIGH"),
                       help=f"bounds of the {name} axis")
    c.add_argument("--cells", type=int, nargs="+", help="cells along each axis, one number for all or one an "
                   "axis")
    c.add_argument("--periodic", nargs="+", choices=list("xyz"), default=[], help="periodic axes")


def potential_of(arguments):
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


def grid_of(arguments, V):
    if V.ndim > 3:
        raise ValueError(f"a grid has one to three axes and this potential has {V.ndim}; use fpkit sample.")
    box = list(V.box or [None] * V.ndim)
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
    known = V.periodic_axes or [False] * V.ndim
    periodic = ["xyz"[k] in arguments.periodic or bool(known[k]) for k in range(V.ndim)]
    return fp.Grid(box, cells, periodic=periodic)


def start_of(arguments, V, grid):
    """The start that was given, else the first minimum, as a list of coordinates."""
    if arguments.start is not None:
        return list(arguments.start)
    if V.minima:
        return V.minima[0].x.tolist()
    if grid is None:
        return [0.0] * V.ndim
    wells = fp.find_wells(V, grid.bounds)
    if not wells:
        raise ValueError("no minimum was found inside the box; give a start point with --start.")
    return wells[0].x.tolist()


def reading_options(c):
    """Options of the commands that read landscape files."""
    c.add_argument("--key", help="dataset that is the potential (default: train_loss, else test_loss)")
    c.add_argument("--layout", choices=("yx", "xy"), help="index order of a stored array that does not tell "
                   "(default: yx)")
    for name in "xyz":
        c.add_argument(f"--{name}", type=float, nargs=2, metavar=("LOW", "HIGH"),
                       help=f"range of the {name} coordinates, for files without")
    c.add_argument("--periodic", default="", metavar="AXES",
                   help="axes that close on themselves: x, y, xy, ...")
    c.add_argument("--x-key", help="array of the x coordinates, where it has no common name")
    c.add_argument("--y-key", help="array of the y coordinates, where it has no common name")
    c.add_argument("--fix-serpentine", action="store_true",
                   help="undo the zig-zag of loss-landscapes' arrays")
    c.add_argument("--every", type=int, default=1, help="keep each n-th sample: the coarse grid of an "
                   "interrupted export (default: 1)")
    c.add_argument("--directions", metavar="FILE", help="direction file of the plane, for the metric")
    c.add_argument("--trajectory", metavar="FILE", help="projection file of the training's path")


def reading_of(arguments, path, **options):
    """The landscape of a file, read with the options of `reading_options`."""
    names = ("key", "layout", "x", "y", "z", "periodic", "x_key", "y_key", "fix_serpentine", "every",
             "directions", "trajectory")
    return fp.read_landscape(path, **{n: getattr(arguments, n) for n in names}, **options)


def print_json(a):
    print(json.dumps(plain(a), allow_nan=False))


def show(result, arguments, facts, extra=()):
    """The figure that was asked for, and the result as text or its facts as JSON."""
    if arguments.figure:
        fp.plot(result, arguments.figure)
    if arguments.json:
        print_json(facts)
    else:
        print(result, *extra, sep="\n")


def print_facts(facts, indent=""):
    for key, value in facts.items():
        if isinstance(value, dict):
            print(f"{indent}{key}:")
            print_facts(value, indent + "  ")
        elif isinstance(value, (list, tuple)) and value and all(isinstance(v, str) for v in value):
            print(f"{indent}{key}:")
            for v in value:
                print(f"{indent}  - {v}")
        else:
            print(f"{indent}{key}: {value}")
