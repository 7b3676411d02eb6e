"""Figures of rates: Arrhenius plot, the transition in the plane."""
import numpy as np

from .style import COLOURS, DASHES, FAINT, INK, MARKERS, figure, image_axes

# formulas are drawn as lines, measurements as points
LINES = ("eyring-kramers", "next-order", "resummed", "network", "integral")


def arrhenius_figure(table):
    """log10 of the rate against 1/theta with the Arrhenius fit, and below it the difference of each method to
    the row's reference."""
    made, (axes, below) = figure(2, 1, width=16, height=15, height_ratios=[1.5, 1], sharex=True)
    x = 1 / np.asarray(table.theta)
    order = np.argsort(x)
    fit = table.arrhenius
    if fit is not None:
        fine = np.linspace(x.min(), x.max(), 200)
        axes.plot(fine, fit.log_rate(1 / fine) / np.log(10), color=FAINT, linewidth=1.0,
                  zorder=1, label=f"Arrhenius fit: barrier {fit.barrier.value:.4g}, prefactor "
                  f"{fit.prefactor.value:.3g}")
    shown = [m for m in table.methods if np.isfinite(table.log10[:, table.methods.index(m)]).any()]
    # so that equal values do not hide each other
    offsets = np.linspace(-1, 1, len(shown)) * 0.012 * max(np.ptp(x), 1e-12)
    for k, method in enumerate(shown):
        j = table.methods.index(method)
        y, error = table.log10[order, j], table.relative_errors[order, j]
        style = {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)], "markersize": 5,
                 "markerfacecolor": "white" if k >= len(COLOURS) else None}
        is_line = method in LINES
        axes.plot(x[order], y, linestyle=DASHES[1 + k % 5] if is_line else "none", linewidth=1.0,
                  label=method, **style)
        difference = table.difference[order, j]
        good = table.evidence[order, j] & np.isfinite(difference)
        below.errorbar(x[order][good] + offsets[k], 100 * difference[good], yerr=100 * error[good],
                       linestyle=DASHES[1 + k % 5] if is_line else "none",
                       linewidth=1.0, elinewidth=1.0, capsize=2.5, **style)
    below.axhline(0, color=INK, linewidth=0.7, zorder=0)
    below.set(xlabel="1/θ (1/energy)", ylabel="difference to the\nreference (%)")
    axes.set(ylabel="log₁₀ rate (1/time)", title=f"Rate {table.inputs.get('source', '')} → "
             f"{table.inputs.get('target', '')}")
    axes.legend(loc="upper right")
    return made


def transition_figure(picture):
    """Committor in colour with the contours of f, streamlines of the reactive current, the minimum-energy
    path and the saddles."""
    grid = picture.committor.grid
    made, axes = figure(width=16, height=12.5)
    drawn = axes.pcolormesh(*grid.edges, np.asarray(picture.committor.values).T, cmap="PuOr", vmin=0, vmax=1,
                            rasterized=True, alpha=0.75)
    made.colorbar(drawn, ax=axes, label="committor (probability of the target before the source)")
    f = picture.energy - np.nanmin(picture.energy)
    height = max([s.value for s in picture.points.saddles],
                 default=np.nanmin(picture.energy) + np.nanmedian(f)) - np.nanmin(picture.energy)
    axes.contour(*grid.centres, f.T, levels=np.linspace(0, 2.2 * height, 14)[1:], colors=FAINT,
                 linewidths=0.5)
    u, v = picture.current
    speed = np.hypot(u, v)
    speed = np.where(np.isfinite(speed), speed, 0.0)
    shown = speed > 0.02 * speed.max()
    grid_x, grid_y = (np.linspace(c[0], c[-1], len(c)) for c in grid.centres)
    width = 2.4 * np.sqrt(speed / speed.max())
    axes.streamplot(grid_x, grid_y, np.where(shown, u, np.nan).T, np.where(shown, v, np.nan).T, color=INK,
                    linewidth=width.T, density=1.3, arrowsize=0.8)
    if picture.path is not None:
        axes.plot(*picture.path.x.T, color=COLOURS[1], linewidth=2.2, linestyle=DASHES[1],
                  label="minimum-energy path")
    for points, marker, name in ((picture.points.minima, "o", "minimum"),
                                 (picture.points.saddles, "X", "saddle")):
        if points:
            axes.plot(*np.array([p.x for p in points]).T, marker, color="white", markeredgecolor=INK,
                      markersize=8, linestyle="", label=name)
    inside = picture.source.contains(grid.points).astype(float) - picture.target.contains(grid.points)
    axes.contour(*grid.centres, inside.T, levels=[-0.5, 0.5], colors=INK, linewidths=1.1, linestyles="solid")
    image_axes(axes).set(xlabel="x", ylabel="y", title=f"Transition at θ = {picture.theta:g}: rate "
                         f"{picture.rate.value:.4g}")
    axes.set_xlim(*grid.bounds[0])
    axes.set_ylim(*grid.bounds[1])
    axes.legend(loc="best", framealpha=0.85, frameon=True)
    return made
