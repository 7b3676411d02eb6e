"""Two wells of a real (small) network: occupation against exp(-beta F), and escape from a plane, from
Hessians and measured."""
from __future__ import annotations

import copy

from ._learning import TALK, judged
from .verdict import Table

CLAIM = ("SGLD of a network fills its wells as exp(-F/theta) and leaves them at Eyring's rate; a plane "
         "through the wells predicts both.")
SOURCE = (f"{TALK}, equation (3) and \"capture by wide wells\"; the network with one tanh unit of "
          "fpkit.learning.wells (4 parameters, two kinds of wells).")
CRITERION = ("SGLD in full space against: the exact occupation (4 standard errors, else it fails), the "
             "harmonic one (5 %), and for the time to leave the rise well the full-Hessian "
             "Eyring-Kramers formula and the plane (30 %). Holds when all agree, conditional when the "
             "occupation does and the Hessians are right to a factor of 3, else not supported.")
RATE, RADIUS = 0.1, 0.8


def plane_time(net, theta, n=(150, 130)):
    """Mean time on the plane of the four wells from the rise well to any other, by finite volumes, and the
    rising share there."""
    import numpy as np

    import fpkit as fp

    plane = fp.Plane.from_directions(*net.plane_directions())
    flat = lambda w: plane.directions @ (w - plane.origin)
    x, y = np.linspace(-5, 5, n[0] + 1), np.linspace(-5, 5, n[1] + 1)
    points = plane.origin + np.stack(np.meshgrid(x, y, indexing="ij"), -1) @ plane.directions
    W = fp.GridPotential([x, y], net.potential(points))
    D = fp.FokkerPlanck(W, theta, fp.Grid([(-5.0, 5.0), (-5.0, 5.0)], n))
    balls = [fp.Ball(flat(w), RADIUS) for w in (net.fall.x, *net.mirrors)]
    rising = points[..., 0] * points[..., 2] > 0
    weights = np.exp(-(net.potential(points) - net.rise.value) / theta)
    return float(D.mfpt(balls[0] | balls[1] | balls[2]).at(flat(net.rise.x))), float(weights[rising].sum()
                                                                                     / weights.sum())


def measure(quick=False):
    import numpy as np

    import fpkit as fp
    from fpkit.learning.wells import bump_network

    net = bump_network()
    axes = fp.Plane.from_directions(*net.plane_directions()).directions
    rows = []
    for k, theta in enumerate((0.003,) if quick else (0.0022, 0.0026, 0.003)):
        n = 200 if quick else 600
        found = fp.exit_time(net.potential, theta, net.rise.x, net.others(RADIUS), RATE, n_paths=n,
                             seed=1 + k, progress=False)
        starts = np.repeat([net.rise.x, net.fall.x], [round(n * net.harmonic_share(theta)),
                                                      n - round(n * net.harmonic_share(theta))], axis=0)
        steps = int(3 * float(found) / RATE)
        run = fp.simulate(net.potential, theta, starts, RATE, steps, seed=50 + k, precision="double",
                          progress=False)
        time, plane_share = plane_time(net, theta, (90, 80) if quick else (150, 130))
        share = float((run.x[:, 0] * run.x[:, 2] > 0).mean())
        exact = net.exact_share(theta)
        rows.append({"theta": theta, "barrier": net.barrier() / theta, "share": share,
                     "error": float(np.sqrt(exact * (1 - exact) / n)), "exact": exact,
                     "harmonic": net.harmonic_share(theta), "plane_share": plane_share, "time": float(found),
                     "time_error": found.standard_error,
                     "hessian_time": 1 / float(net.harmonic_rate(theta).sum()),
                     "lowest_time": 1 / float(net.harmonic_rate(theta)[0]), "plane_time": time,
                     "plane_harmonic": 1 / float(net.harmonic_rate(theta, axes).sum())})
    lowest = net.saddles[0]
    unstable = np.linalg.eigh(net.potential.hessian(lowest.x))[1][:, 0]
    facts = {"apart": float(np.linalg.norm(net.saddles[1].x - lowest.x)),
             "softest": float(abs(lowest.eigenvalues).min()),
             "in_plane": float(((axes @ unstable) ** 2).sum())}
    return {"rows": rows, "facts": facts}


def judge(found):
    rows, facts = found["rows"], found["facts"]
    columns = {"theta": "theta", "barrier": "barrier/theta", "share": "rising share: SGLD", "error": "+-",
               "exact": "exact", "harmonic": "harmonic", "plane_share": "plane",
               "time": "time to leave: SGLD", "time_error": "+- ", "hessian_time": "full Hessians",
               "lowest_time": "lowest saddle alone", "plane_time": "plane ",
               "plane_harmonic": "plane, harmonic"}
    table = Table.of(rows, columns)
    bad = [r for r in rows if not abs(r["share"] - r["exact"]) <= 4 * r["error"]]
    if bad:
        return judged(globals(), table, "fails", f"at theta {bad[0]['theta']:g} SGLD's share "
                      f"{bad[0]['share']:.3f} is not the exact {bad[0]['exact']:.3f}")
    within = lambda key, of, limit: all(abs(r[key] / r[of] - 1) <= limit for r in rows)
    ratio = lambda key: ", ".join(f"{r[key] / r['time']:.2f}" for r in rows)
    text = (f"rising share {rows[-1]['share']:.3f} (exact {rows[-1]['exact']:.3f}, harmonic "
            f"{rows[-1]['harmonic']:.3f}, plane {rows[-1]['plane_share']:.3f}) at theta "
            f"{rows[-1]['theta']:g}; time to leave over SGLD's: full Hessians {ratio('hessian_time')} "
            f"(lowest saddle alone {ratio('lowest_time')}), plane {ratio('plane_time')}. Why: the saddles "
            f"are {facts['apart']:.2f} apart on a ridge of thermal "
            f"width {(rows[-1]['theta'] / facts['softest']) ** 0.5:.2f}, one gate that the sum counts twice; "
            f"and only {100 * facts['in_plane']:.0f} % of the lowest saddle's unstable direction lies in the "
            f"plane, which so closes that way (its own harmonic time is {ratio('plane_harmonic')})")
    occupation, hessians, plane = within("harmonic", "share", 0.05), within("hessian_time", "time",
                                                                            0.3), within("plane_time", "time",
                                                                                         0.3)
    outcome = "holds" if occupation and hessians and plane else "conditional" if occupation and within(
        "hessian_time", "time", 2 / 3) else "not supported"
    return judged(globals(), table, outcome, text)


def run(quick=False):
    return judge(measure(quick))


def contrary(found):
    found = copy.deepcopy(found)
    found["rows"][0]["share"] = 0.1
    return found


def figure(verdict):
    from fpkit.plotting.style import COLOURS, INK, figure

    made, (left, right) = figure(1, 2, width=17, height=8)
    t = verdict.table
    beta = [1 / v for v in t.column("theta")]
    left.errorbar(beta, t.column("rising share: SGLD"), [2 * e for e in t.column("+-")], fmt="o",
                  color=COLOURS[0], markerfacecolor="none", label="SGLD ± 2 s.e.")
    right.errorbar(beta, t.column("time to leave: SGLD"), [2 * e for e in t.column("+- ")], fmt="o",
                   color=COLOURS[0], markerfacecolor="none", label="SGLD ± 2 s.e.")
    for axes, names in ((left, ("exact", "harmonic", "plane")), (right, ("full Hessians", "plane "))):
        for name in names:
            k = {"exact": 6, "harmonic": 1, "full Hessians": 1}.get(name, 2)
            axes.plot(beta, t.column(name), color=INK if name == "exact" else COLOURS[k],
                      linestyle={6: "-", 1: "--", 2: ":"}[k], marker="_", label=name.strip())
        axes.set_xlabel("β = 1/θ (1/loss)")
        axes.legend(fontsize=7.5)
    left.set(ylabel="share of the rising wells", title="Occupation")
    right.set(yscale="log", ylabel="mean time to leave (weight²/loss)", title="Escape")
    return made
