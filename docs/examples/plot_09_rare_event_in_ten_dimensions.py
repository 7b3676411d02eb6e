"""
A rare event in ten dimensions
==============================
A chain of ten coupled particles leaves its well once in a very long time: multilevel splitting sees it.
"""
import numpy as np

import fpkit as fp

V = fp.Potential(lambda x: np.sum((x**2 - 1)**2) + 0.5 * np.sum((x[1:] - x[:-1])**2), ndim=10)
left, right = fp.HalfSpace(-np.ones(10), 8.0), fp.HalfSpace(np.ones(10), 8.0)
tau = fp.multilevel_splitting(V, 0.6, left, right, dt=0.01, n_replicas=50, n_repeats=6, x0=-np.ones(10))
print(tau)
print(f"direct simulation would need {tau.direct_steps / tau.n_steps:.0f} times as many steps")
