"""What SGD settles to with its own noise, beside Gibbs."""
import numpy as np

from .landscape_style import styled, text_of
from .style import COLOURS, DENSITY_MAP, FAINT, INK, figure, image_axes

SIGNED_MAP = "PuOr"
LEAST_SPEED = 0.02                           # of the largest: slower currents get no line


@styled
def sgd_figure(result):
    """Density, difference from the nearest Gibbs density, and current of an `SGDState` or of a report that
    has one."""
    state = getattr(result, "sgd", result)
    if state is None or state.status != "ok":
        raise ValueError("there is nothing to draw: " + ("the file holds no gradient noise."
                                                         if state is None else f"{state.status}."))
    grid, p, q = state.grid, state.density, state.gibbs
    if grid.ndim == 1:
        made, axes = figure(width=15, height=8.5)
        axes.plot(grid.centres[0], p, color=COLOURS[0], label="SGD with the measured noise")
        axes.plot(grid.centres[0], q, color=COLOURS[1], linestyle="--",
                  label=f"Gibbs, theta = {text_of(state.theta)}")
        axes.set(xlabel="x, coefficient of the direction", ylabel="density (1/length)",
                 title="What SGD settles to")
        axes.legend()
        return made
    made, row = figure(1, 3, width=33, height=11.5)
    pictures = ((row[0], p, DENSITY_MAP, "SGD with the measured noise", (0, p.max())),
                (row[1], p - q, SIGNED_MAP, f"less Gibbs, theta = {text_of(state.theta)}",
                 (-np.abs(p - q).max(), np.abs(p - q).max())))
    for axes, values, colours, title, (low, high) in pictures:
        picture = axes.pcolormesh(*grid.edges, values.T, cmap=colours, vmin=low, vmax=high, rasterized=True)
        made.colorbar(picture, ax=axes, location="bottom", label="density (1/area)", aspect=30)
        axes.set_title(title)
    speed = np.linalg.norm(state.current, axis=-1)
    top = float(speed.max())
    picture = row[2].pcolormesh(*grid.edges, speed.T, cmap="Greys", rasterized=True)
    made.colorbar(picture, ax=row[2], location="bottom", label="current (1/(length time))", aspect=30)
    row[2].contour(*grid.centres, p.T, levels=6, colors=FAINT, linewidths=0.7)
    if top > 0:
        x, y = (np.linspace(c[0], c[-1], len(c)) for c in grid.centres)
        u, v = (np.where(speed > LEAST_SPEED * top, state.current[..., k], np.nan).T for k in (0, 1))
        row[2].streamplot(x, y, u, v, color=COLOURS[0], density=1.2, arrowsize=0.8,
                          linewidth=0.4 + 1.8 * np.sqrt(speed / top).T)
    row[2].set_title("Current that stays")
    for axes in row:
        image_axes(axes).set(xlabel="x", ylabel="y", xlim=_shown(grid, p, 0), ylim=_shown(grid, p, 1))
        axes.tick_params(colors=INK)
    return made


def _shown(grid, p, axis):
    """The part of an axis that holds all but a thousandth of the density, and a little more."""
    held = np.cumsum((p * grid.volumes).sum(1 - axis))
    low, high = np.searchsorted(held, [5e-4, 1 - 5e-4])
    edges, pad = grid.edges[axis], max(1, (high - low) // 6)
    return edges[max(low - pad, 0)], edges[min(high + 1 + pad, edges.size - 1)]
