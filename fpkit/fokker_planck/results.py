"""What the questions about spectrum and first passage return besides numbers and fields."""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..core.grid import Grid
from ..core.results import Estimate, Field, with_error
from ..core.views.tables import Tabular, cell_picture, grid_coordinates
from ..potentials.regions.shapes import Region
from .extrapolation import RULE, UNRESOLVED


@dataclass(frozen=True, repr=False)
class Spectrum(Tabular):
    """Lowest eigenvalues of -L, L the generator, and their eigenfunctions.

    ``spectrum[k]`` is eigenvalue k as an Estimate; ``spectrum[1]`` is the spectral gap of a diffusion without
    absorption.

    Attributes
    ----------
    eigenvalues : ndarray (k,)
        Ascending, in 1/time; the first is 0, once for each connected part, unless paths are absorbed. 0.0
        where one underflows. Of a driven process complex where probability turns round and round, by
        ascending real part; ``spectrum[k]`` then is the real part, the rate of decay.
    errors : ndarray (k,)
        Bounds of their errors.
    log10 : ndarray (k,)
        Decimal logarithms, usable when an eigenvalue underflows; -inf for 0.
    eigenfunctions : ndarray (k, *grid.shape)
        Values at the cell centres, NaN outside the domain and 0 where paths are absorbed; the Gibbs mean of
        each square is 1, the first is 1, the heaviest sign is positive.
    grid : Grid
    method : str
    inputs : dict
    relative_errors : ndarray (k,), optional
        Also of those that underflow.
    """
    eigenvalues: np.ndarray
    errors: np.ndarray
    log10: np.ndarray
    eigenfunctions: np.ndarray
    grid: Grid
    method: str
    inputs: dict = field(default_factory=dict)
    relative_errors: np.ndarray | None = None

    @property
    def status(self) -> str:
        """"ok", or which of them the grids do not resolve and what to try."""
        lost = [str(k) for k in range(len(self)) if self._is_lost(k)]
        missing = self.inputs.get("k", 0) - len(self)
        parts = [f"eigenvalues {', '.join(lost)} {self._reason}"] if lost else []
        if missing > 0:
            parts.append(f"{missing} of {self.inputs['k']} eigenvalues are missing: the chain has no more "
                         "that floats can tell from 0; refine the grid, or ask for fewer")
        return "; ".join(parts) or "ok"

    @property
    def _reason(self):
        return self.inputs.get("reason", UNRESOLVED)

    def _is_lost(self, k):
        return self.relative_errors is not None and not self.relative_errors[k] <= RULE.unresolved_error

    def __len__(self) -> int:
        return len(self.eigenvalues)

    def __getitem__(self, k: int) -> Estimate:
        k = range(len(self))[k]
        inputs = self.inputs
        if self.relative_errors is not None and not 0 < self.eigenvalues[k] < np.inf:
            inputs = {**inputs, "relative_error": float(self.relative_errors[k])}
        if np.iscomplexobj(self.eigenvalues):
            value = self.eigenvalues[k]
            return Estimate(value.real, self.errors[k], self.method,
                            status=self._reason if self._is_lost(k) else "ok",
                            inputs={**inputs, "imaginary": float(value.imag)})
        return Estimate(self.eigenvalues[k], self.errors[k], self.method, log10=self.log10[k],
                        status=self._reason if self._is_lost(k) else "ok", inputs=inputs)

    @property
    def gap(self) -> Estimate:
        """The smallest eigenvalue that is not zero, as an Estimate."""
        lost = np.isnan(self.log10) & (self.relative_errors is not None)
        above = np.flatnonzero(np.isfinite(self.log10) | lost)
        if not above.size:
            raise ValueError("every eigenvalue here is zero; ask for more of them, spectrum(k).")
        return self[int(above[0])]

    def eigenfunction(self, k: int) -> Field:
        """Eigenfunction k as a Field."""
        return Field(self.eigenfunctions[k], self.grid, f"eigenfunction {k}", None, "", self.inputs)

    def _columns(self):
        return {"eigenvalue": self.eigenvalues, "error": self.errors, "log10": self.log10}

    def _labelled(self):
        names = ("mode", *"xyz"[:self.grid.ndim])
        arrays = {name: (("mode",), values) for name, values in self._columns().items()}
        arrays["eigenfunction"] = (names, self.eigenfunctions)
        return arrays, {**grid_coordinates(self.grid), "mode": (("mode",), np.arange(len(self)))}

    def _picture(self):
        return cell_picture(self.grid, *self.eigenfunctions[1:4]) if len(self) > 1 else ""

    def to_dict(self) -> dict:
        """Plain dictionary for JSON."""
        clean = lambda a: [float(x) if np.isfinite(x) else None for x in a]
        turning = {"imaginary": clean(self.eigenvalues.imag)} if np.iscomplexobj(self.eigenvalues) else {}
        return {"eigenvalues": clean(np.real(self.eigenvalues)), **turning, "errors": clean(self.errors),
                "log10": clean(self.log10), "method": self.method, **self.inputs}

    def __repr__(self):
        shown = ["unresolved" if self._is_lost(k) else f"10^{l:.4f}" if v in (0, np.inf) and np.isfinite(l)
                 else "0" if v == 0 else with_error(float(v.real), e) if not np.iscomplex(v)
                 else f"{v.real:.6g}{v.imag:+.6g}i +- {e:.1e}"
                 for k, (v, e, l) in enumerate(zip(self.eigenvalues, self.errors, self.log10))]
        return f"eigenvalues {', '.join(shown)} ({self.method})"


@dataclass(frozen=True, repr=False)
class QuasiStationary(Tabular):
    """The distribution that survival outside a region leads to, and how it ends.

    Started in it, the time of exit is exactly exponential with rate `rate` and independent of the place of
    exit.

    Attributes
    ----------
    rate : Estimate
        Exit rate, the lowest eigenvalue with absorption.
    density : Field
        Cell averages; ``(density.values * grid.volumes).sum() == 1``.
    exit_points : ndarray (n, ndim)
        Points of the boundary, one for each edge of the chain that ends there.
    exit_probabilities : ndarray (n,)
        Probability of leaving there; sums to 1.
    region : Region
    inputs : dict
    """
    rate: Estimate
    density: Field
    exit_points: np.ndarray
    exit_probabilities: np.ndarray
    region: Region
    inputs: dict = field(default_factory=dict)

    @property
    def mean_exit_time(self) -> Estimate:
        """1/rate as an Estimate."""
        r = self.rate
        value, relative = (1 / r.value, r.error / r.value) if r.value > 0 else (float("inf"), 1.0)
        return Estimate(value, value * relative, r.method, log10=-r.log10, inputs=r.inputs)

    def exit_probability(self, part: Region) -> float:
        """Probability that the exit lies in `part`, a Region."""
        return float(self.exit_probabilities[part.contains(self.exit_points)].sum())

    def _columns(self):
        points = {name: self.exit_points[:, k] for k, name in enumerate("xyz"[:self.exit_points.shape[1]])}
        return {**points, "exit_probability": self.exit_probabilities}

    def _labelled(self):
        arrays, coordinates = self.density._labelled()
        exits = {f"exit_{name}" if name in "xyz" else name: (("exit",), values)
                 for name, values in self._columns().items()}
        return {"density": arrays[self.density.name], **exits}, coordinates

    def _picture(self):
        return cell_picture(self.density.grid, self.density.values)

    def __repr__(self):
        return (f"quasi-stationary distribution outside {self.region!r}: exit rate {self.rate!r}, "
                f"{len(self.exit_points)} places of exit")


class PerAxis(Tabular, list):
    """Estimates, one an axis. Where there is one axis only the list stands for it: it converts to a float and
    has `value`, `error`, `log10`."""

    def _only(self):
        if len(self) != 1:
            raise TypeError(f"there are {len(self)} axes; take one of them by its index.")
        return self[0]

    def _columns(self):
        return {"axis": list("xyz"[:len(self)]), "value": [e.value for e in self],
                "error": [e.error for e in self]}

    def __float__(self):
        return float(self._only())

    value, error, log10, method = (property(lambda self, name=name: getattr(self._only(), name))
                                   for name in ("value", "error", "log10", "method"))
