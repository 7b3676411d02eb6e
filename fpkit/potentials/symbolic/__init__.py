"""From a formula to compiled code: the expression graph of f, its derivatives, and the source of the block
functions.

df/dx = sum over the nodes v of (df/dv)(dv/dx), each shared sub-expression once, in reverse.
A. Griewank, A. Walther, Evaluating Derivatives, SIAM (2008).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "graph": "TraceError",
    "expressions": "ExpressionError",
})
