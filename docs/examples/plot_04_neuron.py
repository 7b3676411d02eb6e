"""
A noisy neuron
==============
Leaky integrate-and-fire below threshold: the mean time between spikes, from the equation and from paths.
"""
import fpkit as fp

V = fp.Potential("(x - drive)**2/2", drive=0.8)            # membrane potential, threshold 1
D = fp.FokkerPlanck(V, theta=0.05, grid=fp.Grid([(-2, 1.5)], 300))
threshold = fp.HalfSpace([1], 1.0)
print("exact mean interval", D.mfpt(threshold).at([0.0]))
paths = fp.exit_time(V, 0.05, [0.0], threshold, dt=0.01, n_paths=2000)
print("from 2000 paths    ", paths)
intervals = fp.plot(paths)
