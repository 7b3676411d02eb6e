"""What setup.cfg installs is what the checkout holds."""
import configparser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg")


def test_every_package_is_installed():
    listed = set(CONFIG["options"]["packages"].split())
    found = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "fpkit").rglob("__init__.py")}
    assert listed == found | {"fpkit.validation", "fpkit.data"}


def test_files_that_are_no_modules_are_installed():
    listed = dict(line.split(" = ") for line in CONFIG["options.package_data"].items()
                  for line in [" = ".join(line)])
    for package, folder in (("fpkit", "fpkit"), ("fpkit.data", "data"),
                            ("fpkit.landscapes.report", "fpkit/landscapes/report"),
                            ("fpkit.validation", "validation")):
        patterns = listed[package].split(", ")
        for path in (ROOT / folder).iterdir():
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                assert any(path.match(pattern) for pattern in patterns), path
