"""What a validation returns: the claim, the measured table, the rule that was applied and the outcome."""
from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, field

import numpy as np

OUTCOMES = ("holds", "holds in the model", "conditional", "false here", "not supported", "open",
            "not measured", "fails")


@dataclass(frozen=True)
class Table:
    """Columns and rows of a measurement.

    Attributes
    ----------
    columns : tuple of str
        Headers, with the units where there are any.
    rows : tuple of tuples
        One entry a column: numbers, texts or None (printed as "-").
    """
    columns: tuple
    rows: tuple

    def __post_init__(self):
        object.__setattr__(self, "columns", tuple(str(c) for c in self.columns))
        object.__setattr__(self, "rows", tuple(tuple(plain(v) for v in row) for row in self.rows))
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} entries in a table of {len(self.columns)} columns: "
                                 f"{row}")

    @classmethod
    def of(cls, rows, columns=None):
        """Table of a list of dictionaries; `columns` picks and orders the keys (a dict maps key to
        header)."""
        rows = list(rows)
        if columns is None:
            columns = list(dict.fromkeys(key for row in rows for key in row))
        headers = columns if isinstance(columns, dict) else {key: key for key in columns}
        return cls(tuple(headers.values()), tuple(tuple(row.get(key) for key in headers) for row in rows))

    def column(self, name):
        """All entries below one header."""
        return [row[self.columns.index(name)] for row in self.rows]

    def __str__(self):
        cells = [list(self.columns)] + [[shown(v) for v in row] for row in self.rows]
        widths = [max(len(line[k]) for line in cells) for k in range(len(self.columns))]
        right = [all(isinstance(row[k], numbers.Real) or row[k] is None for row in self.rows)
                 for k in range(len(self.columns))]
        lines = ["  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right)).rstrip()
                 for line in cells]
        return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


@dataclass(frozen=True, repr=False)
class Verdict:
    """Outcome of one validation, computed from its measurements by a rule.

    Attributes
    ----------
    claim, source, criterion : str
        What is claimed, who says so, and the rule that decides.
    table : Table
        What was measured.
    outcome : str
        One of `OUTCOMES`; only "fails" counts as a failure. A claim of others that the measurement
        contradicts is "false here" (or "not supported" where it is only not borne out): then the evidence is
        the result, and nothing of ours has failed.
    reason : str
        One sentence: which number decided, or under which condition the claim holds.
    numbers : dict
        Named figures for other programs and for the picture; arrays become nested lists.
    """
    claim: str
    source: str
    criterion: str
    table: Table
    outcome: str
    reason: str = ""
    numbers: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.outcome not in OUTCOMES:
            raise ValueError(f"outcome {self.outcome!r} is unknown; known are {', '.join(OUTCOMES)}.")
        object.__setattr__(self, "numbers", plain(self.numbers))

    @property
    def failed(self):
        """Whether the claim did not survive."""
        return self.outcome == "fails"

    def __str__(self):
        verdict = f"Verdict: {self.outcome.upper()}" + (f" - {self.reason}" if self.reason else "")
        return "\n".join([f"Claim: {self.claim}", f"Source: {self.source}", f"Criterion: {self.criterion}",
                          "", str(self.table), "", verdict])

    __repr__ = __str__

    def to_dict(self):
        """Plain dictionary for JSON; a number that is not finite becomes None."""
        return finite({"claim": self.claim, "source": self.source, "criterion": self.criterion,
                       "outcome": self.outcome, "reason": self.reason, "columns": list(self.table.columns),
                       "rows": [list(r) for r in self.table.rows], "numbers": self.numbers})


def ruled(module, table, misses, reason="", numbers=None):
    """Verdict of the common rule: it holds when the list of `misses` (sentences) is empty.

    `module` is the name space (``globals()``) of the validation, for its CLAIM, SOURCE and CRITERION. """
    misses = list(misses)
    if misses:
        more = f" (and {len(misses) - 1} more)" if len(misses) > 1 else ""
        reason = f"{misses[0]}{more}"
    return Verdict(module["CLAIM"], module["SOURCE"], module["CRITERION"], table,
                   "fails" if misses else "holds", reason, numbers or {})


def slope(x, y):
    """Slope of the straight line through log y against log x: the measured order of a power law."""
    return float(np.polyfit(np.log(np.asarray(x, float)), np.log(np.asarray(y, float)), 1)[0])


def shown(value):
    """Text of one entry of a table."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1e4 else f"{value:.3e}"
    return str(value)


def plain(value):
    """NumPy scalars and arrays as Python numbers and lists, inside dictionaries and sequences as well."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, float):
        return float(value)             # an Estimate is a float that prints itself
    return value


def finite(value):
    """`value` with None in place of infinities and NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
