"""The package's own files are read without trusting them: one sentence for whatever is wrong."""
import json
import os
import warnings

import h5py
import numpy as np
import pytest

import fpkit as fp
from fpkit.core import hdf5

KIND = "fpkit test"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One result of each kind that has a file of its own, saved: {name: (path, load, result)}."""
    folder = tmp_path_factory.mktemp("own")
    V = fp.Potential("(x**2 - 1)**2 + 0.1*x")
    D = fp.FokkerPlanck(V, 0.2, fp.Grid([(-2, 2)], 40))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats = fp.sample(V, 0.5, [0.0], dt=0.05, n_steps=200, n_paths=20, progress=False,
                          histogram=fp.Grid([(-2, 2)], 8))
        table = fp.compare_rates(V, fp.HalfSpace([-1], 0.8), fp.HalfSpace([1], 0.8), [0.1, 0.2],
                                 methods=["mfpt", "eyring-kramers"], grid=fp.Grid([(-2, 2)], 40))
    made = {"evolution": D.evolve(([-1.0], 0.3), [0.1, 0.2]), "statistics": stats, "table": table}
    for name, result in made.items():
        result.save(folder / f"{name}.h5")
    return {name: (folder / f"{name}.h5", type(result).load, result) for name, result in made.items()}


NAMES = ["evolution", "statistics", "table"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_is_loaded(name, results):
    path, load, result = results[name]
    assert repr(load(path)) == repr(result)


@pytest.fixture
def copy(results, tmp_path):
    def made(name):
        path = tmp_path / "hostile.h5"
        path.write_bytes(results[name][0].read_bytes())
        return path, results[name][1]
    return made


def first_array(f):
    return next(n for n in ("densities", "covariance", "theta") if n in f)


def external_link(f, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["x"] = np.zeros(3)
    name = first_array(f)
    del f[name]
    f[name] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")


def soft_link(f, tmp_path):
    name = first_array(f)
    f.move(name, "elsewhere")
    f[name] = h5py.SoftLink("/elsewhere")


def external_storage(f, tmp_path):
    (tmp_path / "raw").write_bytes(bytes(800))
    name = first_array(f)
    del f[name]
    f.create_dataset(name, (100,), float, external=[(str(tmp_path / "raw"), 0, 800)])


def virtual(f, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["x"] = np.zeros(3)
    layout = h5py.VirtualLayout((3,), float)
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "x", (3,))
    name = first_array(f)
    del f[name]
    f.create_virtual_dataset(name, layout)


def huge(f, tmp_path):
    name = first_array(f)
    del f[name]
    f.create_dataset(name, (2**36,), float, chunks=(2**20,))


def bomb(f, tmp_path):
    name = first_array(f)
    del f[name]
    f.create_dataset(name, data=np.zeros(4_000_000), compression="gzip")


def missing(f, tmp_path):
    del f[first_array(f)]


def texts(f, tmp_path):
    name = first_array(f)
    del f[name]
    f[name] = ["a", "b"]


def other_shape(f, tmp_path):
    name = first_array(f)
    del f[name]
    f[name] = np.zeros((2, 3, 4, 5))


def facts(value):
    def change(f, tmp_path):
        name = "meta" if "meta" in f else "facts"
        del f[name]
        f[name] = np.frombuffer(value.encode(), np.uint8)
    return change


def object_attribute(f, tmp_path):
    f.attrs["more"] = np.array(["x" * 10], dtype=h5py.string_dtype())


def other_kind(f, tmp_path):
    f.attrs["kind"] = np.bytes_(b"fpkit something")


def ring_of_groups(f, tmp_path):
    f["ring"] = f["/"]


HOSTILE = {f.__name__: f for f in (external_link, soft_link, external_storage, virtual, huge, bomb, missing,
                                   texts, other_shape, object_attribute, other_kind, ring_of_groups)}
HOSTILE |= {"no json": facts("{"), "a list": facts("[1, 2]"), "deep": facts("[" * 100_000),
            "empty": facts(" "),
            "other types": facts(json.dumps({k: 3 for k in ("steps", "inputs", "status", "theta", "methods",
                                                            "cells", "guards", "estimates", "quantities",
                                                            "resolution", "transitions")}))}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_file_gets_one_sentence(name, change, copy, tmp_path):
    path, load = copy(name)
    with h5py.File(path, "r+") as f:
        change(f, tmp_path)
    with pytest.raises(ValueError) as caught:
        load(path)
    text = str(caught.value)
    assert type(caught.value) is ValueError and "\n" not in text and 20 < len(text) < 400
    assert "hostile.h5" in text and "fpkit" in text


@pytest.mark.parametrize("name", NAMES)
def test_damaged_bytes_get_one_sentence(name, copy):
    path, load = copy(name)
    whole = path.read_bytes()
    for content in (b"", b"no HDF5", whole[:len(whole) // 2], whole[:100], whole[:8] + bytes(len(whole) - 8)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="hostile"):
            load(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="there is no fpkit|is not a file"):
        load(path)
    os.mkfifo(path)                                                   # reading one would wait for ever
    with pytest.raises((ValueError, FileNotFoundError), match="no regular file|is not a file"):
        load(path)


def test_texts_of_a_file_cannot_command_a_terminal(tmp_path):
    facts = {"status": "\x1b[2Jfine\r\n\x9b", "k\x07": ["\x1b"]}
    hdf5.save_state(tmp_path / "a.h5", "", {}, KIND, facts=facts)
    found = hdf5.facts_of(hdf5.load_state(tmp_path / "a.h5", None, KIND), status=str)
    assert found == {"status": "\\x1b[2Jfine\\x0d\n\\x9b", "k\\x07": ["\\x1b"]}
    bad = tmp_path / "b\x1b[2J.h5"
    bad.write_text("none")
    with pytest.raises(ValueError) as caught:
        hdf5.load_state(bad, None, KIND)
    assert "\x1b" not in str(caught.value)


def test_facts_of_any_length_are_kept(tmp_path):
    facts = {"text": "x" * 200_000, "numbers": [1.5, None, True]}
    hdf5.save_state(tmp_path / "a.h5", "d", {"x": np.arange(3)}, KIND, {"more": 2}, facts)
    arrays, attributes = hdf5.load_file(tmp_path / "a.h5", "d", KIND)
    assert hdf5.facts_of(arrays) == facts and attributes["more"] == 2 and arrays["x"].tolist() == [0, 1, 2]
