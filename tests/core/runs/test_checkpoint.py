"""Files of states: written whole, read without trust."""
import os
import stat

import h5py
import numpy as np
import pytest

from fpkit.core.runs.checkpoint import digest_of, load_state, save_state

ARRAYS = {"step": np.array(7), "ensemble/X": np.arange(6.0).reshape(2, 3),
          "ensemble/s": np.array([1, 2], np.uint32),
          "is_full": np.array([True, False]), "empty": np.zeros((0, 3))}


def test_what_is_saved_is_loaded_to_the_bit(tmp_path):
    save_state(tmp_path / "a.h5", "d", ARRAYS)
    loaded = load_state(tmp_path / "a.h5", "d")
    assert set(loaded) == set(ARRAYS)
    for name, value in ARRAYS.items():
        assert loaded[name].dtype == value.dtype and np.array_equal(loaded[name], value)
    assert os.listdir(tmp_path) == ["a.h5"]


def test_the_mode_follows_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        save_state(tmp_path / "a.h5", "d", ARRAYS)
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(tmp_path / "a.h5").st_mode) == 0o640


def test_a_failed_write_leaves_the_old_state(tmp_path):
    save_state(tmp_path / "a.h5", "d", ARRAYS)
    with pytest.raises(TypeError, match="only numbers"):
        save_state(tmp_path / "a.h5", "d", {"x": np.ones(3), "bad": np.array(["text"])})
    assert int(load_state(tmp_path / "a.h5", "d")["step"]) == 7
    assert os.listdir(tmp_path) == ["a.h5"]


def test_the_digest_tells_settings_apart_and_ignores_their_order():
    a = digest_of({"theta": 0.1, "x0": np.zeros(2)})
    assert a == digest_of({"x0": np.zeros(2), "theta": 0.1})
    assert a != digest_of({"theta": 0.2, "x0": np.zeros(2)})
    assert a != digest_of({"theta": 0.1, "x0": np.zeros(3)})


def damage(path, kind, tmp_path):
    if kind == "text":
        path.write_text("no HDF5")
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "noise":
        data = bytearray(path.read_bytes())
        data[8:400] = bytes((37 * k) % 251 for k in range(392))
        path.write_bytes(bytes(data))
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "pipe":
        path.unlink()
        os.mkfifo(path)
    else:
        other = tmp_path / "other.h5"
        with h5py.File(other, "w") as g:
            g["secret"] = np.full(3, 271828.0)
        with h5py.File(path, "a") as f:
            if kind == "foreign":
                del f.attrs["kind"]
            elif kind == "external link":
                f["leak"] = h5py.ExternalLink(str(other), "secret")
            elif kind == "soft link":
                f["again"] = h5py.SoftLink("/step")
            elif kind == "external storage":
                f.create_dataset("leak", (3,), "f8", external=[(str(other), 0, 24)])
            elif kind == "virtual":
                layout = h5py.VirtualLayout((3,), "f8")
                layout[:] = h5py.VirtualSource(str(other), "secret", (3,))
                f.create_virtual_dataset("leak", layout)
            elif kind == "text array":
                f["code"] = np.array([b"import os"])
            elif kind == "opaque":
                f["pickle"] = np.void(b"cos\nsystem\n")
            elif kind == "null":
                f["null"] = h5py.Empty("f8")
            elif kind == "bomb":
                f.create_dataset("bomb", (100_000, 100_000), "f8", chunks=(1000, 1000), compression="gzip",
                                 fillvalue=1.0)
            elif kind == "strange attribute":
                f.attrs["list"] = np.arange(5)


@pytest.mark.parametrize("kind", ["text", "truncated", "noise", "folder", "pipe", "foreign", "external link",
                                  "soft link", "external storage",
                                  "virtual", "text array", "opaque", "null", "bomb", "strange attribute"])
def test_a_damaged_or_foreign_file_is_refused_in_one_sentence(tmp_path, kind):
    path = tmp_path / "a.h5"
    save_state(path, "d", ARRAYS)
    damage(path, kind, tmp_path)
    with pytest.raises(ValueError) as caught:
        load_state(path, "d")
    text = str(caught.value)
    assert "a.h5" in text and "\n" not in text and "271828" not in text and text.endswith(".")


def test_another_digest_is_refused_and_a_missing_file_named(tmp_path):
    save_state(tmp_path / "a.h5", "one", ARRAYS)
    with pytest.raises(ValueError, match="another potential or other settings"):
        load_state(tmp_path / "a.h5", "two")
    with pytest.raises(FileNotFoundError, match="b.h5"):
        load_state(tmp_path / "b.h5", "one")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        save_state(tmp_path / "no" / "a.h5", "one", ARRAYS)
    with pytest.raises(IsADirectoryError, match="folder"):
        save_state(tmp_path, "one", ARRAYS)
