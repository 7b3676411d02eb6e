"""Progress bars: on standard error of a terminal, as a widget in a notebook, elsewhere where asked for."""
from __future__ import annotations

import contextlib
import sys
from typing import Any


def is_shown(progress: bool | None = None) -> bool:
    """Whether a long call shows its progress: as asked for, or (None) on a terminal and in a notebook."""
    if progress is not None:
        return bool(progress)
    return _is_notebook() or sys.stderr is not None and sys.stderr.isatty()


def bar(total: float, label: str, progress: bool | None = None, unit: str = "step", **options: Any) -> Any:
    """A tqdm bar as a context that yields it, or one that yields None where none is shown.

    Parameters
    ----------
    total : float
    label, unit : str
    progress : bool, optional
        As the caller was asked; None for terminals and notebooks only.
    **options
        Of tqdm.
    """
    if not is_shown(progress):
        return contextlib.nullcontext()
    from tqdm.auto import tqdm  # the widget in a notebook that has widgets, else the text

    return tqdm(total=total, desc=label, unit=unit, file=sys.stderr, leave=False, **options)


def _is_notebook():
    """Whether the code runs in a cell of a notebook; IPython is asked only where it is loaded."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"
