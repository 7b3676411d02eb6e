"""The command `fpkit`. Nothing heavy is imported before a command runs; errors are one sentence and exit code
2."""
from __future__ import annotations

import argparse
import os
import sys
import warnings

from .commands import diffusion, export, landscapes, learn, rates
from .core.files import demo_file

__all__ = ["main", "demo_file"]


def main(argv=None):
    """Run one command. Returns the exit code: 0 done, 1 a validation failed, 2 refused with a sentence, 130
    interrupted."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == ["validate"]:                      # its own options, in validation/__main__.py
        return _guarded(lambda _: _validate(argv[1:]), argparse.Namespace(traceback="--traceback" in argv))
    if argv[:1] == ["learn"]:                         # before NumPy is imported; see `fpkit.learning.sweep`
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    arguments = _parser().parse_args(argv)
    return _guarded(arguments.run, arguments)


def _guarded(run, arguments):
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: print(f"fpkit: warning: {message}",
                                                                   file=sys.stderr)
            return run(arguments) or 0
    except KeyboardInterrupt:
        print("fpkit: interrupted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, ArithmeticError, MemoryError) as error:
        if arguments.traceback:
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"fpkit: {text}", file=sys.stderr)
        return 2


def _parser():
    parser = argparse.ArgumentParser(prog="fpkit", description="Diffusion in a potential: densities, paths "
                                     "and loss landscapes.")
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    parser.set_defaults(run=_version_or_help, parser=parser, traceback=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for family in (landscapes, export, diffusion, rates, learn):
        family.add(commands)
    commands.add_parser("validate", help="run the validations: claims, tables, verdicts", add_help=False)
    return parser


def _version_or_help(arguments):
    from . import __version__

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
