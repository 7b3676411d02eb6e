"""Figures of single claims about walkers: what `fpkit.plotting.walkers` draws stands there."""
import numpy as np

from fpkit.plotting.style import COLOURS, FAINT, FEW, INK, MARKERS, line_style
from fpkit.plotting.walkers import passage_points


def power_axes(axes, rows):
    """Time to generalise against the median time to memorise, for each varied setting, beside slopes 1 and
    2."""
    ends = []
    for k, name in enumerate(dict.fromkeys(r["setting"] for r in rows)):
        mine = [r for r in rows if r["setting"] == name]
        mem = {v: float(np.median([r["t_mem"] for r in mine if r["value"] == v]))
               for v in dict.fromkeys(r["value"] for r in mine)}
        x = [mem[r["value"]] for r in mine]
        passage_points(axes, x, [r["t"] for r in mine], [r["seen"] for r in mine], k, name.replace("_", " "))
        ends += [(a, r["t"]) for a, r in zip(x, mine) if r["seen"]]
    if ends:
        x = np.geomspace(min(e[0] for e in ends), max(e[0] for e in ends), 2)
        centre = np.exp(np.mean(np.log(ends), axis=0))
        for power, dash in ((1, ":"), (2, "--")):
            axes.plot(x, centre[1] * (x / centre[0]) ** power, color=FAINT, linestyle=dash, linewidth=1,
                      label=f"slope {power}")
    axes.set(xscale="log", yscale="log", xlabel="time to memorise (median, rate × steps)",
             ylabel="time to generalise (rate × steps)")
    axes.xaxis.set_minor_formatter(FEW)
    axes.legend(fontsize=7.5)


def cuts_axes(axes, nats, measured):
    """Nats by which one more pair cuts the region of each phase, and the slope of log time beside them."""
    for k, phase in enumerate(dict.fromkeys(row[0] for row in nats)):
        mine = [row for row in nats if row[0] == phase]
        axes.errorbar([r[1] for r in mine], [r[2] for r in mine], [2 * r[3] for r in mine], color=COLOURS[k],
                      marker=MARKERS[k], markerfacecolor="none", capsize=2,
                      linestyle=line_style(k)["linestyle"], label=f"{phase} walkers ± 2 s.e.")
    if measured:
        value, low, high = (-v for v in measured)
        axes.axhspan(min(low, high), max(low, high), color=FAINT, alpha=0.4)
        axes.axhline(value, color=INK, linewidth=1, label="−d ln t/dn measured")
    axes.set(yscale="log", xlabel="training pairs n", ylabel="nats per pair")
    axes.legend(fontsize=7.5)


def follow_axes(axes, curves, name="test_acc"):
    """One recorded mean of each arm against its steps."""
    for k, (arm, c) in enumerate(curves.items()):
        steps = np.asarray(c["steps"], float)
        axes.plot(np.maximum(steps, 1), c[name], label=arm, **(line_style(k) | {"marker": ""}))
    axes.set(xscale="log", xlabel="steps",
             ylabel={"test_acc": "test accuracy", "norm": "norm |x|"}.get(name, name))
    axes.legend(fontsize=7.5)
