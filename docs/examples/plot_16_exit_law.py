"""
How a well is left
==================
The quasi-stationary distribution of a well: its rate, and where it is left.
"""
import fpkit as fp

V = fp.catalogue.mueller_brown()
D = fp.FokkerPlanck(V, theta=0.6, grid=fp.Grid(V.box, (80, 80)))
state = D.quasi_stationary(fp.Ball(V.minima[1].x, 0.3))
print(state)
density = fp.plot(state)
