"""What the figures of landscapes share: axes, names, words."""
import functools

import numpy as np

from .style import (
    RULES,
)

MOST_CURVES = 6                       # more than these are drawn faint and without a name
DECADES = 6                           # of a loss scale; what lies higher is drawn in its last colour


def styled(draw):
    """The whole drawing under the style's rules, since titles and ticks are made after the axes."""
    @functools.wraps(draw)
    def inner(report):
        import matplotlib

        with matplotlib.rc_context(RULES):
            return draw(report)
    return inner


def text_of(value):
    """A number for a label: 190, 0.0031, 3.3 x 10^4."""
    size = abs(value)
    if size == 0 or 1e-3 <= size < 1e4:
        return f"{value:.2g}" if size < 100 else f"{value:.3g}" if size < 1000 else f"{value:.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    mantissa = mantissa[:-2] if mantissa.endswith(".0") else mantissa
    return f"$10^{{{int(exponent)}}}$" if mantissa == "1" else f"${mantissa}\\times 10^{{{int(exponent)}}}$"


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
                                            else (1, 2, 3, 4, 5, 6, 7, 8, 9)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: text_of(v)))


def _word(key):
    return {"train_loss": "Training loss", "test_loss": "Test loss"}.get(key, key)
