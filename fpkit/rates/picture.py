"""What a transition looks like in the plane: committor, reactive current, minimum-energy path and saddles."""
from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import checks
from ..core.calls import understood
from ..core.grid import Grid
from ..core.results import Estimate, Field
from ..core.views.tables import Tabular
from ..fokker_planck.fokker_planck import FokkerPlanck
from ..potentials.potential import Potential
from ..potentials.regions import Region
from ..potentials.stationary.critical import CriticalPoint, CriticalPoints
from ..potentials.stationary.energy_path import EnergyPath, minimum_energy_path
from .comparison import default_grid
from .wells_of import Places


@dataclass(frozen=True, repr=False)
class TransitionPicture(Tabular):
    """A transition in the plane.

    Attributes
    ----------
    committor : Field
        Probability of reaching the target before the source.
    current : ndarray (2, nx, ny)
        Reactive current theta rho M grad q at the cell centres, rho the Gibbs density (1/(length time)).
    rate : Estimate
    path : EnergyPath or None
        None where no string joins the two wells.
    points : CriticalPoints
    energy : ndarray (nx, ny)
        f at the cell centres, NaN outside the domain.
    source, target : Region
    theta : float
    """

    committor: Field
    current: np.ndarray
    rate: Estimate
    path: EnergyPath | None
    points: CriticalPoints
    energy: np.ndarray
    source: Region
    target: Region
    theta: float
    inputs: dict[str, Any] = field(default_factory=dict)

    def _columns(self):
        return {**self.committor._columns(), "energy": self.energy[self.committor.grid.inside],
                **{f"current_{n}": c[self.committor.grid.inside] for n, c in zip("xy", self.current)}}

    def _labelled(self):
        arrays, coordinates = self.committor._labelled()
        return {**arrays, "energy": (("x", "y"), self.energy), "current_x": (("x", "y"), self.current[0]),
                "current_y": (("x", "y"), self.current[1])}, coordinates

    def _picture(self):
        return self.committor._picture()

    def __repr__(self) -> str:
        return f"transition at theta = {self.theta:g}: rate {self.rate!r}, {self.path!r}"


@understood
def transition_picture(V: Potential, theta: float, source: ArrayLike | CriticalPoint | Region,
                       target: ArrayLike | CriticalPoint | Region, grid: Grid | None = None,
                       points: CriticalPoints | None = None) -> TransitionPicture:
    """Committor, reactive current, minimum-energy path and saddles of a transition in the plane; `fpkit.plot`
    draws it.

    Parameters
    ----------
    V : Potential
        Two coordinates.
    theta : float
    source, target, grid, points
        As for `compare_rates`.

    Returns
    -------
    TransitionPicture
    """
    if V.ndim != 2:
        raise ValueError(f"the picture is of a plane, this potential has {V.ndim} coordinate(s).")
    theta = checks.number("theta", theta, positive=True)
    grid = default_grid(V) if grid is None else grid
    if grid is None:
        raise ValueError("this potential does not know its box; give grid=fpkit.Grid(bounds, shape).")
    places = Places(V, source, target, grid, points)
    D = FokkerPlanck(V, theta=theta, grid=grid)
    q = D.committor(places.source, places.target)
    slope = np.stack(np.gradient(q.values, *grid.centres))
    path = None
    if places.source_well is not None and places.target_well is not None:
        with contextlib.suppress(ValueError):  # one of the ends is a flat floor: no path in the picture
            path = minimum_energy_path(V, places.minima[places.source_well],
                                       places.minima[places.target_well], grid.bounds, grid.periodic)
    with np.errstate(invalid="ignore"):
        energy = np.where(D.inside, V(grid.points), np.nan)
    return TransitionPicture(q, theta * D.gibbs.values * slope, D.rate(places.source, places.target), path,
                             CriticalPoints(places.points), energy,
                             places.source, places.target, theta, {"potential": repr(V)})
