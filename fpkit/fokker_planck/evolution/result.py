"""The result of an evolution: densities at the asked times, with what they cost and how wrong they may be."""
from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.files import replacing
from ...core.grid import Grid
from ...core.results import Field

FORMAT = "fpkit evolution 1"
ARRAYS = ("times", "densities", "gibbs", "mass", "free_energy", "relative_entropy", "distance", "time_error",
          "space_error", "start")


@dataclass(frozen=True, repr=False)
class Evolution:
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

    def probabilities(self, k: int = -1) -> np.ndarray:
        """Cell probabilities at times[k], shape grid.shape."""
        return self.densities[k] * self.grid.volumes

    def save(self, path: str | os.PathLike) -> None:
        """Write everything to an HDF5 file, whole or not at all; `Evolution.load` reads it back."""
        import h5py
        with replacing(path) as temporary, h5py.File(temporary, "w") as file:
            file.attrs["format"] = FORMAT
            for name in ARRAYS:
                file[name] = getattr(self, name)
            for k, edges in enumerate(self.grid.edges):
                file[f"grid/edges_{k}"] = edges
            file["grid/periodic"] = np.array(self.grid.periodic)
            file["grid/inside"] = self.grid.inside
            facts = {"theta": self.theta, "steps": self.steps, "resolution": self.resolution,
                     "status": self.status, "inputs": self.inputs}
            file["facts"] = json.dumps(facts, default=_plain)  # a dataset: attributes end at 64 KB

    @classmethod
    def load(cls, path: str | os.PathLike) -> Evolution:
        """Read an evolution that `save` wrote."""
        import h5py
        path = os.fspath(path)
        if not os.path.isfile(path):
            raise FileNotFoundError(f"{path!r} is not a file; give the name of one that Evolution.save "
                                    "wrote.")
        try:
            with h5py.File(path, "r") as file:
                if file.attrs.get("format") != FORMAT:
                    raise ValueError(f"{path!r} holds no evolution; it was not written by Evolution.save.")
                arrays = {name: np.array(file[name], float) for name in ARRAYS}
                facts = json.loads(file["facts"][()])
                inside = np.array(file["grid/inside"], bool)
                periodic = [bool(p) for p in file["grid/periodic"][:]]
                edges = [np.array(file[f"grid/edges_{k}"]) for k in range(len(periodic))]
        except OSError as error:
            raise ValueError(f"{path!r} is no HDF5 file that can be read ({error}).") from None
        except KeyError as error:
            raise ValueError(f"{path!r} is damaged: "
                             f"{error.args[0] if error.args else 'something is missing'}.") from None
        grid = Grid.from_edges(edges, periodic, None if inside.all() else inside)
        if arrays["densities"].shape != (arrays["times"].size, *grid.shape):
            raise ValueError(f"{path!r} is damaged: densities of shape {arrays['densities'].shape} on a grid "
                             f"of {grid.shape}.")
        return cls(grid=grid, theta=facts["theta"], steps=facts["steps"], resolution=facts["resolution"],
                   status=facts["status"],
                   inputs=facts["inputs"], **arrays)

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
