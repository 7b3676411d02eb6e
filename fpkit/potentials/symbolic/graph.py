"""Call a NumPy-style function once with symbols and record what it computes.

The symbols answer to Python's operators and to NumPy's functions (``__array_ufunc__``,
``__array_function__``), so an ordinary function of the coordinates leaves a graph of elementary operations
behind. The graph is hash-consed: building the same node twice gives the same object, so common
sub-expressions are shared by value, gradient and Hessian without a further pass. What NumPy functions mean
here is in `numpy_rules`, derivatives are in `derivatives`, the compiled source in `sources`.
"""
import math

import numpy as np

FUNCTIONS = ("exp log sin cos tanh sqrt sinh cosh arctan arcsin arccos arcsinh arccosh arctanh log1p expm1 "
             "floor ceil rint erf erfc").split()
STEPS = {"floor", "ceil", "rint"}                                   # derivative zero
COMPARISONS = {"less": "<", "greater": ">", "less_equal": "<=", "greater_equal": ">=", "equal": "==",
               "not_equal": "!="}
LOGIC = {*COMPARISONS.values(), "&", "|", "~"}
LARGEST_PRODUCT = 64  # whole exponents up to here become products

WAYS_OUT = ("Potential.compiled(value, gradient, ndim) takes a point-by-point function with control flow, "
            "Potential.black_box(value, gradient, ndim) anything else")


class TraceError(TypeError):
    """The function cannot be recorded; the message says what stands in the way and what to do."""


def _folded(name):
    rule = getattr(np, name, None) or getattr(math, name)

    def fold(*numbers):
        with np.errstate(all="ignore"):
            return float(rule(*numbers))
    return fold


FOLD = {name: _folded(name) for name in [*FUNCTIONS, "arctan2"]}
FOLD |= {"+": _folded("add"), "-": _folded("subtract"), "*": _folded("multiply"), "/": _folded("divide"),
         "**": _folded("float_power"),
         "neg": _folded("negative"), "abs": _folded("absolute"), "max": _folded("maximum"),
         "min": _folded("minimum")}
_COMPARE = {sign: getattr(np, name) for name, sign in COMPARISONS.items()}


class Graph:
    """All nodes of one recording, each once."""

    def __init__(self):
        self.nodes, self._table = [], {}

    def constant(self, value):
        return self._get(("constant", repr(float(value))), "constant", (), float(value))

    def variable(self, name):
        return self._get(("variable", name), "variable", (), name)

    def wrap(self, a):
        """`a` as a node of this graph; numbers become constants."""
        if isinstance(a, Node):
            if a.graph is not self:
                raise TraceError("symbols of two recordings were mixed; add potentials with V + W instead of "
                                 "calling one inside another.")
            return a
        try:
            if isinstance(a, (str, bytes)) or np.iscomplexobj(a):
                raise TypeError
            return self.constant(float(a))
        except (TypeError, ValueError):
            raise TraceError(f"a real number was expected inside the potential, got {type(a).__name__}.") from None

    def node(self, op, *args):
        """The node op(*args), simplified by rules that are exact for every finite value."""
        a = tuple(map(self.wrap, args))
        if op in ("+", "*") and a[0].index > a[1].index:
            a = a[::-1]
        if op not in LOGIC:  # (x > 0) * x: a truth value counts as 0 or 1
            a = tuple(x if x.op not in LOGIC or op == "where" and k == 0 else self.node("where", x, 1.0, 0.0)
                      for k, x in enumerate(a))
        elif op in ("&", "|", "~"):
            a = tuple(x if x.op in LOGIC else self.node("!=", x, 0.0) for x in a)
        v = [x.value if x.op == "constant" else None for x in a]
        if op in FOLD and None not in v:
            return self.constant(FOLD[op](*v))
        if op in LOGIC and any(c is not None for c in v):
            decided = self._decided(op, a, v)
            if decided is not None:
                return decided
        if op == "+" and 0 in v: return a[v.index(0) ^ 1]
        if op == "*" and 0 in v: return self.constant(0)  # 0 * f: f is dropped, also where it is infinite
        if op == "*" and 1 in v: return a[v.index(1) ^ 1]
        if op == "*" and -1 in v: return self.node("neg", a[v.index(-1) ^ 1])
        if op == "-" and v[1] == 0 or op in ("/", "**") and v[1] == 1: return a[0]
        if op == "-" and v[0] == 0: return self.node("neg", a[1])
        if op == "-" and a[1].op == "neg": return self.node("+", a[0], a[1].args[0])
        if op == "/" and v[0] == 0: return a[0]
        if op == "/" and v[1] and math.isfinite(v[1]) and math.frexp(v[1])[0] == 0.5 and abs(v[1]) < 1e300:
            return self.node("*", a[0], 1 / v[1])                    # a power of two: the product is exact
        if op == "neg" and a[0].op == "neg": return a[0].args[0]
        if op == "+" and a[1].op == "neg": return self.node("-", a[0], a[1].args[0])
        if op == "+" and a[0].op == "neg": return self.node("-", a[1], a[0].args[0])
        if op == "where":
            if v[0] is not None: return a[1] if v[0] else a[2]
            if a[0].op not in LOGIC: return self.node("where", self.node("!=", a[0], 0.0), a[1], a[2])
            if a[1] is a[2]: return a[1]
        # halves of one choice
        if op == "+" and a[0].op == a[1].op == "where" and a[0].args[0] is a[1].args[0]:
            (c, s, t), (_, q, r) = a[0].args, a[1].args
            return self.node("where", c, s + q, t + r)
        return self._get((op,) + tuple(x.index for x in a), op, a, None)

    def _decided(self, op, a, v):
        """Comparisons and logic of constants, as 1 or 0."""
        if op == "~":
            return self.constant(not v[0])
        if op in ("&", "|"):
            k = 0 if v[0] is not None else 1
            return (a[k ^ 1] if v[k] else a[k]) if op == "&" else (a[k] if v[k] else a[k ^ 1])
        return self.constant(bool(_COMPARE[op](*v))) if None not in v else None

    def _get(self, key, op, args, value):
        node = self._table.get(key)
        if node is None:
            node = self._table[key] = Node(self, op, args, value, len(self.nodes))
            self.nodes.append(node)
        return node


def _operator(op, is_swapped=False):
    if is_swapped:
        return lambda a, b: NotImplemented if isinstance(b, np.ndarray) else a.graph.node(op, b, a)
    return lambda a, b: elementwise(lambda x, y: a.graph.node(op, x, y),
                                    (a, b)) if isinstance(b, np.ndarray) else a.graph.node(op, a, b)


class Node:
    """One value of the recorded computation: a constant, a variable (coordinate or parameter), or an
    operation."""
    __slots__ = ("graph", "op", "args", "value", "index")

    def __init__(self, graph, op, args, value, index):
        self.graph, self.op, self.args, self.value, self.index = graph, op, args, value, index

    def call(self, name):
        return self.graph.node(name, self)

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
        return (self * math.log(b.value)).call("exp") if b.op == "constant" and b.value > 0 else self.graph.node("**", b, self)

    def __bool__(self):
        raise TraceError("the potential branches on a coordinate or a parameter (if, and, or, max(), in); "
                         "write numpy.where(condition, a, b), "
                         f"numpy.maximum or numpy.minimum. {WAYS_OUT}.")

    def __float__(self):
        raise TraceError("the potential turns a coordinate into a plain number (math.exp, float(), range(), "
                         "filling an array of floats); "
                         f"use the numpy functions (numpy.exp, ...) and numpy.stack. {WAYS_OUT}.")
    __int__ = __index__ = __complex__ = __iter__ = __len__ = __round__ = __trunc__ = __float__

    def __floor__(self): return self.call("floor")
    def __ceil__(self): return self.call("ceil")

    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        from .numpy_rules import apply_ufunc
        return apply_ufunc(ufunc, method, inputs, keywords)

    def __array_function__(self, function, kinds, args, keywords):
        from .numpy_rules import apply_function
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

    def __repr__(self):
        return f"symbol {self.value}" if self.op == "variable" else f"symbolic {self.op}"


for _name, _op in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/"), ("and", "&"), ("or", "|")):
    setattr(Node, f"__{_name}__", _operator(_op))
    setattr(Node, f"__r{_name}__", _operator(_op, True))
for _name, _op in zip(("lt", "gt", "le", "ge", "eq", "ne"), COMPARISONS.values()):
    setattr(Node, f"__{_name}__", _operator(_op))
for _name in FUNCTIONS:  # what NumPy asks of the elements of a plain object array
    setattr(Node, _name, lambda a, _name=_name: a.call(_name))


class Trace(np.ndarray):
    """Object array of nodes. A plain one would turn ``x > 0`` into bools."""

    __array_ufunc__ = Node.__array_ufunc__
    __array_function__ = Node.__array_function__


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


# -----------------------------------------------------------------------------------------------------------
