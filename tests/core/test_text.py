"""Foreign text is shown and never obeyed."""
import sys

import h5py
import numpy as np
import pytest

import fpkit as fp
from fpkit import cli
from fpkit.core.text import PrintableStream, cleaned, printable

EVIL = "a\x1b]0;owned\x07b\x1b[2J\rc\x9b31md\u202ee"


def is_tame(text):
    return not any(ord(c) < 32 and c not in "\n\t" or 127 <= ord(c) < 160 or c == "\u202e" for c in text)


def test_every_control_character_becomes_its_code():
    for k in [*range(32), *range(127, 160), 0x2028, 0x202E, 0x2066, 0xD800]:
        assert printable(chr(k)).isascii() and printable(chr(k)).isprintable()
    assert printable("é ß 中 \\ '") == "é ß 中 \\ '" and printable("a\nb", "\n") == "a\nb"
    assert cleaned({EVIL: [EVIL, 3, {"x": (EVIL,)}]}).keys() == {printable(EVIL)}


def test_a_stream_for_people_shows_codes(capsys):
    print(EVIL, file=PrintableStream(sys.stdout))
    out = capsys.readouterr().out
    assert is_tame(out) and "\\x1b]0;owned" in out


@pytest.fixture
def evil_file(tmp_path):
    """A sound landscape with evil names, attributes, file name and remarks."""
    path = tmp_path / f"net{EVIL.replace('/', '')}.h5"
    x = np.linspace(-1, 1, 11)
    with h5py.File(path, "w") as f:
        f["xcoordinates"], f["ycoordinates"] = x, x
        f["train_loss"] = (x[:, None]**2 - 0.3)**2 + x**2 + 0.01 * x
        f.attrs["who" + EVIL] = EVIL
        f.attrs["dir_file"] = np.bytes_(EVIL.encode())
        f[f"more{EVIL}"] = x
    return path


@pytest.mark.parametrize("command", ["info", "analyse"])
def test_commands_show_foreign_text_and_never_obey_it(command, evil_file, tmp_path, capsys):
    options = ["--paths", "20", "-o", str(tmp_path / "report")] if command == "analyse" else []
    assert cli.main([command, str(evil_file), *options]) == 0
    said = capsys.readouterr()
    assert said.out and is_tame(said.out)
    assert is_tame("".join(said.err.split("\r")))                    # a progress bar goes back by \r
    for page in (tmp_path / "report").glob("*.html"):
        assert is_tame(page.read_text())


def test_error_messages_show_foreign_text(tmp_path, capsys):
    path = tmp_path / f"bad{EVIL.replace('/', '')}.h5"
    path.write_text("none")
    assert cli.main(["info", str(path)]) == 2
    assert is_tame(capsys.readouterr().err)
    with pytest.raises(fp.LandscapeFormatError) as caught:
        fp.read_landscape(path)
    assert is_tame(str(caught.value))


def test_a_landscape_in_a_notebook_is_tame_too(evil_file):
    land = fp.read_landscape(evil_file)
    assert is_tame(repr(land)) and is_tame(land.name) and is_tame(str(land.meta.get("attributes")))
    assert is_tame(repr(fp.analyse(land, n_paths=20)))
