"""
Slow modes
==========
Three wells have two slow eigenvalues; their eigenfunctions are steps between the wells.
"""
import fpkit as fp

V = fp.catalogue.triple_well()
D = fp.FokkerPlanck(V, theta=0.15, grid=fp.Grid(V.box, 200))
spectrum = D.spectrum(5)
print(spectrum)
modes = fp.plot(spectrum)
