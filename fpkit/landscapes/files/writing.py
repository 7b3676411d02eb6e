"""Write a loss landscape in the fpkit HDF5 schema 1.0, whole or not at all."""
from __future__ import annotations

import datetime
import json
import os

import numpy as np
from numpy.typing import ArrayLike

from ... import __version__
from ...core import checks, hdf5
from ..surface.cells import NOT_FINITE, OK, PENDING

FORMAT, FORMAT_VERSION = "fpkit-landscape", "1.0"
SURFACES = ("train_loss", "train_acc", "test_loss", "test_acc")
MAX_CHUNK = 2**20                                    # bytes


def write_landscape(path: str | os.PathLike, x: ArrayLike,
                    y: ArrayLike | None, surfaces: dict[str, ArrayLike], gram: ArrayLike | None = None,
                    trajectory: dict | None = None, meta: dict | None = None, n_params: int | None = None,
                    is_pending: ArrayLike | None = None, created_by: str | None = None,
                    created_utc: str | None = "now", z: ArrayLike | None = None,
                    status: ArrayLike | None = None, others: dict | None = None, own: dict | None = None,
                    attributes: dict | None = None, is_complete: bool = True) -> str:
    """Write a plane (or a line, or a space) of loss values to an HDF5 file.

    The file is written under a temporary name in the same folder, brought to the disk and then renamed: a
    kill leaves the old file or the new one, never half a file.

    Parameters
    ----------
    path : str or path
        File to make or to replace.
    x, y, z : ndarray, shapes (nx,), (ny,), (nz,)
        Increasing coordinates; ``y=None`` for a line, ``z=None`` unless the landscape has three axes.
    surfaces : dict
        ``train_loss``, ``train_acc``, ``test_loss``, ``test_acc`` (at least one loss) of shape (ny, nx),
        index [iy, ix] (a line: (nx,); a space: (nz, ny, nx)); NaN where the value is missing or not finite.
        Accuracies in per cent, as in the files of tomgoldstein/loss-landscape, whose plotters read this
        layout.
    gram : ndarray, shape (ndim, ndim), optional
        Inner products of the directions: the metric, without which times are in arbitrary units.
    trajectory : dict, optional
        ``x, y, step, loss, residual``, arrays of one length: projected checkpoints, with residual = |v - Pv|
        / |v|.
    meta : dict, optional
        Anything JSON can hold: data set, model, seed, recipe, kind of plane, weight decay.
    n_params : int, optional
        Number of parameters of the network.
    is_pending : ndarray of bool, shape of the surfaces, optional
        Points not yet computed; the file is then marked as unfinished.
    created_by : str, optional
        Program and version; default fpkit's.
    created_utc : str or None
        Time of creation; "now", or None to leave it out so that equal data give equal bytes.
    status : ndarray of int, optional
        0 pending, 1 computed, 2 not finite, 3 failed; default from the values and `is_pending`.
    others : dict, optional
        Further arrays for the root of the file, under names that are not the schema's (min_eig,
        adversarial_loss).
    own : dict, optional
        Further entries of the group /fpkit, arrays or texts: loss_stderr, origin_norm, temperature/tensor,
        hessian/logdet_perp, noise/xx, noise/xy, noise/yy (covariance of single samples' slopes).
    attributes : dict, optional
        Further attributes of the root.
    is_complete : bool
        False when something else than a point of the grid is still to be computed.

    Returns
    -------
    path : str

    Examples
    --------
    >>> import os, tempfile
    >>> from fpkit.landscapes.files.writing import write_landscape
    >>> path = os.path.join(tempfile.mkdtemp(), "bowl.h5")
    >>> x, y = np.linspace(-1, 1, 5), np.linspace(0, 1, 4)
    >>> write_landscape(path, x, y, {"train_loss": x**2 + y[:, None]}) == path
    True
    """
    path = os.fspath(path)
    axes = {name: _coordinates(name, a) for name, a in (("x", x), ("y", y), ("z", z)) if a is not None}
    if tuple(axes) != tuple("xyz"[:len(axes)]):
        raise ValueError("z was given without y; a landscape has the axes x, or x and y, or x, y and z.")
    shape = tuple(a.size for a in axes.values())[::-1]
    arrays = {name: _surface(name, values, shape) for name, values in surfaces.items()}
    if not {"train_loss", "test_loss"} & set(arrays):
        raise ValueError(f"surfaces must hold train_loss or test_loss, got {', '.join(arrays) or 'nothing'}.")
    status = _status(arrays, shape, is_pending, status)
    extra = dict(own or {})
    extra["status"], extra["meta"] = status, json.dumps(meta or {}, allow_nan=False, sort_keys=True)
    if gram is not None:
        extra["gram"] = _gram(gram, len(axes))
    if trajectory is not None:
        extra |= {f"trajectory/{key}": values for key, values in _trajectory(trajectory, tuple(axes)).items()}
    described = {**(attributes or {}), "format": FORMAT, "format_version": FORMAT_VERSION, "axis_order": "zyx"
                 if len(axes) == 3 else "yx", "created_by": created_by or f"fpkit {__version__}",
                 "complete": np.uint8(is_complete and (status != PENDING).all())}
    if n_params is not None:
        described["n_params"] = checks.whole("n_params", n_params, 1)
    if created_utc is not None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        described["created_utc"] = now if created_utc == "now" else str(created_utc)
    with hdf5.written(path, libver=("earliest", "v110")) as file:
        for name, a in axes.items():
            file[f"{name}coordinates"] = a
        for name, values in arrays.items():
            _write_surface(file, name, values)
        for name, values in sorted((others or {}).items()):
            if name not in file:
                file[name] = values
        for name, values in sorted(extra.items()):
            name = f"fpkit/{name}"
            if np.shape(values) == shape and name != "fpkit/status":
                _write_surface(file, name, values)
            else:
                file[name] = values
        if trajectory is not None:                # goldstein's names for the same points
            for name in axes:
                file[f"proj_{name}coord"] = extra[f"trajectory/{name}"]
        file.attrs.update(described)
    return path


def _write_surface(file, name, values):
    # a chunk that was never written must read as missing and not as a perfect minimum
    file.create_dataset(name, data=values, chunks=_chunks(values.shape), compression="gzip", fletcher32=True,
                        fillvalue=np.nan)


def _coordinates(name, values):
    values = np.asarray(values, "<f8")
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all() or not (np.diff(values)
                                                                                    > 0).all():
        raise ValueError(f"{name} must be at least two finite increasing numbers, got "
                         f"{checks.shown(values)}.")
    return values


def _surface(name, values, shape):
    checks.choice("surface", name, SURFACES)
    values = np.asarray(values, "<f8")
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}, expected {shape}: rows are y, columns are x.")
    return np.where(np.isfinite(values), values, np.nan)


def _status(arrays, shape, is_pending, status):
    if status is None:
        potential = arrays.get("train_loss", arrays.get("test_loss"))
        status = np.where(np.isfinite(potential), OK, NOT_FINITE)
    status = np.array(status, "u1")
    if status.shape != shape:
        raise ValueError(f"the status has shape {status.shape}, expected {shape} as the surfaces.")
    if is_pending is not None:
        status[np.asarray(is_pending, bool)] = PENDING
    return status


def _gram(gram, ndim):
    gram = np.asarray(gram, "<f8")
    if gram.shape != (ndim, ndim) or not np.allclose(gram, gram.T,
                                                     rtol=1e-12) or not (np.linalg.eigvalsh(gram) > 0).all():
        raise ValueError(f"gram must be the symmetric positive {ndim}x{ndim} matrix of inner products of the "
                         f"directions, got {checks.shown(gram)}.")
    return gram


def _trajectory(trajectory, axes):
    found = {key: np.asarray(trajectory[key], "<i8" if key == "step" else "<f8")
             for key in (*axes, "step", "loss", "residual")}
    if len({a.shape for a in found.values()}) != 1:
        raise ValueError("the arrays of the trajectory must have one length, got shapes "
                         f"{sorted({a.shape for a in found.values()})}.")
    return found


def _chunks(shape):
    """The whole array as one chunk while it fits in 1 MiB, else as many leading rows as do (or, of huge rows,
    pieces)."""
    chunk, room = [], MAX_CHUNK // 8
    for n in shape[::-1]:
        chunk.append(max(1, min(n, room)))
        room //= chunk[-1]
    return tuple(chunk[::-1])
