"""The histogram of the paths follows the density to the Gibbs distribution, within its statistical error."""
from __future__ import annotations

import numpy as np

from . import _exact
from .verdict import Table, ruled

CLAIM = ("The histogram of Langevin paths has, at every time, the same distance to the Gibbs distribution as "
         "the density of the Fokker-Planck equation, and a long run reaches the Gibbs distribution, in ten "
         "dimensions as well: all within the statistical error.")
SOURCE = ("dX = -grad f dt + sqrt(2 theta) dW has the density of the Fokker-Planck equation (Ito) and the "
          "invariant density exp(-f/theta)/Z.")
CRITERION = ("In time: squared L2(1/pi) distance and relative entropy of the histogram, freed of the bias of "
             "finite counts, within 4.5 standard errors (jackknife over 40 groups of paths) plus 0.5 % of "
             "those of the density. Long runs: the worst cell within the 1e-3 quantile of Student's law "
             "over all cells (Bonferroni), and the L1 distance at most 4.6 times what the standard errors "
             "predict, the same quantile if one slow mode makes all of it. Accidents (seeds are fixed): "
             "below 1 in 1000 a run.")

TIMES = (0.1, 0.3, 0.6, 1.0, 1.5, 2.0)             # in units of 1/gap
GROUPS = 40
Z_LIMIT, SLACK = 4.5, 0.005  # SLACK: error of the integrator at the step used, measured at half the step
ACCIDENT, FREEDOM = 1e-3, 31  # chance of a false alarm a run; 32 independent strands give the standard errors
L1_LIMIT = 4.6  # Student's 1e-3 quantile, 3.65, over the mean modulus .798 of a normal variable
LEAST = 20  # expected counts of a cell; smaller ones are joined into one


def cases(quick):
    """Potential, temperature, cells of the density, cells of the histogram an axis."""
    from ._catalogue import entry

    listed = [("double_well", 0.4, 192, 24), ("tilted_double_well", 0.4, 192, 24),
              ("triple_well", 0.4, 240, 24), ("ornstein_uhlenbeck_2d", 0.2, 64, 8),
              ("three_hole", 0.5, 72, 8), ("wide_and_narrow", 0.4, (48, 144), 8),
              ("quartic_chain_3d", 0.5, 24, 6)]
    for name, theta, n, bins in listed[:1] if quick else listed:
        yield name, entry(name), theta, n, bins


def measure(quick=False):
    """Rows of two kinds: "time" (histogram against density at one time) and "long run"."""
    rows = []
    for k, (name, V, theta, n, bins) in enumerate(cases(quick)):
        rows.extend(in_time(name, V, theta, n, bins, 8_000 if quick else 40_000, seed=10 + k))
        rows.append(long_run(name, V, theta, n, bins, quick, seed=40 + k))
    rows.append(chain_run(10, quick, seed=70))
    return rows


def in_time(name, V, theta, n, bins, n_paths, seed):
    """Distances of histogram and density to the exact cell probabilities, at a few times after one start."""
    import fpkit as fp

    from ._catalogue import start_in_a_well

    grid = fine_grid(V, n)
    D = fp.FokkerPlanck(V, theta=theta, grid=grid)
    gap, _ = _exact.lowest_gap(D.generator, np.exp(D.log_mass - D.log_mass.max()))
    coarse = fp.Grid(V.box, (bins,) * V.ndim, periodic=V.periodic_axes)
    exact, _ = _exact.cell_probabilities(V, theta, coarse)
    start, std = start_in_a_well(V, theta)
    last = TIMES[-1] / gap
    dt = min(step(V, theta, grid), last / 1000)
    n_steps = int(np.ceil(last / dt))
    every = max(1, n_steps // 20)
    dt, n_steps = last / (20 * every), 20 * every
    times = np.array([round(20 * t / TIMES[-1]) for t in TIMES]) * every * dt
    density = D.evolve((start, std), times, tol=1e-6)
    x0 = start + std * np.random.default_rng(seed).normal(size=(n_paths, V.ndim))
    run = fp.simulate(V, theta, x0, dt, n_steps, n_paths, scheme="heun", seed=seed, save_every=every)
    cells, weights = lump(exact, LEAST / n_paths)
    for k, t in enumerate(times):
        p = join(aggregate(np.asarray(density.densities)[k] * grid.volumes, bins), cells)
        x = run.paths[:, int(np.argmin(np.abs(np.asarray(run.times) - t)))]
        counts = np.stack([join(histogram(part, coarse), cells) for part in np.array_split(x, GROUPS)])
        for what, of in (("L2 squared", squared), ("entropy", entropy)):
            value, error = jackknife(counts, weights, of)
            truth = {"L2 squared": _exact.l2_distance(p, weights) ** 2,
                     "entropy": _exact.relative_entropy(p, weights)}[what]
            yield {"kind": "time", "potential": name, "ndim": V.ndim, "theta": theta, "what": what, "time": t
                   * gap, "paths": value, "density": truth, "error": error, "z": (value - truth) / error,
                   "allowed": Z_LIMIT + SLACK * abs(truth) / error, "dt": dt, "n_paths": n_paths}


def step(V, theta, grid):
    """A step of 0.1 over the stiffest curvature where there is mass."""
    points = grid.points.reshape(-1, V.ndim)
    f = V(points)
    some = f - f.min() < 6 * theta
    stiff = np.abs(np.linalg.eigvalsh(V.hessian(points[some]))).max()
    return 0.1 / float(stiff)


def lump(exact, least):
    """Numbers of the joined cells (small ones share the last number) and their exact probabilities."""
    flat = exact.ravel()
    big = flat >= least
    cells = np.where(big, np.cumsum(big) - 1, big.sum())
    return cells, np.bincount(cells, flat, minlength=int(big.sum()) + 1)


def join(values, cells):
    return np.bincount(cells, np.asarray(values, float).ravel(), minlength=int(cells.max()) + 1)


def fine_grid(V, n):
    """Grid of the density: n cells an axis, or a shape."""
    import fpkit as fp

    return fp.Grid(V.box, n if isinstance(n, tuple) else (n,) * V.ndim, periodic=V.periodic_axes)


def aggregate(p, bins):
    """Sums over blocks of cells, `bins` blocks an axis."""
    for axis in range(p.ndim):
        p = np.add.reduceat(p, np.arange(bins) * (p.shape[axis] // bins), axis)
    return p


def histogram(x, grid):
    """Counts in the cells; points beyond a wall count in the cell at the wall."""
    inside = np.stack([np.clip(x[:, k], e[0], np.nextafter(e[-1], -np.inf)) for k,
                       e in enumerate(grid.edges)], -1)
    return np.histogramdd(inside, bins=list(grid.edges))[0]


def squared(counts, exact):
    """Unbiased estimate of sum (p - pi)^2 / pi from independent counts."""
    n = counts.sum()
    p = counts / n
    return float((((p - exact) ** 2 - p * (1 - p) / (n - 1)) / exact).sum())


def entropy(counts, exact):
    """Relative entropy with the first-order correction (cells - 1)/(2 n) for finite counts (Miller 1955)."""
    n = counts.sum()
    p = counts / n
    return _exact.relative_entropy(p, exact) - ((p > 0).sum() - 1) / (2 * n)


def jackknife(counts, exact, of):
    """Value from all groups, and its standard error from leaving one group out at a time."""
    total = counts.sum(0)
    left_out = np.array([of(total - c, exact) for c in counts])
    g = len(counts)
    return of(total, exact), float(np.sqrt((g - 1) / g * ((left_out - left_out.mean()) ** 2).sum()))


def long_run(name, V, theta, n, bins, quick, seed):
    """Histogram of one long run of many paths against the exact cell probabilities."""
    import fpkit as fp

    fine = 2 * bins if V.ndim < 3 else bins
    grid = fp.Grid(V.box, (fine,) * V.ndim, periodic=V.periodic_axes)
    exact, _ = _exact.cell_probabilities(V, theta, grid)
    D = fp.FokkerPlanck(V, theta=theta, grid=fine_grid(V, n))
    gap, _ = _exact.lowest_gap(D.generator, np.exp(D.log_mass - D.log_mass.max()))
    dt, n_paths = step(V, theta, grid), 256 if quick else 1024
    n_steps = int(np.ceil((20 if quick else 60) / gap / dt))
    stats = fp.sample(V, theta, V.minima[0].x, dt, n_steps, n_paths, scheme="leimkuhler-matthews",
                      histogram=grid, seed=seed)
    return {"kind": "long run", "potential": name, "ndim": V.ndim, "theta": theta, "dt": dt,
            "n_paths": n_paths,
            **against(stats.histogram.values * grid.volumes, stats.standard_error * grid.volumes, exact)}


def chain_run(d, quick, seed):
    """The quartic chain of ten coordinates: its first marginal, exactly by the transfer operator."""
    import fpkit as fp

    from ._catalogue import chain_marginal, entry

    V, theta, dt = entry("quartic_chain_10d"), 0.5, 0.005
    grid = fp.Grid([(-2.0, 2.0)], (40,))
    exact = chain_marginal(V, theta, grid)
    n_paths, time = (256, 100.0) if quick else (1024, 400.0)
    stats = fp.sample(V, theta, np.zeros(d), dt, int(time / dt), n_paths, scheme="leimkuhler-matthews",
                      histogram=grid, marginal=(0,), seed=seed)
    return {"kind": "long run", "potential": "quartic chain, first coordinate", "ndim": d, "theta": theta,
            "dt": dt, "n_paths": n_paths,
            **against(stats.histogram.values * grid.volumes, stats.standard_error * grid.volumes, exact)}


def against(p, sigma, exact):
    """L1 distance beside what the standard errors of the cells predict, and the worst cell in standard
    errors."""
    from scipy.stats import t as student

    some = exact > 1e-4  # elsewhere a cell sees too few visits for a standard error
    l1 = float(np.abs(p - exact)[some].sum())
    predicted = float(np.sqrt(2 / np.pi) * sigma[some].sum())
    worst = float(np.max(np.abs(p - exact)[some] / sigma[some]))
    quantile = float(student.isf(ACCIDENT / (2 * some.sum()), FREEDOM))
    return {"what": "L1", "paths": l1, "density": 0.0, "error": predicted, "ratio": l1 / predicted,
            "worst": worst, "quantile": quantile}


def judge(rows):
    misses, worst_z, worst_ratio = [], 0.0, 0.0
    for r in rows:
        if r["kind"] == "time":
            worst_z = max(worst_z, abs(r["z"]))
            if not abs(r["z"]) <= r["allowed"]:
                misses.append(f"{r['potential']} at time {r['time']:.1f}/gap: {r['what']} {r['z']:+.1f} "
                              "standard errors from the density's")
        else:
            worst_ratio = max(worst_ratio, r["ratio"])
            if not r["ratio"] <= L1_LIMIT:
                misses.append(f"{r['potential']} ({r['ndim']}D): L1 distance {r['ratio']:.2f} times the "
                              "statistical one")
            if not r["worst"] <= r["quantile"]:
                misses.append(f"{r['potential']} ({r['ndim']}D): a cell is {r['worst']:.1f} standard errors "
                              f"off, {r['quantile']:.1f} allowed")
    lines = [(r["potential"], r["ndim"], r["theta"],
              r["kind"] if r["kind"] != "time" else f"time {r['time']:.1f}/gap", r["what"], r["paths"],
              r["density"], r["error"], r["z"] if r["kind"] == "time" else r["ratio"]) for r in rows]
    table = Table(("potential", "d", "theta", "when", "distance", "paths", "density",
                   "standard (expected) error", "z, or ratio"), lines)
    return ruled(globals(), table, misses, f"largest deviation {worst_z:.1f} standard errors in time, "
                 f"{worst_ratio:.2f} times the predicted L1 distance in long runs", {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    """A drift wrong by a few per cent: twenty standard errors."""
    return [{**r, "z": 20.0, "ratio": 10.0, "worst": 16.0} if r["kind"] != "time"
            else {**r, "z": 20.0, "allowed": 5.0} for r in rows]


def figure(verdict):
    """Distance of the histogram with its error over that of the density."""
    from fpkit.plotting import style

    made, axes = style.figure(width=15, height=10)
    rows = [r for r in verdict.numbers["rows"] if r["kind"] == "time" and r["what"] == "L2 squared"]
    for k, name in enumerate(dict.fromkeys(r["potential"] for r in rows)):
        some = [r for r in rows if r["potential"] == name]
        t, colour = [r["time"] for r in some], style.COLOURS[k % len(style.COLOURS)]
        axes.plot(t, [r["density"] for r in some], color=colour, label=f"{name} ({some[0]['ndim']}D)")
        axes.errorbar(t, [r["paths"] for r in some], [2 * r["error"] for r in some], color=colour, ls="",
                      marker=style.MARKERS[k % len(style.MARKERS)], capsize=2)
    axes.set(yscale="log", xlabel="time x gap", ylabel="squared L2(1/pi) distance to Gibbs",
             title="Lines: density. Points: paths, two standard errors")
    made.legend(loc="outside lower center", ncols=4, fontsize=7, frameon=False)
    return made
