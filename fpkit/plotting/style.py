"""One look for every figure: legible in print, in grey and without colour vision."""
import contextlib
import io
import os
import threading

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ..core.files import replacing

# Okabe and Ito's palette, darkest first; lines differ in dash and marker too, so that colour is never the
# only sign
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D00", "#000000")
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 2)), "-")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, FAINT = "#222222", "#8a8a8a"
DENSITY_MAP = "cividis"                      # monotone in lightness, made for deficient colour vision
LOSS_MAP = "cividis"                         # wells dark
CENTIMETRE = 1 / 2.54
# between the decades of a short logarithmic axis: 2 and 5 alone, so that labels do not run together
FEW = FuncFormatter(lambda v, _: f"{v:g}" if f"{v:e}"[0] in "25" else "")

RULES = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9.5,
    "axes.titlesize": 10.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 8,
    "axes.labelsize": 9.5, "axes.edgecolor": INK, "axes.linewidth": 0.7, "axes.labelcolor": INK,
    "text.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True, "xtick.color": INK, "ytick.color": INK, "xtick.direction": "out",
    "ytick.direction": "out",
    "xtick.major.width": 0.7, "ytick.major.width": 0.7, "legend.frameon": False, "legend.fontsize": 8.5,
    "lines.linewidth": 1.7,
    "lines.markersize": 4.5, "figure.dpi": 110, "savefig.dpi": 200, "svg.fonttype": "none",
    "svg.hashsalt": "fpkit",
    "image.interpolation": "nearest",
}


_LOCK = threading.RLock()


class Picture(Figure):
    """A matplotlib Figure that a notebook shows when it is the value of a cell, without pyplot."""

    def _repr_png_(self):
        data = io.BytesIO()
        self.savefig(data, format="png", dpi=110, bbox_inches="tight")
        return data.getvalue()


@contextlib.contextmanager
def in_style():
    """The rules of the style, for one thread at a time: matplotlib has one set for all."""
    import matplotlib

    with _LOCK, matplotlib.rc_context(RULES):
        yield


def figure(rows=1, columns=1, width=16.0, height=10.0, **keywords):
    """Figure of `width` x `height` centimetres and its axes, in fpkit's style; no window and no global state.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : Axes or array of Axes
    """
    with in_style():
        made = Picture(figsize=(width * CENTIMETRE, height * CENTIMETRE), layout="constrained")
        axes = made.subplots(rows, columns, **keywords)
    return made, axes


def literal(text):
    """Foreign text as matplotlib shall draw it: no formula between dollar signs, no entry hidden by a `_`."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def line_style(k):
    """Keywords of the k-th curve: colour, dash and marker; no two of the first dozens look alike."""
    return {"color": COLOURS[k % len(COLOURS)], "linestyle": DASHES[(k + k // len(COLOURS)) % len(DASHES)],
            "marker": MARKERS[k % len(MARKERS)]}


def key_below(axes, columns=1, fontsize=7.5):
    """The legend below the axes, where it covers no curve."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=columns, fontsize=fontsize,
                frameon=False)


def save(made, path):
    """Write the figure to `path` (.png, .svg or .pdf, by its ending); a byte-for-byte stable SVG. Returns the
    path."""
    kind = os.path.splitext(os.fspath(path))[1][1:].lower()
    if not kind:
        path, kind = f"{os.fspath(path)}.png", "png"
    if kind not in made.canvas.get_supported_filetypes():
        raise ValueError(f"a figure cannot be saved as .{kind}; give a path that ends in .png, .svg or .pdf.")
    with in_style():
        store(made, path, format=kind, bbox_inches="tight",
              metadata={"Date": None} if kind == "svg" else None)
    return path


def store(made, path, **options):
    """Draw in memory, then write the file whole or not at all: what draws pages fails in ways of its own when
    the disk is full. Returns the bytes."""
    image = io.BytesIO()
    made.savefig(image, **options)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(image.getbuffer())
    return image.getvalue()


def image_axes(axes):
    """Switch off what only disturbs a picture of values: grid lines."""
    axes.grid(False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    return axes


def mark_masked(axes, edges_x, edges_y, is_masked):
    """Hatch the cells of a masked region; is_masked has shape (nx, ny)."""
    import numpy as np

    if not is_masked.any():
        return
    centres = [(e[1:] + e[:-1]) / 2 for e in (edges_x, edges_y)]
    axes.pcolormesh(edges_x, edges_y, np.where(is_masked, 1.0, np.nan).T, cmap="Greys", vmin=0, vmax=4,
                    rasterized=True)
    if min(is_masked.shape) > 1:
        axes.contourf(*centres, is_masked.T.astype(float), levels=[0.5, 1.5], colors="none", hatches=["////"])
