"""Importing the package and asking for help must stay cheap."""
import subprocess
import sys

import pytest

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
    import fpkit

    with pytest.raises(AttributeError, match="no name 'nonsense'"):
        _ = fpkit.nonsense


@pytest.mark.parametrize("name", __import__("fpkit").__all__)
def test_every_public_name_exists(name):
    import fpkit

    assert getattr(fpkit, name) is not None and getattr(fpkit, name).__doc__
