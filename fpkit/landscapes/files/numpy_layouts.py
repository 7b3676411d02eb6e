"""Landscapes in NumPy files: Landscaper's archive, archives with named arrays, and bare arrays with the
caller's coordinates."""
from __future__ import annotations

import numpy as np

from .checked_hdf5 import LandscapeFormatError
from .coordinates import arranged, ascending, given_axis, mesh_axes
from .hdf5_layouts import LOSSES, SURFACES, Parts, refuse_given
from .numpy_files import read_arrays

COORDINATES = {"x": ("xcoordinates", "x", "xs", "x_coords", "x_coordinates", "X"),
               "y": ("ycoordinates", "y", "ys", "y_coords", "y_coordinates", "Y"),
               "z": ("zcoordinates", "z", "zs", "z_coords", "z_coordinates")}
VALUES = (*LOSSES, "Z", "z", "loss_grid", "losses_grid", "loss_surface", "surface")


def read_numpy(path, key, layout, given, fix_serpentine=False):
    """Parts of a .npy or .npz file."""
    def fail(name, reason):
        raise LandscapeFormatError(path, name, reason)

    arrays, warnings = read_arrays(path), []
    if not arrays:
        fail(None, "the archive holds no array")
    if {"loss", "coordinates"} <= set(arrays) and key in (None, "loss"):
        refuse_given(given)
        return _landscaper(fail, arrays, layout, warnings)
    is_key_given, key = key is not None, _chosen(fail, arrays, key)
    values = arrays[key]
    if not 1 <= values.ndim <= 3 or min(values.shape, default=0) < 2:
        fail(key or None, f"its shape is {values.shape}, expected one to three axes of at least two samples")
    if fix_serpentine:
        layout = layout or "xy"
    axes, order = _stored_axes(fail, arrays, values, key, given, layout)
    if axes is None:
        order = layout or "yx"
        axes = _callers_axes(fail, values.shape if order == "xy" else values.shape[::-1], given, key)
    is_assumed = values.ndim > 1 and layout is None and order == "yx" and len(set(values.shape)) < values.ndim
    order = order or layout or _order_of(values.shape, axes)
    if is_assumed:
        warnings.append("The array is square and does not tell its index order; it is read as loss[y, x] "
                        "(layout=\"xy\" for the other).")
    if values.ndim > 1 and layout is None and order == "xy":
        warnings.append("The shape fits the coordinates with x as first index; it is read as loss[x, y].")
    named = {key if key in SURFACES else "train_loss" if key not in LOSSES else key: values}
    key = next(iter(named))
    named |= {n: a for n, a in arrays.items() if n in SURFACES and a.shape == values.shape and n not in named}
    rising, flips = zip(*(ascending(fail, f"{n} coordinates", a, warnings) for n, a in zip("xyz", axes)))
    sizes = [a.size for a in rising]
    stored = {n: arranged(fail, n, a, sizes, order, flips) for n, a in named.items()}
    rising = list(rising)
    if fix_serpentine:
        rising, stored = _without_serpentine(fail, rising, stored, order, warnings)
    return Parts("NumPy", rising, stored, key, warnings, {"format": "NumPy", "attributes": {}},
                 is_assumed=is_assumed, is_key_given=is_key_given)


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
    refuse_given(given)
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
