"""Analyse a loss landscape: wells, free energies, rates between wells, a density and paths from the start
point."""
from __future__ import annotations

import os
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ...core.calls import understood
from ...core.views.tables import Tabular, coordinate_names
from ..files.checked_hdf5 import LandscapeFormatError
from ..files.reading import read_landscape
from ..report.findings import Finding, answers, as_text, findings
from ..report.progress import stages
from ..report.report import as_dict, save
from ..report.verdict import verdict
from ..surface.cells import components
from ..surface.landscape import Landscape
from ..surface.wells import Again, default_temperatures, find_wells, reach_of, seen_again
from .caveats import caveats
from .dynamics import dynamics, plane_mobility
from .kinetics import Agreement, Rates, agreement, kinetics
from .sgd_noise import SGDState, sgd_state
from .thermodynamics import (
    THIN_WELL,
    Thermodynamics,
    crossover_temperatures,
    gibbs_risk,
    test_noise,
    thermodynamics,
)
from .training import training_path
from .whole_space import WholeSpace, beside_the_plane

__all__ = ["analyse", "LandscapeReport"]

N_CURVE = 121                        # temperatures of the curves in the figures
HUGE = 1e100                         # losses and distances beyond are refused: their squares overflow
COLDEST = 1e-12                      # of the height of a surface: the lowest temperature that is taken


@understood
def analyse(landscape: Landscape | str | os.PathLike, theta: ArrayLike | None = None,
            start: ArrayLike | None = None, seed: int = 1, n_paths: int = 400, allow_partial: bool = False,
            directions: str | os.PathLike | None = None, trajectory: str | os.PathLike | None = None,
            lr: float | None = None, momentum: float | None = None, batch: float | None = None,
            n_steps: int | None = None, progress: bool | None = None,
            executor: Executor | None = None, whole_space: Any = None) -> LandscapeReport:
    """Wells of a loss landscape, their free energies, the rates between them, and the diffusion from a start
    point.

    Parameters
    ----------
    landscape : Landscape or path
    theta : float or sequence of float, optional
        Temperatures, in units of the loss. Default: a dozen, log-spaced from a tenth of the smallest depth of
        a well that counts to a third of the largest; for a single well from a hundredth to a third of the
        height of the lower quartile of the surface.
    start : (x, y), optional
        Start of the density and of the paths. Default: the first point of the file's trajectory, else the
        origin of the plane, else (with a warning) the valid cell nearest to them.
    seed : int
        Of the paths.
    n_paths : int
    allow_partial : bool
        Analyse a surface that was not computed to the end.
    directions : path, optional
        File of the directions of the plane, for its Gram matrix: without that, and without one in the surface
        file, all times are in arbitrary units, and the report says so.
    trajectory : path, optional
        Projection file with the optimiser's path. Both go to `read_landscape`, so they want a path as
        `landscape`.
    lr, momentum, batch : float, optional
        Learning rate, momentum and batch size of the optimiser. One step takes the time lr/(1 - momentum),
        and times are given in steps too. Default: what the file tells.
    n_steps : int, optional
        Length of a training run: the report says what has happened by then. Needs `lr`.
    whole_space : SolutionComparison, optional
        Free energies of the plane's solutions (named A, B, C, ...) in the space of all parameters, from
        `fpkit.compare_solutions`; default: what the file holds.
    progress : bool, optional
        A line on standard error that says what is being done; default on a terminal.
    executor : concurrent.futures.Executor, optional
        The rates of each temperature are a job for its workers.

    Returns
    -------
    LandscapeReport

    Raises
    ------
    LandscapeFormatError
        When the file cannot be read, or may not be analysed.

    Examples
    --------
    >>> import os, tempfile
    >>> from fpkit.landscapes.files.writing import write_landscape
    >>> x, y = np.linspace(-1.5, 1.5, 25), np.linspace(-1, 1, 17)
    >>> path = os.path.join(tempfile.mkdtemp(), "two_wells.h5")
    >>> _ = write_landscape(path, x, y, {"train_loss": (x**2 - 1)**2 + 0.2*x + y[:, None]**2})
    >>> report = fp.analyse(path, theta=[0.05, 0.1])
    >>> [w.index for w in report.wells], report.occupation.shape
    ([(8, 4), (8, 20)], (2, 2))
    """
    land = landscape
    if not isinstance(land, Landscape):
        if not isinstance(landscape, (str, os.PathLike)):
            raise TypeError("analyse takes a Landscape or the path of a file, got "
                            f"{type(landscape).__name__}.")
        land = read_landscape(landscape, allow_partial=allow_partial, directions=directions,
                              trajectory=trajectory)
        if not isinstance(land, Landscape):
            raise LandscapeFormatError(os.fspath(landscape), None, "this is a network of minima and passes "
                                       "without a surface, so there is nothing to weigh")
    elif directions is not None or trajectory is not None:
        raise ValueError("directions and trajectory belong to a file that is still to be read; pass them to "
                         "fpkit.read_landscape.")
    refusal = land.refusal
    if refusal and not (allow_partial and land.valid.any()):
        raise LandscapeFormatError(land.path, land.key, refusal)
    _check_sizes(land)
    clock = Clock.of(land, lr, momentum, batch, n_steps)
    told = stages(progress, 4 if land.gradient_noise is None else 5)
    told("wells")
    tree = land.merge_tree()
    thetas, theta_rule = _temperatures(land, tree, theta, clock)
    wells, basins = find_wells(land, tree, thetas[0])
    told("occupation and free energies")
    thermo = thermodynamics(land, wells, basins, thetas)
    scanned = (np.geomspace(thetas[0] / 100, thetas[-1], 80) if theta is None
               else np.geomspace(thetas[0], thetas[-1], 40) if thetas.size > 1 else thetas)
    crossings = crossover_temperatures(land, wells, basins, scanned)
    fine = thetas if thetas.size == 1 else np.geomspace(min([thetas[0], *(c.theta / 2 for c in crossings)]),
                                                        thetas[-1], N_CURVE)
    curves = thermo if thetas.size == 1 else thermodynamics(land, wells, basins, fine, with_means=False)
    x0, start_rule, warnings = _start(land, start)
    told("density and paths")
    motion = dynamics(land, wells, basins, thetas, x0, seed, checks.whole("n_paths", n_paths, 2),
                      reach=reach_of(land), wanted=clock.theta)
    told("rates between the wells")
    rates = kinetics(land, wells, basins, thetas, x0, plane_mobility(land),
                     None if motion is None else motion.theta, executor, told.within)
    k = int(np.argmin(np.abs(thetas - clock.theta))) if clock.theta else thetas.size // 2
    if land.gradient_noise is not None:
        told("SGD with its own noise")
    own = sgd_state(land, wells, basins, clock)
    told(None)
    path = training_path(land, wells, basins, thetas[k], thermo.occupation[k])
    found = caveats(land, wells, thermo, THIN_WELL, rates)
    return LandscapeReport(land, thetas, theta_rule, wells, basins, thermo, crossings, x0,
                           start_rule, motion, found, (*land.warnings, *warnings), seed, curves, rates, clock,
                           gibbs_risk(land, fine), path, None if whole_space is None
                           else whole_space.summary(), own)


@dataclass(frozen=True)
class Clock:
    """What is known of the optimiser: how much time a step takes, and at which temperature its noise is.

    Attributes
    ----------
    lr, momentum, batch : float or None
    n_steps : int or None
    theta : float or None
        Temperature of the SGD noise in the plane, trace(T)/ndim of the tensor in the file, scaled to the
        learning rate and batch asked for.
    """
    lr: float | None = None
    momentum: float = 0.0
    n_steps: int | None = None
    theta: float | None = None
    batch: float | None = None

    @classmethod
    def of(cls, land: Landscape, lr: float | None = None, momentum: float | None = None,
           batch: float | None = None, n_steps: int | None = None) -> Clock:
        told = land.temperature or {}
        lr_was, batch_was, momentum_was = (_positive(told.get(k)) for k in ("lr", "batch", "momentum"))
        momentum_was = momentum_was or 0.0
        lr = lr_was if lr is None else checks.number("lr", lr, positive=True)
        momentum = momentum_was if momentum is None else checks.number("momentum", momentum)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be at least 0 and below 1, got {momentum:g}.")
        batch = batch_was if batch is None else checks.number("batch", batch, positive=True)
        if n_steps is not None:
            n_steps = checks.whole("n_steps", n_steps, 1)
            if lr is None:
                raise ValueError("n_steps needs the learning rate, lr=... (--lr): a step takes the time "
                                 "lr/(1 - momentum).")
        theta, tensor = None, told.get("tensor")
        if tensor is not None and np.isfinite(np.asarray(tensor, float)).all():
            theta = float(np.trace(np.atleast_2d(np.asarray(tensor, float)))) / land.ndim
            if lr_was and lr:
                theta *= (lr / (1 - momentum)) / (lr_was / (1 - momentum_was))
            if batch_was and batch:
                theta *= batch_was / batch
        return cls(lr, momentum, n_steps, theta if theta and theta > 0 else None, batch)

    @property
    def step(self) -> float | None:
        """Time of one step, lr/(1 - momentum), or None."""
        return None if self.lr is None else self.lr / (1 - self.momentum)

    def to_dict(self) -> dict[str, Any]:
        return {"lr": self.lr, "momentum": self.momentum, "n_steps": self.n_steps, "time_per_step": self.step,
                "batch": self.batch, "sgd_theta": self.theta}


def _positive(value):
    return float(value) if isinstance(value, (int, float)) and np.isfinite(value) and value > 0 else None


def _check_sizes(land):
    """Refuse losses and coordinates whose squares and quotients no double holds."""
    sizes = {"lower half of the losses": land.height(0.5) if land.valid.any() else 0.0,
             **{f"samples along {n}": float(h) for n, h in zip("xyz", land.spacing)}}
    for name, size in sizes.items():
        if size and not 1 / HUGE < size < HUGE:
            raise ValueError(f"the {name} {'are' if 'samples' in name else 'spans'} {size:.3g}"
                             f"{' apart' if 'samples' in name else ''}; from {1 / HUGE:g} to {HUGE:g} can be "
                             "worked with: give them in another unit.")


def _temperatures(land, tree, theta, clock):
    if theta is None:
        thetas, said = default_temperatures(land, tree)
        if clock.theta is not None and not np.isclose(thetas, clock.theta, rtol=1e-9, atol=0.0).any():
            thetas, said = (np.sort(np.r_[thetas, clock.theta]),
                            f"{said}, and the temperature of the SGD noise ({clock.theta:.3g})")
        return thetas, said
    given = np.atleast_1d(np.asarray(theta, float)) if not isinstance(theta, (str, bytes, bool)) else None
    if given is None or given.ndim != 1 or given.size == 0:
        raise TypeError(f"theta must be a temperature or a list of them, got {checks.shown(theta)}.")
    given = np.array(sorted({checks.number("theta", float(t), positive=True) for t in given}))
    losses = land.loss[land.valid]
    rise = float(np.quantile(losses, 0.25) - losses.min())       # what is blown up does not count
    if given[0] < COLDEST * rise:
        raise ValueError(f"theta = {given[0]:g} is below {COLDEST:g} of the height of this surface "
                         f"({rise:.3g}): at such a temperature nothing moves but downhill; take a larger "
                         "one, or fpkit.gradient_flow.")
    return given, "as asked"


def _start(land, start):
    """The start point, where it comes from, and warnings."""
    if start is not None:
        x0 = checks.points("start", np.atleast_1d(start), land.ndim)
        index = land.index(x0)
        if not land.valid[index]:
            near = land.point(_nearest_valid(land, x0))
            raise ValueError(f"the start {x0.tolist()} lies in a cell without a loss; the nearest one with a "
                             f"loss is at {near.tolist()}.")
        return x0, "as asked", ()
    wishes = []
    if land.trajectory is not None:
        wishes.append((land.trajectory[0], "the first point of the trajectory"))
    wishes.append((np.zeros(land.ndim), f"the origin of the {('line', 'plane', 'box')[land.ndim - 1]}"))
    for point, name in wishes:
        try:
            if land.valid[land.index(point)]:
                return np.array(point, float), name, ()
        except ValueError:
            pass                                          # outside the box
    point, name = wishes[0]
    x0 = land.point(_nearest_valid(land, point))
    return (x0, f"the valid cell nearest to {name}",
            (f"{name[0].upper() + name[1:]} has no loss there, so the diffusion starts at the nearest valid "
             f"cell {np.round(x0, 6).tolist()}; give start=... (--start) for another.",))


def _nearest_valid(land, point):
    scale = np.array([a[-1] - a[0] for a in land.axes])
    cells = np.argwhere(land.valid)
    x = np.stack([a[i] for a, i in zip(land.axes, cells.T[::-1])], axis=-1)
    return tuple(int(i) for i in cells[np.argmin((((x - point) / scale) ** 2).sum(axis=1))])


@dataclass(frozen=True, repr=False, eq=False)
class LandscapeReport(Tabular):
    """The analysis of one landscape; `save(folder)` writes the page, `to_dict()` is its JSON.

    Attributes
    ----------
    landscape : Landscape
    theta : ndarray (n_theta,)
        Temperatures, ascending.
    theta_rule : str
        Where they come from.
    wells : tuple of Well
        Minima whose depth exceeds 3 theta at the lowest temperature, the lowest first.
    basins : ndarray of int, shape of the landscape
        Place in `wells` of the well that each cell belongs to; -1 for invalid cells.
    thermodynamics : Thermodynamics
        Occupation, E, F, S of each basin at each temperature.
    crossovers : tuple of Crossover
        Temperatures at which two wells are equally occupied while both exist.
    start, start_rule
        Where density and paths start, and why there.
    dynamics : Dynamics or None
        Density and paths at one temperature.
    caveats : tuple of Caveat
    warnings : tuple of str
    seed : int
    curves : Thermodynamics
        The same as `thermodynamics` at many temperatures in between, for drawing.
    rates : tuple of Rates
        Rates, slow modes and first-passage times, one entry a temperature; empty where there is no dynamics.
    clock : Clock
        Time of a step and temperature of the optimiser, as far as known.
    risk : Risk or None
        Training and test loss against temperature.
    training : TrainingPath or None
        The optimiser's own path.
    sgd : SGDState or None
        What SGD settles to with the gradient noise in the file, beside Gibbs.
    """
    landscape: Landscape
    theta: np.ndarray
    theta_rule: str
    wells: tuple
    basins: np.ndarray
    thermodynamics: Thermodynamics
    crossovers: tuple
    start: np.ndarray
    start_rule: str
    dynamics: object
    caveats: tuple = ()
    warnings: tuple = ()
    seed: int = 1
    curves: Thermodynamics | None = None
    rates: tuple = ()
    clock: Clock = Clock()
    risk: object = None
    training: object = None
    given_whole_space: dict | None = None
    sgd: SGDState | None = None

    @cached_property
    def whole_space(self) -> tuple[WholeSpace, ...]:
        """Differences of free energies in the space of all parameters beside those of the plane; empty where
        the model was not given."""
        summary = self.given_whole_space or (self.landscape.meta.get("meta") or {}).get("whole_space")
        return beside_the_plane(summary, self.solutions, self.free_energies)

    @cached_property
    def agreement(self) -> Agreement | None:
        """`Agreement` of the network of wells with the density over time; None where there is none of the
        two."""
        return None if self.dynamics is None else agreement(self.rates_at(self.dynamics.theta), self.dynamics,
                                                            self.wells)

    def rates_at(self, theta: float) -> Rates | None:
        """`Rates` at one of the temperatures (the nearest); None where there are none."""
        return min(self.rates, key=lambda r: abs(np.log(r.theta / theta))) if self.rates else None

    @property
    def occupation(self) -> np.ndarray:
        """Gibbs probability of each well, (n_theta, n_wells)."""
        return self.thermodynamics.occupation

    def free_energies(self, theta: float) -> np.ndarray:
        """Free energy of each well of the plane at any temperature, in units of the loss, (n_wells,)."""
        found = thermodynamics(self.landscape, self.wells, self.basins, [theta], with_means=False)
        return found.free_energy[0]

    @property
    def flags(self) -> tuple[str, ...]:
        """Names of the caveats that apply."""
        return tuple(c.name for c in self.caveats)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of everything but pictures: strict JSON with stable keys (see
        `fpkit.landscapes.report.report`)."""
        return as_dict(self)

    def save(self, folder: str | os.PathLike, svg: bool = False, progress: bool | None = None) -> Path:
        """Write index.html, report.json and the figures (PNG, with `svg` also SVG) to a folder; returns the
        path of the page. `progress` as in `analyse`."""
        return save(self, folder, svg, progress)

    def animate(self, path: str | os.PathLike, n_frames: int = 60, fps: int = 6) -> Path:
        """Write the density on its way from the start to equilibrium as a film of at most `n_frames` times,
        .gif, or .mp4 where ffmpeg is installed; returns the path."""
        from ...plotting.animation import is_animation, save_animation
        from ...plotting.landscape_animation import moving_landscape

        if not is_animation(path):
            raise ValueError(f"a film is written as .gif or .mp4, got {os.fspath(path)!r}.")
        return Path(save_animation(moving_landscape(self, n_frames), path, fps))

    def verdict(self) -> str:
        """The whole in one paragraph of plain words."""
        return verdict(self)

    @property
    def solutions(self) -> list[tuple[str, np.ndarray, int]]:
        """Known solutions that the plane was made of: (name, point, number of the well, 0 outside)."""
        plane = (self.landscape.meta.get("meta") or {}).get("plane")
        points = plane.get("points") if isinstance(plane, dict) else None
        if not isinstance(points, list) or "checkpoints" in str(plane.get("kind")):
            return []
        found = []
        for n, point in enumerate(points[:26]):
            try:
                at = np.array(point, float)
                well = int(self.basins[self.landscape.index(at)]) + 1
            except (TypeError, ValueError):
                continue                                 # foreign text, or outside the box
            found.append((chr(ord("A") + n), at, well))
        return found

    @cached_property
    def seen_again(self) -> Again:
        """Whether the wells are there again on a finer surface."""
        return seen_again(self.landscape, self.wells, float(self.theta[0]))

    @cached_property
    def cut_off(self) -> tuple[int, ...]:
        """Numbers of the wells with more than a hundredth of the probability at some temperature that samples
        without a loss cut off from the fullest well."""
        part = components(self.landscape.valid, 8, self.landscape.wraps)
        full = self.occupation.max(axis=0)
        home = part[self.wells[int(np.argmax(full))].index]
        return tuple(w.number for w, p in zip(self.wells, full) if p > 0.01 and part[w.index] != home)

    @cached_property
    def test_noise(self) -> float:
        """Standard deviation of the noise of the test loss, 0 where none is seen."""
        return test_noise(self.landscape)

    def answers(self) -> list[str]:
        """The findings as plain sentences, the most important first."""
        return answers(self)

    def findings(self) -> list[Finding]:
        """The same as `Finding`: topic, sentence, trust ("firm", "rough", "open") and why."""
        return findings(self)

    def _columns(self):
        names = coordinate_names(len(self.landscape.axes))
        columns = {"well": [w.number for w in self.wells], "minimum": [w.minimum for w in self.wells],
                   **{n: [float(w.x[k]) for w in self.wells] for k, n in enumerate(names)},
                   "depth": [w.persistence for w in self.wells], "cells": [w.n_cells for w in self.wells]}
        return columns | {f"occupation_at_{t:.3g}": row for t, row in zip(self.theta, self.occupation)}

    def _labelled(self):
        arrays, coordinates = self.landscape._labelled()
        wells = {name: (("theta", "well"), getattr(self.thermodynamics, name))
                 for name in ("occupation", "energy", "free_energy", "entropy")}
        basins = {"basin": (arrays["loss"][0], self.basins)}
        return {**arrays, **basins, **wells}, {**coordinates, "theta": (("theta",), self.theta),
                                               "well": (("well",), [w.number for w in self.wells])}

    def _picture(self):
        return self.landscape._picture()

    def __repr__(self):
        return as_text(self)
