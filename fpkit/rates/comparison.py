"""compare_rates: every independent route to one rate, side by side."""
from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.calls import understood
from ..core.grid import Grid
from ..core.interruption import GRACE_SECONDS, interruption
from ..core.results import Estimate
from ..core.sharing import finished
from ..potentials.potential import Potential
from ..potentials.regions import Region
from ..potentials.stationary.critical import CriticalPoint, CriticalPoints
from .guard import Guard, RateEstimate, Reason, definition_error
from .journal import Journal
from .points import box_of, potential
from .routes import ROUTES, Question
from .table import RatesTable
from .wells_of import Places

WITH_GRID = ("rate", "mfpt", "gap", "exit-rate", "free-energy", "eyring-kramers", "next-order", "network",
             "paths", "splitting")
WITHOUT_GRID = ("eyring-kramers", "next-order", "network", "paths", "splitting")
STOPPED = "stopped by Ctrl-C: what was not computed by then says so in its cell"
CELLS = {1: 400, 2: 128, 3: 40}


@understood
def compare_rates(V: Potential, source: ArrayLike | CriticalPoint | Region, target: ArrayLike | CriticalPoint
                  | Region, theta: float | Sequence[float], methods: str | Sequence[str] | None = None,
                  grid: Grid | None = None, mobility: ArrayLike | None = None, refine: bool = False,
                  points: CriticalPoints | None = None, n_paths: int = 2000, dt: float | None = None,
                  seed: int = 1,
                  executor: Executor | None = None,
                  checkpoint: str | os.PathLike[str] | None = None, resume: bool | None = None) -> RatesTable:
    """One-way rate from a source to a target by every route, as a table: rows theta, columns methods.

    Methods and what exactly they are (each as a rate, 1/time; cap is the capacity, q the committor):

    - "rate": cap/int (1 - q) exp(-f/theta), transitions per time spent coming from the source; in 1D by
      quadrature, else on the grid
    - "mfpt": 1/mean first passage time from the source point to the target
    - "gap": spectral gap times the share of the target, k = lambda_2 k/(k + k'); for two wells only
    - "exit-rate": quasi-stationary rate of exit into the target
    - "free-energy": theta/(int_B exp(F/theta) int_W exp(-F/theta)) along the straight coordinate from source
      to target
    - "eyring-kramers", "next-order", "resummed", "integral": the harmonic formula over the gates of the
      source well and its refinements
    - "network": 1/mfpt between the two wells in the Eyring-Kramers network of all wells
    - "paths": 1/mean exit time of simulated paths, extrapolated in dt; for barriers up to 6 theta
    - "splitting": 1/mfpt by adaptive multilevel splitting; for barriers from 4 to 20 theta

    They agree in the limit of low theta; at a barrier of b theta their definitions differ by about b exp(-b),
    with "gap" of the lower of the barriers on the way there and back: that much is no contradiction.
    A method that cannot answer leaves its reason in its cell, and the table goes on.

    Parameters
    ----------
    V : Potential
    source, target : array_like (ndim,), CriticalPoint or Region
        A point stands for the well it lies in: in one dimension the half-line from its bottom outwards, else
        a ball around its bottom.
    theta : float or sequence of float
        Temperatures.
    methods : sequence of str, optional
        Default: all that the dimension allows, without "resummed" and "integral".
    grid : Grid, optional
        Default: the box of V with 400, 128 x 128 or 40 x 40 x 40 cells. In one dimension the answers do not
        depend on it.
    mobility : None, float, (ndim,) or (ndim, ndim), optional
    refine : bool
        Grid answers extrapolated over finer grids.
    points : CriticalPoints, optional
        Stationary points, where known. Default: those of the catalogue, else `critical_points` in the box.
    n_paths, dt, seed
        Of "paths" and "splitting"; dt defaults to 0.02 over the largest curvature at the stationary points.
    executor : concurrent.futures.Executor, optional
        Temperatures go to its workers.
    checkpoint, resume
        File of finished temperatures, from which a killed call goes on, as of `fpkit.sweep`.

    Returns
    -------
    table : RatesTable
        Ctrl-C returns what is done, and `status` says so.

    Examples
    --------
    >>> V = fp.catalogue.double_well()
    >>> methods = ["free-energy", "next-order", "eyring-kramers"]
    >>> table = fp.compare_rates(V, [-1], [1], theta=[0.2, 0.1, 0.05], methods=methods)
    >>> table.references, table.arrhenius.method
    (('free-energy', 'free-energy', 'free-energy'), 'free-energy')
    >>> slope = table.slope_at_zero                        # the next order in theta is known: c = 0.375
    >>> bool(abs(slope - 0.375) < slope.error)
    True
    """
    potential(V)
    temperatures = np.atleast_1d(np.asarray(theta, float))
    if temperatures.ndim != 1 or not temperatures.size:
        raise ValueError("theta must be one temperature or a list of them.")
    for t in temperatures:
        checks.number("theta", t, positive=True)
    if methods is None:
        methods = WITH_GRID if V.ndim <= 3 else WITHOUT_GRID
    methods = tuple(checks.choice("method", m, ROUTES)
                    for m in ([methods] if isinstance(methods, str) else methods))
    if grid is None:
        grid = default_grid(V)
    elif grid.ndim != V.ndim:
        raise ValueError(f"the potential has {V.ndim} coordinates and the grid {grid.ndim} axes; they must "
                         "agree.")
    places = Places(V, source, target, grid, points)
    cells, guards, status = {m: [] for m in methods}, [], "ok"
    journal = Journal(checkpoint, 0.0, resume, [V, source, target, grid, mobility, refine, n_paths, dt, seed,
                                                methods] if checkpoint is not None else None)
    rows = _rows(temperatures, (V, places, grid, mobility, refine, n_paths, dt, seed, methods), executor,
                 journal)
    for found in rows:
        answers, guard = ([_left_out(m) for m in methods], Guard()) if found is None else found
        for m, answer in zip(methods, answers):
            cells[m].append(answer)
        # paths hold Ctrl-C back and tell of it in their status
        status = STOPPED if any("Ctrl-C" in answer.status for answer in answers) else status
        guards.append(guard)
    # the gap knows the way back too: it is as sharply defined as the lower of the two barriers allows
    barrier = min(places.barrier, places.barrier_back) if "gap" in methods else places.barrier
    definition = np.array([definition_error(barrier / t) if np.isfinite(barrier) else 0.05
                           for t in temperatures])
    inputs = {"potential": repr(V), "source": places.source_name, "target": places.target_name,
              "grid": repr(grid) if grid is not None else None, "refine": bool(refine), "seed": seed}
    return RatesTable(temperatures, methods, {m: tuple(c) for m, c in cells.items()},
                      {m: ROUTES[m].quantity for m in methods}, float(places.barrier),
                      tuple(guards), definition, inputs, status)


def _rows(temperatures, common, executor, journal):
    """(answers, guard) at each temperature, None where Ctrl-C came first; finished ones go to the journal."""
    rows, todo = [None] * len(temperatures), []
    for k, t in enumerate(temperatures):
        if journal.is_done(k, repr(float(t))):
            rows[k] = _unpacked(journal.rows[k])
        else:
            todo.append(k)

    def keep(k, found):
        rows[k] = found
        if not any("Ctrl-C" in answer.status for answer in found[0]):
            journal.add(k, repr(float(temperatures[k])), _packed(found))
            return True
        return False
    # here paths ask for Ctrl-C, and solves are cut soon after
    with journal, interruption(GRACE_SECONDS if executor is None else math.inf) as is_pressed:
        for n, found in finished(executor, row, [(float(temperatures[k]),) for k in todo], common,
                                 is_pressed):
            if not keep(todo[n], found) and executor is None:
                break
    return rows


def _packed(found):
    """A finished row as JSON holds it."""
    answers, guard = found
    return {"answers": [[a.value, a.error, a.method, a.log10, a.status, a.relative_error,
                         isinstance(a, RateEstimate)] for a in answers], "guard": guard.to_dict()}


def _unpacked(kept):
    guard = Guard(tuple(Reason(**r) for r in kept["guard"]["reasons"]))
    answers = []
    for value, error, method, log10, status, relative, is_rate in kept["answers"]:
        inputs = {"relative_error": relative, **({"guard": guard} if is_rate else {})}
        kind = RateEstimate if is_rate else Estimate
        answers.append(kind(value, error, method, log10, status, inputs))
    return answers, guard


def row(V: Potential, places: Places, grid: Grid | None, mobility: ArrayLike | None, refine: bool,
        n_paths: int, dt: float | None, seed: int, methods: Sequence[str],
        theta: float) -> tuple[list[Estimate], Guard]:
    """(answers of the methods, verdict of the guard) at one temperature, here or in a worker."""
    question, found = Question(V, theta, places, grid, mobility, refine, n_paths, dt, seed), []
    for m in methods:
        is_stopped = any("Ctrl-C" in answer.status for answer in found)
        found.append(_left_out(m) if is_stopped else _answer(m, question))
    return found, Guard() if any("Ctrl-C" in answer.status for answer in found) else question.guard


def default_grid(V: Potential) -> Grid | None:
    """The box of V with the usual number of cells; None where V has no box or too many coordinates."""
    box = box_of(V)
    if box is None or V.ndim > 3:
        return None
    return Grid(box, (CELLS[V.ndim],) * V.ndim, periodic=V.periodic_axes or False)


def _left_out(method):
    return Estimate(math.nan, math.nan, method, status="not computed: stopped by Ctrl-C")


def _answer(method, question):
    """The Estimate of one method, or one without value whose status says why."""
    try:
        with np.errstate(all="ignore"):  # what overflows on the way ends as a cell without number, below
            found = ROUTES[method].ask(question)
    except KeyboardInterrupt:
        return _left_out(method)
    except (ValueError, TypeError, ArithmeticError, NotImplementedError, np.linalg.LinAlgError,
            MemoryError) as error:
        return Estimate(math.nan, math.nan, method,
                        status=" ".join(str(error).split()) or type(error).__name__)
    if found.status == "ok" and not math.isfinite(found.log10):
        return Estimate(math.nan, math.nan, method, status="the number left every range of floats")
    return found
