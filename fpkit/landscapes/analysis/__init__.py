"""What a landscape says at a temperature: occupation, free energies, rates, a density and paths, train and
test loss.

P(well) = sum over its cells of exp(-beta loss) / Z; rates from the reversible chain of the cells.
D. J. Wales, Energy Landscapes, Cambridge (2003).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "analyse": "LandscapeReport",
    "comparison": "compare_landscapes LandscapeComparison same_plane",
    "temperature": "SGDTemperature sgd_temperature equipartition_temperature",
})
