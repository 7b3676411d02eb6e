"""Densities of driven diffusions over time by the steps of reversible ones.

Every line of a grid is a gradient process, with a potential of its own: f less the work of the force along
it. So a sweep along an axis is that of the reversible chain and without subtraction; only sum p is shared by
the axes, and that is enough. Lines do not share a stationary state, so that steps beyond the local relaxation
are of the whole grid.

Where the noise is constant and along the axes of a uniform grid, and nothing absorbs or kills, the scheme
is of order 4. Elsewhere the chain of the diffusion is taken as it is, of order 2, in steps of the whole grid,
and two grids are extrapolated in h^2.
"""
from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from functools import partial

import numpy as np

from ...core.results import ResolutionWarning
from ...core.runs.checkpoint import Checkpoint
from ..evolution.chain_operator import LARGEST, GraphOperator
from ..evolution.evolve import Run, evolved
from ..evolution.grid_error import regridded, seen_of_cells
from ..evolution.problem import Problem
from ..evolution.reconstruction import Reconstruction
from ..evolution.result import Evolution
from ..evolution.split_operator import UNSEEN
from ..gibbs.cell_masses import spline_knots
from ..gibbs.quick_masses import is_smooth
from .chain import DrivenChain

LATE = "gibbs", "relative_entropy", "distance"
AT_WALLS = 1e-9            # of the largest psi exp(-beta f) that counts as none
MOST_FINE = 20_000         # cells of the finer grid
LEAST_CELLS = 8
LEAST_GAIN = 1.2           # from grid to grid that is trusted
SHARP = 0.25               # second difference of beta f from which no smooth function lies through the nodes
STEP = 0.25                # of the highest density, from cell to cell: a start that jumps


@dataclass(frozen=True, repr=False)
class DrivenEvolution(Evolution):
    """`Evolution` of a driven diffusion: `gibbs` is the stationary density, found when it, `distance` or
    `relative_entropy` is first asked for (NaN where there is none); `free_energy` is NaN."""

    def __getattr__(self, name):
        if name not in LATE or "_stationary" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        limit = self.__dict__.pop("_stationary")()
        P, Q = self.densities * self.grid.volumes, limit * self.grid.volumes
        axes = tuple(range(1, P.ndim))
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = np.maximum(np.where(P > 0, P * np.log(P / Q), 0.0).sum(axes), 0.0)
        self.__dict__.update(gibbs=limit, relative_entropy=entropy, distance=np.abs(P - Q).sum(axes) / 2)
        return self.__dict__[name]

    def __getstate__(self):
        return {f.name: getattr(self, f.name) for f in fields(self)}


def settled(diffusion) -> np.ndarray:
    """The stationary density, shape grid.shape; NaN where there is none."""
    D = diffusion
    if D.absorbing is not None or D.killing_rate is not None:
        return np.full(D.grid.shape, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResolutionWarning)
        return D.stationary().density.values


def is_split(diffusion, order) -> bool:
    """Whether lines carry the process: constant noise along the axes of a uniform grid, nothing absorbed or
    killed. A stream function keeps the Gibbs density to rounding on the chain of order 2 alone."""
    D, M = diffusion, diffusion.frozen_process.mobility
    return bool(M.is_constant and not M.is_full and not M.is_degenerate and D.grid.is_uniform
                and D.absorbing is None and D._killing is None
                and (D.frozen_process.rotation is None or order == 4 and _ends_at_walls(D)))


def _ends_at_walls(diffusion):
    """Whether the current of a stream function ends within the box: on walls psi counts as zero, which would
    be a jump of its own."""
    D, grid = diffusion, diffusion.grid
    psi, V = D.frozen_process.rotation.psi, D.potential
    weight = lambda X: np.abs(psi(X)) * np.exp(-D.beta * (V(X) - D.f0))
    most = weight(grid.points).max()
    if grid.mask is not None or callable(V.domain):
        return False
    for axis, is_ring in enumerate(grid.periodic):
        for wall in () if is_ring else grid.bounds[axis]:
            X = np.take(grid.points, [0], axis)
            X[..., axis] = wall
            if not weight(X).max() <= AT_WALLS * most:
                return False
    return True


def graph_of(chain) -> GraphOperator:
    """A `DrivenChain` for steps of the whole grid."""
    grid = chain.diffusion.grid
    forth, back = (np.exp(np.minimum(q, LARGEST)) for q in (chain.log_forth, chain.log_back))
    killing, q = None, np.concatenate([forth, back])
    if chain.log_killings:
        killing = np.zeros(grid.n_cells)
        killing[chain.ids] = sum(np.minimum(chain.killing(k), np.exp(LARGEST))
                                 for k in range(len(chain.log_killings)))
    # theta as of free diffusion with these rates: it says how long the first step is
    theta = float(np.median(q)) * min(float(np.min(w)) for w in grid.widths)**2 if q.size else 1.0
    lines = GraphOperator(grid, np.zeros(grid.n_cells), (chain.ids[chain.I], chain.ids[chain.J], forth, back),
                          killing, theta, None if chain.states.all() else chain.states.ravel(), 0.0)
    lines.work, lines.nodes_are_cells = [], True
    return lines


class ChainProblem(Problem):
    """A diffusion on its own chain, whose states are cells."""
    is_split = False

    def on(self, grid):
        return ChainProblem(self.diffusion.on(grid))

    def lines(self, order, time=0.0):
        return graph_of(DrivenChain(self.diffusion))

    def reading(self, lines, time, parts=None):
        volumes = np.log(self.grid.volumes.ravel())
        inside = True if lines.inside is None else lines.inside
        return Reconstruction(lines, np.where(inside, volumes, -np.inf), parts)

    def mass_error(self, P, time):
        return 0.0


def evolve(diffusion, u0, times, tol=None, positive=False, n_steps=None, order=4, **options):
    """`DrivenEvolution` by the steps of `fpkit.fokker_planck.evolution.evolve.evolve`."""
    D = diffusion
    if D.process.is_moving:
        raise ValueError("a force together with a potential, temperature or drift that depends on the time "
                         "is known to paths only; use fpkit.simulate.")
    if D.resetting is not None:
        raise ValueError("evolve is not known with resetting; stationary() gives its limit.")
    problem, look = (Problem(D), None) if is_split(D, order) else (ChainProblem(D), _extrapolated)
    run = evolved(problem, u0, times, tol, positive, n_steps, order, look=look, **options)
    found = {f.name: getattr(run, f.name) for f in fields(run) if f.name not in LATE}
    found["inputs"] = {**D._inputs, **{k: v for k, v in run.inputs.items() if k != "potential"}}
    made = DrivenEvolution(**found, **dict.fromkeys(LATE))
    for name in LATE:
        del made.__dict__[name]
    made.__dict__["_stationary"] = partial(settled, D)
    return made


def _halved_cells(values, axis, is_ring):
    """Averages over half cells whose means are those given, by the slope of the neighbours; halves that
    are alike would make the start of a finer grid another one."""
    a = np.moveaxis(np.asarray(values, float), axis, 0)
    change = np.roll(a, -1, 0) - np.roll(a, 1, 0)
    if not is_ring:
        change[0], change[-1] = 2 * (a[1] - a[0]), 2 * (a[-1] - a[-2])
    change = np.clip(change / 8, -np.abs(a), np.abs(a))
    both = np.stack([a - change, a + change], axis=1)
    return np.moveaxis(both.reshape(2 * a.shape[0], *a.shape[1:]), 0, axis)


def has_smooth_process(diffusion):
    """Whether nothing is known that bends, jumps or ends within a cell."""
    D, process = diffusion, diffusion.process
    fields = [f for f in (process.potential, process.force) if f is not None]
    return (process.equation is None and process.rotation is None and process.mobility.is_constant
            and D.inside.all() and spline_knots(D.potential) is None and not D.potential.is_black_box
            and all(is_smooth(f) for f in fields))


def _hidden(run):
    """What the potential does between the nodes and no smooth function through them would do: the probability
    of cells at each time, times the relative change of their weights, and what that takes from others."""
    D, grid = run.problem.diffusion, run.problem.grid
    if D.process.equation is not None:
        return 0.0
    twin = D.gradient_twin
    with np.errstate(invalid="ignore", over="ignore"):
        b = twin.beta * (twin._energies[0] - twin.f0)
        seen, steepest = seen_of_cells(b)
        jump = twin.cell_log_mass - np.log(grid.volumes) + b
        unseen = np.fmax(np.abs(jump - seen), np.where(steepest > SHARP, np.abs(jump), 0.0))
    found = np.where(D.inside & (unseen > UNSEEN), np.expm1(np.minimum(unseen, 2.0)), 0.0)
    return 3 * run.P[:run.n_done] @ np.nan_to_num(found).ravel()


def _extrapolated(run, times):
    """Errors of the densities, which become the limit in h^2 of this grid and one of twice the cells; those
    of half the cells say how far that is trusted. Where something bends, jumps or ends within a cell, grids
    may place it alike and agree by accident: there the difference to half the cells and that from these to a
    quarter count, too."""
    grid, D, start, order = run.problem.grid, run.problem.diffusion, run.kind, run.options[3]
    is_cut = D.absorbing is not None and grid.is_cut(D.absorbing).any()
    u = (run.start / grid.volumes.ravel()).reshape(grid.shape)
    has_steps = start[0] in ("array", "function") and any(
        np.abs(np.diff(u, axis=k)).max(initial=0.0) > STEP * u.max() for k in range(grid.ndim))
    share = 1 / 2 if has_steps or not has_smooth_process(D) else 1 / 8 if is_cut else 0.0

    def on(other, name):
        kind = start
        if start[0] == "array" and other.n_cells > grid.n_cells:
            values = start[1]
            for axis in range(grid.ndim):
                values = _halved_cells(values, axis, grid.periodic[axis])
            kind = "array", values
        elif start[0] == "array":
            kind = "array", np.maximum(regridded(start[1] * grid.volumes, grid, other), 0.0) / other.volumes
        store = Checkpoint(run.store.then(name), run.store.seconds, None,
                           {"of": run.store.digest, "grid": other.shape, "tol": run.tol})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResolutionWarning)
            try:
                two = Run(run.problem.on(other), kind, run.options, times[0] == 0, run, store)
                two.go(times, lambda x: None)
            except ValueError:                         # the coarser grid misses a region or a neck
                return None
        return two if two.n_done == times.size else None

    fine = coarse = quarter = None
    cells = grid.mask is not None and grid.has_array_mask
    n_fine = grid.n_cells * 2 ** grid.ndim
    if order == 4 and n_fine <= MOST_FINE and not cells:
        fine = on(grid.refined(2), "double")
    if min(grid.shape) >= LEAST_CELLS and not cells and (half := grid.coarsened()) is not None:
        coarse = on(half, "half")
        if share and coarse is not None and min(half.shape) >= LEAST_CELLS:
            quarter = on(half.coarsened(), "quarter")
    brought = lambda P, old, new: np.array([regridded(p.reshape(old.shape), old, new).ravel() for p in P])
    P, cut = run.P, np.array(run.beside) + _hidden(run)
    on_half = None if coarse is None else brought(P, grid, half)
    apart_half = 0.0 if coarse is None else np.abs(on_half - coarse.P).sum(1)
    cut = cut + share * apart_half
    if quarter is not None:
        cut = cut + share / 4 * np.abs(brought(coarse.P, half, quarter.problem.grid) - quarter.P).sum(1)
    if fine is None:
        return cut + (np.nan if coarse is None else 4 / 3 * apart_half)
    sharper = brought(fine.P, fine.problem.grid, grid)
    limit = sharper + (sharper - P) / 3
    first = error = np.abs(sharper - P).sum(1)
    if coarse is not None:
        other = on_half + (on_half - coarse.P) / 3
        apart = np.abs(brought(limit, grid, half) - other).sum(1)
        # noise across the axes turns axis edges upwind, on fine grids the more: order 1
        most = 2.0 if D.frozen_process.mobility.is_full or D.frozen_process.mobility.is_tensor else 4.0
        gain = np.clip(apart_half / np.maximum(first, 1e-300), LEAST_GAIN, most)
        error = np.minimum(apart, first) + np.abs(limit - sharper).sum(1) / 50
        error += first * (1 / (gain - 1) - 1 / 3)
    negative = 2 * np.maximum(-limit, 0.0).sum(1)
    is_open = D.absorbing is not None or D.killing_rate is not None
    total = limit.sum(1) if is_open else P.sum(1)              # what is left has a limit of its own
    limit = np.maximum(limit, 0.0)
    run.P = limit * (total / np.maximum(limit.sum(1), 1e-300))[:, None]
    return np.minimum(error + cut - run.beside + np.array(fine.beside) + negative, 2.0)
