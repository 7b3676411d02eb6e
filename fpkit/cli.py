"""The command `fpkit`. Nothing heavy is imported before a command runs; errors are one sentence and exit code
2."""
from __future__ import annotations

import argparse
import contextlib
import gc
import os
import re
import sys
import warnings
from collections.abc import Sequence

from . import __version__
from .commands import completion, diffusion, export, landscapes, learn, rates
from .commands.common import executor_at
from .core.calls import did_you_mean
from .core.files import demo_file
from .core.text import PrintableStream, printable

__all__ = ["main", "demo_file"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 done, 1 a validation failed, 2 refused with a sentence, 130
    interrupted."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == ["validate"]:                      # its own options, in validation/__main__.py
        return _guarded(lambda _: _validate(argv[1:]), argparse.Namespace(traceback="--traceback" in argv))
    if argv[:1] == ["learn"]:                         # before NumPy is imported; see `fpkit.learning.sweep`
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with _few_collections():
        arguments = _parser().parse_args(argv)
        return _guarded(arguments.run, arguments)


@contextlib.contextmanager
def _few_collections():
    """Look for cycles of garbage a hundred times less often: importing and drawing make a million objects and
    next to no cycles, and the looking took a twentieth of `fpkit analyse`."""
    usual = gc.get_threshold()
    gc.set_threshold(100 * usual[0], *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _guarded(run, arguments):
    """Run a command: texts of foreign files are made printable, errors become one sentence."""
    say = lambda text: print(f"fpkit: {printable(text)}", file=sys.stderr)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(PrintableStream(sys.stdout)):
            warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
            with executor_at(getattr(arguments, "scheduler", None)) as arguments.executor:
                return run(arguments) or 0
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except (ValueError, TypeError, OSError, ArithmeticError, MemoryError) as error:
        if getattr(arguments, "traceback", False):
            raise
        say(" ".join(str(error).split()) or type(error).__name__)
        return 2


class _Parser(argparse.ArgumentParser):
    """Misspelt commands, choices and options are answered with the nearest known one."""

    def error(self, message):
        choice = re.search("invalid choice: '([^']*)'", message)
        option = re.search(r"unrecognized arguments: (--[\w-]+)", message)
        if choice:
            known = [str(c) for a in self._actions for c in a.choices or ()]
            message += did_you_mean(choice[1], known)
        elif option:
            parsers = [self, *completion.subcommands(self).values()]
            message += did_you_mean(option[1], [o for p in parsers for a in p._actions
                                                for o in a.option_strings])
        super().error(message)


def _parser():
    parser = _Parser(prog="fpkit", description="Diffusion in a potential: densities, paths and loss "
                     "landscapes.")
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    parser.set_defaults(run=_version_or_help, parser=parser, traceback=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for family in (landscapes, export, diffusion, rates, learn, completion):
        family.add(commands)
    commands.add_parser("validate", help="run the validations: claims, tables, verdicts", add_help=False)
    return parser


def _version_or_help(arguments):
    print(f"fpkit {__version__}") if arguments.version else arguments.parser.print_help()


def _validate(argv):
    try:
        from .validation.__main__ import main as validate  # an installation
    except ModuleNotFoundError as error:
        if error.name not in ("fpkit.validation", "fpkit.validation.__main__"):
            raise
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        if not os.path.isdir(os.path.join(root, "validation")):
            raise FileNotFoundError("the validations are missing from this installation; install fpkit "
                                    "again.") from None
        sys.path.insert(0, root)                                   # a checkout
        from validation.__main__ import main as validate
    return validate([a for a in argv if a != "--traceback"])
