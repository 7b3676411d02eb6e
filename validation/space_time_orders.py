"""Errors of the finite volumes fall with the cell width and the time step at the orders that theory gives."""
from __future__ import annotations

import numpy as np

from . import _exact
from .verdict import Table, ruled, slope

CLAIM = ("Refining the grid, the error of an evolved density falls as h^4 (recommended scheme) and that of "
         "the spectral gap of the generator as h^2; refining the time step, the error falls as dt^2; each to "
         "zero and not to a wrong limit.")
SOURCE = ("Numerov-type mass matrix for the order in space; Strang splitting of second-order implicit steps "
          "for the order in time; a reversible chain with exact masses for the gap.")
CRITERION = ("Slope of log error over at least three refinements: >= 3.6 for evolution in space, 1.8 to 2.4 "
             "for the gap, 1.8 to 2.4 in time; finest relative L1 error <= 2e-5 in space, <= 2e-4 in time, "
             "finest error of the gap <= 2e-3.")

RULES = {                                          # least and largest slope, largest finest error
    "density, cell width": (3.6, 6.0, 2e-5),
    "gap, cell width": (1.8, 2.4, 2e-3),
    "density, time step": (1.8, 2.4, 2e-4),
}


def measure(quick=False):
    """One row for each series of refinements, with its errors."""
    return [*space_series(quick), *gap_series(quick), *time_series(quick)]


def space_series(quick):
    """Evolved densities against the exact normal law (Ornstein-Uhlenbeck, 1D), and against a grid refined
    threefold."""
    import fpkit as fp

    theta, t, mean, std = 0.3, 0.4, 1.0, 0.35
    V = fp.Potential("x**2/2")
    errors, sizes = [], (40, 80, 160) if quick else (40, 80, 160, 320)
    for n in sizes:
        grid = fp.Grid([(-4.5, 4.5)], (n,))
        # the box ends at 8 standard deviations, so its walls change nothing that is measured
        exact = _exact.gauss_cells(grid, mean * np.exp(-t),
                                   std**2 * np.exp(-2 * t) + theta * (1 - np.exp(-2 * t)))
        errors.append(evolved_error(fp.FokkerPlanck(V, theta=theta, grid=grid), ([mean], std), t, exact))
    yield row("Ornstein-Uhlenbeck 1D, exact law", "density, cell width", sizes, errors)

    for name, f, bounds, start, sizes in ((("double well 1D, refined grid", "(x**2 - 1)**2 + 0.3*x",
                                            [(-2.2, 2.2)], ([-0.8], 0.15), (40, 80, 160)),) if quick else
            (("double well 1D, refined grid", "(x**2 - 1)**2 + 0.3*x", [(-2.2, 2.2)], ([-0.8], 0.15),
              (40, 80, 160, 320)),
             ("coupled well 2D, refined grid", "(x**2 - 1)**2 + 0.3*x + 1.5*(y - x**2/2 + 0.25)**2",
              [(-2, 2), (-1.6, 1.9)], ([-0.8, 0.1], 0.2), (32, 64, 128)))):
        V = fp.Potential(f)
        grids = [fp.Grid(bounds, (n,) * len(bounds)) for n in sizes]
        finest = grids[-1].refined(3)
        reference = evolved(fp.FokkerPlanck(V, theta=0.3, grid=finest), start, 0.2)
        errors = []
        for grid in grids:
            exact = reference
            for axis, n in enumerate(grid.shape):
                exact = np.add.reduceat(exact, np.arange(n) * (exact.shape[axis] // n), axis)
            errors.append(evolved_error(fp.FokkerPlanck(V, theta=0.3, grid=grid), start, 0.2, exact))
        yield row(name, "density, cell width", sizes, errors)


def gap_series(quick):
    """Gap of the assembled generator against Richardson's limit of the two finest grids, and in 1D the exact
    gap."""
    import fpkit as fp

    cases = [("Ornstein-Uhlenbeck 1D, exact gap 1", "x**2/2", [(-5, 5)], (20, 40, 80, 160), 1.0)]
    if not quick:
        cases.append(("Ornstein-Uhlenbeck 2D, exact gap", "(x**2 + 0.6*x*y + 0.7*y**2)/2", [(-4, 4), (-5, 5)],
                      (24, 48, 96), float(np.linalg.eigvalsh([[1.0, 0.3], [0.3, 0.7]])[0])))
    for name, f, bounds, sizes, exact in cases:
        V, errors = fp.Potential(f), []
        for n in sizes:
            D = fp.FokkerPlanck(V, theta=0.4, grid=fp.Grid(bounds, (n,) * len(bounds)))
            gap, _ = _exact.lowest_gap(D.generator, np.exp(D.log_mass - D.log_mass.max()))
            errors.append(abs(gap / exact - 1))
        yield row(name, "gap, cell width", sizes, errors)


def time_series(quick):
    """Equal steps against many more of them on the same grid."""
    import fpkit as fp

    cases = [("double well 1D", "(x**2 - 1)**2 + 0.3*x", [(-2.2, 2.2)], (64,), ([-0.8], 0.15))]
    cases.append(("coupled well 2D", "(x**2 - 1)**2 + 0.3*x + 1.5*(y - x**2/2 + 0.25)**2",
                  [(-2, 2), (-1.6, 1.9)], (32, 32), ([-0.8, 0.1], 0.2)))
    for name, f, bounds, shape, start in cases:
        D = fp.FokkerPlanck(fp.Potential(f), theta=0.3, grid=fp.Grid(bounds, shape))
        steps = (16, 32, 64, 128)
        reference = evolved(D, start, 0.5, n_steps=4096)
        errors = [float(np.abs(evolved(D, start, 0.5, n_steps=n) - reference).sum()) for n in steps]
        yield row(name, "density, time step", steps, errors)


def evolved(D, start, t, n_steps=None):
    """Cell probabilities at time t, shape of the grid."""
    run = D.evolve(start, [t], tol=1e-9) if n_steps is None else D.evolve(start, [t], n_steps=n_steps)
    return np.asarray(run.densities)[-1] * D.grid.volumes


def evolved_error(D, start, t, exact):
    return float(np.abs(evolved(D, start, t) - exact).sum())


def row(name, kind, sizes, errors):
    return {"case": name, "kind": kind, "sizes": list(sizes), "errors": [float(e) for e in errors], "order":
            -slope(sizes, errors), "last_order": -slope(sizes[-2:], errors[-2:]), "finest": float(errors[-1])}


def judge(rows):
    misses = []
    for r in rows:
        least, most, finest = RULES[r["kind"]]
        if not least <= r["order"] <= most:
            misses.append(f"{r['case']} ({r['kind']}): order {r['order']:.2f} outside {least:g} to {most:g}")
        if not r["finest"] <= finest:
            misses.append(f"{r['case']} ({r['kind']}): finest error {r['finest']:.1e} above {finest:.0e}")
    for kind in RULES:
        if not any(r["kind"] == kind for r in rows):
            misses.append(f"no series of kind '{kind}' was measured")
    table = Table(("case", "error of, against", "refinements", "errors", "order", "last pair"), [
            (r["case"], r["kind"], "/".join(map(str, r["sizes"])), " ".join(f"{e:.1e}" for e in r["errors"]),
             round(r["order"], 2), round(r["last_order"], 2)) for r in rows])
    orders = {kind: min(r["order"] for r in rows if r["kind"] == kind)
              for kind in RULES if any(r["kind"] == kind for r in rows)}
    return ruled(globals(), table, misses,
                 "lowest orders " + ", ".join(f"{v:.2f} ({k})" for k, v in orders.items()), {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    """The right order towards a wrong limit: it stops at one part in a hundred."""
    return [{**r, "finest": r["finest"] + 0.01} for r in rows]


def figure(verdict):
    """Errors against refinement, one panel for cells and one for steps."""
    from fpkit.plotting import style

    made, panels = style.figure(1, 2, width=18, height=11)
    for axes, words, title in zip(panels, (("cell width",), ("time step",)), ("cells an axis", "time steps")):
        some = [r for r in verdict.numbers["rows"] if any(w in r["kind"] for w in words)]
        ticks = [n for n in (16, 32, 64, 128, 256) if any(min(r["sizes"]) <= n <= max(r["sizes"])
                                                          for r in some)]
        for k, r in enumerate(some):
            axes.plot(r["sizes"], r["errors"], label=f"{r['case']}, {r['kind'].split(',')[0]}: "
                      f"{r['order']:.2f}", **style.line_style(k))
        axes.set(xscale="log", yscale="log", xlabel=title, ylabel="relative error")
        axes.set_xticks(ticks, [str(n) for n in ticks])
        axes.minorticks_off()
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=7, frameon=False)
    return made
