"""Figures of learning: runs of a network, sweeps and their laws, the two models, embeddings, and walks of
SGLD."""
import numpy as np

from .style import COLOURS, FAINT, FEW, INK, figure, key_below, line_style
from .walkers import sizes_axes

TRAIN, TEST = COLOURS[1], COLOURS[0]


def _no_marker(k):
    return line_style(k) | {"marker": ""}


def accuracies(axes, history, is_labelled=True):
    """Training and test accuracy against the step on a logarithmic axis; step 0 is drawn at the first
    check."""
    steps = np.asarray(history["steps"], float)
    x = np.maximum(steps, steps[steps > 0].min() / 2)
    axes.plot(x, history["train_acc"], color=TRAIN, linestyle=(0, (5, 1.5)),
              label="training sample" if is_labelled else None)
    axes.plot(x, history["test_acc"], color=TEST, linestyle="-", label="test sample" if is_labelled else None)
    axes.set(xscale="log", ylim=(-0.03, 1.05), xlabel="optimiser steps", ylabel="accuracy")


def training_run(run):
    """Accuracies (or risks) and the norm of one training run."""
    history = {"steps": run.steps, **run.history}
    made, (left, right) = figure(1, 2, width=17, height=7)
    if "train_acc" in history:
        accuracies(left, history)
        left.legend(loc="center left")
    else:
        for k, name in enumerate(n for n in ("train_loss", "test_loss") if n in history):
            left.plot(run.steps, run.history[name], label=name.replace("_", " "), **_no_marker(k))
        left.set(yscale="log", xlabel="optimiser steps", ylabel="risk")
        left.legend()
    right.plot(run.steps, history["norm"], color=INK)
    right.set(xlabel="optimiser steps", ylabel="norm of the weights |x|")
    return made


def figure_one(data):
    """Memorising early, generalising late: networks, those of a stored run, and model A beside them (Figure 1
    of the talk, from our own runs)."""
    stored = data.get("stored")
    made, row = figure(1, 3 if stored else 2, width=24 if stored else 17, height=8)
    left, right = row[0], row[-1]
    story = data["story"]
    for other in data.get("others", ()):
        faint_accuracies(left, other)
    accuracies(left, data["history"])
    _moments(left, data["t_memorised"], data["t_grokked"])
    decay = f", decay {data['decay']:g}" if "decay" in data else ""
    left.set_title(f"a + b mod {data['modulus']}, {100 * data['fraction']:.0f} %{decay}")
    if stored:
        known = lambda name: [np.inf if run[name] is None else run[name] for run in stored["runs"]]
        when = known("t_grokked")
        shown = int(np.argsort(when)[(len(when) - 1) // 2])
        for k, run in enumerate(stored["runs"]):
            (accuracies if k == shown else faint_accuracies)(row[1], {"steps": stored["steps"], **run})
        _moments(row[1], known("t_memorised")[shown], when[shown])
        row[1].set_title(f"a + b mod {stored['modulus']}, decay {stored['decay']:g}")
    times = np.asarray(story["times"])
    right.plot(times, story["down"], color=TRAIN, linestyle=(0, (5, 1.5)),
               label="way down to the floor, 1 − |y|/L")
    right.plot(times, story["along"], color=TEST, linestyle="-", label="farthest along the floor, max x/L")
    right.plot(times, story["arrived"], color=INK, linestyle=":", label="share of paths that arrived")
    right.axvline(story["t_mem"], color=TRAIN, linewidth=0.8, linestyle=":")
    right.axvline(story["t_grok"], color=TEST, linewidth=0.8, linestyle=":")
    for time, text, height, colour in ((story["t_mem"], "L/g", 0.86, TRAIN),
                                       (story["t_grok"], "L²/2θ", 0.02, TEST)):
        right.annotate(text, (time, height), xytext=(3, 0), textcoords="offset points", fontsize=8, ha="left",
                       va="bottom", color=colour)
    right.set(xscale="log", ylim=(-0.03, 1.05), xlabel="time t (length²/energy)", ylabel="mean over paths",
              title="Model A: drift, then a walk")
    for axes, n in zip(row, (2, 2, 1) if stored else (2, 1)):
        key_below(axes, n)
    return made


def _moments(axes, memorised, generalised):
    """The steps of memorising and generalising, told on the plateau between them."""
    marked = [(t, name, colour) for t, name, colour in ((memorised, "memorised", TRAIN),
                                                        (generalised, "generalised", TEST))
              if t is not None and np.isfinite(t)]
    for k, (t, name, colour) in enumerate(marked):
        axes.axvline(t, color=colour, linewidth=0.8, linestyle=":")
        axes.annotate(f"{name}: step {t:.0f}", (marked[0][0], 0.82 - 0.12 * k), xytext=(4, 0),
                      textcoords="offset points", fontsize=7.5, va="center", color=colour,
                      bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1})


def faint_accuracies(axes, history):
    """Another walker's accuracies, thin."""
    steps = np.asarray(history["steps"], float)
    x = np.maximum(steps, steps[steps > 0].min() / 2)
    for name, colour in (("train_acc", TRAIN), ("test_acc", TEST)):
        axes.plot(x, history[name], color=colour, linewidth=0.7, alpha=0.5)


def _sweep_points(axes, values, times, n_steps, style, label):
    """Every run a point; censored runs are arrows at the last step watched."""
    x = np.repeat(np.asarray(values, float), np.shape(times)[1])
    t = np.ravel(np.array(times, float))
    known = np.isfinite(t)
    axes.plot(x[known], t[known], linestyle="", markersize=4, markerfacecolor="none",
              markeredgewidth=1, color=style["color"], marker=style["marker"], label=label)
    if (~known).any():
        axes.plot(x[~known], np.full((~known).sum(), float(n_steps)), linestyle="", marker=r"$\uparrow$",
                  markersize=9, color=style["color"], label="not within the run")


def sweep_axes(axes, found, laws=None):
    """Times of a sweep against the varied setting, with fitted laws when there are some."""
    _sweep_points(axes, found["values"], found["t_memorised"], found["n_steps"],
                  {"color": TRAIN, "marker": "s"}, "memorised")
    _sweep_points(axes, found["values"], found["t_grokked"], found["n_steps"], {"color": TEST, "marker": "o"},
                  "generalised")
    if laws:
        x = np.linspace(min(found["values"]), max(found["values"]), 400)
        memorised = np.interp(x, *zip(*sorted(zip(found["values"],
                                                  np.median(np.array(found["t_memorised"], float), axis=1)))))
        for law, colour, dash in ((laws["exponential"], FAINT, (0, (1, 1.2))), (laws["power"], INK, "-")):
            t = memorised + law.delay(x)
            shown = np.isfinite(t) & (t < 3 * found["n_steps"])
            what = "exponential" if law.name == "exponential" else f"power, critical {law.critical:.3f}"
            axes.plot(x[shown], t[shown], color=colour, linestyle=dash, linewidth=1.2,
                      label=f"{what}: R² {law.r_squared:.3f}")
    axes.set(yscale="log", xlabel=found["vary"].replace("_", " ").replace("fraction", "training fraction"),
             ylabel="optimiser steps")


def figure_two(data):
    """Steps to 99 % test accuracy against the training fraction; SGLD against the sample size, and model B
    (Figure 2 of the talk, from our own runs)."""
    sizes = data.get("sizes")
    made, row = figure(1, 3 if sizes else 2, width=24 if sizes else 17, height=9.5)
    left, right = row[0], row[-1]
    if sizes:
        sizes_axes(row[1], sizes["rows"], sizes["laws"])
        row[1].set_title("a + b mod 11, 16 walkers each")
    found = data["sweep"]
    sweep_axes(left, {"values": found.values, "t_memorised": found.t_memorised, "t_grokked": found.t_grokked,
                      "n_steps": found.n_steps, "vary": found.vary}, data["laws"])
    left.set_title(f"a + b mod {found.settings['modulus']}, AdamW, {found.t_grokked.shape[1]} seeds")
    chamber_axes(right, data["chamber"].rows)
    right.set_title("Model B: a shrinking chamber")
    for axes in row:
        key_below(axes)
    return made


def chamber_axes(axes, rows):
    """Exit times of model B against the sample size, paths with two standard errors beside the exact
    curves."""
    n = [row["n"] for row in rows]
    axes.errorbar(n, [float(row["t_grok"]) for row in rows],
                  [2 * row["t_grok"].error if hasattr(row["t_grok"], "error") else 0 for row in rows],
                  fmt="o", color=TEST, markerfacecolor="none", capsize=2, label="paths, ± 2 standard errors")
    if "finite_volumes" in rows[0]:
        axes.plot(n, [row["finite_volumes"] for row in rows], linestyle="", marker="x", color=TRAIN,
                  label="finite volumes in (x, r)")
    axes.plot(n, [row["reduced"] for row in rows], color=INK, linewidth=1, label="reduced motion")
    axes.set(yscale="log", xlabel="sample size n (each cuts half a nat)", ylabel="time t (length²/energy)")
    axes.legend(fontsize=7.5)


def ravine_axes(axes, rows):
    """Both times of model A against the length, with their laws."""
    L = np.array([row["length"] for row in rows])
    for k, (name, exact, text) in enumerate((("t_mem", "drift", "to the floor"),
                                             ("t_grok", "walk", "along the floor"))):
        style = {"color": (TRAIN, TEST)[k], "marker": "so"[k]}
        axes.errorbar(L, [float(row[name]) for row in rows],
                      [2 * getattr(row[name], "error", 0.0) for row in rows], fmt=style["marker"],
                      color=style["color"], markerfacecolor="none", capsize=2, label=f"{text}: paths")
        axes.plot(L, [row[exact] for row in rows], color=style["color"], linestyle=("--", "-")[k],
                  linewidth=1, label=("L/g", "L²/2θ")[k])
    if "finite_volumes" in rows[0]:
        axes.plot(L, [row["finite_volumes"] for row in rows], linestyle="", marker="x", color=INK,
                  label="along: finite volumes")
    axes.set(xscale="log", yscale="log", xlabel="length L", ylabel="time t (length²/energy)")
    axes.xaxis.set_minor_formatter(FEW)
    axes.legend(fontsize=7.5)


def passage_table(result):
    """The figure of model A or model B."""
    made, axes = figure(width=12, height=9)
    (chamber_axes if "n" in result.rows[0] else ravine_axes)(axes, result.rows)
    axes.set_title(result.model.split(":")[0].capitalize())
    return made


def sweep_figure(result):
    """Times of a sweep."""
    made, axes = figure(width=12, height=9)
    sweep_axes(axes, {"values": result.values, "t_memorised": result.t_memorised,
                      "t_grokked": result.t_grokked, "n_steps": result.n_steps, "vary": result.vary})
    if result.vary != "fraction":
        axes.set_xscale("symlog" if (result.values == 0).any() else "log")
    axes.legend(fontsize=7.5)
    return made


def circle_axes(axes, points, step, title=""):
    """Residues in the plane of the strongest frequency, each a disc with its number, joined by adding
    `step`."""
    points = np.asarray(points, float)
    p = len(points)
    for a in range(p):
        axes.plot(*points[[a, (a + step) % p]].T, color=COLOURS[0], linewidth=0.8, alpha=0.6, zorder=1)
    axes.scatter(*points.T, s=75, color="white", zorder=2, edgecolors=INK, linewidths=0.7)
    for a in range(p):
        axes.annotate(str(a), points[a], fontsize=5.5, ha="center", va="center", xytext=(0, 0),
                      textcoords="offset points", zorder=3)
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.12)
    axes.set(xlabel="first axis", ylabel="second axis", title=title)


def one_step(c):
    """The residue whose addition is one step along the circle: frequency times it is 1 modulo p."""
    p = len(c.points)
    return pow(c.frequency, -1, p) if np.gcd(c.frequency, p) == 1 else 1


def figure_three(data):
    """Residues on a circle: before, while memorising, after generalising (Figure 3 of the talk, from our own
    runs, without t-SNE)."""
    rows = [(name, data[key]) for name, key in (("embedding", "moments"), ("output weights", "outputs"))
            if key in data]
    made, grid = figure(len(rows), len(rows[0][1]), width=7 * len(rows[0][1]), height=8 * len(rows),
                        squeeze=False)
    for (name, moments), line in zip(rows, grid):
        for axes, (title, c) in zip(line, moments):
            step = data.get("step") or one_step(c)
            circle_axes(axes, c.points, step)
            axes.set_title(f"{name}: {title}", fontsize=7.5)
            axes.set_xlabel(f"frequency {c.frequency}, lines join a and a + {step}\n"
                            f"Fourier share {c.share:.3f}, plane {100 * c.plane_share:.0f} %", fontsize=7.5)
            axes.set_ylabel("second axis" if axes is line[0] else "", fontsize=7.5)
            axes.tick_params(labelsize=7)
    made.suptitle("Residues in the plane of their strongest Fourier frequency; lines are one step along the "
                  "circle", fontsize=9)
    return made


def norm_axes(axes, history, title, is_first=True):
    """Both accuracies and, on a second axis, the norm of the weights."""
    accuracies(axes, history, is_labelled=True)
    second = axes.twinx()
    steps = np.asarray(history["steps"], float)
    second.plot(np.maximum(steps, steps[steps > 0].min() / 2), history["norm"], color=INK, linewidth=1.3,
                linestyle="-.", label="norm |x|")
    second.grid(False)
    second.spines["right"].set_visible(True)
    norm = np.asarray(history["norm"], float)
    second.set_ylim(0.85 * np.nanmin(norm), 1.08 * np.nanmax(norm))
    axes.set_title(title, fontsize=9)
    if not is_first:
        axes.set_ylabel("")
    second.set_ylabel("norm of the weights |x|")
    return second


def figure_four(data):
    """Norm of the weights with both accuracies (Figure 4 of the talk, from our own runs)."""
    panels = data["panels"]
    n = min(2, len(panels))
    made, grid = figure(-(-len(panels) // n), n, width=11 * n, height=6.5 * -(-len(panels) // n),
                        squeeze=False)
    for k, (axes, (title, history)) in enumerate(zip(grid.ravel(), panels)):
        second = norm_axes(axes, history, title, k % n == 0)
    for axes in grid.ravel()[len(panels):]:
        axes.set_visible(False)
    norm_key(made, grid[0][0], second)
    return made


def norm_key(made, *axes):
    """One legend below all panels, of the curves of `norm_axes`."""
    lines = [h for a in axes for h in a.get_legend_handles_labels()[0]]
    made.legend(lines, [h.get_label() for h in lines], fontsize=8, loc="outside lower center", ncols=3)


def talk_figure(number, data, path):
    """Draw Figure `number` of the talk from `fpkit.learning.figures.figure_data` and save it; returns the
    path."""
    from .style import in_style, save

    with in_style():
        made = (figure_one, figure_two, figure_three, figure_four)[number - 1](data)
    return save(made, path)


def walk_axes(axes, steps, curves, name):
    """Curves of a recorded quantity: (label, values) pairs."""
    for k, (label, values) in enumerate(curves):
        axes.plot(steps, values, label=label, linewidth=1.2, color=COLOURS[k % len(COLOURS)],
                  linestyle=line_style(k)["linestyle"])
    axes.set(xlabel="SGLD steps", ylabel=name)


def sgld_run(run):
    """Risks, accuracy, norm and displacement of SGLD."""
    made, grid = figure(2, 2, width=17, height=12)
    shown = [("train_loss", "training risk"), ("test_acc", "test accuracy") if "test_acc" in run.history
             else ("test_loss", "test risk"), ("norm", "norm |x|"), ("displacement", "|x − x₀|²")]
    for axes, (key, name) in zip(grid.ravel(), shown):
        walk_axes(axes, run.steps, [(f"path {k + 1}", v) for k, v in enumerate(run.history[key].T[:6])], name)
    grid[0][0].legend(fontsize=7.5)
    made.suptitle(f"SGLD at θ = {run.theta:g}, L2 {run.l2:g}, learning rate {run.learning_rate:g} (stable "
                  f"below {2 / run.curvature:.3g})", fontsize=9)
    return made


DRAWN = {"TrainingRun": training_run, "PassageTable": passage_table, "Sweep": sweep_figure,
         "SgldRun": sgld_run}
