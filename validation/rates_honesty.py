"""The error stated with every rate, time and probability is kept by the truth, and is not idle."""
from __future__ import annotations

import copy
import math

import numpy as np

from ._rates import CASES, temperatures
from .verdict import Table, ruled

CLAIM = ("Over the catalogue the true error of every number stays within the stated one: grid values of "
         "rate, mean first passage time, spectral gap, exit rate, capacity and "
         "committor, as they are and refined, Eyring-Kramers in all its orders, and the free-energy form; "
         "and the stated error is not idle.")
SOURCE = "The contract of this project: an Estimate carries a bound that the truth keeps."
CRITERION = ("True error <= stated error (plus that of the reference) in every case; stated < 30 times the "
             "true error, or < 1e-6 relative, in nine of ten cases. The truth is "
             "the continuum quadrature in 1D and the extrapolation from grids of twice the cells in 2D, and "
             "counts only if its own error is below a fifth of the stated one.")

KNOWN_MISSES = {}                      # (quantity, dimension): why; shown and not judged, meant to stay empty
IDLE, SMALL, SHARE = 30.0, 1e-6, 0.9
HEIGHTS = (7.0, 15.0)
GRID_QUANTITIES = ("rate", "mfpt", "gap", "exit rate", "committor", "capacity")
FORMULAS = ("eyring-kramers", "next-order", "resummed", "free-energy")
CELLS = {1: 120, 2: 48}
# in 2D also asked with refine=True, of a coarse grid
REFINED, REFINED_CELLS = ("rate", "mfpt", "committor"), 40


def measure(quick=False):
    """One row for each case, temperature and quantity: relative true and stated errors."""
    rows = []
    for case in CASES:
        V = case.potential()
        if V.ndim > 2 or quick and V.ndim == 2 and case.name != "coupled_double_well":
            continue
        for theta in temperatures(V, case, HEIGHTS[:1] if quick and V.ndim == 2 else HEIGHTS):
            rows += one(case, V, theta, 32 if quick and V.ndim == 2 else CELLS[V.ndim], quick)
    return rows


def one(case, V, theta, n, quick):
    """Rows of one transition at one temperature."""
    import fpkit as fp
    from fpkit.rates.wells_of import Places

    grid = fp.Grid(V.box, (n,) * V.ndim)
    D = fp.FokkerPlanck(V, theta=theta, grid=grid)
    places = Places(V, V.minima[case.source], V.minima[case.target], grid)
    start = np.array(V.minima[case.source].x) + (0.02 if V.ndim == 1 else 0.0)
    free = [s for s in V.saddles if not (places.source.contains(s.x) or places.target.contains(s.x))]
    between = max(free, key=lambda s: (case.source in s.between, s.value)).x + 0.03
    asked = {"rate": lambda D, **o: D.rate(places.source, places.target, **o), "mfpt": lambda D,
             **o: D.mfpt(places.target, **o).at(start), "gap": lambda D, **o: D.spectrum(2, **o)[1],
             "exit rate": lambda D, **o: D.exit_rate(places.target, **o), "committor": lambda D,
             **o: D.committor(places.source, places.target, **o).at(between), "capacity": lambda D,
             **o: D.capacity(places.source, places.target, **o)}
    on = lambda n: fp.FokkerPlanck(V, theta=theta, grid=fp.Grid(V.box, (n,) * V.ndim))
    finer, coarse = (on(2 * n), on(REFINED_CELLS)) if V.ndim == 2 else (None, None)
    rows, truth = [], None
    for name in GRID_QUANTITIES if not (quick and V.ndim == 2) else ("rate", "mfpt", "committor"):
        exact = asked[name](D) if V.ndim == 1 else asked[name](finer, refine=True)
        found = asked[name](D, exact=False) if V.ndim == 1 else asked[name](D)
        rows.append(row(case, V, theta, name, found, exact))
        if V.ndim == 2 and name in REFINED and not quick:
            rows.append(row(case, V, theta, f"{name}, refined", asked[name](coarse, refine=True), exact))
        truth = exact if name == "rate" else truth
    table = fp.compare_rates(V, V.minima[case.source], V.minima[case.target], theta, methods=FORMULAS,
                             grid=grid)
    for name in FORMULAS:
        found = table[name][0]
        if found.status == "ok" and not {"series", "several-wells"} & set(table.guards[0].codes):
            rows.append(row(case, V, theta, name, found, truth, slack=float(table.definition[0])))
    return rows


def row(case, V, theta, name, found, exact, slack=0.0):
    """Relative errors, from the logarithms where values leave the range of floats. `slack`: what definitions
    of a rate differ by."""
    true = abs(math.expm1((found.log10 - exact.log10) * math.log(10)))
    return {"case": case.title, "ndim": V.ndim, "theta": float(theta), "quantity": name, "true": true,
            "stated": found.relative_error, "reference": exact.relative_error, "slack": slack}


def judge(rows):
    misses, sound, counted, judged = [], 0, 0, 0
    for r in rows:
        where = f"{r['quantity']} of {r['case']} at theta {r['theta']:.3g}"
        if (r["quantity"], r["ndim"]) in KNOWN_MISSES:
            continue
        if not r["true"] <= r["stated"] + r["reference"] + 1e-13:
            misses.append(f"{where}: true error {r['true']:.2e}, stated {r['stated']:.2e}")
        judged += 1
        if r["reference"] <= 0.2 * r["stated"] or r["stated"] < SMALL:
            counted += 1
            sound += r["stated"] < SMALL or r["stated"] < IDLE * r["true"] + r["slack"]
    if not counted or sound < SHARE * counted:
        misses.append(f"only {sound} of {counted} stated errors are below {IDLE:g} times the true one")
    table = Table.of(rows, {"case": "transition", "ndim": "d", "theta": "theta", "quantity": "quantity",
                            "true": "true error", "stated": "stated error", "reference": "of the reference"})
    return ruled(globals(), table, misses, f"{judged} numbers, every true error within the stated one; "
                 f"{sound} of {counted} stated errors below {IDLE:g} times the true one", {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    """One number ten times farther off than it says."""
    rows = copy.deepcopy(rows)
    r = next(r for r in rows if (r["quantity"], r["ndim"]) not in KNOWN_MISSES)
    r["true"] = 10 * (r["stated"] + r["reference"]) + 1e-9
    return rows


def figure(verdict):
    """Stated against true errors, with the two limits."""
    from fpkit.plotting import style

    made, axes = style.figure(width=13, height=12)
    rows = verdict.numbers["rows"]
    for k, name in enumerate(dict.fromkeys(r["quantity"] for r in rows)):
        some = [r for r in rows if r["quantity"] == name]
        axes.plot([max(r["true"], 1e-16) for r in some], [max(r["stated"], 1e-16) for r in some],
                  linestyle="none", marker=style.MARKERS[k % 7], color=style.COLOURS[k % 7],
                  markerfacecolor="white" if k >= 7 else None, label=name)
    line = np.geomspace(1e-16, 10.0, 200)
    axes.plot(line, line, color=style.INK, lw=0.8)
    axes.plot(line, np.maximum(IDLE * line, SMALL), color=style.FAINT, lw=0.8, linestyle="--")
    axes.text(1e-3, 4e-4, "below: dishonest", color=style.INK, fontsize=8, ha="left", va="top")
    axes.text(1e-15, 2e-6, "above: idle", color=style.FAINT, fontsize=8)
    axes.set(xscale="log", yscale="log", xlim=(5e-17, 10), ylim=(5e-17, 10), xlabel="true relative error",
             ylabel="stated relative error", title="Honest errors")
    axes.legend(loc="lower right")
    return made
