"""Claims of this project, each measured and judged by a rule: ``python -m validation``.

Every module here that is none of the `TOOLS` and does not begin with an underscore is one claim and has

- ``CLAIM``, ``SOURCE``, ``CRITERION``: three strings;
- ``measure(quick=False)``: runs the experiment, returns plain data (a list of dictionaries, or a dictionary);
- ``judge(measurements)``: a pure rule, returns a `verdict.Verdict`; fed with contrary numbers it flips;
- ``run(quick=False)``: ``judge(measure(quick))``;
- ``figure(verdict)``, optional: a matplotlib figure drawn from the verdict alone (imports matplotlib inside);
- ``contrary(measurements)``: the same data made false (what would refute the claim): a test sees the verdict
  flip;
- ``SLOW = True``, optional: has no quick form of a few seconds, so the tests leave it out.
"""
import importlib
import pkgutil

TOOLS = ("verdict", "public_calls")


def names():
    """Names of all validations, in alphabetical order."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")
                  and m.name not in TOOLS)


def load(name):
    """Module of one validation."""
    return importlib.import_module("." + name, __name__)
