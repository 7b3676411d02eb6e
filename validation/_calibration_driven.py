"""Random problems without detailed balance, or with walls that absorb in part, sources and inertia, whose
answers are known by closed forms and quadrature."""
from __future__ import annotations

import numpy as np
from scipy.integrate import quad, solve_ivp
from scipy.special import ndtr

from ._calibration_kinds import Answer, Problem, gauss_cells, l1, rounded, scalar


def driven_linear(rng):
    """A linear drift and two temperatures: Lyapunov's Gaussian and its entropy production."""
    from scipy.linalg import solve_continuous_lyapunov

    import fpkit as fp

    K = np.round(np.eye(2) + rng.uniform(-0.6, 0.6, (2, 2)), 3)
    D = np.round(rng.uniform(0.3, 1.5, 2), 3)
    S = solve_continuous_lyapunov(K, 2 * np.diag(D))
    R = -K + np.diag(D) @ np.linalg.inv(S)
    sigma = float(np.trace(R.T @ np.diag(1 / D) @ R @ S))
    text = f"({-K[0, 0]}*x + {-K[0, 1]}*y, {-K[1, 0]}*x + {-K[1, 1]}*y)".replace("--", "")
    n, pick = int(rng.integers(16, 40)), rng.uniform(-1.5, 1.5, 2)

    def ask():
        grid = fp.Grid([(-6.5 * s, 6.5 * s) for s in np.sqrt(np.diag(S))], (n, n + 2))
        state = fp.FokkerPlanck(fp.Diffusion.from_sde(text, D), grid=grid).stationary()
        at = grid.locate(pick * np.sqrt(np.diag(S)))
        x = grid.points[at]
        exact = -0.5 * x @ np.linalg.solve(S, x) - np.log(2 * np.pi) - 0.5 * np.log(np.linalg.det(S))
        log = Answer(abs(state.log_density.values[at] - exact), float(state.log_density.error[at]), 1e-7, 1.0)
        return [log, scalar(state.entropy_production, sigma, 1e-7)]
    return Problem("without detailed balance", f"drift {text}, D {D.tolist()}, {n} cells an axis", ask)


def driven_across(rng):
    """x drifts by itself and carries y along: passage across x is that of the line."""
    import fpkit as fp

    a, b, c, d = (rounded(v, 3) for v in rng.uniform([0.3, 1.0, -0.5, 0.3], [1.2, 2.2, 0.5, 1.0]))
    drift, D = f"-{a}*sin({b}*x) + ({c})", [d, rounded(rng.uniform(0.3, 1.2), 3)]
    x0, n = rounded(rng.uniform(-1.0, 0.6), 3), int(rng.integers(24, 60))
    what = ("mfpt", "committor", "rate")[int(rng.integers(3))]

    def ask():
        line = fp.FokkerPlanck(fp.Diffusion.from_sde(drift, d), grid=fp.Grid([(-2, 2)], 40))
        plane = fp.FokkerPlanck(fp.Diffusion.from_sde(f"({drift}, -y + 0.7*x*sin(y))", D),
                                grid=fp.Grid([(-2, 2), (-3, 3)], (n, n)))
        found = []
        for F, more in ((line, []), (plane, [0])):
            A, B = fp.HalfSpace([-1, *more], 1.3), fp.HalfSpace([1, *more], 1.2)
            point = [x0, *(0.4 for _ in more)]
            found.append(F.mfpt(B).at(point) if what == "mfpt" else F.rate(A, B) if what == "rate"
                         else F.committor(A, B).at(point))
        return [scalar(found[1], float(found[0]), found[0].error)]
    return Problem("without detailed balance",
                   f"{what} from {x0}, drift {drift}, D {D}, {n} cells an axis", ask)


def driven_torus(rng):
    """Two rings side by side, one of them pushed: its velocity, and the work as entropy."""
    import fpkit as fp

    theta, force = rounded(rng.uniform(0.2, 1.0), 3), rounded(rng.uniform(0.1, 1.0), 3)
    n = int(rng.integers(14, 40))

    def ask():
        one, two = (fp.Grid([(0, 2 * np.pi)] * d, (n,) * d, periodic=True) for d in (1, 2))
        ring = fp.FokkerPlanck(fp.Potential("cos(x) + 0.3*sin(2*x)"), theta, one)
        D = fp.FokkerPlanck(fp.Potential("cos(x) + 0.3*sin(2*x) + 0.5*cos(y)"), theta, two,
                            force=f"({force}, 0.4*sin(x)*sin(y))")
        v = float(ring.velocity(force))
        return [scalar(D.stationary().velocity[0], v, 1e-9 * abs(v))]
    return Problem("without detailed balance", f"torus, theta {theta}, force {force}, {n} cells an axis", ask)


# ---- walls that absorb in part, killing, resetting, times of passage, inertia ----

NAME = "without detailed balance: walls, sources, inertia"


def robin_slab(rng):
    """A wall that takes part of what arrives, in a slope that bends: T = int Z/theta + Z(L)/kappa, with
    Z(y) = int_0^y exp(-(f - f(y))/theta)."""
    import fpkit as fp

    a, c, theta, L, kappa = (rounded(v, 3) for v in rng.uniform([-0.8, 0.2, 0.3, 0.8, 0.2],
                                                                [0.8, 1.5, 1.2, 1.6, 4.0]))
    n, is_plane, x0 = int(rng.integers(20, 60)), bool(rng.random() < 0.6), rounded(rng.uniform(0.1, 0.9), 3)
    f = lambda x: a * x + c * x**2 / 2
    held = lambda y: quad(lambda z: np.exp(-(f(z) - f(y)) / theta), 0, y, epsabs=1e-12)[0]
    true = quad(lambda y: held(y) / theta, x0 * L, L, epsabs=1e-10)[0] + held(L) / kappa

    def ask():
        V = fp.Potential(f"{a}*x + {c / 2}*x**2" + (" + y**2" if is_plane else ""))
        grid = fp.Grid([(0, 1.25 * L), (-3, 3)][:1 + is_plane], (n, n)[:1 + is_plane])
        D = fp.FokkerPlanck(V, theta, grid)
        wall = fp.HalfSpace([1, 0][:1 + is_plane], L)
        return [scalar(D.mfpt(wall, reactivity=kappa).at([x0 * L, 0.3][:1 + is_plane]), true, 1e-8 * true)]
    return Problem(NAME, f"mean time to a wall of reactivity {kappa} at {L} from {x0 * L:.4g}, f = {a} x + "
                   f"{c} x^2/2, theta {theta}, {n} cells an axis, {1 + is_plane}D", ask)


def robin_disc(rng):
    """Inside a disc whose rim absorbs in part: T = (R^2 - r^2)/(4 theta) + R/(2 kappa)."""
    import fpkit as fp

    R, theta, kappa, r = (rounded(v, 3) for v in rng.uniform([0.6, 0.3, 0.3, 0.0], [1.0, 1.2, 5.0, 0.5]))
    n, angle = int(rng.integers(24, 64)), rng.uniform(0, 2 * np.pi)
    true = (R**2 - r**2) / (4 * theta) + R / (2 * kappa)

    def ask():
        D = fp.FokkerPlanck(fp.Potential("0*x + 0*y"), theta, fp.Grid([(-1.1, 1.1)] * 2, (n, n)))
        at = [r * np.cos(angle), r * np.sin(angle)]
        return [scalar(D.mfpt(~fp.Ball([0, 0], R), reactivity=kappa).at(at), true)]
    return Problem(NAME, f"mean time to the rim, radius {R}, reactivity {kappa}, from {r}, theta {theta}, "
                   f"{n} cells an axis", ask)


def killed_gaussian(rng):
    """A Gaussian in a parabola that is killed at the rate c + a x^2 stays one: du/dt = theta u'' + k (x u)' -
    (c + a x^2) u for u = exp(-A x^2/2 + B x + C)."""
    import fpkit as fp

    k, a, c, theta, m, s = (rounded(v, 3) for v in rng.uniform([0.6, 0.0, 0.0, 0.3, -0.6, 0.4],
                                                               [1.6, 0.5, 0.4, 0.8, 0.6, 0.8]))
    n, times = int(rng.integers(60, 200)), sorted(rounded(t, 3) for t in 10 ** rng.uniform(-1, 0.5, 2))
    half = rounded(6.5 * max(np.sqrt(theta / k), s) + 0.6, 3)

    def slopes(_, y):
        A, B, _ = y
        return [-2 * theta * A * A + 2 * k * A + 2 * a, -2 * theta * A * B + k * B,
                theta * (B * B - A) + k - c]

    def ask():
        grid = fp.Grid([(-half, half)], (n,))
        start = gauss_cells(grid.edges[0], m, s * s)
        D = fp.FokkerPlanck(fp.Potential(f"{k / 2}*x**2"), theta, grid, killing=f"{c} + {a}*x**2")
        run = D.evolve(start / start.sum() / grid.widths[0], times)
        begin = [1 / s**2, m / s**2, -m * m / (2 * s * s) - np.log(s * np.sqrt(2 * np.pi))]
        path = solve_ivp(slopes, (0, times[-1]), begin, t_eval=times, rtol=1e-11, atol=1e-13).y.T
        exact = [gauss_cells(grid.edges[0], B / A, 1 / A) * np.sqrt(2 * np.pi / A)
                 * np.exp(C + B * B / (2 * A)) for A, B, C in path]
        return l1(run, exact, 1e-8)
    return Problem(NAME, f"killing {c} + {a} x^2 in {k} x^2/2, theta {theta}, Gaussian {m}, {s} after "
                   f"{times}, {n} cells", ask)


def reset_line(rng):
    """Free diffusion that is reset: exp(-alpha |x - x_r|) alpha/2, alpha^2 = r/theta, and the mean time from
    there to a distance d, (exp(alpha d) - 1)/r."""
    import fpkit as fp

    r, theta, at, d = (rounded(v, 3) for v in rng.uniform([0.4, 0.2, -0.4, 0.5], [2.0, 0.6, 0.4, 1.5]))
    alpha, n = np.sqrt(r / theta), int(rng.integers(80, 240))
    half = rounded(16 / alpha, 3)                  # beyond, there is less than 1e-6
    is_time = bool(rng.random() < 0.5)

    def ask():
        D = fp.FokkerPlanck(fp.Potential("0*x"), theta, fp.Grid([(-half, half)], (n,)), resetting=(r, [at]))
        if is_time:
            found = D.mfpt(fp.HalfSpace([1], at + d)).at([at])
            return [scalar(found, np.expm1(alpha * d) / r)]
        return [scalar(D.stationary().expectation(f"(x - {at})**2".replace("- -", "+ ")), 2 / alpha**2)]
    return Problem(NAME, f"{'mean time to a distance of ' + str(d) if is_time else 'variance'} with "
                   f"resetting ({r}, {at}), theta {theta}, {n} cells", ask)


def drifting_arrival(rng):
    """First passage of drift and diffusion: L/sqrt(4 pi theta t^3) exp(-(L - v t)^2/(4 theta t)), mean
    L/v."""
    import fpkit as fp

    L, v, theta = (rounded(x, 3) for x in rng.uniform([0.6, 0.6, 0.1], [1.6, 1.6, 0.5]))
    n, back = int(rng.integers(100, 300)), rounded(12 * theta / v + 1.0, 3)
    times = [rounded(x * L / v, 3) for x in sorted(rng.uniform(0.4, 2.5, 3))]

    def ask():
        grid = fp.Grid([(-back, 1.2 * L)], (n,))
        found = fp.FokkerPlanck(fp.Potential(f"-{v}*x"), theta, grid).first_passage_density(
            [0.0], fp.HalfSpace([1], L), times)
        exact = [L / np.sqrt(4 * np.pi * theta * t**3) * np.exp(-(L - v * t) ** 2 / (4 * theta * t))
                 for t in times]
        return [*(Answer(abs(p - q), float(e), 1e-6 * q, q) for p, q, e in zip(found.density, exact,
                                                                                found.error)),
                scalar(found.mean, L / v, 3e-5 * L / v)]
    return Problem(NAME, f"first passage to {L} with velocity {v}, theta {theta}, {n} cells", ask)


def inertia(rng):
    """A particle with inertia in a parabola: the gap (g - sqrt(g^2 - 4 k))/2; a Gaussian that stays one."""
    from scipy.linalg import expm, solve_continuous_lyapunov

    import fpkit as fp

    k, theta = (rounded(v, 3) for v in rng.uniform([0.6, 0.3], [1.6, 0.8]))
    is_gap = bool(rng.random() < 0.5)
    g = rounded(np.sqrt(k) * 10 ** (rng.uniform(0.35, 1.5) if is_gap else rng.uniform(-0.4, 0.6)), 3)
    n, half = int(rng.integers(32, 56)) * 2, rounded(7 * np.sqrt(theta / k) + 0.7, 3)
    mean, std, t = np.round(rng.uniform(-0.5, 0.5, 2), 2), np.round(rng.uniform(0.5, 0.8, 2), 2), rounded(
        rng.uniform(0.4, 2.0), 2)

    def ask():
        K = fp.KleinKramers(fp.Potential(f"{k / 2}*x**2"), theta, g, fp.Grid([(-half, half)], shape=n))
        if is_gap:
            true = (g - np.sqrt(g * g - 4 * k)) / 2
            return [scalar(K.gap(), true, 1e-9 * true)]
        run = K.evolve((tuple(mean), tuple(std)), [t])
        B, Q = np.array([[0.0, 1.0], [-k, -g]]), np.diag([0.0, 2 * g * theta])
        E, rest = expm(B * t), solve_continuous_lyapunov(B, -Q)
        m = E @ mean
        S = rest + E @ (np.diag(std**2) - rest) @ E.T
        p = run.probabilities(0)
        x, v = K.phase_grid.centres
        fine = 5                                           # points of a cell and axis, by the midpoint rule
        cells = np.zeros(p.shape)
        (hx, hv), offsets = (a[1] - a[0] for a in (x, v)), (np.arange(fine) + 0.5) / fine - 0.5
        for dx in offsets * hx:
            for dv in offsets * hv:
                z = np.stack(np.meshgrid(x + dx - m[0], v + dv - m[1], indexing="ij"), -1)
                cells += np.exp(-np.einsum("...i,ij,...j->...", z, np.linalg.inv(S), z) / 2)
        cells *= hx * hv / fine**2 / (2 * np.pi * np.sqrt(np.linalg.det(S)))
        return [Answer(float(np.abs(p - cells).sum()), float(run.error[0]), 1e-4, 1.0, run.status)]
    return Problem(NAME, f"inertia in {k} x^2/2, friction {g}, theta {theta}, {n} cells, "
                   + ("gap" if is_gap else f"Gaussian {mean.tolist()}, {std.tolist()} after {t}"), ask)



# ---- what moves ----
MOVING = "without rest"


def falling_bound(rng):
    """Brownian motion under a bound that moves at a constant speed (Bachelier, Levy): what is left of it."""
    import fpkit as fp

    theta, a, c = (rounded(rng.uniform(*r), 3) for r in ((0.2, 1), (0.5, 1.5), (-0.4, 0.4)))
    n = int(rng.integers(60, 120))
    times = np.array([0.3, 1.2])
    depth = rounded(7 * np.sqrt(2 * theta * times[-1]), 3)           # where nobody arrives
    half = f"({(a + depth)!r} - {c!r}*t)/2"
    text = f"-{c / 2!r}*x/({half}) - {c / 2!r}*x**2/(2*({half}))"
    r = np.sqrt(2 * theta * times)
    exact = ndtr((a - c * times) / r) - np.exp(a * c / theta) * ndtr((-a - c * times) / r)

    def ask():
        D = fp.FokkerPlanck(fp.Potential(text), lambda t: theta / ((a + depth - c * t) / 2) ** 2,
                            fp.Grid([(-1.1, 1.1)], n), absorbing=~fp.Box([(-1, 1)]))
        E = D.evolve([(depth - a) / (depth + a)], times, tol=1e-4)
        left = [float(E.probabilities(k).sum()) for k in range(times.size)]
        return [Answer(abs(p - x), float(e), 1e-9, 1.0, E.status) for p, x, e in zip(left, exact, E.error)]
    return Problem(MOVING, f"theta {theta}, bound {a} - {c} t, {n} cells", ask)


def well_drawn_round(rng):
    """A Gaussian in a well that is drawn round, with a full or diagonal mobility."""
    from scipy.stats import multivariate_normal

    import fpkit as fp

    theta, w, n = rounded(rng.uniform(0.2, 0.6)), rounded(rng.uniform(1, 4)), int(rng.integers(30, 56))
    M = np.diag(rng.uniform(0.6, 1.4, 2)).round(3)
    M[0, 1] = M[1, 0] = rounded(rng.choice([0.0, 0.3]), 3)
    k, std, times = rounded(rng.uniform(0.7, 1.5)), 0.5, np.array([0.2, 0.9])

    def slope(t, y):
        m, S = y[:2], y[2:].reshape(2, 2)
        A = -k * M
        return np.concatenate([A @ (m - [np.sin(w * t), 0]), (A @ S + S @ A.T + 2 * theta * M).ravel()])

    def ask():
        grid = fp.Grid([(-5, 5)] * 2, (n, n))
        V = fp.Potential(f"{k!r}*((x - sin({w!r}*t))**2 + y**2)/2")
        E = fp.FokkerPlanck(V, theta, grid, M).evolve(([0.2, 0.0], std), times, tol=1e-4)
        y = solve_ivp(slope, (0, 1), [0.2, 0.0, std**2, 0, 0, std**2], t_eval=times, rtol=1e-10).y.T
        s, weights = np.polynomial.legendre.leggauss(6)
        line = (grid.centres[0][:, None] + s * grid.widths[0][:, None] / 2).ravel()
        points = np.stack(np.meshgrid(line, line, indexing="ij"), -1)
        exact = []
        for row in y:
            p = multivariate_normal(row[:2], row[2:].reshape(2, 2)).pdf(points).reshape(n, 6, n, 6)
            exact.append(np.einsum("iajb,a,b->ij", p, weights, weights) * grid.volumes / 4)
        return l1(E, exact, 1e-7)
    return Problem(MOVING, f"stiffness {k}, M {M.tolist()}, theta {theta}, sin {w} t, {n} cells an axis", ask)


DRIVEN = [driven_linear, driven_across, driven_torus, driven_across]
SOURCES = [robin_slab, killed_gaussian, drifting_arrival, inertia, killed_gaussian, reset_line, inertia,
           robin_disc]
MOVED = [falling_bound, well_drawn_round]
