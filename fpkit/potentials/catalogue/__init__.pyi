from .facts import CataloguePotential as CataloguePotential
from .lines import (
    double_well as double_well,
    flat_bottomed as flat_bottomed,
    periodic_washboard as periodic_washboard,
    rugged as rugged,
    sharp_and_wide as sharp_and_wide,
    tilted_double_well as tilted_double_well,
    triple_well as triple_well,
)
from .listing import all as all, get as get, names as names
from .planes import (
    grokking_drift as grokking_drift,
    mueller_brown as mueller_brown,
    narrow_gate as narrow_gate,
    ring as ring,
    three_hole as three_hole,
    wide_and_narrow as wide_and_narrow,
)
from .spaces import (
    coupled_double_well as coupled_double_well,
    grokking_chamber as grokking_chamber,
    ornstein_uhlenbeck as ornstein_uhlenbeck,
    quartic_chain as quartic_chain,
)

__all__: list[str]
