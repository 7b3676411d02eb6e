"""The result of an evolution: densities at the asked times, with what they cost and how wrong they may be."""
from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core import hdf5
from ...core.grid import Grid
from ...core.results import Estimate, Field, cell_differences
from ...core.text import printable
from ...core.views.tables import Tabular, cell_picture, grid_coordinates
from ...potentials.potential import Potential
from ...potentials.regions.shapes import Region

KIND = "fpkit evolution"
PARTS = {1: 32, 2: 12, 3: 4}               # points an axis of a cell at which an observable is looked at
FACTS = ("theta", "steps", "resolution", "status", "inputs")
ARRAYS = ("times", "densities", "gibbs", "mass", "free_energy", "relative_entropy", "distance", "time_error",
          "space_error", "start")


def _beyond_parabolas(at, values, grid):
    """How far a function leaves, within each cell, the line through its centre, where that is more than what
    its second differences explain: a jump, a kink, or something between the centres."""
    parts = [cell_differences(values, grid, axis) for axis in range(grid.ndim)]
    size = np.stack(np.broadcast_arrays(*np.ix_(*grid.widths)), -1)
    line = (np.arange(PARTS[grid.ndim]) + 0.5) / PARTS[grid.ndim] - 0.5
    most = np.zeros(grid.shape)
    for u in np.stack(np.meshgrid(*[line] * grid.ndim), -1).reshape(-1, grid.ndim):
        expected = values + sum(v * d[0] for v, d in zip(u, parts))
        most = np.maximum(most, np.abs(at(grid.points + u * size) - expected))
    return np.where(most > sum(np.abs(d[1]) for d in parts) / 3, most, 0.0)


@dataclass(frozen=True, repr=False)
class Evolution(Tabular):
    """Densities of one diffusion at the asked times.

    Attributes
    ----------
    times : ndarray (n_times,)
        The times reached; fewer than asked for when `status` is not "ok".
    densities : ndarray (n_times, *grid.shape)
        Cell averages: ``densities[k] * grid.volumes`` are cell probabilities and sum to one (to `mass` with
        absorption).
    gibbs : ndarray, shape grid.shape
        Cell averages of the equilibrium that is approached (each connected part with the mass it started
        with).
    mass : ndarray (n_times,)
        Mass that the steps themselves kept, before the densities were normalised: 1 up to rounding.
    free_energy, relative_entropy, distance : ndarray (n_times,)
        E - theta S in the units of f; sum P log(P/Gibbs); half the L1 distance to `gibbs`.
    time_error, space_error, error : ndarray (n_times,)
        L1 errors of the cell probabilities: of the time steps (the tolerance, or NaN for a fixed number of
        steps), of the grid and the start (from grids of half and a quarter of the cells an axis; NaN where
        there is none: less than 8 cells on an axis, samples of a landscape), and their sum, NaN where one is
        not known.
    start : ndarray, shape grid.shape
        Cell averages at time 0 (of a function, point values unless time 0 was asked for).
    steps : dict
        Numbers of split and coupled steps, of refused ones, of factorisations and solves.
    status : str
        "ok", or a sentence: why the last times are missing, or that the grid does not resolve the wells.
    inputs : dict
        What made it: potential, params, theta, mobility, scheme, tol, start, ...
    """
    times: np.ndarray
    densities: np.ndarray
    grid: Grid
    theta: Any
    gibbs: np.ndarray
    mass: np.ndarray
    free_energy: np.ndarray
    relative_entropy: np.ndarray
    distance: np.ndarray
    time_error: np.ndarray
    space_error: np.ndarray
    start: np.ndarray
    steps: dict[str, Any] = field(default_factory=dict)
    resolution: float = np.nan
    status: str = "ok"
    inputs: dict[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> np.ndarray:
        """Time error plus space error, (n_times,); NaN where one is not known."""
        return self.time_error + self.space_error

    def field(self, k: int = -1) -> Field:
        """Density at times[k] as a Field of cell averages."""
        values = self.densities[k]
        inside = self.grid.inside
        values = values if inside.all() else np.where(inside, values, np.nan)
        return Field(values, self.grid, f"density at t = {self.times[k]:g}", units="1/volume",
                     inputs=self.inputs)

    def expectation(self, observable: Any) -> list[Estimate]:
        """Mean of an observable at each time, a formula, a Potential or a function of points (n, ndim).

        The error adds to that of the densities, for the range of the observable over the grid, what it and
        the density change within a cell.

        Examples
        --------
        >>> D = fp.FokkerPlanck(fp.Potential("x**2/2"), 0.5, fp.Grid([(-5, 5)], 64))
        >>> run = D.evolve(([1.0], 0.5), [0.5, 2.0])
        >>> [bool(abs(m - np.exp(-t)) <= m.error < 0.02) for m, t in zip(run.expectation("x"), run.times)]
        [True, True]
        """
        grid = self.grid
        g = Potential(observable, ndim=grid.ndim) if isinstance(observable, str) else observable
        def at(points):
            flat = np.asarray(g(points.reshape(-1, grid.ndim)), float)
            return np.where(grid.inside, np.broadcast_to(flat, (grid.n_cells,)).reshape(grid.shape), 0.0)

        values = at(grid.points)
        rough = _beyond_parabolas(at, values, grid)
        reach, found = float(np.ptp(values[grid.inside])) / 2, []
        for u, wrong in zip(self.densities, self.error):
            P = u * grid.volumes
            within = float((P * rough).sum())
            for axis in range(grid.ndim):
                within += (np.abs(np.diff(P, axis=axis)) * np.abs(np.diff(values, axis=axis))).sum() / 12
                bend = np.abs(np.diff(values, 2, axis=axis))
                within += (np.delete(P, [0, -1], axis) * bend).sum() / 24
            found.append(Estimate(float((P * values).sum()), float(reach * wrong + within),
                                  "mean over the density", inputs=self.inputs))
        return found

    def variance(self, observable: Any) -> list[Estimate]:
        """Variance of an observable at each time, as `expectation`."""
        g = Potential(observable, ndim=self.grid.ndim) if isinstance(observable, str) else observable
        found = []
        for m, s in zip(self.expectation(g), self.expectation(lambda p: np.asarray(g(p), float)**2)):
            found.append(Estimate(s.value - m.value**2, s.error + 2 * abs(m.value) * m.error + m.error**2,
                                  m.method, inputs=self.inputs))
        return found

    def occupation(self, region: Region) -> list[Estimate]:
        """Probability of a region at each time; cells that its boundary cuts count by their centres, and in
        full in the error."""
        grid = self.grid
        inside = region.contains(grid.points)
        cut = np.zeros(grid.shape, bool)
        for corner in np.ndindex(*(2,) * grid.ndim):
            at = np.stack(np.meshgrid(*[e[k:n + k] for e, k, n in zip(grid.edges, corner, grid.shape)],
                                      indexing="ij"), axis=-1)
            cut |= region.contains(at) != inside
        return [Estimate(float((P * inside).sum()), float((P * cut).sum() + wrong / 2), "occupation",
                         inputs=self.inputs)
                for P, wrong in zip(self.densities * grid.volumes, self.error)]

    def probabilities(self, k: int = -1) -> np.ndarray:
        """Cell probabilities at times[k], shape grid.shape."""
        return self.densities[k] * self.grid.volumes

    def save(self, path: str | os.PathLike) -> None:
        """Write everything to an HDF5 file, whole or not at all; `Evolution.load` reads it back."""
        arrays = {name: np.asarray(getattr(self, name)) for name in ARRAYS}
        arrays |= {f"grid/edges_{k}": edges for k, edges in enumerate(self.grid.edges)}
        arrays |= {"grid/periodic": np.array(self.grid.periodic), "grid/inside": self.grid.inside,
                   "grid/is_uniform": np.array(self.grid.is_uniform)}
        facts = {name: getattr(self, name) for name in FACTS}
        hdf5.save_state(path, "", arrays, KIND, facts=json.loads(json.dumps(facts, default=_plain)))

    @classmethod
    def load(cls, path: str | os.PathLike) -> Evolution:
        """Read an evolution that `save` wrote."""
        if not os.path.isfile(path):
            raise FileNotFoundError(f"{printable(os.fsdecode(path))!r} is not a file; give the name of one "
                                    "that Evolution.save wrote.")
        arrays = hdf5.load_state(path, None, KIND)
        with hdf5.understood(path, KIND):
            facts = hdf5.facts_of(arrays, steps=dict, status=str, inputs=dict)
            inside = arrays["grid/inside"].astype(bool)
            periodic = [bool(p) for p in arrays["grid/periodic"]]
            edges = [arrays[f"grid/edges_{k}"] for k in range(len(periodic))]
            grid = Grid.of_file(edges, periodic, inside, arrays["grid/is_uniform"])
            parts = {name: arrays[name].astype(float) for name in ARRAYS}
            for name, shape in (("densities", (parts["times"].size, *grid.shape)), ("gibbs", grid.shape),
                                *((name, parts["times"].shape) for name in ARRAYS[3:-1])):
                if parts[name].shape != shape:
                    raise ValueError(f"{name} has shape {parts[name].shape} on a grid of {grid.shape}")
            return cls(grid=grid, **{name: facts[name] for name in FACTS}, **parts)

    def _columns(self):
        return {"time": self.times, "distance": self.distance, "free_energy": self.free_energy,
                "relative_entropy": self.relative_entropy, "mass": self.mass, "error": self.error}

    def _labelled(self):
        names = tuple("xyz"[:self.grid.ndim])
        arrays = {name: (("time",), values) for name, values in self._columns().items() if name != "time"}
        return ({"density": (("time", *names), self.densities), "gibbs": (names, self.gibbs), **arrays},
                {"time": (("time",), self.times), **grid_coordinates(self.grid)})

    def _picture(self):
        if self.grid.ndim == 1:
            return cell_picture(self.grid, *self.densities[:: max(1, len(self.times) // 4)], self.gibbs)
        return "".join(cell_picture(self.grid, u) for u in self.densities[[0, len(self.times) // 2, -1]])

    def __repr__(self):
        cells = "x".join(map(str, self.grid.shape))
        theta = f"{self.theta:g}" if isinstance(self.theta, (int, float)) else str(self.theta)
        n = self.steps.get("strang", 0) + self.steps.get("coupled", 0)
        lines = [f"density on {cells} cells, theta {theta}, {n} steps ({self.steps.get('coupled', 0)} "
                 f"coupled): {self.status}",
                 f"{'time':>12} {'distance':>10} {'free energy':>12} {'mass - 1':>10} {'error <=':>9}"]
        many = self.times.size > 14
        for k in (range(self.times.size) if not many
                  else [*range(7), *range(self.times.size - 6, self.times.size)]):
            lines.append(f"{self.times[k]:12.6g} {self.distance[k]:10.3e} {self.free_energy[k]:12.6g} "
                         f"{self.mass[k] - 1:+10.0e} {self.error[k]:9.1e}")
        return "\n".join(lines)


def _plain(value):
    """What JSON does not know: NumPy numbers and arrays; anything else by its text."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return str(value)
