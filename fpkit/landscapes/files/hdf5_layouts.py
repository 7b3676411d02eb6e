"""The layouts of HDF5 landscapes: tomgoldstein's and fpkit's own, losscape's, and one dataset a point."""
from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field

import numpy as np

from .checked_hdf5 import LandscapeFormatError
from .coordinates import (
    arranged,
    ascending,
    check_shape,
    given_axis,
    mesh_axes,
    order_named,
)

SURFACES = ("train_loss", "test_loss", "train_acc", "test_acc")
AXES = ("xcoordinates", "ycoordinates", "zcoordinates")
# the first one present is the potential
LOSSES = ("train_loss", "test_loss", "loss", "losses", "val_loss", "valid_loss")
POINT = re.compile(r"(?:(train|test)_)?(loss|acc)_(\d{1,4})_(\d{1,4})")
MAX_POINTS = 40_000
MAX_OTHERS = 100
OWN_KEYS = ("periodic", "status", "gram", "loss_stderr", "meta", "origin_norm", "directions", "trajectory",
            "temperature", "hessian", "noise")


@dataclass
class Parts:
    """What a reader found in a file, before cells are classified."""
    format: str
    axes: list
    stored: dict
    key: str
    warnings: list
    meta: dict = field(default_factory=dict)
    is_own: bool = False
    is_complete: bool = True
    is_assumed: bool = False
    is_key_given: bool = False
    status: np.ndarray | None = None
    pending: np.ndarray | None = None
    extra: dict = field(default_factory=dict)            # fields of Landscape
    others: dict = field(default_factory=dict)           # what is kept for a rewrite


def read_hdf5(file, key, layout, given):
    """Parts of an open file; `given` are the caller's coordinates, a dict of x, y, z."""
    names = file.names()
    if file.has("xcoordinates"):
        refuse_given(given)
        return _goldstein(file, key, layout)
    if {"X", "Y", "losses"} <= set(names):
        refuse_given(given)
        return _losscape(file, key, layout)
    if any(POINT.fullmatch(n) for n in names):
        return _points(file, layout, given)
    file.fail(None, _no_surface(file))


def refuse_given(given):
    """The file's own coordinates are not overruled."""
    named = [n for n, spec in given.items() if spec is not None]
    if named:
        raise ValueError(f"{', '.join(named)} was given and the file has its own coordinates; leave it out.")


# ---- tomgoldstein's layout and fpkit's own ----

def _goldstein(file, key, layout):
    attributes = file.attributes()
    is_own = _is_own_format(file, attributes)
    warnings = _version_warnings(attributes) if is_own else []
    axes, flips = axes_of(file, warnings)
    sizes = [a.size for a in axes]
    losses = [k for k in LOSSES if file.has(k)]
    names = list(dict.fromkeys([*(k for k in SURFACES if file.has(k)), *losses]))
    is_key_given = key is not None
    key = _chosen_key(file, key, names, losses)
    if key not in names:
        names.append(key)
    order, is_assumed = _order(file, attributes, axes, layout, is_own, warnings)
    surface = lambda name: _surface(file, name, sizes, order, flips)
    stored = {name: values for name in names if (values := surface(name)) is not None}
    if key not in stored:
        file.fail(key, "it was declared and never written: the surface was set up, never computed")
    declared = tuple(file.numbers(key).shape)
    if order == "declared" and len(sizes) == 2 and declared == tuple(sizes) != tuple(sizes[::-1]):
        warnings.append(f"The matrix is declared as ({sizes[0]}, {sizes[1]}) but filled with x running "
                        f"fastest, as tomgoldstein's writer does; it is read as ({sizes[1]}, {sizes[0]}), "
                        "loss[y, x].")
    status = surface("fpkit/status") if is_own and file.has("fpkit/status") else None
    extra = _own_extras(file, len(axes), surface, warnings) if is_own else {}
    extra |= trajectory_of(file, len(axes), warnings)
    meta = {"format": "fpkit-landscape" if is_own else "tomgoldstein", "attributes": attributes,
            "dir_file": dir_file(file), **({"meta": extra.pop("meta")} if "meta" in extra else {}),
            **name_hints(file.path)}
    others = _others(file, {*names, *AXES}, is_own, surface, warnings)
    if any("/" not in n for n in others):
        meta["other_keys"] = [n for n in others if "/" not in n]
    return Parts(meta["format"], axes, stored, key, warnings, meta, is_own,
                 bool(attributes.get("complete", 1)), is_assumed, is_key_given, status, None, extra, others)


def _is_own_format(file, attributes):
    if attributes.get("format") != "fpkit-landscape":
        return False
    if str(attributes.get("format_version", "1.0")).split(".")[0] != "1":
        file.fail("format_version", f"version {str(attributes['format_version'])[:20]} of the format is "
                  "newer than this program; update fpkit")
    return True


def _version_warnings(attributes):
    version = str(attributes.get("format_version", "1.0"))[:20]
    return [] if version == "1.0" else [f"The file is of format version {version}, this program knows 1.0; "
                                        "newer keys are kept and not used."]


def _no_surface(file):
    if file.has("proj_xcoord"):
        x = file.array("proj_xcoord", ndim=1)
        n = 0 if x is None else x.size
        return (f"this is a trajectory of {n} points without a surface; give the surface file that it "
                "belongs to")
    if file.has("xdirection"):
        return "this is a direction file; give the surface file that was computed with it"
    held = ", ".join(p[:40] for p in file.paths(limit=20)[:8])
    return ("there are no xcoordinates, so this is no loss landscape in a layout that is known here; it "
            f"holds {held or 'no dataset'}" + ("; key=..., x_key=..., y_key=... tell what is what" if held
                                               else ""))


def _chosen_key(file, key, names, losses):
    if key is not None:
        if not isinstance(key, str) or not file.has(key):
            file.fail(str(key)[:60],
                      f"there is no such dataset; surfaces in this file: {', '.join(names) or 'none'}")
        return key
    if losses:
        return losses[0]
    others = [n for n in file.names() if n not in (*AXES, *SURFACES, "dir_file", "dir_path")][:5]
    more = (f" (it holds {', '.join(o[:40] for o in others)}; key=... analyses another dataset)" if others
            else "")
    file.fail("train_loss",
              f"the surface was set up, never computed: the file holds coordinates and no loss{more}")


def axes_of(file, warnings):
    """Rising coordinates [x], [x, y] or [x, y, z], and which of them were falling."""
    axes, flips = [], []
    for name in AXES:
        if not file.has(name):
            break
        a = file.array(name, ndim=1)
        if axes and a is not None and a.size == 1:
            warnings.append(f"The {name} hold one value; the landscape has no such axis.")
            break
        a, is_falling = ascending(file.fail, name, a, warnings)
        axes.append(a)
        flips.append(is_falling)
    return axes, flips


def _order(file, attributes, axes, layout, is_own, warnings):
    """Index order of the stored arrays and whether it is a guess."""
    named = attributes.get("axis_order")
    if isinstance(named, str):
        order = order_named(named)
        if order is None:
            file.fail("axis_order", f"the order {named[:40]!r} is not known; expected \"yx\" or \"xy\"")
        if layout not in (None, order):
            warnings.append(f"The file names its index order \"{order}\", which wins over "
                            f"layout=\"{layout}\".")
        return order, False
    if len(axes) == 1:
        return "declared", False
    if is_own:
        return "yx", False
    if layout is not None:
        return ("xy" if layout == "xy" else "declared"), False
    is_assumed = len({a.size for a in axes}) < len(axes)
    if is_assumed:
        warnings.append("The stored matrix is square and the file does not name its index order; it is read "
                        "as loss[y, x], the order of tomgoldstein's writer (layout=\"xy\" for the other).")
    return "declared", is_assumed


def _surface(file, key, sizes, order, flips):
    """One dataset as (ny, nx) along rising coordinates; None when it was never written."""
    check_shape(file.fail, key, tuple(file.numbers(key).shape), sizes, order)
    values = file.array(key)
    return None if values is None else arranged(file.fail, key, values, sizes, order, flips)


def _own_extras(file, n, surface, warnings):
    """Fields of Landscape that fpkit's schema knows beside the surfaces."""
    extra = {}
    if file.has("fpkit/gram"):
        gram = file.array("fpkit/gram", shapes={(n, n)})
        # a flip reorders the samples and keeps the coordinates, so G stays as it is
        if gram is not None and is_metric(gram):
            extra["gram"] = (gram + gram.T) / 2
        elif gram is not None:
            warnings.append("The Gram matrix in the file is not symmetric positive definite and is not used.")
    for field_name, key in (("loss_stderr", "fpkit/loss_stderr"),
                            ("logdet_perp", "fpkit/hessian/logdet_perp")):
        if file.has(key):
            values = file.array(key)
            if values is not None:
                extra[field_name] = surface(key) if values.ndim == n else values
    if file.has("fpkit/noise/xx"):
        extra |= _gradient_noise(file, n, surface, warnings)
    if file.has("fpkit/periodic"):
        flags = file.array("fpkit/periodic", shapes={(n,)})
        extra["periodic"] = () if flags is None else tuple(bool(v) for v in flags)
    if file.has("fpkit/origin_norm"):
        extra["origin_norm"] = _scalar(file, "fpkit/origin_norm")
    if file.has("fpkit/temperature/tensor"):
        tensor = file.array("fpkit/temperature/tensor", shapes={(n, n)})
        if tensor is not None and np.isfinite(tensor).all():
            found = {"tensor": (tensor + tensor.T) / 2, "theta": float(np.trace(tensor)) / n}
            for name in file.names("fpkit/temperature"):
                key = f"fpkit/temperature/{name}"
                if name != "tensor":
                    found[name] = _scalar(file,
                                          key) if file.dataset(key).dtype.kind in "fiu" else file.text(key)
            extra["temperature"] = {k: v for k, v in found.items() if v is not None}
        else:
            warnings.append("The temperature in the file is not finite and is not used.")
    text = file.text("fpkit/meta") if file.has("fpkit/meta") else None
    if text is not None:
        meta = readable_json(text)
        if meta is None:
            warnings.append("The description in /fpkit/meta is not readable JSON and is left out.")
        else:
            extra["meta"] = meta
    return extra


def _gradient_noise(file, n, surface, warnings):
    """The covariance of single samples' gradients, (*shape, n, n)."""
    entries = {}
    for i in range(n):
        for j in range(i, n):
            key = f"fpkit/noise/{'xyz'[i]}{'xyz'[j]}"
            values = surface(key) if file.has(key) else None
            if values is None:
                warnings.append("The covariance of the gradient noise in the file is incomplete and is not "
                                "used.")
                return {}
            entries[i, j] = entries[j, i] = values
    rows = [np.stack([entries[i, j] for j in range(n)], axis=-1) for i in range(n)]
    return {"gradient_noise": np.stack(rows, axis=-2)}


def is_metric(gram):
    """Finite, symmetric, positive definite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(gram).all() and np.allclose(gram, gram.T, rtol=1e-9, atol=0)
                    and (np.linalg.eigvalsh(gram) > 0).all())


def _scalar(file, key):
    values = file.array(key)
    return float(values.reshape(-1)[0]) if values is not None and values.size == 1 else None


def readable_json(text, depth=20):
    """The object in a JSON text, None when it is none or nested deeper than `depth`."""
    if deepest_bracket(text) > depth:
        return None
    try:
        found = json.loads(text, parse_constant=lambda name: None)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else {"value": found}


def deepest_bracket(text):
    """How deep the brackets of a JSON text nest, those in strings left out; in one pass, whatever it
    holds."""
    level = deepest = 0
    is_string = is_escaped = False
    for c in text:
        if is_string:
            is_string = is_escaped or c != '"'
            is_escaped = c == "\\" and not is_escaped
        elif c == '"':
            is_string = True
        else:
            level += (c in "[{") - (c in "]}")
            deepest = max(deepest, level)
    return deepest


def trajectory_of(file, ndim, warnings):
    """Points (n, ndim) of the optimiser on the plane, their steps, losses and distances from the plane."""
    for names in (tuple(f"fpkit/trajectory/{n}" for n in "xyz"), tuple(f"proj_{n}coord" for n in "xyz")):
        if not all(file.has(k) for k in names[:ndim]):
            continue
        columns = [file.array(k, ndim=1) for k in names[:ndim]]
        if any(c is None for c in columns) or len({c.size
                                                   for c in columns}) != 1 or not np.isfinite(columns).all():
            warnings.append("The trajectory in the file is incomplete or not finite and is left out.")
            return {}
        found = {"trajectory": np.stack(columns, axis=-1)}
        for field_name, name in (("trajectory_steps", "step"), ("trajectory_loss", "loss"),
                                 ("trajectory_residual", "residual")):
            key = f"fpkit/trajectory/{name}"
            values = file.array(key, ndim=1) if names[0].startswith("fpkit") and file.has(key) else None
            if values is not None and values.size == columns[0].size and (name == "loss"
                                                                          or np.isfinite(values).all()):
                found[field_name] = values
        return found
    return {}


def dir_file(file):
    """Where the producer kept the directions: a text to show, never a path to open."""
    for key in ("dir_file", "dir_path"):
        try:
            text = file.text(key)
        except LandscapeFormatError:
            text = None
        if text is not None:
            return text
    return None


def name_hints(path):
    """What the file name of tomgoldstein's writer tells: kind of directions, what was left out, their
    norm."""
    name = os.path.basename(path)
    hints = {k: m.group(1) for k in ("xignore", "yignore", "xnorm", "ynorm")
             if (m := re.search(rf"{k}=([A-Za-z0-9]+)", name))}
    if (m := re.search(r"_(states|weights)(?=[_.])", name)):
        hints["direction_kind"] = m.group(1)
    return {"name_hints": hints} if hints else {}


def _others(file, known, is_own, surface, warnings):
    """Numbers and texts under names that no schema here knows: kept as they are for a rewrite, surfaces as
    (ny, nx)."""
    found = {}
    known = {*known, "fpkit", "dir_file", "dir_path", "proj_xcoord", "proj_ycoord", "proj_zcoord"}
    groups = [("", [n for n in file.names() if n not in known])]
    if is_own and file.has("fpkit"):
        groups.append(("fpkit/", [n for n in file.names("fpkit") if n not in OWN_KEYS]))
        if file.has("fpkit/hessian") and file.is_group("fpkit/hessian"):
            groups.append(("fpkit/hessian/", [n for n in file.names("fpkit/hessian") if n != "logdet_perp"]))
    for prefix, names in groups:
        for name in names[:MAX_OTHERS]:
            try:
                if file.is_group(prefix + name):
                    continue
                text = file.text(prefix + name)
                if text is not None:
                    found[prefix + name] = text
                    continue
                values = _surface_or_array(file, prefix + name, surface)
                if values is not None:
                    found[prefix + name] = values
            except LandscapeFormatError as error:
                warnings.append(f"The entry {(prefix + name)[:60]} is left out: {error.reason}.")
    return found


def _surface_or_array(file, key, surface):
    """A surface where the shape fits the coordinates, else the array as it is."""
    if len(file.numbers(key).shape) > 1:
        try:
            return surface(key)
        except LandscapeFormatError:
            pass
    return file.array(key)


# ---- losscape: X, Y, losses ----

def _losscape(file, key, layout):
    warnings = []
    X, Y = (file.array(k, ndim=2) for k in "XY")
    if X is None or Y is None:
        file.fail("X", "the coordinates were declared and never written")
    x, y, order = mesh_axes(file.fail, X, Y)
    (x, falls_x), (y, falls_y) = (ascending(file.fail, name, a, warnings) for name, a in (("X", x), ("Y", y)))
    key = key or "losses"
    values = file.array(key) if file.has(key) else file.fail(str(key)[:60], "there is no such dataset")
    if values is None:
        file.fail(key, "it was declared and never written: the surface was set up, never computed")
    if layout not in (None, order):
        warnings.append(f"The grids X and Y name the index order \"{order}\", which wins over "
                        f"layout=\"{layout}\".")
    values = arranged(file.fail, key, values, [x.size, y.size], order, (falls_x, falls_y))
    return Parts("losscape", [x, y], {key: values}, key, warnings,
                 {"format": "losscape", "attributes": file.attributes()})


# ---- one dataset a point: loss_i_j ----

def _points(file, layout, given):
    warnings, found = [], {}
    for name in file.names(limit=2 * MAX_POINTS):
        if m := POINT.fullmatch(name):
            found.setdefault(f"{m[1] or 'train'}_{m[2]}", {})[int(m[3]), int(m[4])] = name
    key = "train_loss" if "train_loss" in found else "test_loss"
    if key not in found:
        file.fail(None, "there are accuracies and no losses")
    shape = tuple(1 + max(i[k] for i in found[key]) for k in (0, 1))
    if min(shape) < 2 or shape[0] * shape[1] > 4 * len(found[key]) or len(found[key]) > MAX_POINTS:
        file.fail(key, f"{len(found[key])} points loss_i_j do not make up a grid of {shape[0]} x {shape[1]}")
    order = layout or "xy"                               # the writer counts x first
    sizes = shape if order == "xy" else shape[::-1]
    if given.get("x") is None or given.get("y") is None:
        file.fail(None, f"the file holds losses by number ({shape[0]} x {shape[1]}) and no coordinates; give "
                  "x=(low, high) and y=(low, high)")
    axes, flips = [], []
    for name, n in zip("xy", sizes):
        a, is_falling = ascending(file.fail, f"{name}coordinates", given_axis(name, given[name], n), warnings)
        axes.append(a)
        flips.append(is_falling)
    stored, pending = {}, np.ones(shape, bool)
    for surface_name, points in found.items():
        values = np.full(shape, np.nan)
        for index, name in points.items():
            if index[0] < shape[0] and index[1] < shape[1]:
                value = _scalar(file, name)
                values[index] = np.nan if value is None else value
                if surface_name == key and value is not None:
                    pending[index] = False
        stored[surface_name] = arranged(file.fail, surface_name, values, sizes, order, flips)
    pending = arranged(file.fail, key, pending, sizes, order, flips)
    return Parts("one dataset a point", axes, stored, key, warnings,
                 {"format": "one dataset a point", "attributes": file.attributes()}, pending=pending)
