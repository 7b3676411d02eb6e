"""Figures of a landscape report beyond the surface: the tree of wells; occupation, rates, training and test
loss against temperature; a comparison."""
import numpy as np

from .landscape_style import _important, _name_ends, _theta_axis, raised, set_margins, styled, text_of
from .style import COLOURS, DASHES, FAINT, INK, MARKERS, figure, literal

MOST_LEAVES = 24
MOST_PAIRS = 6
FLOOR = -60.0                         # decades of a rate
WIDE_RANGE = 300.0                    # of heights: beyond, the axis is logarithmic above the lowest tenth


@styled
def disconnectivity_figure(report):
    """Disconnectivity graph: each well a leaf at its lowest loss, joined to the well it drains into at the
    height of its pass."""
    wells = report.wells
    shown = sorted(wells, key=lambda w: -w.persistence)[:MOST_LEAVES]
    shown = sorted(shown, key=lambda w: w.number)
    numbers = {w.number for w in shown}
    children = {w.number: [] for w in shown}
    roots = []
    for w in shown:
        up = w.joins
        while up is not None and up not in numbers:
            up = wells[up - 1].joins
        roots.append(w) if up is None else children[up].append(w)
    order = {}

    def place(w):
        """Children that join low stand near their parent, in turn right and left of it."""
        kids = sorted(children[w.number], key=lambda c: -c.saddle)
        for c in kids[1::2]:
            place(c)
        order[w.number] = len(order)
        for c in kids[0::2][::-1]:
            place(c)

    for w in roots:
        place(w)
    made, axes = figure(width=max(16.0, min(26.0, 5 + 1.5 * len(shown))), height=10.5)
    lowest = min(w.minimum for w in shown)
    heights = [w.saddle - lowest for w in shown if w.saddle is not None]
    positive = [h for h in [*heights, *(w.minimum - lowest for w in shown)] if h > 0]
    top = max(heights, default=0.0) or (report.landscape.height(0.25) or 1.0)
    end = 1.12 * top
    is_log = bool(positive) and max(positive) > WIDE_RANGE * min(heights)
    for w in shown:
        x, base = order[w.number], w.minimum - lowest
        roof = end if w.saddle is None else w.saddle - lowest
        axes.plot([x, x], [base, roof], color=INK, linewidth=1.3)
        if w.saddle is not None:
            up = w.joins
            while up not in numbers:
                up = wells[up - 1].joins
            axes.plot([x, order[up]], [roof, roof], color=INK, linewidth=1.3)
        axes.plot(x, base, "o", color="white", markeredgecolor=INK, markersize=13, markeredgewidth=0.9,
                  zorder=5, clip_on=False)
        axes.annotate(str(w.number), (x, base), ha="center", va="center_baseline", fontsize=8.2,
                      fontweight="bold", zorder=6, annotation_clip=False)
    if is_log:
        axes.set_yscale("symlog", linthresh=min(heights))
        end *= 3
    for t in {float(report.theta[0]), float(report.theta[-1])}:
        # how much three theta is, since that is what makes a well
        if 3 * t > end:
            continue
        axes.axhline(3 * t, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
        axes.annotate(f"3 theta at\ntheta = {text_of(t)}", (1.0, 3 * t), xycoords=("axes fraction", "data"),
                      xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5, color="#555555",
                      annotation_clip=False)
    axes.set(xlim=(-0.7, len(order) - 0.3), ylim=(-0.06 * top if not is_log else -0.6 * min(heights), end),
             xticks=[], ylabel="loss above the lowest minimum")
    axes.spines["bottom"].set_visible(False)
    axes.set_title("Disconnectivity graph")
    if len(wells) <= len(shown):
        axes.set_title("leaves: wells; junctions: passes", loc="right", fontsize=8, fontweight="normal",
                       color="#555555")
    else:
        axes.set_title(f"the {len(shown)} deepest of {len(wells)} wells", loc="right", fontsize=8,
                       fontweight="normal", color="#555555")
    set_margins(made, left=2.0 / made.get_figwidth() / 2.54, right=1 - 3.1 / made.get_figwidth() / 2.54,
                bottom=0.04)
    return made


@styled
def occupation_figure(report):
    """Gibbs probability of each well against temperature; free energies below. Hollow markers: the barrier is
    below 3 theta."""
    thermo, thetas, fine = report.thermodynamics, report.theta, report.curves
    if len(report.wells) == 1:
        return _single_figure(report)
    made, (axes, below) = figure(2, 1, width=16, height=16, height_ratios=[1.15, 1], sharex=True)
    largest = thermo.occupation.max(axis=0)
    is_log = np.sort(largest)[-2] < 0.02  # one well has all: show how little the others have
    top = _important(largest, 1e-12 if is_log else 1e-3)
    ends, ends_below = [], []
    reference = thermo.free_energy.min(axis=1)
    for n, k in enumerate(top):
        colour, exists = COLOURS[n], thermo.is_well[:, k]
        for panel, values, curve in ((axes, thermo.occupation[:, k], fine.occupation[:, k]),
                                     (below, (thermo.free_energy[:, k] - reference) / thetas,
                                      (fine.free_energy[:, k] - fine.free_energy.min(axis=1)) / fine.theta)):
            panel.plot(fine.theta, curve, color=colour, linestyle=DASHES[n])
            panel.plot(thetas[exists], values[exists], MARKERS[n], color=colour)
            panel.plot(thetas[~exists], values[~exists], MARKERS[n], markerfacecolor="white",
                       markeredgecolor=colour)
        ends.append((thermo.occupation[-1, k], f"well {k + 1}", colour))
        ends_below.append(((thermo.free_energy[-1, k] - reference[-1]) / thetas[-1], f"well {k + 1}", colour))
    for c in report.crossovers:
        if fine.theta[0] <= c.theta <= thetas[-1] and c.deeper - 1 in top and c.wider - 1 in top:
            for panel in (axes, below):
                panel.axvline(c.theta, color=FAINT, linewidth=0.9, linestyle=(0, (2, 2)), zorder=0)
            open_ = "" if c.is_resolved else ", not resolved"
            axes.annotate(f"{c.deeper} and {c.wider} equal{open_}", (c.theta, 1.0), xytext=(4, -2),
                          textcoords="offset points", fontsize=8, color="#555555", va="top")
    axes.set(xscale="log", ylabel="Gibbs probability", title="Occupation of the wells")
    axes.set(**({"yscale": "log", "ylim": (1e-13, 5)} if is_log else {"ylim": (-0.03, 1.04)}))
    below.set(xlabel="temperature theta (units of the loss)", ylabel="free energy above the lowest / theta")
    below.set_ylim(-0.4, min(float(np.nanmax([(thermo.free_energy[:, k] - reference) / thetas for k in top]))
                             * 1.05 + 0.3, 25))
    _theta_axis(below)
    below.set_xlabel("temperature theta (units of the loss)\n"
                     "filled: depth above 3 theta; hollow: no longer a well")
    _name_ends(axes, ends)
    _name_ends(below, [e for e in ends_below if e[0] < below.get_ylim()[1]])
    set_margins(made, right=0.87, bottom=0.12)
    return made


def _single_figure(report):
    """One well: what the temperature does to mean loss and width."""
    thermo, thetas = report.thermodynamics, report.theta
    made, (axes, below) = figure(2, 1, width=16, height=14, sharex=True)
    fine = report.curves
    axes.plot(fine.theta, fine.energy[:, 0], color=COLOURS[0])
    axes.plot(thetas, thermo.energy[:, 0], MARKERS[0], color=COLOURS[0], label="mean loss")
    axes.axhline(report.wells[0].minimum, color=FAINT, linewidth=0.9, linestyle=(0, (2, 2)))
    axes.annotate("minimum", (thetas[-1], report.wells[0].minimum), xytext=(0, 4),
                  textcoords="offset points", ha="right", fontsize=8, color="#555555")
    if "test_loss" in thermo.mean_loss and report.landscape.key != "test_loss":
        axes.plot(thetas, thermo.mean_loss["test_loss"], color=COLOURS[1], marker=MARKERS[1],
                  linestyle=DASHES[1], label="mean test loss")
    axes.set(xscale="log", ylabel="loss", title="One well at all temperatures: mean loss and effective width")
    axes.legend()
    unit = "area" if report.landscape.ndim > 1 else "length"
    below.plot(fine.theta, np.exp(fine.entropy[:, 0]), color=COLOURS[2])
    below.plot(thetas, np.exp(thermo.entropy[:, 0]), MARKERS[2], color=COLOURS[2])
    cell = float(np.prod(report.landscape.spacing))
    below.axhline(cell, color=FAINT, linewidth=0.9, linestyle=(0, (2, 2)))
    below.annotate("one cell", (thetas[0], cell), xytext=(0, 4), textcoords="offset points", fontsize=8,
                   color="#555555")
    _theta_axis(below)
    below.set(yscale="log", xlabel="temperature theta (units of the loss)",
              ylabel=f"exp(entropy), {unit} in the plane's units")
    set_margins(made, left=0.13, bottom=0.1)
    return made


@styled
def rates_figure(report):
    """Rates between wells and slow modes against temperature: capacities with their resolution error,
    Eyring-Kramers hollow beside them."""
    rates, step = report.rates, report.clock.step
    shift = np.log10(step) if step and report.landscape.gram is not None else 0.0
    unit = ("1/step" if step and report.landscape.gram is not None else "1/(learning rate x "
            "steps)" if report.landscape.gram is not None else "1/arbitrary time")
    pairs = {}
    for r in rates:
        for a, one in enumerate(r.wells):
            for b, two in enumerate(r.wells):
                if np.isfinite(r.log10_rate[a, b]):
                    pairs.setdefault((one, two), []).append((r.theta, r.log10_rate[a, b],
                                                             r.log10_rate_error[a, b], r.log10_eyring[a, b]))
    # not those behind walls
    pairs = {p: rows for p, rows in pairs.items() if max(row[1] for row in rows) + shift > FLOOR}
    best = sorted(pairs, key=lambda p: (-len(pairs[p]), -pairs[p][-1][1]))[:MOST_PAIRS]
    if best:
        made, (axes, below) = figure(2, 1, width=16, height=17, height_ratios=[1.35, 1], sharex=True)
    else:                                                    # one well at every temperature
        made, below = figure(width=16, height=9.5)
        axes = None
    ends = []
    for n, pair in enumerate(best):
        theta, value, error, eyring = np.array(pairs[pair]).T
        colour = COLOURS[n % len(COLOURS)]
        axes.plot(theta, value + shift, color=colour, linestyle=DASHES[n % len(DASHES)],
                  marker=MARKERS[n % len(MARKERS)])
        band = np.where(np.isfinite(error), error, 0.0)
        axes.fill_between(theta, value + shift - band, value + shift + band, color=colour, alpha=0.18,
                          linewidth=0)
        axes.plot(theta, eyring + shift, MARKERS[n % len(MARKERS)], markerfacecolor="white",
                  markeredgecolor=colour, markersize=5.5)
        ends.append((value[-1] + shift, f"{pair[0]} to {pair[1]}", colour))
    if best:
        axes.set(ylabel=f"log₁₀ rate, {unit}", title="Transitions between wells")
        axes.annotate("filled: capacity, band: resolution error\nhollow: Eyring-Kramers", (0.985, 0.03),
                      xycoords="axes fraction", ha="right", fontsize=8, color="#555555")
        _cut(axes, 0.12)
    n_modes = max((r.log10_modes.size for r in rates), default=0)
    # NaN where a temperature has no such mode, so that no line is drawn across
    modes = np.full((len(rates), n_modes, 2), np.nan)
    for i, r in enumerate(rates):
        modes[i, :r.log10_modes.size] = np.stack([r.log10_modes, r.log10_modes_error], axis=1)
    theta = np.array([r.theta for r in rates])
    living = [j for j in range(n_modes) if np.nanmax(modes[:, j, 0]) + shift > FLOOR][:4]
    for n, j in enumerate(living):
        value, band = modes[:, j, 0], np.nan_to_num(modes[:, j, 1])
        below.plot(theta, value + shift, color=COLOURS[n], linestyle=DASHES[n], marker=MARKERS[n],
                   label=f"mode {j + 1}")
        below.fill_between(theta, value + shift - band, value + shift + band, color=COLOURS[n], alpha=0.18,
                           linewidth=0)
    if living:
        below.legend(loc="lower right", ncols=2)
        _cut(below, 0.08)
    if report.clock.theta is not None and report.theta.size > 1:
        for panel in (axes, below) if best else (below,):
            panel.axvline(report.clock.theta, color=FAINT, linewidth=0.9, linestyle=(0, (2, 2)), zorder=0)
        below.annotate("SGD", (report.clock.theta, 1), xycoords=("data", "axes fraction"), xytext=(3, -9),
                       textcoords="offset points", fontsize=8, color="#555555")
    below.set(xscale="log", xlabel="temperature theta (units of the loss)", ylabel=f"log₁₀ rate, {unit}",
              title="Slowest relaxations on the surface")
    if report.theta.size > 1:
        seen = [t for p in best for t, v, *_ in pairs[p] if v + shift
                > FLOOR] + [t for t, row in zip(theta, modes[:, living, 0]) if (row + shift > FLOOR).any()]
        low, high = (report.theta[max(0, int(np.searchsorted(report.theta, min(seen, default=0.0))) - 1)],
                     report.theta[-1])
        below.set_xlim(low / (high / low) ** 0.03, high * (high / low) ** 0.03)
        _theta_axis(below)
    if best:
        _name_ends(axes, ends)
    set_margins(made, right=0.87, **({} if best else {"bottom": 0.14, "top": 0.91}))
    return made


def _cut(axes, room):
    """Limits of the axis of a logarithm: the curves decide, with a share `room` of their range on either
    side, and not the bands of their errors; it ends at FLOOR: what happens more rarely than that happens
    never, and would flatten the rest."""
    values = np.concatenate([line.get_ydata() for line in axes.lines])
    values = values[np.isfinite(values)]
    shown = values[values > FLOOR]
    room *= max(np.ptp(shown), 1.0)
    is_cut = values.min() - room < FLOOR
    axes.set_ylim(FLOOR if is_cut else values.min() - room, shown.max() + room)
    if is_cut:
        axes.annotate(f"below: rates under 10{raised(FLOOR)}, in the report's table",
                      (0.015, 0.02), xycoords="axes fraction", fontsize=7.5, color="#555555",
                      bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1.5})


@styled
def risk_figure(report):
    """Gibbs means of training and test loss against temperature, and their difference."""
    risk = report.risk
    made, (axes, below) = figure(2, 1, width=16, height=13, height_ratios=[1.5, 1], sharex=True)
    for n, (values, name) in enumerate(((risk.train, "training loss"), (risk.test, "test loss"))):
        axes.plot(risk.theta, values, color=COLOURS[n], linestyle=DASHES[n], label=name,
                  marker=MARKERS[n] if risk.theta.size < 5 else "")
    axes.plot(risk.best_theta, risk.best_test, "o", markersize=9, markerfacecolor="white",
              markeredgecolor=COLOURS[1], markeredgewidth=1.6, zorder=5, label="least test loss"
              + (", at the end of the range" if risk.is_at_end else f", theta = {text_of(risk.best_theta)}"))
    axes.set(xscale="log", ylabel="mean loss", title="Training and test loss against temperature")
    axes.legend()
    below.plot(risk.theta, risk.gap, color=COLOURS[2], linestyle=DASHES[2],
               marker=MARKERS[2] if risk.theta.size < 5 else "")
    below.set(ylabel="test − training", xlabel="temperature theta (units of the loss)")
    if risk.theta.size > 1:
        _theta_axis(below)
    set_margins(made, left=0.13, bottom=0.1)
    return made


@styled
def comparison_figure(both):
    """Mean of each loss under the first landscape's Gibbs distribution, and how far the distributions
    overlap."""
    made, (axes, below) = figure(2, 1, width=16, height=15, height_ratios=[1.3, 1], sharex=True)
    names = [literal(name) for name in both.names[:len(COLOURS)]]
    for j, name in enumerate(names):
        is_known = np.isfinite(both.mean[:, 0, j]).any()         # a surface with holes may have no mean
        axes.plot(both.theta, both.mean[:, 0, j], color=COLOURS[j], linestyle=DASHES[j], marker=MARKERS[j],
                  label=name if is_known else f"{name}: not known")
        if j:
            below.plot(both.theta, both.overlap[:, 0, j], color=COLOURS[j], linestyle=DASHES[j],
                       marker=MARKERS[j], label=name)
    axes.set(xscale="log", ylabel="mean loss", title=f"Means under the Gibbs distribution of {names[0]}")
    axes.legend(fontsize=8)
    below.set(ylabel="shared probability", xlabel="temperature theta (units of the loss)", ylim=(-0.03, 1.04),
              title="Overlap of the Gibbs distributions")
    if both.theta.size > 1:
        _theta_axis(below)
    set_margins(made, left=0.13)
    return made
