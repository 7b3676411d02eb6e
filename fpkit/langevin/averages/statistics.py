"""What `sample` returns: averages with their errors, a histogram, and how long the memory of the paths is."""
from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks, hdf5
from ...core.grid import Grid
from ...core.results import Estimate, Field
from ...core.views.tables import Tabular, coordinate_names, estimate_columns

KIND = "fpkit statistics"


@dataclass(frozen=True, repr=False)
class Statistics(Tabular):
    """Time and ensemble averages along Langevin paths.

    The `.error` of each Estimate is the half width of an interval that misses the expectation of the scheme
    once in 370 times (three standard errors, widened by Student's factor); the standard error itself is in
    ``.inputs["standard_error"]``.

    Attributes
    ----------
    energy : Estimate
        Mean of the potential, in its units.
    mean : tuple of Estimate
        One a coordinate.
    covariance : ndarray (ndim, ndim)
        Of the coordinates; NaN beside the diagonal above 32 coordinates.
    histogram : Field or None
        Density as cell averages: counts/(n_samples * volume). Its `.error` is a bound of the same kind, cell
        by cell.
    standard_error : ndarray or None
        Standard error of the values of the histogram.
    counts : ndarray of int64 or None
        Points in each cell (half-open, the last one of each axis closed).
    overflow : ndarray of int64 (grid.ndim, 2) or None
        Points below and above the box, on the first axis that they leave. ``counts.sum() + overflow.sum() ==
        n_samples``.
    occupancy : dict of str to Estimate
        Share of the samples in each region.
    transitions : dict of (str, str) to int
        How often a path that was last in the first region was next seen in the second.
    observables : dict of str to Estimate
        Means of the user's own observables.
    autocorrelation_time : float
        Integrated autocorrelation time of the slowest of these quantities, in units of time; at least half
        the time between two samples.
    n_effective : float
        Number of independent samples that would give the same standard error for the slowest quantity.
    n_samples : int
        ``n_paths * n_saved``.
    acceptance : float or None
        Accepted share of the proposals (Metropolis-adjusted scheme only).
    status : str
        "ok", or sentences that say what is doubtful and what to try.
    inputs : dict
        What made it.
    """
    energy: Estimate
    mean: tuple
    covariance: np.ndarray
    histogram: Field | None
    standard_error: np.ndarray | None
    counts: np.ndarray | None
    overflow: np.ndarray | None
    occupancy: dict
    transitions: dict
    observables: dict
    autocorrelation_time: float
    n_effective: float
    n_samples: int
    acceptance: float | None
    status: str
    inputs: dict = field(default_factory=dict)

    def _columns(self):
        names = coordinate_names(len(self.mean))
        return estimate_columns([("energy", self.energy),
                                 *((f"mean {name}", m) for name, m in zip(names, self.mean)),
                                 *((f"in {name}", p) for name, p in self.occupancy.items()),
                                 *self.observables.items()])

    def _labelled(self):
        if self.histogram is None:
            return super()._labelled()
        arrays, coordinates = self.histogram._labelled()
        axes = next(iter(arrays.values()))[0]
        return {**arrays, "counts": (axes, self.counts),
                "standard_error": (axes, self.standard_error)}, coordinates

    def _picture(self):
        return "" if self.histogram is None else self.histogram._picture()

    def __repr__(self):
        rows = [("energy", self.energy)]
        shown = self.mean if len(self.mean) <= 6 else self.mean[:5]
        rows += [(f"mean {'xyz'[k] if len(self.mean) <= 3 else f'x{k}'}", m) for k, m in enumerate(shown)]
        rows += [(f"in {name}", p) for name, p in self.occupancy.items()] + list(self.observables.items())
        lines = [f"{name:<14} {value!r}" for name, value in rows]
        if len(shown) < len(self.mean):
            lines.append(f"{'':<14} ... {len(self.mean)} coordinates")
        if self.transitions:
            lines.append(f"{'transitions':<14} " + ", ".join(f"{a} -> {b}: {n}" for (a, b),
                                                             n in self.transitions.items()))
        if self.histogram is not None:
            share = self.overflow.sum() / max(self.n_samples, 1)
            lines.append(f"{'histogram':<14} {self.histogram!r}; {share:.3g} of the samples outside")
        if self.acceptance is not None:
            lines.append(f"{'acceptance':<14} {self.acceptance:.3f}")
        theta, dt = self.inputs.get("theta", math.nan), self.inputs.get("dt", math.nan)
        head = f"{self.inputs.get('scheme', 'paths')}, theta {theta:g}, dt {dt:g}"
        lines.append(f"{'samples':<14} {self.n_samples} ({head}), {self.n_effective:.3g} of them "
                     f"independent; correlation time {self.autocorrelation_time:.3g}")
        lines.append(f"{'status':<14} {self.status}")
        return "\n".join(lines)

    def compare(self, gibbs: Field | ArrayLike) -> Comparison:
        """Distance of the histogram from exact cell probabilities, beside the distance that chance alone
        explains.

        Both are taken as probabilities inside the histogram's box. With independent errors of standard
        deviation s_i the expected L1 distance is sum_i s_i sqrt(2/pi); s_i is the measured standard error of
        each cell.

        Parameters
        ----------
        gibbs : Field or array
            Density as cell averages on the same grid (such as ``FokkerPlanck.gibbs``), or cell probabilities.

        Returns
        -------
        comparison : Comparison
            ``l1``, ``expected_l1``, ``ratio``, ``relative_entropy`` (of the histogram to Gibbs),
            ``n_effective`` (independent samples that would show the measured errors).

        Examples
        --------
        >>> V, grid = fp.catalogue.double_well(), fp.Grid([(-2.5, 2.5)], shape=(25,))
        >>> stats = fp.sample(V, 0.5, [0.0], dt=0.05, n_steps=2000, n_paths=100, histogram=grid)
        >>> x = np.linspace(-2.5, 2.5, 25 * 200 + 1)
        >>> weights = np.exp(-V((x[1:, None] + x[:-1, None]) / 2) / 0.5).reshape(25, 200).sum(1)
        >>> bool(stats.compare(weights / weights.sum()).ratio < 3)
        True
        """
        if self.histogram is None:
            raise ValueError("no histogram was kept; pass histogram=fpkit.Grid(...) to sample.")
        grid = self.histogram.grid
        exact = np.asarray(gibbs.values if isinstance(gibbs, Field) else gibbs, float)
        if exact.shape != grid.shape:
            raise ValueError(f"the exact values have shape {exact.shape}, the histogram {grid.shape}; take "
                             "both on one grid.")
        if isinstance(gibbs, Field):
            exact = exact * grid.volumes
        exact = np.where(grid.inside, np.nan_to_num(exact), 0.0)
        exact = exact / exact.sum()
        counts = np.where(grid.inside, self.counts, 0)
        if not counts.sum():
            raise ValueError("no sample lies inside the histogram's box; move or enlarge it.")
        inside = counts.sum() / self.n_samples
        p = counts / counts.sum()
        s = np.where(grid.inside, self.standard_error * grid.volumes, 0.0) / inside
        used = p > 0
        with np.errstate(divide="ignore"):
            entropy = float((p[used] * (np.log(p[used]) - np.log(exact[used]))).sum())
        total = float((s**2).sum())
        n_effective = float((p * (1 - p)).sum() / total) if total > 0 else math.nan
        return Comparison(float(abs(p - exact).sum()), float(s.sum() * math.sqrt(2 / math.pi)), entropy,
                          n_effective, 1 - float(inside))

    def to_dict(self) -> dict:
        """Plain dictionary for JSON: averages and counts, without the covariance's and histogram's arrays."""
        out = {"energy": self.energy.to_dict(), "mean": [m.to_dict() for m in self.mean],
               "n_samples": self.n_samples,
               "occupancy": {k: v.to_dict() for k, v in self.occupancy.items()},
               "transitions": {f"{a} -> {b}": n for (a, b), n in self.transitions.items()},
               "observables": {k: v.to_dict() for k, v in self.observables.items()},
               "autocorrelation_time": self.autocorrelation_time, "n_effective": self.n_effective,
               "acceptance": self.acceptance,
               "covariance": self.covariance.tolist() if len(self.mean) <= 10 else None,
               "status": self.status, "inputs": _plain(self.inputs)}
        if self.counts is not None:
            out["histogram"] = {"shape": list(self.counts.shape),
                                "bounds": [list(b) for b in self.histogram.grid.bounds],
                                "inside": int(self.counts.sum()), "overflow": self.overflow.tolist()}
        return out

    def save(self, path: str | os.PathLike) -> str | os.PathLike:
        """Write everything to an HDF5 file (whole or not at all); `Statistics.load` reads it. Returns the
        path."""
        meta = {"estimates": _packed(self), "autocorrelation_time": self.autocorrelation_time,
                "n_effective": self.n_effective,
                "n_samples": self.n_samples, "acceptance": self.acceptance, "status": self.status,
                "inputs": _plain(self.inputs),
                "transitions": [[a, b, n] for (a, b), n in self.transitions.items()]}
        arrays = {"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8), "covariance": self.covariance}
        if self.histogram is not None:
            grid = self.histogram.grid
            arrays |= {"density": self.histogram.values, "error": self.histogram.error,
                       "standard_error": self.standard_error,
                       "counts": self.counts, "overflow": self.overflow, "periodic": np.array(grid.periodic),
                       "inside": grid.inside,
                       "is_uniform": np.array(grid.is_uniform),
                       **{f"edges/{k}": e for k, e in enumerate(grid.edges)}}
        hdf5.save_state(path, "", arrays, KIND)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike) -> Statistics:
        """Read a file written by `save`; a damaged or foreign one is refused with a sentence.

        Examples
        --------
        >>> import os, tempfile
        >>> stats = fp.sample(fp.Potential("x**2/2"), 1.0, [0.0], dt=0.1, n_steps=200, n_paths=50)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = type(stats).load(stats.save(os.path.join(folder, "stats.h5")))
        >>> again.energy == stats.energy
        True
        """
        arrays = hdf5.load_state(path, None, KIND)
        with hdf5.understood(path, KIND):
            meta = hdf5.facts_of(arrays, "meta", status=str, inputs=dict)
            unpack = {name: _unpacked(value) for name, value in meta["estimates"].items()}
            if arrays["covariance"].shape != (len(unpack["mean"]),) * 2:
                raise ValueError("a covariance of another shape")
            grid = histogram = None
            if "density" in arrays:
                edges = [arrays[f"edges/{k}"] for k in range(arrays["periodic"].size)]
                periodic, inside = [bool(p) for p in arrays["periodic"]], arrays["inside"].astype(bool)
                grid = Grid.of_file(edges, periodic, inside, arrays["is_uniform"])
                histogram = Field(arrays["density"], grid, "density", arrays["error"], "1/volume",
                                  meta["inputs"])
            return cls(unpack["energy"], tuple(unpack["mean"]), arrays["covariance"], histogram,
                       arrays.get("standard_error"),
                       arrays.get("counts"), arrays.get("overflow"), unpack["occupancy"],
                       {(a, b): n for a, b, n in meta["transitions"]},
                       unpack["observables"], meta["autocorrelation_time"], meta["n_effective"],
                       meta["n_samples"], meta["acceptance"],
                       meta["status"], meta["inputs"])


@dataclass(frozen=True, repr=False)
class Comparison(Tabular):
    """Distance of a histogram from exact cell probabilities.

    Attributes
    ----------
    l1 : float
        Sum over the cells of |histogram - exact| (twice the total variation).
    expected_l1 : float
        What the statistical errors alone make of it.
    relative_entropy : float
        sum p log(p/exact), p the histogram.
    n_effective : float
        Independent samples that would show the same errors of the cells.
    outside : float
        Share of the samples outside the box, left out.
    """
    l1: float
    expected_l1: float
    relative_entropy: float
    n_effective: float
    outside: float

    @property
    def ratio(self) -> float:
        """Measured over expected distance: about one when chance explains all of it."""
        return self.l1 / self.expected_l1 if self.expected_l1 > 0 else math.inf

    def __repr__(self):
        return (f"L1 distance {self.l1:.3g}, by chance alone {self.expected_l1:.3g} ({self.n_effective:.3g} "
                f"independent samples); relative entropy {self.relative_entropy:.3g}")


def _packed(stats):
    """Estimates of the result as plain JSON, with everything they carry."""
    def pack(a):
        if isinstance(a, Estimate):
            return {"value": a.value, "error": a.error, "method": a.method, "log10": a.log10,
                    "status": a.status, "inputs": _plain(a.inputs)}
        return {k: pack(v) for k, v in a.items()} if isinstance(a, dict) else [pack(v) for v in a]
    return {name: pack(getattr(stats, name)) for name in ("energy", "mean", "occupancy", "observables")}


def _unpacked(a):
    if isinstance(a, list):
        return [_unpacked(v) for v in a]
    if set(a) == {"value", "error", "method", "log10", "status", "inputs"}:
        return Estimate(**a)
    return {k: _unpacked(v) for k, v in a.items()}


def _plain(a):
    """Inputs as JSON knows them; what has no form there becomes its text."""
    if isinstance(a, dict):
        return {str(k): _plain(v) for k, v in a.items()}
    if hasattr(a, "tolist"):
        return a.tolist() if getattr(a, "size", 1) <= 1000 else checks.shown(a)
    if isinstance(a, (list, tuple)):
        return [_plain(v) for v in a]
    return a if a is None or isinstance(a, (bool, int, float, str)) else checks.shown(a, 200)
