import json
import os
import stat
from pathlib import Path

import h5py
import numpy as np
import pytest

from fpkit.core.files import replacing
from fpkit.landscapes.files.writing import write_landscape

X, Y = np.linspace(-1, 1, 5), np.linspace(0, 3, 4)
LOSS = X**2 + 10 * Y[:, None]


def test_a_written_plane_has_the_layout_of_the_schema(tmp_path):
    path = tmp_path / "a.h5"
    gram = [[4.0, 1.0], [1.0, 2.0]]
    trajectory = {k: np.arange(3.0) for k in ("x", "y", "step", "loss", "residual")}
    write_landscape(path, X, Y, {"train_loss": LOSS, "test_acc": 100 - LOSS}, gram, trajectory, {"seed": 1},
                    n_params=12)
    with h5py.File(path) as f:
        assert f["train_loss"].shape == (4, 5) and (f["train_loss"][...]
                                                    == LOSS).all() and f["train_loss"].dtype == "<f8"
        assert np.isnan(f["train_loss"].fillvalue) and f["train_loss"].fletcher32
        assert (f["xcoordinates"][...] == X).all() and (f["ycoordinates"][...] == Y).all()
        assert (f["fpkit/gram"][...] == gram).all() and (f["fpkit/status"][...] == 1).all()
        assert f["fpkit/trajectory/step"].dtype.kind == "i" and (f["proj_xcoord"][...] == np.arange(3)).all()
        assert json.loads(f["fpkit/meta"][()]) == {"seed": 1}
        a = f.attrs
        assert (a["format"], a["format_version"], a["axis_order"], a["complete"],
                a["n_params"]) == ("fpkit-landscape", "1.0", "yx", 1, 12)
        assert (a["complete"].dtype == "u1" and a["created_by"].startswith("fpkit ")
                and "T" in a["created_utc"])


def test_pending_and_non_finite_points_are_told_apart(tmp_path):
    loss = LOSS.copy()
    loss[1, 2], loss[0, 0] = np.inf, np.nan
    pending = np.zeros(loss.shape, bool)
    pending[0, 0] = True
    with h5py.File(write_landscape(tmp_path / "a.h5", X, Y, {"train_loss": loss}, is_pending=pending)) as f:
        assert f.attrs["complete"] == 0 and f["fpkit/status"][0, 0] == 0 and f["fpkit/status"][1, 2] == 2
        assert np.isnan(f["train_loss"][1, 2])


def test_a_line_has_no_second_axis(tmp_path):
    with h5py.File(write_landscape(tmp_path / "a.h5", X, None, {"test_loss": X**2})) as f:
        assert "ycoordinates" not in f and f["test_loss"].shape == (5,)


def test_equal_data_give_equal_bytes(tmp_path):
    files = [write_landscape(tmp_path / name, X, Y, {"train_loss": LOSS}, meta={"b": 1, "a": 2},
                             created_utc=None) for name in "ab"]
    first, second = (Path(f).read_bytes() for f in files)
    assert first == second


def test_a_failure_leaves_the_old_file_and_no_debris(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        Path(temporary).write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.h5"]


@pytest.mark.skipif(os.name != "posix", reason="file modes of POSIX")
def test_the_file_has_the_mode_of_an_ordinary_file(tmp_path):
    path = tmp_path / "a.h5"
    write_landscape(path, X, Y, {"train_loss": LOSS})
    ordinary = tmp_path / "b"
    ordinary.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


@pytest.mark.parametrize("change, words", [
    ({"surfaces": {"train_loss": LOSS.T}}, "expected \\(4, 5\\)"),
    ({"surfaces": {"train_acc": LOSS}}, "must hold train_loss"),
    ({"surfaces": {"train_los": LOSS}}, "Did you mean 'train_loss'"),
    ({"x": X[::-1]}, "increasing"),
    ({"gram": [[1.0, 2.0], [2.0, 1.0]]}, "gram must be"),
    ({"trajectory": dict.fromkeys(("x", "y", "step", "loss"), np.zeros(3)) | {"residual": np.zeros(2)}},
     "one length"),
    ({"path": "missing/a.h5"}, "does not exist"),
    ({"path": "."}, "is a folder"),
])
def test_wrong_input_is_refused_and_writes_nothing(tmp_path, monkeypatch, change, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, OSError), match=words):
        write_landscape(**{"path": "a.h5", "x": X, "y": Y, "surfaces": {"train_loss": LOSS}, **change})
    assert os.listdir(tmp_path) == []
