"""Wells whose free energy is known: losses with gradients, and beta F and the learning coefficient by
quadrature.

Each problem is a dictionary: ``name, loss, x0, theta, options`` (tether, inside, hessian), ``exact`` (nats),
``coefficient`` (beta (<E> - E0) at this theta and tether, None where it is not asked).
"""
from __future__ import annotations

import numpy as np
from scipy import integrate
from scipy.optimize import brentq
from scipy.special import gammaln, i0e

from fpkit.core.logarithms import log_sum


def problem(name, loss, x0, theta, log_z, coefficient=None, **options):
    """`log_z(beta)` = log int exp(-beta (E - E0) - ...) dx at fixed tether, with E0 = E(x0): its slope is the
    coefficient."""
    beta, x0 = 1 / theta, np.asarray(x0, float)
    e0 = float(loss(x0[None])[0][0]) if not options.pop("is_exact_minimum", False) else options.pop("e0")
    if coefficient is None:
        h = 1e-3
        coefficient = -(log_z(beta * np.exp(h)) - log_z(beta * np.exp(-h))) / (2 * h)
    return {"name": name, "loss": loss, "x0": x0, "theta": theta, "options": options,
            "exact": beta * e0 - log_z(beta), "coefficient": coefficient}


def log_line(f, low, high, marks=(0.0,)):
    """log int exp(-f) over a line, f with its minimum 0 near one of the marks."""
    value = integrate.quad(lambda x: np.exp(-f(x)), low, high, points=list(marks), limit=2000,
                           epsabs=0, epsrel=1e-10)[0]
    return float(np.log(value))


def rotation(d, rng):
    """A random orthogonal matrix."""
    q, r = np.linalg.qr(rng.normal(size=(d, d)))
    return q * np.sign(np.diag(r))


def quadratic(d, condition, theta, rng, is_rotated=True, **options):
    h = np.geomspace(1 / condition, 1.0, d)
    Q = rotation(d, rng) if is_rotated else np.eye(d)
    c = rng.normal(size=d)

    def loss(X):
        y = (X - c) @ Q
        return 0.5 * (y * y * h).sum(-1), (y * h) @ Q.T
    g = options.get("tether") or 0.0
    start = c if g else c + 0.1 * rng.normal(size=d)
    p = problem(f"quadratic, condition {condition:g}" + (", rotated" if is_rotated else ""), loss, start,
                theta, lambda b: 0.5 * np.log(2 * np.pi / (b * h + g)).sum(), **options)
    p["exact"] = -0.5 * np.log(2 * np.pi / (h / theta + g)).sum()
    return p


def rough_quadratic(d, theta, rng):
    """Given a Hessian whose eigenvalues are 30 % off."""
    h = np.geomspace(1e-3, 10, d)
    loss = lambda X: (0.5 * (X * X * h).sum(-1), X * h)
    hessian = (h * np.exp(0.3 * rng.normal(size=d)), np.eye(d))
    return problem("quadratic, Hessian 30 % off", loss, np.zeros(d), theta,
                   lambda b: 0.5 * np.log(2 * np.pi / (b * h + 1.0)).sum(), tether=1.0, hessian=hessian)


def power(k, d, theta, tether=0.0):
    """sum x^k: no curvature at all."""
    loss = lambda X: ((X**k).sum(-1), k * X**(k - 1))
    reach = 30.0 if not tether else 12 / np.sqrt(tether)
    log_z = lambda b: d * log_line(lambda x: b * x**k + 0.5 * tether * x * x, -reach, reach)
    return problem(f"x^{k}", loss, np.zeros(d), theta, log_z, **({"tether": tether} if tether else {}))


def regular_and_singular(theta):
    """x^2 + y^4: coefficients 1/2 and 1/4."""
    loss = lambda X: (X[:, 0]**2 + X[:, 1]**4, np.stack([2 * X[:, 0], 4 * X[:, 1]**3], 1))
    log_z = lambda b: 0.5 * np.log(np.pi / b) + log_line(lambda y: b * y**4, -20, 20)
    return problem("x^2 + y^4", loss, np.zeros(2), theta, log_z)


def polynomial(d, theta, rng):
    """A rotated sum of even polynomials with random coefficients, some without curvature."""
    a = np.where(rng.random(d) < 0.3, 0.0, np.exp(rng.uniform(-6, 1, d)))
    b = np.exp(rng.uniform(-3, 2, d))
    Q, c = rotation(d, rng), rng.normal(size=d)

    def loss(X):
        z = (X - c) @ Q
        return (0.5 * a * z**2 + b * z**4).sum(-1), (a * z + 4 * b * z**3) @ Q.T
    log_z = lambda beta: sum(log_line(lambda x, a=a[k], b=b[k]: beta * (0.5 * a * x * x + b * x**4), -20, 20)
                             for k in range(d))
    return problem("random polynomials, rotated", loss, c, theta, log_z)


def product(theta):
    """(xy)^2 with tether 1: one axis is integrated by hand."""
    loss = lambda X: (X[:, 0]**2 * X[:, 1]**2,
                      2 * np.stack([X[:, 0] * X[:, 1]**2, X[:, 1] * X[:, 0]**2], 1))

    def log_z(b):
        f = lambda x: np.sqrt(2 * np.pi / (2 * b * x * x + 1)) * np.exp(-x * x / 2)
        return float(np.log(2 * sum(integrate.quad(f, *c, limit=500, epsrel=1e-11)[0]
                                    for c in ((0, 0.05), (0.05, 1), (1, 12)))))
    return problem("(xy)^2", loss, np.zeros(2), theta, log_z, tether=1.0)


def crossing(powers, theta):
    """The product of x_i^p_i with tether 1: valleys that cross."""
    d, p = len(powers), np.array(powers)
    u = np.linspace(-18, np.log(12.0), 2000 if d == 2 else 300)     # x = e^u: the weight is smooth in u
    x = np.exp(u)
    w = 2 * x * np.exp(-x * x / 2) * (u[1] - u[0])
    f = x**p[0]
    for q in p[1:]:
        f = f[..., None] * x**q

    def loss(X):
        E = (X**p).prod(-1)
        others = np.stack([np.delete(X**p, k, 1).prod(-1) for k in range(d)], 1)
        return E, p * X**(p - 1) * others

    def log_z(beta):
        z = np.exp(-beta * f)
        for _ in range(d):
            z = z @ w
        return float(np.log(z))
    name = " ".join(f"{x}^{k}" for x, k in zip("xyz", powers))
    return problem(f"crossing valleys {name}", loss, np.zeros(d), theta, log_z, tether=1.0)


def crossing_chain(theta):
    """(xy)^2 + (yz)^2 with tether 1: a plane crossed by a line."""
    def loss(X):
        x, y, z = X.T
        r = x * x + z * z
        return y * y * r, 2 * np.stack([x * y * y, y * r, z * y * y], 1)

    def log_z(b):                                # x and z are Gaussian given y
        f = lambda y: 2 * np.pi / (2 * b * y * y + 1) * np.exp(-y * y / 2)
        return float(np.log(2 * sum(integrate.quad(f, *c, limit=500)[0]
                                    for c in ((0, 0.01), (0.01, 0.3), (0.3, 3), (3, 12)))))
    return problem("crossing valleys (xy)^2 + (yz)^2", loss, np.zeros(3), theta, log_z, tether=1.0)


def turned(p, rng):
    """The same well in another frame."""
    d = len(p["x0"])
    Q, c, inner = rotation(d, rng), rng.normal(size=d), p["loss"]

    def loss(X):
        E, G = inner((X - c) @ Q)
        return E, G @ Q.T
    return dict(p, name=p["name"] + ", turned", loss=loss, x0=c + Q @ p["x0"])


def circle(theta, tether=0.0):
    """(r^2 - 1)^2, a closed valley."""
    def loss(X):
        r = (X * X).sum(-1) - 1
        return r * r, 4 * r[:, None] * X
    f = lambda r, b: 2 * np.pi * r * i0e(tether * r) * np.exp(-b * (r * r - 1)**2 - tether * (r - 1)**2 / 2)
    log_z = lambda b: float(np.log(integrate.quad(f, 0, 3, args=(b,), points=[1.0], limit=500)[0]))
    return problem("circle" + (f", tether {tether:g}" if tether else ", whole"), loss, [1.0, 0.0], theta,
                   log_z, **({"tether": tether} if tether else {}))


def sphere(d, theta):
    """(r^2 - 1)^2 in d dimensions: a closed valley of dimension d - 1."""
    def loss(X):
        r = (X * X).sum(-1) - 1
        return r * r, 4 * r[:, None] * X
    area = np.log(2) + 0.5 * d * np.log(np.pi) - gammaln(d / 2)
    log_z = lambda b: area + float(np.log(integrate.quad(
        lambda r: r**(d - 1) * np.exp(-b * (r * r - 1)**2), 0, 3, points=[1.0], limit=500)[0]))
    return problem("sphere, whole", loss, np.eye(d)[0], theta, log_z)


def linear_unit(k, theta, l2):
    """(u.v - 1)^2/2 + (l2/2)(|u|^2 + |v|^2): a deep linear network whose minima form a sphere."""
    def loss(X):
        u, v = X[:, :k], X[:, k:]
        r = (u * v).sum(-1) - 1
        return (0.5 * r * r + 0.5 * l2 * (X * X).sum(-1),
                np.concatenate([r[:, None] * v, r[:, None] * u], 1) + l2 * X)
    u0 = np.sqrt((1 - l2) / k) * np.ones(k)
    e0 = 0.5 * l2 * l2 + l2 * (1 - l2)
    area = np.log(2) + 0.5 * k * np.log(np.pi) - gammaln(k / 2)

    def log_z(b):                   # v is Gaussian for each |u| = r
        def f(r):
            s = r * r + l2          # precision along u over beta; the other k - 1 have l2
            low = 0.5 * (1 - r * r / s) + 0.5 * l2 * r * r - e0
            return (r**(k - 1) * np.exp(-b * low) * np.sqrt(2 * np.pi / (b * s))
                    * (2 * np.pi / (b * l2))**((k - 1) / 2))
        at = np.sqrt(1 - l2)
        return area + float(np.log(integrate.quad(f, 0, 12, points=[at * 0.5, at, at * 2], limit=1000)[0]))
    return problem("linear network u.v = 1, whole valley", loss, np.r_[u0, u0], theta, log_z)


def linear_chain(theta, l2):
    """(abc - 1)^2/2 + (l2/2)|x|^2: one of its four wells; the others are copies with signs."""
    def loss(X):
        a, b, c = X.T
        r = a * b * c - 1
        return 0.5 * r * r + 0.5 * l2 * (X * X).sum(-1), np.stack([r * b * c, r * a * c, r * a * b],
                                                                  1) + l2 * X
    t = brentq(lambda t: (t**3 - 1) * t * t + l2 * t, 0.6, 1.5)
    x0 = np.full(3, t)
    e0 = float(loss(x0[None])[0][0])

    def log_z(b):
        x = np.linspace(1e-4, 6 / np.sqrt(b * l2) + 3, 1500)
        p = np.outer(x, x)
        s = p * p + l2
        low = 0.5 * (1 - p * p / s) + 0.5 * l2 * (x[:, None]**2 + x**2) - e0
        return float(np.log((np.exp(-b * low) * np.sqrt(2 * np.pi / (b * s))).sum() * (x[1] - x[0])**2))
    return problem("linear chain abc = 1, one of four wells", loss, x0, theta, log_z)


def rank_one(columns, theta, l2, rng, **options):
    """|b a^T - T|^2/2 + L2, a in two dimensions, b in `columns`: factorisation of a matrix of higher rank,
    one of two wells."""
    T = rng.normal(size=(columns, 2))

    def loss(X):
        a, b = X[:, :2], X[:, 2:]
        R = b[:, :, None] * a[:, None, :] - T
        return (0.5 * (R * R).sum((1, 2)) + 0.5 * l2 * (X * X).sum(-1),
                np.concatenate([np.einsum("nij,ni->nj", R, b), np.einsum("nij,nj->ni", R, a)], 1) + l2 * X)
    U, S, Vt = np.linalg.svd(T, full_matrices=False)
    size = np.sqrt(S[0] - l2)
    x0 = np.r_[size * Vt[0], size * U[:, 0]]
    e0, reach = float(loss(x0[None])[0][0]), 7.0 + size

    def log_z(beta):                 # b is Gaussian given a
        x = np.linspace(-reach, reach, round(200 * reach) + 1)
        A = np.stack(np.meshgrid(x, x, indexing="ij"), -1).reshape(-1, 2)
        s = (A * A).sum(1) + l2
        low = 0.5 * ((T * T).sum() - (A @ (T.T @ T) * A).sum(1) / s + l2 * (A * A).sum(1)) - e0
        logs = 0.5 * columns * np.log(2 * np.pi / (beta * s)) - beta * low
        return float(log_sum(logs) + 2 * np.log(x[1] - x[0]) - np.log(2))
    return problem(f"factorisation of a 2 x {columns} matrix, one of two wells", loss, x0, theta, log_z,
                   **options)


def banana(d, theta, rng):
    """x^2/2 + sum_i k_i (y_i - c_i x^2)^2/2: a curved valley."""
    k, c = np.exp(rng.uniform(1, 5, d - 1)), rng.uniform(-1, 1, d - 1)

    def loss(X):
        x, y = X[:, :1], X[:, 1:]
        r = y - c * x * x
        return 0.5 * (X[:, 0]**2 + (k * r * r).sum(-1)), np.concatenate(
            [x - 2 * x * (k * r * c).sum(-1, keepdims=True), k * r], 1)
    return problem("curved valley", loss, np.zeros(d), theta,
                   lambda b: 0.5 * d * np.log(2 * np.pi / b) - 0.5 * np.log(k).sum())


def double_well(theta, side, d=10):
    """Two wells of different width; the wall stands between them."""
    k = lambda x: 2.25 + 1.75 * np.tanh(3 * x)
    dk = lambda x: 1.75 * 3 / np.cosh(3 * x)**2
    V, dV = lambda x: 2 * (x * x - 1)**2 - 0.15 * x, lambda x: 8 * x * (x * x - 1) - 0.15

    def loss(X):
        x, q = X[:, 0], (X[:, 1:]**2).sum(-1)
        return V(x) + 0.5 * k(x) * q, np.concatenate([(dV(x) + 0.5 * dk(x) * q)[:, None],
                                                      k(x)[:, None] * X[:, 1:]], 1)
    sign = -1 if side == "left" else 1
    m = brentq(dV, *sorted((0.8 * sign, 1.2 * sign)))
    limits = (-4.0, 0.0) if sign < 0 else (0.0, 4.0)
    inside = (lambda X: X[:, 0] < 0) if sign < 0 else (lambda X: X[:, 0] > 0)
    log_z = lambda b: float(np.log(integrate.quad(
        lambda x: np.exp(-b * (V(x) - V(m))) * (2 * np.pi / (b * k(x)))**((d - 1) / 2), *limits, points=[m],
        limit=500)[0]))
    return problem(f"double well, {side} of the wall", loss, np.eye(d)[0] * m, theta, log_z, inside=inside)


def crossings(rng):
    """Wells whose valleys cross at the start, and the same in other frames."""
    return [crossing((2, 4), 1e-2), turned(crossing((2, 4), 1e-3), rng), crossing((4, 2, 2), 1e-4),
            turned(crossing((4, 4), 1e-3), rng), turned(crossing_chain(1e-2), rng)]


def all_problems(seed=0):
    """Some forty problems; the rotations, coefficients, matrices and starts of many are drawn at random."""
    rng = np.random.default_rng([seed, 3])
    return [
        quadratic(60, 1e4, 0.01, rng), quadratic(40, 1e8, 1e-3, rng), quadratic(300, 1e3, 1e-4, rng),
        quadratic(100, 500, 0.01, rng, is_rotated=False, tether=1.0, hessian=None),
        quadratic(200, 300, 0.01, rng, hessian="lanczos"), rough_quadratic(100, 0.01, rng),
        power(4, 1, 1e-2, 1.0), power(4, 1, 1e-4, 1.0), power(6, 3, 1e-3), power(4, 50, 1e-4, 1.0),
        power(8, 20, 1e-2), regular_and_singular(1e-3),
        polynomial(8, 1e-2, rng), polynomial(20, 1e-3, rng), polynomial(40, 1e-1, rng),
        product(1e-2), product(1e-4), crossing((2, 2, 2), 1e-2), *crossings(np.random.default_rng([seed, 5])),
        circle(1e-2, 10.0), circle(1e-2, 1.0), circle(1e-3, 10.0), circle(1e-2), sphere(5, 1e-2),
        sphere(12, 1e-2),
        linear_unit(2, 1e-3, 0.1), linear_unit(8, 1e-3, 0.05), linear_unit(20, 1e-4, 0.02),
        linear_chain(2e-3, 0.1), rank_one(2, 0.01, 0.05, rng), rank_one(12, 0.01, 0.05, rng),
        rank_one(398, 0.01, 0.05, np.random.default_rng(7), hessian="lanczos"),
        banana(5, 0.1, rng), banana(20, 0.5, rng),
        double_well(1 / 8, "left"), double_well(1 / 8, "right"), double_well(1 / 3, "left")]


def quick_problems(seed=0):
    """Seven that take a fraction of a second each."""
    rng = np.random.default_rng([seed, 4])
    return [quadratic(60, 1e4, 0.01, rng), power(4, 1, 1e-4, 1.0), power(6, 3, 1e-3),
            polynomial(8, 1e-2, rng), linear_chain(2e-3, 0.1), rank_one(4, 0.01, 0.05, rng),
            double_well(1 / 8, "left")]
