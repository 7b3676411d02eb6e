"""
Annealing
=========
A temperature that falls with time: slowly enough, and nearly all paths end in the deeper of two wells.
"""
import numpy as np

import fpkit as fp

V, deeper = fp.Potential("(x**2 - 1)**2 + 0.2*x"), fp.HalfSpace([-1], 0.0)
for time in (3, 30, 300):
    run = fp.simulate(V, lambda t, end=time: 0.6 * (1 - t / end) + 0.01, [1.0], dt=0.02, n_steps=50 * time,
                      n_paths=1000)
    print(f"cooled in {time:4d}: {deeper.contains(run.x).mean():.2f} in the deeper well")
slow = fp.simulate(V, lambda t: 0.6 * np.exp(-t / 20), [1.0], 0.02, 4000, n_paths=5, save_every=20)
paths = fp.plot(slow)
