"""
A potential of your own from a table in kcal/mol
================================================
An uneven table of a profile, at 300 K: how long from the left well to the right one?
"""
import numpy as np

import fpkit as fp

x = np.array([0.0, 0.3, 0.5, 0.8, 1.0, 1.3, 1.6, 1.8, 2.0, 2.3, 2.6, 3.0])              # angstrom
f = np.array([6.0, 2.1, 0.6, 0.0, 0.4, 2.2, 3.9, 4.1, 3.6, 1.9, 1.2, 5.0])              # kcal/mol
V = fp.GridPotential(x, f)
theta = 0.0019872 * 300                                                                  # k_B T in kcal/mol
D = fp.FokkerPlanck(V, theta, fp.Grid(V.bounds, 200), mobility=2.0 / theta)              # D = 2 angstrom^2/ns
tau = D.mfpt(fp.HalfSpace([1], 2.6))
print("from the left well to 2.6 angstrom:", tau.at([0.8]), "ns")
picture = fp.plot(V)
