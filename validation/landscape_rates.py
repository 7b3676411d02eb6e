"""Rates between the wells of a sampled loss surface with a skew metric are those of the diffusion, within
their stated resolution errors."""
from __future__ import annotations

import numpy as np

from .verdict import Table, ruled

CLAIM = ("From samples of a loss on a plane with directions of any lengths and angle, the slowest relaxation "
         "rate and its resolution error come out right over twenty decades: "
         "the exact value lies within the stated error.")
SOURCE = ("du/dt = theta div[G^-1 exp(-f/theta) grad(u exp(f/theta))] with the Gram matrix G; in coordinates "
          "w = A c, G = A'A, it is the isotropic diffusion, and for a separable f(w) its slowest rate is the "
          "one-dimensional one.")
CRITERION = ("|log10 of the rate - log10 of the exact one-dimensional rate| <= stated error, which is at "
             "most 30 times the true one and falls at least 2.8-fold when the spacing is halved; "
             "rates without the metric are off by more than a factor 2.")

PLANE = np.array([[2.0, 0.5], [-0.3, 1.4]])        # w = PLANE c
SIZES, QUICK_SIZES = (41, 81), (31, 61)
THETAS, QUICK_THETAS = (0.2, 0.1, 0.05, 0.02), (0.1, 0.03)
LARGEST_RATIO, LEAST_GAIN = 30.0, 2.8


def surface(n, gram):
    """The double well (x^2 - 1)^2 + x/10 + 1.5 y^2 sampled on n x n points of the skew plane."""
    from fpkit.landscapes.surface.landscape import Landscape

    corners = np.array([[x, y] for x in (-1.75, 1.75) for y in (-1.2, 1.2)])
    reach = np.abs(np.linalg.solve(PLANE, corners.T)).max(axis=1)
    axes = tuple(np.linspace(-r, r, n) for r in reach)
    x, y = np.moveaxis(np.stack(np.meshgrid(*axes), -1) @ PLANE.T, -1, 0)
    loss = (x**2 - 1) ** 2 + x / 10 + 1.5 * y**2
    valid = np.ones(loss.shape, bool)
    return Landscape("double_well", "train_loss", axes, loss, {"train_loss": loss}, {}, valid, ~valid, ~valid,
                     gram=gram)


def slowest(n, theta, gram):
    """(log10 of the slowest rate, stated error in decades, where it comes from)."""
    from fpkit.landscapes.analysis.dynamics import plane_mobility
    from fpkit.landscapes.analysis.kinetics import kinetics
    from fpkit.landscapes.surface.wells import find_wells

    land = surface(n, gram)
    wells, basins = find_wells(land, land.merge_tree(), theta)
    (rates,) = kinetics(land, wells, basins, [theta], np.linalg.solve(PLANE, [-1.0, 0.0]),
                        plane_mobility(land))
    return float(rates.log10_modes[0]), float(rates.log10_modes_error[0]), rates.modes_method[0]


def measure(quick=False):
    """One row for each temperature and size."""
    import fpkit as fp

    V, rows = fp.Potential("(x**2 - 1)**2 + x/10"), []
    for theta in QUICK_THETAS if quick else THETAS:
        exact = fp.FokkerPlanck(V, theta=theta, grid=fp.Grid([(-2, 2)], (200,))).spectrum(2).eigenvalues[1]
        for n in QUICK_SIZES if quick else SIZES:
            found, stated, method = slowest(n, theta, PLANE.T @ PLANE)
            bare, _, _ = slowest(n, theta, None)
            rows.append({"theta": theta, "n": n, "exact": float(np.log10(exact)), "found": found,
                         "error": abs(found - float(np.log10(exact))), "stated": stated,
                         "method": method, "without": abs(bare - float(np.log10(exact)))})
    return rows


def judge(rows):
    """The rule of CRITERION."""
    misses = []
    for r in rows:
        where = f"theta {r['theta']:g}, {r['n']} samples an axis"
        if not r["error"] <= r["stated"]:
            misses.append(f"{where}: off by {r['error']:.2g} decades, stated {r['stated']:.2g}")
        if not r["stated"] <= LARGEST_RATIO * r["error"]:
            misses.append(f"{where}: the stated error {r['stated']:.2g} is idle, the true one is "
                          f"{r['error']:.2g}")
        if not r["without"] > np.log10(2):
            misses.append(f"{where}: the metric makes no difference ({r['without']:.2g} decades without it)")
    for theta in sorted({r["theta"] for r in rows}):
        errors = [r["error"] for r in sorted((r for r in rows if r["theta"] == theta), key=lambda r: r["n"])]
        if not errors[-1] * LEAST_GAIN <= errors[0]:
            misses.append(f"theta {theta:g}: the error falls only {errors[0] / errors[-1]:.2g}-fold when the "
                          "spacing is halved")
    table = Table.of(rows, {"theta": "theta", "n": "samples an axis", "exact": "log10 exact",
                            "found": "log10 found", "error": "error (decades)", "stated": "stated",
                            "method": "from", "without": "error without metric"})
    return ruled(globals(), table, misses, f"{len(rows)} cases, largest error "
                 f"{max(r['error'] for r in rows):.2g} decades", {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    """A metric that was lost: everything off as without it."""
    return [{**r, "error": r["without"]} for r in rows]


def figure(verdict):
    """True and stated error against temperature."""
    from fpkit.plotting import style

    made, axes = style.figure(width=14, height=9)
    rows = verdict.numbers["rows"]
    for k, n in enumerate(sorted({r["n"] for r in rows})):
        some = sorted((r for r in rows if r["n"] == n), key=lambda r: r["theta"])
        theta = [r["theta"] for r in some]
        axes.plot(theta, [r["error"] for r in some], color=style.COLOURS[k], marker=style.MARKERS[k],
                  label=f"{n} samples an axis")
        axes.plot(theta, [r["stated"] for r in some], color=style.COLOURS[k], linestyle=style.DASHES[2],
                  label="stated")
    axes.set(xscale="log", yscale="log", xlabel="temperature theta",
             ylabel="error of the slowest rate (decades)", title="Rates from samples on a skew plane")
    axes.legend()
    return made
