"""Point-by-point functions given by the user, compiled by Numba and checked once."""
import numba
import numpy as np
from numba import config

from .pieces import CompiledPiece
from .symbolic.graph import TraceError


def compiled_piece(value, gradient, hessian, ndim, parameters):
    """CompiledPiece of the functions, each tried once at the point (0.1, ..., 0.1), so that faults show here
    and not in a kernel."""
    functions = []
    for name, function, shape in (("value", value, ()), ("gradient", gradient, (ndim,)),
                                  ("hessian", hessian, (ndim, ndim))):
        if function is None:
            functions.append(None)
            continue
        if not callable(function):
            raise TypeError(f"{name} must be a function of one point x (ndim,), got "
                            f"{type(function).__name__}.")
        if not hasattr(function, "py_func") and not config.DISABLE_JIT:
            function = numba.njit(function)
        try:
            result = function(np.full(ndim, 0.1), *parameters.values())
        except Exception as error:
            raise TraceError(f"the {name} function cannot be compiled or called: {_reason(error)}. It gets "
                             f"one point x of shape ({ndim},) and "
                             f"{', '.join(parameters) or 'no parameters'}; Potential.black_box takes any "
                             "Python function.") from None
        if np.shape(result) != shape:
            raise TraceError(f"the {name} function returned shape {np.shape(result)} for one point, expected "
                             f"{shape}.")
        functions.append(function)
    return CompiledPiece(ndim, *functions, parameters)


def _reason(error):
    """The line of a compiler's message that says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Failed in", "During", "File", "def ", "- ",
                                                              "^", "This is", "[", "<"))]
    return f"{type(error).__name__}: {(telling or lines or [''])[0][:160].replace('numba', 'compiler')}".rstrip(".")
