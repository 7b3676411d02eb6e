r"""
Loss landscapes
===============

.. math:: F_W(\theta) = -\theta\log\int_W e^{-f/\theta}

An exported plane of a loss is a potential on samples: wells, free energies, occupation and rates against
temperature, each finding with the trust it deserves.
"""
import fpkit as fp
from fpkit.cli import demo_file

land = fp.read_landscape(demo_file())
report = fp.analyse(land, n_paths=50)
print(report.verdict())
surface = fp.plot(report)

# %%
# **Limits.** A plane is a slice: its free energies are not those of the network, and the report says where
# that matters. What the samples leave open is asked of other surfaces: finer ones through the same samples,
# every second sample, and samples whose pits and ridges are made narrower by what each differs from its
# neighbours. A ridge that falls wholly between the samples shows in none of these. White noise and single
# failed samples are recognised; noise that neighbouring samples share, or any on fewer than about fifteen
# samples an axis, looks like structure.
#
# **Reference.** H. Li et al., *Visualizing the Loss Landscape of Neural Nets*, NeurIPS (2018).
