"""Landscapes in text files of other programs: tables (CSV, blanks), PLUMED's free energies, GROMACS' .xpm,
JSON; and MATLAB's .mat. All end as named arrays or columns; nothing in them is executed."""
from __future__ import annotations

import json
import re

import numpy as np

from .checked_hdf5 import MAX_CELLS, LandscapeFormatError, short

MAX_TEXT_BYTES = 64 * 2**20
MAX_COLUMNS = 20_000
LOSS_LIKE = r"loss|free|energy|value|acc|error|^f$|^z$|^v$"           # names of columns
NO_LOSS = r"acc|std|stderr|sigma|var(iance)?$|_err|epoch|step|time|count|^n$"
FIELDS = re.compile(r"#!\s*FIELDS\s+(.*)")
SET = re.compile(r"#!\s*SET\s+(\S+)\s+(\S+)")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*([eEdD][-+]?\d+)?|\.\d+([eEdD][-+]?\d+)?|inf|nan)", re.IGNORECASE)
XPM_AXIS = re.compile(r"/\*\s*([xy])-axis:\s*(.*?)\*/")
XPM_COLOUR = re.compile(r'^"(.{1,2}?)\s+c\s+\S+\s*"\s*,?\s*/\*\s*"([^"]*)"')


def read_text(path: str) -> tuple[dict, dict]:
    """(arrays by name, facts) of a text file: `facts` holds format, and for the axes periodic and units where
    the file tells. A table of rows has its columns by name, or 'table' when nothing names them."""
    def fail(reason):
        raise LandscapeFormatError(path, None, reason)

    with open(path, "rb") as stream:
        raw = stream.read(MAX_TEXT_BYTES + 1)
    if len(raw) > MAX_TEXT_BYTES:
        fail(f"more than {MAX_TEXT_BYTES // 2**20} MiB of text are not read; save the arrays with "
             "numpy.savez")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        fail("this is neither an HDF5 file (no HDF5 signature), nor a NumPy file, nor a text of numbers")
    if "\0" in text[:4096]:
        fail("this is neither an HDF5 file (no HDF5 signature), nor a NumPy file, nor a text of numbers")
    start = text.lstrip()[:200]
    if start.startswith(("{", "[")):
        return _json(fail, text), {"format": "JSON"}
    if "/* XPM */" in text[:2000] or "static char *" in text[:4000]:
        return _xpm(fail, text)
    return _table(fail, text)


def _json(fail, text):
    try:
        found = json.loads(text, parse_constant=lambda name: float("nan"))
    except (ValueError, RecursionError) as error:
        fail(f"it begins as JSON and is none ({short(error)})")
    found = {"": found} if isinstance(found, list) else found
    arrays = {}
    for name, value in found.items():
        if isinstance(value, list):
            try:
                a = np.array([[np.nan if v is None else v for v in row] if isinstance(row, list) else np.nan
                              if row is None else row for row in value], float)
            except (TypeError, ValueError, OverflowError):
                continue                                 # texts, or rows of different lengths
            arrays[str(name)[:200]] = a
    if not arrays:
        fail("the JSON holds no array of numbers; expected {\"x\": [..], \"y\": [..], \"loss\": [[..], ..]}")
    return arrays


def _table(fail, text):
    """Rows of numbers with one separator, a heading or PLUMED's #! lines before them."""
    names, periodic, units, rows, facts = None, {}, None, [], {"format": "table"}
    cells = 0
    for line in text.splitlines():
        line = line.strip()
        if not line:
            continue
        if line.startswith("#!"):
            facts["format"] = "PLUMED"
            if m := FIELDS.match(line):
                names = m[1].split()
            elif m := SET.match(line):
                if m[1].startswith("periodic_"):
                    periodic[m[1][9:]] = m[2] == "true"
                elif m[1] == "units":
                    units = m[2]
            continue
        if line[0] in "#%@!":
            if not rows and names is None:
                said = _split(line.lstrip("#%@! "))
                names = said if len(said) > 1 and not any(map(_is_number, said)) else None
            continue
        values = _split(line)
        if not rows and not all(map(_is_number, values)):
            if names is None and not any(map(_is_number, filter(None, values))):
                names = values
                continue
            if names is None and len(values) > 2 and all(map(_is_number, values[1:])):
                facts["has_x_down"] = values[0].lower().startswith("x")
                values[0] = "nan"                     # the corner of a grid with its coordinates around it
            else:
                fail(f"its line {short(line)!r} is no row of numbers")
        if len(values) > MAX_COLUMNS or (cells := cells + len(values)) > MAX_CELLS:
            fail("it holds more numbers than a landscape of the allowed size")
        rows.append(values)
    if not rows:
        fail("the file is empty" if not text.strip() else "it holds no row of numbers")
    if all(not r[-1] for r in rows):                      # every line ends with a separator
        rows, names = [r[:-1] for r in rows], names and [n for n in names if n]
    if names and not names[0] and all(len(r) == len(names) for r in rows):         # the index of a data frame
        rows, names = [r[1:] for r in rows], names[1:]
    if len({len(r) for r in rows}) > 1:
        fail("its rows do not have the same number of values")
    try:
        table = np.array([[float(v.replace("D", "e").replace("d", "e")) if v else np.nan for v in r]
                          for r in rows])
    except ValueError:
        fail("it holds something else than numbers")
    if names is not None and len(names) == table.shape[1]:
        facts["names"] = names
        facts["periodic"] = [bool(periodic.get(n, False)) for n in names]
    if facts["format"] == "PLUMED":
        facts["units"] = units or "PLUMED's energy unit (kJ/mol unless its input says otherwise)"
    return {"table": table}, facts


def _split(line):
    for separator in (",", ";", "\t"):
        if separator in line:
            return [v.strip().strip('"') for v in line.split(separator)]
    return line.split()


def _is_number(text):
    return not text or NUMBER.fullmatch(text) is not None


def _xpm(fail, text):
    """GROMACS' matrices: one character a value, the first row at the top, axes in comments. The values are
    those of the legend, so they are rounded to its colours."""
    axes = {"x": [], "y": []}
    for name, values in XPM_AXIS.findall(text):
        try:
            axes[name] += [float(v) for v in values.split()]
        except ValueError:
            fail("the coordinates in its comments are no numbers")
    value_of, rows, size = {}, [], None
    for line in text.splitlines():
        line = line.strip()
        if m := XPM_COLOUR.match(line):
            try:
                value_of[m[1]] = float(m[2])
            except ValueError:
                fail(f"the colour {m[1]!r} stands for {m[2][:40]!r}, expected a number: a continuous matrix")
        elif line.startswith('"') and size is None:
            parts = line.strip('",').split()
            if len(parts) < 4 or not all(p.isdecimal() for p in parts[:4]):
                fail("its header is not that of an .xpm")
            size = [int(p) for p in parts[:4]]
        elif line.startswith('"') and value_of:
            rows.append(line[1:line.rindex('"')] if line.count('"') > 1 else "")
    if size is None or not value_of:
        fail("it holds no colours with values")
    width, height, _, n = size
    if width * height > MAX_CELLS or len(rows) != height or any(len(r) != width * n for r in rows):
        fail(f"its {len(rows)} rows do not make up a matrix of {width} x {height}")
    try:
        values = np.array([[value_of[r[k * n:(k + 1) * n]] for k in range(width)] for r in rows])
    except KeyError:
        fail("a pixel has a colour that is not in its legend")
    x, y = (_nodes(axes[k], size) for k, size in (("x", width), ("y", height)))
    found = {"loss": values[::-1].copy()}
    if x is not None and y is not None:
        found |= {"x": x, "y": y}
    return found, {"format": "GROMACS .xpm", "levels": len(value_of)}


def _nodes(values, n):
    """Coordinates of n cells from n of them or from n + 1 edges; None for other counts."""
    a = np.array(values)
    return a if a.size == n else (a[1:] + a[:-1]) / 2 if a.size == n + 1 else None


def read_mat(path: str) -> tuple[dict, dict]:
    """(arrays, facts) of a MATLAB file up to version 7.2, by SciPy; 7.3 is HDF5."""
    from scipy.io import loadmat

    try:
        found = loadmat(path, struct_as_record=True, chars_as_strings=False)
    except Exception as error:
        raise LandscapeFormatError(path, None,
                                   f"SciPy cannot read this MATLAB file ({short(error)})") from None
    arrays = {n: np.asarray(a, float) for n, a in found.items() if not n.startswith("__")
              and isinstance(a, np.ndarray) and a.dtype.kind in "fiu"}
    return {n: a.ravel() if min(a.shape, default=0) == 1 else a for n,
            a in arrays.items()}, {"format": "MATLAB"}


def of_object(data) -> tuple[dict, dict] | None:
    """(arrays, facts) of a pandas DataFrame (rows, or a pivot table with x along its columns) or Series, or
    of an xarray DataArray or Dataset; None for anything else."""
    if hasattr(data, "to_frame") and getattr(getattr(data, "index", None), "nlevels", 1) > 1:
        data = data.to_frame("loss")                         # a Series over x and y
    if hasattr(data, "columns") and hasattr(data, "to_numpy"):
        if data.index.nlevels > 1:
            data = data.reset_index()
        elif data.columns.dtype.kind in "fiu" and data.index.dtype.kind in "fiu" and not all(
                np.array_equal(a, np.arange(a.size)) for a in (data.columns, data.index)):
            data = data.T if data.index.name == "x" or data.columns.name == "y" else data
            return {"x": np.asarray(data.columns, float), "y": np.asarray(data.index, float),
                    "loss": data.to_numpy(dtype=float)}, {"format": "pandas"}
        names = [str(c) for c in data.columns]
        texts = [n for n, kind in zip(names, data.dtypes) if kind.kind not in "fiub"]
        if texts:
            raise ValueError(f"the columns {', '.join(texts)[:80]} of the DataFrame are no numbers; leave "
                             "them out.")
        return {"table": data.to_numpy(dtype=float)}, {"format": "pandas", "names": names,
                                                       "periodic": [False] * len(names)}
    surfaces = None
    if hasattr(data, "data_vars"):             # a Dataset: what has the axes of its first array of most axes
        given = data.data_vars.items()
        dims = max((v.dims for _, v in given if v.ndim), key=len, default=None)
        surfaces = {str(n): v for n, v in given if v.dims == dims}
    elif hasattr(data, "dims") and hasattr(data, "coords") and hasattr(data, "values"):
        surfaces = {"loss": data}
    if not surfaces:
        return None
    surfaces = {n: _from_last_to_first(v) for n, v in surfaces.items()}
    first = next(iter(surfaces.values()))
    named = {n: d for n, d in zip("xyz", first.dims[::-1]) if d in first.coords}
    return ({n: np.asarray(first.coords[d].values, float) for n, d in named.items()}
            | {n: np.asarray(v.values, float) for n, v in surfaces.items()}), {"format": "xarray"}


def _from_last_to_first(data):
    """A DataArray with its dimensions as z, y, x where they are called so."""
    is_named = len(data.dims) > 1 and set(data.dims) == set("xyz"[:len(data.dims)])
    return data.transpose(*sorted(data.dims, reverse=True)) if is_named else data


def rows_as_grid(table, names=None, key=None):
    """(axes, surfaces by name, places of the coordinates) of rows x, y, loss, ... in any order; None when the
    rows do not fill a grid.

    With names, x, y and z are the columns called so, wherever they stand, else the first ones; further
    columns are further surfaces.
    """
    n, m = table.shape
    lower = [name.lower() for name in names or ()]
    named = [lower.index(c) for c in "xyz" if lower.count(c) == 1]
    if 1 < len(named) < m and lower[named[-1]] == "xyz"[len(named) - 1]:
        rest = sorted(set(range(m)) - set(named), key=lambda k: not re.search(LOSS_LIKE, lower[k]))
        table, names = table[:, named + rest], [names[k] for k in named + rest]
        sizes = (3, 2)[3 - len(named):]                  # z is a coordinate, or what lies over x and y
    else:
        sizes = _dimensions(m, names)
    for d in sizes:
        if d >= m:
            continue
        columns = [table[:, k] for k in range(d)]
        if not all(np.isfinite(c).all() for c in columns):
            continue
        axes, places = zip(*(np.unique(c, return_inverse=True) for c in columns))
        shape = tuple(a.size for a in axes)
        if min(shape) < 2 or int(np.prod(shape)) != n:
            continue
        flat = np.ravel_multi_index(places[::-1], shape[::-1])
        if np.unique(flat).size < n:
            continue
        order = np.argsort(flat)
        called = names[d:] if names else ["loss"] + [f"column_{k}" for k in range(d + 1, m)]
        return list(axes), {c: table[order, d + k].reshape(shape[::-1]) for k, c in enumerate(called)}
    return None


def _dimensions(m, names):
    """Numbers of coordinates to try, the likely first."""
    if names:
        d = next((k for k, name in enumerate(names) if re.search(LOSS_LIKE, name, re.IGNORECASE)), 0)
        if 1 <= d <= 3:
            return (d,)
    return (1,) if m == 2 else (2,) if m == 3 else (2, 3)
