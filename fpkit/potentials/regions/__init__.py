"""Regions of R^d: the sets A and B of committors, rates and passage times.

Shapes with an exact distance are in `region_shapes`, regions that follow a potential in `level_sets`.
"""
from .level_sets import Basin, Sublevel
from .shapes import Ball, Box, Complement, HalfSpace, Intersection, Region, Union

__all__ = ["Ball", "Basin", "Box", "Complement", "HalfSpace", "Intersection", "Region", "Sublevel", "Union"]
