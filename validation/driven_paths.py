"""Driven processes, some from the literature: densities, currents and times on a grid beside paths."""
from __future__ import annotations

import numpy as np

from .driven_densities import judge as judged, linear, row

CLAIM = ("What the grid says of a driven process (moments, currents as turning areas and velocities, mean "
         "first passage times, committors, survival under killing, the state under resetting) is what its "
         "own paths do, and what other programs and published numbers say, within the errors of both.")
SOURCE = ("Linear processes: Lyapunov's equation. Resetting: M. R. Evans, S. N. Majumdar, Phys. Rev. Lett. "
          "106, 160601 (2011). Maier-Stein: Phys. Rev. Lett. 71, 1783 (1993); the action "
          "of the optimal path by minimising it here (M. Heymann, E. Vanden-Eijnden, Comm. Pure Appl. Math. "
          "61, 1052 (2008)). Two-gene circuit of cell fate: J. Wang, K. Zhang, L. Xu, E. Wang, PNAS 108, "
          "8257 (2011), a = b = k = 1, S = 1/2, n = 4, states (1, 1) and (2, 0). Schloegl's reaction: F. "
          "Schloegl, Z. Phys. 253, 147 (1972), with the constants of Gillespie (states 82 and 563, barrier "
          "248), as a chemical Langevin equation. Constants of the last two from memory, checked by their "
          "states.")
CRITERION = ("Each quantity within the stated error of the grid plus 4 standard errors of the paths plus "
             "what the time step may cost; actions within 1 %, most of which the finite temperatures cost.")
ALLOWED = 0.25                # error of grid and paths together over the quantity


def mean_of(values):
    """Mean over paths of (n_paths, ...) values and its standard error."""
    per = values.reshape(len(values), -1).mean(1)
    return float(per.mean()), float(per.std(ddof=1) / np.sqrt(per.size))


def beside(case, quantity, grid, paths, bias):
    """A row: the grid's Estimate beside (mean, standard error) of paths; `bias`: what the time step costs."""
    error = float(grid.error) + 4 * paths[1] + bias * max(abs(paths[0]), 1e-300)
    return row(case, quantity, grid, paths[0], error) | {"allowed": ALLOWED}


def run_of(process, x0, dt, n_steps, n_paths, every, **options):
    import fpkit as fp

    run = fp.simulate(process, x0=x0, dt=dt, n_steps=n_steps, n_paths=n_paths, save_every=every, seed=5,
                      progress=False, **options)
    return run.paths[:, run.paths.shape[1] // 4:]                # after a quarter the start is forgotten


def linear_rows(size):
    """Moments and the area that paths turn around, which the current says as well."""
    from fpkit import Estimate

    K, D = np.array([[1.0, 0.9], [-0.9, 1.0]]), np.diag([1.0, 0.4])
    F, _, _ = linear(K, D, size["cells"])
    state, dt = F.stationary(), 0.01
    paths = run_of(F.process, [0.0, 0.0], dt, size["steps"], size["paths"], 5)
    x, y = paths[..., 0], paths[..., 1]
    name, rows = "rotation, two temperatures", []
    for text, values in (("x**2", x * x), ("y**2", y * y), ("x*y", x * y)):
        rows.append(beside(name, f"E {text}", state.expectation(text), mean_of(values), 2 * dt))
    J, p, v = state.current.vector, F.grid.points, F.grid.volumes
    turning = float(((p[..., 0] * J[..., 1] - p[..., 1] * J[..., 0]) * v).sum())
    area = (x[:, :-1] * y[:, 1:] - y[:, :-1] * x[:, 1:]) / (5 * dt)
    # at the mean of a step of 5 dt the turning has decayed by 5 dt times the rate of the process
    rows.append(beside(name, "area turned a time", Estimate(turning, 0.01 * abs(turning), "grid"),
                       mean_of(area), 0.1))
    return rows


def torus_rows(size):
    import fpkit as fp

    V, theta, dt = fp.Potential("cos(x) + cos(y) + 0.5*cos(x - y)"), 0.5, 0.01
    torus = fp.Grid([(0, 2 * np.pi)] * 2, (size["cells"],) * 2, periodic=True)
    state = fp.FokkerPlanck(V, theta, torus, force=[0.4, 0.0]).stationary()
    paths = run_of(fp.Diffusion(V, theta, force=[0.4, 0.0]), [3.0, 3.0], dt, size["steps"], size["paths"], 20)
    gone = (paths[:, -1] - paths[:, 0]) / (20 * dt * (paths.shape[1] - 1))
    rows = [beside("tilted torus", f"velocity along {n}", v, mean_of(gone[:, k]), 2 * dt)
            for k, (n, v) in enumerate(zip("xy", state.velocity))]
    rows[1]["error"] += 2 * dt * abs(rows[0]["exact"])               # small beside the one along x
    rows[1]["size"] = abs(rows[0]["exact"])
    rows.append(beside("tilted torus", "E cos(x - y)", state.expectation("cos(x - y)"),
                       mean_of(np.cos(paths[..., 0] - paths[..., 1])), 2 * dt) | {"size": 1.0})
    return rows


def level_rows(size):
    """A force along the level sets: Gibbs stays, times change."""
    import fpkit as fp

    V, theta, dt = fp.Potential("(x**2 - 1)**2/4 + y**2/2 + 0.3*x*y"), 0.1, 0.01
    process = fp.Diffusion(V, theta, force=fp.Rotation(-0.7 * theta))
    D = fp.FokkerPlanck(process, grid=fp.Grid([(-2.4, 2.4), (-2.4, 2.4)], (size["cells"],) * 2))
    state, target = D.stationary(), fp.HalfSpace([1, 0], 0.8)
    paths = run_of(process, [0.0, 0.0], dt, 2 * size["steps"], size["paths"], 20)
    name = "along level sets"
    rows = [beside(name, "E x**2", state.expectation("x**2"), mean_of(paths[..., 0] ** 2), 2 * dt)]
    time = fp.exit_time(process, x0=[-1.0, 0.3], target=target, dt=dt, n_paths=size["paths"], seed=6,
                        progress=False)
    rows.append(beside(name, "mean time to x = 0.8", D.mfpt(target, refine=True).at([-1.0, 0.3]),
                       (float(time), time.error / 2), 3 * dt))
    return rows


def action(alpha, n=60):
    """Least of int (|b||x'| - b.x') ds / 2 over curves y(x) from (-1, 0) to (0, 0): Maier-Stein's
    quasi-potential of the saddle."""
    from scipy.optimize import minimize

    def of(inner, n):
        x, y = np.linspace(-1, 0, n + 1), np.concatenate([[0.0], inner, [0.0]])
        dx, dy, xm, ym = np.diff(x), np.diff(y), (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2
        bx, by = xm - xm**3 - alpha * xm * ym**2, -(1 + xm**2) * ym
        return float((np.hypot(bx, by) * np.hypot(dx, dy) - bx * dx - by * dy).sum() / 2)

    found, start = [], lambda s: 0.25 * np.sin(np.pi * s)
    for m in (n, 2 * n):
        s = np.linspace(0, 1, m + 1)[1:-1]
        best = minimize(of, start(s), args=(m,), method="L-BFGS-B",
                        options={"maxiter": 3000, "maxfun": 10**6})
        found.append(best.fun)
        known = np.concatenate([[0.0], best.x, [0.0]])
        start = lambda s, known=known, m=m: np.interp(s, np.linspace(0, 1, m + 1), known)
    return (4 * found[1] - found[0]) / 3


def maier_stein_rows(size):
    """Alpha = 10, where the optimal path leaves the axis and the quasi-potential has a ridge on it."""
    import fpkit as fp

    drift = "(x - x**3 - 10*x*y**2, -(1 + x**2)*y)"
    logs, rows, n = [], [], size["fine"]
    for theta in (0.01, 0.005):
        grid = fp.Grid([(-1.6, 1.6), (-0.9, 0.9)], (2 * n + 1, n + 1))
        state = fp.FokkerPlanck(fp.Diffusion.from_sde(drift, theta), grid=grid).stationary()
        along = state.log_density.values[:, n // 2]
        logs.append(along.max() - along[n])
    least = action(10.0)
    # the slope in 1/theta has a part of the order of theta left
    rows.append(row("Maier-Stein, alpha 10", "action to the saddle", (logs[1] - logs[0]) / 100, least,
                    0.01 * least))
    process, target, dt = fp.Diffusion.from_sde(drift, 0.1), fp.HalfSpace([1, 0], 0.8), 0.005
    D = fp.FokkerPlanck(process, grid=fp.Grid([(-1.8, 1.8), (-1.4, 1.4)], (2 * size["cells"], size["cells"])))
    time = fp.exit_time(process, x0=[-0.8, 0.0], target=target, dt=dt, n_paths=size["paths"], seed=8,
                        progress=False)
    rows.append(beside("Maier-Stein, alpha 10", "mean time to x = 0.8",
                       D.mfpt(target, refine=True).at([-0.8, 0.0]), (float(time), time.error / 2), 3 * dt))
    both = fp.exit_time(process, x0=[0.1, 0.2], target={"left": fp.Ball([-1.0, 0.0], 0.25),
                                                        "right": fp.Ball([1.0, 0.0], 0.25)}, dt=dt,
                        n_paths=4 * size["paths"], seed=9, progress=False)
    share = both.probabilities["right"]
    q = D.committor(fp.Ball([-1.0, 0.0], 0.25), fp.Ball([1.0, 0.0], 0.25), refine=True).at([0.1, 0.2])
    n_paths = 4 * size["paths"]
    rows.append(beside("Maier-Stein, alpha 10", "committor at (.1, .2)", q,
                       (float(share), np.sqrt(float(share) * (1 - float(share)) / n_paths)), 2 * dt))
    return rows


GENES = ("(x**4/(0.0625 + x**4) + 0.0625/(0.0625 + y**4) - x, y**4/(0.0625 + y**4) + 0.0625/(0.0625 + x**4) "
         "- y)")
GENE_NOISE, GENE_BOX = 0.05, (0.0, 3.2)


def centred_state(n):
    """The stationary state of the circuit by central fluxes on n x n cells and a sparse LU."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import splu

    h = (GENE_BOX[1] - GENE_BOX[0]) / n
    x = GENE_BOX[0] + h * (np.arange(n) + 0.5)
    b = lambda u, v: u**4 / (0.0625 + u**4) + 0.0625 / (0.0625 + v**4) - u
    cell = np.arange(n * n).reshape(n, n)
    rows, columns, values = [], [], []
    for axis in (0, 1):
        one, two = (cell[:-1], cell[1:]) if axis == 0 else (cell[:, :-1], cell[:, 1:])
        face = np.broadcast_to((x[1:] - h / 2)[:, None], (n - 1, n))
        v = b(face, np.broadcast_to(x, (n - 1, n)))
        v = v if axis == 0 else v.T                      # the circuit is symmetric
        out, back = v / 2 + GENE_NOISE / h, v / 2 - GENE_NOISE / h
        for row_of, sign in ((one, -1), (two, 1)):
            rows += [row_of.ravel()] * 2
            columns += [one.ravel(), two.ravel()]
            values += [sign * out.ravel() / h, sign * back.ravel() / h]
    A = coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))).tocsc()
    p = np.concatenate([[1.0], -splu(A[1:, 1:]).solve(A[1:, 0].toarray().ravel())])
    return x, (p / p.sum()).reshape(n, n)


def gene_rows(size):
    import fpkit as fp

    process, dt = fp.Diffusion.from_sde(GENES, GENE_NOISE), 0.01
    grid = fp.Grid([GENE_BOX] * 2, (size["cells"],) * 2)
    D = fp.FokkerPlanck(process, grid=grid)
    state, name, rows = D.stationary(), "two-gene circuit", []
    middle = []
    for n in (size["other"], 2 * size["other"]):
        x, p = centred_state(n)
        middle.append(float((p * (x[:, None] * x)).sum()))
    mean = state.expectation("x*y")
    other = (4 * middle[1] - middle[0]) / 3
    rows.append(row(name, "E x*y, another solver", mean, other, mean.error + abs(other - middle[1]) / 5))
    paths = run_of(process, [1.0, 1.0], dt, size["steps"], size["paths"], 20, walls=grid)
    rows.append(beside(name, "E x*y, paths", mean, mean_of(paths[..., 0] * paths[..., 1]), 4 * dt))
    p = state.density.values
    for place in ((1.0, 1.0), (2.0, 0.0)):
        near = np.linalg.norm(grid.points - place, axis=-1) < 0.5
        top = grid.points[near][np.argmax(p[near])]
        rows.append(row(name, f"distance of a maximum from the state {place}", np.abs(top - place).max(), 0.0,
                        0.12 + float(grid.h[0])) | {"allowed": np.inf})
    target = fp.HalfSpace([1, -1], 1.2 / np.sqrt(2)) | fp.HalfSpace([-1, 1], 1.2 / np.sqrt(2))
    time = fp.exit_time(process, x0=[1.0, 1.0], target=target, dt=dt, n_paths=size["paths"], seed=3,
                        walls=grid, progress=False)
    rows.append(beside(name, "mean time to decide", D.mfpt(target, refine=True).at([1.0, 1.0]),
                       (float(time), time.error / 2), 3 * dt))
    return rows


GAIN = "(0.015*x*(x - 1) + 200)"
LOSS = "(0.0001*x*(x - 1)*(x - 2)/6 + 3.5*x)"


def schloegl_rows(size):
    """One species with noise of its own: Ito, D = (gain + loss)/2."""
    from scipy.integrate import quad
    from scipy.signal import argrelextrema

    import fpkit as fp

    process = fp.Diffusion.from_sde(f"{GAIN} - {LOSS}", f"({GAIN} + {LOSS})/2", "ito")
    grid = fp.Grid([(0.0, 900.0)], (450,))
    D, name, rows = fp.FokkerPlanck(process, grid=grid), "Schloegl's reaction", []
    target = fp.HalfSpace([1], 400.0)
    time = D.mfpt(target).at([82.0])
    gain = lambda x: 0.015 * x * (x - 1) + 200
    loss = lambda x: 1e-4 * x * (x - 1) * (x - 2) / 6 + 3.5 * x
    z = np.linspace(0, 900, 45_001)
    slope = 2 * (gain(z) - loss(z)) / (gain(z) + loss(z))
    phi = np.concatenate([[0.0], np.cumsum((slope[1:] + slope[:-1]) / 2 * 0.02)])
    m = np.exp(phi) / ((gain(z) + loss(z)) / 2)                    # stationary, but for its norm
    held = np.concatenate([[0.0], np.cumsum((m[1:] + m[:-1]) / 2 * 0.02)])
    inner = held * np.exp(-phi)
    at = lambda x: np.interp(x, z, inner)
    exact = quad(at, 82.0, 400.0, limit=500)[0]
    rows.append(row(name, "mean time from 82 to 400, quadrature", time, exact, time.error + 1e-4 * exact))
    p = D.stationary().density.values
    tops = grid.centres[0][argrelextrema(p, np.greater)[0]]
    rows.append(row(name, "number of maxima", tops.size, 2, 0.1))
    for found, published in zip(tops, (82, 563)):
        rows.append(row(name, f"most probable state {published}", found, published, 2.0))
    b = process.drift(z[:, None])[:, 0]
    barrier = z[np.flatnonzero(np.sign(b[1:]) != np.sign(b[:-1]))][1]
    rows.append(row(name, "barrier 248", barrier, 248, 0.5))
    ends = {"left": fp.HalfSpace([-1], -150.0), "right": fp.HalfSpace([1], 400.0)}
    paths = fp.exit_time(process, x0=[248.0], target=ends, dt=0.005, n_paths=size["paths"], seed=4,
                         walls=grid, progress=False)
    rows.append(beside(name, "mean time from 248 to 150 or 400",
                       D.mfpt(ends["left"] | ends["right"]).at([248.0]), (float(paths), paths.error / 2),
                       0.02))
    share = float(paths.probabilities["right"])
    rows.append(beside(name, "committor at 248", D.committor(*ends.values()).at([248.0]),
                       (share, np.sqrt(share * (1 - share) / size["paths"])), 0.02))
    return rows


FULL = {"cells": 48, "other": 80, "fine": 192, "steps": 6000, "paths": 2000}
QUICK = {"cells": 24, "other": 40, "fine": 24, "steps": 2000, "paths": 300}


def source_rows(size):
    """Killing and resetting: survival, the state that resetting settles in, and the time to a target."""
    import fpkit as fp

    n, dt, rows = size["cells"], 0.02, []
    V, turn = fp.Potential("x**2/2 + 0.3*y**2 + 0.2*x*y"), "(0.8*y, -0.8*x)"
    k, reset = "y**2/(1 + exp(-4*x))", (0.7, [1.2, 0.5])
    grid, count = fp.Grid([(-5, 5)] * 2, (n, n)), 100 * size["paths"]
    D = fp.FokkerPlanck(V, 0.5, grid, force=turn, killing=k)
    left = D.evolve(([0.5, 0.3], 0.3), [0.5, 2.0])
    x0 = np.random.default_rng(3).normal([0.5, 0.3], 0.3, (count, 2))
    run = fp.simulate(V, 0.5, x0, dt, 100, force=turn, killing=k, scheme="heun", seed=5, progress=False)
    for t, mass, error in zip(left.times, left.mass, left.error):
        rows.append(beside("killing k(x), turning", f"survival to t = {t:g}",
                           fp.Estimate(mass, error, "grid"), mean_of(~(run.exit_time <= t)), dt**2))
    state = fp.FokkerPlanck(V, 0.5, grid, force=turn, resetting=reset).stationary()
    run = fp.simulate(V, 0.5, reset[1], dt, 500, count, force=turn, resetting=reset, scheme="heun", seed=5,
                      progress=False)
    x, y = run.x.T
    for text, values in (("x", x), ("x**2", x * x), ("y**2", y * y)):
        rows.append(beside("resetting, turning", f"E {text}", state.expectation(text), mean_of(values), dt))
    line, free, target = fp.Grid([(-12, 0.8)], (32 * n,)), fp.Potential("0*x"), fp.HalfSpace([1], 0.8)
    exact = np.expm1(0.8 * np.sqrt(3.0 / 0.3)) / 3.0
    tau = fp.FokkerPlanck(free, 0.3, line, resetting=(3.0, [0.0])).mfpt(target).at([0.0])
    paths = fp.exit_time(free, 0.3, [0.0], target, 0.01, count, seed=5, resetting=(3.0, [0.0]),
                         progress=False)
    case = "free, reset"
    return [*rows, row(case, "mean time to a target", tau, exact, tau.error),
            row(case, "mean time of paths", paths, exact, 4 * paths.standard_error + 1e-3 * exact)]


def measure(quick=False):
    """One row for each quantity of each case."""
    size = QUICK if quick else FULL
    made = [linear_rows, torus_rows, level_rows, gene_rows, schloegl_rows, source_rows]
    rows = [r for make in [*made, *([] if quick else [maier_stein_rows])] for r in make(size)]
    return [{**r, "allowed": np.inf} for r in rows] if quick else rows       # few paths say little


def judge(rows):
    return judged(rows, globals())


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    """A grid that is off by more than both errors."""
    return [{**r, "found": r["exact"] + 2 * r["error"]} for r in rows]


def figure(verdict):
    """Error over what is allowed of each quantity."""
    from .driven_densities import figure as drawn

    return drawn(verdict)
