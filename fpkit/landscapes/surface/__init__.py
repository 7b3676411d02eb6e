"""The sampled surface: valid cells, minima, merge tree, wells and their harmonic fits.

Two minima merge at the lowest level of the loss at which one connected set of cells holds both.
H. Carr, J. Snoeyink, U. Axen, Computing contour trees in all dimensions, Comput. Geom. 24, 75 (2003).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "landscape": "Landscape",
    "merge_tree": "MergeTree",
    "wells": "Well find_wells",
})
