"""A density relaxes to the Gibbs density monotonically, and at last at the rate of the spectral gap."""
from __future__ import annotations

import numpy as np

from . import _exact
from .verdict import Table, ruled

CLAIM = ("From any start the density converges to the Gibbs density: relative entropy and L2(1/pi) distance "
         "fall monotonically, the distance at last as exp(-gap t) and the relative entropy as exp(-2 gap t).")
SOURCE = ("Fokker-Planck equation as a gradient flow of the free energy (Jordan, Kinderlehrer, Otto, SIAM J. "
          "Math. Anal. 29, 1 (1998)); spectral decomposition of the reversible generator.")
CRITERION = ("Against exact cell probabilities: no increase of either distance between output times beyond "
             "the stated time error; late slopes within 1 % of -gap and -2 gap, gap by Lanczos iteration on "
             "the assembled generators of two grids, extrapolated; last L1 distance below 1 % of the first.")

SLOPE = 0.01  # relative: the tail of the second eigenmode and what the extrapolation of the gap leaves
N_TIMES = 25
LATE = (4.0, 6.5)  # window of the fit in units of 1/gap; higher modes are gone, rounding is far


def cases(quick):
    """Potential, temperature, cells and start of each run: 1D, 2D and 3D."""
    from ._catalogue import entry

    listed = [("double_well", 0.25, 200), ("tilted_double_well", 0.25, 200), ("triple_well", 0.3, 240),
              ("ornstein_uhlenbeck_2d", 0.2, 64),
              ("three_hole", 0.3, 72), ("wide_and_narrow", 0.2, (48, 144)), ("quartic_chain_3d", 0.5, 24)]
    for name, theta, n in listed:
        V = entry(name)
        if not quick or V.ndim == 1 or name == "ornstein_uhlenbeck_2d":
            yield name, V, theta, n


def measure(quick=False):
    """One row for each potential, with the curves over time."""
    import fpkit as fp

    rows = []
    for name, V, theta, n in cases(quick):
        grid = fp.Grid(V.box, n if isinstance(n, tuple) else (n,) * V.ndim, periodic=V.periodic_axes)
        D = fp.FokkerPlanck(V, theta=theta, grid=grid)
        rows.append({"potential": name, "ndim": V.ndim, "theta": theta,
                     "cells": "x".join(map(str, grid.shape)), **relax(D, V, theta, grid)})
    return rows


def relax(D, V, theta, grid):
    """Distances to the exact cell probabilities over several relaxation times, and the slopes of their
    logarithms."""
    from ._catalogue import start_in_a_well

    exact, _ = _exact.cell_probabilities(V, theta, grid)
    gap = limit_gap(V, theta, grid)
    times = np.concatenate([np.geomspace(0.02, 1, 8), np.linspace(1, 6.5, N_TIMES - 8 + 1)[1:]]) / gap
    run = D.evolve(start_in_a_well(V, theta), times, tol=1e-7)
    p = np.asarray(run.densities) * grid.volumes
    entropy = [_exact.relative_entropy(u, exact) for u in p]
    distance = [_exact.l2_distance(u, exact) for u in p]
    l1 = [float(np.abs(u - exact).sum()) for u in p]
    late = (times * gap >= LATE[0]) & (times * gap <= LATE[1])
    fit = lambda values: float(np.polyfit(times[late], np.log(np.array(values)[late]), 1)[0])
    return {"gap": gap, "times": times.tolist(), "entropy": entropy, "distance": distance, "l1": l1,
            "distance_slope": fit(distance) / -gap, "entropy_slope": fit(entropy) / (-2 * gap),
            "entropy_rise": rise(entropy), "distance_rise": rise(distance), "final": l1[-1] / l1[0],
            "time_error": 1e-7}


def limit_gap(V, theta, grid):
    """Spectral gap by Lanczos iteration on the assembled generators of this grid and of one half as fine,
    extrapolated as h^2."""
    import fpkit as fp

    coarse = fp.Grid(grid.bounds, [n // 2 for n in grid.shape], periodic=grid.periodic)
    gaps = []
    for g in (coarse, grid):
        D = fp.FokkerPlanck(V, theta=theta, grid=g)
        gaps.append(_exact.lowest_gap(D.generator, np.exp(D.log_mass - D.log_mass.max()))[0])
    return (4 * gaps[1] - gaps[0]) / 3


def rise(values):
    """Largest increase from one output to the next, relative to the larger of the two; 0 when monotone."""
    values = np.asarray(values)
    return float(np.max(np.diff(values) / values[:-1], initial=0.0))


def judge(rows):
    misses, worst = [], 0.0
    for r in rows:
        for what in ("distance", "entropy"):
            if not abs(r[f"{what}_slope"] - 1) <= SLOPE:
                misses.append(f"{r['potential']}: the {what} falls at {r[f'{what}_slope']:.3f} of the "
                              "expected rate")
            if not r[f"{what}_rise"] <= r["time_error"]:
                misses.append(f"{r['potential']}: the {what} rises by {r[f'{what}_rise']:.1e}")
            worst = max(worst, abs(r[f"{what}_slope"] - 1))
        if not r["final"] <= 1e-2:
            misses.append(f"{r['potential']}: still {r['final']:.1e} of the first distance")
    table = Table.of(rows, {"potential": "potential", "ndim": "d", "theta": "theta", "cells": "cells",
                            "gap": "gap", "distance_slope": "L2 slope / -gap",
                            "entropy_slope": "entropy slope / -2 gap", "distance_rise": "largest rise of L2",
                            "entropy_rise": "of entropy", "final": "last / first L1"})
    return ruled(globals(), table, misses, f"both slopes within {100 * worst:.2g} % of the gap for "
                 f"{len(rows)} potentials, no rise", {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    """Relaxation at half the rate."""
    return [{**r, "distance_slope": 0.5, "entropy_slope": 0.5} for r in rows]


def figure(verdict):
    """Distances on a logarithmic axis against time in units of 1/gap, beside the slope of the gap."""
    from fpkit.plotting import style

    made, (left, right) = style.figure(1, 2, width=18, height=9, sharex=True)
    for k, r in enumerate(verdict.numbers["rows"]):
        t = np.array(r["times"]) * r["gap"]
        left.plot(t, r["distance"], label=f"{r['potential']} ({r['ndim']}D)", **style.line_style(k))
        right.plot(t, r["entropy"], **style.line_style(k))
    t = np.array([1.0, 6.5])
    left.plot(t, 3 * np.exp(-t), color=style.FAINT, lw=1)
    right.plot(t, 3 * np.exp(-2 * t), color=style.FAINT, lw=1)
    left.set(yscale="log", xlabel="time x gap", ylabel="L2(1/pi) distance", title="Grey: exp(-gap t)")
    right.set(yscale="log", xlabel="time x gap", ylabel="relative entropy", title="Grey: exp(-2 gap t)")
    made.legend(loc="outside lower center", ncols=4, fontsize=7, frameon=False)
    return made
