"""Escape with inertia: Kramers' formula at strong friction, the turnover at weak friction, beside simulated
paths."""
from __future__ import annotations

import copy
import math

from .verdict import Table, ruled

CLAIM = ("The rate of an underdamped particle follows Kramers' spatial-diffusion formula from moderate "
         "friction on (Langer's in several dimensions), tends to the overdamped "
         "rate divided by the friction, and falls again at weak friction as the Mel'nikov-Meshkov turnover "
         "formula says; where the first formula fails, its guard refuses.")
SOURCE = ("Kramers, Physica 7, 284 (1940); Langer, Ann. Phys. 54, 258 (1969); Mel'nikov and Meshkov, J. "
          "Chem. Phys. 85, 1018 (1986).")
CRITERION = ("Exit times of baoab paths into the other well within their interval plus the stated error of "
             "the turnover formula at every friction; g k_Langer/k_EK - 1 falls "
             "as 1/g^2 in 1D and 2D (slope -2 +- 0.05); the guard of the spatial formula refuses or warns "
             "wherever it is more than 30 % off the turnover formula.")

THETA = 0.2                                      # barrier of five theta
FRICTIONS, QUICK_FRICTIONS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0), (0.1, 3.0)
CURVE = [10 ** (-3 + 0.1 * k) for k in range(51)]
DT = 0.05                                        # of baoab; the fastest period is 2 pi/sqrt(8) = 2.2


def measure(quick=False):
    """Simulated exits, the limits of the formula, and the two curves."""
    import fpkit as fp

    V = fp.catalogue.double_well()
    rows = []
    for k, g in enumerate(QUICK_FRICTIONS if quick else FRICTIONS):
        turnover = fp.kramers_turnover(V, [-1], [0], THETA, g)
        spatial = fp.eyring_kramers(V, [-1], [0], THETA, friction=g)
        # a Maxwell start in the well, the target deep in the other well: recrossings at weak friction are
        # part of the rate
        tau = fp.exit_time(V, THETA, [-1.0], fp.HalfSpace([1], 1.0), DT, n_paths=300 if quick else 1500,
                           seed=11 + k, scheme="baoab", friction=g, progress=False)
        rows.append({"friction": g, "paths": 1 / float(tau), "error": tau.error / float(tau) ** 2,
                     "turnover": float(turnover), "stated": turnover.error, "spatial": float(spatial)
                     if spatial.status == "ok" else None, "guard": spatial.guard.action})
    plane = fp.catalogue.coupled_double_well()
    limits = []
    for name, W, m, s in (("1D", V, [-1], [0]), ("2D", plane, plane.minima[0], plane.saddles[0])):
        overdamped = fp.eyring_kramers(W, m, s, 0.1)
        misses = [abs(g * fp.eyring_kramers(W, m, s, 0.1, friction=g) / overdamped - 1)
                  for g in (30.0, 300.0)]
        limits.append({"case": name, "miss": misses, "slope": math.log10(misses[1] / misses[0])})
    curve = {"friction": CURVE, "turnover": [float(fp.kramers_turnover(V, [-1], [0], THETA, g))
                                             for g in CURVE], "spatial": [_spatial(V, g) for g in CURVE],
             "overdamped": [float(fp.eyring_kramers(V, [-1], [0], THETA)) / g for g in CURVE]}
    return {"rows": rows, "limits": limits, "curve": curve}


def _spatial(V, g):
    """The spatial-diffusion formula without its guard, for the figure."""
    mu, w0 = 4.0, math.sqrt(8.0)
    return (math.sqrt(g * g / 4 + mu) - g / 2) / math.sqrt(mu) * w0 / (2 * math.pi) * math.exp(-1 / THETA)


def judge(found):
    misses = []
    for r in found["rows"]:
        if not abs(r["paths"] - r["turnover"]) <= r["error"] + r["stated"]:
            misses.append(f"friction {r['friction']:g}: paths {r['paths']:.3e} +- {r['error']:.1e}, turnover "
                          f"{r['turnover']:.3e} +- {r['stated']:.1e}")
        if r["guard"] == "ok" and not abs(r["spatial"] / r["turnover"] - 1) < 0.3:
            misses.append(f"friction {r['friction']:g}: the guard is silent although the formula is "
                          f"{r['spatial'] / r['turnover'] - 1:+.0%} off")
    for r in found["limits"]:
        if not abs(r["slope"] + 2) <= 0.05:
            misses.append(f"{r['case']}: the overdamped limit is approached with slope {r['slope']:.2f}")
    table = Table.of(found["rows"], {"friction": "friction", "paths": "paths (1/time)", "error": "+-",
                                     "turnover": "turnover", "stated": "stated error",
                                     "spatial": "Kramers, spatial", "guard": "guard"})
    return ruled(globals(), table, misses, f"{len(found['rows'])} frictions; overdamped limit with "
                 "slope " + " and ".join(f"{r['slope']:.3f}" for r in found["limits"]), found)


def run(quick=False):
    return judge(measure(quick))


def contrary(found):
    """Paths that escape at the spatial rate although friction is weak."""
    found = copy.deepcopy(found)
    found["rows"][0]["paths"] = 6 * found["rows"][0]["turnover"]
    return found


def turnover_figure(frictions, curves, points=()):
    """Rate against friction on logarithmic axes.

    Parameters
    ----------
    frictions : array_like (n,)
    curves : dict of name -> array_like (n,)
    points : sequence of (name, frictions, rates, errors)
        Measured rates with error bars.
    """
    from fpkit.plotting.style import COLOURS, DASHES, INK, MARKERS, figure as framed

    made, axes = framed(width=15, height=10)
    for k, (name, rate) in enumerate(curves.items()):
        axes.plot(frictions, rate, color=COLOURS[k % len(COLOURS)], linestyle=DASHES[k % len(DASHES)],
                  label=name)
    for k, (name, at, rate, error) in enumerate(points):
        axes.errorbar(at, rate, yerr=error, color=INK, marker=MARKERS[k], linestyle="none", capsize=3,
                      label=name)
    axes.set(xscale="log", yscale="log", xlabel="friction γ (1/time)", ylabel="rate of escape (1/time)",
             title="Kramers' turnover")
    axes.legend()
    return made


def figure(verdict):
    """The turnover, with the simulated rates."""
    curve, rows = verdict.numbers["curve"], verdict.numbers["rows"]
    return turnover_figure(curve["friction"], {"Mel'nikov-Meshkov": curve["turnover"],
                                               "Kramers, spatial diffusion": curve["spatial"],
                                               "overdamped / γ": curve["overdamped"]},
                           [("baoab paths", [r["friction"] for r in rows], [r["paths"] for r in rows],
                             [r["error"] for r in rows])])
