r"""
Spectra and metastability
=========================

.. math:: -L\psi_k = \lambda_k\psi_k, \qquad 0 = \lambda_0 < \lambda_1 \le \dots

n deep wells have n - 1 eigenvalues that are exponentially small, and a gap above them. The same eigenvalues
come from the network of wells.
"""
import fpkit as fp

V = fp.catalogue.three_hole()
grid = fp.Grid(V.box, (72, 72))
spectrum = fp.FokkerPlanck(V, 0.3, grid).spectrum(4)
print(spectrum)
modes = fp.plot(spectrum)

# %%
# The network of the wells, with the verdict of the guard.
network = fp.well_network(V, 0.3)
print(network)
picture = fp.plot(network)

# %%
# **Reference.** A. Bovier, F. den Hollander, *Metastability* (Springer, 2015).
