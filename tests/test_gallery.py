"""The pages of the documentation run: each example and each chapter, and no example is long."""
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("plot_*.py"))
CHAPTERS = sorted((DOCS / "chapters").glob("plot_*.py"))
SECONDS_LONG = {"plot_05", "plot_07", "plot_08", "plot_09", "plot_11", "plot_13", "plot_16"}


def test_there_are_many_short_examples():
    assert len(EXAMPLES) >= 15 and all(len(p.read_text().splitlines()) < 40 for p in EXAMPLES)


def test_the_page_of_the_api_names_everything_public():
    import fpkit as fp

    page = runpy.run_path(str(DOCS / "make_api.py"))["api_page"]()
    assert [n for n in fp.__all__ if n != "catalogue" and f"   fpkit.{n}\n" not in page + "\n"] == []


def is_quick(path):
    return path.stem[:7] not in SECONDS_LONG


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
