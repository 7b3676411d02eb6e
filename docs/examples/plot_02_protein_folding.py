"""
A two-well profile of protein folding
=====================================
Folding and unfolding times along a reaction coordinate Q, and the committor, which is 1/2 at the transition
state.
"""
import fpkit as fp

V = fp.Potential("barrier*((2*x - 1)**2 - 0.6)**2/0.36 - bias*x", barrier=4.0, bias=1.0)      # x is Q
D = fp.FokkerPlanck(V, kT=0.6, grid=fp.Grid([(0, 1)], 200), mobility=0.05)
unfolded, folded = (well.x for well in sorted(fp.find_wells(V, [(0, 1)]), key=lambda w: w.x[0]))
U, F = fp.HalfSpace([-1], -unfolded[0]), fp.HalfSpace([1], folded[0])
print("folding time  ", D.mfpt(F).at(unfolded))
print("unfolding time", D.mfpt(U).at(folded))
print("probability folded", D.probability(fp.HalfSpace([1], 0.5)))
committor = fp.plot(D.committor(U, F), title="probability to fold before unfolding")
