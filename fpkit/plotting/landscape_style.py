"""What the figures of landscapes share: axes, names, words."""
import functools

import numpy as np

from .style import (
    in_style,
    literal,
    store,
)

MOST_CURVES = 6                       # more than these are drawn faint and without a name
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
DECADES = 6                           # of a loss scale; what lies higher is drawn in its last colour


def styled(draw):
    """The whole drawing under the style's rules, since titles and ticks are made after the axes."""
    @functools.wraps(draw)
    def inner(report):
        from matplotlib.ticker import FuncFormatter, LogFormatter, NullFormatter

        with in_style():
            made = draw(report)
            for axes in made.axes:
                for axis in (axes.xaxis, axes.yaxis):
                    if axis.get_scale() == "log" and isinstance(axis.get_major_formatter(), LogFormatter):
                        axis.set_major_formatter(FuncFormatter(lambda v, _: text_of(v)))
                        axis.set_minor_formatter(NullFormatter())
            return made
    return inner


def written(made, path, formats=("png",)):
    """Write a figure in each format to `path` and that ending; it is laid out once. Returns the bytes of the
    first."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with in_style():
        engine = made.get_layout_engine()
        if engine is not None:
            FigureCanvasAgg(made)
            engine.execute(made)
            made.set_layout_engine("none")
        # zlib's level 3 takes two thirds of the time of its default, for files a tenth larger
        return [store(made, path.with_name(f"{path.name}.{ending}"), format=ending,
                      **({"metadata": {"Date": None}} if ending == "svg"
                         else {"pil_kwargs": {"compress_level": 3}})) for ending in formats][0]


def set_margins(made, left=0.12, right=0.97, bottom=0.09, top=0.94, between=0.22):
    """Margins as shares of the figure, for simple panels one above the other: a layout costs as much as the
    drawing."""
    made.set_layout_engine(None)
    made.subplots_adjust(left=left, right=right, bottom=bottom, top=top, hspace=between)


def text_of(value):
    """A number for a label: 190, 0.0031, 3.3 × 10⁴."""
    size = abs(value)
    if size == 0 or 1e-3 <= size < 1e4:
        return f"{value:.2g}" if size < 100 else f"{value:.3g}" if size < 1000 else f"{value:.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    mantissa = mantissa[:-2] if mantissa.endswith(".0") else mantissa
    return f"10{raised(exponent)}" if mantissa == "1" else f"{mantissa} × 10{raised(exponent)}"


def raised(exponent):
    """A whole number as superscript; mathtext would take a tenth of the time of a figure."""
    return str(int(exponent)).translate(RAISED)


def _short(value):
    return text_of(float(f"{value:.3g}"))


def _important(largest, least=1e-3):
    """Places of the wells worth a curve, the most occupied first."""
    order = np.argsort(-np.asarray(largest), kind="stable")[:MOST_CURVES]
    return [int(k) for k in order if largest[k] > least or k == order[0]]


def _name_ends(axes, ends):
    """Names (value, name, colour) at the right ends of curves, moved apart so that they do not overlap. Call
    after the limits are set."""
    low, high = axes.get_ylim()
    scaled = np.log if axes.get_yscale() == "log" else (lambda v: v)
    slots = sorted(((scaled(max(v, low) if scaled is np.log else v) - scaled(low))
                    / (scaled(high) - scaled(low)), name, colour) for v, name, colour in ends)
    heights, gap = [], 0.058
    for p, _, _ in slots:
        heights.append(max(p, heights[-1] + gap) if heights else p)
    if heights and heights[-1] > 1.0:
        heights[-1] = 1.0
        for k in range(len(heights) - 2, -1, -1):
            heights[k] = min(heights[k], heights[k + 1] - gap)
    for (_, name, colour), h in zip(slots, heights):
        axes.annotate(name, (1.0, h), xycoords="axes fraction", xytext=(6, 0), textcoords="offset points",
                      color=colour, va="center", fontsize=8.8, fontweight="bold", annotation_clip=False)


def _theta_axis(axes):
    """Temperatures as plain numbers at 1, 2 and 5 of each decade, fewer when there are many decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axes.get_xlim()
    decades = np.log10(high / low)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades > 2.5 else (1.0, 2.0, 5.0) if decades > 0.9
                                            else (1, 2, 3, 5, 7) if decades > 0.5
                                            else (1, 2, 3, 4, 5, 6, 7, 8, 9)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: text_of(v)))


def _word(key):
    return {"train_loss": "Training loss", "test_loss": "Test loss"}.get(key, literal(key))
