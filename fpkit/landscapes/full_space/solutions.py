"""Solutions of one network against each other, over temperatures: in the whole space, and beside it on a
plane."""
from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ...core.interruption import interruption
from ...core.plain_json import plain
from ...core.results import Estimate, with_error
from ...core.views.tables import Tabular
from ...langevin.runs.driving import bar
from .annealing import Failed, Stopped
from .book import Book, Part, fingerprint
from .well import (
    MOST_GRADIENTS,
    WellFreeEnergy,
    _free_energy,
    _Refused,
    _Run,
    on_the_way,
    settled_minimum,
    watcher,
)

NAN = math.nan
MOST_ROWS = 100                  # of a summary
SAME = 1e-3                      # of the distance of a well's walkers: two solutions that are one minimum


@dataclass(frozen=True)
class Crossover:
    """The temperature at which two solutions change places.

    Attributes
    ----------
    pair : tuple of str
        The one of lower free energy in the cold, and the other.
    theta, low, high : float
        Where the interpolated difference is zero, and the nearest temperatures on either side at which it is
        not: the crossover lies between them.
    """
    pair: tuple[str, str]
    theta: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return {"pair": list(self.pair), "theta": self.theta, "low": self.low, "high": self.high}

    def __repr__(self) -> str:
        return (f"{self.pair[0]} below theta {self.theta:.3g}, {self.pair[1]} above (between {self.low:.3g} "
                f"and {self.high:.3g})")


@dataclass(frozen=True, repr=False, eq=False)
class SolutionComparison(Tabular):
    """Free energies of several solutions at several temperatures.

    Attributes
    ----------
    names : tuple of str
    theta : ndarray (n_theta,)
        Ascending.
    wells : tuple of tuple of WellFreeEnergy
        ``wells[i][k]``: solution k at theta i. Missing ones (Ctrl-C) are refused.
    tether : float or None
    plane : tuple of dict, or None
        For each theta: name to the plane's free energy in units of the loss, NaN where the plane has no such
        well.
    crossovers : tuple of Crossover
    status : str
        "ok", or what was not done.
    """
    names: tuple[str, ...]
    theta: np.ndarray
    wells: tuple[tuple[WellFreeEnergy, ...], ...]
    tether: float | None
    plane: tuple[dict[str, float], ...] | None
    crossovers: tuple[Crossover, ...]
    status: str = "ok"

    def _columns(self):
        cells = [(t, name, F) for t, row in zip(self.theta, self.wells) for name, F in zip(self.names, row)]
        return {"theta": [float(t) for t, _, _ in cells], "solution": [name for _, name, _ in cells],
                "free_energy": [F.value for *_, F in cells], "error": [F.error for *_, F in cells],
                "status": [F.status for *_, F in cells]}

    def difference(self, a: str, b: str, theta: float) -> Estimate:
        """F_a - F_b at one of the temperatures, in units of the loss; refused when either side is. `status`
        is "ok" only where the sign is decided."""
        i = self._row(theta)
        A, B = (self.wells[i][self._column(name)] for name in (a, b))
        inputs = {"theta": float(self.theta[i]), "tether": self.tether, "pair": (a, b)}
        method = f"F of {a} minus F of {b}"
        for name, F in ((a, A), (b, B)):
            if F.status != "ok":
                return Estimate(NAN, NAN, method, status=f"{name} is refused: {F.status}", inputs=inputs)
        apart = float(np.linalg.norm(A.inputs["x0"] - B.inputs["x0"]))
        if apart <= SAME * (1e-12 + math.sqrt(len(A.inputs["x0"]) * self.theta[i])):
            return Estimate(0.0, A.error + B.error, method, inputs=inputs,
                            status=f"not decided: {a} and {b} were polished to one minimum")
        value, error = A.value - B.value, math.hypot(A.error, B.error)
        status = "ok" if abs(value) > error else (f"not decided: the difference {value:.2g} is within its "
                                                  f"error {error:.2g}")
        return Estimate(value, error, method, status=status, inputs=inputs)

    def nats(self, a: str, b: str, theta: float) -> dict[str, float]:
        """beta (F_a - F_b) beside what the harmonic formula, the depths and the plane say, in nats."""
        i = self._row(theta)
        A, B = (self.wells[i][self._column(name)].inputs for name in (a, b))
        t, found = float(self.theta[i]), self.difference(a, b, theta)
        on_plane = NAN if self.plane is None else (self.plane[i][a] - self.plane[i][b]) / t
        return {"whole": found.value / t, "error": found.error / t, "harmonic": A["harmonic"] - B["harmonic"],
                "depth": (A["loss"] - B["loss"]) / t, "plane": on_plane}

    def preferred(self, theta: float) -> str | None:
        """Name of the solution whose free energy is decidedly the lowest of all, or None."""
        F = [float(w) for w in self.wells[self._row(theta)]]
        if not np.isfinite(F).any():
            return None
        best = self.names[int(np.nanargmin(F))]
        is_decided = all(self.difference(best, other, theta).status == "ok" for other in self.names
                         if other != best)
        return best if is_decided else None

    def against_plane(self, theta: float) -> str:
        """"agrees" or "disagrees" when both have a lowest well, else "refused" or "not decided"; without a
        plane "no plane"."""
        if self.plane is None:
            return "no plane"
        i = self._row(theta)
        if any(w.status != "ok" for w in self.wells[i]):
            return "refused"
        best, F = self.preferred(theta), [self.plane[i][name] for name in self.names]
        if best is None or not np.isfinite(F).all():
            return "not decided"
        return "agrees" if self.names[int(np.argmin(F))] == best else "disagrees"

    def _row(self, theta):
        i = int(np.argmin(np.abs(np.log(self.theta / checks.number("theta", theta, positive=True)))))
        if not math.isclose(self.theta[i], theta, rel_tol=1e-6):
            raise ValueError(f"theta {theta:g} was not asked for; there are "
                             f"{', '.join(f'{t:g}' for t in self.theta)}.")
        return i

    def _column(self, name):
        return self.names.index(checks.choice("solution", name, self.names))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return plain({"names": self.names, "theta": self.theta, "tether": self.tether,
                      "wells": [[w.to_dict() for w in row] for row in self.wells],
                      "differences": self._rows(),
                      "preferred": [self.preferred(t) for t in self.theta],
                      "against_plane": [self.against_plane(t) for t in self.theta],
                      "crossovers": self.crossovers, "status": self.status})

    def _rows(self) -> list[dict[str, Any]]:
        """One row for each temperature and pair, in nats."""
        return [{"theta": float(t), "pair": [a, b], **self.nats(a, b, t),
                 "status": self.difference(a, b, t).status}
                for t in self.theta for a, b in combinations(self.names, 2)]

    def summary(self) -> dict[str, Any]:
        """The differences alone, small enough for the header of a landscape file."""
        rows = [{"theta": r["theta"], "pair": r["pair"], "nats": r["whole"], "error": r["error"],
                 "status": r["status"][:300]} for r in self._rows()[:MOST_ROWS]]
        return plain({"tether": self.tether, "rows": rows})

    def __repr__(self) -> str:
        head = (f"free energies in the whole space of {self.wells[0][0].inputs['x0'].size} parameters, "
                + (f"tether {self.tether:g}" if self.tether else "each in its well")
                + ("" if self.status == "ok" else f"; {self.status}"))
        lines = [head, f"{'theta':>9}  {'nats':>12}  {'whole space':>16}  {'harmonic':>9}  {'depth':>9}  "
                 f"{'plane':>9}  verdict"]
        for t in self.theta:
            for a, b in combinations(self.names, 2):
                n, d = self.nats(a, b, t), self.difference(a, b, t)
                whole = "refused" if not math.isfinite(n["whole"]) else with_error(n["whole"], n["error"])
                best = self.preferred(t)
                said = (d.status if d.status != "ok" else f"{best} is lowest" if best else "decided")
                if self.plane is not None and best:
                    said += f"; the plane {self.against_plane(t)}"
                lines.append(f"{t:9.3g}  {f'F_{a} - F_{b}':>12}  {whole:>16}  " + "".join(
                    f"{n[k]:9.2f}  " if math.isfinite(n[k]) else f"{'-':>9}  "
                    for k in ("harmonic", "depth", "plane")) + said)
        return "\n".join(lines + [f"crossover: {c}" for c in self.crossovers])


def compare_solutions(loss_and_gradient: Any, solutions: Mapping[str, ArrayLike], theta: ArrayLike,
                      tether: float | None = None,
                      inside: Mapping[str, Callable[[np.ndarray], ArrayLike]] | None = None,
                      hessian: Any = "auto", n_walkers: int | None = None, n_islands: int | None = None,
                      n_moves: int | None = None, seed: int = 1, most_gradients: float = MOST_GRADIENTS,
                      against_plane: Any = None,
                      executor: Executor | None = None, checkpoint: str | os.PathLike | None = None,
                      checkpoint_every: float = 60.0, progress: bool | None = None) -> SolutionComparison:
    """Free energies of several solutions of one network, over temperatures, in the space of all parameters.

    Each is `well_free_energy` with the same theta and tether. A difference is refused when either side is,
    and not decided when it is within its error. Beside it stand the harmonic formula, the difference of the
    depths, and the ranking of a plane.

    Parameters
    ----------
    loss_and_gradient : callable or Potential
        See `well_free_energy`.
    solutions : dict of str to array (d,)
        At least two.
    theta : float or sequence of float
        Temperatures, in units of the loss.
    tether : float, optional
        The same for all; None where the loss holds L2.
    inside : dict of str to callable, optional
        A wall for each solution.
    hessian : {"auto", "dense", "lanczos"} or None
    n_walkers, n_islands, n_moves, seed, most_gradients
        See `well_free_energy`.
    against_plane : LandscapeReport, optional
        From `fpkit.analyse` of a plane through the solutions: its ranking stands beside. Solutions are known
        by the names A, B, C, ... of the report, else by their order.
    executor : concurrent.futures.Executor, optional
        Solutions are computed by its workers, to the same bits; the loss must then be importable.
    checkpoint : path, optional
        File that holds what is done; the same call goes on from there.
    checkpoint_every : float
        Seconds between two writings.
    progress : bool, optional
        A bar on standard error; default on a terminal.

    Returns
    -------
    SolutionComparison
        Ctrl-C returns what is done, with the reason in `.status`.

    Examples
    --------
    >>> V = fp.Potential("2*(x**2 - 1)**2 - 0.1*x + (1 + 0.8*tanh(3*x))*y**2")
    >>> found = fp.compare_solutions(V, {"left": [-1, 0], "right": [1, 0]}, theta=[0.02, 0.3],
    ...                              inside={"left": lambda X: X[:, 0] < 0, "right": lambda X: X[:, 0] > 0})
    >>> found.preferred(0.02), found.preferred(0.3)          # depth in the cold, width in the heat
    ('right', 'left')
    """
    if not isinstance(solutions, Mapping) or len(solutions) < 2:
        raise TypeError("solutions must be a dictionary of two or more names and parameter vectors, got "
                        f"{checks.shown(solutions)}.")
    thetas = np.array(sorted({checks.number("theta", t, positive=True) for t in np.atleast_1d(theta)}))
    names = tuple(str(name) for name in solutions)
    sizes = {np.size(x) for x in solutions.values()}
    if len(sizes) > 1:
        raise ValueError(f"the solutions have different numbers of parameters: {sorted(sizes)}.")
    if inside is not None and set(inside) != set(solutions):
        raise ValueError("inside must name a wall for each solution, "
                         f"{', '.join(names)}; got {checks.shown(inside)}.")
    plane = None if against_plane is None else _plane_values(against_plane, names, thetas)
    options = (tether, hessian, n_walkers, n_islands, n_moves, seed, most_gradients)
    tasks = [(loss_and_gradient, np.asarray(x, float), None if inside is None else inside[name], thetas,
              options) for name, x in solutions.items()]
    if executor is not None:
        columns = list(executor.map(_solution_alone, tasks))
        return _comparison(names, thetas, columns, tether, plane, "ok")
    runs = [_run_of(*task) for task in tasks]
    book = Book()
    if checkpoint is not None:
        settings = {**runs[0].settings(), "thetas": thetas, "names": names}
        book = Book(checkpoint, fingerprint(runs[0].loss, [r.x0 for r in runs], settings),
                    checks.number("checkpoint_every", checkpoint_every, positive=True))
    columns, status = [], "ok"
    with interruption() as is_pressed, bar(None, "free energies", progress, "move") as shown:
        told = watcher(is_pressed, shown)
        for name, run in zip(names, runs):
            column: list[WellFreeEnergy] = []
            columns.append(column)
            try:
                if status == "ok":
                    _solution(run, thetas, book.part(name), lambda text, name=name: told(f"{name}: {text}"),
                              column)
            except Stopped as where:
                done = sum(map(len, columns))
                status = (f"stopped by Ctrl-C ({where}): {done} of {len(names) * thetas.size} free energies "
                          "are done")
        book.save()
    for run, column in zip(runs, columns):
        column += [_missing(run, t) for t in thetas[len(column):]]
    return _comparison(names, thetas, columns, tether, plane, status)


def _run_of(given, x, inside, thetas, options):
    tether, hessian, *rest = options
    return _Run.of(given, x, float(thetas[0]), tether, inside, hessian, *rest)


def _solution_alone(task):
    """One solution at all temperatures, in a worker."""
    column: list[WellFreeEnergy] = []
    _solution(_run_of(*task), task[3], Book().part("alone"), lambda text: None, column)
    return column


def _solution(run: _Run, thetas, book: Part, told, column):
    """Append the free energy of one solution at each temperature; its minimum is looked for at the lowest."""
    run.plan = replace(run.plan, told=told)
    known = None
    try:
        known = settled_minimum(first := run.at(run.theta), book)
        moved = first.found["moved"]
    except (_Refused, Failed):
        pass                                         # each temperature says so again, in its own nats
    for t in thetas:
        one = run.at(float(t), known)
        found = on_the_way(one, _free_energy, WellFreeEnergy, book.part(f"{t:.17g}"), told)
        if known is not None:
            found.inputs["moved"] = moved
        column.append(found)


def _missing(run, theta):
    def refused(run, book):
        run.refuse("stopped", "stopped by Ctrl-C before it was done")
    return on_the_way(run.at(float(theta)), refused, WellFreeEnergy, Book().part("none"), lambda text: None)


def _comparison(names, thetas, columns, tether, plane, status):
    wells = tuple(tuple(column[i] for column in columns) for i in range(thetas.size))
    found = SolutionComparison(names, thetas, wells, tether, plane, (), status)
    crossings = [c for a, b in combinations(names, 2) for c in _crossovers(found, a, b)]
    return replace(found, crossovers=tuple(crossings))


def _crossovers(found, a, b):
    """Changes of sign between neighbouring temperatures at which the sign is decided."""
    decided = [(float(t), d.value / t) for t in found.theta
               if (d := found.difference(a, b, t)).status == "ok"]
    for (low, u), (high, v) in zip(decided, decided[1:]):
        if u * v < 0:
            between = [(math.log(t), found.difference(a, b, t).value / t) for t in found.theta
                       if low <= t <= high and math.isfinite(found.difference(a, b, t).value)]
            x, y = zip(*between)
            k = next(k for k in range(len(y) - 1) if y[k] * y[k + 1] <= 0)
            at = x[k] - y[k] * (x[k + 1] - x[k]) / (y[k + 1] - y[k])
            yield Crossover((a, b) if u < 0 else (b, a), math.exp(at), low, high)


def _plane_values(report, names, thetas):
    """Free energy of each solution's well on the plane, at each temperature."""
    if not hasattr(report, "free_energies") or not hasattr(report, "solutions"):
        raise TypeError("against_plane must be the report of fpkit.analyse of a plane through the solutions, "
                        f"got {checks.shown(report)}.")
    known = {name: well for name, _, well in report.solutions}
    if not set(names) <= set(known):
        if len(known) < len(names):
            raise ValueError(f"the plane knows {len(known)} of the {len(names)} solutions; take the report "
                             "of a plane made by fpkit.Plane.through(...) of them.")
        known = dict(zip(names, list(known.values())))
    values = []
    for t in thetas:
        F = report.free_energies(float(t))
        row = {name: float(F[known[name] - 1]) if known[name] else NAN for name in names}
        shared = [name for name in names if list(known.values()).count(known[name]) > 1]
        values.append({name: NAN if name in shared else F for name, F in row.items()})
    return tuple(values)
