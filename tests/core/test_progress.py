"""Bars appear on terminals, in notebooks and where asked for; nowhere else."""
import io
import sys
from types import SimpleNamespace

import pytest

from fpkit.core import progress


def test_a_pipe_shows_no_bar_and_a_request_does(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.bar(3, "work") as shown:
        assert shown is None
    with progress.bar(3, "work", True) as shown:
        shown.update()
    assert "work" in sys.stderr.getvalue()


@pytest.mark.parametrize("shell, is_shown", [("ZMQInteractiveShell", True),
                                             ("TerminalInteractiveShell", False)])
def test_a_notebook_shows_bars_without_being_a_terminal(monkeypatch, shell, is_shown):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    ipython = SimpleNamespace(get_ipython=lambda: type(shell, (), {})())
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert progress.is_shown() is is_shown
    assert progress.is_shown(False) is False
