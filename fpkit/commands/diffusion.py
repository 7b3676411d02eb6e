"""fpkit evolve, sample and refine: the density, the paths and the order of a scheme for one potential."""
from __future__ import annotations

import os

import fpkit as fp

from .. import fokker_planck
from .common import command, grid_of, potential_of, potential_options, scheduler_option, show, start_of


def add(commands):
    c = command(commands, "evolve", _evolve, "evolve a density by the Fokker-Planck equation")
    potential_options(c)
    c.add_argument("--theta", type=float, required=True, help="temperature")
    c.add_argument("--start", type=float, nargs="+", help="start point (default: the first minimum found)")
    c.add_argument("--times", type=float, nargs="+", default=[0.1, 1.0, 10.0, 100.0],
                   help="output times (default: 0.1 1 10 100)")
    c.add_argument("--tol", type=float, default=None, help="bound of the time error in L1 (default: 1e-6, "
                   "with --positive 1e-3)")
    c.add_argument("--positive", action="store_true", help="strictly positive, first-order steps")
    c.add_argument("-o", "--output", help="HDF5 file for the densities")
    c.add_argument("--figure", help="picture of the densities (.png, .svg, .pdf)")

    c = command(commands, "sample", _sample, "sample the Gibbs distribution by Langevin paths, beside the "
                "exact answer")
    potential_options(c)
    c.add_argument("--theta", type=float, required=True, help="temperature")
    c.add_argument("--start", type=float, nargs="+", help="start point (default: the first minimum found)")
    c.add_argument("--dt", type=float, help="time step (default: 0.1 / largest curvature at the wells)")
    c.add_argument("--steps", type=int, default=10_000, help="steps of each path (default: 10000)")
    c.add_argument("--paths", type=int, default=1000, help="number of paths (default: 1000)")
    c.add_argument("--scheme", default="leimkuhler-matthews",
                   help="integrator (default: leimkuhler-matthews)")
    c.add_argument("--friction", type=float, help="friction, for the scheme baoab")
    c.add_argument("--seed", type=int, default=1, help="seed (default: 1)")
    scheduler_option(c)
    c.add_argument("--checkpoint", help="HDF5 file to save the state to; an existing one is resumed")
    c.add_argument("-o", "--output", help="HDF5 file for the histogram and the moments")
    c.add_argument("--figure", help="picture of the histogram beside the exact density")

    c = command(commands, "refine", _refine, "refinement table of a space scheme on your own potential: "
                "error, order, finest error")
    potential_options(c)
    c.add_argument("--theta", type=float, required=True, help="temperature")
    c.add_argument("--quantity", default="transient", help="what is refined (default: transient)")
    c.add_argument("--schemes", nargs="+", default=None, help="space schemes (default: recommended)")


def _evolve(arguments):
    V = potential_of(arguments)
    grid = grid_of(arguments, V)
    D = fp.FokkerPlanck(V, theta=arguments.theta, grid=grid)
    start = start_of(arguments, V, grid)
    evolution = D.evolve(start, sorted(arguments.times), tol=arguments.tol, positive=arguments.positive)
    if arguments.output:
        evolution.save(arguments.output)
    show(evolution, arguments,
         {"potential": arguments.expression, "theta": arguments.theta, "start": start,
          "times": evolution.times, "mass": evolution.mass, "distance_to_gibbs": evolution.distance,
          "free_energy": evolution.free_energy, "error": evolution.error, "status": evolution.status})


def _sample(arguments):
    V = potential_of(arguments)
    grid = grid_of(arguments, V) if V.ndim <= 3 else None
    start = start_of(arguments, V, grid)
    walls = None if grid is None else fp.Walls(grid.bounds, ["periodic" if p else "reflecting"
                                                             for p in grid.periodic])
    resume = bool(arguments.checkpoint) and os.path.exists(arguments.checkpoint)
    dt = arguments.dt if arguments.dt is not None else time_step(V, grid, start)
    stats = fp.sample(V, arguments.theta, start, dt, arguments.steps, n_paths=arguments.paths,
                      scheme=arguments.scheme, friction=arguments.friction, seed=arguments.seed,
                      histogram=grid, walls=walls, checkpoint=arguments.checkpoint, resume=resume,
                      executor=arguments.executor)
    if arguments.output:
        stats.save(arguments.output)
    exact = None if grid is None else fokker_planck.gibbs_mean(V, arguments.theta, grid)
    show(stats, arguments, {**stats.to_dict(), "energy_exact": exact},
         [] if exact is None else [f"exact mean energy on the box: {exact}"])


def time_step(V, grid, start):
    """A tenth of 1/(largest curvature of f at its wells): well inside the stability limit of every scheme."""
    wells = V.minima or (fp.find_wells(V, grid.bounds) if grid is not None else ())
    if wells:
        curvature = max(float(w.eigenvalues[-1]) for w in wells)
    else:
        curvature = float((V.hessian(start) ** 2).sum() ** 0.5)  # at least the largest eigenvalue
    return 0.1 / curvature if curvature > 0 else 0.01


def _refine(arguments):
    V = potential_of(arguments)
    options = {} if arguments.schemes is None else {"schemes": arguments.schemes}
    table = fp.refinement_table(V, arguments.theta, grid_of(arguments, V), quantity=arguments.quantity,
                                **options)
    show(table, arguments, table)
