"""Call a NumPy-style function once with symbols and record what it computes.

A `Symbol` is a node of the graph that answers to Python's operators and to NumPy's functions
(``__array_ufunc__``, ``__array_function__``), so an ordinary function of the coordinates leaves a graph of
elementary operations behind. The rest of this file says what each NumPy function means for symbols.
"""
from __future__ import annotations

import math

import numpy as np

from .graph import COMPARISONS, FUNCTIONS, LARGEST_PRODUCT, WAYS_OUT, Node, TraceError

ARITHMETIC = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "maximum": "max", "minimum": "min",
              "fmax": "max", "fmin": "min", "logical_and": "&", "bitwise_and": "&", "logical_or": "|",
              "bitwise_or": "|", "arctan2": "arctan2"}


def _where(c, a, b):
    return c.graph.node("where", c, a, b)


def _sign(a):
    return _where(a > 0, 1.0, _where(a < 0, -1.0, 0.0))


def _logaddexp(a, b):
    return a.graph.node("max", a, b) + (-abs(a - b)).call("exp").call("log1p")


def _truncated(a):
    return _where(a < 0, a.call("ceil"), a.call("floor"))


def _expit(a):
    e = (-abs(a)).call("exp")                                        # never overflows
    return _where(a < 0, e, 1.0) / (1.0 + e)


COMPOSED = {
    "power": lambda a, b: a**b,
    "float_power": lambda a, b: a**b,
    "square": lambda a: a * a,
    "reciprocal": lambda a: 1.0 / a,
    "positive": lambda a: a,
    "conjugate": lambda a: a,
    "negative": lambda a: -a,
    "absolute": abs,
    "fabs": abs,
    "tan": lambda a: a.call("sin") / a.call("cos"),
    "log2": lambda a: a.call("log") * (1 / math.log(2)),
    "log10": lambda a: a.call("log") * (1 / math.log(10)),
    "exp2": lambda a: (a * math.log(2)).call("exp"),
    "cbrt": lambda a: _sign(a) * abs(a) ** (1 / 3),
    "sign": _sign,
    "hypot": lambda a, b: (a * a + b * b).call("sqrt"),
    "logical_not": lambda a: ~a,
    "invert": lambda a: ~a,
    "logical_xor": lambda a, b: (a | b) & ~(a & b),
    "bitwise_xor": lambda a, b: (a | b) & ~(a & b),
    "logaddexp": _logaddexp,
    "logaddexp2": lambda a, b: _logaddexp(a * math.log(2), b * math.log(2)) * (1 / math.log(2)),
    "isnan": lambda a: a != a,
    "isfinite": lambda a: a - a == 0,
    "heaviside": lambda a, b: _where(a < 0, 0.0, _where(a > 0, 1.0, b)),
    "copysign": lambda a, b: _where(b < 0, -abs(a), abs(a)),
    "trunc": _truncated,
    "floor_divide": lambda a, b: (a / b).call("floor"),
    "remainder": lambda a, b: a - (a / b).call("floor") * b,
    "fmod": lambda a, b: a - _truncated(a / b) * b,
    "degrees": lambda a: a * (180 / math.pi),
    "rad2deg": lambda a: a * (180 / math.pi),
    "radians": lambda a: a * (math.pi / 180),
    "deg2rad": lambda a: a * (math.pi / 180),
    "expit": _expit,                                                 # scipy.special
    "clip": lambda a, low, high: a.graph.node("min", a.graph.node("max", a, low), high),
}


def _graph(args):
    for a in args:
        if isinstance(a, Node):
            return a.graph
        if isinstance(a, (list, tuple)) or isinstance(a, np.ndarray) and a.dtype == object:
            graph = _graph(a.ravel().view(np.ndarray) if isinstance(a, np.ndarray) else a)
            if graph is not None:
                return graph
    return None


def apply_ufunc(ufunc, method, inputs, keywords):
    """Result of a NumPy ufunc on symbols, for `__array_ufunc__`."""
    name = ufunc.__name__
    out = keywords.pop("out", None)
    harmless = lambda k, v: (v is None or v is np._NoValue or k == "where" and v is True
                             or k in ("casting", "subok")
                             or k == "dtype" and np.dtype(v) in (np.dtype(float), np.dtype(object)))
    keywords = {k: v for k, v in keywords.items() if not harmless(k, v)}
    result = _evaluated(ufunc, name, method, inputs, keywords)
    if out is not None:                                              # x += 1, and NumPy's own mean()
        out[0][...] = result
        return out[0]
    return result


def _evaluated(ufunc, name, method, inputs, keywords):
    is_sum = method in ("reduce", "accumulate", "outer") and name in ("add", "multiply")
    if is_sum or name == "matmul" and method == "__call__":
        return _viewed(getattr(ufunc, method)(*[plain(a) for a in inputs], **keywords))
    if method == "reduce" and name in ("maximum", "minimum", "logical_and", "logical_or"):
        axis = keywords.pop("axis", 0)
        if keywords.pop("keepdims", False) or keywords:
            raise TraceError(f"numpy.{name}.reduce with these options cannot be recorded. {WAYS_OUT}.")
        items = plain(inputs[0])
        items = items.ravel() if axis is None else np.moveaxis(items, axis, 0)
        out = items[0]
        for a in items[1:]:
            out = _elementwise(name, (out, a))
        return _viewed(out)
    if method == "outer":
        a, b = map(plain, inputs)
        return _elementwise(name, (a.reshape(a.shape + (1,) * b.ndim), b))
    if method != "__call__" or keywords:
        raise TraceError(f"numpy.{name} with method {method} and options {sorted(keywords)} cannot be "
                         f"recorded. {WAYS_OUT}.")
    if name == "divmod":
        return _elementwise("floor_divide", inputs), _elementwise("remainder", inputs)
    return _elementwise(name, inputs)


def _elementwise(name, inputs):
    graph = _graph(inputs)
    if name in COMPOSED:
        return elementwise(lambda *a: COMPOSED[name](*map(graph.wrap, a)), inputs)
    op = COMPARISONS.get(name) or ARITHMETIC.get(name) or (name if name in FUNCTIONS else None)
    if op is None:
        raise TraceError(f"the function {name} has no derivative rule here; elementary NumPy functions and "
                         f"scipy.special.erf, erfc, expit have. {WAYS_OUT}.")
    return elementwise(lambda *a: graph.node(op, *a), inputs)


def _viewed(out):
    return out.view(Trace) if isinstance(out, np.ndarray) else out


def _norm(x, ord=None, axis=None, keepdims=False):
    x = plain(x).view(Trace)
    if ord in (None, 2, "fro") and not (ord == 2 and x.ndim == 2 and axis is None):
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))
    if ord == 1 and (x.ndim == 1 or axis is not None):
        return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
    if ord == np.inf and x.ndim == 1:
        return np.maximum.reduce(np.abs(x))
    raise TraceError(f"numpy.linalg.norm with ord={ord!r} cannot be recorded; 1, 2 and inf of a vector can.")


def _select(conditions, choices, default=0):
    out = default
    for c, a in zip(reversed(list(conditions)), reversed(list(choices))):
        out = np.where(c, a, out)
    return out


def _polyval(coefficients, x):
    out = 0.0
    for c in coefficients:
        out = out * x + c
    return out


def _where_function(c, a, b):
    graph = _graph((c, a, b))
    return elementwise(lambda *n: graph.node("where", *n), (c, a, b))


def _clip(a, a_min=None, a_max=None):
    a = a if a_min is None else np.maximum(a, a_min)
    return a if a_max is None else np.minimum(a, a_max)


def _extreme(ufunc):
    return lambda a, axis=None: a if isinstance(a, Node) else ufunc.reduce(plain(a).view(Trace), axis=axis)


def _variance(a, axis=None):
    a = plain(a).view(Trace)
    centre = np.mean(a, axis=axis, keepdims=True)
    return np.mean((a - centre) ** 2, axis=axis)


def _mean(a, axis=None, keepdims=False):
    if isinstance(a, Node):
        return a
    count = plain(a).size if axis is None else plain(a).shape[axis]
    return _viewed(np.add.reduce(plain(a), axis=axis, keepdims=keepdims)) / count


OWN = {np.where: _where_function, np.clip: _clip, np.max: _extreme(np.maximum), np.min: _extreme(np.minimum),
       np.linalg.norm: _norm, np.select: _select, np.polyval: _polyval, np.mean: _mean, np.var: _variance,
       np.std: lambda a, axis=None: np.sqrt(_variance(a, axis)),
       np.ndim: lambda a: 0 if isinstance(a, Node) else a.ndim,
       np.shape: lambda a: () if isinstance(a, Node) else a.shape}


def apply_function(function, args, keywords):
    """Result of any other NumPy function on symbols, for `__array_function__`."""
    name = getattr(function, "__name__", str(function))
    try:
        if function in OWN:
            return OWN[function](*args, **keywords)
        # sum, prod, dot, stack, roll, diff, einsum, ..: NumPy's own code on object arrays, whose elements are
        # the symbols
        return _only(function(*map(_opened, args), **{k: _opened(v) for k, v in keywords.items()}))
    except TypeError as error:
        if isinstance(error, TraceError):
            raise
        raise TraceError(f"numpy.{name} cannot be recorded ({' '.join(str(error).split())[:100]}). "
                         f"{WAYS_OUT}.") from None


def _opened(a):
    if isinstance(a, (Node, Trace)):
        return plain(a)
    return type(a)(map(_opened, a)) if type(a) in (list, tuple) else a


def _only(out):
    if isinstance(out, np.ndarray):
        return out.item() if out.ndim == 0 else out.view(Trace)
    return out


def _operator(op, is_swapped=False):
    if is_swapped:
        return lambda a, b: NotImplemented if isinstance(b, np.ndarray) else a.graph.node(op, b, a)
    on_arrays = lambda a, b: elementwise(lambda x, y: a.graph.node(op, x, y), (a, b))
    return lambda a, b: on_arrays(a, b) if isinstance(b, np.ndarray) else a.graph.node(op, a, b)


class Symbol(Node):
    """A node that can be computed with like a number."""
    __slots__ = ()

    def __pow__(self, b):
        if isinstance(b, np.ndarray):
            return elementwise(lambda x, y: x**y, (self, b))
        b = self.graph.wrap(b)
        if b.op != "constant":
            return self.graph.node("**", self, b)
        b = b.value
        if b == 0.5:
            return self.call("sqrt")
        # by squaring: exact derivatives, shared factors
        if math.isfinite(b) and b == int(b) and abs(b) <= LARGEST_PRODUCT:
            n, result, base = abs(int(b)), self.graph.constant(1), self
            while n:
                result = result * base if n & 1 else result
                base, n = base * base if n > 1 else base, n >> 1
            return result if b >= 0 else 1.0 / result
        return self.graph.node("**", self, b)

    def __rpow__(self, b):
        b = self.graph.wrap(b)
        if b.op == "constant" and b.value > 0:
            return (self * math.log(b.value)).call("exp")
        return self.graph.node("**", b, self)

    def __bool__(self):
        raise TraceError("the potential branches on a coordinate or a parameter (if, and, or, max(), in); "
                         f"write numpy.where(condition, a, b), numpy.maximum or numpy.minimum. {WAYS_OUT}.")

    def __float__(self):
        raise TraceError("the potential turns a coordinate into a plain number (math.exp, float(), range(), "
                         "filling an array of floats); "
                         f"use the numpy functions (numpy.exp, ...) and numpy.stack. {WAYS_OUT}.")
    __int__ = __index__ = __complex__ = __iter__ = __len__ = __round__ = __trunc__ = __float__

    def __floor__(self): return self.call("floor")
    def __ceil__(self): return self.call("ceil")

    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        return apply_ufunc(ufunc, method, inputs, keywords)

    def __array_function__(self, function, kinds, args, keywords):
        return apply_function(function, args, keywords)

    __hash__ = object.__hash__
    __neg__, __pos__ = lambda a: a.call("neg"), lambda a: a
    __abs__, __invert__ = lambda a: a.call("abs"), lambda a: a.graph.node("~", a)
    __mod__ = lambda a, b: np.mod(a, b)
    __rmod__ = lambda a, b: np.mod(b, a)
    __floordiv__ = lambda a, b: np.floor_divide(a, b)
    __rfloordiv__ = lambda a, b: np.floor_divide(b, a)
    # a scalar that NumPy would reduce is itself
    shape, ndim, size, real = (), 0, 1, property(lambda a: a)


for _name, _op in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/"), ("and", "&"), ("or", "|")):
    setattr(Symbol, f"__{_name}__", _operator(_op))
    setattr(Symbol, f"__r{_name}__", _operator(_op, True))
for _name, _op in zip(("lt", "gt", "le", "ge", "eq", "ne"), COMPARISONS.values()):
    setattr(Symbol, f"__{_name}__", _operator(_op))
for _name in FUNCTIONS:  # what NumPy asks of the elements of a plain object array
    setattr(Symbol, _name, lambda a, _name=_name: a.call(_name))


class Trace(np.ndarray):
    """Object array of nodes. A plain one would turn ``x > 0`` into bools."""

    __array_ufunc__ = Symbol.__array_ufunc__
    __array_function__ = Symbol.__array_function__


def elementwise(rule, args):
    """`rule` on single nodes, or on arrays of them by broadcasting."""
    if not any(isinstance(a, (np.ndarray, list, tuple)) for a in args):
        return rule(*args)
    out = np.frompyfunc(rule, len(args), 1)(*[plain(a) for a in args])
    return np.asarray(out, object).view(Trace)


def plain(a):
    """As an object array that NumPy's own code may handle."""
    if isinstance(a, Node):
        out = np.empty((), object)
        out[()] = a
        return out
    return np.asarray(a, object).view(np.ndarray)
