"""Names of a package that are loaded when they are first used, so that opening a folder costs nothing."""
from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from .calls import did_you_mean


def lazy_names(package: str, homes: dict[str, str],
               modules: tuple[str, ...] = ()) -> tuple[Callable[[str], Any], Callable[[], list[str]],
                                                       list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package whose names are loaded late.

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    homes : dict
        From a module, relative to the package, to the names that it gives, separated by spaces.
    modules : tuple of str
        Those of the names that stand for the module itself.

    Examples
    --------
    >>> from fpkit.core.lazy import lazy_names
    >>> get, names, public = lazy_names("fpkit.core", {"grid": "Grid"})
    >>> public, get("Grid") is fp.Grid
    (['Grid'], True)
    """
    home_of = {name: module for module, names in homes.items() for name in names.split()}
    public = sorted(home_of)

    def __getattr__(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"{package} has no name {name!r}.{did_you_mean(name, home_of)}")
        module = importlib.import_module("." + home_of[name], package)
        value = module if name in modules else getattr(module, name)
        vars(importlib.import_module(package))[name] = value
        return value

    return __getattr__, lambda: sorted({*vars(importlib.import_module(package)), *public}), public
