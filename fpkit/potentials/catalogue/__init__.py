"""Potentials whose minima, saddles and barriers are known: for tests, validation and first steps.

Each is a function that returns a `CataloguePotential`: a Potential that also knows `minima`, `saddles`,
`barriers`, a `box` for grids, its `periodic_axes` and typical `temperatures`, all for its current parameters.

>>> V = fp.catalogue.double_well(barrier=2.0)
>>> V.barriers[0, 1], V.with_params(barrier=3.0).barriers[0, 1]
(2.0, 3.0)
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "facts": "CataloguePotential",
    "lines": "double_well flat_bottomed periodic_washboard rugged sharp_and_wide tilted_double_well "
             "triple_well",
    "planes": "grokking_drift mueller_brown narrow_gate ring three_hole wide_and_narrow",
    "spaces": "coupled_double_well grokking_chamber ornstein_uhlenbeck quartic_chain",
    "listing": "all get names",
})
