"""Rules that abstain: what a verdict on walkers needs before it concludes anything.

A rule is a pure function of plain rows, one a walker. It raises `Thin` with a sentence when the evidence is
too thin, and the decorator `abstains` makes of it the verdict "not measured": there are no fallback values.
"""
from __future__ import annotations

import math
import numbers
from functools import wraps

import numpy as np

from ._learning import judged
from .verdict import Table

MOST = 0.75                               # share of walkers that must be seen to pass where a median is used


class Thin(Exception):
    """Why nothing is concluded."""


def abstains(judge):
    """Decorator of a rule; see the top of this file."""
    @wraps(judge)
    def rule(found):
        try:
            return judge(found)
        except Thin as reason:
            rows = rows_in(found)
            keys = [k for k, v in rows[0].items() if v is None or isinstance(v, (str, numbers.Real))
                    ] if rows else []
            table = Table.of(rows[:8], keys) if keys and all(set(keys) <= set(r)
                                                             for r in rows[:8]) else Table(
                ("nothing was measured",), ())
            return judged(judge.__globals__, table, "not measured", f"{reason}: nothing is concluded",
                          found if isinstance(found, dict) else None)
    return rule


def rows_in(found):
    """The rows of a measurement."""
    return (found.get("rows") if isinstance(found, dict) else found) or []


def need(is_there, sentence):
    """Go on only when something is there."""
    if not is_there:
        raise Thin(sentence)


def known(value, what):
    """The value, when it is a finite number."""
    need(isinstance(value, numbers.Real) and math.isfinite(value), f"{what} is {value}")
    return float(value)


def passages_of(rows, *columns):
    """Rows of walkers (``t, seen, split`` and the columns) as Passages."""
    from fpkit.learning.walkers import Passages

    need(rows, "there are no measurements")
    for k, row in enumerate(rows):
        for name in ("t", *columns):
            known(row.get(name), f"{name} of measurement {k + 1} of {len(rows)}")
        need(row["t"] > 0 and isinstance(row.get("seen"), (bool, np.bool_)),
             f"measurement {k + 1} of {len(rows)} has no time or does not say whether it passed")
    of = lambda name: np.array([row[name] for row in rows])
    extra = [name for name in rows[0] if name not in ("t", "seen", "split") and name not in columns
             and all(name in row and row[name] is not None for row in rows)]
    return Passages(of("t").astype(float), of("seen").astype(bool), of("split"),
                    {name: of(name) for name in (*columns, *extra)})


def rows_of(passages, *columns):
    """Rows of walkers for a rule, from Passages."""
    return [{"t": float(passages.time[k]), "seen": bool(passages.seen[k]), "split": int(passages.cluster[k]),
             **{name: passages.columns[name][k].item() for name in columns}} for k in range(len(passages))]


def enough(passages, what, walkers=12, splits=4, share=MOST):
    """Refuse too few walkers, splits or events."""
    need(len(passages) >= walkers and len(np.unique(passages.cluster)) >= splits,
         f"{what}: {len(passages)} walkers on {len(np.unique(passages.cluster))} splits, {walkers} on "
         f"{splits} are needed")
    seen = passages.seen.mean()
    need(seen >= share, f"{what}: {100 * seen:.0f} % of the walkers passed, {100 * share:.0f} % are needed")


def summary(passages, *names):
    """One row for each setting: walkers, passed, median, longest watched, median time of memorising."""
    keys = sorted(set(zip(*(passages.columns[name].tolist() for name in names))))
    found = []
    for key in keys:
        some = passages.where(**dict(zip(names, key)))
        mem = some.columns["t_mem"] if "t_mem" in some.columns else np.array([np.nan])
        found.append(dict(zip(names, key)) | {
            "walkers": len(some), "passed": int(some.seen.sum()), "t_mem": float(np.median(mem)),
            "median": some.median(), "watched": float(some.time[~some.seen].max()) if (~some.seen).any()
            else None})
    return found


def aicc(passages, laws):
    """AICc of several laws: {name: (mean, starts)}; see `fit_law`."""
    from fpkit.learning.walkers import fit_law

    return {name: fit_law(mean, starts, passages.time, passages.seen).aicc
            for name, (mean, starts) in laws.items()}
