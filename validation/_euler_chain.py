"""First passage of the Euler-Maruyama chain itself, without random numbers, and of the diffusion that it
approximates.

One step is a Gaussian transition kernel. Killing it at the wall, and by the Brownian-bridge probability
inside a step, and solving (1 - K) tau = dt + (what the last step adds) on Gauss-Legendre nodes finer than a
step gives the mean passage time of the scheme at this dt to rounding: the number that a simulation must hit
within its statistical error at any dt.
"""
from __future__ import annotations

import numpy as np


def chain_mfpt(gradient, x0, b, theta, dt, low, is_bridge=True):
    """Mean number of steps times dt until the chain started at x0 is seen beyond b > x0 (steps count whole).

    `low` is where the chain never goes; gradient(x) is f'. The bridge kills a step from a to x with
    probability exp(-(b - a)(b - x)/(theta dt)).
    """
    variance = 2 * theta * dt
    n = int(8 * (b - low) / variance**0.5)  # nodes finer than the step: the quadrature is exact to rounding
    t, w = np.polynomial.legendre.leggauss(n)
    x, w = low + (b - low) * (t + 1) / 2, w * (b - low) / 2

    def kernel(a):
        mean = a - dt * gradient(a)
        k = np.exp(-(x[None] - mean[:, None]) ** 2 / (2 * variance)) / np.sqrt(2 * np.pi * variance) * w[None]
        return k * -np.expm1(-(b - a)[:, None] * (b - x)[None] / (theta * dt)) if is_bridge else k
    tau = np.linalg.solve(np.eye(n) - kernel(x), np.full(n, dt))
    return float(dt + (kernel(np.array([float(x0)])) @ tau)[0])


def exact_mfpt(f, x0, b, theta, low, n=4001):
    """(1/theta) int_x0^b exp(f/theta) int_low^y exp(-f/theta), with a mirror at low, by Gauss-Legendre panels
    in log space."""
    t, w = np.polynomial.legendre.leggauss(8)

    def panels(a, c, m):
        edges = np.linspace(a, c, m + 1)
        return edges[:-1, None] + np.diff(edges)[:, None] * (t + 1) / 2, np.diff(edges)[:, None] * w / 2
    y, wy = panels(x0, b, n // 8)
    z, wz = panels(low, x0, n // 8)
    scale = f(z).min()
    before = float((np.exp(-(f(z) - scale) / theta) * wz).sum())
    inside = np.exp(-(f(y) - scale) / theta) * wy
    whole = np.concatenate([[0.0], np.cumsum(inside.sum(1))])
    total = 0.0
    for k in range(len(y)):  # within a panel: the inner integral by its own nodes
        h = (y[k, -1] - y[k, 0]) / (t[-1] - t[0])
        left = y[k, 0] - h * (t[0] + 1)
        u = left + (y[k][:, None] - left) * (t[None] + 1) / 2
        part = (np.exp(-(f(u) - scale) / theta) * w[None] * (y[k] - left)[:, None] / 2).sum(1)
        total += float((np.exp((f(y[k]) - scale) / theta) * (before + whole[k] + part) * wy[k]).sum())
    return total / theta
