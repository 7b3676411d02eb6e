"""Talk, claim 1: the density converges to the Gibbs density."""
from __future__ import annotations

import copy

from ._learning import TALK, judged
from .verdict import Table

CLAIM = ("The density of the diffusion in a potential converges to the Gibbs density exp(-f/theta)/Z, from "
         "both sides: density and paths.")
SOURCE = f"{TALK}, equation (2); a theorem for confining f, here a test of the code."
CRITERION = ("Two unequal wells: half the L1 distance of the evolved density to Gibbs <= 1e-6; the wells' "
             "shares of long paths within 4 standard errors.")


def measure(quick=False):
    """One row a temperature."""
    import numpy as np

    import fpkit as fp

    V = fp.catalogue.wide_and_narrow()
    grid = fp.Grid(V.box, (60, 130))
    n = 1000 if quick else 4000
    rows = []
    for theta in (0.3, 0.5):
        D = fp.FokkerPlanck(V, theta, grid)
        evolution = D.evolve(V.minima[0].x, [1.0, 10.0, 100.0, 2000.0])
        run = fp.simulate(V, theta, V.minima[0].x, 0.02, 10_000, n_paths=n, seed=5, walls=grid)
        share, exact = float((run.x[:, 0] > 0).mean()), float(D.probability(fp.HalfSpace([1, 0], 0.0)))
        rows.append({"theta": theta, "distance": float(evolution.distance[-1]), "exact": exact,
                     "paths": share, "z": (share - exact) / float(np.sqrt(exact * (1 - exact) / n)),
                     "times": evolution.times.tolist(), "distances": [float(d) for d in evolution.distance]})
    return rows


def judge(rows):
    """Holds when both sides arrive at Gibbs."""
    columns = {"theta": "theta", "distance": "distance to Gibbs at t = 2000",
               "exact": "share of the wide well, exact", "paths": "paths at t = 200", "z": "z"}
    bad = [r for r in rows if not (r["distance"] <= 1e-6 and abs(r["z"]) <= 4)]
    reason = (f"at theta {bad[0]['theta']:g} the distance is {bad[0]['distance']:.2g} and z "
              f"{bad[0]['z']:.1f}" if bad else "both sides agree with exp(-f/theta)/Z")
    return judged(globals(), Table.of(rows, columns), "fails" if bad else "holds", reason,
                  {"times": [r["times"] for r in rows], "distances": [r["distances"] for r in rows],
                   "theta": [r["theta"] for r in rows]})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    rows = copy.deepcopy(rows)
    rows[0]["distance"] = 0.1
    return rows


def figure(verdict):
    from fpkit.plotting.style import figure, line_style

    made, axes = figure(width=12, height=8)
    for k, (t, d, theta) in enumerate(zip(verdict.numbers["times"], verdict.numbers["distances"],
                                          verdict.numbers["theta"])):
        axes.plot(t, [max(v, 1e-16) for v in d], label=f"θ = {theta:g}", **line_style(k))
    axes.set(xscale="log", yscale="log", xlabel="time t (length²/energy)",
             ylabel="half the L1 distance to Gibbs", title="Convergence to Gibbs")
    axes.legend()
    return made
