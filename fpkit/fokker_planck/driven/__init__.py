"""Diffusions that are driven: a force that is no gradient, or a drift and a diffusion matrix of their own.

du/dt = -div J, J = a u - D grad u. The chain has positive rates both ways along each edge and no detailed
balance; its stationary state carries a current. J. Schnakenberg, Rev. Mod. Phys. 48, 571 (1976).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {"stationary": "StationaryState"})
