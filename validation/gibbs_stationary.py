"""The stationary density on a grid is the exact Gibbs probability of every cell."""
from __future__ import annotations

import numpy as np

from . import _exact
from .verdict import Table, ruled

CLAIM = ("The stationary density handed to the user holds the exact Gibbs probability of every cell, and the "
         "assembled generator is reversible with respect to its own masses, also with a mobility tensor, a "
         "mask and cut cells.")
SOURCE = ("du/dt = theta div[exp(-f/theta) grad(u exp(f/theta))] has the stationary density exp(-f/theta)/Z; "
          "detailed balance m_i q_ij = m_j q_ji.")
CRITERION = ("Relative L1 distance to adaptive Gauss quadrature of every cell <= 1e-13 for smooth f in 1D "
             "and 2D at any theta, <= 1e-10 in 3D where beta times the variation of f per cell is at most 3, "
             "within the stated error elsewhere; detailed balance to 4 ulp.")

LIMIT = {1: 1e-13, 2: 1e-13, 3: 1e-10}
MILD = 3.0  # beta times the variation of f per cell up to which 3D keeps its limit
CELLS = {1: 200, 2: 64, 3: 24}
QUICK_CELLS = {1: 120, 2: 32, 3: 10}
ULPS = 4.0


def cases(quick):
    """Catalogue potentials of one to three dimensions, each once."""
    from ._catalogue import entry, names

    for name in names():
        V = entry(name)
        if V.ndim <= 3 and not (quick and V.ndim == 3 and name != "quartic_chain_3d"):
            yield name, V


def measure(quick=False):
    """One row for each potential and temperature."""
    import fpkit as fp

    from ._catalogue import is_smooth

    rows = []
    for name, V in cases(quick):
        n = (QUICK_CELLS if quick else CELLS)[V.ndim]
        grid = fp.Grid(V.box, (n,) * V.ndim, periodic=V.periodic_axes)
        for theta in (0.1,) if quick else (0.01, 0.1, 1.0):
            rows.append({"potential": name, "ndim": V.ndim,
                         "cells": n, "theta": theta, "smooth": is_smooth(name),
                         **one(fp.FokkerPlanck(V, theta=theta, grid=grid), V, theta, grid)})
    return rows + variants((QUICK_CELLS if quick else CELLS)[2])


def variants(n):
    """Two wells in the plane with a full mobility tensor, a mask, an absorbing disc that cuts cells, and all
    at once."""
    import fpkit as fp

    V, theta = fp.catalogue.coupled_double_well(), 0.2
    mask = (~fp.Ball([0.3, 1.2], 0.6)).contains(fp.Grid(V.box, (n, n)).points)       # a mask of cells
    tensor, disc = [[1.0, 0.4], [0.4, 0.7]], fp.Ball([1.0, -0.1], 0.37)
    listed = {"full mobility": (None, tensor, None), "mask": (mask, None, None),
              "cut cells": (None, None, disc), "mask, mobility, cut cells": (mask, [1.0, 0.5], disc)}
    rows = []
    for name, (outside, mobility, absorbing) in listed.items():
        grid = fp.Grid(V.box, (n, n), mask=outside)
        D = fp.FokkerPlanck(V, theta=theta, grid=grid, mobility=mobility, absorbing=absorbing)
        rows.append({"potential": f"coupled_double_well, {name}", "ndim": 2, "cells": n, "theta": theta,
                     "smooth": True, **one(D, V, theta, grid)})
    return rows


def one(D, V, theta, grid):
    """Distances of one stationary density, and how far the assembled generator is from detailed balance."""
    exact, reference_error = _exact.cell_probabilities(V, theta, grid)
    p = np.where(grid.inside, D.gibbs.values * grid.volumes, 0.0)
    stated = D.gibbs.error
    stated = 0.0 if stated is None else float(np.nansum(np.broadcast_to(stated, grid.shape) * grid.volumes))
    return {"variation": largest_variation(V, theta, grid, exact), "error": float(np.abs(p - exact).sum()),
            "stated": stated,
            "reference": reference_error, "mass": abs(float(p.sum()) - 1), "balance": imbalance(D)}


def largest_variation(V, theta, grid, exact):
    """Largest beta |f_i - f_j| between neighbouring cells that hold more than 1e-16 of the mass."""
    f, largest = np.where(grid.inside, V(grid.points), 0.0) / theta, 0.0
    for axis in range(grid.ndim):
        steps = np.abs(np.diff(f, axis=axis))
        pair = np.minimum(np.delete(exact, 0, axis), np.delete(exact, -1, axis)) > 1e-16
        largest = max(largest, float(steps[pair].max(initial=0.0)))
    return largest


def imbalance(D):
    """Largest |m_i q_ij - m_j q_ji| of the assembled matrix, in units of the last place of the product."""
    Q = D.generator.tocoo()
    off = Q.row != Q.col
    i, j, q = Q.row[off], Q.col[off], Q.data[off]
    log_mass = np.asarray(D.log_mass).ravel()
    # beyond that the masses themselves are below the range of a double
    some = log_mass[i] > log_mass.max() - 600
    i, j, q = i[some], j[some], q[some]
    m = np.exp(log_mass - log_mass.max())
    flow = m[i] * q
    back = dict(zip(zip(i.tolist(), j.tolist()), flow.tolist()))
    other = np.array([back.get((b, a), np.nan) for a, b in zip(i.tolist(), j.tolist())])
    known = np.isfinite(other)
    return float(np.max(np.abs(flow - other)[known] / np.spacing(np.maximum(flow, other)[known]),
                        initial=0.0))


def judge(rows):
    """Each row within its limit."""
    misses, worst = [], 0.0
    for r in rows:
        where = f"{r['potential']} at theta {r['theta']:g}"
        strict = r["smooth"] and (r["ndim"] < 3 or r["variation"] <= MILD)
        limit = LIMIT[r["ndim"]] if strict else r["stated"] + r["reference"] + 1e-13
        if not r["error"] <= limit + r["reference"]:
            misses.append(f"{where}: L1 error {r['error']:.1e} above {limit:.1e}")
        if not r["balance"] <= ULPS:
            misses.append(f"{where}: detailed balance off by {r['balance']:.1f} ulp")
        if not r["mass"] <= 1e-13:
            misses.append(f"{where}: mass off by {r['mass']:.1e}")
        if strict:
            worst = max(worst, r["error"])
    table = Table.of(rows, {"potential": "potential", "ndim": "d", "cells": "cells an axis", "theta": "theta",
                            "variation": "beta df a cell", "error": "L1 error", "stated": "stated error",
                            "reference": "reference error", "balance": "balance (ulp)"})
    return ruled(globals(), table, misses, f"{len(rows)} cases, largest L1 error {worst:.1e} where f is "
                 "smooth and, in 3D, mild", {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    """A density read at the cell centres instead of averaged: wrong by 1e-4."""
    return [{**r, "error": 1e-4 + r["stated"]} for r in rows]


def figure(verdict):
    """Error against the variation of f per cell, with the limits."""
    from fpkit.plotting import style

    made, axes = style.figure(width=14, height=9)
    rows = verdict.numbers["rows"]
    for k, d in enumerate(sorted({r["ndim"] for r in rows})):
        some = [r for r in rows if r["ndim"] == d]
        axes.plot([r["variation"] for r in some], [max(r["error"], 1e-17) for r in some], ls="",
                  label=f"{d}D", color=style.COLOURS[k], marker=style.MARKERS[k])
    axes.axhline(LIMIT[3], color=style.FAINT, lw=0.8)
    axes.text(0.99, LIMIT[3] / 1.3, "limit in 3D (up to 3 theta a cell)",
              transform=axes.get_yaxis_transform(), ha="right", va="top", color=style.FAINT)
    axes.axhline(LIMIT[1], color=style.FAINT, lw=0.8)
    axes.text(0.99, LIMIT[1] * 1.3, "limit in 1D and 2D", transform=axes.get_yaxis_transform(), ha="right",
              color=style.FAINT)
    axes.set(xscale="log", yscale="log", xlabel="largest change of f between cells, in units of theta",
             ylabel="L1 error of the cell probabilities", title="Stationary density against exact cell "
             "probabilities")
    axes.legend(loc="upper left", frameon=False)
    return made
