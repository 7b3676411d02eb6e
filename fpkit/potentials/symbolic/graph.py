"""The graph of the elementary operations that make up a function.

The graph is hash-consed: building the same node twice gives the same object, so common sub-expressions are
shared by value, gradient and Hessian without a further pass. The nodes of a recording are the `Symbol` of
`numpy_rules`, which answer to Python's operators and to NumPy's functions; derivatives are in `derivatives`,
the compiled source in `block_source`.
"""
# ruff: noqa: E701  (a table of rules: one rule a line)
from __future__ import annotations

import math

import numpy as np

FUNCTIONS = ["exp", "log", "sin", "cos", "tanh", "sqrt", "sinh", "cosh", "arctan", "arcsin", "arccos",
             "arcsinh", "arccosh", "arctanh", "log1p", "expm1", "floor", "ceil", "rint", "erf", "erfc"]
STEPS = {"floor", "ceil", "rint"}                                   # derivative zero
COMPARISONS = {"less": "<", "greater": ">", "less_equal": "<=", "greater_equal": ">=", "equal": "==",
               "not_equal": "!="}
LOGIC = {*COMPARISONS.values(), "&", "|", "~"}
LARGEST_PRODUCT = 64  # whole exponents up to here become products

WAYS_OUT = ("Potential.compiled(value, gradient, ndim) takes a point-by-point function with control flow, "
            "Potential.black_box(value, gradient, ndim) anything else")


class TraceError(TypeError):
    """The function cannot be recorded; the message says what stands in the way and what to do."""


class ExpressionError(ValueError):
    """The string is not an expression that can be used; the message says what is wrong and where."""


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
    """All nodes of one recording, each once; they are made of the class given."""

    def __init__(self, node_class: type[Node]) -> None:
        self.node_class, self.nodes, self._table = node_class, [], {}

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
        except (TypeError, ValueError, OverflowError):
            raise TraceError("a real number was expected inside the potential, got "
                             f"{type(a).__name__}.") from None

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
            return self.node("where", c, self.node("+", s, q), self.node("+", t, r))
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
            node = self._table[key] = self.node_class(self, op, args, value, len(self.nodes))
            self.nodes.append(node)
        return node


class Node:
    """One value of the recorded computation: a constant, a variable (coordinate or parameter), or an
    operation."""
    __slots__ = ("graph", "op", "args", "value", "index")

    def __init__(self, graph: Graph, op: str, args: tuple, value, index: int) -> None:
        self.graph, self.op, self.args, self.value, self.index = graph, op, args, value, index

    def call(self, name: str) -> Node:
        return self.graph.node(name, self)

    def __repr__(self):
        return f"symbol {self.value}" if self.op == "variable" else f"symbolic {self.op}"


def live(outputs):
    """Indices of all nodes that the outputs need, in an order in which they can be computed."""
    seen, waiting = set(), list(outputs)
    while waiting:
        n = waiting.pop()
        if n.index not in seen:
            seen.add(n.index)
            waiting.extend(n.args)
    return sorted(seen)
