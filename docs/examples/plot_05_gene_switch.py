"""
A gene switch
=============
Two genes that repress each other, near one of the two states: densities over time and the rate of switching.
"""
import numpy as np

import fpkit as fp

V = fp.Potential("(x**2 - 1)**2 + 2*(y + 0.4*x**2)**2 + 0.15*x")     # x: difference of the two proteins
D = fp.FokkerPlanck(V, theta=0.2, grid=fp.Grid([(-2, 2), (-2, 1)], (80, 60)))
wells = fp.find_wells(V, [(-2, 2), (-2, 1)])
evolution = D.evolve(wells[1].x, np.geomspace(0.3, 300, 4))
print(D.rate(fp.Ball(wells[1].x, 0.2), fp.Ball(wells[0].x, 0.2)), "switches per unit time")
densities = fp.plot(evolution)
