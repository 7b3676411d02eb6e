from .facts import CataloguePotential as CataloguePotential
from .lines import double_well as double_well
from .lines import flat_bottomed as flat_bottomed
from .lines import periodic_washboard as periodic_washboard
from .lines import rugged as rugged
from .lines import sharp_and_wide as sharp_and_wide
from .lines import tilted_double_well as tilted_double_well
from .lines import triple_well as triple_well
from .listing import all as all
from .listing import get as get
from .listing import names as names
from .planes import grokking_drift as grokking_drift
from .planes import mueller_brown as mueller_brown
from .planes import narrow_gate as narrow_gate
from .planes import ring as ring
from .planes import three_hole as three_hole
from .planes import wide_and_narrow as wide_and_narrow
from .spaces import coupled_double_well as coupled_double_well
from .spaces import grokking_chamber as grokking_chamber
from .spaces import ornstein_uhlenbeck as ornstein_uhlenbeck
from .spaces import quartic_chain as quartic_chain

__all__: list[str]
