"""
Decisions with collapsing bounds
================================
Evidence X drifts at 0.6 with unit noise until it leaves the bounds +-b(t), b = 1.5 exp(-t/2). In y = x/b
the bounds stand still and the equation moves: the temperature is theta/b^2, the potential -0.6 y/b +
(b'/b) y^2/2. With bounds m(t) +- s(t): y = (x - m)/s, f/s^2 + m' y/s + (s'/s) y^2/2, theta/s^2.
"""
import matplotlib.pyplot as plt
import numpy as np

import fpkit as fp

theta = 0.5
V = fp.Potential("-0.6*x/(1.5*exp(-t/2)) - x**2/4")
D = fp.FokkerPlanck(V, lambda t: theta / (1.5 * np.exp(-t / 2)) ** 2, fp.Grid([(-1.1, 1.1)], 88),
                    absorbing=~fp.Box([(-1, 1)]))
times = np.linspace(0.05, 3, 30)
E = D.evolve([0.0], times, tol=1e-3)
undecided = np.array([E.probabilities(k).sum() for k in range(times.size)])

rng, dt, x = np.random.default_rng(0), 1e-3, np.zeros(10_000)          # the same by plain Euler steps
counts = []
for k in range(3000):
    x = x + 0.6 * dt + np.sqrt(2 * theta * dt) * rng.standard_normal(x.size)
    x = x[np.abs(x) < 1.5 * np.exp(-(k + 1) * dt / 2)]
    counts.append(x.size / 10_000)
print(f"undecided at t = 1: {np.interp(1, times, undecided):.4f}, paths (late by their steps) {counts[999]}")
figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
axes.plot(times, undecided, label="Fokker-Planck in y = x/b(t)")
axes.plot(dt * np.arange(1, 3001), counts, "--", label="10,000 Euler paths")
axes.set(xlabel="time", ylabel="undecided", ylim=(0, 1))
axes.legend()
