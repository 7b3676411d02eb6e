"""A network of two tanh units that learns a noisy exclusive or of 20 examples: two solutions of nearly equal
depth, the copies of each under its symmetries, and the passes between them.

    out(u) = sum_k v_k tanh(w_k . u + b_k) + c,   f = mean (out - y)^2/2 + (L2/2)|x|^2,   9 parameters
"""
from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
from scipy.optimize import minimize

L2, N_DATA, DATA_SEED = 0.01, 20, 2
N_STARTS = 40
ORDER = np.array([1, 0, 3, 2, 5, 4, 7, 6, 8])                 # the two units change places


def data():
    """Inputs (n, 2) and targets (n,)."""
    rng = np.random.default_rng(DATA_SEED)
    U = rng.uniform(-1.5, 1.5, (N_DATA, 2))
    return U, 0.8 * np.sign(U[:, 0] * U[:, 1]) + 0.2 * rng.normal(size=N_DATA)


def loss_and_gradient(X):
    """Losses (n,) and gradients (n, 9) of points X (n, 9): weights by input and unit, biases, outputs."""
    (U, y), n = data(), len(X)
    h = np.tanh(U @ X[:, :4].reshape(n, 2, 2) + X[:, None, 4:6])                    # (n, 20, 2)
    r = (h @ X[:, 6:8, None])[..., 0] + X[:, 8:] - y
    s = (1 - h * h) * X[:, None, 6:8] * (r[..., None] / len(y))
    G = np.concatenate([(U.T @ s).reshape(n, 4), s.sum(1), (r[:, None] @ h)[:, 0] / len(y),
                        r.mean(1, keepdims=True)], 1)
    return 0.5 * (r * r).mean(1) + 0.5 * L2 * (X * X).sum(1), G + L2 * X


def hessian(x, step=1e-5):
    """Hessian at one point by differences of the gradient."""
    G = loss_and_gradient(np.concatenate([x + step * np.eye(9), x - step * np.eye(9)]))[1]
    H = (G[:9] - G[9:]) / (2 * step)
    return 0.5 * (H + H.T)


@cache
def compiled():
    """The same loss as a Potential, twenty times as fast."""
    import fpkit as fp

    U, y = data()

    def f(x):
        total = 0.0
        for u, t in zip(U.tolist(), y.tolist()):
            r = (x[6] * np.tanh(x[0] * u[0] + x[2] * u[1] + x[4])
                 + x[7] * np.tanh(x[1] * u[0] + x[3] * u[1] + x[5]) + x[8] - t)
            total = total + r * r
        return 0.5 * total / len(y) + 0.5 * L2 * (x * x).sum()
    return fp.Potential(f, ndim=9)


def copies(x):
    """The eight points that are the same function: units change places, and each its sign."""
    found = []
    for z in (x, x[ORDER]):
        for s in product((1.0, -1.0), repeat=2):
            q = z.copy()
            q[[0, 2, 4, 6]] *= s[0]
            q[[1, 3, 5, 7]] *= s[1]
            found.append(q)
    return np.array(found)


def minimum(x):
    """The minimum below x."""
    def both(v):
        E, G = loss_and_gradient(v[None])
        return float(E[0]), G[0]
    return minimize(both, x, jac=True, method="BFGS", options={"gtol": 1e-9}).x


def solutions():
    """The two deepest minima that are no copies of each other, A the deeper; B is the copy nearest to A."""
    rng = np.random.default_rng(0)
    kinds = {}
    for x in 1.5 * rng.normal(size=(N_STARTS, 9)):
        m = minimum(x)
        kinds.setdefault(round(float(loss_and_gradient(m[None])[0][0]), 5), m)
    first, second = sorted(kinds)[:2]
    A, all_b = kinds[first], copies(kinds[second])
    return A, all_b[np.argsort(np.linalg.norm(all_b - A, axis=1))]


def passes(A, ends, n_images=25, n_steps=600):
    """Saddles of one unstable direction on relaxed strings from A to each end, without repetitions: (point,
    loss, eigenvalues), the lowest first."""
    found = []
    for k, end in enumerate(ends):
        P = np.linspace(0, 1, n_images)[:, None] * (end - A) + A
        P[1:-1] += 0.02 * np.random.default_rng(k).normal(size=(n_images - 2, 9))
        for _ in range(n_steps):
            P[1:-1] -= 0.3 * loss_and_gradient(P[1:-1])[1]
            arc = np.r_[0, np.cumsum(np.linalg.norm(np.diff(P, axis=0), axis=1))]
            P = np.stack([np.interp(np.linspace(0, arc[-1], n_images), arc, c) for c in P.T], 1)
        x = P[int(np.argmax(loss_and_gradient(P)[0]))]
        for _ in range(60):                                   # Newton, a step no longer than .1
            step = np.linalg.solve(hessian(x), loss_and_gradient(x[None])[1][0])
            x = x - step * min(1.0, 0.1 / max(np.linalg.norm(step), 1e-300))
        e = np.linalg.eigvalsh(hessian(x))
        is_saddle = np.abs(loss_and_gradient(x[None])[1]).max() < 1e-8 and e[0] < 0 < e[1]
        if is_saddle and not any(np.linalg.norm(x - other) < 1e-3 for other, *_ in found):
            found.append((x, float(loss_and_gradient(x[None])[0][0]), e))
    return sorted(found, key=lambda s: s[1])


def kinds_of(X, A, B):
    """Where points X (n, 9) fall to: 0 a copy of A, 1 a copy of B, 2 elsewhere."""
    nearest, away = falls_to(X, np.concatenate([copies(A), copies(B)]))
    return np.where(away < 0.3, nearest // 8, 2)


def inside_well(A, B, place):
    """The wall around A itself (place 0) or B itself (8): points from which descent ends there."""
    wells = np.concatenate([copies(A), copies(B)])
    return lambda X: falls_to(X, wells)[0] == place


def falls_to(X, wells, n_steps=250, chunk=4096, near=0.15, every=20):
    """Index of the well nearest to where descent from points X (n, 9) ends, and its distance; who is `near`
    one, where its Hessian is positive, goes no further."""
    gradient = compiled().gradient
    nearest, distance = np.empty(len(X), int), np.empty(len(X))
    for i in range(0, len(X), chunk):
        rows, Y, speed = np.arange(i, min(i + chunk, len(X))), X[i:i + chunk].copy(), 0.0
        for k in range(1, n_steps + 1):           # plain descent first, then with momentum along the floor
            speed = (0.9 if k > 60 else 0.0) * speed - 0.4 * gradient(Y)
            Y += speed
            if k % every and k < n_steps:
                continue
            away = np.linalg.norm(Y[:, None] - wells, axis=2)
            nearest[rows], distance[rows] = away.argmin(1), away.min(1)
            on = distance[rows] > near
            if not on.any():
                break
            rows, Y, speed = rows[on], Y[on], speed[on]
    return nearest, distance
