"""Potentials whose minima, saddles and barriers are known: for tests, validation and first steps.

Each is a function that returns a `CataloguePotential`: a Potential that also knows `minima`, `saddles`, `barriers`, a `box` for
grids, its `periodic_axes` and typical `temperatures`, all for its current parameters.

>>> V = fp.catalogue.double_well(barrier=2.0)
>>> V.barriers[0, 1], V.with_params(barrier=3.0).barriers[0, 1]
(2.0, 3.0)
"""
from ..core import checks
from .catalogue_lines import double_well, flat_bottomed, periodic_washboard, rugged, sharp_and_wide, tilted_double_well, triple_well
from .catalogue_planes import grokking_drift, mueller_brown, narrow_gate, ring, three_hole, wide_and_narrow
from .catalogue_spaces import coupled_double_well, grokking_chamber, ornstein_uhlenbeck, quartic_chain
from .facts import CataloguePotential

_ENTRIES = {entry.__name__: entry for entry in (
    double_well, tilted_double_well, triple_well, sharp_and_wide, rugged, flat_bottomed, periodic_washboard,
    mueller_brown, three_hole, wide_and_narrow, narrow_gate, ring, grokking_drift,
    coupled_double_well, quartic_chain, ornstein_uhlenbeck, grokking_chamber)}

__all__ = [*_ENTRIES, "CataloguePotential", "all", "get", "names"]


def names():
    """Names of the catalogue, in the order of its pages.

    >>> fp.catalogue.names()[:2]
    ['double_well', 'tilted_double_well']
    """
    return list(_ENTRIES)


def get(name, **parameters):
    """The catalogue potential of this name.

    >>> fp.catalogue.get("double_well", barrier=2.0).params["barrier"]
    2.0
    """
    return _ENTRIES[checks.choice("catalogue potential", name, _ENTRIES)](**parameters)


def all():
    """Every catalogue potential with its default parameters: dict from name to potential.

    >>> len(fp.catalogue.all()) == len(fp.catalogue.names())
    True
    """
    return {name: make() for name, make in _ENTRIES.items()}
