"""Every route to the rate of escape gives the same number; Eyring-Kramers is off by c theta with the c that
is computed."""
from __future__ import annotations

import copy

import numpy as np

from ._rates import CASES, METHODS, grid_of, temperatures
from .verdict import Table, ruled

CLAIM = ("Over the catalogue and at barriers from 5 to 40 theta, all routes to the rate (capacity, mean "
         "first passage time, spectral gap, quasi-stationary exit, free-energy form, Eyring-Kramers and its "
         "next order, network of wells) agree within their stated errors; the error of Eyring-Kramers is c "
         "theta with the c of the expansion, and where the formula does not apply the guard says so.")
SOURCE = ("Potential theory of metastability (Bovier, Eckhoff, Gayrard, Klein 2004); Eyring-Kramers has "
          "an expansion in powers of theta (Helffer, Klein, Nier 2004); the coefficient of this project is "
          "derived in fpkit.rates.expansions.")
CRITERION = ("Every number with a stated relative error up to 0.3 lies within the sum of its error, the "
             "reference's and beta b exp(-beta b) of the row's reference; (k_EK/k - 1)/theta extrapolated to "
             "theta = 0 equals c within its own error plus 5 % of 1 + |c| (with fewer than three "
             "temperatures at which the formula is evidence: the coldest within 15 %); the guard is silent "
             "in no case named as not harmonic; at least 12 potentials at 4 temperatures in the full form.")

HEIGHTS = (6.0, 9.0, 14.0, 22.0, 40.0)
QUICK_HEIGHTS = (8.0, 14.0, 24.0)
QUICK_CASES = 8                                  # the 1D ones and one in the plane
QUICK_CELLS = 48
SLACK, NEAR = 0.05, 0.15


def measure(quick=False):
    """One row for each case and temperature, and one number c for each case."""
    import fpkit as fp
    from fpkit.rates import expansions

    rows = []
    for case in CASES[:QUICK_CASES] if quick else CASES:
        V = case.potential()
        heights = QUICK_HEIGHTS if quick else HEIGHTS if V.ndim < 3 else HEIGHTS[:4]
        grid = fp.Grid(V.box, (QUICK_CELLS,) * 2) if quick and V.ndim == 2 else grid_of(V, case)
        well = V.minima[case.source]
        table = fp.compare_rates(V, well, V.minima[case.target], temperatures(V, case, heights),
                                 methods=METHODS, grid=grid)
        gate = min((s for s in V.saddles if case.source in s.between), key=lambda s: s.value)
        c = np.nan
        if case.harmonic:
            root = np.eye(V.ndim)
            c = sum(part.c for part in (expansions.well_correction(V, well.x, table.theta.min(), root),
                                        expansions.saddle_correction(V, gate.x, table.theta.min(), root)))
        limit = table.slope_at_zero
        for k, theta in enumerate(table.theta):
            agreement = table.agreement[k]
            worst = int(np.nanargmax(np.abs(agreement))) if np.isfinite(agreement).any() else 0
            difference = lambda m: float(table.difference[k][table.methods.index(m)])
            rows.append({"case": case.title, "ndim": V.ndim, "harmonic": case.harmonic,
                         "height": float(table.barrier / theta), "theta": float(theta),
                         "log10": float(table[table.references[k]][k].log10) if table.references[k] else None,
                         "reference": table.references[k], "n": int(np.isfinite(agreement).sum()),
                         "worst": float(agreement[worst]), "worst_method": table.methods[worst],
                         "eyring_kramers": difference("eyring-kramers"),
                         "next_order": difference("next-order"), "free_energy": difference("free-energy"),
                         "slope": float(table.slope[k]), "limit": float(limit), "limit_error": limit.error,
                         "c": float(c), "guard": table.guards[k].action,
                         "codes": list(table.guards[k].codes)})
    return {"quick": quick, "rows": rows}


def judge(found):
    rows, misses = found["rows"], []
    for r in rows:
        where = f"{r['case']} at {r['height']:.3g} theta"
        if not r["n"] >= 2 or not abs(r["worst"]) <= 1:
            misses.append(f"{where}: {r['worst_method']} is {r['worst']:.2f} stated errors off")
        if r["harmonic"] is False and r["guard"] == "ok":
            misses.append(f"{where}: the guard is silent")
    for name in dict.fromkeys(r["case"] for r in rows if r["harmonic"]):
        some = [r for r in rows if r["case"] == name]
        r = some[0]
        # fewer than three temperatures at which the formula is evidence: the coldest must be near
        if not np.isfinite(r["limit"]):
            coldest = min((r for r in some if np.isfinite(r["slope"])), key=lambda r: r["theta"], default=r)
            if not abs(coldest["slope"] - r["c"]) <= NEAR * (1 + abs(r["c"])):
                misses.append(f"{name}: slope {coldest['slope']:.3f} at the coldest temperature against c = "
                              f"{r['c']:.3f}")
        elif not abs(r["limit"] - r["c"]) <= r["limit_error"] + SLACK * (1 + abs(r["c"])):
            misses.append(f"{name}: slope {r['limit']:.3f} +- {r['limit_error']:.2g} against c = "
                          f"{r['c']:.3f}")
    cases = {r["case"] for r in rows}
    if not found["quick"] and (len(cases) < 12 or min(sum(r["case"] == c for r in rows) for c in cases) < 4):
        misses.append(f"only {len(cases)} cases or fewer than 4 temperatures in one")
    table = Table.of(
        rows, {"case": "transition", "ndim": "d", "height": "barrier/theta", "log10": "log10 rate",
               "reference": "reference", "n": "routes", "worst": "worst (stated errors)",
               "worst_method": "by", "eyring_kramers": "EK - 1", "next_order": "next - 1",
               "free_energy": "free energy - 1", "slope": "(EK - 1)/theta", "c": "c", "guard": "guard"})
    worst = max((abs(r["worst"]) for r in rows if np.isfinite(r["worst"])), default=np.nan)
    return ruled(globals(), table, misses, f"{len(cases)} transitions, {len(rows)} rows, "
                 f"{sum(r['n'] for r in rows)} numbers; the farthest is {worst:.2f} stated errors off",
                 {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(found):
    """Rates to the saddle in place of rates to the other well: a factor of two."""
    found = copy.deepcopy(found)
    found["rows"][0]["worst"] = 40.0
    return found


def figure(verdict):
    """Relative error of Eyring-Kramers over theta against theta, with the computed c at zero."""
    from fpkit.plotting import style

    made, axes = style.figure(width=16, height=10.5)
    rows = [r for r in verdict.numbers["rows"] if r["harmonic"]]
    for k, name in enumerate(dict.fromkeys(r["case"] for r in rows)):
        some = [r for r in rows if r["case"] == name and np.isfinite(r["slope"])]
        if not some:
            continue
        look = style.line_style(k) | {"markerfacecolor": "white" if k >= len(style.COLOURS) else None}
        axes.plot([1 / r["height"] for r in some], [r["slope"] for r in some], label=name, **look)
        axes.plot([0.0], [some[0]["c"]], linestyle="none", color=look["color"], marker=look["marker"],
                  markersize=9, markerfacecolor="none")
    axes.axhline(0, color=style.FAINT, lw=0.7)
    axes.set(xlabel="θ/barrier", ylabel="(k_EK/k − 1)/θ  (1/energy)",
             title="The error of Eyring-Kramers is c θ (open symbols at 0: computed c)")
    axes.legend(ncols=2)
    return made
