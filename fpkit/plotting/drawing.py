"""Which figure belongs to which result; each function takes the result and returns a matplotlib Figure."""
from __future__ import annotations

import os
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import landscape_rates as more
from .animation import ANIMATED, FRAMES_PER_SECOND, is_animation, save_animation
from .answers import (
    currents_figure,
    flow_figure,
    passage_density_figure,
    quasi_stationary_figure,
    refinement_figure,
    spectrum_figure,
    stationary_figure,
    survival_figure,
)
from .fields import density_map, field, summed_over_last
from .full_space import solutions_figure, well_figure
from .landscape_animation import moving_landscape
from .landscape_rates import comparison_figure
from .landscapes import density_figure, landscape_figure, surface_figure, surfaces_figure
from .learning import DRAWN as OF_LEARNING
from .rates import arrhenius_figure, transition_figure
from .sgd_noise import sgd_figure
from .style import (
    COLOURS,
    DENSITY_MAP,
    FAINT,
    INK,
    figure,
    image_axes,
    in_style,
    line_style,
    save,
)
from .walkers import DRAWN as OF_WALKERS
from .wells import network_figure, path_figure, points_figure


def evolution(result):
    """Densities on the way to Gibbs, and the distance that is left."""
    grid, times = result.grid, np.asarray(result.times)
    gibbs = np.asarray(result.gibbs)
    if grid.ndim == 1:
        made, (axes, below) = figure(2, 1, width=15, height=15, height_ratios=[1.5, 1])
        shown = np.unique(np.linspace(0, len(times) - 1, min(5, len(times))).round().astype(int))
        for k, i in enumerate(shown):
            style = line_style(k) | {"marker": ""}
            axes.plot(grid.centres[0], result.densities[i], label=f"t = {_power(times[i])}", **style)
        axes.plot(grid.centres[0], gibbs, color=INK, linewidth=0.9, label="Gibbs")
        axes.set(xlabel="x", ylabel="density (1/length)", title=f"Density at temperature {_theta(result)}")
        axes.legend()
    else:
        shown = np.unique(np.linspace(0, len(times) - 1, min(3, len(times))).round().astype(int))
        made, rows = figure(2, len(shown) + 1, width=7 * (len(shown) + 1), height=14, height_ratios=[1.4, 1])
        pictures = [(f"t = {_power(times[i])}", result.densities[i]) for i in shown] + [("Gibbs", gibbs)]
        for axes, (title, values) in zip(rows[0], pictures):
            plane, flat = (grid, values) if grid.ndim == 2 else summed_over_last(grid, values)
            picture = density_map(axes, plane, flat)
            axes.set_title(title)
            made.colorbar(picture, ax=axes, location="bottom", label="density (1/area)", aspect=30)
        spec = rows[1][0].get_gridspec()
        for axes in rows[1]:
            axes.remove()
        below = made.add_subplot(spec[1, :])
        below.grid(True, color="#e4e4e4")
        below.spines[["top", "right"]].set_visible(False)
    distance = np.asarray(result.distance, float)
    shown = (distance > 0) & (times > 0)
    below.plot(times[shown], distance[shown], **line_style(0))
    floor = np.asarray(result.error, float)
    if np.ndim(floor) == 0:
        floor = np.full(len(times), float(floor))
    below.plot(times[shown], np.maximum(floor[shown], 1e-17), color=FAINT, linewidth=1, linestyle=":",
               label="stated error")
    below.set(xscale="log", yscale="log", xlabel="time t (length²/energy)",
              ylabel="half the L1 distance to Gibbs", title="Relaxation")
    below.legend()
    return made


def _power(t):
    """A number for a title: 1200, 0.05, 3.2 x 10^7."""
    if t == 0 or 1e-3 <= abs(t) < 1e4:
        return f"{t:.3g}"
    digits, exponent = f"{t:.2e}".split("e")
    return f"${float(digits):g} \\times 10^{{{int(exponent)}}}$" if float(
        digits) != 1 else f"$10^{{{int(exponent)}}}$"


def _theta(result):
    theta = result.inputs.get("theta", "?")
    return f"θ = {theta:g}" if isinstance(theta, (int, float)) else "θ(t)"


def potential(result, bounds=None, theta=None):
    """The potential in a box: a curve in 1D, contours in 2D, with the known minima and saddles."""
    bounds = bounds or getattr(result, "box", None) or result.bounds
    if bounds is None:
        raise ValueError("give bounds=[(low, high), ...]: this potential does not know its box.")
    if result.ndim == 1:
        made, axes = figure(width=14, height=8)
        x = np.linspace(*bounds[0], 801)
        axes.plot(x, result(x[:, None]), color=COLOURS[0])
        axes.set(xlabel="x", ylabel="f(x) (energy)")
    elif result.ndim == 2:
        made, axes = figure(width=13, height=10.5)
        x, y = (np.linspace(*b, 241) for b in bounds)
        values = result(np.stack(np.meshgrid(x, y, indexing="ij"), -1))
        values = values - np.nanmin(values)
        top = np.nanquantile(values, 0.6)
        picture = axes.contourf(x, y, np.minimum(values, top).T, levels=24, cmap=DENSITY_MAP)
        axes.contour(x, y, np.minimum(values, top).T, levels=12, colors="white", linewidths=0.4)
        image_axes(axes).set(xlabel="x", ylabel="y")
        made.colorbar(picture, ax=axes, label="f − min f (energy), cut at the 60 % quantile")
    else:
        raise ValueError(f"a potential of {result.ndim} coordinates has no picture; fix all but two of them.")
    for points, marker, name in ((result.minima, "o", "minimum"), (result.saddles, "X", "saddle")):
        if points:
            where = np.array([p.x for p in points])
            height = where[:, 1] if result.ndim == 2 else [p.value for p in points]
            axes.plot(where[:, 0], height, marker, color="white", markeredgecolor=INK, markersize=8,
                      label=name, linestyle="")
            axes.legend(loc="best")
    return made


def run(result, axis=0):
    """Saved paths against time, or the positions at the end when none were saved."""
    if result.paths is None:
        made, axes = figure(width=14, height=8)
        axes.hist(result.x[:, axis], bins="auto", density=True, color=COLOURS[0], edgecolor="white",
                  linewidth=0.3)
        axes.set(xlabel=f"coordinate {axis + 1}", ylabel="density (1/length)",
                 title=f"{result.x.shape[0]} paths at t = {result.times[-1]:.4g}")
        return made
    paths, times = result.paths, result.times
    made, axes = figure(width=16, height=8)
    for k in range(min(len(paths), 5)):
        axes.plot(times, paths[k, :, axis], linewidth=0.9, color=COLOURS[k % len(COLOURS)], alpha=0.9)
    axes.set(xlabel="time t (length²/energy)", ylabel=f"coordinate {axis + 1}",
             title=f"{min(len(paths), 5)} of {len(paths)} paths")
    return made


def sampled(result):
    """Histogram of the sampled density with its standard error."""
    if result.histogram is None:
        raise ValueError("no histogram was kept; call fpkit.sample(..., histogram=grid).")
    if result.histogram.grid.ndim != 1:
        return field(result.histogram, title="Sampled density")
    grid, values = result.histogram.grid, np.asarray(result.histogram.values)
    made, axes = figure(width=14, height=8)
    error = np.zeros_like(values) if result.histogram.error is None else np.broadcast_to(
        result.histogram.error, values.shape)
    axes.fill_between(grid.centres[0], values - 2 * error, values + 2 * error, step="mid", color=COLOURS[4],
                      alpha=0.5, label="± 2 standard errors")
    axes.stairs(values, grid.edges[0], color=COLOURS[0], label="paths")
    axes.set(xlabel="x", ylabel="density (1/length)", title="Sampled density")
    axes.legend()
    return made


def comparison(both):
    """Means and overlap of landscapes on one plane, else the surfaces side by side."""
    return comparison_figure(both) if both.difference is None else surfaces_figure(both)


DRAWN = {"Field": field, "Evolution": evolution, "Potential": potential, "Paths": run, "Statistics": sampled,
         "RatesTable": arrhenius_figure, "TransitionPicture": transition_figure,
         "LandscapeReport": landscape_figure, "Landscape": surface_figure,
         "Spectrum": spectrum_figure, "QuasiStationary": quasi_stationary_figure, "Currents": currents_figure,
         "StationaryState": stationary_figure, "FirstPassageDensity": passage_density_figure,
         "RefinementTable": refinement_figure, "ExitTime": survival_figure, "Flow": flow_figure,
         "CriticalPoints": points_figure, "EnergyPath": path_figure, "WellNetwork": network_figure,
         "LandscapeComparison": comparison, "WellFreeEnergy": well_figure,
         "SolutionComparison": solutions_figure, "SGDState": sgd_figure, **OF_LEARNING, **OF_WALKERS}


MOVING = {**ANIMATED, "LandscapeReport": moving_landscape}


def plot(result: Any, path: str | os.PathLike[str] | None = None, **options: Any) -> Figure:
    """Figure of any result of the package.

    Parameters
    ----------
    result : object
        A Potential, Field, Evolution, Spectrum, QuasiStationary, StationaryState, Currents,
        FirstPassageDensity, RefinementTable; Paths (of
        `simulate`), Statistics (of `sample`), ExitTime, Flow; CriticalPoints, EnergyPath, WellNetwork,
        RatesTable, TransitionPicture; Landscape, LandscapeReport, WellFreeEnergy,
        SolutionComparison; TrainingRun, Sweep, PassageTable or SgldRun.
    path : str or path, optional
        Where to save it: a picture (.png, .svg, .pdf), or an animation (.gif; .mp4 where ffmpeg is
        installed) of an Evolution, a LandscapeReport or Paths that were saved.
    **options
        Potential: ``bounds=[(low, high), ...]`` where it does not know its box. Field: ``title``; in space
        ``at=[x, y, z]``, where the three slices cross, and ``slices=True`` for a density, which is summed
        over each axis otherwise. Paths:
        ``axis``, the coordinate. Animations: ``frames_per_second``, 8 by default; there is one frame a time
        of the result.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    TypeError
        For anything that has no figure.

    Examples
    --------
    >>> V = fp.catalogue.double_well()
    >>> D = fp.FokkerPlanck(V, theta=0.2, grid=fp.Grid([(-2, 2)], shape=(100,)))
    >>> figure = fp.plot(D.gibbs)
    >>> figure.axes[0].get_xlabel()
    'x'
    """
    if is_animation(path):
        speed = options.pop("frames_per_second", FRAMES_PER_SECOND)
        with in_style():
            moving = _drawn(result, MOVING, "animation")(result, **options)
        save_animation(moving, path, speed)
        return moving.figure
    draw = _drawn(result, DRAWN, "figure")
    with in_style():
        made = draw(result, **options)
    if path is not None:
        save(made, path)
    return made


def _drawn(result, known, what):
    """The function that draws this kind of result."""
    kind = type(result)
    found = next((known[base.__name__] for base in kind.__mro__ if base.__name__ in known), None)
    if found is None:
        raise TypeError(f"there is no {what} of {kind.__name__}; known are {', '.join(sorted(known))}.")
    return found


def figures_of(report):
    """Name and drawing function of each figure that a report has; of a surface of noise, itself alone."""
    if report.landscape.noise.is_dominant:
        return {"landscape": lambda noise: surface_figure(noise.landscape)}
    found = {"landscape": landscape_figure, "occupation": more.occupation_figure}
    if len(report.wells) > 1:
        found["disconnectivity"] = more.disconnectivity_figure
    if report.dynamics is not None:
        found["density"] = density_figure
    if report.rates:
        found["rates"] = more.rates_figure
    if report.sgd is not None and report.sgd.status == "ok":
        found["sgd"] = sgd_figure
    if report.risk is not None:
        found["risk"] = more.risk_figure
    return found
