"""fpkit export, convert and info on the command line."""
import json

import h5py
import numpy as np
import pytest

import fpkit as fp
from fpkit.cli import main

CODE = '''
import numpy as np

def loss(w):
    return {"train_loss": float((w ** 2).sum()), "test_loss": float(abs(w).sum())}

def broken(w):
    return 1 / 0

constant = 3
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_training_code.py").write_text(CODE)
    np.save(tmp_path / "points.npy", np.array([[0.0, 0, 0, 0], [2, 0, 0, 0], [0, 1, 0, 0]]))
    return tmp_path


def export(*more):
    return main(["export", "run.h5", "--loss", "my_training_code.py:loss", "--points", "points.npy", "--x",
                 "-1", "3", "9", "--y", "-1", "2", "7", *more])


def test_a_plane_of_the_users_own_loss(folder, capsys):
    assert export("--json", "--meta", "weight_decay=0.01", "--meta", "model=none", "--trajectory",
                  "points.npy") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["shape"] == [7, 9] and facts["minimum"]["point"] == [0, 0]
    land = fp.read_landscape("run.h5")
    assert (land.loss[2, 6] == pytest.approx(4) and land.meta["meta"]["weight_decay"] == 0.01
            and land.meta["meta"]["model"] == "none")
    assert land.trajectory == pytest.approx(np.array([[0, 0], [2, 0],
                                                      [0, 1.0]])) and np.isfinite(land.test_loss).all()


def test_shares_and_the_gathering_call(folder, capsys):
    assert export("--share", "0", "2") == 0 and export("--share", "1",
                                                       "2") == 0 and not (folder / "run.h5").exists()
    assert export() == 0 and "63 valid" in capsys.readouterr().out


def test_random_and_principal_planes(folder, capsys):
    for plane in ("random", "pca"):
        assert main(["export", f"{plane}.h5", "--loss", "my_training_code:loss", "--points", "points.npy",
                     "--plane", plane, "--ndim", "1", "--x", "-1", "1",
                     "5"]) == (2 if plane == "random" else 0)
    assert "is zero" in capsys.readouterr().err  # a random direction normalised against an origin of zeros


def test_a_problem_that_comes_with_fpkit(folder, capsys):
    assert main(["export", "run.h5", "--loss", "modular-addition", "--as-given", "--x", "-0.5", "1.5", "5",
                 "--y", "-0.5", "1.5", "5"]) == 0
    land = fp.read_landscape("run.h5")
    assert (land.loss[1, 1] < 0.01 and land.loss[1, 3] < 1e-3
            and land.test_loss[1, 3] < 0.1 * land.test_loss[1, 1] and land.trajectory is not None)


@pytest.mark.parametrize("arguments, words", [
    (["--loss", "my_training_code:nothing"], "has no function 'nothing'"),
    (["--loss", "my_training_code:constant"], "has no function"),
    (["--loss", "no_such_module:f"], "no module 'no_such_module'"),
    (["--loss", "absent.py:f"], "there is no file"), (["--loss", "loss"], "expects MODULE:FUNCTION"),
    (["--loss", "my_training_code:loss", "--meta", "a"], "--meta expects"),
    (["--loss", "my_training_code:loss", "--share", "2", "2"], "counts from 0"),
    (["--loss", "my_training_code:broken", "--record-errors"], "failed at every point"),
])
def test_wrong_calls_are_one_sentence(folder, capsys, arguments, words):
    assert main(["export", "run.h5", "--points", "points.npy", "--x", "0", "1", "3", "--y", "0", "1", "3",
                 *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert main(["export", "run.h5", "--loss", "my_training_code:loss"]) == 2


def test_conversion_between_formats(folder, capsys):
    x = np.linspace(0, 1, 6)
    np.save("bare.npy", x[:, None] ** 2 + x)
    assert main(["convert", "bare.npy", "a.h5", "--x", "0", "1", "--y", "-1", "1", "--layout", "xy"]) == 0
    land = fp.read_landscape("a.h5")
    assert np.array_equal(land.loss, (x[:, None] ** 2 + x).T) and land.y[0] == -1
    for name in ("b.npz", "c.vtk", "network"):
        assert main(["convert", "a.h5", name]) == 0
    assert main(["info", "network", "--json"]) == 0
    out = capsys.readouterr().out.strip().splitlines()
    assert json.loads(out[-1])["kind"] == "network"


def test_info_takes_the_options_of_reading(folder, capsys):
    with h5py.File("max.h5", "w") as f:
        f["xcoordinates"] = f["ycoordinates"] = np.arange(6.0)
        f["max_eig"] = np.add.outer(np.arange(6.0), np.arange(6.0))
    assert main(["info", "max.h5", "--json"]) == 0 and main(["info", "max.h5", "--key", "max_eig", "--every",
                                                             "2", "--json"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.strip().splitlines())
    assert first["kind"] == "set up, never computed" and second["shape"] == [3,
                                                                             3] and second["key"] == "max_eig"


def test_a_bare_array_is_analysed_with_the_callers_coordinates(folder, capsys):
    x, y = np.linspace(-1.6, 1.6, 17), np.linspace(-1, 1, 13)
    np.save("bare.npy", (x**2 - 1) ** 2 + y[:, None] ** 2)
    assert main(["analyse", "bare.npy", "--x", "-1.6", "1.6", "--y", "-1", "1", "--layout", "yx", "--theta",
                 "0.1", "--paths", "20", "-o", "out", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["wells"]) == 2 and (folder / "out" / "index.html").exists()
