"""Loss landscapes of trained networks on a line, a plane or a box: read, export, analyse, report.

On a plane w = w0 + x d1 + y d2 with Gram matrix G the diffusion has mobility G^-1; each valid cell weighs
exp(-beta loss). H. Li et al., Visualizing the Loss Landscape of Neural Nets, NeurIPS (2018).
"""
from ..core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "files": "read_landscape LandscapeFormatError read_directions",
    "surface": "Landscape",
    "adapters": "problem_loss",
    "export": "Plane export_landscape",
    "analysis": "sgd_temperature equipartition_temperature analyse compare_landscapes",
})
