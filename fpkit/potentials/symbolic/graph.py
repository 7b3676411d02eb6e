"""Call a NumPy-style function once with symbols and record what it computes.

The symbols answer to Python's operators and to NumPy's functions (``__array_ufunc__``,
``__array_function__``), so an ordinary function of the coordinates leaves a graph of elementary operations
behind. The graph is hash-consed: building the same node twice gives the same object, so common
sub-expressions are shared by value, gradient and Hessian without a further pass. What NumPy functions mean
here is in `numpy_rules`, derivatives are in `derivatives`, the compiled source in `sources`.
"""
import inspect
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
# functions
class Formula:
    """A function of coordinates and named parameters, in the one form that the rest of the package calls.

    ``formula.record()`` gives (node of f, coordinate nodes); parameters are variables named ``p[k]``.
    """

    def __init__(self, rule, ndim, defaults, text):
        self.rule, self.ndim, self.defaults, self.text = rule, ndim, dict(defaults), text

    def __reduce__(self):
        """Pickled as the list of its operations, so that lambdas and sums of potentials reach other processes
        too."""
        f, _ = self.record()
        nodes, place, waiting = [], {}, [f]
        needed = set()
        while waiting:
            n = waiting.pop()
            if n.index not in needed:
                needed.add(n.index)
                waiting.extend(n.args)
        for i in sorted(needed):
            n = f.graph.nodes[i]
            place[i] = len(nodes)
            nodes.append((n.op, tuple(place[a.index] for a in n.args), n.value))
        return _replayed, (self.ndim, self.defaults, self.text, nodes)

    def record(self, names=None):
        """Trace once. `names`: order of the parameters in p (default: of the defaults)."""
        graph = Graph()
        xs = [graph.variable(f"x{i}") for i in range(self.ndim)]
        values = {name: graph.variable(f"p[{k}]") for k,
                  name in enumerate(self.defaults if names is None else names)}
        return self.apply(graph, xs, values), xs

    def apply(self, graph, xs, values):
        try:
            with np.errstate(all="ignore"):
                f = self.rule(xs, values)
        except (TraceError, ValueError) as error:
            if isinstance(error, TraceError) or type(error) is not ValueError:
                raise
            raise _refusal(error) from None
        except RecursionError:
            raise TraceError(f"the potential is nested too deeply to be recorded. {WAYS_OUT}.") from None
        except Exception as error:
            raise _refusal(error) from None
        return _one_number(graph, f)


def _replayed(ndim, defaults, text, nodes):
    """Formula that repeats recorded operations; the last node is the value."""
    names = list(defaults)

    def rule(xs, values):
        graph, made = xs[0].graph, []
        for op, args, value in nodes:
            if op == "constant":
                made.append(graph.constant(value))
            elif op == "variable":
                made.append(xs[int(value[1:])] if value[0] == "x" else values[names[int(value[2:-1])]])
            else:
                made.append(graph.node(op, *(made[a] for a in args)))
        return made[-1]
    return Formula(rule, ndim, defaults, text)


def _refusal(error):
    text = " ".join(str(error).split())[:120]
    if "subscriptable" in text or "has no len" in text or "unpack" in text or "indices" in text or "index" in text:
        return TraceError(f"the potential indexes its argument ({text}); a function of ONE array of "
                          "coordinates needs ndim: Potential(f, ndim=2).")
    return TraceError(f"the potential cannot be recorded: {type(error).__name__}: {text}. It is called once "
                      f"with symbols in place of numbers. {WAYS_OUT}.")


def _one_number(graph, f):
    if f is None:
        raise TraceError("the potential returned nothing; is `return` missing?")
    if isinstance(f, (np.ndarray, list, tuple)):
        flat = plain(f).ravel() if not isinstance(f, (list, tuple)) or not any(isinstance(a, (list, tuple))
                                                                               for a in f) else f
        if len(flat) != 1:
            raise TraceError(f"the potential returned {len(flat)} values for one point; it must return one "
                             "number (numpy.sum adds them).")
        f = flat[0]
    f = graph.wrap(f)
    if f.op == "constant" and not math.isfinite(f.value):
        raise TraceError(f"the potential is {f.value} everywhere; it must be a finite function of the "
                         "coordinates.")
    return graph.node("where", f, 1.0, 0.0) if f.op in LOGIC else f


def is_number(a):
    return isinstance(a, (int, float, np.integer, np.floating)) and not isinstance(a, (bool, np.bool_))


def formula_of(function, ndim=None, parameters=None):
    """Formula of a user's function. Arguments without a default are coordinates; with `ndim` a single one is
    the array of all.

    Numbers as defaults are run-time parameters; anything else (arrays, flags, text) stays a constant. An
    argument ``t`` without a default is the time, 0 unless told.
    """
    parameters = dict(parameters or {})
    try:
        arguments = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):                                  # ufuncs and builtins do not tell
        arguments = [inspect.Parameter("x", inspect.Parameter.POSITIONAL_ONLY)]
    kinds = inspect.Parameter
    takes_any = any(a.kind is kinds.VAR_KEYWORD for a in arguments)
    spread = any(a.kind is kinds.VAR_POSITIONAL for a in arguments)
    ordinary = [a for a in arguments if a.kind not in (kinds.VAR_KEYWORD, kinds.VAR_POSITIONAL)]
    free = [a.name for a in ordinary if a.default is kinds.empty and a.name not in parameters]
    if "t" in free and len(free) > 1:
        free.remove("t")
        parameters.setdefault("t", 0.0)
    unknown = set(parameters) - {a.name for a in ordinary}
    if unknown and not takes_any:
        raise TypeError(f"the potential has no parameter {sorted(unknown)}; its arguments are "
                        f"{', '.join(a.name for a in ordinary)}.")
    given = {a.name: a.default for a in ordinary if a.default is not kinds.empty} | parameters
    defaults = {name: float(v) for name, v in given.items() if is_number(v)}
    fixed = {name: v for name, v in given.items() if not is_number(v) and name in parameters}
    by_position = [a.name for a in ordinary if a.kind is kinds.POSITIONAL_ONLY and a.name in defaults]
    if by_position:
        raise TypeError(f"the parameter {by_position[0]} can only be given by position; name it after a `/` "
                        "or without one.")
    is_array = ndim is not None and len(free) == 1 and not spread
    if spread and ndim is None:
        raise TypeError("a function of *coordinates needs ndim: Potential(f, ndim=3).")
    count = ndim if is_array or spread else len(free)
    if count == 0:
        raise TypeError("the potential has no coordinate: arguments without a default are the coordinates, "
                        "those with one are parameters.")
    if ndim is not None and count != ndim:
        raise TypeError(f"ndim is {ndim} and the function has {count} coordinates ({', '.join(free)}); give "
                        "it one argument, the array of all.")

    def rule(xs, values):
        if is_array:
            return function(np.array(xs, object).view(Trace), **values, **fixed)
        return function(*xs, **values, **fixed)
    name = getattr(function, "__name__", type(function).__name__)
    arguments_text = ", ".join(free) if free else f"*x[{ndim}]"
    return Formula(rule, count, defaults, f"{'f' if name == '<lambda>' else name}({arguments_text})")
