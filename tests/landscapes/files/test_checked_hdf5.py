"""Hostile files: each is refused in one exception or flagged, quickly, and no byte of another file is
read."""
import os
import pickle
import time
from contextlib import suppress

import h5py
import numpy as np
import pytest

import fpkit as fp
from fpkit.landscapes.files.reading import describe

X, Y = np.arange(5.0), np.arange(4.0)
LOSS = 1 + (X[None, :] - 2) ** 2 + (Y[:, None] - 1) ** 2
SECRET = 13.25                                        # the content of the other file


def base(path, x=X, y=Y):
    f = h5py.File(path, "w")
    f["xcoordinates"], f["ycoordinates"] = x, y
    return f


def other(folder):
    with h5py.File(folder / "other.h5", "w") as f:
        f["train_loss"] = np.full((4, 5), SECRET)
    (folder / "other.raw").write_bytes(np.full((4, 5), SECRET).tobytes())


def extlink(f, folder):
    f["train_loss"] = h5py.ExternalLink(str(folder / "other.h5"), "/train_loss")


def extstorage(f, folder):
    f.create_dataset("train_loss", (4, 5), "f8", external=[(str(folder / "other.raw"), 0, 160)])


def vds(f, folder):
    layout = h5py.VirtualLayout((4, 5), "f8")
    layout[...] = h5py.VirtualSource(str(folder / "other.h5"), "train_loss", (4, 5))
    f.create_virtual_dataset("train_loss", layout)


def bomb(f, folder):
    f.create_dataset("train_loss", (200_000, 200_000), "f8", chunks=(1000, 1000), compression="gzip",
                     fillvalue=1.0)


def cbomb(f, folder):
    f.create_dataset("train_loss", data=np.ones((8000, 4000)), chunks=(8000, 4000), compression="gzip")


def chunkbomb(f, folder):
    f.create_dataset("train_loss", (4, 5), "f8", chunks=(8000, 4000), maxshape=(None, None),
                     compression="gzip")[...] = LOSS


def softcycle(f, folder):
    f["train_loss"] = h5py.SoftLink("/train_loss")


def strdtype(f, folder):
    f["train_loss"] = np.array([[b"__import__('os').abort()"] * 5] * 4)


def vlen(f, folder):
    d = f.create_dataset("train_loss", (4, 5), h5py.vlen_dtype(np.float64))
    d[0, 0] = np.ones(3)


def compound(f, folder):
    f["train_loss"] = np.zeros((4, 5), [("a", "f8"), ("b", "f8")])


def ref(f, folder):
    d = f.create_dataset("train_loss", (4, 5), h5py.ref_dtype)
    d[0, 0] = f["xcoordinates"].ref


def complexes(f, folder):
    f["train_loss"] = LOSS + 1j


def opaque_pickle(f, folder):
    f["train_loss"] = np.void(pickle.dumps({"a": 1}))


def group(f, folder):
    f.create_group("train_loss")["0"] = LOSS


def nullspace(f, folder):
    f["train_loss"] = h5py.Empty("f8")


def shape(f, folder):
    f["train_loss"] = np.ones((5, 5))


def unwritten(f, folder):
    f.create_dataset("train_loss", (4, 5), "f8", chunks=(4, 5), fillvalue=0.0)


def unkfilter(f, folder):
    space, plist = h5py.h5s.create_simple((4, 5)), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((4, 5))
    plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
    h5py.h5d.create(f.id, b"train_loss", h5py.h5t.NATIVE_DOUBLE, space, plist)
    f["train_loss"][...] = LOSS


def alias(f, folder):
    f["train_loss"] = LOSS
    f["fpkit"] = h5py.ExternalLink(str(folder / "other.h5"), "/")
    f.attrs["format"] = "fpkit-landscape"


REFUSED = {
    extlink: "link into another file", extstorage: "another file", vds: "virtual dataset",
    bomb: "does not fit the coordinates",
    cbomb: "does not fit the coordinates", chunkbomb: "chunks", softcycle: "soft link",
    strdtype: "not plain numbers", vlen: "not plain numbers",
    compound: "not plain numbers", ref: "not plain numbers", complexes: "not plain numbers",
    opaque_pickle: "not plain numbers",
    group: "is a group", nullspace: "null", shape: "does not fit the coordinates", unkfilter: "filter 32015",
    unwritten: "never written",
    alias: "link into another file",
}


def memory():
    """Largest size of this process so far, in MB; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def refusal(call, path):
    """The one exception that a bad file ends in, within a second and 200 MB, naming path and reason."""
    start, size = time.process_time(), memory()
    with pytest.raises(fp.LandscapeFormatError) as caught:
        call(path)
    assert time.process_time() - start < 1 and memory() - size < 200
    error = caught.value
    assert (isinstance(error, ValueError) and error.path == str(path) and error.reason
            and str(SECRET) not in str(error))
    assert "\n" not in str(error) and len(str(error)) < 600
    return error


@pytest.mark.parametrize("build", REFUSED, ids=lambda b: b.__name__)
def test_a_hostile_file_is_refused(build, tmp_path):
    other(tmp_path)
    path = tmp_path / "hostile.h5"
    with base(path) as f:
        build(f, tmp_path)
    assert REFUSED[build] in str(refusal(fp.read_landscape, path))
    refusal(fp.analyse, path)
    with suppress(fp.LandscapeFormatError):
        assert str(SECRET) not in str(describe(path))


@pytest.mark.parametrize("x, words", [
    ([0.0, 2, 1, 3, 4], "neither rise nor fall"), ([0, 1, np.nan, 3, 4], "not finite"),
    ([0.0, 1, 1, 3, 4], "neither rise nor fall"),
    ([0.0], "at least two"), ([-1.7e308, 0, 1, 2, 1.7e308], "span"),
])
def test_bad_coordinates_are_refused(x, words, tmp_path):
    path = tmp_path / "a.h5"
    with base(path, x=np.array(x, float)) as f:
        f["train_loss"] = LOSS
    assert words in str(refusal(fp.read_landscape, path))


def test_all_nan_opens_and_is_not_analysed(tmp_path):
    path = tmp_path / "a.h5"
    with base(path) as f:
        f["train_loss"] = np.full((4, 5), np.nan)
    assert fp.read_landscape(path).n_valid == 0
    assert "no valid cell" in str(refusal(fp.analyse, path))


def test_long_and_foreign_text_is_shown_and_never_followed(tmp_path):
    path = tmp_path / "a.h5"
    x = np.arange(6.0)
    with base(path, x, x) as f:
        f["train_loss"] = 1 + (x[None, :] - 2) ** 2 + (x[:, None] - 1) ** 2
        f["dir_file"] = "../../../../etc/passwd"
        f.attrs["title"] = "<script>alert(1)</script>" + "a" * 60_000
        f.attrs["blob"] = np.void(pickle.dumps([1]))
    land = fp.read_landscape(path)
    assert (land.meta["dir_file"] == "../../../../etc/passwd" and "root:" not in str(land.to_dict())
            and "blob" not in land.meta["attributes"])
    page = fp.analyse(land).save(tmp_path / "report").read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page and len(page) < 5e6
    assert "a" * 1000 not in "".join(page.split("base64,")[0:1])


def test_what_is_no_regular_hdf5_file_is_refused(tmp_path):
    assert "folder" in str(refusal(fp.read_landscape, tmp_path))
    assert "no such file" in str(refusal(fp.read_landscape, tmp_path / "none.h5"))
    os.mkfifo(tmp_path / "fifo.h5")
    assert "not a regular file" in str(refusal(fp.read_landscape, tmp_path / "fifo.h5"))
    for name, content, words in [("a.h5", b"", "empty"), ("b.h5", b"hello", "no HDF5 signature"),
                                 ("c.pkl", pickle.dumps([1]), "pickle"),
                                 ("d.npz", b"PK\x03\x04" + b"0" * 600, "not a zip file"),
                                 ("e.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "HDF5 cannot open")]:
        (tmp_path / name).write_bytes(content)
        assert words in str(refusal(fp.read_landscape, tmp_path / name))


def test_a_file_with_a_user_block_is_read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=1024) as f:
        f["xcoordinates"], f["ycoordinates"], f["train_loss"] = X, Y, LOSS
    assert fp.read_landscape(tmp_path / "a.h5").n_valid == 20


def test_truncated_and_damaged_files_end_in_the_one_exception(tmp_path):
    whole = tmp_path / "whole.h5"
    with base(whole) as f:
        f.create_dataset("train_loss", data=LOSS, chunks=(4, 5), fletcher32=True, compression="gzip")
        f.create_dataset("train_acc", data=np.full((4, 5), 50.0))
        f.attrs["axis_order"] = "yx"
    data = whole.read_bytes()
    rng = np.random.default_rng(1)
    path = tmp_path / "damaged.h5"
    outcomes = {"read": 0, "refused": 0}
    for k in range(300):
        broken = bytearray(data)
        if k % 5 == 0:
            broken = broken[:rng.integers(8, len(data))]
        else:
            for place in rng.integers(8, len(data), size=1 + k % 4):
                broken[place] = rng.integers(256)
        path.write_bytes(broken)
        try:
            land = fp.read_landscape(path)
            land.merge_tree()
            outcomes["read"] += 1
        except fp.LandscapeFormatError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 50 and outcomes["read"] > 50


def test_deeply_nested_json_is_left_out(tmp_path):
    path = tmp_path / "a.h5"
    with base(path) as f:
        f["train_loss"] = LOSS
        f.attrs["format"] = "fpkit-landscape"
        f["fpkit/meta"] = "[" * 30_000 + "]" * 30_000
    land = fp.read_landscape(path)
    assert "meta" not in land.meta and any("JSON" in w for w in land.warnings)


def test_a_damaged_heap_of_texts_cannot_keep_the_reader_for_ever(tmp_path):
    path = tmp_path / "a.h5"
    with base(path) as f:
        f["train_loss"] = LOSS
        f["dir_file"] = "a text of variable length that lies in a heap"
        f.attrs["title"] = "another one"
    data = bytearray(path.read_bytes())
    text = data.find(b"a text of variable")
    data[text - 16:text] = bytes(16)  # a free piece of size 0: HDF5 itself would walk on the spot
    path.write_bytes(data)
    land = fp.read_landscape(path)
    assert land.meta["dir_file"] is None and "title" not in land.meta["attributes"] and land.n_valid == 20


def test_a_large_landscape_must_be_large_on_the_disk(tmp_path):
    path = tmp_path / "a.h5"
    x = np.arange(2500.0)
    with base(path, x, x) as f:
        f.create_dataset("train_loss", data=np.ones((2500, 2500)), chunks=(100, 2500), compression="gzip")
    assert "more than the allowed" in str(refusal(fp.read_landscape, path))


def direction_group(f, **tensors):
    for group in ("xdirection", "ydirection"):
        for k in (0, 1):
            f[f"{group}/{k}"] = np.random.default_rng(k + len(group) + ord(group[0])).normal(size=(3, 4))
        for name, make in tensors.items():
            make(f[group], name)


@pytest.mark.parametrize("build, words", [
    (lambda g, n, folder: g.__setitem__(n, h5py.ExternalLink(str(folder / "other.h5"), "/train_loss")),
     "link into another file"),
    (lambda g, n, folder: g.create_dataset(n, (4, 5), "f8", external=[(str(folder / "other.raw"), 0, 160)]),
     "another file"),
    (lambda g, n, folder: g.create_dataset(n, (10**5, 10**5), "f8", chunks=(1000, 1000), compression="gzip"),
     "more than the allowed"),
    (lambda g, n, folder: g.create_dataset(n, data=np.ones((2000, 2000)), chunks=(500, 2000),
                                           compression="gzip"), "compression bomb"),
    (lambda g, n, folder: g.create_dataset(n, (4, 5), "f8"), "never written"),
    (lambda g, n, folder: g.create_group(n), "is a group"),
    (lambda g, n, folder: g.__setitem__(n, np.full(3, np.nan)), "not finite"),
])
def test_a_hostile_direction_file_is_refused(build, words, tmp_path):
    from fpkit.landscapes.files.directions import read_directions

    other(tmp_path)
    path = tmp_path / "directions.h5"
    with h5py.File(path, "w") as f:
        direction_group(f, **{"2": lambda g, n: build(g, n, tmp_path)})
    assert words in str(refusal(read_directions, path))


@pytest.mark.slow
def test_three_thousand_mutations_end_in_a_landscape_or_in_the_one_exception():
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    import validation

    verdict = validation.load("mutated_files").run()
    assert verdict.outcome == "holds", verdict
