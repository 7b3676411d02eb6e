"""The result of `simulate`."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.grid import Grid
from ...core.results import Field
from ...core.views.pictures import curves
from ...core.views.series import Series
from ...core.views.tables import Tabular, coordinate_names
from ...potentials.regions import Region
from . import over_time


@dataclass(frozen=True, repr=False)
class Paths(Tabular):
    """Paths of a diffusion: where they are, and where they were.

    Attributes
    ----------
    x : ndarray (n_paths, ndim)
        Places at the end; of absorbed paths, where they met the wall.
    paths : ndarray (n_paths, n_times, ndim) or None
        Places at `times`, when `save_every` was given; the first are the starts.
    times : ndarray (n_times,)
        Times of `paths`; without saved paths the last time alone.
    theta, dt, scheme, seed
        As given (`seed` as drawn when None was given).
    n_steps : int
        Steps made.
    status : str
        "ok", or a sentence that says why the run ended early.
    velocity : ndarray (n_paths, ndim) or None
        For "baoab".
    winding : ndarray of int (n_paths, ndim) or None
        How many times each path went round a periodic axis; `unwrapped` is the place on the line.
    exit_time, exit_side : ndarray (n_paths,) or None
        With absorbing walls: when each path met one (NaN: not yet), and which: 2 * axis + (0 lower, 1 upper),
        -1 not yet; with killing 2 * ndim for killed paths.
    acceptance : float or None
        Share of accepted proposals of "mala".
    precision : str
        "double", or "single" when the drift was taken in float32.
    inputs : dict
        The rest of what made it.
    """
    x: np.ndarray
    paths: Any
    times: np.ndarray
    theta: Any
    dt: Any
    scheme: str
    seed: Any
    n_steps: int
    status: str = "ok"
    velocity: Any = None
    winding: Any = None
    exit_time: Any = None
    exit_side: Any = None
    acceptance: Any = None
    precision: str = "double"
    inputs: dict = field(default_factory=dict)

    @property
    def n_paths(self) -> int:
        """Number of paths."""
        return len(self.x)

    @property
    def time(self) -> float:
        """Time at the end."""
        return float(self.times[-1]) if self.paths is None else float(self.inputs["time"])

    @property
    def unwrapped(self) -> np.ndarray:
        """`x` with the periods of the periodic axes put back, (n_paths, ndim)."""
        if self.winding is None:
            return self.x.copy()
        period = np.array([high - low if kind == "periodic" else 0.0 for (low, high),
                           kind in zip(self.inputs["walls"].bounds, self.inputs["walls"].kind)])
        return self.x + self.winding * period

    # ---- quantities over time; errors of level 99.73 % from the scatter of the paths ----
    def expectation(self, observable: int | Callable = 0) -> Series:
        """Mean over paths at each saved time.

        Parameters
        ----------
        observable : int or callable
            A coordinate, or a function of points (n, ndim) that gives (n,).

        Examples
        --------
        >>> run = fp.simulate(fp.Potential("x**2/2"), 0.5, [1.0], 0.01, 200, 500, save_every=100)
        >>> m = run.expectation(); bool(abs(m[1] - np.exp(-1.0)) < m[1].error)
        True
        """
        return over_time.expectation(self, observable)

    def variance(self, observable: int | Callable = 0) -> Series:
        """Variance over paths at each saved time."""
        return over_time.variance(self, observable)

    def mean_square_displacement(self, axis: int | None = None, lags: bool = False) -> Series:
        """Mean of |X(t) - X(0)|^2 (of one axis), periods of periodic axes put back; with `lags` of all pairs
        of saved times that are a lag apart."""
        return over_time.mean_square_displacement(self, axis, lags)

    def autocorrelation(self, observable: int | Callable = 0, burn_in: float = 0.0,
                        normalised: bool = False) -> Series:
        """Autocorrelation of a stationary run over the lag: of all pairs of saved times after `burn_in`."""
        return over_time.autocorrelation(self, observable, burn_in, normalised)

    def power_spectrum(self, observable: int | Callable = 0, burn_in: float = 0.0) -> Series:
        """One-sided power spectrum of a stationary run: its integral over the frequency is the variance.

        Periodograms with Hann's window; frequencies above those of the saved times are folded back."""
        return over_time.power_spectrum(self, observable, burn_in)

    def occupation(self, region: Region) -> Series:
        """Share of the paths in a region at each saved time."""
        return over_time.occupation(self, region)

    def marginal(self, axes: int | Sequence[int] = 0, grid: Grid | int = 40, k: int = -1) -> Field:
        """Density of some coordinates at the k-th saved time, a Field with errors: on a Grid, or on so many
        cells over the range of the paths."""
        return over_time.marginal(self, axes, grid, k)

    def _columns(self):
        names = coordinate_names(self.x.shape[1])
        columns = {"path": np.arange(self.n_paths), **{n: self.x[:, k] for k, n in enumerate(names)}}
        if self.exit_time is not None:
            columns |= {"exit_time": self.exit_time, "exit_side": self.exit_side}
        return columns

    def _labelled(self):
        names = coordinate_names(self.x.shape[1])
        arrays = {"end": (("path", "coordinate"), self.x)}
        if self.paths is None:
            return arrays, {"coordinate": (("coordinate",), names)}
        arrays["position"] = (("path", "time", "coordinate"), self.paths)
        return arrays, {"coordinate": (("coordinate",), names), "time": (("time",), self.times)}

    def _picture(self):
        return "" if self.paths is None else curves([(self.times, p[:, 0]) for p in self.paths[:4]])

    def __repr__(self):
        theta = f"{self.theta:g}" if not callable(self.theta) else "theta(t)"
        dt = f"dt {self.dt:g}" if isinstance(self.dt, float) else "a schedule of steps"
        text = (f"{self.n_paths} path{'s' if self.n_paths > 1 else ''} in {self.x.shape[1]}-D to t = "
                f"{self.time:g}: {self.scheme}, theta {theta}, {dt}, {self.n_steps} steps, seed {self.seed}")
        if self.paths is not None:
            text += f"; {len(self.times)} times saved"
        if self.acceptance is not None:
            text += f"; {100 * self.acceptance:.1f} % of the proposals accepted"
        if self.exit_time is not None:
            text += f"; {int(np.isfinite(self.exit_time).sum())} absorbed"
        return text if self.status == "ok" else f"{text}; {self.status}"
