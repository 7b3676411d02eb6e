"""Results as people's tools want them: a table in a notebook, a data frame, labelled arrays, a CSV file."""
from __future__ import annotations

import csv
import dataclasses
import html
import importlib
import io
import math
import os
from collections import Counter
from typing import Any

import numpy as np

from ..files import replacing
from ..text import printable
from .pictures import colour_map, curves

ROWS_SHOWN, COLUMNS_SHOWN = 16, 14           # of the table in a notebook
MOST_PARTS = 12                              # columns that one two-dimensional array makes
CELL = 60                                    # characters


class Tabular:
    """What every result can do beside its own methods; a mixin.

    A class says what it is in three hooks, each of which has a default made from the fields of a dataclass:
    `_columns` (the table), `_labelled` (arrays with named axes), `_picture` (HTML of a small picture, or
    nothing).
    """

    def _columns(self) -> dict[str, Any]:
        """Name -> values, one a row; all of one length."""
        return _default_columns(self)

    def _labelled(self) -> tuple[dict[str, tuple], dict[str, tuple]]:
        """Arrays and coordinates, each name -> (names of the axes, values)."""
        return {name: (("row",), values) for name, values in self._columns().items()}, {}

    def _picture(self) -> str:
        """HTML of a small picture; empty for none."""
        return ""

    def to_dataframe(self) -> Any:
        """The result as a table: a pandas.DataFrame, with what made it in ``.attrs``.

        Raises
        ------
        ImportError
            Where pandas is not installed; `to_csv` needs nothing.
        """
        pandas = _optional("pandas", "to_dataframe", "to_csv() needs nothing")
        frame = pandas.DataFrame(self._columns())
        frame.attrs = {"kind": type(self).__name__, **_facts(self)}
        return frame

    def to_xarray(self) -> Any:
        """The result as labelled arrays: an xarray.Dataset, with what made it in ``.attrs``. Fields have the
        axes x, y, z of their grid, evolutions a time too.

        Raises
        ------
        ImportError
            Where xarray is not installed.
        """
        xarray = _optional("xarray", "to_xarray", "to_csv() needs nothing")
        arrays, coordinates = self._labelled()
        return xarray.Dataset(arrays, coordinates, {"kind": type(self).__name__, **_facts(self)})

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """The table as comma-separated text, numbers with all their digits.

        Parameters
        ----------
        path : str or path, optional
            File to write, whole or not at all; without it the text is returned.

        Examples
        --------
        >>> print(fp.Estimate(2.0, 0.1, "by hand").to_csv(), end="")
        value,error,log10,method,status
        2.0,0.1,0.3010299956639812,by hand,ok
        """
        columns = {name: list(values) for name, values in self._columns().items()}
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_plain(v) for v in row] for row in zip(*columns.values()))
        if path is None:
            return lines.getvalue()
        with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
            file.write(lines.getvalue())
        return None

    def _repr_html_(self) -> str:
        """What a notebook shows: the first line of the text, a table, a small picture."""
        title = html.escape(printable(repr(self).strip().split("\n")[0]))
        try:
            table, picture = _html_table(self._columns()), self._picture()
        except ValueError:                   # a result that was stopped early has no table
            table, picture = "", ""
        picture = f"<div>{picture}</div>" if picture else ""
        return f"<div><p>{title}</p>{picture}{table}</div>"


def grid_coordinates(grid: Any) -> dict[str, tuple]:
    """Coordinates x, y, z of the cells of a Grid, each name -> (axis, centres)."""
    return {name: ((name,), centres) for name, centres in zip("xyz", grid.centres)}


def cell_columns(grid: Any, **values: np.ndarray) -> dict[str, np.ndarray]:
    """Columns x, y, z and one for each array of cell values, a row for each cell of the domain."""
    inside = grid.inside
    points = grid.points[inside]
    columns = {name: points[:, k] for k, name in enumerate("xyz"[:grid.ndim])}
    return columns | {name: np.asarray(v)[inside] for name, v in values.items()}


def coordinate_names(ndim: int) -> list[str]:
    """x, y, z, or x0, x1, ... above three coordinates."""
    return list("xyz"[:ndim]) if ndim <= 3 else [f"x{k}" for k in range(ndim)]


def estimate_columns(rows: Any) -> dict[str, list]:
    """Columns quantity, value, error and status of rows (name, Estimate)."""
    rows = list(rows)
    return {"quantity": [name for name, _ in rows], "value": [e.value for _, e in rows],
            "error": [e.error for _, e in rows], "status": [e.status for _, e in rows]}


def cell_picture(grid: Any, *values: np.ndarray) -> str:
    """Picture of cell values: curves on a line, a map of the first in the plane, of its middle slice in
    space."""
    if grid.ndim == 1:
        return curves([(grid.centres[0], v) for v in values])
    first = np.where(grid.inside, np.asarray(values[0], float), np.nan)
    return colour_map(first if grid.ndim == 2 else first[..., grid.shape[2] // 2])


def _optional(name, method, instead):
    """A library that is not a requirement, or a sentence."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(f"{method}() needs {name}, which is not installed: `pip install {name}`; "
                          f"{instead}.") from None


def _facts(result):
    """What made the result, as far as it says: plain numbers and texts, the rest by its text."""
    facts = getattr(result, "inputs", None) or {}
    plain = (bool, int, float, str)
    return {str(k): v if isinstance(v, plain) else printable(repr(v))[:200] for k, v in facts.items()}


def _default_columns(result):
    """Arrays of the commonest length as columns; where there are none, a row for each number."""
    fields = [(f.name, getattr(result, f.name)) for f in dataclasses.fields(result) if f.name != "inputs"]
    arrays = [(name, np.asarray(a)) for name, a in fields
              if isinstance(a, (np.ndarray, list, tuple)) and len(np.shape(a)) in (1, 2) and len(a)]
    arrays = [(name, a) for name, a in arrays if a.dtype.kind in "biufU"]
    lengths = Counter(len(a) for _, a in arrays if a.ndim == 1)
    if lengths:
        n, columns = lengths.most_common(1)[0][0], {}
        for name, a in arrays:
            if a.shape == (n,):
                columns[name] = a
            elif a.ndim == 2 and len(a) == n and a.shape[1] <= MOST_PARTS:
                columns |= {f"{name}_{k}": a[:, k] for k in range(a.shape[1])}
        return columns
    rows = [(name, a) for name, a in fields if isinstance(a, (bool, int, float, str, np.number))]
    return {"quantity": [name for name, _ in rows],
            "value": [float(a) if isinstance(a, float) else a for _, a in rows],
            "error": [getattr(a, "error", math.nan) for _, a in rows]}


def _plain(value):
    """What a CSV cell holds: full digits, no NumPy types, control characters shown."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, float):
        return repr(float(value))
    return printable(str(value))


def _html_table(columns):
    columns = dict(list(columns.items())[:COLUMNS_SHOWN])
    n = len(next(iter(columns.values()), ()))
    if not n:
        return ""
    half = ROWS_SHOWN // 2
    shown = list(range(n)) if n <= ROWS_SHOWN else [*range(half), None, *range(n - half, n)]
    head = "".join(f"<th>{html.escape(printable(str(name)))}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{'...' if k is None else _cell(values[k])}</td>"
                                    for values in columns.values()) + "</tr>" for k in shown)
    foot = f"<p>{n} rows</p>" if n > ROWS_SHOWN else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}"


def _cell(value):
    """One number or text of a table for people."""
    if isinstance(value, (float, np.floating)):
        return "" if math.isnan(value) else f"{float(value):.6g}"
    text = printable(str(value))
    return html.escape(text if len(text) <= CELL else text[: CELL - 3] + "...")
