"""The film of a density: frames on the way to equilibrium, and refusals."""
import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.surface.landscape import Landscape
from fpkit.plotting import landscape_animation

Image = pytest.importorskip("PIL.Image")


def report_of(*axes):
    mesh = np.meshgrid(*axes[::-1], indexing="ij")[::-1]
    loss = (mesh[0] ** 2 - 1) ** 2 + sum(m**2 for m in mesh[1:])
    valid = np.ones(loss.shape, bool)
    land = Landscape("f", "train_loss", axes, loss, {"train_loss": loss}, {}, valid, ~valid, ~valid,
                     gram=np.eye(len(axes)))
    return fp.analyse(land, theta=[0.2], n_paths=2, progress=False)


@pytest.mark.parametrize("n", [(15,), (11, 9), (7, 5, 5)])
def test_the_film_shows_the_density_on_its_way_to_equilibrium(tmp_path, n):
    axes = tuple(np.linspace(-1.5, 1.5, m) for m in n)
    report = report_of(*axes)
    film = Image.open(report.animate(tmp_path / "density.gif", n_frames=4))
    assert film.n_frames > 1
    places = landscape_animation._frames(report.dynamics, 20)
    distance = report.dynamics.distance
    assert distance[places[0]] > 0.9 * distance[0] and distance[places[-1]] <= max(0.02, distance[-1])
    assert places == sorted(places)


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match="written as .gif or .mp4"):
        report_of(np.linspace(-1, 1, 7)).animate(tmp_path / "density.avi")
    assert not list(tmp_path.iterdir())


def test_what_is_being_done_is_said_and_wiped(capsys):
    from fpkit.landscapes.report.progress import stages

    told = stages(True, 2)
    told("wells")
    told("rates")
    told.within(3, 12, "temperature")
    told(None)
    said = capsys.readouterr().err
    assert "[1/2]: wells" in said and "[2/2]: rates, temperature 3 of 12" in said
    assert said.endswith("\r\x1b[K")
    stages(False, 2)("wells")
    assert not capsys.readouterr().err
