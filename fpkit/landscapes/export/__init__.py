"""Planes through parameter space, and the loss on them, written to a file that a killed run can go on with.

w(x, y) = w0 + x d1 + y d2, with d filter-normalised: each filter of d has the norm of that filter of w0.
H. Li et al., Visualizing the Loss Landscape of Neural Nets, NeurIPS (2018).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {"planes": "Plane", "export": "export_landscape"})
