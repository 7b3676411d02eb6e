"""Texts of landscape files: scanned in one pass, shown and never followed."""
import json
import time

import pytest

from fpkit.landscapes.files.hdf5_layouts import deepest_bracket, readable_json
from fpkit.landscapes.report.page import _link


@pytest.mark.parametrize("text, depth", [
    ("{}", 1), ('{"a": [1, [2]]}', 3), ('{"a": "[[[["}', 1), (r'{"a\\": "\"[[\\"}', 1), ('"[', 0),
    ("[[]][", 2), (r'"\\"[', 1), ("", 0)])
def test_brackets_in_strings_do_not_count(text, depth):
    assert deepest_bracket(text) == depth


def test_a_text_of_open_strings_is_scanned_in_one_pass():
    """A pattern that looked for the end of each string took 11 s for this, one pass takes 0.02 s."""
    for text in ('"\\' * 30_000, '"' * 60_001, "\\" * 65_000, '"\\\n' * 20_000):
        start = time.process_time()
        assert readable_json(text) is None
        assert time.process_time() - start < 5


def test_what_json_says_is_read_and_bombs_are_not():
    assert readable_json(json.dumps({"a": [1, {"b": "[]" * 50}]})) == {"a": [1, {"b": "[]" * 50}]}
    assert readable_json("[" * 5000 + "]" * 5000) is None


@pytest.mark.parametrize("page, link", [
    ("a/index.html", "a/index.html"),
    ("javascript:alert(1)/index.html", "javascript%3Aalert%281%29/index.html"),
    ("JaVaScRiPt:x", "JaVaScRiPt%3Ax"), ("data:text/html,x", "data%3Atext/html%2Cx"),
    ("//evil.example/x", "/evil.example/x"), ("/home/x.html", "/home/x.html"),
    ('a" onclick="b', "a%22%20onclick%3D%22b"),
    ("\u00e9 1/index.html", "%C3%A9%201/index.html"), ("\\\\evil", "%5C%5Cevil")])
def test_links_lead_to_files_beside_the_page_and_to_nothing_else(page, link):
    assert _link(page) == link


def test_a_file_named_like_a_script_is_a_dead_link_in_a_comparison(tmp_path):
    import numpy as np

    import fpkit as fp
    from fpkit import cli
    from fpkit.landscapes.files.writing import write_landscape
    x = np.linspace(-1, 1, 9)
    for name in ("javascript:alert(1).h5", "b.h5"):
        write_landscape(tmp_path / name, x, x, {"train_loss": (x[:, None]**2 - 0.4)**2 + x**2 + 0.1 * x})
    assert fp.read_landscape(tmp_path / "b.h5").ndim == 2
    assert cli.main(["analyse", str(tmp_path / "javascript:alert(1).h5"), str(tmp_path / "b.h5"), "-o",
                     str(tmp_path / "out"), "--paths", "20"]) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert 'javascript%3Aalert%281%29/index.html"' in page and 'href="javascript:' not in page


@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_that_look_like_formulas_are_drawn_as_they_are(tmp_path):
    import numpy as np

    from fpkit import cli
    from fpkit.landscapes.files.writing import write_landscape
    x, names = np.linspace(-1, 1, 9), ("a$\\frac$ {{ 7*7 }}.h5", "_b$_{.h5")
    for name in names:
        write_landscape(tmp_path / name, x, x, {"train_loss": (x[:, None]**2 - 0.4)**2 + x**2 + 0.1 * x})
    assert cli.main(["analyse", *(str(tmp_path / n) for n in names), "-o", str(tmp_path / "out"), "--paths",
                     "20"]) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "a$\\frac$ {{ 7*7 }}" in page and "_b$_{" in page
