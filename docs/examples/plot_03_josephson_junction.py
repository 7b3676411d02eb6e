"""
A Josephson junction
====================
The phase of an overdamped junction in the tilted washboard -cos(phi) - i phi: mean voltage against bias
current.
"""
import numpy as np
from matplotlib.figure import Figure

import fpkit as fp

V, ring = fp.Potential("-cos(x)"), fp.Grid([(-np.pi, np.pi)], 128, periodic=True)
bias = np.linspace(0, 2, 21)
made = Figure(figsize=(6, 4), layout="constrained")
axes = made.subplots()
for theta in (0.03, 0.2, 0.6):
    D = fp.FokkerPlanck(V, theta, ring)
    axes.plot(bias, [float(D.velocity(i)) for i in bias], label=f"noise {theta}")
axes.plot(bias, np.sqrt(np.maximum(bias**2 - 1, 0)), "k:", label="no noise")
axes.set(xlabel="bias current / critical current", ylabel="mean voltage")
axes.legend()
