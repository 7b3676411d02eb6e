r"""
Paths
=====

.. math:: dX = -M\nabla f\,dt + \theta\,\mathrm{div} M\,dt + \sqrt{2\theta M}\,dW

In any dimension. ``sample`` gathers averages while the paths run and stores none; its errors know the
memory of the paths. The seed alone decides the bits, whatever the number of threads, chunks or machines.
"""
import fpkit as fp

V = fp.Potential("(x**2 - 1)**2")
run = fp.simulate(V, theta=0.3, x0=[-1.0], dt=0.01, n_steps=3000, n_paths=4, save_every=10)
paths = fp.plot(run)

# %%
# Averages and a histogram with error bars, beside the exact density.
cells = fp.Grid([(-2, 2)], 40)
stats = fp.sample(V, 0.3, [-1.0], dt=0.05, n_steps=4000, n_paths=300, histogram=cells, walls=cells)
print(stats, stats.compare(fp.FokkerPlanck(V, 0.3, cells).gibbs), sep="\n")
histogram = fp.plot(stats)

# %%
# **Limits.** The bias of a scheme is of order dt or dt^2; ``extrapolate=True`` takes it away and adds its
# size to the error.
#
# **Reference.** B. Leimkuhler, C. Matthews, *Molecular Dynamics* (Springer, 2015).
