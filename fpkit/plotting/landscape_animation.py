"""The density of a landscape report as a film."""
from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from .animation import Animation
from .landscape_style import text_of
from .style import COLOURS, DENSITY_MAP, INK, figure, image_axes, in_style, mark_masked

LOWEST = -6.0                        # decades below the highest equilibrium density that are shown


def moving_landscape(report, n_frames=60):
    """The density of a `LandscapeReport` from where it begins to move to where it rests."""
    if report.dynamics is None:
        raise ValueError("the report has no density to animate: the samples are not evenly spaced.")
    with in_style():
        made, draw = (_line if report.landscape.ndim == 1 else _plane)(report)
        FigureCanvasAgg(made)
        made.get_layout_engine().execute(made)                  # once, and not for each frame
        made.set_layout_engine("none")
    places = _frames(report.dynamics, n_frames)
    return Animation(made, lambda k: draw(places[k]), len(places))


def _frames(motion, n):
    """Places of the times shown: as evenly as may be in the logarithm of time, from where the density begins
    to move to where it rests."""
    t, distance = motion.times, np.asarray(motion.distance)
    first = max(0, int(np.argmax(distance < 0.995 * distance[0])) - 1)
    rest = np.flatnonzero(distance < max(0.02, distance[-1]))
    last = int(rest[0]) if rest.size else len(t) - 1
    wanted = np.geomspace(t[first], t[max(last, first + 1)], n)
    places = sorted({int(np.argmin(np.abs(np.log(t / w)))) for w in wanted})
    return places


def _plane(report):
    """A map of the density (in space summed along z) and what changes from frame to frame."""
    motion, land = report.dynamics, report.landscape
    flat = (lambda u: np.nansum(u, axis=0) * land.spacing[2]) if land.ndim == 3 else (lambda u: u)
    valid = land.valid.any(axis=0) if land.ndim == 3 else land.valid
    top = np.nanmax(flat(motion.gibbs))

    def logs(values):
        with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
            return np.where(valid, np.clip(np.log10(np.maximum(flat(values), 0) / top), LOWEST, 0), np.nan)

    made, axes = figure(width=15, height=12.5)
    picture = axes.pcolormesh(*land.edges[:2], logs(motion.density[0]), cmap=DENSITY_MAP, vmin=LOWEST, vmax=0)
    mark_masked(axes, *land.edges[:2], ~valid.T)
    image_axes(axes).set(xlabel="x, coefficient of the first direction",
                         ylabel="y, coefficient of the second direction")
    axes.plot(*motion.start[:2], "*", color=COLOURS[1], markeredgecolor="white", markersize=12)
    for w in report.wells[:12]:
        axes.annotate(str(w.number), w.x[:2], ha="center", va="center", fontsize=8, fontweight="bold",
                      bbox={"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": INK})
    bar = made.colorbar(picture, ax=axes, ticks=[-6, -4, -2, 0], pad=0.015,
                        label="density / highest equilibrium density")
    bar.set_ticklabels(["10⁻⁶", "10⁻⁴", "10⁻²", "1"])
    title = axes.set_title(" ")

    def draw(k):
        picture.set_array(logs(motion.density[k]))
        title.set_text(_title(report, k))
    return made, draw


def _line(report):
    """The density over a line above its equilibrium."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    motion, edges = report.dynamics, report.landscape.edges[0]
    made, axes = figure(width=15, height=9)
    axes.stairs(motion.gibbs, edges, color=INK, linewidth=0.9, label="equilibrium", baseline=None)
    moving = axes.stairs(motion.density[0], edges, color=COLOURS[0], linewidth=1.7, label="density",
                         baseline=None)
    top = np.nanmax(motion.gibbs)
    axes.set(yscale="log", xlabel="x, coefficient of the direction", ylabel="probability / length",
             ylim=(10.0**LOWEST * top, 30 * max(top, np.nanmax(motion.density[len(motion.times) // 2]))),
             xlim=(edges[0], edges[-1]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: text_of(v)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper right", ncols=2)
    title = axes.set_title(" ")

    def draw(k):
        moving.set_data(motion.density[k])
        title.set_text(_title(report, k))
    return made, draw


def _title(report, k):
    motion = report.dynamics
    return f"Density at theta = {motion.theta:.3g}, t = {text_of(motion.times[k])}"


