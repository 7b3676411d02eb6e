"""Fields on a grid: steps on a line, maps in the plane, slices or sums in space."""
import numpy as np

from .style import COLOURS, DENSITY_MAP, INK, figure, image_axes, mark_masked

NAMES = "xyz"


def field(result, title=None, slices=None, at=None):
    """Cell values: steps in 1D, a map in 2D; in 3D the three slices through the point `at`, or the three sums
    over one axis, which densities have unless `slices` is True."""
    grid, values, label = result.grid, np.asarray(result.values), result.name + (f" ({result.units})"
                                                                                 if result.units else "")
    if grid.ndim == 1:
        made, axes = figure(width=14, height=8)
        axes.stairs(values, grid.edges[0], color=COLOURS[0], linewidth=1.6, fill=False)
        axes.set(xlabel=NAMES[0], ylabel=label, title=title or "")
    elif grid.ndim == 2:
        made, axes = figure(width=13, height=10)
        density_map(axes, grid, values, made, label)
        axes.set_title(title or "")
    elif slices or slices is None and (at is not None or not is_density(result)):
        made = _slices(grid, values, label, at)
        made.suptitle(title or "")
    else:
        made, row = figure(1, 3, width=26, height=9)
        for missing, axes in zip((2, 1, 0), row):
            kept = [k for k in range(3) if k != missing]
            weights = np.expand_dims(grid.widths[missing], [k for k in range(3) if k != missing])
            total = np.nansum(values * weights, axis=missing)
            picture = axes.pcolormesh(*[grid.edges[k] for k in kept], total.T, cmap=DENSITY_MAP,
                                      rasterized=True)
            image_axes(axes).set(xlabel=NAMES[kept[0]], ylabel=NAMES[kept[1]])
            made.colorbar(picture, ax=axes, label=f"{label}, summed over {NAMES[missing]}")
    return made


def is_density(result):
    """Whether the sum of a field over an axis means something."""
    return result.units == "1/volume" or "density" in result.name


def density_map(axes, grid, values, made=None, label="", maximum=None):
    """A two-dimensional field on `axes`; cells outside the mask are hatched."""
    values = np.where(grid.inside, values, np.nan)
    picture = axes.pcolormesh(*grid.edges, values.T, cmap=DENSITY_MAP, vmin=min(0.0, np.nanmin(values)),
                              vmax=maximum, rasterized=True)
    mark_masked(axes, *grid.edges, ~grid.inside)
    image_axes(axes).set(xlabel=NAMES[0], ylabel=NAMES[1])
    if made is not None:
        made.colorbar(picture, ax=axes, label=label)
    return picture


def _slices(grid, values, label, at):
    """Maps of the three planes through a point, on one scale of colours; each shows where the others cut."""
    if at is None:                                   # where most is to be seen
        spread = [np.nanstd(np.where(np.isfinite(values), values, 0.0), axis=tuple({0, 1, 2} - {k}))
                  for k in range(3)]
        at = [c[int(np.argmax(s))] for c, s in zip(grid.centres, spread)]
    cell = grid.locate(at)
    low, high = np.nanmin(values), np.nanmax(values)
    made, row = figure(1, 3, width=27, height=9)
    for missing, axes in zip((2, 1, 0), row):
        kept = [k for k in range(3) if k != missing]
        plane = np.where(grid.inside, values, np.nan).take(cell[missing], missing)
        picture = axes.pcolormesh(*[grid.edges[k] for k in kept], plane.T, cmap=DENSITY_MAP, vmin=low,
                                  vmax=high, rasterized=True)
        mark_masked(axes, *[grid.edges[k] for k in kept], ~grid.inside.take(cell[missing], missing))
        axes.axvline(at[kept[0]], color=INK, linewidth=0.6, linestyle=":")
        axes.axhline(at[kept[1]], color=INK, linewidth=0.6, linestyle=":")
        image_axes(axes).set(xlabel=NAMES[kept[0]], ylabel=NAMES[kept[1]])
        axes.set_title(f"{NAMES[missing]} = {grid.centres[missing][cell[missing]]:.3g}")
    made.colorbar(picture, ax=row, label=label)
    return made


def summed_over_last(grid, values):
    """A three-dimensional density summed over z, on the grid of its first two axes."""
    plane = type(grid).from_edges(grid.edges[:2], periodic=grid.periodic[:2])
    return plane, np.nansum(values * grid.widths[2], axis=2)
