"""Files that hold no surface which could be read: what they are, and the line that makes a surface of
them."""
from __future__ import annotations

EXPORT = "export a surface with fpkit.export_landscape(path, loss, fpkit.Plane.random(model))"
CHECKPOINT = f"this is a checkpoint of a model (a pickle), weights and no surface; {EXPORT}"
PIXELS = ("this is a picture ({0}), and colours are no losses; save the array that was drawn: "
          "np.savez('surface.npz', x=x, y=y, loss=loss)")
VTK = ("this is a VTK file; convert it: g = pyvista.read('{0}'); np.savez('surface.npz', "
       "x=np.unique(g.points[:, 0]), y=np.unique(g.points[:, 1]), loss=g.active_scalars.reshape(ny, nx))")


def refusal_of(head: bytes, name: str) -> str | None:
    """Why a file with these first bytes and this name holds no surface that could be read, and what converts
    it; None when nothing is known against it."""
    lower = name.lower()
    if lower.endswith((".pt", ".pth", ".ckpt", ".safetensors", ".onnx")):
        return CHECKPOINT
    for start, kind in ((b"\x89PNG", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF8", "GIF"), (b"%PDF", "PDF"),
                        (b"BM", "BMP"), (b"II*\0", "TIFF")):
        if head.startswith(start):
            return PIXELS.format(kind)
    if head.startswith(b"# vtk DataFile") or b"<VTKFile" in head or lower.endswith((".vtp", ".vti", ".vts",
                                                                                    ".vtk")):
        return VTK.format(name)
    if lower.endswith((".parquet", ".feather", ".xlsx", ".xls")):
        return "this table is read by pandas: fpkit.read_landscape(pandas.read_...(path)) takes its DataFrame"
    if lower.endswith((".nc", ".nc4")) and head.startswith(b"CDF"):
        return "this is a netCDF file; fpkit.read_landscape(xarray.open_dataarray(path)) takes its DataArray"
    return None
