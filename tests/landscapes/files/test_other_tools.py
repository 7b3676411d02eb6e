"""Files made by the code of other tools, where they are installed: losscape, loss-landscapes, Landscaper."""
import importlib.util
import sys
from unittest.mock import MagicMock

import numpy as np
import pytest

import fpkit as fp

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")


class Paraboloid(torch.nn.Module):
    """Two tensors a and b; the loss rises as a along the first direction and as b^2 along the second."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Parameter(torch.full((2, 2), 0.5))
        self.b = torch.nn.Parameter(torch.full((2, 2), 0.25))

    def forward(self, x):
        return self.a.sum() + 10 * (self.b**2).sum() + 0 * x.sum()


FIRST = [torch.ones(2, 2), torch.full((2, 2), 1e-6)]
SECOND = [torch.full((2, 2), 1e-6), torch.ones(2, 2)]


def is_the_paraboloid(land):
    """Straight along x, bent along y (but for the highest corner, which Landscaper changes)."""
    bends = [np.abs(np.diff(land.loss[:-1, :-1], 2, axis)).max() for axis in (1, 0)]
    return bends[0] < 1e-3 * bends[1]


def test_losscape(tmp_path):
    create = pytest.importorskip("losscape.create_landscape")
    data = [(torch.zeros(1, 1), torch.zeros(1))]
    X, Y, losses = create.create_3D_losscape(Paraboloid(), data, directions=[FIRST, SECOND],
                                             criterion=lambda out, _: out, save_only=True,
                                             output_path=str(tmp_path), num_points=7, x_max=2.0)
    land = fp.read_landscape(tmp_path / "data.h5")
    assert np.array_equal(land.loss, losses)
    assert np.array_equal(land.x, X[0]) and np.array_equal(land.y, Y[:, 0])
    assert is_the_paraboloid(land)


def test_loss_landscapes(tmp_path):
    tool = pytest.importorskip("loss_landscapes")
    from loss_landscapes.metrics.metric import Metric

    class Loss(Metric):
        def __call__(self, wrapper):
            return float(wrapper.forward(torch.zeros(1, 1)))

    end = [Paraboloid(), Paraboloid()]
    with torch.no_grad():
        for model, direction in zip(end, (FIRST, SECOND)):
            for p, d in zip(model.parameters(), direction):
                p += d
    found = tool.planar_interpolation(Paraboloid(), *end, Loss(), steps=6)
    np.save(tmp_path / "a.npy", found)
    land = fp.read_landscape(tmp_path / "a.npy", x=(0, 1), y=(0, 1), layout="xy", fix_serpentine=True)
    assert is_the_paraboloid(land) and np.isin(land.loss, found).all()


def test_landscaper(tmp_path, monkeypatch):
    if importlib.util.find_spec("landscaper") is None:
        pytest.skip("could not import 'landscaper'")
    for name in ("gudhi", "networkx", "nglpy", "topopy", "drawsvg", "coloraide"):
        if importlib.util.find_spec(name) is None:       # its plots and trees are not asked for
            monkeypatch.setitem(sys.modules, name, MagicMock())
    from landscaper.compute import compute_loss_landscape
    from landscaper.landscape import LossLandscape

    one, none = torch.ones(2, 2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    pure = [[one, none], [none.clone(), one.clone()]]
    loss, ranges = compute_loss_landscape(Paraboloid().double(), torch.zeros(1, 1), pure,
                                          lambda model, x: float(model(x)), steps=7, dim=2, device="cpu")
    LossLandscape(loss, ranges).save(tmp_path / "a.npz")
    land = fp.read_landscape(tmp_path / "a.npz")
    assert np.array_equal(land.loss, loss.T) and np.array_equal(land.x, ranges[0]) and is_the_paraboloid(land)
