"""A density and an ensemble of paths from the start point of a landscape, at one temperature, beside each
other."""
from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np
from scipy.special import bdtr, bdtrc, stdtr

from ...core.interruption import whole_results
from ...core.results import ResolutionWarning
from ...fokker_planck.evolution.evolve import evolve
from ...langevin.dynamics.walls import Walls
from ...langevin.simulate import simulate
from ...potentials.grid_potential import GridPotential
from ..surface.landscape import compressed
from ..surface.resampling import thinned
from ..surface.wells import WELL_FACTOR
from .propagation import propagated
from .sampled_chain import HIGHEST, SampledDiffusion

EQUILIBRIUM = 0.01                   # distance to Gibbs (half the L1 norm) at which the density has arrived
BY_CHANCE = 1e-3                     # below this probability, paths and density do not agree
STEEPEST = 6.0                       # theta by which the loss of a sample may differ from its coarse cell's
CROSSED = 2.0                        # crossings of a cell before which paths and cells are not compared
DENSITY_CELLS = 20_000               # more are evolved on every second sample, or every third, ...
LONGEST = 1e12                       # cell-crossing times after which the density is no longer followed
CEILING = 60.0                       # theta above the minimum: occupied with probability exp(-60)
BEYOND_SEAM = 12                     # samples that a spline is continued by: its ends tell .27^12 there
REACHED = 5.0                        # theta: how far above the lowest cell paths are as a rule
MOST_OCCUPIED = 0.9                  # of the equilibrium below that height
STEP_OF_CURVATURE = 0.1              # time step times the curvature there
STEP_OF_CELL = 0.5                   # spread of one time step in cells
ACCEPTED = 0.9                       # share of Metropolis steps below which the time step is cut to a third
STEPS, WORK = 15_000, 6_000_000      # of one path, and of all paths together
STEPS_WITH_HOLES, WORK_WITH_HOLES = 8_000, 8_000_000  # the same in NumPy, where holes have to be looked up


@dataclass(frozen=True, repr=False, eq=False)
class Dynamics:
    """Density and paths from one start at one temperature.

    Attributes
    ----------
    theta : float
    start : ndarray (ndim,)
    mobility : ndarray (ndim, ndim)
        The inverse Gram matrix, or the unit matrix where the file has none.
    time_unit : str
    times : ndarray (n_times,)
    density : ndarray (n_times, *shape)
        Probability per unit length or area, of the landscape's shape; NaN in invalid cells.
    gibbs : ndarray
        What the density tends to within the connected part of the start.
    occupation : ndarray (n_times, n_wells)
    mean_loss, distance, mass : ndarray (n_times,)
        Mean loss; half the L1 distance to `gibbs`; mass before any normalisation.
    equilibrium : ndarray (n_wells,)
        Occupation of the wells in `gibbs`.
    paths : PathEnsemble or None
    remarks : tuple of str
        What was left out, and why.
    is_coarse : bool
        The density is that of a coarser surface.
    """
    theta: float
    theta_rule: str
    start: np.ndarray
    mobility: np.ndarray
    time_unit: str
    times: np.ndarray
    density: np.ndarray
    gibbs: np.ndarray
    occupation: np.ndarray
    mean_loss: np.ndarray
    distance: np.ndarray
    mass: np.ndarray
    equilibrium: np.ndarray
    paths: object = None
    remarks: tuple = ()
    is_coarse: bool = False


@dataclass(frozen=True, repr=False, eq=False)
class PathEnsemble:
    """Paths from the start, counted in wells at some of the times of the density.

    Attributes
    ----------
    n_paths, dt, n_steps, scheme, acceptance
    times : ndarray (n_times,)
    occupation, occupation_error : ndarray (n_times, n_wells)
        Share of the paths in each well and its standard error under the density's prediction.
    mean_loss, mean_loss_error : ndarray (n_times,)
        Mean of the loss at the nearest samples, and its standard error.
    is_compared : ndarray of bool (n_times,)
        The paths have crossed a cell or two by then; before, cells and points are not the same.
    expected : ndarray (n_times, n_wells)
        The occupation of the density at the same times.
    expected_loss : ndarray (n_times,)
    ends : ndarray (n_paths, ndim)
        Places at the last time.
    traces : ndarray (n_traces, n_points, ndim)
        A few paths step by step, for the picture.
    """
    n_paths: int
    dt: float
    n_steps: int
    scheme: str
    acceptance: float
    times: np.ndarray
    occupation: np.ndarray
    occupation_error: np.ndarray
    mean_loss: np.ndarray
    mean_loss_error: np.ndarray
    expected: np.ndarray
    expected_loss: np.ndarray
    ends: np.ndarray
    traces: np.ndarray
    is_compared: np.ndarray
    extra: dict = field(default_factory=dict)

    @property
    def chance(self) -> float:
        """Probability that chance alone makes paths and density differ as much, anywhere at any of the times:
        binomial counts and Student's means of losses, the smallest of all times their number (Bonferroni)."""
        if not self.is_compared.any():
            return 1.0
        late = self.is_compared
        counts = np.round(self.occupation[late] * self.n_paths)
        p = np.clip(self.expected[late], 0.0, 1.0)
        above = np.where(counts > 0, bdtrc(np.maximum(counts - 1, 0), self.n_paths, p), 1.0)
        tails = 2 * np.minimum(bdtr(counts, self.n_paths, p), above)
        error = np.where(self.mean_loss_error > 0, self.mean_loss_error, np.inf)[late]
        means = 2 * stdtr(self.n_paths - 1, -np.abs(self.mean_loss - self.expected_loss)[late] / error)
        every = np.r_[tails.ravel(), means]
        return float(min(1.0, every.min() * every.size))

    @property
    def is_off(self) -> bool:
        """Paths and density differ by more than chance."""
        return self.chance < BY_CHANCE

    @property
    def deviation(self) -> tuple[float, float]:
        """Largest difference of an occupation from the density's, over the times: (difference, in standard
        errors)."""
        gap = np.abs(self.occupation - self.expected)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(gap > 0, gap / self.occupation_error, 0.0)
        k = np.unravel_index(int(np.argmax(gap)), gap.shape)
        return float(gap[k]), float(z[k])


def chosen_temperature(wells, thetas, reach, wanted=None):
    """The temperature of the dynamics and why: the optimiser's own where it is known, else the highest at
    which two wells within reach exist, else the middle one."""
    if wanted is not None and (same := np.isclose(thetas, wanted, rtol=1e-6, atol=0.0)).any():
        return float(thetas[np.argmax(same)]), "that of the SGD noise"
    depths = [w.persistence for w in wells if np.isinf(w.persistence) or w.persistence <= reach]
    for k in range(thetas.size - 1, -1, -1):
        if sum(d > WELL_FACTOR * thetas[k] for d in depths) > 1:
            return float(thetas[k]), "the highest of the temperatures at which two wells still exist"
    k = (thetas.size - 1) // 2
    return (float(thetas[k]), "the middle one of the temperatures" if thetas.size > 1
            else "the temperature asked for")


def plane_mobility(land):
    """The inverse Gram matrix of the directions; the unit matrix where the file has none."""
    mobility = np.eye(land.ndim) if land.gram is None else np.linalg.inv(land.gram)
    return (mobility + mobility.T) / 2


@whole_results()
def dynamics(land, wells, basins, thetas, start, seed, n_paths, reach, wanted=None):
    """Density and paths from `start`; None when the landscape allows no dynamics (its axes are not evenly
    spaced)."""
    if not land.is_uniform or min(land.shape) < 2:
        return None
    theta, rule = chosen_temperature(wells, thetas, reach, wanted)
    mobility = plane_mobility(land)
    chain = SampledDiffusion(land, theta, mobility)
    part = chain.parts().T
    here = part == part[land.index(start)]
    remarks, start_height = [], (land.loss[land.index(start)] - chain.f0) / theta
    if not (here | ~land.valid).all():
        remarks.append(f"The start lies in a part of {int(here.sum())} of {land.n_valid} valid cells that no "
                       "other part exchanges probability with.")
    crossing = 1 / (2 * theta * float(np.max(np.diag(mobility) / np.asarray(land.spacing) ** 2)))
    plan = _path_plan(land, here, theta, mobility, start, n_paths, remarks)
    wanted = np.empty(0) if plan is None else plan.times
    gibbs = np.zeros(land.shape)
    with np.errstate(under="ignore", over="ignore"):
        gibbs[here] = np.exp(-((land.loss[here] - land.loss[here].min()) / theta)) * land.volumes[here]
    gibbs /= gibbs.sum()
    most = DENSITY_CELLS if land.ndim < 3 else DENSITY_CELLS // 4
    factor = 1 if land.wraps else int(np.ceil((land.loss.size / most) ** (1 / land.ndim)))
    if factor > 1:
        remarks.append(f"The density is that of every {_th(factor)} sample along each axis.")
    times, probability, mass, distance, said = _density(land, here, theta, mobility, start, start_height,
                                                        crossing, wanted, gibbs, factor)
    last = len(times)
    remarks.extend(said)
    if distance.min() > EQUILIBRIUM:
        remarks.append(f"By t = {times[-1]:.3g} the density has not come within {EQUILIBRIUM} "
                       "of equilibrium; the wells of the start's part are cut off from each other at this "
                       "temperature.")
    share = np.stack([(probability * (basins == k)).reshape(last, -1).sum(axis=1) for k in range(len(wells))],
                     axis=1)
    loss = np.where(land.valid, land.loss, 0.0)
    with np.errstate(under="ignore"):
        mean = np.array([(np.where(p > 0, loss, 0.0) * p).sum() for p in probability])
    density = np.where(land.valid, probability / land.volumes, np.nan)
    paths = None if plan is None else _followed(plan, land, wells, basins, theta, mobility, start, seed,
                                                times, share, mean, remarks)
    unit = "learning rate x steps" if land.gram is not None else "arbitrary units (the file has no metric)"
    return Dynamics(theta, rule, start, mobility, unit, times,
                    density, np.where(land.valid, gibbs / land.volumes, np.nan), share, mean, distance, mass,
                    np.array([gibbs[basins == k].sum() for k in range(len(wells))]), paths, tuple(remarks),
                    factor > 1)


def _density(land, here, theta, mobility, start, start_height, crossing, wanted, gibbs, factor):
    """As `_evolved`, on every `factor`-th sample, by the solver that the height of the start (in theta) asks
    for."""
    every = (slice(None, None, factor),) * land.ndim
    coarse, inside = (land, here) if factor == 1 else (thinned(land, factor), here[every])
    chain = SampledDiffusion(coarse, theta, mobility, highest=np.inf if start_height > HIGHEST else HIGHEST)
    target = np.zeros(inside.shape)
    with np.errstate(under="ignore", over="ignore"):
        target[inside] = np.exp(-((coarse.loss[inside] - coarse.loss[inside].min()) / theta))
    target = gibbs if factor == 1 else target / target.sum()
    at = np.minimum(start, [a[-1] for a in coarse.axes])
    if start_height > HIGHEST:
        own = crossing * 10.0 ** np.arange(-2, np.log10(LONGEST), 0.25)
        times = np.sort(np.r_[own, wanted]) if wanted.size else own
        p0 = (point_start(chain, inside.T, at) * chain.grid.volumes).ravel()
        p = propagated(chain, p0, times, target.T.ravel(), EQUILIBRIUM, wanted[-1] * (1 - 1e-9) if wanted.size
                       else 0.0)
        p = p.reshape(-1, *chain.grid.shape).transpose(0, *range(land.ndim, 0, -1))
        times, said = times[:len(p)], []
        mass, distance = np.ones(len(p)), 0.5 * np.abs(p - target).reshape(len(p), -1).sum(axis=1)
    else:
        times, p, mass, distance, said = _evolved(chain, inside, at, crossing, wanted, target)
    return times, p if factor == 1 else _spread(land, coarse, p, theta, factor), mass, distance, said


def _th(n):
    return {2: "second", 3: "third"}.get(n, f"{n}th")


def _spread(land, coarse, p, theta, factor):
    """Probabilities of coarse cells shared among the samples nearest to them, as in equilibrium within the
    cell: in proportion to exp(-f/theta), within a factor exp(STEEPEST)."""
    lift = coarse.loss
    for axis in range(land.ndim):
        n = land.shape[axis]
        home = np.minimum((np.arange(n) + factor // 2) // factor, p.shape[axis + 1] - 1)
        p, lift = np.take(p, home, axis + 1), np.take(lift, home, axis)
    with np.errstate(invalid="ignore", over="ignore"):
        weight = np.exp(np.clip((lift - land.loss) / theta, -STEEPEST, STEEPEST))
    p = p * np.where(np.isfinite(weight), weight, 0.0) * land.volumes
    return p / p.reshape(len(p), -1).sum(axis=1).reshape([-1] + [1] * land.ndim)


def _evolved(chain, here, start, crossing, wanted, gibbs):
    """Times, probabilities (n_times, *shape), mass and distance to `gibbs`, until that is small and all
    `wanted` times are there.

    In stages of three decades from a hundredth of the time in which a cell is crossed, so that nothing is
    spent on waiting in equilibrium.
    """
    volumes, u0, reached = chain.grid.volumes, point_start(chain, here.T, start), 0.0
    found, said = [], []
    for decade in range(-2, int(np.log10(LONGEST)), 3):
        own = crossing * 10.0 ** (decade + np.arange(12) / 4)
        low, high = own[0] if found else 0.0, crossing * 10.0 ** (decade + 3)
        own = own if not wanted.size else own[np.abs(own[:, None] / wanted - 1).min(axis=1) > 1e-6]
        times = np.sort(np.r_[own, wanted[(wanted >= low) & (wanted < high)]])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResolutionWarning)
            evolution = evolve(chain, u0, times - reached, tol=1e-5, progress=False)
        said.extend(str(w.message) for w in caught if not found)
        p = evolution.densities * volumes
        p = p.transpose(0, *range(p.ndim - 1, 0, -1))
        found.append((times, p, evolution.mass, 0.5 * np.abs(p - gibbs).reshape(len(times), -1).sum(axis=1)))
        # steps of second order dip below zero by rounding
        reached, u0 = times[-1], np.maximum(evolution.densities[-1], 0)
        if found[-1][3][-1] < EQUILIBRIUM and (not wanted.size or reached >= wanted[-1]):
            break
    times, p, mass, distance = (np.concatenate(parts) for parts in zip(*found))
    enough = np.flatnonzero(distance < EQUILIBRIUM)
    last = max(enough[0] + 1 if enough.size else times.size, np.searchsorted(times, wanted[-1]) + 1
               if wanted.size else 0)
    return times[:last], p[:last], mass[:last], distance[:last], said


def point_start(chain, here, start):
    """Cell averages of a unit mass at a point, shared among the nearest centres so that the mean is right;
    `here` (nx, ny) takes all of it."""
    u0 = np.zeros(chain.grid.shape)
    per_axis = []
    for x, c, h, is_ring in zip(start, chain.grid.centres, chain.grid.h, chain.grid.periodic):
        i = int(np.floor((x - c[0]) / h))
        if is_ring:
            s = (x - c[0]) / h - i
        else:
            i = min(max(i, 0), c.size - 2)
            s = float(np.clip((x - c[i]) / h, 0, 1))
        per_axis.append(((i % c.size, 1 - s), ((i + 1) % c.size, s)))
    for corner in np.ndindex(*(2,) * len(per_axis)):
        picked = [per_axis[k][b] for k, b in enumerate(corner)]
        u0[tuple(i for i, _ in picked)] += np.prod([w for _, w in picked])
    u0 = np.where(here, u0, 0.0)                              # nothing leaks across a wall
    return u0 / (u0 * chain.grid.volumes).sum()


# ---- paths ----

@dataclass
class _Plan:
    potential: object
    dt: float
    n_steps: int
    every: int
    n_paths: int
    times: np.ndarray
    compared: float


class NearestSample:
    """Domain of paths: True where the nearest sample is valid (and, given a part, belongs to it)."""

    def __init__(self, land, here):
        self.land, self.here = land, np.asarray(here)
        self.low = np.array([e[0] for e in land.edges])
        self.h = np.array(land.spacing)
        self.n = np.array(land.shape[::-1])

    def cells(self, points):
        """Index arrays (iy, ix) of the cells that hold the points, clipped to the box."""
        index = np.clip(np.floor((np.asarray(points) - self.low) / self.h), 0, self.n - 1).astype(int)
        return tuple(np.moveaxis(index, -1, 0)[::-1])

    def __call__(self, points):
        return self.here[self.cells(points)]


def _path_plan(land, here, theta, mobility, start, n_paths, remarks):
    """Potential, time step and times for the paths; None with a remark when there can be none."""
    if min(land.shape) < 5:
        remarks.append("No paths: a spline through the samples needs at least five on each axis.")
        return None
    lowest = land.loss[here].min()
    at_start = land.loss[land.index(start)]
    level = lowest + CEILING * theta
    if at_start > level - 10 * theta:
        level = at_start + 10 * theta
    capped = compressed(np.where(here, land.loss, np.nan), level)
    if (land.loss[here] > level).any():
        remarks.append(f"For the paths, losses above {level:.4g} ({(level - lowest) / theta:.0f} theta above "
                       "the lowest) are compressed logarithmically: a spline cannot follow cliffs, and no "
                       "path gets there.")
    try:
        V = _spline(land, np.ascontiguousarray(capped.T))
    except ValueError as error:
        remarks.append(f"No paths: {error}")
        return None
    has_holes = not here.all()
    V.domain = NearestSample(land, here) if has_holes else None
    dt = _time_step(V, land, here, theta, mobility, max(lowest + REACHED * theta, at_start), start)
    n_steps = max(64, min(STEPS_WITH_HOLES, WORK_WITH_HOLES // n_paths) if has_holes
                  else min(STEPS, WORK // n_paths))
    every = max(1, n_steps // 64)
    n_steps = every * (n_steps // every)
    marks = np.unique(np.round(np.geomspace(1, n_steps // every, 5)).astype(int)) * every
    crossing = 1 / (2 * theta * float(np.max(np.diag(mobility) / np.asarray(land.spacing) ** 2)))
    return _Plan(V, dt, n_steps, every, n_paths, marks * dt, CROSSED * crossing)


def _time_step(V, land, here, theta, mobility, level, start):
    """A step that follows the curvature at the start and at nine tenths of what is occupied in equilibrium
    below `level`, and stays within a cell, cut until Metropolis accepts it in equilibrium."""
    reached = np.nonzero(here & (land.loss <= level))
    points = np.stack([a[i] for a, i in zip(land.axes, reached[::-1])], axis=-1)
    root = np.linalg.cholesky(mobility)
    curvature = lambda x: np.abs(np.linalg.eigvalsh(root.T @ V.hessian(x) @ root)).max(axis=-1)
    weights = np.exp(-(land.loss[reached] - land.loss[reached].min()) / theta)
    weights /= weights.sum()
    bends = curvature(points)
    order = np.argsort(bends)
    usual = bends[order[np.searchsorted(np.cumsum(weights[order]), MOST_OCCUPIED)]]
    usual = max(float(usual), float(curvature(np.atleast_2d(start))[0]))
    spread = float(np.min(np.asarray(land.spacing) ** 2 / np.diag(mobility)))
    dt = min(STEP_OF_CURVATURE / max(usual, 1e-300), STEP_OF_CELL**2 * spread / (2 * theta))
    starts = points[np.random.default_rng(0).choice(len(points), 200, p=weights)]
    for _ in range(6):
        pilot = simulate(V, theta, starts, dt, 60, scheme="mala", seed=0, walls=_walls(land),
                         mobility=mobility, precision="double", progress=False)
        if pilot.acceptance >= ACCEPTED:
            break
        dt /= 3
    return dt


def _spline(land, values):
    """`GridPotential` of values (nx, ny, ...), continued beyond the seams of periodic axes, so that its ends
    are far from them."""
    axes = list(land.axes)
    for k, is_ring in enumerate(land.periodic or ()):
        if is_ring:
            places = np.arange(-BEYOND_SEAM, axes[k].size + BEYOND_SEAM)
            axes[k], values = (axes[k][0] + land.spacing[k] * places,
                               np.take(values, places, axis=k, mode="wrap"))
    return GridPotential(axes, values)


def _walls(land):
    return Walls([(e[0], e[-1]) for e in land.edges],
                 ["periodic" if r else "reflecting" for r in land.periodic or (False,) * land.ndim])


def _followed(plan, land, wells, basins, theta, mobility, start, seed, times, share, mean, remarks):
    # Metropolis steps: rejection is the no-flux wall for skew metrics and holes too, and small steps keep the
    # dynamics
    common = dict(dt=plan.dt, scheme="mala", seed=seed, walls=_walls(land), mobility=mobility,
                  precision="double", progress=False)
    try:
        run = simulate(plan.potential, theta, start, n_steps=plan.n_steps, n_paths=plan.n_paths,
                       save_every=plan.every, **common)
        traces = simulate(plan.potential, theta, start, n_steps=min(plan.n_steps, 400), n_paths=2,
                          save_every=1, **common)
    except ArithmeticError as error:
        remarks.append(f"No paths: {error}")
        return None
    cells = NearestSample(land, land.valid)
    picked = np.round(plan.times / (plan.every * plan.dt)).astype(int)
    counted, losses = [], []
    for k in picked:
        index = cells.cells(run.paths[:, k])
        home = basins[index]
        counted.append([(home == w).mean() for w in range(len(wells))])
        losses.append(land.loss[index])
    at = np.searchsorted(times, plan.times * (1 - 1e-9))
    expected = share[at]
    # the error of a count is judged by the prediction, with a floor of one path so that rare wells are not
    # infinitely far off
    p = np.clip(expected, 1 / plan.n_paths, 1 - 1 / plan.n_paths)
    losses = np.array(losses)
    return PathEnsemble(plan.n_paths, plan.dt, plan.n_steps, "mala", float(run.acceptance), plan.times,
                        np.array(counted), np.sqrt(p * (1 - p) / plan.n_paths), losses.mean(axis=1),
                        losses.std(axis=1, ddof=1) / np.sqrt(plan.n_paths), expected, mean[at],
                        run.paths[:, -1].copy(), traces.paths, plan.times >= plan.compared)
