"""Figures of wells and of the ways between them: critical points, minimum-energy path, network."""
import numpy as np

from .style import COLOURS, DASHES, FAINT, INK, figure, image_axes

MARKS = {"minimum": "o", "saddle": "X", "maximum": "^"}
LARGEST_NODE, SMALLEST_NODE = 1500, 120      # areas in points
MOST_LABELS = 12                             # edges of a network that get their numbers


def points_figure(points):
    """Wells and saddles: f over x in 1D, a map in the plane; above, heights with lines from each saddle to
    the two wells that it joins."""
    if not len(points):
        raise ValueError("there are no critical points to draw; look for them in a larger box.")
    ndim = len(points[0].x)
    made, axes = figure(width=13, height=9.5)
    places = np.array([p.x for p in points])
    heights = np.array([p.value for p in points])
    minima = [k for k, p in enumerate(points) if p.index == 0]
    at = places[:, 0] if ndim < 3 else _spread(points, minima)
    up = places[:, 1] if ndim == 2 else heights
    for k, p in enumerate(points):
        for well in p.between or ():
            if well is not None:
                j = minima[well]
                axes.plot([at[k], at[j]], [up[k], up[j]], color=FAINT, linewidth=1.0, zorder=1)
    for kind in dict.fromkeys(p.kind for p in points):
        chosen = [k for k, p in enumerate(points) if p.kind == kind]
        axes.plot(at[chosen], up[chosen], MARKS.get(kind, "s"), linestyle="none", color="white",
                  markeredgecolor=INK, markersize=9, label=kind)
    if ndim == 2:
        for x, y, value in zip(at, up, heights):
            axes.annotate(f"{value:.4g}", (x, y), xytext=(7, 5), textcoords="offset points", fontsize=8)
        axes.set(xlabel="x", ylabel="y")
    else:
        axes.set(xlabel="x" if ndim == 1 else "wells in the order of their minima", ylabel="f (energy)")
    axes.margins(0.15)
    axes.set_title("Critical points")
    axes.legend()
    return made


def _spread(points, minima):
    """Abscissae: wells one after the other, a saddle between its two wells."""
    place = {k: float(n) for n, k in enumerate(minima)}
    at = np.full(len(points), float(len(minima)))
    for k, p in enumerate(points):
        wells = [place[minima[w]] for w in p.between or () if w is not None]
        at[k] = place[k] if k in place else np.mean(wells) if wells else at[k]
    return at


def path_figure(path):
    """f along the minimum-energy path with its wells and saddles; in the plane the path itself too."""
    plane = path.x.shape[1] == 2
    made, row = figure(1, 2 if plane else 1, width=22 if plane else 14, height=9, squeeze=False)
    axes = row[0][0]
    axes.plot(path.arc, path.value, color=COLOURS[0])
    for points, kind in ((path.wells, "minimum"), (path.saddles, "saddle")):
        near = [int(np.argmin(((path.x - p.x) ** 2).sum(1))) for p in points]
        axes.plot(path.arc[near], [p.value for p in points], MARKS[kind], linestyle="none", color="white",
                  markeredgecolor=INK, markersize=8, label=kind)
        if plane and points:
            row[0][1].plot(*np.array([p.x for p in points]).T, MARKS[kind], linestyle="none", color="white",
                           markeredgecolor=INK, markersize=8, label=kind, zorder=3)
    axes.set(xlabel="length along the path", ylabel="f (energy)", title=f"Barrier {path.barrier:.5g}")
    axes.legend()
    if plane:
        row[0][1].plot(*path.x.T, color=COLOURS[1], linestyle=DASHES[1], linewidth=2)
        image_axes(row[0][1]).set(xlabel="x", ylabel="y", title="Minimum-energy path")
        row[0][1].margins(0.12)
    return made


def network_figure(network):
    """States as discs (area: probability) at their minima, with log10 of the rates along the arrows; on a
    circle where the wells have other than two coordinates."""
    n = network.n_states
    made, axes = figure(width=14, height=12)
    lowest = [network.minima[s[0]] for s in network.states]
    if len(lowest[0].x) == 2:
        places = np.array([m.x for m in lowest])
        axes.set(xlabel="x", ylabel="y")
    else:
        angle = np.pi - 2 * np.pi * np.arange(n) / max(n, 1)
        places = np.stack([np.cos(angle), np.sin(angle)], 1)
        axes.set(xticks=[], yticks=[])
    share = np.nan_to_num(network.stationary)
    rates = network.log_rates / np.log(10)
    edges = sorted(((rates[i, j], i, j) for i in range(n) for j in range(n) if np.isfinite(rates[i, j])),
                   reverse=True)
    for rank, (rate, i, j) in enumerate(edges):
        a, b = places[i], places[j]
        axes.annotate("", b, a, zorder=1, arrowprops={
            "arrowstyle": "-|>", "color": INK if rank < MOST_LABELS else FAINT, "shrinkA": 16, "shrinkB": 16,
            "linewidth": 1.1, "connectionstyle": "arc3,rad=0.18"})
        if rank < MOST_LABELS:
            # each direction has its number nearer to where it begins
            axes.annotate(f"{rate:.2f}", a + 0.33 * (b - a), fontsize=8, ha="center", va="center", zorder=3,
                          bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.9})
    axes.scatter(*places.T, s=SMALLEST_NODE + LARGEST_NODE * share, color=COLOURS[4], edgecolor=INK, zorder=2)
    for k, (place, p) in enumerate(zip(places, share)):
        axes.annotate(f"{k}: {p:.3g}", place, xytext=(0, -8 - np.sqrt(SMALLEST_NODE + LARGEST_NODE * p) / 2),
                      textcoords="offset points", ha="center", va="top", fontsize=8, zorder=4)
    axes.margins(0.25)
    image_axes(axes).set_title(f"Wells at θ = {network.theta:g}: probabilities, log₁₀ of the rates (1/time)")
    return made
