"""Talk, claim 2: the transition rate is exp(-beta (F1 - F0))."""
from __future__ import annotations

import copy
import math

from ._learning import TALK, judged
from .verdict import Table

CLAIM = ("The rate of transition from one well to another is exp(-(F1 - F0)/theta), with free energies of "
         "the transition state and of the well.")
SOURCE = (f"{TALK}, equation (3), Eyring's formula; exact as k = cap/Z_W (potential theory of metastability, "
          "Bovier et al.).")
CRITERION = ("1D tilted double well: 1/(mean passage time of paths) within 4 standard errors of exp(-(F1 - "
             "F0)/theta) with F1 := -theta log cap, F0 := -theta log Z_W, at every theta; with harmonic free "
             "energies (Eyring-Kramers) only to O(theta).")


def measure(quick=False):
    """One row a temperature."""
    import numpy as np

    import fpkit as fp

    V = fp.Potential("(x**2 - 1)**2 + 0.1*x")
    left, top, right = sorted(np.roots([4.0, 0.0, -4.0, 0.1]).real)
    A, B = fp.HalfSpace([-1], -left), fp.HalfSpace([1], right)
    rows = []
    for k, theta in enumerate((0.2, 0.3) if quick else (0.12, 0.15, 0.2, 0.3)):
        D = fp.FokkerPlanck(V, theta, fp.Grid([(-3.0, 3.0)], (400,)))
        cap, rate = D.capacity(A, B), float(D.rate(A, B))
        F1 = -theta * cap.log10 * math.log(10)
        F0 = F1 + theta * math.log(rate)                        # rate = cap/Z_W: so F0 = -theta log Z_W
        h = lambda x: float(V.hessian([x])[0, 0])
        harmonic = math.sqrt(h(left) *
                             -h(top)) / (2 * math.pi) * math.exp(-float(V([top]) - V([left])) / theta)
        found = fp.exit_time(V, theta, [left], B, 0.004, n_paths=400 if quick else 2000, seed=7 + k,
                             progress=False, extrapolate=False)
        rows.append({"theta": theta, "F1": F1, "F0": F0, "formula": math.exp(-(F1 - F0) / theta),
                     "paths": 1 / float(found), "error": found.standard_error / float(found) ** 2,
                     "harmonic": harmonic, "harmonic_miss": harmonic / rate - 1})
    return rows


def judge(rows):
    """The exact form must agree with the paths; the harmonic one must approach it as theta falls."""
    rows = [{**r, "z": (r["paths"] - r["formula"]) / r["error"]} for r in rows]
    columns = {"theta": "theta", "F1": "F1 = -theta log cap", "F0": "F0 = -theta log Z_W",
               "formula": "exp(-(F1 - F0)/theta)", "paths": "paths", "error": "+- (1 s.e.)", "z": "z",
               "harmonic": "harmonic", "harmonic_miss": "harmonic/exact - 1"}
    bad = [r for r in rows if not abs(r["z"]) <= 4]
    misses = [abs(r["harmonic_miss"]) for r in sorted(rows, key=lambda r: r["theta"])]
    if bad:
        return judged(globals(), Table.of(rows, columns), "fails", f"at theta {bad[0]['theta']:g} paths and "
                      f"formula differ by {bad[0]['z']:.1f} standard errors")
    shrinking = all(a < b for a, b in zip(misses, misses[1:]))
    reason = ("with F1 = -theta log(capacity), the free energy that has a definite meaning; with harmonic "
              f"free energies it is {100 * misses[0]:.0f} to {100 * misses[-1]:.0f} % off")
    return judged(globals(), Table.of(rows, columns), "holds" if shrinking else "conditional", reason)


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    rows = copy.deepcopy(rows)
    rows[-1]["paths"] *= 3
    return rows


def figure(verdict):
    from fpkit.plotting.style import COLOURS, INK, figure

    made, axes = figure(width=12, height=8)
    t = verdict.table
    beta = [1 / v for v in t.column("theta")]
    axes.plot(beta, t.column("exp(-(F1 - F0)/theta)"), color=INK, label="cap/Z_W = exp(−(F₁ − F₀)/θ)")
    axes.plot(beta, t.column("harmonic"), color=COLOURS[1], linestyle="--", label="harmonic (Eyring–Kramers)")
    axes.errorbar(beta, t.column("paths"), [2 * e for e in t.column("+- (1 s.e.)")], fmt="o",
                  color=COLOURS[0], markerfacecolor="none", label="paths ± 2 s.e.")
    axes.set(yscale="log", xlabel="β = 1/θ (1/energy)", ylabel="rate (1/time)", title="Transition rate")
    axes.legend()
    return made
