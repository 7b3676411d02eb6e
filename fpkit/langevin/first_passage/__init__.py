"""First passage of paths: direct, with the Brownian bridge between steps, and by splitting where it is rare.

P(crossing in dt | both ends at distances a, b) = exp(-a b/(theta dt)).
E. Gobet, Stoch. Proc. Appl. 87, 167 (2000); F. Cerou, A. Guyader, Stoch. Anal. Appl. 25, 417 (2007).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "splitting": "SplittingTime multilevel_splitting",
    "fleming_viot": "QuasiStationaryRate",
})
