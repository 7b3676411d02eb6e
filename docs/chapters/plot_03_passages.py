r"""
Passage times, committors, rates
================================

.. math:: L\tau = -1, \qquad Lq = 0, \qquad
          k_{AB} = \nu_{AB} / \mu(q_{BA}), \qquad L = -\nabla f\cdot\nabla + \theta\Delta

outside two regions A and B: the mean time to B, the probability of B before A, and the rate. On a line
these are the exact integrals; in the plane and in space finite volumes with an error seen on coarser grids,
or extrapolated (``refine=True``). Rates keep all their digits down to 1e-300 and below.
"""
import fpkit as fp

V = fp.catalogue.mueller_brown()
D = fp.FokkerPlanck(V, theta=0.5, grid=fp.Grid(V.box, (96, 96)))
A, B = fp.Ball(V.minima[0].x, 0.2), fp.Ball(V.minima[1].x, 0.2)
print(D.rate(A, B), D.mfpt(B).at(V.minima[0].x), sep="\n")
committor = fp.plot(D.committor(A, B))

# %%
# The formula of Eyring and Kramers comes with a guard that says when it may be trusted.
k = fp.eyring_kramers(V, V.minima[2], V.saddles[0], theta=0.1)
print(k, k.guard, sep="\n")

# %%
# **Reference.** W. E, E. Vanden-Eijnden, J. Stat. Phys. 123, 503 (2006); A. Bovier et al., J. Eur. Math.
# Soc. 6, 399 (2004).
