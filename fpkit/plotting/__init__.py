"""Figures of results: the only place that imports matplotlib; it knows results by what they carry.

Colours are Okabe and Ito's; lines differ in dash and marker too, and maps rise in lightness alone.
J. R. Nunez, C. R. Anderton, R. S. Renslow, PLoS ONE 13, e0199239 (2018).
"""
from ..core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {"drawing": "plot", "learning": "talk_figure"})
