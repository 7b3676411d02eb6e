"""A formula: the graph of f with its coordinates and parameters, from a function or a text."""
from __future__ import annotations

import inspect
import math

import numpy as np

from ...core import checks
from .graph import LOGIC, WAYS_OUT, ExpressionError, Graph, TraceError, live
from .numpy_rules import Symbol, Trace, plain


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
        nodes, place = [], {}
        for i in live([f]):
            n = f.graph.nodes[i]
            place[i] = len(nodes)
            nodes.append((n.op, tuple(place[a.index] for a in n.args), n.value))
        return _replayed, (self.ndim, self.defaults, self.text, nodes)

    def record(self, names=None):
        """Trace once. `names`: order of the parameters in p (default: of the defaults)."""
        graph = Graph(Symbol)
        xs = [graph.variable(f"x{i}") for i in range(self.ndim)]
        values = {name: graph.variable(f"p[{k}]")
                  for k, name in enumerate(self.defaults if names is None else names)}
        return self.apply(graph, xs, values), xs

    def apply(self, graph, xs, values):
        try:
            with np.errstate(all="ignore"):
                f = self.rule(xs, values)
        except RecursionError:
            raise TraceError(f"the potential is nested too deeply to be recorded. {WAYS_OUT}.") from None
        except Exception as error:
            if isinstance(error, (TraceError, ExpressionError)):
                raise
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
    if any(word in text for word in ("subscriptable", "has no len", "unpack", "indices", "index")):
        return TraceError(f"the potential indexes its argument ({text}); a function of ONE array of "
                          "coordinates needs ndim: Potential(f, ndim=2).")
    return TraceError(f"the potential cannot be recorded: {type(error).__name__}: {text}. It is called once "
                      f"with symbols in place of numbers. {WAYS_OUT}.")


def _one_number(graph, f):
    if f is None:
        raise TraceError("the potential returned nothing; is `return` missing?")
    if isinstance(f, (np.ndarray, list, tuple)):
        is_nested = isinstance(f, (list, tuple)) and any(isinstance(a, (list, tuple)) for a in f)
        flat = f if is_nested else plain(f).ravel()
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
    defaults = {name: checks.number(f"parameter {name}", v) for name, v in given.items() if is_number(v)}
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
