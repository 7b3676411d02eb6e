r"""
Densities
=========

.. math:: \partial_t u = \theta\,\nabla\cdot\bigl[e^{-\beta f}\,\nabla(u\,e^{\beta f})\bigr]

On a grid of one to three axes this is a reversible Markov chain between cells, whose stationary state is
the Gibbs measure of the cells to rounding. Densities are cell averages, never negative, and mass is kept.
"""
import fpkit as fp

V = fp.Potential("(x**2 - 1)**2 + 0.7*(y - 0.5*x)**2")
D = fp.FokkerPlanck(V, theta=0.2, grid=fp.Grid([(-2, 2), (-2, 2)], (72, 64)))
evolution = D.evolve([-1.0, 0.5], [0.1, 1, 10, 1e3])
print(evolution)
picture = fp.plot(evolution)

# %%
# The current shows where probability flows; it vanishes in equilibrium.
flow = fp.plot(D.currents(evolution.field(1)))

# %%
# **Limits.** Grids have at most three axes; above that use paths. A grid that does not resolve the wells
# says so in a warning and in ``status``.
#
# **References.** D. L. Scharfetter, H. K. Gummel, IEEE Trans. Electron Devices 16, 64 (1969); H. Risken, *The
# Fokker-Planck Equation* (Springer, 1989).
