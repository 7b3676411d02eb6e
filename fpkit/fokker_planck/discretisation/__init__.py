"""From f, theta and M on a grid to a reversible chain: what one edge conducts, where walls and regions cut
it.

c = theta M A / (integral of exp(beta f) along the edge), the Scharfetter-Gummel rule where f is linear.
D. L. Scharfetter, H. K. Gummel, IEEE Trans. Electron Devices 16, 64 (1969).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {"chain": "Chain", "schemes": "assemble"})
