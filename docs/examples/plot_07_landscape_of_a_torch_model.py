"""
The loss landscape of a PyTorch model
=====================================
Any ``loss(vector)`` will do. With PyTorch the parameters go through ``torch_parameters``; where it is not
installed this page takes a network of fpkit itself.
"""
import fpkit as fp
from fpkit.landscapes.adapters import problem_loss, torch_parameters
from fpkit.learning.classifiers import wine

try:
    import torch

    torch.manual_seed(0)
    x, net = torch.linspace(-2, 2, 64)[:, None], torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.Tanh(),
                                                                     torch.nn.Linear(8, 1))
    write, start = torch_parameters(net)

    def loss(vector):
        write(vector)
        with torch.no_grad():
            return float(torch.mean((net(x) - torch.sin(2 * x)) ** 2))
except ImportError:
    problem = wine(width=4)
    loss, start = problem_loss(problem), problem.start()
plane = fp.Plane.random(start, seed=1)
land = fp.export_landscape("net.h5", loss, plane, x=(-1, 1, 31), y=(-1, 1, 31), overwrite=True)
surface = fp.plot(land)
