"""Moving pictures of results that know several times, written as .gif (Pillow) or .mp4 (ffmpeg)."""
from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.animation import FFMpegWriter, PillowWriter
from matplotlib.figure import Figure

from ..core import checks
from ..core.files import replacing
from .style import COLOURS, DENSITY_MAP, INK, figure, image_axes, in_style, mark_masked

KINDS = (".gif", ".mp4")
FRAMES_PER_SECOND, DOTS_PER_INCH = 8.0, 100
PAUSE_SECONDS = 1.0                          # on the last frame, before a loop starts anew
MOST_FRAMES = 600                            # beyond, the frames are thinned evenly
BRIGHTEST = 0.995                            # quantile of a map's values that its colours reach


@dataclass(frozen=True)
class Animation:
    """A figure and how it changes.

    Attributes
    ----------
    figure : Figure
    draw : callable
        ``draw(k)`` brings the figure to frame k and returns nothing.
    n_frames : int
    """
    figure: Figure
    draw: Callable[[int], None]
    n_frames: int


def is_animation(path: Any) -> bool:
    """Whether a file of this name holds a moving picture."""
    return path is not None and os.path.splitext(os.fspath(path))[1].lower() in KINDS


def save_animation(made: Animation, path: str | os.PathLike[str],
                   frames_per_second: float = FRAMES_PER_SECOND) -> str | os.PathLike[str]:
    """Write the animation, whole or not at all; returns `path`.

    Parameters
    ----------
    made : Animation
    path : str or path
        Ends in .gif, or in .mp4 where ffmpeg is installed (the package imageio-ffmpeg brings one).
    frames_per_second : float
    """
    fps = checks.number("frames_per_second", frames_per_second, positive=True)
    writer = _writer(os.path.splitext(os.fspath(path))[1].lower(), fps)
    shown = np.unique(np.linspace(0, made.n_frames - 1, min(made.n_frames, MOST_FRAMES)).round().astype(int))
    with in_style(), replacing(path) as temporary:
        named = f"{temporary}{os.path.splitext(os.fspath(path))[1].lower()}"   # writers go by the ending
        try:
            with writer.saving(made.figure, named, DOTS_PER_INCH):
                for k in [*shown, *[shown[-1]] * round(PAUSE_SECONDS * fps)]:
                    made.draw(int(k))
                    writer.grab_frame()
            os.replace(named, temporary)
        finally:
            if os.path.exists(named):
                os.remove(named)
    return path


def _writer(kind, fps):
    """The writer of matplotlib for an ending, or a sentence."""
    if kind == ".gif":
        return PillowWriter(fps=fps)
    if not FFMpegWriter.isAvailable():
        try:
            import imageio_ffmpeg
        except ImportError:
            raise ValueError("an .mp4 needs ffmpeg, which is not installed: install it (or the package "
                             "imageio-ffmpeg), or give a path that ends in .gif.") from None
        matplotlib.rcParams["animation.ffmpeg_path"] = imageio_ffmpeg.get_ffmpeg_exe()
    return FFMpegWriter(fps=fps, extra_args=["-pix_fmt", "yuv420p", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2"])


def moving_density(result: Any) -> Animation:
    """Densities of an evolution, from its start to its last time; in 3D summed over z."""
    grid, times = result.grid, np.concatenate([[0.0], np.asarray(result.times, float)])
    densities = np.concatenate([result.start[None], result.densities])
    if result.times[0] == 0:
        times, densities = times[1:], densities[1:]
    if grid.ndim == 1:
        return _moving_line(grid, densities, result.gibbs, [_time(t) for t in times])
    gibbs = result.gibbs
    if grid.ndim == 3:
        densities, gibbs = ((a * grid.widths[2]).sum(-1) for a in (densities, gibbs))
    return moving_map(grid.edges[:2], densities, [_time(t) for t in times],
                      np.isfinite(gibbs) if grid.ndim == 3 else grid.inside,
                      "density (1/area)",
                      max(float(np.nanmax(gibbs)), float(np.median(np.nanmax(densities, (1, 2))))))


def _moving_line(grid, densities, gibbs, titles):
    made, axes = figure(width=14, height=8)
    x = grid.centres[0]
    axes.plot(x, gibbs, color=INK, linewidth=0.9, linestyle="--", label="Gibbs")
    (line,) = axes.plot(x, densities[0], color=COLOURS[0], label="density")
    # a start that is a point would leave everything later flat
    top = max(float(gibbs.max()), float(np.quantile(densities.max(1), 0.75)))
    axes.set(xlabel="x", ylabel="density (1/length)", ylim=(0, 1.1 * top))
    axes.legend(loc="upper right")

    def draw(k):
        line.set_ydata(densities[k])
        axes.set_title(titles[k])
    return Animation(made, draw, len(densities))


def moving_map(edges: Any, values: np.ndarray, titles: list[str], inside: np.ndarray, label: str,
               top: float | None = None) -> Animation:
    """Maps (n_frames, nx, ny) one after the other on one scale of colours; `inside` (nx, ny) marks the
    domain, `top` is the value that has the last colour."""
    made, axes = figure(width=12.5, height=10)
    if top is None:
        top = float(np.nanquantile(values[:, inside], BRIGHTEST))
    picture = axes.pcolormesh(*edges, np.where(inside, values[0], np.nan).T, cmap=DENSITY_MAP, vmin=0,
                              vmax=top, rasterized=True)
    mark_masked(axes, *edges, ~inside)
    image_axes(axes).set(xlabel="x", ylabel="y")
    made.colorbar(picture, ax=axes, label=label, extend="max")

    def draw(k):
        picture.set_array(np.where(inside, values[k], np.nan).T)
        axes.set_title(titles[k])
    return Animation(made, draw, len(values))


def moving_paths(result: Any) -> Animation:
    """Saved paths as points that move: a histogram in 1D, the first two coordinates above."""
    if result.paths is None:
        raise ValueError("no paths were saved; call fpkit.simulate(..., save_every=n).")
    paths = result.paths
    made, axes = figure(width=12.5, height=10 if paths.shape[2] > 1 else 8)
    titles = [_time(t) for t in result.times]
    finite = paths[np.isfinite(paths).all(-1)]
    low, high = finite.min(0), finite.max(0)
    if paths.shape[2] == 1:
        bins = np.linspace(low[0], high[0], int(np.clip(np.sqrt(len(paths)), 8, 80)) + 1)
        shares = np.stack([np.histogram(paths[:, k, 0], bins, density=True)[0] for k in range(len(titles))])
        steps = axes.stairs(shares[0], bins, fill=True, color=COLOURS[0])
        axes.set(xlabel="x", ylabel="density (1/length)", ylim=(0, 1.1 * np.quantile(shares.max(1), 0.75)))

        def draw(k):
            steps.set_data(shares[k])
            axes.set_title(titles[k])
    else:
        (dots,) = axes.plot(*paths[:, 0, :2].T, ".", color=COLOURS[0], markersize=3, alpha=0.6)
        pad = 0.03 * np.maximum(high - low, 1e-12)
        axes.set(xlabel="x", ylabel="y", xlim=(low[0] - pad[0], high[0] + pad[0]),
                 ylim=(low[1] - pad[1], high[1] + pad[1]))

        def draw(k):
            dots.set_data(*paths[:, k, :2].T)
            axes.set_title(titles[k])
    return Animation(made, draw, len(titles))


def _time(t):
    return f"t = {t:.3g}"


ANIMATED: dict[str, Callable[[Any], Animation]] = {"Evolution": moving_density, "Paths": moving_paths}
