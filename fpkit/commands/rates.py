"""fpkit rates: one rate by every route, as a table."""
from __future__ import annotations

import fpkit as fp

from ..core import files
from .common import command, grid_of, potential_of, potential_options, scheduler_option, show

PLACE = ("a point in a well, as its coordinates, or a region: ball X.. RADIUS, halfspace NORMAL.. OFFSET ({x "
         ": normal.x >= offset}), box LOW HIGH (for each axis)")


def add(commands):
    c = command(commands, "rates", _rates, "rate of transitions between two wells or regions, by every route")
    potential_options(c)
    c.add_argument("--from", dest="source", nargs="+", required=True, metavar="PLACE", help=PLACE)
    c.add_argument("--to", dest="target", nargs="+", required=True, metavar="PLACE",
                   help="the same, for where it ends")
    c.add_argument("--theta", type=float, nargs="+", required=True, help="temperature(s)")
    c.add_argument("--methods", nargs="+", help="columns of the table (default: all that the dimension "
                   "allows)")
    c.add_argument("--refine", action="store_true", help="extrapolate the grid's answers over finer grids")
    c.add_argument("--paths", type=int, default=2000, help="number of simulated paths (default: 2000)")
    c.add_argument("--seed", type=int, default=1, help="seed of the paths (default: 1)")
    scheduler_option(c)
    c.add_argument("-o", "--output", help="HDF5 file for the table")
    c.add_argument("--figure", help="Arrhenius figure (.png, .svg, .pdf)")


def _rates(arguments):
    for path in (arguments.output, arguments.figure):
        if path:
            files.target(path)                       # said before the work, not after it
    V = potential_of(arguments)
    grid = grid_of(arguments, V) if V.ndim <= 3 else None
    table = fp.compare_rates(V, place("--from", arguments.source, V.ndim),
                             place("--to", arguments.target, V.ndim), arguments.theta,
                             methods=arguments.methods, grid=grid, refine=arguments.refine,
                             n_paths=arguments.paths, seed=arguments.seed, executor=arguments.executor)
    if arguments.output:
        table.save(arguments.output)
    show(table, arguments, {"expression": arguments.expression, **table.to_dict()})


def place(option, words, ndim):
    """A point (list of floats) or a Region from the words of the command line."""
    kind, numbers = (words[0], words[1:]) if not _is_number(words[0]) else ("point", words)
    wanted = {"point": ndim, "ball": ndim + 1, "halfspace": ndim + 1, "box": 2 * ndim}
    if kind not in wanted:
        raise ValueError(f"{option} takes a point or one of ball, halfspace, box, got {kind!r}.")
    bad = [w for w in numbers if not _is_number(w)]
    if bad or len(numbers) != wanted[kind]:
        raise ValueError(f"{option} {kind} takes {wanted[kind]} numbers for {ndim} coordinate(s), got "
                         f"{' '.join(numbers) or 'none'}.")
    v = [float(w) for w in numbers]
    if kind == "point":
        return v
    if kind == "box":
        return fp.Box([(v[2 * k], v[2 * k + 1]) for k in range(ndim)])
    return fp.Ball(v[:-1], v[-1]) if kind == "ball" else fp.HalfSpace(v[:-1], v[-1])


def _is_number(word):
    try:
        float(word)
    except ValueError:
        return False
    return True
