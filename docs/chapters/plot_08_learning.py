r"""
Learning as diffusion
=====================

.. math:: dw = -\nabla\bigl(R_n(w) + \tfrac{\lambda}{2}|w|^2\bigr)dt + \sqrt{2\theta}\,dW

The picture: a network that memorises first and generalises later is a particle that slides into a ravine and
then walks along its floor. How much of it a real network bears out is told claim by claim in *What became of
the claims on learning*.
"""
import fpkit as fp
from fpkit.learning.models import ravine
from fpkit.learning.modular_addition import ModularAddition
from fpkit.learning.training import train

run = train(ModularAddition(modulus=11, width=32, fraction=0.7), n_steps=1500)
print(run)
picture = fp.plot(run)

# %%
# The model of the ravine: times of the drift and of the walk.
print(ravine(lengths=(0.5, 1.0), n_paths=200, finite_volumes=False))

# %%
# **Reference.** A. Power et al., *Grokking*, arXiv:2201.02177 (2022).
