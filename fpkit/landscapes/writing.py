"""Write a loss landscape in the fpkit HDF5 schema 1.0, whole or not at all."""
from __future__ import annotations

import datetime
import json
import os

import numpy as np

from ..core import checks
from ..core.files import replacing

FORMAT, FORMAT_VERSION = "fpkit-landscape", "1.0"
SURFACES = ("train_loss", "train_acc", "test_loss", "test_acc")
PENDING, OK, NOT_FINITE = 0, 1, 2                    # values of /fpkit/status


def write_landscape(path, x, y, surfaces, gram=None, trajectory=None, meta=None, n_params=None, is_pending=None, created_by=None,
                    created_utc="now"):
    """Write a plane (or a line) of loss values to an HDF5 file.

    The file is written under a temporary name in the same folder, brought to the disk and then renamed: a kill leaves
    the old file or the new one, never half a file.

    Parameters
    ----------
    path : str or path
        File to make or to replace.
    x, y : ndarray, shapes (nx,) and (ny,)
        Increasing coordinates; ``y=None`` for a line.
    surfaces : dict
        ``train_loss``, ``train_acc``, ``test_loss``, ``test_acc`` (at least one loss) of shape (ny, nx), index [iy, ix]
        (a line: (nx,)); NaN where the value is missing or not finite. Accuracies in per cent, as in the files of
        tomgoldstein/loss-landscape, whose plotters read this layout.
    gram : ndarray, shape (2, 2), optional
        Inner products of the two directions: the metric, without which times are in arbitrary units.
    trajectory : dict, optional
        ``x, y, step, loss, residual``, arrays of one length: projected checkpoints, with residual = |v - Pv| / |v|.
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

    Examples
    --------
    >>> import os, tempfile
    >>> from fpkit.landscapes.writing import write_landscape
    >>> path = os.path.join(tempfile.mkdtemp(), "bowl.h5")
    >>> x, y = np.linspace(-1, 1, 5), np.linspace(0, 1, 4)
    >>> write_landscape(path, x, y, {"train_loss": x**2 + y[:, None]}) == path
    True
    """
    path = os.fspath(path)
    x = _coordinates("x", x)
    y = None if y is None else _coordinates("y", y)
    shape = x.shape if y is None else (y.size, x.size)
    arrays = {name: _surface(name, values, shape) for name, values in surfaces.items()}
    if not {"train_loss", "test_loss"} & set(arrays):
        raise ValueError(f"surfaces must hold train_loss or test_loss, got {', '.join(arrays) or 'nothing'}.")
    status = np.full(shape, OK, "u1")
    for name, values in arrays.items():
        if name.endswith("loss"):
            status[~np.isfinite(values)] = NOT_FINITE
    if is_pending is not None:
        status[np.asarray(is_pending, bool)] = PENDING
    text = json.dumps(meta or {}, allow_nan=False, sort_keys=True)
    with replacing(path) as temporary:
        import h5py

        with h5py.File(temporary, "w", libver=("earliest", "v110")) as file:
            file["xcoordinates"] = x
            if y is not None:
                file["ycoordinates"] = y
            for name, values in arrays.items():
                # a chunk that was never written must read as missing and not as a perfect minimum
                file.create_dataset(name, data=values, chunks=_chunks(shape), compression="gzip", fletcher32=True, fillvalue=np.nan)
            own = file.create_group("fpkit")
            own.create_dataset("status", data=status)
            own["meta"] = text
            if gram is not None:
                own["gram"] = _gram(gram)
            if trajectory is not None:
                _write_trajectory(file, trajectory)
            attributes = {"format": FORMAT, "format_version": FORMAT_VERSION, "axis_order": "yx",
                          "created_by": created_by or _this_program(), "complete": np.uint8((status != PENDING).all())}
            if n_params is not None:
                attributes["n_params"] = checks.whole("n_params", n_params, 1)
            if created_utc is not None:
                now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
                attributes["created_utc"] = now if created_utc == "now" else str(created_utc)
            file.attrs.update(attributes)
    return path


def _coordinates(name, values):
    values = np.asarray(values, "<f8")
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all() or not (np.diff(values) > 0).all():
        raise ValueError(f"{name} must be at least two finite increasing numbers, got {checks.shown(values)}.")
    return values


def _surface(name, values, shape):
    checks.choice("surface", name, SURFACES)
    values = np.asarray(values, "<f8")
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}, expected {shape}: rows are y, columns are x.")
    return np.where(np.isfinite(values), values, np.nan)


def _gram(gram):
    gram = np.asarray(gram, "<f8")
    if gram.shape != (2, 2) or not np.allclose(gram, gram.T, rtol=1e-12) or not (np.linalg.eigvalsh(gram) > 0).all():
        raise ValueError(f"gram must be the symmetric positive 2x2 matrix of inner products of the two directions, got {checks.shown(gram)}.")
    return gram


def _write_trajectory(file, trajectory):
    group, sizes = file.create_group("fpkit/trajectory"), set()
    for key in ("x", "y", "step", "loss", "residual"):
        values = np.asarray(trajectory[key], "<i8" if key == "step" else "<f8")
        group[key] = values
        sizes.add(values.shape)
    if len(sizes) != 1:
        raise ValueError(f"the arrays of the trajectory must have one length, got shapes {sorted(sizes)}.")
    # goldstein's names for the same points
    file["proj_xcoord"], file["proj_ycoord"] = group["x"][...], group["y"][...]


def _chunks(shape):
    """The whole array as one chunk while it fits in 1 MiB, else as many rows as do."""
    rows = max(1, min(shape[0], 2**17 // int(np.prod(shape[1:], dtype=int))))
    return (rows, *shape[1:])


def _this_program():
    import fpkit

    return f"fpkit {fpkit.__version__}"
