"""Figures of what a diffusion answers: spectrum, quasi-stationary state, currents, convergence, passages."""
import numpy as np

from .fields import NAMES, field
from .style import COLOURS, FAINT, INK, figure, image_axes, line_style, mark_masked

SHOWN_MODES = 3                              # beside the first
SIGNED_MAP = "PuOr"
LEAST_SPEED = 0.02                           # of the largest: slower currents get no line


def spectrum_figure(result):
    """Eigenvalues with their errors on a logarithmic axis, and the slowest eigenfunctions."""
    grid = result.grid
    modes = [k for k in range(len(result)) if np.isfinite(result.log10[k])][:SHOWN_MODES]
    n_pictures = len(modes) if grid.ndim > 1 else 1
    made, row = figure(1, 1 + n_pictures, width=8 + 8 * n_pictures, height=8, squeeze=False)
    axes, *others = row[0]
    k = np.arange(len(result))
    shown = np.isfinite(result.log10)
    size = np.abs(result.eigenvalues)                    # complex ones by their modulus
    known = size > 0
    relative = np.where(known, result.errors / np.where(known, size, 1), 0.0)
    # logarithms, since the gap of deep wells leaves the range of floats
    low = np.log10(np.maximum(1 - relative[shown], 1e-3))
    axes.errorbar(k[shown], result.log10[shown], yerr=[-low, np.log10(1 + relative[shown])], linestyle="none",
                  capsize=3, color=COLOURS[0], marker="o")
    axes.set(xlabel="mode k", ylabel="log₁₀ eigenvalue (1/time)", title="Spectrum of −L")
    axes.xaxis.get_major_locator().set_params(integer=True)
    if grid.ndim == 1:
        for i, m in enumerate(modes):
            style = line_style(i) | {"marker": ""}
            others[0].plot(grid.centres[0], np.real(result.eigenfunctions[m]), label=f"k = {m}", **style)
        others[0].set(xlabel="x", ylabel="eigenfunction", title="Slowest modes")
        if modes:
            others[0].legend()
        return made
    for m, axes in zip(modes, others):
        values = np.real(result.eigenfunctions[m])
        if grid.ndim == 3:                           # the middle slice
            values = values[..., grid.shape[2] // 2]
        top = np.nanmax(np.abs(values))
        picture = axes.pcolormesh(*grid.edges[:2], values.T, cmap=SIGNED_MAP, vmin=-top, vmax=top,
                                  rasterized=True)
        made.colorbar(picture, ax=axes, location="bottom", aspect=30)
        image_axes(axes).set(xlabel="x", ylabel="y")
        axes.set_title(f"k = {m}" + (f", z = {grid.centres[2][grid.shape[2] // 2]:.3g}"
                                     if grid.ndim == 3 else ""))
    return made


def quasi_stationary_figure(result):
    """The density that survival leads to, and where it is left: dots with the probability as their area."""
    made = field(result.density, title=f"Exit rate {result.rate.value:.4g}")
    axes, points = made.axes[0], result.exit_points
    if result.density.grid.ndim == 1:
        for x, p in zip(points[:, 0], result.exit_probabilities):
            axes.axvline(x, color=COLOURS[1], linestyle="--", label=f"exit with probability {p:.3g}")
        axes.legend()
    elif result.density.grid.ndim == 2:
        size = 80 * result.exit_probabilities / max(result.exit_probabilities.max(), 1e-300)
        axes.scatter(*points.T, s=size, color=COLOURS[1], label="places of exit", zorder=3)
        axes.legend(frameon=True)
    return made


def currents_figure(result):
    """The probability current: a line in 1D, speed and streamlines in the plane, in 3D summed over z."""
    grid, vector = result.grid, result.vector
    if grid.ndim == 1:
        made, axes = figure(width=14, height=8)
        axes.plot(grid.centres[0], vector[:, 0], color=COLOURS[0])
        axes.axhline(0, color=INK, linewidth=0.6)
        axes.set(xlabel="x", ylabel="current J (1/time)", title="Probability current")
        return made
    inside = grid.inside
    if grid.ndim == 3:
        vector = (vector * grid.widths[2][:, None]).sum(2)
        inside = inside.any(2)
    speed = np.where(inside, np.linalg.norm(vector[..., :2], axis=-1), np.nan)
    made, axes = figure(width=13.5, height=10.5)
    picture = axes.pcolormesh(*grid.edges[:2], speed.T, cmap="Greys", rasterized=True)
    mark_masked(axes, *grid.edges[:2], ~inside)
    made.colorbar(picture, ax=axes, label="|J| (1/(length time))")
    top = np.nanmax(speed)
    if top > 0:
        x, y = (np.linspace(c[0], c[-1], len(c)) for c in grid.centres[:2])
        if grid.is_uniform:
            u, v = (np.where(speed > LEAST_SPEED * top, vector[..., k], np.nan).T for k in (0, 1))
            axes.streamplot(x, y, u, v, color=COLOURS[0], density=1.3, arrowsize=0.8,
                            linewidth=0.4 + 1.8 * np.nan_to_num(np.sqrt(speed / top)).T)
        else:
            axes.quiver(*grid.centres[:2], vector[..., 0].T, vector[..., 1].T, color=COLOURS[0])
    image_axes(axes).set(xlabel="x", ylabel="y", xlim=grid.bounds[0], ylim=grid.bounds[1],
                         title="Probability current" + (", summed over z" if grid.ndim == 3 else ""))
    return made


def stationary_figure(result):
    """What a driven diffusion settles to: its density, and the current that stays."""
    if result.grid.ndim != 2:
        return field(result.density, title=f"Entropy production {result.entropy_production.value:.4g}")
    made = currents_figure(result.current)
    axes, density = made.axes[0], np.where(result.grid.inside, result.density.values, np.nan)
    axes.contour(*result.grid.centres, density.T, levels=8, colors=FAINT, linewidths=0.6)
    axes.set_title("Stationary density and current, entropy production "
                   f"{result.entropy_production.value:.4g}")
    return made


def passage_density_figure(result):
    """The density of the first-passage time with its error, and the share that has not arrived."""
    made, (axes, below) = figure(2, 1, width=14, height=13, sharex=True)
    axes.fill_between(result.times, result.density - result.error, result.density + result.error,
                      color=COLOURS[4], alpha=0.5, label="± stated error")
    axes.plot(result.times, result.density, color=COLOURS[0], label=f"mean {result.mean.value:.4g}")
    below.plot(result.times, result.survival, color=COLOURS[1])
    axes.set(ylabel="density (1/time)", title="First passage")
    below.set(xlabel="time t", ylabel="share that has not arrived")
    axes.legend()
    return made


def refinement_figure(result):
    """Errors of the schemes against the cell width, on logarithmic axes, with lines of their last order."""
    made, axes = figure(width=13, height=9)
    width = 1 / np.array([np.prod(s) ** (1 / len(s)) for s in result.shapes])
    for k, (scheme, errors) in enumerate(result.errors.items()):
        order = result.orders[scheme][-1] if len(result.orders[scheme]) else np.nan
        axes.plot(width, errors, label=f"{scheme}, order {order:.2f}", **line_style(k))
    axes.set(xscale="log", yscale="log", xlabel="1 / cells an axis", ylabel="error",
             title=result.quantity.capitalize())
    axes.legend()
    return made


def survival_figure(result):
    """Share of the paths that have not arrived by t, beside the exponential law of the same mean."""
    made, axes = figure(width=13, height=8.5)
    t, share = result.survival()
    axes.step(t, share, where="post", color=COLOURS[0], label="paths")
    if np.isfinite(result.value):
        fine = np.linspace(0, t[-1], 200)
        axes.plot(fine, np.exp(-fine / result.value), color=FAINT, linestyle="--",
                  label=f"exponential of mean {result.value:.4g}")
    axes.set(yscale="log", xlabel="time t", ylabel="share that has not arrived", title="First passage",
             ylim=(max(share[share > 0].min(), 1e-6) / 1.5, 1.3))
    axes.legend()
    return made


def flow_figure(result):
    """Trajectories of the gradient flow: against time in 1D, in the plane of the first two coordinates above,
    and how f falls."""
    made, (axes, below) = figure(1, 2, width=20, height=9)
    paths = result.paths.reshape(-1, *result.paths.shape[-2:])
    for k, path in enumerate(paths[:len(COLOURS)]):
        x = (result.times, path[:, 0]) if path.shape[1] == 1 else path[:, :2].T
        axes.plot(*x, color=COLOURS[k])
        axes.plot(*[v[-1:] for v in x], "o", color=COLOURS[k])
        below.plot(result.times, result.values.reshape(-1, result.times.size)[k], color=COLOURS[k])
    labels = ("time t", "x") if paths.shape[2] == 1 else NAMES[:2]
    axes.set(xlabel=labels[0], ylabel=labels[1], title="Gradient flow")
    below.set(xlabel="time t", ylabel="f (energy)", title="f along the paths")
    return made
