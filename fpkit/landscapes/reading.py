"""Read a loss landscape that this or another program exported to HDF5."""
from __future__ import annotations

import json
import os
import re

import numpy as np

from ..core import checks
from .cells import classify
from .hostile import LandscapeFormatError, open_checked
from .landscape import Landscape

__all__ = ["read_landscape", "describe", "Landscape", "LandscapeFormatError"]

LOSS_KEYS = ("train_loss", "test_loss")            # the first one present is the potential
SURFACES = ("train_loss", "test_loss", "train_acc", "test_acc")
AXES = ("xcoordinates", "ycoordinates")
UNIFORM = 1e-6                                     # of the mean spacing
ORDERS = {"yx": "yx", "[y, x]": "yx", "[y,x]": "yx", "y,x": "yx", "xy": "xy", "[x, y]": "xy", "[x,y]": "xy", "x,y": "xy"}


def read_landscape(path, key=None, layout=None, allow_partial=False):
    """Loss landscape of an HDF5 file in the layout of tomgoldstein/loss-landscape or in fpkit's own.

    Nothing in the file is executed, no link or path in it is followed, no size in it is trusted.

    Parameters
    ----------
    path : str or path
    key : str, optional
        The dataset to analyse as potential. Default: "train_loss", else "test_loss".
    layout : {"yx", "xy"}, optional
        Index order of the stored matrix, for files that do not say: "yx" is loss[i, j] = f(x_j, y_i), the default;
        "xy" is loss[i, j] = f(x_i, y_j). An attribute `axis_order` in the file wins.
    allow_partial : bool
        Let `analyse` work on a surface that was not computed to the end.

    Returns
    -------
    Landscape

    Raises
    ------
    LandscapeFormatError
        Whatever is wrong with the file, with `.path`, `.key` and `.reason`; a ValueError.

    Notes
    -----
    tomgoldstein's writer declares the shape (nx, ny) but fills it with x running fastest. For nx == ny the matrix is
    therefore right as it stands, [y, x]; for nx != ny it is scrambled, and only ``flat.reshape(ny, nx)`` is right.
    """
    if layout is not None:
        checks.choice("layout", layout, ("yx", "xy"))
    with open_checked(path) as file:
        attributes = file.attributes()
        is_own = _is_own_format(file, attributes)
        warnings = _version_warnings(attributes) if is_own else []
        if not file.has("xcoordinates"):
            file.fail(None, _no_surface(file))
        axes, flips = _axes(file, warnings)
        names = [k for k in SURFACES if file.has(k)]
        key = _chosen_key(file, key, names)
        if key not in names:
            names.append(key)
        order, is_assumed = _order(file, attributes, axes, layout, is_own, warnings)
        stored = {}
        for name in names:
            values = _surface(file, name, axes, order, flips)
            if values is not None:
                stored[name] = values
        if key not in stored:
            file.fail(key, "it was declared and never written: the surface was set up, never computed")
        if is_assumed:
            warnings.append("The stored matrix is square and the file does not name its index order; it is read as loss[y, x], "
                            "the order of tomgoldstein's writer (layout=\"xy\" for the other).")
        if key != "train_loss":
            warnings.append(f"The potential is {key}: " + ("the file holds no training loss." if "train_loss" not in stored else "as asked."))
        status = _surface(file, "fpkit/status", axes, order, flips) if is_own and file.has("fpkit/status") else None
        extra = _own_extras(file, axes, order, flips, warnings) if is_own else {}
        trajectory, steps = _trajectory(file, len(axes), warnings)
        meta = {"format": "fpkit-landscape" if is_own else "tomgoldstein", "attributes": attributes, "dir_file": _dir_file(file),
                **{k: extra.pop(k) for k in ("meta", "temperature", "trajectory") if k in extra}, **_name_hints(file.path)}
        others = [n for n in file.names() if n not in (*SURFACES, *AXES, key, "fpkit", "dir_file", "proj_xcoord", "proj_ycoord")]
        if others:
            meta["other_keys"] = others[:100]
    return _landscape(path, key, axes, stored, status, is_own, attributes, extra, trajectory, steps, meta, warnings, is_assumed, allow_partial)


def _landscape(path, key, axes, stored, status, is_own, attributes, extra, trajectory, steps, meta, warnings, is_assumed, allow_partial):
    masked, classes = {}, None
    is_complete = bool(attributes.get("complete", 1))
    for name, values in stored.items():
        if name.endswith("_acc"):
            masked[name] = np.where(np.isfinite(values) & (values != -1), values, np.nan)
            continue
        partner = stored.get(name.replace("loss", "acc")) if "loss" in name else None
        valid, unfinished, diverged, remarks = classify(values, partner, is_own, status, is_complete)
        masked[name] = np.where(valid, values, np.nan)
        if name == key:
            classes = valid, unfinished, diverged
            warnings.extend(remarks)
    valid, unfinished, diverged = classes
    if diverged.any():
        warnings.append(f"{int(diverged.sum())} of {valid.size} cells diverged (NaN, infinite, or what a parallel maximum left of NaN); "
                        "they are outside the domain, behind walls that let nothing through.")
    if unfinished.any():
        warnings.append(f"{int(unfinished.sum())} of {valid.size} cells were never computed.")
    if not valid.any():
        warnings.append("The surface has no valid cell.")
    for array in (*stored.values(), *masked.values(), *axes, valid, unfinished, diverged):
        array.setflags(write=False)
    return Landscape(path=os.fspath(path), key=key, axes=tuple(axes), loss=masked[key], surfaces=masked, stored=stored,
                     valid=valid, unfinished=unfinished, diverged=diverged, gram=extra.get("gram"), trajectory=trajectory,
                     trajectory_steps=steps, loss_stderr=extra.get("loss_stderr"), meta=meta, warnings=tuple(warnings),
                     axis_order_assumed=is_assumed, allow_partial=bool(allow_partial))


# ---- parts of a file ----

def _is_own_format(file, attributes):
    name = attributes.get("format")
    if name != "fpkit-landscape":
        return False
    major = str(attributes.get("format_version", "1.0")).split(".")[0]
    if major != "1":
        file.fail("format_version", f"version {str(attributes['format_version'])[:20]} of the format is newer than this program; update fpkit")
    return True


def _version_warnings(attributes):
    version = str(attributes.get("format_version", "1.0"))[:20]
    return [] if version == "1.0" else [f"The file is of format version {version}, this program knows 1.0; newer keys are ignored."]


def _no_surface(file):
    if file.has("proj_xcoord"):
        x = file.array("proj_xcoord", ndim=1)
        n = 0 if x is None else x.size
        return f"this is a trajectory of {n} points without a surface; give the surface file that it belongs to"
    if file.has("xdirection"):
        return "this is a direction file; give the surface file that was computed with it"
    return "there are no xcoordinates, so this is no loss landscape in a layout that is known here"


def _chosen_key(file, key, names):
    if key is not None:
        checks_text = ", ".join(n for n in names) or "none"
        if not isinstance(key, str) or not file.has(key):
            file.fail(str(key), f"there is no such dataset; surfaces in this file: {checks_text}")
        return key
    for name in LOSS_KEYS:
        if name in names:
            return name
    file.fail("train_loss", "the surface was set up, never computed: the file holds coordinates and no loss")


def _axes(file, warnings):
    """Coordinate arrays (x,) or (x, y), ascending, and which of them were descending."""
    axes, flips = [], []
    for name in AXES:
        if not file.has(name):
            continue
        a = file.array(name, ndim=1)
        if a is None or a.size < 2:
            file.fail(name, "expected at least two coordinates")
        if not np.isfinite(a).all():
            file.fail(name, f"{int((~np.isfinite(a)).sum())} of {a.size} coordinates are not finite")
        with np.errstate(over="ignore", invalid="ignore"):
            steps, span = np.diff(a), a[-1] - a[0]
        if not ((steps > 0).all() or (steps < 0).all()):
            file.fail(name, "the coordinates neither rise nor fall throughout")
        if not np.isfinite(span):
            file.fail(name, "the coordinates span more than a floating-point number holds")
        flips.append(bool(steps[0] < 0))
        a = a[::-1].copy() if flips[-1] else a
        h = (a[-1] - a[0]) / (a.size - 1)
        if np.abs(np.diff(a) - h).max() > UNIFORM * h:
            warnings.append(f"The {name} are not evenly spaced.")
        axes.append(a)
    return axes, flips


def _order(file, attributes, axes, layout, is_own, warnings):
    """Index order of the stored matrices ("yx", "xy", or "declared" for tomgoldstein's scrambled shape) and whether it is a guess."""
    if len(axes) == 1:
        return "x", False
    named = attributes.get("axis_order")
    if isinstance(named, str):
        order = ORDERS.get(named.strip().lower())
        if order is None:
            file.fail("axis_order", f"the order {named[:40]!r} is not known; expected \"yx\" or \"xy\"")
        if layout not in (None, order):
            warnings.append(f"The file names its index order \"{order}\", which wins over layout=\"{layout}\".")
        return order, False
    if is_own:
        return "yx", False
    if layout is not None:
        return ("xy" if layout == "xy" else "declared"), False
    return "declared", axes[0].size == axes[1].size


def _surface(file, key, axes, order, flips):
    """One dataset as (ny, nx), or (nx,) on a line; None when it was never written."""
    nx, ny = axes[0].size, axes[-1].size
    shapes = {"x": {(nx,)}, "yx": {(ny, nx)}, "xy": {(nx, ny)}, "declared": {(ny, nx), (nx, ny)}}[order]
    values = file.array(key, shapes=shapes)
    if values is None:
        return None
    if order == "xy":
        values = values.T
    elif order == "declared" and values.shape != (ny, nx):
        values = values.reshape(ny, nx)                # x runs fastest, whatever the declared shape says
    for axis, is_flipped in zip(range(values.ndim - 1, -1, -1), flips):
        values = np.flip(values, axis) if is_flipped else values
    return np.ascontiguousarray(values)


def _own_extras(file, axes, order, flips, warnings):
    extra = {}
    n = len(axes)
    if file.has("fpkit/gram"):
        gram = file.array("fpkit/gram", shapes={(n, n)})
        if gram is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                is_metric = np.isfinite(gram).all() and np.allclose(gram, gram.T, rtol=1e-9, atol=0) and (np.linalg.eigvalsh(gram) > 0).all()
            # a flip reorders the samples and keeps the coordinates, so G stays as it is
            if is_metric:
                extra["gram"] = (gram + gram.T) / 2
            else:
                warnings.append("The Gram matrix in the file is not symmetric positive definite and is not used.")
    if file.has("fpkit/loss_stderr"):
        extra["loss_stderr"] = _surface(file, "fpkit/loss_stderr", axes, order, flips)
    # what the exporter measured: the SGD's noise in the plane, and the losses and distances of the checkpoints
    for group, names in (("temperature", ("tensor", "lr", "batch", "momentum")), ("trajectory", ("loss", "residual"))):
        found = {k: file.array(f"fpkit/{group}/{k}") for k in names if file.has(f"fpkit/{group}/{k}")}
        found = {k: v.item() if v.size == 1 and k != "tensor" else v.tolist() for k, v in found.items() if v is not None}
        if found:
            extra[group] = found
    text = file.text("fpkit/meta") if file.has("fpkit/meta") else None
    if text is not None:
        meta = _json(text)
        if meta is None:
            warnings.append("The description in /fpkit/meta is not readable JSON and is left out.")
        else:
            extra["meta"] = meta
    return extra


def _json(text, depth=20):
    """The object in a JSON text, None when it is none or nested deeper than `depth`."""
    level = deepest = 0
    for c in re.sub(r'"(?:[^"\\]|\\.)*"', "", text):
        level += (c in "[{") - (c in "]}")
        deepest = max(deepest, level)
    if deepest > depth:
        return None
    try:
        found = json.loads(text, parse_constant=lambda name: None)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else {"value": found}


def _trajectory(file, ndim, warnings):
    """Points (n, ndim) of the optimiser on the plane and their steps, or None."""
    for names in (("fpkit/trajectory/x", "fpkit/trajectory/y"), ("proj_xcoord", "proj_ycoord")):
        if not all(file.has(k) for k in names[:ndim]):
            continue
        columns = [file.array(k, ndim=1) for k in names[:ndim]]
        if any(c is None for c in columns) or len({c.size for c in columns}) != 1 or not np.isfinite(columns).all():
            warnings.append("The trajectory in the file is incomplete or not finite and is left out.")
            return None, None
        steps = file.array("fpkit/trajectory/step", ndim=1) if file.has("fpkit/trajectory/step") else None
        if steps is not None and (steps.size != columns[0].size or not np.isfinite(steps).all()):
            steps = None
        return np.stack(columns, axis=-1), steps
    return None, None


def _dir_file(file):
    """Where the producer kept the directions: a text to show, never a path to open."""
    for key in ("dir_file", "dir_path"):
        try:
            text = file.text(key)
        except LandscapeFormatError:
            text = None
        if text is not None:
            return text
    return None


def _name_hints(path):
    """What the file name of tomgoldstein's writer tells: kind of directions, what was left out, their norm."""
    name = os.path.basename(path)
    hints = {k: m.group(1) for k in ("xignore", "yignore", "xnorm", "ynorm") if (m := re.search(rf"{k}=([A-Za-z0-9]+)", name))}
    if (m := re.search(r"_(states|weights)(?=[_.])", name)):
        hints["direction_kind"] = m.group(1)
    return {"name_hints": hints} if hints else {}


# ---- what is in a file, without analysing it ----

def describe(path):
    """What an HDF5 file of a loss landscape holds, as a plain dictionary; `fpkit info` prints it.

    Surfaces, trajectories, direction files and surfaces that were set up but never computed are told apart by their
    content. Files that may not be read raise LandscapeFormatError.

    Examples
    --------
    >>> from fpkit.cli import demo_file
    >>> describe(demo_file())["kind"]
    'surface'
    """
    with open_checked(path) as file:
        names = file.names()
        facts = {"file": os.path.basename(file.path), "bytes": file.size, "keys": names[:100]}
        attributes = file.attributes()
        has_loss = any(file.has(k) for k in LOSS_KEYS)
        if file.has("xcoordinates") and has_loss:
            facts["kind"] = "surface"
        elif file.has("xcoordinates"):
            axes, _ = _axes(file, [])
            facts |= {"kind": "set up, never computed", "shape": [a.size for a in axes[::-1]], **_ranges(axes),
                      "analysis": "refused: the file holds coordinates and no loss"}
        elif file.has("proj_xcoord"):
            x = file.array("proj_xcoord", ndim=1)
            y = file.array("proj_ycoord", ndim=1) if file.has("proj_ycoord") else None
            if x is None or (y is not None and y.size != x.size):
                file.fail("proj_xcoord", "the coordinates of the trajectory do not fit together")
            points = np.stack([x] if y is None else [x, y], axis=-1)
            facts |= {"kind": "trajectory", "points": len(points), "first": points[0].tolist(), "last": points[-1].tolist(),
                      "analysis": "refused: a trajectory without a surface"}
        elif file.has("xdirection"):
            tensors = file.names("xdirection")
            facts |= {"kind": "directions", "tensors": len(tensors), "analysis": "refused: directions without a surface"}
        else:
            facts |= {"kind": "unknown", "analysis": "refused: no layout that is known here"}
        if facts["kind"] != "surface":
            facts["dir_file"] = _dir_file(file)
            if attributes:
                facts["attributes"] = attributes
            return facts
    land = read_landscape(path)
    facts |= land.to_dict()
    facts["file"] = os.path.basename(os.fspath(path))
    facts["analysis"] = f"refused: {land.refusal}" if land.refusal else "possible"
    return facts


def _ranges(axes):
    return {name: [float(a[0]), float(a[-1])] for name, a in zip("xyz", axes)}
