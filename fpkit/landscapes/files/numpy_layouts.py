"""Landscapes of named arrays: Landscaper's and mode connectivity's archives, arrays under common names, rows
x, y, loss, and bare arrays with the caller's coordinates."""
from __future__ import annotations

import re

import numpy as np

from .checked_hdf5 import LandscapeFormatError
from .coordinates import arranged, ascending, given_axis, mesh_axes
from .hdf5_layouts import LOSSES, SURFACES, Parts, is_metric, refuse_given
from .tables import LOSS_LIKE, NO_LOSS, rows_as_grid

COORDINATES = {"x": ("xcoordinates", "x", "xs", "x_coords", "x_coordinates", "X", "alphas", "alpha"),
               "y": ("ycoordinates", "y", "ys", "y_coords", "y_coordinates", "Y", "betas", "beta"),
               "z": ("zcoordinates", "z", "zs", "z_coords", "z_coordinates")}
VALUES = (*LOSSES, "Z", "z", "loss_grid", "losses_grid", "loss_surface", "surface", "table")
# the arrays of mode-connectivity's plane.npz and their names here
CONNECTIVITY = {"tr_loss": "train_loss", "te_loss": "test_loss", "tr_acc": "train_acc", "te_acc": "test_acc"}


def parts_of(path, arrays, facts, key, layout, given, fix_serpentine=False, named=None):
    """Parts of named arrays, wherever they come from.

    Parameters
    ----------
    facts : dict
        format; for a table also names and periodic, of its columns.
    given : dict
        The caller's x, y and z: coordinates, or None.
    named : dict, optional
        Names of the arrays of coordinates, {"x": ..., "y": ...}.
    """
    def fail(name, reason):
        raise LandscapeFormatError(path, name, reason)

    warnings, form = [], facts["format"]
    meta = {"format": form, "attributes": {}} | {k: facts[k] for k in ("units",) if k in facts}
    if not arrays:
        fail(None, "the archive holds no array")
    if {"loss", "coordinates"} <= set(arrays) and key in (None, "loss"):
        refuse_given(fail, given)
        return _landscaper(fail, arrays, layout, warnings)
    if {"alphas", "betas", "grid"} <= set(arrays) and arrays["grid"].ndim == 3:
        refuse_given(fail, given)
        return _connectivity(fail, arrays, key, warnings)
    for name, wanted in (named or {}).items():
        if wanted is not None:
            if wanted not in arrays:
                fail(str(wanted)[:60], f"there is no such array; the file holds {_listed(arrays)}")
            arrays = {**arrays, COORDINATES[name][0]: arrays[wanted]}
    is_key_given = key is not None
    if (columns := _columns(arrays, key)) is not None:
        arrays, facts = {"table": np.stack(list(columns.values()), axis=1)}, {**facts, "names": [*columns]}
    found = _rows(fail, arrays, facts, key, layout, given, warnings)
    if found is not None:
        extra = {"periodic": tuple(facts["periodic"][:len(found[0])])} if any(facts.get("periodic",
                                                                                        ())) else {}
        return Parts(form, *found, warnings, meta, is_key_given=is_key_given, extra=extra)
    key = _chosen(fail, arrays, key)
    values = arrays[key]
    if not 1 <= values.ndim <= 3 or min(values.shape, default=0) < 2:
        fail(key or None, f"its shape is {values.shape}, expected one to three axes of at least two samples")
    if fix_serpentine:
        layout = layout or "xy"
    axes, order = _stored_axes(fail, arrays, values, key, given, layout)
    told = order or layout
    if axes is None:
        order = layout or "yx"
        axes = _callers_axes(fail, values.shape if order == "xy" else values.shape[::-1], given, key)
        if any(isinstance(spec, (tuple, list)) and len(spec) == 2 for spec in given.values()):
            told = layout                                # a range fits any number of samples
        elif len(set(values.shape)) == values.ndim:
            told = told or order
    elif len({a.size for a in axes}) == values.ndim:
        told = told or _order_of(values.shape, axes)
    is_assumed = values.ndim > 1 and told is None and not facts.get("has_named_axes")
    is_meshed, order = (order is not None and axes is not None and told == order,
                        order or layout or _order_of(values.shape, axes))
    if is_assumed and len(set(values.shape)) < values.ndim:
        warnings.append("The array is square and does not tell its index order; it is read as loss[y, x] "
                        "(layout=\"xy\" for the other).")
    elif is_assumed:
        warnings.append(f"The array of shape {values.shape} does not tell its index order; it is read as "
                        f"loss[y, x], {values.shape[-1]} samples along x (layout=\"xy\" for the other).")
    if values.ndim > 1 and layout is None and order == "xy" and not is_meshed:
        warnings.append("The shape fits the coordinates with x as first index; it is read as loss[x, y].")
    called = key.rpartition("/")[2]                       # of a dataset in a group
    key = called if called in (*SURFACES, *LOSSES) else "train_loss"
    surfaces = {key: values}
    surfaces |= {n: a for n, a in arrays.items() if n in SURFACES and a.shape == values.shape
                 and n not in surfaces}
    rising, flips = zip(*(ascending(fail, f"{n} coordinates", a, warnings) for n, a in zip("xyz", axes)))
    sizes = [a.size for a in rising]
    stored = {n: arranged(fail, n, a, sizes, order, flips) for n, a in surfaces.items()}
    rising = list(rising)
    if fix_serpentine:
        rising, stored = _without_serpentine(fail, rising, stored, order, warnings)
    gram = arrays.get("gram")
    extra = {"gram": gram} if np.shape(gram) == (values.ndim,) * 2 and is_metric(gram) else {}
    return Parts(form, rising, stored, key, warnings, meta, is_assumed=is_assumed, is_key_given=is_key_given,
                 extra=extra)


def _columns(arrays, key):
    """Coordinates and losses of single points, {"x": .., "y": .., the rest}, where they are arrays of one
    length that do not rise or fall; None otherwise."""
    axes = {n: next((arrays[k] for k in COORDINATES[n] if k in arrays and k != key), None) for n in "xyz"}
    axes = {n: a for n, a in axes.items() if a is not None and a.ndim == 1}
    x = axes.get("x")
    if x is None or "y" not in axes or x.size < 4 or any(a.size != x.size for a in axes.values()):
        return None
    used = {k for names in COORDINATES.values() for k in names}
    rest = {n: a for n, a in arrays.items() if a.shape == x.shape and (n not in used or n == key)}
    is_axis = any(len(set(np.sign(np.diff(a)))) == 1 for a in axes.values())
    return None if is_axis or not rest else {**axes, **rest}


def _rows(fail, arrays, facts, key, layout, given, warnings):
    """(axes, surfaces, key) of an array that holds rows x, y, loss, ...; None where it holds a grid."""
    names = facts.get("names")
    name = "table" if "table" in arrays else next(iter(arrays)) if len(arrays) == 1 else None
    table = None if name is None else arrays[name]
    if table is None or table.ndim != 2 or any(spec is not None
                                               for spec in given.values()) or layout is not None:
        return None
    if table.shape[1] > (20 if names else 4) or table.shape[0] < 4:
        return _cornered(fail, table, key, facts) if name == "table" else None
    found = rows_as_grid(table, names)
    if found is None:
        if names or facts["format"] == "PLUMED":
            fail(key, f"its {len(table)} rows of {', '.join(map(str, names or []))[:80]} do not fill a grid: "
                 "every combination of the coordinates is expected once")
        return _cornered(fail, table, key, facts) if name == "table" else None
    axes, surfaces = found
    usable = [n for n in surfaces if not re.search(NO_LOSS, n, re.IGNORECASE)]
    usable = [n for n in VALUES if n in surfaces] + sorted(
        usable, key=lambda n: not re.search(LOSS_LIKE, n, re.IGNORECASE))
    if key is None and not usable:
        fail(None, f"its columns {', '.join(surfaces)} are named like none that holds a loss; key=... tells "
             "which does")
    chosen = key if key is not None else usable[0]
    if chosen not in surfaces:
        fail(str(key)[:60], f"there is no such column; the file holds {', '.join(surfaces)}")
    if len(table) == 3 or table.shape[1] == 3 and not names:
        warnings.append(f"The {len(table)} rows of three numbers are read as x, y and loss.")
    stored = {"train_loss" if n == chosen and n not in LOSSES else n: a for n,
              a in surfaces.items() if n == chosen or n in SURFACES or a.dtype.kind == "f"}
    rising = [ascending(fail, f"{n} coordinates", a, warnings)[0] for n, a in zip("xyz", axes)]
    return rising, stored, "train_loss" if chosen not in LOSSES else chosen


def _cornered(fail, table, key, facts):
    """A grid with its coordinates in the first row and column, y down unless the corner says x; None for
    others."""
    table = table.T if facts.get("has_x_down") else table
    if min(table.shape) < 3 or not np.isnan(table[0, 0]) or np.isnan(table[0, 1:]).any():
        return None
    rising, flips = zip(*(ascending(fail, f"{n} coordinates", a, []) for n,
                          a in (("x", table[0, 1:]), ("y", table[1:, 0]))))
    values = arranged(fail, key, table[1:, 1:], [a.size for a in rising], "yx", flips)
    return list(rising), {"train_loss": values}, "train_loss"


def _connectivity(fail, arrays, key, warnings):
    """plane.npz of the mode-connectivity programs: grid[i, j] holds the distances in parameter space along
    two orthonormal directions, and arrays tr_*, te_* the losses there; bend_coordinates are points of the
    curve."""
    grid = arrays["grid"]
    x, y = grid[:, 0, 0], grid[0, :, 1]
    if grid.shape[2] != 2 or not (np.allclose(grid[:, :, 0], x[:, None]) and np.allclose(grid[:, :, 1], y)):
        fail("grid", "its points are no rectangular grid")
    rising, flips = zip(*(ascending(fail, n, a, warnings) for n, a in (("x", x), ("y", y))))
    stored = {}
    for name, values in arrays.items():
        if name[:3] in ("tr_", "te_") and values.shape == grid.shape[:2]:
            stored[CONNECTIVITY.get(name, name)] = arranged(fail, name, values, [x.size, y.size], "xy", flips)
    asked = CONNECTIVITY.get(key, key)
    chosen = asked if asked is not None else next((n for n in ("train_loss", "test_loss", "tr_nll")
                                                   if n in stored), None)
    if chosen not in stored:
        fail(key, f"there is no such surface; the file holds {', '.join(stored) or 'none'}")
    extra = {"gram": np.eye(2)}
    bends = arrays.get("bend_coordinates")
    if bends is not None and bends.ndim == 2 and bends.shape[1] == 2 and np.isfinite(bends).all():
        extra["trajectory"] = np.array(bends)
        warnings.append("The trajectory is the bends of the curve between the modes, not an optimiser's "
                        "path.")
    return Parts("mode connectivity", list(rising), stored, chosen, warnings,
                 {"format": "mode connectivity", "attributes": {}}, extra=extra, is_key_given=key is not None)


def _landscaper(fail, arrays, layout, warnings):
    """Landscaper's archive: loss[i0, i1, ..] = f(c0[i0], c1[i1], ..)."""
    coordinates, values = np.atleast_2d(arrays["coordinates"]), arrays["loss"]
    if coordinates.ndim != 2 or not 1 <= values.ndim <= 3 or values.shape != (coordinates.shape[1],
                                                                              ) * len(coordinates):
        fail("loss", f"its shape {values.shape} does not fit the coordinates {coordinates.shape}, one row an "
             "axis")
    rising, flips = zip(*(ascending(fail, "coordinates", a, warnings) for a in coordinates))
    order = "yx" if values.ndim == 1 else layout or "xy"
    values = arranged(fail, "loss", values, [a.size for a in rising], order, flips)
    warnings.append("Landscaper's coordinates are labels of distance, not distances in parameter space, and "
                    "it replaces values that are not finite (NaN by the mean, infinity by the maximum) and "
                    "adds noise to the maxima: its high values are not data.")
    return Parts("Landscaper", list(rising), {"train_loss": values}, "train_loss", warnings,
                 {"format": "Landscaper", "attributes": {}})


def _chosen(fail, arrays, key):
    if key is not None:
        if key not in arrays:
            fail(str(key)[:60], f"there is no such array; the file holds {_listed(arrays)}")
        return key
    if len(arrays) == 1:
        return next(iter(arrays))
    for name in VALUES:
        if name in arrays and arrays[name].ndim > 1 or name in arrays and name in LOSSES:
            return name
    used = {n for names in COORDINATES.values() for n in names}
    left = [n for n, a in arrays.items() if n not in used and a.ndim > 0 and a.size > 1]
    if len(left) == 1:
        return left[0]
    fail(None, f"the archive holds {_listed(arrays)}; key=... tells which array is the loss")


def _listed(arrays):
    return ", ".join(f"{n[:40]} {a.shape}" for n, a in list(arrays.items())[:8])


def _stored_axes(fail, arrays, values, key, given, layout):
    """Coordinates that the archive holds, and the order that grids X and Y imply; (None, None) without."""
    found = [next((arrays[k] for k in COORDINATES[n] if k in arrays and k != key),
                  None) for n in "xyz"[:values.ndim]]
    if any(a is None for a in found):
        return None, None
    refuse_given(fail, given)
    if values.ndim == 2 and all(a.ndim == 2 for a in found):
        x, y, order = mesh_axes(fail, *found)
        return [x, y], order
    return found, None


def _callers_axes(fail, sizes, given, key):
    named = "xyz"[:len(sizes)]
    if any(given.get(n) is None for n in named):
        wanted = " and ".join(f"{n}=(low, high)" for n in named)
        fail(key or None, f"an array of shape {tuple(sizes[::-1])} has no coordinates; give {wanted}, and "
             "layout=\"xy\" if its first index counts x")
    return [given_axis(n, given[n], size) for n, size in zip(named, sizes)]


def _order_of(shape, axes):
    """"xy" when the shape fits the coordinates in that order alone."""
    sizes = tuple(a.size for a in axes)
    return "xy" if len(sizes) > 1 and shape == sizes != sizes[::-1] else "yx"


def _without_serpentine(fail, axes, stored, order, warnings):
    """Undo the zig-zag of loss-landscapes 3.0.6.

    Its loop moves before it measures: rows 0, 2, 4, ... along the first direction hold the positions 1 .. n
    of the second, rows 1, 3, ... the positions 0 .. n - 1. The positions 1 .. n - 1 are in all rows.
    """
    if len(axes) != 2:
        fail(None, f"fix_serpentine is about planes, and this landscape has {len(axes)} axis(es)")
    x, y = axes
    slow_is_x = order == "xy"
    fixed = {}
    for name, values in stored.items():
        rows = values.T if slow_is_x else values  # rows[i, j]: i counts the first direction of that program
        straight = np.where(np.arange(len(rows))[:, None] % 2 == 0, rows[:, :-1], rows[:, 1:])
        fixed[name] = np.ascontiguousarray(straight.T if slow_is_x else straight)
    warnings.append("The zig-zag of loss-landscapes was undone: rows are aligned and the first position "
                    "along the second direction is left out.")
    return ([x, y[1:]] if slow_is_x else [x[1:], y]), fixed
