"""The README runs as it stands."""
import re
import shlex
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(), re.S)
SHELL = [line.split("  #")[0].strip() for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()
         if line.strip()]


def test_the_first_two_shell_lines_install_and_run():
    assert SHELL[0] == "python -m pip install . && python -m fpkit demo -o report"
    assert SHELL[1] == 'python -m pip install ".[test]" && python -m pytest'


def test_python_blocks_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    space = {}
    for kind, text in BLOCKS:
        if kind == "python":
            exec(compile(text, str(README), "exec"), space)
    assert (tmp_path / "density.png").stat().st_size > 10_000
    assert (tmp_path / "report" / "index.html").exists()


@pytest.mark.parametrize("line", [s for s in SHELL[2:] if "validate" not in s])
def test_shell_lines_run(line, tmp_path, monkeypatch, capsys):
    from fpkit.cli import demo_file, main

    monkeypatch.chdir(tmp_path)
    argv = [str(demo_file()) if a == "surface.h5" else a for a in shlex.split(line)]
    assert argv[0] == "fpkit" and main(argv[1:]) == 0
    assert capsys.readouterr().out.strip()
