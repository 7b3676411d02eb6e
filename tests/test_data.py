"""The landscapes in data/ are what their README says."""
import importlib.util
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

DATA = Path(__file__).resolve().parents[1] / "data"
PLANE = DATA / "modular_addition_plane.h5"


@pytest.fixture(scope="module")
def plane():
    with h5py.File(PLANE) as f:
        surfaces = {k: f[k][...] for k in ("train_loss", "test_loss", "train_acc", "test_acc", "xcoordinates",
                                           "ycoordinates")}
        trajectory = {k: f["fpkit/trajectory"][k][...] for k in f["fpkit/trajectory"]}
        return surfaces, trajectory, f["fpkit/gram"][...], json.loads(f["fpkit/meta"][()]), dict(f.attrs)


def test_the_shipped_plane_is_complete_small_and_not_square(plane):
    surfaces, _, gram, _, attributes = plane
    assert attributes["complete"] == 1 and attributes["axis_order"] == "yx" and PLANE.stat().st_size < 300_000
    assert surfaces["train_loss"].shape == (46, 73) == (surfaces["ycoordinates"].size,
                                                        surfaces["xcoordinates"].size)
    assert all(np.isfinite(v).all() for v in surfaces.values()) and (np.linalg.eigvalsh(gram) > 0).all()


def test_the_three_named_points_are_where_the_readme_puts_them(plane):
    surfaces, trajectory, _, meta, _ = plane
    x, y = surfaces["xcoordinates"], surfaces["ycoordinates"]
    at = lambda name, a, b: surfaces[name][np.flatnonzero(y == b)[0], np.flatnonzero(x == a)[0]]
    for point, (a, b) in {"M": (0, 0), "G": (1, 0)}.items():
        for name in ("train_loss", "test_loss"):
            assert at(name, a, b) == pytest.approx(meta["scores"][point][name], rel=1e-9)
    assert at("train_loss", 0, 0) < at("train_loss", 1, 0) and at("test_loss", 0,
                                                                  0) > 100 * at("test_loss", 1, 0)
    assert at("test_acc", 1, 0) == 100 and at("test_acc", 0, 0) < 5 and at("train_acc", 0, 0) == 100
    last, third = -1, int(np.flatnonzero(trajectory["step"] == 440)[0])
    for k, place in ((last, (1, 0)), (third, (0, 1))):
        assert (trajectory["x"][k], trajectory["y"][k]) == pytest.approx(place, abs=1e-9)
        assert trajectory["residual"][k] < 1e-9
        assert trajectory["loss"][k] == pytest.approx(at("train_loss", *place), rel=1e-6)


def test_the_test_loss_has_one_minimum_and_the_training_loss_several(plane):
    def minima(z):
        padded = np.pad(z, 1, constant_values=np.inf)
        around = [padded[1 + i:1 + i + z.shape[0], 1 + j:1 + j + z.shape[1]] for i in (-1, 0, 1)
                  for j in (-1, 0, 1) if i or j]
        return [tuple(int(n) for n in k) for k in np.argwhere(z < np.min(around, 0))]
    assert minima(plane[0]["test_loss"]) == [(10, 56)]
    assert {(10, 16), (10, 56)} < set(minima(plane[0]["train_loss"]))


@pytest.mark.slow
def test_the_script_makes_the_same_plane_again(plane, tmp_path):
    spec = importlib.util.spec_from_file_location("make_modular_addition", DATA / "make_modular_addition.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.make(str(tmp_path / "again.h5"), 0)
    with h5py.File(tmp_path / "again.h5") as f:
        for name in ("train_loss", "test_loss"):                  # another processor sums in another order
            assert np.abs(np.log(f[name][...] / plane[0][name])).max() < 0.5


# ---- the digits ----

DIGITS = DATA / "digits_plane.h5"


@pytest.fixture(scope="module")
def digits_plane():
    import fpkit as fp

    return fp.read_landscape(DIGITS)


def test_the_digits_plane_is_complete_small_and_not_square(digits_plane):
    assert digits_plane.shape == (39, 43) and digits_plane.n_valid == 39 * 43
    assert DIGITS.stat().st_size < 300_000 and digits_plane.warnings == ()
    assert digits_plane.meta["attributes"]["n_params"] == 910 and (np.linalg.eigvalsh(digits_plane.gram)
                                                                   > 0).all()


def test_the_digits_are_where_the_readme_puts_them(digits_plane):
    scores = digits_plane.meta["meta"]["scores"]
    for name, point in {"A": (0, 0), "B": (1, 0), "C": (0, 1)}.items():
        i, j = digits_plane.index(point)
        assert digits_plane.loss[i, j] == pytest.approx(scores[name]["train_loss"], rel=1e-9)
        assert digits_plane.test_acc[i, j] == pytest.approx(100 * scores[name]["test_acc"], rel=1e-9)
    tree = digits_plane.merge_tree()
    assert [b.index for b in tree] == [(29, 10), (8, 31), (8, 9)] and [round(b.persistence, 3)
                                                                       for b in tree[1:]] == [0.457, 0.164]
    assert digits_plane.trajectory[-1] == pytest.approx([0, 0], abs=1e-12)
    assert digits_plane.temperature["theta"] == pytest.approx(1.6e-6, rel=0.02)
    assert digits_plane.temperature["batch"] == 8


def test_the_stored_directions_make_the_metric(digits_plane):
    from fpkit.landscapes.files.directions import read_directions

    assert read_directions(DIGITS).gram == pytest.approx(digits_plane.gram, rel=1e-12)


@pytest.mark.slow
def test_the_script_makes_the_same_digits_again(digits_plane, tmp_path):
    spec = importlib.util.spec_from_file_location("make_digits", DATA / "make_digits.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    again = script.make(str(tmp_path / "again.h5"), 0)
    assert np.abs(np.log(again.loss / digits_plane.loss)).max() < 0.5


@pytest.mark.parametrize("name", ["grokking_p31_plane", "grokking_p31_around_M", "grokking_p31_around_G",
                                  "digits_sharp", "digits_wide", "bump_network_plane"])
def test_the_planes_of_learning_are_complete_small_and_told(name):
    path = DATA / f"{name}.h5"
    with h5py.File(path) as f:
        assert f.attrs["complete"] == 1 and path.stat().st_size < 300_000
        shape = f["train_loss"].shape
        assert shape[0] != shape[1]
        assert np.isfinite(f["train_loss"][...]).all() and np.isfinite(f["test_loss"][...]).all()
        assert (np.linalg.eigvalsh(f["fpkit/gram"][...])
                > 0).all() and "problem" in json.loads(f["fpkit/meta"][()])
