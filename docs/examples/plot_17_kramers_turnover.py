"""
Kramers' turnover
=================
Too little friction and too much of it hinder escape alike.
"""
import numpy as np
from matplotlib.figure import Figure

import fpkit as fp

V, friction = fp.catalogue.double_well(), np.geomspace(1e-3, 1e2, 31)
rates = fp.kramers_turnover(V, [-1], [0], 0.1, friction)
made = Figure(figsize=(6, 4), layout="constrained")
axes = made.subplots()
axes.loglog(friction, [float(k) for k in rates])
axes.loglog(friction, fp.eyring_kramers(V, [-1], [0], 0.1) / friction, ":", label="overdamped")
axes.set(xlabel="friction", ylabel="rate of escape", ylim=(1e-7, 3e-5))
axes.legend()
