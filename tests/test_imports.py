"""Importing the package and asking for help must stay cheap."""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fpkit

HEAVY = ("numba", "scipy", "matplotlib", "h5py", "jinja2", "tqdm")


def loaded_by(code):
    text = f"import sys\n{code}\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def test_importing_fpkit_loads_nothing_heavy():
    assert loaded_by("import fpkit; dir(fpkit); fpkit.Grid; fpkit.Estimate") == "[]"


def test_help_loads_nothing_heavy():
    code = "import fpkit.cli\ntry:\n    fpkit.cli.main(['--help'])\nexcept SystemExit:\n    pass"
    assert loaded_by(code) == "[]"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no name 'nonsense'"):
        _ = fpkit.nonsense


@pytest.mark.parametrize("name", __import__("fpkit").__all__)
def test_every_public_name_exists(name):
    assert getattr(fpkit, name) is not None and getattr(fpkit, name).__doc__


@pytest.mark.parametrize("folder", ["fpkit", "fpkit/potentials/catalogue"])
def test_the_stub_lists_the_names_of_the_package(folder):
    """`python tests/test_imports.py` writes the stubs anew."""
    assert stub_text(folder) == (ROOT / folder / "__init__.pyi").read_text()


ROOT = Path(__file__).resolve().parent.parent


def stub_of(homes: dict[str, str], modules: tuple[str, ...] = (), more: str = "") -> str:
    """Text of the stub file (``__init__.pyi``) in which type checkers find the names of `lazy_names`."""
    lines = []
    for module, names in homes.items():
        folder, _, last = module.rpartition(".")
        for name in names.split():
            home = f".{folder}" if name in modules and name == last else f".{module}"
            lines.append(f"from {home} import {name} as {name}")
    return "\n".join([*sorted(lines), "", more]).rstrip() + "\n"


def stub_text(folder):
    """What the call of `lazy_names` in a package says, as a stub."""
    tree = ast.parse((ROOT / folder / "__init__.py").read_text())
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    call = next(n for n in calls if getattr(n.func, "id", "") == "lazy_names")
    homes = fpkit.HOMES if getattr(call.args[1], "id", "") == "HOMES" else ast.literal_eval(call.args[1])
    modules = tuple(m for k in call.keywords for m in ast.literal_eval(k.value))
    more = "__version__: str\nHOMES: dict[str, str]\n" if folder == "fpkit" else ""
    return stub_of(homes, modules, more + "__all__: list[str]")


if __name__ == "__main__":
    for place in ("fpkit", "fpkit/potentials/catalogue"):
        (ROOT / place / "__init__.pyi").write_text(stub_text(place))
