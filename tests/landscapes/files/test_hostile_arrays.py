"""NumPy files from strangers: each is refused in one sentence, nothing in it is executed, followed or trusted
in size."""
import pickle
import zipfile

import numpy as np
import pytest

import fpkit as fp


def header(text):
    body = text.encode()
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


HOSTILE = {
    "objects": lambda p: np.save(p, np.array([{}, []], dtype=object), allow_pickle=True),
    "absurd": lambda p: p.write_bytes(header("{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999, "
                                             "9999999999), }\n") + b"0" * 80),
    "huge": lambda p: p.write_bytes(header("{'descr': '<f8', 'fortran_order': False, 'shape': (200000, "
                                           "200000), }\n") + b"0" * 80),
    "short": lambda p: p.write_bytes(header("{'descr': '<f8', 'fortran_order': False, 'shape': (5, 4), }\n")
                                     + b"0" * 80),
    "code": lambda p: p.write_bytes(header("{'descr': __import__('os').abort(), 'fortran_order': False, "
                                           "'shape': (5, 4), }\n") + b"0" * 160),
    "structured": lambda p: np.save(p, np.zeros((4, 5), [("a", "f8")])),
    "strings": lambda p: np.save(p, np.full((4, 5), "x")),
    "complex": lambda p: np.save(p, np.ones((4, 5)) + 1j),
    "nested": lambda p: p.write_bytes(header("(" * 4000)),
    "long_header": lambda p: p.write_bytes(b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + b" " * 100),
    "cut": lambda p: p.write_bytes(b"\x93NUMPY\x01"),
    "four_axes": lambda p: np.save(p, np.zeros((2, 2, 2, 2))),
    "scalar": lambda p: np.save(p, np.float64(1)),
    "minus": lambda p: p.write_bytes(header("{'descr': '<f8', 'fortran_order': False, 'shape': (-5, -4), }\n")
                                     + b"0" * 160),
}


@pytest.mark.parametrize("build", HOSTILE)
def test_a_hostile_array_is_refused(tmp_path, build):
    (tmp_path / "a.npy").touch()
    HOSTILE[build](tmp_path / "a.npy")
    with pytest.raises(fp.LandscapeFormatError) as caught:
        fp.read_landscape(tmp_path / "a.npy", x=(0, 1), y=(0, 1))
    assert caught.value.reason and len(str(caught.value)) < 500


def test_hostile_archives_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    body = header("{'descr': '<f8', 'fortran_order': False, 'shape': (2000, 2000), }\n")

    def refused(words):
        with pytest.raises(fp.LandscapeFormatError, match=words):
            fp.read_landscape(path, x=(0, 1), y=(0, 1))

    with (zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z,                 # 1.6 GB of zeros in 1.6 MB
          z.open("loss.npy", "w", force_zip64=True) as stream):
        for _ in range(100):
            stream.write(bytes(2**24))
    refused("would unpack to")
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("data.pkl", pickle.dumps([1]))
    refused("pickle")
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("../../etc/passwd", "root")
    refused("something else than arrays")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as z:
        z.writestr("loss.npy", body)
    refused("does not write")
    with zipfile.ZipFile(path, "w") as z:
        for k in range(300):
            z.writestr(f"{k}.npy", body)
    refused("300 members")
    with zipfile.ZipFile(path, "w") as z:
        pass
    refused("no array")
    np.savez(path, loss=np.array([[1], [1, 2]], dtype=object))
    refused("Python objects")
