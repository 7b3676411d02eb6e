"""Figures of a landscape report: the surface with wells and paths, the density over time."""

from dataclasses import replace

import numpy as np

from .landscape_style import DECADES, MOST_CURVES, _important, _name_ends, _short, _word, styled, text_of
from .style import (
    COLOURS,
    DASHES,
    DENSITY_MAP,
    INK,
    LOSS_MAP,
    MARKERS,
    figure,
    image_axes,
    literal,
    mark_masked,
)

SMALLEST_TICK = 1e-3                  # of the range, where losses have both signs: what is smaller is 0


@styled
def landscape_figure(report):
    """The surface with numbered wells, outlined basins, passes, the start and paths; on a line the loss
    itself."""
    return (_line_figure, _plane_figure, _space_figure)[report.landscape.ndim - 1](report)


@styled
def surface_figure(land):
    """A landscape alone: its loss, invalid cells hatched."""
    if land.ndim == 3:
        return _slices(land, land.minimum_index, _word(land.key))
    made, axes = figure(width=15, height=11.5 if land.ndim > 1 else 8.5)
    if land.ndim == 1:
        axes.plot(land.axes[0], land.loss, color=INK, linewidth=1.3, marker=".", markersize=3.5)
        _bands(axes, land)
        axes.set(xlabel="x, coefficient of the direction", ylabel="loss")
    else:
        scale, label = loss_scale(land)
        bar = made.colorbar(surface(axes, land, scale), ax=axes, label=label, pad=0.015)
        _contours(axes, land, scale)
        _scale_ticks(bar, land, scale)
        axes.set(xlabel="x, coefficient of the first direction",
                 ylabel="y, coefficient of the second direction")
    axes.set_title(_word(land.key))
    return made


@styled
def surfaces_figure(both):
    """The first surfaces of a comparison side by side, with the numbers of their wells."""
    reports = both.reports[:4]
    made, row = figure(1, len(reports), width=12.0 * len(reports), height=10.5, squeeze=False)
    for axes, report in zip(row[0], reports):
        land = report.landscape
        if land.ndim == 1:
            axes.plot(land.axes[0], land.loss, color=INK, linewidth=1.3)
            axes.set(xlabel="x", ylabel="loss")
            _bands(axes, land)
        else:
            if land.ndim == 3:
                cut = np.take(land.loss, land.minimum_index[0], 0)
                land = replace(land, axes=land.axes[:2], loss=cut, valid=np.isfinite(cut))
            scale, _ = loss_scale(land)
            bar = made.colorbar(surface(axes, land, scale), ax=axes, pad=0.015, label="loss")
            _scale_ticks(bar, land, scale)
            axes.set(xlabel="x", ylabel="y")
        for w in () if report.landscape.noise.is_dominant else report.wells[:MOST_CURVES]:
            at = w.x[:2] if land.ndim > 1 else (w.x[0], w.minimum)
            axes.annotate(str(w.number), at, ha="center", va="center", fontsize=8, fontweight="bold",
                          bbox={"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": INK},
                          zorder=6)
        axes.set_title(literal(report.landscape.name[:40]), fontsize=9.5)
    return made


def _plane_figure(report):
    land = report.landscape
    made, axes = figure(width=15.5, height=12.5)
    scale, label = loss_scale(land)
    picture = surface(axes, land, scale)
    _contours(axes, land, scale)
    _basins(axes, report)
    motion = report.dynamics
    if motion is not None and motion.paths is not None:
        paths = motion.paths
        ends = np.asarray(paths.ends)
        for k, trace in enumerate(paths.traces[:2]):
            over_seam = (np.abs(np.diff(trace, axis=0)) > [np.ptp(e) / 2 for e in land.edges]).any(axis=1)
            trace = np.insert(trace, np.flatnonzero(over_seam) + 1, np.nan, axis=0)
            axes.plot(trace[:, 0], trace[:, 1], color="white", linewidth=0.55, alpha=0.9, zorder=2.8,
                      label="two paths, first steps" if k == 0 else None)
        axes.plot(ends[:, 0], ends[:, 1], "o", color="white",
                  markersize=2.6, markeredgecolor=INK, markeredgewidth=0.35, zorder=3, linestyle="none",
                  label=f"{paths.n_paths} paths at t = {text_of(paths.times[-1])}")
    if land.trajectory is not None:
        axes.plot(*np.asarray(land.trajectory).T[:2], color=COLOURS[1], linewidth=1.2, marker=".",
                  markersize=3.5, zorder=3.5, label="trajectory in the file")
    for n, (name, point, _) in enumerate(report.solutions):
        axes.plot(*point, "D", color=COLOURS[2], markeredgecolor="white", markersize=9, zorder=4.5,
                  linestyle="none", label="known solutions" if n == 0 else None)
        axes.annotate(name, point, xytext=(7, 5), textcoords="offset points", fontsize=8.5, fontweight="bold",
                      color="white", zorder=7)
    drawn = [w for w in report.wells if w.saddle_x is not None]
    if drawn:
        axes.plot(*np.array([w.saddle_x for w in drawn]).T[:2], "x", color=INK, markersize=6.5,
                  markeredgewidth=2.6, zorder=4)
        axes.plot(*np.array([w.saddle_x for w in drawn]).T[:2], "x", color="white", markersize=5.5,
                  markeredgewidth=1.2, zorder=4, label="pass")
    axes.plot(*report.start[:2], "*", color=COLOURS[1], markeredgecolor="white", markersize=15,
              markeredgewidth=0.9, zorder=4.8, label="start")
    _numbers(axes, report)
    x, y = land.edges
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xlabel="x, coefficient of the first direction",
             ylabel="y, coefficient of the second direction")
    axes.set_title(f"{_word(land.key)} with its wells")
    bar = made.colorbar(picture, ax=axes, label=label, pad=0.015)
    bar.outline.set_linewidth(0.6)
    _scale_ticks(bar, land, scale)
    legend = made.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8.2)
    legend.get_frame().set(facecolor="#9a9a9a", alpha=1.0, linewidth=0)
    legend.set_frame_on(True)
    return made


def _slices(land, index, title, draw=None):
    """The three planes through a sample of a three-dimensional landscape; `draw(axes, kept)` adds to each."""
    made, row = figure(1, 3, width=21, height=7.5)
    scale, label = loss_scale(land)
    with np.errstate(invalid="ignore"):
        values = scale(land.loss)
    low, high = np.nanmin(values), np.nanmax(values)
    for axes, (across, kept) in zip(row, ((2, (0, 1)), (1, (0, 2)), (0, (1, 2)))):
        axis = 2 - across                                      # of the array (nz, ny, nx)
        cut = np.take(values, index[axis], axis)
        edges = [land.edges[k] for k in kept]
        picture = axes.pcolormesh(*edges, cut, cmap=LOSS_MAP, vmin=low, vmax=high, rasterized=True)
        mark_masked(axes, *edges, ~np.take(land.valid, index[axis], axis).T)
        image_axes(axes)
        names = "xyz"
        axes.set(xlabel=names[kept[0]], ylabel=names[kept[1]])
        axes.set_title(f"{title}, {names[across]} = {land.axes[across][index[axis]]:.3g}" if across == 2
                       else f"{names[across]} = {land.axes[across][index[axis]]:.3g}", fontsize=9.5)
        if draw is not None:
            draw(axes, kept)
    bar = made.colorbar(picture, ax=list(row), label=label.replace(" in its", "\nin its"), pad=0.01)
    _scale_ticks(bar, land, scale)
    return made


def _space_figure(report):
    """Three slices through the lowest well; wells, start and the ends of paths are seen from the side."""
    land, motion = report.landscape, report.dynamics

    def draw(axes, kept):
        if motion is not None and motion.paths is not None:
            axes.plot(*np.asarray(motion.paths.ends)[:, list(kept)].T, "o", color="white", markersize=2.2,
                      markeredgecolor=INK, markeredgewidth=0.3, zorder=3)
        axes.plot(*report.start[list(kept)], "*", color=COLOURS[1], markeredgecolor="white", markersize=13,
                  zorder=4)
        size = np.array([np.ptp(land.axes[k]) for k in kept])
        for n, w in enumerate(report.wells[:12]):
            if any((np.abs(w.x - v.x)[list(kept)] < 0.05 * size).all() for v in report.wells[:n]):
                continue                                     # behind a lower one
            axes.plot(*w.x[list(kept)], "o", color="white", markeredgecolor=INK, markersize=11,
                      markeredgewidth=0.9, zorder=5, clip_on=False)
            axes.annotate(str(w.number), w.x[list(kept)], ha="center", va="center_baseline", fontsize=7.5,
                          fontweight="bold", zorder=6, annotation_clip=False)

    return _slices(land, land.minimum_index, _word(land.key), draw)


def loss_scale(land):
    """A map from loss to colour coordinate (logarithm of the height above the minimum), and its label."""
    f = land.loss[land.valid]
    lowest, top = float(f.min()), float(f.max())
    if not top > lowest:
        return (lambda a: a * 0.0), "loss"
    heights = np.sort(f - lowest)
    # the floor of the wells
    unit = float(heights[max(1, len(heights) // 50)]) or float(heights[heights > 0][0])
    unit = max(unit, 1e-300)
    return ((lambda a: np.log10(1 + (np.minimum(a - lowest, unit * 10.0**DECADES)) / unit)),
            "loss, logarithmic in its height above the minimum")


def surface(axes, land, scale):
    """Colours of the cells; invalid ones hatched, unfinished ones too."""
    with np.errstate(invalid="ignore"):
        values = scale(land.loss)
    picture = axes.pcolormesh(*land.edges, values, cmap=LOSS_MAP, rasterized=True)
    mark_masked(axes, *land.edges, ~land.valid.T)
    image_axes(axes)
    if are_distances(land):
        axes.set_aspect("equal")
    return picture


def are_distances(land):
    """Whether the coordinates are distances in parameter space up to one factor, and the box is no strip."""
    width, height = (e[-1] - e[0] for e in land.edges[:2])
    if land.gram is None or not 1 / 3 < width / height < 3:
        return False
    G = land.gram[:2, :2] / np.sqrt(np.linalg.det(land.gram[:2, :2]))
    return bool(np.abs(G - np.eye(2)).max() < 0.02)


def _scale_ticks(bar, land, scale):
    """Round values on the colour bar, not nearer than an eighth of its length, and the extremes."""
    f = land.loss[land.valid]
    lowest, top = float(f.min()), float(f.max())
    if not top > lowest:
        return
    # digits that tell the ticks apart, also where the range is narrow beside the values
    digits = int(np.ceil(np.log10(max(abs(lowest), abs(top)) / (top - lowest)))) + 2
    short = (lambda v: f"{v:.{digits}g}") if digits > 3 else _short
    powers = 10.0 ** np.arange(-12, 40)
    powers = powers[powers > SMALLEST_TICK * min(top - lowest, 1e30) * (lowest < 0)]
    end = float(scale(np.array([top]))[0])
    is_cut = float(scale(np.array([lowest + (top - lowest) / 2]))[0]) > 0.999999 * end
    taken = [(0.0, short(lowest))] + ([] if is_cut else [(end, short(top))])
    from matplotlib.ticker import MaxNLocator

    even = MaxNLocator(10).tick_values(lowest, min(top, 1e30))
    for candidates in ([0.0], *[np.r_[m * powers, -m * powers] for m in (1.0, 3.0, 2.0, 5.0)], even):
        for value in candidates:
            if lowest < value < top:
                at = float(scale(np.array([value]))[0])
                if at < 0.999 * end and all(abs(at - other) > end / 8 for other, _ in taken):
                    taken.append((at, short(value) if digits > 3 else text_of(value)))
    if is_cut:
        taken = [t for t in taken if t[0] < 0.93 * end] + [(end, f"up to {short(top)}")]
    bar.set_ticks([t for t, _ in taken], labels=[name for _, name in taken])
    bar.ax.minorticks_off()


def _contours(axes, land, scale):
    if min(land.shape) < 3:
        return
    with np.errstate(invalid="ignore"):
        values = np.ma.masked_invalid(scale(land.loss))
    if values.max() > values.min():
        axes.contour(*land.axes, values, levels=np.linspace(values.min(), values.max(), 16)[1:-1], colors=INK,
                     linewidths=0.35, alpha=0.45, zorder=2)


def _basins(axes, report):
    """Outlines between the basins of different wells, along the cell faces."""
    from matplotlib.collections import LineCollection

    if len(report.wells) < 2:
        return
    b, (x, y) = report.basins, report.landscape.edges
    segments = []
    for iy, ix in np.argwhere((b[:, 1:] != b[:, :-1]) & (b[:, 1:] >= 0) & (b[:, :-1] >= 0)):
        segments.append([(x[ix + 1], y[iy]), (x[ix + 1], y[iy + 1])])
    for iy, ix in np.argwhere((b[1:] != b[:-1]) & (b[1:] >= 0) & (b[:-1] >= 0)):
        segments.append([(x[ix], y[iy + 1]), (x[ix + 1], y[iy + 1])])
    if segments:
        axes.add_collection(LineCollection(segments, colors=INK, linewidths=1.1, alpha=0.75,
                                           linestyles=(0, (4, 1.5)), zorder=2.5, label="border of basins"))


def _numbers(axes, report):
    for w in report.wells[:20]:
        is_main = w.number <= MOST_CURVES
        axes.plot(*w.x[:2], "o", color="white", markeredgecolor=INK, markersize=12 if is_main else 8,
                  markeredgewidth=0.9, zorder=5, clip_on=False)
        axes.annotate(str(w.number), w.x[:2], ha="center", va="center_baseline",
                      fontsize=7.8 if is_main else 5.8, fontweight="bold" if is_main else "normal", color=INK,
                      zorder=7, annotation_clip=False)


def _line_figure(report):
    land, motion = report.landscape, report.dynamics
    x = land.axes[0]
    made, axes = figure(width=16, height=9.5)
    axes.plot(x, land.loss, color=INK, linewidth=1.3, marker=".", markersize=3.5, label=_word(land.key),
              zorder=3)
    if land.test_loss is not None and land.key != "test_loss":
        axes.plot(x, land.test_loss, color=COLOURS[1], linestyle=DASHES[1], label="test loss")
    f = land.loss[land.valid]
    if f.min() > 0 and f.max() > 100 * f.min():
        axes.set_yscale("log")
    _bands(axes, land, "no loss (diverged)")
    span = np.nanmax(land.loss) - np.nanmin(land.loss)
    for w in report.wells:
        axes.annotate(str(w.number), (w.x[0], w.minimum), xytext=(0, -14),
                      textcoords="offset points", ha="center", va="center", fontsize=8, fontweight="bold",
                      bbox={"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": INK,
                            "linewidth": 0.8}, zorder=6)
        if w.saddle_x is not None:
            axes.plot(w.saddle_x[0], w.saddle, "x", color=COLOURS[1], markersize=7, markeredgewidth=1.8,
                      zorder=5)
    index = land.index(report.start)
    axes.plot(report.start[0], land.loss[index], "*", color=COLOURS[1], markeredgecolor="white",
              markersize=15, zorder=7, label="start")
    if motion is not None and motion.paths is not None:
        ends = np.asarray(motion.paths.ends)[:, 0]
        base = np.nanmin(land.loss) - 0.2 * (span if axes.get_yscale() == "linear" else np.nanmin(land.loss))
        axes.plot(ends, np.full(ends.size, base), "|", color=COLOURS[0], markersize=7, alpha=0.5,
                  label=f"{ends.size} paths at t = {text_of(motion.paths.times[-1])}")
    axes.set(xlabel="x, coefficient of the direction", ylabel="loss")
    axes.set_title(f"{_word(land.key)} with its wells; crosses: passes")
    axes.legend(loc="best")
    return made


@styled
def density_figure(report):
    """The density at a few times and in equilibrium, and the occupation of the wells over time beside the
    paths'."""
    motion, land = report.dynamics, report.landscape
    if motion is None:
        raise ValueError("the report has no density: the samples are not evenly spaced.")
    shown = _panels(motion)
    if land.ndim == 1:
        made, (axes, below) = figure(2, 1, width=16, height=15, height_ratios=[1.25, 1])
        for n, k in enumerate(shown):
            axes.stairs(motion.density[k], land.edges[0],
                        color=COLOURS[n % len(COLOURS)], linestyle=DASHES[n % len(DASHES)], linewidth=1.5,
                        label=f"t = {text_of(motion.times[k])}", baseline=None)
        axes.stairs(motion.gibbs, land.edges[0], color=INK, linewidth=0.9, label="equilibrium", baseline=None)
        axes.set(xlabel="x", ylabel="probability / length", yscale="log",
                 title=f"Density at theta = {motion.theta:.3g}")
        top = np.nanmax(motion.density[shown])
        axes.set_ylim(1e-6 * top, 300 * top)             # room for the key above the curves
        _bands(axes, land)
        axes.legend(loc="upper center", ncols=3, facecolor="white", framealpha=1.0)
        _over_time(below, report)
        return made
    n = len(shown) + 1
    made, _ = figure(width=21, height=13.5)
    made.clear()
    rows = made.subfigures(2, 1, height_ratios=[0.72 if are_distances(land) else 1, 0.95])
    row = rows[0].subplots(1, n, sharey=True)
    pictures = [(f"t = {text_of(motion.times[k])}", motion.density[k])
                for k in shown] + [("equilibrium", motion.gibbs)]
    is_space = land.ndim == 3
    if is_space:                                       # seen along z
        pictures = [(title, np.nansum(values, axis=0) * land.spacing[2]) for title, values in pictures]
    valid = land.valid.any(axis=0) if is_space else land.valid
    top = np.nanmax(pictures[-1][1])
    for axes, (title, values) in zip(row, pictures):
        # each panel on the scale of the equilibrium: six decades of probability
        with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
            logs = np.log10(np.maximum(values, 0) / top)
        picture = axes.pcolormesh(*land.edges[:2], np.where(valid, np.clip(logs, -6, 0), np.nan),
                                  cmap=DENSITY_MAP, vmin=-6, vmax=0, rasterized=True)
        mark_masked(axes, *land.edges[:2], ~valid.T)
        image_axes(axes)
        if are_distances(land):
            axes.set_aspect("equal")
        axes.plot(*motion.start[:2], "*", color=COLOURS[1], markeredgecolor="white", markersize=8,
                  markeredgewidth=0.6)
        axes.set_title(title, fontsize=9.5)
        axes.set_xlabel("x")
    row[0].set_ylabel("y")
    bar = rows[0].colorbar(picture, ax=list(row), pad=0.01, ticks=[-6, -4, -2, 0], aspect=14)
    bar.set_ticklabels(["10⁻⁶", "10⁻⁴", "10⁻²", "1"])
    bar.set_label("density / highest\nequilibrium density")
    rows[0].suptitle(f"Density{', summed over z,' if is_space else ''} at theta = {motion.theta:.3g}, t in "
                     f"{motion.time_unit}", fontsize=10.5, fontweight="bold", x=0.01, ha="left")
    _over_time(rows[1].subplots(), report)
    return made


def _bands(axes, land, name=None):
    """Grey hatched bands over the invalid samples of a line."""
    e = land.edges[0]
    for n, k in enumerate(np.flatnonzero(~land.valid)):
        axes.axvspan(e[k], e[k + 1], facecolor="#d8d8d8", hatch="////", edgecolor="#b5b5b5", linewidth=0,
                     zorder=0, label=name if n == 0 else None)
    axes.set_xlim(e[0], e[-1])


def _panels(motion, n=4):
    """Times to show: from where the density has spread over a few cells to where it stops changing, evenly in
    how far it has come."""
    d = np.asarray(motion.distance)
    wanted = np.linspace(0.995 * d[0], max(d[-1], 0.02), n)
    picked = sorted({int(np.argmin(np.abs(d - w))) for w in wanted})
    return picked


def _over_time(axes, report):
    """Occupation of the wells over time: curves of the density, points with bars of the paths; mean loss
    where one well has all."""
    motion, both = report.dynamics, report.agreement
    t, paths = motion.times, motion.paths
    axes.set_xscale("log")
    top = _important(np.r_[motion.occupation, motion.equilibrium[None]].max(axis=0))
    if len(top) == 1:
        axes.plot(t, motion.mean_loss, color=COLOURS[0], label="density")
        if paths is not None:
            axes.errorbar(paths.times, paths.mean_loss, 2 * paths.mean_loss_error, fmt="o", color=COLOURS[1],
                          capsize=2.5, label="paths (bars: two standard errors)")
        axes.set(ylabel="mean loss", title="Mean loss over time")
        axes.legend()
        drawn = motion.mean_loss[:, None] / max(np.ptp(motion.mean_loss), 1e-300)
    else:
        ends = []
        for n, k in enumerate(top):
            axes.plot(t, motion.occupation[:, k], color=COLOURS[n], linestyle=DASHES[n])
            ends.append((motion.occupation[-1, k], f"well {k + 1}", COLOURS[n]))
            if paths is not None:
                axes.errorbar(paths.times, paths.occupation[:, k], 2 * paths.occupation_error[:, k],
                              fmt=MARKERS[n], color=COLOURS[n], capsize=2.5, markersize=5)
        # where a curve's well is none of the network's any more, the two do not speak of the same
        has_network = both is not None and {k + 1 for k in top} <= set(both.wells)
        if has_network:
            for k, name in enumerate(both.wells):
                if name - 1 in top:
                    axes.plot(t, both.network[:, k], color=INK, linewidth=1.0, linestyle=(0, (1, 1.5)),
                              zorder=1)
        axes.set(ylabel="probability", ylim=(-0.03, 1.04), title="Occupation of the wells over time")
        said = "curves: density" + ("; points: paths, two standard errors" if paths is not None
                                    else "") + ("; dots: network of wells" if has_network else "")
        _name_ends(axes, ends)
        drawn = motion.occupation[:, top]
    axes.set_xlabel(f"t, {motion.time_unit}" + (f"\n{said}" if len(top) > 1 else ""))
    changed = np.flatnonzero((np.abs(drawn - drawn[0]) > 2e-3).any(axis=1))
    first = t[changed[0]] / 3 if changed.size else t[0]
    # the last point of the paths has its whole bar inside
    axes.set_xlim(min(first, paths.times[0] / 2 if paths is not None else first), t[-1] * 1.1)
