"""Densities of processes without detailed balance against answers known from elsewhere."""
from __future__ import annotations

import numpy as np

from .verdict import Table, ruled

CLAIM = ("Stationary densities, entropy productions, velocities and mean times of driven processes lie "
         "within their stated errors of the known ones; a force given by its stream function keeps Gibbs to "
         "rounding.")
SOURCE = ("Lyapunov's equation; R. Filliger, P. Reimann, Phys. Rev. Lett. 99, 230602 (2007); Stratonovich's "
          "velocity (H. Risken, The Fokker-Planck equation, section 11); theta sigma = F.v; R. S. Maier, D. "
          "L. Stein, Phys. Rev. Lett. 71, 1783 (1993).")
CRITERION = ("Each quantity within its stated error of the reference, that error at most 5 % of it; L1 "
             "distance to Gibbs below 1e-12 with a stream function; F.v = theta sigma to 1e-10.")

ALLOWED = 0.05                       # stated error over the size of the quantity
SIGMAS = 6.5


def linear(K, D, n):
    """dX = -K X dt + sqrt(2 D) dW on 6.5 standard deviations: its diffusion on a grid, and what Lyapunov's
    equation says."""
    from scipy.linalg import solve_continuous_lyapunov

    import fpkit as fp

    S = solve_continuous_lyapunov(K, 2 * D)
    R = -K + D @ np.linalg.inv(S)
    drift = lambda x, y: (-K[0, 0] * x - K[0, 1] * y, -K[1, 0] * x - K[1, 1] * y)
    grid = fp.Grid([(-SIGMAS * s, SIGMAS * s) for s in np.sqrt(np.diag(S))], (n, n))
    F = fp.FokkerPlanck(fp.Diffusion.from_sde(drift, np.diag(D)), grid=grid)
    return F, S, float(np.trace(R.T @ np.linalg.inv(D) @ R @ S))


def row(case, quantity, found, exact, error):
    return {"case": case, "quantity": quantity, "found": float(found), "exact": float(exact),
            "error": float(error)}


def linear_rows(n):
    turned = np.array([[1.0, 0.9], [-0.9, 1.0]])
    c, s = np.cos(0.6), np.sin(0.6)
    axes = np.array([[c, -s], [s, c]])
    gyrator = axes @ np.diag([0.6, 2.0]) @ axes.T       # a parabola turned against the temperatures
    rows = []
    for name, K, D in (("rotation, one temperature", turned, np.diag([0.7, 0.7])),
                       ("rotation, two temperatures", turned, np.diag([1.0, 0.4])),
                       ("Brownian gyrator", gyrator, np.diag([1.2, 0.3]))):
        F, S, sigma = linear(K, D, n)
        state = F.stationary()
        for text, exact in (("x**2", S[0, 0]), ("y**2", S[1, 1]), ("x*y", S[0, 1])):
            mean = state.expectation(text)
            size = max(abs(exact), np.sqrt(S[0, 0] * S[1, 1]) * 0.5)
            rows.append(row(name, f"E {text}", mean, exact, mean.error) | {"size": size})
        ep = state.entropy_production
        rows.append(row(name, "entropy production", ep, sigma, ep.error))
    return rows


def periodic_rows(n):
    import fpkit as fp

    turn, rows = 2 * np.pi, []
    ring = fp.Grid([(0, turn)], (n,), periodic=True)
    for theta in (0.5, 0.1, 0.02):
        v = fp.FokkerPlanck(fp.Potential("cos(x)"), theta, ring, force=[0.4]).velocity()
        nodes, weights = np.polynomial.legendre.leggauss(1000)
        x, w = (nodes + 1) * turn / 2, weights * turn / 2
        inner = [w @ np.exp((np.cos(y + x) - 0.4 * x - np.cos(y)) / theta)
                 for y in np.arange(400) * turn / 400]            # periodic in y: its mean is spectral
        exact = theta * -np.expm1(-0.4 * turn / theta) / np.mean(inner)
        rows.append(row(f"tilted ring, theta {theta:g}", "velocity", v, exact, max(v.error, 1e-9 * exact)))
    torus = fp.Grid([(0, turn)] * 2, (n, n), periodic=True)
    D = fp.FokkerPlanck(fp.Potential("cos(x) + cos(y) + 0.5*cos(x - y)"), 0.5, torus, force=[0.4, 0.0])
    state = D.stationary()
    work = 0.4 * float(state.velocity[0])
    rows.append(row("tilted torus", "theta sigma - F.v", 0.5 * state.entropy_production - work, 0.0,
                    1e-10 * work))
    return rows


def level_rows(n):
    import fpkit as fp

    rows, V = [], fp.Potential("(x**2 - 1)**2/4 + y**2/2 + 0.3*x*y")
    for theta in (0.2, 0.02):
        D = fp.FokkerPlanck(V, theta, fp.Grid([(-2.5, 2.5)] * 2, (n, n)), force=fp.Rotation(-0.7 * theta))
        gap = np.abs(np.exp(D.stationary().log_density.values) - D.gibbs.values)
        rows.append(row(f"along level sets, theta {theta:g}", "L1 distance to Gibbs",
                        (gap * D.grid.volumes).sum(), 0.0, 1e-12))
    return rows


def maier_stein_rows(n):
    """The action to the saddle of the gradient case is 1/4; passage times against a grid twice as fine."""
    import fpkit as fp

    logs, rows = [], []
    for theta in (0.02, 0.01):
        grid = fp.Grid([(-1.6, 1.6), (-0.9, 0.9)], (2 * n + 1, n + 1))
        process = fp.Diffusion.from_sde("(x - x**3 - x*y**2, -(1 + x**2)*y)", theta)
        along = fp.FokkerPlanck(process, grid=grid).stationary().log_density.values[:, n // 2]
        logs.append(along.max() - along[n])
    rows.append(row("Maier-Stein, alpha 1", "action to the saddle", (logs[1] - logs[0]) / 50, 0.25, 2e-3))
    drift = lambda x, y, alpha=10.0: (x - x**3 - alpha * x * y**2, -(1 + x**2) * y)
    ask = lambda m, **k: fp.FokkerPlanck(fp.Diffusion.from_sde(drift, 0.1), grid=fp.Grid(
        [(-1.6, 1.6), (-0.9, 0.9)], (2 * m, m))).mfpt(fp.HalfSpace([1, 0], 0.8), **k).at([-0.8, 0.0])
    coarse, fine = ask(n, refine=True), ask(2 * n, refine=True)
    rows.append(row("Maier-Stein, alpha 10", "mean time to x = 0.8", coarse, fine, coarse.error + fine.error))
    return rows


def measure(quick=False):
    """One row for each quantity of each case."""
    n = 24 if quick else 64
    return [*linear_rows(n), *periodic_rows(n), *level_rows(n), *maier_stein_rows(16 if quick else 48)]


def judge(rows, module=None):
    """The verdict on rows, under the claim of another `module` where one is given."""
    misses, worst = [], 0.0
    for r in rows:
        where, size = f"{r['quantity']} of {r['case']}", r.get("size") or abs(r["exact"]) or 1.0
        gap = abs(r["found"] - r["exact"])
        if not gap <= r["error"]:
            misses.append(f"{where}: {r['found']:.6g} is {gap:.1e} off {r['exact']:.6g}, stated "
                          f"{r['error']:.1e}")
        if not r["error"] <= r.get("allowed", ALLOWED) * size:
            misses.append(f"{where}: stated error {r['error']:.1e} says nothing")
        worst = max(worst, gap / max(r["error"], 1e-300))
    table = Table.of(rows, {"case": "case", "quantity": "quantity", "found": "found", "exact": "reference",
                            "error": "stated error"})
    return ruled(module or globals(), table, misses, f"{len(rows)} quantities, at most {worst:.2f} of the "
                 "stated error off", {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    """What a wrong scheme gives: thousandths off."""
    return [{**r, "found": r["exact"] + 3 * r["error"] + 1e-3 * abs(r["exact"])} for r in rows]


def figure(verdict):
    """Error over stated error of each quantity."""
    from fpkit.plotting import style

    rows = verdict.numbers["rows"]
    made, axes = style.figure(width=16, height=11)
    ratio = [max(abs(r["found"] - r["exact"]) / max(r["error"], 1e-300), 1e-6) for r in rows]
    axes.plot(ratio, range(len(rows)), ls="", marker="o", color=style.COLOURS[0])
    axes.axvline(1.0, color=style.INK, lw=0.8)
    axes.set_yticks(range(len(rows)), [f"{r['case']}: {r['quantity']}" for r in rows], fontsize=7)
    axes.set(xscale="log", xlabel="error over stated error", title="Driven processes against known answers")
    return made
