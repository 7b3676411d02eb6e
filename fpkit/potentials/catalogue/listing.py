"""The list of the catalogue: its entries by name."""
from __future__ import annotations

from typing import Any

from ...core import checks
from .facts import CataloguePotential
from .lines import (
    double_well,
    flat_bottomed,
    periodic_washboard,
    rugged,
    sharp_and_wide,
    tilted_double_well,
    triple_well,
)
from .planes import grokking_drift, mueller_brown, narrow_gate, ring, three_hole, wide_and_narrow
from .spaces import coupled_double_well, grokking_chamber, ornstein_uhlenbeck, quartic_chain

ENTRIES = {entry.__name__: entry for entry in (
    double_well, tilted_double_well, triple_well, sharp_and_wide, rugged, flat_bottomed, periodic_washboard,
    mueller_brown, three_hole, wide_and_narrow, narrow_gate, ring, grokking_drift,
    coupled_double_well, quartic_chain, ornstein_uhlenbeck, grokking_chamber)}



def names() -> list[str]:
    """Names of the catalogue, in the order of its pages.

    >>> fp.catalogue.names()[:2]
    ['double_well', 'tilted_double_well']
    """
    return list(ENTRIES)


def get(name: str, **parameters: Any) -> CataloguePotential:
    """The catalogue potential of this name.

    >>> fp.catalogue.get("double_well", barrier=2.0).params["barrier"]
    2.0
    """
    return ENTRIES[checks.choice("catalogue potential", name, ENTRIES)](**parameters)


def all() -> dict[str, CataloguePotential]:
    """Every catalogue potential with its default parameters: dict from name to potential.

    >>> len(fp.catalogue.all()) == len(fp.catalogue.names())
    True
    """
    return {name: make() for name, make in ENTRIES.items()}
