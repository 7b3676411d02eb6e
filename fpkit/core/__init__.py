"""What everything stands on: results with errors, checks of arguments, the grid, logarithms, networks,
compilation.

An `Estimate` is a number x with a bound e such that |x - truth| <= e; a `Field` is one number a cell of a
`Grid`. This floor knows no potentials. Log sums: N. J. Higham, Accuracy and Stability of Numerical
Algorithms, SIAM (2002).
"""
from .lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "results": "Estimate Field ResolutionWarning",
    "grid": "Grid",
})
