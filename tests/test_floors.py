"""Imports point down only, read from the sources."""
import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "fpkit"
BELOW = {
    "core": set(),
    "plotting": {"core"},                     # draws results by what they carry and knows no solver
    "potentials": {"core"},
    "fokker_planck": {"core", "potentials"},
    "langevin": {"core", "potentials"},
    "rates": {"core", "potentials", "fokker_planck", "langevin"},
    "landscapes": {"core", "potentials", "fokker_planck", "langevin", "rates", "plotting"},
    "learning": {"core", "potentials", "fokker_planck", "langevin", "rates", "plotting"},
}
BELOW["commands"] = set(BELOW)                # the command line stands on everything


def imported(text, home):
    """(dotted name in parts, line) of every import in the text of a module of the folder `home`, also inside
    functions."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split("."), node.lineno
        elif isinstance(node, ast.ImportFrom):
            parts = (node.module or "").split(".") if node.module else []
            if node.level:
                base = ["fpkit", *home][: len(home) + 2 - node.level]
                for name in ([parts] if parts else [[alias.name] for alias in node.names]):
                    yield [*base, *name], node.lineno
            else:
                yield parts, node.lineno


SOURCES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down_only(path):
    floor = path.relative_to(PACKAGE).parts[0]
    for parts, line in imported(path.read_text(), path.relative_to(PACKAGE).parts[:-1]):
        if parts[0] == "fpkit" and len(parts) > 1 and (PACKAGE / parts[1]).is_dir():
            assert parts[1] == floor or parts[1] in BELOW[floor], f"{path.name}:{line} imports {'.'.join(parts)} from above or beside"
        if parts[0] == "matplotlib":
            assert floor == "plotting", f"{path.name}:{line}: matplotlib belongs to fpkit/plotting alone"


def test_the_two_sides_do_not_know_each_other():
    assert "langevin" not in BELOW["fokker_planck"] and "fokker_planck" not in BELOW["langevin"]


def test_relative_and_absolute_imports_are_resolved():
    assert next(imported("from ..potentials.potential import Potential",
                         ["core"]))[0] == ["fpkit", "potentials", "potential"]
    assert next(imported("from . import checks", ["core"]))[0] == ["fpkit", "core", "checks"]
    assert next(imported("import fpkit.langevin.simulate", ["core"]))[0] == ["fpkit", "langevin", "simulate"]
