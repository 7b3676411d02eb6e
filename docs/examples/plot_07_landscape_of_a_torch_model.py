"""
The loss landscape of a PyTorch model
=====================================
A model is taken as it is, with its data and a criterion; where PyTorch is not installed this page takes a
network of fpkit itself, as any ``loss(vector)`` will do.
"""
import fpkit as fp
from fpkit.landscapes.adapters import problem_loss
from fpkit.learning.classifiers import wine

try:
    import torch

    torch.manual_seed(0)
    x = torch.linspace(-2, 2, 64)[:, None]
    net = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    loss, start, more = net, net, dict(data=(x, torch.sin(2 * x)), criterion=torch.nn.MSELoss())
except ImportError:
    problem = wine(width=4)
    loss, start, more = problem_loss(problem), problem.start(), {}
plane = fp.Plane.random(start, seed=1)
land = fp.export_landscape("net.h5", loss, plane, x=(-1, 1, 31), y=(-1, 1, 31), overwrite=True, **more)
surface = fp.plot(land)
