"""Figures of many walkers: first passages with those not seen to pass, displacement, and what follows."""
import numpy as np

from .style import COLOURS, INK, MARKERS, figure, key_below, line_style


def spread(values, k, width=0.06):
    """Values moved sideways a little, the k-th group by its own, so that points do not hide each other."""
    return np.asarray(values, float) * (1 + width * (k - 0.5)) + 0.0


def passage_points(axes, x, t, seen, k, label, width=0.06):
    """Every walker a point, those not seen to pass an arrow; the median of each x where half passed."""
    x, t, seen = np.asarray(x, float), np.asarray(t, float), np.asarray(seen, bool)
    colour, at = COLOURS[k % len(COLOURS)], spread(x, k, width)
    axes.plot(at[seen], t[seen], linestyle="", marker=MARKERS[k % len(MARKERS)], markersize=3.5,
              markerfacecolor="none", markeredgewidth=0.8, alpha=0.75, color=colour)
    axes.plot(at[~seen], t[~seen], linestyle="", marker=r"$\uparrow$", markersize=8, color=colour)
    places, medians = [], []
    for value in np.unique(x):
        order = np.sort(np.where(seen, t, np.inf)[x == value])
        middle = order[(len(order) - 1) // 2]
        if np.isfinite(middle):
            places.append(spread([value], k, width)[0])
            medians.append(middle)
    axes.plot(places, medians, color=colour, linestyle=line_style(k)["linestyle"], linewidth=1.3, label=label)


def passage_axes(axes, rows, x, by, fixed):
    """First passages of `rows` (dictionaries with t, seen) against the column `x`, a curve for each value of
    the column `by`; `fixed` restricts other columns."""
    rows = [r for r in rows if all(r[name] == value for name, value in fixed.items())]
    names = {"l2": "L2", "batch": "batch", "arm": ""}
    for k, value in enumerate(dict.fromkeys(r[by] for r in rows)):
        mine = [r for r in rows if r[by] == value]
        text = value if isinstance(value, str) else f"{names.get(by, by)} {value:g}"
        passage_points(axes, [r[x] for r in mine], [r["t"] for r in mine], [r["seen"] for r in mine], k,
                       text if by != "batch" or value else "whole sample, Gaussian noise")
    axes.set(yscale="log", xlabel=x, ylabel="time to a test accuracy of .9")
    axes.plot([], [], linestyle="", marker=r"$\uparrow$", color=INK, label="not within the time watched")
    axes.legend(fontsize=7.5)


def displacement_axes(axes, curves):
    """Mean squared displacement against the lag, whole and in the null directions, beside a free walk."""
    names = {"start": "from the start", "plateau": "from the plateau", "quiet": "from the plateau, θ = 0",
             "wide": "from the plateau, width 64"}
    for k, (name, c) in enumerate(curves.items()):
        lags = np.asarray(c["lags"])
        style = line_style(k) | {"marker": ""}
        axes.plot(lags, c["whole"], label=names.get(name, name), **style)
        if c.get("null") is not None and c["dimension"] and np.any(c["null"]):
            axes.plot(lags, c["null"], color=style["color"], linestyle="", marker=MARKERS[k], markersize=3.5,
                      markerfacecolor="none", label=f"its {c['dimension']:.0f} null directions")
            axes.plot(lags, 2 * c["theta"] * c["dimension"] * lags, color=INK, linewidth=0.8,
                      label="free walk 2θ d t" if name in ("plateau", "all directions") else None)
    axes.set(xscale="log", yscale="log", xlabel="lag t (learning rate × steps)",
             ylabel="|x(t₀ + t) − x(t₀)|²")
    axes.legend(fontsize=7.5)


LAWS = {"exponential": "exponential", "another": "not exponential", "undecided": "law not decided"}


def sizes_axes(axes, rows, laws):
    """First passages against the sample size of each arm, with the slope of the exponential law."""
    for k, arm in enumerate(dict.fromkeys(r["arm"] for r in rows)):
        mine = [r for r in rows if r["arm"] == arm]
        law = (laws or {}).get(arm)
        text = arm if not law else f"{arm}: {LAWS[law['law']]}, d ln t/dn {law['slope']:.3f}"
        x = np.array([r["n"] for r in mine], float) + 0.5 * (k - 1)
        passage_points(axes, x, [r["t"] for r in mine], [r["seen"] for r in mine], k, text, 0.0)
    axes.plot([], [], linestyle="", marker=r"$\uparrow$", color=INK, label="not within the time watched")
    axes.set(yscale="log", xlabel="training pairs n (of 121)",
             ylabel="time to test accuracy .9\n(rate × steps; AdamW: steps)")
    key_below(axes)


def learner_run(run):
    """Accuracies of the walkers, their norms, and how many have passed each level."""
    made, (left, middle, right) = figure(1, 3, width=22, height=7.5)
    steps = np.maximum(np.asarray(run.steps, float), 1)
    classes = "test_acc" in run.history
    for name, k in (("train_acc", 1), ("test_acc", 0)) if classes else (("train_loss", 1), ("test_loss", 0)):
        if name in run.history:
            values = run.history[name]
            left.plot(steps, values, color=COLOURS[k], linewidth=0.5, alpha=0.4)
            left.plot([], [], color=COLOURS[k], label=name.replace("_acc", " accuracy").replace("_", " "))
    left.set(xscale="log", xlabel="steps", ylabel="accuracy" if classes else "risk",
             yscale="linear" if classes else "log")
    left.legend(fontsize=7.5)
    middle.plot(steps, run.history["norm"], color=INK, linewidth=0.5, alpha=0.5)
    middle.set(xscale="log", xlabel="steps", ylabel="norm |x|")
    for k, (level, passed) in enumerate(run.passages.items()):
        t = np.sort(passed[np.isfinite(passed)])
        right.step([1, *np.maximum(t, 1), run.watched.max()], [0, *np.arange(1, len(t) + 1), len(t)],
                   where="post", label=f"{level:g}", **{**line_style(k), "marker": ""})
    right.set(xscale="log", xlabel="steps", ylabel="walkers that have passed", ylim=(-0.3, len(run.x) + 0.3))
    if run.passages:
        right.legend(title="test accuracy", fontsize=7.5)
    return made


def passages_figure(found):
    """All walkers of `Passages` against the first column that varies."""
    made, axes = figure(width=13, height=9)
    names = [n for n in ("theta", "n", "width", "learning_rate", "scale", "batch", "l2") if n in found.columns
             and len(np.unique(found.columns[n])) > 1]
    x, *more = names or ["theta"]
    by = more[0] if more else "l2"
    rows = [{"t": float(t), "seen": bool(s), x: found.columns[x][k].item(), by: found.columns[by][k].item()}
            for k, (t, s) in enumerate(zip(found.time, found.seen))]
    passage_axes(axes, rows, x, by, {})
    if x == "theta":
        axes.set_xscale("symlog", linthresh=1e-5)
    if "level" in found.columns and len(found):
        axes.set_ylabel(f"time to a test accuracy of {found.columns['level'][0]:g}")
    if (found.time == 0).any() and (found.time > 0).any():                  # walkers that started there
        axes.set_yscale("symlog", linthresh=found.time[found.time > 0].min())
    return made


def displacement_figure(found):
    """A `Displacement`."""
    made, axes = figure(width=13, height=9)
    has = len(found.cluster) > 0
    null = {"null": found.parts[-1].mean(0), "dimension": float(found.dimensions[-1].mean())} if has else {}
    displacement_axes(axes, {"all directions": {"lags": found.lags, "whole": found.whole.mean(0),
                                                "theta": found.theta, **null}})
    return made


DRAWN = {"LearnerRun": learner_run, "Passages": passages_figure, "Displacement": displacement_figure}
