"""The pages of the documentation run: each example and each chapter, and no example is long."""
import json
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("plot_*.py"))
CHAPTERS = sorted((DOCS / "chapters").glob("plot_*.py"))
# the building of the pages (.ci/docs) runs them all; these are quick enough for every day
QUICK = {f"plot_{k:02d}" for k in (1, 2, 3, 4, 6, 7, 8, 10, 12, 14, 15, 17)}


def test_there_are_many_short_examples():
    assert len(EXAMPLES) >= 15 and all(len(p.read_text().splitlines()) < 40 for p in EXAMPLES)


def test_the_page_of_the_api_names_everything_public():
    import fpkit as fp

    page = runpy.run_path(str(DOCS / "make_api.py"))["api_page"]()
    assert [n for n in fp.__all__ if n != "catalogue" and f"   fpkit.{n}\n" not in page + "\n"] == []


def test_the_notebook_is_that_of_the_first_page_and_its_cells_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    made = runpy.run_path(str(DOCS / "make_notebook.py"))["notebook"]()
    assert (DOCS / "ten_minutes.ipynb").read_text(encoding="utf-8") == made, "run docs/make_notebook.py"
    cells, space = json.loads(made)["cells"], {}
    for cell in cells:
        if cell["cell_type"] == "code":
            *lines, last = "".join(cell["source"]).splitlines()
            is_picture = last.startswith("fp.plot")
            exec("\n".join(lines if is_picture else [*lines, last]), space)
            assert not is_picture or eval(last, space)._repr_png_().startswith(b"\x89PNG")
    assert sum(c["cell_type"] == "markdown" for c in cells) >= 5


def is_quick(path):
    return path.stem[:7] in QUICK


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", [p if is_quick(p) else pytest.param(p, marks=pytest.mark.slow)
                                  for p in EXAMPLES],
                         ids=lambda p: p.stem)
def test_an_example_runs(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_runs(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path))
