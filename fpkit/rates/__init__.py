"""Escape rates by every route side by side: Eyring-Kramers and its next order, free energies, networks of
wells.

k = |lambda_-|/(2 pi) sqrt(det H_min/|det H_saddle|) exp(-beta (f_saddle - f_min)). H. Eyring, J. Chem. Phys.
3, 107 (1935); P. Hanggi, P. Talkner, M. Borkovec, Rev. Mod. Phys. 62, 251 (1990). """
from ..core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "network": "well_network WellNetwork",
    "comparison": "compare_rates",
    "table": "RatesTable",
    "picture": "transition_picture",
    "friction": "kramers_turnover",
    "free_energy": "free_energy_form free_energy_rate",
})
