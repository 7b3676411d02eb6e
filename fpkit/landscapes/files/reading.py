"""Read a loss landscape that this or another program exported: HDF5, NumPy files, networks of stationary
points."""
from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core import checks
from ...core.calls import understood
from ..files.topsearch import Network
from ..surface.cells import classify
from ..surface.landscape import Landscape
from .checked_hdf5 import PICKLE, LandscapeFormatError, content_of, open_checked
from .directions import read_directions
from .hdf5_layouts import LOSSES, POINT, axes_of, dir_file, is_metric, read_hdf5, trajectory_of
from .numpy_files import read_arrays
from .numpy_layouts import COORDINATES, VALUES, parts_of
from .tables import of_object, read_mat, read_text
from .topsearch import is_network, read_network

__all__ = ["read_landscape", "describe", "Landscape", "LandscapeFormatError"]


@understood
def read_landscape(path: Any, key: str | None = None, layout: str | None = None, allow_partial: bool = False,
                   *, x: ArrayLike | None = None, y: ArrayLike | None = None, z: ArrayLike | None = None,
                   periodic: bool | str = False, x_key: str | None = None, y_key: str | None = None,
                   fix_serpentine: bool = False, every: int = 1, directions: str | os.PathLike | None = None,
                   trajectory: str | os.PathLike | None = None) -> Landscape | Network:
    """Loss landscape of a file, told by its content; nothing in it is executed, no link or path in it is
    followed, no size is trusted.

    ===================  ===================================================================================
    layout               what is read
    ===================  ===================================================================================
    tomgoldstein's HDF5  xcoordinates, ycoordinates, train_loss, test_loss, train_acc, test_acc (also forks)
    fpkit's HDF5         the same with metric, status, trajectory, temperature and description in /fpkit
    losscape's HDF5      X, Y, losses
    one dataset a point  loss_i_j, acc_i_j; needs x and y
    Landscaper's .npz    loss, coordinates
    mode connectivity    plane.npz: alphas, betas, grid, tr_loss, te_loss, ..., bend_coordinates
    other .npz, .npy     coordinates under common names, or x and y; rows x, y, loss
    other HDF5, .mat     x, y, loss under common names, or `key`, `x_key`, `y_key`
    .json                x, y, loss as lists
    CSV, blanks          a grid, or rows x, y, loss in any order, with or without a heading
    PLUMED, GROMACS      fes.dat, .xpm: free energies, in the units of the file
    DataFrame/DataArray  pandas' rows or xarray's grid, instead of a path
    topsearch's texts    min.data, min.coords, ts.data, ts.coords: a folder, or its min.data; a `Network`
    ===================  ===================================================================================

    Pickles are refused: loading one runs its code.

    Parameters
    ----------
    path : str or path
    key : str, optional
        The dataset to analyse as potential. Default: "train_loss", else "test_loss".
    layout : {"yx", "xy"}, optional
        Index order of the stored array, for files that do not say: "yx" is loss[i, j] = f(x_j, y_i), the
        default; "xy" is loss[i, j] = f(x_i, y_j). An attribute `axis_order` in the file wins.
    allow_partial : bool
        Let `analyse` work on a surface that was not computed to the end.
    x, y, z : (low, high) or ndarray, optional
        Coordinates, for files without.
    periodic : bool, str or sequence of bool
        Axes that close on themselves (angles): True for all, "x", "y", "xy", ..., or one truth value an axis.
        PLUMED's files tell it.
    x_key, y_key : str, optional
        Arrays of the file that are the coordinates, where they have other names than the common ones.
    fix_serpentine : bool
        Undo the zig-zag of loss-landscapes 3.0.6, whose even rows are shifted by one sample.
    every : int
        Keep each n-th sample along each axis: the coarse grids of an interrupted export are complete.
    directions : str or path, optional
        Direction file of the plane: its Gram matrix becomes the metric.
    trajectory : str or path, optional
        Projection file (proj_xcoord, proj_ycoord) of tomgoldstein's program, or a landscape with a
        trajectory. With `directions` its 'cos' projection, an arc length along each direction, is turned into
        coordinates by G^-1.

    Returns
    -------
    Landscape

    Raises
    ------
    LandscapeFormatError
        Whatever is wrong with the file, with `.path`, `.key` and `.reason`; a ValueError.

    Notes
    -----
    tomgoldstein's writer declares the shape (nx, ny) but fills it with x running fastest. For nx == ny the
    matrix is therefore right as it stands, [y, x]; for nx != ny it is scrambled, and only ``flat.reshape(ny,
    nx)`` is right.
    """
    if layout is not None:
        checks.choice("layout", layout, ("yx", "xy"))
    every = checks.whole("every", every, 1)
    given, named = {"x": x, "y": y, "z": z}, {"x": x_key, "y": y_key}
    table = of_object(path)
    if table is not None:
        parts = parts_of(f"<{table[1]['format']}>", *table, key, layout, given, named=named)
        return _landscape(f"<{table[1]['format']}>", _closed(parts, periodic), allow_partial, every)
    path = _path_of(path)
    if is_network(path):
        return read_network(path)
    content = content_of(path)[0]
    if content in ("npy", "npz", "text", "mat"):
        arrays, facts = (read_text(path) if content == "text" else read_mat(path) if content == "mat"
                         else (read_arrays(path), {"format": "NumPy"}))
        parts = parts_of(path, arrays, facts, key, layout, given, fix_serpentine, named)
    elif fix_serpentine:
        raise ValueError("fix_serpentine is for the arrays of loss-landscapes, saved by numpy.save.")
    else:
        with open_checked(path) as file:
            found = named_arrays(file, key, named)
            if found is None:
                parts = read_hdf5(file, key, layout, given)
            else:
                arrays, loss, order = found
                parts = parts_of(path, arrays, {"format": "HDF5"}, loss, layout or order, given,
                                 fix_serpentine, named)
                parts.is_key_given = key is not None
                parts.extra |= _told_by_attributes(file.attributes(), len(parts.axes))
    if directions is not None:
        _add_directions(parts, directions)
    if trajectory is not None:
        _add_trajectory(parts, trajectory)
    return _landscape(path, _closed(parts, periodic), allow_partial, every)


def named_arrays(file, key, named):
    """(arrays of an HDF5 file of no known layout by name, the loss's name where it is told or the only one,
    the index order that netCDF's dimensions tell or None); None where there is no loss among them.

    They stand at the root or in the group of the loss; what the caller names, and coordinates that only one
    place in the file holds, stand anywhere down to one group.
    """
    names, asked = file.names(limit=200), [n for n in (key, *named.values()) if n]
    known = ("xcoordinates" in names or {"X", "Y", "losses"} <= set(names)
             or any(POINT.fullmatch(n) for n in names))
    if known and not any(named.values()):
        return None
    paths, bare = file.paths(), lambda path: path.rpartition("/")[2]
    if key is None:
        losses = [p for p in paths if bare(p) in VALUES]
        at_root = [p for p in losses if p == bare(p)]
        if not at_root and len(losses) != 1 and not any(named.values()):
            return None
        if not at_root and len(losses) == 1:
            key = losses[0]
        asked += [key] if key else at_root
    home = key.rpartition("/")[0] if key else ""
    found = {bare(p): p for p in paths if p.rpartition("/")[0] == home}
    for common in COORDINATES.values():
        places = [p for p in paths if bare(p) in common]
        if len(places) == 1:
            found.setdefault(bare(places[0]), places[0])
    found = {n: p for n, p in found.items() if p not in asked and file.dataset(p).dtype.kind in "fiu"}
    arrays = {n: file.array(p) for n, p in {**found, **{p: p for p in asked if file.has(p)}}.items()}
    ids = [next((i for n in COORDINATES[axis] if n in found
                 for i in file.integers(found[n], "_Netcdf4Dimid")), None) for axis in "xy"]
    told = [file.integers(p, "_Netcdf4Coordinates") for p in asked if file.has(p) and not file.is_group(p)]
    order = "xy" if ids in told else "yx" if ids[::-1] in told else None
    return {n: a.ravel() if min(a.shape, default=0) == 1 else a for n, a in arrays.items()
            if a is not None}, key, order


def _told_by_attributes(attributes, n):
    """Metric and periodic axes that fpkit's netCDF files tell."""
    found = {}
    gram, rings = (np.array(a if isinstance(a, list) else [], float)
                   for a in (attributes.get("gram"), attributes.get("periodic")))
    if gram.size == n * n and is_metric(gram.reshape(n, n)):
        found["gram"] = gram.reshape(n, n)
    if rings.shape == (n,) and rings.any():
        found["periodic"] = tuple(bool(v) for v in rings)
    return found


def _closed(parts, periodic):
    """The parts with their periodic axes; a last sample that repeats the first one is left out."""
    told, names = parts.extra.get("periodic", ()), "xyz"[:len(parts.axes)]
    if isinstance(periodic, (bool, np.bool_)):
        asked = [bool(periodic)] * len(names)
    elif isinstance(periodic, str) and set(periodic) <= set(names) and len(set(periodic)) == len(periodic):
        asked = [n in periodic for n in names]
    elif isinstance(periodic, (tuple, list)) and len(periodic) == len(names) and all(
            isinstance(a, (bool, np.bool_)) for a in periodic):
        asked = [bool(a) for a in periodic]
    else:
        raise ValueError(f"periodic must be True, False, names of axes among {names!r} or one truth value an "
                         f"axis, got {checks.shown(periodic)}.")
    if not any(asked) and not any(told):
        return parts
    closed = [a or (k < len(told) and bool(told[k])) for k, a in enumerate(asked)]
    for k, is_ring in enumerate(closed):
        axis = len(parts.axes) - 1 - k
        surface = parts.stored[parts.key]
        first, last = (np.take(surface, i, axis) for i in (0, -1))
        known = surface[np.isfinite(surface)]
        close = 1e-6 * np.ptp(known) if known.size else 0.0
        same = np.isclose(first, last, rtol=0.0, atol=close, equal_nan=True)
        if is_ring and same.all() and parts.axes[k].size > 3:
            cut = lambda a, axis=axis, n=parts.axes[k].size: (np.delete(a, -1, axis)
                                                              if isinstance(a, np.ndarray) and a.ndim > axis
                                                              and a.shape[axis] == n else a)
            parts.stored = {n: cut(a) for n, a in parts.stored.items()}
            parts.status, parts.pending = cut(parts.status), cut(parts.pending)
            parts.axes[k] = parts.axes[k][:-1].copy()
            parts.warnings.append(f"The last sample along {'xyz'[k]} repeats the first and is left out.")
    parts.extra["periodic"] = tuple(closed)
    return parts


def _path_of(path):
    try:
        path = os.fspath(path)
    except TypeError:
        raise TypeError(f"a landscape is read from a path, got {type(path).__name__}.") from None
    return os.fsdecode(path)


def _add_directions(parts, path):
    found, n = read_directions(path), len(parts.axes)
    if found.ndim != n:
        raise LandscapeFormatError(path, None, f"{found.ndim} direction(s) do not belong to a landscape with "
                                   f"{n} axis(es)")
    if "gram" in parts.extra and not np.allclose(parts.extra["gram"], found.gram, rtol=1e-6):
        parts.warnings.append("The metric in the landscape file differs from that of the direction file, "
                              "which is used.")
    if found.left_out:
        parts.warnings.append(f"{len(found.left_out)} integer or 0-d tensors of the directions are left out "
                              "of the metric.")
    parts.extra["gram"] = found.gram
    parts.meta["directions"] = found.to_dict()


def _add_trajectory(parts, path):
    with open_checked(path) as file:
        found = trajectory_of(file, len(parts.axes), parts.warnings)
        is_coefficients = file.has("fpkit/trajectory/x") or "lstsq" in os.path.basename(file.path)
    if not found:
        raise LandscapeFormatError(path, "proj_xcoord", "there is no trajectory in this file")
    if not is_coefficients:
        gram = parts.extra.get("gram")
        if gram is not None:
            norms = np.sqrt(np.diag(gram))
            found["trajectory"] = np.linalg.solve(gram, (found["trajectory"] * norms).T).T
        else:
            parts.warnings.append("The trajectory is a 'cos' projection, arc lengths along the directions: "
                                  "they are coordinates of the plane only if the directions are orthonormal. "
                                  "The direction file (directions=...) would settle it.")
    for name in [n for n in parts.extra if n.startswith("trajectory")]:
        del parts.extra[name]
    parts.extra |= found


def _landscape(path, parts, allow_partial, every):
    """Classify the cells and freeze everything."""
    key, stored, warnings = parts.key, parts.stored, parts.warnings
    if every > 1:
        _thin(path, parts, every)
    classes = {name: _classes(parts, name) for name in stored if not name.endswith("_acc")}
    if (not parts.is_key_given and key == "train_loss" and "test_loss" in classes and classes[key][1].all()
        and classes["test_loss"][0].any()):
        warnings.append("The training loss was never computed; the test loss is the potential.")
        key = "test_loss"
    elif key == "test_loss" and "train_loss" not in stored:
        warnings.append("The potential is test_loss: the file holds no training loss.")
    elif key != "train_loss":
        warnings.append(f"The potential is {key}" + (", as asked." if parts.is_key_given
                                                     else ": the file holds no train_loss."))
    masked = {name: np.where(classes[name][0], values, np.nan)
              if name in classes else np.where(np.isfinite(values) & (values != -1), values, np.nan) for name,
              values in stored.items()}
    valid, unfinished, diverged, remarks = classes[key]
    warnings.extend(remarks)
    if diverged.any():
        warnings.append(f"{int(diverged.sum())} of {valid.size} cells diverged (NaN, infinite, or what a "
                        "parallel maximum left of NaN); they are outside the domain, behind walls that let "
                        "nothing through.")
    if unfinished.any():
        warnings.append(f"{int(unfinished.sum())} of {valid.size} cells were never computed.")
    if not valid.any():
        warnings.append("The surface has no valid cell.")
    elif (masked[key][valid] < 0).all():
        warnings.append("All losses are negative; they are read as they stand.")
    land = Landscape(path=path, key=key, axes=tuple(parts.axes), loss=masked[key],
                     surfaces=masked, stored=stored, valid=valid, unfinished=unfinished, diverged=diverged,
                     others=parts.others, meta=parts.meta, axis_order_assumed=parts.is_assumed,
                     allow_partial=bool(allow_partial), **parts.extra)
    if valid.any() and (n := land.n_components()) > 1:
        warnings.append(f"The valid cells fall into {n} parts that do not touch; each is a landscape of its "
                        "own.")
    object.__setattr__(land, "warnings", tuple(dict.fromkeys(warnings)))
    for array in (*stored.values(), *masked.values(), *parts.axes, valid, unfinished, diverged):
        array.setflags(write=False)
    return land


def _classes(parts, name):
    """Masks valid, unfinished, diverged of one loss, and remarks."""
    values = parts.stored[name]
    accuracy = parts.stored.get(name.replace("loss", "acc"))
    valid, unfinished, diverged, remarks = classify(values,
                                                    accuracy, parts.is_own, parts.status, parts.is_complete,
                                                    parts.format.startswith("tomgoldstein"))
    if parts.pending is not None and parts.pending.shape == values.shape:
        unfinished = unfinished | (parts.pending & np.isnan(values))
        diverged = diverged & ~unfinished
        valid = ~unfinished & ~diverged
    return valid, unfinished, diverged, remarks


def _thin(path, parts, every):
    """Keep each n-th sample of everything that lies on the grid."""
    shape = next(iter(parts.stored.values())).shape
    cut = (slice(None, None, every),) * len(shape)
    if min(len(range(0, n, every)) for n in shape) < 2:
        raise LandscapeFormatError(path, None, f"every={every} leaves fewer than two samples of "
                                   f"{' x '.join(map(str, shape[::-1]))}")
    thinned = lambda a: np.ascontiguousarray(a[cut]) if (
        isinstance(a, np.ndarray) and a.shape[:len(shape)] == shape) else a
    parts.axes = [a[::every].copy() for a in parts.axes]
    for table in (parts.stored, parts.others, parts.extra):
        for name in table:
            table[name] = thinned(table[name])
    parts.status, parts.pending = thinned(parts.status), thinned(parts.pending)
    parts.warnings.append(f"Each {every}th sample along each axis was kept.")


# ---- what is in a file, without analysing it ----

def describe(path: str | os.PathLike, read: Callable | None = None, key: str | None = None,
             **options) -> dict[str, Any]:
    """What a file of a loss landscape holds, as a plain dictionary; `fpkit info` prints it.

    Surfaces, trajectories, direction files, networks and surfaces that were set up but never computed are
    told apart by their content. Files that may not be read raise LandscapeFormatError. `options` are those of
    `read_landscape`, or `read` reads.

    Examples
    --------
    >>> from fpkit.cli import demo_file
    >>> describe(demo_file())["kind"]
    'surface'
    """
    path = _path_of(path)
    if is_network(path):
        return read_network(path).to_dict()
    content, size = content_of(path)
    facts = {"file": os.path.basename(path), "bytes": size}
    if content == "pickle":
        raise LandscapeFormatError(path, None, PICKLE)
    if content not in ("npy", "npz", "text", "mat"):
        with open_checked(path) as file:
            facts["keys"] = file.names(limit=100)
            found = _other_kind(file, key)
            if found:
                return facts | found
    land = read_landscape(path, key, **options) if read is None else read(path)
    facts |= {"kind": "surface", **land.to_dict(), "file": facts["file"]}
    facts["analysis"] = f"refused: {land.refusal}" if land.refusal else "possible"
    return facts


def _other_kind(file, key):
    """Facts of a file that holds no surface; None when it may hold one."""
    if file.has("xcoordinates"):
        if key is not None or any(file.has(k) for k in LOSSES):
            return None
        axes, _ = axes_of(file, [])
        found = {"kind": "set up, never computed", "shape": [a.size for a in axes[::-1]],
                 **{n: [float(a[0]), float(a[-1])] for n, a in zip("xyz", axes)},
                 "analysis": "refused: the file holds coordinates and no loss"}
    elif file.has("proj_xcoord"):
        names = [f"proj_{n}coord" for n in "xyz" if file.has(f"proj_{n}coord")]
        columns = [file.array(n, ndim=1) for n in names]
        if any(c is None for c in columns) or len({c.size for c in columns}) > 1 or not columns[0].size:
            file.fail("proj_xcoord", "the coordinates of the trajectory do not fit together")
        points = np.stack(columns, axis=-1)
        found = {"kind": "trajectory", "points": len(points), "first": points[0].tolist(),
                 "last": points[-1].tolist(), "analysis": "refused: a trajectory without a surface"}
    elif file.has("xdirection"):
        found = {"kind": "directions", "tensors": len(file.names("xdirection")),
                 **read_directions(file.path).to_dict(), "analysis": "refused: directions without a surface"}
    else:
        return None
    found["dir_file"] = dir_file(file)
    attributes = file.attributes()
    return found | ({"attributes": attributes} if attributes else {})
