"""Writing a landscape that was read: fpkit's schema, Landscaper's archive, VTK, netCDF, topsearch's texts."""
from __future__ import annotations

import os
import threading

import numpy as np

from ...core.files import replacing
from ..surface.cells import NOT_FINITE, OK, PENDING
from .checked_hdf5 import LandscapeFormatError
from .directions import read_directions
from .topsearch import network_of
from .writing import SURFACES, write_landscape

_NETCDF = threading.Lock()           # the library behind it crashes when two threads write at once
# attributes that are made anew
KEPT = ("format", "format_version", "axis_order", "complete", "created_by", "n_params")


def save(land, path):
    """See `Landscape.save`."""
    path = os.fspath(path)
    ending = os.path.splitext(path)[1].lower()
    writer = {".h5": _hdf5, ".hdf5": _hdf5, ".npz": _npz, ".vtk": _vtk, ".vti": _vti, ".vts": _vts,
              ".csv": _csv, ".nc": _netcdf,
              "": lambda land, path: network_of(land).write(path)}.get(ending)
    if writer is None:
        raise ValueError("a landscape is written as .h5, .npz, .csv, .vtk, .vti, .vts, .nc, or without "
                         f"ending as a folder of topsearch's texts; got {ending!r}.")
    writer(land, path)
    return path


def _hdf5(land, path):
    attributes = land.meta.get("attributes", {})
    surfaces = {n: a for n, a in land.surfaces.items() if n in SURFACES}
    if not {"train_loss", "test_loss"} & set(surfaces):
        surfaces["train_loss"] = land.loss
    status = np.select([land.unfinished, land.diverged], [PENDING, NOT_FINITE], OK)
    own = {n[6:]: v for n, v in land.others.items() if n.startswith("fpkit/")}
    own |= {n: v for n, v in (("loss_stderr", land.loss_stderr), ("origin_norm", land.origin_norm),
                              ("hessian/logdet_perp", land.logdet_perp)) if v is not None}
    if land.gradient_noise is not None:
        own |= {f"noise/{'xyz'[i]}{'xyz'[j]}": np.ascontiguousarray(land.gradient_noise[..., i, j])
                for i in range(land.ndim) for j in range(i, land.ndim)}
    own |= {"periodic": np.array(land.periodic, "u1")} if any(land.periodic) else {}
    own |= _directions(land)
    own |= {f"temperature/{n}": v for n, v in (land.temperature or {}).items() if n != "theta"}
    others = {n: v for n, v in land.others.items() if not n.startswith("fpkit/")}
    others |= {n: a for n, a in land.surfaces.items() if n not in surfaces and n != land.key}
    if land.meta.get("dir_file") is not None:
        others["dir_file"] = land.meta["dir_file"]
    trajectory = None
    if land.trajectory is not None:
        n = len(land.trajectory)
        known = {"step": land.trajectory_steps, "loss": land.trajectory_loss,
                 "residual": land.trajectory_residual}
        trajectory = {**dict(zip("xyz", land.trajectory.T)),
                      **{k: np.full(n, np.nan) if v is None else v for k, v in known.items()}}
        trajectory["step"] = np.arange(n) if known["step"] is None else known["step"]
    write_landscape(path, land.x, land.y, surfaces, land.gram,
                    trajectory, land.meta.get("meta"), attributes.get("n_params"), z=land.z, status=status,
                    others=others, own=own, attributes={n: v for n, v in attributes.items() if n not in KEPT},
                    created_utc=attributes.get("created_utc", "now"))


def _directions(land):
    """The directions that stand in the file the landscape was read from; they are not kept in memory."""
    if land.meta.get("format") != "fpkit-landscape":
        return {}
    try:
        return {f"directions/{n}": v for n, v in zip("xyz", read_directions(land.path).vectors)}
    except LandscapeFormatError:
        return {}


def _npz(land, path):
    arrays = ({"loss": land.loss.T, "coordinates": np.array(land.axes)} if len(set(land.shape)) == 1 else
              {**dict(zip("xyz", land.axes)), "loss": land.loss})
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **arrays)


def _vtk(land, path):
    """Legacy VTK, a rectilinear grid: x runs fastest, as in the arrays here; NaN where a cell is not
    valid."""
    numbers = lambda a: " ".join(f"{v:.17g}" for v in np.ravel(a).tolist())
    axes = [*land.axes, *[np.zeros(1)] * (3 - land.ndim)]
    lines = ["# vtk DataFile Version 3.0", f"{land.key} by fpkit", "ASCII", "DATASET RECTILINEAR_GRID",
             "DIMENSIONS " + " ".join(str(a.size) for a in axes)]
    for name, a in zip("XYZ", axes):
        lines += [f"{name}_COORDINATES {a.size} double", numbers(a)]
    lines.append(f"POINT_DATA {land.loss.size}")
    for name, a in land.surfaces.items():
        lines += [f"SCALARS {name} double 1", "LOOKUP_TABLE default",
                  *(numbers(row) for row in a.reshape(-1, a.shape[-1]))]
    with replacing(path) as temporary, open(temporary, "w", encoding="ascii") as stream:
        stream.writelines(line + "\n" for line in lines)


def _vti(land, path):
    """VTK's XML image data for ParaView: evenly spaced samples, x fastest; NaN where a cell is not valid."""
    if not land.is_uniform:
        raise ValueError("image data (.vti) needs even spacing; write a rectilinear grid (.vtk).")
    three = lambda values, fill: " ".join(f"{v:.17g}" for v in [*values, *[fill] * (3 - land.ndim)])
    _vtk_xml(land, path, "ImageData", f'Origin="{three((a[0] for a in land.axes), 0.0)}" '
             f'Spacing="{three(land.spacing, 1.0)}"')


def _vts(land, path):
    """VTK's XML structured grid for ParaView: any spacing, points (x, y, 0)."""
    mesh = np.meshgrid(*land.axes[::-1], indexing="ij")[::-1]
    points = np.stack([*mesh, *[np.zeros(land.shape)] * (3 - land.ndim)], axis=-1)
    _vtk_xml(land, path, "StructuredGrid", "", ["<Points>", *_data_array("points", points, 3), "</Points>"])


def _vtk_xml(land, path, kind, geometry, points=()):
    extent = " ".join(f"0 {n - 1}" for n in [*land.shape[::-1], *[1] * (3 - land.ndim)])
    lines = ['<?xml version="1.0"?>', f'<VTKFile type="{kind}" version="0.1" byte_order="LittleEndian">',
             f'<{kind} WholeExtent="{extent}" {geometry}>',
             f'<Piece Extent="{extent}"><PointData Scalars="{land.key}">']
    for name, a in land.surfaces.items():
        lines += _data_array(name, a)
    lines += ["</PointData>", *points, f"</Piece></{kind}></VTKFile>"]
    with replacing(path) as temporary, open(temporary, "w", encoding="ascii") as stream:
        stream.writelines(line + "\n" for line in lines)


def _data_array(name, a, components=1):
    return [f'<DataArray type="Float64" Name="{name}" NumberOfComponents="{components}" format="ascii">',
            " ".join(f"{v:.17g}" for v in np.ravel(a).tolist()), "</DataArray>"]


def _netcdf(land, path):
    """netCDF through xarray: the surfaces over named coordinates, the metric as an attribute."""
    try:
        dataset = land.to_xarray()[[n for n, a in land.surfaces.items() if a.shape == land.shape]]
    except ImportError:
        raise ValueError("netCDF is written through xarray, which is not installed: pip install xarray "
                         "netCDF4.") from None
    dataset.attrs = {"title": land.name, "source": "fpkit"}
    if land.gram is not None:
        dataset.attrs["gram"] = land.gram.ravel()            # row by row
    if any(land.periodic):
        dataset.attrs["periodic"] = np.array(land.periodic, "i4")
    with _NETCDF, replacing(path) as temporary:
        dataset.to_netcdf(temporary)


def _csv(land, path):
    """Rows x, y, then every surface; what is not valid is empty."""
    names = [n for n, a in land.surfaces.items() if a.shape == land.shape]
    mesh = np.meshgrid(*land.axes[::-1], indexing="ij")[::-1]
    columns = [*(m.ravel() for m in mesh), *(land.surfaces[n].ravel() for n in names)]
    with replacing(path) as temporary, open(temporary, "w", encoding="ascii") as stream:
        stream.write(",".join([*"xyz"[:land.ndim], *names]) + "\n")
        stream.writelines(",".join("" if np.isnan(v) else f"{v:.17g}" for v in row) + "\n"
                          for row in zip(*columns))
