"""Files of others, hostile until checked: layouts, coordinates, directions, and our own writer.

A value counts as computed when it is finite and no sentinel; arrays are (ny, nx).
The HDF Group, HDF5 File Format Specification 3.0.
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "reading": "read_landscape describe",
    "numpy_files": "read_arrays",
    "checked_hdf5": "LandscapeFormatError",
    "directions": "read_directions",
    "writing": "write_landscape",
})
