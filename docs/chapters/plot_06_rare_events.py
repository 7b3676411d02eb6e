r"""
Rare events
===========

.. math:: p = \prod_k\Bigl(1 - \frac{n_k}{N}\Bigr), \qquad
          \tau = (1/p - 1)\,E[\text{loop}] + E[\text{reactive path}]

Multilevel splitting kills the replicas that are farthest behind and copies the others; Fleming-Viot walkers
keep a well populated while they count who leaves. Both come with intervals from independent repeats.
"""
import fpkit as fp

V = fp.Potential("(x**2 - 1)**2 + y**2")
A, B = fp.HalfSpace([-1, 0], 0.9), fp.HalfSpace([1, 0], 0.9)
tau = fp.multilevel_splitting(V, 0.12, A, B, dt=0.01, n_replicas=100, n_repeats=8, x0=[-1.0, 0.0])
exact = fp.FokkerPlanck(V, 0.12, fp.Grid([(-2, 2), (-2, 2)], (80, 80))).mfpt(B).at([-1.0, 0.0])
print(tau, exact, f"{tau.direct_steps / tau.n_steps:.0f} times the steps without splitting", sep="\n")

# %%
# **Limits.** No deep well may lie between source and target; a reaction coordinate that misses the way
# makes the scatter large, and ``status`` says so.
#
# **Reference.** F. Cerou et al., J. Chem. Phys. 134, 054108 (2011).
