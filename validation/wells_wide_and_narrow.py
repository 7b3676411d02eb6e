"""Wide wells against narrow ones: free energies decide occupation and escape, and a temperature where they
change sides."""
from __future__ import annotations

import copy
import math

import numpy as np

from .verdict import Table, ruled

CLAIM = ("A wide well holds exp(-(F_wide - F_narrow)/theta) times what a narrow one holds, with F = -theta "
         "log int exp(-f/theta) of each set; the rates of escape stand in the "
         "inverse ratio; a narrow well that is deeper by dE wins below theta* = 2 dE/(d "
         "log(kappa_narrow/kappa_wide)), and the rate is exp(-(F1 - F0)/theta) exactly.")
SOURCE = ("Kozyrev, Learning theory as physics, equation (3) and the statements on wide wells; exact as k = "
          "cap/Z_W (potential theory of metastability).")
CRITERION = ("Occupation ratio by cell probabilities equals exp(-(F_w - F_n)/theta) to 1e-9; k_narrow/k_wide "
             "equals Z_wide/Z_narrow up to 3 beta b exp(-beta b); F = E - theta S; "
             "exp(-(F1 - F0)/theta)/k = 1 to 1e-9; the harmonic ratio is off by O(theta); the measured "
             "crossover tends to theta* linearly: within 8 % at dE = 0.04.")

RATIO, HEIGHT = 50.0, 2.0
THETAS, QUICK_THETAS = (0.08, 0.12, 0.18, 0.26), (0.1, 0.2)
DEEPER = (0.16, 0.08, 0.04)                      # of the narrow well, for the crossover


def measure(quick=False):
    """Ratios at several temperatures, and the crossover temperatures of three tilts."""
    import fpkit as fp

    V = fp.catalogue.sharp_and_wide(height=HEIGHT, ratio=RATIO)
    grid = fp.Grid(V.box, 200)
    top = float(V.saddles[0].x[0])
    narrow, wide = fp.HalfSpace([-1], -top), fp.HalfSpace([1], top)
    A, B = fp.HalfSpace([-1], 1.0), fp.HalfSpace([1], 1.0)
    rows = []
    for theta in QUICK_THETAS if quick else THETAS:
        D = fp.FokkerPlanck(V, theta=theta, grid=grid)
        n, w = (fp.free_energy(V, theta, region, grid) for region in (narrow, wide))
        there, back = D.rate(A, B), D.rate(B, A)
        form = fp.free_energy_form(D, A, B)
        height = V.barriers[0, 1] / theta
        rows.append({"theta": theta, "occupied": float(D.probability(wide) / D.probability(narrow)),
                     "law": math.exp(-(w.free_energy - n.free_energy) / theta), "harmonic": math.sqrt(RATIO),
                     "escape": float(there / back), "definition": 3 * height * math.exp(-height),
                     "legendre": max(abs(s.energy - theta * s.entropy - s.free_energy) for s in (n, w)),
                     "formula": math.expm1(-(form.gate - form.well) / theta - there.log10 * math.log(10)),
                     "F1": float(form.gate), "F0": float(form.well)})
    crossings = []
    for deeper in DEEPER:
        W = fp.Potential(lambda x, h=HEIGHT, s=math.log(RATIO) / math.sqrt(2.0),
                         e=deeper: h * (x * x - 1) ** 2 * np.exp(-s * x / np.sqrt(1 + x * x)) + 0.5 * e * x)
        wells = fp.find_wells(W, V.box)
        deep, flat = sorted(wells, key=lambda m: m.x[0])[:: len(wells) - 1]
        star = 2 * (flat.value - deep.value) / math.log(deep.eigenvalues[0] / flat.eigenvalues[0])
        crossings.append({"dE": flat.value - deep.value, "star": star,
                          "measured": _crossing(W, grid, narrow, wide, star)})
    return {"rows": rows, "crossings": crossings}


def _crossing(W, grid, narrow, wide, star):
    """Temperature at which both wells hold the same, by bisection."""
    import fpkit as fp

    low, high = 0.5 * star, 2.0 * star
    for _ in range(30):
        theta = 0.5 * (low + high)
        D = fp.FokkerPlanck(W, theta=theta, grid=grid)
        low, high = (low, theta) if D.probability(wide).log10 > D.probability(narrow).log10 else (theta, high)
    return 0.5 * (low + high)


def judge(found):
    rows, misses = found["rows"], []
    for r in rows:
        where = f"theta {r['theta']:g}"
        for name, miss, limit in (("occupation ratio", r["occupied"] / r["law"] - 1, 1e-9),
                                  ("escape ratio", r["escape"] / r["law"] - 1, r["definition"] + 1e-9),
                                  ("F - (E - theta S)", r["legendre"], 1e-9),
                                  ("rate against exp(-(F1 - F0)/theta)", r["formula"], 1e-9),
                                  ("harmonic ratio", (r["harmonic"] / r["law"] - 1) / r["theta"], 2.0)):
            if not abs(miss) <= limit:
                misses.append(f"{where}: {name} off by {miss:.2e}")
    off = [c["measured"] / c["star"] - 1 for c in found["crossings"]]
    if not (abs(off[-1]) <= 0.08 and all(abs(b) < 0.7 * abs(a) for a, b in zip(off, off[1:]))):
        misses.append("crossover temperatures are off by " + ", ".join(f"{o:+.1%}" for o in off))
    table = Table.of(rows, {"theta": "theta", "occupied": "wide/narrow", "law": "exp(-(F_w - F_n)/theta)",
                            "harmonic": "sqrt(kappa_n/kappa_w)", "escape": "k_narrow/k_wide",
                            "F1": "F1 = -theta log cap", "F0": "F0 = -theta log Z_W",
                            "formula": "exp(-(F1 - F0)/theta)/k - 1"})
    reason = "crossover against theta*: " + ", ".join(f"dE {c['dE']:.3f}: {c['measured']:.4f} against "
                                                      f"{c['star']:.4f}" for c in found["crossings"])
    return ruled(globals(), table, misses, reason, found)


def run(quick=False):
    return judge(measure(quick))


def contrary(found):
    """The wide well holds no more than the narrow one."""
    found = copy.deepcopy(found)
    found["rows"][0]["occupied"] = 1.0
    return found


def figure(verdict):
    """Occupation and escape ratio against temperature, and the crossover temperatures against theta*."""
    from fpkit.plotting import style

    made, (axes, beside) = style.figure(1, 2, width=22, height=9.5)
    rows, crossings = verdict.numbers["rows"], verdict.numbers["crossings"]
    theta = [r["theta"] for r in rows]
    for k, (name, key) in enumerate((("occupation wide/narrow", "occupied"), ("rates narrow/wide", "escape"),
                                     ("exp(−(F_w − F_n)/θ)", "law"), ("harmonic", "harmonic"))):
        axes.plot(theta, [r[key] for r in rows], label=name, **style.line_style(k))
    axes.set(xlabel="temperature θ (energy)", ylabel="ratio", title="Wide wells win by their free energy")
    axes.legend()
    beside.plot([c["dE"] for c in crossings], [c["measured"] for c in crossings],
                label="both wells hold the same", **style.line_style(0))
    beside.plot([c["dE"] for c in crossings], [c["star"] for c in crossings],
                label="θ* = 2 dE/(d log(κ_n/κ_w))", **style.line_style(1))
    beside.set(xlabel="dE, by which the narrow well is deeper (energy)",
               ylabel="crossover temperature (energy)", title="Below it the narrow well wins")
    beside.legend()
    return made
