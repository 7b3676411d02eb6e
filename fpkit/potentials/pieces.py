"""Parts of a potential that are not recorded formulas: sampled splines and point-by-point compiled functions.

A piece writes the source of a block function and brings an array of numbers, which ends up behind the
parameters in p.
"""
from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable

import numba
import numpy as np
from numba import config

from . import spline
from .symbolic.graph import TraceError

# Central differences: with h = eps^(1/3) the error of a first derivative is about h^2 |f'''|/6 + eps |f|/h,
# some 1e-10 for functions of order one; with h = eps^(1/4) that of a second derivative from values is about
# 1e-8.
FIRST_STEP, SECOND_STEP = 6.0554544523933395e-06, 1.220703125e-04


class SplinePiece:
    """Samples on a uniform grid, as B-spline coefficients: data = [n, origin, 1/h per axis, coefficients]."""

    parameters = ()
    names = {}

    def __init__(self, ndim, data):
        self.ndim, self.data = ndim, data

    def source(self, kind, name, index):
        return spline.source(self.ndim, kind, name)

    @property
    def text(self):
        return f"cubic spline {hashlib.sha256(self.data.tobytes()).hexdigest()[:16]}"


class CompiledPiece:
    """Point functions value(x, *parameters), gradient(x, *parameters), hessian(x, *parameters) of one point x
    (ndim,)."""

    def __init__(self, ndim, value, gradient, hessian, parameters):
        self.ndim, self.parameters, self.data = ndim, tuple(parameters), np.empty(0)
        self.value, self.gradient, self.hessian = value, gradient, hessian
        key = f"{id(self):x}"
        self._name = {"value": f"value_{key}", "gradient": f"gradient_{key}", "hessian": f"hessian_{key}"}
        self.names = {self._name[k]: f for k, f in (("value", value), ("gradient", gradient),
                                                    ("hessian", hessian)) if f is not None}

    def source(self, kind, name, index):
        d, arguments = self.ndim, "".join(f", p[{index[q]}]" for q in self.parameters)
        lines = [f"y = np.empty({d})", "for j in range(X.shape[1]):", f"    for i in range({d}):",
                 "        y[i] = X[i, j]"]
        call = lambda of: f"{self._name[of]}(y{arguments})"
        if kind == "value":
            lines += [f"    out[j] = {call('value')}"]
        elif kind == "gradient" and self.gradient is not None:
            lines += [f"    g = {call('gradient')}", *(f"    out[{i}, j] = g[{i}]" for i in range(d))]
        elif kind == "hessian" and self.hessian is not None:
            lines += [f"    H = {call('hessian')}",
                      *(f"    out[{i}, {k}, j] = H[{i}][{k}]" for i in range(d) for k in range(d))]
        elif kind == "gradient":
            for k in range(d):
                lines += [f"    h = {FIRST_STEP!r} * max(1.0, abs(X[{k}, j]))",
                          f"    y[{k}] = X[{k}, j] + h", f"    a, up = y[{k}], {call('value')}",
                          f"    y[{k}] = X[{k}, j] - h", f"    b, down = y[{k}], {call('value')}",
                          f"    y[{k}] = X[{k}, j]", f"    out[{k}, j] = (up - down) / (a - b)"]
        elif self.gradient is not None:
            for k in range(d):
                lines += [f"    h = {FIRST_STEP!r} * max(1.0, abs(X[{k}, j]))",
                          f"    y[{k}] = X[{k}, j] + h", f"    a, g = y[{k}], {call('gradient')}",
                          *(f"    out[{i}, {k}, j] = g[{i}]" for i in range(d)),
                          f"    y[{k}] = X[{k}, j] - h", f"    b, g = y[{k}], {call('gradient')}",
                          *(f"    out[{i}, {k}, j] = (out[{i}, {k}, j] - g[{i}]) / (a - b)"
                            for i in range(d)),
                          f"    y[{k}] = X[{k}, j]"]
            lines += [line for i in range(d) for k in range(i) for line in
                      (f"    out[{i}, {k}, j] = 0.5 * (out[{i}, {k}, j] + out[{k}, {i}, j])",
                       f"    out[{k}, {i}, j] = out[{i}, {k}, j]")]
        else:
            lines += [f"    middle = {call('value')}",
                      *(f"    h{k} = {SECOND_STEP!r} * max(1.0, abs(X[{k}, j]))" for k in range(d))]
            for k in range(d):
                lines += [f"    y[{k}] = X[{k}, j] + h{k}", f"    up = {call('value')}",
                          f"    y[{k}] = X[{k}, j] - h{k}",
                          f"    down = {call('value')}", f"    y[{k}] = X[{k}, j]",
                          f"    out[{k}, {k}, j] = (up - 2.0 * middle + down) / (h{k} * h{k})"]
            for i in range(d):
                for k in range(i):
                    lines += ["    cross = 0.0"]
                    for si in (1, -1):
                        for sk in (1, -1):
                            lines += [f"    y[{i}] = X[{i}, j] + {si}.0 * h{i}",
                                      f"    y[{k}] = X[{k}, j] + {sk}.0 * h{k}",
                                      f"    cross += {si * sk}.0 * {call('value')}"]
                    lines += [f"    y[{i}] = X[{i}, j]", f"    y[{k}] = X[{k}, j]",
                              f"    out[{i}, {k}, j] = cross / (4.0 * h{i} * h{k})",
                              f"    out[{k}, {i}, j] = out[{i}, {k}, j]"]
        return "\n    ".join([f"def {name}(X, p, out):", *lines]) + "\n"

    @property
    def text(self):
        return "compiled " + " ".join(described(f) for f in (self.value, self.gradient, self.hessian)
                                      if f is not None)


def compiled_piece(value: Callable, gradient: Callable | None, hessian: Callable | None, ndim: int,
                   parameters: dict[str, float]) -> CompiledPiece:
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
    first = (telling or lines or [""])[0][:160].replace("numba", "compiler")
    return f"{type(error).__name__}: {first}".rstrip(".")


def described(function):
    """Text that changes when the function does, for provenance: its source, or its code when there is
    none."""
    body = getattr(function, "py_func", function)
    try:
        return inspect.getsource(body).strip()
    except (OSError, TypeError):
        code = getattr(body, "__code__", None)
        return f"{getattr(body, '__qualname__', type(body).__name__)} {code.co_code.hex() if code else ''}"
