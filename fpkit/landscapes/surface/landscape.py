"""A loss landscape that was read: its surfaces, the classes of its cells, and what follows from the samples
alone."""
from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ...core.text import cleaned, printable
from ...core.views.pictures import colour_map, curves
from ...core.views.tables import Tabular
from ...potentials.grid_potential import GridPotential
from .cells import components, neighbourhood
from .merge_tree import MergeTree, Minimum, merge_tree
from .noise import Noise, noise_of, outliers

MAX_UNFINISHED = 0.1                 # of all cells; beyond, an analysis would be about a torso
MISSING_WEIGHT = 1e-12               # Gibbs weight of cells without a value that a mean may leave out
# a spline through doubles keeps the small values while the large ones stay below this many times
SPLINE_RANGE = 1e8


@dataclass(frozen=True, repr=False, eq=False)
class Landscape(Tabular):
    """Samples of a loss on a line, a plane or a space of parameters.

    Attributes
    ----------
    path, key : str
        The file and the dataset that is analysed.
    axes : tuple of ndarray
        Coordinates (x,), (x, y) or (x, y, z), ascending.
    loss : ndarray, shape (ny, nx), (nx,) or (nz, ny, nx)
        The potential; NaN where a cell is not valid. Index [iy, ix]: loss[i, j] = f(x_j, y_i).
    train_loss, test_loss, train_acc, test_acc : ndarray or None
        All surfaces of the file, NaN where invalid; accuracies in percent.
    stored : dict of ndarray
        The same as they stand in the file, nothing replaced.
    valid, unfinished, diverged : ndarray of bool
        The class of each cell of `loss`.
    gram : ndarray (ndim, ndim) or None
        Gram matrix of the directions of the plane: |dw|^2 = dx.G.dx.
    trajectory : ndarray (n_points, ndim) or None
        The optimiser's path on the plane.
    trajectory_steps, trajectory_loss, trajectory_residual : ndarray (n_points,) or None
        Steps of its points, the loss at the checkpoints themselves, and their distance from the plane, |v -
        Pv|/|v|.
    loss_stderr : ndarray or None
        Standard error of the loss, of the shape of `loss`.
    temperature : dict or None
        The optimiser's temperature: theta, its tensor (ndim, ndim) in the orthonormal basis G^-1/2 of the
        plane, lr, batch, source.
    logdet_perp : ndarray or None
        log det of the Hessian across the plane.
    gradient_noise : ndarray (*shape, ndim, ndim) or None
        Covariance of the slopes of single samples in the coordinates of the plane.
    origin_norm : float or None
        Length of the parameter vector at the origin.
    others : dict
        Entries under names that fpkit does not know, as they are; `save` writes them back.
    periodic : tuple of bool
        For x, y, z whether the axis closes on itself (an angle); () for none.
    meta : dict
        What the file tells about itself (foreign text: show it escaped, never use it as a path).
    warnings : tuple of str
        What the reader had to assume or leave out.
    """
    path: str
    key: str
    axes: tuple
    loss: np.ndarray
    surfaces: dict
    stored: dict
    valid: np.ndarray
    unfinished: np.ndarray
    diverged: np.ndarray
    gram: np.ndarray | None = None
    trajectory: np.ndarray | None = None
    trajectory_steps: np.ndarray | None = None
    trajectory_loss: np.ndarray | None = None
    trajectory_residual: np.ndarray | None = None
    loss_stderr: np.ndarray | None = None
    temperature: dict | None = None
    logdet_perp: np.ndarray | None = None
    gradient_noise: np.ndarray | None = None
    origin_norm: float | None = None
    others: dict = field(default_factory=dict)
    meta: dict = field(default_factory=dict)
    warnings: tuple = ()
    periodic: tuple = ()
    axis_order_assumed: bool = False
    allow_partial: bool = False

    def __post_init__(self) -> None:
        for name in ("key", "meta", "warnings"):                  # foreign text, which terminals will see
            object.__setattr__(self, name, cleaned(getattr(self, name)))

    # ---- what the file held ----

    @property
    def train_loss(self) -> np.ndarray | None:
        return self.surfaces.get("train_loss")

    @property
    def test_loss(self) -> np.ndarray | None:
        return self.surfaces.get("test_loss")

    @property
    def train_acc(self) -> np.ndarray | None:
        return self.surfaces.get("train_acc")

    @property
    def test_acc(self) -> np.ndarray | None:
        return self.surfaces.get("test_acc")

    @property
    def x(self) -> np.ndarray:
        return self.axes[0]

    @property
    def y(self) -> np.ndarray | None:
        """Second coordinates, None on a line."""
        return self.axes[1] if len(self.axes) > 1 else None

    @property
    def z(self) -> np.ndarray | None:
        """Third coordinates, None on a line or a plane."""
        return self.axes[2] if len(self.axes) > 2 else None

    @property
    def ndim(self) -> int:
        return len(self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """(ny, nx); (nx,) on a line, (nz, ny, nx) in space."""
        return self.loss.shape

    @property
    def file(self) -> str:
        """Name of the file, as a terminal or a page may show it."""
        return printable(os.path.basename(self.path))

    @property
    def name(self) -> str:
        """The same without its ending."""
        return os.path.splitext(self.file)[0]

    @cached_property
    def spacing(self) -> tuple[float, ...]:
        """Mean distance of neighbouring samples along (x, y)."""
        return tuple(float((a[-1] - a[0]) / (a.size - 1)) for a in self.axes)

    @property
    def wraps(self) -> tuple[bool, ...] | None:
        """`periodic` in the order of the axes of the arrays, (z, y, x); None where no axis closes on
        itself."""
        return tuple(map(bool, self.periodic))[::-1] if any(self.periodic) else None

    @cached_property
    def is_uniform(self) -> bool:
        return all(np.abs(np.diff(a) - h).max() <= 1e-6 * h for a, h in zip(self.axes, self.spacing))

    @cached_property
    def edges(self) -> tuple[np.ndarray, ...]:
        """Faces of the cells whose centres are the samples: half way between them, and as far beyond the
        outermost."""
        faces = []
        for a, h in zip(self.axes, self.spacing):
            if self.is_uniform:
                faces.append(a[0] + h * (np.arange(a.size + 1) - 0.5))
            else:
                middle = (a[1:] + a[:-1]) / 2
                faces.append(np.r_[2 * a[0] - middle[0], middle, 2 * a[-1] - middle[-1]])
        return tuple(faces)

    @cached_property
    def volumes(self) -> np.ndarray:
        """Lengths, areas or volumes of the cells, of the shape of `loss`."""
        v = np.diff(self.edges[0])
        for e in self.edges[1:]:
            v = np.multiply.outer(np.diff(e), v)
        return v

    def point(self, index: tuple[int, ...]) -> np.ndarray:
        """Coordinates (x, y) of the cell [iy, ix]."""
        return np.array([a[i] for a, i in zip(self.axes, tuple(index)[::-1])])

    def index(self, point: ArrayLike) -> tuple[int, ...]:
        """[iy, ix] of the cell that holds a point (x, y); ValueError outside the box."""
        point = checks.points("point", np.atleast_1d(point), self.ndim)
        found = []
        for k, (e, v) in enumerate(zip(self.edges, point)):
            if self.periodic and self.periodic[k]:
                v = e[0] + (v - e[0]) % (e[-1] - e[0])
            if not e[0] <= v <= e[-1]:
                raise ValueError(f"the point {point.tolist()} is outside the landscape: axis {'xyz'[k]} "
                                 f"covers {e[0]:g} to {e[-1]:g}.")
            found.append(int(min(np.searchsorted(e, v, side="right") - 1, e.size - 2)))
        return tuple(found[::-1])

    # ---- validity ----

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of valid, unfinished and diverged cells."""
        return {"valid": int(self.valid.sum()), "unfinished": int(self.unfinished.sum()),
                "diverged": int(self.diverged.sum())}

    n_valid = property(lambda self: self.counts["valid"])
    n_unfinished = property(lambda self: self.counts["unfinished"])
    n_diverged = property(lambda self: self.counts["diverged"])

    def n_components(self, neighbours: int = 8) -> int:
        """Number of connected sets of valid cells."""
        return int(components(self.valid, neighbours, self.wraps).max(initial=-1)) + 1

    @cached_property
    def minimum_index(self) -> tuple[int, ...]:
        """[iy, ix] of the lowest valid cell, the first one when several are equal."""
        if not self.valid.any():
            raise ValueError("the landscape has no valid cell.")
        return tuple(int(i) for i in np.unravel_index(int(np.nanargmin(self.loss)), self.shape))

    @property
    def refusal(self) -> str | None:
        """Why the landscape may not be analysed, or None."""
        if not self.valid.any():
            return "the surface has no valid cell"
        if self.allow_partial or not self.unfinished.any():
            return None
        share = self.n_unfinished / self.loss.size
        reasons = []
        if share > MAX_UNFINISHED:
            reasons.append(f"{self.n_unfinished} of {self.loss.size} cells ({100 * share:.0f} %) were never "
                           "computed")
        lowest = self.valid & (self.loss == self.loss[self.minimum_index])
        if (neighbourhood(self.unfinished, 8, self.wraps) & lowest).any():
            where = list(self.minimum_index)
            reasons.append(f"the lowest cell {where} touches cells that were never computed, so the minimum "
                           "itself may be missing")
        if not reasons:
            return None
        coarse = next((k for k in (2, 4, 8, 16)
                       if not self.unfinished[(slice(None, None, k),) * self.ndim].any()), None)
        remedy = ("" if coarse is None else f", or read each {coarse}th sample (every={coarse}), which are "
                  "all there")
        return (" and ".join(reasons) + "; finish the computation, or pass allow_partial=True "
                f"(--allow-partial) to analyse what is there{remedy}")

    # ---- what follows from the samples ----

    @cached_property
    def noise(self) -> Noise:
        """Noise of the evaluations, from differences of high order or the file's standard errors."""
        return noise_of(self)

    @cached_property
    def outliers(self) -> np.ndarray:
        """How far single samples lie above what their neighbours predict; 0 where nothing stands out."""
        return outliers(self)

    def minima(self, neighbours: int = 8) -> tuple[Minimum, ...]:
        """Grid minima, lowest first: plateau-connected valid cells without a strictly lower valid neighbour.

        Parameters
        ----------
        neighbours : {8, 4}
            Cells that touch at a corner are neighbours, or are not (in space: 26 or 6 neighbours).

        Returns
        -------
        minima : tuple of Minimum
            With `.index` (iy, ix), `.value`, `.x` (plane coordinates), `.touches_edge`, `.touches_invalid`.
        """
        return self.merge_tree(neighbours).minima(self)

    def merge_tree(self, neighbours: int = 8) -> MergeTree:
        """Merge tree of the sublevel sets (elder rule), a sequence of branches, lowest first.

        Each branch has `.index` (iy, ix), `.minimum`, `.death` and `.saddle_index` (None for the root of a
        component) and `.persistence`. Values are samples of the file, bit for bit.
        """
        cache = self.__dict__.setdefault("_trees", {})
        if neighbours not in cache:
            cache[neighbours] = merge_tree(self.loss, self.valid, neighbours, self.wraps)
        return cache[neighbours]

    def gibbs_weights(self, theta: float) -> np.ndarray:
        """Normalised weights exp(-f/theta) over the valid cells, each cell counting one; 0 elsewhere."""
        theta = checks.number("theta", theta, positive=True)
        if not self.valid.any():
            raise ValueError("the landscape has no valid cell, so there is no Gibbs distribution.")
        f = self.loss[self.valid]
        with np.errstate(over="ignore", under="ignore"):
            w = np.exp(-((f - f.min()) / theta))
            w /= w.sum()
        weights = np.zeros(self.shape)
        weights[self.valid] = w
        return weights

    def gibbs_mean(self, theta: float, of: str | ArrayLike | Landscape | None = None) -> float:
        """Mean over the Gibbs distribution exp(-f/theta) of the valid cells, every valid cell weighing one.

        Parameters
        ----------
        theta : float
            Temperature, in units of the loss.
        of : str, ndarray or Landscape, optional
            What is averaged: a dataset of the file ("test_loss"), an array of the same shape, or another
            landscape on the same axes. Default: the analysed loss itself.

        Returns
        -------
        mean : float

        Raises
        ------
        ValueError
            When a cell of weight above 1e-12 has no value of `of`.
        """
        values = self._values(of)
        weights = self.gibbs_weights(theta)
        known = np.isfinite(values)
        missing = float(weights[~known].sum())
        if missing > MISSING_WEIGHT:
            raise ValueError(f"a Gibbs weight of {missing:.2g} lies on cells without a value; the mean would "
                             "be about something else.")
        with np.errstate(under="ignore", over="ignore"):
            picked = weights[known]
            return float((np.where(picked > 0, values[known], 0.0) * picked).sum() / picked.sum())

    def _values(self, of):
        if of is None:
            return self.loss
        if isinstance(of, str):
            checks.choice("of", of, self.surfaces)
            return self.surfaces[of]
        if isinstance(of, Landscape):
            if of.shape != self.shape or not all(np.allclose(a, b) for a, b in zip(of.axes, self.axes)):
                raise ValueError("the two landscapes are not on the same axes.")
            return of.loss
        values = np.asarray(of, float)
        if values.shape != self.shape:
            raise ValueError(f"the values have shape {values.shape}, expected {self.shape} as the landscape "
                             "(index [iy, ix]).")
        return values

    def height(self, share: float) -> float:
        """How far the quantile `share` of the valid losses lies above the lowest one."""
        f = self.loss[self.valid]
        return float(np.quantile(f, share) - f.min())

    def potential(self, ceiling: float | None = None) -> GridPotential:
        """The loss as a `GridPotential` on axes (x, y): a C2 spline through the samples, transposed to index
        [ix, iy].

        Parameters
        ----------
        ceiling : float, optional
            Above it the loss is compressed, f -> c + a log(1 + (f - c)/a) with a the ceiling's height above
            the minimum. Default: none, except that a surface whose largest value is more than 1e8 times its
            median height (real ones reach 1e35) is compressed above 1000 times the height of its lower
            quartile, since a spline in double precision would otherwise lose the small values altogether.

        Notes
        -----
        Invalid cells are NaN, walls of the potential. Below the ceiling the samples are met to rounding;
        between them the spline is a guess of order h^4, and it may swing below its samples at the foot of a
        cliff.
        """
        if not self.is_uniform:
            raise ValueError("the coordinates are not evenly spaced, and a spline potential needs even "
                             "spacing; resample the surface.")
        f = self.loss
        if ceiling is None and self.height(0.25) > 0 and (np.nanmax(f)
                                                          - np.nanmin(f)) > SPLINE_RANGE * self.height(0.5):
            ceiling = np.nanmin(f) + 1000 * self.height(0.25)
        return GridPotential(self.axes, np.ascontiguousarray(compressed(f, ceiling).T))

    # ---- writing ----

    def save(self, path: str | os.PathLike) -> str:
        """Write the landscape to a file, the kind told by the ending; its path.

        .h5, .hdf5: fpkit's schema 1.0, with everything that was read, also under names that fpkit does not
        know; .nc: netCDF with the surfaces, the metric and the periodic axes. The others keep the samples
        alone: .npz: Landscaper's layout, `loss` with its first index along x, and `coordinates` (axes of
        different sizes: x, y and loss[y, x]); .csv: rows x, y and every surface; .vtk, .vti, .vts:
        rectilinear, image and structured grids for ParaView; a name without ending: a folder of topsearch's
        text files with the minima and saddles.
        """
        from ..files.saving import save

        return save(self, path)

    # ---- showing ----

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary (strict JSON) of what is in the file."""
        counts, out = self.counts, {}
        out |= {"file": self.path, "key": self.key, "surfaces": sorted(self.surfaces),
                "shape": list(self.shape), "cells": counts}
        for name, a, h in zip("xyz", self.axes, self.spacing):
            out[name] = {"low": float(a[0]), "high": float(a[-1]), "samples": int(a.size), "spacing": h}
        if self.valid.any():
            f = self.loss[self.valid]
            out["minimum"] = {"value": float(f.min()), "index": list(self.minimum_index),
                              "point": self.point(self.minimum_index).tolist()}
            out["maximum"] = float(f.max())
            out["components"] = self.n_components()
            out["minima"] = {"neighbours_8": len(self.merge_tree(8)), "neighbours_4": len(self.merge_tree(4))}
        out["periodic"] = list(self.periodic)
        out["gram"] = None if self.gram is None else self.gram.tolist()
        out["trajectory"] = None if self.trajectory is None else {"points": len(self.trajectory),
                                                                  "first": self.trajectory[0].tolist(),
                                                                  "last": self.trajectory[-1].tolist()}
        if self.temperature is not None:
            out["temperature"] = {k: v.tolist() if hasattr(v, "tolist") else v for k,
                                  v in self.temperature.items()}
        out["meta"], out["warnings"] = self.meta, list(self.warnings)
        return out

    def _columns(self):
        shape = self.loss.shape
        along = {name: np.broadcast_to(axis.reshape([-1 if k == a else 1 for a in range(len(shape))]), shape)
                 for name, axis, k in zip("xyz", self.axes, reversed(range(len(shape))))}
        surfaces = {n: s for n, s in self.surfaces.items() if np.shape(s) == shape}
        return {name: np.ravel(a) for name, a in {**along, "loss": self.loss, **surfaces}.items()}

    def _labelled(self):
        names = tuple("xyz"[:len(self.axes)])[::-1]
        arrays = {"loss": (names, self.loss), "valid": (names, self.valid)}
        arrays |= {n: (names, s) for n, s in self.surfaces.items() if np.shape(s) == self.loss.shape}
        return arrays, {name: ((name,), axis) for name, axis in zip("xyz", self.axes)}

    def _picture(self):
        if len(self.axes) == 1:
            return curves([(self.x, self.loss)])
        surface = self.loss if self.loss.ndim == 2 else self.loss[len(self.loss) // 2]
        top = np.nanquantile(surface, 0.6) if np.isfinite(surface).any() else 0.0
        return colour_map(np.minimum(surface, top).T)

    def summary(self) -> str:
        """The facts of the file as a few lines of text."""
        c = self.counts
        lines = [f"{self.file}: {self.key} on {' x '.join(str(n) for n in self.shape[::-1])} samples, "
                 + ", ".join(f"{n} {a[0]:g} to {a[-1]:g}" for n, a in zip("xyz", self.axes))]
        lines.append(f"  cells: {c['valid']} valid, {c['unfinished']} unfinished, {c['diverged']} diverged")
        if self.valid.any():
            lines.append(f"  loss: {np.nanmin(self.loss):.6g} at {list(self.minimum_index)} "
                         f"to {np.nanmax(self.loss):.6g}; {len(self.merge_tree(8))} minima (8 neighbours), "
                         f"{len(self.merge_tree(4))} (4 neighbours)")
        lines.append("  metric: " + ("none, times in arbitrary units" if self.gram is None
                                     else "Gram matrix of the directions in the file"))
        lines += [f"  - {w}" for w in self.warnings]
        return "\n".join(lines)

    __repr__ = summary


def compressed(loss, ceiling):
    """`loss` with everything above the ceiling replaced by c + a log(1 + (f - c)/a), slope one at c; NaN
    stays."""
    if ceiling is None:
        return loss
    a = ceiling - np.nanmin(loss)
    if not a > 0:
        raise ValueError(f"the ceiling {ceiling:g} must be above the lowest loss {np.nanmin(loss):g}.")
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(loss > ceiling, ceiling + a * np.log1p(np.maximum(loss - ceiling, 0) / a), loss)
