r"""
Potentials
==========

.. math:: f:\mathbb{R}^d \to \mathbb{R}, \quad \nabla f, \quad \nabla^2 f

A text, a NumPy-style function, samples on a grid (:class:`fpkit.GridPotential`, a C2 spline),
point-by-point code (:meth:`fpkit.Potential.compiled`) or a black box. The first two are recorded once and
differentiated exactly; kernels call all but the last as compiled blocks, and a new parameter compiles
nothing.
"""
import numpy as np

import fpkit as fp

V = fp.Potential(lambda x, y, a=0.5: (x**2 - 1)**2 + a*(y - x**2)**2)
print(V, V.hessian([1.0, 1.0]), V.with_params(a=2.0)([0.0, 1.0]), sep="\n")

# %%
# Wells and saddles are searched in a box, and each saddle tells which wells it joins.
points = fp.critical_points(V, [(-2, 2), (-1, 3)])
print(points)
picture = fp.plot(points)

# %%
# Samples may be uneven, and NaN where nothing is known: walls. SciPy's interpolants are taken as they are.
x = np.linspace(0, 1, 30)**1.5 * 4 - 2
W = fp.GridPotential(x, (x**2 - 1)**2)
print(W(np.array([-1.0, 0.0, 1.0])), W.bounds)

# %%
# **Limits.** Recording suits about 64 coordinates for paths and 16 where Hessians are needed. A spline is
# of order 4 in the spacing of its samples and means nothing outside them.
#
# **Reference.** A. Griewank, A. Walther, *Evaluating Derivatives* (SIAM, 2008).
