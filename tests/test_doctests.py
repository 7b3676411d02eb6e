"""The examples of all docstrings run."""
import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import fpkit

MODULES = sorted(m.name for m in pkgutil.walk_packages(fpkit.__path__, "fpkit.")
                 if not m.name.startswith(("fpkit.validation", "fpkit.data", "fpkit.__main__")))


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, extraglobs={"fp": fpkit, "np": np},
                                optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert failed == 0
