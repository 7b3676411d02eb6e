"""
Diffusion through a washboard
=============================
Seen from afar a particle in a periodic potential diffuses, slowly: the formula of Lifson and Jackson, and
paths.
"""
import numpy as np

import fpkit as fp

V, ring = fp.Potential("0.5*cos(2*pi*x)"), fp.Grid([(0, 1)], 100, periodic=True)
for theta in (0.1, 0.2, 0.4):
    exact = fp.FokkerPlanck(V, theta, ring).effective_diffusion()
    run = fp.simulate(V, theta, [0.5], 0.002, 5000, n_paths=500, walls=ring)
    measured = np.var(run.unwrapped[:, 0]) / (2 * 5000 * 0.002)
    print(f"theta {theta}: {float(exact):.4g} exact, {measured:.4g} from 500 paths, {theta} when flat")
