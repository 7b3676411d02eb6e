"""Figures of free energies in the space of all parameters."""
import numpy as np

from .style import COLOURS, FAINT, INK, MARKERS, figure, line_style, literal


def well_figure(F):
    """The walk up and down (integrand of the free energy against s), and the estimates side by side."""
    i = F.inputs
    made, (left, right) = figure(1, 2, width=19, height=8)
    path = i.get("path")
    if path is None:
        left.text(0.5, 0.5, "no walk was made", transform=left.transAxes, ha="center", color=FAINT)
    else:
        for k, name in enumerate(("up", "down")):
            left.plot(path["s"], path[name], label=f"{name}, {i['levels']} levels", **line_style(k))
        left.legend()
    left.set(xlabel="s: the fitted Gaussian (0) to the well (1)", ylabel="⟨D⟩ (nats)",
             title="Walk between Gaussian and well")
    rows = [("up", i["up"], None), ("down", i["down"], None), ("integral of ⟨D⟩", i["integral"], None),
            ("importance weights up", i["ais_up"], None), ("importance weights down", i["ais_down"], None),
            ("harmonic", i["harmonic"], None)]
    if F.status == "ok":
        rows.insert(0, ("F/θ", i["nats"], F.error / i["theta"]))
    rows = [r for r in rows if np.isfinite(r[1])]
    near = [value for name, value, _ in rows if name != "harmonic"]
    if near:                                          # the harmonic value may be far off: said, not drawn
        reach = max(np.ptp(near), 4 * F.error / i["theta"] if F.status == "ok" else 0.0, 1e-6 * abs(near[0]))
        low, high = min(near) - reach, max(near) + reach
        right.set_xlim(low, high)
        for k, (_, value, _) in enumerate(rows):
            if not low <= value <= high:
                right.annotate(f"{value:.4g}", (low if value < low else high, k), fontsize=8, va="center",
                               ha="left" if value < low else "right", color=INK)
    for k, (_, value, error) in enumerate(rows):
        colour = COLOURS[0] if error is not None else INK
        right.errorbar([value], [k], xerr=None if error is None else [[error], [error]], fmt=MARKERS[k % 7],
                       color=colour, markerfacecolor="white", capsize=3)
    if F.status == "ok":
        right.axvspan(i["nats"] - F.error / i["theta"], i["nats"] + F.error / i["theta"], color=COLOURS[4],
                      alpha=0.25, linewidth=0)
    right.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    right.invert_yaxis()
    right.ticklabel_format(axis="x", useOffset=False)
    right.set(xlabel="free energy F/θ (nats)", title="refused" if F.status != "ok"
              else f"θ = {i['theta']:g}, d = {len(i['x0'])}, {i['definition']}")
    return made


def solutions_figure(found):
    """Differences of free energy over temperature: whole space with error bars, harmonic, depth, plane."""
    a, *others = found.names
    made, rows = figure(1, len(others), width=4 + 13 * len(others), height=9.5, squeeze=False)
    for axes, b in zip(np.ravel(rows), others):
        numbers = [found.nats(a, b, t) for t in found.theta]
        column = lambda name, numbers=numbers: np.array([n[name] for n in numbers])
        good = np.isfinite(column("whole"))
        axes.errorbar(found.theta[good], column("whole")[good], column("error")[good], color=COLOURS[0],
                      marker="o", capsize=3, linewidth=1.2, zorder=4, label="whole space")
        for k, (name, label) in enumerate((("harmonic", "harmonic"), ("depth", "depth alone"),
                                           ("plane", "plane")), 1):
            if np.isfinite(column(name)).any():
                axes.plot(found.theta, column(name), label=label,
                          **line_style(k) | {"markerfacecolor": "none"})
        for t in found.theta[~good]:
            axes.axvline(t, color=FAINT, linewidth=0.8, linestyle=":")
        if (~good).any():
            axes.plot([], [], color=FAINT, linewidth=0.8, linestyle=":", label="refused")
        for c in found.crossovers:
            if set(c.pair) == {a, b}:
                axes.axvspan(c.low, c.high, color=COLOURS[4], alpha=0.2, linewidth=0, label="crossover")
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set(xscale="log", xlabel="temperature θ (loss)", ylabel=literal(f"(F {a} − F {b})/θ (nats)"),
                 title=literal(f"{a} against {b}: above 0, {b} holds more"))
        axes.set_yscale("symlog", linthresh=2.0)
        if found.theta.size <= 10:
            axes.set_xticks(found.theta, [f"{t:g}" for t in found.theta])
            axes.set_xticks([], minor=True)
        axes.legend()
    return made
