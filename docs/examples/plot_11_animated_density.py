"""
An animated density
===================
From a point over a barrier to the Gibbs density; the ending of the file's name makes it an animation.
"""
from pathlib import Path

import numpy as np

import fpkit as fp

V = fp.Potential("(x**2 - 1)**2 + 0.7*(y - 0.5*x)**2 + 0.1*x")
D = fp.FokkerPlanck(V, theta=0.15, grid=fp.Grid([(-2, 2), (-2, 2)], (64, 56)))
evolution = D.evolve([1.0, 0.5], np.geomspace(0.02, 2e3, 30))
movie = Path("density.gif")
_ = fp.plot(evolution, movie)
