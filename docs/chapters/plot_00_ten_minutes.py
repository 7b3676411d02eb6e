"""
Ten minutes with fpkit
======================

One potential, one temperature, and the same numbers from the density and from the paths.
"""
import numpy as np

import fpkit as fp

# %%
# **A potential** is a formula, a NumPy function, samples on a grid or any function of your own. Gradient
# and Hessian are exact.
V = fp.Potential("(x**2 - 1)**2 + 0.2*x")
print(V([-1.0]), V.gradient([-1.0]))
print(fp.find_wells(V, [(-2, 2)]))

# %%
# **The density** of a particle that begins at 1 spreads, crosses the barrier and becomes the Gibbs density
# :math:`e^{-f/\theta}/Z`. Each line of the table ends with a bound of its error.
D = fp.FokkerPlanck(V, theta=0.15, grid=fp.Grid([(-2, 2)], 120))
evolution = D.evolve([1.0], np.geomspace(0.1, 1e4, 6))
print(evolution)
densities = fp.plot(evolution)

# %%
# **Questions** about the process are answered directly, with errors: how probable, how long, how fast.
right, left = fp.HalfSpace([1], 0.9), fp.HalfSpace([-1], 1.0)
print("probability of x > 0:", D.probability(fp.HalfSpace([1], 0.0)))
print("mean time to the left well:", D.mfpt(left).at([1.0]))
print("transitions per time:", D.rate(right, left))

# %%
# **The paths** give the same, within their statistical errors.
tau = fp.exit_time(V, 0.15, [1.0], left, dt=0.005, n_paths=1000)
print("from 1000 paths:", tau)

# %%
# **Temperatures** in a table, each method beside the others.
table = fp.compare_rates(V, [1], [-1], theta=[0.2, 0.1, 0.05], grid=D.grid,
                         methods=["rate", "mfpt", "free-energy", "eyring-kramers"])
print(table)
arrhenius = fp.plot(table)
