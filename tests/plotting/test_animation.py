"""Animations: one frame a time of the result, whole files, sentences for what cannot be drawn."""
import numpy as np
import pytest
from PIL import Image

import fpkit as fp
from fpkit.plotting import animation

V1 = fp.Potential("(x**2 - 1)**2 + 0.2*x")


@pytest.fixture(scope="module")
def evolution():
    return fp.FokkerPlanck(V1, 0.3, fp.Grid([(-2, 2)], 40)).evolve([-1.0], [0.1, 1.0, 10.0])


def test_an_animation_has_a_frame_for_the_start_and_each_time_and_a_pause(evolution, tmp_path):
    made = fp.plot(evolution, tmp_path / "density.gif", frames_per_second=2)
    with Image.open(tmp_path / "density.gif") as picture:
        lengths = [picture.seek(k) or picture.info["duration"] for k in range(picture.n_frames)]
    assert len(lengths) >= 4 and sum(lengths) == (4 + 2) * 500           # equal frames may be joined
    assert made.axes[0].get_title(loc="left") == "t = 10"
    assert [p.name for p in tmp_path.iterdir()] == ["density.gif"]


def test_each_frame_shows_the_density_of_its_time(evolution):
    moving = animation.moving_density(evolution)
    line = moving.figure.axes[0].get_lines()[1]
    for k, values in enumerate([evolution.start, *evolution.densities]):
        moving.draw(k)
        np.testing.assert_array_equal(line.get_ydata(), values)


def test_a_density_in_space_moves_as_its_sum_over_the_last_axis():
    grid = fp.Grid([(-2, 2), (-2, 2), (0, 1)], (8, 9, 4))
    D = fp.FokkerPlanck(fp.Potential("x**2 + y**2 + z"), 1.0, grid)
    evolution = D.evolve([0.5, 0.0, 0.5], [0.1, 1.0])
    moving = animation.moving_density(evolution)
    moving.draw(2)
    drawn = next(c for c in moving.figure.axes[0].collections if hasattr(c, "get_coordinates")).get_array()
    np.testing.assert_allclose(np.asarray(drawn).reshape(9, 8), evolution.densities[1].sum(-1).T / 4)


def test_paths_move_in_the_plane_and_as_a_histogram_on_a_line():
    plane = fp.simulate(fp.Potential("x**2 + y**2"), 0.3, [1.0, 0.0], 0.01, 40, n_paths=5, save_every=10)
    moving = animation.moving_paths(plane)
    moving.draw(3)
    np.testing.assert_array_equal(moving.figure.axes[0].get_lines()[0].get_xydata(), plane.paths[:, 3])
    line = fp.simulate(V1, 0.3, [-1.0], 0.01, 40, n_paths=200, save_every=10)
    moving = animation.moving_paths(line)
    moving.draw(2)
    values, edges, _ = moving.figure.axes[0].patches[0].get_data()
    np.testing.assert_allclose(values, np.histogram(line.paths[:, 2, 0], edges, density=True)[0])


def test_what_cannot_move_is_refused_and_leaves_no_file(evolution, tmp_path, monkeypatch):
    with pytest.raises(TypeError, match="no animation of Potential; known are"):
        fp.plot(V1, tmp_path / "a.gif")
    with pytest.raises(ValueError, match="save_every"):
        fp.plot(fp.simulate(V1, 0.3, [-1.0], 0.01, 10, n_paths=2), tmp_path / "a.gif")
    monkeypatch.setattr(animation.FFMpegWriter, "isAvailable", classmethod(lambda cls: False))
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(ValueError, match="needs ffmpeg"):
        fp.plot(evolution, tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())
